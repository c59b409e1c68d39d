/* Settings of a sandbox, changes of its state, and the ways into it. */
#include "unit.h"

#include "sdk/sign.h"
#include "sdk_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define A "/api/sandbox/sb-1"
#define OK(line, state)                                                                            \
    {                                                                                              \
        .request = line, .status = 200, .body = RIG_SANDBOX(state)                                 \
    }

TEST(settings_are_sent_and_the_answer_is_what_is_known)
{
    static const struct step steps[] = {
        {.request = "PUT " A "/labels", .status = 200, .body = "{\"labels\":{\"k\":\"v\"}}"},
        {.request = "GET " A,
         .status = 200,
         .body = "{\"id\":\"sb-1\",\"state\":\"started\",\"labels\":{\"k\":\"v\"}}"},
        OK("POST " A "/autostop/15", "started"),
        OK("POST " A "/autostop/0", "started"),
        OK("POST " A "/autoarchive/0", "started"),
        OK("POST " A "/autodelete/-1", "started"),
        OK("POST " A "/autodelete/0", "started"),
        {.request = "POST " A "/autopause/5", .status = 422, .body = "{\"message\":\"class\"}"},
        OK("POST " A "/ttl/60", "started"),
        OK("POST " A "/public/true", "started"),
        OK("POST " A "/network-settings", "started"),
        {.request = "POST " A "/last-activity", .status = 201},
        RIG_END,
    };
    const struct daytona_pair label = {(char *)"k", (char *)"v"};
    const bool block = true;
    const struct daytona_network none = {0},
                                 network = {.block_all = &block, .allow_list = "10.0.0.0/8"};
    struct daytona_sandbox_info info;

    script_set(&rig.script, steps);
    EXPECT(daytona_sandbox_set_labels(rig.box, &label, 1), 0);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"labels\":{\"k\":\"v\"}}");
    EXPECT(daytona_sandbox_info(rig.box, &info), 0);
    assert_string_equal(info.labels[0].key, "k");
    daytona_sandbox_info_done(&info);
    EXPECT(daytona_sandbox_set_auto_stop(rig.box, 15), 0);
    EXPECT(daytona_sandbox_set_auto_stop(rig.box, -1), 0);
    EXPECT(daytona_sandbox_set_auto_archive(rig.box, -1), 0);
    EXPECT(daytona_sandbox_set_auto_delete(rig.box, -1), 0);
    EXPECT(daytona_sandbox_set_auto_delete(rig.box, 0), 0);
    EXPECT(daytona_sandbox_set_auto_pause(rig.box, 5), -EOPNOTSUPP);
    EXPECT(daytona_sandbox_set_ttl(rig.box, 60), 0);
    EXPECT(daytona_sandbox_set_public(rig.box, true), 0);
    EXPECT(daytona_sandbox_set_network(rig.box, &none), -EINVAL);
    EXPECT(daytona_sandbox_set_network(rig.box, &network), 0);
    assert_non_null(strstr(buf_str(&rig.script.bodies),
                           "{\"networkBlockAll\":true,\"networkAllowList\":\"10.0.0.0/8\"}"));
    EXPECT(daytona_sandbox_keep_alive(rig.box), 0);
    script_check(&rig.script);
}

TEST(changes_of_state_are_waited_for)
{
    static const struct step steps[] = {
        OK("POST " A "/archive", "archiving"),
        OK("GET " A, "archiving"),
        OK("GET " A, "archived"),
        OK("POST " A "/recover", "started"),
        OK("POST " A "/recover?skipStart=true", "stopped"),
        {.request = "POST " A "/pause",
         .status = 422,
         .body = "{\"message\":\"not for containers\"}"},
        OK("POST " A "/pause", "pausing"),
        OK("GET " A, "paused"),
        OK("POST " A "/resize", "resizing"),
        OK("GET " A, "resizing"),
        OK("GET " A, "started"),
        OK("POST " A "/snapshot", "snapshotting"),
        OK("GET " A, "started"),
        OK("POST " A "/resize", "resizing"),
        OK("GET " A, "error"),
        {.request = "POST " A "/fork",
         .status = 200,
         .body = "{\"id\":\"sb-2\",\"state\":\"creating\"}"},
        {.request = "GET /api/sandbox/sb-2",
         .status = 200,
         .body = "{\"id\":\"sb-2\",\"state\":\"started\"}"},
        RIG_END,
    };
    struct daytona_sandbox *copy = NULL;

    script_set(&rig.script, steps);
    EXPECT(daytona_sandbox_archive(rig.box, 0), 0);
    EXPECT(daytona_sandbox_recover(rig.box, false, 0), 0);
    EXPECT(daytona_sandbox_recover(rig.box, true, 0), 0);
    EXPECT(daytona_sandbox_pause(rig.box, -1), -EOPNOTSUPP);
    EXPECT(daytona_sandbox_pause(rig.box, 0), 0);
    EXPECT(daytona_sandbox_resize(rig.box, 2, 0, 10, 0), 0);
    assert_non_null(strstr(buf_str(&rig.script.bodies), "{\"cpu\":2,\"disk\":10}"));
    EXPECT(daytona_sandbox_snapshot(rig.box, "snap", false, 0), 0);
    EXPECT(daytona_sandbox_resize(rig.box, 4, 0, 0, 0), -EIO);
    EXPECT(daytona_sandbox_fork(rig.box, NULL, 0, &copy), 0);
    assert_string_equal(daytona_sandbox_id(copy), "sb-2");
    daytona_sandbox_unref(copy);
    script_check(&rig.script);
}

static int take(void *arg, const void *p, size_t n)
{
    return buf_append(arg, p, n);
}

TEST(metrics_and_build_logs_are_read)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/system/metrics",
         .status = 200,
         .body = "{\"cpuCount\":2,\"cpuUsedPct\":1.5,\"memTotal\":1024,\"diskFree\":7,"
                 "\"timestamp\":\"t\"}"},
        {.request = "GET " RIG_BOX "/system/metrics",
         .status = 404,
         .headers = "Content-Type: text/plain\r\n",
         .body = "404 page not found"},
        {.request = "GET " A "/build-logs-url", .status = 200, .body = "{\"url\":\"$/logs/x\"}"},
        {.request = "GET /logs/x?follow=true",
         .status = 200,
         .headers = "Content-Type: text/plain\r\n",
         .body = "step 1\n"},
        {.request = "GET " A "/build-logs-url",
         .status = 200,
         .body = "{\"url\":\"http://example.invalid/x\"}"},
        {.request = "GET " A "/build-logs-url", .status = 404, .body = "{\"message\":\"none\"}"},
        RIG_END,
    };
    struct buf out = BUF_INIT(1 << 20);
    struct daytona_metrics m;

    script_set(&rig.script, steps);
    EXPECT(daytona_sandbox_metrics(rig.box, &m), 0);
    assert_true(m.cpu_count == 2 && m.cpu_used_percent == 1.5);
    assert_int_equal(m.memory_total, 1024);
    assert_int_equal(m.disk_free, 7);
    daytona_metrics_done(&m);
    EXPECT(daytona_sandbox_metrics(rig.box, &m), -EOPNOTSUPP);
    EXPECT(daytona_sandbox_build_logs(rig.box, true, take, &out), 0);
    assert_string_equal(buf_str(&out), "step 1\n");
    EXPECT(daytona_sandbox_build_logs(rig.box, false, take, &out), -EPROTO); /* no key for it */
    EXPECT(daytona_sandbox_build_logs(rig.box, false, take, &out), -ENOENT);
    script_check(&rig.script);
    buf_done(&out);
}

TEST(ports_are_listed_and_asked_for)
{
    static const struct step steps[] = {
        {.request = "GET " RIG_BOX "/port", .status = 200, .body = "{\"ports\":[22,8080]}"},
        {.request = "GET " RIG_BOX "/port", .status = 200, .body = "{\"ports\":null}"},
        {.request = "GET " RIG_BOX "/port", .status = 200, .body = "{\"ports\":[65536]}"},
        {.request = "GET " RIG_BOX "/port", .status = 200, .body = "{\"ports\":[1.5]}"},
        {.request = "GET " RIG_BOX "/port", .status = 200, .body = "[]"},
        {.request = "GET " RIG_BOX "/port/3000/in-use",
         .status = 200,
         .body = "{\"isInUse\":true}"},
        {.request = "GET " RIG_BOX "/port/3000/in-use", .status = 200, .body = "{}"},
        RIG_END,
    };
    uint16_t *list = NULL;
    size_t count = 0;

    script_set(&rig.script, steps);
    EXPECT(daytona_ports_list(rig.box, &list, &count), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list[1], 8080);
    free(list);
    EXPECT(daytona_ports_list(rig.box, &list, &count), 0);
    assert_int_equal(count, 0);
    free(list);
    for (int i = 0; i < 3; i++)
        EXPECT(daytona_ports_list(rig.box, &list, &count), -EPROTO);
    EXPECT(daytona_ports_in_use(rig.box, 3000), 1);
    EXPECT(daytona_ports_in_use(rig.box, 3000), -EPROTO);
    EXPECT(daytona_ports_in_use(rig.box, 80), -EINVAL);
    script_check(&rig.script);
}

TEST(links_and_tokens_are_made_and_ended)
{
    static const struct step steps[] = {
        {.request = "GET " A "/ports/80/preview-url",
         .status = 200,
         .body = "{\"sandboxId\":\"sb-1\",\"url\":\"https://80-sb-1.x\",\"token\":\"t\"}"},
        {.request = "GET " A "/ports/80/signed-preview-url?expiresInSeconds=9",
         .status = 200,
         .body = "{\"url\":\"https://80-t.x\",\"token\":\"t\",\"port\":80}"},
        {.request = "GET " A "/ports/80/signed-preview-url",
         .status = 200,
         .body = "{\"url\":\"https://80-t.x\"}"},
        {.request = "POST " A "/ports/80/signed-preview-url/t/expire", .status = 201},
        {.request = "POST " A "/ssh-access?expiresInMinutes=5",
         .status = 200,
         .body = "{\"token\":\"s\",\"sshCommand\":\"ssh s@h\",\"expiresAt\":\"e\"}"},
        {.request = "DELETE " A "/ssh-access?token=s", .status = 200, .body = "{}"},
        {.request = "DELETE " A "/ssh-access", .status = 200, .body = "{}"},
        RIG_END,
    };
    struct daytona_preview preview;
    struct daytona_ssh ssh;

    script_set(&rig.script, steps);
    EXPECT(daytona_preview_url(rig.box, 80, &preview), 0);
    assert_string_equal(preview.url, "https://80-sb-1.x");
    daytona_preview_done(&preview);
    EXPECT(daytona_preview_signed_url(rig.box, 80, 9, &preview), 0);
    assert_string_equal(preview.token, "t");
    daytona_preview_done(&preview);
    EXPECT(daytona_preview_signed_url(rig.box, 80, 0, &preview), -EPROTO);
    EXPECT(daytona_preview_signed_url(rig.box, 80, 86401, &preview), -EINVAL);
    EXPECT(daytona_preview_url(rig.box, 0, &preview), -EINVAL);
    EXPECT(daytona_preview_expire(rig.box, 80, "t"), 0);
    EXPECT(daytona_preview_expire(rig.box, 80, "../x"), -EINVAL);
    EXPECT(daytona_ssh_create(rig.box, 5, &ssh), 0);
    assert_string_equal(ssh.command, "ssh s@h");
    daytona_ssh_done(&ssh);
    EXPECT(daytona_ssh_revoke(rig.box, "s"), 0);
    EXPECT(daytona_ssh_revoke(rig.box, NULL), 0);
    script_check(&rig.script);
}

TEST(links_to_files_are_signed_as_the_service_does)
{
    static const struct {
        const char *method, *path;
        int64_t expires_s;
        const char *signature;
    } cases[] = {
        {"GET", "/home/user/report.pdf", 1781234567,
         "v1_QXoy36mypac2FAv33L7jnN44GEUx8KrdwT0vuKgKiQg"},
        {"GET", "/home/user/report.pdf", 0, "v1_lpj67Q-1iHxBviass5MZhGs36X80uk3DgCaRjjmyPrk"},
        {"POST", "/tmp/incoming/data.bin", 1781234567,
         "v1_CziiRdFkC9asB7q1mi0-fDvvwkpTxcI7yR8N35ht9Vw"},
        {"GET", "/path with spaces/f.txt", 1900000000,
         "v1_GynMaKcifGfdmrBJHusa_ucAXowjZ_g4KP6lcMJ4WXE"},
    };
    static const struct step steps[] = {
        {.request = "GET " A "/signing-key",
         .status = 200,
         .body = "\"testsigningkey1234567890abcdefgh\""},
        {.request = "GET " A "/signing-key", .status = 200, .body = "{}"},
        {.request = "GET " A "/signing-key", .status = 404, .body = "{\"message\":\"Cannot GET\"}"},
        {.request = "POST " A "/signing-key/rotate", .status = 201},
        RIG_END,
    };
    char *url, wanted[256];

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf out = BUF_INIT(1024);

        assert_int_equal(sign_file_url("testsigningkey1234567890abcdefgh", cases[i].method,
                                       cases[i].path, cases[i].expires_s, &out),
                         0);
        assert_string_equal(out.data, cases[i].signature);
        buf_done(&out);
    }
    script_set(&rig.script, steps);
    EXPECT(daytona_files_download_url(rig.box, "/home/user/report.pdf", 0, &url), 0);
    snprintf(wanted, sizeof(wanted),
             "%s" RIG_BOX "/files/download?path=%%2Fhome%%2Fuser%%2Freport.pdf&expires=0&signature="
             "v1_lpj67Q-1iHxBviass5MZhGs36X80uk3DgCaRjjmyPrk",
             rig.script.base);
    assert_string_equal(url, wanted);
    free(url);
    EXPECT(daytona_files_upload_url(rig.box, "/x", 60, &url), -EPROTO);
    EXPECT(daytona_files_upload_url(rig.box, "/x", 60, &url), -EOPNOTSUPP);
    EXPECT(daytona_files_upload_url(rig.box, "x", 60, &url), -EINVAL);
    EXPECT(daytona_files_revoke_urls(rig.box), 0);
    script_check(&rig.script);
}

TEST(code_is_run_in_its_language)
{
    static const struct step steps[] = {
        {.request = "POST " RIG_BOX "/process/code-run",
         .status = 200,
         .body = "{\"exitCode\":2,\"result\":\"out\",\"artifacts\":{\"charts\":[]}}"},
        {.request = "POST " RIG_BOX "/process/code-run",
         .status = 404,
         .headers = "Content-Type: text/plain\r\n",
         .body = "404 page not found"},
        {.request = "POST " RIG_BOX "/process/code-run",
         .status = 400,
         .body = "{\"statusCode\":400,\"message\":\"bad request: unknown language\"}"},
        RIG_END,
    };
    static const char *const argv[] = {"a", "b"};
    const struct daytona_code_run run = {
        .code = "print(1)\n", .language = "python", .argv = argv, .argc = 2, .timeout_s = 9};
    const struct daytona_code_run bad = {.code = "\xff", .language = "python"};
    struct daytona_result result;

    script_set(&rig.script, steps);
    EXPECT(daytona_process_code_run(rig.box, &run, &result), 0);
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{\"code\":\"print(1)\\n\",\"language\":\"python\",\"argv\":[\"a\","
                        "\"b\"],\"timeout\":9}");
    assert_int_equal(result.exit_code, 2);
    assert_string_equal(result.output, "out");
    daytona_result_done(&result);
    EXPECT(daytona_process_code_run(rig.box, &run, &result), -EOPNOTSUPP);
    EXPECT(daytona_process_code_run(rig.box, &run, &result), -EINVAL);
    EXPECT(daytona_process_code_run(rig.box, &bad, &result), -EINVAL);
    script_check(&rig.script);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(settings_are_sent_and_the_answer_is_what_is_known),
        RIG_TEST(changes_of_state_are_waited_for),
        RIG_TEST(metrics_and_build_logs_are_read),
        RIG_TEST(ports_are_listed_and_asked_for),
        RIG_TEST(links_and_tokens_are_made_and_ended),
        RIG_TEST(code_is_run_in_its_language),
        RIG_TEST(links_to_files_are_signed_as_the_service_does),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
