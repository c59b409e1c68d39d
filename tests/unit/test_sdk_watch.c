/* Watching, against the local server, old and new. */
#include "serve_rig.h"

#include <daytona/watch.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOON_MS = 30000, LOOK_MS = 100 };

/* The same on this machine: what a program in the sandbox would do. Valid until the next one. */
static const char *here(const char *name)
{
    static char path[4096];

    snprintf(path, sizeof(path), "%s/sandboxes/%s/home/%s", fx.state, daytona_sandbox_id(fx.box),
             name);
    return path;
}

static void put(const char *name, const char *text)
{
    FILE *f = fopen(here(name), "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void move(const char *from, const char *to)
{
    char path[4096];

    strcpy(path, here(from));
    assert_int_equal(rename(path, here(to)), 0);
}

static struct daytona_watch *watch(const char *path, bool recursive)
{
    const struct daytona_watch_options options = {.recursive = recursive, .interval_ms = LOOK_MS};
    struct daytona_watch *w;

    EXPECT(daytona_watch_start(fx.box, path, &options, &w), 0);
    return w;
}

static void next_is(struct daytona_watch *w, enum daytona_watch_kind kind, const char *path)
{
    struct daytona_watch_event e;

    assert_int_equal(daytona_watch_next(w, SOON_MS, &e), 1);
    assert_string_equal(e.path, path);
    assert_int_equal(e.kind, kind);
}

static void nothing_comes(struct daytona_watch *w)
{
    struct daytona_watch_event e;

    assert_int_equal(daytona_watch_next(w, 3 * LOOK_MS, &e), 0);
}

TEST(what_comes_changes_and_goes_is_told_once)
{
    struct daytona_watch *w;

    put("there", "x");
    w = watch(fx.dir, true);
    nothing_comes(w);
    assert_int_equal(mkdir(here("d"), 0755), 0);
    put("d/in", "1");
    next_is(w, DAYTONA_WATCH_CREATE, "d");
    next_is(w, DAYTONA_WATCH_CREATE, "d/in");
    put("d/in", "22");
    next_is(w, DAYTONA_WATCH_MODIFY, "d/in");
    assert_int_equal(chmod(here("there"), 0600), 0);
    next_is(w, DAYTONA_WATCH_MODIFY, "there");
    move("d", "e");
    next_is(w, DAYTONA_WATCH_DELETE, "d");
    next_is(w, DAYTONA_WATCH_DELETE, "d/in");
    next_is(w, DAYTONA_WATCH_CREATE, "e");
    next_is(w, DAYTONA_WATCH_CREATE, "e/in");
    assert_int_equal(unlink(here("there")), 0);
    assert_int_equal(mkdir(here("there"), 0755), 0);
    next_is(w, DAYTONA_WATCH_DELETE, "there");
    next_is(w, DAYTONA_WATCH_CREATE, "there");
    nothing_comes(w);
    daytona_watch_free(w);
}

TEST(one_level_does_not_see_what_is_below)
{
    struct daytona_watch *w;

    assert_int_equal(mkdir(here("d"), 0755), 0);
    w = watch(fx.dir, false);
    put("d/in", "1");
    nothing_comes(w);
    put("here", "1");
    next_is(w, DAYTONA_WATCH_CREATE, "here");
    daytona_watch_free(w);
}

TEST(links_in_a_loop_and_too_many_files_end_with_an_error)
{
    const struct daytona_watch_options few = {.recursive = true, .entries_max = 200};
    struct daytona_watch *w;

    assert_int_equal(symlink(".", here("loop")), 0);
    assert_int_equal(symlink(".", here("loop2")), 0);
    assert_int_equal(daytona_watch_start(fx.box, fx.dir, &few, &w), -E2BIG);
    assert_non_null(strstr(daytona_last_error()->message, "200"));
    assert_true(daytona_watch_start(fx.box, at("nothing"), NULL, &w) < 0);
}

TEST(after_an_error_it_goes_on)
{
    struct daytona_watch_event e;
    struct daytona_watch *w;

    assert_int_equal(mkdir(here("d"), 0755), 0);
    put("d/a", "1");
    w = watch("d", true);
    move("d", "away");
    assert_true(daytona_watch_next(w, SOON_MS, &e) < 0);
    assert_int_equal(mkdir(here("d"), 0755), 0);
    put("d/b", "1");
    next_is(w, DAYTONA_WATCH_DELETE, "a");
    next_is(w, DAYTONA_WATCH_CREATE, "b");
    daytona_watch_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(what_comes_changes_and_goes_is_told_once),
        BOTH(one_level_does_not_see_what_is_below),
        WITH(links_in_a_loop_and_too_many_files_end_with_an_error, old_daemon),
        BOTH(after_an_error_it_goes_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
