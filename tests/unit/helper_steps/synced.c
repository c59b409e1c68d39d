/* What the helper brings to the disk is written down: in the file that HELPER_SYNCED names, the
 * inode of each. */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int fsync(int fd)
{
    const char *path = getenv("HELPER_SYNCED");
    FILE *list = path ? fopen(path, "ae") : NULL;
    struct stat st;

    if (list && fstat(fd, &st) == 0)
        fprintf(list, "%ju\n", (uintmax_t)st.st_ino);
    if (list)
        fclose(list);
    return (int)syscall(SYS_fsync, fd);
}
