/* desktop - a desktop in a sandbox: screen, mouse, keyboard; its image must have one */
#include "example.h"

static int start(const struct example *e)
{
    return daytona_computer_start(e->sandbox);
}

static int stop(const struct example *e)
{
    return daytona_computer_stop(e->sandbox);
}

static int status(const struct example *e)
{
    char *text = NULL;
    int r = daytona_computer_status(e->sandbox, &text);

    return example_print(r, text);
}

/* ---- its processes: "xvfb", "xfce4" … ---- */

/* Exit code 0: it runs. */
static int running(const struct example *e)
{
    int r = daytona_computer_process_running(e->sandbox, e->argv[0]);

    return r < 0 ? r : !r;
}

static int restart(const struct example *e)
{
    return daytona_computer_process_restart(e->sandbox, e->argv[0]);
}

static int logs(const struct example *e)
{
    char *out = NULL, *err = NULL;
    int r = daytona_computer_process_logs(e->sandbox, e->argv[0], &out);

    r = example_print(r, out);
    if (r == 0)
        r = daytona_computer_process_errors(e->sandbox, e->argv[0], &err);
    return example_print(r, err);
}

/* ---- mouse and keyboard ---- */

static struct daytona_point point(const struct example *e, int i)
{
    return (struct daytona_point){.x = example_number(e, i), .y = example_number(e, i + 1)};
}

static int position(const struct example *e)
{
    struct daytona_point p;
    int r = daytona_mouse_position(e->sandbox, &p);

    if (r == 0)
        printf("%lld %lld\n", (long long)p.x, (long long)p.y);
    return r;
}

static int move(const struct example *e)
{
    return daytona_mouse_move(e->sandbox, point(e, 0));
}

static int click(const struct example *e)
{
    return daytona_mouse_click(e->sandbox, point(e, 0), "left", false);
}

static int drag(const struct example *e)
{
    return daytona_mouse_drag(e->sandbox, point(e, 0), point(e, 2), NULL);
}

static int scroll(const struct example *e)
{
    return daytona_mouse_scroll(e->sandbox, point(e, 0), (int)example_number(e, 2));
}

static int type(const struct example *e)
{
    return daytona_keyboard_type(e->sandbox, e->argv[0], 0);
}

static int press(const struct example *e)
{
    return daytona_keyboard_press(e->sandbox, e->argv[0], (const char *const *)e->argv + 1,
                                  (size_t)e->argc - 1);
}

static int hotkey(const struct example *e)
{
    return daytona_keyboard_hotkey(e->sandbox, e->argv[0]);
}

/* ---- screen ---- */

/* The picture goes to stdout. */
static int screenshot(const struct example *e)
{
    const struct daytona_screenshot_params params = {.show_cursor = true};
    struct daytona_screenshot s;
    int r = daytona_screenshot(e->sandbox, &params, &s);

    if (r < 0)
        return r;
    fwrite(s.data, 1, s.len, stdout);
    daytona_screenshot_done(&s);
    return 0;
}

static int show_windows(const struct example *e,
                        int (*list)(struct daytona_sandbox *sandbox, struct daytona_window **ret,
                                    size_t *ret_count))
{
    struct daytona_window *v;
    size_t count;
    int r = list(e->sandbox, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%lld %lldx%lld %s\n", (long long)v[i].id, (long long)v[i].width,
               (long long)v[i].height, v[i].title);
    daytona_window_list_free(v, count);
    return 0;
}

static int displays(const struct example *e)
{
    return show_windows(e, daytona_display_list);
}

static int windows(const struct example *e)
{
    return show_windows(e, daytona_window_list);
}

/* ---- recordings ---- */

static int print_recording(int r, struct daytona_recording *recording)
{
    if (r < 0)
        return r;
    printf("%s %s %s\n", recording->id, recording->status, recording->file_path);
    daytona_recording_done(recording);
    return 0;
}

static int record(const struct example *e)
{
    struct daytona_recording recording;
    int r = daytona_recording_start(e->sandbox, example_arg(e, 0), &recording);

    return print_recording(r, &recording);
}

static int end_recording(const struct example *e)
{
    struct daytona_recording recording;
    int r = daytona_recording_stop(e->sandbox, e->argv[0], &recording);

    return print_recording(r, &recording);
}

static int recordings(const struct example *e)
{
    struct daytona_recording *v;
    size_t count;
    int r = daytona_recording_list(e->sandbox, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s %s\n", v[i].id, v[i].status, v[i].file_name);
    daytona_recording_list_free(v, count);
    return 0;
}

static int recording(const struct example *e)
{
    struct daytona_recording one;
    int r = daytona_recording_get(e->sandbox, e->argv[0], &one);

    return print_recording(r, &one);
}

static int take(void *arg, uint64_t off, const void *p, size_t n)
{
    return example_text(arg, p, n);
}

/* The video goes to stdout. */
static int download(const struct example *e)
{
    return daytona_recording_download(e->sandbox, e->argv[0], take, NULL);
}

static int delete_recording(const struct example *e)
{
    return daytona_recording_delete(e->sandbox, e->argv[0]);
}

/* ---- what is shown, for programs ---- */

static int tree(const struct example *e)
{
    const struct daytona_a11y_query query = {.scope = "all", .max_depth = 5};
    char *json = NULL;
    int r = daytona_a11y_tree(e->sandbox, &query, &json);

    return example_print(r, json);
}

static int find(const struct example *e)
{
    const struct daytona_a11y_query query = {.scope = "all", .name = e->argv[0]};
    struct daytona_a11y_node *v;
    size_t count;
    int r = daytona_a11y_find(e->sandbox, &query, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s %s\n", v[i].id, v[i].role, v[i].name);
    daytona_a11y_list_free(v, count);
    return 0;
}

static int focus(const struct example *e)
{
    return daytona_a11y_focus(e->sandbox, e->argv[0]);
}

static int invoke(const struct example *e)
{
    return daytona_a11y_invoke(e->sandbox, e->argv[0], NULL);
}

static int set(const struct example *e)
{
    return daytona_a11y_set_value(e->sandbox, e->argv[0], e->argv[1]);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"start", 0, 0, "", start},
        {"stop", 0, 0, "", stop},
        {"status", 0, 0, "", status},
        {"running", 1, 1, "PROCESS", running},
        {"restart", 1, 1, "PROCESS", restart},
        {"logs", 1, 1, "PROCESS", logs},
        {"position", 0, 0, "", position},
        {"move", 2, 2, "X Y", move},
        {"click", 2, 2, "X Y", click},
        {"drag", 4, 4, "X Y X Y", drag},
        {"scroll", 3, 3, "X Y LINES", scroll},
        {"type", 1, 1, "TEXT", type},
        {"press", 1, -1, "KEY MODIFIER...", press},
        {"hotkey", 1, 1, "KEYS", hotkey},
        {"screenshot", 0, 0, "", screenshot},
        {"displays", 0, 0, "", displays},
        {"windows", 0, 0, "", windows},
        {"record", 0, 1, "[LABEL]", record},
        {"end-recording", 1, 1, "ID", end_recording},
        {"recordings", 0, 0, "", recordings},
        {"recording", 1, 1, "ID", recording},
        {"download", 1, 1, "ID", download},
        {"delete-recording", 1, 1, "ID", delete_recording},
        {"tree", 0, 0, "", tree},
        {"find", 1, 1, "NAME", find},
        {"focus", 1, 1, "ID", focus},
        {"invoke", 1, 1, "ID", invoke},
        {"set", 2, 2, "ID VALUE", set},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
