/*
 * lie.c - answers of a hostile or broken daemon, for those who must survive them. What is wrong is
 * put beside what is right, so that a client cannot refuse it by accident.
 */
#include "server/server_internal.h"

#include <stdlib.h>
#include <string.h>

enum { HUGE_NAME = 5000, ENDLESS_BLOCK = 32 << 10, EXTRA = 1000 };

#define ENTRY_TAIL                                                                                 \
    "\"mode\":\"-rw-r--r--\",\"modTime\":\"2026-01-01 00:00:00 +0000 UTC\","                       \
    "\"modifiedAt\":\"2026-01-01T00:00:00Z\",\"isDir\":false,\"owner\":\"0\",\"group\":\"0\","     \
    "\"permissions\":\"0644\"}"

static int put_entry(struct buf *out, const char *name, const char *size)
{
    int r;

    r = buf_printf(out, "{\"name\":\"%s\",\"size\":%s,", name, size);
    return r < 0 ? r : buf_puts(out, ENTRY_TAIL);
}

static int put_huge(struct buf *out)
{
    char name[HUGE_NAME + 1];

    memset(name, 'n', HUGE_NAME);
    name[HUGE_NAME] = '\0';
    return put_entry(out, name, "1");
}

/* An entry that no directory can have. */
static int put_hostile(struct buf *out, enum fault_lie lie)
{
    switch (lie) {
    case LIE_NAME_SLASH:
        return put_entry(out, "a/../../../etc/passwd", "1");
    case LIE_DOTDOT:
        return put_entry(out, "..", "1");
    case LIE_NEGATIVE_SIZE:
        return put_entry(out, "negative", "-1");
    case LIE_HUGE_NAME:
        return put_huge(out);
    default:
        return put_entry(out, "twice", "1");
    }
}

/* Into a listing beside the true ones, or instead of a single one. */
static int add_entry(struct buf *text, enum fault_lie lie)
{
    int r = 0;

    if (text->len == 0 || (text->data[0] != '[' && text->data[0] != '{'))
        return 0;
    if (text->data[0] == '{') {
        buf_truncate(text, 0);
        return put_hostile(text, lie);
    }
    buf_truncate(text, text->len - 1);
    for (int i = 0; r == 0 && i < (lie == LIE_DUP_NAMES ? 2 : 1); i++) {
        if (text->len > 1)
            r = buf_putc(text, ',');
        if (r == 0)
            r = put_hostile(text, lie);
    }
    return r < 0 ? r : buf_putc(text, ']');
}

static int more_endless(struct request *rq)
{
    char block[ENDLESS_BLOCK];
    const int r = (memset(block, 'e', sizeof(block)), reply_piece_text(rq, block, sizeof(block)));

    return r < 0 ? r : 1;
}

/* What was to be said comes first; the end never does. */
static void make_endless(struct request *rq)
{
    struct reply *rp = &rq->reply;

    if (!rp->streamed && rp->text.len)
        (void)reply_piece_text(rq, rp->text.data, rp->text.len);
    rp->streamed = true;
    rp->stream_len = -1;
    rp->more = more_endless;
}

/* More bytes than the file or the range has; the headers of HTTP agree with them. */
static void make_longer(struct request *rq)
{
    struct reply *rp = &rq->reply;
    char extra[EXTRA];

    if (!rp->streamed || rp->stream_len < 0)
        return;
    memset(extra, 'x', sizeof(extra));
    if (reply_piece_text(rq, extra, sizeof(extra)) == 0)
        rp->stream_len += (int64_t)sizeof(extra);
}

void lie_instead(struct request *rq)
{
    struct reply *rp = &rq->reply;

    if (rp->status < 200 || rp->status >= 300)
        return;
    switch (rq->fault.lie) {
    case LIE_NONE:
        break;
    case LIE_BAD_JSON:
        if (!rp->streamed)
            buf_truncate(&rp->text, rp->text.len / 2);
        break;
    case LIE_HTML:
        reply_reset(rp);
        reply_text(rq, 200, "text/html; charset=utf-8", "<!doctype html><p>Welcome</p>\n");
        break;
    case LIE_ENDLESS:
        make_endless(rq);
        break;
    case LIE_WRONG_LENGTH:
        make_longer(rq);
        break;
    default:
        if (strncmp(rq->route->name, "listing", 7) == 0 || strcmp(rq->route->name, "info") == 0)
            (void)add_entry(&rp->text, rq->fault.lie); /* without memory the truth is told */
        break;
    }
}
