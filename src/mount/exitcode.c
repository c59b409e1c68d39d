#include "mount/exitcode.h"

#include "util/array.h"
#include "util/errtext.h"

#include <errno.h>
#include <string.h>

/*
 * One row is one failure: how the program ends, and what the user can do. The first row that fits
 * is taken. %s is the sandbox or the URL, where the row says so.
 */
enum about { ABOUT_NOTHING, ABOUT_SANDBOX, ABOUT_URL };

struct row {
    int err;
    int http_status; /* 0: any */
    bool auth;       /* only if the credential was refused */
    enum exitcode code;
    enum about about;
    const char *text; /* NULL: errno's own sentence */
    bool alone;       /* it says all there is: what the SDK adds would repeat it */
};

/* clang-format off */
static const struct row rows[] = {
    {-ENOKEY, 0, false, EXITCODE_AUTH, ABOUT_NOTHING,
     "no credentials: set DAYTONA_API_KEY, or name a file with -o credentials=FILE", true},
    {-EACCES, 401, false, EXITCODE_AUTH, ABOUT_URL,
     "the key was refused by %s: check DAYTONA_API_KEY or credentials=, and api_url=", false},
    {-EACCES, 0, true, EXITCODE_AUTH, ABOUT_URL,
     "the key was refused by %s: check DAYTONA_API_KEY or credentials=, and api_url=", false},
    {-EACCES, 403, false, EXITCODE_AUTH, ABOUT_URL,
     "the key may not do this at %s: check its permissions and organization", false},
    {-EACCES, 0, false, EXITCODE_AUTH, ABOUT_NOTHING, NULL, false},
    {-EPERM, 0, false, EXITCODE_OTHER, ABOUT_NOTHING, NULL, false},
    {-ENOENT, 404, false, EXITCODE_NOT_FOUND, ABOUT_SANDBOX,
     "no sandbox '%s' is known: `daytonafs sandbox list` shows what there is", false},
    {-ENOENT, 0, false, EXITCODE_NOT_FOUND, ABOUT_NOTHING, NULL, false},
    {-EEXIST, 0, false, EXITCODE_CONFLICT, ABOUT_NOTHING, NULL, false},
    {-EBUSY, 0, false, EXITCODE_CONFLICT, ABOUT_SANDBOX,
     "sandbox '%s' is busy changing its state: try again in a moment", false},
    {-EHOSTDOWN, 0, false, EXITCODE_NOT_RUNNING, ABOUT_SANDBOX,
     "sandbox '%s' is not running: `daytonafs sandbox start` starts it", false},
    {-ETIMEDOUT, 0, false, EXITCODE_TIMEOUT, ABOUT_URL,
     "%s did not answer in time: check the network, then try again", false},
    {-ECONNREFUSED, 0, false, EXITCODE_TRANSIENT, ABOUT_URL,
     "%s cannot be reached (connection refused): check DAYTONA_API_URL or api_url=", true},
    {-EHOSTUNREACH, 0, false, EXITCODE_TRANSIENT, ABOUT_URL,
     "%s cannot be reached: check DAYTONA_API_URL or api_url=, and the network", false},
    {-ENETUNREACH, 0, false, EXITCODE_TRANSIENT, ABOUT_URL,
     "%s cannot be reached: check the network", false},
    {-ECONNRESET, 0, false, EXITCODE_TRANSIENT, ABOUT_URL,
     "the connection to %s broke: try again", false},
    {-EAGAIN, 0, false, EXITCODE_TRANSIENT, ABOUT_URL,
     "%s asks for fewer requests: try again in a minute", false},
    {-EPROTO, 0, false, EXITCODE_OTHER, ABOUT_URL,
     "the answer from %s is not Daytona's: check DAYTONA_API_URL or api_url=", false},
    {-EINTR, 0, false, EXITCODE_OTHER, ABOUT_NOTHING, "interrupted", false},
    {-ECANCELED, 0, false, EXITCODE_OTHER, ABOUT_NOTHING, "interrupted", false},
};
/* clang-format on */

static const struct row *find(int err, const struct daytona_error *detail)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct row *row = &rows[i];

        if (row->err != err)
            continue;
        if (row->http_status != 0 && (!detail || detail->http_status != row->http_status))
            continue;
        if (row->auth && (!detail || !detail->auth))
            continue;
        return row;
    }
    return NULL;
}

/* The detail of another failure says nothing about this one. */
static const struct daytona_error *fitting(int err, const struct daytona_error *detail)
{
    return detail && detail->err == err ? detail : NULL;
}

enum exitcode exitcode_of(int err, const struct daytona_error *detail)
{
    const struct row *row;

    if (err >= 0)
        return EXITCODE_OK;
    row = find(err, fitting(err, detail));
    return row ? row->code : EXITCODE_OTHER;
}

static const char *name_of(const struct row *row, const struct exitcode_context *context)
{
    const char *name = NULL;

    if (context && row->about == ABOUT_SANDBOX)
        name = context->sandbox;
    else if (context && row->about == ABOUT_URL)
        name = context->api_url;
    if (name)
        return name;
    return row->about == ABOUT_URL ? "the Daytona API" : "?";
}

static int print_text(struct buf *out, const struct row *row, const char *name)
{
    const char *mark = strstr(row->text, "%s");

    if (!mark || row->about == ABOUT_NOTHING)
        return buf_puts(out, row->text);
    return buf_printf(out, "%.*s%s%s", (int)(mark - row->text), row->text, name, mark + 2);
}

/* What a server says is shown, but it may not move the cursor or start a second line. */
static int print_clean(struct buf *out, const char *text)
{
    int r = 0;

    for (; r == 0 && *text; text++)
        r = buf_putc(out, (unsigned char)*text < ' ' || *text == 127 ? ' ' : *text);
    return r;
}

int exitcode_explain(struct buf *out, int err, const struct daytona_error *detail,
                     const struct exitcode_context *context)
{
    const struct row *row;
    int r;

    detail = fitting(err, detail);
    row = find(err, detail);
    if (row && row->text)
        r = print_text(out, row, name_of(row, context));
    else
        r = buf_puts(out, errtext_sentence(err));
    if (r == 0 && detail && detail->message[0] && !(row && row->alone)) {
        r = buf_puts(out, " (");
        if (r == 0)
            r = print_clean(out, detail->message);
        if (r == 0)
            r = buf_putc(out, ')');
    }
    return r;
}
