/*
 * upload.c - upload, upload-v2 and bulk-upload.
 *
 * The single ones have every byte in a temporary file before they touch the target. The bulk one
 * writes as bytes arrive: who looks meanwhile sees a part, and a connection that breaks leaves it.
 */
#include "server/server_internal.h"

#include "util/io.h"
#include "util/path.h"
#include "wire/file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { FILES_MAX = 100000, KEY_MAX = 256, PARSE_BUFFER = 64 << 10 };

struct upload {
    struct MHD_PostProcessor *pp; /* NULL: raw body */
    bool bad;                     /* not understood, or cut */
    int err;                      /* of writing the temporary file */
    int fd;                       /* temporary file, or the file being written; -1 */

    bool has_file; /* single: the part came */
    bool key_seen;

    /* bulk: the part that is being taken */
    char key[KEY_MAX];
    bool in_part, is_path;
    struct buf path;       /* of the pair */
    char path_of[KEY_MAX]; /* the index it was given for */
    bool failed;           /* this file: an error was noted */
    uint64_t bytes;
    struct wire_uploaded done;
};

static int open_temp(const struct server *s)
{
    char path[4096];
    int fd;

    fd = open(s->state_dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    if (snprintf(path, sizeof(path), "%s/upload-XXXXXX", s->state_dir) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd < 0)
        return -errno;
    (void)unlink(path);
    return fd;
}

static struct upload *upload_new(struct request *rq, MHD_PostDataIterator take)
{
    struct upload *u = calloc(1, sizeof(*u));

    if (!u) {
        reply_status(rq, 500);
        return NULL;
    }
    u->fd = -1;
    buf_init(&u->path, 64 << 10);
    rq->upload = u;
    if (take) {
        u->pp = MHD_create_post_processor(rq->conn, PARSE_BUFFER, take, rq);
        u->bad = !u->pp;
    }
    return u;
}

static bool is_multipart(const struct request *rq)
{
    const char *type = request_header(rq, "Content-Type");

    return type && strncasecmp(type, "multipart/form-data", strlen("multipart/form-data")) == 0;
}

/* ---- one file ---- */

static enum MHD_Result take_single(void *arg, enum MHD_ValueKind kind, const char *key,
                                   const char *filename, const char *type, const char *encoding,
                                   const char *data, uint64_t off, size_t n)
{
    struct request *rq = arg;
    struct upload *u = rq->upload;

    if (!key || strcmp(key, "file") != 0 || !filename)
        return MHD_YES; /* other fields are nobody's */
    u->has_file = true;
    if (u->err == 0 && n > 0)
        u->err = io_write(u->fd, data, n);
    return MHD_YES;
}

static void begin_single(struct request *rq, bool raw_allowed)
{
    const bool multipart = is_multipart(rq);
    struct upload *u;

    u = upload_new(rq, multipart || !raw_allowed ? take_single : NULL);
    if (!u)
        return;
    if (!multipart && raw_allowed)
        u->has_file = true;
    else if (!multipart)
        u->bad = true;
    u->fd = open_temp(rq->srv);
    if (u->fd < 0)
        u->err = u->fd;
}

void files_upload_begin(struct request *rq)
{
    begin_single(rq, false);
}

void files_upload_v2_begin(struct request *rq)
{
    begin_single(rq, true);
}

void upload_feed(struct request *rq, const char *p, size_t n)
{
    struct upload *u = rq->upload;

    if (u->bad)
        return;
    if (!u->pp) {
        if (u->err == 0)
            u->err = io_write(u->fd, p, n);
    } else if (MHD_post_process(u->pp, p, n) != MHD_YES) {
        u->bad = true;
    }
}

/* False when the parts did not end as they should. */
static bool end_parts(struct upload *u)
{
    if (u->pp) {
        if (MHD_destroy_post_processor(u->pp) != MHD_YES)
            u->bad = true;
        u->pp = NULL;
    }
    return !u->bad;
}

static int make_parents(struct request *rq, const char *path, mode_t mode)
{
    char *absolute = view_absolute(rq, path), *parent = absolute ? path_dir(absolute) : NULL;
    const int r = parent ? view_make_dirs(rq, parent, mode) : -ENOMEM;

    free(parent);
    free(absolute);
    return r;
}

/* Into the same inode, if there is one. Pipes and devices would make it wait, or worse. */
static int open_target(struct request *rq, const char *path)
{
    struct stat st;
    int r;

    r = view_stat(rq, path, &st);
    if (r == 0 && !S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EOPNOTSUPP;
    return view_open(rq, path, O_WRONLY | O_CREAT | O_TRUNC | O_NONBLOCK, 0666);
}

static int copy_into(struct request *rq, int from, const char *path)
{
    int to, r;

    r = make_parents(rq, path, 0750);
    if (r < 0)
        return r;
    to = open_target(rq, path);
    if (to < 0)
        return to;
    r = lseek(from, 0, SEEK_SET) < 0 ? -errno : io_copy(from, to);
    if (close(to) < 0 && r == 0)
        r = -errno;
    return r;
}

static int finish_single(struct request *rq, const char *path)
{
    struct upload *u = rq->upload;

    if (!end_parts(u) || !u->has_file || !path || !*path)
        return -EINVAL;
    if (u->err < 0)
        return u->err;
    return copy_into(rq, u->fd, path);
}

void files_upload(struct request *rq)
{
    const int r = finish_single(rq, request_query(rq, "path"));

    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_status(rq, 200);
}

void files_upload_v2(struct request *rq)
{
    const char *path = request_query(rq, "path");
    const int r = finish_single(rq, path);
    struct json_out o;

    if (r < 0) {
        reply_file_error(rq, r, false);
        return;
    }
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "name");
    json_string(&o, path_base(path));
    json_key(&o, "path");
    json_string(&o, path);
    json_key(&o, "type");
    json_string(&o, "file");
    json_close(&o, '}');
    reply_json_end(rq, &o);
}

/* ---- many files ---- */

static void note_error(struct upload *u, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
static void note_error(struct upload *u, const char *fmt, ...)
{
    struct json_strings *e = &u->done.errors;
    char *text = NULL, **bigger;
    va_list ap;

    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        text = NULL;
    va_end(ap);
    bigger =
        text && e->count < FILES_MAX ? realloc(e->list, (e->count + 1) * sizeof(*e->list)) : NULL;
    if (!bigger) {
        free(text);
        u->bad = true;
        return;
    }
    e->list = bigger;
    e->list[e->count++] = text;
}

static void note_file(struct upload *u)
{
    struct wire_uploaded *d = &u->done;
    struct wire_uploaded_file *bigger;

    bigger = d->count < FILES_MAX ? realloc(d->files, (d->count + 1) * sizeof(*d->files)) : NULL;
    if (bigger)
        d->files = bigger;
    if (!bigger || !(bigger[d->count].path = strdup(buf_str(&u->path)))) {
        u->bad = true;
        return;
    }
    bigger[d->count++].bytes = u->bytes;
}

static void end_part(struct upload *u)
{
    if (!u->in_part)
        return;
    u->in_part = false;
    if (u->is_path)
        return;
    if (u->fd >= 0 && close(u->fd) < 0 && !u->failed) {
        note_error(u, "%s: close: %s", buf_str(&u->path), strerror(errno));
        u->failed = true;
    }
    u->fd = -1;
    if (!u->failed)
        note_file(u);
    buf_truncate(&u->path, 0);
    u->path_of[0] = '\0';
}

/* The errno's text as Go writes it: in lower case. */
static const char *go_text(int err, char out[128])
{
    snprintf(out, 128, "%s", strerror(err < 0 ? -err : err));
    out[0] = (char)tolower((unsigned char)out[0]);
    return out;
}

static void trim(struct buf *b)
{
    size_t lead = 0;

    while (b->len > 0 && isspace((unsigned char)b->data[b->len - 1]))
        buf_truncate(b, b->len - 1);
    while (lead < b->len && isspace((unsigned char)b->data[lead]))
        lead++;
    buf_consume(b, lead);
}

static void begin_file(struct request *rq, const char *index, size_t index_len)
{
    struct upload *u = rq->upload;
    char text[128];
    int r;

    trim(&u->path);
    u->failed = false;
    u->bytes = 0;
    if (u->path.len == 0 || strlen(u->path_of) != index_len ||
        strncmp(u->path_of, index, index_len) != 0 || strlen(u->path.data) != u->path.len) {
        note_error(u, "file[%.*s]: missing .path metadata", (int)index_len, index);
        u->failed = true;
        return;
    }
    r = make_parents(rq, buf_str(&u->path), 0755);
    if (r < 0) {
        note_error(u, "%s: mkdir: mkdir %s: %s", buf_str(&u->path), buf_str(&u->path),
                   go_text(r, text));
        u->failed = true;
        return;
    }
    u->fd = open_target(rq, buf_str(&u->path));
    if (u->fd < 0) {
        note_error(u, "%s: create: open %s: %s", buf_str(&u->path), buf_str(&u->path),
                   go_text(u->fd, text));
        u->failed = true;
    }
}

/* "files[INDEX].path" and "files[INDEX].file"; other fields are ignored. */
static void begin_part(struct request *rq, const char *key)
{
    struct upload *u = rq->upload;
    const char *end = strrchr(key, ']');
    const size_t index_len = end ? (size_t)(end - key) - strlen("files[") : 0;

    end_part(u);
    snprintf(u->key, sizeof(u->key), "%s", key);
    if (strncmp(key, "files[", strlen("files[")) != 0 || !end || end < key + strlen("files["))
        return;
    if (strcmp(end, "].path") == 0) {
        u->in_part = u->is_path = true;
        buf_truncate(&u->path, 0);
        snprintf(u->path_of, sizeof(u->path_of), "%.*s", (int)index_len, key + strlen("files["));
    } else if (strcmp(end, "].file") == 0) {
        u->in_part = true;
        u->is_path = false;
        begin_file(rq, key + strlen("files["), index_len);
    }
}

static enum MHD_Result take_bulk(void *arg, enum MHD_ValueKind kind, const char *key,
                                 const char *filename, const char *type, const char *encoding,
                                 const char *data, uint64_t off, size_t n)
{
    struct request *rq = arg;
    struct upload *u = rq->upload;
    char text[128];
    int r;

    if (!key || strlen(key) >= KEY_MAX)
        return MHD_YES;
    /* The library may begin a part with an empty call: the same key at 0 again is the same part. */
    if (off == 0 && !(u->in_part && strcmp(u->key, key) == 0 && u->bytes == 0 && n > 0))
        begin_part(rq, key);
    if (!u->in_part || n == 0)
        return MHD_YES;
    if (u->is_path) {
        if (buf_append(&u->path, data, n) < 0)
            u->bad = true;
        u->bytes = 0;
        return MHD_YES;
    }
    if (u->failed)
        return MHD_YES;
    r = io_write(u->fd, data, n);
    if (r < 0) {
        note_error(u, "%s: write: write %s: %s", buf_str(&u->path), buf_str(&u->path),
                   go_text(r, text));
        u->failed = true;
    } else {
        u->bytes += n;
    }
    return MHD_YES;
}

void files_bulk_upload_begin(struct request *rq)
{
    if (!is_multipart(rq)) {
        reply_text(rq, 400, "application/json; charset=utf-8",
                   "{\"errors\":[\"invalid multipart form\"]}");
        return;
    }
    (void)upload_new(rq, take_bulk);
}

void files_bulk_upload(struct request *rq)
{
    struct upload *u = rq->upload;
    struct buf body = BUF_INIT(BODY_MAX);
    int r;

    if (!end_parts(u)) {
        if (u->in_part && !u->is_path && !u->failed) {
            note_error(u, "%s: write: unexpected EOF", buf_str(&u->path));
            u->failed = true;
        } else {
            note_error(u, "reading part: multipart: NextPart: EOF");
        }
    }
    end_part(u);
    r = wire_uploaded_write(&body, &u->done);
    if (r < 0)
        reply_status(rq, 500);
    else
        reply_text(rq, u->done.errors.count ? 400 : 200, "application/json; charset=utf-8", "%s",
                   buf_str(&body));
    buf_done(&body);
}

void upload_free(struct request *rq)
{
    struct upload *u = rq->upload;

    if (!u)
        return;
    if (u->pp)
        MHD_destroy_post_processor(u->pp);
    if (u->fd >= 0)
        close(u->fd);
    buf_done(&u->path);
    wire_uploaded_done(&u->done);
    free(u);
    rq->upload = NULL;
}
