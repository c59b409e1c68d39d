#include "remote/plain_internal.h"

#include "remote/record.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/io.h"
#include "util/path.h"

#include <daytona/client.h>
#include <daytona/files.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- fetch ---- */

static int sink_to_fd(void *arg, uint64_t off, const void *p, size_t n)
{
    return io_pwrite(*(const int *)arg, p, n, off);
}

/* Floor: a time before 1970 is still in the second that contains it. */
static int64_t whole_seconds(int64_t ns)
{
    return ns / NS_PER_S - (ns % NS_PER_S < 0);
}

bool plain_is_utf8(const char *s)
{
    const unsigned char *p = (const unsigned char *)s;

    while (*p) {
        const int more = *p < 0x80 ? 0 : *p >= 0xf0 ? 3 : *p >= 0xe0 ? 2 : 1;
        uint32_t c = more ? *p & (0x3fu >> more) : *p;

        if (*p > 0xf4 || (*p >= 0x80 && *p < 0xc2))
            return false;
        for (int i = 1; i <= more; i++) {
            if ((p[i] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if ((more == 2 && (c < 0x800 || (c >= 0xd800 && c <= 0xdfff))) ||
            (more == 3 && (c < 0x10000 || c > 0x10ffff)))
            return false;
        p += more + 1;
    }
    return true;
}

static int fetch_download(struct plain *p, const char *path, const struct remote_attr *expect,
                          uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    const bool was = daytona_background_bind(remote_in_background());
    struct daytona_download_info info = {0};
    int r = daytona_files_download(p->sandbox, path, off, len, sink_to_fd, &fd, &info);

    (void)daytona_background_bind(was);
    if (r < 0)
        return plain_file_error(p, path, r);
    if (expect && info.size != UINT64_MAX && info.size != expect->size)
        return -ESTALE;
    if (expect && info.mtime_s != -1 && info.mtime_s != whole_seconds(expect->mtime_ns))
        return -ESTALE;
    *ret_len = info.delivered;
    return 0;
}

/* One piece: the record and the bytes in one answer. *ret_len is short at the end of the file. */
static int fetch_piece(struct plain *p, const char *path, const struct remote_attr *expect,
                       uint64_t off, size_t len, int fd, size_t *ret_len)
{
    struct shcmd_answer answer;
    struct remote_attr attr;
    struct shcmd s;
    int r;

    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    if (p->records) /* a FIFO would wait for a writer, for ever */
        shcmd_add(&s, "[ -L \"$a\" ]&&fail Invalid argument;[ -d \"$a\" ]&&fail Is a directory;"
                      "[ ! -e \"$a\" ]||[ -f \"$a\" ]||fail Invalid argument;");
    plain_add_record(p, &s, "a");
    shcmd_add(&s, "echo - >&3;tail -c +%llu \"$a\" | head -c %zu | base64 >&3;",
              (unsigned long long)off + 1, len);
    r = plain_run(p, &s, 4 * PLAIN_CHUNK, &answer);
    if (r < 0)
        return r;
    r = shcmd_errno(&answer);
    if (r == 0 && answer.part_count != 2)
        r = -EPROTO;
    if (r == 0)
        r = plain_records(p, &answer.part[0]);
    if (r == 0 && p->records) {
        if (answer.part[0].len == 0)
            r = -ENOENT;
        else
            r = record_decode_one(answer.part[0].data, answer.part[0].len, &attr, NULL);
        if (r == -EBADMSG)
            r = -EPROTO;
        if (r == 0 && expect && !remote_attr_same(&attr, expect))
            r = -ESTALE;
    }
    if (r == 0 && answer.part[1].len > len)
        r = -EPROTO;
    if (r == 0)
        r = io_pwrite(fd, buf_str(&answer.part[1]), answer.part[1].len, off);
    if (r == 0)
        *ret_len = answer.part[1].len;
    shcmd_answer_done(&answer);
    return r;
}

static int fetch_by_script(struct plain *p, const char *path, const struct remote_attr *expect,
                           uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    uint64_t done = 0;
    size_t want, got = 0;
    int r;

    do {
        want = len - done < PLAIN_CHUNK ? (size_t)(len - done) : PLAIN_CHUNK;
        r = fetch_piece(p, path, expect, off + done, want, fd, &got);
        if (r < 0)
            return r;
        done += got;
    } while (got == want && done < len);
    *ret_len = done;
    return 0;
}

/* The kernel's own files say that they are empty; the service then sends nothing. */
bool plain_is_kernel_file(const char *path)
{
    return path_is_below(path, "/proc") || path_is_below(path, "/sys");
}

int plain_download(struct remote *r, const char *path, const struct remote_attr *expect,
                   uint64_t off, uint64_t len, int fd, uint64_t *ret_len)
{
    struct plain *p = plain_of(r);

    if (len == 0) {
        *ret_len = 0;
        return 0;
    }
    if (p->shell && (plain_is_kernel_file(path) || !plain_is_utf8(path_base(path))))
        return fetch_by_script(p, path, plain_is_kernel_file(path) ? NULL : expect, off, len, fd,
                               ret_len);
    return fetch_download(p, path, expect, off, len, fd, ret_len);
}

/* It may have changed twice in its second, or been replaced between two pieces of it. What the
 * service reads in one go is of one version, whichever that is. */
static bool is_doubtful(const struct plain *p, const struct remote_attr *a)
{
    static const int64_t young_ns = 3 * NS_PER_S;

    return p->records && a->size > PLAIN_STEADY &&
           a->ctime_ns > clock_real_ns() + p->info.clock_offset_ns - young_ns;
}

int plain_fetch(struct remote *r, const char *path, const struct remote_attr *expect, uint64_t off,
                uint64_t len, int fd, uint64_t *ret_len)
{
    struct remote_attr attr;
    int err = plain_download(r, path, expect, off, len, fd, ret_len);

    if (err < 0 || !expect || !is_doubtful(plain_of(r), expect))
        return err;
    err = plain_stat(r, path, &attr, NULL);
    return err == 0 && !remote_attr_same(expect, &attr) ? -ESTALE : err;
}

/* ---- put ---- */

/* Sets k to what is under the name now, as "RAWMODE LINKS UID:GID MODE", and refuses what is no
 * file. Raw modes are four hex digits: 8 is a file, 4 a directory. */
static void add_look(struct shcmd *s)
{
    shcmd_add(s, "k=$(stat -c \"%%f %%h %%u:%%g %%a\" \"$a\" 2>/dev/null);"
                 "case \"$k\" in (\"\"|8???\" \"*);;(4???\" \"*)no Is a directory;;"
                 "(*)no Invalid argument;;esac;");
}

/* no SENTENCE: removes our temporary file and fails. */
static void add_temp(struct shcmd *s, const char *temp, const char *path)
{
    shcmd_set(s, "t", temp);
    shcmd_set(s, "a", path);
    shcmd_add(s, "no(){ rm -f \"$t\";fail \"$*\"; };");
}

/*
 * With the whole content in t, makes it the content of a. A file of several names keeps them all,
 * and one whose owner a new file cannot have keeps that, by being rewritten where it is: locally,
 * in the sandbox, from t.
 */
static void add_settle(struct plain *p, struct shcmd *s, const struct remote_put *put)
{
    const mode_t mode = put->replace ? put->replace->mode & 07777 : 0644;

    shcmd_add(s, "[ \"$(stat -c %%s \"$t\")\" = %llu ]||no Input/output error;",
              (unsigned long long)put->size);
    add_look(s);
    if (put->replace) {
        /* A directory that holds nothing but t and is no older was made again by the upload. */
        shcmd_add(s,
                  "if [ -z \"$k\" ];then d=${a%%/*};d=${d:-/};i=$(stat -c %%W \"$d\");"
                  "if [ \"$(ls -A \"$d\" | wc -l)\" = 1 ]&&[ \"${i#-}\" -gt 0 ]&&"
                  "[ \"$i\" -ge \"$(stat -c %%W \"$t\")\" ];"
                  "then rm -f \"$t\";rmdir \"$d\";fail No such file or directory;fi;"
                  "k=\"8000 1 %u:%u %o\";fi;",
                  put->replace->uid, put->replace->gid, (unsigned)mode);
    }
    shcmd_add(s, "[ -n \"$k\" ]||k=\"8000 1 $(stat -c %%u:%%g \"$t\") %o\";", (unsigned)mode);
    shcmd_add(s, "m=${k##* };o=${k%% *};o=${o##* };n=${k#* };n=${n%%%% *};");
    /* 5 digits: with fewer, GNU chmod keeps special bits of some things. */
    shcmd_add(s, "if [ \"$n\" = 1 ]&&{ [ \"$o\" = \"$(stat -c %%u:%%g \"$t\")\" ]||"
                 "chown -h \"$o\" \"$t\" 2>/dev/null; };then ");
    shcmd_add(s, "chmod 0\"$m\" \"$t\"||no Operation not permitted;");
    if (p->full && put->mtime_ns != INT64_MIN) {
        plain_add_touch(s, 'm', "t", put->mtime_ns);
        shcmd_add(s, "no;");
    }
    shcmd_add(s, "mv -f %s \"$t\" \"$a\"||{ rm -f \"$t\";exit 1; };", p->full ? "-T" : "");
    shcmd_add(s, "else cat \"$t\" >\"$a\"||{ rm -f \"$t\";exit 1; };rm -f \"$t\";"
                 "[ \"$(stat -c %%a \"$a\")\" = \"$m\" ]||chmod 0\"$m\" \"$a\";");
    if (p->full && put->mtime_ns != INT64_MIN) {
        plain_add_touch(s, 'm', "a", put->mtime_ns);
        shcmd_add(s, "exit 1;");
    }
    shcmd_add(s, "fi;");
    plain_add_record(p, s, "a");
}

static void remove_temp(struct plain *p, const char *temp)
{
    struct shcmd_answer answer;
    struct shcmd s;

    shcmd_init(&s);
    shcmd_set(&s, "t", temp);
    shcmd_add(&s, "rm -f \"$t\";");
    if (plain_run(p, &s, PLAIN_SMALL, &answer) == 0) /* else a hidden leftover stays */
        shcmd_answer_done(&answer);
}

/* In place, through the service; then the times. refused: why there can be nothing beside it. */
static int put_in_place(struct plain *p, const char *path, const struct remote_put *put,
                        int refused, struct remote_attr *ret)
{
    struct shcmd s;
    int r;

    r = plain_api_put(p, path, put, NULL);
    if (r < 0) /* the service gives no reason, or that there is nothing yet: ours is better */
        return r == -EIO || r == -ENOENT ? refused : r;
    shcmd_init(&s);
    shcmd_set(&s, "a", path);
    if (put->replace)
        shcmd_add(&s, "m=%o;[ \"$(stat -c %%a \"$a\")\" = \"$m\" ]||chmod 0\"$m\" \"$a\";",
                  (unsigned)put->replace->mode & 07777);
    if (p->full && put->mtime_ns != INT64_MIN) {
        plain_add_touch(&s, 'm', "a", put->mtime_ns);
        shcmd_add(&s, "exit 1;");
    }
    plain_add_record(p, &s, "a");
    return plain_change(p, &s, path, ret);
}

static int put_by_upload(struct plain *p, const char *path, const char *temp,
                         const struct remote_put *put, struct remote_attr *ret)
{
    const struct daytona_upload upload = {.path = temp, .fd = put->fd, .len = put->size};
    struct shcmd s;
    int r;

    /* The service would make missing parents. What was replaced shows that they were there. */
    if (!put->replace) {
        char *dir = path_dir(path);

        r = dir ? remote_stat(&p->remote, dir, NULL, NULL) : -ENOMEM;
        free(dir);
        if (r < 0)
            return r;
    }
    r = daytona_files_upload_many(p->sandbox, &upload, 1, NULL);
    if (r == -EACCES || r == -EPERM || r == -EROFS) {
        if (daytona_last_error()->auth || daytona_last_error()->infra)
            return plain_net_error(r);
        return put_in_place(p, path, put, r, ret);
    }
    if (r < 0) {
        r = plain_file_error(p, path, r);
        if (r != -EHOSTDOWN && r != -ETIMEDOUT && r != -EINTR)
            remove_temp(p, temp);
        return r;
    }
    shcmd_init(&s);
    add_temp(&s, temp, path);
    add_settle(p, &s, put);
    return plain_change(p, &s, path, ret);
}

static int read_content(const struct remote_put *put, struct buf *out)
{
    char *bytes = malloc(put->size + 1);
    int r = bytes ? io_pread(put->fd, bytes, put->size, 0) : -ENOMEM;

    if (r == 0)
        r = base64_encode(out, bytes, put->size);
    free(bytes);
    return r;
}

/* The content travels in the script: one request, no parent is made by mistake, and nobody else may
 * read the temporary file. */
static int put_inline(struct plain *p, const char *path, const char *temp,
                      const struct remote_put *put, struct remote_attr *ret)
{
    struct buf text = BUF_INIT(PLAIN_INLINE_MAX * 2);
    struct shcmd s;
    int r = read_content(put, &text);

    if (r < 0)
        goto out;
    shcmd_init(&s);
    add_temp(&s, temp, path);
    /* tee, unlike the shell's own redirection, says errno the same way everywhere. */
    shcmd_add(&s,
              "u=$(umask);umask 077;printf %%s \"%s\" | base64 -d | tee \"$t\" >/dev/null||no;"
              "umask $u;[ -e \"$t\" ]||exit 1;",
              buf_str(&text));
    add_settle(p, &s, put);
    r = plain_change(p, &s, path, ret);
out:
    buf_done(&text);
    return r;
}

int plain_put(struct remote *r, const char *path, const struct remote_put *put,
              struct remote_attr *ret)
{
    struct plain *p = plain_of(r);
    char *temp;
    int err;

    if (!p->shell)
        return plain_api_put(p, path, put, ret);
    temp = plain_temp_beside(p, path);
    if (!temp)
        return -ENOMEM;
    if (put->size <= PLAIN_INLINE_MAX) {
        err = put_inline(p, path, temp, put, ret);
        if (err == -EACCES || err == -EPERM || err == -EROFS) /* not the directory, but the file? */
            err = put_in_place(p, path, put, err, ret);
    } else {
        err = put_by_upload(p, path, temp, put, ret);
    }
    free(temp);
    return err;
}
