/* From a URL to an open WebSocket: curl connects (name, proxy, TLS), the handshake is ours. */
#include "http/websocket_internal.h"

#include "http/url.h"
#include "util/base64.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/random.h"
#include "util/sha1.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char key_suffix[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* RFC 6455, 1.3 */

enum { REQUEST_MAX = 128 << 10 };

/* Host and target of the request line. */
static int add_place(struct buf *out, const char *url)
{
    char *host = NULL, *port = NULL, *path = NULL, *query = NULL;
    CURLU *u = curl_url();
    int r = -ENOMEM;

    if (!u)
        return -ENOMEM;
    if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
        curl_url_get(u, CURLUPART_PATH, &path, 0) != CURLUE_OK) {
        r = -EINVAL;
        goto out;
    }
    (void)curl_url_get(u, CURLUPART_QUERY, &query, 0);
    (void)curl_url_get(u, CURLUPART_PORT, &port, 0);
    r = buf_printf(out, "GET %s%s%s HTTP/1.1\r\nHost: %s%s%s\r\n", path, query ? "?" : "",
                   query ? query : "", host, port ? ":" : "", port ? port : "");
out:
    curl_free(host);
    curl_free(port);
    curl_free(path);
    curl_free(query);
    curl_url_cleanup(u);
    return r;
}

static int write_request(const struct websocket_params *params, const char *user_agent,
                         const char *key, struct buf *out)
{
    int r;

    r = add_place(out, params->url);
    if (r == 0)
        r = buf_printf(out,
                       "User-Agent: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                       "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %s\r\n",
                       user_agent, key);
    for (const char *const *line = params->headers; r == 0 && line && *line; line++)
        r = strpbrk(*line, "\r\n") ? -EINVAL : buf_printf(out, "%s\r\n", *line);
    if (r == 0)
        r = buf_puts(out, "\r\n");
    return r;
}

static int send_all(struct websocket *ws, const char *p, size_t n, int64_t until_ns)
{
    while (n > 0) {
        const ssize_t done = websocket_write(ws, p, n);
        int r = 0;

        if (done == -EAGAIN)
            r = websocket_wait(ws, POLLOUT, until_ns);
        else if (done < 0)
            r = (int)done;
        if (r < 0)
            return r == -EAGAIN ? -ETIMEDOUT : r;
        if (done > 0) {
            p += done;
            n -= (size_t)done;
        }
    }
    return 0;
}

/* Some more of the answer. */
static int read_some(struct websocket *ws, int64_t until_ns)
{
    char chunk[4096];

    for (;;) {
        const ssize_t n = websocket_read(ws, chunk, sizeof(chunk));
        int r;

        if (n > 0)
            return buf_append(&ws->early, chunk, (size_t)n);
        if (n == 0)
            return -ECONNRESET;
        if (n != -EAGAIN)
            return (int)n;
        r = websocket_wait(ws, POLLIN, until_ns);
        if (r < 0)
            return r == -EAGAIN ? -ETIMEDOUT : r;
    }
}

/* Status line and header lines, up to the blank one, which is taken, too. */
static int read_head(struct websocket *ws, int64_t until_ns, struct http_response *response)
{
    const char *end;
    int r = 0;

    while (!(end = ws->early.len ? memmem(ws->early.data, ws->early.len, "\r\n\r\n", 4) : NULL)) {
        if (ws->early.len > HTTP_HEADERS_MAX)
            return -EFBIG;
        r = read_some(ws, until_ns);
        if (r < 0)
            return r;
    }
    if (sscanf(ws->early.data, "HTTP/1.%*1[01] %3d", &response->status) != 1 ||
        response->status < 100)
        return -EPROTO;
    for (const char *line = ws->early.data, *next; r == 0 && line < end; line = next) {
        next = (const char *)memmem(line, (size_t)(end + 2 - line), "\r\n", 2) + 2;
        if (line != ws->early.data)
            r = response_add_header(response, line, (size_t)(next - line));
    }
    buf_consume(&ws->early, (size_t)(end + 4 - ws->early.data));
    return r;
}

/* Why there is no WebSocket. What is cut or too long serves as well. */
static void read_refusal(struct websocket *ws, int64_t until_ns, struct http_response *response)
{
    char text[32];
    size_t len = 0;

    if (!http_response_header(response, "content-length", text, sizeof(text)))
        return;
    len = strtoul(text, NULL, 10);
    if (len > WS_REFUSAL_MAX)
        len = WS_REFUSAL_MAX;
    while (ws->early.len < len && read_some(ws, until_ns) == 0)
        continue;
    if (len > ws->early.len)
        len = ws->early.len;
    response->body.max = WS_REFUSAL_MAX;
    if (len > 0)
        (void)buf_append(&response->body, ws->early.data, len);
}

/* That the peer has understood, and no cache has answered: RFC 6455, 4.1. */
static int check_accept(const struct http_response *response, const char *key)
{
    struct buf wanted = BUF_INIT(64);
    uint8_t sum[SHA1_BYTES];
    char text[128], got[128], upgrade[32];
    int r;

    snprintf(text, sizeof(text), "%s%s", key, key_suffix);
    sha1(text, strlen(text), sum);
    r = base64_encode(&wanted, sum, sizeof(sum));
    if (r == 0 && (!http_response_header(response, "upgrade", upgrade, sizeof(upgrade)) ||
                   strcasecmp(upgrade, "websocket") != 0 ||
                   !http_response_header(response, "sec-websocket-accept", got, sizeof(got)) ||
                   strcmp(got, wanted.data) != 0 ||
                   http_response_header(response, "sec-websocket-extensions", got, sizeof(got))))
        r = -EPROTO;
    buf_done(&wanted);
    return r;
}

static int shake_hands(struct websocket *ws, const struct websocket_params *params,
                       const char *user_agent, struct http_response *response)
{
    const int64_t until_ns = clock_mono_ns() + ws->stall_ns;
    struct buf request = BUF_INIT(REQUEST_MAX), key = BUF_INIT(64);
    uint8_t nonce[16];
    int r;

    r = random_bytes(nonce, sizeof(nonce));
    if (r == 0)
        r = base64_encode(&key, nonce, sizeof(nonce));
    if (r == 0)
        r = write_request(params, user_agent, buf_str(&key), &request);
    if (r == 0)
        r = send_all(ws, request.data, request.len, until_ns);
    if (r == 0)
        r = read_head(ws, until_ns, response);
    if (r == 0 && response->status == 101)
        r = check_accept(response, key.data);
    else if (r == 0)
        read_refusal(ws, until_ns, response);
    if (request.data)
        explicit_bzero(request.data, request.cap); /* holds the credential */
    buf_done(&request);
    buf_done(&key);
    return r;
}

static void wake(void *arg)
{
    curl_multi_wakeup(arg);
}

/* Runs curl until the socket is connected. Its own timeout is the end of it. */
static int run_connect(struct websocket *ws)
{
    struct cancel *cancel = cancel_bound();
    CURLMsg *msg = NULL;
    int running = 1, left, r = 0;

    if (curl_multi_add_handle(ws->multi, ws->easy) != CURLM_OK)
        return -ENOMEM;
    cancel_hook(cancel, wake, ws->multi);
    while (r == 0) {
        if (curl_multi_perform(ws->multi, &running) != CURLM_OK)
            r = -EIO;
        else if (cancel_fired(cancel))
            r = -EINTR;
        else if ((msg = curl_multi_info_read(ws->multi, &left)))
            break;
        else
            curl_multi_poll(ws->multi, NULL, 0, 1000, NULL);
    }
    cancel_unhook(cancel);
    if (r == 0 && msg->data.result != CURLE_OK)
        r = endpoint_errno(ws->easy, msg->data.result);
    if (r == 0 && (curl_easy_getinfo(ws->easy, CURLINFO_ACTIVESOCKET, &ws->fd) != CURLE_OK ||
                   ws->fd == CURL_SOCKET_BAD))
        r = -ECONNRESET;
    return r;
}

static int connect_to(struct websocket *ws, const char *url, int64_t connect_timeout_ns, char *why)
{
    int r;

    ws->multi = curl_multi_init();
    ws->easy = curl_easy_init();
    if (!ws->multi || !ws->easy)
        return -ENOMEM;
    r = endpoint_set(ws->easy, url, connect_timeout_ns);
    if (r < 0)
        return r;
    curl_easy_setopt(ws->easy, CURLOPT_ERRORBUFFER, why);
    curl_easy_setopt(ws->easy, CURLOPT_CONNECT_ONLY, 1L);
    curl_easy_setopt(ws->easy, CURLOPT_HTTPPROXYTUNNEL, 1L);
    curl_easy_setopt(ws->easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1); /* else h2 */
    r = run_connect(ws);
    curl_easy_setopt(ws->easy, CURLOPT_ERRORBUFFER, NULL);
    return r;
}

static void observe(const struct http_config *config, const struct websocket_params *params,
                    int status, int err, int64_t start_ns)
{
    if (config->observe)
        config->observe(config->observe_arg, &(struct http_attempt){
                                                 .name = params->name,
                                                 .method = "GET",
                                                 .url = params->url,
                                                 .status = status,
                                                 .err = err,
                                                 .attempt = 1,
                                                 .duration_ns = clock_mono_ns() - start_ns,
                                             });
}

int websocket_connect(struct http *h, const struct websocket_params *params,
                      struct http_response *response, struct websocket **ret)
{
    const struct http_config *config = http_config_of(h);
    const int64_t start_ns = clock_mono_ns();
    struct http_response answer = {.attempts = 1, .headers = BUF_INIT(HTTP_HEADERS_MAX)};
    char why[CURL_ERROR_SIZE] = "";
    struct websocket *ws = NULL;
    int r;

    if (!url_is_valid(params->url))
        return -EINVAL;
    if (cancel_fired(cancel_bound()))
        return -EINTR;
    r = websocket_new(params, config, &ws);
    if (r == 0)
        r = connect_to(ws, params->url, config->connect_timeout_ns, why);
    if (r == 0)
        r = shake_hands(ws, params, config->user_agent, &answer);
    if (r == 0 && answer.status == 101)
        r = websocket_begin(ws);
    observe(config, params, answer.status, r, start_ns);
    if (r < 0 && params->error)
        snprintf(params->error, HTTP_ERROR_MAX, "%s", why[0] ? why : errtext_sentence(r));
    if (r < 0 || answer.status != 101)
        ws = websocket_free(ws);
    if (r < 0) {
        http_response_done(&answer);
        return r;
    }
    *ret = ws;
    *response = answer;
    return 0;
}
