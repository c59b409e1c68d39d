/* The helper program itself, run on real directories; HELPER_COMMAND may name another one. */
#include "unit.h"

#include "proto/proto.h"
#include "util/base64.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ANSWER_MAX = 64 << 20 };

struct seen {
    char *path; /* of the directory, or of the entry in it */
    struct proto_entry e;
    bool dir, whole;
    int err;
};

struct answer {
    struct buf raw;
    struct seen *v;
    size_t count;
    struct buf data;         /* of PROTO_DATA */
    struct proto_entry file; /* of PROTO_FILE, without its strings */
    char target[256];
    struct proto_start start;
    struct proto_end end;
    bool ended;
};

static const char *helper = HELPER_PROGRAM; /* a command: HELPER_COMMAND, if that is set */
static char root[64];
static bool ask_on_stdin; /* the request is a line of stdin, and more follows it */

static void answer_done(struct answer *a)
{
    for (size_t i = 0; i < a->count; i++)
        free(a->v[i].path);
    free(a->v);
    buf_done(&a->raw);
    buf_done(&a->data);
}

static void add(struct answer *a, struct seen s)
{
    if ((a->count & (a->count - 1)) == 0) /* a sanitizer's realloc copies each time */
        a->v = realloc(a->v, (a->count ? 2 * a->count : 1) * sizeof(*a->v));
    a->v[a->count++] = s;
}

static const struct seen *find(const struct answer *a, const char *path, bool dir)
{
    for (size_t i = 0; i < a->count; i++) {
        if (a->v[i].dir == dir && strcmp(a->v[i].path, path) == 0)
            return &a->v[i];
    }
    return NULL;
}

static void take_entries(struct answer *a, const struct proto_frame *f, const char *dir)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_entry e;

    while (in.p < in.end) {
        struct seen s = {0};

        assert_true(proto_get_entry(&in, &e));
        s.e = e;
        assert_true(asprintf(&s.path, "%s%s%.*s", dir, *dir ? "/" : "", (int)e.name_len, e.name) >
                    0);
        add(a, s);
    }
}

static void take_frame(struct answer *a, const struct proto_frame *f)
{
    static char dir[PROTO_PATH_MAX + 1];
    struct proto_in in = proto_in_frame(f);
    struct proto_dir d;
    const char *p;
    size_t len;

    switch (f->kind) {
    case PROTO_START:
        assert_int_equal(proto_get_start(f, &a->start), 0);
        break;
    case PROTO_DIR:
        assert_int_equal(proto_get_dir(f, &d), 0);
        snprintf(dir, sizeof(dir), "%.*s", (int)d.path_len, d.path);
        add(a, (struct seen){.path = strdup(dir),
                             .dir = true,
                             .whole = d.flags & PROTO_DIR_WHOLE,
                             .err = d.err,
                             .e = d.self});
        break;
    case PROTO_ENTRIES:
        take_entries(a, f, dir);
        break;
    case PROTO_DATA:
        (void)proto_get_uint(&in);
        p = proto_get_string(&in, PROTO_BODY_MAX, &len);
        assert_true(proto_in_done(&in));
        buf_append(&a->data, p, len);
        break;
    case PROTO_FILE:
        assert_true(proto_get_entry(&in, &a->file));
        snprintf(a->target, sizeof(a->target), "%.*s", (int)a->file.target_len,
                 a->file.target ? a->file.target : "");
        break;
    case PROTO_END:
        assert_int_equal(proto_get_end(f, &a->end), 0);
        a->ended = true;
        break;
    default:
        break;
    }
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

/* Runs the helper and takes its answer apart; every byte must be accounted for. */
static struct answer ask(const struct proto_request *req)
{
    static const char token[] = "T0k3nT0k3n";
    struct buf frame = BUF_INIT(2 << 20), command = BUF_INIT(4 << 20), text = BUF_INIT(ANSWER_MAX);
    struct answer a = {.raw = BUF_INIT(ANSWER_MAX), .data = BUF_INIT(ANSWER_MAX)};
    struct buf word = BUF_INIT(4 << 20);
    const size_t t = sizeof(token) - 1;
    char chunk[65536];
    FILE *out;
    size_t n, at = 0;

    assert_int_equal(proto_put_request(&frame, req), 0);
    buf_printf(&command, "%s %s ", helper, token);
    assert_int_equal(base64_encode(&word, frame.data, frame.len), 0);
    if (ask_on_stdin) {
        buf_puts(&word, "\nwhat follows is not looked at\n");
        write_file("request", buf_str(&word));
    }
    buf_puts(&command, ask_on_stdin ? "- <request" : buf_str(&word));
    out = popen(buf_str(&command), "re");
    while ((n = fread(chunk, 1, sizeof(chunk), out)) > 0)
        assert_int_equal(buf_append(&text, chunk, n), 0);
    assert_int_equal(pclose(out), 0);

    assert_true(text.len > 2 * t + 3);
    assert_memory_equal(text.data, "T0k3nT0k3n:", t + 1);
    assert_string_equal(text.data + text.len - t - 2, ":T0k3nT0k3n\n");
    assert_int_equal(base64_decode(&a.raw, text.data + t + 1, text.len - 2 * t - 3), 0);
    while (at < a.raw.len) {
        struct proto_frame f;
        const ssize_t len = proto_get_frame((uint8_t *)a.raw.data + at, a.raw.len - at, &f);

        assert_true(len > 0);
        assert_false(a.ended);
        take_frame(&a, &f);
        at += (size_t)len;
    }
    assert_true(a.ended);
    buf_done(&frame);
    buf_done(&word);
    buf_done(&command);
    buf_done(&text);
    return a;
}

static int enter_new_root(void **state)
{
    strcpy(root, "/tmp/daytonafs-test-XXXXXX");
    return mkdtemp(root) && chdir(root) == 0 ? 0 : -1;
}

static int leave_root(void **state)
{
    char command[256];

    snprintf(command, sizeof(command), "chmod -R u+rwX %s; rm -rf %s", root, root);
    return chdir("/") == 0 ? system(command) : -1;
}

static struct proto_request about(enum proto_verb verb, char **paths, size_t count)
{
    return (struct proto_request){.verb = verb, .root = root, .paths = paths, .path_count = count};
}

static char *whole[] = {""};

TEST(a_tree_comes_with_every_kind_and_every_byte)
{
    struct proto_request req = about(PROTO_VERB_TREE, whole, 1);
    struct answer a;
    struct stat st;

    mkdir("d", 0750);
    mkdir("d/e", 0700);
    write_file("d/f", "hello");
    write_file("d/new\nline \xff", "");
    assert_int_equal(symlink("no where", "d/dangling"), 0);
    assert_int_equal(symlink("..", "d/e/loop"), 0);
    assert_int_equal(link("d/f", "hard"), 0);
    mkfifo("fifo", 0600);
    a = ask(&req);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.end.more, 0);
    assert_true(find(&a, "", true)->whole && find(&a, "d", true) && find(&a, "d/e", true));
    assert_null(find(&a, "d/e/loop", true));
    assert_non_null(find(&a, "d/new\nline \xff", false));
    assert_memory_equal(find(&a, "d/dangling", false)->e.target, "no where", 8);
    assert_int_equal(find(&a, "hard", false)->e.nlink, 2);
    assert_true(S_ISFIFO(find(&a, "fifo", false)->e.mode));
    lstat("d/f", &st);
    assert_true(find(&a, "d/f", false)->e.ino == st.st_ino);
    assert_true(find(&a, "d/f", false)->e.mtime_ns == timespec_to_ns(st.st_mtim));
    assert_true(find(&a, "d/f", false)->e.ctime_ns == timespec_to_ns(st.st_ctim));
    assert_int_equal(find(&a, "d/f", false)->e.size, 5);
    answer_done(&a);
}

TEST(a_limit_stops_between_directories_and_says_so)
{
    struct proto_request req = about(PROTO_VERB_TREE, whole, 1);
    struct answer a;
    char name[32];
    int listed = 0;

    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        mkdir(name, 0755);
        snprintf(name, sizeof(name), "d%d/f", i);
        write_file(name, "");
    }
    req.max_entries = 12;
    a = ask(&req);
    assert_int_equal(a.end.more, 1);
    assert_int_equal(a.end.entries, 12); /* the ten, and two directories with one each */
    for (int i = 0; i < 10; i++) {
        snprintf(name, sizeof(name), "d%d", i);
        assert_non_null(find(&a, name, false));
        listed += find(&a, name, true) != NULL;
    }
    assert_int_equal(listed, 2); /* whichever the file system tells first */
    answer_done(&a);

    req.max_entries = 0;
    req.max_bytes = 1;
    a = ask(&req);
    assert_int_equal(a.end.more, 1);
    assert_int_equal(a.end.entries, 10);
    answer_done(&a);
}

TEST(depth_1000_and_a_crowded_directory_are_walked)
{
    struct proto_request req = about(PROTO_VERB_TREE, whole, 1);
    struct answer a;
    char name[32];
    int fd = open(".", O_RDONLY | O_DIRECTORY);

    for (int i = 0; i < 1000; i++) {
        int next;

        assert_int_equal(mkdirat(fd, "deep", 0755), 0);
        next = openat(fd, "deep", O_RDONLY | O_DIRECTORY);
        close(fd);
        fd = next;
    }
    close(fd);
    mkdir("many", 0755);
    for (int i = 0; i < 20000; i++) {
        snprintf(name, sizeof(name), "many/%d", i);
        close(open(name, O_CREAT | O_WRONLY, 0644));
    }
    a = ask(&req);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.end.entries, 21001);
    answer_done(&a);
}

TEST(what_cannot_be_read_is_said_and_the_rest_goes_on)
{
    char *paths[] = {"closed", "file", "link", "missing", "open"};
    struct proto_request req = about(PROTO_VERB_TREE, paths, 5);
    struct answer a;

    mkdir("closed", 0000);
    mkdir("open", 0755);
    write_file("open/f", "");
    write_file("file", "");
    assert_int_equal(symlink("open", "link"), 0);
    a = ask(&req);
    if (geteuid() != 0)
        assert_int_equal(find(&a, "closed", true)->err, EACCES);
    assert_int_equal(find(&a, "file", true)->err, ENOTDIR);
    assert_true(find(&a, "link", true)->err == ELOOP || find(&a, "link", true)->err == ENOTDIR);
    assert_int_equal(find(&a, "missing", true)->err, ENOENT);
    assert_non_null(find(&a, "open/f", false));
    answer_done(&a);
}

/* Now, so that what was done before is clearly older. */
static int64_t a_moment_later(void)
{
    const struct timespec ts = {.tv_nsec = 60 * NS_PER_MS};

    nanosleep(&ts, NULL);
    return clock_real_ns();
}

TEST(changes_are_those_since_then)
{
    char *paths[] = {"", "a", "b", "gone"};
    struct proto_request req = about(PROTO_VERB_CHANGES, paths, 4);
    struct answer a;

    mkdir("a", 0755);
    mkdir("b", 0755);
    mkdir("gone", 0755);
    write_file("a/same", "1");
    write_file("a/changed", "1");
    write_file("b/removed", "1");
    req.since_ns = a_moment_later();
    (void)a_moment_later();
    a = ask(&req);
    assert_int_equal(a.count, 0);
    answer_done(&a);

    write_file("a/changed", "22");
    unlink("b/removed");
    rmdir("gone");
    a = ask(&req);
    assert_false(find(&a, "a", true)->whole);
    assert_non_null(find(&a, "a/changed", false));
    assert_null(find(&a, "a/same", false));
    assert_true(find(&a, "b", true)->whole);
    assert_null(find(&a, "b/removed", false));
    assert_true(find(&a, "", true)->whole);
    assert_null(find(&a, "gone", false));
    assert_int_equal(find(&a, "gone", true)->err, ENOENT);
    answer_done(&a);
}

TEST(changes_that_are_too_many_to_tell_end_in_time)
{
    struct proto_request req = about(PROTO_VERB_CHANGES, whole, 1);
    struct answer a;
    char name[32];

    for (unsigned i = 0; i < 2000; i++) {
        snprintf(name, sizeof(name), "file-%u", i);
        write_file(name, "");
    }
    req.since_ns = INT64_MIN;
    req.max_bytes = 8 << 10;
    a = ask(&req);
    assert_int_equal(a.end.err, E2BIG);
    assert_true(a.raw.len < 80 << 10); /* a frame of entries more */
    answer_done(&a);
    req.max_bytes = 4 << 20;
    a = ask(&req);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.end.entries, 2000);
    answer_done(&a);
}

TEST(a_forged_mtime_does_not_hide_a_change)
{
    const struct timespec old[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct proto_request req = about(PROTO_VERB_CHANGES, whole, 1);
    struct answer a;

    write_file("f", "1");
    utimensat(AT_FDCWD, "f", old, 0);
    req.since_ns = a_moment_later();
    (void)a_moment_later();
    write_file("f", "2");
    utimensat(AT_FDCWD, "f", old, 0);
    a = ask(&req);
    assert_non_null(find(&a, "f", false));
    answer_done(&a);
}

TEST(waiting_ends_at_the_first_change)
{
    struct proto_request req = about(PROTO_VERB_CHANGES, whole, 1);
    const int64_t start_ns = clock_mono_ns();
    struct answer a;
    pid_t child;

    req.since_ns = a_moment_later();
    (void)a_moment_later();
    req.wait_ms = 300;
    a = ask(&req);
    assert_int_equal(a.count, 0);
    assert_true(clock_mono_ns() - start_ns >= 300 * NS_PER_MS);
    answer_done(&a);

    req.wait_ms = 20000;
    child = fork();
    if (child == 0) {
        (void)a_moment_later();
        write_file("new", "");
        _exit(0);
    }
    a = ask(&req);
    waitpid(child, NULL, 0);
    assert_non_null(find(&a, "new", false));
    assert_true(clock_mono_ns() - start_ns < 10 * NS_PER_S);
    answer_done(&a);
}

TEST(waiting_ends_when_nobody_reads_the_answer)
{
    struct proto_request req = about(PROTO_VERB_CHANGES, whole, 1);
    struct buf frame = BUF_INIT(2 << 20), command = BUF_INIT(4 << 20);
    const int64_t start_ns = clock_mono_ns();
    char first;
    FILE *out;

    req.since_ns = a_moment_later();
    (void)a_moment_later();
    req.wait_ms = 20000;
    assert_int_equal(proto_put_request(&frame, &req), 0);
    assert_int_equal(buf_printf(&command, "exec %s T0k3nT0k3n ", helper), 0);
    assert_int_equal(base64_encode(&command, frame.data, frame.len), 0);
    out = popen(buf_str(&command), "re");
    assert_int_equal(fread(&first, 1, 1, out), 1); /* it runs */
    (void)pclose(out);
    assert_true(clock_mono_ns() - start_ns < 10 * NS_PER_S);
    buf_done(&frame);
    buf_done(&command);
}

static bool may_mount(void)
{
    static bool may, asked;

    if (!asked)
        may = unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    asked = true;
    return may;
}

static char *boot_of(struct proto_request *req)
{
    struct answer a = ask(req);
    char *boot = strndup(a.start.boot, a.start.boot_len);

    answer_done(&a);
    return boot;
}

/* No time of any file moves when something is mounted over it. */
TEST(what_is_mounted_below_the_root_makes_another_start)
{
    char *inside[] = {""}, below[96], beside[96];
    struct proto_request req = about(PROTO_VERB_CHANGES, inside, 1), other = req;
    char *boot, *boot_mounted, *boot_beside, *boot_beside_mounted, *boot_again, *boot_tree;

    if (!may_mount())
        skip();
    mkdir("in", 0755);
    mkdir("in/a b", 0755);
    mkdir("out", 0755);
    write_file("out/f", "");
    snprintf(below, sizeof(below), "%s/in", root);
    snprintf(beside, sizeof(beside), "%s/out", root);
    req.root = below;
    other.root = beside;
    req.since_ns = other.since_ns = a_moment_later();
    boot = boot_of(&req);
    boot_beside = boot_of(&other);
    assert_int_equal(mount("out", "in/a b", NULL, MS_BIND, NULL), 0);
    boot_mounted = boot_of(&req);
    boot_beside_mounted = boot_of(&other);
    req.verb = PROTO_VERB_TREE;
    boot_tree = boot_of(&req);
    req.verb = PROTO_VERB_CHANGES;
    assert_int_equal(umount("in/a b"), 0);
    boot_again = boot_of(&req);

    assert_string_not_equal(boot, boot_mounted);
    assert_string_equal(boot_tree, boot_mounted);
    assert_string_equal(boot, boot_again);
    assert_string_equal(boot_beside, boot_beside_mounted);
    free(boot);
    free(boot_mounted);
    free(boot_beside);
    free(boot_beside_mounted);
    free(boot_again);
    free(boot_tree);
}

static uint64_t device_of(const struct answer *a, const char *path, bool dir)
{
    const uint64_t dev = find(a, path, dir)->e.dev;

    assert_true(dev & 1);
    return dev & ((UINT64_C(1) << PROTO_DEVICE_BITS) - 1);
}

static uint64_t mount_of(const struct answer *a, const char *path, bool dir)
{
    return find(a, path, dir)->e.dev >> PROTO_DEVICE_BITS;
}

TEST(two_mounts_of_one_device_are_told_apart_and_known_again)
{
    char *paths[] = {""};
    struct proto_request req = about(PROTO_VERB_TREE, paths, 1);
    struct answer a, again;

    if (!may_mount())
        skip();
    mkdir("in", 0755);
    mkdir("out", 0755);
    write_file("out/f", "");
    assert_int_equal(mount("out", "in", NULL, MS_BIND, NULL), 0);
    a = ask(&req);
    again = ask(&req);
    assert_int_equal(umount("in"), 0);
    if (getenv("HELPER_COMMAND") && mount_of(&a, "", true) == 0)
        skip(); /* an emulator whose statx(2) does not tell mounts */
    assert_int_equal(device_of(&a, "in", false), device_of(&a, "", true));
    assert_int_equal(device_of(&a, "in/f", false), device_of(&a, "out/f", false));
    assert_int_not_equal(mount_of(&a, "", true), 0);
    assert_int_not_equal(mount_of(&a, "in", false), 0);
    assert_int_not_equal(mount_of(&a, "in", false), mount_of(&a, "out", false));
    assert_int_equal(mount_of(&a, "out", false), mount_of(&a, "", true));
    assert_int_equal(mount_of(&a, "in", false), mount_of(&a, "in", true));
    assert_int_equal(mount_of(&a, "in/f", false), 0); /* it is its directory's */
    assert_int_equal(mount_of(&a, "in", false), mount_of(&again, "in", false));
    assert_int_equal(find(&a, "in/f", false)->e.ino, find(&a, "out/f", false)->e.ino);
    answer_done(&a);
    answer_done(&again);
}

/* ramfs is none of those whose ctime is known to tell. */
TEST(on_other_file_systems_directories_are_listed_in_full)
{
    char *paths[] = {"", "m"};
    struct proto_request req = about(PROTO_VERB_CHANGES, paths, 2);
    struct answer a;

    if (!may_mount())
        skip();
    mkdir("m", 0755);
    assert_int_equal(mount("none", "m", "ramfs", 0, NULL), 0);
    write_file("m/f", "1");
    write_file("g", "1");
    (void)a_moment_later();
    req.since_ns = a_moment_later();
    a = ask(&req);
    assert_int_equal(umount("m"), 0);
    assert_null(find(&a, "g", false));
    assert_true(find(&a, "m", true)->whole);
    assert_non_null(find(&a, "m/f", false));
    answer_done(&a);
}

/* A writer makes, removes, renames and changes the kind of what the walk meets. */
TEST(a_walk_over_what_changes_meanwhile_shows_what_stays)
{
    enum { WALKS = 40 };
    struct proto_request req = about(PROTO_VERB_TREE, whole, 1);
    pid_t child;

    mkdir("d", 0755);
    mkdir("d/stays", 0755);
    write_file("d/stays/f", "");
    child = fork();
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (unsigned i = 0;; i++) {
            char name[32], to[32];

            snprintf(name, sizeof(name), "d/%u", i % 50);
            snprintf(to, sizeof(to), "d/%u", i * 7 % 50);
            (void)!rename(name, to);
            unlink(name);
            rmdir(name);
            switch (i % 3) {
            case 0:
                close(open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
                break;
            case 1:
                mkdir(name, 0700);
                break;
            default:
                (void)!symlink("stays", name);
            }
        }
    }
    for (unsigned i = 0; i < WALKS; i++) {
        struct answer a = ask(&req);

        assert_int_equal(a.end.err, 0);
        assert_true(find(&a, "d", true)->whole);
        assert_true(find(&a, "d/stays", true)->whole);
        assert_non_null(find(&a, "d/stays/f", false));
        answer_done(&a);
    }
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* What is renamed while its directory is listed has been there under one name or the other. */
TEST(a_name_that_changes_while_its_directory_is_listed_is_not_lost)
{
    static const enum proto_verb verbs[] = {PROTO_VERB_TREE, PROTO_VERB_CHANGES};

    setenv("HELPER_MOVES", "2", 1);
    helper = HELPER_STEPS_PROGRAM;
    for (size_t i = 0; i < ARRAY_LEN(verbs); i++) {
        struct proto_request req = about(verbs[i], whole, 1);
        struct answer a;

        mkdir("sub", 0755);
        write_file("moves0", "");
        a = ask(&req);
        assert_null(find(&a, "moves0", false));
        assert_non_null(find(&a, "moves2", false));
        assert_int_equal(a.end.entries, 2);
        assert_true(find(&a, "", true)->whole);
        answer_done(&a);
        unlink("moves2");
    }
    unsetenv("HELPER_MOVES");
    helper = HELPER_PROGRAM;
}

/* One that goes on changing is listed as far as it can be. */
TEST(a_directory_that_never_rests_is_listed_all_the_same)
{
    struct proto_request req = about(PROTO_VERB_TREE, whole, 1);
    struct answer a;

    mkdir("sub", 0755);
    write_file("sub/stays", "");
    write_file("moves0", "");
    setenv("HELPER_MOVES", "1000", 1);
    helper = HELPER_STEPS_PROGRAM;
    a = ask(&req);
    helper = HELPER_PROGRAM;
    unsetenv("HELPER_MOVES");
    assert_int_equal(a.end.err, 0);
    assert_non_null(find(&a, "sub", false));
    assert_non_null(find(&a, "sub/stays", false));
    answer_done(&a);
}

TEST(files_are_read_but_not_links_or_special_ones)
{
    static char data[200000];
    char *path[] = {"d/f"}, *link[] = {"link"}, *fifo[] = {"fifo"};
    struct proto_request req = about(PROTO_VERB_READ, path, 1);
    struct answer a;
    FILE *f;

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (char)(i % 251);
    mkdir("d", 0755);
    f = fopen("d/f", "w");
    fwrite(data, 1, sizeof(data), f);
    fclose(f);
    req.off = 1000;
    req.len = 150000;
    a = ask(&req);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.data.len, 150000);
    assert_memory_equal(a.data.data, data + 1000, 150000);
    answer_done(&a);

    assert_int_equal(symlink("/etc/passwd", "link"), 0);
    req.paths = link;
    a = ask(&req);
    assert_int_equal(a.end.err, ELOOP);
    assert_int_equal(a.data.len, 0);
    answer_done(&a);

    mkfifo("fifo", 0600);
    req.paths = fifo;
    a = ask(&req);
    assert_int_equal(a.end.err, EINVAL);
    answer_done(&a);
}

TEST(stat_tells_what_is_there_links_included)
{
    static char *file[] = {"f"}, *link[] = {"d/link"}, *through[] = {"d/up/f"}, *gone[] = {"gone"};
    struct proto_request req = about(PROTO_VERB_STAT, file, 1);
    struct answer a;
    struct stat st;

    mkdir("d", 0700);
    write_file("f", "hello");
    assert_int_equal(symlink("../gone", "d/link"), 0);
    assert_int_equal(symlink("..", "d/up"), 0);
    stat("f", &st);
    a = ask(&req);
    assert_int_equal(a.file.ino, st.st_ino);
    assert_int_equal(a.file.size, 5);
    assert_int_equal(a.file.ctime_ns, timespec_to_ns(st.st_ctim));
    answer_done(&a);

    req.paths = link;
    a = ask(&req);
    assert_true(S_ISLNK(a.file.mode));
    assert_string_equal(a.target, "../gone");
    answer_done(&a);

    req.paths = whole;
    a = ask(&req);
    assert_true(S_ISDIR(a.file.mode));
    answer_done(&a);

    req.paths = gone;
    a = ask(&req);
    assert_int_equal(a.end.err, 0);
    assert_int_equal(find(&a, "gone", true)->err, ENOENT);
    answer_done(&a);

    req.paths = through; /* no link is followed, not even one that stays below */
    a = ask(&req);
    assert_true(find(&a, "d/up/f", true)->err == ELOOP || find(&a, "d/up/f", true)->err == ENOTDIR);
    answer_done(&a);
}

static struct proto_entry stat_of(char *path)
{
    struct proto_request req = about(PROTO_VERB_STAT, &path, 1);
    struct answer a = ask(&req);
    struct proto_entry e = a.file;

    assert_int_equal(a.end.err, 0);
    answer_done(&a);
    e.name = e.target = NULL;
    return e;
}

TEST(a_later_file_with_the_same_inode_number_is_born_later)
{
    struct proto_entry before, changed, after;

    write_file("f", "1");
    before = stat_of("f");
    if (!before.has_birth)
        skip(); /* the file system does not know it */
    write_file("f", "22");
    changed = stat_of("f");
    (void)a_moment_later();
    unlink("f");
    write_file("f", "333");
    after = stat_of("f");
    assert_true(changed.has_birth && changed.birth_ns == before.birth_ns);
    assert_true(after.has_birth && after.birth_ns > before.birth_ns);
    assert_false(stat_of("").has_birth); /* a directory's may move with what is in it */
}

/* The first change of what is in a lower layer keeps its number, and makes it anew. */
TEST(on_an_overlay_what_is_older_than_it_has_no_birth)
{
    const char *const dirs[] = {"low", "up", "work", "m"};
    struct proto_entry before, changed, new;

    if (!may_mount())
        skip();
    mkdir("low", 0755);
    write_file("low/f", "1");
    (void)a_moment_later();
    for (size_t i = 1; i < ARRAY_LEN(dirs); i++)
        mkdir(dirs[i], 0755);
    if (mount("none", "m", "overlay", 0, "lowerdir=low,upperdir=up,workdir=work") < 0)
        skip();
    before = stat_of("m/f");
    write_file("m/f", "22");
    write_file("m/g", "1");
    changed = stat_of("m/f");
    new = stat_of("m/g");
    assert_int_equal(umount("m"), 0);
    assert_false(before.has_birth);
    assert_true(changed.has_birth && new.has_birth);
}

TEST(a_long_request_comes_as_a_line_of_stdin)
{
    enum { COUNT = 20000 };
    char **paths = calloc(COUNT, sizeof(*paths));
    struct proto_request req = about(PROTO_VERB_CHANGES, paths, COUNT);
    struct answer a;

    req.since_ns = INT64_MIN;
    for (int i = 0; i < COUNT; i++)
        assert_true(asprintf(&paths[i], "%05d-no-such-directory", i * 7) > 0);
    ask_on_stdin = true;
    a = ask(&req);
    ask_on_stdin = false;
    assert_int_equal(a.end.err, 0);
    assert_int_equal(a.count, COUNT);
    assert_int_equal(a.v[COUNT - 1].err, ENOENT);
    answer_done(&a);
    for (int i = 0; i < COUNT; i++)
        free(paths[i]);
    free(paths);
}

TEST(a_request_that_is_cut_is_refused)
{
    char command[1024], text[4096];
    struct buf raw = BUF_INIT(4096);
    FILE *out;
    size_t n;

    snprintf(command, sizeof(command), "printf ZHRoMQEB | %s T0k3nT0k3n -", helper);
    out = popen(command, "re");
    n = fread(text, 1, sizeof(text), out);
    assert_int_equal(pclose(out), 0);
    assert_true(n > 24);
    assert_int_equal(base64_decode(&raw, text + 11, n - 23), 0);
    /* The last frame: END with -EBADMSG, which is two bytes as a number. */
    assert_int_equal((uint8_t)raw.data[raw.len - 3], EBADMSG);
    buf_done(&raw);
}

TEST(nonsense_is_refused)
{
    static const char *const calls[] = {"", "short AAAA", "'bad token1' AAAA", "goodtoken1"};
    char command[1024];

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        snprintf(command, sizeof(command), "%s %s >/dev/null 2>&1", helper, calls[i]);
        assert_int_equal(WEXITSTATUS(system(command)), 2);
    }
}

/* It is sent to each new sandbox. With glibc it is far larger, whatever is done. */
TEST(it_is_at_most_100_kib_where_it_is_made_with_musl)
{
    enum { MOST = 100 << 10, GLIBC = 400 << 10 };
    struct stat st;

    assert_int_equal(stat(HELPER_PROGRAM, &st), 0);
    if (st.st_size > GLIBC)
        skip();
    assert_in_range(st.st_size, 1, MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define ROOTED(test) cmocka_unit_test_setup_teardown(test, enter_new_root, leave_root)
        cmocka_unit_test(it_is_at_most_100_kib_where_it_is_made_with_musl),
        ROOTED(a_tree_comes_with_every_kind_and_every_byte),
        ROOTED(a_limit_stops_between_directories_and_says_so),
        ROOTED(depth_1000_and_a_crowded_directory_are_walked),
        ROOTED(what_cannot_be_read_is_said_and_the_rest_goes_on),
        ROOTED(changes_are_those_since_then),
        ROOTED(changes_that_are_too_many_to_tell_end_in_time),
        ROOTED(a_forged_mtime_does_not_hide_a_change),
        ROOTED(waiting_ends_at_the_first_change),
        ROOTED(waiting_ends_when_nobody_reads_the_answer),
        ROOTED(what_is_mounted_below_the_root_makes_another_start),
        ROOTED(two_mounts_of_one_device_are_told_apart_and_known_again),
        ROOTED(on_other_file_systems_directories_are_listed_in_full),
        ROOTED(a_walk_over_what_changes_meanwhile_shows_what_stays),
        ROOTED(a_name_that_changes_while_its_directory_is_listed_is_not_lost),
        ROOTED(a_directory_that_never_rests_is_listed_all_the_same),
        ROOTED(files_are_read_but_not_links_or_special_ones),
        ROOTED(stat_tells_what_is_there_links_included),
        ROOTED(a_later_file_with_the_same_inode_number_is_born_later),
        ROOTED(on_an_overlay_what_is_older_than_it_has_no_birth),
        ROOTED(a_long_request_comes_as_a_line_of_stdin),
        ROOTED(a_request_that_is_cut_is_refused),
        ROOTED(nonsense_is_refused),
    };

    if (getenv("HELPER_COMMAND"))
        helper = getenv("HELPER_COMMAND");
    if (!*helper) {
        printf("skip: no helper for another architecture, or no qemu to run it\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
