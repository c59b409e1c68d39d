/*
 * metadata.c - what a tree costs in memory and time, without a network or a kernel.
 *
 *     metadata [ENTRIES [FANOUT]]
 *
 * fs over a sandbox that is made up as it is asked for: directories of FANOUT files, in directories
 * of 100. The whole is fetched, listed, listed again and looked up by name.
 */
#include "cache/cache.h"
#include "fs/fs.h"
#include "remote/remote.h"
#include "remote/tree.h"
#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FOLDERS = 100 }; /* directories in each directory above those with files */

struct made_up {
    struct remote remote;
    uint64_t dirs, files; /* with files; in each */
};

static struct remote_attr attr_of(uint64_t ino, mode_t mode)
{
    return (struct remote_attr){.dev = 1,
                                .ino = ino,
                                .size = S_ISDIR(mode) ? 4096 : 1000 + ino % 50000,
                                .mtime_ns = (int64_t)(1700000000 + ino) * NS_PER_S,
                                .ctime_ns = (int64_t)(1700000000 + ino) * NS_PER_S,
                                .mode = mode,
                                .nlink = S_ISDIR(mode) ? 2 : 1};
}

static int made_up_info(struct remote *r, struct remote_info *ret)
{
    (void)r;
    *ret = (struct remote_info){.work_dir = strdup("/"),
                                .home_dir = strdup("/"),
                                .daemon_version = strdup(""),
                                .shell = strdup(""),
                                .privileged = true,
                                .caps = REMOTE_CAP_CHANGES | REMOTE_CAP_TREE | REMOTE_CAP_LSTAT};
    return 0;
}

static int made_up_stat(struct remote *r, const char *path, struct remote_attr *ret,
                        char **ret_target)
{
    (void)r;
    if (ret_target)
        *ret_target = NULL;
    if (strcmp(path, "/") != 0)
        return -ENOENT;
    *ret = attr_of(1, S_IFDIR | 0755);
    return 0;
}

/* "" has folders, "folder-1" has directories, "folder-1/dir-2" has files. */
static int add_dir(const struct made_up *m, const char *path, struct remote_tree *t)
{
    uint64_t folder = 0, dir = 0, first, count;
    struct remote_dir *d;
    char name[64];
    const int parts = sscanf(path, "folder-%lu/dir-%lu", &folder, &dir);
    int r = tree_add_dir(t, path, strlen(path), &d);

    if (r < 0)
        return r;
    d->whole = true;
    if (parts <= 0) {
        d->self = attr_of(1, S_IFDIR | 0755);
        first = 0, count = (m->dirs + FOLDERS - 1) / FOLDERS;
    } else if (parts == 1) {
        d->self = attr_of(2 + folder, S_IFDIR | 0755);
        first = folder * FOLDERS;
        count = m->dirs - first < FOLDERS ? m->dirs - first : FOLDERS;
    } else {
        d->self = attr_of((1 << 24) + dir, S_IFDIR | 0755);
        first = dir * m->files, count = m->files;
    }
    for (uint64_t i = first; r == 0 && i < first + count; i++) {
        const struct remote_attr a = parts <= 0   ? attr_of(2 + i, S_IFDIR | 0755)
                                     : parts == 1 ? attr_of((1 << 24) + i, S_IFDIR | 0755)
                                                  : attr_of((1 << 28) + i, S_IFREG | 0644);
        const int len = snprintf(name, sizeof(name), "%s-%lu%s",
                                 parts <= 0   ? "folder"
                                 : parts == 1 ? "dir"
                                              : "module",
                                 i, parts == 2 ? ".ts" : "");

        r = tree_add_entry(t, name, (size_t)len, NULL, 0, &a);
    }
    return r;
}

static int answer(const struct made_up *m, const struct remote_ask *ask, bool changes,
                  struct remote_tree *ret)
{
    struct remote_tree t = {.now_ns = clock_real_ns(), .uptime_ns = clock_mono_ns()};
    int r = 0;

    t.boot = tree_string(&t, "bench", 5);
    for (size_t i = 0; i < ask->path_count && r == 0 && !changes; i++) {
        if (ask->max_entries > 0 && t.count >= ask->max_entries) {
            t.more = true;
            break;
        }
        r = add_dir(m, ask->paths[i], &t);
        t.more = true; /* one level at a time */
    }
    if (r == 0)
        r = tree_settle(&t);
    if (r < 0)
        remote_tree_done(&t);
    else
        *ret = t;
    return r;
}

static int made_up_tree(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    return answer((struct made_up *)r, ask, false, ret);
}

static int made_up_changes(struct remote *r, const struct remote_ask *ask, struct remote_tree *ret)
{
    return answer((struct made_up *)r, ask, true, ret);
}

static void made_up_free(struct remote *r)
{
    (void)r;
}

static const struct remote_ops ops = {
    .name = "made up",
    .info = made_up_info,
    .stat = made_up_stat,
    .tree = made_up_tree,
    .changes = made_up_changes,
    .free = made_up_free,
};

/* ---- measuring ---- */

static long status_kib(const char *key)
{
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kib = 0;

    while (f && fgets(line, sizeof(line), f))
        if (strncmp(line, key, strlen(key)) == 0)
            kib = strtol(line + strlen(key) + 1, NULL, 10);
    if (f)
        fclose(f);
    return kib;
}

static void report(const char *what, uint64_t entries, int64_t start_ns)
{
    const double s = (double)(clock_mono_ns() - start_ns) / 1e9;

    printf("%-34s %9.3f s  %10.0f entries/s\n", what, s, (double)entries / s);
}

struct names {
    uint64_t *ino;
    char (*name)[32];
    size_t count, cap;
};

static int collect(void *arg, const char *name, const struct fs_entry *e, uint64_t next_off)
{
    struct names *v = arg;

    (void)next_off;
    if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return 0;
    if (v->count == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 64;
        v->ino = realloc(v->ino, v->cap * sizeof(*v->ino));
        v->name = realloc(v->name, v->cap * sizeof(*v->name));
        if (!v->ino || !v->name)
            exit(1);
    }
    v->ino[v->count] = S_ISDIR(e->st.st_mode) ? e->ino : 0;
    snprintf(v->name[v->count++], sizeof(*v->name), "%s", name);
    return 0;
}

enum walk { WALK_NAMES, WALK_PLUS, WALK_LOOKUP };

static uint64_t walk(struct fs *fs, uint64_t ino, enum walk how)
{
    struct names v = {0};
    struct fs_dir *dir;
    struct fs_entry e;
    uint64_t n;

    if (fs_opendir(fs, ino, &dir) < 0 || fs_readdir(dir, 0, how == WALK_PLUS, collect, &v) < 0) {
        fprintf(stderr, "a directory cannot be listed\n");
        exit(1);
    }
    fs_releasedir(dir);
    n = v.count;
    for (size_t i = 0; i < v.count && how == WALK_LOOKUP; i++) {
        if (fs_lookup(fs, ino, v.name[i], &e) < 0 || e.ino == 0) {
            fprintf(stderr, "%s is not found\n", v.name[i]);
            exit(1);
        }
        fs_forget(fs, e.ino, 1);
    }
    for (size_t i = 0; i < v.count; i++)
        if (v.ino[i])
            n += walk(fs, v.ino[i], how);
    free(v.ino);
    free(v.name);
    return n;
}

int main(int argc, char **argv)
{
    const uint64_t entries = argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000;
    const uint64_t files = argc > 2 ? strtoull(argv[2], NULL, 10) : 10;
    struct made_up m = {.remote.ops = &ops, .dirs = entries / (files + 1), .files = files};
    struct fs_config config = {.root = "/",
                               .mount_dir = "/mnt",
                               .force_uid = -1,
                               .force_gid = -1,
                               .coherence_ns = 3600 * NS_PER_S};
    static const struct {
        const char *what;
        enum walk how;
    } again[] = {
        {"listed, names only", WALK_NAMES},
        {"listed, with attributes", WALK_PLUS},
        {"listed, each looked up, forgotten", WALK_LOOKUP},
    };
    char tmp[] = "/tmp/bench-metadata-XXXXXX";
    struct cache *cache;
    struct buf text;
    struct fs *fs;
    int64_t start_ns;
    uint64_t n;
    long before;

    if (!mkdtemp(tmp) || cache_new(tmp, 1 << 20, &cache) < 0 ||
        fs_new(&config, &m.remote, cache, &fs) < 0) {
        fprintf(stderr, "cannot begin\n");
        return 1;
    }
    before = status_kib("VmRSS");
    start_ns = clock_mono_ns();
    n = walk(fs, FS_ROOT, WALK_NAMES);
    report("fetched and listed", n, start_ns);
    printf("%-34s %9.1f MiB %8.1f bytes an entry, %.1f MiB before\n", "memory",
           (double)(status_kib("VmRSS") - before) / 1024,
           (double)(status_kib("VmRSS") - before) * 1024 / (double)n, (double)before / 1024);
    for (size_t i = 0; i < ARRAY_LEN(again); i++) {
        start_ns = clock_mono_ns();
        report(again[i].what, walk(fs, FS_ROOT, again[i].how), start_ns);
    }
    printf("%-34s %9.1f MiB\n", "most memory at a time", (double)status_kib("VmHWM") / 1024);
    buf_init(&text, 1 << 16);
    if (fs_status(fs, &text) == 0)
        fputs(buf_str(&text), stdout);
    buf_done(&text);
    fs_free(fs);
    cache_free(cache);
    rmdir(tmp);
    return 0;
}
