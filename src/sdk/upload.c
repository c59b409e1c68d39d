/* Contents sent to the sandbox. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/errtext.h"
#include "wire/file.h"

#include <daytona/files.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { UPLOADS_MAX = 10000, ANSWER_MAX = 16 << 20 };

static struct http_part content_part(const struct daytona_upload *u, const char *name,
                                     const char *filename)
{
    return (struct http_part){
        .name = name,
        .filename = filename,
        .data = u->data,
        .len = u->data ? (size_t)u->len : 0,
        .fd = u->fd,
        .off = u->off,
        .len64 = u->len,
        .read = u->read,
        .read_arg = u->read_arg,
    };
}

static const char *activity_header(const struct daytona_upload *u)
{
    return u->background ? CALL_BACKGROUND : NULL;
}

static int upload_to(struct daytona_sandbox *sb, const char *path, const struct daytona_upload *u)
{
    const struct http_part part = content_part(u, "file", "file");
    const struct call call = {
        .name = "uploadFile",
        .method = "POST",
        .path = path,
        .query = {{"path", u->path}},
        .flags = HTTP_IDEMPOTENT, /* the same bytes again make the same file */
        .parts = &part,
        .part_count = 1,
        .header = activity_header(u),
    };
    struct http_response response;
    const int r = call_toolbox(sb, &call, &response);

    if (r == 0)
        http_response_done(&response);
    return r;
}

int daytona_files_upload(struct daytona_sandbox *sb, const struct daytona_upload *u)
{
    int r = -EOPNOTSUPP;

    error_begin("uploadFile");
    if (!atomic_load(&sb->upload_v2))
        r = upload_to(sb, "/files/upload", u);
    if (r != -EOPNOTSUPP)
        return r;
    error_begin("uploadFile"); /* a daemon that only has the newer form */
    r = upload_to(sb, "/files/upload-v2", u);
    if (r == 0)
        atomic_store(&sb->upload_v2, true);
    return r;
}

/*
 * The service trims what Go's unicode.IsSpace takes for a blank from both ends of a path: the file
 * would get another name.
 */
static const char *const trimmed[] = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
    "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
    "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
    "\xe3\x80\x80",
};

static bool survives_trimming(const char *path)
{
    const size_t len = strlen(path);

    for (size_t i = 0; i < ARRAY_LEN(trimmed); i++) {
        const size_t n = strlen(trimmed[i]);

        if (len >= n &&
            (memcmp(path, trimmed[i], n) == 0 || memcmp(path + len - n, trimmed[i], n) == 0))
            return false;
    }
    return len > 0;
}

static int check_uploads(const struct daytona_upload *uploads, size_t count)
{
    if (count > UPLOADS_MAX)
        return error_set(-EINVAL, "more than %d files at once", UPLOADS_MAX);
    for (size_t i = 0; i < count; i++) {
        if (!survives_trimming(uploads[i].path))
            return error_set(-EINVAL, "the service would cut the blanks off \"%s\"",
                             uploads[i].path);
    }
    return 0;
}

/* names holds the parts' names. */
static int make_parts(const struct daytona_upload *uploads, size_t count, struct buf *names,
                      struct http_part **ret)
{
    enum { NAME_MAX_LEN = 40 };
    struct http_part *parts = calloc(count * 2 + 1, sizeof(*parts));

    if (!parts || buf_reserve(names, count * 2 * NAME_MAX_LEN + 1) < 0) {
        free(parts);
        return -ENOMEM;
    }
    for (size_t i = 0; i < count; i++) {
        char *path_name = names->data + i * 2 * NAME_MAX_LEN;
        char *file_name = path_name + NAME_MAX_LEN;

        snprintf(path_name, NAME_MAX_LEN, "files[%zu].path", i);
        snprintf(file_name, NAME_MAX_LEN, "files[%zu].file", i);
        parts[i * 2] = (struct http_part){
            .name = path_name, .data = uploads[i].path, .len = strlen(uploads[i].path)};
        parts[i * 2 + 1] = content_part(&uploads[i], file_name, NULL);
    }
    *ret = parts;
    return 0;
}

/* What became of each file. */
struct outcome {
    const struct daytona_upload *uploads; /* borrowed */
    size_t count;
    char **names; /* owned: the paths as they come back in JSON */
    int *errs;    /* owned */
};

static void outcome_done(struct outcome *o)
{
    for (size_t i = 0; i < o->count && o->names; i++)
        free(o->names[i]);
    free(o->names);
    free(o->errs);
}

static int outcome_init(struct outcome *o, const struct daytona_upload *uploads, size_t count)
{
    *o = (struct outcome){.uploads = uploads, .count = count};
    o->names = calloc(count + 1, sizeof(*o->names));
    o->errs = calloc(count + 1, sizeof(*o->errs));
    if (!o->names || !o->errs)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        struct buf name = BUF_INIT(64 << 10);
        const int r = json_to_utf8(&name, uploads[i].path, strlen(uploads[i].path));

        if (r < 0) {
            buf_done(&name);
            return r;
        }
        o->names[i] = buf_take(&name);
        if (!o->names[i])
            return -ENOMEM;
    }
    return 0;
}

static void outcome_fill(struct outcome *o, int err)
{
    for (size_t i = 0; i < o->count; i++)
        o->errs[i] = err;
}

/* The upload that an error speaks of ("PATH: create: …"), the longest path that fits; else -1. */
static ssize_t find_upload(const struct outcome *o, const char *error)
{
    ssize_t best = o->count == 1 ? 0 : -1;
    size_t best_len = 0;

    for (size_t i = 0; i < o->count; i++) {
        const size_t len = strlen(o->names[i]);

        if (strncmp(error, o->names[i], len) == 0 && error[len] == ':' && len > best_len) {
            best = (ssize_t)i;
            best_len = len;
        }
    }
    return best;
}

/* Files come back in the order in which they were sent, so *from, the last hit, is a good start. */
static bool was_written(const struct outcome *o, size_t i, const struct wire_uploaded *u,
                        size_t *from)
{
    for (size_t k = 0; k < u->count; k++) {
        const struct wire_uploaded_file *file = &u->files[(*from + k) % u->count];

        if (strcmp(file->path, o->names[i]) == 0) {
            *from = (*from + k + 1) % u->count;
            return file->bytes == o->uploads[i].len;
        }
    }
    return false;
}

static void judge(struct outcome *o, const struct wire_uploaded *u)
{
    size_t from = 0;

    for (size_t i = 0; i < o->count; i++)
        o->errs[i] = was_written(o, i, u, &from) ? 0 : -EIO;
    for (size_t i = 0; i < u->errors.count; i++) {
        const ssize_t n = find_upload(o, u->errors.list[i]);
        const int r = errtext_parse(u->errors.list[i]);

        if (n >= 0)
            o->errs[n] = r < 0 ? r : -EIO;
    }
}

static int first_failure(const struct outcome *o, const struct wire_uploaded *u, int status)
{
    for (size_t i = 0; i < o->count; i++) {
        if (o->errs[i] == 0)
            continue;
        error_now()->http_status = status;
        if (u->errors.count > 0)
            return error_set(o->errs[i], "%s", u->errors.list[0]);
        return error_set(o->errs[i], "%s: not all of it was written", o->uploads[i].path);
    }
    return 0;
}

static int take_answer(struct daytona_sandbox *sb, const struct call *call,
                       const struct http_response *response, struct outcome *o)
{
    struct wire_uploaded u = {0};
    int r;

    if (response->status != 400 && response->body.len == 0) { /* before 0.176 */
        outcome_fill(o, 0);
        return 0;
    }
    r = wire_uploaded_read(buf_str(&response->body), response->body.len, &u);
    if (r == 0 && (u.count > o->count || u.errors.count > 2 * o->count + 1))
        r = -EPROTO; /* more than was sent */
    if (response->status == 400 && (r < 0 || u.errors.count == 0)) {
        r = call_refused(sb, call, response); /* not the upload's own 400 */
    } else if (r < 0) {
        call_garbled(r, response);
    } else {
        judge(o, &u);
        r = first_failure(o, &u, response->status);
    }
    wire_uploaded_done(&u);
    return r;
}

static int send_all(struct daytona_sandbox *sb, const struct http_part *parts, struct outcome *o)
{
    const struct call call = {
        .name = "uploadFiles",
        .method = "POST",
        .path = "/files/bulk-upload",
        .flags = HTTP_IDEMPOTENT,
        .parts = parts,
        .part_count = o->count * 2,
        .accept = 400,
        .header = activity_header(o->uploads),
        .body_max = ANSWER_MAX,
    };
    struct http_response response;
    int r;

    r = call_toolbox(sb, &call, &response);
    outcome_fill(o, r < 0 ? r : -EIO); /* until the answer says otherwise */
    if (r < 0)
        return r;
    r = take_answer(sb, &call, &response, o);
    http_response_done(&response);
    return r;
}

int daytona_files_upload_many(struct daytona_sandbox *sb, const struct daytona_upload *uploads,
                              size_t count, int *errs)
{
    struct buf names = BUF_INIT(1 << 20);
    struct http_part *parts = NULL;
    struct outcome o = {0};
    int r;

    error_begin("uploadFiles");
    r = check_uploads(uploads, count);
    if (r < 0 || count == 0)
        goto out;
    r = outcome_init(&o, uploads, count);
    if (r == 0)
        r = make_parts(uploads, count, &names, &parts);
    if (r == 0)
        r = send_all(sb, parts, &o);
    error_default(r);
out:
    for (size_t i = 0; errs && i < count; i++)
        errs[i] = parts ? o.errs[i] : r;
    outcome_done(&o);
    free(parts);
    buf_done(&names);
    return r;
}
