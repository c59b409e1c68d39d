/*
 * A second writer: random changes that something in the sandbox makes, between random looks through
 * fs. Once the window is over fs must show exactly what is there. SEED repeats a run; it is fixed
 * otherwise.
 */
#include "rig.h"

#include "fs/fs_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAMES = 4, DEPTH = 3, STEPS = 1500, EVERY = 5, OPEN = 4 };

struct world {
    struct rig g;
    struct remote *box;
    unsigned long long rnd;
    unsigned count; /* of contents: no two are alike */
};

static unsigned pick(struct world *w, unsigned n)
{
    w->rnd = w->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(w->rnd >> 33) % n;
}

/* "/a/b/c" of up to DEPTH parts. */
static void pick_path(struct world *w, char *path)
{
    const unsigned depth = 1 + pick(w, DEPTH);

    for (unsigned i = 0; i < depth; i++) {
        path[2 * i] = '/';
        path[2 * i + 1] = (char)('a' + pick(w, NAMES));
    }
    path[2 * depth] = '\0';
}

/* A file of several names is written in place, others are replaced. Often of the length, and with
 * the time, that it had. */
static void change_content(struct world *w, const char *path)
{
    char bytes[64];
    FILE *f = tmpfile();
    struct remote_put put = {.fd = fileno(f), .mtime_ns = INT64_MIN};
    struct remote_attr attr;

    put.size = (uint64_t)snprintf(bytes, sizeof(bytes), "%06u%.*s", w->count++,
                                  (int)(pick(w, 3) * 10), "a longer one than it was before");
    assert_int_equal(pwrite(put.fd, bytes, put.size, 0), (ssize_t)put.size);
    if (remote_stat(w->box, path, &attr, NULL) == 0 && pick(w, 2))
        put.mtime_ns = attr.mtime_ns;
    (void)remote_put(w->box, path, &put, &attr); /* what cannot be done is not done */
    fclose(f);
}

static void change_mode(struct world *w, const char *path)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_MODE,
                                       .attr.mode = pick(w, 2) ? 0755 : 0700};

    (void)remote_setattr(w->box, path, &set, NULL);
}

static void change(struct world *w)
{
    char path[16], other[16];

    pick_path(w, path);
    pick_path(w, other);
    switch (pick(w, 9)) {
    case 0:
    case 1:
        change_content(w, path);
        break;
    case 2:
        (void)remote_create(w->box, path, 0644, NULL);
        break;
    case 3:
        (void)remote_mkdir(w->box, path, 0755, NULL);
        break;
    case 4:
        (void)remote_rename(w->box, path, other, 0, NULL);
        break;
    case 5:
        if (pick(w, 2) == 0 || remote_rmdir(w->box, path) < 0)
            (void)remote_unlink(w->box, path);
        break;
    case 6:
        (void)remote_link(w->box, path, other, NULL);
        break;
    case 7:
        (void)remote_symlink(w->box, other, path, NULL);
        break;
    default:
        change_mode(w, path);
    }
}

/* Whatever it finds: so that much is known, and some of it open, when things change. */
static void look(struct world *w, struct fs_file **open)
{
    char path[16], text[128];
    struct fs_entry e;
    const unsigned i = pick(w, OPEN);

    pick_path(w, path);
    switch (pick(w, 4)) {
    case 0:
        (void)rig_names(&w->g, path, text, sizeof(text));
        break;
    case 1:
        (void)rig_read(&w->g, path, text, sizeof(text));
        break;
    case 2:
        if (open[i])
            fs_release(open[i]);
        open[i] = NULL;
        if (rig_open(&w->g, path, O_RDONLY, &open[i]) < 0)
            open[i] = NULL;
        break;
    default:
        if (rig_find(&w->g, path, &e) == 0)
            rig_drop(&w->g, &e);
    }
    if (open[i]) { /* what it was opened as, or what that has become */
        const ssize_t got = fs_read(open[i], 0, text, sizeof(text));

        assert_true(got >= 0 || got == -ESTALE);
    }
}

static void run(int64_t coherence_ns, unsigned steps, bool changes)
{
    const char *seed = getenv("SEED");
    struct fs_file *open[OPEN] = {NULL};
    struct world w = {.rnd = seed ? strtoull(seed, NULL, 10) : 20240607};

    rig_up(&w.g, &(struct rig_config){.changes = changes, .coherence_ns = coherence_ns});
    w.box = w.g.inside;
    for (unsigned i = 0; i < steps; i++) {
        change(&w);
        look(&w, open);
        if (i % EVERY > 0)
            continue;
        if (coherence_ns > 0)
            usleep((useconds_t)(fs_window_ns(w.g.fs) / 1000) + 30000);
        rig_same_tree(&w.g, "/");
    }
    for (unsigned i = 0; i < OPEN; i++)
        if (open[i])
            fs_release(open[i]);
    rig_down(&w.g);
}

TEST(what_another_makes_is_shown_at_once_without_a_window)
{
    run(-1, STEPS, true);
}

TEST(what_another_makes_is_shown_after_the_window)
{
    run(20 * NS_PER_MS, STEPS / 10, true);
}

TEST(what_another_makes_is_shown_in_plain_mode)
{
    run(-1, STEPS, false);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_another_makes_is_shown_at_once_without_a_window),
        cmocka_unit_test(what_another_makes_is_shown_after_the_window),
        cmocka_unit_test(what_another_makes_is_shown_in_plain_mode),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
