/* A watched tree is kept up to date: whatever happens, the news lead to what is there. */
#include "rig.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MAX = 1000, MIRROR_MAX = 4000 };

static void up(struct rig *g, int64_t coherence_ns)
{
    rig_up(g, &(struct rig_config){.coherence_ns = coherence_ns, .changes = true});
}

static struct fs_watch *watch_of(struct rig *g, const char *path, size_t max)
{
    struct fs_watch_news news;
    struct fs_watch *w;

    assert_int_equal(fs_watch_new(g->fs, path, max, &w), 0);
    assert_int_equal(fs_watch_next(w, 0, &news), 0);
    assert_int_equal(news.before_count + news.after_count, 0);
    assert_false(news.overflow);
    return w;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* "+name" for what is there now, "-name" for what was, "=name" for both; sorted. */
static const char *next(struct fs_watch *w, int64_t wait_ns)
{
    static char text[4096];
    struct fs_watch_news news;
    char *v[200];
    size_t n = 0;

    assert_int_equal(fs_watch_next(w, wait_ns, &news), 0);
    assert_true(news.before_count + news.after_count < ARRAY_LEN(v));
    for (size_t i = 0; i < news.before_count; i++) {
        bool both = false;

        for (size_t k = 0; k < news.after_count; k++)
            both = both || strcmp(news.before[i].name, news.after[k].name) == 0;
        assert_true(asprintf(&v[n++], "%s%c ", news.before[i].name, both ? '=' : '-') > 0);
    }
    for (size_t i = 0; i < news.after_count; i++) {
        bool both = false;

        for (size_t k = 0; k < news.before_count; k++)
            both = both || strcmp(news.after[i].name, news.before[k].name) == 0;
        if (!both)
            assert_true(asprintf(&v[n++], "%s+ ", news.after[i].name) > 0);
    }
    qsort(v, n, sizeof(*v), by_text);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        strcat(text, v[i]);
        free(v[i]);
    }
    if (news.overflow)
        strcat(text, "overflow ");
    return text;
}

TEST(each_kind_of_change_is_news_once)
{
    struct fs_watch *w;
    struct rig g;

    up(&g, 0);
    rig_mkdir(&g, "/w");
    rig_mkdir(&g, "/w/d");
    rig_put(&g, "/w/d/old", "1", 1);
    w = watch_of(&g, "/w", MAX);
    rig_put(&g, "/w/d/new", "1", 1);
    assert_string_equal(next(w, 0), "d/new+ d= "); /* its own times moved */
    assert_string_equal(next(w, 0), "");
    rig_put(&g, "/w/d/old", "22", 2);
    assert_string_equal(next(w, 0), "d/old= d= "); /* replaced, by a rename */
    assert_int_equal(remote_rename(g.remote, "/w/d/old", "/w/moved", 0, NULL), 0);
    assert_string_equal(next(w, 0), "= d/old- d= moved+ ");
    assert_int_equal(remote_unlink(g.remote, "/w/moved"), 0);
    assert_string_equal(next(w, 0), "= moved- ");
    assert_int_equal(remote_symlink(g.remote, "d", "/w/link", NULL), 0);
    assert_string_equal(next(w, 0), "= link+ ");
    fs_watch_free(w);
    rig_down(&g);
}

TEST(what_is_below_a_directory_comes_and_goes_with_it)
{
    struct fs_watch *w;
    struct rig g;

    up(&g, 0);
    rig_mkdir(&g, "/w");
    rig_mkdir(&g, "/out");
    rig_mkdir(&g, "/out/a");
    rig_mkdir(&g, "/out/a/b");
    rig_put(&g, "/out/a/b/f", "1", 1);
    w = watch_of(&g, "/w", MAX);
    assert_int_equal(remote_rename(g.remote, "/out/a", "/w/in", 0, NULL), 0);
    assert_string_equal(next(w, 0), "= in+ in/b+ in/b/f+ ");
    rig_put(&g, "/w/in/b/g", "1", 1);
    assert_string_equal(next(w, 0), "in/b/g+ in/b= ");
    assert_int_equal(remote_rename(g.remote, "/w/in", "/w/there", 0, NULL), 0);
    assert_string_equal(next(w, 0),
                        "= in- in/b- in/b/f- in/b/g- there+ there/b+ there/b/f+ there/b/g+ ");
    assert_int_equal(remote_rename(g.remote, "/w/there", "/out/a", 0, NULL), 0);
    assert_string_equal(next(w, 0), "= there- there/b- there/b/f- there/b/g- ");
    rig_put(&g, "/out/a/b/h", "1", 1);
    assert_string_equal(next(w, 0), "");
    fs_watch_free(w);
    rig_down(&g);
}

/* What is watched is a file, nothing, a directory, in turns. */
TEST(the_path_itself_may_come_and_go)
{
    struct fs_watch *w;
    struct rig g;

    up(&g, 0);
    w = watch_of(&g, "/up/w", MAX);
    assert_string_equal(next(w, 0), "");
    rig_mkdir(&g, "/up");
    assert_string_equal(next(w, 0), "");
    rig_put(&g, "/up/w", "1", 1);
    assert_string_equal(next(w, 0), "+ ");
    rig_put(&g, "/up/other", "1", 1);
    assert_string_equal(next(w, 0), "");
    rig_put(&g, "/up/w", "22", 2);
    assert_string_equal(next(w, 0), "= ");
    assert_int_equal(remote_unlink(g.remote, "/up/w"), 0);
    assert_string_equal(next(w, 0), "- ");
    rig_mkdir(&g, "/up/w");
    rig_put(&g, "/up/w/f", "1", 1);
    assert_string_equal(next(w, 0), "+ f+ ");
    rig_put(&g, "/up/w/g", "1", 1);
    assert_string_equal(next(w, 0), "= g+ ");
    assert_int_equal(remote_rename(g.remote, "/up", "/away", 0, NULL), 0);
    assert_string_equal(next(w, 0), "- f- g- ");
    assert_int_equal(remote_rename(g.remote, "/away", "/up", 0, NULL), 0);
    assert_string_equal(next(w, 0), "+ f+ g+ ");
    fs_watch_free(w);
    rig_down(&g);
}

TEST(a_larger_tree_than_is_looked_at_overflows)
{
    struct fs_watch_news news;
    struct fs_watch *w;
    char path[32];
    struct rig g;

    up(&g, 0);
    rig_mkdir(&g, "/w");
    rig_mkdir(&g, "/w/d");
    w = watch_of(&g, "/w", 10);
    for (int i = 0; i < 12; i++) {
        snprintf(path, sizeof(path), "/w/d/%02d", i);
        rig_mkdir(&g, path);
    }
    assert_non_null(strstr(next(w, 0), "overflow"));
    assert_int_equal(fs_watch_next(w, 0, &news), 0);
    assert_true(news.cut);
    assert_false(news.overflow); /* once is enough */
    fs_watch_free(w);
    assert_int_equal(fs_watch_new(g.fs, "/w", 10, &w), 0);
    assert_int_equal(fs_watch_next(w, 0, &news), 0);
    assert_true(news.cut);
    rig_put(&g, "/w/f", "1", 1); /* what is known is still watched */
    assert_string_equal(next(w, 0), "= f+ ");
    fs_watch_free(w);
    rig_down(&g);
}

struct later {
    struct rig *g;
    struct cancel *cancel;
    int64_t delay_ns, at_ns;
};

static void *create_later(void *arg)
{
    struct later *l = arg;

    (void)cancel_sleep(l->delay_ns);
    l->at_ns = clock_mono_ns();
    assert_int_equal(remote_create(l->g->remote, "/w/later", 0644, NULL), 0);
    return NULL;
}

static void *cancel_later(void *arg)
{
    struct later *l = arg;

    (void)cancel_sleep(l->delay_ns);
    cancel_fire(l->cancel);
    return NULL;
}

TEST(waiting_is_one_request_and_ends_with_the_change)
{
    struct later l = {.g = NULL, .delay_ns = 100 * NS_PER_MS};
    struct fs_watch *w;
    pthread_t thread;
    struct rig g;

    up(&g, 0);
    l.g = &g;
    rig_mkdir(&g, "/w");
    w = watch_of(&g, "/w", MAX);
    (void)cancel_sleep(30 * NS_PER_MS);
    assert_string_equal(next(w, 0), "");
    remote_fault_set(g.fault, 0, REMOTE_FAULT_BEFORE, 0);
    assert_string_equal(next(w, 300 * NS_PER_MS), "");
    assert_int_equal(remote_fault_calls(g.fault), 1);
    assert_int_equal(pthread_create(&thread, NULL, create_later, &l), 0);
    assert_string_equal(next(w, 60 * NS_PER_S), "= later+ ");
    assert_true(clock_mono_ns() - l.at_ns < 2 * NS_PER_S);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(remote_fault_calls(g.fault), 3); /* one of them made the change */
    fs_watch_free(w);
    rig_down(&g);
}

TEST(an_interrupted_wait_loses_nothing)
{
    struct later l = {.delay_ns = 50 * NS_PER_MS, .cancel = cancel_new()};
    struct fs_watch_news news;
    struct fs_watch *w;
    pthread_t thread;
    struct rig g;

    up(&g, 0);
    rig_mkdir(&g, "/w");
    w = watch_of(&g, "/w", MAX);
    (void)cancel_sleep(30 * NS_PER_MS);
    assert_string_equal(next(w, 0), "");
    assert_int_equal(pthread_create(&thread, NULL, cancel_later, &l), 0);
    (void)cancel_bind(l.cancel);
    assert_int_equal(fs_watch_next(w, 60 * NS_PER_S, &news), -EINTR);
    (void)cancel_bind(NULL);
    assert_int_equal(pthread_join(thread, NULL), 0);
    rig_put(&g, "/w/f", "1", 1);
    assert_string_equal(next(w, 0), "= f+ ");
    fs_watch_free(w);
    cancel_unref(l.cancel);
    rig_down(&g);
}

TEST(what_is_told_is_seen_at_once)
{
    struct fs_entry e, dir, file, gone;
    struct fs_watch *w;
    struct rig g;
    char text[64];

    up(&g, 3600 * NS_PER_S);
    rig_mkdir(&g, "/d");
    rig_put(&g, "/d/f", "1", 1);
    rig_put(&g, "/d/gone", "1", 1);
    assert_int_equal(rig_read(&g, "/d/f", text, sizeof(text)), 0);
    assert_int_equal(rig_find(&g, "/d/new", &e), -ENOENT);
    assert_int_equal(rig_names(&g, "/d", text, sizeof(text)), 0);
    assert_int_equal(rig_find(&g, "/d", &dir), 0);
    assert_int_equal(rig_find(&g, "/d/f", &file), 0);
    assert_int_equal(rig_find(&g, "/d/gone", &gone), 0);
    w = watch_of(&g, "/", MAX);
    g.inode_events = g.entry_events = 0;
    rig_put(&g, "/d/f", "22", 2);
    rig_put(&g, "/d/new", "1", 1);
    assert_int_equal(remote_unlink(g.remote, "/d/gone"), 0);
    assert_int_equal(rig_find(&g, "/d/new", &e), -ENOENT); /* for an hour */
    assert_string_equal(next(w, 0), "d/f= d/gone- d/new+ d= ");
    assert_true(g.inode_events >= 2);
    assert_true(g.entry_events >= 2);
    assert_int_equal(rig_read(&g, "/d/f", text, sizeof(text)), 0);
    assert_string_equal(text, "22");
    assert_int_equal(rig_find(&g, "/d/gone", &e), -ENOENT);
    assert_int_equal(rig_find(&g, "/d/new", &e), 0);
    rig_drop(&g, &e);
    assert_int_equal(rig_names(&g, "/d", text, sizeof(text)), 0);
    assert_string_equal(text, "f new ");
    rig_drop(&g, &gone);
    rig_drop(&g, &file);
    rig_drop(&g, &dir);
    fs_watch_free(w);
    rig_down(&g);
}

/* ---- whatever happens ---- */

struct mirror {
    struct {
        char *name;
        struct remote_attr attr;
    } v[MIRROR_MAX];
    size_t count;
};

static size_t mirror_find(const struct mirror *m, const char *name)
{
    size_t i = 0;

    while (i < m->count && strcmp(m->v[i].name, name) != 0)
        i++;
    return i;
}

static void mirror_apply(struct mirror *m, const struct fs_watch_news *news)
{
    for (size_t i = 0; i < news->before_count; i++) {
        const size_t at = mirror_find(m, news->before[i].name);

        if (at == m->count)
            fail_msg("%s is said to have been there", news->before[i].name);
        free(m->v[at].name);
        m->v[at] = m->v[--m->count];
    }
    for (size_t i = 0; i < news->after_count; i++) {
        if (mirror_find(m, news->after[i].name) < m->count)
            fail_msg("%s came twice", news->after[i].name);
        assert_true(m->count < MIRROR_MAX);
        m->v[m->count].name = strdup(news->after[i].name);
        m->v[m->count++].attr = *news->after[i].attr;
    }
}

static void mirror_put(struct mirror *m, const char *name, const struct remote_attr *attr)
{
    const struct fs_watch_entry e = {.name = name, .attr = attr};

    mirror_apply(m, &(struct fs_watch_news){.after = &e, .after_count = 1});
}

static void mirror_check(struct mirror *m, struct rig *g, const char *path)
{
    struct remote_list list;
    size_t count;
    int r = remote_list(g->remote, path, 100, MIRROR_MAX, &list);

    if (r < 0) {
        assert_int_equal(m->count, r == -ENOTDIR ? 1 : 0);
        return;
    }
    count = list.count + 1;
    for (size_t i = 0; i < list.count; i++) {
        const size_t at = mirror_find(m, list.v[i].name);

        if (at == m->count)
            fail_msg("%s was never told", list.v[i].name);
        assert_true(remote_attr_same(&m->v[at].attr, &list.v[i].attr));
        assert_int_equal(m->v[at].attr.mode, list.v[i].attr.mode);
    }
    assert_int_equal(m->count, count);
    remote_list_done(&list);
}

static void some_path(char *out, unsigned *seed)
{
    static const char names[] = "abc";
    const int depth = rand_r(seed) % 4;

    strcpy(out, "/w");
    for (int i = 0; i < depth; i++)
        snprintf(out + strlen(out), 8, "/%c", names[rand_r(seed) % 3]);
}

/* Mostly fails, which is as good. */
static void some_change(struct rig *g, unsigned *seed)
{
    const struct remote_setattr mode = {.mask = REMOTE_SET_MODE,
                                        .attr = {.mode = rand_r(seed) % 2 ? 0700 : 0755}};
    char path[64], other[64];

    some_path(path, seed);
    some_path(other, seed);
    switch (rand_r(seed) % 9) {
    case 0:
    case 1:
    case 2:
        (void)remote_mkdir(g->remote, path, 0755, NULL);
        break;
    case 3:
    case 4:
        (void)remote_create(g->remote, path, 0644, NULL);
        break;
    case 5:
        (void)remote_unlink(g->remote, path);
        (void)remote_rmdir(g->remote, path);
        break;
    case 6:
        (void)remote_setattr(g->remote, path, &mode, NULL);
        break;
    case 7:
        (void)remote_rename(g->remote, path, other, 0, NULL);
        break;
    default:
        (void)remote_rename(g->remote, path, strlen(path) > 2 ? "/out" : "/out2", 0, NULL);
        (void)remote_rename(g->remote, "/out", other, 0, NULL);
    }
}

static void one_life(unsigned seed, bool faults)
{
    static struct mirror m;
    struct fs_watch_news news;
    struct remote_attr attr;
    struct fs_watch *w;
    struct rig g;

    up(&g, 0);
    m.count = 0;
    rig_mkdir(&g, "/w");
    w = watch_of(&g, "/w", MAX);
    assert_int_equal(remote_stat(g.remote, "/w", &attr, NULL), 0);
    mirror_put(&m, "", &attr);
    for (int round = 0; round < 60; round++) {
        int r;

        for (int i = rand_r(&seed) % 8; i >= 0; i--)
            some_change(&g, &seed);
        if (rand_r(&seed) % 30 == 0)
            (void)cancel_sleep(22 * NS_PER_MS);
        remote_fault_set(g.fault, faults ? 1 + (unsigned)rand_r(&seed) % 4 : 0, REMOTE_FAULT_BEFORE,
                         rand_r(&seed) % 2 ? -EHOSTDOWN : -ECONNRESET);
        r = fs_watch_next(w, 0, &news);
        remote_fault_set(g.fault, 0, REMOTE_FAULT_BEFORE, 0);
        assert_true(r == 0 || faults);
        if (r == 0)
            mirror_apply(&m, &news);
        if (faults) {
            assert_int_equal(fs_watch_next(w, 0, &news), 0);
            mirror_apply(&m, &news);
        }
        assert_false(news.overflow);
        mirror_check(&m, &g, "/w");
    }
    while (m.count > 0)
        free(m.v[--m.count].name);
    fs_watch_free(w);
    rig_down(&g);
}

TEST(the_news_always_lead_to_what_is_there)
{
    for (unsigned seed = 1; seed <= 40; seed++)
        one_life(seed, false);
}

TEST(and_so_they_do_when_calls_fail)
{
    for (unsigned seed = 1; seed <= 40; seed++)
        one_life(seed, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_kind_of_change_is_news_once),
        cmocka_unit_test(what_is_below_a_directory_comes_and_goes_with_it),
        cmocka_unit_test(the_path_itself_may_come_and_go),
        cmocka_unit_test(a_larger_tree_than_is_looked_at_overflows),
        cmocka_unit_test(waiting_is_one_request_and_ends_with_the_change),
        cmocka_unit_test(an_interrupted_wait_loses_nothing),
        cmocka_unit_test(what_is_told_is_seen_at_once),
        cmocka_unit_test(the_news_always_lead_to_what_is_there),
        cmocka_unit_test(and_so_they_do_when_calls_fail),
    };

    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    rig_with_journal = true;
    failed += cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
