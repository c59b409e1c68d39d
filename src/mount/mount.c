#include "mount/mount.h"

#include "fuse/guard.h"
#include "mount/drain.h"
#include "mount/exitcode.h"
#include "mount/life.h"
#include "mount/place.h"
#include "mount/registry.h"
#include "mount/stack.h"
#include "mount/umount.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the serving process ---- */

/* The key must not end up in a file. A debugger is wanted only with -d. */
static void hide_memory(const struct mount_params *params)
{
    const struct rlimit none = {0, 0};

    (void)setrlimit(RLIMIT_CORE, &none); /* cannot fail for less */
    if (!params->debug)
        (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
}

/* Lets go of the terminal, the directory and the shell that started us. */
static int go_to_background(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    fflush(NULL);
    log_to_syslog("daytonafs");
    for (int to = 0; to <= 2; to++)
        (void)dup2(fd, to);
    close(fd);
    (void)setsid(); /* a fresh child leads no group: cannot fail */
    return chdir("/") < 0 ? -errno : 0;
}

struct serving {
    struct stack stack;
    struct life *life;
    struct registry *registry;
    struct guard *guard;
    pthread_t loop;
    int status_fd; /* where the parent waits for the exit code; -1: nobody does */
};

static void *loop_thread(void *arg)
{
    struct serving *sv = arg;

    (void)session_loop(sv->stack.session); /* how it ended is all the same: it has ended */
    life_end(sv->life);
    return NULL;
}

static int list_mount(struct serving *sv)
{
    struct stack *s = &sv->stack;
    struct registry_entry e = {
        .dir = s->dir,
        .sandbox_id = s->info.id,
        .sandbox_name = s->info.name,
        .path = s->path,
        .api_url = (char *)daytona_client_api_url(s->client),
        .ctl_name = s->ctl ? s->options->ctl_name : "",
        .journals = s->journal ? options_journal_dir(s->options) : NULL,
        .pid = getpid(),
        .since_ns = s->since_ns,
    };
    const int r = registry_add(&e, &sv->registry);

    free(e.journals);
    return r;
}

/* From here on the mount is there for everybody; the parent may say so. */
static int announce(struct serving *sv)
{
    const struct stack *s = &sv->stack;
    const unsigned char ok = EXITCODE_OK;
    struct stat st;

    if (stat(s->dir, &st) < 0)
        return -errno;
    /* Without it everything works until it is killed, and most often then, too. */
    (void)guard_new(st.st_dev, &sv->guard);
    if (list_mount(sv) < 0)
        log_msg(LOG_WARN,
                "`daytonafs mounts` will not know this mount: its list cannot be written");
    if (s->ctl)
        printf("control files: %s/%s/help\n", s->dir, s->options->ctl_name);
    fflush(stdout);
    if (sv->status_fd < 0)
        return 0;
    if (go_to_background() < 0)
        return -EIO;
    if (write(sv->status_fd, &ok, 1) != 1)
        return -ECANCELED; /* whoever asked for the mount is gone */
    close(sv->status_fd);
    sv->status_fd = -1;
    return 0;
}

/*
 * Ends the mount: nobody new comes in, those who are in it are served while data is sent, and what
 * cannot be sent is kept on this machine.
 */
static int shut_down(struct serving *sv)
{
    struct stack *s = &sv->stack;
    const int64_t until_ns = clock_mono_ns() + s->options->drain_timeout_ns;
    char *kept = umount_kept_dir(s->info.id, getpid());
    int r;

    if (life_stopping(sv->life)) {
        r = umount_detach(s->dir, true);
        if (r == 0)
            session_unmounted(s->session);
        (void)drain(s->fs, until_ns); /* again below, when nobody writes any more */
        session_exit(s->session);
    }
    pthread_join(sv->loop, NULL);
    stack_close_session(s);
    (void)drain(s->fs, until_ns);
    if (s->journal)
        r = drain_journal(s->fs);
    else
        r = kept ? drain_keep(s->fs, kept) : -ENOMEM;
    free(kept);
    if (r == 0 && s->journal)
        drain_learn(s->fs);
    return r == 0 ? EXITCODE_OK : EXITCODE_QUEUED;
}

static int serve(struct serving *sv)
{
    int r;

    r = -pthread_create(&sv->loop, NULL, loop_thread, sv);
    if (r < 0) {
        fprintf(stderr, "daytonafs: %s\n", errtext_sentence(r));
        return EXITCODE_OTHER;
    }
    r = announce(sv);
    if (r < 0) {
        fprintf(stderr, "daytonafs: %s does not answer: %s\n", sv->stack.dir, errtext_sentence(r));
        life_stop(sv->life);
    }
    life_wait(sv->life);
    r = shut_down(sv) != EXITCODE_OK ? EXITCODE_QUEUED : r < 0 ? EXITCODE_OTHER : EXITCODE_OK;
    sv->registry = registry_remove(sv->registry);
    sv->guard = guard_free(sv->guard);
    return r;
}

static int build_and_serve(const struct mount_params *params, char *dir, int status_fd)
{
    struct serving sv = {
        .stack = {.params = params, .options = params->options, .dir = dir},
        .status_fd = status_fd,
    };
    struct buf why = BUF_INIT(8192);
    int code;

    hide_memory(params);
    if (life_new(&sv.life) < 0) {
        free(dir);
        return EXITCODE_OTHER;
    }
    cancel_bind(life_cancel(sv.life));
    code = stack_build(&sv.stack, &why);
    cancel_bind(NULL);
    if (sv.stack.journal)
        life_journaled(sv.life);
    if (code == EXITCODE_OK)
        code = serve(&sv);
    else
        fprintf(stderr, "daytonafs: %s\n", buf_str(&why));
    buf_done(&why);
    stack_done(&sv.stack);
    life_free(sv.life);
    return code;
}

/* ---- the process that was started ---- */

static int wait_for_mount(pid_t pid, int fd)
{
    unsigned char code;
    int status;
    ssize_t n;

    do
        n = read(fd, &code, 1);
    while (n < 0 && errno == EINTR);
    close(fd);
    if (n == 1)
        return code;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return EXITCODE_OTHER;
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
        return WEXITSTATUS(status);
    fprintf(stderr, "daytonafs: it ended before the mount answered%s%s\n",
            WIFSIGNALED(status) ? ": " : "",
            WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "");
    return EXITCODE_OTHER;
}

static int fork_and_wait(const struct mount_params *params, char *dir)
{
    int fds[2], code;
    pid_t pid;

    if (pipe2(fds, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
        fprintf(stderr, "daytonafs: %s\n", errtext_sentence(errno));
        free(dir);
        return EXITCODE_OTHER;
    }
    if (pid == 0) {
        close(fds[0]);
        code = build_and_serve(params, dir, fds[1]);
        fflush(NULL);
        _exit(code);
    }
    close(fds[1]);
    free(dir);
    return wait_for_mount(pid, fds[0]);
}

static int place_code(int r)
{
    switch (r) {
    case -ENOENT:
    case -ENOTDIR:
        return EXITCODE_NOT_FOUND;
    case -EBUSY:
        return EXITCODE_CONFLICT;
    default:
        return EXITCODE_OTHER;
    }
}

int mount_main(const struct mount_params *params)
{
    struct buf why = BUF_INIT(8192);
    char *dir = NULL;
    int r;

    if (params->debug)
        log_set_level(LOG_DETAIL);
    r = place_check(params->dir, &dir, &why);
    if (r < 0)
        fprintf(stderr, "daytonafs: %s\n", why.len ? buf_str(&why) : errtext_sentence(r));
    else if (why.len)
        fprintf(stderr, "daytonafs: %s", buf_str(&why));
    buf_done(&why);
    if (r < 0)
        return place_code(r);
    fflush(NULL); /* what is buffered would be written twice */
    if (params->foreground || params->debug)
        return build_and_serve(params, dir, -1);
    return fork_and_wait(params, dir);
}
