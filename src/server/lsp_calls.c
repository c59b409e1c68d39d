/* lsp_calls.c - /lsp: what an editor asks of a language server. */
#include "server/lsp.h"

#include "server/server_internal.h"

#include "util/array.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FILE_MAX = 8 << 20, DEPTH_MAX = 32 };

struct lsp_json {
    char *language, *project, *uri, *query;
};
static const struct json_field fields[] = {
    JSON_FIELD(struct lsp_json, language, "languageId", JSON_STRING, 0),
    JSON_FIELD(struct lsp_json, project, "pathToProject", JSON_STRING, 0),
    JSON_FIELD(struct lsp_json, uri, "uri", JSON_STRING, 0),
    JSON_FIELD(struct lsp_json, query, "query", JSON_STRING, 0),
};

static void unload(struct lsp_json *c)
{
    json_unload(fields, ARRAY_LEN(fields), c);
}

/* Of the body, or of the query of a GET. False: refused. */
static bool load(struct request *rq, bool need_uri, struct lsp_json *c)
{
    int r = 0;

    if (rq->body.len > 0) {
        r = request_json(rq, fields, ARRAY_LEN(fields), c);
    } else {
        for (size_t i = 0; r == 0 && i < ARRAY_LEN(fields); i++) {
            const char *value = request_query(rq, fields[i].key);
            char **to = (char **)((char *)c + fields[i].offset);

            *to = strdup(value ? value : "");
            if (!*to)
                r = -ENOMEM;
        }
    }
    if (r == 0 && *c->language && *c->project && (!need_uri || *c->uri))
        return true;
    unload(c);
    reply_status(rq, 400);
    return false;
}

/* Old daemons say nothing, newer ones why. */
static void refuse(struct request *rq, int r, const struct lsp_json *c)
{
    const int status = r == -EINVAL ? 400 : 500;

    if (!rq->srv->new_daemon)
        reply_status(rq, status);
    else if (r == -ENOENT)
        reply_error(rq, status, "INTERNAL_SERVER_ERROR",
                    "the language server for %.40s is not installed in this sandbox", c->language);
    else if (r == -EINVAL)
        reply_error(rq, status, "BAD_REQUEST", "bad request: no such language or document");
    else if (r == -ESRCH)
        reply_error(rq, status, "INTERNAL_SERVER_ERROR", "the language server is not started");
    else
        reply_error(rq, status, "INTERNAL_SERVER_ERROR",
                    r == -ETIMEDOUT ? "the language server does not answer"
                    : r == -EIO     ? "the language server refuses"
                                    : "the language server has ended");
}

static cJSON *document(const char *uri)
{
    cJSON *params = cJSON_CreateObject(),
          *doc = params ? cJSON_AddObjectToObject(params, "textDocument") : NULL;

    if (doc && cJSON_AddStringToObject(doc, "uri", uri))
        return params;
    cJSON_Delete(params);
    return NULL;
}

/* ---- start and stop ---- */

static int initialize(struct lsp *lsp)
{
    cJSON *params = cJSON_CreateObject(), *abilities;
    char uri[4200];
    int r;

    snprintf(uri, sizeof(uri), "file://%.4100s", lsp->project);
    if (!params || !cJSON_AddNullToObject(params, "processId") ||
        !cJSON_AddStringToObject(params, "rootUri", uri)) {
        cJSON_Delete(params);
        return -ENOMEM;
    }
    abilities = cJSON_AddObjectToObject(params, "capabilities");
    if (abilities)
        cJSON_AddObjectToObject(abilities, "textDocument");
    r = lsp_ask(lsp, "initialize", params, NULL);
    return r < 0 ? r : lsp_tell(lsp, "initialized", cJSON_CreateObject());
}

void lsp_post_start(struct request *rq)
{
    struct lsp_json c = {0};
    struct lsp *lsp;
    int r;

    if (!load(rq, false, &c))
        return;
    lsp = lsp_find(rq, c.language, c.project, true);
    r = lsp ? lsp_enter(lsp) : -EMFILE;
    if (r == 0) {
        if (!lsp_runs(lsp)) {
            r = lsp_spawn(rq, lsp);
            if (r == 0)
                r = initialize(lsp);
            if (r < 0)
                lsp_kill(lsp);
        }
        lsp_leave(lsp);
    }
    if (r < 0)
        refuse(rq, r, &c);
    else
        reply_status(rq, 200);
    lsp_unref(lsp);
    unload(&c);
}

/* One that runs, entered; else refused. */
static struct lsp *take(struct request *rq, const struct lsp_json *c)
{
    struct lsp *lsp = lsp_find(rq, c->language, c->project, false);
    int r = lsp ? lsp_enter(lsp) : -ESRCH;

    if (r == 0 && !lsp_runs(lsp)) {
        lsp_leave(lsp);
        r = -ESRCH;
    }
    if (r == 0)
        return lsp;
    lsp_unref(lsp);
    refuse(rq, r, c);
    return NULL;
}

static void give_back(struct lsp *lsp)
{
    lsp_leave(lsp);
    lsp_unref(lsp);
}

void lsp_post_stop(struct request *rq)
{
    struct lsp_json c = {0};
    struct lsp *lsp;

    if (!load(rq, false, &c))
        return;
    lsp = take(rq, &c);
    if (lsp) {
        if (lsp_ask(lsp, "shutdown", cJSON_CreateObject(), NULL) == 0)
            (void)lsp_tell(lsp, "exit", cJSON_CreateObject());
        lsp_kill(lsp); /* whether or not it has understood */
        give_back(lsp);
        reply_status(rq, 200);
    }
    unload(&c);
}

/* ---- documents ---- */

/* As JSON takes it: bytes that are not UTF-8 are replaced. */
static int read_document(const struct request *rq, const char *uri, struct buf *out)
{
    static const char scheme[] = "file://";
    struct buf raw = BUF_INIT(FILE_MAX);
    int fd, r = 0;

    if (strncmp(uri, scheme, sizeof(scheme) - 1) != 0)
        return -EINVAL;
    fd = view_open(rq, uri + sizeof(scheme) - 1, O_RDONLY | O_NONBLOCK, 0);
    if (fd < 0)
        return -EINVAL;
    while (r == 0) {
        char block[16384];
        const ssize_t n = read(fd, block, sizeof(block));

        if (n == 0)
            break;
        r = n < 0 ? -EINVAL : buf_append(&raw, block, (size_t)n);
    }
    close(fd);
    if (r == 0)
        r = json_to_utf8(out, raw.data, raw.len);
    buf_done(&raw);
    return r;
}

void lsp_post_open(struct request *rq)
{
    struct buf text = BUF_INIT(4 * FILE_MAX);
    struct lsp_json c = {0};
    struct lsp *lsp;
    cJSON *params, *doc;
    int r;

    if (!load(rq, true, &c))
        return;
    r = read_document(rq, c.uri, &text);
    if (r < 0) {
        refuse(rq, r == -ENOMEM ? r : -EINVAL, &c);
    } else if ((lsp = take(rq, &c))) {
        params = document(c.uri);
        doc = cJSON_GetObjectItemCaseSensitive(params, "textDocument");
        if (doc) {
            cJSON_AddStringToObject(doc, "languageId", c.language);
            cJSON_AddNumberToObject(doc, "version", 1);
            cJSON_AddStringToObject(doc, "text", buf_str(&text));
        }
        r = lsp_tell(lsp, "textDocument/didOpen", params);
        give_back(lsp);
        if (r < 0)
            refuse(rq, r, &c);
        else
            reply_status(rq, 200);
    }
    buf_done(&text);
    unload(&c);
}

void lsp_post_close(struct request *rq)
{
    struct lsp_json c = {0};
    struct lsp *lsp;
    int r;

    if (!load(rq, true, &c))
        return;
    lsp = take(rq, &c);
    if (lsp) {
        r = lsp_tell(lsp, "textDocument/didClose", document(c.uri));
        give_back(lsp);
        if (r < 0)
            refuse(rq, r, &c);
        else
            reply_status(rq, 200);
    }
    unload(&c);
}

/* ---- questions ---- */

static void answer_json(struct request *rq, const cJSON *json)
{
    char *text = json ? cJSON_PrintUnformatted(json) : NULL;

    if (text)
        reply_text(rq, 200, "application/json; charset=utf-8", "%s", text);
    else
        reply_status(rq, 500);
    cJSON_free(text);
}

/* Takes params. The result is the caller's; NULL: refused. */
static cJSON *ask(struct request *rq, const struct lsp_json *c, const char *method, cJSON *params)
{
    struct lsp *lsp = take(rq, c);
    cJSON *result = NULL;
    int r;

    if (!lsp) {
        cJSON_Delete(params);
        return NULL;
    }
    r = lsp_ask(lsp, method, params, &result);
    give_back(lsp);
    if (r < 0)
        refuse(rq, r, c);
    return result;
}

void lsp_post_completions(struct request *rq)
{
    struct lsp_json c = {0};
    cJSON *body = NULL, *params, *result, *list = NULL;

    if (!load(rq, true, &c))
        return;
    params = document(c.uri);
    if (json_parse(buf_str(&rq->body), rq->body.len, &body) == 0 && params)
        cJSON_AddItemToObject(params, "position",
                              cJSON_DetachItemFromObjectCaseSensitive(body, "position"));
    if (!cJSON_IsObject(cJSON_GetObjectItemCaseSensitive(params, "position"))) {
        cJSON_Delete(params);
        reply_status(rq, 400);
    } else if ((result = ask(rq, &c, "textDocument/completion", params))) {
        if (!cJSON_IsObject(result)) { /* a bare list, or nothing */
            list = cJSON_CreateObject();
            cJSON_AddBoolToObject(list, "isIncomplete", false);
            cJSON_AddItemToObject(list, "items",
                                  cJSON_IsArray(result) ? result : cJSON_CreateArray());
            if (!cJSON_IsArray(result))
                cJSON_Delete(result);
            result = list;
        }
        answer_json(rq, result);
        cJSON_Delete(result);
    }
    cJSON_Delete(body);
    unload(&c);
}

/* Both forms of the protocol become the one that the toolbox has; what is inside follows. */
static void add_symbols(cJSON *out, const cJSON *list, const char *uri, unsigned depth)
{
    const cJSON *s;

    cJSON_ArrayForEach(s, list) {
        const cJSON *location = cJSON_GetObjectItemCaseSensitive(s, "location");
        cJSON *symbol = cJSON_CreateObject(), *made;

        cJSON_AddItemToObject(symbol, "kind",
                              cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(s, "kind"), true));
        cJSON_AddItemToObject(symbol, "name",
                              cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(s, "name"), true));
        if (location) {
            cJSON_AddItemToObject(symbol, "location", cJSON_Duplicate(location, true));
        } else {
            made = cJSON_AddObjectToObject(symbol, "location");
            cJSON_AddStringToObject(made, "uri", uri);
            cJSON_AddItemToObject(
                made, "range", cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(s, "range"), true));
        }
        cJSON_AddItemToArray(out, symbol);
        if (depth > 0)
            add_symbols(out, cJSON_GetObjectItemCaseSensitive(s, "children"), uri, depth - 1);
    }
}

static void answer_symbols(struct request *rq, const struct lsp_json *c, const char *method,
                           cJSON *params)
{
    cJSON *result = ask(rq, c, method, params), *list;

    if (!result)
        return;
    list = cJSON_CreateArray();
    add_symbols(list, result, c->uri, DEPTH_MAX);
    answer_json(rq, list);
    cJSON_Delete(list);
    cJSON_Delete(result);
}

void lsp_get_document_symbols(struct request *rq)
{
    struct lsp_json c = {0};

    if (!load(rq, true, &c))
        return;
    answer_symbols(rq, &c, "textDocument/documentSymbol", document(c.uri));
    unload(&c);
}

void lsp_get_workspace_symbols(struct request *rq)
{
    cJSON *params = cJSON_CreateObject();
    struct lsp_json c = {0};

    if (!load(rq, false, &c)) {
        cJSON_Delete(params);
        return;
    }
    cJSON_AddStringToObject(params, "query", c.query);
    answer_symbols(rq, &c, "workspace/symbol", params);
    unload(&c);
}
