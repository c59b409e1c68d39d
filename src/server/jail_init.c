/*
 * jail_init.c - the init of a sandbox: a process that starts what it is told to and reaps what
 * ends. With isolation it is pid 1 of its namespace, and its end is everybody's end.
 *
 * It comes from a fork of a process with threads: no malloc, no stdio, no locks here.
 */
#include "server/jail_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct job {
    pid_t pid; /* 0: free */
    uint32_t id;
    int status_fd;
    bool kept;  /* stays when its leader has ended, until it is to be forgotten */
    bool ended; /* its leader has */
};

static struct job jobs[JAIL_JOBS_MAX];

static int send_hello(int control, int err, const char *step, int root_fd)
{
    struct jail_hello hello = {.err = err};
    struct iovec iov = {.iov_base = &hello, .iov_len = sizeof(hello)};
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } ctl = {0};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};

    snprintf(hello.step, sizeof(hello.step), "%s", step);
    if (root_fd >= 0) {
        struct cmsghdr *c;

        msg.msg_control = ctl.bytes;
        msg.msg_controllen = sizeof(ctl.bytes);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &root_fd, sizeof(int));
    }
    return sendmsg(control, &msg, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static void fail(const struct jail_plan *plan, int err, const char *step)
{
    (void)send_hello(plan->control, err < 0 ? -err : err, step, -1);
    _exit(1);
}

static void report(int fd, int kind, int value)
{
    struct jail_event event = {.kind = kind, .value = value};

    /* A reader that has gone does not want to know. */
    (void)!write(fd, &event, sizeof(event));
}

static void reap(void)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
        for (size_t i = 0; i < JAIL_JOBS_MAX; i++) {
            if (jobs[i].pid != pid || jobs[i].ended)
                continue;
            report(jobs[i].status_fd, JAIL_EXITED, status);
            close(jobs[i].status_fd);
            jobs[i].ended = true;
            if (!jobs[i].kept)
                jobs[i].pid = 0;
            break;
        }
    }
}

/* Puts fds[i] at i; first all of them out of the way of each other. */
static bool place_fds(int *fds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, 16);
        if (fds[i] < 0)
            return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (dup2(fds[i], (int)i) < 0)
            return false;
    }
    return true;
}

/* In the new process. */
static void become(const char *cwd, char *const *argv, char *const *env, unsigned flags, int *fds,
                   size_t job_fds)
{
    const int status = fcntl(fds[JAIL_FD_STATUS], F_DUPFD_CLOEXEC, 16);
    sigset_t none;

    if (flags & JAIL_SESSION)
        setsid();
    else
        setpgid(0, 0);
    if (status < 0)
        _exit(127);
    if (!place_fds(fds + JAIL_FD_JOB, job_fds) ||
        ((flags & JAIL_TERMINAL) && ioctl(0, TIOCSCTTY, 0) < 0)) {
        report(status, JAIL_NO_EXEC, errno);
        _exit(127);
    }
    for (int sig = 1; sig < NSIG; sig++)
        (void)signal(sig, SIG_DFL); /* refused for KILL and STOP */
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir(cwd) < 0) {
        report(status, JAIL_NO_CWD, errno);
        _exit(127);
    }
    execve(argv[0], argv, env);
    report(status, JAIL_NO_EXEC, errno);
    _exit(127);
}

/* Cuts the block into its strings. False if it does not hold what the request says. */
static bool cut_strings(char *block, const struct jail_request *rq, char **ret_cwd, char **argv,
                        char **env)
{
    char *p = block, *const end = block + rq->bytes;

    if (rq->bytes == 0 || end[-1] != '\0' || rq->argc == 0 || rq->argc > JAIL_ARGV_MAX ||
        rq->envc > JAIL_ENV_MAX)
        return false;
    *ret_cwd = p;
    p += strlen(p) + 1;
    for (uint32_t i = 0; i < rq->argc; i++) {
        if (p >= end)
            return false;
        argv[i] = p;
        p += strlen(p) + 1;
    }
    argv[rq->argc] = NULL;
    for (uint32_t i = 0; i < rq->envc; i++) {
        if (p >= end)
            return false;
        env[i] = p;
        p += strlen(p) + 1;
    }
    env[rq->envc] = NULL;
    return true;
}

static void spawn(const struct jail_request *rq, int *fds, size_t count)
{
    static char *argv[JAIL_ARGV_MAX + 1], *env[JAIL_ENV_MAX + 1];
    char *block, *cwd;
    size_t slot = 0;
    pid_t pid;

    while (slot < JAIL_JOBS_MAX && jobs[slot].pid)
        slot++;
    block = mmap(NULL, rq->bytes ? rq->bytes : 1, PROT_READ, MAP_PRIVATE, fds[JAIL_FD_SPEC], 0);
    if (slot == JAIL_JOBS_MAX || block == MAP_FAILED || !cut_strings(block, rq, &cwd, argv, env)) {
        report(fds[JAIL_FD_STATUS], JAIL_NO_EXEC, EAGAIN);
        close(fds[JAIL_FD_STATUS]);
        goto out;
    }
    pid = fork();
    if (pid == 0)
        become(cwd, argv, env, rq->flags, fds, count - JAIL_FD_JOB);
    if (pid < 0) {
        report(fds[JAIL_FD_STATUS], JAIL_NO_EXEC, errno);
        close(fds[JAIL_FD_STATUS]);
        goto out;
    }
    if (!(rq->flags & JAIL_SESSION))
        setpgid(pid, pid); /* here too: a kill may come before the child has run */
    jobs[slot] = (struct job){.pid = pid,
                              .id = rq->id,
                              .status_fd = fds[JAIL_FD_STATUS],
                              .kept = rq->flags & JAIL_SESSION};
out:
    if (block != MAP_FAILED)
        munmap(block, rq->bytes ? rq->bytes : 1);
    for (size_t i = JAIL_FD_SPEC; i < count; i++)
        close(fds[i]);
}

static void kill_job(uint32_t id)
{
    for (size_t i = 0; i < JAIL_JOBS_MAX; i++) {
        if (jobs[i].pid && jobs[i].id == id && !jobs[i].ended)
            kill(-jobs[i].pid, SIGKILL);
    }
}

/* ---- a session's processes ---- */

struct process {
    pid_t pid, parent, session;
    bool ours;
};

static struct process processes[JAIL_PROCESSES_MAX];

/* The numbers behind "PID (NAME) S ": parent, group, session. The name may hold anything. */
static bool read_process(pid_t pid, struct process *p)
{
    char path[32], text[1024], *at;
    long values[3] = {0};
    ssize_t n;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return false;
    text[n] = '\0';
    at = strrchr(text, ')');
    if (!at || strlen(at) < 4 || at[2] == 'Z')
        return false;
    at += 3;
    for (size_t i = 0; i < 3; i++) {
        while (*at == ' ')
            at++;
        while (*at >= '0' && *at <= '9')
            values[i] = values[i] * 10 + (*at++ - '0');
    }
    *p = (struct process){.pid = pid, .parent = (pid_t)values[0], .session = (pid_t)values[2]};
    return true;
}

static size_t list_processes(void)
{
    /* As the kernel writes it; opendir would take memory. */
    struct entry {
        uint64_t ino;
        int64_t off;
        unsigned short len;
        unsigned char type;
        char name[];
    };
    static char block[16384] __attribute__((aligned(8)));
    size_t count = 0;
    long n;
    int fd;

    fd = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while ((n = syscall(SYS_getdents64, fd, block, sizeof(block))) > 0) {
        for (long at = 0; at < n;) {
            const struct entry *e = (const struct entry *)(block + at);
            pid_t pid = 0;

            for (const char *p = e->name; *p >= '0' && *p <= '9'; p++)
                pid = pid * 10 + (*p - '0');
            if (pid > 1 && count < JAIL_PROCESSES_MAX && read_process(pid, &processes[count]))
                count++;
            at += e->len;
        }
    }
    close(fd);
    return count;
}

/* Marks who is in the leader's session or descends from it, until nobody is added. */
static void mark_tree(pid_t leader, size_t count)
{
    bool more = true;

    while (more) {
        more = false;
        for (size_t i = 0; i < count; i++) {
            struct process *p = &processes[i];
            bool ours = p->pid == leader || p->session == leader;

            for (size_t k = 0; !ours && !p->ours && k < count; k++)
                ours = processes[k].ours && processes[k].pid == p->parent;
            if (ours && !p->ours)
                p->ours = more = true;
        }
    }
}

static int kill_tree(uint32_t id, int sig)
{
    size_t count;
    int hit = 0;

    for (size_t i = 0; i < JAIL_JOBS_MAX; i++) {
        if (!jobs[i].pid || jobs[i].id != id)
            continue;
        count = list_processes();
        mark_tree(jobs[i].pid, count);
        for (size_t k = 0; k < count; k++) {
            if (processes[k].ours && kill(processes[k].pid, sig) == 0)
                hit++;
        }
    }
    return hit;
}

/* Init is not among them: a signal to everybody spares who sends it. */
static int signal_all(int sig, bool isolate)
{
    if (isolate)
        return kill(-1, sig) < 0 && errno != ESRCH ? -errno : 0;
    for (size_t i = 0; i < JAIL_JOBS_MAX; i++) {
        if (jobs[i].pid)
            (void)kill_tree(jobs[i].id, sig);
    }
    return 0;
}

static void forget(uint32_t id)
{
    for (size_t i = 0; i < JAIL_JOBS_MAX; i++) {
        if (jobs[i].pid && jobs[i].id == id) {
            jobs[i].kept = false;
            if (jobs[i].ended)
                jobs[i].pid = 0;
        }
    }
}

/* False when the server has gone. */
static bool take_request(int control, bool isolate)
{
    struct jail_request rq;
    struct iovec iov = {.iov_base = &rq, .iov_len = sizeof(rq)};
    union {
        char bytes[CMSG_SPACE(sizeof(int) * JAIL_FDS_MAX)];
        struct cmsghdr align;
    } ctl;
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = ctl.bytes,
                         .msg_controllen = sizeof(ctl.bytes)};
    int fds[JAIL_FDS_MAX];
    size_t count = 0;
    struct cmsghdr *c;
    ssize_t n;

    n = recvmsg(control, &msg, MSG_CMSG_CLOEXEC);
    if (n < 0)
        return errno == EINTR;
    if (n != (ssize_t)sizeof(rq))
        return false;
    c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_type == SCM_RIGHTS && c->cmsg_len <= CMSG_LEN(sizeof(fds))) {
        count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(fds, CMSG_DATA(c), count * sizeof(int));
    }
    if (rq.kind == JAIL_SPAWN && count > JAIL_FD_JOB) {
        spawn(&rq, fds, count);
    } else if (rq.kind == JAIL_KILL_TREE && count == 1) {
        report(fds[0], JAIL_COUNTED, kill_tree(rq.id, rq.sig));
        close(fds[0]);
    } else if (rq.kind == JAIL_SIGNAL_ALL && count == 1) {
        report(fds[0], JAIL_COUNTED, signal_all(rq.sig, isolate));
        close(fds[0]);
    } else if (rq.kind == JAIL_FORGET) {
        forget(rq.id);
    } else if (rq.kind == JAIL_KILL) {
        kill_job(rq.id);
    } else {
        return false;
    }
    return true;
}

/*
 * Without a pid namespace nothing dies with us: kill children, and their children as they become
 * ours (we are their subreaper), until there are none.
 */
static void kill_children(void)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    char path[64], list[4096];

    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)syscall(SYS_gettid));
    for (int round = 0; round < 2000; round++) {
        ssize_t n;
        int fd;

        for (size_t i = 0; i < JAIL_JOBS_MAX; i++) {
            if (jobs[i].pid)
                kill(-jobs[i].pid, SIGKILL);
        }
        fd = open(path, O_RDONLY | O_CLOEXEC);
        n = fd < 0 ? -1 : read(fd, list, sizeof(list) - 1);
        if (fd >= 0)
            close(fd);
        if (n > 0) {
            list[n] = '\0';
            for (char *p = list; *p;) {
                long pid = 0;

                while (*p >= '0' && *p <= '9')
                    pid = pid * 10 + (*p++ - '0');
                if (pid > 1 && (*p == ' ' || *p == '\0'))
                    kill((pid_t)pid, SIGKILL);
                if (*p)
                    p++;
            }
        }
        reap();
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD)
            return;
        nanosleep(&pause, NULL);
    }
}

static void serve(const struct jail_plan *plan, int sigfd)
{
    struct pollfd fds[2] = {{.fd = plan->control, .events = POLLIN},
                            {.fd = sigfd, .events = POLLIN}};

    for (;;) {
        struct signalfd_siginfo info;

        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            break;
        if (fds[1].revents) {
            (void)!read(sigfd, &info, sizeof(info));
            reap();
        }
        if (fds[0].revents && !take_request(plan->control, plan->isolate))
            break;
    }
    if (!plan->isolate)
        kill_children();
    _exit(0);
}

/* Pid 1 of the sandbox, or without isolation just a process with children. */
static void init_main(const struct jail_plan *plan)
{
    const char *step = "";
    int root_fd = -1, sigfd, null_fd, r;
    sigset_t mask;

    if (plan->isolate) {
        r = jail_root_build(plan, &step);
        if (r < 0)
            fail(plan, r, step);
        root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
            fail(plan, errno, "opening the root");
        r = jail_root_drop_caps();
        if (r < 0)
            fail(plan, r, "dropping capabilities");
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); /* hides /proc/1 from the sandbox */
    } else {
        (void)prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    null_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    for (int fd = 0; null_fd >= 0 && fd < 3; fd++)
        dup2(null_fd, fd);
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigfd = signalfd(-1, &mask, SFD_CLOEXEC);
    if (sigfd < 0)
        fail(plan, errno, "signalfd");
    /* Everything is held back: Ctrl-C at the terminal is the server's to act on. */
    sigfillset(&mask);
    sigprocmask(SIG_SETMASK, &mask, NULL);
    if (send_hello(plan->control, 0, "", root_fd) < 0)
        _exit(1);
    if (root_fd >= 0)
        close(root_fd);
    serve(plan, sigfd);
}

static int write_map(const char *path, const char *text)
{
    const size_t len = strlen(text);
    ssize_t n;
    int fd;

    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    n = write(fd, text, len);
    close(fd);
    return n == (ssize_t)len ? 0 : -EPERM;
}

static void enter_namespaces(const struct jail_plan *plan)
{
    char map[64];
    int r;

    if (plan->userns) {
        if (unshare(CLONE_NEWUSER) < 0)
            fail(plan, errno, "making a user namespace");
        r = write_map("/proc/self/setgroups", "deny");
        if (r < 0)
            fail(plan, r, "setgroups");
        snprintf(map, sizeof(map), "%u %u 1", plan->uid, plan->uid);
        r = write_map("/proc/self/uid_map", map);
        if (r < 0)
            fail(plan, r, "mapping the user");
        snprintf(map, sizeof(map), "%u %u 1", plan->gid, plan->gid);
        r = write_map("/proc/self/gid_map", map);
        if (r < 0)
            fail(plan, r, "mapping the group");
    }
    if (unshare(CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        fail(plan, errno, "making namespaces");
}

void jail_init_main(const struct jail_plan *plan)
{
    pid_t pid;

    /* Nothing of the server's: no listening socket, no connection, no other sandbox. */
    if ((plan->control > 3 && syscall(SYS_close_range, 3, plan->control - 1, 0) < 0) ||
        syscall(SYS_close_range, plan->control + 1, ~0U, 0) < 0)
        fail(plan, errno, "closing files (Linux 5.9 is needed)");
    setsid();
    if (!plan->isolate) {
        init_main(plan);
        _exit(0);
    }
    enter_namespaces(plan);
    pid = fork();
    if (pid < 0)
        fail(plan, errno, "starting the init");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); /* this process has one thread: it is safe */
        init_main(plan);
        _exit(0);
    }
    close(plan->control);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    _exit(0);
}
