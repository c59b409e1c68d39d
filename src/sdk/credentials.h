/* credentials.h - who we are, from the first source that says so. */
#ifndef SDK_CREDENTIALS_H
#define SDK_CREDENTIALS_H

#include "sdk/secret.h"

#include <daytona/client.h>
#include <stdbool.h>

struct credentials {
    struct secret token;   /* key or JWT */
    char *organization_id; /* owned; NULL with a key */
    char *api_url;         /* owned; what the source of the token says, or NULL */
};

/*
 * Looks in config, its file, the environment and the Daytona CLI's profile. Sets the last error's
 * message. -ENOKEY: nothing anywhere; -EACCES: the file may be read by others, or the CLI's login
 * has expired; -EINVAL: a JWT without organization, or a file that cannot be understood.
 */
int credentials_find(const struct daytona_config *config, struct credentials *ret);
void credentials_done(struct credentials *c);

/* key or JWT can stand in a header: printable ASCII without blanks. */
bool credentials_valid(const char *token);

#endif
