/* Every call of the SDK for real, against the local server, as an old daemon and as a new one. */
#include "serve_rig.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Old daemons refuse with 400 and nothing else. */
static int said(int err)
{
    return fx.new_daemon ? err : -EINVAL;
}

static int put(const char *path, const void *data, size_t len)
{
    const struct daytona_upload upload = {.path = path, .data = data, .len = len};

    return daytona_files_upload(fx.box, &upload);
}

static int put_text(const char *path, const char *text)
{
    return put(path, text, strlen(text));
}

struct sunk {
    uint64_t first;
    struct buf bytes;
};

static int sink(void *arg, uint64_t off, const void *p, size_t n)
{
    struct sunk *s = arg;

    buf_truncate(&s->bytes, off - s->first);
    return buf_append(&s->bytes, p, n);
}

static int get(const char *path, uint64_t off, uint64_t len, struct sunk *s)
{
    s->first = off;
    buf_truncate(&s->bytes, 0);
    return daytona_files_download(fx.box, path, off, len, sink, s, NULL);
}

TEST(a_sandbox_is_found_listed_stopped_started_and_deleted)
{
    static const struct daytona_pair labels[] = {{(char *)"team", (char *)"a b"}};
    const struct daytona_sandbox_params params = {
        .name = "second", .labels = labels, .label_count = 1};
    struct daytona_sandbox *box = NULL;
    struct daytona_sandbox_info *list = NULL, info;
    size_t count = 0;

    EXPECT(daytona_sandbox_create(fx.client, &params, 20000, &box), 0);
    assert_int_equal(daytona_sandbox_state(box), DAYTONA_STATE_STARTED);
    box = daytona_sandbox_unref(box);
    EXPECT(daytona_sandbox_create(fx.client, &params, 20000, &box), -EEXIST);
    EXPECT(daytona_sandbox_get(fx.client, "second", &box), 0);
    EXPECT(daytona_sandbox_info(box, &info), 0);
    assert_string_equal(info.name, "second");
    assert_string_equal(info.labels[0].value, "a b");
    daytona_sandbox_info_done(&info);
    EXPECT(daytona_sandbox_list(fx.client, NULL, 0, &list, &count), 0);
    assert_int_equal(count, 2);
    daytona_sandbox_list_free(list, count);
    EXPECT(daytona_sandbox_list(fx.client, labels, 1, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "second");
    daytona_sandbox_list_free(list, count);

    EXPECT(daytona_sandbox_stop(box, false, 20000), 0);
    assert_int_equal(daytona_sandbox_state(box), DAYTONA_STATE_STOPPED);
    EXPECT(daytona_sandbox_stop(box, true, 20000), 0);
    EXPECT(daytona_sandbox_start(box, 20000), 0);
    EXPECT(daytona_sandbox_start(box, 20000), 0);
    EXPECT(daytona_sandbox_wait(box, DAYTONA_STATE_STARTED, 20000), 0);
    EXPECT(daytona_sandbox_refresh(box), 0);
    assert_int_equal(daytona_sandbox_state(box), DAYTONA_STATE_STARTED);
    EXPECT(daytona_sandbox_delete(box, 20000), 0);
    EXPECT(daytona_sandbox_wait(box, DAYTONA_STATE_DESTROYED, 20000), 0);
    EXPECT(daytona_sandbox_refresh(box), -ENOENT);
    EXPECT(daytona_files_exists(box, "/"), -EHOSTDOWN);
    assert_true(daytona_last_error()->infra);
    box = daytona_sandbox_unref(box);
    EXPECT(daytona_sandbox_get(fx.client, "second", &box), -ENOENT);
}

TEST(the_toolbox_introduces_itself)
{
    char *s = NULL;

    EXPECT(daytona_sandbox_version(fx.box, &s), 0);
    assert_true(s[0] == 'v');
    free(s);
    EXPECT(daytona_sandbox_home_dir(fx.box, &s), 0);
    assert_true(s[0] == '/');
    free(s);
}

TEST(names_and_attributes_of_files)
{
    struct daytona_file_info *list = NULL, info = {0};
    size_t count = 0;

    EXPECT(daytona_files_create_folder(fx.box, at("d/e"), 0755), 0);
    EXPECT(daytona_files_create_folder(fx.box, at("d/e"), 0755), 0);
    EXPECT(put_text(at("d/f x\n'"), "hello"), 0);
    EXPECT(daytona_files_exists(fx.box, at("d/f x\n'")), 1);
    EXPECT(daytona_files_exists(fx.box, at("d/none")), 0);
    EXPECT(daytona_files_info(fx.box, at("d/none"), &info), -ENOENT);
    assert_false(daytona_last_error()->infra);

    EXPECT(daytona_files_list(fx.box, at("d"), 0, &list, &count), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].name, "e");
    assert_true(S_ISDIR(list[0].mode));
    assert_string_equal(list[1].name, "f x\n'");
    assert_int_equal(list[1].size, 5);
    daytona_files_list_free(list, count);
    EXPECT(daytona_files_list(fx.box, at("d/none"), 0, &list, &count), -ENOENT);
    EXPECT(daytona_files_list(fx.box, at("d/f x\n'"), 0, &list, &count), said(-ENOTDIR));

    EXPECT(daytona_files_set_permissions(fx.box, at("d/f x\n'"), 04711, NULL, NULL), 0);
    EXPECT(daytona_files_info(fx.box, at("d/f x\n'"), &info), 0);
    assert_int_equal(info.mode, S_IFREG | 04711);
    assert_true(info.uid >= 0 && info.gid >= 0);
    assert_true(info.mtime_ns > 1700000000000000000);
    daytona_file_info_done(&info);

    EXPECT(daytona_files_move(fx.box, at("d/f x\n'"), "/nonexistent/x"), -ENOENT);
    EXPECT(daytona_files_delete(fx.box, at("d"), false), said(-EISDIR));
    EXPECT(daytona_files_delete(fx.box, at("d"), true), 0);
    EXPECT(daytona_files_delete(fx.box, at("d"), true), -ENOENT);
}

TEST(a_move_does_not_replace)
{
    char from[4096];

    EXPECT(put_text(at("a"), "1"), 0);
    EXPECT(put_text(at("b"), "2"), 0);
    snprintf(from, sizeof(from), "%s", at("a"));
    EXPECT(daytona_files_move(fx.box, from, at("b")), -EEXIST);
    EXPECT(daytona_files_move(fx.box, from, at("c")), 0);
    EXPECT(daytona_files_exists(fx.box, from), 0);
    EXPECT(daytona_files_exists(fx.box, at("c")), 1);
}

TEST(names_that_are_not_utf8_work_where_they_can)
{
    struct daytona_file_info *list = NULL;
    size_t count = 0;

    EXPECT(put_text(at("b\xff"), "x"), 0);
    EXPECT(daytona_files_exists(fx.box, at("b\xff")), 1);
    EXPECT(daytona_files_list(fx.box, fx.dir, 0, &list, &count), 0);
    assert_int_equal(count, 1);
    assert_string_equal(list[0].name, "b\xef\xbf\xbd");
    daytona_files_list_free(list, count);
    EXPECT(daytona_files_delete(fx.box, at("b\xff"), false), 0);
}

TEST(bytes_go_up_and_down)
{
    static unsigned char data[3 << 20];
    struct sunk s = {.bytes = BUF_INIT(8 << 20)};
    struct daytona_download_info info;
    FILE *tmp = tmpfile();

    for (size_t i = 0; i < sizeof(data); i++)
        data[i] = (unsigned char)(i * i >> 7);
    EXPECT(put(at("big"), data, sizeof(data)), 0);
    EXPECT(get(at("big"), 0, UINT64_MAX, &s), 0);
    assert_int_equal(s.bytes.len, sizeof(data));
    assert_memory_equal(s.bytes.data, data, sizeof(data));
    EXPECT(get(at("big"), 1000001, 70000, &s), 0);
    assert_int_equal(s.bytes.len, 70000);
    assert_memory_equal(s.bytes.data, data + 1000001, 70000);
    EXPECT(get(at("big"), sizeof(data) - 3, 100, &s), 0);
    assert_int_equal(s.bytes.len, 3);
    EXPECT(get(at("big"), sizeof(data), 100, &s), 0);
    assert_int_equal(s.bytes.len, 0);
    EXPECT(get(at("big"), INT64_MAX, UINT64_MAX, &s), 0);
    EXPECT(daytona_files_download(fx.box, at("big"), sizeof(data) + 5, 1, NULL, NULL, &info), 0);
    assert_int_equal(info.size, sizeof(data));
    assert_int_equal(info.delivered, 0);

    assert_int_equal(fwrite("0123456789", 1, 10, tmp), 10);
    fflush(tmp);
    EXPECT(daytona_files_upload(
               fx.box,
               &(struct daytona_upload){.path = at("part"), .fd = fileno(tmp), .off = 2, .len = 5}),
           0);
    EXPECT(get(at("part"), 0, UINT64_MAX, &s), 0);
    assert_string_equal(buf_str(&s.bytes), "23456");
    fclose(tmp);

    EXPECT(put(at("empty"), "", 0), 0);
    EXPECT(get(at("empty"), 0, UINT64_MAX, &s), 0);
    EXPECT(get(at("empty"), 7, 3, &s), 0);
    assert_int_equal(s.bytes.len, 0);
    EXPECT(get(at("none"), 0, UINT64_MAX, &s), -ENOENT);
    EXPECT(get(fx.dir, 0, UINT64_MAX, &s), said(-EISDIR));
    buf_done(&s.bytes);
}

TEST(uploads_of_many_fail_one_by_one)
{
    char good[4096], missing[4096], folder[4096];
    const struct daytona_upload uploads[] = {
        {.path = good, .data = "1", .len = 1},
        {.path = folder, .data = "22", .len = 2},
        {.path = missing, .data = "333", .len = 3},
    };
    struct sunk s = {.bytes = BUF_INIT(100)};
    int errs[3];

    snprintf(good, sizeof(good), "%s", at("good"));
    snprintf(folder, sizeof(folder), "%s", fx.dir);
    snprintf(missing, sizeof(missing), "%s", at("new/parents/x"));
    EXPECT(daytona_files_upload_many(fx.box, uploads, 3, errs), -EISDIR);
    assert_int_equal(errs[0], 0);
    assert_int_equal(errs[1], -EISDIR);
    assert_int_equal(errs[2], 0);
    EXPECT(get(missing, 0, UINT64_MAX, &s), 0);
    assert_string_equal(buf_str(&s.bytes), "333");
    buf_done(&s.bytes);
}

struct collected {
    struct buf text;
};

static int many_begin(void *arg, size_t i, int err, uint64_t size)
{
    return buf_printf(&((struct collected *)arg)->text, "<%zu %d>", i, err);
}

static int many_data(void *arg, size_t i, uint64_t off, const void *p, size_t n)
{
    return buf_append(&((struct collected *)arg)->text, p, n);
}

static int many_end(void *arg, size_t i)
{
    return buf_putc(&((struct collected *)arg)->text, '/');
}

TEST(downloads_of_many_come_whole)
{
    static const struct daytona_download_many_ops ops = {many_begin, many_data, many_end};
    static const char tricky[] = "x\r\n--DAYTONA-FILE-BOUNDARY--\r\ny";
    char names[4][4096];
    const char *paths[] = {names[0], names[1], names[2], names[3]};
    struct collected c = {.text = BUF_INIT(4096)};

    EXPECT(put_text(at("tricky"), tricky), 0);
    EXPECT(put_text(at("empty"), ""), 0);
    snprintf(names[0], sizeof(names[0]), "%s", at("tricky"));
    snprintf(names[1], sizeof(names[1]), "%s", at("none"));
    snprintf(names[2], sizeof(names[2]), "%s", fx.dir);
    snprintf(names[3], sizeof(names[3]), "%s", at("empty"));
    EXPECT(daytona_files_download_many(fx.box, paths, 4, &ops, &c), 0);
    assert_string_equal(c.text.data,
                        "<0 0>x\r\n--DAYTONA-FILE-BOUNDARY--\r\ny/<1 -2><2 -22><3 0>/");
    buf_done(&c.text);
}

TEST(files_are_searched_and_replaced)
{
    struct daytona_match *m = NULL;
    char name[4096];
    const char *const files[] = {name};
    size_t n = 0;

    EXPECT(put_text(at("one.txt"), "alpha\nbeta\n"), 0);
    snprintf(name, sizeof(name), "%s", at("one.txt"));
    EXPECT(daytona_files_find(fx.box, fx.dir, "eta", &m, &n), 0);
    assert_int_equal(n, 1);
    assert_int_equal(m[0].line, 2);
    assert_string_equal(m[0].content, "beta");
    daytona_matches_free(m, n);
    EXPECT(daytona_files_search(fx.box, fx.dir, "*.txt", &m, &n), 0);
    assert_int_equal(n, 1);
    assert_string_equal(m[0].file, name);
    daytona_matches_free(m, n);
    EXPECT(daytona_files_replace(fx.box, files, 1, "beta", "gamma", &m, &n), 0);
    daytona_matches_free(m, n);
    EXPECT(daytona_files_find(fx.box, fx.dir, "gamma", &m, &n), 0);
    assert_int_equal(n, 1);
    daytona_matches_free(m, n);
}

static struct daytona_result run(const struct daytona_execute *e, int wanted)
{
    struct daytona_result result = {0};

    EXPECT(daytona_process_execute(fx.box, e, &result), wanted);
    return result;
}

TEST(commands_are_executed)
{
    static const struct daytona_pair env[] = {{(char *)"WORD", (char *)"it's \"x\""}};
    struct daytona_result r;

    r = run(&(struct daytona_execute){.command = "printf 'a\\0b\\n'; exit 7"}, 0);
    assert_int_equal(r.exit_code, 7);
    assert_int_equal(r.len, 4);
    assert_memory_equal(r.output, "a\0b\n", 5);
    daytona_result_done(&r);

    r = run(
        &(struct daytona_execute){
            .command = "pwd\nprintf %s \"$WORD\" >&2\n", .cwd = "/usr", .env = env, .env_count = 1},
        0);
    assert_int_equal(r.exit_code, 0);
    assert_string_equal(r.output, "/usr\nit's \"x\"");
    daytona_result_done(&r);

    r = run(&(struct daytona_execute){.command = "true", .cwd = "/nonexistent"}, 0);
    assert_int_equal(r.exit_code, -1);
    assert_true(r.len > 0);
    daytona_result_done(&r);

    (void)run(&(struct daytona_execute){.command = "exec sleep 20", .timeout_s = 1}, -ETIMEDOUT);
    (void)run(&(struct daytona_execute){.command = " "}, -EINVAL);
}

TEST(a_stopped_sandbox_is_told_from_a_missing_file)
{
    struct daytona_file_info info;

    EXPECT(daytona_sandbox_stop(fx.box, true, 20000), 0);
    EXPECT(daytona_files_info(fx.box, at("x"), &info), -EHOSTDOWN);
    assert_true(daytona_last_error()->infra);
    EXPECT(daytona_files_exists(fx.box, at("x")), -EHOSTDOWN);
    (void)run(&(struct daytona_execute){.command = "true"}, -EHOSTDOWN);
    EXPECT(put_text(at("x"), ""), -EHOSTDOWN);
    EXPECT(daytona_sandbox_start(fx.box, 20000), 0);
    EXPECT(daytona_files_exists(fx.box, at("x")), 0);
}

TEST(a_wrong_key_is_refused)
{
    const struct daytona_config config = {.api_key = "another-key",
                                          .api_url = server_url(fx.server)};
    struct daytona_client *client = NULL;
    struct daytona_sandbox *box = NULL;

    EXPECT(daytona_client_new(&config, &client), 0);
    EXPECT(daytona_sandbox_get(client, "box", &box), -EACCES);
    assert_true(daytona_last_error()->auth);
    assert_int_equal(daytona_last_error()->http_status, 401);
    daytona_client_free(client);
}

TEST(what_networks_do_is_survived_or_told)
{
    static const struct {
        const char *fault;
        int info, execute; /* wanted results */
    } cases[] = {
        {"nth=1:reset", 0, -ECONNRESET},
        {"nth=1:reset-after-commit", 0, -ECONNRESET},
        {"nth=1:502=1", 0, -ECONNRESET},
        {"nth=1:401=1", 0, 0},
        {"nth=1:429=1", 0, 0},
        {"nth=1:404=1", -ENOENT, -ENOENT},
        {"nth=1:500=1", -EIO, -EIO},
        {"502=1", -EHOSTDOWN, -ECONNRESET},
        {"replay=1", 0, 0},
        {"lie=bad-json", -EPROTO, -EPROTO},
        {"lie=html", -EPROTO, -EPROTO},
        {"lie=negative-size", -EPROTO, 0},
        {"lie=endless", -EFBIG, -EFBIG},
    };

    EXPECT(put_text(at("x"), ""), 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const struct daytona_execute e = {.command = "true", .output_max = 1 << 20};
        struct daytona_file_info info = {0};
        struct daytona_result result = {0};
        int r;

        set_fault(cases[i].fault);
        r = daytona_files_info(fx.box, at("x"), &info);
        if (r != cases[i].info)
            fail_msg("%s: info: %d %s", cases[i].fault, r, daytona_last_error()->message);
        set_fault(cases[i].fault);
        r = daytona_process_execute(fx.box, &e, &result);
        if (r != cases[i].execute)
            fail_msg("%s: execute: %d %s", cases[i].fault, r, daytona_last_error()->message);
        daytona_file_info_done(&info);
        daytona_result_done(&result);
    }
    set_fault("");
}

TEST(a_command_never_runs_twice)
{
    static const char *const faults[] = {"replay=1", "nth=1:reset-after-commit", "nth=1:502=1"};
    const struct daytona_execute e = {.command = "echo x >>log"};
    struct sunk s = {.bytes = BUF_INIT(100)};

    for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
        struct daytona_result result = {0};

        EXPECT(put_text(at("log"), ""), 0);
        set_fault(faults[i]);
        (void)daytona_process_execute(fx.box, &e, &result); /* what it says is not the question */
        daytona_result_done(&result);
        set_fault("");
        EXPECT(get(at("log"), 0, UINT64_MAX, &s), 0);
        assert_true(s.bytes.len <= 2);
    }
    buf_done(&s.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        BOTH(a_sandbox_is_found_listed_stopped_started_and_deleted),
        BOTH(the_toolbox_introduces_itself),
        BOTH(names_and_attributes_of_files),
        BOTH(a_move_does_not_replace),
        BOTH(names_that_are_not_utf8_work_where_they_can),
        BOTH(bytes_go_up_and_down),
        BOTH(uploads_of_many_fail_one_by_one),
        BOTH(downloads_of_many_come_whole),
        BOTH(files_are_searched_and_replaced),
        BOTH(commands_are_executed),
        BOTH(a_stopped_sandbox_is_told_from_a_missing_file),
        BOTH(a_wrong_key_is_refused),
        BOTH(what_networks_do_is_survived_or_told),
        BOTH(a_command_never_runs_twice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
