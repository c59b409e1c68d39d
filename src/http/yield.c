/*
 * When large uploads stand still. A row of small requests (what changed there? what is it now? make
 * it so) takes the line's delay each, and the first of them the time in which the line sends what
 * waits in front of it, too: the others find it empty if nothing was added meanwhile.
 */
#include "http/http_internal.h"
#include "util/clock.h"

#define LINGER_NS (30 * NS_PER_MS) /* between one of a row and the next */
#define SHORT_NS (100 * NS_PER_MS) /* shorter than this the line does not run dry: not worth it */

static int64_t clamp(int64_t v, int64_t max)
{
    if (v < 0)
        return 0;
    return v < max ? v : max;
}

bool yield_look(struct yield *y, bool large, bool small, int64_t now_ns)
{
    const int64_t passed_ns = now_ns - y->looked_ns;

    if (small)
        y->small_ns = now_ns;
    y->credit_ns = clamp(y->credit_ns + (y->held ? -passed_ns : passed_ns), YIELD_MAX_NS);
    y->looked_ns = now_ns;
    if (!large || now_ns - y->small_ns >= LINGER_NS || y->credit_ns == 0)
        y->held = false;
    else if (y->credit_ns >= SHORT_NS)
        y->held = true;
    return y->held;
}

int64_t yield_until_ns(const struct yield *y)
{
    const int64_t spent_ns = y->looked_ns + y->credit_ns, calm_ns = y->small_ns + LINGER_NS;

    if (!y->held)
        return INT64_MAX;
    return spent_ns < calm_ns ? spent_ns : calm_ns;
}
