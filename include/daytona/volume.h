/* daytona/volume.h - storage that outlives sandboxes and that several may mount. */
#ifndef DAYTONA_VOLUME_H
#define DAYTONA_VOLUME_H

#include "daytona/client.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_volume {
    char *id, *name;
    char *state; /* "ready", "pending_create", "creating", "deleting", "error" … as sent */
    char *error_reason;
    char *created_at, *updated_at, *last_used_at; /* ISO 8601; "" if never */
};
DAYTONA_API void daytona_volume_done(struct daytona_volume *volume);

/* GET /volumes. *ret is the caller's: daytona_volume_list_free. */
DAYTONA_API int daytona_volume_list(struct daytona_client *client, struct daytona_volume **ret,
                                    size_t *ret_count);
DAYTONA_API void daytona_volume_list_free(struct daytona_volume *list, size_t count);
/* GET /volumes/by-name/{name}. The caller calls daytona_volume_done. */
DAYTONA_API int daytona_volume_get(struct daytona_client *client, const char *name,
                                   struct daytona_volume *ret);
/*
 * POST /volumes, then waits until it is ready: only then a sandbox can have it. timeout_ms as in
 * sandbox.h. -EEXIST: there is one of that name. -EIO: it went into error.
 */
DAYTONA_API int daytona_volume_create(struct daytona_client *client, const char *name,
                                      int64_t timeout_ms, struct daytona_volume *ret);
/* DELETE /volumes/{id}. -EEXIST: a sandbox uses it. */
DAYTONA_API int daytona_volume_delete(struct daytona_client *client, const char *id);

#ifdef __cplusplus
}
#endif
#endif
