/* jail.c - the server's side: starts the init, asks it for processes, ends it. */
#include "server/jail.h"

#include "server/jail_internal.h"

#include "util/clock.h"
#include "util/errtext.h"
#include "util/io.h"
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    HELLO_TIMEOUT_MS = 10000,
    END_TIMEOUT_MS = 4000,
    COUNT_TIMEOUT_MS = 4000,
    SPEC_MAX = 8 << 20
};

struct jail {
    struct lock lock;
    int control;      /* set once */
    int root_fd;      /* set once; -1: none */
    pid_t pid;        /* set once */
    uint32_t next_id; /* lock */
    unsigned refs;    /* lock */
    bool ended;       /* lock */
};

static int receive_hello(int control, struct jail_hello *hello, int *ret_root)
{
    struct iovec iov = {.iov_base = hello, .iov_len = sizeof(*hello)};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = ctl.bytes,
                         .msg_controllen = sizeof(ctl.bytes)};
    struct pollfd pfd = {.fd = control, .events = POLLIN};
    struct cmsghdr *c;
    ssize_t n;
    int r;

    do
        r = poll(&pfd, 1, HELLO_TIMEOUT_MS);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        return -ETIMEDOUT;
    n = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
    if (n != (ssize_t)sizeof(*hello))
        return -EPIPE;
    hello->step[sizeof(hello->step) - 1] = '\0';
    *ret_root = -1;
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(ret_root, CMSG_DATA(c), sizeof(int));
    return 0;
}

/* Waits for the first process; it ends when the init does. */
static void wait_end(pid_t pid)
{
    const struct timespec pause = {.tv_nsec = 2 * NS_PER_MS};
    const int64_t until = clock_mono_ns() + END_TIMEOUT_MS * NS_PER_MS;

    for (;;) {
        const pid_t got = waitpid(pid, NULL, WNOHANG);

        if (got == pid || (got < 0 && errno != EINTR))
            return;
        if (clock_mono_ns() >= until)
            break;
        nanosleep(&pause, NULL);
    }
    kill(pid, SIGKILL); /* takes its init along, and that everything else */
    (void)waitpid(pid, NULL, 0);
}

static int fill_plan(const struct jail_config *config, int control, struct jail_plan *plan)
{
    if (snprintf(plan->folder, PATH_MAX, "%s", config->folder) >= PATH_MAX ||
        snprintf(plan->tmp, PATH_MAX, "%s", config->tmp) >= PATH_MAX ||
        snprintf(plan->var_tmp, PATH_MAX, "%s", config->var_tmp) >= PATH_MAX ||
        snprintf(plan->mountpoint, PATH_MAX, "%s", config->mountpoint) >= PATH_MAX)
        return -ENAMETOOLONG;
    snprintf(plan->hostname, sizeof(plan->hostname), "%s", config->hostname);
    for (; plan->bind_count < config->bind_count; plan->bind_count++) {
        const struct jail_bind *b = &config->binds[plan->bind_count];

        if (snprintf(plan->binds[plan->bind_count].from, PATH_MAX, "%s", b->from) >= PATH_MAX ||
            snprintf(plan->binds[plan->bind_count].sub, PATH_MAX, "%s", b->sub) >= PATH_MAX ||
            snprintf(plan->binds[plan->bind_count].to, PATH_MAX, "%s", b->to) >= PATH_MAX)
            return -ENAMETOOLONG;
    }
    if (!realpath("/etc/resolv.conf", plan->resolver) ||
        strncmp(plan->resolver, "/run/", strlen("/run/")) != 0)
        plan->resolver[0] = '\0';
    plan->isolate = config->isolate;
    plan->userns = geteuid() != 0;
    plan->uid = geteuid();
    plan->gid = getegid();
    plan->control = control;
    return 0;
}

/* File calls are resolved below that root, so the kernel must be able to. */
static int check_root(int root_fd, struct jail_hello *hello)
{
    const struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
    long fd;

    if (root_fd < 0)
        return -EPROTO;
    fd = syscall(SYS_openat2, root_fd, "/", &how, sizeof(how));
    if (fd < 0) {
        snprintf(hello->step, sizeof(hello->step), "openat2 (Linux 5.6 is needed)");
        return -errno;
    }
    close((int)fd);
    return 0;
}

int jail_start(const struct jail_config *config, struct jail **ret, struct buf *why)
{
    struct jail_hello hello = {0};
    struct jail_plan *plan = NULL;
    int pair[2] = {-1, -1}, root_fd = -1, r;
    struct jail *j = NULL;
    pid_t pid = -1;

    j = calloc(1, sizeof(*j));
    plan = calloc(1, sizeof(*plan));
    r = -ENOMEM;
    if (!j || !plan)
        goto out;
    r = -errno;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
        r = -errno;
        goto out;
    }
    r = fill_plan(config, pair[1], plan);
    if (r < 0)
        goto out;
    pid = fork();
    if (pid < 0) {
        r = -errno;
        goto out;
    }
    if (pid == 0)
        jail_init_main(plan);
    close(pair[1]);
    pair[1] = -1;
    r = receive_hello(pair[0], &hello, &root_fd);
    if (r == 0 && hello.err)
        r = -hello.err;
    if (r == 0 && config->isolate)
        r = check_root(root_fd, &hello);
    if (r < 0) {
        (void)buf_printf(why, "%s: ", hello.step[0] ? hello.step : "starting the sandbox's init");
        goto out;
    }
    lock_init(&j->lock);
    j->control = pair[0];
    j->root_fd = root_fd;
    j->pid = pid;
    j->refs = 1;
    *ret = j;
    free(plan);
    return 0;
out:
    (void)buf_puts(why, errtext_sentence(r));
    if (pair[0] >= 0)
        close(pair[0]);
    if (pair[1] >= 0)
        close(pair[1]);
    if (root_fd >= 0)
        close(root_fd);
    if (pid > 0)
        wait_end(pid);
    free(plan);
    free(j);
    return r;
}

void jail_end(struct jail *j)
{
    lock_take(&j->lock);
    j->ended = true;
    lock_drop(&j->lock);
    shutdown(j->control, SHUT_RDWR);
    wait_end(j->pid);
}

bool jail_ended(struct jail *j)
{
    bool ended;

    lock_take(&j->lock);
    ended = j->ended;
    lock_drop(&j->lock);
    return ended;
}

struct jail *jail_ref(struct jail *j)
{
    lock_take(&j->lock);
    j->refs++;
    lock_drop(&j->lock);
    return j;
}

struct jail *jail_unref(struct jail *j)
{
    bool last;

    if (!j)
        return NULL;
    lock_take(&j->lock);
    last = --j->refs == 0;
    lock_drop(&j->lock);
    if (!last)
        return NULL;
    close(j->control);
    if (j->root_fd >= 0)
        close(j->root_fd);
    lock_done(&j->lock);
    free(j);
    return NULL;
}

int jail_root_fd(const struct jail *j)
{
    return j->root_fd;
}

/* cwd, argv and env, each NUL-ended, in a memory file: a packet could not hold them. */
static int make_spec(const struct jail_job *job, struct jail_request *rq)
{
    struct buf b = BUF_INIT(SPEC_MAX);
    int fd = -1, r;

    r = buf_append(&b, job->cwd, strlen(job->cwd) + 1);
    for (; r == 0 && job->argv[rq->argc]; rq->argc++)
        r = buf_append(&b, job->argv[rq->argc], strlen(job->argv[rq->argc]) + 1);
    for (; r == 0 && job->env[rq->envc]; rq->envc++)
        r = buf_append(&b, job->env[rq->envc], strlen(job->env[rq->envc]) + 1);
    if (r == 0 && (rq->argc > JAIL_ARGV_MAX || rq->envc > JAIL_ENV_MAX))
        r = -E2BIG;
    if (r < 0)
        goto out;
    fd = memfd_create("job", MFD_CLOEXEC);
    if (fd < 0) {
        r = -errno;
        goto out;
    }
    r = io_write(fd, b.data, b.len);
    if (r < 0)
        goto out;
    rq->bytes = b.len;
out:
    buf_done(&b);
    if (r < 0 && fd >= 0)
        close(fd);
    return r < 0 ? r : fd;
}

static int send_request(struct jail *j, const struct jail_request *rq, const int *fds, size_t count)
{
    struct iovec iov = {.iov_base = (void *)rq, .iov_len = sizeof(*rq)};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * JAIL_FDS_MAX)];
        struct cmsghdr align;
    } ctl = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;

    if (count > 0) {
        struct cmsghdr *c;

        msg.msg_control = ctl.bytes;
        msg.msg_controllen = CMSG_SPACE(sizeof(int) * count);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int) * count);
        memcpy(CMSG_DATA(c), fds, sizeof(int) * count);
    }
    do
        n = sendmsg(j->control, &msg, MSG_NOSIGNAL);
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}

int jail_spawn(struct jail *j, const struct jail_job *job, int *ret_status, uint32_t *ret_id)
{
    struct jail_request rq = {.kind = JAIL_SPAWN, .flags = job->flags};
    int status[2], fds[JAIL_FDS_MAX], spec, r;

    spec = make_spec(job, &rq);
    if (spec < 0)
        return spec;
    if (pipe2(status, O_CLOEXEC) < 0) {
        r = -errno;
        close(spec);
        return r;
    }
    lock_take(&j->lock);
    rq.id = ++j->next_id;
    lock_drop(&j->lock);
    fds[JAIL_FD_SPEC] = spec;
    fds[JAIL_FD_STATUS] = status[1];
    memcpy(fds + JAIL_FD_JOB, job->fds, sizeof(int) * job->fd_count);
    r = send_request(j, &rq, fds, JAIL_FD_JOB + job->fd_count);
    close(spec);
    close(status[1]);
    if (r < 0) {
        close(status[0]);
        return r;
    }
    *ret_status = status[0];
    *ret_id = rq.id;
    return 0;
}

int jail_kill_group(struct jail *j, uint32_t id)
{
    const struct jail_request rq = {.kind = JAIL_KILL, .id = id};

    return send_request(j, &rq, NULL, 0);
}

/* Sends a request that is answered with a number. */
static int ask(struct jail *j, const struct jail_request *rq)
{
    struct jail_event event;
    struct pollfd pfd;
    int pipes[2], r;

    if (pipe2(pipes, O_CLOEXEC) < 0)
        return -errno;
    r = send_request(j, rq, &pipes[1], 1);
    close(pipes[1]);
    if (r < 0)
        goto out;
    pfd = (struct pollfd){.fd = pipes[0], .events = POLLIN};
    do
        r = poll(&pfd, 1, COUNT_TIMEOUT_MS);
    while (r < 0 && errno == EINTR);
    if (r == 0)
        r = -ETIMEDOUT;
    else if (read(pipes[0], &event, sizeof(event)) != (ssize_t)sizeof(event))
        r = -EPIPE;
    else
        r = event.value;
out:
    close(pipes[0]);
    return r;
}

int jail_kill_tree(struct jail *j, uint32_t id, int sig)
{
    const struct jail_request rq = {.kind = JAIL_KILL_TREE, .id = id, .sig = sig};

    return ask(j, &rq);
}

int jail_freeze(struct jail *j, bool on)
{
    const struct jail_request rq = {.kind = JAIL_SIGNAL_ALL, .sig = on ? SIGSTOP : SIGCONT};
    const int r = ask(j, &rq);

    return r < 0 ? r : 0;
}

void jail_forget(struct jail *j, uint32_t id)
{
    const struct jail_request rq = {.kind = JAIL_FORGET, .id = id};

    (void)send_request(j, &rq, NULL, 0); /* fails when the init has ended: forgotten, too */
}
