/* sandbox.h - the control plane's Sandbox object, pages of it, and the body of create. */
#ifndef WIRE_SANDBOX_H
#define WIRE_SANDBOX_H

#include "wire/json.h"

#include <stdint.h>

enum wire_state {
    WIRE_STATE_OTHER, /* a name that is not known here */
    WIRE_STATE_CREATING,
    WIRE_STATE_RESTORING,
    WIRE_STATE_DESTROYED,
    WIRE_STATE_DESTROYING,
    WIRE_STATE_STARTED,
    WIRE_STATE_STOPPED,
    WIRE_STATE_STARTING,
    WIRE_STATE_STOPPING,
    WIRE_STATE_ERROR,
    WIRE_STATE_BUILD_FAILED,
    WIRE_STATE_PENDING_BUILD,
    WIRE_STATE_BUILDING_SNAPSHOT,
    WIRE_STATE_UNKNOWN, /* the service's own word */
    WIRE_STATE_PULLING_SNAPSHOT,
    WIRE_STATE_ARCHIVED,
    WIRE_STATE_ARCHIVING,
    WIRE_STATE_RESIZING,
    WIRE_STATE_SNAPSHOTTING,
    WIRE_STATE_FORKING,
    WIRE_STATE_PAUSING,
    WIRE_STATE_PAUSED,
    WIRE_STATE_RESUMING,
    WIRE_STATE_COUNT,
};
const char *wire_state_name(enum wire_state state); /* "" for OTHER */
enum wire_state wire_state_find(const char *name);

/* Owned strings, "" when absent; intervals JSON_ABSENT when absent. */
struct wire_sandbox {
    char *id, *organization_id, *name, *snapshot, *user, *target;
    char *state, *desired_state, *error_reason, *backup_state, *sandbox_class;
    char *created_at, *updated_at, *last_activity_at;
    char *daemon_version, *runner_id, *toolbox_url;
    char *network_allow_list, *domain_allow_list;
    struct json_pairs env, labels;
    bool is_public, network_block_all, recoverable;
    double cpu, gpu, memory_gib, disk_gib;
    int64_t auto_stop_min, auto_archive_min, auto_delete_min, auto_pause_min;
};

void wire_sandbox_done(struct wire_sandbox *s);
/* -EPROTO also without an id that can stand in a URL path (letters, digits, '-', '_', '.'). */
int wire_sandbox_read(const void *text, size_t len, struct wire_sandbox *ret);
/* as_item: the form in lists, which has no env. */
void wire_sandbox_write(struct json_out *o, const struct wire_sandbox *s, bool as_item);

struct wire_page {
    struct wire_sandbox *items;
    size_t count;
    char *next_cursor; /* "" after the last page */
};
void wire_page_done(struct wire_page *p);
/* Also takes the bare array that servers before 0.180 answer. */
int wire_page_read(const void *text, size_t len, struct wire_page *ret);

struct wire_volume_mount {
    char *id, *path, *subpath;
};

/* Body of POST /sandbox. Empty, 0, false and JSON_ABSENT are not sent. */
struct wire_create {
    char *name, *snapshot, *user, *target;
    char *dockerfile; /* buildInfo.dockerfileContent */
    char *network_allow_list, *domain_allow_list;
    struct json_pairs env, labels;
    bool is_public, network_block_all;
    double cpu, memory_gib, disk_gib;
    int64_t auto_stop_min, auto_archive_min, auto_delete_min, auto_pause_min, ttl_min;
    struct wire_volume_mount *volumes;
    size_t volume_count;
};
void wire_create_done(struct wire_create *c);
int wire_create_read(const void *text, size_t len, struct wire_create *ret);
/* Bytes that are not UTF-8 become U+FFFD. */
int wire_create_write(struct buf *out, const struct wire_create *c);

/* {"labels":{…}} */
int wire_labels_read(const void *text, size_t len, struct json_pairs *ret);

#endif
