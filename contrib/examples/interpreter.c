/* interpreter - code: in an interpreter that remembers, or in one for this time only */
#include "example.h"

static int show_raised(struct daytona_interpreter_result *result)
{
    const int status = result->raised;

    if (result->raised)
        fprintf(stderr, "%s: %s\n", result->name, result->value);
    daytona_interpreter_result_done(result);
    return status;
}

static int run_in(const struct example *e, const char *context)
{
    int r = 0;

    for (int i = 0; i < e->argc && r == 0; i++) {
        const struct daytona_interpreter_run run = {.code = e->argv[i], .context = context};
        struct daytona_interpreter_result result;

        r = daytona_interpreter_run(e->sandbox, &run, example_show, NULL, &result);
        if (r == 0)
            r = show_raised(&result);
    }
    return r;
}

/* One run for each argument, all in a context that goes afterwards. */
static int run(const struct example *e)
{
    struct daytona_interpreter_context context;
    int r = daytona_interpreter_create(e->sandbox, NULL, &context), gone;

    if (r < 0)
        return r;
    r = run_in(e, context.id);
    gone = daytona_interpreter_delete(e->sandbox, context.id);
    daytona_interpreter_context_done(&context);
    return r ? r : gone;
}

static int make(const struct example *e)
{
    struct daytona_interpreter_context context;
    int r = daytona_interpreter_create(e->sandbox, NULL, &context);

    if (r < 0)
        return r;
    printf("%s\n", context.id);
    daytona_interpreter_context_done(&context);
    return 0;
}

static int list(const struct example *e)
{
    struct daytona_interpreter_context *v;
    size_t count;
    int r = daytona_interpreter_list(e->sandbox, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", v[i].id, v[i].language);
    daytona_interpreter_list_free(v, count);
    return 0;
}

static int end(const struct example *e)
{
    return daytona_interpreter_delete(e->sandbox, e->argv[0]);
}

static int once(const struct example *e)
{
    const struct daytona_code_run code = {.language = e->argv[0], .code = e->argv[1]};
    struct daytona_result result = {0};
    int r = daytona_process_code_run(e->sandbox, &code, &result);

    if (r == 0) {
        fwrite(result.output, 1, result.len, stdout);
        r = result.exit_code;
    }
    daytona_result_done(&result);
    return r;
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"run", 1, -1, "CODE...", run},
        {"make", 0, 0, "", make},
        {"list", 0, 0, "", list},
        {"end", 1, 1, "CONTEXT", end},
        {"once", 2, 2, "LANGUAGE CODE", once},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
