/* Dockerfiles, word for word as the official SDKs write them. */
#include "sdk/error.h"

#include "util/array.h"
#include "util/buf.h"

#include <daytona/image.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 1 << 20 };

struct daytona_image {
    struct buf text;
    int err; /* the first: 0 or -errno */
};

/* What a shell takes as it is. */
static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                            "@%+=:,./_-";

static void keep(struct daytona_image *image, int r)
{
    if (image->err == 0)
        image->err = r;
}

static void put(struct daytona_image *image, const char *text)
{
    if (image->err == 0)
        keep(image, buf_puts(&image->text, text));
}

/* A newline would end the line of the Dockerfile, and begin one of its own. */
static bool is_one_line(struct daytona_image *image, const char *word)
{
    if (strpbrk(word, "\r\n")) {
        keep(image, -EINVAL);
        return false;
    }
    return true;
}

static void put_quoted(struct daytona_image *image, const char *word)
{
    if (!is_one_line(image, word))
        return;
    if (*word && word[strspn(word, plain)] == '\0') {
        put(image, word);
        return;
    }
    put(image, "'");
    for (; *word; word++) {
        const char c[2] = {*word, '\0'};

        put(image, *word == '\'' ? "'\"'\"'" : c);
    }
    put(image, "'");
}

static struct daytona_image *new_image(void)
{
    struct daytona_image *image = calloc(1, sizeof(*image));

    if (image)
        buf_init(&image->text, TEXT_MAX);
    return image;
}

struct daytona_image *daytona_image_new(const char *base)
{
    struct daytona_image *image = new_image();

    if (!image || !is_one_line(image, base))
        return image;
    put(image, "FROM ");
    put(image, base);
    put(image, "\n");
    return image;
}

struct daytona_image *daytona_image_debian_slim(const char *version)
{
    static const struct {
        const char *series, *full;
    } rows[] = {
        {"3.9", "3.9.22"},   {"3.10", "3.10.17"}, {"3.11", "3.11.12"},
        {"3.12", "3.12.10"}, {"3.13", "3.13.3"},
    };
    struct daytona_image *image = new_image();
    const char *full = NULL;

    if (!image)
        return NULL;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].series, version ? version : "3.13") == 0)
            full = rows[i].full;
    }
    if (!full) {
        keep(image, -EINVAL);
        return image;
    }
    put(image, "FROM python:");
    put(image, full);
    put(image, "-slim-bookworm\n"
               "RUN apt-get update\n"
               "RUN apt-get install -y gcc gfortran build-essential\n"
               "RUN pip install --upgrade pip\n"
               "RUN echo 'debconf debconf/frontend select Noninteractive' | "
               "debconf-set-selections\n");
    return image;
}

struct daytona_image *daytona_image_free(struct daytona_image *image)
{
    if (image)
        buf_done(&image->text);
    free(image);
    return NULL;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void put_option(struct daytona_image *image, const char *option, const char *value)
{
    put(image, option);
    put_quoted(image, value);
}

static void put_options(struct daytona_image *image, const struct daytona_pip_options *o)
{
    for (const char *const *link = o->find_links; link && *link; link++)
        put_option(image, " --find-links ", *link);
    if (o->index_url)
        put_option(image, " --index-url ", o->index_url);
    for (const char *const *url = o->extra_index_urls; url && *url; url++)
        put_option(image, " --extra-index-url ", *url);
    if (o->pre)
        put(image, " --pre");
    if (o->extra_options && is_one_line(image, o->extra_options)) {
        put(image, " ");
        put(image, o->extra_options);
    }
}

void daytona_image_pip_install(struct daytona_image *image, const char *const *packages,
                               size_t count, const struct daytona_pip_options *options)
{
    const char **sorted;

    if (count == 0)
        return;
    sorted = calloc(count, sizeof(*sorted));
    if (!sorted) {
        keep(image, -ENOMEM);
        return;
    }
    memcpy(sorted, packages, count * sizeof(*sorted));
    qsort(sorted, count, sizeof(*sorted), by_name);
    put(image, "RUN python -m pip install");
    for (size_t i = 0; i < count; i++)
        put_option(image, " ", sorted[i]);
    if (options)
        put_options(image, options);
    put(image, "\n");
    free(sorted);
}

void daytona_image_run(struct daytona_image *image, const char *command)
{
    put(image, "RUN ");
    daytona_image_line(image, command);
}

void daytona_image_run_words(struct daytona_image *image, const char *const *words, size_t count)
{
    put(image, "RUN");
    for (size_t i = 0; i < count; i++) {
        if (!is_one_line(image, words[i]))
            return;
        put(image, " \"");
        for (const char *c = words[i]; *c; c++) {
            const char one[2] = {*c, '\0'};

            put(image, *c == '"' ? "\\\"" : *c == '\\' ? "\\\\" : one);
        }
        put(image, "\"");
    }
    put(image, "\n");
}

void daytona_image_env(struct daytona_image *image, const char *key, const char *value)
{
    if (!*key || key[strcspn(key, " \t\r\n=\"'")]) {
        keep(image, -EINVAL);
        return;
    }
    put(image, "ENV ");
    put(image, key);
    put_option(image, "=", value);
    put(image, "\n");
}

void daytona_image_workdir(struct daytona_image *image, const char *dir)
{
    put_option(image, "WORKDIR ", dir);
    put(image, "\n");
}

static void put_list(struct daytona_image *image, const char *what, const char *const *words,
                     size_t count)
{
    put(image, what);
    for (size_t i = 0; i < count; i++) {
        if (strpbrk(words[i], "\"\\\r\n"))
            keep(image, -EINVAL);
        put(image, i ? ", \"" : "\"");
        put(image, words[i]);
        put(image, "\"");
    }
    put(image, "]\n");
}

void daytona_image_entrypoint(struct daytona_image *image, const char *const *words, size_t count)
{
    put_list(image, "ENTRYPOINT [", words, count);
}

void daytona_image_cmd(struct daytona_image *image, const char *const *words, size_t count)
{
    put_list(image, "CMD [", words, count);
}

void daytona_image_line(struct daytona_image *image, const char *line)
{
    put(image, line);
    put(image, "\n");
}

int daytona_image_dockerfile(const struct daytona_image *image, const char **ret)
{
    error_begin("buildDockerfile");
    if (image->err == -EINVAL)
        return error_set(-EINVAL, "the image: a version that is not known, or a word with what a "
                                  "Dockerfile cannot hold there");
    if (image->err < 0)
        return error_default(image->err);
    *ret = buf_str(&image->text);
    return 0;
}
