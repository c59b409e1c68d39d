#include "script.h"

#include "unit.h"
#include "ws_peer.h"

#include <stdio.h>
#include <string.h>

static void write_answer(const struct script *s, const struct step *step, struct buf *out)
{
    struct buf body = BUF_INIT(8 << 20);

    for (const char *c = step->body ? step->body : ""; *c; c++) {
        if (*c == '$')
            (void)buf_puts(&body, s->base);
        else
            (void)buf_putc(&body, *c);
    }
    (void)buf_printf(out, "HTTP/1.1 %d x\r\n%s", step->status,
                     step->headers ? step->headers
                     : body.len    ? "Content-Type: application/json\r\n"
                                   : "");
    if (!step->headers || !strcasestr(step->headers, "Content-Length:"))
        (void)buf_printf(out, "Content-Length: %zu\r\n", body.len + (step->cut ? 100 : 0));
    (void)buf_puts(out, "\r\n");
    (void)buf_append(out, buf_str(&body), body.len);
    buf_done(&body);
}

/* The answer is written under the lock: a test may change its steps as soon as it has it. Returns
 * what was asked for. */
static struct step take_step(struct script *s, const struct loopback_request *req, struct buf *out)
{
    static const struct step unexpected = {.status = 418};
    const struct step *step = NULL;
    struct step taken;
    char line[300];

    snprintf(line, sizeof(line), "%s %s", req->method, req->target);
    lock_take(&s->lock);
    (void)buf_puts(&s->heads, buf_str(&req->head));
    (void)buf_append(&s->bodies, buf_str(&req->body), req->body.len);
    if (s->steps && s->steps[s->next].request)
        step = &s->steps[s->next];
    if (!step || strcmp(step->request, line) != 0) {
        if (!s->problem[0])
            snprintf(s->problem, sizeof(s->problem), "came %s, expected %s", line,
                     step ? step->request : "nothing");
        step = &unexpected;
    } else {
        s->next++;
    }
    if (step->stream)
        ws_peer_accept(req, out);
    else
        write_answer(s, step, out);
    taken = *step;
    lock_drop(&s->lock);
    return taken;
}

static void serve(struct peer *p, void *arg)
{
    struct loopback_request req;
    struct step step = {0};

    while (!step.cut && !step.stream && peer_take(p, &req)) {
        struct buf out = BUF_INIT(8 << 20);

        step = take_step(arg, &req, &out);
        loopback_request_done(&req);
        (void)peer_write(p, out.data, out.len);
        buf_done(&out);
    }
    if (step.stream)
        step.stream(p);
}

void script_start(struct script *s)
{
    *s = (struct script){.heads = BUF_INIT(8 << 20), .bodies = BUF_INIT(8 << 20)};
    lock_init(&s->lock);
    loopback_start(&s->server, serve, s);
    snprintf(s->base, sizeof(s->base), "http://127.0.0.1:%u", s->server.port);
}

void script_set(struct script *s, const struct step *steps)
{
    lock_take(&s->lock);
    s->steps = steps;
    s->next = 0;
    s->problem[0] = '\0';
    buf_truncate(&s->heads, 0);
    buf_truncate(&s->bodies, 0);
    lock_drop(&s->lock);
}

void script_check(struct script *s)
{
    lock_take(&s->lock);
    if (s->problem[0])
        fail_msg("%s", s->problem);
    if (s->steps && s->steps[s->next].request)
        fail_msg("did not come: %s", s->steps[s->next].request);
    lock_drop(&s->lock);
}

void script_stop(struct script *s)
{
    loopback_stop(&s->server);
    lock_done(&s->lock);
    buf_done(&s->heads);
    buf_done(&s->bodies);
}
