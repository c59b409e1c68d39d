/*
 * keeper.c - content that outlives the process.
 *
 * Below the cache's folder lies one for each owner, and in it a file (kept.h) for each file of the
 * sandbox, named by device, inode number and a checksum of its version: a new one takes the place
 * of the old. It is written under another name and renamed when complete, by one thread; its
 * checksums are looked at whenever it is read, so neither a crash nor a disk that lies can make
 * wrong content of it. One process has the folder at a time, by flock.
 */
#include "cache/cache_internal.h"
#include "cache/kept.h"

#include "util/clock.h"
#include "util/crc32c.h"
#include "util/keyedhash.h"
#include "util/sha256.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utlist.h>

#define TEMP_NAME "new"

enum { FILE_BYTES = 33, NAME_BYTES = FILE_BYTES + 10, PENDING_MAX = 10000, KEPT_MAX = 1000000 };

struct entry {
    char name[NAME_BYTES]; /* DEVICE-INODE-VERSION: 16, 16 and 8 hexadecimal digits */
    uint64_t bytes;        /* on disk */
    int64_t used_ns;       /* only to sort them once */
    UT_hash_handle hh;
    struct entry *prev, *next;
};

struct pending {
    struct blob *blob; /* counted and held */
    struct cache_key key;
    uint64_t changes; /* of the blob, when it was that version */
    struct pending *prev, *next;
};

struct keeper {
    int dir_fd;                /* locked */
    int parent_fd;             /* borrowed */
    char name[SHA256_HEX + 1]; /* of the folder */
    uint64_t max_bytes;
    uint64_t all_max_bytes; /* together with the folders of others */

    struct lock lock;      /* inside of the cache's; never held while the disk is used */
    struct entry *entries; /* by the first FILE_BYTES of the name */
    struct entry *lru;     /* oldest use first */
    uint64_t bytes;
    struct pending *pending;
    size_t pending_count;
    uint64_t put, settled; /* how many were ever pending, and how many of them no longer are */
    pthread_cond_t work, done;
    pthread_t thread;
    bool runs, stopping;
};

static void name_of(const struct cache_key *key, char name[NAME_BYTES])
{
    uint8_t head[KEPT_HEAD];

    kept_put_key(head, key);
    snprintf(name, NAME_BYTES, "%016llx-%016llx-%08x", (unsigned long long)key->dev,
             (unsigned long long)key->ino, crc32c(0, head, sizeof(head)));
}

/* ---- which files there are ---- */

static struct entry *find_file_locked(struct keeper *s, const char *name)
{
    struct entry *e;

    HASH_FIND(hh, s->entries, name, FILE_BYTES, e);
    return e;
}

/* Of that version. */
static struct entry *find_entry_locked(struct keeper *s, const char *name)
{
    struct entry *e = find_file_locked(s, name);

    return e && strcmp(e->name, name) == 0 ? e : NULL;
}

static void forget_locked(struct keeper *s, struct entry *e)
{
    HASH_DEL(s->entries, e);
    DL_DELETE(s->lru, e);
    s->bytes -= e->bytes;
    free(e);
}

/* The newest use. What it takes the place of is removed. */
static void note(struct keeper *s, const char *name, uint64_t bytes, int64_t used_ns)
{
    char before[NAME_BYTES] = "";
    struct entry *e;

    lock_take(&s->lock);
    e = find_file_locked(s, name);
    if (e) {
        if (strcmp(e->name, name) != 0)
            memcpy(before, e->name, sizeof(before));
        forget_locked(s, e);
    }
    e = HASH_COUNT(s->entries) < KEPT_MAX ? calloc(1, sizeof(*e)) : NULL;
    if (e) {
        memcpy(e->name, name, sizeof(e->name));
        e->bytes = bytes;
        e->used_ns = used_ns;
        HASH_ADD(hh, s->entries, name, FILE_BYTES, e);
        DL_APPEND(s->lru, e);
        s->bytes += bytes;
    }
    lock_drop(&s->lock);
    if (*before)
        (void)unlinkat(s->dir_fd, before, 0);
    if (!e) /* too many, or no memory: a file that is not counted must not stay */
        (void)unlinkat(s->dir_fd, name, 0);
}

static void drop(struct keeper *s, const char *name)
{
    struct entry *e;

    (void)unlinkat(s->dir_fd, name, 0); /* else it is found again at the next start */
    lock_take(&s->lock);
    e = find_entry_locked(s, name);
    if (e)
        forget_locked(s, e);
    lock_drop(&s->lock);
}

static void trim(struct keeper *s)
{
    char name[NAME_BYTES];
    bool more;

    do {
        lock_take(&s->lock);
        more = s->bytes > s->max_bytes && s->lru;
        if (more)
            memcpy(name, s->lru->name, sizeof(name));
        lock_drop(&s->lock);
        if (more)
            drop(s, name);
    } while (more);
}

static bool is_name(const char *name)
{
    return strlen(name) == NAME_BYTES - 1 && name[16] == '-' && name[33] == '-' &&
           strspn(name, "0123456789abcdef-") == NAME_BYTES - 1;
}

bool keeper_wrote(const char *name)
{
    return is_name(name) || strcmp(name, TEMP_NAME) == 0 || strncmp(name, "note", 4) == 0;
}

static int by_use(const struct entry *a, const struct entry *b)
{
    return a->used_ns < b->used_ns ? -1 : a->used_ns > b->used_ns;
}

/* Whatever else lies there is not ours to remove, but for what a crash left half written. */
static int scan(struct keeper *s)
{
    const int fd = openat(s->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *de;
    struct stat st;

    if (!d) {
        const int r = -errno;

        if (fd >= 0)
            close(fd);
        return r;
    }
    (void)unlinkat(s->dir_fd, TEMP_NAME, 0);
    while ((de = readdir(d)))
        if (is_name(de->d_name) && fstatat(s->dir_fd, de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            S_ISREG(st.st_mode))
            note(s, de->d_name, (uint64_t)st.st_blocks * 512, timespec_to_ns(st.st_mtim));
    lock_take(&s->lock);
    DL_SORT(s->lru, by_use);
    lock_drop(&s->lock);
    closedir(d);
    trim(s);
    return 0;
}

/* ---- writing one ---- */

/*
 * blob_write says that it changes the blob before it does: so if nothing was said when all was
 * read, all that was read is of the version in key.
 */
static void keep(struct keeper *s, const struct cache_key *key, struct blob *b, uint64_t changes)
{
    char name[NAME_BYTES];
    uint64_t bytes = 0;
    int fd, r;

    name_of(key, name);
    fd = openat(s->dir_fd, TEMP_NAME, O_RDWR | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return; /* it is a cache: what cannot be kept is fetched again */
    r = kept_save(fd, key, b, &bytes);
    if (close(fd) < 0 && r == 0)
        r = -errno;
    if (r == 0 && blob_changes(b) == changes &&
        renameat(s->dir_fd, TEMP_NAME, s->dir_fd, name) == 0) {
        note(s, name, bytes, 0);
        trim(s);
    } else {
        (void)unlinkat(s->dir_fd, TEMP_NAME, 0);
    }
}

static void *work(void *arg)
{
    struct keeper *s = arg;
    struct pending *p;
    uint64_t bytes;

    lock_take(&s->lock);
    bytes = s->bytes;
    lock_drop(&s->lock);
    cache_sweep(s->parent_fd, s->name, bytes, s->all_max_bytes);
    lock_take(&s->lock);
    while (s->pending || !s->stopping) {
        p = s->pending;
        if (!p) {
            lock_wait(&s->lock, &s->work);
            continue;
        }
        DL_DELETE(s->pending, p);
        s->pending_count--;
        lock_drop(&s->lock);
        keep(s, &p->key, p->blob, p->changes);
        blob_release(p->blob);
        blob_unref(p->blob);
        free(p);
        lock_take(&s->lock);
        s->settled++;
        pthread_cond_broadcast(&s->done);
    }
    lock_drop(&s->lock);
    return NULL;
}

static bool may_keep(const struct cache_key *key)
{
    return key->ino != 0 && key->ctime_ns != 0 && key->size > 0 &&
           key->size <= (uint64_t)KEPT_BLOCKS_MAX * BLOB_BLOCK;
}

void cache_put(struct cache *c, const struct cache_key *key, struct blob *b)
{
    struct keeper *s = c->keeper;
    struct pending *p;

    if (!s || !may_keep(key) || blob_size(b) != key->size)
        return;
    p = calloc(1, sizeof(*p));
    if (!p)
        return;
    if (!blob_hold(b)) {
        free(p);
        return;
    }
    p->blob = blob_ref(b);
    p->key = *key;
    p->changes = blob_changes(b);
    lock_take(&s->lock);
    /* Each has a descriptor that cannot be had back until it is written. */
    if (s->pending_count < PENDING_MAX && s->pending_count < c->max_blobs / 4) {
        DL_APPEND(s->pending, p);
        s->pending_count++;
        s->put++;
        p = NULL;
        pthread_cond_signal(&s->work);
    }
    lock_drop(&s->lock);
    if (p) {
        blob_release(p->blob);
        blob_unref(p->blob);
        free(p);
    }
}

void cache_drop(struct cache *c, const struct cache_key *keys, size_t count)
{
    struct keeper *s = c->keeper;
    char name[NAME_BYTES];
    uint64_t put;

    if (!s)
        return;
    lock_take(&s->lock);
    for (put = s->put; s->settled < put;)
        lock_wait(&s->lock, &s->done);
    lock_drop(&s->lock);
    for (size_t i = 0; i < count; i++) {
        struct entry *e;

        name_of(&keys[i], name);
        lock_take(&s->lock);
        e = find_file_locked(s, name);
        if (e)
            memcpy(name, e->name, sizeof(name));
        lock_drop(&s->lock);
        if (e)
            drop(s, name);
    }
}

/* ---- reading one ---- */

bool cache_has(struct cache *c, const struct cache_key *key)
{
    char name[NAME_BYTES];
    bool has;

    if (!c->keeper || !may_keep(key))
        return false;
    name_of(key, name);
    lock_take(&c->keeper->lock);
    has = find_entry_locked(c->keeper, name) != NULL;
    lock_drop(&c->keeper->lock);
    return has;
}

int cache_get(struct cache *c, const struct cache_key *key, struct blob *b)
{
    struct keeper *s = c->keeper;
    char name[NAME_BYTES];
    struct entry *e;
    int fd, r;

    if (!cache_has(c, key) || blob_size(b) != key->size)
        return -ENOENT;
    name_of(key, name);
    fd = openat(s->dir_fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        drop(s, name);
        return -ENOENT;
    }
    r = kept_load(fd, key, b);
    if (r == 0) {
        (void)futimens(fd, NULL); /* its age, for the next process */
        lock_take(&s->lock);
        e = find_entry_locked(s, name);
        if (e) {
            DL_DELETE(s->lru, e);
            DL_APPEND(s->lru, e);
        }
        lock_drop(&s->lock);
    } else if (r == -EBADMSG) {
        drop(s, name);
    }
    close(fd);
    return r < 0 ? -ENOENT : 0;
}

/* ---- the folder ---- */

enum { FOLDER_TRIES = 3 };

/* Ours alone, or -EBUSY. */
static int open_folder(int parent, const char *name)
{
    int r = -ENOENT;

    for (unsigned i = 0; i < FOLDER_TRIES && r == -ENOENT; i++) {
        if (mkdirat(parent, name, 0700) < 0 && errno != EEXIST)
            return -errno;
        r = cache_lock_folder(parent, name);
    }
    if (r >= 0)
        (void)futimens(r, NULL); /* its last use */
    return r;
}

int keeper_dir(const struct keeper *s)
{
    return s->dir_fd;
}

struct keeper *keeper_free(struct keeper *s)
{
    struct entry *e, *tmp;

    if (!s)
        return NULL;
    if (s->runs) {
        lock_take(&s->lock);
        s->stopping = true;
        pthread_cond_broadcast(&s->work);
        lock_drop(&s->lock);
        pthread_join(s->thread, NULL);
    }
    HASH_CLEAR(hh, s->entries);
    DL_FOREACH_SAFE(s->lru, e, tmp)
        free(e);
    close(s->dir_fd);
    pthread_cond_destroy(&s->work);
    pthread_cond_destroy(&s->done);
    lock_done(&s->lock);
    free(s);
    return NULL;
}

/* What is kept and what is in use are two copies: together they stay below the limit. */
static void share_room(struct cache *c, struct keeper *s)
{
    lock_take(&c->lock);
    c->keeper = s;
    c->max_bytes -= s->max_bytes;
    lock_drop(&c->lock);
}

int cache_keep(struct cache *c, const char *owner)
{
    struct keeper *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    sha256_hex(owner, strlen(owner), s->name);
    r = open_folder(c->dir_fd, s->name);
    if (r < 0) {
        free(s);
        return r;
    }
    s->dir_fd = r;
    s->parent_fd = c->dir_fd;
    s->all_max_bytes = c->max_bytes;
    s->max_bytes = c->max_bytes - c->max_bytes / 4;
    lock_init(&s->lock);
    lock_cond_init(&s->work);
    lock_cond_init(&s->done);
    r = scan(s);
    if (r == 0) {
        r = -pthread_create(&s->thread, NULL, work, s);
        s->runs = r == 0;
    }
    if (r < 0)
        keeper_free(s);
    else
        share_room(c, s);
    return r;
}
