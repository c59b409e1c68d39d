/* Every decoder of the helper's protocol, on any bytes. */
#include "proto/proto.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void decode(const struct proto_frame *f)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_request req;
    struct proto_entry entry;
    struct proto_start start;
    struct proto_dir dir;
    struct proto_statfs statfs;
    struct proto_info info;
    struct proto_end end;

    if (proto_get_request(f, &req) == 0)
        proto_request_done(&req);
    while (proto_get_entry(&in, &entry))
        ;
    (void)proto_get_start(f, &start);
    (void)proto_get_dir(f, &dir);
    (void)proto_get_statfs(f, &statfs);
    (void)proto_get_info(f, &info);
    (void)proto_get_end(f, &end);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct proto_frame f;

    /* The checksum would keep a fuzzer out: the body is also decoded as it is, as every kind. */
    if (proto_get_frame(p, n, &f) > 0)
        decode(&f);
    for (int kind = PROTO_REQUEST; kind <= PROTO_END && n <= PROTO_BODY_MAX; kind++)
        decode(&(struct proto_frame){.kind = (enum proto_kind)kind, .body = p, .len = n});
    return 0;
}
