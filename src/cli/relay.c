#include "cli/relay.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/lock.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { CHUNK = 512 << 10 };

#define GRACE_NS (5 * NS_PER_S)
#define LOOK_NS (100 * NS_PER_MS) /* how often the thread of the signals looks around */

struct relay {
    pthread_t signals, input;
    bool has_input;
    int wake[2]; /* closed at this end: stdin is not waited for any more */

    struct lock lock;    /* guards what follows */
    struct cli_job *job; /* NULL: not started */
    bool stop;
    bool timed_out;
    int64_t until_ns; /* monotonic; INT64_MAX: no limit */
    unsigned interrupts;
    unsigned kills_left; /* threads that send a signal */
    pthread_cond_t sent;
};

static void fill_set(sigset_t *set)
{
    static const int passed[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

    sigemptyset(set);
    for (size_t i = 0; i < sizeof(passed) / sizeof(*passed); i++)
        sigaddset(set, passed[i]);
}

void relay_block_signals(void)
{
    sigset_t set;

    fill_set(&set);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

/* ---- signals ---- */

struct sending {
    struct relay *relay;
    struct cli_job *job;
    int signal;
};

/* A call that takes as long as the network does: the next signal must not wait for it. */
static void *send_signal(void *arg)
{
    struct sending *s = arg;
    char number[8];

    snprintf(number, sizeof(number), "%d", s->signal);
    (void)cli_job_kill(s->job, number); /* it may have ended by itself */
    lock_take(&s->relay->lock);
    s->relay->kills_left--;
    pthread_cond_broadcast(&s->relay->sent);
    lock_drop(&s->relay->lock);
    free(s);
    return NULL;
}

static void send_locked(struct relay *r, int signal)
{
    struct sending *s = malloc(sizeof(*s));
    pthread_t thread;

    if (!s)
        return;
    *s = (struct sending){.relay = r, .job = r->job, .signal = signal};
    if (pthread_create(&thread, NULL, send_signal, s) != 0) {
        free(s);
        return;
    }
    (void)pthread_detach(thread);
    r->kills_left++;
}

static void take_signal_locked(struct relay *r, int signal)
{
    if (!r->job || (signal == SIGINT && r->interrupts >= 2))
        _exit(128 + signal);
    if (signal == SIGINT && ++r->interrupts == 2)
        signal = SIGKILL;
    send_locked(r, signal);
}

static void take_timeout_locked(struct relay *r)
{
    if (!r->job)
        return; /* once it is there */
    send_locked(r, r->timed_out ? SIGKILL : SIGTERM);
    r->until_ns = r->timed_out ? INT64_MAX : clock_mono_ns() + GRACE_NS;
    r->timed_out = true;
}

static void *watch_signals(void *arg)
{
    const struct timespec look = ns_to_timespec(LOOK_NS);
    struct relay *r = arg;
    bool stop = false;
    sigset_t set;

    fill_set(&set);
    while (!stop) {
        const int signal = sigtimedwait(&set, NULL, &look);

        lock_take(&r->lock);
        stop = r->stop;
        if (!stop && signal > 0)
            take_signal_locked(r, signal);
        if (!stop && clock_mono_ns() >= r->until_ns)
            take_timeout_locked(r);
        lock_drop(&r->lock);
    }
    return NULL;
}

/* ---- stdin ---- */

static void *pass_input(void *arg)
{
    struct relay *r = arg;
    char *chunk = malloc(CHUNK);
    int err = chunk ? 0 : -ENOMEM;

    while (err == 0) {
        struct pollfd p[] = {{.fd = STDIN_FILENO, .events = POLLIN},
                             {.fd = r->wake[0], .events = POLLIN}};
        ssize_t n;

        if (poll(p, 2, -1) < 0 && errno != EINTR)
            break;
        if (p[1].revents)
            break;
        if (!p[0].revents)
            continue;
        n = read(STDIN_FILENO, chunk, CHUNK);
        if (n < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        /* What cannot be read ends here, too. */
        err = cli_job_write(r->job, chunk, n > 0 ? (size_t)n : 0, n <= 0);
        if (n <= 0)
            break;
    }
    if (err < 0 && err != -EPIPE) {
        cli_fail(EXITCODE_OTHER, "stdin is not passed on any more: %s", errtext_sentence(err));
        lock_take(&r->lock);
        send_locked(r, SIGTERM); /* it would wait for its end */
        lock_drop(&r->lock);
    }
    free(chunk);
    return NULL;
}

/* ---- */

int relay_new(int64_t timeout_ns, struct relay **ret)
{
    struct relay *r = calloc(1, sizeof(*r));

    if (!r)
        return -ENOMEM;
    lock_init(&r->lock);
    lock_cond_init(&r->sent);
    r->until_ns = timeout_ns > 0 ? clock_mono_ns() + timeout_ns : INT64_MAX;
    if (pipe(r->wake) < 0 || pthread_create(&r->signals, NULL, watch_signals, r) != 0) {
        free(r); /* the program ends now */
        return -ENOMEM;
    }
    *ret = r;
    return 0;
}

int relay_start(struct relay *r, struct cli_job *j, bool input)
{
    lock_take(&r->lock);
    r->job = j;
    lock_drop(&r->lock);
    if (input && pthread_create(&r->input, NULL, pass_input, r) != 0)
        return -EAGAIN;
    r->has_input = input;
    return 0;
}

bool relay_stop(struct relay *r)
{
    const int64_t until_ns = clock_mono_ns() + GRACE_NS;
    bool timed_out;

    lock_take(&r->lock);
    r->stop = true;
    timed_out = r->timed_out;
    while (r->kills_left > 0 && lock_wait_until(&r->lock, &r->sent, until_ns) == 0)
        ;
    if (r->kills_left > 0) { /* the network is gone, and so are we */
        lock_drop(&r->lock);
        return timed_out;
    }
    lock_drop(&r->lock);
    close(r->wake[1]);
    (void)pthread_kill(r->signals, SIGTERM); /* so that it looks now: it knows that it shall stop */
    pthread_join(r->signals, NULL);
    if (r->has_input)
        pthread_join(r->input, NULL);
    close(r->wake[0]);
    pthread_cond_destroy(&r->sent);
    lock_done(&r->lock);
    free(r);
    return timed_out;
}
