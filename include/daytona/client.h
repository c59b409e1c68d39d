/*
 * daytona/client.h - one account at one Daytona API.
 *
 * A client may be used from any number of threads at once. Every call blocks until it has its
 * answer, unless it says otherwise. Calls that only read are retried after network errors; others
 * only when they cannot have reached the server.
 */
#ifndef DAYTONA_CLIENT_H
#define DAYTONA_CLIENT_H

#include "daytona/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_client;

/* One HTTP attempt, as reported to observe. Strings are valid during the call only. */
struct daytona_attempt {
    const char *call;        /* "downloadFile" */
    const char *method;      /* "GET" */
    const char *url;         /* without credentials */
    int http_status;         /* 0: none came */
    int err;                 /* 0 or the transport's negative errno */
    unsigned attempt;        /* 1 for the first */
    uint64_t sent, received; /* bytes, headers included */
    int64_t duration_ns;
};

/*
 * All strings are copied; NULL or 0 takes the default. Credentials, first that is set: api_key,
 * jwt with organization_id, credentials_file (mode 0600, `key = value` lines or a bare key; else
 * -EACCES), $DAYTONA_API_KEY, $DAYTONA_JWT_TOKEN with $DAYTONA_ORGANIZATION_ID, the active profile
 * of the Daytona CLI (read only). A file may hold api_key, jwt, organization_id and api_url. An
 * api_url that comes with the credential, from file or profile, is used with it unless one is given
 * here: a key is not shown to another server.
 */
struct daytona_config {
    const char *api_url; /* $DAYTONA_API_URL, $DAYTONA_SERVER_URL, https://app.daytona.io/api */
    const char *api_key;
    const char *jwt;
    const char *organization_id; /* $DAYTONA_ORGANIZATION_ID */
    const char *target;          /* region for create; $DAYTONA_TARGET */
    const char *credentials_file;
    const char *source;         /* X-Daytona-Source; "libdaytona" */
    int64_t connect_timeout_ms; /* 10 000 */
    int64_t stall_timeout_ms;   /* no progress for so long ends a call: 30 000 */
    /* Called after each HTTP attempt, on a thread of the client's; must be quick. */
    void (*observe)(void *arg, const struct daytona_attempt *attempt);
    void *observe_arg;
};

/*
 * Makes a client; sends nothing. config NULL: everything from the environment. *ret is the
 * caller's. -ENOKEY: no credential found. -EINVAL: a bad URL, or plain http to a host that is not
 * loopback. -EACCES: the credentials file may be read by others, or the CLI's login has expired.
 * The client has a thread, so it is made after fork, not before. It keeps the credential out of
 * core dumps and wipes its copies when it is freed; libcurl has its own while a request runs.
 */
DAYTONA_API int daytona_client_new(const struct daytona_config *config,
                                   struct daytona_client **ret);

/* Ends running calls with -ECANCELED. Sandboxes made from it must be unreferenced before. NULL is
 * fine; returns NULL. */
DAYTONA_API struct daytona_client *daytona_client_free(struct daytona_client *client);

/* Takes some bytes of a text: 0 to go on, or -errno to end the call with it. On a thread of the
 * client's; must not call daytona_ functions. */
typedef int (*daytona_text)(void *arg, const void *p, size_t n);

/* The API base in use; valid as long as the client. */
DAYTONA_API const char *daytona_client_api_url(const struct daytona_client *client);

/*
 * Says of the calling thread whether what it asks from now on is asked in the background: then it
 * does not count as activity, and the sandbox may still stop by itself. Returns what was said
 * before.
 */
DAYTONA_API bool daytona_background_bind(bool background);

#ifdef __cplusplus
}
#endif
#endif
