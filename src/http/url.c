#include "http/url.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

int url_escape(struct buf *out, const char *s)
{
    static const char hex[] = "0123456789ABCDEF";
    static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                     "0123456789-._~";
    const size_t start = out->len;
    int r = 0;

    for (; r == 0 && *s; s++) {
        const unsigned char c = (unsigned char)*s;
        const char code[3] = {'%', hex[c >> 4], hex[c & 15]};

        r = strchr(unreserved, c) ? buf_putc(out, *s) : buf_append(out, code, sizeof(code));
    }
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int url_query(struct buf *url, const char *key, const char *value)
{
    const size_t start = url->len;
    int r;

    if (!value)
        return 0;
    r = buf_putc(url, strchr(buf_str(url), '?') ? '&' : '?');
    if (r == 0)
        r = url_escape(url, key);
    if (r == 0)
        r = buf_putc(url, '=');
    if (r == 0)
        r = url_escape(url, value);
    if (r < 0)
        buf_truncate(url, start);
    return r;
}

/* curl's own parser, so that nothing is judged here by other rules than it is connected to. */
struct url {
    char *scheme, *host, *port, *user;
};

static void url_done(struct url *u)
{
    curl_free(u->scheme);
    curl_free(u->host);
    curl_free(u->port);
    curl_free(u->user);
}

static bool url_parse(struct url *u, const char *url)
{
    CURLU *parsed = curl_url();
    bool ok = false;

    *u = (struct url){0};
    if (!parsed)
        return false;
    if (curl_url_set(parsed, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_SCHEME, &u->scheme, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_HOST, &u->host, 0) != CURLUE_OK ||
        curl_url_get(parsed, CURLUPART_PORT, &u->port, CURLU_DEFAULT_PORT) != CURLUE_OK)
        goto out;
    if (curl_url_get(parsed, CURLUPART_USER, &u->user, 0) == CURLUE_OK)
        goto out;
    ok = u->host[0] != '\0' &&
         (strcasecmp(u->scheme, "http") == 0 || strcasecmp(u->scheme, "https") == 0);
out:
    curl_url_cleanup(parsed);
    if (!ok)
        url_done(u);
    return ok;
}

static bool host_is_loopback(const char *host)
{
    struct in_addr v4;

    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0;
}

bool url_is_valid(const char *url)
{
    struct url u;

    if (!url_parse(&u, url))
        return false;
    url_done(&u);
    return true;
}

bool url_is_loopback(const char *url)
{
    struct url u;
    bool loopback;

    if (!url_parse(&u, url))
        return false;
    loopback = host_is_loopback(u.host);
    url_done(&u);
    return loopback;
}

bool url_is_safe(const char *url)
{
    struct url u;
    bool safe;

    if (!url_parse(&u, url))
        return false;
    safe = strcasecmp(u.scheme, "https") == 0 || host_is_loopback(u.host);
    url_done(&u);
    return safe;
}

bool url_same_origin(const char *a, const char *b)
{
    struct url ua, ub;
    bool same;

    if (!url_parse(&ua, a))
        return false;
    if (!url_parse(&ub, b)) {
        url_done(&ua);
        return false;
    }
    same = strcasecmp(ua.scheme, ub.scheme) == 0 && strcasecmp(ua.host, ub.host) == 0 &&
           strcmp(ua.port, ub.port) == 0;
    url_done(&ua);
    url_done(&ub);
    return same;
}
