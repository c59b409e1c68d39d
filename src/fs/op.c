/* op.c - who changes names or attributes in the sandbox: one at a time for what they touch. */
#include "fs/fs_internal.h"

#include "util/array.h"

#include <errno.h>
#include <string.h>
#include <utlist.h>

static bool tree_covers(const struct slot *tree, const struct slot *s)
{
    return tree->tree && tree->node && s->dir && node_is_below_locked(s->dir, tree->node);
}

static bool slots_clash(const struct slot *a, const struct slot *b)
{
    if (a->dir == b->dir && strcmp(a->name, b->name) == 0)
        return true;
    return tree_covers(a, b) || tree_covers(b, a);
}

static bool ops_clash(const struct op *a, const struct op *b)
{
    for (unsigned i = 0; i < a->count; i++)
        for (unsigned k = 0; k < b->count; k++)
            if (slots_clash(&a->slot[i], &b->slot[k]))
                return true;
    return false;
}

static bool must_wait_locked(const struct fs *fs, const struct op *op)
{
    const struct op *other;

    DL_FOREACH(fs->ops, other)
        if (ops_clash(op, other))
            return true;
    return false;
}

static void start_locked(struct fs *fs, struct op *op)
{
    fs->seq++;
    for (unsigned i = 0; i < op->count; i++) {
        struct slot *s = &op->slot[i];

        if (s->dir)
            node_ref_locked(s->dir);
        if (s->node)
            node_ref_locked(s->node)->changing++;
    }
    DL_APPEND(fs->ops, op);
}

void op_end_locked(struct fs *fs, struct op *op)
{
    const uint64_t seq = ++fs->seq;

    lock_assert_held(&fs->lock);
    DL_DELETE(fs->ops, op);
    for (unsigned i = 0; i < op->count; i++) {
        struct slot *s = &op->slot[i];

        if (s->dir && op->names) {
            s->dir->dir->names_seq = seq;
            if (s->dir->dir->flight)
                flight_touch_locked(s->dir->dir->flight, s->name);
        }
        if (s->node) {
            s->node->changing--;
            s->node->changed_seq = seq;
        }
    }
    for (unsigned i = 0; i < op->count; i++) {
        node_unref_locked(fs, op->slot[i].node);
        node_unref_locked(fs, op->slot[i].dir);
    }
    fs_wake(fs);
}

bool op_touches_locked(const struct fs *fs, const struct node *dir, const char *name)
{
    const struct op *op;

    DL_FOREACH(fs->ops, op)
        for (unsigned i = 0; op->names && i < op->count; i++)
            if (op->slot[i].dir == dir && strcmp(op->slot[i].name, name) == 0)
                return true;
    return change_names_locked(fs, dir, name);
}

static struct slot slot_of_node(struct node *n)
{
    return (struct slot){.dir = n->parent, .name = n->name, .node = n};
}

static struct slot slot_of_name(struct node *dir, const char *name, bool tree)
{
    return (struct slot){
        .dir = dir, .name = name, .node = node_child_locked(dir, name), .tree = tree};
}

/* What an op is about; what is NULL is not. The slots follow from it, anew after each wait. */
struct want {
    struct node *n, *dir, *new_dir;
    const char *name, *new_name;
    bool tree;
};

static struct op op_for(const struct want *w)
{
    struct op op = {.names = w->dir != NULL};

    if (w->n)
        op.slot[op.count++] = slot_of_node(w->n);
    if (w->dir)
        op.slot[op.count++] = slot_of_name(w->dir, w->name, w->tree);
    if (w->new_dir)
        op.slot[op.count++] = slot_of_name(w->new_dir, w->new_name, w->tree);
    return op;
}

/* n, or what it is in, that may have another name in the sandbox. */
static struct node *unsure_locked(struct node *n)
{
    while (n && !n->unsure)
        n = n->parent;
    return n;
}

/* Until it is known what n's path is there. May wait. */
static int be_sure(struct fs *fs, struct node *n)
{
    struct node *at;
    int r = 0;

    for (unsigned i = 0; r == 0 && i < FS_TRIES && (at = unsure_locked(n)); i++) {
        node_ref_locked(at);
        r = tree_refresh(fs, at, fs_since(fs), false);
        node_unref_locked(fs, at);
        if (r == 0 && node_gone_locked(n))
            return 0; /* which is for the caller to see */
    }
    return r == 0 && unsure_locked(n) ? -EHOSTDOWN : r;
}

static int begin(struct fs *fs, struct op *op, const struct want *w)
{
    int r;

    for (;;) {
        r = be_sure(fs, w->n);
        if (r == 0)
            r = be_sure(fs, w->dir);
        if (r == 0)
            r = be_sure(fs, w->new_dir);
        *op = op_for(w);
        if (r == 0 && !must_wait_locked(fs, op))
            break;
        if (r == 0)
            r = fs_wait(fs);
        if (r < 0)
            return r;
    }
    start_locked(fs, op);
    return 0;
}

int op_begin_node(struct fs *fs, struct op *op, struct node *n)
{
    return begin(fs, op, &(struct want){.n = n});
}

int op_begin_name(struct fs *fs, struct op *op, struct node *dir, const char *name, bool tree)
{
    return begin(fs, op, &(struct want){.dir = dir, .name = name, .tree = tree});
}

int op_begin_rename(struct fs *fs, struct op *op, struct node *dir, const char *name,
                    struct node *new_dir, const char *new_name)
{
    return begin(
        fs, op,
        &(struct want){
            .dir = dir, .name = name, .new_dir = new_dir, .new_name = new_name, .tree = true});
}

int op_begin_link(struct fs *fs, struct op *op, struct node *n, struct node *dir, const char *name)
{
    return begin(fs, op, &(struct want){.n = n, .dir = dir, .name = name});
}

/* Until that is done a change would be journaled for a path that is about to go. */
static bool is_moving_locked(const struct fs *fs, const struct node *n)
{
    const struct op *op;

    DL_FOREACH(fs->ops, op)
        for (unsigned i = 0; i < op->count; i++)
            if (op->slot[i].tree && op->slot[i].node && node_is_below_locked(n, op->slot[i].node))
                return true;
    return false;
}

int op_await_path(struct fs *fs, struct node *n)
{
    int r = 0;

    while (r == 0 && is_moving_locked(fs, n))
        r = fs_wait(fs);
    return r < 0 ? r : be_sure(fs, n);
}

/* What a file system says when it did not do it. Anything else may have happened all the same. */
static const int refusals[] = {EACCES, EPERM,  ENOENT,       EEXIST,  ENOTDIR,    EISDIR, ENOTEMPTY,
                               ENOSPC, EDQUOT, EROFS,        EXDEV,   EMLINK,     EINVAL, EBUSY,
                               ELOOP,  EFBIG,  ENAMETOOLONG, ETXTBSY, EOPNOTSUPP, ENOMEM};

bool op_unknown(int err)
{
    for (size_t i = 0; i < ARRAY_LEN(refusals); i++)
        if (err == -refusals[i])
            return false;
    return err < 0;
}

bool op_maybe(int err)
{
    return op_unknown(err) && err != -EHOSTDOWN;
}

bool op_lost(int err)
{
    return op_unknown(err) && err != -EINTR && err != -EHOSTDOWN;
}
