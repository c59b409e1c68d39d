/* The scripts that carry a command into a sandbox's shell, run by real shells. */
#include "unit.h"

#include "cli/script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char token[] = "0123456789abcdef0123456789abcdef";

/* Gives the script to the shell's stdin, as the service does. */
static int run_shell(const char *shell, const struct buf *script, struct buf *out)
{
    char name[] = "/tmp/test_cli_script.XXXXXX", command[256];
    int fd = mkstemp(name), status;
    char bytes[4096];
    size_t n;
    FILE *f;

    assert_true(fd >= 0);
    assert_int_equal(write(fd, script->data, script->len), script->len);
    close(fd);
    snprintf(command, sizeof(command), "%s <%s 2>&1", shell, name);
    f = popen(command, "r");
    assert_non_null(f);
    while ((n = fread(bytes, 1, sizeof(bytes), f)) > 0)
        assert_int_equal(buf_append(out, bytes, n), 0);
    status = pclose(f);
    unlink(name);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static const char *const shells[] = {"sh", "bash", "dash", "busybox sh", "zsh"};

static bool have_shell(const char *shell)
{
    char command[128];

    snprintf(command, sizeof(command), "%s -c : >/dev/null 2>&1", shell);
    return system(command) == 0;
}

struct row {
    const char *what;
    const char *command, *cwd;
    const char *env[3];
    const char *output; /* NULL: not compared */
    size_t output_len;  /* 0: strlen */
    int exit_code;
};

static const struct row rows[] = {
    {"output and code", "echo a; exit 3", NULL, {NULL}, "a\n", 0, 3},
    {"no output", "true", NULL, {NULL}, "", 0, 0},
    {"no newline at the end", "printf x", NULL, {NULL}, "x", 0, 0},
    {"bytes", "printf 'a\\000b\\377\\n'", NULL, {NULL}, "a\0b\377\n", 5, 0},
    {"several lines", "for i in 1 2\ndo echo $i\ndone", NULL, {NULL}, "1\n2\n", 0, 0},
    {"a reader of stdin gets none of the script",
     "cat; read x; echo $?",
     NULL,
     {NULL},
     "1\n",
     0,
     0},
    {"a comment at the end", "echo a # b", NULL, {NULL}, "a\n", 0, 0},
    {"stderr in its place", "echo a; echo b >&2; echo c", NULL, {NULL}, "a\nb\nc\n", 0, 0},
    {"a directory", "pwd", "/", {NULL}, "/\n", 0, 0},
    {"no such directory", "echo a", "/no such", {NULL}, NULL, 0, 125},
    {"environment", "echo \"$A|$B\"", NULL, {"A=it's", "B=a b\n$x", NULL}, "it's|a b\n$x\n", 0, 0},
    {"not found", "no_such_command_here", NULL, {NULL}, NULL, 0, 127},
    {"no command at all", "echo \"a", NULL, {NULL}, NULL, 0, -1},
    {"killed by a signal", "kill -9 $$", NULL, {NULL}, NULL, 0, -1},
};

static void check(const struct row *row, const char *shell, bool encode)
{
    const struct script script = {.command = row->command,
                                  .cwd = row->cwd,
                                  .env = row->env,
                                  .token = token,
                                  .encode = encode};
    struct buf text = BUF_INIT(65536), answer = BUF_INIT(65536), out = BUF_INIT(65536);
    const size_t len = row->output_len > 0 ? row->output_len
                       : row->output       ? strlen(row->output)
                                           : 0;
    int code = -1, shell_code;

    assert_int_equal(script_build(&text, &script), 0);
    shell_code = run_shell(shell, &text, &answer);
    if (encode) {
        assert_int_equal(script_decode(&out, buf_str(&answer), answer.len, token, &code), 0);
    } else {
        assert_int_equal(buf_append(&out, buf_str(&answer),
                                    script_tail(buf_str(&answer), answer.len, token, &code)),
                         0);
    }
    if (code != row->exit_code ||
        (row->output && (out.len != len || memcmp(buf_str(&out), row->output, len) != 0)))
        fail_msg("%s, %s%s: code %d, %zu bytes '%s'", row->what, shell, encode ? ", base64" : "",
                 code, out.len, buf_str(&out));
    if (row->exit_code >= 0)
        assert_int_equal(shell_code, row->exit_code);
    buf_done(&text);
    buf_done(&answer);
    buf_done(&out);
}

TEST(commands_keep_their_bytes_and_exit_code_in_every_shell)
{
    char dir[] = "/tmp/test_cli_script.XXXXXX", command[64];
    size_t used = 0;

    /* A shell that is killed leaves its file: in a place of its own. */
    assert_non_null(mkdtemp(dir));
    setenv("TMPDIR", dir, 1);
    for (size_t s = 0; s < ARRAY_LEN(shells); s++) {
        if (!have_shell(shells[s]))
            continue;
        used++;
        for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
            check(&rows[i], shells[s], false);
            check(&rows[i], shells[s], true);
        }
    }
    assert_true(used >= 1);
    unsetenv("TMPDIR");
    snprintf(command, sizeof(command), "rm -rf %s", dir);
    assert_int_equal(system(command), 0);
}

TEST(words_become_one_command)
{
    char *words[] = {"printf", "%s|", "a b", "it's", "$HOME", "", "\n", "-n", NULL};
    struct buf command = BUF_INIT(4096);

    assert_int_equal(script_words(&command, words), 0);
    const struct row row = {"words", buf_str(&command), NULL, {NULL}, "a b|it's|$HOME||\n|-n|", 0,
                            0};

    check(&row, "sh", true);
    buf_done(&command);
}

TEST(output_that_looks_like_a_tail_stays_output)
{
    static const struct {
        const char *answer;
        size_t output;
        int exit_code;
    } cases[] = {
        {"", 0, -1},
        {"x", 1, -1},
        {"a\n0123456789abcdef0123456789abcdef 7\n", 1, 7},
        {"\n0123456789abcdef0123456789abcdef 0\n", 0, 0},
        /* Cut short, too large, something behind it, another token, no number. */
        {"a\n0123456789abcdef0123456789abcdef 7", 36, -1},
        {"a\n0123456789abcdef0123456789abcdef 256\n", 39, -1},
        {"a\n0123456789abcdef0123456789abcdef 7\nb", 38, -1},
        {"a\n1123456789abcdef0123456789abcdef 7\n", 37, -1},
        {"a\n0123456789abcdef0123456789abcdef x\n", 37, -1},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int code = -1;

        assert_int_equal(script_tail(cases[i].answer, strlen(cases[i].answer), token, &code),
                         cases[i].output);
        assert_int_equal(code, cases[i].exit_code);
    }
}

TEST(environment_names_are_names)
{
    static const struct {
        const char *pair;
        bool valid;
    } cases[] = {{"A=1", true},   {"_a9=", true},   {"A", false},          {"=1", false},
                 {"9A=1", false}, {"A B=1", false}, {"A;reboot=1", false}, {"", false}};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(script_env_valid(cases[i].pair), cases[i].valid);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_keep_their_bytes_and_exit_code_in_every_shell),
        cmocka_unit_test(words_become_one_command),
        cmocka_unit_test(output_that_looks_like_a_tail_stays_output),
        cmocka_unit_test(environment_names_are_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
