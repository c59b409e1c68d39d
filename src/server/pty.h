/*
 * pty.h - terminals: a shell each, behind a pseudo-terminal of its sandbox.
 *
 * One thread a terminal moves bytes between the terminal and whoever is attached; everybody sees
 * all output from then on. Any thread; a terminal is used with a reference.
 */
#ifndef SERVER_PTY_H
#define SERVER_PTY_H

#include "server/jail.h"
#include "util/lock.h"
#include "wire/json.h"

#include <stdbool.h>
#include <stdint.h>

enum {
    PTYS_MAX = 64, /* of one sandbox */
    PTY_CLIENTS_MAX = 16,
    PTY_QUEUE_MAX = 256, /* chunks that wait for a client; then it is too slow */
    PTY_CHUNK_MAX = 32 << 10,
    PTY_INPUT_MAX = 1 << 20, /* typed, and not yet taken by the terminal */
    PTY_SIZE_MAX = 1000,     /* columns, rows */
    PTY_ID_MAX = 128,
};

struct request;
struct sandbox;
struct server;

struct pty_chunk {
    struct pty_chunk *next;
    size_t len;
    char data[];
};

/* Somebody who is attached; lives where its thread does. */
struct pty_client {
    struct pty_client *next; /* pty.lock, as all but wake */
    struct pty_chunk *first, **end;
    size_t queued;
    bool slow; /* has lost output */
    int wake;  /* an eventfd: there is output, or the end */
};

struct pty {
    struct pty *next; /* server.live */
    unsigned refs;    /* server.live */

    /* These never change. */
    struct server *srv; /* borrowed */
    struct jail *jail;  /* a reference */
    char id[PTY_ID_MAX + 1];
    char *cwd;
    struct json_pairs env; /* as given */
    int64_t created_ms;
    bool lazy;

    struct lock lock; /* guards what follows */
    pthread_cond_t changed;
    unsigned cols, rows;
    bool started, ended;
    int exit_code; /* when ended */
    struct buf input;
    struct pty_client *clients;
    size_t client_count;

    /* The thread's, set before it starts. */
    int master, status, wake;
    uint32_t job;
    pthread_t thread;
};

struct pty_params {
    char *id, *cwd;
    struct json_pairs env;
    int64_t cols, rows; /* JSON_ABSENT: the default */
    bool lazy;
};

/*
 * Takes env and cwd out of params. -EEXIST, -EINVAL id or size, -EMFILE, -ENOENT and so on: it
 * cannot be started. *ret has a reference.
 */
int pty_create(struct request *rq, struct pty_params *params, struct pty **ret);
/* Starts the shell of one that waits for its first client. */
int pty_start(struct request *rq, struct pty *p);
struct pty *pty_find(struct sandbox *sb, const char *id); /* a reference, or NULL */
void pty_unref(struct pty *p);                            /* takes NULL */
size_t pty_list(struct sandbox *sb, struct pty *ret[PTYS_MAX]);
int pty_resize(struct pty *p, unsigned cols, unsigned rows); /* -ESRCH ended, -EAGAIN not started */
void pty_kill(struct sandbox *sb, struct pty *p);            /* and waits for its end */
void pty_end_all(struct sandbox *sb);                        /* after jail_end */

/* -EMFILE: too many. The end of p wakes the client, too. */
int pty_attach(struct pty *p, struct pty_client *c);
void pty_detach(struct pty *p, struct pty_client *c);
/* The next chunk, the caller's to free, or NULL: *ret_ended tells if there will be none. */
struct pty_chunk *pty_next(struct pty *p, struct pty_client *c, bool *ret_ended);
int pty_type(struct pty *p, const void *data, size_t n); /* -EFBIG: nobody reads what is typed */

#endif
