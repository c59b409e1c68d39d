/*
 * helper_answer.h - what the helper answered, taken apart. Everything here comes from the sandbox:
 * decoders trust nothing and are pure functions of their arguments. -EPROTO: damaged, cut, or not
 * an answer to what was asked. What the helper itself reports is its negative errno.
 */
#ifndef REMOTE_HELPER_ANSWER_H
#define REMOTE_HELPER_ANSWER_H

#include "proto/run.h"
#include "remote/job.h"
#include "remote/remote.h"

/*
 * Appends the frames that a command printed as TOKEN:base64:TOKEN, anything around it. -ENODATA:
 * there is none, the helper did not run. -EPROTO: it began and did not end.
 */
int answer_text(const char *token, const char *out, size_t len, struct buf *ret_raw);

struct answer_end {
    struct proto_start start; /* boot points into raw */
    int err;                  /* 0 or -errno: how the whole question went */
    bool more;
};
/* Checks that all frames are there, from the first to the last. */
int answer_check(const struct buf *raw, struct answer_end *ret);

/*
 * Hands take every frame between the first and the last until it returns -errno. *ret_entries: how
 * many entries there are by the helper's own count. For helper_answer*.c.
 */
int answer_walk(const struct buf *raw, int (*take)(void *arg, const struct proto_frame *f),
                void *arg, struct answer_end *ret, uint64_t *ret_entries);

/* What tells apart files that have had one number, of when they were born. Never 0. */
void answer_device(uint64_t dev, struct remote_attr *ret); /* dev and mount */

/* Names that are ours and not to be seen. NULL: none. */
struct answer_hide {
    bool temps;      /* names that files have, anywhere, until they are finished */
    const char *dir; /* an absolute path */
};

/* To TREE and CHANGES. */
int answer_tree(const struct buf *raw, const struct proto_request *req,
                const struct answer_hide *hide, struct remote_tree *ret);
int answer_info(const struct buf *raw, struct answer_end *ret_end, struct proto_info *ret);
int answer_statfs(const struct buf *raw, struct remote_statfs *ret);
struct remote_applied;
/* To a batch of count changes. *ret_more: ask again, and then ret is not written; *ret_settled. */
int answer_applied(const struct buf *raw, size_t count, struct remote_applied *ret, bool *ret_more,
                   uint64_t *ret_settled);
/* To a request to join. */
struct remote_joined;
int answer_joined(const struct buf *raw, struct remote_joined *to, bool *ret_more);
/* To STAT of one path. *ret_target is the caller's; NULL if it is no link. */
int answer_stat(const struct buf *raw, struct remote_attr *ret, char **ret_target);
/*
 * To READ: appends the bytes off to off + len, fewer at the end of the file only. -ESTALE: the file
 * changed meanwhile. ret is what it was like.
 */
int answer_read(const struct buf *raw, uint64_t off, uint64_t len, struct buf *out,
                struct remote_attr *ret);

/* To a question about jobs. out and err (may be NULL: then there must be no output) get the bytes
 * from the offsets that were asked for. */
int answer_run(const struct buf *raw, const struct run_request *req, struct buf *out,
               struct buf *err, struct remote_job_answer *ret);

#endif
