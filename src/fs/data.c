/* data.c - content, read: which blob a file has, what of it comes when, and if it is still true. */
#include "fs/fs_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Two versions whose ctime fell into one tick of the sandbox's clock look alike. So what was
 * fetched this soon after the file's ctime is used by whoever opened it, and fetched again for the
 * next. The rest is slack for how well we know that clock.
 */
#define RACY_NS (100 * NS_PER_MS)

void data_set_blob_locked(struct node_file *nf, struct blob *b)
{
    if (nf->blob && nf->held)
        blob_release(nf->blob);
    nf->held = false;
    blob_unref(nf->blob);
    nf->blob = b;
}

void data_drop_locked(struct fs *fs, struct node *n)
{
    lock_assert_held(&fs->lock);
    if (n->file)
        data_set_blob_locked(n->file, NULL);
}

void data_rehold_locked(struct node_file *nf)
{
    const bool hold = nf->opens > 0 || nf->local;

    if (!nf->blob || hold == nf->held)
        return;
    if (!hold)
        blob_release(nf->blob);
    else if (!blob_hold(nf->blob)) {
        data_set_blob_locked(nf, NULL); /* the cache was full meanwhile */
        return;
    }
    nf->held = hold;
}

void data_check_locked(struct fs *fs, struct node *n)
{
    struct node_file *nf = n->file;

    if (nf && nf->blob && !nf->local && !remote_attr_same(&nf->version, &n->attr))
        data_drop_locked(fs, n);
}

void data_open_locked(struct node *n)
{
    struct node_file *nf = n->file;

    if (nf->opens++ == 0 && nf->blob && !nf->local && !nf->verified)
        data_set_blob_locked(nf, NULL);
    data_rehold_locked(nf);
}

void data_close_locked(struct node *n)
{
    n->file->opens--;
    data_rehold_locked(n->file);
}

bool data_whole_locked(struct node *n)
{
    return n->file->blob && blob_whole(n->file->blob);
}

int data_blob_locked(struct fs *fs, struct node *n)
{
    struct node_file *nf = n->file;
    struct blob *b;
    int r;

    lock_assert_held(&fs->lock);
    if (nf->blob)
        return 0;
    r = blob_new(fs->cache, node_size(n), &b);
    if (r < 0)
        return r;
    data_set_blob_locked(nf, b);
    nf->held = true;
    nf->version = n->attr;
    /* Of nothing there is one version only. */
    nf->verified = node_size(n) == 0 || n->attr.ctime_ns + RACY_NS < fs_sandbox_now(fs);
    return 0;
}

static bool version_moved(int err)
{
    return err == -ESTALE || err == -ENOENT || err == -ENOTDIR;
}

int data_fetch_range(struct fs *fs, struct node *n, uint64_t off, uint64_t bytes)
{
    struct node_file *nf = n->file;
    const struct remote_attr version = nf->version;
    struct blob *b = blob_ref(nf->blob);
    const bool held = blob_hold(b);
    char *path = NULL;
    uint64_t got = 0;
    int r;

    r = !held      ? -ESTALE
        : nf->kept ? keep_path_locked(fs, n, &path)
                   : node_path_locked(fs, n, &path);
    fs_unlock(fs);
    if (r == 0)
        r = remote_fetch(fs->remote, path, &version, off, bytes, blob_fd(b), &got);
    if (r == 0 && got < bytes)
        r = -ESTALE; /* shorter than the version we know */
    if (held) {
        blob_settle(b, off, bytes, r == 0);
        blob_release(b);
    }
    blob_unref(b);
    fs_lock(fs);
    if (r == 0 && nf->kept && nf->blob && data_whole_locked(n))
        keep_drop_locked(fs, n);
    fs_wake(fs);
    free(path);
    return r;
}

static int settle(struct fs *fs, struct node *n)
{
    const int r = change_settle_path(fs, n);

    return r < 0 ? r : change_settle(fs, n);
}

int data_fetch(struct fs *fs, struct node *n, uint64_t off, uint64_t window, unsigned *stale)
{
    uint64_t start, bytes;
    bool kept;
    int r;

    if (n->file->writing) /* what is written now must not be overtaken by what was there */
        return fs_wait(fs);
    if (change_hidden_locked(n))
        return settle(fs, n); /* then whoever wants it looks again */
    if (n->deleted && !n->file->kept)
        return keep_settle(fs, n);
    r = data_blob_locked(fs, n);
    if (r < 0)
        return r;
    r = blob_take(n->file->blob, off, window, &start, &bytes);
    if (r == -EBUSY)
        return fs_wait(fs);
    if (r <= 0)
        return r;
    if (!n->file->kept && node_gone_locked(n)) {
        blob_settle(n->file->blob, start, bytes, false);
        return -ESTALE;
    }
    kept = n->file->kept;
    r = data_fetch_range(fs, n, start, bytes);
    if (!version_moved(r))
        return r;
    if (n->deleted) /* while it was asked for by its name, perhaps */
        return kept ? -ESTALE : keep_settle(fs, n);

    /* Changed in place: what comes next is of the new version. Replaced, or gone: the end. */
    if ((*stale)-- == 0)
        return -ESTALE;
    if (n->ours) /* some of it is there already: what that is, is known when all of it is */
        return settle(fs, n);
    if (!node_local(n))
        node_stale_locked(n);
    r = tree_refresh(fs, n, fs_since(fs), false);
    if (r < 0)
        return r;
    return node_gone_locked(n) ? -ESTALE : 0;
}

int data_fetch_all(struct fs *fs, struct node *n)
{
    unsigned stale = FS_STALE_TRIES;
    uint64_t off = 0;

    for (;;) {
        struct blob *before;
        int r;

        r = data_blob_locked(fs, n);
        if (r < 0)
            return r;
        if (data_whole_locked(n))
            return 0;
        before = n->file->blob;
        off = blob_local_to(before, off, blob_size(before));
        if (off >= blob_size(before))
            off = 0;
        r = data_fetch(fs, n, off, FS_WINDOW_MAX, &stale);
        if (r < 0)
            return r;
        if (n->file->blob != before)
            off = 0;
    }
}

/* ---- as it is now ---- */

/* A blob that holds these bytes. Without the lock: it takes the disk. */
static int blob_of(struct fs *fs, const struct buf *bytes, struct blob **ret)
{
    uint64_t off, len;
    struct blob *b;
    ssize_t put = 0;
    int r = blob_new(fs->cache, bytes->len, &b);

    if (r < 0 || bytes->len == 0) {
        if (r == 0)
            *ret = b;
        return r;
    }
    (void)blob_take(b, 0, bytes->len, &off, &len); /* new: all of it is ours */
    for (size_t done = 0; done < bytes->len; done += (size_t)put) {
        put = pwrite(blob_fd(b), bytes->data + done, bytes->len - done, (off_t)done);
        if (put < 0 && errno == EINTR)
            put = 0;
        else if (put <= 0)
            break;
    }
    if (put < 0)
        r = -errno;
    blob_settle(b, 0, bytes->len, r == 0);
    if (r == 0) {
        *ret = b;
        return 0;
    }
    blob_release(b);
    blob_unref(b);
    return r;
}

/* What is there is not all that there is, or not at that path. */
static bool ours_locked(const struct node *n)
{
    return n->ours || node_local(n) || n->file->writing || change_moving_locked(n);
}

/* The node is not in the tree any more, and whoever opened it to read means what has its name now:
 * it becomes a picture of that. */
static bool may_be_picture_locked(const struct node *n)
{
    return !n->deleted && n->file->wopens == 0;
}

/* -EAGAIN: a change here, or a later answer, was quicker. Takes b on success. */
static int take_picture_locked(struct fs *fs, struct flight *f, struct node *n,
                               const struct remote_attr *attr, struct blob *b, bool verified,
                               bool opening)
{
    if (n->parent && !node_gone_locked(n->parent))
        (void)flight_apply_name_locked(fs, f, n->parent, n->name, 0, attr, NULL);
    if (node_gone_locked(n) && !(opening && follow_known_locked(fs, n, true))) {
        if (!may_be_picture_locked(n) || n->changed_seq > f->seq)
            return -ESTALE;
        n->resized = n->resized || n->attr.size != attr->size;
        node_set_attr_locked(n, attr);
    }
    if (ours_locked(n) || !remote_attr_same(&n->attr, attr))
        return -EAGAIN;
    data_set_blob_locked(n->file, b);
    n->file->held = true;
    n->file->version = *attr;
    n->file->verified = verified;
    return 0;
}

static int ask_now(struct fs *fs, struct node *n, const char *path, bool opening)
{
    struct buf bytes = BUF_INIT(FS_SMALL + 1);
    const int64_t start_ns = fs_sandbox_now(fs);
    struct blob *b = NULL;
    struct remote_attr attr;
    struct flight f;
    int r;

    flight_start_locked(fs, &f);
    fs_unlock(fs);
    r = remote_snapshot(fs->remote, path, FS_SMALL, &bytes, &attr);
    if (r == 0)
        r = blob_of(fs, &bytes, &b);
    fs_lock(fs);
    if (r == 0)
        r = take_picture_locked(fs, &f, n, &attr, b, attr.ctime_ns + RACY_NS < start_ns, opening);
    flight_done(&f);
    fs_wake(fs);
    if (r < 0 && b) {
        blob_release(b);
        blob_unref(b);
    }
    buf_done(&bytes);
    return r;
}

int data_fetch_now(struct fs *fs, struct node *n, bool opening)
{
    char *path = NULL;
    int r;

    if (!fs->serves || n->deleted || ours_locked(n))
        return -EAGAIN;
    r = node_path_locked(fs, n, &path);
    if (r == 0)
        r = ask_now(fs, n, path, opening);
    free(path);
    if (version_moved(r) || r == -EISDIR || r == -ELOOP || r == -EINVAL)
        return -ESTALE; /* whoever looks the name up again sees what it is now */
    return r == -EFBIG || r == -EOPNOTSUPP ? -EAGAIN : r;
}

bool data_young_locked(struct fs *fs, const struct node *n)
{
    return n->attr.ctime_ns > fs_sandbox_now(fs) - fs->ahead_age_ns;
}

/* ---- across mounts ---- */

/*
 * What is kept for the next mount is found there by the version it was labelled with. If the label
 * is wrong, because the file changed before or while it was fetched, then that version is over: a
 * file never gets an earlier ctime back. Two versions within one tick of the clock are told apart
 * by `verified`. So nobody looks for what is wrong.
 */
struct cache_key data_key_of(const struct remote_attr *a)
{
    return (struct cache_key){.dev = a->dev,
                              .ino = a->ino,
                              .size = a->size,
                              .mtime_ns = a->mtime_ns,
                              .ctime_ns = a->ctime_ns};
}

bool data_kept_locked(const struct fs *fs, const struct node *n)
{
    const struct cache_key key = data_key_of(&n->attr);

    return cache_has(fs->cache, &key);
}

void data_recall(struct fs *fs, struct node *n)
{
    const struct cache_key key = data_key_of(&n->attr);
    struct node_file *nf = n->file;
    struct blob *b;

    lock_assert_held(&fs->lock);
    if (nf->blob || nf->local || !cache_has(fs->cache, &key))
        return;
    if (data_blob_locked(fs, n) < 0)
        return; /* whoever fetches it meets the failure */
    b = blob_ref(nf->blob);
    if (nf->verified && blob_hold(b)) {
        fs_unlock(fs);
        if (cache_get(fs->cache, &key, b) == 0 && blob_whole(b)) {
            fs_lock(fs);
            nf->kept_id = blob_id(b);
            fs_unlock(fs);
        }
        blob_release(b);
        fs_lock(fs);
        fs_wake(fs);
    }
    blob_unref(b);
}

void data_keep_locked(struct fs *fs, struct node *n)
{
    const struct node_file *nf = n->file;
    const struct cache_key key = data_key_of(&nf->version);

    lock_assert_held(&fs->lock);
    if (!nf->blob || nf->local || !nf->verified || nf->kept_id == blob_id(nf->blob))
        return;
    cache_put(fs->cache, &key, nf->blob);
    if (data_whole_locked(n))
        n->file->kept_id = blob_id(nf->blob);
}
