/* control_vm.c - the control plane: what changes a sandbox's size, copies or holds it. */
#include "server/server_internal.h"
#include "server/tree.h"

#include "util/array.h"
#include "wire/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NETWORKS_MAX = 10 };

static void refuse_class(struct request *rq)
{
    reply_api_error(rq, 422, "Operation %s is not supported for sandbox class %s", rq->route->name,
                    rq->sandbox->sandbox_class);
}

void api_pause(struct request *rq)
{
    const int r = sandbox_pause(rq->sandbox);

    if (r == -EOPNOTSUPP)
        refuse_class(rq);
    else
        api_answer_change(rq, r, "Sandbox is not started");
}

/* The old one is the caller's then. */
static void replace(char **to, char **from)
{
    char *old = *to;

    *to = *from;
    *from = old;
}

/* ---- fork ---- */

/* What a child has of its parent. Everything is borrowed but the name. */
static int make_child(struct request *rq, const char *name, struct sandbox **ret)
{
    struct sandbox *sb = rq->sandbox;
    struct wire_create c = {
        .name = (char *)name,
        .snapshot = sb->snapshot,
        .user = sb->user,
        .target = sb->target,
        .env = sb->env,
        .labels = sb->labels,
        .cpu = sb->cpu,
        .memory_gib = sb->memory_gib,
        .disk_gib = sb->disk_gib,
        .auto_stop_min = sb->auto_stop_min,
        .auto_archive_min = sb->auto_archive_min,
        .auto_delete_min = sb->auto_delete_min,
        .auto_pause_min = sb->auto_pause_min,
        .ttl_min = JSON_ABSENT,
        .network_block_all = sb->network_block_all,
    };
    char *parent_id = strdup(sb->id), *sandbox_class = strdup(sb->sandbox_class);
    int r = parent_id && sandbox_class ? 0 : -ENOMEM;

    if (r == 0)
        r = sandbox_create(rq->srv, &c, NULL, ret);
    if (r == 0) {
        lock_take(&rq->srv->lock);
        replace(&(*ret)->parent_id, &parent_id);
        replace(&(*ret)->sandbox_class, &sandbox_class);
        lock_drop(&rq->srv->lock);
    }
    free(parent_id);
    free(sandbox_class);
    return r;
}

/* The processes stand still while their files are copied; the child begins without any. */
static int copy_to_child(struct sandbox *sb, struct jail *jail, struct sandbox *child)
{
    int r;

    r = jail_freeze(jail, true);
    if (r < 0)
        return r;
    r = tree_copy_path(sb->folder, child->folder);
    if (r == 0)
        r = tree_copy_path(sb->tmp, child->tmp);
    if (r == 0)
        r = tree_copy_path(sb->var_tmp, child->var_tmp);
    (void)jail_freeze(jail, false); /* fails when the sandbox has ended */
    return r;
}

static void fork_to(struct request *rq, const char *name)
{
    struct sandbox *sb = rq->sandbox, *child = NULL;
    struct jail *jail = NULL;
    struct buf why = BUF_INIT(1024);
    int r;

    r = sandbox_begin_work(sb, SB_FORKING, true, &jail);
    if (r < 0) {
        api_answer_change(rq, r, "Sandbox must be started to be forked");
        return;
    }
    r = make_child(rq, name, &child);
    if (r == 0)
        r = copy_to_child(sb, jail, child);
    jail_unref(jail);
    sandbox_end_work(sb);
    if (r == 0)
        r = sandbox_start(child, &why);
    if (r == -EEXIST) {
        reply_api_error(rq, 409, "Sandbox with name %s already exists", name);
    } else if (r < 0) {
        if (child)
            (void)sandbox_delete(child);
        reply_api_error(rq, 400, "The fork could not be made: %s",
                        why.len ? buf_str(&why) : strerror(-r));
    } else {
        rq->sandbox = child; /* the answer is about it */
        child = sb;
        api_answer_sandbox(rq, 200);
    }
    sandbox_unref(child);
    buf_done(&why);
}

struct fork_json {
    char *name;
};
static const struct json_field fork_fields[] = {
    JSON_FIELD(struct fork_json, name, "name", JSON_STRING, 0)};

void api_fork(struct request *rq)
{
    struct fork_json c = {0};

    if (rq->body.len > 0 && request_json(rq, fork_fields, ARRAY_LEN(fork_fields), &c) < 0)
        reply_api_error(rq, 400, "name must be a string");
    else if (!sandbox_is_vm(rq->sandbox))
        refuse_class(rq);
    else
        fork_to(rq, c.name && *c.name ? c.name : NULL);
    json_unload(fork_fields, ARRAY_LEN(fork_fields), &c);
}

bool sandbox_has_forks_locked(const struct sandbox *sb)
{
    for (const struct sandbox *other = sb->srv->sandboxes; other; other = other->next) {
        if (strcmp(other->parent_id, sb->id) == 0 && other->state != SB_DESTROYING)
            return true;
    }
    return false;
}

void api_forks(struct request *rq)
{
    struct server *s = rq->srv;
    struct json_out o = reply_json(rq, 200);

    json_open(&o, '[');
    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    for (const struct sandbox *sb = s->sandboxes; sb; sb = sb->next) {
        if (strcmp(sb->parent_id, rq->sandbox->id) == 0)
            api_put_sandbox_locked(&o, sb, false);
    }
    lock_drop(&s->lock);
    json_close(&o, ']');
    reply_json_end(rq, &o);
}

/* NULL: none, or gone. */
static const struct sandbox *parent_locked(const struct sandbox *sb)
{
    const struct sandbox *other = sb->srv->sandboxes;

    while (other && strcmp(other->id, sb->parent_id) != 0)
        other = other->next;
    return other;
}

void api_ancestors(struct request *rq)
{
    struct server *s = rq->srv;
    struct json_out o = reply_json(rq, 200);

    json_open(&o, '[');
    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    for (const struct sandbox *sb = parent_locked(rq->sandbox); sb; sb = parent_locked(sb))
        api_put_sandbox_locked(&o, sb, false);
    lock_drop(&s->lock);
    json_close(&o, ']');
    reply_json_end(rq, &o);
}

void api_parent(struct request *rq)
{
    struct server *s = rq->srv;
    const struct sandbox *parent;
    struct json_out o;

    lock_take(&s->lock);
    sandbox_sweep_locked(s);
    parent = parent_locked(rq->sandbox);
    if (parent) {
        o = reply_json(rq, 200);
        api_put_sandbox_locked(&o, parent, false);
        reply_json_end(rq, &o);
    } else {
        reply_api_error(rq, 404, "Sandbox with ID or name %s has no parent", rq->capture[0]);
    }
    lock_drop(&s->lock);
}

/* ---- resize ---- */

struct size_json {
    double cpu, memory_gib, disk_gib;
};
static const struct json_field size_fields[] = {
    JSON_FIELD(struct size_json, cpu, "cpu", JSON_DOUBLE, 0),
    JSON_FIELD(struct size_json, memory_gib, "memory", JSON_DOUBLE, 0),
    JSON_FIELD(struct size_json, disk_gib, "disk", JSON_DOUBLE, 0),
};

/* NULL: fine. Noted and shown; a folder has no measure for it. */
static const char *resize_error(const struct sandbox *sb, enum sandbox_state state,
                                const struct size_json *want)
{
    if (want->cpu < 0 || want->memory_gib < 0 || want->disk_gib < 0)
        return "cpu, memory and disk must not be less than 1";
    if (!want->cpu && !want->memory_gib && !want->disk_gib)
        return "At least one of cpu, memory and disk is needed";
    if (want->disk_gib && want->disk_gib < sb->disk_gib)
        return "Sandbox disk size cannot be decreased";
    if (state == SB_STARTED && want->disk_gib)
        return "Sandbox disk cannot be resized while it is started";
    if (state == SB_STARTED && ((want->cpu && want->cpu < sb->cpu) ||
                                (want->memory_gib && want->memory_gib < sb->memory_gib)))
        return "Sandbox cpu and memory cannot be decreased while it is started";
    return NULL;
}

static void set_size_locked(struct sandbox *sb, const struct size_json *want)
{
    if (want->cpu)
        sb->cpu = want->cpu;
    if (want->memory_gib)
        sb->memory_gib = want->memory_gib;
    if (want->disk_gib)
        sb->disk_gib = want->disk_gib;
}

void api_resize(struct request *rq)
{
    struct sandbox *sb = rq->sandbox;
    struct size_json want = {0};
    const char *error;
    int r;

    if (request_json(rq, size_fields, ARRAY_LEN(size_fields), &want) < 0) {
        reply_api_error(rq, 400, "cpu, memory and disk must be numbers");
        return;
    }
    lock_take(&rq->srv->lock);
    sandbox_sweep_locked(rq->srv);
    error = resize_error(sb, sb->state, &want);
    lock_drop(&rq->srv->lock);
    if (error) {
        reply_api_error(rq, 400, "%s", error);
        return;
    }
    r = sandbox_begin_work(sb, SB_RESIZING, false, NULL);
    if (r == 0) {
        lock_take(&rq->srv->lock);
        set_size_locked(sb, &want);
        lock_drop(&rq->srv->lock);
        sandbox_end_work(sb);
    }
    api_answer_change(rq, r, "Sandbox must be started or stopped to be resized");
}

/* ---- network ---- */

struct network_json {
    bool block_all;
    char *allow_list, *domains;
};
static const struct json_field network_fields[] = {
    JSON_FIELD(struct network_json, block_all, "networkBlockAll", JSON_BOOL, 0),
    JSON_FIELD(struct network_json, allow_list, "networkAllowList", JSON_STRING, 0),
    JSON_FIELD(struct network_json, domains, "domainAllowList", JSON_STRING, 0),
};

static bool is_cidr(char *word)
{
    struct in_addr addr;
    char *slash = strchr(word, '/'), *end = NULL;
    long bits = -1;

    if (slash) {
        *slash = '\0';
        bits = strtol(slash + 1, &end, 10);
    }
    return slash && end != slash + 1 && !*end && bits >= 0 && bits <= 32 &&
           inet_pton(AF_INET, word, &addr) == 1;
}

static bool is_domain(char *word)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-";
    const char *name = strncmp(word, "*.", 2) == 0 ? word + 2 : word;

    return *name && strspn(name, allowed) == strlen(name);
}

static bool list_valid(const char *text, bool (*valid)(char *word))
{
    char *copy = strdup(text), *rest = copy, *word;
    bool fine = copy;
    size_t count = 0;

    while (fine && *text && (word = strsep(&rest, ","))) {
        word += strspn(word, " ");
        for (size_t n = strlen(word); n > 0 && word[n - 1] == ' '; n--)
            word[n - 1] = '\0';
        fine = ++count <= NETWORKS_MAX && valid(word);
    }
    free(copy);
    return fine;
}

static bool is_given(const cJSON *body, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(body, key);

    return value && !cJSON_IsNull(value);
}

/* Noted and shown; the network of a sandbox is the host's. */
static void set_network(struct request *rq, const cJSON *body, struct network_json *n)
{
    const bool block = is_given(body, "networkBlockAll"), list = is_given(body, "networkAllowList"),
               domains = is_given(body, "domainAllowList");
    struct sandbox *sb = rq->sandbox;

    if (!block && !list && !domains) {
        reply_api_error(rq, 400, "At least one network setting is needed");
    } else if (!list_valid(n->allow_list, is_cidr)) {
        reply_api_error(rq, 400, "networkAllowList must be at most 10 IPv4 CIDR blocks");
    } else if (!list_valid(n->domains, is_domain)) {
        reply_api_error(rq, 400, "domainAllowList must be at most 10 domains");
    } else {
        lock_take(&rq->srv->lock);
        if (block)
            sb->network_block_all = n->block_all;
        if ((list && *n->allow_list) || (domains && *n->domains))
            sb->network_block_all = false;
        if (list)
            replace(&sb->network_allow_list, &n->allow_list);
        if (domains)
            replace(&sb->domain_allow_list, &n->domains);
        lock_drop(&rq->srv->lock);
        api_answer_saved(rq, 200);
    }
}

void api_network(struct request *rq)
{
    struct network_json n = {0};
    cJSON *body = NULL;

    if (json_parse(buf_str(&rq->body), rq->body.len, &body) < 0 ||
        json_load(body, network_fields, ARRAY_LEN(network_fields), &n) < 0)
        reply_api_error(rq, 400, "the body is not what network settings are");
    else
        set_network(rq, body, &n);
    json_unload(network_fields, ARRAY_LEN(network_fields), &n);
    cJSON_Delete(body);
}
