/* daytonafs sync [MOUNT|SANDBOX] [PATH] */
#include "cli/target.h"

#include "mount/order.h"
#include "util/words.h"

#include <errno.h>

static int sync_line(struct buf *line, const char *path)
{
    int r = buf_puts(line, "sync");

    if (r == 0 && *path)
        r = buf_putc(line, ' ');
    if (r == 0 && *path)
        r = words_quote(line, path);
    return r == 0 ? buf_putc(line, '\n') : r;
}

static int run(struct cli *cli)
{
    const char *word = cli->argc > 0 ? cli->argv[0] : NULL;
    struct buf line = BUF_INIT(65536);
    int64_t timeout_ns = 0;
    struct target t;
    int r;

    r = cli_duration(cli, "timeout", &timeout_ns);
    if (r != EXITCODE_OK)
        return r;
    r = target_find_mount(&t, cli, word, "sync");
    if (r != EXITCODE_OK)
        goto out;
    /* Without a word everything is meant, not the directory one happens to be in. */
    r = sync_line(&line, word ? t.rest : "");
    if (r == 0)
        r = order_sync(t.mount.dir, t.mount.ctl_name, buf_str(&line), timeout_ns);
    if (r == -ENOENT || r == -EINVAL || r == -ENOTCONN) {
        r = target_fail(&t, exitcode_of(r, NULL), r, "cannot sync");
    } else if (r == -ETIMEDOUT) {
        r = cli_fail(EXITCODE_QUEUED, "not everything was sent in that time");
        order_list_left(t.mount.dir, t.mount.ctl_name);
    } else if (r < 0) {
        r = target_fail(&t, EXITCODE_QUEUED, r, "sync"); /* which says what is left, too */
    }
out:
    target_done(&t);
    buf_done(&line);
    return r;
}

static const struct cli_option options[] = {
    {"timeout", 0, "TIME", "wait no longer than that (1s, 5m); what is left stays queued"},
    {0},
};

const struct cli_command cmd_sync = {
    .name = "sync",
    .run = run,
    .usage = "[MOUNT|SANDBOX|PATH]",
    .summary = "wait until what was written has arrived in the sandbox",
    .text = "With a path below a mount only that file or directory. The exit code is 8 if "
            "something could not be sent; what is left is listed, and is still sent later. It is "
            "8, too, as long as .ctl/conflicts or .ctl/rejected has something there: `keep` and "
            "`discard` written to .ctl/ctl settle that.",
    .options = options,
    .max = 1,
};
