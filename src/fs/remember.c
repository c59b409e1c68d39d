/*
 * remember.c - what was shown of a file outlives its node, and the mount. The table is written when
 * the mount ends: after a crash git and make look at a few files more than they had to.
 */
#include "fs/fs_internal.h"

#include "fs/shown.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/sha256.h"

#include <errno.h>
#include <string.h>

#define NOTE "shown"

static bool has_something(const struct node *n)
{
    return n->shown_ino != 0 || n->shown_times || n->own_link;
}

static void digest(const char *target, uint8_t ret[SHOWN_DIGEST])
{
    uint8_t whole[SHA256_BYTES];

    sha256(target, strlen(target), whole);
    memcpy(ret, whole, SHOWN_DIGEST);
}

void remember_node_locked(struct fs *fs, const struct node *n)
{
    const struct remote_attr *a = &n->attr;
    struct shown s;

    /* What the sandbox does not have yet, or has no more, cannot be known again by its number. */
    if (!has_something(n) || !n->attached || n->deleted || node_local(n) || a->ino == 0 ||
        a->ctime_ns == 0)
        return;
    s = (struct shown){
        .dev = a->dev,
        .ino = a->ino,
        .mtime_ns = a->mtime_ns,
        .ctime_ns = a->ctime_ns,
        .show_ino = n->shown_ino,
        .show_times = n->shown_times,
        .show_mtime_ns = n->shown_mtime_ns,
        .show_ctime_ns = n->shown_ctime_ns,
        .own_link = n->own_link && n->target,
    };
    if (s.own_link)
        digest(n->target, s.target);
    shown_put(fs->shown, &s);
}

static const struct shown *find_locked(const struct fs *fs, const struct node *n)
{
    const struct remote_attr *a = &n->attr;

    return a->ino ? shown_find(fs->shown, a->dev, a->ino, a->mtime_ns, a->ctime_ns) : NULL;
}

/* Numbers and times can be forged in the sandbox: only what it leads to says that it is ours. */
bool remember_own_link_locked(const struct fs *fs, const struct node *n, const char *target)
{
    const struct shown *s = find_locked(fs, n);
    uint8_t is[SHOWN_DIGEST];

    if (!s || !s->own_link)
        return false;
    digest(target, is);
    return memcmp(is, s->target, SHOWN_DIGEST) == 0;
}

void remember_recall_locked(struct fs *fs, struct node *n)
{
    const struct shown *s = find_locked(fs, n);

    if (!s)
        return;
    if (s->show_ino != 0)
        node_show_ino_locked(fs, n, s->show_ino);
    n->shown_times = s->show_times;
    n->shown_mtime_ns = s->show_mtime_ns;
    n->shown_ctime_ns = s->show_ctime_ns;
}

static struct node *unasked_locked(const struct fs *fs)
{
    struct node *n = index_next(&fs->by_id, NULL);

    while (n && !(n->dir && n->dir->unasked && n->attached))
        n = index_next(&fs->by_id, n);
    return n;
}

void fs_learn_times(struct fs *fs)
{
    enum { ASKS = 8 }; /* an answer is about many of them */
    int64_t since;
    struct node *n;
    int r = 0;

    fs_lock(fs);
    since = clock_mono_ns();
    for (unsigned asks = 0; r == 0 && asks < ASKS && (n = unasked_locked(fs)); asks++) {
        node_ref_locked(n);
        r = tree_refresh(fs, n, since, true);
        n->dir->unasked = false;
        node_unref_locked(fs, n);
    }
    fs_unlock(fs);
}

void remember_load(struct fs *fs)
{
    struct buf bytes = BUF_INIT(CACHE_NOTE_MAX);

    /* Damaged or missing: then nothing is remembered. */
    if (cache_note_get(fs->cache, NOTE, &bytes) == 0)
        (void)shown_decode(fs->shown, bytes.data, bytes.len);
    buf_done(&bytes);
}

void remember_save(struct fs *fs)
{
    struct buf bytes = BUF_INIT(CACHE_NOTE_MAX);
    int r = shown_encode(fs->shown, &bytes);

    if (r == 0)
        r = cache_note_put(fs->cache, NOTE, bytes.data, bytes.len);
    if (r < 0 && r != -ENOENT)
        log_msg(LOG_WARN, "what was shown of files is forgotten: %s", errtext_sentence(r));
    buf_done(&bytes);
}
