/*
 * daytona/interpreter.h - Python that remembers: what one run has defined, the next one finds.
 *
 * A context is one interpreter; it lives until it is deleted or the sandbox stops, and runs one
 * piece of code after another. There is one by default that needs not be made. -ENOENT: no such
 * context.
 */
#ifndef DAYTONA_INTERPRETER_H
#define DAYTONA_INTERPRETER_H

#include "daytona/session.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_interpreter_context {
    char *id, *cwd, *language;
    char *created_at; /* ISO 8601 */
    bool active;
};
DAYTONA_API void daytona_interpreter_context_done(struct daytona_interpreter_context *context);

/* POST /process/interpreter/context. cwd NULL: the work-dir. The caller calls
 * daytona_interpreter_context_done. */
DAYTONA_API int daytona_interpreter_create(struct daytona_sandbox *sandbox, const char *cwd,
                                           struct daytona_interpreter_context *ret);
/* GET /process/interpreter/context, without the default one. *ret is the caller's:
 * daytona_interpreter_list_free. */
DAYTONA_API int daytona_interpreter_list(struct daytona_sandbox *sandbox,
                                         struct daytona_interpreter_context **ret,
                                         size_t *ret_count);
DAYTONA_API void daytona_interpreter_list_free(struct daytona_interpreter_context *list,
                                               size_t count);
/* DELETE /process/interpreter/context/{id}. The default one cannot be: -EINVAL. */
DAYTONA_API int daytona_interpreter_delete(struct daytona_sandbox *sandbox, const char *context);

struct daytona_interpreter_run {
    const char *code;    /* UTF-8 */
    const char *context; /* NULL: the default one */
    const struct daytona_pair *env;
    size_t env_count;
    int64_t timeout_s; /* the service ends it then: -ETIMEDOUT. 0: 600; negative: no end */
};

struct daytona_interpreter_result {
    bool raised, interrupted;
    char *name, *value, *traceback; /* of the exception if it raised one; else "" */
};
DAYTONA_API void daytona_interpreter_result_done(struct daytona_interpreter_result *result);

/*
 * GET /process/interpreter/execute (WebSocket): runs code and hands over what it prints, on the
 * calling thread; output may be NULL. 0 once it has ended, with an exception too: *ret tells, which
 * the caller gives to daytona_interpreter_result_done. Never repeated: after -ECONNRESET the
 * outcome is unknown. -EPROTO: it printed a NUL, which does not come through.
 */
DAYTONA_API int daytona_interpreter_run(struct daytona_sandbox *sandbox,
                                        const struct daytona_interpreter_run *run,
                                        daytona_output output, void *arg,
                                        struct daytona_interpreter_result *ret);

#ifdef __cplusplus
}
#endif
#endif
