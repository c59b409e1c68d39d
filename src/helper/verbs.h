/* verbs.h - one function a verb. Each emits what it finds; 0 or -errno of the whole question. */
#ifndef HELPER_VERBS_H
#define HELPER_VERBS_H

#include "helper/emit.h"

/* The answer's first frame. Called again before anything else was emitted, it replaces that. root
 * is the directory that the answer is about; -1: no mount matters. */
void start_emit(struct emit *e, int root);
/* Which start of the sandbox this is, filled up with zeros. */
enum { START_NAME = 128 };
void start_name(int root, char ret[START_NAME]);
/* How much room there is where root is. -errno: nothing was emitted. */
int emit_space(struct emit *e, int root);

/* *ret_more: a limit was reached, there is more to ask for. Not written by verbs without limits. */
int verb_info(struct emit *e, const struct proto_request *req, bool *ret_more);
int verb_statfs(struct emit *e, const struct proto_request *req, bool *ret_more);
int verb_tree(struct emit *e, const struct proto_request *req, bool *ret_more);
int verb_changes(struct emit *e, const struct proto_request *req, bool *ret_more);
int verb_stat(struct emit *e, const struct proto_request *req, bool *ret_more);
int verb_read(struct emit *e, const struct proto_request *req, bool *ret_more);

#endif
