/* symbols - what Python files define, by a language server; the sandbox's image must have pylsp */
#include "example.h"

static void print(const struct daytona_lsp_symbol *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        printf("%lld: %s\n", (long long)list[i].start.line + 1, list[i].name);
}

/* Starts a server for a project, and ends it when fn has had what it wants. */
static int with_server(const struct example *e,
                       int (*fn)(const struct example *e, const struct daytona_lsp *lsp))
{
    const struct daytona_lsp lsp = {.language = "python", .project = e->argv[0]};
    int r = daytona_lsp_start(e->sandbox, &lsp), stopped;

    if (r < 0)
        return r;
    r = fn(e, &lsp);
    stopped = daytona_lsp_stop(e->sandbox, &lsp);
    return r ? r : stopped;
}

static int with_file(const struct example *e, const struct daytona_lsp *lsp,
                     int (*fn)(const struct example *e, const struct daytona_lsp *lsp,
                               const char *uri))
{
    char uri[4096];
    int r;

    snprintf(uri, sizeof(uri), "file://%s", e->argv[1]);
    r = daytona_lsp_open(e->sandbox, lsp, uri);
    if (r == 0) {
        const int done = fn(e, lsp, uri);

        r = daytona_lsp_close(e->sandbox, lsp, uri);
        r = done ? done : r;
    }
    return r;
}

static int show_file(const struct example *e, const struct daytona_lsp *lsp, const char *uri)
{
    struct daytona_lsp_symbol *list;
    size_t count;
    int r = daytona_lsp_document_symbols(e->sandbox, lsp, uri, &list, &count);

    if (r < 0)
        return r;
    print(list, count);
    daytona_lsp_symbols_free(list, count);
    return 0;
}

static int show_completions(const struct example *e, const struct daytona_lsp *lsp, const char *uri)
{
    const struct daytona_lsp_position at = {.line = example_number(e, 2) - 1,
                                            .character = example_number(e, 3) - 1};
    struct daytona_lsp_completion *list;
    size_t count;
    int r = daytona_lsp_completions(e->sandbox, lsp, uri, &at, &list, &count, NULL);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s\n", list[i].label);
    daytona_lsp_completions_free(list, count);
    return 0;
}

static int do_file(const struct example *e, const struct daytona_lsp *lsp)
{
    return with_file(e, lsp, show_file);
}

static int do_completions(const struct example *e, const struct daytona_lsp *lsp)
{
    return with_file(e, lsp, show_completions);
}

static int do_project(const struct example *e, const struct daytona_lsp *lsp)
{
    struct daytona_lsp_symbol *list;
    size_t count;
    int r = daytona_lsp_workspace_symbols(e->sandbox, lsp, e->argv[1], &list, &count);

    if (r < 0)
        return r;
    print(list, count);
    daytona_lsp_symbols_free(list, count);
    return 0;
}

static int of_file(const struct example *e)
{
    return with_server(e, do_file);
}

static int of_project(const struct example *e)
{
    return with_server(e, do_project);
}

static int complete(const struct example *e)
{
    return with_server(e, do_completions);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"file", 2, 2, "PROJECT FILE", of_file},
        {"project", 2, 2, "PROJECT NAME", of_project},
        {"complete", 4, 4, "PROJECT FILE LINE COLUMN", complete},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
