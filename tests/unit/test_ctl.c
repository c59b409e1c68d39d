/*
 * /.ctl over a file system that is only as much as ctl asks of one: its tree is remote_mem, its
 * commands are scripted here, so that a test decides when each ends.
 */
#include "reply.h"
#include "unit.h"

#include "ctl/ctl.h"
#include "remote/backends.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/lock.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_S = 20 };

/* ---- the file system ---- */

struct fs {
    struct remote *remote;
    struct lock lock; /* guards what follows */
    pthread_cond_t changed;
    struct buf errors, log; /* log: what was called, a line each */
    bool gate_open;         /* what `wait` waits for */
    unsigned waiting, scans;
    unsigned background_scans; /* of which nobody waited for so many */
    int sync_err;
};

static void note(struct fs *fs, const char *what, const char *text)
{
    lock_take(&fs->lock);
    (void)buf_printf(&fs->log, "%s %s\n", what, text ? text : "-");
    lock_drop(&fs->lock);
}

static void gate_fired(void *arg)
{
    struct fs *fs = arg;

    pthread_cond_broadcast(&fs->changed); /* without its lock: wait_at_gate looks twice a second */
}

static int wait_at_gate(struct fs *fs)
{
    struct cancel *cancel = cancel_bound();
    int r;

    cancel_hook(cancel, gate_fired, fs);
    lock_take(&fs->lock);
    fs->waiting++;
    pthread_cond_broadcast(&fs->changed);
    while (!fs->gate_open && !cancel_fired(cancel))
        (void)lock_wait_until(&fs->lock, &fs->changed, clock_mono_ns() + 20 * NS_PER_MS);
    fs->waiting--;
    r = fs->gate_open ? 0 : -EINTR;
    lock_drop(&fs->lock);
    cancel_unhook(cancel);
    return r;
}

static void open_gate(struct fs *fs, bool open)
{
    lock_take(&fs->lock);
    fs->gate_open = open;
    pthread_cond_broadcast(&fs->changed);
    lock_drop(&fs->lock);
}

static void until_waiting(struct fs *fs, unsigned n)
{
    const int64_t until_ns = clock_mono_ns() + WAIT_S * NS_PER_S;

    lock_take(&fs->lock);
    while (fs->waiting != n)
        assert_int_equal(lock_wait_until(&fs->lock, &fs->changed,
                                         clock_mono_ns() + 20 * NS_PER_MS) == -ETIMEDOUT &&
                             clock_mono_ns() > until_ns,
                         0);
    lock_drop(&fs->lock);
}

static char *text_of(struct fs *fs, struct buf *b)
{
    char *text;

    lock_take(&fs->lock);
    text = strdup(buf_str(b));
    lock_drop(&fs->lock);
    return text;
}

static unsigned scans_of(struct fs *fs)
{
    unsigned n;

    lock_take(&fs->lock);
    n = fs->scans;
    lock_drop(&fs->lock);
    return n;
}

static void expect_log(struct fs *fs, const char *want)
{
    char *got = text_of(fs, &fs->log);

    assert_string_equal(got, want);
    free(got);
}

static void expect_error(struct fs *fs, const char *part)
{
    char *got = text_of(fs, &fs->errors);

    if (!strstr(got, part))
        fail_msg("\"%s\" is not in:\n%s", part, got);
    free(got);
}

char *fs_sandbox_path(struct fs *fs, const char *text)
{
    return path_resolve("/home", text);
}

char *fs_mount_path(struct fs *fs, const char *path)
{
    if (!path_is_below(path, "/home"))
        return strdup(path);
    return strdup(*path_below(path, "/home") ? path_below(path, "/home") : ".");
}

int fs_sync(struct fs *fs, const char *path, struct buf *left)
{
    note(fs, "sync", path);
    if (path && strcmp(path, "/home/wait") == 0)
        return wait_at_gate(fs);
    if (fs->sync_err && left)
        (void)buf_puts(left, "a.txt: no space\n");
    return fs->sync_err;
}

void fs_retry(struct fs *fs)
{
    note(fs, "retry", NULL);
}

int fs_warm(struct fs *fs, const char *path, size_t *ret_failed)
{
    note(fs, "warm", path);
    *ret_failed = strcmp(path, "/home/bad") == 0 ? 3 : 0;
    return *ret_failed ? -EACCES : 0;
}

int fs_evict(struct fs *fs, const char *path, size_t *ret_kept)
{
    note(fs, "evict", path);
    *ret_kept = strcmp(path, "/home/bad") == 0 ? 2 : 0;
    return *ret_kept ? -EBUSY : 0;
}

void fs_refresh(struct fs *fs, const char *path)
{
    note(fs, "refresh", path);
}

/* A script is words: `wait` until the gate opens, `exit N`, `fail N` (errno), others are output. */
int fs_barrier(struct fs *fs, struct buf *left)
{
    return 0;
}

struct fs_after *fs_after_new(struct fs *fs)
{
    return NULL;
}

struct remote_after *fs_after_ask(struct fs_after *a)
{
    return NULL;
}

void fs_after_end(struct fs *fs, struct fs_after *a)
{
}

struct fs_after *fs_after_free(struct fs_after *a)
{
    return NULL;
}

/* A sandbox that knows no jobs. */
struct remote *fs_remote(struct fs *fs)
{
    static const struct remote_ops ops = {.name = "none"};
    static struct remote none = {.ops = &ops};

    return &none;
}

int fs_exec(struct fs *fs, const char *script, const char *cwd, size_t output_max, struct buf *out,
            int *ret_exit, struct buf *left)
{
    char *copy = strdup(script), *save = NULL;
    int r = 0, code = 0;

    note(fs, "run", "");
    assert_null(cwd);
    for (char *w = strtok_r(copy, " \n", &save); w && r == 0; w = strtok_r(NULL, " \n", &save)) {
        if (strcmp(w, "wait") == 0)
            r = wait_at_gate(fs);
        else if (strcmp(w, "exit") == 0)
            code = atoi(strtok_r(NULL, " \n", &save));
        else if (strcmp(w, "fail") == 0)
            r = -atoi(strtok_r(NULL, " \n", &save));
        else
            r = buf_printf(out, "%s\n", w);
    }
    free(copy);
    *ret_exit = code;
    return r;
}

int fs_exists(struct fs *fs, const char *path)
{
    struct remote_attr attr;
    int r = remote_stat(fs->remote, path, &attr, NULL);

    return r == 0 ? 1 : r == -ENOENT ? 0 : r;
}

int fs_scan(struct fs *fs, const char *path, unsigned depth, size_t max, struct remote_list *ret)
{
    lock_take(&fs->lock);
    fs->scans++;
    fs->background_scans += remote_in_background();
    lock_drop(&fs->lock);
    return remote_list(fs->remote, path, depth, max, ret);
}

/* This one is polled. */
int fs_watch_new(struct fs *fs, const char *path, size_t max, struct fs_watch **ret)
{
    return -EOPNOTSUPP;
}

struct fs_watch *fs_watch_free(struct fs_watch *w)
{
    return NULL;
}

int fs_watch_next(struct fs_watch *w, int64_t wait_ns, struct fs_watch_news *ret)
{
    return -EOPNOTSUPP;
}

int fs_status(struct fs *fs, struct buf *out)
{
    return buf_puts(out, "unsent 0\n");
}

void fs_report(struct fs *fs, pid_t pid, const char *file, int err, const char *fmt, ...)
{
    va_list ap;

    lock_take(&fs->lock);
    va_start(ap, fmt);
    (void)buf_printf(&fs->errors, "%d %s %s: ", (int)pid, file, errtext_name(err));
    (void)buf_vprintf(&fs->errors, fmt, ap);
    (void)buf_putc(&fs->errors, '\n');
    va_end(ap);
    lock_drop(&fs->lock);
}

int fs_errors_text(struct fs *fs, struct buf *out)
{
    int r;

    lock_take(&fs->lock);
    r = buf_puts(out, buf_str(&fs->errors));
    lock_drop(&fs->lock);
    return r;
}

/* ---- the host ---- */

static int host_status(void *arg, struct buf *out)
{
    return buf_puts(out, "sandbox demo\n");
}

static int host_stats(void *arg, struct buf *out)
{
    int *calls = arg;

    return buf_printf(out, "requests %d\n", ++*calls);
}

static int host_start(void *arg)
{
    return -EHOSTDOWN;
}

static const struct ctl_host host = {
    .status = host_status, .stats = host_stats, .start = host_start};

/* ---- one test's surroundings ---- */

struct world {
    struct fs fs;
    struct ctl *ctl;
    int stats_calls;
};

static struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof(*w));
    struct ctl_config config = {
        .name = ".ctl", .uid = 1, .gid = 2, .host = &host, .host_arg = &w->stats_calls};

    lock_init(&w->fs.lock);
    lock_cond_init(&w->fs.changed);
    buf_init(&w->fs.errors, 1 << 20);
    buf_init(&w->fs.log, 1 << 20);
    w->fs.remote = remote_mem_new(0, 0);
    assert_int_equal(remote_mkdir(w->fs.remote, "/home", 0755, NULL), 0);
    assert_int_equal(ctl_new(&config, &w->fs, &w->ctl), 0);
    return w;
}

static void world_free(struct world *w)
{
    ctl_free(w->ctl);
    remote_free(w->fs.remote);
    buf_done(&w->fs.errors);
    buf_done(&w->fs.log);
    pthread_cond_destroy(&w->fs.changed);
    lock_done(&w->fs.lock);
    free(w);
}

static void woken(void *arg, bool changed)
{
    reply_got(arg, changed ? 0 : -ECANCELED, NULL);
}

/* A descriptor as a program has one: one offset for reading and writing. */
struct file {
    struct ctl_handle *h;
    uint64_t off;
    struct reply reply;
};

static int file_open(struct world *w, const char *name, int flags, struct file *f)
{
    struct stat st;

    f->off = 0;
    assert_int_equal(ctl_lookup(w->ctl, CTL_ROOT, name, &st), 0);
    return ctl_open(w->ctl, st.st_ino, flags, 42, &f->h);
}

static struct file *opened(struct world *w, const char *name, int flags)
{
    struct file *f = calloc(1, sizeof(*f));

    assert_int_equal(file_open(w, name, flags, f), 0);
    return f;
}

static void file_close(struct file *f)
{
    ctl_flush(f->h);
    ctl_release(f->h);
    free(f);
}

static ssize_t file_write_n(struct file *f, const char *text, size_t n)
{
    ssize_t r;

    reply_init(&f->reply);
    ctl_write(f->h, f->off, text, n, reply_got, &f->reply);
    r = reply_await(&f->reply);
    if (r > 0)
        f->off += (uint64_t)r;
    return r;
}

static ssize_t file_write(struct file *f, const char *text)
{
    return file_write_n(f, text, strlen(text));
}

static void start_read(struct file *f, size_t size)
{
    reply_init(&f->reply);
    ctl_read(f->h, f->off, size, reply_got, &f->reply);
}

static ssize_t end_read(struct file *f, int ms)
{
    ssize_t r = reply_within(&f->reply, ms);

    if (r > 0)
        f->off += (uint64_t)r;
    return r;
}

static const char *file_read(struct file *f, size_t size)
{
    static char text[64];

    start_read(f, size);
    if (end_read(f, WAIT_S * 1000) >= 0)
        return f->reply.data;
    snprintf(text, sizeof(text), "error %s", errtext_name((int)f->reply.r));
    return text;
}

static char *cat(struct world *w, const char *name)
{
    struct file *f = opened(w, name, O_RDONLY);
    struct buf all = BUF_INIT(1 << 20);
    const char *p;

    while (*(p = file_read(f, 4096)))
        assert_int_equal(buf_puts(&all, p), 0);
    file_close(f);
    return buf_take(&all);
}

static void expect_cat(struct world *w, const char *name, const char *want)
{
    char *text = cat(w, name);

    assert_string_equal(text, want);
    free(text);
}

static void echo(struct world *w, const char *text, const char *name)
{
    struct file *f = opened(w, name, O_WRONLY | O_TRUNC);

    assert_int_equal(file_write(f, text), strlen(text));
    file_close(f);
}

/* ---- names ---- */

TEST(every_file_is_found_and_listed_once)
{
    static const char *const here[] = {
        "help", "version", "status",    "status.json", "stats", "stats.json", "errors", "exit",
        "ctl",  "queue",   "conflicts", "rejected",    "run",   "exists",     "watch",  "jobs"};
    struct world *w = world_new();
    struct ctl_list *list;
    const char *name;
    struct stat st, again;
    size_t n;

    assert_int_equal(ctl_opendir(w->ctl, CTL_ROOT, &list), 0);
    assert_int_equal(ctl_list_cached(list), 0);
    assert_int_equal(ctl_list_parent(list), 0);
    for (n = 0; ctl_entry(list, n, &name, &st) == 0; n++) {
        assert_string_equal(name, here[n]);
        assert_int_equal(ctl_lookup_cached(w->ctl, CTL_ROOT, name, &again), 0);
        assert_int_equal(st.st_ino, again.st_ino);
        assert_int_equal(again.st_size, 0);
        assert_int_equal(again.st_uid, 1);
        assert_int_equal(again.st_mode & 077, 0);
        assert_int_equal(S_ISDIR(again.st_mode), strcmp(name, "jobs") == 0 ||
                                                     strcmp(name, "conflicts") == 0 ||
                                                     strcmp(name, "rejected") == 0);
        ctl_forget(w->ctl, again.st_ino, 1);
    }
    ctl_closedir(list);
    assert_int_equal(n, ARRAY_LEN(here));
    /* The host has none of these. */
    assert_int_equal(ctl_lookup(w->ctl, CTL_ROOT, "config", &st), -ENOENT);
    assert_int_equal(ctl_lookup(w->ctl, CTL_ROOT, "capabilities", &st), -ENOENT);
    assert_int_equal(ctl_lookup(w->ctl, CTL_ROOT, "x", &st), -ENOENT);
    assert_int_equal(ctl_getattr(w->ctl, CTL_ROOT, &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    assert_int_equal(ctl_getattr(w->ctl, CTL_ROOT + 1000, &st), -ENOENT);
    assert_int_equal(ctl_getattr(w->ctl, 1, &st), -ENOENT);
    world_free(w);
}

TEST(what_cannot_be_done_with_a_file_is_refused_at_open)
{
    struct world *w = world_new();
    struct ctl_handle *h;
    struct file f;

    assert_int_equal(file_open(w, "status", O_WRONLY, &f), -EACCES);
    assert_int_equal(file_open(w, "status", O_RDWR, &f), -EACCES);
    assert_int_equal(file_open(w, "help", O_WRONLY, &f), -EACCES);
    assert_int_equal(ctl_open(w->ctl, CTL_ROOT, O_RDONLY, 1, &h), -EISDIR);
    assert_int_equal(ctl_open(w->ctl, 7, O_RDONLY, 1, &h), -ENOENT);
    world_free(w);
}

TEST(help_tells_of_every_file_and_verb_and_fits_a_terminal)
{
    struct buf b = BUF_INIT(100000);
    struct ctl_doc doc;

    assert_int_equal(ctl_help_text(&b), 0);
    for (size_t i = 0; ctl_doc_file(i, &doc); i++)
        assert_non_null(strstr(buf_str(&b), doc.name));
    for (size_t i = 0; ctl_doc_verb(i, &doc); i++)
        assert_non_null(strstr(buf_str(&b), doc.help));
    for (const char *p = buf_str(&b); *p; p += strcspn(p, "\n") + 1)
        assert_in_range(strcspn(p, "\n"), 0, 100);
    buf_done(&b);
}

/* ---- snapshots ---- */

TEST(a_snapshot_is_the_text_of_the_moment_it_was_opened)
{
    struct world *w = world_new();
    struct file *f = opened(w, "stats", O_RDONLY), *g = opened(w, "stats", O_RDONLY);

    assert_string_equal(file_read(f, 9), "requests ");
    assert_string_equal(file_read(f, 100), "1\n");
    assert_string_equal(file_read(f, 100), "");
    f->off = 9;
    assert_string_equal(file_read(f, 100), "1\n");
    assert_string_equal(file_read(g, 100), "requests 2\n");
    file_close(f);
    file_close(g);
    expect_cat(w, "status", "sandbox demo\nunsent 0\n");
    expect_cat(w, "status.json", "{\n  \"sandbox\": \"demo\",\n  \"unsent\": 0\n}\n");
    expect_cat(w, "exit", "");
    expect_cat(w, "errors", "");
    world_free(w);
}

/* ---- questions ---- */

TEST(one_descriptor_asks_and_reads_answer_after_answer)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);

    assert_int_equal(file_write(f, "one two\n"), 8);
    assert_string_equal(file_read(f, 4), "one\n");
    assert_string_equal(file_read(f, 100), "two\n");
    assert_string_equal(file_read(f, 100), "");
    f->off -= 4; /* head gives back what it did not need */
    assert_string_equal(file_read(f, 100), "two\n");
    assert_int_equal(file_write(f, "three\n"), 6);
    assert_int_equal(file_write(f, "four exit 3\n"), 12);
    assert_string_equal(file_read(f, 100), "three\nfour\n");
    assert_string_equal(file_read(f, 100), "");
    expect_cat(w, "exit", "3\n");
    f->off = 0; /* seek(0) starts it over, and the next read goes on from there */
    assert_string_equal(file_read(f, 6), "three\n");
    assert_string_equal(file_read(f, 100), "four\n");
    assert_string_equal(file_read(f, 100), "");
    file_close(f);
    expect_log(&w->fs, "run \nrun \n");
    world_free(w);
}

TEST(a_question_is_asked_once_however_often_descriptors_close)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);

    ctl_flush(f->h);
    assert_int_equal(file_write(f, "a\n"), 2);
    ctl_flush(f->h);
    ctl_flush(f->h);
    assert_string_equal(file_read(f, 100), "a\n");
    ctl_flush(f->h);
    assert_string_equal(file_read(f, 100), "");
    file_close(f);
    expect_log(&w->fs, "run \n");
    world_free(w);
}

TEST(what_a_write_only_descriptor_asks_the_next_reader_gets)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_WRONLY), *g;
    struct stat st;

    assert_int_equal(file_write(f, "wait a exit "), 12);
    assert_int_equal(file_write(f, "7"), 1);
    file_close(f);
    g = opened(w, "run", O_RDONLY);
    start_read(g, 100);
    assert_int_equal(end_read(g, 50), REPLY_NONE);
    open_gate(&w->fs, true);
    assert_int_equal(end_read(g, WAIT_S * 1000), 2);
    assert_string_equal(file_read(g, 100), "");
    file_close(g);
    expect_cat(w, "exit", "7\n");
    expect_cat(w, "run", "a\n"); /* until something else is asked */
    assert_int_equal(ctl_lookup(w->ctl, CTL_ROOT, "run", &st), 0);
    assert_int_equal(st.st_size, 2);
    echo(w, "b", "run");
    expect_cat(w, "run", "b\n");
    world_free(w);
}

TEST(a_reader_of_nothing_gets_the_end_and_a_hint)
{
    struct world *w = world_new();

    expect_cat(w, "run", "");
    expect_cat(w, "watch", "");
    expect_error(&w->fs, "42 .ctl/run ENODATA: nothing was asked");
    expect_error(&w->fs, "42 .ctl/watch ENODATA: nothing was asked");
    world_free(w);
}

TEST(a_command_that_could_not_run_is_an_error_with_a_reason)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);

    assert_int_equal(file_write(f, "fail 5\n"), 7);
    assert_string_equal(file_read(f, 100), "error EIO");
    expect_cat(w, "exit", "125\n");
    expect_error(&w->fs, "42 .ctl/run EIO: the command was not run");
    assert_int_equal(file_write_n(f, "a\0b", 3), 3);
    assert_string_equal(file_read(f, 100), "error EINVAL");
    assert_int_equal(file_write(f, "ok\n"), 3);
    assert_string_equal(file_read(f, 100), "ok\n");
    expect_cat(w, "exit", "0\n");
    file_close(f);
    world_free(w);
}

TEST(a_script_that_is_too_long_is_not_run_in_part)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_WRONLY);
    char *half = malloc(600000);

    memset(half, 'x', 600000);
    assert_int_equal(file_write_n(f, half, 600000), 600000);
    assert_int_equal(file_write_n(f, half, 600000), -EFBIG);
    assert_int_equal(file_write_n(f, "x", 1), -EFBIG);
    file_close(f);
    free(half);
    expect_log(&w->fs, "");
    world_free(w);
}

TEST(the_next_question_waits_for_the_one_before)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);

    assert_int_equal(file_write(f, "wait one\n"), 9);
    ctl_flush(f->h);
    until_waiting(&w->fs, 1);
    reply_init(&f->reply);
    ctl_write(f->h, f->off, "two\n", 4, reply_got, &f->reply);
    assert_int_equal(reply_within(&f->reply, 50), REPLY_NONE);
    open_gate(&w->fs, true);
    assert_int_equal(reply_await(&f->reply), 4);
    f->off += 4;
    assert_string_equal(file_read(f, 100), "two\n");
    file_close(f);
    world_free(w);
}

TEST(an_interrupted_read_can_be_made_again)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);

    assert_int_equal(file_write(f, "wait a\n"), 7);
    start_read(f, 100);
    until_waiting(&w->fs, 1);
    ctl_interrupt(f->h, &w->fs); /* somebody else's wait */
    assert_int_equal(reply_within(&f->reply, 20), REPLY_NONE);
    ctl_interrupt(f->h, &f->reply);
    assert_int_equal(reply_await(&f->reply), -EINTR);
    ctl_interrupt(f->h, &f->reply); /* too late: nothing happens */
    open_gate(&w->fs, true);
    assert_string_equal(file_read(f, 100), "a\n");
    file_close(f);
    world_free(w);
}

TEST(a_command_ends_with_its_reader_unless_nobody_ever_read)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);

    assert_int_equal(file_write(f, "wait\n"), 5);
    start_read(f, 100);
    until_waiting(&w->fs, 1);
    ctl_interrupt(f->h, &f->reply);
    file_close(f);
    until_waiting(&w->fs, 0);
    f = opened(w, "run", O_RDWR);
    assert_int_equal(file_write(f, "wait exit 4\n"), 12);
    file_close(f);
    echo(w, "wait exit 4\n", "run");
    until_waiting(&w->fs, 2);
    open_gate(&w->fs, true);
    until_waiting(&w->fs, 0);
    expect_cat(w, "run", "");
    expect_cat(w, "exit", "4\n");
    expect_error(&w->fs, ".ctl/run EINTR");
    world_free(w);
}

TEST(exists_says_yes_or_no)
{
    struct world *w = world_new();
    struct file *f = opened(w, "exists", O_RDWR);

    assert_int_equal(remote_create(w->fs.remote, "/home/a b", 0644, NULL), 0);
    assert_int_equal(remote_create(w->fs.remote, "/home/a\nb", 0644, NULL), 0);
    assert_int_equal(file_write(f, "a b\n"), 4);
    assert_string_equal(file_read(f, 100), "yes\n");
    assert_int_equal(file_write(f, "x"), 1);
    assert_string_equal(file_read(f, 100), "no\n");
    assert_int_equal(file_write_n(f, "a\nb", 4), 4);
    assert_string_equal(file_read(f, 100), "yes\n");
    assert_int_equal(file_write(f, "a\nb\n"), 4);
    assert_string_equal(file_read(f, 100), "error EINVAL");
    expect_error(&w->fs, ".ctl/exists EINVAL: a question is one path");
    assert_int_equal(file_write(f, "a b/c\n"), 6);
    assert_string_equal(file_read(f, 100), "error ENOTDIR");
    file_close(f);
    echo(w, "/home\n", "exists");
    expect_cat(w, "exists", "yes\n");
    world_free(w);
}

TEST(poll_asks_and_tells_when_the_answer_is_there)
{
    struct world *w = world_new();
    struct file *f = opened(w, "run", O_RDWR);
    struct reply next;
    unsigned events = 0;

    assert_int_equal(file_write(f, "wait a\n"), 7);
    reply_init(&f->reply);
    ctl_poll(f->h, &events, woken, &f->reply);
    assert_int_equal(events & (POLLIN | POLLOUT), 0);
    until_waiting(&w->fs, 1);
    assert_int_equal(reply_within(&f->reply, 30), REPLY_NONE);
    open_gate(&w->fs, true);
    assert_int_equal(reply_await(&f->reply), 0);
    ctl_poll(f->h, &events, NULL, NULL);
    assert_int_equal(events & (POLLIN | POLLOUT), POLLIN | POLLOUT);
    reply_init(&f->reply);
    ctl_poll(f->h, &events, woken, &f->reply);
    reply_init(&next);
    ctl_poll(f->h, &events, woken, &next); /* replaces it, and that is no change */
    assert_int_equal(reply_await(&f->reply), -ECANCELED);
    assert_int_equal(reply_within(&next, 30), REPLY_NONE);
    ctl_release(f->h); /* wakes whoever still waits */
    assert_int_equal(reply_await(&next), 0);
    free(f);
    world_free(w);
}

TEST(many_blocked_readers_leave_the_rest_working)
{
    enum { READERS = 200 };
    struct world *w = world_new();
    struct file *f[READERS], *late;

    for (int i = 0; i < READERS; i++) {
        f[i] = opened(w, "run", O_RDWR);
        assert_int_equal(file_write(f[i], "wait a\n"), 7);
        start_read(f[i], 100);
    }
    until_waiting(&w->fs, READERS);
    expect_cat(w, "version", "daytonafs " DAYTONAFS_VERSION "\n");
    late = opened(w, "exists", O_RDWR);
    assert_int_equal(file_write(late, "x\n"), 2);
    assert_string_equal(file_read(late, 100), "no\n");
    file_close(late);
    open_gate(&w->fs, true);
    for (int i = 0; i < READERS; i++) {
        assert_int_equal(end_read(f[i], WAIT_S * 1000), 2);
        file_close(f[i]);
    }
    world_free(w);
}

TEST(one_question_too_many_is_refused_with_a_reason)
{
    enum { MOST = 256 };
    struct world *w = world_new();
    struct file *f;

    for (int i = 0; i < MOST; i++)
        echo(w, "wait", "run");
    until_waiting(&w->fs, MOST);
    f = opened(w, "run", O_RDWR);
    assert_int_equal(file_write(f, "a\n"), 2);
    assert_string_equal(file_read(f, 100), "error EAGAIN");
    expect_error(&w->fs, "not asked: too many");
    expect_cat(w, "exit", "125\n");
    open_gate(&w->fs, true);
    until_waiting(&w->fs, 0);
    for (int i = 0; strcmp(file_read(f, 100), "a\n") != 0; i++) {
        assert_in_range(i, 0, 1000); /* the threads take a moment to end */
        assert_int_equal(file_write(f, "a\n"), 2);
    }
    file_close(f);
    world_free(w);
}

TEST(the_end_of_it_all_ends_every_wait)
{
    struct world *w = world_new();
    struct file *f[4];

    for (int i = 0; i < 4; i++)
        f[i] = opened(w, i == 3 ? "watch" : i == 2 ? "ctl" : "run", i == 2 ? O_WRONLY : O_RDWR);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(file_write(f[i], "wait"), 4);
        start_read(f[i], 100);
    }
    reply_init(&f[2]->reply);
    ctl_write(f[2]->h, 0, "sync wait\n", 10, reply_got, &f[2]->reply);
    assert_int_equal(file_write(f[3], ".\n"), 2);
    start_read(f[3], 100);
    until_waiting(&w->fs, 3);
    w->ctl = ctl_free(w->ctl);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(reply_within(&f[i]->reply, 0), -EINTR);
        free(f[i]);
    }
    world_free(w);
}

/* ---- verbs ---- */

TEST(verbs_run_in_order_up_to_the_first_bad_line)
{
    struct world *w = world_new();
    struct file *f = opened(w, "ctl", O_WRONLY | O_APPEND);

    assert_int_equal(file_write(f, "sync"), 4);
    assert_int_equal(file_write(f, "# a comment that isn't closed\n\nrefresh 'a b'\nsync\n"), 50);
    assert_int_equal(file_write(f, "sync /x\nsnyc\nrefresh\n"), -EINVAL);
    expect_log(&w->fs, "sync -\nrefresh /home/a b\nsync -\nsync /x\n");
    expect_error(&w->fs, "42 .ctl/ctl EINVAL: no verb is called \"snyc\"; did you mean \"sync\"?");
    assert_int_equal(file_write(f, "sync a b\n"), -EINVAL);
    expect_error(&w->fs, "\"sync\" takes [PATH]");
    assert_int_equal(file_write(f, "sync 'a\n"), -EINVAL);
    assert_int_equal(file_write_n(f, "sync\0", 5), -EINVAL);
    assert_int_equal(file_write(f, "warm src\nretry\n"), 15);
    assert_int_equal(file_write(f, "warm bad\n"), -EACCES);
    expect_error(&w->fs, "3 could not be read, the first: Permission denied");
    assert_int_equal(file_write(f, "evict\n"), -EINVAL);
    assert_int_equal(file_write(f, "evict src\n"), 10);
    assert_int_equal(file_write(f, "evict bad\n"), -EBUSY);
    expect_error(&w->fs, "2 with changes that are not yet sent: they stay here");
    assert_int_equal(file_write(f, "start\n"), -EHOSTDOWN);
    expect_error(&w->fs, "the sandbox was not started");
    assert_int_equal(file_write(f, "stop\n"), -EINVAL); /* the host has no such thing */
    w->fs.sync_err = -ENOSPC;
    assert_int_equal(file_write(f, "sync\n"), -ENOSPC);
    expect_error(&w->fs, "not everything was sent (No space left on device); a.txt: no space");
    file_close(f);
    world_free(w);
}

TEST(a_verb_that_takes_long_can_be_interrupted)
{
    struct world *w = world_new();
    struct file *f = opened(w, "ctl", O_WRONLY);

    reply_init(&f->reply);
    ctl_write(f->h, 0, "sync wait\nrefresh\n", 18, reply_got, &f->reply);
    until_waiting(&w->fs, 1);
    ctl_interrupt(f->h, &f->reply);
    assert_int_equal(reply_await(&f->reply), -EINTR);
    until_waiting(&w->fs, 0);
    file_close(f);
    expect_log(&w->fs, "sync /home/wait\n");
    world_free(w);
}

/* ---- watch ---- */

static void expect_lines(struct file *f, const char *want)
{
    char all[1000] = "";

    while (strlen(all) < strlen(want)) {
        const char *p = file_read(f, 500);

        assert_true(*p);
        assert_true(strlen(all) + strlen(p) < sizeof(all));
        strcat(all, p);
    }
    assert_string_equal(all, want);
}

TEST(watch_tells_what_happens_after_the_path_was_written)
{
    struct world *w = world_new();
    struct remote *r = w->fs.remote;
    struct file *f = opened(w, "watch", O_RDWR), *g;
    unsigned events = 0;

    assert_int_equal(remote_mkdir(r, "/home/src", 0755, NULL), 0);
    assert_int_equal(remote_create(r, "/home/src/old", 0644, NULL), 0);
    assert_int_equal(file_write(f, "src\n"), 4);
    assert_int_equal(remote_create(r, "/home/src/a\tb", 0644, NULL), 0);
    expect_lines(f, "1\tcreate\tsrc/a\\tb\n");
    reply_init(&f->reply);
    ctl_poll(f->h, &events, woken, &f->reply);
    assert_int_equal(events & POLLIN, 0);
    assert_int_equal(remote_rename(r, "/home/src/old", "/home/src/new", 0, NULL), 0);
    assert_int_equal(reply_await(&f->reply), 0);
    expect_lines(f, "2\trename\tsrc/old\tsrc/new\n");
    f->off = 0;
    expect_lines(f, "1\tcreate\tsrc/a\\tb\n2\trename\tsrc/old\tsrc/new\n");

    /* A second one shares the looking, and hears only of what comes after it. */
    assert_int_equal(remote_unlink(r, "/home/src/new"), 0);
    g = opened(w, "watch", O_RDWR);
    assert_int_equal(file_write_n(g, "src\0", 4), 4);
    expect_lines(f, "3\tdelete\tsrc/new\n");
    assert_int_equal(remote_unlink(r, "/home/src/a\tb"), 0);
    assert_int_equal(remote_rmdir(r, "/home/src"), 0);
    expect_lines(g, "4\tdelete\tsrc/a\\tb\n5\tdelete\tsrc\n");
    expect_lines(f, "4\tdelete\tsrc/a\\tb\n5\tdelete\tsrc\n");
    assert_int_equal(remote_mkdir(r, "/home/src", 0755, NULL), 0);
    expect_lines(g, "6\tcreate\tsrc\n");

    /* A write replaces the path. */
    assert_int_equal(file_write(f, "one\n"), 4);
    assert_int_equal(remote_create(r, "/home/one", 0644, NULL), 0);
    expect_lines(f, "7\tcreate\tone\n"); /* no number comes twice */
    file_close(f);
    file_close(g);
    world_free(w);
}

TEST(nobody_looks_while_nobody_watches)
{
    struct world *w = world_new();
    struct file *f;
    unsigned scans;

    echo(w, ".\n", "watch");
    assert_int_equal(scans_of(&w->fs), 0);
    f = opened(w, "watch", O_RDONLY);
    start_read(f, 100);
    for (int i = 0; i < 200 && scans_of(&w->fs) == 0; i++)
        (void)cancel_sleep(10 * NS_PER_MS);
    (void)cancel_sleep(50 * NS_PER_MS);
    assert_int_equal(remote_mkdir(w->fs.remote, "/home/d", 0755, NULL), 0);
    assert_true(end_read(f, WAIT_S * 1000) > 0);
    assert_string_equal(f->reply.data, "1\tcreate\td\n");
    file_close(f);
    (void)cancel_sleep(100 * NS_PER_MS);
    scans = scans_of(&w->fs);
    (void)cancel_sleep(700 * NS_PER_MS);
    assert_int_equal(scans_of(&w->fs), scans);
    world_free(w);
}

TEST(only_the_first_look_wakes_a_sandbox)
{
    struct world *w = world_new();
    struct file *f = opened(w, "watch", O_RDWR);

    assert_int_equal(file_write(f, ".\n"), 2);
    for (int i = 0; i < 1000 && scans_of(&w->fs) < 3; i++)
        (void)cancel_sleep(10 * NS_PER_MS);
    lock_take(&w->fs.lock);
    assert_true(w->fs.scans >= 3);
    assert_int_equal(w->fs.background_scans, w->fs.scans - 1);
    lock_drop(&w->fs.lock);
    file_close(f);
    world_free(w);
}

TEST(a_path_that_cannot_be_watched_fails_the_write)
{
    struct world *w = world_new();
    struct file *f = opened(w, "watch", O_RDWR);

    assert_int_equal(file_write(f, "a\nb\n"), -EINVAL);
    expect_error(&w->fs, ".ctl/watch EINVAL: a question is one path");
    assert_string_equal(file_read(f, 100), "error EINVAL");
    file_close(f);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_file_is_found_and_listed_once),
        cmocka_unit_test(what_cannot_be_done_with_a_file_is_refused_at_open),
        cmocka_unit_test(help_tells_of_every_file_and_verb_and_fits_a_terminal),
        cmocka_unit_test(a_snapshot_is_the_text_of_the_moment_it_was_opened),
        cmocka_unit_test(one_descriptor_asks_and_reads_answer_after_answer),
        cmocka_unit_test(a_question_is_asked_once_however_often_descriptors_close),
        cmocka_unit_test(what_a_write_only_descriptor_asks_the_next_reader_gets),
        cmocka_unit_test(a_reader_of_nothing_gets_the_end_and_a_hint),
        cmocka_unit_test(a_command_that_could_not_run_is_an_error_with_a_reason),
        cmocka_unit_test(a_script_that_is_too_long_is_not_run_in_part),
        cmocka_unit_test(the_next_question_waits_for_the_one_before),
        cmocka_unit_test(an_interrupted_read_can_be_made_again),
        cmocka_unit_test(a_command_ends_with_its_reader_unless_nobody_ever_read),
        cmocka_unit_test(exists_says_yes_or_no),
        cmocka_unit_test(poll_asks_and_tells_when_the_answer_is_there),
        cmocka_unit_test(many_blocked_readers_leave_the_rest_working),
        cmocka_unit_test(one_question_too_many_is_refused_with_a_reason),
        cmocka_unit_test(the_end_of_it_all_ends_every_wait),
        cmocka_unit_test(verbs_run_in_order_up_to_the_first_bad_line),
        cmocka_unit_test(a_verb_that_takes_long_can_be_interrupted),
        cmocka_unit_test(watch_tells_what_happens_after_the_path_was_written),
        cmocka_unit_test(nobody_looks_while_nobody_watches),
        cmocka_unit_test(only_the_first_look_wakes_a_sandbox),
        cmocka_unit_test(a_path_that_cannot_be_watched_fails_the_write),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
