/*
 * fs_internal.h - what the files of src/fs share.
 *
 * One lock guards the tree, the nodes and the handles. It is never held across the network, a
 * notification, or work on a blob's data; it is held across nothing that waits but fs_wait, which
 * drops it. Lock order, outermost first:
 *
 *     a bound cancel's own (its hook takes fs.lock), fs.lock, the cache's lock, errors' own lock
 *
 * so cancel_* is never called with fs.lock held.
 *
 * A function that ends in _locked wants fs.lock and keeps it. One that does not, but takes a
 * struct node, also wants it, and may drop and retake it: its caller holds a reference on the node
 * and believes nothing it knew before (each says "may wait").
 */
#ifndef FS_FS_INTERNAL_H
#define FS_FS_INTERNAL_H

#include "fs/fs.h"
#include "util/clock.h"
#include "util/keyedhash.h"
#include "util/lock.h"

#include <fcntl.h>
#include <stdatomic.h>

enum {
    FS_SMALL = 1 << 20,      /* bytes: up to here a file is fetched whole, in open */
    FS_WINDOW = 1 << 20,     /* bytes: the first step of reading a larger one */
    FS_WINDOW_MAX = 4 << 20, /* bytes: the largest, when it is read in order */
    FS_DIR_LARGE = 2000,     /* entries: beyond it, a name is asked for alone */
    FS_LIST_MAX = 500000,    /* entries of one directory */
    FS_STALE_TRIES = 8,      /* a file that changes while it is fetched is begun again so often */
    FS_SCANS = 4,            /* walks over small files that are followed at a time */
    FS_TRIES = 4, /* an answer that a local change overtook is asked for again so often */
};

#define FS_AHEAD_AGE_NS (2 * NS_PER_S)

#define FS_NEVER INT64_MIN /* a time of fetching: nothing is known */

struct ahead;
struct change;
struct errors;
struct fill;
struct flight;
struct node;
struct waiting_name;

/*
 * What only a regular file that was opened has. States of its content:
 *   clean    local is false. blob (may be NULL, may be incomplete) is of the version `version`.
 *   unsent   local is true and the node is not deleted: blob is whole and newer than the sandbox;
 *            size and times here count, not the node's attr. In fs.unsent, without a journal.
 *   private  local is true and the node is deleted: as unsent, but nobody will ever send it.
 * clean -> unsent: a write, truncate, O_TRUNC. unsent -> clean: a put of what `gen` was at its
 * start, if gen still is that. clean, unsent -> private: unlink, or a rename over it.
 * With a journal what is unsent is in it, piece by piece; unsent -> clean: the last of its changes
 * has ended. The blob need not be whole then. What is missing is as it is in `version`, until a
 * change is about a part of a block that is missing (ours.blind): what is missing is fetched, from
 * then on, once all is applied.
 */
struct node_file {
    struct node *node; /* whose it is */
    struct blob *blob; /* counted; NULL: nothing is local */
    bool held;         /* the blob is: while it is open or local */
    bool verified;     /* the version could be told from one changed during the fetch */
    bool ahead;        /* fetched, or being fetched, before anybody opened it */
    struct remote_attr version;
    uint64_t kept_id;   /* blob_id that was left to the mounts that come when it was whole */
    uint64_t opened_id; /* blob_id that the kernel's pages are of; 0: of none */
    uint64_t kept_by;   /* the change that takes its last name, and keeps it readable; 0: none */
    bool kept;          /* and has: `version` can be read there */
    unsigned opens, wopens;
    bool local;
    bool writing; /* one thread at a time changes the blob's data or size */
    uint64_t gen; /* +1 for each change of the content */
    uint64_t size;
    int64_t mtime_ns, ctime_ns;
    int err;                       /* of the last put; 0: none failed */
    uint64_t group;                /* of the handle that wrote last */
    int64_t when_ns;               /* of the last change in the journal: the file's time there */
    bool unsynced;                 /* applied, perhaps not on the sandbox's disk */
    int late_err;                  /* what became of a change after its caller was told 0 */
    unsigned late_gen;             /* +1 for each such */
    struct node_file *prev, *next; /* in fs.unsent */
};

struct node_dir {
    struct fs *fs;
    struct node *node;
    struct node *children; /* as they came; each counts one reference on its parent */
    size_t count;          /* of them */
    bool listed;           /* children are all there were at list_ns */
    bool cut;              /* there are more than we take */
    int64_t list_ns;       /* start of the request; monotonic */
    bool covered;          /* list_ns is true of the children's attributes, too, if not apart */
    int64_t covered_ns;    /* sandbox's clock: what changed before it is known here */
    bool by_stat;          /* too large or not readable: names are asked for one by one */
    uint64_t names_seq;    /* fs.seq at the last local change of a name */
    unsigned waiting;      /* names in it of which a change waits */
    int64_t sent_ns; /* sandbox's clock: up to then its times may have moved by what we sent */
    bool unasked;    /* for its times, since something was sent */
    bool theirs;     /* names came or went that were not ours; its times do not show it yet */
    struct flight *flight; /* a listing that is being fetched; its maker's */
    int64_t fail_ns;       /* start of the last listing that failed */
    int fail;
    uint64_t version;      /* +1 whenever a name comes or goes */
    uint64_t told_version; /* the one that the kernel was told to keep; 0: none */
    int64_t told_list_ns;  /* list_ns when it read that */
    unsigned tellers;      /* open handles that tell it that version */
    unsigned busy;         /* open, or just asked for: its names are not evicted */
    bool picked;           /* for the request that is being put together */
    bool used;             /* lately; in fs.used */
    bool asked;            /* and not since the last request for changes that had it */
    unsigned round;        /* fs.round when it was used last */
    struct node_dir *used_prev, *used_next;
    uint64_t answer; /* the one of fs.answers that its listing was in last */
    bool in_lru;
    struct node_dir *prev, *next; /* in fs.lru while it has children */
};

/* The ways to find a node. */
enum node_chain { CHAIN_ID, CHAIN_NAME, CHAIN_FILE, CHAINS };

/* A million of these fit where a mount may live: what few of them need is in node_dir, node_file.
 */
struct node {
    uint64_t id; /* never changes, never reused */
    struct node *chain[CHAINS];
    struct node **file_at;    /* what points to it in the chain of its file */
    struct node *parent;      /* counted; NULL for the root; kept when detached */
    struct node *prev, *next; /* in parent's children */
    char *name;               /* first_name, or owned */
    uint32_t name_hash;
    unsigned refs;    /* children, handles, operations, unsent content */
    uint64_t nlookup; /* references the kernel holds */
    unsigned changing;
    bool attached : 1; /* in parent's children */
    bool deleted : 1;  /* by a local operation: nothing of it goes to the sandbox */
    bool apart : 1;    /* what is known of it is not what its directory's last answer was about */
    bool times_stale : 1; /* a directory whose mtime and nlink a local change moved */
    bool shown_times : 1; /* shown_mtime_ns and shown_ctime_ns count */
    bool own_link : 1;    /* made through this mount: shown as written */
    bool resized : 1;     /* the kernel may still know another size */
    bool told : 1;        /* that it changed, as soon as what was known became suspect */
    bool leaving : 1;     /* the kernel was asked to forget it, and then it goes */
    bool unsure : 1;      /* a change of its name was lost, and may have been made */
    int64_t suspect_ns;   /* what was known before must not be used, even by handles; monotonic */
    uint64_t mark;        /* of the last listing that had it */
    uint64_t changed_seq; /* fs.seq at the end of the last local change */
    struct remote_attr attr; /* dev, ino, birth: by node_set_attr_locked, node_born_locked */
    int64_t attr_ns;         /* start of the request that attr is from; monotonic */
    /* What our own put changed in the sandbox and nobody here may see change. */
    uint64_t shown_ino; /* 0: attr's */
    int64_t shown_mtime_ns, shown_ctime_ns;
    char *target; /* of a link, as stored in the sandbox */
    struct node_dir *dir;
    struct node_file *file;
    struct ours *ours; /* owned; NULL: no change of it waits */
    char first_name[];
};

/*
 * What of a node is in the journal and not yet in the sandbox. As long as there is any, the node is
 * known best here: what the sandbox says of it is not believed, and not asked for.
 */
struct ours {
    unsigned waiting; /* changes of it that have not ended */
    unsigned beside;  /* changes of other names of the same file, which move what they share */
    unsigned moving;  /* of them: a new name, or rights of a directory, so that its path here is
                         not yet one there */
    unsigned content; /* of them: they change its content */
    uint64_t seq;     /* of the last of it, in the journal; 0: only others wait */
    uint64_t set_seq; /* of the last that waits and sets attributes through another name, which may
                         be gone by now; 0: none */
    uint64_t
        name_seq;     /* of the last that waits and moves another name, or takes it away; 0: none */
    bool unborn;      /* it was made here, and is not there yet */
    bool mtime_set;   /* one of them sets it */
    bool appended;    /* one of them writes to the end, wherever that is by then */
    bool adding;      /* one such has ended; a later one tells what it was added to */
    bool strange;     /* something was added to another version than is known here */
    bool blind;       /* one of them changes content of which not all is here */
    bool spoiled;     /* one of them did not succeed */
    uint64_t born_at; /* the first change that was told together with its creation; 0: none */
    struct remote_attr left; /* by the last that has ended; ino 0: none has */
};

/* All nodes, chained by the hash of what they are found by. */
struct node_index {
    struct node **v; /* 2^bits */
    enum node_chain chain;
    const struct siphash_key *key; /* fs's */
    unsigned bits;
    size_t count;
};

/*
 * A change under way. Two never overlap if they name the same (directory, name), or if one takes a
 * whole tree away that the other works in: so a path stays true for the length of a call, and a
 * file has one put at a time. Slots are taken all at once, never in addition.
 */
struct slot {
    struct node *dir;  /* counted; NULL: the root itself */
    const char *name;  /* the caller's or the node's: stays while the op lives */
    struct node *node; /* counted; NULL: not known to exist */
    bool tree;         /* the name moves or goes, with all that is below */
};

struct op {
    struct slot slot[2];
    unsigned count;
    bool names; /* names appear or go */
    struct op *prev, *next;
};

struct event {
    uint64_t ino; /* of the inode, or of the parent when name is set */
    char *name;
    bool forget; /* nothing changed: memory is short */
};

/* A walk over small files that somebody seems to make. Nodes by id: they may go any time. */
struct scan {
    uint64_t dir;         /* of the last open; 0: no walk */
    uint64_t top;         /* it stays below */
    uint64_t last;        /* the file that was planned last; 0: none */
    int64_t used_ns;      /* monotonic: the last open that fitted */
    unsigned opens;       /* that fitted */
    bool wide;            /* it goes from directory to directory */
    bool ended;           /* nothing is left to plan, as far as it goes */
    unsigned batches;     /* that know it */
    unsigned loading;     /* of them: something is still to come */
    unsigned planning;    /* of them: what they fetch is not chosen yet */
    size_t batch_files;   /* what the last one was allowed */
    size_t planned, used; /* files fetched or on their way, and how many of them were opened */
};

/* An open of a name that has another file by now, while others have the old one open: the kernel
 * looks the name up again, and opens what it finds, once. */
struct refused {
    uint64_t dir;
    uint32_t name_hash;
    int64_t when_ns; /* monotonic */
};

struct looked;
struct negative;
struct beside;
struct taken_ino; /* an inode number shown for a file that has another one by now */

struct fs {
    /* Set by fs_new, never changed. */
    char *root_path, *mount_dir;
    struct fs_config config; /* its strings are not valid: use the copies above */
    struct remote *remote;   /* borrowed */
    struct cache *cache;     /* borrowed */
    struct flush *flush;     /* owned; NULL: there is no journal, every change is made at once */
    uint64_t commands_told;  /* of what flush has parked: see flush_barrier */
    struct remote_info info;
    struct errors *errors; /* has its own lock */
    struct node *root;
    struct siphash_key hash_key;
    _Atomic int64_t window_ns;       /* needs no lock to be read */
    _Atomic int64_t clock_offset_ns; /* sandbox's clock minus ours; the same */
    _Atomic int64_t last_now_ns;     /* what was last taken for the sandbox's time */
    size_t meta_max;                 /* bytes that nodes may take */

    struct lock lock; /* guards what follows, and every node, op and handle */
    pthread_cond_t cond;
    uint64_t wakeups;
    struct node_index by_id;   /* all of them */
    struct node_index by_name; /* those that are attached */
    struct node_index by_file; /* the same, without directories */
    uint64_t next_id;
    size_t meta_bytes; /* about what nodes take */
    size_t trim_bytes; /* before it is that much, or trim_ns, they are not looked through again */
    int64_t trim_ns;   /* monotonic */
    bool serves;       /* trees and changes can be asked for */
    struct node_dir *used; /* the first use longest ago first */
    unsigned round;        /* +1 whenever a pause is over */
    int64_t used_ns;       /* the last use of a node; monotonic */
    int64_t window_set_ns; /* monotonic */
    char *boot;            /* of the last answer; NULL: there was none */
    int64_t boot_ns;       /* sandbox's clock when its host started: moves when that is set */
    int64_t answer_ns;     /* start of the request for the last answer; monotonic */
    int64_t uptime_ns;     /* of the sandbox's host, when that was made */
    int64_t came_ns;       /* when that answer was here; monotonic */
    int64_t burst_ns;      /* start of the last request for changes; monotonic */
    int64_t doubt_ns;      /* when all that was known was last put in doubt; monotonic */
    unsigned misses;       /* such requests in a row that something not in the one before caused */
    struct fill *fill;
    uint64_t answers; /* that told of subtrees */
    int64_t told_ns;  /* when the last of them came; monotonic */
    uint64_t seq;     /* +1 for each local change, begun or ended */
    uint64_t marks;
    struct op *ops;
    struct change *changes;             /* that wait, by their number in the journal */
    struct waiting_name *waiting_names; /* that these make or take away */
    int64_t refused_ns; /* monotonic: when it was last told that the journal took none; 0: never */
    struct looked *looked; /* by name; the last used is last */
    uint64_t groups;       /* handles that may write, so far */
    struct node_dir *lru;  /* oldest listing first */
    struct node_file *unsent;
    size_t unsent_count;
    struct taken_ino *taken_inos;
    struct shown_table *shown;  /* owned: of nodes that are not here */
    struct negative *negatives; /* names the kernel believes to be absent */
    struct event *events;       /* to be told when the lock is dropped */
    bool reported;              /* the same of errors, in the log */
    size_t event_count, event_cap;
    struct refused refused;   /* the last such open */
    struct fs_file *mappable; /* handles through which stores of a mapping may come */
    unsigned files_open, files_written, dirs_open; /* written: those open for writing */
    pthread_t retrier;
    bool retrier_runs, stopping;
    struct cancel *retrier_cancel;
    int64_t retry_ns; /* monotonic: when the retrier tries again */
    int64_t backoff_ns;
    struct beside *besides;          /* not made yet, or being made */
    struct beside_mark *beside_done; /* owned: what was, by this mount and earlier ones */
    size_t beside_done_count;
    bool beside_kept;    /* the next mount knows it, too; never changes */
    struct ahead *ahead; /* owned; what it holds is guarded by the lock, too */
    struct scan scans[FS_SCANS];
    struct remote_statfs space; /* as known at space_ns, when seq was space_seq */
    int64_t space_ns;
    uint64_t space_seq;
    int64_t ahead_age_ns; /* files that changed so lately are not fetched in bulk */
};

#define NOT_GROWN UINT64_MAX

struct fs_file {
    struct fs *fs;
    struct node *node; /* counted */
    int flags;
    uint64_t group;         /* of what is written through it, for the journal */
    bool wrote;             /* something, since it was opened or closed in part */
    int64_t opened_ns;      /* monotonic */
    uint64_t grown;         /* what it wrote to an empty file, only ever at the end; NOT_GROWN */
    int64_t look_ns;        /* its program's last look before; FS_NEVER: none that counts */
    bool backup;            /* what is read is not what its program goes by: see looks.c */
    unsigned late_open;     /* failures that were before it */
    unsigned late_seen;     /* and those that its caller was told of */
    uint64_t next_off;      /* where a reader in order goes on */
    uint64_t run;           /* bytes that it has read in order */
    uint64_t ahead_off;     /* up to here all was asked for */
    struct window *windows; /* that are to be fetched, or are being fetched, before it asks */
    struct fs_file *prev, *next; /* in fs.mappable */
};

static inline bool flags_write(int flags)
{
    return (flags & O_ACCMODE) != O_RDONLY;
}

/* ---- fs.c: the lock ---- */

void fs_lock(struct fs *fs);
void fs_unlock(struct fs *fs); /* tells what there is to tell */
/* Until somebody calls fs_wake: then test again. Drops the lock. -EINTR when the cancel fires. */
int fs_wait(struct fs *fs);
void fs_wake(struct fs *fs);
void fs_tell_inode_locked(struct fs *fs, const struct node *n);
void fs_tell_entry_locked(struct fs *fs, const struct node *dir, const char *name);
void fs_tell_forget_locked(struct fs *fs, const struct node *n); /* attached, not the root */
/* How old, at worst, what an operation that starts now may use: a monotonic time. */
int64_t fs_since(const struct fs *fs);
int64_t fs_window_ns(const struct fs *fs); /* coherence_ns, or more */
/* So many entries were looked at from then on. */
void fs_looked_locked(struct fs *fs, int64_t start_ns, size_t entries);
int64_t fs_sandbox_now(struct fs *fs); /* the sandbox's clock; needs no lock */
/* It showed theirs_ns after asked_ns, monotonic, and before now. */
void fs_clock_locked(struct fs *fs, int64_t theirs_ns, int64_t asked_ns);

/* ---- index.c ---- */

int index_init(struct node_index *x, enum node_chain chain, const struct siphash_key *key);
void index_done(struct node_index *x);
void index_add(struct node_index *x, struct node *n);
void index_remove(struct node_index *x, struct node *n);
struct node *index_find_id(const struct node_index *x, uint64_t id);
uint32_t index_hash_name(const struct fs *fs, const struct node *dir, const char *name);
struct node *index_find_name(const struct node_index *x, uint32_t hash, const struct node *dir,
                             const char *name);
bool index_same_file(const struct node *a, const struct node *b);
/* The other names of n's file, one after the other; before NULL: the first. */
struct node *index_find_file(const struct node_index *x, const struct node *n,
                             const struct node *before);
/* All of them, in no order, as long as none comes or goes. n NULL: the first. */
struct node *index_next(const struct node_index *x, const struct node *n);

/* ---- node.c ---- */

/* A node below dir (NULL: the root). Attached, no references. NULL without memory. */
struct node *node_new_locked(struct fs *fs, struct node *dir, const char *name,
                             const struct remote_attr *attr);
struct node *node_find_locked(struct fs *fs, uint64_t ino); /* counted; NULL */
struct node *node_ref_locked(struct node *n);
struct node *node_unref_locked(struct fs *fs, struct node *n); /* may free; returns NULL */
struct node *node_child_locked(const struct node *dir, const char *name);
void node_detach_locked(struct fs *fs, struct node *n);
int node_move_locked(struct fs *fs, struct node *n, struct node *dir, const char *name);
void node_attach_again_locked(struct node *n); /* detached; no other has its name */
bool node_gone_locked(const struct node *n);   /* it or something above it is detached */
bool node_is_below_locked(const struct node *n, const struct node *top); /* or top itself */
int node_path_locked(struct fs *fs, const struct node *n, char **ret);
int node_path_in_locked(struct fs *fs, const struct node *dir, const char *name, char **ret);
struct node_file *node_file_locked(struct node *n); /* made when missing; NULL without memory */
/* Where they do not say the device, it is the one before: of a new one, its directory's. The same
 * of a birth, of the same number. */
void node_set_attr_locked(struct node *n, const struct remote_attr *attr);
/* It is there now, as that object, and with it all names of the same file. */
void node_born_locked(struct fs *fs, struct node *n, const struct remote_attr *now);
void node_set_target_locked(struct node *n, char *target); /* of a link, as stored; takes it */
bool node_local(const struct node *n); /* has content that the sandbox has not */
bool node_unsent(const struct node *n);
uint64_t node_size(const struct node *n);
void node_show_ino_locked(struct fs *fs, struct node *n, uint64_t ino);
void node_free_all_locked(struct fs *fs);

/* ---- known.c ---- */

/* When what is known of it was true, at the latest: start of a request; monotonic. */
int64_t node_known_ns(const struct node *n);
/* attr is from a request that started then. */
void node_known_locked(struct node *n, int64_t start_ns);
bool node_suspect(const struct node *n);
void node_stale_locked(struct node *n); /* what is known is wrong */
/* It may have another name there: what is known is not shown, nor stood on, before the sandbox has
 * said so, not even while that is out of reach. */
void node_unsure_locked(struct node *n);
void node_doubt_locked(struct node *n); /* what is known may be wrong; a look at changes tells */
/* All other names of the same inode: their attributes moved. */
void node_stale_links_locked(struct fs *fs, const struct node *n);

/* ---- trim.c ---- */

/* Keeps to meta_max: forgets what nobody refers to, of the directories that were listed first, and
 * asks the kernel to let go of more. */
void node_trim_locked(struct fs *fs);
/* The kernel let go of it, which is attached: now it goes, if that is still wanted. */
void node_leave_locked(struct fs *fs, struct node *n);

/* ---- remember.c: see shown.h ---- */

void remember_node_locked(struct fs *fs, const struct node *n); /* it goes, or may go */
void remember_recall_locked(struct fs *fs, struct node *n);     /* its attributes are known now */
/* Is that, which is about to be known as its target, where the link that was made here led to? */
bool remember_own_link_locked(const struct fs *fs, const struct node *n, const char *target);
void remember_load(struct fs *fs); /* of the mounts before */
void remember_save(struct fs *fs); /* without the lock */

/* ---- show.c ---- */

void show_stat_locked(struct fs *fs, const struct node *n, struct stat *ret);
void show_entry_locked(struct fs *fs, const struct node *n, struct fs_entry *ret);
/* The same for an answer to the kernel: from now on it knows the size. */
void show_told_locked(struct fs *fs, struct node *n, struct fs_entry *ret);
int show_target_locked(struct fs *fs, const struct node *n, char **ret);
uint64_t show_own_ino(const struct node *n); /* for one without a number in the sandbox */
uint32_t show_uid_back(const struct fs *fs, uint32_t uid); /* the sandbox's id for a local one */
uint32_t show_gid_back(const struct fs *fs, uint32_t gid);

/* ---- perm.c ---- */

enum { PERM_R = 4, PERM_W = 2, PERM_X = 1 };
int perm_check(const struct fs *fs, const struct remote_attr *attr, int mask); /* -EACCES */
bool perm_owner(const struct fs *fs, const struct remote_attr *attr);
/* As perm_check on n, but a refusal from old knowledge is asked about. May wait. */
int perm_node(struct fs *fs, struct node *n, int mask, int64_t since);
/* May the name of victim (NULL: a new one) in dir change? W, X and the sticky bit. May wait. */
int perm_names(struct fs *fs, struct node *dir, const struct node *victim, int64_t since);
/* Does the kernel let the user make links to it, however careful it is with those? */
bool perm_link(const struct fs *fs, const struct remote_attr *attr);

/* ---- space.c ---- */

/* What an answer about the root's tree says of space. */
void space_told_locked(struct fs *fs, const struct remote_tree *t, const struct flight *f);

/* ---- tree.c ---- */

bool tree_fresh_locked(const struct node *n, int64_t since);
bool tree_listed_locked(const struct node *dir, int64_t since); /* all of its names are known */
/* 0 with the node (not counted) or NULL for a name that is not there, *ret_ns when that was known;
 * -EAGAIN: it has to be asked for. */
int tree_peek_locked(struct fs *fs, struct node *dir, const char *name, int64_t since,
                     struct node **ret, int64_t *ret_ns);
/* The same, asking; ret is counted. May wait. */
int tree_lookup(struct fs *fs, struct node *dir, const char *name, int64_t since, struct node **ret,
                int64_t *ret_ns);
/* -ESTALE if it is not there any more and not open. times: mtime and nlink matter. May wait. */
int tree_refresh(struct fs *fs, struct node *n, int64_t since, bool times);
int tree_list(struct fs *fs, struct node *dir, int64_t since); /* all of its names. May wait. */
/* What a local change of n, other than of its content, gave back: no news to us. */
void tree_own_attr_locked(struct fs *fs, struct node *n, const struct remote_attr *attr,
                          int64_t start_ns, bool mtime_set);
/* The directory's names, or what is known of them, moved in a way we do not know. */
void tree_dir_stale_locked(struct node *dir);
void tree_dir_unsure_locked(struct node *dir); /* and there may be names that are not known */
void tree_list_failed_locked(struct fs *fs, struct flight *f, struct node *dir, int err);

/* ---- burst.c: what is known is brought up to date in one request ---- */

/* dir, and all else that was used lately. dir is listed and covered, and has no flight. May wait.
 */
int burst_ask(struct fs *fs, struct node *dir);
/* An answer's view of the sandbox's clock; it was asked for at start_ns. True: it is another than
 * before, and all times with it. */
bool burst_clock_locked(struct fs *fs, const struct remote_tree *t, int64_t start_ns);
/* A directory of an answer is now the state of dir's content. */
void burst_covered_locked(struct node *dir, const struct flight *f, int64_t now_ns);

/* ---- subtree.c: what is not known is fetched, with what is below it ---- */

int subtree_ask(struct fs *fs, struct node *dir); /* dir has no flight. May wait. */
struct fill *subtree_fill_new(struct fs *fs);
struct fill *subtree_fill_free(struct fill *fill); /* joins its thread; without the lock */

/* ---- flight.c: answers from the sandbox meet the tree ---- */

struct flight {
    int64_t start_ns;
    uint64_t seq;   /* fs.seq at its start */
    char **touched; /* names that a local change ended on meanwhile */
    size_t count, cap;
    size_t sorted; /* so many of them are in order */
    bool lost;     /* no memory to remember one: no name of it is to be believed */
    bool skipped;  /* something in the answer was not believed */
};

void flight_start_locked(struct fs *fs, struct flight *f);
void flight_done(struct flight *f);
void flight_touch_locked(struct flight *f, const char *name);
void flight_vanish_locked(struct fs *fs, struct node *n); /* the sandbox has it no more */
/* Return false if a local change makes (part of) the answer worthless. */
bool flight_apply_list_locked(struct fs *fs, struct flight *f, struct node *dir,
                              const struct remote_list *list);
/* The same of entries that are not all. */
void flight_apply_some_locked(struct fs *fs, struct flight *f, struct node *dir,
                              const struct remote_entry *v, size_t count);
/* Of a directory whose flight it is not nobody remembers which names changed meanwhile: none did.
 */
bool flight_names_moved_locked(const struct fs *fs, const struct flight *f, const struct node *dir);
/* False: another directory is there by now; and that is known from here on. */
bool flight_same_dir_locked(struct fs *fs, struct flight *f, struct node *dir,
                            const struct remote_attr *self);
/* A local change, or fs_refresh, at or above the node: its path, or all of it, may be another. */
bool flight_overtaken_locked(const struct flight *f, const struct node *n);
bool flight_apply_stat_locked(struct fs *fs, struct flight *f, struct node *n, int err,
                              const struct remote_attr *attr, const char *target);
bool flight_apply_name_locked(struct fs *fs, struct flight *f, struct node *dir, const char *name,
                              int err, const struct remote_attr *attr, const char *target);

/* ---- op.c ---- */

/* Each waits its turn, looking the nodes up again after each wait; -EINTR. */
int op_begin_node(struct fs *fs, struct op *op, struct node *n);
int op_begin_name(struct fs *fs, struct op *op, struct node *dir, const char *name, bool tree);
int op_begin_rename(struct fs *fs, struct op *op, struct node *dir, const char *name,
                    struct node *new_dir, const char *new_name);
int op_begin_link(struct fs *fs, struct op *op, struct node *n, struct node *dir, const char *name);
/* For who begins none: until n's path is one that stays, and is known. -EINTR, or why it is not. */
int op_await_path(struct fs *fs, struct node *n);
void op_end_locked(struct fs *fs, struct op *op);
bool op_touches_locked(const struct fs *fs, const struct node *dir, const char *name);
bool op_unknown(int err); /* may have happened all the same */
bool op_lost(int err);    /* the same, and a look at the sandbox may tell */
bool op_maybe(int err);   /* the same, and it has been sent */

/* ---- change*.c: what waits in the journal ---- */

/* What a change is about. */
struct change_about {
    struct node *node;           /* what it makes, moves, removes or changes */
    struct node *from;           /* link: the name that is there already */
    struct node *dir, *new_dir;  /* NULL: no name comes or goes */
    const char *name, *new_name; /* in them */
    struct node *target;         /* rename: what is replaced; NULL: nothing */
    bool keep;                   /* what loses its name is read on here: see keep.c */
    const struct fs_file *file;  /* what is written to; NULL: the node was named */
};

/* Names and attributes are changed in the journal, and not in the sandbox at once. */
static inline bool change_names_wait(const struct fs *fs)
{
    return fs->flush && fs->config.durability != FS_DURABILITY_SYNC;
}
/* Before fs.lock is taken, and so many bytes are written: waits while the journal is too full.
 * -EINTR. */
int change_room(struct fs *fs, uint64_t bytes);
/* What a call that gives or takes names begins with: room, fs.lock, and the nodes it is told. */
struct change_call {
    struct node *node, *other; /* counted; other NULL: it is told one */
};
/* -EINTR, -ESTALE: it has not begun. other may be NULL. */
int change_enter(struct fs *fs, struct change_call *ret, uint64_t ino, const uint64_t *other);
void change_leave(struct fs *fs, const struct change_call *c); /* fs.lock, too */
/* Into the journal. The tree is changed by the caller, who still has the lock. Fills in when, whom
 * and where; the rest of rec is the caller's. */
int change_append_locked(struct fs *fs, struct journal_record *rec, const struct change_about *a);
/* Names came or went: what the directory shows is moved as it will be there. links: of nlink. */
void change_dir_locked(struct fs *fs, struct node *dir, int links);
void change_shown_locked(struct node *n, int64_t mtime_ns, int64_t ctime_ns);
struct journal_identity change_identity_of(const struct remote_attr *a);
bool change_names_locked(const struct fs *fs, const struct node *dir, const char *name);
/* Its path here is not the one there. */
bool change_moving_locked(const struct node *n);
/* What of its content is not here cannot be asked for yet. */
bool change_hidden_locked(const struct node *n);
/* What a listing of dir says is known best here, for ever. */
bool change_unborn_locked(const struct node *dir);
/* Waits until n, as far as it can be asked for at its path, is there. May wait. */
int change_settle_path(struct fs *fs, struct node *n);
/* Waits until no change of n, or of what is below it, waits, and its path is there. May wait. */
int change_settle(struct fs *fs, struct node *n);
/* The same for one change. May wait. */
int change_settle_one(struct fs *fs, uint64_t seq);
/* The same for a name, whatever it is of. May wait. */
int change_settle_name(struct fs *fs, struct node *dir, const char *name);
/* Nothing of both waits. */
bool change_settled_locked(const struct fs *fs, const struct node *n, const struct node *dir,
                           const char *name);
/* The same for the last change of n so far; 0 if there is none. May wait. */
int change_wait(struct fs *fs, struct node *n, bool fsync);
/* Other names of n must show the content that was changed: waits, if there are any. May wait. */
int change_links(struct fs *fs, struct node *n);
int change_late_locked(struct fs_file *file); /* a failure that its caller was not told of yet */
/* A failure since it was opened: what is written on would stand on what is not there. */
int change_lost_locked(const struct fs_file *file);
void change_own(struct fs *fs); /* from now on flush tells us */
void change_free_all_locked(struct fs *fs);

/* ---- looks.c ---- */

/* The caller (see fs_caller) asked for n's attributes, and was told; with a file that is the
 * kernel, as it reads from it. Or it has opened it in a call that began then. */
void look_at_locked(struct fs *fs, const struct node *n, const struct fs_file *file, bool told);
void look_opened_locked(struct fs_file *file, int64_t start_ns);
/* n's version, as it is known so far, is not the sandbox's any more, and that was not our doing. */
void look_news_locked(struct fs *fs, const struct node *n);
/* Such a change of n is done: what has its name is ours now. */
void look_settled_locked(struct fs *fs, const struct node *n, enum journal_kind kind);
bool look_must_ask_locked(const struct fs *fs, const struct node *n); /* here, each time */
/* When the caller's program last looked at n; FS_NEVER: not lately. */
int64_t look_last_locked(const struct fs *fs, const struct node *n);
/* The name that a change is about: of what it moves, takes away, writes to, or takes the place of;
 * and which version of it it stands on. */
struct look_at {
    uint64_t dir, name;
};
struct look_stand {
    struct look_at at;
    struct journal_identity base; /* ino 0: none that was known when it was made */
    pid_t tid;                    /* whose it is */
};
/* It is about to be journaled: what its maker has missed is not what it stands on. */
void look_stand_on_locked(const struct fs *fs, struct journal_record *rec,
                          const struct change_about *a, struct look_stand *ret);
/* It is in conflict, as what is there now is another version; path: in the journal. */
void look_refused_locked(struct fs *fs, const struct look_stand *s, const char *path);
void looks_forget_locked(struct fs *fs);

/* ---- negative.c ---- */

/* The kernel is about to be told that the name is not there, until then. False: do not tell it. */
bool negative_add_locked(struct fs *fs, struct node *dir, const char *name, int64_t until_ns);
void negative_wrong_locked(struct fs *fs, struct node *dir, const char *name); /* tells it */
void negative_drop_locked(struct fs *fs, const struct node *top); /* tells it, of all below */
void negative_free_all_locked(struct fs *fs);

/* ---- names.c, remove.c ---- */

/* Of a name in dir, in an op. -ENOENT: dir is not there any more. */
int names_path_locked(struct fs *fs, const struct node *dir, const char *name, char **ret);
/* ret is counted. Without excl a file that is there is a success, too. May wait. */
int names_create(struct fs *fs, struct node *dir, const char *name, mode_t mode, bool excl,
                 struct node **ret, bool *ret_created);
/* A name that a local operation took away; waits: in the sandbox that is still to come. */
void names_deleted_locked(struct fs *fs, struct node *n, bool waits);

/* ---- links.c: the names of one file ---- */

/* The other names of n's file that are known here, one after the other; before NULL: the first. */
struct node *links_next_locked(const struct fs *fs, const struct node *n,
                               const struct node *before);
/* The first of them that is; NULL: none. */
struct node *links_find_locked(const struct fs *fs, const struct node *n,
                               bool (*is)(const struct node *other));
/* What is known of the other names is brought up to date, as far as that goes. -EINTR. May wait. */
int links_refresh(struct fs *fs, struct node *n, int64_t since);
/* What a waiting change moves of them can be shown at once: each shows what is there, or waits for
 * the same. */
bool links_quiet_locked(const struct fs *fs, const struct node *n, int64_t since);
/* There are so many that changes of them must not wait together. */
bool links_many_locked(const struct fs *fs, const struct node *n);
/* Another name of n through which was written what waits; NULL: none. */
const struct node *links_waiting_locked(const struct fs *fs, const struct node *n);
/* The name through which n's content was changed last here, if that waits; else n. */
const struct node *links_writer_locked(const struct fs *fs, const struct node *n);
/* What waits of another name's content is not in n's: until it is sent, nothing is read of n. */
bool links_hidden_locked(const struct fs *fs, const struct node *n);
/* n can be written to as it is known here: no other name's content waits. Else links_ready. */
bool links_turn_locked(const struct fs *fs, const struct node *n);
/* Nothing of n, or of its other names, waits any more. May wait. */
int links_settle(struct fs *fs, struct node *n);
/* The same, and n is known as that left it. */
int links_ready(struct fs *fs, struct node *n);
/* What was written to n is there: the other names are not what was known of them. */
void links_written_locked(struct fs *fs, const struct node *n);
/* All of n's content, as it is in the journal, can be shown under another name. */
bool links_may_share_locked(const struct fs *fs, struct node *n);
int links_share_locked(struct node *n, struct node *to);
/* What is written to n goes into a blob of its own. */
void links_unshare_locked(struct fs *fs, struct node *n);
/* The other names show a change now that waits: names came or went, in number. */
void links_moved_locked(struct fs *fs, const struct node *n, int names);

/* ---- data.c: content, read ---- */

/* The blob is of the node's present version, or is let go. */
void data_check_locked(struct fs *fs, struct node *n);
void data_drop_locked(struct fs *fs, struct node *n);
void data_set_blob_locked(struct node_file *nf, struct blob *b); /* takes the reference */
void data_rehold_locked(struct node_file *nf);
bool data_whole_locked(struct node *n);
/* Between these two the content stays. n->file must be there. */
void data_open_locked(struct node *n);
void data_close_locked(struct node *n);
/* Inside them. A blob of the present version. */
int data_blob_locked(struct fs *fs, struct node *n);
/* All of it. May wait. -ESTALE: the version is gone. */
int data_fetch_all(struct fs *fs, struct node *n);
/* One window from off on; *stale counts down the versions that moved away under it. May wait. */
int data_fetch(struct fs *fs, struct node *n, uint64_t off, uint64_t window, unsigned *stale);
/*
 * All of a small file as it is now, whatever version that is, in one request. If another file has
 * the name by now, n, which must be open only to be read, or just be opened, shows that one from
 * here on: who opened it looked the name up a moment ago. May wait. -EAGAIN: it has to be fetched
 * by version. -ESTALE: there is no such file any more.
 */
int data_fetch_now(struct fs *fs, struct node *n, bool opening);
/* It may be changing just now: a version that was asked for may be gone when it is fetched. */
bool data_young_locked(struct fs *fs, const struct node *n);
/* What blob_take gave of n->file->blob; settles it. May wait. */
int data_fetch_range(struct fs *fs, struct node *n, uint64_t off, uint64_t bytes);
/* Uses what an earlier mount left of this version, if that is whole or n has nothing yet. May wait,
 * for the disk. */
void data_recall(struct fs *fs, struct node *n);
/* Leaves what is here to the mounts that come. */
void data_keep_locked(struct fs *fs, struct node *n);
struct cache_key data_key_of(const struct remote_attr *version);
bool data_kept_locked(const struct fs *fs, const struct node *n); /* perhaps */

/* ---- keep.c: what is open, and loses its last name ---- */

/*
 * Before the name goes: what is open must stay readable. waits: the change that takes the name will
 * wait, and may keep the file in the sandbox (*ret_keep); else all of it is fetched. Only -EINTR
 * stops it. May wait.
 */
int keep_for_handles(struct fs *fs, struct node *n, bool waits, bool *ret_keep);
void keep_begun_locked(struct node *n, uint64_t seq);
/* The change has ended; other: what it says is kept, NULL: nothing. */
void keep_ended_locked(struct fs *fs, struct node *n, uint64_t seq,
                       const struct remote_attr *other);
void keep_drop_locked(struct fs *fs, struct node *n); /* nobody reads it there any more */
/* n's content can be asked for now, though it has no name. May wait. -ESTALE: it cannot. */
int keep_settle(struct fs *fs, struct node *n);
int keep_path_locked(struct fs *fs, const struct node *n, char **ret);

/* ---- follow.c: a name that is another file's by now ---- */

/* n, which another one replaced, is that from here on, as the tree knows it. opening: the one
 * handle that n has may be there. False: that cannot be. */
bool follow_known_locked(struct fs *fs, struct node *n, bool opening);
/* The same, asking what has the name now. May wait. */
bool follow_name(struct fs *fs, struct node *n);
/* What has n's name now, counted, for a handle that is opened through n. NULL: that must be looked
 * up first. May wait. */
struct node *follow_other(struct fs *fs, struct node *n);

/* ---- ahead.c: threads that fetch what nobody has asked for yet ---- */

/* Work for one of them. run is called with the lock and may drop it; it frees the job, and with
 * drop does nothing else. */
struct job {
    void (*run)(struct fs *fs, struct job *job, bool drop);
    struct job *prev, *next;
};

int ahead_new(struct fs *fs);
void ahead_stop(struct fs *fs); /* joins the threads and drops what is queued; without the lock */
void ahead_free(struct fs *fs);
/* False: every thread is busy, and waiting_max jobs wait already. */
bool ahead_queue_locked(struct fs *fs, struct job *job, unsigned waiting_max);
bool ahead_unqueue_locked(struct fs *fs, struct job *job); /* false: it runs, or has run */

/* ---- scan.c: small files, before they are opened ---- */

/* n is being opened to be read: its content comes with that of those after it, if a walk shows.
 * May wait (not for the network), unless n->file->ahead. */
void scan_open(struct fs *fs, struct node *n);

/* ---- window.c: large files, before they are read ---- */

/* Bytes to be fetched for a read of len at off, of which those from missing on are not here. */
uint64_t window_of_locked(struct fs_file *file, uint64_t off, uint64_t len, uint64_t missing);
/* The reader has got len bytes at off. */
void window_read_locked(struct fs_file *file, uint64_t off, uint64_t len);
void window_close_locked(struct fs_file *file);

/* ---- write.c: content, changed ---- */

/* Each change goes to the journal: what is not here need not come for it. */
bool write_in_parts(const struct fs *fs, const struct node *n);
/* Our turn, and all of it local, unless in parts; write_end_locked gives it back. May wait.
 * -ESTALE: replaced. */
int write_begin(struct fs *fs, struct node *n, uint64_t off, uint64_t bytes);
/* What blob_write or blob_resize said of what is in the journal. */
void write_hidden_locked(struct fs *fs, struct node *n, int r);
void write_end_locked(struct fs *fs, struct node *n);
/* Around a change of n's content, n opened: with durability=sync it is in the sandbox when it ends.
 * file (may be NULL): whose it is. r: how it went so far. shown: other names must show it in any
 * case; without a journal it is sent for that. May wait. */
struct writing {
    struct op op;
    unsigned late_gen;
};
int write_enter(struct fs *fs, struct node *n, struct writing *w);
ssize_t write_leave(struct fs *fs, struct node *n, struct fs_file *file, struct writing *w,
                    ssize_t r, bool shown);
/* n is opened; file: as which, NULL: it was named. May wait. */
int write_truncate(struct fs *fs, struct node *n, uint64_t size, const struct fs_file *file);
/* Into the journal, if there is one. In our turn. */
int write_journal_locked(struct fs *fs, struct node *n, struct journal_record *rec,
                         const struct fs_file *file);
/* The content changes: from now on the node's own size and times count. */
void write_mark_locked(struct fs *fs, struct node *n);
void write_sent_locked(struct fs *fs, struct node *n);    /* it is in the sandbox now */
void write_deleted_locked(struct fs *fs, struct node *n); /* nobody will ever send it */

/* ---- send.c ---- */

int send_node(struct fs *fs, struct node *n); /* all that is unsent now. May wait. */
void send_retry_later_locked(struct fs *fs);  /* by the retrier */
void send_stop(struct fs *fs);                /* joins the retrier; without the lock */

/* ---- unsent.c ---- */

/* All that is unsent at and below top (NULL: anywhere); what stays is told in left, if there is
 * one. The first error. May wait. */
int unsent_send(struct fs *fs, const char *top, struct buf *left);

/* ---- control.c ---- */

struct node *node_at_locked(struct fs *fs, const char *path); /* not counted; NULL: not known */
/* What is known of top, and of what is below it, from before ns is asked for again, and the kernel
 * asks us. */
void doubt_since_locked(struct fs *fs, struct node *top, int64_t ns);
/* Somebody will look right after: by then the kernel has heard of it. Without the lock. */
void fs_drain_notify(struct fs *fs);

/* ---- find.c ---- */

/* What is at the sandbox path, looked up as the kernel does; find_done gives it back. -EXDEV: it is
 * not below the mount's root. Without the lock. May wait. */
int find_path(struct fs *fs, const char *path, struct fs_entry *ret);
void find_done(struct fs *fs, uint64_t ino);

/* ---- beside.c: our version of a file in conflict, next to it ---- */

/* What was written to path is in conflict, and parked or about to be. n (NULL: of an earlier mount)
 * says what it looked like, and has it whole, perhaps. */
void beside_add_locked(struct fs *fs, const char *path, const struct node *n);
/* What was added before is done with. Without the lock. -EINTR. */
int beside_settle(struct fs *fs);

/* ---- beside_done.c: which of them there are already ---- */

struct beside_mark {
    uint64_t seq;
    int64_t when_ns;
};
bool beside_is_done_locked(const struct fs *fs, const struct beside_mark *m);
/* It is, or cannot be done; and the next mount knows it. Without the lock; uses the disk. */
void beside_done(struct fs *fs, const struct beside_mark *v, size_t count);
void beside_begin(struct fs *fs); /* adds what an earlier mount left, or this one found */

/* ---- learn.c ---- */

/* Directories below the sandbox's root, as they are: what differs is asked for at the next access,
 * and the kernel has heard of it. Without the lock. */
void learn_tree(struct fs *fs, const char *root, const struct remote_tree *t);

/* ---- errors.c ---- */

struct errors *errors_new(void);
struct errors *errors_free(struct errors *e);
void errors_say(struct errors *e); /* in the log, which may take its time: without a lock */
/* As fs_report: the log has it once the lock is dropped. */
void fs_report_locked(struct fs *fs, const char *file, int err, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

#endif
