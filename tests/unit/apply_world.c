#include "apply_world.h"

#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

bool world_apart;
static char world_dir[64];

void world_enter(const char *dir)
{
    snprintf(world_dir, sizeof(world_dir), "%s", dir);
    assert_true(mkdir(world_dir, 0755) == 0 || errno == EEXIST);
}

char *in_world(const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", world_dir, name);
    return arig_path(path);
}

const char *file_in_world(const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", world_dir, name);
    return arig_get(path);
}

void put_in_world(const char *name, const char *text)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", world_dir, name);
    arig_put(path, text);
}

struct remote_object version_in_world(const char *name)
{
    char path[160];

    snprintf(path, sizeof(path), "%s/%s", world_dir, name);
    return arig_version(path);
}

const char world_data[] = "0123456789";
static const struct remote_piece whole_piece[] = {{0, 10, 0, 0}};
static const struct remote_piece two_pieces[] = {{1, 2, 0, 4}, {6, 1, 0, 0}};

struct remote_batch new_world(unsigned n, struct remote_change v[WORLD])
{
    size_t count = 0;
    char name[16];

    snprintf(name, sizeof(name), "w%u", n);
    world_enter(name);
    if (world_apart && mount(world_dir, world_dir, NULL, MS_BIND, NULL) < 0)
        skip();
    put_in_world("replaced", "old");
    put_in_world("patched", "abcdefgh");
    put_in_world("two", "xxxxxxxxxxxx");
    assert_int_equal(link(in_world("two"), in_world("names")), 0);
    put_in_world("log", "line\n");
    put_in_world("gone", "bye");
    put_in_world("from", "moved");
    put_in_world("over", "was there");
    put_in_world("x", "x");
    put_in_world("y", "y");
    assert_int_equal(mkdir(in_world("empty"), 0755), 0);

    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                        .path = in_world("new"),
                                        .at = ARIG_ABSENT,
                                        .size = 10,
                                        .pieces = whole_piece,
                                        .piece_count = 1};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                        .flags = REMOTE_CHANGE_FSYNC_TOO,
                                        .path = in_world("replaced"),
                                        .at = version_in_world("replaced"),
                                        .size = 10,
                                        .pieces = whole_piece,
                                        .piece_count = 1};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                        .path = in_world("patched"),
                                        .at = version_in_world("patched"),
                                        .keep = REMOTE_ALL,
                                        .size = REMOTE_ALL,
                                        .pieces = two_pieces,
                                        .piece_count = 2};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                        .path = in_world("two"),
                                        .at = version_in_world("two"),
                                        .keep = 4,
                                        .size = 9,
                                        .pieces = two_pieces,
                                        .piece_count = 2};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                        .flags = REMOTE_CHANGE_APPEND,
                                        .path = in_world("log"),
                                        .at = version_in_world("log"),
                                        .size = REMOTE_ALL,
                                        .pieces = whole_piece,
                                        .piece_count = 1};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_MKDIR,
                                        .path = in_world("dir"),
                                        .at = ARIG_ABSENT,
                                        .set = {.mask = REMOTE_SET_MODE, .attr = {.mode = 02751}}};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_SYMLINK,
                                        .path = in_world("dir/link"),
                                        .path2 = "../new",
                                        .at = ARIG_ABSENT};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_LINK,
                                        .path = in_world("new"),
                                        .path2 = in_world("dir/hard"),
                                        .at = ARIG_LEFT(0),
                                        .at2 = ARIG_ABSENT};
    v[count++] = (struct remote_change){
        .kind = REMOTE_CHANGE_UNLINK, .path = in_world("gone"), .at = version_in_world("gone")};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                        .path = in_world("from"),
                                        .path2 = in_world("over"),
                                        .at = version_in_world("from"),
                                        .at2 = version_in_world("over")};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                        .path = in_world("dir"),
                                        .path2 = in_world("dir2"),
                                        .at = ARIG_LEFT(5),
                                        .at2 = ARIG_ABSENT};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_RENAME,
                                        .flags = REMOTE_CHANGE_EXCHANGE,
                                        .path = in_world("x"),
                                        .path2 = in_world("y"),
                                        .at = version_in_world("x"),
                                        .at2 = version_in_world("y")};
    v[count++] = (struct remote_change){
        .kind = REMOTE_CHANGE_RMDIR, .path = in_world("empty"), .at = version_in_world("empty")};
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_SETATTR,
                                        .path = in_world("over"),
                                        .at = ARIG_LEFT(9),
                                        .set = {.mask = REMOTE_SET_MODE | REMOTE_SET_MTIME,
                                                .attr = {.mode = 0600, .mtime_ns = 12345}}};
    v[count++] = (struct remote_change){
        .kind = REMOTE_CHANGE_FSYNC, .path = in_world("dir2"), .at = ARIG_ANY};
    /* As git makes an object. */
    v[count++] = (struct remote_change){.kind = REMOTE_CHANGE_WRITE,
                                        .path = in_world("tmp"),
                                        .at = ARIG_ABSENT,
                                        .size = 10,
                                        .pieces = whole_piece,
                                        .piece_count = 1};
    v[count] = (struct remote_change){.kind = REMOTE_CHANGE_LINK,
                                      .path = in_world("tmp"),
                                      .path2 = in_world("object"),
                                      .at = ARIG_LEFT((uint32_t)count - 1),
                                      .at2 = ARIG_ABSENT};
    count++;
    v[count] = (struct remote_change){.kind = REMOTE_CHANGE_UNLINK,
                                      .path = in_world("tmp"),
                                      .at = ARIG_LEFT((uint32_t)count - 2)};
    count++;
    assert_true(count <= WORLD);
    return arig_batch(v, count, world_data);
}

void expect_text(const char *name, const char *want)
{
    const char *got = file_in_world(name);

    if (!got || strcmp(got, want) != 0)
        fail_msg("%s, died at %ld: %s is \"%s\", not \"%s\"", world_dir, arig.dies_at, name,
                 got ? got : "(none)", want);
}

void expect_new_world(void)
{
    expect_text("new", "0123456789");
    expect_text("replaced", "0123456789");
    expect_text("patched", "a45def0h");
    expect_text("log", "line\n0123456789");
    expect_text("over", "moved");
    expect_text("x", "y");
    expect_text("y", "x");
    expect_text("dir2/hard", "0123456789");
    expect_text("object", "0123456789");
    assert_int_equal(arig_stat(in_world("object")).st_nlink, 1);
    assert_int_equal(arig_stat(in_world("two")).st_size, 9);
    assert_memory_equal(file_in_world("names"),
                        "x45x\0\0"
                        "0\0",
                        9);
    assert_int_equal(arig_stat(in_world("dir2")).st_mode, S_IFDIR | 02751);
    assert_int_equal(arig_stat(in_world("over")).st_mode, S_IFREG | 0600);
    assert_int_equal(timespec_to_ns(arig_stat(in_world("over")).st_mtim), 12345);
    assert_int_equal(arig_count(in_world("dir2")), 2);
    assert_int_equal(arig_count(world_dir), 11);
}

void expect_all_done(const struct remote_applied *a)
{
    assert_int_equal(a->state, REMOTE_BATCH_FINISHED);
    for (size_t i = 0; i < a->count; i++) {
        if (a->v[i].outcome != REMOTE_DONE)
            fail_msg("%s: change %zu: outcome %d (%d)", world_dir, i, a->v[i].outcome, a->v[i].err);
    }
}

void expect_tidy(void)
{
    char path[128];

    snprintf(path, sizeof(path), "%s/h/clients/%s", arig.root, arig.client);
    assert_int_equal(arig_count(path), 3);
}

bool dies_at(const struct remote_batch *b, long step, struct remote_applied *ret)
{
    bool more = false;
    int r;

    arig.dies_at = step;
    r = arig_ask(b, true, ret, &more);
    if (r == 0) {
        arig.dies_at = 0;
        assert_false(more);
        return false;
    }
    assert_int_equal(r, -EPIPE);
    arig.dies_at = 0;
    return true;
}

long killed_at_each_step(struct remote_batch (*begin)(unsigned n, struct remote_change v[WORLD]),
                         void (*then)(struct remote_batch *b, struct remote_applied *a, bool died))
{
    struct remote_change v[WORLD];
    long step = 0;
    bool died;

    do {
        struct remote_batch b = begin((unsigned)++step, v);
        struct remote_applied a = {0};

        died = dies_at(&b, step, &a);
        then(&b, &a, died);
        remote_applied_done(&a);
    } while (died && step < 1000);
    return step;
}

void in_client(const char *command)
{
    char line[256];

    snprintf(line, sizeof(line), "cd %s/h/clients/%s && %s", arig.root, arig.client, command);
    assert_int_equal(system(line), 0);
}

size_t what_is_left(const struct remote_change *v, const struct remote_applied *a,
                    struct remote_change *ret)
{
    size_t count = 0, place[WORLD];

    for (size_t i = 0; i < a->count; i++) {
        struct remote_change c = v[i];

        if (a->v[i].outcome == REMOTE_DONE)
            continue;
        if (c.at.means == REMOTE_LEFT_BY && a->v[c.at.change].outcome == REMOTE_DONE) {
            const struct remote_attr *now = &a->v[c.at.change].now;

            c.at = (struct remote_object){.means = REMOTE_VERSION,
                                          .dev = now->dev,
                                          .ino = now->ino,
                                          .size = now->size,
                                          .mtime_ns = now->mtime_ns,
                                          .ctime_ns = now->ctime_ns};
        } else if (c.at.means == REMOTE_LEFT_BY) {
            c.at.change = (uint32_t)place[c.at.change];
        }
        place[i] = count;
        ret[count++] = c;
    }
    return count;
}
