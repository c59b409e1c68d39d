#include "scene.h"

#include "fs/fs_internal.h"
#include "fs/shown.h"
#include "gate.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/sha256.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define UP(g, ...) rig_up(g, &(struct rig_config){__VA_ARGS__})
#define CALLS(g) remote_fault_calls((g)->fault)
#define COUNT_FROM_HERE(g) remote_fault_set((g)->fault, 0, REMOTE_FAULT_BEFORE, 0)

static struct stat stat_of(struct rig *g, const char *path)
{
    struct fs_entry e;

    assert_int_equal(rig_find(g, path, &e), 0);
    assert_int_equal(fs_getattr(g->fs, e.ino, NULL, &e), 0);
    rig_drop(g, &e);
    return e.st;
}

static uint64_t ino_of(struct rig *g, const char *path)
{
    struct fs_entry e;

    assert_int_equal(rig_find(g, path, &e), 0);
    rig_drop(g, &e);
    return e.ino;
}

static void expect_text(struct rig *g, const char *path, const char *text)
{
    char got[4096];

    assert_int_equal(rig_read(g, path, got, sizeof(got)), 0);
    assert_string_equal(got, text);
}

/* ---- metadata ---- */

TEST(one_request_answers_for_all_names_of_a_directory)
{
    struct rig g;
    struct fs_entry e;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "a", 1);
    rig_put(&g, "/b", "b", 1);
    COUNT_FROM_HERE(&g);
    stat_of(&g, "/a");
    stat_of(&g, "/b");
    assert_int_equal(rig_find(&g, "/missing", &e), -ENOENT);
    assert_int_equal(fs_lookup_cached(g.fs, FS_ROOT, "missing too", &e), 0);
    assert_int_equal(e.ino, 0);
    assert_true(e.ttl_ns > 0);
    assert_int_equal(CALLS(&g), 1);
    rig_down(&g);
}

TEST(a_change_in_the_sandbox_is_seen_when_the_window_is_over)
{
    struct rig g;
    struct fs_entry e;

    UP(&g, .coherence_ns = 50 * NS_PER_MS);
    assert_int_equal(rig_find(&g, "/new", &e), -ENOENT);
    rig_put(&g, "/new", "x", 1);
    usleep(60000);
    assert_int_equal(fs_lookup_cached(g.fs, FS_ROOT, "new", &e), -EAGAIN);
    expect_text(&g, "/new", "x");
    rig_put(&g, "/new", "longer", 6);
    usleep(60000);
    expect_text(&g, "/new", "longer");
    rig_down(&g);
}

TEST(without_coherence_every_answer_is_asked_for)
{
    struct rig g;
    struct fs_entry e;

    UP(&g, .coherence_ns = -1);
    rig_put(&g, "/a", "1", 1);
    expect_text(&g, "/a", "1");
    rig_put(&g, "/a", "22", 2);
    expect_text(&g, "/a", "22");
    assert_int_equal(rig_find(&g, "/b", &e), -ENOENT);
    assert_int_equal(e.ttl_ns, 0);
    rig_put(&g, "/b", "b", 1);
    expect_text(&g, "/b", "b");
    rig_down(&g);
}

TEST(names_of_a_large_directory_are_asked_for_one_by_one)
{
    struct rig g;
    struct fs_entry e;
    char path[32];

    UP(&g, .coherence_ns = 200 * NS_PER_MS);
    for (unsigned i = 0; i < 2100; i++) {
        struct remote_attr attr;

        snprintf(path, sizeof(path), "/f%u", i);
        assert_int_equal(remote_create(g.remote, path, 0644, &attr), 0);
    }
    stat_of(&g, "/f1");
    usleep(250000);
    stat_of(&g, "/f1");
    /* Only that name is fresh now; a listing would have freshened all. */
    assert_int_equal(fs_lookup_cached(g.fs, FS_ROOT, "f2", &e), -EAGAIN);
    rig_down(&g);
}

TEST(too_long_a_name_is_refused_without_asking)
{
    struct rig g;
    struct fs_entry e;
    char name[300];

    UP(&g, .uid = 0);
    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    COUNT_FROM_HERE(&g);
    assert_int_equal(fs_lookup(g.fs, FS_ROOT, name, &e), -ENAMETOOLONG);
    assert_int_equal(CALLS(&g), 0);
    name[255] = '\0';
    assert_int_equal(fs_mkdir(g.fs, FS_ROOT, name, 0755, &e), 0);
    fs_forget(g.fs, e.ino, 1);
    rig_down(&g);
}

TEST(the_kernel_is_told_of_a_name_it_believes_to_be_absent)
{
    struct rig g;
    struct fs_entry e;

    UP(&g, .uid = 0);
    assert_int_equal(rig_find(&g, "/new", &e), -ENOENT);
    rig_put(&g, "/new", "x", 1);
    g.entry_events = 0;
    fs_refresh(g.fs, NULL);
    assert_true(g.entry_events > 0);
    assert_string_equal(g.last_entry, "new");
    expect_text(&g, "/new", "x");
    rig_down(&g);
}

TEST(a_forgotten_node_is_freed_and_its_number_never_used_again)
{
    struct rig g;
    uint64_t before, after;

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "x"), 0);
    before = ino_of(&g, "/a");
    assert_int_equal(rig_unlink(&g, "/a"), 0);
    assert_int_equal(rig_write(&g, "/a", "x"), 0);
    after = ino_of(&g, "/a");
    assert_true(after != before);
    rig_down(&g);
}

TEST(nodes_that_nobody_refers_to_are_evicted_beyond_a_bound)
{
    struct rig g;
    char path[32], names[1024];

    UP(&g, .uid = 0);
    g.fs->meta_max = 16 << 10;
    for (unsigned d = 0; d < 10; d++) {
        snprintf(path, sizeof(path), "/d%u", d);
        rig_mkdir(&g, path);
        for (unsigned i = 0; i < 10; i++) {
            snprintf(path, sizeof(path), "/d%u/f%u", d, i);
            rig_put(&g, path, path, strlen(path));
        }
    }
    for (unsigned round = 0; round < 2; round++)
        for (unsigned d = 0; d < 10; d++) {
            snprintf(path, sizeof(path), "/d%u", d);
            assert_int_equal(rig_names(&g, path, names, sizeof(names)), 0);
            assert_string_equal(names, "f0 f1 f2 f3 f4 f5 f6 f7 f8 f9 ");
            snprintf(path, sizeof(path), "/d%u/f%u", d, d);
            expect_text(&g, path, path);
            assert_true(g.fs->meta_bytes <= (16 << 10) + (8 << 10));
        }
    assert_true(g.fs->by_id.count < 60);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(the_kernel_is_asked_to_forget_files_beyond_a_bound)
{
    static struct fs_entry held[40 * 10];
    struct fs_entry dirs[40];
    struct fs_file *f;
    char path[32];
    size_t most;
    struct rig g;

    UP(&g, .uid = 0);
    g.fs->meta_max = 64 << 10;
    for (unsigned i = 0; i < 40 * 10; i++) {
        snprintf(path, sizeof(path), "/d%u", i / 10);
        if (i % 10 == 0)
            rig_mkdir(&g, path);
        snprintf(path, sizeof(path), "/d%u/f%u", i / 10, i % 10);
        rig_put(&g, path, path, strlen(path));
    }
    for (unsigned i = 0; i < 40; i++) {
        snprintf(path, sizeof(path), "/d%u", i);
        assert_int_equal(rig_find(&g, path, &dirs[i]), 0);
    }
    assert_int_equal(rig_open(&g, "/d0/f0", O_RDONLY, &f), 0);
    for (unsigned i = 0; i < 40 * 10; i++) {
        snprintf(path, sizeof(path), "f%u", i % 10);
        assert_int_equal(fs_lookup(g.fs, dirs[i / 10].ino, path, &held[i]), 0);
    }
    most = g.fs->by_id.count;
    assert_true(most >= 40 * 10); /* it has references: nothing of it went */
    assert_true(g.forget_events > 100);
    for (unsigned i = 0; i < 40 * 10; i++)
        fs_forget(g.fs, held[i].ino, 1);
    assert_true(g.fs->meta_bytes <= g.fs->meta_max);
    assert_true(g.fs->by_id.count < most / 2);
    assert_int_equal(fs_file_ino(f), held[0].ino); /* open: it stays, and so does its name */
    assert_int_equal(fs_lookup(g.fs, dirs[0].ino, "f0", &held[0]), 0);
    assert_int_equal(held[0].ino, fs_file_ino(f));
    rig_drop(&g, &held[0]);
    assert_int_equal(rig_close(f), 0);
    for (unsigned i = 0; i < 40; i++)
        rig_drop(&g, &dirs[i]);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

TEST(two_files_never_show_one_inode_number)
{
    struct remote_attr attr;
    struct rig g;
    struct node *other;
    struct stat a, b;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "old", 3);
    assert_int_equal(remote_stat(g.remote, "/a", &attr, NULL), 0);
    stat_of(&g, "/a");
    fs_lock(g.fs);
    other = node_child_locked(g.fs->root, "a");
    node_show_ino_locked(g.fs, other, attr.ino); /* as after a save: the sandbox has another */
    attr.ino += 1000;
    node_born_locked(g.fs, other, &attr);
    attr.ino -= 1000;
    other = node_new_locked(g.fs, g.fs->root, "b", &attr); /* and gives the number to this one */
    show_stat_locked(g.fs, node_child_locked(g.fs->root, "a"), &a);
    show_stat_locked(g.fs, other, &b);
    fs_unlock(g.fs);
    assert_int_equal(a.st_ino, attr.ino);
    assert_true(b.st_ino != a.st_ino);
    rig_down(&g);
}

/* ---- versions ---- */

TEST(a_replaced_file_is_a_new_node_and_an_open_handle_keeps_what_it_has)
{
    struct rig g;
    struct fs_file *f;
    char text[8];
    uint64_t before;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "old", 3);
    assert_int_equal(rig_open(&g, "/a", O_RDWR, &f), 0);
    before = ino_of(&g, "/a");
    assert_int_equal(remote_unlink(g.remote, "/a"), 0);
    rig_put(&g, "/a", "newer", 5);
    fs_refresh(g.fs, NULL);
    expect_text(&g, "/a", "newer");
    assert_true(ino_of(&g, "/a") != before);
    assert_int_equal(fs_read(f, 0, text, 8), 3);
    assert_memory_equal(text, "old", 3);
    assert_int_equal(fs_write(f, 0, "x", 1), -ESTALE); /* it would be lost */
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

/* As file systems do: the next file gets the number of the one that went. */
static void replace_same_ino(struct rig *g, const char *path, const char *text)
{
    struct remote_attr old, new;

    assert_int_equal(remote_stat(g->remote, path, &old, NULL), 0);
    assert_int_equal(remote_unlink(g->remote, path), 0);
    assert_int_equal(remote_create(g->remote, path, 0644, &new), 0);
    remote_mem_reuse_ino(g->inside, old.ino);
    rig_put(g, path, text, strlen(text)); /* by a new file */
    assert_int_equal(remote_stat(g->remote, path, &new, NULL), 0);
    assert_int_equal(new.ino, old.ino);
}

TEST(a_replaced_file_with_the_same_inode_number_is_a_new_node_too)
{
    struct rig g;
    struct fs_file *f, *whole;
    char text[8];
    uint64_t before;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "old", 3);
    assert_int_equal(rig_open(&g, "/a", O_RDONLY, &whole), 0);
    assert_int_equal(rig_open(&g, "/a", O_WRONLY, &f), 0);
    before = ino_of(&g, "/a");
    replace_same_ino(&g, "/a", "newer");
    fs_refresh(g.fs, NULL);
    expect_text(&g, "/a", "newer");
    assert_true(ino_of(&g, "/a") != before);
    assert_int_equal(fs_read(whole, 0, text, 8), 3);
    assert_memory_equal(text, "old", 3);
    assert_int_equal(fs_write(f, 0, "x", 1), -ESTALE);
    rig_expect(&g, "/a", "newer");
    (void)rig_close(f);
    assert_int_equal(rig_close(whole), 0);
    rig_down(&g);
}

TEST(what_was_saved_here_is_known_from_a_later_file_with_its_inode_number)
{
    struct rig g;
    struct fs_file *f;
    char text[8];

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "ours"), 0);
    assert_int_equal(rig_open(&g, "/a", O_RDONLY, &f), 0);
    replace_same_ino(&g, "/a", "theirs");
    fs_refresh(g.fs, NULL);
    expect_text(&g, "/a", "theirs");
    assert_int_equal(fs_read(f, 0, text, 8), 4);
    assert_memory_equal(text, "ours", 4);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

TEST(a_replaced_large_file_that_is_not_all_here_is_stale)
{
    enum { LEN = 3 << 20 };
    struct rig g;
    struct fs_file *f;
    char *data = calloc(1, LEN), text[8];

    UP(&g, .uid = 0);
    rig_put(&g, "/a", data, LEN);
    assert_int_equal(rig_open(&g, "/a", O_RDONLY, &f), 0);
    assert_int_equal(fs_read(f, 0, text, 8), 8);
    assert_int_equal(remote_unlink(g.remote, "/a"), 0);
    rig_put(&g, "/a", data, LEN);
    fs_refresh(g.fs, NULL);
    stat_of(&g, "/a");
    assert_int_equal(fs_read(f, 0, text, 8), 8);
    assert_int_equal(fs_read(f, 2 << 20, text, 8), -ESTALE);
    (void)rig_close(f);
    free(data);
    rig_down(&g);
}

TEST(a_file_changed_in_place_is_followed_by_its_handles)
{
    struct rig g;
    struct remote_setattr set = {.mask = REMOTE_SET_SIZE, .attr.size = 2};
    struct remote_attr attr;
    struct fs_file *f;
    uint64_t before;
    char text[8];

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "long", 4);
    assert_int_equal(rig_open(&g, "/a", O_RDONLY, &f), 0);
    before = ino_of(&g, "/a");
    assert_int_equal(remote_setattr(g.remote, "/a", &set, &attr), 0);
    fs_refresh(g.fs, NULL);
    assert_int_equal(fs_read_cached(f, 0, text, 8), -EAGAIN);
    assert_int_equal(fs_read(f, 0, text, 8), 2);
    assert_int_equal(ino_of(&g, "/a"), before);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

TEST(a_large_file_changed_under_a_reader_never_mixes_versions)
{
    enum { LEN = 3 << 20 };
    struct remote_setattr set = {.mask = REMOTE_SET_SIZE, .attr.size = LEN - 1};
    struct remote_attr attr;
    struct rig g;
    struct fs_file *f;
    char *data = malloc(LEN), text[8];

    UP(&g, .uid = 0);
    memset(data, 'a', LEN);
    rig_put(&g, "/a", data, LEN);
    assert_int_equal(rig_open(&g, "/a", O_RDONLY, &f), 0);
    assert_int_equal(fs_read(f, 0, text, 8), 8);
    assert_int_equal(remote_setattr(g.remote, "/a", &set, &attr), 0);
    /* Nobody told us: the next window notices, and begins again with what is there now. */
    assert_int_equal(fs_read(f, LEN - 4, text, 8), 3);
    assert_int_equal(rig_close(f), 0);
    free(data);
    rig_down(&g);
}

TEST(what_a_save_showed_stays_until_the_sandbox_changes_it)
{
    struct rig g;
    struct fs_file *f;
    struct fs_entry e;
    struct stat before, after;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "old", 3);
    before = stat_of(&g, "/a");
    assert_int_equal(rig_open(&g, "/a", O_WRONLY | O_TRUNC, &f), 0);
    assert_int_equal(fs_write(f, 0, "new", 3), 3);
    assert_int_equal(fs_getattr(g.fs, fs_file_ino(f), f, &e), 0);
    assert_int_equal(rig_close(f), 0);
    for (unsigned i = 0; i < 2; i++) {
        after = stat_of(&g, "/a");
        assert_int_equal(after.st_ino, before.st_ino);
        assert_int_equal(timespec_to_ns(after.st_mtim), timespec_to_ns(e.st.st_mtim));
        assert_int_equal(timespec_to_ns(after.st_ctim), timespec_to_ns(e.st.st_ctim));
        fs_refresh(g.fs, NULL);
    }
    rig_put(&g, "/a", "theirs", 6);
    fs_refresh(g.fs, NULL);
    after = stat_of(&g, "/a");
    assert_true(timespec_to_ns(after.st_mtim) != timespec_to_ns(e.st.st_mtim));
    rig_down(&g);
}

/* ---- open ---- */

TEST(the_kernels_pages_are_kept_while_the_version_stands)
{
    struct rig g;
    struct fs_open_hints hints;
    struct fs_file *f;
    uint64_t ino;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "one", 3);
    scene_age();
    ino = ino_of(&g, "/a");
    assert_int_equal(fs_open(g.fs, ino, O_RDONLY, &f, &hints), 0);
    assert_false(hints.keep_cache);
    assert_false(hints.direct_io);
    fs_release(f);
    COUNT_FROM_HERE(&g);
    assert_int_equal(fs_open_cached(g.fs, ino, O_RDONLY, &f, &hints), 0);
    assert_true(hints.keep_cache);
    fs_release(f);
    assert_int_equal(CALLS(&g), 0);
    rig_put(&g, "/a", "two", 3);
    fs_refresh(g.fs, NULL);
    ino = ino_of(&g, "/a");
    assert_int_equal(fs_open_cached(g.fs, ino, O_RDONLY, &f, &hints), -EAGAIN);
    assert_int_equal(fs_open(g.fs, ino, O_RDONLY, &f, &hints), 0);
    assert_false(hints.keep_cache);
    fs_release(f);
    rig_down(&g);
}

TEST(a_large_file_is_not_for_the_page_cache_until_all_of_it_is_here)
{
    enum { LEN = (5 << 20) + 3 };
    struct rig g;
    struct fs_open_hints hints;
    struct fs_file *f;
    char *data = calloc(1, LEN);
    uint64_t ino;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", data, LEN);
    scene_age();
    ino = ino_of(&g, "/a");
    COUNT_FROM_HERE(&g);
    assert_int_equal(fs_open(g.fs, ino, O_RDONLY, &f, &hints), 0);
    assert_true(hints.direct_io);
    assert_int_equal(CALLS(&g), 0);
    for (uint64_t off = 0; off < LEN; off += 65536) {
        const ssize_t want = LEN - off < 65536 ? LEN - (ssize_t)off : 65536;

        assert_int_equal(fs_read(f, off, data, 65536), want);
    }
    assert_true(CALLS(&g) <= 8); /* windows of 1, 1, 2, 4 MiB, unless we overtake them */
    fs_release(f);
    assert_int_equal(fs_open_cached(g.fs, ino, O_RDONLY, &f, &hints), 0);
    assert_false(hints.direct_io);
    fs_release(f);
    free(data);
    rig_down(&g);
}

TEST(free_space_is_asked_for_once_in_a_window_without_changes)
{
    struct statvfs s;
    struct rig g;

    UP(&g, .coherence_ns = 600 * NS_PER_S);
    COUNT_FROM_HERE(&g);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_true(s.f_blocks > 0);
    assert_int_equal(CALLS(&g), 1);
    assert_int_equal(rig_write(&g, "/new", "text"), 0);
    COUNT_FROM_HERE(&g);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_int_equal(CALLS(&g), 1);
    rig_down(&g);
}

TEST(space_is_as_last_known_or_unknown_while_nobody_can_say)
{
    struct statvfs s;
    struct rig g;

    UP(&g, .coherence_ns = 1);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, EHOSTDOWN);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_int_equal(s.f_blocks, 0);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_true(s.f_blocks > 0);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, EHOSTDOWN);
    assert_int_equal(fs_statfs(g.fs, &s), 0);
    assert_true(s.f_blocks > 0);
    rig_down(&g);
}

TEST(truncating_at_open_fetches_nothing)
{
    struct rig g;
    struct fs_file *f;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "content", 7);
    stat_of(&g, "/a");
    COUNT_FROM_HERE(&g);
    assert_int_equal(rig_open(&g, "/a", O_WRONLY | O_TRUNC, &f), 0);
    assert_int_equal(CALLS(&g), 0);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(CALLS(&g), 1);
    rig_expect(&g, "/a", "");
    rig_down(&g);
}

TEST(create_finds_what_our_listing_did_not_know)
{
    struct rig g;
    struct fs_file *f;
    struct fs_entry e;
    char text[8];

    UP(&g, .uid = 0);
    assert_int_equal(rig_find(&g, "/a", &e), -ENOENT);
    rig_put(&g, "/a", "theirs", 6);
    assert_int_equal(rig_create(&g, "/a", O_RDWR | O_EXCL, &f), -EEXIST);
    fs_refresh(g.fs, NULL);
    assert_int_equal(rig_find(&g, "/b", &e), -ENOENT);
    rig_put(&g, "/b", "theirs", 6);
    assert_int_equal(rig_create(&g, "/b", O_RDWR, &f), 0);
    assert_int_equal(fs_read(f, 0, text, 8), 6);
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

/* ---- writing ---- */

TEST(nothing_is_sent_before_close_and_all_of_it_then)
{
    struct rig g;
    struct fs_file *f;

    UP(&g, .uid = 0);
    assert_int_equal(rig_create(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write_cached(f, 0, "hello", 5), 5);
    rig_expect(&g, "/a", "");
    assert_int_equal(fs_flush_cached(f), -EAGAIN);
    assert_int_equal(fs_flush(f), 0);
    assert_int_equal(fs_flush_cached(f), 0);
    rig_expect(&g, "/a", "hello");
    fs_release(f);
    rig_down(&g);
}

TEST(with_durability_sync_a_write_is_there_when_it_returns)
{
    struct rig g;
    struct fs_file *f;

    UP(&g, .fs.durability = FS_DURABILITY_SYNC);
    assert_int_equal(rig_create(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write_cached(f, 0, "hello", 5), -EAGAIN);
    assert_int_equal(fs_write(f, 0, "hello", 5), 5);
    rig_expect(&g, "/a", "hello");
    fs_release(f);
    rig_down(&g);
}

TEST(an_unlinked_open_file_works_on_and_is_never_sent)
{
    struct rig g;
    struct fs_file *f;
    struct fs_entry e;
    struct stat st = {.st_size = 2};
    char text[8];

    UP(&g, .uid = 0);
    assert_int_equal(rig_create(&g, "/a", O_RDWR, &f), 0);
    assert_int_equal(fs_write(f, 0, "hello", 5), 5);
    assert_int_equal(rig_unlink(&g, "/a"), 0);
    COUNT_FROM_HERE(&g);
    assert_int_equal(fs_write(f, 5, "!", 1), 1);
    assert_int_equal(fs_read(f, 0, text, 8), 6);
    assert_memory_equal(text, "hello!", 6);
    assert_int_equal(fs_setattr(g.fs, fs_file_ino(f), f, FS_SET_SIZE, &st, &e), 0);
    assert_int_equal(fs_getattr(g.fs, fs_file_ino(f), f, &e), 0);
    assert_int_equal(e.st.st_nlink, 0);
    assert_int_equal(e.st.st_size, 2);
    assert_int_equal(fs_unsent(g.fs, NULL), 0);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(CALLS(&g), 0);
    rig_expect(&g, "/a", NULL);
    rig_down(&g);
}

TEST(what_is_replaced_while_open_stays_readable)
{
    struct rig g;
    struct fs_file *f;
    char text[8];

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "old"), 0);
    assert_int_equal(rig_write(&g, "/b", "new"), 0);
    assert_int_equal(rig_open(&g, "/a", O_RDONLY, &f), 0);
    assert_int_equal(rig_rename(&g, "/b", "/a", 0), 0);
    assert_int_equal(fs_read(f, 0, text, 8), 3);
    assert_memory_equal(text, "old", 3);
    assert_int_equal(rig_close(f), 0);
    expect_text(&g, "/a", "new");
    rig_down(&g);
}

TEST(a_rename_sends_what_was_written_first)
{
    struct rig g;
    struct fs_file *f;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "old", 3);
    assert_int_equal(rig_create(&g, "/tmp", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "new", 3), 3);
    assert_int_equal(rig_rename(&g, "/tmp", "/a", 0), 0);
    rig_expect(&g, "/a", "new");
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
}

TEST(a_put_that_failed_is_kept_shown_and_sent_later)
{
    struct rig g;
    struct buf left = BUF_INIT(4096), errors = BUF_INIT(4096);
    struct fs_file *f;
    uint64_t bytes;

    UP(&g, .uid = 0);
    assert_int_equal(rig_create(&g, "/a b", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "data", 4), 4);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, ENOSPC);
    assert_int_equal(fs_flush(f), -ENOSPC);
    assert_int_equal(fs_unsent(g.fs, &bytes), 1);
    assert_int_equal(bytes, 4);
    expect_text(&g, "/a b", "data");
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, EHOSTDOWN);
    assert_int_equal(fs_sync(g.fs, NULL, &left), -EHOSTDOWN);
    assert_string_equal(buf_str(&left), "a b: Host is down\n");
    assert_int_equal(fs_errors_text(g.fs, &errors), 0);
    assert_non_null(strstr(buf_str(&errors), " 0 /a\\x20b ENOSPC: "));
    assert_int_equal(fs_flush(f), 0);
    assert_int_equal(fs_unsent(g.fs, NULL), 0);
    rig_expect(&g, "/a b", "data");
    fs_release(f);
    buf_done(&left);
    buf_done(&errors);
    rig_down(&g);
}

TEST(an_error_is_one_line_that_steers_no_terminal)
{
    struct buf errors = BUF_INIT(4096);
    struct rig g;

    UP(&g, .uid = 0);
    fs_report(g.fs, 7,
              "/a\xc2\x9b"
              "2J\x1b\nb\\",
              -EIO, "%s",
              "it is\xc2\x9b"
              "2J\x1b\nso");
    assert_int_equal(fs_errors_text(g.fs, &errors), 0);
    assert_non_null(
        strstr(buf_str(&errors), " 7 /a\\xc2\\x9b2J\\x1b\\x0ab\\x5c EIO: it is?2J??so\n"));
    buf_done(&errors);
    rig_down(&g);
}

TEST(what_nobody_closes_any_more_is_sent_in_the_background)
{
    struct rig g;
    const int64_t until_ns = clock_mono_ns() + 20 * NS_PER_S;

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "one"), 0);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, EIO);
    assert_int_equal(rig_write(&g, "/a", "two"), -EIO);
    while (fs_unsent(g.fs, NULL) > 0 && clock_mono_ns() < until_ns)
        usleep(20000);
    rig_expect(&g, "/a", "two");
    rig_down(&g);
}

TEST(at_the_end_unsent_data_is_kept_in_files)
{
    struct rig g;
    struct buf kept = BUF_INIT(4096);
    char dir[80], *tab, text[8] = "";
    FILE *f;

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "one"), 0);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, EACCES);
    assert_int_equal(rig_write(&g, "/a", "two"), -EACCES);
    snprintf(dir, sizeof(dir), "%s-kept", g.dir);
    assert_int_equal(fs_keep_unsent(g.fs, dir, &kept), 0);
    tab = strchr(kept.data, '\t');
    assert_string_equal(tab, "\t/a\n");
    *tab = '\0';
    f = fopen(kept.data, "r");
    assert_non_null(f);
    assert_int_equal(fread(text, 1, 8, f), 3);
    assert_string_equal(text, "two");
    fclose(f);
    assert_int_equal(fs_unsent(g.fs, NULL), 0);
    unlink(kept.data);
    rmdir(dir);
    buf_done(&kept);
    rig_down(&g);
}

TEST(the_last_close_wins)
{
    struct rig g;
    struct fs_file *f;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "base", 4);
    assert_int_equal(rig_open(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "mine", 4), 4);
    rig_put(&g, "/a", "theirs", 6);
    fs_refresh(g.fs, NULL);
    expect_text(&g, "/a", "mine");
    assert_int_equal(rig_close(f), 0);
    rig_expect(&g, "/a", "mine");
    rig_down(&g);
}

TEST(the_time_that_was_set_before_close_survives_it)
{
    struct rig g;
    struct stat st = {.st_mtim = {.tv_sec = 1000, .tv_nsec = 7}};
    struct remote_attr attr;
    struct fs_file *f;
    struct fs_entry e;

    UP(&g, .uid = 0);
    assert_int_equal(rig_create(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "x", 1), 1);
    assert_int_equal(fs_setattr(g.fs, fs_file_ino(f), f, FS_SET_MTIME, &st, &e), 0);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(remote_stat(g.remote, "/a", &attr, NULL), 0);
    assert_int_equal(attr.mtime_ns, 1000 * NS_PER_S + 7);
    rig_down(&g);
}

TEST(the_other_name_of_a_file_shows_what_was_written_to_the_first)
{
    struct rig g;
    struct fs_entry e, other;

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "one"), 0);
    assert_int_equal(rig_find(&g, "/a", &e), 0);
    assert_int_equal(fs_link(g.fs, e.ino, FS_ROOT, "b", &other), 0);
    assert_int_equal(other.st.st_nlink, 2);
    expect_text(&g, "/b", "one");
    assert_int_equal(rig_write(&g, "/a", "two!"), 0);
    expect_text(&g, "/b", "two!");
    assert_int_equal(stat_of(&g, "/b").st_ino, stat_of(&g, "/a").st_ino);
    assert_int_equal(rig_unlink(&g, "/a"), 0);
    assert_int_equal(stat_of(&g, "/b").st_nlink, 1);
    rig_drop(&g, &e);
    rig_drop(&g, &other);
    rig_down(&g);
}

TEST(the_other_name_of_a_file_is_empty_once_the_first_is_truncated)
{
    struct rig g;
    struct fs_entry e, other;
    struct fs_file *f;

    UP(&g, .uid = 0);
    assert_int_equal(rig_write(&g, "/a", "one"), 0);
    assert_int_equal(rig_find(&g, "/a", &e), 0);
    assert_int_equal(fs_link(g.fs, e.ino, FS_ROOT, "b", &other), 0);
    assert_int_equal(rig_open(&g, "/a", O_WRONLY | O_TRUNC, &f), 0);
    expect_text(&g, "/b", ""); /* before the close */
    assert_int_equal(rig_close(f), 0);
    rig_drop(&g, &e);
    rig_drop(&g, &other);
    rig_down(&g);
}

/* ---- what is shown ---- */

TEST(the_sandboxs_user_appears_as_the_mounting_one)
{
    struct rig g;
    struct remote_setattr set = {.mask = REMOTE_SET_UID | REMOTE_SET_GID};
    struct remote_attr attr;
    struct fs_entry e;
    struct stat st;

    UP(&g, .fs.map_user = true, .fs.uid = 501, .fs.gid = 20, .fs.umask = 022);
    rig_put(&g, "/mine", "", 0);
    rig_put(&g, "/theirs", "", 0);
    rig_put(&g, "/other", "", 0);
    set.attr.uid = 501;
    set.attr.gid = 20;
    assert_int_equal(remote_setattr(g.remote, "/theirs", &set, &attr), 0);
    set.attr.uid = set.attr.gid = 77;
    assert_int_equal(remote_setattr(g.remote, "/other", &set, &attr), 0);
    st = stat_of(&g, "/mine");
    assert_int_equal(st.st_uid, 501);
    assert_int_equal(st.st_gid, 20);
    st = stat_of(&g, "/theirs"); /* not us, though the number is ours here */
    assert_int_equal(st.st_uid, 65534);
    assert_int_equal(st.st_gid, 65534);
    st = stat_of(&g, "/other");
    assert_int_equal(st.st_uid, 77);

    st.st_uid = 501; /* chown to ourselves is to the sandbox's user */
    assert_int_equal(rig_find(&g, "/other", &e), 0);
    assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_UID, &st, &e), 0);
    assert_int_equal(remote_stat(g.remote, "/other", &attr, NULL), 0);
    assert_int_equal(attr.uid, 0);
    rig_drop(&g, &e);
    rig_down(&g);
}

TEST(a_link_of_ours_shows_as_written_and_theirs_is_contained)
{
    struct rig g;
    struct remote_attr attr;
    struct fs_entry e;
    char *target;

    UP(&g, .uid = 0);
    assert_int_equal(fs_symlink(g.fs, "/etc/passwd", FS_ROOT, "ours", &e), 0);
    assert_int_equal(e.st.st_size, 11);
    assert_int_equal(fs_readlink(g.fs, e.ino, &target), 0);
    assert_string_equal(target, "/etc/passwd");
    free(target);
    assert_int_equal(rig_rename(&g, "/ours", "/moved", 0), 0);
    fs_refresh(g.fs, NULL);
    assert_int_equal(fs_readlink(g.fs, e.ino, &target), 0);
    assert_string_equal(target, "/etc/passwd");
    free(target);
    rig_drop(&g, &e);

    assert_int_equal(remote_unlink(g.remote, "/moved"), 0);
    assert_int_equal(remote_symlink(g.remote, "/etc/shadow", "/moved", &attr), 0);
    fs_refresh(g.fs, NULL);
    assert_int_equal(rig_find(&g, "/moved", &e), 0);
    assert_int_equal(fs_readlink(g.fs, e.ino, &target), 0);
    assert_string_equal(target, "/mnt/box/etc/shadow");
    assert_int_equal(e.st.st_size, strlen(target));
    free(target);
    rig_drop(&g, &e);
    rig_down(&g);
}

/* As an earlier mount left it of a link that was made there and led to target. */
static void remember_link(struct rig *g, const char *path, const char *target)
{
    uint8_t digest[SHA256_BYTES];
    struct shown s = {.own_link = true};
    struct remote_attr attr;

    assert_int_equal(remote_stat(g->remote, path, &attr, NULL), 0);
    s.dev = attr.dev;
    s.ino = attr.ino;
    s.mtime_ns = attr.mtime_ns;
    s.ctime_ns = attr.ctime_ns;
    sha256(target, strlen(target), digest);
    memcpy(s.target, digest, sizeof(s.target));
    shown_put(g->fs->shown, &s);
}

TEST(a_link_that_only_has_the_number_and_times_of_ours_is_contained)
{
    struct rig g;
    struct remote_attr attr;
    struct fs_entry e;
    char *target;

    UP(&g, .uid = 0);
    assert_int_equal(remote_symlink(g.remote, "/etc/passwd", "/ours", &attr), 0);
    assert_int_equal(remote_symlink(g.remote, "/etc/shadow", "/theirs", &attr), 0);
    remember_link(&g, "/ours", "/etc/passwd");
    remember_link(&g, "/theirs", "/etc/passwd");
    assert_int_equal(rig_find(&g, "/ours", &e), 0);
    assert_int_equal(fs_readlink(g.fs, e.ino, &target), 0);
    assert_string_equal(target, "/etc/passwd");
    free(target);
    rig_drop(&g, &e);
    assert_int_equal(rig_find(&g, "/theirs", &e), 0);
    assert_int_equal(fs_readlink(g.fs, e.ino, &target), 0);
    assert_string_equal(target, "/mnt/box/etc/shadow");
    free(target);
    rig_drop(&g, &e);
    rig_down(&g);
}

TEST(a_read_only_mount_refuses_every_change)
{
    struct rig g;
    struct stat st = {.st_mode = 0600};
    struct fs_open_hints hints;
    struct fs_file *f;
    struct fs_entry e, made;

    UP(&g, .fs.read_only = true);
    rig_put(&g, "/a", "a", 1);
    rig_mkdir(&g, "/d");
    assert_int_equal(rig_find(&g, "/a", &e), 0);
    COUNT_FROM_HERE(&g);
    assert_int_equal(rig_create(&g, "/new", O_WRONLY, &f), -EROFS);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDWR, &f, &hints), -EROFS);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY | O_TRUNC, &f, &hints), -EROFS);
    assert_int_equal(rig_mkdir_fs(&g, "/new"), -EROFS);
    assert_int_equal(rig_mkdir_fs(&g, "/d"), -EEXIST);
    assert_int_equal(fs_mknod(g.fs, FS_ROOT, "new", S_IFREG | 0644, &made), -EROFS);
    assert_int_equal(fs_symlink(g.fs, "a", FS_ROOT, "new", &made), -EROFS);
    assert_int_equal(fs_link(g.fs, e.ino, FS_ROOT, "new", &made), -EROFS);
    assert_int_equal(rig_unlink(&g, "/a"), -EROFS);
    assert_int_equal(rig_rmdir(&g, "/d"), -EROFS);
    assert_int_equal(rig_rename(&g, "/a", "/b", 0), -EROFS);
    assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_MODE, &st, &made), -EROFS);
    assert_int_equal(fs_access(g.fs, e.ino, W_OK), -EROFS);
    assert_int_equal(CALLS(&g), 0);
    expect_text(&g, "/a", "a");
    rig_drop(&g, &e);
    rig_down(&g);
}

TEST(only_regular_files_can_be_made_as_nodes)
{
    struct rig g;
    struct fs_entry e;

    UP(&g, .uid = 0);
    assert_int_equal(fs_mknod(g.fs, FS_ROOT, "dev", S_IFCHR | 0600, &e), -EPERM);
    assert_int_equal(fs_mknod(g.fs, FS_ROOT, "pipe", S_IFIFO | 0600, &e), -EPERM);
    assert_int_equal(fs_mknod(g.fs, FS_ROOT, "file", S_IFREG | 0600, &e), 0);
    fs_forget(g.fs, e.ino, 1);
    rig_down(&g);
}

/* ---- directories ---- */

struct some {
    unsigned max, count;
    uint64_t next;
    char names[256];
};

static int take_some(void *arg, const char *name, const struct fs_entry *e, uint64_t next)
{
    struct some *some = arg;

    if (some->count == some->max)
        return 1;
    some->count++;
    some->next = next;
    strcat(some->names, name);
    strcat(some->names, " ");
    return 0;
}

TEST(a_directory_is_read_in_parts_of_one_state_and_rewound_to_the_present)
{
    struct rig g;
    struct some some = {.max = 3};
    struct fs_dir *dir;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "", 0);
    rig_put(&g, "/b", "", 0);
    assert_int_equal(fs_opendir(g.fs, FS_ROOT, &dir), 0);
    assert_int_equal(fs_readdir(dir, 0, false, take_some, &some), 0);
    assert_int_equal(rig_write(&g, "/c", ""), 0);
    some.max = 100;
    assert_int_equal(fs_readdir(dir, some.next, false, take_some, &some), 0);
    assert_string_equal(some.names, ". .. a b ");
    some = (struct some){.max = 100};
    assert_int_equal(fs_readdir(dir, 0, false, take_some, &some), 0);
    assert_string_equal(some.names, ". .. a b c ");
    fs_releasedir(dir);
    rig_down(&g);
}

TEST(readdir_with_plus_counts_what_was_taken)
{
    struct rig g;
    struct some some = {.max = 3};
    struct buf status = BUF_INIT(4096);
    struct fs_entry e;
    struct fs_dir *dir;

    UP(&g, .uid = 0);
    rig_put(&g, "/a", "", 0);
    rig_put(&g, "/b", "", 0);
    assert_int_equal(fs_opendir(g.fs, FS_ROOT, &dir), 0);
    assert_int_equal(fs_readdir(dir, 0, true, take_some, &some), 0);
    fs_releasedir(dir);
    e.ino = ino_of(&g, "/a");
    assert_int_equal(rig_unlink(&g, "/a"), 0);
    assert_int_equal(rig_unlink(&g, "/b"), 0);
    assert_int_equal(fs_getattr(g.fs, e.ino, NULL, &e), 0); /* still referred to */
    fs_forget(g.fs, e.ino, 1);
    assert_int_equal(fs_getattr(g.fs, e.ino, NULL, &e), -ESTALE);
    assert_int_equal(fs_status(g.fs, &status), 0);
    assert_non_null(strstr(buf_str(&status), "nodes 1\n"));
    buf_done(&status);
    rig_down(&g);
}

/* ---- commands ---- */

TEST(a_command_starts_after_what_was_written_is_there)
{
    struct rig g;
    struct buf out = BUF_INIT(4096);
    struct fs_file *f;
    int code;

    UP(&g, .uid = 0);
    assert_int_equal(rig_create(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(fs_write(f, 0, "open", 4), 4);
    assert_int_equal(fs_exec(g.fs, "true", NULL, 4096, &out, &code, NULL), 0);
    assert_int_equal(code, 127); /* remote_mem understands nothing */
    rig_expect(&g, "/a", "open");
    assert_int_equal(fs_write(f, 0, "more", 4), 4);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, ENOSPC);
    assert_int_equal(fs_exec(g.fs, "true", NULL, 4096, &out, &code, NULL), -ENOSPC);
    assert_int_equal(CALLS(&g), 1); /* it was not started */
    assert_int_equal(rig_close(f), 0);
    buf_done(&out);
    rig_down(&g);
}

TEST(paths_go_from_the_mount_to_the_sandbox_and_back)
{
    static const struct {
        const char *text, *path, *shown;
    } table[] = {{"a", "/home/d/a", "a"},           {".", "/home/d", "."},
                 {"./a//b/", "/home/d/a/b", "a/b"}, {"/etc/x", "/etc/x", "/etc/x"},
                 {"../x", "/home/x", "/home/x"},    {"", "/home/d", "."}};
    struct remote *mem = remote_mem_new(0, 0);
    struct remote_attr attr;
    struct rig g;

    assert_int_equal(remote_mkdir(mem, "/home", 0755, &attr), 0);
    assert_int_equal(remote_mkdir(mem, "/home/d", 0755, &attr), 0);
    UP(&g, .under = mem, .fs.root = "/home/d");
    for (size_t i = 0; i < ARRAY_LEN(table); i++) {
        char *path = fs_sandbox_path(g.fs, table[i].text), *shown = fs_mount_path(g.fs, path);

        assert_string_equal(path, table[i].path);
        assert_string_equal(shown, table[i].shown);
        free(path);
        free(shown);
    }
    assert_int_equal(rig_write(&g, "/f", "x"), 0);
    rig_expect(&g, "/home/d/f", "x");
    rig_down(&g);
}

TEST(a_scan_makes_us_notice_what_it_saw)
{
    struct rig g;
    struct remote_list list;
    struct fs_entry e;

    UP(&g, .uid = 0);
    rig_put(&g, "/gone", "", 0);
    stat_of(&g, "/gone");
    assert_int_equal(rig_find(&g, "/new", &e), -ENOENT);
    rig_put(&g, "/new", "", 0);
    assert_int_equal(remote_unlink(g.remote, "/gone"), 0);
    assert_int_equal(fs_scan(g.fs, "/", 1, 100, &list), 0);
    assert_int_equal(list.count, 1);
    remote_list_done(&list);
    stat_of(&g, "/new");
    assert_int_equal(rig_find(&g, "/gone", &e), -ENOENT);
    assert_int_equal(fs_exists(g.fs, "/new"), 1);
    assert_int_equal(fs_exists(g.fs, "/gone"), 0);
    rig_down(&g);
}

/* ---- together ---- */

struct asker {
    struct rig *g;
    struct cancel *cancel;
    const char *path;
    int r;
    pthread_t thread;
};

static void *ask(void *arg)
{
    struct asker *a = arg;
    struct fs_entry e;

    cancel_bind(a->cancel);
    a->r = fs_lookup(a->g->fs, FS_ROOT, a->path, &e);
    if (a->r == 0 && e.ino)
        fs_forget(a->g->fs, e.ino, 1);
    return NULL;
}

static void start_asker(struct asker *a, struct rig *g, const char *path)
{
    *a = (struct asker){.g = g, .path = path, .cancel = cancel_new()};
    assert_int_equal(pthread_create(&a->thread, NULL, ask, a), 0);
}

static int join_asker(struct asker *a)
{
    pthread_join(a->thread, NULL);
    cancel_unref(a->cancel);
    return a->r;
}

TEST(those_who_ask_at_once_share_one_listing)
{
    struct asker askers[8];
    struct gate *gate;
    struct rig g;
    unsigned before;

    UP(&g, .under = gate_new(remote_mem_new(0, 0), &gate));
    rig_put(&g, "/a", "", 0);
    before = gate_count(gate, GATE_LIST);
    gate_close(gate, GATE_LIST);
    for (size_t i = 0; i < ARRAY_LEN(askers); i++)
        start_asker(&askers[i], &g, "a");
    gate_await(gate, 1);
    gate_close(gate, GATE_NONE);
    for (size_t i = 0; i < ARRAY_LEN(askers); i++)
        assert_int_equal(join_asker(&askers[i]), 0);
    assert_int_equal(gate_count(gate, GATE_LIST), before + 1);
    rig_down(&g);
}

TEST(one_who_waits_for_anothers_answer_can_be_stopped)
{
    struct asker first, second;
    struct gate *gate;
    struct rig g;

    UP(&g, .under = gate_new(remote_mem_new(0, 0), &gate));
    gate_close(gate, GATE_LIST);
    start_asker(&first, &g, "a");
    gate_await(gate, 1);
    start_asker(&second, &g, "b");
    cancel_fire(second.cancel);
    assert_int_equal(join_asker(&second), -EINTR);
    gate_close(gate, GATE_NONE);
    assert_int_equal(join_asker(&first), 0);
    rig_down(&g);
}

TEST(an_answer_that_a_local_change_overtook_is_not_believed)
{
    struct fs_file *saved, *removed;
    struct asker asker;
    struct gate *gate;
    struct rig g;
    struct fs_entry e;
    uint64_t before;

    UP(&g, .under = gate_new(remote_mem_new(0, 0), &gate), .coherence_ns = 100 * NS_PER_MS);
    assert_int_equal(rig_create(&g, "/saved", O_WRONLY, &saved), 0);
    assert_int_equal(rig_create(&g, "/removed", O_WRONLY, &removed), 0);
    assert_int_equal(fs_write(saved, 0, "hello", 5), 5);
    assert_int_equal(fs_write(removed, 0, "x", 1), 1);
    before = fs_file_ino(saved);
    usleep(150000); /* the window is over */
    gate_close(gate, GATE_LIST);
    start_asker(&asker, &g, "other");
    gate_await(gate, 1); /* both names are in the answer, empty */
    assert_int_equal(fs_flush(saved), 0);
    assert_int_equal(rig_unlink(&g, "/removed"), 0);
    gate_close(gate, GATE_NONE);
    assert_int_equal(join_asker(&asker), 0);
    assert_int_equal(rig_find(&g, "/removed", &e), -ENOENT);
    assert_int_equal(ino_of(&g, "/saved"), before);
    assert_int_equal(stat_of(&g, "/saved").st_size, 5);
    fs_release(saved);
    fs_release(removed);
    expect_text(&g, "/saved", "hello");
    rig_down(&g);
}

static void *close_it(void *arg)
{
    return (void *)(intptr_t)rig_close(arg);
}

TEST(a_write_during_a_put_is_sent_by_the_next)
{
    struct fs_file *f, *other;
    struct gate *gate;
    struct rig g;
    pthread_t thread;
    void *result;

    UP(&g, .under = gate_new(remote_mem_new(0, 0), &gate));
    assert_int_equal(rig_create(&g, "/a", O_WRONLY, &f), 0);
    assert_int_equal(rig_open(&g, "/a", O_WRONLY, &other), 0);
    assert_int_equal(fs_write(f, 0, "one", 3), 3);
    gate_close(gate, GATE_PUT);
    assert_int_equal(pthread_create(&thread, NULL, close_it, f), 0);
    gate_await(gate, 1);
    assert_int_equal(fs_write(other, 3, "two", 3), 3);
    gate_close(gate, GATE_NONE);
    pthread_join(thread, &result);
    assert_int_equal((intptr_t)result, 0);
    assert_int_equal(fs_unsent(g.fs, NULL), 1);
    assert_int_equal(rig_close(other), 0);
    assert_int_equal(fs_unsent(g.fs, NULL), 0);
    rig_expect(&g, "/a", "onetwo");
    rig_down(&g);
}

/* Cutting a large file off takes a while here, and its change is small. */
TEST(a_change_that_is_there_before_its_content_is_here_leaves_nothing_behind)
{
    enum { SIZE = 24 << 20, PART = 1 << 20 };
    char *data = calloc(1, PART);
    struct fs_file *f;
    struct fs_entry e;
    struct rig g;

    UP(&g, .journal = true);
    assert_int_equal(rig_create(&g, "/a", O_RDWR, &f), 0);
    for (unsigned i = 0; i < SIZE / PART; i++)
        assert_int_equal(fs_write(f, (uint64_t)i * PART, data, PART), PART);
    assert_int_equal(fs_fsync(f), 0);
    for (unsigned size = 3; size > 0; size--) {
        const struct stat want = {.st_size = size};

        assert_int_equal(fs_setattr(g.fs, fs_file_ino(f), NULL, FS_SET_SIZE, &want, &e), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        assert_false(node_local(f->node));
        assert_int_equal(stat_of(&g, "/a").st_size, size);
    }
    assert_int_equal(rig_close(f), 0);
    rig_down(&g);
    free(data);
}

struct worker {
    struct rig *g;
    unsigned number;
    pthread_t thread;
};

/* Each in names of its own, all in one directory, with refreshes in between. */
static void *work(void *arg)
{
    struct worker *w = arg;
    char a[32], b[32], text[64], got[64];

    snprintf(a, sizeof(a), "/w%u", w->number);
    snprintf(b, sizeof(b), "/v%u", w->number);
    for (unsigned i = 0; i < 60; i++) {
        snprintf(text, sizeof(text), "%u of %u", i, w->number);
        assert_int_equal(rig_write(w->g, a, text), 0);
        assert_int_equal(rig_rename(w->g, a, b, 0), 0);
        if (i % 7 == w->number)
            fs_refresh(w->g->fs, NULL);
        assert_int_equal(rig_read(w->g, b, got, sizeof(got)), 0);
        assert_string_equal(got, text);
        if (i % 3 == 0)
            assert_int_equal(rig_unlink(w->g, b), 0);
    }
    return NULL;
}

TEST(many_threads_keep_the_tree_true)
{
    struct worker workers[4];
    struct rig g;

    UP(&g, .coherence_ns = 2 * NS_PER_MS);
    for (unsigned i = 0; i < ARRAY_LEN(workers); i++) {
        workers[i] = (struct worker){.g = &g, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < ARRAY_LEN(workers); i++)
        pthread_join(workers[i].thread, NULL);
    fs_refresh(g.fs, NULL);
    rig_same_tree(&g, "/");
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_request_answers_for_all_names_of_a_directory),
        cmocka_unit_test(a_change_in_the_sandbox_is_seen_when_the_window_is_over),
        cmocka_unit_test(without_coherence_every_answer_is_asked_for),
        cmocka_unit_test(names_of_a_large_directory_are_asked_for_one_by_one),
        cmocka_unit_test(too_long_a_name_is_refused_without_asking),
        cmocka_unit_test(the_kernel_is_told_of_a_name_it_believes_to_be_absent),
        cmocka_unit_test(a_forgotten_node_is_freed_and_its_number_never_used_again),
        cmocka_unit_test(nodes_that_nobody_refers_to_are_evicted_beyond_a_bound),
        cmocka_unit_test(the_kernel_is_asked_to_forget_files_beyond_a_bound),
        cmocka_unit_test(two_files_never_show_one_inode_number),
        cmocka_unit_test(a_replaced_file_is_a_new_node_and_an_open_handle_keeps_what_it_has),
        cmocka_unit_test(a_replaced_file_with_the_same_inode_number_is_a_new_node_too),
        cmocka_unit_test(what_was_saved_here_is_known_from_a_later_file_with_its_inode_number),
        cmocka_unit_test(a_replaced_large_file_that_is_not_all_here_is_stale),
        cmocka_unit_test(a_file_changed_in_place_is_followed_by_its_handles),
        cmocka_unit_test(a_large_file_changed_under_a_reader_never_mixes_versions),
        cmocka_unit_test(what_a_save_showed_stays_until_the_sandbox_changes_it),
        cmocka_unit_test(the_kernels_pages_are_kept_while_the_version_stands),
        cmocka_unit_test(a_large_file_is_not_for_the_page_cache_until_all_of_it_is_here),
        cmocka_unit_test(free_space_is_asked_for_once_in_a_window_without_changes),
        cmocka_unit_test(space_is_as_last_known_or_unknown_while_nobody_can_say),
        cmocka_unit_test(truncating_at_open_fetches_nothing),
        cmocka_unit_test(create_finds_what_our_listing_did_not_know),
        cmocka_unit_test(nothing_is_sent_before_close_and_all_of_it_then),
        cmocka_unit_test(with_durability_sync_a_write_is_there_when_it_returns),
        cmocka_unit_test(an_unlinked_open_file_works_on_and_is_never_sent),
        cmocka_unit_test(what_is_replaced_while_open_stays_readable),
        cmocka_unit_test(a_rename_sends_what_was_written_first),
        cmocka_unit_test(a_put_that_failed_is_kept_shown_and_sent_later),
        cmocka_unit_test(an_error_is_one_line_that_steers_no_terminal),
        cmocka_unit_test(what_nobody_closes_any_more_is_sent_in_the_background),
        cmocka_unit_test(at_the_end_unsent_data_is_kept_in_files),
        cmocka_unit_test(the_last_close_wins),
        cmocka_unit_test(the_time_that_was_set_before_close_survives_it),
        cmocka_unit_test(the_other_name_of_a_file_shows_what_was_written_to_the_first),
        cmocka_unit_test(the_other_name_of_a_file_is_empty_once_the_first_is_truncated),
        cmocka_unit_test(the_sandboxs_user_appears_as_the_mounting_one),
        cmocka_unit_test(a_link_of_ours_shows_as_written_and_theirs_is_contained),
        cmocka_unit_test(a_link_that_only_has_the_number_and_times_of_ours_is_contained),
        cmocka_unit_test(a_read_only_mount_refuses_every_change),
        cmocka_unit_test(only_regular_files_can_be_made_as_nodes),
        cmocka_unit_test(a_directory_is_read_in_parts_of_one_state_and_rewound_to_the_present),
        cmocka_unit_test(readdir_with_plus_counts_what_was_taken),
        cmocka_unit_test(a_command_starts_after_what_was_written_is_there),
        cmocka_unit_test(paths_go_from_the_mount_to_the_sandbox_and_back),
        cmocka_unit_test(a_scan_makes_us_notice_what_it_saw),
        cmocka_unit_test(those_who_ask_at_once_share_one_listing),
        cmocka_unit_test(one_who_waits_for_anothers_answer_can_be_stopped),
        cmocka_unit_test(an_answer_that_a_local_change_overtook_is_not_believed),
        cmocka_unit_test(a_write_during_a_put_is_sent_by_the_next),
        cmocka_unit_test(a_change_that_is_there_before_its_content_is_here_leaves_nothing_behind),
        cmocka_unit_test(many_threads_keep_the_tree_true),
    };

    log_set_level(LOG_ERROR); /* what fails here is meant to */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
