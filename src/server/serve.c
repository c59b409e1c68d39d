/* serve.c - the subcommand: options, one line when ready, the end on a signal. */
#include "server/server.h"

#include "util/array.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/words.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { EXIT_OTHER = 1, EXIT_USAGE = 2, FOLDERS_MAX = 64, KEY_FILE_MAX = 1024 };

struct serve_options {
    const char *listen, *public_url, *state, *key_file, *fault, *daemon;
    struct server_folder folders[FOLDERS_MAX];
    size_t folder_count;
    bool no_isolation, help;
    char state_default[4096];
    char names[FOLDERS_MAX][64];
};

struct option_row {
    const char *name;
    const char *value; /* what the help calls it; NULL: a switch */
    size_t offset;     /* of a const char *, or a bool for a switch */
    int (*take)(struct serve_options *o, const char *value); /* instead of storing */
    const char *help;
};

static int take_folder(struct serve_options *o, const char *value)
{
    const char *eq = strchr(value, '=');
    const size_t n = eq ? (size_t)(eq - value) : 0;

    if (!eq || n == 0 || n > 63 || !eq[1]) {
        fprintf(stderr, "daytonafs serve: --sandbox %s: NAME=DIR is wanted\n", value);
        return -EINVAL;
    }
    if (o->folder_count == FOLDERS_MAX) {
        fprintf(stderr, "daytonafs serve: at most %d --sandbox\n", FOLDERS_MAX);
        return -EINVAL;
    }
    memcpy(o->names[o->folder_count], value, n);
    o->folders[o->folder_count] =
        (struct server_folder){.name = o->names[o->folder_count], .dir = eq + 1};
    o->folder_count++;
    return 0;
}

static int take_daemon(struct serve_options *o, const char *value)
{
    if (strcmp(value, "0.190") != 0 && strcmp(value, "new") != 0) {
        fprintf(stderr, "daytonafs serve: --daemon %s: 0.190 or new is wanted\n", value);
        return -EINVAL;
    }
    o->daemon = value;
    return 0;
}

#define FIELD(name) offsetof(struct serve_options, name)

/* clang-format off */
static const struct option_row option_rows[] = {
    {"listen", "ADDR:PORT", FIELD(listen), NULL,
     "where to listen, loopback only (127.0.0.1, any free port)"},
    {"public-url", "URL", FIELD(public_url), NULL,
     "base of the URLs it hands out, for a relay in between"},
    {"state", "DIR", FIELD(state), NULL, "where sandboxes live ($XDG_STATE_HOME/daytonafs/serve)"},
    {"key-file", "FILE", FIELD(key_file), NULL,
     "holds the API key; without it one is made in the state directory"},
    {"sandbox", "NAME=DIR", 0, take_folder, "serve DIR as that sandbox's home; may be repeated"},
    {"fault", "SPEC", FIELD(fault), NULL, "break things on purpose, see below"},
    {"daemon", "KIND", 0, take_daemon, "the toolbox to imitate: 0.190 (default) or new"},
    {"no-isolation", NULL, FIELD(no_isolation), NULL,
     "processes see the host as it is: for trusted code only"},
    {"help", NULL, FIELD(help), NULL, "this text"},
};
/* clang-format on */

static void print_help(void)
{
    struct buf faults = BUF_INIT(64 << 10);

    puts("usage: daytonafs serve [OPTION]...\n"
         "Runs local Daytona sandboxes. Prints one line of JSON when it is ready; SIGINT or "
         "SIGTERM\n"
         "ends it and what runs in the sandboxes. They are there again at the next start.\n");
    for (size_t i = 0; i < ARRAY_LEN(option_rows); i++) {
        char left[64];

        snprintf(left, sizeof(left), "--%s%s%s", option_rows[i].name,
                 option_rows[i].value ? "=" : "", option_rows[i].value ? option_rows[i].value : "");
        printf("  %-24s %s\n", left, option_rows[i].help);
    }
    puts("\nWith isolation a sandbox sees its folder as /home/daytona, the host's /usr and /etc\n"
         "read-only, its own /tmp, /dev, /proc and processes, and nothing else of the host's "
         "files.\n"
         "The user is the caller's. The network is the host's.\n");
    if (server_fault_help(&faults) == 0)
        fputs(buf_str(&faults), stdout);
    buf_done(&faults);
}

static int unknown_option(const char *arg)
{
    const char *names[ARRAY_LEN(option_rows)], *near;
    char word[64];

    snprintf(word, sizeof(word), "%.*s", (int)strcspn(arg + 2, "="), arg + 2);
    for (size_t i = 0; i < ARRAY_LEN(option_rows); i++)
        names[i] = option_rows[i].name;
    near = words_nearest(word, names, ARRAY_LEN(names));
    fprintf(stderr, "daytonafs serve: unknown option '%s'%s%s%s\n", arg,
            near ? "; did you mean --" : "", near ? near : "", near ? "?" : "; see --help");
    return -EINVAL;
}

static int parse_option(struct serve_options *o, char **argv, int argc, int *i)
{
    const char *arg = argv[*i], *eq = strchr(arg, '='), *value = eq ? eq + 1 : NULL;
    const size_t n = eq ? (size_t)(eq - arg) : strlen(arg);
    const struct option_row *row = NULL;

    for (size_t k = 0; k < ARRAY_LEN(option_rows) && n > 2; k++) {
        if (strlen(option_rows[k].name) == n - 2 &&
            strncmp(option_rows[k].name, arg + 2, n - 2) == 0)
            row = &option_rows[k];
    }
    if (!row)
        return unknown_option(arg);
    if (!row->value) {
        if (value) {
            fprintf(stderr, "daytonafs serve: --%s takes no value\n", row->name);
            return -EINVAL;
        }
        *(bool *)((char *)o + row->offset) = true;
        return 0;
    }
    if (!value) {
        if (*i + 1 >= argc) {
            fprintf(stderr, "daytonafs serve: --%s wants %s\n", row->name, row->value);
            return -EINVAL;
        }
        value = argv[++*i];
    }
    if (row->take)
        return row->take(o, value);
    *(const char **)((char *)o + row->offset) = value;
    return 0;
}

static int parse(struct serve_options *o, int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int r;

        if (strcmp(argv[i], "-h") == 0) {
            o->help = true;
            continue;
        }
        if (strncmp(argv[i], "--", 2) != 0) {
            fprintf(stderr, "daytonafs serve: unexpected '%s'; see --help\n", argv[i]);
            return -EINVAL;
        }
        r = parse_option(o, argv, argc, &i);
        if (r < 0)
            return r;
    }
    return 0;
}

static int default_state(struct serve_options *o)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    int n;

    if (o->state)
        return 0;
    if (state && *state == '/')
        n = snprintf(o->state_default, sizeof(o->state_default), "%s/daytonafs/serve", state);
    else if (home && *home == '/')
        n = snprintf(o->state_default, sizeof(o->state_default), "%s/.local/state/daytonafs/serve",
                     home);
    else
        n = -1;
    if (n < 0 || n >= (int)sizeof(o->state_default)) {
        fputs("daytonafs serve: HOME is not set: give --state DIR\n", stderr);
        return -EINVAL;
    }
    o->state = o->state_default;
    return 0;
}

static int read_key(const char *path, char *key, size_t *ret_len)
{
    struct stat st;
    ssize_t n;
    int fd;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) == 0 && (st.st_mode & 077))
        log_msg(LOG_WARN, "%s can be read by others: chmod 600", path);
    n = read(fd, key, KEY_FILE_MAX);
    close(fd);
    if (n < 0)
        return -EIO;
    while (n > 0 && (key[n - 1] == '\n' || key[n - 1] == '\r' || key[n - 1] == ' '))
        n--;
    *ret_len = (size_t)n;
    return 0;
}

static int print_ready(struct server *s, const char *key_file)
{
    struct buf line = BUF_INIT(1 << 20);
    struct json_out o = {.buf = &line};
    int r;

    json_open(&o, '{');
    json_key(&o, "url");
    json_string(&o, server_url(s));
    json_key(&o, "key_file");
    json_string(&o, key_file);
    json_key(&o, "sandboxes");
    r = o.err;
    if (r == 0)
        r = server_describe(s, &line);
    json_close(&o, '}');
    if (r == 0 && (puts(buf_str(&line)) < 0 || fflush(stdout) != 0))
        r = -errno;
    buf_done(&line);
    return r;
}

static int run(const struct serve_options *o)
{
    struct server_config config = {
        .listen = o->listen,
        .public_url = o->public_url,
        .state_dir = o->state,
        .folders = o->folders,
        .folder_count = o->folder_count,
        .fault = o->fault,
        .new_daemon = o->daemon && strcmp(o->daemon, "new") == 0,
        .no_isolation = o->no_isolation,
    };
    struct buf why = BUF_INIT(4096);
    char key[KEY_FILE_MAX];
    struct server *s = NULL;
    sigset_t signals;
    int r = 0, sig;

    if (o->key_file) {
        r = read_key(o->key_file, key, &config.key_len);
        config.key = key;
        if (r < 0)
            (void)buf_printf(&why, "cannot read %s: %s", o->key_file, errtext_sentence(r));
    }
    /* Blocked before there are threads, so that only sigwait below takes them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    if (r == 0)
        r = server_start(&config, &s, &why);
    explicit_bzero(key, sizeof(key));
    if (r < 0) {
        fprintf(stderr, "daytonafs serve: %s\n", buf_str(&why));
        buf_done(&why);
        return r == -EINVAL || r == -EACCES ? EXIT_USAGE : EXIT_OTHER;
    }
    buf_done(&why);
    r = print_ready(s, o->key_file ? o->key_file : server_key_file(s));
    if (r == 0)
        (void)sigwait(&signals, &sig);
    server_free(s);
    return r < 0 ? EXIT_OTHER : 0;
}

int serve_main(int argc, char **argv)
{
    struct serve_options *o = calloc(1, sizeof(*o));
    int code = EXIT_USAGE;

    if (!o)
        return EXIT_OTHER;
    if (parse(o, argc, argv) == 0 && (o->help || default_state(o) == 0)) {
        if (o->help) {
            print_help();
            code = 0;
        } else {
            code = run(o);
        }
    }
    free(o);
    return code;
}
