#include "remote/plain_job.h"

#include "remote/plain_internal.h"
#include "util/clock.h"
#include "util/path.h"

#include <daytona/files.h>
#include <daytona/session.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUT_MAX = 64 * 1000 /* bytes of stdin in one script */ };

/* ---- asking ---- */

/* As plain_run, for a script whose failure has an errno. */
static int ask(struct plain *p, struct shcmd *s, size_t answer_max, int64_t wait_ns,
               struct shcmd_answer *ret)
{
    const uint32_t wait_s = (uint32_t)(wait_ns / NS_PER_S);
    int r =
        plain_run_for(p, s, answer_max, p->op_timeout_s ? p->op_timeout_s + 2 * wait_s : 0, ret);

    if (r < 0)
        return r;
    r = shcmd_errno(ret);
    if (r < 0)
        shcmd_answer_done(ret);
    return r;
}

static void session_name(uint64_t id, char ret[48])
{
    snprintf(ret, 48, "daytonafs-job-%" PRIu64, id);
}

/* One that stays is a shell too many, no more, and goes when the job is removed. */
static void delete_session(struct plain *p, uint64_t id)
{
    char name[48];

    session_name(id, name);
    (void)daytona_session_delete(p->sandbox, name);
}

/* ---- reading ---- */

static int take_data(const struct buf *data, const struct remote_job_read *read,
                     const struct plain_job_status *now)
{
    const size_t out_len = read->out ? read->out->len : 0;
    int r = 0;

    if (now->out > read->max || now->err > read->max - now->out || data->len != now->out + now->err)
        return -EIO;
    if (now->out > 0)
        r = buf_append(read->out, data->data, now->out);
    if (r == 0 && now->err > 0)
        r = buf_append(read->err, data->data + now->out, now->err);
    if (r < 0 && read->out)
        buf_truncate(read->out, out_len);
    return r;
}

/* Takes a status and what was read: the last two parts of an answer. */
static int take_read(const struct shcmd_answer *a, uint64_t id, const struct remote_job_read *read,
                     struct plain_job_status *ret)
{
    int r;

    if (a->part_count < 2)
        return -EBADMSG;
    r = plain_job_parse_status(buf_str(&a->part[a->part_count - 2]), id, ret);
    return r == 0 ? take_data(&a->part[a->part_count - 1], read, ret) : r;
}

static int read_once(struct plain *p, uint64_t id, const struct remote_job_read *read,
                     struct plain_job_status *ret)
{
    struct shcmd_answer a;
    struct shcmd s;
    int r;

    shcmd_init(&s);
    plain_job_add_read(&s, p->info.uid, id, read);
    r = ask(p, &s, 2 * read->max + PLAIN_SMALL, read->wait_ns, &a);
    if (r < 0)
        return r;
    r = take_read(&a, id, read, ret);
    shcmd_answer_done(&a);
    return r == -EBADMSG ? -EIO : r;
}

/* ---- starting ---- */

static int upload_script(struct plain *p, uint64_t id, const char *script)
{
    struct daytona_upload upload = {.data = script, .len = strlen(script)};
    char path[100];
    int r;

    snprintf(path, sizeof(path), "/tmp/.daytonafs-jobs-%" PRIu32 "/%" PRIu64 "/script", p->info.uid,
             id);
    upload.path = path;
    r = daytona_files_upload(p->sandbox, &upload);
    return r < 0 ? plain_net_error(r) : 0;
}

static int hand_over(struct plain *p, uint64_t id, const char *command)
{
    const struct daytona_session_execute execute = {.command = command, .async = true};
    struct daytona_session_result result = {0};
    char name[48];
    int r;

    session_name(id, name);
    r = daytona_session_create(p->sandbox, name);
    if (r == 0 || r == -EEXIST)
        r = daytona_session_execute(p->sandbox, name, &execute, &result);
    daytona_session_result_done(&result);
    return r < 0 ? plain_net_error(r) : 0;
}

static int run(struct plain *p, uint64_t id, const struct remote_job_start *start)
{
    const bool file = start->script && strlen(start->script) > PLAIN_JOB_SCRIPT_MAX;
    char *command = NULL;
    struct shcmd s;
    int r = file ? upload_script(p, id, start->script) : 0;

    if (r < 0)
        return r;
    shcmd_init(&s);
    plain_job_add_run(&s, p->info.uid, id, start, p->info.shell, file);
    r = shcmd_command(&s, &command);
    if (r == 0)
        r = hand_over(p, id, command);
    free(command);
    shcmd_done(&s);
    return r == -EFBIG ? -E2BIG : r;
}

/* For a script that says a status. */
static int ask_status(struct plain *p, struct shcmd *s, uint64_t id, struct plain_job_status *ret)
{
    struct shcmd_answer a;
    int r = ask(p, s, PLAIN_SMALL, 0, &a);

    if (r < 0)
        return r;
    r = plain_job_parse_status(buf_str(&a.part[0]), id, ret);
    shcmd_answer_done(&a);
    return r == -EBADMSG ? -EIO : r;
}

static int write_once(struct plain *p, uint64_t id, const struct remote_job_write *w,
                      struct plain_job_status *ret)
{
    struct shcmd s;

    shcmd_init(&s);
    plain_job_add_write(&s, p->info.uid, id, w, w->len < INPUT_MAX ? w->len : INPUT_MAX);
    return ask_status(p, &s, id, ret);
}

/* Before it is begun. */
static int write_first(struct plain *p, uint64_t id, const struct remote_job_start *start)
{
    struct remote_job_write w = {.end = !start->input_open};
    struct plain_job_status now = {0};
    int r = 0;

    if (start->input_len == 0)
        return 0;
    do {
        w.off = now.job.input_size;
        w.data = (const char *)start->input + w.off;
        w.len = start->input_len - w.off;
        r = write_once(p, id, &w, &now);
        if (r == 0 && (now.job.input_size <= w.off || now.job.input_size > start->input_len))
            r = -EIO;
    } while (r == 0 && now.job.input_size < start->input_len);
    return r;
}

/* The job of start's token; ret is its status if it is begun. */
static int make(struct plain *p, const struct remote_job_call *call, uint64_t *ret_id,
                bool *ret_begun, struct plain_job_status *ret)
{
    const struct remote_job_read *read = call->read;
    struct shcmd_answer a;
    struct shcmd s;
    int r;

    shcmd_init(&s);
    plain_job_add_make(&s, p->info.uid, call->start);
    plain_job_add_launch(&s, p->info.uid, call->start, p->info.shell, read);
    r = ask(p, &s, 2 * read->max + PLAIN_SMALL, read->wait_ns, &a);
    if (r < 0)
        return r;
    r = plain_job_parse_made(buf_str(&a.part[0]), ret_id, ret_begun);
    if (r == 0 && *ret_begun)
        r = take_read(&a, *ret_id, read, ret);
    shcmd_answer_done(&a);
    return r == -EBADMSG ? -EIO : r;
}

static int start_job(struct plain *p, const struct remote_job_call *call,
                     struct plain_job_status *ret)
{
    const struct remote_job_start *start = call->start;
    bool begun;
    uint64_t id;
    int r = make(p, call, &id, &begun, ret);

    if (r < 0 || begun)
        return r;
    r = write_first(p, id, start);
    if (r == 0)
        r = run(p, id, start);
    if (r < 0)
        return r;
    if (call->read->wait_ns > 0)
        return read_once(p, id, call->read, ret);
    *ret = (struct plain_job_status){.job = {.id = id,
                                             .input_open = start->input_open,
                                             .input_size = start->input_len,
                                             .started_ns = clock_real_ns()}};
    return 0;
}

/* ---- the rest ---- */

static int kill_job(struct plain *p, uint64_t id, int signal)
{
    struct shcmd_answer a;
    struct shcmd s;
    int r;

    shcmd_init(&s);
    plain_job_add_kill(&s, p->info.uid, id, signal);
    r = ask(p, &s, PLAIN_SMALL, 0, &a);
    if (r == 0)
        shcmd_answer_done(&a);
    return r;
}

static int remove_job(struct plain *p, uint64_t id)
{
    struct shcmd_answer a;
    struct shcmd s;
    int r;

    shcmd_init(&s);
    plain_job_add_remove(&s, p->info.uid, id);
    r = ask(p, &s, PLAIN_SMALL, 0, &a);
    if (r < 0)
        return r;
    if (buf_str(&a.part[0])[0] == '1')
        delete_session(p, id);
    shcmd_answer_done(&a);
    return 0;
}

static int list_jobs(struct plain *p, struct remote_job_answer *ret)
{
    struct plain_job_status *v = NULL;
    struct shcmd_answer a;
    struct shcmd s;
    size_t count = 0;
    int r;

    shcmd_init(&s);
    plain_job_add_list(&s, p->info.uid);
    r = ask(p, &s, PLAIN_LIST_MAX, 0, &a);
    if (r < 0)
        return r;
    r = plain_job_parse_list(buf_str(&a.part[0]), buf_str(&a.part[1]), &v, &count);
    shcmd_answer_done(&a);
    if (r < 0)
        return r == -EBADMSG ? -EIO : r;
    ret->v = calloc(count + 1, sizeof(*ret->v));
    for (size_t i = 0; i < count; i++) {
        if (ret->v)
            ret->v[i] = v[i].job;
        else
            remote_job_done(&v[i].job);
        if (v[i].session)
            delete_session(p, v[i].job.id);
    }
    free(v);
    if (!ret->v)
        return -ENOMEM;
    ret->count = count;
    return 0;
}

static int one(struct plain *p, const struct plain_job_status *now, struct remote_job_answer *ret)
{
    if (now->session)
        delete_session(p, now->job.id);
    ret->v = calloc(1, sizeof(*ret->v));
    if (!ret->v)
        return -ENOMEM;
    ret->v[0] = now->job;
    ret->count = 1;
    return 0;
}

int plain_job(struct remote *r, const struct remote_job_call *call, struct remote_job_answer *ret)
{
    struct plain *p = plain_of(r);
    struct plain_job_status now;
    int err = -EOPNOTSUPP;

    if (!(p->info.caps & REMOTE_CAP_JOBS))
        return err;
    switch (call->op) {
    case REMOTE_JOB_LIST:
        return list_jobs(p, ret);
    case REMOTE_JOB_KILL:
        return kill_job(p, call->id, call->signal);
    case REMOTE_JOB_REMOVE:
        return remove_job(p, call->id);
    case REMOTE_JOB_START:
        err = start_job(p, call, &now);
        break;
    case REMOTE_JOB_READ:
        err = read_once(p, call->id, call->read, &now);
        break;
    case REMOTE_JOB_WRITE:
        err = write_once(p, call->id, call->write, &now);
        break;
    }
    return err < 0 ? err : one(p, &now, ret);
}
