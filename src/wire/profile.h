/* profile.h - the configuration file of the Daytona CLI: which account its user is logged in to. */
#ifndef WIRE_PROFILE_H
#define WIRE_PROFILE_H

#include <stddef.h>
#include <stdint.h>

/* Of the active profile; owned, "" when absent. */
struct wire_profile {
    char *api_url;
    char *api_key;
    char *token; /* an access token, used with organization_id */
    char *organization_id;
    int64_t token_expires_ns; /* INT64_MAX: not said */
};

void wire_profile_done(struct wire_profile *p); /* wipes what is secret */
/* -ENOENT: there is no active profile. -EPROTO: not such a file. */
int wire_profile_read(const void *text, size_t len, struct wire_profile *ret);

#endif
