/* The desktop: what is on the screen, and recordings of it. */
#include "sdk/computer_call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "util/base64.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IMAGE_MAX = 64 << 20, NUMBER = 32 };

/* --- pictures */

struct picture_json {
    char *screenshot;
};
static const struct json_field picture_fields[] = {
    JSON_FIELD(struct picture_json, screenshot, "screenshot", JSON_STRING, JSON_REQUIRED)};
static const struct json_field point_fields[] = {
    JSON_FIELD(struct daytona_point, x, "x", JSON_INT, JSON_LENIENT),
    JSON_FIELD(struct daytona_point, y, "y", JSON_INT, JSON_LENIENT)};

void daytona_screenshot_done(struct daytona_screenshot *s)
{
    free(s->data);
    *s = (struct daytona_screenshot){0};
}

static int read_picture(const struct buf *text, struct daytona_screenshot *ret)
{
    struct daytona_screenshot s = {.cursor = {-1, -1}};
    struct buf image = BUF_INIT(IMAGE_MAX);
    struct picture_json p = {0};
    cJSON *json = NULL;
    int r;

    r = json_parse(buf_str(text), text->len, &json);
    if (r == 0)
        r = json_load(json, picture_fields, ARRAY_LEN(picture_fields), &p);
    if (r == 0 && cJSON_GetObjectItemCaseSensitive(json, "cursorPosition"))
        r = json_load(cJSON_GetObjectItemCaseSensitive(json, "cursorPosition"), point_fields,
                      ARRAY_LEN(point_fields), &s.cursor);
    if (r == 0)
        r = base64_decode(&image, p.screenshot, strlen(p.screenshot));
    if (r == 0) {
        s.len = image.len;
        s.data = buf_take(&image);
        r = s.data ? 0 : -ENOMEM;
    }
    if (r == 0)
        *ret = s;
    else if (r != -ENOMEM && r != -EFBIG)
        r = -EPROTO;
    buf_done(&image);
    json_unload(picture_fields, ARRAY_LEN(picture_fields), &p);
    cJSON_Delete(json);
    return r;
}

/* The four calls, by what is asked for. */
static const char *const picture_paths[2][2] = {
    {COMPUTER "/screenshot", COMPUTER "/screenshot/compressed"},
    {COMPUTER "/screenshot/region", COMPUTER "/screenshot/region/compressed"}};

static void add(struct call *call, size_t *n, const char *key, char *text, const char *fmt,
                double value)
{
    snprintf(text, NUMBER, fmt, value);
    call->query[*n].key = key;
    call->query[(*n)++].value = text;
}

int daytona_screenshot(struct daytona_sandbox *sb, const struct daytona_screenshot_params *params,
                       struct daytona_screenshot *ret)
{
    static const struct daytona_screenshot_params defaults;
    const struct daytona_screenshot_params *p = params ? params : &defaults;
    const bool compressed = p->format || p->quality || p->scale > 0;
    char numbers[6][NUMBER];
    struct call call = {
        .name = "takeScreenshot",
        .method = "GET",
        .path = picture_paths[p->region != NULL][compressed],
        .flags = HTTP_IDEMPOTENT,
        .body_max = 2 * (size_t)IMAGE_MAX,
        .json_errors = true,
    };
    struct http_response response;
    size_t n = 0;
    int r;

    error_begin("takeScreenshot");
    if (p->region) {
        add(&call, &n, "x", numbers[0], "%.0f", (double)p->region->x);
        add(&call, &n, "y", numbers[1], "%.0f", (double)p->region->y);
        add(&call, &n, "width", numbers[2], "%.0f", (double)p->region->width);
        add(&call, &n, "height", numbers[3], "%.0f", (double)p->region->height);
    }
    if (p->show_cursor)
        call.query[n++] = (struct call_query){"showCursor", "true"};
    if (p->format)
        call.query[n++] = (struct call_query){"format", p->format};
    if (p->quality)
        add(&call, &n, "quality", numbers[4], "%.0f", p->quality);
    if (p->scale > 0)
        add(&call, &n, "scale", numbers[5], "%.3g", p->scale);
    r = call_toolbox(sb, &call, &response);
    if (r < 0)
        return r;
    r = read_picture(&response.body, ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

/* --- displays and windows */

#define WINDOW(member, key, type, flags) JSON_FIELD(struct daytona_window, member, key, type, flags)
static const struct json_field window_fields[] = {
    WINDOW(id, "id", JSON_INT, 0),
    WINDOW(title, "title", JSON_STRING, JSON_LENIENT),
    WINDOW(x, "x", JSON_INT, JSON_LENIENT),
    WINDOW(y, "y", JSON_INT, JSON_LENIENT),
    WINDOW(width, "width", JSON_INT, JSON_LENIENT),
    WINDOW(height, "height", JSON_INT, JSON_LENIENT),
    WINDOW(active, "isActive", JSON_BOOL, JSON_LENIENT),
};
static const struct json_shape window_shape = {
    .fields = window_fields,
    .count = ARRAY_LEN(window_fields),
    .size = sizeof(struct daytona_window),
};

void daytona_window_list_free(struct daytona_window *list, size_t count)
{
    json_free_list(&window_shape, list, count);
}

int daytona_display_list(struct daytona_sandbox *sb, struct daytona_window **ret, size_t *ret_count)
{
    const struct computer_call call = {
        .name = "getDisplayInfo", .method = "GET", .path = COMPUTER "/display/info"};

    return computer_list(sb, &call, "displays", &window_shape, (void **)ret, ret_count);
}

int daytona_window_list(struct daytona_sandbox *sb, struct daytona_window **ret, size_t *ret_count)
{
    const struct computer_call call = {
        .name = "getWindows", .method = "GET", .path = COMPUTER "/display/windows"};

    return computer_list(sb, &call, "windows", &window_shape, (void **)ret, ret_count);
}

/* --- recordings */

#define RECORDING(member, key, type, flags)                                                        \
    JSON_FIELD(struct daytona_recording, member, key, type, flags)
static const struct json_field recording_fields[] = {
    RECORDING(id, "id", JSON_STRING, JSON_REQUIRED),
    RECORDING(file_name, "fileName", JSON_STRING, JSON_LENIENT),
    RECORDING(file_path, "filePath", JSON_STRING, JSON_LENIENT),
    RECORDING(status, "status", JSON_STRING, JSON_LENIENT),
    RECORDING(start_time, "startTime", JSON_STRING, JSON_LENIENT),
    RECORDING(end_time, "endTime", JSON_STRING, JSON_LENIENT),
    RECORDING(duration_s, "durationSeconds", JSON_DOUBLE, JSON_LENIENT),
    RECORDING(size, "sizeBytes", JSON_INT, JSON_LENIENT),
};
static const struct json_shape recording_shape = {
    .fields = recording_fields,
    .count = ARRAY_LEN(recording_fields),
    .size = sizeof(struct daytona_recording),
};

void daytona_recording_done(struct daytona_recording *recording)
{
    json_unload(recording_fields, ARRAY_LEN(recording_fields), recording);
}

void daytona_recording_list_free(struct daytona_recording *list, size_t count)
{
    json_free_list(&recording_shape, list, count);
}

static int one_recording(struct daytona_sandbox *sb, const struct computer_call *call,
                         struct daytona_recording *ret)
{
    struct daytona_recording recording = {0};
    int r;

    r = computer_object(sb, call, recording_fields, ARRAY_LEN(recording_fields), &recording);
    if (r == 0)
        *ret = recording;
    return r;
}

int daytona_recording_start(struct daytona_sandbox *sb, const char *label,
                            struct daytona_recording *ret)
{
    const struct computer_call call = {.name = "startRecording",
                                       .method = "POST",
                                       .path = COMPUTER "/recordings/start",
                                       MEMBERS(S_MEMBER("label", label))};

    return one_recording(sb, &call, ret);
}

int daytona_recording_stop(struct daytona_sandbox *sb, const char *id,
                           struct daytona_recording *ret)
{
    const struct computer_call call = {.name = "stopRecording",
                                       .method = "POST",
                                       .path = COMPUTER "/recordings/stop",
                                       MEMBERS(S_MEMBER("id", id))};

    return one_recording(sb, &call, ret);
}

int daytona_recording_get(struct daytona_sandbox *sb, const char *id, struct daytona_recording *ret)
{
    const struct computer_call call = {
        .name = "getRecording", .method = "GET", .path = COMPUTER "/recordings/", .id = id};

    return one_recording(sb, &call, ret);
}

int daytona_recording_list(struct daytona_sandbox *sb, struct daytona_recording **ret,
                           size_t *ret_count)
{
    const struct computer_call call = {
        .name = "listRecordings", .method = "GET", .path = COMPUTER "/recordings"};

    return computer_list(sb, &call, "recordings", &recording_shape, (void **)ret, ret_count);
}

int daytona_recording_delete(struct daytona_sandbox *sb, const char *id)
{
    return call_toolbox_delete(sb, "deleteRecording", COMPUTER "/recordings/", id);
}

struct sink {
    daytona_sink sink;
    void *arg;
};

static int pass(void *arg, uint64_t off, const void *p, size_t n)
{
    const struct sink *s = arg;

    return s->sink(s->arg, off, p, n);
}

int daytona_recording_download(struct daytona_sandbox *sb, const char *id, daytona_sink sink,
                               void *arg)
{
    struct buf path = BUF_INIT(64 << 10);
    struct sink to = {sink, arg};
    struct call call = {
        .name = "downloadRecording",
        .method = "GET",
        .flags = HTTP_IDEMPOTENT,
        .sink = pass,
        .sink_arg = &to,
        .json_errors = true,
    };
    int r;

    error_begin("downloadRecording");
    r = call_path(&path, COMPUTER "/recordings/", id, "/download");
    call.path = buf_str(&path);
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&path);
    return r;
}
