/* The desktop's calls: what is sent, and what is made of answers. */
#include "unit.h"

#include "sdk_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define C RIG_BOX "/computeruse"
#define OK(what)                                                                                   \
    {                                                                                              \
        .request = (what), .status = 200, .body = "{}"                                             \
    }
#define SAYS(what, text)                                                                           \
    {                                                                                              \
        .request = (what), .status = 200, .body = (text)                                           \
    }

TEST(mouse_and_keyboard_send_what_the_service_expects)
{
    static const struct step steps[] = {
        OK("POST " C "/start"),
        OK("POST " C "/mouse/move"),
        OK("POST " C "/mouse/click"),
        OK("POST " C "/mouse/drag"),
        OK("POST " C "/mouse/scroll"),
        OK("POST " C "/keyboard/type"),
        OK("POST " C "/keyboard/key"),
        OK("POST " C "/keyboard/hotkey"),
        SAYS("GET " C "/mouse/position", "{\"x\":3,\"y\":4}"),
        SAYS("GET " C "/mouse/position", "{\"x\":3}"),
        OK("POST " C "/stop"),
        RIG_END,
    };
    static const char *const modifiers[] = {"ctrl", "alt"};
    const struct daytona_point a = {1, 2}, b = {5, 6};
    struct daytona_point at = {0};

    script_set(&rig.script, steps);
    EXPECT(daytona_computer_start(rig.box), 0);
    EXPECT(daytona_mouse_move(rig.box, a), 0);
    EXPECT(daytona_mouse_click(rig.box, a, NULL, true), 0);
    EXPECT(daytona_mouse_drag(rig.box, a, b, "right"), 0);
    EXPECT(daytona_mouse_scroll(rig.box, a, -3), 0);
    EXPECT(daytona_mouse_scroll(rig.box, a, 0), -EINVAL);
    EXPECT(daytona_keyboard_type(rig.box, "a\"b", 10), 0);
    EXPECT(daytona_keyboard_press(rig.box, "f5", modifiers, 2), 0);
    EXPECT(daytona_keyboard_hotkey(rig.box, "ctrl+c"), 0);
    EXPECT(daytona_mouse_position(rig.box, &at), 0);
    assert_true(at.x == 3 && at.y == 4);
    EXPECT(daytona_mouse_position(rig.box, &at), -EPROTO);
    EXPECT(daytona_computer_stop(rig.box), 0);
    script_check(&rig.script);
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{}"
                        "{\"x\":1,\"y\":2}"
                        "{\"x\":1,\"y\":2,\"button\":\"left\",\"double\":true}"
                        "{\"startX\":1,\"startY\":2,\"endX\":5,\"endY\":6,\"button\":\"right\"}"
                        "{\"x\":1,\"y\":2,\"direction\":\"up\",\"amount\":3}"
                        "{\"text\":\"a\\\"b\",\"delay\":10}"
                        "{\"key\":\"f5\",\"modifiers\":[\"ctrl\",\"alt\"]}"
                        "{\"keys\":\"ctrl+c\"}"
                        "{}");
}

TEST(screens_are_seen)
{
    static const struct step steps[] = {
        SAYS("GET " C "/screenshot",
             "{\"screenshot\":\"aGk=\",\"cursorPosition\":{\"x\":7,\"y\":8},\"sizeBytes\":2}"),
        SAYS("GET " C "/screenshot/region/compressed?x=1&y=2&width=3&height=4&showCursor=true&"
             "format=jpeg&quality=50&scale=0.5",
             "{\"screenshot\":\"aGk=\"}"),
        SAYS("GET " C "/screenshot", "{\"screenshot\":\"*\"}"),
        SAYS("GET " C "/screenshot", "{}"),
        SAYS("GET " C "/display/info",
             "{\"displays\":[{\"id\":0,\"width\":1024,\"height\":768,\"isActive\":true}]}"),
        SAYS("GET " C "/display/windows", "{\"windows\":[{\"id\":9,\"title\":\"t\",\"x\":-1}]}"),
        SAYS("GET " C "/display/windows", "{\"windows\":{}}"),
        RIG_END,
    };
    const struct daytona_rect part = {1, 2, 3, 4};
    const struct daytona_screenshot_params small = {
        .region = &part, .show_cursor = true, .format = "jpeg", .quality = 50, .scale = 0.5};
    struct daytona_screenshot s;
    struct daytona_window *list;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_screenshot(rig.box, NULL, &s), 0);
    assert_int_equal(s.len, 2);
    assert_memory_equal(s.data, "hi", 2);
    assert_true(s.cursor.x == 7 && s.cursor.y == 8);
    daytona_screenshot_done(&s);
    EXPECT(daytona_screenshot(rig.box, &small, &s), 0);
    assert_int_equal(s.cursor.x, -1);
    daytona_screenshot_done(&s);
    EXPECT(daytona_screenshot(rig.box, NULL, &s), -EPROTO);
    EXPECT(daytona_screenshot(rig.box, NULL, &s), -EPROTO);
    EXPECT(daytona_display_list(rig.box, &list, &count), 0);
    assert_true(count == 1 && list[0].width == 1024 && list[0].active);
    daytona_window_list_free(list, count);
    EXPECT(daytona_window_list(rig.box, &list, &count), 0);
    assert_true(count == 1 && list[0].x == -1 && strcmp(list[0].title, "t") == 0);
    daytona_window_list_free(list, count);
    EXPECT(daytona_window_list(rig.box, &list, &count), -EPROTO);
    script_check(&rig.script);
}

#define RECORDING "{\"id\":\"r1\",\"fileName\":\"f\",\"status\":\"recording\",\"sizeBytes\":5}"

static int keep(void *arg, uint64_t off, const void *p, size_t n)
{
    return buf_append(arg, p, n);
}

TEST(recordings_are_made_listed_and_taken_home)
{
    static const struct step steps[] = {
        {.request = "POST " C "/recordings/start", .status = 201, .body = RECORDING},
        SAYS("POST " C "/recordings/stop", RECORDING),
        SAYS("GET " C "/recordings", "{\"recordings\":[" RECORDING "]}"),
        SAYS("GET " C "/recordings/r1", RECORDING),
        SAYS("GET " C "/recordings/r1/download", "bytes"),
        {.request = "DELETE " C "/recordings/r1", .status = 204},
        RIG_END,
    };
    struct buf bytes = BUF_INIT(64);
    struct daytona_recording r, *list;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_recording_start(rig.box, "demo", &r), 0);
    assert_string_equal(r.status, "recording");
    daytona_recording_done(&r);
    EXPECT(daytona_recording_stop(rig.box, "r1", &r), 0);
    daytona_recording_done(&r);
    EXPECT(daytona_recording_list(rig.box, &list, &count), 0);
    assert_true(count == 1 && list[0].size == 5);
    daytona_recording_list_free(list, count);
    EXPECT(daytona_recording_get(rig.box, "r1", &r), 0);
    daytona_recording_done(&r);
    EXPECT(daytona_recording_download(rig.box, "r1", keep, &bytes), 0);
    assert_string_equal(buf_str(&bytes), "bytes");
    EXPECT(daytona_recording_delete(rig.box, "r1"), 0);
    EXPECT(daytona_recording_get(rig.box, "..", &r), -EINVAL);
    script_check(&rig.script);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"label\":\"demo\"}{\"id\":\"r1\"}");
    buf_done(&bytes);
}

TEST(what_is_shown_and_what_runs_is_told)
{
    static const struct step steps[] = {
        SAYS("GET " C "/status", "{\"status\":\"active\"}"),
        SAYS("GET " C "/process/xvfb/status", "{\"running\":true}"),
        OK("POST " C "/process/xvfb/restart"),
        SAYS("GET " C "/process/xvfb/logs", "{\"logs\":\"l\"}"),
        SAYS("GET " C "/process/xvfb/errors", "{\"errors\":\"e\"}"),
        SAYS("GET " C "/a11y/tree?scope=pid&pid=7&maxDepth=2", "{\"root\":{}}"),
        SAYS("POST " C "/a11y/find",
             "{\"matches\":[{\"id\":\"n1\",\"role\":\"button\",\"name\":\"OK\"}]}"),
        OK("POST " C "/a11y/node/focus"),
        OK("POST " C "/a11y/node/invoke"),
        OK("POST " C "/a11y/node/value"),
        RIG_END,
    };
    static const char *const states[] = {"enabled"};
    const struct daytona_a11y_query tree = {.scope = "pid", .pid = 7, .max_depth = 2},
                                    find = {.role = "button",
                                            .states = states,
                                            .state_count = 1,
                                            .limit = 5};
    struct daytona_a11y_node *list;
    char *text;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_computer_status(rig.box, &text), 0);
    assert_string_equal(text, "active");
    free(text);
    EXPECT(daytona_computer_process_running(rig.box, "xvfb"), 1);
    EXPECT(daytona_computer_process_restart(rig.box, "xvfb"), 0);
    EXPECT(daytona_computer_process_logs(rig.box, "xvfb", &text), 0);
    assert_string_equal(text, "l");
    free(text);
    EXPECT(daytona_computer_process_errors(rig.box, "xvfb", &text), 0);
    free(text);
    EXPECT(daytona_a11y_tree(rig.box, &tree, &text), 0);
    assert_string_equal(text, "{\"root\":{}}");
    free(text);
    EXPECT(daytona_a11y_find(rig.box, &find, &list, &count), 0);
    assert_true(count == 1 && strcmp(list[0].role, "button") == 0);
    daytona_a11y_list_free(list, count);
    EXPECT(daytona_a11y_focus(rig.box, "n1"), 0);
    EXPECT(daytona_a11y_invoke(rig.box, "n1", NULL), 0);
    EXPECT(daytona_a11y_set_value(rig.box, "n1", "v"), 0);
    script_check(&rig.script);
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{}"
                        "{\"role\":\"button\",\"states\":[\"enabled\"],\"limit\":5}"
                        "{\"id\":\"n1\"}"
                        "{\"id\":\"n1\"}"
                        "{\"id\":\"n1\",\"value\":\"v\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(mouse_and_keyboard_send_what_the_service_expects),
        RIG_TEST(screens_are_seen),
        RIG_TEST(recordings_are_made_listed_and_taken_home),
        RIG_TEST(what_is_shown_and_what_runs_is_told),
    };

    return cmocka_run_group_tests_name("sdk_computer", tests, NULL, NULL);
}
