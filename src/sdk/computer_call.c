/* One call of the desktop. What the mouse and the keyboard do is not done twice. */
#include "sdk/computer_call.h"

#include "sdk/error.h"

#include "wire/file.h"

#include <string.h>

enum { BODY_MAX = 1 << 20, ANSWER_MAX = 96 << 20 };

static void put_member(struct json_out *o, const struct computer_member *m)
{
    if ((m->kind == C_STRING && !m->s) || (m->kind == C_STRINGS && m->list->count == 0))
        return;
    json_key(o, m->key);
    switch (m->kind) {
    case C_STRING:
        json_string(o, m->s);
        break;
    case C_INT:
        json_int(o, m->i);
        break;
    case C_BOOL:
        json_bool(o, m->i);
        break;
    case C_STRINGS:
        json_strings(o, m->list);
        break;
    }
}

/* The answer is the caller's: http_response_done. Begins the last error. */
static int ask(struct daytona_sandbox *sb, const struct computer_call *c, struct http_response *ret)
{
    const bool reads = strcmp(c->method, "GET") == 0;
    struct buf path = BUF_INIT(64 << 10), body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    struct call call = {
        .name = c->name,
        .method = c->method,
        .flags = reads ? HTTP_IDEMPOTENT : HTTP_CHUNKED,
        .body_max = ANSWER_MAX,
        .json_errors = true,
    };
    int r;

    error_begin(c->name);
    r = c->id ? call_path(&path, c->path, c->id, c->tail ? c->tail : "")
              : error_default(buf_puts(&path, c->path));
    if (r == 0 && strcmp(c->method, "POST") == 0) {
        json_open(&o, '{');
        for (size_t i = 0; i < c->count; i++)
            put_member(&o, &c->members[i]);
        json_close(&o, '}');
        r = call_body(&call, &o);
    }
    call.path = buf_str(&path);
    if (r == 0)
        r = call_toolbox(sb, &call, ret);
    buf_done(&path);
    buf_done(&body);
    return r;
}

int computer_only(struct daytona_sandbox *sb, const struct computer_call *c)
{
    struct http_response response;
    int r;

    r = ask(sb, c, &response);
    if (r == 0)
        http_response_done(&response);
    return r;
}

int computer_object(struct daytona_sandbox *sb, const struct computer_call *c,
                    const struct json_field *fields, size_t count, void *ret)
{
    struct http_response response;
    int r;

    r = ask(sb, c, &response);
    if (r < 0)
        return r;
    r = json_read(buf_str(&response.body), response.body.len, fields, count, ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

int computer_list(struct daytona_sandbox *sb, const struct computer_call *c, const char *key,
                  const struct json_shape *shape, void **ret, size_t *ret_count)
{
    struct http_response response;
    int r;

    r = ask(sb, c, &response);
    if (r < 0)
        return r;
    r = json_read_list(buf_str(&response.body), response.body.len, key, shape, ret, ret_count);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}

int computer_string(struct daytona_sandbox *sb, const struct computer_call *c, const char *key,
                    char **ret)
{
    struct http_response response;
    int r;

    r = ask(sb, c, &response);
    if (r < 0)
        return r;
    r = wire_string_read(buf_str(&response.body), response.body.len, key, ret);
    if (r < 0)
        call_garbled(r, &response);
    http_response_done(&response);
    return r;
}
