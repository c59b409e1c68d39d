/*
 * Changes that are in the journal and on their way. The tree shows them at once; until the sandbox
 * has said what became of them, what it says of the nodes and names they are about is not believed
 * (see flight.c), as of a change that is under way.
 *
 * What it shows is predicted: an inode number of our own, our clock's times, the user's ids. When
 * the change is done the node learns what is there, and goes on showing what it showed first, so
 * that nothing moves for git, make and editors. attr holds the sandbox's times throughout: it is
 * the version that the next change means.
 */
#include "fs/fs_internal.h"

#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_TRIES = 100000 };

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
    int64_t start_ns;              /* monotonic: when it was made here */
    struct node *node;             /* counted */
    struct waiting_name *names[2]; /* each counts one of its changes */
};

/* ---- marks ---- */

enum { KEY_MAX = sizeof(uint64_t) + 256 };

static size_t make_key(const struct node *dir, const char *name, char key[KEY_MAX])
{
    const size_t len = strlen(name);

    if (len > KEY_MAX - sizeof(dir->id))
        return 0;
    memcpy(key, &dir->id, sizeof(dir->id));
    memcpy(key + sizeof(dir->id), name, len);
    return sizeof(dir->id) + len;
}

static struct waiting_name *find_name_locked(const struct fs *fs, const struct node *dir,
                                             const char *name)
{
    struct waiting_name *w = NULL;
    char key[KEY_MAX];
    size_t len;

    if (!fs->waiting_names)
        return NULL;
    len = make_key(dir, name, key);
    if (len > 0)
        HASH_FIND(hh, fs->waiting_names, key, len, w);
    return w;
}

bool change_names_locked(const struct fs *fs, const struct node *dir, const char *name)
{
    return dir->dir && dir->dir->waiting > 0 && find_name_locked(fs, dir, name) != NULL;
}

static struct waiting_name *mark_name_locked(struct fs *fs, struct node *dir, const char *name)
{
    struct waiting_name *w = find_name_locked(fs, dir, name);
    char key[KEY_MAX];

    if (!w) {
        const size_t len = make_key(dir, name, key);

        w = len > 0 ? calloc(1, sizeof(*w) + len) : NULL;
        if (!w)
            return NULL;
        w->dir = node_ref_locked(dir);
        w->key_len = len;
        memcpy(w->key, key, len);
        HASH_ADD_KEYPTR(hh, fs->waiting_names, w->key, w->key_len, w);
        dir->dir->waiting++;
    }
    w->changes++;
    return w;
}

static void name_of(const struct waiting_name *w, char ret[KEY_MAX])
{
    const size_t len = w->key_len - sizeof(uint64_t);

    memcpy(ret, w->key + sizeof(uint64_t), len);
    ret[len] = '\0';
}

/* Answers that are under way are about the time before. */
static void unmark_name_locked(struct fs *fs, struct waiting_name *w, uint64_t seq)
{
    struct node *dir = w->dir;
    char name[KEY_MAX];

    name_of(w, name);
    dir->dir->names_seq = seq;
    if (dir->dir->flight)
        flight_touch_locked(dir->dir->flight, name);
    if (--w->changes > 0)
        return;
    HASH_DEL(fs->waiting_names, w);
    dir->dir->waiting--;
    free(w);
    node_unref_locked(fs, dir);
}

static bool makes(enum journal_kind kind)
{
    return kind == JOURNAL_CREATE || kind == JOURNAL_MKDIR || kind == JOURNAL_SYMLINK;
}

/* Until it is there, what is asked for at the path is elsewhere, or is refused. */
static bool moves(const struct journal_record *rec, const struct node *n)
{
    const unsigned rights = JOURNAL_ATTR_MODE | JOURNAL_ATTR_UID | JOURNAL_ATTR_GID;

    return makes(rec->kind) || rec->kind == JOURNAL_RENAME ||
           (rec->kind == JOURNAL_SETATTR && (rec->attr.mask & rights) && n->dir);
}

static bool writes(enum journal_kind kind)
{
    return kind == JOURNAL_PATCH || kind == JOURNAL_APPEND || kind == JOURNAL_TRUNCATE;
}

/* ---- a change begins to wait ---- */

/* Another name of it has changes that wait: what is known under this one is from before them. */
static bool changes_elsewhere_locked(const struct fs *fs, const struct node *n)
{
    for (const struct change *c = fs->changes; c; c = c->hh.next)
        if (c->node != n && c->node->attr.ino == n->attr.ino && c->node->attr.dev == n->attr.dev)
            return true;
    return false;
}

static struct journal_object object_of_locked(const struct fs *fs, const struct node *n)
{
    const struct remote_attr *a = &n->attr;
    struct journal_object o = {.means = JOURNAL_IS,
                               .identity = {.dev = a->dev,
                                            .ino = a->ino,
                                            .size = a->size,
                                            .mtime_ns = a->mtime_ns,
                                            .ctime_ns = a->ctime_ns}};

    if (n->ours)
        return (struct journal_object){.means = JOURNAL_MADE, .made_by = n->ours->seq};
    if (a->ino == 0)
        return (struct journal_object){.means = JOURNAL_ANY};
    /* What another name of it went through here moved its times, and is no other version. */
    if (node_suspect(n) || a->nlink > 1)
        o.identity.ctime_ns = 0;
    if (node_suspect(n) || (a->nlink > 1 && changes_elsewhere_locked(fs, n)))
        o.identity.mtime_ns = 0;
    return o;
}

static void free_change_locked(struct fs *fs, struct change *c, uint64_t seq)
{
    for (unsigned i = 0; i < 2; i++)
        if (c->names[i])
            unmark_name_locked(fs, c->names[i], seq);
    node_unref_locked(fs, c->node);
    free(c);
}

static struct change *new_change_locked(struct fs *fs, enum journal_kind kind,
                                        const struct change_about *a)
{
    struct change *c = calloc(1, sizeof(*c));
    struct ours *o = a->node->ours;

    if (!c)
        return NULL;
    c->kind = kind;
    c->start_ns = clock_mono_ns();
    c->node = node_ref_locked(a->node);
    if (!o)
        o = a->node->ours = calloc(1, sizeof(*o));
    if (a->dir)
        c->names[0] = mark_name_locked(fs, a->dir, a->name);
    if (a->new_dir)
        c->names[1] = mark_name_locked(fs, a->new_dir, a->new_name);
    if (o && (!a->dir || c->names[0]) && (!a->new_dir || c->names[1]))
        return c;
    if (o && o->waiting == 0) {
        free(o);
        a->node->ours = NULL;
    }
    free_change_locked(fs, c, fs->seq);
    return NULL;
}

static void count_locked(struct fs *fs, struct change *c, const struct journal_record *rec)
{
    struct ours *o = c->node->ours;

    o->waiting++;
    c->moves = moves(rec, c->node);
    o->moving += c->moves;
    o->content += writes(c->kind);
    o->seq = c->seq;
    o->unborn = o->unborn || makes(c->kind);
    o->appended = o->appended || c->kind == JOURNAL_APPEND;
    o->mtime_set =
        o->mtime_set || (c->kind == JOURNAL_SETATTR && (rec->attr.mask & JOURNAL_ATTR_MTIME));
    HASH_ADD(hh, fs->changes, seq, sizeof(c->seq), c);
}

static int append_locked(struct fs *fs, struct journal_record *rec, const struct change_about *a,
                         struct change *c)
{
    char *path = NULL, *path2 = NULL;
    int r;

    if (a->dir)
        r = node_path_in_locked(fs, a->dir, a->name, &path);
    else
        r = node_path_locked(fs, a->node, &path);
    if (r == 0 && a->new_dir)
        r = node_path_in_locked(fs, a->new_dir, a->new_name, &path2);
    rec->path = path;
    if (path2)
        rec->path2 = path2;
    if (r == 0)
        r = flush_append(fs->flush, rec, &c->seq);
    free(path);
    free(path2);
    return r;
}

int change_room(struct fs *fs)
{
    return fs->flush ? flush_room(fs->flush) : 0;
}

int change_append_locked(struct fs *fs, struct journal_record *rec, const struct change_about *a)
{
    const struct journal_object absent = {.means = JOURNAL_ABSENT};
    const bool fresh = !a->node->ours;
    struct change *c;
    int r;

    lock_assert_held(&fs->lock);
    rec->when_ns = fs_sandbox_now(fs);
    rec->object[JOURNAL_AT] = makes(rec->kind) ? absent : object_of_locked(fs, a->node);
    if (a->new_dir)
        rec->object[JOURNAL_AT2] = a->target ? object_of_locked(fs, a->target) : absent;
    c = new_change_locked(fs, rec->kind, a);
    if (!c)
        return -ENOMEM;
    r = append_locked(fs, rec, a, c);
    if (r == 0) {
        count_locked(fs, c, rec);
        return 0;
    }
    if (fresh) {
        free(a->node->ours);
        a->node->ours = NULL;
    }
    free_change_locked(fs, c, fs->seq);
    return r;
}

void change_shown_locked(struct node *n, int64_t mtime_ns, int64_t ctime_ns)
{
    n->shown_times = true;
    n->shown_mtime_ns = mtime_ns;
    n->shown_ctime_ns = ctime_ns;
}

void change_dir_locked(struct fs *fs, struct node *dir, int links)
{
    const int64_t now_ns = fs_sandbox_now(fs);

    dir->attr.nlink = (uint32_t)((int)dir->attr.nlink + links);
    change_shown_locked(dir, now_ns, now_ns);
    fs_tell_inode_locked(fs, dir);
}

/* ---- it has ended ---- */

/* All that was waiting of the node is there; now is what the sandbox has. */
static void learn_locked(struct fs *fs, struct change *c, const struct ours *o,
                         const struct remote_attr *now, bool at_once)
{
    struct node *n = c->node;
    struct node_file *nf = n->file;
    const struct remote_attr was = n->attr;

    if ((was.mode & S_IFMT) != (now->mode & S_IFMT)) {
        node_stale_locked(n);
        return;
    }
    if (nf)
        nf->kept_id = 0; /* what is kept of it is another version by now */
    if (n->shown_ino == 0 && was.ino != now->ino)
        node_show_ino_locked(fs, n, was.ino);
    if (nf && nf->local) {
        const bool sized = now->size == nf->size, same = sized && (!o->appended || at_once);

        if (sized)
            change_shown_locked(n, nf->mtime_ns, nf->ctime_ns);
        else
            n->shown_times = false; /* somebody else wrote to it, too */
        nf->local = false;
        nf->unsynced = true;
        nf->version = *now;
        if (!same)
            data_drop_locked(fs, n);
        data_rehold_locked(nf);
    } else if (nf && nf->blob && remote_attr_same(&nf->version, &was) && now->size == was.size &&
               (o->mtime_set || now->mtime_ns == was.mtime_ns)) {
        nf->version = *now; /* only what we did differs: the data is what it was */
    }
    n->attr = *now;
    node_known_locked(n, c->start_ns);
    data_check_locked(fs, n);
    if (nf && nf->opens == 0)
        data_keep_locked(fs, n);
    if (n->dir && n->dir->listed && !n->dir->covered && fs->serves) {
        n->dir->covered = true; /* and is told of in full by the next answer about changes */
        n->dir->covered_ns = now->ctime_ns;
        n->dir->list_ns = c->start_ns;
    }
    if (was.mode != now->mode || was.uid != now->uid || was.gid != now->gid ||
        was.nlink != now->nlink || (nf && !nf->blob))
        fs_tell_inode_locked(fs, n);
}

/* Nothing of it is believed any more: neither what was predicted nor what was there before. */
static void forget_locked(struct fs *fs, struct node *n)
{
    struct node_file *nf = n->file;

    if (n->deleted)
        return; /* private by now */
    if (nf && nf->local) {
        nf->local = false;
        data_drop_locked(fs, n);
        data_rehold_locked(nf);
    }
    n->shown_times = false;
    node_stale_locked(n);
    if (n->dir) {
        n->dir->listed = n->dir->covered = false;
        n->dir->list_ns = FS_NEVER;
    }
    fs_tell_inode_locked(fs, n);
}

static void done_locked(struct fs *fs, struct change *c, const struct ours *o,
                        const struct flush_end *v, bool at_once)
{
    struct node *n = c->node;

    if (n->deleted)
        return;
    if (o->waiting > 0) {
        if (v->has_now && (n->attr.mode & S_IFMT) == (v->now.mode & S_IFMT)) {
            if (n->shown_ino == 0 && n->attr.ino != v->now.ino)
                node_show_ino_locked(fs, n, n->attr.ino);
            n->attr.dev = v->now.dev;
            n->attr.ino = v->now.ino;
        }
    } else if (v->has_now && !o->spoiled) {
        learn_locked(fs, c, o, &v->now, at_once);
    } else {
        forget_locked(fs, n);
    }
}

static void forget_name_locked(struct fs *fs, struct waiting_name *w)
{
    char name[KEY_MAX];

    name_of(w, name);
    w->dir->dir->listed = w->dir->dir->covered = false;
    w->dir->dir->list_ns = FS_NEVER;
    w->dir->shown_times = false;
    node_stale_locked(w->dir);
    fs_tell_entry_locked(fs, w->dir, name);
    fs_tell_inode_locked(fs, w->dir);
    negative_wrong_locked(fs, w->dir, name);
}

/* Back to where it came from, so that its handles go on, if that is free. */
static void move_back_locked(struct fs *fs, struct change *c)
{
    struct waiting_name *from = c->names[0], *to = c->names[1];
    struct node *n = c->node;
    char old[KEY_MAX], new[KEY_MAX];

    name_of(from, old);
    name_of(to, new);
    if (n->deleted || node_child_locked(to->dir, new) != n)
        return;
    if (node_gone_locked(from->dir) || node_child_locked(from->dir, old) ||
        node_move_locked(fs, n, from->dir, old) < 0)
        node_detach_locked(fs, n);
}

static void remember_late_locked(struct node *n, int err)
{
    if (!n->file)
        return;
    n->file->late_err = err == -ECANCELED ? -EIO : err;
    n->file->late_gen++;
}

/* what: the kind of change. */
static void report_locked(struct fs *fs, const struct flush_end *v, const char *what)
{
    char *shown = fs_mount_path(fs, v->path);

    if (v->outcome == JOURNAL_CONFLICT)
        fs_report(fs, 0, shown ? shown : v->path, v->err,
                  "%s: the sandbox has another version, which stays; ours is kept aside", what);
    else
        fs_report(fs, 0, shown ? shown : v->path, v->err,
                  "%s: refused by the sandbox after it was accepted here: %s; it is kept aside",
                  what, errtext_sentence(v->err));
    free(shown);
}

/* The tree goes back to what the sandbox has, which is asked for at the next access. */
static void failed_locked(struct fs *fs, struct change *c, const struct flush_end *v)
{
    struct node *n = c->node;

    remember_late_locked(n, v->outcome == JOURNAL_CONFLICT ? -EIO : v->err);
    if (c->kind == JOURNAL_RENAME)
        move_back_locked(fs, c);
    if (makes(c->kind) && !n->deleted) {
        write_deleted_locked(fs, n); /* whoever has it open has it alone */
        if (n->attached)
            node_detach_locked(fs, n);
    }
    for (unsigned i = 0; i < 2; i++)
        if (c->names[i])
            forget_name_locked(fs, c->names[i]);
}

static void ended_locked(struct fs *fs, struct change *c, const struct flush_end *v,
                         uint64_t first_seq)
{
    const bool ok = v->outcome == JOURNAL_DONE || v->outcome == JOURNAL_DROPPED;
    struct ours *o = c->node->ours, was;
    const uint64_t seq = ++fs->seq;

    HASH_DEL(fs->changes, c);
    o->waiting--;
    o->moving -= c->moves;
    o->content -= writes(c->kind);
    o->spoiled = o->spoiled || !ok;
    if (makes(c->kind)) {
        o->unborn = false;
        o->born_at = first_seq;
    }
    was = *o;
    c->node->changed_seq = seq;
    if (o->waiting == 0) {
        free(o);
        c->node->ours = NULL;
    }
    if (!ok) {
        report_locked(fs, v, journal_kind_name(c->kind));
        failed_locked(fs, c, v);
        if (was.waiting == 0)
            forget_locked(fs, c->node);
    } else {
        done_locked(fs, c, &was, v, was.born_at == first_seq);
    }
    free_change_locked(fs, c, seq);
}

/* Only flush's thread ends changes, so it stays. One whose content is being written here is in the
 * journal before it is in the cache: until it is there, too, what the sandbox has is not compared
 * with it. That waits for nothing but the local disk. */
static struct change *find_ended_locked(struct fs *fs, uint64_t seq)
{
    struct change *c;

    HASH_FIND(hh, fs->changes, &seq, sizeof(seq), c);
    while (c && c->node->file && c->node->file->writing)
        lock_wait(&fs->lock, &fs->cond);
    return c;
}

static void on_ended(void *arg, const struct flush_end *v, size_t count)
{
    struct fs *fs = arg;
    struct change *c;

    fs_lock(fs);
    for (size_t i = 0; i < count; i++) {
        c = find_ended_locked(fs, v[i].seq);
        if (c)
            ended_locked(fs, c, &v[i], v[0].seq);
        else if (v[i].outcome == JOURNAL_REJECTED || v[i].outcome == JOURNAL_CONFLICT)
            report_locked(fs, &v[i], "a change of an earlier mount");
    }
    fs_wake(fs);
    fs_unlock(fs);
}

static void on_stuck(void *arg, int err, const char *why)
{
    fs_report(arg, 0, "-", err, "changes are no longer sent: %s", why);
}

void change_own(struct fs *fs)
{
    const struct flush_owner owner = {.ended = on_ended, .stuck = on_stuck, .arg = fs};

    flush_own(fs->flush, &owner);
}

void change_free_all_locked(struct fs *fs)
{
    struct change *c, *tmp;

    HASH_ITER(hh, fs->changes, c, tmp) {
        HASH_DEL(fs->changes, c);
        free(c->node->ours);
        c->node->ours = NULL;
        free_change_locked(fs, c, fs->seq);
    }
}

/* ---- those who need it to be there ---- */

bool change_moving_locked(const struct node *n)
{
    for (; n; n = n->parent)
        if (n->ours && n->ours->moving > 0)
            return true;
    return false;
}

bool change_hidden_locked(const struct node *n)
{
    return (n->ours && (n->ours->blind || n->ours->unborn)) || change_moving_locked(n);
}

bool change_unborn_locked(const struct node *dir)
{
    return dir->ours && dir->ours->unborn && dir->dir && dir->dir->listed;
}

/* That it did not succeed is all the same here: it has ended. */
static int wait_for(struct fs *fs, uint64_t seq)
{
    struct change *c;
    int r;

    fs_unlock(fs);
    r = flush_wait(fs->flush, seq, false);
    fs_lock(fs);
    HASH_FIND(hh, fs->changes, &seq, sizeof(seq), c);
    return c ? (r < 0 ? r : -EIO) : 0;
}

int change_settle_path(struct fs *fs, struct node *n)
{
    for (unsigned i = 0; i < SETTLE_TRIES; i++) {
        const struct node *at = n;
        int r;

        while (at && !(at->ours && at->ours->moving > 0))
            at = at->parent;
        if (!at)
            return 0;
        r = wait_for(fs, at->ours->seq);
        if (r < 0)
            return r;
    }
    return -EBUSY;
}

/* The last change of n or of what is below it, or of the name. */
static uint64_t last_locked(const struct fs *fs, const struct node *n, const struct waiting_name *w)
{
    uint64_t seq = n && n->ours ? n->ours->seq : 0;

    if (!w && !(n && n->dir))
        return seq;
    for (const struct change *c = fs->changes; c; c = c->hh.next) {
        bool is = n && node_is_below_locked(c->node, n);

        for (unsigned i = 0; i < 2; i++)
            is = is || (c->names[i] &&
                        (c->names[i] == w || (n && node_is_below_locked(c->names[i]->dir, n))));
        if (is && c->seq > seq)
            seq = c->seq;
    }
    return seq;
}

int change_settle(struct fs *fs, struct node *n)
{
    int r = 0;

    if (!fs->changes)
        return 0;
    for (unsigned i = 0; r == 0 && i < SETTLE_TRIES; i++) {
        const uint64_t seq = last_locked(fs, n, NULL);

        if (seq == 0)
            return change_settle_path(fs, n);
        r = wait_for(fs, seq);
    }
    return r < 0 ? r : -EBUSY;
}

int change_settle_name(struct fs *fs, struct node *dir, const char *name)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < SETTLE_TRIES; i++) {
        const struct waiting_name *w = find_name_locked(fs, dir, name);

        if (!w)
            return change_settle_path(fs, dir);
        r = wait_for(fs, last_locked(fs, NULL, w));
    }
    return r < 0 ? r : -EBUSY;
}

bool change_settled_locked(const struct fs *fs, const struct node *n, const struct node *dir,
                           const char *name)
{
    return !fs->changes || (!n->ours && last_locked(fs, n, NULL) == 0 && !change_moving_locked(n) &&
                            !change_moving_locked(dir) && !change_names_locked(fs, dir, name));
}

int change_wait(struct fs *fs, struct node *n, bool fsync)
{
    const uint64_t seq = n->ours ? n->ours->seq : 0;
    int r;

    if (seq == 0)
        return 0;
    fs_unlock(fs);
    r = flush_wait(fs->flush, seq, fsync);
    fs_lock(fs);
    return r == -ECANCELED ? -EIO : r;
}

/* The change is in the journal: a line that is down is no reason to fail. */
int change_links(struct fs *fs, struct node *n)
{
    int r;

    if (!fs->flush || n->dir || n->attr.nlink <= 1)
        return 0;
    r = change_wait(fs, n, false);
    node_stale_links_locked(fs, n);
    return r == -EHOSTDOWN || r == -ETIMEDOUT || r == -EINTR ? 0 : r;
}

int change_lost_locked(const struct fs_file *file)
{
    const struct node_file *nf = file->node->file;

    return file->late_open == nf->late_gen ? 0 : nf->late_err;
}

int change_late_locked(struct fs_file *file)
{
    const struct node_file *nf = file->node->file;

    if (file->late_seen == nf->late_gen)
        return 0;
    file->late_seen = nf->late_gen;
    return nf->late_err;
}
