/*
 * dir.c - where journals are. A directory is named SANDBOX-SLOT: 32 hexadecimal digits of the
 * sha256 of API url, NUL and sandbox id, and 16 of that of the slot. In it:
 *
 *   lock            locked by who uses the journal; "PID DIR\n"
 *   log             head and records
 *   log.new         only while the log is made or rewritten
 *   NUMBER.seg      data
 *
 * Locks are those of an open file description: they end with the process, and others can ask about
 * them without taking them.
 */
#include "journal/journal_internal.h"

#include "util/clock.h"
#include "util/path.h"
#include "util/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SANDBOX_HEX = 32, SLOT_HEX = 16, FOUND_MAX = 65536, LOCK_TRIES = 100 };

/* ---- names ---- */

static int sandbox_hex(const char *api_url, const char *sandbox_id, char ret[SHA256_HEX + 1])
{
    struct buf b = BUF_INIT(JOURNAL_HEAD_MAX);
    int r = buf_append(&b, api_url, strlen(api_url) + 1);

    if (r == 0)
        r = buf_puts(&b, sandbox_id);
    if (r == 0)
        sha256_hex(b.data, b.len, ret);
    buf_done(&b);
    return r;
}

char *journal_name(const struct journal_key *key)
{
    char sandbox[SHA256_HEX + 1], slot[SHA256_HEX + 1], *name;

    if (sandbox_hex(key->api_url, key->sandbox_id, sandbox) < 0)
        return NULL;
    sha256_hex(key->slot, strlen(key->slot), slot);
    if (asprintf(&name, "%.*s-%.*s", SANDBOX_HEX, sandbox, SLOT_HEX, slot) < 0)
        return NULL;
    return name;
}

static bool name_valid(const char *name)
{
    return strlen(name) == SANDBOX_HEX + 1 + SLOT_HEX && name[SANDBOX_HEX] == '-' &&
           strspn(name, "0123456789abcdef") == SANDBOX_HEX &&
           strspn(name + SANDBOX_HEX + 1, "0123456789abcdef") == SLOT_HEX;
}

/* ---- opening what is ours ---- */

static int check_ours(int fd, mode_t type)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return -errno;
    if ((st.st_mode & S_IFMT) != type || st.st_uid != geteuid() || (st.st_mode & 077) ||
        (type == S_IFREG && st.st_nlink > 1))
        return -EACCES;
    return 0;
}

static int checked(int fd, mode_t type)
{
    int r;

    if (fd < 0)
        return -errno;
    r = check_ours(fd, type);
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

/* With the names of all that it is in: some of them may be new as well. */
static int make_base(const char *base)
{
    char *path, *up;
    int r;

    if (access(base, F_OK) == 0)
        return 0;
    r = path_make_dirs(base, 0700);
    for (path = r == 0 ? path_dir(base) : NULL; path; path = up) {
        const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd >= 0) {
            (void)fsync(fd); /* one that is another's was there before */
            close(fd);
        }
        up = path[0] == '/' && path[1] ? path_dir(path) : NULL;
        free(path);
    }
    return r;
}

int journal_base_open(const char *base, bool make)
{
    const int r = make ? make_base(base) : 0;

    if (r < 0)
        return r;
    return checked(open(base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), S_IFDIR);
}

int journal_subdir_open(int base_fd, const char *name)
{
    if (!name_valid(name))
        return -EINVAL;
    return checked(openat(base_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), S_IFDIR);
}

int journal_file_open(int dir_fd, const char *name, int flags)
{
    /* Not to wait for a FIFO. */
    return checked(openat(dir_fd, name, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600),
                   S_IFREG);
}

/* ---- the lock ---- */

void journal_holder_done(struct journal_holder *h)
{
    free(h->dir);
    *h = (struct journal_holder){0};
}

static void read_holder(int fd, struct journal_holder *ret)
{
    char text[PATH_MAX + 32], *end;
    const ssize_t n = pread(fd, text, sizeof(text) - 1, 0);

    *ret = (struct journal_holder){0};
    text[n > 0 ? n : 0] = '\0';
    end = strrchr(text, '\n');
    if (end)
        *end = '\0';
    ret->pid = end ? (int)strtol(text, &end, 10) : 0;
    ret->dir = strdup(ret->pid > 0 && *end == ' ' ? end + 1 : "");
}

static int write_holder(int fd, const char *dir)
{
    struct buf b = BUF_INIT(PATH_MAX + 32);
    int r = buf_printf(&b, "%d %s\n", (int)getpid(), dir);

    if (r == 0 && ftruncate(fd, 0) < 0)
        r = -errno;
    if (r == 0)
        r = journal_write_all(&journal_sys_real, fd, b.data, b.len, 0);
    buf_done(&b);
    return r;
}

static int try_lock(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
}

static bool is_locked(int fd)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

    return fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

/* -EAGAIN: whoever had it removed the journal meanwhile. */
static int take_lock(struct journal *j, struct journal_holder *busy)
{
    struct stat st;
    int r;

    j->lock_fd = journal_file_open(j->dir_fd, "lock", O_RDWR | O_CREAT);
    if (j->lock_fd < 0)
        return j->lock_fd == -ENOENT ? -EAGAIN : j->lock_fd;
    r = try_lock(j->lock_fd);
    if (r == 0 && fstat(j->lock_fd, &st) < 0)
        r = -errno;
    if (r == 0 && st.st_nlink == 0)
        r = -EAGAIN;
    if (r == -EBUSY && busy)
        read_holder(j->lock_fd, busy);
    if (r < 0) {
        close(j->lock_fd);
        j->lock_fd = -1;
    }
    return r;
}

static int enter(struct journal *j, bool make, struct journal_holder *busy)
{
    int r;

    if (make && mkdirat(j->base_fd, j->name, 0700) < 0 && errno != EEXIST)
        return -errno;
    j->dir_fd = journal_subdir_open(j->base_fd, j->name);
    if (j->dir_fd < 0)
        return j->dir_fd == -ENOENT && make ? -EAGAIN : j->dir_fd;
    r = take_lock(j, busy);
    if (r < 0) {
        close(j->dir_fd);
        j->dir_fd = -1;
    }
    return r;
}

int journal_dir_open(struct journal *j, const struct journal_options *o, bool make,
                     struct journal_holder *busy)
{
    int r = -EAGAIN;

    j->base_fd = journal_base_open(o->base, make);
    if (j->base_fd < 0)
        return j->base_fd;
    for (int i = 0; i < LOCK_TRIES && r == -EAGAIN; i++)
        r = enter(j, make, busy);
    if (r == 0)
        r = write_holder(j->lock_fd, o->mount_dir ? o->mount_dir : "");
    return r;
}

/*
 * The log before the lock, segments before the log: a log that is missing beside segments was not
 * removed by us. On the disk, too; and a log whose segments are missing there must say that nobody
 * needs them.
 */
void journal_dir_remove(struct journal *j)
{
    const bool had_segments = j->next_segment > 1;
    int r = had_segments ? j->sys->sync(j->log_fd) : 0;

    for (size_t i = 0; r == 0 && i < j->segment_count; i++) {
        char name[32];

        journal_segment_name(name, j->segments[i].number);
        r = j->sys->unlink(j->dir_fd, name);
    }
    if (r == 0 && had_segments)
        r = j->sys->sync(j->dir_fd);
    if (r == 0)
        r = j->sys->unlink(j->dir_fd, "log");
    if (r == 0)
        r = j->sys->unlink(j->dir_fd, "lock");
    if (r == 0)
        (void)unlinkat(j->base_fd, j->name, AT_REMOVEDIR); /* someone may be making it anew */
}

/* The lock goes last: who finds none may make the journal anew. */
static int remove_files(int dir_fd)
{
    const int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    const struct dirent *e;
    int r = d ? 0 : -errno;

    while (r == 0 && (e = readdir(d)))
        if (e->d_name[0] != '.' && strcmp(e->d_name, "lock") != 0 &&
            unlinkat(dir_fd, e->d_name, 0) < 0)
            r = -errno;
    if (d)
        closedir(d);
    else if (fd >= 0)
        close(fd);
    return r == 0 && unlinkat(dir_fd, "lock", 0) < 0 ? -errno : r;
}

int journal_discard(const char *base, const char *name)
{
    struct journal j = {.base_fd = journal_base_open(base, false), .dir_fd = -1, .lock_fd = -1};
    int r = j.base_fd < 0 ? j.base_fd : 0;

    if (r == 0) {
        j.dir_fd = journal_subdir_open(j.base_fd, name);
        r = j.dir_fd < 0 ? j.dir_fd : take_lock(&j, NULL);
    }
    if (r == 0)
        r = remove_files(j.dir_fd);
    if (r == 0 && unlinkat(j.base_fd, name, AT_REMOVEDIR) < 0)
        r = -errno;
    if (j.lock_fd >= 0)
        close(j.lock_fd);
    if (j.dir_fd >= 0)
        close(j.dir_fd);
    if (j.base_fd >= 0)
        close(j.base_fd);
    return r == -EAGAIN ? -ENOENT : r;
}

/* ---- finding ---- */

static void found_done(struct journal_found *f)
{
    free(f->name);
    free(f->api_url);
    free(f->sandbox_id);
    free(f->slot);
    journal_holder_done(&f->holder);
}

void journal_found_free(struct journal_found *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        found_done(&list[i]);
    free(list);
}

static int read_key(int dir_fd, struct journal_found *ret)
{
    struct journal_head head;
    uint8_t bytes[JOURNAL_HEAD_MAX];
    const int fd = journal_file_open(dir_fd, "log", O_RDONLY);
    ssize_t n;

    if (fd < 0)
        return fd;
    n = pread(fd, bytes, sizeof(bytes), 0);
    n = n < 0 ? -errno : journal_head_get(bytes, (size_t)n, &head);
    close(fd);
    if (n < 0)
        return (int)n;
    ret->made_ns = head.made_ns;
    ret->api_url = strdup(head.api_url);
    ret->sandbox_id = strdup(head.sandbox_id);
    ret->slot = strdup(head.slot);
    return ret->api_url && ret->sandbox_id && ret->slot ? 0 : -ENOMEM;
}

/* -ENOENT: nothing is there, or no longer. */
static int look_at(int base_fd, const char *name, struct journal_found *ret)
{
    struct stat st;
    int lock_fd, dir_fd = journal_subdir_open(base_fd, name);

    *ret = (struct journal_found){.name = strdup(name)};
    if (!ret->name || dir_fd < 0) {
        if (dir_fd >= 0)
            close(dir_fd);
        return ret->name ? dir_fd : -ENOMEM;
    }
    ret->err = read_key(dir_fd, ret);
    if (ret->err == -ENOENT && journal_has_segments(dir_fd))
        ret->err = -EBADMSG; /* it vanished beside its data */
    if (ret->err < 0 && fstat(dir_fd, &st) == 0)
        ret->made_ns = timespec_to_ns(st.st_mtim);
    lock_fd = journal_file_open(dir_fd, "lock", O_RDWR);
    if (lock_fd >= 0 && is_locked(lock_fd)) {
        ret->locked = true;
        read_holder(lock_fd, &ret->holder);
    }
    if (lock_fd >= 0)
        close(lock_fd);
    close(dir_fd);
    return ret->err == -ENOMEM || (ret->err == -ENOENT && !ret->locked) ? ret->err : 0;
}

static bool is_wanted(const struct journal_found *f, const char *api_url, const char *sandbox_id)
{
    if (!api_url)
        return true;
    return f->err == 0 && strcmp(f->api_url, api_url) == 0 &&
           strcmp(f->sandbox_id, sandbox_id) == 0;
}

static int by_age(const void *a, const void *b)
{
    const struct journal_found *x = a, *y = b;

    if (x->made_ns != y->made_ns)
        return x->made_ns < y->made_ns ? -1 : 1;
    return strcmp(x->name, y->name);
}

int journal_find(const char *base, const char *api_url, const char *sandbox_id,
                 struct journal_found **ret, size_t *ret_count)
{
    const int base_fd = journal_base_open(base, false);
    struct journal_found *list = NULL;
    size_t count = 0;
    struct dirent *d;
    DIR *dir;
    int r = 0;

    if (base_fd < 0 && base_fd != -ENOENT)
        return base_fd;
    dir = base_fd < 0 ? NULL : fdopendir(base_fd);
    if (base_fd >= 0 && !dir) {
        r = -errno;
        close(base_fd);
        return r;
    }
    while (dir && r == 0 && count < FOUND_MAX && (d = readdir(dir))) {
        struct journal_found f, *more;
        int err;

        if (!name_valid(d->d_name))
            continue;
        err = look_at(base_fd, d->d_name, &f);
        if (err < 0 || !is_wanted(&f, api_url, sandbox_id)) {
            r = err == -ENOMEM ? err : 0; /* others: not ours to read, or gone */
            found_done(&f);
            continue;
        }
        more = realloc(list, (count + 1) * sizeof(*list));
        if (!more) {
            found_done(&f);
            r = -ENOMEM;
            break;
        }
        list = more;
        list[count++] = f;
    }
    if (dir)
        closedir(dir);
    if (r < 0) {
        journal_found_free(list, count);
        return r;
    }
    if (count > 1)
        qsort(list, count, sizeof(*list), by_age);
    *ret = list;
    *ret_count = count;
    return 0;
}
