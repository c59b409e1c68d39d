/* What is said about jobs, and what they leave on disk, on any bytes. */
#include "proto/run.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { MAX = 4 << 20 };

/* What was taken comes out of an encoder and a decoder as it went in. */
static void check_request(const struct run_request *req)
{
    struct buf bytes = BUF_INIT(MAX);
    struct proto_frame f;
    struct run_request again;

    if (run_put_request(&bytes, req) < 0)
        abort();
    if (proto_get_frame((const uint8_t *)bytes.data, bytes.len, &f) != (ssize_t)bytes.len ||
        run_get_request(&f, &again) < 0)
        abort();
    if (again.argc != req->argc || again.envc != req->envc || again.data_len != req->data_len ||
        strcmp(again.name, req->name) != 0 || memcmp(again.data, req->data, req->data_len) != 0)
        abort();
    if (req->name[0] && (strchr(req->name, '/') || req->name[0] == '.'))
        abort();
    for (size_t i = 0; i < req->argc; i++) {
        if (strcmp(again.argv[i], req->argv[i]) != 0)
            abort();
    }
    run_request_done(&again);
    buf_done(&bytes);
}

static void decode(const struct proto_frame *f)
{
    struct run_request req;
    struct run_state state;
    struct run_data data;
    struct run_job job;

    if (run_get_request(f, &req) == 0) {
        check_request(&req);
        run_request_done(&req);
    }
    (void)run_get_state(f, &state);
    if (run_get_job(f, &job) == 0 && (job.id == 0 || memchr(job.line, '\0', job.line_len)))
        abort();
    if (run_get_data(f, &data) == 0 && data.len > f->len)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct proto_frame f;

    /* The checksum would keep a fuzzer out: the body is also decoded as it is, as every kind. */
    if (proto_get_frame(p, n, &f) > 0)
        decode(&f);
    for (int kind = PROTO_RUN; kind <= PROTO_RUN_STATE && n <= PROTO_BODY_MAX; kind++)
        decode(&(struct proto_frame){.kind = (enum proto_kind)kind, .body = p, .len = n});
    return 0;
}
