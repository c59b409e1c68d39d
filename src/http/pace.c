/*
 * The numbers here were found against lines that tests/unit/test_http_pace.c simulates, and
 * tests/bench/relay.c: steady ones, some that change, servers that are slow or vary, other traffic.
 */
#include "http/pace.h"

#include "util/clock.h"

#define RATE_MAX (PACE_RATE_MAX / 1e9)
#define RATE_MIN (PACE_RATE_MIN / 1e9)
#define LATE_NS (25 * NS_PER_MS)     /* no line waits for less in earnest */
#define SPAN_NS (100 * NS_PER_MS)    /* in less no rate can be seen */
#define BEHIND_MAX (200 * NS_PER_MS) /* routers keep no more, as a rule */
#define FORGET_NS (30 * NS_PER_S)
#define FREE_NS (60 * NS_PER_S)
#define LONG_NS (4 * NS_PER_S) /* an answer that took longer to come says no more */
enum { WINDOW = 8 };           /* answers in which one did not wait */

static double clamp(double v, double min, double max)
{
    return v < min ? min : v > max ? max : v;
}

static double distance(double a, double b)
{
    return a > b ? a - b : b - a;
}

static void pass(struct pace *p, int64_t now_ns)
{
    const double left = p->behind - (double)(now_ns - p->at_ns);

    if (left < 0 && p->open == 0)
        p->idle -= left;
    p->behind = left > 0 ? left : 0;
    p->at_ns = now_ns;
    if (now_ns > p->forget_ns)
        p->rate = 0;
}

void pace_sent(struct pace *p, size_t n, int64_t now_ns)
{
    pass(p, now_ns);
    p->sent += (double)n;
    if (p->rate > 0)
        p->behind += (double)n / p->rate;
}

void pace_begin(struct pace *p, struct pace_mark *mark, int64_t now_ns)
{
    pass(p, now_ns);
    *mark = (struct pace_mark){.first_ns = now_ns, .first = p->sent, .open = true};
    p->open++;
}

void pace_end(struct pace *p, struct pace_mark *mark, int64_t now_ns)
{
    pass(p, now_ns);
    if (mark->open)
        p->open--;
    mark->open = false;
    mark->last_ns = now_ns;
    mark->last = p->sent;
    mark->behind = p->behind;
    mark->shifted = p->shifted;
    mark->held = p->held;
    mark->idle = p->idle;
}

bool pace_is_free(const struct pace *p)
{
    return p->rate == 0;
}

/* Not for every byte that the line has sent: half of what it may have is worth a system call. */
size_t pace_room(struct pace *p, int64_t now_ns)
{
    pass(p, now_ns);
    if (p->rate == 0)
        return SIZE_MAX;
    if (p->behind > PACE_WAIT_NS / 2)
        return 0;
    return (size_t)((PACE_WAIT_NS - p->behind) * p->rate) + 1;
}

int64_t pace_until_ns(const struct pace *p)
{
    return p->at_ns + (int64_t)p->behind - PACE_WAIT_NS / 2 + 1;
}

static void set_rate(struct pace *p, double rate)
{
    if (rate >= RATE_MAX)
        p->free_ns = p->at_ns + FREE_NS;
    p->rate = rate >= RATE_MAX ? 0 : rate < RATE_MIN ? RATE_MIN : rate;
}

/* The line has so many ns more, or less, than was thought. */
static void shift(struct pace *p, double by)
{
    by = clamp(by, -p->behind, BEHIND_MAX - p->behind);
    p->behind += by;
    p->shifted += by;
    if (by > 0)
        p->held += by;
}

/*
 * The least of the last WINDOW to 2 * WINDOW answers. After each WINDOW the line gets less for a
 * moment, and that is no correction: what has crept in is gone then, and one of the next finds it
 * empty.
 */
static void note_delay(struct pace *p, double delay)
{
    if (p->heard == WINDOW) {
        p->least[0] = p->least[1];
        p->least[1] = delay;
        p->heard = 0;
        p->behind += 3 * PACE_WAIT_NS;
    }
    p->heard++;
    if (delay < p->least[1])
        p->least[1] = delay;
    p->base = p->least[0] < p->least[1] ? p->least[0] : p->least[1];
}

/* No rate is known: the first that is late says how much went since its first byte. */
static void find(struct pace *p, const struct pace_mark *mark, double delay, int64_t now_ns)
{
    double took, late;

    if (p->base == 0 || delay < p->base)
        p->base = delay;
    late = delay - p->base;
    took = (double)(now_ns - mark->first_ns) - p->base;
    if (late < LATE_NS || took < SPAN_NS || now_ns < p->free_ns)
        return;
    set_rate(p, (mark->last - mark->first) / took);
    if (p->rate == 0)
        return;
    shift(p, late + (p->sent - mark->last) / p->rate - (double)(now_ns - mark->last_ns));
    p->best = p->rate;
    p->probe = p->jitter = 0;
    p->least[0] = p->least[1] = p->base;
    p->heard = 0;
    p->known_ns = now_ns;
    p->last = (struct pace_point){
        .at_ns = now_ns, .last = mark->last, .held = mark->held, .idle = mark->idle};
}

/* The rate comes nearer to what was carried, but does not fall far below the best. */
static void pull(struct pace *p, double to, double part)
{
    const double rate = p->rate + (to - p->rate) * part, least = 0.85 * p->best;

    set_rate(p, rate > least ? rate : p->rate < least ? p->rate : least);
}

/* It waited for longer than modelled. */
static void slower(struct pace *p, const struct pace_point *now, double carried)
{
    const struct pace_point *last = &p->last;
    const double n = now->last - last->last, took = (double)(now->at_ns - last->at_ns);
    const double noise = p->jitter + distance(now->over, last->over);
    const double used = took - (now->idle - last->idle) - (now->held - last->held) - noise;
    const double late = (double)LATE_NS + 2 * p->jitter;

    p->probe = 0;
    /* Twice in a row, and little went although more might have: the line took no more. */
    if (now->late > late && last->late > late && used > SPAN_NS && n / used < 0.9 * p->rate) {
        set_rate(p, n / used);
        p->best = n / took;
        shift(p, now->excess);
        return;
    }
    if (last->excess > 0)
        pull(p, carried, 0.5);
    shift(p, clamp(now->excess, 0, clamp(took, SPAN_NS, LONG_NS) / 10));
}

/* As modelled, or shorter. */
static void faster(struct pace *p, const struct pace_point *now, const struct pace_mark *mark,
                   double carried)
{
    const struct pace_point *last = &p->last;
    const double some = PACE_WAIT_NS / 2.0, took = (double)(now->at_ns - last->at_ns);

    shift(p, now->excess);
    if (mark->behind < PACE_WAIT_NS / 3)
        return; /* it was offered less than it can take: nothing to learn */
    if (now->late > some && last->late > some && now->idle == last->idle && now->held == last->held)
        pull(p, carried, 0.25); /* it was never dry */
    if (now->late > PACE_WAIT_NS + p->jitter) {
        p->probe = 0;
        return;
    }
    if (p->probe == 0)
        p->probe = clamp(-now->excess / clamp(took, SPAN_NS, LONG_NS) / 2, 0.005, 0.03);
    else
        p->probe = clamp(p->probe * (now->excess < 0 ? 3 : 1.5), 0, 1);
    set_rate(p, p->rate * (1 + p->probe));
}

static void follow(struct pace *p, const struct pace_mark *mark, double delay, int64_t now_ns)
{
    const struct pace_point *last = &p->last;
    const double modelled = clamp(mark->behind + p->shifted - mark->shifted, 0, 1e12);
    const double took = (double)(now_ns - last->at_ns), n = mark->last - last->last;
    struct pace_point now = {
        .at_ns = now_ns, .last = mark->last, .held = mark->held, .idle = mark->idle};
    double carried;

    note_delay(p, delay);
    now.late = delay - p->base;
    now.over = now.late - modelled;
    now.excess = now.over - clamp(now.over, -p->jitter, p->jitter);
    p->best *= 1 - clamp(took / (100.0 * NS_PER_S), 0, 0.1);
    if (n / (took + p->jitter) > p->best)
        p->best = n / (took + p->jitter);
    carried = n / clamp(took - (now.idle - last->idle), SPAN_NS, 1e12);
    if (now.excess > 0)
        slower(p, &now, carried);
    else
        faster(p, &now, mark, carried);
    p->jitter += (clamp(distance(now.over, last->over), 0, NS_PER_S) - p->jitter) / 8;
    p->last = now;
}

void pace_answer(struct pace *p, const struct pace_mark *mark, int64_t now_ns)
{
    const double delay = (double)(now_ns - mark->last_ns);

    pass(p, now_ns);
    p->forget_ns = now_ns + FORGET_NS;
    if (p->rate == 0)
        find(p, mark, delay, now_ns);
    else if (mark->last_ns >= p->known_ns)
        follow(p, mark, delay, now_ns);
}

void pace_small(struct pace *p, int64_t took_ns)
{
    if (p->rate == 0 && (p->base == 0 || (double)took_ns < p->base))
        p->base = (double)took_ns;
}
