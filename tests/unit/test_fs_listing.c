/* What the kernel may keep of a directory's listing, and when it must not. */
#include "scene.h"

#include "util/clock.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

static const int64_t window_ns = 600 * NS_PER_S;

static void up(struct rig *g)
{
    rig_up(g, &(struct rig_config){.changes = true, .coherence_ns = window_ns});
    rig_mkdir(g, "/d");
    for (int i = 0; i < 5; i++) {
        char path[16];

        snprintf(path, sizeof(path), "/d/f%d", i);
        inside_create(g, path);
    }
}

static struct fs_dir *open_dir(struct rig *g, bool cache, bool keep)
{
    struct fs_dir_hints hints;
    struct fs_dir *dir;
    struct fs_entry e;

    assert_int_equal(rig_find(g, "/d", &e), 0);
    assert_int_equal(fs_opendir(g->fs, e.ino, &dir), 0);
    rig_drop(g, &e);
    hints = fs_dir_hints(dir);
    assert_int_equal(hints.cache, cache);
    assert_int_equal(hints.keep, keep);
    return dir;
}

struct held {
    uint64_t ino[16];
    unsigned count, left; /* left: to be accepted */
};

static int hold(void *arg, const char *name, const struct fs_entry *e, uint64_t next)
{
    struct held *h = arg;

    if (h->left == 0)
        return 1;
    h->left--;
    if (*name != '.')
        h->ino[h->count++] = e->ino;
    return 0;
}

/* As the kernel does it, which then has all entries. */
static void read_all(struct fs_dir *dir, struct held *h)
{
    h->left = ARRAY_LEN(h->ino) - h->count;
    assert_int_equal(fs_readdir(dir, 0, true, hold, h), 0);
}

static void forget(struct rig *g, struct held *h)
{
    while (h->count > 0)
        fs_forget(g->fs, h->ino[--h->count], 1);
}

static void look(struct rig *g, bool cache, bool keep, struct held *h)
{
    struct fs_dir *dir = open_dir(g, cache, keep);

    if (!keep)
        read_all(dir, h);
    fs_releasedir(dir);
}

TEST(a_listing_is_kept_as_long_as_its_answer)
{
    struct held h = {0}, again = {0};
    struct rig g;

    up(&g);
    look(&g, true, false, &h);
    look(&g, true, true, &h);
    fs_refresh(g.fs, NULL); /* another answer, and with it new attributes */
    look(&g, true, false, &again);
    look(&g, true, true, &again);
    forget(&g, &again);
    forget(&g, &h);
    look(&g, true, false, &h); /* each entry would be asked for alone */
    forget(&g, &h);
    rig_down(&g);
}

TEST(a_name_that_comes_or_goes_ends_it)
{
    struct held h = {0}, again = {0};
    struct rig g;

    up(&g);
    look(&g, true, false, &h);
    assert_int_equal(rig_write(&g, "/d/new", "x"), 0);
    look(&g, true, false, &again);
    assert_int_equal(again.count, 6);
    look(&g, true, true, &again);
    forget(&g, &again);
    assert_int_equal(rig_unlink(&g, "/d/f0"), 0);
    look(&g, true, false, &again);
    assert_int_equal(again.count, 5);
    forget(&g, &again);
    forget(&g, &h);
    rig_down(&g);
}

TEST(two_states_of_a_directory_are_never_told_as_one)
{
    struct fs_dir *before, *after;
    struct held h = {.left = 3}, again = {0};
    struct rig g;

    up(&g);
    before = open_dir(&g, true, false);
    assert_int_equal(fs_readdir(before, 0, true, hold, &h), 0);
    assert_int_equal(rig_write(&g, "/d/new", "x"), 0);
    after = open_dir(&g, false, false);
    read_all(after, &again);
    fs_releasedir(after);
    h.left = 1;
    assert_int_equal(fs_readdir(before, 3, true, hold, &h), 0);
    /* rewinddir: from here on it, too, is of the new one */
    forget(&g, &h);
    read_all(before, &h);
    assert_int_equal(h.count, 6);
    after = open_dir(&g, true, false);
    fs_releasedir(after);
    fs_releasedir(before);
    forget(&g, &h);
    forget(&g, &again);
    rig_down(&g);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_listing_is_kept_as_long_as_its_answer),
        cmocka_unit_test(a_name_that_comes_or_goes_ends_it),
        cmocka_unit_test(two_states_of_a_directory_are_never_told_as_one),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
