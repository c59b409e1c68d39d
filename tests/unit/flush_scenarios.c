#include "flush_scenarios.h"

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

/* A moment for what goes ahead, if anything does. */
static void look_away(const struct flush_model *m)
{
    if (m->g && m->err == 0 && m->g->config.ahead_bytes > 0)
        usleep(1000);
}

void flush_steps(struct flush_model *m)
{
    char *text = malloc(LARGE);

    (void)model_create(m, "/steps");
    m->group = 9;
    for (unsigned i = 0; i < 4; i++) {
        memset(text, (int)('a' + i), LARGE);
        (void)model_write(m, "/steps", i * LARGE, text, LARGE);
        look_away(m);
        if (i == 1)
            (void)model_write(m, "/steps", LARGE / 2, "over the end of the first one", 29);
        if (i == 2)
            (void)model_truncate(m, "/steps", 2 * LARGE + 100);
    }
    look_away(m);
    (void)model_write(m, "/steps", 2 * LARGE + 50, text, 100);
    m->group = 0;
    if (m->g)
        flush_ready(m->g->flush, 9);
    model_wait(m, true);
    (void)model_append(m, "/steps", "the end", 7);
    model_wait(m, false);
    free(text);
}

const flush_scenario flush_scenarios[FLUSH_SCENARIOS] = {save, copy,  commit,     transact,
                                                         move, large, flush_steps};

bool flush_scenario_is(struct flush_rig *g, flush_scenario scenario, unsigned taken,
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
