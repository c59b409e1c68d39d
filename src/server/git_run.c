/* git_run.c - git in a sandbox: what a body says, the program, and what its failures mean. */
#include "server/git_internal.h"
#include "server/run.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TIMEOUT_S = 600 };

#define FIELD(member, type) JSON_FIELD(struct git_json, member, #member, type, JSON_LENIENT)
static const struct json_field fields[] = {
    FIELD(url, JSON_STRING),      FIELD(path, JSON_STRING),           FIELD(username, JSON_STRING),
    FIELD(password, JSON_STRING), FIELD(branch, JSON_STRING),         FIELD(commit_id, JSON_STRING),
    FIELD(name, JSON_STRING),     FIELD(message, JSON_STRING),        FIELD(author, JSON_STRING),
    FIELD(email, JSON_STRING),    FIELD(files, JSON_STRINGS),         FIELD(allow_empty, JSON_BOOL),
    FIELD(depth, JSON_INT),       FIELD(initial_branch, JSON_STRING), FIELD(mode, JSON_STRING),
    FIELD(target, JSON_STRING),   FIELD(source, JSON_STRING),         FIELD(remote, JSON_STRING),
    FIELD(key, JSON_STRING),      FIELD(value, JSON_STRING),          FIELD(scope, JSON_STRING),
    FIELD(host, JSON_STRING),     FIELD(protocol, JSON_STRING),       FIELD(bare, JSON_BOOL),
    FIELD(fetch, JSON_BOOL),      FIELD(overwrite, JSON_BOOL),        FIELD(staged, JSON_BOOL),
    FIELD(worktree, JSON_BOOL),   FIELD(set_upstream, JSON_BOOL),
};
#undef FIELD

/* ---- errors ---- */

struct failure {
    const char *text; /* what git says */
    int status;
    const char *code;
};
static const struct failure failures[] = {
    {"Authentication failed", 401, "UNAUTHORIZED"},
    {"could not read Username", 401, "UNAUTHORIZED"},
    {"could not read Password", 401, "UNAUTHORIZED"},
    {"error: 403", 403, "FORBIDDEN"},
    {"already exists", 409, "CONFLICT"},
    {"would be overwritten", 409, "CONFLICT"},
    {"non-fast-forward", 409, "CONFLICT"},
    {"fetch first", 409, "CONFLICT"},
    {"CONFLICT", 409, "CONFLICT"},
    {"Not possible to fast-forward", 409, "CONFLICT"},
    {"nothing to commit", 409, "CONFLICT"},
    {"nothing added to commit", 409, "CONFLICT"},
    {"no changes added to commit", 409, "CONFLICT"},
    {"not a git repository", 404, "NOT_FOUND"},
    {"does not appear to be a git repository", 404, "NOT_FOUND"},
    {"does not exist", 404, "NOT_FOUND"},
    {"epository not found", 404, "NOT_FOUND"},
    {"did not match any", 404, "NOT_FOUND"},
    {"not found", 404, "NOT_FOUND"},
    {"No such file or directory", 404, "NOT_FOUND"},
    {"invalid reference", 404, "NOT_FOUND"},
    {"unknown revision", 404, "NOT_FOUND"},
};

void git_refuse(struct request *rq, int r, const struct buf *out)
{
    const char *text = r < 0 ? strerror(-r) : buf_str(out);

    for (size_t i = 0; i < ARRAY_LEN(failures); i++) {
        if (strstr(text, failures[i].text)) {
            if (failures[i].status == 401) /* the words by which clients tell it from their key */
                text = "unauthorized: authentication required";
            reply_error(rq, failures[i].status, failures[i].code, "%.400s", text);
            return;
        }
    }
    reply_error(rq, 500, "INTERNAL_SERVER_ERROR", "%.400s", text);
}

/* ---- running git ---- */

static bool load(struct request *rq, struct git_json *g, bool need_path)
{
    char **const values[] = {&g->url, &g->path,   &g->branch, &g->commit_id,      &g->name,
                             &g->key, &g->target, &g->source, &g->initial_branch, &g->remote};
    char **const of_query[] = {&g->path, &g->key, &g->scope};
    static const char *const query_keys[] = {"path", "key", "scope"};
    int r = 0;

    if (rq->body.len > 0)
        r = request_json(rq, fields, ARRAY_LEN(fields), g);
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(of_query); i++) {
        const char *value = request_query(rq, query_keys[i]);

        if (value && !(*of_query[i] && **of_query[i])) {
            free(*of_query[i]);
            *of_query[i] = strdup(value);
        }
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(values); i++) {
        if (*values[i] && **values[i] == '-')
            r = -EINVAL;
    }
    if (r == 0 && (!need_path || (g->path && *g->path)))
        return true;
    reply_error(rq, 400, "BAD_REQUEST", "bad request: path is required");
    git_unload(g);
    return false;
}

bool git_load(struct request *rq, struct git_json *g)
{
    return load(rq, g, true);
}

bool git_load_anywhere(struct request *rq, struct git_json *g)
{
    return load(rq, g, false);
}

void git_unload(struct git_json *g)
{
    json_unload(fields, ARRAY_LEN(fields), g);
}

int git_in(struct request *rq, const struct git_json *g, const char *cwd, const char *const *args,
           const struct buf *input, struct buf *out)
{
    /* Credentials are in the environment, where other users' ps does not show them. */
    static const char helper[] =
        "credential.helper=!f() { test \"$1\" = get && test -n \"$DAYTONA_GIT_USER\" && "
        "printf 'username=%s\\npassword=%s\\n' \"$DAYTONA_GIT_USER\" \"$DAYTONA_GIT_PASSWORD\"; }; "
        "f";
    const struct json_pair list[] = {
        {(char *)"GIT_TERMINAL_PROMPT", (char *)"0"},
        {(char *)"LC_ALL", (char *)"C.UTF-8"},
        {(char *)"LANGUAGE", (char *)"C"},
        {(char *)"DAYTONA_GIT_USER", g->username ? g->username : (char *)""},
        {(char *)"DAYTONA_GIT_PASSWORD", g->password ? g->password : (char *)""},
        {(char *)"GIT_COMMITTER_NAME", g->author && *g->author ? g->author : (char *)"daytona"},
        {(char *)"GIT_COMMITTER_EMAIL",
         g->email && *g->email ? g->email : (char *)"daytona@localhost"},
    };
    const struct json_pairs env = {.list = (struct json_pair *)list, .count = ARRAY_LEN(list)};
    const char *argv[GIT_ARGS_MAX + 4] = {"/usr/bin/git", "-c", helper};
    struct run_params params = {.argv = argv,
                                .env = &env,
                                .input = input ? buf_str(input) : "",
                                .input_len = input ? input->len : 0,
                                .timeout_ns = TIMEOUT_S * NS_PER_S};
    char *absolute = view_absolute(rq, cwd ? cwd : g->path);
    int r;

    for (size_t i = 0; i < GIT_ARGS_MAX && args[i]; i++)
        argv[3 + i] = args[i];
    params.cwd = absolute;
    r = absolute ? run_program(rq, &params, out) : -ENOMEM;
    free(absolute);
    return r;
}

void git_answer(struct request *rq, int r, struct buf *out, int status)
{
    if (r == 0)
        reply_status(rq, status);
    else
        git_refuse(rq, r, out);
    buf_done(out);
}

void git_answer_lines(struct request *rq, int r, struct buf *out, const char *key,
                      void (*put)(struct json_out *o, char *line))
{
    struct json_out o;
    char *save = NULL;

    if (r != 0) {
        git_refuse(rq, r, out);
    } else {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, key);
        json_open(&o, '[');
        for (char *line = out->data ? strtok_r(out->data, "\n", &save) : NULL; line;
             line = strtok_r(NULL, "\n", &save))
            put(&o, line);
        json_close(&o, ']');
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(out);
}

int git_name_files(const struct git_json *g, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < g->files.count; i++)
        r = buf_append(out, g->files.list[i], strlen(g->files.list[i]) + 1);
    return r;
}
