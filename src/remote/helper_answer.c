#include "remote/helper_answer.h"
#include "remote/tree.h"

#include "util/base64.h"
#include "util/path.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int answer_text(const char *token, const char *out, size_t len, struct buf *ret_raw)
{
    const size_t n = strlen(token);
    const char *p = out, *end = out + len, *stop;
    int r;

    /* The command itself may be echoed: the token counts with its colon only. */
    for (;; p++) {
        p = len > 0 ? memmem(p, (size_t)(end - p), token, n) : NULL;
        if (!p)
            return -ENODATA;
        if (p + n < end && p[n] == ':')
            break;
    }
    p += n + 1;
    stop = memchr(p, ':', (size_t)(end - p));
    if (!stop || (size_t)(end - stop) < n + 1 || memcmp(stop + 1, token, n) != 0)
        return -EPROTO;
    r = base64_decode(ret_raw, p, (size_t)(stop - p));
    return r == -EBADMSG ? -EPROTO : r;
}

/* ---- frames ---- */

static int take_nothing(void *arg, const struct proto_frame *f)
{
    return 0;
}

int answer_walk(const struct buf *raw, int (*take)(void *arg, const struct proto_frame *f),
                void *arg, struct answer_end *ret, uint64_t *ret_entries)
{
    const uint8_t *p = (const uint8_t *)raw->data, *end = p + raw->len;
    struct proto_frame f;
    struct proto_end last;
    bool begun = false;

    while (raw->len > 0) {
        const ssize_t n = proto_get_frame(p, (size_t)(end - p), &f);
        int r;

        if (n <= 0)
            return -EPROTO;
        p += n;
        if (!begun) {
            if (proto_get_start(&f, &ret->start) < 0 ||
                memchr(ret->start.boot, '\0', ret->start.boot_len))
                return -EPROTO;
            begun = true;
            continue;
        }
        if (f.kind == PROTO_END) {
            if (p != end || proto_get_end(&f, &last) < 0)
                return -EPROTO;
            ret->err = -(int)last.err;
            ret->more = last.more;
            *ret_entries = last.entries;
            return 0;
        }
        r = take(arg, &f);
        if (r < 0)
            return r;
    }
    return -EPROTO;
}

int answer_check(const struct buf *raw, struct answer_end *ret)
{
    uint64_t entries;

    return answer_walk(raw, take_nothing, NULL, ret, &entries);
}

void answer_device(uint64_t dev, struct remote_attr *ret)
{
    const uint64_t device = (UINT64_C(1) << PROTO_DEVICE_BITS) - 1;

    ret->dev = dev & 1 ? dev & device : dev;
    ret->mount = dev & 1 ? (uint32_t)(dev >> PROTO_DEVICE_BITS) : 0;
}

static bool type_is_known(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
    case S_IFDIR:
    case S_IFLNK:
    case S_IFCHR:
    case S_IFBLK:
    case S_IFIFO:
    case S_IFSOCK:
        return true;
    default:
        return false;
    }
}

static int to_attr(const struct proto_entry *e, struct remote_attr *ret)
{
    if (!type_is_known(e->mode) || (e->mode & ~(mode_t)(S_IFMT | 07777)) ||
        S_ISLNK(e->mode) != (e->target != NULL))
        return -EPROTO;
    *ret = (struct remote_attr){
        .ino = e->ino,
        .size = e->size,
        .rdev = e->rdev,
        .mtime_ns = e->mtime_ns,
        .ctime_ns = e->ctime_ns,
        .mode = e->mode,
        .nlink = e->nlink,
        .uid = e->uid,
        .gid = e->gid,
        .birth = e->has_birth ? proto_birth(e->birth_ns) : 0,
    };
    answer_device(e->dev, ret);
    return 0;
}

/* ---- trees ---- */

struct tree_taker {
    struct remote_tree tree;
    const struct proto_request *req;
    const struct answer_hide *hide;
    uint64_t entries;   /* those that are not shown included */
    size_t path_len;    /* of the last directory */
    bool in_dir;        /* entries may come */
    const char *hidden; /* the name of hide->dir if it is in the last directory; NULL: it is not */
};

static bool path_is_fine(const char *path, size_t len)
{
    const char *end = path + len;

    while (len > 0) {
        const char *slash = memchr(path, '/', (size_t)(end - path));
        const char *stop = slash ? slash : end;

        if (!path_name_valid(path, (size_t)(stop - path)))
            return false;
        if (!slash)
            return true;
        path = slash + 1;
    }
    return true;
}

/* The last component of hide->dir if root/path is the directory that it is in. */
static const char *hidden_in(const struct answer_hide *hide, const char *root, const char *path)
{
    const size_t root_len = strcmp(root, "/") == 0 ? 0 : strlen(root);
    const char *p = hide && hide->dir ? hide->dir : "", *slash = strrchr(p, '/');

    if (!slash || strncmp(p, root, root_len) != 0 || p[root_len] != '/')
        return NULL;
    p += root_len;
    if (*path) {
        const size_t n = strlen(path);

        if (strncmp(p + 1, path, n) != 0)
            return NULL;
        p += 1 + n;
    }
    return p == slash ? slash + 1 : NULL;
}

static int take_dir(struct tree_taker *t, const struct proto_frame *f)
{
    struct proto_dir d;
    struct remote_dir *dir;
    struct remote_attr self;
    int r;

    if (proto_get_dir(f, &d) < 0 || !path_is_fine(d.path, d.path_len))
        return -EPROTO;
    if (d.err && t->in_dir && d.path_len == t->path_len &&
        memcmp(d.path, t->tree.dirs[t->tree.dir_count - 1].path, d.path_len) == 0) {
        tree_fail_dir(&t->tree, -d.err); /* what began well ended so */
        t->in_dir = false;
        return 0;
    }
    if (d.err == 0) {
        r = to_attr(&d.self, &self);
        if (r < 0 || d.self.name_len > 0 || !S_ISDIR(self.mode))
            return -EPROTO;
    }
    r = tree_add_dir(&t->tree, d.path, d.path_len, &dir);
    if (r < 0)
        return r;
    t->path_len = d.path_len;
    t->in_dir = d.err == 0;
    t->hidden = hidden_in(t->hide, t->req->root, dir->path);
    if (d.err) {
        dir->err = -d.err;
        return 0;
    }
    dir->whole = d.flags & PROTO_DIR_WHOLE;
    dir->self = self;
    return 0;
}

/* .daytonafs-, eight hexadecimal digits, and something behind a dash. */
static bool is_temporary(const char *name, size_t len)
{
    static const char start[] = ".daytonafs-";
    enum { START = sizeof(start) - 1, DIGITS = 8 };

    if (len <= START + DIGITS + 1 || memcmp(name, start, START) != 0)
        return false;
    for (size_t i = START; i < START + DIGITS; i++) {
        if (!isxdigit((unsigned char)name[i]))
            return false;
    }
    return name[START + DIGITS] == '-';
}

static bool is_hidden(const struct tree_taker *t, const struct proto_entry *e)
{
    if (t->hide && t->hide->temps && is_temporary(e->name, e->name_len))
        return true;
    return t->hidden && strlen(t->hidden) == e->name_len &&
           memcmp(t->hidden, e->name, e->name_len) == 0;
}

static int take_entries(struct tree_taker *t, const struct proto_frame *f)
{
    struct proto_in in = proto_in_frame(f);
    struct proto_entry e;
    struct remote_attr attr;

    if (!t->in_dir)
        return -EPROTO;
    while (in.p < in.end) {
        int r;

        if (!proto_get_entry(&in, &e) || e.name_len == 0 || to_attr(&e, &attr) < 0)
            return -EPROTO;
        t->entries++;
        if (is_hidden(t, &e))
            continue;
        r = tree_add_entry(&t->tree, e.name, e.name_len, e.target, e.target_len, &attr);
        if (r < 0)
            return r;
    }
    return 0;
}

static int take_space(const struct proto_frame *f, struct remote_statfs *ret)
{
    struct proto_statfs s;

    if (proto_get_statfs(f, &s) < 0)
        return -EPROTO;
    *ret = (struct remote_statfs){.block_size = s.block_size,
                                  .blocks = s.blocks,
                                  .blocks_free = s.blocks_free,
                                  .blocks_avail = s.blocks_avail,
                                  .files = s.files,
                                  .files_free = s.files_free};
    return 0;
}

static int take_tree(void *arg, const struct proto_frame *f)
{
    struct tree_taker *t = arg;

    switch (f->kind) {
    case PROTO_DIR:
        return take_dir(t, f);
    case PROTO_ENTRIES:
        return take_entries(t, f);
    case PROTO_STATFS:
        t->tree.has_space = true;
        return take_space(f, &t->tree.space);
    default:
        return -EPROTO;
    }
}

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

struct prefix {
    const char *p;
    size_t len;
};

static int by_prefix(const void *key, const void *member)
{
    const struct prefix *a = key;
    const char *b = *(const char *const *)member;
    const int c = strncmp(a->p, b, a->len);

    return c ? c : b[a->len] ? -1 : 0;
}

static bool is_among(const char *p, size_t len, const char **sorted, size_t count)
{
    const struct prefix key = {p, len};

    return bsearch(&key, sorted, count, sizeof(*sorted), by_prefix) != NULL;
}

/* Each directory was asked for, or, in a tree, the one that it is in is there. */
static int check_asked(const struct remote_tree *t, const struct proto_request *req)
{
    const char **asked = malloc((req->path_count + t->dir_count + 1) * sizeof(*asked));
    const char **found = asked ? asked + req->path_count : NULL;
    int r = 0;

    if (!asked)
        return -ENOMEM;
    for (size_t i = 0; i < req->path_count; i++)
        asked[i] = req->paths[i];
    for (size_t i = 0; i < t->dir_count; i++)
        found[i] = t->dirs[i].path;
    qsort(asked, req->path_count, sizeof(*asked), by_path);
    qsort(found, t->dir_count, sizeof(*found), by_path);
    for (size_t i = 0; i < t->dir_count && r == 0; i++) {
        const char *path = t->dirs[i].path, *slash = strrchr(path, '/');

        if (is_among(path, strlen(path), asked, req->path_count))
            continue;
        if (req->verb != PROTO_VERB_TREE || *path == '\0' ||
            !is_among(path, slash ? (size_t)(slash - path) : 0, found, t->dir_count))
            r = -EPROTO;
    }
    free(asked);
    return r;
}

int answer_tree(const struct buf *raw, const struct proto_request *req,
                const struct answer_hide *hide, struct remote_tree *ret)
{
    struct tree_taker t = {.req = req, .hide = hide};
    struct answer_end end;
    uint64_t entries;
    int r;

    r = answer_walk(raw, take_tree, &t, &end, &entries);
    if (r == 0)
        r = end.err;
    if (r == 0 && entries != t.entries)
        r = -EPROTO;
    if (r == 0)
        r = check_asked(&t.tree, req);
    if (r == 0)
        r = tree_settle(&t.tree);
    if (r == 0) {
        t.tree.now_ns = end.start.now_ns;
        t.tree.uptime_ns = end.start.uptime_ns;
        t.tree.more = end.more;
        t.tree.boot = tree_string(&t.tree, end.start.boot, end.start.boot_len);
        if (!t.tree.boot)
            r = -ENOMEM;
    }
    if (r < 0)
        remote_tree_done(&t.tree);
    else
        *ret = t.tree;
    return r;
}

/* ---- the small ones ---- */

struct one {
    enum proto_kind kind;
    const uint8_t *body;
    size_t len, count;
    int err; /* of a PROTO_DIR in its place */
};

static int take_one(void *arg, const struct proto_frame *f)
{
    struct one *one = arg;
    struct proto_dir failed;

    one->count++;
    if (one->kind == PROTO_FILE && f->kind == PROTO_DIR) {
        if (proto_get_dir(f, &failed) < 0 || failed.err == 0)
            return -EPROTO;
        one->err = -failed.err;
        return 0;
    }
    if (f->kind != one->kind)
        return -EPROTO;
    one->body = f->body;
    one->len = f->len;
    return 0;
}

/* The only frame of that kind, and nothing else. */
static int only(const struct buf *raw, enum proto_kind kind, struct answer_end *ret_end,
                struct proto_frame *ret)
{
    struct one one = {.kind = kind};
    uint64_t entries;
    int r = answer_walk(raw, take_one, &one, ret_end, &entries);

    if (r == 0)
        r = ret_end->err;
    if (r == 0 && one.count != 1)
        r = -EPROTO;
    if (r == 0)
        r = one.err;
    *ret = (struct proto_frame){.kind = kind, .body = one.body, .len = one.len};
    return r;
}

int answer_info(const struct buf *raw, struct answer_end *ret_end, struct proto_info *ret)
{
    struct proto_frame f;
    int r = only(raw, PROTO_INFO, ret_end, &f);

    if (r == 0 && (proto_get_info(&f, ret) < 0 || ret->uid > UINT32_MAX || ret->gid > UINT32_MAX))
        r = -EPROTO;
    return r;
}

int answer_statfs(const struct buf *raw, struct remote_statfs *ret)
{
    struct answer_end end;
    struct proto_frame f;
    const int r = only(raw, PROTO_STATFS, &end, &f);

    return r < 0 ? r : take_space(&f, ret);
}

/* A body that is one entry without a name. */
static int take_attr(const struct proto_frame *f, struct proto_entry *ret_entry,
                     struct remote_attr *ret)
{
    struct proto_in in = proto_in_frame(f);

    if (!proto_get_entry(&in, ret_entry) || !proto_in_done(&in) || ret_entry->name_len > 0)
        return -EPROTO;
    return to_attr(ret_entry, ret);
}

int answer_stat(const struct buf *raw, struct remote_attr *ret, char **ret_target)
{
    struct answer_end end;
    struct proto_entry e;
    struct proto_frame f;
    char *target = NULL;
    int r = only(raw, PROTO_FILE, &end, &f);

    if (r == 0)
        r = take_attr(&f, &e, ret);
    if (r == 0 && e.target) {
        target = strndup(e.target, e.target_len);
        if (!target)
            r = -ENOMEM;
    }
    if (r == 0)
        *ret_target = target;
    return r;
}

struct read_taker {
    struct buf *out;
    uint64_t next, left;
    struct remote_attr before, after;
    enum { READ_NOTHING, READ_BEGUN, READ_ENDED } state;
};

static int take_data(struct read_taker *t, const struct proto_frame *f)
{
    struct proto_in in = proto_in_frame(f);
    const uint64_t off = proto_get_uint(&in);
    size_t n;
    const char *p = proto_get_string(&in, PROTO_BODY_MAX, &n);

    if (t->state != READ_BEGUN || !proto_in_done(&in) || off != t->next || n > t->left)
        return -EPROTO;
    t->next += n;
    t->left -= n;
    return buf_append(t->out, p, n);
}

static int take_read(void *arg, const struct proto_frame *f)
{
    struct read_taker *t = arg;
    struct proto_entry e;

    if (f->kind == PROTO_FILE && t->state == READ_NOTHING) {
        t->state = READ_BEGUN;
        return take_attr(f, &e, &t->before);
    }
    if (f->kind == PROTO_FILE_END && t->state == READ_BEGUN) {
        t->state = READ_ENDED;
        return take_attr(f, &e, &t->after);
    }
    return f->kind == PROTO_DATA ? take_data(t, f) : -EPROTO;
}

int answer_read(const struct buf *raw, uint64_t off, uint64_t len, struct buf *out,
                struct remote_attr *ret)
{
    const size_t start = out->len;
    struct read_taker t = {.out = out, .next = off, .left = len};
    struct answer_end end;
    uint64_t entries;
    int r = answer_walk(raw, take_read, &t, &end, &entries);

    if (r == 0)
        r = end.err;
    if (r == 0 && (t.state != READ_ENDED || !S_ISREG(t.before.mode)))
        r = -EPROTO;
    if (r == 0 && !remote_attr_same(&t.before, &t.after))
        r = -ESTALE;
    if (r == 0 && t.left > 0 && t.next < t.before.size) /* short, and that not at the end */
        r = -EPROTO;
    if (r == 0)
        *ret = t.before;
    else
        buf_truncate(out, start);
    return r;
}
