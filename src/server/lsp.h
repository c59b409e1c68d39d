/*
 * lsp.h - a language server in a sandbox: its process, and requests to it.
 *
 * One for each language and project. One conversation at a time; who wants another waits. Any
 * thread; a server is used with a reference.
 */
#ifndef SERVER_LSP_H
#define SERVER_LSP_H

#include "server/jail.h"
#include "util/lock.h"
#include "wire/json.h"

#include <stdbool.h>
#include <stdint.h>

enum { LSPS_MAX = 16, LSP_MESSAGE_MAX = 32 << 20 };

struct request;
struct sandbox;

struct lsp {
    struct lsp *next; /* server.live */
    unsigned refs;    /* server.live */

    /* These never change. */
    struct server *srv; /* borrowed */
    struct jail *jail;  /* a reference */
    char *language, *project;

    struct lock lock; /* guards what follows */
    pthread_cond_t changed;
    bool busy; /* somebody has the rest */

    int in, out, status; /* -1: it does not run */
    uint32_t job;
    int64_t next_id;
    struct buf text; /* read, not yet taken apart */
};

/* A reference; NULL: there is none, and create is false or it is too much. */
struct lsp *lsp_find(struct request *rq, const char *language, const char *project, bool create);
void lsp_unref(struct lsp *lsp); /* takes NULL */
void lsp_end_all(struct sandbox *sb);

/* The conversation is the caller's until lsp_leave. -ETIMEDOUT. */
int lsp_enter(struct lsp *lsp);
void lsp_leave(struct lsp *lsp);

/* What follows: between the two. */
bool lsp_runs(const struct lsp *lsp);
/* -EINVAL: no such language; -ENOENT: its program is not there. */
int lsp_spawn(struct request *rq, struct lsp *lsp);
void lsp_kill(struct lsp *lsp);
/* Takes params. *ret (may be NULL) is the caller's result. -EPIPE, -ETIMEDOUT, -EPROTO: it does not
 * run any more; -EIO: it refused. */
int lsp_ask(struct lsp *lsp, const char *method, cJSON *params, cJSON **ret);
int lsp_tell(struct lsp *lsp, const char *method, cJSON *params);

/*
 * One message of p: "Content-Length: N", other headers, an empty line, N bytes. 0 with its place, 1
 * it is not complete yet, -EPROTO. A pure function.
 */
int lsp_frame(const char *p, size_t n, size_t *ret_start, size_t *ret_len);

#endif
