/* files_meta.c - list, info, folder, delete, move, permissions. */
#include "server/server_internal.h"

#include "util/clock.h"
#include "util/path.h"
#include "wire/file.h"
#include "wire/gomode.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { DEPTH_MAX = 64, ENTRIES_MAX = 1 << 20, TREE_MAX = 256 };

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

struct names {
    char **list;
    size_t count, cap;
};

static int add_name(struct names *n, const char *name)
{
    if (n->count == n->cap) {
        const size_t cap = n->cap ? n->cap * 2 : 64;
        char **bigger;

        if (cap > ENTRIES_MAX)
            return -EFBIG;
        bigger = realloc(n->list, cap * sizeof(*bigger));
        if (!bigger)
            return -ENOMEM;
        n->list = bigger;
        n->cap = cap;
    }
    n->list[n->count] = strdup(name);
    return n->list[n->count++] ? 0 : -ENOMEM;
}

static void names_done(struct names *n)
{
    for (size_t i = 0; i < n->count; i++)
        free(n->list[i]);
    free(n->list);
}

static int by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int read_names(DIR *dir, struct names *ret)
{
    const struct dirent *e;
    int r = 0;

    while (r == 0) {
        errno = 0;
        e = readdir(dir);
        if (!e) {
            r = -errno;
            break;
        }
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = add_name(ret, e->d_name);
    }
    if (r == 0 && ret->count)
        qsort(ret->list, ret->count, sizeof(*ret->list), by_bytes);
    return r;
}

/* The cheap way, unless it is a link: that is followed inside the sandbox's root. */
static int stat_entry(const struct request *rq, DIR *dir, const char *path, const char *name,
                      struct stat *ret)
{
    char *full;
    int r;

    if (fstatat(dirfd(dir), name, ret, AT_SYMLINK_NOFOLLOW) < 0)
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

static int put_entry(struct request *rq, struct json_out *o, DIR *dir, const char *path,
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
    if (depth > 1 && S_ISDIR(st.st_mode) &&
        fstatat(dirfd(dir), name, &at, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(at.st_mode)) {
        r = put_listing(rq, o, full, depth - 1);
        if (r == -EACCES || r == -ENOENT)
            r = 0;
    }
    free(full);
    return r < 0 ? r : o->err;
}

static int put_listing(struct request *rq, struct json_out *o, const char *path, unsigned depth)
{
    struct names names = {0};
    DIR *dir;
    int fd, r;

    fd = view_open(rq, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir) {
        r = -errno;
        close(fd);
        return r;
    }
    r = read_names(dir, &names);
    for (size_t i = 0; r == 0 && i < names.count; i++)
        r = put_entry(rq, o, dir, path, names.list[i], depth);
    names_done(&names);
    closedir(dir);
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

/* Never follows a link. What cannot be removed ends it, with the rest partly gone. */
static int remove_tree(int parent, const char *name, unsigned depth)
{
    const struct dirent *e;
    int fd, r = 0;
    DIR *dir;

    if (unlinkat(parent, name, 0) == 0)
        return 0;
    if (errno != EISDIR && errno != EPERM)
        return -errno;
    if (depth == 0)
        return -ELOOP;
    fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        r = -errno;
        if (fd >= 0)
            close(fd);
        return r;
    }
    while (r == 0 && (e = readdir(dir))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            r = remove_tree(dirfd(dir), e->d_name, depth - 1);
    }
    closedir(dir);
    if (r == 0 && unlinkat(parent, name, AT_REMOVEDIR) < 0)
        r = -errno;
    return r;
}

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
    r = fd < 0 ? fd : remove_tree(fd, name, all ? TREE_MAX : 0);
    if (fd >= 0)
        close(fd);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_status(rq, 204);
}

/* ---- move ---- */

static bool same_inode(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is the directory `top` on the way from the open directory up to the root? */
static bool is_inside(int dir, const struct stat *top)
{
    int fd = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    struct stat st, above;
    bool inside = false;

    for (int i = 0; fd >= 0 && i < 4096; i++) {
        int up;

        if (fstat(fd, &st) < 0)
            break;
        if (same_inode(&st, top)) {
            inside = true;
            break;
        }
        up = openat(fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        close(fd);
        fd = up;
        if (fd < 0 || fstat(fd, &above) < 0 || same_inode(&st, &above))
            break;
    }
    if (fd >= 0)
        close(fd);
    return inside;
}

/* A file as the real one copies it: links are followed, times and owners are lost. */
static int copy_file(struct request *rq, const char *from, const char *to, mode_t mode)
{
    char block[64 << 10];
    int in, out, r = 0;

    in = view_open(rq, from, O_RDONLY | O_NONBLOCK, 0);
    if (in < 0)
        return in;
    out = view_open(rq, to, O_WRONLY | O_CREAT | O_TRUNC, mode & 0777);
    if (out < 0)
        r = out;
    while (r == 0) {
        ssize_t n = read(in, block, sizeof(block));

        if (n == 0)
            break;
        for (ssize_t off = 0; n > 0 && off < n;) {
            const ssize_t w = write(out, block + off, (size_t)(n - off));

            if (w < 0 && errno == EINTR)
                continue;
            if (w < 0) {
                r = -errno;
                break;
            }
            off += w;
        }
        if (n < 0 && errno != EINTR)
            r = -errno;
    }
    close(in);
    if (out >= 0)
        close(out);
    return r;
}

static int copy_tree(struct request *rq, const char *from, const char *to, unsigned depth);

static int copy_entries(struct request *rq, const char *from, const char *to, unsigned depth)
{
    struct names names = {0};
    DIR *dir;
    int fd, r;

    fd = view_open(rq, from, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir) {
        r = -errno;
        close(fd);
        return r;
    }
    r = read_names(dir, &names);
    closedir(dir);
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        char *a = path_join(from, names.list[i]), *b = path_join(to, names.list[i]);

        r = a && b ? copy_tree(rq, a, b, depth) : -ENOMEM;
        free(a);
        free(b);
    }
    names_done(&names);
    return r;
}

static int copy_tree(struct request *rq, const char *from, const char *to, unsigned depth)
{
    struct stat st;
    int r;

    if (depth == 0)
        return -ELOOP;
    r = view_stat(rq, from, &st);
    if (r < 0)
        return r;
    if (S_ISREG(st.st_mode))
        return copy_file(rq, from, to, st.st_mode);
    if (!S_ISDIR(st.st_mode))
        return -EOPNOTSUPP; /* a pipe would make it wait for ever */
    r = view_make_dirs(rq, to, st.st_mode & 0777);
    return r < 0 ? r : copy_entries(rq, from, to, depth - 1);
}

static void answer_copied(struct request *rq, int r)
{
    struct json_out o;

    if (r == 0) {
        reply_status(rq, 200);
        return;
    }
    /* Both exist now, and the real service calls that a success. */
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "message");
    json_string(&o, "File copied successfully, but the source could not be deleted");
    json_key(&o, "error");
    json_string(&o, "failed to delete source: permission denied");
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void files_move(struct request *rq)
{
    const char *from = request_query(rq, "source"), *to = request_query(rq, "destination");
    char from_name[256], to_name[256];
    int from_dir = -1, to_dir = -1, r;
    struct stat st, there;

    if (!from || !*from || !to || !*to) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    r = view_stat(rq, from, &st);
    if (r < 0) {
        reply_file_error(rq, r, true);
        return;
    }
    to_dir = view_parent(rq, to, to_name);
    if (to_dir < 0) {
        reply_file_error(rq, to_dir, true);
        return;
    }
    if (view_stat(rq, to, &there) == 0) {
        reply_status(rq, 409);
        goto out;
    }
    from_dir = view_parent(rq, from, from_name);
    if (from_dir < 0) {
        reply_file_error(rq, from_dir, false);
        goto out;
    }
    if (S_ISDIR(st.st_mode) && is_inside(to_dir, &st)) {
        reply_file_error(rq, -EINVAL, false); /* the real one destroys the data here */
        goto out;
    }
    if (renameat(from_dir, from_name, to_dir, to_name) == 0) {
        reply_status(rq, 200);
        goto out;
    }
    /* Whatever the reason, the real one goes on by copying. */
    r = copy_tree(rq, from, to, TREE_MAX);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        answer_copied(rq, remove_tree(from_dir, from_name, TREE_MAX));
out:
    if (from_dir >= 0)
        close(from_dir);
    close(to_dir);
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
