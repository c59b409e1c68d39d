/* What became of changes in the sandbox meets the tree, which has shown them since they were made.
 */
#include "fs/change_internal.h"

#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
        if (n->attr.nlink > 1)
            links_written_locked(fs, n);
    } else {
        forget_locked(fs, n);
    }
}

static void forget_name_locked(struct fs *fs, struct waiting_name *w)
{
    char name[CHANGE_KEY_MAX];

    change_name_of(w, name);
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
    char old[CHANGE_KEY_MAX], new[CHANGE_KEY_MAX];

    change_name_of(from, old);
    change_name_of(to, new);
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
static void note_refused_locked(struct fs *fs, const struct change *c, const struct flush_end *v)
{
    struct look_stand s = c->stands;

    if (v->outcome != JOURNAL_CONFLICT || c->node->dir ||
        (c->kind != JOURNAL_RENAME && !change_writes(c->kind)))
        return;
    if (s.base.ino == 0 && change_writes(c->kind))
        s.base = change_identity_of(&c->node->attr); /* it stood on one of ours */
    look_refused_locked(fs, &s, v->path);
}

/* The tree goes back to what the sandbox has, which is asked for at the next access. */
static void failed_locked(struct fs *fs, struct change *c, const struct flush_end *v)
{
    struct node *n = c->node;

    if (v->outcome == JOURNAL_CONFLICT && (change_writes(c->kind) || c->kind == JOURNAL_CREATE))
        beside_add_locked(fs, v->path, n);
    remember_late_locked(n, v->outcome == JOURNAL_CONFLICT ? -EIO : v->err);
    note_refused_locked(fs, c, v);
    if (c->kind == JOURNAL_RENAME)
        move_back_locked(fs, c);
    if (change_makes(c->kind) && !n->deleted) {
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
        *o = (struct ours){.beside = o->beside, .set_seq = o->set_seq, .name_seq = o->name_seq};
    change_drop_ours_locked(n);
    return was;
}

/* Of another name of n's file. It says what that has now, or what it left to those that stay. */
static void other_ended_locked(struct fs *fs, const struct change *c, struct node *n,
                               const struct flush_end *v, bool ok)
{
    const struct ours what = {.mtime_set = c->sets_mtime};
    const struct remote_attr *now = NULL;

    n->ours->beside--;
    if (n->ours->set_seq == c->seq)
        n->ours->set_seq = 0;
    if (n->ours->name_seq == c->seq)
        n->ours->name_seq = 0;
    n->changed_seq = fs->seq;
    change_drop_ours_locked(n);
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

static void sent_locked(struct node *dir, const struct flush_end *v)
{
    if (!dir || !dir->dir)
        return;
    dir->dir->unasked = true;
    if (dir->dir->sent_ns < v->told_ns)
        dir->dir->sent_ns = v->told_ns;
}

static void ended_locked(struct fs *fs, struct change *c, const struct flush_end *v,
                         uint64_t first_seq)
{
    const bool ok = v->outcome == JOURNAL_DONE || v->outcome == JOURNAL_DROPPED;
    struct ours *o = c->node->ours, was;
    const uint64_t seq = ++fs->seq;

    HASH_DEL(fs->changes, c);
    o->moving -= c->moves;
    o->content -= change_writes(c->kind);
    if (change_makes(c->kind)) {
        o->unborn = false;
        o->born_at = first_seq;
    }
    for (unsigned i = 0; i < 2; i++)
        if (c->names[i])
            sent_locked(c->names[i]->dir, v);
    sent_locked(c->node->parent, v);
    note_base_locked(c->node, c, v, first_seq);
    was = leave_locked(fs, c->node, ok);
    if (!ok) {
        report_locked(fs, v, journal_kind_name(c->kind));
        failed_locked(fs, c, v);
        if (was.waiting == 0)
            forget_locked(fs, c->node);
    } else {
        if (v->outcome == JOURNAL_DONE)
            look_settled_locked(fs, c->node, c->kind);
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
    change_free_locked(fs, c, seq);
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
        if (c) {
            ended_locked(fs, c, &v[i], v[0].seq);
        } else if (v[i].outcome == JOURNAL_REJECTED || v[i].outcome == JOURNAL_CONFLICT) {
            report_locked(fs, &v[i], "a change that was kept, or made by an earlier mount");
            if (v[i].outcome == JOURNAL_CONFLICT)
                beside_add_locked(fs, v[i].path, NULL);
        }
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
        change_give_up_locked(fs, c);
    }
}
