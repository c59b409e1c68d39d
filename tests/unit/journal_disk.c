#include "journal_disk.h"

#include "util/lock.h"
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES = 64, NAME_LEN = 32 };

struct step {
    uint64_t off, len;
    uint8_t *data; /* owned; NULL: a truncation to off */
};

struct file {
    ino_t ino;
    bool is_log;
    uint8_t *synced; /* owned */
    uint64_t synced_len;
    struct step *steps; /* owned: since then */
    size_t step_count;
    struct file *older;
};

struct names {
    struct {
        char name[NAME_LEN];
        struct file *file;
    } v[NAMES];
    size_t count;
};

static struct lock lock = LOCK_INIT; /* guards what follows */
static struct file *files;           /* newest first: numbers are used again */
static struct names now, synced;
static ino_t dir_ino;
static long die_after = -1, steps;
static int fail_err;
static bool died, once;
static uint64_t free_bytes = UINT64_MAX;

static void *need(void *p)
{
    if (!p)
        abort();
    return p;
}

/* ---- what is known of files ---- */

static void forget_steps(struct file *f)
{
    for (size_t i = 0; i < f->step_count; i++)
        free(f->steps[i].data);
    free(f->steps);
    f->steps = NULL;
    f->step_count = 0;
}

static void forget_files(void)
{
    while (files) {
        struct file *older = files->older;

        forget_steps(files);
        free(files->synced);
        free(files);
        files = older;
    }
    now.count = synced.count = 0;
}

static struct file *file_of(int fd)
{
    struct stat st;
    struct file *f = files;

    if (fstat(fd, &st) < 0)
        abort();
    while (f && f->ino != st.st_ino)
        f = f->older;
    return f; /* NULL: a directory, or from before */
}

static struct file *add_file(int fd, const char *name)
{
    struct file *f = need(calloc(1, sizeof(*f)));
    struct stat st;

    if (fstat(fd, &st) < 0)
        abort();
    f->ino = st.st_ino;
    f->is_log = strncmp(name, "log", 3) == 0;
    f->older = files;
    files = f;
    return f;
}

static void note(struct file *f, uint64_t off, const void *data, uint64_t len)
{
    struct step *s;

    if (!f)
        return;
    f->steps = need(realloc(f->steps, (f->step_count + 1) * sizeof(*f->steps)));
    s = &f->steps[f->step_count++];
    *s = (struct step){.off = off, .len = len};
    if (data)
        memcpy(s->data = need(malloc(len + 1)), data, len);
}

/* Is so much of the i-th step since the last sync left? Else zeros, or less of the file. */
enum left { LEFT_NOT, LEFT_ZEROS, LEFT_HALF, LEFT };

static enum left is_left(const struct file *f, size_t i, enum rig_loss loss)
{
    switch (loss) {
    case RIG_LOSE_ALL:
    case RIG_KEEP_NAMES:
        return LEFT_NOT;
    case RIG_KEEP_LOG:
    case RIG_KEEP_LOG_ONLY:
        return f->is_log ? LEFT : LEFT_NOT;
    case RIG_KEEP_DATA:
        return f->is_log ? LEFT_NOT : LEFT;
    case RIG_ZEROS:
        return LEFT_ZEROS;
    case RIG_LOSE_FIRST:
        return i == 0 ? LEFT_ZEROS : LEFT;
    case RIG_LOSE_ODD:
        return i % 2 ? LEFT_ZEROS : LEFT;
    case RIG_TORN:
        return i < f->step_count / 2 ? LEFT : i == f->step_count / 2 ? LEFT_HALF : LEFT_NOT;
    case RIG_KEEP_ALL:
    case RIG_LOSSES:
        break;
    }
    return LEFT;
}

static void play(const struct file *f, enum rig_loss loss, uint8_t **ret, uint64_t *ret_len)
{
    uint64_t len = f->synced_len, most = len;
    uint8_t *p;

    for (size_t i = 0; i < f->step_count; i++)
        if (f->steps[i].off + f->steps[i].len > most)
            most = f->steps[i].off + f->steps[i].len;
    p = need(calloc(1, most + 1));
    if (f->synced_len)
        memcpy(p, f->synced, f->synced_len);
    for (size_t i = 0; i < f->step_count; i++) {
        const struct step *s = &f->steps[i];
        const enum left left = is_left(f, i, loss);
        const uint64_t n = left == LEFT_HALF ? s->len / 2 : s->len;

        if (left == LEFT_NOT)
            continue;
        if (!s->data) {
            if (len > s->off)
                memset(p + s->off, 0, len - s->off);
            len = s->off;
            continue;
        }
        if (s->off + n > len)
            len = s->off + n;
        if (left == LEFT_ZEROS)
            memset(p + s->off, 0, n);
        else
            memcpy(p + s->off, s->data, n);
    }
    *ret = p;
    *ret_len = len;
}

static void note_synced(struct file *f)
{
    uint8_t *p;
    uint64_t len;

    play(f, RIG_KEEP_ALL, &p, &len);
    free(f->synced);
    f->synced = p;
    f->synced_len = len;
    forget_steps(f);
}

/* ---- what is known of names ---- */

static void set_name(const char *name, struct file *f)
{
    size_t i = 0;

    while (i < now.count && strcmp(now.v[i].name, name) != 0)
        i++;
    if (!f) {
        if (i < now.count)
            now.v[i] = now.v[--now.count];
        return;
    }
    if (i == NAMES)
        abort();
    now.count += i == now.count;
    snprintf(now.v[i].name, NAME_LEN, "%s", name);
    now.v[i].file = f;
}

static struct file *named(const char *name)
{
    for (size_t i = 0; i < now.count; i++)
        if (strcmp(now.v[i].name, name) == 0)
            return now.v[i].file;
    return NULL;
}

/* ---- how it fails ---- */

void rig_disk_new(void)
{
    lock_take(&lock);
    forget_files();
    lock_drop(&lock);
    rig_die_after(-1);
}

static void fail_from(long n, int err, bool only_once)
{
    lock_take(&lock);
    die_after = n;
    steps = 0;
    died = false;
    once = only_once;
    fail_err = err;
    lock_drop(&lock);
}

void rig_die_after(long n)
{
    fail_from(n, -EIO, false);
}

void rig_fail_at(long n, int err)
{
    fail_from(n, err, true);
}

bool rig_died(void)
{
    bool ret;

    lock_take(&lock);
    ret = died;
    lock_drop(&lock);
    return ret;
}

void rig_kill(void)
{
    lock_take(&lock);
    died = true;
    once = false;
    fail_err = -EIO;
    lock_drop(&lock);
}

void rig_set_free(uint64_t bytes)
{
    lock_take(&lock);
    free_bytes = bytes;
    lock_drop(&lock);
}

/* True once for the step at which it fails; *ret_err: what this one fails with. Locked. */
static bool step(int *ret_err)
{
    const bool fails = !died && die_after >= 0 && steps >= die_after;

    steps++;
    died = died || fails;
    *ret_err = fails || (died && !once) ? fail_err : 0;
    return fails;
}

/* ---- the calls ---- */

static int disk_create(int dir_fd, const char *name)
{
    struct stat st;
    int fd;

    lock_take(&lock);
    (void)step(&fd);
    if (fd == 0)
        fd = journal_sys_real.create(dir_fd, name);
    if (fd >= 0 && fstat(dir_fd, &st) == 0) {
        dir_ino = st.st_ino;
        set_name(name, add_file(fd, name));
    }
    lock_drop(&lock);
    return fd;
}

static ssize_t disk_write(int fd, const void *p, size_t n, uint64_t at)
{
    ssize_t done;
    bool now_fails;
    int err;

    lock_take(&lock);
    now_fails = step(&err);
    if (now_fails)
        n = (n + 1) / 2;
    done = err && !now_fails ? err : journal_sys_real.write(fd, p, n, at);
    if (done > 0)
        note(file_of(fd), at, p, (uint64_t)done);
    lock_drop(&lock);
    return err ? err : done;
}

static int disk_truncate(int fd, uint64_t len)
{
    int err;

    lock_take(&lock);
    (void)step(&err);
    if (err == 0)
        err = journal_sys_real.truncate(fd, len);
    if (err == 0)
        note(file_of(fd), len, NULL, 0);
    lock_drop(&lock);
    return err;
}

static int disk_sync(int fd)
{
    struct file *f;
    struct stat st;
    int err;

    lock_take(&lock);
    (void)step(&err);
    f = file_of(fd);
    if (err == 0 && f)
        note_synced(f);
    else if (err == 0 && fstat(fd, &st) == 0 && st.st_ino == dir_ino)
        synced = now;
    lock_drop(&lock);
    return err;
}

static int disk_rename(int dir_fd, const char *from, const char *to)
{
    int err;

    lock_take(&lock);
    (void)step(&err);
    if (err == 0)
        err = journal_sys_real.rename(dir_fd, from, to);
    if (err == 0) {
        set_name(to, named(from));
        set_name(from, NULL);
    }
    lock_drop(&lock);
    return err;
}

static int disk_unlink(int dir_fd, const char *name)
{
    int err;

    lock_take(&lock);
    (void)step(&err);
    if (err == 0)
        err = journal_sys_real.unlink(dir_fd, name);
    if (err == 0)
        set_name(name, NULL);
    lock_drop(&lock);
    return err;
}

static int disk_free_bytes(int dir_fd, uint64_t *ret)
{
    lock_take(&lock);
    *ret = free_bytes;
    lock_drop(&lock);
    return *ret == UINT64_MAX ? journal_sys_real.free_bytes(dir_fd, ret) : 0;
}

const struct journal_sys rig_disk = {
    .create = disk_create,
    .write = disk_write,
    .truncate = disk_truncate,
    .sync = disk_sync,
    .rename = disk_rename,
    .unlink = disk_unlink,
    .free_bytes = disk_free_bytes,
};

/* ---- the loss of power ---- */

static void empty(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *d;

    while (dir && (d = readdir(dir)))
        if (strcmp(d->d_name, "lock") != 0 && d->d_name[0] != '.' &&
            unlinkat(dirfd(dir), d->d_name, 0) < 0)
            abort();
    if (dir)
        closedir(dir);
}

static void put_file(const char *dir, const char *name, const uint8_t *p, uint64_t len)
{
    char *path = need(path_join(dir, name));
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
    struct file *f;

    if (fd < 0 || write(fd, p, len) != (ssize_t)len)
        abort();
    f = add_file(fd, name);
    note(f, 0, p, len);
    note_synced(f);
    set_name(name, f);
    close(fd);
    free(path);
}

void rig_lose_power(const char *dir, enum rig_loss loss)
{
    const bool names_lost = loss == RIG_LOSE_ALL || loss == RIG_KEEP_LOG_ONLY;
    struct names left = names_lost ? synced : now;
    uint8_t *p[NAMES];
    uint64_t len[NAMES];

    lock_take(&lock);
    for (size_t i = 0; i < left.count; i++)
        play(left.v[i].file, loss, &p[i], &len[i]);
    forget_files();
    empty(dir);
    for (size_t i = 0; i < left.count; i++) {
        put_file(dir, left.v[i].name, p[i], len[i]);
        free(p[i]);
    }
    synced = now;
    lock_drop(&lock);
}
