#include "cli/converse.h"

#include "cli/terminal.h"
#include "util/array.h"
#include "util/buf.h"
#include "util/clock.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { CTRL_C = 3, CTRL_D = 4, END_AGAIN_MS = 500 };

/*
 * Two threads: the caller's shows what comes, a second one types what the user types and looks
 * after signals and his terminal. The second ends the wait of the first by its cancel, and is ended
 * itself by the eventfd stop.
 */
struct conversation {
    struct converse *c;
    struct daytona_cancel *cancel; /* of the first thread */
    int signals, stop, go;         /* signalfd, eventfds */
    pthread_t typist;
    int failed; /* of the typist; written before cancel is fired, as c->left is */

    /* The typist's. */
    bool raw; /* stdin is a terminal, and is ours */
    bool line_start, tilde, eof;
    unsigned interrupts;
};

void converse_size(unsigned *ret_cols, unsigned *ret_rows)
{
    if (!terminal_size(STDIN_FILENO, ret_cols, ret_rows) &&
        !terminal_size(STDOUT_FILENO, ret_cols, ret_rows))
        *ret_cols = *ret_rows = 0;
}

/* A size that is lost is no reason to end: the next one comes with the next change. */
void converse_resize(const struct converse *c)
{
    unsigned cols, rows;

    converse_size(&cols, &rows);
    if (cols > 0)
        (void)daytona_pty_resize(c->sandbox, c->id, cols, rows);
}

void converse_go(struct converse *c)
{
    const uint64_t one = 1;

    if (write(c->inside->go, &one, sizeof(one)) < 0)
        daytona_cancel_fire(c->inside->cancel); /* cannot be: the counter is at 0 */
}

static void leave(struct conversation *s, enum converse_left why, int sig)
{
    s->c->left = why;
    s->c->signal = sig;
    daytona_cancel_fire(s->cancel);
}

/* ---- what is typed ---- */

/* Takes "~." at the start of a line out, as ssh does, and "~~" stands for "~". True: leave. */
static bool take_escape(struct conversation *s, const char *from, size_t n, struct buf *to)
{
    for (size_t i = 0; i < n; i++) {
        const char c = from[i];

        if (s->tilde) {
            s->tilde = false;
            if (c == '.')
                return true;
            if (c != '~')
                (void)buf_putc(to, '~'); /* to has room for two bytes a byte */
        } else if (c == '~' && s->line_start) {
            s->tilde = true;
            continue;
        }
        (void)buf_putc(to, c);
        s->line_start = c == '\r' || c == '\n';
    }
    return false;
}

/* False: nothing more can be typed. */
static bool type(struct conversation *s)
{
    struct buf to = BUF_INIT(2 * 4096 + 1);
    char bytes[4096];
    ssize_t n;
    bool go_on = true;

    do
        n = read(STDIN_FILENO, bytes, sizeof(bytes));
    while (n < 0 && errno == EINTR);
    if (n <= 0) {
        s->eof = true;
        return false;
    }
    if (buf_reserve(&to, 2 * (size_t)n) < 0) {
        leave(s, CONVERSE_KEY, 0);
        return false;
    }
    if (!s->raw)
        (void)buf_append(&to, bytes, (size_t)n);
    else if (take_escape(s, bytes, (size_t)n, &to))
        go_on = false;
    /* An end of the connection is the other thread's to tell. */
    if (to.len > 0 && daytona_pty_send(s->c->pty, to.data, to.len) < 0)
        go_on = false;
    else if (!go_on)
        leave(s, CONVERSE_KEY, 0);
    explicit_bzero(bytes, sizeof(bytes)); /* people type passwords */
    if (to.data)
        explicit_bzero(to.data, to.cap);
    buf_done(&to);
    return go_on;
}

static bool type_key(struct conversation *s, char key)
{
    return daytona_pty_send(s->c->pty, &key, 1) == 0;
}

/* ---- signals ---- */

/* Somebody stopped this program, not what runs in the sandbox: there Ctrl-Z is a byte. */
static void suspend(const struct conversation *s)
{
    terminal_restore();
    raise(SIGSTOP);
    if (s->raw)
        (void)terminal_raw(STDIN_FILENO);
    converse_resize(s->c);
}

static void take_signal(struct conversation *s, bool typing)
{
    struct signalfd_siginfo info;

    if (read(s->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return;
    switch (info.ssi_signo) {
    case SIGWINCH:
        converse_resize(s->c);
        break;
    case SIGTSTP:
        suspend(s);
        break;
    case SIGCONT: /* whoever had the terminal meanwhile left it as it liked */
        if (s->raw)
            (void)terminal_raw(STDIN_FILENO);
        converse_resize(s->c);
        break;
    case SIGINT:
        if (typing && !s->c->keys && s->interrupts++ == 0 && type_key(s, CTRL_C))
            break;
        /* fall through */
    default:
        leave(s, CONVERSE_SIGNAL, (int)info.ssi_signo);
    }
}

/* ---- the typist ---- */

/* From now on the keys are the sandbox's, if they shall be. */
static void take_terminal(struct conversation *s)
{
    if (!s->c->keys || !isatty(STDIN_FILENO))
        return;
    s->failed = terminal_raw(STDIN_FILENO);
    s->raw = s->failed == 0;
    if (s->failed < 0)
        daytona_cancel_fire(s->cancel);
}

static int pause_ms(const struct conversation *s)
{
    int ms = s->eof ? END_AGAIN_MS : -1;

    if (s->c->until_ns > 0) {
        const int64_t left_ns = s->c->until_ns - clock_mono_ns();
        const int64_t left_ms = left_ns <= 0 ? 0 : left_ns / NS_PER_MS + 1;

        if (ms < 0 || left_ms < ms)
            ms = left_ms < INT_MAX ? (int)left_ms : INT_MAX;
    }
    return ms;
}

static void take_time(struct conversation *s)
{
    if (s->c->until_ns > 0 && clock_mono_ns() >= s->c->until_ns)
        leave(s, CONVERSE_TIME, 0);
    /* Again until it is heard: a terminal forgets an end that came before its shell did. */
    else if (s->eof && !type_key(s, CTRL_D))
        s->eof = false;
}

static void *typist(void *arg)
{
    struct conversation *s = arg;
    struct pollfd fds[] = {{.fd = s->stop, .events = POLLIN},
                           {.fd = s->signals, .events = POLLIN},
                           {.fd = s->go, .events = POLLIN},
                           {.fd = -1, .events = POLLIN}};
    bool typing = false;

    s->line_start = true;
    for (;;) {
        const int n = poll(fds, ARRAY_LEN(fds), s->c->left ? -1 : pause_ms(s));

        if ((n < 0 && errno != EINTR) || (n > 0 && fds[0].revents))
            break;
        if (n == 0)
            take_time(s);
        if (n <= 0)
            continue;
        if (fds[1].revents)
            take_signal(s, typing);
        if (fds[3].revents && !type(s))
            fds[3].fd = -1;
        if (fds[2].revents) {
            typing = true;
            take_terminal(s);
            fds[2].fd = -1;
            fds[3].fd = s->c->keys ? STDIN_FILENO : -1;
        }
    }
    return NULL;
}

/* ---- one conversation ---- */

static int watch_signals(sigset_t *before)
{
    static const int ours[] = {SIGWINCH, SIGTSTP, SIGCONT, SIGINT, SIGQUIT, SIGTERM, SIGHUP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        sigaddset(&set, ours[i]);
    pthread_sigmask(SIG_BLOCK, &set, before);
    return signalfd(-1, &set, SFD_CLOEXEC);
}

static int talk(struct conversation *s, struct daytona_pty_exit *end)
{
    const uint64_t one = 1;
    struct converse *c = s->c;
    int r;

    if (!c->waits)
        converse_go(c);
    r = -pthread_create(&s->typist, NULL, typist, s);
    if (r < 0)
        return r;
    daytona_cancel_bind(s->cancel);
    r = daytona_pty_wait(c->pty, c->show, c->arg, 0, end);
    daytona_cancel_bind(NULL);
    terminal_restore();
    if (write(s->stop, &one, sizeof(one)) < 0)
        r = -errno; /* cannot be: the counter is at 0 */
    pthread_join(s->typist, NULL);
    terminal_restore();
    return s->failed < 0 ? s->failed : r;
}

int converse(struct converse *c, struct daytona_pty_exit *end)
{
    struct conversation s = {.c = c};
    sigset_t before;
    int r;

    c->left = CONVERSE_STAYED;
    c->inside = &s;
    s.signals = watch_signals(&before);
    s.stop = eventfd(0, EFD_CLOEXEC);
    s.go = eventfd(0, EFD_CLOEXEC);
    s.cancel = daytona_cancel_new();
    r = s.signals < 0 || s.stop < 0 || s.go < 0 || !s.cancel ? -ENOMEM : talk(&s, end);
    daytona_cancel_free(s.cancel);
    close(s.signals);
    close(s.stop);
    close(s.go);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    c->inside = NULL;
    return r;
}
