/* ports.c - which TCP ports a sandbox's processes listen on. */
#include "server/ports.h"

#include "server/server_internal.h"

#include "util/array.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LISTEN_STATE = 0x0a, SOCKETS_MAX = 4096, PORTS_MAX = 1024 };

struct socket_row {
    unsigned port;
    unsigned long inode;
    bool owned;
};

struct socket_table {
    struct socket_row rows[SOCKETS_MAX];
    size_t count;
};

/* The network is the host's, so its table has everybody's sockets. */
static void read_table(const char *path, struct socket_table *t)
{
    char line[512];
    FILE *f = fopen(path, "re");

    while (f && fgets(line, sizeof(line), f) && t->count < SOCKETS_MAX) {
        struct socket_row *row = &t->rows[t->count];
        unsigned state;

        if (sscanf(line, " %*d: %*[0-9A-Fa-f]:%x %*[0-9A-Fa-f]:%*x %x %*s %*s %*s %*d %*d %lu",
                   &row->port, &state, &row->inode) == 3 &&
            state == LISTEN_STATE) {
            row->owned = false;
            t->count++;
        }
    }
    if (f)
        fclose(f);
}

static void mark_owned(int fds, struct socket_table *t)
{
    DIR *dir = fdopendir(fds);
    struct dirent *e;

    if (!dir) {
        close(fds);
        return;
    }
    while ((e = readdir(dir))) {
        char target[64];
        unsigned long inode;
        const ssize_t n = readlinkat(fds, e->d_name, target, sizeof(target) - 1);

        if (n <= 0)
            continue;
        target[n] = '\0';
        if (sscanf(target, "socket:[%lu]", &inode) != 1)
            continue;
        for (size_t i = 0; i < t->count; i++)
            t->rows[i].owned |= t->rows[i].inode == inode;
    }
    closedir(dir);
}

/* The processes that the sandbox's own /proc shows. */
static int mark_sandbox(const struct request *rq, struct socket_table *t)
{
    int fd = view_open(rq, "/proc", O_RDONLY | O_DIRECTORY, 0);
    struct dirent *e;
    DIR *dir;

    if (fd < 0)
        return fd;
    dir = fdopendir(fd);
    if (!dir) {
        close(fd);
        return -ENOMEM;
    }
    while ((e = readdir(dir))) {
        char path[300];
        int fds;

        if (!isdigit((unsigned char)e->d_name[0]))
            continue;
        snprintf(path, sizeof(path), "%s/fd", e->d_name);
        fds = openat(fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fds >= 0)
            mark_owned(fds, t);
    }
    closedir(dir);
    return 0;
}

static int compare(const void *a, const void *b)
{
    const unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

/* In order, each once. */
static int list_ports(const struct request *rq, unsigned ports[PORTS_MAX], size_t *ret_count)
{
    struct socket_table *t = calloc(1, sizeof(*t));
    size_t count = 0, unique = 0;
    int r = 0;

    if (!t)
        return -ENOMEM;
    read_table("/proc/self/net/tcp", t);
    read_table("/proc/self/net/tcp6", t);
    if (rq->srv->isolate)
        r = mark_sandbox(rq, t);
    for (size_t i = 0; i < t->count && count < PORTS_MAX; i++) {
        if (t->rows[i].owned || !rq->srv->isolate)
            ports[count++] = t->rows[i].port;
    }
    free(t);
    if (r < 0)
        return r;
    qsort(ports, count, sizeof(*ports), compare);
    for (size_t i = 0; i < count; i++) {
        if (i == 0 || ports[i] != ports[i - 1])
            ports[unique++] = ports[i];
    }
    *ret_count = unique;
    return 0;
}

int ports_has(const struct request *rq, unsigned port)
{
    unsigned *ports = calloc(PORTS_MAX, sizeof(*ports));
    size_t count = 0;
    int r = ports ? list_ports(rq, ports, &count) : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++) {
        if (ports[i] == port)
            r = 1;
    }
    free(ports);
    return r;
}

void ports_get(struct request *rq)
{
    unsigned *ports = calloc(PORTS_MAX, sizeof(*ports));
    struct json_out o;
    size_t count = 0;

    if (ports && list_ports(rq, ports, &count) == 0) {
        o = reply_json(rq, 200);
        json_open(&o, '{');
        json_key(&o, "ports");
        json_open(&o, '[');
        for (size_t i = 0; i < count; i++)
            json_int(&o, ports[i]);
        json_close(&o, ']');
        json_close(&o, '}');
        reply_json_end(rq, &o);
    }
    free(ports);
}

void ports_in_use(struct request *rq)
{
    char *end;
    const long port = strtol(rq->capture[0], &end, 10);
    struct json_out o;

    if (*end || port < 3000 || port > 9999) {
        reply_error(rq, 400, "BAD_REQUEST",
                    "bad request: port number must be between 3000 and "
                    "9999");
        return;
    }
    o = reply_json(rq, 200);
    json_open(&o, '{');
    json_key(&o, "isInUse");
    json_bool(&o, ports_has(rq, (unsigned)port) == 1);
    json_close(&o, '}');
    reply_json_end(rq, &o);
}
