/* Bytes through the server, the newer daemon, and what an ordinary user may not. */
#include "raw_http.h"

#include <sys/wait.h>

TEST(bytes_come_back_as_they_were_sent)
{
    enum { SIZE = 3 << 20 };
    static const char head[] =
        "--edge-of-a-part\r\nContent-Disposition: form-data; name=\"file\"; filename=\"x\"\r\n\r\n";
    static const char tail[] = "\r\n--edge-of-a-part--\r\n";
    struct box box = start_box(NULL, false, false);
    struct buf body = BUF_INIT(SIZE + 4096);
    char target[256];
    struct answer a;
    unsigned x = 1;

    assert_int_equal(buf_puts(&body, head), 0);
    for (size_t i = 0; i < SIZE; i++) {
        x = x * 1103515245u + 12345u; /* many of the bytes that parsers trip over */
        assert_int_equal(buf_putc(&body, (x >> 16) % 3 ? (char)(x >> 20) : "\r\n-"[x >> 30]), 0);
    }
    assert_int_equal(buf_puts(&body, tail), 0);
    snprintf(target, sizeof(target), "/toolbox/%s/files/upload?path=big", box.id);
    a = ask_bytes(&box, "POST", target,
                  "Content-Type: multipart/form-data; boundary=edge-of-a-part\r\n", body.data,
                  body.len);
    assert_int_equal(a.status, 200);
    answer_done(&a);
    a = ask_box(&box, "GET", "/files/download?path=big", NULL, NULL);
    assert_int_equal(a.body.len, SIZE);
    assert_memory_equal(a.body.data, body.data + strlen(head), SIZE);
    answer_done(&a);
    buf_done(&body);
    box_end(&box);
}

TEST(a_long_line_ends_the_search_of_its_file)
{
    struct box box = start_box(NULL, false, false);
    char out[256];

    assert_int_equal(run_in(&box,
                            "{\"command\":\"(echo needle 1; head -c 70000 /dev/zero | tr "
                            "'\\\\0' x; echo; echo needle 2) > long\"}",
                            out, sizeof(out)),
                     200);
    expect(&box, "GET", "/files/find?path=.&pattern=needle", NULL, NULL, 200,
           "=[{\"file\":\"./long\",\"line\":1,\"content\":\"needle 1\"}]");
    box_end(&box);
}

TEST(deep_paths_are_made)
{
    struct box box = start_box(NULL, false, false);
    struct buf call = BUF_INIT(8192);

    assert_int_equal(buf_puts(&call, "/files/folder?path="), 0);
    for (int i = 0; i < 400; i++)
        assert_int_equal(buf_puts(&call, "d/"), 0);
    expect(&box, "POST", buf_str(&call), NULL, NULL, 201, "");
    /* Deeper than it removes. */
    expect(&box, "DELETE", "/files?path=d&recursive=true", NULL, NULL, 400, "");
    buf_done(&call);
    box_end(&box);
}

TEST(a_broken_bulk_upload_leaves_what_had_come)
{
    static const char form[] =
        "--edge-of-a-part\r\nContent-Disposition: form-data; name=\"files[0].path\"\r\n\r\nf\r\n"
        "--edge-of-a-part\r\nContent-Disposition: form-data; name=\"files[0].file\"\r\n\r\n"
        "prefix that came\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n";
    struct box box = start_box(NULL, false, false);
    char rq[2048], path[128], text[64] = "";
    int fd = box_connect(&box);
    FILE *f;

    snprintf(path, sizeof(path), "%s/f", box.home);
    f = fopen(path, "w");
    fputs("what was there before, and is longer than the prefix", f);
    fclose(f);
    snprintf(rq, sizeof(rq),
             "POST /toolbox/%s/files/bulk-upload HTTP/1.1\r\nHost: x\r\n"
             "Authorization: Bearer " TEST_KEY "\r\nContent-Length: 100000\r\n"
             "Content-Type: multipart/form-data; boundary=edge-of-a-part\r\n\r\n%s",
             box.id, form);
    send_all(fd, rq, strlen(rq));
    for (int i = 0; i < 300 && strncmp(text, "prefix that came", 16) != 0; i++) {
        usleep(10000);
        f = fopen(path, "r");
        assert_non_null(f);
        assert_true(fread(text, 1, 16, f) <= 16);
        fclose(f);
    }
    close(fd);
    assert_memory_equal(text, "prefix that came", 16);
    box_end(&box);
}

TEST(the_new_daemon_differs)
{
    struct box box = start_box(NULL, false, true);
    char path[128];

    snprintf(path, sizeof(path), "%s/d", box.home);
    assert_int_equal(mkdir(path, 0755), 0);
    expect(&box, "POST", "/files/upload-v2?path=d/raw",
           "Content-Type: application/octet-stream\r\n", "raw bytes", 200,
           "={\"name\":\"raw\",\"path\":\"d/raw\",\"type\":\"file\"}");
    expect(&box, "GET", "/files/download?path=d/raw", NULL, NULL, 200, "=raw bytes");
    expect(&box, "GET", "/files?path=.&depth=2", NULL, NULL, 200, "~\"path\":\"./d/raw\"");
    expect(&box, "GET", "/files?path=.&depth=1", NULL, NULL, 200, "!raw");
    expect(&box, "GET", "/files/info?path=nope", NULL, NULL, 404, "~\"code\":\"FILE_NOT_FOUND\"");
    expect(&box, "GET", "/files/info?path=nope", NULL, NULL, 404, "~\"source\":\"DAYTONA_DAEMON\"");
    expect(&box, "GET", "/files/download?path=d", NULL, NULL, 400, "~\"statusCode\":400");
    expect(&box, "GET", "/version", NULL, NULL, 200, "!0.190");
    box_end(&box);
}

/* What only an ordinary user can see. Runs in a process of its own when we are root. */
static int refused_to_ordinary_users(void)
{
    struct box box = start_box(NULL, false, false);
    char path[128];

    snprintf(path, sizeof(path), "%s/locked", box.home);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof(path), "%s/locked/f", box.home);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0644)), 0);
    snprintf(path, sizeof(path), "%s/secret", box.home);
    assert_int_equal(close(open(path, O_CREAT | O_WRONLY, 0)), 0);
    snprintf(path, sizeof(path), "%s/locked", box.home);
    assert_int_equal(chmod(path, 0), 0);
    expect(&box, "GET", "/files/info?path=locked/f", NULL, NULL, 403, "");
    expect(&box, "GET", "/files?path=locked", NULL, NULL, 403, "");
    expect(&box, "GET", "/files/download?path=locked/f", NULL, NULL, 403, "");
    expect(&box, "GET", "/files/download?path=secret", NULL, NULL, 403, "~403 Forbidden");
    expect(&box, "POST", "/files/bulk-download", NULL, "{\"paths\":[\"secret\"]}", 200,
           "~\"code\":\"FILE_ACCESS_DENIED\"");
    expect(&box, "POST", "/files/move?source=locked/f&destination=x", NULL, NULL, 403, "");
    assert_int_equal(chmod(path, 0555), 0);
    expect(&box, "DELETE", "/files?path=locked/f", NULL, NULL, 400, "");
    expect(&box, "POST", "/files/folder?path=locked/d", NULL, NULL, 400, "");
    expect(&box, "POST", "/files/permissions?path=/etc/passwd&mode=644", NULL, NULL, 400, "");
    /* Copied, not removed: a success with a note, and both are there. */
    expect(&box, "POST", "/files/move?source=locked/f&destination=x", NULL, NULL, 200,
           "~failed to delete source");
    expect(&box, "GET", "/files/info?path=locked/f", NULL, NULL, 200, NULL);
    expect(&box, "GET", "/files/info?path=x", NULL, NULL, 200, NULL);
    assert_int_equal(chmod(path, 0755), 0);
    box_end(&box);
    return 0;
}

TEST(refusals_say_403_only_of_looking)
{
    int status;
    pid_t pid;

    if (geteuid() != 0) {
        refused_to_ordinary_users();
        return;
    }
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (setgid(65534) < 0 || setuid(65534) < 0)
            _exit(2);
        _exit(refused_to_ordinary_users());
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_come_back_as_they_were_sent),
        cmocka_unit_test(a_long_line_ends_the_search_of_its_file),
        cmocka_unit_test(deep_paths_are_made),
        cmocka_unit_test(a_broken_bulk_upload_leaves_what_had_come),
        cmocka_unit_test(the_new_daemon_differs),
        cmocka_unit_test(refusals_say_403_only_of_looking),
    };

    setenv("TZ", "UTC", 1);
    umask(022);
    return cmocka_run_group_tests_name("serve_data", tests, NULL, NULL);
}
