/*
 * apply.h - the changes of a batch, made once.
 *
 * Of each client there is a folder clients/CLIENT beside the helper:
 *
 *   lock     held by whoever works for this client
 *   record   what became of the changes of its last batch so far; see apply_record.c
 *   batch    the request of that batch, as long as it is not finished
 *   t-INDEX  what change INDEX is making, or has taken away and not yet looked at
 *   k-KEY    what lost its last name and is open at the client's; see apply_keep.c
 *   spare    bytes to be freed when the disk is full, so that files can still be deleted
 *
 * A change that goes through more than one step writes down before it what it is about to do: an
 * intent. Whoever continues after it was killed decides by that intent what has been done already.
 */
#ifndef HELPER_APPLY_H
#define HELPER_APPLY_H

#include "helper/emit.h"
#include "proto/batch.h"
#include "util/pathset.h"

#include <dirent.h>
#include <sys/stat.h>

/* raw: all frames of the question, the first of which is PROTO_BATCH or PROTO_BATCH_FILE. */
int verb_apply(struct emit *e, struct buf *raw, bool *ret_more);

/* Where the test build is killed, and what it counts as long. Nothing in the real one. */
#ifdef HELPER_STEPS
void apply_step(void);
int64_t apply_limit_ns(void);
#else
static inline void apply_step(void)
{
}
static inline int64_t apply_limit_ns(void)
{
    return INT64_C(10) * 1000 * 1000 * 1000;
}
#endif

/* ---- apply_record.c ---- */

enum intent_stage {                    /* on disk: append, never renumber */
                    INTENT_BUILD = 1,  /* the new file has been written up to off; no more was done.
                                          old_ino: what had a second name that is gone */
                    INTENT_PLACE = 2,  /* the new file, ino, takes the name; what has it is old_ino,
                                          0: nothing */
                    INTENT_WRITE = 3,  /* old_ino is written in place; it had old_size bytes */
                    INTENT_APPEND = 4, /* the same, at its end */
                    INTENT_NAMES =
                        5, /* ino gets or loses a name; old_ino is what has the new name */
                    INTENT_RETURN = 6, /* the name was given ino; the temporary one has old_ino,
                                          which goes back */
};

struct intent {
    enum intent_stage stage; /* 0: none */
    bool beside;             /* the temporary name is beside the file */
    uint64_t ino, off;       /* WRITE, APPEND: ino is data_open's */
    uint64_t old_ino, old_size;
    int64_t old_mtime_ns, when_ns;
};

struct record {
    int dir; /* the client's folder */
    int fd;  /* the file; -1: there is none */
    uint64_t number, count;
    uint8_t digest[BATCH_DIGEST];
    bool renew, closed;
    struct batch_result *results; /* owned; count */
    uint64_t settled;
    struct intent doubt; /* of change `settled` */
};

void record_done(struct record *r);
/* Reads what is there. 0, also when there is none or it makes no sense (number is 0 then). */
int record_load(struct record *r);
/* In place of the one that is there. */
int record_begin(struct record *r, const struct batch_head *head);
int record_intent(struct record *r, const struct intent *intent);
int record_result(struct record *r, const struct batch_result *result); /* of change `settled` */
int record_close(struct record *r);
int record_sync(struct record *r);
bool record_finished(const struct record *r);
void spare_make(int dir);
bool spare_free(int dir); /* true: there was one */

/* ---- apply_batch.c ---- */

struct message {
    struct buf raw; /* owned: the frames */
    struct batch_head head;
    struct batch_blob *blobs; /* owned */
    bool *good;               /* owned: the blob's checksum was looked at */
    int blob_fd;              /* of blob_open */
    size_t blob_open;         /* 1 based; 0: none */
    const char *data;
    struct batch_changes changes;
};

void message_done(struct message *m);
/* Takes raw over. Looks at every frame, but not into the changes. -EBADMSG. */
int message_take(struct message *m, struct buf *raw);
/* The request that is in a file, which stays. */
int message_read(int dir, const char *name, struct buf *ret_raw);
int message_save(const struct message *m, int dir);
/* The changes in their order, from the first on: as batch_get_change. */
int message_next(struct message *m, struct batch_change *ret);
/* A blob's bytes, checked. A descriptor that stays the message's; -ENODATA. */
int message_blob(struct message *m, int folder, size_t blob);
/* All of them are there and have their length. -ENODATA. */
int message_blobs_there(const struct message *m, int folder);
void message_drop_blobs(const struct message *m, int folder, int root);

/* ---- apply_sweep.c ---- */

void apply_sweep(int folder, int root);     /* at most once an hour */
DIR *sweep_open(int dir, const char *name); /* NULL: it cannot be looked through */

/* ---- apply.c ---- */

struct apply {
    int folder, root;
    struct record record;
    struct message message;
    struct pathset failed;
    struct renewing *renewing; /* owned; NULL: nothing is known to be made already */
    int64_t until_ns;          /* monotonic */
    bool closing;              /* nothing new is begun */
    bool synced;               /* something was asked to be on the disk */
    uint64_t folder_dev;
    int64_t folder_born_ns;
    bool folder_is_apart; /* nothing can be renamed from it to where files are */
    int stopped;          /* why the record could not be written */
};

/* The time is over: what is not done goes on with the next request. */
bool apply_late(const struct apply *a);
/* Writes it down. 0, or -EAGAIN with `stopped` set. */
int apply_intent(struct apply *a, const struct intent *intent);

/*
 * How a change of each kind is made. doubt: it was begun before, and this is its last intent (else
 * its stage is 0). 0 with ret; -EAGAIN: it is late; another -errno: the batch stops here.
 */
typedef int (*apply_change)(struct apply *a, const struct batch_change *c,
                            const struct intent *doubt, struct batch_result *ret);
int apply_write(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret);
int apply_append(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret);
int apply_mkdir(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret);
int apply_symlink(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                  struct batch_result *ret);
int apply_link(struct apply *a, const struct batch_change *c, const struct intent *doubt,
               struct batch_result *ret);
int apply_rename(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret);
int apply_unlink(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                 struct batch_result *ret);
int apply_setattr(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                  struct batch_result *ret);
int apply_fsync(struct apply *a, const struct batch_change *c, const struct intent *doubt,
                struct batch_result *ret);

/* ---- apply_join.c ---- */

/* The request of BATCH_JOIN. */
int apply_join(struct emit *e, struct apply *a, bool *ret_more);
/* A file that was put together ahead. */
struct joined {
    int fd, dir; /* of the folder, or beside where it will be */
    const char *name;
    bool beside;
    char path[PROTO_PATH_MAX + 64];
};
/* All that the change at hand leaves, if it is still as it was left, has that size and is where it
 * can be renamed. False: it is not, and ret is done. */
bool joined_open(const struct apply *a, uint64_t size, bool beside, struct joined *ret,
                 struct stat *st);
void joined_done(struct joined *j);
void joined_drop(int folder, int root, const char *name); /* or a blob */
/* It is beside where it is to be, or gone from there, and nobody has written to it since then. */
bool joined_is_idle(int folder, int root, const char *name, time_t since);

/* ---- apply_object.c ---- */

/* A name in its directory, and what has it. */
struct place {
    int dir; /* owned */
    const char *name;
    bool there;
    struct stat st;
};

enum found { FOUND_IT, FOUND_OTHER, FOUND_POISON };

void place_done(struct place *p);
/* Opens the directory and looks. A missing name is no error. */
int place_open(struct apply *a, const char *path, struct place *ret);
int place_look(struct place *p);
bool place_has_target(const struct place *p, const char *target); /* a link that says that */
/*
 * Opens it, and is it the object that is meant? 0 if so; 1: ret says what became of the change;
 * -errno: the batch stops. name: only the name is given or taken; of a file that has others nothing
 * is lost with it, so that any version of it is meant.
 */
int place_check(struct apply *a, const char *path, const struct batch_object *o, bool name,
                struct place *p, struct batch_result *ret);
/* That object, as far as its number and, if that is known, its birth tell. */
bool place_is(const struct place *p, uint64_t ino, uint32_t birth);
/* The same version by what stat says, its ctime aside. */
bool stat_is_same(const struct stat *a, uint64_t ino, uint64_t size, int64_t mtime_ns);
bool file_has_hash(int dir, const char *name, const struct stat *st,
                   const uint8_t hash[BATCH_HASH]);

int result_done(struct batch_result *ret, const struct stat *st); /* NULL: nothing is there */
/* And that is name in dir ("": dir itself). Without it, a later file with its number may pass for
 * it. */
void result_born(struct batch_result *ret, int dir, const char *name);
/* Before a name is taken from what has others: a descriptor by which it is found afterwards, or -1.
 */
int other_open(const struct place *p);
void other_tell(int fd, struct batch_result *ret); /* if the change was made; closes it */
void result_other(struct batch_result *ret, const struct stat *st);
int result_failed(struct batch_result *ret, int err);
int result_conflict(struct batch_result *ret, const struct place *p);
int result_open(struct batch_result *ret);

/* ---- apply_names.c ---- */

/* 0: what has the name is what is meant, and p is open; 1: ret says it. What was begun is not
 * looked at again; and of a batch that is closed nothing is begun. */
int names_enter(struct apply *a, const char *path, const struct batch_object *at,
                const struct intent *doubt, struct place *p, struct batch_result *ret);
/* ino: what is to have the name; what somebody else put there since is not told as ours. 0: any. */
int names_done(const struct batch_change *c, struct place *p, uint64_t ino,
               struct batch_result *ret);
/* Of a directory that was made just now: its mode and the rest. */
int names_finish_dir(const struct batch_change *c, struct place *p, struct batch_result *ret);

/* ---- apply_renew.c ---- */

/* Of the batch at hand, whose record was lost. NULL: it cannot be known what was made of it. */
struct renewing *renewing_new(struct apply *a);
struct renewing *renewing_free(struct renewing *n); /* NULL */
/* True: that change was made already, and ret says what it left. */
bool renewing_tell(struct apply *a, uint64_t change, struct batch_result *ret);

/* ---- apply_place.c ---- */

/* renameat2(2) and its flags: the C library may be older than the kernel. 0 or -errno. */
enum { RENAME_KEEP = 1, RENAME_SWAP = 2 };
int rename_at(int from, const char *name, int to, const char *name2, unsigned flags);
bool rename_is_unknown(int err); /* this file system, or this kernel, has no such call */

/* Keeps others from opening a file for writing, for a moment; waits a little for those who have. */
struct hold {
    int fd;
};
void hold_take(struct hold *h, const struct place *p);
void hold_drop(struct hold *h);
/* p says what is there now. True: that is what it said before. */
bool place_is_same(struct place *p);

struct temp {
    int dir; /* borrowed */
    char name[48];
    bool beside;
};
void temp_name(const struct apply *a, const struct place *p, bool beside, struct temp *ret);
/* What has it is of an attempt that was given up. */
void temp_drop(const struct apply *a, const struct place *p);
bool temp_goes_beside(const struct apply *a, const struct place *p);
/* Taking a file out of the way to look at it costs no more than a rename does elsewhere. */
bool swap_is_cheap(const struct apply *a, const struct place *p);

/*
 * The temporary file gets the name, if what has it is still what p says (means ANY: whatever is
 * there). 0; 1: it is another one, which p says now; -errno. An intent was written before; if the
 * file does not get the name it goes, after that was written down.
 */
int temp_place(struct apply *a, const struct temp *t, const struct stat *ours, struct place *p,
               bool any);
/* After a kill: the same with what intent, PLACE or RETURN, says. 0: it has the name; 1: another
 * one has; -EAGAIN: it has not been done, and nothing is left of it. */
int temp_decide(struct apply *a, struct place *p, const struct intent *doubt);
/* What has the name goes away, if it is still what p says. As temp_place. */
int temp_remove(struct apply *a, struct place *p, bool any);
int temp_remove_decide(struct apply *a, struct place *p, const struct intent *doubt);

/* ---- apply_rename.c ---- */

/* A second name of what from has, which is then placed as what is written is: so nothing of anybody
 * is lost if they save over one of the names at once. 0; 1: from has another file by now; -errno.
 */
int link_temp(struct apply *a, const struct place *from, const struct place *to, struct temp *t);

/* ---- apply_keep.c ---- */

/* What p has is about to lose that name. 0, kept or not; 1: it is another one by now. */
int keep_make(struct apply *a, const struct batch_change *c, struct place *p);
void keep_tell(const struct apply *a, const struct batch_change *c, struct batch_result *ret);
void keep_drop(const struct apply *a); /* all that the batch does not name, and temporary files */

/* ---- apply_attr.c ---- */

/* What set asks for, on exactly that object; which says what it is now. */
int attr_set(struct place *p, const struct batch_change *c);
int attr_set_fd(int fd, const struct stat *st, const struct batch_change *c);
int place_sync(const struct place *p); /* it and its directory */

#endif
