/* Sessions and terminals for real, against the local server, as an old daemon and as a new one. */
#include "serve_rig.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct taken {
    struct buf out, err;
};
#define TAKEN                                                                                      \
    {                                                                                              \
        .out = BUF_INIT(64 << 20), .err = BUF_INIT(64 << 20)                                       \
    }

static int take(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    struct taken *t = arg;

    return buf_append(stream == DAYTONA_STDERR ? &t->err : &t->out, p, n);
}

static void taken_done(struct taken *t)
{
    buf_done(&t->out);
    buf_done(&t->err);
}

static void run(const char *session, const char *command, int code, const char *out,
                const char *err)
{
    const struct daytona_session_execute e = {.command = command, .timeout_ms = 20000};
    struct daytona_session_result r;

    EXPECT(daytona_session_execute(fx.box, session, &e, &r), 0);
    assert_false(r.running);
    assert_int_equal(r.exit_code, code);
    assert_string_equal(r.out, out);
    assert_string_equal(r.err, err);
    daytona_session_result_done(&r);
}

static char *start(const char *session, const char *command)
{
    const struct daytona_session_execute e = {.command = command, .async = true};
    struct daytona_session_result r;
    char *id;

    EXPECT(daytona_session_execute(fx.box, session, &e, &r), 0);
    assert_true(r.running);
    id = r.command_id;
    r.command_id = NULL;
    daytona_session_result_done(&r);
    return id;
}

TEST(a_session_keeps_what_its_commands_do)
{
    struct daytona_session *list, one;
    const struct daytona_session_execute e = {.command = "true"};
    struct daytona_session_result r;
    size_t count;

    EXPECT(daytona_session_create(fx.box, "s 1"), 0);
    EXPECT(daytona_session_create(fx.box, "s 1"), -EEXIST);
    run("s 1", "cd /; x=5; echo out; echo err >&2", 0, "out\n", "err\n");
    run("s 1", "pwd; echo $x; return 3", 3, "/\n5\n", "");
    EXPECT(daytona_session_get(fx.box, "s 1", &one), 0);
    assert_int_equal(one.command_count, 2);
    daytona_session_done(&one);
    EXPECT(daytona_session_list(fx.box, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].id, "s 1");
    daytona_session_list_free(list, count);
    EXPECT(daytona_session_delete(fx.box, "s 1"), 0);
    EXPECT(daytona_session_get(fx.box, "s 1", &one), -ENOENT);
    EXPECT(daytona_session_delete(fx.box, "s 1"), -ENOENT);
    EXPECT(daytona_session_execute(fx.box, "s 1", &e, &r), -ENOENT);
}

TEST(a_command_is_followed_fed_and_ends_with_its_code)
{
    struct taken t = TAKEN, snapshot = TAKEN;
    struct daytona_command c;
    int code = -1;
    char *id;

    EXPECT(daytona_session_create(fx.box, "s"), 0);
    id = start("s", "read a; echo got $a; echo bad >&2; (exit 7)");
    EXPECT(daytona_session_command(fx.box, "s", id, &c), 0);
    assert_true(c.running);
    daytona_command_done(&c);
    EXPECT(daytona_session_input(fx.box, "s", id, "word", 4), 0);
    EXPECT(daytona_session_follow(fx.box, "s", id, take, &t, &code), 0);
    assert_int_equal(code, 7);
    assert_non_null(strstr(buf_str(&t.out), "got word\n"));
    assert_string_equal(buf_str(&t.err), "bad\n");
    EXPECT(daytona_session_logs(fx.box, "s", id, take, &snapshot), 0);
    assert_string_equal(buf_str(&snapshot.out), buf_str(&t.out));
    EXPECT(daytona_session_input(fx.box, "s", id, "word", 4), -ESRCH);
    EXPECT(daytona_session_follow(fx.box, "s", "none", take, &t, &code), -ENOENT);
    free(id);
    taken_done(&t);
    taken_done(&snapshot);
}

/* Every byte but NUL, in lines that begin with what looks like marks, too. */
TEST(bytes_arrive_as_they_were_printed)
{
    static const char command[] = "i=0; while [ $i -lt 400 ]; do printf "
                                  "'\\001\\001\\001a\\377\\200 %d \\002\\002\\002\\n' $i; "
                                  "i=$((i+1)); done; printf 'e\\001\\n' >&2";
    struct taken t = TAKEN;
    struct buf wanted = BUF_INIT(1 << 20);
    int code;
    char *id;

    for (int i = 0; i < 400; i++)
        assert_int_equal(buf_printf(&wanted, "\1\1\1a\377\200 %d \2\2\2\n", i), 0);
    EXPECT(daytona_session_create(fx.box, "s"), 0);
    id = start("s", command);
    EXPECT(daytona_session_follow(fx.box, "s", id, take, &t, &code), 0);
    assert_int_equal(t.out.len, wanted.len);
    assert_memory_equal(t.out.data, wanted.data, wanted.len);
    assert_string_equal(buf_str(&t.err), "e\1\n");
    free(id);
    taken_done(&t);
    buf_done(&wanted);
}

static void *delete_later(void *arg)
{
    usleep(300000);
    EXPECT(daytona_session_delete(fx.box, "s"), 0);
    return NULL;
}

TEST(following_ends_when_the_session_is_deleted)
{
    struct taken t = TAKEN;
    pthread_t thread;
    char *id;

    EXPECT(daytona_session_create(fx.box, "s"), 0);
    id = start("s", "echo begun; sleep 60");
    pthread_create(&thread, NULL, delete_later, NULL);
    EXPECT(daytona_session_follow(fx.box, "s", id, take, &t, NULL), -ENOENT);
    pthread_join(thread, NULL);
    assert_string_equal(buf_str(&t.out), "begun\n");
    free(id);
    taken_done(&t);
}

/* --- terminals */

static int take_pty(void *arg, const void *p, size_t n)
{
    return buf_append(arg, p, n);
}

static void wait_for_text(struct daytona_pty *pty, struct buf *out, const char *text)
{
    for (int i = 0; i < 200 && !strstr(buf_str(out), text); i++) {
        const int r = daytona_pty_wait(pty, take_pty, out, 50, NULL);

        EXPECT(r, -EAGAIN);
    }
    if (!strstr(buf_str(out), text))
        fail_msg("no %s in: %s", text, buf_str(out));
}

static void type(struct daytona_pty *pty, const char *text)
{
    EXPECT(daytona_pty_send(pty, text, strlen(text)), 0);
}

TEST(a_terminal_is_typed_at_resized_and_left)
{
    const struct daytona_pty_params params = {.id = "t", .cols = 100, .rows = 30};
    struct buf out = BUF_INIT(1 << 20);
    struct daytona_pty_exit end = {0};
    struct daytona_pty_info info;
    struct daytona_pty *pty;

    EXPECT(daytona_pty_create(fx.box, &params), 0);
    EXPECT(daytona_pty_create(fx.box, &params), -EEXIST);
    EXPECT(daytona_pty_attach(fx.box, "t", &pty), 0);
    type(pty, "echo a$((1+1))b; stty size\r");
    wait_for_text(pty, &out, "a2b");
    wait_for_text(pty, &out, "30 100");
    EXPECT(daytona_pty_resize(fx.box, "t", 90, 20), 0);
    type(pty, "stty size\r");
    wait_for_text(pty, &out, "20 90");
    daytona_pty_detach(pty);
    EXPECT(daytona_pty_info(fx.box, "t", &info), 0); /* it goes on */
    assert_int_equal(info.cols, 90);
    daytona_pty_info_done(&info);
    EXPECT(daytona_pty_attach(fx.box, "t", &pty), 0);
    type(pty, "exit 3\r");
    EXPECT(daytona_pty_wait(pty, take_pty, &out, 10000, &end), 0);
    assert_int_equal(end.code, 3);
    daytona_pty_detach(pty);
    EXPECT(daytona_pty_attach(fx.box, "t", &pty), -ENOENT);
    buf_done(&out);
}

TEST(a_terminal_is_opened_with_all_that_it_says)
{
    struct daytona_pair env = {(char *)"MARK", (char *)"m\xc3\xa4?>"};
    const struct daytona_pty_params params = {
        .id = "t", .cwd = "/usr", .env = &env, .env_count = 1, .cols = 100, .rows = 30};
    struct buf out = BUF_INIT(1 << 20);
    struct daytona_pty_exit end = {0};
    struct daytona_pty *pty;

    EXPECT(daytona_pty_open(fx.box, &params, &pty), 0);
    type(pty, "echo \"<$MARK>\" $PWD; stty size; exit 4\r");
    EXPECT(daytona_pty_wait(pty, take_pty, &out, 20000, &end), 0);
    assert_int_equal(end.code, 4);
    assert_non_null(strstr(buf_str(&out), "<m\xc3\xa4?>> /usr"));
    assert_non_null(strstr(buf_str(&out), "30 100"));
    daytona_pty_detach(pty);
    buf_done(&out);
}

TEST(a_terminal_that_is_killed_says_so)
{
    const struct daytona_pty_params params = {.id = "t"};
    struct daytona_pty_exit end = {0};
    struct daytona_pty_info *list;
    struct daytona_pty *pty;
    size_t count;

    EXPECT(daytona_pty_create(fx.box, &params), 0);
    EXPECT(daytona_pty_list(fx.box, &list, &count), 0);
    assert_int_equal(count, 1);
    daytona_pty_list_free(list, count);
    EXPECT(daytona_pty_attach(fx.box, "t", &pty), 0);
    EXPECT(daytona_pty_kill(fx.box, "t"), 0);
    EXPECT(daytona_pty_wait(pty, NULL, NULL, 10000, &end), 0);
    assert_int_equal(end.code, 137);
    daytona_pty_detach(pty);
    EXPECT(daytona_pty_kill(fx.box, "t"), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_session_keeps_what_its_commands_do),
        BOTH(a_command_is_followed_fed_and_ends_with_its_code),
        BOTH(bytes_arrive_as_they_were_printed),
        BOTH(following_ends_when_the_session_is_deleted),
        BOTH(a_terminal_is_typed_at_resized_and_left),
        BOTH(a_terminal_that_is_killed_says_so),
        BOTH(a_terminal_is_opened_with_all_that_it_says),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
