/*
 * looks.c - who has looked at a file that the sandbox has changed since.
 *
 * A program looks at a file, by a stat or by reading it, and writes it a moment later. If what is
 * known here moves in between, because one of its own calls asked the sandbox, then its change
 * would stand on a version that it has never been shown, and take that away. So such a change
 * stands on the version before the news, and is a conflict. Who has not looked at the file lately
 * means what is there, as on any file system.
 *
 * Remembered are the last looks at files that somebody has opened, by name, since another file may
 * have taken it. What the kernel answers by itself is no look, so it keeps no attributes of a file
 * that had news for those who look at it: then each stat comes here. A program is all its threads.
 */
#include "fs/fs_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOKED_MAX = 4096, LOOKERS = 8 }; /* then the oldest are forgotten */

/* Beside the window: what a save takes from the look to the first change, and what news last. */
#define LATELY_NS (2 * NS_PER_S)
/* What a program opens this soon after its stat, it was to open then. */
#define GLANCE_NS (100 * NS_PER_MS)

struct look {
    pid_t tid; /* 0: none */
    int64_t ns, stat_ns;
};

struct look_key {
    uint64_t dir, name;
};

struct looked {
    struct look_key key;
    int64_t news_ns;              /* FS_NEVER: there were none */
    struct journal_identity base; /* the version before them */
    struct look v[LOOKERS];
    UT_hash_handle hh;
};

static _Thread_local pid_t caller;

void fs_caller(pid_t tid)
{
    caller = tid;
}

pid_t caller_tid(void)
{
    return caller;
}

bool caller_is(pid_t tid)
{
    char path[64];

    if (tid == caller || tid == 0 || caller == 0)
        return tid == caller && tid != 0;
    snprintf(path, sizeof(path), "/proc/%d/task/%d", (int)caller, (int)tid);
    return access(path, F_OK) == 0;
}

static bool is_late(const struct fs *fs, int64_t ns, int64_t now_ns)
{
    return ns == FS_NEVER || now_ns - ns > fs_window_ns(fs) + LATELY_NS;
}

static struct looked *find_locked(const struct fs *fs, const struct node *n)
{
    struct looked *e = NULL;
    struct look_key key;

    lock_assert_held(&fs->lock);
    if (!fs->looked || !n->parent || !S_ISREG(n->attr.mode))
        return NULL;
    key = (struct look_key){n->parent->id, n->name_hash};
    HASH_FIND(hh, fs->looked, &key, sizeof(key), e);
    return e;
}

static void drop_locked(struct fs *fs, struct looked *e)
{
    HASH_DEL(fs->looked, e);
    free(e);
}

/* As the one that was looked at last. NULL without memory, or where nobody can be told apart. */
static struct looked *use_locked(struct fs *fs, const struct node *n)
{
    struct looked *e;

    if (!fs->flush || caller == 0 || !n->parent || !S_ISREG(n->attr.mode))
        return NULL;
    e = find_locked(fs, n);
    if (!e && (!n->file || !n->attached))
        return NULL;
    if (e) {
        HASH_DEL(fs->looked, e);
    } else {
        e = calloc(1, sizeof(*e));
        if (!e)
            return NULL;
        e->key = (struct look_key){n->parent->id, n->name_hash};
        e->news_ns = FS_NEVER;
    }
    HASH_ADD(hh, fs->looked, key, sizeof(e->key), e);
    if (HASH_COUNT(fs->looked) > LOOKED_MAX)
        drop_locked(fs, fs->looked); /* uthash keeps the order */
    return e;
}

static struct look *find_look(struct looked *e, pid_t tid)
{
    for (unsigned i = 0; i < LOOKERS; i++)
        if (e->v[i].tid == tid)
            return &e->v[i];
    return NULL;
}

static struct look *look_of(struct looked *e)
{
    struct look *l = find_look(e, caller);

    if (l)
        return l;
    l = &e->v[0];
    for (unsigned i = 1; i < LOOKERS; i++)
        if (e->v[i].tid == 0 || (l->tid != 0 && e->v[i].ns < l->ns))
            l = &e->v[i];
    *l = (struct look){.tid = caller, .ns = FS_NEVER, .stat_ns = FS_NEVER};
    return l;
}

void look_at_locked(struct fs *fs, const struct node *n, const struct fs_file *file, bool told)
{
    const bool counts = !file || (!file->backup && (file->flags & O_ACCMODE) != O_WRONLY);
    struct looked *e = counts ? use_locked(fs, n) : NULL;
    struct look *l = e ? look_of(e) : NULL;
    const int64_t now_ns = clock_mono_ns();

    if (l && !file)
        l->stat_ns = now_ns;
    if (l && told)
        l->ns = now_ns;
}

/* Vim reads the file once more, for its backup copy, right after the stat that it goes by: what it
 * then finds there is in its backup, and not in what it writes. */
static bool is_for_backup(const struct looked *e, const struct look *l, int64_t start_ns)
{
    return l->stat_ns != FS_NEVER && start_ns - l->stat_ns < GLANCE_NS && l->stat_ns < e->news_ns;
}

void look_opened_locked(struct fs_file *file, int64_t start_ns)
{
    const bool reads = (file->flags & O_ACCMODE) != O_WRONLY && !(file->flags & O_TRUNC);
    struct looked *e = reads ? use_locked(file->fs, file->node) : NULL;
    struct look *l = e ? look_of(e) : NULL;

    if (!l)
        return;
    file->backup = is_for_backup(e, l, start_ns);
    if (!file->backup)
        l->ns = clock_mono_ns();
}

/* Other names of a file have its news, too, and nobody knows whose doing they are. */
void look_news_locked(struct fs *fs, const struct node *n)
{
    struct looked *e = n->attr.nlink > 1 ? NULL : find_locked(fs, n);

    if (!e)
        return;
    e->news_ns = clock_mono_ns();
    e->base = (struct journal_identity){.dev = n->attr.dev,
                                        .ino = n->attr.ino,
                                        .size = n->attr.size,
                                        .mtime_ns = n->attr.mtime_ns,
                                        .ctime_ns = n->attr.ctime_ns};
}

void look_settled_locked(struct fs *fs, const struct node *n)
{
    struct looked *e = find_locked(fs, n);

    if (e)
        e->news_ns = FS_NEVER;
}

bool look_must_ask_locked(const struct fs *fs, const struct node *n)
{
    const struct looked *e = find_locked(fs, n);

    return e && !is_late(fs, e->news_ns, clock_mono_ns());
}

int64_t look_last_locked(const struct fs *fs, const struct node *n)
{
    const struct looked *e = caller == 0 ? NULL : find_locked(fs, n);
    const int64_t now_ns = clock_mono_ns();
    int64_t last_ns = FS_NEVER;

    for (unsigned i = 0; e && i < LOOKERS; i++) {
        const struct look *l = &e->v[i];

        if (l->ns > last_ns && !is_late(fs, l->ns, now_ns) && caller_is(l->tid))
            last_ns = l->ns;
    }
    return last_ns;
}

static bool missed_news_locked(const struct fs *fs, const struct node *n,
                               const struct fs_file *file, struct journal_identity *ret)
{
    const struct looked *e = find_locked(fs, n);
    int64_t last_ns;

    if (!e || is_late(fs, e->news_ns, clock_mono_ns()))
        return false;
    last_ns = file ? file->look_ns : look_last_locked(fs, n);
    if (last_ns == FS_NEVER || last_ns >= e->news_ns || is_late(fs, last_ns, e->news_ns))
        return false;
    *ret = e->base;
    return true;
}

static void stand_on_locked(const struct fs *fs, struct journal_object *o, const struct node *n,
                            const struct fs_file *file)
{
    if (n && o->means == JOURNAL_IS)
        (void)missed_news_locked(fs, n, file, &o->identity);
}

void look_stand_on_locked(const struct fs *fs, struct journal_record *rec,
                          const struct change_about *a)
{
    switch (rec->kind) {
    case JOURNAL_PATCH:
    case JOURNAL_TRUNCATE:
    case JOURNAL_UNLINK:
        stand_on_locked(fs, &rec->object[JOURNAL_AT], a->node, a->file);
        break;
    case JOURNAL_RENAME:
        stand_on_locked(fs, &rec->object[JOURNAL_AT], a->node, NULL);
        stand_on_locked(fs, &rec->object[JOURNAL_AT2], a->target, NULL);
        break;
    default:
        break;
    }
}

void looks_forget_locked(struct fs *fs)
{
    while (fs->looked)
        drop_locked(fs, fs->looked);
}
