/*
 * The pure parts of ctl against models. The first byte picks one, the others are what happens:
 * a descriptor that writes, seeks and reads; a stream that is read in pieces; two listings.
 */
#include "ctl/ctltext.h"
#include "ctl/spool.h"
#include "ctl/talk.h"
#include "ctl/treediff.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(int holds)
{
    if (!holds)
        abort();
}

/* ---- talk: whoever reads on from where an answer starts gets it all, in order ---- */

static void talk(const uint8_t *p, size_t n)
{
    enum { QUESTION_MAX = 64 };
    struct talk t;
    uint64_t off = 0, at = 0; /* the descriptor's offset; the answer's byte that is due there */
    size_t len = 0;           /* of the question */
    bool asked = false, refused = false;

    talk_init(&t, QUESTION_MAX);
    for (size_t i = 0; i + 1 < n; i += 2) {
        const unsigned arg = p[i + 1];

        switch (p[i] % 4) {
        case 0: /* write */
            if (asked && arg > 0)
                len = 0;
            refused = refused || (arg > 0 && len + arg > QUESTION_MAX);
            must(talk_write(&t, off,
                            "................................................................"
                            "................................................................"
                            "................................................................"
                            "................................................................",
                            arg) == (refused ? -EFBIG : 0));
            if (!refused && arg > 0) {
                len += arg;
                off += arg;
                at = 0;
                asked = false;
                must(t.text.len == len && t.state == TALK_PENDING);
            }
            break;
        case 1: /* close of a descriptor */
            must(talk_ask(&t) == (!refused && !asked && len > 0));
            asked = !refused && len > 0;
            break;
        case 2: /* read */
            if (asked) {
                must(talk_position(&t, off, 0) == at);
                off += arg;
                at += arg;
            }
            break;
        case 3: /* seek back */
            if (asked && arg <= at) {
                off -= arg;
                at -= arg;
            } else if (asked && off > arg) { /* to before the answer: it starts over there */
                off = off - at > 0 ? (off - at - 1) : off;
                at = off < (uint64_t)t.origin ? 0 : at;
            }
            break;
        }
    }
    talk_done(&t);
}

/* ---- spool: lines come in order, whole, and a gap is announced ---- */

static void spool(const uint8_t *p, size_t n)
{
    static char line[SPOOL_MAX + 2], got[SPOOL_MAX];
    unsigned next = 0, seen = 0;
    struct buf text = BUF_INIT(1 << 24);
    struct spool s;
    uint64_t at = 0;

    spool_init(&s);
    memset(line, '.', sizeof(line));
    for (size_t i = 0; i + 1 < n && next < 400; i += 2) {
        if (p[i] % 3 == 0) {
            const size_t len = 12 + (size_t)p[i + 1] * 200;

            (void)snprintf(line, sizeof(line), "%010u", next++);
            line[10] = '.';
            line[len - 1] = '\n';
            if (spool_add(&s, line, len) == -ENOBUFS)
                must(spool_lose(&s, "lost\n", 5) == 0);
            line[len - 1] = '.';
        } else {
            const size_t got_len = spool_read(&s, at, got, 1 + (size_t)p[i + 1] * p[i]);

            must(got_len > 0 || !spool_unread(&s));
            must(buf_append(&text, got, got_len) == 0);
            at += got_len;
        }
        must(s.kept.len <= SPOOL_MAX + 5 && s.first <= s.cursor && s.cursor <= spool_end(&s));
        must(s.cursor == at);
    }
    for (const char *q = buf_str(&text), *end; (end = strchr(q, '\n')); q = end + 1) {
        if (strncmp(q, "lost", 4) == 0) {
            seen = UINT32_MAX;
            continue;
        }
        const unsigned number = (unsigned)strtoul(q, NULL, 10);

        must(seen == UINT32_MAX || number == seen);
        seen = number + 1;
    }
    buf_done(&text);
    spool_done(&s);
}

/* ---- treediff: whoever follows the events ends up with the names that are there ---- */

enum { NODES = 24, NAME = 200, RENAMES = 64 };

struct node {
    char name[NAME];
    struct remote_attr attr;
};

struct follower {
    char names[4 * NODES][NAME];
    size_t count;
    char renames[RENAMES][2][NAME];
    size_t rename_count;
    const struct tree *before;
};

/* Each byte pair adds an entry to a directory that is there. */
static const uint8_t *grow(const uint8_t *p, const uint8_t *end, struct node *nodes,
                           struct tree_entry *v, struct tree *t)
{
    size_t count = 0;

    for (; end - p >= 2 && *p != '|' && count < NODES; p += 2) {
        const size_t dir = count ? p[0] % 16 % count : 0;
        const bool top = count == 0 || !S_ISDIR(nodes[dir].attr.mode) || p[0] & 0x10 ||
                         strlen(nodes[dir].name) > NAME - 10;

        (void)snprintf(nodes[count].name, NAME, "%.*s%s%c", NAME - 10, top ? "" : nodes[dir].name,
                       top ? "" : "/", 'a' + p[1] % 4);
        nodes[count].attr = (struct remote_attr){.dev = 1,
                                                 .ino = p[1] / 4 % 16,
                                                 .mtime_ns = p[0] & 0x40,
                                                 .mode = p[1] & 0x40 ? S_IFREG : S_IFDIR};
        v[count] = (struct tree_entry){nodes[count].name, &nodes[count].attr};
        for (size_t i = 0; i < count; i++) /* a name is one kind of thing */
            if (strcmp(nodes[i].name, nodes[count].name) == 0)
                nodes[count].attr = nodes[i].attr;
        count++;
    }
    t->v = v;
    t->count = count;
    tree_sort(t);
    return end - p > 0 ? p + 1 : p;
}

static bool below(const char *name, const char *dir)
{
    const size_t n = strlen(dir);

    return strncmp(name, dir, n) == 0 && (name[n] == '/' || name[n] == '\0');
}

static void move(char *name, const char *from, const char *to)
{
    char moved[2 * NAME];

    (void)snprintf(moved, sizeof(moved), "%s%s", to, name + strlen(from));
    must(strlen(moved) < NAME);
    strcpy(name, moved);
}

static size_t find(const struct follower *f, const char *name)
{
    size_t i = 0;

    while (i < f->count && strcmp(f->names[i], name) != 0)
        i++;
    return i;
}

static void drop(struct follower *f, size_t i)
{
    must(i < f->count);
    memmove(f->names[i], f->names[--f->count], NAME);
}

static int follow(void *arg, enum tree_event event, const char *name, const char *new_name)
{
    struct follower *f = arg;
    char from[NAME];
    size_t i;

    switch (event) {
    case TREE_DELETE:
        drop(f, find(f, name));
        break;
    case TREE_CREATE:
        must(find(f, name) == f->count && f->count < 4 * NODES);
        strcpy(f->names[f->count++], name);
        break;
    case TREE_MODIFY:
        must(find(f, name) < f->count);
        break;
    case TREE_RENAME:
        strcpy(from, name);
        for (i = 0; i < f->rename_count; i++) /* its directory may have moved by now */
            if (below(from, f->renames[i][0]))
                move(from, f->renames[i][0], f->renames[i][1]);
        must(find(f, from) < f->count && f->rename_count < RENAMES);
        if (find(f, new_name) < f->count)
            drop(f, find(f, new_name));
        for (i = 0; i < f->count; i++)
            if (below(f->names[i], from))
                move(f->names[i], from, new_name);
        strcpy(f->renames[f->rename_count][0], from);
        strcpy(f->renames[f->rename_count++][1], new_name);
        break;
    }
    return 0;
}

static void diff(const uint8_t *p, size_t n)
{
    static struct node old_nodes[NODES], new_nodes[NODES];
    static struct follower f;
    struct tree_entry old_v[NODES], new_v[NODES];
    struct tree before = {0}, after = {0};
    const uint8_t *end = p + n;

    p = grow(p, end, old_nodes, old_v, &before);
    (void)grow(p, end, new_nodes, new_v, &after);
    f.count = f.rename_count = 0;
    for (size_t i = 0; i < before.count; i++)
        strcpy(f.names[f.count++], before.v[i].name);
    must(tree_diff(&before, &after, follow, &f) == 0);
    must(f.count == after.count);
    for (size_t i = 0; i < after.count; i++)
        must(find(&f, after.v[i].name) < f.count);
}

/* ---- spelling ---- */

static void spell(const uint8_t *p, size_t n)
{
    struct buf out = BUF_INIT(1 << 20), text = BUF_INIT(1 << 20);
    char *path = NULL;

    must(ctltext_escape(&out, (const char *)p, n) == 0);
    for (size_t i = 0; i < out.len; i++)
        must((unsigned char)out.data[i] >= 0x20 && out.data[i] != 0x7f);
    must(buf_append(&text, p, n) == 0);
    must(ctltext_json(&out, buf_str(&text)) == 0);
    if (ctltext_path(buf_str(&text), n, &path) == 0)
        must(strlen(path) > 0 && strlen(path) <= n);
    free(path);
    for (size_t i = 0, len; i < n; i += len) {
        len = ctltext_line((const char *)p + i, n - i);
        must(len > 0 && len <= n - i);
    }
    buf_done(&text);
    buf_done(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static void (*const parts[])(const uint8_t *, size_t) = {talk, spool, diff, spell};

    if (n > 0)
        parts[p[0] % 4](p + 1, n - 1);
    return 0;
}
