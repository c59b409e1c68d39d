/* change_internal.h - changes that wait in the journal: what change*.c share. */
#ifndef FS_CHANGE_INTERNAL_H
#define FS_CHANGE_INTERNAL_H

#include "fs/fs_internal.h"

enum { CHANGE_KEY_MAX = sizeof(uint64_t) + 256 };

/* A name that waiting changes make or take away. */
struct waiting_name {
    struct node *dir; /* counted */
    unsigned changes;
    UT_hash_handle hh;
    size_t key_len;
    char key[]; /* the directory's number, and the name */
};

struct change {
    uint64_t seq;
    UT_hash_handle hh;
    enum journal_kind kind;
    bool moves;
    bool sets_mtime;
    int64_t start_ns;     /* monotonic: when it was made here */
    struct node *node;    /* counted */
    struct node *kept;    /* counted; what it keeps readable */
    struct node *from;    /* counted; of a LINK: the name that was there already */
    struct node **others; /* counted, owned: names that share what it moves */
    size_t other_count;
    struct waiting_name *names[2]; /* each counts one of its changes */
    struct look_stand stands;
};

/* NULL: nothing that waits makes or takes the name away. */
struct waiting_name *change_find_name_locked(const struct fs *fs, const struct node *dir,
                                             const char *name);
void change_name_of(const struct waiting_name *w, char ret[CHANGE_KEY_MAX]);
/* Nothing waits any more that it would have to be known for. */
void change_drop_ours_locked(struct node *n);
void change_free_locked(struct fs *fs, struct change *c, uint64_t seq);
void change_give_up_locked(struct fs *fs, struct change *c); /* it does not come about */
/* What a change of that kind does. */
bool change_makes(enum journal_kind kind);
bool change_writes(enum journal_kind kind);

#endif
