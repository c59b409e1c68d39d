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
    return false;
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

int op_begin_node(struct fs *fs, struct op *op, struct node *n)
{
    for (;;) {
        int r;

        *op = (struct op){.count = 1, .slot[0] = slot_of_node(n)};
        if (!must_wait_locked(fs, op))
            break;
        r = fs_wait(fs);
        if (r < 0)
            return r;
    }
    start_locked(fs, op);
    return 0;
}

int op_begin_name(struct fs *fs, struct op *op, struct node *dir, const char *name, bool tree)
{
    for (;;) {
        int r;

        *op = (struct op){.count = 1, .names = true, .slot[0] = slot_of_name(dir, name, tree)};
        if (!must_wait_locked(fs, op))
            break;
        r = fs_wait(fs);
        if (r < 0)
            return r;
    }
    start_locked(fs, op);
    return 0;
}

int op_begin_rename(struct fs *fs, struct op *op, struct node *dir, const char *name,
                    struct node *new_dir, const char *new_name)
{
    for (;;) {
        int r;

        *op = (struct op){.count = 2,
                          .names = true,
                          .slot[0] = slot_of_name(dir, name, true),
                          .slot[1] = slot_of_name(new_dir, new_name, true)};
        if (!must_wait_locked(fs, op))
            break;
        r = fs_wait(fs);
        if (r < 0)
            return r;
    }
    start_locked(fs, op);
    return 0;
}

int op_begin_link(struct fs *fs, struct op *op, struct node *n, struct node *dir, const char *name)
{
    for (;;) {
        int r;

        *op = (struct op){.count = 2,
                          .names = true,
                          .slot[0] = slot_of_node(n),
                          .slot[1] = slot_of_name(dir, name, false)};
        if (!must_wait_locked(fs, op))
            break;
        r = fs_wait(fs);
        if (r < 0)
            return r;
    }
    start_locked(fs, op);
    return 0;
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

bool op_lost(int err)
{
    return op_unknown(err) && err != -EINTR && err != -EHOSTDOWN;
}
