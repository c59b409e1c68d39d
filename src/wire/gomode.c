#include "wire/gomode.h"

#include "util/array.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

enum { GO_SETUID = 1 << 23, GO_SETGID = 1 << 22, GO_STICKY = 1 << 20 };

/* In Go's order of printing. A character device has both D and c. */
static const struct {
    char letter;
    mode_t type, bit;
    uint32_t number;
} letters[] = {
    {'d', S_IFDIR, 0, 0},         {'L', S_IFLNK, 0, 0},  {'D', S_IFBLK, 0, 0},
    {'p', S_IFIFO, 0, 0},         {'S', S_IFSOCK, 0, 0}, {'u', 0, S_ISUID, GO_SETUID},
    {'g', 0, S_ISGID, GO_SETGID}, {'c', S_IFCHR, 0, 0},  {'t', 0, S_ISVTX, GO_STICKY},
};

static const char rwx[] = "rwxrwxrwx";

static int read_letter(char c, mode_t *mode)
{
    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (letters[i].letter != c)
            continue;
        if (letters[i].bit) {
            *mode |= letters[i].bit;
            return 0;
        }
        /* D alone is a block device; the c that follows it makes it a character device */
        if ((*mode & S_IFMT) != (c == 'c' ? S_IFBLK : 0))
            return -EPROTO;
        *mode = (*mode & ~(mode_t)S_IFMT) | letters[i].type;
        return 0;
    }
    /* a, l, T and ? exist in Go, and mean nothing on Linux */
    return strchr("alT?", c) ? 0 : -EPROTO;
}

int gomode_read(const char *s, mode_t *ret)
{
    const size_t len = strlen(s), head = len - (sizeof(rwx) - 1);
    mode_t mode = 0;

    if (len < sizeof(rwx) || len >= GOMODE_TEXT_MAX)
        return -EPROTO;
    for (size_t i = 0; i < head; i++) {
        const int r = head == 1 && s[0] == '-' ? 0 : read_letter(s[i], &mode);

        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < sizeof(rwx) - 1; i++) {
        if (s[head + i] == rwx[i])
            mode |= 0400 >> i;
        else if (s[head + i] != '-')
            return -EPROTO;
    }
    *ret = mode & S_IFMT ? mode : mode | S_IFREG;
    return 0;
}

void gomode_write(mode_t mode, char out[GOMODE_TEXT_MAX])
{
    const mode_t type = mode & S_IFMT;
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if ((letters[i].type && letters[i].type == type) || (mode & letters[i].bit) ||
            (letters[i].letter == 'D' && type == S_IFCHR))
            out[n++] = letters[i].letter;
    }
    if (n == 0)
        out[n++] = '-';
    for (size_t i = 0; i < sizeof(rwx) - 1; i++)
        out[n++] = mode & (0400u >> i) ? rwx[i] : '-';
    out[n] = '\0';
}

uint32_t gomode_to_number(mode_t mode)
{
    uint32_t number = mode & 0777;

    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (mode & letters[i].bit)
            number |= letters[i].number;
    }
    return number;
}

mode_t gomode_from_number(uint32_t number)
{
    mode_t mode = number & 0777;

    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (number & letters[i].number)
            mode |= letters[i].bit;
    }
    return mode;
}
