/* fault.c - fault specifications: a table of what can go wrong, and counters. */
#include "server/fault.h"

#include "server/server_internal.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/units.h"
#include "util/words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ITEMS_MAX = 32, SPEC_MAX = 4096 };

enum value_type {
    VALUE_EVERY,    /* N: every N-th request */
    VALUE_DURATION, /* every request */
    VALUE_BYTES,    /* every request */
    VALUE_LIE,      /* every request */
    VALUE_NTH,      /* K:ACTION */
    VALUE_SETTING,  /* not about requests */
    VALUE_SHELL,
};

struct item;

struct action {
    const char *name;
    enum value_type type;
    void (*apply)(const struct item *item, struct fault_plan *plan);
    size_t setting; /* offset in struct fault_settings */
    const char *help;
};

struct item {
    const struct action *action;
    const struct action *then; /* of nth */
    char route[32];            /* "": any */
    int64_t value;
    int64_t then_value;
    int64_t retry_after_s; /* -1: none */
    uint64_t seen;         /* fault.lock */
};

struct fault {
    struct lock lock;
    pthread_cond_t changed;
    struct item items[ITEMS_MAX]; /* lock, as all that follows */
    size_t count;
    struct fault_settings settings;
    struct fault_counts counts;
    uint64_t generation; /* +1 for every fault_set and fault_stop */
    bool stopped;
};

static void do_latency(const struct item *item, struct fault_plan *plan)
{
    plan->delay_ns += item->value;
}

static void do_status(const struct item *item, struct fault_plan *plan)
{
    const struct action *a = item->then ? item->then : item->action;

    plan->status = atoi(a->name);
    plan->retry_after_s = item->retry_after_s;
}

static void do_hang(const struct item *item, struct fault_plan *plan)
{
    plan->hang = true;
}

static void do_reset(const struct item *item, struct fault_plan *plan)
{
    plan->reset = true;
}

static void do_reset_after(const struct item *item, struct fault_plan *plan)
{
    plan->reset_after = true;
}

static void do_replay(const struct item *item, struct fault_plan *plan)
{
    plan->replay = true;
}

static void do_cut(const struct item *item, struct fault_plan *plan)
{
    plan->cut = item->then ? item->then_value : item->value;
}

static void do_stall(const struct item *item, struct fault_plan *plan)
{
    plan->stall = item->then ? item->then_value : item->value;
}

static void do_throttle(const struct item *item, struct fault_plan *plan)
{
    plan->throttle = item->then ? item->then_value : item->value;
}

static void do_lie(const struct item *item, struct fault_plan *plan)
{
    plan->lie = (enum fault_lie)(item->then ? item->then_value : item->value);
}

#define SETTING(field) .setting = offsetof(struct fault_settings, field)

/* clang-format off */
static const struct action actions[] = {
    {"latency", VALUE_DURATION, do_latency, 0, "every answer waits so long"},
    {"401", VALUE_EVERY, do_status, 0, "every N-th request is refused so, without being run"},
    {"404", VALUE_EVERY, do_status, 0, "the same, with an empty body"},
    {"429", VALUE_EVERY, do_status, 0, "the same; ;retry-after=SECONDS adds that header"},
    {"500", VALUE_EVERY, do_status, 0, "the same"},
    {"502", VALUE_EVERY, do_status, 0, "the same, with an empty body"},
    {"503", VALUE_EVERY, do_status, 0, "the same"},
    {"hang", VALUE_EVERY, do_hang, 0, "every N-th request has no answer until the faults change"},
    {"reset", VALUE_EVERY, do_reset, 0, "the connection of every N-th is reset, it is not run"},
    {"reset-after-commit", VALUE_EVERY, do_reset_after, 0,
     "every N-th is run, then its connection is reset"},
    {"replay", VALUE_EVERY, do_replay, 0,
     "every N-th with a small body of known length is run twice"},
    {"cut", VALUE_BYTES, do_cut, 0, "connections end after so many bytes of an answer's body"},
    {"stall", VALUE_BYTES, do_stall, 0,
     "no more than so many bytes of a body come until the faults change"},
    {"throttle", VALUE_BYTES, do_throttle, 0, "bodies come at so many bytes a second"},
    {"lie", VALUE_LIE, do_lie, 0, "answers say what is not so (kinds below)"},
    {"nth", VALUE_NTH, NULL, 0, "K:ACTION[=VALUE]: only the K-th request from now on suffers it"},
    {"state-delay", VALUE_SETTING, NULL, SETTING(state_delay_ns),
     "starting, stopping … last so long, or until the faults change"},
    {"state-wait", VALUE_SETTING, NULL, SETTING(state_wait_ns),
     "create and start answer after so long at most (30s)"},
    {"linger", VALUE_SETTING, NULL, SETTING(linger_ns),
     "execute waits so long for output after the shell's end (30s)"},
    {"exit-hang", VALUE_SETTING, NULL, SETTING(exit_hang_ns),
     "a session's command that ended its shell is answered after so long (60s)"},
    {"minute", VALUE_SETTING, NULL, SETTING(minute_ns),
     "a minute of autostop, autoarchive, autodelete and ttl lasts so long (60s)"},
    {"shell", VALUE_SHELL, NULL, 0,
     "PATH: execute uses this shell (busybox as sh); none: there is none"},
};

static const char *const lies[] = {
    [LIE_NONE] = "", [LIE_NAME_SLASH] = "name-slash", [LIE_DOTDOT] = "dotdot",
    [LIE_NEGATIVE_SIZE] = "negative-size", [LIE_ENDLESS] = "endless",
    [LIE_WRONG_LENGTH] = "wrong-length", [LIE_BAD_JSON] = "bad-json", [LIE_HTML] = "html",
    [LIE_DUP_NAMES] = "dup-names", [LIE_HUGE_NAME] = "huge-name",
};
/* clang-format on */

static const struct action *find_action(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
        if (strcmp(actions[i].name, name) == 0)
            return &actions[i];
    }
    return NULL;
}

static int unknown(const char *what, const char *name, struct buf *why)
{
    const char *names[ARRAY_LEN(actions)], *near;

    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        names[i] = actions[i].name;
    near = words_nearest(name, names, ARRAY_LEN(names));
    (void)buf_printf(why, "fault: %s '%s' is not known%s%s%s", what, name,
                     near ? " (did you mean '" : "", near ? near : "", near ? "'?)" : "");
    return -EINVAL;
}

static int parse_lie(const char *text, int64_t *ret)
{
    for (size_t i = 1; i < ARRAY_LEN(lies); i++) {
        if (strcmp(lies[i], text) == 0) {
            *ret = (int64_t)i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_count(const char *text, int64_t *ret)
{
    char *end;
    long long v;

    errno = 0;
    v = strtoll(text, &end, 10);
    if (errno || *end || end == text || v < 1)
        return -EINVAL;
    *ret = v;
    return 0;
}

static int parse_value(const struct action *a, const char *text, int64_t *ret)
{
    uint64_t bytes;
    int r;

    switch (a->type) {
    case VALUE_EVERY:
        return parse_count(text, ret);
    case VALUE_DURATION:
    case VALUE_SETTING:
        return units_parse_duration(text, ret);
    case VALUE_LIE:
        return parse_lie(text, ret);
    case VALUE_BYTES:
        r = units_parse_bytes(text, &bytes);
        if (r == 0)
            *ret = (int64_t)bytes;
        return r;
    case VALUE_NTH:
    case VALUE_SHELL:
        break;
    }
    return -EINVAL;
}

/* "K:ACTION[=VALUE]" */
static int parse_nth(char *text, struct item *item, struct buf *why)
{
    char *colon = strchr(text, ':'), *eq;

    if (!colon) {
        (void)buf_printf(why, "fault: nth=%s: K:ACTION is wanted", text);
        return -EINVAL;
    }
    *colon = '\0';
    eq = strchr(colon + 1, '=');
    if (eq)
        *eq++ = '\0';
    item->then = find_action(colon + 1);
    if (!item->then || !item->then->apply)
        return unknown("nth's action", colon + 1, why);
    if (parse_count(text, &item->value) < 0 ||
        (eq && parse_value(item->then, eq, &item->then_value) < 0) ||
        (!eq && item->then->type != VALUE_EVERY && item->then->type != VALUE_BYTES)) {
        (void)buf_printf(why, "fault: nth=%s:%s: a value is missing or wrong", text, colon + 1);
        return -EINVAL;
    }
    return 0;
}

/* "NAME[:ROUTE]=VALUE[;retry-after=SECONDS]"; text is taken apart. */
static int parse_item(char *text, struct item *item, struct fault_settings *settings,
                      struct buf *why)
{
    static const char retry[] = "retry-after=";
    char *semi = strchr(text, ';'), *eq = strchr(text, '='), *colon;
    const struct action *a;

    item->retry_after_s = -1;
    if (!eq) {
        (void)buf_printf(why, "fault: '%s' has no =VALUE", text);
        return -EINVAL;
    }
    *eq++ = '\0';
    if (semi) {
        *semi++ = '\0';
        if (strncmp(semi, retry, strlen(retry)) != 0 ||
            parse_count(semi + strlen(retry), &item->retry_after_s) < 0)
            return unknown("parameter", semi, why);
    }
    colon = strchr(text, ':');
    if (colon) {
        *colon++ = '\0';
        if (!route_known(colon)) {
            (void)buf_printf(why, "fault: no call is named '%s'", colon);
            return -EINVAL;
        }
        snprintf(item->route, sizeof(item->route), "%s", colon);
    }
    a = item->action = find_action(text);
    if (!a)
        return unknown("action", text, why);
    if (a->type == VALUE_NTH)
        return parse_nth(eq, item, why);
    if (a->type == VALUE_SHELL) {
        if (strcmp(eq, "none") != 0 && (*eq != '/' || strlen(eq) >= sizeof(settings->shell))) {
            (void)buf_printf(why, "fault: shell=%s: an absolute path or none is wanted", eq);
            return -EINVAL;
        }
        snprintf(settings->shell, sizeof(settings->shell), "%s", eq);
        return 0;
    }
    if (parse_value(a, eq, &item->value) < 0) {
        (void)buf_printf(why, "fault: %s=%s: that value is not understood", text, eq);
        return -EINVAL;
    }
    if (a->type == VALUE_SETTING)
        memcpy((char *)settings + a->setting, &item->value, sizeof(item->value));
    return 0;
}

static const struct fault_settings default_settings = {
    .state_delay_ns = 50 * NS_PER_MS,
    .state_wait_ns = 30 * NS_PER_S,
    .linger_ns = 30 * NS_PER_S,
    .minute_ns = 60 * NS_PER_S,
    .exit_hang_ns = 60 * NS_PER_S,
};

int fault_set(struct fault *f, const char *spec, struct buf *why)
{
    struct fault_settings settings = default_settings;
    struct item items[ITEMS_MAX] = {0};
    char text[SPEC_MAX], *save = NULL;
    size_t count = 0;
    int r;

    if ((size_t)snprintf(text, sizeof(text), "%s", spec ? spec : "") >= sizeof(text)) {
        (void)buf_puts(why, "fault: the specification is too long");
        return -EINVAL;
    }
    for (char *p = strtok_r(text, ", \n", &save); p; p = strtok_r(NULL, ", \n", &save)) {
        if (count == ITEMS_MAX) {
            (void)buf_puts(why, "fault: too many items");
            return -EINVAL;
        }
        r = parse_item(p, &items[count], &settings, why);
        if (r < 0)
            return r;
        count++;
    }
    lock_take(&f->lock);
    memcpy(f->items, items, sizeof(items));
    f->count = count;
    f->settings = settings;
    f->counts = (struct fault_counts){0};
    f->generation++;
    pthread_cond_broadcast(&f->changed);
    lock_drop(&f->lock);
    return 0;
}

/* Counts, and says if this request is one that the item is for. */
static bool hits_locked(struct item *item, const struct route *route)
{
    if (!item->action->apply && item->action->type != VALUE_NTH)
        return false;
    if (!route_matches(route, item->route))
        return false;
    item->seen++;
    if (item->action->type == VALUE_NTH)
        return item->seen == (uint64_t)item->value;
    return item->action->type != VALUE_EVERY || item->seen % (uint64_t)item->value == 0;
}

void fault_plan(struct fault *f, const struct route *route, struct fault_plan *ret)
{
    bool broken = false;

    *ret = (struct fault_plan){.cut = -1, .stall = -1, .retry_after_s = -1};
    lock_take(&f->lock);
    f->counts.requests++;
    for (size_t i = 0; i < f->count; i++) {
        struct item *item = &f->items[i];
        const struct action *a = item->then ? item->then : item->action;

        if (!hits_locked(item, route))
            continue;
        if (item->then && item->then->type == VALUE_DURATION)
            ret->delay_ns += item->then_value;
        else
            a->apply(item, ret);
        broken = true;
    }
    f->counts.broken += broken;
    lock_drop(&f->lock);
}

void fault_settings(struct fault *f, struct fault_settings *ret)
{
    lock_take(&f->lock);
    *ret = f->settings;
    lock_drop(&f->lock);
}

void fault_counts(struct fault *f, struct fault_counts *ret)
{
    lock_take(&f->lock);
    *ret = f->counts;
    lock_drop(&f->lock);
}

void fault_sleep(struct fault *f, int64_t ns)
{
    const int64_t until = clock_mono_ns() + ns;
    uint64_t generation;

    lock_take(&f->lock);
    generation = f->generation;
    while (!f->stopped && f->generation == generation &&
           lock_wait_until(&f->lock, &f->changed, until) != -ETIMEDOUT)
        ;
    lock_drop(&f->lock);
}

void fault_stop(struct fault *f)
{
    lock_take(&f->lock);
    f->stopped = true;
    pthread_cond_broadcast(&f->changed);
    lock_drop(&f->lock);
}

int fault_new(struct fault **ret)
{
    struct fault *f = calloc(1, sizeof(*f));

    if (!f)
        return -ENOMEM;
    lock_init(&f->lock);
    lock_cond_init(&f->changed);
    f->settings = default_settings;
    *ret = f;
    return 0;
}

struct fault *fault_free(struct fault *f)
{
    if (!f)
        return NULL;
    pthread_cond_destroy(&f->changed);
    lock_done(&f->lock);
    free(f);
    return NULL;
}

int fault_help(struct buf *out)
{
    static const char *const values[] = {
        [VALUE_EVERY] = "N",    [VALUE_DURATION] = "TIME", [VALUE_BYTES] = "BYTES",
        [VALUE_LIE] = "KIND",   [VALUE_NTH] = "K:ACTION",  [VALUE_SETTING] = "TIME",
        [VALUE_SHELL] = "PATH",
    };
    int r;

    r = buf_puts(out, "A fault specification is a list ACTION[:CALL]=VALUE, parted by commas:\n");
    for (size_t i = 0; r == 0 && i < ARRAY_LEN(actions); i++) {
        char left[64];

        snprintf(left, sizeof(left), "%s=%s", actions[i].name, values[actions[i].type]);
        r = buf_printf(out, "  %-24s %s\n", left, actions[i].help);
    }
    if (r == 0)
        r = buf_puts(out,
                     "CALL limits an action to some requests: api, toolbox, files, or one of\n ");
    if (r == 0)
        r = route_names(out);
    if (r == 0)
        r = buf_puts(out, "\nKinds of lie:\n ");
    for (size_t i = 1; r == 0 && i < ARRAY_LEN(lies); i++)
        r = buf_printf(out, " %s", lies[i]);
    if (r == 0)
        r = buf_puts(
            out,
            "\nA running server takes a new specification: POST /_fault, with the key and the\n"
            "specification as the body. GET /_fault counts requests and how many were broken.\n");
    return r;
}
