/* search - lines that hold a text, with another one in its place: search SANDBOX PATH TEXT [NEW] */
#include <daytona/daytona.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

/* In each file once, however many lines it has. */
static int replace(struct daytona_sandbox *sandbox, const struct daytona_match *lines, size_t count,
                   const char *text, const char *new_text)
{
    const char **files = calloc(count + 1, sizeof(*files));
    struct daytona_match *done = NULL;
    size_t n = 0, done_count = 0;
    int status = 0;

    if (!files)
        return 1;
    for (size_t i = 0; i < count; i++) {
        if (n == 0 || strcmp(files[n - 1], lines[i].file) != 0)
            files[n++] = lines[i].file;
    }
    if (daytona_files_replace(sandbox, files, n, text, new_text, &done, &done_count) < 0)
        status = fail();
    daytona_matches_free(done, done_count);
    free(files);
    return status;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_match *lines = NULL;
    size_t count = 0;
    int status = 0;

    if (argc != 4 && argc != 5) {
        fprintf(stderr, "usage: search SANDBOX PATH TEXT [NEW]\n");
        return 2;
    }
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_files_find(sandbox, argv[2], argv[3], &lines, &count) < 0)
        status = fail();
    for (size_t i = 0; i < count; i++)
        printf("%s:%lld:%s\n", lines[i].file, (long long)lines[i].line, lines[i].content);
    if (status == 0 && argc == 5 && count > 0)
        status = replace(sandbox, lines, count, argv[3], argv[4]);
    daytona_matches_free(lines, count);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
