/* journal_rig.h - journals in a folder of their own. */
#ifndef TESTS_JOURNAL_RIG_H
#define TESTS_JOURNAL_RIG_H

#include "journal/head.h"
#include "journal/journal.h"
#include "journal_disk.h"

struct journal_rig {
    char base[64];
    struct journal_options options;
};

extern const struct journal_key rig_key;

void rig_make(struct journal_rig *rig);
void rig_remove(struct journal_rig *rig); /* with all that is in it */
char *rig_path(const struct journal_rig *rig,
               const char *file); /* of rig_key's journal; caller's */

#endif
