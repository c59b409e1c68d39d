/*
 * parked.c - /.ctl/conflicts and /.ctl/rejected: our versions of the files that the sandbox did not
 * take, as a tree; and the verbs for what waits. Names are those below the mount's root, or below
 * "/" for what lies outside of it; further versions of a file are NAME.~2~ and so on.
 */
#include "ctl/parked.h"

#include "ctl/ctl_internal.h"
#include "util/errtext.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { QUEUE_LINES = 10000 };

/* A file, or a directory: one that was to be made, or one above others. */
struct place {
    bool file;
    char path[]; /* as fs_mount_path gives it */
};

static void place_release(void *obj)
{
    free(obj);
}

static struct place *place_new(const char *path, bool file)
{
    const size_t len = strlen(path);
    struct place *p = malloc(sizeof(*p) + len + 1);

    if (p) {
        p->file = file;
        memcpy(p->path, path, len + 1);
    }
    return p;
}

/* ---- the trees ---- */

struct walk {
    struct ctl *ctl;
    enum journal_outcome outcome;
    const char *below; /* "" for the top, else ends in "/" */
    int (*fn)(struct walk *w, const char *name, size_t len, bool file);
    struct ctl_list *list; /* listing */
    const char *name;      /* finding */
    bool found, file;
};

static int walk_one(void *arg, const struct flush_parked *p)
{
    struct walk *w = arg;
    const size_t below = strlen(w->below);
    char *shown;
    int r = 0;

    if (p->outcome != w->outcome || !(p->shown || p->kind == JOURNAL_MKDIR))
        return 0;
    shown = fs_mount_path(w->ctl->fs, p->shown ? p->shown : p->path);
    if (!shown)
        return -ENOMEM;
    if (strncmp(shown, w->below, below) == 0) {
        const char *name = shown + below + (shown[below] == '/');
        const size_t len = strcspn(name, "/");

        if (len > 0)
            r = w->fn(w, name, len, name[len] == '\0' && p->shown);
    }
    free(shown);
    return r;
}

static int walk(struct walk *w, const struct place *owner)
{
    struct buf below = BUF_INIT(JOURNAL_PATH_MAX + 2);
    int r = owner ? buf_printf(&below, "%s/", owner->path) : 0;

    w->below = buf_str(&below);
    if (r == 0)
        r = fs_parked(w->ctl->fs, walk_one, w);
    buf_done(&below);
    return r == -EOPNOTSUPP ? 0 : r; /* no journal: then nothing is in it */
}

static int find_name(struct walk *w, const char *name, size_t len, bool file)
{
    if (strlen(w->name) == len && memcmp(w->name, name, len) == 0) {
        w->found = true;
        w->file = w->file || file;
    }
    return 0;
}

static const struct ctl_row conflict_file, rejected_file, conflict_dir, rejected_dir;

static const struct ctl_row *row_of(enum journal_outcome outcome, bool file)
{
    if (outcome == JOURNAL_CONFLICT)
        return file ? &conflict_file : &conflict_dir;
    return file ? &rejected_file : &rejected_dir;
}

static int find(struct ctl *ctl, void *owner, const char *name, enum journal_outcome outcome,
                struct ctl_entry *ret)
{
    const struct place *above = owner;
    struct walk w = {.ctl = ctl, .outcome = outcome, .fn = find_name, .name = name};
    struct buf path = BUF_INIT(JOURNAL_PATH_MAX + 512);
    int r = walk(&w, above);

    if (r == 0 && !w.found)
        r = -ENOENT;
    if (r == 0)
        r = buf_printf(&path, "%s%s%s", above ? above->path : "", above ? "/" : "", name);
    if (r == 0) {
        ret->obj = place_new(buf_str(&path), w.file);
        ret->row = row_of(outcome, w.file);
        ret->id = w.file;
        r = ret->obj ? 0 : -ENOMEM;
    }
    buf_done(&path);
    return r;
}

static int list_name(struct walk *w, const char *name, size_t len, bool file)
{
    char *copy = strndup(name, len);
    int r = copy ? ctl_list_add(w->list, copy, row_of(w->outcome, file)) : -ENOMEM;

    free(copy);
    return r;
}

static int find_conflict(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    return find(ctl, owner, name, JOURNAL_CONFLICT, ret);
}

static int find_rejected(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    return find(ctl, owner, name, JOURNAL_REJECTED, ret);
}

static int list_conflicts(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    struct walk w = {.ctl = ctl, .outcome = JOURNAL_CONFLICT, .fn = list_name, .list = list};

    return walk(&w, owner);
}

static int list_rejected(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    struct walk w = {.ctl = ctl, .outcome = JOURNAL_REJECTED, .fn = list_name, .list = list};

    return walk(&w, owner);
}

/* ---- a file ---- */

static ssize_t read_place(struct ctl *ctl, const struct place *p, uint64_t off, void *bytes,
                          size_t n, uint64_t *ret_size)
{
    char *path = fs_sandbox_path(ctl->fs, p->path);
    ssize_t got = path ? fs_parked_read(ctl->fs, path, off, bytes, n, ret_size) : -ENOMEM;

    free(path);
    return got;
}

static int pread_file(struct ctl *ctl, void *obj, uint64_t off, size_t size, struct buf *out,
                      struct buf *why)
{
    ssize_t got;
    int r = buf_reserve(out, size);

    if (r < 0)
        return r;
    got = read_place(ctl, obj, off, out->data + out->len, size, NULL);
    if (got < 0)
        return (int)got;
    out->len += (size_t)got;
    out->data[out->len] = '\0';
    return 0;
}

static int stat_file(struct ctl *ctl, void *obj, struct stat *st)
{
    uint64_t size;
    const ssize_t got = read_place(ctl, obj, 0, NULL, 0, &size);

    if (got < 0)
        return (int)got;
    st->st_size = (off_t)size;
    return 0;
}

static int find_any(struct walk *w, const char *name, size_t len, bool file)
{
    w->found = true;
    return 0;
}

/* Ours is given up. A directory that nobody was to make goes by itself with what is below it. */
static int remove_place(struct ctl *ctl, const struct place *p, enum journal_outcome outcome)
{
    struct walk w = {.ctl = ctl, .outcome = outcome, .fn = find_any};
    char *path;
    int r = p->file ? 0 : walk(&w, p);

    if (r == 0 && w.found)
        r = -ENOTEMPTY;
    if (r < 0)
        return r;
    path = fs_sandbox_path(ctl->fs, p->path);
    r = path ? fs_discard(ctl->fs, path) : -ENOMEM;
    free(path);
    return r;
}

static int remove_conflict(struct ctl *ctl, void *obj, struct buf *why)
{
    return remove_place(ctl, obj, JOURNAL_CONFLICT);
}

static int remove_rejected(struct ctl *ctl, void *obj, struct buf *why)
{
    return remove_place(ctl, obj, JOURNAL_REJECTED);
}

const struct ctl_dir ctl_conflicts = {
    .entry = &conflict_file,
    .takes = "PATH",
    .find = find_conflict,
    .list = list_conflicts,
    .remove = remove_conflict,
    .release = place_release,
};

const struct ctl_dir ctl_rejected = {
    .entry = &rejected_file,
    .takes = "PATH",
    .find = find_rejected,
    .list = list_rejected,
    .remove = remove_rejected,
    .release = place_release,
};

static const struct ctl_row conflict_file = {
    .mode = 0400,
    .kind = CTL_LIVE,
    .waits = true,
    .pread = pread_file,
    .stat = stat_file,
    .help = "what was written here; PATH itself is the sandbox's; rm gives this up",
};
static const struct ctl_row rejected_file = {
    .mode = 0400,
    .kind = CTL_LIVE,
    .waits = true,
    .pread = pread_file,
    .stat = stat_file,
    .help = "what the sandbox refused to take (errors says why); rm gives it up",
};
static const struct ctl_row conflict_dir = {.mode = 0700, .kind = CTL_DIR, .dir = &ctl_conflicts};
static const struct ctl_row rejected_dir = {.mode = 0700, .kind = CTL_DIR, .dir = &ctl_rejected};

/* ---- queue ---- */

int ctl_show_queue(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    const int r = fs_queue_text(ctl->fs, QUEUE_LINES, out);

    return r == -EOPNOTSUPP ? 0 : r; /* nothing ever waits */
}

/* ---- verbs ---- */

static int explain(int r, struct buf *why)
{
    if (r == -EOPNOTSUPP)
        (void)buf_puts(why, "this mount has no journal (see capabilities): nothing waits");
    return r;
}

int ctl_verb_pause(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return explain(fs_pause(ctl->fs), why);
}

int ctl_verb_resume(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return explain(fs_resume(ctl->fs), why);
}

int ctl_verb_keep(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    const bool mine = strcmp(v[0], "mine") == 0;
    char *path;
    int r;

    if (!mine && strcmp(v[0], "theirs") != 0) {
        (void)buf_printf(why,
                         "'%s' is neither mine nor theirs: keep mine PATH overwrites the "
                         "sandbox's version, keep theirs PATH gives ours up",
                         v[0]);
        return -EINVAL;
    }
    path = fs_sandbox_path(ctl->fs, v[1]);
    r = path ? fs_keep(ctl->fs, path, mine) : -ENOMEM;
    free(path);
    if (r == -ENOENT)
        (void)buf_printf(why,
                         "there is no conflict at %s, or no directory any more for ours: `queue` "
                         "lists what is set aside, conflicts/ and rejected/ have it",
                         v[1]);
    return explain(r, why);
}

int ctl_verb_discard(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    char *path = count > 0 ? fs_sandbox_path(ctl->fs, v[0]) : NULL;
    int r = count > 0 && !path ? -ENOMEM : fs_discard(ctl->fs, path);

    free(path);
    if (r == -ENOENT)
        (void)buf_puts(why, "nothing is kept of that: conflicts/ and rejected/ have what is");
    return explain(r, why);
}
