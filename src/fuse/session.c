#include "fuse/session.h"

#include "fuse/mappable.h"
#include "fuse/session_internal.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/log.h"

#include <errno.h>
#include <fuse_log.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    WORKERS = 8, /* they decode and copy, and never wait */
    META_THREADS = 64,
    DATA_THREADS = 128,
    QUEUE_MAX = 16384,
    MAX_WRITE = 1024 * 1024,
    MAX_BACKGROUND = 64,
};

/* ---- what the kernel is asked for ---- */

static const struct {
    unsigned cap;
    bool on;
} caps[] = {
    {FUSE_CAP_ATOMIC_O_TRUNC, true},
    {FUSE_CAP_AUTO_INVAL_DATA, true},
    {FUSE_CAP_READDIRPLUS, true},
    {FUSE_CAP_READDIRPLUS_AUTO, true},
    {FUSE_CAP_PARALLEL_DIROPS, true},
    {FUSE_CAP_EXPIRE_ONLY, true},
    /* Reads of one file would come in any order, many at a time. */
    {FUSE_CAP_ASYNC_READ, false},
    {FUSE_CAP_ASYNC_DIO, false},
    /* Pages would stay after the file has changed. */
    {FUSE_CAP_EXPLICIT_INVAL_DATA, false},
    {FUSE_CAP_WRITEBACK_CACHE, false},
    /* Locks are the kernel's own, among the programs of this machine. */
    {FUSE_CAP_POSIX_LOCKS, false},
    {FUSE_CAP_FLOCK_LOCKS, false},
    /* The kernel clears setuid bits: it asks for a setattr. */
    {FUSE_CAP_HANDLE_KILLPRIV, false},
};

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
    struct session *s = userdata;

    for (size_t i = 0; i < sizeof(caps) / sizeof(caps[0]); i++) {
        if (caps[i].on)
            conn->want |= conn->capable & caps[i].cap;
        else
            conn->want &= ~caps[i].cap;
    }
    mappable_init(s, conn);
    if (conn->max_write > MAX_WRITE)
        conn->max_write = MAX_WRITE;
    conn->max_background = MAX_BACKGROUND;
    conn->congestion_threshold = MAX_BACKGROUND * 3 / 4;
    conn->time_gran = 1;
    s->expire = conn->capable & FUSE_CAP_EXPIRE_ONLY;
}

/* ---- invalidation ---- */

#ifdef FUSE_EXPIRE_TAKES_FLAGS
#define EXPIRE_ENTRY(se, parent, name, len)                                                        \
    fuse_lowlevel_notify_expire_entry(se, parent, name, len, FUSE_LL_EXPIRE_ONLY)
#else
#define EXPIRE_ENTRY(se, parent, name, len) fuse_lowlevel_notify_expire_entry(se, parent, name, len)
#endif

static void tell_inode(void *arg, uint64_t ino)
{
    struct session *s = arg;

    (void)fuse_lowlevel_notify_inval_inode(s->fuse, ino, 0, 0); /* -ENOENT: not known there */
}

/*
 * Never inval_entry of what may be a directory: it cuts the name off at once, and getcwd then fails
 * for those who are below it. Linux before 6.2 knows nothing else, and so keeps no names at all
 * (entry_to_param).
 */
static void tell_entry(void *arg, uint64_t parent, const char *name)
{
    struct session *s = arg;

    if (s->expire)
        (void)EXPIRE_ENTRY(s->fuse, parent, name, strlen(name)); /* -ENOENT: not known there */
}

/* A file that nobody has open: there is no one below it. */
static void tell_forget(void *arg, uint64_t parent, const char *name)
{
    struct session *s = arg;

    (void)fuse_lowlevel_notify_inval_entry(s->fuse, parent, name, strlen(name));
}

static const struct notify_target target = {
    .inode = tell_inode, .entry = tell_entry, .forget = tell_forget};

/* ---- life ---- */

/* What stands in a list of mounts must not be able to end an option or a line of it. */
static int add_source(struct buf *out, const char *name)
{
    int r = buf_puts(out, "fsname=daytona:");

    for (; r == 0 && *name; name++) {
        const bool plain = (*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
                           (*name >= '0' && *name <= '9') || strchr("._-", *name);

        r = buf_putc(out, plain ? *name : '_');
    }
    return r;
}

static int mount_args(const struct session_config *config, struct fuse_args *args)
{
    struct buf opts = BUF_INIT(4096);
    int r = add_source(&opts, config->name);

    if (r == 0)
        r = buf_puts(&opts, ",subtype=daytonafs,nosuid,nodev");
    if (r == 0 && config->noexec)
        r = buf_puts(&opts, ",noexec");
    if (r == 0 && config->noatime)
        r = buf_puts(&opts, ",noatime");
    if (r == 0 && config->allow_other)
        r = buf_puts(&opts, ",allow_other");
    if (r == 0 && config->default_permissions)
        r = buf_puts(&opts, ",default_permissions");
    if (r == 0 && (fuse_opt_add_arg(args, "daytonafs") < 0 || fuse_opt_add_arg(args, "-o") < 0 ||
                   fuse_opt_add_arg(args, buf_str(&opts)) < 0 ||
                   (config->debug && fuse_opt_add_arg(args, "-d") < 0)))
        r = -ENOMEM;
    buf_done(&opts);
    return r;
}

/* libfuse's own messages, one a line. */
__attribute__((format(printf, 2, 0))) static void log_fuse(enum fuse_log_level level,
                                                           const char *fmt, va_list ap)
{
    struct buf line = BUF_INIT(4096);

    if (buf_vprintf(&line, fmt, ap) == 0 && line.len > 0) {
        if (line.data[line.len - 1] == '\n')
            buf_truncate(&line, line.len - 1);
        log_msg(level <= FUSE_LOG_ERR       ? LOG_ERROR
                : level <= FUSE_LOG_WARNING ? LOG_WARN
                : level <= FUSE_LOG_INFO    ? LOG_NOTE
                                            : LOG_DETAIL,
                "%s", buf_str(&line));
    }
    buf_done(&line);
}

static void wake(int sig)
{
    (void)sig; /* sem_wait in libfuse's loop returns, and finds that it shall end */
}

int session_new(const struct session_config *config, struct session **ret)
{
    static const struct slow_config limits = {
        .threads = {[SLOW_META] = META_THREADS, [SLOW_DATA] = DATA_THREADS},
        .queue_max = QUEUE_MAX,
    };
    const struct sigaction on_wake = {.sa_handler = wake}; /* no SA_RESTART */
    struct fuse_lowlevel_ops ops = {.init = op_init};
    struct fuse_args args = FUSE_ARGS_INIT(0, NULL);
    struct session *s = calloc(1, sizeof(*s));
    int r;

    if (!s)
        return -ENOMEM;
    lock_init(&s->lock);
    s->fs = config->fs;
    s->ctl = config->ctl;
    s->ctl_name = config->ctl_name;
    s->ctl_link = config->ctl_link;
    s->notify = config->notify;
    node_ops(&ops);
    file_ops(&ops);
    dir_ops(&ops);
    sigaction(SIGUSR2, &on_wake, NULL);
    fuse_set_log_func(log_fuse);

    r = slow_new(&limits, &s->slow);
    if (r == 0)
        r = interrupts_new(&s->interrupts);
    if (r == 0)
        r = mount_args(config, &args);
    if (r == 0) {
        s->fuse = fuse_session_new(&args, &ops, sizeof(ops), s);
        r = s->fuse ? 0 : -EINVAL;
    }
    fuse_opt_free_args(&args);
    if (r < 0) {
        session_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

int session_mount(struct session *s, const char *dir)
{
    errno = 0;
    if (fuse_session_mount(s->fuse, dir) < 0)
        return errno > 0 ? -errno : -EIO;
    s->mounted = true;
    (void)mappable_mounted(s); /* without it less can be mapped */
    notify_start(s->notify, &target, s);
    return 0;
}

int session_loop(struct session *s)
{
    struct fuse_loop_config *config = fuse_loop_cfg_create();
    bool go;
    int r = 0;

    if (!config)
        return -ENOMEM;
    fuse_loop_cfg_set_max_threads(config, WORKERS);
    fuse_loop_cfg_set_idle_threads(config, WORKERS);
    lock_take(&s->lock);
    go = !s->exiting;
    s->looping = go;
    s->loop_thread = pthread_self();
    lock_drop(&s->lock);
    if (go)
        r = fuse_session_loop_mt(s->fuse, config);
    lock_take(&s->lock);
    s->looping = false;
    lock_drop(&s->lock);
    fuse_loop_cfg_destroy(config);
    return r;
}

void session_exit(struct session *s)
{
    lock_take(&s->lock);
    s->closing = true;
    lock_drop(&s->lock);
    /*
     * While requests are still answered, or a caller that holds a directory's lock in the kernel
     * could keep an invalidation waiting for ever.
     */
    slow_cancel_all(s->slow);
    notify_stop(s->notify);

    lock_take(&s->lock);
    s->exiting = true;
    fuse_session_exit(s->fuse);
    /* libfuse looks, then sleeps: a signal that comes in between is lost, so there may be more. */
    while (s->looping) {
        pthread_kill(s->loop_thread, SIGUSR2);
        lock_drop(&s->lock);
        (void)cancel_sleep(10 * NS_PER_MS);
        lock_take(&s->lock);
    }
    lock_drop(&s->lock);
}

void session_unmounted(struct session *s)
{
    s->mounted = false;
}

bool session_closing(struct session *s)
{
    bool closing;

    lock_take(&s->lock);
    closing = s->closing;
    lock_drop(&s->lock);
    return closing;
}

/* What the kernel never released: it does not when a connection ends. */
static void release_all(struct session *s)
{
    struct handle *h;

    for (;;) {
        lock_take(&s->lock);
        h = s->handles;
        lock_drop(&s->lock);
        if (!h)
            break;
        handle_unref(h);
    }
}

struct session *session_free(struct session *s)
{
    if (!s)
        return NULL;
    notify_stop(s->notify);
    s->slow = slow_free(s->slow);
    ctl_op_end_parked(s);
    s->interrupts = interrupts_free(s->interrupts);
    release_all(s); /* each has only the kernel's reference now */
    if (s->mounted) /* last: it closes what answers are written to */
        fuse_session_unmount(s->fuse);
    if (s->fuse)
        fuse_session_destroy(s->fuse);
    lock_done(&s->lock);
    free(s);
    return NULL;
}
