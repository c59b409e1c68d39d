#include "apply_rig.h"

#include "proto/batch.h"
#include "remote/batch_wire.h"
#include "remote/helper_answer.h"
#include "util/base64.h"
#include "util/clock.h"
#include "util/crc32c.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STRINGS = 65536, ANSWER_MAX = 8 << 20 };

struct apply_rig arig;
bool apply_rig_in_memory;
static char *strings[STRINGS];
static size_t string_count;
static struct remote_piece piece_store[STRINGS];
static size_t piece_count;

static char *keep(char *s)
{
    assert_true(string_count < STRINGS);
    strings[string_count++] = s;
    return s;
}

static void write_bytes(const char *path, const void *p, size_t n, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, p, n), n);
    close(fd);
}

static void copy_program(const char *to)
{
    static char bytes[32 << 20];
    const int fd = open(HELPER_STEPS_PROGRAM, O_RDONLY | O_CLOEXEC);
    const ssize_t n = read(fd, bytes, sizeof(bytes));

    assert_true(n > 0);
    close(fd);
    write_bytes(to, bytes, (size_t)n, 0700);
}

/* In memory where programs may be run there: there are many fsyncs. */
static const char *base(void)
{
    struct statvfs vfs;

    return apply_rig_in_memory && statvfs("/dev/shm", &vfs) == 0 && access("/dev/shm", W_OK) == 0 &&
                   !(vfs.f_flag & ST_NOEXEC)
               ? "/dev/shm"
               : "/tmp";
}

int apply_rig_enter(void **state)
{
    char path[128];

    arig = (struct apply_rig){.client = "00112233445566778899aabbccddeeff", .number = 1};
    snprintf(arig.root, sizeof(arig.root), "%s/daytonafs-apply-XXXXXX", base());
    if (!mkdtemp(arig.root))
        return -1;
    snprintf(path, sizeof(path), "%s/h", arig.root);
    (void)mkdir(path, 0700);
    strcat(path, "/h-test");
    if (link(HELPER_STEPS_PROGRAM, path) < 0)
        copy_program(path);
    snprintf(arig.dir, sizeof(arig.dir), "%.40s/d", arig.root);
    return mkdir(arig.dir, 0755) == 0 && chdir(arig.dir) == 0 ? 0 : -1;
}

int apply_rig_leave(void **state)
{
    char command[256];

    while (string_count > 0)
        free(strings[--string_count]);
    piece_count = 0;
    snprintf(command, sizeof(command), "chmod -R u+rwX %s; rm -rf %s", arig.root, arig.root);
    return chdir("/") == 0 ? system(command) : -1;
}

void arig_own(unsigned uid)
{
    char command[256];

    /* The program may be a link to the one that all tests use. */
    snprintf(command, sizeof(command),
             "cd %s && cp h/h-test h/new && mv h/new h/h-test && chown -R %u:%u .", arig.root, uid,
             uid);
    assert_int_equal(system(command), 0);
    arig.uid = uid;
}

/* ---- asking ---- */

static void set_number(const char *name, long v)
{
    char text[32];

    snprintf(text, sizeof(text), "%ld", v);
    if (v > 0)
        setenv(name, text, 1);
    else
        unsetenv(name);
}

static void child(int in, int out)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/h/h-test", arig.root);
    set_number("HELPER_DIES_AT", arig.dies_at);
    set_number("HELPER_LIMIT_MS", arig.limit_ms);
    set_number("HELPER_STOPS_AT", arig.stops_at);
    dup2(in, STDIN_FILENO);
    dup2(out, STDOUT_FILENO);
    if (arig.uid && (setgroups(0, NULL) < 0 || setgid(arig.uid) < 0 || setuid(arig.uid) < 0))
        _exit(127);
    execl(path, path, "T0k3nT0k3n", "-", NULL);
    _exit(127);
}

static int in_memory(const char *p, size_t n)
{
    const int fd = memfd_create("line", MFD_CLOEXEC);

    assert_int_equal(write(fd, p, n), n);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

static int run(const struct buf *line, struct buf *ret_text)
{
    static char chunk[1 << 20];
    const int in = in_memory(line->data, line->len), out = memfd_create("out", MFD_CLOEXEC);
    const pid_t pid = fork();
    ssize_t n;
    int status;

    if (pid == 0)
        child(in, out);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        arig.stopped = true;
        arig.meanwhile();
        kill(pid, SIGCONT);
        assert_int_equal(waitpid(pid, &status, 0), pid);
    }
    assert_int_equal(lseek(out, 0, SEEK_SET), 0);
    while ((n = read(out, chunk, sizeof(chunk))) > 0)
        assert_int_equal(buf_append(ret_text, chunk, (size_t)n), 0);
    close(in);
    close(out);
    if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
        return -EPIPE;
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    return 0;
}

static int ask(const struct buf *frames, struct buf *ret_raw)
{
    struct buf line = BUF_INIT(2 * BATCH_MESSAGE_MAX), text = BUF_INIT(ANSWER_MAX);
    int r;

    arig.asked++;
    assert_int_equal(base64_encode(&line, frames->data, frames->len), 0);
    assert_int_equal(buf_putc(&line, '\n'), 0);
    r = run(&line, &text);
    if (r == 0)
        r = answer_text("T0k3nT0k3n", buf_str(&text), text.len, ret_raw);
    buf_done(&line);
    buf_done(&text);
    return r;
}

int arig_ask(const struct remote_batch *b, bool whole, struct remote_applied *ret, bool *ret_more)
{
    struct buf frames = BUF_INIT(BATCH_MESSAGE_MAX), raw = BUF_INIT(ANSWER_MAX);
    uint64_t settled;
    int r;

    assert_int_equal(batch_wire_put(b, whole, &frames), 0);
    r = ask(&frames, &raw);
    if (r == 0)
        r = answer_applied(&raw, b->count, ret, ret_more, &settled);
    buf_done(&frames);
    buf_done(&raw);
    return r;
}

int arig_join(const struct remote_join *join, struct remote_joined *to)
{
    bool more = true;
    int r = 0;

    while (r == 0 && more) {
        struct buf frames = BUF_INIT(BATCH_MESSAGE_MAX), raw = BUF_INIT(ANSWER_MAX);

        assert_int_equal(batch_wire_put_join(join, to, &frames), 0);
        r = ask(&frames, &raw);
        if (r == 0)
            r = answer_joined(&raw, to, &more);
        buf_done(&frames);
        buf_done(&raw);
    }
    return r;
}

int arig_apply(const struct remote_batch *b, struct remote_applied *ret)
{
    bool whole = b->mode != REMOTE_BATCH_CLOSE, more = true;

    for (int i = 0; i < 20000; i++) {
        const int r = arig_ask(b, whole, ret, &more);

        if (r == -ENOMSG && !whole) {
            whole = true;
            continue;
        }
        if (r < 0 || !more)
            return r;
        whole = false;
    }
    return -ETIMEDOUT;
}

struct remote_batch arig_batch(const struct remote_change *v, size_t count, const char *data)
{
    struct remote_batch b = {.client = arig.client,
                             .number = arig.number,
                             .v = v,
                             .count = count,
                             .data = data,
                             .data_len = data ? strlen(data) : 0};

    assert_int_equal(remote_batch_digest(&b, b.digest), 0);
    return b;
}

struct remote_applied arig_do(const struct remote_change *v, size_t count, const char *data)
{
    struct remote_batch b = arig_batch(v, count, data);
    struct remote_applied a = {0};

    assert_int_equal(arig_apply(&b, &a), 0);
    assert_int_equal(a.state, REMOTE_BATCH_FINISHED);
    assert_int_equal(a.count, count);
    arig.number++;
    return a;
}

struct remote_result arig_one(struct remote_change c, const char *data)
{
    struct remote_applied a = arig_do(&c, 1, data);
    const struct remote_result r = a.v[0];

    remote_applied_done(&a);
    return r;
}

/* ---- changes ---- */

char *arig_path(const char *name)
{
    char *p;

    assert_true(asprintf(&p, "%s%s%s", arig.dir, *name ? "/" : "", name) > 0);
    return keep(p);
}

struct remote_change arig_write(const char *name, struct remote_object at, const char *data)
{
    struct remote_change c = {
        .kind = REMOTE_CHANGE_WRITE, .path = arig_path(name), .at = at, .size = strlen(data)};

    if (c.size > 0) {
        assert_true(piece_count < STRINGS);
        piece_store[piece_count] = (struct remote_piece){.len = c.size};
        c.pieces = &piece_store[piece_count++];
        c.piece_count = 1;
    }
    return c;
}

struct stat arig_stat(const char *name)
{
    struct stat st;

    if (lstat(name, &st) < 0)
        fail_msg("%s: %s", name, strerror(errno));
    return st;
}

struct remote_object arig_version(const char *name)
{
    const struct stat st = arig_stat(name);

    return (struct remote_object){.means = REMOTE_VERSION,
                                  .dev = st.st_dev,
                                  .ino = st.st_ino,
                                  .size = (uint64_t)st.st_size,
                                  .mtime_ns = timespec_to_ns(st.st_mtim),
                                  .ctime_ns = timespec_to_ns(st.st_ctim)};
}

struct remote_object arig_same(const char *name)
{
    struct remote_object o = arig_version(name);

    return (struct remote_object){.means = REMOTE_SAME, .dev = o.dev, .ino = o.ino};
}

/* ---- files ---- */

void arig_put(const char *name, const char *text)
{
    write_bytes(name, text, strlen(text), 0644);
}

char *arig_get(const char *name)
{
    const int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *p;

    if (fd < 0)
        return NULL;
    assert_int_equal(fstat(fd, &st), 0);
    p = keep(calloc(1, (size_t)st.st_size + 1));
    assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
    close(fd);
    return p;
}

unsigned arig_count(const char *dir)
{
    DIR *d = opendir(dir);
    unsigned n = 0;

    assert_non_null(d);
    while (readdir(d))
        n++;
    closedir(d);
    return n - 2;
}

struct remote_blob arig_blob(const char *name, const void *p, size_t n)
{
    struct remote_blob blob = {.len = n, .crc = crc32c(0, p, n)};
    char path[160];

    snprintf(blob.name, sizeof(blob.name), "%s", name);
    snprintf(path, sizeof(path), "%s/h/%s", arig.root, name);
    write_bytes(path, p, n, 0600);
    return blob;
}
