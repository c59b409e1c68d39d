#include "mount/recover.h"

#include "journal/export.h"
#include "mount/dirs.h"
#include "mount/exitcode.h"
#include "mount/journals.h"
#include "util/deadline.h"
#include "util/errtext.h"
#include "util/path.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int describe(const char *base, struct journal_found *f, struct recover_journal *ret)
{
    struct journal_exported held = {0};
    const int r = journal_survey(base, f->name, &held);

    *ret = (struct recover_journal){
        .name = f->name,
        .base = strdup(base),
        .sandbox_id = f->sandbox_id,
        .api_url = f->api_url,
        .dir = f->slot,
        .made_ns = f->made_ns,
        .pid = f->locked ? f->holder.pid : 0,
        .damaged = f->err < 0 || r < 0 || (held.bad > 0 && !f->locked),
        .changes = held.changes,
        .bytes = held.bytes,
    };
    f->name = f->sandbox_id = f->api_url = f->slot = NULL; /* they are ours now */
    return r == -ENOMEM || !ret->base ? -ENOMEM : 0;
}

int recover_list(const char *given, struct recover_journal **ret, size_t *ret_count)
{
    char *base = given ? strdup(given) : dirs_journals();
    struct journal_found *found = NULL;
    struct recover_journal *list;
    size_t count = 0;
    int r = base ? journal_find(base, NULL, NULL, &found, &count) : -ENOENT;

    if (r == -ENOENT) { /* there never was one */
        r = 0;
        count = 0;
    }
    list = r == 0 ? calloc(count + 1, sizeof(*list)) : NULL;
    if (r == 0 && !list)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < count; i++)
        r = describe(base, &found[i], &list[i]);
    if (r == 0) {
        *ret = list;
        *ret_count = count;
    } else if (list) {
        recover_list_free(list, count);
    }
    if (found)
        journal_found_free(found, count);
    free(base);
    return r;
}

void recover_list_free(struct recover_journal *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].name);
        free(list[i].base);
        free(list[i].sandbox_id);
        free(list[i].api_url);
        free(list[i].dir);
    }
    free(list);
}

const char *recover_short_name(const struct recover_journal *j)
{
    const char *dash = strchr(j->name, '-');

    return dash ? dash + 1 : j->name;
}

static bool is_meant(const struct recover_journal *j, const char *word, const char *dir)
{
    const size_t len = strlen(word);

    return (len >= 4 &&
            (strncmp(j->name, word, len) == 0 || strncmp(recover_short_name(j), word, len) == 0)) ||
           (j->sandbox_id && strcmp(j->sandbox_id, word) == 0) ||
           (j->dir && dir && strcmp(j->dir, dir) == 0);
}

const struct recover_journal *recover_find(const struct recover_journal *list, size_t count,
                                           const char *word, struct buf *why)
{
    const struct recover_journal *one = NULL;
    char cwd[PATH_LEN_MAX + 1], *dir;

    dir = getcwd(cwd, sizeof(cwd)) ? path_resolve(cwd, word) : NULL;
    for (size_t i = 0; i < count; i++) {
        if (!is_meant(&list[i], word, dir))
            continue;
        if (one) {
            (void)buf_printf(why,
                             "'%s' means more than one journal: give the beginning of its "
                             "name, as `daytonafs recover` shows it",
                             word);
            one = NULL;
            goto out;
        }
        one = &list[i];
    }
    if (!one)
        (void)buf_printf(why, "no journal is called '%s': `daytonafs recover` lists what there is",
                         word);
out:
    free(dir);
    return one;
}

static int refuse_busy(const struct recover_journal *j, struct buf *why)
{
    (void)buf_printf(why,
                     "process %d, which serves %s, has it: `daytonafs sync` or `daytonafs "
                     "umount` there",
                     j->pid, j->dir ? j->dir : "a mount");
    return EXITCODE_CONFLICT;
}

int recover_export(const struct recover_journal *j, const char *dir, struct buf *why)
{
    struct journal_exported told;
    int r;

    if (j->pid)
        return refuse_busy(j, why);
    r = journal_export(j->base, j->name, dir, &told);
    if (r < 0) {
        (void)buf_printf(why,
                         r == -EEXIST ? "%s is there already: name a new directory"
                                      : "nothing was written to %s",
                         dir);
        if (r != -EEXIST)
            (void)buf_printf(why, ": %s", errtext_sentence(r));
        return EXITCODE_OTHER;
    }
    (void)buf_printf(why, "%zu changes, %" PRIu64 " bytes: %s/files, listed in %s/CHANGES",
                     told.changes, told.bytes, dir, dir);
    if (told.failed > 0)
        (void)buf_printf(why, "; %zu of them could not be made there", told.failed);
    if (told.bad > 0)
        (void)buf_printf(why, "; %" PRIu64 " bytes of the journal are damaged", told.bad);
    return told.failed > 0 || told.bad > 0 ? EXITCODE_OTHER : EXITCODE_OK;
}

int recover_discard(const struct recover_journal *j, struct buf *why)
{
    int r;

    if (j->pid)
        return refuse_busy(j, why);
    r = journal_discard(j->base, j->name);
    if (r == -EBUSY) {
        (void)buf_printf(why, "%s is in use by now: look again with `daytonafs recover`", j->name);
        return EXITCODE_CONFLICT;
    }
    if (r < 0) {
        (void)buf_printf(why, "%s was not removed: %s", j->name, errtext_sentence(r));
        return EXITCODE_OTHER;
    }
    (void)buf_printf(why, "%zu changes, %" PRIu64 " bytes: gone", j->changes, j->bytes);
    return EXITCODE_OK;
}

/* The key that we have is shown to no other service than the one it was given for. */
static int check_service(const struct stack *s, const struct recover_journal *j, struct buf *why)
{
    const char *url = daytona_client_api_url(s->client);

    if (strcmp(url, j->api_url) == 0)
        return EXITCODE_OK;
    (void)buf_printf(why,
                     "%s is of a sandbox at %s, and this is about %s: say which with --api-url",
                     j->name, j->api_url, url);
    return EXITCODE_CONFLICT;
}

static int send_to(struct stack *s, const struct recover_journal *j, int64_t until_ns,
                   struct buf *why)
{
    int code = stack_connect(s, why);

    if (code == EXITCODE_OK)
        code = check_service(s, j, why);
    if (code != EXITCODE_OK)
        return code;
    code = stack_reach(s, why);
    if (code == EXITCODE_OK)
        return journals_resend(s, j->name, until_ns, why);
    /* Nothing was lost, and nothing of it is there. */
    return code == EXITCODE_TRANSIENT || code == EXITCODE_TIMEOUT ? EXITCODE_QUEUED : code;
}

int recover_send(const struct recover_journal *j, const struct options *options, int64_t until_ns,
                 struct buf *why)
{
    const struct mount_params params = {.sandbox = j->sandbox_id, .options = options};
    struct stack s = {.params = &params, .options = options};
    struct deadline d;
    bool late;
    int code;

    if (j->pid)
        return refuse_busy(j, why);
    if (!j->sandbox_id || !j->api_url) {
        (void)buf_printf(why, "%s is damaged: --export saves what can be read of it", j->name);
        return EXITCODE_OTHER;
    }
    if (deadline_begin(&d, until_ns) < 0)
        return EXITCODE_OTHER;
    code = send_to(&s, j, until_ns, why);
    late = deadline_end(&d);
    if (late && !s.trace) { /* whatever was interrupted says nothing */
        buf_truncate(why, 0);
        (void)buf_printf(why, "%s: its sandbox did not answer in that time", j->name);
    }
    stack_done(&s);
    return late && code != EXITCODE_OK ? EXITCODE_QUEUED : code;
}
