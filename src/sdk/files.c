/* Names and attributes of files. Contents are in upload.c and download.c. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/path.h"
#include "wire/file.h"
#include "wire/gomode.h"

#include <daytona/files.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LISTING_MAX = 256 << 20 };

void daytona_file_info_done(struct daytona_file_info *info)
{
    free(info->name);
    free(info->path);
    *info = (struct daytona_file_info){0};
}

void daytona_files_list_free(struct daytona_file_info *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        daytona_file_info_done(&list[i]);
    free(list);
}

/* The strings move. */
static struct daytona_file_info to_public(const struct wire_file *f)
{
    return (struct daytona_file_info){
        .name = f->name,
        .path = f->path,
        .size = f->size,
        .mode = f->mode,
        .mtime_ns = f->mtime_ns,
        .uid = f->uid,
        .gid = f->gid,
    };
}

int daytona_files_list(struct daytona_sandbox *sb, const char *path, unsigned depth,
                       struct daytona_file_info **ret, size_t *ret_count)
{
    char depth_text[16];
    const struct call call = {
        .name = "listFiles",
        .method = "GET",
        .path = "/files",
        .query = {{"path", path}, {"depth", depth > 1 ? depth_text : NULL}},
        .flags = HTTP_IDEMPOTENT,
        .body_max = LISTING_MAX,
    };
    struct daytona_file_info *list = NULL;
    struct wire_file *files = NULL;
    struct http_response response;
    size_t count = 0;
    int r;

    error_begin("listFiles");
    snprintf(depth_text, sizeof(depth_text), "%u", depth);
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = wire_files_read(buf_str(&response.body), response.body.len, &files, &count);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    if (r < 0)
        return r;

    list = calloc(count + 1, sizeof(*list));
    if (!list) {
        wire_files_free(files, count);
        return error_default(-ENOMEM);
    }
    for (size_t i = 0; i < count; i++)
        list[i] = to_public(&files[i]);
    free(files);
    *ret = list;
    *ret_count = count;
    return 0;
}

static int get_info(struct daytona_sandbox *sb, const char *path, struct wire_file *ret)
{
    const struct call call = {
        .name = "getFileDetails",
        .method = "GET",
        .path = "/files/info",
        .query = {{"path", path}},
        .flags = HTTP_IDEMPOTENT,
    };
    struct http_response response;
    int r;

    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = wire_file_read(buf_str(&response.body), response.body.len, ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

int daytona_files_info(struct daytona_sandbox *sb, const char *path, struct daytona_file_info *ret)
{
    struct wire_file f;
    int r;

    error_begin("getFileDetails");
    r = get_info(sb, path, &f);
    if (r == 0)
        *ret = to_public(&f);
    return r;
}

int daytona_files_exists(struct daytona_sandbox *sb, const char *path)
{
    struct wire_file f;
    int r;

    error_begin("getFileDetails");
    r = get_info(sb, path, &f);
    if (r == 0) {
        wire_file_done(&f);
        return 1;
    }
    if (r != -ENOENT)
        return r;
    error_begin("getFileDetails"); /* an answer like the other */
    return 0;
}

int daytona_files_create_folder(struct daytona_sandbox *sb, const char *path, mode_t mode)
{
    char mode_text[16];
    const struct call call = {
        .name = "createFolder",
        .method = "POST",
        .path = "/files/folder",
        .query = {{"path", path}, {"mode", mode_text}},
        .flags = HTTP_IDEMPOTENT, /* mkdir -p */
    };

    error_begin("createFolder");
    snprintf(mode_text, sizeof(mode_text), "%04o", gomode_to_number(mode));
    return call_toolbox_only(sb, &call);
}

int daytona_files_delete(struct daytona_sandbox *sb, const char *path, bool recursive)
{
    const struct call call = {
        .name = "deleteFile",
        .method = "DELETE",
        .path = "/files",
        .query = {{"path", path}, {"recursive", recursive ? "true" : NULL}},
    };

    error_begin("deleteFile");
    return call_toolbox_only(sb, &call);
}

/* As the service would resolve them, as far as names alone tell. */
static int check_move(const char *from, const char *to)
{
    const bool comparable = (from[0] == '/') == (to[0] == '/');
    char *a = path_resolve("/", from), *b = path_resolve("/", to);
    int r = 0;

    if (!a || !b)
        r = error_default(-ENOMEM);
    else if (!*from || !*to)
        r = error_set(-EINVAL, "an empty path");
    else if (comparable && strcmp(a, b) != 0 && path_is_below(b, a))
        r = error_set(-EINVAL, "a directory cannot be moved into itself");
    free(a);
    free(b);
    return r;
}

/* A move that fell back to copying may have left the source behind, and says so in a 200. */
static int check_moved(const struct http_response *response)
{
    char *error = NULL;
    int r = 0;

    if (wire_string_read(buf_str(&response->body), response->body.len, "error", &error) == 0) {
        error_now()->http_status = response->status;
        r = error_set(-EIO, "%s; both names exist now", error);
        free(error);
    }
    return r;
}

int daytona_files_move(struct daytona_sandbox *sb, const char *from, const char *to)
{
    const struct call call = {
        .name = "moveFiles",
        .method = "POST",
        .path = "/files/move",
        .query = {{"source", from}, {"destination", to}},
    };
    struct http_response response;
    int r;

    error_begin("moveFiles");
    r = check_move(from, to);
    if (r < 0)
        return r;
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = check_moved(&response);
    http_response_done(&response);
    return r;
}

int daytona_files_set_permissions(struct daytona_sandbox *sb, const char *path, mode_t mode,
                                  const char *owner, const char *group)
{
    char mode_text[16];
    const struct call call = {
        .name = "setFilePermissions",
        .method = "POST",
        .path = "/files/permissions",
        .query = {{"path", path},
                  {"mode", mode == (mode_t)-1 ? NULL : mode_text},
                  {"owner", owner},
                  {"group", group}},
        .flags = HTTP_IDEMPOTENT,
    };

    error_begin("setFilePermissions");
    snprintf(mode_text, sizeof(mode_text), "%04o", gomode_to_number(mode));
    return call_toolbox_only(sb, &call);
}
