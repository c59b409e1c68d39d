/* file.h - what the toolbox's file calls send and answer. */
#ifndef WIRE_FILE_H
#define WIRE_FILE_H

#include "wire/json.h"

#include <stdint.h>
#include <sys/types.h>

struct wire_file {
    char *name; /* owned; base name of what was asked for: may be "." or "/" */
    char *path; /* owned; "" except in recursive listings of new daemons */
    uint64_t size;
    mode_t mode; /* type and permissions, special bits included */
    int64_t mtime_ns;
    int64_t uid, gid; /* -1: not a number */
};

void wire_file_done(struct wire_file *f);
int wire_file_read(const void *text, size_t len, struct wire_file *ret);

/*
 * An array of at most WIRE_FILES_MAX, the caller's. Names that no directory can hold (empty, with a
 * slash, ".", "..", longer than 255 bytes) make the whole answer -EPROTO; names with U+FFFD may be
 * three times as long, because each byte that was not UTF-8 became three. -EFBIG: too many.
 */
enum { WIRE_FILES_MAX = 4 << 20 };
int wire_files_read(const void *text, size_t len, struct wire_file **ret, size_t *ret_count);
void wire_files_free(struct wire_file *list, size_t count);

/* How a daemon writes them. */
struct wire_file_style {
    int utc_offset_s; /* of its zone */
    const char *zone; /* "UTC" */
    bool no_modified; /* before 0.184: no modifiedAt */
    bool with_path;   /* since 0.194 */
};
/* For one FileInfo; a listing is these between json_open and json_close. */
void wire_file_write(struct json_out *o, const struct wire_file *f,
                     const struct wire_file_style *style);

/* Answer of bulk-upload: files that were written, and errors for the others. */
struct wire_uploaded_file {
    char *path;
    uint64_t bytes;
};
struct wire_uploaded {
    struct wire_uploaded_file *files;
    size_t count;
    struct json_strings errors;
};
void wire_uploaded_done(struct wire_uploaded *u);
int wire_uploaded_read(const void *text, size_t len, struct wire_uploaded *ret);
/* {"files":[…]|null}, with "errors" first when there are any. */
int wire_uploaded_write(struct buf *out, const struct wire_uploaded *u);

/* Body of bulk-download: {"paths":[…]}. Writing: -EILSEQ for a path that is not UTF-8. */
int wire_paths_read(const void *text, size_t len, struct json_strings *ret);
int wire_paths_write(struct buf *out, const char *const *paths, size_t count);

/* find: [{file,line,content}]; replace: [{file,success,error}]. */
struct wire_match {
    char *file;
    int64_t line;
    char *content; /* find: the line; replace: the error, "" if it worked */
};
void wire_matches_free(struct wire_match *list, size_t count);
int wire_found_read(const void *text, size_t len, struct wire_match **ret, size_t *ret_count);
int wire_replaced_read(const void *text, size_t len, struct wire_match **ret, size_t *ret_count);
int wire_found_write(struct buf *out, const struct wire_match *list, size_t count);
int wire_replaced_write(struct buf *out, const struct wire_match *list, size_t count);

/* Answer of search: {"files":[…]}. */
int wire_searched_read(const void *text, size_t len, struct json_strings *ret);
int wire_searched_write(struct buf *out, const struct json_strings *files);

/* Body of replace. */
struct wire_replace {
    struct json_strings files;
    char *pattern, *new_value;
};
void wire_replace_done(struct wire_replace *r);
int wire_replace_read(const void *text, size_t len, struct wire_replace *ret);
int wire_replace_write(struct buf *out, const struct wire_replace *r); /* -EILSEQ: not UTF-8 */

/* An object with one string: {"dir":"…"}, {"version":"…"}, {"url":"…"}. *ret is the caller's. */
int wire_string_read(const void *text, size_t len, const char *key, char **ret);

#endif
