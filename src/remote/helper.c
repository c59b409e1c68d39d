#include "remote/backends.h"
#include "remote/helper_internal.h"

#include "remote/plain_internal.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    SMALL = 1 << 20, /* text of an answer with few frames */
    READ_MAX = 64 << 10,
    WHOLE_MAX = 1 << 20, /* up to here somebody may take a file for one version */
    SNAPSHOT_MAX = 8 << 20,
    READ_TEXT_MAX = 64 << 10, /* beside the bytes themselves */
    CAP_DAC_OVERRIDE_BIT = 1, /* linux/capability.h */
};

static const struct helper_way small_way = {.answer_max = SMALL};

static int protocol_to_io(int r)
{
    return r == -EPROTO ? -EIO : r;
}

/* ---- info, stat, statfs ---- */

static int copy_info(const struct remote_info *from, struct remote_info *ret)
{
    struct remote_info info = *from;

    info.work_dir = strdup(from->work_dir);
    info.home_dir = strdup(from->home_dir);
    info.daemon_version = strdup(from->daemon_version);
    info.shell = strdup(from->shell);
    info.kept_dir = strdup(from->kept_dir);
    if (!info.kept_dir || !info.work_dir || !info.home_dir || !info.daemon_version || !info.shell) {
        remote_info_done(&info);
        return -ENOMEM;
    }
    *ret = info;
    return 0;
}

static int helper_info(struct remote *r, struct remote_info *ret)
{
    return copy_info(&helper_of(r)->info, ret);
}

/* The last component is asked for in its parent: links on the way there are followed, as lstat
 * does. */
static int helper_stat(struct remote *r, const char *path, struct remote_attr *ret,
                       char **ret_target)
{
    struct buf raw = BUF_INIT(SMALL);
    char *dir = path_dir(path), *target = NULL;
    char *paths[] = {(char *)(strcmp(path, "/") == 0 ? "" : path_base(path))};
    const struct proto_request req = {
        .verb = PROTO_VERB_STAT, .root = dir, .paths = paths, .path_count = 1};
    int err = dir ? helper_ask(helper_of(r), &req, &small_way, &raw) : -ENOMEM;

    if (err == 0)
        err = answer_stat(&raw, ret, &target);
    if (err == 0 && ret_target)
        *ret_target = target;
    else
        free(target);
    buf_done(&raw);
    free(dir);
    return protocol_to_io(err);
}

static int helper_statfs(struct remote *r, const char *path, struct remote_statfs *ret)
{
    struct helper *h = helper_of(r);
    struct buf raw = BUF_INIT(SMALL);
    const struct proto_request req = {.verb = PROTO_VERB_STATFS, .root = (char *)path};
    int err = helper_ask(h, &req, &small_way, &raw);

    if (err == 0)
        err = answer_statfs(&raw, ret);
    buf_done(&raw);
    if (err == -ENOTDIR) /* a file; rare enough */
        return remote_statfs(h->plain, path, ret);
    return protocol_to_io(err);
}

/* ---- fetch ---- */

/* Appends up to len bytes from off on, all of one version. */
static int read_range(struct helper *h, const char *path, uint64_t off, size_t len, struct buf *out,
                      struct remote_attr *ret)
{
    const size_t text_max = READ_TEXT_MAX + 2 * len;
    const struct helper_way way = {.answer_max = text_max, .background = remote_in_background()};
    struct buf raw = BUF_INIT(text_max);
    char *dir = path_dir(path), *paths[] = {(char *)path_base(path)};
    const struct proto_request req = {.verb = PROTO_VERB_READ,
                                      .root = dir,
                                      .off = off,
                                      .len = len,
                                      .paths = paths,
                                      .path_count = 1};
    int r = dir ? helper_ask(h, &req, &way, &raw) : -ENOMEM;

    if (r == 0)
        r = answer_read(&raw, off, len, out, ret);
    buf_done(&raw);
    free(dir);
    return protocol_to_io(r);
}

static int fetch_exactly(struct helper *h, const char *path, const struct remote_attr *expect,
                         uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    struct buf data = BUF_INIT(READ_MAX);
    struct remote_attr attr;
    int r = read_range(h, path, off, (size_t)len, &data, &attr);

    if (r == 0 && !remote_attr_same(expect, &attr))
        r = -ESTALE;
    if (r == 0)
        r = io_pwrite(fd, buf_str(&data), data.len, off);
    if (r == 0)
        *ret_len = data.len;
    buf_done(&data);
    return r;
}

/* A byte more than max tells that there is more. */
static int helper_snapshot(struct remote *r, const char *path, size_t max, struct buf *out,
                           struct remote_attr *ret)
{
    const size_t start = out->len;
    int err;

    if (max >= SNAPSHOT_MAX)
        return -EINVAL;
    err = read_range(helper_of(r), path, 0, max + 1, out, ret);
    if (err == 0 && out->len - start > max)
        err = -EFBIG;
    if (err == 0 && out->len - start != ret->size)
        err = -EIO; /* one of the kernel's, or a sandbox that lies */
    return err;
}

/*
 * A download is the cheaper way by some milliseconds, but it tells versions apart by size and whole
 * seconds only, and before it has read anything. That is enough for a range of a file that has been
 * left alone for longer: a younger one could have changed twice in its second, or have been
 * replaced between one range and the next. What is fetched whole is taken for one version by
 * everybody. So these are read by the helper, whose answer says exactly which version it is of, or
 * looked at once more; unless it is whole and short enough not to be mixed.
 */
static bool is_young(const struct helper *h, const struct remote_attr *a)
{
    static const int64_t young_ns = 3 * NS_PER_S;

    return a->ctime_ns > clock_real_ns() + atomic_load(&h->clock_offset_ns) - young_ns;
}

/* What a command in the sandbox tells devices by is not what the helper does. */
static int download(struct helper *h, const char *path, const struct remote_attr *expect,
                    uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    struct remote_attr known;

    if (expect) {
        known = *expect;
        known.dev = 0;
    }
    return plain_download(h->plain, path, expect ? &known : NULL, off, len, fd, ret_len);
}

static int fetch_and_look(struct helper *h, const char *path, const struct remote_attr *expect,
                          uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    struct remote_attr attr;
    int r = download(h, path, expect, off, len, fd, ret_len);

    if (r == 0)
        r = helper_stat(&h->remote, path, &attr, NULL);
    return r == 0 && !remote_attr_same(expect, &attr) ? -ESTALE : r;
}

static int helper_fetch(struct remote *r, const char *path, const struct remote_attr *expect,
                        uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    struct helper *h = helper_of(r);
    /* Nothing in a file of size 0, unless it is one of the kernel's: plain knows those. */
    const uint64_t left = expect && off < expect->size ? expect->size - off : 0;
    const uint64_t want = len < left ? len : left;
    const bool whole = off == 0 && want == left && want > PLAIN_STEADY && want <= WHOLE_MAX;
    const bool exactly = want > 0 && (whole || is_young(h, expect));

    if (exactly && want <= READ_MAX)
        return fetch_exactly(h, path, expect, off, want, fd, ret_len);
    if (exactly)
        return fetch_and_look(h, path, expect, off, len, fd, ret_len);
    return download(h, path, expect, off, len, fd, ret_len);
}

static int helper_fetch_many(struct remote *r, const struct remote_many *many)
{
    return remote_fetch_many(helper_of(r)->plain, many);
}

/* ---- what the file calls do as well ---- */

/* They give device numbers, which are not what the helper tells devices by. */
static int without_device(int r, struct remote_attr *ret)
{
    if (r == 0 && ret)
        ret->dev = 0;
    return r;
}

static int helper_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return without_device(remote_create(helper_of(r)->plain, path, mode, ret), ret);
}

static int helper_put(struct remote *r, const char *path, const struct remote_put *put,
                      struct remote_attr *ret)
{
    return without_device(remote_put(helper_of(r)->plain, path, put, ret), ret);
}

static int helper_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    return without_device(remote_mkdir(helper_of(r)->plain, path, mode, ret), ret);
}

static int helper_symlink(struct remote *r, const char *target, const char *path,
                          struct remote_attr *ret)
{
    return without_device(remote_symlink(helper_of(r)->plain, target, path, ret), ret);
}

static int helper_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret)
{
    return without_device(remote_link(helper_of(r)->plain, from, to, ret), ret);
}

static int helper_unlink(struct remote *r, const char *path)
{
    return remote_unlink(helper_of(r)->plain, path);
}

static int helper_rmdir(struct remote *r, const char *path)
{
    return remote_rmdir(helper_of(r)->plain, path);
}

static int helper_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                         struct remote_attr *ret)
{
    return without_device(remote_rename(helper_of(r)->plain, from, to, flags, ret), ret);
}

static int helper_exchange(struct remote *r, const char *from, const char *to,
                           const uint64_t ino[2], struct remote_attr ret[2])
{
    const int err = remote_exchange(helper_of(r)->plain, from, to, ino, ret);

    (void)without_device(err, &ret[0]);
    return without_device(err, &ret[1]);
}

static int helper_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                          struct remote_attr *ret)
{
    return without_device(remote_setattr(helper_of(r)->plain, path, set, ret), ret);
}

/* ---- making and freeing ---- */

/* Not the remote that it wraps: that is only ours once everything has worked. */
static void done(struct helper *h)
{
    daytona_sandbox_unref(h->sandbox);
    remote_info_done(&h->info);
    helper_programs_done(h->programs, h->program_count);
    pthread_cond_destroy(&h->settled);
    lock_done(&h->lock);
    free(h);
}

static void helper_free(struct remote *r)
{
    struct helper *h = helper_of(r);

    remote_free(h->plain);
    done(h);
}

static const struct remote_ops helper_ops = {
    .name = "helper",
    .info = helper_info,
    .stat = helper_stat,
    .list = helper_list,
    .tree = helper_tree,
    .changes = helper_changes,
    .fetch = helper_fetch,
    .fetch_many = helper_fetch_many,
    .snapshot = helper_snapshot,
    .create = helper_create,
    .put = helper_put,
    .mkdir = helper_mkdir,
    .symlink = helper_symlink,
    .link = helper_link,
    .unlink = helper_unlink,
    .rmdir = helper_rmdir,
    .rename = helper_rename,
    .exchange = helper_exchange,
    .setattr = helper_setattr,
    .statfs = helper_statfs,
    .exec = helper_exec,
    .apply = helper_apply,
    .stage = helper_stage,
    .join = helper_join,
    .job = helper_job,
    .free = helper_free,
};

/* The folder of all clients, beside the helper. */
static char *kept_dir(struct helper *h)
{
    char path[HELPER_DIR_MAX + 16];

    lock_take(&h->lock);
    snprintf(path, sizeof(path), "%s/clients", h->dir);
    lock_drop(&h->lock);
    return strdup(path);
}

static int take_info(struct helper *h, const struct proto_info *info)
{
    h->info.uid = (uint32_t)info->uid;
    h->info.gid = (uint32_t)info->gid;
    h->info.group_count = 0;
    for (size_t i = 0; i < info->group_count && i < REMOTE_GROUPS_MAX; i++) {
        if (info->groups[i] <= UINT32_MAX)
            h->info.groups[h->info.group_count++] = (uint32_t)info->groups[i];
    }
    h->info.privileged = info->capabilities >> CAP_DAC_OVERRIDE_BIT & 1;
    h->info.caps |= REMOTE_CAP_LSTAT | REMOTE_CAP_STATFS | REMOTE_CAP_CHANGES | REMOTE_CAP_APPLY |
                    REMOTE_CAP_JOBS;
    answer_device(info->folder_dev, &h->info.kept_at);
    h->info.kept_dir = kept_dir(h);
    return h->info.kept_dir ? 0 : -ENOMEM;
}

static int begin(struct helper *h, struct buf *why)
{
    struct buf raw = BUF_INIT(SMALL);
    struct proto_info info;
    struct answer_end end;
    const int64_t start_ns = clock_real_ns();
    int64_t took_ns;
    const char *shell;
    int r = helper_install(h, 0, false, &raw, why);

    if (r == 0 && answer_info(&raw, &end, &info) < 0) {
        r = -EOPNOTSUPP;
        (void)buf_puts(why, "the helper in the sandbox does not answer as it should");
    }
    if (r == 0)
        r = take_info(h, &info);
    if (r == 0) {
        took_ns = clock_real_ns() - start_ns;
        /* It was asked and answered in between; after an upload plain's own measure is better. */
        if (took_ns >= 0 && took_ns < 200 * NS_PER_MS)
            h->info.clock_offset_ns =
                (int64_t)((uint64_t)end.start.now_ns - (uint64_t)(start_ns + took_ns / 2));
        atomic_store(&h->clock_offset_ns, h->info.clock_offset_ns);
        shell = path_base(h->info.shell);
        atomic_store(&h->stdin_is_left, strcmp(shell, "zsh") == 0 || strcmp(shell, "bash") == 0);
    }
    buf_done(&raw);
    return r;
}

static int prepare(struct helper *h, const char *local_helper_path, struct buf *why)
{
    int r = remote_info(h->plain, &h->info);

    if (r < 0)
        return r;
    if (!(h->info.caps & REMOTE_CAP_EXEC)) {
        (void)buf_puts(why, "no command can be run in the sandbox");
        return -EOPNOTSUPP;
    }
    r = helper_programs_load(local_helper_path, h->programs, &h->program_count);
    if (r < 0) {
        (void)buf_puts(why, "no helper program is installed here");
        return r == -ENOMEM ? r : -EOPNOTSUPP;
    }
    return begin(h, why);
}

int remote_helper_new(struct daytona_sandbox *sandbox, struct remote *plain,
                      const char *local_helper_path, struct remote **ret, struct buf *why)
{
    struct helper *h = calloc(1, sizeof(*h));
    int r;

    if (!h)
        return -ENOMEM;
    h->remote.ops = &helper_ops;
    h->plain = plain;
    h->sandbox = daytona_sandbox_ref(sandbox);
    lock_init(&h->lock);
    lock_cond_init(&h->settled);
    h->op_timeout_s = remote_plain_op_timeout_s(plain);
    r = prepare(h, local_helper_path, why);
    if (r < 0)
        done(h);
    else
        *ret = &h->remote;
    return r;
}
