/*
 * relay.c - a line with a round trip time and a bandwidth, between two ports of this machine.
 *
 *   relay [--rtt MS] [--mbit N] PORT
 *
 * Listens on a free loopback port, prints it, and relays every connection to 127.0.0.1:PORT. All
 * connections share one line, which has the bandwidth in each direction, and in front of it a
 * buffer of 100 ms, as routers have: when that is full nobody's bytes are taken, and then
 * everybody's in turn; no more of them are kept for a connection than TCP would have under way
 * there. What is sent arrives half a round trip after its last byte left; a new
 * connection costs one round trip more, as TCP's does. Ends with its standard input.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 16 << 10, PAIRS_MAX = 512, QUEUE_MAX = 4 << 20, KERNEL_MAX = 64 << 10 };
#define BUFFER_NS INT64_C(100000000)

struct chunk {
    struct chunk *next;
    int64_t due_ns; /* monotonic: when it arrives */
    size_t len, done;
    char data[];
};

/* One direction of one connection: read from `from`, written to the other end when it is due. */
struct flow {
    struct chunk *head, **tail;
    size_t queued;
    bool ended;       /* from has said its last */
    bool shut;        /* and that was passed on */
    int64_t extra_ns; /* for the first chunk: the handshake */
    int64_t last_due_ns;
};

struct pair {
    int fd[2];           /* [0] who connected, [1] the server; -1: unused */
    struct flow flow[2]; /* flow[i] reads fd[i] */
};

static struct pair pairs[PAIRS_MAX];
static int64_t line_free_ns[2]; /* by direction: when the line has sent all it was given */
static int64_t half_rtt_ns;
static double ns_per_byte;

static int64_t now(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return ts.tv_sec * INT64_C(1000000000) + ts.tv_nsec;
}

static void set_up(int fd)
{
    const int one = 1;

    fcntl(fd, F_SETFL, O_NONBLOCK);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

/* Before it is connected: the kernel would otherwise take megabytes that the line has not. */
static int new_socket(void)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), size = KERNEL_MAX;

    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    return fd;
}

static void drop(struct pair *p)
{
    for (int i = 0; i < 2; i++) {
        struct chunk *c, *next;

        for (c = p->flow[i].head; c; c = next) {
            next = c->next;
            free(c);
        }
        close(p->fd[i]);
        p->fd[i] = -1;
    }
}

static void add_pair(int listener, uint16_t port)
{
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    const int server = new_socket();

    for (int i = 0; client >= 0 && server >= 0 && i < PAIRS_MAX; i++) {
        struct pair *p = &pairs[i];

        if (p->fd[0] >= 0)
            continue;
        if (connect(server, (const struct sockaddr *)&to, sizeof(to)) < 0)
            break;
        *p = (struct pair){.fd = {client, server}};
        p->flow[0].tail = &p->flow[0].head;
        p->flow[1].tail = &p->flow[1].head;
        p->flow[0].extra_ns = 2 * half_rtt_ns;
        set_up(client);
        set_up(server);
        return;
    }
    if (client >= 0)
        close(client);
    if (server >= 0)
        close(server);
}

/* False if the connection broke. */
static bool take(struct pair *p, int side)
{
    struct flow *f = &p->flow[side];
    struct chunk *c = malloc(sizeof(*c) + CHUNK);
    const ssize_t n = c ? read(p->fd[side], c->data, CHUNK) : -1;
    int64_t at = now();

    if (n <= 0) {
        const bool later = c && n < 0 && (errno == EAGAIN || errno == EINTR);

        free(c);
        f->ended = n == 0;
        return n == 0 || later;
    }
    if (at < line_free_ns[side])
        at = line_free_ns[side];
    line_free_ns[side] = at + (int64_t)((double)n * ns_per_byte);
    c->due_ns = line_free_ns[side] + half_rtt_ns + f->extra_ns;
    if (c->due_ns < f->last_due_ns)
        c->due_ns = f->last_due_ns; /* bytes do not overtake */
    f->last_due_ns = c->due_ns;
    f->extra_ns = 0;
    c->len = (size_t)n;
    c->done = 0;
    c->next = NULL;
    *f->tail = c;
    f->tail = &c->next;
    f->queued += c->len;
    return true;
}

static bool give(struct pair *p, int side, int64_t at)
{
    struct flow *f = &p->flow[side];

    while (f->head && f->head->due_ns <= at) {
        struct chunk *c = f->head;
        const ssize_t n = send(p->fd[!side], c->data + c->done, c->len - c->done, MSG_NOSIGNAL);

        if (n < 0)
            return errno == EAGAIN || errno == EINTR;
        c->done += (size_t)n;
        if (c->done < c->len)
            return true;
        f->head = c->next;
        if (!f->head)
            f->tail = &f->head;
        f->queued -= c->len;
        free(c);
    }
    if (f->ended && !f->head && !f->shut) {
        shutdown(p->fd[!side], SHUT_WR);
        f->shut = true;
    }
    return true;
}

static int listen_here(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    const int fd = new_socket();

    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0) {
        perror("relay");
        exit(1);
    }
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void run(int listener, uint16_t port)
{
    static struct pollfd polls[2 + 2 * PAIRS_MAX];

    for (;;) {
        int64_t at = now(), due = INT64_MAX;
        struct timespec wait = {.tv_sec = 3600};

        polls[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = listener, .events = POLLIN};
        for (int i = 0; i < PAIRS_MAX; i++) {
            struct pair *p = &pairs[i];

            for (int side = 0; side < 2; side++) {
                const struct flow *in = &p->flow[side], *out = &p->flow[!side];
                const bool stuck = out->head && out->head->due_ns <= at;
                const int64_t room_ns = line_free_ns[side] - BUFFER_NS; /* when there is some */
                short events = 0;

                if (!in->ended && in->queued < QUEUE_MAX && room_ns <= at)
                    events |= POLLIN;
                else if (p->fd[0] >= 0 && room_ns > at && room_ns < due)
                    due = room_ns;
                if (stuck)
                    events |= POLLOUT;
                else if (out->head && p->fd[0] >= 0 && out->head->due_ns < due)
                    due = out->head->due_ns;
                polls[2 + 2 * i + side] =
                    (struct pollfd){.fd = events ? p->fd[side] : -1, .events = events};
            }
        }
        if (due != INT64_MAX) {
            const int64_t left = due > at ? due - at : 0;

            wait = (struct timespec){.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
        }
        if (ppoll(polls, 2 + 2 * PAIRS_MAX, &wait, NULL) < 0 && errno != EINTR)
            return;
        if (polls[0].revents && read(STDIN_FILENO, &(char){0}, 1) <= 0)
            return;
        if (polls[1].revents)
            add_pair(listener, port);
        at = now();
        for (int i = 0; i < PAIRS_MAX; i++) {
            struct pair *p = &pairs[i];
            bool well = true;

            if (p->fd[0] < 0)
                continue;
            for (int side = 0; side < 2; side++) {
                if (polls[2 + 2 * i + side].fd == p->fd[side] &&
                    (polls[2 + 2 * i + side].revents & (POLLIN | POLLHUP | POLLERR)))
                    well = well && take(p, side);
                well = well && give(p, side, at);
            }
            if (!well || (p->flow[0].shut && p->flow[1].shut))
                drop(p);
        }
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"rtt", required_argument, NULL, 'r'}, {"mbit", required_argument, NULL, 'm'}, {0}};
    double rtt_ms = 0, mbit = 0;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (c == 'r')
            rtt_ms = atof(optarg);
        else if (c == 'm')
            mbit = atof(optarg);
        else
            return 2;
    }
    if (optind != argc - 1 || atoi(argv[optind]) <= 0) {
        fprintf(stderr, "usage: relay [--rtt MS] [--mbit N] PORT\n");
        return 2;
    }
    half_rtt_ns = (int64_t)(rtt_ms * 1e6 / 2);
    ns_per_byte = mbit > 0 ? 8e3 / mbit : 0;
    for (int i = 0; i < PAIRS_MAX; i++)
        pairs[i].fd[0] = pairs[i].fd[1] = -1;
    run(listen_here(), (uint16_t)atoi(argv[optind]));
    return 0;
}
