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
    bool sets_mtime;
    int64_t start_ns;     /* monotonic: when it was made here */
    struct node *node;    /* counted */
    struct node *kept;    /* counted; what it keeps readable */
    struct node *from;    /* counted; of a LINK: the name that was there already */
    struct node **others; /* counted, owned: names that share what it moves */
    size_t other_count;
    struct waiting_name *names[2]; /* each counts one of its changes */
    /* Of a RENAME: the version that it takes the place of, or, if it is to a new name, takes away.
     */
    struct journal_identity base;
    bool base_over;
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
    return kind == JOURNAL_CREATE || kind == JOURNAL_MKDIR || kind == JOURNAL_SYMLINK ||
           kind == JOURNAL_LINK;
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
    struct node *other = NULL;

    do
        other = links_next_locked(fs, n, other);
    while (other && !(other->ours && other->ours->waiting > 0));
    return other != NULL;
}

static struct journal_identity identity_of(const struct remote_attr *a)
{
    return (struct journal_identity){.dev = a->dev,
                                     .ino = a->ino,
                                     .size = a->size,
                                     .mtime_ns = a->mtime_ns,
                                     .ctime_ns = a->ctime_ns};
}

static struct journal_object object_of_locked(const struct fs *fs, const struct node *n)
{
    const struct remote_attr *a = &n->attr;
    struct journal_object o = {.means = JOURNAL_IS, .identity = identity_of(a)};

    if (n->ours && n->ours->seq != 0)
        return (struct journal_object){.means = JOURNAL_MADE, .made_by = n->ours->seq};
    if (a->ino == 0)
        return (struct journal_object){.means = JOURNAL_ANY};
    /* What another name of it went through here moved its times, and is no other version. */
    if (node_suspect(n) || a->nlink > 1 || n->ours)
        o.identity.ctime_ns = 0;
    if (node_suspect(n) || n->ours || (a->nlink > 1 && changes_elsewhere_locked(fs, n)))
        o.identity.mtime_ns = 0;
    return o;
}

/* Nothing waits any more that it would have to be known for. */
static void drop_ours_locked(struct node *n)
{
    if (!n->ours || n->ours->waiting > 0 || n->ours->beside > 0)
        return;
    free(n->ours);
    n->ours = NULL;
}

static void free_change_locked(struct fs *fs, struct change *c, uint64_t seq)
{
    for (unsigned i = 0; i < 2; i++)
        if (c->names[i])
            unmark_name_locked(fs, c->names[i], seq);
    for (size_t i = 0; i < c->other_count; i++)
        node_unref_locked(fs, c->others[i]);
    free(c->others);
    node_unref_locked(fs, c->kept);
    node_unref_locked(fs, c->from);
    node_unref_locked(fs, c->node);
    free(c);
}

static bool make_ours(struct node *n)
{
    if (n && !n->ours)
        n->ours = calloc(1, sizeof(*n->ours));
    return !n || n->ours;
}

/* The other names of n's file. */
static bool add_others_locked(struct fs *fs, struct change *c, const struct node *n)
{
    struct node *other = NULL, **v;
    size_t count = c->other_count;

    while ((other = links_next_locked(fs, n, other)))
        count++;
    if (count == c->other_count)
        return true;
    v = realloc(c->others, count * sizeof(*v));
    if (!v)
        return false;
    c->others = v;
    while ((other = links_next_locked(fs, n, other))) {
        if (other == c->node || other == c->from)
            continue;
        c->others[c->other_count++] = node_ref_locked(other);
        if (!make_ours(other))
            return false;
    }
    return true;
}

/* What a change of names, or of attributes, moves is one thing under all names of a file. */
static bool add_all_others_locked(struct fs *fs, struct change *c, const struct change_about *a)
{
    const bool shared = c->kind == JOURNAL_LINK || c->kind == JOURNAL_UNLINK ||
                        c->kind == JOURNAL_RENAME || c->kind == JOURNAL_SETATTR;

    return !shared || (add_others_locked(fs, c, a->node) &&
                       (!a->target || add_others_locked(fs, c, a->target)));
}

static void give_up_locked(struct fs *fs, struct change *c)
{
    drop_ours_locked(c->node);
    if (c->from)
        drop_ours_locked(c->from);
    for (size_t i = 0; i < c->other_count; i++)
        drop_ours_locked(c->others[i]);
    free_change_locked(fs, c, fs->seq);
}

/* What is read on; unless it was closed meanwhile. */
static struct node *kept_of_locked(const struct change_about *a)
{
    struct node *n = a->target ? a->target : a->node;

    return a->keep && n->file && n->file->opens > 0 ? node_ref_locked(n) : NULL;
}

static struct change *new_change_locked(struct fs *fs, enum journal_kind kind,
                                        const struct change_about *a)
{
    struct change *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->kind = kind;
    c->start_ns = clock_mono_ns();
    c->node = node_ref_locked(a->node);
    c->from = a->from ? node_ref_locked(a->from) : NULL;
    c->kept = kept_of_locked(a);
    if (a->dir)
        c->names[0] = mark_name_locked(fs, a->dir, a->name);
    if (a->new_dir)
        c->names[1] = mark_name_locked(fs, a->new_dir, a->new_name);
    if (make_ours(c->node) && make_ours(c->from) && (!a->dir || c->names[0]) &&
        (!a->new_dir || c->names[1]) && add_all_others_locked(fs, c, a))
        return c;
    give_up_locked(fs, c);
    return NULL;
}

static void count_locked(struct fs *fs, struct change *c, const struct journal_record *rec)
{
    struct ours *o = c->node->ours;

    if (c->from) {
        c->from->ours->waiting++;
        c->from->ours->seq = c->seq;
    }
    for (size_t i = 0; i < c->other_count; i++)
        c->others[i]->ours->beside++;
    c->sets_mtime = c->kind == JOURNAL_SETATTR && (rec->attr.mask & JOURNAL_ATTR_MTIME);
    o->waiting++;
    c->moves = moves(rec, c->node);
    o->moving += c->moves;
    o->content += writes(c->kind);
    o->seq = c->seq;
    o->unborn = o->unborn || makes(c->kind);
    o->appended = o->appended || c->kind == JOURNAL_APPEND;
    o->mtime_set = o->mtime_set || c->sets_mtime;
    HASH_ADD(hh, fs->changes, seq, sizeof(c->seq), c);
}

static int append_locked(struct fs *fs, struct journal_record *rec, const struct change_about *a,
                         struct change *c)
{
    char *path = NULL, *path2 = NULL;
    int r;

    if (a->from) {
        r = node_path_locked(fs, a->from, &path);
        if (r == 0)
            r = node_path_in_locked(fs, a->dir, a->name, &path2);
    } else if (a->dir)
        r = node_path_in_locked(fs, a->dir, a->name, &path);
    else
        r = node_path_locked(fs, a->node, &path);
    if (r == 0 && a->new_dir)
        r = node_path_in_locked(fs, a->new_dir, a->new_name, &path2);
    rec->path = path;
    if (path2)
        rec->path2 = path2;
    if (r == 0 && (rec->kind == JOURNAL_PATCH || rec->kind == JOURNAL_TRUNCATE ||
                   rec->kind == JOURNAL_RENAME))
        unseen_stand_on_locked(fs, rec);
    if (rec->kind == JOURNAL_RENAME) {
        c->base_over = rec->object[JOURNAL_AT2].means != JOURNAL_ABSENT;
        c->base = rec->object[c->base_over ? JOURNAL_AT2 : JOURNAL_AT].identity;
    }
    if (r == 0)
        r = c->kept ? flush_append_keep(fs->flush, rec, &c->seq)
                    : flush_append(fs->flush, rec, &c->seq);
    free(path);
    free(path2);
    return r;
}

int change_room(struct fs *fs, uint64_t bytes)
{
    return fs->flush ? flush_room(fs->flush, bytes) : 0;
}

int change_append_locked(struct fs *fs, struct journal_record *rec, const struct change_about *a)
{
    const struct journal_object absent = {.means = JOURNAL_ABSENT};
    struct change *c;
    int r;

    lock_assert_held(&fs->lock);
    rec->when_ns = fs_sandbox_now(fs);
    if (a->from)
        rec->object[JOURNAL_AT] = object_of_locked(fs, a->from);
    else
        rec->object[JOURNAL_AT] = makes(rec->kind) ? absent : object_of_locked(fs, a->node);
    if (a->from || a->new_dir)
        rec->object[JOURNAL_AT2] = a->target ? object_of_locked(fs, a->target) : absent;
    c = new_change_locked(fs, rec->kind, a);
    if (!c)
        return -ENOMEM;
    r = append_locked(fs, rec, a, c);
    if (r == 0) {
        count_locked(fs, c, rec);
        if (c->kept)
            keep_begun_locked(c->kept, c->seq);
        return 0;
    }
    give_up_locked(fs, c);
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

/* What it will have once the changes of its other names are there, too. */
static void keep_shared(struct remote_attr *attr, const struct remote_attr *was)
{
    attr->mode = was->mode;
    attr->nlink = was->nlink;
    attr->uid = was->uid;
    attr->gid = was->gid;
}

/* All that was waiting of the node is there; now is what the sandbox has. */
static void learn_locked(struct fs *fs, struct node *n, int64_t start_ns, const struct ours *o,
                         const struct remote_attr *now)
{
    struct remote_attr attr = *now;
    struct node_file *nf = n->file;
    const struct remote_attr was = n->attr;

    if ((was.mode & S_IFMT) != (now->mode & S_IFMT)) {
        node_stale_locked(n);
        return;
    }
    if (nf)
        nf->kept_id = 0; /* what is kept of it is another version by now */
    node_born_locked(fs, n, now);
    if (nf && nf->local) {
        const bool sized = now->size == nf->size, same = sized && !o->strange && !o->adding;

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
    if (n->ours)
        keep_shared(&attr, &was);
    node_set_attr_locked(n, &attr);
    node_known_locked(n, start_ns);
    data_check_locked(fs, n);
    if (nf && nf->opens == 0)
        data_keep_locked(fs, n);
    if (n->dir && n->dir->listed && !n->dir->covered && fs->serves) {
        n->dir->covered = true; /* and is told of in full by the next answer about changes */
        n->dir->covered_ns = now->ctime_ns;
        n->dir->list_ns = start_ns;
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

static void done_locked(struct fs *fs, const struct change *c, struct node *n, const struct ours *o,
                        const struct flush_end *v)
{
    if (n->deleted)
        return;
    if (o->waiting > 0) {
        if (v->has_now && (n->attr.mode & S_IFMT) == (v->now.mode & S_IFMT))
            node_born_locked(fs, n, &v->now);
    } else if (v->has_now && !o->spoiled) {
        learn_locked(fs, n, c->start_ns, o, &v->now);
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
        fs_report_locked(fs, shown ? shown : v->path, v->err,
                         "%s: the sandbox has another version, which stays; ours is kept aside",
                         what);
    else
        fs_report_locked(
            fs, shown ? shown : v->path, v->err,
            "%s: refused by the sandbox after it was accepted here: %s; it is kept aside", what,
            errtext_sentence(v->err));
    free(shown);
}

/* What is there now has been seen by nobody here. */
static void note_unseen_locked(struct fs *fs, const struct change *c, const struct flush_end *v)
{
    const struct remote_attr *a = &c->node->attr;
    const struct journal_identity known = identity_of(a);
    char *path = NULL, name[KEY_MAX];

    if (v->outcome != JOURNAL_CONFLICT || S_ISDIR(a->mode))
        return;
    if (c->kind == JOURNAL_RENAME && c->base_over) {
        name_of(c->names[1], name);
        if (node_path_in_locked(fs, c->names[1]->dir, name, &path) == 0)
            unseen_add_locked(fs, path, &c->base);
        free(path);
    } else if (c->kind == JOURNAL_RENAME) {
        unseen_add_locked(fs, v->path, &c->base);
    } else if (writes(c->kind)) {
        unseen_add_locked(fs, v->path, &known);
    }
}

/* The tree goes back to what the sandbox has, which is asked for at the next access. */
static void failed_locked(struct fs *fs, struct change *c, const struct flush_end *v)
{
    struct node *n = c->node;

    remember_late_locked(n, v->outcome == JOURNAL_CONFLICT ? -EIO : v->err);
    note_unseen_locked(fs, c, v);
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

/* Was what was added added to what is known here? Of several that went as one the last tells. */
static void note_base_locked(struct node *n, const struct change *c, const struct flush_end *v,
                             uint64_t first_seq)
{
    struct ours *o = n->ours;
    const struct remote_attr *base = o->left.ino != 0 ? &o->left : &n->attr;
    const bool adds = o->adding || c->kind == JOURNAL_APPEND;

    o->adding = adds && !v->has_now;
    if (!v->has_now)
        return;
    if (adds && o->born_at != first_seq && !remote_attr_same(&v->other, base))
        o->strange = true;
    o->left = v->now;
}

/* One of its own has ended. Returns what there was of it, that one no longer counted. */
static struct ours leave_locked(struct fs *fs, struct node *n, bool ok)
{
    struct ours *o = n->ours, was;

    o->waiting--;
    o->spoiled = o->spoiled || !ok;
    was = *o;
    n->changed_seq = fs->seq;
    if (o->waiting == 0)
        *o = (struct ours){.beside = o->beside};
    drop_ours_locked(n);
    return was;
}

/* Of another name of n's file. It says what that has now, or what it left to those that stay. */
static void other_ended_locked(struct fs *fs, const struct change *c, struct node *n,
                               const struct flush_end *v, bool ok)
{
    const struct ours what = {.mtime_set = c->sets_mtime};
    const struct remote_attr *now = NULL;

    n->ours->beside--;
    n->changed_seq = fs->seq;
    drop_ours_locked(n);
    if (n->deleted || (n->ours && n->ours->waiting > 0))
        return;
    if (ok && v->has_now && remote_attr_same_object(&v->now, &n->attr))
        now = &v->now;
    else if (ok && v->other.ino != 0 && remote_attr_same_object(&v->other, &n->attr))
        now = &v->other;
    if (!now || (!c->sets_mtime && now->mtime_ns != n->attr.mtime_ns))
        n->shown_times = false;
    if (now) {
        learn_locked(fs, n, c->start_ns, &what, now);
    } else {
        node_stale_locked(n);
        fs_tell_inode_locked(fs, n);
    }
}

static void ended_locked(struct fs *fs, struct change *c, const struct flush_end *v,
                         uint64_t first_seq)
{
    const bool ok = v->outcome == JOURNAL_DONE || v->outcome == JOURNAL_DROPPED;
    struct ours *o = c->node->ours, was;
    const uint64_t seq = ++fs->seq;

    HASH_DEL(fs->changes, c);
    o->moving -= c->moves;
    o->content -= writes(c->kind);
    if (makes(c->kind)) {
        o->unborn = false;
        o->born_at = first_seq;
    }
    note_base_locked(c->node, c, v, first_seq);
    was = leave_locked(fs, c->node, ok);
    if (!ok) {
        report_locked(fs, v, journal_kind_name(c->kind));
        failed_locked(fs, c, v);
        if (was.waiting == 0)
            forget_locked(fs, c->node);
    } else {
        if (c->kind == JOURNAL_PATCH || c->kind == JOURNAL_TRUNCATE)
            unseen_forget_locked(fs, v->path);
        done_locked(fs, c, c->node, &was, v);
    }
    if (c->from) {
        was = leave_locked(fs, c->from, ok);
        if (ok)
            done_locked(fs, c, c->from, &was, v);
        else if (was.waiting == 0)
            forget_locked(fs, c->from);
    }
    for (size_t i = 0; i < c->other_count; i++)
        other_ended_locked(fs, c, c->others[i], v, ok);
    if (c->kept)
        keep_ended_locked(fs, c->kept, c->seq, ok ? &v->other : NULL);
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
            report_locked(fs, &v[i], "a change that was kept, or made by an earlier mount");
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
        c->node->ours->waiting--;
        if (c->from)
            c->from->ours->waiting--;
        for (size_t i = 0; i < c->other_count; i++)
            c->others[i]->ours->beside--;
        give_up_locked(fs, c);
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

int change_settle_one(struct fs *fs, uint64_t seq)
{
    return wait_for(fs, seq);
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

/* Does it move what n shares with other names? */
static bool is_beside(const struct change *c, const struct node *n)
{
    for (size_t i = 0; i < c->other_count; i++)
        if (c->others[i] == n)
            return true;
    return false;
}

/* The last change of n or of what is below it, or of the name. */
static uint64_t last_locked(const struct fs *fs, const struct node *n, const struct waiting_name *w)
{
    uint64_t seq = n && n->ours ? n->ours->seq : 0;

    if (!w && !(n && (n->dir || (n->ours && n->ours->beside > 0))))
        return seq;
    for (const struct change *c = fs->changes; c; c = c->hh.next) {
        bool is = n && (node_is_below_locked(c->node, n) || is_beside(c, n) ||
                        (c->from && node_is_below_locked(c->from, n)));

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
    if (r == 0)
        r = links_settle(fs, n);
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
