/* session.h - what the files about sessions share. */
#ifndef SDK_SESSION_H
#define SDK_SESSION_H

#include <daytona/session.h>

/* daytona_session_command as a part of another call: the last error's call stays. */
int command_fetch(struct daytona_sandbox *sandbox, const char *session, const char *command,
                  struct daytona_command *ret);

#endif
