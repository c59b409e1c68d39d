/* Language servers: what the daemon passes on to them. */
#include "sdk/call.h"
#include "sdk/error.h"

#include "util/array.h"
#include "wire/json.h"

#include <daytona/lsp.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 1 << 20, ANSWER_MAX = 256 << 20 };

static struct call lsp_call(const char *name, const char *method, const char *path)
{
    return (struct call){
        .name = name,
        .method = method,
        .path = path,
        .flags = HTTP_IDEMPOTENT | HTTP_NO_STALL, /* a server may think for long */
        .body_max = ANSWER_MAX,
        .json_errors = true,
    };
}

/* --- what is only told */

/* uri and at may be NULL. Leaves the object open. */
static void put(struct json_out *o, const struct daytona_lsp *lsp, const char *uri,
                const struct daytona_lsp_position *at)
{
    json_open(o, '{');
    json_key(o, "languageId");
    json_string(o, lsp->language);
    json_key(o, "pathToProject");
    json_string(o, lsp->project);
    if (uri) {
        json_key(o, "uri");
        json_string(o, uri);
    }
    if (at) {
        json_key(o, "position");
        json_open(o, '{');
        json_key(o, "line");
        json_int(o, at->line);
        json_key(o, "character");
        json_int(o, at->character);
        json_close(o, '}');
    }
    json_close(o, '}');
}

static int tell(struct daytona_sandbox *sb, const char *name, const char *path,
                const struct daytona_lsp *lsp, const char *uri)
{
    struct call call = lsp_call(name, "POST", path);
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    int r;

    error_begin(name);
    put(&o, lsp, uri, NULL);
    r = call_body(&call, &o);
    if (r == 0)
        r = call_toolbox_only(sb, &call);
    buf_done(&body);
    return r;
}

int daytona_lsp_start(struct daytona_sandbox *sb, const struct daytona_lsp *lsp)
{
    return tell(sb, "startLspServer", "/lsp/start", lsp, NULL);
}

int daytona_lsp_stop(struct daytona_sandbox *sb, const struct daytona_lsp *lsp)
{
    return tell(sb, "stopLspServer", "/lsp/stop", lsp, NULL);
}

int daytona_lsp_open(struct daytona_sandbox *sb, const struct daytona_lsp *lsp, const char *uri)
{
    return tell(sb, "lspDidOpen", "/lsp/did-open", lsp, uri);
}

int daytona_lsp_close(struct daytona_sandbox *sb, const struct daytona_lsp *lsp, const char *uri)
{
    return tell(sb, "lspDidClose", "/lsp/did-close", lsp, uri);
}

/* --- completions */

#define COMPLETION(member, key, type, flags)                                                       \
    JSON_FIELD(struct daytona_lsp_completion, member, key, type, flags)

static const struct json_field completion_fields[] = {
    COMPLETION(label, "label", JSON_STRING, JSON_REQUIRED),
    COMPLETION(detail, "detail", JSON_STRING, JSON_LENIENT),
    COMPLETION(insert_text, "insertText", JSON_STRING, JSON_LENIENT),
    COMPLETION(sort_text, "sortText", JSON_STRING, JSON_LENIENT),
    COMPLETION(filter_text, "filterText", JSON_STRING, JSON_LENIENT),
    COMPLETION(kind, "kind", JSON_INT, JSON_LENIENT),
};
static const struct json_shape completion_shape = {
    .fields = completion_fields,
    .count = ARRAY_LEN(completion_fields),
    .size = sizeof(struct daytona_lsp_completion),
};

void daytona_lsp_completions_free(struct daytona_lsp_completion *list, size_t count)
{
    json_free_list(&completion_shape, list, count);
}

struct incomplete {
    bool yes;
};
static const struct json_field incomplete_fields[] = {
    JSON_FIELD(struct incomplete, yes, "isIncomplete", JSON_BOOL, JSON_LENIENT),
};

int daytona_lsp_completions(struct daytona_sandbox *sb, const struct daytona_lsp *lsp,
                            const char *uri, const struct daytona_lsp_position *at,
                            struct daytona_lsp_completion **ret, size_t *ret_count,
                            bool *ret_incomplete)
{
    struct call call = lsp_call("lspCompletions", "POST", "/lsp/completions");
    struct incomplete incomplete = {0};
    struct buf body = BUF_INIT(BODY_MAX);
    struct json_out o = {.buf = &body};
    struct http_response response;
    int r;

    error_begin("lspCompletions");
    put(&o, lsp, uri, at);
    r = call_body(&call, &o);
    if (r == 0)
        r = call_toolbox(sb, &call, &response);
    buf_done(&body);
    if (r < 0)
        return r;
    r = json_read(buf_str(&response.body), response.body.len, incomplete_fields,
                  ARRAY_LEN(incomplete_fields), &incomplete);
    if (r == 0)
        r = json_read_list(buf_str(&response.body), response.body.len, "items", &completion_shape,
                           (void **)ret, ret_count);
    if (r < 0)
        call_garbled(r, &response);
    else if (ret_incomplete)
        *ret_incomplete = incomplete.yes;
    http_response_done(&response);
    return r;
}

/* --- symbols */

#define SYMBOL(member, key, type, flags)                                                           \
    JSON_FIELD(struct daytona_lsp_symbol, member, key, type, flags)

static const struct json_field symbol_fields[] = {
    SYMBOL(name, "name", JSON_STRING, JSON_REQUIRED),
    SYMBOL(kind, "kind", JSON_INT, JSON_LENIENT),
};
static const struct json_field uri_fields[] = {SYMBOL(uri, "uri", JSON_STRING, JSON_REQUIRED)};
/* What stands in the symbol itself, and is its to be freed. */
static const struct json_field owned_fields[] = {
    SYMBOL(name, "name", JSON_STRING, JSON_REQUIRED),
    SYMBOL(uri, "uri", JSON_STRING, JSON_REQUIRED),
};
static const struct json_field position_fields[] = {
    JSON_FIELD(struct daytona_lsp_position, line, "line", JSON_INT, JSON_REQUIRED),
    JSON_FIELD(struct daytona_lsp_position, character, "character", JSON_INT, JSON_REQUIRED),
};

void daytona_lsp_symbols_free(struct daytona_lsp_symbol *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        json_unload(owned_fields, ARRAY_LEN(owned_fields), &list[i]);
    free(list);
}

static const cJSON *member(const cJSON *object, const char *key)
{
    return cJSON_GetObjectItemCaseSensitive(object, key);
}

/* {kind, location: {range: {start, end}, uri}, name} */
static int load_symbol(const cJSON *json, struct daytona_lsp_symbol *ret)
{
    const cJSON *location = member(json, "location"), *range = member(location, "range");
    int r;

    r = json_load(json, symbol_fields, ARRAY_LEN(symbol_fields), ret);
    if (r == 0)
        r = json_load(location, uri_fields, ARRAY_LEN(uri_fields), ret);
    if (r == 0)
        r = json_load(member(range, "start"), position_fields, ARRAY_LEN(position_fields),
                      &ret->start);
    if (r == 0)
        r = json_load(member(range, "end"), position_fields, ARRAY_LEN(position_fields), &ret->end);
    return r;
}

struct symbols {
    struct daytona_lsp_symbol *list;
    size_t count, room;
};

static int add_symbol(void *arg, const cJSON *json)
{
    struct symbols *s = arg;

    if (s->count == s->room) {
        const size_t room = s->room ? 2 * s->room : 16;
        struct daytona_lsp_symbol *more = realloc(s->list, room * sizeof(*more));

        if (!more)
            return -ENOMEM;
        s->list = more;
        s->room = room;
    }
    s->list[s->count] = (struct daytona_lsp_symbol){0};
    return load_symbol(json, &s->list[s->count++]);
}

static int get_symbols(struct daytona_sandbox *sb, struct call *call, const struct daytona_lsp *lsp,
                       struct daytona_lsp_symbol **ret, size_t *ret_count)
{
    struct symbols symbols = {0};
    struct http_response response;
    int r;

    call->query[1].key = "languageId";
    call->query[1].value = lsp->language;
    call->query[2].key = "pathToProject";
    call->query[2].value = lsp->project;
    r = call_toolbox(sb, call, &response);
    if (r < 0)
        return r;
    if (strcmp(buf_str(&response.body), "null") != 0)
        r = json_array_each(buf_str(&response.body), response.body.len, add_symbol, &symbols);
    if (r < 0) {
        call_garbled(r, &response);
        daytona_lsp_symbols_free(symbols.list, symbols.count);
    } else {
        *ret = symbols.list;
        *ret_count = symbols.count;
    }
    http_response_done(&response);
    return r;
}

int daytona_lsp_document_symbols(struct daytona_sandbox *sb, const struct daytona_lsp *lsp,
                                 const char *uri, struct daytona_lsp_symbol **ret,
                                 size_t *ret_count)
{
    struct call call = lsp_call("lspDocumentSymbols", "GET", "/lsp/document-symbols");

    error_begin("lspDocumentSymbols");
    call.query[0].key = "uri";
    call.query[0].value = uri;
    return get_symbols(sb, &call, lsp, ret, ret_count);
}

int daytona_lsp_workspace_symbols(struct daytona_sandbox *sb, const struct daytona_lsp *lsp,
                                  const char *query, struct daytona_lsp_symbol **ret,
                                  size_t *ret_count)
{
    struct call call = lsp_call("lspWorkspaceSymbols", "GET", "/lsp/workspacesymbols");

    error_begin("lspWorkspaceSymbols");
    call.query[0].key = "query";
    call.query[0].value = query;
    return get_symbols(sb, &call, lsp, ret, ret_count);
}
