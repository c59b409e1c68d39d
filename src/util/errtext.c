#include "util/errtext.h"

#include "util/array.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <strings.h>

const char *errtext_name(int err)
{
    const char *name = strerrorname_np(err < 0 ? -err : err);

    return name ? name : "E?";
}

const char *errtext_sentence(int err)
{
    const char *text = strerrordesc_np(err < 0 ? -err : err);

    return text ? text : "Unknown error";
}

int errtext_parse(const char *message)
{
    /* What file system calls answer. busybox and Go use the same words, Go in lower case. */
    static const int known[] = {
        EPERM,        ENOENT,     EINTR,     EIO,     ENXIO,  E2BIG,  EBADF,   EAGAIN,
        ENOMEM,       EACCES,     EBUSY,     EEXIST,  EXDEV,  ENODEV, ENOTDIR, EISDIR,
        EINVAL,       ENFILE,     EMFILE,    ETXTBSY, EFBIG,  ENOSPC, EROFS,   EMLINK,
        ENAMETOOLONG, ENOTEMPTY,  ELOOP,     EDQUOT,  ESTALE, ENOSYS, ERANGE,  EOVERFLOW,
        EILSEQ,       EOPNOTSUPP, ETIMEDOUT, ESRCH,   EPIPE,
    };
    size_t len = strlen(message);

    while (len > 0 && isspace((unsigned char)message[len - 1]))
        len--;
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const char *text = strerrordesc_np(known[i]);
        const size_t n = strlen(text);

        if (n <= len && strncasecmp(message + len - n, text, n) == 0)
            return -known[i];
    }
    return 0;
}
