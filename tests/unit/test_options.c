#include "unit.h"

#include "mount/exitcode.h"
#include "mount/mount.h"
#include "mount/options.h"
#include "util/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int parse(struct options *o, const char *text, struct buf *why)
{
    assert_int_equal(options_init(o), 0);
    return options_parse(o, text, why);
}

TEST(options_have_their_defaults)
{
    struct options o;

    assert_int_equal(options_init(&o), 0);
    assert_false(o.read_only);
    assert_int_equal(o.idmap, IDMAP_USER);
    assert_int_equal(o.uid, -1);
    assert_int_equal(o.coherence_ns, NS_PER_S);
    assert_int_equal(o.cache_bytes, 1 << 30);
    assert_int_equal(o.op_timeout_ns, 30 * NS_PER_S);
    assert_int_equal(o.wake_timeout_ns, 120 * NS_PER_S);
    assert_int_equal(o.ctl, CTL_HIDDEN);
    assert_string_equal(o.ctl_name, ".ctl");
    assert_string_equal(o.api_url, "");
    options_done(&o);
}

TEST(options_are_read_from_one_line)
{
    struct buf why = BUF_INIT(1000);
    struct options o;

    assert_int_equal(parse(&o,
                           "ro,idmap=none,uid=1000,gid=root,umask=022,,coherence=250ms,"
                           "cache_size=2G,meta_cache=64M,wake=never,durability=sync,symlinks=raw,"
                           "helper=off,conflicts=beside,"
                           "ctl=visible,ctl_name=ctrl,api_url=http://127.0.0.1:1/a\\,b,noexec,"
                           "dev,suid,nosuid,_netdev,x-systemd.requires=net",
                           &why),
                     0);
    assert_string_equal(buf_str(&why), "");
    assert_true(o.read_only);
    assert_true(o.noexec);
    assert_int_equal(o.idmap, IDMAP_NONE);
    assert_int_equal(o.uid, 1000);
    assert_int_equal(o.gid, 0);
    assert_int_equal(o.umask, 022);
    assert_int_equal(o.coherence_ns, 250 * NS_PER_MS);
    assert_int_equal(o.cache_bytes, 2ULL << 30);
    assert_int_equal(o.meta_bytes, 64 << 20);
    assert_int_equal(o.wake, WAKE_NEVER);
    assert_int_equal(o.durability, DURABILITY_SYNC);
    assert_int_equal(o.symlinks, SYMLINKS_RAW);
    assert_int_equal(o.helper, HELPER_OFF);
    assert_int_equal(o.conflicts, CONFLICTS_BESIDE);
    assert_int_equal(o.ctl, CTL_VISIBLE);
    assert_string_equal(o.ctl_name, "ctrl");
    assert_string_equal(o.api_url, "http://127.0.0.1:1/a,b");
    assert_int_equal(options_parse(&o, "rw,ctl=on", &why), 0);
    assert_false(o.read_only);
    assert_int_equal(o.ctl, CTL_HIDDEN);
    options_done(&o);
    buf_done(&why);
}

TEST(a_wrong_option_is_explained)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"coherance=1s", "did you mean 'coherence'?"},
        {"cachesize=1G", "did you mean 'cache_size'?"},
        {"zzzzzzzzzz", "--help"},
        {"coherence", "needs a value"},
        {"ro=1", "takes no value"},
        {"wake=maybe", "use auto or never"},
        {"umask=99", "octal"},
        {"cache_size=lots", "use a size"},
        {"coherence=soon", "use a time"},
        {"uid=no-such-user-here", "neither a number nor a user"},
        {"uid=4294967295", "neither a number nor a user"},
        {"ctl_name=a/b", "one name"},
        {"ctl_name=", "one name"},
        {"keepalive_every=1ms", "at least 100ms"},
        {"keepalive_every=2h", "at most 1h"},
        {"op_timeout=0", "at least 1s"},
        {"op_timeout=10h", "at most 1h"},
        {"wake_timeout=0", "at least 1s"},
        {"wake_timeout=100h", "at most 1h"},
        {"drain_timeout=1000h", "at most 24h"},
        {"coherence=2h", "at most 1h"},
        {"meta_cache=0", "at least 1M"},
        {"cache_size=64K", "at least 16M"},
        {"journal_size=64K", "at least 8M"},
        {"ro,wake=never,nope=1", "unknown option 'nope'"},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct buf why = BUF_INIT(1000);
        struct options o;

        assert_int_equal(parse(&o, rows[i].text, &why), -EINVAL);
        if (!strstr(buf_str(&why), rows[i].says))
            fail_msg("%s: '%s' does not say '%s'", rows[i].text, buf_str(&why), rows[i].says);
        assert_null(strchr(buf_str(&why), '\n'));
        options_done(&o);
        buf_done(&why);
    }
}

TEST(what_is_least_and_most_is_accepted)
{
    struct buf why = BUF_INIT(1000);
    struct options o;

    assert_int_equal(parse(&o,
                           "coherence=1h,cache_size=16M,meta_cache=1M,op_timeout=1s,"
                           "wake_timeout=1s,keepalive_every=100ms,journal_size=8M,"
                           "drain_timeout=24h",
                           &why),
                     0);
    assert_int_equal(options_parse(&o, "op_timeout=1h,wake_timeout=1h,drain_timeout=0", &why), 0);
    assert_int_equal(options_parse(&o, "keepalive_every=1h,coherence=0", &why), 0);
    options_done(&o);
    buf_done(&why);
}

/* What .ctl/config shows can be given again and means the same. */
TEST(options_come_through_their_own_text)
{
    struct buf why = BUF_INIT(1000), text = BUF_INIT(10000), again = BUF_INIT(10000);
    struct options o, p;
    char *line, *rest;

    assert_int_equal(parse(&o, "coherence=1500ms,cache_size=500M,umask=027,ctl=off,uid=7", &why),
                     0);
    assert_int_equal(options_text(&o, &text), 0);
    assert_int_equal(options_init(&p), 0);
    rest = strdup(buf_str(&text));
    for (char *save = rest; (line = strsep(&save, "\n")) && *line;) {
        char *value = strchr(line, ' ');

        *value++ = '\0';
        if (strcmp(value, "yes") != 0 && strcmp(value, "no") != 0 && strcmp(value, "-") != 0) {
            value[-1] = '=';
            assert_int_equal(options_parse(&p, line, &why), 0);
        }
    }
    assert_int_equal(options_text(&p, &again), 0);
    assert_string_equal(buf_str(&again), buf_str(&text));
    free(rest);
    options_done(&o);
    options_done(&p);
    buf_done(&why);
    buf_done(&text);
    buf_done(&again);
}

TEST(help_lists_every_option_once)
{
    struct buf help = BUF_INIT(100000);

    assert_int_equal(options_help(&help), 0);
    for (size_t i = 0; i < options_count; i++) {
        struct buf want = BUF_INIT(100);

        if (options_table[i].help) {
            assert_int_equal(buf_printf(&want, "  %s", options_table[i].name), 0);
            assert_non_null(strstr(buf_str(&help), buf_str(&want)));
        }
        buf_done(&want);
    }
    buf_done(&help);
}

TEST(a_target_is_a_sandbox_and_perhaps_a_path)
{
    static const struct {
        const char *text, *sandbox, *path;
        int err;
    } rows[] = {
        {"box", "box", NULL, 0},      {"box:/a:b", "box", "/a:b", 0}, {"box:", "box", "", 0},
        {":/a", NULL, NULL, -EINVAL}, {"", NULL, NULL, -EINVAL},
    };

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        char *sandbox = NULL, *path = NULL;

        assert_int_equal(mount_parse_target(rows[i].text, &sandbox, &path), rows[i].err);
        if (rows[i].sandbox)
            assert_string_equal(sandbox, rows[i].sandbox);
        if (rows[i].path)
            assert_string_equal(path, rows[i].path);
        else
            assert_null(path);
        free(sandbox);
        free(path);
    }
}

TEST(each_failure_has_its_exit_code_and_a_next_step)
{
    static const struct {
        int err, http;
        bool auth;
        enum exitcode code;
        const char *says;
    } rows[] = {
        {-ENOKEY, 0, false, EXITCODE_AUTH, "DAYTONA_API_KEY"},
        {-EACCES, 401, true, EXITCODE_AUTH, "http://x/api"},
        {-ENOENT, 404, false, EXITCODE_NOT_FOUND, "sandbox list"},
        {-EEXIST, 409, false, EXITCODE_CONFLICT, ""},
        {-ETIMEDOUT, 0, false, EXITCODE_TIMEOUT, "http://x/api"},
        {-ECONNREFUSED, 0, false, EXITCODE_TRANSIENT, "api_url="},
        {-EAGAIN, 429, false, EXITCODE_TRANSIENT, "try again"},
        {-EHOSTDOWN, 0, false, EXITCODE_NOT_RUNNING, "'box'"},
        {-EPROTO, 200, false, EXITCODE_OTHER, "api_url="},
        {-ENOMEM, 0, false, EXITCODE_OTHER, "memory"},
        {0, 0, false, EXITCODE_OK, NULL},
    };
    const struct exitcode_context context = {.sandbox = "box", .api_url = "http://x/api"};

    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct daytona_error detail = {.err = rows[i].err,
                                             .http_status = rows[i].http,
                                             .auth = rows[i].auth,
                                             .message = "two\nlines\033[2J"};
        struct buf out = BUF_INIT(1000);

        assert_int_equal(exitcode_of(rows[i].err, &detail), rows[i].code);
        if (rows[i].says) {
            assert_int_equal(exitcode_explain(&out, rows[i].err, &detail, &context), 0);
            if (!strstr(buf_str(&out), rows[i].says))
                fail_msg("'%s' does not say '%s'", buf_str(&out), rows[i].says);
            assert_null(strpbrk(buf_str(&out), "\n\033"));
        }
        buf_done(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_have_their_defaults),
        cmocka_unit_test(options_are_read_from_one_line),
        cmocka_unit_test(a_wrong_option_is_explained),
        cmocka_unit_test(what_is_least_and_most_is_accepted),
        cmocka_unit_test(options_come_through_their_own_text),
        cmocka_unit_test(help_lists_every_option_once),
        cmocka_unit_test(a_target_is_a_sandbox_and_perhaps_a_path),
        cmocka_unit_test(each_failure_has_its_exit_code_and_a_next_step),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
