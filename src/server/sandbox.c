/* sandbox.c - the life of a sandbox: states, and the processes behind them. */
#include "server/interpreter.h"
#include "server/lsp.h"
#include "server/pty.h"
#include "server/server_internal.h"
#include "server/session.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/path.h"
#include "wire/sandbox.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int64_t now_ms(void)
{
    return clock_real_ns() / NS_PER_MS;
}

static void save(struct server *s)
{
    int r;

    lock_take(&s->lock);
    r = store_save_locked(s);
    lock_drop(&s->lock);
    if (r < 0)
        log_msg(LOG_WARN, "the sandboxes could not be saved (%d)", r);
}

static int64_t state_delay(const struct server *s)
{
    struct fault_settings settings;

    fault_settings(s->fault, &settings);
    return settings.state_delay_ns;
}

static bool is_passing(enum sandbox_state state)
{
    return state == SB_CREATING || state == SB_STARTING || state == SB_STOPPING ||
           state == SB_DESTROYING || state == SB_ARCHIVING || state == SB_RESTORING ||
           state == SB_BUILDING || state == SB_PAUSING || state == SB_RESUMING ||
           state == SB_RESIZING || state == SB_SNAPSHOTTING || state == SB_FORKING;
}

static bool goes_back(enum sandbox_state state)
{
    return state == SB_RESIZING || state == SB_SNAPSHOTTING || state == SB_FORKING ||
           state == SB_BUILDING;
}

static void set_state_locked(struct sandbox *sb, enum sandbox_state state, int64_t settle_ns)
{
    lock_assert_held(&sb->srv->lock);
    sb->state = state;
    sb->settle_ns = settle_ns;
    sb->updated_ms = sb->state_ms = now_ms();
    pthread_cond_broadcast(&sb->srv->changed);
}

void sandbox_sweep_locked(struct server *s)
{
    static const enum sandbox_state next[] = {
        [SB_CREATING] = SB_STARTED,     [SB_STARTING] = SB_STARTED,   [SB_STOPPING] = SB_STOPPED,
        [SB_DESTROYING] = SB_DESTROYED, [SB_ARCHIVING] = SB_ARCHIVED, [SB_RESTORING] = SB_STARTED,
        [SB_PAUSING] = SB_PAUSED,       [SB_RESUMING] = SB_STARTED,   [SB_ERROR] = SB_ERROR,
    };
    const int64_t now = clock_mono_ns();

    lock_assert_held(&s->lock);
    for (struct sandbox **p = &s->sandboxes; *p;) {
        struct sandbox *sb = *p;

        if (is_passing(sb->state) && now >= sb->settle_ns)
            set_state_locked(sb, goes_back(sb->state) ? sb->back : next[sb->state], 0);
        if (sb->state == SB_DESTROYED) {
            *p = sb->next;
            sandbox_unref_locked(sb);
        } else {
            p = &sb->next;
        }
    }
}

struct sandbox *sandbox_find_locked(struct server *s, const char *id, const char *name)
{
    sandbox_sweep_locked(s);
    for (struct sandbox *sb = s->sandboxes; sb; sb = sb->next) {
        if ((id && strcmp(sb->id, id) == 0) || (name && strcmp(sb->name, name) == 0))
            return sandbox_ref_locked(sb);
    }
    return NULL;
}

struct sandbox *sandbox_ref_locked(struct sandbox *sb)
{
    lock_assert_held(&sb->srv->lock);
    sb->refs++;
    return sb;
}

void sandbox_unref_locked(struct sandbox *sb)
{
    lock_assert_held(&sb->srv->lock);
    if (--sb->refs == 0)
        store_free(sb);
}

void sandbox_unref(struct sandbox *sb)
{
    struct server *s;

    if (!sb)
        return;
    s = sb->srv;
    lock_take(&s->lock);
    sandbox_unref_locked(sb);
    lock_drop(&s->lock);
}

static int copy_mounts(const struct wire_create *c, struct sandbox *sb)
{
    struct json_strings *const lists[] = {&sb->volume_ids, &sb->volume_paths, &sb->volume_subpaths};

    for (size_t k = 0; c->volume_count > 0 && k < ARRAY_LEN(lists); k++) {
        lists[k]->list = calloc(c->volume_count, sizeof(char *));
        if (!lists[k]->list)
            return -ENOMEM;
        for (size_t i = 0; i < c->volume_count; i++) {
            const struct wire_volume_mount *v = &c->volumes[i];
            const char *const values[] = {v->id, v->path, v->subpath ? v->subpath : ""};

            lists[k]->list[i] = strdup(values[k]);
            if (!lists[k]->list[i])
                return -ENOMEM;
            lists[k]->count++;
        }
    }
    return 0;
}

static int copy_pairs(const struct json_pairs *from, struct json_pairs *to)
{
    if (from->count == 0)
        return 0;
    to->list = calloc(from->count, sizeof(*to->list));
    if (!to->list)
        return -ENOMEM;
    for (; to->count < from->count; to->count++) {
        struct json_pair *p = &to->list[to->count];

        p->key = strdup(from->list[to->count].key);
        p->value = strdup(from->list[to->count].value);
        if (!p->key || !p->value) {
            to->count++;
            return -ENOMEM;
        }
    }
    return 0;
}

static char *given_or(const char *s, const char *otherwise)
{
    return strdup(s && *s ? s : otherwise);
}

static int64_t minutes(int64_t v, int64_t otherwise)
{
    return v == JSON_ABSENT ? otherwise : v;
}

static struct sandbox *make(struct server *s, const struct wire_create *c, const char *folder)
{
    struct sandbox *sb = calloc(1, sizeof(*sb));

    if (!sb)
        return NULL;
    sb->srv = s;
    sb->refs = 2; /* the list's and the caller's */
    sb->id = store_make_id();
    if (!sb->id)
        goto fail;
    sb->name = given_or(c->name, sb->id);
    sb->folder = folder ? strdup(folder) : store_dir(s, sb->id, "home");
    sb->tmp = store_dir(s, sb->id, "tmp");
    sb->var_tmp = store_dir(s, sb->id, "var-tmp");
    sb->user = given_or(c->user, "daytona");
    sb->target = given_or(c->target, "local");
    sb->signing_key = strdup("");
    sb->sandbox_class = strdup("container"); /* a snapshot may say otherwise */
    sb->parent_id = strdup("");
    sb->dockerfile = given_or(c->dockerfile, "");
    sb->network_allow_list = given_or(c->network_allow_list, "");
    sb->domain_allow_list = given_or(c->domain_allow_list, "");
    sb->snapshot = given_or(c->snapshot, c->dockerfile && *c->dockerfile ? "" : "daytona-local");
    if (!sb->name || !sb->folder || !sb->tmp || !sb->var_tmp || !sb->user || !sb->target ||
        !sb->snapshot || !sb->signing_key || !sb->sandbox_class || !sb->parent_id ||
        !sb->dockerfile || !sb->network_allow_list || !sb->domain_allow_list ||
        copy_pairs(&c->env, &sb->env) < 0 || copy_pairs(&c->labels, &sb->labels) < 0 ||
        copy_mounts(c, sb) < 0)
        goto fail;
    sb->given = folder != NULL;
    sb->created_ms = sb->updated_ms = sb->state_ms = sb->active_ms = now_ms();
    sb->auto_stop_min = minutes(c->auto_stop_min, folder ? 0 : 15);
    sb->auto_archive_min = minutes(c->auto_archive_min, 10080);
    sb->auto_delete_min = minutes(c->auto_delete_min, -1);
    sb->auto_pause_min = minutes(c->auto_pause_min, 0);
    sb->ttl_min = minutes(c->ttl_min, 0);
    sb->cpu = c->cpu > 0 ? c->cpu : 1;
    sb->memory_gib = c->memory_gib > 0 ? c->memory_gib : 1;
    sb->disk_gib = c->disk_gib > 0 ? c->disk_gib : 3;
    sb->is_public = c->is_public;
    sb->network_block_all = c->network_block_all;
    sb->state = SB_CREATING;
    sb->settle_ns = INT64_MAX;
    return sb;
fail:
    store_free(sb);
    return NULL;
}

int sandbox_create(struct server *s, const struct wire_create *params, const char *folder,
                   struct sandbox **ret)
{
    struct sandbox *sb, *other;
    int r;

    sb = make(s, params, folder);
    if (!sb)
        return -ENOMEM;
    r = store_make_dirs(sb);
    if (r < 0) {
        store_free(sb);
        return r;
    }
    lock_take(&s->lock);
    other = sandbox_find_locked(s, NULL, sb->name);
    if (other) {
        sandbox_unref_locked(other);
        lock_drop(&s->lock);
        store_remove_dirs(sb);
        store_free(sb);
        return -EEXIST;
    }
    sb->next = s->sandboxes;
    s->sandboxes = sb;
    sb->state = SB_STOPPED; /* until sandbox_start, which the caller calls next */
    r = store_save_locked(s);
    lock_drop(&s->lock);
    if (r < 0)
        log_msg(LOG_WARN, "the sandboxes could not be saved (%d)", r);
    *ret = sb;
    return 0;
}

/* 1: it runs. */
static int may_start(enum sandbox_state state)
{
    switch (state) {
    case SB_STARTED:
        return 1;
    case SB_STOPPED:
    case SB_ARCHIVED:
    case SB_PAUSED:
        return 0;
    case SB_ERROR:
    case SB_BUILD_FAILED:
        return -EINVAL;
    default:
        return -EBUSY;
    }
}

bool sandbox_is_vm(const struct sandbox *sb)
{
    return strcmp(sb->sandbox_class, "container") != 0;
}

/* A pause holds what runs in memory, so there is nothing to be started. */
static int resume(struct sandbox *sb)
{
    struct server *s = sb->srv;
    struct jail *jail = NULL;
    int r = -EBUSY;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    if (sb->state == SB_PAUSED && sb->jail) {
        jail = jail_ref(sb->jail);
        sb->active_ms = now_ms();
        set_state_locked(sb, SB_RESUMING, INT64_MAX);
    }
    lock_drop(&s->lock);
    if (jail)
        r = jail_freeze(jail, false);
    jail_unref(jail);
    lock_take(&s->lock);
    if (sb->state == SB_RESUMING)
        set_state_locked(sb, SB_RESUMING, clock_mono_ns() + state_delay(s));
    lock_drop(&s->lock);
    return r;
}

int sandbox_pause(struct sandbox *sb)
{
    struct jail *jail = NULL;
    int r;

    if (!sandbox_is_vm(sb))
        return -EOPNOTSUPP;
    r = sandbox_begin_work(sb, SB_PAUSING, true, &jail);
    if (r < 0)
        return r;
    r = jail_freeze(jail, true);
    if (r == 0) {
        sandbox_end_work(sb);
    } else {
        (void)jail_freeze(jail, false); /* fails when the sandbox has ended */
        lock_take(&sb->srv->lock);
        if (sb->state == SB_PAUSING)
            set_state_locked(sb, SB_STARTED, 0);
        lock_drop(&sb->srv->lock);
    }
    jail_unref(jail);
    return r;
}

int sandbox_begin_work(struct sandbox *sb, enum sandbox_state during, bool started_only,
                       struct jail **ret)
{
    struct server *s = sb->srv;
    int r = 0;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    if (is_passing(sb->state) || sb->state == SB_DESTROYED) {
        r = -EBUSY;
    } else if (sb->state != SB_STARTED && (started_only || sb->state != SB_STOPPED)) {
        r = -EINVAL;
    } else {
        sb->back = sb->state;
        if (ret)
            *ret = sb->jail ? jail_ref(sb->jail) : NULL;
        set_state_locked(sb, during, INT64_MAX);
    }
    lock_drop(&s->lock);
    return r;
}

void sandbox_end_work(struct sandbox *sb)
{
    struct server *s = sb->srv;

    lock_take(&s->lock);
    if (is_passing(sb->state)) /* the server's end may have been quicker */
        set_state_locked(sb, sb->state, clock_mono_ns() + state_delay(s));
    lock_drop(&s->lock);
    save(s);
}

void sandbox_fail_build(struct sandbox *sb)
{
    struct server *s = sb->srv;

    lock_take(&s->lock);
    sb->back = SB_BUILD_FAILED;
    set_state_locked(sb, SB_BUILDING, clock_mono_ns() + state_delay(s));
    lock_drop(&s->lock);
    save(s);
}

static int add_mounts(const struct sandbox *sb, struct jail_config *config, char **dirs)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < sb->volume_ids.count && i < JAIL_BINDS_MAX; i++) {
        dirs[i] = catalog_dir(sb->srv, sb->volume_ids.list[i]);
        r = dirs[i] ? path_make_dirs(dirs[i], 0755) : -ENOMEM;
        config->binds[config->bind_count++] = (struct jail_bind){
            .from = dirs[i], .sub = sb->volume_subpaths.list[i], .to = sb->volume_paths.list[i]};
    }
    return r;
}

int sandbox_start(struct sandbox *sb, struct buf *why)
{
    struct server *s = sb->srv;
    char *mounts[JAIL_BINDS_MAX] = {NULL};
    struct jail_config config = {
        .folder = sb->folder,
        .tmp = sb->tmp,
        .var_tmp = sb->var_tmp,
        .mountpoint = s->mountpoint,
        .hostname = sb->id,
        .isolate = s->isolate,
    };
    enum sandbox_state before, during;
    struct jail *jail = NULL;
    bool stopping;
    int r;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    before = sb->state;
    r = may_start(before);
    during = sb->updated_ms != sb->created_ms ? SB_STARTING
             : *sb->dockerfile                ? SB_BUILDING
                                              : SB_CREATING;
    sb->back = SB_STARTED;
    if (r == 0 && before != SB_PAUSED)
        set_state_locked(sb, before == SB_ARCHIVED ? SB_RESTORING : during, INT64_MAX);
    lock_drop(&s->lock);
    if (r == 0 && before == SB_PAUSED)
        return resume(sb);
    if (r != 0)
        return r < 0 ? r : 0;

    r = add_mounts(sb, &config, mounts);
    if (r == 0)
        r = jail_start(&config, &jail, why);
    for (size_t i = 0; i < JAIL_BINDS_MAX; i++)
        free(mounts[i]);

    lock_take(&s->lock);
    stopping = s->stopping;
    if (r < 0 || stopping) {
        set_state_locked(sb, before, 0);
    } else {
        sb->archived = false;
        sb->jail = jail;
        if (store_make_token(sb->preview_token, sizeof(sb->preview_token) - 1) < 0)
            sb->preview_token[0] = '\0'; /* no token opens it */
        sb->run = true;
        sb->active_ms = now_ms();
        set_state_locked(sb, sb->state, clock_mono_ns() + state_delay(s));
    }
    lock_drop(&s->lock);
    if (r == 0 && stopping) {
        jail_end(jail);
        jail_unref(jail);
        return -ECANCELED;
    }
    save(s);
    return r;
}

/* Takes the jail away and the state to one in which nobody else changes it. */
static int begin_end(struct sandbox *sb, enum sandbox_state state, bool started_only,
                     struct jail **ret)
{
    struct server *s = sb->srv;
    int r = 0;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    if (is_passing(sb->state) || sb->state == SB_DESTROYED) {
        r = -EBUSY;
    } else if (started_only && sb->state != SB_STARTED && sb->state != SB_PAUSED) {
        r = -EINVAL;
    } else {
        *ret = sb->jail;
        sb->jail = NULL;
        sb->run = false;
        set_state_locked(sb, state, INT64_MAX);
    }
    lock_drop(&s->lock);
    return r;
}

/* Its processes, and what the server holds of them. */
static void end_processes(struct sandbox *sb, struct jail *jail)
{
    jail_end(jail);
    session_end_all(sb);
    pty_end_all(sb);
    interpreter_end_all(sb);
    lsp_end_all(sb);
    jail_unref(jail);
}

static void finish_end(struct sandbox *sb, struct jail *jail)
{
    struct server *s = sb->srv;

    if (jail)
        end_processes(sb, jail);
    lock_take(&s->lock);
    set_state_locked(sb, sb->state, clock_mono_ns() + state_delay(s));
    lock_drop(&s->lock);
}

int sandbox_stop(struct sandbox *sb)
{
    struct server *s = sb->srv;
    struct jail *jail = NULL;
    bool ephemeral;
    int r;

    lock_take(&s->lock);
    ephemeral = sb->auto_delete_min == 0;
    lock_drop(&s->lock);
    if (ephemeral)
        return sandbox_delete(sb);
    r = begin_end(sb, SB_STOPPING, true, &jail);
    if (r < 0)
        return r;
    finish_end(sb, jail);
    save(s);
    return 0;
}

int sandbox_delete(struct sandbox *sb)
{
    struct jail *jail = NULL;
    int r;

    r = begin_end(sb, SB_DESTROYING, false, &jail);
    if (r < 0)
        return r;
    save(sb->srv);
    finish_end(sb, jail);
    store_remove_dirs(sb);
    return 0;
}

/* From one state that is not passing to another. */
static int change(struct sandbox *sb, enum sandbox_state from, enum sandbox_state to)
{
    struct server *s = sb->srv;
    int r = 0;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    if (is_passing(sb->state) || sb->state == SB_DESTROYED)
        r = -EBUSY;
    else if (sb->state != from || (to == SB_ARCHIVING && sb->auto_delete_min == 0))
        r = -EINVAL;
    else
        set_state_locked(sb, to, clock_mono_ns() + state_delay(s));
    if (r == 0)
        sb->archived = to == SB_ARCHIVING;
    lock_drop(&s->lock);
    if (r == 0)
        save(s);
    return r;
}

int sandbox_archive(struct sandbox *sb)
{
    return change(sb, SB_STOPPED, SB_ARCHIVING);
}

int sandbox_recover(struct sandbox *sb)
{
    return change(sb, SB_ERROR, SB_STOPPED);
}

int sandbox_break(struct sandbox *sb)
{
    struct jail *jail = NULL;
    int r;

    r = begin_end(sb, SB_ERROR, false, &jail);
    if (r < 0)
        return r;
    if (jail)
        end_processes(sb, jail);
    save(sb->srv);
    return 0;
}

void sandbox_hurry(struct server *s)
{
    const int64_t until_ns = clock_mono_ns() + state_delay(s);

    lock_take(&s->lock);
    for (struct sandbox *sb = s->sandboxes; sb; sb = sb->next) {
        if (is_passing(sb->state) && sb->settle_ns != INT64_MAX && sb->settle_ns > until_ns)
            sb->settle_ns = until_ns;
    }
    pthread_cond_broadcast(&s->changed);
    lock_drop(&s->lock);
}

void sandbox_wait_settled(struct sandbox *sb, int64_t until_ns)
{
    struct server *s = sb->srv;

    lock_take(&s->lock);
    for (;;) {
        int64_t next;

        sandbox_sweep_locked(s);
        if (!is_passing(sb->state) || s->stopping || clock_mono_ns() >= until_ns)
            break;
        next = sb->settle_ns < until_ns ? sb->settle_ns : until_ns;
        (void)lock_wait_until(&s->lock, &s->changed, next);
    }
    lock_drop(&s->lock);
}

struct jail *sandbox_enter(struct sandbox *sb, enum sandbox_state *ret_state)
{
    struct server *s = sb->srv;
    struct jail *jail = NULL;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    *ret_state = sb->state;
    if (sb->state == SB_STARTED && sb->jail)
        jail = jail_ref(sb->jail);
    lock_drop(&s->lock);
    return jail;
}

void sandbox_end_all(struct server *s)
{
    for (;;) {
        struct sandbox *sb;
        struct jail *jail = NULL;

        lock_take(&s->lock);
        for (sb = s->sandboxes; sb && !sb->jail; sb = sb->next)
            ;
        if (sb) {
            jail = sb->jail;
            sb->jail = NULL;
            set_state_locked(sb, SB_STOPPED, 0);
            sandbox_ref_locked(sb);
        }
        lock_drop(&s->lock);
        if (!jail)
            return;
        end_processes(sb, jail);
        sandbox_unref(sb);
    }
}
