/*
 * flush.h - changes on their way from the journal to the sandbox: what waits, in which order it
 * goes, what became of it.
 *
 * A change is one journal record. It is appended here, which answers once the journal has it; a
 * thread of flush groups what waits into batches (remote/batch.h), sends them, and tells the owner
 * (fs) how each change ended:
 *
 *   waits --> sent --> done                       told, forgotten
 *     ^         |----> rejected or conflict       told, parked: kept with its data until
 *     |_________|      (and all that stands on it)  flush_keep or flush_discard says otherwise
 *      line down: again, for as long as it takes
 *
 * Order: a change never goes before an earlier one that it stands on: one whose path or path2 is
 * the same as one of its own, above it or below it (both as they were written down then). All else
 * may overtake. What somebody waits for goes first, with what it stands on; the rest lingers up to
 * linger_ns. What an open file has written stays here until flush_ready, a wait, a barrier, a LINK
 * or RENAME of it, its removal, or, if it is much, until the journal is full; a file that is only
 * made and added to goes after open_ns all the same, and one that was empty and only grows
 * (JOURNAL_GROWS), if it grows slowly. Records of one file go as one change where nothing lies
 * between them, and what was made here and removed again unsent goes nowhere (DROPPED, both); of
 * what was written to a file whose only name is removed then, only the removal goes.
 *
 * The data of a file that stays open is staged all the same, where nobody in the sandbox sees it,
 * once there are ahead_bytes of it, or after open_ns: when its changes go, only the rest is left to
 * send.
 *
 * Threads: every function from any thread. Those that may wait say so; the others may be called
 * with the caller's own lock held, and none calls back. `ended` is called on flush's thread with no
 * lock held, for each change exactly once, in an order that keeps theirs; until it has returned, a
 * later change may name that one as the maker of its object (JOURNAL_MADE). A change names the last
 * change before it that touched the same object, if that has not been told, else what is known of
 * it (JOURNAL_IS), JOURNAL_ABSENT or JOURNAL_ANY. 0 or -errno.
 *
 * What a change wrote gets its when_ns as its time in the sandbox, unless attr or a later SETATTR
 * says another; an APPEND has the time at which it arrives.
 */
#ifndef FLUSH_FLUSH_H
#define FLUSH_FLUSH_H

#include "journal/journal.h"
#include "remote/batch.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct flush;

struct flush_end {
    uint64_t seq;
    enum journal_outcome outcome; /* DONE, REJECTED, CONFLICT, DROPPED (cancelled out here) */
    int err;                      /* 0 when DONE; -ECANCELED: what it stood on did not succeed */
    const char *path;             /* as it was written down */
    /* DONE: the object as it is in the sandbox now (of a LINK or RENAME at path2). Of several that
     * went as one, the last has it. CONFLICT: what is there instead. */
    bool has_now;
    struct remote_attr now;
    struct remote_attr other; /* DONE: see remote_result */
    int64_t told_ns; /* sandbox's clock when it said so, which was after it did it; 0: not known */
};

struct flush_owner {
    void (*ended)(void *arg, const struct flush_end *v, size_t count);
    /* Waiting began, or is over: the line is down (err), or up again (0). May be NULL. */
    void (*line)(void *arg, int err);
    /* Nothing is sent any more, until flush_retry or for good: why says what to do. May be NULL. */
    void (*stuck)(void *arg, int err, const char *why);
    void *arg;
};

/* 0 takes the default. */
struct flush_config {
    int64_t linger_ns;     /* 20 ms */
    int64_t open_ns;       /* what is added to an open file goes after so long; 5 s. To one that was
                              empty only if that is no more than inline_bytes in that time */
    int64_t sync_ns;       /* so much at most a loss of power takes of what still waits; 5 s */
    uint64_t inline_bytes; /* a batch up to here is one request; 256 KiB */
    uint64_t ahead_bytes;  /* an open file's data is staged when there is so much of it; 8 MiB */
    uint64_t join_bytes;   /* of a new file: it is put together ahead of its batch; 16 MiB */
    uint64_t lot_bytes;    /* so much is staged for one batch, unless one file has more; 64 MiB */
    int64_t op_timeout_ns; /* somebody who waits is told -ETIMEDOUT without progress; 30 s */
    bool paused;           /* as after flush_pause */
};

/*
 * journal and remote are borrowed and must outlive it. What the journal already holds waits, too,
 * and a batch that was under way is brought to its end first. Asks nothing yet. The owner may be
 * set later: what ended until then is told to nobody. -EOPNOTSUPP: remote has no batches.
 */
int flush_new(const struct flush_config *config, struct journal *journal, struct remote *remote,
              struct flush **ret);
void flush_own(struct flush *f, const struct flush_owner *owner);
/* Stops where it is; what waits stays in the journal. No other call may be under way. Returns NULL;
 * takes NULL. */
struct flush *flush_free(struct flush *f);

/*
 * Writes the change to the journal and queues it. Never waits for the network. The made_by of an
 * object that was told meanwhile is looked after. Errors are journal_append's.
 */
int flush_append(struct flush *f, const struct journal_record *rec, uint64_t *ret_seq);
/*
 * The same of an UNLINK, or a RENAME over a file, of a file that is open here: once it has ended
 * well and `other` is there, that is what can be fetched at the path, until flush_unkeep. Of the
 * changes of an earlier process nothing is kept. Only when flush_may_keep says so.
 */
int flush_append_keep(struct flush *f, const struct journal_record *rec, uint64_t *ret_seq);
bool flush_may_keep(struct flush *f);
void flush_unkeep(struct flush *f, uint64_t seq); /* told with the next batch */
char *flush_kept_path(struct flush *f, const struct remote_info *info, uint64_t seq);
/* Has something been given up, of which the sandbox was not told yet? */
bool flush_lets_go(struct flush *f);
/*
 * Before flush_append, with no lock held: waits while the journal is over its soft limit, the
 * longer the fuller it is and the more bytes of data are to be appended: who fills it is slowed
 * down, not who saves a few bytes meanwhile. -EINTR.
 */
int flush_room(struct flush *f, uint64_t bytes);
int flush_room_now(struct flush *f, uint64_t bytes); /* -EAGAIN: it would wait */
/* Is so little written in that time that who reads the file in the sandbox should see it? */
bool flush_is_slow(const struct flush *f, uint64_t bytes, int64_t took_ns);
/* The open file of that group is closed, or has been flushed: what it has written so far may go. */
void flush_ready(struct flush *f, uint64_t group);

/*
 * Waits until that change, and all it stands on, has ended: 0, or how it ended (-EIO for a
 * conflict). seq 0: of nothing. fsync: and its object and directory entry are on the sandbox's
 * disk. -EINTR when the bound cancel fires, -ETIMEDOUT without progress for op_timeout, -EHOSTDOWN
 * while the line is known to be down. The change stays queued.
 */
int flush_wait(struct flush *f, uint64_t seq, bool fsync);
/* The same of an object that has no change waiting, for fsync only. path: in the sandbox. */
int flush_fsync(struct flush *f, const char *path);
/*
 * Waits until every change appended before the call, at or below path (NULL: all), has ended. 0 if
 * none of them is left; -EIO if some are parked, else -errno as flush_wait. One line for each
 * change that is left, or as flush_parked_text, is appended to left (may be NULL). since: only
 * those count that were parked after the call before that had the same *since, which begins as 0;
 * NULL: all.
 */
int flush_barrier(struct flush *f, const char *path, uint64_t *since, struct buf *left);

/* Background sending only; those who wait are served all the same. */
void flush_pause(struct flush *f);
void flush_resume(struct flush *f);
/*
 * The pause after a failure is over now. Where the sandbox was restored from an older copy, which
 * stops everything: what waits is sent all the same, each change only if its result is not there.
 */
void flush_retry(struct flush *f);

struct flush_usage {
    size_t waiting; /* changes that have not ended */
    uint64_t bytes; /* of data in them */
    size_t parked;
    uint64_t done; /* changes that ended well since flush_new */
    uint64_t done_bytes;
    bool paused;
    int line;          /* 0, or why the last attempt failed */
    int64_t retry_ns;  /* monotonic: when the next is; 0: none is due */
    const char *stuck; /* NULL, or why nothing is sent any more: a sentence that says what to do */
    bool goes_on;      /* stuck, and flush_retry ends that */
};
void flush_usage(struct flush *f, struct flush_usage *ret);
/* `SEQ STATE KIND BYTES PATH[ -> PATH2]` lines, the first to go first; at most max lines. Paths are
 * escaped. */
int flush_queue_text(struct flush *f, size_t max, struct buf *out);
/* The same of what is parked, with one line for all that was written to one version of a file;
 * STATE is "conflict" or "rejected". */
int flush_parked_text(struct flush *f, size_t max, struct buf *out);

/* ---- what did not succeed ---- */

struct flush_parked {
    uint64_t seq;
    enum journal_outcome outcome; /* REJECTED or CONFLICT */
    int err;
    enum journal_kind kind;
    int64_t when_ns;          /* sandbox's clock */
    const char *path, *path2; /* NULL if it has none */
    const char *shown;        /* of content: the path for flush_parked_read; else NULL */
    uint64_t bytes;           /* of data */
};
/* Tells each, in their order; fn may call flush_parked_read. Ends with fn's error. */
int flush_parked(struct flush *f, int (*fn)(void *arg, const struct flush_parked *p), void *arg);
/* Our version of a file: all parked writes that are shown at path, one over the other. That is
 * where they were written down, with ".~2~" and so on behind it for saves that did not build on
 * those before. Up to n bytes from off. -ENOENT: none. *ret_size (may be NULL): of the whole. */
ssize_t flush_parked_read(struct flush *f, const char *path, uint64_t off, void *p, size_t n,
                          uint64_t *ret_size);
/* Is all of the file in it, so that nothing of what was there before is missing between the parts
 * that were written? 1, 0; -ENOENT: none. */
int flush_parked_whole(struct flush *f, const char *path);
/* Something at just that path is in conflict, and not settled. */
bool flush_in_conflict(struct flush *f, const char *path);
/*
 * Settles the conflict at path, and what stands on it. mine: ours is written over what is there now
 * (whatever it is); waits for it, and what is written down of it is done, though by the next
 * process. Not mine: ours is given up. -ENOENT: nothing is parked there.
 */
int flush_keep(struct flush *f, const char *path, bool mine);
/* What is shown at path or below it, rejected or not; NULL: all. */
int flush_discard(struct flush *f, const char *path);

#endif
