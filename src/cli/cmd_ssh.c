/* daytonafs ssh [MOUNT|SANDBOX] [-- COMMAND...] */
#include "cli/script.h"
#include "cli/site.h"

#include "mount/dirs.h"
#include "util/clock.h"
#include "util/words.h"
#include "wire/json.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MAX = 1 << 20 };

extern char **environ;

/* What the service's "ssh -p 22 TOKEN@HOST" says. Borrowed from its words. */
struct gateway {
    char **words;
    const char *user, *host, *port;
};

/* Nothing that ssh, a shell or a terminal would read as more than a name. */
static bool is_plain(const char *s, const char *also)
{
    if (!*s || *s == '-')
        return false;
    for (; *s; s++) {
        if (!isalnum((unsigned char)*s) && !strchr(also, *s))
            return false;
    }
    return true;
}

static bool read_gateway(const char *command, struct gateway *ret)
{
    int count = 0;
    char *at;

    *ret = (struct gateway){.port = "22"};
    if (words_split(command, &ret->words, &count) < 0 || count < 2 ||
        strcmp(ret->words[0], "ssh") != 0)
        return false;
    for (int i = 1; i < count; i++) {
        if (strcmp(ret->words[i], "-p") == 0 && i + 1 < count) {
            ret->port = ret->words[++i];
        } else if (ret->words[i][0] != '-' && !ret->host && (at = strchr(ret->words[i], '@'))) {
            *at = '\0';
            ret->user = ret->words[i];
            ret->host = at + 1;
        } else {
            return false;
        }
    }
    return ret->host && is_plain(ret->user, "-_.") && is_plain(ret->host, "-_.:") &&
           strspn(ret->port, "0123456789") == strlen(ret->port) && *ret->port;
}

/* ---- print ---- */

static int print(const struct cli *cli, const struct gateway *g, const struct daytona_ssh *ssh,
                 const char *dir)
{
    struct buf line = BUF_INIT(TEXT_MAX), mount = BUF_INIT(TEXT_MAX), text = BUF_INIT(TEXT_MAX);
    struct json_out o = {.buf = &text};
    int r;

    r = buf_printf(&line, "ssh -p %s %s@%s", g->port, g->user, g->host);
    if (r == 0)
        r = buf_printf(&mount, "sshfs -p %s %s@%s:", g->port, g->user, g->host);
    if (r == 0)
        r = words_quote(&mount, dir);
    if (r == 0)
        r = buf_puts(&mount, " DIR -o reconnect,ServerAliveInterval=15");
    json_open(&o, '{');
    json_key(&o, "ssh");
    json_string(&o, buf_str(&line));
    json_key(&o, "sshfs");
    json_string(&o, buf_str(&mount));
    json_key(&o, "expires_at");
    json_string(&o, ssh->expires_at);
    json_close(&o, '}');
    r = r < 0 ? r : o.err;
    if (r < 0)
        r = cli_fail_errno(r, "cannot print the command");
    else if (cli_has(cli, "json"))
        printf("%s\n", buf_str(&text));
    else
        printf("%s\n%s\n", buf_str(&line), buf_str(&mount));
    buf_done(&line);
    buf_done(&mount);
    buf_done(&text);
    return r;
}

/* ---- run ---- */

/*
 * The token is the user name, and in ssh's arguments everybody could read it: so it goes into a
 * file. Keys and passwords are for other hosts. What the user has set for ssh counts behind it.
 */
static int write_config(const struct gateway *g, char *path)
{
    const int fd = mkstemp(path); /* 0600 */
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    int r = 0;

    if (!f)
        return -errno;
    fprintf(f,
            "Host daytona-sandbox\n"
            "  HostName %s\n  Port %s\n  User %s\n"
            "  PubkeyAuthentication no\n  PasswordAuthentication no\n"
            "  KbdInteractiveAuthentication no\n  ServerAliveInterval 15\n"
            "Match all\n  Include /etc/ssh/ssh_config\n  Include ~/.ssh/config\n",
            g->host, g->port, g->user);
    if (ferror(f))
        r = -EIO;
    if (fclose(f) != 0)
        r = -errno;
    return r;
}

static volatile sig_atomic_t child;

static void pass_on(int sig)
{
    if (child > 0)
        kill(child, sig);
}

/* The exit code of ssh, which is the command's. */
static int run_ssh(const char *config, const char *command)
{
    const char *argv[] = {"ssh", "-F", config, "daytona-sandbox", command, NULL};
    const struct sigaction pass = {.sa_handler = pass_on}, ignore = {.sa_handler = SIG_IGN};
    posix_spawnattr_t attributes;
    sigset_t own;
    pid_t pid;
    int status = 0, r;

    /* The terminal sends its signals to ssh, too; who ends this program means ssh. */
    sigemptyset(&own);
    sigaddset(&own, SIGINT);
    sigaddset(&own, SIGQUIT);
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGQUIT, &ignore, NULL);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigdefault(&attributes, &own);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    r = posix_spawnp(&pid, "ssh", NULL, &attributes, (char *const *)argv, environ);
    posix_spawnattr_destroy(&attributes);
    if (r != 0)
        return cli_fail(EXITCODE_OTHER, "cannot start ssh: %s", strerror(r));
    child = pid;
    sigaction(SIGTERM, &pass, NULL);
    sigaction(SIGHUP, &pass, NULL);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int start(const struct gateway *g, char *const *words)
{
    struct buf command = BUF_INIT(TEXT_MAX), path = BUF_INIT(4096);
    char *dir = dirs_mounts();
    int r = dir ? dirs_make_private(dir) : -ENOMEM;

    if (r == 0)
        r = buf_printf(&path, "%s/ssh-XXXXXX", dir);
    if (r == 0 && *words)
        r = script_words(&command, words);
    if (r == 0)
        r = write_config(g, path.data);
    if (r < 0) {
        r = cli_fail_errno(r, "cannot start ssh");
    } else {
        r = run_ssh(path.data, *words ? buf_str(&command) : NULL);
        (void)unlink(path.data); /* the token has an end of its own */
    }
    free(dir);
    buf_done(&command);
    buf_done(&path);
    return r;
}

/* ---- the command ---- */

static int read_minutes(const struct cli *cli, uint32_t *ret)
{
    int64_t ns = 3600 * NS_PER_S;
    int r = cli_duration(cli, "expires", &ns);

    if (r == EXITCODE_OK && (ns < 60 * NS_PER_S || ns > INT64_C(525600) * 60 * NS_PER_S))
        r = cli_fail_usage(cli, "--expires is at least 1m");
    *ret = (uint32_t)(ns / (60 * NS_PER_S));
    return r;
}

static int use_access(const struct cli *cli, struct site *site, char *const *words,
                      uint32_t minutes)
{
    struct daytona_ssh ssh = {0};
    struct gateway gateway = {0};
    char *dir = NULL;
    int r = api_check(&site->api, daytona_ssh_create(site->api.sandbox, minutes, &ssh));

    if (r != EXITCODE_OK)
        return r;
    if (!read_gateway(ssh.command, &gateway)) {
        r = cli_fail(EXITCODE_OTHER, "the service's ssh command is not understood: %s",
                     ssh.command);
    } else if (cli_has(cli, "print") || cli_has(cli, "json")) {
        dir = site->target.mounted ? site_path(site, NULL) : NULL;
        if (!dir && daytona_sandbox_work_dir(site->api.sandbox, &dir) < 0)
            dir = NULL; /* not running: ssh's own directory it is */
        r = print(cli, &gateway, &ssh, dir ? dir : "");
    } else {
        r = start(&gateway, words);
        site_changed(site);
    }
    free(dir);
    free(gateway.words);
    daytona_ssh_done(&ssh);
    return r;
}

static int run(struct cli *cli)
{
    const bool named = cli->argc > 0 && cli->before_dashes != 0;
    char **words = cli->argv + (named ? 1 : 0);
    struct site site;
    uint32_t minutes;
    int r = read_minutes(cli, &minutes);

    if (*words && cli->before_dashes < 0 && strcmp(*words, "--") == 0)
        words++;
    if (r == EXITCODE_OK && cli->before_dashes > 1)
        r = cli_fail_usage(cli, "one argument too many before --: '%s'", cli->argv[1]);
    if (r != EXITCODE_OK)
        return r;
    r = site_open(&site, cli, named ? cli->argv[0] : NULL, true);
    if (r == EXITCODE_OK)
        r = use_access(cli, &site, words, minutes);
    site_done(&site);
    return r;
}

static const struct cli_option options[] = {
    {"print", 'p', NULL, "print the ssh command, and one for sshfs, instead of running it"},
    {"expires", 0, "DURATION", "how long it lets new connections in; default 1h"},
    {0},
};

const struct cli_command cmd_ssh = {
    .name = "ssh",
    .run = run,
    .usage = "[MOUNT|SANDBOX] [-- COMMAND [ARG...]]",
    .summary = "connect to a sandbox with ssh",
    .text = "Asks for access and starts ssh with it, whose exit code is passed on. Each call ends "
            "the access that was given before. What is printed lets anybody in who reads it, until "
            "it expires. Commands and terminals need no ssh: see exec and shell; this is for what "
            "does, as an editor, scp or sshfs.",
    .options = options,
    .flags = CLI_API | CLI_JSON | CLI_COMMAND_LINE,
    .max = -1,
};
