/* send.c - the content of a file on its way to the sandbox, where there is no journal. */
#include "fs/fs_internal.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <utlist.h>

/*
 * How content goes to the sandbox in plain mode: a whole file at a time, by a put that replaces
 * what is there. Conflicts: the last close wins. A file that the sandbox changed while it was being
 * written here is replaced by what was written here; nothing is merged and nothing asked.
 */

enum { SEND_TRIES = 3 };
#define BACKOFF_FIRST_NS NS_PER_S
#define BACKOFF_LAST_NS (60 * NS_PER_S)

/* After a broken line: is what is there now exactly what we sent, and not what was there before? */
static int look_again(struct fs *fs, const char *path, const struct remote_put *put, int err,
                      struct remote_attr *ret)
{
    struct remote_attr now;

    if (!op_lost(err) || remote_stat(fs->remote, path, &now, NULL) < 0)
        return err;
    if (!S_ISREG(now.mode) || now.size != put->size || now.mtime_ns != put->mtime_ns ||
        remote_attr_same(&now, put->replace))
        return err;
    *ret = now;
    return 0;
}

static void put_done_locked(struct fs *fs, struct node *n, uint64_t gen,
                            const struct remote_attr *attr, int64_t start_ns)
{
    struct node_file *nf = n->file;

    if (n->attr.nlink > 1 || attr->nlink > 1)
        node_stale_links_locked(fs, n);
    if (n->shown_ino == 0 && n->attr.ino != attr->ino)
        node_show_ino_locked(fs, n, n->attr.ino);
    node_set_attr_locked(n, attr);
    node_known_locked(n, start_ns);
    nf->version = *attr;
    nf->verified = true;
    if (n->parent && n->parent->dir)
        n->parent->times_stale = true; /* a temporary name came and went */
    if (nf->gen == gen && !n->deleted) {
        n->shown_times = true;
        n->shown_mtime_ns = nf->mtime_ns;
        n->shown_ctime_ns = nf->ctime_ns;
        write_sent_locked(fs, n);
    }
}

/* The op is ours. *ret_gen: which state of the content was sent. */
static int put_once(struct fs *fs, struct node *n, uint64_t *ret_gen)
{
    struct node_file *nf = n->file;
    const struct remote_attr before = n->attr;
    const uint64_t gen = nf->gen;
    struct blob *b = blob_ref(nf->blob);
    struct remote_put put = {
        .fd = blob_fd(b), .size = nf->size, .replace = &before, .mtime_ns = nf->mtime_ns};
    const int64_t start_ns = clock_mono_ns();
    struct remote_attr attr = {0};
    char *path = NULL;
    int r;

    *ret_gen = gen;
    (void)blob_hold(b); /* unsent content is held already: this only lasts longer */
    r = node_path_locked(fs, n, &path);
    if (r == 0) {
        fs_unlock(fs);
        r = remote_put(fs->remote, path, &put, &attr);
        if (r < 0)
            r = look_again(fs, path, &put, r, &attr);
        if (r == 0 && !S_ISREG(attr.mode))
            r = -EIO; /* an answer that cannot be: keep what we have */
        fs_lock(fs);
    }
    blob_release(b);
    blob_unref(b);
    if (r == 0) {
        put_done_locked(fs, n, gen, &attr, start_ns);
    } else if (nf->err != r) {
        nf->err = r;
        fs_report_locked(fs, path ? path : n->name, r, "not sent yet: %s", errtext_sentence(r));
    }
    free(path);
    return r;
}

static int put_in_turn(struct fs *fs, struct node *n, uint64_t *ret_gen)
{
    struct op op;
    int r;

    r = op_begin_node(fs, &op, n);
    if (r < 0)
        return r;
    while (r == 0 && n->file->writing) /* for whole states only, where that costs nothing */
        r = fs_wait(fs);
    if (r == 0 && node_unsent(n))
        r = put_once(fs, n, ret_gen);
    op_end_locked(fs, &op);
    return r;
}

int send_node(struct fs *fs, struct node *n)
{
    const uint64_t want = n->file ? n->file->gen : 0;
    uint64_t sent = 0;
    int r = 0;

    if (fs->flush)
        return change_settle(fs, n);
    for (unsigned i = 0; i < SEND_TRIES && node_unsent(n) && sent < want; i++) {
        sent = 0;
        r = put_in_turn(fs, n, &sent);
        if (r == 0)
            continue;
        if (r == -EINTR || n->file->gen == sent || sent == 0)
            break; /* else it changed while it was read, which may be all that went wrong */
        sent = 0;
    }
    return r;
}

/* ---- the retrier: only while something is unsent that no close will send ---- */

static struct node *next_to_retry_locked(struct fs *fs, struct node_file **pos)
{
    struct node_file *nf;

    for (nf = *pos ? (*pos)->next : fs->unsent; nf; nf = nf->next)
        if (nf->wopens == 0) {
            *pos = nf;
            return node_ref_locked(nf->node);
        }
    return NULL;
}

static bool retry_needed_locked(struct fs *fs)
{
    struct node_file *nf;

    DL_FOREACH(fs->unsent, nf)
        if (nf->wopens == 0)
            return true;
    return false;
}

/* One round. Stops at the first that fails for a reason that the next would meet, too. */
static bool retry_all(struct fs *fs)
{
    size_t rounds = fs->unsent_count;
    bool failed = false;

    while (rounds-- > 0 && !fs->stopping) {
        struct node_file *pos = NULL;
        struct node *n = next_to_retry_locked(fs, &pos);

        if (!n)
            break;
        if (send_node(fs, n) < 0) {
            failed = true;
            if (node_unsent(n)) { /* to the end, so that one bad file does not hide the others */
                DL_DELETE(fs->unsent, n->file);
                DL_APPEND(fs->unsent, n->file);
            }
        }
        node_unref_locked(fs, n);
    }
    return !failed;
}

static void *retrier_main(void *arg)
{
    struct fs *fs = arg;

    cancel_bind(fs->retrier_cancel);
    fs_lock(fs);
    while (!fs->stopping) {
        if (!retry_needed_locked(fs)) {
            lock_wait(&fs->lock, &fs->cond);
        } else if (clock_mono_ns() < fs->retry_ns) {
            (void)lock_wait_until(&fs->lock, &fs->cond, fs->retry_ns);
        } else {
            fs->backoff_ns = retry_all(fs) ? BACKOFF_FIRST_NS : fs->backoff_ns * 2;
            if (fs->backoff_ns > BACKOFF_LAST_NS)
                fs->backoff_ns = BACKOFF_LAST_NS;
            fs->retry_ns = clock_mono_ns() + fs->backoff_ns;
        }
    }
    fs_unlock(fs);
    return NULL;
}

void fs_retry(struct fs *fs)
{
    if (fs->flush)
        flush_retry(fs->flush);
    fs_lock(fs);
    fs->retry_ns = 0;
    fs_wake(fs);
    fs_unlock(fs);
}

void send_retry_later_locked(struct fs *fs)
{
    lock_assert_held(&fs->lock);
    if (fs->stopping || fs->flush)
        return;
    if (clock_mono_ns() >= fs->retry_ns) { /* nothing is being waited for */
        fs->backoff_ns = BACKOFF_FIRST_NS;
        fs->retry_ns = clock_mono_ns() + fs->backoff_ns;
    }
    if (!fs->retrier_runs) {
        /* Without a thread the next close, fsync or sync still sends it. */
        fs->retrier_runs = pthread_create(&fs->retrier, NULL, retrier_main, fs) == 0;
    }
    fs_wake(fs);
}

void send_stop(struct fs *fs)
{
    bool runs;

    fs_lock(fs);
    fs->stopping = true;
    runs = fs->retrier_runs;
    fs->retrier_runs = false;
    fs_wake(fs);
    fs_unlock(fs);
    cancel_fire(fs->retrier_cancel);
    if (runs)
        pthread_join(fs->retrier, NULL);
}
