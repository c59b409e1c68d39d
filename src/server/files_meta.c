/* files_meta.c - list, info, folder, delete, move, permissions. */
#include "server/server_internal.h"

#include "server/tree.h"

#include "util/clock.h"
#include "util/path.h"
#include "wire/file.h"
#include "wire/gomode.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MAX = 64 };

/* ---- info and list ---- */

static void put_info(const struct request *rq, struct json_out *o, const char *name,
                     const char *path, const struct stat *st)
{
    const struct wire_file f = {
        .name = (char *)name,
        .path = (char *)(path ? path : ""),
        .size = (uint64_t)st->st_size,
        .mode = st->st_mode,
        .mtime_ns = timespec_to_ns(st->st_mtim),
        .uid = st->st_uid,
        .gid = st->st_gid,
    };
    struct tm tm;
    const time_t at = st->st_mtim.tv_sec;
    struct wire_file_style style = {.zone = "UTC", .with_path = path != NULL};

    if (localtime_r(&at, &tm)) { /* the daemon's zone is ours */
        style.utc_offset_s = (int)tm.tm_gmtoff;
        style.zone = tm.tm_zone;
    }
    wire_file_write(o, &f, &style);
}

/* What Go's Base makes of a path: "." for "", "/" for "/". */
static void base_name(const char *path, char out[256])
{
    size_t end = strlen(path), start;

    while (end > 1 && path[end - 1] == '/')
        end--;
    for (start = end; start > 0 && path[start - 1] != '/'; start--)
        ;
    if (end == 0)
        snprintf(out, 256, ".");
    else if (end == 1 && path[0] == '/')
        snprintf(out, 256, "/");
    else
        snprintf(out, 256, "%.*s", (int)(end - start), path + start);
}

void files_info(struct request *rq)
{
    const char *path = request_query(rq, "path");
    struct json_out o;
    char name[256];
    struct stat st;
    int r;

    if (!path || !*path) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    r = view_stat(rq, path, &st);
    if (r < 0) {
        reply_file_error(rq, r, true);
        return;
    }
    base_name(path, name);
    o = reply_json(rq, 200);
    put_info(rq, &o, name, rq->srv->new_daemon ? path : NULL, &st);
    reply_json_end(rq, &o);
}

/* The cheap way, unless it is a link: that is followed inside the sandbox's root. */
static int stat_entry(const struct request *rq, int dir, const char *path, const char *name,
                      struct stat *ret)
{
    char *full;
    int r;

    if (fstatat(dir, name, ret, AT_SYMLINK_NOFOLLOW) < 0)
        return -errno;
    if (!S_ISLNK(ret->st_mode))
        return 0;
    full = path_join(path, name);
    if (!full)
        return -ENOMEM;
    r = view_stat(rq, full, ret);
    free(full);
    return r;
}

static int put_listing(struct request *rq, struct json_out *o, const char *path, unsigned depth);

static int put_entry(struct request *rq, struct json_out *o, int dir, const char *path,
                     const char *name, unsigned depth)
{
    struct stat st, at;
    char *full;
    int r = 0;

    if (stat_entry(rq, dir, path, name, &st) < 0)
        return 0; /* dropped without a word, as the real one does */
    full = path_join(path, name);
    if (!full)
        return -ENOMEM;
    put_info(rq, o, name, rq->srv->new_daemon ? full : NULL, &st);
    if (depth > 1 && S_ISDIR(st.st_mode) && fstatat(dir, name, &at, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISDIR(at.st_mode)) {
        r = put_listing(rq, o, full, depth - 1);
        if (r == -EACCES || r == -ENOENT)
            r = 0;
    }
    free(full);
    return r < 0 ? r : o->err;
}

static int put_listing(struct request *rq, struct json_out *o, const char *path, unsigned depth)
{
    const int dir = view_open(rq, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    struct names names = {0};
    int r;

    if (dir < 0)
        return dir;
    r = names_read(dir, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = put_entry(rq, o, dir, path, names.list[i], depth);
    names_done(&names);
    close(dir);
    return r;
}

void files_list(struct request *rq)
{
    const char *path = request_query(rq, "path"), *depth = request_query(rq, "depth");
    unsigned levels = 1;
    struct json_out o;
    int r;

    if (rq->srv->new_daemon && depth) {
        char *end;
        const unsigned long v = strtoul(depth, &end, 10);

        if (!isdigit((unsigned char)*depth) || *end || v < 1) {
            reply_file_error(rq, -EINVAL, false);
            return;
        }
        levels = v > DEPTH_MAX ? DEPTH_MAX : (unsigned)v;
    }
    o = reply_json(rq, 200);
    json_open(&o, '[');
    r = put_listing(rq, &o, path && *path ? path : ".", levels);
    json_close(&o, ']');
    if (r < 0)
        reply_file_error(rq, r, true);
    else
        reply_json_end(rq, &o);
}

/* ---- folder ---- */

/* An octal number, taken for Go's mode: special bits are elsewhere than one would think. */
static bool parse_mode(const char *text, mode_t *ret)
{
    char *end;
    unsigned long v;

    if (!*text || strspn(text, "01234567") != strlen(text))
        return false;
    errno = 0;
    v = strtoul(text, &end, 8);
    if (errno || *end || v > UINT32_MAX)
        return false;
    *ret = gomode_from_number((uint32_t)v);
    return true;
}

void files_folder(struct request *rq)
{
    const char *path = request_query(rq, "path"), *mode_text = request_query(rq, "mode");
    mode_t mode = 0755;
    int r;

    if (!path || !*path || (mode_text && *mode_text && !parse_mode(mode_text, &mode))) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    r = view_make_dirs(rq, path, mode);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_status(rq, 201);
}

/* ---- delete ---- */

void files_delete(struct request *rq)
{
    const char *path = request_query(rq, "path"), *recursive = request_query(rq, "recursive");
    const bool all = recursive && strcmp(recursive, "true") == 0;
    char name[256];
    struct stat st;
    int fd, r;

    if (!path || !*path) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    r = view_stat(rq, path, &st);
    if (r < 0) {
        reply_file_error(rq, r, true); /* a dangling link, too, is not there */
        return;
    }
    if (S_ISDIR(st.st_mode) && !all) {
        reply_file_error(rq, -EISDIR, false);
        return;
    }
    fd = view_parent(rq, path, name);
    r = fd < 0 ? fd : tree_remove(fd, name, all ? TREE_MAX : 0);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_status(rq, 204);
}

/* ---- permissions ---- */

static bool parse_id(const char *text, bool group, uint32_t *ret)
{
    char block[4096], *end;
    unsigned long v;

    errno = 0;
    v = strtoul(text, &end, 10);
    if (isdigit((unsigned char)*text) && !*end && !errno && v < UINT32_MAX) {
        *ret = (uint32_t)v;
        return true;
    }
    if (group) {
        struct group gr, *found = NULL;

        if (getgrnam_r(text, &gr, block, sizeof(block), &found) != 0 || !found)
            return false;
        *ret = gr.gr_gid;
    } else {
        struct passwd pw, *found = NULL;

        if (getpwnam_r(text, &pw, block, sizeof(block), &found) != 0 || !found)
            return false;
        *ret = pw.pw_uid;
    }
    return true;
}

/* chmod, then chown: the first may be applied and the second refused. */
static int change(int fd, bool has_mode, mode_t mode, uint32_t uid, uint32_t gid)
{
    char self[64];

    snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
    if (has_mode && chmod(self, mode) < 0)
        return -errno;
    if ((uid != UINT32_MAX || gid != UINT32_MAX) && fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
        return -errno;
    return 0;
}

void files_permissions(struct request *rq)
{
    const char *path = request_query(rq, "path"), *mode_text = request_query(rq, "mode");
    const char *owner = request_query(rq, "owner"), *group = request_query(rq, "group");
    const bool has_mode = mode_text && *mode_text;
    uint32_t uid = UINT32_MAX, gid = UINT32_MAX;
    mode_t mode = 0;
    int fd, r;

    if (!path || !*path || (has_mode && !parse_mode(mode_text, &mode))) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    fd = view_open(rq, path, O_PATH, 0);
    if (fd < 0) {
        reply_file_error(rq, fd, true);
        return;
    }
    /* A name that nobody has is found out after the mode was set. */
    r = change(fd, has_mode, mode, UINT32_MAX, UINT32_MAX);
    if (r == 0 && ((owner && *owner && !parse_id(owner, false, &uid)) ||
                   (group && *group && !parse_id(group, true, &gid))))
        r = -EINVAL;
    if (r == 0)
        r = change(fd, false, 0, uid, gid);
    close(fd);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_status(rq, 200);
}
