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
#include "fs/change_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- marks ---- */

static size_t make_key(const struct node *dir, const char *name, char key[CHANGE_KEY_MAX])
{
    const size_t len = strlen(name);

    if (len > CHANGE_KEY_MAX - sizeof(dir->id))
        return 0;
    memcpy(key, &dir->id, sizeof(dir->id));
    memcpy(key + sizeof(dir->id), name, len);
    return sizeof(dir->id) + len;
}

struct waiting_name *change_find_name_locked(const struct fs *fs, const struct node *dir,
                                             const char *name)
{
    struct waiting_name *w = NULL;
    char key[CHANGE_KEY_MAX];
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
    return dir->dir && dir->dir->waiting > 0 && change_find_name_locked(fs, dir, name) != NULL;
}

static struct waiting_name *mark_name_locked(struct fs *fs, struct node *dir, const char *name)
{
    struct waiting_name *w = change_find_name_locked(fs, dir, name);
    char key[CHANGE_KEY_MAX];

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

void change_name_of(const struct waiting_name *w, char ret[CHANGE_KEY_MAX])
{
    const size_t len = w->key_len - sizeof(uint64_t);

    memcpy(ret, w->key + sizeof(uint64_t), len);
    ret[len] = '\0';
}

/* Answers that are under way are about the time before. */
static void unmark_name_locked(struct fs *fs, struct waiting_name *w, uint64_t seq)
{
    struct node *dir = w->dir;
    char name[CHANGE_KEY_MAX];

    change_name_of(w, name);
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

bool change_makes(enum journal_kind kind)
{
    return kind == JOURNAL_CREATE || kind == JOURNAL_MKDIR || kind == JOURNAL_SYMLINK ||
           kind == JOURNAL_LINK;
}

/* Until it is there, what is asked for at the path is elsewhere, or is refused. */
static bool moves(const struct journal_record *rec, const struct node *n)
{
    const unsigned rights = JOURNAL_ATTR_MODE | JOURNAL_ATTR_UID | JOURNAL_ATTR_GID;

    return change_makes(rec->kind) || rec->kind == JOURNAL_RENAME ||
           (rec->kind == JOURNAL_SETATTR && (rec->attr.mask & rights) && n->dir);
}

bool change_writes(enum journal_kind kind)
{
    return kind == JOURNAL_PATCH || kind == JOURNAL_APPEND || kind == JOURNAL_TRUNCATE;
}

/* ---- a change begins to wait ---- */

static bool waits(const struct node *n)
{
    return n->ours && n->ours->waiting > 0;
}

struct journal_identity change_identity_of(const struct remote_attr *a)
{
    return (struct journal_identity){.dev = a->dev,
                                     .ino = a->ino,
                                     .size = a->size,
                                     .mtime_ns = a->mtime_ns,
                                     .ctime_ns = a->ctime_ns,
                                     .birth = a->birth};
}

static struct journal_object made_by(uint64_t seq)
{
    return (struct journal_object){.means = JOURNAL_MADE, .made_by = seq};
}

/* What it left is what the next change of the file finds. */
static uint64_t last_of(const struct node *n)
{
    const struct ours *o = n->ours;

    return !o ? 0 : o->seq > o->set_seq ? o->seq : o->set_seq;
}

static struct journal_object object_of_locked(const struct fs *fs, const struct node *n)
{
    const struct remote_attr *a = &n->attr;
    struct journal_object o = {.means = JOURNAL_IS, .identity = change_identity_of(a)};
    const uint64_t last = last_of(n);

    if (last != 0)
        return made_by(last);
    if (a->ino == 0)
        return (struct journal_object){.means = JOURNAL_ANY};
    /* What another name of it went through here moved its times, and is no other version. */
    if (node_suspect(n) || a->nlink > 1 || n->ours)
        o.identity.ctime_ns = 0;
    /* If another name of it waits, what is known under this one is from before that. */
    if (node_suspect(n) || n->ours)
        o.identity.mtime_ns = 0;
    if (a->nlink > 1 && links_find_locked(fs, n, waits))
        o.identity.mtime_ns = o.identity.size = 0;
    return o;
}

/*
 * The file itself, whatever it is called: what waits through any of its names comes before what
 * sets or writes the same through another.
 */
static struct journal_object file_of_locked(const struct fs *fs, const struct node *n)
{
    struct node *other = NULL;
    uint64_t last = last_of(n);

    while (n->attr.nlink > 1 && (other = links_next_locked(fs, n, other)))
        if (other->ours && other->ours->seq > last)
            last = other->ours->seq;
    return last != 0 ? made_by(last) : object_of_locked(fs, n);
}

/* A name goes from the version that was known then: what makes another one of it comes after. */
static void stand_on_file_locked(const struct fs *fs, struct journal_record *rec,
                                 const struct node *n)
{
    rec->object[JOURNAL_AT] = file_of_locked(fs, n);
    if (n->ours && n->ours->name_seq != 0)
        rec->object[JOURNAL_PARENT] = made_by(n->ours->name_seq);
}

void change_drop_ours_locked(struct node *n)
{
    if (!n->ours || n->ours->waiting > 0 || n->ours->beside > 0)
        return;
    free(n->ours);
    n->ours = NULL;
}

void change_free_locked(struct fs *fs, struct change *c, uint64_t seq)
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

void change_give_up_locked(struct fs *fs, struct change *c)
{
    change_drop_ours_locked(c->node);
    if (c->from)
        change_drop_ours_locked(c->from);
    for (size_t i = 0; i < c->other_count; i++)
        change_drop_ours_locked(c->others[i]);
    change_free_locked(fs, c, fs->seq);
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
    change_give_up_locked(fs, c);
    return NULL;
}

static void count_locked(struct fs *fs, struct change *c, const struct journal_record *rec)
{
    struct ours *o = c->node->ours;

    if (c->from) {
        c->from->ours->waiting++;
        c->from->ours->seq = c->seq;
    }
    for (size_t i = 0; i < c->other_count; i++) {
        c->others[i]->ours->beside++;
        if (c->kind == JOURNAL_SETATTR)
            c->others[i]->ours->set_seq = c->seq;
        else if (c->kind == JOURNAL_UNLINK || c->kind == JOURNAL_RENAME)
            c->others[i]->ours->name_seq = c->seq;
    }
    c->sets_mtime = c->kind == JOURNAL_SETATTR && (rec->attr.mask & JOURNAL_ATTR_MTIME);
    o->waiting++;
    c->moves = moves(rec, c->node);
    o->moving += c->moves;
    o->content += change_writes(c->kind);
    o->seq = c->seq;
    o->unborn = o->unborn || change_makes(c->kind);
    o->appended = o->appended || c->kind == JOURNAL_APPEND;
    o->mtime_set = o->mtime_set || c->sets_mtime;
    HASH_ADD(hh, fs->changes, seq, sizeof(c->seq), c);
}

/* An errno says too little of it, and others come right after it: once in a while. */
static void tell_refused_locked(struct fs *fs, const struct journal_record *rec, int r)
{
    static const int64_t every_ns = 10 * NS_PER_S;
    const char *why;
    char *shown;

    if (r == -ENOSPC)
        why =
            "not taken: less than 256 MiB are free where the journal is, or what waits has reached "
            "journal_size: make room, or mount with another journal_dir= or journal_size=";
    else if (r == -EIO || r == -ENOENT || r == -EACCES || r == -EROFS || r == -EDQUOT)
        why = "not taken: the journal on this machine cannot be written, or was removed; what "
              "waits is "
              "sent: unmount, and mount again";
    else
        return;
    if (fs->refused_ns != 0 && clock_mono_ns() < fs->refused_ns + every_ns)
        return;
    fs->refused_ns = clock_mono_ns();
    shown = rec->path ? fs_mount_path(fs, rec->path) : NULL;
    fs_report_locked(fs, shown ? shown : "-", r, "%s", why);
    free(shown);
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
    look_stand_on_locked(fs, rec, a, &c->stands);
    if (r == 0)
        r = c->kept ? flush_append_keep(fs->flush, rec, &c->seq)
                    : flush_append(fs->flush, rec, &c->seq);
    if (r < 0)
        tell_refused_locked(fs, rec, r);
    free(path);
    free(path2);
    return r;
}

int change_room(struct fs *fs, uint64_t bytes)
{
    return fs->flush ? flush_room(fs->flush, bytes) : 0;
}

int change_enter(struct fs *fs, struct change_call *ret, uint64_t ino, const uint64_t *other)
{
    int r = change_room(fs, 0);

    if (r < 0)
        return r;
    fs_lock(fs);
    ret->node = node_find_locked(fs, ino);
    ret->other = other ? node_find_locked(fs, *other) : NULL;
    if (ret->node && (ret->other || !other))
        return 0;
    change_leave(fs, ret);
    return -ESTALE;
}

void change_leave(struct fs *fs, const struct change_call *c)
{
    node_unref_locked(fs, c->node);
    node_unref_locked(fs, c->other);
    fs_unlock(fs);
}

/* Changes through other names wait, too, perhaps after its own: they move the times that those
 * left. What is written may make another file of it. */
static bool touched_beside_locked(const struct node *n)
{
    const struct ours *o = n->ours;

    return o && o->seq != 0 && o->beside > 0 && o->content == 0 && !o->unborn && n->attr.ino != 0;
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
    else if (change_makes(rec->kind))
        rec->object[JOURNAL_AT] = absent;
    else if (change_writes(rec->kind) || rec->kind == JOURNAL_SETATTR)
        stand_on_file_locked(fs, rec, a->node);
    else
        rec->object[JOURNAL_AT] = object_of_locked(fs, a->node);
    if (rec->kind == JOURNAL_UNLINK && touched_beside_locked(a->node))
        rec->object[JOURNAL_AT] = (struct journal_object){
            .means = JOURNAL_IS, .identity = {.dev = a->node->attr.dev, .ino = a->node->attr.ino}};
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
    change_give_up_locked(fs, c);
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
