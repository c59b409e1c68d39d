#include "remote/plain_internal.h"

#include "remote/record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/*
 * rename(2) as it is. mv is the last resort: it copies when the kernel says EXDEV, which is usual
 * for directories on overlayfs, and it removes one of two names of the same file.
 */
static void add_perl(struct shcmd *s, long number, const char *before, unsigned flags)
{
    shcmd_add(s, "perl -e \"\\$a=\\$ARGV[0];\\$b=\\$ARGV[1];%s", before);
    if (flags)
        shcmd_add(s, "syscall(%ld,-100,\\$a,-100,\\$b,%u)==0", number, flags);
    else
        shcmd_add(s, "rename(\\$a,\\$b)");
    shcmd_add(s, " or die qq(: \\$!\\n)\" -- \"$a\" \"$b\"||exit 1;");
}

static void add_python(struct shcmd *s, long number, const char *before, unsigned flags)
{
    shcmd_add(s,
              "python3 -c \"import os,sys%s;"
              "sys.excepthook=lambda t,v,b:print(\\\":\\\",v.strerror,file=sys.stderr);"
              "a,b=map(os.fsencode,sys.argv[1:3]);%s",
              flags ? ",ctypes as c" : "", before);
    if (flags)
        shcmd_add(s,
                  "l=c.CDLL(None,use_errno=True);"
                  "r=l.syscall(c.c_long(%ld),-100,a,-100,b,%u);e=c.get_errno();"
                  "r and (_ for _ in ()).throw(OSError(e,os.strerror(e)))",
                  number, flags);
    else
        shcmd_add(s, "os.rename(a,b)");
    shcmd_add(s, "\" \"$a\" \"$b\"||exit 1;");
}

/* What rename(2) would refuse and mv would not, or would without an errno. x and y: "TYPE DEV:INO"
 * of both, raw modes as in plain_data.c. */
static void add_mv_checks(struct shcmd *s)
{
    shcmd_add(s, "x=$(stat -c \"%%f %%d:%%i\" \"$a\")||exit 1;"
                 "y=$(stat -c \"%%f %%d:%%i\" \"$b\" 2>/dev/null);"
                 "v=${a%%/*};w=${b%%/*};stat \"$w/.\" >/dev/null||exit 1;"
                 "[ \"$(stat -L -c %%d \"$v/.\")\" = \"$(stat -L -c %%d \"$w/.\")\" ]||"
                 "fail Invalid cross-device link;");
}

static void add_mv(struct plain *p, struct shcmd *s)
{
    add_mv_checks(s);
    shcmd_add(s, "if [ \"$x\" != \"$y\" ];then case \"$x/$y\" in (4*/|4*/4*|[!4]*/|[!4]*/[!4]*);;"
                 "(4*)fail Not a directory;;(*)fail Is a directory;;esac;");
    if (p->full)
        shcmd_add(s, "mv -f -T%s \"$a\" \"$b\"||exit 1;fi;", p->mv_no_copy ? " --no-copy" : "");
    else /* a directory in the way must go first, and only goes if it is empty; a link would lead
            away */
        shcmd_add(s, "case \"$y\" in (4*)rmdir \"$b\"||exit 1;;"
                     "(a*)rm -f \"$b\"||exit 1;;esac;mv -f \"$a\" \"$b\"||exit 1;fi;");
}

/* A name is claimed by what fails if it is there: a link, or an empty directory to be replaced. */
static void add_mv_noreplace(struct plain *p, struct shcmd *s)
{
    add_mv_checks(s);
    shcmd_add(s, "[ -z \"$y\" ]||fail File exists;"
                 "case \"$x\" in (4*)mkdir -m 700 \"$b\"||exit 1;");
    if (p->full)
        shcmd_add(s, "mv -f -T%s \"$a\" \"$b\"||{ rmdir \"$b\";exit 1; };;",
                  p->mv_no_copy ? " --no-copy" : "");
    else
        shcmd_add(s, "rmdir \"$b\"&&mv -f \"$a\" \"$b\"||exit 1;;");
    shcmd_add(s, "(*)ln %s \"$a\" \"$b\"&&rm -f \"$a\"||exit 1;;esac;", p->full ? "-P -T" : "");
}

int plain_rename(struct remote *r, const char *from, const char *to, unsigned flags,
                 struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    const bool can = p->rename != PLAIN_RENAME_MV && (flags == 0 || p->renameat2);
    struct shcmd s;

    if (!p->shell)
        return plain_api_rename(p, from, to, flags, ret);
    shcmd_init(&s);
    shcmd_set(&s, "a", from);
    shcmd_set(&s, "b", to);
    if (can && p->rename == PLAIN_RENAME_PERL)
        add_perl(&s, p->renameat2, "", flags); /* our flags are the kernel's */
    else if (can)
        add_python(&s, p->renameat2, "", flags);
    else if (flags & REMOTE_RENAME_NOREPLACE)
        add_mv_noreplace(p, &s);
    else
        add_mv(p, &s);
    plain_add_record(p, &s, "b");
    return plain_change(p, &s, to, ret);
}

_Static_assert(REMOTE_RENAME_NOREPLACE == 1, "as renameat2(2)");

static int decode_two(struct plain *p, struct shcmd_answer *a, struct remote_attr ret[2])
{
    int r = shcmd_errno(a);

    for (size_t i = 0; i < 2 && r == 0; i++) {
        r = i < a->part_count ? plain_records(p, &a->part[i]) : -EPROTO;
        if (r == 0 && a->part[i].len == 0)
            r = -ENOENT; /* it went right after */
        if (r == 0)
            r = record_decode_one(a->part[i].data, a->part[i].len, &ret[i], NULL);
    }
    return r == -EBADMSG ? -EPROTO : r;
}

int plain_exchange(struct remote *r, const char *from, const char *to, const uint64_t ino[2],
                   struct remote_attr ret[2])
{
    enum { EXCHANGE = 2 }; /* as renameat2(2) */
    struct plain *p = plain_of(r);
    struct shcmd_answer answer;
    char before[512];
    struct shcmd s;
    int err;

    if (!(p->info.caps & REMOTE_CAP_EXCHANGE))
        return -EOPNOTSUPP;
    shcmd_init(&s);
    shcmd_set(&s, "a", from);
    shcmd_set(&s, "b", to);
    if (p->rename == PLAIN_RENAME_PERL) {
        snprintf(before, sizeof(before),
                 "sub i{my@s=lstat \\$_[0] or die qq(: \\$!\\n);\\$s[1]}"
                 "i(\\$a) eq %" PRIu64 " && i(\\$b) eq %" PRIu64
                 " or die qq(: Stale file handle\\n);",
                 ino[0], ino[1]);
        add_perl(&s, p->renameat2, before, EXCHANGE);
    } else {
        snprintf(before, sizeof(before),
                 "(os.lstat(a).st_ino,os.lstat(b).st_ino)==(%" PRIu64 ",%" PRIu64 ") or "
                 "(_ for _ in ()).throw(OSError(116,\\\"Stale file handle\\\"));",
                 ino[0], ino[1]);
        add_python(&s, p->renameat2, before, EXCHANGE);
    }
    plain_add_record(p, &s, "a");
    shcmd_add(&s, "echo - >&3;");
    plain_add_record(p, &s, "b");
    err = plain_run(p, &s, PLAIN_SMALL, &answer);
    if (err < 0)
        return err;
    err = decode_two(p, &answer, ret);
    shcmd_answer_done(&answer);
    return err;
}
