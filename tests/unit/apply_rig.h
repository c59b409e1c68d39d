/* apply_rig.h - the helper with a folder of its own, and batches for it. */
#ifndef TESTS_APPLY_RIG_H
#define TESTS_APPLY_RIG_H

#include "unit.h"

#include "remote/batch.h"

#include <sys/stat.h>

struct apply_rig {
    char root[64];      /* of the test; the folder is root/h */
    char dir[64];       /* root/d, where the changes are made; the test runs in it */
    const char *client; /* as all batches say */
    uint64_t number;    /* of the next batch */
    long dies_at;       /* at which step; 0: it does not */
    long stops_at;      /* there something else happens first: meanwhile; stopped says if it did */
    void (*meanwhile)(void);
    bool stopped;
    long limit_ms;  /* 0: as long as the real one */
    unsigned uid;   /* who it runs as; arig_own has given all to that one. 0: the test */
    unsigned asked; /* questions since it was set to 0 */
};
extern struct apply_rig arig;
extern bool apply_rig_in_memory; /* set before the first test */

int apply_rig_enter(void **state);
int apply_rig_leave(void **state);

/* One question. 0, -errno as the helper said it, or -EPIPE: it died. *ret_more: ask again. */
int arig_ask(const struct remote_batch *b, bool whole, struct remote_applied *ret, bool *ret_more);
/* Until it is finished. */
int arig_apply(const struct remote_batch *b, struct remote_applied *ret);
/* As remote_join, of what has a name already. */
int arig_join(const struct remote_join *join, struct remote_joined *to);
/* A batch of these changes, with the number that is next and its digest. */
struct remote_batch arig_batch(const struct remote_change *v, size_t count, const char *data);
/* Applies it as the next one; every question must succeed. */
struct remote_applied arig_do(const struct remote_change *v, size_t count, const char *data);
#define ARIG_DO(data, ...)                                                                         \
    arig_do((const struct remote_change[]){__VA_ARGS__},                                           \
            sizeof((const struct remote_change[]){__VA_ARGS__}) / sizeof(struct remote_change),    \
            (data))
/* The same of one change; returns what became of it. */
struct remote_result arig_one(struct remote_change c, const char *data);

/* Changes. Paths are below arig.dir; the strings live until the test ends. */
char *arig_path(const char *name);
struct remote_change arig_write(const char *name, struct remote_object at, const char *data);
struct remote_object arig_version(const char *name); /* what is there now */
struct remote_object arig_same(const char *name);
#define ARIG_ABSENT ((struct remote_object){.means = REMOTE_ABSENT})
#define ARIG_ANY ((struct remote_object){.means = REMOTE_ANY})
#define ARIG_LEFT(i) ((struct remote_object){.means = REMOTE_LEFT_BY, .change = (i)})

void arig_own(unsigned uid); /* all that is there is that user's, who does the rest; as root only */
void arig_put(const char *name, const char *text);
char *arig_get(const char *name); /* NULL: there is none; lives until the test ends */
struct stat arig_stat(const char *name);
unsigned arig_count(const char *dir);
/* A blob in the helper's folder. */
struct remote_blob arig_blob(const char *name, const void *p, size_t n);

#endif
