/* session.c - one session: its start, its place in the list, its end. */
#include "server/session.h"

#include "server/server_internal.h"
#include "server/session_internal.h"
#include "server/tree.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    THREAD_STACK = 512 << 10,
    TERM_STEPS = 50, /* of 100 ms */
};

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

void session_close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
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
    session_close_fd(&s->scripts);
    session_close_fd(&s->parent);
    session_close_fd(&s->in);
    session_close_fd(&s->input);
    session_close_fd(&s->out);
    session_close_fd(&s->err);
    session_close_fd(&s->done);
    session_close_fd(&s->status);
    session_close_fd(&s->wake);
    session_close_fd(&s->log_fd);
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
        session_close_fd(&job.fds[i]);
    return r;
}

static int start_thread(struct session *s)
{
    pthread_attr_t attr;
    int r;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    r = -pthread_create(&s->thread, &attr, session_thread, s);
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

bool session_is_cancelled(struct session *s)
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
    if (s && session_is_cancelled(s))
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
        if (session_is_cancelled(s))
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
    session_wake(s);
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
