/* Large files that are put together ahead of their batch, and what becomes of them in it. */
#include "apply_world.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOBS = 3, LEN = 9 };
static const char *const texts[BLOBS] = {"the first", "2nd blob.", "the third"};
static const char whole[] = "the first2nd blob.the third";

/* A file of three blobs, of all of which it has all. */
static struct remote_blob blobs[BLOBS];
static struct remote_piece pieces[BLOBS];
static struct remote_joined joined;
static unsigned names;
static const char *target = "f";

static void stage_all(void)
{
    char name[16];

    for (unsigned i = 0; i < BLOBS; i++) {
        snprintf(name, sizeof(name), "s-%u", names++);
        blobs[i] = arig_blob(name, texts[i], LEN);
        pieces[i] = (struct remote_piece){.off = i * LEN, .len = LEN, .blob = i + 1};
    }
    joined = (struct remote_joined){.size = 0};
    snprintf(joined.name, sizeof(joined.name), "s-%u", names++);
}

/* Pieces first to end - 1. */
static int join(unsigned first, unsigned end)
{
    const struct remote_join j = {.path = arig_path(target),
                                  .pieces = pieces + first,
                                  .piece_count = end - first,
                                  .blobs = blobs,
                                  .blob_count = BLOBS,
                                  .size = end == BLOBS ? BLOBS * LEN : REMOTE_ALL};

    return arig_join(&j, &joined);
}

static const char *temp_name;

/* The link that says where it is. */
static bool is_beside(void)
{
    static char target_path[200];
    char path[160];
    ssize_t n;

    snprintf(path, sizeof(path), "%s/h/%s", arig.root, joined.name);
    n = readlink(path, target_path, sizeof(target_path) - 1);
    target_path[n > 0 ? n : 0] = '\0';
    temp_name = target_path;
    return n > 0;
}

static struct remote_change change_of(const char *name, struct remote_object at)
{
    struct remote_change c = arig_write(name, at, "");

    c.size = BLOBS * LEN;
    c.pieces = pieces;
    c.piece_count = BLOBS;
    c.joined = &joined;
    return c;
}

static struct remote_batch batch_of(const struct remote_change *c)
{
    struct remote_batch b = arig_batch(c, 1, NULL);

    b.blobs = blobs;
    b.blob_count = BLOBS;
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    return b;
}

static ino_t joined_ino(void)
{
    struct stat st;
    char path[160];

    snprintf(path, sizeof(path), "%s/h/%s", arig.root, joined.name);
    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

/* Only the program, the clients and the note of the sweep. */
static void expect_nothing_staged(void)
{
    assert_int_equal(arig_count(arig_path("../h")), 3);
}

static void apply_all(const char *name, struct remote_object at)
{
    const struct remote_change c = change_of(name, at);
    const struct remote_batch b = batch_of(&c);
    struct remote_applied a = {0};

    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    remote_applied_done(&a);
    arig.number++;
    assert_string_equal(arig_get(name), whole);
    expect_nothing_staged();
}

TEST(what_was_put_together_ahead_only_gets_its_name)
{
    ino_t ino;

    stage_all();
    assert_int_equal(join(0, 1), 0);
    assert_int_equal(joined.size, LEN);
    assert_int_equal(join(1, 3), 0);
    ino = joined_ino();
    apply_all("f", ARIG_ABSENT);
    assert_int_equal(arig_stat("f").st_ino, ino);
    assert_int_equal(arig_stat("f").st_mode & 0777, 0644);
    expect_tidy();
}

TEST(over_a_file_that_is_there_it_gets_its_mode)
{
    ino_t ino;

    arig_put("f", "old");
    assert_int_equal(chmod("f", 0600), 0);
    stage_all();
    assert_int_equal(join(0, 3), 0);
    ino = joined_ino();
    apply_all("f", arig_version("f"));
    assert_int_equal(arig_stat("f").st_ino, ino);
    assert_int_equal(arig_stat("f").st_mode & 0777, 0600);
}

/* A hole before the second piece, and one at the end. */
TEST(what_is_written_nowhere_is_zero)
{
    const struct remote_piece apart[] = {{.off = 0, .len = 3, .blob = 1, .at = 4},
                                         {.off = 5, .len = 2, .blob = 3}};
    const struct remote_join j = {.path = arig_path("f"),
                                  .pieces = apart,
                                  .piece_count = 2,
                                  .blobs = blobs,
                                  .blob_count = BLOBS,
                                  .size = 10};
    struct remote_change c;
    struct remote_batch b;
    struct remote_applied a = {0};

    stage_all();
    assert_int_equal(arig_join(&j, &joined), 0);
    c = change_of("f", ARIG_ABSENT);
    c.size = 10;
    c.pieces = apart;
    c.piece_count = 2;
    b = batch_of(&c);
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    remote_applied_done(&a);
    assert_int_equal(arig_stat("f").st_size, 10);
    assert_memory_equal(arig_get("f"), "fir\0\0th\0\0\0", 10);
}

/* ---- the lock ---- */

static struct stat small_st;

static void save_small(void)
{
    arig.stops_at = 0;
    (void)arig_one(arig_write("small", ARIG_ABSENT, "saved"), "saved");
    small_st = arig_stat("small");
}

TEST(meanwhile_the_clients_changes_are_made)
{
    stage_all();
    for (long step = 1; step <= 2; step++) {
        arig.meanwhile = save_small;
        arig.stops_at = step;
        arig.stopped = false;
        if (step == 2)
            assert_int_equal(unlink("small"), 0);
        assert_int_equal(step == 1 ? join(0, 2) : join(2, 3), 0);
        assert_true(arig.stopped);
        assert_string_equal(arig_get("small"), "saved");
    }
    apply_all("f", ARIG_ABSENT);
}

TEST(who_holds_the_clients_lock_is_not_waited_for)
{
    char path[160];
    int fd;

    (void)arig_one(arig_write("f", ARIG_ABSENT, "x"), "x");
    snprintf(path, sizeof(path), "%s/h/clients/%s/lock", arig.root, arig.client);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    stage_all();
    assert_int_equal(join(0, 3), 0);
    close(fd);
    apply_all("g", ARIG_ABSENT);
}

/* ---- what is not as it should be ---- */

TEST(a_blob_that_is_damaged_or_missing_is_not_put_in)
{
    char path[160];

    stage_all();
    blobs[1].crc++;
    assert_int_equal(join(0, 3), -ENODATA);
    blobs[1].crc--;
    snprintf(joined.name, sizeof(joined.name), "s-%u", names++);
    snprintf(path, sizeof(path), "%s/h/%s", arig.root, blobs[2].name);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(join(0, 3), -ENODATA);
    snprintf(joined.name, sizeof(joined.name), "s-%u", names++);
    blobs[2] = arig_blob(blobs[2].name, "the thir", LEN - 1);
    blobs[2].len++;
    assert_int_equal(join(0, 3), -ENODATA);
}

TEST(an_attempt_that_is_repeated_is_refused_and_does_no_harm)
{
    struct remote_joined before;
    ino_t ino;

    stage_all();
    before = joined;
    assert_int_equal(join(0, 2), 0);
    for (int i = 0; i < 2; i++) {
        const struct remote_joined after = joined;

        joined = before;
        assert_int_equal(i == 0 ? join(0, 2) : join(2, 3), -ESTALE);
        joined = before = after;
        if (i == 0)
            assert_int_equal(join(2, 3), 0);
    }
    ino = joined_ino();
    apply_all("f", ARIG_ABSENT);
    assert_int_equal(arig_stat("f").st_ino, ino);
    assert_int_equal(join(0, 3), -ESTALE); /* one that comes later still finds nothing */
    assert_string_equal(arig_get("f"), whole);
}

static void touch_joined(const char *command)
{
    char line[256];

    snprintf(line, sizeof(line), "cd %s/h && %s %s", arig.root, command, joined.name);
    assert_int_equal(system(line), 0);
}

TEST(what_is_not_as_it_was_left_is_made_of_the_blobs)
{
    static const char *const commands[] = {
        "rm",
        "printf x | dd bs=1 conv=notrunc status=none of=",
        "truncate -s 5",
        "touch -d yesterday",
        "f() { cp \"$1\" x; mv x \"$1\"; }; f",
        "ln -f h-test",
        "f() { ln \"$1\" \"$1-2\"; }; f",
        "f() { rm \"$1\"; mkfifo \"$1\"; }; f",
        "f() { rm \"$1\"; ln -s h-test \"$1\"; }; f",
    };

    for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
        char command[128];
        ino_t ino;

        stage_all();
        assert_int_equal(join(0, 3), 0);
        ino = joined_ino();
        if (i == 1) {
            snprintf(command, sizeof(command), "f() { %s\"$1\"; }; f", commands[i]);
            touch_joined(command);
        } else {
            touch_joined(commands[i]);
        }
        (void)unlink("f");
        {
            const struct remote_change c = change_of("f", ARIG_ABSENT);
            const struct remote_batch b = batch_of(&c);
            struct remote_applied a = {0};

            assert_int_equal(arig_apply(&b, &a), 0);
            expect_all_done(&a);
            remote_applied_done(&a);
            arig.number++;
        }
        assert_string_equal(arig_get("f"), whole);
        if (i != 0 && i != 4) /* else the number may be given out once more */
            assert_int_not_equal(arig_stat("f").st_ino, ino);
        assert_int_equal(joined_ino(), 0);
    }
}

TEST(a_seal_of_nobodys_and_a_size_that_is_not_its_own_are_refused)
{
    stage_all();
    assert_int_equal(join(0, 2), 0);
    joined.size = BLOBS * LEN; /* it has less */
    apply_all("f", ARIG_ABSENT);
    stage_all();
    assert_int_equal(join(0, 3), 0);
    joined.seal += 2;
    apply_all("g", ARIG_ABSENT);
}

/* ---- killed ---- */

static void kill_at_any_step(const char *name)
{
    long step = 0;
    bool died;

    target = name;
    do {
        struct remote_applied a = {0};
        struct remote_change c;
        struct remote_batch b;

        step++;
        (void)unlink(name);
        if (step % 2)
            arig_put(name, "old");
        stage_all();
        assert_int_equal(join(0, 3), 0);
        c = change_of(name, step % 2 ? arig_version(name) : ARIG_ABSENT);
        b = batch_of(&c);
        died = dies_at(&b, step, &a);
        if (died)
            assert_int_equal(arig_apply(&b, &a), 0);
        expect_all_done(&a);
        remote_applied_done(&a);
        arig.number++;
        assert_string_equal(arig_get(name), whole);
        assert_int_equal(arig_count(strchr(name, '/') ? "apart" : "."), 1);
        expect_nothing_staged();
        expect_tidy();
    } while (died && step < 100);
    assert_in_range(step, 5, 99);
    target = "f";
}

TEST(killed_at_any_step_of_its_batch_it_is_there_once)
{
    kill_at_any_step("f");
}

/* ---- on another mount ---- */

static void mount_apart(void)
{
    assert_int_equal(mkdir("apart", 0755), 0);
    if (mount("apart", "apart", NULL, MS_BIND, NULL) < 0)
        skip();
}

TEST(on_another_mount_it_is_made_beside_the_file_at_once)
{
    ino_t ino;

    mount_apart();
    target = "apart/f";
    stage_all();
    assert_int_equal(join(0, 1), -EXDEV);
    assert_false(is_beside());
    assert_int_equal(arig_count("apart"), 0);
    assert_int_equal(join(0, 3), 0);
    assert_true(is_beside());
    ino = arig_stat(temp_name).st_ino;
    apply_all("apart/f", ARIG_ABSENT);
    assert_int_equal(arig_stat("apart/f").st_ino, ino);
    assert_int_equal(arig_count("apart"), 1);
    target = "f";
    assert_int_equal(umount("apart"), 0);
}

TEST(killed_at_any_step_on_another_mount_it_is_there_once)
{
    mount_apart();
    kill_at_any_step("apart/f");
    assert_int_equal(umount("apart"), 0);
}

/* By another batch, or by age. */
TEST(what_was_made_there_in_vain_goes)
{
    char command[256];

    mount_apart();
    target = "apart/f";
    for (int swept = 0; swept < 2; swept++) {
        stage_all();
        assert_int_equal(join(0, 3), 0);
        assert_int_equal(arig_count("apart"), 1);
        if (swept) {
            snprintf(command, sizeof(command), "cd %s/h && touch -h -d '8 days ago' s-* swept",
                     arig.root);
            assert_int_equal(system(command), 0);
            (void)arig_one(arig_write("g", ARIG_ANY, "x"), "x");
        } else {
            const struct remote_change c = arig_write("g", ARIG_ANY, "");
            struct remote_batch b = arig_batch(&c, 1, NULL);
            struct remote_applied a = {0};

            memcpy(blobs[0].name, joined.name, sizeof(joined.name));
            blobs[0].len = 0;
            b.blobs = blobs;
            b.blob_count = 1;
            assert_int_equal(remote_batch_digest(&b, b.digest), 0);
            assert_int_equal(arig_apply(&b, &a), 0);
            remote_applied_done(&a);
            arig.number++;
        }
        assert_int_equal(arig_count("apart"), 0);
        assert_int_equal(joined_ino(), 0);
    }
    target = "f";
    assert_int_equal(umount("apart"), 0);
}

/* It is seen by who is no client: so it goes within the hour, if nobody is at it any more; but not
 * the blobs, of which it is made once its batch comes all the same. */
TEST(what_is_beside_a_file_and_not_asked_for_goes_soon)
{
    static const struct {
        const char *link, *file;
        unsigned left;
    } runs[] = {
        {"2 hours ago", "now", 1}, {"now", "2 hours ago", 1}, {"2 hours ago", "3 hours ago", 0}};
    char command[512];

    mount_apart();
    target = "apart/f";
    for (size_t i = 0; i < ARRAY_LEN(runs); i++) {
        stage_all();
        assert_int_equal(join(0, 3), 0);
        assert_true(is_beside());
        snprintf(command, sizeof(command),
                 "cd %s/h && touch -h -d '%s' %s && touch -d '2 hours ago' swept && "
                 "touch -d '%s' %s/apart/.daytonafs-*",
                 arig.root, runs[i].link, joined.name, runs[i].file, arig.dir);
        assert_int_equal(system(command), 0);
        (void)arig_one(arig_write("g", ARIG_ANY, "x"), "x");
        assert_int_equal(arig_count("apart"), runs[i].left);
        apply_all("apart/f", ARIG_ABSENT);
        assert_int_equal(arig_count("apart"), 1);
        assert_int_equal(unlink(arig_path("apart/f")), 0);
    }
    target = "f";
    assert_int_equal(umount("apart"), 0);
}

/* Nothing of it is seen but where it was, and its batch is made of the blobs once there is room. */
TEST(where_the_disk_is_full_it_is_not_put_together)
{
    assert_int_equal(mkdir("apart", 0755), 0);
    if (mount("none", "apart", "tmpfs", 0, "size=64k") < 0)
        skip();
    target = "apart/f";
    stage_all();
    (void)!system("head -c 100000 /dev/zero >apart/fill 2>/dev/null");
    assert_int_equal(join(0, 3), -ENOSPC);
    assert_int_equal(unlink("apart/fill"), 0);
    apply_all("apart/f", ARIG_ABSENT);
    assert_int_equal(arig_count("apart"), 1);
    target = "f";
    assert_int_equal(umount("apart"), 0);
}

TEST(of_two_clients_that_make_one_file_the_quicker_one_has_it)
{
    struct remote_applied a = {0};
    struct {
        struct remote_blob blobs[BLOBS];
        struct remote_piece pieces[BLOBS];
        struct remote_joined joined;
    } first;
    const char *const client = arig.client;
    struct remote_change c;
    struct remote_batch b;
    ino_t ino;

    stage_all();
    assert_int_equal(join(0, 3), 0);
    memcpy(first.blobs, blobs, sizeof(blobs));
    memcpy(first.pieces, pieces, sizeof(pieces));
    first.joined = joined;

    arig.client = "ffeeddccbbaa99887766554433221100";
    stage_all();
    assert_int_equal(join(0, 3), 0);
    ino = joined_ino();
    c = change_of("f", ARIG_ABSENT);
    b = batch_of(&c);
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    remote_applied_done(&a);

    arig.client = client;
    memcpy(blobs, first.blobs, sizeof(blobs));
    memcpy(pieces, first.pieces, sizeof(pieces));
    joined = first.joined;
    c = change_of("f", ARIG_ABSENT);
    b = batch_of(&c);
    assert_int_equal(arig_apply(&b, &a), 0);
    assert_int_equal(a.v[0].outcome, REMOTE_CONFLICT);
    remote_applied_done(&a);
    assert_int_equal(arig_stat("f").st_ino, ino);
    expect_nothing_staged();
}

/* What the link says is believed of no other name. */
TEST(a_link_to_anything_else_harms_nothing)
{
    char command[256];

    stage_all();
    assert_int_equal(join(0, 3), 0);
    snprintf(command, sizeof(command), "cd %s/h && rm %s && ln -s %s/precious %s", arig.root,
             joined.name, arig.dir, joined.name);
    assert_int_equal(system(command), 0);
    arig_put("precious", whole);
    assert_int_equal(join(0, 3), -ESTALE);
    apply_all("f", ARIG_ABSENT);
    assert_string_equal(arig_get("precious"), whole);
}

TEST(closed_after_a_kill_nothing_is_left_of_it)
{
    long step = 0;
    bool died;

    do {
        struct remote_applied a = {0};
        struct remote_change c;
        struct remote_batch b;

        stage_all();
        assert_int_equal(join(0, 3), 0);
        c = change_of("f", ARIG_ABSENT);
        b = batch_of(&c);
        died = dies_at(&b, ++step, &a);
        remote_applied_done(&a);
        b.mode = REMOTE_BATCH_CLOSE;
        assert_int_equal(arig_apply(&b, &a), 0);
        arig.number++;
        if (a.v[0].outcome == REMOTE_DONE)
            assert_string_equal(arig_get("f"), whole);
        else
            assert_int_equal(access("f", F_OK), -1);
        (void)unlink("f");
        remote_applied_done(&a);
    } while (died && step < 100);
    expect_tidy();
}

/* While it grows: what there is of it is refused, and the blobs are there. */
TEST(killed_while_it_grows_it_is_begun_anew)
{
    for (long step = 1; step <= 2; step++) {
        struct remote_joined before;

        stage_all();
        assert_int_equal(join(0, 1), 0);
        before = joined;
        arig.dies_at = step;
        assert_int_equal(join(1, 3), -EPIPE);
        arig.dies_at = 0;
        if (step == 2) { /* it is longer than it was when that was told */
            joined = before;
            assert_int_equal(join(1, 3), -ESTALE);
        }
        touch_joined("rm");
        joined = (struct remote_joined){.size = 0};
        snprintf(joined.name, sizeof(joined.name), "s-%u", names++);
        assert_int_equal(join(0, 3), 0);
        (void)unlink("f");
        apply_all("f", ARIG_ABSENT);
    }
}

TEST(what_takes_long_goes_on_where_it_was)
{
    enum { LARGE = 12 << 20 };
    char *p = malloc(LARGE);
    struct remote_piece piece = {.len = LARGE, .blob = 1};
    struct remote_blob blob;
    const struct remote_join j = {.path = arig_path("f"),
                                  .pieces = &piece,
                                  .piece_count = 1,
                                  .blobs = &blob,
                                  .blob_count = 1,
                                  .size = LARGE};

    memset(p, 'x', LARGE);
    p[LARGE / 2] = 'y';
    stage_all();
    blob = arig_blob("s-large", p, LARGE);
    arig.limit_ms = 1;
    arig.asked = 0;
    assert_int_equal(arig_join(&j, &joined), 0);
    arig.limit_ms = 0;
    assert_true(arig.asked > 1);
    assert_int_equal(joined.size, LARGE);
    assert_memory_equal(arig_get(arig_path("../h/s-large")), p, LARGE);
    {
        char name[64];

        snprintf(name, sizeof(name), "../h/%s", joined.name);
        assert_memory_equal(arig_get(arig_path(name)), p, LARGE);
    }
    free(p);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, apply_rig_enter, apply_rig_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(what_was_put_together_ahead_only_gets_its_name),
        CASE(over_a_file_that_is_there_it_gets_its_mode),
        CASE(what_is_written_nowhere_is_zero),
        CASE(meanwhile_the_clients_changes_are_made),
        CASE(who_holds_the_clients_lock_is_not_waited_for),
        CASE(a_blob_that_is_damaged_or_missing_is_not_put_in),
        CASE(an_attempt_that_is_repeated_is_refused_and_does_no_harm),
        CASE(what_is_not_as_it_was_left_is_made_of_the_blobs),
        CASE(a_seal_of_nobodys_and_a_size_that_is_not_its_own_are_refused),
        CASE(killed_at_any_step_of_its_batch_it_is_there_once),
        CASE(on_another_mount_it_is_made_beside_the_file_at_once),
        CASE(killed_at_any_step_on_another_mount_it_is_there_once),
        CASE(what_was_made_there_in_vain_goes),
        CASE(what_is_beside_a_file_and_not_asked_for_goes_soon),
        CASE(where_the_disk_is_full_it_is_not_put_together),
        CASE(of_two_clients_that_make_one_file_the_quicker_one_has_it),
        CASE(a_link_to_anything_else_harms_nothing),
        CASE(closed_after_a_kill_nothing_is_left_of_it),
        CASE(killed_while_it_grows_it_is_begun_anew),
        CASE(what_takes_long_goes_on_where_it_was),
    };

    apply_rig_in_memory = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
