/* What is fetched before it is asked for: how many requests, how many bytes, and never wrong. */
#include "scene.h"

#include "fs/fs_internal.h"
#include "remote/wrap.h"
#include "util/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- a line that counts, takes its time, and may be held ---- */

struct meter {
    struct wrap wrap;
    struct lock lock; /* guards what follows */
    pthread_cond_t cond;
    unsigned fetches, manys, inside, most;
    uint64_t bytes;
    bool held;        /* a fetch_many in /d000 waits before it is made */
    useconds_t delay; /* of each fetch */
    /* Before the files of a fetch_many are read; between the halves of each if torn. */
    void (*meanwhile)(struct remote *r, const char *path);
    bool torn;
};

/* The first half as it was, the second as meanwhile left it: what a slow reader would get. */
static int fetch_torn(struct meter *m, const struct remote_many *many)
{
    for (size_t i = 0; i < many->count; i++) {
        struct remote_want *w = &many->v[i];
        const uint64_t half = w->expect->size / 2;
        uint64_t got;

        w->err = remote_fetch(m->wrap.inner, w->path, NULL, 0, half, w->fd, &got);
        m->meanwhile(m->wrap.inner, w->path);
        if (w->err == 0)
            w->err = remote_fetch(m->wrap.inner, w->path, NULL, half, UINT64_MAX, w->fd, &got);
        many->done(many->arg, i);
    }
    return 0;
}

static int meter_many(struct meter *m, const struct wrap_call *call)
{
    const struct remote_many *many = call->many;

    lock_take(&m->lock);
    m->manys++;
    for (size_t i = 0; i < many->count; i++)
        m->bytes += many->v[i].expect->size;
    m->inside++;
    pthread_cond_broadcast(&m->cond);
    while (m->held && strncmp(call->path, "/d000/", 6) == 0 && !cancel_fired(cancel_bound()))
        lock_wait_until(&m->lock, &m->cond, clock_mono_ns() + 10 * NS_PER_MS);
    m->inside--;
    lock_drop(&m->lock);
    if (cancel_fired(cancel_bound()))
        return -EINTR;
    usleep(m->delay);
    if (m->torn)
        return fetch_torn(m, many);
    for (size_t i = 0; m->meanwhile && i < many->count; i++)
        m->meanwhile(m->wrap.inner, many->v[i].path);
    return wrap_forward(&m->wrap, call);
}

static int meter_around(struct wrap *w, const struct wrap_call *call)
{
    struct meter *m = (struct meter *)w;
    int r;

    if (call->op == WRAP_FETCH_MANY)
        return meter_many(m, call);
    if (call->op != WRAP_FETCH)
        return wrap_forward(w, call);
    lock_take(&m->lock);
    m->fetches++;
    m->bytes += call->len;
    m->inside++;
    m->most = m->inside > m->most ? m->inside : m->most;
    lock_drop(&m->lock);
    usleep(m->delay);
    r = wrap_forward(w, call);
    lock_take(&m->lock);
    m->inside--;
    lock_drop(&m->lock);
    return r;
}

static void meter_done(struct wrap *w)
{
    struct meter *m = (struct meter *)w;

    pthread_cond_destroy(&m->cond);
    lock_done(&m->lock);
}

static struct meter *meter;

static void up_as(struct rig *g, bool changes)
{
    meter = calloc(1, sizeof(*meter));
    wrap_init(&meter->wrap, remote_mem_new(0, 0), meter_around, meter_done);
    lock_init(&meter->lock);
    lock_cond_init(&meter->cond);
    rig_up(g, &(struct rig_config){.under = &meter->wrap.remote,
                                   .changes = changes,
                                   .coherence_ns = 600 * NS_PER_S});
    g->fs->ahead_age_ns = 0;
}

static void up(struct rig *g)
{
    up_as(g, false);
}

static void up_served(struct rig *g)
{
    up_as(g, true);
}

static unsigned requests(void)
{
    unsigned n;

    lock_take(&meter->lock);
    n = meter->fetches + meter->manys;
    lock_drop(&meter->lock);
    return n;
}

static void count_from_here(void)
{
    lock_take(&meter->lock);
    meter->fetches = meter->manys = meter->most = 0;
    meter->bytes = 0;
    lock_drop(&meter->lock);
}

static void hold(bool held)
{
    lock_take(&meter->lock);
    meter->held = held;
    pthread_cond_broadcast(&meter->cond);
    lock_drop(&meter->lock);
}

static void await_inside(unsigned inside)
{
    lock_take(&meter->lock);
    while (meter->inside < inside)
        lock_wait(&meter->lock, &meter->cond);
    lock_drop(&meter->lock);
}

/* ---- trees ---- */

enum { FILE_BYTES = 5000 };

static void fill(char *data, size_t len, const char *path)
{
    const size_t n = strlen(path);

    for (size_t i = 0; i < len; i++)
        data[i] = path[i % n];
}

static void make_tree(struct rig *g, unsigned dirs, unsigned files, size_t len)
{
    char path[64], *data = malloc(len);

    for (unsigned d = 0; d < dirs; d++) {
        snprintf(path, sizeof(path), "/d%03u", d);
        rig_mkdir(g, path);
        for (unsigned f = 0; f < files; f++) {
            snprintf(path, sizeof(path), "/d%03u/f%03u", d, f);
            fill(data, len, path);
            rig_put(g, path, data, len);
        }
    }
    free(data);
}

/* All listings are known, as after a find. */
static void list_tree(struct rig *g, unsigned dirs)
{
    char path[64], names[8192];

    assert_int_equal(rig_names(g, "/", names, sizeof(names)), 0);
    for (unsigned d = 0; d < dirs; d++) {
        snprintf(path, sizeof(path), "/d%03u", d);
        assert_int_equal(rig_names(g, path, names, sizeof(names)), 0);
    }
    scene_age();
}

static void expect_file(struct rig *g, unsigned d, unsigned f, size_t len)
{
    char path[64], *got = malloc(len + 1), *want = malloc(len);
    struct fs_file *file;

    snprintf(path, sizeof(path), "/d%03u/f%03u", d, f);
    fill(want, len, path);
    assert_int_equal(rig_open(g, path, O_RDONLY, &file), 0);
    assert_int_equal(fs_read(file, 0, got, len + 1), len);
    assert_memory_equal(got, want, len);
    assert_int_equal(rig_close(file), 0);
    free(want);
    free(got);
}

static void expect_tree(struct rig *g, unsigned dirs, unsigned files, size_t len)
{
    for (unsigned d = 0; d < dirs; d++)
        for (unsigned f = 0; f < files; f++)
            expect_file(g, d, f, len);
}

/* ---- small files ---- */

TEST(reading_a_tree_costs_few_requests)
{
    struct rig g;

    up(&g);
    make_tree(&g, 100, 10, FILE_BYTES);
    list_tree(&g, 100);
    meter->delay = 5000;
    count_from_here();
    expect_tree(&g, 100, 10, FILE_BYTES);
    assert_true(requests() <= 6);
    assert_true(meter->bytes <= 1000 * FILE_BYTES * 115 / 100);
    count_from_here();
    expect_tree(&g, 100, 10, FILE_BYTES);
    assert_int_equal(requests(), 0);
    rig_down(&g);
}

TEST(a_file_here_and_there_is_fetched_alone)
{
    struct rig g;

    up(&g);
    make_tree(&g, 10, 10, 100);
    list_tree(&g, 10);
    count_from_here();
    expect_file(&g, 3, 4, 100);
    expect_file(&g, 3, 4, 100);
    assert_int_equal(requests(), 1);
    expect_file(&g, 7, 2, 100); /* another directory: two opens make no walk */
    assert_int_equal(meter->manys, 0);
    rig_down(&g);
}

TEST(who_opens_few_of_what_a_walk_passes_gets_little_more)
{
    struct rig g;

    up(&g);
    make_tree(&g, 100, 10, FILE_BYTES);
    list_tree(&g, 100);
    count_from_here();
    for (unsigned d = 0; d < 100; d++)
        expect_file(&g, d, 9, FILE_BYTES);
    assert_true(meter->bytes <= 350 * FILE_BYTES);
    rig_down(&g);
}

TEST(whatever_is_lost_on_the_way_is_fetched_again)
{
    static const enum remote_fault_kind kinds[] = {REMOTE_FAULT_BEFORE, REMOTE_FAULT_AFTER,
                                                   REMOTE_FAULT_SHORT};
    struct rig g;

    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        for (unsigned nth = 2; nth < 4; nth++) {
            up(&g);
            make_tree(&g, 10, 10, 100);
            list_tree(&g, 10);
            expect_file(&g, 0, 0, 100);
            remote_fault_set(g.fault, nth, kinds[i], -EIO);
            /* The first call is the batch; the fault meets it or what follows: nobody but who
             * waits for a file alone may see it. */
            for (unsigned d = 0; d < 10; d++)
                for (unsigned f = 0; f < 10; f++) {
                    char path[64], got[200];

                    snprintf(path, sizeof(path), "/d%03u/f%03u", d, f);
                    if (rig_read(&g, path, got, sizeof(got)) < 0)
                        assert_int_equal(rig_read(&g, path, got, sizeof(got)), 0);
                }
            remote_fault_set(g.fault, 0, REMOTE_FAULT_BEFORE, 0);
            expect_tree(&g, 10, 10, 100);
            rig_down(&g);
        }
}

static void put_other(struct remote *r, const char *path)
{
    struct remote_put put = {.mtime_ns = INT64_MIN};
    struct remote_attr attr;
    FILE *f = tmpfile();
    char *other;

    assert_int_equal(remote_stat(r, path, &attr, NULL), 0);
    put.size = attr.size;
    other = malloc(attr.size);
    memset(other, '!', attr.size);
    assert_int_equal(pwrite(fileno(f), other, attr.size, 0), attr.size);
    free(other);
    put.fd = fileno(f);
    put.replace = &attr;
    put.mtime_ns = attr.mtime_ns; /* forged: only ctime tells */
    assert_int_equal(remote_put(r, path, &put, NULL), 0);
    fclose(f);
}

static void expect_other(struct rig *g, unsigned d, unsigned f)
{
    static char got[FILE_BYTES + 1];
    struct fs_file *file;
    char path[64];

    snprintf(path, sizeof(path), "/d%03u/f%03u", d, f);
    assert_int_equal(rig_open(g, path, O_RDONLY, &file), 0);
    assert_int_equal(fs_read(file, 0, got, sizeof(got)), FILE_BYTES);
    for (size_t i = 0; i < FILE_BYTES; i++)
        assert_int_equal(got[i], '!');
    assert_int_equal(rig_close(file), 0);
}

static void change_during_fetch(bool torn)
{
    struct rig g;

    up(&g);
    make_tree(&g, 1, 40, FILE_BYTES);
    list_tree(&g, 1);
    expect_file(&g, 0, 0, FILE_BYTES);
    meter->meanwhile = put_other;
    meter->torn = torn;
    for (unsigned f = 1; f < 40; f++) {
        char path[64], got[FILE_BYTES + 1];

        snprintf(path, sizeof(path), "/d000/f%03u", f);
        if (rig_read(&g, path, got, sizeof(got)) < 0) /* replaced: the kernel asks again */
            assert_int_equal(rig_read(&g, path, got, sizeof(got)), 0);
    }
    lock_take(&meter->lock);
    assert_true(meter->manys > 0);
    lock_drop(&meter->lock);
    meter->meanwhile = NULL;
    meter->torn = false;
    fs_lock(g.fs);
    while (g.fs->scans[0].batches > 0)
        assert_int_equal(fs_wait(g.fs), 0);
    fs_unlock(g.fs);
    fs_refresh(g.fs, NULL); /* the window is over: what is shown now must be what is there */
    for (unsigned f = 1; f < 17; f++)
        expect_other(&g, 0, f);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(a_file_that_changes_before_its_bytes_are_read_is_fetched_again)
{
    change_during_fetch(false);
}

TEST(a_file_that_changes_while_it_is_sent_is_not_shown_mixed)
{
    change_during_fetch(true);
}

/* What is looked at again before anybody gets it needs no look at the attributes to be dropped. */
TEST(a_long_file_that_changes_while_a_batch_is_sent_is_never_shown_mixed)
{
    enum { LONG = 50000, FILES = 20 };
    struct rig g;

    up_served(&g);
    make_tree(&g, 1, FILES, LONG);
    list_tree(&g, 1);
    meter->meanwhile = put_other;
    meter->torn = true;
    for (unsigned f = 0; f < FILES; f++) {
        char path[64], got[LONG + 1];

        snprintf(path, sizeof(path), "/d000/f%03u", f);
        assert_int_equal(rig_read(&g, path, got, sizeof(got)), 0);
        assert_int_equal(strlen(got), LONG);
        for (size_t i = 0; i < LONG; i++)
            if ((got[i] == '!') != (got[0] == '!'))
                fail_msg("%s is mixed at %zu", path, i);
    }
    lock_take(&meter->lock);
    assert_true(meter->manys > 0);
    lock_drop(&meter->lock);
    meter->meanwhile = NULL;
    rig_down(&g);
}

TEST(long_files_of_a_batch_cost_one_look_more)
{
    enum { LONG = 50000, FILES = 20 };
    struct tally_counts counts;
    struct rig g;

    up_served(&g);
    make_tree(&g, 1, FILES, LONG);
    list_tree(&g, 1);
    count_from_here();
    (void)tally_take(g.tally);
    expect_tree(&g, 1, FILES, LONG);
    counts = tally_take(g.tally);
    assert_int_equal(counts.changes, meter->manys);
    rig_down(&g);
}

TEST(young_files_are_fetched_alone)
{
    struct rig g;

    up(&g);
    make_tree(&g, 1, 10, 100);
    list_tree(&g, 1);
    g.fs->ahead_age_ns = 60 * NS_PER_S;
    count_from_here();
    expect_tree(&g, 1, 10, 100);
    assert_int_equal(meter->manys, 0);
    assert_int_equal(meter->fetches, 10);
    rig_down(&g);
}

struct opener {
    struct rig *g;
    const char *path;
    struct cancel *cancel;
    int result;
};

static void *open_one(void *arg)
{
    struct opener *o = arg;
    char got[200];

    cancel_bind(o->cancel);
    o->result = rig_read(o->g, o->path, got, sizeof(got));
    return NULL;
}

TEST(who_waits_for_a_batch_can_be_interrupted_and_others_go_on)
{
    struct rig g;
    struct opener o = {.g = &g, .path = "/d000/f001", .cancel = cancel_new()};
    char got[200];
    pthread_t t;

    up(&g);
    make_tree(&g, 3, 10, 100);
    list_tree(&g, 3);
    expect_file(&g, 0, 0, 100);
    hold(true);
    assert_int_equal(pthread_create(&t, NULL, open_one, &o), 0);
    await_inside(1);
    rig_put(&g, "/alone", "1", 1);
    fs_refresh(g.fs, "/");
    assert_int_equal(rig_read(&g, "/alone", got, sizeof(got)), 0); /* it is not held up */
    cancel_fire(o.cancel);
    pthread_join(t, NULL);
    assert_int_equal(o.result, -EINTR);
    hold(false);
    expect_tree(&g, 3, 10, 100);
    cancel_unref(o.cancel);
    rig_down(&g);
}

TEST(a_mount_ends_while_a_batch_is_under_way)
{
    struct rig g;
    struct opener o = {.g = &g, .path = "/d000/f001", .cancel = cancel_new()};
    pthread_t t;

    up(&g);
    make_tree(&g, 1, 10, 100);
    list_tree(&g, 1);
    expect_file(&g, 0, 0, 100);
    hold(true);
    assert_int_equal(pthread_create(&t, NULL, open_one, &o), 0);
    await_inside(1);
    cancel_fire(o.cancel);
    pthread_join(t, NULL);
    rig_down(&g); /* the request is stopped, not waited for */
    cancel_unref(o.cancel);
}

TEST(a_file_that_moved_here_while_it_was_fetched_is_fetched_again)
{
    struct rig g;
    struct opener o = {.g = &g, .path = "/d000/f001"};
    char got[200];
    pthread_t t;

    up(&g);
    make_tree(&g, 1, 10, 100);
    list_tree(&g, 1);
    expect_file(&g, 0, 0, 100);
    hold(true);
    assert_int_equal(pthread_create(&t, NULL, open_one, &o), 0);
    await_inside(1);
    assert_int_equal(rig_rename(&g, "/d000", "/moved", 0), 0);
    rig_mkdir(&g, "/d000");
    memset(got, '!', 100);
    rig_put(&g, "/d000/f005", got, 100); /* of the same size: only its place tells */
    hold(false);
    pthread_join(t, NULL);
    assert_int_equal(o.result, 0);
    fs_refresh(g.fs, NULL);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(a_cache_without_room_fetches_alone)
{
    struct rig g;

    meter = calloc(1, sizeof(*meter));
    wrap_init(&meter->wrap, remote_mem_new(0, 0), meter_around, meter_done);
    lock_init(&meter->lock);
    lock_cond_init(&meter->cond);
    rig_up(&g, &(struct rig_config){.under = &meter->wrap.remote,
                                    .coherence_ns = 600 * NS_PER_S,
                                    .cache_bytes = 3 * FILE_BYTES});
    g.fs->ahead_age_ns = 0;
    make_tree(&g, 10, 10, FILE_BYTES);
    list_tree(&g, 10);
    expect_tree(&g, 10, 10, FILE_BYTES);
    assert_true(meter->bytes <= 2 * 100 * FILE_BYTES);
    rig_down(&g);
}

/* ---- large files ---- */

enum { LARGE = 64 << 20 };

static void make_large(struct rig *g, const char *path)
{
    char *data = calloc(1, LARGE);

    for (size_t i = 0; i < LARGE; i += 1 << 18)
        memcpy(data + i, &i, sizeof(i));
    rig_put(g, path, data, LARGE);
    free(data);
    scene_age();
}

static void expect_large(struct fs_file *f, uint64_t off, size_t len)
{
    static char got[1 << 20];

    assert_int_equal(fs_read(f, off, got, len), len);
    if (off % (1 << 18) == 0)
        assert_memory_equal(got, &off, sizeof(off));
}

TEST(a_large_file_in_order_keeps_the_line_full)
{
    struct fs_file *f;
    struct rig g;

    up(&g);
    make_large(&g, "/large");
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    meter->delay = 3000;
    count_from_here();
    for (uint64_t off = 0; off < LARGE; off += 1 << 17)
        expect_large(f, off, 1 << 17);
    assert_true(requests() <= 22);
    assert_true(meter->bytes <= LARGE / 100 * 102);
    assert_true(meter->most >= 2);
    fs_release(f);
    rig_down(&g);
}

TEST(random_reads_fetch_little_more_than_they_ask_for)
{
    struct fs_file *f;
    struct rig g;

    up(&g);
    make_large(&g, "/large");
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    count_from_here();
    for (unsigned i = 1; i <= 100; i++)
        expect_large(f, ((uint64_t)(i * 7919 % 255) << 18) + 1, 4096);
    assert_true(requests() <= 100);
    assert_true(meter->bytes <= 100 * (8 << 10));
    fs_release(f);
    rig_down(&g);
}

TEST(small_steps_in_order_fetch_more_than_a_step)
{
    struct fs_file *f;
    struct rig g;

    up(&g);
    make_large(&g, "/large");
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    count_from_here();
    for (uint64_t off = 0; off < 1 << 18; off += 4096)
        expect_large(f, (8 << 20) + off, 4096);
    assert_true(requests() <= 6);
    assert_true(meter->bytes <= 1 << 19);
    fs_release(f);
    rig_down(&g);
}

TEST(who_reads_only_the_beginning_gets_little_more)
{
    struct fs_file *f;
    struct rig g;

    up(&g);
    make_large(&g, "/large");
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    count_from_here();
    for (uint64_t off = 0; off < 1 << 18; off += 4096)
        expect_large(f, off, 4096);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(requests(), 1);
    rig_down(&g);
}

TEST(a_window_that_nobody_will_read_is_not_begun)
{
    struct fs_file *f;
    struct rig g;

    up(&g);
    make_large(&g, "/large");
    meter->delay = 20000;
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    count_from_here();
    for (uint64_t off = 0; off < 4 << 20; off += 1 << 17)
        expect_large(f, off, 1 << 17);
    expect_large(f, 60 << 20, 4096); /* elsewhere */
    assert_int_equal(rig_close(f), 0);
    usleep(100000);
    assert_true(meter->bytes <= 4 * (4 << 20)); /* what it read, and three windows at most */
    rig_down(&g);
}

/* ---- across mounts ---- */

static void remount(struct rig *g)
{
    const struct fs_config config = {.root = "/",
                                     .mount_dir = "/mnt/box",
                                     .force_uid = -1,
                                     .force_gid = -1,
                                     .coherence_ns = 600 * NS_PER_S};

    g->fs = fs_free(g->fs);
    g->cache = cache_free(g->cache);
    assert_int_equal(cache_new(g->dir, 512 << 20, &g->cache), 0);
    assert_int_equal(cache_keep(g->cache, "box"), 0);
    assert_int_equal(fs_new(&config, g->remote, g->cache, &g->fs), 0);
    g->fs->ahead_age_ns = 0;
}

static void rig_down_kept(struct rig *g)
{
    char command[128];

    g->fs = fs_free(g->fs);
    g->cache = cache_free(g->cache);
    snprintf(command, sizeof(command), "rm -rf %s/*", g->dir);
    assert_int_equal(system(command), 0);
    rig_down(g);
}

TEST(what_was_read_needs_no_bytes_after_a_remount)
{
    struct fs_file *f;
    struct rig g;

    up(&g);
    remount(&g);
    make_tree(&g, 20, 10, FILE_BYTES);
    make_large(&g, "/large");
    list_tree(&g, 20);
    expect_tree(&g, 20, 10, FILE_BYTES);
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    for (uint64_t off = 0; off < LARGE; off += 1 << 20)
        expect_large(f, off, 1 << 20);
    assert_int_equal(rig_close(f), 0);
    remount(&g);
    count_from_here();
    expect_tree(&g, 20, 10, FILE_BYTES);
    assert_int_equal(rig_open(&g, "/large", O_RDONLY, &f), 0);
    for (uint64_t off = 0; off < LARGE; off += 1 << 20)
        expect_large(f, off, 1 << 20);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(requests(), 0);
    rig_down_kept(&g);
}

TEST(what_is_evicted_is_fetched_again_here_and_after_a_remount)
{
    struct fs_file *open, *written;
    struct rig g;
    size_t kept;

    up(&g);
    remount(&g);
    make_tree(&g, 3, 10, FILE_BYTES);
    list_tree(&g, 3);
    expect_tree(&g, 3, 10, FILE_BYTES);
    assert_int_equal(rig_open(&g, "/d001/f001", O_RDONLY, &open), 0);
    assert_int_equal(rig_create(&g, "/d001/new", O_WRONLY, &written), 0);
    assert_int_equal(fs_write(written, 0, "unsent", 6), 6);
    assert_int_equal(fs_evict(g.fs, "/d001/f002", &kept), 0);
    assert_int_equal(fs_evict(g.fs, "/d001/none", &kept), 0);
    assert_int_equal(fs_evict(g.fs, "/d001", &kept), -EBUSY);
    assert_int_equal(kept, 1);
    count_from_here();
    expect_file(&g, 1, 1, FILE_BYTES); /* somebody has it open */
    expect_file(&g, 0, 1, FILE_BYTES);
    expect_file(&g, 2, 1, FILE_BYTES);
    assert_int_equal(requests(), 0);
    expect_file(&g, 1, 2, FILE_BYTES);
    assert_int_equal(requests(), 1);
    assert_int_equal(rig_close(open), 0);
    assert_int_equal(rig_close(written), 0);
    rig_expect(&g, "/d001/new", "unsent");
    remount(&g);
    count_from_here();
    expect_file(&g, 0, 1, FILE_BYTES);
    expect_file(&g, 1, 2, FILE_BYTES); /* it was read, and kept, once more */
    assert_int_equal(requests(), 0);
    expect_file(&g, 1, 3, FILE_BYTES);
    assert_int_equal(requests(), 1);
    rig_down_kept(&g);
}

TEST(what_changed_between_two_mounts_is_fetched)
{
    struct rig g;

    up(&g);
    remount(&g);
    make_tree(&g, 1, 20, FILE_BYTES);
    list_tree(&g, 1);
    expect_tree(&g, 1, 20, FILE_BYTES);
    assert_int_equal(rig_write(&g, "/d000/f003", "ours"), 0);
    remount(&g);
    rig_expect(&g, "/d000/f003", "ours");
    put_other(g.remote, "/d000/f007"); /* same size and mtime */
    count_from_here();
    for (unsigned f = 0; f < 20; f++)
        if (f == 7)
            expect_other(&g, 0, 7);
        else if (f != 3)
            expect_file(&g, 0, f, FILE_BYTES);
    assert_int_equal(requests(), 1);
    rig_same_tree(&g, "/");
    rig_down_kept(&g);
}

TEST(what_was_written_to_while_it_was_kept_is_not_found)
{
    struct rig g;
    char got[16];

    up(&g);
    remount(&g);
    rig_put(&g, "/f", "first", 5);
    scene_age();
    for (unsigned i = 0; i < 20; i++) {
        char text[8];

        snprintf(text, sizeof(text), "%05u", i);
        assert_int_equal(rig_read(&g, "/f", got, sizeof(got)), 0); /* closing it begins to keep */
        assert_int_equal(rig_write(&g, "/f", text), 0);
        remount(&g);
        assert_int_equal(rig_read(&g, "/f", got, sizeof(got)), 0);
        assert_string_equal(got, text);
    }
    rig_down_kept(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reading_a_tree_costs_few_requests),
        cmocka_unit_test(a_file_here_and_there_is_fetched_alone),
        cmocka_unit_test(who_opens_few_of_what_a_walk_passes_gets_little_more),
        cmocka_unit_test(whatever_is_lost_on_the_way_is_fetched_again),
        cmocka_unit_test(a_file_that_changes_before_its_bytes_are_read_is_fetched_again),
        cmocka_unit_test(a_file_that_changes_while_it_is_sent_is_not_shown_mixed),
        cmocka_unit_test(a_long_file_that_changes_while_a_batch_is_sent_is_never_shown_mixed),
        cmocka_unit_test(long_files_of_a_batch_cost_one_look_more),
        cmocka_unit_test(young_files_are_fetched_alone),
        cmocka_unit_test(who_waits_for_a_batch_can_be_interrupted_and_others_go_on),
        cmocka_unit_test(a_mount_ends_while_a_batch_is_under_way),
        cmocka_unit_test(a_file_that_moved_here_while_it_was_fetched_is_fetched_again),
        cmocka_unit_test(a_cache_without_room_fetches_alone),
        cmocka_unit_test(a_large_file_in_order_keeps_the_line_full),
        cmocka_unit_test(random_reads_fetch_little_more_than_they_ask_for),
        cmocka_unit_test(small_steps_in_order_fetch_more_than_a_step),
        cmocka_unit_test(who_reads_only_the_beginning_gets_little_more),
        cmocka_unit_test(a_window_that_nobody_will_read_is_not_begun),
        cmocka_unit_test(what_was_read_needs_no_bytes_after_a_remount),
        cmocka_unit_test(what_is_evicted_is_fetched_again_here_and_after_a_remount),
        cmocka_unit_test(what_changed_between_two_mounts_is_fetched),
        cmocka_unit_test(what_was_written_to_while_it_was_kept_is_not_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
