/* symbols - what a Python file defines, by a language server: symbols SANDBOX PROJECT FILE
 * The sandbox's image must have pylsp. */
#include <daytona/daytona.h>

#include <stdio.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

static int show(struct daytona_sandbox *sandbox, const struct daytona_lsp *lsp, const char *uri)
{
    struct daytona_lsp_symbol *list;
    size_t count;

    if (daytona_lsp_open(sandbox, lsp, uri) < 0 ||
        daytona_lsp_document_symbols(sandbox, lsp, uri, &list, &count) < 0)
        return fail();
    for (size_t i = 0; i < count; i++)
        printf("%lld: %s\n", (long long)list[i].start.line + 1, list[i].name);
    daytona_lsp_symbols_free(list, count);
    return daytona_lsp_close(sandbox, lsp, uri) < 0 ? fail() : 0;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_lsp lsp = {.language = "python"};
    char uri[4096];
    int status;

    if (argc != 4) {
        fprintf(stderr, "usage: symbols SANDBOX PROJECT FILE\n");
        return 2;
    }
    lsp.project = argv[2];
    snprintf(uri, sizeof(uri), "file://%s", argv[3]);
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_lsp_start(sandbox, &lsp) < 0) {
        status = fail();
    } else {
        status = show(sandbox, &lsp, uri);
        if (daytona_lsp_stop(sandbox, &lsp) < 0)
            status = fail();
    }
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
