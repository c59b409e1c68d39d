#include "flush/flush_internal.h"

#include "util/text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

int text_path(struct buf *out, const char *path)
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

int text_parked(struct buf *out, const struct parked *p)
{
    return text_line(out, p->seq, p->outcome == JOURNAL_CONFLICT ? "conflict" : "rejected", p->kind,
                     p->bytes, p->path, p->path2);
}

static const char *state_of(const struct change *c)
{
    if (c->state == CHANGE_SENT)
        return "sent";
    return change_held(c) ? "open" : "waits";
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
    int r = 0;

    lock_take(&f->lock);
    for (const struct parked *p = f->parked; p && max > 0 && r == 0; p = p->next, max--)
        r = text_parked(out, p);
    lock_drop(&f->lock);
    return r;
}
