/* The files of a job: one row each. */
#include "ctl/job.h"

#include "ctl/ctl_internal.h"
#include "util/errtext.h"
#include "util/signals.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

enum { CMD_MAX = 512 << 10 };

/* Sizes are not older: whoever opens a file looks at it more than once. */
#define FRESH_NS (300 * NS_PER_MS)

/* ---- what it is to be ---- */

static int show(struct job *job, const struct buf *text, struct buf *out)
{
    int r;

    job_lock(job);
    r = text->len > 0 ? buf_append(out, text->data, text->len) : 0;
    job_unlock(job);
    return r == 0 && text->len > 0 ? buf_putc(out, '\n') : r;
}

/* Only as long as it is new. */
static int store(struct job *job, struct buf *to, const char *text, size_t len, struct buf *why)
{
    int r = -EBUSY;

    job_lock(job);
    if (job->state == JOB_NEW) {
        buf_truncate(to, 0);
        r = buf_append(to, text, len);
    }
    job_unlock(job);
    if (r == -EBUSY)
        (void)buf_puts(why, "the job was started: this must be said before");
    return r;
}

static int show_cmd(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct job *job = obj;

    return show(job, &job->cmd, out);
}

static int store_cmd(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *why)
{
    return job_start(obj, text, len, why);
}

static int show_cwd(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct job *job = obj;

    return show(job, &job->cwd, out);
}

/* The rest of the line is the path; with a NUL at its end it may hold newlines. */
static int store_cwd(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *why)
{
    const char *nul = memchr(text, '\0', len);
    struct job *job = obj;

    if (nul)
        len = (size_t)(nul - text);
    else if (len > 0 && text[len - 1] == '\n')
        len--;
    return store(job, &job->cwd, text, len, why);
}

static int show_env(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct job *job = obj;

    return show(job, &job->env, out);
}

static int store_env(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *why)
{
    const char part = memchr(text, '\0', len) ? '\0' : '\n';
    struct job *job = obj;

    for (const char *p = text, *end = text + len; p < end;) {
        const char *stop = memchr(p, part, (size_t)(end - p));
        const size_t n = stop ? (size_t)(stop - p) : (size_t)(end - p);
        const char *equals = memchr(p, '=', n);

        if (n > 0 && (!equals || equals == p)) {
            (void)buf_printf(why, "'%.*s' is not NAME=VALUE", (int)(n < 200 ? n : 200), p);
            return -EINVAL;
        }
        p += n + 1;
    }
    if (part == '\n' && len > 0 && text[len - 1] == '\n')
        len--;
    return store(job, &job->env, text, len, why);
}

/* ---- what it says ---- */

static int pread_out(struct ctl *ctl, void *obj, uint64_t off, size_t size, struct buf *out,
                     struct buf *why)
{
    return job_read(obj, JOB_OUT, off, size, out);
}

static int pread_err(struct ctl *ctl, void *obj, uint64_t off, size_t size, struct buf *out,
                     struct buf *why)
{
    return job_read(obj, JOB_ERR, off, size, out);
}

static int pread_both(struct ctl *ctl, void *obj, uint64_t off, size_t size, struct buf *out,
                      struct buf *why)
{
    return job_read(obj, JOB_BOTH, off, size, out);
}

static int stat_stream(void *obj, struct stat *st, enum job_stream stream)
{
    struct remote_job now;
    int r = job_hear(obj, FRESH_NS, &now);

    if (r == -ENOENT)
        return 0; /* not started: empty */
    if (r < 0)
        return r;
    st->st_size = (off_t)(stream == JOB_OUT   ? now.out_size
                          : stream == JOB_ERR ? now.err_size
                                              : now.both_size);
    st->st_mtim = ns_to_timespec(now.ended_ns ? now.ended_ns : clock_real_ns());
    return 0;
}

static int stat_out(struct ctl *ctl, void *obj, struct stat *st)
{
    return stat_stream(obj, st, JOB_OUT);
}

static int stat_err(struct ctl *ctl, void *obj, struct stat *st)
{
    return stat_stream(obj, st, JOB_ERR);
}

static int stat_both(struct ctl *ctl, void *obj, struct stat *st)
{
    return stat_stream(obj, st, JOB_BOTH);
}

static int put_stdin(struct ctl *ctl, void *obj, const char *data, size_t len, struct buf *why)
{
    return job_input(obj, data, len, false, why);
}

static int flow_both(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    return job_flow(obj, JOB_BOTH, flow);
}

static int flow_out(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    return job_flow(obj, JOB_OUT, flow);
}

static int flow_err(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    return job_flow(obj, JOB_ERR, flow);
}

static int flow_wait(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    struct buf text = BUF_INIT(32);
    struct remote_job now;
    int r = job_wait(obj, &now);

    if (r == 0 && now.phase == REMOTE_JOB_LOST) {
        (void)buf_puts(why, "the job was cut off: the sandbox was stopped, or its keeper killed");
        r = -EIO;
    }
    if (r == 0)
        r = buf_printf(&text, "%d\n", remote_job_code(&now));
    if (r == 0)
        r = ctl_flow_put(flow, text.data, text.len);
    buf_done(&text);
    return r;
}

static int put_times(struct buf *out, const struct remote_job *now)
{
    int r = buf_printf(out, "started %lld\n", (long long)(now->started_ns / NS_PER_S));

    if (r == 0 && now->ended_ns)
        r = buf_printf(out, "ended %lld\n", (long long)(now->ended_ns / NS_PER_S));
    return r;
}

static int show_status(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    static const char *const phases[] = {
        [REMOTE_JOB_RUNNING] = "running", [REMOTE_JOB_ENDED] = "ended", [REMOTE_JOB_LOST] = "lost"};
    struct remote_job now;
    int r = job_hear(obj, 0, &now);

    if (r == -ENOENT)
        return buf_puts(out, "state new\n");
    if (r < 0)
        return r;
    r = buf_printf(out, "state %s\nid %llu\npid %llu\nstdout %llu\nstderr %llu\n",
                   phases[now.phase], (unsigned long long)now.id, (unsigned long long)now.pid,
                   (unsigned long long)now.out_size, (unsigned long long)now.err_size);
    if (r == 0)
        r = put_times(out, &now);
    if (r == 0 && now.phase == REMOTE_JOB_ENDED)
        r = buf_printf(out, "exit %d\n", remote_job_code(&now));
    if (r == 0 && now.signal)
        r = buf_printf(out, "signal %d\n", now.signal);
    if (r == 0 && now.err)
        r = buf_printf(out, "error %s\n", errtext_sentence(now.err));
    return r;
}

/* ---- ctl ---- */

static int verb_kill(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    const int signal = count > 0 ? signals_parse(v[0]) : SIGTERM;

    if (signal < 0) {
        (void)buf_printf(why, "'%s' is no signal: say a number, or TERM, INT, KILL, HUP ...", v[0]);
        return signal;
    }
    return job_kill(obj, signal, why);
}

static int verb_eof(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return job_input(obj, "", 0, true, why);
}

static int set_before_start(struct job *job, bool *flag, struct buf *why)
{
    int r = -EBUSY;

    job_lock(job);
    if (job->state == JOB_NEW) {
        *flag = true;
        r = 0;
    }
    job_unlock(job);
    if (r < 0)
        (void)buf_puts(why, "the job was started: this must be said before");
    return r;
}

static int verb_stdin(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    struct job *job = obj;

    return set_before_start(job, &job->input_open, why);
}

static int verb_passing(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    struct job *job = obj;

    return set_before_start(job, &job->passing, why);
}

static int show_name(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    const struct job *job = obj;

    return buf_printf(out, "%s\n", job->name);
}

static const struct ctl_verb job_verbs[] = {
    {.name = "kill",
     .takes = "[SIGNAL]",
     .max = 1,
     .run = verb_kill,
     .help = "sends a signal to all of its processes: TERM, or a name or number"},
    {.name = "stdin",
     .takes = "",
     .run = verb_stdin,
     .help = "before the start: stdin stays open for what is written later"},
    {.name = "eof", .takes = "", .run = verb_eof, .help = "ends its stdin"},
    {.name = "passing",
     .takes = "",
     .run = verb_passing,
     .help = "before the start: it goes by itself some minutes after its end"},
    {.name = NULL},
};

static const struct ctl_row rows[] = {
    {.name = "cmd",
     .mode = 0600,
     .kind = CTL_TEXT,
     .show = show_cmd,
     .store = store_cmd,
     .question_max = CMD_MAX,
     .takes = "SCRIPT",
     .help = "starts it, for the sandbox's shell, once all that is pending is sent"},
    {.name = "cwd",
     .mode = 0600,
     .kind = CTL_TEXT,
     .show = show_cwd,
     .store = store_cwd,
     .takes = "PATH",
     .help = "where it starts; the mount's root unless said"},
    {.name = "env",
     .mode = 0600,
     .kind = CTL_TEXT,
     .show = show_env,
     .store = store_env,
     .question_max = CMD_MAX,
     .takes = "NAME=VALUE",
     .help = "variables beside the sandbox's own, one a line or parted by NULs"},
    {.name = "stdin",
     .mode = 0600,
     .kind = CTL_SINK,
     .put = put_stdin,
     .takes = "BYTES",
     .help = "its stdin: what is written before the start; later after ctl's stdin"},
    {.name = "stdout",
     .mode = 0400,
     .kind = CTL_LIVE,
     .waits = true,
     .pread = pread_out,
     .stat = stat_out,
     .help = "what it has printed so far",
     .example = "tail -f $/jobs/build/stdout"},
    {.name = "stderr",
     .mode = 0400,
     .kind = CTL_LIVE,
     .waits = true,
     .pread = pread_err,
     .stat = stat_err,
     .help = "the same of its stderr"},
    {.name = "output",
     .mode = 0400,
     .kind = CTL_LIVE,
     .waits = true,
     .pread = pread_both,
     .stat = stat_both,
     .help = "both, in the order in which they came, as far as that could be seen"},
    {.name = "status",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_status,
     .help = "state (new, running, ended, lost), id, sizes, exit: `key value` lines"},
    {.name = "ctl",
     .mode = 0600,
     .kind = CTL_VERBS,
     .show = show_name,
     .verbs = job_verbs,
     .takes = "VERB",
     .help = "carries out verbs, one a line; reads as its name",
     .example = "echo kill INT > $/jobs/build/ctl"},
    CTL_FOLLOW_ROWS(flow_both, flow_out, flow_err),
    {.name = "wait",
     .mode = 0400,
     .kind = CTL_FLOW,
     .unlisted = true,
     .flow = flow_wait,
     .help = "waits for its end; its exit code, 128 and more for a signal",
     .example = "cat $/jobs/build/wait"},
    {.name = NULL},
};

const struct ctl_row job_row = {.mode = 0700, .kind = CTL_DIR, .rows = rows, .help = "a job"};

const struct ctl_row job_ctl_row = {
    .mode = 0600, .kind = CTL_VERBS, .show = show_name, .verbs = job_verbs, .takes = "VERB"};
