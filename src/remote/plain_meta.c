#include "remote/plain_internal.h"
#include "remote/record.h"

#include "util/errtext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HIDDEN_MAX = 64 }; /* our own temporary names in one listing, about */

static int copy_info(struct remote_info *to, const struct remote_info *from)
{
    *to = *from;
    to->work_dir = strdup(from->work_dir);
    to->home_dir = strdup(from->home_dir);
    to->daemon_version = strdup(from->daemon_version);
    to->shell = strdup(from->shell);
    if (to->work_dir && to->home_dir && to->daemon_version && to->shell)
        return 0;
    remote_info_done(to);
    return -ENOMEM;
}

int plain_info(struct remote *r, struct remote_info *ret)
{
    struct remote_info info;
    int err = copy_info(&info, &plain_of(r)->info);

    if (err == 0)
        *ret = info;
    return err;
}

void plain_add_record(struct plain *p, struct shcmd *s, const char *var)
{
    if (p->records == PLAIN_RECORDS_FIND)
        shcmd_add(s, "find \"$%s\" -maxdepth 0 -printf \"%s\" | base64 >&3;", var, RECORD_FORMAT);
    if (p->records == PLAIN_RECORDS_STAT) {
        shcmd_set(s, "r", record_stat_script);
        shcmd_add(s, "sh -c \"$r\" sh \"$%s\" | base64 >&3;", var);
    }
}

int plain_records(struct plain *p, struct buf *part)
{
    struct buf records = BUF_INIT(PLAIN_LIST_MAX);
    int r;

    if (p->records != PLAIN_RECORDS_STAT)
        return 0;
    r = record_from_stat(buf_str(part), part->len, &records);
    if (r < 0) {
        buf_done(&records);
        return r == -EBADMSG ? -EPROTO : r;
    }
    buf_done(part);
    *part = records;
    return 0;
}

/* find's own failure is hidden by the pipe: then there is no record, and the text says why. */
static int answer_record(struct plain *p, struct shcmd_answer *a, struct remote_attr *ret,
                         char **ret_target)
{
    int r = shcmd_errno(a);

    if (r == 0)
        r = plain_records(p, &a->part[0]);
    if (r < 0)
        return r;
    if (a->part[0].len == 0) {
        r = errtext_parse(a->text);
        return r < 0 ? r : -EIO;
    }
    r = record_decode_one(a->part[0].data, a->part[0].len, ret, ret_target);
    return r == -EBADMSG ? -EPROTO : r;
}

int plain_change(struct plain *p, struct shcmd *s, const char *path, struct remote_attr *ret)
{
    struct shcmd_answer answer;
    int r;

    r = plain_run(p, s, PLAIN_SMALL, &answer);
    if (r < 0)
        return r;
    r = p->records && ret ? answer_record(p, &answer, ret, NULL) : shcmd_errno(&answer);
    shcmd_answer_done(&answer);
    if (r == 0 && ret && !p->records)
        r = plain_api_stat(p, path, ret);
    return r;
}

int plain_stat(struct remote *r, const char *path, struct remote_attr *ret, char **ret_target)
{
    struct plain *p = plain_of(r);
    struct shcmd_answer answer;
    struct shcmd s;
    int err;

    if (!p->records)
        return plain_api_stat(p, path, ret);
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    plain_add_record(p, &s, "a");
    err = plain_run(p, &s, PLAIN_SMALL, &answer);
    if (err < 0)
        return err;
    err = answer_record(p, &answer, ret, ret_target);
    shcmd_answer_done(&answer);
    return err;
}

/*
 * What find complained of while it listed. One name gone between readdir and lstat is no failure;
 * below the first level neither is a directory that may not be read. Anything else means that names
 * may be missing, and they must not be taken for removed.
 */
static int list_errors(const char *text, unsigned depth)
{
    char *copy = strdup(text), *save = NULL;
    int r = 0;

    if (!copy)
        return -ENOMEM;
    for (char *line = strtok_r(copy, "\n", &save); line && r == 0;
         line = strtok_r(NULL, "\n", &save)) {
        const int err = errtext_parse(line);

        if (err < 0 && err != -ENOENT && !(depth > 1 && (err == -EACCES || err == -EPERM)))
            r = err;
    }
    free(copy);
    return r;
}

static int answer_list(struct plain *p, struct shcmd_answer *a, unsigned depth, size_t max,
                       struct remote_list *ret)
{
    int r = plain_records(p, &a->part[0]);

    if (r < 0)
        return r;
    if (a->part[0].len == 0) {
        r = errtext_parse(a->text);
        return r < 0 ? r : -EIO;
    }
    r = record_decode_list(a->part[0].data, a->part[0].len, depth, max, p->temp_prefix, ret);
    if (r == -EBADMSG)
        return -EPROTO;
    if (r < 0)
        return r;
    r = list_errors(a->text, depth);
    if (r < 0)
        remote_list_done(ret);
    return r;
}

/* Of a. What comes beyond max says that there is more; head ends find early. */
static void add_list(struct plain *p, struct shcmd *s, unsigned depth, size_t max)
{
    if (p->records == PLAIN_RECORDS_STAT) {
        shcmd_set(s, "r", record_stat_script);
        shcmd_add(s, "find \"$a\" -maxdepth 1 -exec sh -c \"$r\" sh {} + | base64 >&3;");
    } else {
        shcmd_add(s, "find \"$a\" -maxdepth %u -printf \"%s\" | head -z -n %zu | base64 >&3;",
                  depth, RECORD_FORMAT, RECORD_FIELDS * (max + 2 + HIDDEN_MAX));
    }
}

int plain_list(struct remote *r, const char *path, unsigned depth, size_t max,
               struct remote_list *ret)
{
    struct plain *p = plain_of(r);
    struct shcmd_answer answer;
    struct shcmd s;
    int err;

    if (!p->full && depth > 1)
        return -EOPNOTSUPP;
    if (!p->records)
        return plain_api_list(p, path, max, ret);
    if (max > RECORD_ENTRIES_MAX)
        max = RECORD_ENTRIES_MAX;
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    add_list(p, &s, depth, max);
    err = plain_run(p, &s, PLAIN_LIST_MAX, &answer);
    if (err < 0)
        return err;
    err = answer_list(p, &answer, depth, max, ret);
    shcmd_answer_done(&answer);
    if (err == 0 && depth == 1 && p->full)
        plain_temp_sweep(p, path, ret);
    return err;
}

int plain_statfs(struct remote *r, const char *path, struct remote_statfs *ret)
{
    struct plain *p = plain_of(r);
    unsigned long long v[6];
    struct shcmd_answer answer;
    struct shcmd s;
    int err;

    if (!(p->info.caps & REMOTE_CAP_STATFS))
        return -EOPNOTSUPP;
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    shcmd_add(&s, "x=$(stat -f -c \"%%S %%b %%f %%a %%c %%d\" \"$a\")||exit 1;"
                  "echo \"$x\" | base64 >&3;");
    err = plain_run(p, &s, PLAIN_SMALL, &answer);
    if (err < 0)
        return err;
    err = shcmd_errno(&answer);
    if (err == 0 && sscanf(buf_str(&answer.part[0]), "%llu %llu %llu %llu %llu %llu", &v[0], &v[1],
                           &v[2], &v[3], &v[4], &v[5]) != 6)
        err = -EPROTO;
    if (err == 0)
        *ret = (struct remote_statfs){.block_size = v[0],
                                      .blocks = v[1],
                                      .blocks_free = v[2],
                                      .blocks_avail = v[3],
                                      .files = v[4],
                                      .files_free = v[5]};
    shcmd_answer_done(&answer);
    return err;
}
