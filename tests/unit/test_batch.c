/* What is sent of a batch and what comes back of it. */
#include "unit.h"

#include "remote/batch_wire.h"
#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const uint8_t hash[BATCH_HASH] = {1, 2, 3};
static const struct remote_piece pieces[] = {{0, 5, 0, 0}, {10, 100, 1, 7}, {200, 1, 0, 5}};
static const struct remote_blob blobs[] = {{"s-0123", 4096, 77}};

static const struct remote_change all_kinds[] = {
    {.kind = REMOTE_CHANGE_WRITE,
     .flags = REMOTE_CHANGE_FSYNC_TOO,
     .path = "/a/b/c",
     .at = {.means = REMOTE_VERSION,
            .dev = UINT64_MAX,
            .ino = 2,
            .size = 3,
            .mtime_ns = -4,
            .ctime_ns = INT64_MAX,
            .birth = UINT32_MAX,
            .hash = hash},
     .set = {.mask = REMOTE_SET_MODE | REMOTE_SET_MTIME, .attr = {.mode = 04755, .mtime_ns = -1}},
     .keep = 9,
     .size = 300,
     .pieces = pieces,
     .piece_count = 3},
    {.kind = REMOTE_CHANGE_WRITE,
     .path = "/a/b/d",
     .at = {.means = REMOTE_ABSENT},
     .keep = REMOTE_ALL,
     .size = REMOTE_ALL},
    {.kind = REMOTE_CHANGE_MKDIR, .path = "/a/e", .at = {.means = REMOTE_ABSENT}},
    {.kind = REMOTE_CHANGE_SYMLINK, .path = "/a/l", .path2 = "../\xff//x"},
    {.kind = REMOTE_CHANGE_LINK,
     .path = "/a/b/c",
     .path2 = "/a/b/c2",
     .at = {.means = REMOTE_LEFT_BY, .change = 0},
     .at2 = {.means = REMOTE_ABSENT}},
    {.kind = REMOTE_CHANGE_RENAME,
     .flags = REMOTE_CHANGE_EXCHANGE,
     .path = "/a/b/c2",
     .path2 = "/z",
     .at = {.means = REMOTE_LEFT_BY, .change = 4},
     .at2 = {.means = REMOTE_SAME, .dev = 1, .ino = 5, .birth = 7}},
    {.kind = REMOTE_CHANGE_UNLINK, .path = "/z"},
    {.kind = REMOTE_CHANGE_RMDIR, .path = "/a/e"},
    {.kind = REMOTE_CHANGE_SETATTR,
     .path = "/",
     .set = {.mask = REMOTE_SET_UID | REMOTE_SET_GID | REMOTE_SET_ATIME,
             .attr = {.uid = 7, .gid = UINT32_MAX, .atime_ns = INT64_MIN}}},
    {.kind = REMOTE_CHANGE_FSYNC, .path = "/a"},
};

static struct remote_batch batch(void)
{
    return (struct remote_batch){.client = "0123456789abcdef0123456789ABCDEF",
                                 .number = 12,
                                 .v = all_kinds,
                                 .count = ARRAY_LEN(all_kinds),
                                 .data = "hello!",
                                 .data_len = 6,
                                 .blobs = blobs,
                                 .blob_count = 1};
}

static struct proto_frame next_frame(const struct buf *b, size_t *at)
{
    struct proto_frame f;
    const ssize_t n = proto_get_frame((const uint8_t *)b->data + *at, b->len - *at, &f);

    assert_true(n > 0);
    *at += (size_t)n;
    return f;
}

static void expect_object(const struct batch_object *o, const struct remote_object *r)
{
    assert_int_equal(o->means, r->means);
    assert_true(o->dev == r->dev && o->ino == r->ino && o->size == r->size);
    assert_true(o->mtime_ns == r->mtime_ns && o->ctime_ns == r->ctime_ns);
    assert_int_equal(o->change, r->change);
    assert_int_equal(o->birth, r->birth);
    assert_int_equal(o->hash != NULL, r->hash != NULL);
    if (o->hash)
        assert_memory_equal(o->hash, r->hash, BATCH_HASH);
}

static void expect_change(const struct batch_change *c, const struct remote_change *r)
{
    assert_int_equal(c->kind, r->kind);
    assert_int_equal(c->flags, r->flags);
    assert_string_equal(c->path, r->path);
    assert_int_equal(c->path2 != NULL, r->path2 != NULL);
    if (c->path2)
        assert_string_equal(c->path2, r->path2);
    expect_object(&c->at, &r->at);
    expect_object(&c->at2, &r->at2);
    assert_int_equal(c->set, r->set.mask);
    assert_true(c->mode == r->set.attr.mode && c->uid == r->set.attr.uid &&
                c->gid == r->set.attr.gid && c->mtime_ns == r->set.attr.mtime_ns &&
                c->atime_ns == r->set.attr.atime_ns);
    assert_int_equal(c->piece_count, r->piece_count);
    assert_true(c->kind != BATCH_WRITE || (c->keep == r->keep && c->size == r->size));
    for (size_t i = 0; i < c->piece_count; i++)
        assert_true(c->pieces[i].off == r->pieces[i].off && c->pieces[i].len == r->pieces[i].len &&
                    c->pieces[i].blob == r->pieces[i].blob && c->pieces[i].at == r->pieces[i].at);
}

TEST(every_kind_of_change_arrives_as_it_was)
{
    struct remote_batch b = batch();
    struct buf out = BUF_INIT(BATCH_MESSAGE_MAX);
    struct batch_changes changes = {0};
    struct batch_change c;
    struct batch_head head;
    struct batch_blob blob;
    struct proto_end end;
    struct proto_frame f;
    size_t at = 0;

    memset(b.digest, 0xd1, sizeof(b.digest));
    assert_int_equal(batch_wire_put(&b, true, &out), 0);
    f = next_frame(&out, &at);
    assert_int_equal(batch_get_head(&f, &head), 0);
    assert_string_equal(head.client, b.client);
    assert_int_equal(head.number, 12);
    assert_int_equal(head.count, b.count);
    assert_memory_equal(head.digest, b.digest, sizeof(b.digest));
    assert_true(batch_get_blob(&head.blobs, &blob));
    assert_string_equal(blob.name, "s-0123");
    assert_true(blob.len == 4096 && blob.crc == 77);
    f = next_frame(&out, &at);
    changes.in = proto_in_frame(&f);
    for (size_t i = 0; i < b.count; i++) {
        assert_int_equal(batch_get_change(&changes, &c), 1);
        expect_change(&c, &b.v[i]);
    }
    assert_int_equal(batch_get_change(&changes, &c), 0);
    f = next_frame(&out, &at);
    assert_int_equal((int)f.kind, PROTO_BATCH_DATA);
    assert_memory_equal(f.body, "hello!", 6);
    f = next_frame(&out, &at);
    assert_int_equal(proto_get_end(&f, &end), 0);
    assert_int_equal(end.entries, b.count);
    assert_int_equal(at, out.len);
    batch_changes_done(&changes);
    buf_done(&out);
}

/* Also a head that is cut, or says of what there is not. */
TEST(what_was_put_together_ahead_is_named_in_the_head)
{
    static const struct remote_joined joined = {.name = "s-joined", .size = 9, .seal = 0xabcdef};
    struct remote_change v[ARRAY_LEN(all_kinds)];
    struct remote_batch b = batch();
    struct buf out = BUF_INIT(BATCH_MESSAGE_MAX);
    struct batch_head head;
    struct batch_blob blob;
    struct proto_frame f;
    uint8_t first[REMOTE_DIGEST], other[REMOTE_DIGEST], *body;
    size_t at = 0;

    assert_int_equal(remote_batch_digest(&b, first), 0);
    memcpy(v, all_kinds, sizeof(v));
    v[2].joined = &joined;
    b.v = v;
    assert_int_equal(remote_batch_digest(&b, other), 0);
    assert_memory_equal(first, other, sizeof(first));
    assert_int_equal(batch_wire_put(&b, true, &out), 0);
    f = next_frame(&out, &at);
    assert_int_equal(batch_get_head(&f, &head), 0);
    assert_int_equal(head.joined_count, 1);
    assert_int_equal(head.blob_count, b.blob_count + 1);
    assert_int_equal(head.joined[0].change, 2);
    assert_int_equal(head.joined[0].blob, head.blob_count);
    assert_int_equal(head.joined[0].seal, joined.seal);
    for (size_t i = 0; i < head.blob_count; i++)
        assert_true(batch_get_blob(&head.blobs, &blob));
    assert_string_equal(blob.name, joined.name);
    assert_int_equal(blob.len, 0);
    body = malloc(f.len);
    memcpy(body, f.body, f.len);
    for (size_t n = 1; n < f.len; n++) { /* without what is joined at all it is a head, too */
        const struct proto_frame cut = {.kind = f.kind, .body = body, .len = n};

        if (batch_get_head(&cut, &head) == 0)
            assert_true(head.joined_count == 0 && n + 4 < f.len);
    }
    f.body = body;
    for (size_t i = 0; i < 2; i++) { /* ..., 1, change, blob, four bytes of seal */
        const size_t place = f.len - 6 + i;

        body[place] += 100;
        assert_int_equal(batch_get_head(&f, &head), -EBADMSG);
        body[place] -= 100;
    }
    body[f.len - 5] = 0;
    assert_int_equal(batch_get_head(&f, &head), -EBADMSG);
    free(body);
    buf_done(&out);
}

TEST(a_change_that_is_cut_anywhere_is_refused)
{
    for (size_t i = 0; i < ARRAY_LEN(all_kinds); i++) {
        struct remote_batch b = batch();
        struct buf out = BUF_INIT(BATCH_MESSAGE_MAX);
        struct proto_frame f;
        size_t at = 0;

        b.v = &all_kinds[i];
        b.count = 1;
        b.data_len = 0;
        assert_int_equal(batch_wire_put(&b, true, &out), 0);
        (void)next_frame(&out, &at);
        f = next_frame(&out, &at);
        for (size_t n = 1; n <= f.len; n++) {
            struct batch_changes changes = {.next = i, .in = {.p = f.body, .end = f.body + n}};
            struct batch_change c;

            assert_int_equal(batch_get_change(&changes, &c), n < f.len ? -EBADMSG : 1);
            batch_changes_done(&changes);
        }
        buf_done(&out);
    }
}

TEST(the_digest_is_of_all_that_is_done_but_names_of_blobs)
{
    struct remote_batch b = batch();
    struct remote_blob blob = blobs[0];
    struct remote_change v[ARRAY_LEN(all_kinds)];
    uint8_t first[REMOTE_DIGEST], other[REMOTE_DIGEST];

    assert_int_equal(remote_batch_digest(&b, first), 0);
    b.number++;
    b.mode = REMOTE_BATCH_RENEW;
    b.blobs = &blob;
    strcpy(blob.name, "s-another");
    assert_int_equal(remote_batch_digest(&b, other), 0);
    assert_memory_equal(first, other, sizeof(first));
    blob.crc++;
    assert_int_equal(remote_batch_digest(&b, other), 0);
    assert_memory_not_equal(first, other, sizeof(first));
    b = batch();
    b.data = "hello?";
    assert_int_equal(remote_batch_digest(&b, other), 0);
    assert_memory_not_equal(first, other, sizeof(first));
    b = batch();
    memcpy(v, all_kinds, sizeof(v));
    v[3].path2 = "../\xff//y";
    b.v = v;
    assert_int_equal(remote_batch_digest(&b, other), 0);
    assert_memory_not_equal(first, other, sizeof(first));
}

TEST(what_is_too_large_is_said_before_it_is_sent)
{
    enum { COUNT = 8192 };
    struct remote_change *v = calloc(COUNT, sizeof(*v));
    struct remote_batch b = batch();
    struct buf out = BUF_INIT(BATCH_MESSAGE_MAX);
    uint8_t digest[REMOTE_DIGEST];
    char *paths = malloc(COUNT * 300);

    for (size_t i = 0; i < COUNT; i++) {
        char *path = paths + i * 300;

        memset(path, 'x', 299);
        path[0] = '/';
        path[1] = (char)('a' + i % 2); /* nothing in common */
        path[250] = '\0';
        v[i] = (struct remote_change){.kind = REMOTE_CHANGE_UNLINK, .path = path};
    }
    b.v = v;
    b.count = COUNT;
    assert_int_equal(batch_wire_put(&b, true, &out), -E2BIG);
    assert_int_equal(remote_batch_digest(&b, digest), -E2BIG);
    buf_truncate(&out, 0);
    b.count = 4000;
    assert_int_equal(batch_wire_put(&b, true, &out), 0);
    free(v);
    free(paths);
    buf_done(&out);
}

TEST(results_and_states_come_back_as_they_were)
{
    static const struct batch_result v[] = {
        {.outcome = BATCH_OPEN},
        {.outcome = BATCH_DONE,
         .now = {.dev = 1,
                 .ino = UINT64_MAX,
                 .mode = 0100644,
                 .nlink = 1,
                 .size = INT64_MAX,
                 .mtime_ns = -1,
                 .ctime_ns = 5,
                 .has_birth = true,
                 .birth_ns = -6}},
        {.outcome = BATCH_DONE},
        {.outcome = BATCH_DONE, .other = {.ino = 7, .mode = 0100600, .nlink = 1, .ctime_ns = 8}},
        {.outcome = BATCH_DONE, .now = {.ino = 6, .mode = 0100600}, .other = {.ino = 7, .mode = 1}},
        {.outcome = BATCH_FAILED, .err = -ENOSPC},
        {.outcome = BATCH_CONFLICT, .err = -EBUSY, .now = {.mode = 0120777, .uid = UINT32_MAX}},
        {.outcome = BATCH_POISONED, .err = -ECANCELED},
    };
    const struct batch_state said = {
        .state = BATCH_BEHIND, .settled = 8, .number = UINT64_MAX, .now_ns = -7};
    struct buf body = BUF_INIT(4096), out = BUF_INIT(4096);
    struct batch_state got_state;
    struct batch_result got;
    struct proto_in in;
    struct proto_frame f;
    size_t at = 0;

    for (size_t i = 0; i < ARRAY_LEN(v); i++)
        assert_int_equal(batch_put_result(&body, &v[i]), 0);
    in = (struct proto_in){.p = (uint8_t *)body.data, .end = (uint8_t *)body.data + body.len};
    for (size_t i = 0; i < ARRAY_LEN(v); i++) {
        assert_true(batch_get_result(&in, &got));
        assert_int_equal(got.outcome, v[i].outcome);
        assert_int_equal(got.err, v[i].err);
        assert_true(got.now.ino == v[i].now.ino && got.now.size == v[i].now.size &&
                    got.now.uid == v[i].now.uid && got.now.ctime_ns == v[i].now.ctime_ns &&
                    got.now.mtime_ns == v[i].now.mtime_ns && got.now.mode == v[i].now.mode);
        assert_true(got.now.has_birth == v[i].now.has_birth &&
                    got.now.birth_ns == v[i].now.birth_ns);
        assert_true(got.other.ino == v[i].other.ino && got.other.mode == v[i].other.mode &&
                    got.other.nlink == v[i].other.nlink &&
                    got.other.ctime_ns == v[i].other.ctime_ns);
    }
    assert_true(proto_in_done(&in));
    assert_int_equal(batch_put_state(&out, &said), 0);
    f = next_frame(&out, &at);
    assert_int_equal(batch_get_state(&f, &got_state), 0);
    assert_true(got_state.state == said.state && got_state.settled == 8 &&
                got_state.number == UINT64_MAX && got_state.now_ns == -7);
    buf_done(&body);
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_change_arrives_as_it_was),
        cmocka_unit_test(what_was_put_together_ahead_is_named_in_the_head),
        cmocka_unit_test(a_change_that_is_cut_anywhere_is_refused),
        cmocka_unit_test(the_digest_is_of_all_that_is_done_but_names_of_blobs),
        cmocka_unit_test(what_is_too_large_is_said_before_it_is_sent),
        cmocka_unit_test(results_and_states_come_back_as_they_were),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
