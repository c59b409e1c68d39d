/* login.h - a user name and a password for somebody else's server; never from argv. */
#ifndef CLI_LOGIN_H
#define CLI_LOGIN_H

#include "cli/cli.h"

#include <daytona/git.h>

struct login {
    char *username, *password; /* owned; NULL: there is none */
};

/* From DAYTONAFS_GIT_USERNAME and DAYTONAFS_GIT_PASSWORD. 0, or -ENOMEM. */
int login_from_environment(struct login *ret);
/* Asks on the terminal. -ENXIO: there is none; -ECANCELED: no answer. */
int login_ask(struct login *ret, const char *server);
void login_done(struct login *login); /* wipes them */

#endif
