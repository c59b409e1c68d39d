/* git_more.c - the git calls that newer daemons have, and the history. */
#include "server/git_internal.h"

#include "util/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_set(const char *s)
{
    return s && *s;
}

static void bad(struct request *rq, struct git_json *g, const char *what)
{
    reply_error(rq, 400, "BAD_REQUEST", "bad request: %s", what);
    git_unload(g);
}

/* ---- history ---- */

enum { FIELDS = 5 }; /* hash, author, email, time, message: each ended by NUL */

static void put_commits(struct json_out *o, const struct buf *out)
{
    static const char *const keys[FIELDS] = {"hash", "author", "email", "timestamp", "message"};
    const char *p = buf_str(out), *const end = p + out->len;

    json_open(o, '[');
    while (p < end) {
        json_open(o, '{');
        for (size_t i = 0; i < FIELDS && p < end; i++) {
            json_key(o, keys[i]);
            json_string(o, p);
            p += strlen(p) + 1;
        }
        json_close(o, '}');
    }
    json_close(o, ']');
}

void git_history(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    struct json_out o;
    int r;

    if (!git_load(rq, &g))
        return;
    r = GIT(rq, &g, &out, "log", "-z", "--format=%H%x00%an%x00%ae%x00%aI%x00%B");
    if (r != 0) {
        git_refuse(rq, r, &out);
    } else {
        o = reply_json(rq, 200);
        put_commits(&o, &out);
        reply_json_end(rq, &o);
    }
    buf_done(&out);
    git_unload(&g);
}

/* ---- repositories ---- */

void git_init(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    const char *args[GIT_ARGS_MAX + 1] = {"init", "-q"};
    size_t n = 2;
    char branch[300];
    int r;

    if (!git_load(rq, &g))
        return;
    if (g.bare)
        args[n++] = "--bare";
    if (is_set(g.initial_branch)) {
        snprintf(branch, sizeof(branch), "--initial-branch=%s", g.initial_branch);
        args[n++] = branch;
    }
    args[n++] = "--";
    args[n++] = g.path;
    r = git_in(rq, &g, view_work_dir(rq), args, NULL, &out);
    git_answer(rq, r, &out, 201);
    git_unload(&g);
}

static const char *const reset_modes[] = {"soft", "mixed", "hard", "merge", "keep"};

void git_reset(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0}, names = BUF_INIT(BODY_MAX);
    char mode[16] = "--mixed";
    bool known = false;
    int r;

    if (!git_load(rq, &g))
        return;
    for (size_t i = 0; is_set(g.mode) && i < ARRAY_LEN(reset_modes); i++)
        known = known || strcmp(g.mode, reset_modes[i]) == 0;
    if (is_set(g.mode) && !known) {
        bad(rq, &g, "mode is not one of soft, mixed, hard, merge, keep");
        return;
    }
    if (known)
        snprintf(mode, sizeof(mode), "--%s", g.mode);
    r = git_name_files(&g, &names);
    if (r == 0 && g.files.count > 0)
        r = git_in(rq, &g, NULL,
                   (const char *const[]){"reset", "-q", "--pathspec-from-file=-",
                                         "--pathspec-file-nul",
                                         is_set(g.target) ? g.target : "HEAD", NULL},
                   &names, &out);
    else if (r == 0)
        r = GIT(rq, &g, &out, "reset", "-q", mode, is_set(g.target) ? g.target : "HEAD", "--");
    git_answer(rq, r, &out, 200);
    buf_done(&names);
    git_unload(&g);
}

void git_restore(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0}, names = BUF_INIT(BODY_MAX);
    const char *args[GIT_ARGS_MAX + 1] = {"restore", "-q", "--pathspec-from-file=-",
                                          "--pathspec-file-nul"};
    char source[300];
    size_t n = 4;
    int r;

    if (!git_load(rq, &g))
        return;
    if (g.files.count == 0) {
        bad(rq, &g, "files are required");
        return;
    }
    if (g.staged)
        args[n++] = "--staged";
    if (g.worktree || !g.staged)
        args[n++] = "--worktree";
    if (is_set(g.source)) {
        snprintf(source, sizeof(source), "--source=%s", g.source);
        args[n++] = source;
    }
    r = git_name_files(&g, &names);
    if (r == 0)
        r = git_in(rq, &g, NULL, args, &names, &out);
    git_answer(rq, r, &out, 200);
    buf_done(&names);
    git_unload(&g);
}

/* ---- remotes ---- */

/* "NAME<TAB>URL (fetch)", and the same for push. */
static void put_remote(struct json_out *o, char *line)
{
    char *url = strchr(line, '\t'), *end = strstr(line, " (fetch)");

    if (!url || !end)
        return;
    *url++ = *end = '\0';
    json_open(o, '{');
    json_key(o, "name");
    json_string(o, line);
    json_key(o, "url");
    json_string(o, url);
    json_close(o, '}');
}

void git_remotes(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    int r;

    if (!git_load(rq, &g))
        return;
    r = GIT(rq, &g, &out, "remote", "-v");
    git_answer_lines(rq, r, &out, "remotes", put_remote);
    git_unload(&g);
}

void git_remote_add(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    int r;

    if (!git_load(rq, &g))
        return;
    if (!is_set(g.name) || !is_set(g.url)) {
        bad(rq, &g, "name and url are required");
        return;
    }
    r = g.overwrite ? GIT(rq, &g, &out, "remote", "remove", "--", g.name) : 0;
    if (r >= 0) { /* there may have been none */
        buf_done(&out);
        r = GIT(rq, &g, &out, "remote", "add", "--", g.name, g.url);
    }
    if (r == 0 && g.fetch) {
        buf_done(&out);
        r = GIT(rq, &g, &out, "fetch", "-q", "--", g.name);
    }
    git_answer(rq, r, &out, 201);
    git_unload(&g);
}

/* ---- settings ---- */

/* The place of a setting; NULL: refused. Without a repository it is the user's. */
static const char *scope_of(struct request *rq, struct git_json *g)
{
    static const char *const scopes[][2] = {
        {"local", "--local"}, {"global", "--global"}, {"system", "--system"}};

    if (!is_set(g->scope))
        return is_set(g->path) ? "--local" : "--global";
    for (size_t i = 0; i < ARRAY_LEN(scopes); i++) {
        if (strcmp(g->scope, scopes[i][0]) == 0 && (i > 0 || is_set(g->path)))
            return scopes[i][1];
    }
    bad(rq, g, "scope is not local (with a path), global or system");
    return NULL;
}

static int in_place(struct request *rq, const struct git_json *g, const char *const *args,
                    struct buf *out)
{
    return git_in(rq, g, is_set(g->path) ? NULL : view_work_dir(rq), args, NULL, out);
}

void git_config_get(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    struct json_out o;
    const char *scope;
    int r;

    if (!git_load_anywhere(rq, &g))
        return;
    if (!is_set(g.key)) {
        bad(rq, &g, "key is required");
        return;
    }
    scope = scope_of(rq, &g);
    if (!scope)
        return;
    r = in_place(rq, &g, (const char *const[]){"config", scope, "--get", g.key, NULL}, &out);
    if (r != 0 && r != 1) { /* 1: it is not set */
        git_refuse(rq, r, &out);
    } else {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "value");
        if (r == 0) {
            buf_truncate(&out, out.len - (out.len > 0));
            json_bytes(&o, buf_str(&out), out.len);
        } else {
            json_null(&o);
        }
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(&out);
    git_unload(&g);
}

static void set_config(struct request *rq, struct git_json *g, const char *const pairs[][2],
                       size_t count)
{
    struct buf out = {0};
    const char *scope = scope_of(rq, g);
    int r = 0;

    if (!scope)
        return;
    for (size_t i = 0; r == 0 && i < count; i++) {
        buf_done(&out);
        r = in_place(rq, g, (const char *const[]){"config", scope, pairs[i][0], pairs[i][1], NULL},
                     &out);
    }
    git_answer(rq, r, &out, 200);
    git_unload(g);
}

void git_config_set(struct request *rq)
{
    struct git_json g = {0};

    if (!git_load_anywhere(rq, &g))
        return;
    if (is_set(g.key) && g.value)
        set_config(rq, &g, (const char *const[][2]){{g.key, g.value}}, 1);
    else
        bad(rq, &g, "key and value are required");
}

void git_config_user(struct request *rq)
{
    struct git_json g = {0};

    if (!git_load_anywhere(rq, &g))
        return;
    if (is_set(g.name) && is_set(g.email))
        set_config(rq, &g, (const char *const[][2]){{"user.name", g.name}, {"user.email", g.email}},
                   2);
    else
        bad(rq, &g, "name and email are required");
}

void git_credentials(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0}, line = BUF_INIT(64 << 10);
    int r;

    if (!git_load_anywhere(rq, &g))
        return;
    if (!is_set(g.username) || !is_set(g.password) || strpbrk(g.username, "\r\n") ||
        strpbrk(g.password, "\r\n")) {
        bad(rq, &g, "username and password are required");
        return;
    }
    r = buf_printf(&line, "protocol=%s\nhost=%s\nusername=%s\npassword=%s\n",
                   is_set(g.protocol) ? g.protocol : "https",
                   is_set(g.host) ? g.host : "github.com", g.username, g.password);
    if (r == 0)
        r = git_in(rq, &g, view_work_dir(rq),
                   (const char *const[]){"config", "--global", "credential.helper", "store", NULL},
                   NULL, &out);
    buf_done(&out);
    if (r == 0)
        r = git_in(rq, &g, view_work_dir(rq),
                   (const char *const[]){"credential-store", "store", NULL}, &line, &out);
    git_answer(rq, r, &out, 200);
    buf_done(&line);
    git_unload(&g);
}
