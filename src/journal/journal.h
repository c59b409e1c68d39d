/*
 * journal.h - changes that were promised to a caller and are not yet in the sandbox. They survive
 * this process, and are told again, in order, to the next one.
 *
 * A journal belongs to one mount: a directory below base that is named after (API url, sandbox,
 * slot), 0700, used by one process at a time. It holds records (record.h) with increasing sequence
 * numbers, and their data.
 *
 *   A record's life:  open --batch--> sent --applied--> said --settle--> done or dropped: forgotten
 *                       \______________________________/    \
 *                                  settle                    rejected or conflict: parked; kept
 *                                                            with its data until settled again
 *
 * What survives what:
 *   once this returned                     the process dies    the machine loses power
 *   journal_append, _begin_batch,
 *     _applied, _settle                    kept                perhaps kept
 *   journal_sync after it                  kept                kept
 *   journal_compact                        kept                kept, as far as it had been synced
 * Whatever a machine loses without journal_sync is lost from the end: a record is there only with
 * all that came before it, with its data. What disks make of the rest (files that are too short,
 * zeros, some of the later bytes without the earlier ones) is cut off when the journal is opened,
 * and never a reason to refuse it; it is refused as damaged if something is missing that had been
 * synced. A record that was settled may come back after a loss of power: batches are numbered so
 * that the sandbox knows them again. So before the sandbox is told a batch, journal_sync must have
 * returned: then no later batch can be lost here that is known there.
 *
 * Every function may be called from any thread unless it says otherwise, returns 0 or -errno, and
 * writes *ret on success only. Any that writes fails with the same error for ever once the disk
 * failed in a way that leaves the file's end in doubt (-EIO, mostly): close and open again. None
 * waits but journal_wait_room, journal_sync and journal_compact. No lock is held across fsync or a
 * callback; journal's lock is innermost: with any other held, all but these three may be called.
 */
#ifndef JOURNAL_JOURNAL_H
#define JOURNAL_JOURNAL_H

#include "journal/record.h"
#include "journal/sys.h"

struct journal;

/* Which sandbox, and which of its mounts: slot is any text, normally the path that is mounted. */
struct journal_key {
    const char *api_url, *sandbox_id, *slot;
};

/* 0 takes the default. */
struct journal_limits {
    uint64_t soft_bytes;    /* on disk: beyond it journal_wait_room waits; 1 GiB */
    uint64_t hard_bytes;    /* changes are refused; 4 GiB */
    uint64_t spare_bytes;   /* changes are refused if the disk has less left; 256 MiB */
    uint64_t segment_bytes; /* where a segment ends; 16 MiB */
    size_t max_records;     /* kept in memory, about 200 bytes each; 1,000,000. With more than
                               half of them journal_wait_room waits, too */
};

struct journal_options {
    const char *base;      /* absolute; made 0700 if missing: the user's state directory */
    const char *mount_dir; /* where it is mounted, told to others that find it locked; "" */
    struct journal_limits limits;
    const struct journal_sys *sys; /* NULL: the real one. By reference */
};

/* Who has a journal that was found locked. */
struct journal_holder {
    int pid; /* 0 if it has not said so yet */
    char *dir;
};
void journal_holder_done(struct journal_holder *h);

/*
 * Opens a journal, or makes it, for this process alone; what a crash tore off is dropped now.
 *  -EBUSY           another process (or this one) has it; *busy, unless NULL, says who: the
 *                   caller's, to be ended by journal_holder_done
 *  -EBADMSG         damaged: nothing was changed; journal_salvage still reads it
 *  -EPROTONOSUPPORT a later version wrote it; nothing was changed. What an earlier one wrote is
 *                   rewritten as this one's
 *  -EACCES          the directory is another user's, or others can read it; -ELOOP: a link
 */
int journal_open(const struct journal_options *o, const struct journal_key *key,
                 struct journal **ret, struct journal_holder *busy);
/* The same by the name of an existing one; -ENOENT. */
int journal_open_name(const struct journal_options *o, const char *name, struct journal **ret,
                      struct journal_holder *busy);
/* Gives it up; syncs nothing. One that keeps no record is removed from the disk. No call may be
 * under way. Returns NULL; takes NULL. */
struct journal *journal_free(struct journal *j);

/* Strings live as long as the journal. */
struct journal_key journal_key(const struct journal *j);
/* 32 hexadecimal digits, new for each journal made: batch numbers count within it. */
const char *journal_client(const struct journal *j);
/* What journal_open cut off the log: what a crash tore, or a loss of power took. */
uint64_t journal_torn_bytes(const struct journal *j);

/* The directory's name below base: a new string, NULL without memory. */
char *journal_name(const struct journal_key *key);

struct journal_found {
    char *name; /* for journal_open_name */
    int err;    /* 0, or why its head cannot be read; the key is then NULL */
    char *api_url, *sandbox_id, *slot;
    int64_t made_ns; /* real time; of damaged ones, when the directory last changed */
    bool locked;     /* someone had it at that moment: holder */
    struct journal_holder holder;
};
/* The journals of a sandbox (of all, if both are NULL; damaged ones only then), oldest first. */
int journal_find(const char *base, const char *api_url, const char *sandbox_id,
                 struct journal_found **ret, size_t *ret_count);
void journal_found_free(struct journal_found *list, size_t count);
/* With all that is in it, damaged or not. -EBUSY: somebody has it. */
int journal_discard(const char *base, const char *name);

/* ---- changes ---- */

/*
 * Writes a change with its data; *ret_seq is its number. The data is rec->data (any length; it
 * begins at rec->off), or rec->extents, which must be those of records that are not settled, or
 * none. rec is only read. An object with JOURNAL_MADE must name a record that is still kept (not
 * settled, or needed by one that is not); else -ESTALE: what it made has an identity by now.
 *  -EINVAL, -E2BIG: record_put's
 *  -ENOSPC: the hard limit, too many records, or the disk is nearly full: nothing was written
 *  -EIO: also when somebody removed the journal, which journal_sync finds out
 */
int journal_append(struct journal *j, const struct journal_record *rec, uint64_t *ret_seq);

/* Everything that was written before this call is on the disk. Callers share one fsync. */
int journal_sync(struct journal *j);
/* Since when (monotonic) a change is here that may not be on the disk; 0: there is none. */
int64_t journal_unsynced_ns(struct journal *j);
/* What every write fails with from now on; 0: nothing. */
int journal_failed(struct journal *j);

/*
 * Waits until there is room below the soft limits: to be called before journal_append, with no lock
 * held, by those that can wait. -ETIMEDOUT after until_ns (monotonic): the caller may append all
 * the same, it has been slowed down enough. -EINTR when the bound cancel fires.
 */
int journal_wait_room(struct journal *j, int64_t until_ns);
/* How far it is from the soft limits, 0, to where changes are refused, 1. */
struct journal_pressure {
    double bytes, records;
};
void journal_pressure(struct journal *j, struct journal_pressure *ret);

struct journal_usage {
    uint64_t bytes;   /* on disk */
    size_t changes;   /* not settled, parked ones not counted */
    size_t parked;    /* rejected, or in conflict */
    unsigned waiting; /* in journal_wait_room */
};
void journal_usage(struct journal *j, struct journal_usage *ret);
/* What the disk has left, and what of that must stay free: with less no change is taken. */
int journal_space(struct journal *j, uint64_t *ret_free_bytes, uint64_t *ret_spare_bytes);

/* ---- what became of them. These are not subject to the hard limit ---- */

/*
 * Before a batch is first sent: its records (those in ranges that are settled do not count) and
 * the digest of its bytes. *ret_batch: 1, 2, 3 … The note is told at replay until all its records
 * are settled, begun in a later batch, or set to JOURNAL_OPEN again; one without records until the
 * next batch begins.
 */
int journal_begin_batch(struct journal *j, const struct journal_range *ranges, size_t count,
                        const uint8_t digest[JOURNAL_DIGEST], uint64_t *ret_batch);
/* What the sandbox said: seq, said, err, now. Any number of calls for a batch. */
int journal_applied(struct journal *j, uint64_t batch, const struct journal_result *results,
                    size_t count);
/*
 * Ours: seq, settled, err. JOURNAL_DONE (call it once nothing needs the data from here any more)
 * and JOURNAL_DROPPED end a record; its data can be gone at the next journal_compact.
 * JOURNAL_REJECTED and JOURNAL_CONFLICT park it. JOURNAL_OPEN makes a parked or sent one new again;
 * with forced it is told so from then on, until it is parked once more.
 * Both: a record that is settled for good is left alone, so that repeating is harmless; -EINVAL for
 * a number that was never given. Lists of any length; not atomic as a whole, but in order.
 */
int journal_settle(struct journal *j, const struct journal_result *results, size_t count);

/* ---- reading ---- */

struct journal_item {
    struct journal_record rec;    /* a change, or a batch that is begun */
    uint64_t batch;               /* of a change: its last one; 0: none */
    struct journal_result result; /* of a change: what is known so far */
};

/*
 * Tells fn every record that is not settled, and every batch that is under way, in the order of
 * their numbers; what is appended meanwhile is not told. fn may call any function of this
 * journal. Changes nothing, so it may be done again. Ends with fn's error, if it returns one.
 */
int journal_replay(struct journal *j, int (*fn)(void *arg, const struct journal_item *item),
                   void *arg);
/* One record, settled for good: -ENOENT. Its bytes go to mem (JOURNAL_RECORD_MAX is enough), into
 * which ret points. */
int journal_get(struct journal *j, uint64_t seq, struct buf *mem, struct journal_item *ret);
/* What is known of a change that is not settled, or is named as the maker of one that is not.
 * Else -ENOENT. */
int journal_result(struct journal *j, uint64_t seq, struct journal_result *ret);
/*
 * Appends up to len bytes of a change's data to out, from byte at of it: the bytes as they were
 * given (for extents: one after the other, whatever their offsets). Short at the end. With check,
 * every extent touched is read whole and its checksum compared: -EBADMSG; out needs room for
 * JOURNAL_EXTENT_MAX then.
 */
int journal_read(struct journal *j, uint64_t seq, uint64_t at, size_t len, bool check,
                 struct buf *out);

/* ---- housekeeping ---- */

/* True when enough is settled that compacting is worth it, or someone waits for room. */
bool journal_wants_compact(struct journal *j);
/*
 * Rewrites the log without what is settled, and removes segments that nothing needs. At every
 * moment the disk holds a whole journal. Others go on meanwhile; a second call waits for the first.
 * On failure everything is as before.
 */
int journal_compact(struct journal *j);

/*
 * For `recover`: reads a journal that nobody holds, damaged or not, and tells every record that is
 * still readable, bookkeeping included, in the order of the log; changes nothing. *ret_bad: bytes
 * that were skipped. Data: journal_salvage_read, with the record given, inside fn only.
 */
struct journal_salvage;
int journal_salvage(const char *base, const char *name,
                    int (*fn)(void *arg, struct journal_salvage *s,
                              const struct journal_record *rec),
                    void *arg, uint64_t *ret_bad);
/* Appends the i-th extent's bytes; -EBADMSG if they are not those that were written. */
int journal_salvage_read(struct journal_salvage *s, const struct journal_record *rec, size_t i,
                         struct buf *out);

#endif
