/*
 * raw_http.h - a server in this process, and one HTTP request at a time on a socket of its own, so
 * that what is on the wire is judged and not what a client library makes of it.
 */
#ifndef TESTS_RAW_HTTP_H
#define TESTS_RAW_HTTP_H

#include "unit.h"

#include "server/server.h"
#include "util/buf.h"
#include "util/path.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define TEST_KEY "test-key-12345678"

struct answer {
    int status;      /* 0: the connection ended without an answer */
    struct buf head; /* status line and headers */
    struct buf body; /* without chunks */
    bool cut;        /* the body ended before its announced end */
};

struct box {
    struct server *server;
    char root[64]; /* holds "state" and "home" */
    char home[80];
    char id[64];
    unsigned port;
};

static int rm_one(const char *path, const struct stat *st, int kind, struct FTW *ftw)
{
    return remove(path);
}

static inline void remove_all(const char *path)
{
    (void)nftw(path, rm_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* root, home and an empty state directory; no server yet. */
static inline void box_dirs(struct box *box)
{
    *box = (struct box){0};
    snprintf(box->root, sizeof(box->root), "/tmp/serve-XXXXXX");
    assert_non_null(mkdtemp(box->root));
    snprintf(box->home, sizeof(box->home), "%s/home", box->root);
    assert_int_equal(mkdir(box->home, 0755), 0);
}

/* The error of server_start; the id is found when it is 0. */
static inline int box_start(struct box *box, struct server_config *config)
{
    const struct server_folder folder = {.name = "box", .dir = box->home};
    struct buf why = BUF_INIT(4096), list = BUF_INIT(1 << 20);
    char state[80];
    const char *p;
    int r;

    snprintf(state, sizeof(state), "%s/state", box->root);
    config->state_dir = state;
    config->key = TEST_KEY;
    config->key_len = strlen(TEST_KEY);
    config->folders = &folder;
    config->folder_count = 1;
    r = server_start(config, &box->server, &why);
    if (r < 0) {
        box->server = NULL;
        print_message("server_start: %s\n", buf_str(&why));
    } else {
        assert_int_equal(sscanf(strrchr(server_url(box->server), ':'), ":%u", &box->port), 1);
        assert_int_equal(server_describe(box->server, &list), 0);
        p = strstr(buf_str(&list), "\",\"name\":\"box\"");
        assert_non_null(p);
        snprintf(box->id, sizeof(box->id), "%.36s", p - 36);
    }
    buf_done(&why);
    buf_done(&list);
    return r;
}

static inline void box_end(struct box *box)
{
    box->server = server_free(box->server);
    remove_all(box->root);
}

static inline int box_connect(const struct box *box)
{
    const struct sockaddr_in addr = {.sin_family = AF_INET,
                                     .sin_port = htons((uint16_t)box->port),
                                     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 20};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    return fd;
}

static inline void send_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        const ssize_t w = send(fd, p, n, MSG_NOSIGNAL);

        if (w <= 0)
            return; /* the answer, or its absence, tells */
        p += w;
        n -= (size_t)w;
    }
}

/* Takes chunks apart in place. False when the last one is missing. */
static inline bool unchunk(struct buf *b)
{
    char *in = b->data, *out = b->data, *const end = b->data + b->len;

    for (;;) {
        char *after;
        const size_t n = in < end ? strtoul(in, &after, 16) : 0;

        if (in >= end || after == in || after + 2 > end) {
            buf_truncate(b, (size_t)(out - b->data));
            return false;
        }
        in = after + 2;
        if (n == 0) {
            buf_truncate(b, (size_t)(out - b->data));
            return true;
        }
        if ((size_t)(end - in) < n) {
            memmove(out, in, (size_t)(end - in));
            buf_truncate(b, (size_t)(out - b->data) + (size_t)(end - in));
            return false;
        }
        memmove(out, in, n);
        out += n;
        in += n + 2;
    }
}

/* The value of a header, or NULL; valid until the thread asks again. */
static inline const char *header(const struct answer *a, const char *name)
{
    static __thread char value[1024];
    const size_t n = strlen(name);

    for (const char *p = buf_str(&a->head); (p = strstr(p, "\r\n")); p += 2) {
        if (strncasecmp(p + 2, name, n) == 0 && p[2 + n] == ':') {
            const char *v = p + 2 + n + 1;

            v += strspn(v, " ");
            snprintf(value, sizeof(value), "%.*s", (int)strcspn(v, "\r"), v);
            return value;
        }
    }
    return NULL;
}

/* Reads an answer up to the end of the connection; max: stop after so many bytes. */
static inline struct answer read_answer(int fd, size_t max)
{
    struct answer a = {.head = BUF_INIT(64 << 10), .body = BUF_INIT(64 << 20)};
    char block[16384];
    char *end;
    ssize_t n;

    while (a.body.len < max && (n = recv(fd, block, sizeof(block), 0)) > 0)
        assert_int_equal(buf_append(&a.body, block, (size_t)n), 0);
    close(fd);
    end = a.body.len ? strstr(a.body.data, "\r\n\r\n") : NULL;
    if (!end)
        return a;
    assert_int_equal(buf_append(&a.head, a.body.data, (size_t)(end - a.body.data) + 2), 0);
    buf_consume(&a.body, (size_t)(end - a.body.data) + 4);
    assert_int_equal(sscanf(a.head.data, "HTTP/1.1 %d", &a.status), 1);
    if (header(&a, "Transfer-Encoding"))
        a.cut = !unchunk(&a.body);
    else if (header(&a, "Content-Length"))
        a.cut = a.body.len != strtoull(header(&a, "Content-Length"), NULL, 10);
    return a;
}

/* headers: whole lines with \r\n, or NULL. Without "Authorization" in them the key is sent. */
static inline struct answer ask_bytes(const struct box *box, const char *method, const char *target,
                                      const char *headers, const void *body, size_t len)
{
    struct buf rq = BUF_INIT(64 << 20);
    int fd = box_connect(box);

    assert_int_equal(buf_printf(&rq, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s",
                                method, target,
                                headers && strstr(headers, "Authorization")
                                    ? ""
                                    : "Authorization: Bearer " TEST_KEY "\r\n",
                                headers ? headers : ""),
                     0);
    if (body || strcmp(method, "POST") == 0)
        assert_int_equal(buf_printf(&rq, "Content-Length: %zu\r\n", len), 0);
    assert_int_equal(buf_puts(&rq, "\r\n"), 0);
    if (len)
        assert_int_equal(buf_append(&rq, body, len), 0);
    send_all(fd, rq.data, rq.len);
    buf_done(&rq);
    return read_answer(fd, 48 << 20);
}

static inline struct answer ask(const struct box *box, const char *method, const char *target,
                                const char *headers, const char *body)
{
    return ask_bytes(box, method, target, headers, body, body ? strlen(body) : 0);
}

/* In the toolbox of the box. */
static inline struct answer ask_box(const struct box *box, const char *method, const char *call,
                                    const char *headers, const char *body)
{
    char target[8192];

    snprintf(target, sizeof(target), "/toolbox/%s%s", box->id, call);
    return ask(box, method, target, headers, body);
}

static inline void answer_done(struct answer *a)
{
    buf_done(&a->head);
    buf_done(&a->body);
}

/* Runs a command in the box; the answer's body in out. */
static inline int run_in(const struct box *box, const char *json, char *out, size_t size)
{
    struct answer a =
        ask_box(box, "POST", "/process/execute", "Content-Type: application/json\r\n", json);
    const int status = a.status;

    snprintf(out, size, "%s", buf_str(&a.body));
    answer_done(&a);
    return status;
}

/*
 * What a body must be: NULL anything, "" empty, "=TEXT" exactly that, "~TEXT" it is in there,
 * "!TEXT" it is not.
 */
static inline bool body_fits(const struct answer *a, const char *want)
{
    if (!want)
        return true;
    if (!*want)
        return a->body.len == 0;
    switch (*want) {
    case '=':
        return strcmp(buf_str(&a->body), want + 1) == 0;
    case '~':
        return strstr(buf_str(&a->body), want + 1) != NULL;
    case '!':
        return strstr(buf_str(&a->body), want + 1) == NULL;
    default:
        return false;
    }
}

static inline struct box start_box(const char *fault, bool isolated, bool new_daemon)
{
    struct server_config config = {
        .no_isolation = !isolated, .fault = fault, .new_daemon = new_daemon};
    struct box box;
    int r;

    box_dirs(&box);
    r = box_start(&box, &config);
    if (r == -EPERM && isolated) {
        box_end(&box);
        skip();
    }
    assert_int_equal(r, 0);
    return box;
}

/* Asks and judges in one: status, and the body as in body_fits. */
static inline void expect(const struct box *box, const char *method, const char *target,
                          const char *headers, const char *body, int status, const char *want)
{
    struct answer a =
        *target == '/' && (strncmp(target, "/api", 4) == 0 || strncmp(target, "/toolbox", 8) == 0 ||
                           strncmp(target, "/_fault", 7) == 0)
            ? ask(box, method, target, headers, body)
            : ask_box(box, method, target, headers, body);

    if (a.status != status || !body_fits(&a, want))
        fail_msg("%s %s: wanted %d [%s], got %d [%s]", method, target, status, want ? want : "",
                 a.status, buf_str(&a.body));
    answer_done(&a);
}

static inline void set_fault(struct box *box, const char *spec)
{
    struct buf why = BUF_INIT(1024);

    if (server_set_fault(box->server, spec, &why) < 0)
        fail_msg("%s", buf_str(&why));
    buf_done(&why);
}

static inline void wait_state(const struct box *box, const char *name, const char *state)
{
    char target[128], want[64];

    snprintf(target, sizeof(target), "/api/sandbox/%s", name);
    snprintf(want, sizeof(want), "~\"state\":\"%s\"", state);
    for (int i = 0; i < 500; i++) {
        struct answer a = ask(box, "GET", target, NULL, NULL);
        const bool there = body_fits(&a, want);

        answer_done(&a);
        if (there)
            return;
        usleep(10000);
    }
    fail_msg("%s never became %s", name, state);
}

#endif
