/*
 * flush_model.h - a plain directory that gets the operations which flush gets, and in the end must
 * be what the sandbox is.
 */
#ifndef TESTS_FLUSH_MODEL_H
#define TESTS_FLUSH_MODEL_H

#include "flush_rig.h"

enum { MODEL_OBJECTS = 4096 };

struct flush_model {
    struct remote *tree; /* of its own */
    struct flush_rig *g; /* NULL: only the plain directory */
    struct {
        uint64_t ino, seq; /* in tree; the last change of it */
    } objects[MODEL_OBJECTS];
    size_t object_count;
    uint64_t last;   /* the last change that was taken */
    unsigned taken;  /* operations so far */
    unsigned waited; /* so many when a wait last succeeded */
    unsigned limit;  /* no more than these; 0: any number */
    int err;         /* 0, or why it took no more */
    uint64_t group;  /* of the data that is written now */
    bool patient;    /* who waits and is told that nobody is there asks again */
};

void model_up(struct flush_model *m, struct flush_rig *g);
void model_down(struct flush_model *m);

/* Each is done in tree, and if that works given to flush: 0 or -errno of either. */
int model_create(struct flush_model *m, const char *path);
int model_write(struct flush_model *m, const char *path, uint64_t off, const void *p, size_t n);
int model_append(struct flush_model *m, const char *path, const void *p, size_t n);
int model_truncate(struct flush_model *m, const char *path, uint64_t size);
int model_mkdir(struct flush_model *m, const char *path);
int model_symlink(struct flush_model *m, const char *target, const char *path);
int model_link(struct flush_model *m, const char *from, const char *to);
int model_rename(struct flush_model *m, const char *from, const char *to);
int model_unlink(struct flush_model *m, const char *path);
int model_rmdir(struct flush_model *m, const char *path);
int model_chmod(struct flush_model *m, const char *path, unsigned mode);
void model_wait(struct flush_model *m, bool fsync); /* for the last one; m->err */

/* NULL if both hold the same; else what differs: the caller's. */
char *model_differs(struct remote *a, struct remote *b);

#endif
