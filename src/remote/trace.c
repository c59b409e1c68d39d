#include "remote/backends.h"
#include "remote/wrap.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

#include <ctype.h>
#include <stdlib.h>

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

static int trace_around(struct wrap *w, const struct wrap_call *call)
{
    struct buf text = BUF_INIT(1024);
    int64_t start_ns;
    int r;

    if (!log_wants(LOG_DETAIL))
        return wrap_forward(w, call);
    start_ns = clock_mono_ns();
    r = wrap_forward(w, call);
    if (call->from) {
        quote(&text, call->from);
        (void)buf_puts(&text, " -> ");
    }
    quote(&text, call->path ? call->path : "");
    log_msg(LOG_DETAIL, "remote %s %s: %s, %.1f ms", wrap_op_name(call->op), buf_str(&text),
            r < 0 ? errtext_name(r) : "ok", (double)(clock_mono_ns() - start_ns) / 1e6);
    buf_done(&text);
    return r;
}

struct remote *remote_trace_new(struct remote *inner)
{
    struct wrap *w = calloc(1, sizeof(*w));

    if (!w)
        return NULL;
    wrap_init(w, inner, trace_around, NULL);
    return &w->remote;
}
