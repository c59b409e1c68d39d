/*
 * Directories of control files whose entries come and go as the input says, under names it chooses,
 * against a model: who is found, under which number, what is listed, and that what was handed out
 * is released once.
 */
#include "ctl/ctl.h"
#include "ctl/row.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 5, NAME_MAX_LEN = 300 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* An entry that may be there, and what the kernel would know of it. */
struct slot {
    char name[NAME_MAX_LEN];
    bool there;
    uint64_t id;
    uint64_t ino, ino_id; /* looked up, and what it stood for then */
    unsigned refs;
};

static struct slot slots[SLOTS];
static uint64_t last_id;
static long held; /* objects handed out and not released */
static char odd[NAME_MAX_LEN];

static void must(int holds)
{
    if (!holds)
        abort();
}

static void release(void *obj)
{
    must(obj != NULL && held > 0);
    held--;
}

static const struct ctl_row rows[] = {
    {.name = "fixed", .mode = 0400, .kind = CTL_SNAPSHOT},
    {.name = NULL},
};
static const struct ctl_row entry_row = {.mode = 0700, .kind = CTL_DIR, .rows = rows};

static void hand_out(struct slot *s, struct ctl_entry *ret)
{
    held++;
    *ret = (struct ctl_entry){.row = &entry_row, .obj = s, .id = s->id};
}

static struct slot *slot_named(const char *name)
{
    for (size_t i = 0; i < SLOTS; i++)
        if (strcmp(slots[i].name, name) == 0)
            return &slots[i];
    return NULL;
}

static bool could_be(const char *name)
{
    return *name && strlen(name) <= 255 && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0 && strcmp(name, "fixed") != 0;
}

static int find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    struct slot *s = slot_named(name);

    must(could_be(name));
    if (!s || !s->there)
        return -ENOENT;
    hand_out(s, ret);
    return 0;
}

static int list(struct ctl *ctl, void *owner, struct ctl_list *out)
{
    int r = ctl_list_add(out, odd, &entry_row);

    for (size_t i = 0; i < SLOTS && r == 0; i++)
        if (slots[i].there)
            r = ctl_list_add(out, slots[i].name, &entry_row);
    return r;
}

static int make(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret,
                struct buf *why)
{
    struct slot *s = slot_named(name);

    must(s && !s->there);
    s->there = true;
    s->id = ++last_id;
    hand_out(s, ret);
    return 0;
}

static int take_away(struct ctl *ctl, void *obj, struct buf *why)
{
    ((struct slot *)obj)->there = false;
    return 0;
}

static const struct ctl_dir dir = {
    .find = find, .list = list, .make = make, .remove = take_away, .release = release};
static const struct ctl_row root = {.mode = 0700, .kind = CTL_DIR, .rows = rows, .dir = &dir};

/* ---- what happens ---- */

static void learn(struct slot *s, const struct stat *st)
{
    must(st->st_ino > CTL_ROOT);
    if (s->refs > 0)
        must((st->st_ino == s->ino) == (s->ino_id == s->id)); /* another thing, another number */
}

static void forget_all(struct ctl *ctl, struct slot *s)
{
    if (s->refs > 0)
        ctl_forget(ctl, s->ino, s->refs);
    s->refs = 0;
}

static void keep(struct ctl *ctl, struct slot *s, const struct stat *st)
{
    if (s->refs > 0 && st->st_ino != s->ino)
        forget_all(ctl, s);
    s->ino = st->st_ino;
    s->ino_id = s->id;
    s->refs++;
}

static void look_up(struct ctl *ctl, struct slot *s)
{
    struct stat st;
    int r = ctl_lookup(ctl, CTL_ROOT, s->name, &st);

    must(r == (s->there ? 0 : -ENOENT));
    if (r == 0) {
        learn(s, &st);
        keep(ctl, s, &st);
        must(ctl_lookup(ctl, s->ino, "fixed", &st) == 0 && !S_ISDIR(st.st_mode));
        ctl_forget(ctl, st.st_ino, 1);
    }
}

static void change(struct ctl *ctl, struct slot *s)
{
    struct stat st;

    if (s->there) {
        must(ctl_rmdir(ctl, CTL_ROOT, s->name, 1) == 0);
    } else {
        must(ctl_mkdir(ctl, CTL_ROOT, s->name, 1, &st) == 0);
        learn(s, &st);
        keep(ctl, s, &st);
    }
}

static void list_all(struct ctl *ctl)
{
    struct ctl_list *l;
    const char *name, *before = NULL;
    struct stat st;
    size_t count = 0, want = 1;

    for (size_t i = 0; i < SLOTS; i++)
        want += slots[i].there;
    want += could_be(odd) && !(slot_named(odd) && slot_named(odd)->there);
    must(ctl_opendir(ctl, CTL_ROOT, &l) == 0 && ctl_list(l) == 0);
    for (; ctl_entry(l, count, &name, &st) == 0; count++) {
        must(count == 0 ? strcmp(name, "fixed") == 0 : could_be(name));
        must(count < 2 || strcmp(before, name) < 0);
        before = name;
    }
    must(count == want);
    ctl_closedir(l);
}

static void look_up_odd(struct ctl *ctl)
{
    struct stat st;
    int r = ctl_lookup(ctl, CTL_ROOT, odd, &st);
    const struct slot *s = slot_named(odd);

    must((r == 0) == (strcmp(odd, "fixed") == 0 || (s && s->there)));
    if (r == 0)
        ctl_forget(ctl, st.st_ino, 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static const struct ctl_config config = {.name = ".ctl", .root = &root};
    const size_t len = n > 0 ? (size_t)(p[0] * 3 < n - 1 ? p[0] * 3 : n - 1) : 0;
    struct ctl *ctl;

    if (n == 0)
        return 0;
    snprintf(odd, sizeof(odd), "%.*s", (int)len, (const char *)p + 1);
    memset(slots, 0, sizeof(slots));
    for (size_t i = 0; i < SLOTS; i++)
        snprintf(slots[i].name, sizeof(slots[i].name), "%c", (char)('a' + i));
    must(ctl_new(&config, NULL, &ctl) == 0); /* nothing here asks a file system */
    for (size_t i = 1 + len; i < n; i++) {
        struct slot *s = &slots[p[i] / 8 % SLOTS];

        switch (p[i] % 8) {
        case 0: /* it comes or goes without anybody telling */
            s->there = !s->there;
            s->id = ++last_id;
            break;
        case 1:
        case 2:
            look_up(ctl, s);
            break;
        case 3:
            forget_all(ctl, s);
            break;
        case 4:
        case 5:
            change(ctl, s);
            break;
        case 6:
            list_all(ctl);
            break;
        case 7:
            look_up_odd(ctl);
            break;
        }
    }
    ctl_free(ctl);
    must(held == 0);
    return 0;
}
