#include "cli/job.h"

#include "mount/direct.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/random.h"
#include "util/signals.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { WHY_MAX = 4096, FIRST_OUTPUT = 4 << 20 };

#define START_WAIT_NS NS_PER_S
#define PATIENCE_NS (10 * 60 * NS_PER_S)

/* ---- where ---- */

static int open_direct(struct cli_job_place *p, const struct cli *cli, const char *sandbox)
{
    int r = api_open_sandbox(&p->api, cli, sandbox);
    int err;

    if (r != EXITCODE_OK)
        return r;
    err = direct_open(p->api.sandbox, &p->remote, &p->why);
    return err < 0 && err != -EOPNOTSUPP ? api_check(&p->api, err) : EXITCODE_OK;
}

int cli_job_place_find(struct cli_job_place *p, const struct cli *cli, const char *word)
{
    int r;

    *p = (struct cli_job_place){.why = BUF_INIT(WHY_MAX)};
    r = target_find(&p->target, cli, word);
    if (r != EXITCODE_OK || (p->target.mounted && *p->target.mount.ctl_name))
        return r;
    if (p->target.mounted && !p->target.sandbox)
        return cli_fail(EXITCODE_OTHER,
                        "%s is mounted with ctl=off: name the sandbox instead of the directory",
                        p->target.mount.dir);
    return open_direct(p, cli, p->target.sandbox);
}

void cli_job_place_done(struct cli_job_place *p)
{
    p->remote = remote_free(p->remote);
    api_done(&p->api);
    target_done(&p->target);
    buf_done(&p->why);
}

static bool is_mount(const struct cli_job_place *p)
{
    return !p->api.sandbox;
}

int cli_job_place_fail(struct cli_job_place *p, int code, int err, const char *what)
{
    const int better = exitcode_of(err, is_mount(p) ? NULL : daytona_last_error());

    if (better != EXITCODE_OTHER)
        code = better;
    if (p->why.len > 0)
        return cli_fail(code, "%s: %s", what, buf_str(&p->why));
    if (is_mount(p))
        return target_fail(&p->target, code, err, what);
    if (code == better && daytona_last_error()->err == err)
        return api_check(&p->api, err);
    return cli_fail(code, "%s: %s", what, errtext_sentence(err));
}

/* ---- a job ---- */

static void init(struct cli_job *j, struct cli_job_place *p, cli_job_sink sink, void *arg)
{
    *j = (struct cli_job){
        .place = p,
        .ctl = -1,
        .input = -1,
        .follow = {.patience_ns = PATIENCE_NS, .sink = sink, .arg = arg},
    };
}

static int begin_direct(struct cli_job *j, const struct cli_job_spec *spec)
{
    struct remote_job_start start = {.name = spec->name,
                                     .script = spec->script,
                                     .env = spec->env,
                                     .input_open = spec->input_open,
                                     .passing = spec->passing};
    char token[33], *cwd = NULL;
    int r = j->place->remote ? direct_path(j->place->remote, spec->cwd, &cwd) : -EOPNOTSUPP;

    if (r < 0)
        return r;
    start.token = token;
    start.cwd = cwd;
    start.line = strndup(spec->script, REMOTE_JOB_LINE_MAX);
    if (spec->passing) {
        start.output_max = FIRST_OUTPUT;
        start.wait_ns = spec->input_open ? 0 : START_WAIT_NS;
    }
    r = start.line ? random_hex(token, sizeof(token) - 1) : -ENOMEM;
    if (r == 0)
        r = remote_job_begin(j->place->remote, &start, &j->follow, &j->now);
    if (r == 0) {
        j->id = j->now.id;
        j->more = j->now.phase == REMOTE_JOB_RUNNING || j->now.out_size > j->follow.out_off ||
                  j->now.err_size > j->follow.err_off;
    }
    free((char *)start.line);
    free(cwd);
    return r;
}

int cli_job_begin(struct cli_job *j, struct cli_job_place *p, const struct cli_job_spec *spec,
                  cli_job_sink sink, void *arg)
{
    init(j, p, sink, arg);
    return is_mount(p) ? cli_job_mount_begin(j, spec) : begin_direct(j, spec);
}

static int attach_direct(struct cli_job *j, const char *name)
{
    struct remote_job *v;
    size_t count;
    char *end;
    int r;

    if (!j->place->remote)
        return -EOPNOTSUPP;
    j->id = strtoull(name, &end, 10);
    if (!*name || *end) {
        j->id = 0;
        r = remote_job_list(j->place->remote, &v, &count);
        if (r < 0)
            return r;
        for (size_t i = 0; i < count; i++)
            j->id = strcmp(v[i].name, name) == 0 ? v[i].id : j->id;
        remote_job_list_free(v, count);
    }
    return j->id ? remote_job_status(j->place->remote, j->id, &j->now) : -ENOENT;
}

int cli_job_attach(struct cli_job *j, struct cli_job_place *p, const char *name, cli_job_sink sink,
                   void *arg)
{
    int r;

    init(j, p, sink, arg);
    r = is_mount(p) ? cli_job_mount_attach(j, name) : attach_direct(j, name);
    j->input_off = j->now.input_size;
    return r;
}

void cli_job_done(struct cli_job *j)
{
    if (j->ctl >= 0)
        close(j->ctl);
    if (j->input >= 0)
        close(j->input);
    free(j->name);
    j->name = NULL;
}

int cli_job_id(struct cli_job *j, uint64_t *ret)
{
    if (is_mount(j->place))
        return cli_job_mount_id(j, ret);
    *ret = j->id;
    return 0;
}

static int put_reason(struct cli_job *j)
{
    return j->now.err ? buf_puts(&j->place->why, errtext_sentence(j->now.err)) : 0;
}

int cli_job_follow(struct cli_job *j, bool together, int *ret_code)
{
    int r;

    if (is_mount(j->place))
        return cli_job_mount_follow(j, together, ret_code);
    r = j->more || j->now.phase == REMOTE_JOB_RUNNING || j->follow.out_off < j->now.out_size ||
                j->follow.err_off < j->now.err_size
            ? remote_job_follow(j->place->remote, j->id, &j->follow, &j->now)
            : 0;
    if (r == 0)
        r = put_reason(j);
    *ret_code = remote_job_code(&j->now);
    return r;
}

int cli_job_output(struct cli_job *j)
{
    struct buf out = BUF_INIT(FIRST_OUTPUT), err = BUF_INIT(FIRST_OUTPUT);
    struct remote_job_follow *f = &j->follow;
    int r = 0;

    if (is_mount(j->place))
        return cli_job_mount_output(j);
    while (r == 0 && (f->out_off < j->now.out_size || f->err_off < j->now.err_size)) {
        const struct remote_job_read read = {.out_off = f->out_off,
                                             .err_off = f->err_off,
                                             .max = FIRST_OUTPUT,
                                             .out = &out,
                                             .err = &err};
        struct remote_job now;

        r = remote_job_read(j->place->remote, j->id, &read, &now);
        if (r == 0 && out.len > 0)
            r = f->sink(f->arg, false, out.data, out.len);
        if (r == 0 && err.len > 0)
            r = f->sink(f->arg, true, err.data, err.len);
        if (out.len + err.len == 0)
            break;
        f->out_off += out.len;
        f->err_off += err.len;
        buf_truncate(&out, 0);
        buf_truncate(&err, 0);
    }
    buf_done(&out);
    buf_done(&err);
    return r;
}

int cli_job_write(struct cli_job *j, const void *p, size_t n, bool end)
{
    if (is_mount(j->place))
        return cli_job_mount_write(j, p, n, end);
    return remote_job_feed(j->place->remote, j->id, &j->input_off, p, n, end, PATIENCE_NS);
}

int cli_job_kill(struct cli_job *j, const char *signal)
{
    const int number = signals_parse(signal);

    if (number < 0)
        return number;
    return is_mount(j->place) ? cli_job_mount_kill(j, signal)
                              : remote_job_kill(j->place->remote, j->id, number);
}

void cli_job_leave(struct cli_job *j)
{
    if (is_mount(j->place) || j->more)
        (void)cli_job_remove(j); /* or it goes by itself */
}

int cli_job_signal(const char *word)
{
    return signals_parse(word);
}

int cli_job_remove(struct cli_job *j)
{
    return is_mount(j->place) ? cli_job_mount_remove(j)
                              : remote_job_remove(j->place->remote, j->id);
}

/* ---- all of them ---- */

const struct cli_column cli_job_columns[] = {
    {"ID", "id", CELL_NUMBER},         {"NAME", "name", CELL_TEXT},
    {"STATE", "state", CELL_TEXT},     {"EXIT", "exit", CELL_NUMBER},
    {"STARTED", "started", CELL_TEXT}, {"COMMAND", "command", CELL_TEXT},
};
const size_t cli_job_column_count = ARRAY_LEN(cli_job_columns);

int cli_job_add_row(struct cli_rows *rows, const struct remote_job *job)
{
    static const char *const phases[] = {
        [REMOTE_JOB_RUNNING] = "running", [REMOTE_JOB_ENDED] = "ended", [REMOTE_JOB_LOST] = "lost"};
    const time_t started_s = (time_t)(job->started_ns / NS_PER_S);
    const int code = remote_job_code(job);
    char id[24], exit[16], started[32];
    struct tm tm;

    snprintf(id, sizeof(id), "%llu", (unsigned long long)job->id);
    snprintf(exit, sizeof(exit), "%d", code);
    if (!gmtime_r(&started_s, &tm) ||
        !strftime(started, sizeof(started), "%Y-%m-%dT%H:%M:%SZ", &tm))
        started[0] = '\0';
    return cli_rows_add(rows, (const char *[]){id, job->name, phases[job->phase],
                                               code < 0 ? NULL : exit, started, job->line});
}

int cli_job_rows(struct cli_job_place *p, struct cli_rows *rows)
{
    struct remote_job *v;
    size_t count;
    int r;

    if (is_mount(p))
        return cli_job_mount_rows(p, rows);
    if (!p->remote)
        return -EOPNOTSUPP;
    r = remote_job_list(p->remote, &v, &count);
    if (r < 0)
        return r;
    for (size_t i = 0; i < count && r == 0; i++)
        r = cli_job_add_row(rows, &v[i]);
    remote_job_list_free(v, count);
    return r;
}
