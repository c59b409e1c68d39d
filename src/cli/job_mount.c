/* A mount's jobs, through its files. */
#include "cli/job.h"

#include "util/clock.h"
#include "util/io.h"
#include "util/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CHUNK = 1 << 20, TEXT_MAX = 1 << 20 };

/* "jobs/NAME/FILE" */
static char *file_path(const struct cli_job *j, const char *file)
{
    char *path;

    return asprintf(&path, "jobs/%s%s%s", j->name, *file ? "/" : "", file) < 0 ? NULL : path;
}

static int open_file(const struct cli_job *j, const char *file, int flags)
{
    char *path = file_path(j, file);
    const int fd = path ? target_open(&j->place->target, path, flags) : -ENOMEM;

    free(path);
    return fd;
}

static int read_text(const struct cli_job *j, const char *file, struct buf *out)
{
    char *path = file_path(j, file);
    const int r = path ? target_ask(&j->place->target, path, NULL, 0, out) : -ENOMEM;

    free(path);
    return r;
}

/* All in one write, and what its close says. */
static int write_file(const struct cli_job *j, const char *file, const void *p, size_t n)
{
    const int fd = open_file(j, file, O_WRONLY | O_TRUNC);
    int r = fd < 0 ? fd : io_write(fd, p, n);

    if (fd >= 0 && close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

static int order(const struct cli_job *j, const char *line)
{
    return io_write(j->ctl, line, strlen(line));
}

/* ---- starting ---- */

static int make_named(struct cli_job *j, const char *name)
{
    const struct target *t = &j->place->target;
    char *path = NULL;
    int r = 0;

    j->name = strdup(name);
    if (!j->name || asprintf(&path, "%s/%s/jobs/%s", t->mount.dir, t->mount.ctl_name, name) < 0)
        return -ENOMEM;
    if (mkdir(path, 0700) < 0)
        r = -errno;
    free(path);
    if (r == 0)
        j->ctl = r = open_file(j, "ctl", O_RDWR);
    return r < 0 ? r : 0;
}

static int make_unnamed(struct cli_job *j)
{
    char name[300];
    ssize_t n;

    j->ctl = target_open(&j->place->target, "jobs/clone", O_RDWR);
    if (j->ctl < 0)
        return j->ctl;
    n = read(j->ctl, name, sizeof(name) - 1);
    if (n <= 0)
        return n < 0 ? -errno : -EPROTO;
    name[n] = '\0';
    name[strcspn(name, "\n")] = '\0';
    j->name = strdup(name);
    return j->name ? 0 : -ENOMEM;
}

static int put_env(const struct cli_job *j, const char *const *env)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    int r = 0;

    for (; r == 0 && *env; env++)
        r = buf_append(&text, *env, strlen(*env) + 1);
    if (r == 0)
        r = write_file(j, "env", text.data, text.len);
    buf_done(&text);
    return r;
}

/* Local, and so cheaper than to be refused, which errors would tell of. */
static bool has_jobs(const struct target *t)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    const bool none =
        target_ask(t, "capabilities", NULL, 0, &text) == 0 && strstr(buf_str(&text), "jobs no");

    buf_done(&text);
    return !none;
}

int cli_job_mount_begin(struct cli_job *j, const struct cli_job_spec *spec)
{
    int r;

    if (!has_jobs(&j->place->target))
        return -EOPNOTSUPP;
    r = spec->name ? make_named(j, spec->name) : make_unnamed(j);
    if (r == 0 && spec->passing)
        r = order(j, "passing\n");
    if (r == 0 && spec->input_open)
        r = order(j, "stdin\n");
    if (r == 0 && spec->cwd)
        r = write_file(j, "cwd", spec->cwd, strlen(spec->cwd) + 1);
    if (r == 0 && spec->env && *spec->env)
        r = put_env(j, spec->env);
    if (r == 0)
        r = write_file(j, "cmd", spec->script, strlen(spec->script));
    if (r < 0 && j->ctl >= 0)
        (void)cli_job_mount_remove(j); /* it was not started */
    return r;
}

int cli_job_mount_attach(struct cli_job *j, const char *name)
{
    if (!*name || strchr(name, '/') || name[0] == '.')
        return -ENOENT;
    j->name = strdup(name);
    if (!j->name)
        return -ENOMEM;
    j->ctl = open_file(j, "ctl", O_RDWR);
    return j->ctl < 0 ? j->ctl : 0;
}

/* ---- what it is like ---- */

/* The rest of the line that begins with key and a blank, up to its end; NULL. */
static const char *value_of(const char *text, const char *key)
{
    const size_t n = strlen(key);

    for (const char *p = text; *p; p += strcspn(p, "\n"), p += *p == '\n') {
        if (strncmp(p, key, n) == 0 && p[n] == ' ')
            return p + n + 1;
    }
    return NULL;
}

static int read_status(const struct cli_job *j, struct remote_job *ret, struct buf *why)
{
    struct buf text = BUF_INIT(TEXT_MAX);
    const char *state, *id, *code, *error, *started;
    int r = read_text(j, "status", &text);

    state = value_of(buf_str(&text), "state");
    id = value_of(buf_str(&text), "id");
    if (r == 0 && (!state || !id))
        r = -ENOENT; /* it was not started */
    if (r == 0) {
        code = value_of(buf_str(&text), "exit");
        started = value_of(buf_str(&text), "started");
        error = value_of(buf_str(&text), "error");
        *ret = (struct remote_job){
            .id = strtoull(id, NULL, 10),
            .phase = strncmp(state, "run", 3) == 0   ? REMOTE_JOB_RUNNING
                     : strncmp(state, "end", 3) == 0 ? REMOTE_JOB_ENDED
                                                     : REMOTE_JOB_LOST,
            .exit_code = code ? atoi(code) : 0,
            .started_ns = started ? strtoll(started, NULL, 10) * NS_PER_S : 0,
        };
        if (error && why)
            r = buf_append(why, error, strcspn(error, "\n"));
    }
    buf_done(&text);
    return r;
}

int cli_job_mount_id(struct cli_job *j, uint64_t *ret)
{
    struct remote_job now;
    int r = read_status(j, &now, NULL);

    if (r == 0)
        *ret = now.id;
    return r;
}

/* ---- reading ---- */

struct reader {
    struct cli_job *j;
    const char *file;
    bool err;
    int r;
};

static void *read_stream(void *arg)
{
    struct reader *rd = arg;
    const struct remote_job_follow *f = &rd->j->follow;
    const int fd = open_file(rd->j, rd->file, O_RDONLY);
    char *chunk = malloc(CHUNK);

    rd->r = fd < 0 ? fd : chunk ? 0 : -ENOMEM;
    while (rd->r == 0) {
        const ssize_t n = read(fd, chunk, CHUNK);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            rd->r = n < 0 ? -errno : 0;
            break;
        }
        rd->r = f->sink(f->arg, rd->err, chunk, (size_t)n);
    }
    free(chunk);
    if (fd >= 0)
        close(fd);
    return NULL;
}

static int read_both(struct cli_job *j, const char *out_file, const char *err_file)
{
    struct reader out = {.j = j, .file = out_file}, err = {.j = j, .file = err_file, .err = true};
    pthread_t thread;
    const int r = pthread_create(&thread, NULL, read_stream, &err);

    if (r != 0)
        return -r;
    read_stream(&out);
    pthread_join(thread, NULL);
    return out.r < 0 ? out.r : err.r;
}

static int read_code(struct cli_job *j, int *ret_code)
{
    struct buf text = BUF_INIT(4096);
    struct remote_job now;
    int r = read_text(j, "wait", &text);

    *ret_code = r == 0 && text.len > 0 ? atoi(buf_str(&text)) : -1;
    buf_done(&text);
    if (r == -EIO && read_status(j, &now, NULL) == 0 && now.phase == REMOTE_JOB_LOST)
        return 0;
    if (r == 0 && *ret_code == 125) /* perhaps there is more to say */
        (void)read_status(j, &now, &j->place->why);
    return r;
}

int cli_job_mount_follow(struct cli_job *j, bool together, int *ret_code)
{
    struct reader all = {.j = j, .file = "follow"};
    int r;

    if (together)
        read_stream(&all);
    r = together ? all.r : read_both(j, "follow.stdout", "follow.stderr");
    return r < 0 ? r : read_code(j, ret_code);
}

int cli_job_mount_output(struct cli_job *j)
{
    return read_both(j, "stdout", "stderr");
}

/* ---- the rest ---- */

int cli_job_mount_write(struct cli_job *j, const void *p, size_t n, bool end)
{
    int r = 0;

    if (j->input < 0 && n > 0)
        j->input = r = open_file(j, "stdin", O_WRONLY);
    if (r >= 0)
        r = io_write(j->input, p, n);
    return r == 0 && end ? order(j, "eof\n") : r;
}

int cli_job_mount_kill(struct cli_job *j, const char *signal)
{
    char line[64];

    snprintf(line, sizeof(line), "kill %.40s\n", signal);
    return order(j, line);
}

int cli_job_mount_remove(struct cli_job *j)
{
    const struct target *t = &j->place->target;
    char *path;
    int r = 0;

    if (asprintf(&path, "%s/%s/jobs/%s", t->mount.dir, t->mount.ctl_name, j->name) < 0)
        return -ENOMEM;
    if (rmdir(path) < 0)
        r = -errno;
    free(path);
    return r;
}

static int add_named(struct cli_job_place *p, struct cli_rows *rows, const char *name)
{
    struct cli_job j = {.place = p, .name = (char *)name};
    struct buf cmd = BUF_INIT(TEXT_MAX);
    struct remote_job now = {0};
    int r = read_status(&j, &now, NULL);

    if (r == 0)
        r = read_text(&j, "cmd", &cmd);
    if (r == 0) {
        while (cmd.len > 0 && cmd.data[cmd.len - 1] == '\n')
            buf_truncate(&cmd, cmd.len - 1);
        now.name = (char *)name;
        now.line = (char *)buf_str(&cmd);
        r = cli_job_add_row(rows, &now);
    }
    buf_done(&cmd);
    return r == -ENOENT ? 0 : r; /* it is gone, or was never started */
}

int cli_job_mount_rows(struct cli_job_place *p, struct cli_rows *rows)
{
    char *path;
    struct dirent *d;
    DIR *dir;
    int r = 0;

    if (asprintf(&path, "%s/%s/jobs", p->target.mount.dir, p->target.mount.ctl_name) < 0)
        return -ENOMEM;
    dir = opendir(path);
    free(path);
    if (!dir)
        return -errno;
    while (r == 0 && (d = readdir(dir))) {
        if (d->d_name[0] != '.' && strcmp(d->d_name, "clone") != 0)
            r = add_named(p, rows, d->d_name);
    }
    closedir(dir);
    return r;
}
