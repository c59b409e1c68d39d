/*
 * Random operations on fs over remote_mem and on a plain local directory: results, errno, content
 * and the final tree must be alike. SEED and OPS in the environment repeat or lengthen a run, ONLY
 * is a test's name; the seed is printed. As root, and as an ordinary user in a child process.
 *
 * Left out because plain mode promises less: a file with several names is not written through a
 * handle that stays open (the other names see it at close), links are never walked through, and no
 * directory can be read but not searched (its entries have no attributes then), no file written but
 * not read (its old content must come here first).
 */
#include "unit.h"

#include "fs/fs.h"
#include "remote/backends.h"
#include "tally.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { HANDLES = 6, NAMES = 5, DEPTH = 3, SIZE = 5000, ID_USER = 65534 };

struct handle {
    int fd; /* -1: not open */
    struct fs_file *file;
    int flags;
};

struct model {
    unsigned seed, step;
    unsigned long long rnd;
    char local[64], cache_dir[64], journal_dir[64];
    int top;                 /* descriptor of local */
    struct journal *journal; /* NULL: every change is made at once */
    struct remote *remote;
    struct cache *cache;
    struct fs *fs;
    struct handle handles[HANDLES];
    char log[1024]; /* the operation, for messages */
    char history[512][160];
};

static unsigned pick(struct model *m, unsigned n)
{
    m->rnd = m->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(m->rnd >> 33) % n;
}

static void show_history(const struct model *m)
{
    for (unsigned i = m->step < 512 ? 0 : m->step - 511; i <= m->step; i++)
        print_error("%5u  %s\n", i, m->history[i % 512]);
}

#define SAY(m, ...)                                                                                \
    do {                                                                                           \
        snprintf((m)->log, sizeof((m)->log), __VA_ARGS__);                                         \
        snprintf((m)->history[(m)->step % 512], 160, "%.150s", (m)->log);                          \
    } while (0)

static void same(struct model *m, const char *what, long long here, long long there)
{
    struct buf errors = BUF_INIT(1 << 20);

    if (here == there)
        return;
    show_history(m);
    if (fs_errors_text(m->fs, &errors) == 0)
        print_error("%s", buf_str(&errors));
    buf_done(&errors);
    fail_msg("SEED=%u step %u: %s: %s is %lld locally, %lld through fs", m->seed, m->step, m->log,
             what, here, there);
}

/* "a/b/c" of up to DEPTH parts. */
static void pick_path(struct model *m, char *path)
{
    const unsigned depth = 1 + pick(m, DEPTH);

    path[0] = '\0';
    for (unsigned i = 0; i < depth; i++)
        sprintf(path + strlen(path), "%s%c", i ? "/" : "", 'a' + (int)pick(m, NAMES));
}

static int result(int r)
{
    return r < 0 ? -errno : r;
}

/* ---- paths through fs ---- */

static int walk(struct model *m, const char *path, struct fs_entry *ret)
{
    uint64_t ino = FS_ROOT, before = 0;
    char copy[64], *part, *save;
    int r = 0;

    strcpy(copy, path);
    memset(ret, 0, sizeof(*ret));
    ret->ino = FS_ROOT;
    for (part = strtok_r(copy, "/", &save); part; part = strtok_r(NULL, "/", &save)) {
        r = fs_lookup(m->fs, ino, part, ret);
        if (before)
            fs_forget(m->fs, before, 1);
        before = 0;
        if (r < 0)
            return r;
        if (ret->ino == 0)
            return -ENOENT;
        ino = before = ret->ino;
    }
    if (before && ino == FS_ROOT)
        fs_forget(m->fs, before, 1);
    return 0; /* one reference of ret->ino is the caller's unless it is the root */
}

static void drop(struct model *m, uint64_t ino)
{
    if (ino != FS_ROOT && ino != 0)
        fs_forget(m->fs, ino, 1);
}

/* The parent directory; *ret_name points into path. */
static int walk_dir(struct model *m, const char *path, uint64_t *ret_ino, const char **ret_name)
{
    const char *slash = strrchr(path, '/');
    struct fs_entry e;
    char dir[64];
    int r;

    *ret_name = slash ? slash + 1 : path;
    *ret_ino = FS_ROOT;
    if (!slash)
        return 0;
    snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
    r = walk(m, dir, &e);
    if (r < 0)
        return r;
    /* A local call notices this before it looks at its second path. */
    r = S_ISDIR(e.st.st_mode) ? fs_access(m->fs, e.ino, X_OK) : -ENOTDIR;
    if (r < 0)
        drop(m, e.ino);
    else
        *ret_ino = e.ino;
    return r;
}

/* ---- what keeps the two apart ---- */

static bool is_open(struct model *m, const char *path)
{
    struct stat st, other;

    if (fstatat(m->top, path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    for (unsigned i = 0; i < HANDLES; i++)
        if (m->handles[i].fd >= 0 && fstat(m->handles[i].fd, &other) == 0 &&
            other.st_ino == st.st_ino)
            return true;
    return false;
}

/* Is a link on the way? Local calls would follow it. */
static bool through_link(struct model *m, const char *path)
{
    char copy[64];
    struct stat st;

    strcpy(copy, path);
    for (char *p = copy; (p = strchr(p, '/')); *p++ = '/') {
        *p = '\0';
        if (fstatat(m->top, copy, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
            return true;
    }
    return false;
}

static bool several_names(struct model *m, const char *path)
{
    struct stat st;

    return fstatat(m->top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
           st.st_nlink > 1;
}

/* ---- comparing ---- */

static void same_stat(struct model *m, const struct stat *here, const struct stat *there)
{
    same(m, "mode", here->st_mode, there->st_mode);
    same(m, "owner", here->st_uid, there->st_uid);
    if (S_ISREG(here->st_mode)) {
        same(m, "links", (long long)here->st_nlink, (long long)there->st_nlink);
        same(m, "size", here->st_size, there->st_size);
    }
}

static void op_stat(struct model *m)
{
    struct fs_entry e, again;
    struct stat st;
    char path[64];
    int a, b;

    pick_path(m, path);
    SAY(m, "stat %s", path);
    if (through_link(m, path))
        return;
    a = result(fstatat(m->top, path, &st, AT_SYMLINK_NOFOLLOW));
    b = walk(m, path, &e);
    same(m, "result", a, b);
    if (b < 0)
        return;
    same_stat(m, &st, &e.st);
    assert_int_equal(fs_getattr(m->fs, e.ino, NULL, &again), 0);
    same_stat(m, &st, &again.st);
    drop(m, e.ino);
}

static struct handle *pick_handle(struct model *m, bool open)
{
    const unsigned start = pick(m, HANDLES);

    for (unsigned i = 0; i < HANDLES; i++) {
        struct handle *h = &m->handles[(start + i) % HANDLES];

        if ((h->fd >= 0) == open)
            return h;
    }
    return NULL;
}

static void op_open(struct model *m)
{
    static const int flags_of[] = {
        O_RDONLY, O_RDWR, O_WRONLY, O_RDWR | O_TRUNC, O_WRONLY | O_APPEND, O_RDWR | O_APPEND};
    struct handle *h = pick_handle(m, false);
    struct fs_open_hints hints;
    struct fs_entry e;
    char path[64];
    int a, b;

    if (!h)
        return;
    pick_path(m, path);
    h->flags = flags_of[pick(m, ARRAY_LEN(flags_of))];
    SAY(m, "open %s flags %x", path, (unsigned)h->flags);
    if (through_link(m, path) || several_names(m, path))
        return;
    a = result(openat(m->top, path, h->flags | O_NOFOLLOW));
    b = walk(m, path, &e);
    if (b == 0) {
        /* The kernel opens directories elsewhere. */
        if (S_ISDIR(e.st.st_mode))
            b = a >= 0 ? 0 : a;
        else
            b = fs_open(m->fs, e.ino, h->flags, &h->file, &hints);
        drop(m, e.ino);
    }
    same(m, "result", a >= 0 ? 0 : a, b);
    if (a >= 0 && S_ISDIR(e.st.st_mode)) {
        close(a);
        return;
    }
    h->fd = a >= 0 ? a : -1;
}

static void op_create(struct model *m)
{
    static const mode_t modes[] = {0644, 0600, 0444, 0755};
    const mode_t mode = modes[pick(m, ARRAY_LEN(modes))];
    struct handle *h = pick_handle(m, false);
    const int excl = pick(m, 2) ? O_EXCL : 0, trunc = pick(m, 2) ? O_TRUNC : 0;
    struct fs_open_hints hints;
    struct fs_entry e;
    const char *name;
    uint64_t dir = 0;
    char path[64];
    int a, b;

    if (!h)
        return;
    pick_path(m, path);
    h->flags = O_RDWR | excl | trunc;
    SAY(m, "create %s mode %o flags %x", path, (unsigned)mode, (unsigned)h->flags);
    if (through_link(m, path) || several_names(m, path))
        return;
    a = result(openat(m->top, path, h->flags | O_CREAT | O_NOFOLLOW, mode));
    b = walk_dir(m, path, &dir, &name);
    if (b == 0) {
        b = fs_create(m->fs, dir, name, mode, h->flags, &e, &h->file, &hints);
        drop(m, dir);
    }
    if (b == 0)
        drop(m, e.ino);
    same(m, "result", a >= 0 ? 0 : a, b);
    h->fd = a >= 0 ? a : -1;
}

static void fill(struct model *m, char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (char)('A' + pick(m, 26));
}

static void op_write(struct model *m)
{
    struct handle *h = pick_handle(m, true);
    char data[SIZE];
    size_t n, off;
    long a, b;

    if (!h || (h->flags & O_ACCMODE) == O_RDONLY)
        return;
    n = 1 + pick(m, SIZE - 1);
    off = pick(m, 2 * SIZE);
    fill(m, data, n);
    SAY(m, "write handle %d at %zu %zu bytes", (int)(h - m->handles), off, n);
    a = h->flags & O_APPEND ? write(h->fd, data, n) : pwrite(h->fd, data, n, (off_t)off);
    b = fs_write_cached(h->file, off, data, n);
    if (b == -EAGAIN)
        b = fs_write(h->file, off, data, n);
    same(m, "result", a, b);
}

static void op_read(struct model *m)
{
    struct handle *h = pick_handle(m, true);
    char here[SIZE], there[SIZE];
    size_t n, off;
    long a, b;

    if (!h || (h->flags & O_ACCMODE) == O_WRONLY)
        return;
    n = 1 + pick(m, SIZE - 1);
    off = pick(m, 2 * SIZE);
    SAY(m, "read handle %d at %zu %zu bytes", (int)(h - m->handles), off, n);
    a = pread(h->fd, here, n, (off_t)off);
    b = fs_read_cached(h->file, off, there, n);
    if (b == -EAGAIN)
        b = fs_read(h->file, off, there, n);
    same(m, "result", a, b);
    if (a > 0)
        same(m, "content", 0, memcmp(here, there, (size_t)a));
}

/* Sets of an open handle: what fstat shows goes along with what happens to its name. */
static void op_handle(struct model *m)
{
    struct handle *h = pick_handle(m, true);
    struct fs_entry e;
    struct stat st, want = {0};
    int a, b;

    if (!h)
        return;
    assert_int_equal(fstat(h->fd, &st), 0);
    if (pick(m, 2) || (h->flags & O_ACCMODE) == O_RDONLY) {
        SAY(m, "fsync handle %d", (int)(h - m->handles));
        same(m, "result", 0, fs_fsync(h->file));
        return;
    }
    want.st_size = pick(m, 2 * SIZE);
    SAY(m, "ftruncate handle %d to %ld", (int)(h - m->handles), (long)want.st_size);
    a = result(ftruncate(h->fd, want.st_size));
    b = fs_setattr(m->fs, fs_file_ino(h->file), h->file, FS_SET_SIZE, &want, &e);
    same(m, "result", a, b);
    assert_int_equal(fstat(h->fd, &st), 0);
    same(m, "size", st.st_size, e.st.st_size);
    same(m, "links", (long long)st.st_nlink, (long long)e.st.st_nlink);
}

static void close_handle(struct model *m, struct handle *h)
{
    const uint64_t ino = fs_file_ino(h->file);
    struct fs_entry before, after;
    struct stat st;

    assert_int_equal(fstat(h->fd, &st), 0);
    assert_int_equal(fs_getattr(m->fs, ino, h->file, &before), 0);
    same(m, "size", st.st_size, before.st.st_size);
    same(m, "links", (long long)st.st_nlink, (long long)before.st.st_nlink);
    same(m, "close", 0, fs_flush(h->file));
    assert_int_equal(fs_getattr(m->fs, ino, h->file, &after), 0);
    same(m, "inode number", (long long)before.st.st_ino, (long long)after.st.st_ino);
    same(m, "mtime", before.st.st_mtim.tv_nsec, after.st.st_mtim.tv_nsec);
    fs_release(h->file);
    close(h->fd);
    h->fd = -1;
}

static void op_close(struct model *m)
{
    struct handle *h = pick_handle(m, true);

    if (!h)
        return;
    SAY(m, "close handle %d", (int)(h - m->handles));
    close_handle(m, h);
}

/* What cp -p and tar do: write, set the time, close. The time stays. */
static void op_copy(struct model *m)
{
    struct fs_open_hints hints;
    struct fs_file *file;
    struct fs_entry e;
    struct stat st = {.st_mtim = {.tv_sec = 1000000 + pick(m, 1000), .tv_nsec = 5000}};
    const char *name;
    char path[64], data[100];
    uint64_t dir;
    int fd, b;

    pick_path(m, path);
    SAY(m, "copy to %s", path);
    if (through_link(m, path) || is_open(m, path))
        return;
    fill(m, data, sizeof(data));
    fd = result(openat(m->top, path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0644));
    b = walk_dir(m, path, &dir, &name);
    if (b == 0) {
        b = fs_create(m->fs, dir, name, 0644, O_WRONLY | O_TRUNC, &e, &file, &hints);
        drop(m, dir);
    }
    same(m, "result", fd >= 0 ? 0 : fd, b);
    if (b < 0)
        return;
    assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
    close(fd);
    same(m, "written", sizeof(data), fs_write(file, 0, data, sizeof(data)));
    b = fs_setattr(m->fs, e.ino, file, FS_SET_MTIME | FS_SET_ATIME, &st, &e);
    if (b == -EPERM) /* another's file, which we may write */
        goto out;
    same(m, "times", 0, b);
    same(m, "flush", 0, fs_flush(file));
    fs_refresh(m->fs, NULL);
    same(m, "stat", 0, fs_getattr(m->fs, e.ino, NULL, &e));
    same(m, "mtime", st.st_mtim.tv_sec, e.st.st_mtim.tv_sec);
    same(m, "mtime ns", st.st_mtim.tv_nsec, e.st.st_mtim.tv_nsec);
out:
    fs_release(file);
    drop(m, e.ino);
}

static void op_make(struct model *m)
{
    const unsigned kind = pick(m, 3);
    static const mode_t modes[] = {0755, 0700, 0500, 0711};
    const mode_t mode = modes[pick(m, ARRAY_LEN(modes))];
    struct fs_entry e;
    const char *name;
    uint64_t dir;
    char path[64];
    int a, b;

    pick_path(m, path);
    SAY(m, "%s %s", kind == 0 ? "symlink" : "mkdir", path);
    if (through_link(m, path))
        return;
    a = result(kind == 0 ? symlinkat("a/b", m->top, path) : mkdirat(m->top, path, mode));
    b = walk_dir(m, path, &dir, &name);
    if (b == 0) {
        b = kind == 0 ? fs_symlink(m->fs, "a/b", dir, name, &e)
                      : fs_mkdir(m->fs, dir, name, mode, &e);
        drop(m, dir);
    }
    same(m, "result", a, b);
    if (b == 0)
        drop(m, e.ino);
}

static void op_remove(struct model *m)
{
    const bool is_dir = pick(m, 2);
    const char *name;
    uint64_t dir;
    char path[64];
    int a, b;

    pick_path(m, path);
    SAY(m, "%s %s", is_dir ? "rmdir" : "unlink", path);
    if (through_link(m, path))
        return;
    a = result(unlinkat(m->top, path, is_dir ? AT_REMOVEDIR : 0));
    b = walk_dir(m, path, &dir, &name);
    if (b == 0) {
        b = is_dir ? fs_rmdir(m->fs, dir, name) : fs_unlink(m->fs, dir, name);
        drop(m, dir);
    }
    same(m, "result", a, b);
}

static void op_rename(struct model *m)
{
    static const unsigned kinds[] = {0, 0, 0, RENAME_NOREPLACE, RENAME_EXCHANGE};
    const unsigned flags = kinds[pick(m, ARRAY_LEN(kinds))];
    const char *name, *new_name;
    uint64_t dir, new_dir;
    struct fs_entry seen[2];
    char from[64], to[64];
    bool known[2] = {0};
    int a, b;

    pick_path(m, from);
    pick_path(m, to);
    SAY(m, "rename %s %s flags %u", from, to, flags);
    if (through_link(m, from) || through_link(m, to))
        return;
    a = result(renameat2(m->top, from, m->top, to, flags));
    if (flags & RENAME_EXCHANGE) { /* the kernel knows what it exchanges */
        known[0] = walk(m, from, &seen[0]) == 0;
        known[1] = walk(m, to, &seen[1]) == 0;
    }
    b = walk_dir(m, from, &dir, &name);
    if (b == 0) {
        b = walk_dir(m, to, &new_dir, &new_name);
        if (b == 0) {
            b = fs_rename(m->fs, dir, name, new_dir, new_name, flags);
            drop(m, new_dir);
        }
        drop(m, dir);
    }
    for (int i = 0; i < 2; i++)
        if (known[i])
            drop(m, seen[i].ino);
    same(m, "result", a, b);
}

static void op_link(struct model *m)
{
    struct fs_entry e, made;
    const char *name;
    uint64_t dir;
    char from[64], to[64];
    int a, b;

    pick_path(m, from);
    pick_path(m, to);
    SAY(m, "link %s %s", from, to);
    if (through_link(m, from) || through_link(m, to) || is_open(m, from))
        return;
    a = result(linkat(m->top, from, m->top, to, 0));
    b = walk(m, from, &e);
    if (b == 0) {
        b = walk_dir(m, to, &dir, &name);
        if (b == 0) {
            b = fs_link(m->fs, e.ino, dir, name, &made);
            drop(m, dir);
            if (b == 0) {
                same(m, "one inode", (long long)e.st.st_ino, (long long)made.st.st_ino);
                drop(m, made.ino);
            }
        }
        drop(m, e.ino);
    }
    same(m, "result", a, b);
}

/* What git does for each object: written under another name, linked, and that name goes. */
static void op_object(struct model *m)
{
    struct fs_open_hints hints;
    struct fs_file *file;
    struct fs_entry e, made;
    const char *name;
    char to[64], from[64], data[200];
    uint64_t dir;
    int fd, a, b;

    pick_path(m, to);
    sprintf(from, "%.*s", (int)strlen(to) - 1, to);
    strcat(from, "tmp");
    SAY(m, "object %s as %s", from, to);
    if (through_link(m, to))
        return;
    fill(m, data, sizeof(data));
    fd = result(openat(m->top, from, O_WRONLY | O_CREAT | O_EXCL, 0444));
    b = walk_dir(m, from, &dir, &name);
    if (b < 0) {
        same(m, "create", fd, b);
        return;
    }
    b = fs_create(m->fs, dir, name, 0444, O_WRONLY | O_EXCL, &e, &file, &hints);
    same(m, "create", fd >= 0 ? 0 : fd, b);
    if (b == 0) {
        assert_int_equal(write(fd, data, sizeof(data)), sizeof(data));
        close(fd);
        same(m, "written", sizeof(data), fs_write(file, 0, data, sizeof(data)));
        same(m, "flush", 0, fs_flush(file));
        fs_release(file);
        a = result(linkat(m->top, from, m->top, to, 0));
        b = fs_link(m->fs, e.ino, dir, strrchr(to, '/') ? strrchr(to, '/') + 1 : to, &made);
        same(m, "link", a, b);
        if (b == 0)
            drop(m, made.ino);
        drop(m, e.ino);
        a = result(unlinkat(m->top, from, 0));
        same(m, "unlink", a, fs_unlink(m->fs, dir, name));
    }
    drop(m, dir);
}

static void op_whole(struct model *m)
{
    char path[64], here[3 * SIZE], there[3 * SIZE];
    struct fs_open_hints hints;
    struct fs_file *file;
    struct fs_entry e;
    struct stat st;
    ssize_t n;
    int fd, b;

    pick_path(m, path);
    SAY(m, "read all of %s", path);
    if (through_link(m, path) || fstatat(m->top, path, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
        !S_ISREG(st.st_mode))
        return;
    fd = result(openat(m->top, path, O_RDONLY));
    b = walk(m, path, &e);
    if (b == 0) {
        b = fs_open(m->fs, e.ino, O_RDONLY, &file, &hints);
        drop(m, e.ino);
    }
    same(m, "result", fd >= 0 ? 0 : fd, b);
    if (b < 0)
        return;
    n = read(fd, here, sizeof(here));
    same(m, "size", n, fs_read(file, 0, there, sizeof(there)));
    same(m, "content", 0, memcmp(here, there, (size_t)n));
    same(m, "close", 0, fs_flush(file));
    fs_release(file);
    close(fd);
}

static void op_chmod(struct model *m)
{
    static const mode_t modes[] = {0755, 0700, 0644, 0444, 0500, 0300, 0000, 01777};
    struct stat want = {.st_mode = modes[pick(m, ARRAY_LEN(modes))]};
    struct fs_entry e;
    char path[64];
    struct stat st;
    int a, b;

    pick_path(m, path);
    SAY(m, "chmod %o %s", (unsigned)want.st_mode, path);
    if (through_link(m, path) ||
        (fstatat(m->top, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
         (S_ISLNK(st.st_mode) || (want.st_mode & 0500) == (S_ISDIR(st.st_mode) ? 0400 : 0100))))
        return;
    /* A handle here is a path there: it does not outlive the right to walk it, to read or write. */
    for (unsigned i = 0; i < HANDLES && (want.st_mode & 0700) != 0700; i++)
        if (m->handles[i].fd >= 0)
            close_handle(m, &m->handles[i]);
    a = result(fchmodat(m->top, path, want.st_mode, 0));
    b = walk(m, path, &e);
    if (b == 0) {
        b = fs_setattr(m->fs, e.ino, NULL, FS_SET_MODE, &want, &e);
        drop(m, e.ino);
    }
    same(m, "result", a, b);
}

static void op_truncate(struct model *m)
{
    struct stat want = {.st_size = pick(m, 2 * SIZE)}, st;
    struct fs_entry e;
    char path[128], local[64];
    int a, b;

    pick_path(m, local);
    SAY(m, "truncate %s to %ld", local, (long)want.st_size);
    if (through_link(m, local) ||
        (fstatat(m->top, local, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode)))
        return;
    snprintf(path, sizeof(path), "%s/%s", m->local, local);
    a = result(truncate(path, want.st_size));
    b = walk(m, local, &e);
    if (b == 0) {
        const uint64_t ino = e.ino;

        b = fs_setattr(m->fs, ino, NULL, FS_SET_SIZE, &want, &e);
        drop(m, ino);
    }
    same(m, "result", a, b);
    if (b == 0)
        same(m, "size", want.st_size, e.st.st_size);
}

struct names {
    char found[64];
    unsigned count;
};

static int fill_name(void *arg, const char *name, const struct fs_entry *e, uint64_t next)
{
    struct names *names = arg;

    if (name[0] != '.') {
        names->found[names->count++] = name[0];
        assert_true(names->count < sizeof(names->found));
    }
    return 0;
}

static int by_char(const void *a, const void *b)
{
    return *(const char *)a - *(const char *)b;
}

static void op_readdir(struct model *m)
{
    struct names here = {0}, there = {0};
    struct fs_dir *dir;
    struct dirent *d;
    struct fs_entry e;
    char path[64];
    DIR *local;
    int a, b;

    pick_path(m, path);
    SAY(m, "readdir %s", path);
    if (through_link(m, path))
        return;
    a = result(openat(m->top, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    b = walk(m, path, &e);
    if (b == 0) {
        b = fs_opendir(m->fs, e.ino, &dir);
        drop(m, e.ino);
    }
    same(m, "result", a >= 0 ? 0 : a, b);
    if (a < 0)
        return;
    local = fdopendir(a);
    while ((d = readdir(local)))
        if (d->d_name[0] != '.')
            here.found[here.count++] = d->d_name[0];
    closedir(local);
    assert_int_equal(fs_readdir(dir, 0, false, fill_name, &there), 0);
    fs_releasedir(dir);
    qsort(here.found, here.count, 1, by_char);
    qsort(there.found, there.count, 1, by_char);
    same(m, "count", here.count, there.count);
    same(m, "names", 0, memcmp(here.found, there.found, here.count));
}

static void op_sync(struct model *m)
{
    SAY(m, "sync");
    if (m->journal && pick(m, 8) == 0)
        same(m, "sync", 0, fs_sync(m->fs, NULL, NULL));
}

static void op_refresh(struct model *m)
{
    SAY(m, "refresh");
    fs_refresh(m->fs, NULL);
}

/* ---- the final tree, past fs ---- */

static void same_content(struct model *m, const char *local, const char *path,
                         const struct remote_attr *attr)
{
    FILE *there = tmpfile();
    char a[4096], b[4096];
    uint64_t got;
    int fd = openat(m->top, local, O_RDONLY);

    if (fd < 0) { /* not readable for us, and then not there either */
        fclose(there);
        return;
    }
    same(m, "fetch", 0, remote_fetch(m->remote, path, attr, 0, attr->size, fileno(there), &got));
    for (uint64_t off = 0; off < attr->size; off += sizeof(a)) {
        const ssize_t n = pread(fd, a, sizeof(a), (off_t)off);

        same(m, "length", n, pread(fileno(there), b, sizeof(b), (off_t)off));
        same(m, "final content", 0, memcmp(a, b, (size_t)n));
    }
    close(fd);
    fclose(there);
}

static void same_tree(struct model *m, const char *dir)
{
    struct remote_list list;
    char path[600], local[600];
    struct stat st;
    int r;

    snprintf(path, sizeof(path), "/%s", dir);
    r = remote_list(m->remote, path, 1, 1000, &list);
    if (r == -EACCES)
        return;
    same(m, "list", 0, r);
    for (size_t i = 0; i < list.count; i++) {
        const struct remote_attr *attr = &list.v[i].attr;

        snprintf(path, sizeof(path), "/%s%s%s", dir, dir[0] ? "/" : "", list.v[i].name);
        strcpy(local, path + 1);
        SAY(m, "final %s", local);
        r = result(fstatat(m->top, local, &st, AT_SYMLINK_NOFOLLOW));
        if (r == -EACCES)
            continue;
        same(m, "lstat", r, 0);
        same(m, "mode", st.st_mode, attr->mode);
        if (S_ISREG(st.st_mode)) {
            same(m, "size", st.st_size, (long long)attr->size);
            same(m, "links", (long long)st.st_nlink, attr->nlink);
            same_content(m, local, path, attr);
        }
        if (S_ISDIR(st.st_mode))
            same_tree(m, local);
    }
    remote_list_done(&list);
}

/* ---- */

typedef void (*op_fn)(struct model *m);
static const op_fn ops[] = {
    op_stat,  op_stat,    op_stat,     op_open,    op_open,   op_create, op_create, op_write,
    op_write, op_write,   op_read,     op_read,    op_read,   op_handle, op_close,  op_close,
    op_copy,  op_make,    op_make,     op_remove,  op_rename, op_rename, op_link,   op_chmod,
    op_make,  op_readdir, op_truncate, op_refresh, op_sync,   op_link,   op_object, op_whole,
};

/* What the sandbox is, and how it is used. */
enum way { PLAIN, CHANGES, JOURNAL, SYNC };

static struct flush *open_journal(struct model *m)
{
    const struct flush_config config = {.linger_ns = 500000};
    const struct journal_key key = {.api_url = "test:", .sandbox_id = "box", .slot = "/"};
    struct journal_options options = {.base = m->journal_dir};
    struct flush *f;

    strcpy(m->journal_dir, "/tmp/test-model-XXXXXX");
    assert_non_null(mkdtemp(m->journal_dir));
    assert_int_equal(journal_open(&options, &key, &m->journal, NULL), 0);
    assert_int_equal(flush_new(&config, m->journal, m->remote, &f), 0);
    return f;
}

static void model_up(struct model *m, uint32_t uid, unsigned seed, int64_t coherence_ns,
                     enum way way)
{
    struct fs_config config = {.root = "/",
                               .mount_dir = "/mnt/box",
                               .force_uid = -1,
                               .force_gid = -1,
                               .coherence_ns = coherence_ns};
    struct tally *tally;

    memset(m, 0, sizeof(*m));
    m->seed = seed;
    m->rnd = seed;
    for (unsigned i = 0; i < HANDLES; i++)
        m->handles[i].fd = -1;
    strcpy(m->local, "/tmp/test-model-XXXXXX");
    strcpy(m->cache_dir, "/tmp/test-model-XXXXXX");
    assert_non_null(mkdtemp(m->local));
    assert_non_null(mkdtemp(m->cache_dir));
    assert_int_equal(chmod(m->local, 0755), 0);
    m->top = open(m->local, O_RDONLY | O_DIRECTORY);
    assert_true(m->top >= 0);
    m->remote = tally_new(remote_mem_new(uid, uid), way == PLAIN, &tally);
    assert_non_null(m->remote);
    if (way == JOURNAL || way == SYNC) {
        config.flush = open_journal(m);
        config.durability = way == SYNC ? FS_DURABILITY_SYNC : FS_DURABILITY_FSYNC;
    }
    assert_int_equal(cache_new(m->cache_dir, 64 << 20, &m->cache), 0);
    assert_int_equal(fs_new(&config, m->remote, m->cache, &m->fs), 0);
}

static void remove_all(const char *dir)
{
    char command[256];

    snprintf(command, sizeof(command), "chmod -R u+rwx %s 2>/dev/null; rm -rf %s", dir, dir);
    if (system(command) != 0)
        print_message("%s is left\n", dir);
}

static void model_down(struct model *m)
{
    fs_free(m->fs);
    if (m->journal) {
        journal_free(m->journal);
        remove_all(m->journal_dir);
    }
    cache_free(m->cache);
    remote_free(m->remote);
    close(m->top);
    remove_all(m->local);
    remove_all(m->cache_dir);
}

static unsigned number_from(const char *name, unsigned otherwise)
{
    const char *text = getenv(name);

    return text ? (unsigned)strtoul(text, NULL, 10) : otherwise;
}

static void run(uint32_t uid, unsigned seed, int64_t coherence_ns, enum way way)
{
    const unsigned count = number_from("OPS", 4000);
    struct model *m = malloc(sizeof(*m));

    model_up(m, uid, seed, coherence_ns, way);
    for (m->step = 0; m->step < count; m->step++) {
        SAY(m, "-");
        ops[pick(m, ARRAY_LEN(ops))](m);
    }
    for (unsigned i = 0; i < HANDLES; i++)
        if (m->handles[i].fd >= 0)
            close_handle(m, &m->handles[i]);
    same(m, "sync", 0, fs_sync(m->fs, NULL, NULL));
    same_tree(m, "");
    model_down(m);
    free(m);
}

static unsigned first_seed(void)
{
    static unsigned seed;

    if (seed == 0) {
        seed = number_from("SEED", 1795317822);
        print_message("SEED=%u\n", seed);
    }
    return seed;
}

TEST(fs_does_what_a_local_directory_does)
{
    umask(0);
    run(geteuid(), first_seed(), 1000000000, PLAIN);
}

TEST(fs_does_what_a_local_directory_does_without_caching)
{
    umask(0);
    run(geteuid(), first_seed(), 0, PLAIN);
}

TEST(fs_does_what_a_local_directory_does_when_the_sandbox_tells_of_changes)
{
    umask(0);
    run(geteuid(), first_seed(), 1000000000, CHANGES);
    run(geteuid(), first_seed(), 0, CHANGES);
}

TEST(fs_does_what_a_local_directory_does_when_changes_wait_in_a_journal)
{
    umask(0);
    run(geteuid(), first_seed(), 1000000000, JOURNAL);
    run(geteuid(), first_seed(), 0, JOURNAL);
}

TEST(fs_does_what_a_local_directory_does_when_every_call_is_made_at_once)
{
    umask(0);
    run(geteuid(), first_seed(), 1000000000, SYNC);
}

TEST(fs_does_what_a_local_directory_does_for_an_ordinary_user)
{
    const unsigned seed = first_seed();
    int status;
    pid_t pid;

    if (geteuid() != 0)
        skip(); /* the other tests are of one */
    pid = fork();
    if (pid == 0) {
        umask(0);
        if (setgroups(0, NULL) < 0 || setgid(ID_USER) < 0 || setuid(ID_USER) < 0)
            _exit(2);
        for (unsigned i = 0; i < 6; i++)
            run(ID_USER, seed + i / 2, i / 3 == 1 ? 0 : 1000000000, (enum way)(i % 3));
        exit(0); /* so that a leak checker has its say */
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fs_does_what_a_local_directory_does),
        cmocka_unit_test(fs_does_what_a_local_directory_does_without_caching),
        cmocka_unit_test(fs_does_what_a_local_directory_does_when_the_sandbox_tells_of_changes),
        cmocka_unit_test(fs_does_what_a_local_directory_does_when_changes_wait_in_a_journal),
        cmocka_unit_test(fs_does_what_a_local_directory_does_when_every_call_is_made_at_once),
        cmocka_unit_test(fs_does_what_a_local_directory_does_for_an_ordinary_user),
    };

    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
