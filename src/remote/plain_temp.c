/*
 * Files that are there for a moment: .daytonafs-MOUNT-COUNT, eight hexadecimal digits each, beside
 * what they become. Our own are never listed. Those of another mount are, for it may be about to
 * use them; after a day nobody is.
 */
#include "remote/plain_internal.h"

#include "util/clock.h"
#include "util/path.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { DAY_MIN = 24 * 60 };

char *plain_temp_in(struct plain *p, const char *dir)
{
    char name[sizeof(p->temp_prefix) + 16];

    snprintf(name, sizeof(name), "%s%08x", p->temp_prefix, atomic_fetch_add(&p->temp_count, 1));
    return path_join(dir, name);
}

char *plain_temp_beside(struct plain *p, const char *path)
{
    char *dir = path_dir(path);
    char *temp = dir ? plain_temp_in(p, dir) : NULL;

    free(dir);
    return temp;
}

/* ---- what others left ---- */

static bool is_temp(const char *name)
{
    static const char pattern[] = ".daytonafs-xxxxxxxx-xxxxxxxx";

    if (strlen(name) != sizeof(pattern) - 1)
        return false;
    for (size_t i = 0; pattern[i]; i++)
        if (pattern[i] == 'x' ? !isxdigit((unsigned char)name[i]) : name[i] != pattern[i])
            return false;
    return true;
}

/* By our clock: the sandbox decides by its own. */
static bool is_old(const struct remote_attr *a)
{
    return S_ISREG(a->mode) && a->mtime_ns < clock_real_ns() - DAY_MIN * 60 * NS_PER_S;
}

void plain_temp_add_sweep(struct shcmd *s, const char *dir)
{
    shcmd_set(s, "d", dir);
    shcmd_add(s,
              "find \"$d\" -regextype posix-extended -mindepth 1 -maxdepth 1 -type f -mmin +%d "
              "-regex \".*/[.]daytonafs-[0-9a-f]{8}-[0-9a-f]{8}\" -delete 2>/dev/null;",
              DAY_MIN);
}

void plain_temp_sweep(struct plain *p, const char *path, struct remote_list *list)
{
    struct shcmd_answer answer;
    size_t kept = 0;
    struct shcmd s;

    for (size_t i = 0; i < list->count; i++) {
        struct remote_entry *e = &list->v[i];

        if (is_temp(e->name) && is_old(&e->attr)) {
            free(e->name);
            free(e->target);
        } else {
            list->v[kept++] = *e;
        }
    }
    if (kept == list->count)
        return;
    list->count = kept;
    shcmd_init(&s);
    plain_temp_add_sweep(&s, path);
    if (plain_run(p, &s, PLAIN_SMALL, &answer) == 0)
        shcmd_answer_done(&answer);
}
