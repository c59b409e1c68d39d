/*
 * server_internal.h - what the server's parts share: the request, the reply, sandboxes, routes.
 *
 * A connection has a thread of its own (libmicrohttpd), so handlers may block. Lock order,
 * outermost first: server.live, the lock of a session, pty, interpreter or lsp, server.lock,
 * fault.lock. No lock is held over I/O but small local files: the sandbox store, the log of a
 * session.
 */
#ifndef SERVER_SERVER_INTERNAL_H
#define SERVER_SERVER_INTERNAL_H

#include "server/fault.h"
#include "server/jail.h"
#include "server/listen.h"
#include "server/server.h"

#include "util/lock.h"
#include "wire/json.h"

#include <microhttpd.h>
#include <sys/stat.h>

struct request;

/* ---- sandboxes (sandbox.c, store.c) ---- */

enum sandbox_state {
    SB_CREATING, /* as STARTING, for the first time */
    SB_STARTING,
    SB_STARTED,
    SB_STOPPING,
    SB_STOPPED,
    SB_DESTROYING,
    SB_DESTROYED,
    SB_ARCHIVING,
    SB_ARCHIVED,
    SB_RESTORING, /* as STARTING, from ARCHIVED */
    SB_ERROR,     /* by the server's own call only; recover leads out */
    SB_BUILDING,  /* as CREATING, from a Dockerfile */
    SB_BUILD_FAILED,
    SB_PAUSING, /* its processes are stopped, and stay in memory */
    SB_PAUSED,
    SB_RESUMING,
    SB_RESIZING, /* this and the next two: back to the state before */
    SB_SNAPSHOTTING,
    SB_FORKING,
};

/*
 * STOPPED -start-> STARTING -delay-> STARTED -stop-> STOPPING -delay-> STOPPED
 * STOPPED -archive-> ARCHIVING -delay-> ARCHIVED -start-> RESTORING -delay-> STARTED
 * STARTED -pause-> PAUSING -delay-> PAUSED -start-> RESUMING -delay-> STARTED, or -stop-> as above
 * STARTED or STOPPED -resize, snapshot-> RESIZING, SNAPSHOTTING -delay-> as before
 * STARTED -fork-> FORKING -delay-> STARTED
 * a state that is not passing -delete-> DESTROYING -delay-> DESTROYED, out of the list
 * The processes live (jail != NULL) from the end of STARTING's work to the start of STOPPING. A
 * passing state ends by itself at settle_ns; whoever takes the lock to look calls
 * sandbox_sweep_locked first. While its work is being done settle_ns is INT64_MAX.
 */
struct sandbox {
    struct server *srv;   /* borrowed */
    struct sandbox *next; /* server.lock */
    unsigned refs;        /* server.lock; the list has one */

    /* These never change. */
    char *id;
    char *folder; /* host path of the home */
    char *tmp;    /* host path of /tmp */
    char *var_tmp;
    char *user, *target, *snapshot;
    char *sandbox_class; /* "container"; "linux-vm": it can pause and fork */
    char *parent_id;     /* whose fork it is; "": nobody's */
    char *dockerfile;    /* "": it was not built */
    struct json_strings volume_ids, volume_paths, volume_subpaths; /* of equal length */
    int64_t created_ms;
    bool given; /* the folder came from the command line: never deleted */

    /* server.lock */
    char *name;
    struct json_pairs labels, env;
    char *network_allow_list,
        *domain_allow_list;           /* noted, not enforced: the network is the host's */
    double cpu, memory_gib, disk_gib; /* noted, too */
    enum sandbox_state state;
    enum sandbox_state back; /* where RESIZING and so on lead */
    int64_t settle_ns;       /* monotonic: when a passing state is over */
    int64_t state_ms;        /* since when it is in that state */
    unsigned in_use;         /* requests to its toolbox that are being answered */
    int64_t updated_ms, active_ms;
    int64_t auto_stop_min, auto_archive_min, auto_delete_min; /* -1: off */
    int64_t auto_pause_min;                                   /* 0: off */
    int64_t ttl_min;                                          /* from its creation on; 0: none */
    bool archived;                                            /* as it is saved */
    char *signing_key; /* of links to files; "": none has been asked for */
    bool is_public, network_block_all;
    bool run;               /* is to be started by the next server on this state directory */
    struct jail *jail;      /* one reference; use sandbox_enter */
    char preview_token[33]; /* new at each start; "": never started */

    struct session *sessions;         /* server.live */
    struct pty *ptys;                 /* server.live */
    struct interpreter *interpreters; /* server.live */
    struct lsp *lsps;                 /* server.live */
};

struct server {
    char *state_dir, *origin, *key, *key_file, *mountpoint;
    char url[LISTEN_URL_MAX + 8]; /* the API base */
    bool isolate, new_daemon;
    int lock_fd; /* the state directory's lock */
    struct MHD_Daemon *mhd;
    struct fault *fault;

    struct lock
        live; /* guards what runs in sandboxes beside requests: lists of sessions and terminals */

    struct lock lock;
    pthread_cond_t changed;           /* a sandbox's state, stopping */
    struct sandbox *sandboxes;        /* lock */
    bool stopping;                    /* lock */
    struct signed_link *signed_links; /* lock; links.c's */
    struct stored *items;             /* lock; catalog.c's */
    bool ticking;
    pthread_t ticker; /* stops idle sandboxes */
};

/* Ends passing states whose time is over, and drops who is destroyed. */
void sandbox_sweep_locked(struct server *s);
/* Sweeps, then by id, or name if that is not NULL. A reference, or NULL. */
struct sandbox *sandbox_find_locked(struct server *s, const char *id, const char *name);
struct sandbox *sandbox_ref_locked(struct sandbox *sb);
void sandbox_unref_locked(struct sandbox *sb);
void sandbox_unref(struct sandbox *sb); /* takes NULL */

struct wire_create;
/* From a create request; folder NULL: its own. -EEXIST: the name is taken. *ret has a reference. */
int sandbox_create(struct server *s, const struct wire_create *params, const char *folder,
                   struct sandbox **ret);
/* One that cannot be built: it will be in error. */
void sandbox_fail_build(struct sandbox *sb);
/* 0 when it starts or is started; -EBUSY another change is going on; why as in jail_start. */
int sandbox_start(struct sandbox *sb, struct buf *why);
/* An ephemeral one is deleted. -EBUSY; -EINVAL: it is not started. */
int sandbox_stop(struct sandbox *sb);
int sandbox_delete(struct sandbox *sb);
/* -EBUSY; -EINVAL: not stopped, or ephemeral. */
int sandbox_archive(struct sandbox *sb);
/* Into SB_ERROR; -EBUSY as the others. */
int sandbox_break(struct sandbox *sb);
/* Out of SB_ERROR, to stopped. -EINVAL: it is not in it. */
int sandbox_recover(struct sandbox *sb);
/* -EBUSY; -EINVAL: not started; -EOPNOTSUPP: of a class that cannot. sandbox_start resumes. */
int sandbox_pause(struct sandbox *sb);
/* Into a state that leads back, where nobody else changes it; then work, and sandbox_end_work.
 * *ret (may be NULL) is a reference to the jail, or NULL. */
int sandbox_begin_work(struct sandbox *sb, enum sandbox_state during, bool started_only,
                       struct jail **ret);
void sandbox_end_work(struct sandbox *sb);
bool sandbox_is_vm(const struct sandbox *sb);
/* One sandbox whose time has come is stopped, archived or deleted. False: there is none. */
bool sandbox_do_due(struct server *s);
/* The faults have changed: passing states last no longer than they would from now on. */
void sandbox_hurry(struct server *s);
/* Waits until the state is not passing, at most until_ns (monotonic). */
void sandbox_wait_settled(struct sandbox *sb, int64_t until_ns);
/* A reference to the jail; NULL if it is not started (*ret_state says how it is). */
struct jail *sandbox_enter(struct sandbox *sb, enum sandbox_state *ret_state);
/* Ends all processes, without changing what the next server will start. */
void sandbox_end_all(struct server *s);

/* The state directory: STATE/sandboxes.json and a folder for each below STATE/sandboxes. */
int store_load(struct server *s, struct buf *why);
int store_save_locked(struct server *s);
char *store_make_id(void);
/* n lower-case letters and digits that nobody can guess, and a NUL. */
int store_make_token(char *out, size_t n);
char *store_dir(const struct server *s, const char *id, const char *what);
int store_make_dirs(struct sandbox *sb);
void store_remove_dirs(struct sandbox *sb);
void store_free(struct sandbox *sb);

/* Another list in the state directory: an array of what put writes for each, and its reading. */
int store_write_list(const struct server *s, const char *name, const struct buf *text);
int store_read_list(struct server *s, const char *name, json_element fn, struct buf *why);

/* ---- snapshots and volumes (catalog.c) ---- */

/*
 * A snapshot or a volume. Its state is a word of the API; a passing one becomes the next by itself
 * at settle_ns, and "deleted" is its end.
 */
struct stored {
    struct stored *next;
    char *kind, *id, *name, *state, *error_reason;
    char *image, *dockerfile, *sandbox_class, *source_id; /* snapshots */
    struct json_strings entrypoint;
    double cpu, memory_gib, disk_gib;
    bool general; /* the server's own */
    int64_t created_ms, updated_ms, used_ms, settle_ns;
    const char *then; /* the state after a passing one; NULL: it is not passing */
};
#define ITEM_SNAPSHOT "snapshot"
#define ITEM_VOLUME "volume"

int catalog_load(struct server *s, struct buf *why);
void catalog_free(struct server *s);
/* By id, or name if that is not NULL; sweeps first. Under the lock as long as it is used. */
struct stored *catalog_find_locked(struct server *s, const char *kind, const char *id,
                                   const char *name);
/* A new one in the list, with an id; the caller fills it in and saves. NULL: no memory. */
struct stored *catalog_add_locked(struct server *s, const char *kind, const char *name);
/* state, for the delay of all changes, and then the other. */
void catalog_pass_locked(struct server *s, struct stored *item, const char *state,
                         const char *then);
void catalog_save_locked(struct server *s);
void catalog_sweep_locked(struct server *s);
/* Where the files of one are, on the host; a new string. */
char *catalog_dir(const struct server *s, const char *id);
void catalog_put_time(struct json_out *o, const char *key, int64_t ms);

/* Mounts of a sandbox that is being created. False: refused. */
bool volumes_check(struct request *rq, const struct wire_create *c);
/* What a sandbox gets from its snapshot. Strings are the caller's. */
struct snapshot_use {
    char *dir; /* NULL: it begins empty */
    char *sandbox_class;
    double cpu, memory_gib, disk_gib;
};
/* False: refused. All NULL and 0 for what is built. */
bool snapshot_check(struct request *rq, const struct wire_create *c, struct snapshot_use *ret);
/* False: it will fail (build.c). */
bool build_possible(const char *dockerfile);

/* ---- requests and replies (request.c, reply.c) ---- */

enum {
    BODY_MAX = 32 << 20,  /* of a JSON request */
    TEXT_MAX = 256 << 20, /* of an answer made in memory */
    HEADERS_MAX = 24,
    PIECES_MAX = 8192,
    CAPTURES_MAX = 3,
    PARAMS_MAX = 64,
};

struct param {
    char *key, *value; /* decoded; value is NUL-ended and len bytes long */
    size_t len;
};

/* One stretch of an answer. */
struct piece {
    char *text; /* owned; NULL: from fd */
    int fd;     /* owned */
    uint64_t off;
    uint64_t len; /* bytes left; UINT64_MAX: to the end of the file */
    bool exact;   /* a file that ends early breaks the connection */
};

struct reply {
    int status;
    struct {
        char *name, *value;
    } headers[HEADERS_MAX];
    size_t header_count;
    struct buf text; /* the body, unless pieces are used */
    bool streamed;
    struct piece *pieces; /* what is still to be sent starts at piece_first */
    size_t piece_first, piece_count, piece_cap;
    int64_t stream_len; /* -1: chunked */
    /* Called when there is no piece left: adds some and returns 1, or returns 0 at the end. */
    int (*more)(struct request *rq);
};

struct route;

struct request {
    struct server *srv;
    struct MHD_Connection *conn;
    char *raw;         /* the request line's target, as sent */
    char *line;        /* a copy, taken apart */
    char *path;        /* decoded, without the query; points into line */
    char *id;          /* of /toolbox/ID/… */
    const char *inner; /* what follows /toolbox/ID; points into line */
    const char *method;
    bool bad_query; /* a %00 or a broken escape */
    struct param params[PARAMS_MAX];
    size_t param_count;
    const struct route *route;
    char *capture[CAPTURES_MAX];
    char sdk_version[64];
    struct sandbox *sandbox; /* a reference */
    struct jail *jail;       /* a reference */
    bool begun;

    struct buf body; /* of a JSON request */
    bool body_too_big;
    struct upload *upload; /* upload.c's */
    struct bulk *bulk;     /* download.c's */
    struct reply reply;
    struct fault_plan fault;
    uint64_t sent;           /* body bytes given to the library */
    bool counted;            /* in sandbox.in_use */
    struct proxy *proxy;     /* proxy.c's */
    struct upgrade *upgrade; /* wsock.c's */
    struct follow *follow;   /* session_calls.c's */
    struct build *build;     /* build.c's */
};

enum route_flags {
    ROUTE_OPEN = 1 << 0,     /* no key needed */
    ROUTE_NEW_ONLY = 1 << 1, /* newer daemons */
    ROUTE_API = 1 << 2,      /* control plane */
    ROUTE_TOOLBOX = 1 << 3,  /* below /toolbox/ID, needs a running sandbox */
    ROUTE_INTERNAL = 1 << 4, /* not part of the imitated service: no faults */
    ROUTE_ID_ONLY = 1 << 5,  /* the first capture is a sandbox's id, not its name */
    ROUTE_FILES = 1 << 7,    /* a file call */
    ROUTE_SIGNED = 1 << 8,   /* a signed link may make it */
    ROUTE_SANDBOX = 1 << 6,  /* the first capture is a sandbox: rq->sandbox is set */
};

/* One row is one call. `*` in the pattern captures one segment. */
struct route {
    const char *name; /* as fault specifications call it */
    const char *method;
    const char *pattern;
    unsigned flags;
    void (*run)(struct request *rq); /* the body is complete */
    /* Optional: looks at the request when its head is there; may answer already. */
    void (*begin)(struct request *rq);
    /* Optional: takes the body as it comes. Default: kept up to BODY_MAX. */
    void (*feed)(struct request *rq, const char *p, size_t n);
};

/* NULL: none. Fills the captures. *ret_slash: there is one with (or without) a trailing slash. */
const struct route *route_find(struct request *rq, const char *path, bool toolbox,
                               const char **ret_slash);
int route_names(struct buf *out); /* for help, in lines */
bool route_known(const char *name);
bool route_matches(const struct route *route, const char *filter);

/* NULL: absent. */
const char *request_query(const struct request *rq, const char *key);
const char *request_header(const struct request *rq, const char *name);
/* X-Daytona-SDK-Version, or its form as a WebSocket's subprotocol; "" if there is none. */
const char *request_sdk_version(const struct request *rq);
/* The body, by a table; as json_load. */
int request_json(struct request *rq, const struct json_field *fields, size_t count, void *ret);
/* In a time that does not tell where they differ. */
bool request_has_key(const struct request *rq);
bool request_has_token_locked(const struct request *rq, const struct sandbox *sb);
/* What the proxies say of a sandbox that cannot answer. */
void request_refuse_state(struct request *rq, enum sandbox_state state);
bool request_equal_secret(const char *a, const char *b);
/* True when the client has closed its connection, so that nobody waits for the answer. */
bool request_abandoned(const struct request *rq);

void reply_reset(struct reply *rp);
void reply_status(struct request *rq, int status); /* without a body */
void reply_header(struct request *rq, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void reply_text(struct request *rq, int status, const char *type, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Starts a JSON answer in rq->reply.text; finish with reply_json_end. */
struct json_out reply_json(struct request *rq, int status);
void reply_json_end(struct request *rq, struct json_out *o);
/* A streamed answer: len -1 chunked. Then pieces. */
void reply_stream(struct request *rq, int status, int64_t len);
int reply_piece_text(struct request *rq, const char *p, size_t n);
int reply_piece_fd(struct request *rq, int fd, uint64_t off, uint64_t len, bool exact);
/* After 101 (wsock.c). */
void wsock_run(void *arg, struct MHD_Connection *conn, void *con_cls, const char *extra,
               size_t extra_len, MHD_socket fd, struct MHD_UpgradeResponseHandle *urh);
/* MHD_NO: drop the connection. */
enum MHD_Result reply_send(struct request *rq);

/* {path,timestamp,statusCode,error,message}: the control plane's. */
void reply_api_error(struct request *rq, int status, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* {statusCode,message,code,timestamp,path,method}: the proxy's and the processes'. */
void reply_error(struct request *rq, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* As reply_error, with the time zero that some handlers say. */
void reply_error_timeless(struct request *rq, int status, const char *code, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));
/* Turns the answer into the lie that was asked for. */
void lie_instead(struct request *rq);

/* What a file call says when it fails: by stage and generation, section "files" of the API. */
void reply_file_error(struct request *rq, int err, bool at_lookup);

/* ---- links (links.c) ---- */

/* A signed preview link that holds: the sandbox's id. */
bool link_find_locked(struct server *s, const char *token, unsigned port, char sandbox[64]);
/* True when the request is one that a signed link to a file allows. */
bool link_allows_locked(const struct request *rq, const struct sandbox *sb);
/* Appends the signature of a link to a file. */
int link_sign(const char *key, const char *method, const char *path, const char *expires,
              struct buf *out);
void links_free(struct server *s);

/* ---- the view of a sandbox's files (view.c) ---- */

/*
 * Paths are the sandbox's: absolute, or relative to its work-dir. Links are followed inside the
 * sandbox's root and cannot leave it. Each returns 0 (or a file descriptor) or -errno.
 */
const char *view_work_dir(const struct request *rq);
char *view_absolute(const struct request *rq, const char *path); /* not cleaned; NULL: no memory */
int view_open(const struct request *rq, const char *path, int flags, mode_t mode);
int view_stat(const struct request *rq, const char *path, struct stat *ret);
/* The directory that holds the last component (O_PATH), and that component. */
int view_parent(const struct request *rq, const char *path, char name[256]);
/* As mkdir -p; what exists must be a directory. */
int view_make_dirs(const struct request *rq, const char *path, mode_t mode);

/* ---- shells in a sandbox (shell.c) ---- */

enum { SHELL_ENV_MAX = 1024 };

struct shell_env {
    char *list[SHELL_ENV_MAX + 1]; /* NULL-ended */
    size_t count;
};

/* An absolute path, or "none". */
void shell_choose(const struct request *rq, char out[256]);
/* The sandbox's environment and, over it, what was given. *env must be zero; done also on error. */
int shell_env_fill(const struct request *rq, const struct json_pairs *given, struct shell_env *env);
void shell_env_done(struct shell_env *env);
bool shell_env_key_valid(const char *key);

/* ---- handlers, one a row of the route table ---- */
void api_config(struct request *rq);
void api_create(struct request *rq);
void api_list(struct request *rq);
void api_list_paginated(struct request *rq);
void api_get(struct request *rq);
void api_delete(struct request *rq);
void api_start(struct request *rq);
void api_stop(struct request *rq);
void api_labels(struct request *rq);
void api_interval(struct request *rq);
void api_public(struct request *rq);
void api_last_activity(struct request *rq);
void api_toolbox_url(struct request *rq);
void api_archive(struct request *rq);
void api_recover(struct request *rq);
void api_pause(struct request *rq);
void api_fork(struct request *rq);
void api_resize(struct request *rq);
void api_sandbox_snapshot(struct request *rq);
void api_network(struct request *rq);
void api_build_logs_url(struct request *rq);
void api_build_logs(struct request *rq);
void api_ancestors(struct request *rq);
void snapshot_post(struct request *rq);
void snapshot_get_all(struct request *rq);
void snapshot_get(struct request *rq);
void snapshot_delete(struct request *rq);
void snapshot_activate(struct request *rq);
void snapshot_deactivate(struct request *rq);
void snapshot_logs_url(struct request *rq);
void snapshot_logs(struct request *rq);
void volume_post(struct request *rq);
void volume_get_all(struct request *rq);
void volume_get(struct request *rq);
void volume_by_name(struct request *rq);
void volume_delete(struct request *rq);
void api_put_sandbox_locked(struct json_out *o, const struct sandbox *sb, bool as_item);
bool sandbox_has_forks_locked(const struct sandbox *sb);
void api_forks(struct request *rq);
void api_parent(struct request *rq);
void api_break(struct request *rq);
void api_answer_sandbox(struct request *rq, int status);
/* As long as the settings say. */
void api_wait_started(struct request *rq);
void api_answer_saved(struct request *rq, int status);
/* What sandbox_ functions returned; invalid: what -EINVAL means. */
void api_answer_change(struct request *rq, int r, const char *invalid);
void api_preview_url(struct request *rq);
void api_signed_url(struct request *rq);
void api_signed_expire(struct request *rq);
void api_ssh_create(struct request *rq);
void api_ssh_delete(struct request *rq);
void api_ssh_validate(struct request *rq);
void api_signing_key(struct request *rq);
void api_signing_rotate(struct request *rq);
void api_fault_get(struct request *rq);
void api_fault_set(struct request *rq);

void files_list(struct request *rq);
void files_info(struct request *rq);
void files_folder(struct request *rq);
void files_delete(struct request *rq);
void files_move(struct request *rq);
void files_permissions(struct request *rq);
void files_download(struct request *rq);
void files_bulk_download(struct request *rq);
void files_find(struct request *rq);
void files_search(struct request *rq);
void files_replace(struct request *rq);
void files_upload_begin(struct request *rq);
void files_upload(struct request *rq);
void files_upload_v2_begin(struct request *rq);
void files_upload_v2(struct request *rq);
void files_bulk_upload_begin(struct request *rq);
void files_bulk_upload(struct request *rq);
void upload_feed(struct request *rq, const char *p, size_t n);
void upload_free(struct request *rq);
void bulk_free(struct request *rq);

void process_execute(struct request *rq);

void session_create(struct request *rq);
void session_list_all(struct request *rq);
void session_get(struct request *rq);
void session_remove(struct request *rq);
void session_run(struct request *rq);
void session_get_command(struct request *rq);
void session_logs(struct request *rq);
void session_put_input(struct request *rq);

void follow_forget(struct request *rq);
void build_forget(struct request *rq);
void git_clone(struct request *rq);
void git_status(struct request *rq);
void git_branches(struct request *rq);
void git_branch_create(struct request *rq);
void git_branch_remove(struct request *rq);
void git_checkout(struct request *rq);
void git_add(struct request *rq);
void git_commit(struct request *rq);
void git_push(struct request *rq);
void git_pull(struct request *rq);
void git_history(struct request *rq);
void git_init(struct request *rq);
void git_reset(struct request *rq);
void git_restore(struct request *rq);
void git_remotes(struct request *rq);
void git_remote_add(struct request *rq);
void git_config_get(struct request *rq);
void git_config_set(struct request *rq);
void git_config_user(struct request *rq);
void git_credentials(struct request *rq);
void env_update(struct request *rq);
void process_code_run(struct request *rq);
void info_metrics(struct request *rq);
void ports_get(struct request *rq);
void ports_in_use(struct request *rq);
void proxy_run(struct request *rq);
/* /preview/PORT-ID or /preview/PORT-TOKEN: finds the sandbox, or refuses. */
void proxy_begin_preview(struct request *rq);
void proxy_forget(struct request *rq);
void pty_post(struct request *rq);
void pty_get_all(struct request *rq);
void pty_get(struct request *rq);
void pty_delete(struct request *rq);
void pty_post_size(struct request *rq);
void pty_connect(struct request *rq);
void pty_create_connect(struct request *rq);

void lsp_post_start(struct request *rq);
void lsp_post_stop(struct request *rq);
void lsp_post_open(struct request *rq);
void lsp_post_close(struct request *rq);
void lsp_post_completions(struct request *rq);
void lsp_get_document_symbols(struct request *rq);
void lsp_get_workspace_symbols(struct request *rq);
void interpreter_post(struct request *rq);
void interpreter_get_all(struct request *rq);
void interpreter_remove(struct request *rq);
void interpreter_execute(struct request *rq);

void info_version(struct request *rq);
void info_work_dir(struct request *rq);

/* Appends p as the header value form: filename="..."; filename*=utf-8''... */
int put_filename(struct buf *out, const char *name);

#endif
