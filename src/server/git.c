/* git.c - the git calls, by the sandbox's own git program. */
#include "server/git_internal.h"

#include "util/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- the calls ---- */

void git_clone(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    char depth[32];
    const char *args[GIT_ARGS_MAX + 1] = {"clone", "-q"};
    size_t n = 2;
    int r;

    if (!git_load(rq, &g))
        return;
    if (!g.url || !*g.url) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: url is required");
        git_unload(&g);
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
    git_answer(rq, r, &out, 200);
    git_unload(&g);
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
    char head[256], upstream[256];
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
        else if (strncmp(p, "# branch.upstream ", 18) == 0)
            snprintf(b->upstream, sizeof(b->upstream), "%s", p + 18);
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

    if (!git_load(rq, &g))
        return;
    r = GIT(rq, &g, &out, "status", "--porcelain=v2", "--branch", "-z", "--untracked-files=all");
    if (r != 0) {
        git_refuse(rq, r, &out);
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
        if (rq->srv->new_daemon) {
            json_key(&o, "detached");
            json_bool(&o, strcmp(b.head, "(detached)") == 0);
            json_key(&o, "upstream");
            json_string(&o, b.upstream);
        }
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    buf_done(&out);
    git_unload(&g);
}

static void put_branch(struct json_out *o, char *line)
{
    json_string(o, line);
}

void git_branches(struct request *rq)
{
    struct git_json g = {0};
    struct buf out = {0};
    int r;

    if (!git_load(rq, &g))
        return;
    r = GIT(rq, &g, &out, "for-each-ref", "--format=%(refname:short)", "refs/heads");
    git_answer_lines(rq, r, &out, "branches", put_branch);
    git_unload(&g);
}

/* The simple ones: a command with values of the body. */
enum simple { CREATE, REMOVE, CHECKOUT, ADD, PUSH, PULL };

static const char *given(const char *value, const char *otherwise)
{
    return value && *value ? value : otherwise && *otherwise ? otherwise : NULL;
}

static int run_simple(struct request *rq, enum simple what, const struct git_json *g,
                      struct buf *out)
{
    static const char *const add[] = {"add", "-A", "--pathspec-from-file=-", "--pathspec-file-nul",
                                      NULL};
    struct buf names = BUF_INIT(BODY_MAX);
    int r;

    switch (what) {
    case CREATE:
        return GIT(rq, g, out, "checkout", "-q", "-b", g->name ? g->name : "");
    case REMOVE:
        return GIT(rq, g, out, "branch", "-q", "-D", "--", g->name ? g->name : "");
    case CHECKOUT:
        return GIT(rq, g, out, "checkout", "-q", g->branch ? g->branch : "", "--");
    case PUSH:
        return GIT(rq, g, out, "push", "-q", g->set_upstream ? "-u" : "-q",
                   given(g->remote, "origin"), given(g->branch, "HEAD"));
    case PULL:
        if (given(g->remote, g->branch))
            return GIT(rq, g, out, "pull", "-q", "--ff-only", given(g->remote, "origin"),
                       given(g->branch, "HEAD"));
        return GIT(rq, g, out, "pull", "-q", "--ff-only");
    case ADD:
        break;
    }
    r = git_name_files(g, &names);
    if (r == 0)
        r = git_in(rq, g, NULL, add, &names, out);
    buf_done(&names);
    return r;
}

static void simple(struct request *rq, enum simple what, int status)
{
    struct git_json g = {0};
    struct buf out = {0};

    if (!git_load(rq, &g))
        return;
    git_answer(rq, run_simple(rq, what, &g, &out), &out, status);
    git_unload(&g);
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

    if (!git_load(rq, &g))
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
        git_refuse(rq, r, &out);
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
    git_unload(&g);
}
