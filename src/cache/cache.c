#include "cache/cache.h"

#include "cache/cache_internal.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <utlist.h>

enum { BLOBS_MIN = 64, BLOBS_MAX = 32768 };

/* Half of what the process may open is left for everything else. */
static size_t blobs_allowed(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return BLOBS_MIN;
    if (limit.rlim_cur < limit.rlim_max) {
        struct rlimit more = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};

        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    if (limit.rlim_cur / 2 > BLOBS_MAX)
        return BLOBS_MAX;
    return limit.rlim_cur / 2 < BLOBS_MIN ? BLOBS_MIN : (size_t)limit.rlim_cur / 2;
}

static int open_dir(const char *dir)
{
    const int r = path_make_dirs(dir, 0700);

    return r < 0 ? r : cache_open_folder(AT_FDCWD, dir);
}

int cache_new(const char *dir, uint64_t max_bytes, struct cache **ret)
{
    struct cache *c;
    int fd;

    fd = open_dir(dir);
    if (fd < 0)
        return fd;
    c = calloc(1, sizeof(*c));
    if (c) {
        c->max_blobs = blobs_allowed();
        c->closer = closer_new(c->max_blobs / 4); /* beside as many that are being closed */
    }
    if (!c || !c->closer) {
        free(c);
        close(fd);
        return -ENOMEM;
    }
    lock_init(&c->lock);
    c->dir_fd = fd;
    c->max_bytes = max_bytes;
    c->next_id = 1;
    *ret = c;
    return 0;
}

struct cache *cache_free(struct cache *c)
{
    if (!c)
        return NULL;
    keeper_free(c->keeper);
    closer_free(c->closer);
    close(c->dir_fd);
    lock_done(&c->lock);
    free(c);
    return NULL;
}

uint64_t cache_used(struct cache *c)
{
    uint64_t used;

    lock_take(&c->lock);
    used = c->used;
    lock_drop(&c->lock);
    return used;
}

size_t cache_blobs(struct cache *c)
{
    size_t blobs;

    lock_take(&c->lock);
    blobs = c->blobs;
    lock_drop(&c->lock);
    return blobs;
}

void cache_spare(struct cache *c, size_t *ret_blobs, uint64_t *ret_bytes)
{
    *ret_blobs = c->max_blobs / 4;
    *ret_bytes = c->max_bytes / 4;
}

/* For file systems without O_TMPFILE. */
static int named_file(struct cache *c, uint64_t id)
{
    char name[64];
    int fd;

    for (unsigned i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "blob-%ld-%llu-%u", (long)getpid(), (unsigned long long)id, i);
        fd = openat(c->dir_fd, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
        if (fd >= 0) {
            (void)unlinkat(c->dir_fd, name, 0); /* it only stays visible */
            return fd;
        }
        if (errno != EEXIST)
            return -errno;
    }
    return -EEXIST;
}

int cache_file(struct cache *c)
{
    uint64_t id;
    int fd;

    fd = openat(c->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (errno != EOPNOTSUPP && errno != EISDIR && errno != EINVAL && errno != ENOENT)
        return -errno;
    lock_take(&c->lock);
    id = c->next_id++;
    lock_drop(&c->lock);
    return named_file(c, id);
}

/* The descriptor of what was dropped; -1: enough was. */
static int drop_one(struct cache *c)
{
    struct blob *b;
    int fd = -1;

    lock_take(&c->lock);
    b = c->idle;
    if (b && (c->used > c->max_bytes || c->blobs > c->max_blobs)) {
        DL_DELETE(c->idle, b);
        fd = b->fd;
        b->fd = -1;
        c->used -= b->charged;
        c->blobs--;
        b->charged = 0;
        free(b->map);
        b->map = NULL;
    }
    lock_drop(&c->lock);
    return fd;
}

void cache_trim(struct cache *c)
{
    int fd;

    while ((fd = drop_one(c)) >= 0)
        closer_close(c->closer, fd);
}
