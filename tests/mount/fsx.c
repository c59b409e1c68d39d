/*
 * fsx.c - random operations on one file, each compared with a copy in memory.
 *
 *   fsx FILE SEED OPERATIONS [MAX_BYTES]
 *
 * Reads, writes, appends, truncates, maps, reopens, syncs, renames. Exit code 1 and the operations
 * that led there at the first difference; what the file must hold at the end goes to $FSX_WANT.
 * With $FSX_FROM the file is there already, and must hold what is in that one: so a run goes on
 * after the mount was taken away under it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HISTORY = 40, LINE = 120 };

static const char *path;
static char other[4096];
static uint64_t state;
static size_t max_bytes = 200000;
static unsigned char *want, *got;
static size_t size;
static int fd = -1, append_fd = -1;
static char history[HISTORY][LINE];
static unsigned long count, maps, mapped_not;

static uint32_t draw(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static size_t below(size_t n)
{
    return n ? (size_t)(((uint64_t)draw() << 20 ^ draw()) % n) : 0;
}

__attribute__((format(printf, 1, 2))) static void note(const char *fmt, ...)
{
    char *line = history[count % HISTORY];
    const int n = snprintf(line, LINE, "%lu ", count);
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line + n, LINE - (size_t)n, fmt, ap);
    va_end(ap);
}

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *fmt, ...)
{
    const unsigned long first = count < HISTORY ? 0 : count - HISTORY + 1;
    va_list ap;

    for (unsigned long i = first; i <= count; i++)
        fprintf(stderr, "%s\n", history[i % HISTORY]);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fprintf(stderr, "\n");
    exit(1);
}

static void compare(const unsigned char *p, size_t off, size_t n, const char *what)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] != want[off + i])
            fail("%s: byte %zu is %02x, must be %02x (size %zu)", what, off + i, p[i],
                 want[off + i], size);
}

static void open_file(void)
{
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    append_fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (fd < 0 || append_fd < 0)
        fail("open: %s", strerror(errno));
}

static void close_file(void)
{
    if (close(fd) < 0 || close(append_fd) < 0)
        fail("close: %s", strerror(errno));
}

static void grow(size_t to)
{
    if (to > size) {
        memset(want + size, 0, to - size);
        size = to;
    }
}

/* ---- the operations ---- */

static void op_read(void)
{
    const size_t off = below(size + 1), len = below(70000);
    ssize_t n;

    note("read %zu+%zu of %zu", off, len, size);
    n = pread(fd, got, len, (off_t)off);
    if (n < 0)
        fail("read: %s", strerror(errno));
    if ((size_t)n != (len < size - off ? len : size - off))
        fail("read gave %zd bytes", n);
    compare(got, off, (size_t)n, "read");
}

static size_t fill(unsigned char *p, size_t n)
{
    const unsigned char c = (unsigned char)(1 + draw() % 255);

    for (size_t i = 0; i < n; i++)
        p[i] = (unsigned char)(c + i / 512);
    return n;
}

static void op_write(void)
{
    const size_t off = below(size + 5000), room = off < max_bytes ? max_bytes - off : 0;
    const size_t len = below(room < 40000 ? room : 40000);

    note("write %zu+%zu of %zu", off, len, size);
    if (len == 0)
        return;
    grow(off);
    fill(want + off, len);
    if (off + len > size)
        size = off + len;
    if (pwrite(fd, want + off, len, (off_t)off) != (ssize_t)len)
        fail("write: %s", strerror(errno));
}

static void op_append(void)
{
    const size_t room = max_bytes - size, len = below(room < 3000 ? room : 3000);

    note("append %zu to %zu", len, size);
    if (len == 0)
        return;
    fill(want + size, len);
    if (write(append_fd, want + size, len) != (ssize_t)len)
        fail("append: %s", strerror(errno));
    size += len;
}

static void op_truncate(void)
{
    const size_t to = draw() % 4 == 0 ? 0 : below(draw() % 2 ? size + 1 : max_bytes);

    note("truncate %zu to %zu", size, to);
    if (ftruncate(fd, (off_t)to) < 0)
        fail("truncate: %s", strerror(errno));
    grow(to);
    size = to;
}

static unsigned char *map(size_t off, size_t len, size_t *ret_skip)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), skip = off % page;
    void *p = mmap(NULL, len + skip, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)(off - skip));

    *ret_skip = skip;
    if (p == MAP_FAILED && errno != ENODEV)
        fail("mmap: %s", strerror(errno));
    if (p == MAP_FAILED) {
        mapped_not++;
        return NULL;
    }
    maps++;
    return p;
}

static void op_map(bool writes)
{
    const size_t off = below(size),
                 len = size ? 1 + below(size - off < 50000 ? size - off : 50000) : 0;
    unsigned char *p;
    size_t skip;

    note("map %s %zu+%zu of %zu", writes ? "to write" : "to read", off, len, size);
    if (len == 0 || off + len > size || !(p = map(off, len, &skip)))
        return;
    compare(p + skip, off, len, "map");
    if (writes) {
        fill(want + off, len);
        memcpy(p + skip, want + off, len);
        if (msync(p, len + skip, MS_SYNC) < 0)
            fail("msync: %s", strerror(errno));
    }
    if (munmap(p, len + skip) < 0)
        fail("munmap: %s", strerror(errno));
}

static void op_map_read(void)
{
    op_map(false);
}

static void op_map_write(void)
{
    op_map(true);
}

static void op_stat(void)
{
    struct stat by_fd, by_path;

    note("stat of %zu", size);
    if (fstat(fd, &by_fd) < 0 || stat(path, &by_path) < 0)
        fail("stat: %s", strerror(errno));
    if ((size_t)by_fd.st_size != size || (size_t)by_path.st_size != size)
        fail("size %lld through the descriptor, %lld through the path, must be %zu",
             (long long)by_fd.st_size, (long long)by_path.st_size, size);
    if (by_fd.st_ino != by_path.st_ino)
        fail("the inode number differs");
}

static void op_reopen(void)
{
    note("reopen");
    close_file();
    open_file();
}

static void op_sync(void)
{
    note("fsync");
    if (fsync(fd) < 0)
        fail("fsync: %s", strerror(errno));
}

/* As editors and git save: a new file, and its rename over the old one. */
static void op_replace(void)
{
    int new;

    note("replace by a file of %zu bytes", size);
    new = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (new < 0)
        fail("create: %s", strerror(errno));
    if (size > 0 && write(new, want, size) != (ssize_t)size)
        fail("write to it: %s", strerror(errno));
    if (close(new) < 0 || rename(other, path) < 0)
        fail("rename: %s", strerror(errno));
    close_file();
    open_file();
}

static void op_move(void)
{
    note("rename away and back");
    if (rename(path, other) < 0 || rename(other, path) < 0)
        fail("rename: %s", strerror(errno));
}

static const struct {
    void (*run)(void);
    unsigned weight;
} operations[] = {
    {op_read, 24},    {op_write, 24},    {op_append, 10}, {op_truncate, 8},
    {op_map_read, 6}, {op_map_write, 6}, {op_stat, 8},    {op_reopen, 6},
    {op_sync, 1},     {op_replace, 3},   {op_move, 2},
};

static void one(void)
{
    unsigned total = 0, at;

    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        total += operations[i].weight;
    at = draw() % total;
    for (size_t i = 0;; i++) {
        if (at < operations[i].weight) {
            operations[i].run();
            return;
        }
        at -= operations[i].weight;
    }
}

static void leave_want(void)
{
    char name[4096];
    FILE *f;

    snprintf(name, sizeof(name), "%s", getenv("FSX_WANT") ? getenv("FSX_WANT") : "");
    f = *name ? fopen(name, "w") : NULL;
    if (f && (fwrite(want, 1, size, f) != size || fclose(f) != 0))
        fail("%s: %s", name, strerror(errno));
}

/* What an earlier run left must be there. */
static void go_on_from(const char *name)
{
    FILE *f = fopen(name, "r");

    if (!f)
        fail("%s: %s", name, strerror(errno));
    size = fread(want, 1, max_bytes, f);
    fclose(f);
    note("what the last run left");
    op_stat();
    for (size_t off = 0; off < size; off += 65536) {
        const size_t len = size - off < 65536 ? size - off : 65536;

        if (pread(fd, got, len, (off_t)off) != (ssize_t)len)
            fail("read: %s", strerror(errno));
        compare(got, off, len, "what the last run left");
    }
}

int main(int argc, char **argv)
{
    unsigned long operations_wanted;

    if (argc < 4) {
        fprintf(stderr, "usage: fsx FILE SEED OPERATIONS [MAX_BYTES]\n");
        return 2;
    }
    path = argv[1];
    snprintf(other, sizeof(other), "%s.new", path);
    state = strtoull(argv[2], NULL, 0);
    operations_wanted = strtoul(argv[3], NULL, 0);
    if (argc > 4)
        max_bytes = strtoul(argv[4], NULL, 0);
    want = calloc(1, max_bytes + 100000);
    got = calloc(1, 100000);
    if (!want || !got)
        return 2;
    open_file();
    if (getenv("FSX_FROM"))
        go_on_from(getenv("FSX_FROM"));
    else if (ftruncate(fd, 0) < 0)
        fail("truncate: %s", strerror(errno));
    for (count = 0; count < operations_wanted; count++)
        one();
    note("the end");
    op_stat();
    close_file();
    leave_want();
    printf("%lu operations, %lu maps (%lu not possible)\n", count, maps, mapped_not);
    free(want);
    free(got);
    return 0;
}
