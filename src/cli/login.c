#include "cli/login.h"

#include "cli/terminal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char *wiped(char *s)
{
    if (s)
        explicit_bzero(s, strlen(s));
    free(s);
    return NULL;
}

void login_done(struct login *login)
{
    login->username = wiped(login->username);
    login->password = wiped(login->password);
}

int login_from_environment(struct login *ret)
{
    const char *username = getenv("DAYTONAFS_GIT_USERNAME");
    const char *password = getenv("DAYTONAFS_GIT_PASSWORD");

    *ret = (struct login){0};
    if (!password || !*password)
        return 0;
    /* With a token most servers do not look at the name, but none may be missing. */
    ret->username = strdup(username && *username ? username : "git");
    ret->password = strdup(password);
    if (ret->username && ret->password)
        return 0;
    login_done(ret);
    return -ENOMEM;
}

int login_ask(struct login *ret, const char *server)
{
    char question[512];
    int r;

    *ret = (struct login){0};
    snprintf(question, sizeof(question), "user name for %.400s", server);
    r = terminal_ask(question, false, &ret->username);
    snprintf(question, sizeof(question), "password or token");
    if (r == 0)
        r = terminal_ask(question, true, &ret->password);
    if (r < 0)
        login_done(ret);
    return r;
}
