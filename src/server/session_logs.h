/* session_logs.h - the forms that a command's log has on the wire. */
#ifndef SERVER_SESSION_LOGS_H
#define SERVER_SESSION_LOGS_H

#include "server/session.h"
#include "wire/json.h"

struct request;

enum { SESSION_OUTPUT_MAX = 32 << 20 }; /* of a log that goes into JSON */

/* The command of the request's path and its session, with a reference. NULL: refused. */
struct session *session_take_command(struct request *rq, struct command **ret);

/* The whole log. -EFBIG beyond out's ceiling. */
int session_log_read(struct session *s, const struct command *c, struct buf *out);
/* It as JSON's fields output, stdout and stderr, as this client wants them. */
int session_log_put(struct json_out *o, const struct request *rq, const struct buf *raw);

#endif
