/* volumes.c - the control plane: volumes, which are folders that sandboxes have bound. */
#include "server/server_internal.h"
#include "server/tree.h"

#include "util/array.h"
#include "util/clock.h"
#include "wire/sandbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ORGANIZATION "00000000-0000-4000-8000-000000000001"

static void put_volume(struct json_out *o, const struct stored *v)
{
    json_open(o, '{');
    json_key(o, "id");
    json_string(o, v->id);
    json_key(o, "name");
    json_string(o, v->name);
    json_key(o, "organizationId");
    json_string(o, ORGANIZATION);
    json_key(o, "state");
    json_string(o, v->state);
    catalog_put_time(o, "createdAt", v->created_ms);
    catalog_put_time(o, "updatedAt", v->updated_ms);
    catalog_put_time(o, "lastUsedAt", v->used_ms);
    json_key(o, "errorReason");
    json_null(o);
    json_close(o, '}');
}

struct name_json {
    char *name;
};
static const struct json_field name_fields[] = {
    JSON_FIELD(struct name_json, name, "name", JSON_STRING, JSON_REQUIRED)};

void volume_post(struct request *rq)
{
    struct server *s = rq->srv;
    struct name_json body = {0};
    struct stored *volume = NULL;
    struct json_out o;

    if (request_json(rq, name_fields, ARRAY_LEN(name_fields), &body) < 0 || !*body.name) {
        reply_api_error(rq, 400, "name should not be empty, name must be a string");
        json_unload(name_fields, ARRAY_LEN(name_fields), &body);
        return;
    }
    lock_take(&s->lock);
    if (catalog_find_locked(s, ITEM_VOLUME, "", body.name)) {
        reply_api_error(rq, 409, "Volume with name %s already exists", body.name);
    } else if (!(volume = catalog_add_locked(s, ITEM_VOLUME, body.name))) {
        reply_status(rq, 500);
    } else {
        catalog_pass_locked(s, volume, "creating", "ready");
        catalog_save_locked(s);
        o = reply_json(rq, 200);
        put_volume(&o, volume);
        reply_json_end(rq, &o);
    }
    lock_drop(&s->lock);
    json_unload(name_fields, ARRAY_LEN(name_fields), &body);
}

void volume_get_all(struct request *rq)
{
    struct server *s = rq->srv;
    struct json_out o = reply_json(rq, 200);

    lock_take(&s->lock);
    catalog_sweep_locked(s);
    json_open(&o, '[');
    for (const struct stored *item = s->items; item; item = item->next) {
        if (strcmp(item->kind, ITEM_VOLUME) == 0)
            put_volume(&o, item);
    }
    json_close(&o, ']');
    lock_drop(&s->lock);
    reply_json_end(rq, &o);
}

static void answer_one(struct request *rq, const char *id, const char *name)
{
    struct server *s = rq->srv;
    const struct stored *volume;
    struct json_out o;

    lock_take(&s->lock);
    volume = catalog_find_locked(s, ITEM_VOLUME, id, name);
    if (volume) {
        o = reply_json(rq, 200);
        put_volume(&o, volume);
        reply_json_end(rq, &o);
    } else {
        reply_api_error(rq, 404, "Volume with %s %s not found", name ? "name" : "ID",
                        rq->capture[0]);
    }
    lock_drop(&s->lock);
}

void volume_get(struct request *rq)
{
    answer_one(rq, rq->capture[0], NULL);
}

void volume_by_name(struct request *rq)
{
    answer_one(rq, "", rq->capture[0]);
}

static bool volume_in_use_locked(const struct server *s, const char *id)
{
    for (const struct sandbox *sb = s->sandboxes; sb; sb = sb->next) {
        for (size_t i = 0; i < sb->volume_ids.count; i++) {
            if (strcmp(sb->volume_ids.list[i], id) == 0)
                return true;
        }
    }
    return false;
}

void volume_delete(struct request *rq)
{
    struct server *s = rq->srv;
    struct stored *volume;
    char *dir = NULL;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    volume = catalog_find_locked(s, ITEM_VOLUME, rq->capture[0], NULL);
    if (!volume) {
        reply_api_error(rq, 404, "Volume with ID %s not found", rq->capture[0]);
    } else if (volume_in_use_locked(s, volume->id)) {
        reply_api_error(rq, 409, "Volume cannot be deleted because it is in use by a sandbox");
    } else if (strcmp(volume->state, "ready") != 0 && strcmp(volume->state, "error") != 0) {
        reply_api_error(rq, 400, "Volume must be in ready or error state in order to be deleted");
    } else {
        dir = catalog_dir(s, volume->id);
        catalog_pass_locked(s, volume, "deleting", "deleted");
        catalog_save_locked(s);
        reply_status(rq, 200);
    }
    lock_drop(&s->lock);
    if (dir)
        tree_remove_path(dir);
    free(dir);
}

/* ---- mounts ---- */

/* What the system needs; "" stands for the root itself. */
static const char *const forbidden[] = {"",     "/proc", "/sys",  "/dev", "/boot",
                                        "/etc", "/bin",  "/sbin", "/lib", "/lib64"};

static bool has_part(const char *path, const char *part)
{
    const size_t n = strlen(part);

    for (const char *p = path; p; p = strchr(p, '/')) {
        p += *p == '/';
        if (strncmp(p, part, n) == 0 && (p[n] == '/' || !p[n]))
            return true;
    }
    return false;
}

static bool path_allowed(const char *path)
{
    if (*path != '/' || strstr(path, "//") || has_part(path, "..") || has_part(path, "."))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(forbidden); i++) {
        const size_t n = strlen(forbidden[i]);

        if (strncmp(path, forbidden[i], n) == 0 &&
            (!path[n] || (path[n] == '/' && (n > 0 || !path[1]))))
            return false;
    }
    return true;
}

static bool subpath_allowed(const char *sub)
{
    return *sub != '/' && !strstr(sub, "//") && !has_part(sub, "..");
}

static bool mount_allowed_locked(struct request *rq, const struct wire_volume_mount *mount)
{
    const struct stored *volume = catalog_find_locked(rq->srv, ITEM_VOLUME, mount->id, mount->id);

    if (!volume) {
        reply_api_error(rq, 404, "Volume with ID or name %s not found", mount->id);
    } else if (strcmp(volume->state, "ready") != 0) {
        reply_api_error(rq, 400, "Volume '%s' is not in a ready state. Current state: %s",
                        volume->name, volume->state);
    } else if (!path_allowed(mount->path)) {
        reply_api_error(rq, 400, "Invalid mount path %s: it must be absolute and not the system's",
                        mount->path);
    } else if (mount->subpath && !subpath_allowed(mount->subpath)) {
        reply_api_error(rq, 400, "Invalid subpath %s", mount->subpath);
    } else {
        return true;
    }
    return false;
}

bool volumes_check(struct request *rq, const struct wire_create *c)
{
    struct server *s = rq->srv;
    bool fine = true;

    if (c->volume_count > 0 && !s->isolate) {
        reply_api_error(rq, 400, "this server cannot mount volumes: it does not isolate sandboxes");
        return false;
    }
    if (c->volume_count > JAIL_BINDS_MAX) {
        reply_api_error(rq, 400, "at most %d volumes", JAIL_BINDS_MAX);
        return false;
    }
    lock_take(&s->lock);
    for (size_t i = 0; fine && i < c->volume_count; i++) {
        struct wire_volume_mount *mount = &c->volumes[i];
        struct stored *volume;
        char *id;

        fine = mount_allowed_locked(rq, mount);
        if (!fine)
            break;
        volume = catalog_find_locked(s, ITEM_VOLUME, mount->id, mount->id);
        volume->used_ms = clock_real_ns() / NS_PER_MS;
        id = strdup(volume->id); /* it may have been its name */
        if (id) {
            free(mount->id);
            mount->id = id;
        }
    }
    lock_drop(&s->lock);
    return fine;
}
