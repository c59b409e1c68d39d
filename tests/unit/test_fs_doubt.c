/*
 * A change of names whose answer was lost may have been made or not. Until the sandbox says,
 * neither is shown, and nothing is changed that would stand on either; not even while the line is
 * down, when all else is shown as it was known last.
 */
#include "rig.h"

#include "util/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

static const struct {
    enum remote_fault_kind kind;
    bool made;
} fates[] = {{REMOTE_FAULT_AFTER, true}, {REMOTE_FAULT_BEFORE, false}};

static void up(struct rig *g)
{
    struct fs_entry e;

    rig_up(g, &(struct rig_config){.journal = true, .coherence_ns = 600 * NS_PER_S});
    rig_mkdir(g, "/d");
    rig_put(g, "/d/f", "first", 5);
    rig_put(g, "/other", "other", 5);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(rig_find(g, i ? "/other" : "/d/f", &e), 0);
        rig_drop(g, &e);
    }
    assert_int_equal(rig_find(g, "/e", &e), -ENOENT);
}

/* The next call is lost, and from then on the line is down. */
static void lose(struct rig *g, enum remote_fault_kind kind)
{
    remote_fault_set(g->fault, 1, kind, ECONNRESET);
    remote_fault_down(g->fault, 1, EHOSTDOWN);
}

static void line_up(struct rig *g)
{
    remote_fault_set(g->fault, 0, REMOTE_FAULT_BEFORE, 0);
    remote_fault_down(g->fault, 0, 0);
}

static void expect(struct rig *g, const char *path, int r)
{
    struct fs_entry e;
    const int got = rig_find(g, path, &e);

    if (got == 0)
        rig_drop(g, &e);
    if (got != r)
        fail_msg("%s: %d, not %d", path, got, r);
}

static void save(struct rig *g, const char *path, const char *text)
{
    struct fs_file *f;

    assert_int_equal(rig_open(g, path, O_WRONLY | O_TRUNC, &f), 0);
    assert_int_equal(fs_write(f, 0, text, strlen(text)), (long)strlen(text));
    assert_int_equal(fs_fsync(f), 0); /* it would tell of a conflict */
    assert_int_equal(rig_close(f), 0);
    rig_expect(g, path, text);
}

TEST(a_renamed_directory_has_neither_name_until_the_sandbox_says_which)
{
    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        const char *now = fates[i].made ? "/e/f" : "/d/f", *not = fates[i].made ? "/d/f" : "/e/f";
        char names[64];
        struct rig g;

        up(&g);
        lose(&g, fates[i].kind);
        assert_int_equal(rig_rename(&g, "/d", "/e", 0), -ECONNRESET);
        for (unsigned k = 0; k < 2; k++) { /* asked again, it is no more sure */
            expect(&g, "/d/f", -EHOSTDOWN);
            expect(&g, "/e/f", -EHOSTDOWN);
            expect(&g, "/new", -EHOSTDOWN);
            assert_int_equal(rig_names(&g, "/", names, sizeof(names)), -EHOSTDOWN);
            expect(&g, "/other", 0);
        }
        line_up(&g);
        expect(&g, not, -ENOENT);
        save(&g, now, "second");
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_same_tree(&g, "/");
        rig_down(&g);
    }
}

TEST(nothing_is_written_below_it_by_who_has_it_open)
{
    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        const int r = fates[i].made ? -ESTALE : 1;
        struct fs_file *f;
        struct rig g;

        up(&g);
        assert_int_equal(rig_open(&g, "/d/f", O_WRONLY, &f), 0);
        assert_int_equal(fs_write(f, 0, "F", 1), 1);
        rig_settle(&g);
        lose(&g, fates[i].kind);
        assert_int_equal(rig_rename(&g, "/d", "/e", 0), -ECONNRESET);
        assert_int_equal(fs_write(f, 1, "I", 1), -EHOSTDOWN);
        assert_int_equal(fs_write(f, 1, "I", 1), -EHOSTDOWN);
        line_up(&g);
        assert_int_equal(fs_write(f, 1, "I", 1), r);
        assert_int_equal(rig_close(f), 0);
        assert_int_equal(fs_sync(g.fs, NULL, NULL), 0);
        rig_expect(&g, fates[i].made ? "/e/f" : "/d/f", r > 0 ? "FIrst" : "First");
        rig_down(&g);
    }
}

TEST(exchanged_names_are_not_shown_until_the_sandbox_says)
{
    for (size_t i = 0; i < ARRAY_LEN(fates); i++) {
        struct fs_entry d, e; /* names that the kernel knows */
        struct rig g;

        up(&g);
        rig_mkdir(&g, "/e");
        rig_put(&g, "/e/g", "other", 5);
        fs_refresh(g.fs, NULL);
        expect(&g, "/e/g", 0);
        expect(&g, "/d/f", 0);
        assert_int_equal(rig_find(&g, "/d", &d), 0);
        assert_int_equal(rig_find(&g, "/e", &e), 0);
        lose(&g, fates[i].kind);
        assert_int_equal(rig_rename(&g, "/d", "/e", 2), -ECONNRESET);
        expect(&g, "/d/f", -EHOSTDOWN);
        expect(&g, "/e/g", -EHOSTDOWN);
        line_up(&g);
        expect(&g, fates[i].made ? "/d/f" : "/d/g", -ENOENT);
        save(&g, fates[i].made ? "/e/f" : "/d/f", "second");
        rig_drop(&g, &d);
        rig_drop(&g, &e);
        rig_down(&g);
    }
}

TEST(what_was_never_sent_changes_nothing)
{
    struct rig g;

    up(&g);
    remote_fault_down(g.fault, 0, EHOSTDOWN);
    assert_int_equal(rig_rename(&g, "/d", "/e", 0), -EHOSTDOWN);
    expect(&g, "/d/f", 0);
    expect(&g, "/e", -ENOENT);
    line_up(&g);
    save(&g, "/d/f", "second");
    rig_down(&g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_renamed_directory_has_neither_name_until_the_sandbox_says_which),
        cmocka_unit_test(nothing_is_written_below_it_by_who_has_it_open),
        cmocka_unit_test(exchanged_names_are_not_shown_until_the_sandbox_says),
        cmocka_unit_test(what_was_never_sent_changes_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
