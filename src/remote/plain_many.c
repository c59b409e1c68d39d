/* Several files in one request: bulk-download. */
#include "remote/plain_internal.h"

#include "util/io.h"
#include "util/path.h"

#include <daytona/client.h>
#include <daytona/files.h>

#include <errno.h>
#include <stdlib.h>

struct fetch {
    const struct remote_many *many; /* borrowed */
    size_t *index;                  /* owned: of what is asked for, in many->v */
    uint64_t got;                   /* of the file under way */
};

static struct remote_want *want_of(const struct fetch *f, size_t i)
{
    return &f->many->v[f->index[i]];
}

static void settle(const struct fetch *f, size_t i, int err)
{
    want_of(f, i)->err = err;
    if (f->many->done)
        f->many->done(f->many->arg, f->index[i]);
}

/*
 * A retry sends everything again. What was given away by then is in use: not a byte of it may move,
 * as it could be of a newer version.
 */
static bool is_settled(const struct fetch *f, size_t i)
{
    return want_of(f, i)->err != -EAGAIN;
}

static int take_begin(void *arg, size_t i, int err, uint64_t size)
{
    struct fetch *f = arg;

    f->got = 0;
    if (is_settled(f, i))
        return 0;
    if (err < 0)
        settle(f, i, err);
    else if (size != UINT64_MAX && size != want_of(f, i)->expect->size)
        settle(f, i, -ESTALE);
    return 0;
}

static int take_data(void *arg, size_t i, uint64_t off, const void *p, size_t n)
{
    struct fetch *f = arg;
    const struct remote_want *w = want_of(f, i);
    int r;

    if (is_settled(f, i))
        return 0;
    if (off > w->expect->size || n > w->expect->size - off) {
        settle(f, i, -ESTALE);
        return 0;
    }
    r = io_pwrite(w->fd, p, n, off);
    if (r < 0)
        settle(f, i, r);
    f->got = off + n;
    return 0;
}

static int take_end(void *arg, size_t i)
{
    struct fetch *f = arg;

    if (!is_settled(f, i))
        settle(f, i, f->got == want_of(f, i)->expect->size ? 0 : -ESTALE);
    return 0;
}

static const struct daytona_download_many_ops take = {
    .begin = take_begin,
    .data = take_data,
    .end = take_end,
};

int plain_fetch_many(struct remote *r, const struct remote_many *many)
{
    struct plain *p = (struct plain *)r;
    struct fetch f = {.many = many, .index = calloc(many->count, sizeof(*f.index))};
    const char **paths = calloc(many->count, sizeof(*paths));
    bool was;
    size_t count = 0;
    int err = f.index && paths ? 0 : -ENOMEM;

    for (size_t i = 0; err == 0 && i < many->count; i++) {
        const char *path = many->v[i].path;

        /* One name that is not UTF-8 would spoil the request; fetch has another way for it. */
        if (!plain_is_utf8(path) || plain_is_kernel_file(path)) {
            many->v[i].err = -EILSEQ;
            if (many->done)
                many->done(many->arg, i);
            continue;
        }
        f.index[count] = i;
        paths[count++] = path;
    }
    was = daytona_background_bind(remote_in_background());
    if (err == 0)
        err = daytona_files_download_many(p->sandbox, paths, count, &take, &f);
    (void)daytona_background_bind(was);
    free(paths);
    free(f.index);
    return err < 0 && err != -ENOMEM ? plain_net_error(err) : err;
}
