/* text.c - the lines that say what waits, and what is parked. */
#include "flush/flush_internal.h"

#include "util/path.h"
#include "util/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static int text_path(struct buf *out, const char *path)
{
    size_t odd = 0;
    int r = 0;

    for (const char *p = path; *p && r == 0; p++, odd -= odd > 0) {
        odd = odd ? odd : text_control(p);
        if (*p == '\t')
            r = buf_puts(out, "\\t");
        else if (*p == '\n')
            r = buf_puts(out, "\\n");
        else if (*p == '\\')
            r = buf_puts(out, "\\\\");
        else if (odd)
            r = buf_printf(out, "\\x%02x", (unsigned char)*p);
        else
            r = buf_putc(out, *p);
    }
    return r;
}

int text_line(struct buf *out, uint64_t seq, const char *state, enum journal_kind kind,
              uint64_t bytes, const char *path, const char *path2)
{
    const size_t start = out->len;
    int r = buf_printf(out, "%" PRIu64 " %s %s %" PRIu64 " ", seq, state, journal_kind_name(kind),
                       bytes);

    if (r == 0)
        r = text_path(out, path);
    if (r == 0 && path2)
        r = buf_puts(out, " -> ");
    if (r == 0 && path2)
        r = text_path(out, path2);
    if (r == 0)
        r = buf_putc(out, '\n');
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

/* ---- what is parked ---- */

/* What somebody sees as one: all that was written to one version of a file. */
struct line {
    const struct parked *first;
    enum journal_kind kind;
    uint64_t bytes;
    struct line *next;
    UT_hash_handle hh; /* by where it is shown; only of those that others may join */
};

struct lines {
    struct line *first, **last;
    struct line *open[2]; /* rejected, in conflict */
};

static bool is_of_file(enum journal_kind kind)
{
    return kind <= JOURNAL_CREATE || kind == JOURNAL_SETATTR;
}

static const char *shown_at(const struct parked *p)
{
    return p->shown ? p->shown : p->path;
}

static int add_parked(struct lines *lines, const struct parked *p)
{
    struct line **open = &lines->open[p->outcome == JOURNAL_CONFLICT], *line = NULL;
    const char *at = shown_at(p);

    if (is_of_file(p->kind))
        HASH_FIND_STR(*open, at, line);
    if (line) {
        if (line->kind == JOURNAL_CREATE && p->kind != JOURNAL_SETATTR)
            line->kind = p->kind;
        line->bytes += p->bytes;
        return 0;
    }
    line = calloc(1, sizeof(*line));
    if (!line)
        return -ENOMEM;
    *line = (struct line){.first = p, .kind = p->kind, .bytes = p->bytes};
    *lines->last = line;
    lines->last = &line->next;
    if (is_of_file(p->kind))
        HASH_ADD_KEYPTR(hh, *open, at, strlen(at), line);
    return 0;
}

static int put_lines(struct lines *lines, size_t max, struct buf *out)
{
    struct line *next;
    int r = 0;

    for (int i = 0; i < 2; i++)
        HASH_CLEAR(hh, lines->open[i]);
    for (struct line *line = lines->first; line; line = next) {
        const struct parked *p = line->first;

        if (r == 0 && max > 0)
            r = text_line(out, p->seq, p->outcome == JOURNAL_CONFLICT ? "conflict" : "rejected",
                          line->kind, line->bytes, p->path, p->path2);
        max -= max > 0;
        next = line->next;
        free(line);
    }
    return r;
}

int text_parked(struct flush *f, const char *path, const uint64_t *since, size_t max,
                struct buf *out, bool *ret_any)
{
    struct lines lines = {.last = &lines.first};
    int r = 0, err;

    *ret_any = false;
    for (const struct parked *p = f->parked; p && r == 0; p = p->next) {
        if ((since && p->nth <= *since) ||
            (path && !path_is_below(p->path, path) && !(p->path2 && path_is_below(p->path2, path))))
            continue;
        *ret_any = true;
        r = out ? add_parked(&lines, p) : 0;
    }
    err = put_lines(&lines, max, out);
    return r < 0 ? r : err;
}

static const char *state_of(const struct change *c)
{
    if (c->state == CHANGE_SENT)
        return "sent";
    if (change_held(c))
        return c->seq <= c->group->staged_seq ? "staged" : "open";
    return c->state == CHANGE_TAKEN ? "staged" : "waits";
}

int flush_queue_text(struct flush *f, size_t max, struct buf *out)
{
    int r = 0;

    lock_take(&f->lock);
    for (const struct change *c = f->head; c && max > 0 && r == 0; c = c->next, max--) {
        char *path = node_path(c->at), *path2 = c->at2 ? node_path(c->at2) : NULL;

        r = path ? text_line(out, c->seq, state_of(c), c->kind, c->bytes, path, path2) : -ENOMEM;
        free(path);
        free(path2);
    }
    lock_drop(&f->lock);
    return r;
}

int flush_parked_text(struct flush *f, size_t max, struct buf *out)
{
    bool any;
    int r;

    lock_take(&f->lock);
    r = text_parked(f, NULL, NULL, max, out, &any);
    lock_drop(&f->lock);
    return r;
}
