/* daytona/warm_pool.h - sandboxes that wait, started, for whoever asks for their snapshot. */
#ifndef DAYTONA_WARM_POOL_H
#define DAYTONA_WARM_POOL_H

#include "daytona/client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_warm_pool {
    char *id, *snapshot, *target;
    char *error_reason;            /* "" if none */
    char *created_at, *updated_at; /* ISO 8601 */
    int64_t pool, current_size;    /* sandboxes: wanted, there */
    double cpu, memory_gib, disk_gib;
};
DAYTONA_API void daytona_warm_pool_done(struct daytona_warm_pool *pool);

/* GET /warm-pools. *ret is the caller's: daytona_warm_pool_list_free. */
DAYTONA_API int daytona_warm_pool_list(struct daytona_client *client,
                                       struct daytona_warm_pool **ret, size_t *ret_count);
DAYTONA_API void daytona_warm_pool_list_free(struct daytona_warm_pool *list, size_t count);
/* POST /warm-pools. target NULL: the organization's region. The caller calls
 * daytona_warm_pool_done. */
DAYTONA_API int daytona_warm_pool_create(struct daytona_client *client, const char *snapshot,
                                         unsigned pool, const char *target,
                                         struct daytona_warm_pool *ret);
/* PATCH /warm-pools/{id}: another size. */
DAYTONA_API int daytona_warm_pool_update(struct daytona_client *client, const char *id,
                                         unsigned pool);
/* DELETE /warm-pools/{id}. */
DAYTONA_API int daytona_warm_pool_delete(struct daytona_client *client, const char *id);

#ifdef __cplusplus
}
#endif
#endif
