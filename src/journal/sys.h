/* sys.h - the system calls by which a journal changes a disk, so that a test can stop after any. */
#ifndef JOURNAL_SYS_H
#define JOURNAL_SYS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Each returns 0 (write: a count) or -errno. From any thread. */
struct journal_sys {
    int (*create)(int dir_fd, const char *name); /* O_RDWR, fails if it is there; a descriptor */
    ssize_t (*write)(int fd, const void *p, size_t n, uint64_t at);
    int (*truncate)(int fd, uint64_t len);
    int (*sync)(int fd); /* fdatasync; fsync for a directory */
    int (*rename)(int dir_fd, const char *from, const char *to);
    int (*unlink)(int dir_fd, const char *name);
    int (*free_bytes)(int dir_fd, uint64_t *ret); /* what this user may still write */
};

extern const struct journal_sys journal_sys_real;

#endif
