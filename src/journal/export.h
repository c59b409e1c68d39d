/* export.h - what a journal keeps, as files in a directory: for a sandbox that is gone, or a
 * journal that is damaged. */
#ifndef JOURNAL_EXPORT_H
#define JOURNAL_EXPORT_H

#include "journal/journal.h"

struct journal_exported {
    size_t changes; /* that were not in the sandbox */
    size_t failed;  /* of them: could not be made here; the list says why */
    uint64_t bytes; /* of content that was written */
    uint64_t bad;   /* bytes of the journal that could not be read */
};

/*
 * Makes the changes that are not in the sandbox (those that were refused, too) below dir/files, as
 * if that were the sandbox's root; directories above them are made as needed, and of a file of
 * which only a part was changed there is only that part. dir, which is new, also gets CHANGES: all
 * of them in their order, one a line, `KIND PATH[ -> PATH2]`, and what went wrong with it. Changes
 * nothing in the journal, which nobody must hold. -EEXIST: dir is there; -ENOENT: no such journal.
 */
int journal_export(const char *base, const char *name, const char *dir,
                   struct journal_exported *ret);
/* The same without making anything: how much there is. failed is 0. */
int journal_survey(const char *base, const char *name, struct journal_exported *ret);

#endif
