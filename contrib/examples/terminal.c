/*
 * terminal - shells on terminals of their own. `open` makes one, `attach` goes to one that is
 * there; both type what comes on stdin. That is not put into raw mode here: lines are typed when
 * they are complete.
 */
#include "example.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

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
    daytona_pty_detach(pty);
    return r < 0 ? r : end.code;
}

static int run_open(const struct example *e)
{
    const struct daytona_pty_params params = {.id = e->argv[0]};
    struct daytona_pty *pty;
    int r = daytona_pty_open(e->sandbox, &params, &pty);

    return r < 0 ? r : use(pty);
}

static int make(const struct example *e)
{
    const struct daytona_pty_params params = {.id = e->argv[0], .cols = 100, .rows = 40};

    return daytona_pty_create(e->sandbox, &params);
}

static int attach(const struct example *e)
{
    struct daytona_pty *pty;
    int r = daytona_pty_attach(e->sandbox, e->argv[0], &pty);

    return r < 0 ? r : use(pty);
}

static void print(const struct daytona_pty_info *info)
{
    printf("%s %lldx%lld\n", info->id, (long long)info->cols, (long long)info->rows);
}

static int list(const struct example *e)
{
    struct daytona_pty_info *v;
    size_t count;
    int r = daytona_pty_list(e->sandbox, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        print(&v[i]);
    daytona_pty_list_free(v, count);
    return 0;
}

static int resize(const struct example *e)
{
    struct daytona_pty_info info;
    int r = daytona_pty_resize(e->sandbox, e->argv[0], (unsigned)example_number(e, 1),
                               (unsigned)example_number(e, 2));

    if (r == 0)
        r = daytona_pty_info(e->sandbox, e->argv[0], &info);
    if (r < 0)
        return r;
    print(&info);
    daytona_pty_info_done(&info);
    return 0;
}

static int end(const struct example *e)
{
    return daytona_pty_kill(e->sandbox, e->argv[0]);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"open", 1, 1, "NAME", run_open},
        {"make", 1, 1, "NAME", make},
        {"attach", 1, 1, "NAME", attach},
        {"list", 0, 0, "", list},
        {"size", 3, 3, "NAME COLUMNS ROWS", resize},
        {"end", 1, 1, "NAME", end},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
