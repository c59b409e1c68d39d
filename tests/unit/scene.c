#include "scene.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void scene_age(void)
{
    usleep(120000);
}

char scene_byte(uint64_t off)
{
    return (char)(off * 131 + (off >> 11));
}

char *scene_big(struct rig *g, const char *path, size_t size)
{
    char *data = malloc(size);

    for (size_t i = 0; i < size; i++)
        data[i] = scene_byte(i);
    rig_put(g, path, data, size);
    scene_age();
    return data;
}

void scene_expect_bytes(struct rig *g, const char *path, const char *want, size_t size)
{
    char *got = malloc(size + 1);

    assert_int_equal(rig_get(g, path, got, size + 1), size);
    for (size_t i = 0; i < size; i++)
        if (got[i] != want[i])
            fail_msg("%s: byte %zu is %d and not %d", path, i, got[i], want[i]);
    free(got);
}

struct remote_attr inside_attr(struct rig *g, const char *path)
{
    struct remote_attr attr;

    assert_int_equal(remote_stat(g->inside, path, &attr, NULL), 0);
    return attr;
}

void inside_create(struct rig *g, const char *path)
{
    assert_int_equal(remote_create(g->inside, path, 0644, NULL), 0);
}

void inside_mkdir(struct rig *g, const char *path)
{
    assert_int_equal(remote_mkdir(g->inside, path, 0755, NULL), 0);
}

void inside_put(struct rig *g, const char *path, const char *text)
{
    FILE *f = tmpfile();
    struct remote_put put = {.fd = fileno(f), .size = strlen(text), .mtime_ns = INT64_MIN};
    struct remote_attr before;

    if (remote_stat(g->inside, path, &before, NULL) == 0)
        put.replace = &before;
    assert_int_equal(pwrite(put.fd, text, put.size, 0), (ssize_t)put.size);
    assert_int_equal(remote_put(g->inside, path, &put, NULL), 0);
    fclose(f);
}

void inside_move(struct rig *g, const char *from, const char *to)
{
    assert_int_equal(remote_rename(g->inside, from, to, 0, NULL), 0);
}

void inside_link(struct rig *g, const char *from, const char *to)
{
    assert_int_equal(remote_link(g->inside, from, to, NULL), 0);
}

void inside_unlink(struct rig *g, const char *path)
{
    assert_int_equal(remote_unlink(g->inside, path), 0);
}
