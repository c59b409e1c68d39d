/*
 * daytona/watch.h - what changes below a directory.
 *
 * The service tells of no changes, so this looks again and again and compares: nothing is asked
 * while nobody waits in daytona_watch_next. What comes and goes between two looks is not seen, nor
 * is a change that moves neither size, mode nor modification time. A mount of the sandbox knows
 * more, and sooner: see `daytonafs watch`.
 */
#ifndef DAYTONA_WATCH_H
#define DAYTONA_WATCH_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_watch;

struct daytona_watch_options {
    bool recursive;       /* also what is below its directories, 64 deep */
    uint32_t interval_ms; /* from one look to the next; 0: 1000, at least 100 */
    size_t entries_max;   /* more of them are -E2BIG; 0: 100,000 */
};

enum daytona_watch_kind {
    DAYTONA_WATCH_CREATE, /* of a directory, and then of all in it */
    DAYTONA_WATCH_MODIFY, /* content, size or permissions; of a directory, its permissions */
    DAYTONA_WATCH_DELETE, /* of a directory, and of all that was in it */
};

struct daytona_watch_event {
    enum daytona_watch_kind kind;
    const char *path; /* below the directory that is watched; the watch's, until the next call */
};

/*
 * GET /files, of each directory: what is there now is where the watch begins. path as in
 * daytona/files.h; options NULL: all 0. *ret is the caller's: daytona_watch_free; it is used by one
 * thread at a time and holds the sandbox.
 */
DAYTONA_API int daytona_watch_start(struct daytona_sandbox *sandbox, const char *path,
                                    const struct daytona_watch_options *options,
                                    struct daytona_watch **ret);
/*
 * GET /files, of each directory, every interval, until something has changed. 1: *ret says what; 0:
 * nothing did for timeout_ms (0: only what is known or due already; negative: no end). After an
 * error the watch goes on where it was: -ENOENT if the directory itself is gone, -EINTR if it was
 * cancelled, daytona_files_list's.
 */
DAYTONA_API int daytona_watch_next(struct daytona_watch *watch, int64_t timeout_ms,
                                   struct daytona_watch_event *ret);
DAYTONA_API void daytona_watch_free(struct daytona_watch *watch); /* takes NULL */

#ifdef __cplusplus
}
#endif

#endif
