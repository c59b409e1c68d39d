/* env.c - the environment of what a sandbox starts from now on. */
#include "server/server_internal.h"

#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct env_json {
    struct json_pairs set;
    struct json_strings unset;
    char *prefix; /* those that begin with it go, too */
};
static const struct json_field fields[] = {
    JSON_FIELD(struct env_json, set, "set", JSON_PAIRS, 0),
    JSON_FIELD(struct env_json, unset, "unset", JSON_STRINGS, 0),
    JSON_FIELD(struct env_json, prefix, "unsetValuePrefix", JSON_STRING, 0),
};

static bool goes(const struct env_json *e, const struct json_pair *pair)
{
    for (size_t i = 0; i < e->unset.count; i++) {
        if (strcmp(e->unset.list[i], pair->key) == 0)
            return true;
    }
    for (size_t i = 0; i < e->set.count; i++) {
        if (strcmp(e->set.list[i].key, pair->key) == 0)
            return true;
    }
    return *e->prefix && strncmp(pair->value, e->prefix, strlen(e->prefix)) == 0;
}

/* What is left of the old, then what is set. Takes set's strings. */
static int merge_locked(struct sandbox *sb, struct env_json *e)
{
    struct json_pair *list;
    size_t n = 0;

    list = calloc(sb->env.count + e->set.count + 1, sizeof(*list));
    if (!list)
        return -ENOMEM;
    for (size_t i = 0; i < sb->env.count; i++) {
        if (goes(e, &sb->env.list[i])) {
            free(sb->env.list[i].key);
            free(sb->env.list[i].value);
        } else {
            list[n++] = sb->env.list[i];
        }
    }
    if (e->set.count > 0)
        memcpy(list + n, e->set.list, e->set.count * sizeof(*list));
    n += e->set.count;
    free(sb->env.list);
    free(e->set.list);
    e->set = (struct json_pairs){0};
    sb->env = (struct json_pairs){.list = list, .count = n};
    return 0;
}

static bool keys_valid(const struct json_pairs *set)
{
    for (size_t i = 0; i < set->count; i++) {
        if (!shell_env_key_valid(set->list[i].key))
            return false;
    }
    return set->count <= SHELL_ENV_MAX / 2;
}

void env_update(struct request *rq)
{
    struct server *s = rq->srv;
    struct env_json e = {0};
    struct json_out o;
    int r;

    r = request_json(rq, fields, ARRAY_LEN(fields), &e);
    if (r < 0 || !keys_valid(&e.set)) {
        reply_error(rq, 400, "BAD_REQUEST", "bad request: invalid environment");
        json_unload(fields, ARRAY_LEN(fields), &e);
        return;
    }
    o = reply_json(rq, 200);
    lock_take(&s->lock);
    r = merge_locked(rq->sandbox, &e);
    json_pairs(&o, &rq->sandbox->env);
    (void)store_save_locked(s); /* it holds as long as the server does */
    lock_drop(&s->lock);
    reply_json_end(rq, &o);
    if (r < 0) {
        reply_reset(&rq->reply);
        reply_status(rq, 500);
    }
    json_unload(fields, ARRAY_LEN(fields), &e);
}
