/*
 * The engine: one thread that owns curl's multi handle and every call on it.
 *
 * A call is NEW (handed over, not seen by the engine), RUNNING (an attempt is under way), WAITING
 * (for the time of its next attempt) and then finished: off the list, done() called, the engine's
 * reference dropped. Other threads put calls on the list, raise the cancelled flag, and wake the
 * engine; only the engine moves a call from state to state.
 */
#include "http/http.h"

#include "http/http_internal.h"
#include "http/url.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/lock.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <utlist.h>

enum { REDIRECTS_MAX = 3 };
#define NUDGE_NS (20 * NS_PER_MS)

enum call_state { CALL_NEW, CALL_WAITING, CALL_RUNNING };

struct http_call {
    struct http *http;              /* a reference */
    const struct http_request *req; /* borrowed until done */
    http_done done;
    void *arg;
    uint64_t body_len;
    bool large; /* paced: see pace.h */
    atomic_uint refs;
    atomic_bool cancelled;
    bool finished; /* http->lock */

    /* the engine's */
    struct http_call *prev, *next;
    enum call_state state;
    struct attempt attempt;
    char *url;          /* owned: where a redirect led, or NULL */
    unsigned redirects; /* so far */
    unsigned attempts;  /* so far; a redirect is none */
    bool fresh;         /* the next attempt wants a new connection */
    bool maybe_repeated;
    int64_t start_ns;  /* of the first attempt */
    int64_t until_ns;  /* WAITING: for what */
    int64_t waited_ns; /* because a server asked */
};

struct http {
    struct http_config config;
    char *user_agent; /* owned */
    atomic_uint refs; /* http_free's and one a call */
    CURLM *multi;     /* the engine's, except for curl_multi_wakeup while a call is unfinished */
    CURLSH *share;    /* TLS sessions, so that a new connection is cheap */
    pthread_t thread;
    struct lock lock;           /* guards what follows, and http_call.finished */
    struct http_call *incoming; /* NEW */
    bool stop;

    /* the engine's */
    struct http_call *calls; /* RUNNING and WAITING */
    struct pace pace;
    unsigned grants; /* so far */
    bool suspect; /* a connection was silent: those in the pool may be as dead, until one answers */
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void start_curl(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

static void http_unref(struct http *h)
{
    if (atomic_fetch_sub(&h->refs, 1) > 1)
        return;
    lock_done(&h->lock);
    free(h->user_agent);
    free(h);
}

struct http_call *http_call_unref(struct http_call *call)
{
    if (!call || atomic_fetch_sub(&call->refs, 1) > 1)
        return NULL;
    http_unref(call->http);
    free(call->url);
    free(call);
    return NULL;
}

static void observe(struct http *h, const struct http_call *call, int r)
{
    const struct attempt *a = &call->attempt;

    if (!h->config.observe)
        return;
    h->config.observe(h->config.observe_arg, &(struct http_attempt){
                                                 .name = call->req->name,
                                                 .method = call->req->method,
                                                 .url = call->url ? call->url : call->req->url,
                                                 .status = a->response.status,
                                                 .err = r,
                                                 .attempt = call->attempts,
                                                 .sent = a->wire_sent,
                                                 .received = a->wire_header + a->wire_body,
                                                 .duration_ns = clock_mono_ns() - a->start_ns,
                                             });
}

/* The last thing that happens to a call. Takes the attempt's response if r is 0. */
static void finish(struct http *h, struct http_call *call, int r)
{
    struct http_response response = {0};

    DL_DELETE(h->calls, call);
    if (r == 0) {
        response = call->attempt.response;
        call->attempt.response = (struct http_response){0};
        response.attempts = call->attempts;
        response.maybe_repeated = call->maybe_repeated || call->attempt.repeated;
    } else {
        http_response_done(&call->attempt.response);
        if (call->req->error)
            snprintf(call->req->error, HTTP_ERROR_MAX, "%s",
                     call->attempt.error[0] ? call->attempt.error : errtext_sentence(r));
    }

    lock_take(&h->lock);
    call->finished = true; /* before done(): h may go away after it */
    lock_drop(&h->lock);
    call->done(call->arg, r, &response);
    http_call_unref(call);
}

static void start(struct http *h, struct http_call *call)
{
    const struct attempt_params params = {
        .url = call->url ? call->url : call->req->url,
        .user_agent = h->user_agent,
        .share = h->share,
        .connect_timeout_ns = h->config.connect_timeout_ns,
        .fresh = call->fresh || h->suspect,
        .pace = call->large ? &h->pace : NULL,
        .body_len = call->body_len,
        .owner = call,
    };
    int r = attempt_start(&call->attempt, call->req, &params, h->multi);

    call->state = CALL_RUNNING;
    if (!call->large)
        pace_sent(&h->pace, call->body_len, clock_mono_ns());
    if (r < 0)
        finish(h, call, r);
}

const struct http_config *http_config_of(const struct http *h)
{
    return &h->config;
}

static void wait_for(struct http_call *call, int64_t delay_ns)
{
    http_response_done(&call->attempt.response);
    call->until_ns = clock_mono_ns() + delay_ns;
    call->state = CALL_WAITING;
}

static int64_t total_deadline_ns(const struct http_call *call)
{
    if (call->req->total_timeout_ns == 0)
        return INT64_MAX;
    return call->start_ns + call->req->total_timeout_ns;
}

/* How long to wait for another attempt, or RETRY_NO. Keeps what the next decision needs. */
static int64_t plan_retry(struct http *h, struct http_call *call, int r)
{
    const struct attempt *a = &call->attempt;
    const struct retry_facts facts = {
        .flags = call->req->flags,
        .attempt = call->attempts,
        .max_attempts = h->config.max_attempts,
        .err = r,
        .sent = a->wire_sent > 0,
        .waited_ns = call->waited_ns,
        .response = &a->response,
    };
    uint32_t spread = UINT32_MAX / 2;
    int64_t delay_ns;

    (void)getrandom(&spread, sizeof(spread), GRND_NONBLOCK); /* at boot: no jitter then */
    delay_ns = retry_delay_ns(&facts, spread);
    if (delay_ns == RETRY_NO || delay_ns >= total_deadline_ns(call) - clock_mono_ns())
        return RETRY_NO;
    if (r == 0)
        call->waited_ns += delay_ns;
    call->fresh = r < 0; /* its neighbours in the pool may be as dead */
    call->maybe_repeated = call->maybe_repeated || a->repeated || retry_may_repeat(&facts);
    return delay_ns;
}

/* The attempt under way is over: because curl says so (r 0), or since it must not go on. */
static void attempt_over(struct http *h, struct http_call *call, int r)
{
    char *to = NULL;
    int64_t delay_ns;

    r = attempt_end(&call->attempt, h->multi, r, &to);
    observe(h, call, r);
    if (r == 0 && !call->large)
        pace_small(&h->pace, clock_mono_ns() - call->attempt.start_ns);
    if (r == 0 || r == -ETIMEDOUT)
        h->suspect = r < 0;
    if (to && call->redirects < REDIRECTS_MAX &&
        url_same_origin(call->url ? call->url : call->req->url, to)) {
        free(call->url);
        call->url = to;
        call->redirects++;
        wait_for(call, 0);
        return;
    }
    free(to);
    delay_ns = plan_retry(h, call, r);
    if (delay_ns == RETRY_NO) {
        finish(h, call, r);
        return;
    }
    call->attempts++;
    wait_for(call, delay_ns);
}

static int64_t stall_deadline_ns(const struct http *h, const struct http_call *call)
{
    const int64_t own_ns = call->req->stall_timeout_ns;

    if ((call->req->flags & HTTP_NO_STALL) || call->attempt.progress_ns == 0)
        return INT64_MAX; /* before it is connected, the connect timeout runs */
    if (call->attempt.paused && call->attempt.granted == 0)
        return INT64_MAX; /* grant() looks after it */
    return call->attempt.progress_ns + (own_ns ? own_ns : h->config.stall_timeout_ns);
}

static int64_t earlier(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Moves a call on as far as time and flags say; returns when to look again. It may be gone then. */
static int64_t call_tick(struct http *h, struct http_call *call, int64_t now_ns)
{
    const bool running = call->state == CALL_RUNNING;
    const int64_t end_ns = total_deadline_ns(call);
    const int64_t due_ns = running ? stall_deadline_ns(h, call) : call->until_ns;
    int r = 0;

    if (atomic_load(&call->cancelled))
        r = -EINTR;
    else if (now_ns >= end_ns || (running && now_ns >= due_ns))
        r = -ETIMEDOUT;

    if (r < 0 && running)
        attempt_over(h, call, r);
    else if (r < 0)
        finish(h, call, r);
    else if (!running && now_ns >= due_ns)
        start(h, call);
    else
        return earlier(due_ns, end_ns);
    return now_ns; /* something moved: look at once */
}

/* Moves what was handed over to the engine's list. True if the engine is to end. */
static bool take_incoming(struct http *h)
{
    struct http_call *call, *next, *incoming;
    bool stop;

    lock_take(&h->lock);
    stop = h->stop;
    incoming = h->incoming;
    h->incoming = NULL;
    lock_drop(&h->lock);

    DL_FOREACH_SAFE(incoming, call, next) {
        DL_APPEND(h->calls, call);
        call->start_ns = call->until_ns = clock_mono_ns();
        call->state = CALL_WAITING;
    }
    return stop;
}

static void take_results(struct http *h)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(h->multi, &left))) {
        struct http_call *call = NULL;

        if (msg->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **)&call);
        call->attempt.code = msg->data.result;
        attempt_over(h, call, 0);
    }
}

/*
 * Who is to read next. That is whose body has the least left: so that they do not end all at once,
 * and nobody has anything to send while the answers come. But no peer may lose patience.
 */
static struct http_call *next_reader(struct http *h)
{
    const bool in_turn = h->grants % 4 == 0;
    struct http_call *call, *best = NULL;

    DL_FOREACH(h->calls, call) {
        const struct attempt *a = &call->attempt;

        if (call->state != CALL_RUNNING || !a->paused || a->granted > 0)
            continue;
        if (!best ||
            (in_turn ? a->granted_ns < best->attempt.granted_ns : a->left < best->attempt.left))
            best = call;
    }
    return best;
}

/* Lets large bodies be read as far as the line can take it; returns when to look again. */
static int64_t grant(struct http *h, int64_t now_ns)
{
    int64_t next_ns = INT64_MAX;
    struct http_call *call;

    while ((call = next_reader(h))) {
        struct attempt *a = &call->attempt;
        const size_t room = pace_room(&h->pace, now_ns);

        if (room == 0) {
            next_ns = pace_until_ns(&h->pace);
            break;
        }
        a->granted = room;
        a->granted_ns = a->progress_ns = now_ns; /* that nothing moved was not the peer's doing */
        if (!pace_is_free(&h->pace)) {
            if (a->left > 0 && a->left < room)
                a->granted = (size_t)a->left;
            pace_sent(&h->pace, a->granted, now_ns);
        }
        h->grants++;
    }
    DL_FOREACH(h->calls, call) {
        if (call->state != CALL_RUNNING || !call->attempt.paused || call->attempt.granted == 0)
            continue;
        attempt_go_on(&call->attempt);
        next_ns = earlier(next_ns, now_ns + NUDGE_NS);
    }
    return next_ns;
}

static void end_all(struct http *h)
{
    struct http_call *call;

    while ((call = h->calls)) {
        char *to = NULL; /* nothing is followed now */
        int r = -ECANCELED;

        if (call->state == CALL_RUNNING) {
            r = attempt_end(&call->attempt, h->multi, r, &to);
            observe(h, call, r);
        }
        finish(h, call, r);
    }
}

static void *engine(void *arg)
{
    struct http *h = arg;
    struct http_call *call, *next;

    while (!take_incoming(h)) {
        int64_t now_ns = clock_mono_ns(), next_ns = now_ns + 3600 * NS_PER_S;
        int running;

        DL_FOREACH_SAFE(h->calls, call, next)
            next_ns = earlier(next_ns, call_tick(h, call, now_ns));
        curl_multi_perform(h->multi, &running);
        take_results(h);
        DL_FOREACH(h->calls, call) {
            if (call->state == CALL_WAITING)
                next_ns = earlier(next_ns, call->until_ns);
        }
        now_ns = clock_mono_ns();
        next_ns = earlier(next_ns, grant(h, now_ns));
        if (next_ns > now_ns)
            curl_multi_poll(h->multi, NULL, 0, (int)((next_ns - now_ns) / NS_PER_MS + 1), NULL);
    }
    end_all(h);
    return NULL;
}

/* No signal is ever handled there: they are for the program's other threads. */
static int start_engine(struct http *h)
{
    sigset_t all, before;
    int r;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&h->thread, NULL, engine, h);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return -r;
}

static void release(struct http *h)
{
    if (h->multi)
        curl_multi_cleanup(h->multi);
    if (h->share)
        curl_share_cleanup(h->share);
    http_unref(h);
}

int http_new(const struct http_config *config, struct http **ret)
{
    struct http *h = calloc(1, sizeof(*h));
    int r = -ENOMEM;

    if (!h)
        return -ENOMEM;
    lock_init(&h->lock);
    atomic_init(&h->refs, 1);
    h->config = *config;
    if (h->config.connect_timeout_ns == 0)
        h->config.connect_timeout_ns = 10 * NS_PER_S;
    if (h->config.stall_timeout_ns == 0)
        h->config.stall_timeout_ns = 30 * NS_PER_S;
    if (h->config.max_attempts == 0)
        h->config.max_attempts = 4;
    if (h->config.max_idle == 0)
        h->config.max_idle = 16;

    pthread_once(&curl_once, start_curl);
    h->user_agent = strdup(config->user_agent ? config->user_agent : "daytonafs");
    h->multi = curl_multi_init();
    h->share = curl_share_init();
    h->config.user_agent = h->user_agent;
    if (curl_ready != CURLE_OK || !h->user_agent || !h->multi || !h->share)
        goto fail;
    curl_share_setopt(h->share, CURLSHOPT_SHARE, CURL_LOCK_DATA_SSL_SESSION);
    curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)h->config.max_idle);
    r = start_engine(h);
    if (r < 0)
        goto fail;
    *ret = h;
    return 0;
fail:
    release(h);
    return r;
}

struct http *http_free(struct http *h)
{
    if (!h)
        return NULL;
    lock_take(&h->lock);
    h->stop = true;
    curl_multi_wakeup(h->multi);
    lock_drop(&h->lock);
    pthread_join(h->thread, NULL);
    release(h);
    return NULL;
}

static uint64_t body_len(const struct http_request *req)
{
    uint64_t len = req->body_len;

    for (size_t i = 0; i < req->part_count; i++)
        len += req->parts[i].data ? req->parts[i].len : req->parts[i].len64;
    return len;
}

int http_submit(struct http *h, const struct http_request *req, http_done done, void *arg,
                struct http_call **ret)
{
    struct http_call *call;
    int r = 0;

    if (!url_is_valid(req->url))
        return -EINVAL;
    call = calloc(1, sizeof(*call));
    if (!call)
        return -ENOMEM;
    *call = (struct http_call){
        .http = h, .req = req, .done = done, .arg = arg, .attempts = 1, .body_len = body_len(req)};
    call->large =
        call->body_len >= PACE_LARGE && (req->part_count > 0 || (req->flags & HTTP_CHUNKED));
    atomic_init(&call->refs, 2); /* the engine's and the caller's */
    atomic_fetch_add(&h->refs, 1);

    lock_take(&h->lock);
    if (h->stop) {
        r = -ECANCELED;
    } else {
        DL_APPEND(h->incoming, call);
        curl_multi_wakeup(h->multi);
    }
    lock_drop(&h->lock);

    if (r < 0)
        http_call_unref(call);
    if (r == 0 && ret)
        *ret = call;
    else
        http_call_unref(call);
    return r;
}

void http_cancel(struct http_call *call)
{
    struct http *h = call->http;

    atomic_store(&call->cancelled, true);
    lock_take(&h->lock);
    if (!call->finished)
        curl_multi_wakeup(h->multi);
    lock_drop(&h->lock);
}

struct waiter {
    struct lock lock; /* guards what follows */
    pthread_cond_t cond;
    bool done;
    int r;
    struct http_response *ret;
};

static void waiter_done(void *arg, int r, struct http_response *response)
{
    struct waiter *w = arg;

    lock_take(&w->lock);
    w->r = r;
    if (r == 0)
        *w->ret = *response;
    w->done = true;
    pthread_cond_signal(&w->cond); /* under the lock: w goes away as soon as it is dropped */
    lock_drop(&w->lock);
}

static void waiter_cancel(void *arg)
{
    http_cancel(arg);
}

int http_perform(struct http *h, const struct http_request *req, struct http_response *ret)
{
    struct cancel *cancel = cancel_bound();
    struct waiter w = {.lock = LOCK_INIT, .ret = ret};
    struct http_call *call;
    int r;

    assert(!pthread_equal(pthread_self(), h->thread));
    if (cancel_fired(cancel))
        return -EINTR;
    lock_cond_init(&w.cond);
    r = http_submit(h, req, waiter_done, &w, &call);
    if (r < 0)
        goto out;

    cancel_hook(cancel, waiter_cancel, call);
    lock_take(&w.lock);
    while (!w.done)
        lock_wait(&w.lock, &w.cond);
    lock_drop(&w.lock);
    cancel_unhook(cancel);
    http_call_unref(call);
    r = w.r;
out:
    pthread_cond_destroy(&w.cond);
    lock_done(&w.lock);
    return r;
}
