/*
 * daytona/image.h - the text of a Dockerfile, built step by step, for sandboxes and snapshots.
 *
 * Steps that copy local files are not offered: what is built here needs no file beside it. The
 * first error stays, and daytona_image_dockerfile returns it; so the steps need no checks. One
 * thread.
 */
#ifndef DAYTONA_IMAGE_H
#define DAYTONA_IMAGE_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_image;

/* FROM base. NULL without memory. The caller's: daytona_image_free. */
DAYTONA_API struct daytona_image *daytona_image_new(const char *base);
/* Python on Debian, with compilers. version "3.9" to "3.13"; NULL: "3.13"; any other is -EINVAL. */
DAYTONA_API struct daytona_image *daytona_image_debian_slim(const char *version);
/* NULL is fine; returns NULL. */
DAYTONA_API struct daytona_image *daytona_image_free(struct daytona_image *image);

struct daytona_pip_options {
    const char *const *find_links, *const *extra_index_urls; /* NULL-ended; NULL: none */
    const char *index_url;                                   /* NULL: pip's own */
    const char *extra_options;                               /* as they are, unquoted; NULL: none */
    bool pre;                                                /* development versions, too */
};
/* RUN python -m pip install, the packages sorted. options may be NULL. */
DAYTONA_API void daytona_image_pip_install(struct daytona_image *image, const char *const *packages,
                                           size_t count, const struct daytona_pip_options *options);
/* RUN with a line for the shell, as it is. */
DAYTONA_API void daytona_image_run(struct daytona_image *image, const char *command);
/* RUN with words, each in double quotes. */
DAYTONA_API void daytona_image_run_words(struct daytona_image *image, const char *const *words,
                                         size_t count);
DAYTONA_API void daytona_image_env(struct daytona_image *image, const char *key, const char *value);
DAYTONA_API void daytona_image_workdir(struct daytona_image *image, const char *dir);
/* The words may not hold double quotes or backslashes: -EINVAL. */
DAYTONA_API void daytona_image_entrypoint(struct daytona_image *image, const char *const *words,
                                          size_t count);
DAYTONA_API void daytona_image_cmd(struct daytona_image *image, const char *const *words,
                                   size_t count);
/* Any other line, as it is. One that copies from the context finds nothing there. */
DAYTONA_API void daytona_image_line(struct daytona_image *image, const char *line);

/* The text so far, for daytona_sandbox_params and daytona_snapshot_params; valid until the next
 * step. -EINVAL: a word holds a newline or is not allowed, -EFBIG beyond 1 MiB, -ENOMEM. */
DAYTONA_API int daytona_image_dockerfile(const struct daytona_image *image, const char **ret);

#ifdef __cplusplus
}
#endif
#endif
