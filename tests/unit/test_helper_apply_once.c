/* The helper's apply, each change exactly once: killed, repeated, continued, closed, restored. */
#include "apply_world.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

static void goes_on(struct remote_batch *b, struct remote_applied *a, bool died)
{
    if (died)
        assert_int_equal(arig_apply(b, a), 0);
    expect_all_done(a);
    expect_new_world();
    expect_tidy();
    arig.number++;
    if (world_apart)
        assert_int_equal(umount(in_world("")), 0);
}

TEST(killed_at_any_step_it_goes_on_where_it_was)
{
    assert_in_range(killed_at_each_step(new_world, goes_on), 50, 999);
}

/* There each file is built twice: in the client's folder, and, as it cannot go there, beside it. */
TEST(killed_at_any_step_on_another_mount_it_goes_on_where_it_was)
{
    world_apart = true;
    assert_in_range(killed_at_each_step(new_world, goes_on), 50, 999);
    world_apart = false;
}

TEST(killed_again_while_it_goes_on_it_still_does)
{
    static const long seconds[] = {1, 2, 3, 4, 6};
    struct remote_change v[WORLD];
    unsigned n = 0;
    bool died = true;

    for (long step = 4; died; step += 3) {
        for (size_t i = 0; i < ARRAY_LEN(seconds); i++) {
            struct remote_batch b = new_world(n++, v);
            struct remote_applied a = {0};

            died = dies_at(&b, step, &a);
            if (!died || !dies_at(&b, seconds[i], &a)) {
                remote_applied_done(&a);
                a = (struct remote_applied){0};
            }
            assert_int_equal(arig_apply(&b, &a), 0);
            expect_all_done(&a);
            remote_applied_done(&a);
            expect_new_world();
            arig.number++;
        }
    }
}

static void is_closed(struct remote_batch *b, struct remote_applied *a, bool died)
{
    struct remote_change rest[WORLD];
    struct remote_applied late = {0};
    size_t count;

    remote_applied_done(a);
    b->mode = REMOTE_BATCH_CLOSE;
    assert_int_equal(arig_apply(b, a), 0);
    assert_int_equal(a->state, REMOTE_BATCH_FINISHED);
    assert_int_equal(a->count, b->count);
    /* A copy that comes late does nothing. */
    b->mode = REMOTE_BATCH_RUN;
    assert_int_equal(arig_apply(b, &late), 0);
    for (size_t i = 0; i < a->count; i++)
        assert_int_equal(late.v[i].outcome, a->v[i].outcome);
    remote_applied_done(&late);
    arig.number++;
    count = what_is_left(b->v, a, rest);
    if (count > 0) {
        late = arig_do(rest, count, world_data);
        expect_all_done(&late);
        remote_applied_done(&late);
    }
    expect_new_world();
    expect_tidy();
}

TEST(closed_after_a_kill_it_tells_how_far_it_came)
{
    (void)killed_at_each_step(new_world, is_closed);
}

/* ---- what is open loses its name ---- */

static const uint64_t open_keys[] = {1, 2};

static struct remote_batch open_world(unsigned n, struct remote_change v[WORLD])
{
    struct remote_batch b;
    char name[16];

    snprintf(name, sizeof(name), "o%u", n);
    world_enter(name);
    put_in_world("unlinked", "one");
    put_in_world("replaced", "two");
    put_in_world("new", "new");
    v[0] = (struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                  .flags = REMOTE_CHANGE_KEEP,
                                  .key = open_keys[0],
                                  .path = in_world("unlinked"),
                                  .at = version_in_world("unlinked")};
    v[1] = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                  .flags = REMOTE_CHANGE_KEEP,
                                  .key = open_keys[1],
                                  .path = in_world("new"),
                                  .path2 = in_world("replaced"),
                                  .at = version_in_world("new"),
                                  .at2 = version_in_world("replaced")};
    b = arig_batch(v, 2, NULL);
    b.kept = open_keys;
    b.kept_count = 2;
    return b;
}

static void expect_open_world(void)
{
    expect_text("replaced", "new");
    assert_int_equal(arig_count(in_world("")), 1);
}

static void expect_kept(unsigned key, const char *want, const struct remote_attr *told)
{
    char path[128];
    struct stat st;

    snprintf(path, sizeof(path), "%s/h/clients/%s/k-%u", arig.root, arig.client, key);
    st = arig_stat(path);
    assert_string_equal(arig_get(path), want);
    assert_int_equal(told->ino, st.st_ino);
    assert_int_equal(told->ctime_ns, timespec_to_ns(st.st_ctim));
    assert_int_equal(st.st_nlink, 1);
}

static void is_kept(struct remote_batch *b, struct remote_applied *a, bool died)
{
    if (died)
        assert_int_equal(arig_apply(b, a), 0);
    expect_all_done(a);
    expect_open_world();
    expect_kept(1, "one", &a->v[0].other);
    expect_kept(2, "two", &a->v[1].other);
    arig.number++;
}

TEST(killed_at_any_step_what_was_to_be_kept_is_kept)
{
    assert_in_range(killed_at_each_step(open_world, is_kept), 10, 999);
}

static void who_kept_it_dies(struct remote_batch *b, struct remote_applied *a, bool died)
{
    struct remote_change v[2] = {b->v[0], b->v[1]}, rest[2];
    struct remote_applied late;
    size_t count;

    if (died) {
        b->mode = REMOTE_BATCH_CLOSE;
        b->kept_count = 0;
        assert_int_equal(arig_apply(b, a), 0);
    }
    arig.number++;
    v[0].flags = v[1].flags = 0;
    count = what_is_left(v, a, rest);
    late =
        count > 0
            ? arig_do(rest, count, NULL)
            : arig_do(&(struct remote_change){.kind = REMOTE_CHANGE_FSYNC, .path = arig_path("")},
                      1, NULL);
    expect_all_done(&late);
    remote_applied_done(&late);
    expect_open_world();
    expect_tidy();
}

TEST(killed_at_any_step_nothing_stays_kept_for_who_died_too)
{
    (void)killed_at_each_step(open_world, who_kept_it_dies);
}

/* ---- the same batch, another batch ---- */

TEST(sent_twice_it_is_done_once_and_answered_the_same)
{
    struct remote_change v[WORLD];
    struct remote_batch b = new_world(0, v);
    struct remote_applied first = {0}, second = {0};

    assert_int_equal(arig_apply(&b, &first), 0);
    arig_put("later", "");
    assert_int_equal(arig_apply(&b, &second), 0);
    expect_all_done(&second);
    for (size_t i = 0; i < b.count; i++)
        assert_memory_equal(&first.v[i].now, &second.v[i].now, sizeof(first.v[i].now));
    expect_new_world();
    remote_applied_done(&first);
    remote_applied_done(&second);
}

TEST(sent_twice_at_once_one_waits_and_gets_the_answer)
{
    struct remote_change v[WORLD];

    for (unsigned n = 0; n < 10; n++) {
        struct remote_batch b = new_world(n, v);
        struct remote_applied a = {0};
        pid_t pids[3];
        int status;

        for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
            pids[i] = fork();
            if (pids[i] == 0) {
                int r = arig_apply(&b, &a);

                for (size_t k = 0; r == 0 && k < b.count; k++)
                    r = a.v[k].outcome != REMOTE_DONE;
                _exit(r != 0);
            }
        }
        for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
            assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
            assert_int_equal(status, 0);
        }
        expect_new_world();
        arig.number++;
    }
}

static enum remote_batch_state state_of(const struct remote_batch *b)
{
    struct remote_applied a = {0};
    enum remote_batch_state told;

    assert_int_equal(arig_apply(b, &a), 0);
    told = a.state;
    remote_applied_done(&a);
    return told;
}

TEST(other_behind_ahead_and_unknown_are_told_apart_and_touch_nothing)
{
    const struct remote_change c = arig_write("f", ARIG_ANY, "data");
    struct remote_batch b = arig_batch(&c, 1, "data");

    assert_int_equal(state_of(&b), REMOTE_BATCH_FINISHED);
    assert_int_equal(unlink("f"), 0);
    b.digest[0] ^= 1;
    assert_int_equal(state_of(&b), REMOTE_BATCH_OTHER);
    b = arig_batch(&c, 1, "data");
    b.number = 3;
    assert_int_equal(state_of(&b), REMOTE_BATCH_BEHIND);
    in_client("cp record old");
    b.number = 2;
    assert_int_equal(state_of(&b), REMOTE_BATCH_FINISHED);
    b.number = 3;
    assert_int_equal(state_of(&b), REMOTE_BATCH_FINISHED);
    assert_int_equal(unlink("f"), 0);
    b.number = 1;
    assert_int_equal(state_of(&b), REMOTE_BATCH_AHEAD);
    b.number = 4;
    in_client("mv old record"); /* the sandbox was restored */
    assert_int_equal(state_of(&b), REMOTE_BATCH_BEHIND);
    in_client("rm record");
    assert_int_equal(state_of(&b), REMOTE_BATCH_UNKNOWN);
    b.mode = REMOTE_BATCH_CLOSE;
    assert_int_equal(state_of(&b), REMOTE_BATCH_UNKNOWN);
    assert_null(arig_get("f"));
    b.mode = REMOTE_BATCH_RENEW;
    assert_int_equal(state_of(&b), REMOTE_BATCH_FINISHED);
    assert_non_null(arig_get("f"));
}

TEST(an_earlier_batch_that_was_cut_off_is_not_passed_over)
{
    struct remote_change v[WORLD];
    struct remote_batch b = new_world(0, v);
    struct remote_applied a = {0};

    assert_true(dies_at(&b, 20, &a));
    b.number++;
    assert_int_equal(state_of(&b), REMOTE_BATCH_BEHIND);
}

TEST(a_record_with_a_torn_end_is_continued)
{
    struct remote_change v[WORLD];

    for (unsigned n = 0; n < 20; n++) {
        struct remote_batch b = new_world(n, v);
        struct remote_applied a = {0};
        char command[64];

        assert_true(dies_at(&b, 12 + n, &a));
        snprintf(command, sizeof(command), "head -c %u /dev/urandom >>record", n % 2 ? 5 : 40);
        in_client(command);
        assert_int_equal(arig_apply(&b, &a), 0);
        expect_all_done(&a);
        remote_applied_done(&a);
        expect_new_world();
        arig.number++;
    }
}

/* ---- long and large ---- */

TEST(what_takes_long_is_continued_until_it_is_done)
{
    enum { COUNT = 400 };
    struct remote_change *v = calloc(COUNT, sizeof(*v));
    struct remote_applied a;
    char name[32];

    for (size_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "f%zu", i);
        v[i] = arig_write(name, ARIG_ABSENT, "some data");
    }
    arig.limit_ms = 1;
    a = arig_do(v, COUNT, "some data");
    expect_all_done(&a);
    remote_applied_done(&a);
    assert_true(arig.asked > 1);
    assert_int_equal(arig_count("."), COUNT);
    free(v);
}

TEST(a_large_file_is_continued_in_the_middle)
{
    enum { BLOB = 16 << 20, COUNT = 3 };
    char *bytes = malloc(BLOB), *got;
    struct remote_blob blobs[COUNT];
    struct remote_piece pieces[COUNT];
    struct remote_change c;
    struct remote_applied a = {0};
    struct remote_batch b;

    for (size_t i = 0; i < BLOB; i++)
        bytes[i] = (char)(i * 31 >> 3 | 1);
    for (unsigned i = 0; i < COUNT; i++) {
        char name[16];

        snprintf(name, sizeof(name), "s-%u", i);
        bytes[7] = (char)i;
        blobs[i] = arig_blob(name, bytes, BLOB);
        pieces[i] = (struct remote_piece){.off = (uint64_t)i * BLOB, .len = BLOB, .blob = i + 1};
    }
    c = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                               .path = arig_path("big"),
                               .at = ARIG_ABSENT,
                               .size = COUNT * (uint64_t)BLOB,
                               .pieces = pieces,
                               .piece_count = COUNT};
    b = arig_batch(&c, 1, NULL);
    b.blobs = blobs;
    b.blob_count = COUNT;
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    arig.limit_ms = 1;
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    assert_true(arig.asked > 3);
    got = arig_get("big");
    for (unsigned i = 0; i < COUNT; i++) {
        bytes[7] = (char)i;
        assert_memory_equal(got + (size_t)i * BLOB, bytes, BLOB);
    }
    assert_int_equal(arig_count(arig_path("../h")), 3); /* the blobs are gone */
    remote_applied_done(&a);
    free(bytes);
}

TEST(a_batch_as_large_as_may_be)
{
    struct remote_change *v = calloc(REMOTE_BATCH_CHANGES, sizeof(*v));
    struct remote_applied a;
    char name[32];

    for (size_t i = 0; i < REMOTE_BATCH_CHANGES; i++) {
        snprintf(name, sizeof(name), "f%zu", i / 2);
        v[i] = i % 2 == 0 ? arig_write(name, ARIG_ABSENT, "x")
                          : (struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                                   .path = arig_path(name),
                                                   .at = ARIG_LEFT((uint32_t)i - 1)};
    }
    a = arig_do(v, REMOTE_BATCH_CHANGES, "x");
    expect_all_done(&a);
    remote_applied_done(&a);
    assert_int_equal(arig_count("."), 0);
    free(v);
}

/* ---- blobs ---- */

TEST(a_blob_that_is_missing_or_damaged_is_asked_for_and_nothing_is_done)
{
    struct remote_blob blob = arig_blob("s-1", "blob bytes", 10);
    const struct remote_piece piece = {.len = 10, .blob = 1};
    const struct remote_change v[] = {{.kind = REMOTE_CHANGE_WRITE,
                                       .path = arig_path("f"),
                                       .at = ARIG_ABSENT,
                                       .size = 10,
                                       .pieces = &piece,
                                       .piece_count = 1}};
    static const char *const harms[] = {"rm s-1", "printf 'blob byteS' >s-1", "printf short >s-1",
                                        "rm s-1; ln -s h-test s-1", "rm s-1; mkdir s-1"};
    struct remote_batch b = arig_batch(v, 1, NULL);
    struct remote_applied a = {0};
    bool more;

    b.blobs = &blob;
    b.blob_count = 1;
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    for (size_t i = 0; i < ARRAY_LEN(harms); i++) {
        char command[256];

        snprintf(command, sizeof(command), "cd %s/h && %s", arig.root, harms[i]);
        assert_int_equal(system(command), 0);
        assert_int_equal(arig_ask(&b, true, &a, &more), -ENODATA);
        assert_int_equal(arig_count("."), 0);
        (void)system("rm -rf ../h/s-1");
        blob = arig_blob("s-1", "blob bytes", 10);
    }
    blob = arig_blob("s-2", "blob bytes", 10); /* another name, the same batch */
    assert_int_equal(arig_apply(&b, &a), 0);
    expect_all_done(&a);
    remote_applied_done(&a);
    assert_string_equal(arig_get("f"), "blob bytes");
}

/* ---- leftovers ---- */

TEST(what_dead_clients_left_goes_after_a_month)
{
    char command[512];

    (void)arig_one(arig_write("f", ARIG_ANY, "x"), "x");
    snprintf(command, sizeof(command),
             "cd %s/h && mkdir clients/dead clients/young && touch clients/dead/record "
             "clients/dead/k-1 s-old s-new "
             "&& touch -d '31 days ago' clients/dead && touch -d '8 days ago' s-old && "
             "touch -d '2 days ago' swept",
             arig.root);
    assert_int_equal(system(command), 0);
    (void)arig_one(arig_write("f", ARIG_ANY, "x"), "x");
    assert_int_equal(access(arig_path("../h/clients/dead"), F_OK), -1);
    assert_int_equal(access(arig_path("../h/s-old"), F_OK), -1);
    assert_int_equal(access(arig_path("../h/s-new"), F_OK), 0);
    assert_int_equal(arig_count(arig_path("../h/clients")), 2);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, apply_rig_enter, apply_rig_leave)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(killed_at_any_step_it_goes_on_where_it_was),
        CASE(killed_at_any_step_on_another_mount_it_goes_on_where_it_was),
        CASE(killed_again_while_it_goes_on_it_still_does),
        CASE(closed_after_a_kill_it_tells_how_far_it_came),
        CASE(killed_at_any_step_what_was_to_be_kept_is_kept),
        CASE(killed_at_any_step_nothing_stays_kept_for_who_died_too),
        CASE(sent_twice_it_is_done_once_and_answered_the_same),
        CASE(sent_twice_at_once_one_waits_and_gets_the_answer),
        CASE(other_behind_ahead_and_unknown_are_told_apart_and_touch_nothing),
        CASE(an_earlier_batch_that_was_cut_off_is_not_passed_over),
        CASE(a_record_with_a_torn_end_is_continued),
        CASE(what_takes_long_is_continued_until_it_is_done),
        CASE(a_large_file_is_continued_in_the_middle),
        CASE(a_batch_as_large_as_may_be),
        CASE(what_dead_clients_left_goes_after_a_month),
        CASE(a_blob_that_is_missing_or_damaged_is_asked_for_and_nothing_is_done),
    };

    apply_rig_in_memory = true;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
