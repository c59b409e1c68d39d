/* Ports, the way to them, and what opens a sandbox without the key. */
#include "facts.h"

#include "server/server_internal.h"

static void start_web(const struct box *box, unsigned port)
{
    char body[2048], out[4096];

    snprintf(
        body, sizeof(body),
        "{\"command\":\"cat > web.py <<'E'\\nimport http.server\\n"
        "class H(http.server.BaseHTTPRequestHandler):\\n"
        "  protocol_version='HTTP/1.1'\\n"
        "  def do_GET(s):\\n"
        "    b=(s.path+'|'+str(s.headers.get('Authorization'))+'|'+s.headers['Host']).encode()\\n"
        "    s.send_response(203)\\n    s.send_header('X-Mine','yes')\\n"
        "    if s.path.startswith('/chunks'):\\n"
        "      s.send_header('Transfer-Encoding','chunked')\\n      s.end_headers()\\n"
        "      [s.wfile.write(b'3\\\\r\\\\nabc\\\\r\\\\n') for i in range(1000)]\\n"
        "      s.wfile.write(b'0\\\\r\\\\n\\\\r\\\\n')\\n      return\\n"
        "    s.send_header('Content-Length',str(len(b)))\\n    s.end_headers()\\n"
        "    s.wfile.write(b)\\n"
        "  def do_POST(s):\\n"
        "    b=s.rfile.read(int(s.headers['Content-Length']))\\n    s.send_response(200)\\n"
        "    s.send_header('Content-Length',str(len(b)))\\n    s.end_headers()\\n"
        "    s.wfile.write(b[::-1])\\n"
        "http.server.HTTPServer(('127.0.0.1',%u),H).serve_forever()\\nE\\n"
        "/usr/bin/python3 web.py >/dev/null 2>&1 </dev/null &\"}",
        port);
    assert_int_equal(run_in(box, body, out, sizeof(out)), 200);
    for (int i = 0; i < 300; i++) {
        char want[64];
        struct answer a = ask_box(box, "GET", "/port", NULL, NULL);
        bool there;

        snprintf(want, sizeof(want), "~%u", port);
        there = body_fits(&a, want);
        answer_done(&a);
        if (there)
            return;
        usleep(20000);
    }
    fail_msg("nobody listens: %s", out);
}

TEST(ports_of_a_sandbox_can_be_reached)
{
    const unsigned port = 3000 + (unsigned)getpid() % 6000;
    struct box box = start_box("state-delay=0", true, true);
    char call[256], want[256], token[64], own[64];
    struct answer a;

    if (access("/usr/bin/python3", X_OK) != 0) {
        box_end(&box);
        skip();
    }
    expect(&box, "GET", "/port", NULL, NULL, 200, "={\"ports\":[]}");
    start_web(&box, port);
    snprintf(want, sizeof(want), "={\"ports\":[%u]}", port);
    expect(&box, "GET", "/port", NULL, NULL, 200, want);
    snprintf(call, sizeof(call), "/port/%u/in-use", port);
    expect(&box, "GET", call, NULL, NULL, 200, "={\"isInUse\":true}");
    expect(&box, "GET", "/port/80/in-use", NULL, NULL, 400, NULL);
    /* the toolbox's way */
    snprintf(call, sizeof(call), "/proxy/%u/a%%20b/c?x=1&DAYTONA_SANDBOX_AUTH_KEY=s&y=2", port);
    snprintf(want, sizeof(want), "=/a%%20b/c?x=1&y=2|None|localhost:%u", port);
    a = ask_box(&box, "GET", call, NULL, NULL);
    assert_int_equal(a.status, 203);
    assert_string_equal(header(&a, "X-Mine"), "yes");
    if (!body_fits(&a, want))
        fail_msg("%s", buf_str(&a.body));
    answer_done(&a);
    snprintf(call, sizeof(call), "/proxy/%u", port);
    snprintf(want, sizeof(want), "=/|None|localhost:%u", port);
    expect(&box, "GET", call, NULL, NULL, 203, want);
    snprintf(call, sizeof(call), "/proxy/%u/p", port);
    expect(&box, "POST", call, NULL, "abcdef", 200, "=fedcba");
    snprintf(call, sizeof(call), "/proxy/%u/chunks", port);
    a = ask_box(&box, "GET", call, NULL, NULL);
    assert_int_equal(a.body.len, 3000);
    assert_false(a.cut);
    answer_done(&a);
    /* Nobody else's: neither the server's own port nor others of the host. */
    snprintf(own, sizeof(own), "/proxy/%u/api/config", box.port);
    expect(&box, "GET", own, NULL, NULL, 400, "");
    expect(&box, "GET", "/proxy/1/", NULL, NULL, 502, "");
    expect(&box, "GET", "/proxy/x/", NULL, NULL, 400, "");
    /* preview links */
    snprintf(call, sizeof(call), "/api/sandbox/box/ports/%u/preview-url", port);
    a = ask(&box, "GET", call, NULL, NULL);
    assert_int_equal(a.status, 200);
    keep_string(&a, "token", token, sizeof(token));
    answer_done(&a);
    snprintf(call, sizeof(call), "/preview/%u-%s/x", port, box.id);
    a = ask(&box, "GET", call, "X-No-Authorization: x\r\n", NULL);
    assert_int_equal(a.status, 307);
    answer_done(&a);
    snprintf(want, sizeof(want), "X-No-Authorization: x\r\nX-Daytona-Preview-Token: %s\r\n", token);
    a = ask(&box, "GET", call, want, NULL);
    assert_int_equal(a.status, 203);
    answer_done(&a);
    expect(&box, "GET", "/version", want, NULL, 200, NULL); /* it opens the whole toolbox */
    snprintf(call, sizeof(call), "/api/sandbox/box/ports/%u/signed-preview-url?expiresInSeconds=60",
             port);
    a = ask(&box, "GET", call, NULL, NULL);
    keep_string(&a, "token", token, sizeof(token));
    assert_int_equal(strlen(token), 16);
    answer_done(&a);
    snprintf(call, sizeof(call), "/preview/%u-%s/x", port, token);
    a = ask(&box, "GET", call, "X-No-Authorization: x\r\n", NULL);
    assert_int_equal(a.status, 203);
    answer_done(&a);
    snprintf(want, sizeof(want), "/api/sandbox/box/ports/%u/signed-preview-url/%s/expire", port,
             token);
    expect(&box, "POST", want, NULL, NULL, 201, "");
    a = ask(&box, "GET", call, "X-No-Authorization: x\r\n", NULL);
    assert_int_equal(a.status, 307);
    answer_done(&a);
    box_end(&box);
}

/* clang-format off */
static const struct fact facts[] = {
    GET("preview_url", "//api/sandbox/box/ports/3000/preview-url", 200,
        "~{\"sandboxId\":\"@ID\",\"url\":\"http://"),
    GET("preview_url_of_no_port_400", "//api/sandbox/box/ports/65536/preview-url", 400, NULL),
    GET("signed_too_long_400",
        "//api/sandbox/box/ports/3000/signed-preview-url?expiresInSeconds=86401", 400, NULL),
    BARE("ssh_access", "POST", "//api/sandbox/box/ssh-access?expiresInMinutes=5", 200,
        "~\"sandboxId\":\"@ID\",\"token\":\""),
    BARE("ssh_command", "POST", "//api/sandbox/box/ssh-access", 200, "~\"sshCommand\":\"ssh -p "),
    BARE("ssh_delete", "DELETE", "//api/sandbox/box/ssh-access", 200, "~\"id\":\"@ID\""),
    GET("ssh_validate_403", "//api/sandbox/ssh-access/validate?token=x", 403,
        "~\"statusCode\":403"),
    GET("old_ones_have_no_signing_key", "//api/sandbox/@ID/signing-key", 404, NULL),
};

struct vector {
    const char *method, *path, *expires, *signature;
};
static const struct vector vectors[] = {
    {"GET", "/home/user/report.pdf", "1781234567",
     "v1_QXoy36mypac2FAv33L7jnN44GEUx8KrdwT0vuKgKiQg"},
    {"GET", "/home/user/report.pdf", "0", "v1_lpj67Q-1iHxBviass5MZhGs36X80uk3DgCaRjjmyPrk"},
    {"POST", "/tmp/incoming/data.bin", "1781234567",
     "v1_CziiRdFkC9asB7q1mi0-fDvvwkpTxcI7yR8N35ht9Vw"},
    {"GET", "/path with spaces/f.txt", "1900000000",
     "v1_GynMaKcifGfdmrBJHusa_ucAXowjZ_g4KP6lcMJ4WXE"},
};
/* clang-format on */

TEST(links_answer_as_the_real_ones)
{
    check_facts(facts, "state-delay=0", false);
}

TEST(signatures_are_the_services)
{
    for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
        const struct vector *v = &vectors[i];
        struct buf out = BUF_INIT(256);

        assert_int_equal(
            link_sign("testsigningkey1234567890abcdefgh", v->method, v->path, v->expires, &out), 0);
        assert_string_equal(buf_str(&out), v->signature);
        buf_done(&out);
    }
}

static void expect_signed(const struct box *box, const char *key, const char *method,
                          const char *expires, int status)
{
    struct buf signature = BUF_INIT(256);
    char call[512];
    struct answer a;

    assert_int_equal(link_sign(key, "GET", "a.txt", expires, &signature), 0);
    snprintf(call, sizeof(call), "/files/download?path=a.txt&expires=%s&signature=%s", expires,
             buf_str(&signature));
    a = ask_box(box, method, call, "X-No-Authorization: x\r\n", NULL);
    if (a.status != status)
        fail_msg("%s %s: %d", method, call, a.status);
    answer_done(&a);
    buf_done(&signature);
}

TEST(signed_links_open_one_file_for_a_while)
{
    struct box box = start_box("state-delay=0", false, true);
    char target[128], key[64], out[256];
    struct answer a;

    assert_int_equal(run_in(&box, "{\"command\":\"echo hi > a.txt\"}", out, sizeof(out)), 200);
    snprintf(target, sizeof(target), "/api/sandbox/%s/signing-key", box.id);
    expect_signed(&box, "", "GET", "0", 401); /* before there is a key */
    a = ask(&box, "GET", target, NULL, NULL);
    assert_int_equal(a.status, 200);
    assert_int_equal(sscanf(buf_str(&a.body), "\"%32[a-z0-9]\"", key), 1);
    answer_done(&a);
    expect_signed(&box, key, "GET", "0", 200);
    expect_signed(&box, key, "GET", "4000000000", 200);
    expect_signed(&box, key, "GET", "1000000000", 401); /* over */
    expect_signed(&box, key, "GET", "-1", 401);
    expect_signed(&box, "another-key", "GET", "0", 401);
    expect(&box, "GET", "/files/info?path=a.txt&expires=0&signature=x", "X-No-Authorization: x\r\n",
           NULL, 401, NULL);
    strcat(target, "/rotate");
    expect(&box, "POST", target, NULL, NULL, 200, "~\"");
    expect_signed(&box, key, "GET", "0", 401);
    box_end(&box);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ports_of_a_sandbox_can_be_reached),
        cmocka_unit_test(links_answer_as_the_real_ones),
        cmocka_unit_test(signatures_are_the_services),
        cmocka_unit_test(signed_links_open_one_file_for_a_while),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_links", tests, NULL, NULL);
}
