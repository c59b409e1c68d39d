/*
 * What somebody at the client's has open stays readable when its last name goes: by a second name
 * in the client's folder, k-KEY, made before the first one goes. It stays as long as the client's
 * batches name its key; so what nobody told us to drop goes with the next batch, or is swept.
 */
#include "helper/apply.h"

#include "helper/text.h"
#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { KEPT_NAME = 32 };

static void kept_name(uint64_t key, char ret[KEPT_NAME])
{
    text_make(ret, KEPT_NAME, "k-%llu", (unsigned long long)key);
}

/* What has the name already is of an attempt that was cut off. */
static int link_kept(const struct apply *a, const struct place *p, const char *name)
{
    struct stat st;
    int r = 0;

    for (int i = 0; i < 2; i++) {
        r = linkat(p->dir, p->name, a->record.dir, name, 0) < 0 ? -errno : 0;
        if (r != -EEXIST)
            break;
        (void)unlinkat(a->record.dir, name, 0);
    }
    if (r == 0 &&
        (fstatat(a->record.dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_ino != p->st.st_ino)) {
        (void)unlinkat(a->record.dir, name, 0);
        r = -ESTALE;
    }
    return r;
}

int keep_make(struct apply *a, const struct batch_change *c, struct place *p)
{
    const struct stat old = p->st;
    char name[KEPT_NAME];
    int r;

    if (!(c->flags & BATCH_KEEP) || !p->there || !S_ISREG(p->st.st_mode))
        return 0;
    kept_name(c->key, name);
    r = link_kept(a, p, name);
    apply_step();
    if (r < 0 && r != -ESTALE)
        return 0; /* the name goes all the same */
    /* Its ctime moved by that; the rest must not have. */
    if (r == 0 && place_look(p) == 0 && p->there &&
        stat_is_same(&p->st, old.st_ino, (uint64_t)old.st_size, timespec_to_ns(old.st_mtim)))
        return 0;
    (void)unlinkat(a->record.dir, name, 0);
    (void)place_look(p);
    return 1;
}

void keep_tell(const struct apply *a, const struct batch_change *c, struct batch_result *ret)
{
    char name[KEPT_NAME];
    struct stat st;

    if (!(c->flags & BATCH_KEEP))
        return;
    kept_name(c->key, name);
    if (ret->outcome != BATCH_DONE)
        (void)unlinkat(a->record.dir, name, 0);
    else if (fstatat(a->record.dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        result_other(ret, &st);
}

static bool is_named(const struct batch_head *h, const char *name)
{
    char kept[KEPT_NAME];

    for (size_t i = 0; i < h->kept_count; i++) {
        kept_name(h->kept[i], kept);
        if (strcmp(name, kept) == 0)
            return true;
    }
    return false;
}

void keep_drop(const struct apply *a)
{
    DIR *d = sweep_open(a->record.dir, ".");
    struct dirent *e;

    while (d && (e = readdir(d)))
        if (strncmp(e->d_name, "t-", 2) == 0 ||
            (strncmp(e->d_name, "k-", 2) == 0 && !is_named(&a->message.head, e->d_name)))
            (void)unlinkat(a->record.dir, e->d_name, 0);
    if (d)
        closedir(d);
}
