/* One question to the helper: the command that carries it, and the answer's frames. */
#include "remote/helper_internal.h"

#include "remote/plain_internal.h"
#include "util/base64.h"
#include "util/random.h"

#include <daytona/process.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

/*
 * A longer word goes to stdin: zsh and bash read a command byte by byte, and Linux takes 128 KiB in
 * one argument.
 */
enum { ARGUMENT_MAX = 8 << 10, COMMAND_MAX = 4 << 20 };

int helper_token(char ret[HELPER_TOKEN_LEN + 1])
{
    return random_hex(ret, HELPER_TOKEN_LEN);
}

int helper_word(const struct proto_request *req, struct buf *out)
{
    struct buf frame = BUF_INIT(PROTO_BODY_MAX + PROTO_HEADER);
    int r = proto_put_request(&frame, req);

    if (r == 0)
        r = base64_encode(out, frame.data, frame.len);
    buf_done(&frame);
    return r;
}

static int execute(struct helper *h, const char *command, const struct helper_way *way,
                   struct buf *out)
{
    const uint32_t timeout_s = h->op_timeout_s > 0 ? h->op_timeout_s + way->more_s : 0;
    const struct daytona_execute execute = {.command = command,
                                            .cwd = "/",
                                            .timeout_s = timeout_s,
                                            .output_max = way->answer_max,
                                            .background = way->background};
    struct daytona_result result = {0};
    int r = daytona_process_execute(h->sandbox, &execute, &result);

    r = r < 0 ? plain_net_error(r)
              : buf_append(out, result.output ? result.output : "", result.len);
    daytona_result_done(&result);
    return r;
}

int helper_run(struct helper *h, const char *command, const struct helper_way *way, struct buf *out)
{
    int r = execute(h, command, way, out);

    return r == -ECONNRESET && !way->once ? execute(h, command, way, out) : r;
}

/*
 * sh -c '…' is understood by every shell and by daemons that have none. Inside it are neither
 * single quotes nor anything that is not ours: dir was checked, token and word have no such bytes.
 */
static int put_call(struct buf *out, const char *dir, const char *hash, const char *token,
                    const char *word)
{
    return buf_printf(out,
                      "sh -c 'd=\"%s\";[ -O \"$d\" ]&&[ ! -L \"$d\" ]&&exec \"$d/h-%s\" %s %s'",
                      dir, hash, token, word);
}

static int put_command(const char *dir, const char *hash, const char *token, const struct buf *word,
                       bool left, struct buf *out)
{
    int r;

    if (word->len <= ARGUMENT_MAX) {
        r = put_call(out, dir, hash, token, buf_str(word));
        return r < 0 ? r : buf_puts(out, " </dev/null");
    }
    if (left) {
        r = buf_puts(out, "exec ");
        if (r == 0)
            r = put_call(out, dir, hash, token, "-");
        return r < 0 ? r : buf_printf(out, "\n%s\n", word->data);
    }
    r = put_call(out, dir, hash, token, "-");
    return r < 0 ? r : buf_printf(out, " <<%s\n%s\n%s\n", token, word->data, token);
}

int helper_command(struct helper *h, const char *token, const struct buf *word, struct buf *out)
{
    char dir[HELPER_DIR_MAX];
    const char *hash;

    lock_take(&h->lock);
    memcpy(dir, h->dir, sizeof(dir));
    hash = h->program->hash;
    lock_drop(&h->lock);
    return put_command(dir, hash, token, word, false, out);
}

/* command, and once that has ended with success what is asked after it. A shell has to see to that,
 * one that goes on reading its stdin. False: there is none, or it is too long; out is as it was. */
static bool put_after(struct helper *h, const struct buf *command, const struct helper_way *way,
                      char after_token[HELPER_TOKEN_LEN + 1], struct buf *out)
{
    const size_t start = out->len;
    int r;

    if (!way->after || !h->info.shell[0])
        return false;
    r = buf_printf(out, "if %s\nthen ", buf_str(command));
    if (r == 0)
        r = helper_after_put(h, way->after, after_token, out);
    if (r == 0)
        r = buf_puts(out, "\nfi\n");
    if (r < 0)
        buf_truncate(out, start);
    return r == 0;
}

/* -ENODATA: the helper did not run. */
static int ask_once(struct helper *h, const char *dir, const char *hash, const struct buf *word,
                    bool left, const struct helper_way *way, struct buf *raw)
{
    struct buf command = BUF_INIT(COMMAND_MAX), text = BUF_INIT(way->answer_max);
    struct buf both = BUF_INIT(COMMAND_MAX);
    char token[HELPER_TOKEN_LEN + 1], after_token[HELPER_TOKEN_LEN + 1];
    bool after = false;
    int r = helper_token(token);

    if (r == 0)
        r = put_command(dir, hash, token, word, left && !way->after, &command);
    if (r == 0)
        after = put_after(h, &command, way, after_token, &both);
    if (r == 0)
        r = helper_run(h, buf_str(after ? &both : &command), way, &text);
    if (r == 0)
        r = answer_text(token, buf_str(&text), text.len, raw);
    if (r == 0 && after)
        helper_after_take(h, after_token, buf_str(&text), text.len, way->after);
    buf_done(&both);
    buf_done(&command);
    buf_done(&text);
    return r;
}

/* The word did not arrive whole: this shell, or the one it is today, has read from it. */
static bool lost_its_stdin(const struct buf *raw)
{
    struct answer_end end;

    return answer_check(raw, &end) == 0 && end.err == -EBADMSG;
}

static int ask_here(struct helper *h, const char *dir, const char *hash, const struct buf *word,
                    const struct helper_way *way, struct buf *raw)
{
    const bool left = atomic_load(&h->stdin_is_left);
    const size_t start = raw->len;
    int r = ask_once(h, dir, hash, word, left, way, raw);

    if (r < 0 || !left || word->len <= ARGUMENT_MAX || !lost_its_stdin(raw))
        return r;
    atomic_store(&h->stdin_is_left, false);
    buf_truncate(raw, start);
    return ask_once(h, dir, hash, word, false, way, raw);
}

int helper_ask_word(struct helper *h, const struct buf *word, const struct helper_way *way,
                    struct buf *raw)
{
    char dir[HELPER_DIR_MAX];
    const char *hash;
    unsigned installs;
    int r = 0;

    for (int attempt = 0; r == 0 && attempt < 2; attempt++) {
        lock_take(&h->lock);
        memcpy(dir, h->dir, sizeof(dir));
        hash = h->program->hash;
        installs = h->installs;
        lock_drop(&h->lock);
        r = ask_here(h, dir, hash, word, way, raw);
        if (r != -ENODATA)
            break;
        r = attempt == 0 ? helper_install(h, installs, true, NULL, NULL) : -EIO;
        if (r == -EOPNOTSUPP)
            r = -EIO; /* it did run once: not what the caller can do without */
    }
    return r == -EPROTO ? -EIO : r;
}

int helper_ask(struct helper *h, const struct proto_request *req, const struct helper_way *way,
               struct buf *raw)
{
    struct buf word = BUF_INIT(2 * PROTO_BODY_MAX);
    int r = helper_word(req, &word);

    if (r == 0)
        r = helper_ask_word(h, &word, way, raw);
    buf_done(&word);
    return r;
}
