/* journal_internal.h - what the parts of the journal share. */
#ifndef JOURNAL_JOURNAL_INTERNAL_H
#define JOURNAL_JOURNAL_INTERNAL_H

#include "journal/head.h"
#include "journal/journal.h"

#include "util/lock.h"

/*
 * A record that is still needed: it is not settled for good, or another one that is needed was
 * made by it, or (a batch) one of its records still is in it.
 */
struct entry {
    uint64_t seq, off; /* where in the log */
    uint32_t len;
    enum journal_kind kind;
    uint64_t made_by[JOURNAL_ROLES]; /* 0: not by a record */
    size_t dependents;
    uint64_t batch; /* the sequence number of its JOURNAL_BATCH; 0: none */
    uint64_t batch_number;
    struct journal_result result;
    struct journal_extent *extents; /* owned */
    size_t extent_count;
    bool renewed; /* set to JOURNAL_OPEN since its last batch */
    bool dead;    /* no longer needed; swept later */
};

struct segment {
    uint64_t number;
    int fd;
    uint64_t len;
    size_t refs; /* extents of needed records, or about to be */
    bool dirty;  /* holds data of a record that was not synced */
    bool doomed; /* a compaction is about to remove it */
};

struct journal {
    const struct journal_sys *sys;
    struct journal_limits limits;
    char *name;
    int base_fd, dir_fd, lock_fd;
    struct journal_head head;
    struct buf head_bytes; /* head points into it */
    char client[33];
    uint64_t torn_bytes;

    struct lock lock;    /* guards what follows */
    pthread_cond_t room; /* bytes became less */
    pthread_cond_t idle; /* busy became false */
    bool busy;           /* someone syncs or compacts: descriptors are neither closed nor swapped */
    int broken;          /* 0, or what every write fails with */
    int log_fd;
    uint64_t log_len;
    uint64_t synced_seq; /* all below it is on the disk; while loading: was, says the log */
    uint64_t last_seq;   /* of the last record in the log */
    int64_t unsynced_ns; /* monotonic: when the first change came that may not be; 0: none */
    bool dir_dirty;      /* a segment was made */
    uint64_t next_seq, last_batch;
    uint64_t bare_batch;   /* seq of its note, if it is the last and has no records; 0 */
    struct entry *entries; /* by seq */
    size_t entry_count, entry_cap, dead_count;
    uint64_t dead_bytes;      /* in the log; a guess after settling, exact after compacting */
    struct segment *segments; /* by number; the last one takes data unless sealed */
    size_t segment_count;
    bool sealed; /* the next data begins a new segment */
    bool gone;   /* somebody removed it: nothing in it survives this process */
    uint64_t next_segment;
    uint64_t unasked; /* bytes written since the disk was asked what is left */
    size_t changes, parked;
    unsigned waiting;
    int64_t crowded_ns; /* monotonic: when somebody last found it so */
    struct buf scratch;
};

/* dir.c */
int journal_dir_open(struct journal *j, const struct journal_options *o, bool make,
                     struct journal_holder *busy);
void journal_dir_remove(struct journal *j);
int journal_base_open(const char *base, bool make); /* a descriptor */
int journal_subdir_open(int base_fd, const char *name);
int journal_file_open(int dir_fd, const char *name, int flags); /* only a plain file of ours */

/* log.c */
int journal_write_all(const struct journal_sys *sys, int fd, const void *p, size_t n, uint64_t at);

/* index.c: all locked */
size_t journal_place(const struct journal *j, uint64_t seq);      /* of the first entry not below */
struct entry *journal_entry(struct journal *j, uint64_t seq);     /* NULL: no longer needed */
int journal_entry_reserve(struct journal *j);                     /* room for one more */
void journal_entry_add(struct journal *j, const struct entry *e); /* reserve first; takes extents */
void journal_index_sweep(struct journal *j);
void journal_index_done(struct journal *j);
/* What a bookkeeping record means; the same when it is written and when it is read. */
void journal_apply_batch(struct journal *j, uint64_t seq, uint64_t number,
                         const struct journal_range *ranges, size_t count);
void journal_apply_result(struct journal *j, enum journal_kind kind,
                          const struct journal_result *r);

/* blob.c: all locked, but blob_fill */
void journal_segment_name(char out[32], uint64_t number);
struct segment *journal_segment(struct journal *j, uint64_t number);
int journal_blob_reserve(struct journal *j, uint64_t off, size_t len, struct journal_extent **ret,
                         size_t *ret_count);
int journal_blob_hold(struct journal *j, const struct journal_extent *e, size_t n); /* -ESTALE */
void journal_blob_release(struct journal *j, const struct journal_extent *e, size_t n);
int journal_segment_load(struct journal *j, uint64_t number); /* an existing one. -EBADMSG */
/* Reads part of an extent (the whole with check) from fd, appending to out. */
int journal_blob_read(int fd, const struct journal_extent *e, uint32_t from, uint32_t len,
                      bool check, struct buf *out);

/* replay.c: before anyone else knows j */
int journal_load(struct journal *j);
bool journal_has_segments(int dir_fd);

/* A log read from front to back through one window of memory. */
struct journal_scan {
    int fd;
    uint32_t salt;
    uint64_t off, size; /* off: of the next record */
    struct buf window;
    uint64_t window_off;
};
int journal_scan_init(struct journal_scan *s, int fd, uint32_t salt, uint64_t off);
void journal_scan_done(struct journal_scan *s);
/* As journal_record_get at s->off; goes on only over a good one. */
ssize_t journal_scan_next(struct journal_scan *s, struct journal_record *ret);
/* From a bad place to the next good record with a number above after; -ENOENT if there is none. */
int journal_scan_skip(struct journal_scan *s, uint64_t after);

#endif
