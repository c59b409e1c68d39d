#include "unit.h"

#include "journal/export.h"
#include "journal_rig.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t change(struct journal *j, struct journal_record rec)
{
    uint64_t seq = 0;

    assert_int_equal(journal_append(j, &rec, &seq), 0);
    return seq;
}

static char *slurp(const char *dir, const char *file)
{
    char path[256], *text = calloc(1, 65536);
    int fd;

    snprintf(path, sizeof(path), "%s/%s", dir, file);
    fd = open(path, O_RDONLY | O_NOFOLLOW);
    assert_true(fd >= 0);
    assert_true(read(fd, text, 65535) >= 0);
    close(fd);
    return text;
}

static void expect_file(const char *dir, const char *file, const char *want)
{
    char *text = slurp(dir, file);

    assert_string_equal(text, want);
    free(text);
}

static void export_makes_what_is_not_in_the_sandbox(void **state)
{
    const struct journal_key *key = &rig_key;
    struct journal_exported told;
    struct journal_rig rig;
    struct journal *j = NULL;
    char dir[128], *name = journal_name(key), *list;
    static char big[10000];
    struct stat st;
    uint64_t done;

    memset(big, 'b', sizeof(big));
    rig_make(&rig);
    snprintf(dir, sizeof(dir), "%s/out", rig.base);
    assert_int_equal(journal_open(&rig.options, key, &j, NULL), 0);
    done = change(j, (struct journal_record){.kind = JOURNAL_MKDIR, .path = "/w/sent"});
    change(j, (struct journal_record){.kind = JOURNAL_MKDIR, .path = "/w/dir"});
    change(j, (struct journal_record){.kind = JOURNAL_CREATE, .path = "/w/dir/new"});
    change(j, (struct journal_record){
                  .kind = JOURNAL_PATCH, .path = "/w/dir/new", .data = "hello", .data_len = 5});
    change(j, (struct journal_record){
                  .kind = JOURNAL_APPEND, .path = "/w/dir/new", .data = " you", .data_len = 4});
    change(j, (struct journal_record){.kind = JOURNAL_PATCH,
                                      .path = "/w/big",
                                      .off = 3,
                                      .data = big,
                                      .data_len = sizeof(big)});
    change(j, (struct journal_record){.kind = JOURNAL_TRUNCATE, .path = "/w/big", .size = 5000});
    change(j, (struct journal_record){.kind = JOURNAL_SYMLINK, .path = "/w/ln", .path2 = "/etc"});
    /* Through the link: it must not be followed. */
    change(j, (struct journal_record){.kind = JOURNAL_CREATE, .path = "/w/ln/evil"});
    change(j, (struct journal_record){
                  .kind = JOURNAL_RENAME, .path = "/w/dir/new", .path2 = "/w/dir/a\nb"});
    change(j, (struct journal_record){.kind = JOURNAL_UNLINK, .path = "/w/was there"});
    assert_int_equal(
        journal_settle(j, &(struct journal_result){.seq = done, .settled = JOURNAL_DONE}, 1), 0);
    journal_free(j);

    assert_int_equal(journal_survey(rig.base, name, &told), 0);
    assert_int_equal(told.changes, 10);
    assert_int_equal(told.bytes, 9 + sizeof(big));
    assert_int_equal(journal_export(rig.base, name, dir, &told), 0);
    assert_int_equal(told.changes, 10);
    assert_int_equal(told.failed, 1);
    assert_int_equal(told.bad, 0);
    expect_file(dir, "files/w/dir/a\nb", "hello you");
    list = slurp(dir, "files/w/big");
    assert_memory_equal(list, "\0\0\0bbb", 6);
    free(list);
    snprintf(dir, sizeof(dir), "%s/out/files/w/big", rig.base);
    assert_int_equal(stat(dir, &st), 0);
    assert_int_equal(st.st_size, 5000);
    snprintf(dir, sizeof(dir), "%s/out/files/w/sent", rig.base);
    assert_int_equal(lstat(dir, &st), -1);
    assert_int_equal(access("/etc/evil", F_OK), -1);
    snprintf(dir, sizeof(dir), "%s/out", rig.base);
    list = slurp(dir, "CHANGES");
    assert_non_null(strstr(list, "rename /w/dir/new -> /w/dir/a\\x0ab\n"));
    assert_non_null(strstr(list, "create /w/ln/evil (not made here: "));
    assert_non_null(strstr(list, "unlink /w/was there\n"));
    free(list);

    assert_int_equal(journal_export(rig.base, name, dir, &told), -EEXIST);
    assert_int_equal(journal_export(rig.base, "nothing", dir, &told), -EINVAL);
    free(name);
    rig_remove(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_makes_what_is_not_in_the_sandbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
