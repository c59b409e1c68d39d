/*
 * Which of the changes in conflict have been put beside, so that another mount does what this one
 * did not come to, or what came to be in conflict while it was starting, and nothing twice: who
 * removes such a copy does not find it again. A note of the cache says it, a line for each: the
 * change's number and its time, in decimal (numbers alone begin again with each new journal).
 * Without a cache that outlives the process what is in conflict at the start is left alone.
 */
#include "fs/fs_internal.h"

#include "util/errtext.h"
#include "util/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NOTE "beside"

enum { LINE_MAX = 48, MARKS_MAX = 4096 }; /* the oldest go first */

bool beside_is_done_locked(const struct fs *fs, const struct beside_mark *m)
{
    for (size_t i = 0; i < fs->beside_done_count; i++)
        if (fs->beside_done[i].seq == m->seq && fs->beside_done[i].when_ns == m->when_ns)
            return true;
    return false;
}

static void add_locked(struct fs *fs, const struct beside_mark *m)
{
    if (beside_is_done_locked(fs, m))
        return;
    if (!fs->beside_done)
        fs->beside_done = calloc(MARKS_MAX, sizeof(*fs->beside_done));
    if (!fs->beside_done)
        return; /* it is put beside once more, by the next mount */
    if (fs->beside_done_count == MARKS_MAX)
        memmove(fs->beside_done, fs->beside_done + 1,
                --fs->beside_done_count * sizeof(*fs->beside_done));
    fs->beside_done[fs->beside_done_count++] = *m;
}

static int save(struct fs *fs)
{
    struct buf all = BUF_INIT(LINE_MAX * MARKS_MAX);
    int r = 0;

    fs_lock(fs);
    for (size_t i = 0; r == 0 && i < fs->beside_done_count; i++)
        r = buf_printf(&all, "%" PRIu64 " %" PRId64 "\n", fs->beside_done[i].seq,
                       fs->beside_done[i].when_ns);
    fs_unlock(fs);
    if (r == 0)
        r = cache_note_put(fs->cache, NOTE, all.data, all.len);
    buf_done(&all);
    return r;
}

void beside_done(struct fs *fs, const struct beside_mark *v, size_t count)
{
    int r;

    fs_lock(fs);
    for (size_t i = 0; i < count; i++)
        add_locked(fs, &v[i]);
    fs_unlock(fs);
    r = count > 0 ? save(fs) : 0;
    if (r < 0 && r != -ENOENT)
        log_msg(LOG_WARN, "what was put beside files in conflict may be put there again: %s",
                errtext_sentence(r));
}

static void load(struct fs *fs)
{
    struct buf all = BUF_INIT(LINE_MAX * MARKS_MAX);
    char *at, *end;

    if (cache_note_get(fs->cache, NOTE, &all) < 0)
        buf_truncate(&all, 0);
    fs_lock(fs);
    for (at = (char *)buf_str(&all); *at; at = end + (*end == '\n')) {
        struct beside_mark m = {.seq = strtoull(at, &end, 10)};

        m.when_ns = strtoll(end, &end, 10);
        if (end == at || (*end != '\n' && *end))
            break; /* not ours */
        add_locked(fs, &m);
    }
    fs_unlock(fs);
    buf_done(&all);
}

static int look(void *arg, const struct flush_parked *p)
{
    const struct beside_mark m = {p->seq, p->when_ns};
    struct fs *fs = arg;

    if (p->outcome != JOURNAL_CONFLICT || !p->shown)
        return 0;
    fs_lock(fs);
    if (!fs->beside_kept)
        add_locked(fs, &m);
    else if (!beside_is_done_locked(fs, &m))
        beside_add_locked(fs, p->path, NULL);
    fs_unlock(fs);
    return 0;
}

void beside_begin(struct fs *fs)
{
    if (!fs->config.beside)
        return;
    load(fs);
    fs->beside_kept = save(fs) == 0;
    (void)flush_parked(fs->flush, look, fs); /* without memory conflicts/ has them */
}
