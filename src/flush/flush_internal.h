/*
 * flush_internal.h - what the parts of flush share.
 *
 * One thread, the sender, chooses, builds, sends and ends; it alone takes changes out of the queue,
 * so that it may look at those it has chosen without the lock. One lock guards the rest. Lock
 * order: flush.lock, then the journal's.
 */
#ifndef FLUSH_FLUSH_INTERNAL_H
#define FLUSH_FLUSH_INTERNAL_H

#include "flush/content.h"
#include "flush/flush.h"

#include "util/cancel.h"
#include "util/keyedhash.h"
#include "util/lock.h"

/*
 * A path that a change in the queue names, or a directory above one. Marks are whatever the
 * question of the moment compares them with: each question begins with a new stamp, so that those
 * of older ones mean nothing.
 */
struct node {
    struct node *parent; /* counted in its refs; NULL of "/" */
    uint64_t at, below;  /* marks: of this path, of something below it */
    uint64_t run;        /* plan.c: the last op that began here */
    uint64_t in;         /* order.c: it has changes in this lot */
    unsigned refs;
    unsigned key_len;
    UT_hash_handle hh;
    unsigned char key[]; /* the parent's address, then the name and a NUL that is not counted */
};

/* What the records of one open file have in common. Gone with the last of them. */
struct group {
    uint64_t id;
    uint64_t ready_seq; /* up to here they may go */
    uint64_t skipped;   /* stamp: what comes before must not go without what was left out */
    uint64_t in;        /* stamp: of the lot that the rest of it goes with */
    bool rewrites;      /* it has more than a name and what is added at the end */
    bool grows;         /* some of it is a JOURNAL_GROWS */
    int64_t data_ns;    /* monotonic: since when data of it waits to be seen; 0: there is none */
    size_t count;       /* in the queue */
    uint64_t bytes;     /* of data in them */
    uint64_t last_seq;
    /* ahead.c */
    uint64_t unstaged, staged; /* bytes that are not in a round; that were */
    int64_t unstaged_ns;       /* monotonic: since when */
    uint64_t staged_seq;       /* up to here they were */
    size_t ahead, uploading;   /* blobs of rounds; those on their way */
    bool claimed;              /* its changes go: no blob of it is begun */
    bool no_ahead;
    UT_hash_handle hh;
};

enum change_state {
    CHANGE_WAITS,
    CHANGE_TAKEN, /* its data is being staged */
    CHANGE_SENT,  /* in the batch that is under way */
};

struct change {
    uint64_t seq;
    uint64_t bytes;               /* of data */
    uint64_t begin, end;          /* of it, in the file */
    int64_t when_ns, since_ns;    /* sandbox's clock; monotonic: when it was queued */
    uint64_t made[JOURNAL_ROLES]; /* makers of its objects; 0: none */
    struct node *at, *at2;        /* counted; at2 of LINK and RENAME, else NULL */
    struct group *group;          /* NULL: alone */
    struct change *prev, *next;   /* the queue, by seq */
    uint64_t batch;               /* replay: of what it was part; 0: none */
    struct change *op_next;       /* the sender's: the next member of its op */
    size_t op;                    /* the sender's: its place in the batch */
    struct sending *sending;      /* the sender's; NULL: in none */
    struct lot *lot;              /* while it is TAKEN */
    uint64_t wanted, blocked;     /* stamps */
    enum journal_kind kind;
    enum change_state state;
    bool absent; /* its object is to be ABSENT */
    bool fsync;  /* somebody waits for that, too */
    bool fsync_sent;
    bool dropped;      /* it cancelled out */
    bool forced;       /* whatever is there: flush_keep */
    bool exchange;     /* a RENAME that leaves two objects */
    bool only;         /* an UNLINK of the only name of a file */
    bool lost;         /* what it names as a maker is parked: it is to be, too */
    bool ended;        /* it is about to be told how */
    uint64_t bad;      /* stamp: it did not succeed, or cannot */
    UT_hash_handle hh; /* by seq */
};

/* What a change keeps readable. */
struct kept {
    uint64_t seq;
    UT_hash_handle hh;
};

/* How a change ended. Kept for a while, for who names it without having heard. */
struct end {
    struct change *c;
    enum journal_outcome outcome;
    int err;
    bool has_now;
    struct remote_attr now, other;
    int64_t told_ns;
    struct journal_identity known; /* the same of every one of several that went as one */
};

struct recent {
    uint64_t seq;
    enum journal_outcome outcome;
    int err;
    struct journal_identity now;
    char *path; /* of the object as it was left; owned */
    UT_hash_handle hh;
};
enum { RECENT_MAX = 1024 };

struct parked {
    uint64_t seq;
    enum journal_outcome outcome;
    enum journal_kind kind;
    int err;
    int64_t when_ns;
    uint64_t bytes;
    char *path, *path2;         /* owned */
    char *shown;                /* owned: where its content is shown */
    struct parked_name *name;   /* of content: counts it; else NULL */
    uint64_t nth;               /* counts those of this process; 0: from before */
    struct parked *prev, *next; /* by seq */
    UT_hash_handle hh;          /* in parked_by_seq */
};

/*
 * Several versions of one file may be parked: each save that did not build on the one before is
 * shown by itself, the first at the file's own path, the others beside it, as PATH.~2~ and so on.
 */
struct parked_name {
    char *path;       /* owned, the key */
    unsigned version; /* that of the last one */
    uint64_t group;   /* who wrote that; 0: nobody else is the same */
    bool known;       /* that was in an earlier process, whose groups were others */
    bool filled;      /* the last one has bytes */
    size_t count;     /* of parked content, in all versions */
    UT_hash_handle hh;
};

/* Somebody who waits. On the stack of the one who does. */
struct waiter {
    struct flush *flush;
    uint64_t seq;      /* of the change; of a barrier: the last that counts */
    bool barrier;      /* all up to seq, at or below node */
    struct node *node; /* counted; NULL: anywhere */
    size_t remaining;  /* of a barrier */
    char *fsync_path;  /* owned; then only this */
    bool fsync;
    bool done, interrupted;
    int err;
    int64_t since_ns; /* the last time that something moved for it */
    struct waiter *prev, *next;
};

/* One change of a batch, made of one record or more. */
struct op {
    struct change *first, *last; /* members, by seq; NULL: FSYNC alone */
    struct waiter *waiter;       /* of that */
    size_t members;
    uint64_t place; /* of the last, in the batch */
    bool writes;    /* content: to a file whose size is known, at offsets, at its unknown end */
    bool sized, patches, appends;
    bool appended; /* by one of them at least */
    struct remote_change change;
    struct content content;
    char *path, *path2; /* owned */
    uint8_t hash[2][JOURNAL_DIGEST];
    int err;
};

/* Data that is put into the sandbox ahead of the batch that needs it. */
struct slice {
    uint64_t seq, at, len; /* whose, and where in it */
    size_t blob;
    uint64_t off; /* in the blob */
};

enum blob_state {
    BLOB_WAITS,
    BLOB_BUSY,
    BLOB_THERE,
    BLOB_NEEDED, /* there, and in the batch that is being made */
    BLOB_VAIN,   /* it need not be there any more */
};

/* A large file that is put together in the sandbox ahead of its batch: join.c. */
struct join {
    uint64_t seq;                /* of the first change of the file */
    struct remote_piece *pieces; /* owned: all of it */
    size_t count, done;
    uint64_t size;
    char *path; /* owned */
    bool fsync, at_once, vain;
    struct remote_joined joined;
    unsigned failures;
};

struct staging {
    struct slice *slices; /* blob by blob */
    size_t slice_count;
    struct slice *by_seq; /* the same, by seq and place */
    struct remote_blob *blobs;
    size_t *first; /* slice of each blob; one more at the end */
    enum blob_state *states;
    size_t count, slice_cap, cap;
    struct join *joins; /* owned */
    size_t join_count;
    bool joining; /* one of them grows right now */
};

/* Changes whose data is being staged; nothing of them is in the sandbox's files yet. */
struct lot {
    struct lot *next;
    struct change **changes; /* by seq; NULL: somebody could not wait for the rest */
    size_t count;
    struct staging *staging; /* owned */
    size_t there, busy;      /* blobs */
    int err;
    bool waited;
};
enum { LOTS_MAX = 2, UPLOADS_MAX = 4 };

struct uploader {
    struct flush *f;
    pthread_t thread;
    struct cancel *cancel; /* counted; of the upload under way, and renewed once it has fired */
    const struct lot *lot; /* it uploads this blob of one of them; both NULL: nothing */
    const struct ahead *ahead;
    size_t blob;
    bool vain; /* its cancel fires, or has */
};

/* A round of ahead.c. */
struct ahead {
    struct ahead *next;
    struct group *group;     /* NULL: nobody needs it */
    struct staging *staging; /* owned */
    size_t there, busy;      /* blobs */
    int err;                 /* not before the next attempt */
};
enum { UNUSED_MAX = 1024 };

/* A batch, from the moment it is built until it is finished. Only the sender's. */
struct sending {
    struct op *ops;
    size_t count;
    struct change **changes; /* its members, by seq */
    size_t change_count;
    struct remote_change *v;
    struct remote_piece *pieces;
    struct remote_batch batch;
    struct buf data;
    struct staging *staging;   /* owned; NULL: the batch carries its data itself */
    bool waited;               /* somebody waits for some of it */
    bool too_large;            /* its data must be staged */
    bool staged;               /* its blobs are in the sandbox */
    unsigned stagings;         /* that were lost */
    uint64_t *kept;            /* owned */
    struct remote_blob *blobs; /* owned: those of staging, and unused ones */
    bool begun;                /* the journal has its number: it may be known in the sandbox */
    bool synced;               /* and has it on this machine's disk */
};

struct flush {
    struct journal *journal; /* borrowed */
    struct remote *remote;   /* borrowed */
    struct flush_config config;
    struct cancel *cancel; /* of the sender */

    struct lock lock;    /* guards what follows */
    pthread_cond_t work; /* for the sender */
    pthread_cond_t news; /* for those who wait */
    struct flush_owner owner;
    bool own_calls; /* the owner is being told something */
    pthread_t sender;
    bool started, stop;
    struct node *nodes, *root;
    struct change *changes; /* all in the queue, by seq */
    struct change *head, *tail;
    size_t waiting;
    uint64_t waiting_bytes;
    struct group *groups;
    struct parked *parked, *parked_tail; /* by seq */
    struct parked *parked_by_seq;
    struct parked_name *parked_names;
    size_t parked_count;
    uint64_t parked_ever; /* by this process */
    struct recent *recent;
    struct waiter *waiters;
    struct kept *kept;
    bool lets_go; /* one was given up since the last batch began */
    uint64_t stamp;
    size_t lost;
    int64_t pressed_ns; /* monotonic: until then the journal is short of room */
    uint64_t done, done_bytes;
    bool paused;
    int halted; /* nothing is sent any more: for those who wait */
    enum stuck {
        STUCK_NOT,
        STUCK_FOR_GOOD, /* until the next mount */
        STUCK_RETRY,    /* until flush_retry, which asks the sandbox once more */
        STUCK_BEHIND,   /* the same, and then each change is looked for first */
    } stuck;
    const char *stuck_why; /* a sentence; static */
    bool renew;            /* it was said that what the sandbox has lost is to be gone on from */
    int line;              /* why the last attempt failed */
    bool line_waited;      /* somebody waited for that one */
    bool probe;            /* an attempt now, whatever retry_ns says */
    unsigned failures;     /* in a row */
    int64_t retry_ns;      /* monotonic; 0: at once */
    int64_t progress_ns;   /* monotonic: something was brought to its end */
    size_t lot_max;        /* changes; smaller after one was too big */

    struct lot *lots; /* oldest first */
    size_t lot_count;
    pthread_cond_t upload; /* for the uploaders */
    struct uploader uploaders[UPLOADS_MAX];
    size_t uploader_count, idle;
    bool compact, sync, tending; /* the journal: by one of them */
    struct ahead *aheads;
    bool vain;       /* some of what is on its way is not needed any more, perhaps */
    int64_t vain_ns; /* monotonic: that is not looked for before */
    int ahead_said;  /* for the sender: 1: the line is there, or why it is not */
    struct remote_blob unused[UNUSED_MAX]; /* to be dropped by the next batch */
    size_t unused_count;

    /* The sender's. */
    struct sending *sending; /* NULL: none is under way */
    bool small_went;         /* past what is to be staged next */
    struct end *said;        /* of an earlier process: what the sandbox said; owned */
    size_t said_count;
};

/* ---- queue.c: all with the lock held ---- */

struct node *node_get(struct flush *f, const char *path);         /* counted; NULL without memory */
struct node *node_put(struct flush *f, struct node *n);           /* returns NULL; takes NULL */
bool node_is_below(const struct node *n, const struct node *dir); /* or it itself */
char *node_path(const struct node *n); /* a new string; NULL without memory */
int queue_init(struct flush *f);
void queue_done(struct flush *f);

/* Is what was marked so at, above or below n? */
void node_mark(struct node *n, uint64_t mark);
bool node_meets(const struct node *n, uint64_t mark);
bool node_under(const struct node *n, uint64_t mark); /* at or above it only */

struct change *change_find(struct flush *f, uint64_t seq);
int change_add(struct flush *f, const struct journal_record *rec, uint64_t seq,
               struct change **ret);
void change_remove(struct flush *f, struct change *c);
bool change_held(const struct change *c);
/* Is what has that role part of the change, or only goes before it? */
static inline bool change_is_of(enum journal_role role)
{
    return role == JOURNAL_AT || role == JOURNAL_AT2;
}

/* ---- order.c: with the lock held ---- */

/*
 * What goes next, by seq, into a list that the caller frees. foreground: what somebody waits for;
 * else what may go by itself. *ret_until_ns: when to ask again if there is nothing; INT64_MAX.
 */
struct order {
    bool waited;    /* what somebody waits for; else what may go by itself */
    bool barriers;  /* of those who wait, these too */
    bool taken;     /* what is being staged, too */
    bool newest;    /* of what may go, the last that came, with what they stand on */
    bool small;     /* no more than a batch carries itself */
    int64_t now_ns; /* monotonic */
};
int order_choose(struct flush *f, const struct order *order, struct change ***ret,
                 size_t *ret_count, int64_t *ret_until_ns);

/* ---- plan.c: with the lock held ---- */

/* Groups s->changes into s->ops. Those that cancel out are taken from it; the caller ends them. */
int plan_batch(struct flush *f, struct sending *s, struct end **ret_dropped, size_t *ret_count);

/* It ends with the file's removal, which is all that goes. */
bool op_removes(const struct op *op);

/* ---- batch.c, begin.c: the sender's, without the lock ---- */

/* Takes list and staging (which may be NULL). On failure, too, *ret is there (if there was memory):
 * its op with an err is why. */
int batch_build(struct flush *f, struct change **list, size_t count, struct staging *staging,
                struct sending **ret);
/* Of what flush_fsync asks for; it is f->sending then. */
int batch_build_fsync(struct flush *f, struct sending **ret);
int batch_begin(struct flush *f, struct sending *s);
int batch_forget(struct flush *f, struct sending *s); /* its changes are sent anew */
void batch_name_blobs(struct sending *s); /* they were staged again: they have new names */
struct sending *batch_free(struct sending *s);
/* What the records of a file make of its content, one by one. */
int batch_add_content(struct content *x, const struct journal_record *rec);

/* ---- staging.c ---- */

/* Cuts pieces into blobs of at most max bytes. NULL without memory. */
struct staging *staging_of(const struct piece *v, size_t count, uint64_t max);
/* The same of the content of s; what went ahead is in it. With the lock held. */
struct staging *staging_new(struct flush *f, const struct sending *s);
struct staging *staging_free(struct staging *g);
/* Where that byte is: its slice, or NULL. *len becomes that of what has the same answer. */
const struct slice *staging_look(const struct staging *g, uint64_t seq, uint64_t at, uint64_t *len);
int staging_add_blob(struct staging *g, const struct staging *from, size_t blob);
/* The same without what is VAIN. Takes g. NULL without memory. */
struct staging *staging_without_vain(struct staging *g);
/* Where all of x lies in the blobs: adds pieces to v, of which there are *count; as many as x has,
 * and one for each slice, at most. -ESTALE: some of it lies in none. */
int staging_refer(const struct staging *g, const struct content *x, struct remote_piece *v,
                  size_t *count);
/* Adds p to v, or to the last of them, of which it is the rest. */
void piece_add(struct remote_piece *v, size_t *count, const struct remote_piece *p);

/* ---- stage.c ---- */

/* With the next batch. With the lock held. */
void staging_drop(struct flush *f, const struct remote_blob *blob);
void staging_drop_all(struct flush *f, struct staging *g); /* none of its uploads is under way */
/* Puts one blob there. Without the lock. */
int staging_put(struct flush *f, const struct staging *g, size_t blob, bool background,
                struct remote_blob *ret);
/* Puts all blobs into the sandbox, those that are there, too. Without the lock. Sets *ret_other if
 * they are not the same bytes any more: some that nobody needs are gone. */
int staging_again(struct flush *f, struct staging *g, bool background, bool *ret_other);
/* Appends bytes of a record's data, checked. */
int staging_read(struct flush *f, uint64_t seq, uint64_t at, uint64_t len, struct buf *out);

/* With the lock held. Takes the changes out of s, which is then freed by the caller. */
int lot_begin(struct flush *f, struct sending *s);
void lot_leave(struct flush *f, struct change *c); /* somebody else takes it */
void lot_free(struct flush *f, struct lot *lot);   /* with its changes, which wait again */
/* Tends the journal, by an uploader; when to look again: monotonic. */
int64_t stage_tend(struct flush *f);
void stage_ended(struct flush *f, const struct lot *lot); /* a blob of it, or a join */
void lot_go(struct flush *f);                             /* those that failed are tried again */
void stage_call(struct flush *f, size_t jobs);            /* there is something to upload */

/* ---- join.c: with the lock held ---- */

int joins_plan(struct flush *f, const struct sending *s, struct staging *g);
void join_done(struct join *j);
bool joins_open(const struct staging *g); /* one of them is neither whole nor given up */
void join_stop(struct flush *f, const struct staging *g, struct join *j); /* it is not needed */
/* *ret_count pieces of *ret are to be added now; NULL: there is nothing to do. */
struct lot *join_job(struct flush *f, struct join **ret, size_t *ret_count);
void join_run(struct flush *f, struct lot *lot, struct join *j, size_t count); /* drops the lock */
void joins_drop(struct flush *f, const struct sending *s); /* those that s does not use */
/* Without the lock: what c leaves, if that was put together ahead; or NULL. */
const struct remote_joined *join_of(const struct staging *g, const struct remote_change *c);

/* ---- ahead.c: with the lock held ---- */

void ahead_note(struct group *g, const struct change *c); /* it was queued */
/* What is due. Returns when to ask again; INT64_MAX. */
int64_t ahead_begin(struct flush *f, int64_t now_ns);
struct ahead *ahead_job(struct flush *f, size_t *ret_blob);
void ahead_upload(struct flush *f, struct ahead *a, size_t blob); /* drops the lock meanwhile */
void ahead_leave(struct flush *f, struct group *g);               /* it is not needed */
/* As staging_look: NULL also if it is not in the sandbox. */
const struct slice *ahead_find(struct flush *f, uint64_t seq, uint64_t at, uint64_t *len,
                               struct staging **ret);
void ahead_begin_anew(struct flush *f, struct group *g); /* the same, but its changes stay */
/* Moves the blobs that are NEEDED to g, which is for s; its groups begin anew. */
int ahead_adopt(struct flush *f, const struct sending *s, struct staging *g);
void ahead_forget(struct flush *f); /* none is NEEDED after all */
void ahead_done(struct flush *f);

/* ---- vain.c: with the lock held ---- */

void vain_note(struct flush *f, const struct change *c); /* it was queued */
/* Stops what is not needed any more. The sender's; drops the lock meanwhile. Returns when to ask
 * again; INT64_MAX. */
int64_t vain_stop(struct flush *f);

/* ---- send.c: the sender's, without the lock ---- */

/* Once, as far as it goes; what the sandbox says of it is told. */
void send_attempt(struct flush *f, struct sending *s);
void send_release(struct flush *f, struct sending *s); /* frees it; its changes wait again */
/* The op that cannot be sent fails; the others are chosen again. */
int send_reject(struct flush *f, struct sending *s);
/* Nothing can be sent now. waited: it was done for somebody, who is told. */
void send_failed(struct flush *f, int err, bool waited);
/* What to do about it is for the user to say. */
void send_halt(struct flush *f, int err, const char *why);
void send_well(struct flush *f); /* the line is there */
bool send_is_local(int err);     /* what is short is short here, not on the way */
bool send_is_damaged(int err);   /* the journal's own bytes are */
extern const char send_journal_why[];

/* ---- sender.c ---- */

void send_wake(struct flush *f); /* locked; starts the sender if need be */

/* ---- end.c ---- */

/*
 * Tells the owner and the journal of v, by seq, and of what stands on those that failed, and takes
 * them out of the queue. The sender's, without the lock. Takes v. 0, or the journal's error.
 */
int end_changes(struct flush *f, struct end *v, size_t count);
/* The journal could not note something, but is as it was before: that may be over soon. */
bool end_may_retry(struct flush *f, int err);
struct recent *end_recent(struct flush *f, uint64_t seq); /* locked */
void end_done(struct flush *f);

/* ---- park.c: with the lock held ---- */

/* known: the journal had it before this process came. */
int park_add(struct flush *f, const struct journal_record *rec, enum journal_outcome outcome,
             int err, bool known);
struct parked *park_find(struct flush *f, uint64_t seq);
void park_done(struct flush *f);

/* ---- wait.c: with the lock held ---- */

void wait_ended(struct flush *f, const struct end *e);
void wait_again(struct flush *f, const struct change *c); /* an earlier one was queued again */
void wait_failed(struct flush *f, int err);               /* all who wait */
bool wait_any(const struct flush *f);
bool wait_names(const struct waiter *w, const struct change *c);

/* ---- replay.c ---- */

int replay(struct flush *f);

/* ---- text.c ---- */

int text_line(struct buf *out, uint64_t seq, const char *state, enum journal_kind kind,
              uint64_t bytes, const char *path, const char *path2);
/* Those at or below path (NULL: all), parked after the one with nth *since (NULL: all): a line for
 * each, one for all that one version of a file was written. out may be NULL. Locked. */
int text_parked(struct flush *f, const char *path, const uint64_t *since, size_t max,
                struct buf *out, bool *ret_any);

#endif
