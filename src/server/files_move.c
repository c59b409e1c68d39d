/*
 * files_move.c - move: a rename that never replaces, and where it is refused, a copy.
 */
#include "server/server_internal.h"

#include "server/tree.h"

#include "util/io.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

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
    int in, out, r;

    in = view_open(rq, from, O_RDONLY | O_NONBLOCK, 0);
    if (in < 0)
        return in;
    out = view_open(rq, to, O_WRONLY | O_CREAT | O_TRUNC, mode & 0777);
    r = out < 0 ? out : io_copy(in, out);
    close(in);
    if (out >= 0)
        close(out);
    return r;
}

static int copy_tree(struct request *rq, const char *from, const char *to, unsigned depth);

static int copy_entries(struct request *rq, const char *from, const char *to, unsigned depth)
{
    const int dir = view_open(rq, from, O_RDONLY | O_DIRECTORY, 0);
    struct names names = {0};
    int r;

    if (dir < 0)
        return dir;
    r = names_read(dir, &names);
    close(dir);
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
        answer_copied(rq, tree_remove(from_dir, from_name, TREE_MAX));
out:
    if (from_dir >= 0)
        close(from_dir);
    close(to_dir);
}
