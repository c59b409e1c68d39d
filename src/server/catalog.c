/* catalog.c - what outlives sandboxes: snapshots and volumes, their states and their folders. */
#include "server/server_internal.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/path.h"
#include "wire/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CATALOG_MAX = 64 << 20 };

/* STATE/catalog.json is an array of these; the files are below STATE/catalog/ID. */
static const struct json_field fields[] = {
    JSON_FIELD(struct stored, kind, "kind", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct stored, id, "id", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct stored, name, "name", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct stored, state, "state", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct stored, error_reason, "error_reason", JSON_STRING, 0),
    JSON_FIELD(struct stored, image, "image", JSON_STRING, 0),
    JSON_FIELD(struct stored, dockerfile, "dockerfile", JSON_STRING, 0),
    JSON_FIELD(struct stored, sandbox_class, "class", JSON_STRING, 0),
    JSON_FIELD(struct stored, source_id, "source", JSON_STRING, 0),
    JSON_FIELD(struct stored, entrypoint, "entrypoint", JSON_STRINGS, 0),
    JSON_FIELD(struct stored, cpu, "cpu", JSON_DOUBLE, 0),
    JSON_FIELD(struct stored, memory_gib, "memory_gib", JSON_DOUBLE, 0),
    JSON_FIELD(struct stored, disk_gib, "disk_gib", JSON_DOUBLE, 0),
    JSON_FIELD(struct stored, created_ms, "created_ms", JSON_INT, 0),
    JSON_FIELD(struct stored, updated_ms, "updated_ms", JSON_INT, 0),
    JSON_FIELD(struct stored, used_ms, "used_ms", JSON_INT, 0),
};

static int64_t now_ms(void)
{
    return clock_real_ns() / NS_PER_MS;
}

static void free_item(struct stored *item)
{
    json_unload(fields, ARRAY_LEN(fields), item);
    free(item);
}

static bool set_state(struct stored *item, const char *state)
{
    char *copy = strdup(state);

    if (!copy)
        return false;
    free(item->state);
    item->state = copy;
    item->updated_ms = now_ms();
    return true;
}

void catalog_sweep_locked(struct server *s)
{
    const int64_t now = clock_mono_ns();

    lock_assert_held(&s->lock);
    for (struct stored **p = &s->items; *p;) {
        struct stored *item = *p;

        if (item->then && now >= item->settle_ns && set_state(item, item->then))
            item->then = NULL;
        if (strcmp(item->state, "deleted") == 0) {
            *p = item->next;
            free_item(item);
        } else {
            p = &item->next;
        }
    }
}

struct stored *catalog_find_locked(struct server *s, const char *kind, const char *id,
                                   const char *name)
{
    catalog_sweep_locked(s);
    for (struct stored *item = s->items; item; item = item->next) {
        if (strcmp(item->kind, kind) == 0 &&
            (strcmp(item->id, id) == 0 || (name && strcmp(item->name, name) == 0)))
            return item;
    }
    return NULL;
}

struct stored *catalog_add_locked(struct server *s, const char *kind, const char *name)
{
    static const char blank[] = "{\"kind\":\"\",\"id\":\"\",\"name\":\"\",\"state\":\"\"}";
    struct stored *item = calloc(1, sizeof(*item)), **end;

    if (!item)
        return NULL;
    /* What is not said is said to be nothing: the table's strings are never NULL. */
    if (json_read(blank, strlen(blank), fields, ARRAY_LEN(fields), item) < 0) {
        free(item);
        return NULL;
    }
    free(item->kind);
    free(item->id);
    free(item->name);
    item->kind = strdup(kind);
    item->id = store_make_id();
    item->name = strdup(name);
    item->created_ms = item->updated_ms = now_ms();
    if (!item->kind || !item->id || !item->name) {
        free_item(item);
        return NULL;
    }
    for (end = &s->items; *end; end = &(*end)->next)
        ;
    *end = item;
    return item;
}

void catalog_pass_locked(struct server *s, struct stored *item, const char *state, const char *then)
{
    struct fault_settings settings;

    fault_settings(s->fault, &settings);
    if (!set_state(item, state))
        return; /* without memory it stays as it is */
    item->then = then;
    item->settle_ns = clock_mono_ns() + settings.state_delay_ns;
}

/* As it will be when no change is under way. */
static void put_item(struct json_out *o, const struct stored *item)
{
    struct stored final = *item;

    if (item->then)
        final.state = (char *)item->then;
    json_open(o, '{');
    json_fields(o, fields, ARRAY_LEN(fields), &final);
    json_close(o, '}');
}

void catalog_save_locked(struct server *s)
{
    struct buf text = BUF_INIT(CATALOG_MAX);
    struct json_out o = {.buf = &text};
    int r;

    json_open(&o, '[');
    for (const struct stored *item = s->items; item; item = item->next) {
        if (!item->general && !(item->then && strcmp(item->then, "deleted") == 0))
            put_item(&o, item);
    }
    json_close(&o, ']');
    r = o.err < 0 ? o.err : store_write_list(s, "catalog.json", &text);
    buf_done(&text);
    if (r < 0)
        log_msg(LOG_WARN, "the snapshots and volumes could not be saved (%d)", r);
}

static int load_one(void *arg, const cJSON *element)
{
    struct server *s = arg;
    struct stored *item = calloc(1, sizeof(*item)), **end;
    int r;

    if (!item)
        return -ENOMEM;
    r = json_load(element, fields, ARRAY_LEN(fields), item);
    if (r < 0) {
        free(item);
        return r;
    }
    if (!path_name_valid(item->id, strlen(item->id))) {
        free_item(item);
        return -EPROTO;
    }
    /* Whoever was filling it has gone. */
    if (strcmp(item->state, "snapshotting") == 0)
        (void)set_state(item, "error");
    for (end = &s->items; *end; end = &(*end)->next)
        ;
    *end = item;
    return 0;
}

/* What the server has without being told: an empty home, as a container and as what can pause. */
static int add_general(struct server *s)
{
    static const char *const names[][2] = {{"daytona-local", "container"},
                                           {"daytona-local-vm", "linux-vm"}};

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct stored *item = catalog_add_locked(s, ITEM_SNAPSHOT, names[i][0]);

        if (!item || !set_state(item, "active"))
            return -ENOMEM;
        free(item->sandbox_class);
        item->sandbox_class = strdup(names[i][1]);
        item->cpu = item->memory_gib = 1;
        item->disk_gib = 3;
        item->general = true;
        if (!item->sandbox_class)
            return -ENOMEM;
    }
    return 0;
}

int catalog_load(struct server *s, struct buf *why)
{
    int r;

    lock_take(&s->lock);
    r = add_general(s);
    if (r == 0)
        r = store_read_list(s, "catalog.json", load_one, why);
    lock_drop(&s->lock);
    return r;
}

void catalog_free(struct server *s)
{
    while (s->items) {
        struct stored *item = s->items;

        s->items = item->next;
        free_item(item);
    }
}

char *catalog_dir(const struct server *s, const char *id)
{
    char *path;

    return asprintf(&path, "%s/catalog/%s", s->state_dir, id) < 0 ? NULL : path;
}

void catalog_put_time(struct json_out *o, const char *key, int64_t ms)
{
    struct buf text = BUF_INIT(64);

    json_key(o, key);
    if (ms == 0) {
        json_null(o);
        return;
    }
    (void)time_write_rfc3339(&text, ms * NS_PER_MS, 0);
    json_string(o, buf_str(&text));
    buf_done(&text);
}
