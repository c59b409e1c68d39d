/* daytona/sandbox.h - sandboxes: create, find, start, stop, delete, wait. */
#ifndef DAYTONA_SANDBOX_H
#define DAYTONA_SANDBOX_H

#include "daytona/client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A handle on one sandbox. Counted; any thread. What it knows is a copy: see _refresh. */
struct daytona_sandbox;

enum daytona_state { /* append only */
                     DAYTONA_STATE_OTHER,
                     DAYTONA_STATE_CREATING,
                     DAYTONA_STATE_STARTED,
                     DAYTONA_STATE_STOPPED,
                     DAYTONA_STATE_STARTING,
                     DAYTONA_STATE_STOPPING,
                     DAYTONA_STATE_ERROR,
                     DAYTONA_STATE_BUILD_FAILED,
                     DAYTONA_STATE_ARCHIVED,
                     DAYTONA_STATE_ARCHIVING,
                     DAYTONA_STATE_RESTORING,
                     DAYTONA_STATE_PULLING,
                     DAYTONA_STATE_BUILDING,
                     DAYTONA_STATE_DESTROYING,
                     DAYTONA_STATE_DESTROYED,
                     DAYTONA_STATE_PAUSED,
};

struct daytona_pair {
    char *key, *value;
};

/* A copy of what the service says. Absent strings are "". Owned by whoever got it: _info_done. */
struct daytona_sandbox_info {
    char *id, *name, *organization_id, *user, *target, *snapshot;
    char *state_name;   /* as sent */
    char *error_reason; /* why it is in error */
    char *toolbox_url;  /* base of the toolbox, without the id */
    char *daemon_version;
    char *created_at, *updated_at, *last_activity_at; /* ISO 8601 */
    char *sandbox_class;                              /* "container", "linux-vm", "windows" … */
    char *backup_state; /* "None", "Pending", "InProgress", "Completed", "Error" */
    char *network_allow_list, *network_allow_domains; /* as in struct daytona_network */
    enum daytona_state state;
    bool recoverable, is_public, network_block_all;
    double cpu, gpu, memory_gib, disk_gib;
    int64_t auto_stop_min, auto_archive_min, auto_delete_min, auto_pause_min; /* -1: off */
    struct daytona_pair *labels, *env;
    size_t label_count, env_count;
};

DAYTONA_API void daytona_sandbox_info_done(struct daytona_sandbox_info *info);

/* A volume that is ready (see volume.h), and where it is seen in the sandbox. Borrowed. */
struct daytona_volume_mount {
    const char *volume_id, *path; /* absolute; not "/", nor the system's own directories */
    const char *subpath;          /* only this part of it, relative; NULL: all */
};

/* NULL, 0 and empty mean the service's default. */
struct daytona_sandbox_params {
    const char *name, *snapshot, *image, *user, *language; /* image: sent as "FROM image" */
    const char *dockerfile; /* instead of image: a text that needs no other file, see image.h */
    const struct daytona_pair *env, *labels;
    size_t env_count, label_count;
    double cpu, memory_gib, disk_gib;                                  /* not with a snapshot */
    const int64_t *auto_stop_min, *auto_archive_min, *auto_delete_min; /* NULL: default */
    const int64_t *auto_pause_min, *ttl_min; /* as in daytona_sandbox_set_auto_pause, _set_ttl */
    bool is_public, ephemeral, network_block_all;
    const char *network_allow_list, *network_allow_domains; /* as in struct daytona_network */
    const struct daytona_volume_mount *volumes;
    size_t volume_count;
};

/*
 * timeout_ms counts everything; 0 waits without end, -1 does not wait for the state. All: -ENOENT
 * unknown or foreign, -EACCES credential refused, -ETIMEDOUT, -EBUSY another change is going on
 * (only with -1: otherwise it is waited for).
 */

/* POST /sandbox, then waits for `started`. *ret has one reference. -EIO: it ended in error. After
 * that, -ETIMEDOUT and -EINTR the sandbox may exist: the last error's message names it, if known.
 */
DAYTONA_API int daytona_sandbox_create(struct daytona_client *client,
                                       const struct daytona_sandbox_params *params,
                                       int64_t timeout_ms, struct daytona_sandbox **ret);
/* GET /sandbox/{idOrName}. *ret has one reference; the client must outlive it. */
DAYTONA_API int daytona_sandbox_get(struct daytona_client *client, const char *id_or_name,
                                    struct daytona_sandbox **ret);
/* GET /sandbox, all pages. labels may be NULL. *ret is an array of *ret_count infos, the caller's:
 * daytona_sandbox_list_free. */
DAYTONA_API int daytona_sandbox_list(struct daytona_client *client,
                                     const struct daytona_pair *labels, size_t label_count,
                                     struct daytona_sandbox_info **ret, size_t *ret_count);
DAYTONA_API void daytona_sandbox_list_free(struct daytona_sandbox_info *list, size_t count);

/* Borrowed. NULL and 0 do not limit. */
struct daytona_sandbox_query {
    const char *id, *name; /* how they begin; upper and lower case are the same */
    const struct daytona_pair *labels;
    size_t label_count;
    const char *const *states; /* any of them, at most 9: "started", "stopped" … */
    size_t state_count;
    const char *sort;  /* "name", "cpu", "memoryGib", "diskGib", "createdAt"; "lastActivityAt" */
    const char *order; /* "asc"; "desc" */
};
/* As daytona_sandbox_list. query NULL: all. -EINVAL: too many states. */
DAYTONA_API int daytona_sandbox_find(struct daytona_client *client,
                                     const struct daytona_sandbox_query *query,
                                     struct daytona_sandbox_info **ret, size_t *ret_count);

DAYTONA_API struct daytona_sandbox *daytona_sandbox_ref(struct daytona_sandbox *sandbox);
DAYTONA_API struct daytona_sandbox *daytona_sandbox_unref(struct daytona_sandbox *sandbox);

/* What is known, without a request. The caller calls daytona_sandbox_info_done. -ENOMEM. */
DAYTONA_API int daytona_sandbox_info(struct daytona_sandbox *sandbox,
                                     struct daytona_sandbox_info *ret);
DAYTONA_API enum daytona_state daytona_sandbox_state(struct daytona_sandbox *sandbox);
DAYTONA_API const char *daytona_sandbox_id(const struct daytona_sandbox *sandbox);

/* GET /sandbox/{id}. */
DAYTONA_API int daytona_sandbox_refresh(struct daytona_sandbox *sandbox);
/* POST /sandbox/{id}/start and wait. Already started is a success. */
DAYTONA_API int daytona_sandbox_start(struct daytona_sandbox *sandbox, int64_t timeout_ms);
/* POST /sandbox/{id}/stop[?force=true] and wait. Stopped already, archived or gone is a success. */
DAYTONA_API int daytona_sandbox_stop(struct daytona_sandbox *sandbox, bool force,
                                     int64_t timeout_ms);
/* DELETE /sandbox/{id} and wait until it is gone. */
DAYTONA_API int daytona_sandbox_delete(struct daytona_sandbox *sandbox, int64_t timeout_ms);
/* POST /sandbox/{id}/archive and wait. Only what is stopped can be archived; start brings it back.
 */
DAYTONA_API int daytona_sandbox_archive(struct daytona_sandbox *sandbox, int64_t timeout_ms);
/* POST /sandbox/{id}/recover and wait for `started`, or for `stopped` with skip_start. For a
 * sandbox in error whose info says recoverable. */
DAYTONA_API int daytona_sandbox_recover(struct daytona_sandbox *sandbox, bool skip_start,
                                        int64_t timeout_ms);
/* POST /sandbox/{id}/pause and wait; start resumes. -EOPNOTSUPP: not for this class of sandbox. */
DAYTONA_API int daytona_sandbox_pause(struct daytona_sandbox *sandbox, int64_t timeout_ms);
/* POST /sandbox/{id}/resize and wait until it is done. 0: as it is. Running: cpu and memory, only
 * more; stopped: disk too, only more. */
DAYTONA_API int daytona_sandbox_resize(struct daytona_sandbox *sandbox, double cpu,
                                       double memory_gib, double disk_gib, int64_t timeout_ms);
/* POST /sandbox/{id}/fork and wait until the copy has started. name NULL: the service finds one.
 * *ret has one reference. -EOPNOTSUPP: not for this class of sandbox. */
DAYTONA_API int daytona_sandbox_fork(struct daytona_sandbox *sandbox, const char *name,
                                     int64_t timeout_ms, struct daytona_sandbox **ret);
/* POST /sandbox/{id}/snapshot and wait until it is taken: a snapshot of that name. */
DAYTONA_API int daytona_sandbox_snapshot(struct daytona_sandbox *sandbox, const char *name,
                                         bool include_memory, int64_t timeout_ms);
/* GET /sandbox/{id} until the state is reached. -EIO: it went into error instead. */
DAYTONA_API int daytona_sandbox_wait(struct daytona_sandbox *sandbox, enum daytona_state state,
                                     int64_t timeout_ms);

/* PUT /sandbox/{id}/labels: these instead of those that are there. */
DAYTONA_API int daytona_sandbox_set_labels(struct daytona_sandbox *sandbox,
                                           const struct daytona_pair *labels, size_t count);
/*
 * POST /sandbox/{id}/autostop/{min} and so on. Minutes without activity; negative: never, for
 * archive: as late as the service allows. auto_delete counts from the stop, 0: at once. ttl counts
 * from creation. auto_pause and ttl: not for every class of sandbox, -EINVAL or -EOPNOTSUPP.
 */
DAYTONA_API int daytona_sandbox_set_auto_stop(struct daytona_sandbox *sandbox, int64_t minutes);
DAYTONA_API int daytona_sandbox_set_auto_archive(struct daytona_sandbox *sandbox, int64_t minutes);
DAYTONA_API int daytona_sandbox_set_auto_delete(struct daytona_sandbox *sandbox, int64_t minutes);
DAYTONA_API int daytona_sandbox_set_auto_pause(struct daytona_sandbox *sandbox, int64_t minutes);
DAYTONA_API int daytona_sandbox_set_ttl(struct daytona_sandbox *sandbox, int64_t minutes);
/* POST /sandbox/{id}/public/{true|false}: may previews be seen without a token? */
DAYTONA_API int daytona_sandbox_set_public(struct daytona_sandbox *sandbox, bool is_public);

struct daytona_network {
    const bool *block_all;     /* NULL: as it is */
    const char *allow_list;    /* IPv4 CIDRs, at most 10, with commas; "": none; NULL: as it is */
    const char *allow_domains; /* at most 10, with commas; may begin with "*."; as allow_list */
};
/* POST /sandbox/{id}/network-settings. An allow list ends block_all. -EINVAL: nothing is given. */
DAYTONA_API int daytona_sandbox_set_network(struct daytona_sandbox *sandbox,
                                            const struct daytona_network *network);
/*
 * Toolbox POST /env: variables of what is started from now on; what runs keeps its own. unset may
 * be NULL. -EOPNOTSUPP from older daemons.
 */
DAYTONA_API int daytona_sandbox_update_env(struct daytona_sandbox *sandbox,
                                           const struct daytona_pair *set, size_t set_count,
                                           const char *const *unset, size_t unset_count);
/* PUT /sandbox/{id}/secrets: these instead of those that are there. A key is a variable, its value
 * the name of a secret (secret.h). */
DAYTONA_API int daytona_sandbox_set_secrets(struct daytona_sandbox *sandbox,
                                            const struct daytona_pair *secrets, size_t count);
/* POST /sandbox/{id}/last-activity: the time until the sandbox stops by itself begins again. */
DAYTONA_API int daytona_sandbox_keep_alive(struct daytona_sandbox *sandbox);

/* Toolbox GET /work-dir, /user-home-dir, /version. *ret is a string the caller frees. */
DAYTONA_API int daytona_sandbox_work_dir(struct daytona_sandbox *sandbox, char **ret);
DAYTONA_API int daytona_sandbox_home_dir(struct daytona_sandbox *sandbox, char **ret);
DAYTONA_API int daytona_sandbox_version(struct daytona_sandbox *sandbox, char **ret);

struct daytona_metrics {
    double cpu_count, cpu_used_percent;
    uint64_t memory_total, memory_used, memory_cache; /* bytes, as are the next */
    uint64_t disk_total, disk_used, disk_free;
    char *timestamp; /* ISO 8601 */
};
DAYTONA_API void daytona_metrics_done(struct daytona_metrics *metrics);
/* Toolbox GET /system/metrics. -EOPNOTSUPP from older daemons. The caller calls
 * daytona_metrics_done. */
DAYTONA_API int daytona_sandbox_metrics(struct daytona_sandbox *sandbox,
                                        struct daytona_metrics *ret);

/* GET /sandbox/{id}/build-logs-url and what is there: how the image was built. follow: until the
 * build ends. -ENOENT: it has not begun. */
DAYTONA_API int daytona_sandbox_build_logs(struct daytona_sandbox *sandbox, bool follow,
                                           daytona_text text, void *arg);

#ifdef __cplusplus
}
#endif
#endif
