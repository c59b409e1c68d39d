/* recover.h - journals, seen from outside: what changes they hold that are not in their sandbox,
 * and what can be done with those that no mount has. */
#ifndef MOUNT_RECOVER_H
#define MOUNT_RECOVER_H

#include "mount/options.h"
#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recover_journal { /* strings are owned */
    char *name;
    char *base;                       /* where it is, with others */
    char *sandbox_id, *api_url, *dir; /* dir: where it was mounted. NULL: its head is unreadable */
    int64_t made_ns;                  /* clock_real_ns() */
    int pid;                          /* of the mount that has it; 0: none */
    bool damaged;
    size_t changes;
    uint64_t bytes;
};

/* All that are in base (NULL: where this user's are if nothing else was said), oldest first. *ret
 * is the caller's: recover_list_free. 0 or -errno. */
int recover_list(const char *base, struct recover_journal **ret, size_t *ret_count);
void recover_list_free(struct recover_journal *list, size_t count);

/* The part of its name that differs between mounts of one sandbox; points into j. */
const char *recover_short_name(const struct recover_journal *j);

/*
 * The journal that is meant by its name or short name (or the beginning of one), the directory that
 * was mounted, or the sandbox's id. NULL: none, or more than one, and why has a line that says so.
 */
const struct recover_journal *recover_find(const struct recover_journal *list, size_t count,
                                           const char *word, struct buf *why);

/* All of one that no mount has; enum exitcode, and why one line, on success too. dir: see
 * journal_export. */
int recover_export(const struct recover_journal *j, const char *dir, struct buf *why);
int recover_discard(const struct recover_journal *j, struct buf *why);
/*
 * Sends it to its sandbox, which must be one of the service that options name, as must be where the
 * journal is; until_ns: monotonic.
 * What is left of it is listed on stderr, and then the result is EXITCODE_QUEUED.
 */
int recover_send(const struct recover_journal *j, const struct options *options, int64_t until_ns,
                 struct buf *why);

#endif
