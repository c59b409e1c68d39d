/*
 * daytona/computer.h - a desktop in the sandbox: screen, mouse, keyboard, recordings, what is
 * shown.
 *
 * Needs an image with a desktop, and daytona_computer_start before the rest: else -EHOSTDOWN with
 * http_status 503. What moves, clicks or types is not repeated after a network error. Coordinates
 * are pixels from the upper left corner of the screen.
 */
#ifndef DAYTONA_COMPUTER_H
#define DAYTONA_COMPUTER_H

#include "daytona/files.h"

#ifdef __cplusplus
extern "C" {
#endif

/* POST /computeruse/start, /stop: the desktop's processes. */
DAYTONA_API int daytona_computer_start(struct daytona_sandbox *sandbox);
DAYTONA_API int daytona_computer_stop(struct daytona_sandbox *sandbox);
/* GET /computeruse/status. *ret is a string the caller frees: "active", "partial", "inactive" … */
DAYTONA_API int daytona_computer_status(struct daytona_sandbox *sandbox, char **ret);

/* GET /computeruse/process/{name}/status: 1 it runs, 0 it does not. Names: "xvfb", "xfce4" … */
DAYTONA_API int daytona_computer_process_running(struct daytona_sandbox *sandbox, const char *name);
/* POST …/restart. */
DAYTONA_API int daytona_computer_process_restart(struct daytona_sandbox *sandbox, const char *name);
/* GET …/logs, …/errors: what it has printed. *ret is a string the caller frees. */
DAYTONA_API int daytona_computer_process_logs(struct daytona_sandbox *sandbox, const char *name,
                                              char **ret);
DAYTONA_API int daytona_computer_process_errors(struct daytona_sandbox *sandbox, const char *name,
                                                char **ret);

/* ---- mouse ---- */

struct daytona_point {
    int64_t x, y;
};

/* GET /computeruse/mouse/position. */
DAYTONA_API int daytona_mouse_position(struct daytona_sandbox *sandbox, struct daytona_point *ret);
/* POST /computeruse/mouse/move. */
DAYTONA_API int daytona_mouse_move(struct daytona_sandbox *sandbox, struct daytona_point to);
/* POST /computeruse/mouse/click. button "left", "right", "middle"; NULL: left. */
DAYTONA_API int daytona_mouse_click(struct daytona_sandbox *sandbox, struct daytona_point at,
                                    const char *button, bool twice);
/* POST /computeruse/mouse/drag. */
DAYTONA_API int daytona_mouse_drag(struct daytona_sandbox *sandbox, struct daytona_point from,
                                   struct daytona_point to, const char *button);
/* POST /computeruse/mouse/scroll. lines: positive down, negative up; not 0. */
DAYTONA_API int daytona_mouse_scroll(struct daytona_sandbox *sandbox, struct daytona_point at,
                                     int lines);

/* ---- keyboard ---- */

/* POST /computeruse/keyboard/type. UTF-8; delay_ms between keys, 0: none. */
DAYTONA_API int daytona_keyboard_type(struct daytona_sandbox *sandbox, const char *text,
                                      unsigned delay_ms);
/* POST /computeruse/keyboard/key: "enter", "f5", "a" … with "ctrl", "alt", "shift", "cmd". */
DAYTONA_API int daytona_keyboard_press(struct daytona_sandbox *sandbox, const char *key,
                                       const char *const *modifiers, size_t count);
/* POST /computeruse/keyboard/hotkey: "ctrl+c". */
DAYTONA_API int daytona_keyboard_hotkey(struct daytona_sandbox *sandbox, const char *keys);

/* ---- screen ---- */

struct daytona_rect {
    int64_t x, y, width, height;
};

/* NULL, 0 and false are the service's default. */
struct daytona_screenshot_params {
    const struct daytona_rect *region; /* NULL: all */
    bool show_cursor;
    const char *format; /* "png", "jpeg" */
    unsigned quality;   /* of a jpeg, 1 to 100 */
    double scale;       /* 0.1 to 1 */
};
struct daytona_screenshot {
    void *data; /* the image file */
    size_t len;
    struct daytona_point cursor; /* -1, -1: not said */
};
/* GET /computeruse/screenshot[/region][/compressed]. params may be NULL. The caller calls
 * daytona_screenshot_done. -EFBIG beyond 64 MiB. */
DAYTONA_API int daytona_screenshot(struct daytona_sandbox *sandbox,
                                   const struct daytona_screenshot_params *params,
                                   struct daytona_screenshot *ret);
DAYTONA_API void daytona_screenshot_done(struct daytona_screenshot *screenshot);

struct daytona_window {
    int64_t id;
    char *title; /* of a display: "" */
    int64_t x, y, width, height;
    bool active;
};
/* GET /computeruse/display/info, /computeruse/display/windows: screens, and the windows on them.
 * *ret is the caller's: daytona_window_list_free. */
DAYTONA_API int daytona_display_list(struct daytona_sandbox *sandbox, struct daytona_window **ret,
                                     size_t *ret_count);
DAYTONA_API int daytona_window_list(struct daytona_sandbox *sandbox, struct daytona_window **ret,
                                    size_t *ret_count);
DAYTONA_API void daytona_window_list_free(struct daytona_window *list, size_t count);

/* ---- recordings ---- */

struct daytona_recording {
    char *id, *file_name, *file_path;
    char *status;                /* "recording", "completed" … */
    char *start_time, *end_time; /* ISO 8601; "" if it has not ended */
    double duration_s;
    int64_t size; /* bytes */
};
DAYTONA_API void daytona_recording_done(struct daytona_recording *recording);

/* POST /computeruse/recordings/start, /stop. label NULL: none. The caller calls
 * daytona_recording_done. */
DAYTONA_API int daytona_recording_start(struct daytona_sandbox *sandbox, const char *label,
                                        struct daytona_recording *ret);
DAYTONA_API int daytona_recording_stop(struct daytona_sandbox *sandbox, const char *id,
                                       struct daytona_recording *ret);
/* GET /computeruse/recordings, /{id}. */
DAYTONA_API int daytona_recording_list(struct daytona_sandbox *sandbox,
                                       struct daytona_recording **ret, size_t *ret_count);
DAYTONA_API void daytona_recording_list_free(struct daytona_recording *list, size_t count);
DAYTONA_API int daytona_recording_get(struct daytona_sandbox *sandbox, const char *id,
                                      struct daytona_recording *ret);
/* DELETE /computeruse/recordings/{id}. */
DAYTONA_API int daytona_recording_delete(struct daytona_sandbox *sandbox, const char *id);
/* GET /computeruse/recordings/{id}/download: the sink as in files.h, from 0 on. */
DAYTONA_API int daytona_recording_download(struct daytona_sandbox *sandbox, const char *id,
                                           daytona_sink sink, void *arg);

/* ---- what is shown, for programs ---- */

/* NULL and 0 are the service's default. */
struct daytona_a11y_query {
    const char *scope;         /* "focused", "pid", "all" */
    int64_t pid;               /* with scope "pid" */
    unsigned max_depth;        /* tree */
    const char *role, *name;   /* find */
    const char *name_match;    /* find: "exact", "substring", "regex" */
    const char *const *states; /* find: "focused", "enabled" … */
    size_t state_count;
    unsigned limit; /* find */
};
/* GET /computeruse/a11y/tree. *ret is the service's JSON, a string the caller frees. */
DAYTONA_API int daytona_a11y_tree(struct daytona_sandbox *sandbox,
                                  const struct daytona_a11y_query *query, char **ret);

struct daytona_a11y_node {
    char *id, *role, *name, *description;
};
/* POST /computeruse/a11y/find. *ret is the caller's: daytona_a11y_list_free. */
DAYTONA_API int daytona_a11y_find(struct daytona_sandbox *sandbox,
                                  const struct daytona_a11y_query *query,
                                  struct daytona_a11y_node **ret, size_t *ret_count);
DAYTONA_API void daytona_a11y_list_free(struct daytona_a11y_node *list, size_t count);
/* POST /computeruse/a11y/node/focus, /invoke, /value. action NULL: the first one it has. */
DAYTONA_API int daytona_a11y_focus(struct daytona_sandbox *sandbox, const char *id);
DAYTONA_API int daytona_a11y_invoke(struct daytona_sandbox *sandbox, const char *id,
                                    const char *action);
DAYTONA_API int daytona_a11y_set_value(struct daytona_sandbox *sandbox, const char *id,
                                       const char *value);

#ifdef __cplusplus
}
#endif
#endif
