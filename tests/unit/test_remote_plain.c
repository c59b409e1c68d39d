/* remote_plain against the local server, with each shell and each set of tools it may meet. */
#include "remote_cases.h"

#include "remote/stats.h"
#include "server/server.h"

#include <daytona/daytona.h>

#include <dirent.h>
#include <ftw.h>

#define KEY "a-key-for-tests-only"

struct variant {
    const char *name;
    const char *shell; /* as the server's fault spec has it */
    const char *tools; /* all there are in its PATH; "": the system's */
    int (*run)(void);
    unsigned caps, not_caps;
};

static const struct variant *variant; /* the running one */

enum {
    FULL = REMOTE_CAP_EXEC | REMOTE_CAP_LSTAT | REMOTE_CAP_LINKS | REMOTE_CAP_REPLACE |
           REMOTE_CAP_RMDIR | REMOTE_CAP_TIMES | REMOTE_CAP_TRUNCATE | REMOTE_CAP_STATFS |
           REMOTE_CAP_TREE,
};

static struct {
    char state[64];
    char bin[64]; /* a PATH with busybox and nothing else */
    struct server *server;
    struct daytona_client *client;
    struct daytona_sandbox *box;
    struct stats *stats;
    char *work_dir;
} fx;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    return remove(path);
}

static void remove_tree(const char *path)
{
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int start_server(void)
{
    struct server_config config = {
        .state_dir = fx.state, .key = KEY, .key_len = strlen(KEY), .no_isolation = true};
    struct daytona_config client = {.api_key = KEY, .observe = stats_observe};
    struct daytona_sandbox_params params = {.name = "box"};
    struct buf why = BUF_INIT(4096);
    int r;

    strcpy(fx.state, "/tmp/daytonafs-plain.XXXXXX");
    if (!mkdtemp(fx.state))
        return -errno;
    r = server_start(&config, &fx.server, &why);
    if (r < 0) {
        print_error("server: %s\n", buf_str(&why));
        buf_done(&why);
        return r;
    }
    fx.stats = stats_new();
    client.api_url = server_url(fx.server);
    client.observe_arg = fx.stats;
    r = daytona_client_new(&client, &fx.client);
    if (r == 0)
        r = daytona_sandbox_create(fx.client, &params, 30000, &fx.box);
    if (r == 0)
        r = daytona_sandbox_work_dir(fx.box, &fx.work_dir);
    return r;
}

static void stop_server(void)
{
    fx.box = daytona_sandbox_unref(fx.box);
    fx.client = daytona_client_free(fx.client);
    fx.server = server_free(fx.server);
    fx.stats = stats_free(fx.stats);
    free(fx.work_dir);
    fx.work_dir = NULL;
    remove_tree(fx.state);
}

static int make_bin(void)
{
    strcpy(fx.bin, "/tmp/daytonafs-bin.XXXXXX");
    if (!mkdtemp(fx.bin))
        return -errno;
    return 0;
}

static void fill_bin(void)
{
    static const char *const applets[] = {
        "sh",    "base64", "cat",      "chmod", "chown", "cut",      "date",   "dd",
        "echo",  "find",   "grep",     "head",  "id",    "ln",       "ls",     "mkdir",
        "mv",    "printf", "rm",       "rmdir", "sleep", "stat",     "tail",   "tee",
        "touch", "tr",     "truncate", "uname", "wc",    "readlink", "mkfifo",
    };
    char link[128];

    for (size_t i = 0; i < ARRAY_LEN(applets); i++) {
        snprintf(link, sizeof(link), "%s/%s", fx.bin, applets[i]);
        assert_int_equal(symlink("/usr/bin/busybox", link), 0);
    }
}

/* Only what a sandbox without perl, python and GNU find has; mv and others are the system's. */
static void fill_mv_bin(void)
{
    static const char *const tools[] = {
        "sh",   "base64",   "cat",   "chmod",  "chown", "date",     "dd",
        "find", "grep",     "head",  "id",     "ln",    "ls",       "mkdir",
        "mv",   "rm",       "rmdir", "stat",   "tail",  "tee",      "touch",
        "tr",   "truncate", "uname", "unlink", "wc",    "readlink", "sleep",
    };
    char link[128], target[64];

    for (size_t i = 0; i < ARRAY_LEN(tools); i++) {
        snprintf(link, sizeof(link), "%s/%s", fx.bin, tools[i]);
        snprintf(target, sizeof(target), "/usr/bin/%s", tools[i]);
        assert_int_equal(symlink(target, link), 0);
    }
}

/* A shell that finds nothing but what is in bin. */
static void wrap_shell(const char *shell)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof(path), "%s/shell", fx.bin);
    f = fopen(path, "w");
    assert_non_null(f);
    fprintf(f, "#!/bin/sh\nPATH=%s exec %s\n", fx.bin, shell);
    assert_int_equal(fchmod(fileno(f), 0755), 0);
    fclose(f);
}

static int enter_variant(void **state)
{
    const struct variant *v = variant;
    struct buf why = BUF_INIT(4096);
    struct remote_info info;
    char fault[128];

    make_bin();
    if (strcmp(v->tools, "busybox") == 0)
        fill_bin();
    if (strcmp(v->tools, "mv") == 0)
        fill_mv_bin();
    if (start_server() < 0)
        return -1;
    if (v->tools[0])
        wrap_shell(v->shell);
    if (v->tools[0])
        snprintf(fault, sizeof(fault), "shell=%s/shell", fx.bin);
    else
        snprintf(fault, sizeof(fault), "shell=%s", v->shell);
    if (server_set_fault(fx.server, fault, &why) < 0) {
        print_error("fault: %s\n", buf_str(&why));
        return -1;
    }
    buf_done(&why);
    if (remote_plain_new(fx.box, 30, &world.r) < 0 || remote_info(world.r, &info) < 0)
        return -1;
    world.caps = info.caps;
    world.privileged = info.privileged;
    remote_info_done(&info);
    if ((world.caps & v->caps) != v->caps || (world.caps & v->not_caps)) {
        print_error("capabilities %x: %x wanted, not %x\n", world.caps, v->caps, v->not_caps);
        return -1;
    }
    return 0;
}

static int leave_variant(void **state)
{
    world.r = remote_free(world.r);
    stop_server();
    remove_tree(fx.bin);
    return 0;
}

static int world_enter(void **state)
{
    snprintf(world.dir, sizeof(world.dir), "%s/case.XXXXXX", fx.work_dir);
    return mkdtemp(world.dir) ? chmod(world.dir, 0755) : -1;
}

static int world_leave(void **state)
{
    remove_tree(world.dir);
    return 0;
}

/* ---- what only this backend has ---- */

static unsigned requests(void)
{
    struct buf text = BUF_INIT(65536);
    unsigned n = 0;
    char *line;

    assert_int_equal(stats_text(fx.stats, &text), 0);
    line = strstr(buf_str(&text), "\nrequests ");
    assert_non_null(line);
    n = (unsigned)strtoul(line + strlen("\nrequests "), NULL, 10);
    buf_done(&text);
    return n;
}

#define COSTS(want, call)                                                                          \
    do {                                                                                           \
        const unsigned before = requests();                                                        \
        assert_int_equal(call, 0);                                                                 \
        assert_int_equal(requests() - before, want);                                               \
    } while (0)

/* One that counts took no longer than a change is young. */
static struct remote_attr young_fetch_costs_two(const char *name, uint64_t bytes, int fd)
{
    struct remote_attr a;
    int64_t start_ns;
    uint64_t len;
    unsigned costs;

    for (unsigned i = 0; i < 20; i++) {
        start_ns = clock_real_ns();
        assert_int_equal(chmod(at(name), 0644), 0);
        a = attr_of(name);
        costs = requests();
        assert_int_equal(remote_fetch(world.r, at(name), &a, 0, bytes, fd, &len), 0);
        costs = requests() - costs;
        if (clock_real_ns() - start_ns < 2 * NS_PER_S)
            break;
    }
    assert_int_equal(costs, 2);
    return a;
}

TEST(each_call_costs_what_is_written)
{
    enum { BIG = 100 * 1000 };
    char *big;
    struct remote_list list;
    struct remote_statfs statfs;
    struct remote_attr a, b;
    struct buf out = BUF_INIT(1000);
    int status, fd = memfd_create("got", MFD_CLOEXEC);
    struct remote_exec exec = {.script = "true", .cwd = "/", .output_max = 10};

    NEED(FULL);
    big = calloc(1, BIG);
    COSTS(1, remote_create(world.r, at("f"), 0644, &a));
    COSTS(1, remote_stat(world.r, at("f"), &a, NULL));
    COSTS(1, put_bytes("f", "small", 5, &a, 1000, &a));
    COSTS(2, put_bytes("f", big, BIG, &a, 1000, &a));
    COSTS(3, put_bytes("g", big, BIG, NULL, 1000, &b));
    a = young_fetch_costs_two("f", BIG, fd);
    COSTS(1, remote_mkdir(world.r, at("d"), 0700, NULL));
    COSTS(1, remote_symlink(world.r, "x", at("s"), NULL));
    COSTS(1, remote_link(world.r, at("f"), at("l"), NULL));
    COSTS(2, put_bytes("l", big, BIG, &b, 1000, &a)); /* in place, as it has two names */
    COSTS(1, remote_rename(world.r, at("f"), at("g"), 0, NULL));
    COSTS(1, set_attr("g", REMOTE_SET_MODE | REMOTE_SET_MTIME | REMOTE_SET_SIZE, &a, NULL));
    COSTS(1, remote_list(world.r, world.dir, 5, 100, &list));
    COSTS(1, remote_statfs(world.r, world.dir, &statfs));
    COSTS(1, remote_unlink(world.r, at("g")));
    COSTS(1, remote_rmdir(world.r, at("d")));
    COSTS(1, remote_exec(world.r, &exec, &out, &status));
    remote_list_done(&list);
    buf_done(&out);
    close(fd);
    free(big);
}

static int run(const char *script, size_t max, struct buf *out)
{
    struct remote_exec exec = {.script = script, .cwd = world.dir, .output_max = max};
    int status = -1, r;

    buf_truncate(out, 0);
    r = remote_exec(world.r, &exec, out, &status);
    return r < 0 ? r : status;
}

TEST(a_command_runs_as_it_is_written)
{
    static const struct {
        const char *script, *output;
        int status;
    } rows[] = {
        {"echo one\necho two >&2\necho three", "one\ntwo\nthree\n", 0},
        {"exit 7", "", 7},
        {"false", "", 1},
        {"echo \"it's\" 'a \"b\"' \\$HOME", "it's a \"b\" $HOME\n", 0},
        {"read x; echo \"<$x>\"; echo next", "<>\nnext\n", 0}, /* stdin is empty */
        {"cat <<E\nhere $((1+1))\nE\n", "here 2\n", 0},
        {"f() {\n  echo in f\n}\nf", "in f\n", 0},
        {"printf 'no newline'", "no newline", 0},
        {"printf '\\n\\n'", "\n\n", 0},
        {"kill -9 $$", "", 137},
        {"nosuchcommand_ 2>/dev/null", "", 127},
        {"printf \"\xc3\xa9\xff\"", "\xc3\xa9\xff", 0},
        {"", "", 0},
        {"case x in x) echo '%s';; esac # a comment", "%s\n", 0},
    };
    struct buf out = BUF_INIT(100000);

    NEED(REMOTE_CAP_EXEC);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const int status = run(rows[i].script, 1000, &out);

        if (status != rows[i].status || strcmp(buf_str(&out), rows[i].output) != 0)
            fail_msg("%s: %d, \"%s\"", rows[i].script, status, buf_str(&out));
    }
    assert_int_equal(run("pwd", 1000, &out), 0);
    assert_int_equal(strncmp(buf_str(&out), world.dir, strlen(world.dir)), 0);
    assert_int_equal(run("printf 'a\\0b'", 1000, &out), 0);
    assert_int_equal(out.len, 3);
    assert_memory_equal(out.data, "a\0b", 3);
    buf_done(&out);
}

TEST(a_command_has_bounds)
{
    struct buf out = BUF_INIT(1000000);
    struct remote_exec exec = {.script = "true", .cwd = "/nonexistent", .output_max = 1000};
    char *script;
    int status;

    NEED(REMOTE_CAP_EXEC);
    script = malloc(200001);
    assert_int_equal(run("printf 12345", 5, &out), 0);
    assert_int_equal(run("printf 123456", 5, &out), -EFBIG);
    assert_int_equal(out.len, 0);
    assert_int_equal(run("while :; do echo again; done", 100000, &out), -EFBIG); /* it ends */
    assert_int_equal(remote_exec(world.r, &exec, &out, &status), 0);
    assert_int_equal(status, 125);
    assert_non_null(strstr(buf_str(&out), "nonexistent"));

    /* Longer than one argument may be, with a shell that is told by its file. */
    memset(script, '#', 200000);
    strcpy(script + 199980, "\necho long; exit 3\n");
    assert_int_equal(run(script, 1000, &out), 3);
    assert_string_equal(buf_str(&out), "long\n");
    free(script);
    buf_done(&out);
}

TEST(our_temporary_names_are_never_listed_or_left)
{
    struct dirent *e;
    struct remote_attr a;
    char big[30000] = "x";
    unsigned count = 0;
    DIR *dir;

    NEED(REMOTE_CAP_EXEC);
    have_file("f", "x");
    a = attr_of("f");
    assert_int_equal(put_bytes("f", big, sizeof(big), &a, INT64_MIN, &a), 0);
    have_dir("d");
    assert_int_equal(put_bytes("d", big, sizeof(big), &a, INT64_MIN, NULL), -EISDIR);
    assert_int_equal(put_bytes("d", "small", 5, &a, INT64_MIN, NULL), -EISDIR);
    dir = opendir(world.dir);
    assert_non_null(dir);
    while ((e = readdir(dir)))
        count++;
    closedir(dir);
    assert_int_equal(count, 4); /* . .. f d */
}

/* Those of a mount that may still use them stay, and so does what only looks like one. */
TEST(what_a_mount_that_died_left_is_swept_when_it_is_met)
{
    static const struct {
        const char *name;
        bool old, goes;
    } rows[] = {
        {".daytonafs-0123abcd-00000000", true, true},
        {".daytonafs-ffffffff-0000beef", true, true},
        {".daytonafs-0123abcd-00000001", false, false},
        {".daytonafs-0123abcd-1", true, false}, /* the helper's */
        {".daytonafs-notes", true, false},
        {"x.daytonafs-0123abcd-00000000", true, false},
        {"file", true, false},
    };
    const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct remote_list list;
    struct stat st;

    NEED(FULL);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        have_file(rows[i].name, "x");
        if (rows[i].old)
            assert_int_equal(utimensat(AT_FDCWD, at(rows[i].name), then, 0), 0);
    }
    have_dir(".daytonafs-0123abcd-00000002");
    COSTS(2, remote_list(world.r, world.dir, 1, 100, &list));
    assert_int_equal(list.count, ARRAY_LEN(rows) - 2 + 1);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        assert_int_equal(entry_of(&list, rows[i].name) == NULL, rows[i].goes);
        assert_int_equal(stat(at(rows[i].name), &st) < 0, rows[i].goes);
    }
    remote_list_done(&list);
    COSTS(1, remote_list(world.r, world.dir, 1, 100, &list));
    remote_list_done(&list);
}

TEST(a_parent_that_is_gone_is_not_made_again)
{
    struct remote_attr a;
    char big[30000] = "x";

    NEED(FULL);
    have_dir("d");
    have_file("d/f", "x");
    a = attr_of("d/f");
    assert_int_equal(remote_unlink(world.r, at("d/f")), 0);
    assert_int_equal(remote_rmdir(world.r, at("d")), 0);
    assert_int_equal(put_bytes("d/f", "small", 5, &a, INT64_MIN, NULL), -ENOENT);
    assert_false(exists("d"));
    assert_int_equal(put_bytes("d/f", big, sizeof(big), &a, INT64_MIN, NULL), -ENOENT);
    assert_false(exists("d"));
    /* One that is there stays, and the file is made again, as it was. */
    have_dir("e");
    sleep(1); /* births are compared by the second */
    a.mode = S_IFREG | 0640;
    assert_int_equal(put_bytes("e/f", big, sizeof(big), &a, INT64_MIN, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 0640);
}

TEST(kernel_files_have_content)
{
    struct remote_attr a;
    char text[256] = "";
    uint64_t len;
    int fd = memfd_create("got", MFD_CLOEXEC);

    NEED(REMOTE_CAP_EXEC);
    assert_int_equal(remote_stat(world.r, "/proc/version", &a, NULL), 0);
    assert_int_equal(remote_fetch(world.r, "/proc/version", &a, 0, 4096, fd, &len), 0);
    assert_true(len > 5);
    assert_true(pread(fd, text, sizeof(text) - 1, 0) > 5);
    assert_int_equal(strncmp(text, "Linux", 5), 0);
    close(fd);
}

/* Of the length that names may have: more than one command line takes, and one buffer. */
TEST(many_names_come_in_one_answer)
{
    enum { MANY = 2000 };
    char name[PATH_NAME_MAX + 1];
    struct remote_list list;
    const struct remote_entry *e;

    NEED(REMOTE_CAP_LSTAT);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof(name), "%0*d", PATH_NAME_MAX, i);
        assert_int_equal(close(open(at(name), O_CREAT | O_WRONLY, 0644)), 0);
    }
    COSTS(1, remote_list(world.r, world.dir, 1, 100000, &list));
    assert_int_equal(list.count, MANY);
    assert_false(list.cut);
    e = entry_of(&list, name);
    assert_true(e && S_ISREG(e->attr.mode));
    remote_list_done(&list);
}

TEST(other_kinds_of_file_are_seen_and_never_opened)
{
    struct remote_attr a;
    uint64_t len;
    int fd = memfd_create("got", MFD_CLOEXEC);

    NEED(REMOTE_CAP_LSTAT);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    a = attr_of("fifo");
    assert_true(S_ISFIFO(a.mode));
    assert_int_equal(remote_fetch(world.r, at("fifo"), &a, 0, 1, fd, &len), -EINVAL);
    assert_int_equal(remote_create(world.r, at("fifo"), 0644, NULL), -EEXIST);
    assert_int_equal(put_bytes("fifo", "x", 1, NULL, INT64_MIN, NULL), -EINVAL);
    a.size = 0;
    assert_int_equal(set_attr("fifo", REMOTE_SET_SIZE, &a, NULL), -EINVAL);
    assert_int_equal(remote_rename(world.r, at("fifo"), at("pipe"), 0, NULL), 0);
    assert_int_equal(remote_unlink(world.r, at("pipe")), 0);
    close(fd);
}

TEST(times_are_set_to_the_second_at_least)
{
    const int64_t ns = INT64_C(1700000000) * NS_PER_S + NS_PER_S / 2;
    struct remote_attr a = {.atime_ns = ns - NS_PER_S, .mtime_ns = ns}, target, link;

    NEED(REMOTE_CAP_TOUCH | REMOTE_CAP_LINKS);
    have_file("f", "x");
    target = attr_of("f");
    assert_int_equal(remote_symlink(world.r, "f", at("l"), NULL), 0);
    assert_int_equal(set_attr("l", REMOTE_SET_ATIME | REMOTE_SET_MTIME, &a, &link), 0);
    assert_true(S_ISLNK(link.mode));
    assert_in_range(ns - link.mtime_ns, 0, world.caps & REMOTE_CAP_TIMES ? 0 : NS_PER_S - 1);
    assert_in_range(a.atime_ns - link.atime_ns, 0,
                    world.caps & REMOTE_CAP_TIMES ? 0 : NS_PER_S - 1);
    assert_int_equal(attr_of("f").mtime_ns, target.mtime_ns);
}

/* What the outer shell can spoil, and what differs where there is no rename(2) at hand. */
static const struct CMUnitTest quoting[] = {
    REMOTE_CASE(odd_names_are_names),
    REMOTE_CASE(names_that_are_not_utf8_are_names_too),
    REMOTE_CASE(put_and_fetch_carry_every_byte),
    REMOTE_CASE(a_command_runs_as_it_is_written),
    REMOTE_CASE(a_command_has_bounds),
};
static const struct CMUnitTest renaming[] = {
    REMOTE_CASE(rename_moves_and_replaces_as_posix_says),
    REMOTE_CASE(rename_noreplace_never_replaces),
    REMOTE_CASE(hard_links_share_one_file),
    REMOTE_CASE(links_are_themselves),
};
static const struct CMUnitTest everything[] = {
    REMOTE_CASES,
    REMOTE_CASE(a_command_runs_as_it_is_written),
    REMOTE_CASE(a_command_has_bounds),
    REMOTE_CASE(our_temporary_names_are_never_listed_or_left),
    REMOTE_CASE(what_a_mount_that_died_left_is_swept_when_it_is_met),
    REMOTE_CASE(a_parent_that_is_gone_is_not_made_again),
    REMOTE_CASE(each_call_costs_what_is_written),
    REMOTE_CASE(kernel_files_have_content),
    REMOTE_CASE(many_names_come_in_one_answer),
    REMOTE_CASE(times_are_set_to_the_second_at_least),
    REMOTE_CASE(other_kinds_of_file_are_seen_and_never_opened),
};

static int run_everything(void)
{
    return cmocka_run_group_tests_name(variant->name, everything, enter_variant, leave_variant);
}

static int run_quoting(void)
{
    return cmocka_run_group_tests_name(variant->name, quoting, enter_variant, leave_variant);
}

static int run_renaming(void)
{
    return cmocka_run_group_tests_name(variant->name, renaming, enter_variant, leave_variant);
}

/* clang-format off */
static const struct variant variants[] = {
    {"bash",          "/usr/bin/bash", "",        run_everything, FULL | REMOTE_CAP_EXCHANGE, 0},
    {"zsh",           "/usr/bin/zsh",  "",        run_quoting,    FULL, 0},
    {"dash",          "/usr/bin/dash", "",        run_quoting,    FULL, 0},
    {"no perl",       "/usr/bin/bash", "mv",      run_renaming,   FULL, REMOTE_CAP_EXCHANGE},
    {"busybox tools", "/usr/bin/dash", "busybox", run_everything,
     REMOTE_CAP_EXEC | REMOTE_CAP_REPLACE | REMOTE_CAP_RMDIR | REMOTE_CAP_TRUNCATE |
     REMOTE_CAP_LSTAT | REMOTE_CAP_LINKS | REMOTE_CAP_TOUCH,
     REMOTE_CAP_TREE | REMOTE_CAP_TIMES},
    {"no shell",      "none",          "",        run_everything, 0, FULL | REMOTE_CAP_EXCHANGE},
};
/* clang-format on */

int main(int argc, char **argv)
{
    int failed = 0;

    for (size_t i = 0; i < ARRAY_LEN(variants); i++) {
        variant = &variants[i];
        if (argc > 1 && strcmp(argv[1], variant->name) != 0)
            continue;
        if (variant->shell[0] == '/' && access(variant->shell, X_OK) < 0)
            continue;
        failed += variant->run();
    }
    return failed;
}
