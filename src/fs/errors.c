/* errors.c - the last failures, in sentences. */
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
    size_t unsaid; /* of them, the last ones: not in the log yet */
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

static void add(struct errors *e, pid_t pid, const char *file, int err, const char *fmt, va_list ap)
{
    struct error new = {.time_ns = clock_real_ns(), .pid = pid, .err = err};
    struct buf text = BUF_INIT(SENTENCE_MAX);

    if (buf_vprintf(&text, fmt, ap) < 0)
        (void)buf_puts(&text, errtext_sentence(err)); /* too long to be shown */
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
    e->unsaid = e->unsaid < e->count ? e->unsaid + 1 : e->count;
    lock_drop(&e->lock);
}

/* The next one that is not in the log yet, as its line; false: there is none. */
static bool take_line(struct errors *e, struct buf *out)
{
    const struct error *v;
    bool any;

    lock_take(&e->lock);
    any = e->unsaid > 0;
    if (any) {
        v = &e->v[(e->first + e->count - e->unsaid--) % FS_ERRORS_MAX];
        (void)buf_printf(out, "%s%s%s", v->file, v->file[0] ? ": " : "", v->sentence);
    }
    lock_drop(&e->lock);
    return any;
}

void errors_say(struct errors *e)
{
    struct buf line = BUF_INIT(JOURNAL_PATH_MAX + SENTENCE_MAX);

    while (take_line(e, &line)) {
        log_msg(LOG_WARN, "%s", buf_str(&line));
        buf_truncate(&line, 0);
    }
    buf_done(&line);
}

void fs_report(struct fs *fs, pid_t pid, const char *file, int err, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add(fs->errors, pid, file, err, fmt, ap);
    va_end(ap);
    errors_say(fs->errors);
}

void fs_report_locked(struct fs *fs, const char *file, int err, const char *fmt, ...)
{
    va_list ap;

    lock_assert_held(&fs->lock);
    va_start(ap, fmt);
    add(fs->errors, 0, file, err, fmt, ap);
    va_end(ap);
    fs->reported = true;
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
