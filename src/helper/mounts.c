#include "helper/mounts.h"

#include "helper/text.h"
#include "util/buf.h"
#include "util/crc32c.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

enum { TABLE_MAX = 4 << 20 };

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

/* "36 35 98:0 /root /mounted/at …": what counts of it begins after the second number. */
static uint32_t add_line(uint32_t crc, char *line, const char *path)
{
    char *save, *word = strtok_r(line, " ", &save), *device, *root, *at;

    word = word ? strtok_r(NULL, " ", &save) : NULL;
    device = word ? strtok_r(NULL, " ", &save) : NULL;
    root = device ? strtok_r(NULL, " ", &save) : NULL;
    at = root ? strtok_r(NULL, " ", &save) : NULL;
    if (!at)
        return crc;
    unescape(at);
    if (!is_at_or_below(at, path) && !is_at_or_below(path, at))
        return crc;
    crc = crc32c(crc, device, strlen(device) + 1);
    crc = crc32c(crc, root, strlen(root) + 1);
    return crc32c(crc, at, strlen(at) + 1);
}

/* All of it, ended by NUL; -errno. */
static int read_table(struct buf *out)
{
    const int fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    char chunk[4096];
    ssize_t n = 0;
    int r = fd < 0 ? -errno : 0;

    while (r == 0 && (n = read(fd, chunk, sizeof(chunk))) > 0)
        r = buf_append(out, chunk, (size_t)n);
    if (r == 0)
        r = n < 0 ? -errno : buf_append(out, "", 1);
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
