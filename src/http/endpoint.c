/* What a request and a WebSocket have in common: how a connection is made and why one fails. */
#include "http/http_internal.h"

#include "http/url.h"
#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int error_of_code(CURLcode code)
{
    static const struct {
        CURLcode code;
        int err;
    } rows[] = {
        {CURLE_URL_MALFORMAT, -EINVAL},
        {CURLE_COULDNT_RESOLVE_PROXY, -EHOSTUNREACH},
        {CURLE_COULDNT_RESOLVE_HOST, -EHOSTUNREACH},
        {CURLE_COULDNT_CONNECT, -ECONNREFUSED},
        {CURLE_PROXY, -ECONNREFUSED},
        {CURLE_OPERATION_TIMEDOUT, -ETIMEDOUT},
        {CURLE_PARTIAL_FILE, -ECONNRESET},
        {CURLE_GOT_NOTHING, -ECONNRESET},
        {CURLE_SEND_ERROR, -ECONNRESET},
        {CURLE_RECV_ERROR, -ECONNRESET},
        {CURLE_SEND_FAIL_REWIND, -ECONNRESET},
        {CURLE_HTTP2, -ECONNRESET},
        {CURLE_HTTP2_STREAM, -ECONNRESET},
        {CURLE_UNSUPPORTED_PROTOCOL, -EPROTO}, /* HTTP/0.9, that is: no HTTP */
        {CURLE_WEIRD_SERVER_REPLY, -EPROTO},
        {CURLE_BAD_CONTENT_ENCODING, -EPROTO},
        {CURLE_SSL_CONNECT_ERROR, -EPROTO},
        {CURLE_SSL_CERTPROBLEM, -EPROTO},
        {CURLE_SSL_CIPHER, -EPROTO},
        {CURLE_PEER_FAILED_VERIFICATION, -EPROTO},
        {CURLE_SSL_CACERT_BADFILE, -EPROTO},
        {CURLE_SSL_ISSUER_ERROR, -EPROTO},
        {CURLE_SSL_INVALIDCERTSTATUS, -EPROTO},
        {CURLE_FILESIZE_EXCEEDED, -EFBIG},
        {CURLE_OUT_OF_MEMORY, -ENOMEM},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].code == code)
            return rows[i].err;
    }
    return -EIO;
}

int endpoint_errno(CURL *easy, CURLcode code)
{
    long os = 0;

    if (code == CURLE_COULDNT_CONNECT) {
        curl_easy_getinfo(easy, CURLINFO_OS_ERRNO, &os);
        if (os == ENETUNREACH || os == EHOSTUNREACH)
            return -EHOSTUNREACH;
        if (os == ETIMEDOUT)
            return -ETIMEDOUT;
    }
    return error_of_code(code);
}

/*
 * A peer that is gone is found within a minute, whether or not anything is under way. Keeping
 * little unsent data in the kernel makes "bytes sent" mean sent: progress can be seen.
 */
static int on_socket(void *arg, curl_socket_t fd, curlsocktype purpose)
{
    static const struct {
        int level, name, value;
    } rows[] = {
        {SOL_SOCKET, SO_KEEPALIVE, 1},          {IPPROTO_TCP, TCP_KEEPIDLE, 20},
        {IPPROTO_TCP, TCP_KEEPINTVL, 10},       {IPPROTO_TCP, TCP_KEEPCNT, 4},
        {IPPROTO_TCP, TCP_USER_TIMEOUT, 60000}, {IPPROTO_TCP, TCP_NOTSENT_LOWAT, 128 << 10},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) /* refusals only make it slower to notice */
        (void)setsockopt(fd, rows[i].level, rows[i].name, &rows[i].value, sizeof(rows[i].value));
    return CURL_SOCKOPT_OK;
}

int endpoint_set(CURL *e, const char *url, int64_t connect_timeout_ns)
{
    if (curl_easy_setopt(e, CURLOPT_URL, url) != CURLE_OK)
        return -ENOMEM;
#if LIBCURL_VERSION_NUM >= 0x075500
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
#else
    curl_easy_setopt(e, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
#if LIBCURL_VERSION_NUM >= 0x075700
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L); /* a slow name server must not hold up an end */
#endif
    if (url_is_loopback(url))
        curl_easy_setopt(e, CURLOPT_PROXY, ""); /* nor one from the environment */
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)((connect_timeout_ns + NS_PER_MS - 1) / NS_PER_MS));
    curl_easy_setopt(e, CURLOPT_SOCKOPTFUNCTION, on_socket);
    return 0;
}
