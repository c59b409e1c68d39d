/* The table of jobs: those made here, and those that the sandbox knows. */
#include "ctl/job.h"

#include "ctl/ctl_internal.h"
#include "fs/fs.h"

#include "util/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
    LISTED_MAX = 10000,
    TOKEN_LEN = 32,
    INPUT_MAX = REMOTE_JOB_INPUT_MAX,
    COMMAND_MAX = 512 << 10,
    WINDOW_MAX = 4 << 20,
    WINDOWS_MAX = 64 << 20, /* of all jobs together */
};

#define LOOK_NS (50 * NS_PER_MS) /* a cancel does not signal */

struct jobs {
    struct ctl *ctl;
    struct fs *fs;
    struct lock lock; /* guards what follows, and the jobs */
    pthread_cond_t changed;
    struct job *list;
    size_t count;
    uint64_t last_serial;
};

struct fs *jobs_fs(struct jobs *jobs)
{
    return jobs->fs;
}

void job_lock(struct job *job)
{
    lock_take(&job->jobs->lock);
}

void job_unlock(struct job *job)
{
    lock_drop(&job->jobs->lock);
}

void job_changed_locked(struct job *job)
{
    pthread_cond_broadcast(&job->jobs->changed);
}

int job_wait_locked(struct job *job)
{
    (void)lock_wait_until(&job->jobs->lock, &job->jobs->changed, clock_mono_ns() + LOOK_NS);
    return cancel_fired(cancel_bound()) ? -EINTR : 0;
}

void job_trim_locked(struct job *job)
{
    size_t bytes = 0;
    struct job *other;

    DL_FOREACH(job->jobs->list, other)
        for (int i = 0; i < JOB_STREAMS; i++)
            bytes += other->windows[i].data.cap;
    if (bytes <= WINDOWS_MAX)
        return;
    DL_FOREACH(job->jobs->list, other)
        for (int i = 0; i < JOB_STREAMS && other != job; i++)
            buf_done(&other->windows[i].data);
}

static void job_ref(struct job *job)
{
    atomic_fetch_add(&job->refs, 1);
}

static void job_unref(void *arg)
{
    struct job *job = arg;

    if (atomic_fetch_sub(&job->refs, 1) > 1)
        return;
    for (int i = 0; i < JOB_STREAMS; i++)
        buf_done(&job->windows[i].data);
    buf_done(&job->cmd);
    buf_done(&job->cwd);
    buf_done(&job->env);
    buf_done(&job->input);
    free(job->name);
    free(job);
}

int jobs_new(struct ctl *ctl, struct fs *fs, struct jobs **ret)
{
    struct jobs *jobs = calloc(1, sizeof(*jobs));

    if (!jobs)
        return -ENOMEM;
    jobs->ctl = ctl;
    jobs->fs = fs;
    lock_init(&jobs->lock);
    lock_cond_init(&jobs->changed);
    *ret = jobs;
    return 0;
}

static void unlist_locked(struct jobs *jobs, struct job *job)
{
    if (!job->listed)
        return;
    DL_DELETE(jobs->list, job);
    jobs->count--;
    job->listed = false;
    job_unref(job);
}

struct jobs *jobs_free(struct jobs *jobs)
{
    if (!jobs)
        return NULL;
    lock_take(&jobs->lock);
    while (jobs->list)
        unlist_locked(jobs, jobs->list);
    lock_drop(&jobs->lock);
    pthread_cond_destroy(&jobs->changed);
    lock_done(&jobs->lock);
    free(jobs);
    return NULL;
}

/* ---- making ---- */

/* Those of execs that nobody waited for. */
static void sweep_locked(struct jobs *jobs)
{
    struct job *job, *next;

    DL_FOREACH_SAFE(jobs->list, job, next) {
        if (job->cloned && atomic_load(&job->refs) == 1 && job->state == JOB_STARTED &&
            job->passing && job->now.phase != REMOTE_JOB_RUNNING)
            unlist_locked(jobs, job);
    }
}

/* Listed, and one reference for the caller. */
static int add_locked(struct jobs *jobs, const char *name, struct job **ret)
{
    struct job *job;

    if (jobs->count >= LISTED_MAX)
        sweep_locked(jobs);
    if (jobs->count >= LISTED_MAX)
        return -ENOSPC;
    job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    job->jobs = jobs;
    job->serial = ++jobs->last_serial;
    job->name = strdup(name);
    if (!job->name || random_hex(job->token, TOKEN_LEN) < 0) {
        free(job->name);
        free(job);
        return -ENOMEM;
    }
    for (int i = 0; i < JOB_STREAMS; i++)
        buf_init(&job->windows[i].data, WINDOW_MAX);
    buf_init(&job->cmd, COMMAND_MAX);
    buf_init(&job->cwd, COMMAND_MAX);
    buf_init(&job->env, COMMAND_MAX);
    buf_init(&job->input, INPUT_MAX);
    atomic_init(&job->refs, 2);
    job->listed = true;
    DL_APPEND(jobs->list, job);
    jobs->count++;
    *ret = job;
    return 0;
}

static struct job *named_locked(struct jobs *jobs, const char *name)
{
    char *end;
    const unsigned long long id = strtoull(name, &end, 10);
    struct job *job;

    DL_FOREACH(jobs->list, job) {
        if (strcmp(job->name, name) == 0)
            return job;
        if (id > 0 && *end == '\0' && job->state == JOB_STARTED && job->now.id == id)
            return job;
    }
    return NULL;
}

/* ---- what the sandbox knows ---- */

static struct job *with_id_locked(struct jobs *jobs, uint64_t id)
{
    struct job *job;

    DL_FOREACH(jobs->list, job) {
        if (job->state == JOB_STARTED && job->now.id == id)
            return job;
    }
    return NULL;
}

static int take_one_locked(struct jobs *jobs, const struct remote_job *from)
{
    struct job *job = with_id_locked(jobs, from->id);
    char number[24];
    int r = 0;

    if (!job) {
        snprintf(number, sizeof(number), "%llu", (unsigned long long)from->id);
        r = add_locked(jobs, *from->name ? from->name : number, &job);
        if (r < 0)
            return r;
        job->state = JOB_STARTED;
        job->input_off = from->input_size;
        r = buf_puts(&job->cmd, from->line);
        if (r == 0)
            r = buf_puts(&job->cwd, from->cwd);
        job_unref(job);
    }
    /* Its end is told where it is acted upon. */
    if (job->now.id == 0 || from->phase == REMOTE_JOB_RUNNING) {
        job->now = *from;
        job->now.name = job->now.line = job->now.cwd = NULL;
        job->heard_ns = clock_mono_ns();
    }
    return r;
}

static bool is_among(const struct remote_job *v, size_t count, uint64_t id)
{
    for (size_t i = 0; i < count; i++) {
        if (v[i].id == id)
            return true;
    }
    return false;
}

/* serial: of the last job that was known when the question was asked. */
static int take_list_locked(struct jobs *jobs, const struct remote_job *v, size_t count,
                            uint64_t serial)
{
    struct job *job, *next;
    int r = 0;

    DL_FOREACH_SAFE(jobs->list, job, next) {
        if (job->state == JOB_STARTED && job->serial <= serial &&
            (!job->passing || atomic_load(&job->refs) == 1) && !is_among(v, count, job->now.id))
            unlist_locked(jobs, job); /* removed by somebody else, or it has passed */
    }
    for (size_t i = 0; i < count && r == 0; i++)
        r = take_one_locked(jobs, &v[i]);
    return r;
}

static int ask_sandbox(struct jobs *jobs)
{
    struct remote_job *v;
    uint64_t serial;
    size_t count;
    int r;

    lock_take(&jobs->lock);
    serial = jobs->last_serial;
    lock_drop(&jobs->lock);
    r = remote_job_list(fs_remote(jobs->fs), &v, &count);
    if (r < 0)
        return r == -EOPNOTSUPP ? 0 : r; /* then there are none */
    lock_take(&jobs->lock);
    r = take_list_locked(jobs, v, count, serial);
    lock_drop(&jobs->lock);
    remote_job_list_free(v, count);
    return r;
}

/* ---- does any run? ---- */

static struct job *next_started_locked(struct jobs *jobs, uint64_t after)
{
    struct job *job, *next = NULL;

    DL_FOREACH(jobs->list, job)
        if (job->state == JOB_STARTED && job->serial > after &&
            (!next || job->serial < next->serial))
            next = job;
    return next;
}

bool jobs_busy(struct jobs *jobs, int64_t age_ns)
{
    struct remote_job now;
    uint64_t serial = 0;
    bool busy = false;

    while (!busy) {
        struct job *job;

        lock_take(&jobs->lock);
        job = next_started_locked(jobs, serial);
        if (job)
            job_ref(job);
        lock_drop(&jobs->lock);
        if (!job)
            break;
        serial = job->serial;
        busy = job_hear(job, age_ns, &now) == 0 && now.phase == REMOTE_JOB_RUNNING;
        job_unref(job);
    }
    return busy;
}

/* ---- the directory ---- */

static struct ctl_entry to_entry(struct job *job)
{
    return (struct ctl_entry){.row = &job_row, .obj = job, .id = job->serial};
}

static int find_known(struct jobs *jobs, const char *name, struct ctl_entry *ret)
{
    struct job *job;

    lock_take(&jobs->lock);
    job = named_locked(jobs, name);
    if (job) {
        job_ref(job);
        *ret = to_entry(job);
    }
    lock_drop(&jobs->lock);
    return job ? 0 : -ENOENT;
}

static int jobs_find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    const char *end = name + strspn(name, "0123456789");
    int r = find_known(ctl->jobs, name, ret);

    if (r == 0 || (*end && !remote_job_name_valid(name)))
        return r;
    r = ask_sandbox(ctl->jobs);
    return r < 0 ? r : find_known(ctl->jobs, name, ret);
}

static int jobs_list(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    struct jobs *jobs = ctl->jobs;
    struct job *job;
    int r = ask_sandbox(jobs);

    lock_take(&jobs->lock);
    DL_FOREACH(jobs->list, job) {
        if (r == 0 &&
            !(job->passing && job->state == JOB_STARTED && job->now.phase != REMOTE_JOB_RUNNING))
            r = ctl_list_add(list, job->name, &job_row);
    }
    lock_drop(&jobs->lock);
    return r;
}

static int jobs_make(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret,
                     struct buf *why)
{
    struct jobs *jobs = ctl->jobs;
    struct job *job;
    int r;

    if (!remote_job_name_valid(name)) {
        (void)buf_puts(why, "a job's name is not a number, does not begin with '.', and has at "
                            "most 64 bytes");
        return -EINVAL;
    }
    lock_take(&jobs->lock);
    r = named_locked(jobs, name) ? -EEXIST : add_locked(jobs, name, &job);
    if (r == 0)
        *ret = to_entry(job);
    lock_drop(&jobs->lock);
    return r;
}

static int jobs_remove(struct ctl *ctl, void *obj, struct buf *why)
{
    struct job *job = obj;
    bool forget;
    uint64_t id;
    int r = 0;

    job_lock(job);
    id = job->state == JOB_STARTED ? job->now.id : 0;
    /* One that passes goes by itself; what is large goes at once. */
    forget = id == 0 || (job->passing && job->whole && job->now.phase != REMOTE_JOB_RUNNING);
    if (job->state == JOB_STARTING)
        r = -EBUSY;
    job_unlock(job);
    if (r == 0 && !forget)
        r = remote_job_remove(fs_remote(jobs_fs(job->jobs)), id);
    if (r == -EBUSY)
        (void)buf_puts(why, "the job is running: `echo kill > ctl` ends it");
    if (r < 0 && r != -ENOENT)
        return r;
    job_lock(job);
    unlist_locked(job->jobs, job);
    job_unlock(job);
    return 0;
}

const struct ctl_dir jobs_dir = {.entry = &job_row,
                                 .takes = "NAME",
                                 .find = jobs_find,
                                 .list = jobs_list,
                                 .make = jobs_make,
                                 .remove = jobs_remove,
                                 .release = job_unref};

/* ---- clone ---- */

static int open_clone(struct ctl *ctl, void *obj, struct ctl_entry *ret, struct buf *why)
{
    struct jobs *jobs = ctl->jobs;
    char name[32];
    struct job *job;
    int r;

    lock_take(&jobs->lock);
    snprintf(name, sizeof(name), "new-%llu", (unsigned long long)jobs->last_serial + 1);
    r = named_locked(jobs, name) ? -EEXIST : add_locked(jobs, name, &job);
    if (r == 0) {
        job->cloned = true;
        *ret = (struct ctl_entry){.row = &job_ctl_row, .obj = job, .id = job->serial};
    }
    lock_drop(&jobs->lock);
    return r;
}

const struct ctl_row jobs_rows[] = {
    {.name = "clone",
     .mode = 0600,
     .kind = CTL_SNAPSHOT,
     .open = open_clone,
     .help = "opening it makes a job: reads as its name, takes what its ctl takes"},
    {.name = NULL},
};
