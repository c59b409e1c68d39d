/*
 * json.h - JSON read into plain structs and written from them, by tables of fields.
 *
 * Reading goes through cJSON and trusts nothing: a text has a ceiling on its values, a key that is
 * in the table may come once, a number must be finite and, where it counts something, whole and
 * below 2^53. Writing goes straight into a buffer, the way Go's encoder does it, because cJSON can
 * neither print NUL nor replace bytes that are not UTF-8.
 *
 * Pure functions of their arguments; any thread.
 */
#ifndef WIRE_JSON_H
#define WIRE_JSON_H

#include "util/buf.h"

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    JSON_VALUES_MAX = 1 << 19,         /* of one parsed text */
    JSON_ELEMENT_VALUES_MAX = 1 << 12, /* of one element that json_array_each hands over */
};

/*
 * The text must be one JSON value and nothing else; it needs no NUL behind it. *ret is the
 * caller's: cJSON_Delete. -EPROTO: not JSON, too many values, or a \u0000 (cJSON would cut the
 * string there, which turns one name into another). -ENOMEM.
 */
int json_parse(const void *text, size_t len, cJSON **ret);

/*
 * Calls fn for every element of an array, parsing one at a time, so that a listing of a million
 * entries costs the memory of one. fn ends it with -errno, which is returned. -EPROTO as above.
 */
typedef int (*json_element)(void *arg, const cJSON *element);
int json_array_each(const void *text, size_t len, json_element fn, void *arg);

/* True when all n bytes are well-formed UTF-8 (no surrogates, nothing overlong). */
bool json_utf8_valid(const void *p, size_t n);
/* Appends p as it arrives when it is sent in JSON: each byte that is not UTF-8 becomes U+FFFD. */
int json_to_utf8(struct buf *out, const void *p, size_t n);

struct json_pair {
    char *key, *value;
};
struct json_pairs {
    struct json_pair *list;
    size_t count;
};
struct json_strings {
    char **list;
    size_t count;
};

enum json_type {
    JSON_STRING,  /* char *: owned; "" when absent or null */
    JSON_BOOL,    /* bool */
    JSON_INT,     /* int64_t, from -2^53 to 2^53 */
    JSON_SIZE,    /* uint64_t, below 2^53 */
    JSON_DOUBLE,  /* double, finite */
    JSON_PAIRS,   /* struct json_pairs: an object of strings */
    JSON_STRINGS, /* struct json_strings: an array of strings */
};

enum json_flags {
    JSON_REQUIRED = 1 << 0, /* reading: -EPROTO when absent or null */
    JSON_OMIT = 1 << 1,     /* writing: left out when empty, 0, false or JSON_ABSENT */
    JSON_LENIENT = 1 << 2,  /* reading: a value of another type counts as absent */
};

/* What a JSON_INT holds to be left out by JSON_OMIT: there, 0 is a value like others. */
#define JSON_ABSENT INT64_MIN

struct json_field {
    const char *key;
    enum json_type type;
    unsigned flags;
    size_t offset; /* in the struct */
};
#define JSON_FIELD(struct_type, member, key_name, json_type, json_flags)                           \
    {                                                                                              \
        .key = (key_name), .type = (json_type), .flags = (json_flags),                             \
        .offset = offsetof(struct_type, member)                                                    \
    }

/*
 * Reads object into *ret by the table (at most 64 fields). Numbers and booleans that are absent
 * keep what *ret held; pointers in *ret must be NULL before. Unknown keys are ignored. After an
 * error nothing is left allocated. -EPROTO, -ENOMEM.
 */
int json_load(const cJSON *object, const struct json_field *fields, size_t count, void *ret);
/* Frees what the table says is owned, and makes it NULL. */
void json_unload(const struct json_field *fields, size_t count, void *p);

/* The same from a text. */
int json_read(const void *text, size_t len, const struct json_field *fields, size_t count,
              void *ret);

/* What the elements of an array of objects are read into. */
struct json_shape {
    const struct json_field *fields;
    size_t count;
    size_t size;       /* of the struct */
    const void *blank; /* what it holds before; NULL: zeros */
};
/* One allocation holds all elements; json_free_list frees them. null is an empty array. */
int json_load_list(const cJSON *array, const struct json_shape *shape, void **ret,
                   size_t *ret_count);
/* key NULL: the text is the array itself, else it is that member of an object, perhaps absent. */
int json_read_list(const void *text, size_t len, const char *key, const struct json_shape *shape,
                   void **ret, size_t *ret_count);
void json_free_list(const struct json_shape *shape, void *list, size_t count);

/* Array of strings; null is an empty one. -EPROTO, -ENOMEM. */
int json_load_strings(const cJSON *array, struct json_strings *ret);
void json_strings_done(struct json_strings *s);
void json_pairs_done(struct json_pairs *p);

/*
 * Writer. The first error (-EFBIG, -ENOMEM from the buffer) stays in err and makes the rest do
 * nothing, so only the end is checked. Commas are put where they belong.
 */
struct json_out {
    struct buf *buf; /* borrowed */
    bool comma;      /* the next value or key needs one before it */
    int err;
};
void json_open(struct json_out *o, char bracket);  /* '{' or '[' */
void json_close(struct json_out *o, char bracket); /* '}' or ']' */
void json_key(struct json_out *o, const char *key);
/* Bytes that are not UTF-8 become U+FFFD, one for each; NUL becomes \u0000. */
void json_bytes(struct json_out *o, const void *p, size_t n);
void json_string(struct json_out *o, const char *s); /* NULL: "" */
void json_int(struct json_out *o, int64_t v);
void json_double(struct json_out *o, double v);
void json_bool(struct json_out *o, bool v);
void json_null(struct json_out *o);
void json_pairs(struct json_out *o, const struct json_pairs *p);
void json_strings(struct json_out *o, const struct json_strings *s);
/* The fields as "key": value …, inside an object that the caller opens and closes. */
void json_fields(struct json_out *o, const struct json_field *fields, size_t count, const void *p);

#endif
