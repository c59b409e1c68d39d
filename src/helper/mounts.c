#include "helper/mounts.h"

#include "helper/look.h"
#include "helper/text.h"
#include "proto/proto.h"
#include "util/array.h"
#include "util/buf.h"
#include "util/crc32c.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

enum { TABLE_MAX = 4 << 20 };

enum {
    ROWS_MAX = 512, /* mounts that are told apart by where they are; other devices by number */
    INDEX_MAX = (1 << (PROTO_DEVICE_BITS - 1)) - 1, /* small: each entry of an answer has some */
};

static struct {
    bool read;
    size_t count;
    struct row {
        uint64_t mount;
        dev_t number;
        uint32_t index, device; /* device: the index of the first row of it */
        int64_t since_ns;       /* it tells births from then on */
    } v[ROWS_MAX];
} rows; /* of one answer; one thread */

/* a is b, or something below it. */
static bool is_at_or_below(const char *a, const char *b)
{
    const size_t n = strcmp(b, "/") == 0 ? 0 : strlen(b);

    return strncmp(a, b, n) == 0 && (a[n] == '/' || a[n] == '\0');
}

/* In mountinfo blanks, newlines and backslashes are three octal digits after a backslash. */
static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
            s[3] >= '0' && s[3] <= '7') {
            *to++ = (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
            s += 3;
        } else {
            *to++ = *s;
        }
    }
    *to = '\0';
}

/* "36 35 98:0 /root /mounted/at options … - type source options" */
struct line {
    const char *mount, *device, *root, *type;
    char *at;
};

static bool take_line(char *line, struct line *ret)
{
    char *save, *word = strtok_r(line, " ", &save);

    *ret = (struct line){.mount = word};
    for (int i = 0; word && i < 4; i++) {
        word = strtok_r(NULL, " ", &save);
        if (i == 1)
            ret->device = word;
        else if (i == 2)
            ret->root = word;
        else if (i == 3)
            ret->at = word;
    }
    while (word && strcmp(word, "-") != 0)
        word = strtok_r(NULL, " ", &save);
    ret->type = word ? strtok_r(NULL, " ", &save) : NULL;
    if (!ret->type)
        return false;
    unescape(ret->at);
    return true;
}

static uint32_t add_text(uint32_t crc, const char *text)
{
    return crc32c(crc, text, strlen(text) + 1);
}

static uint32_t add_line(uint32_t crc, char *text, const char *path)
{
    struct line line;

    if (!take_line(text, &line) ||
        (!is_at_or_below(line.at, path) && !is_at_or_below(path, line.at)))
        return crc;
    return add_text(add_text(add_text(crc, line.device), line.root), line.at);
}

/* All of it, ended by NUL; -errno. */
static int read_table(struct buf *out)
{
    const int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? -errno : io_read_rest(fd, out);

    if (r == 0)
        r = buf_append(out, "", 1);
    if (fd >= 0)
        close(fd);
    return r;
}

uint32_t mounts_around(int root)
{
    struct buf table = BUF_INIT(TABLE_MAX);
    char proc[64], path[PATH_MAX], *save, *line;
    uint32_t crc = 0;
    ssize_t n;

    rows.read = false; /* another answer begins */

    text_make(proc, sizeof(proc), "/proc/self/fd/%d", root);
    n = readlink(proc, path, sizeof(path) - 1);
    if (n > 0 && read_table(&table) == 0) {
        path[n] = '\0';
        for (line = strtok_r(table.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            crc = add_line(crc, line, path);
    }
    buf_done(&table);
    return crc;
}

/* ---- devices ---- */

/* With another number it is another one, and empty. */
static bool is_in_memory(const char *type)
{
    static const char *const types[] = {"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"};

    for (size_t i = 0; i < ARRAY_LEN(types); i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

static bool index_is_taken(uint32_t index)
{
    for (size_t i = 0; i < rows.count; i++)
        if (rows.v[i].index == index)
            return true;
    return index == 0;
}

/* The first place counts: the others are other ways to it. */
static const struct row *find_device(dev_t number)
{
    for (size_t i = 0; i < rows.count; i++)
        if (rows.v[i].number == number)
            return &rows.v[i];
    return NULL;
}

static uint32_t index_of_mount(uint64_t mount)
{
    for (size_t i = 0; i < rows.count; i++)
        if (rows.v[i].mount == mount)
            return rows.v[i].index;
    return 0;
}

static void add_row(char *text)
{
    struct line line;
    struct row row;
    const struct row *first;
    const char *p;
    unsigned major, minor;

    if (!take_line(text, &line) || rows.count == ROWS_MAX)
        return;
    p = line.mount;
    row.mount = (uint64_t)text_number(&p, 10);
    p = line.device;
    major = (unsigned)text_number(&p, 10);
    minor = *p++ == ':' ? (unsigned)text_number(&p, 10) : 0;
    row.number = makedev(major, minor);
    row.index = add_text(add_text(0, line.type), line.at);
    if (is_in_memory(line.type))
        row.index = add_text(row.index, line.device);
    row.index &= INDEX_MAX;
    while (index_is_taken(row.index))
        row.index = (row.index + 1) & INDEX_MAX;
    first = find_device(row.number);
    row.device = first ? first->device : row.index;
    /* An overlay is as old as its upper layer, which its root is in. */
    row.since_ns = first                               ? first->since_ns
                   : strcmp(line.type, "overlay") == 0 ? look_birth_of_dir(line.at)
                                                       : INT64_MIN;
    rows.v[rows.count++] = row;
}

static void read_rows(void)
{
    struct buf table = BUF_INIT(TABLE_MAX);
    char *save, *line;

    rows.read = true;
    rows.count = 0;
    if (read_table(&table) == 0)
        for (line = strtok_r(table.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
            add_row(line);
    buf_done(&table);
}

static const struct row *device_of(dev_t number)
{
    if (!rows.read)
        read_rows();
    return find_device(number);
}

uint64_t mounts_device(dev_t number, uint64_t mount)
{
    const struct row *d = device_of(number);

    if (!d)
        return (uint64_t)number << 1;
    return (uint64_t)index_of_mount(mount) << PROTO_DEVICE_BITS | (uint64_t)d->device << 1 | 1;
}

int64_t mounts_birth(dev_t number, int64_t birth_ns)
{
    const struct row *d = device_of(number);

    return d && birth_ns >= d->since_ns ? birth_ns : INT64_MIN;
}
