/* rig.h - fs over remote_mem with a fault switch, and short ways to use both. Tests only. */
#ifndef TESTS_RIG_H
#define TESTS_RIG_H

#include "unit.h"

#include "fs/fs.h"
#include "journal/journal.h"
#include "remote/backends.h"
#include "tally.h"
#include "util/lock.h"

enum { RIG_EVENTS = 256 };

struct rig {
    char dir[64];
    struct remote *remote; /* what fs uses: faults apply */
    struct remote_fault *fault;
    struct remote *inside; /* the same past faults and tally: what happens in the sandbox */
    struct tally *tally;
    struct cache *cache;
    char journal_dir[64];
    struct journal *journal; /* NULL: none */
    struct fs *fs;
    struct fs_config fs_config;
    uint64_t cache_bytes;
    struct journal_limits limits;
    const struct journal_sys *sys;
    bool keep;
    struct lock lock; /* guards what follows while other threads use fs */
    unsigned inode_events, entry_events, forget_events;
    char last_entry[256];
};

struct rig_config {
    bool changes;         /* the sandbox tells of changes, as with the helper; else plain mode */
    uint32_t uid;         /* of the sandbox's user; 0 is privileged */
    int64_t coherence_ns; /* 0: one second; < 0: none */
    uint64_t cache_bytes; /* 0: 64 MiB */
    struct fs_config fs;  /* what is zero is filled in */
    struct remote *under; /* NULL: remote_mem_new(uid, uid) */
    bool journal;         /* changes wait in one; implies that the sandbox tells of changes */
    struct journal_limits limits;  /* of that */
    const struct journal_sys *sys; /* its disk; NULL: the real one */
    bool keep;                     /* the cache outlives rig_restart */
};

/* As if every rig_up said so: for tests that are true both ways. */
extern bool rig_with_journal;

void rig_up(struct rig *g, const struct rig_config *config);
void rig_down(struct rig *g);
/* What a mount does after kill -9: no handle is left, what was in the journal is sent first. */
void rig_restart(struct rig *g);

/* Straight into the sandbox, past fs, once all that waits is there; they fail the test themselves.
 */
void rig_settle(struct rig *g); /* nothing waits any more, if the line is up */
void rig_put(struct rig *g, const char *path, const void *data, size_t len);
void rig_mkdir(struct rig *g, const char *path);
/* Up to max bytes of the file; -errno. */
long rig_get(struct rig *g, const char *path, void *data, size_t max);
void rig_expect(struct rig *g, const char *path, const char *text); /* NULL: no such file */

/* Through fs. The ino of a path, with one reference that rig_drop gives back; 0 or -errno. */
int rig_find(struct rig *g, const char *path, struct fs_entry *ret);
void rig_drop(struct rig *g, const struct fs_entry *e);
int rig_open(struct rig *g, const char *path, int flags, struct fs_file **ret);
int rig_create(struct rig *g, const char *path, int flags, struct fs_file **ret);
int rig_write(struct rig *g, const char *path, const char *text); /* create, write, close */
int rig_read(struct rig *g, const char *path, char *text, size_t size);
int rig_close(struct fs_file *f); /* flush and release */
int rig_mkdir_fs(struct rig *g, const char *path);
int rig_unlink(struct rig *g, const char *path);
int rig_rmdir(struct rig *g, const char *path);
int rig_rename(struct rig *g, const char *from, const char *to, unsigned flags);
int rig_names(struct rig *g, const char *path, char *ret, size_t size); /* "a b c ", sorted */

/* Fails unless all that fs shows below path is what the sandbox has. Faults must be off. */
void rig_same_tree(struct rig *g, const char *path);

#endif
