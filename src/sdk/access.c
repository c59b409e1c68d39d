/* Ports, preview links, ssh and links to files. */
#include "sdk/call.h"
#include "sdk/error.h"
#include "sdk/sign.h"

#include "http/url.h"
#include "util/array.h"
#include "util/clock.h"

#include <daytona/access.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_MAX_LEN = 64 << 10, PREVIEW_EXPIRES_MAX = 86400, PORT_FIRST = 3000, PORT_LAST = 9999 };

static const struct json_field preview_fields[] = {
    JSON_FIELD(struct daytona_preview, url, "url", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct daytona_preview, token, "token", JSON_STRING, JSON_REQUIRED),
};
static const struct json_field ssh_fields[] = {
    JSON_FIELD(struct daytona_ssh, token, "token", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct daytona_ssh, command, "sshCommand", JSON_STRING, 0),
    JSON_FIELD(struct daytona_ssh, expires_at, "expiresAt", JSON_STRING, 0),
};

/* --- ports */

/* {"ports":[…]}; null is none. */
static int read_ports(const void *text, size_t len, uint16_t **ret, size_t *ret_count)
{
    const cJSON *array, *item;
    cJSON *json = NULL;
    uint16_t *list = NULL;
    size_t count = 0;
    int r;

    r = json_parse(text, len, &json);
    if (r < 0)
        return r;
    array = cJSON_GetObjectItemCaseSensitive(json, "ports");
    if (!cJSON_IsArray(array) && !cJSON_IsNull(array))
        r = -EPROTO;
    if (r == 0)
        list = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(*list));
    if (r == 0 && !list)
        r = -ENOMEM;
    if (r == 0) {
        cJSON_ArrayForEach(item, array) {
            if (!cJSON_IsNumber(item) || item->valuedouble < 1 || item->valuedouble > UINT16_MAX ||
                item->valuedouble != (uint16_t)item->valuedouble) {
                r = -EPROTO;
                break;
            }
            list[count++] = (uint16_t)item->valuedouble;
        }
    }
    cJSON_Delete(json);
    if (r < 0) {
        free(list);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

int daytona_ports_list(struct daytona_sandbox *sb, uint16_t **ret, size_t *ret_count)
{
    const struct call call = {
        .name = "getPorts",
        .method = "GET",
        .path = "/port",
        .flags = HTTP_IDEMPOTENT,
        .json_errors = true,
    };
    struct http_response response;
    int r;

    error_begin("getPorts");
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = read_ports(buf_str(&response.body), response.body.len, ret, ret_count);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

struct in_use {
    bool yes;
};

int daytona_ports_in_use(struct daytona_sandbox *sb, uint16_t port)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct in_use, yes, "isInUse", JSON_BOOL, JSON_REQUIRED),
    };
    struct in_use answer = {0};
    char path[32];
    const struct call call = {
        .name = "isPortInUse",
        .method = "GET",
        .path = path,
        .flags = HTTP_IDEMPOTENT,
        .json_errors = true,
    };
    int r;

    error_begin("isPortInUse");
    if (port < PORT_FIRST || port > PORT_LAST)
        return error_set(-EINVAL, "only ports %d to %d can be asked for", PORT_FIRST, PORT_LAST);
    snprintf(path, sizeof(path), "/port/%u/in-use", port);
    r = call_toolbox_object(sb, &call, fields, ARRAY_LEN(fields), &answer);
    return r < 0 ? r : answer.yes;
}

/* --- previews */

void daytona_preview_done(struct daytona_preview *preview)
{
    json_unload(preview_fields, ARRAY_LEN(preview_fields), preview);
}

static int get_preview(struct daytona_sandbox *sb, const char *name, uint16_t port,
                       const char *what, const char *expires, struct daytona_preview *ret)
{
    char path[64];
    const struct call call = {
        .name = name,
        .method = "GET",
        .id = sb->id,
        .path = path,
        .query = {{"expiresInSeconds", expires}},
        .flags = HTTP_IDEMPOTENT,
    };
    struct daytona_preview preview = {0};
    int r;

    if (port == 0)
        return error_set(-EINVAL, "there is no port 0");
    snprintf(path, sizeof(path), "/ports/%u/%s", port, what);
    r = call_api_object(sb->client, &call, preview_fields, ARRAY_LEN(preview_fields), &preview);
    if (r == 0)
        *ret = preview;
    return r;
}

int daytona_preview_url(struct daytona_sandbox *sb, uint16_t port, struct daytona_preview *ret)
{
    error_begin("getPortPreviewUrl");
    return get_preview(sb, "getPortPreviewUrl", port, "preview-url", NULL, ret);
}

int daytona_preview_signed_url(struct daytona_sandbox *sb, uint16_t port, uint32_t expires_s,
                               struct daytona_preview *ret)
{
    char expires[16];

    error_begin("getSignedPortPreviewUrl");
    if (expires_s > PREVIEW_EXPIRES_MAX)
        return error_set(-EINVAL, "a signed link lasts at most %d s", PREVIEW_EXPIRES_MAX);
    snprintf(expires, sizeof(expires), "%u", expires_s);
    return get_preview(sb, "getSignedPortPreviewUrl", port, "signed-preview-url",
                       expires_s ? expires : NULL, ret);
}

int daytona_preview_expire(struct daytona_sandbox *sb, uint16_t port, const char *token)
{
    struct buf path = BUF_INIT(PATH_MAX_LEN);
    char number[16];
    struct call call = {
        .name = "expireSignedPortPreviewUrl",
        .method = "POST",
        .id = sb->id,
        .flags = HTTP_IDEMPOTENT,
    };
    int r;

    error_begin("expireSignedPortPreviewUrl");
    snprintf(number, sizeof(number), "%u", port);
    r = call_path(&path, "/ports/", number, "/signed-preview-url/", token, "/expire");
    call.path = path.data;
    if (r == 0)
        r = call_api_only(sb->client, &call);
    buf_done(&path);
    return r;
}

/* --- ssh */

void daytona_ssh_done(struct daytona_ssh *ssh)
{
    json_unload(ssh_fields, ARRAY_LEN(ssh_fields), ssh);
}

int daytona_ssh_create(struct daytona_sandbox *sb, uint32_t minutes, struct daytona_ssh *ret)
{
    char text[16];
    const struct call call = {
        .name = "createSshAccess",
        .method = "POST",
        .id = sb->id,
        .path = "/ssh-access",
        .query = {{"expiresInMinutes", minutes ? text : NULL}},
    };
    struct daytona_ssh ssh = {0};
    int r;

    error_begin("createSshAccess");
    snprintf(text, sizeof(text), "%u", minutes);
    r = call_api_object(sb->client, &call, ssh_fields, ARRAY_LEN(ssh_fields), &ssh);
    if (r == 0)
        *ret = ssh;
    return r;
}

int daytona_ssh_revoke(struct daytona_sandbox *sb, const char *token)
{
    const struct call call = {
        .name = "revokeSshAccess",
        .method = "DELETE",
        .id = sb->id,
        .path = "/ssh-access",
        .query = {{"token", token}},
        .flags = HTTP_IDEMPOTENT,
    };

    error_begin("revokeSshAccess");
    return call_api_only(sb->client, &call);
}

struct validation {
    bool valid;
    char *id;
};

int daytona_ssh_validate(struct daytona_client *client, const char *token, char **ret_id)
{
    static const struct json_field validation_fields[] = {
        JSON_FIELD(struct validation, valid, "valid", JSON_BOOL, JSON_REQUIRED),
        JSON_FIELD(struct validation, id, "sandboxId", JSON_STRING, JSON_LENIENT),
    };
    const struct call call = {
        .name = "validateSshAccess",
        .method = "GET",
        .path = "/ssh-access/validate",
        .query = {{"token", token}},
        .flags = HTTP_IDEMPOTENT,
    };
    struct validation v = {0};
    int r;

    error_begin("validateSshAccess");
    r = call_api_object(client, &call, validation_fields, ARRAY_LEN(validation_fields), &v);
    if (r < 0)
        return r;
    if (v.valid && ret_id) {
        *ret_id = v.id;
        v.id = NULL;
    }
    free(v.id);
    return v.valid;
}

/* --- links to files */

/* The answer is a JSON string. */
static int get_signing_key(struct daytona_sandbox *sb, char **ret)
{
    const struct call call = {
        .name = "getSigningKey",
        .method = "GET",
        .id = sb->id,
        .path = "/signing-key",
        .flags = HTTP_IDEMPOTENT,
    };
    struct http_response response;
    cJSON *json = NULL;
    int r;

    r = call_api(sb->client, &call, &response);
    if (r == -ENOENT)
        return error_set(-EOPNOTSUPP, "the service has no links to files");
    if (r < 0)
        return r;
    r = json_parse(buf_str(&response.body), response.body.len, &json);
    if (r == 0 && (!cJSON_IsString(json) || !*json->valuestring))
        r = -EPROTO;
    if (r == 0) {
        *ret = strdup(json->valuestring);
        r = *ret ? 0 : -ENOMEM;
    }
    cJSON_Delete(json);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

static int build_url(struct daytona_sandbox *sb, const char *method, const char *call,
                     const char *path, uint32_t ttl_s, const char *key, struct buf *out)
{
    const int64_t expires_s = ttl_s ? clock_real_ns() / NS_PER_S + ttl_s : 0;
    struct buf signature = BUF_INIT(256);
    char expires[32], *base = NULL;
    int r;

    r = sandbox_toolbox_url(sb, &base);
    if (r < 0)
        return r;
    snprintf(expires, sizeof(expires), "%lld", (long long)expires_s);
    r = sign_file_url(key, method, path, expires_s, &signature);
    if (r == 0)
        r = buf_printf(out, "%s/%s%s", base, sb->id, call);
    if (r == 0)
        r = url_query(out, "path", path);
    if (r == 0)
        r = url_query(out, "expires", expires);
    if (r == 0)
        r = url_query(out, "signature", buf_str(&signature));
    buf_done(&signature);
    free(base);
    return error_default(r);
}

static int file_url(struct daytona_sandbox *sb, const char *method, const char *call,
                    const char *path, uint32_t ttl_s, char **ret)
{
    struct buf url = BUF_INIT(PATH_MAX_LEN);
    char *key = NULL;
    int r;

    if (path[0] != '/')
        return error_set(-EINVAL, "a link needs an absolute path");
    r = get_signing_key(sb, &key);
    if (r == 0)
        r = build_url(sb, method, call, path, ttl_s, key, &url);
    if (r == 0) {
        *ret = buf_take(&url);
        r = *ret ? 0 : error_default(-ENOMEM);
    }
    if (key)
        explicit_bzero(key, strlen(key));
    free(key);
    buf_done(&url);
    return r;
}

int daytona_files_download_url(struct daytona_sandbox *sb, const char *path, uint32_t ttl_s,
                               char **ret)
{
    error_begin("downloadUrl");
    return file_url(sb, "GET", "/files/download", path, ttl_s, ret);
}

int daytona_files_upload_url(struct daytona_sandbox *sb, const char *path, uint32_t ttl_s,
                             char **ret)
{
    error_begin("uploadUrl");
    return file_url(sb, "POST", "/files/upload-v2", path, ttl_s, ret);
}

int daytona_files_revoke_urls(struct daytona_sandbox *sb)
{
    const struct call call = {
        .name = "rotateSigningKey",
        .method = "POST",
        .id = sb->id,
        .path = "/signing-key/rotate",
        .flags = HTTP_IDEMPOTENT,
    };
    int r;

    error_begin("rotateSigningKey");
    r = call_api_only(sb->client, &call);
    return r == -ENOENT ? error_set(-EOPNOTSUPP, "the service has no links to files") : r;
}
