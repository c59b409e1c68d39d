/*
 * daytona/secret.h - values that sandboxes use and do not see.
 *
 * A sandbox has a placeholder in its environment (daytona_sandbox_set_secrets); the service puts
 * the value in its place in requests to the hosts that are allowed. A value cannot be read back.
 * -EOPNOTSUPP or -ENOENT from services that have no secrets.
 */
#ifndef DAYTONA_SECRET_H
#define DAYTONA_SECRET_H

#include "daytona/client.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_secret {
    char *id, *name, *description;
    char *placeholder;             /* what stands in the environment */
    char *created_at, *updated_at; /* ISO 8601 */
    char **hosts;                  /* where it may go; none: everywhere */
    size_t host_count;
};
DAYTONA_API void daytona_secret_done(struct daytona_secret *secret);

/* Borrowed. For update, NULL is as it is; so is the name always. */
struct daytona_secret_params {
    const char *name, *value, *description;
    const char *const *hosts; /* NULL: as it is, or none */
    size_t host_count;
};

/* GET /secret. *ret is the caller's: daytona_secret_list_free. */
DAYTONA_API int daytona_secret_list(struct daytona_client *client, struct daytona_secret **ret,
                                    size_t *ret_count);
DAYTONA_API void daytona_secret_list_free(struct daytona_secret *list, size_t count);
/* GET /secret/{id}. The caller calls daytona_secret_done. */
DAYTONA_API int daytona_secret_get(struct daytona_client *client, const char *id,
                                   struct daytona_secret *ret);
/* POST /secret. -EEXIST: there is one of that name. The caller calls daytona_secret_done. */
DAYTONA_API int daytona_secret_create(struct daytona_client *client,
                                      const struct daytona_secret_params *params,
                                      struct daytona_secret *ret);
/* PATCH /secret/{id}. */
DAYTONA_API int daytona_secret_update(struct daytona_client *client, const char *id,
                                      const struct daytona_secret_params *params);
/* DELETE /secret/{id}. */
DAYTONA_API int daytona_secret_delete(struct daytona_client *client, const char *id);

#ifdef __cplusplus
}
#endif
#endif
