#include "rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void on_inode(void *arg, uint64_t ino)
{
    struct rig *g = arg;

    lock_take(&g->lock);
    g->inode_events++;
    lock_drop(&g->lock);
}

static void on_entry(void *arg, uint64_t parent, const char *name)
{
    struct rig *g = arg;

    lock_take(&g->lock);
    g->entry_events++;
    snprintf(g->last_entry, sizeof(g->last_entry), "%s", name);
    lock_drop(&g->lock);
}

static void on_forget(void *arg, uint64_t parent, const char *name)
{
    struct rig *g = arg;

    lock_take(&g->lock);
    g->forget_events++;
    lock_drop(&g->lock);
}

static const struct fs_notify notify = {.inode = on_inode, .entry = on_entry, .forget = on_forget};

bool rig_with_journal;

static void open_journal(struct rig *g)
{
    const struct flush_config config = {.linger_ns = 1000000, .op_timeout_ns = INT64_C(5000000000)};
    const struct journal_key key = {.api_url = "test:", .sandbox_id = "box", .slot = "/"};
    struct journal_options options = {.base = g->journal_dir, .limits = g->limits, .sys = g->sys};

    assert_int_equal(journal_open(&options, &key, &g->journal, NULL), 0);
    assert_int_equal(flush_new(&config, g->journal, g->remote, &g->fs_config.flush), 0);
}

static void remove_dir(const char *dir)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    assert_int_equal(system(command), 0);
}

static void open_all(struct rig *g)
{
    assert_int_equal(cache_new(g->dir, g->cache_bytes, &g->cache), 0);
    if (g->keep)
        assert_int_equal(cache_keep(g->cache, "rig"), 0);
    if (*g->journal_dir)
        open_journal(g);
    assert_int_equal(fs_new(&g->fs_config, g->remote, g->cache, &g->fs), 0);
}

void rig_up(struct rig *g, const struct rig_config *config)
{
    const bool journal = config->journal || rig_with_journal;
    struct fs_config fs = config->fs;
    struct remote *mem = config->under;

    memset(g, 0, sizeof(*g));
    lock_init(&g->lock);
    strcpy(g->dir, "/tmp/test-rig-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    if (!mem)
        mem = remote_mem_new(config->uid, config->uid);
    assert_non_null(mem);
    g->inside = mem;
    mem = tally_new(mem, !config->changes && !journal, &g->tally);
    assert_non_null(mem);
    g->remote = remote_fault_new(mem, &g->fault);
    assert_non_null(g->remote);
    if (!fs.root)
        fs.root = "/";
    fs.mount_dir = "/mnt/box";
    if (fs.force_uid == 0)
        fs.force_uid = fs.force_gid = -1;
    fs.coherence_ns = config->coherence_ns < 0    ? 0
                      : config->coherence_ns == 0 ? 1000000000
                                                  : config->coherence_ns;
    fs.notify = &notify;
    fs.notify_arg = g;
    if (journal && !fs.read_only) {
        strcpy(g->journal_dir, "/tmp/test-rig-XXXXXX");
        assert_non_null(mkdtemp(g->journal_dir));
        if (fs.durability == FS_DURABILITY_CLOSE)
            fs.durability = FS_DURABILITY_FSYNC;
    }
    g->fs_config = fs;
    g->cache_bytes = config->cache_bytes ? config->cache_bytes : 64 << 20;
    g->limits = config->limits;
    g->sys = config->sys;
    g->keep = config->keep;
    open_all(g);
}

static void close_all(struct rig *g)
{
    g->fs = fs_free(g->fs);
    g->journal = journal_free(g->journal);
    g->cache = cache_free(g->cache);
}

void rig_restart(struct rig *g)
{
    struct flush *left;
    int r;

    close_all(g);
    if (*g->journal_dir) {
        open_journal(g);
        left = g->fs_config.flush;
        r = flush_barrier(left, NULL, NULL, NULL);
        assert_true(r == 0 || r == -EIO); /* what is parked is no reason to stay away */
        flush_free(left);
        g->journal = journal_free(g->journal);
    }
    open_all(g);
}

void rig_down(struct rig *g)
{
    close_all(g);
    if (*g->journal_dir)
        remove_dir(g->journal_dir);
    g->remote = remote_free(g->remote);
    lock_done(&g->lock);
    if (g->keep)
        remove_dir(g->dir);
    else
        assert_int_equal(rmdir(g->dir), 0); /* nothing was left in it */
}

/* ---- the sandbox ---- */

void rig_settle(struct rig *g)
{
    if (g->journal)
        (void)fs_sync(g->fs, NULL, NULL); /* what failed shows in what is there */
}

void rig_put(struct rig *g, const char *path, const void *data, size_t len)
{
    FILE *f = tmpfile();
    struct remote_put put = {.size = len, .mtime_ns = INT64_MIN};
    struct remote_attr attr;
    int r;

    rig_settle(g);
    assert_non_null(f);
    assert_int_equal(pwrite(fileno(f), data, len, 0), (ssize_t)len);
    r = remote_create(g->remote, path, 0644, &attr);
    assert_true(r == 0 || r == -EEXIST);
    assert_int_equal(remote_stat(g->remote, path, &attr, NULL), 0);
    put.fd = fileno(f);
    put.replace = &attr;
    assert_int_equal(remote_put(g->remote, path, &put, &attr), 0);
    fclose(f);
}

void rig_mkdir(struct rig *g, const char *path)
{
    struct remote_attr attr;

    rig_settle(g);
    assert_int_equal(remote_mkdir(g->remote, path, 0755, &attr), 0);
}

long rig_get(struct rig *g, const char *path, void *data, size_t max)
{
    FILE *f = tmpfile();
    struct remote_attr attr;
    uint64_t len = 0;
    int r;

    rig_settle(g);
    assert_non_null(f);
    r = remote_stat(g->remote, path, &attr, NULL);
    if (r == 0)
        r = remote_fetch(g->remote, path, &attr, 0, attr.size, fileno(f), &len);
    if (r == 0)
        r = (int)pread(fileno(f), data, max, 0);
    fclose(f);
    return r;
}

void rig_expect(struct rig *g, const char *path, const char *text)
{
    char data[4096];
    const long got = rig_get(g, path, data, sizeof(data) - 1);

    if (!text) {
        assert_int_equal(got, -ENOENT);
        return;
    }
    if (got < 0)
        fail_msg("%s: %s", path, strerror((int)-got));
    data[got] = '\0';
    assert_string_equal(data, text);
}

/* ---- fs ---- */

int rig_find(struct rig *g, const char *path, struct fs_entry *ret)
{
    char copy[4096], *part, *save;
    uint64_t ino = FS_ROOT;
    int r;

    snprintf(copy, sizeof(copy), "%s", path);
    memset(ret, 0, sizeof(*ret));
    ret->ino = FS_ROOT;
    for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        r = fs_lookup_cached(g->fs, ino, part, ret);
        if (r == -EAGAIN)
            r = fs_lookup(g->fs, ino, part, ret);
        if (ino != FS_ROOT)
            fs_forget(g->fs, ino, 1);
        if (r < 0)
            return r;
        if (ret->ino == 0)
            return -ENOENT;
        ino = ret->ino;
    }
    return 0;
}

void rig_drop(struct rig *g, const struct fs_entry *e)
{
    if (e->ino != FS_ROOT)
        fs_forget(g->fs, e->ino, 1);
}

static int find_dir(struct rig *g, const char *path, struct fs_entry *ret, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    char dir[4096];

    snprintf(dir, sizeof(dir), "%.*s", slash ? (int)(slash - path) : 0, path);
    *ret_name = slash ? slash + 1 : path;
    return rig_find(g, dir, ret);
}

int rig_open(struct rig *g, const char *path, int flags, struct fs_file **ret)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    int r = rig_find(g, path, &e);

    if (r < 0)
        return r;
    r = fs_open_cached(g->fs, e.ino, flags, ret, &hints);
    if (r == -EAGAIN)
        r = fs_open(g->fs, e.ino, flags, ret, &hints);
    rig_drop(g, &e);
    return r;
}

int rig_create(struct rig *g, const char *path, int flags, struct fs_file **ret)
{
    struct fs_open_hints hints;
    struct fs_entry dir, e;
    const char *name;
    int r = find_dir(g, path, &dir, &name);

    if (r < 0)
        return r;
    r = fs_create(g->fs, dir.ino, name, 0644, flags, &e, ret, &hints);
    if (r == 0)
        rig_drop(g, &e);
    rig_drop(g, &dir);
    return r;
}

int rig_close(struct fs_file *f)
{
    const int r = fs_flush(f);

    fs_release(f);
    return r;
}

int rig_write(struct rig *g, const char *path, const char *text)
{
    struct fs_file *f;
    ssize_t put;
    int r = rig_create(g, path, O_WRONLY | O_TRUNC, &f);

    if (r < 0)
        return r;
    put = fs_write(f, 0, text, strlen(text));
    r = rig_close(f);
    return put < 0 ? (int)put : r;
}

int rig_read(struct rig *g, const char *path, char *text, size_t size)
{
    struct fs_file *f;
    ssize_t got;
    int r = rig_open(g, path, O_RDONLY, &f);

    if (r < 0)
        return r;
    got = fs_read(f, 0, text, size - 1);
    if (got >= 0)
        text[got] = '\0';
    r = rig_close(f);
    return got < 0 ? (int)got : r;
}

int rig_mkdir_fs(struct rig *g, const char *path)
{
    struct fs_entry dir, e;
    const char *name;
    int r = find_dir(g, path, &dir, &name);

    if (r < 0)
        return r;
    r = fs_mkdir(g->fs, dir.ino, name, 0755, &e);
    if (r == 0)
        rig_drop(g, &e);
    rig_drop(g, &dir);
    return r;
}

int rig_unlink(struct rig *g, const char *path)
{
    struct fs_entry dir;
    const char *name;
    int r = find_dir(g, path, &dir, &name);

    if (r < 0)
        return r;
    r = fs_unlink(g->fs, dir.ino, name);
    rig_drop(g, &dir);
    return r;
}

int rig_rmdir(struct rig *g, const char *path)
{
    struct fs_entry dir;
    const char *name;
    int r = find_dir(g, path, &dir, &name);

    if (r < 0)
        return r;
    r = fs_rmdir(g->fs, dir.ino, name);
    rig_drop(g, &dir);
    return r;
}

int rig_rename(struct rig *g, const char *from, const char *to, unsigned flags)
{
    struct fs_entry dir, new_dir;
    const char *name, *new_name;
    int r = find_dir(g, from, &dir, &name);

    if (r < 0)
        return r;
    r = find_dir(g, to, &new_dir, &new_name);
    if (r == 0) {
        r = fs_rename(g->fs, dir.ino, name, new_dir.ino, new_name, flags);
        rig_drop(g, &new_dir);
    }
    rig_drop(g, &dir);
    return r;
}

struct names {
    char *v[1024];
    unsigned count;
};

static int take_name(void *arg, const char *name, const struct fs_entry *e, uint64_t next)
{
    struct names *names = arg;

    if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0) {
        assert_true(names->count < ARRAY_LEN(names->v));
        names->v[names->count++] = strdup(name);
    }
    return 0;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int list_names(struct rig *g, const char *path, struct names *ret)
{
    struct fs_dir *dir;
    struct fs_entry e;
    int r = rig_find(g, path, &e);

    if (r < 0)
        return r;
    r = fs_opendir(g->fs, e.ino, &dir);
    rig_drop(g, &e);
    if (r < 0)
        return r;
    r = fs_readdir(dir, 0, false, take_name, ret);
    fs_releasedir(dir);
    qsort(ret->v, ret->count, sizeof(ret->v[0]), by_name);
    return r;
}

int rig_names(struct rig *g, const char *path, char *ret, size_t size)
{
    struct names names = {.count = 0};
    int r = list_names(g, path, &names);

    ret[0] = '\0';
    for (unsigned i = 0; i < names.count; i++) {
        snprintf(ret + strlen(ret), size - strlen(ret), "%s ", names.v[i]);
        free(names.v[i]);
    }
    return r;
}

static void same_file(struct rig *g, const char *path, const struct remote_attr *attr)
{
    char *here = malloc(attr->size + 1), *there = malloc(attr->size + 1);
    struct fs_file *f;

    assert_int_equal(rig_open(g, path, O_RDONLY, &f), 0);
    assert_int_equal(fs_read(f, 0, here, attr->size + 1), attr->size);
    assert_int_equal(rig_close(f), 0);
    assert_int_equal(rig_get(g, path, there, attr->size + 1), attr->size);
    assert_memory_equal(here, there, attr->size);
    free(here);
    free(there);
}

void rig_same_tree(struct rig *g, const char *path)
{
    struct names names = {.count = 0};
    struct remote_list list;
    char child[4096];

    rig_settle(g);
    assert_int_equal(list_names(g, path, &names), 0);
    assert_int_equal(remote_list(g->remote, path, 1, 1000, &list), 0);
    assert_int_equal(names.count, list.count);
    for (size_t i = 0; i < list.count; i++) {
        const struct remote_attr *attr = &list.v[i].attr;
        struct fs_entry e;

        snprintf(child, sizeof(child), "%s/%s", path[1] ? path : "", list.v[i].name);
        if (rig_find(g, child, &e) < 0)
            fail_msg("%s is in the sandbox, but not shown", child);
        assert_int_equal(fs_getattr(g->fs, e.ino, NULL, &e), 0);
        rig_drop(g, &e);
        assert_int_equal(e.st.st_mode, attr->mode);
        assert_int_equal(e.st.st_nlink, attr->nlink);
        if (S_ISREG(attr->mode)) {
            assert_int_equal(e.st.st_size, attr->size);
            same_file(g, child, attr);
        }
        if (S_ISDIR(attr->mode))
            rig_same_tree(g, child);
    }
    for (unsigned i = 0; i < names.count; i++)
        free(names.v[i]);
    remote_list_done(&list);
}
