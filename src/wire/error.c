#include "wire/error.h"

#include "util/array.h"
#include "wire/json.h"

#include <errno.h>
#include <string.h>

void wire_copy_line(char *out, size_t size, const char *s)
{
    size_t n = strlen(s);

    if (n >= size) {
        n = size - 1;
        while (n > 0 && ((unsigned char)s[n] & 0xc0) == 0x80)
            n--;
    }
    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)s[i] < 0x20 || s[i] == 0x7f ? ' ' : s[i];
    out[n] = '\0';
}

static void copy_member(const cJSON *object, const char *key, char *out, size_t size)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);

    if (cJSON_IsArray(item)) /* several validation messages: the first will do */
        item = item->child;
    if (cJSON_IsString(item))
        wire_copy_line(out, size, item->valuestring);
}

int wire_error_read(const void *text, size_t len, struct wire_error *ret)
{
    struct wire_error e = {0};
    const cJSON *status;
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r < 0)
        return r;
    status = cJSON_GetObjectItemCaseSensitive(json, "statusCode");
    if (cJSON_IsNumber(status) && status->valuedouble >= 100 && status->valuedouble <= 599)
        e.status = (int)status->valuedouble;
    copy_member(json, "message", e.message, sizeof(e.message));
    copy_member(json, "code", e.code, sizeof(e.code));
    copy_member(json, "source", e.source, sizeof(e.source));
    copy_member(json, "error", e.error, sizeof(e.error));
    copy_member(json, "path", e.path, sizeof(e.path));
    copy_member(json, "method", e.method, sizeof(e.method));
    if (!e.message[0])
        copy_member(json, "error", e.message, sizeof(e.message));
    cJSON_Delete(json);
    if (!e.message[0] && !e.code[0])
        return -EPROTO;
    *ret = e;
    return 0;
}

struct member {
    const char *key, *value;
};

static void put_members(struct json_out *o, const struct member *m, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        json_key(o, m[i].key);
        json_string(o, m[i].value);
    }
}

int wire_error_write(struct buf *out, const struct wire_error *e, enum wire_error_form form,
                     const char *timestamp)
{
    const size_t start = out->len;
    const bool api = form == WIRE_ERROR_API;
    const struct member api_head[] = {{"path", e->path}, {"timestamp", timestamp}};
    const struct member api_tail[] = {{"error", e->error}, {"message", e->message}};
    const struct member daemon_tail[] = {{"message", e->message},
                                         {"code", e->code},
                                         {"timestamp", timestamp},
                                         {"path", e->path},
                                         {"method", e->method}};
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    if (api)
        put_members(&o, api_head, ARRAY_LEN(api_head));
    json_key(&o, "statusCode");
    json_int(&o, e->status);
    if (api)
        put_members(&o, api_tail, ARRAY_LEN(api_tail));
    else
        put_members(&o, daemon_tail, ARRAY_LEN(daemon_tail));
    if (api && e->code[0])
        put_members(&o, &(struct member){"code", e->code}, 1);
    if (e->source[0])
        put_members(&o, &(struct member){"source", e->source}, 1);
    json_close(&o, '}');
    if (o.err < 0)
        buf_truncate(out, start);
    return o.err;
}
