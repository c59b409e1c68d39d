#include "sdk/sign.h"

#include "util/base64.h"
#include "util/sha256.h"

#include <errno.h>
#include <string.h>

/* base64 as it stands in URLs: two letters differ, and no padding. */
static int put_base64url(struct buf *out, const void *p, size_t n)
{
    const size_t start = out->len;
    int r;

    r = base64_encode(out, p, n);
    if (r < 0)
        return r;
    while (out->len > start && out->data[out->len - 1] == '=')
        buf_truncate(out, out->len - 1);
    for (size_t i = start; i < out->len; i++) {
        if (out->data[i] == '+')
            out->data[i] = '-';
        else if (out->data[i] == '/')
            out->data[i] = '_';
    }
    return 0;
}

int sign_file_url(const char *key, const char *method, const char *path, int64_t expires_s,
                  struct buf *out)
{
    struct buf text = BUF_INIT(64 << 10);
    uint8_t sum[SHA256_BYTES];
    int r;

    r = buf_printf(&text, "v1:files:%s:%s:%lld", method, path, (long long)expires_s);
    if (r == 0)
        r = buf_puts(out, "v1_");
    if (r == 0) {
        hmac_sha256(key, strlen(key), text.data, text.len, sum);
        r = put_base64url(out, sum, sizeof(sum));
    }
    buf_done(&text);
    return r;
}
