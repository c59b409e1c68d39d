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

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(contexts_remember_each_their_own, new_daemon),
    };

    return cmocka_run_group_tests_name("sdk_serve_code", tests, NULL, NULL);
}
