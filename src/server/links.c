/*
 * links.c - what opens a sandbox without the key: preview links, signed ones, ssh access, signed
 * links to files.
 */
#include "server/server_internal.h"

#include "util/base64.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/sha256.h"
#include "wire/time.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIGNED_MAX = 1024, SIGNED_LEN = 16, SSH_LEN = 32, KEY_LEN = 32, DAY_S = 86400 };

/* One signed preview link. */
struct signed_link {
    struct signed_link *next;
    char token[SIGNED_LEN + 1], sandbox[64];
    unsigned port;
    int64_t until_ms;
};

static int64_t now_ms(void)
{
    return clock_real_ns() / NS_PER_MS;
}

/* -1: not a number within the range. */
static int64_t number(const char *text, int64_t otherwise, int64_t min, int64_t max)
{
    char *end;
    long long v;

    if (!text || !*text)
        return otherwise;
    errno = 0;
    v = strtoll(text, &end, 10);
    return errno || *end || !isdigit((unsigned char)*text) || v < min || v > max ? -1 : v;
}

static int64_t take_port(struct request *rq)
{
    const int64_t port = number(rq->capture[1], -1, 1, 65535);

    if (port < 0)
        reply_api_error(rq, 400, "Invalid port: 1 to 65535 is allowed");
    return port;
}

void api_preview_url(struct request *rq)
{
    const int64_t port = take_port(rq);
    char url[512], token[64];
    struct json_out o;

    if (port < 0)
        return;
    lock_take(&rq->srv->lock);
    snprintf(token, sizeof(token), "%s", rq->sandbox->preview_token);
    lock_drop(&rq->srv->lock);
    snprintf(url, sizeof(url), "%s/preview/%d-%s", rq->srv->origin, (int)port, rq->sandbox->id);
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "sandboxId");
    json_string(&o, rq->sandbox->id);
    json_key(&o, "url");
    json_string(&o, url);
    json_key(&o, "token");
    json_string(&o, token);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

/* ---- signed preview links ---- */

/* Drops what is over, and with token or sandbox what they name. Returns how many are left. */
static size_t sweep_locked(struct server *s, const char *sandbox, const char *token)
{
    const int64_t now = now_ms();
    size_t count = 0;

    for (struct signed_link **at = &s->signed_links; *at;) {
        struct signed_link *link = *at;

        if (now >= link->until_ms ||
            (token && strcmp(link->token, token) == 0 && strcmp(link->sandbox, sandbox) == 0)) {
            *at = link->next;
            free(link);
        } else {
            at = &link->next;
            count++;
        }
    }
    return count;
}

void api_signed_url(struct request *rq)
{
    const int64_t seconds = number(request_query(rq, "expiresInSeconds"), 60, 1, DAY_S);
    const int64_t port = take_port(rq);
    struct signed_link *link;
    char url[512], token[SIGNED_LEN + 1];
    struct json_out o;
    bool full;

    if (port < 0)
        return;
    if (seconds < 0) {
        reply_api_error(rq, 400, "expiresInSeconds must be 1 to 86400");
        return;
    }
    link = calloc(1, sizeof(*link));
    if (!link || store_make_token(link->token, SIGNED_LEN) < 0) {
        free(link);
        return; /* 500 */
    }
    snprintf(link->sandbox, sizeof(link->sandbox), "%s", rq->sandbox->id);
    snprintf(token, sizeof(token), "%s", link->token);
    link->port = (unsigned)port;
    link->until_ms = now_ms() + seconds * 1000;
    lock_take(&rq->srv->lock);
    full = sweep_locked(rq->srv, NULL, NULL) >= SIGNED_MAX;
    if (!full) {
        link->next = rq->srv->signed_links;
        rq->srv->signed_links = link;
    }
    lock_drop(&rq->srv->lock);
    if (full) {
        free(link);
        reply_api_error(rq, 429, "ThrottlerException: Too Many Requests");
        return;
    }
    snprintf(url, sizeof(url), "%s/preview/%d-%s", rq->srv->origin, (int)port, token);
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "sandboxId");
    json_string(&o, rq->sandbox->id);
    json_key(&o, "port");
    json_int(&o, port);
    json_key(&o, "token");
    json_string(&o, token);
    json_key(&o, "url");
    json_string(&o, url);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

void api_signed_expire(struct request *rq)
{
    lock_take(&rq->srv->lock);
    (void)sweep_locked(rq->srv, rq->sandbox->id, rq->capture[2]);
    lock_drop(&rq->srv->lock);
    reply_status(rq, 201);
}

bool link_find_locked(struct server *s, const char *token, unsigned port, char sandbox[64])
{
    (void)sweep_locked(s, NULL, NULL);
    for (const struct signed_link *link = s->signed_links; link; link = link->next) {
        if (link->port == port && strcmp(link->token, token) == 0) {
            snprintf(sandbox, 64, "%s", link->sandbox);
            return true;
        }
    }
    return false;
}

void links_free(struct server *s)
{
    while (s->signed_links) {
        struct signed_link *link = s->signed_links;

        s->signed_links = link->next;
        free(link);
    }
}

/* ---- ssh: the answers only, there is no gateway here ---- */

static void put_time(struct json_out *o, const char *key, int64_t ms)
{
    struct buf when = BUF_INIT(64);

    (void)time_write_rfc3339(&when, ms * NS_PER_MS, 0);
    json_key(o, key);
    json_string(o, buf_str(&when));
    buf_done(&when);
}

void api_ssh_create(struct request *rq)
{
    const int64_t minutes = number(request_query(rq, "expiresInMinutes"), 60, 1, 1440 * 365);
    char token[SSH_LEN + 1], command[128];
    char *id = store_make_id();
    struct json_out o;

    if (minutes < 0) {
        reply_api_error(rq, 400, "expiresInMinutes must be a positive number");
        free(id);
        return;
    }
    if (!id || store_make_token(token, SSH_LEN) < 0) {
        free(id);
        return; /* 500 */
    }
    snprintf(command, sizeof(command), "ssh -p 2222 %s@127.0.0.1", token);
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "id");
    json_string(&o, id);
    json_key(&o, "sandboxId");
    json_string(&o, rq->sandbox->id);
    json_key(&o, "token");
    json_string(&o, token);
    put_time(&o, "expiresAt", now_ms() + minutes * 60000);
    put_time(&o, "createdAt", now_ms());
    put_time(&o, "updatedAt", now_ms());
    json_key(&o, "sshCommand");
    json_string(&o, command);
    json_close(&o, '}');
    reply_json_end(rq, &o);
    free(id);
}

void api_ssh_delete(struct request *rq)
{
    api_answer_sandbox(rq, 200);
}

/* Only the gateway may ask. */
void api_ssh_validate(struct request *rq)
{
    reply_api_error(rq, 403, "Invalid authentication context");
}

/* ---- signed links to files ---- */

static int take_signing_key(struct request *rq, bool fresh, char out[KEY_LEN + 1])
{
    struct sandbox *sb = rq->sandbox;
    char *key;
    int r = 0;

    lock_take(&rq->srv->lock);
    if (fresh || !*sb->signing_key) {
        key = malloc(KEY_LEN + 1);
        r = key ? store_make_token(key, KEY_LEN) : -ENOMEM;
        if (r == 0) {
            free(sb->signing_key);
            sb->signing_key = key;
            (void)store_save_locked(rq->srv); /* else it holds as long as the server does */
        } else {
            free(key);
        }
    }
    if (r == 0)
        snprintf(out, KEY_LEN + 1, "%s", sb->signing_key);
    lock_drop(&rq->srv->lock);
    return r;
}

static void answer_key(struct request *rq, bool fresh)
{
    char key[KEY_LEN + 1];
    struct json_out o;

    if (take_signing_key(rq, fresh, key) < 0)
        return; /* 500 */
    o = reply_json(rq, 200);
    json_string(&o, key);
    reply_json_end(rq, &o);
}

void api_signing_key(struct request *rq)
{
    answer_key(rq, false);
}

void api_signing_rotate(struct request *rq)
{
    answer_key(rq, true);
}

int link_sign(const char *key, const char *method, const char *path, const char *expires,
              struct buf *out)
{
    struct buf text = BUF_INIT(16 << 10);
    uint8_t mac[SHA256_BYTES];
    const size_t start = out->len;
    int r;

    r = buf_printf(&text, "v1:files:%s:%s:%s", method, path, expires);
    if (r == 0) {
        hmac_sha256(key, strlen(key), text.data, text.len, mac);
        r = buf_puts(out, "v1_");
    }
    if (r == 0)
        r = base64_encode(out, mac, sizeof(mac));
    for (size_t i = start; r == 0 && i < out->len; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
        else if (out->data[i] == '=')
            buf_truncate(out, i);
    }
    buf_done(&text);
    return r;
}

bool link_allows_locked(const struct request *rq, const struct sandbox *sb)
{
    const char *path = request_query(rq, "path"), *expires = request_query(rq, "expires");
    const char *signature = request_query(rq, "signature");
    struct buf want = BUF_INIT(256);
    int64_t until;
    bool good;

    if (!rq->srv->new_daemon || !rq->route || !(rq->route->flags & ROUTE_SIGNED) || !path ||
        !signature || !*sb->signing_key)
        return false;
    until = number(expires, -1, 0, INT64_MAX / 1000);
    if (until < 0 || (until > 0 && now_ms() >= until * 1000))
        return false;
    good = link_sign(sb->signing_key, rq->method, path, expires, &want) == 0 &&
           request_equal_secret(signature, buf_str(&want));
    buf_done(&want);
    return good;
}
