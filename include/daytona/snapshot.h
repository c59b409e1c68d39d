/* daytona/snapshot.h - what sandboxes are made from. */
#ifndef DAYTONA_SNAPSHOT_H
#define DAYTONA_SNAPSHOT_H

#include "daytona/client.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_snapshot {
    char *id, *name, *image_name;
    char *state; /* "active", "inactive", "building", "pulling", "error" … as sent */
    char *error_reason;
    char *created_at, *updated_at, *last_used_at; /* ISO 8601; "" if never */
    double cpu, memory_gib, disk_gib;
    double size_gib; /* 0: not known */
    bool general;    /* the service's own, for everybody */
};
DAYTONA_API void daytona_snapshot_done(struct daytona_snapshot *snapshot);

/* GET /snapshots, all pages. *ret is the caller's: daytona_snapshot_list_free. */
DAYTONA_API int daytona_snapshot_list(struct daytona_client *client, struct daytona_snapshot **ret,
                                      size_t *ret_count);
DAYTONA_API void daytona_snapshot_list_free(struct daytona_snapshot *list, size_t count);
/* GET /snapshots/{idOrName}. The caller calls daytona_snapshot_done. */
DAYTONA_API int daytona_snapshot_get(struct daytona_client *client, const char *id_or_name,
                                     struct daytona_snapshot *ret);

/* NULL and 0 mean the service's default. */
struct daytona_snapshot_params {
    const char *name;
    const char *image;      /* with a tag that is not "latest", or a digest */
    const char *dockerfile; /* or the text of one that needs no other file */
    const char *const *entrypoint;
    size_t entrypoint_count;
    double cpu, memory_gib, disk_gib;
    const char *region_id;
};
/*
 * POST /snapshots, then waits until it is active. timeout_ms as in sandbox.h. -EEXIST: there is one
 * of that name. -EIO: it ended in error; the message says why.
 */
DAYTONA_API int daytona_snapshot_create(struct daytona_client *client,
                                        const struct daytona_snapshot_params *params,
                                        int64_t timeout_ms, struct daytona_snapshot *ret);
/* DELETE /snapshots/{id}: the id, not the name. */
DAYTONA_API int daytona_snapshot_delete(struct daytona_client *client, const char *id);
/* GET /snapshots/{id}/build-logs-url and what is there: how it was built. follow: until the build
 * ends. -ENOENT: no such id, or it is not from a Dockerfile. */
DAYTONA_API int daytona_snapshot_build_logs(struct daytona_client *client, const char *id,
                                            bool follow, daytona_text text, void *arg);
/* POST /snapshots/{id}/activate, for one that is inactive; /deactivate. */
DAYTONA_API int daytona_snapshot_activate(struct daytona_client *client, const char *id);
DAYTONA_API int daytona_snapshot_deactivate(struct daytona_client *client, const char *id);

#ifdef __cplusplus
}
#endif
#endif
