/* journal_rig.h - journals in a folder of their own, and a disk that stops after n calls. */
#ifndef TESTS_JOURNAL_RIG_H
#define TESTS_JOURNAL_RIG_H

#include "journal/journal.h"

struct journal_rig {
    char base[64];
    struct journal_options options;
};

extern const struct journal_key rig_key;

void rig_make(struct journal_rig *rig);
void rig_remove(struct journal_rig *rig); /* with all that is in it */
char *rig_path(const struct journal_rig *rig,
               const char *file); /* of rig_key's journal; caller's */

/*
 * journal_sys as a disk that dies: the n-th change from now on is not made (a write: only half of
 * it), nor is any after it. Files remember what was synced of them.
 */
extern const struct journal_sys rig_disk;
void rig_die_after(long n); /* -1: never; forgets what it knew of files */
/* The n-th change fails, half made, with -ENOSPC; those after it do not. */
void rig_fail_at(long n);
bool rig_died(void); /* or failed */
void rig_kill(void); /* now */
/* What a loss of power leaves at worst: every file of the journal as long as it was when synced. */
void rig_lose_power(const struct journal_rig *rig);
void rig_set_free(uint64_t bytes); /* what free_bytes says; UINT64_MAX: the truth */

#endif
