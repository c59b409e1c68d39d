/* transfer - copies a file into a sandbox and back out */
#include "example.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

static int transfer(const struct example *e)
{
    const int from = open(e->argv[0], O_RDONLY | O_CLOEXEC);
    int to = open(e->argv[2], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    struct daytona_upload upload = {.path = e->argv[1], .fd = from};
    struct daytona_download_info info;
    struct stat st;
    int r;

    if (from < 0 || fstat(from, &st) < 0 || to < 0) {
        perror(from < 0 ? e->argv[0] : e->argv[2]);
        return 1;
    }
    upload.len = (uint64_t)st.st_size;
    r = daytona_files_upload(e->sandbox, &upload);
    if (r == 0)
        r = daytona_files_download(e->sandbox, e->argv[1], 0, UINT64_MAX, write_piece, &to, &info);
    if (r == 0)
        printf("%ju bytes there and back\n", (uintmax_t)info.delivered);
    close(from);
    close(to);
    return r;
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"", 3, 3, "FILE PATH COPY", transfer},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
