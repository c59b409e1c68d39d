/*
 * model.c - the same random operations on two directories, which must answer alike.
 *
 *   model DIR REFERENCE [SEED [OPERATIONS]]
 *
 * DIR is a mount, REFERENCE an ordinary local directory; both empty. After each operation result
 * and errno must agree, and what was read; in the end the trees must. The seed is printed, and the
 * last operations when they differ. What no remote file system can promise is not asked: times that
 * nobody set, the link count and size of directories, and the data of a hard-linked file through a
 * handle opened by its other name, or by one that went (ESTALE: it is not lost silently). And for
 * an ordinary user, what an open file still may after permissions were taken away (its data goes to
 * the sandbox by its path), and the names in a directory that may be read but not searched.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SIDES = 2, HANDLES = 6, DATA_MAX = 200000, LOG_LINES = 40, LINE_MAX_LEN = 300 };

struct handle {
    int fd[SIDES]; /* -1: free */
};

static int roots[SIDES];
static struct handle handles[HANDLES];
static char history[LOG_LINES][LINE_MAX_LEN];
static unsigned step, mismatches;
static uint64_t random_state;

static uint32_t random_below(uint32_t n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 16) % n;
}

static void record(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void record(const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(history[step % LOG_LINES], LINE_MAX_LEN, fmt, ap);
    va_end(ap);
}

static void mismatch(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static void mismatch(const char *fmt, ...)
{
    va_list ap;

    printf("operation %u differs: ", step);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    printf("\n");
    if (mismatches++ == 0) {
        const unsigned first = step >= LOG_LINES ? step - LOG_LINES + 1 : 0;

        for (unsigned i = first; i <= step; i++)
            printf("  %u: %s\n", i, history[i % LOG_LINES]);
    }
    if (mismatches >= 5)
        exit(1);
}

/* A path one to three levels deep; few names, so that operations meet. */
static const char *random_path(char *out)
{
    static const char *const names[] = {"a", "b", "c", "d e", "\xc3\xa9", "x'y"};
    const uint32_t depth = 1 + random_below(3);

    out[0] = '\0';
    for (uint32_t i = 0; i < depth; i++) {
        if (i > 0)
            strcat(out, "/");
        strcat(out, names[random_below(i + 1 < depth ? 3 : 6)]);
    }
    return out;
}

/* Both results as one: a value, or -errno. */
struct results {
    long r[SIDES];
};

#define BOTH(call)                                                                                 \
    ({                                                                                             \
        struct results both_;                                                                      \
                                                                                                   \
        for (int side = 0; side < SIDES; side++) {                                                 \
            errno = 0;                                                                             \
            both_.r[side] = (call);                                                                \
            if (both_.r[side] < 0)                                                                 \
                both_.r[side] = -errno;                                                            \
        }                                                                                          \
        both_;                                                                                     \
    })

static bool same(struct results res, const char *what)
{
    if (res.r[0] == res.r[1])
        return true;
    mismatch("%s: mount %ld (%s), local %ld (%s)", what, res.r[0],
             res.r[0] < 0 ? strerrorname_np((int)-res.r[0]) : "ok", res.r[1],
             res.r[1] < 0 ? strerrorname_np((int)-res.r[1]) : "ok");
    return false;
}

static void compare_stat(const struct stat st[SIDES], const char *what)
{
    if (st[0].st_mode != st[1].st_mode)
        mismatch("%s: mode %o, local %o", what, st[0].st_mode, st[1].st_mode);
    if (S_ISDIR(st[1].st_mode))
        return;
    if (st[0].st_size != st[1].st_size)
        mismatch("%s: size %ld, local %ld", what, (long)st[0].st_size, (long)st[1].st_size);
    if (st[0].st_nlink != st[1].st_nlink)
        mismatch("%s: nlink %lu, local %lu", what, (unsigned long)st[0].st_nlink,
                 (unsigned long)st[1].st_nlink);
}

static void do_stat(const char *path)
{
    struct stat st[SIDES];

    record("lstat %s", path);
    if (same(BOTH(fstatat(roots[side], path, &st[side], AT_SYMLINK_NOFOLLOW)), "lstat") &&
        fstatat(roots[1], path, &st[1], AT_SYMLINK_NOFOLLOW) == 0)
        compare_stat(st, path);
}

static bool linked_elsewhere(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && st.st_nlink > 1;
}

static void drop_handle(struct handle *h, struct results res)
{
    for (int side = 0; side < SIDES; side++) {
        if (res.r[side] >= 0)
            close((int)res.r[side]);
    }
    (void)h;
}

static void do_open(const char *path)
{
    static const int flags[] = {
        O_RDONLY,
        O_RDWR,
        O_WRONLY | O_APPEND,
        O_RDWR | O_CREAT,
        O_RDWR | O_CREAT | O_EXCL,
        O_WRONLY | O_CREAT | O_TRUNC,
        O_RDWR | O_CREAT | O_APPEND,
        O_RDONLY | O_NOFOLLOW,
    };
    struct handle *h = &handles[random_below(HANDLES)];
    const int how = flags[random_below(sizeof(flags) / sizeof(flags[0]))];
    struct results res;

    if (h->fd[0] >= 0)
        return;
    record("open %s %#o in handle %ld", path, how, (long)(h - handles));
    res = BOTH(openat(roots[side], path, how | O_CLOEXEC | O_NONBLOCK, 0640));
    if ((res.r[0] < 0) != (res.r[1] < 0) || (res.r[0] < 0 && res.r[0] != res.r[1])) {
        for (int side = 0; side < SIDES; side++)
            res.r[side] = res.r[side] < 0 ? res.r[side] : 0;
        same(res, "open");
        return;
    }
    if (res.r[0] < 0)
        return;

    struct stat st;

    if (fstat((int)res.r[1], &st) < 0 || !S_ISREG(st.st_mode)) {
        drop_handle(h, res);
        return;
    }
    h->fd[0] = (int)res.r[0];
    h->fd[1] = (int)res.r[1];
}

static void do_handle(struct handle *h)
{
    static char data[DATA_MAX], got[SIDES][DATA_MAX];
    const uint32_t off = random_below(DATA_MAX),
                   n = random_below(30) == 0 ? 100000 : random_below(5000);
    struct results res;
    struct stat st[SIDES];

    if (h->fd[0] < 0 || linked_elsewhere(h->fd[1]))
        return;
    switch (random_below(7)) {
    case 0:
    case 1:
        for (uint32_t i = 0; i < n; i++)
            data[i] = (char)random_below(256);
        record("pwrite handle %ld, %u at %u", (long)(h - handles), n, off / 4);
        same(BOTH(pwrite(h->fd[side], data, n, off / 4)), "pwrite");
        break;
    case 2:
        record("ftruncate handle %ld to %u", (long)(h - handles), off / 8);
        same(BOTH(ftruncate(h->fd[side], off / 8)), "ftruncate");
        break;
    case 3:
    case 4:
        record("pread handle %ld, %u at %u", (long)(h - handles), n, off / 8);
        res = BOTH(pread(h->fd[side], got[side], n, off / 8));
        if (same(res, "pread") && res.r[0] > 0 && memcmp(got[0], got[1], (size_t)res.r[0]) != 0)
            mismatch("pread: other bytes");
        break;
    case 5:
        record("fstat handle %ld", (long)(h - handles));
        if (same(BOTH(fstat(h->fd[side], &st[side])), "fstat"))
            compare_stat(st, "fstat");
        break;
    default:
        record("fsync handle %ld", (long)(h - handles));
        same(BOTH(fsync(h->fd[side])), "fsync");
    }
}

static void close_handle(struct handle *h)
{
    if (h->fd[0] < 0)
        return;
    record("close handle %ld", (long)(h - handles));
    same(BOTH(close(h->fd[side])), "close");
    h->fd[0] = h->fd[1] = -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of a directory, sorted, one a line; NULL with errno. */
static char *list_names(int root, const char *path)
{
    const int fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    char *names[64], *text;
    size_t count = 0, len = 1;

    if (!dir)
        return NULL;
    for (struct dirent *d; (d = readdir(dir)) && count < 64;) {
        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0)
            names[count++] = strdup(d->d_name);
    }
    closedir(dir);
    qsort(names, count, sizeof(names[0]), by_name);
    for (size_t i = 0; i < count; i++)
        len += strlen(names[i]) + 1;
    text = calloc(1, len);
    for (size_t i = 0; i < count; i++) {
        strcat(strcat(text, names[i]), "\n");
        free(names[i]);
    }
    return text;
}

static void do_list(const char *path)
{
    char *names[SIDES];

    record("readdir %s", path);
    if (same(BOTH((names[side] = list_names(roots[side], path)) ? 0 : -1), "readdir") && names[0] &&
        strcmp(names[0], names[1]) != 0)
        mismatch("readdir %s: mount\n%slocal\n%s", path, names[0], names[1]);
    free(names[0]);
    free(names[1]);
}

static void do_read_whole(const char *path)
{
    static char got[SIDES][DATA_MAX * 2];
    struct results res;
    int fd[SIDES];

    record("read all of %s", path);
    res = BOTH(fd[side] = openat(roots[side], path, O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if ((res.r[0] < 0) != (res.r[1] < 0)) {
        mismatch("open to read %s: mount %ld, local %ld", path, res.r[0], res.r[1]);
        return;
    }
    if (res.r[0] < 0) {
        same(res, "open to read");
        return;
    }
    res = BOTH(read(fd[side], got[side], sizeof(got[side])));
    if (same(res, "read") && res.r[0] > 0 && memcmp(got[0], got[1], (size_t)res.r[0]) != 0)
        mismatch("read %s: other bytes", path);
    close(fd[0]);
    close(fd[1]);
}

static void do_write_whole(const char *path)
{
    static char data[DATA_MAX];
    const uint32_t n = random_below(20000);
    struct results res;
    int fd[SIDES];

    for (uint32_t i = 0; i < n; i++)
        data[i] = (char)random_below(256);
    record("write all of %s, %u", path, n);
    res = BOTH(fd[side] = openat(roots[side], path,
                                 O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0644));
    if (res.r[0] < 0 || res.r[1] < 0) {
        for (int side = 0; side < SIDES; side++) {
            if (res.r[side] >= 0) {
                close(fd[side]);
                res.r[side] = 0;
            }
        }
        same(res, "open to write");
        return;
    }
    same(BOTH(write(fd[side], data, n)), "write");
    same(BOTH(close(fd[side])), "close after write");
}

static bool is_open_elsewhere(const char *path)
{
    struct stat st, open_st;

    if (fstatat(roots[1], path, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return false;
    for (int i = 0; i < HANDLES; i++) {
        if (handles[i].fd[1] >= 0 && fstat(handles[i].fd[1], &open_st) == 0 &&
            open_st.st_ino == st.st_ino)
            return true;
    }
    return false;
}

/* One of several names of an open file: see the top. */
static bool keeps_open_file(const char *path)
{
    struct stat st;

    return fstatat(roots[1], path, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_nlink > 1 &&
           is_open_elsewhere(path);
}

static void do_times(const char *path)
{
    const struct timespec ts[2] = {
        {.tv_sec = 1500000000 + random_below(1000000)},
        {.tv_sec = 1500000000 + random_below(1000000), .tv_nsec = random_below(1000000000)}};
    struct stat st[SIDES];

    record("utimens %s", path);
    if (!same(BOTH(utimensat(roots[side], path, ts, AT_SYMLINK_NOFOLLOW)), "utimens"))
        return;
    if (fstatat(roots[1], path, &st[1], AT_SYMLINK_NOFOLLOW) < 0 ||
        fstatat(roots[0], path, &st[0], AT_SYMLINK_NOFOLLOW) < 0)
        return;
    if (st[0].st_mtim.tv_sec != st[1].st_mtim.tv_sec ||
        st[0].st_mtim.tv_nsec != st[1].st_mtim.tv_nsec)
        mismatch("utimens %s: mtime %ld.%09ld, local %ld.%09ld", path, (long)st[0].st_mtim.tv_sec,
                 st[0].st_mtim.tv_nsec, (long)st[1].st_mtim.tv_sec, st[1].st_mtim.tv_nsec);
}

static void do_readlink(const char *path)
{
    char target[SIDES][256] = {{0}};
    struct results res;

    record("readlink %s", path);
    res = BOTH(readlinkat(roots[side], path, target[side], sizeof(target[side]) - 1));
    if (same(res, "readlink") && res.r[0] > 0 && strcmp(target[0], target[1]) != 0)
        mismatch("readlink %s: %s, local %s", path, target[0], target[1]);
}

static void do_one(void)
{
    static const mode_t modes[] = {0755, 0000, 0700, 0500, 0300, 0644, 0600, 0444};
    char path[64], other[64];
    mode_t mode = modes[random_below(getuid() == 0 ? 8 : 5)];

    random_path(path);
    random_path(other);
    switch (random_below(24)) {
    case 0:
    case 1:
        record("mkdir %s", path);
        same(BOTH(mkdirat(roots[side], path, 0755)), "mkdir");
        break;
    case 2:
        record("rmdir %s", path);
        same(BOTH(unlinkat(roots[side], path, AT_REMOVEDIR)), "rmdir");
        break;
    case 3:
        if (keeps_open_file(path))
            break;
        record("unlink %s", path);
        same(BOTH(unlinkat(roots[side], path, 0)), "unlink");
        break;
    case 4:
    case 5:
        if (keeps_open_file(other))
            break;
        record("rename %s to %s", path, other);
        same(BOTH(renameat(roots[side], path, roots[side], other)), "rename");
        break;
    case 6:
        record("rename noreplace %s to %s", path, other);
        same(BOTH(renameat2(roots[side], path, roots[side], other, RENAME_NOREPLACE)),
             "rename noreplace");
        break;
    case 7:
        if (is_open_elsewhere(path)) /* see the top */
            break;
        record("link %s to %s", path, other);
        same(BOTH(linkat(roots[side], path, roots[side], other, 0)), "link");
        break;
    case 8:
        record("symlink %s to %s", other, path);
        same(BOTH(symlinkat(other, roots[side], path)), "symlink");
        break;
    case 9:
        do_readlink(path);
        break;
    case 10:
        if (getuid() != 0) {
            for (int i = 0; i < HANDLES; i++)
                close_handle(&handles[i]); /* see the top */
        }
        record("chmod %s %o", path, mode);
        same(BOTH(fchmodat(roots[side], path, mode, 0)), "chmod");
        break;
    case 11:
        do_times(path);
        break;
    case 12:
        record("truncate %s", path);
        {
            int fd[SIDES];
            const off_t size = random_below(DATA_MAX);

            same(BOTH((fd[side] = openat(roots[side], path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)) < 0
                          ? -1
                          : ftruncate(fd[side], size) + 0 * close(fd[side])),
                 "truncate");
        }
        break;
    case 13:
    case 14:
        do_open(path);
        break;
    case 15:
    case 16:
    case 17:
        do_handle(&handles[random_below(HANDLES)]);
        break;
    case 18:
        close_handle(&handles[random_below(HANDLES)]);
        break;
    case 19:
        do_list(path);
        break;
    case 20:
    case 21:
        do_read_whole(path);
        break;
    case 22:
        do_write_whole(path);
        break;
    default:
        do_stat(path);
    }
}

static void compare_tree(const char *path)
{
    char *names[SIDES], *save, *name;

    do_list(path);
    names[1] = list_names(roots[1], path);
    if (!names[1])
        return;
    for (name = strtok_r(names[1], "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
        char *below;
        struct stat st;

        if (asprintf(&below, "%s/%s", path, name) < 0)
            abort();
        do_stat(below);
        if (fstatat(roots[1], below, &st, AT_SYMLINK_NOFOLLOW) == 0) {
            if (S_ISDIR(st.st_mode))
                compare_tree(below);
            else if (S_ISLNK(st.st_mode))
                do_readlink(below);
            else
                do_read_whole(below);
        }
        free(below);
    }
    free(names[1]);
}

int main(int argc, char **argv)
{
    const uint64_t seed = argc > 3 && *argv[3] ? strtoull(argv[3], NULL, 10) : (uint64_t)time(NULL);
    const unsigned long count = argc > 4 ? strtoul(argv[4], NULL, 10) : 2000;

    if (argc < 3) {
        fprintf(stderr, "usage: model DIR REFERENCE [SEED [OPERATIONS]]\n");
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    umask(022);
    for (int side = 0; side < SIDES; side++) {
        roots[side] = open(argv[1 + side], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (roots[side] < 0) {
            perror(argv[1 + side]);
            return 1;
        }
    }
    for (int i = 0; i < HANDLES; i++)
        handles[i].fd[0] = handles[i].fd[1] = -1;

    random_state = seed * 2654435761u + 88172645463325252ull;
    printf("seed %llu, %lu operations as uid %u\n", (unsigned long long)seed, count,
           (unsigned)getuid());
    for (step = 0; step < count; step++)
        do_one();
    for (int i = 0; i < HANDLES; i++)
        close_handle(&handles[i]);
    compare_tree(".");
    printf("%s\n", mismatches ? "they differ" : "they agree");
    return mismatches != 0;
}
