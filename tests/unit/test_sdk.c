#include "unit.h"

#include "sdk_rig.h"

#include "sdk/classify.h"
#include "util/clock.h"

#include <daytona/daytona.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GET_BOX                                                                                    \
    {                                                                                              \
        .request = "GET /api/sandbox/box", .status = 200, .body = RIG_SANDBOX("started")           \
    }
/* The box of rig is there after open_box. */
static int setup(void **state)
{
    char url[80];
    struct daytona_config config = {.api_url = url, .api_key = RIG_KEY};

    sdk_rig_clear_environment();
    rig = (struct sdk_rig){0};
    script_start(&rig.script);
    snprintf(url, sizeof(url), "%s/api/", rig.script.base);
    return daytona_client_new(&config, &rig.client);
}

static void open_box(void)
{
    static const struct step steps[] = {GET_BOX, RIG_END};

    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_get(rig.client, "box", &rig.box), 0);
    script_check(&rig.script);
}

/* --- the client */

TEST(a_client_needs_a_credential_and_a_safe_url)
{
    static const struct {
        struct daytona_config config;
        int r;
    } cases[] = {
        {{.api_url = "https://example.invalid/api"}, -ENOKEY},
        {{.api_key = RIG_KEY, .api_url = "http://example.invalid/api"}, -EINVAL},
        {{.api_key = RIG_KEY, .api_url = "ftp://example.invalid/api"}, -EINVAL},
        {{.api_key = RIG_KEY, .api_url = "https://u:p@example.invalid/api"}, -EINVAL},
        {{.api_key = RIG_KEY, .api_url = "not a url"}, -EINVAL},
        {{.api_key = RIG_KEY, .api_url = "https://example.invalid/api?x"}, -EINVAL},
        {{.api_key = "a\r\nX: y"}, -EINVAL},
        {{.api_key = ""}, -EINVAL},
        {{.jwt = "eyJ"}, -EINVAL},
        {{.jwt = "eyJ", .organization_id = "org"}, 0},
        {{.api_key = RIG_KEY, .source = "a b"}, -EINVAL},
        {{.api_key = RIG_KEY, .stall_timeout_ms = -1}, -EINVAL},
        {{.api_key = RIG_KEY}, 0},
        {{.api_key = RIG_KEY, .api_url = "http://[::1]:3/api"}, 0},
    };

    sdk_rig_clear_environment();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct daytona_client *client = NULL;
        const int r = daytona_client_new(&cases[i].config, &client);

        if (r != cases[i].r)
            fail_msg("case %zu: %d %s", i, r, daytona_last_error()->message);
        assert_int_equal(daytona_last_error()->err, r);
        if (r < 0)
            assert_true(daytona_last_error()->message[0]);
        assert_null(strstr(daytona_last_error()->message, "X: y"));
        daytona_client_free(client);
    }
}

TEST(the_api_url_has_no_slash_at_its_end)
{
    struct daytona_config config = {.api_key = RIG_KEY, .api_url = "https://example.invalid/api//"};
    struct daytona_client *client = NULL;

    sdk_rig_clear_environment();
    assert_int_equal(daytona_client_new(&config, &client), 0);
    assert_string_equal(daytona_client_api_url(client), "https://example.invalid/api");
    daytona_client_free(client);
    config.api_url = NULL;
    setenv("DAYTONA_SERVER_URL", "https://old.invalid", 1);
    assert_int_equal(daytona_client_new(&config, &client), 0);
    assert_string_equal(daytona_client_api_url(client), "https://old.invalid");
    daytona_client_free(client);
    setenv("DAYTONA_API_URL", "https://new.invalid", 1);
    assert_int_equal(daytona_client_new(&config, &client), 0);
    assert_string_equal(daytona_client_api_url(client), "https://new.invalid");
    daytona_client_free(client);
    sdk_rig_clear_environment();
}

static void write_file(const char *path, const char *text, mode_t mode)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    assert_int_equal(fchmod(fd, mode), 0);
    close(fd);
}

TEST(credentials_files_are_read_or_refused_with_a_reason)
{
    static const struct {
        const char *text;
        mode_t mode;
        int r;
    } cases[] = {
        {RIG_KEY "\n", 0600, 0},
        {"# mine\napi_key = \"" RIG_KEY "\"\r\napi_url=https://file.invalid/api\n", 0400, 0},
        {"export DAYTONA_API_KEY=" RIG_KEY, 0600, 0},
        {"jwt=eyJ\norganization_id = o\n", 0600, 0},
        {"jwt=eyJ\n", 0600, -EINVAL},
        {"api_kye=" RIG_KEY, 0600, -EINVAL},
        {"", 0600, -ENOKEY},
        {"two words", 0600, -EINVAL},
        {RIG_KEY, 0640, -EACCES},
        {RIG_KEY, 0604, -EACCES},
    };
    char path[] = "/tmp/daytona-credentials-XXXXXX";
    struct daytona_config config = {.credentials_file = path};

    sdk_rig_clear_environment();
    close(mkstemp(path));
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct daytona_client *client = NULL;
        int r;

        write_file(path, cases[i].text, cases[i].mode);
        r = daytona_client_new(&config, &client);
        if (r != cases[i].r)
            fail_msg("case %zu: %d %s", i, r, daytona_last_error()->message);
        if (r < 0) {
            assert_non_null(strstr(daytona_last_error()->message, r == -EINVAL ? "" : path));
            assert_null(strstr(daytona_last_error()->message, RIG_KEY));
        }
        if (i == 1)
            assert_string_equal(daytona_client_api_url(client), "https://file.invalid/api");
        daytona_client_free(client);
    }
    unlink(path);
    config.credentials_file = "/tmp";
    assert_int_equal(daytona_client_new(&config, &(struct daytona_client *){NULL}), -EINVAL);
    config.credentials_file = "/nonexistent";
    assert_int_equal(daytona_client_new(&config, &(struct daytona_client *){NULL}), -ENOENT);
}

TEST(the_clis_profile_is_the_last_resort)
{
    static const char profiles[] =
        "{\"activeProfile\":\"b\",\"profiles\":["
        "{\"id\":\"a\",\"api\":{\"url\":\"https://a.invalid\",\"key\":\"ka\"}},"
        "{\"id\":\"b\",\"api\":{\"url\":\"https://b.invalid/api\",\"key\":%s,\"token\":%s},"
        "\"activeOrganizationId\":%s}]}";
    static const struct {
        const char *key, *token, *organization;
        int r;
    } cases[] = {
        {"\"kb\"", "null", "null", 0},
        {"null", "{\"accessToken\":\"t\",\"expiresAt\":\"2199-01-01T00:00:00Z\"}", "\"o\"", 0},
        {"null", "{\"accessToken\":\"t\",\"expiresAt\":\"2001-01-01T00:00:00Z\"}", "\"o\"",
         -EACCES},
        {"null", "{\"accessToken\":\"t\"}", "null", -EINVAL},
        {"null", "null", "null", -ENOKEY},
        {"3", "[]", "{}", -ENOKEY},
    };
    char dir[] = "/tmp/daytona-cli-XXXXXX", path[80], text[1024];

    sdk_rig_clear_environment();
    assert_non_null(mkdtemp(dir));
    setenv("DAYTONA_CONFIG_DIR", dir, 1);
    snprintf(path, sizeof(path), "%s/config.json", dir);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct daytona_client *client = NULL;
        int r;

        snprintf(text, sizeof(text), profiles, cases[i].key, cases[i].token, cases[i].organization);
        write_file(path, text, 0644);
        r = daytona_client_new(NULL, &client);
        if (r != cases[i].r)
            fail_msg("case %zu: %d %s", i, r, daytona_last_error()->message);
        if (r == 0)
            assert_string_equal(daytona_client_api_url(client), "https://b.invalid/api");
        daytona_client_free(client);
    }
    write_file(path, "{broken", 0644);
    assert_int_equal(daytona_client_new(NULL, &(struct daytona_client *){NULL}), -ENOKEY);
    unlink(path);
    rmdir(dir);
    sdk_rig_clear_environment();
}

/* --- what every request carries */

TEST(requests_say_who_asks)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/work-dir", .status = 200, .body = "{\"dir\":\"/w\"}"},
        RIG_END};
    char *dir = NULL;

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_work_dir(rig.box, &dir), 0);
    assert_string_equal(dir, "/w");
    free(dir);
    script_check(&rig.script);
    assert_non_null(strstr(rig.script.heads.data, "\r\nAuthorization: Bearer " RIG_KEY "\r\n"));
    assert_non_null(strstr(rig.script.heads.data, "\r\nX-Daytona-SDK-Version: 0.190.0\r\n"));
    assert_non_null(strstr(rig.script.heads.data, "\r\nX-Daytona-Source: libdaytona\r\n"));
    assert_non_null(strstr(rig.script.heads.data, "\r\nUser-Agent: libdaytona/"));
    assert_null(strstr(rig.script.heads.data, "Organization"));
}

TEST(a_jwt_goes_with_its_organization)
{
    static const struct step steps[] = {GET_BOX, RIG_END};
    struct daytona_client *client = NULL;
    char url[80];
    const struct daytona_config config = {
        .api_url = url, .jwt = "eyJ.a.b", .organization_id = "o1"};

    snprintf(url, sizeof(url), "%s/api", rig.script.base);
    assert_int_equal(daytona_client_new(&config, &client), 0);
    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_get(client, "box", &rig.box), 0);
    assert_non_null(strstr(rig.script.heads.data, "\r\nAuthorization: Bearer eyJ.a.b\r\n"));
    assert_non_null(strstr(rig.script.heads.data, "\r\nX-Daytona-Organization-ID: o1\r\n"));
    rig.box = daytona_sandbox_unref(rig.box);
    daytona_client_free(client);
}

/* --- what refusals mean */

#define ENVELOPE(message) "{\"statusCode\":1,\"message\":\"" message "\",\"code\":\"X\"}"
#define DAEMON(code)                                                                               \
    "{\"statusCode\":1,\"message\":\"m\",\"code\":\"" code "\",\"source\":\"DAYTONA_DAEMON\"}"

TEST(refusals_of_files_and_of_the_service_are_told_apart)
{
    enum { AUTH = 1, INFRA = 2, IDEMPOTENT = 4, HTML = 8 };
    static const struct {
        enum side side;
        int status;
        const char *body;
        int flags;
        int err, marks;
    } cases[] = {
        {SIDE_TOOLBOX, 404, "", 0, -ENOENT, 0},
        {SIDE_TOOLBOX, 404, DAEMON("FILE_NOT_FOUND"), 0, -ENOENT, 0},
        {SIDE_TOOLBOX, 404, "{\"statusCode\":404,\"message\":\"m\",\"code\":\"FILE_NOT_FOUND\"}", 0,
         -ENOENT, 0},
        {SIDE_TOOLBOX, 404, "{\"statusCode\":500,\"message\":\"stat /x: no such file\"}", 0,
         -ENOENT, 0}, /* before 0.148 */
        {SIDE_TOOLBOX, 404, ENVELOPE("not found: sandbox container not found: x"), 0, -EHOSTDOWN,
         INFRA},
        {SIDE_TOOLBOX, 404, ENVELOPE("not found: not found"), 0, -EIO, INFRA},
        {SIDE_TOOLBOX, 404, "404 page not found", 0, -EOPNOTSUPP, 0},
        {SIDE_TOOLBOX, 404, "something", 0, -EIO, INFRA},
        {SIDE_TOOLBOX, 404, "<html>", HTML, -EPROTO, INFRA},
        {SIDE_TOOLBOX, 400, "", 0, -EINVAL, 0},
        {SIDE_TOOLBOX, 400, ENVELOPE("bad request: x. Is the Sandbox started?"), 0, -EHOSTDOWN,
         INFRA},
        {SIDE_TOOLBOX, 400, ENVELOPE("failed to get runner info: does not have a runner"), 0,
         -EHOSTDOWN, INFRA},
        {SIDE_TOOLBOX, 400, ENVELOPE("failed to get sandbox public status"), 0, -EHOSTUNREACH,
         INFRA},
        {SIDE_TOOLBOX, 400, "{\"statusCode\":500,\"message\":\"open /x: is a directory\"}", 0,
         -EISDIR, 0},
        {SIDE_TOOLBOX, 400, DAEMON("INVALID_FILE_PATH"), 0, -EINVAL, 0},
        {SIDE_TOOLBOX, 401, ENVELOPE("unauthorized"), 0, -EACCES, AUTH | INFRA},
        {SIDE_TOOLBOX, 403, "", 0, -EACCES, 0},
        {SIDE_TOOLBOX, 403, "403 Forbidden", 0, -EACCES, 0},
        {SIDE_TOOLBOX, 403, DAEMON("FILE_ACCESS_DENIED"), 0, -EACCES, 0},
        {SIDE_TOOLBOX, 403, ENVELOPE("forbidden"), 0, -EACCES, AUTH | INFRA},
        {SIDE_TOOLBOX, 408, ENVELOPE("REQUEST_TIMEOUT"), 0, -ETIMEDOUT, INFRA},
        {SIDE_TOOLBOX, 409, "", 0, -EEXIST, 0},
        {SIDE_TOOLBOX, 429, "", 0, -EAGAIN, INFRA},
        {SIDE_TOOLBOX, 500, "no", 0, -EIO, 0},
        {SIDE_TOOLBOX, 500, "{\"message\":\"x: no space left on device\"}", 0, -ENOSPC, 0},
        {SIDE_TOOLBOX, 307, "", 0, -EPROTO, INFRA},
        {SIDE_TOOLBOX, 502, "", IDEMPOTENT, -EHOSTDOWN, INFRA},
        {SIDE_TOOLBOX, 502, "", 0, -ECONNRESET, INFRA},
        {SIDE_TOOLBOX, 503, "", 0, -EHOSTDOWN, INFRA},
        {SIDE_API, 404, "{\"statusCode\":404,\"message\":\"Sandbox x not found\"}", 0, -ENOENT, 0},
        {SIDE_API, 404, "404 page not found", 0, -EPROTO, INFRA},
        {SIDE_API, 401, "{\"message\":\"Invalid credentials\"}", 0, -EACCES, AUTH | INFRA},
        {SIDE_API, 403, "{\"message\":\"Invalid authentication context\"}", 0, -EACCES, AUTH},
        {SIDE_API, 409, "{\"message\":\"Sandbox state change in progress\"}", 0, -EBUSY, 0},
        {SIDE_API, 409, "{\"message\":\"name taken\"}", 0, -EEXIST, 0},
        {SIDE_API, 400, "{\"message\":\"Sandbox is not in valid state\"}", 0, -EBUSY, 0},
        {SIDE_API, 400, "{\"message\":\"name is bad\"}", 0, -EINVAL, 0},
        {SIDE_API, 422, "{\"message\":\"containers cannot\"}", 0, -EOPNOTSUPP, 0},
        {SIDE_API, 502, "", 0, -EHOSTUNREACH, INFRA},
        {SIDE_API, 418, "", 0, -EINVAL, 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct reply reply = {
            .side = cases[i].side,
            .status = cases[i].status,
            .idempotent = cases[i].flags & IDEMPOTENT,
            .is_html = cases[i].flags & HTML,
            .body = cases[i].body,
            .len = strlen(cases[i].body),
        };
        struct verdict v;

        classify(&reply, &v);
        if (v.err != cases[i].err || v.auth != !!(cases[i].marks & AUTH) ||
            v.infra != !!(cases[i].marks & INFRA) || !v.message[0])
            fail_msg("%d %s: %d auth %d infra %d", cases[i].status, cases[i].body, v.err, v.auth,
                     v.infra);
    }
}

TEST(errors_carry_what_is_known_and_no_key)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/files/info?path=%2Fx",
         .status = 404,
         .body = "{\"message\":\"no " RIG_KEY "\\nhere\",\"code\":\"FILE_NOT_FOUND\"}"},
        {.request = "GET " RIG_BOX "/files/info?path=%2Fx",
         .status = 200,
         .body = "{\"name\":\"x\",\"size\":1,\"mode\":\"-rw-r--r--\",\"modifiedAt\":"
                 "\"2026-06-01T10:00:00Z\"}"},
        RIG_END};
    struct daytona_file_info info;
    const struct daytona_error *e = daytona_last_error();

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_info(rig.box, "/x", &info), -ENOENT);
    assert_int_equal(e->err, -ENOENT);
    assert_int_equal(e->http_status, 404);
    assert_string_equal(e->call, "getFileDetails");
    assert_string_equal(e->code, "FILE_NOT_FOUND");
    assert_string_equal(e->message, "no *** here");
    assert_false(e->auth || e->infra);
    assert_int_equal(daytona_files_info(rig.box, "/x", &info), 0);
    assert_int_equal(e->err, 0);
    assert_string_equal(e->message, "");
    daytona_file_info_done(&info);
    script_check(&rig.script);
}

TEST(a_web_page_is_not_an_answer)
{
    static const struct step steps[] = {{.request = "GET /api/sandbox/box",
                                         .status = 200,
                                         .headers = "Content-Type: text/html; charset=utf-8\r\n",
                                         .body = "<!doctype html>"},
                                        RIG_END};

    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_get(rig.client, "box", &rig.box), -EPROTO);
    assert_non_null(strstr(daytona_last_error()->message, rig.script.base));
    assert_non_null(strstr(daytona_last_error()->message, "ends in /api"));
}

TEST(answers_that_lie_are_refused)
{
    static const char *const bodies[] = {
        "",
        "null",
        "[]",
        "{",
        "{\"id\":\"../x\"}",
        "{\"id\":3}",
        "{\"id\":\"a\\u0000\"}",
        "{\"id\":\"a\",\"cpu\":1}x",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        const struct step steps[] = {
            {.request = "GET /api/sandbox/box", .status = 200, .body = bodies[i]}, RIG_END};

        script_set(&rig.script, steps);
        assert_int_equal(daytona_sandbox_get(rig.client, "box", &rig.box), -EPROTO);
        assert_int_equal(daytona_last_error()->http_status, 200);
        script_check(&rig.script);
    }
}

TEST(the_key_is_sent_only_where_it_is_safe)
{
    static const char *const urls[] = {"http://192.0.2.1/toolbox", "ftp://127.0.0.1", "x",
                                       "https:"};

    for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
        char body[200], *dir;
        const struct step steps[] = {
            {.request = "GET /api/sandbox/box", .status = 200, .body = body}, RIG_END};

        snprintf(body, sizeof(body), "{\"id\":\"sb-1\",\"toolboxProxyUrl\":\"%s\"}", urls[i]);
        script_set(&rig.script, steps);
        assert_int_equal(daytona_sandbox_get(rig.client, "box", &rig.box), 0);
        assert_int_equal(daytona_sandbox_work_dir(rig.box, &dir), -EPROTO);
        assert_non_null(strstr(daytona_last_error()->message, urls[i]));
        script_check(&rig.script);
        rig.box = daytona_sandbox_unref(rig.box);
    }
}

TEST(an_older_server_is_asked_for_the_toolbox_once)
{
    static const struct step steps[] = {
        {.request = "GET /api/sandbox/box", .status = 200, .body = "{\"id\":\"sb-1\"}"},
        {.request = "GET /api/sandbox/sb-1/toolbox-proxy-url",
         .status = 200,
         .body = "{\"url\":\"$/toolbox\"}"},
        {.request = "GET " RIG_BOX "/version", .status = 200, .body = "{\"version\":\"v0.100.0\"}"},
        {.request = "GET " RIG_BOX "/user-home-dir",
         .status = 404,
         .body = "404 page not found",
         .headers = "Content-Type: text/plain\r\n"},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = "{\"id\":\"sb-1\"}"},
        {.request = "GET " RIG_BOX "/version", .status = 200, .body = "{\"version\":\"v0.100.0\"}"},
        RIG_END};
    char *s = NULL;

    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_get(rig.client, "box", &rig.box), 0);
    assert_int_equal(daytona_sandbox_version(rig.box, &s), 0);
    assert_string_equal(s, "v0.100.0");
    free(s);
    assert_int_equal(daytona_sandbox_home_dir(rig.box, &s), -EOPNOTSUPP);
    assert_int_equal(daytona_sandbox_refresh(rig.box), 0); /* forgets nothing */
    assert_int_equal(daytona_sandbox_version(rig.box, &s), 0);
    free(s);
    script_check(&rig.script);
}

#define REFUSED                                                                                    \
    {                                                                                              \
        .request = "GET " RIG_BOX "/work-dir", .status = 401, .body = ENVELOPE("unauthorized: no") \
    }

TEST(a_401_is_explained_by_the_api)
{
    static const struct step passing[] = {
        REFUSED,
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("started")},
        {.request = "GET " RIG_BOX "/work-dir", .status = 200, .body = "{\"dir\":\"/w\"}"},
        RIG_END};
    static const struct step gone[] = {
        REFUSED,
        {.request = "GET /api/sandbox/sb-1", .status = 404, .body = "{\"message\":\"not found\"}"},
        RIG_END};
    static const struct step wrong[] = {
        REFUSED,
        {.request = "GET /api/sandbox/sb-1", .status = 401, .body = "{\"message\":\"Invalid\"}"},
        RIG_END};
    static const struct step broken[] = {
        REFUSED,
        {.request = "GET /api/sandbox/sb-1", .status = 500, .body = "{\"message\":\"x\"}"},
        RIG_END};
    const struct daytona_error *e = daytona_last_error();
    char *dir = NULL;

    open_box();
    script_set(&rig.script, passing);
    assert_int_equal(daytona_sandbox_work_dir(rig.box, &dir), 0);
    free(dir);
    script_check(&rig.script);
    script_set(&rig.script, gone);
    assert_int_equal(daytona_sandbox_work_dir(rig.box, &dir), -EHOSTDOWN);
    assert_string_equal(e->message, "the sandbox no longer exists");
    assert_true(e->infra);
    script_check(&rig.script);
    script_set(&rig.script, wrong);
    assert_int_equal(daytona_sandbox_work_dir(rig.box, &dir), -EACCES);
    assert_true(e->auth);
    script_check(&rig.script);
    script_set(&rig.script, broken);
    assert_int_equal(daytona_sandbox_work_dir(rig.box, &dir), -EHOSTUNREACH);
    assert_false(e->auth);
    assert_true(e->infra);
    script_check(&rig.script);
}

/* --- sandboxes */

TEST(names_are_escaped_and_dots_refused)
{
    static const struct step steps[] = {
        {.request = "GET /api/sandbox/a%2Fb%20%3F", .status = 404, .body = "{\"message\":\"no\"}"},
        RIG_END};

    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_get(rig.client, "a/b ?", &rig.box), -ENOENT);
    assert_int_equal(daytona_sandbox_get(rig.client, "..", &rig.box), -EINVAL);
    assert_int_equal(daytona_sandbox_get(rig.client, ".", &rig.box), -EINVAL);
    assert_int_equal(daytona_sandbox_get(rig.client, "", &rig.box), -EINVAL);
    script_check(&rig.script);
}

TEST(what_is_known_of_a_sandbox_is_copied)
{
    struct daytona_sandbox_info info;

    open_box();
    assert_int_equal(daytona_sandbox_info(rig.box, &info), 0);
    assert_string_equal(info.id, "sb-1");
    assert_string_equal(info.name, "box");
    assert_string_equal(info.state_name, "started");
    assert_string_equal(info.snapshot, "");
    assert_int_equal(info.state, DAYTONA_STATE_STARTED);
    assert_int_equal(info.auto_stop_min, -1);
    assert_int_equal(info.label_count, 1);
    assert_string_equal(info.labels[0].value, "b");
    assert_int_equal(info.env_count, 0);
    daytona_sandbox_info_done(&info);
    daytona_sandbox_info_done(&info);
}

TEST(create_waits_until_it_is_started)
{
    static const struct step steps[] = {
        {.request = "POST /api/sandbox", .status = 200, .body = RIG_SANDBOX("pulling_snapshot")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("creating")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("started")},
        RIG_END};
    static const struct step failing[] = {
        {.request = "POST /api/sandbox",
         .status = 200,
         .body = "{\"id\":\"sb-1\",\"state\":\"build_failed\",\"errorReason\":\"no FROM\"}"},
        RIG_END};
    static const struct daytona_pair env[] = {{(char *)"A", (char *)"b c"}};
    const struct daytona_sandbox_params params = {
        .name = "n",
        .image = "debian:12",
        .language = "python",
        .env = env,
        .env_count = 1,
        .ephemeral = true,
    };

    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_create(rig.client, &params, 10000, &rig.box), 0);
    assert_int_equal(daytona_sandbox_state(rig.box), DAYTONA_STATE_STARTED);
    script_check(&rig.script);
    assert_string_equal(rig.script.bodies.data,
                        "{\"name\":\"n\",\"env\":{\"A\":\"b c\"},"
                        "\"labels\":{\"code-toolbox-language\":\"python\"},"
                        "\"autoDeleteInterval\":0,"
                        "\"buildInfo\":{\"dockerfileContent\":\"FROM debian:12\\n\"}}");
    rig.box = daytona_sandbox_unref(rig.box);
    script_set(&rig.script, failing);
    assert_int_equal(daytona_sandbox_create(rig.client, NULL, 10000, &rig.box), -EIO);
    assert_non_null(strstr(daytona_last_error()->message, "no FROM"));
    script_check(&rig.script);
}

TEST(start_waits_its_turn_and_for_the_state)
{
    static const struct step steps[] = {
        {.request = "POST /api/sandbox/sb-1/start",
         .status = 409,
         .body = "{\"message\":\"Sandbox state change in progress\"}"},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("stopping")},
        {.request = "POST /api/sandbox/sb-1/start", .status = 200, .body = RIG_SANDBOX("starting")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("started")},
        RIG_END};
    static const struct step at_once[] = {
        {.request = "POST /api/sandbox/sb-1/start",
         .status = 409,
         .body = "{\"message\":\"Sandbox state change in progress\"}"},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("stopping")},
        RIG_END};

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_start(rig.box, 20000), 0);
    assert_int_equal(daytona_last_error()->err, 0);
    script_check(&rig.script);
    script_set(&rig.script, at_once);
    assert_int_equal(daytona_sandbox_start(rig.box, -1), -EBUSY);
    script_check(&rig.script);
}

TEST(waiting_ends_in_time)
{
    static const struct step steps[] = {
        {.request = "POST /api/sandbox/sb-1/start", .status = 200, .body = RIG_SANDBOX("starting")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("starting")},
        RIG_END};

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_start(rig.box, 60), -ETIMEDOUT);
    assert_non_null(strstr(daytona_last_error()->message, "starting"));
}

TEST(stop_takes_gone_for_stopped)
{
    static const struct step ephemeral[] = {
        {.request = "POST /api/sandbox/sb-1/stop?force=true",
         .status = 200,
         .body = RIG_SANDBOX("stopping")},
        {.request = "GET /api/sandbox/sb-1", .status = 404, .body = "{\"message\":\"no\"}"},
        RIG_END};
    static const struct step already[] = {
        {.request = "POST /api/sandbox/sb-1/stop",
         .status = 400,
         .body = "{\"message\":\"Sandbox is not in a stoppable state\"}"},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("stopped")},
        RIG_END};
    static const struct step archived[] = {
        {.request = "POST /api/sandbox/sb-1/stop",
         .status = 400,
         .body = "{\"message\":\"Sandbox is not in valid state\"}"},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("archived")},
        RIG_END};

    open_box();
    script_set(&rig.script, ephemeral);
    assert_int_equal(daytona_sandbox_stop(rig.box, true, 5000), 0);
    assert_int_equal(daytona_last_error()->err, 0);
    script_check(&rig.script);
    script_set(&rig.script, already);
    assert_int_equal(daytona_sandbox_stop(rig.box, false, 5000), 0);
    script_check(&rig.script);
    script_set(&rig.script, archived);
    assert_int_equal(daytona_sandbox_stop(rig.box, false, 5000), 0);
    script_check(&rig.script);
}

TEST(delete_waits_until_it_is_gone)
{
    static const struct step steps[] = {
        {.request = "DELETE /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("destroying")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("destroying")},
        {.request = "GET /api/sandbox/sb-1", .status = 404, .body = "{\"message\":\"no\"}"},
        RIG_END};
    static const struct step unknown[] = {
        {.request = "DELETE /api/sandbox/sb-1", .status = 404, .body = "{\"message\":\"no\"}"},
        RIG_END};

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_delete(rig.box, 5000), 0);
    script_check(&rig.script);
    script_set(&rig.script, unknown);
    assert_int_equal(daytona_sandbox_delete(rig.box, 5000), -ENOENT);
}

TEST(lists_are_read_to_their_last_page)
{
    static const struct step steps[] = {
        {.request = "GET /api/sandbox?limit=100&labels=%7B%22a%22%3A%22b%22%7D",
         .status = 200,
         .body = "{\"items\":[{\"id\":\"x\"}],\"nextCursor\":\"c/1\"}"},
        {.request = "GET /api/sandbox?cursor=c%2F1&limit=100&labels=%7B%22a%22%3A%22b%22%7D",
         .status = 200,
         .body = "{\"items\":[{\"id\":\"y\"}],\"nextCursor\":null}"},
        RIG_END};
    static const struct step endless[] = {{.request = "GET /api/sandbox?limit=100",
                                           .status = 200,
                                           .body = "{\"items\":[],\"nextCursor\":\"c\"}"},
                                          {.request = "GET /api/sandbox?cursor=c&limit=100",
                                           .status = 200,
                                           .body = "{\"items\":[],\"nextCursor\":\"c\"}"},
                                          RIG_END};
    static const struct daytona_pair labels[] = {{(char *)"a", (char *)"b"}};
    struct daytona_sandbox_info *list = NULL;
    size_t count = 0;

    script_set(&rig.script, steps);
    assert_int_equal(daytona_sandbox_list(rig.client, labels, 1, &list, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[1].id, "y");
    daytona_sandbox_list_free(list, count);
    script_check(&rig.script);
    script_set(&rig.script, endless);
    assert_int_equal(daytona_sandbox_list(rig.client, NULL, 0, &list, &count), -EPROTO);
    script_check(&rig.script);
}

/* --- files */

TEST(paths_are_bytes)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/files?path=%2Fa%20b%0A%FF%3B%2B", .status = 200, .body = "[]"},
        {.request = "GET " RIG_BOX "/files?path=x&depth=3", .status = 200, .body = "[]"},
        RIG_END};
    struct daytona_file_info *list = NULL;
    size_t count = 9;

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_list(rig.box, "/a b\n\xff;+", 0, &list, &count), 0);
    assert_int_equal(count, 0);
    daytona_files_list_free(list, count);
    assert_int_equal(daytona_files_list(rig.box, "x", 3, &list, &count), 0);
    daytona_files_list_free(list, count);
    script_check(&rig.script);
}

TEST(file_calls_say_what_they_mean)
{
    static const struct step steps[] = {
        {.request = "POST " RIG_BOX "/files/folder?path=%2Fd&mode=4000755", .status = 201},
        {.request = "DELETE " RIG_BOX "/files?path=%2Ff", .status = 204},
        {.request = "DELETE " RIG_BOX "/files?path=%2Fd&recursive=true", .status = 204},
        {.request = "POST " RIG_BOX "/files/permissions?path=%2Ff&mode=40000755&owner=me",
         .status = 200},
        {.request = "POST " RIG_BOX "/files/permissions?path=%2Ff&group=us", .status = 400},
        {.request = "POST " RIG_BOX "/files/move?source=%2Fa&destination=%2Fb", .status = 200},
        {.request = "POST " RIG_BOX "/files/move?source=%2Fa&destination=%2Fb", .status = 409},
        {.request = "POST " RIG_BOX "/files/move?source=%2Fa&destination=%2Fb",
         .status = 200,
         .body = "{\"message\":\"moved\",\"error\":\"failed to delete source: denied\"}"},
        {.request = "GET " RIG_BOX "/files/info?path=%2Fa", .status = 404},
        {.request = "GET " RIG_BOX "/files/info?path=%2Fa", .status = 403},
        RIG_END};

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_create_folder(rig.box, "/d", 01755), 0);
    assert_int_equal(daytona_files_delete(rig.box, "/f", false), 0);
    assert_int_equal(daytona_files_delete(rig.box, "/d", true), 0);
    assert_int_equal(daytona_files_set_permissions(rig.box, "/f", 04755, "me", NULL), 0);
    assert_int_equal(daytona_files_set_permissions(rig.box, "/f", (mode_t)-1, NULL, "us"), -EINVAL);
    assert_int_equal(daytona_last_error()->http_status, 400);
    assert_int_equal(daytona_files_move(rig.box, "/a", "/b"), 0);
    assert_int_equal(daytona_files_move(rig.box, "/a", "/b"), -EEXIST);
    assert_int_equal(daytona_files_move(rig.box, "/a", "/b"), -EIO);
    assert_int_equal(daytona_files_exists(rig.box, "/a"), 0);
    assert_int_equal(daytona_last_error()->err, 0);
    assert_int_equal(daytona_files_exists(rig.box, "/a"), -EACCES);
    script_check(&rig.script);
}

TEST(a_move_into_itself_never_reaches_the_service)
{
    static const char *const pairs[][2] = {
        {"/a", "/a/b"}, {"/a/", "/a/./b"}, {"/x/../a", "/a/b/c"}, {"a", "a/b"}, {"./a", "a//b"},
        {"/", "/a"},    {"/a", ""},
    };
    static const struct step none[] = {RIG_END};

    open_box();
    script_set(&rig.script, none);
    for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
        assert_int_equal(daytona_files_move(rig.box, pairs[i][0], pairs[i][1]), -EINVAL);
    script_check(&rig.script);
}

TEST(listings_with_impossible_names_are_refused)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/files?path=%2F",
         .status = 200,
         .body = "[{\"name\":\"../x\",\"size\":1,\"mode\":\"-rw-r--r--\","
                 "\"modifiedAt\":\"2026-06-01T10:00:00Z\"}]"},
        RIG_END};
    struct daytona_file_info *list;
    size_t count;

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_list(rig.box, "/", 0, &list, &count), -EPROTO);
}

/* Collects what is downloaded. */
struct sunk {
    uint64_t off; /* of the first byte */
    struct buf bytes;
    int fail;
};

static int sink(void *arg, uint64_t off, const void *p, size_t n)
{
    struct sunk *s = arg;

    if (off < s->off || off - s->off > s->bytes.len)
        return -EBADMSG;
    buf_truncate(&s->bytes, off - s->off);
    return s->fail ? s->fail : buf_append(&s->bytes, p, n);
}

TEST(downloads_are_checked_against_what_was_asked)
{
#define PART(range) "Content-Range: bytes " range "\r\nContent-Type: application/octet-stream\r\n"
    static const struct {
        uint64_t off, len;
        struct step step;
        int r;
        uint64_t size;
        const char *bytes;
    } cases[] = {
        {0, UINT64_MAX, {.status = 200, .body = "hello", .headers = "X: y\r\n"}, 0, 5, "hello"},
        {0, UINT64_MAX, {.status = 200, .body = "", .headers = "X: y\r\n"}, 0, 0, ""},
        {1, 3, {.status = 206, .body = "ell", .headers = PART("1-3/5")}, 0, 5, "ell"},
        {1, UINT64_MAX, {.status = 206, .body = "ello", .headers = PART("1-4/5")}, 0, 5, "ello"},
        {3, 9, {.status = 206, .body = "lo", .headers = PART("3-4/5")}, 0, 5, "lo"},
        {7, 2, {.status = 416, .headers = "Content-Range: bytes */5\r\n", .body = "no"}, 0, 5, ""},
        {7, 2, {.status = 416}, 0, UINT64_MAX, ""},
        {7, 2, {.status = 200, .headers = "X: y\r\n"}, 0, 0, ""}, /* an empty file */
        {0, 9, {.status = 200, .body = "hello", .headers = "X: y\r\n"}, 0, 5, "hello"},
        /* lies */
        {1, 3, {.status = 416, .headers = "Content-Range: bytes */5\r\n"}, -EPROTO, 0, ""},
        {1, 3, {.status = 200, .body = "hello", .headers = "X: y\r\n"}, -EPROTO, 0, ""},
        {0, 3, {.status = 200, .body = "hello", .headers = "X: y\r\n"}, -EPROTO, 0, ""},
        {1, 3, {.status = 206, .body = "hel", .headers = PART("0-2/5")}, -EPROTO, 0, ""},
        {1, 3, {.status = 206, .body = "ell", .headers = PART("1-4/5")}, -EPROTO, 0, NULL},
        {1, 3, {.status = 206, .body = "el", .headers = PART("1-2/5")}, -EPROTO, 0, NULL},
        {1, 3, {.status = 206, .body = "ell", .headers = PART("1-3/3")}, -EPROTO, 0, ""},
        {1, 3, {.status = 206, .body = "ell", .headers = "X: y\r\n"}, -EPROTO, 0, ""},
        {1,
         3,
         {.status = 206, .body = "ell", .headers = PART("1-99999999999999999999/5")},
         -EPROTO,
         0,
         ""},
        {0,
         UINT64_MAX,
         {.status = 200, .body = "<html>", .headers = "Content-Type: text/html\r\n"},
         -EPROTO,
         0,
         ""},
        {0, UINT64_MAX, {.status = 404}, -ENOENT, 0, ""},
        {0, UINT64_MAX, {.status = 400}, -EINVAL, 0, ""},
        {0,
         UINT64_MAX,
         {.status = 403, .body = "403 Forbidden", .headers = "X: y\r\n"},
         -EACCES,
         0,
         ""},
    };

    open_box();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct sunk sunk = {.off = cases[i].off, .bytes = BUF_INIT(100)};
        struct daytona_download_info info = {0};
        struct step steps[] = {cases[i].step, RIG_END};
        int r;

        steps[0].request = "GET " RIG_BOX "/files/download?path=%2Ff";
        script_set(&rig.script, steps);
        r = daytona_files_download(rig.box, "/f", cases[i].off, cases[i].len, sink, &sunk, &info);
        if (r != cases[i].r)
            fail_msg("case %zu: %d %s", i, r, daytona_last_error()->message);
        if (cases[i].bytes)
            assert_string_equal(buf_str(&sunk.bytes), cases[i].bytes);
        if (r == 0) {
            assert_true(info.size == cases[i].size);
            assert_int_equal(info.delivered, sunk.bytes.len);
        }
        script_check(&rig.script);
        buf_done(&sunk.bytes);
    }
}

TEST(a_cut_download_starts_again_and_a_sink_may_end_it)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/files/download?path=%2Ff",
         .status = 206,
         .body = "el",
         .headers = "Content-Range: bytes 1-3/5\r\nContent-Length: 3\r\n",
         .cut = true},
        {.request = "GET " RIG_BOX "/files/download?path=%2Ff",
         .status = 206,
         .body = "ell",
         .headers =
             "Content-Range: bytes 1-3/5\r\nLast-Modified: Mon, 01 Jun 2026 10:00:00 GMT\r\n"},
        {.request = "GET " RIG_BOX "/files/download?path=%2Ff",
         .status = 200,
         .body = "hello",
         .headers = "X: y\r\n"},
        RIG_END};
    struct sunk sunk = {.off = 1, .bytes = BUF_INIT(100)};
    struct daytona_download_info info;

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_download(rig.box, "/f", 1, 3, sink, &sunk, &info), 0);
    assert_string_equal(sunk.bytes.data, "ell");
    assert_int_equal(info.mtime_s, 1780308000);
    assert_non_null(strstr(rig.script.heads.data, "\r\nRange: bytes=1-3\r\n"));
    sunk.off = 0;
    sunk.fail = -ENOSPC;
    assert_int_equal(daytona_files_download(rig.box, "/f", 0, UINT64_MAX, sink, &sunk, &info),
                     -ENOSPC);
    script_check(&rig.script);
    buf_done(&sunk.bytes);
}

struct collected {
    struct buf text; /* what happened */
};

static int many_begin(void *arg, size_t i, int err, uint64_t size)
{
    struct collected *c = arg;

    return buf_printf(&c->text, "<%zu %d %d>", i, err, size == UINT64_MAX ? -1 : (int)size);
}

static int many_data(void *arg, size_t i, uint64_t off, const void *p, size_t n)
{
    struct collected *c = arg;

    return buf_append(&c->text, p, n);
}

static int many_end(void *arg, size_t i)
{
    struct collected *c = arg;

    return buf_printf(&c->text, "</%zu>", i);
}

static const struct daytona_download_many_ops many_ops = {many_begin, many_data, many_end};

#define FILE_PART(len, bytes)                                                                      \
    "--B\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n"                     \
    "Content-Length: " len "\r\n\r\n" bytes "\r\n"
#define ERROR_PART(body)                                                                           \
    "--B\r\nContent-Disposition: form-data; name=\"error\"; filename=\"x\"\r\n\r\n" body "\r\n"

TEST(many_downloads_come_in_order_with_their_errors)
{
    static const struct {
        const char *body;
        int r;
        const char *text;
    } cases[] = {
        {FILE_PART("5", "hello") ERROR_PART("{\"message\":\"m\",\"code\":\"FILE_NOT_FOUND\"}")
             FILE_PART("0", "") "--B--\r\n",
         0, "<0 0 5>hello</0><1 -2 -1><2 0 0></2>"},
        {FILE_PART("5", "he\r\n-") ERROR_PART("file not found: /x")
             ERROR_PART("{\"message\":\"open /x: permission "
                        "denied\",\"code\":\"FILE_READ_FAILED\"}") "--B--\r\n",
         0, "<0 0 5>he\r\n-</0><1 -2 -1><2 -13 -1>"},
        {FILE_PART("5", "hello") FILE_PART("3", "ab"), -EPROTO, "<0 0 5>hello</0><1 0 3>"},
        {FILE_PART("5", "hello") "--B--\r\n", -EPROTO, "<0 0 5>hello</0>"},
        {FILE_PART("1", "a") FILE_PART("1", "a") FILE_PART("1", "a")
             FILE_PART("1", "a") "--B--\r\n",
         -EPROTO, NULL},
        {"garbage", -EPROTO, ""},
    };
    static const char *const paths[] = {"/a", "/b", "/c"};

    open_box();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct step steps[] = {
            {.request = "POST " RIG_BOX "/files/bulk-download",
             .status = 200,
             .body = cases[i].body,
             .headers = "Content-Type: multipart/form-data; boundary=B\r\n"},
            RIG_END};
        struct collected c = {.text = BUF_INIT(1000)};
        int r;

        script_set(&rig.script, steps);
        r = daytona_files_download_many(rig.box, paths, 3, &many_ops, &c);
        if (r != cases[i].r ||
            (cases[i].text && strncmp(buf_str(&c.text), cases[i].text, strlen(cases[i].text)) != 0))
            fail_msg("case %zu: %d %s: %s", i, r, daytona_last_error()->message, buf_str(&c.text));
        script_check(&rig.script);
        assert_string_equal(rig.script.bodies.data, "{\"paths\":[\"/a\",\"/b\",\"/c\"]}");
        buf_done(&c.text);
    }
    assert_int_equal(
        daytona_files_download_many(rig.box, (const char *[]){"\xff"}, 1, &many_ops, NULL),
        -EINVAL);
}

TEST(an_upload_is_one_part_with_a_name)
{
    static const struct step steps[] = {
        {.request = "POST " RIG_BOX "/files/upload?path=%2Ff%20", .status = 200},
        {.request = "POST " RIG_BOX "/files/upload?path=%2Ff", .status = 400},
        {.request = "POST " RIG_BOX "/files/upload?path=%2Ff",
         .status = 404,
         .body = "404 page not found",
         .headers = "Content-Type: text/plain\r\n"},
        {.request = "POST " RIG_BOX "/files/upload-v2?path=%2Ff",
         .status = 200,
         .body = "{\"name\":\"f\"}"},
        {.request = "POST " RIG_BOX "/files/upload-v2?path=%2Ff", .status = 200},
        RIG_END};
    const struct daytona_upload spaced = {.path = "/f ", .data = "hi", .len = 2};
    const struct daytona_upload plain = {.path = "/f", .data = "", .len = 0};

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_upload(rig.box, &spaced), 0);
    assert_non_null(strstr(rig.script.bodies.data, "name=\"file\"; filename=\""));
    assert_non_null(strstr(rig.script.bodies.data, "\r\n\r\nhi\r\n--"));
    assert_int_equal(daytona_files_upload(rig.box, &plain), -EINVAL);
    assert_int_equal(daytona_files_upload(rig.box, &plain), 0);
    assert_int_equal(daytona_files_upload(rig.box, &plain), 0); /* asked once, known since */
    script_check(&rig.script);
}

TEST(many_uploads_tell_which_failed_and_why)
{
#define UPLOAD "POST " RIG_BOX "/files/bulk-upload"
    static const struct {
        struct step step;
        int r, errs[3];
    } cases[] = {
        {{.status = 200,
          .body = "{\"files\":[{\"path\":\"/a\",\"bytes\":2},{\"path\":\"/a\xef\xbf\xbd\","
                  "\"bytes\":1},{\"path\":\"/c\",\"bytes\":3}]}"},
         0,
         {0, 0, 0}},
        {{.status = 200}, 0, {0, 0, 0}}, /* before 0.176 */
        {{.status = 400,
          .body = "{\"errors\":[\"/a\xef\xbf\xbd: create: open /a: permission denied\","
                  "\"/c: write: no space left on device\"],"
                  "\"files\":[{\"path\":\"/a\",\"bytes\":2}]}"},
         -EACCES,
         {0, -EACCES, -ENOSPC}},
        {{.status = 200, .body = "{\"files\":[{\"path\":\"/a\",\"bytes\":1}]}"},
         -EIO,
         {-EIO, -EIO, -EIO}},
        {{.status = 400, .body = "{\"errors\":[\"reading part: unexpected EOF\"],\"files\":null}"},
         -EIO,
         {-EIO, -EIO, -EIO}},
        {{.status = 400, .body = ENVELOPE("x. Is the Sandbox started?")},
         -EHOSTDOWN,
         {-EIO, -EIO, -EIO}},
        {{.status = 200, .body = "[]"}, -EPROTO, {-EIO, -EIO, -EIO}},
        {{.status = 403, .body = ENVELOPE("no")}, -EACCES, {-EACCES, -EACCES, -EACCES}},
    };
    char path[] = "/tmp/daytona-upload-XXXXXX";
    const int fd = mkstemp(path);
    const struct daytona_upload uploads[] = {
        {.path = "/a", .data = "hi", .len = 2},
        {.path = "/a\xff", .data = "x", .len = 1},
        {.path = "/c", .fd = fd, .off = 1, .len = 3},
    };

    unlink(path);
    assert_int_equal(write(fd, "ABCDEF", 6), 6);
    open_box();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct step steps[] = {cases[i].step, RIG_END};
        int errs[3], r;

        steps[0].request = UPLOAD;
        script_set(&rig.script, steps);
        r = daytona_files_upload_many(rig.box, uploads, 3, errs);
        if (r != cases[i].r || memcmp(errs, cases[i].errs, sizeof(errs)) != 0)
            fail_msg("case %zu: %d (%d %d %d) %s", i, r, errs[0], errs[1], errs[2],
                     daytona_last_error()->message);
        script_check(&rig.script);
        assert_non_null(strstr(rig.script.bodies.data, "name=\"files[0].path\""));
        assert_non_null(strstr(rig.script.bodies.data, "\r\n\r\n/a\xff\r\n"));
        assert_non_null(strstr(rig.script.bodies.data, "\r\n\r\nBCD\r\n"));
    }
    close(fd);
}

TEST(paths_that_would_be_trimmed_are_refused)
{
    static const char *const paths[] = {"/a ", " a", "/a\n", "/a\xc2\xa0", "\xe3\x80\x80", ""};
    static const struct step none[] = {RIG_END};

    open_box();
    script_set(&rig.script, none);
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        const struct daytona_upload upload = {.path = paths[i], .data = "", .len = 0};
        int err = 0;

        assert_int_equal(daytona_files_upload_many(rig.box, &upload, 1, &err), -EINVAL);
        assert_int_equal(err, -EINVAL);
    }
    assert_int_equal(daytona_files_upload_many(rig.box, NULL, 0, NULL), 0);
    script_check(&rig.script);
}

TEST(search_and_replace_are_understood)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/files/find?path=%2F&pattern=a%26b",
         .status = 200,
         .body = "[{\"file\":\"/f\",\"line\":3,\"content\":\"xa&b\"}]"},
        {.request = "GET " RIG_BOX "/files/search?path=%2F&pattern=%2A.c",
         .status = 200,
         .body = "{\"files\":[\"/x.c\",\"/y.c\"]}"},
        {.request = "POST " RIG_BOX "/files/replace",
         .status = 200,
         .body = "[{\"file\":\"/f\",\"success\":true},{\"file\":\"/g\",\"success\":false,"
                 "\"error\":\"open /g: permission denied\"}]"},
        RIG_END};
    static const char *const files[] = {"/f", "/g"};
    struct daytona_match *m = NULL;
    size_t n = 0;

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_files_find(rig.box, "/", "a&b", &m, &n), 0);
    assert_int_equal(m[0].line, 3);
    assert_string_equal(m[0].content, "xa&b");
    daytona_matches_free(m, n);
    assert_int_equal(daytona_files_search(rig.box, "/", "*.c", &m, &n), 0);
    assert_int_equal(n, 2);
    assert_string_equal(m[1].file, "/y.c");
    daytona_matches_free(m, n);
    assert_int_equal(daytona_files_replace(rig.box, files, 2, "a", "b", &m, &n), -EACCES);
    assert_int_equal(n, 2);
    assert_string_equal(m[0].content, "");
    daytona_matches_free(m, n);
    script_check(&rig.script);
}

/* --- commands */

TEST(execute_is_sent_once_and_chunked)
{
    static const struct step steps[] = {
        {.request = "POST " RIG_BOX "/process/execute",
         .status = 200,
         .body = "{\"exitCode\":3,\"result\":\"a\\u0000b\\n\"}"},
        {.request = "POST " RIG_BOX "/process/execute", .status = 408, .body = ENVELOPE("timeout")},
        {.request = "POST " RIG_BOX "/process/execute", .status = 502},
        {.request = "POST " RIG_BOX "/process/execute",
         .status = 200,
         .body = "{\"exitCode\":0,\"res",
         .cut = true},
        RIG_END};
    static const struct daytona_pair env[] = {{(char *)"K", (char *)"v"}};
    struct daytona_execute e = {
        .command = "true\nfalse", .cwd = "/w", .env = env, .env_count = 1, .timeout_s = 7};
    struct daytona_result result = {0};

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_process_execute(rig.box, &e, &result), 0);
    assert_int_equal(result.exit_code, 3);
    assert_int_equal(result.len, 4);
    assert_memory_equal(result.output, "a\0b\n", 5);
    daytona_result_done(&result);
    assert_non_null(strstr(rig.script.heads.data, "\r\nTransfer-Encoding: chunked\r\n"));
    assert_string_equal(rig.script.bodies.data, "{\"command\":\"true\\nfalse\",\"cwd\":\"/w\","
                                                "\"envs\":{\"K\":\"v\"},\"timeout\":7}");
    assert_null(strstr(rig.script.heads.data, "X-Daytona-Skip-Last-Activity-Update"));
    e.background = true;
    assert_int_equal(daytona_process_execute(rig.box, &e, &result), -ETIMEDOUT);
    assert_non_null(
        strstr(rig.script.heads.data, "\r\nX-Daytona-Skip-Last-Activity-Update: true\r\n"));
    assert_int_equal(daytona_process_execute(rig.box, &e, &result), -ECONNRESET);
    assert_int_equal(daytona_process_execute(rig.box, &e, &result), -ECONNRESET);
    e.command = "\xff";
    assert_int_equal(daytona_process_execute(rig.box, &e, &result), -EINVAL);
    script_check(&rig.script);
}

TEST(an_answer_beyond_its_ceiling_is_refused)
{
    static const struct step steps[] = {{.request = "POST " RIG_BOX "/process/execute",
                                         .status = 200,
                                         .body = "{\"exitCode\":0,\"result\":\"0123456789\"}"},
                                        RIG_END};
    const struct daytona_execute e = {.command = "true", .output_max = 20};
    struct daytona_result result;

    open_box();
    script_set(&rig.script, steps);
    assert_int_equal(daytona_process_execute(rig.box, &e, &result), -EFBIG);
    script_check(&rig.script);
}

static void *fire_soon(void *arg)
{
    usleep(50 * 1000);
    daytona_cancel_fire(arg);
    return NULL;
}

TEST(a_wait_can_be_cancelled)
{
    struct daytona_cancel *cancel = daytona_cancel_new();
    static const struct step steps[] = {
        {.request = "POST /api/sandbox/sb-1/start", .status = 200, .body = RIG_SANDBOX("starting")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("starting")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("starting")},
        {.request = "GET /api/sandbox/sb-1", .status = 200, .body = RIG_SANDBOX("starting")},
        RIG_END};
    pthread_t thread;

    open_box();
    script_set(&rig.script, steps);
    assert_null(daytona_cancel_bind(cancel));
    assert_int_equal(pthread_create(&thread, NULL, fire_soon, cancel), 0);
    assert_int_equal(daytona_sandbox_start(rig.box, 0), -EINTR);
    pthread_join(thread, NULL);
    assert_int_equal(daytona_sandbox_refresh(rig.box), -EINTR);
    assert_ptr_equal(daytona_cancel_bind(NULL), cancel);
    daytona_cancel_free(cancel);
}

static void *fail_elsewhere(void *arg)
{
    struct daytona_sandbox *sb;

    assert_int_equal(daytona_sandbox_get(arg, "..", &sb), -EINVAL);
    assert_int_equal(daytona_last_error()->err, -EINVAL);
    return NULL;
}

TEST(each_thread_has_its_own_last_error)
{
    pthread_t thread;

    open_box();
    assert_int_equal(pthread_create(&thread, NULL, fail_elsewhere, rig.client), 0);
    pthread_join(thread, NULL);
    assert_int_equal(daytona_last_error()->err, 0);
}

#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, sdk_rig_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_needs_a_credential_and_a_safe_url),
        cmocka_unit_test(the_api_url_has_no_slash_at_its_end),
        cmocka_unit_test(credentials_files_are_read_or_refused_with_a_reason),
        cmocka_unit_test(the_clis_profile_is_the_last_resort),
        WITH(requests_say_who_asks),
        WITH(a_jwt_goes_with_its_organization),
        cmocka_unit_test(refusals_of_files_and_of_the_service_are_told_apart),
        WITH(errors_carry_what_is_known_and_no_key),
        WITH(a_web_page_is_not_an_answer),
        WITH(answers_that_lie_are_refused),
        WITH(the_key_is_sent_only_where_it_is_safe),
        WITH(an_older_server_is_asked_for_the_toolbox_once),
        WITH(a_401_is_explained_by_the_api),
        WITH(names_are_escaped_and_dots_refused),
        WITH(what_is_known_of_a_sandbox_is_copied),
        WITH(create_waits_until_it_is_started),
        WITH(start_waits_its_turn_and_for_the_state),
        WITH(waiting_ends_in_time),
        WITH(stop_takes_gone_for_stopped),
        WITH(delete_waits_until_it_is_gone),
        WITH(lists_are_read_to_their_last_page),
        WITH(paths_are_bytes),
        WITH(file_calls_say_what_they_mean),
        WITH(a_move_into_itself_never_reaches_the_service),
        WITH(listings_with_impossible_names_are_refused),
        WITH(downloads_are_checked_against_what_was_asked),
        WITH(a_cut_download_starts_again_and_a_sink_may_end_it),
        WITH(many_downloads_come_in_order_with_their_errors),
        WITH(an_upload_is_one_part_with_a_name),
        WITH(many_uploads_tell_which_failed_and_why),
        WITH(paths_that_would_be_trimmed_are_refused),
        WITH(search_and_replace_are_understood),
        WITH(execute_is_sent_once_and_chunked),
        WITH(an_answer_beyond_its_ceiling_is_refused),
        WITH(a_wait_can_be_cancelled),
        WITH(each_thread_has_its_own_last_error),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
