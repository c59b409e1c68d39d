/* Directories below /.ctl and the kinds of files in them, by rows that only this test has. */
#include "reply.h"
#include "unit.h"

#include "ctl/ctl.h"
#include "ctl/row.h"
#include "remote/backends.h"
#include "util/cancel.h"
#include "util/clock.h"
#include "util/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { WAIT_S = 20, THINGS = 8 };

/* ---- things: each has a number, a text, and remembers what was done to it ---- */

struct thing {
    char name[40];
    uint64_t number;
    atomic_int refs; /* the table's and those handed out */
    char text[100], got[100];
    bool busy;
};

static struct lock table_lock = LOCK_INIT;
static struct thing *things[THINGS];
static uint64_t last_number;
static atomic_int alive;
static atomic_int flowing;

static void thing_release(void *obj)
{
    struct thing *t = obj;

    if (t && atomic_fetch_sub(&t->refs, 1) == 1) {
        atomic_fetch_sub(&alive, 1);
        free(t);
    }
}

static struct thing *thing_named_locked(const char *name)
{
    for (size_t i = 0; i < THINGS; i++)
        if (things[i] && strcmp(things[i]->name, name) == 0)
            return things[i];
    return NULL;
}

extern const struct ctl_row thing_row;

static int thing_find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    struct thing *t;

    assert_null(owner);
    lock_take(&table_lock);
    t = thing_named_locked(name);
    if (t)
        atomic_fetch_add(&t->refs, 1);
    lock_drop(&table_lock);
    if (!t)
        return -ENOENT;
    *ret = (struct ctl_entry){.row = &thing_row, .obj = t, .id = t->number};
    return 0;
}

static int thing_list(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    static const char *const bad[] = {"", ".", "..", "a/b", "clone"};
    int r = 0;

    for (size_t i = 0; i < ARRAY_LEN(bad) && r == 0; i++)
        r = ctl_list_add(list, bad[i], &thing_row);
    lock_take(&table_lock);
    for (size_t i = THINGS; i-- > 0 && r == 0;) {
        if (things[i])
            r = ctl_list_add(list, things[i]->name, &thing_row);
        if (things[i] && r == 0)
            r = ctl_list_add(list, things[i]->name, &thing_row); /* twice is once */
    }
    lock_drop(&table_lock);
    return r;
}

static int thing_make(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret,
                      struct buf *why)
{
    struct thing *t;
    size_t i = 0;

    lock_take(&table_lock);
    while (i < THINGS && things[i])
        i++;
    if (thing_named_locked(name) || i == THINGS) {
        lock_drop(&table_lock);
        (void)buf_puts(why, "no room or no need");
        return -EEXIST;
    }
    t = things[i] = calloc(1, sizeof(*t));
    snprintf(t->name, sizeof(t->name), "%.39s", name);
    t->number = ++last_number;
    atomic_init(&t->refs, 2);
    atomic_fetch_add(&alive, 1);
    lock_drop(&table_lock);
    *ret = (struct ctl_entry){.row = &thing_row, .obj = t, .id = t->number};
    return 0;
}

static void thing_drop(struct thing *t)
{
    lock_take(&table_lock);
    for (size_t i = 0; i < THINGS; i++)
        if (things[i] == t)
            things[i] = NULL;
    lock_drop(&table_lock);
    thing_release(t);
}

static int thing_remove(struct ctl *ctl, void *obj, struct buf *why)
{
    struct thing *t = obj;

    if (t->busy) {
        (void)buf_puts(why, "it is busy");
        return -EBUSY;
    }
    thing_drop(t);
    return 0;
}

static int show_text(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    return buf_puts(out, ((struct thing *)obj)->text);
}

static int store_text(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *why)
{
    struct thing *t = obj;

    if (len >= sizeof(t->text)) {
        (void)buf_puts(why, "too much");
        return -EFBIG;
    }
    snprintf(t->text, sizeof(t->text), "%.*s", (int)len, text);
    return 0;
}

static int stat_text(struct ctl *ctl, void *obj, struct stat *st)
{
    st->st_size = (off_t)strlen(((struct thing *)obj)->text);
    return 0;
}

static int pread_text(struct ctl *ctl, void *obj, uint64_t off, size_t size, struct buf *out,
                      struct buf *why)
{
    const struct thing *t = obj;
    const size_t len = strlen(t->text), n = off < len ? len - (size_t)off : 0;

    return buf_append(out, t->text + len - n, n < size ? n : size);
}

/* Its text, as many times as it says; for ever if that is 0. */
static int flow_text(struct ctl *ctl, void *obj, struct ctl_flow *flow, struct buf *why)
{
    const struct thing *t = obj;
    const int times = atoi(t->text);
    int r = 0;

    atomic_fetch_add(&flowing, 1);
    for (int i = 0; (times == 0 || i < times) && r == 0; i++) {
        r = ctl_flow_put(flow, t->text, strlen(t->text));
        if (r == 0 && times == 0)
            r = cancel_sleep(60 * NS_PER_S);
    }
    atomic_fetch_sub(&flowing, 1);
    return r;
}

static int put_text(struct ctl *ctl, void *obj, const char *data, size_t len, struct buf *why)
{
    struct thing *t = obj;

    if (memchr(data, '!', len))
        return -EPIPE;
    strncat(t->got, data, len);
    return 0;
}

static int ask_text(struct ctl *ctl, void *obj, const char *text, size_t len, struct buf *out,
                    struct buf *why)
{
    return buf_printf(out, "%s says %.*s", ((struct thing *)obj)->name, (int)len, text);
}

static int verb_busy(struct ctl *ctl, void *obj, int count, char *const *v, struct buf *why)
{
    ((struct thing *)obj)->busy = atoi(v[0]) != 0;
    return 0;
}

static int show_nothing(struct ctl *ctl, void *obj, struct buf *out, struct buf *why)
{
    assert_int_equal(*(const int *)obj, 7);
    (void)buf_puts(why, "there is nothing");
    return -ENXIO;
}

static int open_clone(struct ctl *ctl, void *obj, struct ctl_entry *ret, struct buf *why);

/* Parts of a thing: the characters of its text, each a file of itself. */
static const struct ctl_row part_row;

static int part_find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    struct thing *t = owner;

    if (strlen(name) != 1 || !strchr(t->text, name[0]))
        return -ENOENT;
    atomic_fetch_add(&t->refs, 1);
    *ret = (struct ctl_entry){.row = &part_row, .obj = t};
    return 0;
}

static int part_list(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    int r = 0;

    for (const char *p = ((struct thing *)owner)->text; *p && r == 0; p++)
        r = ctl_list_add(list, (char[]){*p, '\0'}, &part_row);
    return r;
}

static const struct ctl_dir parts = {.entry = &part_row,
                                     .takes = "PART",
                                     .find = part_find,
                                     .list = part_list,
                                     .release = thing_release};

static const struct ctl_verb thing_verbs[] = {
    {.name = "busy", .takes = "0|1", .min = 1, .max = 1, .run = verb_busy, .help = "is busy"},
    {.name = NULL},
};
static const struct ctl_row part_row = {
    .mode = 0400, .kind = CTL_SNAPSHOT, .show = show_text, .help = "a part"};
static const struct ctl_row thing_rows[] = {
    {.name = "text",
     .mode = 0600,
     .kind = CTL_TEXT,
     .show = show_text,
     .store = store_text,
     .takes = "TEXT",
     .help = "its text"},
    {.name = "live",
     .mode = 0400,
     .kind = CTL_LIVE,
     .pread = pread_text,
     .stat = stat_text,
     .help = "the same as it is now"},
    {.name = "flow",
     .mode = 0400,
     .kind = CTL_FLOW,
     .unlisted = true,
     .flow = flow_text,
     .help = "the same again and again"},
    {.name = "put",
     .mode = 0200,
     .kind = CTL_SINK,
     .put = put_text,
     .takes = "TEXT",
     .help = "is given to it"},
    {.name = "ask",
     .mode = 0600,
     .kind = CTL_QUERY,
     .ask = ask_text,
     .takes = "TEXT",
     .help = "says it"},
    {.name = "ctl",
     .mode = 0600,
     .kind = CTL_VERBS,
     .show = show_text,
     .verbs = thing_verbs,
     .takes = "VERB",
     .help = "verbs"},
    {.name = "parts",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .dir = &parts,
     .help = "its parts"},
    {.name = NULL},
};
const struct ctl_row thing_row = {
    .mode = 0700, .kind = CTL_DIR, .rows = thing_rows, .help = "a thing"};
static const struct ctl_dir things_dir = {.entry = &thing_row,
                                          .takes = "NAME",
                                          .find = thing_find,
                                          .list = thing_list,
                                          .make = thing_make,
                                          .remove = thing_remove,
                                          .release = thing_release};
static const struct ctl_row things_rows[] = {
    {.name = "clone", .mode = 0600, .kind = CTL_SNAPSHOT, .open = open_clone, .help = "a new one"},
    {.name = NULL},
};
static const struct ctl_row fixed_rows[] = {
    {.name = "one",
     .mode = 0400,
     .kind = CTL_SNAPSHOT,
     .show = show_nothing,
     .obj = &(const int){7},
     .help = "nothing"},
    {.name = NULL},
};
static const struct ctl_row rows[] = {
    {.name = "fixed", .mode = 0500, .kind = CTL_DIR, .rows = fixed_rows, .help = "no entries"},
    {.name = "things",
     .mode = 0700,
     .kind = CTL_DIR,
     .waits = true,
     .rows = things_rows,
     .dir = &things_dir,
     .help = "entries"},
    {.name = NULL},
};
static const struct ctl_row root = {.mode = 0500, .kind = CTL_DIR, .rows = rows};

static int open_clone(struct ctl *ctl, void *obj, struct ctl_entry *ret, struct buf *why)
{
    char name[20];
    int r;

    snprintf(name, sizeof(name), "c%d", (int)last_number + 1);
    r = thing_make(ctl, obj, name, ret, why);
    if (r == 0) {
        strcpy(((struct thing *)ret->obj)->text, name);
        ret->row = &thing_rows[5]; /* its ctl */
    }
    return r;
}

/* ---- one test's surroundings ---- */

struct rig {
    char dir[64];
    struct remote *remote;
    struct cache *cache;
    struct fs *fs;
    struct ctl *ctl;
};

static struct rig *rig_new(void)
{
    const struct fs_config fs_config = {
        .root = "/", .mount_dir = "/mnt", .force_uid = -1, .force_gid = -1};
    const struct ctl_config config = {.name = ".ctl", .uid = 1, .gid = 2, .root = &root};
    struct rig *g = calloc(1, sizeof(*g));

    strcpy(g->dir, "/tmp/test-ctl-XXXXXX");
    assert_non_null(mkdtemp(g->dir));
    g->remote = remote_mem_new(0, 0);
    assert_int_equal(cache_new(g->dir, 64 << 20, &g->cache), 0);
    assert_int_equal(fs_new(&fs_config, g->remote, g->cache, &g->fs), 0);
    assert_int_equal(ctl_new(&config, g->fs, &g->ctl), 0);
    last_number = 0;
    return g;
}

/* Nothing that was handed out is left. */
static void rig_free(struct rig *g)
{
    ctl_free(g->ctl);
    fs_free(g->fs);
    cache_free(g->cache);
    remote_free(g->remote);
    rmdir(g->dir);
    free(g);
    for (size_t i = 0; i < THINGS; i++)
        if (things[i])
            thing_drop(things[i]);
    assert_int_equal(atomic_load(&alive), 0);
    assert_int_equal(atomic_load(&flowing), 0);
}

static void expect_error(struct rig *g, const char *part)
{
    struct buf b = BUF_INIT(1 << 20);

    assert_int_equal(fs_errors_text(g->fs, &b), 0);
    if (!strstr(buf_str(&b), part))
        fail_msg("\"%s\" is not in:\n%s", part, buf_str(&b));
    buf_done(&b);
}

/* Follows path from the root; the number of what it stands for, or -errno. No reference is kept. */
static int walk(struct rig *g, const char *path, uint64_t *ret_ino)
{
    char copy[200], *save = NULL;
    uint64_t dir = CTL_ROOT, held = 0;
    struct stat st;
    int r = 0;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *w = strtok_r(copy, "/", &save); w && r == 0; w = strtok_r(NULL, "/", &save)) {
        r = ctl_lookup(g->ctl, dir, w, &st);
        if (held)
            ctl_forget(g->ctl, held, 1);
        held = r == 0 ? st.st_ino : 0;
        dir = st.st_ino;
    }
    if (r == 0 && ret_ino) {
        *ret_ino = dir; /* counted */
        return 0;
    }
    if (held)
        ctl_forget(g->ctl, held, 1);
    return r;
}

static int make(struct rig *g, const char *dir, const char *name)
{
    struct stat st;
    uint64_t ino;
    int r;

    assert_int_equal(walk(g, dir, &ino), 0);
    r = ctl_mkdir(g->ctl, ino, name, 42, &st);
    if (r == 0) {
        assert_true(S_ISDIR(st.st_mode));
        ctl_forget(g->ctl, st.st_ino, 1);
    }
    ctl_forget(g->ctl, ino, 1);
    return r;
}

static int take_away(struct rig *g, const char *dir, const char *name, bool is_dir)
{
    uint64_t ino;
    int r;

    assert_int_equal(walk(g, dir, &ino), 0);
    r = is_dir ? ctl_rmdir(g->ctl, ino, name, 42) : ctl_unlink(g->ctl, ino, name, 42);
    ctl_forget(g->ctl, ino, 1);
    return r;
}

static char *names(struct rig *g, const char *path)
{
    static char text[1000];
    struct ctl_list *list;
    const char *name;
    struct stat st;
    uint64_t ino;

    assert_int_equal(walk(g, path, &ino), 0);
    assert_int_equal(ctl_opendir(g->ctl, ino, &list), 0);
    ctl_forget(g->ctl, ino, 1); /* the list holds it */
    assert_int_equal(ctl_list(list), 0);
    text[0] = '\0';
    for (size_t i = 0; ctl_entry(list, i, &name, &st) == 0; i++) {
        strcat(strcat(text, name), S_ISDIR(st.st_mode) ? "/ " : " ");
        assert_true(st.st_ino != 0);
    }
    ctl_closedir(list);
    return text;
}

/* ---- calls that wait ---- */

static void woken(void *arg, bool changed)
{
    reply_got(arg, changed, NULL);
}

static struct reply reply;

static struct reply *fresh(void)
{
    reply_init(&reply);
    return &reply;
}

static struct ctl_handle *opened(struct rig *g, const char *path, int flags)
{
    struct ctl_handle *h;
    uint64_t ino;

    assert_int_equal(walk(g, path, &ino), 0);
    assert_int_equal(ctl_open(g->ctl, ino, flags, 42, &h), 0);
    ctl_forget(g->ctl, ino, 1); /* the handle holds it */
    return h;
}

static int closed(struct ctl_handle *h)
{
    int r = ctl_flush(h);

    ctl_release(h);
    return r;
}

static ssize_t put(struct ctl_handle *h, const char *text)
{
    ctl_write(h, 0, text, strlen(text), reply_got, fresh());
    return reply_await(&reply);
}

static const char *get(struct ctl_handle *h, uint64_t off, size_t size)
{
    ctl_read(h, off, size, reply_got, fresh());
    assert_true(reply_await(&reply) >= 0);
    return reply.data;
}

static int write_file(struct rig *g, const char *path, const char *text)
{
    struct ctl_handle *h = opened(g, path, O_WRONLY);
    ssize_t r = put(h, text);
    int closing = closed(h);

    return r < 0 ? (int)r : closing;
}

static const char *read_file(struct rig *g, const char *path)
{
    struct ctl_handle *h = opened(g, path, O_RDONLY);
    const char *text = get(h, 0, 1000);

    closed(h);
    return text;
}

/* ---- names ---- */

TEST(entries_are_made_listed_found_and_removed)
{
    struct rig *g = rig_new();
    uint64_t ino, again;

    assert_string_equal(names(g, ""), "fixed/ things/ ");
    assert_string_equal(names(g, "things"), "clone ");
    assert_int_equal(make(g, "things", "b"), 0);
    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(make(g, "things", "a"), -EEXIST);
    expect_error(g, ".ctl/things EEXIST: no room or no need");
    assert_string_equal(names(g, "things"), "clone a/ b/ ");
    assert_string_equal(names(g, "things/a"), "text live put ask ctl parts/ ");
    assert_int_equal(walk(g, "things/a/flow", NULL), 0);
    assert_int_equal(walk(g, "things/c", NULL), -ENOENT);
    assert_int_equal(walk(g, "things/a/text/x", NULL), -ENOTDIR);
    assert_int_equal(walk(g, "things/a", &ino), 0);
    assert_int_equal(walk(g, "things/a", &again), 0);
    assert_int_equal(ino, again);
    assert_int_equal(take_away(g, "things", "a", true), 0);
    assert_int_equal(walk(g, "things/a", NULL), -ENOENT);
    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(walk(g, "things/a", &again), 0);
    assert_int_not_equal(ino, again); /* another thing, and the old number is still somebody's */
    ctl_forget(g->ctl, ino, 2);
    ctl_forget(g->ctl, again, 1);
    rig_free(g);
}

TEST(what_cannot_be_made_or_removed_is_refused)
{
    struct rig *g = rig_new();

    assert_int_equal(make(g, "", "x"), -EPERM);
    assert_int_equal(make(g, "fixed", "x"), -EPERM);
    assert_int_equal(make(g, "things", "clone"), -EEXIST);
    assert_int_equal(make(g, "things", ".."), -EPERM);
    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(make(g, "things/a", "x"), -EPERM);
    assert_int_equal(make(g, "things/a/parts", "x"), -EPERM);
    assert_int_equal(take_away(g, "", "fixed", true), -EPERM);
    assert_int_equal(take_away(g, "", "things", true), -EPERM);
    assert_int_equal(take_away(g, "", "things", false), -EISDIR);
    assert_int_equal(take_away(g, "fixed", "one", false), -EPERM);
    assert_int_equal(take_away(g, "things", "clone", false), -EPERM);
    assert_int_equal(take_away(g, "things", "a", false), -EISDIR);
    assert_int_equal(take_away(g, "things/a", "text", true), -ENOTDIR);
    assert_int_equal(write_file(g, "things/a/ctl", "busy 1"), 0);
    assert_int_equal(take_away(g, "things", "a", true), -EBUSY);
    expect_error(g, ".ctl/things/a EBUSY: it is busy");
    assert_int_equal(walk(g, "things/a", NULL), 0);
    rig_free(g);
}

TEST(rm_minus_r_of_an_entry_works)
{
    static const char *const files[] = {"text", "live", "put", "ask", "ctl", "flow"};
    struct rig *g = rig_new();

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(write_file(g, "things/a/text", "xy"), 0);
    assert_string_equal(names(g, "things/a/parts"), "x y ");
    for (size_t i = 0; i < ARRAY_LEN(files); i++)
        assert_int_equal(take_away(g, "things/a", files[i], false), 0);
    assert_int_equal(take_away(g, "things/a/parts", "x", false), 0);
    assert_int_equal(take_away(g, "things/a", "parts", true), 0);
    assert_int_equal(walk(g, "things/a/parts/x", NULL), 0); /* nothing of it went */
    assert_int_equal(take_away(g, "things", "a", true), 0);
    assert_string_equal(names(g, "things"), "clone ");
    rig_free(g);
}

TEST(what_asks_the_network_is_never_asked_where_nobody_may_wait)
{
    struct rig *g = rig_new();
    struct ctl_list *list;
    struct ctl_handle *h;
    struct stat st;
    uint64_t dir, ino;

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(walk(g, "things", &dir), 0);
    assert_int_equal(ctl_lookup_cached(g->ctl, dir, "a", &st), -EAGAIN);
    assert_int_equal(ctl_lookup_cached(g->ctl, dir, "clone", &st), 0);
    ctl_forget(g->ctl, st.st_ino, 1);
    assert_int_equal(ctl_opendir(g->ctl, dir, &list), 0);
    assert_int_equal(ctl_list_cached(list), -EAGAIN);
    ctl_closedir(list);
    assert_int_equal(walk(g, "things/clone", &ino), 0);
    assert_int_equal(ctl_open_cached(g->ctl, ino, O_RDWR, 42, &h), -EAGAIN);
    ctl_forget(g->ctl, ino, 1);
    assert_int_equal(walk(g, "things/a/text", &ino), 0);
    assert_int_equal(ctl_open_cached(g->ctl, ino, O_RDWR, 42, &h), 0);
    assert_int_equal(put(h, "x"), 1);
    assert_int_equal(ctl_flush_cached(h), -EAGAIN);
    assert_int_equal(closed(h), 0);
    ctl_forget(g->ctl, ino, 1);
    ctl_forget(g->ctl, dir, 1);
    rig_free(g);
}

/* ---- files ---- */

TEST(what_cannot_be_shown_is_an_error_at_open)
{
    struct rig *g = rig_new();
    struct ctl_handle *h;
    uint64_t ino;

    assert_int_equal(walk(g, "fixed/one", &ino), 0);
    assert_int_equal(ctl_open(g->ctl, ino, O_RDONLY, 42, &h), -ENXIO);
    expect_error(g, "42 .ctl/fixed/one ENXIO: there is nothing");
    ctl_forget(g->ctl, ino, 1);
    rig_free(g);
}

TEST(a_text_is_taken_whole_at_close)
{
    struct rig *g = rig_new();
    struct ctl_handle *h;

    assert_int_equal(make(g, "things", "a"), 0);
    h = opened(g, "things/a/text", O_RDWR);
    assert_int_equal(put(h, "one "), 4);
    assert_int_equal(put(h, "two"), 3);
    assert_string_equal(read_file(g, "things/a/text"), "");
    assert_int_equal(closed(h), 0);
    assert_string_equal(read_file(g, "things/a/text"), "one two");
    h = opened(g, "things/a/text", O_WRONLY);
    assert_int_equal(ctl_flush(h), 0); /* nothing was written: nothing changes */
    for (int i = 0; i < 11; i++)
        assert_int_equal(put(h, "0123456789"), 10);
    assert_int_equal(ctl_flush(h), -EFBIG);
    assert_int_equal(closed(h), 0); /* told once */
    expect_error(g, "42 .ctl/things/a/text EFBIG: too much");
    assert_string_equal(read_file(g, "things/a/text"), "one two");
    rig_free(g);
}

TEST(a_live_file_shows_what_is_there_now_with_its_size)
{
    struct rig *g = rig_new();
    struct ctl_handle *h;
    struct stat st;
    uint64_t ino;

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(walk(g, "things/a/live", &ino), 0);
    h = opened(g, "things/a/live", O_RDONLY);
    assert_string_equal(get(h, 0, 100), "");
    assert_int_equal(write_file(g, "things/a/text", "0123456789"), 0);
    assert_string_equal(get(h, 0, 4), "0123");
    assert_string_equal(get(h, 8, 100), "89");
    assert_string_equal(get(h, 10, 100), "");
    assert_int_equal(ctl_getattr(g->ctl, ino, &st), 0);
    assert_int_equal(st.st_size, 10);
    closed(h);
    ctl_forget(g->ctl, ino, 1);
    rig_free(g);
}

TEST(a_flow_gives_each_byte_once_and_waits_for_slow_readers)
{
    enum { TIMES = 100000 };
    struct rig *g = rig_new();
    struct ctl_handle *h;
    size_t total = 0;

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(write_file(g, "things/a/text", "100000\n"), 0);
    h = opened(g, "things/a/flow", O_RDONLY);
    for (bool again = false;; again = !again) { /* each is read twice */
        const char *p = get(h, total, again ? 128 * 1024 : 1000);

        if (reply.r == 0)
            break;
        for (size_t i = 0; i < (size_t)reply.r; i++)
            assert_int_equal(p[i], "100000\n"[(total + i) % 7]);
        total += again ? (size_t)reply.r : 0;
    }
    assert_int_equal(total, TIMES * 7);
    closed(h);
    rig_free(g);
}

TEST(a_flow_that_waits_can_be_interrupted_polled_and_left)
{
    struct rig *g = rig_new();
    struct ctl_handle *h, *left;
    unsigned events;
    static struct reply polled;

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(write_file(g, "things/a/text", "0\n"), 0);
    h = opened(g, "things/a/flow", O_RDONLY);
    assert_string_equal(get(h, 0, 100), "0\n");
    ctl_read(h, 2, 100, reply_got, fresh());
    ctl_interrupt(h, &reply);
    assert_int_equal(reply_await(&reply), -EINTR);
    polled = *fresh();
    ctl_poll(h, &events, woken, &polled);
    assert_int_equal(events, 0);
    left = opened(g, "things/a/flow", O_RDONLY);
    assert_string_equal(get(left, 0, 100), "0\n");
    closed(h);
    assert_true(reply_await(&polled) >= 0);
    ctl_read(left, 2, 100, reply_got, fresh());
    rig_free(g); /* ends it */
    assert_int_equal(reply_await(&reply), -EINTR);
}

TEST(a_sink_passes_on_each_write)
{
    struct rig *g = rig_new();
    struct ctl_handle *h;

    assert_int_equal(make(g, "things", "a"), 0);
    h = opened(g, "things/a/put", O_WRONLY);
    assert_int_equal(put(h, "one "), 4);
    assert_int_equal(put(h, "two"), 3);
    assert_string_equal(thing_named_locked("a")->got, "one two");
    assert_int_equal(put(h, "no!"), -EPIPE);
    expect_error(g, ".ctl/things/a/put EPIPE: ");
    closed(h);
    rig_free(g);
}

TEST(each_entry_keeps_its_own_last_answer)
{
    enum { MANY = 40 };
    struct rig *g = rig_new();

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(make(g, "things", "b"), 0);
    assert_int_equal(write_file(g, "things/a/ask", "one"), 0);
    assert_int_equal(write_file(g, "things/b/ask", "two"), 0);
    assert_string_equal(read_file(g, "things/a/ask"), "a says one");
    assert_string_equal(read_file(g, "things/b/ask"), "b says two");
    assert_int_equal(take_away(g, "things", "a", true), 0);
    assert_int_equal(make(g, "things", "a"), 0);
    assert_string_equal(read_file(g, "things/a/ask"), "");
    /* Of very many the oldest is forgotten. */
    for (int i = 0; i < MANY; i++) {
        char path[40];

        snprintf(path, sizeof(path), "n%d", i);
        assert_int_equal(make(g, "things", path), 0);
        snprintf(path, sizeof(path), "things/n%d/ask", i);
        assert_int_equal(write_file(g, path, "x"), 0);
        snprintf(path, sizeof(path), "n%d", i);
        lock_take(&table_lock); /* it goes without anybody telling */
        struct thing *t = thing_named_locked(path);
        for (size_t k = 0; k < THINGS; k++)
            things[k] = things[k] == t ? NULL : things[k];
        lock_drop(&table_lock);
        thing_release(t);
    }
    assert_string_equal(read_file(g, "things/b/ask"), "");
    for (int i = 0; i < WAIT_S * 100 && atomic_load(&alive) > 32 + 2; i++)
        (void)cancel_sleep(10 * NS_PER_MS); /* those who answer hold theirs until they are done */
    assert_in_range(atomic_load(&alive), 1, 32 + 2);
    rig_free(g);
}

TEST(opening_clone_opens_a_new_entry)
{
    struct rig *g = rig_new();
    struct ctl_handle *h;

    assert_string_equal(read_file(g, "things/clone"), ""); /* whoever only looks makes nothing */
    assert_string_equal(names(g, "things"), "clone ");
    h = opened(g, "things/clone", O_RDWR);

    assert_string_equal(get(h, 0, 100), "c1");
    assert_string_equal(names(g, "things"), "clone c1/ ");
    assert_int_equal(put(h, "busy 1\n"), 7);
    assert_int_equal(put(h, "bsy 1\n"), -EINVAL);
    expect_error(g, "did you mean \"busy\"?");
    assert_int_equal(put(h, "busy\n"), -EINVAL);
    expect_error(g, "\"busy\" takes 0|1");
    assert_int_equal(take_away(g, "things", "c1", true), -EBUSY);
    assert_int_equal(put(h, "busy 0\n"), 7);
    assert_int_equal(take_away(g, "things", "c1", true), 0);
    assert_int_equal(put(h, "busy 1\n"), 7); /* what is open goes on */
    closed(h);
    rig_free(g);
}

TEST(the_end_releases_what_the_kernel_still_holds)
{
    struct rig *g = rig_new();
    uint64_t ino;

    assert_int_equal(make(g, "things", "a"), 0);
    assert_int_equal(walk(g, "things/a/parts", &ino), 0);
    assert_int_equal(walk(g, "things/a/text", &ino), 0);
    assert_int_equal(write_file(g, "things/a/ask", "one"), 0);
    rig_free(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_are_made_listed_found_and_removed),
        cmocka_unit_test(what_cannot_be_made_or_removed_is_refused),
        cmocka_unit_test(rm_minus_r_of_an_entry_works),
        cmocka_unit_test(what_asks_the_network_is_never_asked_where_nobody_may_wait),
        cmocka_unit_test(what_cannot_be_shown_is_an_error_at_open),
        cmocka_unit_test(a_text_is_taken_whole_at_close),
        cmocka_unit_test(a_live_file_shows_what_is_there_now_with_its_size),
        cmocka_unit_test(a_flow_gives_each_byte_once_and_waits_for_slow_readers),
        cmocka_unit_test(a_flow_that_waits_can_be_interrupted_polled_and_left),
        cmocka_unit_test(a_sink_passes_on_each_write),
        cmocka_unit_test(each_entry_keeps_its_own_last_answer),
        cmocka_unit_test(opening_clone_opens_a_new_entry),
        cmocka_unit_test(the_end_releases_what_the_kernel_still_holds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
