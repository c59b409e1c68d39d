#include "fuse/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct guard {
    pid_t pid;
};

/* Where nobody has mounted what controls connections, root looks at it all the same. */
static int open_control(void)
{
    int context = fsopen("fusectl", FSOPEN_CLOEXEC), dir = -1;

    if (context >= 0 && fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0) == 0)
        dir = fsmount(context, FSMOUNT_CLOEXEC, 0);
    if (context >= 0)
        close(context);
    return dir;
}

/* What is written there ends the connection, and does nothing to one that gets its number later. */
static int open_abort(uint64_t dev)
{
    char path[64];
    int fd, dir, r;

    (void)snprintf(path, sizeof(path), "/sys/fs/fuse/connections/%u/abort", minor(dev));
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0 || errno != ENOENT)
        return fd < 0 ? -errno : fd;
    dir = open_control();
    if (dir < 0)
        return -errno;
    (void)snprintf(path, sizeof(path), "%u/abort", minor(dev));
    fd = openat(dir, path, O_WRONLY | O_CLOEXEC);
    r = fd < 0 ? -errno : fd;
    close(dir);
    return r;
}

/* In a copy of a process that has many threads: nothing but system calls. What else it had open it
 * must not hold, least of all the mount and the journal's lock. */
_Noreturn static void watch(int fd, pid_t parent, const sigset_t *ended)
{
    int sig;

    if (fd > 0)
        (void)close_range(0, (unsigned)fd - 1, 0);
    (void)close_range((unsigned)fd + 1, ~0U, 0);
    (void)setsid();
    (void)chdir("/");
    if (prctl(PR_SET_PDEATHSIG, SIGUSR1) == 0 && getppid() == parent)
        while (sigwait(ended, &sig) != 0)
            ;
    (void)write(fd, "1", 1); /* it may have ended by itself */
    _exit(0);
}

int guard_new(uint64_t dev, struct guard **ret)
{
    struct guard *g = calloc(1, sizeof(*g));
    const pid_t parent = getpid();
    sigset_t ended, old;
    int fd, r = 0;

    if (!g)
        return -ENOMEM;
    fd = open_abort(dev);
    if (fd < 0) {
        free(g);
        return fd;
    }
    sigemptyset(&ended);
    sigaddset(&ended, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &ended, &old);
    g->pid = fork();
    if (g->pid == 0)
        watch(fd, parent, &ended);
    if (g->pid < 0)
        r = -errno;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(fd);
    if (r < 0) {
        free(g);
        return r;
    }
    *ret = g;
    return 0;
}

struct guard *guard_free(struct guard *g)
{
    if (!g)
        return NULL;
    (void)kill(g->pid, SIGKILL);
    while (waitpid(g->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free(g);
    return NULL;
}
