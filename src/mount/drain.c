#include "mount/drain.h"

#include "util/cancel.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/lock.h"
#include "util/log.h"
#include "util/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

enum { LIST_MAX = 16 * 1024 * 1024 };

struct sync {
    struct fs *fs;
    struct cancel *cancel;
    struct lock lock; /* guards done */
    pthread_cond_t changed;
    bool done;
    int r; /* valid when done */
};

static void *sync_thread(void *arg)
{
    struct sync *s = arg;

    cancel_bind(s->cancel);
    s->r = fs_sync(s->fs, NULL, NULL);
    cancel_bind(NULL);
    lock_take(&s->lock);
    s->done = true;
    pthread_cond_signal(&s->changed);
    lock_drop(&s->lock);
    return NULL;
}

int drain(struct fs *fs, int64_t until_ns)
{
    struct sync s = {.fs = fs, .cancel = cancel_new()};
    pthread_t thread;
    int r;

    if (fs_unsent(fs, NULL) == 0) {
        cancel_unref(s.cancel);
        return 0;
    }
    lock_init(&s.lock);
    lock_cond_init(&s.changed);
    r = s.cancel ? -pthread_create(&thread, NULL, sync_thread, &s) : -ENOMEM;
    if (r == 0) {
        lock_take(&s.lock);
        while (!s.done && lock_wait_until(&s.lock, &s.changed, until_ns) != -ETIMEDOUT)
            ;
        lock_drop(&s.lock);
        cancel_fire(s.cancel);
        pthread_join(thread, NULL);
        r = s.r;
    }
    pthread_cond_destroy(&s.changed);
    lock_done(&s.lock);
    cancel_unref(s.cancel);
    return r;
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
