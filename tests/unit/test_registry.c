#include "unit.h"

#include "mount/place.h"
#include "mount/registry.h"
#include "util/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char base[] = "/tmp/test_registry.XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(base) && setenv("XDG_RUNTIME_DIR", base, 1) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    char line[100];

    (void)state;
    snprintf(line, sizeof(line), "rm -rf %s", base);
    return system(line);
}

static struct registry_entry entry(const char *dir, const char *name, const char *path)
{
    return (struct registry_entry){.dir = (char *)dir,
                                   .sandbox_id = (char *)"0123-id",
                                   .sandbox_name = (char *)name,
                                   .path = (char *)path,
                                   .api_url = (char *)"http://127.0.0.1:1/api",
                                   .ctl_name = (char *)".ctl",
                                   .pid = getpid(),
                                   .since_ns = 42};
}

TEST(what_is_added_is_listed_until_it_is_removed)
{
    const struct registry_entry b = entry("/m/b\nwith % and \xff", "box", "/home"),
                                a = entry("/m/a", "box", "/home/daytona/x");
    struct registry *rb, *ra;
    struct registry_entry *list;
    size_t count;

    assert_int_equal(registry_list(&list, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(registry_add(&b, &rb), 0);
    assert_int_equal(registry_add(&a, &ra), 0);
    assert_int_equal(registry_list(&list, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].dir, a.dir);
    assert_string_equal(list[1].dir, b.dir);
    assert_string_equal(list[1].path, "/home");
    assert_int_equal(list[1].pid, getpid());
    assert_int_equal(list[1].since_ns, 42);
    registry_list_free(list, count);
    assert_null(registry_remove(ra));
    assert_null(registry_remove(rb));
    assert_int_equal(registry_list(&list, &count), 0);
    assert_int_equal(count, 0);
    registry_list_free(list, count);
}

TEST(a_mount_is_found_by_place_and_by_sandbox)
{
    const struct registry_entry outer = entry("/tmp", "box", "/home/daytona"),
                                inner = entry(base, "other", "/");
    struct registry *ro, *ri;
    struct registry_entry e;
    char path[100], *rest;

    assert_int_equal(registry_add(&outer, &ro), 0);
    assert_int_equal(registry_add(&inner, &ri), 0);
    snprintf(path, sizeof(path), "%s/no/such//file", base);
    mkdir(path, 0700);
    assert_int_equal(registry_find_path("/tmp", &e, &rest), 0);
    assert_string_equal(e.sandbox_name, "box");
    assert_string_equal(rest, "");
    free(rest);
    registry_entry_done(&e);

    snprintf(path, sizeof(path), "%s/./file", base);
    assert_int_equal(registry_find_path(path, &e, &rest), 0);
    assert_string_equal(e.sandbox_name, "other");
    assert_string_equal(rest, "file");
    free(rest);
    registry_entry_done(&e);
    assert_int_equal(registry_find_path("/usr", &e, NULL), -ENOENT);

    registry_remove(ro);
    registry_remove(ri);
}

TEST(what_a_killed_process_left_is_swept)
{
    const struct registry_entry a = entry("/m/dead", "box", "/");
    struct registry_entry *list;
    size_t count;
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        struct registry *r;

        _exit(registry_add(&a, &r) == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
    assert_int_equal(registry_list(&list, &count), 0);
    assert_int_equal(count, 0);
    registry_list_free(list, count);
}

TEST(damaged_files_and_open_directories_are_not_believed)
{
    const struct registry_entry a = entry("/m/a", "box", "/");
    struct registry_entry *list;
    struct registry *r;
    char path[200];
    size_t count;
    int fd;

    snprintf(path, sizeof(path), "%s/daytonafs/7-7.mount", base);
    fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "pid x\ndir relative\n\xff", 20), 20);
    close(fd);
    assert_int_equal(registry_list(&list, &count), 0);
    assert_int_equal(count, 0);
    registry_list_free(list, count);

    snprintf(path, sizeof(path), "%s/daytonafs", base);
    assert_int_equal(chmod(path, 0777), 0);
    assert_int_equal(registry_add(&a, &r), -EACCES);
    assert_int_equal(chmod(path, 0700), 0);
}

TEST(a_place_to_mount_is_checked)
{
    char path[200], file[200], *ret = NULL;
    struct buf why = BUF_INIT(4096);
    char *type = NULL;
    int fd;

    snprintf(path, sizeof(path), "%s/missing", base);
    assert_int_equal(place_check(path, &ret, &why), -ENOENT);
    assert_non_null(strstr(buf_str(&why), "mkdir"));
    buf_truncate(&why, 0);

    snprintf(file, sizeof(file), "%s/file", base);
    fd = open(file, O_WRONLY | O_CREAT, 0600);
    close(fd);
    assert_int_equal(place_check(file, &ret, &why), -ENOTDIR);
    buf_truncate(&why, 0);

    assert_int_equal(place_check("/proc", &ret, &why), -EBUSY);
    assert_non_null(strstr(buf_str(&why), "(proc)"));
    buf_truncate(&why, 0);

    assert_int_equal(place_check(base, &ret, &why), 0);
    assert_non_null(strstr(buf_str(&why), "not empty"));
    free(ret);
    buf_truncate(&why, 0);

    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(place_check(path, &ret, &why), 0);
    assert_string_equal(buf_str(&why), "");
    free(ret);
    buf_done(&why);

    assert_int_equal(place_type("/proc", &type), 0);
    assert_string_equal(type, "proc");
    free(type);
    assert_int_equal(place_type(path, &type), -ENOENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_is_listed_until_it_is_removed),
        cmocka_unit_test(a_mount_is_found_by_place_and_by_sandbox),
        cmocka_unit_test(what_a_killed_process_left_is_swept),
        cmocka_unit_test(damaged_files_and_open_directories_are_not_believed),
        cmocka_unit_test(a_place_to_mount_is_checked),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
