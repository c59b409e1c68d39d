/* session_thread.c - a session's thread: commands to the shell, what they print to their logs. */
#include "server/session_internal.h"

#include "server/server_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BLOCK = 64 << 10,
    LINE_MAX_BYTES = 1 << 20, /* a longer line goes to the log in stretches */
};

const char session_mark_out[] = "\1\1\1", session_mark_err[] = "\2\2\2";

/* ---- the log ---- */

static int log_path(const struct session *s, const struct command *c, struct buf *out)
{
    return buf_printf(out, "%s/%s", s->log_dir, c->id);
}

int session_log_open(const struct session *s, const struct command *c, int flags)
{
    struct buf path = BUF_INIT(8192);
    int fd = -ENOMEM;

    if (log_path(s, c, &path) == 0) {
        fd = open(buf_str(&path), flags | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0)
            fd = -errno;
    }
    buf_done(&path);
    return fd;
}

int session_open_log(struct session *s, const struct command *c)
{
    return session_log_open(s, c, O_RDONLY);
}

void session_log_append_locked(struct session *s, const char *p, size_t n)
{
    struct command *c = s->current;

    lock_assert_held(&s->lock);
    if (!c || s->log_fd < 0)
        return;
    while (n > 0 && c->log_len < (uint64_t)SESSION_LOG_MAX) {
        const ssize_t w = pwrite(s->log_fd, p, n, (off_t)c->log_len);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            break;
        c->log_len += (uint64_t)w;
        p += w;
        n -= (size_t)w;
    }
    pthread_cond_broadcast(&s->changed);
}

/* One of the shell's two streams: the line that is not complete yet. */
struct stream {
    int *fd;
    const char *mark;
    struct buf line;
};

static void put_line(struct session *s, struct stream *st, struct buf *out, bool newline)
{
    /* Without memory the line is lost: nobody is there to be told. */
    if (buf_append(out, st->mark, SESSION_MARK) == 0 &&
        buf_append(out, st->line.data, st->line.len) == 0 && newline)
        (void)buf_putc(out, '\n');
    buf_truncate(&st->line, 0);
}

static void label(struct session *s, struct stream *st, const char *p, size_t n, struct buf *out)
{
    for (size_t i = 0; i < n; i++) {
        if (p[i] == '\n') {
            put_line(s, st, out, true);
            continue;
        }
        if (p[i] == '\0' && !s->keeps_nul)
            continue;
        if (buf_putc(&st->line, p[i]) < 0) {
            put_line(s, st, out, false);
            (void)buf_putc(&st->line, p[i]);
        }
    }
}

/* At most max bytes of what is there; true when the stream may have more. */
static bool drain(struct session *s, struct stream *st, size_t max)
{
    struct buf out = BUF_INIT(8 * BLOCK + LINE_MAX_BYTES + 64);
    char *block = malloc(BLOCK);
    ssize_t n = -1;

    if (block)
        n = read(*st->fd, block, max < BLOCK ? max : BLOCK);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        session_close_fd(st->fd);
    if (n > 0) {
        label(s, st, block, (size_t)n, &out);
        lock_take(&s->lock);
        session_log_append_locked(s, buf_str(&out), out.len);
        lock_drop(&s->lock);
    }
    buf_done(&out);
    free(block);
    return n > 0;
}

/* What was written before the command ended is in the pipes now; more may be a child's, later. */
static void drain_rest(struct session *s, struct stream *st)
{
    struct buf out = BUF_INIT(LINE_MAX_BYTES + 64);
    int left = 0;

    if (*st->fd >= 0 && ioctl(*st->fd, FIONREAD, &left) < 0)
        left = 0;
    while (left > 0 && *st->fd >= 0) {
        if (!drain(s, st, (size_t)left))
            break;
        left -= BLOCK;
    }
    if (st->line.len == 0)
        return;
    put_line(s, st, &out, true); /* a line without its end gets one */
    lock_take(&s->lock);
    session_log_append_locked(s, buf_str(&out), out.len);
    lock_drop(&s->lock);
    buf_done(&out);
}

/* ---- feeding the shell ---- */

static int put_quoted(struct buf *out, const char *s)
{
    int r = buf_putc(out, '\'');

    for (; r == 0 && *s; s++)
        r = *s == '\'' ? buf_puts(out, "'\\''") : buf_putc(out, *s);
    return r < 0 ? r : buf_putc(out, '\'');
}

/* Sources the command's file; its exit code comes back on descriptor 3. */
static int put_line_for_shell(const struct session *s, const struct command *c, struct buf *out)
{
    struct buf path = BUF_INIT(8192);
    int r;

    r = buf_printf(&path, "%s/%s", s->script_dir, c->id);
    if (r == 0)
        r = buf_puts(out, ". ");
    if (r == 0)
        r = put_quoted(out, buf_str(&path));
    if (r == 0)
        r = buf_printf(out, " %s 3>&- 4<&-; echo $? >&3\n", c->async ? "<&4" : "</dev/null");
    buf_done(&path);
    return r;
}

static void start_next_locked(struct session *s)
{
    struct buf line = BUF_INIT(64 << 10);
    struct command *c = s->current ? s->current->next : s->commands;
    ssize_t n = -1;

    lock_assert_held(&s->lock);
    if (s->dead || !c || (s->current && s->current->state == COMMAND_RUNNING))
        return;
    session_close_fd(&s->log_fd);
    s->log_fd = session_log_open(s, c, O_WRONLY);
    s->current = c;
    c->state = COMMAND_RUNNING;
    if (put_line_for_shell(s, c, &line) == 0)
        n = write(s->in, line.data, line.len);
    /* The shell reads one line and then we wait: a full pipe is a shell that nobody can use. */
    if (n != (ssize_t)line.len)
        s->dead = true;
    pthread_cond_broadcast(&s->changed);
    buf_done(&line);
}

static void take_exit_code(struct session *s, struct stream streams[2])
{
    char text[32];
    const ssize_t n = read(s->done, text, sizeof(text) - 1);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        session_close_fd(&s->done);
    if (n <= 0)
        return;
    text[n] = '\0';
    drain_rest(s, &streams[0]);
    drain_rest(s, &streams[1]);
    lock_take(&s->lock);
    if (s->current && s->current->state == COMMAND_RUNNING) {
        s->current->state = COMMAND_DONE;
        s->current->exit_code = (int)strtol(text, NULL, 10);
        s->current->done_ns = clock_mono_ns();
        pthread_cond_broadcast(&s->changed);
    }
    lock_drop(&s->lock);
}

/* The exit code of the command that ended the shell is never known: as in the real service. */
static void take_shell_end(struct session *s, struct stream streams[2])
{
    session_close_fd(&s->status);
    drain_rest(s, &streams[0]);
    drain_rest(s, &streams[1]);
    lock_take(&s->lock);
    s->dead = true;
    pthread_cond_broadcast(&s->changed);
    lock_drop(&s->lock);
}

void *session_thread(void *arg)
{
    struct session *s = arg;
    struct stream streams[2] = {
        {.fd = &s->out, .mark = session_mark_out, .line = BUF_INIT(LINE_MAX_BYTES)},
        {.fd = &s->err, .mark = session_mark_err, .line = BUF_INIT(LINE_MAX_BYTES)}};
    bool stop = false;

    while (!stop) {
        struct pollfd fds[5] = {{.fd = s->wake, .events = POLLIN},
                                {.fd = s->out, .events = POLLIN},
                                {.fd = s->err, .events = POLLIN},
                                {.fd = s->done, .events = POLLIN},
                                {.fd = s->status, .events = POLLIN}};
        uint64_t ignored;

        if (poll(fds, 5, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            (void)!read(s->wake, &ignored, sizeof(ignored));
        if (fds[1].revents)
            (void)drain(s, &streams[0], BLOCK);
        if (fds[2].revents)
            (void)drain(s, &streams[1], BLOCK);
        if (fds[3].revents)
            take_exit_code(s, streams);
        if (fds[4].revents)
            take_shell_end(s, streams);
        lock_take(&s->lock);
        start_next_locked(s);
        stop = s->stop;
        lock_drop(&s->lock);
    }
    buf_done(&streams[0].line);
    buf_done(&streams[1].line);
    return NULL;
}

void session_wake(struct session *s)
{
    const uint64_t one = 1;

    (void)!write(s->wake, &one, sizeof(one)); /* full: it is awake */
}
