/* find, grep and replace: done by the sandbox, where the data is. */
#include "ctl/box.h"
#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "ctl/reach.h"
#include "util/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <daytona/files.h>

/* A question of words, of at least min. *ret is the caller's, as *ret_text. */
static int words_of(const char *text, size_t len, int min, int max, char ***ret, int *ret_count,
                    char **ret_text, const char *usage, struct buf *why)
{
    int r = memchr(text, '\0', len) ? -EINVAL : 0;

    *ret_text = NULL;
    if (r == 0) {
        *ret_text = strndup(text, len);
        r = *ret_text ? words_split(*ret_text, ret, ret_count) : -ENOMEM;
    }
    if (r == 0 && (*ret_count < min || (max >= 0 && *ret_count > max) || !*(*ret)[0])) {
        free(*ret);
        *ret = NULL;
        r = -EINVAL;
    }
    if (r == -EINVAL)
        (void)buf_printf(why, "the question is: %s; words are quoted as in sh", usage);
    if (r < 0) {
        free(*ret_text);
        *ret_text = NULL;
    }
    return r;
}

static int put_name(struct ctl *ctl, const char *file, struct buf *out)
{
    char *name = fs_mount_path(ctl->fs, file);
    int r = name ? ctltext_escape(out, name, strlen(name)) : -ENOMEM;

    free(name);
    return r;
}

static int put_match(struct ctl *ctl, const struct daytona_match *m, bool line, struct buf *out)
{
    int r = put_name(ctl, m->file, out);

    if (r == 0 && line)
        r = buf_printf(out, ":%lld:", (long long)m->line);
    if (r == 0 && line)
        r = buf_append(out, m->content, strcspn(m->content, "\n"));
    return r == 0 ? buf_putc(out, '\n') : r;
}

typedef int (*search_fn)(struct daytona_sandbox *sandbox, const char *path, const char *pattern,
                         struct daytona_match **ret, size_t *ret_count);

/* What was written before is found; a sandbox that sleeps is woken, as by any question. */
static int search(struct ctl *ctl, search_fn fn, const char *pattern, const char *below,
                  struct daytona_match **ret, size_t *ret_count, struct buf *why)
{
    struct daytona_sandbox *sandbox = ctl->host.sandbox;
    char *path = fs_sandbox_path(ctl->fs, below);
    int r = path ? ctl_barrier(ctl->fs, why) : -ENOMEM;

    if (r == 0)
        r = fn(sandbox, path, pattern, ret, ret_count);
    if (r == -EHOSTDOWN && fs_exists(ctl->fs, "/") >= 0)
        r = fn(sandbox, path, pattern, ret, ret_count);
    free(path);
    return r;
}

static int ask_search(struct ctl *ctl, const char *text, size_t len, search_fn fn, bool lines,
                      const char *usage, struct buf *out, struct buf *why)
{
    struct daytona_match *list = NULL;
    char **words = NULL, *copy = NULL;
    size_t count = 0;
    int word_count = 0, r;

    r = words_of(text, len, 1, 2, &words, &word_count, &copy, usage, why);
    if (r < 0)
        return r;
    r = search(ctl, fn, words[0], word_count > 1 ? words[1] : ".", &list, &count, why);
    if (r < 0)
        ctl_sdk_why(why, r, "not searched");
    for (size_t i = 0; i < count && r == 0; i++)
        r = put_match(ctl, &list[i], lines, out);
    daytona_matches_free(list, count);
    free(words);
    free(copy);
    return r;
}

int ask_find(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
             struct buf *why)
{
    return ask_search(ctl, text, len, daytona_files_search, false, "GLOB [PATH]", out, why);
}

int ask_grep(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
             struct buf *why)
{
    return ask_search(ctl, text, len, daytona_files_find, true, "TEXT [PATH]", out, why);
}

/* ---- replace ---- */

static int put_replaced(struct ctl *ctl, const struct daytona_match *m, struct buf *out)
{
    int r = put_name(ctl, m->file, out);

    if (r == 0 && *m->content)
        r = buf_puts(out, ": ");
    if (r == 0)
        r = ctltext_escape(out, m->content, strlen(m->content));
    return r == 0 ? buf_putc(out, '\n') : r;
}

static int replace(struct ctl *ctl, char *const *words, size_t count, struct buf *out,
                   struct buf *why)
{
    const char **files = calloc(count, sizeof(*files));
    struct daytona_match *list = NULL;
    size_t done = 0;
    int r = files ? 0 : -ENOMEM, put = 0;

    for (size_t i = 2; i < count && r == 0; i++) {
        files[i - 2] = fs_sandbox_path(ctl->fs, words[i]);
        r = files[i - 2] ? 0 : -ENOMEM;
    }
    if (r == 0)
        r = ctl_barrier(ctl->fs, why);
    if (r == 0) {
        r = daytona_files_replace(ctl->host.sandbox, files, count - 2, words[0], words[1], &list,
                                  &done);
        fs_refresh(ctl->fs, NULL);
        if (r < 0)
            ctl_sdk_why(why, r, "not replaced in each file");
    }
    for (size_t i = 0; i < done && put == 0; i++)
        put = put_replaced(ctl, &list[i], out);
    daytona_matches_free(list, done);
    for (size_t i = 0; files && i < count; i++)
        free((char *)files[i]);
    free(files);
    return r < 0 ? r : put;
}

int ask_replace(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
                struct buf *why)
{
    char **words = NULL, *copy = NULL;
    int count = 0, r;

    r = words_of(text, len, 3, -1, &words, &count, &copy, "OLD NEW FILE...", why);
    if (r == 0)
        r = replace(ctl, words, (size_t)count, out, why);
    free(words);
    free(copy);
    return r;
}
