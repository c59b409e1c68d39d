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

static void modes_are_kept_and_never_in_the_way(void **state)
{
    const struct journal_attr none = {.mask = JOURNAL_ATTR_MODE, .mode = 0};
    const struct journal_attr script = {.mask = JOURNAL_ATTR_MODE, .mode = 0755};
    const struct journal_attr shut = {.mask = JOURNAL_ATTR_MODE, .mode = 0555};
    static const struct {
        const char *path;
        mode_t mode;
    } want[] = {{"dir", 0755}, {"dir/script", 0755}, {"dir/none", 0600}};
    char *name = journal_name(&rig_key), path[128];
    struct journal_exported told;
    struct journal_rig rig;
    struct journal *j = NULL;

    rig_make(&rig);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), 0);
    change(j, (struct journal_record){.kind = JOURNAL_MKDIR, .path = "/dir", .attr = shut});
    change(j,
           (struct journal_record){.kind = JOURNAL_CREATE, .path = "/dir/script", .attr = script});
    change(j, (struct journal_record){.kind = JOURNAL_CREATE, .path = "/dir/none", .attr = none});
    change(j, (struct journal_record){.kind = JOURNAL_SETATTR, .path = "/dir/none", .attr = none});
    change(j, (struct journal_record){
                  .kind = JOURNAL_PATCH, .path = "/dir/none", .data = "text", .data_len = 4});
    journal_free(j);

    snprintf(path, sizeof(path), "%s/out", rig.base);
    assert_int_equal(journal_export(rig.base, name, path, &told), 0);
    assert_int_equal(told.failed, 0);
    expect_file(path, "files/dir/none", "text");
    for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
        struct stat st;

        snprintf(path, sizeof(path), "%s/out/files/%s", rig.base, want[i].path);
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, want[i].mode);
    }
    free(name);
    rig_remove(&rig);
}

static void a_damaged_part_costs_only_itself(void **state)
{
    enum { PARTS = 3, LEN = PARTS * JOURNAL_EXTENT_MAX };
    char *name = journal_name(&rig_key), *seg, *data = malloc(LEN), dir[128], *list;
    struct journal_exported told;
    struct journal_rig rig;
    struct journal *j = NULL;
    int fd;

    for (int i = 0; i < PARTS; i++)
        memset(data + i * JOURNAL_EXTENT_MAX, 'a' + i, JOURNAL_EXTENT_MAX);
    rig_make(&rig);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), 0);
    change(j, (struct journal_record){
                  .kind = JOURNAL_PUT, .path = "/f", .data = data, .data_len = LEN, .size = LEN});
    journal_free(j);
    seg = rig_path(&rig, "0000000000000001.seg");
    fd = open(seg, O_WRONLY);
    assert_int_equal(pwrite(fd, "?", 1, JOURNAL_SEGMENT_HEADER + JOURNAL_EXTENT_MAX + 7), 1);
    close(fd);

    snprintf(dir, sizeof(dir), "%s/out", rig.base);
    assert_int_equal(journal_export(rig.base, name, dir, &told), 0);
    assert_int_equal(told.failed, 1);
    list = slurp(dir, "CHANGES");
    assert_string_equal(list, "put /f (damaged: in part)\n");
    free(list);
    snprintf(dir, sizeof(dir), "%s/out/files/f", rig.base);
    fd = open(dir, O_RDONLY);
    for (int i = 0; i < PARTS; i++) {
        char got = '?';

        assert_int_equal(pread(fd, &got, 1, (off_t)i * JOURNAL_EXTENT_MAX + 9), 1);
        assert_int_equal(got, i == 1 ? 0 : 'a' + i);
    }
    assert_int_equal(lseek(fd, 0, SEEK_END), LEN);
    close(fd);
    free(data);
    free(seg);
    free(name);
    rig_remove(&rig);
}

static void the_list_may_be_longer_than_memory_is_taken_for(void **state)
{
    enum { CHANGES = 1100, LONG = 60000 }; /* 66 MB */
    char *name = journal_name(&rig_key), *target = malloc(LONG + 1), dir[128];
    struct journal_exported told;
    struct journal_rig rig;
    struct journal *j = NULL;
    struct stat st;

    memset(target, 't', LONG);
    target[LONG] = '\0';
    rig_make(&rig);
    assert_int_equal(journal_open(&rig.options, &rig_key, &j, NULL), 0);
    for (int i = 0; i < CHANGES; i++)
        change(j, (struct journal_record){.kind = JOURNAL_SYMLINK, .path = "/l", .path2 = target});
    journal_free(j);
    snprintf(dir, sizeof(dir), "%s/out", rig.base);
    assert_int_equal(journal_export(rig.base, name, dir, &told), 0);
    assert_int_equal(told.changes, CHANGES);
    assert_int_equal(told.failed, CHANGES); /* no link may be so long */
    assert_int_equal(told.bytes, 0);
    snprintf(dir, sizeof(dir), "%s/out/CHANGES", rig.base);
    assert_int_equal(stat(dir, &st), 0);
    assert_true(st.st_size > (off_t)CHANGES * LONG);
    free(target);
    free(name);
    rig_remove(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(export_makes_what_is_not_in_the_sandbox),
        cmocka_unit_test(modes_are_kept_and_never_in_the_way),
        cmocka_unit_test(a_damaged_part_costs_only_itself),
        cmocka_unit_test(the_list_may_be_longer_than_memory_is_taken_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
