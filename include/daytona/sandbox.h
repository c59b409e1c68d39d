/* daytona/sandbox.h - sandboxes: create, find, start, stop, delete, wait. */
#ifndef DAYTONA_SANDBOX_H
#define DAYTONA_SANDBOX_H

#include "daytona/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A handle on one sandbox. Counted; any thread. What it knows is a copy: see _refresh. */
struct daytona_sandbox;

enum daytona_state { /* append only */
                     DAYTONA_STATE_OTHER,
                     DAYTONA_STATE_CREATING,
                     DAYTONA_STATE_STARTED,
                     DAYTONA_STATE_STOPPED,
                     DAYTONA_STATE_STARTING,
                     DAYTONA_STATE_STOPPING,
                     DAYTONA_STATE_ERROR,
                     DAYTONA_STATE_BUILD_FAILED,
                     DAYTONA_STATE_ARCHIVED,
                     DAYTONA_STATE_ARCHIVING,
                     DAYTONA_STATE_RESTORING,
                     DAYTONA_STATE_PULLING,
                     DAYTONA_STATE_BUILDING,
                     DAYTONA_STATE_DESTROYING,
                     DAYTONA_STATE_DESTROYED,
                     DAYTONA_STATE_PAUSED,
};

struct daytona_pair {
    char *key, *value;
};

/* A copy of what the service says. Absent strings are "". Owned by whoever got it: _info_done. */
struct daytona_sandbox_info {
    char *id, *name, *organization_id, *user, *target, *snapshot;
    char *state_name;   /* as sent */
    char *error_reason; /* why it is in error */
    char *toolbox_url;  /* base of the toolbox, without the id */
    char *daemon_version;
    char *created_at, *updated_at, *last_activity_at; /* ISO 8601 */
    enum daytona_state state;
    bool recoverable, is_public;
    double cpu, memory_gib, disk_gib;
    int64_t auto_stop_min, auto_archive_min, auto_delete_min; /* -1: off */
    struct daytona_pair *labels, *env;
    size_t label_count, env_count;
};

DAYTONA_API void daytona_sandbox_info_done(struct daytona_sandbox_info *info);

/* NULL, 0 and empty mean the service's default. */
struct daytona_sandbox_params {
    const char *name, *snapshot, *image, *user, *language; /* image: sent as "FROM image" */
    const struct daytona_pair *env, *labels;
    size_t env_count, label_count;
    double cpu, memory_gib, disk_gib;                                  /* with image only */
    const int64_t *auto_stop_min, *auto_archive_min, *auto_delete_min; /* NULL: default */
    bool is_public, ephemeral, network_block_all;
};

/*
 * timeout_ms counts everything; 0 waits without end, -1 does not wait for the state. All: -ENOENT
 * unknown or foreign, -EACCES credential refused, -ETIMEDOUT, -EBUSY another change is going on
 * (only with -1: otherwise it is waited for).
 */

/* POST /sandbox, then waits for `started`. *ret has one reference. -EIO: it ended in error. After
 * that, -ETIMEDOUT and -EINTR the sandbox may exist: the last error's message names it, if known.
 */
DAYTONA_API int daytona_sandbox_create(struct daytona_client *client,
                                       const struct daytona_sandbox_params *params,
                                       int64_t timeout_ms, struct daytona_sandbox **ret);
/* GET /sandbox/{idOrName}. *ret has one reference; the client must outlive it. */
DAYTONA_API int daytona_sandbox_get(struct daytona_client *client, const char *id_or_name,
                                    struct daytona_sandbox **ret);
/* GET /sandbox, all pages. labels may be NULL. *ret is an array of *ret_count infos, the caller's:
 * daytona_sandbox_list_free. */
DAYTONA_API int daytona_sandbox_list(struct daytona_client *client,
                                     const struct daytona_pair *labels, size_t label_count,
                                     struct daytona_sandbox_info **ret, size_t *ret_count);
DAYTONA_API void daytona_sandbox_list_free(struct daytona_sandbox_info *list, size_t count);

DAYTONA_API struct daytona_sandbox *daytona_sandbox_ref(struct daytona_sandbox *sandbox);
DAYTONA_API struct daytona_sandbox *daytona_sandbox_unref(struct daytona_sandbox *sandbox);

/* What is known, without a request. The caller calls daytona_sandbox_info_done. -ENOMEM. */
DAYTONA_API int daytona_sandbox_info(struct daytona_sandbox *sandbox,
                                     struct daytona_sandbox_info *ret);
DAYTONA_API enum daytona_state daytona_sandbox_state(struct daytona_sandbox *sandbox);
DAYTONA_API const char *daytona_sandbox_id(const struct daytona_sandbox *sandbox);

/* GET /sandbox/{id}. */
DAYTONA_API int daytona_sandbox_refresh(struct daytona_sandbox *sandbox);
/* POST /sandbox/{id}/start and wait. Already started is a success. */
DAYTONA_API int daytona_sandbox_start(struct daytona_sandbox *sandbox, int64_t timeout_ms);
/* POST /sandbox/{id}/stop[?force=true] and wait. Stopped already, archived or gone is a success. */
DAYTONA_API int daytona_sandbox_stop(struct daytona_sandbox *sandbox, bool force,
                                     int64_t timeout_ms);
/* DELETE /sandbox/{id} and wait until it is gone. */
DAYTONA_API int daytona_sandbox_delete(struct daytona_sandbox *sandbox, int64_t timeout_ms);
/* GET /sandbox/{id} until the state is reached. -EIO: it went into error instead. */
DAYTONA_API int daytona_sandbox_wait(struct daytona_sandbox *sandbox, enum daytona_state state,
                                     int64_t timeout_ms);

/* Toolbox GET /work-dir, /user-home-dir, /version. *ret is a string the caller frees. */
DAYTONA_API int daytona_sandbox_work_dir(struct daytona_sandbox *sandbox, char **ret);
DAYTONA_API int daytona_sandbox_home_dir(struct daytona_sandbox *sandbox, char **ret);
DAYTONA_API int daytona_sandbox_version(struct daytona_sandbox *sandbox, char **ret);

#ifdef __cplusplus
}
#endif
#endif
