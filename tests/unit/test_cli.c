/* The program as a child: what bad invocations get, and what help says. No network, no mount. */
#include "unit.h"

#include "cli/cli.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ARGS_MAX = 16, SECONDS_MAX = 20 };

static char home[] = "/tmp/test_cli.XXXXXX";
static char empty_dir[64], full_dir[64], key_open[64], key_good[64];

struct outcome {
    int code; /* -1: a signal */
    struct buf out, err;
    double seconds;
};

static double now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void child(char **argv, int out, int err)
{
    char *const env[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
    int null = open("/dev/null", O_RDONLY);

    if (chdir(home) != 0)
        _exit(99);
    dup2(null, 0);
    dup2(out, 1);
    dup2(err, 2);
    alarm(SECONDS_MAX); /* survives exec: nothing here may take longer */
    environ = (char **)env;
    setenv("HOME", home, 1);
    setenv("XDG_RUNTIME_DIR", home, 1);
    execv(DAYTONAFS_PROGRAM, argv);
    _exit(99);
}

static void drain(int fd, struct buf *into)
{
    char bytes[4096];
    ssize_t n;

    while ((n = read(fd, bytes, sizeof(bytes))) > 0)
        assert_int_equal(buf_append(into, bytes, (size_t)n), 0);
    close(fd);
}

/* args are words parted by blanks; '~' begins a word that names one of the files made in setup. */
static void run(const char *args, struct outcome *ret)
{
    static const struct {
        const char *word, *value;
    } names[] = {
        {"~empty", empty_dir}, {"~full", full_dir}, {"~open", key_open}, {"~key", key_good}};
    char text[1024], *argv[ARGS_MAX] = {"daytonafs"}, *save = NULL;
    int out, err, status, argc = 1;
    FILE *files[2] = {tmpfile(), tmpfile()};
    pid_t pid;

    assert_true(files[0] && files[1] && strlen(args) < sizeof(text));
    out = fileno(files[0]);
    err = fileno(files[1]);
    strcpy(text, args);
    for (char *w = strtok_r(text, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
        for (size_t i = 0; i < ARRAY_LEN(names); i++)
            w = strcmp(w, names[i].word) == 0 ? (char *)names[i].value : w;
        assert_true(argc < ARGS_MAX - 1);
        argv[argc++] = w;
    }
    ret->seconds = now();
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child(argv, out, err);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ret->seconds = now() - ret->seconds;
    ret->code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    buf_init(&ret->out, 1 << 20);
    buf_init(&ret->err, 1 << 20);
    lseek(out, 0, SEEK_SET);
    lseek(err, 0, SEEK_SET);
    drain(dup(out), &ret->out);
    drain(dup(err), &ret->err);
    fclose(files[0]);
    fclose(files[1]);
}

static void outcome_done(struct outcome *o)
{
    buf_done(&o->out);
    buf_done(&o->err);
}

/* Nobody listens there, and connecting is refused at once. */
#define NOBODY "--api-url http://127.0.0.1:1/api"

static const struct {
    const char *args;
    int code;
    const char *says; /* in the one line on stderr */
} bad[] = {
    {"moutn", EXITCODE_USAGE, "did you mean 'mount'"},
    {"snyc", EXITCODE_USAGE, "did you mean 'sync'"},
    {"exce demo", EXITCODE_USAGE, "did you mean 'exec'"},
    {"xyzzy", EXITCODE_USAGE, "no command 'xyzzy'"},
    {"sandbox lst", EXITCODE_USAGE, "did you mean 'sandbox list'"},
    {"help exce", EXITCODE_USAGE, "did you mean 'exec'"},
    {"mounts --jsn", EXITCODE_USAGE, "did you mean --json"},
    {"mounts --json=yes", EXITCODE_USAGE, "takes no value"},
    {"mounts -x", EXITCODE_USAGE, "no option -x"},
    {"mounts extra", EXITCODE_USAGE, "too many: 'extra'"},
    {"mount demo", EXITCODE_USAGE, "missing"},
    {"mount", EXITCODE_USAGE, "missing"},
    {"demo:", EXITCODE_USAGE, "missing"},
    {"mount demo ~empty -o", EXITCODE_USAGE, "-o wants"},
    {"mount demo ~empty -o coherance=1s", EXITCODE_USAGE, "coherence"},
    {"demo ~empty -o rw,wake=nevr", EXITCODE_USAGE, "never"},
    {"mount : ~empty", EXITCODE_USAGE, "SANDBOX"},
    {"mount demo ~empty", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"demo ~empty", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"umount ~empty", EXITCODE_NOT_FOUND, "not"},
    {"exec", EXITCODE_USAGE, "which command"},
    {"exec demo", EXITCODE_USAGE, "daytonafs exec demo -- COMMAND"},
    {"exec demo --", EXITCODE_USAGE, "which command"},
    {"exec -- ls", EXITCODE_USAGE, "which sandbox"},
    {"exec ./nowhere -- ls", EXITCODE_NOT_FOUND, "not in a mount"},
    {"exec -e 9=1 demo -- ls", EXITCODE_USAGE, "NAME=VALUE"},
    {"exec demo -c ls -- ls", EXITCODE_USAGE, "not both"},
    {"exec --name x demo -- ls", EXITCODE_USAGE, "--detach"},
    {"exec -d -i demo -- ls", EXITCODE_USAGE, "--interactive"},
    {"exec --timeout x demo -- ls", EXITCODE_USAGE, "no duration"},
    {"logs", EXITCODE_USAGE, "something is missing"},
    {"attach ./nowhere 1", EXITCODE_NOT_FOUND, "not in a mount"},
    {"kill -s NOSUCH demo 1", EXITCODE_USAGE, "TERM, INT"},
    {"jobs demo", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"exec demo -- ls", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"exec --credentials ~key " NOBODY " demo -- ls", EXITCODE_TRANSIENT, "127.0.0.1:1"},
    {"shell", EXITCODE_USAGE, "which sandbox"},
    {"shell ./nowhere", EXITCODE_NOT_FOUND, "not in a mount"},
    {"shell --name a/b demo", EXITCODE_USAGE, "no name"},
    {"shell -e 9=1 demo", EXITCODE_USAGE, "NAME=VALUE"},
    {"shell --json demo", EXITCODE_USAGE, "--list"},
    {"shell demo", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"git clone demo", EXITCODE_USAGE, "no URL"},
    {"git clone https://x:y@z/w demo dir", EXITCODE_USAGE, "too many"},
    {"git clone https://x:y@z/w", EXITCODE_USAGE, "seen by everybody"},
    {"git clone demo https://z/w --depth 0", EXITCODE_USAGE, "above 0"},
    {"git add demo", EXITCODE_USAGE, "which sandbox"},
    {"git add demo --", EXITCODE_USAGE, "which files"},
    {"git stats", EXITCODE_USAGE, "did you mean 'git status'"},
    {"ssh", EXITCODE_USAGE, "which sandbox"},
    {"find x", EXITCODE_USAGE, "which sandbox"},
    {"grep", EXITCODE_USAGE, "missing"},
    {"replace a b", EXITCODE_USAGE, "missing"},
    {"url demo 3000 --upload", EXITCODE_USAGE, "for paths"},
    {"url demo f --ttl x", EXITCODE_USAGE, "no duration"},
    {"sandbox autostop demo", EXITCODE_USAGE, "missing"},
    {"sandbox autostop demo soon", EXITCODE_USAGE, "no time"},
    {"sandbox resize demo", EXITCODE_USAGE, "--cpu"},
    {"sandbox resize demo --cpu 0", EXITCODE_USAGE, "above 0"},
    {"ssh demo --expires 1s", EXITCODE_USAGE, "1m"},
    {"exists", EXITCODE_USAGE, "missing"},
    {"exists file", EXITCODE_NOT_FOUND, "not in a mount"},
    {"exists demo file", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"watch demo", EXITCODE_NOT_FOUND, "needs a mount"},
    {"watch demo --count 0", EXITCODE_USAGE, "above 0"},
    {"watch demo --timeout soon", EXITCODE_USAGE, "no duration"},
    {"sync demo", EXITCODE_NOT_FOUND, "needs a mount"},
    {"sync ~empty", EXITCODE_NOT_FOUND, "not in a mount"},
    {"sandbox list", EXITCODE_AUTH, "DAYTONA_API_KEY"},
    {"sandbox list --credentials ~open " NOBODY, EXITCODE_AUTH, "chmod 600"},
    {"sandbox list --credentials /no/such " NOBODY, EXITCODE_AUTH, "/no/such"},
    {"sandbox list --credentials ~key " NOBODY, EXITCODE_TRANSIENT, "127.0.0.1:1"},
    {"sandbox list --credentials ~key --api-url http://example.com/api", EXITCODE_USAGE, "https"},
    {"sandbox list --credentials ~key --api-url nonsense", EXITCODE_USAGE, "nonsense"},
    {"sandbox list --label novalue", EXITCODE_USAGE, "KEY=VALUE"},
    {"sandbox create --cpu two --image x", EXITCODE_USAGE, "above 0"},
    {"sandbox create --cpu 2", EXITCODE_USAGE, "--image"},
    {"sandbox create --auto-stop x", EXITCODE_USAGE, "minutes"},
    {"sandbox start", EXITCODE_USAGE, "missing"},
    {"help --man nothing", EXITCODE_USAGE, "pages"},
    {"help --completion fish", EXITCODE_USAGE, "bash and zsh"},
};

static bool is_one_line(const struct buf *text)
{
    const char *newline = strchr(buf_str(text), '\n');

    return newline && newline[1] == '\0';
}

TEST(bad_invocations_get_one_line_and_the_right_code)
{
    int wrong = 0;

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct outcome o;

        run(bad[i].args, &o);
        if (o.code != bad[i].code || !strstr(buf_str(&o.err), bad[i].says) ||
            !is_one_line(&o.err) || o.out.len > 0 || o.seconds > 10) {
            print_error("daytonafs %s: code %d instead of %d, %.1f s, stdout '%s', stderr: %s\n",
                        bad[i].args, o.code, bad[i].code, o.seconds, buf_str(&o.out),
                        buf_str(&o.err));
            wrong++;
        }
        outcome_done(&o);
    }
    assert_int_equal(wrong, 0);
}

static const struct {
    const char *args;
    int code;
    const char *out; /* on stdout, in the line-by-line text; NULL: nothing there */
} good[] = {
    {"help", EXITCODE_OK, "Exit codes:"},
    {"--help", EXITCODE_OK, "Exit codes:"},
    {"help exec", EXITCODE_OK, "usage: daytonafs exec"},
    {"exec --help", EXITCODE_OK, "usage: daytonafs exec"},
    {"exec -h", EXITCODE_OK, "usage: daytonafs exec"},
    {"mount --help", EXITCODE_OK, "coherence"},
    {"sandbox --help", EXITCODE_OK, "sandbox create"},
    {"help sandbox", EXITCODE_OK, "sandbox create"},
    {"help sandbox create", EXITCODE_OK, "--snapshot"},
    {"sandbox create --help", EXITCODE_OK, "--snapshot"},
    {"--version", EXITCODE_OK, "daytonafs " DAYTONAFS_VERSION "\n"},
    {"version --json", EXITCODE_OK, "{\"version\":\"" DAYTONAFS_VERSION "\"}\n"},
    {"mounts", EXITCODE_OK, "SANDBOX"},
    {"mounts --json", EXITCODE_OK, "[]\n"},
    {"help --man daytonafs", EXITCODE_OK, ".TH DAYTONAFS 1"},
    {"help --man daytonafs-ctl", EXITCODE_OK, "capabilities"},
    {"help --completion bash", EXITCODE_OK, "complete -o default -F _daytonafs daytonafs"},
    {"help --completion zsh", EXITCODE_OK, "#compdef daytonafs"},
};

TEST(help_goes_to_stdout_and_says_what_is_asked)
{
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct outcome o;

        run(good[i].args, &o);
        if (o.code != good[i].code || !strstr(buf_str(&o.out), good[i].out) || o.err.len > 0)
            fail_msg("daytonafs %s: code %d, stdout '%s', stderr '%s'", good[i].args, o.code,
                     buf_str(&o.out), buf_str(&o.err));
        outcome_done(&o);
    }
}

TEST(without_arguments_the_overview_is_on_stderr)
{
    struct outcome o;

    run("", &o);
    assert_int_equal(o.code, EXITCODE_USAGE);
    assert_int_equal(o.out.len, 0);
    assert_non_null(strstr(buf_str(&o.err), "usage: daytonafs"));
    outcome_done(&o);
}

TEST(help_and_manual_name_every_command_and_option)
{
    struct outcome page;

    run("help --man daytonafs", &page);
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = cli_commands[i];
        char args[128], heading[128];
        struct outcome help;

        snprintf(args, sizeof(args), "help %s", c->name);
        snprintf(heading, sizeof(heading), ".SS daytonafs %s", c->name);
        run(args, &help);
        assert_int_equal(help.code, 0);
        assert_non_null(strstr(buf_str(&help.out), c->name));
        assert_non_null(strstr(buf_str(&page.out), heading));
        for (const struct cli_option *o = c->options; o && o->name; o++) {
            if (!strstr(buf_str(&help.out), o->name))
                fail_msg("help %s says nothing of --%s", c->name, o->name);
        }
        outcome_done(&help);
    }
    outcome_done(&page);
}

/* The server reads its own arguments; the row here is for the manual and must say the same. */
TEST(serve_takes_the_options_that_help_lists)
{
    const struct cli_command *serve;
    struct outcome o;
    size_t listed = 0, taken = 0;
    bool group;

    serve = cli_find("serve", NULL, &group);
    assert_non_null(serve);
    run("serve --help", &o);
    assert_int_equal(o.code, 0);
    for (const struct cli_option *opt = serve->options; opt->name; opt++) {
        char text[64];

        snprintf(text, sizeof(text), "  --%s", opt->name);
        if (!strstr(buf_str(&o.out), text))
            fail_msg("serve does not take --%s", opt->name);
        listed++;
    }
    for (const char *p = buf_str(&o.out); (p = strstr(p, "\n  --")); p++)
        taken++;
    assert_int_equal(taken, listed + 1); /* and --help */
    outcome_done(&o);
}

TEST(commands_are_ready_for_every_reader_of_their_row)
{
    for (size_t i = 0; i < cli_command_count; i++) {
        const struct cli_command *c = cli_commands[i];
        const struct cli_option *o;

        assert_non_null(c->run);
        assert_non_null(c->usage);
        assert_true(c->summary && *c->summary);
        assert_true(c->max < 0 || c->max >= c->min);
        for (size_t k = 0; (o = cli_each_option(c, &k));) {
            const struct cli_option *other;

            assert_true(o->help && *o->help);
            for (size_t j = k; (other = cli_each_option(c, &j));) {
                assert_string_not_equal(o->name, other->name);
                assert_true(o->letter == 0 || o->letter != other->letter);
            }
        }
    }
}

static void make_file(char path[64], const char *name, mode_t mode)
{
    int fd;

    snprintf(path, 64, "%s/%s", home, name);
    fd = open(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "0123456789abcdef\n", 17), 17);
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

static int setup(void **state)
{
    if (!mkdtemp(home))
        return -1;
    snprintf(empty_dir, sizeof(empty_dir), "%s/empty", home);
    snprintf(full_dir, sizeof(full_dir), "%s/full", home);
    if (mkdir(empty_dir, 0700) < 0 || mkdir(full_dir, 0700) < 0)
        return -1;
    make_file(key_open, "open", 0644);
    make_file(key_good, "key", 0600);
    return 0;
}

static int teardown(void **state)
{
    char command[64];

    snprintf(command, sizeof(command), "rm -rf %s", home);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_invocations_get_one_line_and_the_right_code),
        cmocka_unit_test(help_goes_to_stdout_and_says_what_is_asked),
        cmocka_unit_test(without_arguments_the_overview_is_on_stderr),
        cmocka_unit_test(help_and_manual_name_every_command_and_option),
        cmocka_unit_test(serve_takes_the_options_that_help_lists),
        cmocka_unit_test(commands_are_ready_for_every_reader_of_their_row),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
