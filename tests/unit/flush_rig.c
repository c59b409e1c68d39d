#include "flush_rig.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_ended(void *arg, const struct flush_end *v, size_t count)
{
    struct flush_rig *g = arg;

    lock_take(&g->lock);
    for (size_t i = 0; i < count; i++) {
        if (g->end_count == FLUSH_RIG_ENDS)
            abort();
        g->ends[g->end_count++] =
            (struct flush_rig_end){v[i].seq, v[i].outcome, v[i].err, v[i].has_now, v[i].now};
    }
    pthread_cond_broadcast(&g->cond);
    lock_drop(&g->lock);
}

static void on_line(void *arg, int err)
{
    struct flush_rig *g = arg;

    lock_take(&g->lock);
    g->line = err;
    g->lines++;
    pthread_cond_broadcast(&g->cond);
    lock_drop(&g->lock);
}

/* ---- a gate for uploads ---- */

struct gate_remote {
    struct remote remote;
    struct remote *inner;
    struct lock lock; /* guards what follows */
    pthread_cond_t cond;
    uint64_t hold;          /* uploads up to this length */
    unsigned held, stopped; /* uploads that wait; that were interrupted */
    unsigned pass;          /* so many go on all the same */
    bool hold_joins;
    unsigned fail_joins, joins; /* how many are to fail; how many came */
    int join_err;
    unsigned joined; /* changes that came with their content put together */
};

static int gate_apply(struct remote *r, const struct remote_batch *batch,
                      struct remote_applied *ret)
{
    struct gate_remote *gate = (struct gate_remote *)r;

    lock_take(&gate->lock);
    for (size_t i = 0; batch->v && i < batch->count; i++)
        gate->joined += batch->v[i].joined != NULL;
    lock_drop(&gate->lock);
    return remote_apply(gate->inner, batch, ret);
}

static int gate_stage(struct remote *r, const struct remote_stage *stage, struct remote_blob *ret)
{
    struct gate_remote *gate = (struct gate_remote *)r;

    bool stopped = false;

    lock_take(&gate->lock);
    gate->held++;
    pthread_cond_broadcast(&gate->cond);
    while (stage->len <= gate->hold && gate->pass == 0 && !stopped) {
        (void)lock_wait_until(&gate->lock, &gate->cond, clock_mono_ns() + NS_PER_MS);
        stopped = cancel_fired(cancel_bound());
    }
    gate->held--;
    gate->stopped += stopped;
    gate->pass -= gate->pass > 0 && !stopped;
    lock_drop(&gate->lock);
    return stopped ? -EINTR : remote_stage(gate->inner, stage, ret);
}

static int gate_join(struct remote *r, const struct remote_join *join, struct remote_joined *to)
{
    struct gate_remote *gate = (struct gate_remote *)r;
    int err;

    lock_take(&gate->lock);
    gate->joins++;
    gate->held++;
    pthread_cond_broadcast(&gate->cond);
    while (gate->hold_joins)
        lock_wait(&gate->lock, &gate->cond);
    gate->held--;
    err = gate->fail_joins > 0 ? gate->join_err : 0;
    gate->fail_joins -= err < 0;
    lock_drop(&gate->lock);
    return err < 0 ? err : remote_join(gate->inner, join, to);
}

static const struct remote_ops gate_ops = {
    .name = "gate", .apply = gate_apply, .stage = gate_stage, .join = gate_join};

static struct remote *gate_new(struct remote *inner)
{
    struct gate_remote *gate = calloc(1, sizeof(*gate));

    assert_non_null(gate);
    gate->remote.ops = &gate_ops;
    gate->inner = inner;
    lock_init(&gate->lock);
    lock_cond_init(&gate->cond);
    return &gate->remote;
}

void fr_hold(struct flush_rig *g, bool hold)
{
    fr_hold_short(g, hold ? UINT64_MAX : 0);
}

void fr_hold_short(struct flush_rig *g, uint64_t hold)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;

    lock_take(&gate->lock);
    gate->hold = hold;
    pthread_cond_broadcast(&gate->cond);
    lock_drop(&gate->lock);
}

void fr_let_pass(struct flush_rig *g, unsigned uploads)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;

    lock_take(&gate->lock);
    gate->pass = uploads;
    lock_drop(&gate->lock);
}

void fr_hold_joins(struct flush_rig *g, bool hold)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;

    lock_take(&gate->lock);
    gate->hold_joins = hold;
    pthread_cond_broadcast(&gate->cond);
    lock_drop(&gate->lock);
}

void fr_fail_joins(struct flush_rig *g, unsigned count, int err)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;

    lock_take(&gate->lock);
    gate->fail_joins = count;
    gate->join_err = err;
    lock_drop(&gate->lock);
}

unsigned fr_joins(struct flush_rig *g, unsigned *ret_joined)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;
    unsigned joins;

    lock_take(&gate->lock);
    joins = gate->joins;
    *ret_joined = gate->joined;
    lock_drop(&gate->lock);
    return joins;
}

void fr_await_held(struct flush_rig *g, unsigned uploads)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    lock_take(&gate->lock);
    while (gate->held < uploads)
        assert_int_equal(lock_wait_until(&gate->lock, &gate->cond, until_ns), 0);
    lock_drop(&gate->lock);
}

unsigned fr_stopped(struct flush_rig *g)
{
    struct gate_remote *gate = (struct gate_remote *)g->gate;
    unsigned stopped;

    lock_take(&gate->lock);
    stopped = gate->stopped;
    lock_drop(&gate->lock);
    return stopped;
}

static void start(struct flush_rig *g)
{
    const struct flush_owner owner = {.ended = on_ended, .line = on_line, .arg = g};

    assert_int_equal(journal_open(&g->disk.options, &rig_key, &g->journal, NULL), 0);
    assert_int_equal(flush_new(&g->config, g->journal, g->gate, &g->flush), 0);
    flush_own(g->flush, &owner);
}

void fr_up(struct flush_rig *g, const struct flush_config *config)
{
    fr_up_on(g, config, NULL);
}

void fr_up_on(struct flush_rig *g, const struct flush_config *config, const struct journal_sys *sys)
{
    memset(g, 0, sizeof(*g));
    lock_init(&g->lock);
    lock_cond_init(&g->cond);
    rig_make(&g->disk);
    g->disk.options.sys = sys;
    if (config)
        g->config = *config;
    g->mem = remote_mem_new(0, 0);
    assert_non_null(g->mem);
    g->remote = remote_fault_new(g->mem, &g->fault);
    assert_non_null(g->remote);
    g->gate = gate_new(g->remote);
    start(g);
}

static void stop(struct flush_rig *g)
{
    g->flush = flush_free(g->flush);
    g->journal = journal_free(g->journal);
}

void fr_down(struct flush_rig *g)
{
    stop(g);
    free(g->gate);
    remote_free(g->remote);
    rig_remove(&g->disk);
    pthread_cond_destroy(&g->cond);
    lock_done(&g->lock);
}

void fr_restart(struct flush_rig *g)
{
    stop(g);
    g->end_count = 0;
    start(g);
}

uint64_t fr_add(struct flush_rig *g, const struct journal_record *rec)
{
    uint64_t seq = 0;

    assert_int_equal(flush_append(g->flush, rec, &seq), 0);
    return seq;
}

static struct journal_object made_by(uint64_t maker, enum journal_means otherwise)
{
    return (struct journal_object){.means = maker ? JOURNAL_MADE : otherwise, .made_by = maker};
}

uint64_t fr_create(struct flush_rig *g, const char *path)
{
    const struct journal_record rec = {
        .kind = JOURNAL_CREATE,
        .path = path,
        .when_ns = clock_real_ns(),
        .object[JOURNAL_AT].means = JOURNAL_ABSENT,
        .attr = {.mask = JOURNAL_ATTR_MODE, .mode = 0644},
    };

    return fr_add(g, &rec);
}

uint64_t fr_data(struct flush_rig *g, enum journal_kind kind, const char *path, uint64_t maker,
                 uint64_t off, const char *text)
{
    const struct journal_record rec = {
        .kind = kind,
        .path = path,
        .when_ns = clock_real_ns(),
        .object[JOURNAL_AT] = made_by(maker, JOURNAL_ANY),
        .off = off,
        .size = kind == JOURNAL_TRUNCATE ? off : strlen(text),
        .data = text,
        .data_len = kind == JOURNAL_TRUNCATE ? 0 : strlen(text),
    };

    return fr_add(g, &rec);
}

uint64_t fr_change(struct flush_rig *g, enum journal_kind kind, const char *path, const char *path2,
                   uint64_t maker)
{
    const bool makes = kind == JOURNAL_MKDIR || kind == JOURNAL_SYMLINK;
    const struct journal_record rec = {
        .kind = kind,
        .path = path,
        .path2 = path2,
        .when_ns = clock_real_ns(),
        .object[JOURNAL_AT] = made_by(maker, makes ? JOURNAL_ABSENT : JOURNAL_ANY),
        .attr = {.mask = JOURNAL_ATTR_MODE, .mode = 0755},
    };

    return fr_add(g, &rec);
}

/* ---- what became of it ---- */

bool fr_end(struct flush_rig *g, uint64_t seq, struct flush_rig_end *ret)
{
    bool found = false;

    lock_take(&g->lock);
    for (size_t i = 0; i < g->end_count && !found; i++) {
        found = g->ends[i].seq == seq;
        if (found && ret)
            *ret = g->ends[i];
    }
    lock_drop(&g->lock);
    return found;
}

void fr_await_end(struct flush_rig *g, uint64_t seq, enum journal_outcome outcome, int err)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;
    struct flush_rig_end end;

    while (!fr_end(g, seq, &end)) {
        assert_true(clock_mono_ns() < until_ns);
        lock_take(&g->lock);
        (void)lock_wait_until(&g->lock, &g->cond, clock_mono_ns() + 10 * NS_PER_MS);
        lock_drop(&g->lock);
    }
    assert_int_equal(end.outcome, outcome);
    assert_int_equal(end.err, err);
}

void fr_sync(struct flush_rig *g)
{
    struct buf left = BUF_INIT(1 << 20);
    int r = -EHOSTDOWN;

    /* After a failure who waits is told so early: not only of a line that is down. */
    for (int i = 0; i < 20 && r == -EHOSTDOWN; i++) {
        buf_truncate(&left, 0);
        r = flush_barrier(g->flush, NULL, NULL, &left);
    }
    if (r < 0)
        fail_msg("%d: %s", r, buf_str(&left));
    buf_done(&left);
}

unsigned fr_requests(struct flush_rig *g)
{
    const unsigned calls = remote_fault_calls(g->fault);

    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    return calls;
}

/* ---- the sandbox ---- */

struct remote_attr fr_stat(struct flush_rig *g, const char *path)
{
    struct remote_attr attr = {0};

    (void)remote_stat(g->mem, path, &attr, NULL); /* all 0: nothing is there */
    return attr;
}

void fr_expect(struct flush_rig *g, const char *path, const char *text)
{
    const struct remote_attr attr = fr_stat(g, path);
    const size_t len = text ? strlen(text) : 0;
    uint64_t got;
    char *data;
    int fd;

    if (!text) {
        assert_int_equal(attr.mode, 0);
        return;
    }
    if (attr.mode == 0)
        fail_msg("%s is not there", path);
    fd = fileno(tmpfile());
    assert_int_equal(remote_fetch(g->mem, path, NULL, 0, len + 1, fd, &got), 0);
    assert_int_equal(attr.size, len);
    assert_int_equal(got, len);
    data = calloc(1, len + 1);
    assert_int_equal(pread(fd, data, len, 0), len);
    assert_memory_equal(data, text, len);
    free(data);
    close(fd);
}

void fr_put(struct flush_rig *g, const char *path, const char *text)
{
    const int fd = fileno(tmpfile());
    const struct remote_put put = {.fd = fd, .size = strlen(text), .mtime_ns = INT64_MIN};
    struct remote_attr attr;

    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(remote_put(g->mem, path, &put, &attr), 0);
    close(fd);
}

/* ---- a file ---- */

struct flush_file *ff_new(const struct flush_config *config, enum journal_means means)
{
    struct flush_file *x = calloc(1, sizeof(*x));

    assert_non_null(x);
    fr_up(&x->g, config);
    x->means = means;
    return x;
}

void ff_free(struct flush_file *x)
{
    fr_down(&x->g);
    free(x);
}

void ff_change(struct flush_file *x, struct journal_record *rec)
{
    rec->path = "/f";
    rec->group = FILE_GROUP;
    rec->when_ns = 1;
    rec->object[JOURNAL_AT] = made_by(x->seq, x->means);
    x->seq = fr_add(&x->g, rec);
}

void ff_write(struct flush_file *x, size_t off, size_t len, char c)
{
    struct journal_record rec = {
        .kind = JOURNAL_PATCH, .off = off, .data = x->text + off, .data_len = len};

    memset(x->text + off, c, len);
    x->len = off + len > x->len ? off + len : x->len;
    ff_change(x, &rec);
}

void ff_add_pieces(struct flush_file *x, int count)
{
    for (int i = 0; i < count; i++)
        ff_write(x, x->len, FILE_PIECE, (char)('a' + (x->len / FILE_PIECE) % 26));
}

uint64_t ff_unlink(struct flush_file *x, bool only)
{
    struct journal_record rec = {.kind = JOURNAL_UNLINK,
                                 .path = "/f",
                                 .object[JOURNAL_AT] = made_by(x->seq, x->means),
                                 .flags = only ? JOURNAL_ONLY : 0};

    return fr_add(&x->g, &rec);
}

void ff_truncate(struct flush_file *x, size_t len)
{
    struct journal_record rec = {.kind = JOURNAL_TRUNCATE, .size = len};

    memset(x->text + len, 0, sizeof(x->text) - len);
    x->len = len;
    ff_change(x, &rec);
}

void ff_await_blobs(struct flush_file *x, size_t count)
{
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    while (remote_mem_blobs(x->g.mem, false) != count) {
        assert_true(clock_mono_ns() < until_ns);
        usleep(1000);
    }
}

void ff_expect_clean(struct flush_file *x)
{
    fr_await_end(&x->g, fr_create(&x->g, "/other"), JOURNAL_DONE, 0);
    assert_int_equal(remote_mem_blobs(x->g.mem, false), 0);
}
