/*
 * Many files in one multipart answer: a part for each path, in order, named "file" or "error".
 * A failure in the middle of a file ends the answer without its last boundary.
 */
#include "sdk/call.h"
#include "sdk/error.h"

#include "http/multipart.h"
#include "util/errtext.h"
#include "wire/error.h"
#include "wire/file.h"

#include <daytona/files.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PATHS_BODY_MAX = 16 << 20, ERROR_PART_MAX = 16 << 10 };

struct many {
    const struct daytona_download_many_ops *ops; /* borrowed */
    void *arg;
    size_t count;
    struct multipart *parser; /* owned; of the attempt under way */
    size_t next;              /* parts so far */
    bool is_error;            /* the part under way says why there is no file */
    struct buf error;
};

static int error_of(const struct buf *body)
{
    static const struct {
        const char *code;
        int err;
    } codes[] = {
        {"FILE_NOT_FOUND", -ENOENT},
        {"FILE_ACCESS_DENIED", -EACCES},
        {"INVALID_FILE_PATH", -EINVAL},
    };
    struct wire_error e;
    int r;

    if (wire_error_read(buf_str(body), body->len, &e) < 0) { /* before 0.163: just a message */
        if (strstr(buf_str(body), "not found"))
            return -ENOENT;
        r = errtext_parse(buf_str(body));
        return r < 0 ? r : -EIO;
    }
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
        if (strcmp(e.code, codes[i].code) == 0)
            return codes[i].err;
    }
    r = errtext_parse(e.message);
    return r < 0 ? r : -EIO;
}

static int part_begin(void *arg, const struct multipart_part *part)
{
    struct many *m = arg;
    uint64_t size = UINT64_MAX;

    if (m->next >= m->count)
        return -EPROTO; /* more than was asked for */
    m->is_error = strcmp(part->name, "error") == 0;
    buf_truncate(&m->error, 0);
    if (m->is_error)
        return 0;
    if (strcmp(part->name, "file") != 0)
        return -EPROTO;
    if (part->content_length >= 0)
        size = (uint64_t)part->content_length;
    return m->ops->begin(m->arg, m->next, 0, size);
}

static int part_data(void *arg, uint64_t off, const void *p, size_t n)
{
    struct many *m = arg;

    if (!m->is_error)
        return m->ops->data(m->arg, m->next, off, p, n);
    if (n > ERROR_PART_MAX - m->error.len)
        return -EPROTO;
    return buf_append(&m->error, p, n);
}

static int part_end(void *arg)
{
    struct many *m = arg;
    const size_t i = m->next++;

    if (m->is_error)
        return m->ops->begin(m->arg, i, error_of(&m->error), UINT64_MAX);
    return m->ops->end(m->arg, i);
}

static const struct multipart_ops part_ops = {
    .begin = part_begin,
    .data = part_data,
    .end = part_end,
};

/* In each attempt: what an earlier one brought is forgotten. */
static int take_head(void *arg, const struct http_response *response)
{
    struct many *m = arg;
    char type[256];

    m->parser = multipart_free(m->parser);
    m->next = 0;
    if (!http_response_header(response, "content-type", type, sizeof(type)))
        return -EPROTO;
    return multipart_new(type, &part_ops, m, &m->parser);
}

static int take_bytes(void *arg, uint64_t off, const void *p, size_t n)
{
    struct many *m = arg;

    return multipart_feed(m->parser, p, n);
}

int daytona_files_download_many(struct daytona_sandbox *sb, const char *const *paths, size_t count,
                                const struct daytona_download_many_ops *ops, void *arg)
{
    struct many m = {.ops = ops, .arg = arg, .count = count, .error = BUF_INIT(ERROR_PART_MAX)};
    struct buf body = BUF_INIT(PATHS_BODY_MAX);
    struct http_response response;
    struct call call = {
        .name = "downloadFiles",
        .method = "POST",
        .path = "/files/bulk-download",
        .flags = HTTP_IDEMPOTENT, /* it only reads */
        .head = take_head,
        .sink = take_bytes,
        .sink_arg = &m,
    };
    int r;

    error_begin("downloadFiles");
    if (count == 0)
        return 0;
    r = wire_paths_write(&body, paths, count);
    if (r < 0) {
        r = error_set(r == -EILSEQ ? -EINVAL : r, "the paths: %s", errtext_sentence(r));
        goto out;
    }
    call.json = body.data;
    call.json_len = body.len;
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        goto out;
    r = m.parser && m.next == count ? multipart_finish(m.parser) : -EPROTO;
    if (r < 0) {
        error_now()->http_status = response.status;
        error_set(r, "the answer was cut after %zu of %zu files", m.next, count);
    }
    http_response_done(&response);
out:
    multipart_free(m.parser);
    buf_done(&m.error);
    buf_done(&body);
    return r;
}
