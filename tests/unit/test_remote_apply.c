/* Batches through the real SDK and a local server: how they are carried, and what goes wrong. */
#include "unit.h"

#include "box_rig.h"

#include "remote/batch.h"
#include "remote/helper_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct box_rig box;
static uint64_t number;
static char client[] = "ffeeddccbbaa99887766554433221100";
static unsigned names;

static int start(void **state)
{
    return box_rig_start(&box, HELPER_PROGRAM);
}

static int stop(void **state)
{
    box_rig_stop(&box);
    return 0;
}

static char *new_path(void)
{
    char *p;

    assert_true(asprintf(&p, "%s/f%u", box.home, names++) > 0);
    return p;
}

static struct remote_batch batch_of(const struct remote_change *v, size_t count, const void *data,
                                    size_t len)
{
    struct remote_batch b = {.client = client,
                             .number = ++number,
                             .v = v,
                             .count = count,
                             .data = data,
                             .data_len = len};

    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    return b;
}

static void expect_content(const char *path, const void *p, size_t n)
{
    struct remote_attr a;
    FILE *f = tmpfile();
    char *got = malloc(n + 1);
    uint64_t len;

    assert_int_equal(remote_stat(box.remote, path, &a, NULL), 0);
    assert_int_equal(a.size, n);
    assert_int_equal(remote_fetch(box.remote, path, &a, 0, UINT64_MAX, fileno(f), &len), 0);
    assert_int_equal(pread(fileno(f), got, n, 0), n);
    assert_memory_equal(got, p, n);
    free(got);
    fclose(f);
}

/* Applies it and checks all of it; how many requests that took. */
static unsigned apply_all(const struct remote_batch *b)
{
    struct remote_applied a = {0};

    (void)box_rig_requests(&box);
    assert_int_equal(remote_apply(box.remote, b, &a), 0);
    assert_int_equal(a.state, REMOTE_BATCH_FINISHED);
    assert_int_equal(a.count, b->count);
    for (size_t i = 0; i < a.count; i++) {
        if (a.v[i].outcome != REMOTE_DONE)
            fail_msg("change %zu: %d (%d)", i, a.v[i].outcome, a.v[i].err);
    }
    remote_applied_done(&a);
    return box_rig_requests(&box);
}

static char *noise(size_t n)
{
    char *p = malloc(n);
    uint32_t x = 1;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        p[i] = (char)(x >> 24);
    }
    return p;
}

static void write_inline(size_t n)
{
    char *data = noise(n), *path = new_path();
    const struct remote_piece piece = {.len = n};
    const struct remote_change c = {.kind = REMOTE_CHANGE_WRITE,
                                    .path = path,
                                    .at = {.means = REMOTE_ABSENT},
                                    .size = n,
                                    .pieces = &piece,
                                    .piece_count = 1};
    const struct remote_batch b = batch_of(&c, 1, data, n);

    assert_int_equal(apply_all(&b), 1);
    expect_content(path, data, n);
    free(data);
    free(path);
}

/* So long that it goes through a file. */
static void make_many(void)
{
    enum { COUNT = 1700, ROOM = 320 };
    struct remote_change *v = calloc(COUNT, sizeof(*v));
    char *paths = malloc((size_t)COUNT * ROOM), *dir = new_path(), tail[244];
    struct remote_batch b;

    v[0] = (struct remote_change){
        .kind = REMOTE_CHANGE_MKDIR, .path = dir, .at = {.means = REMOTE_ABSENT}};
    memset(tail, 'x', sizeof(tail));
    tail[sizeof(tail) - 1] = '\0';
    for (unsigned i = 1; i < COUNT; i++) {
        char *path = paths + (size_t)i * ROOM;

        snprintf(path, ROOM, "%s/%04x%s", dir, i * 4099 % 65536, tail);
        v[i] = (struct remote_change){
            .kind = REMOTE_CHANGE_WRITE, .path = path, .at = {.means = REMOTE_ABSENT}};
    }
    b = batch_of(v, COUNT, NULL, 0);
    assert_int_equal(apply_all(&b), 2);
    free(v);
    free(paths);
    free(dir);
}

TEST(small_and_large_batches_come_through_every_shell)
{
    static const char *const shells[] = {"/usr/bin/zsh", "/bin/bash", "/bin/dash"};
    struct helper *h = (struct helper *)box.remote;
    char spec[64];

    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        if (access(shells[i], X_OK) < 0) {
            print_message("%s is not installed\n", shells[i]);
            continue;
        }
        snprintf(spec, sizeof(spec), "shell=%s", shells[i]);
        box_rig_fault(&box, spec);
        atomic_store(&h->stdin_is_left, i < 2);
        write_inline(10);
        write_inline(20000);
        write_inline(REMOTE_BATCH_DATA);
        if (i == 0) /* through a file: the shell sees its name only */
            make_many();
    }
    box_rig_fault(&box, "");
}

struct bytes {
    const char *p;
    size_t n;
};

static ssize_t read_bytes(void *arg, uint64_t off, void *p, size_t n)
{
    const struct bytes *b = arg;

    if (n > 7777) /* in odd parts */
        n = 7777;
    if (n > b->n - off)
        n = b->n - (size_t)off;
    memcpy(p, b->p + off, n);
    return (ssize_t)n;
}

static struct remote_blob stage(struct bytes *bytes)
{
    const struct remote_stage s = {.read = read_bytes, .arg = bytes, .len = bytes->n};
    struct remote_blob blob;

    assert_int_equal(remote_stage(box.remote, &s, &blob), 0);
    return blob;
}

TEST(staged_bytes_are_one_request_a_blob_and_gone_afterwards)
{
    struct bytes bytes = {.n = 3 << 20};
    struct remote_blob blobs[2];
    const struct remote_piece pieces[] = {{0, 3 << 20, 1, 0}, {3 << 20, 1000, 2, 500}};
    struct remote_change c = {.kind = REMOTE_CHANGE_WRITE,
                              .path = new_path(),
                              .at = {.means = REMOTE_ABSENT},
                              .size = (3 << 20) + 1000,
                              .pieces = pieces,
                              .piece_count = 2};
    struct remote_batch b;
    const struct remote_exec look = {.cwd = "/", .output_max = 4096};
    struct remote_exec exec = look;
    struct buf out = BUF_INIT(4096);
    char *all, script[512];
    int status;

    bytes.p = all = noise(bytes.n + 1000);
    (void)box_rig_requests(&box);
    blobs[0] = stage(&bytes);
    bytes = (struct bytes){all + bytes.n - 500, 1500};
    blobs[1] = stage(&bytes);
    assert_int_equal(box_rig_requests(&box), 2);
    b = batch_of(&c, 1, NULL, 0);
    b.blobs = blobs;
    b.blob_count = 2;
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    assert_int_equal(apply_all(&b), 1);
    expect_content(c.path, all, (3 << 20) + 1000);
    snprintf(script, sizeof(script), "ls %s | grep -c '^s-'", ((struct helper *)box.remote)->dir);
    exec.script = script;
    assert_int_equal(remote_exec(box.remote, &exec, &out, &status), 0);
    assert_string_equal(buf_str(&out), "0\n");
    buf_done(&out);
    free(all);
    free((char *)c.path);
}

/* There it is on another mount than the helper's folder. */
TEST(a_large_file_is_put_together_in_one_request)
{
    struct bytes bytes = {.n = 1 << 20};
    struct remote_blob blobs[2];
    const struct remote_piece pieces[] = {{0, 1 << 20, 1, 0}, {1 << 20, 1000, 2, 0}};
    struct remote_joined joined = {.size = 0};
    struct remote_change c = {.kind = REMOTE_CHANGE_WRITE,
                              .path = new_path(),
                              .at = {.means = REMOTE_ABSENT},
                              .size = (1 << 20) + 1000,
                              .pieces = pieces,
                              .piece_count = 2,
                              .joined = &joined};
    struct remote_join join = {.path = c.path,
                               .pieces = pieces,
                               .piece_count = 1,
                               .blobs = blobs,
                               .blob_count = 2,
                               .size = REMOTE_ALL};
    struct remote_list list = {0};
    struct remote_batch b;
    char *all;
    int r;

    bytes.p = all = noise(bytes.n + 1000);
    blobs[0] = stage(&bytes);
    bytes = (struct bytes){all + bytes.n, 1000};
    blobs[1] = stage(&bytes);
    (void)box_rig_requests(&box);
    r = remote_join(box.remote, &join, &joined);
    if (r == 0) {
        join.pieces++;
    } else {
        assert_int_equal(r, -EXDEV);
        joined = (struct remote_joined){.size = 0};
        join.piece_count = 2;
    }
    join.size = c.size;
    assert_int_equal(remote_join(box.remote, &join, &joined), 0);
    assert_int_equal(joined.size, c.size);
    assert_int_equal(box_rig_requests(&box), 2);
    assert_int_equal(remote_list(box.remote, box.home, 1, 1000, &list), 0);
    for (size_t i = 0; i < list.count; i++)
        assert_null(strstr(list.v[i].name, ".daytonafs-")); /* it is hidden */
    remote_list_done(&list);
    b = batch_of(&c, 1, NULL, 0);
    b.blobs = blobs;
    b.blob_count = 2;
    assert_int_equal(apply_all(&b), 1);
    expect_content(c.path, all, c.size);
    free(all);
    free((char *)c.path);
}

TEST(an_answer_that_is_lost_is_asked_for_again_and_nothing_is_done_twice)
{
    static const char *const faults[] = {"nth=1:reset", "nth=1:reset-after-commit", "nth=1:502"};
    char *path = new_path(), want[256] = "";
    const struct remote_piece piece = {.len = 5};
    const struct remote_change c = {.kind = REMOTE_CHANGE_WRITE,
                                    .flags = REMOTE_CHANGE_APPEND,
                                    .path = path,
                                    .at = {.means = REMOTE_ANY},
                                    .size = REMOTE_ALL,
                                    .pieces = &piece,
                                    .piece_count = 1};

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        const struct remote_batch b = batch_of(&c, 1, "line\n", 5);
        struct remote_applied a = {0};
        int r = -EIO;

        box_rig_fault(&box, faults[i]);
        for (int k = 0; k < 5 && r < 0; k++)
            r = remote_apply(box.remote, &b, &a);
        box_rig_fault(&box, "");
        assert_int_equal(r, 0);
        assert_int_equal(a.v[0].outcome, REMOTE_DONE);
        remote_applied_done(&a);
        strcat(want, "line\n");
        expect_content(path, want, strlen(want));
    }
    free(path);
}

TEST(a_folder_that_was_deleted_is_told_as_unknown_and_a_blob_as_missing)
{
    struct helper *h = (struct helper *)box.remote;
    struct bytes bytes = {"bytes", 5};
    struct remote_blob blob = stage(&bytes);
    const struct remote_piece piece = {.len = 5, .blob = 1};
    struct remote_change c = {.kind = REMOTE_CHANGE_WRITE,
                              .path = new_path(),
                              .at = {.means = REMOTE_ABSENT},
                              .size = 5,
                              .pieces = &piece,
                              .piece_count = 1};
    struct remote_batch b = batch_of(&c, 1, NULL, 0);
    struct remote_applied a = {0};
    struct buf out = BUF_INIT(4096);
    char script[512];
    const struct remote_exec exec = {.script = script, .cwd = "/", .output_max = 4096};
    int status;

    b.blobs = &blob;
    b.blob_count = 1;
    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    snprintf(script, sizeof(script), "rm -r %s", h->dir);
    assert_int_equal(remote_exec(box.remote, &exec, &out, &status), 0);
    assert_int_equal(remote_apply(box.remote, &b, &a), 0);
    assert_int_equal(a.state, REMOTE_BATCH_UNKNOWN);
    remote_applied_done(&a);
    b.mode = REMOTE_BATCH_RENEW;
    assert_int_equal(remote_apply(box.remote, &b, &a), -ENODATA);
    blob = stage(&bytes);
    assert_int_equal(remote_apply(box.remote, &b, &a), 0);
    assert_int_equal(a.v[0].outcome, REMOTE_DONE);
    remote_applied_done(&a);
    expect_content(c.path, "bytes", 5);
    buf_done(&out);
    free((char *)c.path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(small_and_large_batches_come_through_every_shell),
        cmocka_unit_test(staged_bytes_are_one_request_a_blob_and_gone_afterwards),
        cmocka_unit_test(a_large_file_is_put_together_in_one_request),
        cmocka_unit_test(an_answer_that_is_lost_is_asked_for_again_and_nothing_is_done_twice),
        cmocka_unit_test(a_folder_that_was_deleted_is_told_as_unknown_and_a_blob_as_missing),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
