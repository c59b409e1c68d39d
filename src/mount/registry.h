/*
 * registry.h - the live mounts of this user: one small file each in $XDG_RUNTIME_DIR/daytonafs (or
 * $XDG_STATE_HOME/daytonafs/mounts, ~/.local/state/daytonafs/mounts), which the serving process
 * keeps locked. A file that nobody locks is what a killed process left: it is removed when it is
 * seen.
 */
#ifndef MOUNT_REGISTRY_H
#define MOUNT_REGISTRY_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Strings are owned by whoever got the entry. */
struct registry_entry {
    char *dir; /* absolute, resolved */
    char *sandbox_id, *sandbox_name;
    char *path; /* in the sandbox, absolute */
    char *api_url;
    char *ctl_name; /* "" if there is none */
    char *journals; /* where its journal is, with others; "" if it has none */
    pid_t pid;
    int64_t since_ns; /* clock_real_ns() */
};

struct registry; /* the right to be listed */

/* Lists e until registry_remove or the end of the process. Call in the process that serves. */
int registry_add(const struct registry_entry *e, struct registry **ret);
struct registry *registry_remove(struct registry *r); /* NULL is fine */

/* Sorted by dir. *ret is the caller's: registry_list_free. No directory yet is an empty list. */
int registry_list(struct registry_entry **ret, size_t *ret_count);
void registry_list_free(struct registry_entry *list, size_t count);
void registry_entry_done(struct registry_entry *e);

/*
 * The mount that holds the local path, which need not exist; of nested ones the innermost.
 * *ret_rest (may be NULL) points into a new string: path relative to the mount's root, "" for
 * itself; the caller frees. -ENOENT: none does.
 */
int registry_find_path(const char *path, struct registry_entry *ret, char **ret_rest);

/* path with the directory it is in resolved as realpath(3) does, without touching path itself (it
 * may be a dead mount). A new string; NULL without memory. */
char *registry_resolve(const char *path);

#endif
