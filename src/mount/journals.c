#include "mount/journals.h"

#include "journal/export.h"
#include "mount/exitcode.h"
#include "mount/order.h"
#include "mount/place.h"
#include "mount/registry.h"
#include "mount/resend.h"
#include "util/array.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SLOTS = 16,        /* of one path: those before the last are kept for `recover` */
    WAIT_STEP_MS = 50, /* between looks whether another process is gone */
    GONE_S = 300,      /* for it to send what is left */
};

struct opening {
    struct stack *s;
    struct journal_options options;
    struct buf *why;
};

/* What is said of `daytonafs recover`: where it must look, if not in the usual place. */
static const char *looked_for(const struct options *o)
{
    return *o->journal_dir ? " --journal-dir " : "";
}

static int refuse(struct opening *o, int r)
{
    const struct options *given = o->s->options;
    const char *dir = o->options.base;

    if (r == -EACCES || r == -ELOOP)
        (void)buf_printf(o->why,
                         "the journals in %s belong to somebody else, or are open to others: chmod "
                         "700 it, or choose another place with -o journal_dir=",
                         dir);
    else if (r == -EBADMSG || r == -EPROTONOSUPPORT)
        (void)buf_printf(o->why,
                         "the journal of this mount in %s is %s: `daytonafs recover%s%s` saves "
                         "what is in it, or choose another place with -o journal_dir=",
                         dir, r == -EBADMSG ? "damaged" : "of another version of daytonafs",
                         looked_for(given), given->journal_dir);
    else
        (void)buf_printf(o->why,
                         "no journal can be kept in %s (%s): choose another place with -o "
                         "journal_dir=",
                         dir, errtext_sentence(r));
    return EXITCODE_OTHER;
}

/* Is that process's mount there, for others to use? Then it is not about to go. */
static bool is_mounted(const struct journal_holder *h)
{
    struct registry_entry live;
    char *type = NULL;
    bool mounted = false;

    if (!h->dir || !*h->dir || registry_find_path(h->dir, &live, NULL) < 0)
        return false;
    if (live.pid == h->pid && strcmp(live.dir, h->dir) == 0 && place_type(h->dir, &type) == 0)
        mounted = strcmp(type, "fuse.daytonafs") == 0;
    free(type);
    registry_entry_done(&live);
    return mounted;
}

static int pause_a_moment(void)
{
    const struct timespec step = {.tv_nsec = WAIT_STEP_MS * NS_PER_MS};

    nanosleep(&step, NULL);
    return cancel_fired(cancel_bound()) ? -EINTR : 0;
}

/* Two mounts of one path would be in each other's way wherever their journals are: there may be
 * another journal_dir, or the journal was removed under the other one. ret is as of journal_open.
 */
static bool has_other_mount(const struct opening *o, const struct journal_key *key,
                            struct journal_holder *ret)
{
    struct registry_entry *list;
    bool found = false;
    size_t count;

    if (registry_list(&list, &count) < 0)
        return false; /* then the journal's own lock must do */
    for (size_t i = 0; i < count && !found; i++) {
        const struct registry_entry *e = &list[i];

        found = *e->journals && e->pid != getpid() && strcmp(e->api_url, key->api_url) == 0 &&
                strcmp(e->sandbox_id, key->sandbox_id) == 0 && strcmp(e->path, o->s->path) == 0;
        if (found)
            *ret = (struct journal_holder){.pid = e->pid, .dir = strdup(e->dir)};
    }
    registry_list_free(list, count);
    return found;
}

/* -EBUSY: it is in use, and why says by whom. */
static int open_when_free(struct opening *o, const struct journal_key *key, struct journal **ret)
{
    const int64_t until_ns = clock_mono_ns() + GONE_S * NS_PER_S;
    bool said = false;
    int r;

    for (;;) {
        struct journal_holder holder = {0};

        r = has_other_mount(o, key, &holder) ? -EBUSY
                                             : journal_open(&o->options, key, ret, &holder);
        if (r == -EBUSY && is_mounted(&holder)) {
            (void)buf_printf(o->why, "%s of sandbox '%s' is mounted already, at %s: use that",
                             o->s->path, o->s->info.name, holder.dir);
        } else if (r == -EBUSY && !said) {
            fprintf(stderr,
                    "daytonafs: waiting for the mount that was here before (process %d) to send "
                    "what is left\n",
                    holder.pid);
            said = true;
        }
        journal_holder_done(&holder);
        if (r != -EBUSY || o->why->len > 0)
            return r;
        r = clock_mono_ns() < until_ns ? pause_a_moment() : -ETIMEDOUT;
        if (r < 0)
            return r;
    }
}

/*
 * Everything in j, if there is anything. 0: it is all there, or what is left never goes from here.
 * 1: it stays until the user says so, who needs a mount for that. -EAGAIN: it would go, but does
 * not now; why says it. A mount that went on would make changes that are older than those which it
 * could not see.
 */
static int send_left(struct opening *o, struct journal *j)
{
    const struct resend how = {.op_timeout_ns = o->s->options->op_timeout_ns,
                               .until_ns = INT64_MAX};
    struct buf left = BUF_INIT(1 << 16);
    struct resent sent;
    int r;

    r = resend(j, o->s->remote, &how, &left, &sent);
    if (sent.found > 0 && left.len > 0) {
        fprintf(stderr, "daytonafs: not all of them are in the sandbox (%s):\n",
                errtext_sentence(r < 0 ? r : -EIO));
        order_list(buf_str(&left));
    }
    if (sent.goes_on) {
        r = 1;
    } else if (sent.why) { /* which was said */
        r = 0;
    } else if (r < 0 && r != -EINTR && sent.waiting > 0) {
        (void)buf_printf(o->why,
                         "%zu changes that an earlier mount of %s left cannot be sent now (%s), "
                         "and what is changed after them would be in their way: try again, or look "
                         "at them with `daytonafs recover%s%s`, or mount read-only (-o ro)",
                         sent.waiting, journal_key(j).slot, errtext_sentence(r),
                         looked_for(o->s->options), o->s->options->journal_dir);
        r = -EAGAIN;
    }
    buf_done(&left);
    return r;
}

/* Those of other paths of this sandbox, and of this one. One that is in use is its own mount's. */
static int send_others(struct opening *o, const char *api_url)
{
    struct journal_found *list;
    struct journal *j;
    size_t count;
    int r;

    r = journal_find(o->options.base, api_url, o->s->info.id, &list, &count);
    if (r < 0)
        return r == -ENOENT ? 0 : r;
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (list[i].err || journal_open_name(&o->options, list[i].name, &j, NULL) < 0)
            continue; /* in use; or one for `recover`, which says more of it than we can here */
        r = send_left(o, j);
        if (r != -EINTR && r != -EAGAIN)
            r = 0;
        journal_free(j);
    }
    journal_found_free(list, count);
    return r;
}

static size_t waiting_in(struct journal *j)
{
    struct journal_usage usage;

    journal_usage(j, &usage);
    return usage.changes;
}

/* The first of this path's that is empty: one that could not be sent is kept as it is. */
static int open_own(struct opening *o, const char *api_url)
{
    struct stack *s = o->s;
    char slot[8192];
    int r = -EBUSY;

    for (unsigned i = 0; i < SLOTS; i++) {
        const struct journal_key key = {.api_url = api_url, .sandbox_id = s->info.id, .slot = slot};

        if (snprintf(slot, sizeof(slot), i > 0 ? "%s (%u)" : "%s", s->path, i + 1) >=
            (int)sizeof(slot))
            return -ENAMETOOLONG;
        r = open_when_free(o, &key, &s->journal);
        if (r < 0 || waiting_in(s->journal) == 0)
            return r;
        r = send_left(o, s->journal); /* it came meanwhile, or did not go before */
        if (r == -EINTR || r == -EAGAIN)
            return r;
        if (r == 1 || waiting_in(s->journal) == 0)
            return 0;
        fprintf(stderr, "daytonafs: they are kept: `daytonafs recover%s%s` lists them\n",
                looked_for(s->options), s->options->journal_dir);
        s->journal = journal_free(s->journal);
    }
    return -EBUSY;
}

static struct opening opening(struct stack *s, const char *base, struct buf *why)
{
    const uint64_t bytes = s->options->journal_bytes;

    return (struct opening){
        .s = s,
        .options = {.base = base,
                    .mount_dir = s->dir,
                    .limits = {.soft_bytes = bytes / 4, .hard_bytes = bytes}},
        .why = why,
    };
}

static size_t count_left(const struct stack *s, const char *base)
{
    struct journal_found *list;
    size_t count, changes = 0;

    if (journal_find(base, daytona_client_api_url(s->client), s->info.id, &list, &count) < 0)
        return 0;
    for (size_t i = 0; i < count; i++) {
        struct journal_exported held = {0};

        if (!list[i].locked && journal_survey(base, list[i].name, &held) == 0)
            changes += held.changes;
    }
    journal_found_free(list, count);
    return changes;
}

void journals_look(struct stack *s)
{
    char *base = options_journal_dir(s->options);

    s->left = base ? count_left(s, base) : 0;
    free(base);
    if (s->left > 0)
        fprintf(stderr,
                "daytonafs: %zu changes that earlier mounts of this sandbox made are not in it: a "
                "mount that may write, with the helper, sends them; `daytonafs recover%s%s` lists "
                "and saves them\n",
                s->left, looked_for(s->options), s->options->journal_dir);
}

bool journals_short(const struct stack *s, struct buf *out)
{
    uint64_t free_bytes, spare_bytes;
    bool is_short;
    char *dir;

    if (!s->journal || journal_space(s->journal, &free_bytes, &spare_bytes) < 0)
        return false;
    is_short = free_bytes < spare_bytes;
    dir = is_short ? options_journal_dir(s->options) : NULL;
    if (is_short)
        (void)buf_printf(
            out,
            "%" PRIu64 " MiB are free on the disk of %s, where changes are kept until they are "
            "sent: with less than %" PRIu64 " MiB every write fails with ENOSPC; make room there, "
            "or mount with -o journal_dir= on another disk, or with another $XDG_STATE_HOME",
            free_bytes >> 20, dir ? dir : "the journal", spare_bytes >> 20);
    free(dir);
    return is_short;
}

static void say_short(const struct stack *s)
{
    struct buf why = BUF_INIT(8192);

    if (journals_short(s, &why))
        fprintf(stderr, "daytonafs: %s\n", buf_str(&why));
    buf_done(&why);
}

int journals_open(struct stack *s, struct buf *why)
{
    const struct options *options = s->options;
    const struct flush_config config = {.op_timeout_ns = options->op_timeout_ns};
    const char *api_url = daytona_client_api_url(s->client);
    char *base = options_journal_dir(options);
    struct opening o = opening(s, base, why);
    int code = EXITCODE_OK, r;

    r = base ? send_others(&o, api_url) : -ENOENT;
    if (r == 0)
        r = open_own(&o, api_url);
    if (r == 0)
        r = flush_new(&config, s->journal, s->remote, &s->flush);
    if (r == -EBUSY && why->len > 0)
        code = EXITCODE_CONFLICT;
    else if (r == -EAGAIN)
        code = EXITCODE_QUEUED;
    else if (r < 0)
        code = refuse(&o, r);
    else
        say_short(s);
    free(base);
    return code;
}

static int refuse_one(int r, const char *name, struct buf *why)
{
    static const struct {
        int err;
        enum exitcode code;
        const char *text;
    } rows[] = {
        {-EBUSY, EXITCODE_CONFLICT, "a mount has it by now: `daytonafs recover` says which"},
        {-ENOENT, EXITCODE_NOT_FOUND, "it is gone by now: somebody has sent it, or thrown it away"},
        {-EBADMSG, EXITCODE_OTHER, "it is damaged: --export saves what can be read of it"},
        {-EPROTONOSUPPORT, EXITCODE_OTHER, "another version of daytonafs wrote it: use that one"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        if (rows[i].err == r) {
            (void)buf_printf(why, "%s: %s", name, rows[i].text);
            return rows[i].code;
        }
    (void)buf_printf(why, "%s cannot be opened: %s", name, errtext_sentence(r));
    return EXITCODE_OTHER;
}

static int tell_resent(int r, const struct resent *sent, const char *name, struct buf *why)
{
    (void)buf_printf(why, "%s: %zu changes, %" PRIu64 " bytes", name, sent->found,
                     sent->found_bytes);
    if (sent->waiting > 0)
        (void)buf_printf(why, "; %zu are not in the sandbox: %s", sent->waiting,
                         sent->why ? sent->why : errtext_sentence(r));
    if (sent->parked > 0)
        (void)buf_printf(why,
                         "; %zu were refused by the sandbox, or are in conflict with what it has, "
                         "and are kept: --export saves them, a mount shows them below .ctl",
                         sent->parked);
    if (sent->waiting > 0 || sent->parked > 0)
        return EXITCODE_QUEUED;
    (void)buf_puts(why, ": sent");
    return r < 0 ? EXITCODE_OTHER : EXITCODE_OK;
}

int journals_resend(struct stack *s, const char *name, int64_t until_ns, struct buf *why)
{
    const struct resend how = {.op_timeout_ns = s->options->op_timeout_ns, .until_ns = until_ns};
    char *base = options_journal_dir(s->options);
    struct opening o = opening(s, base, why);
    struct buf left = BUF_INIT(1 << 20);
    struct resent sent;
    struct journal *j;
    int code, r;

    r = base ? journal_open_name(&o.options, name, &j, NULL) : -ENOENT;
    free(base);
    if (r < 0)
        return refuse_one(r, name, why);
    r = resend(j, s->remote, &how, &left, &sent);
    code = tell_resent(r, &sent, name, why);
    order_list(buf_str(&left));
    buf_done(&left);
    journal_free(j);
    return code;
}
