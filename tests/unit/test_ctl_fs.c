/* /.ctl over the real file system and an in-memory sandbox whose commands are a few words. */
#include "reply.h"
#include "unit.h"

#include "ctl/ctl.h"
#include "remote/backends.h"
#include "remote/wrap.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { READ_MAX = 4999 };

/* ---- a sandbox that understands `touch NAME`, `mv A B`, `cat NAME` and `exit N` ---- */

static int cat_file(struct remote *r, const char *path, struct buf *out)
{
    char name[] = "/tmp/test-ctl-XXXXXX", text[100];
    int fd = mkstemp(name), err;
    uint64_t len = 0;

    assert_true(fd >= 0);
    (void)unlink(name);
    err = remote_fetch(r, path, NULL, 0, sizeof(text), fd, &len);
    if (err == 0) {
        assert_int_equal(pread(fd, text, sizeof(text), 0), len);
        err = buf_append(out, text, len);
    }
    close(fd);
    return err;
}

static int run(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit)
{
    char *script = strdup(exec->script), *save, *line, a[100], b[100], *p, *q;
    int err = 0;

    *ret_exit = 0;
    for (line = strtok_r(script, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        p = q = NULL;
        a[0] = b[0] = '\0';
        (void)sscanf(line, "%*s %99s %99s", a, b);
        assert_true(asprintf(&p, "%s/%s", exec->cwd, a) > 0);
        assert_true(asprintf(&q, "%s/%s", exec->cwd, b) > 0);
        if (strncmp(line, "touch ", 6) == 0)
            err = remote_create(r, p, 0644, NULL);
        else if (strncmp(line, "mv ", 3) == 0)
            err = remote_rename(r, p, q, 0, NULL);
        else if (strncmp(line, "cat ", 4) == 0)
            err = cat_file(r, p, out);
        else if (strncmp(line, "exit ", 5) == 0)
            *ret_exit = atoi(a);
        else
            err = buf_printf(out, "%s: not found\n", line);
        free(p);
        free(q);
    }
    free(script);
    return err;
}

static int around(struct wrap *w, const struct wrap_call *call)
{
    if (call->op == WRAP_EXEC)
        return run(w->inner, call->exec, call->out, call->ret_exit);
    return wrap_forward(w, call);
}

/* ---- one mount without a kernel ---- */

struct rig {
    char dir[64];
    struct remote *remote;
    struct remote_fault *fault;
    struct cache *cache;
    struct fs *fs;
    struct ctl *ctl;
};

static void rig_up(struct rig *g)
{
    struct fs_config fs_config = {.root = "/home",
                                  .mount_dir = "/mnt/box",
                                  .force_uid = -1,
                                  .force_gid = -1,
                                  .coherence_ns = 3600 * NS_PER_S};
    struct ctl_config ctl_config = {.name = ".ctl", .watch_wait_ns = 400 * NS_PER_MS};
    struct remote *mem = remote_mem_new(0, 0);
    struct wrap *w = calloc(1, sizeof(*w));

    strcpy(g->dir, "/tmp/test-ctl-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    assert_int_equal(remote_mkdir(mem, "/home", 0755, NULL), 0);
    wrap_init(w, mem, around, NULL);
    g->remote = remote_fault_new(&w->remote, &g->fault);
    assert_int_equal(cache_new(g->dir, 64 << 20, &g->cache), 0);
    assert_int_equal(fs_new(&fs_config, g->remote, g->cache, &g->fs), 0);
    assert_int_equal(ctl_new(&ctl_config, g->fs, &g->ctl), 0);
}

static void rig_down(struct rig *g)
{
    ctl_free(g->ctl);
    fs_free(g->fs);
    cache_free(g->cache);
    remote_free(g->remote);
    rmdir(g->dir);
}

/* ---- calls that wait ---- */

static struct ctl_handle *open_name(struct rig *g, const char *name, int flags)
{
    struct ctl_handle *h;
    struct stat st;

    assert_int_equal(ctl_lookup(g->ctl, CTL_ROOT, name, &st), 0);
    assert_int_equal(ctl_open(g->ctl, st.st_ino, flags, 42, &h), 0);
    return h;
}

static ssize_t put_n(struct ctl_handle *h, const char *text, size_t n)
{
    struct reply reply;

    reply_init(&reply);
    ctl_write(h, 0, text, n, reply_got, &reply);
    return reply_await(&reply);
}

static ssize_t put(struct ctl_handle *h, const char *text)
{
    return put_n(h, text, strlen(text));
}

/* What a read at off gives: bytes, in text, or -errno. */
static ssize_t get(struct ctl_handle *h, uint64_t off, char *text)
{
    struct reply reply;
    ssize_t r;

    reply_init(&reply);
    ctl_read(h, off, READ_MAX, reply_got, &reply);
    r = reply_await(&reply);
    strcpy(text, reply.data);
    return r;
}

static void ask(struct rig *g, const char *name, const char *question, ssize_t want_r,
                const char *want)
{
    struct ctl_handle *h = open_name(g, name, O_RDWR);
    char text[5000];
    ssize_t r;

    assert_int_equal(put(h, question), strlen(question));
    r = get(h, strlen(question), text);
    assert_int_equal(r, want_r < 0 ? want_r : (ssize_t)strlen(want));
    assert_string_equal(text, want);
    ctl_release(h);
}

static void show(struct rig *g, const char *name, char *text)
{
    struct ctl_handle *h = open_name(g, name, O_RDONLY);

    assert_true(get(h, 0, text) >= 0);
    ctl_release(h);
}

static struct fs_file *open_new(struct rig *g, const char *name)
{
    struct fs_open_hints hints;
    struct fs_entry e;
    struct fs_file *f;

    assert_int_equal(fs_create(g->fs, FS_ROOT, name, 0644, O_WRONLY, &e, &f, &hints), 0);
    return f;
}

/* ---- tests ---- */

TEST(a_command_sees_what_was_written_and_what_it_changes_is_seen)
{
    struct fs_entry e;
    struct fs_file *f;
    struct rig g;

    rig_up(&g);
    assert_int_equal(fs_lookup(g.fs, FS_ROOT, "made", &e), 0);
    assert_int_equal(e.ino, 0); /* known to be missing, for an hour */
    f = open_new(&g, "a");
    assert_int_equal(fs_write(f, 0, "unsent\n", 7), 7); /* open, and not flushed */
    ask(&g, "run", "cat a\ntouch made\n", 0, "unsent\n");
    assert_int_equal(fs_lookup(g.fs, FS_ROOT, "made", &e), 0);
    assert_true(e.ino != 0);
    assert_int_equal(fs_flush(f), 0);
    fs_release(f);
    rig_down(&g);
}

TEST(a_command_does_not_start_when_something_could_not_be_sent)
{
    char text[5000];
    struct fs_file *f;
    struct rig g;

    rig_up(&g);
    f = open_new(&g, "a");
    assert_int_equal(fs_write(f, 0, "x", 1), 1);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, -ENOSPC);
    ask(&g, "run", "touch made\n", -ENOSPC, "");
    show(&g, "exit", text);
    assert_string_equal(text, "125\n");
    show(&g, "errors", text);
    assert_non_null(strstr(text, " 42 .ctl/run ENOSPC: not started: not everything was sent"));
    ask(&g, "exists", "made\n", 0, "no\n");
    ask(&g, "run", "exit 3\n", 0, "");
    show(&g, "exit", text);
    assert_string_equal(text, "3\n");
    assert_int_equal(fs_flush(f), 0);
    fs_release(f);
    rig_down(&g);
}

TEST(sync_says_what_is_left)
{
    char text[5000];
    struct ctl_handle *h;
    struct fs_file *f;
    struct rig g;

    rig_up(&g);
    h = open_name(&g, "ctl", O_WRONLY);
    f = open_new(&g, "a b");
    assert_int_equal(fs_write(f, 0, "x", 1), 1);
    show(&g, "status", text);
    assert_non_null(strstr(text, "unsent_files 1\n"));
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, -EACCES);
    assert_int_equal(put(h, "sync\n"), -EACCES);
    show(&g, "errors", text);
    assert_non_null(
        strstr(text, ".ctl/ctl EACCES: not everything was sent (Permission denied); a b: "));
    assert_int_equal(put(h, "sync 'a b'\nrefresh\n"), 19);
    show(&g, "status.json", text);
    assert_non_null(strstr(text, "\"unsent_files\": 0,"));
    assert_int_equal(fs_flush(f), 0);
    fs_release(f);
    ctl_release(h);
    rig_down(&g);
}

TEST(a_watch_of_a_file_tells_when_it_goes_and_comes_back)
{
    struct ctl_handle *h;
    char text[5000];
    struct rig g;

    rig_up(&g);
    ask(&g, "run", "touch a\n", 0, "");
    h = open_name(&g, "watch", O_RDWR);
    assert_int_equal(put(h, "a\n"), 2);
    ask(&g, "run", "mv a b\n", 0, "");
    assert_int_equal(get(h, 2, text), 11);
    assert_string_equal(text, "1\tdelete\ta\n");
    ask(&g, "run", "mv b a\n", 0, "");
    assert_int_equal(get(h, 13, text), 11);
    assert_string_equal(text, "2\tcreate\ta\n");
    ctl_release(h);
    rig_down(&g);
}

TEST(a_watch_of_what_is_not_there_yet_tells_when_it_comes)
{
    struct ctl_handle *h;
    char text[5000];
    struct rig g;

    rig_up(&g);
    h = open_name(&g, "watch", O_RDWR);
    assert_int_equal(put(h, "/home/a\n"), 8);
    ask(&g, "run", "touch a\n", 0, "");
    assert_int_equal(get(h, 8, text), 11);
    assert_string_equal(text, "1\tcreate\ta\n");
    ctl_release(h);
    rig_down(&g);
}

TEST(a_watch_survives_a_look_that_failed)
{
    struct ctl_handle *h;
    char text[5000];
    struct rig g;

    rig_up(&g);
    h = open_name(&g, "watch", O_RDWR);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, -ETIMEDOUT);
    assert_int_equal(put(h, ".\n"), -ETIMEDOUT); /* the first look decides */
    assert_int_equal(put(h, ".\n"), 2);
    remote_fault_set(g.fault, 1, REMOTE_FAULT_BEFORE, -ETIMEDOUT);
    for (int i = 0; i < 200 && remote_fault_calls(g.fault) == 0; i++)
        usleep(20000);
    ask(&g, "run", "touch a\n", 0, "");
    assert_int_equal(get(h, 2, text), 11);
    assert_string_equal(text, "1\tcreate\ta\n");
    show(&g, "errors", text);
    assert_non_null(strstr(text, ".ctl/watch ETIMEDOUT: cannot look at .: "));
    ctl_release(h);
    rig_down(&g);
}

TEST(watching_costs_one_request_for_each_wait_however_many_watch)
{
    struct ctl_handle *h[3];
    unsigned calls;
    struct rig g;

    rig_up(&g);
    for (size_t i = 0; i < ARRAY_LEN(h); i++) {
        h[i] = open_name(&g, "watch", O_RDWR);
        assert_int_equal(put(h[i], ".\n"), 2);
    }
    usleep(100000); /* what was made just before may be told again, once */
    remote_fault_set(g.fault, 0, REMOTE_FAULT_BEFORE, 0);
    usleep(1400000);
    calls = remote_fault_calls(g.fault);
    assert_in_range(calls, 2, 4);
    for (size_t i = 0; i < ARRAY_LEN(h); i++)
        ctl_release(h[i]);
    usleep(100000);
    remote_fault_set(g.fault, 0, REMOTE_FAULT_BEFORE, 0);
    usleep(600000);
    assert_int_equal(remote_fault_calls(g.fault), 0);
    rig_down(&g);
}

/* Asks for ".", from the line on. */
static void expect_since(struct rig *g, const char *line, const char *want)
{
    struct ctl_handle *h = open_name(g, "watch", O_RDWR);
    char text[5000], question[32] = ".";
    const size_t n = 2 + (size_t)sprintf(question + 2, "%s", line);

    assert_int_equal(put_n(h, question, n), n);
    assert_int_equal(get(h, n, text), strlen(want));
    assert_string_equal(text, want);
    ctl_release(h);
}

TEST(a_watch_goes_on_after_a_line_that_is_known)
{
    struct ctl_handle *h;
    char text[5000];
    struct rig g;

    rig_up(&g);
    h = open_name(&g, "watch", O_RDWR);
    assert_int_equal(put(h, ".\n"), 2);
    ask(&g, "run", "touch a\n", 0, "");
    assert_int_equal(get(h, 2, text), 11);
    ask(&g, "run", "touch b\n", 0, "");
    assert_int_equal(get(h, 13, text), 11);
    expect_since(&g, "1\n", "2\tcreate\tb\n");
    ctl_release(h);
    ask(&g, "run", "mv a c\n", 0, ""); /* nobody watches */
    expect_since(&g, "2", "3\trename\ta\tc\n");
    expect_since(&g, "1", "2\tcreate\tb\n3\trename\ta\tc\n");
    expect_since(&g, "0", "4\toverflow\t.\n");
    expect_since(&g, "77", "5\toverflow\t.\n");
    h = open_name(&g, "watch", O_RDWR);
    assert_int_equal(put_n(h, ".\0x\n", 4), -EINVAL);
    ctl_release(h);
    /* Watching others in between, the path is forgotten. */
    for (char name[] = "a\n"; name[0] <= 'f'; name[0]++) {
        h = open_name(&g, "watch", O_RDWR);
        assert_int_equal(put(h, name), 2);
        ctl_release(h);
        usleep(50000);
    }
    expect_since(&g, "3", "6\toverflow\t.\n");
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_sees_what_was_written_and_what_it_changes_is_seen),
        cmocka_unit_test(a_command_does_not_start_when_something_could_not_be_sent),
        cmocka_unit_test(sync_says_what_is_left),
        cmocka_unit_test(a_watch_of_a_file_tells_when_it_goes_and_comes_back),
        cmocka_unit_test(a_watch_of_what_is_not_there_yet_tells_when_it_comes),
        cmocka_unit_test(a_watch_survives_a_look_that_failed),
        cmocka_unit_test(watching_costs_one_request_for_each_wait_however_many_watch),
        cmocka_unit_test(a_watch_goes_on_after_a_line_that_is_known),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
