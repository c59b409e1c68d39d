#include "sdk/error.h"

#include "util/errtext.h"
#include "wire/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static __thread struct daytona_error last;

const struct daytona_error *daytona_last_error(void)
{
    return &last;
}

struct daytona_error *error_now(void)
{
    return &last;
}

void error_begin(const char *call)
{
    last = (struct daytona_error){0};
    snprintf(last.call, sizeof(last.call), "%s", call);
}

int error_set(int err, const char *fmt, ...)
{
    char text[1024];
    va_list ap;

    last.err = err;
    if (!fmt)
        return err;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    wire_copy_line(last.message, sizeof(last.message), text);
    return err;
}

int error_default(int err)
{
    if (err < 0 && last.err != err)
        return error_set(err, "%s", errtext_sentence(err));
    return err;
}

static void scrub(char *at, const char *secret, size_t len)
{
    while ((at = strstr(at, secret))) {
        memmove(at + 3, at + len, strlen(at + len) + 1);
        memcpy(at, "***", 3);
        at += 3;
    }
}

void error_scrub(const char *secret)
{
    const size_t len = secret ? strlen(secret) : 0;

    if (len < 4) /* too short to be a key, and it would eat ordinary words */
        return;
    scrub(last.message, secret, len);
    scrub(last.code, secret, len);
}
