/* repository - what is not committed in a repository of a sandbox: repository SANDBOX PATH */
#include <daytona/daytona.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_git_status status = {0};
    int r;

    if (argc != 3) {
        fprintf(stderr, "usage: repository SANDBOX PATH\n");
        return 2;
    }
    r = daytona_client_new(NULL, &client);
    if (r == 0)
        r = daytona_sandbox_get(client, argv[1], &sandbox);
    if (r == 0)
        r = daytona_git_status(sandbox, argv[2], &status);
    if (r < 0) {
        fprintf(stderr, "%s: %s\n", daytona_last_error()->call, daytona_last_error()->message);
    } else {
        printf("on %s\n", status.current_branch);
        for (size_t i = 0; i < status.file_count; i++)
            printf("%s %s\n", status.files[i].worktree, status.files[i].name);
    }
    daytona_git_status_done(&status);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return r < 0;
}
