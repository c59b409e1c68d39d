#include "unit.h"

#include "journal/journal.h"
#include "mount/exitcode.h"
#include "mount/recover.h"
#include "util/path.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char state_dir[] = "/tmp/daytonafs-recover-XXXXXX";
static char *base;

static int make_state(void **state)
{
    if (!mkdtemp(state_dir) || setenv("XDG_STATE_HOME", state_dir, 1) < 0)
        return -1;
    base = path_join(state_dir, "daytonafs/journals");
    return base ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    return remove(path);
}

static int remove_state(void **state)
{
    free(base);
    return nftw(state_dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static struct journal *leave(const char *slot, const char *path)
{
    const struct journal_options options = {.base = base, .mount_dir = slot};
    const struct journal_key key = {.api_url = "http://a", .sandbox_id = "box", .slot = slot};
    const struct journal_record rec = {
        .kind = JOURNAL_PATCH, .path = path, .data = "text", .data_len = 4};
    struct journal *j = NULL;
    uint64_t seq;

    assert_int_equal(journal_open(&options, &key, &j, NULL), 0);
    assert_int_equal(journal_append(j, &rec, &seq), 0);
    return j;
}

static void a_journal_is_listed_exported_and_thrown_away(void **state)
{
    const struct recover_journal *a, *b;
    struct recover_journal *list = NULL;
    struct buf why = BUF_INIT(4096);
    char *out = path_join(state_dir, "out"), *file = path_join(out, "files/w/f");
    size_t count = 1;
    struct journal *later, *held;
    struct stat st;

    assert_int_equal(recover_list(NULL, &list, &count), 0);
    assert_int_equal(count, 0);
    recover_list_free(list, count);

    journal_free(leave("/mnt/a", "/w/f"));
    held = leave("/mnt/b", "/w/g");
    assert_int_equal(recover_list(NULL, &list, &count), 0);
    assert_int_equal(count, 2);
    a = recover_find(list, count, "/mnt/a", &why);
    b = recover_find(list, count, "/mnt/b", &why);
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a->sandbox_id, "box");
    assert_int_equal(a->changes, 1);
    assert_int_equal(a->bytes, 4);
    assert_int_equal(a->pid, 0);
    assert_int_equal(b->pid, getpid());
    assert_ptr_equal(recover_find(list, count, recover_short_name(b), &why), b);
    assert_int_equal(why.len, 0);
    assert_null(recover_find(list, count, "box", &why));
    assert_non_null(strstr(buf_str(&why), "more than one"));

    assert_int_equal(recover_discard(b, &why), EXITCODE_CONFLICT);
    assert_int_equal(recover_export(b, out, &why), EXITCODE_CONFLICT);
    assert_int_equal(recover_export(a, out, &why), EXITCODE_OK);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_size, 4);
    assert_int_equal(recover_export(a, out, &why), EXITCODE_OTHER);
    later = leave("/mnt/a", "/w/h"); /* a mount took it since it was listed */
    assert_int_equal(recover_discard(a, &why), EXITCODE_CONFLICT);
    journal_free(later);
    assert_int_equal(recover_discard(a, &why), EXITCODE_OK);
    recover_list_free(list, count);
    assert_int_equal(recover_list(NULL, &list, &count), 0);
    assert_int_equal(count, 1);
    recover_list_free(list, count);
    journal_free(held);
    buf_done(&why);
    free(file);
    free(out);
}

static void a_journal_in_a_place_of_its_own_is_found_there(void **state)
{
    struct recover_journal *list = NULL;
    struct buf why = BUF_INIT(4096);
    char *usual = base, *out = path_join(state_dir, "out2");
    size_t count = 1;

    base = path_join(state_dir, "elsewhere");
    journal_free(leave("/mnt/c", "/w/f"));
    assert_int_equal(recover_list(base, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_int_equal(recover_export(&list[0], out, &why), EXITCODE_OK);
    assert_int_equal(recover_discard(&list[0], &why), EXITCODE_OK);
    recover_list_free(list, count);
    assert_int_equal(recover_list(base, &list, &count), 0);
    assert_int_equal(count, 0);
    recover_list_free(list, count);
    free(base);
    base = usual;
    buf_done(&why);
    free(out);
}

static void a_journal_whose_log_vanished_is_listed_as_damaged(void **state)
{
    const struct journal_key key = {.api_url = "http://a", .sandbox_id = "box", .slot = "/mnt/d"};
    static char data[JOURNAL_INLINE_MAX + 1];
    const struct journal_record rec = {
        .kind = JOURNAL_PATCH, .path = "/w/f", .data = data, .data_len = sizeof(data)};
    struct journal *j = leave("/mnt/d", "/w/e");
    char *name = journal_name(&key), *dir = path_join(base, name), *log = path_join(dir, "log");
    struct recover_journal *list = NULL;
    struct buf why = BUF_INIT(4096);
    size_t count = 0;
    uint64_t seq;

    assert_int_equal(journal_append(j, &rec, &seq), 0);
    journal_free(j);
    assert_int_equal(unlink(log), 0);
    assert_int_equal(recover_list(NULL, &list, &count), 0);
    for (size_t i = 0; i < count; i++)
        if (list[i].damaged)
            assert_int_equal(recover_discard(&list[i], &why), EXITCODE_OK);
    recover_list_free(list, count);
    assert_int_equal(access(dir, F_OK), -1);
    buf_done(&why);
    free(log);
    free(dir);
    free(name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_journal_in_a_place_of_its_own_is_found_there),
        cmocka_unit_test(a_journal_whose_log_vanished_is_listed_as_damaged),
        cmocka_unit_test(a_journal_is_listed_exported_and_thrown_away),
    };

    return cmocka_run_group_tests(tests, make_state, remove_state);
}
