/* lsp.c - a language server's process, and what is said to it and heard of it. */
#include "server/lsp.h"

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

enum { ANSWER_S = 20, ENTER_S = 40, STEP_MS = 200, MESSAGES_MAX = 10000 };

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* ---- the list ---- */

static void free_lsp(struct lsp *lsp)
{
    lsp_kill(lsp);
    buf_done(&lsp->text);
    jail_unref(lsp->jail);
    free(lsp->language);
    free(lsp->project);
    pthread_cond_destroy(&lsp->changed);
    lock_done(&lsp->lock);
    free(lsp);
}

void lsp_unref(struct lsp *lsp)
{
    struct server *srv;
    bool last;

    if (!lsp)
        return;
    srv = lsp->srv;
    lock_take(&srv->live);
    last = --lsp->refs == 0;
    lock_drop(&srv->live);
    if (last)
        free_lsp(lsp);
}

static struct lsp *make(struct request *rq, const char *language, const char *project)
{
    struct lsp *lsp = calloc(1, sizeof(*lsp));

    if (!lsp)
        return NULL;
    lock_init(&lsp->lock);
    lock_cond_init(&lsp->changed);
    buf_init(&lsp->text, LSP_MESSAGE_MAX + (64 << 10));
    lsp->srv = rq->srv;
    lsp->jail = jail_ref(rq->jail);
    lsp->refs = 2; /* the list's and the caller's */
    lsp->in = lsp->out = lsp->status = -1;
    lsp->language = strdup(language);
    lsp->project = strdup(project);
    if (lsp->language && lsp->project)
        return lsp;
    free_lsp(lsp);
    return NULL;
}

struct lsp *lsp_find(struct request *rq, const char *language, const char *project, bool create)
{
    struct sandbox *sb = rq->sandbox;
    struct lsp *lsp;
    size_t count = 0;

    lock_take(&rq->srv->live);
    for (lsp = sb->lsps; lsp; lsp = lsp->next) {
        if (strcmp(lsp->language, language) == 0 && strcmp(lsp->project, project) == 0)
            break;
        count++;
    }
    if (lsp) {
        lsp->refs++;
    } else if (create && count < LSPS_MAX && !jail_ended(rq->jail)) {
        lsp = make(rq, language, project);
        if (lsp) {
            lsp->next = sb->lsps;
            sb->lsps = lsp;
        }
    }
    lock_drop(&rq->srv->live);
    return lsp;
}

void lsp_end_all(struct sandbox *sb)
{
    for (;;) {
        struct lsp *lsp;

        lock_take(&sb->srv->live);
        lsp = sb->lsps;
        if (lsp)
            sb->lsps = lsp->next;
        lock_drop(&sb->srv->live);
        if (!lsp)
            return;
        lsp_unref(lsp); /* who talks to it hears its end */
    }
}

int lsp_enter(struct lsp *lsp)
{
    const int64_t until = clock_mono_ns() + ENTER_S * NS_PER_S;
    int r = 0;

    lock_take(&lsp->lock);
    while (lsp->busy && r == 0)
        r = lock_wait_until(&lsp->lock, &lsp->changed, until);
    r = lsp->busy ? -ETIMEDOUT : 0;
    if (r == 0)
        lsp->busy = true;
    lock_drop(&lsp->lock);
    return r;
}

void lsp_leave(struct lsp *lsp)
{
    lock_take(&lsp->lock);
    lsp->busy = false;
    pthread_cond_broadcast(&lsp->changed);
    lock_drop(&lsp->lock);
}

/* ---- the process ---- */

struct program {
    const char *language, *name, *arg;
};
static const struct program programs[] = {{"python", "pylsp", NULL},
                                          {"typescript", "typescript-language-server", "--stdio"}};

/* Also where pip and npm put what is one user's. */
static bool find_program(const struct request *rq, const char *name, char out[512])
{
    static const char *const dirs[] = {"/usr/local/bin", "/usr/bin", "/bin"};
    struct stat st;

    snprintf(out, 512, "%.400s/.local/bin/%s", view_work_dir(rq), name);
    if (view_stat(rq, out, &st) == 0 && S_ISREG(st.st_mode))
        return true;
    for (size_t i = 0; i < ARRAY_LEN(dirs); i++) {
        snprintf(out, 512, "%s/%s", dirs[i], name);
        if (view_stat(rq, out, &st) == 0 && S_ISREG(st.st_mode))
            return true;
    }
    return false;
}

bool lsp_runs(const struct lsp *lsp)
{
    return lsp->in >= 0;
}

void lsp_kill(struct lsp *lsp)
{
    if (lsp->job) {
        (void)jail_kill_tree(lsp->jail, lsp->job, SIGKILL); /* fails when the sandbox has ended */
        jail_forget(lsp->jail, lsp->job);
    }
    lsp->job = 0;
    close_fd(&lsp->in);
    close_fd(&lsp->out);
    close_fd(&lsp->status);
    buf_truncate(&lsp->text, 0);
}

static int start(struct request *rq, struct lsp *lsp, const char *const *argv,
                 struct shell_env *env)
{
    const int null_fd = view_open(rq, "/dev/null", O_WRONLY, 0);
    int in[2] = {-1, -1}, out[2] = {-1, -1}, r = 0;
    struct jail_job job = {.cwd = lsp->project,
                           .argv = argv,
                           .env = (const char *const *)env->list,
                           .fd_count = 3,
                           .flags = JAIL_SESSION};

    if (null_fd < 0 || pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0)
        r = null_fd < 0 ? null_fd : -errno;
    job.fds[0] = in[0];
    job.fds[1] = out[1];
    job.fds[2] = null_fd;
    if (r == 0)
        r = jail_spawn(lsp->jail, &job, &lsp->status, &lsp->job);
    if (r == 0) {
        lsp->in = in[1];
        lsp->out = out[0];
        in[1] = out[0] = -1;
        (void)fcntl(lsp->in, F_SETFL, O_NONBLOCK);
        (void)fcntl(lsp->out, F_SETFL, O_NONBLOCK);
    }
    close_fd(&in[0]);
    close_fd(&in[1]);
    close_fd(&out[0]);
    close_fd(&out[1]);
    if (null_fd >= 0)
        close(null_fd);
    return r;
}

int lsp_spawn(struct request *rq, struct lsp *lsp)
{
    const struct json_pairs none = {0};
    const struct program *program = NULL;
    const char *argv[3] = {NULL};
    struct shell_env *env;
    char path[512];
    int r;

    for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
        if (strcmp(programs[i].language, lsp->language) == 0)
            program = &programs[i];
    }
    if (!program)
        return -EINVAL;
    if (!find_program(rq, program->name, path))
        return -ENOENT;
    argv[0] = path;
    argv[1] = program->arg;
    env = calloc(1, sizeof(*env));
    if (!env)
        return -ENOMEM;
    r = shell_env_fill(rq, &none, env);
    if (r == 0)
        r = start(rq, lsp, argv, env);
    shell_env_done(env);
    free(env);
    return r;
}

/* ---- messages ---- */

static int send_all(struct lsp *lsp, const char *p, size_t n)
{
    const int64_t until = clock_mono_ns() + ANSWER_S * NS_PER_S;

    while (n > 0) {
        struct pollfd pfd = {.fd = lsp->in, .events = POLLOUT};
        const ssize_t w = write(lsp->in, p, n);

        if (w > 0) {
            p += w;
            n -= (size_t)w;
        } else if (errno != EAGAIN && errno != EINTR) {
            return -EPIPE;
        } else if (clock_mono_ns() >= until) {
            return -ETIMEDOUT;
        } else {
            (void)poll(&pfd, 1, STEP_MS);
        }
    }
    return 0;
}

/* Takes message. */
static int put_message(struct lsp *lsp, cJSON *message)
{
    struct buf text = BUF_INIT(LSP_MESSAGE_MAX);
    char *json = NULL;
    int r = -ENOMEM;

    if (message && cJSON_AddStringToObject(message, "jsonrpc", "2.0"))
        json = cJSON_PrintUnformatted(message);
    if (json)
        r = buf_printf(&text, "Content-Length: %zu\r\n\r\n", strlen(json));
    if (r == 0)
        r = buf_puts(&text, json);
    if (r == 0)
        r = lsp->in < 0 ? -EPIPE : send_all(lsp, text.data, text.len);
    cJSON_free(json);
    cJSON_Delete(message);
    buf_done(&text);
    return r;
}

/* The next message; the caller's. */
static int get_message(struct lsp *lsp, int64_t until_ns, cJSON **ret)
{
    for (;;) {
        struct pollfd pfd = {.fd = lsp->out, .events = POLLIN};
        size_t start, len;
        char block[16384];
        ssize_t n;
        int r;

        r = lsp_frame(buf_str(&lsp->text), lsp->text.len, &start, &len);
        if (r < 0)
            return r;
        if (r == 0) {
            r = json_parse(lsp->text.data + start, len, ret);
            buf_consume(&lsp->text, start + len);
            return r;
        }
        n = read(lsp->out, block, sizeof(block));
        if (n > 0)
            r = buf_append(&lsp->text, block, (size_t)n);
        else if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return -EPIPE;
        else if (clock_mono_ns() >= until_ns)
            return -ETIMEDOUT;
        else
            (void)poll(&pfd, 1, STEP_MS);
        if (r < 0)
            return -EPROTO;
    }
}

/* What the server asks of an editor: nothing is known here. */
static int answer_nothing(struct lsp *lsp, const cJSON *id)
{
    cJSON *message = cJSON_CreateObject();

    if (message) {
        cJSON_AddItemToObject(message, "id", cJSON_Duplicate(id, true));
        cJSON_AddNullToObject(message, "result");
    }
    return put_message(lsp, message);
}

static cJSON *envelope(const char *method, cJSON *params)
{
    cJSON *message = cJSON_CreateObject();

    if (!message || !cJSON_AddStringToObject(message, "method", method)) {
        cJSON_Delete(params);
        cJSON_Delete(message);
        return NULL;
    }
    cJSON_AddItemToObject(message, "params", params);
    return message;
}

static int wait_answer(struct lsp *lsp, int64_t id, cJSON **ret)
{
    const int64_t until = clock_mono_ns() + ANSWER_S * NS_PER_S;

    for (int i = 0; i < MESSAGES_MAX; i++) {
        cJSON *message = NULL, *its_id, *result;
        int r;

        r = get_message(lsp, until, &message);
        if (r < 0)
            return r;
        its_id = cJSON_GetObjectItemCaseSensitive(message, "id");
        if (its_id && cJSON_GetObjectItemCaseSensitive(message, "method")) {
            r = answer_nothing(lsp, its_id);
        } else if (cJSON_IsNumber(its_id) && (int64_t)its_id->valuedouble == id) {
            result = cJSON_DetachItemFromObjectCaseSensitive(message, "result");
            cJSON_Delete(message);
            if (!result)
                return -EIO;
            if (ret)
                *ret = result;
            else
                cJSON_Delete(result);
            return 0;
        }
        cJSON_Delete(message);
        if (r < 0)
            return r;
    }
    return -EPROTO;
}

int lsp_ask(struct lsp *lsp, const char *method, cJSON *params, cJSON **ret)
{
    const int64_t id = ++lsp->next_id;
    cJSON *message = envelope(method, params);
    int r;

    if (message && !cJSON_AddNumberToObject(message, "id", (double)id)) {
        cJSON_Delete(message);
        message = NULL;
    }
    r = put_message(lsp, message);
    if (r == 0)
        r = wait_answer(lsp, id, ret);
    if (r < 0 && r != -EIO)
        lsp_kill(lsp);
    return r;
}

int lsp_tell(struct lsp *lsp, const char *method, cJSON *params)
{
    const int r = put_message(lsp, envelope(method, params));

    if (r < 0)
        lsp_kill(lsp);
    return r;
}
