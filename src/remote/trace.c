#include "remote/backends.h"
#include "remote/wrap.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/lock.h"
#include "util/log.h"

#include <ctype.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEPT_MAX = 256 * 1024 };

struct trace {
    struct wrap wrap;
    atomic_bool on;
    struct lock lock; /* guards what follows */
    struct buf lines; /* the last ones */
};

/* Names come from the sandbox: nothing in them may reach a terminal as it is. */
static void quote(struct buf *out, const char *s)
{
    for (; *s; s++) {
        const unsigned char c = (unsigned char)*s;

        if (c >= 0x80 || c == '\\' || !isprint(c))
            (void)buf_printf(out, "\\x%02x", c); /* a line too long is cut */
        else
            (void)buf_putc(out, (char)c);
    }
}

/* The older half goes, in whole lines. */
static void keep(struct trace *t, int64_t start_ns, const char *text)
{
    const char *newline;

    lock_take(&t->lock);
    if (t->lines.len > KEPT_MAX - 4096) {
        newline = memchr(t->lines.data + KEPT_MAX / 2, '\n', t->lines.len - KEPT_MAX / 2);
        if (newline)
            buf_consume(&t->lines, (size_t)(newline + 1 - t->lines.data));
    }
    (void)buf_printf(&t->lines, "%lld.%06lld %s\n", (long long)(start_ns / NS_PER_S),
                     (long long)(start_ns % NS_PER_S / 1000), text); /* one is left out */
    lock_drop(&t->lock);
}

/* How many files or directories it is about. */
static size_t count_of(const struct wrap_call *call)
{
    return call->many ? call->many->count : call->ask ? call->ask->path_count : 1;
}

static int trace_around(struct wrap *w, const struct wrap_call *call)
{
    struct trace *t = (struct trace *)w;
    struct buf text = BUF_INIT(2048), name = BUF_INIT(1024);
    int64_t start_ns, real_ns;
    int r;

    if (!atomic_load(&t->on) && !log_wants(LOG_DETAIL))
        return wrap_forward(w, call);
    real_ns = clock_real_ns();
    start_ns = clock_mono_ns();
    r = wrap_forward(w, call);
    if (call->from) {
        quote(&name, call->from);
        (void)buf_puts(&name, " -> ");
    }
    quote(&name, call->path ? call->path : "");
    if (count_of(call) > 1)
        (void)buf_printf(&name, " and others, %zu in all", count_of(call));
    (void)buf_printf(&text, "%s %s: %s, %.1f ms", wrap_op_name(call->op), buf_str(&name),
                     r < 0 ? errtext_name(r) : "ok", (double)(clock_mono_ns() - start_ns) / 1e6);
    log_msg(LOG_DETAIL, "remote %s", buf_str(&text));
    if (atomic_load(&t->on))
        keep(t, real_ns, buf_str(&text));
    buf_done(&name);
    buf_done(&text);
    return r;
}

static void trace_done(struct wrap *w)
{
    struct trace *t = (struct trace *)w;

    buf_done(&t->lines);
    lock_done(&t->lock);
}

struct remote *remote_trace_new(struct remote *inner)
{
    struct trace *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    wrap_init(&t->wrap, inner, trace_around, trace_done);
    lock_init(&t->lock);
    buf_init(&t->lines, KEPT_MAX);
    return &t->wrap.remote;
}

void remote_trace_set(struct remote *r, bool on)
{
    struct trace *t = (struct trace *)r;

    lock_take(&t->lock);
    if (on)
        buf_done(&t->lines);
    lock_drop(&t->lock);
    atomic_store(&t->on, on);
}

int remote_trace_text(struct remote *r, struct buf *out)
{
    struct trace *t = (struct trace *)r;
    int err;

    lock_take(&t->lock);
    err = buf_puts(out, buf_str(&t->lines));
    lock_drop(&t->lock);
    return err;
}
