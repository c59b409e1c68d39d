/* files_text.c - find, search and replace. Links are not followed; nothing waits on a pipe. */
#include "server/server_internal.h"

#include "util/io.h"
#include "util/path.h"
#include "wire/file.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    DEPTH_MAX = 64,
    MATCHES_MAX = 1 << 18,
    LINE_MAX_BYTES = 64 << 10, /* a longer line silently ends the search of its file */
    SNIFF = 512,
    REPLACE_MAX = 64 << 20,
};

struct walk {
    struct request *rq;
    const char *pattern;
    int (*visit)(struct walk *w, int dir, const char *name, const char *path,
                 const struct stat *st);
    struct wire_match *found;
    size_t found_count;
    struct json_strings names;
};

static int walk_dir(struct walk *w, int dir, const char *path, unsigned depth);

static int walk_entry(struct walk *w, int dir, const char *name, const char *path, unsigned depth)
{
    struct stat st;
    int fd, r;

    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return 0;
    r = w->visit(w, dir, name, path, &st);
    if (r < 0 || !S_ISDIR(st.st_mode) || depth == 0)
        return r;
    fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? 0 : walk_dir(w, fd, path, depth - 1);
}

static int skip_dots(const struct dirent *e)
{
    return strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Takes fd. Names in byte order, as the real one walks. */
static int walk_dir(struct walk *w, int fd, const char *path, unsigned depth)
{
    struct dirent **list = NULL;
    int n, r = 0;

    n = scandirat(fd, ".", &list, skip_dots, by_bytes);
    for (int i = 0; i < n; i++) {
        char *full = path_join(path, list[i]->d_name);

        if (r == 0)
            r = full ? walk_entry(w, fd, list[i]->d_name, full, depth) : -ENOMEM;
        free(full);
        free(list[i]);
    }
    free(list);
    close(fd);
    return r;
}

/* The root itself is visited too, links followed: it was asked for. */
static int walk(struct walk *w, const char *path)
{
    char name[256];
    struct stat st;
    int fd, r;

    if (view_stat(w->rq, path, &st) < 0)
        return 0; /* nothing there: nothing found */
    if (S_ISDIR(st.st_mode)) {
        fd = view_open(w->rq, path, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
            return 0;
        r = w->visit(w, fd, NULL, path, &st);
        if (r < 0) {
            close(fd);
            return r;
        }
        return walk_dir(w, fd, path, DEPTH_MAX);
    }
    fd = view_parent(w->rq, path, name);
    if (fd < 0)
        return 0;
    r = w->visit(w, fd, name, path, &st);
    close(fd);
    return r;
}

/* ---- find ---- */

static int add_match(struct walk *w, const char *file, int64_t line, const char *text, size_t n)
{
    struct wire_match *m;

    if (w->found_count == MATCHES_MAX)
        return -EFBIG;
    if ((w->found_count & (w->found_count - 1)) == 0) {
        m = realloc(w->found, (w->found_count ? w->found_count * 2 : 1) * sizeof(*m));
        if (!m)
            return -ENOMEM;
        w->found = m;
    }
    m = &w->found[w->found_count];
    m->file = strdup(file);
    m->line = line;
    m->content = strndup(text, n);
    w->found_count++;
    return m->file && m->content ? 0 : -ENOMEM;
}

/* -1 at the end of the file, or after a line that is longer than the search looks at. */
static ssize_t next_line(FILE *f, char *line)
{
    ssize_t n = 0;
    int c;

    while ((c = getc_unlocked(f)) != EOF && c != '\n') {
        if (n == LINE_MAX_BYTES)
            return -1;
        line[n++] = (char)c;
    }
    if (c == EOF && n == 0)
        return -1;
    while (n > 0 && line[n - 1] == '\r')
        n--;
    return n;
}

static int search_lines(struct walk *w, FILE *f, const char *path)
{
    const size_t pattern_len = strlen(w->pattern);
    char *line = malloc(LINE_MAX_BYTES);
    int64_t number = 0;
    ssize_t n;
    int r = line ? 0 : -ENOMEM;

    while (r == 0 && (n = next_line(f, line)) >= 0) {
        number++;
        if (memmem(line, (size_t)n, w->pattern, pattern_len))
            r = add_match(w, path, number, line, (size_t)n);
    }
    free(line);
    return r;
}

static int visit_find(struct walk *w, int dir, const char *name, const char *path,
                      const struct stat *st)
{
    char head[SNIFF];
    ssize_t n;
    FILE *f;
    int fd, r;

    if (!name || !S_ISREG(st->st_mode))
        return 0;
    fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return 0;
    n = pread(fd, head, sizeof(head), 0);
    f = n < 0 || memchr(head, '\0', (size_t)n) ? NULL : fdopen(fd, "r");
    if (!f) {
        close(fd);
        return 0;
    }
    r = search_lines(w, f, path);
    fclose(f);
    return r;
}

void files_find(struct request *rq)
{
    const char *path = request_query(rq, "path"), *pattern = request_query(rq, "pattern");
    struct walk w = {.rq = rq, .pattern = pattern, .visit = visit_find};
    struct buf body = BUF_INIT(TEXT_MAX);
    int r;

    if (!path || !*path || !pattern || !*pattern) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    r = walk(&w, path);
    if (r == 0)
        r = wire_found_write(&body, w.found, w.found_count);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_text(rq, 200, "application/json; charset=utf-8", "%s", buf_str(&body));
    wire_matches_free(w.found, w.found_count);
    buf_done(&body);
}

/* ---- search ---- */

static int visit_search(struct walk *w, int dir, const char *name, const char *path,
                        const struct stat *st)
{
    char **bigger;
    const char *base = name ? name : path_base(path);

    if (fnmatch(w->pattern, base, 0) != 0)
        return 0;
    if (w->names.count == MATCHES_MAX)
        return -EFBIG;
    if ((w->names.count & (w->names.count - 1)) == 0) {
        bigger =
            realloc(w->names.list, (w->names.count ? w->names.count * 2 : 1) * sizeof(*bigger));
        if (!bigger)
            return -ENOMEM;
        w->names.list = bigger;
    }
    w->names.list[w->names.count] = strdup(path);
    return w->names.list[w->names.count++] ? 0 : -ENOMEM;
}

/* fnmatch takes an unclosed bracket for itself; Go calls it invalid, and then nothing is found. */
static bool glob_valid(const char *p)
{
    for (; *p; p++) {
        if (*p == '\\' && !*++p)
            return false;
        if (*p != '[')
            continue;
        p += p[1] == '^';
        if (p[1] == ']' || !(p = strchr(p, ']')))
            return false;
    }
    return true;
}

void files_search(struct request *rq)
{
    const char *path = request_query(rq, "path"), *pattern = request_query(rq, "pattern");
    struct walk w = {.rq = rq, .pattern = pattern, .visit = visit_search};
    struct buf body = BUF_INIT(TEXT_MAX);
    int r = 0;

    if (!path || !*path || !pattern || !*pattern) {
        reply_file_error(rq, -EINVAL, false);
        return;
    }
    if (glob_valid(pattern))
        r = walk(&w, path);
    if (r == 0)
        r = wire_searched_write(&body, &w.names);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_text(rq, 200, "application/json; charset=utf-8", "%s", buf_str(&body));
    json_strings_done(&w.names);
    buf_done(&body);
}

/* ---- replace ---- */

static int read_whole(struct request *rq, const char *path, struct buf *out)
{
    struct stat st;
    int fd, r;

    r = view_stat(rq, path, &st);
    if (r < 0)
        return r;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    fd = view_open(rq, path, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    r = io_read_rest(fd, out);
    close(fd);
    return r;
}

static int substitute(const struct buf *in, const char *pattern, const char *with, struct buf *out)
{
    const char *p = buf_str(in), *const end = p + in->len, *hit;
    int r = 0;

    while (r == 0 && (hit = memmem(p, (size_t)(end - p), pattern, strlen(pattern)))) {
        r = buf_append(out, p, (size_t)(hit - p));
        if (r == 0)
            r = buf_puts(out, with);
        p = hit + strlen(pattern);
    }
    return r < 0 ? r : buf_append(out, p, (size_t)(end - p));
}

static int write_whole(struct request *rq, const char *path, const struct buf *text)
{
    int fd, r;

    fd = view_open(rq, path, O_WRONLY | O_TRUNC | O_NONBLOCK, 0);
    if (fd < 0)
        return fd;
    r = io_write(fd, text->data, text->len);
    close(fd);
    return r;
}

static int replace_in(struct request *rq, const char *path, const struct wire_replace *what)
{
    struct buf in = BUF_INIT(REPLACE_MAX), out = BUF_INIT(REPLACE_MAX);
    int r;

    r = read_whole(rq, path, &in);
    if (r == 0)
        r = substitute(&in, what->pattern, what->new_value, &out);
    if (r == 0)
        r = write_whole(rq, path, &out);
    buf_done(&in);
    buf_done(&out);
    return r;
}

void files_replace(struct request *rq)
{
    struct wire_replace what = {0};
    struct wire_match *done = NULL;
    struct buf body = BUF_INIT(TEXT_MAX);
    int r;

    if (wire_replace_read(buf_str(&rq->body), rq->body.len, &what) < 0 || !*what.pattern) {
        reply_file_error(rq, -EINVAL, false);
        wire_replace_done(&what);
        return;
    }
    done = calloc(what.files.count ? what.files.count : 1, sizeof(*done));
    r = done ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < what.files.count; i++) {
        const char *path = what.files.list[i], *sentence;
        const int err = replace_in(rq, path, &what);
        char *text = NULL;

        sentence = strerror(-err);
        if (err && asprintf(&text, "open %s: %c%s", path, tolower((unsigned char)*sentence),
                            sentence + 1) < 0)
            text = NULL;
        done[i].file = strdup(path);
        done[i].content = err ? text : strdup("");
        if (!done[i].file || !done[i].content)
            r = -ENOMEM;
    }
    if (r == 0)
        r = wire_replaced_write(&body, done, what.files.count);
    if (r < 0)
        reply_file_error(rq, r, false);
    else
        reply_text(rq, 200, "application/json; charset=utf-8", "%s", buf_str(&body));
    if (done)
        wire_matches_free(done, what.files.count);
    wire_replace_done(&what);
    buf_done(&body);
}
