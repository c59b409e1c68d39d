#include "remote/plain_internal.h"

#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

int plain_create(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if (!p->shell)
        return plain_api_create(p, path, mode, ret);
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    shcmd_add(&s, "u=$(umask);umask %03o;", ~mode & 0777);
    if (p->full)
        shcmd_add(&s, "dd if=/dev/null of=\"$a\" conv=excl status=none||exit 1;");
    else /* noclobber would open a FIFO, and wait; and shells have their own words for errno */
        shcmd_add(&s, "if [ -e \"$a\" ]||[ -L \"$a\" ];then fail File exists;fi;"
                      "stat \"${a%%/*}/.\" >/dev/null||exit 1;( set -C;: >\"$a\" )||exit 1;");
    if (mode & ~(mode_t)0666)
        shcmd_add(&s, "chmod %05o \"$a\"||exit 1;", (unsigned)mode);
    plain_add_record(p, &s, "a");
    return plain_change(p, &s, path, ret);
}

int plain_mkdir(struct remote *r, const char *path, mode_t mode, struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if (!p->shell)
        return plain_api_mkdir(p, path, mode, ret);
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    /* Four digits: a setgid parent hands its bit on, as mkdir(2) has it. */
    shcmd_add(&s, "mkdir -m %04o \"$a\"||exit 1;", (unsigned)mode);
    plain_add_record(p, &s, "a");
    return plain_change(p, &s, path, ret);
}

/* busybox has words of its own for a directory that is there. */
static void add_absent(struct plain *p, struct shcmd *s, const char *var)
{
    if (!p->full)
        shcmd_add(s, "if [ -e \"$%s\" ]||[ -L \"$%s\" ];then fail File exists;fi;", var, var);
}

int plain_symlink(struct remote *r, const char *target, const char *path, struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if (!(p->info.caps & REMOTE_CAP_LINKS))
        return -EOPNOTSUPP;
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    shcmd_set(&s, "b", target);
    add_absent(p, &s, "a");
    shcmd_add(&s, "ln -s -T -- \"$b\" \"$a\"||exit 1;");
    plain_add_record(p, &s, "a");
    return plain_change(p, &s, path, ret);
}

int plain_link(struct remote *r, const char *from, const char *to, struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if (!(p->info.caps & REMOTE_CAP_LINKS))
        return -EOPNOTSUPP;
    shcmd_init(&s);
    shcmd_set(&s, "a", from);
    shcmd_set(&s, "b", to);
    add_absent(p, &s, "b");
    /* ln has its own words for a directory, without an errno. */
    shcmd_add(&s,
              "[ -d \"$a\" ]&&[ ! -L \"$a\" ]&&fail Operation not permitted;"
              "ln %s-T -- \"$a\" \"$b\"||exit 1;",
              p->full ? "-P " : ""); /* without: it asks link(2), which follows none */
    plain_add_record(p, &s, "b");
    return plain_change(p, &s, to, ret);
}

int plain_unlink(struct remote *r, const char *path)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if (!p->shell)
        return plain_api_unlink(p, path);
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    /* Neither removes a directory. rm without -f and without a terminal does not ask. */
    shcmd_add(&s, "%s \"$a\"||exit 1;", p->full ? "unlink" : "rm");
    return plain_change(p, &s, path, NULL);
}

int plain_rmdir(struct remote *r, const char *path)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if (!(p->info.caps & REMOTE_CAP_RMDIR))
        return -EOPNOTSUPP;
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    shcmd_add(&s, "rmdir \"$a\"||exit 1;");
    return plain_change(p, &s, path, NULL);
}

void plain_add_touch(struct shcmd *s, char which, const char *var, int64_t ns)
{
    const uint64_t abs_ns = ns < 0 ? 0 - (uint64_t)ns : (uint64_t)ns;

    shcmd_add(s, "touch -h -c -%c -d @%s%llu.%09llu \"$%s\"||", which, ns < 0 ? "-" : "",
              (unsigned long long)(abs_ns / NS_PER_S), (unsigned long long)(abs_ns % NS_PER_S),
              var);
}

/* busybox reads a date, in the local time, to the second. */
static void add_touch(struct plain *p, struct shcmd *s, char which, int64_t ns)
{
    const time_t seconds = (time_t)(ns / NS_PER_S - (ns % NS_PER_S < 0));
    char date[64];
    struct tm tm;

    if (p->full) {
        plain_add_touch(s, which, "a", ns);
    } else if (!gmtime_r(&seconds, &tm) || strftime(date, sizeof(date), "%F %T", &tm) == 0) {
        shcmd_add(s, "fail Invalid argument||");
    } else {
        shcmd_add(s, "TZ=UTC0 touch -h -c -%c -d \"%s\" \"$a\"||", which, date);
    }
}

/* The size first: it moves the mtime. The owner before the mode: it clears special bits. */
static void add_setattr(struct plain *p, struct shcmd *s, const struct remote_setattr *set)
{
    const struct remote_attr *a = &set->attr;
    const char *numeric = p->full ? "+" : ""; /* GNU: never the name of somebody */

    if (set->mask & REMOTE_SET_MODE)
        shcmd_add(s, "[ -L \"$a\" ]&&fail Operation not supported;");
    if (set->mask & REMOTE_SET_SIZE)
        shcmd_add(s,
                  "[ -L \"$a\" ]&&fail Invalid argument;[ -d \"$a\" ]&&fail Is a directory;"
                  "[ -f \"$a\" ]||[ ! -e \"$a\" ]||fail Invalid argument;"
                  "truncate -c -s %llu \"$a\"||exit 1;",
                  (unsigned long long)a->size);
    if (set->mask & REMOTE_SET_UID)
        shcmd_add(s, "chown -h %s%u \"$a\"||exit 1;", numeric, a->uid);
    if (set->mask & REMOTE_SET_GID)
        shcmd_add(s, "chown -h :%s%u \"$a\"||exit 1;", numeric, a->gid);
    if (set->mask & REMOTE_SET_MODE) /* five digits: GNU chmod then clears setgid of directories */
        shcmd_add(s, "chmod %05o \"$a\"||exit 1;", (unsigned)a->mode & 07777);
    if (set->mask & REMOTE_SET_ATIME) {
        add_touch(p, s, 'a', a->atime_ns);
        shcmd_add(s, "exit 1;");
    }
    if (set->mask & REMOTE_SET_MTIME) {
        add_touch(p, s, 'm', a->mtime_ns);
        shcmd_add(s, "exit 1;");
    }
}

int plain_setattr(struct remote *r, const char *path, const struct remote_setattr *set,
                  struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    struct shcmd s;

    if ((set->mask & (REMOTE_SET_ATIME | REMOTE_SET_MTIME)) && !(p->info.caps & REMOTE_CAP_TOUCH))
        return -EOPNOTSUPP;
    if ((set->mask & REMOTE_SET_SIZE) && !(p->info.caps & REMOTE_CAP_TRUNCATE))
        return -EOPNOTSUPP;
    if (!p->shell)
        return plain_api_setattr(p, path, set, ret);
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    add_setattr(p, &s, set);
    plain_add_record(p, &s, "a");
    return plain_change(p, &s, path, ret);
}
