/* transfer - copies a file into a sandbox and back out: transfer SANDBOX FILE PATH COPY */
#include <daytona/daytona.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(void)
{
    const struct daytona_error *e = daytona_last_error();

    fprintf(stderr, "%s: %s\n", e->call, e->message);
    return 1;
}

/* Called on a thread of the client's with each piece, and again from the start after a retry. */
static int write_piece(void *arg, uint64_t off, const void *p, size_t n)
{
    const int fd = *(int *)arg;
    const char *bytes = p;

    while (n > 0) {
        const ssize_t done = pwrite(fd, bytes, n, (off_t)off);

        if (done < 0)
            return -errno;
        bytes += done;
        off += (uint64_t)done;
        n -= (size_t)done;
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct daytona_client *client = NULL;
    struct daytona_sandbox *sandbox = NULL;
    struct daytona_download_info info;
    struct daytona_upload upload;
    struct stat st;
    int from, to, status = 0;

    if (argc != 5) {
        fprintf(stderr, "usage: transfer SANDBOX FILE PATH COPY\n");
        return 2;
    }
    from = open(argv[2], O_RDONLY | O_CLOEXEC);
    to = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (from < 0 || fstat(from, &st) < 0 || to < 0) {
        perror(from < 0 ? argv[2] : argv[4]);
        return 1;
    }
    upload = (struct daytona_upload){.path = argv[3], .fd = from, .len = (uint64_t)st.st_size};
    if (daytona_client_new(NULL, &client) < 0 ||
        daytona_sandbox_get(client, argv[1], &sandbox) < 0 ||
        daytona_files_upload(sandbox, &upload) < 0 ||
        daytona_files_download(sandbox, argv[3], 0, UINT64_MAX, write_piece, &to, &info) < 0)
        status = fail();
    else
        printf("%ju bytes there and back\n", (uintmax_t)info.delivered);
    daytona_sandbox_unref(sandbox);
    daytona_client_free(client);
    close(from);
    close(to);
    return status;
}
