/*
 * The one place that knows what refusals look like.
 *
 * The toolbox's path is client, proxy, runner, daemon, and each of them answers 400 and 404. What
 * the daemon refuses has an empty body (0.148 to 0.200), JSON whose inner statusCode is always 500
 * (before), or JSON with source DAYTONA_DAEMON (after). What proxy and runner refuse is JSON
 * without a source, and so are refusals of the daemon's calls that are not about files. So "no such
 * file" is said only by what can only come from the daemon.
 */
#include "sdk/classify.h"

#include "http/http.h"
#include "util/array.h"
#include "util/errtext.h"
#include "wire/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum form {
    FORM_EMPTY = 1 << 0,
    FORM_JSON = 1 << 1,   /* of proxy, runner or API */
    FORM_DAEMON = 1 << 2, /* JSON of the daemon itself, old or new */
    FORM_TEXT = 1 << 3,
    FORM_HTML = 1 << 4,
    FORM_OWN = 1 << 5, /* JSON of calls that refuse with it: processes, terminals, git */
    FORM_ANY = ~0,
};

enum mark {
    AUTH = 1 << 0,
    INFRA = 1 << 1,
    ONCE = 1 << 2, /* the row is for requests that must not be repeated */
    TEXT = 1 << 3, /* the message may end in the errno's text, which is better than err */
};

struct rule {
    int side, status, form; /* status 0: any */
    const char *text;       /* in the message or the code; NULL: any */
    int err;
    int marks;
    const char *message; /* NULL: the body's own */
};

#define BOTH (SIDE_API | SIDE_TOOLBOX)
#define BOX SIDE_TOOLBOX
#define API SIDE_API

static const char not_running[] = "the sandbox is not running";
static const char unreachable[] = "the sandbox does not answer: it is starting, stopping or broken";
static const char no_route[] = "this daemon does not have the call";
static const char elsewhere[] = "redirected to another server, which is not followed with a key";

/* The first row that fits. */
static const struct rule rules[] = {
    {BOTH, 0, FORM_HTML, NULL, -EPROTO, INFRA, "a web page came instead of an answer"},
    {BOX, 401, FORM_OWN, "authentication required", -EACCES, 0, NULL}, /* of a git server */
    {BOTH, 401, FORM_ANY, NULL, -EACCES, AUTH | INFRA, NULL},
    {BOTH, 429, FORM_ANY, NULL, -EAGAIN, INFRA, NULL},
    {BOTH, 301, FORM_ANY, NULL, -EPROTO, INFRA, elsewhere},
    {BOTH, 302, FORM_ANY, NULL, -EPROTO, INFRA, elsewhere},
    {BOTH, 303, FORM_ANY, NULL, -EPROTO, INFRA, elsewhere},
    {BOTH, 307, FORM_ANY, NULL, -EPROTO, INFRA, elsewhere},
    {BOTH, 308, FORM_ANY, NULL, -EPROTO, INFRA, elsewhere},

    {BOX, 400, FORM_JSON, "Is the Sandbox started", -EHOSTDOWN, INFRA, not_running},
    {BOX, 400, FORM_JSON, "no IP address found", -EHOSTDOWN, INFRA, not_running},
    {BOX, 400, FORM_JSON, "runner info", -EHOSTDOWN, INFRA, not_running},
    {BOX, 400, FORM_JSON, "does not have a runner", -EHOSTDOWN, INFRA, not_running},
    {BOX, 400, FORM_JSON, "sandbox public status", -EHOSTUNREACH, INFRA, NULL},
    {BOX, 404, FORM_JSON, "container not found", -EHOSTDOWN, INFRA, not_running},
    {BOX, 404, FORM_OWN, "not found: not found", -EIO, INFRA, NULL},
    {BOX, 404, FORM_OWN, NULL, -ENOENT, 0, NULL},
    {BOX, 404, FORM_EMPTY, NULL, -ENOENT, 0, NULL},
    {BOX, 404, FORM_DAEMON, NULL, -ENOENT, 0, NULL},
    {BOX, 404, FORM_TEXT, "404 page not found", -EOPNOTSUPP, 0, no_route},
    {BOX, 404, FORM_ANY, NULL, -EIO, INFRA, NULL},
    {BOX, 403, FORM_OWN, NULL, -EACCES, 0, NULL},
    {BOX, 409, FORM_OWN, NULL, -EEXIST, 0, NULL},
    {BOX, 410, FORM_OWN, NULL, -ESRCH, 0, NULL}, /* the process has ended */
    {BOX, 500, FORM_OWN, "execute command: not found", -ENOENT, 0, NULL},
    {BOX, 500, FORM_OWN, "broken pipe", -EPIPE, 0, NULL}, /* its shell has ended */
    {BOX, 500, FORM_OWN, "session cancelled", -ECANCELED, 0, NULL},
    {BOX, 403, FORM_JSON, NULL, -EACCES, AUTH | INFRA, NULL},
    {BOX, 403, FORM_ANY, NULL, -EACCES, 0, NULL},
    {BOX, 400, FORM_ANY, NULL, -EINVAL, TEXT, NULL},
    {BOX, 500, FORM_ANY, NULL, -EIO, TEXT, NULL},
    /* a proxy lost the daemon: what it had been asked to do may be done or not */
    {BOX, 502, FORM_ANY, NULL, -ECONNRESET, INFRA | ONCE, unreachable},
    {BOX, 504, FORM_ANY, NULL, -ECONNRESET, INFRA | ONCE, unreachable},
    {BOX, 502, FORM_ANY, NULL, -EHOSTDOWN, INFRA, unreachable},
    {BOX, 503, FORM_ANY, NULL, -EHOSTDOWN, INFRA, unreachable},
    {BOX, 504, FORM_ANY, NULL, -EHOSTDOWN, INFRA, unreachable},

    {API, 403, FORM_ANY, NULL, -EACCES, AUTH, NULL},
    {API, 409, FORM_ANY, "in progress", -EBUSY, 0, NULL},
    {API, 400, FORM_ANY, "not in valid state", -EBUSY, 0, NULL},
    {API, 400, FORM_ANY, "state change", -EBUSY, 0, NULL},
    {API, 404, FORM_TEXT, NULL, -EPROTO, INFRA, "this is not a Daytona API"},
    {API, 502, FORM_ANY, NULL, -EHOSTUNREACH, INFRA, "the API does not answer"},
    {API, 503, FORM_ANY, NULL, -EHOSTUNREACH, INFRA, NULL},
    {API, 504, FORM_ANY, NULL, -EHOSTUNREACH, INFRA, "the API does not answer"},
};

static int form_of(const struct reply *reply, bool is_json, const struct wire_error *e)
{
    if (reply->is_html)
        return FORM_HTML;
    if (reply->len == 0)
        return FORM_EMPTY;
    if (!is_json)
        return FORM_TEXT;
    if (strcmp(e->source, "DAYTONA_DAEMON") == 0 || strncmp(e->code, "FILE_", 5) == 0 ||
        strcmp(e->code, "INVALID_FILE_PATH") == 0 || (e->status == 500 && reply->status != 500))
        return FORM_DAEMON;
    return reply->json_errors ? FORM_JSON | FORM_OWN : FORM_JSON;
}

static const struct rule *find_rule(const struct reply *reply, int form, const struct verdict *v)
{
    for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
        const struct rule *rule = &rules[i];

        if ((rule->side & reply->side) && (rule->status == 0 || rule->status == reply->status) &&
            (rule->form & form) && !((rule->marks & ONCE) && reply->idempotent) &&
            (!rule->text || strstr(v->message, rule->text) || strstr(v->code, rule->text)))
            return rule;
    }
    return NULL;
}

/* The first line of a body that is not JSON. */
static void copy_text(char *out, size_t size, const char *body, size_t len)
{
    char line[256];
    size_t n = 0;

    while (n < len && n < sizeof(line) - 1 && body[n] != '\n' && body[n] != '\0')
        n++;
    memcpy(line, body, n);
    line[n] = '\0';
    wire_copy_line(out, size, line);
}

void classify(const struct reply *reply, struct verdict *ret)
{
    struct wire_error e = {0};
    const bool is_json = reply->len > 0 && wire_error_read(reply->body, reply->len, &e) == 0;
    const int form = form_of(reply, is_json, &e);
    const struct rule *rule;
    int err;

    *ret = (struct verdict){0};
    if (is_json) {
        wire_copy_line(ret->message, sizeof(ret->message), e.message);
        wire_copy_line(ret->code, sizeof(ret->code), e.code);
    } else if (form == FORM_TEXT) {
        copy_text(ret->message, sizeof(ret->message), reply->body, reply->len);
    }

    rule = find_rule(reply, form, ret);
    if (!rule) {
        ret->err = http_status_errno(reply->status);
        ret->infra = reply->side == SIDE_TOOLBOX && form == FORM_JSON; /* not FORM_OWN */
    } else {
        ret->err = rule->err;
        ret->auth = rule->marks & AUTH;
        ret->infra = rule->marks & INFRA;
        err = rule->marks & TEXT ? errtext_parse(ret->message) : 0;
        if (err < 0)
            ret->err = err;
        if (rule->message)
            wire_copy_line(ret->message, sizeof(ret->message), rule->message);
    }
    if (!ret->message[0])
        snprintf(ret->message, sizeof(ret->message), "refused with HTTP status %d", reply->status);
}
