/* list - the files in a folder of a sandbox: list SANDBOX [PATH] */
#include <daytona/daytona.h>

#include <inttypes.h>
#include <stdio.h>
#include <sys/stat.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_file_info *list = NULL;
    size_t count = 0;
    int status = 0;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: list SANDBOX [PATH]\n");
        return 2;
    }
    /* NULL: the key from DAYTONA_API_KEY, or the login of the Daytona CLI */
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_files_list(sandbox, argc == 3 ? argv[2] : ".", 0, &list, &count) < 0)
        status = fail();
    for (size_t i = 0; i < count; i++)
        printf("%04o %10" PRIu64 " %s%s\n", (unsigned)list[i].mode & 07777, list[i].size,
               list[i].name, S_ISDIR(list[i].mode) ? "/" : "");
    daytona_files_list_free(list, count);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    return status;
}
