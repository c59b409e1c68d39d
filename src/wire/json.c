#include "wire/json.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Doubles count exactly up to here. */
#define EXACT_MAX 9007199254740992.0

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* Moves *i behind the string whose opening quote is at *i. -EPROTO: no end, or \u0000 in it. */
static int skip_string(const char *p, size_t n, size_t *i)
{
    for (size_t k = *i + 1; k < n; k++) {
        if (p[k] == '"') {
            *i = k + 1;
            return 0;
        }
        if (p[k] == '\0')
            return -EPROTO;
        if (p[k] != '\\')
            continue;
        if (n - k >= 6 && memcmp(p + k, "\\u0000", 6) == 0)
            return -EPROTO;
        k++; /* whatever is escaped does not end the string */
    }
    return -EPROTO;
}

/*
 * Moves *i from the start of a value to the comma, bracket or end of text behind it, counting the
 * values inside. Brackets are only counted, not matched: cJSON looks at the slice afterwards.
 */
static int skip_value(const char *p, size_t n, size_t *i, size_t values_max)
{
    size_t depth = 0, values = 1;

    while (*i < n) {
        const char c = p[*i];
        int r;

        switch (c) {
        case '"':
            r = skip_string(p, n, i);
            if (r < 0)
                return r;
            continue;
        case '{':
        case '[':
            depth++;
            values++;
            break;
        case '}':
        case ']':
            if (depth == 0)
                return 0;
            depth--;
            break;
        case ',':
            if (depth == 0)
                return 0;
            values++;
            break;
        default:
            break;
        }
        if (values > values_max)
            return -EPROTO;
        ++*i;
    }
    return depth == 0 ? 0 : -EPROTO;
}

static int parse_slice(const char *p, size_t n, cJSON **ret)
{
    const char *end = NULL;
    cJSON *json = cJSON_ParseWithLengthOpts(p, n, &end, false);

    /* Out of memory looks like bad JSON here; both are refused. */
    if (!json)
        return -EPROTO;
    while (end < p + n && is_blank(*end))
        end++;
    if (end != p + n) {
        cJSON_Delete(json);
        return -EPROTO;
    }
    *ret = json;
    return 0;
}

int json_parse(const void *text, size_t len, cJSON **ret)
{
    size_t i = 0;
    int r;

    if (len == 0)
        return -EPROTO;
    r = skip_value(text, len, &i, JSON_VALUES_MAX);
    if (r < 0)
        return r;
    if (i != len)
        return -EPROTO;
    return parse_slice(text, len, ret);
}

static size_t skip_blanks(const char *p, size_t n, size_t i)
{
    while (i < n && is_blank(p[i]))
        i++;
    return i;
}

int json_array_each(const void *text, size_t len, json_element fn, void *arg)
{
    const char *p = text;
    size_t i = skip_blanks(p, len, 0);

    if (i == len || p[i] != '[')
        return -EPROTO;
    i = skip_blanks(p, len, i + 1);
    if (i < len && p[i] == ']')
        return skip_blanks(p, len, i + 1) == len ? 0 : -EPROTO;
    for (;;) {
        const size_t start = i;
        cJSON *element = NULL;
        int r;

        r = skip_value(p, len, &i, JSON_ELEMENT_VALUES_MAX);
        if (r < 0)
            return r;
        if (i == len || i == start || p[i] == '}')
            return -EPROTO;
        r = parse_slice(p + start, i - start, &element);
        if (r < 0)
            return r;
        r = fn(arg, element);
        cJSON_Delete(element);
        if (r < 0)
            return r;
        if (p[i++] == ']')
            return skip_blanks(p, len, i) == len ? 0 : -EPROTO;
    }
}

static int copy_string(const cJSON *item, char **ret)
{
    *ret = strdup(item->valuestring ? item->valuestring : "");
    return *ret ? 0 : -ENOMEM;
}

int json_load_strings(const cJSON *array, struct json_strings *ret)
{
    struct json_strings s = {0};
    const cJSON *item;
    int r = 0;

    if (!cJSON_IsArray(array) && !cJSON_IsNull(array))
        return -EPROTO;
    s.list = calloc((size_t)cJSON_GetArraySize(array) + 1, sizeof(*s.list));
    if (!s.list)
        return -ENOMEM;
    cJSON_ArrayForEach(item, array) {
        r = cJSON_IsString(item) ? copy_string(item, &s.list[s.count]) : -EPROTO;
        if (r < 0)
            break;
        s.count++;
    }
    if (r < 0)
        json_strings_done(&s);
    else
        *ret = s;
    return r;
}

void json_strings_done(struct json_strings *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->list[i]);
    free(s->list);
    *s = (struct json_strings){0};
}

static int load_pairs(const cJSON *object, struct json_pairs *ret)
{
    struct json_pairs p = {0};
    const cJSON *item;
    int r = 0;

    if (!cJSON_IsObject(object))
        return -EPROTO;
    p.list = calloc((size_t)cJSON_GetArraySize(object) + 1, sizeof(*p.list));
    if (!p.list)
        return -ENOMEM;
    cJSON_ArrayForEach(item, object) {
        struct json_pair *pair = &p.list[p.count];

        if (!cJSON_IsString(item)) {
            r = -EPROTO;
            break;
        }
        p.count++;
        pair->key = strdup(item->string ? item->string : "");
        r = copy_string(item, &pair->value);
        if (!pair->key)
            r = -ENOMEM;
        if (r < 0)
            break;
    }
    if (r < 0)
        json_pairs_done(&p);
    else
        *ret = p;
    return r;
}

void json_pairs_done(struct json_pairs *p)
{
    for (size_t i = 0; i < p->count; i++) {
        free(p->list[i].key);
        free(p->list[i].value);
    }
    free(p->list);
    *p = (struct json_pairs){0};
}

static int load_whole(const cJSON *item, double min, double *ret)
{
    const double v = item->valuedouble;

    if (!cJSON_IsNumber(item) || !isfinite(v) || v < min || v > EXACT_MAX || v != floor(v))
        return -EPROTO;
    *ret = v;
    return 0;
}

static int load_value(const cJSON *item, enum json_type type, void *at)
{
    double v;
    int r;

    switch (type) {
    case JSON_STRING:
        return cJSON_IsString(item) ? copy_string(item, at) : -EPROTO;
    case JSON_BOOL:
        if (!cJSON_IsBool(item))
            return -EPROTO;
        *(bool *)at = cJSON_IsTrue(item);
        return 0;
    case JSON_INT:
        r = load_whole(item, -EXACT_MAX, &v);
        if (r == 0)
            *(int64_t *)at = (int64_t)v;
        return r;
    case JSON_SIZE:
        r = load_whole(item, 0, &v);
        if (r == 0)
            *(uint64_t *)at = (uint64_t)v;
        return r;
    case JSON_DOUBLE:
        if (!cJSON_IsNumber(item) || !isfinite(item->valuedouble))
            return -EPROTO;
        *(double *)at = item->valuedouble;
        return 0;
    case JSON_PAIRS:
        return load_pairs(item, at);
    case JSON_STRINGS:
        return json_load_strings(item, at);
    }
    return -EPROTO;
}

static int load_item(const cJSON *item, const struct json_field *f, void *ret)
{
    const int r = load_value(item, f->type, (char *)ret + f->offset);

    return r == -EPROTO && (f->flags & JSON_LENIENT) ? 0 : r;
}

/* Callers never meet a NULL string. */
static int fill_absent(const struct json_field *f, bool seen, void *ret)
{
    char **s = (char **)((char *)ret + f->offset);

    if (!seen && (f->flags & JSON_REQUIRED))
        return -EPROTO;
    if (f->type != JSON_STRING || *s)
        return 0;
    *s = strdup("");
    return *s ? 0 : -ENOMEM;
}

int json_load(const cJSON *object, const struct json_field *fields, size_t count, void *ret)
{
    const cJSON *item;
    uint64_t seen = 0;
    int r = 0;

    if (!cJSON_IsObject(object) || count > 64)
        return -EPROTO;
    cJSON_ArrayForEach(item, object) {
        for (size_t i = 0; i < count && r == 0; i++) {
            if (!item->string || strcmp(item->string, fields[i].key) != 0 || cJSON_IsNull(item))
                continue;
            r = seen >> i & 1 ? -EPROTO : load_item(item, &fields[i], ret);
            seen |= UINT64_C(1) << i;
        }
        if (r < 0)
            goto out;
    }
    for (size_t i = 0; i < count && r == 0; i++)
        r = fill_absent(&fields[i], seen >> i & 1, ret);
out:
    if (r < 0)
        json_unload(fields, count, ret);
    return r;
}

void json_unload(const struct json_field *fields, size_t count, void *p)
{
    for (size_t i = 0; i < count; i++) {
        void *at = (char *)p + fields[i].offset;

        switch (fields[i].type) {
        case JSON_STRING:
            free(*(char **)at);
            *(char **)at = NULL;
            break;
        case JSON_PAIRS:
            json_pairs_done(at);
            break;
        case JSON_STRINGS:
            json_strings_done(at);
            break;
        case JSON_BOOL:
        case JSON_INT:
        case JSON_SIZE:
        case JSON_DOUBLE:
            break;
        }
    }
}

int json_read(const void *text, size_t len, const struct json_field *fields, size_t count,
              void *ret)
{
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r == 0)
        r = json_load(json, fields, count, ret);
    cJSON_Delete(json);
    return r;
}

int json_load_list(const cJSON *array, const struct json_shape *shape, void **ret,
                   size_t *ret_count)
{
    const cJSON *item;
    size_t count = 0;
    char *list;
    int r = 0;

    if (array && !cJSON_IsArray(array) && !cJSON_IsNull(array))
        return -EPROTO;
    list = calloc((size_t)cJSON_GetArraySize(array) + 1, shape->size);
    if (!list)
        return -ENOMEM;
    cJSON_ArrayForEach(item, array) {
        if (shape->blank)
            memcpy(list + count * shape->size, shape->blank, shape->size);
        r = json_load(item, shape->fields, shape->count, list + count * shape->size);
        if (r < 0)
            break;
        count++;
    }
    if (r < 0) {
        json_free_list(shape, list, count);
        return r;
    }
    *ret = list;
    *ret_count = count;
    return 0;
}

int json_read_list(const void *text, size_t len, const char *key, const struct json_shape *shape,
                   void **ret, size_t *ret_count)
{
    const cJSON *array;
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r < 0)
        return r;
    array = key ? cJSON_GetObjectItemCaseSensitive(json, key) : json;
    r = key && !cJSON_IsObject(json) ? -EPROTO : json_load_list(array, shape, ret, ret_count);
    cJSON_Delete(json);
    return r;
}

void json_free_list(const struct json_shape *shape, void *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_unload(shape->fields, shape->count, (char *)list + i * shape->size);
    free(list);
}
