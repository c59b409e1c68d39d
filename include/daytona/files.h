/*
 * daytona/files.h - the sandbox's files, through its toolbox.
 *
 * Paths are bytes, absolute or relative to the work-dir. The service's stat follows symbolic links
 * and hides dangling ones; what it cannot do at all (links, truncate, times, rename over a file)
 * is not here. All calls may return the errors of daytona/error.h; -ENOENT only if the service said
 * so of the file itself. Many refusals of old daemons carry no reason on the wire: they are -EINVAL
 * with http_status 400. Newer ones say more, and then the errno is the file system's own.
 */
#ifndef DAYTONA_FILES_H
#define DAYTONA_FILES_H

#include "daytona/sandbox.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_file_info {
    char *name;       /* base name as asked for; bytes that are not UTF-8 arrive damaged */
    char *path;       /* with depth on new daemons; else "" */
    uint64_t size;    /* bytes */
    mode_t mode;      /* type and permissions, special bits included */
    int64_t mtime_ns; /* since the epoch, UTC */
    int64_t uid, gid; /* -1: the service named something that is not a number */
};

/* GET /files. *ret is an array, the caller's: daytona_files_list_free. depth 0 or 1: one level;
 * more needs a new daemon and is ignored by old ones. -ENOTDIR; old daemons only say -EINVAL. */
DAYTONA_API int daytona_files_list(struct daytona_sandbox *sandbox, const char *path,
                                   unsigned depth, struct daytona_file_info **ret,
                                   size_t *ret_count);
DAYTONA_API void daytona_files_list_free(struct daytona_file_info *list, size_t count);

/* GET /files/info. The caller calls daytona_file_info_done. */
DAYTONA_API int daytona_files_info(struct daytona_sandbox *sandbox, const char *path,
                                   struct daytona_file_info *ret);
DAYTONA_API void daytona_file_info_done(struct daytona_file_info *info);

/* GET /files/info: 1 it exists, 0 it does not (a dangling link does not). */
DAYTONA_API int daytona_files_exists(struct daytona_sandbox *sandbox, const char *path);

/* POST /files/folder: mkdir -p; an existing directory is a success. */
DAYTONA_API int daytona_files_create_folder(struct daytona_sandbox *sandbox, const char *path,
                                            mode_t mode);
/* DELETE /files. recursive: rm -rf. Without it a directory, even an empty one, is refused. */
DAYTONA_API int daytona_files_delete(struct daytona_sandbox *sandbox, const char *path,
                                     bool recursive);
/* POST /files/move. Never replaces: -EEXIST. A directory into itself is refused here: -EINVAL.
 * -EIO if the source could not be removed after a copy (both exist then). */
DAYTONA_API int daytona_files_move(struct daytona_sandbox *sandbox, const char *from,
                                   const char *to);
/* POST /files/permissions. mode (mode_t)-1, owner, group NULL: as they are. Follows links. */
DAYTONA_API int daytona_files_set_permissions(struct daytona_sandbox *sandbox, const char *path,
                                              mode_t mode, const char *owner, const char *group);

/*
 * Where uploaded bytes come from: data, or when that is NULL read, or when that is NULL fd (pread),
 * both from off. read is called on a thread of the client's, gives at most n bytes or -errno, and
 * must not call daytona_ functions; when the upload is sent again it is asked from off on again.
 */
struct daytona_upload {
    const char *path;
    const void *data; /* borrowed */
    int fd;           /* borrowed; its position does not move */
    uint64_t off, len;
    ssize_t (*read)(void *arg, uint64_t off, void *p, size_t n);
    void *read_arg;
    bool background; /* does not count as activity (many: of the first, for all) */
};

/* POST /files/upload, or upload-v2 where that is what there is: the service has every byte before
 * it touches the target. A refusal has no reason: -EINVAL. Sent again after a network error. */
DAYTONA_API int daytona_files_upload(struct daytona_sandbox *sandbox,
                                     const struct daytona_upload *upload);
/* POST /files/bulk-upload, one request. Some may fail: errs (count ints, or NULL) gets 0 or -errno
 * for each, and the first failure is returned; here the service says why (-EACCES, -ENOSPC …). Each
 * file is truncated first and then grows. Sent again after a network error. Blanks at the ends of a
 * path, and more than 10 000 files, are refused: -EINVAL. */
DAYTONA_API int daytona_files_upload_many(struct daytona_sandbox *sandbox,
                                          const struct daytona_upload *uploads, size_t count,
                                          int *errs);

/*
 * Takes bytes as they arrive, on a thread of the client's: 0, or -errno to end the call. off is
 * their place in the file. Must not call daytona_ functions.
 */
typedef int (*daytona_sink)(void *arg, uint64_t off, const void *p, size_t n);

struct daytona_download_info {
    uint64_t size;      /* of the whole file; UINT64_MAX: not said */
    int64_t mtime_s;    /* Last-Modified, whole seconds; -1: not said */
    uint64_t delivered; /* bytes given to the sink */
};

/*
 * GET /files/download. len UINT64_MAX: to the end. off beyond the end delivers nothing and is a
 * success. After a retry the sink is given the bytes from off on again. An answer that is not the
 * part that was asked for is refused before its first byte, one of a wrong length when that shows:
 * -EPROTO. sink NULL: the bytes are dropped; ret may be NULL. -EILSEQ is not told apart: the
 * service answers 500 (-EIO) for base names that are not UTF-8.
 */
DAYTONA_API int daytona_files_download(struct daytona_sandbox *sandbox, const char *path,
                                       uint64_t off, uint64_t len, daytona_sink sink, void *arg,
                                       struct daytona_download_info *ret);

struct daytona_download_many_ops {
    /*
     * File i begins; size UINT64_MAX if not said (and 0 for what has no size, as in /proc). err:
     * why there will be no bytes, and no end (0: there will). After a retry all begin again.
     */
    int (*begin)(void *arg, size_t i, int err, uint64_t size);
    int (*data)(void *arg, size_t i, uint64_t off, const void *p, size_t n);
    int (*end)(void *arg, size_t i); /* whole and of the promised length */
};
/* POST /files/bulk-download, one request. Paths must be UTF-8. -EPROTO: the answer was cut; files
 * that had their end are good. */
DAYTONA_API int daytona_files_download_many(struct daytona_sandbox *sandbox,
                                            const char *const *paths, size_t count,
                                            const struct daytona_download_many_ops *ops, void *arg);

struct daytona_match {
    char *file;
    int64_t line;  /* from 1; 0 for search and replace */
    char *content; /* the line; replace: the error, "" if it worked */
};
DAYTONA_API void daytona_matches_free(struct daytona_match *matches, size_t count);
/* GET /files/find: lines that contain pattern, literally. */
DAYTONA_API int daytona_files_find(struct daytona_sandbox *sandbox, const char *path,
                                   const char *pattern, struct daytona_match **ret,
                                   size_t *ret_count);
/* GET /files/search: names that match the glob. */
DAYTONA_API int daytona_files_search(struct daytona_sandbox *sandbox, const char *path,
                                     const char *pattern, struct daytona_match **ret,
                                     size_t *ret_count);
/* POST /files/replace: literally, in each file. One match a file; returns 0 if all worked. */
DAYTONA_API int daytona_files_replace(struct daytona_sandbox *sandbox, const char *const *files,
                                      size_t count, const char *pattern, const char *new_value,
                                      struct daytona_match **ret, size_t *ret_count);

#ifdef __cplusplus
}
#endif
#endif
