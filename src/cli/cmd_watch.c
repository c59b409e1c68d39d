/* daytonafs watch [MOUNT|SANDBOX] [PATH] */
#include "cli/target.h"

#include "util/clock.h"
#include "util/io.h"
#include "wire/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_BYTES_MAX = 1 << 20 };

struct watch {
    bool json;
    long left; /* changes until the end; -1: no end */
    int64_t until_ns;
    struct buf pending; /* an incomplete line */
};

/* Undoes \t \n \\ \xHH in place of a buffer of its own. */
static int put_unescaped(struct json_out *o, const char *p, size_t n)
{
    struct buf text = BUF_INIT(LINE_BYTES_MAX);
    int r = 0;

    for (size_t i = 0; r == 0 && i < n; i++) {
        char hex[3] = {0}, c = p[i];

        if (c == '\\' && i + 1 < n) {
            c = p[++i];
            if (c == 'x' && i + 2 < n) {
                memcpy(hex, p + i + 1, 2);
                c = (char)strtol(hex, NULL, 16);
                i += 2;
            } else {
                c = c == 't' ? '\t' : c == 'n' ? '\n' : c;
            }
        }
        r = buf_putc(&text, c);
    }
    if (r == 0)
        json_bytes(o, buf_str(&text), text.len);
    buf_done(&text);
    return r;
}

/* "SEQ<TAB>KIND<TAB>PATH[<TAB>NEW]" as an object. */
static int put_json(const char *line, size_t len)
{
    static const char *const keys[] = {"seq", "kind", "path", "new"};
    struct buf text = BUF_INIT(8 * LINE_BYTES_MAX);
    struct json_out o = {.buf = &text};
    int r = 0;

    json_open(&o, '{');
    for (size_t i = 0; r == 0 && i < sizeof(keys) / sizeof(keys[0]); i++) {
        const char *tab = memchr(line, '\t', len);
        const size_t n = tab ? (size_t)(tab - line) : len;

        json_key(&o, keys[i]);
        if (i == 0)
            json_int(&o, strtoll(line, NULL, 10));
        else
            r = put_unescaped(&o, line, n);
        if (!tab)
            break;
        line += n + 1;
        len -= n + 1;
    }
    json_close(&o, '}');
    r = r < 0 ? r : o.err;
    if (r == 0)
        r = buf_putc(&text, '\n');
    if (r == 0)
        r = io_write(STDOUT_FILENO, text.data, text.len);
    buf_done(&text);
    return r;
}

/* Prints the whole lines that have come. 1: enough of them. */
static int put_lines(struct watch *w)
{
    char *end;
    int r = 0;

    while (r == 0 && w->pending.len > 0 &&
           (end = memchr(w->pending.data, '\n', w->pending.len)) != NULL) {
        const size_t n = (size_t)(end - w->pending.data) + 1;

        r = w->json ? put_json(w->pending.data, n - 1)
                    : io_write(STDOUT_FILENO, w->pending.data, n);
        buf_consume(&w->pending, n);
        if (r == 0 && w->left > 0 && --w->left == 0)
            return 1;
    }
    return r;
}

/* 0 a line may be there, -ETIMEDOUT, -errno. */
static int wait_line(const struct watch *w, int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    int64_t left_ns = w->until_ns - clock_mono_ns();
    int r;

    if (w->until_ns == 0)
        return 0;
    do {
        r = poll(&p, 1, left_ns > 0 ? (int)(left_ns / NS_PER_MS) + 1 : 0);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : r == 0 ? -ETIMEDOUT : 0;
}

static int follow(struct watch *w, int fd)
{
    for (;;) {
        char bytes[4096];
        ssize_t n;
        int r = wait_line(w, fd);

        if (r < 0)
            return r;
        n = read(fd, bytes, sizeof(bytes));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : 0;
        r = buf_append(&w->pending, bytes, (size_t)n);
        if (r == 0)
            r = put_lines(w);
        if (r != 0)
            return r < 0 ? r : 0;
    }
}

static int read_limits(const struct cli *cli, struct watch *w)
{
    const char *count = cli_value(cli, "count"), *since = cli_value(cli, "since");
    int64_t ns = 0;
    char *end;

    if (count) {
        w->left = strtol(count, &end, 10);
        if (end == count || *end || w->left < 1)
            return cli_fail_usage(cli, "--count=%s is no number above 0", count);
    }
    if (since &&
        (since[0] == '\0' || strlen(since) > 19 || strspn(since, "0123456789") != strlen(since)))
        return cli_fail_usage(cli, "--since=%s is no number of a line", since);
    if (cli_duration(cli, "timeout", &ns) != EXITCODE_OK)
        return EXITCODE_USAGE;
    w->until_ns = ns > 0 ? clock_mono_ns() + ns : 0;
    return EXITCODE_OK;
}

/* In one write: the path ends with NUL, which alone would be the end of the question. */
static int put_question(int fd, const char *path, const char *since)
{
    struct buf text = BUF_INIT(LINE_BYTES_MAX);
    int r = buf_append(&text, path, strlen(path) + 1);

    if (r == 0 && since)
        r = buf_printf(&text, "%s\n", since);
    if (r == 0)
        r = io_write(fd, text.data, text.len);
    buf_done(&text);
    return r;
}

static int watch_path(struct watch *w, const struct target *t, const char *path, const char *since)
{
    int fd = target_open(t, "watch", O_RDWR);
    int r = fd;

    if (fd < 0)
        return r;
    r = put_question(fd, path, since);
    if (r == 0) {
        cli_note("watching %s in %s; Ctrl-C ends it", path, t->mount.sandbox_name);
        r = follow(w, fd);
    }
    close(fd);
    return r;
}

static int run(struct cli *cli)
{
    struct watch w = {.json = cli_has(cli, "json"), .left = -1};
    const char *path = ".";
    struct target t = {0};
    int r;

    buf_init(&w.pending, LINE_BYTES_MAX);
    r = read_limits(cli, &w);
    if (r == EXITCODE_OK)
        r = target_find_mount(&t, cli, cli->argc > 0 ? cli->argv[0] : NULL, "watch");
    if (r != EXITCODE_OK)
        goto out;
    if (cli->argc > 1)
        path = cli->argv[1];
    else if (*t.rest)
        path = t.rest;
    r = watch_path(&w, &t, path, cli_value(cli, "since"));
    if (r == -ETIMEDOUT)
        r = EXITCODE_TIMEOUT; /* the user's own limit needs no words */
    else if (r == -EPIPE)
        r = EXITCODE_OK;
    else if (r < 0)
        r = target_fail(&t, exitcode_of(r, NULL), r, "cannot watch");
out:
    target_done(&t);
    buf_done(&w.pending);
    return r;
}

static const struct cli_option options[] = {
    {"count", 'n', "N", "end after so many changes"},
    {"since", 0, "SEQ", "begin with what happened after that line; overflow if that is not known"},
    {"timeout", 0, "TIME", "end with exit code 6 after so long"},
    {0},
};

const struct cli_command cmd_watch = {
    .name = "watch",
    .run = run,
    .usage = "[MOUNT|SANDBOX] [PATH]",
    .summary = "print what changes in the sandbox, one line a change",
    .text = "Lines are SEQ, kind (create, modify, delete, rename, overflow), PATH and, for a "
            "rename, the new path, parted by tabs; tabs, newlines and backslashes in names are "
            "written \\t, \\n and \\\\, other odd bytes \\xHH. After overflow look at the whole "
            "tree again. SEQ rises as long as the mount lives, and --since goes on after one: what "
            "happened "
            "meanwhile is told even if nobody watched, for the few paths watched last. It needs a "
            "mount of the sandbox; the first line comes only after a change.",
    .options = options,
    .flags = CLI_JSON,
    .max = 2,
};
