/* Git through the daemon. Bodies may hold passwords: they are wiped when they have been sent. */
#include "sdk/error.h"
#include "sdk/git_call.h"

#include "util/array.h"
#include "wire/json.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { ANSWER_MAX = 256 << 20 };

_Static_assert(sizeof(struct daytona_strings) == sizeof(struct json_strings) &&
                   offsetof(struct daytona_strings, count) == offsetof(struct json_strings, count),
               "the public list of strings is read as json.h's");

void daytona_strings_done(struct daytona_strings *strings)
{
    json_strings_done((struct json_strings *)strings);
}

/* --- requests: an object of strings, and a few others */

void git_put(struct json_out *o, const struct git_member *members, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (members[i].value) {
            json_key(o, members[i].key);
            json_string(o, members[i].value);
        }
    }
}

void git_put_true(struct json_out *o, const char *key, bool value)
{
    if (value) {
        json_key(o, key);
        json_bool(o, true);
    }
}

void git_put_login(struct json_out *o, const struct daytona_git_login *login)
{
    if (login)
        git_put(o,
                (const struct git_member[]){{"username", login->username},
                                            {"password", login->password}},
                2);
}

void git_put_files(struct json_out *o, const char *const *files, size_t count)
{
    const struct json_strings list = {(char **)files, count};

    if (count > 0) {
        json_key(o, "files");
        json_strings(o, &list);
    }
}

struct call git_call(const char *name, const char *method, const char *path)
{
    return (struct call){
        .name = name,
        .method = method,
        .path = path,
        /* what changes a repository is not repeated, by no proxy either; servers may be slow */
        .flags = strcmp(method, "GET") == 0 ? HTTP_IDEMPOTENT | HTTP_NO_STALL
                                            : HTTP_CHUNKED | HTTP_NO_STALL,
        .body_max = ANSWER_MAX,
        .json_errors = true,
    };
}

int git_finish(struct daytona_sandbox *sb, struct call *call, struct json_out *o,
               struct http_response *ret)
{
    int r;

    json_close(o, '}');
    r = error_default(o->err);
    call->json = o->buf->data;
    call->json_len = o->buf->len;
    if (r == 0)
        r = ret ? call_toolbox(sb, call, ret) : call_toolbox_only(sb, call);
    if (o->buf->data)
        explicit_bzero(o->buf->data, o->buf->cap);
    buf_done(o->buf);
    return r;
}

int git_post(struct daytona_sandbox *sb, const char *name, const char *method, const char *path,
             const struct git_member *members, size_t count, const struct daytona_git_login *login)
{
    struct call call = git_call(name, method, path);
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin(name);
    json_open(&o, '{');
    git_put(&o, members, count);
    git_put_login(&o, login);
    return git_finish(sb, &call, &o, NULL);
}
int daytona_git_clone(struct daytona_sandbox *sb, const struct daytona_git_clone *c)
{
    const struct git_member members[] = {
        {"url", c->url}, {"path", c->path}, {"branch", c->branch}, {"commit_id", c->commit_id}};
    struct call call = git_call("cloneRepository", "POST", "/git/clone");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin("cloneRepository");
    json_open(&o, '{');
    git_put(&o, members, ARRAY_LEN(members));
    git_put_login(&o, c->login);
    git_put_true(&o, "insecure_skip_tls", c->insecure_skip_tls);
    if (c->depth > 0) {
        json_key(&o, "depth");
        json_int(&o, c->depth);
    }
    return git_finish(sb, &call, &o, NULL);
}

int daytona_git_create_branch(struct daytona_sandbox *sb, const char *path, const char *name)
{
    return GIT_POST(sb, "createBranch", "POST", "/git/branches", NULL, {"path", path},
                    {"name", name});
}

int daytona_git_delete_branch(struct daytona_sandbox *sb, const char *path, const char *name)
{
    return GIT_POST(sb, "deleteBranch", "DELETE", "/git/branches", NULL, {"path", path},
                    {"name", name});
}

int daytona_git_checkout(struct daytona_sandbox *sb, const char *path, const char *branch)
{
    return GIT_POST(sb, "checkoutBranch", "POST", "/git/checkout", NULL, {"path", path},
                    {"branch", branch});
}

int daytona_git_push(struct daytona_sandbox *sb, const char *path,
                     const struct daytona_git_login *login)
{
    return GIT_POST(sb, "pushChanges", "POST", "/git/push", login, {"path", path});
}

int daytona_git_pull(struct daytona_sandbox *sb, const char *path,
                     const struct daytona_git_login *login)
{
    return GIT_POST(sb, "pullChanges", "POST", "/git/pull", login, {"path", path});
}

int daytona_git_add(struct daytona_sandbox *sb, const char *path, const char *const *files,
                    size_t count)
{
    const struct git_member members[] = {{"path", path}};
    struct call call = git_call("addFiles", "POST", "/git/add");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin("addFiles");
    json_open(&o, '{');
    git_put(&o, members, 1);
    git_put_files(&o, files, count);
    return git_finish(sb, &call, &o, NULL);
}

struct hash {
    char *hash;
};

int daytona_git_commit(struct daytona_sandbox *sb, const struct daytona_git_commit *c,
                       char **ret_hash)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct hash, hash, "hash", JSON_STRING, JSON_REQUIRED),
    };
    const struct git_member members[] = {
        {"path", c->path}, {"message", c->message}, {"author", c->author}, {"email", c->email}};
    struct call call = git_call("commitChanges", "POST", "/git/commit");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};
    struct http_response response;
    struct hash hash = {0};
    int r;

    error_begin("commitChanges");
    json_open(&o, '{');
    git_put(&o, members, ARRAY_LEN(members));
    git_put_true(&o, "allow_empty", c->allow_empty);
    r = git_finish(sb, &call, &o, &response);
    if (r < 0)
        return r;
    r = json_read(buf_str(&response.body), response.body.len, fields, ARRAY_LEN(fields), &hash);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r == 0 && ret_hash)
        *ret_hash = hash.hash;
    else
        free(hash.hash);
    return r;
}

/* --- answers */

#define FILE_FIELD(member, key)                                                                    \
    JSON_FIELD(struct daytona_git_file, member, key, JSON_STRING, JSON_LENIENT)

static const struct json_field file_fields[] = {
    FILE_FIELD(name, "name"),
    FILE_FIELD(extra, "extra"),
    FILE_FIELD(staging, "staging"),
    FILE_FIELD(worktree, "worktree"),
};
static const struct json_shape file_shape = {
    .fields = file_fields,
    .count = ARRAY_LEN(file_fields),
    .size = sizeof(struct daytona_git_file),
};

#define STATUS_FIELD(member, key, type)                                                            \
    JSON_FIELD(struct daytona_git_status, member, key, type, JSON_LENIENT)

static const struct json_field status_fields[] = {
    STATUS_FIELD(current_branch, "currentBranch", JSON_STRING),
    STATUS_FIELD(ahead, "ahead", JSON_INT),
    STATUS_FIELD(behind, "behind", JSON_INT),
    STATUS_FIELD(branch_published, "branchPublished", JSON_BOOL),
    STATUS_FIELD(detached, "detached", JSON_BOOL),
    STATUS_FIELD(upstream, "upstream", JSON_STRING),
};

#define COMMIT_FIELD(member, key, flags)                                                           \
    JSON_FIELD(struct daytona_git_commit_info, member, key, JSON_STRING, flags)

static const struct json_field commit_fields[] = {
    COMMIT_FIELD(hash, "hash", JSON_REQUIRED),
    COMMIT_FIELD(author, "author", JSON_LENIENT),
    COMMIT_FIELD(email, "email", JSON_LENIENT),
    COMMIT_FIELD(message, "message", JSON_LENIENT),
    COMMIT_FIELD(timestamp, "timestamp", JSON_LENIENT),
};
static const struct json_shape commit_shape = {
    .fields = commit_fields,
    .count = ARRAY_LEN(commit_fields),
    .size = sizeof(struct daytona_git_commit_info),
};

void daytona_git_status_done(struct daytona_git_status *status)
{
    json_free_list(&file_shape, status->files, status->file_count);
    json_unload(status_fields, ARRAY_LEN(status_fields), status);
    *status = (struct daytona_git_status){0};
}

void daytona_git_history_free(struct daytona_git_commit_info *list, size_t count)
{
    json_free_list(&commit_shape, list, count);
}

int daytona_git_status(struct daytona_sandbox *sb, const char *path, struct daytona_git_status *ret)
{
    struct call call = git_call("getStatus", "GET", "/git/status");
    struct daytona_git_status status = {0};
    struct http_response response;
    int r;

    error_begin("getStatus");
    call.query[0].key = "path";
    call.query[0].value = path;
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = json_read(buf_str(&response.body), response.body.len, status_fields,
                  ARRAY_LEN(status_fields), &status);
    if (r == 0)
        r = json_read_list(buf_str(&response.body), response.body.len, "fileStatus", &file_shape,
                           (void **)&status.files, &status.file_count);
    if (r < 0) {
        call_garbled(r, &response);
        daytona_git_status_done(&status);
    } else {
        *ret = status;
    }
    http_response_done(&response);
    return r;
}

int daytona_git_history(struct daytona_sandbox *sb, const char *path,
                        struct daytona_git_commit_info **ret, size_t *ret_count)
{
    struct call call = git_call("getCommitHistory", "GET", "/git/history");

    error_begin("getCommitHistory");
    call.query[0].key = "path";
    call.query[0].value = path;
    return call_toolbox_list(sb, &call, NULL, &commit_shape, (void **)ret, ret_count);
}

int daytona_git_branches(struct daytona_sandbox *sb, const char *path, struct daytona_strings *ret)
{
    static const struct json_field fields[] = {
        {.key = "branches", .type = JSON_STRINGS},
    };
    struct call call = git_call("listBranches", "GET", "/git/branches");
    struct json_strings branches = {0};
    int r;

    error_begin("listBranches");
    call.query[0].key = "path";
    call.query[0].value = path;
    r = call_toolbox_object(sb, &call, fields, ARRAY_LEN(fields), &branches);
    if (r == 0)
        *ret = (struct daytona_strings){branches.list, branches.count};
    return r;
}
