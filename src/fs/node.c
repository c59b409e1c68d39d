/* node.c - nodes: made, counted, found, moved, and let go. */
#include "fs/fs_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

/*
 * A file that was saved by a put has another inode in the sandbox, but shows the old number. The
 * sandbox may give that number to another file at once, and two different files with one number
 * are "the same file" to cp and diff: so who shows which borrowed number is known here.
 */
struct taken_ino {
    uint64_t ino;
    unsigned nodes;
    UT_hash_handle hh;
};

static void ino_release_locked(struct fs *fs, uint64_t ino)
{
    struct taken_ino *t;

    HASH_FIND(hh, fs->taken_inos, &ino, sizeof(ino), t);
    if (t && --t->nodes == 0) {
        HASH_DEL(fs->taken_inos, t);
        free(t);
    }
}

/* Is it where the other names of its file find it? */
static bool is_indexed(const struct node *n)
{
    return n->attached && n->parent && !n->dir;
}

static void show_ino_locked(struct fs *fs, struct node *n, uint64_t ino)
{
    struct taken_ino *t;

    if (n->shown_ino != 0)
        ino_release_locked(fs, n->shown_ino);
    n->shown_ino = 0;
    if (ino == 0)
        return;
    HASH_FIND(hh, fs->taken_inos, &ino, sizeof(ino), t);
    if (!t) {
        t = calloc(1, sizeof(*t));
        if (!t)
            return; /* the number changes: only less pretty */
        t->ino = ino;
        HASH_ADD(hh, fs->taken_inos, ino, sizeof(t->ino), t);
    }
    t->nodes++;
    n->shown_ino = ino;
}

void node_show_ino_locked(struct fs *fs, struct node *n, uint64_t ino)
{
    const bool by_it = is_indexed(n) && n->attr.ino == 0;

    if (n->shown_ino == ino)
        return;
    if (by_it)
        index_remove(&fs->by_file, n);
    show_ino_locked(fs, n, ino);
    if (by_it)
        index_add(&fs->by_file, n);
}

static void avoid_taken_ino_locked(struct fs *fs, struct node *n)
{
    struct taken_ino *t;

    HASH_FIND(hh, fs->taken_inos, &n->attr.ino, sizeof(n->attr.ino), t);
    if (t)
        node_show_ino_locked(fs, n, show_own_ino(n));
}

static struct node_dir *new_dir(struct fs *fs, struct node *n)
{
    struct node_dir *d = calloc(1, sizeof(*d));

    if (d) {
        d->fs = fs;
        d->node = n;
        d->list_ns = d->fail_ns = d->covered_ns = FS_NEVER;
    }
    return d;
}

static struct fs *fs_of(const struct node *n)
{
    return n->dir ? n->dir->fs : n->parent->dir->fs;
}

/* What an allocation costs beside its bytes, and what the indices have for a node. */
enum { ALLOC_BYTES = 16, INDEX_BYTES = CHAINS * sizeof(struct node *) };

static size_t text_bytes(const char *p)
{
    return p ? strlen(p) + 1 + ALLOC_BYTES : 0;
}

static size_t bytes_of(const struct node *n)
{
    return sizeof(*n) + ALLOC_BYTES + INDEX_BYTES + text_bytes(n->name) + text_bytes(n->target) +
           (n->dir ? sizeof(*n->dir) + ALLOC_BYTES : 0) +
           (n->file ? sizeof(*n->file) + ALLOC_BYTES : 0);
}

static void attach_locked(struct node *n, struct node *dir)
{
    struct fs *fs = dir->dir->fs;

    n->parent = node_ref_locked(dir);
    n->attached = true;
    n->name_hash = index_hash_name(fs, dir, n->name);
    index_add(&fs->by_name, n);
    if (!n->dir)
        index_add(&fs->by_file, n);
    DL_APPEND(dir->dir->children, n);
    dir->dir->count++;
    dir->dir->version++;
}

struct node *node_new_locked(struct fs *fs, struct node *dir, const char *name,
                             const struct remote_attr *attr)
{
    const size_t len = strlen(name);
    struct node *n = calloc(1, sizeof(*n) + len + 1);

    lock_assert_held(&fs->lock);
    if (!n)
        return NULL;
    if (S_ISDIR(attr->mode)) {
        n->dir = new_dir(fs, n);
        if (!n->dir) {
            free(n);
            return NULL;
        }
    }
    n->name = memcpy(n->first_name, name, len + 1);
    n->id = fs->next_id++;
    n->attr.dev = dir ? dir->attr.dev : 0;
    n->attr.mount = dir ? dir->attr.mount : 0;
    node_set_attr_locked(n, attr);
    n->attr_ns = n->suspect_ns = FS_NEVER;
    n->attached = true;
    avoid_taken_ino_locked(fs, n);
    remember_recall_locked(fs, n);
    index_add(&fs->by_id, n);
    fs->meta_bytes += bytes_of(n);
    if (dir)
        attach_locked(n, dir);
    return n;
}

struct node *node_ref_locked(struct node *n)
{
    n->refs++;
    return n;
}

static struct node *find_locked(struct fs *fs, uint64_t ino)
{
    lock_assert_held(&fs->lock);
    return index_find_id(&fs->by_id, ino);
}

/* Who looks at a directory, or at something in it, is likely to look again. */
static void use_locked(struct fs *fs, struct node *n)
{
    struct node_dir *d = n->dir ? n->dir : n->parent ? n->parent->dir : NULL;

    if (!fs->serves)
        return;
    fs->used_ns = clock_mono_ns();
    if (!d)
        return;
    d->round = fs->round;
    d->asked = false;
    if (d->used)
        return;
    d->used = true;
    DL_APPEND2(fs->used, d, used_prev, used_next);
}

struct node *node_find_locked(struct fs *fs, uint64_t ino)
{
    struct node *n = find_locked(fs, ino);

    if (!n)
        return NULL;
    use_locked(fs, n);
    return node_ref_locked(n);
}

struct node *node_child_locked(const struct node *dir, const char *name)
{
    const struct fs *fs = dir->dir ? dir->dir->fs : NULL;

    if (!fs)
        return NULL;
    return index_find_name(&fs->by_name, index_hash_name(fs, dir, name), dir, name);
}

static void take_from_parent_locked(struct node *n)
{
    if (n->attached && n->parent) {
        index_remove(&n->parent->dir->fs->by_name, n);
        if (!n->dir)
            index_remove(&n->parent->dir->fs->by_file, n);
        DL_DELETE(n->parent->dir->children, n);
        n->parent->dir->count--;
        n->parent->dir->version++;
    }
    n->attached = false;
}

static bool idle_locked(const struct node *n)
{
    return n->nlookup == 0 && n->refs == 0;
}

/* Not in its parent's children any more. Returns the parent, whose reference is now the caller's.
 */
static struct node *free_node_locked(struct fs *fs, struct node *n)
{
    struct node *parent = n->parent;

    index_remove(&fs->by_id, n);
    if (is_indexed(n))
        index_remove(&fs->by_file, n);
    n->attached = false;
    fs->meta_bytes -= bytes_of(n);
    node_show_ino_locked(fs, n, 0);
    if (n->dir && n->dir->in_lru)
        DL_DELETE(fs->lru, n->dir);
    if (n->dir && n->dir->used)
        DL_DELETE2(fs->used, n->dir, used_prev, used_next);
    if (n->file)
        data_set_blob_locked(n->file, NULL);
    free(n->dir);
    free(n->file);
    free(n->ours);
    free(n->target);
    if (n->name != n->first_name)
        free(n->name);
    free(n);
    return parent;
}

/* A detached node goes with its last reference, and with it its parent's turn may come. */
static void free_if_done_locked(struct fs *fs, struct node *n)
{
    while (n && idle_locked(n) && !n->attached) {
        n = free_node_locked(fs, n);
        if (n)
            n->refs--;
    }
}

struct node *node_unref_locked(struct fs *fs, struct node *n)
{
    if (!n)
        return NULL;
    lock_assert_held(&fs->lock);
    n->refs--;
    free_if_done_locked(fs, n);
    return NULL;
}

void fs_forget(struct fs *fs, uint64_t ino, uint64_t count)
{
    struct node *n;

    fs_lock(fs);
    n = find_locked(fs, ino);
    if (n) {
        n->nlookup -= count < n->nlookup ? count : n->nlookup;
        if (n->attached && n->nlookup == 0 && (n->leaving || fs->meta_bytes > fs->meta_max))
            node_leave_locked(fs, n);
        else
            free_if_done_locked(fs, n);
    }
    fs_unlock(fs);
}

void node_detach_locked(struct fs *fs, struct node *n)
{
    lock_assert_held(&fs->lock);
    take_from_parent_locked(n);
    free_if_done_locked(fs, n);
}

int node_move_locked(struct fs *fs, struct node *n, struct node *dir, const char *name)
{
    char *copy = strdup(name);
    struct node *before = n->parent;

    lock_assert_held(&fs->lock);
    if (!copy)
        return -ENOMEM;
    take_from_parent_locked(n);
    fs->meta_bytes -= text_bytes(n->name);
    if (n->name != n->first_name)
        free(n->name);
    n->name = copy;
    fs->meta_bytes += text_bytes(n->name);
    attach_locked(n, dir);
    node_unref_locked(fs, before);
    return 0;
}

void node_attach_again_locked(struct node *n)
{
    struct node *dir = n->parent;

    attach_locked(n, dir);
    dir->refs--; /* of the two that n has by now */
}

bool node_gone_locked(const struct node *n)
{
    for (; n; n = n->parent)
        if (!n->attached)
            return true;
    return false;
}

bool node_is_below_locked(const struct node *n, const struct node *top)
{
    for (; n; n = n->parent)
        if (n == top)
            return true;
    return false;
}

/* Two passes from the node to the root: how long, then the names from the end. */
int node_path_in_locked(struct fs *fs, const struct node *dir, const char *name, char **ret)
{
    const size_t root_len = strcmp(fs->root_path, "/") == 0 ? 0 : strlen(fs->root_path);
    size_t len = root_len + (name ? strlen(name) + 1 : 0);
    const struct node *n;
    char *path, *p;

    for (n = dir; n->parent; n = n->parent)
        len += strlen(n->name) + 1;
    if (len == 0) {
        *ret = strdup("/");
        return *ret ? 0 : -ENOMEM;
    }
    if (len > PATH_LEN_MAX)
        return -ENAMETOOLONG;
    path = malloc(len + 1);
    if (!path)
        return -ENOMEM;
    p = path + len;
    *p = '\0';
    for (n = dir; name || n->parent; name = NULL) {
        const char *part = name ? name : n->name;
        const size_t part_len = strlen(part);

        p -= part_len;
        memcpy(p, part, part_len);
        *--p = '/';
        if (!name)
            n = n->parent;
    }
    memcpy(path, fs->root_path, root_len);
    *ret = path;
    return 0;
}

int node_path_locked(struct fs *fs, const struct node *n, char **ret)
{
    lock_assert_held(&fs->lock);
    return node_path_in_locked(fs, n, NULL, ret);
}

struct node_file *node_file_locked(struct node *n)
{
    if (!n->file) {
        n->file = calloc(1, sizeof(*n->file));
        if (n->file) {
            n->file->node = n;
            fs_of(n)->meta_bytes += sizeof(*n->file) + ALLOC_BYTES;
        }
    }
    return n->file;
}

void node_set_attr_locked(struct node *n, const struct remote_attr *attr)
{
    const uint64_t dev = attr->dev == 0 && attr->ino != 0 ? n->attr.dev : attr->dev;
    const bool moves = is_indexed(n) && (n->attr.ino != attr->ino || n->attr.dev != dev);
    const uint32_t mount = attr->mount ? attr->mount : n->attr.mount;
    uint32_t birth = attr->birth;

    if (moves)
        index_remove(&fs_of(n)->by_file, n);
    if (attr->birth == 0 && n->attr.ino == attr->ino && n->attr.dev == dev)
        birth = n->attr.birth;
    n->attr = *attr;
    n->attr.dev = dev;
    n->attr.mount = mount;
    n->attr.birth = birth;
    if (moves)
        index_add(&fs_of(n)->by_file, n);
}

static void set_object_locked(struct node *n, const struct remote_attr *now)
{
    struct remote_attr attr = n->attr;

    attr.dev = now->dev;
    attr.ino = now->ino;
    attr.birth = now->birth;
    node_set_attr_locked(n, &attr);
}

void node_born_locked(struct fs *fs, struct node *n, const struct remote_attr *now)
{
    struct node *other;

    if (n->attr.ino != now->ino || n->attr.dev != now->dev) {
        if (n->shown_ino == 0 && n->attr.ino != now->ino)
            node_show_ino_locked(fs, n, n->attr.ino);
        while (n->attr.ino == 0 && now->ino != 0 && (other = links_next_locked(fs, n, NULL)))
            set_object_locked(other, now);
    }
    set_object_locked(n, now);
}

void node_set_target_locked(struct node *n, char *target)
{
    fs_of(n)->meta_bytes -= text_bytes(n->target);
    free(n->target);
    n->target = target;
    fs_of(n)->meta_bytes += text_bytes(n->target);
}

bool node_local(const struct node *n)
{
    return n->file && n->file->local;
}

bool node_unsent(const struct node *n)
{
    return node_local(n) && !n->deleted;
}

uint64_t node_size(const struct node *n)
{
    return node_local(n) ? n->file->size : n->attr.size;
}

void node_free_all_locked(struct fs *fs)
{
    struct node *next = fs->by_id.v ? index_next(&fs->by_id, NULL) : NULL, *n;

    lock_assert_held(&fs->lock);
    while ((n = next) != NULL) {
        next = index_next(&fs->by_id, n);
        remember_node_locked(fs, n);
        (void)free_node_locked(fs, n);
    }
}
