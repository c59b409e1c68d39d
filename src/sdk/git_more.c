/* Git calls that newer daemons have. */
#include "sdk/error.h"
#include "sdk/git_call.h"

#include "util/array.h"

#include <errno.h>
#include <stdlib.h>

int daytona_git_init(struct daytona_sandbox *sb, const char *path, bool bare,
                     const char *initial_branch)
{
    struct call call = git_call("initRepository", "POST", "/git/init");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin("initRepository");
    json_open(&o, '{');
    git_put(&o, (const struct git_member[]){{"path", path}, {"initial_branch", initial_branch}}, 2);
    git_put_true(&o, "bare", bare);
    return git_finish(sb, &call, &o, NULL);
}

int daytona_git_reset(struct daytona_sandbox *sb, const struct daytona_git_reset *r)
{
    const struct git_member members[] = {
        {"path", r->path}, {"mode", r->mode}, {"target", r->target}};
    struct call call = git_call("resetChanges", "POST", "/git/reset");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin("resetChanges");
    json_open(&o, '{');
    git_put(&o, members, ARRAY_LEN(members));
    git_put_files(&o, r->files, r->file_count);
    return git_finish(sb, &call, &o, NULL);
}

int daytona_git_restore(struct daytona_sandbox *sb, const struct daytona_git_restore *r)
{
    const struct git_member members[] = {{"path", r->path}, {"source", r->source}};
    struct call call = git_call("restoreFiles", "POST", "/git/restore");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin("restoreFiles");
    json_open(&o, '{');
    git_put(&o, members, ARRAY_LEN(members));
    git_put_files(&o, r->files, r->file_count);
    git_put_true(&o, "staged", r->staged);
    git_put_true(&o, "worktree", r->worktree);
    return git_finish(sb, &call, &o, NULL);
}

static int sync_with(struct daytona_sandbox *sb, const char *name, const char *path,
                     const struct daytona_git_sync *s)
{
    const struct git_member members[] = {
        {"path", s->path}, {"remote", s->remote}, {"branch", s->branch}};
    struct call call = git_call(name, "POST", path);
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin(name);
    json_open(&o, '{');
    git_put(&o, members, ARRAY_LEN(members));
    git_put_login(&o, s->login);
    git_put_true(&o, "set_upstream", s->set_upstream);
    return git_finish(sb, &call, &o, NULL);
}

int daytona_git_push_to(struct daytona_sandbox *sb, const struct daytona_git_sync *push)
{
    return sync_with(sb, "pushChanges", "/git/push", push);
}

int daytona_git_pull_from(struct daytona_sandbox *sb, const struct daytona_git_sync *pull)
{
    return sync_with(sb, "pullChanges", "/git/pull", pull);
}

/* --- remotes */

static const struct json_field remote_fields[] = {
    JSON_FIELD(struct daytona_git_remote, name, "name", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct daytona_git_remote, url, "url", JSON_STRING, JSON_LENIENT),
};
static const struct json_shape remote_shape = {
    .fields = remote_fields,
    .count = ARRAY_LEN(remote_fields),
    .size = sizeof(struct daytona_git_remote),
};

void daytona_git_remotes_free(struct daytona_git_remote *list, size_t count)
{
    json_free_list(&remote_shape, list, count);
}

int daytona_git_remotes(struct daytona_sandbox *sb, const char *path,
                        struct daytona_git_remote **ret, size_t *ret_count)
{
    struct call call = git_call("listRemotes", "GET", "/git/remotes");

    error_begin("listRemotes");
    call.query[0].key = "path";
    call.query[0].value = path;
    return call_toolbox_list(sb, &call, "remotes", &remote_shape, (void **)ret, ret_count);
}

int daytona_git_remote_add(struct daytona_sandbox *sb, const struct daytona_git_remote_add *add)
{
    const struct git_member members[] = {
        {"path", add->path}, {"name", add->name}, {"url", add->url}};
    struct call call = git_call("addRemote", "POST", "/git/remotes");
    struct buf body = BUF_INIT(GIT_BODY_MAX);
    struct json_out o = {.buf = &body};

    error_begin("addRemote");
    json_open(&o, '{');
    git_put(&o, members, ARRAY_LEN(members));
    git_put_true(&o, "fetch", add->fetch);
    git_put_true(&o, "overwrite", add->overwrite);
    return git_finish(sb, &call, &o, NULL);
}

/* --- settings */

struct value {
    char *value;
};

int daytona_git_config_get(struct daytona_sandbox *sb, const char *path, const char *scope,
                           const char *key, char **ret)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct value, value, "value", JSON_STRING, JSON_REQUIRED)};
    struct call call = git_call("getGitConfig", "GET", "/git/config");
    struct http_response response;
    struct value value = {0};
    cJSON *json = NULL;
    int r;

    error_begin("getGitConfig");
    call.query[0].key = "key";
    call.query[0].value = key;
    call.query[1].key = "path";
    call.query[1].value = path;
    call.query[2].key = "scope";
    call.query[2].value = scope;
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = json_parse(buf_str(&response.body), response.body.len, &json);
    if (r == 0 && cJSON_IsObject(json) &&
        (!cJSON_GetObjectItemCaseSensitive(json, "value") ||
         cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "value"))))
        r = error_set(-ENODATA, "%s is not set", key);
    else if (r < 0 || (r = json_load(json, fields, ARRAY_LEN(fields), &value)) < 0)
        call_garbled(r, &response);
    cJSON_Delete(json);
    http_response_done(&response);
    if (r == 0)
        *ret = value.value;
    return r;
}

int daytona_git_config_set(struct daytona_sandbox *sb, const char *path, const char *scope,
                           const char *key, const char *value)
{
    return GIT_POST(sb, "setGitConfig", "POST", "/git/config", NULL, {"path", path},
                    {"scope", scope}, {"key", key}, {"value", value});
}

int daytona_git_configure_user(struct daytona_sandbox *sb, const char *path, const char *scope,
                               const char *name, const char *email)
{
    return GIT_POST(sb, "configureUser", "POST", "/git/config/user", NULL, {"path", path},
                    {"scope", scope}, {"name", name}, {"email", email});
}

int daytona_git_authenticate(struct daytona_sandbox *sb, const struct daytona_git_login *login,
                             const char *host, const char *protocol)
{
    return GIT_POST(sb, "authenticate", "POST", "/git/credentials", login, {"host", host},
                    {"protocol", protocol});
}
