#include "helper/run.h"

#include "helper/folder.h"
#include "helper/text.h"
#include "util/array.h"
#include "util/clock.h"
#include "util/io.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum {
    STATE_SIZE = 128,
    LOCK_WAIT_MS = 20000,
    REQUEST_MAX = PROTO_BODY_MAX + PROTO_HEADER,
    SWEEP_EVERY_S = 60,
    PASSED_AFTER_S = 600, /* whoever lost the answer may ask again for so long */
};

static const char *const job_files[] = {"request", "alive", "begun", "state", "out",  "err",
                                        "in",      "end",   "taken", "wake",  "order"};

/* ---- small files ---- */

static int put_file(int dir, const char *name, const void *p, size_t n)
{
    const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int r = fd < 0 ? -errno : io_write(fd, p, n);

    if (fd >= 0)
        close(fd);
    return r;
}

static int get_file(int dir, const char *name, struct buf *out)
{
    const int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    int r = fd < 0 ? -errno : io_read_rest(fd, out);

    if (fd >= 0)
        close(fd);
    return r;
}

/* ---- the spool ---- */

int spool_open(void)
{
    const int folder = folder_open(NULL);
    int fd;

    if (folder < 0)
        return folder;
    fd = folder_sub(folder, "jobs");
    close(folder);
    return fd;
}

int spool_lock(int spool)
{
    const int fd = openat(spool, "lock", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; waited_ms += 2) {
        const int err = errno;

        if ((err != EWOULDBLOCK && err != EINTR) || waited_ms >= LOCK_WAIT_MS) {
            close(fd);
            return err == EWOULDBLOCK ? -ETIMEDOUT : -err;
        }
        (void)poll(NULL, 0, 2);
    }
    return fd;
}

int spool_job(int spool, uint64_t id)
{
    char name[24];
    int fd;

    text_make(name, sizeof(name), "%llu", (unsigned long long)id);
    fd = openat(spool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static uint64_t to_id(const char *text)
{
    uint64_t id = 0;
    size_t n = 0;

    for (; text[n] >= '0' && text[n] <= '9' && n < 18; n++)
        id = id * 10 + (uint64_t)(text[n] - '0');
    return text[n] == '\0' && text[0] != '0' ? id : 0;
}

static void link_name(char *out, size_t size, char kind, const char *name)
{
    text_make(out, size, "%c-%s", kind, name);
}

uint64_t spool_find(int spool, char kind, const char *name)
{
    char link[RUN_NAME_MAX + RUN_TOKEN_MAX], target[24];
    ssize_t n;

    link_name(link, sizeof(link), kind, name);
    n = readlinkat(spool, link, target, sizeof(target) - 1);
    if (n <= 0)
        return 0;
    target[n] = '\0';
    return to_id(target);
}

static int put_link(int spool, char kind, const char *name, uint64_t id)
{
    char link[RUN_NAME_MAX + RUN_TOKEN_MAX], target[24];

    link_name(link, sizeof(link), kind, name);
    text_make(target, sizeof(target), "%llu", (unsigned long long)id);
    (void)unlinkat(spool, link, 0); /* one that is left of a job that is gone */
    return symlinkat(target, spool, link) < 0 ? -errno : 0;
}

int spool_each(int spool, int (*fn)(void *arg, uint64_t id), void *arg)
{
    const int fd = openat(spool, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    struct dirent *d;
    int r = dir ? 0 : -errno;

    while (r == 0 && (d = readdir(dir))) {
        const uint64_t id = to_id(d->d_name);

        if (id > 0)
            r = fn(arg, id);
    }
    if (dir)
        closedir(dir);
    return r;
}

static int find_last(void *arg, uint64_t id)
{
    uint64_t *last = arg;

    if (id > *last)
        *last = id;
    return 0;
}

/* An id that was never used. */
static int take_id(int spool, uint64_t *ret)
{
    struct buf text = BUF_INIT(64);
    char line[24];
    int r = get_file(spool, "last", &text);

    *ret = r == 0 ? to_id(buf_str(&text)) : 0;
    buf_done(&text);
    if (*ret == 0)
        (void)spool_each(spool, find_last, ret); /* the file was lost: ids begin anew */
    (*ret)++;
    text_make(line, sizeof(line), "%llu", (unsigned long long)*ret);
    return put_file(spool, "last", line, strlen(line));
}

static int fill_job(int job, const struct run_request *req)
{
    const struct run_state state = {.started_ns = clock_real_ns()};
    const bool input = req->data_len > 0 || (req->flags & RUN_STDIN_OPEN);
    struct buf frame = BUF_INIT(REQUEST_MAX);
    struct run_request kept = *req;
    int r;

    kept.data = NULL; /* it is in a file of its own */
    kept.data_len = 0;
    r = run_put_request(&frame, &kept);
    if (r == 0)
        r = put_file(job, "request", frame.data, frame.len);
    buf_done(&frame);
    if (r == 0)
        r = job_state_put(job, &state);
    if (r == 0)
        r = put_file(job, "out", NULL, 0);
    if (r == 0)
        r = put_file(job, "err", NULL, 0);
    if (r == 0)
        r = put_file(job, "order", NULL, 0);
    if (r == 0 && input)
        r = put_file(job, "in", req->data, req->data_len);
    if (r == 0 && (req->flags & RUN_STDIN_OPEN) && mkfifoat(job, "wake", 0600) < 0)
        r = -errno;
    return r;
}

static int make_job(int spool, const struct run_request *req, uint64_t id, int *ret_job,
                    int *ret_alive)
{
    char name[24];
    int job, r;

    text_make(name, sizeof(name), "%llu", (unsigned long long)id);
    if (mkdirat(spool, "new", 0700) < 0)
        return -errno;
    job = openat(spool, "new", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    r = job < 0 ? -errno : fill_job(job, req);
    if (r == 0)
        *ret_alive = r = job_lock_alive(job);
    if (r >= 0 && renameat(spool, "new", spool, name) < 0) {
        r = -errno;
        close(*ret_alive);
    }
    if (r < 0 && job >= 0)
        close(job);
    else
        *ret_job = job;
    return r < 0 ? r : 0;
}

static void empty_job(int spool, const char *name)
{
    const int job = openat(spool, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    for (size_t i = 0; job >= 0 && i < ARRAY_LEN(job_files); i++)
        (void)unlinkat(job, job_files[i], 0); /* rmdir says if one is left */
    if (job >= 0)
        close(job);
}

int spool_make(int spool, const struct run_request *req, uint64_t *id, int *ret_job, int *ret_alive)
{
    int r = 0;

    empty_job(spool, "new"); /* one that was not finished */
    (void)unlinkat(spool, "new", AT_REMOVEDIR);
    if (*id == 0)
        r = take_id(spool, id);
    if (r == 0)
        r = put_link(spool, 't', req->token, *id);
    if (r == 0 && req->name[0])
        r = put_link(spool, 'n', req->name, *id);
    return r < 0 ? r : make_job(spool, req, *id, ret_job, ret_alive);
}

int spool_remove(int spool, uint64_t id)
{
    const int job = spool_job(spool, id);
    struct run_request req;
    char name[2 * RUN_NAME_MAX];

    if (job < 0)
        return job;
    if (job_request(job, &req) == 0) {
        link_name(name, sizeof(name), 't', req.token);
        (void)unlinkat(spool, name, 0);
        if (req.name[0] && spool_find(spool, 'n', req.name) == id) {
            link_name(name, sizeof(name), 'n', req.name);
            (void)unlinkat(spool, name, 0);
        }
        run_request_done(&req);
    }
    close(job);
    text_make(name, sizeof(name), "%llu", (unsigned long long)id);
    empty_job(spool, name);
    return unlinkat(spool, name, AT_REMOVEDIR) < 0 ? -errno : 0;
}

static int sweep_one(void *arg, uint64_t id)
{
    const int *spool = arg;
    const int job = spool_job(*spool, id);
    struct run_request req;
    struct run_job look;
    bool old = false;

    if (job < 0)
        return 0;
    if (job_look(job, &look) == 0 && look.phase != RUN_RUNNING && job_request(job, &req) == 0) {
        const int64_t since_ns =
            look.phase == RUN_ENDED ? look.state.ended_ns : look.state.started_ns;

        old = (req.flags & RUN_PASSING) && clock_real_ns() - since_ns > PASSED_AFTER_S * NS_PER_S;
        run_request_done(&req);
    }
    close(job);
    if (old)
        (void)spool_remove(*spool, id); /* or the next time */
    return 0;
}

int spool_sweep(int spool)
{
    struct stat st;

    if (fstatat(spool, "swept", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        clock_real_ns() - timespec_to_ns(st.st_mtim) < SWEEP_EVERY_S * NS_PER_S)
        return 0;
    (void)put_file(spool, "swept", "\n", 1);
    return spool_each(spool, sweep_one, &spool);
}

/* ---- one job ---- */

int job_lock_alive(int job)
{
    const int fd = openat(job, "alive", O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        const int r = errno == EWOULDBLOCK ? -EAGAIN : -errno;

        close(fd);
        return r;
    }
    return fd;
}

static bool has_keeper(int job)
{
    const int fd = openat(job, "alive", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
    bool has;

    if (fd < 0)
        return false;
    has = flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
    close(fd);
    return has;
}

bool job_has(int job, const char *file)
{
    return faccessat(job, file, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int job_request(int job, struct run_request *ret)
{
    struct buf bytes = BUF_INIT(REQUEST_MAX);
    struct proto_frame frame;
    int r = get_file(job, "request", &bytes);

    if (r == 0 &&
        (bytes.len == 0 || proto_get_frame((const uint8_t *)bytes.data, bytes.len, &frame) <= 0))
        r = -EBADMSG;
    if (r == 0)
        r = run_get_request(&frame, ret);
    buf_done(&bytes);
    return r;
}

/* It is overwritten in place: what was read while that happened is read again. */
static int get_state(int job, struct run_state *ret)
{
    for (int attempt = 0;; attempt++) {
        struct buf bytes = BUF_INIT(STATE_SIZE);
        struct proto_frame frame;
        int r = get_file(job, "state", &bytes);

        if (r == 0 && (bytes.len == 0 ||
                       proto_get_frame((const uint8_t *)bytes.data, bytes.len, &frame) <= 0 ||
                       run_get_state(&frame, ret) < 0))
            r = -EBADMSG;
        buf_done(&bytes);
        if (r != -EBADMSG || attempt == 20)
            return r;
        (void)poll(NULL, 0, 1);
    }
}

int job_state_put(int job, const struct run_state *s)
{
    const int fd = openat(job, "state", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    struct buf bytes = BUF_INIT(STATE_SIZE);
    char padded[STATE_SIZE] = {0};
    int r = fd < 0 ? -errno : run_put_state(&bytes, s);

    if (r == 0)
        memcpy(padded, bytes.data, bytes.len);
    if (r == 0 && pwrite(fd, padded, sizeof(padded), 0) != (ssize_t)sizeof(padded))
        r = -EIO;
    buf_done(&bytes);
    if (fd >= 0)
        close(fd);
    return r;
}

static uint64_t size_of(int job, const char *file)
{
    struct stat st;

    return fstatat(job, file, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : (uint64_t)st.st_size;
}

int job_look(int job, struct run_job *ret)
{
    const bool kept = has_keeper(job);
    struct run_job j = {0};
    int r = get_state(job, &j.state); /* after kept: its keeper's last word is in it */

    if (r < 0)
        return r;
    j.phase = j.state.ended_ns != 0 ? RUN_ENDED : kept ? RUN_RUNNING : RUN_LOST;
    if (j.phase == RUN_RUNNING && job_has(job, "wake") && !job_has(job, "end"))
        j.flags |= RUN_STDIN_OPEN;
    j.in_size = size_of(job, "in");
    j.out_size = size_of(job, "out");
    j.err_size = size_of(job, "err");
    j.both_size = order_size(job);
    *ret = j;
    return 0;
}

struct job_taken job_taken_get(int job)
{
    struct buf text = BUF_INIT(64);
    struct job_taken t = {0};
    const char *p;

    if (get_file(job, "taken", &text) == 0 && text.len > 0) {
        p = buf_str(&text);
        t.bytes = text_number(&p, 10);
        t.closed = text_number(&p, 10) != 0;
    }
    buf_done(&text);
    return t;
}

void job_taken_put(int job, const struct job_taken *t)
{
    const int fd = openat(job, "taken", O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    char text[32];
    size_t n;

    if (fd < 0)
        return;
    n = text_make(text, sizeof(text), "%llu %d\n", (unsigned long long)t->bytes, t->closed);
    (void)!pwrite(fd, text, n, 0); /* one that is behind makes writers wait, no more */
    close(fd);
}
