/* The files and verbs of .ctl: one row each. */
#include "ctl/box.h"
#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "ctl/job.h"
#include "ctl/parked.h"
#include "ctl/reach.h"
#include "ctl/session.h"
#include "util/errtext.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int show_help(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return ctl_help(ctl, out);
}

static const struct ctl_verb ctl_verbs[];

static int show_verbs(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return ctl_help_verbs(ctl, ctl_verbs, out);
}

static int show_version(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return buf_puts(out, "daytonafs " DAYTONAFS_VERSION "\n");
}

static int show_status(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    int r = ctl->host.status ? ctl->host.status(ctl->host_arg, out) : 0;

    return r < 0 ? r : fs_status(ctl->fs, out);
}

static int show_config(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return ctl->host.config(ctl->host_arg, out);
}

static int show_capabilities(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return ctl->host.capabilities(ctl->host_arg, out);
}

static int show_stats(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return ctl->host.stats(ctl->host_arg, out);
}

static int show_trace(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return ctl->host.trace(ctl->host_arg, out);
}

static int show_json(struct ctl *ctl, struct buf *out,
                     int (*show)(struct ctl *, void *, struct buf *, struct buf *))
{
    struct buf lines = BUF_INIT(SNAPSHOT_MAX);
    int r = show(ctl, NULL, &lines, NULL);

    if (r == 0)
        r = ctltext_json(out, buf_str(&lines));
    buf_done(&lines);
    return r;
}

static int show_status_json(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return show_json(ctl, out, show_status);
}

static int show_stats_json(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return show_json(ctl, out, show_stats);
}

static int show_errors(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return fs_errors_text(ctl->fs, out);
}

static int show_exit(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    int code;

    lock_take(&ctl->lock);
    code = ctl->exit_code;
    lock_drop(&ctl->lock);
    return code < 0 ? 0 : buf_printf(out, "%d\n", code);
}

/* The sandbox's path that a verb was given, or NULL for none. */
static int path_given(struct ctl *ctl, int count, char *const *v, char **ret)
{
    *ret = count > 0 ? fs_sandbox_path(ctl->fs, v[0]) : NULL;
    return count > 0 && !*ret ? -ENOMEM : 0;
}

static void left_why(struct buf *why, int err, const struct buf *left)
{
    (void)buf_printf(why, "not everything was sent (%s)", errtext_sentence(err));
    for (const char *p = buf_str(left); *p; p += *p == '\n') {
        const size_t len = strcspn(p, "\n");

        (void)buf_printf(why, "; %.*s", (int)len, p);
        p += len;
    }
    if (err == -EIO)
        (void)buf_puts(why, "; conflicts/ and rejected/ have what was written, "
                            "`keep mine|theirs PATH` and `discard PATH` settle it");
}

int ctl_sync(struct ctl *ctl, const char *path, struct buf *why)
{
    struct buf left = BUF_INIT(why->max / 2);
    int r = fs_sync(ctl->fs, path, &left);

    if (r < 0)
        left_why(why, r, &left);
    buf_done(&left);
    return r;
}

void ctl_barrier_why(struct buf *why, int err, const struct buf *left)
{
    (void)buf_puts(why, "not started: ");
    left_why(why, err, left);
}

int ctl_barrier(struct fs *fs, struct buf *why)
{
    struct buf left = BUF_INIT(why->max / 2);
    int r = fs_barrier(fs, &left);

    if (r < 0)
        ctl_barrier_why(why, r, &left);
    buf_done(&left);
    return r;
}

static int verb_sync(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    char *path;
    int r = path_given(ctl, count, v, &path);

    if (r == 0)
        r = ctl_sync(ctl, path, why);
    free(path);
    return r;
}

static int verb_refresh(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    char *path;
    int r = path_given(ctl, count, v, &path);

    if (r == 0)
        fs_refresh(ctl->fs, path);
    free(path);
    return r;
}

static int verb_warm(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    size_t failed = 0;
    char *path;
    int r = path_given(ctl, count, v, &path);

    if (r == 0)
        r = fs_warm(ctl->fs, path, &failed);
    free(path);
    if (r == -EXDEV)
        (void)buf_puts(why, "that is not below the mount's root");
    else if (r < 0 && failed > 0)
        (void)buf_printf(why, "%zu could not be read, the first: %s", failed, errtext_sentence(r));
    return r;
}

static int verb_evict(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    size_t kept = 0;
    char *path;
    int r = path_given(ctl, count, v, &path);

    if (r == 0)
        r = fs_evict(ctl->fs, path, &kept);
    free(path);
    if (r == -EXDEV)
        (void)buf_puts(why, "that is not below the mount's root");
    else if (kept > 0)
        (void)buf_printf(why, "%zu with changes that are not yet sent: they stay here", kept);
    return r;
}

static int verb_trace(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    const bool on = strcmp(v[0], "on") == 0;

    if (!on && strcmp(v[0], "off") != 0) {
        (void)buf_puts(why, "trace takes on or off");
        return -EINVAL;
    }
    ctl->host.set_trace(ctl->host_arg, on);
    return 0;
}

static int verb_retry(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    int r = ctl->host.retry ? ctl->host.retry(ctl->host_arg) : 0;

    fs_retry(ctl->fs);
    if (r < 0)
        (void)buf_printf(why, "the sandbox does not answer yet: %s", errtext_sentence(r));
    return r;
}

static const struct ctl_verb ctl_verbs[] = {
    {.name = "sync",
     .takes = "[PATH]",
     .max = 1,
     .run = verb_sync,
     .help = "sends what is not yet sent; fails if anything is left"},
    {.name = "refresh",
     .takes = "[PATH]",
     .max = 1,
     .run = verb_refresh,
     .help = "forgets what is known of names and attributes: the next access asks"},
    {.name = "retry",
     .takes = "",
     .run = verb_retry,
     .help = "tries now, without the pause that follows a failure to reach the sandbox"},
    {.name = "warm",
     .takes = "PATH",
     .min = 1,
     .max = 1,
     .run = verb_warm,
     .help = "fetches all that is at and below it, as far as the cache holds it"},
    {.name = "evict",
     .takes = "PATH",
     .min = 1,
     .max = 1,
     .run = verb_evict,
     .help = "drops the content kept of it and below; what is not yet sent stays"},
    {.name = "pause",
     .takes = "",
     .run = ctl_verb_pause,
     .help = "holds back what nobody waits for; syncs and commands still send"},
    {.name = "resume", .takes = "", .run = ctl_verb_resume, .help = "ends pause"},
    {.name = "keep",
     .takes = "mine|theirs PATH",
     .min = 2,
     .max = 2,
     .run = ctl_verb_keep,
     .help = "settles a conflict: mine is sent after all, theirs stays"},
    {.name = "discard",
     .takes = "[PATH]",
     .max = 1,
     .run = ctl_verb_discard,
     .help = "gives up what is in conflicts and rejected"},
    {.name = "trace",
     .takes = "on|off",
     .min = 1,
     .max = 1,
     .needs = NEEDS(set_trace),
     .run = verb_trace,
     .help = "keeps a line in trace for each call, beginning anew; keeps no more"},
    {.name = "start",
     .takes = "",
     .needs = NEEDS(start),
     .run = verb_start,
     .help = "starts the sandbox and waits until it answers"},
    {.name = "stop",
     .takes = "",
     .needs = NEEDS(stop),
     .run = verb_stop,
     .help = "sends what is not yet sent and stops the sandbox"},
    {.name = "archive",
     .takes = "",
     .needs = NEEDS(archive),
     .run = verb_archive,
     .help = "the same, and moves it to cheaper storage; it takes longer to start"},
    {.name = "recover",
     .takes = "",
     .needs = NEEDS(recover),
     .run = verb_recover,
     .help = "starts a sandbox that is in error, if sandbox/recoverable says true"},
    {.name = "delete",
     .takes = "NAME",
     .min = 1,
     .max = 1,
     .needs = NEEDS(destroy),
     .run = verb_delete,
     .help = "deletes the sandbox; NAME is its own, as a safeguard"},
    {.name = "autostop",
     .takes = "TIME",
     .min = 1,
     .max = 1,
     .needs = NEEDS(sandbox),
     .run = verb_autostop,
     .help = "stops it after so long without use: minutes, 2h, never"},
    {.name = "autoarchive",
     .takes = "TIME",
     .min = 1,
     .max = 1,
     .needs = NEEDS(sandbox),
     .run = verb_autoarchive,
     .help = "archives it when it was stopped for so long"},
    {.name = "autodelete",
     .takes = "TIME",
     .min = 1,
     .max = 1,
     .needs = NEEDS(sandbox),
     .run = verb_autodelete,
     .help = "deletes it when it was stopped for so long; 0: when it is stopped"},
    {.name = "ttl",
     .takes = "TIME",
     .min = 1,
     .max = 1,
     .needs = NEEDS(sandbox),
     .run = verb_ttl,
     .help = "deletes it so long after it was made; not for every class of sandbox"},
    {.name = "labels",
     .takes = "KEY=VALUE...",
     .min = 1,
     .max = -1,
     .needs = NEEDS(sandbox),
     .run = verb_labels,
     .help = "sets labels; KEY= takes one away"},
    {.name = "keepalive",
     .takes = "",
     .needs = NEEDS(sandbox),
     .run = verb_keepalive,
     .help = "counts as use: the time until autostop begins again"},
    {.name = NULL},
};

static const struct ctl_row rows[] = {
    {.name = "help", .mode = 0400, .kind = CTL_SNAPSHOT, .show = show_help, .help = "this text"},
    {.name = "version",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_version,
     .help = "the program that serves this mount"},
    {.name = "status",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_status,
     .help = "what is mounted and what is not yet sent, `key value` lines"},
    {.name = "status.json",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_status_json,
     .help = "the same as one JSON object"},
    {.name = "config",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .needs = NEEDS(config),
     .show = show_config,
     .help = "the options in force, `option value` lines"},
    {.name = "capabilities",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .needs = NEEDS(capabilities),
     .show = show_capabilities,
     .help = "what this sandbox can do, and what is weaker than on a local disk"},
    {.name = "stats",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .needs = NEEDS(stats),
     .show = show_stats,
     .help = "requests and bytes so far, `key value` lines"},
    {.name = "stats.json",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .needs = NEEDS(stats),
     .show = show_stats_json,
     .help = "the same as one JSON object"},
    {.name = "trace",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .needs = NEEDS(trace),
     .show = show_trace,
     .help = "what was asked of the sandbox last, after the verb trace on"},
    {.name = "errors",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_errors,
     .help = "what went wrong and why, `TIME PID FILE ERRNO: sentence` lines"},
    {.name = "exit",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_exit,
     .help = "exit code of the run that ended last"},
    {.name = "ctl",
     .mode = 0600,
     .kind = CTL_VERBS,
     .show = show_verbs,
     .verbs = ctl_verbs,
     .takes = "VERB [PATH]",
     .help = "carries out verbs, one a line; reads as what they are",
     .example = "echo sync > $/ctl"},
    {.name = "queue",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = ctl_show_queue,
     .help = "what the sandbox does not have (yet), `SEQ STATE KIND BYTES PATH` lines"},
    {.name = "conflicts",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .dir = &ctl_conflicts,
     .help = "our versions of files that the sandbox changed meanwhile"},
    {.name = "rejected",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .dir = &ctl_rejected,
     .help = "what was written here and the sandbox refused to take"},
    {.name = "run",
     .mode = 0600,
     .kind = CTL_QUERY,
     .ask = ask_run,
     .question_max = QUESTION_MAX,
     .takes = "SCRIPT",
     .help = "runs it in the sandbox, in the mount's root; the answer is its output",
     .example = "echo 'make test' > $/run; cat $/run; cat $/exit"},
    {.name = "exists",
     .mode = 0600,
     .kind = CTL_QUERY,
     .ask = ask_exists,
     .question_max = PATH_QUESTION_MAX,
     .takes = "PATH",
     .help = "asks the sandbox, past all caches; the answer is yes or no",
     .example = "echo src/main.c > $/exists; cat $/exists"},
    {.name = "find",
     .mode = 0600,
     .kind = CTL_QUERY,
     .needs = NEEDS(sandbox),
     .ask = ask_find,
     .takes = "GLOB [PATH]",
     .help = "names below PATH that match, looked for inside the sandbox",
     .example = "echo \"'*.c' src\" > $/find; cat $/find"},
    {.name = "grep",
     .mode = 0600,
     .kind = CTL_QUERY,
     .needs = NEEDS(sandbox),
     .ask = ask_grep,
     .takes = "TEXT [PATH]",
     .help = "lines that hold TEXT as it is: FILE:LINE:CONTENT",
     .example = "echo \"'to do' src\" > $/grep; cat $/grep"},
    {.name = "replace",
     .mode = 0600,
     .kind = CTL_QUERY,
     .needs = NEEDS(sandbox),
     .ask = ask_replace,
     .takes = "OLD NEW FILE...",
     .help = "replaces OLD as it is; the answer is each FILE, with what went wrong",
     .example = "echo old new a.c b.c > $/replace; cat $/replace"},
    {.name = "url",
     .mode = 0600,
     .kind = CTL_QUERY,
     .needs = NEEDS(sandbox),
     .ask = ask_url,
     .question_max = PATH_QUESTION_MAX,
     .takes = "PATH|PORT",
     .help = "links to a file, good for an hour; to a port: PORT, or PORT signed [TIME]",
     .example = "echo 3000 signed 10m > $/url; cat $/url"},
    {.name = "watch",
     .mode = 0600,
     .kind = CTL_STREAM,
     .question_max = PATH_QUESTION_MAX,
     .takes = "PATH",
     .help = "tells what changes at and below it in the sandbox, as long as it is open",
     .example = "exec 3<>$/watch; echo src >&3; cat <&3"},
    {.name = "jobs",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .rows = jobs_rows,
     .dir = &jobs_dir,
     .help = "commands that go on by themselves: mkdir makes one, rmdir removes it",
     .example = "mkdir $/jobs/build; echo make > $/jobs/build/cmd"},
    {.name = "sessions",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .needs = NEEDS(sandbox),
     .dir = &sessions_dir,
     .help = "shells that live on: mkdir makes one, rmdir ends it, cd and variables stay"},
    {.name = "ports",
     .mode = 0500,
     .kind = CTL_DIR,
     .waits = true,
     .needs = NEEDS(sandbox),
     .dir = &ports_dir,
     .help = "lists the ports that programs listen on; any other can be asked for, too"},
    {.name = "sandbox",
     .mode = 0500,
     .kind = CTL_DIR,
     .needs = NEEDS(sandbox),
     .rows = box_rows,
     .help = "what the service says of it, asked when a file is opened; never wakes it"},
    {.name = NULL},
};

const struct ctl_row ctl_root_row = {.mode = 0500, .kind = CTL_DIR, .rows = rows};

bool ctl_has(const struct ctl *ctl, size_t needs)
{
    void *p;

    if (!ctl || needs == 0)
        return true;
    memcpy(&p, (const char *)&ctl->host + needs, sizeof(p)); /* functions are as large on POSIX */
    return p != NULL;
}
