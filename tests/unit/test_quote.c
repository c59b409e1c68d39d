/* What words_quote() makes of any bytes comes through every shell there is here. */
#include "unit.h"

#include "util/buf.h"
#include "util/words.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Each takes a script on its stdin. */
static const char *const shells[][4] = {
    {"sh"},
    {"bash"},
    {"bash", "--posix"},
    {"dash"},
    {"zsh", "-f"},
    {"busybox", "sh"},
    {"zsh", "-f", "-o", "shwordsplit"},
    {"mksh"},
    {"ksh"},
    {"yash"},
};

static bool have(const char *program)
{
    char *path = strdup(getenv("PATH")), *save, *dir;
    bool found = false;

    for (dir = strtok_r(path, ":", &save); dir && !found; dir = strtok_r(NULL, ":", &save)) {
        char file[4096];

        snprintf(file, sizeof(file), "%s/%s", dir, program);
        found = access(file, X_OK) == 0;
    }
    free(path);
    return found;
}

/* Runs argv with that on stdin; what it says on stdout goes to out. Returns its exit status. */
static int filter(const char *const *argv, const struct buf *in, struct buf *out)
{
    FILE *script = tmpfile();
    int fds[2], status;
    char chunk[65536];
    ssize_t n;
    pid_t pid;

    assert_int_equal(fwrite(in->data, 1, in->len, script), in->len);
    rewind(script);
    assert_int_equal(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
        const char *args[6] = {argv[0], argv[1], argv[2], argv[3]};

        dup2(fileno(script), STDIN_FILENO);
        dup2(fds[1], STDOUT_FILENO);
        close(fds[0]);
        close(fds[1]);
        execvp(args[0], (char *const *)args);
        _exit(127);
    }
    close(fds[1]);
    while ((n = read(fds[0], chunk, sizeof(chunk))) > 0)
        assert_int_equal(buf_append(out, chunk, (size_t)n), 0);
    close(fds[0]);
    fclose(script);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static unsigned next_random(void)
{
    static uint64_t state = 42;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (unsigned)(state >> 33);
}

/* Bytes that mean something to some shell are half of what is tried. */
static void random_text(char *out, size_t max)
{
    static const char special[] = "'\\\"$`!*?[]{}()<>|&;#~=%^-+@,.:/ \t\n\r\x01\x7f\x80\xc3\xff";
    const size_t len = next_random() % max;

    for (size_t i = 0; i < len; i++)
        out[i] = next_random() % 2 ? special[next_random() % (sizeof(special) - 1)]
                                   : (char)(next_random() % 255 + 1);
    out[len] = '\0';
}

static const char *const chosen[] = {
    "",      "'",      "''",   "'''", "\\",   "\\'",      "-n",           "-e \\n",
    "--",    "$HOME",  "`x`",  "!!",  "\n",   "a\n",      "\n\n'\n",      "~",
    "*",     "a'b'c",  "$'x'", "=ls", "\xff", "\xc3\x28", "\xe2\x80\x99", "{a,b}",
    "%s\\0", "a\\\nb", "#",    " ",   "\t",   "^x^y^",    "\x7f",         "'\"'\"'",
};

enum { RANDOM = 1500, WORD_LEN = 60 };

/* Prints each word with a NUL behind it. printf is built in everywhere. */
static void make_script(struct buf *script, struct buf *want)
{
    for (size_t i = 0; i < ARRAY_LEN(chosen) + RANDOM; i++) {
        char text[WORD_LEN];

        if (i < ARRAY_LEN(chosen))
            snprintf(text, sizeof(text), "%s", chosen[i]);
        else
            random_text(text, sizeof(text));
        assert_int_equal(buf_puts(script, "printf '%s\\0' "), 0);
        assert_int_equal(words_quote(script, text), 0);
        assert_int_equal(buf_puts(script, "\n"), 0);
        assert_int_equal(buf_append(want, text, strlen(text) + 1), 0);
    }
}

TEST(any_bytes_come_through_every_shell)
{
    struct buf script = BUF_INIT(1 << 20), want = BUF_INIT(1 << 20);
    unsigned tried = 0;

    make_script(&script, &want);
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        struct buf got = BUF_INIT(1 << 20);
        size_t same = 0;
        int status;

        if (!have(shells[i][0]))
            continue;
        tried++;
        status = filter(shells[i], &script, &got);
        while (same < got.len && same < want.len && got.data[same] == want.data[same])
            same++;
        if (status != 0 || got.len != want.len || same != want.len)
            fail_msg("%s: exit %d, %zu of %zu bytes, wrong from %zu", shells[i][0], status, got.len,
                     want.len, same);
        buf_done(&got);
    }
    assert_true(tried >= 1);
    print_message("%u shells\n", tried);
    buf_done(&script);
    buf_done(&want);
}

/* As an argument of -c, nested as the commands that are sent are. */
TEST(a_quoted_script_within_a_script_comes_through)
{
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        struct buf inner = BUF_INIT(1 << 16), script = BUF_INIT(1 << 17), got = BUF_INIT(1 << 16);
        struct buf want = BUF_INIT(1 << 16);

        if (!have(shells[i][0]))
            continue;
        for (int k = 0; k < 100; k++) {
            char text[WORD_LEN];

            random_text(text, sizeof(text));
            assert_int_equal(buf_puts(&inner, "printf '%s\\0' "), 0);
            assert_int_equal(words_quote(&inner, text), 0);
            assert_int_equal(buf_puts(&inner, "; "), 0);
            assert_int_equal(buf_append(&want, text, strlen(text) + 1), 0);
        }
        assert_int_equal(buf_puts(&script, "sh -c "), 0);
        assert_int_equal(words_quote(&script, buf_str(&inner)), 0);
        assert_int_equal(filter(shells[i], &script, &got), 0);
        assert_int_equal(got.len, want.len);
        assert_memory_equal(got.data, want.data, want.len);
        buf_done(&inner);
        buf_done(&script);
        buf_done(&got);
        buf_done(&want);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_come_through_every_shell),
        cmocka_unit_test(a_quoted_script_within_a_script_comes_through),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
