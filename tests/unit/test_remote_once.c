/*
 * Each change once, over a real line: the SDK, a server, a shell and the helper itself. Each
 * request of a batch meets what networks do, and in the end the sandbox has what a directory would
 * have.
 */
#include "unit.h"

#include "box_rig.h"

#include "remote/batch.h"
#include "remote/helper_internal.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHANGES = 8, BLOB = 5000, PATH = 128 };

static struct box_rig box;
static char client[] = "ffeeddccbbaa99887766554433221100";
static char blob_bytes[BLOB], log_want[8192];
static unsigned round_number;
static uint64_t number;
static struct remote_attr log_is;

static int start(void **state)
{
    memset(blob_bytes, 'b', sizeof(blob_bytes));
    return box_rig_start(&box, HELPER_PROGRAM);
}

static int stop(void **state)
{
    box_rig_stop(&box);
    return 0;
}

/* ---- a batch ---- */

struct work {
    char paths[CHANGES][PATH], line[16];
    struct remote_change v[CHANGES];
    struct remote_piece pieces[3];
    struct remote_blob blob;
    struct remote_batch b;
};

static const char *path_of(struct work *w, unsigned i, const char *name)
{
    snprintf(w->paths[i], PATH, "%s/%s", box.home, name);
    return w->paths[i];
}

static struct remote_object left_by(uint32_t change)
{
    return (struct remote_object){.means = REMOTE_LEFT_BY, .change = change};
}

/* A directory with a file that was saved, one with two names, one of staged bytes; and a line. */
static void work_begin(struct work *w)
{
    const struct remote_object absent = {.means = REMOTE_ABSENT};
    char dir[16], name[32];

    memset(w, 0, sizeof(*w));
    snprintf(dir, sizeof(dir), "r%u", ++round_number);
    snprintf(w->line, sizeof(w->line), "line %04u\n", round_number);
    w->pieces[0] = (struct remote_piece){.len = 10};
    w->pieces[1] = (struct remote_piece){.len = BLOB, .blob = 1};
    w->v[0] = (struct remote_change){
        .kind = REMOTE_CHANGE_MKDIR, .path = path_of(w, 0, dir), .at = absent};
    snprintf(name, sizeof(name), "%s/lock", dir);
    w->v[1] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                     .path = path_of(w, 1, name),
                                     .at = absent,
                                     .size = 10,
                                     .pieces = &w->pieces[0],
                                     .piece_count = 1};
    snprintf(name, sizeof(name), "%s/saved", dir);
    w->v[2] = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                     .path = w->paths[1],
                                     .path2 = path_of(w, 2, name),
                                     .at = left_by(1),
                                     .at2 = absent};
    w->v[3] = w->v[1]; /* and once more */
    w->v[4] = w->v[2];
    w->v[4].at = left_by(3);
    w->v[4].at2 = left_by(2);
    snprintf(name, sizeof(name), "%s/second", dir);
    w->v[5] = (struct remote_change){.kind = REMOTE_CHANGE_LINK,
                                     .path = w->paths[2],
                                     .path2 = path_of(w, 5, name),
                                     .at = left_by(4),
                                     .at2 = absent};
    snprintf(name, sizeof(name), "%s/staged", dir);
    w->v[6] = w->v[1];
    w->v[6].path = path_of(w, 6, name);
    w->v[6].size = BLOB;
    w->v[6].pieces = &w->pieces[1];
    w->v[7] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                     .flags = REMOTE_CHANGE_APPEND,
                                     .path = path_of(w, 7, "log"),
                                     .at = absent,
                                     .size = REMOTE_ALL,
                                     .pieces = &w->pieces[0],
                                     .piece_count = 1};
    if (log_is.ino != 0)
        w->v[7].at = (struct remote_object){.means = REMOTE_VERSION,
                                            .dev = log_is.dev,
                                            .ino = log_is.ino,
                                            .size = log_is.size,
                                            .mtime_ns = log_is.mtime_ns,
                                            .ctime_ns = log_is.ctime_ns};
    w->b = (struct remote_batch){.client = client,
                                 .number = ++number,
                                 .v = w->v,
                                 .count = CHANGES,
                                 .data = w->line,
                                 .data_len = 10,
                                 .blobs = &w->blob,
                                 .blob_count = 1};
    strcat(log_want, w->line);
}

static ssize_t read_blob(void *arg, uint64_t off, void *p, size_t n)
{
    memcpy(p, blob_bytes + off, n);
    return (ssize_t)n;
}

static int stage(struct work *w)
{
    const struct remote_stage s = {.read = read_blob, .len = BLOB};
    const int r = remote_stage(box.remote, &s, &w->blob);

    return r < 0 ? r : remote_batch_digest(&w->b, w->b.digest);
}

/* As flush does it: again and again, staged again where it must be; without a record, renewed. */
static int work_try(struct work *w, struct remote_applied *ret)
{
    int r = w->blob.len == 0 ? stage(w) : 0;

    if (r == 0)
        r = remote_apply(box.remote, &w->b, ret);
    if (r == -ENODATA)
        w->blob.len = 0;
    if (r == 0 && ret->state == REMOTE_BATCH_UNKNOWN && w->b.mode == REMOTE_BATCH_RUN) {
        remote_applied_done(ret);
        w->b.mode = REMOTE_BATCH_RENEW;
        r = -EAGAIN;
    }
    return r;
}

static char *run_inside(const char *script)
{
    static struct buf out = BUF_INIT(64 << 10);
    const struct remote_exec exec = {.script = script, .cwd = box.home, .output_max = 32 << 10};
    int status = -1;

    buf_truncate(&out, 0);
    assert_int_equal(remote_exec(box.remote, &exec, &out, &status), 0);
    assert_int_equal(status, 0);
    assert_int_equal(buf_putc(&out, '\0'), 0);
    return out.data;
}

static void work_end(struct work *w, const char *what)
{
    struct remote_applied a = {0};
    char script[256], *got;
    static char want[sizeof(log_want) + 256];
    int r = -EAGAIN;

    for (int i = 0; i < 20 && r < 0; i++)
        r = work_try(w, &a);
    if (r < 0 || a.state != REMOTE_BATCH_FINISHED)
        fail_msg("%s: %d, state %d", what, r, a.state);
    for (size_t i = 0; i < a.count; i++)
        if (a.v[i].outcome != REMOTE_DONE)
            fail_msg("%s: change %zu: %d (%d)", what, i, a.v[i].outcome, a.v[i].err);
    log_is = a.v[CHANGES - 1].now;
    remote_applied_done(&a);
    snprintf(script, sizeof(script),
             "cat log && cd r%u && stat -c '%%n %%s %%h' * && cat saved && cmp -s saved second && "
             "ls -A | wc -l",
             round_number);
    snprintf(want, sizeof(want), "%ssaved 10 2\nsecond 10 2\nstaged %d 1\n%s3\n", log_want, BLOB,
             w->line);
    got = run_inside(script);
    if (strcmp(got, want) != 0)
        fail_msg("%s: %s\nnot\n%s", what, got, want);
}

/* ---- what becomes of a request ---- */

TEST(whatever_becomes_of_a_request_each_change_is_made_once)
{
    static const char *const fates[] = {
        "reset", "reset-after-commit", "replay", "429", "502", "503", "cut=20", "cut=300",
        "500",   "latency=30ms"};

    for (size_t i = 0; i < ARRAY_LEN(fates); i++)
        for (unsigned nth = 1; nth <= 2; nth++) {
            struct remote_applied a = {0};
            struct work w;
            char spec[64];
            int r;

            work_begin(&w);
            snprintf(spec, sizeof(spec), "nth=%u:%s", nth, fates[i]);
            box_rig_fault(&box, spec);
            r = work_try(&w, &a);
            if (r == 0) {
                remote_applied_done(&a);
                r = work_try(&w, &a); /* the same once more; the n-th may come only now */
            }
            if (r == 0)
                remote_applied_done(&a);
            box_rig_fault(&box, "");
            work_end(&w, spec);
        }
}

static void *try_too(void *arg)
{
    struct remote_applied a = {0};

    if (work_try(arg, &a) == 0)
        remote_applied_done(&a);
    return NULL;
}

TEST(what_is_asked_twice_at_once_is_made_once)
{
    for (unsigned i = 0; i < 5; i++) {
        struct work w, copy;
        pthread_t thread;

        work_begin(&w);
        assert_int_equal(stage(&w), 0);
        copy = w;
        assert_int_equal(pthread_create(&thread, NULL, try_too, &copy), 0);
        if (i % 2)
            usleep(2000);
        try_too(&w);
        pthread_join(thread, NULL);
        work_end(&w, "twice at once");
    }
}

static void delete_record(void)
{
    char script[512];

    snprintf(script, sizeof(script), "rm -f %s/clients/*/record",
             ((struct helper *)box.remote)->dir);
    (void)run_inside(script);
}

TEST(a_record_that_was_deleted_with_the_answer_lost_changes_nothing)
{
    static const char *const fates[] = {"nth=1:reset-after-commit", "nth=1:cut=20", ""};

    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        struct remote_applied a = {0};
        struct work w;

        work_begin(&w);
        assert_int_equal(stage(&w), 0);
        box_rig_fault(&box, fates[i]);
        if (work_try(&w, &a) == 0)
            remote_applied_done(&a);
        box_rig_fault(&box, "");
        delete_record();
        work_end(&w, fates[i]);
    }
}

static void *stop_soon(void *arg)
{
    usleep(*(useconds_t *)arg);
    (void)daytona_sandbox_stop(box.sandbox, true, 20000);
    return NULL;
}

TEST(a_sandbox_that_stops_meanwhile_goes_on_there)
{
    static useconds_t waits[] = {1000, 4000, 10000};

    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        struct remote_applied a = {0};
        struct work w;
        pthread_t thread;

        work_begin(&w);
        assert_int_equal(stage(&w), 0);
        assert_int_equal(pthread_create(&thread, NULL, stop_soon, &waits[i]), 0);
        if (work_try(&w, &a) == 0)
            remote_applied_done(&a);
        pthread_join(thread, NULL);
        assert_int_equal(daytona_sandbox_start(box.sandbox, 20000), 0);
        work_end(&w, "stopped");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_becomes_of_a_request_each_change_is_made_once),
        cmocka_unit_test(what_is_asked_twice_at_once_is_made_once),
        cmocka_unit_test(a_record_that_was_deleted_with_the_answer_lost_changes_nothing),
        cmocka_unit_test(a_sandbox_that_stops_meanwhile_goes_on_there),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
