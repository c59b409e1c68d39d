#include "remote/job.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void remote_job_done(struct remote_job *job)
{
    free(job->name);
    free(job->line);
    free(job->cwd);
    memset(job, 0, sizeof(*job));
}

void remote_job_list_free(struct remote_job *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        remote_job_done(&v[i]);
    free(v);
}

int remote_job_code(const struct remote_job *job)
{
    if (job->phase != REMOTE_JOB_ENDED)
        return -1;
    return job->signal ? 128 + job->signal : job->exit_code;
}

bool remote_job_name_valid(const char *name)
{
    const size_t len = strlen(name);
    bool number = true;

    if (len == 0 || len > REMOTE_JOB_NAME_MAX || name[0] == '.' || strchr(name, '/'))
        return false;
    for (size_t i = 0; i < len; i++) {
        if (iscntrl((unsigned char)name[i]))
            return false;
        number = number && isdigit((unsigned char)name[i]);
    }
    return !number;
}

bool remote_job_call_waits(const struct remote_job_call *call)
{
    return (call->read && call->read->wait_ns > 0) || (call->write && call->write->wait_ns > 0);
}

/* One job in the answer, or none for those that do not want it. */
static int ask(struct remote *r, const struct remote_job_call *call, struct remote_job *ret)
{
    struct remote_job_answer answer = {0};
    int err = r->ops->job ? r->ops->job(r, call, &answer) : -EOPNOTSUPP;

    if (err == 0 && ret && answer.count != 1)
        err = -EIO;
    if (err == 0 && ret) {
        *ret = answer.v[0];
        answer.v[0] = (struct remote_job){0};
    }
    remote_job_list_free(answer.v, answer.count);
    return err;
}

static bool token_valid(const char *token)
{
    size_t n = 0;

    while (isalnum((unsigned char)token[n]))
        n++;
    return n > 0 && n <= REMOTE_JOB_TOKEN_MAX && token[n] == '\0';
}

static bool env_valid(const char *const *env)
{
    for (; env && *env; env++) {
        const char *equals = strchr(*env, '=');

        if (!equals || equals == *env)
            return false;
    }
    return true;
}

int remote_job_start(struct remote *r, const struct remote_job_start *start, struct buf *out,
                     struct buf *err, struct remote_job *ret)
{
    const size_t max =
        start->output_max < REMOTE_JOB_OUTPUT_MAX ? start->output_max : REMOTE_JOB_OUTPUT_MAX;
    const struct remote_job_read read = {
        .max = out && err ? max : 0, .wait_ns = start->wait_ns, .out = out, .err = err};
    const struct remote_job_call call = {
        .op = REMOTE_JOB_START, .start = start, .read = &read, .after = start->after};

    if (!start->token || !token_valid(start->token) || !env_valid(start->env) ||
        (start->name && !remote_job_name_valid(start->name)) || !start->cwd ||
        start->cwd[0] != '/' || !(start->argv ? start->argv[0] : start->script))
        return -EINVAL;
    if (start->input_len > REMOTE_JOB_INPUT_MAX ||
        (start->line && strlen(start->line) > REMOTE_JOB_LINE_MAX))
        return -E2BIG;
    return ask(r, &call, ret);
}

static int by_id(const void *a, const void *b)
{
    const struct remote_job *x = a, *y = b;

    return x->id < y->id ? -1 : x->id > y->id;
}

int remote_job_list(struct remote *r, struct remote_job **ret, size_t *ret_count)
{
    struct remote_job_answer answer = {0};
    int err = r->ops->job
                  ? r->ops->job(r, &(struct remote_job_call){.op = REMOTE_JOB_LIST}, &answer)
                  : -EOPNOTSUPP;

    if (err < 0)
        return err;
    if (answer.count > 0)
        qsort(answer.v, answer.count, sizeof(*answer.v), by_id);
    *ret = answer.v;
    *ret_count = answer.count;
    return 0;
}

int remote_job_read(struct remote *r, uint64_t id, const struct remote_job_read *read,
                    struct remote_job *ret)
{
    struct remote_job_read bounded = *read;

    if (read->max > REMOTE_JOB_OUTPUT_MAX)
        bounded.max = REMOTE_JOB_OUTPUT_MAX;
    if (read->out_off > INT64_MAX || read->err_off > INT64_MAX)
        return -EINVAL;
    return ask(r,
               &(struct remote_job_call){
                   .op = REMOTE_JOB_READ, .id = id, .read = &bounded, .after = read->after},
               ret);
}

int remote_job_status(struct remote *r, uint64_t id, struct remote_job *ret)
{
    struct buf none = BUF_INIT(0);
    const struct remote_job_read read = {.out = &none, .err = &none};

    return remote_job_read(r, id, &read, ret);
}

int remote_job_write(struct remote *r, uint64_t id, const struct remote_job_write *write,
                     struct remote_job *ret)
{
    if (write->len > REMOTE_JOB_INPUT_MAX)
        return -E2BIG;
    return ask(r, &(struct remote_job_call){.op = REMOTE_JOB_WRITE, .id = id, .write = write}, ret);
}

int remote_job_kill(struct remote *r, uint64_t id, int signal)
{
    if (signal < 0 || signal > 64)
        return -EINVAL;
    return ask(r, &(struct remote_job_call){.op = REMOTE_JOB_KILL, .id = id, .signal = signal},
               NULL);
}

int remote_job_remove(struct remote *r, uint64_t id)
{
    return ask(r, &(struct remote_job_call){.op = REMOTE_JOB_REMOVE, .id = id}, NULL);
}
