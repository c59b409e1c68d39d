/* scene.h - what several tests of fs begin with, and what happens in the sandbox. Tests only. */
#ifndef TESTS_SCENE_H
#define TESTS_SCENE_H

#include "rig.h"

#include "util/clock.h"

/* Changes wait in a journal, and what is known is believed for as long as a test takes. */
#define UP_JOURNAL(g, ...)                                                                         \
    rig_up(g, &(struct rig_config){.journal = true, .coherence_ns = 600 * NS_PER_S, __VA_ARGS__})

/* All that is there by now is old enough for its version to be told from the next. */
void scene_age(void);
/* A file of size bytes, scene_byte says which, that is old enough. They are the caller's to free.
 */
char *scene_big(struct rig *g, const char *path, size_t size);
char scene_byte(uint64_t off);
void scene_expect_bytes(struct rig *g, const char *path, const char *want, size_t size);

/* In the sandbox, past fs and what counts its requests, now. They fail the test themselves. */
struct remote_attr inside_attr(struct rig *g, const char *path);
void inside_create(struct rig *g, const char *path);
void inside_mkdir(struct rig *g, const char *path);
void inside_put(struct rig *g, const char *path,
                const char *text); /* a new file if none is there */
void inside_move(struct rig *g, const char *from, const char *to);
void inside_link(struct rig *g, const char *from, const char *to);
void inside_unlink(struct rig *g, const char *path);

#endif
