/* client.h - what the files of the SDK know of a client and a sandbox. */
#ifndef SDK_CLIENT_H
#define SDK_CLIENT_H

#include "http/http.h"
#include "sdk/secret.h"
#include "util/lock.h"
#include "wire/sandbox.h"

#include <daytona/client.h>
#include <daytona/sandbox.h>
#include <stdatomic.h>

struct daytona_client {
    struct http *http;           /* owned */
    char *api_url;               /* owned; no slash at its end */
    char *target;                /* owned; "" for the service's default */
    char *source_header;         /* owned */
    char *organization_header;   /* owned; NULL with an API key */
    struct secret token;         /* to remove it from messages */
    struct secret authorization; /* the header */
    int64_t connect_timeout_ms;
    void (*observe)(void *arg, const struct daytona_attempt *attempt);
    void *observe_arg;
};

struct daytona_sandbox {
    struct daytona_client *client; /* borrowed: it outlives its sandboxes */
    atomic_uint refs;
    char *id;                 /* owned; never changes */
    struct lock lock;         /* guards what follows */
    struct wire_sandbox data; /* what the service last said */
    atomic_bool upload_v2;    /* /files/upload is not there */
};

/* Takes *data over, also on error. One reference. */
int sandbox_new(struct daytona_client *client, struct wire_sandbox *data,
                struct daytona_sandbox **ret);
/* Replaces what is known; takes *data over. */
void sandbox_update(struct daytona_sandbox *sandbox, struct wire_sandbox *data);
/* A copy of the toolbox's base URL, asked for once if the service did not give it unasked. */
int sandbox_toolbox_url(struct daytona_sandbox *sandbox, char **ret);
/* GET /sandbox/{id} without touching what is known; the last error is set. */
int sandbox_fetch(struct daytona_client *client, const char *id_or_name, int64_t total_timeout_ns,
                  struct wire_sandbox *ret);
/* Copies a wire sandbox into a public one; -ENOMEM. */
int sandbox_info_fill(const struct wire_sandbox *data, struct daytona_sandbox_info *ret);

#endif
