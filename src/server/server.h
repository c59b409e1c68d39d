/*
 * server.h - local sandboxes behind Daytona's API, on loopback.
 *
 * One server speaks the control plane (URL + "/api") and every sandbox's toolbox (URL +
 * "/toolbox/ID"). A sandbox is a folder that its processes see as /home/daytona; with isolation
 * they live in mount and pid namespaces of their own. Sandboxes persist in the state directory.
 * The network is the host's: isolation keeps files and processes apart, not sockets.
 */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct server;

/* A directory that exists and is served as the sandbox's home. */
struct server_folder {
    const char *name; /* 1 to 63 of letters, digits, '.', '_', '-' */
    const char *dir;
};

/* Copied by server_start. NULL, 0 and false mean the default. */
struct server_config {
    const char *listen;     /* "127.0.0.1:0": ADDR:PORT, loopback only, port 0: any free one */
    const char *public_url; /* base of the URLs handed out; default: the address listened on */
    const char *state_dir;  /* required; made if missing, 0700 */
    const void *key;        /* the API key, 8 to 512 printable bytes; NULL: KEY_FILE */
    size_t key_len;
    const struct server_folder *folders;
    size_t folder_count;
    const char *fault; /* see server_fault_help */
    bool new_daemon;   /* the newer toolbox: typed errors, depth, upload-v2 */
    bool no_isolation; /* processes and file calls see the host as it is */
};

/*
 * Listens and starts the sandboxes that were running. Without a key one is made and kept in
 * STATE/key (0600). On failure why has one sentence for the user. Ignores SIGPIPE from then on.
 * -EINVAL the configuration, -EACCES not loopback, -EADDRINUSE, -EPERM isolation is not possible
 * here, -EBUSY the state directory is in use, and what files may say.
 */
int server_start(const struct server_config *config, struct server **ret, struct buf *why);

const char *server_url(const struct server *s);      /* the API's base: http://127.0.0.1:PORT/api */
const char *server_key(const struct server *s);      /* secret */
const char *server_key_file(const struct server *s); /* "" if the key was given */

/* Appends a JSON array of {"id","name","dir"}. */
int server_describe(struct server *s, struct buf *out);

/* Replaces the faults, counters at zero. -EINVAL with a sentence in why: nothing has changed. */
int server_set_fault(struct server *s, const char *spec, struct buf *why);
/* Appends the text that explains fault specifications, made from their table. */
int server_fault_help(struct buf *out);

/*
 * Kills the sandboxes' processes, ends the requests, stops listening. The sandboxes are started
 * again by the next server on this state directory. NULL is fine. Returns NULL.
 */
struct server *server_free(struct server *s);

/* The subcommand. Returns the exit code. */
int serve_main(int argc, char **argv);

#endif
