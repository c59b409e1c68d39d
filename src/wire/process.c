#include "wire/process.h"

#include "util/array.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

static const struct json_field execute_fields[] = {
    JSON_FIELD(struct wire_execute, command, "command", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct wire_execute, cwd, "cwd", JSON_STRING, JSON_OMIT),
    JSON_FIELD(struct wire_execute, env, "envs", JSON_PAIRS, JSON_OMIT),
    JSON_FIELD(struct wire_execute, timeout_s, "timeout", JSON_INT, JSON_OMIT),
};

void wire_execute_done(struct wire_execute *e)
{
    json_unload(execute_fields, ARRAY_LEN(execute_fields), e);
}

int wire_execute_read(const void *text, size_t len, struct wire_execute *ret)
{
    struct wire_execute e = {0};
    const int r = json_read(text, len, execute_fields, ARRAY_LEN(execute_fields), &e);

    if (r < 0)
        return r;
    if (e.timeout_s < 0 || e.timeout_s > UINT32_MAX || !e.command[strspn(e.command, " \t\r\n")]) {
        wire_execute_done(&e);
        return -EPROTO;
    }
    *ret = e;
    return 0;
}

static bool is_text(const char *s)
{
    return !s || json_utf8_valid(s, strlen(s));
}

int wire_execute_write(struct buf *out, const struct wire_execute *e)
{
    const size_t start = out->len;
    struct wire_execute copy = *e;
    struct json_out o = {.buf = out};

    if (!is_text(e->command) || !is_text(e->cwd))
        return -EILSEQ;
    for (size_t i = 0; i < e->env.count; i++) {
        if (!is_text(e->env.list[i].key) || !is_text(e->env.list[i].value))
            return -EILSEQ;
    }
    if (copy.timeout_s == 0)
        copy.timeout_s = JSON_ABSENT;
    json_open(&o, '{');
    json_fields(&o, execute_fields, ARRAY_LEN(execute_fields), &copy);
    json_close(&o, '}');
    if (o.err < 0)
        buf_truncate(out, start);
    return o.err;
}

struct result_json {
    int64_t exit_code;
    char *output;
};

static const struct json_field result_fields[] = {
    JSON_FIELD(struct result_json, exit_code, "exitCode", JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct result_json, output, "result", JSON_STRING, 0),
};

void wire_result_done(struct wire_result *r)
{
    free(r->output);
    *r = (struct wire_result){0};
}

/*
 * cJSON ends a string at \u0000, and commands may print NUL. So NUL travels through it as U+0001
 * followed by 'z', and U+0001 itself as U+0001 followed by 'o'.
 */
static int stuff(const char *text, size_t len, struct buf *out)
{
    size_t start = 0, i = 0;
    int r = 0;

    while (i < len && r == 0) {
        size_t n = text[i] == '\\' && len - i >= 2 ? 2 : 1;
        const char *instead = NULL;

        if (text[i] == '\1')
            return -EPROTO; /* not allowed in JSON, and would be taken for ours */
        if (len - i >= 6 && memcmp(text + i, "\\u0000", 6) == 0) {
            instead = "\\u0001z";
            n = 6;
        } else if (len - i >= 6 && memcmp(text + i, "\\u0001", 6) == 0) {
            instead = "\\u0001o";
            n = 6;
        }
        i += n;
        if (!instead)
            continue;
        r = buf_append(out, text + start, i - n - start);
        if (r == 0)
            r = buf_puts(out, instead);
        start = i;
    }
    return r < 0 ? r : buf_append(out, text + start, len - start);
}

/* In place; returns the length, as there may now be NULs. */
static size_t unstuff(char *s)
{
    char *to = s;

    for (const char *from = s; *from; from++) {
        if (from[0] == '\1' && (from[1] == 'z' || from[1] == 'o'))
            *to++ = *++from == 'z' ? '\0' : '\1';
        else
            *to++ = *from;
    }
    *to = '\0';
    return (size_t)(to - s);
}

/* json_parse for texts whose strings may hold NUL: *ret_stuffed says that they are to be unstuffed.
 */
static int parse_with_nul(const void *text, size_t len, cJSON **ret, bool *ret_stuffed)
{
    struct buf safe = BUF_INIT(len * 2);
    int r;

    *ret_stuffed = memmem(text, len, "\\u0000", 6) != NULL;
    if (!*ret_stuffed)
        return json_parse(text, len, ret);
    r = stuff(text, len, &safe);
    if (r == 0)
        r = json_parse(safe.data, safe.len, ret);
    buf_done(&safe);
    return r;
}

static size_t real_len(char *s, bool stuffed)
{
    return stuffed ? unstuff(s) : strlen(s);
}

int wire_result_read(const void *text, size_t len, struct wire_result *ret)
{
    struct result_json result = {0};
    cJSON *json = NULL;
    bool stuffed;
    int r;

    r = parse_with_nul(text, len, &json, &stuffed);
    if (r == 0)
        r = json_load(json, result_fields, ARRAY_LEN(result_fields), &result);
    cJSON_Delete(json);
    if (r < 0)
        return r;
    if (result.exit_code < INT_MIN || result.exit_code > INT_MAX) {
        free(result.output);
        return -EPROTO;
    }
    *ret = (struct wire_result){.exit_code = (int)result.exit_code, .output = result.output};
    ret->len = real_len(ret->output, stuffed);
    return 0;
}

struct session_json {
    char *command_id, *output, *out, *err;
    int64_t exit_code;
};

#define SESSION_FIELD(member, key, type, flags)                                                    \
    JSON_FIELD(struct session_json, member, key, type, flags)

static const struct json_field session_fields[] = {
    SESSION_FIELD(command_id, "cmdId", JSON_STRING, JSON_REQUIRED),
    SESSION_FIELD(output, "output", JSON_STRING, 0),
    SESSION_FIELD(out, "stdout", JSON_STRING, 0),
    SESSION_FIELD(err, "stderr", JSON_STRING, 0),
    SESSION_FIELD(exit_code, "exitCode", JSON_INT, 0),
};

void wire_session_result_done(struct wire_session_result *r)
{
    free(r->command_id);
    free(r->output);
    free(r->out);
    free(r->err);
    *r = (struct wire_session_result){0};
}

int wire_session_result_read(const void *text, size_t len, struct wire_session_result *ret)
{
    struct session_json j = {.exit_code = JSON_ABSENT};
    cJSON *json = NULL;
    bool stuffed, split = false;
    int r;

    r = parse_with_nul(text, len, &json, &stuffed);
    if (r == 0) {
        split = cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "stdout")) ||
                cJSON_IsString(cJSON_GetObjectItemCaseSensitive(json, "stderr"));
        r = json_load(json, session_fields, ARRAY_LEN(session_fields), &j);
    }
    cJSON_Delete(json);
    if (r < 0)
        return r;
    if (j.exit_code != JSON_ABSENT && (j.exit_code < INT_MIN || j.exit_code > INT_MAX)) {
        json_unload(session_fields, ARRAY_LEN(session_fields), &j);
        return -EPROTO;
    }
    *ret = (struct wire_session_result){
        .command_id = j.command_id,
        .running = j.exit_code == JSON_ABSENT,
        .exit_code = j.exit_code == JSON_ABSENT ? 0 : (int)j.exit_code,
        .split = split,
        .output = j.output,
        .out = j.out,
        .err = j.err,
        .output_len = real_len(j.output, stuffed),
        .out_len = real_len(j.out, stuffed),
        .err_len = real_len(j.err, stuffed),
    };
    return 0;
}

int wire_result_write(struct buf *out, const struct wire_result *result)
{
    const size_t start = out->len;
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    json_key(&o, "exitCode");
    json_int(&o, result->exit_code);
    json_key(&o, "result");
    json_bytes(&o, result->output ? result->output : "", result->len);
    json_close(&o, '}');
    if (o.err < 0)
        buf_truncate(out, start);
    return o.err;
}
