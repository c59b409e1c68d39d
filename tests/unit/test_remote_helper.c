/* remote_helper against the local server: conformance, odd shells, and a helper that goes away. */
#include "remote_tree_cases.h"

#include "remote/helper_internal.h"
#include "server/server.h"
#include "util/words.h"

#include <daytona/daytona.h>
#include <ftw.h>
#include <stdatomic.h>

#define KEY "local-test-key"

static struct {
    char state[64];
    struct server *server;
    struct daytona_client *client;
    struct daytona_sandbox *box;
    atomic_uint requests;
    char *home;
    unsigned case_count;
    bool isolated;
} fx;

static void count_request(void *arg, const struct daytona_attempt *attempt)
{
    atomic_fetch_add(&fx.requests, 1);
}

/* Requests since the last call. */
static unsigned requests(void)
{
    return atomic_exchange(&fx.requests, 0);
}

static void set_fault(const char *spec)
{
    struct buf why = BUF_INIT(4096);

    if (server_set_fault(fx.server, spec, &why) < 0)
        fail_msg("%s", buf_str(&why));
    buf_done(&why);
}

static int start_server(void)
{
    struct buf why = BUF_INIT(4096);
    struct server_config config = {
        .state_dir = fx.state, .key = KEY, .key_len = strlen(KEY), .fault = "state-delay=20ms"};
    int r = server_start(&config, &fx.server, &why);

    fx.isolated = r == 0;
    if (r == -EPERM) { /* a machine where nothing may be isolated */
        config.no_isolation = true;
        r = server_start(&config, &fx.server, &why);
    }
    if (r < 0)
        print_error("%s\n", buf_str(&why));
    buf_done(&why);
    return r;
}

static int connect_helper(const char *program, struct remote **ret, struct buf *why)
{
    struct remote *plain;
    int r = remote_plain_new(fx.box, 30, &plain);

    if (r < 0)
        return r;
    (void)requests();
    r = remote_helper_new(fx.box, plain, program, ret, why);
    if (r < 0)
        remote_free(plain);
    return r;
}

static int setup(void **state)
{
    const struct daytona_sandbox_params params = {.name = "box"};
    struct daytona_config config = {
        .api_key = KEY, .stall_timeout_ms = 5000, .observe = count_request};
    struct buf why = BUF_INIT(1024);
    struct remote_info info;
    int r;

    unsetenv("DAYTONA_API_URL");
    strcpy(fx.state, "/tmp/daytonafs-helper-XXXXXX");
    if (!mkdtemp(fx.state) || start_server() < 0)
        return -1;
    config.api_url = server_url(fx.server);
    if (daytona_client_new(&config, &fx.client) < 0 ||
        daytona_sandbox_create(fx.client, &params, 20000, &fx.box) < 0 ||
        daytona_sandbox_work_dir(fx.box, &fx.home) < 0) {
        print_error("%s\n", daytona_last_error()->message);
        return -1;
    }
    r = connect_helper(HELPER_PROGRAM, &world.r, &why);
    if (r < 0)
        print_error("%d %s\n", r, buf_str(&why));
    buf_done(&why);
    if (r < 0)
        return -1;
    r = remote_info(world.r, &info);
    world.caps = info.caps;
    world.privileged = info.privileged;
    remote_info_done(&info);
    return r;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    if (type == FTW_D || type == FTW_DNR)
        (void)chmod(path, 0700);
    return 0;
}

static int remove_now(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static int teardown(void **state)
{
    world.r = remote_free(world.r);
    daytona_sandbox_unref(fx.box);
    daytona_client_free(fx.client);
    server_free(fx.server);
    free(fx.home);
    (void)nftw(fx.state, remove_entry, 16, FTW_PHYS | FTW_MOUNT);
    return nftw(fx.state, remove_now, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

static int world_enter(void **state)
{
    set_fault("");
    snprintf(world.dir, sizeof(world.dir), "%s/case%u", fx.home, fx.case_count++);
    return remote_mkdir(world.r, world.dir, 0755, NULL);
}

static int world_leave(void **state)
{
    set_fault("");
    return 0;
}

/* In the case's directory; what it printed, the caller frees. */
static char *shell(const char *script)
{
    const struct remote_exec exec = {.script = script, .cwd = world.dir, .output_max = 1 << 20};
    struct buf out = BUF_INIT(1 << 20);
    int status = -1;
    char *text;

    assert_int_equal(remote_exec(world.r, &exec, &out, &status), 0);
    if (status != 0)
        fail_msg("%s: exit %d: %s", script, status, buf_str(&out));
    text = buf_take(&out);
    buf_done(&out);
    return text;
}

static void do_shell(const char *script)
{
    free(shell(script));
}

static struct helper *the_helper(void)
{
    return (struct helper *)world.r;
}

/* ---- what it costs ---- */

TEST(each_question_is_one_request)
{
    const char *const paths[] = {"", NULL};
    const struct remote_ask ask = ask_about(paths);
    struct remote_statfs statfs;
    struct remote_list list;
    struct remote_attr a;
    struct remote_tree t;
    uint64_t len;
    int fd = memfd_create("got", MFD_CLOEXEC);

    have_dir("d");
    have_file("d/f", "hello");
    a = attr_of("d/f");
    (void)requests();
    t = tree_of(&ask);
    remote_tree_done(&t);
    assert_int_equal(requests(), 1);
    t = changes_of(&ask);
    remote_tree_done(&t);
    assert_int_equal(requests(), 1);
    (void)attr_of("d/f");
    assert_int_equal(requests(), 1);
    assert_int_equal(remote_list(world.r, world.dir, 1, 100, &list), 0);
    remote_list_done(&list);
    assert_int_equal(requests(), 1);
    assert_int_equal(remote_statfs(world.r, world.dir, &statfs), 0);
    assert_int_equal(requests(), 1);
    assert_int_equal(remote_fetch(world.r, at("d/f"), &a, 0, UINT64_MAX, fd, &len), 0);
    assert_int_equal(requests(), 1);
    close(fd);
}

TEST(a_helper_that_is_there_is_only_run)
{
    struct buf why = BUF_INIT(1024);
    struct remote *again = NULL;

    assert_int_equal(connect_helper(HELPER_PROGRAM, &again, &why), 0);
    assert_int_equal(requests(), 1);
    assert_string_equal(remote_name(again), "helper");
    remote_free(again);
    buf_done(&why);
}

TEST(a_new_sandbox_gets_it_in_three_requests)
{
    struct buf why = BUF_INIT(1024);
    struct remote *again = NULL;
    char script[512];

    snprintf(script, sizeof(script), "rm -r '%s'", the_helper()->dir);
    do_shell(script);
    assert_int_equal(connect_helper(HELPER_PROGRAM, &again, &why), 0);
    assert_int_equal(requests(), 3);
    remote_free(again);
    buf_done(&why);
}

TEST(its_folder_and_file_are_the_users_alone)
{
    char script[1024];
    char *said;

    snprintf(script, sizeof(script),
             "stat -c '%%a %%u' '%s'; stat -c '%%a %%u' '%s'/h-*; id -u; ls -A '%s' | wc -l",
             the_helper()->dir, the_helper()->dir, the_helper()->dir);
    said = shell(script);
    snprintf(script, sizeof(script), "700 %u\n700 %u\n%u\n1\n", the_helper()->info.uid,
             the_helper()->info.uid, the_helper()->info.uid);
    assert_string_equal(said, script);
    free(said);
}

/* ---- a helper that goes away ---- */

static void expect_tree_works(void)
{
    const char *const paths[] = {"", NULL};
    const struct remote_ask ask = ask_about(paths);
    struct remote_tree t = tree_of(&ask);

    assert_non_null(name_in(&t, "", "f"));
    remote_tree_done(&t);
}

TEST(a_helper_that_was_deleted_or_damaged_comes_back)
{
    static const char *const harms[] = {
        "rm -r '%s'",
        "rm '%s'/h-*",
        "cd '%s' && for f in h-*; do echo garbage >$f; done",
        "cd '%s' && for f in h-*; do printf '#!/bin/sh\\nexit 0\\n' >$f; done",
        "cd '%s' && for f in h-*; do head -c 50000 $f >x && cat x >$f; done",
        "chmod 600 '%s'/h-*",
    };
    char script[512];
    unsigned n;

    have_file("f", "x");
    for (size_t i = 0; i < ARRAY_LEN(harms); i++) {
        snprintf(script, sizeof(script), harms[i], the_helper()->dir);
        do_shell(script);
        (void)requests();
        expect_tree_works();
        n = requests();
        if (n > 5)
            fail_msg("%s: %u requests", harms[i], n);
        expect_tree_works();
        assert_int_equal(requests(), 1);
    }
}

TEST(a_link_or_a_file_in_place_of_its_folder_is_not_trusted)
{
    char script[1024];
    char before[HELPER_DIR_MAX];

    have_file("f", "x");
    strcpy(before, the_helper()->dir);
    snprintf(script, sizeof(script),
             "cp -a '%s' elsewhere && rm -r '%s' && ln -s \"$PWD/elsewhere\" '%s'", before, before,
             before);
    do_shell(script);
    expect_tree_works();
    assert_string_not_equal(the_helper()->dir, before); /* the next of the list */
    snprintf(script, sizeof(script), "rm '%s' && touch '%s' && rm -r '%s'", before, before,
             the_helper()->dir);
    do_shell(script);
    expect_tree_works();
    assert_string_not_equal(the_helper()->dir, before);
    snprintf(script, sizeof(script), "rm '%s' && rm -r '%s'", before, the_helper()->dir);
    do_shell(script);
    expect_tree_works();
    assert_string_equal(the_helper()->dir, before);
}

TEST(what_arrives_damaged_is_never_run)
{
    const char *const whole[] = {"", NULL};
    struct remote_ask ask = ask_about(whole);
    char *hash = the_helper()->programs[0].hash;
    const char first = hash[0];
    struct remote_tree t;
    char script[512], *said;

    have_file("f", "x");
    hash[0] = first == '0' ? '1' : '0'; /* what is sent is not what it should be */
    (void)requests();
    assert_int_equal(remote_tree(world.r, &ask, &t), -EIO);
    assert_in_range(requests(), 1, 6);
    hash[0] = first;
    snprintf(script, sizeof(script), "ls -A '%s' | grep -v h-%s | wc -l", the_helper()->dir, hash);
    said = shell(script);
    assert_string_equal(said, "0\n"); /* nothing of it is left */
    free(said);
    expect_tree_works();
}

TEST(a_folder_from_which_nothing_runs_is_passed_over)
{
    char script[512], before[HELPER_DIR_MAX];
    char *said;

    if (!fx.isolated) /* the mount would be the host's */
        skip();
    have_file("f", "x");
    strcpy(before, the_helper()->dir);
    said = shell(
        "mount -t tmpfs -o noexec,mode=1777 none /var/tmp 2>/dev/null && echo yes || echo no");
    if (strcmp(said, "yes\n") != 0) {
        free(said);
        skip();
    }
    free(said);
    expect_tree_works();
    assert_string_not_equal(the_helper()->dir, before);
    snprintf(script, sizeof(script), "umount /var/tmp; rm -r '%s'", the_helper()->dir);
    do_shell(script);
    expect_tree_works();
    assert_string_equal(the_helper()->dir, before);
}

static void *ask_tree(void *arg)
{
    expect_tree_works();
    return NULL;
}

TEST(of_many_that_miss_it_one_puts_it_back)
{
    pthread_t threads[6];
    char script[512];

    have_file("f", "x");
    snprintf(script, sizeof(script), "rm -r '%s'", the_helper()->dir);
    do_shell(script);
    (void)requests();
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_tree, NULL), 0);
    for (size_t i = 0; i < ARRAY_LEN(threads); i++)
        pthread_join(threads[i], NULL);
    assert_true(requests() <= 2 * ARRAY_LEN(threads) + 3);
}

TEST(a_program_that_cannot_run_there_means_plain_mode)
{
    static const char *const bodies[] = {"not a program", "\x7f"
                                                          "ELF\2\1\1"};
    struct buf why = BUF_INIT(1024);
    struct remote *r = NULL;
    char path[128];
    unsigned char elf[256] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    FILE *f;

    snprintf(path, sizeof(path), "%s/program", fx.state);
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        f = fopen(path, "w");
        fputs(bodies[i], f);
        fclose(f);
        assert_int_equal(connect_helper(path, &r, &why), -EOPNOTSUPP);
        assert_true(why.len > 0);
        buf_truncate(&why, 0);
    }
    elf[18] = 62; /* x86-64, and nothing in it */
    f = fopen(path, "w");
    assert_int_equal(fwrite(elf, 1, sizeof(elf), f), sizeof(elf));
    fclose(f);
    assert_int_equal(connect_helper(path, &r, &why), -EOPNOTSUPP);
    assert_true(why.len > 0);
    assert_int_equal(connect_helper("/nonexistent/helper", &r, &why), -EOPNOTSUPP);
    buf_done(&why);
}

TEST(without_a_shell_there_is_no_helper)
{
    struct buf why = BUF_INIT(1024);
    struct remote *r = NULL;

    set_fault("shell=none");
    assert_int_equal(connect_helper(HELPER_PROGRAM, &r, &why), -EOPNOTSUPP);
    assert_true(why.len > 0);
    buf_done(&why);
}

/* ---- shells ---- */

static void ask_much(void)
{
    enum { COUNT = 3000 };
    const char **paths = calloc(COUNT + 1, sizeof(*paths));
    struct remote_tree t;
    struct remote_ask ask;

    paths[0] = "d";
    for (int i = 1; i < COUNT; i++) {
        char *p;

        assert_true(asprintf(&p, "%04x-gone-%04d", i * 4099 % 65536, i) > 0);
        paths[i] = p;
    }
    ask = ask_about(paths);
    (void)requests();
    t = changes_of(&ask);
    assert_int_equal(t.dir_count, COUNT);
    assert_non_null(name_in(&t, "d", "f"));
    assert_int_equal(t.dirs[COUNT - 1].err, -ENOENT);
    remote_tree_done(&t);
    for (int i = 1; i < COUNT; i++)
        free((char *)paths[i]);
    free(paths);
}

/* A command, and a question of so many directories about what it changed. */
static void run_and_ask(unsigned dirs, const char *script, bool answered)
{
    const char **paths = calloc(dirs + 1, sizeof(*paths));
    struct remote_ask ask = {.root = world.dir, .paths = paths, .path_count = dirs};
    struct remote_after after = {.ask = &ask};
    const struct remote_exec exec = {
        .script = script, .cwd = world.dir, .output_max = 4096, .after = &after};
    struct buf out = BUF_INIT(4096);
    int code;

    paths[0] = "d";
    for (unsigned i = 1; i < dirs; i++) {
        char *p;

        assert_true(asprintf(&p, "gone-%04u", i) > 0);
        paths[i] = p;
    }
    ask.since_ns = quiet_now();
    (void)requests();
    assert_int_equal(remote_exec(world.r, &exec, &out, &code), 0);
    assert_int_equal(requests(), 1);
    assert_int_equal(code, 3);
    assert_string_equal(buf_str(&out), "said");
    assert_int_equal(after.answered, answered);
    if (answered) {
        assert_int_equal(after.tree.dir_count, dirs);
        assert_non_null(name_in(&after.tree, "d", "made"));
        remote_tree_done(&after.tree);
    }
    buf_done(&out);
    for (unsigned i = 1; i < dirs; i++)
        free((char *)paths[i]);
    free(paths);
}

static void commands_tell_what_they_changed(void)
{
    run_and_ask(1, "echo x >d/made; printf said; exit 3", true);
    run_and_ask(1500, "rm d/made; echo y >d/made; printf said; exit 3", true);
}

TEST(what_a_command_changed_is_told_unless_it_is_much)
{
    have_dir("d");
    run_and_ask(30000, "echo x >d/made; printf said; exit 3", false);
    run_and_ask(1, "cd d && seq -f %0200g 6000 | xargs touch; printf said; exit 3", false);
    do_shell("rm -r d");
}

TEST(short_and_long_questions_come_through_every_shell)
{
    static const char *const shells[] = {"/usr/bin/zsh", "/bin/bash", "/bin/dash", "ash"};
    char spec[512];

    have_file("f", "x");
    have_dir("d");
    have_file("d/f", "x");
    do_shell("ln -s \"$(command -v busybox || command -v dash)\" ash");
    for (size_t i = 0; i < ARRAY_LEN(shells); i++) {
        const bool here = shells[i][0] == '/';

        if (here && access(shells[i], X_OK) < 0) {
            print_message("%s is not installed\n", shells[i]);
            continue;
        }
        snprintf(spec, sizeof(spec), "shell=%s%s%s", here ? "" : world.dir, here ? "" : "/",
                 shells[i]);
        set_fault(spec);
        atomic_store(&the_helper()->stdin_is_left, i < 2);
        (void)requests();
        expect_tree_works();
        assert_int_equal(requests(), 1);
        ask_much();
        assert_int_equal(requests(), 1);
        commands_tell_what_they_changed();
        if (i < 2)
            continue;
        /* A shell that reads ahead, though we took it for one that does not. */
        atomic_store(&the_helper()->stdin_is_left, true);
        ask_much();
        assert_int_equal(requests(), 2);
        assert_false(atomic_load(&the_helper()->stdin_is_left));
    }
}

/* ---- large and odd ---- */

TEST(a_crowded_directory_and_many_directories)
{
    enum { CROWD = 20000, DIRS = 300 };
    const char *const whole[] = {"", NULL};
    struct remote_ask ask = ask_about(whole);
    struct remote_tree t;
    char name[32], script[256], *root;

    /* In memory where that can be had: making files is what takes the time. */
    root = shell("d=$(mktemp -d -p /dev/shm 2>/dev/null) || d=$PWD; printf %s \"$d\"; cd $d && "
                 "mkdir crowd many && cd crowd && seq 20000 | xargs touch && cd ../many && "
                 "seq 300 | xargs mkdir && for d in *; do : >$d/f; done");
    ask.root = root;
    (void)requests();
    t = tree_of(&ask);
    assert_int_equal(requests(), 1);
    assert_int_equal(t.dir_count, DIRS + 3);
    assert_int_equal(t.count, 2 + CROWD + 2 * DIRS);
    assert_int_equal(dir_of(&t, "crowd")->count, CROWD);
    for (int i = 1; i <= CROWD; i += 97) {
        snprintf(name, sizeof(name), "%d", i);
        assert_non_null(name_in(&t, "crowd", name));
    }
    remote_tree_done(&t);
    snprintf(script, sizeof(script), "rm -r '%s'/crowd '%s'/many", root, root);
    do_shell(script);
    free(root);
}

TEST(names_of_every_byte_arrive)
{
    const char *const whole[] = {"", NULL};
    struct remote_ask ask = ask_about(whole);
    struct remote_tree t;

    do_shell("i=1; while [ $i -lt 256 ]; do if [ $i -ne 47 ]; then "
             "f=$(printf \"\\\\$(printf %03o $i)x\"); ln -s -- \"$f\" \"./n$f\"; fi; "
             "i=$((i+1)); done");
    t = tree_of(&ask);
    assert_int_equal(t.count, 254);
    for (int i = 1; i < 256; i++) {
        const char name[] = {'n', (char)i, 'x', '\0'};

        if (i == '/')
            continue;
        assert_non_null(name_in(&t, "", name));
        assert_string_equal(name_in(&t, "", name)->target, name + 1);
    }
    remote_tree_done(&t);
}

TEST(paths_beyond_one_request_are_split)
{
    enum { COUNT = 20000 };
    const char **paths = calloc(COUNT + 1, sizeof(*paths));
    struct remote_tree t;
    struct remote_ask ask;
    char long_name[200];

    memset(long_name, 'n', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    for (int i = 0; i < COUNT; i++) {
        char *p;

        assert_true(asprintf(&p, "%04x-%d-%s", i * 4099 % 65536, i, i % 4 ? "" : long_name) > 0);
        paths[i] = p;
    }
    free((char *)paths[COUNT - 1]);
    paths[COUNT - 1] = strdup("d");
    have_dir("d");
    have_file("d/f", "x");
    ask = ask_about(paths);
    (void)requests();
    t = changes_of(&ask);
    assert_in_range(requests(), 3, 5);
    assert_int_equal(t.dir_count, COUNT);
    assert_non_null(name_in(&t, "d", "f"));
    assert_string_equal(t.dirs[0].path, paths[0]);
    remote_tree_done(&t);
    ask.max_entries = 1;
    t = tree_of(&ask);
    assert_non_null(name_in(&t, "d", "f"));
    remote_tree_done(&t);
    for (int i = 0; i < COUNT; i++)
        free((char *)paths[i]);
    free(paths);
}

TEST(what_is_ours_is_not_shown)
{
    const char *const whole[] = {"", NULL};
    struct remote_ask ask = ask_about(whole);
    char *parent = path_dir(the_helper()->dir);
    struct remote_list list;
    struct remote_tree t;

    assert_int_equal(remote_list(world.r, parent, 1, 10000, &list), 0);
    assert_null(entry_of(&list, path_base(the_helper()->dir)));
    remote_list_done(&list);
    do_shell("touch .daytonafs-0a1b2c3d-1 f");
    t = tree_of(&ask);
    assert_int_equal(t.count, 1);
    remote_tree_done(&t);
    free(parent);
}

TEST(a_small_read_of_a_young_file_knows_its_version_exactly)
{
    struct remote_attr a, b;
    uint64_t len;
    int fd = memfd_create("got", MFD_CLOEXEC);

    have_file("f", "one");
    a = attr_of("f");
    usleep(20000);
    /* Same size and mtime, as tar and npm leave it. */
    assert_int_equal(put_bytes("f", "two", 3, &a, a.mtime_ns, &b), 0);
    assert_int_equal(remote_fetch(world.r, at("f"), &a, 0, 3, fd, &len), -ESTALE);
    assert_int_equal(remote_fetch(world.r, at("f"), &b, 0, 3, fd, &len), 0);
    close(fd);
}

static int snapshot(const char *name, size_t max, struct buf *out, struct remote_attr *ret)
{
    buf_truncate(out, 0);
    return remote_snapshot(world.r, at(name), max, out, ret);
}

TEST(a_snapshot_is_all_of_what_is_there_now)
{
    struct buf got = BUF_INIT(1 << 20);
    struct remote_attr a, b;

    have_file("f", "one");
    do_shell("mkdir d; ln -s f l; mkfifo p; : >empty; head -c 300000 /dev/zero >large");
    (void)requests();
    assert_int_equal(snapshot("f", 1000, &got, &a), 0);
    assert_int_equal(requests(), 1);
    assert_string_equal(buf_str(&got), "one");
    b = attr_of("f");
    assert_true(remote_attr_same(&a, &b));
    assert_int_equal(snapshot("f", 3, &got, &a), 0);
    assert_int_equal(snapshot("f", 2, &got, &a), -EFBIG);
    assert_int_equal(got.len, 0);
    assert_int_equal(snapshot("empty", 1000, &got, &a), 0);
    assert_int_equal(a.size, 0);
    assert_int_equal(snapshot("large", 300000, &got, &a), 0);
    assert_int_equal(got.len, 300000);
    assert_int_equal(snapshot("none", 1000, &got, &a), -ENOENT);
    assert_int_equal(snapshot("d", 1000, &got, &a), -EISDIR);
    assert_int_equal(snapshot("l", 1000, &got, &a), -ELOOP);
    assert_int_equal(snapshot("p", 1000, &got, &a), -EINVAL);
    buf_done(&got);
}

/* When the sandbox was last used, as its service says. The caller frees. */
static char *last_activity(void)
{
    struct daytona_sandbox_info info;
    char *at_last;

    usleep(2000); /* it counts milliseconds */
    assert_int_equal(daytona_sandbox_refresh(fx.box), 0);
    assert_int_equal(daytona_sandbox_info(fx.box, &info), 0);
    at_last = strdup(info.last_activity_at);
    daytona_sandbox_info_done(&info);
    return at_last;
}

static int fetch_old(const struct remote_attr *a, int fd)
{
    struct remote_attr old = *a;
    uint64_t len;

    old.ctime_ns -= 60 * NS_PER_S; /* a young one comes another way */
    return remote_fetch(world.r, at("f"), &old, 0, 3, fd, &len);
}

static int fetch_young(const struct remote_attr *a, int fd)
{
    uint64_t len;

    return remote_fetch(world.r, at("f"), a, 0, 3, fd, &len);
}

static int fetch_many(const struct remote_attr *a, int fd)
{
    struct remote_want want = {.path = at("f"), .expect = a, .fd = fd};
    const int r = remote_fetch_many(world.r, &(struct remote_many){.v = &want, .count = 1});

    return r < 0 ? r : want.err;
}

TEST(what_is_fetched_in_the_background_is_no_activity)
{
    static int (*const fetches[])(const struct remote_attr *, int) = {fetch_old, fetch_young,
                                                                      fetch_many};
    const int fd = memfd_create("got", MFD_CLOEXEC);
    struct remote_attr a;
    char *before, *after;

    have_file("f", "one");
    a = attr_of("f");
    for (size_t i = 0; i < 2 * ARRAY_LEN(fetches); i++) {
        const bool background = i % 2 == 0;

        before = last_activity();
        (void)remote_bind_background(background);
        assert_int_equal(fetches[i / 2](&a, fd), 0);
        (void)remote_bind_background(false);
        after = last_activity();
        if (background)
            assert_string_equal(after, before);
        else
            assert_string_not_equal(after, before);
        free(before);
        free(after);
    }
    close(fd);
}

/* ---- the network ---- */

TEST(a_question_survives_one_reset)
{
    have_file("f", "x");
    set_fault("nth=1:reset");
    expect_tree_works();
    set_fault("nth=1:reset-after-commit");
    expect_tree_works();
}

TEST(a_stopped_sandbox_is_down_and_the_helper_is_found_again)
{
    const char *const whole[] = {"", NULL};
    struct remote_ask ask = ask_about(whole);
    struct remote_tree t;

    have_file("f", "x");
    assert_int_equal(daytona_sandbox_stop(fx.box, false, 20000), 0);
    assert_int_equal(remote_tree(world.r, &ask, &t), -EHOSTDOWN);
    assert_int_equal(daytona_sandbox_start(fx.box, 20000), 0);
    expect_tree_works();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        REMOTE_CASE(each_question_is_one_request),
        REMOTE_CASE(a_helper_that_is_there_is_only_run),
        REMOTE_CASE(a_new_sandbox_gets_it_in_three_requests),
        REMOTE_CASE(its_folder_and_file_are_the_users_alone),
        REMOTE_CASE(a_helper_that_was_deleted_or_damaged_comes_back),
        REMOTE_CASE(a_link_or_a_file_in_place_of_its_folder_is_not_trusted),
        REMOTE_CASE(what_arrives_damaged_is_never_run),
        REMOTE_CASE(a_folder_from_which_nothing_runs_is_passed_over),
        REMOTE_CASE(of_many_that_miss_it_one_puts_it_back),
        REMOTE_CASE(a_program_that_cannot_run_there_means_plain_mode),
        REMOTE_CASE(without_a_shell_there_is_no_helper),
        REMOTE_CASE(what_a_command_changed_is_told_unless_it_is_much),
        REMOTE_CASE(short_and_long_questions_come_through_every_shell),
        REMOTE_CASE(a_crowded_directory_and_many_directories),
        REMOTE_CASE(names_of_every_byte_arrive),
        REMOTE_CASE(paths_beyond_one_request_are_split),
        REMOTE_CASE(what_is_ours_is_not_shown),
        REMOTE_CASE(a_small_read_of_a_young_file_knows_its_version_exactly),
        REMOTE_CASE(a_snapshot_is_all_of_what_is_there_now),
        REMOTE_CASE(what_is_fetched_in_the_background_is_no_activity),
        REMOTE_CASE(a_question_survives_one_reset),
        REMOTE_CASE(a_stopped_sandbox_is_down_and_the_helper_is_found_again),
        REMOTE_TREE_CASES,
        REMOTE_CASES,
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
