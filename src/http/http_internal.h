/* http_internal.h - what the files of this layer share. Nobody else includes it. */
#ifndef HTTP_HTTP_INTERNAL_H
#define HTTP_HTTP_INTERNAL_H

#include "http/http.h"
#include "http/pace.h"

#include <curl/curl.h>

enum {
    HTTP_HEADERS_MAX = 64 << 10,    /* all header bytes of one attempt, 1xx and trailers included */
    HTTP_ERROR_BODY_MAX = 64 << 10, /* of an answer that is not 2xx */
    HTTP_BODY_MAX = 1 << 20,
};

struct attempt;

/* Reads one body, or one part of one. */
struct body_reader {
    const struct http_part *part;
    uint64_t pos;
    struct attempt *attempt; /* borrowed */
};

/*
 * One request sent once. Lives on the engine thread.
 * What went over the wire is counted as curl reports it, so "nothing was sent" is a fact.
 */
struct attempt {
    const struct http_request *req; /* borrowed */
    CURL *easy;                     /* owned, NULL between attempts */
    struct curl_slist *headers;     /* owned */
    curl_mime *mime;                /* owned */
    struct body_reader *readers;    /* owned: one for each part */
    struct http_part whole;         /* the body as a part, when there are none */
    char error[CURL_ERROR_SIZE];

    int64_t start_ns;
    int64_t progress_ns;  /* when a byte last moved; 0 until connected */
    uint64_t wire_sent;   /* bytes given to the kernel */
    uint64_t wire_header; /* received, as are the next */
    uint64_t wire_body;
    uint64_t received; /* of the body, decoded */
    unsigned issued;   /* how often curl was about to send: it repeats by itself, see on_issue */
    int fail;          /* why a callback ended it: 0 or -errno */
    bool cut;          /* the body of an error was long enough */
    bool repeated;     /* curl sent it twice */
    struct pace *pace; /* of a large body: it says when how much of it may be read; else NULL */
    struct pace_mark mark;
    uint64_t left;      /* bytes of the body, not read yet */
    size_t granted;     /* of those, that may be */
    int64_t granted_ns; /* when something last was */
    bool paused;        /* curl was told that there is nothing, and has not asked again */
    CURLcode code;      /* how it ended, as curl says */
    struct http_response response;
};

struct attempt_params {
    const char *url;
    const char *user_agent;
    CURLSH *share;
    int64_t connect_timeout_ns;
    bool fresh;        /* on a new connection */
    struct pace *pace; /* see struct attempt; borrowed while it is under way */
    uint64_t body_len; /* of all parts, without what is between them */
    void *owner;       /* CURLINFO_PRIVATE */
};

/* Puts the request under way. On error nothing is. */
int attempt_start(struct attempt *a, const struct http_request *req,
                  const struct attempt_params *params, CURLM *multi);

/*
 * Takes it off the multi handle and frees what it held, except for the response. r < 0: it ends
 * for that reason; 0: because curl is done with it. Returns what came of it: 0 or -errno.
 * *ret_redirect gets where a 301, 307 or 308 points, a new string, or NULL.
 */
int attempt_end(struct attempt *a, CURLM *multi, int r, char **ret_redirect);

/* Lets a paused one go on. To be called again until it is not paused. */
void attempt_go_on(struct attempt *a);

/*
 * What every connection has in common: address, protocols, proxy, time to connect, socket options.
 * url is copied. -ENOMEM.
 */
int endpoint_set(CURL *easy, const char *url, int64_t connect_timeout_ns);
/* Why easy ended with code, as -errno. */
int endpoint_errno(CURL *easy, CURLcode code);

/* What http_new was given, defaults filled in; valid as long as h. */
const struct http_config *http_config_of(const struct http *h);

/* Retry policy: a pure function of what happened. */
struct retry_facts {
    unsigned flags;   /* the request's */
    unsigned attempt; /* 1 after the first */
    unsigned max_attempts;
    int err;                              /* the attempt's, 0: an answer came */
    bool sent;                            /* some of the request left */
    int64_t waited_ns;                    /* for servers that asked for it, in earlier attempts */
    const struct http_response *response; /* with err 0 */
};
enum { RETRY_NO = -1 };
/* How long to wait before the next attempt, or RETRY_NO. spread: 0 to UINT32_MAX, the jitter. */
int64_t retry_delay_ns(const struct retry_facts *f, uint32_t spread);
/* True if a further attempt means that the server may do the work twice. */
bool retry_may_repeat(const struct retry_facts *f);

/* Adds one header line as it came; blank and status lines too. -EFBIG. */
int response_add_header(struct http_response *r, const char *line, size_t len);
/* The longest wait that a Retry-After or Retry-After-* header asks for; -1 if none does. */
int64_t response_retry_after_ns(const struct http_response *r);

#endif
