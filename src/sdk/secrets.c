/* Secrets of the organization. Bodies hold values: they are wiped when they have been sent. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"

#include <daytona/secret.h>
#include <stddef.h>
#include <string.h>

enum { LIST_MAX = 16 << 20, BODY_MAX = 1 << 20 };

#define FIELD(member, key, flags) JSON_FIELD(struct daytona_secret, member, key, JSON_STRING, flags)

_Static_assert(offsetof(struct daytona_secret, host_count) -
                       offsetof(struct daytona_secret, hosts) ==
                   offsetof(struct json_strings, count),
               "the hosts are read as json.h's strings");

static const struct json_field fields[] = {
    FIELD(id, "id", JSON_REQUIRED),
    FIELD(name, "name", JSON_REQUIRED),
    FIELD(description, "description", JSON_LENIENT),
    FIELD(placeholder, "placeholder", JSON_LENIENT),
    FIELD(created_at, "createdAt", JSON_LENIENT),
    FIELD(updated_at, "updatedAt", JSON_LENIENT),
    {.key = "hosts",
     .type = JSON_STRINGS,
     .flags = JSON_LENIENT,
     .offset = offsetof(struct daytona_secret, hosts)},
};
static const struct json_shape shape = {
    .fields = fields,
    .count = ARRAY_LEN(fields),
    .size = sizeof(struct daytona_secret),
};

void daytona_secret_done(struct daytona_secret *secret)
{
    json_unload(fields, ARRAY_LEN(fields), secret);
}

void daytona_secret_list_free(struct daytona_secret *list, size_t count)
{
    json_free_list(&shape, list, count);
}

static struct call secret_call(const char *name, const char *method, const char *id)
{
    return (struct call){
        .name = name,
        .method = method,
        .base = "/secret",
        .id = id,
        .path = "",
        .flags = strcmp(method, "GET") == 0 ? HTTP_IDEMPOTENT : 0,
        .body_max = LIST_MAX,
    };
}

int daytona_secret_list(struct daytona_client *client, struct daytona_secret **ret,
                        size_t *ret_count)
{
    const struct call call = secret_call("listSecrets", "GET", NULL);

    error_begin("listSecrets");
    return call_api_list(client, &call, NULL, &shape, (void **)ret, ret_count);
}

int daytona_secret_get(struct daytona_client *client, const char *id, struct daytona_secret *ret)
{
    const struct call call = secret_call("getSecret", "GET", id);
    struct daytona_secret secret = {0};
    int r;

    error_begin("getSecret");
    r = call_api_object(client, &call, fields, ARRAY_LEN(fields), &secret);
    if (r == 0)
        *ret = secret;
    return r;
}

static int send(struct daytona_client *client, struct call *call,
                const struct daytona_secret_params *p, const char *name, struct daytona_secret *ret)
{
    const struct json_strings hosts = {(char **)p->hosts, p->host_count};
    const char *const members[][2] = {
        {"name", name}, {"value", p->value}, {"description", p->description}};
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    int r;

    json_open(&o, '{');
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        if (members[i][1]) {
            json_key(&o, members[i][0]);
            json_string(&o, members[i][1]);
        }
    }
    if (p->hosts) {
        json_key(&o, "hosts");
        json_strings(&o, &hosts);
    }
    json_close(&o, '}');
    r = call_body(call, &o);
    if (r == 0)
        r = call_api_object(client, call, fields, ARRAY_LEN(fields), ret);
    if (body.data)
        explicit_bzero(body.data, body.cap);
    buf_done(&body);
    return r;
}

int daytona_secret_create(struct daytona_client *client, const struct daytona_secret_params *params,
                          struct daytona_secret *ret)
{
    struct call call = secret_call("createSecret", "POST", NULL);
    struct daytona_secret secret = {0};
    int r;

    error_begin("createSecret");
    r = send(client, &call, params, params->name, &secret);
    if (r == 0)
        *ret = secret;
    return r;
}

int daytona_secret_update(struct daytona_client *client, const char *id,
                          const struct daytona_secret_params *params)
{
    struct call call = secret_call("updateSecret", "PATCH", id);
    struct daytona_secret secret = {0};
    int r;

    error_begin("updateSecret");
    r = send(client, &call, params, NULL, &secret);
    if (r == 0)
        daytona_secret_done(&secret);
    return r;
}

int daytona_secret_delete(struct daytona_client *client, const char *id)
{
    const struct call call = secret_call("deleteSecret", "DELETE", id);

    error_begin("deleteSecret");
    return call_api_only(client, &call);
}
