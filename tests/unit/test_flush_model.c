/* Random histories: what arrives is what a plain directory would be, whatever overtakes. */
#include "flush_model.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OPERATIONS = 120 };

static unsigned next(unsigned *seed)
{
    *seed = *seed * 1103515245u + 12345u;
    return *seed >> 16;
}

static void some_path(unsigned *seed, char out[64])
{
    static const char *const dirs[] = {"", "/d", "/e", "/d/x", "/e/y", "/d/x/z"};
    static const char *const names[] = {"/a", "/b", "/c"};
    const unsigned k = next(seed) % 8;

    if (k == 0)
        snprintf(out, 64, "%s", dirs[1 + next(seed) % 5]);
    else
        snprintf(out, 64, "%s%s", dirs[next(seed) % ARRAY_LEN(dirs)], names[next(seed) % 3]);
}

static void operate(struct flush_model *m, unsigned *seed)
{
    char path[64], path2[64], text[600];
    const unsigned size = next(seed) % (next(seed) % 4 ? 20 : sizeof(text));

    some_path(seed, path);
    some_path(seed, path2);
    memset(text, (int)('a' + next(seed) % 26), sizeof(text));
    switch (next(seed) % 16) {
    case 0:
    case 1:
    case 2:
        (void)model_create(m, path);
        break;
    case 3:
    case 4:
        (void)model_write(m, path, next(seed) % 100, text, size);
        break;
    case 5:
    case 6:
        (void)model_append(m, path, text, size);
        break;
    case 7:
        (void)model_truncate(m, path, next(seed) % 200);
        break;
    case 8:
    case 9:
        (void)model_mkdir(m, path);
        break;
    case 10:
        (void)model_symlink(m, path2, path);
        break;
    case 11:
        (void)model_link(m, path, path2);
        break;
    case 12:
        (void)model_rename(m, path, path2);
        break;
    case 13:
        (void)model_unlink(m, path);
        break;
    case 14:
        (void)model_rmdir(m, path);
        break;
    default:
        (void)model_chmod(m, path, 0600 + next(seed) % 64);
        break;
    }
}

static int show(void *arg, const struct flush_parked *p)
{
    printf("%u: %s %s -> %s: outcome %d, error %d\n", (unsigned)p->seq, journal_kind_name(p->kind),
           p->path, p->path2 ? p->path2 : "", p->outcome, p->err);
    return 0;
}

static void meddle(struct flush_rig *g, struct flush_model *m, unsigned *seed, bool faults)
{
    int r = 0;

    switch (next(seed) % 24) {
    case 0:
        r = flush_barrier(g->flush, "/d", NULL, NULL);
        break;
    case 1:
    case 2:
        if (m->last)
            r = flush_wait(g->flush, m->last - next(seed) % (m->last > 20 ? 20 : m->last),
                           next(seed) % 2);
        break;
    case 3:
        flush_resume(g->flush);
        break;
    case 4:
        flush_pause(g->flush);
        break;
    case 5:
        if (faults)
            remote_fault_set(g->fault, 1 + next(seed) % 3,
                             next(seed) % 2 ? REMOTE_FAULT_AFTER : REMOTE_FAULT_BEFORE,
                             -ECONNRESET);
        break;
    case 6:
        if (faults)
            remote_mem_stop_after(g->mem, next(seed) % 10, -ECONNRESET);
        break;
    case 7:
        flush_retry(g->flush);
        break;
    default:
        break;
    }
    if (r != 0 && !(faults && (r == -EHOSTDOWN || r == -ETIMEDOUT))) {
        (void)flush_parked(g->flush, show, NULL);
        fail_msg("%d", r);
    }
}

static void drain(struct flush_rig *g)
{
    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    remote_mem_stop_after(g->mem, SIZE_MAX, 0);
    for (int i = 0; i < 10 && flush_barrier(g->flush, NULL, NULL, NULL) == -EHOSTDOWN; i++)
        flush_retry(g->flush);
    fr_sync(g);
}

static void run(unsigned seed, bool faults)
{
    const struct flush_config config = {.paused = true, .linger_ns = 1};
    const unsigned first = seed;
    struct flush_rig *g = malloc(sizeof(*g));
    struct flush_model *m = malloc(sizeof(*m));
    char *what;

    fr_up(g, &config);
    model_up(m, g);
    for (int i = 0; i < OPERATIONS; i++) {
        operate(m, &seed);
        assert_int_equal(m->err, 0);
        meddle(g, m, &seed, faults);
    }
    drain(g);
    what = model_differs(m->tree, g->mem);
    if (what)
        fail_msg("seed %u: %s", first, what);
    model_down(m);
    fr_down(g);
    free(m);
    free(g);
}

static unsigned rounds(void)
{
    const char *text = getenv("FLUSH_ROUNDS");

    return text ? (unsigned)atoi(text) : 150;
}

TEST(what_arrives_is_what_a_plain_directory_would_be)
{
    for (unsigned i = 1; i <= rounds(); i++)
        run(i * 7919, false);
}

TEST(a_line_that_breaks_changes_nothing)
{
    for (unsigned i = 1; i <= rounds(); i++)
        run(i * 104729, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_arrives_is_what_a_plain_directory_would_be),
        cmocka_unit_test(a_line_that_breaks_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
