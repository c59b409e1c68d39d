/* Batches of changes and what became of them, as both sides decode them, on any bytes. */
#include "proto/batch.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* What was got is put the same way and got again. */
static void put_again(const struct batch_change *c)
{
    struct buf body = BUF_INIT(PROTO_BODY_MAX);
    struct batch_changes again = {.next = BATCH_CHANGES_MAX - 1};
    struct batch_change d;
    const char *before = "";

    if (batch_put_change(&body, c, &before) < 0)
        abort();
    again.in = (struct proto_in){.p = (uint8_t *)body.data, .end = (uint8_t *)body.data + body.len};
    if (batch_get_change(&again, &d) != 1 || d.kind != c->kind || strcmp(d.path, c->path) != 0 ||
        d.at.means != c->at.means || d.size != c->size || d.piece_count != c->piece_count)
        abort();
    for (size_t i = 0; i < c->piece_count; i++) {
        if (memcmp(&d.pieces[i], &c->pieces[i], sizeof(d.pieces[i])) != 0)
            abort();
    }
    batch_changes_done(&again);
    buf_done(&body);
}

static void decode(const struct proto_frame *f)
{
    struct batch_changes changes = {.in = proto_in_frame(f)};
    struct proto_in in = proto_in_frame(f);
    char name[BATCH_BLOB_NAME + 1];
    struct batch_change change;
    struct batch_result result;
    struct batch_state state;
    struct batch_head head;
    struct batch_blob blob;

    if (batch_get_head(f, &head) == 0) {
        for (size_t i = 0; i < head.blob_count; i++) {
            if (!batch_get_blob(&head.blobs, &blob))
                abort();
        }
        for (size_t i = 0; i < head.joined_count; i++) {
            if (head.joined[i].change >= head.count || head.joined[i].blob == 0 ||
                head.joined[i].blob > head.blob_count)
                abort();
        }
    }
    while (batch_get_change(&changes, &change) > 0)
        put_again(&change);
    batch_changes_done(&changes);
    while (batch_get_result(&in, &result))
        ;
    (void)batch_get_state(f, &state);
    (void)batch_get_file(f, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct proto_frame f;

    if (proto_get_frame(p, n, &f) > 0)
        decode(&f);
    for (int kind = PROTO_BATCH; kind <= PROTO_BATCH_RESULTS && n <= PROTO_BODY_MAX; kind++)
        decode(&(struct proto_frame){.kind = (enum proto_kind)kind, .body = p, .len = n});
    return 0;
}
