/* The bodies that carry several files or matches at once; declared in wire/file.h. */
#include "wire/file.h"

#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int finish(struct json_out *o, size_t start)
{
    if (o->err < 0)
        buf_truncate(o->buf, start);
    return o->err;
}

static const struct json_field uploaded_fields[] = {
    JSON_FIELD(struct wire_uploaded_file, path, "path", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct wire_uploaded_file, bytes, "bytes", JSON_SIZE, 0),
};

void wire_uploaded_done(struct wire_uploaded *u)
{
    for (size_t i = 0; i < u->count; i++)
        free(u->files[i].path);
    free(u->files);
    json_strings_done(&u->errors);
    *u = (struct wire_uploaded){0};
}

static int load_uploaded(const cJSON *json, struct wire_uploaded *u)
{
    const cJSON *files = cJSON_GetObjectItemCaseSensitive(json, "files");
    const cJSON *errors = cJSON_GetObjectItemCaseSensitive(json, "errors");
    const cJSON *item;
    int r = 0;

    if (!cJSON_IsObject(json) || (files && !cJSON_IsArray(files) && !cJSON_IsNull(files)))
        return -EPROTO;
    u->files = calloc((size_t)cJSON_GetArraySize(files) + 1, sizeof(*u->files));
    if (!u->files)
        return -ENOMEM;
    cJSON_ArrayForEach(item, files) {
        r = json_load(item, uploaded_fields, ARRAY_LEN(uploaded_fields), &u->files[u->count]);
        if (r < 0)
            return r;
        u->count++;
    }
    return errors ? json_load_strings(errors, &u->errors) : 0;
}

int wire_uploaded_read(const void *text, size_t len, struct wire_uploaded *ret)
{
    struct wire_uploaded u = {0};
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r == 0)
        r = load_uploaded(json, &u);
    cJSON_Delete(json);
    if (r < 0)
        wire_uploaded_done(&u);
    else
        *ret = u;
    return r;
}

int wire_uploaded_write(struct buf *out, const struct wire_uploaded *u)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    if (u->errors.count > 0) {
        json_key(&o, "errors");
        json_strings(&o, &u->errors);
    }
    json_key(&o, "files");
    if (u->count == 0) {
        json_null(&o);
    } else {
        json_open(&o, '[');
        for (size_t i = 0; i < u->count; i++) {
            json_open(&o, '{');
            json_fields(&o, uploaded_fields, ARRAY_LEN(uploaded_fields), &u->files[i]);
            json_close(&o, '}');
        }
        json_close(&o, ']');
    }
    json_close(&o, '}');
    return finish(&o, start);
}

/* An object whose one member that counts is an array of strings. */
static int read_strings_in(const void *text, size_t len, const char *key, unsigned flags,
                           struct json_strings *ret)
{
    const struct json_field field = {.key = key, .type = JSON_STRINGS, .flags = flags};
    struct json_strings s = {0};
    const int r = json_read(text, len, &field, 1, &s);

    if (r == 0)
        *ret = s;
    return r;
}

static int write_strings_in(struct buf *out, const char *key, const struct json_strings *s)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    json_key(&o, key);
    json_strings(&o, s);
    json_close(&o, '}');
    return finish(&o, start);
}

int wire_paths_read(const void *text, size_t len, struct json_strings *ret)
{
    return read_strings_in(text, len, "paths", JSON_REQUIRED, ret);
}

int wire_paths_write(struct buf *out, const char *const *paths, size_t count)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    for (size_t i = 0; i < count; i++) {
        if (!json_utf8_valid(paths[i], strlen(paths[i])))
            return -EILSEQ;
    }
    json_open(&o, '{');
    json_key(&o, "paths");
    json_open(&o, '[');
    for (size_t i = 0; i < count; i++)
        json_string(&o, paths[i]);
    json_close(&o, ']');
    json_close(&o, '}');
    return finish(&o, start);
}

int wire_searched_read(const void *text, size_t len, struct json_strings *ret)
{
    return read_strings_in(text, len, "files", 0, ret);
}

int wire_searched_write(struct buf *out, const struct json_strings *files)
{
    return write_strings_in(out, "files", files);
}

static const struct json_field found_fields[] = {
    JSON_FIELD(struct wire_match, file, "file", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct wire_match, line, "line", JSON_INT, 0),
    JSON_FIELD(struct wire_match, content, "content", JSON_STRING, 0),
};

struct replaced_json {
    char *file, *error;
    bool success;
};

static const struct json_field replaced_fields[] = {
    JSON_FIELD(struct replaced_json, file, "file", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct replaced_json, success, "success", JSON_BOOL, 0),
    JSON_FIELD(struct replaced_json, error, "error", JSON_STRING, JSON_OMIT),
};

enum { MATCHES_MAX = 1 << 20 };

struct match_list {
    struct wire_match *list;
    size_t count;
    int (*load)(const cJSON *json, struct wire_match *ret);
};

static int load_found(const cJSON *json, struct wire_match *ret)
{
    return json_load(json, found_fields, ARRAY_LEN(found_fields), ret);
}

static int load_replaced(const cJSON *json, struct wire_match *ret)
{
    struct replaced_json j = {0};
    const int r = json_load(json, replaced_fields, ARRAY_LEN(replaced_fields), &j);

    if (r < 0)
        return r;
    if (j.success != !j.error[0]) { /* the text is what callers look at */
        char *error = strdup(j.success ? "" : "failed");

        free(j.error);
        j.error = error;
    }
    if (!j.error) {
        free(j.file);
        return -ENOMEM;
    }
    *ret = (struct wire_match){.file = j.file, .content = j.error};
    return 0;
}

static int add_match(void *arg, const cJSON *element)
{
    struct match_list *l = arg;
    int r;

    if (l->count >= MATCHES_MAX)
        return -EFBIG;
    if ((l->count & (l->count - 1)) == 0) { /* full: capacities are powers of two */
        struct wire_match *more =
            realloc(l->list, (l->count ? l->count * 2 : 1) * sizeof(*l->list));

        if (!more)
            return -ENOMEM;
        l->list = more;
    }
    l->list[l->count] = (struct wire_match){0};
    r = l->load(element, &l->list[l->count]);
    if (r == 0)
        l->count++;
    return r;
}

void wire_matches_free(struct wire_match *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(list[i].file);
        free(list[i].content);
    }
    free(list);
}

static int read_matches(const void *text, size_t len,
                        int (*load)(const cJSON *, struct wire_match *), struct wire_match **ret,
                        size_t *ret_count)
{
    struct match_list l = {.load = load};
    const int r = json_array_each(text, len, add_match, &l);

    if (r < 0) {
        wire_matches_free(l.list, l.count);
        return r;
    }
    *ret = l.list;
    *ret_count = l.count;
    return 0;
}

int wire_found_read(const void *text, size_t len, struct wire_match **ret, size_t *ret_count)
{
    return read_matches(text, len, load_found, ret, ret_count);
}

int wire_replaced_read(const void *text, size_t len, struct wire_match **ret, size_t *ret_count)
{
    return read_matches(text, len, load_replaced, ret, ret_count);
}

int wire_found_write(struct buf *out, const struct wire_match *list, size_t count)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    json_open(&o, '[');
    for (size_t i = 0; i < count; i++) {
        json_open(&o, '{');
        json_fields(&o, found_fields, ARRAY_LEN(found_fields), &list[i]);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return finish(&o, start);
}

int wire_replaced_write(struct buf *out, const struct wire_match *list, size_t count)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    json_open(&o, '[');
    for (size_t i = 0; i < count; i++) {
        const struct replaced_json j = {
            .file = list[i].file,
            .error = list[i].content,
            .success = !list[i].content || !list[i].content[0],
        };

        json_open(&o, '{');
        json_fields(&o, replaced_fields, ARRAY_LEN(replaced_fields), &j);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    return finish(&o, start);
}

static const struct json_field replace_fields[] = {
    JSON_FIELD(struct wire_replace, files, "files", JSON_STRINGS, JSON_REQUIRED),
    JSON_FIELD(struct wire_replace, pattern, "pattern", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct wire_replace, new_value, "newValue", JSON_STRING, JSON_REQUIRED),
};

void wire_replace_done(struct wire_replace *r)
{
    json_unload(replace_fields, ARRAY_LEN(replace_fields), r);
}

int wire_replace_read(const void *text, size_t len, struct wire_replace *ret)
{
    struct wire_replace replace = {0};
    const int r = json_read(text, len, replace_fields, ARRAY_LEN(replace_fields), &replace);

    if (r == 0)
        *ret = replace;
    return r;
}

int wire_replace_write(struct buf *out, const struct wire_replace *r)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};
    bool valid = json_utf8_valid(r->pattern, strlen(r->pattern)) &&
                 json_utf8_valid(r->new_value, strlen(r->new_value));

    for (size_t i = 0; i < r->files.count && valid; i++)
        valid = json_utf8_valid(r->files.list[i], strlen(r->files.list[i]));
    if (!valid)
        return -EILSEQ;
    json_open(&o, '{');
    json_fields(&o, replace_fields, ARRAY_LEN(replace_fields), r);
    json_close(&o, '}');
    return finish(&o, start);
}

int wire_string_read(const void *text, size_t len, const char *key, char **ret)
{
    const struct json_field field = {.key = key, .type = JSON_STRING, .flags = JSON_REQUIRED};
    char *s = NULL;
    const int r = json_read(text, len, &field, 1, &s);

    if (r == 0)
        *ret = s;
    return r;
}
