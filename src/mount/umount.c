#include "mount/umount.h"

#include "mount/dirs.h"
#include "mount/exitcode.h"
#include "mount/order.h"
#include "mount/place.h"
#include "mount/recover.h"
#include "mount/registry.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* How long a daytonafs that was unmounted may take to send what is left, and to end. */
enum { GONE_TIMEOUT_S = 300, GONE_LAZY_S = 3 };

extern char **environ;

/* ---- the kernel's side ---- */

static int wait_for(pid_t pid)
{
    int status;

    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -errno;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

/* What a helper program says on stderr tells why it failed. */
static int run_fusermount(const char *program, const char *dir, bool lazy)
{
    const char *argv[] = {program, "-u", lazy ? "-z" : "-q", "--", dir, NULL};
    posix_spawn_file_actions_t actions;
    char text[1024];
    size_t len = 0;
    int fds[2], r;
    pid_t pid;
    ssize_t n;

    if (pipe2(fds, O_CLOEXEC) < 0)
        return -errno;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
    r = -posix_spawnp(&pid, program, &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(fds[1]);
    while (r == 0 && len < sizeof(text) - 1 &&
           (n = read(fds[0], text + len, sizeof(text) - 1 - len)) != 0) {
        if (n > 0)
            len += (size_t)n;
        else if (errno != EINTR)
            break;
    }
    text[len] = '\0';
    close(fds[0]);
    if (r < 0)
        return r;
    r = wait_for(pid);
    if (r <= 0)
        return r;
    r = errtext_parse(text);
    return r < 0 ? r : -EPERM;
}

int umount_detach(const char *dir, bool lazy)
{
    int r;

    if (umount2(dir, UMOUNT_NOFOLLOW | (lazy ? MNT_DETACH : 0)) == 0)
        return 0;
    if (errno != EPERM)
        return -errno;
    r = run_fusermount("fusermount3", dir, lazy);
    if (r == -ENOENT)
        r = run_fusermount("fusermount", dir, lazy);
    return r;
}

/* ---- the process behind it ---- */

static int open_process(pid_t pid)
{
    return (int)syscall(SYS_pidfd_open, pid, 0);
}

/* 0, or -ETIMEDOUT. pidfd < 0: it was gone before. */
static int wait_gone(int pidfd, int timeout_s)
{
    const int64_t until_ns = clock_mono_ns() + timeout_s * NS_PER_S;
    struct pollfd pfd = {.fd = pidfd, .events = POLLIN};

    while (pidfd >= 0) {
        const int64_t left_ms = (until_ns - clock_mono_ns()) / NS_PER_MS;

        if (left_ms <= 0)
            return -ETIMEDOUT;
        if (poll(&pfd, 1, (int)left_ms) > 0)
            break;
    }
    return 0;
}

char *umount_kept_dir(const char *sandbox_id, pid_t pid)
{
    struct buf path = BUF_INIT(PATH_LEN_MAX);
    char *kept = dirs_kept(), *out = NULL;

    if (kept && buf_printf(&path, "%s/%s-%d", kept, sandbox_id, (int)pid) == 0)
        out = buf_take(&path);
    buf_done(&path);
    free(kept);
    return out;
}

/* Says where the data is that the process could not send. */
static int report_kept(const struct registry_entry *e)
{
    char *kept = umount_kept_dir(e->sandbox_id, e->pid);
    struct stat st;
    int code = EXITCODE_OK;

    if (kept && lstat(kept, &st) == 0) {
        fprintf(stderr,
                "daytonafs: not everything could be sent: the rest is in %s (see KEPT there)\n",
                kept);
        code = EXITCODE_QUEUED;
    }
    free(kept);
    return code;
}

/* The name of the journal that the process has: a new string, NULL if it has none. */
static char *journal_of(const struct registry_entry *e)
{
    struct recover_journal *list;
    char *name = NULL;
    size_t count;

    if (!*e->journals || recover_list(e->journals, &list, &count) < 0)
        return NULL;
    for (size_t i = 0; i < count && !name; i++)
        if (list[i].pid == (int)e->pid)
            name = strdup(list[i].name);
    recover_list_free(list, count);
    return name;
}

/* Says what the process left in its journal. */
static int report_journal(const struct registry_entry *e, const char *name)
{
    char *usual = dirs_journals();
    const bool elsewhere = !usual || strcmp(usual, e->journals) != 0;
    struct recover_journal *list;
    int code = EXITCODE_OK;
    size_t count;

    free(usual);
    if (!name || recover_list(e->journals, &list, &count) < 0)
        return EXITCODE_OK;
    for (size_t i = 0; i < count; i++) {
        const struct recover_journal *j = &list[i];

        if (strcmp(j->name, name) != 0 || j->changes == 0)
            continue;
        fprintf(stderr,
                "daytonafs: %zu changes (%" PRIu64 " bytes of data) are not in the sandbox yet: "
                "the next mount of it%s%s sends them, `daytonafs recover%s%s` lists them\n",
                j->changes, j->bytes, elsewhere ? " with -o journal_dir=" : "",
                elsewhere ? e->journals : "", elsewhere ? " --journal-dir " : "",
                elsewhere ? e->journals : "");
        code = EXITCODE_QUEUED;
    }
    recover_list_free(list, count);
    return code;
}

static int explain_detach(const char *dir, int r)
{
    if (r == -EBUSY)
        fprintf(stderr,
                "daytonafs: %s is in use: leave it (`fuser -vm` shows who is there), or add "
                "--lazy\n",
                dir);
    else
        fprintf(stderr, "daytonafs: cannot unmount %s: %s\n", dir, errtext_sentence(r));
    return r == -EBUSY ? EXITCODE_CONFLICT : EXITCODE_OTHER;
}

static int unmount_live(const struct umount_params *params, const struct registry_entry *e)
{
    const int pidfd = open_process(e->pid);
    char *journal = journal_of(e);
    int code = EXITCODE_OK, r;

    r = *e->ctl_name && !params->force
            ? order_sync(e->dir, e->ctl_name, "sync\n", params->timeout_ns)
            : 0;
    if (r < 0 && r != -ENOENT && r != -ENOTCONN) {
        fprintf(stderr,
                "daytonafs: %s still holds data that cannot be sent (%s): %s/%s/errors says "
                "why, and how to settle what is in conflict; --force unmounts and keeps it on this "
                "machine\n",
                e->dir, errtext_sentence(r), e->dir, e->ctl_name);
        order_list_left(e->dir, e->ctl_name);
        code = EXITCODE_QUEUED;
        goto out;
    }
    r = umount_detach(e->dir, params->lazy);
    if (r < 0) {
        code = explain_detach(e->dir, r);
        goto out;
    }
    if (wait_gone(pidfd, params->lazy ? GONE_LAZY_S : GONE_TIMEOUT_S) < 0) {
        if (params->lazy) {
            fprintf(stderr, "daytonafs: %s is gone from here; process %d ends when it is left\n",
                    e->dir, (int)e->pid);
            goto out;
        }
        fprintf(stderr, "daytonafs: %s is unmounted, but process %d still sends data\n", e->dir,
                (int)e->pid);
        code = EXITCODE_QUEUED;
        goto out;
    }
    code = report_kept(e);
    if (code == EXITCODE_OK)
        code = report_journal(e, journal);
out:
    if (pidfd >= 0)
        close(pidfd);
    free(journal);
    return code;
}

/* Nobody serves it: only the kernel knows of it. */
static int unmount_dead(const struct umount_params *params)
{
    char *dir = registry_resolve(params->dir), *type = NULL;
    int code = EXITCODE_NOT_FOUND, r;

    r = dir ? place_type(dir, &type) : -ENOMEM;
    if (r == 0 && strcmp(type, "fuse.daytonafs") == 0) {
        r = umount_detach(dir, params->lazy);
        code = r < 0 ? explain_detach(dir, r) : EXITCODE_OK;
    } else {
        fprintf(stderr,
                "daytonafs: %s is not a mount of a sandbox: `daytonafs mounts` lists those\n",
                params->dir);
    }
    free(type);
    free(dir);
    return code;
}

int umount_main(const struct umount_params *params)
{
    struct registry_entry e;
    char *rest = NULL;
    int code, r;

    if (!*params->dir) { /* it would mean the current directory */
        fprintf(stderr, "daytonafs: the directory's name is empty: say what to unmount\n");
        return EXITCODE_NOT_FOUND;
    }
    r = registry_find_path(params->dir, &e, &rest);
    if (r < 0)
        return unmount_dead(params);
    if (*rest) { /* a slip of the hand must not take away more than was named */
        fprintf(stderr, "daytonafs: %s is in the mount %s: `daytonafs umount %s` unmounts that\n",
                params->dir, e.dir, e.dir);
        code = EXITCODE_USAGE;
    } else {
        code = unmount_live(params, &e);
    }
    free(rest);
    registry_entry_done(&e);
    return code;
}
