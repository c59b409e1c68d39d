/*
 * When to send a request again, and after how long.
 *
 *   what happened                        again?
 *   not one byte of it was sent          yes: any request. Not after a timeout
 *   cut, reset; sent                     if HTTP_IDEMPOTENT
 *   no progress; sent                    no: who waits has waited for as long as was agreed
 *   502, 503, 504 without a body         if HTTP_IDEMPOTENT: a proxy speaks, the sandbox may be
 *                                        coming up; 503 with Retry-After counts as well
 *   429                                  yes: it was not executed. As the server asks, up to 30 s
 *   everything else                      no: it would only happen again
 */
#include "http/http_internal.h"

#include "util/clock.h"

#include <errno.h>

static const int64_t backoff_first_ns = 100 * NS_PER_MS;
static const int64_t backoff_last_ns = 2 * NS_PER_S;
static const int64_t limited_first_ns = NS_PER_S;  /* what the service's manual advises */
static const int64_t asked_max_ns = 30 * NS_PER_S; /* all waiting that a server may ask for */

/* first, doubled with each attempt; a random half of it, so that clients do not march in step. */
static int64_t backoff(int64_t first_ns, int64_t last_ns, unsigned attempt, uint32_t spread)
{
    int64_t ns = first_ns;

    while (--attempt > 0 && ns < last_ns)
        ns *= 2;
    if (ns > last_ns)
        ns = last_ns;
    return ns / 2 + (int64_t)((double)(ns / 2) * ((double)spread / UINT32_MAX));
}

static bool is_gateway(const struct retry_facts *f, int64_t asked_ns)
{
    const int status = f->response->status;

    if (status == 503 && asked_ns >= 0)
        return true;
    return (status == 502 || status == 503 || status == 504) && f->response->body.len == 0;
}

static int64_t after_answer(const struct retry_facts *f, uint32_t spread)
{
    const int64_t asked_ns = response_retry_after_ns(f->response);
    const bool limited = f->response->status == 429;
    const int64_t own_ns =
        backoff(limited ? limited_first_ns : backoff_first_ns, asked_max_ns, f->attempt, spread);

    if (!limited && !((f->flags & HTTP_IDEMPOTENT) && is_gateway(f, asked_ns)))
        return RETRY_NO;
    if (asked_ns > asked_max_ns - f->waited_ns)
        return RETRY_NO;
    return asked_ns > own_ns ? asked_ns : own_ns;
}

static bool worth_it(const struct retry_facts *f)
{
    switch (f->err) {
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
    case -ECONNRESET:
        return !f->sent || (f->flags & HTTP_IDEMPOTENT);
    default:
        return false;
    }
}

int64_t retry_delay_ns(const struct retry_facts *f, uint32_t spread)
{
    if ((f->flags & HTTP_NO_RETRY) || f->attempt >= f->max_attempts)
        return RETRY_NO;
    if (f->err == 0)
        return after_answer(f, spread);
    return worth_it(f) ? backoff(backoff_first_ns, backoff_last_ns, f->attempt, spread) : RETRY_NO;
}

bool retry_may_repeat(const struct retry_facts *f)
{
    return f->sent && !(f->err == 0 && f->response->status == 429);
}
