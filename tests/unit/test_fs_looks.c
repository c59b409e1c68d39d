/*
 * On which version a change stands when the sandbox's moved between the look of the program that
 * makes it and the change: on the one that the program was shown, if it looked at all.
 */
#include "rig.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ME = 2000000001, ANOTHER, STRANGER }; /* threads of programs: no such process is there */

static void up(struct rig *g)
{
    rig_up(g, &(struct rig_config){.journal = true, .coherence_ns = 600 * NS_PER_S});
    rig_put(g, "/f", "first", 5);
    fs_caller(ME);
}

static void down(struct rig *g)
{
    fs_caller(0);
    rig_down(g);
}

/* ---- what programs do ---- */

static void look(struct rig *g)
{
    struct fs_entry e, now;

    assert_int_equal(rig_find(g, "/f", &e), 0);
    assert_int_equal(fs_getattr(g->fs, e.ino, NULL, &now), 0);
    rig_drop(g, &e);
}

/* Another look, and not a part of the last. */
static void look_later(struct rig *g)
{
    usleep(110 * 1000);
    look(g);
}

static void read_it(struct rig *g)
{
    char text[64];

    assert_true(rig_read(g, "/f", text, sizeof(text)) >= 0);
}

/* As a stdio library does. */
static void read_and_look(struct rig *g)
{
    struct fs_entry e;
    struct fs_file *f;
    char text[64];

    assert_int_equal(rig_open(g, "/f", O_RDONLY, &f), 0);
    assert_int_equal(fs_getattr(g->fs, fs_file_ino(f), NULL, &e), 0);
    assert_true(fs_read(f, 0, text, sizeof(text)) >= 0);
    assert_int_equal(rig_close(f), 0);
}

static int end_save(struct fs_file *f, const char *text)
{
    int r = fs_write(f, 0, text, strlen(text)) == (ssize_t)strlen(text) ? 0 : -EIO;

    if (r == 0)
        r = fs_fsync(f);
    (void)rig_close(f);
    return r;
}

static int save_anew(struct rig *g)
{
    struct fs_file *f;

    assert_int_equal(rig_open(g, "/f", O_WRONLY | O_TRUNC, &f), 0);
    return end_save(f, "ours");
}

/* With backupcopy=yes: it looks at what it has opened before it writes to it. */
static int save_in_place(struct rig *g)
{
    const struct stat empty = {.st_size = 0};
    struct fs_file *f;
    struct fs_entry e;

    assert_int_equal(rig_open(g, "/f", O_WRONLY, &f), 0);
    assert_int_equal(fs_getattr(g->fs, fs_file_ino(f), NULL, &e), 0);
    assert_int_equal(fs_setattr(g->fs, fs_file_ino(f), f, FS_SET_SIZE, &empty, &e), 0);
    return end_save(f, "ours");
}

static int save_with_backup(struct rig *g)
{
    struct fs_entry e;
    struct fs_file *f;
    char text[64];

    assert_int_equal(rig_open(g, "/f", O_RDONLY, &f), 0);
    assert_int_equal(fs_getattr(g->fs, fs_file_ino(f), f, &e), 0); /* as the kernel, to read */
    assert_true(fs_read(f, 0, text, sizeof(text)) >= 0);
    assert_int_equal(rig_close(f), 0);
    return save_in_place(g);
}

/* With backupcopy=no, and what it does last. */
static int save_by_moving(struct rig *g)
{
    struct fs_file *f;
    int r;

    assert_int_equal(rig_rename(g, "/f", "/f~", 0), 0);
    assert_int_equal(rig_create(g, "/f", O_WRONLY, &f), 0);
    r = end_save(f, "ours");
    (void)rig_unlink(g, "/f~"); /* it was not moved there, if that was in conflict */
    return r;
}

static int save_by_rename(struct rig *g)
{
    assert_int_equal(rig_write(g, "/new", "ours"), 0);
    assert_int_equal(rig_rename(g, "/new", "/f", 0), 0);
    return fs_sync(g->fs, NULL, NULL);
}

static int save_after_removal(struct rig *g)
{
    struct fs_file *f;

    assert_int_equal(rig_unlink(g, "/f"), 0);
    assert_int_equal(rig_create(g, "/f", O_WRONLY, &f), 0);
    return end_save(f, "ours");
}

static int save_over(struct rig *g)
{
    struct fs_file *f;
    char text[64];

    assert_int_equal(rig_open(g, "/f", O_RDWR, &f), 0);
    assert_true(fs_read(f, 0, text, sizeof(text)) >= 0);
    return end_save(f, "ours, and longer than any of theirs");
}

typedef int (*save_fn)(struct rig *g);
typedef void (*look_fn)(struct rig *g);

/* ---- the sandbox's program ---- */

static void replace(struct rig *g)
{
    rig_put(g, "/f", "theirs", 6);
}

static void write_in_place(struct rig *g)
{
    const struct remote_setattr set = {.mask = REMOTE_SET_SIZE, .attr.size = 3};
    struct remote_attr attr;

    assert_int_equal(remote_setattr(g->inside, "/f", &set, &attr), 0);
}

static const struct {
    void (*change)(struct rig *g);
    const char *leaves;
} theirs[] = {{replace, "theirs"}, {write_in_place, "fir"}};

static void news(struct rig *g, unsigned way)
{
    theirs[way].change(g);
    fs_refresh(g->fs, "/f"); /* the next call of anybody asks, and learns of it */
}

static void expect_lost(struct rig *g, save_fn save, unsigned way)
{
    assert_int_not_equal(save(g), 0);
    rig_expect(g, "/f", theirs[way].leaves);
    assert_int_not_equal(fs_sync(g->fs, NULL, NULL), 0); /* it is on record */
}

static void expect_saved(struct rig *g, save_fn save)
{
    char text[64];

    assert_int_equal(save(g), 0);
    assert_int_equal(fs_sync(g->fs, NULL, NULL), 0);
    assert_int_equal(rig_get(g, "/f", text, sizeof(text)) > 0, 1);
    assert_memory_equal(text, "ours", 4);
}

/* ---- */

TEST(what_came_after_the_look_of_who_saves_is_not_written_over)
{
    static const save_fn saves[] = {save_anew,      save_in_place,  save_with_backup,
                                    save_by_moving, save_by_rename, save_after_removal};
    static const look_fn looks[] = {look, read_it, read_and_look};
    struct rig g;

    for (unsigned way = 0; way < ARRAY_LEN(theirs); way++)
        for (unsigned i = 0; i < ARRAY_LEN(saves); i++)
            for (unsigned k = 0; k < ARRAY_LEN(looks); k++) {
                if (saves[i] == save_with_backup && looks[k] != look)
                    continue; /* without a stat just before, it is one who reads and writes */
                up(&g);
                read_it(&g);
                looks[k](&g);
                news(&g, way);
                expect_lost(&g, saves[i], way);
                down(&g);
            }
}

/* With backupcopy=auto: it goes by the first stat, and asks once more to see how it can save. */
TEST(what_is_asked_twice_at_once_was_seen_the_first_time)
{
    static const save_fn saves[] = {save_with_backup, save_by_moving};
    struct rig g;

    for (unsigned way = 0; way < ARRAY_LEN(theirs); way++)
        for (unsigned i = 0; i < ARRAY_LEN(saves); i++) {
            up(&g);
            read_it(&g);
            look(&g);
            news(&g, way);
            look(&g);
            expect_lost(&g, saves[i], way);
            down(&g);
        }
}

/* It fails at once, and the editor puts its backup copy back. */
TEST(what_is_seen_of_a_replaced_file_through_a_handle_is_not_what_replaced_it)
{
    struct fs_entry e;
    struct fs_file *f;
    struct rig g;

    up(&g);
    read_it(&g);
    look(&g);
    assert_int_equal(rig_open(&g, "/f", O_WRONLY, &f), 0);
    news(&g, 0);
    assert_int_equal(fs_getattr(g.fs, fs_file_ino(f), NULL, &e), 0);
    assert_int_equal(fs_write(f, 0, "ours", 4), -ESTALE);
    assert_int_equal(rig_close(f), 0);
    expect_lost(&g, save_anew, 0);
    down(&g);
}

/* With backupcopy=no it looks, takes it away, and moves its backup there; who is told of the
 * conflict and removes the file means just that. */
TEST(a_backup_that_is_put_back_does_not_go_over_theirs)
{
    struct rig g;

    for (unsigned others = 0; others < 2; others++) {
        up(&g);
        read_it(&g);
        assert_int_equal(rig_write(&g, "/f~", "backup"), 0);
        look(&g);
        news(&g, 0);
        assert_int_not_equal(save_anew(&g), 0);
        look(&g);
        if (others)
            fs_caller(STRANGER);
        assert_int_equal(rig_unlink(&g, "/f"), 0);
        assert_int_equal(rig_rename(&g, "/f~", "/f", 0), 0);
        assert_int_not_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, "/f", others ? "backup" : "theirs");
        down(&g);
    }
}

/* Nor when another program has been shown it, or when the same one tries again. */
TEST(nor_is_it_when_only_others_have_seen_it)
{
    struct rig g;

    up(&g);
    read_it(&g);
    look(&g);
    news(&g, 0);
    fs_caller(ANOTHER);
    read_and_look(&g);
    fs_caller(ME);
    expect_lost(&g, save_in_place, 0);
    expect_lost(&g, save_anew, 0);
    down(&g);
}

TEST(who_has_read_or_seen_it_may_write_over_it)
{
    static const save_fn saves[] = {save_anew,      save_in_place,      save_by_moving,
                                    save_by_rename, save_after_removal, save_over};
    static const look_fn looks[] = {look_later, read_and_look};
    struct rig g;

    for (unsigned way = 0; way < ARRAY_LEN(theirs); way++)
        for (unsigned i = 0; i < ARRAY_LEN(saves); i++)
            for (unsigned k = 0; k < ARRAY_LEN(looks); k++) {
                up(&g);
                read_it(&g);
                look(&g);
                news(&g, way);
                looks[k](&g);
                expect_saved(&g, saves[i]);
                expect_saved(&g, saves[i]); /* nor is what it has made itself new to it */
                down(&g);
            }
}

/* A shell's `read` and `>`, again and again: it never asks for more than the content. */
TEST(who_only_reads_and_writes_is_never_in_conflict)
{
    struct rig g;

    up(&g);
    for (unsigned i = 0; i < 4; i++) {
        read_it(&g);
        expect_saved(&g, save_anew);
        news(&g, 0);
    }
    down(&g);
}

TEST(who_reads_what_it_writes_over_means_that)
{
    struct rig g;

    up(&g);
    read_it(&g);
    look(&g);
    news(&g, 0);
    expect_saved(&g, save_over);
    down(&g);
}

TEST(who_has_not_looked_means_what_is_there)
{
    static const save_fn saves[] = {save_anew, save_in_place, save_by_moving, save_by_rename,
                                    save_after_removal};
    struct rig g;

    for (unsigned i = 0; i < ARRAY_LEN(saves); i++) {
        up(&g);
        read_it(&g);
        look(&g);
        news(&g, 0);
        fs_caller(STRANGER);
        expect_saved(&g, saves[i]);
        down(&g);
    }
}

/* It may have changed anything, and whoever started it knows. */
TEST(a_look_before_a_command_has_ended_does_not_count)
{
    struct rig g;

    up(&g);
    read_it(&g);
    look(&g);
    theirs[0].change(&g);
    fs_after_end(g.fs, NULL);
    expect_saved(&g, save_anew);
    down(&g);
}

/* A mode, or what is added, stands on whatever is there: that does not make theirs ours. */
TEST(what_another_adds_to_theirs_does_not_hide_it_from_who_saves)
{
    const struct stat mode = {.st_mode = S_IFREG | 0600};

    for (unsigned adds = 0; adds < 2; adds++) {
        struct fs_entry e, now;
        struct fs_file *f;
        struct rig g;

        up(&g);
        read_it(&g);
        look(&g);
        news(&g, 1);
        fs_caller(STRANGER);
        if (adds) {
            assert_int_equal(rig_open(&g, "/f", O_WRONLY | O_APPEND, &f), 0);
            assert_int_equal(fs_write(f, 3, "more", 4), 4);
            assert_int_equal(rig_close(f), 0);
        } else {
            assert_int_equal(rig_find(&g, "/f", &e), 0);
            assert_int_equal(fs_setattr(g.fs, e.ino, NULL, FS_SET_MODE, &mode, &now), 0);
            rig_drop(&g, &e);
        }
        rig_settle(&g);
        fs_caller(ME);
        assert_int_not_equal(save_anew(&g), 0);
        rig_expect(&g, "/f", adds ? "firmore" : "fir");
        down(&g);
    }
}

/* It is all there before the next mount shows anything. */
TEST(what_an_earlier_mount_left_is_no_news)
{
    static const save_fn saves[] = {save_anew, save_in_place, save_by_moving, save_by_rename,
                                    save_after_removal};
    struct fs_file *f;
    struct rig g;

    for (unsigned i = 0; i < ARRAY_LEN(saves); i++) {
        up(&g);
        read_it(&g);
        assert_int_equal(rig_open(&g, "/f", O_WRONLY | O_TRUNC, &f), 0);
        assert_int_equal(fs_write(f, 0, "left", 4), 4);
        assert_int_equal(rig_close(f), 0);
        rig_restart(&g);
        read_and_look(&g);
        expect_saved(&g, saves[i]);
        read_and_look(&g);
        news(&g, 0);
        expect_lost(&g, saves[i], 0);
        down(&g);
    }
}

/* ---- what is forgotten ---- */

TEST(a_conflict_is_remembered_whatever_else_is_read_meanwhile)
{
    enum { MANY = 4200 }; /* more than are remembered */
    char path[32];
    struct rig g;

    up(&g);
    read_it(&g);
    look(&g);
    news(&g, 0);
    assert_int_not_equal(save_anew(&g), 0);
    assert_int_equal(rig_mkdir_fs(&g, "/many"), 0);
    for (unsigned i = 0; i < MANY; i++) {
        struct fs_file *file;

        snprintf(path, sizeof(path), "/many/%u", i);
        assert_int_equal(rig_create(&g, path, O_RDWR, &file), 0);
        assert_int_equal(rig_close(file), 0);
        assert_int_equal(rig_open(&g, path, O_RDONLY, &file), 0);
        assert_int_equal(rig_close(file), 0);
    }
    fs_caller(STRANGER);
    expect_lost(&g, save_anew, 0);
    read_it(&g);
    assert_int_equal(save_anew(&g), 0);
    rig_expect(&g, "/f", "ours");
    down(&g);
}

/* ---- threads ---- */

struct thread {
    struct rig *g;
    look_fn look;
    pthread_barrier_t done;
};

static void *look_as_thread(void *arg)
{
    struct thread *t = arg;

    fs_caller(gettid());
    t->look(t->g);
    pthread_barrier_wait(&t->done);
    pthread_barrier_wait(&t->done); /* it is still there while the other one writes */
    return NULL;
}

/* Node reads in one thread and writes in another. */
TEST(a_program_is_all_its_threads)
{
    struct thread t = {.look = read_and_look};
    pthread_t thread;
    struct rig g;

    for (unsigned before = 0; before < 2; before++) {
        up(&g);
        fs_caller(gettid());
        read_it(&g);
        if (!before)
            look(&g);
        t.g = &g;
        pthread_barrier_init(&t.done, NULL, 2);
        if (!before)
            news(&g, 0);
        assert_int_equal(pthread_create(&thread, NULL, look_as_thread, &t), 0);
        pthread_barrier_wait(&t.done);
        if (before)
            news(&g, 0);
        if (before)
            expect_lost(&g, save_anew, 0);
        else
            expect_saved(&g, save_anew);
        pthread_barrier_wait(&t.done);
        pthread_join(thread, NULL);
        pthread_barrier_destroy(&t.done);
        down(&g);
    }
}

/* ---- what the kernel may answer by itself ---- */

TEST(of_what_moves_while_it_is_looked_at_every_stat_comes_here)
{
    struct fs_entry e, now;
    struct rig g;

    up(&g);
    read_it(&g);
    look(&g);
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    assert_true(e.ttl_ns > 0);
    rig_drop(&g, &e);
    news(&g, 1);
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    assert_int_equal(e.ttl_ns, 0);
    assert_int_equal(fs_getattr(g.fs, e.ino, NULL, &now), 0);
    assert_int_equal(now.ttl_ns, 0);
    assert_int_equal(now.st.st_size, 3);
    rig_drop(&g, &e);
    look_later(&g);
    expect_saved(&g, save_anew); /* now it is ours */
    assert_int_equal(rig_find(&g, "/f", &e), 0);
    assert_true(e.ttl_ns > 0);
    rig_drop(&g, &e);
    down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_came_after_the_look_of_who_saves_is_not_written_over),
        cmocka_unit_test(what_is_asked_twice_at_once_was_seen_the_first_time),
        cmocka_unit_test(what_is_seen_of_a_replaced_file_through_a_handle_is_not_what_replaced_it),
        cmocka_unit_test(a_backup_that_is_put_back_does_not_go_over_theirs),
        cmocka_unit_test(nor_is_it_when_only_others_have_seen_it),
        cmocka_unit_test(who_has_read_or_seen_it_may_write_over_it),
        cmocka_unit_test(who_only_reads_and_writes_is_never_in_conflict),
        cmocka_unit_test(who_reads_what_it_writes_over_means_that),
        cmocka_unit_test(who_has_not_looked_means_what_is_there),
        cmocka_unit_test(what_another_adds_to_theirs_does_not_hide_it_from_who_saves),
        cmocka_unit_test(what_an_earlier_mount_left_is_no_news),
        cmocka_unit_test(a_conflict_is_remembered_whatever_else_is_read_meanwhile),
        cmocka_unit_test(a_look_before_a_command_has_ended_does_not_count),
        cmocka_unit_test(a_program_is_all_its_threads),
        cmocka_unit_test(of_what_moves_while_it_is_looked_at_every_stat_comes_here),
    };

    cmocka_set_test_filter(getenv("ONLY"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
