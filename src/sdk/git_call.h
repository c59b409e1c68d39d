/* git_call.h - one git call: an object of strings, and a few others. */
#ifndef SDK_GIT_CALL_H
#define SDK_GIT_CALL_H

#include "sdk/call.h"

#include <daytona/git.h>

enum { GIT_BODY_MAX = 16 << 20 };

struct git_member {
    const char *key, *value; /* value NULL: left out */
};

struct call git_call(const char *name, const char *method, const char *path);
void git_put(struct json_out *o, const struct git_member *members, size_t count);
void git_put_true(struct json_out *o, const char *key, bool value);
void git_put_login(struct json_out *o, const struct daytona_git_login *login);
void git_put_files(struct json_out *o, const char *const *files, size_t count);
/* Closes the object, sends it, and wipes it. ret NULL: the answer says nothing. */
int git_finish(struct daytona_sandbox *sb, struct call *call, struct json_out *o,
               struct http_response *ret);
/* Calls that send strings and get nothing. */
int git_post(struct daytona_sandbox *sb, const char *name, const char *method, const char *path,
             const struct git_member *members, size_t count, const struct daytona_git_login *login);
#define GIT_POST(sb, name, method, path, login, ...)                                               \
    git_post(sb, name, method, path, (const struct git_member[]){__VA_ARGS__},                     \
             ARRAY_LEN(((const struct git_member[]){__VA_ARGS__})), login)

#endif
