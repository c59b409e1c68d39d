#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/text.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { SENTENCE_MAX = 1024 };

struct error {
    int64_t time_ns; /* since the epoch */
    pid_t pid;
    int err;
    char *file, *sentence; /* owned */
};

/* A ring: v[first] is the oldest. */
struct errors {
    struct lock lock; /* guards what follows; nothing is taken inside it */
    struct error v[FS_ERRORS_MAX];
    size_t first, count;
};

struct errors *errors_new(void)
{
    struct errors *e = calloc(1, sizeof(*e));

    if (e)
        lock_init(&e->lock);
    return e;
}

static void error_done(struct error *e)
{
    free(e->file);
    free(e->sentence);
}

struct errors *errors_free(struct errors *e)
{
    if (!e)
        return NULL;
    for (size_t i = 0; i < e->count; i++)
        error_done(&e->v[(e->first + i) % FS_ERRORS_MAX]);
    lock_done(&e->lock);
    free(e);
    return NULL;
}

void fs_report(struct fs *fs, pid_t pid, const char *file, int err, const char *fmt, ...)
{
    struct errors *e = fs->errors;
    struct error new = {.time_ns = clock_real_ns(), .pid = pid, .err = err};
    struct buf text = BUF_INIT(SENTENCE_MAX);
    va_list ap;

    va_start(ap, fmt);
    if (buf_vprintf(&text, fmt, ap) < 0)
        (void)buf_puts(&text, errtext_sentence(err)); /* too long to be shown */
    va_end(ap);
    log_msg(LOG_WARN, "%s%s%s", file, file[0] ? ": " : "", buf_str(&text));
    new.file = strdup(file);
    new.sentence = buf_take(&text);
    if (!new.file || !new.sentence) {
        error_done(&new);
        return;
    }

    lock_take(&e->lock);
    if (e->count == FS_ERRORS_MAX) {
        error_done(&e->v[e->first]);
        e->first = (e->first + 1) % FS_ERRORS_MAX;
        e->count--;
    }
    e->v[(e->first + e->count++) % FS_ERRORS_MAX] = new;
    lock_drop(&e->lock);
}

/* One word whatever the name holds, so that a line can be split at blanks. */
static int put_word(struct buf *out, const char *s)
{
    return s[0] ? text_escape(out, s, " \\") : buf_putc(out, '-');
}

static int put_error(struct buf *out, const struct error *e)
{
    const struct timespec ts = ns_to_timespec(e->time_ns);
    char when[32];
    struct tm tm;
    int r;

    gmtime_r(&ts.tv_sec, &tm);
    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
    r = buf_printf(out, "%s %ld ", when, (long)e->pid);
    if (r == 0)
        r = put_word(out, e->file);
    if (r == 0)
        r = buf_printf(out, " %s: ", e->err ? errtext_name(e->err) : "-");
    if (r == 0)
        r = text_plain(out, e->sentence);
    return r < 0 ? r : buf_putc(out, '\n');
}

int fs_errors_text(struct fs *fs, struct buf *out)
{
    struct errors *e = fs->errors;
    int r = 0;

    lock_take(&e->lock);
    for (size_t i = 0; r == 0 && i < e->count; i++)
        r = put_error(out, &e->v[(e->first + i) % FS_ERRORS_MAX]);
    lock_drop(&e->lock);
    return r;
}
