/*
 * sandbox/: what the service says of the sandbox. It is asked when a file is opened, and its answer
 * is good for a moment, so that a script that reads several files asks once. That never wakes a
 * sandbox, and does not count as using it.
 */
#include "ctl/box.h"

#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "util/errtext.h"
#include "util/units.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <daytona/sandbox.h>

#define FRESH_NS (2 * NS_PER_S)

enum type { STRING, DOUBLE, MINUTES, BOOL };

struct field {
    size_t offset; /* in struct daytona_sandbox_info */
    enum type type;
};

void ctl_sdk_why(struct buf *why, int r, const char *what)
{
    const struct daytona_error *e = daytona_last_error();

    if (why->len == 0)
        (void)buf_printf(why, "%s: %s", what,
                         e->err == r && *e->message ? e->message : errtext_sentence(r));
}

/* *ret is the caller's. */
static int box_info(struct ctl *ctl, struct daytona_sandbox_info *ret, struct buf *why)
{
    struct daytona_sandbox *sandbox = ctl->host.sandbox;
    bool fresh;
    int r = 0;

    lock_take(&ctl->lock);
    fresh = clock_mono_ns() < ctl->box_until_ns;
    lock_drop(&ctl->lock);
    if (!fresh)
        r = daytona_sandbox_refresh(sandbox);
    if (r < 0) {
        ctl_sdk_why(why, r, "the service cannot be asked about the sandbox");
        return r;
    }
    lock_take(&ctl->lock);
    if (!fresh)
        ctl->box_until_ns = clock_mono_ns() + FRESH_NS;
    lock_drop(&ctl->lock);
    return daytona_sandbox_info(sandbox, ret);
}

/* What is known of the sandbox is old: the next file asks. */
static void box_stale(struct ctl *ctl)
{
    lock_take(&ctl->lock);
    ctl->box_until_ns = 0;
    lock_drop(&ctl->lock);
}

static int put_number(struct buf *out, const struct field *f, const void *p)
{
    switch (f->type) {
    case DOUBLE:
        return buf_printf(out, "%.15g", *(const double *)p);
    case MINUTES:
        return buf_printf(out, "%" PRId64, *(const int64_t *)p);
    case BOOL:
        return buf_puts(out, *(const bool *)p ? "true" : "false");
    case STRING:
        break;
    }
    return -EINVAL;
}

static int show_field(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    const struct field *f = obj;
    struct daytona_sandbox_info info;
    int r = box_info(ctl, &info, why);
    const char *p = (const char *)&info + f->offset;

    if (r < 0)
        return r;
    if (f->type == STRING)
        r = ctltext_escape(out, *(char *const *)p, strlen(*(char *const *)p));
    else if (f->type == MINUTES && *(const int64_t *)p < 0)
        r = buf_puts(out, "never");
    else
        r = put_number(out, f, p);
    if (r == 0)
        r = buf_putc(out, '\n');
    daytona_sandbox_info_done(&info);
    return r;
}

static int show_labels(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct daytona_sandbox_info info;
    int r = box_info(ctl, &info, why);

    if (r < 0)
        return r;
    for (size_t i = 0; i < info.label_count && r == 0; i++) {
        r = ctltext_escape(out, info.labels[i].key, strlen(info.labels[i].key));
        if (r == 0)
            r = buf_putc(out, '=');
        if (r == 0)
            r = ctltext_escape(out, info.labels[i].value, strlen(info.labels[i].value));
        if (r == 0)
            r = buf_putc(out, '\n');
    }
    daytona_sandbox_info_done(&info);
    return r;
}

static int show_json(struct ctl *ctl, void *obj, struct buf *out, struct buf *why);

#define FIELD(row, member, as, text)                                                               \
    {                                                                                              \
        .name = (row), .mode = 0400, .kind = CTL_SNAPSHOT, .waits = true, .show = show_field,      \
        .obj = &(const struct field){offsetof(struct daytona_sandbox_info, member), as},           \
        .help = (text)                                                                             \
    }

const struct ctl_row box_rows[] = {
    FIELD("id", id, STRING, "its id, which never changes"),
    FIELD("name", name, STRING, "its name"),
    FIELD("state", state_name, STRING, "started, stopped, archived, error ...: see States"),
    FIELD("error", error_reason, STRING, "why it is in error"),
    FIELD("recoverable", recoverable, BOOL, "true: the verb recover may help"),
    FIELD("user", user, STRING, "who its commands run as"),
    FIELD("target", target, STRING, "the region it is in"),
    FIELD("snapshot", snapshot, STRING, "what it was made from"),
    FIELD("daemon", daemon_version, STRING, "the version of the program that serves it"),
    FIELD("cpu", cpu, DOUBLE, "its CPUs"),
    FIELD("memory", memory_gib, DOUBLE, "its memory, GiB"),
    FIELD("disk", disk_gib, DOUBLE, "its disk, GiB"),
    FIELD("public", is_public, BOOL, "true: its previews need no token"),
    FIELD("autostop", auto_stop_min, MINUTES, "minutes without use after which it is stopped"),
    FIELD("autoarchive", auto_archive_min, MINUTES, "minutes stopped after which it is archived"),
    FIELD("autodelete", auto_delete_min, MINUTES, "minutes stopped after which it is deleted"),
    FIELD("created", created_at, STRING, "when it was made"),
    FIELD("updated", updated_at, STRING, "when the service last changed what it says of it"),
    FIELD("activity", last_activity_at, STRING, "when it was last used, as autostop counts"),
    {.name = "labels",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_labels,
     .help = "KEY=VALUE lines"},
    {.name = "info.json",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .waits = true,
     .show = show_json,
     .help = "all of it as one JSON object"},
    {.name = NULL},
};

static int put_json(struct buf *out, const struct ctl_row *row,
                    const struct daytona_sandbox_info *info)
{
    const struct field *f = row->obj;
    const char *p = (const char *)info + f->offset;
    int r = buf_printf(out, "  \"%s\": ", row->name);

    if (r == 0 && f->type == STRING)
        r = ctltext_json_string(out, *(char *const *)p, strlen(*(char *const *)p));
    else if (r == 0)
        r = put_number(out, f, p);
    return r == 0 ? buf_puts(out, ",\n") : r;
}

static int show_json(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    struct daytona_sandbox_info info;
    int r = box_info(ctl, &info, why);

    if (r < 0)
        return r;
    r = buf_puts(out, "{\n");
    for (const struct ctl_row *row = box_rows; row->name && r == 0; row++)
        if (row->obj)
            r = put_json(out, row, &info);
    if (r == 0)
        r = buf_puts(out, "  \"labels\": {");
    for (size_t i = 0; i < info.label_count && r == 0; i++) {
        r = buf_puts(out, i ? ", " : "");
        if (r == 0)
            r = ctltext_json_string(out, info.labels[i].key, strlen(info.labels[i].key));
        if (r == 0)
            r = buf_puts(out, ": ");
        if (r == 0)
            r = ctltext_json_string(out, info.labels[i].value, strlen(info.labels[i].value));
    }
    if (r == 0)
        r = buf_puts(out, "}\n}\n");
    daytona_sandbox_info_done(&info);
    return r;
}

/* ---- settings, by verbs ---- */

struct setting {
    int (*set)(struct daytona_sandbox *sandbox, int64_t minutes);
    const char *what;
};

/* Minutes: "30", "2h", "never". */
static int parse_minutes(const char *text, int64_t *ret, struct buf *why)
{
    const bool bare = text[strspn(text, "0123456789")] == '\0';
    int64_t ns;
    int r = 0;

    if (strcmp(text, "never") == 0 || strcmp(text, "off") == 0)
        *ret = -1;
    else if ((r = units_parse_duration(text, &ns)) == 0)
        *ret = bare ? ns / NS_PER_S : (ns + 60 * NS_PER_S - 1) / (60 * NS_PER_S);
    if (r < 0) {
        (void)buf_puts(why, "\"");
        (void)ctltext_escape(why, text, strnlen(text, 80));
        (void)buf_puts(why, "\" is no time: minutes (30), or with a unit (90m, 12h), or never");
    }
    return r;
}

static int set_minutes(struct ctl *ctl, const char *text, const struct setting *setting,
                       struct buf *why)
{
    int64_t minutes = 0;
    int r = parse_minutes(text, &minutes, why);

    if (r < 0)
        return r;
    r = setting->set(ctl->host.sandbox, minutes);
    box_stale(ctl);
    if (r < 0)
        ctl_sdk_why(why, r, setting->what);
    return r;
}

int verb_ttl(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return set_minutes(
        ctl, v[0], &(struct setting){daytona_sandbox_set_ttl, "the time to live was not set"}, why);
}

int verb_autostop(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return set_minutes(
        ctl, v[0], &(struct setting){daytona_sandbox_set_auto_stop, "autostop was not set"}, why);
}

int verb_autoarchive(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return set_minutes(
        ctl, v[0], &(struct setting){daytona_sandbox_set_auto_archive, "autoarchive was not set"},
        why);
}

int verb_autodelete(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return set_minutes(ctl, v[0],
                       &(struct setting){daytona_sandbox_set_auto_delete, "autodelete was not set"},
                       why);
}

int verb_keepalive(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    int r = daytona_sandbox_keep_alive(ctl->host.sandbox);

    if (r < 0)
        ctl_sdk_why(why, r, "the service was not told");
    box_stale(ctl);
    return r;
}

/* Into list, which has room: KEY=VALUE sets, KEY= takes away. Strings are borrowed; the '=' in text
 * is overwritten. */
static void apply_label(struct daytona_pair *list, size_t *count, char *text)
{
    char *value = strchr(text, '=');
    size_t i = 0;

    *value++ = '\0';
    while (i < *count && strcmp(list[i].key, text) != 0)
        i++;
    if (*value) {
        list[i] = (struct daytona_pair){text, value};
        *count += i == *count;
    } else if (i < *count) {
        list[i] = list[--*count];
    }
}

int verb_labels(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    struct daytona_sandbox_info info;
    struct daytona_pair *list;
    size_t n;
    int r;

    for (int i = 0; i < count; i++) {
        const char *value = strchr(v[i], '=');

        if (!value || value == v[i]) {
            (void)buf_puts(why, "labels takes KEY=VALUE, and KEY= to take one away");
            return -EINVAL;
        }
    }
    box_stale(ctl);
    r = box_info(ctl, &info, why);
    if (r < 0)
        return r;
    n = info.label_count;
    list = calloc(n + (size_t)count, sizeof(*list));
    r = list ? 0 : -ENOMEM;
    if (list && n > 0)
        memcpy(list, info.labels, n * sizeof(*list));
    for (int i = 0; i < count && r == 0; i++)
        apply_label(list, &n, v[i]);
    if (r == 0) {
        r = daytona_sandbox_set_labels(ctl->host.sandbox, list, n);
        if (r < 0)
            ctl_sdk_why(why, r, "the labels were not set");
    }
    box_stale(ctl);
    free(list);
    daytona_sandbox_info_done(&info);
    return r;
}

/* ---- from state to state ---- */

static int change(struct ctl *ctl, int (*fn)(void *arg), struct buf *why, const char *what)
{
    int r = fn(ctl->host_arg);

    box_stale(ctl);
    if (r < 0)
        ctl_sdk_why(why, r, what);
    return r;
}

int verb_start(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return change(ctl, ctl->host.start, why, "the sandbox was not started");
}

int verb_recover(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return change(ctl, ctl->host.recover, why, "the sandbox was not recovered");
}

/* What is pending is sent first: a sandbox that is stopped takes nothing. */
static int sync_and(struct ctl *ctl, int (*fn)(void *arg), struct buf *why, const char *what)
{
    int r = ctl_sync(ctl, NULL, why);

    if (r < 0) {
        (void)buf_printf(why, "; %s", what);
        return r;
    }
    return change(ctl, fn, why, what);
}

int verb_stop(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return sync_and(ctl, ctl->host.stop, why, "the sandbox was not stopped");
}

int verb_archive(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    return sync_and(ctl, ctl->host.archive, why, "the sandbox was not archived");
}

int verb_delete(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    struct daytona_sandbox_info info;
    int r = daytona_sandbox_info(ctl->host.sandbox, &info);

    if (r < 0)
        return r;
    if (strcmp(v[0], *info.name ? info.name : info.id) != 0) {
        (void)buf_puts(why, "the sandbox was not deleted: give its own name, which is in "
                            "sandbox/name, to say that you mean it");
        r = -EINVAL;
    }
    daytona_sandbox_info_done(&info);
    return r < 0 ? r : change(ctl, ctl->host.destroy, why, "the sandbox was not deleted");
}
