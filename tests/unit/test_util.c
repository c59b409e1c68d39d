#include "unit.h"

#include "util/base64.h"
#include "util/buf.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/io.h"
#include "util/log.h"
#include "util/path.h"
#include "util/random.h"
#include "util/units.h"
#include "util/words.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

TEST(buf_refuses_to_pass_its_ceiling_and_keeps_what_it_has)
{
    struct buf b = BUF_INIT(8);

    assert_int_equal(buf_puts(&b, "12345678"), 0);
    assert_int_equal(buf_puts(&b, "9"), -EFBIG);
    assert_int_equal(buf_printf(&b, "%s", "9"), -EFBIG);
    assert_string_equal(buf_str(&b), "12345678");
    buf_consume(&b, 3);
    assert_string_equal(buf_str(&b), "45678");
    buf_done(&b);
    assert_string_equal(buf_str(&b), "");
}

TEST(base64_goes_there_and_back_for_every_length)
{
    char data[300];
    struct buf text = BUF_INIT(1000), back = BUF_INIT(1000);

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i * 7);
    for (size_t n = 0; n < sizeof(data); n++) {
        buf_truncate(&text, 0);
        buf_truncate(&back, 0);
        assert_int_equal(base64_encode(&text, data, n), 0);
        assert_int_equal(base64_decode(&back, buf_str(&text), text.len), 0);
        assert_int_equal(back.len, n);
        if (n > 0)
            assert_memory_equal(back.data, data, n);
    }
    buf_done(&text);
    buf_done(&back);
}

TEST(base64_refuses_what_is_not)
{
    static const char *const bad[] = {
        "A", "AA", "AAA", "A===", "AAA=A", "AA=A", "AA==AAAA", "AAA*"};
    struct buf b = BUF_INIT(100);

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_int_equal(base64_decode(&b, bad[i], strlen(bad[i])), -EBADMSG);
        assert_int_equal(b.len, 0);
    }
    assert_int_equal(base64_decode(&b, "YW\nJj\r\nZA==\n", 12), 0);
    assert_string_equal(buf_str(&b), "abcd");
    buf_done(&b);
}

TEST(paths_resolve_without_a_file_system)
{
    static const struct {
        const char *base, *path, *want;
    } rows[] = {
        {"/a/b", "c", "/a/b/c"},      {"/a/b", "../c", "/a/c"}, {"/a", "/x//y/./z/", "/x/y/z"},
        {"/", "../../..", "/"},       {"/a", "", "/a"},         {"/a", ".", "/a"},
        {"/a/b", "../../../x", "/x"}, {"/a", "b/..", "/a"},     {"/a", "..b", "/a/..b"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *got = path_resolve(rows[i].base, rows[i].path);

        assert_string_equal(got, rows[i].want);
        free(got);
    }
    assert_true(path_is_below("/a/b", "/a"));
    assert_true(path_is_below("/a", "/a"));
    assert_true(path_is_below("/a", "/"));
    assert_false(path_is_below("/ab", "/a"));
    assert_string_equal(path_below("/a/b/c", "/a"), "b/c");
    assert_string_equal(path_below("/a", "/"), "a");
}

TEST(names_that_are_not_one_component_are_refused)
{
    char longest[257];

    memset(longest, 'x', sizeof(longest));
    assert_true(path_name_valid("a", 1));
    assert_true(path_name_valid("...", 3));
    assert_true(path_name_valid("\xff\n", 2));
    assert_true(path_name_valid(longest, 255));
    assert_false(path_name_valid(longest, 256));
    assert_false(path_name_valid("", 0));
    assert_false(path_name_valid(".", 1));
    assert_false(path_name_valid("..", 2));
    assert_false(path_name_valid("a/b", 3));
    assert_false(path_name_valid("a\0b", 3));
}

TEST(units_are_read_and_printed)
{
    static const struct {
        const char *text;
        uint64_t bytes;
        int err;
    } sizes[] = {
        {"0", 0, 0},          {"4096", 4096, 0},  {"64K", 65536, 0},  {"1.5g", 3ULL << 29, 0},
        {"1GiB", 1 << 30, 0}, {"", 0, -EINVAL},   {"-1", 0, -EINVAL}, {"1X", 0, -EINVAL},
        {"1e30", 0, -ERANGE}, {"inf", 0, -EINVAL}};
    static const struct {
        const char *text;
        int64_t ns;
        int err;
    } durations[] = {{"1s", NS_PER_S, 0},           {"100ms", NS_PER_S / 10, 0},
                     {"10m", 600 * NS_PER_S, 0},    {"30", 30 * NS_PER_S, 0},
                     {"1.5s", 3 * NS_PER_S / 2, 0}, {"1 s", 0, -EINVAL}};
    struct buf b = BUF_INIT(64);

    for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
        uint64_t v = 0, again = 0;

        assert_int_equal(units_parse_bytes(sizes[i].text, &v), sizes[i].err);
        assert_int_equal(v, sizes[i].bytes);
        buf_truncate(&b, 0);
        assert_int_equal(units_print_bytes(&b, v), 0);
        assert_int_equal(units_parse_bytes(buf_str(&b), &again), 0);
        assert_int_equal(again, v);
    }
    for (size_t i = 0; i < ARRAY_LEN(durations); i++) {
        int64_t v = 0, again = 0;

        assert_int_equal(units_parse_duration(durations[i].text, &v), durations[i].err);
        assert_int_equal(v, durations[i].ns);
        buf_truncate(&b, 0);
        assert_int_equal(units_print_duration(&b, v), 0);
        assert_int_equal(units_parse_duration(buf_str(&b), &again), 0);
        assert_int_equal(again, v);
    }
    buf_done(&b);
}

TEST(words_split_as_sh_does)
{
    static const struct {
        const char *line;
        int argc;
        const char *argv[4];
    } rows[] = {
        {"sync", 1, {"sync"}},
        {"  evict  'a b' \"c\\\"d\" e\\ f\n", 4, {"evict", "a b", "c\"d", "e f"}},
        {"x '' # comment", 2, {"x", ""}},
        {"a#b", 1, {"a#b"}},
        {"'a\nb'", 1, {"a\nb"}},
        {"", 0, {NULL}},
        {"don't", -EINVAL, {NULL}},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char **argv = NULL;
        int argc = 0, r = words_split(rows[i].line, &argv, &argc);

        assert_int_equal(r < 0 ? r : argc, rows[i].argc);
        for (int k = 0; k < argc; k++)
            assert_string_equal(argv[k], rows[i].argv[k]);
        free(argv);
    }
}

TEST(a_slip_of_the_pen_gets_a_suggestion)
{
    static const char *const names[] = {"coherence", "cache_size", "wake"};

    assert_string_equal(words_nearest("coherance", names, 3), "coherence");
    assert_string_equal(words_nearest("cachesize", names, 3), "cache_size");
    assert_null(words_nearest("zzzzzz", names, 3));
}

TEST(errno_is_found_at_the_end_of_a_message)
{
    assert_int_equal(errtext_parse("mv: cannot move 'a' to 'b': Permission denied\n"), -EACCES);
    assert_int_equal(errtext_parse("x: create: open x: no space left on device"), -ENOSPC);
    assert_int_equal(errtext_parse("rmdir: failed to remove 'd': Directory not empty"), -ENOTEMPTY);
    assert_int_equal(errtext_parse("all is well"), 0);
    assert_string_equal(errtext_name(-ENOENT), "ENOENT");
}

static void *fire_soon(void *arg)
{
    (void)cancel_sleep(20 * NS_PER_MS);
    cancel_fire(arg);
    return NULL;
}

TEST(a_bound_cancel_ends_a_sleep_early)
{
    struct cancel *c = cancel_new();
    const int64_t start_ns = clock_mono_ns();
    pthread_t thread;

    cancel_bind(c);
    assert_int_equal(cancel_sleep(NS_PER_MS), 0);
    pthread_create(&thread, NULL, fire_soon, c);
    assert_int_equal(cancel_sleep(60 * NS_PER_S), -EINTR);
    pthread_join(thread, NULL);
    assert_true(clock_mono_ns() - start_ns < 30 * NS_PER_S);
    assert_int_equal(cancel_sleep(NS_PER_S), -EINTR);
    cancel_bind(NULL);
    cancel_unref(c);
}

struct waits {
    struct cancel *cancel;
    pthread_barrier_t *hooked, *fired;
    bool told;
};

static void tell(void *arg)
{
    *(bool *)arg = true;
}

static void *wait_hooked(void *arg)
{
    struct waits *w = arg;

    cancel_hook(w->cancel, tell, &w->told);
    pthread_barrier_wait(w->hooked);
    pthread_barrier_wait(w->fired);
    cancel_unhook(w->cancel);
    return NULL;
}

TEST(a_cancel_ends_the_waits_of_all_threads_that_it_is_bound_to)
{
    enum { THREADS = 3 };
    struct cancel *c = cancel_new();
    pthread_barrier_t hooked, fired;
    struct waits w[THREADS];
    pthread_t threads[THREADS];

    pthread_barrier_init(&hooked, NULL, THREADS + 1);
    pthread_barrier_init(&fired, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        w[i] = (struct waits){.cancel = c, .hooked = &hooked, .fired = &fired};
        assert_int_equal(pthread_create(&threads[i], NULL, wait_hooked, &w[i]), 0);
    }
    pthread_barrier_wait(&hooked);
    cancel_fire(c);
    for (int i = 0; i < THREADS; i++)
        assert_true(w[i].told);
    pthread_barrier_wait(&fired);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&hooked);
    pthread_barrier_destroy(&fired);
    cancel_unref(c);
}

enum { MUCH = 1 << 20 }; /* more than a pipe holds */

static void *read_pipe(void *arg)
{
    static struct buf got;
    const int *fd = arg;

    buf_init(&got, MUCH);
    assert_return_code(io_read_rest(*fd, &got), 0);
    return &got;
}

TEST(io_moves_all_bytes_or_says_why_not)
{
    char path[] = "/tmp/io-XXXXXX", *bytes = malloc(MUCH), *back = malloc(MUCH);
    struct buf small = BUF_INIT(10);
    struct buf *got;
    pthread_t reader;
    int fds[2], fd;

    assert_non_null(bytes);
    assert_non_null(back);
    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (char)(i * 7 + i / 4096);

    assert_return_code(pipe(fds), errno);
    assert_int_equal(pthread_create(&reader, NULL, read_pipe, &fds[0]), 0);
    assert_return_code(io_write(fds[1], bytes, MUCH), 0);
    close(fds[1]);
    assert_int_equal(pthread_join(reader, (void **)&got), 0);
    close(fds[0]);
    assert_int_equal(got->len, MUCH);
    assert_memory_equal(got->data, bytes, MUCH);
    buf_done(got);

    fd = mkstemp(path);
    assert_return_code(fd, errno);
    unlink(path);
    assert_return_code(io_pwrite(fd, bytes, MUCH, 100), 0);
    assert_return_code(io_pread(fd, back, MUCH, 100), 0);
    assert_memory_equal(back, bytes, MUCH);
    assert_int_equal(io_pread(fd, back, MUCH, 101), -EBADMSG);
    assert_int_equal(io_read_rest(fd, &small), -EFBIG);
    close(fd);
    assert_int_equal(io_write(fd, bytes, 1), -EBADF);
    assert_int_equal(io_pwrite(fd, bytes, 1, 0), -EBADF);
    assert_int_equal(io_pread(fd, back, 1, 0), -EBADF);
    assert_int_equal(io_read_rest(fd, &small), -EBADF);
    buf_done(&small);
    free(bytes);
    free(back);
}

static int temporary(void)
{
    char path[] = "/tmp/io-XXXXXX";
    const int fd = mkstemp(path);

    assert_return_code(fd, errno);
    unlink(path);
    return fd;
}

/* On the same file system and on another, and where stat says that there is nothing. */
TEST(io_copies_the_rest_of_any_file_to_where_the_other_is)
{
    char *bytes = malloc(MUCH), *back = malloc(MUCH);
    const int from[] = {temporary(), memfd_create("io", 0), open("/proc/self/mounts", O_RDONLY)};
    const int full = open("/dev/full", O_WRONLY);

    for (size_t i = 0; i < MUCH; i++)
        bytes[i] = (char)(i * 7 + i / 4096);
    for (size_t i = 0; i < ARRAY_LEN(from); i++) {
        const int to = temporary();
        ssize_t len = 10;

        if (i < 2)
            assert_return_code(io_pwrite(from[i], bytes, MUCH, 0), 0);
        else
            len = pread(from[i], bytes, 10, 0);
        assert_int_equal(len, 10);
        assert_int_equal(lseek(from[i], i < 2 ? MUCH - 10 : 0, SEEK_SET), i < 2 ? MUCH - 10 : 0);
        assert_return_code(io_write(to, "before", 6), 0);
        assert_return_code(io_copy(from[i], to), 0);
        assert_return_code(io_pread(to, back, 16, 0), 0);
        assert_memory_equal(back, "before", 6);
        assert_memory_equal(back + 6, i < 2 ? bytes + MUCH - 10 : bytes, 10);
        if (i < 2)
            assert_int_equal(lseek(to, 0, SEEK_CUR), 16);
        assert_return_code(io_copy(from[i], to), 0); /* nothing is left */
        assert_int_equal(lseek(from[i], 0, SEEK_SET), 0);
        assert_int_equal(io_copy(from[i], full), -ENOSPC);
        close(to);
        close(from[i]);
        assert_int_equal(io_copy(from[i], full), -EBADF);
    }
    close(full);
    free(bytes);
    free(back);
}

TEST(random_digits_are_as_many_as_asked_for_and_others_each_time)
{
    char a[65], b[65];

    memset(a, 'x', sizeof(a));
    assert_int_equal(random_hex(a, 2), 0);
    assert_int_equal(strlen(a), 2);
    assert_int_equal(a[3], 'x');
    assert_int_equal(random_hex(a, 64), 0);
    assert_int_equal(random_hex(b, 64), 0);
    assert_int_equal(strspn(a, "0123456789abcdef"), 64);
    assert_int_equal(strlen(a), 64);
    assert_string_not_equal(a, b);
    assert_int_equal(random_bytes(a, 1000), -EINVAL);
}

/* In a process of its own, whose stderr nobody reads until told to. */
static int log_to_a_full_pipe(int in, int out)
{
    char chunk[4096];
    const int64_t start_ns = clock_mono_ns();

    if (dup2(out, STDERR_FILENO) < 0 || fcntl(STDERR_FILENO, F_SETFL, O_NONBLOCK) < 0)
        return 1;
    while (write(STDERR_FILENO, "x", 1) == 1)
        ;
    fcntl(STDERR_FILENO, F_SETFL, 0);
    for (int i = 0; i < 100; i++)
        log_msg(LOG_WARN, "nobody reads this");
    if (clock_mono_ns() - start_ns > 10 * NS_PER_S)
        return 2;
    for (int i = 0; i < 16; i++)
        if (read(in, chunk, sizeof(chunk)) != sizeof(chunk))
            return 3;
    log_msg(LOG_WARN, "read again");
    memset(chunk, 0, sizeof(chunk));
    if (read(in, chunk, sizeof(chunk) - 1) <= 0)
        return 4;
    return strstr(chunk, "100 lines are missing here\n") && strstr(chunk, "read again\n") ? 0 : 5;
}

TEST(a_log_that_nobody_reads_holds_nobody_up)
{
    int ends[2], status;
    pid_t pid;

    assert_int_equal(pipe(ends), 0);
    pid = fork();
    if (pid == 0)
        _exit(log_to_a_full_pipe(ends[0], ends[1]));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    close(ends[0]);
    close(ends[1]);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buf_refuses_to_pass_its_ceiling_and_keeps_what_it_has),
        cmocka_unit_test(base64_goes_there_and_back_for_every_length),
        cmocka_unit_test(base64_refuses_what_is_not),
        cmocka_unit_test(paths_resolve_without_a_file_system),
        cmocka_unit_test(names_that_are_not_one_component_are_refused),
        cmocka_unit_test(units_are_read_and_printed),
        cmocka_unit_test(io_moves_all_bytes_or_says_why_not),
        cmocka_unit_test(random_digits_are_as_many_as_asked_for_and_others_each_time),
        cmocka_unit_test(io_copies_the_rest_of_any_file_to_where_the_other_is),
        cmocka_unit_test(words_split_as_sh_does),
        cmocka_unit_test(a_slip_of_the_pen_gets_a_suggestion),
        cmocka_unit_test(errno_is_found_at_the_end_of_a_message),
        cmocka_unit_test(a_bound_cancel_ends_a_sleep_early),
        cmocka_unit_test(a_cancel_ends_the_waits_of_all_threads_that_it_is_bound_to),
        cmocka_unit_test(a_log_that_nobody_reads_holds_nobody_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
