/* Git through the daemon: what is asked, and what becomes of the answers. */
#include "unit.h"

#include "sdk_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define G RIG_BOX "/git"

TEST(each_call_sends_what_the_service_expects)
{
    static const struct step steps[] = {
        {.request = "POST " G "/clone", .status = 200},
        {.request = "POST " G "/branches", .status = 201},
        {.request = "DELETE " G "/branches", .status = 204},
        {.request = "POST " G "/checkout", .status = 200},
        {.request = "POST " G "/add", .status = 200},
        {.request = "POST " G "/commit", .status = 200, .body = "{\"hash\":\"abc\"}"},
        {.request = "POST " G "/push", .status = 200},
        {.request = "POST " G "/pull", .status = 200},
        RIG_END,
    };
    const struct daytona_git_login login = {"me", "pass"};
    const struct daytona_git_clone clone = {
        .url = "https://x/y", .path = "r", .branch = "b", .login = &login, .depth = 1};
    const struct daytona_git_commit commit = {
        .path = "r", .message = "m", .author = "a", .email = "e", .allow_empty = true};
    static const char *const files[] = {"a b", "c"};
    char *hash = NULL;

    script_set(&rig.script, steps);
    EXPECT(daytona_git_clone(rig.box, &clone), 0);
    EXPECT(daytona_git_create_branch(rig.box, "r", "n"), 0);
    EXPECT(daytona_git_delete_branch(rig.box, "r", "n"), 0);
    EXPECT(daytona_git_checkout(rig.box, "r", "n"), 0);
    EXPECT(daytona_git_add(rig.box, "r", files, 2), 0);
    EXPECT(daytona_git_commit(rig.box, &commit, &hash), 0);
    assert_string_equal(hash, "abc");
    free(hash);
    EXPECT(daytona_git_push(rig.box, "r", &login), 0);
    EXPECT(daytona_git_pull(rig.box, "r", NULL), 0);
    script_check(&rig.script);
    assert_string_equal(
        buf_str(&rig.script.bodies),
        "{\"url\":\"https://x/y\",\"path\":\"r\",\"branch\":\"b\",\"username\":\"me\","
        "\"password\":\"pass\",\"depth\":1}"
        "{\"path\":\"r\",\"name\":\"n\"}"
        "{\"path\":\"r\",\"name\":\"n\"}"
        "{\"path\":\"r\",\"branch\":\"n\"}"
        "{\"path\":\"r\",\"files\":[\"a b\",\"c\"]}"
        "{\"path\":\"r\",\"message\":\"m\",\"author\":\"a\",\"email\":\"e\",\"allow_empty\":true}"
        "{\"path\":\"r\",\"username\":\"me\",\"password\":\"pass\"}"
        "{\"path\":\"r\"}");
}

TEST(status_history_and_branches_are_read)
{
    static const struct step steps[] = {
        {.request = "GET " G "/status?path=r",
         .status = 200,
         .body = "{\"currentBranch\":\"main\",\"fileStatus\":[{\"name\":\"f\",\"extra\":\"\","
                 "\"staging\":\"Untracked\",\"worktree\":\"Untracked\"}],\"ahead\":1,"
                 "\"behind\":2,\"branchPublished\":true}"},
        {.request = "GET " G "/status?path=r",
         .status = 200,
         .body = "{\"currentBranch\":\"main\",\"fileStatus\":null}"},
        {.request = "GET " G "/status?path=r", .status = 200, .body = "{\"fileStatus\":[1]}"},
        {.request = "GET " G "/history?path=r",
         .status = 200,
         .body = "[{\"hash\":\"h\",\"author\":\"a\",\"email\":\"e\",\"message\":\"m\\n\","
                 "\"timestamp\":\"t\"}]"},
        {.request = "GET " G "/history?path=r", .status = 200, .body = "null"},
        {.request = "GET " G "/branches?path=r",
         .status = 200,
         .body = "{\"branches\":[\"main\",\"x\"]}"},
        {.request = "GET " G "/branches?path=r", .status = 200, .body = "{\"branches\":null}"},
        RIG_END,
    };
    struct daytona_git_commit_info *list;
    struct daytona_git_status status;
    struct daytona_strings branches;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_git_status(rig.box, "r", &status), 0);
    assert_string_equal(status.current_branch, "main");
    assert_int_equal(status.file_count, 1);
    assert_string_equal(status.files[0].staging, "Untracked");
    assert_int_equal(status.ahead, 1);
    assert_int_equal(status.behind, 2);
    assert_true(status.branch_published);
    daytona_git_status_done(&status);
    EXPECT(daytona_git_status(rig.box, "r", &status), 0);
    assert_int_equal(status.file_count, 0);
    daytona_git_status_done(&status);
    EXPECT(daytona_git_status(rig.box, "r", &status), -EPROTO);
    EXPECT(daytona_git_history(rig.box, "r", &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].message, "m\n");
    daytona_git_history_free(list, count);
    EXPECT(daytona_git_history(rig.box, "r", &list, &count), 0);
    assert_int_equal(count, 0);
    daytona_git_history_free(list, count);
    EXPECT(daytona_git_branches(rig.box, "r", &branches), 0);
    assert_int_equal(branches.count, 2);
    assert_string_equal(branches.list[1], "x");
    daytona_strings_done(&branches);
    EXPECT(daytona_git_branches(rig.box, "r", &branches), 0);
    assert_int_equal(branches.count, 0);
    daytona_strings_done(&branches);
    script_check(&rig.script);
}

TEST(refusals_of_git_are_not_those_of_the_key)
{
    static const struct {
        int status;
        const char *message;
        int r;
    } cases[] = {
        {401, "unauthorized: authentication required", -EACCES},
        {403, "forbidden: authorization failed", -EACCES},
        {404, "not found: repository does not exist", -ENOENT},
        {409, "conflict: worktree contains unstaged changes", -EEXIST},
        {500, "x", -EIO},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char body[256];
        const struct step steps[] = {
            {.request = "POST " G "/push", .status = cases[i].status, .body = body},
            RIG_END,
        };

        snprintf(body, sizeof(body), "{\"statusCode\":%d,\"message\":\"%s\"}", cases[i].status,
                 cases[i].message);
        script_set(&rig.script, steps);
        EXPECT(daytona_git_push(rig.box, "r", NULL), cases[i].r);
        assert_false(daytona_last_error()->auth);
        assert_string_equal(daytona_last_error()->message, cases[i].message);
        script_check(&rig.script);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(each_call_sends_what_the_service_expects),
        RIG_TEST(status_history_and_branches_are_read),
        RIG_TEST(refusals_of_git_are_not_those_of_the_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
