/* A real mount, served by this process over an in-memory sandbox that can be made slow. */
#include "unit.h"

#include "cache/cache.h"
#include "ctl/ctl.h"
#include "fs/fs.h"
#include "fuse/session.h"
#include "remote/backends.h"
#include "remote/wrap.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BLOCKED = 100 };

/* Ten times what is promised: the machine may be busy. */
#define SOON_NS (2 * NS_PER_S)
#define LONG_MS 120000

/* ---- the sandbox ---- */

struct slow_remote {
    struct wrap wrap; /* first */
    atomic_int fetch_ms, exec_ms;
};

/* The one command there is: `touch NAME`, in the cwd. */
static int run(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit)
{
    char name[100] = "", *path;
    int err = 0;

    *ret_exit = 0;
    if (sscanf(exec->script, "touch %99s", name) == 1) {
        assert_true(asprintf(&path, "%s/%s", exec->cwd[1] ? exec->cwd : "", name) > 0);
        err = remote_create(r, path, 0644, NULL);
        free(path);
    }
    return err == 0 ? buf_puts(out, "done\n") : err;
}

static int around(struct wrap *w, const struct wrap_call *call)
{
    struct slow_remote *s = (struct slow_remote *)w;
    const bool fetch = call->op == WRAP_FETCH || call->op == WRAP_SNAPSHOT;
    const int ms = fetch                   ? atomic_load(&s->fetch_ms)
                   : call->op == WRAP_EXEC ? atomic_load(&s->exec_ms)
                                           : 0;
    int r = cancel_sleep(ms * NS_PER_MS);

    if (r < 0)
        return r;
    if (call->op == WRAP_EXEC)
        return run(w->inner, call->exec, call->out, call->ret_exit);
    return wrap_forward(w, call);
}

/* ---- the mount ---- */

static struct rig {
    char base[64], dir[80], cache_dir[80];
    struct slow_remote *remote;
    struct cache *cache;
    struct notify *notify;
    struct fs *fs;
    struct ctl *ctl;
    struct session *session;
    pthread_t loop;
} rig;

static void *loop(void *arg)
{
    (void)session_loop(arg);
    return NULL;
}

static void rig_up(bool ctl_visible, int64_t coherence_ns)
{
    struct fs_config config = {.root = "/",
                               .map_user = true,
                               .uid = geteuid(),
                               .gid = getegid(),
                               .force_uid = -1,
                               .force_gid = -1,
                               .coherence_ns = coherence_ns,
                               .notify = &notify_for_fs};
    struct ctl_config ctl = {.name = ".ctl", .uid = geteuid(), .gid = getegid()};
    struct session_config session = {.ctl_name = ctl_visible ? ".ctl-files" : ".ctl",
                                     .ctl_link = ctl_visible ? ".ctl" : NULL,
                                     .name = "a,b"};

    strcpy(rig.base, "/var/tmp/test-session-XXXXXX");
    assert_non_null(mkdtemp(rig.base));
    snprintf(rig.dir, sizeof(rig.dir), "%s/m", rig.base);
    snprintf(rig.cache_dir, sizeof(rig.cache_dir), "%s/c", rig.base);
    assert_int_equal(mkdir(rig.dir, 0700), 0);
    rig.remote = calloc(1, sizeof(*rig.remote));
    wrap_init(&rig.remote->wrap, remote_mem_new(0, 0), around, NULL);
    assert_int_equal(cache_new(rig.cache_dir, 64 << 20, &rig.cache), 0);
    assert_int_equal(notify_new(&rig.notify), 0);
    config.mount_dir = rig.dir;
    config.notify_arg = rig.notify;
    assert_int_equal(fs_new(&config, &rig.remote->wrap.remote, rig.cache, &rig.fs), 0);
    assert_int_equal(ctl_new(&ctl, rig.fs, &rig.ctl), 0);
    session.fs = rig.fs;
    session.ctl = rig.ctl;
    session.notify = rig.notify;
    assert_int_equal(session_new(&session, &rig.session), 0);
    assert_int_equal(session_mount(rig.session, rig.dir), 0);
    assert_int_equal(pthread_create(&rig.loop, NULL, loop, rig.session), 0);
}

static void rig_down(void)
{
    session_exit(rig.session);
    pthread_join(rig.loop, NULL);
    rig.session = session_free(rig.session);
    rig.ctl = ctl_free(rig.ctl);
    rig.fs = fs_free(rig.fs);
    rig.cache = cache_free(rig.cache);
    rig.notify = notify_free(rig.notify);
    remote_free(&rig.remote->wrap.remote);
    assert_int_equal(rmdir(rig.dir), 0); /* nothing is mounted there any more */
    (void)rmdir(rig.cache_dir);
    (void)rmdir(rig.base);
}

static int set_up(void **state)
{
    (void)state;
    rig_up(false, NS_PER_S);
    return 0;
}

static int set_up_patient(void **state)
{
    (void)state;
    rig_up(true, 600 * NS_PER_S);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    (void)!chdir("/"); /* a test that failed may be inside */
    rig_down();
    return 0;
}

/* Valid until the fourth call after it. */
static const char *at(const char *name)
{
    static char paths[4][2 * PATH_MAX];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", rig.dir, name);
    return path;
}

static void put(const char *name, const char *text)
{
    int fd = open(at(name), O_WRONLY | O_CREAT | O_TRUNC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(close(fd), 0);
}

/* As errno has it, or the bytes in text. */
static ssize_t get(const char *name, char *text, size_t size)
{
    int fd = open(at(name), O_RDONLY);
    ssize_t n, all = 0;

    if (fd < 0)
        return -errno;
    while ((n = read(fd, text + all, size - 1 - (size_t)all)) > 0)
        all += n;
    text[all] = '\0';
    close(fd);
    return n < 0 ? -errno : all;
}

/* In the sandbox, as somebody there would: the mount is not told. */
static void put_there(const char *path, const char *text)
{
    struct remote *r = rig.remote->wrap.inner;
    char name[] = "/var/tmp/test-session-data-XXXXXX";
    struct remote_put what = {.fd = mkstemp(name), .size = strlen(text), .mtime_ns = INT64_MIN};
    struct remote_attr attr;

    (void)unlink(name);
    assert_int_equal(pwrite(what.fd, text, strlen(text), 0), strlen(text));
    assert_int_equal(remote_create(r, path, 0644, &attr), 0);
    what.replace = &attr;
    assert_int_equal(remote_put(r, path, &what, NULL), 0);
    close(what.fd);
}

static bool listed(const char *dir, const char *name)
{
    DIR *d = opendir(at(dir));
    struct dirent *e;
    bool found = false;

    assert_non_null(d);
    while ((e = readdir(d)))
        found = found || strcmp(e->d_name, name) == 0;
    closedir(d);
    return found;
}

/* ---- what any program does ---- */

TEST(a_file_is_made_read_changed_renamed_and_removed)
{
    struct timespec times[2] = {{1000, 5}, {2000, 7}};
    char text[100], target[100] = "";
    struct statvfs vfs;
    struct stat st;

    put("a", "hello");
    assert_int_equal(get("a", text, sizeof(text)), 5);
    assert_string_equal(text, "hello");
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_size, 5);
    assert_int_equal(st.st_uid, geteuid());
    assert_int_equal(truncate(at("a"), 2), 0);
    assert_int_equal(get("a", text, sizeof(text)), 2);
    assert_int_equal(chmod(at("a"), 0600), 0);
    assert_int_equal(utimensat(AT_FDCWD, at("a"), times, 0), 0);
    assert_int_equal(stat(at("a"), &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0600);
    assert_int_equal(st.st_mtim.tv_sec, 2000);

    assert_int_equal(mkdir(at("d"), 0755), 0);
    assert_int_equal(mkdir(at("d"), 0755), -1);
    assert_int_equal(errno, EEXIST);
    put("b", "other");
    assert_int_equal(rename(at("a"), at("d/a")), 0);
    assert_int_equal(rename(at("b"), at("d/a")), 0); /* over it */
    assert_int_equal(get("d/a", text, sizeof(text)), 5);
    assert_string_equal(text, "other");
    assert_int_equal(get("a", text, sizeof(text)), -ENOENT);
    assert_int_equal(link(at("d/a"), at("hard")), 0);
    assert_int_equal(symlink("d/a", at("soft")), 0);
    assert_int_equal(readlink(at("soft"), target, sizeof(target) - 1), 3);
    assert_string_equal(target, "d/a");
    assert_int_equal(get("soft", text, sizeof(text)), 5);
    assert_true(listed("", "soft"));
    assert_true(listed("d", "a"));
    assert_int_equal(rmdir(at("d")), -1);
    assert_int_equal(errno, ENOTEMPTY);
    assert_int_equal(unlink(at("d/a")), 0);
    assert_int_equal(rmdir(at("d")), 0);
    assert_int_equal(get("hard", text, sizeof(text)), 5);
    assert_false(listed("", "d"));
    assert_int_equal(statvfs(at(""), &vfs), 0);
    assert_int_equal(access(at("hard"), R_OK | W_OK), 0);
}

TEST(an_open_file_outlives_its_name)
{
    char text[10] = "";
    int fd;

    put("f", "still");
    fd = open(at("f"), O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(unlink(at("f")), 0);
    assert_int_equal(pread(fd, text, 9, 0), 5);
    assert_string_equal(text, "still");
    assert_int_equal(pwrite(fd, "more", 4, 5), 4);
    assert_int_equal(close(fd), 0);
}

TEST(names_are_bytes_and_have_an_end)
{
    static const char *const names[] = {"a b", "-rf", "it's", "new\nline", "\xff\xfe", " lead "};
    char longest[PATH_MAX];

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        put(names[i], "x");
        assert_true(listed("", names[i]));
        assert_int_equal(unlink(at(names[i])), 0);
    }
    memset(longest, 'n', 256);
    longest[256] = '\0';
    assert_int_equal(open(at(longest), O_WRONLY | O_CREAT, 0600), -1);
    assert_int_equal(errno, ENAMETOOLONG);
    longest[255] = '\0';
    put(longest, "x");
    assert_int_equal(unlink(at(longest)), 0);
}

/* Each of more entries than one answer holds is there once. */
TEST(a_large_directory_is_listed_whole)
{
    enum { COUNT = 1500 };
    char name[100];
    int seen = 0;
    struct dirent *e;
    DIR *d;

    assert_int_equal(remote_mkdir(rig.remote->wrap.inner, "/big", 0755, NULL), 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(name, sizeof(name), "/big/a-name-that-is-not-so-short-%d", i);
        assert_int_equal(remote_create(rig.remote->wrap.inner, name, 0644, NULL), 0);
    }
    d = opendir(at("big"));
    assert_non_null(d);
    while ((e = readdir(d)))
        seen += e->d_name[0] == 'a';
    closedir(d);
    assert_int_equal(seen, COUNT);
}

/* ---- control files ---- */

TEST(control_files_are_found_by_name_and_cannot_be_moved)
{
    char text[20000];
    struct stat st;
    int fd;

    assert_false(listed("", ".ctl"));
    assert_true(listed(".ctl", "help"));
    assert_int_equal(stat(at(".ctl"), &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_true(get(".ctl/help", text, sizeof(text)) > 100);
    fd = open(at(".ctl/help"), O_RDONLY);
    assert_int_equal(lseek(fd, 10, SEEK_SET), 10);
    assert_int_equal(read(fd, text + 10000, 50), 50);
    assert_memory_equal(text + 10000, text + 10, 50);
    close(fd);

    assert_int_equal(rename(at(".ctl"), at("x")), -1);
    assert_int_equal(errno, EPERM);
    put("f", "x");
    assert_int_equal(rename(at("f"), at(".ctl")), -1);
    assert_int_equal(mkdir(at(".ctl"), 0700), -1);
    assert_int_equal(errno, EEXIST);
    assert_int_equal(unlink(at(".ctl/help")), -1);
    assert_int_equal(errno, EPERM);
    assert_int_equal(open(at(".ctl/new"), O_WRONLY | O_CREAT, 0600), -1);
    assert_int_equal(rmdir(at(".ctl")), -1);
    assert_int_equal(get(".ctl/none", text, sizeof(text)), -ENOENT);
}

TEST(a_question_is_asked_and_answered_through_the_kernel)
{
    struct pollfd pfd = {.fd = open(at(".ctl/run"), O_RDWR | O_TRUNC), .events = POLLIN};
    char text[100];
    ssize_t n;

    atomic_store(&rig.remote->exec_ms, 300);
    assert_true(pfd.fd >= 0);
    assert_int_equal(write(pfd.fd, "anything\n", 9), 9);
    assert_int_equal(poll(&pfd, 1, 20000), 1);
    n = read(pfd.fd, text, sizeof(text) - 1);
    assert_int_equal(n, 5);
    assert_memory_equal(text, "done\n", 5);
    assert_int_equal(read(pfd.fd, text, sizeof(text)), 0);
    close(pfd.fd);
}

/* With metadata that would be believed for minutes: only what the kernel is told makes it right. */
TEST(what_a_command_changed_is_seen_when_it_has_answered)
{
    char text[100], cwd[200];
    struct stat st;
    int fd;

    assert_int_equal(mkdir(at("sub"), 0755), 0);
    assert_int_equal(stat(at("made"), &st), -1);
    assert_false(listed("", "made"));
    assert_int_equal(chdir(at("sub")), 0);
    fd = open(at(".ctl/run"), O_RDWR);
    assert_int_equal(write(fd, "touch made\n", 11), 11);
    assert_int_equal(read(fd, text, sizeof(text)), 5);
    close(fd);
    assert_int_equal(stat(at("made"), &st), 0);
    assert_true(listed("", "made"));
    assert_non_null(getcwd(cwd, sizeof(cwd))); /* those who are inside are not cut off */
    assert_int_equal(chdir("/"), 0);
}

/* What is listed does not lead programs that walk about into the control files. */
TEST(listed_control_files_are_behind_a_link)
{
    char text[100] = "";
    struct stat st, named;

    assert_true(listed("", ".ctl"));
    assert_false(listed("", ".ctl-files"));
    assert_true(listed(".ctl/", "help"));
    assert_int_equal(lstat(at(".ctl"), &st), 0);
    assert_true(S_ISLNK(st.st_mode));
    assert_int_equal(st.st_size, readlink(at(".ctl"), text, sizeof(text) - 1));
    assert_string_equal(text, ".ctl-files");
    assert_int_equal(stat(at(".ctl"), &st), 0);
    assert_int_equal(lstat(at(".ctl-files"), &named), 0);
    assert_true(S_ISDIR(named.st_mode));
    assert_int_equal(st.st_ino, named.st_ino);
    assert_int_equal(readlink(at(".ctl-files"), text, sizeof(text)), -1);
    assert_int_equal(errno, EINVAL);
    for (size_t i = 0; i < 2; i++) {
        const char *name = i == 0 ? ".ctl" : ".ctl-files";

        assert_int_equal(mkdir(at(name), 0755), -1);
        assert_int_equal(errno, EEXIST);
        assert_int_equal(unlink(at(name)), -1);
        assert_true(errno == EPERM || errno == EISDIR);
        assert_int_equal(rename(at(name), at("elsewhere")), -1);
        assert_int_equal(errno, EPERM);
    }
}

/* ---- waits ---- */

static pid_t start(void (*fn)(int i), int i)
{
    pid_t pid = fork();

    if (pid == 0) {
        /* With a copy of the session's descriptor the kernel would not notice our end. */
        closefrom(3);
        (void)!chdir("/");
        fn(i);
        _exit(7); /* it was to wait */
    }
    assert_true(pid > 0);
    return pid;
}

static void ask(int i)
{
    int fd = open(at(".ctl/run"), O_RDWR);
    char c;

    (void)i;
    if (fd < 0 || write(fd, "x\n", 2) != 2 || read(fd, &c, 1) < 0)
        _exit(errno);
}

static void read_file(int i)
{
    char name[20], c;
    int fd;

    snprintf(name, sizeof(name), "file%d", i);
    fd = open(at(name), O_RDONLY);
    if (fd < 0 || read(fd, &c, 1) < 0)
        _exit(errno);
}

/* The state of each in /proc says when all wait: their calls cannot be seen otherwise. */
static void wait_until_blocked(const pid_t *pids, int count)
{
    const int64_t until_ns = clock_mono_ns() + 10 * SOON_NS;

    (void)cancel_sleep(300 * NS_PER_MS);
    for (int i = 0; i < count; i++) {
        char path[64], stat_line[400] = "";
        int fd;

        snprintf(path, sizeof(path), "/proc/%d/wchan", (int)pids[i]);
        do {
            fd = open(path, O_RDONLY);
            assert_true(fd >= 0);
            memset(stat_line, 0, sizeof(stat_line));
            (void)!read(fd, stat_line, sizeof(stat_line) - 1);
            close(fd);
            if (strstr(stat_line, "fuse") || strstr(stat_line, "request_wait") ||
                strcmp(stat_line, "0") == 0 || !*stat_line)
                break;
            (void)cancel_sleep(10 * NS_PER_MS);
        } while (clock_mono_ns() < until_ns);
    }
}

static void reap(pid_t pid, int sig, int64_t until_ns)
{
    int status;
    pid_t got;

    while ((got = waitpid(pid, &status, WNOHANG)) == 0 && clock_mono_ns() < until_ns)
        (void)cancel_sleep(NS_PER_MS);
    if (got == 0) {
        kill(pid, SIGKILL);
        fail_msg("process %d cannot be ended", (int)pid);
    }
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), sig);
}

TEST(a_hundred_who_wait_do_not_keep_others_from_looking)
{
    char name[20], text[20000];
    pid_t pids[BLOCKED];
    int64_t start_ns;
    struct stat st;

    for (int i = 0; i < BLOCKED / 2; i++) {
        snprintf(name, sizeof(name), "/file%d", i);
        put_there(name, "content");
    }
    (void)cancel_sleep(1200 * NS_PER_MS); /* the root is listed anew */
    atomic_store(&rig.remote->fetch_ms, LONG_MS);
    atomic_store(&rig.remote->exec_ms, LONG_MS);
    for (int i = 0; i < BLOCKED; i++)
        pids[i] = start(i < BLOCKED / 2 ? read_file : ask, i);
    wait_until_blocked(pids, BLOCKED);

    start_ns = clock_mono_ns();
    assert_int_equal(stat(at("file1"), &st), 0); /* which somebody is opening */
    assert_true(listed("", "file1"));
    assert_int_equal(mkdir(at("d"), 0755), 0);
    assert_true(get(".ctl/status", text, sizeof(text)) > 0);
    assert_true(clock_mono_ns() - start_ns < SOON_NS);

    for (int i = 0; i < BLOCKED; i++)
        assert_int_equal(waitpid(pids[i], NULL, WNOHANG), 0); /* each still waits */
    start_ns = clock_mono_ns();
    for (int i = 0; i < BLOCKED; i++)
        kill(pids[i], SIGKILL);
    for (int i = 0; i < BLOCKED; i++)
        reap(pids[i], SIGKILL, start_ns + SOON_NS);
}

TEST(ctrl_c_ends_a_wait)
{
    static void (*const waits[])(int i) = {ask, read_file};

    put_there("/file1", "content");
    atomic_store(&rig.remote->fetch_ms, LONG_MS);
    atomic_store(&rig.remote->exec_ms, LONG_MS);
    for (size_t i = 0; i < ARRAY_LEN(waits); i++) {
        const pid_t pid = start(waits[i], 1);

        wait_until_blocked(&pid, 1);
        kill(pid, SIGINT);
        reap(pid, SIGINT, clock_mono_ns() + SOON_NS);
    }
}

static void on_alarm(int sig)
{
    (void)sig;
}

/* As git does to show progress. */
static void read_with_timer(int i)
{
    const struct sigaction action = {.sa_handler = on_alarm};
    char name[20], text[10];
    int fd;

    sigaction(SIGALRM, &action, NULL);
    ualarm(20000, 20000);
    snprintf(name, sizeof(name), "file%d", i);
    fd = open(at(name), O_RDONLY);
    if (fd < 0)
        _exit(errno);
    _exit(read(fd, text, sizeof(text)) == 7 ? 0 : 1);
}

TEST(a_timer_does_not_break_a_read_and_a_later_kill_does)
{
    int status;
    pid_t pid;

    put_there("/file1", "content");
    atomic_store(&rig.remote->fetch_ms, 700);
    pid = start(read_with_timer, 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);

    put_there("/file2", "content");
    (void)cancel_sleep(1200 * NS_PER_MS); /* the root is listed anew */
    atomic_store(&rig.remote->fetch_ms, LONG_MS);
    pid = start(read_with_timer, 2);
    wait_until_blocked(&pid, 1);
    kill(pid, SIGKILL);
    reap(pid, SIGKILL, clock_mono_ns() + SOON_NS);
}

/* tear_down ends the mount under them. */
static pid_t left[2];

TEST(a_mount_ends_while_callers_wait_in_it)
{
    put_there("/file1", "content");
    atomic_store(&rig.remote->fetch_ms, LONG_MS);
    atomic_store(&rig.remote->exec_ms, LONG_MS);
    left[0] = start(ask, 0);
    left[1] = start(read_file, 1);
    wait_until_blocked(left, 2);
}

static int tear_down_and_count(void **state)
{
    const int64_t start_ns = clock_mono_ns();
    int status;

    tear_down(state);
    assert_true(clock_mono_ns() - start_ns < 2 * SOON_NS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(waitpid(left[i], &status, 0), left[i]);
        assert_true(WIFEXITED(status));
        assert_int_not_equal(WEXITSTATUS(status), 0); /* an errno, not success */
    }
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_file_is_made_read_changed_renamed_and_removed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(an_open_file_outlives_its_name, set_up, tear_down),
        cmocka_unit_test_setup_teardown(names_are_bytes_and_have_an_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_large_directory_is_listed_whole, set_up, tear_down),
        cmocka_unit_test_setup_teardown(control_files_are_found_by_name_and_cannot_be_moved, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_question_is_asked_and_answered_through_the_kernel, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_a_command_changed_is_seen_when_it_has_answered,
                                        set_up_patient, tear_down),
        cmocka_unit_test_setup_teardown(listed_control_files_are_behind_a_link, set_up_patient,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_hundred_who_wait_do_not_keep_others_from_looking, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(ctrl_c_ends_a_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_timer_does_not_break_a_read_and_a_later_kill_does, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_mount_ends_while_callers_wait_in_it, set_up,
                                        tear_down_and_count),
    };

    if (access("/dev/fuse", R_OK | W_OK) != 0) {
        fprintf(stderr, "skipped: /dev/fuse is missing or closed to this user\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
