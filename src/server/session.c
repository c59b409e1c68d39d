/* session.c - one session: its start, its thread, its end. The calls are in session_calls.c. */
#include "server/session.h"

#include "server/server_internal.h"
#include "server/tree.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
    BLOCK = 64 << 10,
    LINE_MAX_BYTES = 1 << 20, /* a longer line goes to the log in stretches */
    THREAD_STACK = 512 << 10,
    TERM_STEPS = 50, /* of 100 ms */
    INPUT_WAIT_MS = 10000,
};
#define LINGER_NS NS_PER_S

static const char mark_out[] = "\1\1\1", mark_err[] = "\2\2\2";
enum { MARK = 3 };

bool session_name_valid(const char *name)
{
    const size_t n = strlen(name);

    if (n > SESSION_NAME_MAX || !path_name_valid(name, n))
        return false;
    for (const unsigned char *p = (const unsigned char *)name; *p; p++) {
        if (*p < 0x20 || *p == 0x7f)
            return false;
    }
    return true;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the log ---- */

static int log_path(const struct session *s, const struct command *c, struct buf *out)
{
    return buf_printf(out, "%s/%s", s->log_dir, c->id);
}

static int open_log(const struct session *s, const struct command *c, int flags)
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
    return open_log(s, c, O_RDONLY);
}

/* To the log of the command that output belongs to. A full disk loses output, as a full log does.
 */
static void log_append_locked(struct session *s, const char *p, size_t n)
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
    if (buf_append(out, st->mark, MARK) == 0 && buf_append(out, st->line.data, st->line.len) == 0 &&
        newline)
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
        close_fd(st->fd);
    if (n > 0) {
        label(s, st, block, (size_t)n, &out);
        lock_take(&s->lock);
        log_append_locked(s, buf_str(&out), out.len);
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
    log_append_locked(s, buf_str(&out), out.len);
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
    close_fd(&s->log_fd);
    s->log_fd = open_log(s, c, O_WRONLY);
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
        close_fd(&s->done);
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
    close_fd(&s->status);
    drain_rest(s, &streams[0]);
    drain_rest(s, &streams[1]);
    lock_take(&s->lock);
    s->dead = true;
    pthread_cond_broadcast(&s->changed);
    lock_drop(&s->lock);
}

static void *run(void *arg)
{
    struct session *s = arg;
    struct stream streams[2] = {
        {.fd = &s->out, .mark = mark_out, .line = BUF_INIT(LINE_MAX_BYTES)},
        {.fd = &s->err, .mark = mark_err, .line = BUF_INIT(LINE_MAX_BYTES)}};
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

static void wake(struct session *s)
{
    const uint64_t one = 1;

    (void)!write(s->wake, &one, sizeof(one)); /* full: it is awake */
}

/* ---- start ---- */

static void free_session(struct session *s)
{
    while (s->commands) {
        struct command *c = s->commands;

        s->commands = c->next;
        free(c->text);
        free(c);
    }
    close_fd(&s->scripts);
    close_fd(&s->parent);
    close_fd(&s->in);
    close_fd(&s->input);
    close_fd(&s->out);
    close_fd(&s->err);
    close_fd(&s->done);
    close_fd(&s->status);
    close_fd(&s->wake);
    close_fd(&s->log_fd);
    jail_unref(s->jail);
    free(s->log_dir);
    free(s->script_dir);
    pthread_cond_destroy(&s->changed);
    lock_done(&s->lock);
    free(s);
}

void session_unref(struct session *s)
{
    struct server *srv;
    bool last;

    if (!s)
        return;
    srv = s->srv;
    lock_take(&srv->live);
    last = --s->refs == 0;
    lock_drop(&srv->live);
    if (last)
        free_session(s);
}

static int make_log_dir(struct session *s, const struct sandbox *sb)
{
    char *id = store_make_id(), *logs = store_dir(sb->srv, sb->id, "logs");
    int r = -ENOMEM;

    if (id && logs)
        s->log_dir = path_join(logs, id);
    if (s->log_dir)
        r = path_make_dirs(s->log_dir, 0700);
    free(id);
    free(logs);
    return r;
}

static struct session *make(const struct session_start *start)
{
    struct session *s = calloc(1, sizeof(*s));

    if (!s) {
        close(start->scripts);
        close(start->parent);
        return NULL;
    }
    lock_init(&s->lock);
    lock_cond_init(&s->changed);
    s->srv = start->sandbox->srv;
    s->refs = 2; /* the list's and the caller's */
    s->jail = jail_ref(start->jail);
    s->in = s->input = s->out = s->err = s->done = s->status = s->wake = s->log_fd = -1;
    s->scripts = start->scripts;
    s->parent = start->parent;
    s->commands_end = &s->commands;
    s->keeps_nul = strcmp(path_base(start->shell), "zsh") == 0;
    snprintf(s->name, sizeof(s->name), "%s", start->name);
    s->script_dir = strdup(start->script_dir);
    if (!s->script_dir || make_log_dir(s, start->sandbox) < 0) {
        free_session(s);
        return NULL;
    }
    return s;
}

/* A pipe of which we keep the end `ours` (0 reads, 1 writes), not blocking. */
static int open_pipe(int ours, int *ret_ours, int *ret_theirs)
{
    int fds[2];

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    (void)fcntl(fds[ours], F_SETFL, O_NONBLOCK);
    *ret_ours = fds[ours];
    *ret_theirs = fds[!ours];
    return 0;
}

static int spawn_shell(struct session *s, const struct session_start *start)
{
    const bool busybox = strcmp(path_base(start->shell), "busybox") == 0;
    const char *const argv[] = {start->shell, busybox ? "sh" : NULL, NULL};
    struct jail_job job = {.cwd = start->cwd,
                           .argv = argv,
                           .env = start->env,
                           .fds = {-1, -1, -1, -1, -1},
                           .fd_count = 5,
                           .flags = JAIL_SESSION};
    int r;

    s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    r = s->wake < 0 ? -errno : 0;
    if (r == 0)
        r = open_pipe(1, &s->in, &job.fds[0]);
    if (r == 0)
        r = open_pipe(0, &s->out, &job.fds[1]);
    if (r == 0)
        r = open_pipe(0, &s->err, &job.fds[2]);
    if (r == 0)
        r = open_pipe(0, &s->done, &job.fds[3]);
    if (r == 0)
        r = open_pipe(1, &s->input, &job.fds[4]);
    if (r == 0)
        r = jail_spawn(s->jail, &job, &s->status, &s->job);
    for (size_t i = 0; i < job.fd_count; i++)
        close_fd(&job.fds[i]);
    return r;
}

static int start_thread(struct session *s)
{
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    r = -pthread_create(&s->thread, &attr, run, s);
    pthread_attr_destroy(&attr);
    return r;
}

/* -EEXIST, -EMFILE, -EPIPE: the sandbox has ended. */
static int may_add_locked(const struct sandbox *sb, const char *name, struct jail *jail)
{
    size_t count = 0;

    lock_assert_held(&sb->srv->live);
    for (const struct session *s = sb->sessions; s; s = s->next) {
        if (strcmp(s->name, name) == 0)
            return -EEXIST;
        count++;
    }
    return jail_ended(jail) ? -EPIPE : count >= SESSIONS_MAX ? -EMFILE : 0;
}

static void remove_dirs(struct session *s)
{
    (void)tree_remove(s->parent, s->name, TREE_MAX); /* what a sandbox made undeletable stays */
    (void)tree_remove(AT_FDCWD, s->log_dir, 1);
}

int session_start(const struct session_start *start, struct session **ret)
{
    struct server *srv = start->sandbox->srv;
    struct session *s;
    int r;

    s = make(start);
    if (!s)
        return -ENOMEM;
    lock_take(&srv->live);
    r = may_add_locked(start->sandbox, start->name, start->jail);
    if (r == 0)
        r = spawn_shell(s, start);
    if (r == 0)
        r = start_thread(s);
    if (r == 0) {
        s->next = start->sandbox->sessions;
        start->sandbox->sessions = s;
    }
    lock_drop(&srv->live);
    if (r < 0) {
        if (s->job)
            jail_forget(s->jail, s->job); /* without its input the shell ends */
        (void)tree_remove(AT_FDCWD, s->log_dir, 1);
        free_session(s);
        return r;
    }
    *ret = s;
    return 0;
}

/* ---- the list ---- */

static bool is_cancelled(struct session *s)
{
    bool cancelled;

    lock_take(&s->lock);
    cancelled = s->cancelled;
    lock_drop(&s->lock);
    return cancelled;
}

struct session *session_find(struct sandbox *sb, const char *name)
{
    struct session *s;

    lock_take(&sb->srv->live);
    for (s = sb->sessions; s && strcmp(s->name, name) != 0; s = s->next)
        ;
    if (s && is_cancelled(s))
        s = NULL;
    if (s)
        s->refs++;
    lock_drop(&sb->srv->live);
    return s;
}

size_t session_list(struct sandbox *sb, struct session ***ret)
{
    size_t count = 0;

    *ret = calloc(SESSIONS_MAX, sizeof(**ret));
    lock_take(&sb->srv->live);
    for (struct session *s = sb->sessions; *ret && s; s = s->next) {
        if (is_cancelled(s))
            continue;
        s->refs++;
        (*ret)[count++] = s;
    }
    lock_drop(&sb->srv->live);
    return count;
}

/* ---- the end ---- */

/* False when somebody else has done it. */
static bool cancel(struct session *s)
{
    bool first;

    lock_take(&s->lock);
    first = !s->cancelled;
    s->cancelled = true;
    pthread_cond_broadcast(&s->changed);
    lock_drop(&s->lock);
    return first;
}

static void kill_all(struct session *s)
{
    const struct timespec step = {.tv_nsec = 100 * NS_PER_MS};
    int left = jail_kill_tree(s->jail, s->job, SIGTERM);

    for (int i = 0; left > 0 && i < TERM_STEPS; i++) {
        nanosleep(&step, NULL);
        left = jail_kill_tree(s->jail, s->job, 0);
    }
    if (left != 0)
        (void)jail_kill_tree(s->jail, s->job, SIGKILL); /* fails when the sandbox has ended */
}

static void join(struct session *s)
{
    lock_take(&s->lock);
    s->stop = true;
    lock_drop(&s->lock);
    wake(s);
    pthread_join(s->thread, NULL);
    jail_forget(s->jail, s->job);
    remove_dirs(s);
}

static void take_off_list(struct sandbox *sb, struct session *s)
{
    struct session **p;

    lock_take(&sb->srv->live);
    for (p = &sb->sessions; *p != s; p = &(*p)->next)
        ;
    *p = s->next;
    lock_drop(&sb->srv->live);
}

int session_delete(struct sandbox *sb, struct session *s)
{
    if (!cancel(s))
        return -ENOENT;
    kill_all(s);
    join(s);
    take_off_list(sb, s); /* only now: the name is free when all of the session has gone */
    session_unref(s);     /* the list's */
    return 0;
}

void session_end_all(struct sandbox *sb)
{
    for (;;) {
        struct session *s;

        lock_take(&sb->srv->live);
        for (s = sb->sessions; s && !cancel(s); s = s->next)
            ;
        if (s) {
            struct session **p;

            for (p = &sb->sessions; *p != s; p = &(*p)->next)
                ;
            *p = s->next;
        }
        lock_drop(&sb->srv->live);
        if (!s)
            return; /* what is left is being deleted by others */
        join(s);
        session_unref(s);
    }
}

/* ---- commands ---- */

static int write_script(struct session *s, const struct command *c)
{
    const size_t len = strlen(c->text);
    int fd, r = 0;

    fd = openat(s->scripts, c->id, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    for (size_t off = 0; r == 0 && off < len;) {
        const ssize_t n = write(fd, c->text + off, len - off);

        if (n < 0 && errno != EINTR)
            r = -errno;
        off += n > 0 ? (size_t)n : 0;
    }
    if (r == 0 && write(fd, "\n", 1) != 1)
        r = -EIO;
    close(fd);
    return r;
}

static int prepare(struct session *s, struct command *c)
{
    int fd, r;

    r = write_script(s, c);
    if (r < 0)
        return r;
    fd = open_log(s, c, O_WRONLY | O_CREAT | O_EXCL);
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
    wake(s);
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
        if (clock_mono_ns() >= until || is_cancelled(s))
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
    r = buf_append(&text, mark_out, MARK);
    if (r == 0)
        r = buf_puts(&text, data);
    if (r == 0 && text.data[text.len - 1] != '\n')
        r = buf_putc(&text, '\n');
    /* First, so that it stands before what it causes. */
    if (r == 0 && c->echo) {
        lock_take(&s->lock);
        if (s->current == c)
            log_append_locked(s, text.data, text.len);
        lock_drop(&s->lock);
    }
    if (r == 0)
        r = write_input(s, text.data + MARK, text.len - MARK);
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
