/* The helper's apply while somebody else writes to the same files: no work of anybody's is lost. */
#include "apply_rig.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 150, TEXT = 32 };

/* The other writer; its last work is text. */
static struct {
    atomic_bool stop;
    atomic_uint count, late, pause_us;
    unsigned round;
    char text[TEXT];
} them;

static void write_new(const char *name, const char *text)
{
    char temp[64];

    snprintf(temp, sizeof(temp), "theirs-%s", name);
    arig_put(temp, text);
    assert_int_equal(rename(temp, name), 0);
}

/* Saves as an editor does, again and again. */
static void *keep_saving(void *arg)
{
    while (!atomic_load(&them.stop)) {
        char text[TEXT];

        snprintf(text, sizeof(text), "theirs %u", atomic_load(&them.count) + 1);
        write_new("f", text);
        memcpy(them.text, text, sizeof(text));
        atomic_fetch_add(&them.count, 1);
        usleep(atomic_load(&them.pause_us));
    }
    return NULL;
}

static void they_begin(pthread_t *thread, void *(*work)(void *))
{
    atomic_store(&them.stop, false);
    atomic_store(&them.count, 0);
    atomic_store(&them.pause_us, (them.round++ % 3) * 150);
    assert_int_equal(pthread_create(thread, NULL, work, NULL), 0);
}

static void they_end(pthread_t thread)
{
    atomic_store(&them.stop, true);
    pthread_join(thread, NULL);
}

/*
 * A change that was done was made over exactly the version that it named: so what they saved in
 * between, if anything, was saved over ours, and is there.
 */
TEST(a_save_of_theirs_is_never_replaced_unseen)
{
    unsigned done = 0, conflicts = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        struct remote_object at;
        struct remote_result r;
        pthread_t thread;
        unsigned before;
        char ours[TEXT];

        arig_put("f", "start");
        they_begin(&thread, keep_saving);
        usleep(i * 37 % 1500);
        at = arig_version("f");
        before = atomic_load(&them.count);
        snprintf(ours, sizeof(ours), "ours %u", i);
        r = arig_one(arig_write("f", at, ours), ours);
        they_end(thread);
        if (r.outcome == REMOTE_DONE) {
            const char *now = arig_get("f");

            done++;
            /* Ours, or what they saved later. */
            assert_true(strcmp(now, ours) == 0 ||
                        (atomic_load(&them.count) > before && strcmp(now, them.text) == 0));
        } else {
            conflicts++;
            assert_int_equal(r.outcome, REMOTE_CONFLICT);
            assert_string_equal(arig_get("f"), atomic_load(&them.count) ? them.text : "start");
        }
        assert_int_equal(arig_count("."), 1); /* nothing half done lies about */
    }
    print_message("%u done, %u conflicts\n", done, conflicts);
}

/* Each adds to a number in place: opens, reads, writes, closes. As on any disk, who opened the file
 * just before it was replaced writes to the old one; and who is not let run for longer than anybody
 * waits for a file to be closed may miss what came meanwhile. */
static void *keep_adding(void *arg)
{
    static const int64_t patience_ns = 40 * NS_PER_MS;

    while (!atomic_load(&them.stop)) {
        const int64_t start_ns = clock_mono_ns();
        struct stat st;
        const int fd = open("f", O_RDWR | O_CLOEXEC);
        char text[TEXT] = "";
        const ssize_t n = fd < 0 ? -1 : pread(fd, text, sizeof(text) - 1, 0);

        if (n >= 0 && strchr(text, ';')) {
            snprintf(text, sizeof(text), "%06lu;", strtoul(text, NULL, 10) + 1);
            assert_int_equal(pwrite(fd, text, 7, 0), 7);
            atomic_fetch_add(&them.count, 1);
        }
        if (clock_mono_ns() - start_ns > patience_ns ||
            (fd >= 0 && fstat(fd, &st) == 0 && st.st_nlink == 0))
            atomic_fetch_add(&them.late, 1);
        if (fd >= 0)
            close(fd);
        usleep(200);
    }
    return NULL;
}

TEST(what_they_write_in_place_is_not_lost_either)
{
    unsigned long want = 0;
    unsigned ours = 0;
    pthread_t thread;

    atomic_store(&them.late, 0);
    arig_put("f", "000000;");
    they_begin(&thread, keep_adding);
    for (unsigned i = 0; i < ROUNDS; i++) {
        const struct remote_object at = arig_version("f");
        char text[TEXT], *had = arig_get("f");
        const struct remote_object again = arig_version("f");
        struct remote_result r;

        /* What was read is the version that is named. */
        if (at.ino != again.ino || at.mtime_ns != again.mtime_ns || at.ctime_ns != again.ctime_ns)
            continue;
        snprintf(text, sizeof(text), "%06lu;", strtoul(had, NULL, 10) + 1);
        r = arig_one(arig_write("f", at, text), text);
        ours += r.outcome == REMOTE_DONE;
    }
    they_end(thread);
    want = atomic_load(&them.count) + ours;
    print_message("%u of ours, %u of theirs\n", ours, atomic_load(&them.count));
    assert_in_range(strtoul(arig_get("f"), NULL, 10), want - atomic_load(&them.late), want);
}

/* What is done to f: one of three. */
static struct remote_change touch(unsigned i)
{
    struct remote_change c = {.kind = REMOTE_CHANGE_UNLINK, .path = arig_path("f")};

    if (i % 3 == 2)
        return arig_write("f", arig_version("f"), "ours");
    if (i % 3 == 1) {
        arig_put("new", "ours");
        return (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                      .path = arig_path("new"),
                                      .path2 = arig_path("f"),
                                      .at = arig_version("new"),
                                      .at2 = arig_version("f")};
    }
    c.at = arig_version("f");
    return c;
}

/* dies_at: the helper is killed at that step, and goes on. */
static void touch_while_they_save(unsigned i, long dies_at)
{
    struct remote_change c;
    struct remote_applied a;
    struct remote_batch b;
    pthread_t thread;
    unsigned before;
    bool more;

    arig_put("f", "start");
    they_begin(&thread, keep_saving);
    usleep(i * 41 % 1500);
    c = touch(i);
    before = atomic_load(&them.count);
    b = arig_batch(&c, 1, "ours");
    arig.dies_at = dies_at;
    if (arig_ask(&b, true, &a, &more) == -EPIPE) {
        arig.dies_at = 0;
        assert_int_equal(arig_apply(&b, &a), 0);
    }
    arig.number++;
    they_end(thread);
    if (a.v[0].outcome != REMOTE_DONE) {
        assert_int_equal(a.v[0].outcome, REMOTE_CONFLICT);
        assert_string_equal(arig_get("f"), atomic_load(&them.count) ? them.text : "start");
        /* And what was to be renamed is there still. */
        assert_true(i % 3 != 1 || strcmp(arig_get("new"), "ours") == 0);
    } else if (atomic_load(&them.count) == before) {
        assert_true(i % 3 ? strcmp(arig_get("f"), "ours") == 0 : !arig_get("f"));
    }
    remote_applied_done(&a);
    (void)unlink("f");
    (void)unlink("new");
    assert_int_equal(arig_count("."), 0);
}

TEST(what_they_save_is_not_deleted_nor_renamed_over)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        touch_while_they_save(i, 0);
}

TEST(nor_if_it_is_killed_meanwhile)
{
    for (unsigned i = 0; i < ROUNDS; i++)
        touch_while_they_save(i, 1 + i / 3 % 12);
}

/* ---- at every step ---- */

enum { FILES = 3 };
static const char *const files[FILES] = {"from", "to", "other"};
static const char *theirs;

static void save_theirs(void)
{
    write_new(theirs, "theirs");
}

static struct remote_change two_names(enum remote_change_kind kind, unsigned flags, bool over)
{
    return (struct remote_change){.kind = kind,
                                  .flags = flags,
                                  .path = arig_path("from"),
                                  .path2 = arig_path("to"),
                                  .at = arig_version("from"),
                                  .at2 = over ? arig_version("to") : ARIG_ABSENT};
}

static struct remote_change change_of(unsigned i)
{
    const struct remote_change removal = {
        .kind = REMOTE_CHANGE_UNLINK, .path = arig_path("from"), .at = arig_version("from")};

    switch (i) {
    case 0:
        return two_names(REMOTE_CHANGE_LINK, 0, false);
    case 1:
        return two_names(REMOTE_CHANGE_RENAME, 0, false);
    case 2:
        return two_names(REMOTE_CHANGE_RENAME, 0, true);
    case 3:
        return arig_write("to", arig_version("to"), "ours");
    case 4:
        return arig_write("to", ARIG_ABSENT, "ours");
    default:
        return removal;
    }
}

/* Not an exchange: who saved over one of its names a moment before cannot be told from who did it a
 * moment after. False: it came to its end before that step. */
static bool save_at(unsigned i, const char *name, long step)
{
    static const bool has_to[] = {false, false, true, true, false, false};
    struct remote_change c;
    struct remote_result r;

    arig_put("from", "first");
    if (has_to[i])
        arig_put("to", "second");
    c = change_of(i);
    theirs = name;
    arig.meanwhile = save_theirs;
    arig.stops_at = step;
    arig.stopped = false;
    r = arig_one(c, "ours");
    arig.stops_at = 0;
    if (r.outcome != REMOTE_DONE && r.outcome != REMOTE_CONFLICT)
        fail_msg("change %u, %s at %ld: outcome %d (%d)", i, name, step, r.outcome, r.err);
    if (arig.stopped && (!arig_get(name) || strcmp(arig_get(name), "theirs") != 0))
        fail_msg("change %u (outcome %d), %s at %ld: \"%s\"", i, r.outcome, name, step,
                 arig_get(name) ? arig_get(name) : "(none)");
    for (size_t k = 0; k < FILES; k++)
        (void)unlink(files[k]);
    assert_int_equal(arig_count("."), 0);
    return arig.stopped;
}

TEST(what_they_save_at_any_step_has_its_name_in_the_end)
{
    for (unsigned i = 0; i < 6; i++)
        for (size_t k = 0; k < 2; k++)
            for (long step = 1; save_at(i, files[k], step); step++)
                ;
}

static bool written;

/* If nobody keeps it from that. */
static void write_theirs(void)
{
    const int fd = open("from", O_WRONLY | O_NONBLOCK | O_CLOEXEC);

    usleep(10 * 1000); /* the clock of files is coarse */
    written = fd >= 0 && pwrite(fd, "their", 5, 0) == 5;
    if (fd >= 0)
        close(fd);
}

/* False: it came to its end before that step. */
static bool write_at(bool over, long step)
{
    struct remote_change c;
    struct remote_result r;

    arig_put("from", "first");
    if (over)
        arig_put("to", "second");
    c = two_names(REMOTE_CHANGE_RENAME, 0, over);
    arig.meanwhile = write_theirs;
    arig.stops_at = step;
    arig.stopped = written = false;
    r = arig_one(c, "ours");
    arig.stops_at = 0;
    if (written && (r.outcome != REMOTE_CONFLICT || strcmp(arig_get("from"), "their") != 0))
        fail_msg("at %ld: outcome %d, \"%s\"", step, r.outcome, arig_get("from"));
    if (over && written)
        assert_string_equal(arig_get("to"), "second");
    for (size_t k = 0; k < FILES; k++)
        (void)unlink(files[k]);
    assert_int_equal(arig_count("."), 0);
    return arig.stopped;
}

/* It would go away with the name that it was written to. */
TEST(what_they_write_at_any_step_is_not_moved_unseen)
{
    for (unsigned over = 0; over < 2; over++)
        for (long step = 1; write_at(over, step); step++)
            ;
}

static void *keep_appending(void *arg)
{
    const int fd = open("log", O_WRONLY | O_APPEND | O_CLOEXEC);

    while (!atomic_load(&them.stop)) {
        assert_int_equal(write(fd, "theirs\n", 7), 7);
        atomic_fetch_add(&them.count, 1);
        usleep(100);
    }
    close(fd);
    return NULL;
}

static unsigned count_lines(const char *text, const char *line)
{
    unsigned n = 0;

    for (const char *p = text; (p = strstr(p, line)); p++)
        n++;
    return n;
}

TEST(appends_of_both_all_survive)
{
    pthread_t thread;
    const char *log;

    arig_put("log", "");
    they_begin(&thread, keep_appending);
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct remote_change c = arig_write("log", ARIG_ANY, "ours\n");
        struct remote_batch b;
        struct remote_applied a = {0};
        bool more;

        c.flags = REMOTE_CHANGE_APPEND;
        c.size = REMOTE_ALL;
        b = arig_batch(&c, 1, "ours\n");
        arig.dies_at = i % 9; /* and killed in between */
        if (arig_ask(&b, true, &a, &more) == -EPIPE) {
            arig.dies_at = 0;
            assert_int_equal(arig_apply(&b, &a), 0);
        }
        assert_int_equal(a.v[0].outcome, REMOTE_DONE);
        remote_applied_done(&a);
        arig.number++;
    }
    they_end(thread);
    log = arig_get("log");
    assert_int_equal(count_lines(log, "ours\n"), ROUNDS);
    assert_int_equal(count_lines(log, "theirs\n"), atomic_load(&them.count));
}

/* A reader never sees anything but one whole version. */
static void *keep_reading(void *arg)
{
    unsigned *bad = arg;

    while (!atomic_load(&them.stop)) {
        const int fd = open("f", O_RDONLY | O_CLOEXEC);
        static char text[20001];
        const ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text));

        if (n < 1 || (size_t)n != 10000 + (size_t)(text[0] - '0') * 1000)
            (*bad)++;
        for (ssize_t i = 1; i < n; i++)
            *bad += text[i] != text[0];
        if (fd >= 0)
            close(fd);
        atomic_fetch_add(&them.count, 1);
    }
    return NULL;
}

TEST(a_reader_sees_whole_versions_only)
{
    static char text[20001];
    unsigned bad = 0;
    pthread_t thread;

    memset(text, '0', 10000);
    arig_put("f", text);
    atomic_store(&them.stop, false);
    assert_int_equal(pthread_create(&thread, NULL, keep_reading, &bad), 0);
    for (int i = 0; i < ROUNDS; i++) {
        const size_t n = 10000 + (size_t)(i % 10) * 1000;

        memset(text, '0' + i % 10, n);
        text[n] = '\0';
        assert_int_equal(arig_one(arig_write("f", arig_version("f"), text), text).outcome,
                         REMOTE_DONE);
    }
    they_end(thread);
    assert_int_equal(bad, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, apply_rig_enter, apply_rig_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_save_of_theirs_is_never_replaced_unseen),
        CASE(what_they_write_in_place_is_not_lost_either),
        CASE(what_they_save_is_not_deleted_nor_renamed_over),
        CASE(nor_if_it_is_killed_meanwhile),
        CASE(what_they_save_at_any_step_has_its_name_in_the_end),
        CASE(what_they_write_at_any_step_is_not_moved_unseen),
        CASE(appends_of_both_all_survive),
        CASE(a_reader_sees_whole_versions_only),
    };

    apply_rig_in_memory = true;
    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
