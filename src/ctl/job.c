/* One job: what is asked of the sandbox, and what is remembered of the answers. */
#include "ctl/job.h"

#include "ctl/ctl_internal.h"
#include "fs/fs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PIECE = 4 << 20 };

/* How long a start of `daytonafs exec` waits for the end: a signal that comes meanwhile waits, too.
 */
#define START_WAIT_NS NS_PER_S
#define START_PATIENCE_NS (10 * NS_PER_S)
#define PATIENCE_NS (10 * 60 * NS_PER_S)

static struct remote *remote_of(const struct job *job)
{
    return fs_remote(jobs_fs(job->jobs));
}

static bool is_over(const struct job *job)
{
    return job->state == JOB_STARTED && job->now.phase != REMOTE_JOB_RUNNING;
}

/* What it changed is seen by whoever learns of its end. after: what the answer tells of that;
 * freed.
 */
static void heed_end(struct job *job, const struct remote_job *now, struct fs_after *after)
{
    bool news = now && now->phase != REMOTE_JOB_RUNNING;

    job_lock(job);
    news = news && !is_over(job);
    job_unlock(job);
    if (news)
        fs_after_end(jobs_fs(job->jobs), after);
    fs_after_free(after);
}

/* The window of a stream becomes what was fetched from off. */
static void keep_locked(struct job *job, enum job_stream stream, uint64_t off, struct buf *fetched)
{
    struct job_window *w = &job->windows[stream];

    if (fetched->len == 0)
        return;
    if (off == w->off + w->data.len && w->data.len + fetched->len <= w->data.max) {
        if (buf_append(&w->data, fetched->data, fetched->len) == 0)
            return;
    }
    buf_truncate(&w->data, 0);
    w->off = off;
    (void)buf_append(&w->data, fetched->data, fetched->len); /* else it is fetched again */
    job_trim_locked(job);
}

static void take_locked(struct job *job, const struct remote_job *now)
{
    if (is_over(job) && now->phase == REMOTE_JOB_RUNNING)
        return; /* an older answer */
    job->now = *now;
    job->now.name = job->now.line = job->now.cwd = NULL;
    job->heard_ns = clock_mono_ns();
    job_changed_locked(job);
}

/* ---- starting ---- */

/* env's pairs, parted by newlines, or by NULs if there is one. The array is one allocation; the
 * strings are env's own. */
static int split_env(struct buf *env, const char ***ret)
{
    const char part = memchr(buf_str(env), '\0', env->len) ? '\0' : '\n';
    char *p = env->data, *end = p + env->len;
    const char **v;
    size_t n = 0, pairs = 1;

    for (size_t i = 0; i < env->len; i++)
        pairs += env->data[i] == part;
    v = calloc(pairs + 1, sizeof(*v));
    if (!v)
        return -ENOMEM;
    while (p < end) {
        char *stop = memchr(p, part, (size_t)(end - p));

        if (!stop)
            stop = end;
        *stop = '\0'; /* at the end there is one already */
        if (*p)
            v[n++] = p;
        p = stop + 1;
    }
    *ret = v;
    return 0;
}

struct starting {
    struct buf cmd, env, input, out, err;
    const char **pairs;
    char *cwd;
    struct remote_job_start start;
};

static void starting_done(struct starting *s)
{
    buf_done(&s->cmd);
    buf_done(&s->env);
    buf_done(&s->input);
    buf_done(&s->out);
    buf_done(&s->err);
    free(s->pairs);
    free(s->cwd);
    free((char *)s->start.line);
}

static int fill_locked(struct job *job, struct starting *s)
{
    const size_t line = s->cmd.len < REMOTE_JOB_LINE_MAX ? s->cmd.len : REMOTE_JOB_LINE_MAX;
    int r = buf_append(&s->env, buf_str(&job->env), job->env.len);

    if (r == 0)
        r = buf_append(&s->input, buf_str(&job->input), job->input.len);
    if (r == 0)
        r = split_env(&s->env, &s->pairs);
    if (r < 0)
        return r;
    s->cwd = fs_sandbox_path(jobs_fs(job->jobs), buf_str(&job->cwd));
    s->start = (struct remote_job_start){
        .token = job->token,
        .name = job->cloned ? NULL : job->name,
        .script = buf_str(&s->cmd),
        .line = strndup(buf_str(&s->cmd), line),
        .cwd = s->cwd,
        .env = s->pairs,
        .input = buf_str(&s->input),
        .input_len = s->input.len,
        .input_open = job->input_open,
        .passing = job->passing,
        .output_max = PIECE,
        .wait_ns = job->passing && !job->input_open ? START_WAIT_NS : 0,
    };
    return s->cwd && s->start.line ? 0 : -ENOMEM;
}

static int begin(struct job *job, struct starting *s, struct remote_job *ret, struct buf *why)
{
    struct remote_outage outage = {0};
    struct fs_after *after;
    int r = ctl_barrier(jobs_fs(job->jobs), why), again = 0;

    if (r < 0)
        return r;
    after = fs_after_new(jobs_fs(job->jobs));
    do {
        s->start.after = fs_after_ask(after);
        r = remote_job_start(remote_of(job), &s->start, &s->out, &s->err, ret);
        if (r < 0)
            again = r == -EHOSTDOWN ? r : remote_outage_bear(&outage, r, START_PATIENCE_NS);
    } while (r < 0 && again == 0);
    heed_end(job, r == 0 ? ret : NULL, after);
    return r < 0 ? again : 0;
}

/* Of one that printed to one stream only it is known how the two came. */
static void keep_both_locked(struct job *job, struct buf *out, struct buf *err)
{
    if (job->now.err_size == 0)
        keep_locked(job, JOB_BOTH, 0, out);
    else if (job->now.out_size == 0)
        keep_locked(job, JOB_BOTH, 0, err);
}

int job_start(struct job *job, const char *cmd, size_t len, struct buf *why)
{
    struct starting s = {.cmd = BUF_INIT(job->cmd.max),
                         .env = BUF_INIT(job->env.max),
                         .input = BUF_INIT(job->input.max),
                         .out = BUF_INIT(PIECE),
                         .err = BUF_INIT(PIECE)};
    struct remote_job now;
    int r;

    while (len > 0 && cmd[len - 1] == '\n')
        len--;
    if (len == 0 || memchr(cmd, '\0', len)) {
        (void)buf_puts(why, len == 0 ? "there is no command" : "a command has no NUL");
        return -EINVAL;
    }
    r = buf_append(&s.cmd, cmd, len);
    job_lock(job);
    if (r == 0 && job->state != JOB_NEW) {
        (void)buf_puts(why, "the job was started before: make another one");
        r = -EBUSY;
    }
    if (r == 0)
        r = fill_locked(job, &s);
    if (r == 0)
        job->state = JOB_STARTING;
    job_unlock(job);
    if (r == 0) {
        r = begin(job, &s, &now, why);
        if (r == -EOPNOTSUPP)
            (void)buf_puts(why, "no job can be run in this sandbox, see capabilities");
        job_lock(job);
        job->state = r < 0 ? JOB_NEW : JOB_STARTED;
        if (r == 0) {
            take_locked(job, &now);
            job->input_off = s.input.len;
            keep_locked(job, JOB_OUT, 0, &s.out);
            keep_locked(job, JOB_ERR, 0, &s.err);
            keep_both_locked(job, &s.out, &s.err);
            job->whole = is_over(job) && s.out.len == now.out_size && s.err.len == now.err_size;
            buf_truncate(&job->cmd, 0);
            (void)buf_append(&job->cmd, s.cmd.data, s.cmd.len); /* to be shown, no more */
        }
        job_changed_locked(job);
        job_unlock(job);
    }
    starting_done(&s);
    return r;
}

/* ---- reading ---- */

/* A read of the sandbox's; what it brings is appended to out, and goes into the stream's window. */
static int fetch(struct job *job, enum job_stream stream, uint64_t off, size_t max, int64_t wait_ns,
                 struct buf *out)
{
    struct buf none = BUF_INIT(0);
    struct fs_after *after = fs_after_new(jobs_fs(job->jobs));
    const struct remote_job_read read = {.out_off = stream == JOB_ERR ? INT64_MAX : off,
                                         .err_off = stream == JOB_ERR ? off : INT64_MAX,
                                         .max = max,
                                         .wait_ns = wait_ns,
                                         .together = stream == JOB_BOTH,
                                         .out = stream == JOB_ERR ? &none : out,
                                         .err = stream == JOB_ERR ? out : &none,
                                         .after = fs_after_ask(after)};
    struct remote_job now;
    uint64_t id;
    int r;

    job_lock(job);
    id = job->now.id;
    job_unlock(job);
    r = remote_job_read(remote_of(job), id, &read, &now);
    heed_end(job, r == 0 ? &now : NULL, after);
    if (r < 0)
        return r;
    job_lock(job);
    take_locked(job, &now);
    keep_locked(job, stream, off, out);
    job_unlock(job);
    return 0;
}

int job_hear(struct job *job, int64_t age_ns, struct remote_job *ret)
{
    struct buf none = BUF_INIT(0);
    bool known;
    int r;

    job_lock(job);
    *ret = job->now;
    known = job->state == JOB_STARTED && (is_over(job) || clock_mono_ns() - job->heard_ns < age_ns);
    if (job->state != JOB_STARTED) {
        job_unlock(job);
        return -ENOENT;
    }
    job_unlock(job);
    if (known)
        return 0;
    r = fetch(job, JOB_OUT, INT64_MAX, 0, 0, &none);
    job_lock(job);
    *ret = job->now;
    job_unlock(job);
    return r;
}

/* What the window has of the stream from off. */
static size_t from_window_locked(const struct job *job, enum job_stream stream, uint64_t off,
                                 size_t size, struct buf *out)
{
    const struct job_window *w = &job->windows[stream];
    size_t has;

    if (off < w->off || off >= w->off + w->data.len)
        return 0;
    has = (size_t)(w->off + w->data.len - off);
    has = has < size ? has : size;
    return buf_append(out, w->data.data + (off - w->off), has) == 0 ? has : 0;
}

static uint64_t size_of(const struct remote_job *now, enum job_stream stream)
{
    return stream == JOB_OUT ? now->out_size : stream == JOB_ERR ? now->err_size : now->both_size;
}

int job_read(struct job *job, enum job_stream stream, uint64_t off, size_t size, struct buf *out)
{
    struct buf fetched = BUF_INIT(PIECE);
    bool done;
    int r;

    job_lock(job);
    done = job->state != JOB_STARTED || from_window_locked(job, stream, off, size, out) > 0 ||
           (is_over(job) && off >= size_of(&job->now, stream));
    job_unlock(job);
    if (done)
        return 0;
    r = fetch(job, stream, off, PIECE, 0, &fetched);
    if (r == 0 && fetched.len > 0)
        r = buf_append(out, fetched.data, fetched.len < size ? fetched.len : size);
    buf_done(&fetched);
    return r;
}

/* 0 once it is started. */
static int wait_started(struct job *job)
{
    int r = 0;

    job_lock(job);
    while (r == 0 && job->state != JOB_STARTED)
        r = job->listed ? job_wait_locked(job) : -ENOENT;
    job_unlock(job);
    return r;
}

/* What is known already, into piece. True: there is nothing after it. */
static bool look(struct job *job, enum job_stream stream, uint64_t pos, struct buf *piece)
{
    bool end;

    job_lock(job);
    (void)from_window_locked(job, stream, pos, PIECE, piece);
    end = is_over(job) && pos + piece->len >= size_of(&job->now, stream);
    job_unlock(job);
    return end;
}

static int flow_on(struct job *job, enum job_stream stream, struct ctl_flow *flow)
{
    struct buf piece = BUF_INIT(PIECE);
    struct remote_outage outage = {0};
    uint64_t pos = 0;
    bool end = false;
    int r = 0;

    while (r == 0 && !end) {
        buf_truncate(&piece, 0);
        end = look(job, stream, pos, &piece);
        if (!end && piece.len == 0) {
            r = fetch(job, stream, pos, PIECE, REMOTE_JOB_WAIT_NS, &piece);
            if (r == 0)
                outage.since_ns = 0;
            else
                r = remote_outage_bear(&outage, r, PATIENCE_NS);
        }
        if (r == 0 && piece.len > 0)
            r = ctl_flow_put(flow, piece.data, piece.len);
        pos += piece.len;
    }
    buf_done(&piece);
    return r;
}

int job_flow(struct job *job, enum job_stream stream, struct ctl_flow *flow)
{
    const int r = wait_started(job);

    return r < 0 ? r : flow_on(job, stream, flow);
}

static int wait_end(struct job *job)
{
    struct remote_outage outage = {0};
    struct buf none = BUF_INIT(0);
    bool over = false;
    int r = 0;

    while (r == 0) {
        job_lock(job);
        over = is_over(job);
        job_unlock(job);
        if (over)
            break;
        r = fetch(job, JOB_OUT, INT64_MAX, 0, REMOTE_JOB_WAIT_NS, &none);
        if (r == 0)
            outage.since_ns = 0;
        else
            r = remote_outage_bear(&outage, r, PATIENCE_NS);
    }
    return r;
}

int job_wait(struct job *job, struct remote_job *ret)
{
    int r = wait_started(job);

    if (r == 0)
        r = wait_end(job);
    job_lock(job);
    *ret = job->now;
    job_unlock(job);
    return r;
}

/* ---- writing and signals ---- */

/* One at a time: each goes on where the one before has stopped. */
static int send_input(struct job *job, const char *p, size_t len, bool end)
{
    uint64_t off = 0, id = 0;
    int r = 0;

    job_lock(job);
    while (r == 0 && job->feeding)
        r = job_wait_locked(job);
    if (r == 0) {
        job->feeding = true;
        off = job->input_off;
        id = job->now.id;
    }
    job_unlock(job);
    if (r < 0)
        return r;
    r = remote_job_feed(remote_of(job), id, &off, p, len, end, PATIENCE_NS);
    job_lock(job);
    job->input_off = off;
    job->feeding = false;
    job_changed_locked(job);
    job_unlock(job);
    return r;
}

int job_input(struct job *job, const void *p, size_t len, bool end, struct buf *why)
{
    enum job_state state;
    int r = 0;

    job_lock(job);
    state = job->state;
    if (state == JOB_NEW && len > 0)
        r = buf_append(&job->input, p, len);
    if (state == JOB_NEW && end)
        job->input_open = false;
    job_unlock(job);
    if (r == -EFBIG)
        (void)buf_puts(why, "that is too much before the start: `echo stdin > ctl`, start it, and "
                            "write then");
    if (state == JOB_NEW)
        return r;
    r = wait_started(job);
    if (r == 0)
        r = send_input(job, p, len, end);
    if (r == -EPIPE)
        (void)buf_puts(why, "the job's stdin is closed: `echo stdin > ctl` before the start keeps "
                            "it open");
    return r;
}

int job_kill(struct job *job, int signal, struct buf *why)
{
    uint64_t id;
    int r;

    job_lock(job);
    r = job->state == JOB_NEW ? -ESRCH : 0;
    job_unlock(job);
    if (r == 0)
        r = wait_started(job);
    job_lock(job);
    id = job->now.id;
    job_unlock(job);
    if (r == 0)
        r = remote_job_kill(remote_of(job), id, signal);
    if (r == -ESRCH)
        (void)buf_puts(why, "the job does not run");
    return r;
}
