/* pty.c - one terminal: its start, its thread, its end. The calls are in pty_calls.c. */
#include "server/pty.h"

#include "server/server_internal.h"
#include "server/session.h"

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
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREAD_STACK = 512 << 10, KILL_WAIT_S = 5, COLS = 80, ROWS = 24 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void poke(int fd)
{
    const uint64_t one = 1;

    (void)!write(fd, &one, sizeof(one)); /* full: it is awake */
}

/* ---- clients ---- */

static void drop_chunks(struct pty_client *c)
{
    while (c->first) {
        struct pty_chunk *chunk = c->first;

        c->first = chunk->next;
        free(chunk);
    }
    c->end = &c->first;
    c->queued = 0;
}

int pty_attach(struct pty *p, struct pty_client *c)
{
    int r = 0;

    *c = (struct pty_client){.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (c->wake < 0)
        return -errno;
    c->end = &c->first;
    lock_take(&p->lock);
    if (p->client_count == PTY_CLIENTS_MAX) {
        r = -EMFILE;
    } else {
        c->next = p->clients;
        p->clients = c;
        p->client_count++;
    }
    lock_drop(&p->lock);
    if (r < 0)
        close_fd(&c->wake);
    return r;
}

void pty_detach(struct pty *p, struct pty_client *c)
{
    struct pty_client **at;

    lock_take(&p->lock);
    for (at = &p->clients; *at != c; at = &(*at)->next)
        ;
    *at = c->next;
    p->client_count--;
    lock_drop(&p->lock);
    drop_chunks(c);
    close_fd(&c->wake);
}

struct pty_chunk *pty_next(struct pty *p, struct pty_client *c, bool *ret_ended)
{
    struct pty_chunk *chunk;
    uint64_t ignored;

    (void)!read(c->wake, &ignored, sizeof(ignored));
    lock_take(&p->lock);
    chunk = c->first;
    if (chunk) {
        c->first = chunk->next;
        if (!c->first)
            c->end = &c->first;
        c->queued--;
    }
    *ret_ended = p->ended;
    lock_drop(&p->lock);
    return chunk;
}

static void give_locked(struct pty *p, const char *data, size_t n)
{
    for (struct pty_client *c = p->clients; c; c = c->next) {
        struct pty_chunk *chunk = NULL;

        if (!c->slow && c->queued < PTY_QUEUE_MAX)
            chunk = malloc(sizeof(*chunk) + n);
        if (chunk) {
            chunk->next = NULL;
            chunk->len = n;
            memcpy(chunk->data, data, n);
            *c->end = chunk;
            c->end = &chunk->next;
            c->queued++;
        } else {
            c->slow = true;
        }
        poke(c->wake);
    }
}

int pty_type(struct pty *p, const void *data, size_t n)
{
    int r;

    lock_take(&p->lock);
    r = buf_append(&p->input, data, n);
    lock_drop(&p->lock);
    if (r == 0)
        poke(p->wake);
    return r;
}

/* ---- the thread ---- */

/* False when there is nothing more for now, or for ever. */
static bool take_output(struct pty *p)
{
    char block[PTY_CHUNK_MAX];
    const ssize_t n = read(p->master, block, sizeof(block));

    if (n <= 0)
        return false;
    lock_take(&p->lock);
    give_locked(p, block, (size_t)n);
    lock_drop(&p->lock);
    return true;
}

static void give_input(struct pty *p)
{
    ssize_t n;

    lock_take(&p->lock);
    if (p->input.len > 0) {
        n = write(p->master, p->input.data, p->input.len);
        if (n > 0)
            buf_consume(&p->input, (size_t)n);
        else if (n < 0 && errno != EAGAIN && errno != EINTR)
            buf_truncate(&p->input, 0); /* nobody is there to read it */
    }
    lock_drop(&p->lock);
}

static int exit_code_of(const struct jail_event *e)
{
    if (e->kind != JAIL_EXITED)
        return 127;
    return WIFSIGNALED(e->value) ? 128 + WTERMSIG(e->value) : WEXITSTATUS(e->value);
}

static void finish(struct pty *p)
{
    struct jail_event event;

    if (read(p->status, &event, sizeof(event)) != (ssize_t)sizeof(event))
        event = (struct jail_event){.kind = JAIL_EXITED, .value = SIGKILL}; /* the sandbox ended */
    /* A child may keep the terminal and print for ever: what there is, and no more. */
    for (int i = 0; i < PTY_QUEUE_MAX && take_output(p); i++)
        ;
    lock_take(&p->lock);
    p->ended = true;
    p->exit_code = exit_code_of(&event);
    for (struct pty_client *c = p->clients; c; c = c->next)
        poke(c->wake);
    pthread_cond_broadcast(&p->changed);
    lock_drop(&p->lock);
}

static void *run(void *arg)
{
    struct pty *p = arg;

    for (;;) {
        struct pollfd fds[3] = {{.fd = p->wake, .events = POLLIN},
                                {.fd = p->status, .events = POLLIN},
                                {.fd = p->master, .events = POLLIN}};
        uint64_t ignored;

        lock_take(&p->lock);
        if (p->input.len > 0)
            fds[2].events |= POLLOUT;
        lock_drop(&p->lock);
        if (poll(fds, 3, -1) < 0 && errno != EINTR)
            break;
        if (fds[0].revents)
            (void)!read(p->wake, &ignored, sizeof(ignored));
        if (fds[2].revents & POLLIN)
            (void)take_output(p);
        if (fds[2].revents & POLLOUT)
            give_input(p);
        if (fds[1].revents)
            break;
        if ((fds[2].revents & (POLLHUP | POLLERR)) && !(fds[2].revents & POLLIN)) {
            /* Nobody has the terminal open; the shell's end is what counts. */
            struct pollfd end = {.fd = p->status, .events = POLLIN};

            (void)poll(&end, 1, 50);
        }
    }
    finish(p);
    return NULL;
}

/* ---- the start ---- */

static int open_terminal(const struct request *rq, struct pty *p, int *ret_slave)
{
    const struct winsize size = {.ws_col = (unsigned short)p->cols,
                                 .ws_row = (unsigned short)p->rows};
    int unlock = 0;

    /* The sandbox's own file system of terminals; there, nothing else can be put at that name. */
    p->master = view_open(rq, jail_root_fd(rq->jail) >= 0 ? "/dev/pts/ptmx" : "/dev/ptmx",
                          O_RDWR | O_NOCTTY | O_NONBLOCK, 0);
    if (p->master < 0)
        return p->master;
    if (ioctl(p->master, TIOCSPTLCK, &unlock) < 0 || ioctl(p->master, TIOCSWINSZ, &size) < 0)
        return -errno;
    *ret_slave = ioctl(p->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    return *ret_slave < 0 ? -errno : 0;
}

static int fill_env(struct request *rq, const struct pty *p, struct shell_env *env)
{
    struct json_pair term = {.key = (char *)"TERM", .value = (char *)"xterm-256color"};
    const struct json_pairs terminal = {.list = &term, .count = 1};
    struct json_pairs both = {.count = p->env.count + 1};
    int r;

    both.list = calloc(both.count, sizeof(*both.list));
    if (!both.list)
        return -ENOMEM;
    both.list[0] = terminal.list[0];
    if (p->env.count > 0)
        memcpy(both.list + 1, p->env.list, p->env.count * sizeof(*both.list));
    r = shell_env_fill(rq, &both, env);
    free(both.list);
    return r;
}

static int spawn(struct request *rq, struct pty *p, int slave, struct shell_env *env)
{
    char shell[256];
    const char *argv[5] = {shell};
    struct jail_job job = {.cwd = p->cwd,
                           .argv = argv,
                           .env = (const char *const *)env->list,
                           .fds = {slave, slave, slave},
                           .fd_count = 3,
                           .flags = JAIL_SESSION | JAIL_TERMINAL};
    size_t n = 1;

    shell_choose(rq, shell);
    if (strcmp(path_base(shell), "busybox") == 0)
        argv[n++] = "sh";
    argv[n++] = "-i";
    argv[n++] = "-l";
    return jail_spawn(p->jail, &job, &p->status, &p->job);
}

static int start_thread(struct pty *p)
{
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    r = -pthread_create(&p->thread, &attr, run, p);
    pthread_attr_destroy(&attr);
    return r;
}

static int check_cwd(const struct request *rq, const struct pty *p)
{
    struct stat st;
    int r;

    r = view_stat(rq, p->cwd, &st);
    return r < 0 ? r : S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

static int start_locked(struct request *rq, struct pty *p)
{
    struct shell_env *env = calloc(1, sizeof(*env));
    int slave = -1, r = env ? 0 : -ENOMEM;

    if (r == 0)
        r = check_cwd(rq, p);
    if (r == 0)
        r = fill_env(rq, p, env);
    if (r == 0)
        r = open_terminal(rq, p, &slave);
    if (r == 0)
        r = spawn(rq, p, slave, env);
    if (r == 0)
        r = start_thread(p);
    if (r == 0)
        p->started = true;
    else if (p->job)
        (void)jail_kill_tree(p->jail, p->job, SIGKILL);
    if (r < 0)
        close_fd(&p->master);
    close_fd(&slave);
    if (env)
        shell_env_done(env);
    free(env);
    return r;
}

int pty_start(struct request *rq, struct pty *p)
{
    int r = 0;

    lock_take(&p->lock);
    if (!p->started && !p->ended)
        r = start_locked(rq, p);
    lock_drop(&p->lock);
    return r;
}

/* ---- the list ---- */

static void free_pty(struct pty *p)
{
    if (p->job)
        jail_forget(p->jail, p->job);
    close_fd(&p->master);
    close_fd(&p->status);
    close_fd(&p->wake);
    buf_done(&p->input);
    json_pairs_done(&p->env);
    jail_unref(p->jail);
    free(p->cwd);
    pthread_cond_destroy(&p->changed);
    lock_done(&p->lock);
    free(p);
}

void pty_unref(struct pty *p)
{
    struct server *srv;
    bool last;

    if (!p)
        return;
    srv = p->srv;
    lock_take(&srv->live);
    last = --p->refs == 0;
    lock_drop(&srv->live);
    if (last)
        free_pty(p);
}

static bool has_ended(struct pty *p)
{
    bool ended;

    lock_take(&p->lock);
    ended = p->ended;
    lock_drop(&p->lock);
    return ended;
}

/* Lets go of those that have ended: their threads are at their end, too. */
static void sweep(struct sandbox *sb)
{
    for (;;) {
        struct pty **at, *p;

        lock_take(&sb->srv->live);
        for (at = &sb->ptys; *at && !has_ended(*at); at = &(*at)->next)
            ;
        p = *at;
        if (p)
            *at = p->next;
        lock_drop(&sb->srv->live);
        if (!p)
            return;
        if (p->started)
            pthread_join(p->thread, NULL);
        pty_unref(p);
    }
}

static struct pty *make(struct request *rq, struct pty_params *params)
{
    struct pty *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    lock_init(&p->lock);
    lock_cond_init(&p->changed);
    buf_init(&p->input, PTY_INPUT_MAX);
    p->srv = rq->srv;
    p->jail = jail_ref(rq->jail);
    p->refs = 2; /* the list's and the caller's */
    p->master = p->status = -1;
    p->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    snprintf(p->id, sizeof(p->id), "%s", params->id);
    p->cwd = view_absolute(rq, params->cwd && *params->cwd ? params->cwd : view_work_dir(rq));
    p->env = params->env;
    params->env = (struct json_pairs){0};
    p->created_ms = clock_real_ns() / NS_PER_MS;
    p->lazy = params->lazy;
    p->cols = params->cols == JSON_ABSENT || params->cols == 0 ? COLS : (unsigned)params->cols;
    p->rows = params->rows == JSON_ABSENT || params->rows == 0 ? ROWS : (unsigned)params->rows;
    if (p->cwd && p->wake >= 0)
        return p;
    free_pty(p);
    return NULL;
}

static int may_add_locked(const struct sandbox *sb, const char *id, struct jail *jail)
{
    size_t count = 0;

    for (const struct pty *p = sb->ptys; p; p = p->next) {
        if (strcmp(p->id, id) == 0)
            return -EEXIST;
        count++;
    }
    return jail_ended(jail) ? -EPIPE : count >= PTYS_MAX ? -EMFILE : 0;
}

static bool size_valid(int64_t v)
{
    return v == JSON_ABSENT || (v >= 0 && v <= PTY_SIZE_MAX);
}

int pty_create(struct request *rq, struct pty_params *params, struct pty **ret)
{
    struct sandbox *sb = rq->sandbox;
    struct pty *p;
    int r;

    if (strlen(params->id) > PTY_ID_MAX || !session_name_valid(params->id) ||
        !size_valid(params->cols) || !size_valid(params->rows))
        return -EINVAL;
    sweep(sb);
    p = make(rq, params);
    if (!p)
        return -ENOMEM;
    lock_take(&sb->srv->live);
    r = may_add_locked(sb, p->id, rq->jail);
    if (r == 0 && !p->lazy)
        r = pty_start(rq, p);
    if (r == 0) {
        p->next = sb->ptys;
        sb->ptys = p;
    }
    lock_drop(&sb->srv->live);
    if (r < 0) {
        free_pty(p);
        return r;
    }
    *ret = p;
    return 0;
}

struct pty *pty_find(struct sandbox *sb, const char *id)
{
    struct pty *p;

    sweep(sb);
    lock_take(&sb->srv->live);
    for (p = sb->ptys; p && strcmp(p->id, id) != 0; p = p->next)
        ;
    if (p)
        p->refs++;
    lock_drop(&sb->srv->live);
    return p;
}

size_t pty_list(struct sandbox *sb, struct pty *ret[PTYS_MAX])
{
    size_t count = 0;

    sweep(sb);
    lock_take(&sb->srv->live);
    for (struct pty *p = sb->ptys; p && count < PTYS_MAX; p = p->next) {
        p->refs++;
        ret[count++] = p;
    }
    lock_drop(&sb->srv->live);
    return count;
}

int pty_resize(struct pty *p, unsigned cols, unsigned rows)
{
    const struct winsize size = {.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
    int r;

    lock_take(&p->lock);
    r = p->ended ? -ESRCH : !p->started ? -EAGAIN : 0;
    if (r == 0 && ioctl(p->master, TIOCSWINSZ, &size) < 0)
        r = -errno;
    if (r == 0) {
        p->cols = cols;
        p->rows = rows;
    }
    lock_drop(&p->lock);
    return r;
}

void pty_kill(struct sandbox *sb, struct pty *p)
{
    const int64_t until = clock_mono_ns() + KILL_WAIT_S * NS_PER_S;
    bool started;

    lock_take(&p->lock);
    if (!p->started && !p->ended) {
        p->ended = true;
        p->exit_code = 128 + SIGKILL;
    }
    started = p->started;
    lock_drop(&p->lock);
    if (started)
        (void)jail_kill_tree(p->jail, p->job, SIGKILL); /* fails when the sandbox has ended */
    lock_take(&p->lock);
    while (!p->ended && lock_wait_until(&p->lock, &p->changed, until) != -ETIMEDOUT)
        ;
    lock_drop(&p->lock);
    sweep(sb);
}

void pty_end_all(struct sandbox *sb)
{
    struct pty *list[PTYS_MAX];
    const size_t count = pty_list(sb, list);

    for (size_t i = 0; i < count; i++) {
        pty_kill(sb, list[i]);
        pty_unref(list[i]);
    }
}
