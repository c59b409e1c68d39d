/*
 * seen.h - the directories of a tree as they were last seen, and the news: what was there before
 * and what is there now, of all that may differ. Paths are below the top, which is "". Not locked.
 */
#ifndef FS_SEEN_H
#define FS_SEEN_H

#include "fs/fs.h"
#include "util/keyedhash.h"

struct seen_entry {
    char *name; /* in its directory's names */
    struct remote_attr attr;
};

/* Never changed; a newer one takes its place. */
struct seen_dir {
    char *path;
    struct remote_attr self;
    struct seen_entry *v; /* in the order of strcmp */
    size_t count;
    char *names;
    bool silent; /* it is not asked about: it went, or cannot be read. This may change. */
    UT_hash_handle hh;
    struct seen_dir *next; /* in old */
};

/* Zeroed at first. */
struct seen {
    struct seen_dir *dirs;
    size_t count; /* entries in dirs */
    bool cut;     /* there is more than is known */
    bool changed; /* the set of dirs that are not silent; for the owner to clear */

    /* The news; names and attributes are in what follows, and in dirs. */
    struct fs_watch_entry *before, *after;
    size_t before_count, before_cap, after_count, after_cap;
    struct seen_dir *old; /* no longer in dirs */
    char **names;
    size_t name_count, name_cap;
};

void seen_done(struct seen *s);

struct seen_dir *seen_find(const struct seen *s, const char *path); /* NULL */
/* d of t as it is now; was (NULL: nothing) is what it was. NULL without memory. */
struct seen_dir *seen_next(const char *path, const struct seen_dir *was,
                           const struct remote_tree *t, const struct remote_dir *d);
void seen_add(struct seen *s, struct seen_dir *d); /* takes it over */
/* Not forgotten before the news that may still speak of it. */
void seen_retire(struct seen *s, struct seen_dir *d);

char *seen_below(const char *dir, const char *name); /* either may be "". NULL without memory. */
bool seen_same(const struct remote_attr *a, const struct remote_attr *b);

/* ---- news. -ENOMEM. ---- */

int seen_tell(struct seen *s, bool after, const char *dir, const char *name,
              const struct remote_attr *attr);
int seen_tell_all(struct seen *s, bool after, const struct seen_dir *d); /* its entries */
void seen_drop_news(struct seen *s);

/* Every directory at and below path goes from what is known, as something that was there. */
int seen_forget(struct seen *s, const char *path);

/* Directories to be fetched with all that is below them. */
struct wanted {
    char **v;
    size_t count, cap;
};
void wanted_done(struct wanted *q);

/* Tells what differs between a directory as it was and as it is, forgets what is below entries that
 * are not what they were, and wants what is below new ones. now is in dirs. */
int seen_meet(struct seen *s, const struct seen_dir *was, const struct seen_dir *now,
              struct wanted *q);

#endif
