#include "unit.h"

#include "journal_rig.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- helpers ---- */

static struct journal *open_rig(struct journal_rig *rig)
{
    struct journal *j = NULL;

    assert_int_equal(journal_open(&rig->options, &rig_key, &j, NULL), 0);
    return j;
}

static struct journal *again(struct journal_rig *rig, struct journal *j)
{
    journal_free(j);
    return open_rig(rig);
}

static uint64_t put(struct journal *j, const char *path, const void *data, size_t len)
{
    const struct journal_record rec = {
        .kind = JOURNAL_PUT, .path = path, .data = data, .data_len = len, .size = len};
    uint64_t seq = 0;

    assert_int_equal(journal_append(j, &rec, &seq), 0);
    return seq;
}

static uint64_t make_in(struct journal *j, const char *path, uint64_t parent)
{
    struct journal_record rec = {.kind = JOURNAL_MKDIR, .path = path};
    uint64_t seq = 0;

    if (parent)
        rec.object[JOURNAL_PARENT] =
            (struct journal_object){.means = JOURNAL_MADE, .made_by = parent};
    assert_int_equal(journal_append(j, &rec, &seq), 0);
    return seq;
}

static void settle(struct journal *j, uint64_t seq, enum journal_outcome outcome)
{
    const struct journal_result r = {.seq = seq, .settled = outcome, .err = 0};

    assert_int_equal(journal_settle(j, &r, 1), 0);
}

/* "1 put /a, 2 mkdir /d", with what is known of each. */
static int tell(void *arg, const struct journal_item *item)
{
    static const char *const outcomes[] = {"", " done", " rejected", " conflict", " dropped"};
    struct buf *out = arg;

    if (out->len)
        buf_puts(out, ", ");
    buf_printf(out, "%d %s", (int)item->rec.seq, journal_kind_name(item->rec.kind));
    if (item->rec.path)
        buf_printf(out, " %s", item->rec.path);
    if (item->batch)
        buf_printf(out, " in %d", (int)item->batch);
    if (item->result.said)
        buf_printf(out, " said%s", outcomes[item->result.said]);
    return buf_puts(out, outcomes[item->result.settled]);
}

static void expect_told(struct journal *j, const char *want)
{
    struct buf out = BUF_INIT(65536);

    assert_int_equal(journal_replay(j, tell, &out), 0);
    assert_string_equal(buf_str(&out), want);
    buf_done(&out);
}

static size_t read_file(const char *path, uint8_t **ret)
{
    struct stat st;
    const int fd = open(path, O_RDONLY);

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    *ret = malloc((size_t)st.st_size + 1);
    assert_int_equal(read(fd, *ret, (size_t)st.st_size), st.st_size);
    close(fd);
    return (size_t)st.st_size;
}

static void write_file(const char *path, const void *p, size_t n)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

/* ---- records ---- */

TEST(every_kind_reads_back_as_it_was_written)
{
    static const uint8_t digest[JOURNAL_DIGEST] = {1, 2, 3};
    static const struct journal_extent extents[] = {{5, 1, 32, 10, 99}, {1 << 20, 2, 64, 7, 1}};
    static const struct journal_range ranges[] = {{1, 4}, {9, 9}};
    static const struct journal_result results[] = {
        {3, JOURNAL_REJECTED, JOURNAL_CONFLICT, -13, {1, 2, 3, -4, 5, 6}, true}};

    for (int kind = 0; kind <= JOURNAL_SYNCED; kind++) {
        struct journal_record rec = {
            .kind = (enum journal_kind)kind,
            .seq = 77,
            .when_ns = -5,
            .group = 8,
            .object = {{.means = JOURNAL_IS, .identity = {9, 8, 7, 6, -5, 4}, .has_hash = true},
                       {.means = JOURNAL_MADE, .made_by = 12},
                       {.means = JOURNAL_ABSENT}},
            .path = "/a/b",
            .path2 = "../c d",
            .off = UINT64_C(1) << 40,
            .size = 12345,
            .attr = {31, 0644, 1000, 1001, -1, 1},
            .flags = 3,
            .batch = 6,
            .synced = 70,
            .digest = digest,
            .extents = extents,
            .extent_count = 2,
            .ranges = ranges,
            .range_count = 2,
            .results = results,
            .result_count = 1,
        };
        struct buf b = BUF_INIT(JOURNAL_RECORD_MAX);
        struct journal_record got;

        if (strcmp(journal_kind_name(rec.kind), "?") == 0) {
            assert_int_equal(journal_record_put(&b, 5, &rec), -EINVAL);
            continue;
        }
        assert_int_equal(journal_record_put(&b, 5, &rec), 0);
        assert_int_equal(b.len % 8, 0);
        assert_int_equal(journal_record_get(5, b.data, b.len, &got), b.len);
        assert_int_equal(journal_record_get(6, b.data, b.len, &got), -EBADMSG); /* another's */
        assert_int_equal(got.seq, 77);
        if (journal_is_change(rec.kind)) {
            assert_string_equal(got.path, "/a/b");
            assert_int_equal(got.when_ns, -5);
            assert_int_equal(got.group, 8);
            assert_int_equal(got.object[JOURNAL_AT].identity.ctime_ns, -5);
            assert_int_equal(got.object[JOURNAL_AT].identity.birth, 4);
            assert_true(got.object[JOURNAL_AT].has_hash);
            assert_int_equal(got.object[JOURNAL_PARENT].made_by, 12);
        }
        if (kind == JOURNAL_RENAME) {
            assert_string_equal(got.path2, "../c d");
            assert_int_equal(got.object[JOURNAL_AT2].means, JOURNAL_ABSENT);
            assert_int_equal(got.flags, 3);
        }
        if (kind == JOURNAL_SETATTR)
            assert_memory_equal(&got.attr, &rec.attr, sizeof(got.attr));
        if (kind == JOURNAL_PATCH) {
            const struct journal_extent e = journal_record_extent(&got, 1);

            assert_int_equal(got.extent_count, 2);
            assert_memory_equal(&e, &extents[1], sizeof(e));
        }
        if (kind == JOURNAL_BATCH) {
            assert_memory_equal(got.digest, digest, sizeof(digest));
            assert_int_equal(journal_record_range(&got, 1).first, 9);
        }
        if (kind == JOURNAL_APPLIED) {
            assert_int_equal(journal_record_result(&got, 0).err, -13);
            assert_int_equal(journal_record_result(&got, 0).now.mtime_ns, -4);
            assert_true(journal_record_result(&got, 0).forced);
        }
        if (kind == JOURNAL_SYNCED)
            assert_int_equal(got.synced, 70);
        for (size_t cut = 1; cut < b.len; cut++)
            assert_int_equal(journal_record_get(5, b.data, cut, &got), -EBADMSG);
        buf_done(&b);
    }
}

/* ---- life of a record ---- */

TEST(changes_are_told_again_in_order_until_they_are_settled)
{
    struct journal_rig rig;
    struct journal *j;
    uint64_t a, d;

    rig_make(&rig);
    j = open_rig(&rig);
    a = put(j, "/a", "hello", 5);
    d = make_in(j, "/d", 0);
    put(j, "/d/f", "", 0);
    j = again(&rig, j);
    expect_told(j, "1 put /a, 2 mkdir /d, 3 put /d/f");
    expect_told(j, "1 put /a, 2 mkdir /d, 3 put /d/f");
    settle(j, a, JOURNAL_DONE);
    settle(j, a, JOURNAL_DONE); /* harmless */
    j = again(&rig, j);
    expect_told(j, "2 mkdir /d, 3 put /d/f");
    settle(j, d, JOURNAL_DROPPED);
    assert_int_equal(journal_compact(j), 0);
    j = again(&rig, j);
    expect_told(j, "3 put /d/f");
    assert_int_equal(put(j, "/g", "", 0) > 3, 1); /* numbers are never used again */
    journal_free(j);
    rig_remove(&rig);
}

TEST(a_parked_record_keeps_its_data_until_it_is_given_up)
{
    struct journal_rig rig;
    struct journal *j;
    struct journal_usage usage;
    struct buf out = BUF_INIT(4 << 20);
    char *data = calloc(1, 3 << 20);
    uint64_t a;

    rig_make(&rig);
    j = open_rig(&rig);
    memset(data, 'x', 3 << 20);
    a = put(j, "/a", data, 3 << 20);
    settle(j, a, JOURNAL_CONFLICT);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(journal_compact(j), 0);
        j = again(&rig, j);
        expect_told(j, "1 put /a conflict");
    }
    journal_usage(j, &usage);
    assert_int_equal(usage.changes, 0);
    assert_int_equal(usage.parked, 1);
    assert_int_equal(journal_read(j, a, 0, 4 << 20, true, &out), 0);
    assert_int_equal(out.len, 3 << 20);
    assert_memory_equal(out.data, data, out.len);
    buf_truncate(&out, 0);
    assert_int_equal(journal_read(j, a, (1 << 20) - 2, 5, false, &out), 0);
    assert_string_equal(out.data, "xxxxx");
    settle(j, a, JOURNAL_OPEN); /* again */
    j = again(&rig, j);
    expect_told(j, "1 put /a");
    settle(j, a, JOURNAL_DONE);
    assert_true(journal_wants_compact(j));
    assert_int_equal(journal_compact(j), 0);
    journal_usage(j, &usage);
    assert_true(usage.bytes < 1000);
    assert_int_equal(journal_read(j, a, 0, 1, false, &out), -ENOENT);
    buf_done(&out);
    free(data);
    journal_free(j);
    rig_remove(&rig);
}

TEST(a_batch_is_told_until_its_records_are_settled)
{
    static const uint8_t digest[JOURNAL_DIGEST] = {1};
    struct journal_rig rig;
    struct journal *j;
    uint64_t batch, a, b, c;

    rig_make(&rig);
    j = open_rig(&rig);
    a = put(j, "/a", "", 0);
    b = put(j, "/b", "", 0);
    c = put(j, "/c", "", 0);
    {
        const struct journal_range ranges[] = {{a, a}, {c, c}};
        const struct journal_result said[] = {
            {.seq = a, .said = JOURNAL_DONE, .now = {1, 2, 3, 4, 5, 6}},
            {.seq = c, .said = JOURNAL_REJECTED, .err = -EACCES}};

        assert_int_equal(journal_begin_batch(j, ranges, 2, digest, &batch), 0);
        assert_int_equal(batch, 1);
        assert_int_equal(journal_applied(j, batch, said, 2), 0);
    }
    for (int i = 0; i < 3; i++) {
        expect_told(j, "1 put /a in 1 said done, 2 put /b, 3 put /c in 1 said rejected, 4 batch");
        if (i == 1)
            assert_int_equal(journal_compact(j), 0);
        j = again(&rig, j);
    }
    settle(j, a, JOURNAL_DONE);
    settle(j, c, JOURNAL_OPEN); /* shall be sent anew */
    assert_int_equal(journal_compact(j), 0);
    j = again(&rig, j);
    expect_told(j, "2 put /b, 3 put /c");
    {
        const struct journal_range range = {b, c};

        assert_int_equal(journal_begin_batch(j, &range, 1, digest, &batch), 0);
        assert_int_equal(batch, 2);
    }
    settle(j, b, JOURNAL_DONE);
    settle(j, c, JOURNAL_DONE);
    expect_told(j, "");
    make_in(j, "/d", 0);
    assert_int_equal(journal_compact(j), 0);
    j = again(&rig, j);
    {
        const struct journal_range range = {1, UINT64_MAX};

        assert_int_equal(journal_begin_batch(j, &range, 1, digest, &batch), 0);
        assert_int_equal(batch, 3); /* though nothing of the others is left */
    }
    journal_free(j);
    rig_remove(&rig);
}

TEST(a_batch_without_records_is_told_until_the_next_one_begins)
{
    static const uint8_t digest[JOURNAL_DIGEST] = {1};
    const struct journal_range none = {0, 0};
    struct journal_rig rig;
    struct journal *j;
    uint64_t batch, a;

    rig_make(&rig);
    j = open_rig(&rig);
    a = put(j, "/a", "", 0);
    settle(j, a, JOURNAL_DONE);
    assert_int_equal(journal_begin_batch(j, &none, 1, digest, &batch), 0);
    for (int i = 0; i < 3; i++) {
        expect_told(j, "3 batch");
        if (i == 1)
            assert_int_equal(journal_compact(j), 0);
        j = again(&rig, j);
    }
    assert_int_equal(journal_begin_batch(j, &none, 1, digest, &batch), 0);
    assert_int_equal(batch, 2);
    a = put(j, "/b", "", 0);
    {
        const struct journal_range range = {a, a};

        assert_int_equal(journal_begin_batch(j, &range, 1, digest, &batch), 0);
    }
    settle(j, a, JOURNAL_DONE);
    expect_told(j, "");
    j = again(&rig, j);
    expect_told(j, "");
    journal_free(j);
    rig_remove(&rig);
}

TEST(what_made_an_object_is_known_as_long_as_a_change_names_it)
{
    struct journal_rig rig;
    struct journal *j;
    struct journal_record late = {.kind = JOURNAL_MKDIR, .path = "/d/late"};
    uint64_t d, f, seq;

    rig_make(&rig);
    j = open_rig(&rig);
    d = make_in(j, "/d", 0);
    f = make_in(j, "/d/f", d);
    settle(j, d, JOURNAL_DONE);
    assert_int_equal(journal_compact(j), 0);
    j = again(&rig, j);
    expect_told(j, "2 mkdir /d/f");
    make_in(j, "/d/g", d); /* still kept, for f */
    settle(j, f, JOURNAL_DONE);
    settle(j, 3 + 2, JOURNAL_DONE);
    late.object[JOURNAL_PARENT] = (struct journal_object){.means = JOURNAL_MADE, .made_by = d};
    assert_int_equal(journal_append(j, &late, &seq), -ESTALE);
    journal_free(j);
    rig_remove(&rig);
}

TEST(a_change_can_take_over_the_data_of_others)
{
    struct journal_rig rig;
    struct journal *j;
    struct journal_item item;
    struct journal_extent e;
    struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX), out = BUF_INIT(1 << 20);
    char data[5000];
    uint64_t a, b;

    rig_make(&rig);
    j = open_rig(&rig);
    memset(data, 'q', sizeof(data));
    a = put(j, "/a", data, sizeof(data));
    assert_int_equal(journal_get(j, a, &mem, &item), 0);
    assert_int_equal(item.rec.extent_count, 1);
    e = journal_record_extent(&item.rec, 0);
    {
        const struct journal_record rec = {
            .kind = JOURNAL_PATCH, .path = "/b", .extents = &e, .extent_count = 1};

        assert_int_equal(journal_append(j, &rec, &b), 0);
        settle(j, a, JOURNAL_DROPPED);
        assert_int_equal(journal_compact(j), 0);
        j = again(&rig, j);
        assert_int_equal(journal_read(j, b, 0, 6000, true, &out), 0);
        assert_int_equal(out.len, sizeof(data));
        settle(j, b, JOURNAL_DONE);
        assert_int_equal(journal_append(j, &rec, &b), -ESTALE);
    }
    buf_done(&mem);
    buf_done(&out);
    journal_free(j);
    rig_remove(&rig);
}

/* ---- damage ---- */

/* The first two synced. */
static struct journal *three(struct journal_rig *rig)
{
    struct journal *j = open_rig(rig);
    char data[5000];

    memset(data, 'd', sizeof(data));
    put(j, "/a", "small", 5);
    put(j, "/b", data, sizeof(data));
    assert_int_equal(journal_sync(j), 0);
    put(j, "/c", data, sizeof(data));
    return j;
}

TEST(every_torn_tail_is_dropped_and_no_more)
{
    static const char *const left[] = {"", "1 put /a", "1 put /a, 2 put /b", "1 put /a, 2 put /b"};
    struct journal_rig rig;
    uint8_t *log;
    char *path;
    size_t len, ends[5], n = 0;
    struct journal_head head;

    rig_make(&rig);
    path = rig_path(&rig, "log");
    journal_free(three(&rig));
    len = read_file(path, &log);
    ends[0] = (size_t)journal_head_get(log, len, &head);
    for (size_t at = ends[0]; at < len; ends[++n] = at) {
        struct journal_record rec;

        at += (size_t)journal_record_get(head.salt, log + at, len - at, &rec);
    }
    assert_int_equal(n, 4);
    /* From the longest: opening removes segments that a shorter log does not name. */
    for (size_t cut = len - 1; cut >= ends[0]; cut--) {
        struct journal *j;
        size_t whole = 0;

        while (ends[whole + 1] <= cut)
            whole++;
        write_file(path, log, cut);
        j = open_rig(&rig);
        expect_told(j, left[whole]);
        if (whole == 0) {
            journal_free(j); /* keeps nothing and is gone */
            break;
        }
        journal_free(j);
    }
    free(log);
    free(path);
    rig_remove(&rig);
}

static int count_salvaged(void *arg, struct journal_salvage *s, const struct journal_record *rec)
{
    int *count = arg;
    struct buf out = BUF_INIT(JOURNAL_EXTENT_MAX);

    if (rec->extent_count == 0 || journal_salvage_read(s, rec, 0, &out) == 0)
        ++*count;
    buf_done(&out);
    return 0;
}

/* With one bit flipped in file: either refused, left as it is, and all but one record can be saved;
 * or what was not synced is gone. */
static void flip_all(const char *file, size_t step, int *ret_refused, int *ret_dropped)
{
    struct journal_rig rig;
    char *path, *name = journal_name(&rig_key), *log_path;
    uint8_t *bytes, *log, *after;
    size_t len, log_len;

    rig_make(&rig);
    path = rig_path(&rig, file);
    log_path = rig_path(&rig, "log");
    journal_free(three(&rig));
    len = read_file(path, &bytes);
    log_len = read_file(log_path, &log);
    for (size_t i = 0; i < len; i += step) {
        struct journal *j = NULL;
        uint64_t bad;
        int r, salvaged = 0;

        bytes[i] ^= (uint8_t)(1 << (i % 8));
        write_file(path, bytes, len);
        r = journal_open(&rig.options, &rig_key, &j, NULL);
        if (r == 0) {
            expect_told(j, "1 put /a, 2 put /b");
            journal_free(j);
            write_file(log_path, log, log_len);
            ++*ret_dropped;
        } else {
            assert_true(r == -EBADMSG || r == -EPROTONOSUPPORT);
            assert_int_equal(read_file(path, &after), len);
            assert_memory_equal(after, bytes, len);
            free(after);
            assert_int_equal(journal_salvage(rig.base, name, count_salvaged, &salvaged, &bad), 0);
            assert_true(salvaged >= 3); /* of four records */
            assert_true(bad > 0 || strcmp(file, "log") != 0);
            ++*ret_refused;
        }
        bytes[i] ^= (uint8_t)(1 << (i % 8));
    }
    write_file(path, bytes, len);
    {
        struct journal *j = open_rig(&rig);

        expect_told(j, "1 put /a, 2 put /b, 4 put /c");
        journal_free(j);
    }
    free(bytes);
    free(log);
    free(log_path);
    free(name);
    free(path);
    rig_remove(&rig);
}

TEST(a_flipped_bit_is_refused_or_costs_only_what_was_not_synced)
{
    int refused = 0, dropped = 0;

    flip_all("log", 1, &refused, &dropped);
    assert_true(refused > 300 && dropped > 100);
    refused = dropped = 0;
    flip_all("0000000000000001.seg", 97, &refused, &dropped);
    assert_true(refused > 40 && dropped > 40);
}

TEST(a_later_version_is_refused_and_left_as_it_is)
{
    struct journal_rig rig;
    struct journal *j = NULL;
    uint8_t *log, *after;
    char *path;
    size_t len;

    rig_make(&rig);
    path = rig_path(&rig, "log");
    journal_free(three(&rig));
    len = read_file(path, &log);
    log[8] = JOURNAL_VERSION + 1;
    write_file(path, log, len);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), -EPROTONOSUPPORT);
    assert_int_equal(read_file(path, &after), len);
    assert_memory_equal(after, log, len);
    free(after);
    free(log);
    free(path);
    rig_remove(&rig);
}

/* The same head in another version. */
static void set_version(uint8_t *log, uint8_t version)
{
    const size_t len = log[12] | (size_t)log[13] << 8;
    uint32_t crc;

    log[8] = version;
    crc = crc32c(crc32c(0, log, 16), log + 20, len - 20);
    for (int i = 0; i < 4; i++)
        log[16 + i] = (uint8_t)(crc >> (8 * i));
}

/* As versions before 3 wrote it: nothing has a birth, and so nothing says where one would be. */
static struct journal *one_sent(struct journal_rig *rig)
{
    static const uint8_t digest[JOURNAL_DIGEST] = {1};
    struct journal *j = open_rig(rig);
    struct journal_record rec = {
        .kind = JOURNAL_UNLINK,
        .path = "/gone",
        .object = {{.means = JOURNAL_IS, .identity = {1, 2, 3, 4, 5}, .has_hash = true}}};
    const struct journal_range range = {1, 4};
    const struct journal_result said = {
        .seq = 4, .said = JOURNAL_DONE, .now = {.dev = 1, .ino = 2, .size = 3}};
    uint64_t seq, batch;

    assert_int_equal(journal_append(j, &rec, &seq), 0);
    (void)put(j, "/a", "", 0);
    (void)put(j, "/b", "", 0);
    (void)put(j, "/c", "", 0);
    assert_int_equal(journal_begin_batch(j, &range, 1, digest, &batch), 0);
    assert_int_equal(journal_applied(j, batch, &said, 1), 0);
    return j;
}

TEST(an_earlier_version_is_read_and_rewritten)
{
    for (uint8_t version = JOURNAL_VERSION_OLDEST; version < JOURNAL_VERSION; version++) {
        struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
        struct journal_result result;
        struct journal_item item;
        struct journal_rig rig;
        struct journal *j;
        uint8_t *log;
        char *path;
        size_t len;

        rig_make(&rig);
        path = rig_path(&rig, "log");
        journal_free(one_sent(&rig));
        len = read_file(path, &log);
        assert_int_equal(log[8], JOURNAL_VERSION);
        set_version(log, version);
        write_file(path, log, len);
        free(log);
        for (int i = 0; i < 2; i++) {
            j = open_rig(&rig);
            expect_told(j, "1 unlink /gone in 1, 2 put /a in 1, 3 put /b in 1, "
                           "4 put /c in 1 said done, 5 batch");
            assert_int_equal(journal_get(j, 1, &mem, &item), 0);
            assert_int_equal(item.rec.object[JOURNAL_AT].identity.ctime_ns, 5);
            assert_int_equal(item.rec.object[JOURNAL_AT].identity.birth, 0);
            assert_true(item.rec.object[JOURNAL_AT].has_hash);
            assert_int_equal(journal_result(j, 4, &result), 0);
            assert_int_equal(result.now.size, 3);
            assert_int_equal(result.now.birth, 0);
            journal_free(j);
            (void)read_file(path, &log);
            assert_int_equal(log[8], JOURNAL_VERSION);
            free(log);
        }
        buf_done(&mem);
        free(path);
        rig_remove(&rig);
    }
}

/* Zeros from byte on, over what one record says. */
static void blank(const char *path, uint64_t at, size_t n)
{
    static const char zeros[JOURNAL_EXTENT_MAX];
    const int fd = open(path, O_WRONLY);

    assert_int_equal(pwrite(fd, zeros, n, (off_t)at), n);
    close(fd);
}

TEST(what_was_not_synced_may_be_lost_in_any_place_and_is_cut_off_there)
{
    static const struct {
        int synced, lost; /* put so many; of which one is lost */
        bool data;        /* of it only that */
        int refused;
        const char *want;
    } cases[] = {
        {0, 1, false, 0, ""},
        {0, 2, false, 0, "1 put /f"},
        {1, 3, false, 0, "1 put /f, 3 put /f"},
        {1, 3, true, 0, "1 put /f, 3 put /f"},
        {2, 4, true, 0, "1 put /f, 2 put /f, 4 put /f"},
        {2, 2, false, -EBADMSG, NULL},
        {2, 1, true, -EBADMSG, NULL},
        {4, 4, true, -EBADMSG, NULL},
    };
    char data[6000];

    memset(data, 'd', sizeof(data));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct journal_item item;
        struct buf mem = BUF_INIT(JOURNAL_RECORD_MAX);
        uint64_t seq[6], off[6];
        struct journal_rig rig;
        struct journal *j;
        char *log, *seg;

        rig_make(&rig);
        log = rig_path(&rig, "log");
        seg = rig_path(&rig, "0000000000000001.seg");
        j = open_rig(&rig);
        for (int k = 1; k <= 5; k++) {
            struct stat st;

            assert_int_equal(stat(log, &st), 0);
            off[k] = (uint64_t)st.st_size;
            seq[k] = put(j, "/f", data, sizeof(data));
            if (k == cases[i].synced)
                assert_int_equal(journal_sync(j), 0);
        }
        assert_int_equal(journal_get(j, seq[cases[i].lost], &mem, &item), 0);
        journal_free(j);
        if (cases[i].data)
            blank(seg, journal_record_extent(&item.rec, 0).at + 4096, 100);
        else
            blank(log, off[cases[i].lost], 8);
        assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), cases[i].refused);
        if (cases[i].refused == 0) {
            uint64_t next;

            expect_told(j, cases[i].want);
            next = put(j, "/g", "", 0); /* it goes on there */
            j = again(&rig, j);
            assert_int_equal(journal_get(j, next, &mem, &item), 0);
            assert_string_equal(item.rec.path, "/g");
            journal_free(j);
        }
        buf_done(&mem);
        free(log);
        free(seg);
        rig_remove(&rig);
    }
}

static bool is_forced(struct journal *j, uint64_t seq)
{
    struct journal_result r;

    assert_int_equal(journal_result(j, seq, &r), 0);
    return r.forced;
}

TEST(what_goes_whatever_is_there_does_so_after_all_that_befalls_it)
{
    static const uint8_t digest[JOURNAL_DIGEST] = {1};
    struct journal_rig rig;
    struct journal *j;
    uint64_t a, b, batch;
    struct journal_result forced = {.settled = JOURNAL_OPEN, .forced = true};

    rig_make(&rig);
    j = open_rig(&rig);
    a = put(j, "/a", "", 0);
    b = put(j, "/b", "", 0);
    settle(j, a, JOURNAL_CONFLICT);
    forced.seq = a;
    assert_int_equal(journal_settle(j, &forced, 1), 0);
    for (int i = 0; i < 4; i++) {
        const struct journal_range range = {a, a};

        expect_told(j, i == 2 ? "1 put /a in 1, 2 put /b, 5 batch" : "1 put /a, 2 put /b");
        assert_true(is_forced(j, a));
        assert_false(is_forced(j, b));
        if (i == 1)
            assert_int_equal(journal_begin_batch(j, &range, 1, digest, &batch), 0);
        if (i == 2)
            settle(j, a, JOURNAL_OPEN); /* to be sent anew */
        if (i == 3)
            assert_int_equal(journal_compact(j), 0);
        j = again(&rig, j);
    }
    assert_true(is_forced(j, a));
    settle(j, a, JOURNAL_CONFLICT); /* until the user says it once more */
    assert_false(is_forced(j, a));
    settle(j, a, JOURNAL_OPEN);
    j = again(&rig, j);
    assert_false(is_forced(j, a));
    journal_free(j);
    rig_remove(&rig);
}

TEST(a_log_that_vanished_beside_its_data_is_damage)
{
    struct journal_rig rig;
    struct journal *j = NULL;
    char *path;

    rig_make(&rig);
    path = rig_path(&rig, "log");
    journal_free(three(&rig));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), -EBADMSG);
    free(path);
    rig_remove(&rig);
}

TEST(a_journal_that_somebody_removed_takes_nothing_more_but_goes_on_with_what_it_has)
{
    const struct journal_record rec = {.kind = JOURNAL_UNLINK, .path = "/f"};
    struct journal_rig rig;
    struct journal *j;
    uint64_t first, seq;
    char *path;

    rig_make(&rig);
    j = open_rig(&rig);
    first = put(j, "/a", "small", 5);
    path = rig_path(&rig, "log");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(journal_sync(j), 0);
    assert_int_equal(journal_append(j, &rec, &seq), -EIO);
    expect_told(j, "1 put /a");
    settle(j, first, JOURNAL_DONE);
    expect_told(j, "");
    journal_free(j);
    free(path);
    rig_remove(&rig);
}

/* ---- whose ---- */

TEST(a_second_process_is_told_who_has_it)
{
    struct journal_rig rig;
    struct journal *j;
    int status, ready[2], go[2];
    char c = 0;
    pid_t pid;

    rig_make(&rig);
    assert_int_equal(pipe(ready) | pipe(go), 0);
    pid = fork();
    if (pid == 0) {
        struct journal *mine = NULL;
        const struct journal_record rec = {.kind = JOURNAL_MKDIR, .path = "/made"};
        uint64_t seq;

        if (journal_open(&rig.options, &rig_key, &mine, NULL) < 0 ||
            journal_append(mine, &rec, &seq) < 0 || write(ready[1], "r", 1) != 1 ||
            read(go[0], &c, 1) != 1)
            _exit(1);
        _exit(0); /* dies with it open */
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    {
        struct journal_holder busy = {0};
        struct journal_found *list = NULL;
        size_t count = 0;

        assert_int_equal(journal_open(&rig.options, &rig_key, &j, &busy), -EBUSY);
        assert_int_equal(busy.pid, pid);
        assert_string_equal(busy.dir, "/mnt/box");
        journal_holder_done(&busy);
        assert_int_equal(journal_find(rig.base, rig_key.api_url, rig_key.sandbox_id, &list, &count),
                         0);
        assert_int_equal(count, 1);
        assert_true(list[0].locked);
        assert_int_equal(list[0].holder.pid, pid);
        journal_found_free(list, count);
    }
    assert_int_equal(write(go[1], "g", 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    j = open_rig(&rig);
    expect_told(j, "1 mkdir /made");
    journal_free(j);
    close(ready[0]);
    close(ready[1]);
    close(go[0]);
    close(go[1]);
    rig_remove(&rig);
}

TEST(journals_of_a_sandbox_are_found_oldest_first)
{
    static const char *const slots[] = {"/z", "/a", "/m"};
    struct journal_rig rig;
    struct journal_found *list = NULL;
    size_t count = 0;

    rig_make(&rig);
    for (size_t i = 0; i < ARRAY_LEN(slots) + 1; i++) {
        const struct journal_key key = {rig_key.api_url, i < 3 ? "box" : "other",
                                        i < 3 ? slots[i] : "/"};
        struct journal *j = NULL;

        assert_int_equal(journal_open(&rig.options, &key, &j, NULL), 0);
        put(j, "/f", "", 0);
        journal_free(j);
    }
    assert_int_equal(journal_find(rig.base, rig_key.api_url, "box", &list, &count), 0);
    assert_int_equal(count, 3);
    for (size_t i = 0; i < count; i++) {
        struct journal *j = NULL;

        assert_string_equal(list[i].slot, slots[i]);
        assert_false(list[i].locked);
        assert_int_equal(journal_open_name(&rig.options, list[i].name, &j, NULL), 0);
        assert_string_equal(journal_key(j).slot, slots[i]);
        settle(j, 1, JOURNAL_DONE);
        journal_free(j); /* keeps nothing: goes */
    }
    journal_found_free(list, count);
    assert_int_equal(journal_find(rig.base, NULL, NULL, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].sandbox_id, "other");
    journal_found_free(list, count);
    rig_remove(&rig);
}

TEST(a_journal_that_was_emptied_is_another_client_when_it_is_made_again)
{
    struct journal_rig rig;
    struct journal *j;
    char client[64];

    rig_make(&rig);
    j = open_rig(&rig);
    snprintf(client, sizeof(client), "%s", journal_client(j));
    assert_int_equal(strlen(client), 32);
    put(j, "/a", "", 0);
    j = again(&rig, j);
    assert_string_equal(client, journal_client(j));
    settle(j, 1, JOURNAL_DONE);
    j = again(&rig, j);
    assert_string_not_equal(client, journal_client(j));
    journal_free(j);
    rig_remove(&rig);
}

TEST(what_others_can_reach_is_refused)
{
    struct journal_rig rig;
    struct journal *j = NULL;
    char *dir, *log, *moved;

    rig_make(&rig);
    dir = rig_path(&rig, "");
    log = rig_path(&rig, "log");
    moved = rig_path(&rig, "elsewhere");
    journal_free(three(&rig));
    dir[strlen(dir) - 1] = '\0';
    assert_int_equal(chmod(dir, 0750), 0);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), -EACCES);
    assert_int_equal(chmod(dir, 0700), 0);
    assert_int_equal(rename(log, moved), 0);
    assert_int_equal(symlink("elsewhere", log), 0);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), -ELOOP);
    assert_int_equal(unlink(log), 0);
    assert_int_equal(rename(moved, log), 0);
    journal_free(open_rig(&rig));
    free(dir);
    free(log);
    free(moved);
    rig_remove(&rig);
}

/* ---- ceilings ---- */

TEST(writers_wait_then_are_refused_before_the_disk_is_full)
{
    struct journal_rig rig;
    struct journal *j;
    char data[8000] = {0};
    const struct journal_record rec = {
        .kind = JOURNAL_APPEND, .path = "/a", .data = data, .data_len = sizeof(data)};
    struct cancel *cancel = cancel_new();
    uint64_t seq, last = 0;
    int r;

    rig_make(&rig);
    rig.options.limits.soft_bytes = 30000;
    rig.options.limits.hard_bytes = 60000;
    rig.options.sys = &rig_disk;
    rig_die_after(-1);
    j = open_rig(&rig);
    assert_int_equal(journal_wait_room(j, 0), 0);
    while ((r = journal_append(j, &rec, &seq)) == 0)
        last = seq;
    assert_int_equal(r, -ENOSPC);
    assert_true(last >= 5 && last < 8);
    assert_int_equal(journal_wait_room(j, clock_mono_ns() + 20 * NS_PER_MS), -ETIMEDOUT);
    cancel_bind(cancel);
    cancel_fire(cancel);
    assert_int_equal(journal_wait_room(j, INT64_MAX), -EINTR);
    cancel_bind(NULL);
    for (seq = 1; seq <= last; seq++)
        settle(j, seq, JOURNAL_DONE); /* is never refused */
    assert_int_equal(journal_compact(j), 0);
    assert_int_equal(journal_wait_room(j, 0), 0);
    assert_int_equal(journal_append(j, &rec, &seq), 0);

    journal_free(j);
    rig_set_free(1000); /* the disk is nearly full */
    j = open_rig(&rig);
    assert_int_equal(journal_append(j, &rec, &last), -ENOSPC);
    settle(j, seq, JOURNAL_DONE);
    rig_set_free(UINT64_MAX);
    assert_int_equal(journal_append(j, &rec, &last), 0);
    cancel_unref(cancel);
    journal_free(j);
    rig_remove(&rig);
}

TEST(too_many_records_are_waited_for_before_they_are_refused)
{
    struct journal_rig rig;
    const struct journal_record rec = {.kind = JOURNAL_MKDIR, .path = "/a"};
    struct journal *j;
    uint64_t seq;

    rig_make(&rig);
    rig.options.limits.max_records = 4;
    j = open_rig(&rig);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(journal_wait_room(j, 0), i <= 2 ? 0 : -ETIMEDOUT);
        assert_int_equal(journal_append(j, &rec, &seq), 0);
    }
    assert_int_equal(journal_append(j, &rec, &seq), -ENOSPC);
    settle(j, 1, JOURNAL_DONE);
    assert_int_equal(journal_wait_room(j, 0), -ETIMEDOUT);
    settle(j, 2, JOURNAL_DONE);
    assert_int_equal(journal_wait_room(j, 0), 0);
    journal_free(j);
    rig_remove(&rig);
}

/* ---- threads ---- */

enum { WRITERS = 3, EACH = 150 };

static void *write_some(void *arg)
{
    struct journal *j = arg;
    char data[6000] = {1};

    for (int i = 0; i < EACH; i++) {
        const struct journal_record rec = {.kind = JOURNAL_APPEND,
                                           .path = "/a",
                                           .data = data,
                                           .data_len = i % 2 ? sizeof(data) : 10};
        uint64_t seq;
        struct journal_result done = {.settled = JOURNAL_DONE};

        if (journal_append(j, &rec, &seq) < 0 || (i % 50 == 0 && journal_sync(j) < 0))
            return arg;
        done.seq = seq;
        if (i % 3 && journal_settle(j, &done, 1) < 0)
            return arg;
    }
    return NULL;
}

static int count_items(void *arg, const struct journal_item *item)
{
    ++*(int *)arg;
    return 0;
}

TEST(threads_write_while_the_log_is_compacted)
{
    pthread_t threads[WRITERS];
    struct journal_rig rig;
    struct journal *j;
    int count = 0;

    rig_make(&rig);
    rig.options.limits.segment_bytes = 50000;
    j = open_rig(&rig);
    for (int i = 0; i < WRITERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_some, j), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(journal_compact(j), 0);
    for (int i = 0; i < WRITERS; i++) {
        void *failed = NULL;

        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    j = again(&rig, j);
    assert_int_equal(journal_replay(j, count_items, &count), 0);
    assert_int_equal(count, WRITERS * EACH / 3);
    journal_free(j);
    rig_remove(&rig);
}

static int count_said(void *arg, const struct journal_item *item)
{
    if (item->result.said == JOURNAL_DONE && item->batch == 1 &&
        item->result.now.ino == item->rec.seq)
        ++*(int *)arg;
    return 0;
}

TEST(results_of_any_number_survive_compaction)
{
    enum { MANY = 2 * JOURNAL_RESULTS_MAX + 5 };
    static const uint8_t digest[JOURNAL_DIGEST];
    const struct journal_range all = {1, MANY};
    struct journal_result *said = calloc(MANY, sizeof(*said));
    struct journal_usage usage;
    struct journal_rig rig;
    struct journal *j;
    uint64_t batch;
    int count = 0;

    rig_make(&rig);
    j = open_rig(&rig);
    for (int i = 0; i < MANY; i++) {
        said[i].seq = make_in(j, "/d", 0);
        said[i].said = said[i].settled = JOURNAL_DONE;
        said[i].now.ino = said[i].seq;
    }
    assert_int_equal(journal_begin_batch(j, &all, 1, digest, &batch), 0);
    assert_int_equal(journal_applied(j, batch, said, MANY), 0);
    assert_int_equal(journal_compact(j), 0);
    j = again(&rig, j);
    assert_int_equal(journal_replay(j, count_said, &count), 0);
    assert_int_equal(count, MANY);
    assert_int_equal(journal_settle(j, said, MANY - 1), 0);
    j = again(&rig, j);
    journal_usage(j, &usage);
    assert_int_equal(usage.changes, 1);
    free(said);
    journal_free(j);
    rig_remove(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_reads_back_as_it_was_written),
        cmocka_unit_test(changes_are_told_again_in_order_until_they_are_settled),
        cmocka_unit_test(a_parked_record_keeps_its_data_until_it_is_given_up),
        cmocka_unit_test(a_batch_is_told_until_its_records_are_settled),
        cmocka_unit_test(a_batch_without_records_is_told_until_the_next_one_begins),
        cmocka_unit_test(what_made_an_object_is_known_as_long_as_a_change_names_it),
        cmocka_unit_test(a_change_can_take_over_the_data_of_others),
        cmocka_unit_test(every_torn_tail_is_dropped_and_no_more),
        cmocka_unit_test(a_flipped_bit_is_refused_or_costs_only_what_was_not_synced),
        cmocka_unit_test(a_later_version_is_refused_and_left_as_it_is),
        cmocka_unit_test(an_earlier_version_is_read_and_rewritten),
        cmocka_unit_test(what_was_not_synced_may_be_lost_in_any_place_and_is_cut_off_there),
        cmocka_unit_test(what_goes_whatever_is_there_does_so_after_all_that_befalls_it),
        cmocka_unit_test(a_log_that_vanished_beside_its_data_is_damage),
        cmocka_unit_test(
            a_journal_that_somebody_removed_takes_nothing_more_but_goes_on_with_what_it_has),
        cmocka_unit_test(a_second_process_is_told_who_has_it),
        cmocka_unit_test(journals_of_a_sandbox_are_found_oldest_first),
        cmocka_unit_test(a_journal_that_was_emptied_is_another_client_when_it_is_made_again),
        cmocka_unit_test(what_others_can_reach_is_refused),
        cmocka_unit_test(writers_wait_then_are_refused_before_the_disk_is_full),
        cmocka_unit_test(too_many_records_are_waited_for_before_they_are_refused),
        cmocka_unit_test(results_of_any_number_survive_compaction),
        cmocka_unit_test(threads_write_while_the_log_is_compacted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
