/* Jobs of remote_mem: "echo WORD" ends at once, "cat" gives back its stdin; any other does what the
 * test says. */
#include "remote/backends.h"
#include "remote/mem_internal.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

enum { STREAM_MAX = 256 << 20, JOBS_MAX = 10000 };

#define LOOK_NS (20 * NS_PER_MS)

struct mem_job {
    struct mem_job *prev, *next;
    struct remote_job job; /* its strings are owned */
    char token[REMOTE_JOB_TOKEN_MAX + 1];
    bool passing, cat;
    struct buf in, out, err, both;
};

static struct mem_job *find(struct mem *m, uint64_t id)
{
    struct mem_job *j;

    DL_FOREACH(m->jobs, j)
        if (j->job.id == id)
            return j;
    return NULL;
}

static void job_free(struct mem_job *j)
{
    remote_job_done(&j->job);
    buf_done(&j->in);
    buf_done(&j->out);
    buf_done(&j->err);
    buf_done(&j->both);
    free(j);
}

static void end_job(struct mem_job *j, int code, int signal)
{
    j->job.phase = REMOTE_JOB_ENDED;
    j->job.exit_code = code;
    j->job.signal = signal;
    j->job.input_open = false;
    j->job.ended_ns = clock_real_ns();
}

static int print(struct mem_job *j, bool err, const void *p, size_t len)
{
    struct buf *to = err ? &j->err : &j->out;
    int r = buf_append(to, p, len);

    if (r == 0)
        r = buf_append(&j->both, p, len);
    j->job.both_size = j->both.len;
    j->job.out_size = j->out.len;
    j->job.err_size = j->err.len;
    return r;
}

static int make(struct mem *m, const struct remote_job_start *s, struct mem_job **ret)
{
    const char *word = s->argv ? s->argv[0] : s->script;
    struct mem_job *j = calloc(1, sizeof(*j));
    int r = 0;

    if (!j)
        return -ENOMEM;
    buf_init(&j->in, STREAM_MAX);
    buf_init(&j->out, STREAM_MAX);
    buf_init(&j->err, STREAM_MAX);
    buf_init(&j->both, STREAM_MAX);
    j->job = (struct remote_job){.id = ++m->last_job,
                                 .phase = REMOTE_JOB_RUNNING,
                                 .input_open = s->input_open,
                                 .started_ns = clock_real_ns(),
                                 .pid = 1000 + m->last_job,
                                 .name = strdup(s->name ? s->name : ""),
                                 .line = strdup(s->line ? s->line : ""),
                                 .cwd = strdup(s->cwd)};
    strcpy(j->token, s->token);
    j->passing = s->passing;
    j->cat = strcmp(word, "cat") == 0;
    if (!j->job.name || !j->job.line || !j->job.cwd)
        r = -ENOMEM;
    if (r == 0)
        r = buf_append(&j->in, s->input, s->input_len);
    j->job.input_size = s->input_len;
    if (r == 0 && j->cat)
        r = print(j, false, s->input, s->input_len);
    if (r == 0 && s->argv && strcmp(word, "echo") == 0 && s->argv[1]) {
        r = print(j, false, s->argv[1], strlen(s->argv[1]));
        if (r == 0)
            r = print(j, false, "\n", 1);
        end_job(j, 0, 0);
    }
    if (r == 0 && j->cat && !s->input_open)
        end_job(j, 0, 0);
    if (r < 0)
        job_free(j);
    else
        *ret = j;
    return r;
}

static int start(struct mem *m, const struct remote_job_start *s, struct mem_job **ret)
{
    struct mem_job *j;
    size_t count = 0;
    int r;

    DL_FOREACH(m->jobs, j) {
        if (strcmp(j->token, s->token) == 0) {
            *ret = j;
            return 0;
        }
        if (s->name && strcmp(j->job.name, s->name) == 0)
            return -EEXIST;
        count++;
    }
    if (count >= JOBS_MAX)
        return -ENOSPC;
    r = make(m, s, ret);
    if (r == 0)
        DL_APPEND(m->jobs, *ret);
    return r;
}

static int copy_job(const struct mem_job *j, bool strings, struct remote_job *ret)
{
    *ret = j->job;
    ret->name = ret->line = ret->cwd = NULL;
    if (!strings)
        return 0;
    ret->name = strdup(j->job.name);
    ret->line = strdup(j->job.line);
    ret->cwd = strdup(j->job.cwd);
    return ret->name && ret->line && ret->cwd ? 0 : -ENOMEM;
}

static int add(struct remote_job_answer *answer, const struct mem_job *j, bool strings)
{
    struct remote_job *v = realloc(answer->v, (answer->count + 1) * sizeof(*v));

    if (!v)
        return -ENOMEM;
    answer->v = v;
    return copy_job(j, strings, &v[answer->count++]);
}

static int list(struct mem *m, struct remote_job_answer *answer)
{
    struct mem_job *j;
    int r = 0;

    DL_FOREACH(m->jobs, j) {
        if (r == 0 && (!j->passing || j->job.phase == REMOTE_JOB_RUNNING))
            r = add(answer, j, true);
    }
    return r;
}

static int give(const struct buf *from, uint64_t off, size_t max, struct buf *to)
{
    const size_t has = off < from->len ? from->len - off : 0;

    return has ? buf_append(to, from->data + off, has < max ? has : max) : 0;
}

static bool is_over(const struct mem_job *j, const struct remote_job_call *call, int64_t end_ns)
{
    const struct remote_job_read *read = call->read;
    const bool news = read->together ? j->both.len > read->out_off
                                     : j->out.len > read->out_off || j->err.len > read->err_off;

    return j->job.phase != REMOTE_JOB_RUNNING || (news && call->op != REMOTE_JOB_START) ||
           clock_mono_ns() >= end_ns;
}

/* Waits, and finds the job again each time: it may be gone. */
static int read_job(struct mem *m, uint64_t id, const struct remote_job_call *call,
                    struct remote_job_answer *answer)
{
    const struct remote_job_read *read = call->read;
    const int64_t end_ns = clock_mono_ns() + read->wait_ns;
    struct mem_job *j;
    size_t out_len;
    int r;

    for (;;) {
        j = find(m, id);
        if (!j)
            return -ENOENT;
        if (is_over(j, call, end_ns))
            break;
        if (cancel_fired(cancel_bound()))
            return -EINTR;
        lock_drop(&m->lock);
        (void)usleep(LOOK_NS / 1000);
        lock_take(&m->lock);
    }
    r = add(answer, j, false);
    if (r < 0 || read->max == 0)
        return r;
    if (read->together)
        return give(&j->both, read->out_off, read->max, read->out);
    out_len = read->out->len;
    r = give(&j->out, read->out_off, read->max, read->out);
    return r < 0 ? r
                 : give(&j->err, read->err_off, read->max - (read->out->len - out_len), read->err);
}

static int write_job(struct mem *m, const struct remote_job_call *call,
                     struct remote_job_answer *answer)
{
    const struct remote_job_write *w = call->write;
    struct mem_job *j = find(m, call->id);
    size_t skip;
    int r;

    if (!j)
        return -ENOENT;
    if (!j->job.input_open)
        return -EPIPE;
    if (w->off > j->in.len)
        return -EINVAL;
    skip = j->in.len - w->off < w->len ? j->in.len - w->off : w->len;
    r = buf_append(&j->in, (const char *)w->data + skip, w->len - skip);
    j->job.input_size = j->in.len;
    if (r == 0 && j->cat)
        r = print(j, false, (const char *)w->data + skip, w->len - skip);
    if (r == 0 && w->end) {
        j->job.input_open = false;
        if (j->cat)
            end_job(j, 0, 0);
    }
    return r < 0 ? r : add(answer, j, false);
}

static int kill_job(struct mem *m, const struct remote_job_call *call,
                    struct remote_job_answer *answer)
{
    struct mem_job *j = find(m, call->id);

    if (!j)
        return -ENOENT;
    if (j->job.phase != REMOTE_JOB_RUNNING)
        return -ESRCH;
    if (call->signal != 0)
        end_job(j, 0, call->signal);
    return add(answer, j, false);
}

static int remove_job(struct mem *m, uint64_t id)
{
    struct mem_job *j = find(m, id);

    if (!j)
        return -ENOENT;
    if (j->job.phase == REMOTE_JOB_RUNNING)
        return -EBUSY;
    DL_DELETE(m->jobs, j);
    job_free(j);
    return 0;
}

static int answer_locked(struct mem *m, const struct remote_job_call *call,
                         struct remote_job_answer *answer)
{
    struct mem_job *j;
    int r;

    switch (call->op) {
    case REMOTE_JOB_START:
        r = start(m, call->start, &j);
        return r < 0 ? r : read_job(m, j->job.id, call, answer);
    case REMOTE_JOB_LIST:
        return list(m, answer);
    case REMOTE_JOB_READ:
        return read_job(m, call->id, call, answer);
    case REMOTE_JOB_WRITE:
        return write_job(m, call, answer);
    case REMOTE_JOB_KILL:
        return kill_job(m, call, answer);
    case REMOTE_JOB_REMOVE:
        return remove_job(m, call->id);
    }
    return -EOPNOTSUPP;
}

int mem_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret)
{
    struct mem *m = mem_of(r);
    struct remote_job_answer answer = {0};
    int err;

    lock_take(&m->lock);
    err = answer_locked(m, call, &answer);
    lock_drop(&m->lock);
    if (err < 0)
        remote_job_list_free(answer.v, answer.count);
    else
        *ret = answer;
    return err;
}

void mem_jobs_free(struct mem *m)
{
    struct mem_job *j, *next;

    DL_FOREACH_SAFE(m->jobs, j, next) {
        DL_DELETE(m->jobs, j);
        job_free(j);
    }
}

int remote_mem_job_print(struct remote *r, uint64_t id, bool err, const void *p, size_t len)
{
    struct mem *m = mem_of(r);
    struct mem_job *j;
    int ret;

    lock_take(&m->lock);
    j = find(m, id);
    ret = j ? print(j, err, p, len) : -ENOENT;
    lock_drop(&m->lock);
    return ret;
}

int remote_mem_job_end(struct remote *r, uint64_t id, int code)
{
    struct mem *m = mem_of(r);
    struct mem_job *j;

    lock_take(&m->lock);
    j = find(m, id);
    if (j)
        end_job(j, code, 0);
    lock_drop(&m->lock);
    return j ? 0 : -ENOENT;
}
