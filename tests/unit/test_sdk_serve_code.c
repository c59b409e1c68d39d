/* The interpreter and language servers for real, against the local server. */
#include "serve_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- the interpreter ---- */

static bool has_python(void)
{
    return access("/usr/bin/python3", X_OK) == 0 || access("/usr/local/bin/python3", X_OK) == 0;
}

struct printed {
    struct buf out, err;
};

static int take(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    struct printed *t = arg;

    return buf_append(stream == DAYTONA_STDERR ? &t->err : &t->out, p, n);
}

/* What it printed to stdout; *ret the rest, the caller's. */
static char *run(const char *context, const char *code, int wanted,
                 struct daytona_interpreter_result *ret)
{
    const struct daytona_pair env = {.key = (char *)"WHO", .value = (char *)"me"};
    const struct daytona_interpreter_run r = {
        .code = code, .context = context, .env = &env, .env_count = 1, .timeout_s = 1};
    struct printed t = {.out = BUF_INIT(4096), .err = BUF_INIT(4096)};

    EXPECT(daytona_interpreter_run(fx.box, &r, take, &t, ret), wanted);
    buf_done(&t.err);
    return buf_take(&t.out);
}

static void prints(const char *context, const char *code, const char *wanted)
{
    struct daytona_interpreter_result result;
    char *out = run(context, code, 0, &result);

    assert_string_equal(out, wanted);
    assert_false(result.raised || result.interrupted);
    daytona_interpreter_result_done(&result);
    free(out);
}

TEST(contexts_remember_each_their_own)
{
    struct daytona_interpreter_context context, *list;
    struct daytona_interpreter_result result;
    size_t count;

    if (!has_python())
        skip();
    EXPECT(daytona_interpreter_create(fx.box, "/tmp", &context), 0);
    assert_string_equal(context.cwd, "/tmp");
    assert_true(context.active);
    prints(context.id, "import os; x = 1; print(os.getcwd(), os.environ['WHO'])", "/tmp me\n");
    prints(NULL, "x = 2", "");
    prints(context.id, "print(x)", "1\n");
    prints(NULL, "print(x)", "2\n");
    free(run(NULL, "print(nothing)", 0, &result));
    assert_true(result.raised);
    assert_string_equal(result.name, "NameError");
    assert_non_null(strstr(result.traceback, "print(nothing)"));
    daytona_interpreter_result_done(&result);
    free(run(NULL, "import time; time.sleep(30)", -ETIMEDOUT, &result));
    free(run(context.id, "", -EINVAL, &result));
    EXPECT(daytona_interpreter_list(fx.box, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].id, context.id);
    daytona_interpreter_list_free(list, count);
    EXPECT(daytona_interpreter_delete(fx.box, context.id), 0);
    EXPECT(daytona_interpreter_delete(fx.box, context.id), -ENOENT);
    EXPECT(daytona_interpreter_delete(fx.box, "default"), -EINVAL);
    free(run(context.id, "1", -ENOENT, &result));
    EXPECT(daytona_interpreter_create(fx.box, "/nope", &context), -EINVAL);
    daytona_interpreter_context_done(&context);
}

/* ---- language servers ---- */

/* Says of a document what its text is, asks the editor something first, answers in pieces. */
static const char server[] =
    "#!/usr/bin/python3\n"
    "import json, sys\n"
    "def get():\n"
    "    length = 0\n"
    "    for line in sys.stdin.buffer:\n"
    "        if line == b'\\r\\n':\n"
    "            return json.loads(sys.stdin.buffer.read(length))\n"
    "        length = int(line.split(b':')[1])\n"
    "def put(**message):\n"
    "    data = json.dumps(message).encode()\n"
    "    for piece in b'Content-Length: %d\\r\\n' % len(data), b'X: y\\r\\n\\r\\n', data:\n"
    "        sys.stdout.buffer.write(piece)\n"
    "        sys.stdout.buffer.flush()\n"
    "texts = {}\n"
    "spot = lambda n: {'line': n, 'character': 2 * n}\n"
    "area = {'start': spot(1), 'end': spot(2)}\n"
    "while True:\n"
    "    m = get()\n"
    "    if not m or m['method'] == 'exit':\n"
    "        break\n"
    "    p = m.get('params') or {}\n"
    "    d = p.get('textDocument') or {}\n"
    "    if m['method'] == 'textDocument/didOpen':\n"
    "        texts[d['uri']] = d['text']\n"
    "    elif m['method'] == 'textDocument/didClose':\n"
    "        del texts[d['uri']]\n"
    "    elif m['method'] == 'textDocument/completion':\n"
    "        put(id='q', method='workspace/configuration', params={})\n"
    "        assert get() == {'id': 'q', 'result': None, 'jsonrpc': '2.0'}\n"
    "        put(method='window/logMessage', params={})\n"
    "        line = texts[d['uri']].splitlines()[p['position']['line']]\n"
    "        put(id=m['id'], result=[{'label': line, 'kind': 6}])\n"
    "    elif m['method'] == 'textDocument/documentSymbol':\n"
    "        inner = {'name': 'in', 'kind': 6, 'range': area}\n"
    "        put(id=m['id'], result=[{'name': 'out', 'kind': 5, 'range': area,\n"
    "                                 'children': [inner]}])\n"
    "    elif m['method'] == 'workspace/symbol':\n"
    "        if p['query'] == 'die':\n"
    "            break\n"
    "        if p['query'] == 'bad':\n"
    "            put(id=m['id'], error={'code': 1, 'message': 'no'})\n"
    "        else:\n"
    "            put(id=m['id'], result=[{'name': p['query'], 'kind': 1,\n"
    "                'location': {'uri': 'file:///x', 'range': area}}])\n"
    "    elif 'id' in m:\n"
    "        put(id=m['id'], result={})\n";

static void put_file(const char *path, const char *text)
{
    const struct daytona_upload upload = {.path = at(path), .data = text, .len = strlen(text)};

    EXPECT(daytona_files_upload(fx.box, &upload), 0);
}

TEST(a_language_server_is_asked)
{
    char project[4096], uri[4200];
    const struct daytona_lsp lsp = {.language = "python", .project = project},
                             other = {.language = "cobol", .project = project};
    const struct daytona_lsp_position spot = {.line = 1};
    struct daytona_lsp_completion *items;
    struct daytona_lsp_symbol *symbols;
    bool incomplete = true;
    size_t count;

    if (!has_python())
        skip();
    snprintf(project, sizeof(project), "%s", fx.dir);
    snprintf(uri, sizeof(uri), "file://%s/f.py", fx.dir);
    put_file("f.py", "first\nsecond\n");
    EXPECT(daytona_lsp_open(fx.box, &lsp, uri), -EIO); /* not started */
    if (access("/usr/bin/pylsp", X_OK) < 0 && access("/usr/local/bin/pylsp", X_OK) < 0)
        EXPECT(daytona_lsp_start(fx.box, &lsp), -EIO); /* nor there */
    put_file(".local/bin/pylsp", server);
    EXPECT(daytona_files_set_permissions(fx.box, at(".local/bin/pylsp"), 0755, NULL, NULL), 0);
    EXPECT(daytona_lsp_start(fx.box, &other), -EINVAL);
    EXPECT(daytona_lsp_start(fx.box, &lsp), 0);
    EXPECT(daytona_lsp_start(fx.box, &lsp), 0);
    EXPECT(daytona_lsp_open(fx.box, &lsp, uri), 0);
    EXPECT(daytona_lsp_completions(fx.box, &lsp, uri, &spot, &items, &count, &incomplete), 0);
    assert_int_equal(count, 1);
    assert_string_equal(items[0].label, "second");
    assert_int_equal(items[0].kind, 6);
    assert_false(incomplete);
    daytona_lsp_completions_free(items, count);
    EXPECT(daytona_lsp_document_symbols(fx.box, &lsp, uri, &symbols, &count), 0);
    assert_int_equal(count, 2); /* what is inside, too */
    assert_string_equal(symbols[1].name, "in");
    assert_string_equal(symbols[1].uri, uri);
    assert_int_equal(symbols[1].end.character, 4);
    daytona_lsp_symbols_free(symbols, count);
    EXPECT(daytona_lsp_workspace_symbols(fx.box, &lsp, "name", &symbols, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(symbols[0].uri, "file:///x");
    daytona_lsp_symbols_free(symbols, count);
    EXPECT(daytona_lsp_workspace_symbols(fx.box, &lsp, "bad", &symbols, &count), -EIO);
    EXPECT(daytona_lsp_close(fx.box, &lsp, uri), 0);
    EXPECT(daytona_lsp_open(fx.box, &lsp, "http://x"), -EINVAL);
    EXPECT(daytona_lsp_workspace_symbols(fx.box, &lsp, "die", &symbols, &count), -EIO);
    EXPECT(daytona_lsp_close(fx.box, &lsp, uri), -EIO); /* it has ended */
    EXPECT(daytona_lsp_start(fx.box, &lsp), 0);
    EXPECT(daytona_lsp_stop(fx.box, &lsp), 0);
    EXPECT(daytona_lsp_stop(fx.box, &lsp), -EIO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(contexts_remember_each_their_own, new_daemon),
        BOTH(a_language_server_is_asked),
    };

    return cmocka_run_group_tests_name("sdk_serve_code", tests, NULL, NULL);
}
