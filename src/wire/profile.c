#include "wire/profile.h"

#include "util/array.h"
#include "wire/json.h"
#include "wire/time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const struct json_field api_fields[] = {
    JSON_FIELD(struct wire_profile, api_url, "url", JSON_STRING, JSON_LENIENT),
    JSON_FIELD(struct wire_profile, api_key, "key", JSON_STRING, JSON_LENIENT),
};
static const struct json_field token_fields[] = {
    JSON_FIELD(struct wire_profile, token, "accessToken", JSON_STRING, JSON_LENIENT),
};
static const struct json_field profile_fields[] = {
    JSON_FIELD(struct wire_profile, organization_id, "activeOrganizationId", JSON_STRING,
               JSON_LENIENT),
};

static void free_secret(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
}

void wire_profile_done(struct wire_profile *p)
{
    free(p->api_url);
    free_secret(p->api_key);
    free_secret(p->token);
    free(p->organization_id);
    *p = (struct wire_profile){0};
}

static const cJSON *find_active(const cJSON *json)
{
    const cJSON *active = cJSON_GetObjectItemCaseSensitive(json, "activeProfile");
    const cJSON *profile;

    cJSON_ArrayForEach(profile, cJSON_GetObjectItemCaseSensitive(json, "profiles")) {
        const cJSON *id = cJSON_GetObjectItemCaseSensitive(profile, "id");

        if (cJSON_IsString(id) && cJSON_IsString(active) &&
            strcmp(id->valuestring, active->valuestring) == 0)
            return profile;
    }
    return NULL;
}

/* A part that is absent or null leaves its strings empty. */
static int load_part(const cJSON *object, const struct json_field *fields, size_t count,
                     struct wire_profile *p)
{
    cJSON *none = NULL;
    int r;

    if (!cJSON_IsObject(object)) {
        none = cJSON_CreateObject();
        if (!none)
            return -ENOMEM;
    }
    r = json_load(none ? none : object, fields, count, p);
    cJSON_Delete(none);
    return r;
}

static int load_profile(const cJSON *profile, struct wire_profile *p)
{
    const cJSON *api = cJSON_GetObjectItemCaseSensitive(profile, "api");
    const cJSON *token = cJSON_GetObjectItemCaseSensitive(api, "token");
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(token, "expiresAt");
    int r;

    r = load_part(profile, profile_fields, ARRAY_LEN(profile_fields), p);
    if (r == 0)
        r = load_part(api, api_fields, ARRAY_LEN(api_fields), p);
    if (r == 0)
        r = load_part(token, token_fields, ARRAY_LEN(token_fields), p);
    if (r == 0 && cJSON_IsString(expires) &&
        time_read_rfc3339(expires->valuestring, &p->token_expires_ns) < 0)
        p->token_expires_ns = INT64_MAX;
    return r;
}

/* cJSON copied the secrets; its copies are wiped before they are freed. */
static void wipe(cJSON *json)
{
    cJSON *item;

    cJSON_ArrayForEach(item, json) {
        if (cJSON_IsString(item))
            explicit_bzero(item->valuestring, strlen(item->valuestring));
        wipe(item); /* as deep as cJSON parsed: it has a limit */
    }
}

int wire_profile_read(const void *text, size_t len, struct wire_profile *ret)
{
    struct wire_profile p = {.token_expires_ns = INT64_MAX};
    const cJSON *profile;
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r < 0)
        return r;
    profile = find_active(json);
    r = profile ? load_profile(profile, &p) : -ENOENT;
    wipe(json);
    cJSON_Delete(json);
    if (r < 0)
        wire_profile_done(&p);
    else
        *ret = p;
    return r;
}
