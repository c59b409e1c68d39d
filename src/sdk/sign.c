#include "sdk/sign.h"

#include "util/base64.h"
#include "util/sha256.h"

#include <errno.h>
#include <string.h>

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
        r = base64url_encode(out, sum, sizeof(sum));
    }
    buf_done(&text);
    return r;
}
