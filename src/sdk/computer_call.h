/* computer_call.h - one call of the desktop: a few members, and an answer. */
#ifndef SDK_COMPUTER_CALL_H
#define SDK_COMPUTER_CALL_H

#include "sdk/call.h"

#include <daytona/computer.h>

#define COMPUTER "/computeruse"

enum computer_kind { C_STRING, C_INT, C_BOOL, C_STRINGS };

struct computer_member {
    const char *key;
    enum computer_kind kind;
    const char *s; /* NULL: left out */
    int64_t i;
    const struct json_strings *list; /* empty: left out */
};
#define S_MEMBER(k, v)                                                                             \
    {                                                                                              \
        .key = (k), .kind = C_STRING, .s = (v)                                                     \
    }
#define I_MEMBER(k, v)                                                                             \
    {                                                                                              \
        .key = (k), .kind = C_INT, .i = (v)                                                        \
    }
#define B_MEMBER(k, v)                                                                             \
    {                                                                                              \
        .key = (k), .kind = C_BOOL, .i = (v)                                                       \
    }
#define L_MEMBER(k, v)                                                                             \
    {                                                                                              \
        .key = (k), .kind = C_STRINGS, .list = (v)                                                 \
    }

struct computer_call {
    const char *name, *method, *path, *id, *tail; /* path[/id][tail]; id is escaped */
    const struct computer_member *members;        /* POST: of the body */
    size_t count;
};
#define MEMBERS(...)                                                                               \
    .members = (const struct computer_member[]){__VA_ARGS__},                                      \
    .count = ARRAY_LEN(((const struct computer_member[]){__VA_ARGS__}))

int computer_only(struct daytona_sandbox *sandbox, const struct computer_call *call);
int computer_object(struct daytona_sandbox *sandbox, const struct computer_call *call,
                    const struct json_field *fields, size_t count, void *ret);
int computer_list(struct daytona_sandbox *sandbox, const struct computer_call *call,
                  const char *key, const struct json_shape *shape, void **ret, size_t *ret_count);
/* One string of the answer; the caller frees. */
int computer_string(struct daytona_sandbox *sandbox, const struct computer_call *call,
                    const char *key, char **ret);

#endif
