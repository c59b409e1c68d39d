/* The git calls, by a table of facts. */
#include "facts.h"

#define JSON_IN "Content-Type: application/json\r\n"
#define ME "\"author\":\"A B\",\"email\":\"a@b.c\""

/* clang-format off */
static const struct fact facts[] = {
    {"prepare", "POST", "/process/execute", JSON_IN,
     "{\"command\":\"git init -q --bare up.git && git init -q -b main seed && cd seed && "
     "git config user.email x@y.z && git config user.name x && echo 1 > one && git add . && "
     "git commit -qm one && git push -q ../up.git main && "
     "git -C ../up.git symbolic-ref HEAD refs/heads/main\"}", 200,
     NULL, "~\"exitCode\":0"},
    {"clone_200_empty", "POST", "/git/clone", JSON_IN, "{\"url\":\"@WORK/up.git\",\"path\":\"w\"}",
     200, NULL, ""},
    {"clone_again_409", "POST", "/git/clone", JSON_IN, "{\"url\":\"@WORK/up.git\",\"path\":\"w\"}",
     409, NULL, "~\"statusCode\":409"},
    {"clone_nothing_404", "POST", "/git/clone", JSON_IN,
     "{\"url\":\"@WORK/nope.git\",\"path\":\"v\"}", 404, NULL, NULL},
    {"clone_no_path_400", "POST", "/git/clone", JSON_IN, "{\"url\":\"x\"}", 400, NULL, NULL},
    {"options_are_not_values", "POST", "/git/clone", JSON_IN,
     "{\"url\":\"--upload-pack=touch x\",\"path\":\"v\"}", 400, NULL, NULL},
    {"status_clean", "GET", "/git/status?path=w", NULL, NULL, 200, NULL,
     "={\"fileStatus\":[],\"currentBranch\":\"main\",\"ahead\":0,\"behind\":0,"
     "\"branchPublished\":true}"},
    {"status_no_path_400", "GET", "/git/status", NULL, NULL, 400, NULL, NULL},
    {"status_of_no_repository_404", "GET", "/git/status?path=/tmp", NULL, NULL, 404, NULL, NULL},
    {"status_of_nothing_404", "GET", "/git/status?path=nope", NULL, NULL, 404, NULL, NULL},
    {"change", "POST", "/process/execute", JSON_IN,
     "{\"command\":\"cd w; echo 2 > 'new one'; echo 3 > one\"}", 200, NULL, NULL},
    {"status_untracked", "GET", "/git/status?path=w", NULL, NULL, 200, NULL,
     "~{\"name\":\"new one\",\"extra\":\"\",\"staging\":\"Untracked\",\"worktree\":\"Untracked\"}"},
    {"status_modified", "GET", "/git/status?path=w", NULL, NULL, 200, NULL,
     "~{\"name\":\"one\",\"extra\":\"\",\"staging\":\"Unmodified\",\"worktree\":\"Modified\"}"},
    {"add", "POST", "/git/add", JSON_IN, "{\"path\":\"w\",\"files\":[\".\"]}", 200, NULL, ""},
    {"status_added", "GET", "/git/status?path=w", NULL, NULL, 200, NULL,
     "~\"staging\":\"Added\",\"worktree\":\"Unmodified\"}"},
    {"commit_hash", "POST", "/git/commit", JSON_IN, "{\"path\":\"w\",\"message\":\"two\"," ME "}",
     200, NULL, "~{\"hash\":\"", "hash"},
    {"commit_nothing_409", "POST", "/git/commit", JSON_IN,
     "{\"path\":\"w\",\"message\":\"two\"," ME "}", 409, NULL, NULL},
    {"ahead", "GET", "/git/status?path=w", NULL, NULL, 200, NULL, "~\"ahead\":1"},
    {"push", "POST", "/git/push", JSON_IN, "{\"path\":\"w\"}", 200, NULL, ""},
    {"push_up_to_date_200", "POST", "/git/push", JSON_IN, "{\"path\":\"w\"}", 200, NULL, ""},
    {"pull_up_to_date_200", "POST", "/git/pull", JSON_IN, "{\"path\":\"w\"}", 200, NULL, ""},
    {"branch_201", "POST", "/git/branches", JSON_IN, "{\"path\":\"w\",\"name\":\"dev\"}", 201, NULL,
     ""},
    {"branch_is_checked_out", "GET", "/git/status?path=w", NULL, NULL, 200, NULL,
     "~\"currentBranch\":\"dev\""},
    {"branch_again_409", "POST", "/git/branches", JSON_IN, "{\"path\":\"w\",\"name\":\"dev\"}", 409,
     NULL, NULL},
    {"branches", "GET", "/git/branches?path=w", NULL, NULL, 200, NULL,
     "={\"branches\":[\"dev\",\"main\"]}"},
    {"checkout", "POST", "/git/checkout", JSON_IN, "{\"path\":\"w\",\"branch\":\"main\"}", 200,
     NULL, ""},
    {"checkout_unknown_404", "POST", "/git/checkout", JSON_IN,
     "{\"path\":\"w\",\"branch\":\"nope\"}", 404, NULL, NULL},
    {"branch_delete_204", "DELETE", "/git/branches", JSON_IN, "{\"path\":\"w\",\"name\":\"dev\"}",
     204, NULL, ""},
    {"branch_delete_404", "DELETE", "/git/branches", JSON_IN, "{\"path\":\"w\",\"name\":\"dev\"}",
     404, NULL, NULL},
};
/* clang-format on */

TEST(git_answers_as_the_real_one)
{
    struct box box = start_box("state-delay=0", true, false);
    unsigned wrong;

    if (access("/usr/bin/git", X_OK) != 0) {
        box_end(&box);
        skip();
    }
    wrong = check(&box, facts, ARRAY_LEN(facts), true);
    box_end(&box);
    assert_int_equal(wrong, 0);
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
