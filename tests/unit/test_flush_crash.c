/*
 * A process that stops at every step of its journal and of the network, in the middle of everyday
 * work. Another one goes on with the journal, and in the end the sandbox is what a plain directory
 * would be that got each operation that was promised, perhaps the one in flight, and no other.
 */
#include "flush_model.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LARGE = 9000 };

static void write_all(struct flush_model *m, const char *path, const char *text)
{
    (void)model_write(m, path, 0, text, strlen(text));
}

static void save(struct flush_model *m)
{
    (void)model_create(m, "/f");
    write_all(m, "/f", "the first version\n");
    model_wait(m, false);
    (void)model_create(m, "/4913");
    (void)model_chmod(m, "/4913", 0600);
    (void)model_unlink(m, "/4913");
    (void)model_rename(m, "/f", "/f~");
    (void)model_create(m, "/f");
    write_all(m, "/f", "the second version, a little longer\n");
    model_wait(m, true);
    (void)model_chmod(m, "/f", 0640);
    (void)model_unlink(m, "/f~");
    model_wait(m, false);
}

static void copy(struct flush_model *m)
{
    char path[64], text[200];

    (void)model_mkdir(m, "/t");
    for (int i = 0; i < 9; i++) {
        snprintf(path, sizeof(path), "/t/%d", i / 3);
        if (i % 3 == 0)
            (void)model_mkdir(m, path);
        snprintf(path, sizeof(path), "/t/%d/%d", i / 3, i);
        memset(text, 'a' + i, sizeof(text));
        (void)model_create(m, path);
        (void)model_write(m, path, 0, text, sizeof(text));
        (void)model_chmod(m, path, 0600 + (unsigned)i);
        if (i == 4)
            model_wait(m, false);
    }
    (void)model_symlink(m, "0", "/t/link");
    (void)model_link(m, "/t/0/0", "/t/other");
    model_wait(m, false);
}

static void commit(struct flush_model *m)
{
    (void)model_mkdir(m, "/.git");
    (void)model_mkdir(m, "/.git/objects");
    model_wait(m, false);
    for (int i = 0; i < 3; i++) {
        char tmp[64], path[64];

        snprintf(tmp, sizeof(tmp), "/.git/objects/tmp%d", i);
        snprintf(path, sizeof(path), "/.git/objects/%d", i);
        (void)model_create(m, tmp);
        write_all(m, tmp, "an object");
        (void)model_link(m, tmp, path);
        (void)model_unlink(m, tmp);
        (void)model_create(m, "/.git/HEAD.lock");
        write_all(m, "/.git/HEAD.lock", path);
        (void)model_rename(m, "/.git/HEAD.lock", "/.git/HEAD");
        model_wait(m, true);
        (void)model_append(m, "/.git/log", path, strlen(path));
        if (i == 0)
            (void)model_create(m, "/.git/log");
    }
    model_wait(m, false);
}

static void transact(struct flush_model *m)
{
    (void)model_create(m, "/db");
    write_all(m, "/db", "page one, page two, page three");
    model_wait(m, true);
    for (unsigned i = 0; i < 3; i++) {
        (void)model_create(m, "/db-journal");
        write_all(m, "/db-journal", "what the page was");
        model_wait(m, true);
        (void)model_write(m, "/db", 5 + i * 10, "NEW", 3);
        model_wait(m, true);
        (void)model_unlink(m, "/db-journal");
        model_wait(m, true);
    }
}

static void move(struct flush_model *m)
{
    (void)model_mkdir(m, "/d");
    (void)model_mkdir(m, "/d/e");
    (void)model_create(m, "/d/e/f");
    write_all(m, "/d/e/f", "one");
    model_wait(m, false);
    (void)model_append(m, "/d/e/f", "two", 3);
    (void)model_create(m, "/d/g");
    (void)model_rename(m, "/d", "/x");
    (void)model_append(m, "/x/e/f", "three", 5);
    (void)model_create(m, "/x/h");
    (void)model_mkdir(m, "/d");
    (void)model_rename(m, "/x/e/f", "/d/f");
    model_wait(m, false);
    (void)model_rmdir(m, "/x/e");
    (void)model_truncate(m, "/d/f", 4);
    model_wait(m, false);
}

static void large(struct flush_model *m)
{
    char *text = malloc(LARGE);

    (void)model_create(m, "/big");
    for (unsigned i = 0; i < 5; i++) {
        memset(text, (int)('a' + i), LARGE);
        (void)model_write(m, "/big", i * LARGE, text, LARGE);
        if (i == 2)
            model_wait(m, false);
    }
    (void)model_write(m, "/big", 100, "in the middle", 13);
    model_wait(m, true);
    free(text);
}

static void (*const scenarios[])(struct flush_model *) = {save,     copy, commit,
                                                          transact, move, large};

/* ---- what must hold afterwards ---- */

static bool is_after(struct flush_rig *g, void (*scenario)(struct flush_model *), unsigned taken,
                     char **ret_what)
{
    struct flush_model *m = malloc(sizeof(*m));

    model_up(m, NULL);
    m->limit = taken;
    if (taken > 0)
        scenario(m);
    *ret_what = model_differs(m->tree, g->mem);
    model_down(m);
    free(m);
    return *ret_what == NULL;
}

static void go_on(struct flush_rig *g, void (*scenario)(struct flush_model *), unsigned taken,
                  bool doubt, const char *where)
{
    char *what, *what_next = NULL;

    rig_die_after(-1);
    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    remote_mem_stop_after(g->mem, SIZE_MAX, 0);
    fr_restart(g);
    fr_sync(g);
    if (!is_after(g, scenario, taken, &what) &&
        (!doubt || !is_after(g, scenario, taken + 1, &what_next)))
        fail_msg("%s: after %u operations: %s", where, taken, what);
    free(what);
    free(what_next);
}

static const struct flush_config configs[] = {
    {.paused = true, .linger_ns = 1},
    {.paused = true, .linger_ns = 1, .inline_bytes = 100}, /* nearly all is staged */
};

/* That a journal which is dead cannot be written is no news. */
static void quiet(bool on)
{
    static int saved = -1;

    if (on) {
        const int null = open("/dev/null", O_WRONLY);

        saved = dup(STDERR_FILENO);
        dup2(null, STDERR_FILENO);
        close(null);
    } else {
        dup2(saved, STDERR_FILENO);
        close(saved);
    }
}

enum stop { AT_THE_DISK, BEFORE_A_CALL, AFTER_A_CALL, AMID_A_BATCH };

/* Stops at the n-th step. True if there was none. */
static bool run_until(void (*scenario)(struct flush_model *), const struct flush_config *config,
                      enum stop stop, unsigned n)
{
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_model *m = malloc(sizeof(*m));
    char where[64];
    bool whole;

    snprintf(where, sizeof(where), "stop %d at %u, inline %u", (int)stop, n,
             (unsigned)config->inline_bytes);
    rig_die_after(-1);
    fr_up_on(g, config, &rig_disk);
    model_up(m, g);
    if (stop == AT_THE_DISK)
        rig_die_after((long)n);
    else if (stop == AMID_A_BATCH)
        remote_mem_stop_after(g->mem, n, -ECONNRESET);
    else
        remote_fault_set(g->fault, n + 1,
                         stop == AFTER_A_CALL ? REMOTE_FAULT_AFTER : REMOTE_FAULT_BEFORE,
                         -ECONNRESET);
    quiet(true);
    scenario(m);
    whole = m->err == 0 && !rig_died();
    if (!whole)
        rig_kill();
    g->flush = flush_free(g->flush);
    quiet(false);
    go_on(g, scenario, m->taken, m->err == -EIO, where);
    model_down(m);
    fr_down(g);
    free(m);
    free(g);
    return whole;
}

static void run_all(enum stop stop)
{
    for (size_t i = 0; i < ARRAY_LEN(scenarios); i++)
        for (size_t k = 0; k < ARRAY_LEN(configs); k++) {
            unsigned n = 0;

            while (!run_until(scenarios[i], &configs[k], stop, n))
                n++;
            assert_true(n > 0);
        }
}

TEST(a_process_that_stops_at_any_step_of_its_journal_loses_nothing)
{
    run_all(AT_THE_DISK);
}

TEST(a_process_that_stops_before_any_request_loses_nothing)
{
    run_all(BEFORE_A_CALL);
}

TEST(a_process_that_stops_after_any_request_does_nothing_twice)
{
    run_all(AFTER_A_CALL);
}

TEST(a_batch_that_was_cut_off_at_any_change_is_done_once)
{
    run_all(AMID_A_BATCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_process_that_stops_at_any_step_of_its_journal_loses_nothing),
        cmocka_unit_test(a_process_that_stops_before_any_request_loses_nothing),
        cmocka_unit_test(a_process_that_stops_after_any_request_does_nothing_twice),
        cmocka_unit_test(a_batch_that_was_cut_off_at_any_change_is_done_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
