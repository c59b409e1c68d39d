/*
 * The record of a batch is lost, and so is its answer: it is asked again in whole, and comes to the
 * same as if nothing had happened, however far it had come; and what somebody else has changed
 * meanwhile stays theirs.
 */
#include "apply_world.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- stories: changes as flush makes them of everyday work ---- */

enum { CHANGES = 64, NAMES = 64, DATA = 4096 };

static struct {
    struct remote_change v[CHANGES];
    struct remote_piece pieces[CHANGES];
    size_t count, len;
    char data[DATA];
    struct {
        const char *name;
        int maker; /* GONE: nobody any more */
    } names[NAMES];
    size_t name_count;
} story;

enum { GONE = -1 };

static int *maker_of(const char *name)
{
    for (size_t i = 0; i < story.name_count; i++)
        if (strcmp(story.names[i].name, name) == 0)
            return &story.names[i].maker;
    return NULL;
}

static void made(const char *name, int maker)
{
    int *m = maker_of(name);

    if (!m) {
        assert_true(story.name_count < NAMES);
        m = &story.names[story.name_count].maker;
        story.names[story.name_count++].name = name;
    }
    *m = maker;
}

static struct remote_object object(const char *name)
{
    const int *m = maker_of(name);

    if (m)
        return *m == GONE ? ARIG_ABSENT : ARIG_LEFT((uint32_t)*m);
    return access(in_world(name), F_OK) == 0 ? version_in_world(name) : ARIG_ABSENT;
}

static struct remote_change *change(enum remote_change_kind kind, const char *name)
{
    struct remote_change *c = &story.v[story.count];

    assert_true(story.count < CHANGES);
    *c = (struct remote_change){.kind = kind, .path = in_world(name), .at = object(name)};
    made(name, (int)story.count++);
    return c;
}

static struct remote_change *writes(const char *name, const char *text)
{
    struct remote_piece *piece = &story.pieces[story.count];
    struct remote_change *c = change(REMOTE_CHANGE_WRITE, name);

    *piece = (struct remote_piece){.len = strlen(text), .at = story.len};
    c->size = piece->len;
    c->pieces = piece;
    c->piece_count = 1;
    assert_true(story.len + piece->len < DATA);
    memcpy(story.data + story.len, text, piece->len);
    story.len += piece->len;
    return c;
}

static void adds(const char *name, const char *text)
{
    struct remote_change *c = writes(name, text);

    c->flags = REMOTE_CHANGE_APPEND;
    c->size = REMOTE_ALL;
}

static void renames(const char *from, const char *to)
{
    struct remote_change c = {.kind = REMOTE_CHANGE_RENAME,
                              .path = in_world(from),
                              .path2 = in_world(to),
                              .at = object(from),
                              .at2 = object(to)};

    story.v[story.count] = c;
    made(from, GONE);
    made(to, (int)story.count++);
}

static void links(const char *from, const char *to)
{
    struct remote_change *c = change(REMOTE_CHANGE_LINK, from);

    c->path2 = in_world(to);
    c->at2 = object(to);
    made(to, (int)story.count - 1);
}

static void removes(const char *name)
{
    (void)change(REMOTE_CHANGE_UNLINK, name);
    made(name, GONE);
}

static void sets_mode(const char *name, mode_t mode)
{
    change(REMOTE_CHANGE_SETATTR, name)->set =
        (struct remote_setattr){.mask = REMOTE_SET_MODE, .attr = {.mode = mode}};
}

static void sets_time(const char *name, int64_t ns)
{
    change(REMOTE_CHANGE_SETATTR, name)->set =
        (struct remote_setattr){.mask = REMOTE_SET_MTIME, .attr = {.mtime_ns = ns}};
}

static void tell_saves(void)
{
    static char texts[10][16];

    for (int i = 0; i < 10; i++) {
        snprintf(texts[i], sizeof(texts[i]), "version %d", i);
        writes("f.lock", texts[i])->flags = i % 3 ? 0 : REMOTE_CHANGE_FSYNC_TOO;
        if (i % 2)
            (void)change(REMOTE_CHANGE_FSYNC, "f.lock");
        renames("f.lock", "f");
    }
}

/* All of the same content. */
static void tell_like_saves(void)
{
    for (int i = 0; i < 3; i++) {
        writes("f.lock", "f at first");
        renames("f.lock", "f");
    }
}

static void tell_chains(void)
{
    writes("a", "new");
    renames("a", "b");
    renames("b", "f");
    writes("a", "another");
    renames("f", "c");
    renames("a", "f");
    renames("g", "old");
    writes("g", "g again");
    writes("g", "and again");
    removes("old");
}

static void tell_commit(void)
{
    (void)change(REMOTE_CHANGE_MKDIR, "ab");
    writes("tmp1", "object one");
    links("tmp1", "ab/one");
    removes("tmp1");
    writes("tmp2", "object two");
    links("tmp2", "ab/two");
    removes("tmp2");
    sets_mode("ab/two", 0444);
    writes("index.lock", "an index");
    renames("index.lock", "index");
    writes("HEAD.lock", "a commit");
    writes("message", "text");
    adds("log", "commit\n");
    renames("HEAD.lock", "HEAD");
    adds("log", "commit\n");
    writes("index.lock", "index 2");
    renames("index.lock", "index");
    removes("message");
}

static void tell_directories(void)
{
    (void)change(REMOTE_CHANGE_MKDIR, "d");
    writes("d/x", "x");
    writes("d/y", "y");
    made("e/x", *maker_of("d/x"));
    made("e/y", *maker_of("d/y"));
    renames("d", "e");
    writes("e/x", "x, other");
    sets_mode("e/x", 0600);
    sets_time("e/x", 1234567890);
    renames("e/y", "y");
    (void)change(REMOTE_CHANGE_MKDIR, "d");
    writes("f", "patched");
    sets_time("f", 77);
    writes("f", "once more");
}

static void tell_names(void)
{
    links("f", "f2");
    writes("f2", "through the other name");
    sets_mode("f", 0640);
    removes("f");
    links("f2", "f");
    adds("log", "1\n");
    adds("log", "1\n");
    adds("log", "2\n");
}

static void (*const stories[])(void) = {tell_saves,  tell_like_saves,  tell_chains,
                                        tell_commit, tell_directories, tell_names};

static void begin(unsigned n, void (*tell)(void))
{
    char name[16];

    snprintf(name, sizeof(name), "s%u", n);
    world_enter(name);
    put_in_world("f", "f at first");
    put_in_world("g", "g at first");
    put_in_world("log", "line\n");
    put_in_world("HEAD", "commit 0");
    story.count = story.len = story.name_count = 0;
    tell();
}

static char *lines[NAMES];
static size_t line_count;

static int add_line(const char *path, const struct stat *st, int type, struct FTW *at)
{
    const bool file = S_ISREG(st->st_mode);

    assert_true(line_count < NAMES);
    assert_true(asprintf(&lines[line_count++], "%s %o %lu %s\n", path, st->st_mode,
                         file ? (unsigned long)st->st_nlink : 0, file ? arig_get(path) : "") > 0);
    return 0;
}

static int compare_lines(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* All that is there, with modes and contents: the caller's. */
static char *all_of_it(void)
{
    char *text = calloc(1, 8192);

    assert_int_equal(chdir(in_world("")), 0);
    assert_int_equal(nftw(".", add_line, 8, FTW_PHYS), 0);
    assert_int_equal(chdir(arig.dir), 0);
    qsort(lines, line_count, sizeof(*lines), compare_lines);
    while (line_count > 0) {
        strcat(text, lines[--line_count]);
        free(lines[line_count]);
    }
    return text;
}

static struct remote_batch batch_of(size_t count)
{
    struct remote_batch b = arig_batch(story.v, count, NULL);

    b.data = story.data;
    b.data_len = story.len;
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    return b;
}

static struct remote_applied apply_some(size_t count, enum remote_batch_mode mode)
{
    struct remote_batch b = batch_of(count);
    struct remote_applied a = {0};

    b.mode = mode;
    assert_int_equal(arig_apply(&b, &a), 0);
    assert_int_equal(a.state, REMOTE_BATCH_FINISHED);
    arig.number++;
    return a;
}

/* The first `count` of it are made, and nobody knows. */
static void make_unknown(size_t count)
{
    struct remote_applied a;

    if (count > 0) {
        a = apply_some(count, REMOTE_BATCH_RENEW);
        expect_all_done(&a);
        remote_applied_done(&a);
        in_client("rm record");
    }
}

TEST(however_far_it_came_it_goes_on_there)
{
    unsigned n = 0;

    for (size_t i = 0; i < ARRAY_LEN(stories); i++) {
        char *want, *got;

        begin(n++, stories[i]);
        make_unknown(story.count);
        want = all_of_it();
        for (size_t k = 0; k <= story.count; k++) {
            struct remote_applied a;

            begin(n++, stories[i]);
            make_unknown(k);
            a = apply_some(story.count, REMOTE_BATCH_RENEW);
            expect_all_done(&a);
            remote_applied_done(&a);
            got = all_of_it();
            if (strcmp(got, want) != 0)
                fail_msg("story %zu after %zu:\n%s\nnot\n%s", i, k, got, want);
            free(got);
            expect_tidy();
        }
        free(want);
    }
}

TEST(of_every_kind_of_change_too)
{
    struct remote_change v[WORLD];
    struct remote_batch b = new_world(0, v);
    const size_t count = b.count;

    for (size_t k = 0; k <= count; k++) {
        struct remote_applied a = {0};

        if (k > 0) {
            (void)new_world((unsigned)k, v);
            a = arig_do(v, k, world_data);
            expect_all_done(&a);
            remote_applied_done(&a);
            in_client("rm record");
        }
        b = arig_batch(v, count, world_data);
        b.mode = REMOTE_BATCH_RENEW;
        assert_int_equal(arig_apply(&b, &a), 0);
        expect_all_done(&a);
        remote_applied_done(&a);
        expect_new_world();
        arig.number++;
    }
}

/* What the next batch goes by. */
TEST(what_is_told_of_it_is_what_is_there)
{
    struct remote_applied a;
    struct stat st;

    begin(0, tell_saves);
    make_unknown(story.count);
    a = apply_some(story.count, REMOTE_BATCH_RENEW);
    st = arig_stat(in_world("f"));
    assert_int_equal(a.v[a.count - 1].now.ino, st.st_ino);
    assert_int_equal(a.v[a.count - 1].now.size, st.st_size);
    assert_int_equal(a.v[0].now.size, 0); /* gone since */
    remote_applied_done(&a);
}

/* After k changes they save over what the story ends with. */
static void they_save(void (*tell)(void), size_t k, unsigned n, const char *name)
{
    struct remote_applied a;
    unsigned conflicts = 0;

    begin(n, tell);
    make_unknown(k);
    put_in_world("theirs", "theirs, and longer than any of ours");
    assert_int_equal(rename(in_world("theirs"), in_world(name)), 0);
    a = apply_some(story.count, REMOTE_BATCH_RENEW);
    for (size_t i = 0; i < a.count; i++)
        conflicts += a.v[i].outcome == REMOTE_CONFLICT;
    assert_true(conflicts > 0);
    remote_applied_done(&a);
    expect_text(name, "theirs, and longer than any of ours");
}

TEST(what_they_have_saved_meanwhile_is_a_conflict_and_stays)
{
    unsigned n = 0;

    for (size_t k = 0; k <= 25; k += 5)
        they_save(tell_saves, k, n++, "f");
    for (size_t k = 0; k <= 10; k += 3)
        they_save(tell_chains, k, n++, "g");
    they_save(tell_commit, 18, n++, "index");
    expect_text("HEAD", "a commit"); /* the rest of it is as it was made */
    expect_text("ab/one", "object one");
    expect_text("log", "line\ncommit\ncommit\n");
}

/* They add to what we have added to. */
TEST(lines_of_both_stay_and_are_there_once)
{
    static const char *const want[] = {"line\ntheirs\n1\n1\n2\n", "line\n1\ntheirs\n1\n2\n",
                                       "line\n1\n1\ntheirs\n2\n", "line\n1\n1\n2\ntheirs\n"};

    for (unsigned k = 0; k <= 3; k++) {
        struct remote_applied a;
        FILE *f;

        begin(k, tell_names);
        make_unknown(5 + k);
        f = fopen(in_world("log"), "a");
        assert_non_null(f);
        fputs("theirs\n", f);
        fclose(f);
        a = apply_some(story.count, REMOTE_BATCH_RENEW);
        expect_all_done(&a);
        remote_applied_done(&a);
        expect_text("log", want[k]);
    }
}

/* ---- killed, too ---- */

static unsigned conflicts;

static void is_renewed(struct remote_batch *b, struct remote_applied *a, bool died)
{
    enum { IN_PLACE = 3 };

    remote_applied_done(a);
    in_client("rm -f record");
    b->mode = REMOTE_BATCH_RENEW;
    assert_int_equal(arig_apply(b, a), 0);
    if (a->v[IN_PLACE].outcome == REMOTE_CONFLICT) {
        conflicts++;
        a->v[IN_PLACE].outcome = REMOTE_DONE;
    } else {
        expect_new_world();
    }
    expect_all_done(a);
    expect_text("log", "line\n0123456789");
    expect_tidy();
    arig.number++;
}

/* Only what is written in place (change 3), and was killed in the middle of that, cannot be told
 * from theirs: that is a conflict. */
TEST(killed_at_any_step_and_its_record_deleted)
{
    conflicts = 0;
    assert_in_range(killed_at_each_step(new_world, is_renewed), 50, 999);
    assert_in_range(conflicts, 0, 5);
}

TEST(renewed_a_file_that_was_saved_by_rename_is_not_in_its_own_way)
{
    struct remote_change v[2];
    struct remote_applied a;
    struct remote_batch b;

    arig_put("f", "old");
    v[0] = arig_write("f.lock", ARIG_ABSENT, "new");
    v[1] = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                  .path = arig_path("f.lock"),
                                  .path2 = arig_path("f"),
                                  .at = ARIG_LEFT(0),
                                  .at2 = arig_version("f")};
    a = arig_do(v, 2, "new");
    expect_all_done(&a);
    remote_applied_done(&a);
    b = arig_batch(v, 2, "new");
    b.mode = REMOTE_BATCH_RENEW;
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    remote_applied_done(&a);
    assert_string_equal(arig_get("f"), "new");
    assert_int_equal(arig_count("."), 1);
}

/* As git makes its objects. */
TEST(renewed_a_file_that_was_linked_and_lost_its_first_name_is_the_one_that_is_there)
{
    struct remote_change v[3];
    struct remote_applied a;
    struct remote_batch b;
    struct stat was, is;

    v[0] = arig_write("tmp", ARIG_ABSENT, "object");
    v[1] = (struct remote_change){.kind = REMOTE_CHANGE_LINK,
                                  .path = arig_path("tmp"),
                                  .path2 = arig_path("object"),
                                  .at = ARIG_LEFT(0),
                                  .at2 = ARIG_ABSENT};
    v[2] = (struct remote_change){
        .kind = REMOTE_CHANGE_UNLINK, .path = arig_path("tmp"), .at = ARIG_LEFT(1)};
    a = arig_do(v, 3, "object");
    expect_all_done(&a);
    remote_applied_done(&a);
    was = arig_stat("object");
    b = arig_batch(v, 3, "object");
    b.mode = REMOTE_BATCH_RENEW;
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    remote_applied_done(&a);
    is = arig_stat("object");
    assert_int_equal(is.st_ino, was.st_ino);
    assert_int_equal(is.st_nlink, 1);
    assert_string_equal(arig_get("object"), "object");
    assert_int_equal(arig_count("."), 1);
    arig.number++;

    arig_put("object", "theirs"); /* something else stays, and is told */
    b = arig_batch(v, 3, "object");
    b.mode = REMOTE_BATCH_RENEW;
    assert_int_equal(arig_apply(&b, &a), 0);
    assert_int_equal(a.v[1].outcome, REMOTE_CONFLICT);
    remote_applied_done(&a);
    assert_string_equal(arig_get("object"), "theirs");
}

TEST(renewed_what_was_not_done_is_done)
{
    struct remote_change v[WORLD];
    struct remote_batch b = new_world(0, v);
    struct remote_applied a = {0};

    b.mode = REMOTE_BATCH_RENEW;
    b.number = 77;
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    expect_new_world();
    remote_applied_done(&a);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, apply_rig_enter, apply_rig_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(however_far_it_came_it_goes_on_there),
        CASE(of_every_kind_of_change_too),
        CASE(what_is_told_of_it_is_what_is_there),
        CASE(what_they_have_saved_meanwhile_is_a_conflict_and_stays),
        CASE(lines_of_both_stay_and_are_there_once),
        CASE(killed_at_any_step_and_its_record_deleted),
        CASE(renewed_a_file_that_was_saved_by_rename_is_not_in_its_own_way),
        CASE(renewed_a_file_that_was_linked_and_lost_its_first_name_is_the_one_that_is_there),
        CASE(renewed_what_was_not_done_is_done),
    };

    apply_rig_in_memory = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
