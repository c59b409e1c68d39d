/*
 * A command, and what it changed, in one request: the helper runs in the same shell once the
 * command has ended. What of its answer does not come is no failure of the command.
 */
#include "remote/helper_internal.h"

#include "remote/plain_internal.h"

#include <errno.h>

struct taking {
    struct helper *h;
    struct remote_after *after;
    char token[HELPER_TOKEN_LEN + 1];
};

static struct proto_request request_of(const struct remote_ask *ask)
{
    return (struct proto_request){.verb = PROTO_VERB_CHANGES,
                                  .root = (char *)ask->root, /* encoding does not write */
                                  .since_ns = ask->since_ns,
                                  .max_bytes = HELPER_AFTER_BYTES,
                                  .paths = (char **)ask->paths,
                                  .path_count = ask->path_count};
}

int helper_after_put(struct helper *h, const struct remote_after *after,
                     char ret_token[HELPER_TOKEN_LEN + 1], struct buf *command)
{
    const struct proto_request req = request_of(after->ask);
    struct buf word = BUF_INIT(HELPER_AFTER_WORD);
    int r = helper_token(ret_token);

    if (r == 0)
        r = helper_word(&req, &word);
    if (r == 0)
        r = helper_command(h, ret_token, &word, command);
    buf_done(&word);
    return r;
}

void helper_after_take(struct helper *h, const char *token, const char *text, size_t len,
                       struct remote_after *after)
{
    const struct proto_request req = request_of(after->ask);
    struct buf raw = BUF_INIT(2 * HELPER_AFTER_BYTES);

    after->answered = answer_text(token, text, len, &raw) == 0 &&
                      helper_tree_take(h, &raw, &req, &after->tree) == 0;
    buf_done(&raw);
}

static void take(void *arg, const char *out, size_t len)
{
    struct taking *t = arg;

    helper_after_take(t->h, t->token, out, len, t->after);
}

int helper_exec(struct remote *r, const struct remote_exec *exec, struct buf *out, int *ret_exit)
{
    struct helper *h = helper_of(r);
    struct plain *plain = remote_plain_of(h->plain);
    struct taking t = {.h = h, .after = exec->after};
    struct buf command = BUF_INIT(2 * HELPER_AFTER_WORD);
    struct plain_more more = {.output_max = 2 * HELPER_AFTER_BYTES, .take = take, .arg = &t};
    int err;

    if (!plain || !exec->after || helper_after_put(h, exec->after, t.token, &command) < 0) {
        err = remote_exec(h->plain, exec, out, ret_exit);
    } else {
        more.command = buf_str(&command);
        err = plain_exec_more(plain, exec, &more, out, ret_exit);
    }
    buf_done(&command);
    return err;
}
