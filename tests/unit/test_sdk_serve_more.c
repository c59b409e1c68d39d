/* Git, ways in, settings and states for real, against the local server, old and new. */
#include "serve_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int shell(const char *command)
{
    const struct daytona_execute e = {.command = command};
    struct daytona_result result = {0};
    int code;

    EXPECT(daytona_process_execute(fx.box, &e, &result), 0);
    code = result.exit_code;
    if (code != 0)
        print_error("%s\n", result.output);
    daytona_result_done(&result);
    return code;
}

static void status_is(const char *repo, const char *branch, size_t files, int64_t ahead)
{
    struct daytona_git_status status;

    EXPECT(daytona_git_status(fx.box, repo, &status), 0);
    assert_string_equal(status.current_branch, branch);
    assert_int_equal(status.file_count, files);
    assert_int_equal(status.ahead, ahead);
    daytona_git_status_done(&status);
}

TEST(a_repository_from_its_clone_to_its_push)
{
    static const char *const files[] = {"two", "sub/three"};
    char url[4096];
    const struct daytona_git_clone clone = {.url = url, .path = "w"};
    struct daytona_git_commit commit = {
        .path = "w", .message = "m", .author = "A", .email = "a@b.c"};
    struct daytona_git_commit_info *history;
    struct daytona_git_status status;
    struct daytona_strings branches;
    char *hash = NULL;
    size_t count;

    if (shell("command -v git") != 0)
        skip();
    assert_int_equal(shell("git init -q --bare up.git && git init -q -b main seed && cd seed && "
                           "git -c user.name=x -c user.email=x@y commit -q --allow-empty -m one && "
                           "git push -q ../up.git main && "
                           "git -C ../up.git symbolic-ref HEAD refs/heads/main"),
                     0);
    snprintf(url, sizeof(url), "%s", at("up.git"));
    EXPECT(daytona_git_clone(fx.box, &clone), 0);
    EXPECT(daytona_git_clone(fx.box, &clone), -EEXIST);
    status_is("w", "main", 0, 0);
    assert_int_equal(shell("cd w && mkdir sub && echo 2 >two && echo 3 >sub/three"), 0);
    EXPECT(daytona_git_status(fx.box, "w", &status), 0);
    assert_int_equal(status.file_count, 2); /* one by one, not their directory */
    assert_string_equal(status.files[0].name, "sub/three");
    assert_string_equal(status.files[0].staging, "Untracked");
    daytona_git_status_done(&status);
    EXPECT(daytona_git_commit(fx.box, &commit, NULL), -EEXIST); /* nothing was added */
    EXPECT(daytona_git_add(fx.box, "w", files, 2), 0);
    EXPECT(daytona_git_commit(fx.box, &commit, &hash), 0);
    assert_int_equal(strlen(hash), 40);
    status_is("w", "main", 0, 1);
    EXPECT(daytona_git_create_branch(fx.box, "w", "dev"), 0);
    EXPECT(daytona_git_create_branch(fx.box, "w", "dev"), -EEXIST);
    EXPECT(daytona_git_branches(fx.box, "w", &branches), 0);
    assert_int_equal(branches.count, 2);
    daytona_strings_done(&branches);
    EXPECT(daytona_git_checkout(fx.box, "w", "main"), 0);
    EXPECT(daytona_git_checkout(fx.box, "w", "none"), -ENOENT);
    EXPECT(daytona_git_delete_branch(fx.box, "w", "dev"), 0);
    EXPECT(daytona_git_push(fx.box, "w", NULL), 0);
    EXPECT(daytona_git_pull(fx.box, "w", NULL), 0);
    status_is("w", "main", 0, 0);
    EXPECT(daytona_git_history(fx.box, "w", &history, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(history[0].hash, hash);
    daytona_git_history_free(history, count);
    EXPECT(daytona_git_status(fx.box, "nowhere", &status), -ENOENT);
    free(hash);
}

TEST(a_repository_is_made_set_up_and_put_back)
{
    static const char *const files[] = {"f"};
    const struct daytona_git_remote_add add = {.path = "r", .name = "up", .url = "/nowhere"},
                                        over = {.path = "r",
                                                .name = "up",
                                                .url = "/tmp/bare",
                                                .overwrite = true};
    const struct daytona_git_commit commit = {
        .path = "r", .message = "one", .author = "a", .email = "e"};
    const struct daytona_git_reset unstage = {.path = "r", .files = files, .file_count = 1},
                                   hard = {.path = "r", .mode = "hard"},
                                   odd = {.path = "r", .mode = "odd"};
    const struct daytona_git_restore restore = {.path = "r", .files = files, .file_count = 1};
    const struct daytona_git_sync push = {
        .path = "r", .remote = "up", .branch = "trunk", .set_upstream = true};
    const struct daytona_git_login login = {"me", "pass"};
    struct daytona_git_remote *remotes;
    struct daytona_git_status status;
    char *value = NULL;
    size_t count;

    EXPECT(daytona_git_init(fx.box, "r", false, "trunk"), 0);
    EXPECT(daytona_git_init(fx.box, "/tmp/bare", true, NULL), 0);
    assert_int_equal(shell("echo one > r/f"), 0);
    EXPECT(daytona_git_add(fx.box, "r", files, 1), 0);
    EXPECT(daytona_git_commit(fx.box, &commit, NULL), 0);
    assert_int_equal(shell("echo two > r/f"), 0);
    EXPECT(daytona_git_add(fx.box, "r", files, 1), 0);
    EXPECT(daytona_git_reset(fx.box, &unstage), 0);
    EXPECT(daytona_git_restore(fx.box, &restore), 0);
    assert_int_equal(shell("test \"$(cat r/f)\" = one"), 0);
    assert_int_equal(shell("echo three > r/f"), 0);
    EXPECT(daytona_git_reset(fx.box, &hard), 0);
    assert_int_equal(shell("test \"$(cat r/f)\" = one"), 0);
    EXPECT(daytona_git_reset(fx.box, &odd), -EINVAL);
    EXPECT(daytona_git_remote_add(fx.box, &add), 0);
    EXPECT(daytona_git_remote_add(fx.box, &add), -EEXIST);
    EXPECT(daytona_git_remote_add(fx.box, &over), 0);
    EXPECT(daytona_git_remotes(fx.box, "r", &remotes, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(remotes[0].url, "/tmp/bare");
    daytona_git_remotes_free(remotes, count);
    EXPECT(daytona_git_push_to(fx.box, &push), 0);
    EXPECT(daytona_git_pull_from(fx.box, &push), 0);
    EXPECT(daytona_git_status(fx.box, "r", &status), 0);
    assert_string_equal(status.upstream, "up/trunk");
    assert_false(status.detached);
    daytona_git_status_done(&status);
    EXPECT(daytona_git_config_get(fx.box, "r", NULL, "user.name", &value), -ENODATA);
    EXPECT(daytona_git_configure_user(fx.box, "r", "local", "N", "n@x"), 0);
    EXPECT(daytona_git_config_get(fx.box, "r", NULL, "user.name", &value), 0);
    assert_string_equal(value, "N");
    free(value);
    EXPECT(daytona_git_config_set(fx.box, NULL, "global", "a.b", "c"), 0);
    EXPECT(daytona_git_config_set(fx.box, NULL, "local", "a.b", "c"), -EINVAL);
    EXPECT(daytona_git_authenticate(fx.box, &login, "h.org", NULL), 0);
    assert_int_equal(shell("grep -qx https://me:pass@h.org .git-credentials"), 0);
    EXPECT(daytona_git_remotes(fx.box, "/tmp", &remotes, &count), -ENOENT);
}

TEST(newer_git_calls_are_unknown_to_old_daemons)
{
    EXPECT(daytona_git_init(fx.box, "r", false, NULL), -EOPNOTSUPP);
}

TEST(an_environment_is_changed_for_what_comes)
{
    const struct daytona_pair set[] = {{(char *)"ONE", (char *)"1"}, {(char *)"TWO", (char *)"2"}},
                              bad = {(char *)"A-B", (char *)""};
    static const char *const unset[] = {"ONE"};

    EXPECT(daytona_sandbox_update_env(fx.box, set, 2, NULL, 0), 0);
    assert_int_equal(shell("test $ONE$TWO = 12"), 0);
    EXPECT(daytona_sandbox_update_env(fx.box, NULL, 0, unset, 1), 0);
    assert_int_equal(shell("test x$ONE$TWO = x2"), 0);
    EXPECT(daytona_sandbox_update_env(fx.box, &bad, 1, NULL, 0), -EINVAL);
}

static size_t found(const struct daytona_sandbox_query *query)
{
    struct daytona_sandbox_info *list;
    size_t count;

    EXPECT(daytona_sandbox_find(fx.client, query, &list, &count), 0);
    daytona_sandbox_list_free(list, count);
    return count;
}

TEST(sandboxes_are_found_by_name_and_state)
{
    static const char *const running[] = {"started", "starting"}, *const gone[] = {"stopped"};
    static const char *const many[10] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j"};
    const struct daytona_sandbox_query by_name = {.name = "BO"}, by_other = {.name = "x"},
                                       started = {.states = running, .state_count = 2},
                                       stopped = {.states = gone, .state_count = 1},
                                       too_many = {.states = many, .state_count = 10};
    struct daytona_sandbox_info *list;
    size_t count;

    assert_int_equal(found(NULL), 1);
    assert_int_equal(found(&by_name), 1);
    assert_int_equal(found(&by_other), 0);
    assert_int_equal(found(&started), 1);
    assert_int_equal(found(&stopped), 0);
    EXPECT(daytona_sandbox_find(fx.client, &too_many, &list, &count), -EINVAL);
}

TEST(ways_in_are_made_and_taken_back)
{
    struct daytona_preview plain, with_key;
    struct daytona_ssh ssh;
    uint16_t *ports;
    size_t count;

    EXPECT(daytona_ports_list(fx.box, &ports, &count), 0);
    assert_int_equal(count, 0);
    free(ports);
    EXPECT(daytona_ports_in_use(fx.box, 3000), 0);
    EXPECT(daytona_ports_in_use(fx.box, 80), -EINVAL);
    EXPECT(daytona_ssh_validate(fx.client, "x", NULL), -EACCES); /* not with a user's key */
    EXPECT(daytona_preview_url(fx.box, 3000, &plain), 0);
    assert_true(strlen(plain.token) > 8);
    EXPECT(daytona_preview_signed_url(fx.box, 3000, 60, &with_key), 0);
    assert_non_null(strstr(with_key.url, with_key.token));
    EXPECT(daytona_preview_expire(fx.box, 3000, with_key.token), 0);
    EXPECT(daytona_preview_signed_url(fx.box, 3000, 86401, &with_key), -EINVAL);
    daytona_preview_done(&plain);
    daytona_preview_done(&with_key);
    EXPECT(daytona_ssh_create(fx.box, 10, &ssh), 0);
    assert_non_null(strstr(ssh.command, ssh.token));
    EXPECT(daytona_ssh_revoke(fx.box, ssh.token), 0);
    daytona_ssh_done(&ssh);
}

TEST(a_port_that_is_listened_on_is_told)
{
    uint16_t *ports = NULL;
    size_t count = 0;

    if (shell("command -v python3") != 0)
        skip();
    assert_int_equal(shell("setsid python3 -c 'import socket, time\n"
                           "s = socket.socket()\n"
                           "s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
                           "s.bind((\"127.0.0.1\", 0))\ns.listen()\n"
                           "open(\"port\", \"w\").write(str(s.getsockname()[1]))\n"
                           "time.sleep(60)' >/dev/null 2>&1 </dev/null &"),
                     0);
    for (int i = 0; i < 100 && count == 0; i++) {
        free(ports);
        EXPECT(daytona_ports_list(fx.box, &ports, &count), 0);
        usleep(100000);
    }
    assert_int_equal(count, 1);
    assert_true(ports[0] > 0);
    free(ports);
}

TEST(links_to_files_where_the_service_has_them)
{
    const struct daytona_upload upload = {.path = at("f"), .data = "x", .len = 1};
    char *down = NULL, *up = NULL;
    const int wanted = fx.new_daemon ? 0 : -EOPNOTSUPP;

    EXPECT(daytona_files_upload(fx.box, &upload), 0);
    EXPECT(daytona_files_download_url(fx.box, at("f"), 60, &down), wanted);
    EXPECT(daytona_files_upload_url(fx.box, at("f"), 60, &up), wanted);
    if (wanted == 0) {
        assert_non_null(strstr(down, "/files/download?"));
        assert_non_null(strstr(down, "signature=v1_"));
        assert_non_null(strstr(up, "/files/upload-v2?"));
    }
    EXPECT(daytona_files_download_url(fx.box, "f", 60, &down), -EINVAL);
    EXPECT(daytona_files_revoke_urls(fx.box), wanted);
    free(down);
    free(up);
}

static struct daytona_sandbox_info info_now(void)
{
    struct daytona_sandbox_info info;

    EXPECT(daytona_sandbox_refresh(fx.box), 0);
    EXPECT(daytona_sandbox_info(fx.box, &info), 0);
    return info;
}

TEST(settings_are_kept)
{
    static const struct daytona_pair labels[] = {{(char *)"a", (char *)"1"},
                                                 {(char *)"b", (char *)"x y"}};
    struct daytona_sandbox_info info;

    EXPECT(daytona_sandbox_set_labels(fx.box, labels, 2), 0);
    EXPECT(daytona_sandbox_set_auto_stop(fx.box, 30), 0);
    EXPECT(daytona_sandbox_set_auto_archive(fx.box, 60), 0);
    EXPECT(daytona_sandbox_set_auto_delete(fx.box, 90), 0);
    EXPECT(daytona_sandbox_set_public(fx.box, true), 0);
    EXPECT(daytona_sandbox_keep_alive(fx.box), 0);
    info = info_now();
    assert_int_equal(info.label_count, 2);
    assert_int_equal(info.auto_stop_min, 30);
    assert_int_equal(info.auto_archive_min, 60);
    assert_int_equal(info.auto_delete_min, 90);
    assert_true(info.is_public);
    daytona_sandbox_info_done(&info);
    EXPECT(daytona_sandbox_set_auto_delete(fx.box, -1), 0);
    EXPECT(daytona_sandbox_set_labels(fx.box, NULL, 0), 0);
    info = info_now();
    assert_int_equal(info.label_count, 0);
    assert_int_equal(info.auto_delete_min, -1);
    daytona_sandbox_info_done(&info);
}

TEST(a_sandbox_is_archived_and_comes_back)
{
    const struct daytona_upload upload = {.path = at("f"), .data = "kept", .len = 4};

    EXPECT(daytona_files_upload(fx.box, &upload), 0);
    EXPECT(daytona_sandbox_archive(fx.box, -1), -EINVAL); /* it runs */
    EXPECT(daytona_sandbox_stop(fx.box, false, 20000), 0);
    EXPECT(daytona_sandbox_archive(fx.box, 20000), 0);
    assert_int_equal(daytona_sandbox_state(fx.box), DAYTONA_STATE_ARCHIVED);
    EXPECT(daytona_files_exists(fx.box, at("f")), -EHOSTDOWN);
    EXPECT(daytona_sandbox_start(fx.box, 20000), 0);
    EXPECT(daytona_files_exists(fx.box, at("f")), 1);
    EXPECT(daytona_sandbox_pause(fx.box, 20000), -EOPNOTSUPP);
    EXPECT(daytona_sandbox_fork(fx.box, NULL, 20000, &fx.box), -EOPNOTSUPP);
    EXPECT(daytona_sandbox_set_auto_pause(fx.box, 5), -EOPNOTSUPP);
}

TEST(code_is_run_and_the_machine_described)
{
    static const char *const argv[] = {"a"};
    const struct daytona_code_run run = {.code = "import sys\nprint(sys.argv[1], 6 * 7)\nexit(3)",
                                         .language = "python",
                                         .argv = argv,
                                         .argc = 1};
    struct daytona_code_run unknown = run;
    struct daytona_result result;
    struct daytona_metrics metrics;

    if (shell("command -v python3") != 0)
        skip();
    EXPECT(daytona_process_code_run(fx.box, &run, &result), 0);
    assert_int_equal(result.exit_code, 3);
    assert_string_equal(result.output, "a 42\n");
    daytona_result_done(&result);
    unknown.language = "cobol";
    EXPECT(daytona_process_code_run(fx.box, &unknown, &result), -EINVAL);
    EXPECT(daytona_sandbox_metrics(fx.box, &metrics), fx.new_daemon ? 0 : -EOPNOTSUPP);
    if (fx.new_daemon) {
        assert_true(metrics.cpu_count >= 1 && metrics.memory_total > 0 && metrics.disk_free > 0);
        daytona_metrics_done(&metrics);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_repository_from_its_clone_to_its_push),
        WITH(a_repository_is_made_set_up_and_put_back, new_daemon),
        WITH(sandboxes_are_found_by_name_and_state, old_daemon),
        WITH(newer_git_calls_are_unknown_to_old_daemons, old_daemon),
        WITH(an_environment_is_changed_for_what_comes, new_daemon),
        BOTH(ways_in_are_made_and_taken_back),
        WITH(a_port_that_is_listened_on_is_told, old_daemon),
        BOTH(links_to_files_where_the_service_has_them),
        BOTH(settings_are_kept),
        BOTH(a_sandbox_is_archived_and_comes_back),
        BOTH(code_is_run_and_the_machine_described),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
