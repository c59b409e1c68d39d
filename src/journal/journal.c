#include "journal/journal.h"

#include "journal/journal_internal.h"
#include "util/clock.h"
#include "util/random.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct journal_limits defaults = {
    .soft_bytes = UINT64_C(1) << 30,
    .hard_bytes = UINT64_C(4) << 30,
    .spare_bytes = UINT64_C(256) << 20,
    .segment_bytes = UINT64_C(16) << 20,
    .max_records = 1000000,
};

static void set_limits(struct journal_limits *l)
{
    enum { SEGMENT_MAX = 256 << 20 };

    if (!l->soft_bytes)
        l->soft_bytes = defaults.soft_bytes;
    if (!l->hard_bytes)
        l->hard_bytes = defaults.hard_bytes;
    if (!l->spare_bytes)
        l->spare_bytes = defaults.spare_bytes;
    if (!l->segment_bytes || l->segment_bytes > SEGMENT_MAX)
        l->segment_bytes = defaults.segment_bytes;
    if (!l->max_records)
        l->max_records = defaults.max_records;
}

static void free_all(struct journal *j)
{
    journal_index_done(j);
    for (size_t i = 0; i < j->segment_count; i++)
        close(j->segments[i].fd);
    free(j->segments);
    if (j->log_fd >= 0)
        close(j->log_fd);
    if (j->lock_fd >= 0)
        close(j->lock_fd); /* which unlocks: last but for the directories */
    if (j->dir_fd >= 0)
        close(j->dir_fd);
    if (j->base_fd >= 0)
        close(j->base_fd);
    buf_done(&j->head_bytes);
    buf_done(&j->scratch);
    pthread_cond_destroy(&j->room);
    pthread_cond_destroy(&j->idle);
    lock_done(&j->lock);
    free(j->name);
    free(j);
}

struct journal *journal_free(struct journal *j)
{
    if (!j)
        return NULL;
    lock_take(&j->lock);
    journal_index_sweep(j);
    if (j->entry_count == 0 && !j->broken)
        journal_dir_remove(j);
    lock_drop(&j->lock);
    free_all(j);
    return NULL;
}

static struct journal *new_journal(const struct journal_options *o)
{
    struct journal *j = calloc(1, sizeof(*j));

    if (!j)
        return NULL;
    j->sys = o->sys ? o->sys : &journal_sys_real;
    j->limits = o->limits;
    set_limits(&j->limits);
    j->base_fd = j->dir_fd = j->lock_fd = j->log_fd = -1;
    lock_init(&j->lock);
    lock_cond_init(&j->room);
    lock_cond_init(&j->idle);
    buf_init(&j->head_bytes, JOURNAL_HEAD_MAX);
    buf_init(&j->scratch, JOURNAL_RECORD_MAX + 8);
    j->next_seq = j->next_segment = 1;
    j->unasked = UINT64_MAX / 2; /* the first change asks what the disk has left */
    return j;
}

/* ---- the head ---- */

static int make_head(struct journal *j, const struct journal_key *key)
{
    struct journal_head head = {
        .made_ns = clock_real_ns(),
        .api_url = key->api_url,
        .sandbox_id = key->sandbox_id,
        .slot = key->slot,
    };
    int r = random_bytes(&head.salt, sizeof(head.salt));

    if (r == 0)
        r = random_bytes(head.client, sizeof(head.client));
    if (r == 0)
        r = journal_head_put(&j->head_bytes, &head);
    return r;
}

static int make_log(struct journal *j, const struct journal_key *key)
{
    int r = make_head(j, key);

    if (r < 0)
        return r;
    (void)j->sys->unlink(j->dir_fd, "log.new"); /* of one that died here */
    j->log_fd = j->sys->create(j->dir_fd, "log.new");
    if (j->log_fd < 0)
        return j->log_fd;
    r = journal_write_all(j->sys, j->log_fd, j->head_bytes.data, j->head_bytes.len, 0);
    if (r == 0)
        r = j->sys->sync(j->log_fd);
    if (r == 0)
        r = j->sys->rename(j->dir_fd, "log.new", "log");
    if (r == 0)
        r = j->sys->sync(j->dir_fd);
    if (r == 0)
        r = j->sys->sync(j->base_fd);
    return r;
}

static int read_head(struct journal *j)
{
    ssize_t n;
    int r;

    buf_truncate(&j->head_bytes, 0);
    r = buf_reserve(&j->head_bytes, JOURNAL_HEAD_MAX);
    if (r < 0)
        return r;
    n = pread(j->log_fd, j->head_bytes.data, JOURNAL_HEAD_MAX, 0);
    if (n < 0)
        return -errno;
    n = journal_head_get(j->head_bytes.data, (size_t)n, &j->head);
    if (n < 0)
        return (int)n;
    j->head_bytes.len = (size_t)n;
    return 0;
}

static bool is_of(const struct journal *j, const struct journal_key *key)
{
    return strcmp(j->head.api_url, key->api_url) == 0 &&
           strcmp(j->head.sandbox_id, key->sandbox_id) == 0 && strcmp(j->head.slot, key->slot) == 0;
}

/* The head has the same length in every version. */
static int upgrade(struct journal *j)
{
    struct buf bytes = BUF_INIT(JOURNAL_HEAD_MAX);
    int r = journal_head_put(&bytes, &j->head);

    if (r < 0) {
        buf_done(&bytes);
        return r;
    }
    buf_done(&j->head_bytes);
    j->head_bytes = bytes;
    r = (int)journal_head_get(bytes.data, bytes.len, &j->head); /* it points into its bytes */
    return r < 0 ? r : journal_compact(j);
}

static int open_log(struct journal *j, const struct journal_key *key)
{
    bool made = false;
    off_t len;
    int r = 0;

    j->log_fd = journal_file_open(j->dir_fd, "log", O_RDWR);
    if (j->log_fd == -ENOENT && key) {
        r = journal_has_segments(j->dir_fd) ? -EBADMSG : make_log(j, key);
        made = true;
    } else if (j->log_fd < 0) {
        r = j->log_fd;
    }
    if (r == 0)
        r = read_head(j);
    if (r == 0 && key && !is_of(j, key))
        r = -EBADMSG;
    if (r < 0)
        return r;
    len = lseek(j->log_fd, 0, SEEK_END);
    if (len < 0)
        return -errno;
    j->log_len = (uint64_t)len;
    for (size_t i = 0; i < sizeof(j->head.client); i++)
        snprintf(j->client + 2 * i, 3, "%02x", j->head.client[i]);
    if (!made)
        r = journal_load(j);
    return r == 0 && j->head.version < JOURNAL_VERSION ? upgrade(j) : r;
}

static int open_named(const struct journal_options *o, char *name, const struct journal_key *key,
                      struct journal **ret, struct journal_holder *busy)
{
    struct journal *j = name ? new_journal(o) : NULL;
    int r;

    if (!j) {
        free(name);
        return -ENOMEM;
    }
    j->name = name;
    r = journal_dir_open(j, o, key != NULL, busy);
    if (r == 0)
        r = open_log(j, key);
    if (r < 0)
        free_all(j);
    else
        *ret = j;
    return r;
}

int journal_open(const struct journal_options *o, const struct journal_key *key,
                 struct journal **ret, struct journal_holder *busy)
{
    return open_named(o, journal_name(key), key, ret, busy);
}

int journal_open_name(const struct journal_options *o, const char *name, struct journal **ret,
                      struct journal_holder *busy)
{
    return open_named(o, strdup(name), NULL, ret, busy);
}

struct journal_key journal_key(const struct journal *j)
{
    return (struct journal_key){
        .api_url = j->head.api_url, .sandbox_id = j->head.sandbox_id, .slot = j->head.slot};
}

const char *journal_client(const struct journal *j)
{
    return j->client;
}

uint64_t journal_torn_bytes(const struct journal *j)
{
    return j->torn_bytes;
}
