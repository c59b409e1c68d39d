/* gate.h - a remote that can be stopped between a question and its answer. Tests only. */
#ifndef TESTS_GATE_H
#define TESTS_GATE_H

#include "remote/remote.h"

struct gate;

enum gate_call { GATE_NONE, GATE_LIST, GATE_STAT, GATE_FETCH, GATE_PUT };

struct remote *gate_new(struct remote *inner, struct gate **ret);
/* Calls of that kind are made, and then wait with their answer; GATE_NONE lets all go on. */
void gate_close(struct gate *g, enum gate_call call);
void gate_await(struct gate *g, unsigned waiting); /* until so many wait */
unsigned gate_count(struct gate *g, enum gate_call call);

#endif
