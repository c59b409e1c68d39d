/*
 * The bytes of a table: "dtshown2", then for each row 57 bytes, little-endian: dev, ino, mtime,
 * ctime, show_ino, show_mtime, show_ctime of 8 bytes each, and one of flags; behind them, of a link
 * of ours, SHOWN_DIGEST bytes.
 */
#include "fs/shown.h"
#include "util/keyedhash.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { MAGIC = 8, NUMBERS = 7, ROW = NUMBERS * 8 + 1 };
enum { FLAG_TIMES = 1 << 0, FLAG_OWN_LINK = 1 << 1, FLAGS = FLAG_TIMES | FLAG_OWN_LINK };

static const char magic[MAGIC + 1] = "dtshown2";

struct key {
    uint64_t dev, ino;
};

struct row {
    struct key key;
    struct shown s;
    UT_hash_handle hh;
};

struct shown_table {
    struct row *rows; /* in the order they were put */
};

struct shown_table *shown_new(void)
{
    return calloc(1, sizeof(struct shown_table));
}

struct shown_table *shown_free(struct shown_table *t)
{
    struct row *row, *next;

    if (!t)
        return NULL;
    HASH_ITER(hh, t->rows, row, next) {
        HASH_DEL(t->rows, row);
        free(row);
    }
    free(t);
    return NULL;
}

static struct row *find(const struct shown_table *t, uint64_t dev, uint64_t ino)
{
    const struct key key = {.dev = dev, .ino = ino};
    struct row *row;

    HASH_FIND(hh, t->rows, &key, sizeof(key), row);
    return row;
}

void shown_put(struct shown_table *t, const struct shown *s)
{
    struct row *row = find(t, s->dev, s->ino);

    if (!row && HASH_COUNT(t->rows) >= SHOWN_MAX)
        row = t->rows;
    if (row)
        HASH_DEL(t->rows, row);
    else
        row = malloc(sizeof(*row));
    if (!row)
        return;
    memset(row, 0, sizeof(*row));
    row->key = (struct key){.dev = s->dev, .ino = s->ino};
    row->s = *s;
    HASH_ADD(hh, t->rows, key, sizeof(row->key), row);
}

const struct shown *shown_find(const struct shown_table *t, uint64_t dev, uint64_t ino,
                               int64_t mtime_ns, int64_t ctime_ns)
{
    const struct row *row = find(t, dev, ino);

    return row && row->s.mtime_ns == mtime_ns && row->s.ctime_ns == ctime_ns ? &row->s : NULL;
}

size_t shown_count(const struct shown_table *t)
{
    return HASH_COUNT(t->rows);
}

/* ---- bytes ---- */

static void put_number(uint8_t **p, uint64_t v)
{
    for (int i = 0; i < 8; i++)
        (*p)[i] = (uint8_t)(v >> 8 * i);
    *p += 8;
}

static uint64_t get_number(const uint8_t **p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)(*p)[i] << 8 * i;
    *p += 8;
    return v;
}

static int encode_row(const struct shown *s, struct buf *out)
{
    uint8_t bytes[ROW + SHOWN_DIGEST], *p = bytes;

    put_number(&p, s->dev);
    put_number(&p, s->ino);
    put_number(&p, (uint64_t)s->mtime_ns);
    put_number(&p, (uint64_t)s->ctime_ns);
    put_number(&p, s->show_ino);
    put_number(&p, (uint64_t)s->show_mtime_ns);
    put_number(&p, (uint64_t)s->show_ctime_ns);
    *p++ = (uint8_t)((s->show_times ? FLAG_TIMES : 0) | (s->own_link ? FLAG_OWN_LINK : 0));
    if (s->own_link)
        p = mempcpy(p, s->target, SHOWN_DIGEST);
    return buf_append(out, bytes, (size_t)(p - bytes));
}

int shown_encode(const struct shown_table *t, struct buf *out)
{
    const size_t start = out->len;
    int r = buf_append(out, magic, MAGIC);

    for (const struct row *row = t->rows; r == 0 && row; row = row->hh.next)
        r = encode_row(&row->s, out);
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int shown_decode(struct shown_table *t, const void *p, size_t n)
{
    const uint8_t *at = p, *end = at + n;

    if (n < MAGIC || memcmp(p, magic, MAGIC) != 0)
        return -EBADMSG;
    for (at += MAGIC; end - at >= ROW;) {
        struct shown s = {0};

        s.dev = get_number(&at);
        s.ino = get_number(&at);
        s.mtime_ns = (int64_t)get_number(&at);
        s.ctime_ns = (int64_t)get_number(&at);
        s.show_ino = get_number(&at);
        s.show_mtime_ns = (int64_t)get_number(&at);
        s.show_ctime_ns = (int64_t)get_number(&at);
        s.show_times = *at & FLAG_TIMES;
        s.own_link = *at & FLAG_OWN_LINK;
        if ((*at++ & ~FLAGS) || s.ino == 0 || (s.own_link && end - at < SHOWN_DIGEST))
            return -EBADMSG;
        if (s.own_link) {
            memcpy(s.target, at, SHOWN_DIGEST);
            at += SHOWN_DIGEST;
        }
        shown_put(t, &s);
    }
    return at == end ? 0 : -EBADMSG;
}
