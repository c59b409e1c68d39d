#include "mount/registry.h"

#include "mount/dirs.h"
#include "util/array.h"
#include "util/buf.h"
#include "util/io.h"
#include "util/log.h"
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/*
 * A file is lines "key value", one for each string below, with % and control characters as %XX, and
 * is named PID-N.mount. Its lock says that the process lives.
 */
enum { FILE_MAX = 64 * 1024, ENTRIES_MAX = 4096 };

#define FIELD(name) offsetof(struct registry_entry, name)

static const struct {
    const char *key;
    size_t field;
} strings[] = {
    {"dir", FIELD(dir)},           {"sandbox_id", FIELD(sandbox_id)},
    {"path", FIELD(path)},         {"sandbox_name", FIELD(sandbox_name)},
    {"api_url", FIELD(api_url)},   {"ctl_name", FIELD(ctl_name)},
    {"journals", FIELD(journals)},
};

struct registry {
    char *path;
    int fd; /* locked */
};

static char **string_of(struct registry_entry *e, size_t i)
{
    return (char **)((char *)e + strings[i].field);
}

void registry_entry_done(struct registry_entry *e)
{
    for (size_t i = 0; i < ARRAY_LEN(strings); i++)
        free(*string_of(e, i));
    memset(e, 0, sizeof(*e));
}

void registry_list_free(struct registry_entry *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        registry_entry_done(&list[i]);
    free(list);
}

/* ---- text ---- */

static int put_escaped(struct buf *out, const char *s)
{
    int r = 0;

    for (; r == 0 && *s; s++) {
        const unsigned char c = (unsigned char)*s;

        r = c < ' ' || c == 127 || c == '%' ? buf_printf(out, "%%%02X", c) : buf_putc(out, *s);
    }
    return r;
}

static int put_entry(struct buf *out, const struct registry_entry *e)
{
    struct registry_entry copy = *e;
    int r = buf_printf(out, "pid %d\nsince_ns %" PRId64 "\n", (int)e->pid, e->since_ns);

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(strings); i++) {
        const char *value = *string_of(&copy, i);

        r = buf_printf(out, "%s ", strings[i].key);
        if (r == 0)
            r = put_escaped(out, value ? value : "");
        if (r == 0)
            r = buf_putc(out, '\n');
    }
    return r;
}

static void unescape(char *s)
{
    char *to = s;

    for (; *s; s++) {
        char hex[3] = {0}, *end;

        if (*s == '%' && s[1] && s[2]) {
            memcpy(hex, s + 1, 2);
            *to = (char)strtol(hex, &end, 16);
            if (*end == '\0' && *to) {
                to++;
                s += 2;
                continue;
            }
        }
        *to++ = *s;
    }
    *to = '\0';
}

static int take_line(struct registry_entry *e, char *line)
{
    char *value = strchr(line, ' ');

    if (!value)
        return -EBADMSG;
    *value++ = '\0';
    if (strcmp(line, "pid") == 0)
        e->pid = (pid_t)strtol(value, NULL, 10);
    else if (strcmp(line, "since_ns") == 0)
        e->since_ns = strtoll(value, NULL, 10);
    for (size_t i = 0; i < ARRAY_LEN(strings); i++) {
        char **field = string_of(e, i);

        if (strcmp(line, strings[i].key) != 0 || *field)
            continue;
        unescape(value);
        *field = strdup(value);
        if (!*field)
            return -ENOMEM;
    }
    return 0;
}

static int take_entry(char *text, struct registry_entry *ret)
{
    struct registry_entry e = {0};
    int r = 0;

    for (char *line = text, *end; r == 0 && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        r = take_line(&e, line);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(strings); i++)
        if (!*string_of(&e, i))
            r = -EBADMSG;
    if (r == 0 && (e.pid <= 0 || e.dir[0] != '/'))
        r = -EBADMSG;
    if (r < 0)
        registry_entry_done(&e);
    else
        *ret = e;
    return r;
}

/* ---- files ---- */

/* A name that nobody has: the process may serve more than one, as tests do. */
static int create_locked(const char *dir, struct registry *reg)
{
    for (int i = 0; i < ENTRIES_MAX; i++) {
        struct buf path = BUF_INIT(PATH_MAX);
        int r = buf_printf(&path, "%s/%d-%d.mount", dir, (int)getpid(), i);

        reg->path = r == 0 ? buf_take(&path) : NULL;
        buf_done(&path);
        if (!reg->path)
            return r < 0 ? r : -ENOMEM;
        reg->fd = open(reg->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (reg->fd >= 0)
            return flock(reg->fd, LOCK_EX) < 0 ? -errno : 0;
        r = -errno;
        free(reg->path);
        reg->path = NULL;
        if (r != -EEXIST)
            return r;
    }
    return -ENOSPC;
}

int registry_add(const struct registry_entry *e, struct registry **ret)
{
    struct registry *reg = calloc(1, sizeof(*reg));
    struct buf text = BUF_INIT(FILE_MAX);
    char *dir = dirs_mounts();
    int r = reg && dir ? 0 : -ENOMEM;

    if (reg)
        reg->fd = -1;
    if (r == 0)
        r = dirs_make_private(dir);
    if (r == 0)
        r = put_entry(&text, e);
    if (r == 0)
        r = create_locked(dir, reg);
    if (r == 0)
        r = io_write(reg->fd, text.data, text.len);
    buf_done(&text);
    free(dir);
    if (r < 0)
        registry_remove(reg);
    else
        *ret = reg;
    return r;
}

struct registry *registry_remove(struct registry *reg)
{
    if (!reg)
        return NULL;
    if (reg->path)
        (void)unlink(reg->path); /* a leftover is swept by whoever lists next */
    if (reg->fd >= 0)
        close(reg->fd);
    free(reg->path);
    free(reg);
    return NULL;
}

/* -ESTALE: nobody holds it; it is removed. */
static int read_file(int dirfd, const char *name, struct registry_entry *ret)
{
    struct buf text = BUF_INIT(FILE_MAX);
    ssize_t n = -1;
    int r, fd;

    fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_SH | LOCK_NB) == 0) {
        /* One that was made a moment ago is empty, and not locked yet: the next look settles it. */
        struct stat st;

        if (fstat(fd, &st) == 0 && (st.st_size > 0 || st.st_mtime + 60 < time(NULL)))
            (void)unlinkat(dirfd, name, 0);
        close(fd);
        return -ESTALE;
    }
    r = buf_reserve(&text, FILE_MAX - 1);
    if (r == 0)
        n = read(fd, text.data, FILE_MAX - 1);
    if (r == 0 && n < 0)
        r = -errno;
    close(fd);
    if (r == 0) {
        text.data[n] = '\0';
        r = take_entry(text.data, ret);
    }
    buf_done(&text);
    return r;
}

static int by_dir(const void *a, const void *b)
{
    return strcmp(((const struct registry_entry *)a)->dir, ((const struct registry_entry *)b)->dir);
}

static bool is_entry_name(const char *name)
{
    const size_t len = strlen(name), suffix = strlen(".mount");

    return len > suffix && strcmp(name + len - suffix, ".mount") == 0;
}

int registry_list(struct registry_entry **ret, size_t *ret_count)
{
    struct registry_entry *list = NULL;
    char *path = dirs_mounts();
    size_t count = 0;
    struct dirent *d;
    int r = 0;
    DIR *dir;

    if (!path)
        return -ENOMEM;
    dir = opendir(path);
    if (!dir)
        r = errno == ENOENT ? 0 : -errno;
    free(path);
    while (dir && r == 0 && count < ENTRIES_MAX && (d = readdir(dir))) {
        struct registry_entry e, *more;

        if (!is_entry_name(d->d_name) || read_file(dirfd(dir), d->d_name, &e) < 0)
            continue; /* dead, or not ours to read: nothing that is mounted */
        more = realloc(list, (count + 1) * sizeof(*list));
        if (!more) {
            registry_entry_done(&e);
            r = -ENOMEM;
            break;
        }
        list = more;
        list[count++] = e;
    }
    if (dir)
        closedir(dir);
    if (r < 0) {
        registry_list_free(list, count);
        return r;
    }
    if (count > 1)
        qsort(list, count, sizeof(*list), by_dir);
    *ret = list;
    *ret_count = count;
    return 0;
}

/* ---- finding ---- */

char *registry_resolve(const char *path)
{
    char cwd[PATH_MAX], *absolute, *dir, *real, *out = NULL;

    if (path[0] != '/' && !getcwd(cwd, sizeof(cwd)))
        return NULL;
    absolute = path_resolve(path[0] == '/' ? "/" : cwd, path);
    dir = absolute ? path_dir(absolute) : NULL;
    real = dir ? realpath(dir, NULL) : NULL;
    if (real && absolute[1])
        out = path_join(real, path_base(absolute));
    else if (absolute)
        out = strdup(absolute); /* nothing to resolve */
    free(absolute);
    free(dir);
    free(real);
    return out;
}

/* Both names of a place: as it is written, and where its links lead. The first may be a dead mount,
 * the second may not exist. */
static int find_below(const struct registry_entry *list, size_t count, const char *path)
{
    int best = -1;

    for (size_t i = 0; i < count; i++)
        if (path_is_below(path, list[i].dir) &&
            (best < 0 || strlen(list[i].dir) > strlen(list[best].dir)))
            best = (int)i;
    return best;
}

static void take_out(struct registry_entry *list, int i, struct registry_entry *ret)
{
    *ret = list[i];
    memset(&list[i], 0, sizeof(list[i]));
}

int registry_find_path(const char *path, struct registry_entry *ret, char **ret_rest)
{
    struct registry_entry *list = NULL;
    char *found = registry_resolve(path), *rest = NULL;
    size_t count = 0;
    int best, r;

    if (!found)
        return -ENOMEM;
    r = registry_list(&list, &count);
    if (r < 0)
        goto out;
    best = find_below(list, count, found);
    if (best < 0) { /* the last component may be a link */
        char *real = realpath(path, NULL);

        if (real) {
            free(found);
            found = real;
            best = find_below(list, count, found);
        }
    }
    r = best < 0 ? -ENOENT : 0;
    if (r == 0 && ret_rest) {
        rest = strdup(path_below(found, list[best].dir));
        r = rest ? 0 : -ENOMEM;
    }
    if (r == 0) {
        take_out(list, best, ret);
        if (ret_rest)
            *ret_rest = rest;
    }
out:
    registry_list_free(list, count);
    free(found);
    return r;
}
