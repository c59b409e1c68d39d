/*
 * journal_disk.h - journal_sys as a disk that fails, and that remembers what of it would be left
 * after a loss of power: of each file what was synced, and every write since; of the journal's
 * directory the names that were synced, and those of now. One at a time.
 */
#ifndef TESTS_JOURNAL_DISK_H
#define TESTS_JOURNAL_DISK_H

#include "journal/sys.h"

#include <stdbool.h>

extern const struct journal_sys rig_disk;

void rig_disk_new(void); /* empty, and it never fails */

/* The n-th change from now on is not made (a write: only half of it), nor is any after it: all fail
 * with -EIO. -1: never. */
void rig_die_after(long n);
/* The n-th change fails with err, half made; those after it do not. err 0: only if it is a write,
 * which says that it was short. */
void rig_fail_at(long n, int err);
bool rig_died(void);               /* or failed */
void rig_kill(void);               /* now */
void rig_set_free(uint64_t bytes); /* what free_bytes says; UINT64_MAX: the truth */

/* What is left of what was not synced. */
enum rig_loss {
    RIG_LOSE_ALL,
    RIG_KEEP_NAMES,    /* but not what is in the files */
    RIG_KEEP_LOG,      /* not what is in the segments */
    RIG_KEEP_LOG_ONLY, /* nor any name of one */
    RIG_KEEP_DATA,     /* not what is in the log */
    RIG_ZEROS,         /* files are as long as they were, with zeros in them */
    RIG_LOSE_FIRST,    /* the first write of each file is lost, the later ones are not */
    RIG_LOSE_ODD,      /* every second one */
    RIG_TORN,          /* the later half of them, and half of one */
    RIG_KEEP_ALL,
    RIG_LOSSES
};
/* dir: the journal's; nobody has it open. Afterwards that is what was synced. */
void rig_lose_power(const char *dir, enum rig_loss loss);

#endif
