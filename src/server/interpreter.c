/* interpreter.c - contexts: their processes, their turns, the list of a sandbox. */
#include "server/interpreter.h"

#include "server/server_internal.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the process ---- */

static const char *find_python(const struct request *rq)
{
    static const char *const places[] = {"/usr/local/bin/python3", "/usr/bin/python3",
                                         "/bin/python3"};
    struct stat st;

    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (view_stat(rq, places[i], &st) == 0 && S_ISREG(st.st_mode))
            return places[i];
    }
    return NULL;
}

enum { PIPES = 4, READ = 0, WRITE = 1 };

/* pipes: commands, events, stdout, stderr. Ours must not block: the program is not trusted. */
static int spawn(struct request *rq, struct interpreter *in, const char *python,
                 struct shell_env *env, int pipes[PIPES][2])
{
    const char *const argv[] = {python, "-u", "-c", interpreter_program, NULL};
    const int null_fd = view_open(rq, "/dev/null", O_RDONLY, 0);
    const struct jail_job job = {
        .cwd = in->cwd,
        .argv = argv,
        .env = (const char *const *)env->list,
        .fds = {null_fd, pipes[2][WRITE], pipes[3][WRITE], pipes[1][WRITE], pipes[0][READ]},
        .fd_count = 5,
        .flags = JAIL_SESSION};
    int r;

    if (null_fd < 0)
        return null_fd;
    r = jail_spawn(in->jail, &job, &in->status, &in->job);
    close(null_fd);
    return r;
}

static void keep_ends(struct interpreter *in, int pipes[PIPES][2])
{
    int *const kept[PIPES] = {&in->commands, &in->events, &in->out, &in->err};

    for (size_t i = 0; i < PIPES; i++) {
        const int side = i == 0 ? WRITE : READ;

        *kept[i] = pipes[i][side];
        pipes[i][side] = -1;
        (void)fcntl(*kept[i], F_SETFL, O_NONBLOCK);
    }
}

static int check_cwd(const struct request *rq, const char *cwd)
{
    struct stat st;
    const int r = view_stat(rq, cwd, &st);

    return r < 0 ? r : S_ISDIR(st.st_mode) ? 0 : -ENOENT;
}

/* By itself, while nobody looked. */
static bool has_ended(struct interpreter *in)
{
    struct pollfd pfd = {.fd = in->status, .events = POLLIN};

    return !interpreter_alive(in) || poll(&pfd, 1, 0) > 0;
}

int interpreter_start(struct request *rq, struct interpreter *in)
{
    const struct json_pairs none = {0};
    const char *python = find_python(rq);
    int pipes[PIPES][2] = {{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}}, r = 0;
    struct shell_env *env;

    if (!has_ended(in))
        return 0;
    interpreter_stop(in);
    if (!python)
        return -ENOEXEC;
    env = calloc(1, sizeof(*env));
    if (!env)
        return -ENOMEM;
    r = shell_env_fill(rq, &none, env);
    for (size_t i = 0; r == 0 && i < PIPES; i++)
        r = pipe2(pipes[i], O_CLOEXEC) < 0 ? -errno : 0;
    lock_take(&in->lock);
    if (r == 0)
        r = in->deleted ? -ENOENT : spawn(rq, in, python, env, pipes);
    in->alive = r == 0;
    lock_drop(&in->lock);
    if (r == 0)
        keep_ends(in, pipes);
    for (size_t i = 0; i < PIPES; i++) {
        close_fd(&pipes[i][READ]);
        close_fd(&pipes[i][WRITE]);
    }
    shell_env_done(env);
    free(env);
    return r;
}

void interpreter_stop(struct interpreter *in)
{
    lock_take(&in->lock);
    if (in->job) {
        (void)jail_kill_tree(in->jail, in->job, SIGKILL); /* fails when the sandbox has ended */
        jail_forget(in->jail, in->job);
    }
    in->job = 0;
    in->alive = false;
    lock_drop(&in->lock);
    close_fd(&in->commands);
    close_fd(&in->events);
    close_fd(&in->out);
    close_fd(&in->err);
    close_fd(&in->status);
}

bool interpreter_alive(struct interpreter *in)
{
    bool alive;

    lock_take(&in->lock);
    alive = in->alive;
    lock_drop(&in->lock);
    return alive;
}

/* ---- turns ---- */

int interpreter_queue(struct interpreter *in, uint64_t *ret_ticket)
{
    int r = 0;

    lock_take(&in->lock);
    if (in->next_ticket - in->serving > INTERPRETER_QUEUE_MAX)
        r = -EMFILE;
    else
        *ret_ticket = in->next_ticket++;
    lock_drop(&in->lock);
    return r;
}

int interpreter_wait_turn(struct interpreter *in, uint64_t ticket, int64_t until_ns)
{
    int r = 0;

    lock_take(&in->lock);
    while (in->serving != ticket && r == 0)
        r = lock_wait_until(&in->lock, &in->changed, until_ns);
    r = in->serving == ticket ? 0 : -ETIMEDOUT;
    lock_drop(&in->lock);
    return r;
}

void interpreter_give_back(struct interpreter *in)
{
    lock_take(&in->lock);
    in->serving++;
    pthread_cond_broadcast(&in->changed);
    lock_drop(&in->lock);
}

/* ---- the list ---- */

static void free_interpreter(struct interpreter *in)
{
    interpreter_stop(in);
    jail_unref(in->jail);
    free(in->cwd);
    pthread_cond_destroy(&in->changed);
    lock_done(&in->lock);
    free(in);
}

void interpreter_unref(struct interpreter *in)
{
    struct server *srv;
    bool last;

    if (!in)
        return;
    srv = in->srv;
    lock_take(&srv->live);
    last = --in->refs == 0;
    lock_drop(&srv->live);
    if (last)
        free_interpreter(in);
}

static struct interpreter *make(struct request *rq, const char *id, const char *cwd)
{
    struct interpreter *in = calloc(1, sizeof(*in));

    if (!in)
        return NULL;
    lock_init(&in->lock);
    lock_cond_init(&in->changed);
    in->srv = rq->srv;
    in->jail = jail_ref(rq->jail);
    in->refs = 2; /* the list's and the caller's */
    in->commands = in->events = in->out = in->err = in->status = -1;
    snprintf(in->id, sizeof(in->id), "%s", id);
    in->cwd = view_absolute(rq, cwd && *cwd ? cwd : view_work_dir(rq));
    in->created_ms = clock_real_ns() / NS_PER_MS;
    if (in->cwd)
        return in;
    free_interpreter(in);
    return NULL;
}

static struct interpreter *find_locked(const struct sandbox *sb, const char *id, size_t *ret_count)
{
    struct interpreter *found = NULL;

    *ret_count = 0;
    for (struct interpreter *in = sb->interpreters; in; in = in->next) {
        if (strcmp(in->id, id) == 0)
            found = in;
        ++*ret_count;
    }
    return found;
}

/* What is there already of that id wins. */
static int add(struct sandbox *sb, struct interpreter *in, struct interpreter **ret)
{
    struct interpreter *other;
    size_t count;
    int r = 0;

    lock_take(&sb->srv->live);
    other = find_locked(sb, in->id, &count);
    if (other) {
        other->refs++;
    } else if (count == INTERPRETERS_MAX) {
        r = -EMFILE;
    } else if (jail_ended(in->jail)) {
        r = -EPIPE;
    } else {
        in->next = sb->interpreters;
        sb->interpreters = in;
    }
    lock_drop(&sb->srv->live);
    if (r < 0 || other)
        free_interpreter(in);
    *ret = other ? other : in;
    return r;
}

int interpreter_create(struct request *rq, const char *cwd, struct interpreter **ret)
{
    struct interpreter *in = NULL;
    uint64_t ticket;
    char *id;
    int r;

    id = store_make_id();
    if (id)
        in = make(rq, id, cwd);
    free(id);
    if (!in)
        return -ENOMEM;
    r = check_cwd(rq, in->cwd);
    if (r < 0) {
        free_interpreter(in);
        return r;
    }
    r = add(rq->sandbox, in, &in);
    if (r < 0)
        return r;
    r = interpreter_queue(in, &ticket); /* the first: it is served at once */
    if (r == 0) {
        r = interpreter_start(rq, in);
        interpreter_give_back(in);
    }
    if (r < 0) {
        interpreter_delete(rq->sandbox, in);
        interpreter_unref(in);
        return r;
    }
    *ret = in;
    return 0;
}

struct interpreter *interpreter_find(struct request *rq, const char *id)
{
    struct sandbox *sb = rq->sandbox;
    struct interpreter *in;
    size_t count;

    lock_take(&sb->srv->live);
    in = find_locked(sb, id, &count);
    if (in)
        in->refs++;
    lock_drop(&sb->srv->live);
    if (in || strcmp(id, INTERPRETER_DEFAULT) != 0)
        return in;
    in = make(rq, id, NULL);
    return in && add(sb, in, &in) == 0 ? in : NULL;
}

size_t interpreter_list(struct sandbox *sb, struct interpreter *ret[INTERPRETERS_MAX])
{
    size_t count = 0;

    lock_take(&sb->srv->live);
    for (struct interpreter *in = sb->interpreters; in && count < INTERPRETERS_MAX; in = in->next) {
        in->refs++;
        ret[count++] = in;
    }
    lock_drop(&sb->srv->live);
    return count;
}

void interpreter_delete(struct sandbox *sb, struct interpreter *in)
{
    struct interpreter **at;
    bool listed;

    lock_take(&sb->srv->live);
    for (at = &sb->interpreters; *at && *at != in; at = &(*at)->next)
        ;
    listed = *at;
    if (listed)
        *at = in->next;
    lock_drop(&sb->srv->live);
    lock_take(&in->lock);
    in->deleted = true;
    if (in->alive)
        (void)jail_kill_tree(in->jail, in->job, SIGKILL); /* fails when the sandbox has ended */
    lock_drop(&in->lock);
    if (listed)
        interpreter_unref(in);
}

void interpreter_end_all(struct sandbox *sb)
{
    struct interpreter *list[INTERPRETERS_MAX];
    const size_t count = interpreter_list(sb, list);

    for (size_t i = 0; i < count; i++) {
        interpreter_delete(sb, list[i]);
        interpreter_unref(list[i]);
    }
}
