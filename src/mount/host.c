/* host.c - what /.ctl shows of the mount itself, and what it may do to the sandbox. */
#include "mount/stack.h"

#include "mount/journals.h"
#include "util/clock.h"

#include <errno.h>
#include <time.h>
#include <unistd.h>

static int put_time(struct buf *out, const char *key, int64_t ns)
{
    const time_t s = (time_t)(ns / NS_PER_S);
    char text[32];
    struct tm tm;

    gmtime_r(&s, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return buf_printf(out, "%s %s\n", key, text);
}

/* What is cached goes on being shown: who reads it should know. */
static int put_stale(struct buf *out, int64_t since_ns)
{
    int r;

    if (since_ns == 0)
        return 0;
    r = put_time(out, "stale_since", since_ns);
    return r < 0 ? r
                 : buf_puts(out, "stale what is shown of files may be as it was before that: the "
                                 "sandbox does not answer\n");
}

/* Said at the mount, too; there may be room again by now, or no more. */
static int put_short(struct buf *out, const struct stack *s)
{
    struct buf why = BUF_INIT(8192);
    int r = 0;

    if (journals_short(s, &why))
        r = buf_printf(out, "no_room %s\n", buf_str(&why));
    buf_done(&why);
    return r;
}

static int host_status(void *arg, struct buf *out)
{
    struct stack *s = arg;
    const struct remote_info *info = fs_info(s->fs);
    int r = buf_printf(out,
                       "version %s\n"
                       "sandbox_id %s\n"
                       "sandbox_name %s\n"
                       "path %s\n"
                       "dir %s\n"
                       "mode %s\n"
                       "daemon_version %s\n"
                       "pid %d\n",
                       DAYTONAFS_VERSION, s->info.id, s->info.name, s->path, s->dir,
                       remote_name(s->remote), info->daemon_version ? info->daemon_version : "-",
                       (int)getpid());

    if (r == 0)
        r = buf_printf(out, "api_url %s\n", daytona_client_api_url(s->client));
    if (r == 0)
        r = put_time(out, "mounted_at", s->since_ns);
    if (r == 0 && s->left > 0) /* `daytonafs recover` lists them */
        r = buf_printf(out, "changes_of_earlier_mounts %zu\n", s->left);
    if (r == 0)
        r = put_short(out, s);
    if (r == 0)
        r = buf_puts(out, "state ");
    if (r == 0)
        r = remote_wake_text(s->wake, out);
    if (r == 0)
        r = buf_putc(out, '\n');
    return r == 0 ? put_stale(out, remote_wake_since(s->wake)) : r;
}

static int host_config(void *arg, struct buf *out)
{
    const struct stack *s = arg;

    return options_text(s->options, out);
}

static int host_capabilities(void *arg, struct buf *out)
{
    struct stack *s = arg;

    int r = remote_caps_text(fs_info(s->fs)->caps, out);

    if (r == 0 && s->no_helper.len > 0)
        r = buf_printf(out, "helper no: %s\n", buf_str(&s->no_helper));
    return r;
}

static int host_stats(void *arg, struct buf *out)
{
    struct stack *s = arg;

    return stats_text(s->stats, out);
}

static int host_trace(void *arg, struct buf *out)
{
    struct stack *s = arg;

    return remote_trace_text(s->trace, out);
}

static void host_set_trace(void *arg, bool on)
{
    struct stack *s = arg;

    remote_trace_set(s->trace, on);
}

static int64_t timeout_ms(const struct stack *s)
{
    return s->options->wake_timeout_ns / NS_PER_MS;
}

static int host_start(void *arg)
{
    struct stack *s = arg;
    int r = daytona_sandbox_start(s->sandbox, timeout_ms(s));

    if (r == 0)
        remote_wake_set(s->wake, true);
    return r;
}

static int host_stop(void *arg)
{
    struct stack *s = arg;
    int r = daytona_sandbox_stop(s->sandbox, false, timeout_ms(s));

    if (r == 0)
        remote_wake_set(s->wake, false);
    return r;
}

static int host_archive(void *arg)
{
    struct stack *s = arg;
    int r = host_stop(s);

    return r < 0 ? r : daytona_sandbox_archive(s->sandbox, timeout_ms(s));
}

static int host_recover(void *arg)
{
    struct stack *s = arg;
    int r = daytona_sandbox_recover(s->sandbox, false, timeout_ms(s));

    if (r == 0)
        remote_wake_set(s->wake, true);
    return r;
}

static int host_destroy(void *arg)
{
    struct stack *s = arg;
    int r = daytona_sandbox_delete(s->sandbox, timeout_ms(s));

    if (r == 0)
        remote_wake_set(s->wake, false);
    return r;
}

/* It must not start a machine: whoever wants that writes start. */
static int host_retry(void *arg)
{
    struct stack *s = arg;
    struct remote_attr attr;
    int r;

    remote_wake_retry(s->wake);
    (void)remote_bind_background(true);
    r = remote_stat(s->remote, s->path, &attr, NULL);
    (void)remote_bind_background(false);
    return r == -ENOENT || r == -EACCES ? 0 : r; /* that is an answer */
}

const struct ctl_host stack_ctl_host = {
    .status = host_status,
    .config = host_config,
    .capabilities = host_capabilities,
    .stats = host_stats,
    .trace = host_trace,
    .set_trace = host_set_trace,
    .start = host_start,
    .stop = host_stop,
    .archive = host_archive,
    .recover = host_recover,
    .destroy = host_destroy,
    .retry = host_retry,
};
