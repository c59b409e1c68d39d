/*
 * fs.h - the file system: nodes, names, handles, and the meaning of each operation. Knows nothing
 * of FUSE and runs in a plain test program over remote_mem.
 *
 * Threads: any function from any thread. A plain name may block on the network (it ends with -EINTR
 * when the bound cancel fires); the same name with _cached never does and returns -EAGAIN when the
 * answer needs the network: then call the plain one from a thread that may wait. Results are 0 or
 * -errno as the local call would give it.
 *
 * Nodes are named by ino, which is never reused. The root is FS_ROOT. Each fs_entry that a lookup,
 * a creation or readdir with plus hands out counts one reference that fs_forget gives back.
 */
#ifndef FS_FS_H
#define FS_FS_H

#include "cache/cache.h"
#include "flush/flush.h"
#include "remote/remote.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

enum { FS_ROOT = 1 };
enum { FS_META_BYTES = 512 << 20 }; /* a million entries take about 300 MiB */

struct fs;
struct fs_file; /* an open regular file */
struct fs_dir;  /* an open directory */

/* FSYNC: only with a journal. SYNC: what changes names and attributes is made in the sandbox at
 * once, what is written goes through the journal, if there is one, and is waited for. */
enum fs_durability { FS_DURABILITY_CLOSE, FS_DURABILITY_SYNC, FS_DURABILITY_FSYNC };
enum fs_symlinks { FS_SYMLINKS_CONTAIN, FS_SYMLINKS_RAW };

/*
 * Told when something the kernel may have cached is no longer true. Called with no lock held, from
 * any thread; inode, entry and forget must not block (queue it).
 */
struct fs_notify {
    void (*inode)(void *arg, uint64_t ino);                      /* attributes and data */
    void (*entry)(void *arg, uint64_t parent, const char *name); /* a name appeared or went */
    /* Of no directory, and not open: what the kernel has of it is to be given back, for want of
     * memory. May be NULL, may be lost. */
    void (*forget)(void *arg, uint64_t parent, const char *name);
    /* Waits up to wait_ns until what was told before is done; -ETIMEDOUT. May block, may be NULL.
     * fs_exec, fs_after_end, fs_refresh, fs_scan and fs_watch_next call it last: somebody will look
     * right after. fs_sync and fs_barrier call it first: the kernel drops pages by writing those
     * that a shared mapping changed. So nobody may call these whom such a write waits for. */
    int (*drain)(void *arg, int64_t wait_ns);
};

struct fs_config {
    const char *root;             /* absolute path in the sandbox */
    const char *mount_dir;        /* absolute local path: where contained absolute links point */
    bool read_only;               /* every change is -EROFS */
    bool map_user;                /* the sandbox's user and groups appear as uid and gid below */
    uint32_t uid, gid;            /* of whoever mounts */
    int64_t force_uid, force_gid; /* -1: no. Every file appears to belong to them */
    mode_t umask;                 /* bits that never show */
    int64_t coherence_ns;         /* how old metadata may be */
    uint64_t meta_bytes;          /* memory for it; 0: FS_META_BYTES */
    enum fs_durability durability;
    enum fs_symlinks symlinks;
    bool beside;                    /* our version of a file in conflict is put next to it, too */
    const struct fs_notify *notify; /* NULL: nobody to tell */
    void *notify_arg;
    /* NULL: every change is made in the sandbox at once, content at close. Else a change is in the
     * journal when its call returns, and sent from there. Taken over on success. */
    struct flush *flush;
};

/*
 * remote and cache are borrowed and must outlive it; strings are copied. Asks the sandbox for its
 * user and for the root: -ENOENT, -ENOTDIR …
 */
int fs_new(const struct fs_config *config, struct remote *remote, struct cache *cache,
           struct fs **ret);
/* Before fs_free, when all is sent: what that left of directories, so that the next mount shows the
 * same times of them. What cannot be asked for is forgotten. May wait. */
void fs_learn_times(struct fs *fs);
/* Unsent data goes with it: call fs_sync, then fs_keep_unsent, before. NULL is fine. */
struct fs *fs_free(struct fs *fs);

/* Which thread of a program this thread works for from now on; 0: that is not known. Who has looked
 * at a file, and who changes it then, is told apart by it. */
void fs_caller(pid_t tid);

struct fs_entry {
    uint64_t ino;   /* 0: no such name, and ttl_ns says how long that may be believed */
    int64_t ttl_ns; /* what is left of the coherence window; 0: do not cache */
    struct stat st;
};

/* A missing name is a success with ino 0. With ttl_ns 0, ask fs_getattr before showing st: a change
 * below a directory moves its times and links, and they are not asked for until somebody wants
 * them. */
int fs_lookup(struct fs *fs, uint64_t parent, const char *name, struct fs_entry *ret);
int fs_lookup_cached(struct fs *fs, uint64_t parent, const char *name, struct fs_entry *ret);
void fs_forget(struct fs *fs, uint64_t ino, uint64_t count);

/* file: the handle it was asked through, or NULL. */
int fs_getattr(struct fs *fs, uint64_t ino, struct fs_file *file, struct fs_entry *ret);
int fs_getattr_cached(struct fs *fs, uint64_t ino, struct fs_file *file, struct fs_entry *ret);

enum fs_set {
    FS_SET_MODE = 1 << 0,
    FS_SET_UID = 1 << 1,
    FS_SET_GID = 1 << 2,
    FS_SET_SIZE = 1 << 3,
    FS_SET_ATIME = 1 << 4,
    FS_SET_MTIME = 1 << 5,
    FS_SET_ATIME_NOW = 1 << 6,
    FS_SET_MTIME_NOW = 1 << 7,
};
int fs_setattr(struct fs *fs, uint64_t ino, struct fs_file *file, unsigned set,
               const struct stat *st, struct fs_entry *ret);

int fs_access(struct fs *fs, uint64_t ino, int mask); /* R_OK … F_OK */
int fs_access_cached(struct fs *fs, uint64_t ino, int mask);
int fs_readlink(struct fs *fs, uint64_t ino, char **ret); /* the caller frees */
int fs_readlink_cached(struct fs *fs, uint64_t ino, char **ret);

/* mode has the caller's umask applied already. mknod: regular files only, else -EPERM. */
int fs_mkdir(struct fs *fs, uint64_t parent, const char *name, mode_t mode, struct fs_entry *ret);
int fs_mknod(struct fs *fs, uint64_t parent, const char *name, mode_t mode, struct fs_entry *ret);
int fs_symlink(struct fs *fs, const char *target, uint64_t parent, const char *name,
               struct fs_entry *ret);
int fs_link(struct fs *fs, uint64_t ino, uint64_t parent, const char *name, struct fs_entry *ret);
int fs_unlink(struct fs *fs, uint64_t parent, const char *name);
int fs_rmdir(struct fs *fs, uint64_t parent, const char *name);
/* flags: RENAME_NOREPLACE, RENAME_EXCHANGE as in renameat2(2). */
int fs_rename(struct fs *fs, uint64_t parent, const char *name, uint64_t new_parent,
              const char *new_name, unsigned flags);
int fs_statfs(struct fs *fs, struct statvfs *ret);

/* How the kernel may treat an open file. */
struct fs_open_hints {
    bool direct_io; /* not all of it is local: reads must come here, the page cache must not wait */
    bool keep_cache; /* what the kernel has cached of this file is still true */
};
/* flags as in open(2); O_TRUNC is done here, O_CREAT not. _cached: -EAGAIN for anything that must
 * be revalidated, fetched or truncated. */
int fs_open(struct fs *fs, uint64_t ino, int flags, struct fs_file **ret,
            struct fs_open_hints *ret_hints);
int fs_open_cached(struct fs *fs, uint64_t ino, int flags, struct fs_file **ret,
                   struct fs_open_hints *ret_hints);
/* open(O_CREAT) of a name that lookup did not find; -EEXIST with O_EXCL if it is there after all,
 * without O_EXCL it is opened. */
int fs_create(struct fs *fs, uint64_t parent, const char *name, mode_t mode, int flags,
              struct fs_entry *ret, struct fs_file **ret_file, struct fs_open_hints *ret_hints);
/* Bytes read or written, or -errno. Short reads only at the end of the file. */
ssize_t fs_read(struct fs_file *file, uint64_t off, void *p, size_t n);
ssize_t fs_read_cached(struct fs_file *file, uint64_t off, void *p, size_t n);
/* With O_APPEND in the open flags, off is ignored and the end is taken under the lock. */
ssize_t fs_write(struct fs_file *file, uint64_t off, const void *p, size_t n);
ssize_t fs_write_cached(struct fs_file *file, uint64_t off, const void *p, size_t n);
int fs_flush(struct fs_file *file);        /* close(2) of one descriptor: sends what is pending */
int fs_flush_cached(struct fs_file *file); /* -EAGAIN if there is something to send */
int fs_fsync(struct fs_file *file);
int fs_fallocate(struct fs_file *file, int mode, uint64_t off, uint64_t len);
uint64_t fs_file_ino(const struct fs_file *file);
void fs_release(struct fs_file *file); /* never blocks; unsent data is retried in the background */

int fs_opendir(struct fs *fs, uint64_t ino, struct fs_dir **ret);
int fs_opendir_cached(struct fs *fs, uint64_t ino, struct fs_dir **ret);
/*
 * Gives entries from off (0: the first) until fill returns nonzero, "." and ".." first. A call
 * with off 0 after one with another off is rewinddir: it shows the directory as it is now
 * (-EAGAIN from _cached when that needs the network). With plus, an accepted entry other than "."
 * and ".." counts one reference.
 */
typedef int (*fs_fill)(void *arg, const char *name, const struct fs_entry *e, uint64_t next_off);
int fs_readdir(struct fs_dir *dir, uint64_t off, bool plus, fs_fill fill, void *arg);
int fs_readdir_cached(struct fs_dir *dir, uint64_t off, bool plus, fs_fill fill, void *arg);
void fs_releasedir(struct fs_dir *dir);
/* How the kernel may treat an open directory: to be told with the answer to the opening. Only for
 * one that keeps entries as long as it is told. */
struct fs_dir_hints {
    bool cache; /* what this handle reads may be kept for others */
    bool keep;  /* and what others read is still true, with all of the entries' attributes */
};
struct fs_dir_hints fs_dir_hints(const struct fs_dir *dir);

/* ---- what .ctl and the mount ask ---- */

/* The sandbox's path for text as a user writes it: relative to the mount's root, or absolute in the
 * sandbox. A new string; NULL without memory. */
char *fs_sandbox_path(struct fs *fs, const char *text);
/* The reverse: relative to the mount's root ("." for the root) when it is below it. A new string.
 */
char *fs_mount_path(struct fs *fs, const char *path);

/*
 * Sends every pending change (path NULL) or those at and below the sandbox path; what programs
 * stored through shared mappings is one. 0 when all of it
 * is applied; else the first failure (-EIO: something is in conflicts or rejected), and one line
 * for each change or file that is left is appended to left (may be NULL).
 */
int fs_sync(struct fs *fs, const char *path, struct buf *left);

/* The pause after which what could not be sent is tried again is over now. */
void fs_retry(struct fs *fs);

/* Is there something unsent, or open for writing? */
bool fs_busy(struct fs *fs);

/*
 * Fetches what is at and below the sandbox path, as one who reads all of it. -EXDEV: it is not
 * below the mount's root. *ret_failed: how many could not be read; the first one's errno is
 * returned.
 */
int fs_warm(struct fs *fs, const char *path, size_t *ret_failed);

/* Forgets what is known of metadata at and below the sandbox path (NULL: of everything), so that
 * the next access asks. Tells the kernel. Unsent data stays. */
void fs_refresh(struct fs *fs, const char *path);

/*
 * Gives up what is here of the content of files at and below the sandbox path (NULL: of all), on
 * disk and in the kernel; nobody who comes to read it later finds it. Content that somebody has
 * open stays, and so does what is not yet sent: *ret_kept is how many files of those there are, and
 * if there are any the result is -EBUSY. -EXDEV: it is not below the mount's root.
 */
int fs_evict(struct fs *fs, const char *path, size_t *ret_kept);

/* fs_sync of everything: what must be before a command starts. Of what the sandbox refused each
 * change stops one command only. */
int fs_barrier(struct fs *fs, struct buf *left);
/*
 * A look at what a command, that is about to start, will have changed, for the request that tells
 * of its end. NULL where that cannot be asked; the others take it.
 */
struct fs_after *fs_after_new(struct fs *fs);
struct remote_after *fs_after_ask(struct fs_after *a); /* for one request; then a is its owner */
/* It has ended: what it changed is seen by whoever looks after this returns. What was not answered
 * is as after fs_refresh of everything. */
void fs_after_end(struct fs *fs, struct fs_after *a);
struct fs_after *fs_after_free(struct fs_after *a); /* returns NULL; before fs goes */
/* For what fs has no meaning for: jobs. As long as fs lives. */
struct remote *fs_remote(struct fs *fs);

/*
 * A barrier, the command, and fs_refresh: what was written before is there when it starts (else it
 * does not start: the failure of fs_barrier, and left is not empty), what it changed is seen by
 * whoever looks after this returns. cwd NULL: the mount's root. Output as remote_exec.
 */
int fs_exec(struct fs *fs, const char *script, const char *cwd, size_t output_max, struct buf *out,
            int *ret_exit, struct buf *left);

/* lstat without the cache: 1 exists, 0 not, -errno unknown. */
int fs_exists(struct fs *fs, const char *path);

/* remote_list past the cache, for watching; a difference to what was known refreshes it. */
int fs_scan(struct fs *fs, const char *path, unsigned depth, size_t max, struct remote_list *ret);

/* ---- watching: a tree that is kept up to date inside the sandbox ---- */

struct fs_watch;

struct fs_watch_entry {
    const char *name; /* below the watched path; "" is that itself */
    const struct remote_attr *attr;
};

/* What may be different: all that differs is in it, with all that is below a directory that came or
 * went. In no order; lives until the next call. */
struct fs_watch_news {
    const struct fs_watch_entry *before, *after;
    size_t before_count, after_count;
    bool overflow; /* something may have been missed */
    bool cut;      /* there is more than is looked at */
};

/*
 * path: in the sandbox; nothing need be there. max: entries, of what is looked at. Asks nothing.
 * -EOPNOTSUPP: this sandbox must be polled, with fs_scan. One thread at a time uses a watch.
 */
int fs_watch_new(struct fs *fs, const char *path, size_t max, struct fs_watch **ret);
struct fs_watch *fs_watch_free(struct fs_watch *w);
/*
 * The first call looks, and has no news; each further one waits for what happens after the one
 * before, up to wait_ns, and takes one request, or two if directories came. No news may come early.
 * What is told is seen by the next access to the file system, too. After -errno, which may be one
 * of a moment, the next call goes on from where the last was.
 */
int fs_watch_next(struct fs_watch *w, int64_t wait_ns, struct fs_watch_news *ret);

/* "key value" lines: unsent files and bytes, nodes, open files, cache use. */
int fs_status(struct fs *fs, struct buf *out);
const struct remote_info *fs_info(struct fs *fs); /* as long as fs lives */
/* Files; with a journal: changes. */
size_t fs_unsent(struct fs *fs, uint64_t *ret_bytes);

/* ---- what waits in the journal, and what did not succeed: see flush.h. -EOPNOTSUPP without ----
 */

int fs_usage(struct fs *fs, struct flush_usage *ret);
/* flush_queue_text, then flush_parked_text. */
int fs_queue_text(struct fs *fs, size_t max, struct buf *out);
int fs_pause(struct fs *fs);
int fs_resume(struct fs *fs);
/* Paths are those in the sandbox, as they were when the change was made. */
int fs_parked(struct fs *fs, int (*fn)(void *arg, const struct flush_parked *p), void *arg);
ssize_t fs_parked_read(struct fs *fs, const char *path, uint64_t off, void *p, size_t n,
                       uint64_t *ret_size);
int fs_keep(struct fs *fs, const char *path, bool mine); /* mine: waits until it is there */
int fs_discard(struct fs *fs, const char *path);         /* NULL: all */

/*
 * Moves data that could not be sent to files in dir (made, 0700), one line "LOCAL<TAB>SANDBOX" each
 * to kept. For the end of a mount: nothing is silently dropped. With a journal it is in that, and
 * this does nothing.
 */
int fs_keep_unsent(struct fs *fs, const char *dir, struct buf *kept);

/* ---- errors: the last FS_ERRORS_MAX, shown by .ctl/errors ---- */

enum { FS_ERRORS_MAX = 1000 };
/* pid 0: the file system itself. file: what it was about, "" if nothing. */
void fs_report(struct fs *fs, pid_t pid, const char *file, int err, const char *fmt, ...)
    __attribute__((format(printf, 5, 6)));
/* Lines "TIME PID FILE ERRNO: sentence", oldest first; blanks in FILE are escaped. */
int fs_errors_text(struct fs *fs, struct buf *out);

#endif
