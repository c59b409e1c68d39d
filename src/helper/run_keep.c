/*
 * The keeper of a job: a process of its own, in a session of its own, with none of the descriptors
 * that it was born with, so that nobody waits for it. It starts the job, hands it what is written
 * to its stdin, and writes down how it ended.
 */
#include "helper/run.h"

#include "helper/text.h"
#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CLOSE_RANGE_NUMBER = 436, /* the C library may be older than the kernel */
    FDS_MAX = 65536,
    LAST_SIGNAL = 64,
    CHUNK = 64 << 10,
    LOOK_MS = 20,  /* where nothing tells of output */
    NOT_RUN = 125, /* as docker has them */
    NOT_EXECUTABLE = 126,
    NOT_FOUND = 127,
};

/* What a keeper has open, at these numbers. 0 to 2 are /dev/null. */
enum { FD_SPOOL = 3, FD_JOB, FD_ALIVE, FD_DONE, FD_FREE };

struct keeper {
    const struct run_request *req;
    struct run_state state;
    int events; /* inotify of out and err; -1: none */
    struct order order;
    int signals; /* signalfd of SIGCHLD */
    int in;      /* the spooled stdin; -1: it is not handed over, or not any more */
    int wake;
    int pipe; /* to the job's stdin, not blocking; -1 as in */
    struct job_taken taken;
};

/* Why the child could not become the job. */
struct failure {
    int err, code;
};

/* ---- the child ---- */

static void become_default(void)
{
    sigset_t none;

    for (int s = 1; s <= LAST_SIGNAL; s++)
        (void)signal(s, SIG_DFL);
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

static void set_environment(const struct run_request *req)
{
    unsetenv("OLDPWD");
    unsetenv("_");
    (void)setenv("PWD", req->cwd, 1);
    for (size_t i = 0; i < req->envc; i++)
        (void)putenv(req->env[i]);
}

/* A script without #!, as shells run it. */
static void exec_script(const struct run_request *req)
{
    char **argv = calloc(req->argc + 2, sizeof(*argv));

    if (!argv)
        return;
    argv[0] = (char *)"sh";
    memcpy(argv + 1, req->argv, req->argc * sizeof(*argv));
    execv("/bin/sh", argv);
    free(argv);
}

static _Noreturn void fail(int pipe, int err, int code)
{
    const struct failure f = {.err = err, .code = code};

    (void)!write(pipe, &f, sizeof(f));
    _exit(code);
}

static _Noreturn void be_job(const struct run_request *req, int in, int out, int err, int pipe)
{
    (void)setsid();
    become_default();
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        fail(pipe, errno, NOT_RUN);
    if (chdir(req->cwd) < 0)
        fail(pipe, errno, NOT_RUN);
    set_environment(req);
    execvp(req->argv[0], req->argv);
    if (errno == ENOEXEC && strchr(req->argv[0], '/'))
        exec_script(req);
    fail(pipe, errno, errno == ENOENT || errno == ENOTDIR ? NOT_FOUND : NOT_EXECUTABLE);
}

/* ---- the keeper ---- */

/* The job's end of its stdin; sets up how the rest of it gets there. */
static int open_stdin(struct keeper *k)
{
    int ends[2], fd;

    if (!(k->req->flags & RUN_STDIN_OPEN)) {
        fd = openat(FD_JOB, "in", O_RDONLY | O_CLOEXEC);
        return fd < 0 && errno == ENOENT ? open("/dev/null", O_RDONLY | O_CLOEXEC) : fd;
    }
    k->in = openat(FD_JOB, "in", O_RDWR | O_CLOEXEC);
    k->wake = openat(FD_JOB, "wake", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (k->in < 0 || k->wake < 0 || pipe2(ends, O_CLOEXEC) < 0)
        return -1;
    k->pipe = ends[1];
    (void)fcntl(k->pipe, F_SETFL, O_NONBLOCK);
    return ends[0];
}

static int start_job(struct keeper *k)
{
    const int append = O_WRONLY | O_APPEND | O_CLOEXEC;
    const int in = open_stdin(k), out = openat(FD_JOB, "out", append);
    const int err = openat(FD_JOB, "err", append);
    struct failure f = {0};
    int pipe[2];
    pid_t pid;

    if (in < 0 || out < 0 || err < 0 || pipe2(pipe, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid < 0)
        return -errno;
    if (pid == 0)
        be_job(k->req, in, out, err, pipe[1]);
    close(pipe[1]);
    close(in);
    close(out);
    close(err);
    while (read(pipe[0], &f, sizeof(f)) < 0 && errno == EINTR)
        ;
    close(pipe[0]);
    k->state.pid = (uint64_t)pid;
    k->state.err = (uint64_t)f.err;
    k->state.exit_code = (uint64_t)f.code;
    return 0;
}

static void end_input(struct keeper *k, bool closed)
{
    close(k->pipe);
    close(k->in);
    k->pipe = k->in = -1;
    k->taken.closed = closed;
    job_taken_put(FD_JOB, &k->taken);
}

/* Hands over what there is and the job takes. True: there is more to hand over. */
static bool feed(struct keeper *k)
{
    for (;;) {
        static char chunk[CHUNK];
        const bool ended = job_has(FD_JOB, "end"); /* first: then all of it is in the file */
        const ssize_t n = pread(k->in, chunk, sizeof(chunk), (off_t)k->taken.bytes);
        ssize_t w;

        if (n <= 0) {
            if (ended || n < 0)
                end_input(k, false);
            return false;
        }
        w = write(k->pipe, chunk, (size_t)n);
        if (w < 0 && errno == EINTR)
            continue;
        if (w < 0 && errno == EAGAIN)
            return true;
        if (w < 0) {
            end_input(k, true);
            return false;
        }
        k->taken.bytes += (uint64_t)w;
        job_taken_put(FD_JOB, &k->taken);
        /* The disk need not hold what the job has got; where it cannot be freed, it stays. */
        (void)fallocate(k->in, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
                        (off_t)k->taken.bytes);
    }
}

static void watch_output(struct keeper *k)
{
    static const char *const names[] = {"out", "err"};

    k->order = order_open(FD_JOB);
    k->events = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    for (size_t i = 0; i < ARRAY_LEN(names) && k->events >= 0; i++) {
        char path[64];

        text_make(path, sizeof(path), "/proc/self/fd/%d/%s", FD_JOB, names[i]);
        if (inotify_add_watch(k->events, path, IN_MODIFY) < 0) {
            close(k->events);
            k->events = -1;
        }
    }
}

static void note_output(struct keeper *k)
{
    struct stat out, err;

    if (fstatat(FD_JOB, "out", &out, 0) == 0 && fstatat(FD_JOB, "err", &err, 0) == 0)
        order_note(&k->order, (uint64_t)out.st_size, (uint64_t)err.st_size);
}

/* Until the job has ended. */
static void tend(struct keeper *k)
{
    bool more = k->in >= 0 && feed(k);
    siginfo_t info;

    for (;;) {
        struct signalfd_siginfo skip;
        char bytes[4096];
        struct pollfd p[] = {{.fd = k->signals, .events = POLLIN},
                             {.fd = k->in >= 0 ? k->wake : -1, .events = POLLIN},
                             {.fd = k->pipe, .events = more ? POLLOUT : 0},
                             {.fd = k->events, .events = POLLIN}};

        info.si_pid = 0;
        if (waitid(P_PID, (id_t)k->state.pid, &info, WEXITED | WNOWAIT | WNOHANG) < 0 ||
            info.si_pid != 0)
            break;
        if (poll(p, ARRAY_LEN(p), k->events < 0 ? LOOK_MS : -1) < 0)
            continue;
        if (p[3].revents) {
            note_output(k);
            (void)poll(NULL, 0, 1); /* much output must not make as many points */
            while (read(k->events, bytes, sizeof(bytes)) > 0)
                ;
        }
        note_output(k);
        if (p[0].revents)
            (void)!read(k->signals, &skip, sizeof(skip));
        while (p[1].revents && read(k->wake, bytes, sizeof(bytes)) > 0)
            ;
        if (k->in >= 0 && (p[2].revents & POLLERR))
            end_input(k, true);
        else if (k->in >= 0 && (p[1].revents || p[2].revents))
            more = feed(k);
    }
    note_output(k);
    if (k->state.err != 0)
        return; /* what it exited with is our own doing */
    if (info.si_code == CLD_EXITED)
        k->state.exit_code = (uint64_t)info.si_status;
    else
        k->state.signal = (uint64_t)info.si_status;
}

static void be_keeper(const struct run_request *req)
{
    struct keeper k = {.req = req, .in = -1, .wake = -1, .pipe = -1, .events = -1};
    sigset_t child;
    int lock, r;

    r = openat(FD_JOB, "begun", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (r < 0)
        return;
    close(r);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    (void)sigprocmask(SIG_BLOCK, &child, NULL);
    k.signals = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
    k.state.started_ns = clock_real_ns();
    watch_output(&k);
    r = start_job(&k);
    if (r < 0) {
        k.state.err = (uint64_t)-r;
        k.state.exit_code = NOT_RUN;
    } else {
        (void)job_state_put(FD_JOB, &k.state);
        tend(&k);
    }
    k.state.ended_ns = clock_real_ns();
    (void)job_state_put(FD_JOB, &k.state); /* without it the job counts as lost */
    lock = spool_lock(FD_SPOOL);
    if (r == 0)
        (void)waitpid((pid_t)k.state.pid, NULL, 0);
    if (lock >= 0)
        close(lock);
}

/* Nothing stays open but these, at their numbers. */
static void settle(int spool, int job, int alive, int done)
{
    const int from[] = {[FD_SPOOL] = spool, [FD_JOB] = job, [FD_ALIVE] = alive, [FD_DONE] = done};
    int high[FD_FREE];

    for (int i = FD_SPOOL; i < FD_FREE; i++)
        high[i] = fcntl(from[i], F_DUPFD_CLOEXEC, FD_FREE);
    for (int i = 0; i < FD_SPOOL; i++) {
        const int null = open("/dev/null", O_RDWR);

        if (null != i) {
            (void)dup2(null, i);
            close(null);
        }
    }
    for (int i = FD_SPOOL; i < FD_FREE; i++)
        (void)dup3(high[i], i, O_CLOEXEC);
    if (syscall(CLOSE_RANGE_NUMBER, FD_FREE, ~0U, 0) < 0) {
        struct rlimit most = {.rlim_cur = FDS_MAX};

        (void)getrlimit(RLIMIT_NOFILE, &most);
        for (int fd = FD_FREE; fd < FDS_MAX && (rlim_t)fd < most.rlim_cur; fd++)
            close(fd);
    }
}

int keep_start(int spool, int job, int alive, const struct run_request *req)
{
    int done[2];
    pid_t pid;

    if (pipe2(done, O_CLOEXEC) < 0)
        return -errno;
    pid = fork();
    if (pid == 0) {
        (void)setsid();
        if (fork() != 0)
            _exit(0); /* if that failed, the job is lost: it has no keeper */
        settle(spool, job, alive, done[1]);
        (void)!chdir("/");
        be_keeper(req);
        _exit(0);
    }
    close(done[1]);
    close(alive);
    if (pid < 0) {
        const int r = -errno;

        close(done[0]);
        return r;
    }
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    return done[0];
}
