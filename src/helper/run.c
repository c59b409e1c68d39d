/* The verbs about jobs. */
#include "helper/run.h"

#include "helper/text.h"
#include "helper/verbs.h"
#include "util/clock.h"
#include "util/io.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    CHUNK = 64 << 10,
    POLL_MS = 20,         /* where nothing tells of changes */
    LOOK_AGAIN_MS = 1000, /* where it does: a keeper that was killed changes nothing */
    LINGER_MS = 100,      /* after the first output of a job that was just started */
    KILL_WAIT_MS = 2000,
};

static int limit_ms(uint64_t ms)
{
    return ms > RUN_WAIT_MS_MAX ? RUN_WAIT_MS_MAX : (int)ms;
}

/* ---- telling ---- */

static void emit_job(struct emit *e, uint64_t id, struct run_job *look,
                     const struct run_request *req)
{
    look->id = id;
    if (req) {
        look->name = req->name;
        look->name_len = strlen(req->name);
        look->line = req->line;
        look->line_len = strlen(req->line);
        look->cwd = req->cwd;
        look->cwd_len = strlen(req->cwd);
        look->flags |= req->flags & RUN_PASSING;
    }
    EMIT(e, run_put_job, look);
}

/* Bytes from of one of the files, told as bytes off of the stream. */
static int emit_output(struct emit *e, int job, bool is_err, uint64_t from, enum run_stream stream,
                       uint64_t off, uint64_t len)
{
    const int fd = openat(job, is_err ? "err" : "out", O_RDONLY | O_CLOEXEC);
    static char chunk[CHUNK];
    int r = fd < 0 ? -errno : 0;

    while (r == 0 && len > 0 && e->err == 0) {
        const ssize_t n = pread(fd, chunk, len < CHUNK ? len : CHUNK, (off_t)from);
        const struct run_data data = {
            .stream = stream, .off = off, .p = chunk, .len = n > 0 ? (size_t)n : 0};

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            r = n < 0 ? -errno : 0;
            break;
        }
        EMIT(e, run_put_data, &data);
        off += (uint64_t)n;
        from += (uint64_t)n;
        len -= (uint64_t)n;
    }
    if (fd >= 0)
        close(fd);
    return r;
}

struct together {
    struct emit *e;
    int job;
    uint64_t off;
};

static int emit_piece(void *arg, bool err, uint64_t from, uint64_t len)
{
    struct together *t = arg;
    const int r = emit_output(t->e, t->job, err, from, RUN_BOTH, t->off, len);

    t->off += len;
    return r;
}

static uint64_t beyond(uint64_t size, uint64_t off)
{
    return size > off ? size - off : 0;
}

static int tell(struct emit *e, int job, const struct run_request *req, uint64_t id,
                struct run_job *look, bool *ret_more)
{
    const uint64_t max = req->max_bytes < RUN_ANSWER_MAX ? req->max_bytes : RUN_ANSWER_MAX;
    const uint64_t has_out = beyond(look->out_size, req->out_off);
    const uint64_t has_err = beyond(look->err_size, req->err_off);
    uint64_t out = has_out < max ? has_out : max, err = has_err < max ? has_err : max;
    int r;

    e->unfinished = look->phase == RUN_RUNNING;
    if (req->flags & RUN_TOGETHER) {
        struct together t = {.e = e, .job = job, .off = req->out_off};
        const uint64_t has = beyond(look->both_size, req->out_off);

        *ret_more = has > max;
        emit_job(e, id, look, NULL);
        return order_walk(job, req->out_off, has < max ? has : max, emit_piece, &t);
    }
    if (out + err > max) { /* neither starves the other */
        err = err > max / 2 && out >= max - max / 2 ? max / 2 : err < max / 2 ? err : max - out;
        out = max - err;
    }
    *ret_more = has_out > out || has_err > err;
    emit_job(e, id, look, NULL);
    r = emit_output(e, job, false, req->out_off, RUN_OUT, req->out_off, out);
    return r < 0 ? r : emit_output(e, job, true, req->err_off, RUN_ERR, req->err_off, err);
}

/* ---- waiting ---- */

static int watch(int job)
{
    static const char *const names[] = {"out", "err", "state", "order"};
    const int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    for (size_t i = 0; fd >= 0 && i < sizeof(names) / sizeof(*names); i++) {
        char path[64];

        text_make(path, sizeof(path), "/proc/self/fd/%d/%s", job, names[i]);
        if (inotify_add_watch(fd, path, IN_MODIFY) < 0) {
            close(fd);
            return -1;
        }
    }
    return fd;
}

static int wait_look(int job, const struct run_request *req, int done, struct run_job *ret)
{
    int64_t end_ns = clock_mono_ns() + limit_ms(req->wait_ms) * NS_PER_MS;
    const int events = req->wait_ms > 0 ? watch(job) : -1;
    bool lingers = req->op == RUN_START;
    char skip[4096];
    int r;

    for (;;) {
        struct pollfd p[] = {{.fd = events, .events = POLLIN}, {.fd = done, .events = POLLIN}};
        bool news;
        int64_t now, left_ms;

        r = job_look(job, ret);
        if (r < 0 || ret->phase != RUN_RUNNING)
            break;
        news = req->flags & RUN_TOGETHER
                   ? ret->both_size > req->out_off
                   : ret->out_size > req->out_off || ret->err_size > req->err_off;
        now = clock_mono_ns();
        if (news && lingers) {
            const int64_t soon_ns = now + LINGER_MS * NS_PER_MS;

            end_ns = soon_ns < end_ns ? soon_ns : end_ns;
            lingers = false;
        } else if (news && req->op != RUN_START) {
            break;
        }
        if (now >= end_ns)
            break;
        left_ms = (end_ns - now) / NS_PER_MS + 1;
        if (events < 0 && left_ms > POLL_MS)
            left_ms = POLL_MS;
        else if (left_ms > LOOK_AGAIN_MS)
            left_ms = LOOK_AGAIN_MS;
        if (poll(p, 2, (int)left_ms) > 0 && p[0].revents) {
            (void)poll(NULL, 0, 1); /* output comes in bursts */
            while (read(events, skip, sizeof(skip)) > 0)
                ;
        }
    }
    if (events >= 0)
        close(events);
    return r;
}

/* ---- the ops ---- */

struct started {
    uint64_t id;
    int job, done; /* -1: none */
};

static int start_locked(int spool, const struct run_request *req, struct started *s)
{
    int alive = -1, r = 0;

    s->id = spool_find(spool, 't', req->token);
    s->job = s->id ? spool_job(spool, s->id) : -ENOENT;
    if (s->job >= 0) { /* it was started by a request whose answer was lost */
        if (job_has(s->job, "begun"))
            return 0;
        alive = job_lock_alive(s->job);
        if (alive == -EAGAIN)
            return 0;
    } else {
        const uint64_t other = req->name[0] ? spool_find(spool, 'n', req->name) : 0;
        const int there = other && other != s->id ? spool_job(spool, other) : -ENOENT;

        if (there >= 0) {
            close(there);
            return -EEXIST;
        }
        (void)spool_sweep(spool);
        r = spool_make(spool, req, &s->id, &s->job, &alive);
    }
    if (r == 0)
        r = alive < 0 ? alive : keep_start(spool, s->job, alive, req);
    if (r < 0)
        return r;
    s->done = r;
    return 0;
}

static int start(struct emit *e, int spool, const struct run_request *req, bool *ret_more)
{
    struct started s = {.job = -1, .done = -1};
    const int lock = spool_lock(spool);
    struct run_job look;
    int r = lock < 0 ? lock : start_locked(spool, req, &s);

    if (lock >= 0)
        close(lock);
    if (r == 0)
        r = wait_look(s.job, req, s.done, &look);
    if (r == 0)
        r = tell(e, s.job, req, s.id, &look, ret_more);
    if (s.job >= 0)
        close(s.job);
    if (s.done >= 0)
        close(s.done);
    return r;
}

struct listing {
    struct emit *e;
    int spool;
};

static int list_one(void *arg, uint64_t id)
{
    const struct listing *l = arg;
    const int job = spool_job(l->spool, id);
    struct run_request req;
    struct run_job look;

    if (job < 0)
        return 0;
    if (job_look(job, &look) == 0 && job_request(job, &req) == 0) {
        if (!(req.flags & RUN_PASSING) || look.phase == RUN_RUNNING)
            emit_job(l->e, id, &look, &req);
        run_request_done(&req);
    }
    close(job);
    return l->e->err;
}

static int list(struct emit *e, int spool, const struct run_request *req, bool *ret_more)
{
    struct listing l = {.e = e, .spool = spool};

    return spool_each(spool, list_one, &l);
}

static int read_job(struct emit *e, int spool, const struct run_request *req, bool *ret_more)
{
    const int job = spool_job(spool, req->id);
    struct run_job look;
    int r = job < 0 ? job : wait_look(job, req, -1, &look);

    if (r == 0)
        r = tell(e, job, req, req->id, &look, ret_more);
    if (job >= 0)
        close(job);
    return r;
}

static void poke(int job)
{
    const int fd = openat(job, "wake", O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

    if (fd < 0)
        return; /* nobody is there to hear it */
    (void)!write(fd, "", 1);
    close(fd);
}

/* Room for so many bytes more; waits for some until end_ns. -EPIPE: the job reads no more. */
static int64_t wait_room(int job, int64_t end_ns)
{
    for (;;) {
        const struct job_taken taken = job_taken_get(job);
        struct run_job look;
        int r = job_look(job, &look);
        int64_t ahead;

        if (r < 0)
            return r;
        if (look.phase != RUN_RUNNING || taken.closed)
            return -EPIPE;
        ahead = (int64_t)(look.in_size - taken.bytes);
        if (ahead < RUN_INPUT_AHEAD || clock_mono_ns() >= end_ns)
            return ahead < RUN_INPUT_AHEAD ? RUN_INPUT_AHEAD - ahead : 0;
        (void)poll(NULL, 0, POLL_MS);
    }
}

/* With the file locked. */
static int write_input(int job, int fd, const struct run_request *req, int64_t room)
{
    struct stat st;
    uint64_t skip, n;
    int end, r;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (req->off > (uint64_t)st.st_size)
        return -EINVAL;
    skip = (uint64_t)st.st_size - req->off; /* sent before, by a request whose answer was lost */
    skip = skip < req->data_len ? skip : req->data_len;
    n = req->data_len - skip;
    n = n < (uint64_t)room ? n : (uint64_t)room;
    if (n > 0 && job_has(job, "end"))
        return -EPIPE;
    r = io_pwrite(fd, req->data + skip, n, req->off + skip);
    if (r < 0)
        return r;
    skip += n;
    if (!(req->flags & RUN_STDIN_END) || skip < req->data_len)
        return 0;
    end = openat(job, "end", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (end < 0)
        return -errno;
    close(end);
    return 0;
}

static int write_job(struct emit *e, int spool, const struct run_request *req, bool *ret_more)
{
    const int job = spool_job(spool, req->id);
    int fd = -1, r = job < 0 ? job : 0;
    struct run_job look;
    int64_t room = 0;

    if (r == 0 && !job_has(job, "wake"))
        r = -EPIPE; /* its stdin was never open */
    if (r == 0) {
        room = wait_room(job, clock_mono_ns() + limit_ms(req->wait_ms) * NS_PER_MS);
        r = room < 0 ? (int)room : 0;
    }
    if (r == 0) {
        fd = openat(job, "in", O_RDWR | O_NOFOLLOW | O_CLOEXEC);
        r = fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : 0;
    }
    if (r == 0)
        r = write_input(job, fd, req, room);
    if (fd >= 0)
        close(fd);
    if (r == 0) {
        poke(job);
        r = job_look(job, &look);
    }
    if (r == 0)
        emit_job(e, req->id, &look, NULL);
    if (job >= 0)
        close(job);
    return r;
}

/* A job that was just started gets its pid in a moment. */
static int look_for_pid(int job, struct run_job *ret)
{
    for (int waited_ms = 0;; waited_ms += POLL_MS) {
        int r = job_look(job, ret);

        if (r < 0 || ret->phase != RUN_RUNNING || ret->state.pid != 0 || waited_ms > KILL_WAIT_MS)
            return r;
        (void)poll(NULL, 0, POLL_MS);
    }
}

static int kill_job(struct emit *e, int spool, const struct run_request *req, bool *ret_more)
{
    const int job = spool_job(spool, req->id);
    struct run_job look = {0};
    int lock = -1, r = job < 0 ? job : look_for_pid(job, &look);

    if (r == 0)
        lock = r = spool_lock(spool);
    if (r >= 0)
        r = job_look(job, &look);
    if (r == 0 && (look.phase != RUN_RUNNING || look.state.pid <= 1))
        r = -ESRCH;
    if (r == 0 && (req->signal > 64 || kill(-(pid_t)look.state.pid, (int)req->signal) < 0))
        r = req->signal > 64 ? -EINVAL : -errno;
    if (r == 0)
        emit_job(e, req->id, &look, NULL);
    if (lock >= 0)
        close(lock);
    if (job >= 0)
        close(job);
    return r;
}

static int remove_job(struct emit *e, int spool, const struct run_request *req, bool *ret_more)
{
    const int job = spool_job(spool, req->id), lock = job < 0 ? job : spool_lock(spool);
    struct run_job look;
    int r = lock < 0 ? lock : 0;

    if (r == 0 && job_look(job, &look) == 0 && look.phase == RUN_RUNNING)
        r = -EBUSY;
    if (r == 0)
        r = spool_remove(spool, req->id);
    if (lock >= 0)
        close(lock);
    if (job >= 0)
        close(job);
    return r;
}

static int (*const ops[])(struct emit *, int, const struct run_request *, bool *) = {
    [RUN_START] = start,     [RUN_LIST] = list,     [RUN_READ] = read_job,
    [RUN_WRITE] = write_job, [RUN_KILL] = kill_job, [RUN_REMOVE] = remove_job,
};

int verb_run(struct emit *e, const struct run_request *req, bool *ret_more)
{
    const int spool = spool_open();
    int r;

    if (spool < 0)
        return spool;
    r = ops[req->op](e, spool, req, ret_more);
    close(spool);
    return r;
}
