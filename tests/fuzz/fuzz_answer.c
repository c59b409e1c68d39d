/* What a sandbox may answer in the helper's place: as text, as frames, and as bodies whose frames
 * are sound. */
#include "remote/batch.h"
#include "remote/helper_answer.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { MAX = 1 << 20 };

static void check_tree(const struct remote_tree *t)
{
    for (size_t i = 0; i < t->dir_count; i++) {
        const struct remote_dir *d = &t->dirs[i];

        if (d->first + d->count > t->count || strstr(d->path, "//"))
            abort();
        for (size_t k = d->first; k < d->first + d->count; k++) {
            if (!t->v[k].name[0] || strchr(t->v[k].name, '/') || strcmp(t->v[k].name, "..") == 0)
                abort();
            if (k > d->first && strcmp(t->v[k - 1].name, t->v[k].name) >= 0)
                abort();
        }
    }
}

static void decode(const struct buf *raw)
{
    static char *paths[] = {"", "a/b", "c"};
    static const struct answer_hide hide = {.temps = true, .dir = "/r/a/b/mine"};
    static const enum proto_verb verbs[] = {PROTO_VERB_TREE, PROTO_VERB_CHANGES};
    static const enum run_op ops[] = {RUN_START, RUN_LIST, RUN_READ, RUN_REMOVE};
    struct buf out = BUF_INIT(MAX), err = BUF_INIT(MAX);
    struct remote_joined joined;
    struct remote_statfs statfs;
    struct remote_attr attr;
    struct proto_info info;
    struct answer_end end;
    char *target = NULL;
    bool more;

    for (size_t i = 0; i < 2; i++) {
        const struct proto_request req = {
            .verb = verbs[i], .root = "/r", .paths = paths, .path_count = 3};
        struct remote_tree t;

        if (answer_tree(raw, &req, &hide, &t) == 0) {
            check_tree(&t);
            remote_tree_done(&t);
        }
    }
    for (size_t i = 0; i < 4; i++) {
        const struct run_request req = {
            .op = ops[i], .id = 7, .out_off = 3, .err_off = 9, .max_bytes = 100};
        struct remote_job_answer jobs;

        if (answer_run(raw, &req, &out, &err, &jobs) == 0)
            remote_job_list_free(jobs.v, jobs.count);
        if (out.len + err.len > 100)
            abort();
        buf_truncate(&out, 0);
        buf_truncate(&err, 0);
    }
    (void)answer_check(raw, &end);
    (void)answer_info(raw, &end, &info);
    (void)answer_statfs(raw, &statfs);
    if (answer_joined(raw, &joined, &more) == 0 && joined.seal == 0)
        abort();
    if (answer_stat(raw, &attr, &target) == 0)
        free(target);
    if (answer_read(raw, 2, 100, &out, &attr) == 0 && out.len > 100)
        abort();
    buf_done(&out);
    buf_done(&err);
}

/* The checksum would keep a fuzzer out: kind, length and body of each frame are taken from the
 * input, and the rest is made. Most seeds are in this form, in base64. */
static void decode_framed(const uint8_t *p, size_t n)
{
    const struct proto_start start = {.now_ns = 1, .boot = "b", .boot_len = 1};
    struct buf raw = BUF_INIT(MAX);
    uint64_t frames = 0;

    if (proto_put_start(&raw, &start) < 0)
        abort();
    while (n >= 2) {
        struct buf body = BUF_INIT(256);
        const size_t len = p[1] < n - 2 ? p[1] : n - 2;

        if (buf_append(&body, p + 2, len) < 0 ||
            proto_put_frame(
                &raw, (enum proto_kind)(p[0] % 15 < 11 ? p[0] % 15 : PROTO_RUN + p[0] % 15 - 11),
                &body) < 0)
            abort();
        buf_done(&body);
        p += 2 + len;
        n -= 2 + len;
        frames++;
    }
    for (uint64_t entries = 0; entries <= frames && entries <= 4; entries++) {
        const size_t len = raw.len;

        if (proto_put_end(&raw, &(struct proto_end){.entries = entries}) < 0)
            abort();
        decode(&raw);
        buf_truncate(&raw, len);
    }
    buf_done(&raw);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct buf raw = BUF_INIT(MAX);

    if (n == 0)
        return 0;
    if (answer_text("tok3n", (const char *)p, n, &raw) == 0) {
        decode(&raw);
        decode_framed((const uint8_t *)raw.data, raw.len);
    }
    buf_truncate(&raw, 0);
    if (buf_append(&raw, p, n) == 0)
        decode(&raw);
    buf_done(&raw);
    decode_framed(p, n);
    return 0;
}
