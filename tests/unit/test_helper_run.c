/* Jobs: the helper program itself, beside a spool of its own. */
#include "unit.h"

#include "proto/run.h"
#include "util/base64.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TEXT_MAX = 64 << 20, JOBS_MAX = 64 };

struct answer {
    struct run_job jobs[JOBS_MAX]; /* their strings point into raw */
    size_t count;
    struct buf raw, out, err;
    uint64_t out_at, err_at; /* where the next byte must be */
    struct proto_end end;
    bool ended;
};

static char root[64];
static unsigned tokens;

static void answer_done(struct answer *a)
{
    buf_done(&a->raw);
    buf_done(&a->out);
    buf_done(&a->err);
}

static void take_frame(struct answer *a, const struct proto_frame *f)
{
    struct run_data d;

    if ((int)f->kind == PROTO_RUN_JOB) {
        assert_true(a->count < JOBS_MAX);
        assert_int_equal(run_get_job(f, &a->jobs[a->count++]), 0);
    } else if ((int)f->kind == PROTO_RUN_DATA) {
        assert_int_equal(run_get_data(f, &d), 0);
        assert_int_equal(d.off, d.stream == RUN_ERR ? a->err_at : a->out_at);
        *(d.stream == RUN_ERR ? &a->err_at : &a->out_at) += d.len;
        assert_int_equal(buf_append(d.stream == RUN_ERR ? &a->err : &a->out, d.p, d.len), 0);
    } else if (f->kind == PROTO_END) {
        assert_int_equal(proto_get_end(f, &a->end), 0);
        a->ended = true;
    }
}

static void put_request(const char *path, const struct run_request *req)
{
    struct buf frame = BUF_INIT(2 << 20), word = BUF_INIT(4 << 20);
    FILE *f;

    assert_int_equal(run_put_request(&frame, req), 0);
    assert_int_equal(base64_encode(&word, frame.data, frame.len), 0);
    assert_int_equal(buf_putc(&word, '\n'), 0);
    f = fopen(path, "w");
    assert_non_null(f);
    fwrite(word.data, 1, word.len, f);
    fclose(f);
    buf_done(&frame);
    buf_done(&word);
}

static FILE *begin(const struct run_request *req)
{
    static unsigned count;
    char path[128], command[256];
    FILE *f;

    snprintf(path, sizeof(path), "%s/request%u", root, count++);
    put_request(path, req);
    snprintf(command, sizeof(command), "%s/helper T0k3nT0k3n - <%s", root, path);
    f = popen(command, "re");
    assert_non_null(f);
    return f;
}

static struct answer finish(FILE *f, const struct run_request *req)
{
    struct answer a = {.raw = BUF_INIT(TEXT_MAX),
                       .out = BUF_INIT(TEXT_MAX),
                       .err = BUF_INIT(TEXT_MAX),
                       .out_at = req->out_off,
                       .err_at = req->err_off};
    struct buf text = BUF_INIT(TEXT_MAX);
    char chunk[65536];
    size_t n, at = 0;
    int status;

    while ((n = fread(chunk, 1, sizeof(chunk), f)) > 0)
        assert_int_equal(buf_append(&text, chunk, n), 0);
    status = pclose(f);
    assert_true(text.len > 23);
    assert_int_equal(base64_decode(&a.raw, text.data + 11, text.len - 23), 0);
    while (at < a.raw.len) {
        struct proto_frame frame;
        const ssize_t len = proto_get_frame((uint8_t *)a.raw.data + at, a.raw.len - at, &frame);

        assert_true(len > 0);
        take_frame(&a, &frame);
        at += (size_t)len;
    }
    assert_true(a.ended);
    /* By its status a shell knows whether the job has ended. */
    if ((req->op == RUN_START || req->op == RUN_READ) && a.count == 1)
        assert_int_equal(WEXITSTATUS(status), a.jobs[0].phase == RUN_RUNNING ? 3 : 0);
    else
        assert_int_equal(status, 0);
    buf_done(&text);
    return a;
}

static struct answer ask(const struct run_request *req)
{
    return finish(begin(req), req);
}

/* A start of sh -c SCRIPT with a token of its own. */
struct starting {
    char token[32], *argv[4];
    struct run_request req;
};

static struct run_request *sh(struct starting *s, const char *script)
{
    snprintf(s->token, sizeof(s->token), "token%u", ++tokens);
    s->argv[0] = "/bin/sh";
    s->argv[1] = "-c";
    s->argv[2] = (char *)script;
    s->req = (struct run_request){.op = RUN_START,
                                  .token = s->token,
                                  .line = (char *)script,
                                  .cwd = root,
                                  .argv = s->argv,
                                  .argc = 3,
                                  .max_bytes = 1 << 20,
                                  .wait_ms = 20000};
    return &s->req;
}

static struct run_request about(enum run_op op, uint64_t id)
{
    return (struct run_request){.op = op, .id = id, .max_bytes = 1 << 20, .wait_ms = 20000};
}

static uint64_t start(const char *script, uint64_t wait_ms, unsigned flags)
{
    struct starting s;
    struct run_request *req = sh(&s, script);
    struct answer a;
    uint64_t id;

    req->wait_ms = wait_ms;
    req->flags = flags;
    a = ask(req);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.count, 1);
    id = a.jobs[0].id;
    answer_done(&a);
    return id;
}

/* Waits for its end, and gives all of its output, in as many reads as it takes. */
static struct answer read_all(uint64_t id)
{
    struct run_request req = about(RUN_READ, id);
    struct answer all = {.out = BUF_INIT(TEXT_MAX), .err = BUF_INIT(TEXT_MAX)};

    for (int i = 0; i < 1000; i++) {
        struct answer a = ask(&req);
        bool more;

        assert_int_equal(a.end.err, 0);
        assert_int_equal(a.count, 1);
        assert_int_equal(buf_append(&all.out, buf_str(&a.out), a.out.len), 0);
        assert_int_equal(buf_append(&all.err, buf_str(&a.err), a.err.len), 0);
        req.out_off += a.out.len;
        req.err_off += a.err.len;
        all.jobs[0] = a.jobs[0];
        more = a.end.more || a.jobs[0].phase == RUN_RUNNING;
        answer_done(&a);
        if (!more)
            return all;
    }
    fail();
    return all;
}

static int write_input(uint64_t id, uint64_t off, const char *p, unsigned flags, uint64_t *ret_size)
{
    struct run_request req = about(RUN_WRITE, id);
    struct answer a;

    req.off = off;
    req.data = (char *)p;
    req.data_len = strlen(p);
    req.flags = flags;
    a = ask(&req);
    if (ret_size && a.count == 1)
        *ret_size = a.jobs[0].in_size;
    answer_done(&a);
    return (int)a.end.err;
}

static int send_signal(uint64_t id, int sig)
{
    struct run_request req = about(RUN_KILL, id);
    struct answer a;

    req.signal = (uint64_t)sig;
    a = ask(&req);
    answer_done(&a);
    return (int)a.end.err;
}

static int remove_job(uint64_t id)
{
    const struct run_request req = about(RUN_REMOVE, id);
    struct answer a = ask(&req);

    answer_done(&a);
    return (int)a.end.err;
}

static size_t count_listed(void)
{
    const struct run_request req = about(RUN_LIST, 0);
    struct answer a = ask(&req);

    assert_int_equal(a.end.err, 0);
    answer_done(&a);
    return a.count;
}

static int enter_root(void **state)
{
    char command[256];

    strcpy(root, "/tmp/daytonafs-test-XXXXXX");
    if (!mkdtemp(root) || chdir(root) < 0)
        return -1;
    snprintf(command, sizeof(command), "cp %s %s/helper", HELPER_PROGRAM, root);
    return system(command);
}

static int leave_root(void **state)
{
    char command[256];

    /* A keeper may be putting down the last of its job. */
    snprintf(command, sizeof(command), "rm -rf %s || { sleep 1; rm -rf %s; }", root, root);
    return chdir("/") == 0 ? system(command) : -1;
}

TEST(the_answer_to_a_start_has_all_of_a_short_job)
{
    struct starting s;
    struct answer a = ask(sh(&s, "printf 'a\\000\\377b'; echo oops >&2; pwd; exit 7"));
    char want[128];

    snprintf(want, sizeof(want), "%s\n", root);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.jobs[0].phase, RUN_ENDED);
    assert_int_equal(a.jobs[0].state.exit_code, 7);
    assert_int_equal(a.jobs[0].state.signal, 0);
    assert_memory_equal(a.out.data, "a\0\377b", 4);
    assert_string_equal(a.out.data + 4, want);
    assert_string_equal(buf_str(&a.err), "oops\n");
    assert_int_equal(a.end.more, 0);
    answer_done(&a);
}

TEST(a_start_that_is_sent_again_does_not_run_again)
{
    struct starting s;
    struct run_request *req = sh(&s, "echo ran >>count; echo out");
    uint64_t id = 0;

    for (int i = 0; i < 3; i++) {
        struct answer a = ask(req);

        assert_int_equal(a.end.err, 0);
        assert_true(id == 0 || a.jobs[0].id == id);
        id = a.jobs[0].id;
        assert_string_equal(buf_str(&a.out), "out\n");
        answer_done(&a);
    }
    assert_int_equal(system("test \"$(cat count)\" = ran"), 0);
}

/* The helper is killed wherever it is; a start with the same token makes of that one job. */
TEST(a_start_cut_off_anywhere_runs_once_all_the_same)
{
    for (int i = 0; i < 40; i++) {
        struct starting s;
        struct run_request *req = sh(&s, "echo ran >>count");
        char command[256];
        struct answer a;

        (void)unlink("count");
        put_request("request", req);
        snprintf(command, sizeof(command),
                 "timeout -s KILL 0.00%d %s/helper T0k3nT0k3n - <request >/dev/null 2>&1",
                 1 + i % 8, root);
        (void)!system(command);
        a = ask(req);
        assert_int_equal(a.end.err, 0);
        assert_int_equal(a.jobs[0].phase, RUN_ENDED);
        answer_done(&a);
        assert_int_equal(system("test \"$(cat count)\" = ran"), 0);
    }
}

TEST(what_cannot_be_started_says_why)
{
    static const struct {
        const char *program;
        int code, err;
    } rows[] = {{"no-such-program", 127, ENOENT}, {"./plain", 126, EACCES}, {"/tmp", 126, EACCES}};
    struct starting s;
    struct answer a;

    assert_int_equal(system("echo text >plain"), 0);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct run_request *req = sh(&s, "");

        s.argv[0] = (char *)rows[i].program;
        a = ask(req);
        assert_int_equal(a.jobs[0].phase, RUN_ENDED);
        assert_int_equal(a.jobs[0].state.exit_code, rows[i].code);
        assert_int_equal(a.jobs[0].state.err, rows[i].err);
        answer_done(&a);
    }
    sh(&s, "true")->cwd = "/no such folder";
    a = ask(&s.req);
    assert_int_equal(a.jobs[0].state.exit_code, 125);
    assert_int_equal(a.jobs[0].state.err, ENOENT);
    answer_done(&a);
}

TEST(a_job_gets_its_words_and_variables)
{
    struct starting s;
    struct run_request *req = sh(&s, "printf '%s|' \"$0\" \"$V\" \"$PWD\"; trap");
    char *env[] = {"V=a b\n=c", NULL};
    char want[128];
    struct answer a;

    s.argv[3] = "it's";
    req->argc = 4;
    req->env = env;
    req->envc = 1;
    a = ask(req);
    snprintf(want, sizeof(want), "it's|a b\n=c|%s|", root);
    assert_string_equal(buf_str(&a.out), want);
    answer_done(&a);
    a = ask(sh(&s, "kill -PIPE $$; echo survived")); /* nothing is ignored */
    assert_int_equal(a.jobs[0].state.signal, SIGPIPE);
    answer_done(&a);
}

TEST(what_is_written_so_far_is_read_without_a_newline)
{
    const uint64_t id =
        start("printf one; while ! test -e go; do sleep 0.01; done; printf two", 100, 0);
    struct run_request req = about(RUN_READ, id);
    struct answer a = ask(&req);

    assert_int_equal(a.jobs[0].phase, RUN_RUNNING);
    assert_string_equal(buf_str(&a.out), "one");
    answer_done(&a);
    assert_int_equal(system("touch go"), 0);
    req.out_off = 3;
    a = ask(&req); /* waits for it */
    assert_string_equal(buf_str(&a.out), "two");
    answer_done(&a);
    a = read_all(id);
    assert_int_equal(a.jobs[0].phase, RUN_ENDED);
    assert_string_equal(buf_str(&a.out), "onetwo");
    answer_done(&a);
}

TEST(much_output_comes_in_pieces_and_neither_stream_starves)
{
    const uint64_t id = start("head -c 5000000 /dev/zero | tr '\\0' o; "
                              "head -c 3000000 /dev/zero | tr '\\0' e >&2",
                              20000, 0);
    struct run_request req = about(RUN_READ, id);
    struct answer a;

    a = read_all(id);
    assert_int_equal(a.out.len, 5000000);
    assert_int_equal(a.err.len, 3000000);
    assert_null(memchr(a.out.data, 'e', a.out.len));
    answer_done(&a);
    req.max_bytes = 1000;
    a = ask(&req);
    assert_int_equal(a.out.len, 500);
    assert_int_equal(a.err.len, 500);
    assert_int_equal(a.end.more, 1);
    answer_done(&a);
    req.err_off = 2999900;
    a = ask(&req);
    assert_int_equal(a.out.len, 900);
    assert_int_equal(a.err.len, 100);
    answer_done(&a);
}

TEST(stdin_is_what_was_written_once_each)
{
    const uint64_t id = start("cat", 0, RUN_STDIN_OPEN);
    struct answer a;
    uint64_t size = 0;

    assert_int_equal(write_input(id, 0, "hello ", 0, &size), 0);
    assert_int_equal(size, 6);
    assert_int_equal(write_input(id, 0, "hello ", 0, NULL), 0); /* sent again */
    assert_int_equal(write_input(id, 3, "lo world", 0, &size), 0);
    assert_int_equal(size, 11);
    assert_int_equal(write_input(id, 99, "x", 0, NULL), EINVAL);
    assert_int_equal(write_input(id, 11, "\n", RUN_STDIN_END, NULL), 0);
    assert_int_equal(write_input(id, 11, "\n", RUN_STDIN_END, NULL) & ~EPIPE,
                     0); /* may have ended */
    a = read_all(id);
    assert_string_equal(buf_str(&a.out), "hello world\n");
    answer_done(&a);
    assert_int_equal(write_input(id, 12, "late", 0, NULL), EPIPE);
    assert_int_equal(write_input(start("sleep 0.1", 0, 0), 0, "x", 0, NULL), EPIPE);
}

TEST(input_that_comes_with_the_start_ends_there)
{
    struct starting s;
    struct run_request *req = sh(&s, "cat | wc -c; read x");
    struct answer a;

    req->data = "a\0b\n";
    req->data_len = 4;
    a = ask(req);
    assert_string_equal(buf_str(&a.out), "4\n");
    assert_int_equal(a.jobs[0].state.exit_code, 1);
    answer_done(&a);
}

TEST(a_job_that_reads_nothing_makes_writers_wait)
{
    const uint64_t id = start("sleep 30", 0, RUN_STDIN_OPEN);
    struct run_request req = about(RUN_WRITE, id);
    struct answer a;

    req.data_len = RUN_DATA_MAX;
    req.data = calloc(1, req.data_len);
    req.wait_ms = 50;
    for (int i = 0; i < 20; i++) {
        a = ask(&req);
        assert_int_equal(a.end.err, 0);
        req.off = a.jobs[0].in_size;
        answer_done(&a);
    }
    free(req.data);
    assert_in_range(req.off, RUN_INPUT_AHEAD, RUN_INPUT_AHEAD + (128 << 10)); /* and a full pipe */
    assert_int_equal(send_signal(id, SIGKILL), 0);
}

TEST(a_job_that_closes_its_stdin_is_not_written_to)
{
    const uint64_t id = start("exec <&-; sleep 30", 0, RUN_STDIN_OPEN);
    int r = 0;

    for (int i = 0; i < 100 && r == 0; i++)
        r = write_input(id, (uint64_t)i, "x", 0, NULL);
    assert_int_equal(r, EPIPE);
    assert_int_equal(send_signal(id, SIGKILL), 0);
}

TEST(a_signal_goes_to_the_whole_group)
{
    const uint64_t id = start("sleep 60 & sleep 61 & echo $! >pid; wait", 0, 0);
    struct run_request read = about(RUN_READ, id);
    struct answer a;

    assert_int_equal(remove_job(id), EBUSY);
    for (int i = 0; i < 1000 && access("pid", F_OK) < 0; i++)
        usleep(10000);
    assert_int_equal(send_signal(id, 0), 0);
    assert_int_equal(send_signal(id, SIGTERM), 0);
    a = ask(&read);
    assert_int_equal(a.jobs[0].phase, RUN_ENDED);
    assert_int_equal(a.jobs[0].state.signal, SIGTERM);
    answer_done(&a);
    for (int i = 0; i < 1000 && system("kill -0 $(cat pid) 2>/dev/null") == 0; i++)
        usleep(10000);
    assert_int_not_equal(system("kill -0 $(cat pid) 2>/dev/null"), 0);
    assert_int_equal(send_signal(id, SIGKILL), ESRCH);
    assert_int_equal(remove_job(id), 0);
    assert_int_equal(remove_job(id), ENOENT);
}

TEST(what_ignores_SIGTERM_is_killed)
{
    const uint64_t id = start("trap '' TERM; echo ready; while :; do sleep 0.05; done", 20000, 0);
    struct run_request read = about(RUN_READ, id);
    struct answer a;

    assert_int_equal(send_signal(id, SIGTERM), 0);
    read.out_off = 6;
    read.wait_ms = 200;
    a = ask(&read);
    assert_int_equal(a.jobs[0].phase, RUN_RUNNING);
    answer_done(&a);
    assert_int_equal(send_signal(id, SIGKILL), 0);
    read.wait_ms = 20000;
    a = ask(&read);
    assert_int_equal(a.jobs[0].state.signal, SIGKILL);
    answer_done(&a);
}

TEST(nobody_waits_for_a_job)
{
    const int64_t start_ns = clock_mono_ns();
    const uint64_t id = start("sleep 30", 0, 0); /* pclose waits for whoever holds its output */

    assert_true(clock_mono_ns() - start_ns < 10 * NS_PER_S);
    assert_int_equal(send_signal(id, SIGKILL), 0);
}

TEST(names_are_unique_and_listed)
{
    struct starting s, t;
    struct run_request *req = sh(&s, "exit 3"), *same = sh(&t, "exit 4");
    const struct run_request list = about(RUN_LIST, 0);
    struct answer a;
    uint64_t id;

    req->name = same->name = "build";
    a = ask(req);
    id = a.jobs[0].id;
    answer_done(&a);
    a = ask(same);
    assert_int_equal(a.end.err, EEXIST);
    answer_done(&a);
    (void)start("sleep 0.01", 20000, RUN_PASSING); /* has ended: not listed */
    a = ask(&list);
    assert_int_equal(a.count, 1);
    assert_int_equal(a.jobs[0].id, id);
    assert_memory_equal(a.jobs[0].name, "build", a.jobs[0].name_len);
    assert_memory_equal(a.jobs[0].line, "exit 3", a.jobs[0].line_len);
    assert_memory_equal(a.jobs[0].cwd, root, a.jobs[0].cwd_len);
    answer_done(&a);
    assert_int_equal(remove_job(id), 0);
    assert_int_equal(count_listed(), 0);
    a = ask(same); /* the name is free again */
    assert_int_equal(a.end.err, 0);
    assert_true(a.jobs[0].id > id); /* and its number is not used again */
    answer_done(&a);
}

TEST(a_job_without_its_keeper_is_lost)
{
    const uint64_t id = start("sleep 0.2", 0, 0);
    struct run_request read = about(RUN_READ, id);
    struct answer a;

    /* The parent of the job. */
    for (int i = 0; i < 100; i++) {
        a = ask(&(struct run_request){.op = RUN_READ, .id = id});
        answer_done(&a);
        if (a.jobs[0].state.pid != 0)
            break;
        usleep(10000);
    }
    {
        char command[128];

        snprintf(command, sizeof(command), "kill -9 $(awk '{print $4}' /proc/%d/stat)",
                 (int)a.jobs[0].state.pid);
        assert_int_equal(system(command), 0);
    }
    a = ask(&read);
    assert_int_equal(a.jobs[0].phase, RUN_LOST);
    answer_done(&a);
    assert_int_equal(remove_job(id), 0);
}

static void expect_together(uint64_t id, uint64_t off, uint64_t max, const char *want)
{
    struct run_request req = about(RUN_READ, id);
    struct answer a;

    req.flags = RUN_TOGETHER;
    req.out_off = off;
    req.max_bytes = max;
    a = ask(&req);
    assert_int_equal(a.end.err, 0);
    assert_string_equal(buf_str(&a.out), want);
    answer_done(&a);
}

TEST(both_streams_together_come_in_their_order)
{
    static const char all[] = "one\nTWO\nthree\nFOUR\n";
    const uint64_t id =
        start("echo one; sleep 0.1; echo TWO >&2; sleep 0.1; echo three; sleep 0.1; "
              "echo FOUR >&2",
              20000, 0);
    struct answer a = read_all(id);

    assert_int_equal(a.jobs[0].both_size, sizeof(all) - 1);
    answer_done(&a);
    for (size_t off = 0; off < sizeof(all); off++) {
        expect_together(id, off, 1000, all + off);
        if (off + 2 < sizeof(all))
            expect_together(id, off, 2, (char[3]){all[off], all[off + 1], '\0'});
    }
}

TEST(fifty_at_once)
{
    enum { COUNT = 50 };
    struct starting s[COUNT];
    FILE *f[COUNT];

    for (int i = 0; i < COUNT; i++) {
        char script[64];

        snprintf(script, sizeof(script), "echo %d; exit %d", i, i);
        f[i] = begin(sh(&s[i], script));
    }
    for (int i = 0; i < COUNT; i++) {
        struct answer a = finish(f[i], &s[i].req);

        assert_int_equal(a.end.err, 0);
        if (a.jobs[0].phase == RUN_RUNNING) { /* it has printed, and is slow to end */
            const uint64_t id = a.jobs[0].id;

            answer_done(&a);
            a = read_all(id);
        }
        assert_int_equal(a.jobs[0].state.exit_code, i);
        assert_int_equal(strtol(buf_str(&a.out), NULL, 10), i);
        answer_done(&a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROOTED(test) cmocka_unit_test_setup_teardown(test, enter_root, leave_root)
        ROOTED(the_answer_to_a_start_has_all_of_a_short_job),
        ROOTED(a_start_that_is_sent_again_does_not_run_again),
        ROOTED(a_start_cut_off_anywhere_runs_once_all_the_same),
        ROOTED(what_cannot_be_started_says_why),
        ROOTED(a_job_gets_its_words_and_variables),
        ROOTED(what_is_written_so_far_is_read_without_a_newline),
        ROOTED(much_output_comes_in_pieces_and_neither_stream_starves),
        ROOTED(stdin_is_what_was_written_once_each),
        ROOTED(input_that_comes_with_the_start_ends_there),
        ROOTED(a_job_that_reads_nothing_makes_writers_wait),
        ROOTED(a_job_that_closes_its_stdin_is_not_written_to),
        ROOTED(a_signal_goes_to_the_whole_group),
        ROOTED(what_ignores_SIGTERM_is_killed),
        ROOTED(nobody_waits_for_a_job),
        ROOTED(names_are_unique_and_listed),
        ROOTED(a_job_without_its_keeper_is_lost),
        ROOTED(both_streams_together_come_in_their_order),
        ROOTED(fifty_at_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
