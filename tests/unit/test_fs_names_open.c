/*
 * Two names of one file, both open: whatever is done through them, and with a third name, in every
 * order. All comes out as on a local file system, and nothing of it is a conflict.
 */
#include "scene.h"

#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STEPS = 3, TEXT = 64 };

/* What a local file system would have. */
struct local {
    char text[TEXT];
    size_t size;
    bool third;
};

struct both {
    struct rig g;
    struct local local;
    char first[32], second[128], third[32];
    struct fs_file *one, *two;
};

static void local_write(struct local *l, size_t off, const char *text)
{
    const size_t len = strlen(text);

    memcpy(l->text + off, text, len); /* below TEXT: the steps are few */
    if (off + len > l->size)
        l->size = off + len;
}

static void local_resize(struct local *l, size_t size)
{
    if (size < l->size)
        memset(l->text + size, 0, l->size - size);
    l->size = size;
}

static int write_at(struct both *b, struct fs_file *f, size_t off, const char *text)
{
    ssize_t r = fs_write_cached(f, off, text, strlen(text));

    if (r == -EAGAIN)
        r = fs_write(f, off, text, strlen(text));
    if (r < 0)
        return (int)r;
    local_write(&b->local, off, text);
    return 0;
}

static int write_one(struct both *b)
{
    return write_at(b, b->one, 0, "AA");
}

static int write_two(struct both *b)
{
    return write_at(b, b->two, 1, "BBB");
}

static int append(struct both *b, const char *path)
{
    struct fs_file *f;
    ssize_t r;

    r = rig_open(&b->g, path, O_WRONLY | O_APPEND, &f);
    if (r < 0)
        return (int)r;
    r = fs_write(f, 0, "+", 1);
    local_write(&b->local, b->local.size, "+");
    fs_release(f); /* without a flush: nobody waits */
    return r < 0 ? (int)r : 0;
}

static int append_first(struct both *b)
{
    return append(b, b->first);
}

static int append_second(struct both *b)
{
    return append(b, b->second);
}

static int set_size(struct both *b, const char *path, struct fs_file *f, size_t size)
{
    const struct stat st = {.st_size = (off_t)size};
    struct fs_entry e, got;
    int r = rig_find(&b->g, path, &e);

    if (r == 0) {
        r = fs_setattr(b->g.fs, e.ino, f, FS_SET_SIZE, &st, &got);
        rig_drop(&b->g, &e);
        local_resize(&b->local, size);
    }
    return r;
}

static int truncate_first(struct both *b)
{
    return set_size(b, b->first, NULL, 3);
}

static int truncate_two(struct both *b)
{
    return set_size(b, b->second, b->two, 5);
}

static int chmod_second(struct both *b)
{
    const struct stat st = {.st_mode = 0600};
    struct fs_entry e, got;
    int r = rig_find(&b->g, b->second, &e);

    if (r == 0) {
        r = fs_setattr(b->g.fs, e.ino, NULL, FS_SET_MODE, &st, &got);
        rig_drop(&b->g, &e);
    }
    return r;
}

/* Of the first, and the next time away again. */
static int link_third(struct both *b)
{
    struct fs_entry e, made;
    int r;

    if (b->local.third) {
        b->local.third = false;
        return rig_unlink(&b->g, b->third);
    }
    r = rig_find(&b->g, b->first, &e);
    if (r < 0)
        return r;
    r = fs_link(b->g.fs, e.ino, FS_ROOT, b->third + 1, &made);
    if (r == 0)
        rig_drop(&b->g, &made);
    rig_drop(&b->g, &e);
    b->local.third = true;
    return r;
}

static int fsync_one(struct both *b)
{
    return fs_fsync(b->one);
}

static int flush_two(struct both *b)
{
    return fs_flush(b->two);
}

static int expect_through(struct both *b, struct fs_file *f)
{
    char text[TEXT + 1] = {0};
    ssize_t got = fs_read_cached(f, 0, text, TEXT);

    if (got == -EAGAIN)
        got = fs_read(f, 0, text, TEXT);
    return got == (ssize_t)b->local.size && memcmp(text, b->local.text, b->local.size) == 0 ? 0
           : got < 0 ? (int)got
                     : -EBADMSG;
}

static int read_two(struct both *b)
{
    return expect_through(b, b->two);
}

static int stat_second(struct both *b)
{
    struct fs_entry e;
    int r = rig_find(&b->g, b->second, &e);

    if (r == 0)
        rig_drop(&b->g, &e);
    return r < 0 ? r : e.st.st_size == (off_t)b->local.size ? 0 : -ERANGE;
}

static int rename_second(struct both *b)
{
    char to[128];
    int r;

    snprintf(to, sizeof(to), "%.100s.x", b->second);
    r = rig_rename(&b->g, b->second, to, 0);
    strcpy(b->second, to);
    return r;
}

static const struct {
    const char *name;
    int (*run)(struct both *b);
} ops[] = {
    {"write one", write_one},
    {"write two", write_two},
    {"append to the first", append_first},
    {"append to the second", append_second},
    {"truncate the first", truncate_first},
    {"truncate two", truncate_two},
    {"chmod the second", chmod_second},
    {"link or unlink the third", link_third},
    {"fsync one", fsync_one},
    {"flush two", flush_two},
    {"read two", read_two},
    {"stat the second", stat_second},
    {"rename the second", rename_second},
};

/* How the two names came to be. */
static const char *const starts[] = {"both are there", "the link waits", "all of it waits"};

static void begin(struct both *b, unsigned start, unsigned run)
{
    struct fs_entry e, made;

    snprintf(b->first, sizeof(b->first), "/%u.one", run);
    snprintf(b->second, sizeof(b->second), "/%u.two", run);
    snprintf(b->third, sizeof(b->third), "/%u.three", run);
    memset(&b->local, 0, sizeof(b->local));
    local_write(&b->local, 0, "0123456");
    assert_int_equal(rig_write(&b->g, b->first, "0123456"), 0);
    if (start == 1)
        rig_settle(&b->g);
    assert_int_equal(rig_find(&b->g, b->first, &e), 0);
    assert_int_equal(fs_link(b->g.fs, e.ino, FS_ROOT, b->second + 1, &made), 0);
    rig_drop(&b->g, &made);
    rig_drop(&b->g, &e);
    if (start == 0)
        rig_settle(&b->g);
    assert_int_equal(rig_open(&b->g, b->first, O_RDWR, &b->one), 0);
    assert_int_equal(rig_open(&b->g, b->second, O_RDWR, &b->two), 0);
}

static int expect_name(struct both *b, const char *path)
{
    char text[TEXT + 1] = {0};
    const long got = rig_get(&b->g, path, text, TEXT);

    return got == (long)b->local.size && memcmp(text, b->local.text, b->local.size) == 0
               ? 0
               : (got < 0 ? (int)got : -EBADMSG);
}

static int finish(struct both *b)
{
    int r = rig_close(b->one), err;

    err = rig_close(b->two);
    r = r < 0 ? r : err;
    err = fs_sync(b->g.fs, NULL, NULL);
    r = r < 0 ? r : err;
    if (r == 0)
        r = expect_name(b, b->first);
    if (r == 0)
        r = expect_name(b, b->second);
    return r == 0 && b->local.third ? expect_name(b, b->third) : r;
}

static void up(struct both *b)
{
    UP_JOURNAL(&b->g);
    rig_names(&b->g, "/", (char[64]){0}, 64);
    flush_pause(b->g.fs->flush);
}

/* As many orders as a moment allows; ALL=1 in the environment: all of them, in a minute or two. */
TEST(two_names_that_are_open_at_once_are_one_file)
{
    const unsigned n = ARRAY_LEN(ops), every = getenv("ALL") ? 1 : 11;
    unsigned bad = 0;
    struct both b;

    up(&b);
    for (unsigned run = 0; run < ARRAY_LEN(starts) * n * n * n; run += every) {
        const unsigned steps[STEPS] = {run % n, run / n % n, run / n / n % n};
        const unsigned start = run / (n * n * n);
        int r = 0, end;

        begin(&b, start, run);
        for (unsigned i = 0; r == 0 && i < STEPS; i++)
            r = ops[steps[i]].run(&b);
        end = finish(&b);
        r = r < 0 ? r : end;
        if (r == 0)
            continue;
        bad++;
        print_error("%s: %s, %s, %s: %s\n", starts[start], ops[steps[0]].name, ops[steps[1]].name,
                    ops[steps[2]].name, strerror(-r));
        rig_down(&b.g);
        up(&b); /* what is kept aside is there for ever */
    }
    assert_int_equal(bad, 0);
    rig_down(&b.g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_names_that_are_open_at_once_are_one_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
