/* The desktop: its processes, mouse, keyboard and what programs show. */
#include "sdk/computer_call.h"
#include "sdk/error.h"

#include "util/array.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int daytona_computer_start(struct daytona_sandbox *sb)
{
    return computer_only(sb, &(struct computer_call){.name = "startComputerUse",
                                                     .method = "POST",
                                                     .path = COMPUTER "/start"});
}

int daytona_computer_stop(struct daytona_sandbox *sb)
{
    return computer_only(sb, &(struct computer_call){.name = "stopComputerUse",
                                                     .method = "POST",
                                                     .path = COMPUTER "/stop"});
}

int daytona_computer_status(struct daytona_sandbox *sb, char **ret)
{
    const struct computer_call call = {
        .name = "getComputerUseStatus", .method = "GET", .path = COMPUTER "/status"};

    return computer_string(sb, &call, "status", ret);
}

/* --- processes */

static struct computer_call of_process(const char *name, const char *method, const char *process,
                                       const char *tail)
{
    return (struct computer_call){
        .name = name, .method = method, .path = COMPUTER "/process/", .id = process, .tail = tail};
}

struct process_status {
    bool running;
};

int daytona_computer_process_running(struct daytona_sandbox *sb, const char *name)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct process_status, running, "running", JSON_BOOL, JSON_REQUIRED)};
    const struct computer_call call = of_process("getProcessStatus", "GET", name, "/status");
    struct process_status status = {0};
    int r;

    r = computer_object(sb, &call, fields, ARRAY_LEN(fields), &status);
    return r < 0 ? r : status.running;
}

int daytona_computer_process_restart(struct daytona_sandbox *sb, const char *name)
{
    const struct computer_call call = of_process("restartProcess", "POST", name, "/restart");

    return computer_only(sb, &call);
}

int daytona_computer_process_logs(struct daytona_sandbox *sb, const char *name, char **ret)
{
    const struct computer_call call = of_process("getProcessLogs", "GET", name, "/logs");

    return computer_string(sb, &call, "logs", ret);
}

int daytona_computer_process_errors(struct daytona_sandbox *sb, const char *name, char **ret)
{
    const struct computer_call call = of_process("getProcessErrors", "GET", name, "/errors");

    return computer_string(sb, &call, "errors", ret);
}

/* --- mouse */

int daytona_mouse_position(struct daytona_sandbox *sb, struct daytona_point *ret)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct daytona_point, x, "x", JSON_INT, JSON_REQUIRED),
        JSON_FIELD(struct daytona_point, y, "y", JSON_INT, JSON_REQUIRED)};
    const struct computer_call call = {
        .name = "getMousePosition", .method = "GET", .path = COMPUTER "/mouse/position"};
    struct daytona_point at = {0};
    int r;

    r = computer_object(sb, &call, fields, ARRAY_LEN(fields), &at);
    if (r == 0)
        *ret = at;
    return r;
}

int daytona_mouse_move(struct daytona_sandbox *sb, struct daytona_point to)
{
    const struct computer_call call = {.name = "moveMouse",
                                       .method = "POST",
                                       .path = COMPUTER "/mouse/move",
                                       MEMBERS(I_MEMBER("x", to.x), I_MEMBER("y", to.y))};

    return computer_only(sb, &call);
}

int daytona_mouse_click(struct daytona_sandbox *sb, struct daytona_point at, const char *button,
                        bool twice)
{
    const struct computer_call call = {.name = "click",
                                       .method = "POST",
                                       .path = COMPUTER "/mouse/click",
                                       MEMBERS(I_MEMBER("x", at.x), I_MEMBER("y", at.y),
                                               S_MEMBER("button", button ? button : "left"),
                                               B_MEMBER("double", twice))};

    return computer_only(sb, &call);
}

int daytona_mouse_drag(struct daytona_sandbox *sb, struct daytona_point from,
                       struct daytona_point to, const char *button)
{
    const struct computer_call call = {
        .name = "drag",
        .method = "POST",
        .path = COMPUTER "/mouse/drag",
        MEMBERS(I_MEMBER("startX", from.x), I_MEMBER("startY", from.y), I_MEMBER("endX", to.x),
                I_MEMBER("endY", to.y), S_MEMBER("button", button ? button : "left"))};

    return computer_only(sb, &call);
}

int daytona_mouse_scroll(struct daytona_sandbox *sb, struct daytona_point at, int lines)
{
    const struct computer_call call = {
        .name = "scroll",
        .method = "POST",
        .path = COMPUTER "/mouse/scroll",
        MEMBERS(I_MEMBER("x", at.x), I_MEMBER("y", at.y),
                S_MEMBER("direction", lines < 0 ? "up" : "down"),
                I_MEMBER("amount", lines < 0 ? -(int64_t)lines : lines))};

    error_begin("scroll");
    if (lines == 0)
        return error_set(-EINVAL, "no lines to scroll by");
    return computer_only(sb, &call);
}

/* --- keyboard */

int daytona_keyboard_type(struct daytona_sandbox *sb, const char *text, unsigned delay_ms)
{
    const struct computer_call call = {
        .name = "typeText",
        .method = "POST",
        .path = COMPUTER "/keyboard/type",
        MEMBERS(S_MEMBER("text", text), I_MEMBER("delay", delay_ms))};

    return computer_only(sb, &call);
}

int daytona_keyboard_press(struct daytona_sandbox *sb, const char *key,
                           const char *const *modifiers, size_t count)
{
    const struct json_strings list = {(char **)modifiers, count};
    const struct computer_call call = {.name = "pressKey",
                                       .method = "POST",
                                       .path = COMPUTER "/keyboard/key",
                                       MEMBERS(S_MEMBER("key", key), L_MEMBER("modifiers", &list))};

    return computer_only(sb, &call);
}

int daytona_keyboard_hotkey(struct daytona_sandbox *sb, const char *keys)
{
    const struct computer_call call = {.name = "pressHotkey",
                                       .method = "POST",
                                       .path = COMPUTER "/keyboard/hotkey",
                                       MEMBERS(S_MEMBER("keys", keys))};

    return computer_only(sb, &call);
}

/* --- what programs show */

int daytona_a11y_tree(struct daytona_sandbox *sb, const struct daytona_a11y_query *q, char **ret)
{
    char pid[32], depth[32];
    const struct call call = {
        .name = "getAccessibilityTree",
        .method = "GET",
        .path = COMPUTER "/a11y/tree",
        .query = {{"scope", q->scope},
                  {"pid", q->pid ? pid : NULL},
                  {"maxDepth", q->max_depth ? depth : NULL}},
        .flags = HTTP_IDEMPOTENT,
        .body_max = 64 << 20,
        .json_errors = true,
    };
    struct http_response response;
    int r;

    error_begin("getAccessibilityTree");
    snprintf(pid, sizeof(pid), "%lld", (long long)q->pid);
    snprintf(depth, sizeof(depth), "%u", q->max_depth);
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    *ret = strdup(buf_str(&response.body));
    http_response_done(&response);
    return error_default(*ret ? 0 : -ENOMEM);
}

#define NODE(member, flags)                                                                        \
    JSON_FIELD(struct daytona_a11y_node, member, #member, JSON_STRING, flags)
static const struct json_field node_fields[] = {NODE(id, JSON_REQUIRED), NODE(role, JSON_LENIENT),
                                                NODE(name, JSON_LENIENT),
                                                NODE(description, JSON_LENIENT)};
static const struct json_shape node_shape = {
    .fields = node_fields,
    .count = ARRAY_LEN(node_fields),
    .size = sizeof(struct daytona_a11y_node),
};

void daytona_a11y_list_free(struct daytona_a11y_node *list, size_t count)
{
    json_free_list(&node_shape, list, count);
}

int daytona_a11y_find(struct daytona_sandbox *sb, const struct daytona_a11y_query *q,
                      struct daytona_a11y_node **ret, size_t *ret_count)
{
    const struct json_strings states = {(char **)q->states, q->state_count};
    struct computer_member members[7] = {
        S_MEMBER("scope", q->scope), S_MEMBER("role", q->role), S_MEMBER("name", q->name),
        S_MEMBER("nameMatch", q->name_match), L_MEMBER("states", &states)};
    struct computer_call call = {.name = "findAccessibilityNodes",
                                 .method = "POST",
                                 .path = COMPUTER "/a11y/find",
                                 .members = members,
                                 .count = 5};

    if (q->pid)
        members[call.count++] = (struct computer_member)I_MEMBER("pid", q->pid);
    if (q->limit)
        members[call.count++] = (struct computer_member)I_MEMBER("limit", q->limit);
    return computer_list(sb, &call, "matches", &node_shape, (void **)ret, ret_count);
}

static int act_on(struct daytona_sandbox *sb, const char *name, const char *path, const char *id,
                  const char *key, const char *value)
{
    const struct computer_call call = {.name = name,
                                       .method = "POST",
                                       .path = path,
                                       MEMBERS(S_MEMBER("id", id), S_MEMBER(key, value))};

    return computer_only(sb, &call);
}

int daytona_a11y_focus(struct daytona_sandbox *sb, const char *id)
{
    return act_on(sb, "focusAccessibilityNode", COMPUTER "/a11y/node/focus", id, "", NULL);
}

int daytona_a11y_invoke(struct daytona_sandbox *sb, const char *id, const char *action)
{
    return act_on(sb, "invokeAccessibilityNode", COMPUTER "/a11y/node/invoke", id, "action",
                  action);
}

int daytona_a11y_set_value(struct daytona_sandbox *sb, const char *id, const char *value)
{
    return act_on(sb, "setAccessibilityNodeValue", COMPUTER "/a11y/node/value", id, "value", value);
}
