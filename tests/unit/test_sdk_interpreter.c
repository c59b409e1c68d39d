/* The interpreter and language servers: what is asked, and what becomes of the answers. */
#include "unit.h"

#include "sdk_rig.h"
#include "ws_peer.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define I RIG_BOX "/process/interpreter"
#define CONTEXT                                                                                    \
    "{\"id\":\"c1\",\"cwd\":\"/w\",\"createdAt\":\"x\",\"active\":true,\"language\":\"python\"}"

TEST(contexts_are_made_listed_and_deleted)
{
    static const struct step steps[] = {
        {.request = "POST " I "/context", .status = 200, .body = CONTEXT},
        {.request = "POST " I "/context", .status = 200, .body = CONTEXT},
        {.request = "GET " I "/context", .status = 200, .body = "{\"contexts\":[" CONTEXT "]}"},
        {.request = "DELETE " I "/context/c1", .status = 200, .body = "{\"message\":\"x\"}"},
        {.request = "DELETE " I "/context/c1", .status = 404, .headers = ""},
        {.request = "DELETE " I "/context/default", .status = 400, .headers = ""},
        {.request = "POST " I "/context", .status = 200, .body = "{}"},
        RIG_END,
    };
    struct daytona_interpreter_context *list, one;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_interpreter_create(rig.box, "/w", &one), 0);
    assert_string_equal(one.id, "c1");
    assert_true(one.active);
    daytona_interpreter_context_done(&one);
    EXPECT(daytona_interpreter_create(rig.box, NULL, &one), 0);
    daytona_interpreter_context_done(&one);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"cwd\":\"/w\"}{}");
    EXPECT(daytona_interpreter_list(rig.box, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].cwd, "/w");
    daytona_interpreter_list_free(list, count);
    EXPECT(daytona_interpreter_delete(rig.box, "c1"), 0);
    EXPECT(daytona_interpreter_delete(rig.box, "c1"), -ENOENT);
    EXPECT(daytona_interpreter_delete(rig.box, "default"), -EINVAL);
    EXPECT(daytona_interpreter_create(rig.box, NULL, &one), -EPROTO);
    script_check(&rig.script);
    EXPECT(daytona_interpreter_delete(rig.box, ".."), -EINVAL);
}

/* What came first from the client, for the test to look at. */
static char asked[512];

static void take_request(struct peer *p)
{
    struct buf frame = BUF_INIT(1 << 20);

    assert_int_equal(ws_peer_take(p, &frame), WS_PEER_TEXT);
    snprintf(asked, sizeof(asked), "%s", buf_str(&frame));
    buf_done(&frame);
}

static void prints(struct peer *p)
{
    take_request(p);
    ws_peer_text(p, "{\"type\":\"stdout\",\"text\":\"a\\n\"}");
    ws_peer_text(p, "{\"type\":\"stderr\",\"text\":\"b\"}");
    ws_peer_text(p, "{\"type\":\"future\",\"text\":\"?\"}");
    ws_peer_text(p, "{\"type\":\"control\",\"text\":\"completed\"}");
    ws_peer_close(p, 1000, "");
    ws_peer_end(p);
}

static void raises(struct peer *p)
{
    take_request(p);
    ws_peer_text(p, "{\"type\":\"error\",\"name\":\"ValueError\",\"value\":\"v\","
                    "\"traceback\":\"t\"}");
    ws_peer_text(p, "{\"type\":\"control\",\"text\":\"interrupted\"}");
    ws_peer_close(p, 1000, "");
    ws_peer_end(p);
}

static void is_late(struct peer *p)
{
    take_request(p);
    ws_peer_close(p, 4008, "");
    ws_peer_end(p);
}

static void has_no_context(struct peer *p)
{
    take_request(p);
    ws_peer_close(p, 1008, "context not found: x");
    ws_peer_end(p);
}

static void wants_code(struct peer *p)
{
    take_request(p);
    ws_peer_close(p, 1008, "code is required");
    ws_peer_end(p);
}

static void is_lost(struct peer *p)
{
    take_request(p);
    ws_peer_text(p, "{\"type\":\"error\",\"name\":\"N\"}");
}

static void babbles(struct peer *p)
{
    take_request(p);
    ws_peer_text(p, "no json");
    ws_peer_end(p);
}

static int show(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    struct buf *out = arg;

    assert_int_equal(buf_putc(out, stream == DAYTONA_STDERR ? 'E' : 'O'), 0);
    return buf_append(out, p, n);
}

TEST(each_end_of_a_run_is_told_apart)
{
    static const struct {
        void (*peer)(struct peer *p);
        int r;
        bool raised;
        const char *out;
    } cases[] = {
        {prints, 0, false, "Oa\nEb"},     {raises, 0, true, ""},
        {is_late, -ETIMEDOUT, false, ""}, {has_no_context, -ENOENT, false, ""},
        {wants_code, -EINVAL, false, ""}, {is_lost, -ECONNRESET, false, ""},
        {babbles, -EPROTO, false, ""},
    };
    struct daytona_pair env = {(char *)"A", (char *)"b"};
    const struct daytona_interpreter_run run = {
        .code = "x=1", .context = "c1", .env = &env, .env_count = 1, .timeout_s = 5};

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct step steps[] = {{.request = "GET " I "/execute", .stream = cases[i].peer},
                                     RIG_END};
        struct daytona_interpreter_result result = {0};
        struct buf out = BUF_INIT(1 << 20);

        script_set(&rig.script, steps);
        EXPECT(daytona_interpreter_run(rig.box, &run, show, &out, &result), cases[i].r);
        assert_string_equal(buf_str(&out), cases[i].out);
        assert_string_equal(asked, "{\"code\":\"x=1\",\"contextId\":\"c1\",\"timeout\":5,"
                                   "\"envs\":{\"A\":\"b\"}}");
        assert_int_equal(result.raised, cases[i].raised);
        assert_int_equal(result.interrupted, cases[i].raised);
        if (cases[i].r == 0)
            assert_string_equal(result.name, cases[i].raised ? "ValueError" : "");
        daytona_interpreter_result_done(&result);
        script_check(&rig.script);
        buf_done(&out);
    }
}

static int refuse(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    return -ENOSPC;
}

TEST(who_takes_the_output_may_end_the_run)
{
    static const struct step steps[] = {{.request = "GET " I "/execute", .stream = prints},
                                        RIG_END};
    const struct daytona_interpreter_run run = {.code = "x", .timeout_s = -1};
    struct daytona_interpreter_result result;

    script_set(&rig.script, steps);
    EXPECT(daytona_interpreter_run(rig.box, &run, refuse, NULL, &result), -ENOSPC);
    assert_string_equal(asked, "{\"code\":\"x\",\"timeout\":0}");
    script_check(&rig.script);
}

#define L RIG_BOX "/lsp"
#define AT "\"languageId\":\"python\",\"pathToProject\":\"/p\""
#define QUERY "&languageId=python&pathToProject=%2Fp"
#define SYMBOL                                                                                     \
    "{\"kind\":12,\"name\":\"f\",\"location\":{\"uri\":\"file:///p/a.py\",\"range\":"              \
    "{\"start\":{\"line\":1,\"character\":2},\"end\":{\"line\":3,\"character\":4}}}}"

TEST(language_servers_are_asked)
{
    static const struct step steps[] = {
        {.request = "POST " L "/start", .status = 200},
        {.request = "POST " L "/did-open", .status = 200},
        {.request = "POST " L "/completions",
         .status = 200,
         .body = "{\"isIncomplete\":true,\"items\":[{\"label\":\"abs\",\"kind\":3,"
                 "\"documentation\":{\"x\":1}}]}"},
        {.request = "GET " L "/document-symbols?uri=file%3A%2F%2F%2Fp%2Fa.py" QUERY,
         .status = 200,
         .body = "[" SYMBOL "]"},
        {.request = "GET " L "/workspacesymbols?query=f" QUERY, .status = 200, .body = "null"},
        {.request = "GET " L "/workspacesymbols?query=f" QUERY,
         .status = 200,
         .body = "[" SYMBOL ",{\"name\":\"g\"}]"},
        {.request = "POST " L "/did-close", .status = 200},
        {.request = "POST " L "/stop", .status = 500, .headers = ""},
        RIG_END,
    };
    const struct daytona_lsp lsp = {"python", "/p"};
    const struct daytona_lsp_position at = {7, 8};
    static const char uri[] = "file:///p/a.py";
    struct daytona_lsp_completion *completions;
    struct daytona_lsp_symbol *symbols;
    bool incomplete = false;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_lsp_start(rig.box, &lsp), 0);
    EXPECT(daytona_lsp_open(rig.box, &lsp, uri), 0);
    EXPECT(daytona_lsp_completions(rig.box, &lsp, uri, &at, &completions, &count, &incomplete), 0);
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{" AT "}{" AT ",\"uri\":\"file:///p/a.py\"}{" AT
                        ",\"uri\":\"file:///p/a.py\",\"position\":{\"line\":7,\"character\":8}}");
    assert_int_equal(count, 1);
    assert_string_equal(completions[0].label, "abs");
    assert_int_equal(completions[0].kind, 3);
    assert_string_equal(completions[0].detail, "");
    assert_true(incomplete);
    daytona_lsp_completions_free(completions, count);
    EXPECT(daytona_lsp_document_symbols(rig.box, &lsp, uri, &symbols, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(symbols[0].name, "f");
    assert_string_equal(symbols[0].uri, uri);
    assert_int_equal(symbols[0].start.character, 2);
    assert_int_equal(symbols[0].end.line, 3);
    daytona_lsp_symbols_free(symbols, count);
    EXPECT(daytona_lsp_workspace_symbols(rig.box, &lsp, "f", &symbols, &count), 0);
    assert_int_equal(count, 0);
    daytona_lsp_symbols_free(symbols, count);
    EXPECT(daytona_lsp_workspace_symbols(rig.box, &lsp, "f", &symbols, &count), -EPROTO);
    EXPECT(daytona_lsp_close(rig.box, &lsp, uri), 0);
    EXPECT(daytona_lsp_stop(rig.box, &lsp), -EIO);
    script_check(&rig.script);
}

TEST(volumes_go_with_a_new_sandbox)
{
    static const struct step steps[] = {
        {.request = "POST /api/sandbox", .status = 200, .body = RIG_SANDBOX("started")}, RIG_END};
    static const struct daytona_volume_mount volumes[] = {
        {.volume_id = "v1", .path = "/data"}, {.volume_id = "v2", .path = "/more", .subpath = "a"}};
    const struct daytona_sandbox_params params = {.volumes = volumes, .volume_count = 2};
    struct daytona_sandbox *box;

    script_set(&rig.script, steps);
    EXPECT(daytona_sandbox_create(rig.client, &params, -1, &box), 0);
    daytona_sandbox_unref(box);
    assert_non_null(strstr(buf_str(&rig.script.bodies),
                           "\"volumes\":[{\"volumeId\":\"v1\",\"mountPath\":\"/data\"},"
                           "{\"volumeId\":\"v2\",\"mountPath\":\"/more\",\"subpath\":\"a\"}]"));
    script_check(&rig.script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(contexts_are_made_listed_and_deleted), RIG_TEST(each_end_of_a_run_is_told_apart),
        RIG_TEST(who_takes_the_output_may_end_the_run), RIG_TEST(language_servers_are_asked),
        RIG_TEST(volumes_go_with_a_new_sandbox),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
