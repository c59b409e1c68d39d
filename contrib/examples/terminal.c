/* terminal - a shell on a terminal of its own, fed with this program's stdin: terminal SANDBOX
 * It is not put into raw mode here: lines are typed when they are complete. */
#include <daytona/daytona.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 125;
}

static int show(void *arg, const void *p, size_t n)
{
    return fwrite(p, 1, n, arg) == n && fflush(arg) == 0 ? 0 : -EIO;
}

/* What there is to type; 0: nothing more will come. */
static int type(struct daytona_pty *pty)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char line[4096];
    ssize_t n;

    if (poll(&input, 1, 0) <= 0)
        return 1;
    n = read(STDIN_FILENO, line, sizeof(line));
    if (n <= 0)
        return daytona_pty_send(pty, "\004", 1); /* as Ctrl-D */
    return daytona_pty_send(pty, line, (size_t)n) < 0 ? -1 : 1;
}

static int use(struct daytona_pty *pty)
{
    struct daytona_pty_exit end = {0};
    int open = 1, r;

    do {
        if (open > 0)
            open = type(pty);
        r = daytona_pty_wait(pty, show, stdout, open > 0 ? 20 : 0, &end);
    } while (r == -EAGAIN);
    return r < 0 ? fail() : end.code;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_pty *pty = NULL;
    char id[64];
    const struct daytona_pty_params params = {.id = id};
    int status;

    if (argc != 2) {
        fprintf(stderr, "usage: terminal SANDBOX\n");
        return 2;
    }
    snprintf(id, sizeof(id), "example-%ld", (long)getpid());
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_pty_create(sandbox, &params) < 0 || daytona_pty_attach(sandbox, id, &pty) < 0)
        status = fail();
    else
        status = use(pty);
    daytona_pty_detach(pty);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
