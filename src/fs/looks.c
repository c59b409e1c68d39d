/*
 * looks.c - on which version a change stands: on the one that whoever makes it was shown.
 *
 * A program looks at a file, by a stat or by reading it, and changes it a moment later. If the
 * sandbox has another version by then, the change would take that away though nobody has seen it.
 * Two have missed such news, and what they do stands on the version before it, which is a conflict:
 *
 * - A program that looked before the news, if that was lately: what is known here moved in between,
 *   because one of its own calls asked the sandbox. Who has not looked lately means what is there,
 *   as on any file system.
 * - Everybody, if the news is what a change from here was refused for, until somebody opens the
 *   file to read it, or the conflict is settled. A program that is told of the conflict, or not
 *   yet, may write again without a look: vim, for one, moves the file to its backup, and makes it
 *   anew, or puts its backup copy back. So does a removal, by the same program: others may mean
 *   what is there.
 *
 * Remembered are the last looks at files that somebody has opened, and such refusals, by name,
 * since another file may have taken it. What the kernel answers by itself is no look, so it keeps
 * no attributes of a file that had news for those who look at it: then each stat comes here. A
 * program is all its threads.
 */
#include "fs/fs_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LOOKED_MAX = 4096, LOOKERS = 8 }; /* then the oldest are forgotten */
enum { SPARED_MAX = 256 };               /* but not what is in conflict, if that is no more */

/* Beside the window: what a save takes from the look to the first change, and what news last. */
#define LATELY_NS (2 * NS_PER_S)
/* What a program does this soon after its stat, it was to do then. */
#define GLANCE_NS (100 * NS_PER_MS)

struct look {
    pid_t tid;  /* 0: none */
    int64_t ns; /* the last that counts */
    int64_t stat_ns;
    bool opened; /* since that stat, to be read */
};

struct looked {
    struct look_at at;
    int64_t news_ns;              /* FS_NEVER: there were none */
    struct journal_identity base; /* the version before them */
    struct look v[LOOKERS];
    char *refused; /* owned: where a change was; NULL: none, or it was read since */
    struct look_stand refused_stood;
    UT_hash_handle hh;
};

/* What is done to what has the name. */
enum doing { MOVED, REMOVED, WRITTEN };

static _Thread_local pid_t caller;

void fs_caller(pid_t tid)
{
    caller = tid;
}

/* A thread of the same program. */
static bool caller_is(pid_t tid)
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

static struct look_at at_locked(const struct node *n)
{
    return (struct look_at){n->parent ? n->parent->id : 0, n->name_hash};
}

static struct looked *find_locked(const struct fs *fs, const struct node *n)
{
    const struct look_at at = at_locked(n);
    struct looked *e = NULL;

    lock_assert_held(&fs->lock);
    if (fs->looked && at.dir != 0 && !n->dir)
        HASH_FIND(hh, fs->looked, &at, sizeof(at), e);
    return e;
}

static void read_locked(struct looked *e)
{
    free(e->refused);
    e->refused = NULL;
}

static void drop_locked(struct fs *fs, struct looked *e)
{
    HASH_DEL(fs->looked, e);
    free(e->refused);
    free(e);
}

/* As the one that was used last: uthash keeps the order. */
static void add_locked(struct fs *fs, struct looked *e)
{
    HASH_ADD(hh, fs->looked, at, sizeof(e->at), e);
}

static void trim_locked(struct fs *fs)
{
    for (unsigned i = 0; HASH_COUNT(fs->looked) > LOOKED_MAX; i++) {
        struct looked *e = fs->looked;

        if (i == SPARED_MAX || !e->refused || !flush_in_conflict(fs->flush, e->refused)) {
            drop_locked(fs, e);
        } else {
            HASH_DEL(fs->looked, e);
            add_locked(fs, e);
        }
    }
}

/* As the one that was used last; NULL without memory. */
static struct looked *use_at_locked(struct fs *fs, const struct look_at *at)
{
    struct looked *e = NULL;

    if (fs->looked)
        HASH_FIND(hh, fs->looked, at, sizeof(*at), e);
    if (e) {
        HASH_DEL(fs->looked, e);
    } else {
        e = calloc(1, sizeof(*e));
        if (!e)
            return NULL;
        e->at = *at;
        e->news_ns = FS_NEVER;
    }
    add_locked(fs, e);
    trim_locked(fs);
    return e;
}

/* The same, but NULL where nobody can be told apart, or nobody has opened it. */
static struct looked *use_locked(struct fs *fs, const struct node *n)
{
    const struct look_at at = at_locked(n);

    if (!fs->flush || caller == 0 || at.dir == 0 || !S_ISREG(n->attr.mode) ||
        (!(n->file && n->attached) && !find_locked(fs, n)))
        return NULL;
    return use_at_locked(fs, &at);
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

/* Vim goes by a stat. Right after it it asks once more, to see how it can save, and reads the file
 * for its backup copy: what it finds there is not what it has in its buffer. */
static bool is_beside(const struct looked *e, const struct look *l, int64_t start_ns)
{
    return l->stat_ns != FS_NEVER && start_ns - l->stat_ns < GLANCE_NS && l->stat_ns < e->news_ns;
}

void look_at_locked(struct fs *fs, const struct node *n, const struct fs_file *file, bool told)
{
    const bool counts = !file || (!file->backup && (file->flags & O_ACCMODE) != O_WRONLY);
    struct looked *e = counts ? use_locked(fs, n) : NULL;
    struct look *l = e ? look_of(e) : NULL;
    const int64_t now_ns = clock_mono_ns();

    if (!l || (!file && !l->opened && is_beside(e, l, now_ns)))
        return;
    if (!file) {
        l->stat_ns = now_ns;
        l->opened = false;
    }
    if (told)
        l->ns = now_ns;
}

void look_opened_locked(struct fs_file *file, int64_t start_ns)
{
    const bool reads = (file->flags & O_ACCMODE) != O_WRONLY && !(file->flags & O_TRUNC);
    struct looked *e = reads ? find_locked(file->fs, file->node) : NULL;
    struct look *l;

    if (e)
        read_locked(e);
    e = reads ? use_locked(file->fs, file->node) : NULL;
    l = e ? look_of(e) : NULL;
    if (!l)
        return;
    l->opened = true;
    file->backup = is_beside(e, l, start_ns);
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
    e->base = change_identity_of(&n->attr);
}

void look_refused_locked(struct fs *fs, const struct look_stand *s, const char *path)
{
    struct looked *e = s->base.ino ? use_at_locked(fs, &s->at) : NULL;

    if (!e || (e->refused && flush_in_conflict(fs->flush, e->refused)))
        return; /* what the first one stood on still counts */
    read_locked(e);
    e->refused = strdup(path);
    e->refused_stood = *s;
}

void look_settled_locked(struct fs *fs, const struct node *n, enum journal_kind kind)
{
    struct looked *e = find_locked(fs, n);

    if (!e || kind == JOURNAL_APPEND || kind == JOURNAL_SETATTR) /* which stand on anything */
        return;
    e->news_ns = FS_NEVER;
    if (kind == JOURNAL_PATCH || kind == JOURNAL_TRUNCATE)
        read_locked(e);
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

static bool missed_news_locked(const struct fs *fs, const struct looked *e, const struct node *n,
                               const struct fs_file *file)
{
    int64_t last_ns;

    if (is_late(fs, e->news_ns, clock_mono_ns()))
        return false;
    last_ns = file ? file->look_ns : look_last_locked(fs, n);
    return last_ns != FS_NEVER && last_ns < e->news_ns && !is_late(fs, last_ns, e->news_ns);
}

static bool is_refused_locked(const struct fs *fs, const struct looked *e, enum doing doing)
{
    return e->refused &&
           (doing == WRITTEN || (doing == REMOVED && caller_is(e->refused_stood.tid))) &&
           flush_in_conflict(fs->flush, e->refused);
}

static void stand_on_locked(const struct fs *fs, struct journal_object *o, const struct node *n,
                            const struct fs_file *file, enum doing doing)
{
    const struct looked *e = o->means == JOURNAL_IS ? find_locked(fs, n) : NULL;

    if (e && missed_news_locked(fs, e, n, file))
        o->identity = e->base;
    else if (e && is_refused_locked(fs, e, doing))
        o->identity = e->refused_stood.base;
}

void look_stand_on_locked(const struct fs *fs, struct journal_record *rec,
                          const struct change_about *a, struct look_stand *ret)
{
    struct journal_object *o = &rec->object[JOURNAL_AT];
    const struct node *n = a->node;

    if (rec->kind == JOURNAL_PATCH || rec->kind == JOURNAL_TRUNCATE)
        stand_on_locked(fs, o, n, a->file, WRITTEN);
    else if (rec->kind == JOURNAL_UNLINK)
        stand_on_locked(fs, o, n, NULL, REMOVED);
    else if (rec->kind == JOURNAL_RENAME)
        stand_on_locked(fs, o, n, NULL, MOVED);
    if (rec->kind == JOURNAL_RENAME && a->target) {
        o = &rec->object[JOURNAL_AT2];
        n = a->target;
        stand_on_locked(fs, o, n, NULL, WRITTEN);
    }
    *ret = (struct look_stand){.at = at_locked(n), .base = o->identity, .tid = caller};
}

void looks_forget_locked(struct fs *fs)
{
    while (fs->looked)
        drop_locked(fs, fs->looked);
}
