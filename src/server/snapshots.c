/* snapshots.c - the control plane: snapshots, which are copies of a sandbox's home. */
#include "server/server_internal.h"
#include "server/tree.h"

#include "util/array.h"
#include "util/clock.h"
#include "wire/sandbox.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORGANIZATION "00000000-0000-4000-8000-000000000001"

enum { PAGE = 100, PAGE_MAX = 200 };

static void put_or_null(struct json_out *o, const char *key, const char *value)
{
    json_key(o, key);
    if (*value)
        json_string(o, value);
    else
        json_null(o);
}

static void put_numbers(struct json_out *o, const struct stored *s)
{
    json_key(o, "size");
    json_null(o);
    json_key(o, "cpu");
    json_double(o, s->cpu);
    json_key(o, "gpu");
    json_int(o, 0);
    json_key(o, "mem");
    json_double(o, s->memory_gib);
    json_key(o, "disk");
    json_double(o, s->disk_gib);
}

static void put_snapshot(struct json_out *o, const struct stored *s)
{
    json_open(o, '{');
    json_key(o, "id");
    json_string(o, s->id);
    json_key(o, "organizationId");
    json_string(o, ORGANIZATION);
    json_key(o, "general");
    json_bool(o, s->general);
    json_key(o, "name");
    json_string(o, s->name);
    if (*s->image) {
        json_key(o, "imageName");
        json_string(o, s->image);
    }
    json_key(o, "state");
    json_string(o, s->state);
    put_numbers(o, s);
    json_key(o, "entrypoint");
    json_strings(o, &s->entrypoint);
    put_or_null(o, "errorReason", s->error_reason);
    catalog_put_time(o, "createdAt", s->created_ms);
    catalog_put_time(o, "updatedAt", s->updated_ms);
    catalog_put_time(o, "lastUsedAt", s->used_ms);
    put_or_null(o, "sourceSandboxId", s->source_id);
    json_key(o, "sandboxClass");
    json_string(o, s->sandbox_class);
    json_close(o, '}');
}

static void answer(struct request *rq, int status, const struct stored *snapshot)
{
    struct json_out o = reply_json(rq, status);

    put_snapshot(&o, snapshot);
    reply_json_end(rq, &o);
}

/* ---- making one ---- */

struct create_json {
    char *name, *image, *sandbox_class;
    struct json_strings entrypoint;
    double cpu, memory_gib, disk_gib;
};
static const struct json_field create_fields[] = {
    JSON_FIELD(struct create_json, name, "name", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct create_json, image, "imageName", JSON_STRING, 0),
    JSON_FIELD(struct create_json, sandbox_class, "sandboxClass", JSON_STRING, 0),
    JSON_FIELD(struct create_json, entrypoint, "entrypoint", JSON_STRINGS, 0),
    JSON_FIELD(struct create_json, cpu, "cpu", JSON_DOUBLE, 0),
    JSON_FIELD(struct create_json, memory_gib, "memory", JSON_DOUBLE, 0),
    JSON_FIELD(struct create_json, disk_gib, "disk", JSON_DOUBLE, 0),
};

/* As the name of an image: lower case, digits, and a few signs inside. */
static bool name_allowed(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789._-/:@";

    return isalnum((unsigned char)*name) && strspn(name, allowed) == strlen(name) &&
           strlen(name) <= 255;
}

/* A tag that is not "latest", or a digest. A colon before a slash is a port. */
static bool image_allowed(const char *image)
{
    const char *slash = strrchr(image, '/'), *tag = strrchr(slash ? slash : image, ':');

    return strstr(image, "@sha256:") || (tag && tag[1] && strcmp(tag, ":latest") != 0);
}

static void move(char **to, char **from)
{
    free(*to);
    *to = *from;
    *from = NULL;
}

/* Takes what c and dockerfile hold. */
static void add_locked(struct request *rq, struct create_json *c, char **dockerfile)
{
    struct server *s = rq->srv;
    struct stored *item = catalog_add_locked(s, ITEM_SNAPSHOT, c->name);
    const bool builds = **dockerfile;

    if (!item) {
        reply_status(rq, 500);
        return;
    }
    move(&item->image, &c->image);
    move(&item->dockerfile, dockerfile);
    move(&item->sandbox_class, &c->sandbox_class);
    if (!*item->sandbox_class) {
        free(item->sandbox_class);
        item->sandbox_class = strdup("container");
    }
    item->entrypoint = c->entrypoint;
    c->entrypoint = (struct json_strings){0};
    item->cpu = c->cpu > 0 ? c->cpu : 1;
    item->memory_gib = c->memory_gib > 0 ? c->memory_gib : 1;
    item->disk_gib = c->disk_gib > 0 ? c->disk_gib : 3;
    if (builds && !build_possible(item->dockerfile)) {
        free(item->error_reason);
        item->error_reason = strdup("the Dockerfile does not begin with FROM");
        catalog_pass_locked(s, item, "building", "build_failed");
    } else {
        catalog_pass_locked(s, item, builds ? "building" : "pulling", "active");
    }
    catalog_save_locked(s);
    answer(rq, 200, item);
}

static void create(struct request *rq, struct create_json *c, char **dockerfile)
{
    struct server *s = rq->srv;

    if (!name_allowed(c->name)) {
        reply_api_error(rq, 400, "Snapshot name is not allowed: %.100s", c->name);
    } else if (!*c->image == !**dockerfile) {
        reply_api_error(rq, 400, "Either an image name or build info is needed, not both");
    } else if (*c->image && !image_allowed(c->image)) {
        reply_api_error(rq, 400,
                        "Image name must include a tag that is not latest, or a digest: %.100s",
                        c->image);
    } else {
        lock_take(&s->lock);
        if (catalog_find_locked(s, ITEM_SNAPSHOT, "", c->name))
            reply_api_error(rq, 409, "Snapshot with name \"%s\" already exists", c->name);
        else
            add_locked(rq, c, dockerfile);
        lock_drop(&s->lock);
    }
}

void snapshot_post(struct request *rq)
{
    struct create_json c = {0};
    struct wire_create build = {0};

    if (request_json(rq, create_fields, ARRAY_LEN(create_fields), &c) < 0) {
        reply_api_error(rq, 400, "the body is not what a snapshot is created from");
        return;
    }
    /* buildInfo is as in a sandbox's; of the rest nothing is looked at. */
    if (wire_create_read(rq->body.data, rq->body.len, &build) < 0)
        reply_api_error(rq, 400, "buildInfo is not what a snapshot is built from");
    else
        create(rq, &c, &build.dockerfile);
    wire_create_done(&build);
    json_unload(create_fields, ARRAY_LEN(create_fields), &c);
}

/* ---- the list ---- */

static size_t number(const struct request *rq, const char *key, size_t otherwise)
{
    const char *text = request_query(rq, key);
    char *end;
    unsigned long v;

    if (!text)
        return otherwise;
    v = strtoul(text, &end, 10);
    return *end || !isdigit((unsigned char)*text) ? 0 : v;
}

static bool wanted(const struct request *rq, const struct stored *item)
{
    const char *name = request_query(rq, "name");

    return strcmp(item->kind, ITEM_SNAPSHOT) == 0 && (!name || strstr(item->name, name));
}

void snapshot_get_all(struct request *rq)
{
    const size_t page = number(rq, "page", 1), limit = number(rq, "limit", PAGE);
    struct server *s = rq->srv;
    struct json_out o;
    size_t total = 0;

    if (page < 1 || page > 1000000 || limit < 1 || limit > PAGE_MAX) {
        reply_api_error(rq, 400, "page must not be less than 1, limit not greater than 200");
        return;
    }
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "items");
    json_open(&o, '[');
    lock_take(&s->lock);
    catalog_sweep_locked(s);
    for (const struct stored *item = s->items; item; item = item->next) {
        if (!wanted(rq, item))
            continue;
        if (total >= (page - 1) * limit && total < page * limit)
            put_snapshot(&o, item);
        total++;
    }
    lock_drop(&s->lock);
    json_close(&o, ']');
    json_key(&o, "total");
    json_int(&o, (int64_t)total);
    json_key(&o, "page");
    json_int(&o, (int64_t)page);
    json_key(&o, "totalPages");
    json_int(&o, (int64_t)((total + limit - 1) / limit));
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

/* ---- one ---- */

/* With the lock held if there is one; else refused, and it is not. */
static struct stored *take(struct request *rq, bool by_name)
{
    struct stored *item;

    lock_take(&rq->srv->lock);
    item = catalog_find_locked(rq->srv, ITEM_SNAPSHOT, rq->capture[0],
                               by_name ? rq->capture[0] : NULL);
    if (item)
        return item;
    lock_drop(&rq->srv->lock);
    reply_api_error(rq, 404, "Snapshot with ID or name %s not found", rq->capture[0]);
    return NULL;
}

void snapshot_get(struct request *rq)
{
    const struct stored *item = take(rq, true);

    if (!item)
        return;
    answer(rq, 200, item);
    lock_drop(&rq->srv->lock);
}

void snapshot_delete(struct request *rq)
{
    struct stored *item = take(rq, false);
    char *dir = NULL;

    if (!item)
        return;
    if (item->general) {
        reply_api_error(rq, 403, "You cannot delete general snapshots");
    } else if (strcmp(item->state, "snapshotting") == 0) { /* somebody is filling it */
        reply_api_error(rq, 400, "Snapshot %s is in %s state", item->name, item->state);
    } else {
        dir = catalog_dir(rq->srv, item->id);
        catalog_pass_locked(rq->srv, item, "removing", "deleted");
        catalog_save_locked(rq->srv);
        reply_status(rq, 200);
    }
    lock_drop(&rq->srv->lock);
    if (dir)
        tree_remove_path(dir);
    free(dir);
}

void snapshot_activate(struct request *rq)
{
    struct stored *item = take(rq, false);

    if (!item)
        return;
    if (strcmp(item->state, "active") == 0) {
        reply_api_error(rq, 400, "Snapshot %s is already active", item->name);
    } else if (strcmp(item->state, "inactive") != 0) {
        reply_api_error(rq, 400, "Snapshot %s cannot be activated - it is in %s state", item->name,
                        item->state);
    } else {
        catalog_pass_locked(rq->srv, item, "pulling", "active");
        catalog_save_locked(rq->srv);
        answer(rq, 200, item);
    }
    lock_drop(&rq->srv->lock);
}

void snapshot_deactivate(struct request *rq)
{
    struct stored *item = take(rq, false);

    if (!item)
        return;
    if (item->general) {
        reply_api_error(rq, 403, "You cannot deactivate general snapshots");
    } else if (strcmp(item->state, "active") != 0) {
        reply_api_error(rq, 400, "Snapshot %s cannot be deactivated - it is in %s state",
                        item->name, item->state);
    } else {
        catalog_pass_locked(rq->srv, item, "inactive", NULL);
        catalog_save_locked(rq->srv);
        reply_status(rq, 204);
    }
    lock_drop(&rq->srv->lock);
}

/* ---- from and to sandboxes ---- */

bool snapshot_check(struct request *rq, const struct wire_create *c, struct snapshot_use *ret)
{
    struct server *s = rq->srv;
    const char *name = c->snapshot && *c->snapshot ? c->snapshot : "daytona-local";
    struct stored *item;
    bool fine = false;

    *ret = (struct snapshot_use){0};
    if (c->dockerfile && *c->dockerfile)
        return true;
    lock_take(&s->lock);
    item = catalog_find_locked(s, ITEM_SNAPSHOT, name, name);
    if (!item) {
        reply_api_error(rq, 400, "Snapshot %s not found", name);
    } else if (strcmp(item->state, "active") != 0) {
        reply_api_error(rq, 400, "Snapshot %s is %s", item->name, item->state);
    } else {
        item->used_ms = clock_real_ns() / NS_PER_MS;
        ret->dir = *item->source_id ? catalog_dir(s, item->id) : NULL;
        ret->sandbox_class = strdup(item->sandbox_class);
        ret->cpu = item->cpu;
        ret->memory_gib = item->memory_gib;
        ret->disk_gib = item->disk_gib;
        fine = true;
    }
    lock_drop(&s->lock);
    return fine;
}

struct take_json {
    char *name;
};
static const struct json_field take_fields[] = {
    JSON_FIELD(struct take_json, name, "name", JSON_STRING, JSON_REQUIRED)};

/* The files are there before the snapshot is in the list. */
static void add_taken(struct request *rq, struct jail *jail, const char *name)
{
    struct server *s = rq->srv;
    struct sandbox *sb = rq->sandbox;
    struct stored *item;
    char *dir = NULL;
    int r = -ENOMEM;

    lock_take(&s->lock);
    item = catalog_add_locked(s, ITEM_SNAPSHOT, name);
    if (item) {
        char *class = strdup(sb->sandbox_class), *id = strdup(sb->id);

        catalog_pass_locked(s, item, "snapshotting", NULL);
        move(&item->sandbox_class, &class);
        move(&item->source_id, &id);
        item->cpu = sb->cpu;
        item->memory_gib = sb->memory_gib;
        item->disk_gib = sb->disk_gib;
        dir = catalog_dir(s, item->id);
    }
    lock_drop(&s->lock);
    if (jail) /* what runs does not write meanwhile */
        (void)jail_freeze(jail, true);
    if (dir)
        r = tree_copy_path(sb->folder, dir);
    if (jail)
        (void)jail_freeze(jail, false);
    lock_take(&s->lock);
    if (item) /* nobody can have deleted it */
        catalog_pass_locked(s, item, "snapshotting", r < 0 ? "error" : "active");
    catalog_save_locked(s);
    lock_drop(&s->lock);
    free(dir);
}

void api_sandbox_snapshot(struct request *rq)
{
    struct server *s = rq->srv;
    struct take_json c = {0};
    struct jail *jail = NULL;
    bool taken;
    int r;

    if (request_json(rq, take_fields, ARRAY_LEN(take_fields), &c) < 0 || !name_allowed(c.name)) {
        reply_api_error(rq, 400, "name is missing or not allowed");
        json_unload(take_fields, ARRAY_LEN(take_fields), &c);
        return;
    }
    lock_take(&s->lock);
    taken = catalog_find_locked(s, ITEM_SNAPSHOT, "", c.name);
    lock_drop(&s->lock);
    r = taken ? -EEXIST : sandbox_begin_work(rq->sandbox, SB_SNAPSHOTTING, false, &jail);
    if (r == 0) {
        add_taken(rq, jail, c.name);
        jail_unref(jail);
        sandbox_end_work(rq->sandbox);
        api_answer_sandbox(rq, 200);
    } else if (r == -EEXIST) {
        reply_api_error(rq, 409, "Snapshot with name \"%s\" already exists", c.name);
    } else {
        api_answer_change(rq, r, "Sandbox must be started or stopped to be snapshotted");
    }
    json_unload(take_fields, ARRAY_LEN(take_fields), &c);
}
