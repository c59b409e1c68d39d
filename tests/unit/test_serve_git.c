/* The git calls, by a table of facts. */
#include "facts.h"

#define ME "\"author\":\"A B\",\"email\":\"a@b.c\""

/* clang-format off */
static const struct fact facts[] = {
    POST_JSON("prepare", "/process/execute",
        "{\"command\":\"git init -q --bare up.git && git init -q -b main seed && cd seed && "
        "git config user.email x@y.z && git config user.name x && echo 1 > one && git add . && "
        "git commit -qm one && git push -q ../up.git main && "
        "git -C ../up.git symbolic-ref HEAD refs/heads/main\"}", 200, "~\"exitCode\":0"),
    POST_JSON("clone_200_empty", "/git/clone", "{\"url\":\"@WORK/up.git\",\"path\":\"w\"}", 200,
        ""),
    POST_JSON("clone_again_409", "/git/clone", "{\"url\":\"@WORK/up.git\",\"path\":\"w\"}", 409,
        "~\"statusCode\":409"),
    POST_JSON("clone_nothing_404", "/git/clone", "{\"url\":\"@WORK/nope.git\",\"path\":\"v\"}", 404,
        NULL),
    POST_JSON("clone_no_path_400", "/git/clone", "{\"url\":\"x\"}", 400, NULL),
    POST_JSON("options_are_not_values", "/git/clone",
        "{\"url\":\"--upload-pack=touch x\",\"path\":\"v\"}", 400, NULL),
    GET("status_clean", "/git/status?path=w", 200,
        "={\"fileStatus\":[],\"currentBranch\":\"main\",\"ahead\":0,\"behind\":0,"
        "\"branchPublished\":true}"),
    GET("status_no_path_400", "/git/status", 400, NULL),
    GET("status_of_no_repository_404", "/git/status?path=/tmp", 404, NULL),
    GET("status_of_nothing_404", "/git/status?path=nope", 404, NULL),
    POST_JSON("change", "/process/execute",
        "{\"command\":\"cd w; echo 2 > 'new one'; echo 3 > one\"}", 200, NULL),
    GET("status_untracked", "/git/status?path=w", 200,
        "~{\"name\":\"new one\",\"extra\":\"\",\"staging\":\"Untracked\","
        "\"worktree\":\"Untracked\"}"),
    GET("status_modified", "/git/status?path=w", 200,
        "~{\"name\":\"one\",\"extra\":\"\",\"staging\":\"Unmodified\",\"worktree\":\"Modified\"}"),
    POST_JSON("commit_without_add_409", "/git/commit",
        "{\"path\":\"w\",\"message\":\"two\"," ME "}", 409, NULL),
    POST_JSON("add", "/git/add", "{\"path\":\"w\",\"files\":[\".\"]}", 200, ""),
    GET("status_added", "/git/status?path=w", 200,
        "~\"staging\":\"Added\",\"worktree\":\"Unmodified\"}"),
    {"commit_hash", "POST", "/git/commit", JSON_IN, "{\"path\":\"w\",\"message\":\"two\"," ME "}",
     200, NULL, "~{\"hash\":\"", "hash"},
    POST_JSON("commit_nothing_409", "/git/commit", "{\"path\":\"w\",\"message\":\"two\"," ME "}",
        409, NULL),
    GET("ahead", "/git/status?path=w", 200, "~\"ahead\":1"),
    POST_JSON("push", "/git/push", "{\"path\":\"w\"}", 200, ""),
    POST_JSON("push_up_to_date_200", "/git/push", "{\"path\":\"w\"}", 200, ""),
    POST_JSON("pull_up_to_date_200", "/git/pull", "{\"path\":\"w\"}", 200, ""),
    POST_JSON("branch_201", "/git/branches", "{\"path\":\"w\",\"name\":\"dev\"}", 201, ""),
    GET("branch_is_checked_out", "/git/status?path=w", 200, "~\"currentBranch\":\"dev\""),
    POST_JSON("branch_again_409", "/git/branches", "{\"path\":\"w\",\"name\":\"dev\"}", 409, NULL),
    GET("branches", "/git/branches?path=w", 200, "={\"branches\":[\"dev\",\"main\"]}"),
    POST_JSON("checkout", "/git/checkout", "{\"path\":\"w\",\"branch\":\"main\"}", 200, ""),
    POST_JSON("checkout_unknown_404", "/git/checkout", "{\"path\":\"w\",\"branch\":\"nope\"}", 404,
        NULL),
    {"branch_delete_204", "DELETE", "/git/branches", JSON_IN, "{\"path\":\"w\",\"name\":\"dev\"}",
     204, NULL, ""},
    {"branch_delete_404", "DELETE", "/git/branches", JSON_IN, "{\"path\":\"w\",\"name\":\"dev\"}",
     404, NULL, NULL},
};
/* clang-format on */

TEST(git_answers_as_the_real_one)
{
    if (access("/usr/bin/git", X_OK) != 0)
        skip();
    check_facts(facts, "state-delay=0", true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(git_answers_as_the_real_one),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_git", tests, NULL, NULL);
}
