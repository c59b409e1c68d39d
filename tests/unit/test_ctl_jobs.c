/* /.ctl/jobs over the real file system and an in-memory sandbox. */
#include "reply.h"
#include "unit.h"

#include "ctl/ctl.h"
#include "remote/backends.h"
#include "remote/job.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_SIZE = 100000 };

struct rig {
    char dir[64];
    struct remote *mem, *remote;
    struct remote_fault *fault;
    struct cache *cache;
    struct fs *fs;
    struct ctl *ctl;
};

static struct rig g;

static void mount_up(void)
{
    static const struct fs_config fs_config = {.root = "/home",
                                               .mount_dir = "/mnt/box",
                                               .force_uid = -1,
                                               .force_gid = -1,
                                               .coherence_ns = 3600 * NS_PER_S};
    static const struct ctl_config ctl_config = {.name = ".ctl"};

    assert_int_equal(fs_new(&fs_config, g.remote, g.cache, &g.fs), 0);
    assert_int_equal(ctl_new(&ctl_config, g.fs, &g.ctl), 0);
}

static void mount_down(void)
{
    ctl_free(g.ctl);
    fs_free(g.fs);
}

static int up(void **state)
{
    strcpy(g.dir, "/tmp/test-jobs-XXXXXX");
    assert_non_null(mkdtemp(g.dir));
    g.mem = remote_mem_new(0, 0);
    assert_int_equal(remote_mkdir(g.mem, "/home", 0755, NULL), 0);
    g.remote = remote_fault_new(g.mem, &g.fault);
    assert_int_equal(cache_new(g.dir, 64 << 20, &g.cache), 0);
    mount_up();
    return 0;
}

static int down(void **state)
{
    mount_down();
    cache_free(g.cache);
    remote_free(g.remote);
    return rmdir(g.dir);
}

/* ---- files by path ---- */

static int find(const char *path, struct stat *ret)
{
    char *copy = strdup(path), *save, *part;
    uint64_t dir = CTL_ROOT;
    int r = 0;

    for (part = strtok_r(copy, "/", &save); part && r == 0; part = strtok_r(NULL, "/", &save)) {
        r = ctl_lookup(g.ctl, dir, part, ret);
        dir = r == 0 ? ret->st_ino : dir;
    }
    free(copy);
    return r;
}

static int make_dir(const char *name)
{
    struct stat dir, st;

    assert_int_equal(find("jobs", &dir), 0);
    return ctl_mkdir(g.ctl, dir.st_ino, name, 42, &st);
}

static int remove_dir(const char *name)
{
    struct stat dir;

    assert_int_equal(find("jobs", &dir), 0);
    return ctl_rmdir(g.ctl, dir.st_ino, name, 42);
}

static struct ctl_handle *open_file(const char *path, int flags)
{
    struct ctl_handle *h;
    struct stat st;

    assert_int_equal(find(path, &st), 0);
    assert_int_equal(ctl_open(g.ctl, st.st_ino, flags, 42, &h), 0);
    return h;
}

/* echo TEXT >PATH: what write or close gives. */
static int echo_n(const char *path, const void *text, size_t n)
{
    struct ctl_handle *h = open_file(path, O_WRONLY | O_TRUNC);
    struct reply reply;
    ssize_t r;
    int closed;

    reply_init(&reply);
    ctl_write(h, 0, text, n, reply_got, &reply);
    r = reply_await(&reply);
    closed = ctl_flush(h);
    ctl_release(h);
    return r < 0 ? (int)r : closed;
}

static int echo(const char *path, const char *text)
{
    return echo_n(path, text, strlen(text));
}

/* Reads to the end. */
static ssize_t cat_from(struct ctl_handle *h, char *text)
{
    ssize_t total = 0, r;

    do {
        struct reply reply;

        reply_init(&reply);
        ctl_read(h, (uint64_t)total, READ_SIZE - 1 - (size_t)total, reply_got, &reply);
        r = reply_await(&reply);
        if (r > 0)
            memcpy(text + total, reply.data, (size_t)r);
        total += r > 0 ? r : 0;
    } while (r > 0);
    text[total] = '\0';
    return r < 0 ? r : total;
}

static char text[READ_SIZE];

static const char *cat(const char *path)
{
    struct ctl_handle *h = open_file(path, O_RDONLY);

    assert_true(cat_from(h, text) >= 0);
    ctl_release(h);
    return text;
}

static size_t size_of(const char *path)
{
    struct stat st;

    assert_int_equal(find(path, &st), 0);
    assert_int_equal(ctl_getattr(g.ctl, st.st_ino, &st), 0);
    return (size_t)st.st_size;
}

static void names(char *ret)
{
    struct ctl_list *list;
    const char *name;
    struct stat st;

    assert_int_equal(find("jobs", &st), 0);
    assert_int_equal(ctl_opendir(g.ctl, st.st_ino, &list), 0);
    assert_int_equal(ctl_list(list), 0);
    *ret = '\0';
    for (size_t i = 0; ctl_entry(list, i, &name, &st) == 0; i++)
        sprintf(ret + strlen(ret), "%s ", name);
    ctl_closedir(list);
}

/* A job that runs until the test ends it; its id. */
static uint64_t begin(const char *name)
{
    char path[100];

    assert_int_equal(make_dir(name), 0);
    snprintf(path, sizeof(path), "jobs/%s/cmd", name);
    assert_int_equal(echo(path, "work hard\n"), 0);
    snprintf(path, sizeof(path), "jobs/%s/status", name);
    return strtoull(strstr(cat(path), "id ") + 3, NULL, 10);
}

/* ---- tests ---- */

TEST(a_job_is_made_started_and_read)
{
    struct remote_job *list;
    size_t count;
    uint64_t id;

    assert_int_equal(make_dir("build"), 0);
    assert_int_equal(make_dir("build"), -EEXIST);
    assert_string_equal(cat("jobs/build/status"), "state new\n");
    assert_string_equal(cat("jobs/build/stdout"), "");
    assert_int_equal(echo("jobs/build/cwd", "sub dir\n"), 0);
    assert_int_equal(echo("jobs/build/env", "A=1\nB=2 3\n"), 0);
    assert_int_equal(echo("jobs/build/env", "oops\n"), -EINVAL);
    assert_int_equal(echo("jobs/build/cmd", "\n"), -EINVAL);
    assert_int_equal(echo("jobs/build/cmd", "make all\n"), 0);
    assert_int_equal(echo("jobs/build/cmd", "again\n"), -EBUSY);
    assert_int_equal(echo("jobs/build/cwd", "elsewhere\n"), -EBUSY);
    assert_int_equal(remote_job_list(g.mem, &list, &count), 0);
    assert_int_equal(count, 1);
    id = list[0].id;
    assert_string_equal(list[0].name, "build");
    assert_string_equal(list[0].line, "make all");
    assert_string_equal(list[0].cwd, "/home/sub dir");
    remote_job_list_free(list, count);

    remote_mem_job_print(g.mem, id, false, "one", 3);
    usleep(350000); /* sizes are remembered for a moment */
    assert_int_equal(size_of("jobs/build/stdout"), 3);
    assert_string_equal(cat("jobs/build/stdout"), "one");
    remote_mem_job_print(g.mem, id, false, "two", 3);
    remote_mem_job_print(g.mem, id, true, "bad", 3);
    assert_string_equal(cat("jobs/build/stdout"), "onetwo");
    assert_string_equal(cat("jobs/build/stderr"), "bad");
    assert_non_null(strstr(cat("jobs/build/status"), "state running\n"));
    assert_string_equal(cat("jobs/build/output"), "onetwobad");
    remote_mem_job_end(g.mem, id, 7);
    assert_string_equal(cat("jobs/build/wait"), "7\n");
    assert_string_equal(cat("jobs/build/follow"), "onetwobad");
    assert_string_equal(cat("jobs/build/follow.stderr"), "bad");
    assert_non_null(strstr(cat("jobs/build/status"), "state ended\n"));
    assert_non_null(strstr(cat("jobs/build/status"), "\nexit 7\n"));
    assert_string_equal(cat("jobs/build/cmd"), "make all\n");
    assert_int_equal(remove_dir("build"), 0);
    assert_int_equal(remove_dir("build"), -ENOENT);
    assert_int_equal(remote_job_list(g.mem, &list, &count), 0);
    assert_int_equal(count, 0);
    remote_job_list_free(list, count);
}

TEST(jobs_are_found_again_by_another_mount)
{
    uint64_t id = begin("long");
    char all[1000], path[64];

    assert_int_equal(make_dir("never started"), 0);
    remote_mem_job_print(g.mem, id, false, "before ", 7);
    mount_down();
    remote_mem_job_print(g.mem, id, false, "between ", 8);
    mount_up();
    names(all);
    assert_string_equal(all, "clone long ");
    assert_string_equal(cat("jobs/long/cmd"), "work hard\n");
    remote_mem_job_end(g.mem, id, 0);
    assert_string_equal(cat("jobs/long/follow"), "before between ");
    snprintf(path, sizeof(path), "jobs/%llu/wait", (unsigned long long)id); /* by number, too */
    assert_string_equal(cat(path), "0\n");
    assert_int_equal(remove_dir("long"), 0);
}

TEST(a_running_job_is_not_removed_nor_are_its_files)
{
    struct stat dir;

    (void)begin("b");
    assert_int_equal(remove_dir("b"), -EBUSY);
    assert_int_equal(find("jobs/b", &dir), 0);
    assert_int_equal(ctl_unlink(g.ctl, dir.st_ino, "stdout", 42), 0);
    assert_string_equal(cat("jobs/b/stdout"), "");
    assert_int_equal(echo("jobs/b/ctl", "kill NOSUCH\n"), -EINVAL);
    assert_int_equal(echo("jobs/b/ctl", "kill SIGUSR1\n"), 0);
    assert_string_equal(cat("jobs/b/wait"), "138\n");
    assert_int_equal(echo("jobs/b/ctl", "kill\n"), -ESRCH);
    assert_int_equal(remove_dir("b"), 0);
}

TEST(stdin_is_given_before_and_after_the_start)
{
    assert_int_equal(make_dir("c"), 0);
    assert_int_equal(echo_n("jobs/c/stdin", "a\0b", 3), 0);
    assert_int_equal(echo("jobs/c/ctl", "stdin\n"), 0);
    assert_int_equal(echo("jobs/c/cmd", "cat"), 0);
    assert_int_equal(echo_n("jobs/c/stdin", "c\0\n", 3), 0);
    assert_int_equal(echo("jobs/c/ctl", "eof\n"), 0);
    (void)cat("jobs/c/follow");
    assert_memory_equal(text, "a\0bc\0\n", 7);
    assert_int_equal(echo("jobs/c/stdin", "late"), -EPIPE);
    assert_int_equal(make_dir("d"), 0);
    assert_int_equal(echo("jobs/d/stdin", "all"), 0);
    assert_int_equal(echo("jobs/d/cmd", "cat"), 0);
    assert_string_equal(cat("jobs/d/wait"), "0\n"); /* it ended there */
    assert_string_equal(cat("jobs/d/stdout"), "all");
}

TEST(a_start_whose_answer_is_lost_starts_one_job)
{
    struct remote_job *list;
    size_t count;

    assert_int_equal(make_dir("once"), 0);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_AFTER, ECONNRESET);
    assert_int_equal(echo("jobs/once/cmd", "work"), 0);
    assert_int_equal(remote_job_list(g.mem, &list, &count), 0);
    assert_int_equal(count, 1);
    remote_job_list_free(list, count);
}

TEST(a_start_that_failed_can_be_tried_again)
{
    assert_int_equal(make_dir("twice"), 0);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_AFTER, EACCES);
    assert_int_equal(echo("jobs/twice/cmd", "work"), -EACCES);
    assert_string_equal(cat("jobs/twice/status"), "state new\n");
    assert_int_equal(echo("jobs/twice/cmd", "work"), 0);
}

TEST(reading_goes_on_after_an_outage)
{
    const uint64_t id = begin("r");

    remote_mem_job_print(g.mem, id, false, "bytes", 5);
    remote_mem_job_end(g.mem, id, 0);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_AFTER, ECONNRESET);
    assert_string_equal(cat("jobs/r/follow"), "bytes");
}

TEST(nothing_starts_when_what_is_pending_cannot_be_sent)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    struct fs_file *f;

    assert_int_equal(make_dir("barrier"), 0);
    assert_int_equal(fs_create(g.fs, FS_ROOT, "unsent", 0644, O_WRONLY, &e, &f, &hints), 0);
    assert_int_equal(fs_write(f, 0, "data", 4), 4);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, ENOSPC);
    assert_int_equal(echo("jobs/barrier/cmd", "work"), -ENOSPC);
    assert_string_equal(cat("jobs/barrier/status"), "state new\n");
    assert_int_equal(echo("jobs/barrier/cmd", "work"), 0);
    assert_int_equal(fs_flush(f), 0);
    fs_release(f);
}

TEST(what_a_job_changed_is_seen_after_its_end)
{
    const uint64_t id = begin("touch");
    struct fs_entry e;

    assert_int_equal(fs_lookup(g.fs, FS_ROOT, "made", &e), 0);
    assert_int_equal(e.ino, 0);
    assert_int_equal(remote_create(g.mem, "/home/made", 0644, NULL), 0);
    remote_mem_job_end(g.mem, id, 0);
    assert_string_equal(cat("jobs/touch/wait"), "0\n");
    assert_int_equal(fs_lookup(g.fs, FS_ROOT, "made", &e), 0);
    assert_int_not_equal(e.ino, 0);
    fs_forget(g.fs, e.ino, 1);
}

TEST(clone_makes_a_job_with_a_name_of_its_own)
{
    struct ctl_handle *h = open_file("jobs/clone", O_RDWR);
    char name[READ_SIZE], path[64];
    struct reply reply;

    assert_true(cat_from(h, name) > 0);
    name[strcspn(name, "\n")] = '\0';
    reply_init(&reply);
    ctl_write(h, 0, "stdin\n", 6, reply_got, &reply);
    assert_int_equal(reply_await(&reply), 6);
    snprintf(path, sizeof(path), "jobs/%.40s/cmd", name);
    assert_int_equal(echo(path, "cat"), 0);
    snprintf(path, sizeof(path), "jobs/%.40s/status", name);
    assert_non_null(strstr(cat(path), "state running\n"));
    reply_init(&reply);
    ctl_write(h, 0, "eof\n", 4, reply_got, &reply);
    assert_int_equal(reply_await(&reply), 4);
    ctl_release(h);
    assert_int_equal(remove_dir(name), 0);
}

TEST(names_that_are_none_are_refused)
{
    assert_int_equal(make_dir("12"), -EINVAL);
    assert_int_equal(make_dir(".hidden"), -EINVAL);
    assert_int_equal(make_dir("a\nb"), -EINVAL);
    assert_int_equal(make_dir("clone"), -EEXIST);
}

TEST(who_waits_can_be_interrupted)
{
    struct ctl_handle *h;
    struct reply reply;

    (void)begin("endless");
    h = open_file("jobs/endless/wait", O_RDONLY);
    reply_init(&reply);
    ctl_read(h, 0, 100, reply_got, &reply);
    usleep(20000);
    ctl_interrupt(h, &reply);
    assert_int_equal(reply_await(&reply), -EINTR);
    ctl_release(h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define EACH(test) cmocka_unit_test_setup_teardown(test, up, down)
        EACH(a_job_is_made_started_and_read),
        EACH(jobs_are_found_again_by_another_mount),
        EACH(a_running_job_is_not_removed_nor_are_its_files),
        EACH(stdin_is_given_before_and_after_the_start),
        EACH(a_start_whose_answer_is_lost_starts_one_job),
        EACH(a_start_that_failed_can_be_tried_again),
        EACH(reading_goes_on_after_an_outage),
        EACH(nothing_starts_when_what_is_pending_cannot_be_sent),
        EACH(what_a_job_changed_is_seen_after_its_end),
        EACH(clone_makes_a_job_with_a_name_of_its_own),
        EACH(names_that_are_none_are_refused),
        EACH(who_waits_can_be_interrupted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
