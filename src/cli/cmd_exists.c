/* daytonafs exists [MOUNT|SANDBOX] PATH */
#include "cli/api.h"
#include "cli/target.h"

#include "util/path.h"
#include "wire/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 1, 0 or -errno. The NUL lets a path hold a newline. */
static int ask_mount(const struct target *t, const char *path)
{
    struct buf answer = BUF_INIT(4096);
    int r = target_ask(t, "exists", path, strlen(path) + 1, &answer);

    if (r == 0) {
        const char *text = buf_str(&answer);

        r = strncmp(text, "yes", 3) == 0 ? 1 : strncmp(text, "no", 2) == 0 ? 0 : -EPROTO;
    }
    buf_done(&answer);
    return r;
}

static int print_answer(const struct cli *cli, const char *path, bool there)
{
    struct buf text = BUF_INIT(65536);
    struct json_out o = {.buf = &text};

    if (!cli_has(cli, "json")) {
        printf("%s\n", there ? "yes" : "no");
        return there ? EXITCODE_OK : EXITCODE_NOT_FOUND;
    }
    json_open(&o, '{');
    json_key(&o, "path");
    json_string(&o, path);
    json_key(&o, "exists");
    json_bool(&o, there);
    json_close(&o, '}');
    if (o.err == 0)
        printf("%s\n", buf_str(&text));
    buf_done(&text);
    return there ? EXITCODE_OK : EXITCODE_NOT_FOUND;
}

static int ask(const struct cli *cli, const struct target *t, const char *path)
{
    struct api api = {0};
    int r;

    if (t->mounted && *t->mount.ctl_name) {
        r = ask_mount(t, path);
        return r < 0 ? target_fail(t, exitcode_of(r, NULL), r, "cannot ask")
                     : print_answer(cli, path, r > 0);
    }
    r = api_open_sandbox(&api, cli, t->sandbox ? t->sandbox : t->mount.sandbox_id);
    if (r == EXITCODE_OK) {
        const int there = daytona_files_exists(api.sandbox, path);

        r = there < 0 ? api_check(&api, there) : print_answer(cli, path, there > 0);
    }
    api_done(&api);
    return r;
}

static int run(struct cli *cli)
{
    const char *path = cli->argv[cli->argc - 1];
    char *local = NULL;
    struct target t;
    int r;

    if (!*path)
        return cli_fail_usage(cli, "the path is empty");
    if (cli->argc == 1 && !target_is_path(path)) {
        /* A bare name is a file here, not a sandbox. */
        local = path_join(".", path);
        if (!local)
            return cli_fail_errno(-ENOMEM, "cannot ask");
    }
    r = target_find(&t, cli, local ? local : cli->argv[0]);
    if (r == EXITCODE_OK && cli->argc == 1)
        path = *t.rest ? t.rest : ".";
    if (r == EXITCODE_OK)
        r = ask(cli, &t, path);
    target_done(&t);
    free(local);
    return r;
}

const struct cli_command cmd_exists = {
    .name = "exists",
    .run = run,
    .usage = "[MOUNT|SANDBOX] PATH",
    .summary = "ask the sandbox itself whether a path exists",
    .text = "The answer is yes (exit code 0) or no (3), and never comes from a cache. PATH alone "
            "is a local path below a mount. After a mount or sandbox it is in the sandbox: "
            "relative to the mount's root (without a mount: the work-dir), or absolute.",
    .flags = CLI_API | CLI_JSON,
    .min = 1,
    .max = 2,
};
