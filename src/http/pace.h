/*
 * pace.h - how fast large bodies go, so that little of them waits in the line: what is small and
 * comes between would wait behind that.
 *
 * All is free until an answer comes late: what was sent had to wait for what the line, or the
 * router before it, was given earlier. How much went until then says what the line carries. From
 * then on the line is modelled: it sends at that rate what it was given, and is given more while it
 * has less than PACE_WAIT_NS of it. Each answer to a large body corrects this. If it waited for
 * longer than modelled, nothing is handed over until the line has sent the difference, and the rate
 * falls to what was carried since the last answer. If for less, the rate grows, the faster the more
 * often that is so.
 *
 * How long an answer takes without any waiting is the least of the last ones, and the line is left
 * to run dry now and then to see it. Waits that differ by no more than they usually do say nothing.
 * A server that is slow by itself is not mistaken for a slow line for long. No more than a tenth of
 * the time is spent on corrections, and the rate stays near the best seen, which is forgotten
 * slowly, unless the line takes less than it is offered. Only a server whose answers vary by as
 * much as it takes to send a body is given markedly less than it could take: half, at worst.
 *
 * Pure functions of what was handed over and answered when. Times are monotonic, and never go back.
 */
#ifndef HTTP_PACE_H
#define HTTP_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PACE_WAIT_NS (INT64_C(10) * 1000000)
enum {
    PACE_LARGE = 256 << 10,           /* bytes of a body that is paced; smaller ones only count */
    PACE_RATE_MAX = 60 * 1000 * 1000, /* bytes/s: a faster line is left alone */
    PACE_RATE_MIN = 32 * 1000,        /* bytes/s */
};

/* One large body on its way. Zeroes to begin with. Counts are as struct pace had them. */
struct pace_mark {
    int64_t first_ns, last_ns;          /* when it began; when the last of it was handed over */
    double first, last;                 /* what had been sent by then, of all bodies */
    double behind, shifted, held, idle; /* at last_ns */
    bool open;                          /* between the two */
};

/* An answer, as the next one looks back on it. */
struct pace_point {
    int64_t at_ns;
    double last, held, idle; /* its mark's */
    double late;             /* ns: how long it waited */
    double over;             /* ns: how much longer than modelled */
    double excess;           /* the same, without noise */
};

/* Zeroes to begin with. */
struct pace {
    double rate;   /* bytes per ns; 0: not known, all is free */
    double best;   /* the most that was carried; a tenth less in 10 s */
    double probe;  /* by which part the rate last grew; 0: it did not */
    double behind; /* ns: how long the line has to send what it was given */
    int64_t at_ns; /* of behind */

    /* sums since the beginning */
    double sent;    /* bytes */
    double idle;    /* ns in which the line had nothing, since there was nothing for it */
    double shifted; /* ns by which corrections changed behind */
    double held;    /* those upwards */

    double base;     /* ns: what an answer takes without waiting; 0: not known */
    double least[2]; /* of the answers before; of `heard` since */
    unsigned heard;
    double jitter;     /* ns by which one wait usually differs from the next, as modelled */
    unsigned open;     /* bodies that are being handed over */
    int64_t known_ns;  /* since when there is a rate: what was handed over before is not modelled */
    int64_t forget_ns; /* when there is none any more, for want of answers */
    int64_t free_ns;   /* until then the line is too fast to have one */
    struct pace_point last;
};

/* n bytes of any body have been handed over. */
void pace_sent(struct pace *p, size_t n, int64_t now_ns);
/* Of large bodies: before the first byte, after the last one or when there will be no more. */
void pace_begin(struct pace *p, struct pace_mark *mark, int64_t now_ns);
void pace_end(struct pace *p, struct pace_mark *mark, int64_t now_ns);
/* The answer to one that has been handed over whole begins. */
void pace_answer(struct pace *p, const struct pace_mark *mark, int64_t now_ns);
/* What a small request took. */
void pace_small(struct pace *p, int64_t took_ns);

/* How many bytes of large bodies may be handed over now: none, some, or SIZE_MAX if free. */
size_t pace_room(struct pace *p, int64_t now_ns);
bool pace_is_free(const struct pace *p);
int64_t pace_until_ns(const struct pace *p); /* none: when there will be */

#endif
