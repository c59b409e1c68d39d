#include "unit.h"

#include "fs/fs.h"
#include "remote/backends.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct rig {
    char dir[64];
    struct remote *remote;
    struct remote_fault *fault;
    struct cache *cache;
    struct fs *fs;
};

static void rig_up(struct rig *g, uint32_t uid)
{
    struct fs_config config = {.root = "/",
                               .mount_dir = "/mnt/box",
                               .force_uid = -1,
                               .force_gid = -1,
                               .coherence_ns = 1000000000};
    memset(g, 0, sizeof(*g));
    strcpy(g->dir, "/tmp/test-fs-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    g->remote = remote_fault_new(remote_mem_new(uid, uid), &g->fault);
    assert_non_null(g->remote);
    assert_int_equal(cache_new(g->dir, 64 << 20, &g->cache), 0);
    assert_int_equal(fs_new(&config, g->remote, g->cache, &g->fs), 0);
}

static void rig_down(struct rig *g)
{
    fs_free(g->fs);
    cache_free(g->cache);
    remote_free(g->remote);
    rmdir(g->dir);
}

TEST(a_file_written_and_closed_is_in_the_sandbox)
{
    struct rig g;
    struct fs_entry e;
    struct fs_file *f;
    struct fs_open_hints h;
    struct remote_attr a;
    char text[8];

    rig_up(&g, 0);
    assert_int_equal(fs_create(g.fs, FS_ROOT, "a", 0644, O_WRONLY, &e, &f, &h), 0);
    assert_int_equal(fs_write(f, 0, "hello", 5), 5);
    assert_int_equal(fs_flush(f), 0);
    fs_release(f);
    assert_int_equal(remote_stat(g.remote, "/a", &a, NULL), 0);
    assert_int_equal(a.size, 5);
    assert_int_equal(fs_open(g.fs, e.ino, O_RDONLY, &f, &h), 0);
    assert_int_equal(fs_read(f, 0, text, 8), 5);
    assert_memory_equal(text, "hello", 5);
    fs_release(f);
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_written_and_closed_is_in_the_sandbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
