/* flush_rig.h - flush over a journal on disk and remote_mem, and short ways to use them. */
#ifndef TESTS_FLUSH_RIG_H
#define TESTS_FLUSH_RIG_H

#include "unit.h"

#include "flush/flush.h"
#include "journal_rig.h"
#include "remote/backends.h"
#include "util/lock.h"

enum { FLUSH_RIG_ENDS = 8192 };

struct flush_rig_end {
    uint64_t seq;
    enum journal_outcome outcome;
    int err;
    bool has_now;
    struct remote_attr now;
};

struct flush_rig {
    struct journal_rig disk;
    struct journal *journal;
    struct remote *mem;    /* the sandbox itself */
    struct remote *remote; /* what flush uses: faults apply */
    struct remote_fault *fault;
    struct remote *gate; /* in front of it: see fr_hold */
    struct flush *flush;
    struct flush_config config;
    struct lock lock; /* guards what follows */
    pthread_cond_t cond;
    struct flush_rig_end ends[FLUSH_RIG_ENDS];
    size_t end_count;
    int line;
    unsigned lines;
};

void fr_up(struct flush_rig *g, const struct flush_config *config);
void fr_up_on(struct flush_rig *g, const struct flush_config *config,
              const struct journal_sys *sys); /* the disk */
void fr_down(struct flush_rig *g);
/* The process dies and comes back; the sandbox stays. */
void fr_restart(struct flush_rig *g);

/*
 * Changes; they fail the test themselves. maker 0: the object is whatever is there, and a name that
 * is made must be free.
 */
uint64_t fr_add(struct flush_rig *g, const struct journal_record *rec);
uint64_t fr_create(struct flush_rig *g, const char *path);
uint64_t fr_data(struct flush_rig *g, enum journal_kind kind, const char *path, uint64_t maker,
                 uint64_t off, const char *text);
uint64_t fr_change(struct flush_rig *g, enum journal_kind kind, const char *path, const char *path2,
                   uint64_t maker);

bool fr_end(struct flush_rig *g, uint64_t seq, struct flush_rig_end *ret); /* false: not yet */
void fr_await_end(struct flush_rig *g, uint64_t seq, enum journal_outcome outcome, int err);
void fr_sync(struct flush_rig *g);                     /* a barrier that succeeds */
unsigned fr_requests(struct flush_rig *g);             /* since the last call */
void fr_hold(struct flush_rig *g, bool hold);          /* uploads do not end meanwhile */
void fr_hold_short(struct flush_rig *g, uint64_t max); /* only those of up to so many bytes */
void fr_await_held(struct flush_rig *g, unsigned uploads);
void fr_let_pass(struct flush_rig *g, unsigned uploads); /* so many are not held */
unsigned fr_stopped(struct flush_rig *g); /* held uploads that were interrupted so far */
void fr_hold_joins(struct flush_rig *g, bool hold);
void fr_fail_joins(struct flush_rig *g, unsigned count, int err); /* so many fail with err */
/* How many there were; *ret_joined: changes that were sent with what came of one. */
unsigned fr_joins(struct flush_rig *g, unsigned *ret_joined);

/* The file in the sandbox, past all faults. NULL: there is none. */
void fr_expect(struct flush_rig *g, const char *path, const char *text);
void fr_put(struct flush_rig *g, const char *path, const char *text);
struct remote_attr fr_stat(struct flush_rig *g, const char *path);

/* A file that one handle writes, and what it should be. */
enum { FILE_PIECE = 10000, FILE_PIECES = 64, FILE_GROUP = 7 };
struct flush_file {
    struct flush_rig g;
    enum journal_means means; /* of its first change: ABSENT, or ANY if it is there */
    uint64_t seq;             /* of the last change */
    char text[FILE_PIECES * FILE_PIECE + 1];
    size_t len;
};

/* Nothing of it is written down yet. */
struct flush_file *ff_new(const struct flush_config *config, enum journal_means means);
void ff_free(struct flush_file *x);
void ff_change(struct flush_file *x, struct journal_record *rec); /* of path /f */
void ff_write(struct flush_file *x, size_t off, size_t len, char c);
void ff_add_pieces(struct flush_file *x, int count); /* at its end */
void ff_truncate(struct flush_file *x, size_t len);
uint64_t ff_unlink(struct flush_file *x, bool only);     /* only: it has no other name */
void ff_await_blobs(struct flush_file *x, size_t count); /* in the sandbox */
/* The next batch takes along what was put there in vain. */
void ff_expect_clean(struct flush_file *x);

#endif
