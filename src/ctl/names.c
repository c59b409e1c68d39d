/*
 * names.c - names, and what they stand for. A node is one name that somebody uses: the kernel, an
 * open file, a node below it. Those of rows outside of any entry live as long as ctl; the others
 * are made when they are looked up, and asked for again each time, since entries come and go.
 */
#include "ctl/ctl_internal.h"
#include "util/path.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LIST_MAX = 100000 };

/* ---- nodes ---- */

struct ctl_node *ctl_node_ref_locked(struct ctl_node *n)
{
    n->refs++;
    return n;
}

static void forget_name_locked(struct ctl_node *n)
{
    if (n->named)
        HASH_DELETE(by_name, n->parent->children, n);
    n->named = false;
}

static void free_locked(struct ctl *ctl, struct ctl_node *n)
{
    forget_name_locked(n);
    HASH_DELETE(by_ino, ctl->nodes, n);
    if (n->release)
        n->release(n->obj);
    free(n->name);
    free(n);
}

void ctl_node_unref_locked(struct ctl *ctl, struct ctl_node *n)
{
    while (n && --n->refs == 0) {
        struct ctl_node *parent = n->parent;

        free_locked(ctl, n);
        n = parent;
    }
}

/* A node with one reference and, with hash, a name in its parent. entry: what was found; NULL: it
 * is one of the parent's rows. */
static struct ctl_node *new_locked(struct ctl *ctl, struct ctl_node *parent, const char *name,
                                   const struct ctl_row *row, const struct ctl_entry *entry,
                                   bool hash)
{
    struct ctl_node *n = calloc(1, sizeof(*n));

    if (!n)
        return NULL;
    n->name = strdup(name);
    if (!n->name) {
        free(n);
        return NULL;
    }
    n->refs = 1;
    n->ino = ctl->next_ino++;
    n->row = row;
    n->within = entry || (parent && parent->within);
    if (entry) {
        n->entry = true;
        n->obj = entry->obj;
        n->id = entry->id;
        n->release = parent->row->dir->release;
    } else if (parent) {
        n->obj = row->obj ? (void *)(uintptr_t)row->obj : parent->obj;
    }
    if (parent)
        n->parent = ctl_node_ref_locked(parent);
    HASH_ADD(by_ino, ctl->nodes, ino, sizeof(n->ino), n);
    if (hash) {
        HASH_ADD_KEYPTR(by_name, parent->children, n->name, strlen(n->name), n);
        n->named = true;
    }
    return n;
}

struct ctl_node *ctl_node_nameless(struct ctl *ctl, struct ctl_node *from,
                                   const struct ctl_entry *entry)
{
    struct ctl_node *n;

    lock_take(&ctl->lock);
    n = new_locked(ctl, from->parent, from->name, entry->row, entry, false);
    if (!n && from->parent->row->dir->release)
        from->parent->row->dir->release(entry->obj);
    lock_drop(&ctl->lock);
    return n;
}

/* Rows outside of any entry: their references are never given back before the end. */
static int plant(struct ctl *ctl, struct ctl_node *dir)
{
    for (const struct ctl_row *row = dir->row->rows; row && row->name; row++) {
        struct ctl_node *n = new_locked(ctl, dir, row->name, row, NULL, true);

        if (!n || (row->kind == CTL_DIR && plant(ctl, n) < 0))
            return -ENOMEM;
    }
    return 0;
}

/* The last answer of a file. */
static void drop_last_locked(struct ctl *ctl, struct ctl_node *n)
{
    struct answer *last = n->last;

    if (n->kept) {
        DL_DELETE(ctl->kept, n);
        ctl->kept_count--;
        n->kept = false;
    }
    n->last = NULL;
    answer_unref_locked(ctl, last);
}

int ctl_nodes_init(struct ctl *ctl)
{
    struct ctl_node *root;

    ctl->next_ino = CTL_ROOT;
    root = new_locked(ctl, NULL, "", ctl->root, NULL, false);
    return root ? plant(ctl, root) : -ENOMEM;
}

void ctl_nodes_free(struct ctl *ctl)
{
    struct ctl_node *n, *tmp;

    while (ctl->kept)
        drop_last_locked(ctl, ctl->kept);
    HASH_ITER(by_ino, ctl->nodes, n, tmp) { /* whatever the kernel still refers to */
        answer_unref_locked(ctl, n->last);
        n->last = NULL;
    }
    HASH_ITER(by_ino, ctl->nodes, n, tmp) {
        HASH_CLEAR(by_name, n->children);
        n->named = false;
    }
    HASH_ITER(by_ino, ctl->nodes, n, tmp)
        free_locked(ctl, n);
}

static struct ctl_node *by_ino_locked(struct ctl *ctl, uint64_t ino)
{
    struct ctl_node *n;

    HASH_FIND(by_ino, ctl->nodes, &ino, sizeof(ino), n);
    return n && (n->within || ctl_has(ctl, n->row->needs)) ? n : NULL;
}

static struct ctl_node *child_locked(struct ctl_node *dir, const char *name)
{
    struct ctl_node *n;

    HASH_FIND(by_name, dir->children, name, strlen(name), n);
    return n;
}

int ctl_node_path(const struct ctl_node *n, struct buf *out)
{
    int r;

    if (!n->parent)
        return 0;
    r = ctl_node_path(n->parent, out);
    if (r == 0)
        r = buf_putc(out, '/');
    return r < 0 ? r : buf_puts(out, n->name);
}

void ctl_node_set_last_locked(struct ctl *ctl, struct ctl_node *n, struct answer *a)
{
    answer_ref_locked(a);
    drop_last_locked(ctl, n);
    n->last = a;
    if (!a || !n->within)
        return;
    DL_APPEND(ctl->kept, n);
    n->kept = true;
    if (++ctl->kept_count > LAST_MAX)
        drop_last_locked(ctl, ctl->kept);
}

static bool is_below(const struct ctl_node *n, const struct ctl_node *dir)
{
    for (; n; n = n->parent)
        if (n == dir)
            return true;
    return false;
}

/* The name stands for nothing any more, or for something else. */
static void gone_locked(struct ctl *ctl, struct ctl_node *n)
{
    struct ctl_node *k, *tmp;

    ctl_node_ref_locked(n);
    forget_name_locked(n);
    DL_FOREACH_SAFE(ctl->kept, k, tmp)
        if (is_below(k, n))
            drop_last_locked(ctl, k);
    ctl_node_unref_locked(ctl, n);
}

/* ---- finding ---- */

static const struct ctl_row *row_named(const struct ctl *ctl, const struct ctl_row *dir,
                                       const char *name)
{
    for (const struct ctl_row *row = dir->rows; row && row->name; row++)
        if (strcmp(row->name, name) == 0 && ctl_has(ctl, row->needs))
            return row;
    return NULL;
}

static bool could_be_name(const char *name)
{
    return *name && strlen(name) <= PATH_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

/* The node of what was found or made; takes entry's object over. */
static int adopt(struct ctl *ctl, struct ctl_node *dir, const char *name,
                 const struct ctl_entry *entry, struct ctl_node **ret)
{
    struct ctl_node *n, *known;

    lock_take(&ctl->lock);
    known = child_locked(dir, name);
    if (known && (known->row != entry->row || known->id != entry->id)) {
        gone_locked(ctl, known);
        known = NULL;
    }
    n = known ? ctl_node_ref_locked(known) : new_locked(ctl, dir, name, entry->row, entry, true);
    if ((known || !n) && dir->row->dir->release)
        dir->row->dir->release(entry->obj);
    lock_drop(&ctl->lock);
    *ret = n;
    return n ? 0 : -ENOMEM;
}

static int find_entry(struct ctl *ctl, struct ctl_node *dir, const char *name,
                      struct ctl_node **ret)
{
    struct ctl_entry entry = {0};
    struct ctl_node *n;
    int r = dir->row->dir->find(ctl, dir->obj, name, &entry);

    if (r == 0)
        return adopt(ctl, dir, name, &entry, ret);
    if (r == -ENOENT) {
        lock_take(&ctl->lock);
        n = child_locked(dir, name);
        if (n)
            gone_locked(ctl, n);
        lock_drop(&ctl->lock);
    }
    return r;
}

/* The node of a name in dir, counted. */
static int find(struct ctl *ctl, struct ctl_node *dir, const char *name, bool may_wait,
                struct ctl_node **ret)
{
    const struct ctl_row *row;
    struct ctl_node *n;

    if (dir->row->kind != CTL_DIR)
        return -ENOTDIR;
    if (strlen(name) > PATH_NAME_MAX)
        return -ENAMETOOLONG;
    row = row_named(ctl, dir->row, name);
    if (!row) {
        if (!dir->row->dir || !could_be_name(name))
            return -ENOENT;
        return dir->row->waits && !may_wait ? -EAGAIN : find_entry(ctl, dir, name, ret);
    }
    lock_take(&ctl->lock);
    n = child_locked(dir, name);
    n = n ? ctl_node_ref_locked(n) : new_locked(ctl, dir, name, row, NULL, true);
    lock_drop(&ctl->lock);
    *ret = n;
    return n ? 0 : -ENOMEM;
}

int ctl_node_of(struct ctl *ctl, uint64_t ino, struct ctl_node **ret)
{
    struct ctl_node *n;

    lock_take(&ctl->lock);
    n = by_ino_locked(ctl, ino);
    if (n)
        ctl_node_ref_locked(n);
    lock_drop(&ctl->lock);
    *ret = n;
    return n ? 0 : -ENOENT;
}

void ctl_node_unref(struct ctl *ctl, struct ctl_node *n)
{
    lock_take(&ctl->lock);
    ctl_node_unref_locked(ctl, n);
    lock_drop(&ctl->lock);
}

/* ---- attributes ---- */

/* Of a directory 1 link: programs that count subdirectories by them take that for "not known". */
static void base_stat(const struct ctl *ctl, const struct ctl_row *row, uint64_t ino,
                      struct stat *ret)
{
    *ret = (struct stat){
        .st_ino = ino,
        .st_mode = (row->kind == CTL_DIR ? S_IFDIR : S_IFREG) | row->mode,
        .st_nlink = 1,
        .st_uid = ctl->uid,
        .st_gid = ctl->gid,
        .st_blksize = 4096,
        .st_atim = ctl->born,
        .st_mtim = ctl->born,
        .st_ctim = ctl->born,
    };
}

static int stat_node(struct ctl *ctl, struct ctl_node *n, bool may_wait, struct stat *ret)
{
    int r;

    base_stat(ctl, n->row, n->ino, ret);
    if (n->row->stat) {
        if (n->row->waits && !may_wait)
            return -EAGAIN;
        r = n->row->stat(ctl, n->obj, ret);
        ret->st_blocks = (ret->st_size + 511) / 512;
        return r;
    }
    lock_take(&ctl->lock);
    if (n->last && n->last->done)
        ret->st_size = (off_t)n->last->out.len;
    lock_drop(&ctl->lock);
    return 0;
}

static int getattr(struct ctl *ctl, uint64_t ino, bool may_wait, struct stat *ret)
{
    struct ctl_node *n;
    int r = ctl_node_of(ctl, ino, &n);

    if (r < 0)
        return r;
    r = stat_node(ctl, n, may_wait, ret);
    ctl_node_unref(ctl, n);
    return r;
}

int ctl_getattr(struct ctl *ctl, uint64_t ino, struct stat *ret)
{
    return getattr(ctl, ino, true, ret);
}

int ctl_getattr_cached(struct ctl *ctl, uint64_t ino, struct stat *ret)
{
    return getattr(ctl, ino, false, ret);
}

/* Tells of n, whose reference the caller now has by its number. */
static int hand_out(struct ctl *ctl, struct ctl_node *n, bool may_wait, struct stat *ret)
{
    int r = stat_node(ctl, n, may_wait, ret);

    if (r < 0)
        ctl_node_unref(ctl, n);
    return r;
}

static int lookup(struct ctl *ctl, uint64_t dir_ino, const char *name, bool may_wait,
                  struct stat *ret)
{
    struct ctl_node *dir, *n;
    int r = ctl_node_of(ctl, dir_ino, &dir);

    if (r < 0)
        return r;
    r = find(ctl, dir, name, may_wait, &n);
    if (r == 0)
        r = hand_out(ctl, n, may_wait, ret);
    ctl_node_unref(ctl, dir);
    return r;
}

int ctl_lookup(struct ctl *ctl, uint64_t dir, const char *name, struct stat *ret)
{
    return lookup(ctl, dir, name, true, ret);
}

int ctl_lookup_cached(struct ctl *ctl, uint64_t dir, const char *name, struct stat *ret)
{
    return lookup(ctl, dir, name, false, ret);
}

void ctl_forget(struct ctl *ctl, uint64_t ino, uint64_t count)
{
    struct ctl_node *n;

    if (ino == CTL_ROOT)
        return; /* looked up without being counted */
    lock_take(&ctl->lock);
    HASH_FIND(by_ino, ctl->nodes, &ino, sizeof(ino), n);
    for (; n && count > 0; count--) {
        const bool last = n->refs == 1;

        ctl_node_unref_locked(ctl, n);
        n = last ? NULL : n;
    }
    lock_drop(&ctl->lock);
}

/* ---- changes of names ---- */

int ctl_mkdir(struct ctl *ctl, uint64_t dir_ino, const char *name, pid_t pid, struct stat *ret)
{
    struct buf why = BUF_INIT(WHY_MAX);
    struct ctl_entry entry = {0};
    struct ctl_node *dir, *n = NULL;
    int r = ctl_node_of(ctl, dir_ino, &dir);

    if (r < 0)
        return r;
    if (dir->row->kind != CTL_DIR)
        r = -ENOTDIR;
    else if (strlen(name) > PATH_NAME_MAX)
        r = -ENAMETOOLONG;
    else if (row_named(ctl, dir->row, name))
        r = -EEXIST;
    else if (!dir->row->dir || !dir->row->dir->make || !could_be_name(name))
        r = -EPERM;
    else
        r = dir->row->dir->make(ctl, dir->obj, name, &entry, &why);
    if (r == 0)
        r = adopt(ctl, dir, name, &entry, &n);
    else if (r != -EPERM || why.len > 0)
        ctl_report_why(ctl, dir, pid, r, &why);
    if (r == 0)
        r = hand_out(ctl, n, true, ret);
    ctl_node_unref(ctl, dir);
    buf_done(&why);
    return r;
}

/* n has a name: it is not the root. */
static int remove_node(struct ctl *ctl, struct ctl_node *n, pid_t pid)
{
    struct buf why = BUF_INIT(WHY_MAX);
    const struct ctl_dir *dir = n->entry ? n->parent->row->dir : NULL;
    int r;

    if (!dir || !dir->remove) /* what is within an entry goes with it */
        return n->parent->within ? 0 : -EPERM;
    r = dir->remove(ctl, n->obj, &why);
    if (r < 0) {
        ctl_report_why(ctl, n, pid, r, &why);
    } else {
        lock_take(&ctl->lock);
        gone_locked(ctl, n);
        lock_drop(&ctl->lock);
    }
    buf_done(&why);
    return r;
}

static int remove_name(struct ctl *ctl, uint64_t dir_ino, const char *name, pid_t pid, bool is_dir)
{
    struct ctl_node *dir, *n;
    int r = ctl_node_of(ctl, dir_ino, &dir);

    if (r < 0)
        return r;
    r = find(ctl, dir, name, true, &n);
    if (r == 0) {
        if (is_dir != (n->row->kind == CTL_DIR))
            r = is_dir ? -ENOTDIR : -EISDIR;
        else
            r = remove_node(ctl, n, pid);
        ctl_node_unref(ctl, n);
    }
    ctl_node_unref(ctl, dir);
    return r;
}

int ctl_rmdir(struct ctl *ctl, uint64_t dir, const char *name, pid_t pid)
{
    return remove_name(ctl, dir, name, pid, true);
}

int ctl_unlink(struct ctl *ctl, uint64_t dir, const char *name, pid_t pid)
{
    return remove_name(ctl, dir, name, pid, false);
}

/* ---- listing ---- */

struct list_item {
    char *name; /* owned */
    const struct ctl_row *row;
};

struct ctl_list {
    struct ctl *ctl;
    struct ctl_node *dir; /* counted */
    bool made;
    struct list_item *v;
    size_t count, room;
};

static void clear(struct ctl_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->v[i].name);
    list->count = 0;
}

static int append(struct ctl_list *list, const char *name, const struct ctl_row *row)
{
    struct list_item *v = list->v;

    if (list->count == list->room) {
        list->room = list->room ? 2 * list->room : 32;
        v = realloc(v, list->room * sizeof(*v));
        if (!v) {
            list->room = list->count;
            return -ENOMEM;
        }
        list->v = v;
    }
    v[list->count] = (struct list_item){strdup(name), row};
    return v[list->count].name ? (list->count++, 0) : -ENOMEM;
}

int ctl_list_add(struct ctl_list *list, const char *name, const struct ctl_row *row)
{
    if (list->count >= LIST_MAX || !could_be_name(name) ||
        row_named(list->ctl, list->dir->row, name))
        return 0;
    return append(list, name, row);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct list_item *)a)->name, ((const struct list_item *)b)->name);
}

static void sort_once(struct list_item *v, size_t *count)
{
    size_t kept = 0;

    if (*count > 0)
        qsort(v, *count, sizeof(*v), by_name);
    for (size_t i = 0; i < *count; i++) {
        if (kept > 0 && strcmp(v[kept - 1].name, v[i].name) == 0)
            free(v[i].name);
        else
            v[kept++] = v[i];
    }
    *count = kept;
}

static int fill(struct ctl_list *list)
{
    const struct ctl_row *dir = list->dir->row;
    size_t rows, entries;
    int r = 0;

    clear(list);
    for (const struct ctl_row *row = dir->rows; row && row->name && r == 0; row++)
        if (!row->unlisted && ctl_has(list->ctl, row->needs))
            r = append(list, row->name, row);
    rows = list->count;
    if (r == 0 && dir->dir)
        r = dir->dir->list(list->ctl, list->dir->obj, list);
    entries = list->count - rows;
    if (entries > 0)
        sort_once(list->v + rows, &entries);
    list->count = rows + entries;
    return r;
}

int ctl_opendir(struct ctl *ctl, uint64_t ino, struct ctl_list **ret)
{
    struct ctl_list *list = calloc(1, sizeof(*list));
    int r;

    if (!list)
        return -ENOMEM;
    list->ctl = ctl;
    r = ctl_node_of(ctl, ino, &list->dir);
    if (r == 0 && list->dir->row->kind != CTL_DIR)
        r = -ENOTDIR;
    if (r < 0) {
        ctl_closedir(list);
        return r;
    }
    *ret = list;
    return 0;
}

void ctl_closedir(struct ctl_list *list)
{
    if (list->dir)
        ctl_node_unref(list->ctl, list->dir);
    clear(list);
    free(list->v);
    free(list);
}

int ctl_list(struct ctl_list *list)
{
    int r = fill(list);

    list->made = r == 0;
    return r;
}

int ctl_list_cached(struct ctl_list *list)
{
    return list->dir->row->dir && list->dir->row->waits ? -EAGAIN : ctl_list(list);
}

uint64_t ctl_list_parent(const struct ctl_list *list)
{
    return list->dir->parent ? list->dir->parent->ino : 0;
}

int ctl_entry(struct ctl_list *list, size_t i, const char **ret_name, struct stat *ret)
{
    const struct ctl_node *n;

    if (!list->made || i >= list->count)
        return -ENOENT;
    lock_take(&list->ctl->lock);
    n = child_locked(list->dir, list->v[i].name);
    base_stat(list->ctl, list->v[i].row, n ? n->ino : UINT32_MAX, ret);
    lock_drop(&list->ctl->lock);
    *ret_name = list->v[i].name;
    return 0;
}
