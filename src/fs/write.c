#include "fs/fs_internal.h"

#include <errno.h>
#include <utlist.h>

static int my_turn(struct fs *fs, struct node *n)
{
    while (n->file->writing) {
        const int r = fs_wait(fs);

        if (r < 0)
            return r;
    }
    return 0;
}

/* What is written to a file that was replaced, or that lives on under another name only, would not
 * get there: say so. */
static int still_there(const struct node *n)
{
    const bool elsewhere = n->deleted && n->attr.nlink > 0;

    return elsewhere || (!n->deleted && node_gone_locked(n)) ? -ESTALE : 0;
}

bool write_blind_locked(const struct fs *fs, const struct node *n)
{
    const struct node_file *nf = n->file;

    /* Of an empty file all is here; one that was just made, and is there by now, is such. */
    return fs->flush && !n->deleted && !node_gone_locked(n) && !nf->local && !nf->reading &&
           !nf->writing && n->attr.size > 0 && !(nf->blob && blob_whole(nf->blob));
}

void write_blindly_locked(struct fs *fs, struct node *n, uint64_t size)
{
    lock_assert_held(&fs->lock);
    n->ours->blind = true;
    n->attr.size = size;
    change_shown_locked(n, n->file->when_ns, n->file->when_ns);
    data_drop_locked(fs, n);
    if (n->file->opened_id) /* the kernel may have pages of it */
        fs_tell_inode_locked(fs, n);
    n->file->opened_id = 0;
}

int write_begin(struct fs *fs, struct node *n)
{
    int r;

    do {
        r = data_fetch_all(fs, n);
        if (r == 0)
            r = my_turn(fs, n);
        if (r == 0)
            r = still_there(n);
        if (r < 0)
            return r;
    } while (!n->file->blob || !data_whole_locked(n)); /* a new version came while we waited */
    n->file->writing = true;
    return 0;
}

void write_end_locked(struct fs *fs, struct node *n)
{
    n->file->writing = false;
    fs_wake(fs);
}

void write_mark_locked(struct fs *fs, struct node *n)
{
    struct node_file *nf = n->file;

    lock_assert_held(&fs->lock);
    nf->gen++;
    if (!nf->local) {
        nf->local = true;
        nf->size = n->attr.size;
        data_rehold_locked(nf);
        if (!n->deleted && !fs->flush) {
            node_ref_locked(n);
            DL_APPEND(fs->unsent, nf);
            fs->unsent_count++;
        }
    }
    nf->mtime_ns = nf->ctime_ns = fs->flush && !n->deleted ? nf->when_ns : fs_sandbox_now(fs);
}

static void take_from_unsent_locked(struct fs *fs, struct node *n)
{
    n->file->err = 0;
    DL_DELETE(fs->unsent, n->file);
    fs->unsent_count--;
    node_unref_locked(fs, n); /* the caller has one of its own */
}

void write_sent_locked(struct fs *fs, struct node *n)
{
    lock_assert_held(&fs->lock);
    n->file->local = false;
    data_rehold_locked(n->file);
    take_from_unsent_locked(fs, n);
}

void write_deleted_locked(struct fs *fs, struct node *n)
{
    lock_assert_held(&fs->lock);
    if (!n->deleted) {
        n->deleted = true;
        if (node_local(n) && !fs->flush)
            take_from_unsent_locked(fs, n);
    }
}

int write_journal_locked(struct fs *fs, struct node *n, struct journal_record *rec)
{
    int r;

    if (!fs->flush || n->deleted)
        return 0; /* sent as a whole at close; or nobody's but the handles' */
    r = change_append_locked(fs, rec, &(struct change_about){.node = n});
    if (r < 0)
        return r;
    n->file->when_ns = rec->when_ns;
    if (rec->group != 0)
        n->file->group = rec->group;
    return 0;
}

static int journal_size(struct fs *fs, struct node *n, uint64_t size, uint64_t group)
{
    struct journal_record rec = {.kind = JOURNAL_TRUNCATE, .size = size, .group = group};

    return write_journal_locked(fs, n, &rec);
}

/* A new blob rather than an empty old one: a put under way goes on with what it began. */
static int truncate_to_nothing(struct fs *fs, struct node *n, uint64_t group)
{
    struct node_file *nf = n->file;
    struct blob *b;
    int r;

    r = my_turn(fs, n);
    if (r == 0)
        r = still_there(n);
    if (r < 0)
        return r;
    r = blob_new(fs->cache, 0, &b);
    if (r < 0)
        return r;
    r = journal_size(fs, n, 0, group);
    if (r < 0) {
        blob_unref(b);
        return r;
    }
    data_set_blob_locked(nf, b);
    nf->held = true;
    nf->version = n->attr;
    nf->verified = true;
    write_mark_locked(fs, n);
    nf->size = 0;
    return 0;
}

int write_truncate(struct fs *fs, struct node *n, uint64_t size, uint64_t group)
{
    struct blob *b;
    int r;

    if (size == 0)
        return truncate_to_nothing(fs, n, group);
    if (write_blind_locked(fs, n)) {
        r = journal_size(fs, n, size, group);
        if (r == 0)
            write_blindly_locked(fs, n, size);
        return r;
    }
    r = write_begin(fs, n);
    if (r < 0)
        return r;
    r = journal_size(fs, n, size, group);
    if (r < 0) {
        write_end_locked(fs, n);
        return r;
    }
    write_mark_locked(fs, n);
    b = blob_ref(n->file->blob);
    fs_unlock(fs);
    r = blob_resize(b, size);
    blob_unref(b);
    fs_lock(fs);
    write_mark_locked(fs, n);
    if (r == 0)
        n->file->size = size;
    write_end_locked(fs, n);
    return r;
}
