#include "remote/backends.h"
#include "remote/plain_internal.h"
#include "remote/record.h"

#include "util/clock.h"
#include "util/path.h"
#include "util/random.h"

#include <daytona/process.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int plain_net_error(int r)
{
    const struct daytona_error *e = daytona_last_error();

    switch (r) {
    case 0:
    case -ENOMEM:
    case -EINTR:
    case -ECANCELED:
    case -EFBIG:
    case -EHOSTDOWN:
    case -ETIMEDOUT:
    case -ECONNRESET:
    case -ECONNREFUSED:
    case -EHOSTUNREACH:
        return r;
    case -EBUSY:
        return -EHOSTDOWN; /* on its way up or down */
    case -ENOENT:
        return e->infra ? -EHOSTDOWN : -EIO;
    default:
        return -EIO;
    }
}

/* What the file system would have said of path, had the service let it. */
static int explain(struct plain *p, const char *path)
{
    struct shcmd_answer answer;
    struct shcmd s;
    int r;

    if (!p->shell)
        return -EIO;
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    shcmd_add(&s, "stat \"$a\" >/dev/null||exit 1;");
    r = plain_run(p, &s, PLAIN_SMALL, &answer);
    if (r < 0)
        return r;
    r = shcmd_errno(&answer);
    shcmd_answer_done(&answer);
    return r < 0 ? r : -EIO;
}

int plain_file_error(struct plain *p, const char *path, int r)
{
    const struct daytona_error *e = daytona_last_error();

    if (e->infra || e->auth)
        return plain_net_error(r);
    switch (r) {
    case -ENOENT:
    case -EACCES:
    case -EPERM:
    case -EEXIST:
    case -EISDIR:
    case -ENOTDIR:
    case -ENOSPC:
    case -EDQUOT:
    case -EROFS:
    case -ENAMETOOLONG:
    case -ELOOP:
    case -ETXTBSY:
        return r;
    case -EINVAL: /* 400 may be anything */
        return explain(p, path);
    default:
        return plain_net_error(r);
    }
}

/* command becomes both of them; false: as it was. */
static bool add_more(char **command, const struct plain_more *more)
{
    char *both;

    if (strlen(*command) + strlen(more->command) > SHCMD_MAX ||
        asprintf(&both, "%s;%s", *command, more->command) < 0)
        return false;
    free(*command);
    *command = both;
    return true;
}

static int run(struct plain *p, struct shcmd *s, size_t answer_max, uint32_t timeout_s,
               const struct plain_more *more, struct shcmd_answer *ret)
{
    struct daytona_execute execute = {.cwd = "/", .output_max = answer_max, .timeout_s = timeout_s};
    struct daytona_result result = {0};
    char *command = NULL;
    int r;

    r = shcmd_command(s, &command);
    if (r < 0)
        goto out;
    if (more && add_more(&command, more))
        execute.output_max += more->output_max;
    else
        more = NULL;
    execute.command = command;
    execute.background = remote_in_background();
    r = daytona_process_execute(p->sandbox, &execute, &result);
    if (r < 0) {
        r = plain_net_error(r);
        goto out;
    }
    r = shcmd_decode(s->token, result.output ? result.output : "", result.len, ret);
    if (r == -EBADMSG) /* the shell was not started, was killed, or somebody lies */
        r = -EIO;
    if (r == 0 && more)
        more->take(more->arg, result.output ? result.output : "", result.len);
out:
    daytona_result_done(&result);
    free(command);
    shcmd_done(s);
    return r;
}

int plain_run(struct plain *p, struct shcmd *s, size_t answer_max, struct shcmd_answer *ret)
{
    return plain_run_for(p, s, answer_max, p->op_timeout_s, ret);
}

int plain_run_for(struct plain *p, struct shcmd *s, size_t answer_max, uint32_t timeout_s,
                  struct shcmd_answer *ret)
{
    return run(p, s, answer_max, timeout_s, NULL, ret);
}

int plain_run_long(struct plain *p, struct shcmd *s, size_t answer_max,
                   const struct plain_more *more, struct shcmd_answer *ret)
{
    return run(p, s, answer_max, 0, more, ret);
}

/* ---- the probe ---- */

static void take_groups(struct remote_info *info, const char *text)
{
    char *end;

    while (info->group_count < REMOTE_GROUPS_MAX) {
        const unsigned long gid = strtoul(text, &end, 10);

        if (end == text || gid > UINT32_MAX)
            return;
        info->groups[info->group_count++] = (uint32_t)gid;
        text = end;
    }
}

/* "1700000000.123456789"; busybox's date knows no fractions. */
static int64_t parse_now(const char *text)
{
    char *end;
    const long long sec = strtoll(text, &end, 10);
    int64_t ns = 0;

    if (sec <= 0 || sec >= INT64_MAX / NS_PER_S)
        return 0;
    if (*end == '.' && strspn(end + 1, "0123456789") == 9)
        ns = strtoll(end + 1, NULL, 10);
    else
        ns = NS_PER_S / 2;
    return sec * NS_PER_S + ns;
}

static long renameat2_number(const char *arch)
{
    static const struct {
        const char *arch;
        long number;
    } rows[] = {
        {"x86_64", 316}, {"aarch64", 276}, {"riscv64", 276}, {"armv7l", 382}, {"i686", 353}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (strcmp(rows[i].arch, arch) == 0)
            return rows[i].number;
    return 0;
}

/* The program that execute feeds; what we know to take -c, else sh. */
static char *shell_from_exe(const char *exe)
{
    static const char *const known[] = {"zsh", "bash", "dash", "ash", "sh", "ksh", "mksh"};
    const char *base = path_base(exe);

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (exe[0] == '/' && (strcmp(base, known[i]) == 0 || strcmp(base, "zsh5") == 0))
            return strdup(exe);
    return strdup("sh");
}

struct probe {
    bool find, coreutils, head_z, stat, stat_f, truncate, rmdir, ln, touch;
    int64_t now_ns;
};

static void probe_line(struct plain *p, struct probe *probe, const char *key, const char *value)
{
    struct remote_info *info = &p->info;

    if (strcmp(key, "uid") == 0)
        info->uid = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "gid") == 0)
        info->gid = (uint32_t)strtoul(value, NULL, 10);
    else if (strcmp(key, "groups") == 0)
        take_groups(info, value);
    else if (strcmp(key, "now") == 0)
        probe->now_ns = parse_now(value);
    else if (strcmp(key, "arch") == 0)
        p->renameat2 = renameat2_number(value);
    else if (strcmp(key, "shell") == 0 && !info->shell)
        info->shell = shell_from_exe(value);
    else if (strcmp(key, "find") == 0)
        probe->find = strcmp(value, "d/") == 0;
    else if (strcmp(key, "stat") == 0) /* with fractions of seconds */
        probe->stat = value[0] == '/' && strstr(value, ".") && strstr(value, " +0000");
    else if (strcmp(key, "ln") == 0)
        probe->ln = true;
    else if (strcmp(key, "touch") == 0)
        probe->touch = true;
    else if (strcmp(key, "mv") == 0)
        probe->coreutils = strstr(value, "coreutils") != NULL;
    else if (strcmp(key, "mvopt") == 0)
        p->mv_no_copy = true;
    else if (strcmp(key, "headz") == 0)
        probe->head_z = strcmp(value, "2") == 0; /* "a" and its NUL */
    else if (strcmp(key, "statf") == 0)
        probe->stat_f = value[0] >= '0' && value[0] <= '9';
    else if (strcmp(key, "truncate") == 0)
        probe->truncate = value[0] != '\0';
    else if (strcmp(key, "rmdir") == 0)
        probe->rmdir = value[0] != '\0';
    else if (strcmp(key, "perl") == 0 && strcmp(value, "ok") == 0)
        p->rename = PLAIN_RENAME_PERL;
    else if (strcmp(key, "python") == 0 && strcmp(value, "ok") == 0)
        p->rename = PLAIN_RENAME_PYTHON;
}

static void probe_lines(struct plain *p, struct probe *probe, char *text)
{
    char *save = NULL;

    for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *blank = strchr(line, ' ');

        if (!blank)
            continue;
        *blank = '\0';
        probe_line(p, probe, line, blank + 1);
    }
}

static void probe_caps(struct plain *p, const struct probe *probe)
{
    unsigned caps = REMOTE_CAP_EXEC | REMOTE_CAP_REPLACE;

    p->full = probe->find && probe->coreutils && probe->head_z;
    if (p->full)
        caps |= REMOTE_CAP_LSTAT | REMOTE_CAP_TREE | REMOTE_CAP_LINKS | REMOTE_CAP_TIMES |
                REMOTE_CAP_TOUCH;
    p->records = p->full       ? PLAIN_RECORDS_FIND
                 : probe->stat ? PLAIN_RECORDS_STAT
                               : PLAIN_RECORDS_NONE;
    if (p->records == PLAIN_RECORDS_STAT)
        caps |= REMOTE_CAP_LSTAT | (probe->ln ? REMOTE_CAP_LINKS : 0) |
                (probe->touch ? REMOTE_CAP_TOUCH : 0);
    if (probe->rmdir)
        caps |= REMOTE_CAP_RMDIR;
    if (probe->truncate)
        caps |= REMOTE_CAP_TRUNCATE;
    if (probe->stat_f)
        caps |= REMOTE_CAP_STATFS | REMOTE_CAP_JOBS; /* what tells a file's size there, too */
    if (p->full && p->rename != PLAIN_RENAME_MV && p->renameat2)
        caps |= REMOTE_CAP_EXCHANGE;
    p->info.caps = caps;
}

static void add_probe(struct shcmd *s)
{
    shcmd_set(s, "r", record_stat_script);
    shcmd_add(s, "{ echo \"uid $(id -u)\";echo \"gid $(id -g)\";echo \"groups $(id -G)\";"
                 "echo \"arch $(uname -m)\";echo \"shell $(readlink /proc/$PPID/exe)\";"
                 "find / -maxdepth 0 -printf \"find %%y/%%P\\n\";"
                 "echo \"mv $(mv --version </dev/null | head -n 1)\";"
                 "mv --help | grep -q -e --no-copy && echo mvopt 1;"
                 "echo \"headz $(printf \"a\\0b\\0\" | head -z -n 1 | wc -c | tr -d -c 0-9)\";");
    shcmd_add(s, "echo \"stat $(find / -maxdepth 0 -exec sh -c \"$r\" sh {} + | "
                 "tr \"\\000\" \"|\" | tail -n 1)\";"
                 "ln --help 2>&1 | grep -q -e \"-T\" && echo ln 1;"
                 "touch -h -c -a -m -d \"1970-01-01 00:00:01\" /daytonafs.none && echo touch 1;");
    shcmd_add(s, "echo \"statf $(stat -f -c %%S /)\";echo \"truncate $(command -v truncate)\";"
                 "echo \"rmdir $(command -v rmdir)\";"
                 "perl -e \"print qq(perl ok\\n)\" || python3 -c \"print(\\\"python ok\\\")\";"
                 "echo \"now $(date +%%s.%%N)\"; } 2>/dev/null | base64 >&3;");
}

/* One script tells what the sandbox has. -EOPNOTSUPP: no shell, or none of the tools we need. */
static int probe_shell(struct plain *p)
{
    const int64_t start_ns = clock_real_ns();
    struct probe probe = {0};
    struct shcmd_answer answer;
    struct shcmd s;
    int r;

    shcmd_init(&s);
    add_probe(&s);
    r = plain_run(p, &s, PLAIN_SMALL, &answer);
    if (r == -EIO)
        return -EOPNOTSUPP;
    if (r < 0)
        return r;
    if (answer.part[0].len == 0)
        r = -EOPNOTSUPP; /* no base64 */
    else
        probe_lines(p, &probe, answer.part[0].data);
    shcmd_answer_done(&answer);
    if (r < 0)
        return r;
    p->shell = true;
    if (probe.now_ns)
        p->info.clock_offset_ns = probe.now_ns - (start_ns / 2 + clock_real_ns() / 2);
    p->info.privileged = p->info.uid == 0;
    probe_caps(p, &probe);
    return 0;
}

/* Without a shell the owner of the home directory is the best guess of who we are. */
static int guess_user(struct plain *p)
{
    struct remote_attr attr;
    int r = plain_api_stat(p, p->info.home_dir, &attr);

    if (r < 0)
        return r;
    p->info.uid = attr.uid;
    p->info.gid = attr.gid;
    p->info.groups[0] = attr.gid;
    p->info.group_count = 1;
    p->info.privileged = attr.uid == 0;
    return 0;
}

static int probe(struct plain *p)
{
    int r;

    r = daytona_sandbox_work_dir(p->sandbox, &p->info.work_dir);
    if (r == 0)
        r = daytona_sandbox_home_dir(p->sandbox, &p->info.home_dir);
    if (r < 0)
        return daytona_last_error()->auth ? -EACCES : plain_net_error(r);
    if (p->info.work_dir[0] != '/' || p->info.home_dir[0] != '/')
        return -EPROTO;
    r = daytona_sandbox_version(p->sandbox, &p->info.daemon_version);
    if (r < 0) /* old daemons have no such call */
        p->info.daemon_version = strdup("");
    r = probe_shell(p);
    if (r == -EOPNOTSUPP)
        r = guess_user(p);
    if (r == 0 && !p->info.shell)
        p->info.shell = strdup(p->shell ? "sh" : "");
    if (r == 0 && (!p->info.daemon_version || !p->info.shell))
        r = -ENOMEM;
    return r;
}

/* ---- making and freeing ---- */

static void plain_free(struct remote *r)
{
    struct plain *p = plain_of(r);

    daytona_sandbox_unref(p->sandbox);
    remote_info_done(&p->info);
    free(p);
}

static const struct remote_ops plain_ops = {
    .name = "plain",
    .info = plain_info,
    .stat = plain_stat,
    .list = plain_list,
    .fetch = plain_fetch,
    .fetch_many = plain_fetch_many,
    .create = plain_create,
    .put = plain_put,
    .mkdir = plain_mkdir,
    .symlink = plain_symlink,
    .link = plain_link,
    .unlink = plain_unlink,
    .rmdir = plain_rmdir,
    .rename = plain_rename,
    .exchange = plain_exchange,
    .setattr = plain_setattr,
    .statfs = plain_statfs,
    .exec = plain_exec,
    .job = plain_job,
    .free = plain_free,
};

struct plain *remote_plain_of(struct remote *r)
{
    return r->ops == &plain_ops ? plain_of(r) : NULL;
}

uint32_t remote_plain_op_timeout_s(const struct remote *r)
{
    return r->ops == &plain_ops ? ((const struct plain *)r)->op_timeout_s : 0;
}

int remote_plain_new(struct daytona_sandbox *sandbox, uint32_t op_timeout_s, struct remote **ret)
{
    struct plain *p = calloc(1, sizeof(*p));
    uint32_t mount_id;
    int r;

    if (!p)
        return -ENOMEM;
    p->remote.ops = &plain_ops;
    p->sandbox = daytona_sandbox_ref(sandbox);
    p->op_timeout_s = op_timeout_s;
    r = random_bytes(&mount_id, sizeof(mount_id));
    if (r == 0) {
        snprintf(p->temp_prefix, sizeof(p->temp_prefix), ".daytonafs-%08x-", mount_id);
        r = probe(p);
    }
    if (r < 0)
        plain_free(&p->remote);
    else
        *ret = &p->remote;
    return r;
}
