/* git.c - the git calls, by the sandbox's own git program. */
#include "server/run.h"
#include "server/server_internal.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TIMEOUT_S = 600, ARGS_MAX = 14 };

struct git_json {
    char *url, *path, *username, *password, *branch, *commit_id, *name, *message, *author, *email;
    struct json_strings files;
    bool allow_empty;
    int64_t depth;
};
#define FIELD(member, type) JSON_FIELD(struct git_json, member, #member, type, JSON_LENIENT)
static const struct json_field fields[] = {
    FIELD(url, JSON_STRING),      FIELD(path, JSON_STRING),    FIELD(username, JSON_STRING),
    FIELD(password, JSON_STRING), FIELD(branch, JSON_STRING),  FIELD(commit_id, JSON_STRING),
    FIELD(name, JSON_STRING),     FIELD(message, JSON_STRING), FIELD(author, JSON_STRING),
    FIELD(email, JSON_STRING),    FIELD(files, JSON_STRINGS),  FIELD(allow_empty, JSON_BOOL),
    FIELD(depth, JSON_INT),
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

static void refuse(struct request *rq, int r, const struct buf *out)
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

/* Of a body or of the query. False: refused. What git would take for an option is not a value. */
static bool load(struct request *rq, struct git_json *g)
{
    char *const *values[] = {&g->url, &g->path, &g->branch, &g->commit_id, &g->name};
    const char *path = request_query(rq, "path");
    int r = 0;

    if (rq->body.len > 0)
        r = request_json(rq, fields, ARRAY_LEN(fields), g);
    if (r == 0 && path && !(g->path && *g->path)) {
        free(g->path);
        g->path = strdup(path);
    }
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(values); i++) {
        if (*values[i] && **values[i] == '-')
            r = -EINVAL;
    }
    if (r < 0 || !g->path || !*g->path) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: path is required");
        json_unload(fields, ARRAY_LEN(fields), g);
        return false;
    }
    return true;
}

static void unload(struct git_json *g)
{
    json_unload(fields, ARRAY_LEN(fields), g);
}

/* args: NULL-ended. in NULL: within the repository g->path. The exit code or -errno. */
static int git_in(struct request *rq, const struct git_json *g, const char *cwd,
                  const char *const *args, const struct buf *input, struct buf *out)
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
    const char *argv[ARGS_MAX + 4] = {"/usr/bin/git", "-c", helper};
    struct run_params params = {.argv = argv,
                                .env = &env,
                                .input = input ? buf_str(input) : "",
                                .input_len = input ? input->len : 0,
                                .timeout_ns = TIMEOUT_S * NS_PER_S};
    char *absolute = view_absolute(rq, cwd ? cwd : g->path);
    int r;

    for (size_t i = 0; i < ARGS_MAX && args[i]; i++)
        argv[3 + i] = args[i];
    params.cwd = absolute;
    r = absolute ? run_program(rq, &params, out) : -ENOMEM;
    free(absolute);
    return r;
}

#define GIT(rq, g, out, ...)                                                                       \
    git_in(rq, g, NULL, (const char *const[]){__VA_ARGS__, NULL}, NULL, out)

static void answer(struct request *rq, int r, struct buf *out, int status)
{
    if (r == 0)
        reply_status(rq, status);
    else
        refuse(rq, r, out);
    buf_done(out);
}

/* ---- the calls ---- */

void git_clone(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    char depth[32];
    const char *args[ARGS_MAX + 1] = {"clone", "-q"};
    size_t n = 2;
    int r;

    if (!load(rq, &g))
        return;
    if (!g.url || !*g.url) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: url is required");
        unload(&g);
        return;
    }
    if (g.branch && *g.branch) {
        args[n++] = "--branch";
        args[n++] = g.branch;
    }
    if (rq->srv->new_daemon && g.depth > 0) {
        snprintf(depth, sizeof(depth), "--depth=%lld", (long long)g.depth);
        args[n++] = depth;
    }
    args[n++] = "--";
    args[n++] = g.url;
    args[n++] = g.path;
    r = git_in(rq, &g, view_work_dir(rq), args, NULL, &out);
    if (r == 0 && g.commit_id && *g.commit_id) {
        buf_done(&out);
        r = GIT(rq, &g, &out, "checkout", "-q", g.commit_id);
    }
    answer(rq, r, &out, 200);
    unload(&g);
}

struct word {
    char letter;
    const char *text;
};
static const struct word words[] = {
    {'.', "Unmodified"}, {'?', "Untracked"}, {'M', "Modified"},
    {'T', "Modified"},   {'A', "Added"},     {'D', "Deleted"},
    {'R', "Renamed"},    {'C', "Copied"},    {'U', "Updated but unmerged"}};

static const char *word_of(char letter)
{
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (words[i].letter == letter)
            return words[i].text;
    }
    return "Modified";
}

static void put_status_file(struct json_out *o, const char *name, const char *extra, char staging,
                            char worktree)
{
    json_open(o, '{');
    json_key(o, "name");
    json_string(o, name);
    json_key(o, "extra");
    json_string(o, extra);
    json_key(o, "staging");
    json_string(o, word_of(staging));
    json_key(o, "worktree");
    json_string(o, word_of(worktree));
    json_close(o, '}');
}

struct branch_state {
    char head[256];
    long ahead, behind;
    bool published;
};

static const char *skip_fields(const char *line, int count)
{
    for (; count > 0 && line; count--) {
        line = strchr(line, ' ');
        line = line ? line + 1 : NULL;
    }
    return line ? line : "";
}

/* `git status --porcelain=v2 --branch -z`: entries end in NUL, a rename's has the old name next. */
static void put_status(struct json_out *o, const struct buf *out, struct branch_state *b)
{
    const char *end = buf_str(out) + out->len;

    for (const char *p = buf_str(out); p < end; p += strlen(p) + 1) {
        const char kind = *p;

        if (strncmp(p, "# branch.head ", 14) == 0)
            snprintf(b->head, sizeof(b->head), "%s", p + 14);
        else if (strncmp(p, "# branch.ab ", 12) == 0)
            b->published = sscanf(p + 12, "+%ld -%ld", &b->ahead, &b->behind) == 2;
        else if (kind == '?')
            put_status_file(o, skip_fields(p, 1), "", '?', '?');
        else if (kind == '1' && strlen(p) > 4)
            put_status_file(o, skip_fields(p, 8), "", p[2], p[3]);
        else if (kind == 'u' && strlen(p) > 4)
            put_status_file(o, skip_fields(p, 10), "", 'U', 'U');
        else if (kind == '2' && strlen(p) > 4 && p + strlen(p) + 1 < end) {
            put_status_file(o, skip_fields(p, 9), p + strlen(p) + 1, p[2], p[3]);
            p += strlen(p) + 1;
        }
    }
}

void git_status(struct request *rq)
{
    struct branch_state b = {.head = ""};
    struct git_json g = {0};
    struct buf out = {0};
    struct json_out o;
    int r;

    if (!load(rq, &g))
        return;
    r = GIT(rq, &g, &out, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all");
    if (r != 0) {
        refuse(rq, r, &out);
    } else {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "fileStatus");
        json_open(&o, '[');
        put_status(&o, &out, &b);
        json_close(&o, ']');
        json_key(&o, "currentBranch");
        json_string(&o, b.head);
        json_key(&o, "ahead");
        json_int(&o, b.ahead);
        json_key(&o, "behind");
        json_int(&o, b.behind);
        json_key(&o, "branchPublished");
        json_bool(&o, b.published);
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(&out);
    unload(&g);
}

void git_branches(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    struct json_out o;
    char *save = NULL;
    int r;

    if (!load(rq, &g))
        return;
    r = GIT(rq, &g, &out, "for-each-ref", "--format=%(refname:short)", "refs/heads");
    if (r != 0) {
        refuse(rq, r, &out);
    } else {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "branches");
        json_open(&o, '[');
        for (char *p = out.data ? strtok_r(out.data, "\n", &save) : NULL; p;
             p = strtok_r(NULL, "\n", &save))
            json_string(&o, p);
        json_close(&o, ']');
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(&out);
    unload(&g);
}

/* The simple ones: a command with values of the body. */
enum simple { CREATE, REMOVE, CHECKOUT, ADD, PUSH, PULL };

static int run_simple(struct request *rq, enum simple what, const struct git_json *g,
                      struct buf *out)
{
    static const char *const add[] = {"add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul",
                                      NULL};
    struct buf names = BUF_INIT(BODY_MAX);
    int r = 0;

    switch (what) {
    case CREATE:
        return GIT(rq, g, out, "checkout", "-q", "-b", g->name ? g->name : "");
    case REMOVE:
        return GIT(rq, g, out, "branch", "-q", "-D", "--", g->name ? g->name : "");
    case CHECKOUT:
        return GIT(rq, g, out, "checkout", "-q", g->branch ? g->branch : "", "--");
    case PUSH:
        return GIT(rq, g, out, "push", "-q", "origin", "HEAD");
    case PULL:
        return GIT(rq, g, out, "pull", "-q", "--ff-only");
    case ADD:
        break;
    }
    for (size_t i = 0; r == 0 && i < g->files.count; i++)
        r = buf_append(&names, g->files.list[i], strlen(g->files.list[i]) + 1);
    if (r == 0)
        r = git_in(rq, g, NULL, add, &names, out);
    buf_done(&names);
    return r;
}

static void simple(struct request *rq, enum simple what, int status)
{
    struct git_json g = {0};
    struct buf out = {0};

    if (!load(rq, &g))
        return;
    answer(rq, run_simple(rq, what, &g, &out), &out, status);
    unload(&g);
}

void git_branch_create(struct request *rq)
{
    simple(rq, CREATE, 201);
}

void git_branch_remove(struct request *rq)
{
    simple(rq, REMOVE, 204);
}

void git_checkout(struct request *rq)
{
    simple(rq, CHECKOUT, 200);
}

void git_add(struct request *rq)
{
    simple(rq, ADD, 200);
}

void git_push(struct request *rq)
{
    simple(rq, PUSH, 200);
}

void git_pull(struct request *rq)
{
    simple(rq, PULL, 200);
}

void git_commit(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0}, author = BUF_INIT(4096);
    struct json_out o;
    int r;

    if (!load(rq, &g))
        return;
    r = buf_printf(&author, "--author=%s <%s>", g.author ? g.author : "", g.email ? g.email : "");
    if (r == 0)
        r = GIT(rq, &g, &out, "commit", "-q", buf_str(&author), "-m", g.message ? g.message : "",
                g.allow_empty ? "--allow-empty" : "-q");
    if (r == 0) {
        buf_done(&out);
        r = GIT(rq, &g, &out, "rev-parse", "HEAD");
    }
    if (r != 0) {
        refuse(rq, r, &out);
    } else {
        buf_truncate(&out, strcspn(buf_str(&out), "\n"));
        out.data[out.len] = '\0';
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "hash");
        json_string(&o, buf_str(&out));
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(&out);
    buf_done(&author);
    unload(&g);
}
