#include "mount/drain.h"

#include "util/clock.h"
#include "util/deadline.h"
#include "util/errtext.h"
#include "util/log.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_MAX = 16 * 1024 * 1024 };

int drain(struct fs *fs, int64_t until_ns)
{
    struct deadline d;
    int r;

    if (fs_unsent(fs, NULL) == 0 && !fs_busy(fs))
        return 0;
    r = deadline_begin(&d, until_ns);
    if (r < 0)
        return r;
    r = fs_sync(fs, NULL, NULL);
    (void)deadline_end(&d);
    return r;
}

void drain_learn(struct fs *fs)
{
    static const int64_t most_ns = 3 * NS_PER_S;
    struct deadline d;

    if (deadline_begin(&d, clock_mono_ns() + most_ns) < 0)
        return;
    fs_learn_times(fs);
    (void)deadline_end(&d);
}

/* The list stands beside what it lists, so that nobody has to remember what went where. */
static void write_list(const char *dir, const struct buf *list)
{
    char *path = path_join(dir, "KEPT");
    int fd = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;

    if (fd < 0 || write(fd, list->data, list->len) != (ssize_t)list->len)
        log_msg(LOG_WARN, "%s: the list of what was kept could not be written", dir);
    if (fd >= 0)
        close(fd);
    free(path);
}

int drain_journal(struct fs *fs)
{
    uint64_t bytes = 0;
    const size_t changes = fs_unsent(fs, &bytes);

    if (changes == 0)
        return 0;
    log_msg(LOG_WARN,
            "%zu changes (%" PRIu64 " bytes of data) are not in the sandbox yet: they are in the "
            "journal, and sent by the next mount or `daytonafs recover`",
            changes, bytes);
    return 1;
}

int drain_keep(struct fs *fs, const char *dir)
{
    struct buf list = BUF_INIT(LIST_MAX);
    uint64_t bytes = 0;
    const size_t files = fs_unsent(fs, &bytes);
    int r;

    if (files == 0)
        return 0;
    r = fs_keep_unsent(fs, dir, &list);
    if (list.len > 0)
        write_list(dir, &list);
    buf_done(&list);
    if (r < 0) {
        log_msg(LOG_ERROR, "%zu files could neither be sent nor kept in %s: %s", files, dir,
                errtext_sentence(r));
        return r;
    }
    log_msg(LOG_WARN, "%zu files (%" PRIu64 " bytes) could not be sent: they are kept in %s", files,
            bytes, dir);
    return 1;
}
