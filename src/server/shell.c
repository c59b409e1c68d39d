/* shell.c - which shell runs in a sandbox, and with what environment. */
#include "server/server_internal.h"

#include "util/array.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHELLS_MAX = 64 << 10 };

#define SANDBOX_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- which shell ---- */

static const char *const preferred[] = {"/usr/bin/zsh", "/bin/zsh", "/usr/bin/bash", "/bin/bash"};
static const char *const last_resort[] = {"/bin/sh", "/usr/bin/sh"};

static bool read_shells(const struct request *rq, char *out, size_t size)
{
    ssize_t n;
    int fd;

    fd = view_open(rq, "/etc/shells", O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    n = read(fd, out, size - 1);
    close(fd);
    if (n < 0)
        return false;
    out[n] = '\0';
    return true;
}

static bool has_line(const char *text, const char *line)
{
    const size_t n = strlen(line);

    for (const char *p = text; p; p = strchr(p, '\n')) {
        if (*p == '\n')
            p++;
        if (strncmp(p, line, n) == 0 && (p[n] == '\n' || p[n] == '\0'))
            return true;
    }
    return false;
}

/* The sandbox's list decides; the order is ours. */
void shell_choose(const struct request *rq, char out[256])
{
    struct fault_settings settings;
    struct stat st;
    char *list;

    fault_settings(rq->srv->fault, &settings);
    snprintf(out, 256, "%s", settings.shell[0] ? settings.shell : "/bin/sh");
    if (settings.shell[0])
        return;
    list = malloc(SHELLS_MAX);
    if (list && read_shells(rq, list, SHELLS_MAX)) {
        for (size_t i = 0; i < ARRAY_LEN(preferred); i++) {
            if (has_line(list, preferred[i])) {
                snprintf(out, 256, "%s", preferred[i]);
                free(list);
                return;
            }
        }
    }
    free(list);
    for (size_t i = 0; i < ARRAY_LEN(last_resort); i++) {
        if (view_stat(rq, last_resort[i], &st) == 0) {
            snprintf(out, 256, "%s", last_resort[i]);
            return;
        }
    }
}

/* ---- the environment ---- */

static int env_set(struct shell_env *env, const char *key, const char *value)
{
    const size_t n = strlen(key);
    char *text;
    size_t i = 0;

    while (i < env->count && !(strncmp(env->list[i], key, n) == 0 && env->list[i][n] == '='))
        i++;
    if (i == SHELL_ENV_MAX)
        return -E2BIG;
    if (asprintf(&text, "%s=%s", key, value) < 0)
        return -ENOMEM;
    if (i < env->count)
        free(env->list[i]);
    else
        env->count++;
    env->list[i] = text;
    return 0;
}

bool shell_env_key_valid(const char *key)
{
    if (!isalpha((unsigned char)*key) && *key != '_')
        return false;
    while (isalnum((unsigned char)*key) || *key == '_')
        key++;
    return *key == '\0';
}

static int env_add(struct shell_env *env, const struct json_pairs *pairs)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < pairs->count; i++)
        r = env_set(env, pairs->list[i].key, pairs->list[i].value);
    return r;
}

int shell_env_fill(const struct request *rq, const struct json_pairs *given, struct shell_env *env)
{
    const struct json_pair base[] = {
        {(char *)"PATH", (char *)SANDBOX_PATH},
        {(char *)"HOME", (char *)view_work_dir(rq)},
        {(char *)"USER", rq->sandbox->user},
        {(char *)"LANG", (char *)"C.UTF-8"},
        {(char *)"DAYTONA_SANDBOX_ID", rq->sandbox->id},
        {(char *)"DAYTONA_SANDBOX_USER", rq->sandbox->user},
    };
    const struct json_pairs pairs = {.list = (struct json_pair *)base, .count = ARRAY_LEN(base)};
    int r;

    r = env_add(env, &pairs);
    lock_take(&rq->srv->lock);
    if (r == 0)
        r = env_add(env, &rq->sandbox->env);
    lock_drop(&rq->srv->lock);
    return r < 0 ? r : env_add(env, given);
}

void shell_env_done(struct shell_env *env)
{
    for (size_t i = 0; i < env->count; i++)
        free(env->list[i]);
}
