#include "remote/stats.h"

#include "util/keyedhash.h"
#include "util/lock.h"

#include <stdlib.h>
#include <string.h>

enum { STATS_CALLS_MAX = 256 }; /* names come from our own code; a ceiling all the same */

struct stats_call {
    char *name;
    uint64_t requests;
    UT_hash_handle hh;
};

struct stats {
    struct lock lock; /* guards what follows */
    uint64_t requests, retries, errors, bytes_sent, bytes_received;
    struct stats_call *calls;
};

struct stats *stats_new(void)
{
    struct stats *s = calloc(1, sizeof(*s));

    if (s)
        lock_init(&s->lock);
    return s;
}

struct stats *stats_free(struct stats *s)
{
    if (!s)
        return NULL;
    for (struct stats_call *c = s->calls, *next; c; c = next) {
        next = c->hh.next;
        HASH_DEL(s->calls, c);
        free(c->name);
        free(c);
    }
    lock_done(&s->lock);
    free(s);
    return NULL;
}

/* NULL when there is no memory or room for another name. */
static struct stats_call *call_locked(struct stats *s, const char *name)
{
    struct stats_call *c;

    HASH_FIND_STR(s->calls, name, c);
    if (c || HASH_COUNT(s->calls) == STATS_CALLS_MAX)
        return c;
    c = calloc(1, sizeof(*c));
    if (!c)
        return NULL;
    c->name = strdup(name);
    if (!c->name) {
        free(c);
        return NULL;
    }
    HASH_ADD_KEYPTR(hh, s->calls, c->name, strlen(c->name), c);
    return c;
}

void stats_observe(void *arg, const struct daytona_attempt *attempt)
{
    struct stats *s = arg;
    struct stats_call *c;

    lock_take(&s->lock);
    s->requests++;
    s->retries += attempt->attempt > 1;
    s->errors += attempt->err < 0 || attempt->http_status >= 400;
    s->bytes_sent += attempt->sent;
    s->bytes_received += attempt->received;
    c = call_locked(s, attempt->call ? attempt->call : "other");
    if (c)
        c->requests++;
    lock_drop(&s->lock);
}

static int by_name(struct stats_call *a, struct stats_call *b)
{
    return strcmp(a->name, b->name);
}

int stats_text(struct stats *s, struct buf *out)
{
    int r;

    lock_take(&s->lock);
    r = buf_printf(out, "bytes_received %llu\nbytes_sent %llu\nerrors %llu\nrequests %llu\n",
                   (unsigned long long)s->bytes_received, (unsigned long long)s->bytes_sent,
                   (unsigned long long)s->errors, (unsigned long long)s->requests);
    HASH_SORT(s->calls, by_name);
    for (struct stats_call *c = s->calls; c && r == 0; c = c->hh.next)
        r = buf_printf(out, "requests.%s %llu\n", c->name, (unsigned long long)c->requests);
    if (r == 0)
        r = buf_printf(out, "retries %llu\n", (unsigned long long)s->retries);
    lock_drop(&s->lock);
    return r;
}
