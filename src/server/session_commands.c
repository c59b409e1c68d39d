/* session_commands.c - what is asked of a session: commands, their input, their logs. */
#include "server/session_internal.h"

#include "server/server_internal.h"

#include "util/clock.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_WAIT_MS = 10000 };
#define LINGER_NS NS_PER_S

static int write_script(struct session *s, const struct command *c)
{
    int fd, r;

    fd = openat(s->scripts, c->id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    r = io_write(fd, c->text, strlen(c->text));
    if (r == 0)
        r = io_write(fd, "\n", 1);
    close(fd);
    return r;
}

static int prepare(struct session *s, struct command *c)
{
    int fd, r;

    r = write_script(s, c);
    if (r < 0)
        return r;
    fd = session_log_open(s, c, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return fd;
    close(fd);
    return 0;
}

int session_exec(struct session *s, const char *text, bool async, bool echo, struct command **ret)
{
    struct command *c = calloc(1, sizeof(*c));
    char *id = store_make_id();
    int r = -ENOMEM;

    if (c && id) {
        snprintf(c->id, sizeof(c->id), "%s", id);
        c->text = strdup(text);
        c->async = async;
        c->echo = echo;
        r = c->text ? prepare(s, c) : -ENOMEM;
    }
    free(id);
    if (r == 0) {
        lock_take(&s->lock);
        if (s->cancelled)
            r = -ECANCELED;
        else if (s->dead)
            r = -EPIPE;
        else if (s->count == SESSION_COMMANDS_MAX ||
                 s->text_bytes + strlen(text) > SESSION_TEXT_MAX)
            r = -ENOSPC;
        if (r == 0) {
            *s->commands_end = c;
            s->commands_end = &c->next;
            s->count++;
            s->text_bytes += strlen(text);
            *ret = c;
        }
        lock_drop(&s->lock);
    }
    if (r < 0) {
        if (c)
            free(c->text);
        free(c);
        return r;
    }
    session_wake(s);
    return 0;
}

struct command *session_command(struct session *s, const char *id)
{
    struct command *c;

    lock_take(&s->lock);
    for (c = s->commands; c && strcmp(c->id, id) != 0; c = c->next)
        ;
    lock_drop(&s->lock);
    return c;
}

static int write_input(struct session *s, const char *data, size_t len)
{
    const int64_t until = clock_mono_ns() + INPUT_WAIT_MS * NS_PER_MS;

    while (len > 0) {
        struct pollfd pfd = {.fd = s->input, .events = POLLOUT};
        const ssize_t n = write(s->input, data, len);

        if (n > 0) {
            data += n;
            len -= (size_t)n;
            continue;
        }
        if (n < 0 && errno != EAGAIN && errno != EINTR)
            return -errno;
        if (clock_mono_ns() >= until || session_is_cancelled(s))
            return -ETIMEDOUT;
        (void)poll(&pfd, 1, 100);
    }
    return 0;
}

/* One that waits for its turn is waited for, a while. */
static int wait_running(struct session *s, const struct command *c)
{
    const int64_t until = clock_mono_ns() + INPUT_WAIT_MS * NS_PER_MS;
    int r = 0;

    lock_take(&s->lock);
    while (r == 0 && c->state == COMMAND_WAITING && !s->dead && !s->cancelled)
        r = lock_wait_until(&s->lock, &s->changed, until);
    if (c->state == COMMAND_DONE)
        r = -ESRCH;
    else if (s->dead || s->cancelled || !c->async)
        r = -EPIPE;
    lock_drop(&s->lock);
    return r;
}

int session_input(struct session *s, struct command *c, const char *data)
{
    struct buf text = BUF_INIT(BODY_MAX + 8);
    int r;

    r = wait_running(s, c);
    if (r < 0)
        return r;
    r = buf_append(&text, session_mark_out, SESSION_MARK);
    if (r == 0)
        r = buf_puts(&text, data);
    if (r == 0 && text.data[text.len - 1] != '\n')
        r = buf_putc(&text, '\n');
    /* First, so that it stands before what it causes. */
    if (r == 0 && c->echo) {
        lock_take(&s->lock);
        if (s->current == c)
            session_log_append_locked(s, text.data, text.len);
        lock_drop(&s->lock);
    }
    if (r == 0)
        r = write_input(s, text.data + SESSION_MARK, text.len - SESSION_MARK);
    buf_done(&text);
    return r;
}

/* The time at which followers of c are let go; INT64_MAX: it is not known. */
static int64_t end_of_log_locked(const struct session *s, const struct command *c)
{
    if (s->cancelled)
        return 0;
    return c->state == COMMAND_DONE ? c->done_ns + LINGER_NS : INT64_MAX;
}

ssize_t session_read(struct session *s, struct command *c, int log, uint64_t off, void *out,
                     size_t max, int64_t until_ns)
{
    uint64_t len;
    ssize_t n = -EAGAIN;

    lock_take(&s->lock);
    for (;;) {
        const int64_t now = clock_mono_ns(), end = end_of_log_locked(s, c);

        len = c->log_len;
        if (len > off)
            break;
        if (now >= end || now >= until_ns) {
            lock_drop(&s->lock);
            return now >= end ? 0 : -EAGAIN;
        }
        (void)lock_wait_until(&s->lock, &s->changed, end < until_ns ? end : until_ns);
    }
    lock_drop(&s->lock);
    if (len - off < max)
        max = (size_t)(len - off);
    do
        n = pread(log, out, max, (off_t)off);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : n == 0 ? -EIO : n;
}
