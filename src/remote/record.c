#include "remote/record.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* ---- fields: each takes its text and what follows it; all return false for anything odd ---- */

static bool take_number(const char **p, unsigned base, uint64_t max, char end, uint64_t *ret)
{
    const char *s = *p;
    uint64_t v = 0;

    if (*s < '0' || *s > '9')
        return false;
    for (; *s >= '0' && *s < (char)('0' + base); s++) {
        const uint64_t digit = (uint64_t)(*s - '0');

        if (v > (max - digit) / base)
            return false;
        v = v * base + digit;
    }
    if (*s != end)
        return false;
    *p = s + (end != '\0');
    *ret = v;
    return true;
}

static bool take_u32(const char **p, uint32_t *ret)
{
    uint64_t v;

    if (!take_number(p, 10, UINT32_MAX, ' ', &v))
        return false;
    *ret = (uint32_t)v;
    return true;
}

/*
 * "1700000000.1234567890". Before 1970 the fraction still counts forward: "-1.7500000000" is -0.25.
 * What int64_t cannot hold becomes its nearest.
 */
static bool take_time(const char **p, char end, int64_t *ret)
{
    const bool negative = **p == '-';
    const char *s = *p + negative;
    uint64_t sec, ns = 0;
    int digits = 0;

    if (!take_number(&s, 10, INT64_MAX, '.', &sec))
        return false;
    for (; *s >= '0' && *s <= '9'; s++, digits++)
        if (digits < 9)
            ns = ns * 10 + (uint64_t)(*s - '0');
    if (digits < 9 || *s != end)
        return false;
    *p = s + (end != '\0');
    if (sec >= INT64_MAX / NS_PER_S)
        *ret = negative ? INT64_MIN + 1 : INT64_MAX;
    else
        *ret = (negative ? -(int64_t)sec : (int64_t)sec) * NS_PER_S + (int64_t)ns;
    return true;
}

static bool take_type(const char **p, mode_t *ret)
{
    static const struct {
        char letter;
        mode_t type;
    } types[] = {{'f', S_IFREG},  {'d', S_IFDIR}, {'l', S_IFLNK}, {'p', S_IFIFO},
                 {'s', S_IFSOCK}, {'c', S_IFCHR}, {'b', S_IFBLK}};

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        if (**p == types[i].letter && (*p)[1] == ' ') {
            *ret |= types[i].type;
            *p += 2;
            return true;
        }
    }
    return false;
}

static bool decode_attr(const char *s, struct remote_attr *a)
{
    uint64_t mode;

    memset(a, 0, sizeof(*a));
    if (!take_number(&s, 10, UINT64_MAX, ' ', &a->dev) ||
        !take_number(&s, 10, UINT64_MAX, ' ', &a->ino) || !take_number(&s, 8, 07777, ' ', &mode))
        return false;
    a->mode = (mode_t)mode;
    return take_u32(&s, &a->nlink) && take_u32(&s, &a->uid) && take_u32(&s, &a->gid) &&
           take_number(&s, 10, INT64_MAX, ' ', &a->size) && take_type(&s, &a->mode) &&
           take_time(&s, ' ', &a->mtime_ns) && take_time(&s, ' ', &a->ctime_ns) &&
           take_time(&s, '\0', &a->atime_ns);
}

struct record {
    struct remote_attr attr;
    const char *name, *target; /* into the answer */
};

/* Bytes taken; 0: p does not hold a whole record; -EBADMSG: it is not one. */
static ssize_t decode_record(const char *p, size_t n, struct record *ret)
{
    const char *end = p + n, *s = p;
    const char *field[RECORD_FIELDS];

    for (size_t i = 0; i < RECORD_FIELDS; i++) {
        const char *nul = memchr(s, '\0', (size_t)(end - s));

        if (!nul)
            return 0;
        field[i] = s;
        s = nul + 1;
    }
    if (!decode_attr(field[0], &ret->attr))
        return -EBADMSG;
    ret->name = field[1];
    ret->target = S_ISLNK(ret->attr.mode) ? field[2] : NULL;
    if ((!ret->target && field[2][0]) || strlen(field[2]) > PATH_LEN_MAX)
        return -EBADMSG;
    return s - p;
}

int record_decode_one(const char *p, size_t n, struct remote_attr *ret, char **ret_target)
{
    struct record rec;
    char *target = NULL;

    if (n == 0 || decode_record(p, n, &rec) != (ssize_t)n || rec.name[0])
        return -EBADMSG;
    if (ret_target && rec.target) {
        target = strdup(rec.target);
        if (!target)
            return -ENOMEM;
    }
    *ret = rec.attr;
    if (ret_target)
        *ret_target = target;
    return 0;
}

/* Components that are names, at most depth of them. */
static bool name_ok(const char *name, unsigned depth)
{
    for (unsigned i = 0; i < depth; i++) {
        const size_t len = strcspn(name, "/");

        if (!path_name_valid(name, len))
            return false;
        if (name[len] == '\0')
            return true;
        name += len + 1;
    }
    return false;
}

static int add_entry(struct remote_list *list, size_t *cap, const struct record *rec)
{
    struct remote_entry *e;

    if (list->count == *cap) {
        const size_t more = *cap ? *cap * 2 : 64;

        e = realloc(list->v, more * sizeof(*e));
        if (!e)
            return -ENOMEM;
        list->v = e;
        *cap = more;
    }
    e = &list->v[list->count++];
    e->attr = rec->attr;
    e->name = strdup(rec->name);
    e->target = rec->target ? strdup(rec->target) : NULL;
    return e->name && (!rec->target || e->target) ? 0 : -ENOMEM;
}

static int by_name(const void *a, const void *b)
{
    const struct remote_entry *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

int record_check_list(const struct remote_list *list, unsigned depth)
{
    struct remote_entry **sorted = calloc(list->count + 1, sizeof(struct remote_entry *));
    int r = sorted ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < list->count; i++)
        sorted[i] = &list->v[i];
    if (r == 0)
        qsort(sorted, list->count, sizeof(struct remote_entry *), by_name);
    for (size_t i = 1; r == 0 && i < list->count; i++)
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0)
            r = -EBADMSG;
    for (size_t i = 0; r == 0 && depth > 1 && i < list->count; i++) {
        char *slash = strrchr(list->v[i].name, '/');
        struct remote_entry **parent;

        if (!slash)
            continue;
        struct remote_entry key = {.name =
                                       strndup(list->v[i].name, (size_t)(slash - list->v[i].name))};
        struct remote_entry *key_p = &key;

        if (!key.name) {
            r = -ENOMEM;
            break;
        }
        parent = bsearch(&key_p, sorted, list->count, sizeof(struct remote_entry *), by_name);
        if (!parent || *parent > &list->v[i] || !S_ISDIR((*parent)->attr.mode))
            r = -EBADMSG;
        free(key.name);
    }
    free(sorted);
    return r;
}

static bool is_hidden(const char *name, const char *hidden)
{
    return hidden && strncmp(path_base(name), hidden, strlen(hidden)) == 0;
}

static int decode_entries(const char *p, size_t n, unsigned depth, size_t max, const char *hidden,
                          struct remote_list *list)
{
    size_t cap = 0;
    struct record rec;
    ssize_t used;
    int r;

    for (; n > 0; p += used, n -= (size_t)used) {
        if (list->count == max) {
            list->cut = true;
            return 0;
        }
        used = decode_record(p, n, &rec);
        if (used <= 0 || !name_ok(rec.name, depth))
            return -EBADMSG;
        if (is_hidden(rec.name, hidden))
            continue;
        r = add_entry(list, &cap, &rec);
        if (r < 0)
            return r;
    }
    return 0;
}

int record_decode_list(const char *p, size_t n, unsigned depth, size_t max, const char *hidden,
                       struct remote_list *ret)
{
    struct remote_list list = {0};
    struct record self;
    const ssize_t used = n == 0 ? -1 : decode_record(p, n, &self);
    int r;

    if (used <= 0 || self.name[0])
        return -EBADMSG;
    if (!S_ISDIR(self.attr.mode))
        return -ENOTDIR;
    list.self = self.attr;
    if (max > RECORD_ENTRIES_MAX)
        max = RECORD_ENTRIES_MAX;
    r = decode_entries(p + used, n - (size_t)used, depth, max, hidden, &list);
    if (r == 0)
        r = record_check_list(&list, depth);
    if (r < 0)
        remote_list_done(&list);
    else
        *ret = list;
    return r;
}
