#include "ctl/ctl.h"

#include "ctl/ctl_internal.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

int ctl_new(const struct ctl_config *config, struct fs *fs, struct ctl **ret)
{
    struct ctl *ctl = calloc(1, sizeof(*ctl));

    if (!ctl)
        return -ENOMEM;
    lock_init(&ctl->lock);
    ctl->name = strdup(config->name);
    ctl->last = calloc(ctl_file_count, sizeof(ctl->last[0]));
    ctl->uid = config->uid;
    ctl->gid = config->gid;
    if (config->host)
        ctl->host = *config->host;
    ctl->host_arg = config->host_arg;
    ctl->output_max = config->output_max ? config->output_max : OUTPUT_MAX;
    ctl->watch_wait_ns = config->watch_wait_ns ? config->watch_wait_ns : WATCH_WAIT_NS;
    ctl->fs = fs;
    ctl->born = ns_to_timespec(clock_real_ns());
    ctl->exit_code = -1;
    if (!ctl->name || !ctl->last) {
        ctl_free(ctl);
        return -ENOMEM;
    }
    *ret = ctl;
    return 0;
}

struct ctl *ctl_free(struct ctl *ctl)
{
    struct ctl_handle *h, *tmp;
    struct later later = {0};

    if (!ctl)
        return NULL;
    lock_take(&ctl->lock);
    ctl->closing = true;
    ctl_settle_locked(ctl, &later);
    lock_drop(&ctl->lock);
    ctl_later_run(ctl, &later);
    DL_FOREACH_SAFE(ctl->handles, h, tmp)
        ctl_release(h);
    task_end_all(ctl);
    feeds_free(ctl);
    for (size_t i = 0; ctl->last && i < ctl_file_count; i++)
        answer_unref_locked(ctl->last[i]); /* no other thread is left */
    free(ctl->last);
    free(ctl->watch_text);
    free(ctl->name);
    lock_done(&ctl->lock);
    free(ctl);
    return NULL;
}

void ctl_report(struct ctl *ctl, const struct ctl_file *file, pid_t pid, int err, const char *fmt,
                ...)
{
    enum { SENTENCE_MAX = 900 }; /* what errors shows of one */
    struct buf name = BUF_INIT(512), sentence = BUF_INIT(128 * 1024);
    va_list ap;

    va_start(ap, fmt);
    (void)buf_vprintf(&sentence, fmt, ap); /* without memory: the errno must do */
    va_end(ap);
    if (sentence.len > SENTENCE_MAX) {
        buf_truncate(&sentence, SENTENCE_MAX);
        (void)buf_puts(&sentence, "...");
    }
    (void)buf_printf(&name, "%s/%s", ctl->name, file->name);
    fs_report(ctl->fs, pid, buf_str(&name), err, "%s", buf_str(&sentence));
    buf_done(&name);
    buf_done(&sentence);
}

void ctl_later_run(struct ctl *ctl, struct later *later)
{
    if (later->report.err)
        ctl_report(ctl, later->report.file, later->report.pid, later->report.err, "%s",
                   later->report.sentence);
    while (later->finished) {
        struct wait *w = later->finished;

        later->finished = w->next;
        if (w->kind == WAIT_POLL)
            w->ready(w->arg, w->r != -ECANCELED);
        else
            w->done(w->arg, w->r, w->data);
        free(w->data);
        free(w);
    }
}

/* ---- names ---- */

static void fill_stat(struct ctl *ctl, uint64_t ino, struct stat *ret)
{
    const bool dir = ino == CTL_ROOT;
    const struct answer *last;

    memset(ret, 0, sizeof(*ret));
    ret->st_ino = ino;
    ret->st_mode = dir ? S_IFDIR | 0500 : S_IFREG | ctl_files[ino - CTL_ROOT - 1].mode;
    ret->st_nlink = dir ? 2 : 1;
    ret->st_uid = ctl->uid;
    ret->st_gid = ctl->gid;
    ret->st_blksize = 4096;
    ret->st_atim = ret->st_mtim = ret->st_ctim = ctl->born;
    if (dir)
        return;
    lock_take(&ctl->lock);
    last = ctl->last[ino - CTL_ROOT - 1];
    if (last && last->done)
        ret->st_size = (off_t)last->out.len;
    lock_drop(&ctl->lock);
}

int ctl_getattr(struct ctl *ctl, uint64_t ino, struct stat *ret)
{
    if (ino < CTL_ROOT || ino - CTL_ROOT > ctl_file_count)
        return -ENOENT;
    if (ino > CTL_ROOT && !ctl_has(ctl, ctl_files[ino - CTL_ROOT - 1].needs))
        return -ENOENT;
    fill_stat(ctl, ino, ret);
    return 0;
}

int ctl_lookup(struct ctl *ctl, uint64_t dir, const char *name, struct stat *ret)
{
    const struct ctl_file *file;

    if (dir != CTL_ROOT)
        return -ENOTDIR;
    file = ctl_file_named(name);
    return file ? ctl_getattr(ctl, CTL_ROOT + 1 + (uint64_t)(file - ctl_files), ret) : -ENOENT;
}

int ctl_entry(struct ctl *ctl, uint64_t dir, size_t i, const char **ret_name, struct stat *ret)
{
    if (dir != CTL_ROOT)
        return -ENOTDIR;
    for (size_t k = 0; k < ctl_file_count; k++) {
        if (!ctl_has(ctl, ctl_files[k].needs))
            continue;
        if (i-- == 0) {
            fill_stat(ctl, CTL_ROOT + 1 + k, ret);
            *ret_name = ctl_files[k].name;
            return 0;
        }
    }
    return -ENOENT;
}
