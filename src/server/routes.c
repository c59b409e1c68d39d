/* routes.c - the calls that the server knows: one row each. */
#include "server/server_internal.h"

#include "util/array.h"

#include <stdlib.h>
#include <string.h>

enum { HELP_COLUMNS = 88 };

enum {
    API = ROUTE_API,
    SANDBOX = ROUTE_API | ROUTE_SANDBOX,
    SANDBOX_ID = ROUTE_API | ROUTE_SANDBOX | ROUTE_ID_ONLY,
    NEW_SANDBOX_ID = ROUTE_API | ROUTE_SANDBOX | ROUTE_ID_ONLY | ROUTE_NEW_ONLY,
    TOOLBOX = ROUTE_TOOLBOX,
    NEW = ROUTE_TOOLBOX | ROUTE_NEW_ONLY,
    FILES = ROUTE_TOOLBOX | ROUTE_FILES,
    NEW_FILES = ROUTE_TOOLBOX | ROUTE_FILES | ROUTE_NEW_ONLY,
};

/* clang-format off */
static const struct route routes[] = {
    /* name, method, pattern, flags, run, begin, feed */
    {"config", "GET", "/api/config", API | ROUTE_OPEN, api_config, NULL, NULL},
    {"create", "POST", "/api/sandbox", API, api_create, NULL, NULL},
    {"list", "GET", "/api/sandbox", API, api_list, NULL, NULL},
    {"paginated", "GET", "/api/sandbox/paginated", API, api_list_paginated, NULL, NULL},
    {"get", "GET", "/api/sandbox/*", SANDBOX, api_get, NULL, NULL},
    {"delete", "DELETE", "/api/sandbox/*", SANDBOX, api_delete, NULL, NULL},
    {"start", "POST", "/api/sandbox/*/start", SANDBOX, api_start, NULL, NULL},
    {"stop", "POST", "/api/sandbox/*/stop", SANDBOX, api_stop, NULL, NULL},
    {"archive", "POST", "/api/sandbox/*/archive", SANDBOX, api_archive, NULL, NULL},
    {"recover", "POST", "/api/sandbox/*/recover", SANDBOX, api_recover, NULL, NULL},
    {"pause", "POST", "/api/sandbox/*/pause", SANDBOX, api_pause, NULL, NULL},
    {"fork", "POST", "/api/sandbox/*/fork", SANDBOX, api_fork, NULL, NULL},
    {"resize", "POST", "/api/sandbox/*/resize", SANDBOX, api_resize, NULL, NULL},
    {"snapshot", "POST", "/api/sandbox/*/snapshot", SANDBOX, api_sandbox_snapshot, NULL, NULL},
    {"network", "POST", "/api/sandbox/*/network-settings", SANDBOX, api_network, NULL, NULL},
    {"forks", "GET", "/api/sandbox/*/forks", SANDBOX, api_forks, NULL, NULL},
    {"forks", "GET", "/api/sandbox/*/ancestors", SANDBOX, api_ancestors, NULL, NULL},
    {"build-logs-url", "GET", "/api/sandbox/*/build-logs-url", SANDBOX, api_build_logs_url, NULL,
     NULL},
    {"build-logs", "GET", "/api/sandbox/*/build-logs", SANDBOX, api_build_logs, NULL, NULL},
    {"parent", "GET", "/api/sandbox/*/parent", SANDBOX, api_parent, NULL, NULL},
    {"preview-url", "GET", "/api/sandbox/*/ports/*/preview-url", SANDBOX, api_preview_url, NULL,
     NULL},
    {"signed-preview-url", "GET", "/api/sandbox/*/ports/*/signed-preview-url", SANDBOX,
     api_signed_url, NULL, NULL},
    {"expire", "POST", "/api/sandbox/*/ports/*/signed-preview-url/*/expire", SANDBOX,
     api_signed_expire, NULL, NULL},
    {"ssh-validate", "GET", "/api/sandbox/ssh-access/validate", API, api_ssh_validate, NULL, NULL},
    {"ssh-access", "POST", "/api/sandbox/*/ssh-access", SANDBOX, api_ssh_create, NULL, NULL},
    {"ssh-access", "DELETE", "/api/sandbox/*/ssh-access", SANDBOX, api_ssh_delete, NULL, NULL},
    {"signing-key", "GET", "/api/sandbox/*/signing-key", NEW_SANDBOX_ID,
     api_signing_key, NULL, NULL},
    {"signing-key", "POST", "/api/sandbox/*/signing-key/rotate", NEW_SANDBOX_ID, api_signing_rotate,
     NULL, NULL},
    {"labels", "PUT", "/api/sandbox/*/labels", SANDBOX, api_labels, NULL, NULL},
    {"public", "POST", "/api/sandbox/*/public/*", SANDBOX, api_public, NULL, NULL},
    {"last-activity", "POST", "/api/sandbox/*/last-activity", SANDBOX_ID, api_last_activity,
     NULL, NULL},
    {"toolbox-url", "GET", "/api/sandbox/*/toolbox-proxy-url", SANDBOX_ID, api_toolbox_url,
     NULL, NULL},
    {"interval", "POST", "/api/sandbox/*/*/*", SANDBOX, api_interval, NULL, NULL},

    {"snapshot-create", "POST", "/api/snapshots", API, snapshot_post, NULL, NULL},
    {"snapshot-list", "GET", "/api/snapshots", API, snapshot_get_all, NULL, NULL},
    {"snapshot-get", "GET", "/api/snapshots/*", API, snapshot_get, NULL, NULL},
    {"snapshot-delete", "DELETE", "/api/snapshots/*", API, snapshot_delete, NULL, NULL},
    {"snapshot-activate", "POST", "/api/snapshots/*/activate", API, snapshot_activate, NULL, NULL},
    {"snapshot-deactivate", "POST", "/api/snapshots/*/deactivate", API, snapshot_deactivate, NULL,
     NULL},
    {"snapshot-logs-url", "GET", "/api/snapshots/*/build-logs-url", API, snapshot_logs_url, NULL,
     NULL},
    {"snapshot-logs", "GET", "/api/snapshots/*/build-logs", API, snapshot_logs, NULL, NULL},
    {"volume-create", "POST", "/api/volumes", API, volume_post, NULL, NULL},
    {"volume-list", "GET", "/api/volumes", API, volume_get_all, NULL, NULL},
    {"volume-get", "GET", "/api/volumes/by-name/*", API, volume_by_name, NULL, NULL},
    {"volume-get", "GET", "/api/volumes/*", API, volume_get, NULL, NULL},
    {"volume-delete", "DELETE", "/api/volumes/*", API, volume_delete, NULL, NULL},

    {"listing", "GET", "/files", FILES, files_list, NULL, NULL},
    {"listing", "GET", "/files/", FILES, files_list, NULL, NULL},
    {"remove", "DELETE", "/files", FILES, files_delete, NULL, NULL},
    {"remove", "DELETE", "/files/", FILES, files_delete, NULL, NULL},
    {"info", "GET", "/files/info", FILES, files_info, NULL, NULL},
    {"folder", "POST", "/files/folder", FILES, files_folder, NULL, NULL},
    {"move", "POST", "/files/move", FILES, files_move, NULL, NULL},
    {"permissions", "POST", "/files/permissions", FILES, files_permissions, NULL, NULL},
    {"download", "GET", "/files/download", FILES | ROUTE_SIGNED, files_download, NULL, NULL},
    {"bulk-download", "POST", "/files/bulk-download", FILES, files_bulk_download, NULL, NULL},
    {"upload", "POST", "/files/upload", FILES, files_upload, files_upload_begin, upload_feed},
    {"upload-v2", "POST", "/files/upload-v2", NEW_FILES | ROUTE_SIGNED, files_upload_v2,
     files_upload_v2_begin, upload_feed},
    {"bulk-upload", "POST", "/files/bulk-upload", FILES, files_bulk_upload,
     files_bulk_upload_begin, upload_feed},
    {"find", "GET", "/files/find", FILES, files_find, NULL, NULL},
    {"search", "GET", "/files/search", FILES, files_search, NULL, NULL},
    {"replace", "POST", "/files/replace", FILES, files_replace, NULL, NULL},
    {"execute", "POST", "/process/execute", TOOLBOX, process_execute, NULL, NULL},
    {"session-create", "POST", "/process/session", TOOLBOX, session_create, NULL, NULL},
    {"session-list", "GET", "/process/session", TOOLBOX, session_list_all, NULL, NULL},
    {"session-get", "GET", "/process/session/*", TOOLBOX, session_get, NULL, NULL},
    {"session-delete", "DELETE", "/process/session/*", TOOLBOX, session_remove, NULL, NULL},
    {"session-exec", "POST", "/process/session/*/exec", TOOLBOX, session_run, NULL, NULL},
    {"session-command", "GET", "/process/session/*/command/*", TOOLBOX, session_get_command,
     NULL, NULL},
    {"session-logs", "GET", "/process/session/*/command/*/logs", TOOLBOX, session_logs, NULL,
     NULL},
    {"session-input", "POST", "/process/session/*/command/*/input", TOOLBOX, session_put_input,
     NULL, NULL},
    {"pty-create", "POST", "/process/pty", TOOLBOX, pty_post, NULL, NULL},
    {"pty-list", "GET", "/process/pty", TOOLBOX, pty_get_all, NULL, NULL},
    {"pty-create-connect", "GET", "/process/pty/create-connect", NEW, pty_create_connect, NULL,
     NULL},
    {"pty-get", "GET", "/process/pty/*", TOOLBOX, pty_get, NULL, NULL},
    {"pty-delete", "DELETE", "/process/pty/*", TOOLBOX, pty_delete, NULL, NULL},
    {"pty-resize", "POST", "/process/pty/*/resize", TOOLBOX, pty_post_size, NULL, NULL},
    {"pty-connect", "GET", "/process/pty/*/connect", TOOLBOX, pty_connect, NULL, NULL},
    {"interpreter-create", "POST", "/process/interpreter/context", TOOLBOX, interpreter_post, NULL,
     NULL},
    {"interpreter-list", "GET", "/process/interpreter/context", TOOLBOX, interpreter_get_all, NULL,
     NULL},
    {"interpreter-delete", "DELETE", "/process/interpreter/context/*", TOOLBOX, interpreter_remove,
     NULL, NULL},
    {"interpreter-execute", "GET", "/process/interpreter/execute", TOOLBOX, interpreter_execute,
     NULL, NULL},
    {"lsp-start", "POST", "/lsp/start", TOOLBOX, lsp_post_start, NULL, NULL},
    {"lsp-stop", "POST", "/lsp/stop", TOOLBOX, lsp_post_stop, NULL, NULL},
    {"lsp-open", "POST", "/lsp/did-open", TOOLBOX, lsp_post_open, NULL, NULL},
    {"lsp-close", "POST", "/lsp/did-close", TOOLBOX, lsp_post_close, NULL, NULL},
    {"lsp-completions", "POST", "/lsp/completions", TOOLBOX, lsp_post_completions, NULL, NULL},
    {"lsp-symbols", "GET", "/lsp/document-symbols", TOOLBOX, lsp_get_document_symbols, NULL, NULL},
    {"lsp-symbols", "GET", "/lsp/workspacesymbols", TOOLBOX, lsp_get_workspace_symbols, NULL, NULL},
    {"git-clone", "POST", "/git/clone", TOOLBOX, git_clone, NULL, NULL},
    {"git-status", "GET", "/git/status", TOOLBOX, git_status, NULL, NULL},
    {"git-branches", "GET", "/git/branches", TOOLBOX, git_branches, NULL, NULL},
    {"git-branch", "POST", "/git/branches", TOOLBOX, git_branch_create, NULL, NULL},
    {"git-branch", "DELETE", "/git/branches", TOOLBOX, git_branch_remove, NULL, NULL},
    {"git-checkout", "POST", "/git/checkout", TOOLBOX, git_checkout, NULL, NULL},
    {"git-add", "POST", "/git/add", TOOLBOX, git_add, NULL, NULL},
    {"git-commit", "POST", "/git/commit", TOOLBOX, git_commit, NULL, NULL},
    {"git-push", "POST", "/git/push", TOOLBOX, git_push, NULL, NULL},
    {"git-pull", "POST", "/git/pull", TOOLBOX, git_pull, NULL, NULL},
    {"git-history", "GET", "/git/history", TOOLBOX, git_history, NULL, NULL},
    {"git-init", "POST", "/git/init", NEW, git_init, NULL, NULL},
    {"git-reset", "POST", "/git/reset", NEW, git_reset, NULL, NULL},
    {"git-restore", "POST", "/git/restore", NEW, git_restore, NULL, NULL},
    {"git-remotes", "GET", "/git/remotes", NEW, git_remotes, NULL, NULL},
    {"git-remote", "POST", "/git/remotes", NEW, git_remote_add, NULL, NULL},
    {"git-config", "GET", "/git/config", NEW, git_config_get, NULL, NULL},
    {"git-config", "POST", "/git/config", NEW, git_config_set, NULL, NULL},
    {"git-user", "POST", "/git/config/user", NEW, git_config_user, NULL, NULL},
    {"git-credentials", "POST", "/git/credentials", NEW, git_credentials, NULL, NULL},
    {"env", "POST", "/env", NEW, env_update, NULL, NULL},
    {"code-run", "POST", "/process/code-run", TOOLBOX, process_code_run, NULL, NULL},
    {"metrics", "GET", "/system/metrics", NEW, info_metrics, NULL, NULL},
    {"ports", "GET", "/port", TOOLBOX, ports_get, NULL, NULL},
    {"port-in-use", "GET", "/port/*/in-use", TOOLBOX, ports_in_use, NULL, NULL},
    {"proxy", "*", "/proxy/*/**", TOOLBOX, proxy_run, NULL, NULL},
    {"version", "GET", "/version", TOOLBOX, info_version, NULL, NULL},
    {"work-dir", "GET", "/work-dir", TOOLBOX, info_work_dir, NULL, NULL},
    {"home-dir", "GET", "/user-home-dir", TOOLBOX, info_work_dir, NULL, NULL},
    {"project-dir", "GET", "/project-dir", TOOLBOX, info_work_dir, NULL, NULL},

    {"fault", "GET", "/_fault", ROUTE_INTERNAL, api_fault_get, NULL, NULL},
    {"fault", "POST", "/_fault/error/*", ROUTE_INTERNAL | ROUTE_SANDBOX, api_break, NULL, NULL},
    {"fault", "POST", "/_fault", ROUTE_INTERNAL, api_fault_set, NULL, NULL},
};
/* clang-format on */

/* Names for more than one call. */
struct group {
    const char *name;
    unsigned flag;
};
static const struct group groups[] = {
    {"api", ROUTE_API},
    {"toolbox", ROUTE_TOOLBOX},
    {"files", ROUTE_FILES},
};

/* Segment by segment; `*` takes one that is not empty. Returns how many were captured, or -1. */
static int match(const char *pattern, const char *path, const char **starts, size_t *lens)
{
    int captured = 0;

    while (*pattern && (*path || strcmp(pattern, "/**") == 0)) {
        if (strcmp(pattern, "/**") == 0) /* whatever follows, or nothing */
            return *path == '/' || !*path ? captured : -1;
        if (*pattern == '*') {
            const size_t n = strcspn(path, "/");

            if (n == 0 || captured == CAPTURES_MAX)
                return -1;
            starts[captured] = path;
            lens[captured++] = n;
            path += n;
            pattern++;
        } else if (*pattern++ != *path++) {
            return -1;
        }
    }
    return *pattern || *path ? -1 : captured;
}

/* The only redirects that there are: the same path with or without its last slash. */
static const char *other_slash(const char *method, const char *path)
{
    const size_t n = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const char *p = routes[i].pattern;

        if ((routes[i].flags & ROUTE_TOOLBOX) && strcmp(routes[i].method, method) == 0 && n > 1 &&
            path[n - 1] == '/' && strlen(p) == n - 1 && strncmp(p, path, n - 1) == 0)
            return p;
    }
    return NULL;
}

static bool method_fits(const struct route *route, const char *method)
{
    return *route->method == '*' || strcmp(route->method, method) == 0;
}

const struct route *route_find(struct request *rq, const char *path, bool toolbox,
                               const char **ret_slash)
{
    const char *starts[CAPTURES_MAX];
    size_t lens[CAPTURES_MAX];

    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        const struct route *route = &routes[i];
        int n;

        if (toolbox != !!(route->flags & ROUTE_TOOLBOX) || !method_fits(route, rq->method))
            continue;
        n = match(route->pattern, path, starts, lens);
        if (n < 0)
            continue;
        for (int k = 0; k < n; k++) {
            rq->capture[k] = strndup(starts[k], lens[k]);
            if (!rq->capture[k])
                return NULL;
        }
        return route;
    }
    if (ret_slash)
        *ret_slash = other_slash(rq->method, path);
    return NULL;
}

int route_names(struct buf *out)
{
    size_t line = out->len;
    int r = 0;

    for (size_t i = 0; r == 0 && i < ARRAY_LEN(routes); i++) {
        const char *name = routes[i].name;

        if ((routes[i].flags & ROUTE_INTERNAL) || (i > 0 && strcmp(name, routes[i - 1].name) == 0))
            continue;
        if (out->len - line + strlen(name) > HELP_COLUMNS) {
            r = buf_puts(out, "\n ");
            line = out->len;
        }
        if (r == 0)
            r = buf_printf(out, " %s", name);
    }
    return r;
}

bool route_matches(const struct route *route, const char *filter)
{
    if (!*filter)
        return true;
    if (!route)
        return false;
    for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
        if (strcmp(groups[i].name, filter) == 0)
            return route->flags & groups[i].flag;
    }
    return strcmp(route->name, filter) == 0;
}

bool route_known(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
        if (route_matches(&routes[i], name))
            return true;
    }
    return false;
}
