/*
 * The program that runs inside the sandbox: HELPER TOKEN REQUEST, with the request as one base64
 * word; "-" is for one that is too long for an argument: it is then the first line of stdin. The
 * answer goes to stdout; see proto/proto.h. Exit code 0 once an answer was begun, which then says
 * by itself how it went; 2 for a call that makes no sense.
 */
#include "helper/apply.h"
#include "helper/emit.h"
#include "helper/run.h"
#include "helper/verbs.h"
#include "util/array.h"
#include "util/base64.h"

#include <ctype.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int (*const verbs[])(struct emit *, const struct proto_request *, bool *) = {
    [PROTO_VERB_INFO] = verb_info,       [PROTO_VERB_TREE] = verb_tree,
    [PROTO_VERB_CHANGES] = verb_changes, [PROTO_VERB_READ] = verb_read,
    [PROTO_VERB_STATFS] = verb_statfs,   [PROTO_VERB_STAT] = verb_stat,
};

static const char usage[] = "usage: daytonafs-helper TOKEN REQUEST\n";

static bool token_valid(const char *token)
{
    size_t n = 0;

    while (isalnum((unsigned char)token[n]))
        n++;
    return n >= 8 && n <= 64 && token[n] == '\0';
}

/* Without its newline; what comes after it is not looked at. -EBADMSG: there is no line. */
static int read_request(struct buf *out)
{
    char chunk[64 << 10];

    for (;;) {
        const ssize_t n = read(STDIN_FILENO, chunk, sizeof(chunk));
        const char *end = n > 0 ? memchr(chunk, '\n', (size_t)n) : NULL;
        int r;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? -errno : -EBADMSG;
        r = buf_append(out, chunk, end ? (size_t)(end - chunk) : (size_t)n);
        if (r < 0 || end)
            return r;
    }
}

/* One of the three. */
struct question {
    bool run;         /* about jobs */
    struct buf batch; /* or the frames of one */
    struct proto_request req;
    struct run_request job;
};

static int decode(const char *text, size_t len, struct question *ret)
{
    struct buf raw = BUF_INIT(BATCH_MESSAGE_MAX);
    struct proto_frame frame;
    int r = base64_decode(&raw, text, len);

    if (r == 0 && raw.len == 0)
        r = -EBADMSG;
    if (r == 0) {
        const ssize_t n = proto_get_frame((const uint8_t *)raw.data, raw.len, &frame);

        if (n > 0 && ((int)frame.kind == PROTO_BATCH || (int)frame.kind == PROTO_BATCH_FILE)) {
            ret->batch = raw;
            return 0;
        }
        if (n <= 0 || (size_t)n != raw.len) {
            r = -EBADMSG;
        } else if ((int)frame.kind == PROTO_RUN) {
            ret->run = true;
            r = run_get_request(&frame, &ret->job);
        } else {
            r = proto_get_request(&frame, &ret->req);
        }
    }
    buf_done(&raw);
    return r;
}

static int take_question(const char *word, struct question *ret)
{
    struct buf line = BUF_INIT(2 * PROTO_BODY_MAX);
    int r;

    if (strcmp(word, "-") != 0)
        return decode(word, strlen(word), ret);
    r = read_request(&line);
    if (r == 0)
        r = decode(buf_str(&line), line.len, ret);
    buf_done(&line);
    return r;
}

static int answer(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    const size_t verb = (size_t)req->verb;

    return verb < ARRAY_LEN(verbs) && verbs[verb] ? verbs[verb](e, req, ret_more) : -EOPNOTSUPP;
}

/* Neither a failure nor the end: the shell goes on to what follows only after that. */
enum { EXIT_UNFINISHED = 3 };

int main(int argc, char **argv)
{
    struct question q = {0};
    struct emit e;
    bool more = false;
    int r;

    if (argc != 3 || !token_valid(argv[1])) {
        (void)!write(STDERR_FILENO, usage, strlen(usage));
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    if (emit_open(&e, argv[1]) < 0)
        return 1;
    start_emit(&e, -1);
    r = take_question(argv[2], &q);
    if (r == 0 && q.batch.len > 0)
        r = verb_apply(&e, &q.batch, &more);
    else if (r == 0 && q.run)
        r = verb_run(&e, &q.job, &more);
    else if (r == 0)
        r = answer(&e, &q.req, &more);
    r = emit_close(&e, r, more);
    buf_done(&q.batch);
    proto_request_done(&q.req);
    run_request_done(&q.job);
    return r < 0 ? 1 : e.unfinished ? EXIT_UNFINISHED : 0;
}
