#include "cli/target.h"

#include "mount/order.h"
#include "util/errtext.h"
#include "util/io.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 << 20 };

bool target_is_path(const char *word)
{
    return word[0] == '.' || strchr(word, '/');
}

/* Same API, whatever the slashes at the end. */
static bool same_url(const char *a, const char *b)
{
    size_t na = strlen(a), nb = strlen(b);

    while (na > 0 && a[na - 1] == '/')
        na--;
    while (nb > 0 && b[nb - 1] == '/')
        nb--;
    return na == nb && memcmp(a, b, na) == 0;
}

/* The API that was asked for by name; NULL: any mount of that sandbox will do. */
static const char *wanted_url(const struct cli *cli)
{
    const char *url = cli_value(cli, "api-url");

    if (!url)
        url = getenv("DAYTONA_API_URL");
    if (!url)
        url = getenv("DAYTONA_SERVER_URL");
    return url && *url ? url : NULL;
}

/* Takes e's strings over. */
static void take_entry(struct target *t, struct registry_entry *e)
{
    t->mount = *e;
    t->mounted = true;
    *e = (struct registry_entry){0};
}

static int find_sandbox(struct target *t, const struct cli *cli, const char *word)
{
    const char *url = wanted_url(cli);
    struct registry_entry *list, *best = NULL;
    size_t count;
    int r;

    r = registry_list(&list, &count);
    if (r < 0)
        return cli_fail_errno(r, "cannot read the list of mounts");
    for (size_t i = 0; i < count; i++) {
        struct registry_entry *e = &list[i];

        if (strcmp(e->sandbox_id, word) != 0 && strcmp(e->sandbox_name, word) != 0)
            continue;
        if (url && !same_url(e->api_url, url))
            continue;
        if (!best || strlen(e->path) < strlen(best->path))
            best = e;
    }
    t->sandbox = word;
    if (best)
        take_entry(t, best);
    registry_list_free(list, count);
    t->rest = strdup("");
    return t->rest ? EXITCODE_OK : cli_fail_errno(-ENOMEM, "cannot look for the mount");
}

static int find_path(struct target *t, const char *path)
{
    struct registry_entry e;
    int r = registry_find_path(path, &e, &t->rest);

    if (r == 0)
        take_entry(t, &e);
    return r;
}

int target_find(struct target *t, const struct cli *cli, const char *word)
{
    int r;

    *t = (struct target){0};
    if (word && !*word)
        return cli_fail_usage(cli, "the name of the sandbox or mount is empty");
    if (word && !target_is_path(word))
        return find_sandbox(t, cli, word);
    r = find_path(t, word ? word : ".");
    if (r == 0)
        return EXITCODE_OK;
    if (r != -ENOENT)
        return cli_fail_errno(r, word ? word : "the current directory");
    if (word)
        return cli_fail(EXITCODE_NOT_FOUND,
                        "%s is not in a mount: `daytonafs mounts` shows what is mounted", word);
    return cli_fail_usage(cli, "which sandbox? Name one, or run this below a mount");
}

int target_find_mount(struct target *t, const struct cli *cli, const char *word, const char *what)
{
    int r = target_find(t, cli, word);

    if (r != EXITCODE_OK)
        return r;
    if (!t->mounted) {
        cli_fail(0, "%s needs a mount of '%s': make one with `daytonafs %s DIR`", what, word, word);
        cli_hint_path(word);
        return EXITCODE_NOT_FOUND;
    }
    if (!*t->mount.ctl_name)
        return cli_fail(EXITCODE_OTHER,
                        "%s is mounted with ctl=off, and %s needs its control files", t->mount.dir,
                        what);
    return EXITCODE_OK;
}

void target_done(struct target *t)
{
    registry_entry_done(&t->mount);
    free(t->rest);
    *t = (struct target){0};
}

int target_open(const struct target *t, const char *file, int flags)
{
    return order_open(t->mount.dir, t->mount.ctl_name, file, flags);
}

int target_ask(const struct target *t, const char *file, const char *text, size_t len,
               struct buf *out)
{
    int fd = target_open(t, file, text ? O_RDWR : O_RDONLY);
    int r = fd;

    if (fd >= 0 && text)
        r = io_write(fd, text, len);
    if (r >= 0)
        r = io_read_rest(fd, out);
    if (fd >= 0)
        close(fd);
    return r;
}

int target_order(const struct target *t, const char *line)
{
    int fd = target_open(t, "ctl", O_WRONLY);
    int r = fd;

    if (fd < 0)
        return r;
    r = io_write(fd, line, strlen(line));
    if (close(fd) < 0 && r == 0)
        r = -errno;
    return r;
}

/* The sentence of the last line of errors: what follows "TIME PID FILE ERRNO: ". */
static const char *last_sentence(struct buf *errors, int err)
{
    char *line, *colon;

    while (errors->len > 0 && errors->data[errors->len - 1] == '\n')
        buf_truncate(errors, errors->len - 1);
    if (errors->len == 0)
        return NULL;
    line = strrchr(errors->data, '\n');
    line = line ? line + 1 : errors->data;
    colon = strstr(line, ": ");
    /* Another errno is another failure: that line would mislead. */
    if (!colon || (size_t)(colon - line) < strlen(errtext_name(err)) ||
        strncmp(colon - strlen(errtext_name(err)), errtext_name(err), strlen(errtext_name(err))))
        return NULL;
    return colon + 2;
}

int target_fail(const struct target *t, int code, int err, const char *what)
{
    struct buf errors = BUF_INIT(ANSWER_MAX);
    const char *sentence = NULL;

    if (err == -ENOTCONN) {
        return cli_fail(
            EXITCODE_OTHER,
            "%s: the program behind this mount is gone: `daytonafs umount %s` clears it", what,
            t->mount.dir);
    }
    if (target_ask(t, "errors", NULL, 0, &errors) == 0)
        sentence = last_sentence(&errors, err);
    cli_fail(code, "%s: %s", what, sentence ? sentence : errtext_sentence(err));
    buf_done(&errors);
    return code;
}
