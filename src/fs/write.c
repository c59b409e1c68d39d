/* write.c - content, changed: whose turn it is, and what goes to the journal. */
#include "fs/fs_internal.h"

#include <errno.h>
#include <utlist.h>

#define REST UINT64_MAX /* all bytes up to the end, and beyond */

/* What was written through another name is there, and n known as that left it. May wait. */
static int after_other_names(struct fs *fs, struct node *n)
{
    int r = 0;

    for (unsigned i = 0; r == 0 && i < FS_TRIES && !links_turn_locked(fs, n); i++)
        r = links_ready(fs, n);
    /* If only nobody can say what it is like now: this stands on whatever that is. */
    return r < 0 && r != -EINTR && !links_waiting_locked(fs, n) ? 0 : r;
}

/* Nobody else writes, or fetches what is to be written, and what is written has a path. */
static int my_turn(struct fs *fs, struct node *n, uint64_t off, uint64_t bytes)
{
    const struct node_file *nf = n->file;

    for (;;) {
        int r = write_in_parts(fs, n) ? after_other_names(fs, n) : 0;

        if (r == 0 && write_in_parts(fs, n))
            r = op_await_path(fs, n);
        if (r == 0 && (nf->writing || (nf->blob && blob_taken(nf->blob, off, bytes))))
            r = fs_wait(fs);
        else if (r < 0 || !write_in_parts(fs, n) || !links_waiting_locked(fs, n))
            return r;
        if (r < 0)
            return r;
    }
}

/* What is written to a file that was replaced, or that lives on under another name only, would not
 * get there: say so. */
static int still_there(const struct node *n)
{
    const bool elsewhere = n->deleted && n->attr.nlink > 0;

    return elsewhere || (!n->deleted && node_gone_locked(n)) ? -ESTALE : 0;
}

bool write_in_parts(const struct fs *fs, const struct node *n)
{
    return fs->flush && !n->deleted;
}

int write_begin(struct fs *fs, struct node *n, uint64_t off, uint64_t bytes)
{
    int r;

    do {
        const uint64_t size = node_size(n), last = size - (size > 0);

        r = write_in_parts(fs, n) ? data_blob_locked(fs, n) : data_fetch_all(fs, n);
        /* Beyond the end the block that this lies in grows. */
        if (r == 0)
            r = off < size && bytes <= size - off ? my_turn(fs, n, off, bytes)
                                                  : my_turn(fs, n, off < last ? off : last, REST);
        if (r == 0)
            r = still_there(n);
        if (r < 0)
            return r;
        /* A new version may have come while we waited. */
    } while (!n->file->blob || !(write_in_parts(fs, n) || data_whole_locked(n)));
    links_unshare_locked(fs, n);
    n->file->writing = true;
    return 0;
}

void write_hidden_locked(struct fs *fs, struct node *n, int r)
{
    lock_assert_held(&fs->lock);
    if (r < 0)
        data_drop_locked(fs, n);
    if (r != 0 && n->ours)
        n->ours->blind = true;
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

int write_journal_locked(struct fs *fs, struct node *n, struct journal_record *rec,
                         const struct fs_file *file)
{
    int r;

    if (!fs->flush || n->deleted)
        return 0; /* sent as a whole at close; or nobody's but the handles' */
    rec->group = file ? file->group : 0;
    r = change_append_locked(fs, rec, &(struct change_about){.node = n, .file = file});
    if (r < 0)
        return r;
    n->file->when_ns = rec->when_ns;
    if (rec->group != 0)
        n->file->group = rec->group;
    return 0;
}

static int journal_size(struct fs *fs, struct node *n, uint64_t size, const struct fs_file *file)
{
    struct journal_record rec = {
        .kind = JOURNAL_TRUNCATE, .size = size, .flags = size == 0 ? JOURNAL_GROWS : 0};

    return write_journal_locked(fs, n, &rec, file);
}

/*
 * With durability=sync and a journal what is written is there before the next change of the file
 * begins, by whichever handle, or of its name or attributes, which are made at once: so each stands
 * on what the one before has left, and on nothing that nobody here has seen.
 */
int write_enter(struct fs *fs, struct node *n, struct writing *w)
{
    const bool alone = fs->config.durability == FS_DURABILITY_SYNC && write_in_parts(fs, n);

    w->op.count = 0;
    w->late_gen = n->file->late_gen;
    return alone ? op_begin_node(fs, &w->op, n) : 0;
}

/* Who is told here need not be told again, and may go on. */
static void told_locked(struct fs_file *file, const struct writing *w)
{
    if (!file || file->late_seen != w->late_gen)
        return;
    file->late_open = file->late_seen = file->node->file->late_gen;
}

ssize_t write_leave(struct fs *fs, struct node *n, struct fs_file *file, struct writing *w,
                    ssize_t r, bool shown)
{
    const bool sync = fs->config.durability == FS_DURABILITY_SYNC;
    int sent = 0;

    if (r >= 0 && sync && fs->flush)
        sent = change_wait(fs, n, false);
    if (r >= 0 && sent == 0 && (sync || shown))
        sent = fs->flush ? change_links(fs, n) : send_node(fs, n);
    if (sent < 0)
        told_locked(file, w);
    if (w->op.count > 0)
        op_end_locked(fs, &w->op);
    return sent < 0 ? sent : r;
}

/* A new blob rather than an empty old one: a put under way goes on with what it began. */
static int truncate_to_nothing(struct fs *fs, struct node *n, const struct fs_file *file)
{
    struct node_file *nf = n->file;
    struct blob *b;
    int r;

    r = my_turn(fs, n, 0, 0);
    if (r == 0)
        r = still_there(n);
    if (r < 0)
        return r;
    r = blob_new(fs->cache, 0, &b);
    if (r < 0)
        return r;
    r = journal_size(fs, n, 0, file);
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

int write_truncate(struct fs *fs, struct node *n, uint64_t size, const struct fs_file *file)
{
    bool journaled;
    struct blob *b;
    int r;

    if (size == 0)
        return truncate_to_nothing(fs, n, file);
    r = write_begin(fs, n, size, REST);
    journaled = r == 0 && write_in_parts(fs, n);
    if (r < 0)
        return r;
    r = journal_size(fs, n, size, file);
    if (r < 0) {
        write_end_locked(fs, n);
        return r;
    }
    write_mark_locked(fs, n);
    if (journaled)
        n->file->size = size;
    b = blob_ref(n->file->blob);
    fs_unlock(fs);
    r = blob_resize(b, size);
    blob_unref(b);
    fs_lock(fs);
    if (journaled) {
        write_hidden_locked(fs, n, r);
        r = 0;
    } else {
        write_mark_locked(fs, n);
        if (r == 0)
            n->file->size = size;
    }
    write_end_locked(fs, n);
    return r;
}
