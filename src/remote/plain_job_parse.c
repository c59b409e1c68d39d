#include "remote/plain_job.h"

#include "util/array.h"
#include "util/base64.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { JOBS_MAX = 100000, WORD_MAX = 64 << 10 };

/* ---- words of a line ---- */

struct words {
    const char *p; /* what is left of the line */
    bool bad;      /* one was not what it should be: sticks */
};

static const char *take_word(struct words *w, size_t *ret_len)
{
    const char *word = w->p + strspn(w->p, " ");

    *ret_len = strcspn(word, " \n");
    w->bad = w->bad || *ret_len == 0;
    w->p = word + *ret_len;
    return word;
}

static uint64_t take_number(struct words *w)
{
    size_t len;
    const char *word = take_word(w, &len);
    uint64_t n = 0;

    w->bad = w->bad || len > 18;
    for (size_t i = 0; i < len && !w->bad; i++) {
        w->bad = word[i] < '0' || word[i] > '9';
        n = 10 * n + (uint64_t)(word[i] - '0');
    }
    return w->bad ? 0 : n;
}

static int64_t take_time(struct words *w)
{
    const uint64_t s = take_number(w);

    w->bad = w->bad || s > INT64_MAX / NS_PER_S;
    return w->bad ? 0 : (int64_t)s * NS_PER_S;
}

/* "r" it runs, "-" it is lost, or its exit code. */
static void take_phase(struct words *w, struct remote_job *job)
{
    size_t len;
    const char *word = take_word(w, &len);

    if (len == 1 && (*word == 'r' || *word == '-')) {
        job->phase = *word == 'r' ? REMOTE_JOB_RUNNING : REMOTE_JOB_LOST;
        return;
    }
    w->p = word;
    job->phase = REMOTE_JOB_ENDED;
    job->exit_code = (int)(take_number(w) & 0xff);
}

/* base64, "-" for nothing. NULL without memory. */
static char *take_string(struct words *w)
{
    size_t len;
    const char *word = take_word(w, &len);
    struct buf text = BUF_INIT(WORD_MAX);
    char *copy = NULL;
    int r = 0;

    if (!(len == 1 && *word == '-'))
        r = base64_decode(&text, word, len);
    w->bad = w->bad || (r < 0 && r != -ENOMEM);
    if (r == 0 || w->bad)
        copy = strdup(w->bad ? "" : buf_str(&text));
    buf_done(&text);
    return copy;
}

/* ---- the answers ---- */

int plain_job_parse_made(const char *text, uint64_t *ret_id, bool *ret_begun)
{
    struct words w = {.p = text};
    const uint64_t id = take_number(&w), begun = take_number(&w);

    if (w.bad || id == 0)
        return -EBADMSG;
    *ret_id = id;
    *ret_begun = begun == 1;
    return 0;
}

int plain_job_parse_status(const char *text, uint64_t id, struct plain_job_status *ret)
{
    struct words w = {.p = text};
    struct plain_job_status s = {.job.id = id};

    s.job.out_size = take_number(&w);
    s.job.err_size = take_number(&w);
    s.job.both_size = s.job.out_size + s.job.err_size; /* the next look says in which order */
    s.job.input_size = take_number(&w);
    take_phase(&w, &s.job);
    s.job.started_ns = take_time(&w);
    s.job.ended_ns = take_time(&w);
    s.job.pid = take_number(&w);
    s.job.input_open = take_number(&w) == 1 && s.job.phase == REMOTE_JOB_RUNNING;
    s.session = take_number(&w) == 1;
    s.out = take_number(&w);
    s.err = take_number(&w);
    if (w.bad)
        return -EBADMSG;
    *ret = s;
    return 0;
}

static int parse_job(const char *line, struct plain_job_status *ret)
{
    struct words w = {.p = line};
    size_t len;

    *ret = (struct plain_job_status){.job.id = take_number(&w)};
    take_phase(&w, &ret->job);
    ret->job.pid = take_number(&w);
    ret->job.input_open = take_number(&w) == 1 && ret->job.phase == REMOTE_JOB_RUNNING;
    ret->session = take_number(&w) == 1;
    (void)take_word(&w, &len); /* the token is its maker's */
    ret->job.started_ns = take_time(&w);
    ret->job.name = take_string(&w);
    ret->job.line = take_string(&w);
    ret->job.cwd = take_string(&w);
    if (!ret->job.name || !ret->job.line || !ret->job.cwd)
        return -ENOMEM;
    if (*ret->job.name && !remote_job_name_valid(ret->job.name))
        w.bad = true;
    return w.bad || ret->job.id == 0 ? -EBADMSG : 0;
}

static int by_id(const void *a, const void *b)
{
    const struct plain_job_status *x = a, *y = b;

    return x->job.id < y->job.id ? -1 : x->job.id > y->job.id;
}

/* "N/out 120 1700000000" */
static void parse_file(const char *line, struct plain_job_status *v, size_t count)
{
    static const struct {
        const char *name;
        size_t size, time; /* where it goes in struct remote_job; 0: nowhere */
    } files[] = {
        {"out ", offsetof(struct remote_job, out_size), 0},
        {"err ", offsetof(struct remote_job, err_size), 0},
        {"in ", offsetof(struct remote_job, input_size), 0},
        {"code ", 0, offsetof(struct remote_job, ended_ns)},
    };
    const size_t digits = strspn(line, "0123456789");
    struct plain_job_status key = {0}, *s;
    struct words w = {.p = line + digits + 1};
    uint64_t size;
    int64_t time;

    if (line[digits] != '/' || digits == 0 || digits > 18)
        return;
    key.job.id = strtoull(line, NULL, 10);
    s = bsearch(&key, v, count, sizeof(*v), by_id);
    for (size_t i = 0; i < ARRAY_LEN(files) && s; i++) {
        if (strncmp(w.p, files[i].name, strlen(files[i].name)) != 0)
            continue;
        w.p += strlen(files[i].name);
        size = take_number(&w);
        time = take_time(&w);
        if (files[i].size)
            memcpy((char *)&s->job + files[i].size, &size, sizeof(size));
        if (files[i].time)
            memcpy((char *)&s->job + files[i].time, &time, sizeof(time));
        break;
    }
}

static const char *next_line(const char *p)
{
    p += strcspn(p, "\n");
    return *p ? p + 1 : p;
}

static int parse_jobs(const char *lines, struct plain_job_status *v, size_t max, size_t *ret_count)
{
    int r = 0;

    *ret_count = 0;
    for (const char *p = lines; *p && r == 0 && *ret_count < max; p = next_line(p))
        r = parse_job(p, &v[(*ret_count)++]);
    return r;
}

int plain_job_parse_list(const char *lines, const char *files, struct plain_job_status **ret,
                         size_t *ret_count)
{
    struct plain_job_status *v;
    size_t count = 0, max = 1;
    int r;

    for (const char *p = lines; *p && max < JOBS_MAX; p = next_line(p))
        max++;
    v = calloc(max, sizeof(*v));
    if (!v)
        return -ENOMEM;
    r = parse_jobs(lines, v, max, &count);
    if (r < 0) {
        for (size_t i = 0; i < count; i++)
            remote_job_done(&v[i].job);
        free(v);
        return r;
    }
    qsort(v, count, sizeof(*v), by_id);
    for (const char *p = files; *p; p = next_line(p))
        parse_file(p, v, count);
    for (size_t i = 0; i < count; i++)
        v[i].job.both_size = v[i].job.out_size + v[i].job.err_size;
    *ret = v;
    *ret_count = count;
    return 0;
}
