#include "mount/stack.h"

#include "ctl/states.h"
#include "mount/exitcode.h"
#include "mount/journals.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/path.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* At most so many requests at a time: the service limits both. */
enum { DATA_REQUESTS = 16, OTHER_REQUESTS = 32 };

/* ---- what went wrong, in one line ---- */

static int fail(struct stack *s, int r, struct buf *why)
{
    const struct exitcode_context context = {
        .sandbox = s->params->sandbox,
        .api_url = s->client ? daytona_client_api_url(s->client) : s->options->api_url,
    };
    const struct daytona_error *detail = daytona_last_error();

    if (why->len == 0)
        (void)exitcode_explain(why, r, detail, &context);
    return (int)exitcode_of(r, detail);
}

static int say(struct buf *why, enum exitcode code, int r)
{
    return r < 0 ? (int)EXITCODE_OTHER : (int)code;
}

/* ---- the steps: each returns an enum exitcode ---- */

static int connect_client(struct stack *s, struct buf *why)
{
    const struct options *o = s->options;
    const struct daytona_config config = {
        .api_url = *o->api_url ? o->api_url : NULL,
        .credentials_file = *o->credentials ? o->credentials : NULL,
        .source = "daytonafs",
        .stall_timeout_ms = o->op_timeout_ns / NS_PER_MS,
        .observe = stats_observe,
        .observe_arg = s->stats,
    };
    int r = daytona_client_new(&config, &s->client);

    if (r == 0 || r == -ENOMEM || !*daytona_last_error()->message)
        return r < 0 ? fail(s, r, why) : EXITCODE_OK;
    /* Nothing was sent yet: the SDK's sentence is about the configuration, and says it all. */
    return say(why, r == -EINVAL ? EXITCODE_USAGE : EXITCODE_AUTH,
               buf_puts(why, daytona_last_error()->message));
}

static int find_sandbox(struct stack *s, struct buf *why)
{
    int r = daytona_sandbox_get(s->client, s->params->sandbox, &s->sandbox);

    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

static int start_if_stopped(struct stack *s, struct buf *why)
{
    const char *name = s->params->sandbox;
    const enum daytona_state state = daytona_sandbox_state(s->sandbox);
    int r;

    if (states_row(state)->err == 0)
        return EXITCODE_OK;
    if (s->options->wake == WAKE_NEVER)
        return say(why, EXITCODE_NOT_RUNNING,
                   buf_printf(why,
                              "sandbox '%s' is not running, and wake=never: `daytonafs sandbox "
                              "start %s` starts it",
                              name, name));
    fprintf(stderr, "daytonafs: sandbox '%s' is not running: starting it\n", name);
    r = daytona_sandbox_start(s->sandbox, s->options->wake_timeout_ns / NS_PER_MS);
    if (r == -ETIMEDOUT)
        return say(why, EXITCODE_TIMEOUT,
                   buf_printf(why,
                              "sandbox '%s' did not start in time: try again, or give it "
                              "longer with -o wake_timeout=",
                              name));
    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

static int learn_sandbox(struct stack *s, struct buf *why)
{
    int r = daytona_sandbox_info(s->sandbox, &s->info);

    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

/* ---- what file operations find out later: into .ctl/errors, for an errno says too little ---- */

static int wake_sandbox(void *arg)
{
    struct stack *s = arg;
    struct buf why = BUF_INIT(8192);
    const int r = daytona_sandbox_start(s->sandbox, s->options->wake_timeout_ns / NS_PER_MS);

    if (r == -ETIMEDOUT && s->fs) {
        fs_report(s->fs, 0, "", r,
                  "the sandbox is not running, and did not start in time (%s): try again, or give "
                  "it longer with -o wake_timeout=",
                  states_row(daytona_sandbox_state(s->sandbox))->help);
    } else if (r < 0 && r != -EINTR && s->fs) {
        (void)fail(s, r, &why);
        fs_report(s->fs, 0, "", r, "the sandbox is not running, and starting it failed: %s (%s)",
                  buf_str(&why), states_row(daytona_sandbox_state(s->sandbox))->help);
    }
    buf_done(&why);
    return r;
}

static void tell_down(void *arg, int err)
{
    struct stack *s = arg;

    if (!s->fs) /* still mounting: whoever does so says it */
        return;
    if (err == -EHOSTDOWN)
        fs_report(s->fs, 0, "", err,
                  "the sandbox is not running, and wake=never: `daytonafs sandbox start %s` "
                  "starts it",
                  s->info.name);
    else
        fs_report(s->fs, 0, "", err,
                  "the sandbox cannot be reached: operations fail at once until it answers again");
}

/* Puts a wrapper around what there is. */
static int wrap(struct stack *s, struct remote *outer)
{
    if (!outer)
        return -ENOMEM;
    s->remote = outer;
    return 0;
}

static int open_plain(struct stack *s, struct buf *why)
{
    const uint32_t op_timeout_s = (uint32_t)((s->options->op_timeout_ns + NS_PER_S - 1) / NS_PER_S);
    const int r = remote_plain_new(s->sandbox, op_timeout_s, &s->remote);

    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

/* helper=auto goes on without it where it cannot run. */
static int open_helper(struct stack *s, struct buf *why)
{
    struct remote *helper;
    int r;

    buf_init(&s->no_helper, 1024);
    if (s->options->helper == HELPER_OFF)
        return EXITCODE_OK;
    r = remote_helper_new(s->sandbox, s->remote, NULL, &helper, &s->no_helper);
    if (r == 0)
        s->remote = helper;
    if (r == -EOPNOTSUPP && s->options->helper == HELPER_REQUIRE)
        return say(why, EXITCODE_OTHER,
                   buf_printf(why, "helper=require: %s; helper=auto goes on without it",
                              buf_str(&s->no_helper)));
    return r < 0 && r != -EOPNOTSUPP ? fail(s, r, why) : EXITCODE_OK;
}

static int open_wrappers(struct stack *s, struct buf *why)
{
    int r = wrap(s, remote_limit_new(s->remote, DATA_REQUESTS, OTHER_REQUESTS));

    if (r == 0)
        r = wrap(
            s, remote_wake_new(s->remote, s->options->wake == WAKE_AUTO ? wake_sandbox : NULL, s));
    if (r == 0) {
        s->wake = s->remote;
        remote_wake_tell(s->wake, tell_down);
    }
    if (r == 0)
        r = wrap(s, remote_trace_new(s->remote));
    if (r == 0)
        s->trace = s->remote;
    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

static int choose_path(struct stack *s, struct buf *why)
{
    const char *path = s->params->path;
    struct remote_info info;
    int r = remote_info(s->remote, &info);

    if (r < 0)
        return fail(s, r, why);
    s->path = path_resolve(info.work_dir, path ? path : "");
    remote_info_done(&info);
    return s->path ? EXITCODE_OK : fail(s, -ENOMEM, why);
}

/* Of two mounts of one sandbox the second has nothing of the first's: it works all the same. */
static void keep_cache(struct stack *s)
{
    struct buf owner = BUF_INIT(8192);

    if (buf_printf(&owner, "%s\n%s", daytona_client_api_url(s->client), s->info.id) == 0)
        (void)cache_keep(s->cache, buf_str(&owner));
    buf_done(&owner);
}

static int open_cache(struct stack *s, struct buf *why)
{
    char *dir = options_cache_dir(s->options);
    int r = dir ? cache_new(dir, s->options->cache_bytes, &s->cache) : -ENOENT, code = EXITCODE_OK;

    if (r == -EACCES)
        code = say(why, EXITCODE_OTHER,
                   buf_printf(why,
                              "the cache %s belongs to somebody else or is open to others: chmod "
                              "700 it, or choose another with -o cache_dir=",
                              dir));
    else if (r < 0)
        code = say(why, EXITCODE_OTHER,
                   buf_printf(why,
                              "the cache %s cannot be used (%s): choose another with -o "
                              "cache_dir=",
                              dir ? dir : "", errtext_sentence(r)));
    if (r == 0)
        keep_cache(s);
    free(dir);
    return code;
}

/* Without the helper there is none. */
static int open_journal(struct stack *s, struct buf *why)
{
    struct remote_info info;
    bool can;
    int r;

    r = remote_info(s->remote, &info);
    if (r < 0)
        return fail(s, r, why);
    can = info.caps & REMOTE_CAP_APPLY;
    remote_info_done(&info);
    if (can && !s->options->read_only)
        return journals_open(s, why);
    journals_look(s);
    return EXITCODE_OK;
}

static enum fs_durability durability(const struct stack *s)
{
    static const enum fs_durability waiting[] = {
        [DURABILITY_CLOSE] = FS_DURABILITY_CLOSE,
        [DURABILITY_SYNC] = FS_DURABILITY_SYNC,
        [DURABILITY_FSYNC] = FS_DURABILITY_FSYNC,
    };
    const enum fs_durability d = waiting[s->options->durability];

    return d == FS_DURABILITY_FSYNC && !s->flush ? FS_DURABILITY_CLOSE : d;
}

static int open_fs(struct stack *s, struct buf *why)
{
    const struct options *o = s->options;
    const struct fs_config config = {
        .root = s->path,
        .mount_dir = s->dir,
        .read_only = o->read_only,
        .map_user = o->idmap == IDMAP_USER,
        .uid = geteuid(),
        .gid = getegid(),
        .force_uid = o->uid,
        .force_gid = o->gid,
        .umask = o->umask,
        .coherence_ns = o->coherence_ns,
        .meta_bytes = o->meta_bytes,
        .durability = durability(s),
        .symlinks = o->symlinks == SYMLINKS_RAW ? FS_SYMLINKS_RAW : FS_SYMLINKS_CONTAIN,
        .beside = o->conflicts == CONFLICTS_BESIDE,
        .notify = &notify_for_fs,
        .notify_arg = s->notify,
        .flush = s->flush,
    };
    int r = fs_new(&config, s->remote, s->cache, &s->fs);

    if (r == 0)
        s->flush = NULL;
    if (r == -ENOENT || r == -ENOTDIR)
        return say(why, EXITCODE_NOT_FOUND,
                   buf_printf(why, "%s %s in sandbox '%s': give another with SANDBOX:PATH", s->path,
                              r == -ENOENT ? "does not exist" : "is not a directory",
                              s->params->sandbox));
    if (r == -EACCES)
        return say(why, EXITCODE_OTHER,
                   buf_printf(why, "%s may not be read by the user of sandbox '%s'", s->path,
                              s->params->sandbox));
    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

/* The control files would hide an entry of that name. */
static int check_ctl_name(struct stack *s, const char *name, struct buf *why)
{
    struct fs_entry e;
    int r = fs_lookup(s->fs, FS_ROOT, name, &e);

    if (r < 0 && r != -ENOENT)
        return fail(s, r, why);
    if (r == -ENOENT || e.ino == 0)
        return EXITCODE_OK;
    fs_forget(s->fs, e.ino, 1);
    return say(why, EXITCODE_CONFLICT,
               buf_printf(why,
                          "%s in the sandbox has an entry '%s' of its own: name the control "
                          "files otherwise with -o ctl_name=NAME, or leave them out with -o "
                          "ctl=off",
                          s->path, name));
}

static int open_ctl(struct stack *s, struct buf *why)
{
    struct ctl_host host = stack_ctl_host;
    const struct ctl_config config = {
        .name = s->options->ctl_name,
        .uid = geteuid(),
        .gid = getegid(),
        .host = &host,
        .host_arg = s,
    };
    int r;

    if (s->options->ctl == CTL_OFF)
        return EXITCODE_OK;
    if (s->options->ctl == CTL_VISIBLE &&
        asprintf(&s->ctl_files, "%s" OPTIONS_CTL_SUFFIX, s->options->ctl_name) < 0) {
        s->ctl_files = NULL;
        return fail(s, -ENOMEM, why);
    }
    r = check_ctl_name(s, s->options->ctl_name, why);
    if (r == EXITCODE_OK && s->ctl_files)
        r = check_ctl_name(s, s->ctl_files, why);
    if (r != EXITCODE_OK)
        return r;
    host.sandbox = s->sandbox;
    r = ctl_new(&config, s->fs, &s->ctl);
    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

static int open_session(struct stack *s, struct buf *why)
{
    const struct options *o = s->options;
    const struct session_config config = {
        .fs = s->fs,
        .ctl = s->ctl,
        .ctl_name = s->ctl_files ? s->ctl_files : o->ctl_name,
        .ctl_link = s->ctl_files ? o->ctl_name : NULL,
        .notify = s->notify,
        .name = *s->info.name ? s->info.name : s->params->sandbox,
        .allow_other = o->allow_other,
        /* Others are checked by the kernel: fs knows only the one who mounts. And where permission
         * bits bind the sandbox's user, the kernel alone can check the search of directories whose
         * entries it remembers. Not where they do not: root may what its bits do not say. */
        .default_permissions =
            o->allow_other || (o->idmap == IDMAP_USER && !fs_info(s->fs)->privileged),
        .noexec = o->noexec,
        .noatime = o->noatime,
        .debug = s->params->debug,
    };
    int r = session_new(&config, &s->session);

    if (r == 0)
        r = session_mount(s->session, s->dir);
    if (r < 0 && o->allow_other && geteuid() != 0)
        return say(why, EXITCODE_OTHER,
                   buf_puts(why, "allow_other needs a line 'user_allow_other' in /etc/fuse.conf"));
    if (r < 0 && access("/dev/fuse", R_OK | W_OK) != 0)
        return say(why, EXITCODE_OTHER,
                   buf_puts(why, errno == ENOENT
                                     ? "/dev/fuse is missing: load the fuse module, or give the "
                                       "container that device"
                                     : "/dev/fuse may not be opened by you: its mode is 0666 on "
                                       "most systems; ask for that, or for the group it has"));
    if (r < 0)
        return say(why, EXITCODE_OTHER,
                   buf_printf(why,
                              "%s cannot be mounted (%s): is fusermount3 (package fuse3) "
                              "installed, and does the directory belong to you?",
                              s->dir, errtext_sentence(r)));
    return EXITCODE_OK;
}

static bool is_busy(void *arg)
{
    struct stack *s = arg;

    (void)remote_bind_background(true); /* to ask must neither wake it nor be its only use */
    return fs_busy(s->fs) || (s->ctl && ctl_busy(s->ctl));
}

static int open_keepalive(struct stack *s, struct buf *why)
{
    int r = 0;

    if (s->options->keepalive == KEEPALIVE_BUSY)
        r = keepalive_new(s->sandbox, is_busy, s, s->options->keepalive_ns, &s->keepalive);
    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

static int make_tools(struct stack *s, struct buf *why)
{
    int r;

    s->since_ns = clock_real_ns();
    s->stats = stats_new();
    r = s->stats ? notify_new(&s->notify) : -ENOMEM;
    return r < 0 ? fail(s, r, why) : EXITCODE_OK;
}

typedef int (*step)(struct stack *s, struct buf *why);

static int build(struct stack *s, const step *steps, size_t count, struct buf *why)
{
    int code = EXITCODE_OK;

    for (size_t i = 0; i < count && code == EXITCODE_OK; i++)
        code = steps[i](s, why);
    return code;
}

int stack_connect(struct stack *s, struct buf *why)
{
    static const step steps[] = {make_tools, connect_client};

    return build(s, steps, ARRAY_LEN(steps), why);
}

int stack_reach(struct stack *s, struct buf *why)
{
    static const step steps[] = {
        find_sandbox,     /* id or name */
        start_if_stopped, /* wake=auto, saying so */
        learn_sandbox,    /* its id and name for status, registry, mount list */
        open_plain,       /* the service's calls, and quoted commands */
        open_helper,      /* and a program in the sandbox, unless helper=off */
        open_wrappers,    /* limit, wake, trace */
    };

    return build(s, steps, ARRAY_LEN(steps), why);
}

/*
 * The mount, from the sandbox up to the kernel:
 *
 *   client -> sandbox -> plain -> helper -> limit -> wake -> trace -> fs (with cache, and flush
 *   with journal) -> ctl -> session
 */
int stack_build(struct stack *s, struct buf *why)
{
    static const step steps[] = {
        stack_connect,  /* who we are: counts every request in stats */
        stack_reach,    /* the sandbox, and all ways to speak to it */
        choose_path,    /* what is mounted: the work-dir unless said */
        open_cache,     /* file data on local disk */
        open_journal,   /* and changes on their way; those of earlier mounts are sent now */
        open_fs,        /* nodes, names, handles; told where the kernel's ear is */
        open_ctl,       /* the control files, unless the root has that name */
        open_keepalive, /* holds autostop while there is work */
        open_session,   /* from here on the kernel asks */
    };

    return build(s, steps, ARRAY_LEN(steps), why);
}

void stack_close_session(struct stack *s)
{
    s->session = session_free(s->session);
    s->keepalive = keepalive_free(s->keepalive);
    s->ctl = ctl_free(s->ctl);
}

void stack_done(struct stack *s)
{
    stack_close_session(s);
    s->fs = fs_free(s->fs);
    s->flush = flush_free(s->flush);
    s->journal = journal_free(s->journal);
    s->cache = cache_free(s->cache);
    s->notify = notify_free(s->notify);
    s->remote = remote_free(s->remote);
    s->sandbox = daytona_sandbox_unref(s->sandbox);
    daytona_sandbox_info_done(&s->info);
    s->client = daytona_client_free(s->client);
    s->stats = stats_free(s->stats);
    buf_done(&s->no_helper);
    free(s->ctl_files);
    free(s->path);
    free(s->dir);
    s->path = s->dir = NULL;
}
