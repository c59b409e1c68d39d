/* What is wrapped around a remote: fault, limit, wake; the counters; and the frame of commands. */
#include "remote_cases.h"

#include "remote/record.h"
#include "remote/shcmd.h"
#include "remote/stats.h"
#include "remote/wrap.h"
#include "util/cancel.h"

#include <pthread.h>
#include <stdatomic.h>

static struct remote_fault *fault;

/* mem behind every wrapper: each argument has to come through all of them. */
static bool shared_cases;

static int world_enter(void **state)
{
    struct remote_info info;

    world.r = remote_fault_new(remote_mem_new(0, 0), &fault);
    world.r = remote_limit_new(remote_trace_new(world.r), 2, 2);
    world.r = remote_wake_new(world.r, NULL, NULL);
    world.dir[0] = '\0';
    if (remote_info(world.r, &info) < 0)
        return -1;
    world.caps = info.caps;
    world.privileged = info.privileged;
    remote_info_done(&info);
    remote_fault_set(fault, 0, REMOTE_FAULT_BEFORE, 0);
    /* The shared cases want a directory of their own; the others use the root. */
    if (shared_cases) {
        strcpy(world.dir, "/case");
        return remote_mkdir(world.r, world.dir, 0755, NULL);
    }
    return 0;
}

static int world_leave(void **state)
{
    world.r = remote_free(world.r);
    return 0;
}

TEST(the_nth_call_fails_and_only_that)
{
    remote_fault_set(fault, 3, REMOTE_FAULT_BEFORE, -ECONNRESET);
    assert_int_equal(remote_create(world.r, "/1", 0644, NULL), 0);
    assert_int_equal(remote_create(world.r, "/2", 0644, NULL), 0);
    assert_int_equal(remote_create(world.r, "/3", 0644, NULL), -ECONNRESET);
    assert_int_equal(remote_create(world.r, "/4", 0644, NULL), 0);
    assert_int_equal(remote_fault_calls(fault), 4);
    assert_int_equal(remote_stat(world.r, "/3", NULL, NULL), -ENOENT);
    assert_string_equal(remote_name(world.r), "mem");
}

TEST(a_call_whose_answer_is_lost_was_made)
{
    struct remote_attr a = {.ino = 4711};
    struct remote_list list = {.count = 4711};
    struct buf out = BUF_INIT(100);
    struct remote_exec exec = {.script = "x", .cwd = "/", .output_max = 10};
    struct remote_info info = {.uid = 4711};
    int status = 4711;

    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, ECONNRESET);
    assert_int_equal(remote_mkdir(world.r, "/d", 0755, &a), -ECONNRESET);
    assert_int_equal(a.ino, 4711);
    assert_int_equal(remote_stat(world.r, "/d", NULL, NULL), 0);
    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, -EIO);
    assert_int_equal(remote_list(world.r, "/", 1, 10, &list), -EIO);
    assert_int_equal(list.count, 4711);
    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, -EIO);
    assert_int_equal(remote_info(world.r, &info), -EIO);
    assert_int_equal(info.uid, 4711);
    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, -EIO);
    assert_int_equal(remote_exec(world.r, &exec, &out, &status), -EIO);
    assert_int_equal(status, 4711);
    assert_int_equal(out.len, 0);
    /* The call's own failure comes through. */
    remote_fault_set(fault, 1, REMOTE_FAULT_AFTER, -EIO);
    assert_int_equal(remote_mkdir(world.r, "/d", 0755, NULL), -EEXIST);
}

TEST(a_short_fetch_leaves_half)
{
    struct remote_attr a;
    uint64_t len = 4711;
    char got[8] = "";
    int fd = memfd_create("got", MFD_CLOEXEC);

    have_file("f", "12345678");
    a = attr_of("f");
    remote_fault_set(fault, 1, REMOTE_FAULT_SHORT, -EIO);
    assert_int_equal(remote_fetch(world.r, "/f", &a, 0, UINT64_MAX, fd, &len), -EIO);
    assert_int_equal(len, 4711);
    assert_int_equal(pread(fd, got, sizeof(got), 0), 4);
    close(fd);
}

TEST(many_files_of_which_some_are_lost)
{
    static const int errs[][4] = {
        [REMOTE_FAULT_BEFORE] = {-EAGAIN, -EAGAIN, -EAGAIN, -EAGAIN},
        [REMOTE_FAULT_AFTER] = {-EAGAIN, -EAGAIN, -EAGAIN, -EAGAIN},
        [REMOTE_FAULT_SHORT] = {0, 0, -EAGAIN, -EAGAIN},
    };
    struct remote_attr a;
    struct remote_want v[4];
    const struct remote_many many = {.v = v, .count = 4};
    int fd = memfd_create("got", MFD_CLOEXEC);

    have_file("f", "12345678");
    a = attr_of("f");
    for (size_t i = 0; i < 4; i++)
        v[i] = (struct remote_want){.path = "/f", .expect = &a, .fd = fd};
    for (size_t kind = 0; kind < ARRAY_LEN(errs); kind++) {
        remote_fault_set(fault, 1, (enum remote_fault_kind)kind, -ECONNRESET);
        assert_int_equal(remote_fetch_many(world.r, &many), -ECONNRESET);
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(v[i].err, errs[kind][i]);
    }
    close(fd);
}

/* ---- a remote that tests hold ---- */

static struct {
    atomic_int inside, most, calls;
    atomic_bool open; /* false: calls wait */
    atomic_int result;
} held;

static int held_around(struct wrap *w, const struct wrap_call *call)
{
    const int now = atomic_fetch_add(&held.inside, 1) + 1;
    int most = atomic_load(&held.most);

    while (now > most && !atomic_compare_exchange_weak(&held.most, &most, now))
        ;
    atomic_fetch_add(&held.calls, 1);
    while (!atomic_load(&held.open))
        usleep(1000);
    atomic_fetch_sub(&held.inside, 1);
    return held.result < 0 ? held.result : wrap_forward(w, call);
}

static struct remote *held_new(bool open)
{
    struct wrap *w = calloc(1, sizeof(*w));

    wrap_init(w, remote_mem_new(0, 0), held_around, NULL);
    held.inside = held.most = held.calls = held.result = 0;
    held.open = open;
    return &w->remote;
}

static void *one_stat(void *arg)
{
    return (void *)(intptr_t)remote_stat(arg, "/", NULL, NULL);
}

static void wait_for(atomic_int *what, int value)
{
    for (int i = 0; i < 10000 && atomic_load(what) != value; i++)
        usleep(1000);
    assert_int_equal(atomic_load(what), value);
}

TEST(no_more_calls_than_the_limit_are_made_at_a_time)
{
    struct remote *r = remote_limit_new(held_new(false), 1, 3);
    struct cancel *c = cancel_new();
    pthread_t threads[8];
    void *result;

    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, one_stat, r);
    wait_for(&held.inside, 3);
    usleep(50000);
    assert_int_equal(held.inside, 3);

    /* Who waits in the queue can be stopped. */
    cancel_bind(c);
    cancel_fire(c);
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EINTR);
    cancel_bind(NULL);
    cancel_unref(c);

    held.open = true;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, 0);
    }
    assert_int_equal(held.most, 3);
    assert_int_equal(held.calls, 8);
    remote_free(r);
}

/* ---- wake ---- */

static atomic_int woken;
static int wake_result;

static int wake_mem(void *arg)
{
    atomic_fetch_add(&woken, 1);
    usleep(50000); /* others come meanwhile */
    if (wake_result == 0)
        held.result = 0;
    return wake_result;
}

static void expect_text(struct remote *r, const char *start)
{
    struct buf text = BUF_INIT(200);

    assert_int_equal(remote_wake_text(r, &text), 0);
    assert_int_equal(strncmp(buf_str(&text), start, strlen(start)), 0);
    buf_done(&text);
}

TEST(a_stopped_sandbox_is_woken_once_for_all)
{
    struct remote *r = remote_wake_new(held_new(true), wake_mem, NULL);
    pthread_t threads[6];
    void *result;

    woken = 0;
    wake_result = 0;
    held.result = -EHOSTDOWN;
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_create(&threads[i], NULL, one_stat, r);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++) {
        pthread_join(threads[i], &result);
        assert_int_equal((intptr_t)result, 0);
    }
    assert_int_equal(woken, 1);
    expect_text(r, "online");
    remote_free(r);
}

TEST(what_cannot_be_woken_stays_down)
{
    struct remote_statfs s;
    struct remote *r = remote_wake_new(held_new(true), wake_mem, NULL);

    woken = 0;
    wake_result = -ETIMEDOUT;
    held.result = -EHOSTDOWN;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EHOSTDOWN);
    assert_int_equal(woken, 1);
    assert_int_equal(remote_statfs(r, "/", &s), -EHOSTDOWN); /* not worth waking for */
    assert_int_equal(woken, 1);
    remote_free(r);

    r = remote_wake_new(held_new(true), NULL, NULL);
    held.result = -EHOSTDOWN;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EHOSTDOWN);
    assert_int_equal(held.calls, 1);
    remote_free(r);
}

TEST(a_question_whose_answer_is_lost_found_the_sandbox_down)
{
    struct remote *r = remote_wake_new(held_new(true), NULL, NULL);
    struct remote_attr a;

    held.result = -ECONNRESET;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EHOSTDOWN);
    assert_int_equal(remote_mkdir(r, "/d", 0755, &a), -ECONNRESET); /* it may be there */
    remote_free(r);

    r = remote_wake_new(held_new(true), wake_mem, NULL);
    woken = 0;
    wake_result = 0;
    held.result = -ECONNRESET;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), 0);
    assert_int_equal(woken, 1);
    remote_free(r);
}

static int told, told_err;

static void count_tell(void *arg, int err)
{
    told++;
    told_err = err;
}

TEST(what_is_found_down_is_told_once_and_shown)
{
    struct remote *r = remote_wake_new(held_new(true), NULL, NULL);

    told = 0;
    remote_wake_tell(r, count_tell);
    held.result = -EACCES;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EACCES);
    assert_int_equal(told, 0);
    held.result = -EHOSTDOWN;
    for (int i = 0; i < 3; i++)
        assert_int_equal(remote_stat(r, "/", NULL, NULL), -EHOSTDOWN);
    assert_int_equal(told, 1);
    assert_int_equal(told_err, -EHOSTDOWN);
    expect_text(r, "not running");
    held.result = 0;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), 0);
    expect_text(r, "online");
    held.result = -ECONNREFUSED;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -ECONNREFUSED);
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EHOSTDOWN);
    assert_int_equal(told, 2);
    assert_int_equal(told_err, -ECONNREFUSED);
    expect_text(r, "unreachable since 2");
    remote_free(r);
}

TEST(a_retry_ends_the_pause)
{
    struct remote *r = remote_wake_new(held_new(true), NULL, NULL);

    held.result = -ETIMEDOUT;
    assert_int_equal(remote_create(r, "/f", 0644, NULL), -ETIMEDOUT);
    held.result = 0;
    remote_wake_retry(r);
    assert_int_equal(remote_create(r, "/f", 0644, NULL), 0);
    expect_text(r, "online");
    remote_free(r);
}

TEST(what_others_did_to_the_sandbox_is_shown)
{
    struct remote *r = remote_wake_new(held_new(true), NULL, NULL);

    remote_wake_set(r, false);
    expect_text(r, "not running");
    remote_wake_set(r, true);
    expect_text(r, "online");
    held.result = -ETIMEDOUT;
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -ETIMEDOUT);
    expect_text(r, "unreachable");
    remote_wake_set(r, true);
    expect_text(r, "online");
    remote_free(r);
}

TEST(what_one_can_do_without_wakes_nobody)
{
    struct remote *r = remote_wake_new(held_new(true), wake_mem, NULL);

    woken = 0;
    wake_result = 0;
    held.result = -EHOSTDOWN;
    assert_false(remote_bind_optional(true));
    assert_int_equal(remote_stat(r, "/", NULL, NULL), -EHOSTDOWN);
    assert_int_equal(woken, 0);
    assert_true(remote_bind_optional(false));
    assert_int_equal(remote_stat(r, "/", NULL, NULL), 0);
    assert_int_equal(woken, 1);
    remote_free(r);
}

TEST(stats_count_each_attempt)
{
    const struct daytona_attempt rows[] = {
        {.call = "listFiles", .http_status = 200, .attempt = 1, .sent = 10, .received = 100},
        {.call = "downloadFile", .http_status = 0, .err = -ECONNRESET, .attempt = 1, .sent = 5},
        {.call = "downloadFile", .http_status = 200, .attempt = 2, .sent = 5, .received = 7},
        {.call = "listFiles", .http_status = 404, .attempt = 1},
    };
    struct stats *s = stats_new();
    struct buf text = BUF_INIT(10000);

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        stats_observe(s, &rows[i]);
    assert_int_equal(stats_text(s, &text), 0);
    assert_string_equal(buf_str(&text), "bytes_received 107\nbytes_sent 20\nerrors 2\nrequests 4\n"
                                        "requests.downloadFile 2\nrequests.listFiles 2\n"
                                        "retries 1\n");
    buf_done(&text);
    stats_free(s);
}

TEST(capabilities_say_what_is_weaker)
{
    struct buf text = BUF_INIT(10000);

    assert_int_equal(remote_caps_text(REMOTE_CAP_EXEC, &text), 0);
    assert_non_null(strstr(buf_str(&text), "exec yes\n"));
    assert_non_null(strstr(buf_str(&text), "rmdir no: "));
    buf_done(&text);
}

/* ---- commands and records ---- */

TEST(a_command_is_one_line_without_quotes_inside)
{
    struct shcmd s;
    char *line;

    shcmd_init(&s);
    shcmd_set(&s, "a", "it's\na \xff $(x) `y` \"z\" \\ %s 'q'");
    assert_int_equal(shcmd_command(&s, &line), 0);
    assert_null(strchr(line, '\n'));
    assert_int_equal(strncmp(line, "sh -c '", 7), 0);
    assert_string_equal(strchr(line + 7, '\''), "' </dev/null");
    for (const char *p = line; *p; p++)
        assert_true(*p >= ' ' && *p < 0x7f);
    free(line);
    shcmd_add(&s, "echo 'x'");
    assert_int_equal(shcmd_command(&s, &line), -EINVAL);
    shcmd_done(&s);
    shcmd_init(&s);
    for (int i = 0; i < SHCMD_MAX / 10 + 1; i++)
        shcmd_add(&s, "0123456789");
    assert_int_equal(shcmd_command(&s, &line), -EFBIG);
    shcmd_done(&s);
}

#define TOKEN "0123456789abcdef01234567"

TEST(a_frame_is_whole_or_refused)
{
    static const struct {
        const char *out;
        int want, err;
    } rows[] = {
        {"hello\n" TOKEN ":1\nQUI=\n\n" TOKEN ":2 0\n\n" TOKEN ":3\n", 0, 0},
        {"\n" TOKEN ":1\n\n" TOKEN ":2 1\nmv: x: File exists\n\n" TOKEN ":3\n", 0, -EEXIST},
        {"\n" TOKEN ":1\n\n" TOKEN ":2 1\nodd\n: Is a directory\nrm: Device or resource busy\n"
         "\n" TOKEN ":3\n",
         0, -EISDIR},
        {"\n" TOKEN ":1\n\n" TOKEN ":2 1\nno idea\n\n" TOKEN ":3\n", 0, -EIO},
        {"", -EBADMSG, 0},
        {"sh: not found\n", -EBADMSG, 0},
        {"\n" TOKEN ":1\nQUI=\n\n" TOKEN ":2 0\n\n", -EBADMSG, 0},
        {"\n" TOKEN ":1\nQUI\n\n" TOKEN ":2 0\n\n" TOKEN ":3\n", -EBADMSG, 0},
        {"\n" TOKEN ":1\nQUI=\n\n" TOKEN ":2 256\n\n" TOKEN ":3\n", -EBADMSG, 0},
        {"\n" TOKEN ":1\nQUI=\n\n" TOKEN ":2 -1\n\n" TOKEN ":3\n", -EBADMSG, 0},
        {"\n" TOKEN ":1\nQQ==\n-\nQQ==\n-\nQQ==\n-\nQQ==\n\n" TOKEN ":2 0\n\n" TOKEN ":3\n",
         -EBADMSG, 0},
    };
    struct shcmd_answer a;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const int r = shcmd_decode(TOKEN, rows[i].out, strlen(rows[i].out), &a);

        if (r != rows[i].want)
            fail_msg("row %zu: %d", i, r);
        if (r < 0)
            continue;
        assert_int_equal(shcmd_errno(&a), rows[i].err);
        shcmd_answer_done(&a);
    }
}

#define ATTR(type) "1 2 644 1 0 0 5 " type " 1.5000000000 -1.7500000000 9.0000000000"
#define REC(type, name) ATTR(type) "\0" name "\0\0"

TEST(records_that_lie_are_refused)
{
    static const struct {
        const char *what, *text;
        size_t len;
        unsigned depth;
        int want;
    } rows[] = {
#define ROW(what, depth, want, text) {what, text, sizeof(text) - 1, depth, want}
        ROW("good", 1, 0, REC("d", "") REC("f", "a")),
        ROW("a tree", 2, 0, REC("d", "") REC("d", "a") REC("f", "a/b")),
        ROW("no directory", 1, -ENOTDIR, REC("f", "")),
        ROW("nothing", 1, -EBADMSG, ""),
        ROW("no start", 1, -EBADMSG, REC("f", "a")),
        ROW("slash", 1, -EBADMSG, REC("d", "") REC("f", "a/b")),
        ROW("dot dot", 1, -EBADMSG, REC("d", "") REC("f", "..")),
        ROW("dot", 1, -EBADMSG, REC("d", "") REC("d", ".")),
        ROW("absolute", 3, -EBADMSG, REC("d", "") REC("f", "/etc")),
        ROW("climbing", 3, -EBADMSG, REC("d", "") REC("d", "a") REC("f", "a/../b")),
        ROW("twice", 1, -EBADMSG, REC("d", "") REC("f", "a") REC("f", "a")),
        ROW("orphan", 2, -EBADMSG, REC("d", "") REC("f", "a/b")),
        ROW("child first", 2, -EBADMSG, REC("d", "") REC("f", "a/b") REC("d", "a")),
        ROW("below a file", 2, -EBADMSG, REC("d", "") REC("f", "a") REC("f", "a/b")),
        ROW("too deep", 2, -EBADMSG, REC("d", "") REC("d", "a") REC("d", "a/b") REC("f", "a/b/c")),
        ROW("cut", 1, -EBADMSG, REC("d", "") "1 2 644"),
        ROW("negative size", 1, -EBADMSG,
            REC("d", "") "1 2 644 1 0 0 -5 f 1.0000000000 1.0000000000 1.0000000000\0a\0\0"),
        ROW("huge size", 1, -EBADMSG,
            REC("d", "") "1 2 644 1 0 0 9223372036854775808 f 1.0000000000 1.0000000000 "
                         "1.0000000000\0a\0\0"),
        ROW("unknown type", 1, -EBADMSG, REC("d", "") REC("U", "a")),
        ROW("target of no link", 1, -EBADMSG, REC("d", "") ATTR("f") "\0a\0x\0"),
    };
    struct remote_list list;

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const int r =
            record_decode_list(rows[i].text, rows[i].len, rows[i].depth, 100, NULL, &list);

        if (r != rows[i].want)
            fail_msg("%s: %d", rows[i].what, r);
        if (r == 0)
            remote_list_done(&list);
    }
}

TEST(records_mean_what_find_says)
{
    static const char text[] =
        "2049 77 4755 3 10 20 42 l 1700000000.1234567890 -1.7500000000 99999999999.5000000000\0\0"
        "to\0";
    struct remote_attr a;
    char *target;

    assert_int_equal(record_decode_one(text, sizeof(text) - 1, &a, &target), 0);
    assert_string_equal(target, "to");
    assert_int_equal(a.mode, S_IFLNK | 04755);
    assert_int_equal(a.nlink, 3);
    assert_int_equal(a.uid, 10);
    assert_int_equal(a.gid, 20);
    assert_int_equal(a.size, 42);
    assert_int_equal(a.mtime_ns, INT64_C(1700000000123456789));
    assert_int_equal(a.ctime_ns, -250000000);
    assert_int_equal(a.atime_ns, INT64_MAX); /* beyond 2262 */
    free(target);
}

#define STAT(raw)                                                                                  \
    "2049 77 755 3 10 20 42 " raw " 1700000000 -1 9 2023-11-14 22:13:20.123456789 +0000 "          \
    "1969-12-31 23:59:59.750000000 +0000 1970-01-01 00:00:09.000000000 +0000\n"

TEST(what_stat_tells_becomes_what_find_would_say)
{
    static const char text[] = "3\n/d\0/d/a\nb\0/d/l\0\0\0to\0" STAT("41ed") STAT("81a4")
        STAT("a1ff") "1\n/d/gone\0\0" STAT("a1ff");
    struct buf out = BUF_INIT(4096);
    struct remote_list list;

    assert_int_equal(record_from_stat(text, sizeof(text) - 1, &out), 0);
    assert_int_equal(record_decode_list(out.data, out.len, 1, 100, NULL, &list), 0);
    assert_int_equal(list.count, 2); /* a link without a target went meanwhile */
    assert_int_equal(list.self.mode, S_IFDIR | 0755);
    assert_string_equal(list.v[0].name, "a\nb");
    assert_int_equal(list.v[0].attr.mtime_ns, INT64_C(1700000000123456789));
    assert_int_equal(list.v[0].attr.ctime_ns, -250000000);
    assert_int_equal(list.v[0].attr.ino, 77);
    assert_int_equal(list.v[0].attr.nlink, 3);
    assert_string_equal(list.v[1].target, "to");
    remote_list_done(&list);
    buf_done(&out);
}

TEST(what_stat_cannot_have_told_is_refused)
{
    static const struct {
        const char *text;
        size_t len;
    } rows[] = {
#define TEXT(text) {text, sizeof(text) - 1}
        TEXT("x"),
        TEXT("0\n"),
        TEXT("2\n/d\0"),
        TEXT("1\n/d\0\0"),
        TEXT("1\n/d\0\0"
             "2049 77\n"),
        TEXT("99999999\n/d\0\0" STAT("41ed")),
        TEXT("2\n/d\0/dd\0\0\0" STAT("41ed") STAT("81a4")),
        TEXT("2\n/d\0/etc\0\0\0" STAT("41ed") STAT("81a4")),
        TEXT("2\n/d\0/d/\0\0\0" STAT("41ed") STAT("81a4")),
        TEXT("1\n/d\0\0"
             "1 2 755 1 0 0 1 41ed 1 1 1 d 00:00:00 +0000 d 0.1 +0000 d 0.1 +0000\n"),
#undef TEXT
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf out = BUF_INIT(4096);

        assert_int_equal(record_from_stat(rows[i].text, rows[i].len, &out), -EBADMSG);
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REMOTE_CASE(the_nth_call_fails_and_only_that),
        REMOTE_CASE(a_call_whose_answer_is_lost_was_made),
        REMOTE_CASE(a_short_fetch_leaves_half),
        REMOTE_CASE(many_files_of_which_some_are_lost),
        cmocka_unit_test(no_more_calls_than_the_limit_are_made_at_a_time),
        cmocka_unit_test(a_stopped_sandbox_is_woken_once_for_all),
        cmocka_unit_test(what_cannot_be_woken_stays_down),
        cmocka_unit_test(a_question_whose_answer_is_lost_found_the_sandbox_down),
        cmocka_unit_test(what_is_found_down_is_told_once_and_shown),
        cmocka_unit_test(a_retry_ends_the_pause),
        cmocka_unit_test(what_others_did_to_the_sandbox_is_shown),
        cmocka_unit_test(what_one_can_do_without_wakes_nobody),
        cmocka_unit_test(stats_count_each_attempt),
        cmocka_unit_test(capabilities_say_what_is_weaker),
        cmocka_unit_test(a_command_is_one_line_without_quotes_inside),
        cmocka_unit_test(a_frame_is_whole_or_refused),
        cmocka_unit_test(records_that_lie_are_refused),
        cmocka_unit_test(records_mean_what_find_says),
        cmocka_unit_test(what_stat_tells_becomes_what_find_would_say),
        cmocka_unit_test(what_stat_cannot_have_told_is_refused),
    };

    const struct CMUnitTest cases[] = {REMOTE_CASES};
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    shared_cases = true;
    return failed + cmocka_run_group_tests_name("wrapped", cases, NULL, NULL);
}
