#include "remote/plain_internal.h"

#include "util/base64.h"

#include <daytona/files.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { EXEC_NOT_STARTED = 125, EXEC_KILLED = 128 + 9 };

/*
 * The user's script is one argument of the sandbox's own shell, with an empty stdin; the exit code
 * leaves on fd 4, the output through base64, byte for byte. A child that keeps stdout open in the
 * background keeps the call waiting, as execute itself does.
 */
static void add_run(struct plain *p, struct shcmd *s, const char *args, const char *cwd,
                    size_t output_max)
{
    shcmd_set(s, "d", cwd);
    shcmd_set(s, "S", p->info.shell);
    /* The redirections are the child's alone: what sh says of a shell that was killed is not
     * the user's. */
    shcmd_add(s,
              "r=$({ { if cd \"$d\" 2>&1;then ( exec \"$S\" %s </dev/null 2>&1 3>&- 4>&- );"
              "else ( exit %d );fi;echo $? >&4; } | head -c %zu | base64 >&3; } 4>&1);"
              "[ -z \"$t\" ]||rm -f \"$t\";exit ${r:-%d};",
              args, EXEC_NOT_STARTED, output_max + 1, EXEC_KILLED);
}

static int upload_script(struct plain *p, const char *path, const struct remote_exec *exec)
{
    const struct daytona_upload upload = {
        .path = path, .data = exec->script, .len = strlen(exec->script)};
    int r = daytona_files_upload(p->sandbox, &upload);

    return r < 0 ? plain_net_error(r) : 0;
}

static int take_output(const struct shcmd_answer *answer, size_t max, struct buf *out,
                       int *ret_exit)
{
    const struct buf *got = &answer->part[0];
    int r;

    if (got->len > max)
        return -EFBIG;
    r = buf_append(out, buf_str(got), got->len);
    if (r == 0)
        *ret_exit = answer->status;
    return r;
}

int plain_exec(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit)
{
    return plain_exec_more(plain_of(r), exec, NULL, out, ret_exit);
}

int plain_exec_more(struct plain *p, const struct remote_exec *exec, const struct plain_more *more,
                    struct buf *out, int *ret_exit)
{
    const size_t len = strlen(exec->script);
    const size_t max = exec->output_max < PLAIN_LIST_MAX ? exec->output_max : PLAIN_LIST_MAX;
    struct buf text = BUF_INIT(2 * PLAIN_SCRIPT_MAX);
    struct shcmd_answer answer;
    char *temp = NULL;
    struct shcmd s;
    int err;

    if (!p->shell)
        return -EOPNOTSUPP;
    shcmd_init(&s);
    if (len <= PLAIN_SCRIPT_MAX) {
        err = base64_encode(&text, exec->script, len);
        shcmd_add(&s, "t=;x=$(printf %%s \"%s\" | base64 -d;echo x);x=${x%%x};", buf_str(&text));
    } else {
        temp = plain_temp_in(p, "/tmp");
        err = temp ? upload_script(p, temp, exec) : -ENOMEM;
        if (err == 0)
            shcmd_set(&s, "t", temp);
        if (p->full)
            plain_temp_add_sweep(&s, "/tmp");
    }
    if (err < 0) {
        shcmd_done(&s);
        goto out;
    }
    add_run(p, &s, temp ? "\"$t\"" : "-c \"$x\"", exec->cwd, max);
    err = plain_run_long(p, &s, 2 * max + PLAIN_SMALL, more, &answer);
    if (err < 0)
        goto out;
    err = take_output(&answer, max, out, ret_exit);
    shcmd_answer_done(&answer);
out:
    free(temp);
    buf_done(&text);
    return err;
}
