/*
 * What is written to files that are not here, or not whole: nothing is fetched for it that need not
 * be, what is read is what was written, and all of it outlives the process. SEED and OPS in the
 * environment repeat or lengthen the random run.
 */
#include "scene.h"

#include "fs/fs_internal.h"
#include "util/cancel.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BIG = 3 << 20 };

/* ---- what is fetched ---- */

TEST(a_patch_of_a_large_file_fetches_nothing_even_if_it_is_read_elsewhere)
{
    char text[100], *data;
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    data = scene_big(&g, "/big", BIG);
    assert_int_equal(rig_open(&g, "/big", O_RDWR, &f), 0);
    assert_int_equal(fs_read(f, 2 << 20, text, sizeof(text)), sizeof(text));
    tally_take(g.tally);
    assert_int_equal(fs_write(f, 100, "patch", 5), 5);
    assert_int_equal(fs_write(f, (2 << 20) + 10, "patch", 5), 5);
    assert_int_equal(fs_read(f, 2 << 20, text, sizeof(text)), sizeof(text));
    assert_memory_equal(text + 10, "patch", 5); /* what is here is read here, before it is sent */
    assert_int_equal(tally_take(g.tally).all, 0);
    /* Elsewhere the sandbox has what it had. */
    assert_int_equal(fs_read(f, 1 << 20, text, sizeof(text)), sizeof(text));
    assert_memory_equal(text, data + (1 << 20), sizeof(text));
    memcpy(data + 100, "patch", 5);
    memcpy(data + (2 << 20) + 10, "patch", 5);
    assert_int_equal(fs_read(f, 50, text, sizeof(text)), sizeof(text));
    assert_memory_equal(text, data + 50, sizeof(text));
    assert_int_equal(rig_close(f), 0);
    scene_expect_bytes(&g, "/big", data, BIG);
    free(data);
    rig_down(&g);
}

TEST(a_block_that_was_written_whole_is_read_back_without_asking)
{
    char *block = malloc(BLOB_BLOCK), *got = malloc(BLOB_BLOCK), *data;
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    data = scene_big(&g, "/big", BIG);
    memset(block, 'x', BLOB_BLOCK);
    assert_int_equal(rig_open(&g, "/big", O_RDWR, &f), 0);
    tally_take(g.tally);
    assert_int_equal(fs_write(f, 5 * BLOB_BLOCK, block, BLOB_BLOCK), BLOB_BLOCK);
    assert_int_equal(fs_read_cached(f, 5 * BLOB_BLOCK, got, BLOB_BLOCK), BLOB_BLOCK);
    assert_memory_equal(got, block, BLOB_BLOCK);
    /* And so is what lies beyond the end. */
    assert_int_equal(fs_write(f, BIG + BLOB_BLOCK, "end", 3), 3);
    assert_int_equal(fs_read_cached(f, BIG, got, BLOB_BLOCK), BLOB_BLOCK);
    for (unsigned i = 0; i < BLOB_BLOCK; i++)
        assert_int_equal(got[i], 0);
    assert_int_equal(fs_read_cached(f, BIG + BLOB_BLOCK, got, 10), 3);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(rig_close(f), 0);
    rig_settle(&g);
    tally_take(g.tally);
    assert_int_equal(rig_open(&g, "/big", O_RDONLY, &f), 0); /* nor once it is sent */
    assert_int_equal(fs_read_cached(f, 5 * BLOB_BLOCK, got, BLOB_BLOCK), BLOB_BLOCK);
    assert_memory_equal(got, block, BLOB_BLOCK);
    assert_int_equal(tally_take(g.tally).all, 0);
    assert_int_equal(rig_close(f), 0);
    free(block);
    free(got);
    free(data);
    rig_down(&g);
}

TEST(what_was_whole_here_stays_whole_when_it_is_patched)
{
    char text[32], want[32] = "one two three";
    struct fs_file *f;
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", want, 13);
    scene_age();
    assert_int_equal(rig_read(&g, "/f", text, sizeof(text)), 0);
    assert_int_equal(rig_open(&g, "/f", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 4, "TWO", 3), 3);
    assert_int_equal(rig_close(f), 0);
    rig_expect(&g, "/f", "one TWO three");
    tally_take(g.tally);
    assert_int_equal(rig_read(&g, "/f", text, sizeof(text)), 0);
    assert_string_equal(text, "one TWO three");
    assert_int_equal(tally_take(g.tally).all, 0);
    rig_down(&g);
}

static void append_line(struct rig *g, const char *path, const char *text)
{
    struct fs_file *f;

    assert_int_equal(rig_open(g, path, O_WRONLY | O_APPEND, &f), 0);
    assert_int_equal(fs_write(f, 0, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(rig_close(f), 0);
}

TEST(what_was_here_stays_here_when_it_is_added_to_unless_others_changed_it)
{
    char text[32];
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/log", "one\n", 4);
    scene_age();
    assert_int_equal(rig_read(&g, "/log", text, sizeof(text)), 0);
    append_line(&g, "/log", "two\n");
    rig_settle(&g);
    append_line(&g, "/log", "three\n"); /* in two batches, and what is said of both */
    append_line(&g, "/log", "four\n");
    rig_settle(&g);
    tally_take(g.tally);
    assert_int_equal(rig_read(&g, "/log", text, sizeof(text)), 0);
    assert_string_equal(text, "one\ntwo\nthree\nfour\n");
    assert_int_equal(tally_take(g.tally).all, 0);
    rig_expect(&g, "/log", text);

    rig_put(&g, "/log", "OTHER\n", 6);
    append_line(&g, "/log", "five\n");
    rig_settle(&g);
    assert_int_equal(rig_read(&g, "/log", text, sizeof(text)), 0);
    assert_string_equal(text, "OTHER\nfive\n");

    /* As long as before, but another one: only the base can tell. */
    rig_put(&g, "/log", "THEIRS\nnew\n", 11);
    append_line(&g, "/log", "six\n");
    rig_settle(&g);
    assert_int_equal(rig_read(&g, "/log", text, sizeof(text)), 0);
    assert_string_equal(text, "THEIRS\nnew\nsix\n");
    rig_down(&g);
}

/* ---- at random, with restarts ---- */

enum { NAMES = 4, HANDLES = 5, PIECE = 200000 };

struct object {
    char *data;           /* BIG bytes */
    size_t size, written; /* written: where, the last time */
    unsigned refs;
};

struct run {
    struct rig g;
    unsigned seed, step;
    unsigned long long rnd;
    struct object *names[NAMES]; /* NULL: no such file */
    struct {
        struct fs_file *file; /* NULL: not open */
        struct object *object;
        int flags;
    } handles[HANDLES];
    char *piece;
    char log[200];
};

static unsigned pick(struct run *r, unsigned n)
{
    r->rnd = r->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(r->rnd >> 33) % n;
}

#define SAY(r, ...) snprintf((r)->log, sizeof((r)->log), __VA_ARGS__)

static void same(struct run *r, const char *what, long long got, long long want)
{
    struct buf errors = BUF_INIT(1 << 20);

    if (got == want)
        return;
    if (fs_errors_text(r->g.fs, &errors) == 0)
        print_error("%s", buf_str(&errors));
    buf_done(&errors);
    fail_msg("SEED=%u step %u: %s: %s is %lld and not %lld", r->seed, r->step, r->log, what, got,
             want);
}

static void same_bytes(struct run *r, uint64_t off, const char *got, const char *want, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (got[i] != want[i])
            fail_msg("SEED=%u step %u: %s: byte %llu is %d and not %d", r->seed, r->step, r->log,
                     (unsigned long long)(off + i), got[i], want[i]);
}

static struct object *object_new(void)
{
    struct object *o = calloc(1, sizeof(*o));

    o->data = calloc(1, BIG + PIECE);
    o->refs = 1;
    return o;
}

static void object_unref(struct object *o)
{
    if (!o || --o->refs > 0)
        return;
    free(o->data);
    free(o);
}

static void resize(struct object *o, size_t size)
{
    if (size < o->size)
        memset(o->data + size, 0, o->size - size);
    o->size = size;
}

static const char *name_of(unsigned i)
{
    static const char *const names[NAMES] = {"/a", "/b", "/c", "/d"};

    return names[i];
}

/* Often where blocks begin or end. */
static size_t pick_off(struct run *r, size_t most)
{
    const size_t off = pick(r, (unsigned)most + 1);

    return pick(r, 3) ? off : off / BLOB_BLOCK * BLOB_BLOCK;
}

static int find_handle(struct run *r, bool open)
{
    const unsigned start = pick(r, HANDLES);

    for (unsigned i = 0; i < HANDLES; i++)
        if (!r->handles[(start + i) % HANDLES].file == !open)
            return (int)((start + i) % HANDLES);
    return -1;
}

static void op_open(struct run *r)
{
    static const int flags_of[] = {
        O_RDONLY,          O_RDWR,          O_RDWR, O_WRONLY, O_WRONLY | O_APPEND,
        O_RDWR | O_APPEND, O_RDWR | O_TRUNC};
    const int flags = flags_of[pick(r, ARRAY_LEN(flags_of))], h = find_handle(r, false);
    const unsigned n = pick(r, NAMES);

    if (h < 0)
        return;
    SAY(r, "open %s flags %x", name_of(n), (unsigned)flags);
    if (r->names[n]) {
        same(r, "result", rig_open(&r->g, name_of(n), flags, &r->handles[h].file), 0);
        if (flags & O_TRUNC)
            resize(r->names[n], 0);
    } else {
        same(r, "result", rig_create(&r->g, name_of(n), flags, &r->handles[h].file), 0);
        r->names[n] = object_new();
    }
    r->handles[h].object = r->names[n];
    r->handles[h].object->refs++;
    r->handles[h].flags = flags;
}

static void op_write(struct run *r)
{
    const int h = find_handle(r, true);
    const size_t n = 1 + (pick(r, 2) ? pick(r, PIECE - 1) : pick(r, 4000));
    struct object *o;
    size_t off;

    if (h < 0 || (r->handles[h].flags & O_ACCMODE) == O_RDONLY)
        return;
    o = r->handles[h].object;
    off = pick_off(r, BIG - PIECE);
    if (r->handles[h].flags & O_APPEND)
        off = o->size;
    if (off + n > BIG)
        return;
    for (size_t i = 0; i < n; i++)
        r->piece[i] = (char)('A' + (i * 7 + r->step) % 26);
    SAY(r, "write handle %d at %zu %zu bytes", h, off, n);
    same(r, "result", fs_write(r->handles[h].file, off, r->piece, n), (long long)n);
    memcpy(o->data + off, r->piece, n);
    o->written = off;
    if (off + n > o->size)
        o->size = off + n;
}

static void op_read(struct run *r)
{
    const int h = find_handle(r, true);
    const size_t n = 1 + pick(r, PIECE - 1);
    struct object *o;
    size_t off, want;

    if (h < 0 || (r->handles[h].flags & O_ACCMODE) == O_WRONLY)
        return;
    o = r->handles[h].object;
    off = pick(r, 2) ? pick_off(r, BIG - PIECE) : o->written - pick(r, o->written < 100 ? 1 : 100);
    want = off >= o->size ? 0 : n < o->size - off ? n : o->size - off;
    SAY(r, "read handle %d at %zu %zu bytes", h, off, n);
    same(r, "result", fs_read(r->handles[h].file, off, r->piece, n), (long long)want);
    same_bytes(r, off, r->piece, o->data + off, want);
}

static void op_truncate(struct run *r)
{
    const int h = find_handle(r, true);
    struct stat st = {.st_size = (off_t)pick_off(r, BIG)};
    struct fs_entry e;

    if (h < 0 || (r->handles[h].flags & O_ACCMODE) == O_RDONLY)
        return;
    SAY(r, "truncate handle %d to %lld", h, (long long)st.st_size);
    same(r, "result",
         fs_setattr(r->g.fs, fs_file_ino(r->handles[h].file), r->handles[h].file, FS_SET_SIZE, &st,
                    &e),
         0);
    resize(r->handles[h].object, (size_t)st.st_size);
    same(r, "size", e.st.st_size, st.st_size);
}

static void op_truncate_path(struct run *r)
{
    const unsigned n = pick(r, NAMES);
    struct stat st = {.st_size = (off_t)pick_off(r, BIG)};
    struct fs_entry e, now;

    if (!r->names[n])
        return;
    SAY(r, "truncate %s to %lld", name_of(n), (long long)st.st_size);
    same(r, "find", rig_find(&r->g, name_of(n), &e), 0);
    same(r, "result", fs_setattr(r->g.fs, e.ino, NULL, FS_SET_SIZE, &st, &now), 0);
    rig_drop(&r->g, &e);
    resize(r->names[n], (size_t)st.st_size);
}

static void drop_handle(struct run *r, unsigned h, bool flush)
{
    if (!r->handles[h].file)
        return;
    if (flush)
        same(r, "flush", fs_flush(r->handles[h].file), 0);
    fs_release(r->handles[h].file);
    object_unref(r->handles[h].object);
    r->handles[h].file = NULL;
    r->handles[h].object = NULL;
}

static void op_close(struct run *r)
{
    const int h = find_handle(r, true);

    if (h < 0)
        return;
    SAY(r, "close handle %d", h);
    drop_handle(r, (unsigned)h, true);
}

static void op_fsync(struct run *r)
{
    const int h = find_handle(r, true);

    if (h < 0)
        return;
    SAY(r, "fsync handle %d", h);
    same(r, "result", fs_fsync(r->handles[h].file), 0);
}

static void op_unlink(struct run *r)
{
    const unsigned n = pick(r, NAMES);

    if (!r->names[n])
        return;
    SAY(r, "unlink %s", name_of(n));
    same(r, "result", rig_unlink(&r->g, name_of(n)), 0);
    object_unref(r->names[n]);
    r->names[n] = NULL;
}

static void op_rename(struct run *r)
{
    const unsigned from = pick(r, NAMES), to = pick(r, NAMES);

    if (!r->names[from] || from == to)
        return;
    SAY(r, "rename %s %s", name_of(from), name_of(to));
    same(r, "result", rig_rename(&r->g, name_of(from), name_of(to), 0), 0);
    object_unref(r->names[to]);
    r->names[to] = r->names[from];
    r->names[from] = NULL;
}

static void expect_all(struct run *r)
{
    char *got = malloc(BIG + 1);

    for (unsigned n = 0; n < NAMES; n++) {
        const struct object *o = r->names[n];
        const long size = rig_get(&r->g, name_of(n), got, BIG + 1);

        SAY(r, "%s in the sandbox", name_of(n));
        same(r, "size", size, o ? (long)o->size : -ENOENT);
        same_bytes(r, 0, got, o ? o->data : NULL, o ? o->size : 0);
    }
    free(got);
}

static void op_sync(struct run *r)
{
    SAY(r, "sync");
    same(r, "result", fs_sync(r->g.fs, NULL, NULL), 0);
    if (pick(r, 4) == 0)
        expect_all(r);
}

/* Open handles go as a killed program's do. The line may break in the middle of a batch before. */
static void op_restart(struct run *r)
{
    if (pick(r, 4))
        return;
    if (pick(r, 2))
        remote_mem_stop_after(r->g.inside, pick(r, 6), -ETIMEDOUT);
    SAY(r, "restart");
    for (unsigned h = 0; h < HANDLES; h++)
        drop_handle(r, h, false);
    if (pick(r, 2))
        usleep(3000); /* some of it may go */
    remote_mem_stop_after(r->g.inside, SIZE_MAX, 0);
    rig_restart(&r->g);
    if (pick(r, 2))
        expect_all(r);
}

/* A program in the sandbox writes a file anew, of which then nothing is here. */
static void op_inside(struct run *r)
{
    const unsigned n = pick(r, NAMES);
    struct object *o = r->names[n];

    if (o && o->refs > 1)
        return;
    SAY(r, "%s is written in the sandbox", name_of(n));
    if (!o)
        o = r->names[n] = object_new();
    resize(o, BIG - pick(r, BIG / 2));
    for (size_t i = 0; i < o->size; i++)
        o->data[i] = (char)('a' + (i * 5 + r->step) % 26);
    rig_put(&r->g, name_of(n), o->data, o->size);
    fs_refresh(r->g.fs, NULL);
}

static void op_refresh(struct run *r)
{
    SAY(r, "refresh");
    fs_refresh(r->g.fs, NULL);
}

typedef void (*op_fn)(struct run *r);
static const op_fn ops[] = {
    op_open,   op_open, op_write,    op_write,         op_write,  op_write, op_read,  op_read,
    op_read,   op_read, op_truncate, op_truncate_path, op_close,  op_close, op_fsync, op_unlink,
    op_rename, op_sync, op_restart,  op_refresh,       op_inside, op_inside};

static void run(unsigned seed, unsigned count, int64_t coherence_ns, bool keep)
{
    struct run *r = calloc(1, sizeof(*r));

    r->seed = seed;
    r->rnd = seed;
    r->piece = malloc(PIECE);
    rig_up(&r->g,
           &(struct rig_config){.journal = true, .keep = keep, .coherence_ns = coherence_ns});
    for (; r->step < count; r->step++)
        ops[pick(r, ARRAY_LEN(ops))](r);
    for (unsigned h = 0; h < HANDLES; h++)
        drop_handle(r, h, true);
    expect_all(r);
    for (unsigned n = 0; n < NAMES; n++)
        object_unref(r->names[n]);
    rig_down(&r->g);
    free(r->piece);
    free(r);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

TEST(large_files_are_what_was_written_to_them_whenever_the_process_dies)
{
    const unsigned seed = number_from("SEED", 20261122), count = number_from("OPS", 600);

    run(seed, count, 600 * NS_PER_S, false);
    run(seed + 1, count, -1, true);
}

/* ---- when the journal is full ---- */

TEST(who_makes_or_empties_a_file_waits_while_the_journal_is_full)
{
    struct cancel *cancel = cancel_new();
    struct fs_open_hints hints;
    struct fs_entry e, made;
    struct fs_file *f;
    char name[8];
    struct rig g;

    UP_JOURNAL(&g, .limits.max_records = 8);
    rig_put(&g, "/old", "text", 4);
    assert_int_equal(rig_find(&g, "/old", &e), 0);
    assert_int_equal(fs_pause(g.fs), 0);
    for (int i = 0; i < 5; i++) { /* more than half of what it takes */
        snprintf(name, sizeof(name), "d%d", i);
        assert_int_equal(fs_mkdir(g.fs, FS_ROOT, name, 0755, &made), 0);
        rig_drop(&g, &made);
    }
    cancel_fire(cancel);
    cancel_bind(cancel);
    assert_int_equal(fs_create(g.fs, FS_ROOT, "new", 0644, O_WRONLY | O_CREAT, &made, &f, &hints),
                     -EINTR);
    assert_int_equal(fs_open(g.fs, e.ino, O_WRONLY | O_TRUNC, &f, &hints), -EINTR);
    assert_int_equal(fs_open(g.fs, e.ino, O_WRONLY, &f, &hints), 0);
    cancel_bind(NULL);
    fs_release(f);
    rig_drop(&g, &e);
    assert_int_equal(fs_resume(g.fs), 0);
    rig_settle(&g);
    rig_expect(&g, "/old", "text");
    rig_down(&g);
    cancel_unref(cancel);
}

/* ---- over what nobody has seen ---- */

static int save(struct rig *g, const char *text)
{
    struct fs_file *f;
    int r = rig_open(g, "/f", O_WRONLY | O_TRUNC, &f);

    assert_int_equal(r, 0);
    r = fs_write(f, 0, text, strlen(text)) == (ssize_t)strlen(text) ? fs_fsync(f) : -EIO;
    (void)rig_close(f);
    return r;
}

/* An editor is told of the conflict, and puts its backup copy back: that must not go over theirs.
 * Who has read it may write over it, as may who has settled the conflict. */
TEST(what_is_written_over_theirs_unseen_conflicts_too)
{
    char text[64];
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", "first", 5);
    scene_age();
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    rig_put(&g, "/f", "theirs", 6);
    for (int i = 0; i < 3; i++)
        assert_int_equal(save(&g, i == 0 ? "ours" : "first"), -EIO);
    rig_expect(&g, "/f", "theirs");
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    assert_string_equal(text, "theirs");
    assert_int_equal(save(&g, "over it"), 0);
    rig_expect(&g, "/f", "over it");

    rig_put(&g, "/f", "theirs again", 12);
    assert_int_equal(save(&g, "ours"), -EIO);
    assert_int_equal(fs_keep(g.fs, "/f", false), 0);
    assert_int_equal(save(&g, "known by now"), 0);
    rig_expect(&g, "/f", "known by now");
    rig_down(&g);
}

/* The same by names: the file is moved out of the way, and made anew before anybody could know that
 * the move was in conflict; or new ones are renamed over it, one after the other. */
TEST(nor_is_it_taken_away_or_renamed_over_unseen)
{
    char text[64];
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", "first", 5);
    scene_age();
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    rig_put(&g, "/f", "theirs", 6);
    assert_int_equal(rig_rename(&g, "/f", "/f~", 0), 0);
    rig_settle(&g);
    assert_int_equal(save(&g, "ours"), -EIO);
    rig_expect(&g, "/f", "theirs");
    assert_int_equal(fs_discard(g.fs, NULL), 0);

    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    rig_put(&g, "/f", "theirs again", 12);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(rig_write(&g, "/new", "ours"), 0);
        assert_int_equal(rig_rename(&g, "/new", "/f", 0), 0);
        rig_settle(&g);
        rig_expect(&g, "/f", "theirs again");
    }
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    assert_int_equal(rig_write(&g, "/new", "ours at last"), 0);
    assert_int_equal(rig_rename(&g, "/new", "/f", 0), 0);
    rig_settle(&g);
    rig_expect(&g, "/f", "ours at last");
    rig_down(&g);
}

static void save_inside(void *arg)
{
    struct rig *g = arg;

    inside_move(g, "/theirs", "/f");
    tally_on_exchange(g->tally, NULL, NULL);
}

/* The kernel knows what it exchanges: it is told to look once more. */
static int exchange(struct rig *g, const char *from, const char *to)
{
    struct fs_entry e[2];
    int r = -ESTALE;

    for (unsigned i = 0; i < 2 && r == -ESTALE; i++) {
        assert_int_equal(rig_find(g, from, &e[0]), 0);
        assert_int_equal(rig_find(g, to, &e[1]), 0);
        r = rig_rename(g, from, to, RENAME_EXCHANGE);
        rig_drop(g, &e[0]);
        rig_drop(g, &e[1]);
    }
    return r;
}

TEST(what_is_saved_before_an_exchange_comes_out_of_it)
{
    char text[64];
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", "first", 5);
    rig_put(&g, "/theirs", "theirs", 6);
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    assert_int_equal(rig_write(&g, "/ours", "ours"), 0);
    tally_on_exchange(g.tally, save_inside, &g);
    assert_int_equal(exchange(&g, "/ours", "/f"), 0);
    rig_expect(&g, "/f", "ours");
    rig_expect(&g, "/ours", "theirs");
    assert_true(rig_read(&g, "/ours", text, sizeof(text)) >= 0);
    assert_string_equal(text, "theirs");
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    assert_string_equal(text, "ours");
    rig_down(&g);
}

/* The kernel has looked it up before it was replaced, and its old content is still here. */
TEST(a_name_that_has_another_file_by_now_is_not_opened_with_the_old_content)
{
    struct fs_open_hints hints;
    struct fs_entry before;
    struct fs_file *f;
    char text[64] = "";
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", "first", 5);
    rig_put(&g, "/g", "theirs, another file", 20);
    scene_age();
    assert_true(rig_read(&g, "/f", text, sizeof(text)) >= 0);
    assert_int_equal(rig_find(&g, "/f", &before), 0);
    assert_int_equal(remote_rename(g.inside, "/g", "/f", 0, NULL), 0);
    fs_refresh(g.fs, "/f");
    assert_int_equal(fs_open(g.fs, before.ino, O_RDONLY, &f, &hints), 0);
    assert_int_equal(fs_read(f, 0, text, 60), 20);
    assert_memory_equal(text, "theirs, another file", 20);
    assert_int_equal(rig_close(f), 0);
    rig_drop(&g, &before);
    rig_down(&g);
}

/* Before the journal has it: what was refused here must not be sent, nor be refused there. */
TEST(what_is_too_large_to_be_shown_is_refused_at_once)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    struct fs_file *f;
    struct stat st = {.st_size = INT64_C(1) << 62};
    struct rig g;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", "first", 5);
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    assert_int_equal(fs_open(g.fs, e.ino, O_WRONLY, &f, &hints), 0);
    assert_int_equal(fs_write(f, UINT64_C(1) << 62, "x", 1), -EFBIG);
    assert_int_equal(fs_fallocate(f, 0, UINT64_C(1) << 62, 1), -EFBIG);
    assert_int_equal(fs_setattr(g.fs, e.ino, f, FS_SET_SIZE, &st, &e), -EFBIG);
    assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_SIZE, &st, &e), -EFBIG);
    assert_int_equal(fs_unsent(g.fs, NULL), 0);
    assert_int_equal(rig_close(f), 0);
    rig_settle(&g);
    rig_expect(&g, "/f", "first");
    rig_drop(&g, &e);
    rig_down(&g);
}

/* ---- what is meant ---- */

/* A file system gives the number of a file that is gone to the next one. Whose mode is set is told
 * by that number, and by its birth. */
TEST(a_mode_is_not_given_to_a_later_file_with_the_same_number)
{
    struct fs_entry e;
    struct stat st = {.st_mode = 0600};
    struct rig g;
    uint64_t ino;

    UP_JOURNAL(&g);
    rig_put(&g, "/f", "first", 5);
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    flush_pause(g.fs->flush);
    assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_MODE, &st, &e), 0);
    ino = inside_attr(&g, "/f").ino;
    inside_unlink(&g, "/f");
    remote_mem_reuse_ino(g.inside, ino);
    inside_put(&g, "/f", "other");
    assert_int_equal(inside_attr(&g, "/f").ino, ino);
    assert_int_equal(fs_sync(g.fs, NULL, NULL), -EIO);
    assert_int_equal(inside_attr(&g, "/f").mode & 0777, 0644);
    rig_drop(&g, &e);
    rig_down(&g);
}

/* ---- the times of directories ---- */

static int64_t shown_time(struct rig *g, const char *path)
{
    struct fs_entry e;

    assert_int_equal(rig_find(g, path, &e), 0);
    rig_drop(g, &e);
    return timespec_to_ns(e.st.st_mtim);
}

/* make compares them with those of files. */
TEST(what_is_sent_moves_no_time_of_its_directory)
{
    int64_t first_ns, made_ns;
    struct rig g;

    rig_up(&g, &(struct rig_config){.journal = true, .coherence_ns = -1});
    rig_mkdir(&g, "/d");
    rig_put(&g, "/d/old", "old", 3);
    rig_names(&g, "/d", (char[64]){0}, 64);
    first_ns = shown_time(&g, "/d");

    flush_pause(g.fs->flush);
    assert_int_equal(rig_write(&g, "/d/new", "text"), 0);
    made_ns = shown_time(&g, "/d");
    assert_true(made_ns > first_ns);
    usleep(20000);
    rig_settle(&g);
    assert_true(inside_attr(&g, "/d").mtime_ns > made_ns);
    assert_int_equal(shown_time(&g, "/d"), made_ns);

    assert_int_equal(rig_write(&g, "/d/old", "written"), 0); /* no name comes or goes */
    assert_int_equal(shown_time(&g, "/d"), made_ns);
    rig_settle(&g);
    assert_int_equal(shown_time(&g, "/d"), made_ns);
    rig_restart(&g);
    rig_names(&g, "/d", (char[64]){0}, 64);
    assert_int_equal(rig_write(&g, "/d/old", "again"), 0);
    first_ns = shown_time(&g, "/d");
    rig_settle(&g);
    assert_int_equal(shown_time(&g, "/d"), first_ns); /* also if it was the sandbox's */

    assert_int_equal(rig_unlink(&g, "/d/new"), 0);
    made_ns = shown_time(&g, "/d");
    assert_true(made_ns > first_ns);
    rig_settle(&g);
    assert_int_equal(shown_time(&g, "/d"), made_ns);

    /* What they do there moves it; also while ours is on its way. */
    rig_put(&g, "/d/theirs", "theirs", 6);
    assert_int_equal(shown_time(&g, "/d"), inside_attr(&g, "/d").mtime_ns);
    flush_pause(g.fs->flush);
    assert_int_equal(rig_write(&g, "/d/ours", "ours"), 0);
    inside_create(&g, "/d/also");
    (void)shown_time(&g, "/d/also");
    rig_settle(&g);
    assert_int_equal(shown_time(&g, "/d"), inside_attr(&g, "/d").mtime_ns);
    inside_unlink(&g, "/d/also");
    assert_int_equal(shown_time(&g, "/d"), inside_attr(&g, "/d").mtime_ns);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mode_is_not_given_to_a_later_file_with_the_same_number),
        cmocka_unit_test(what_is_sent_moves_no_time_of_its_directory),
        cmocka_unit_test(a_name_that_has_another_file_by_now_is_not_opened_with_the_old_content),
        cmocka_unit_test(what_is_saved_before_an_exchange_comes_out_of_it),
        cmocka_unit_test(what_is_written_over_theirs_unseen_conflicts_too),
        cmocka_unit_test(what_is_too_large_to_be_shown_is_refused_at_once),
        cmocka_unit_test(nor_is_it_taken_away_or_renamed_over_unseen),
        cmocka_unit_test(a_patch_of_a_large_file_fetches_nothing_even_if_it_is_read_elsewhere),
        cmocka_unit_test(a_block_that_was_written_whole_is_read_back_without_asking),
        cmocka_unit_test(what_was_here_stays_here_when_it_is_added_to_unless_others_changed_it),
        cmocka_unit_test(what_was_whole_here_stays_whole_when_it_is_patched),
        cmocka_unit_test(large_files_are_what_was_written_to_them_whenever_the_process_dies),
        cmocka_unit_test(who_makes_or_empties_a_file_waits_while_the_journal_is_full),
    };

    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
