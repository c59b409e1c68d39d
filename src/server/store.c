/* store.c - sandboxes in the state directory: what of them outlives the server. */
#include "server/server_internal.h"
#include "server/tree.h"

#include "util/array.h"
#include "util/clock.h"
#include "util/errtext.h"
#include "util/io.h"
#include "util/path.h"
#include "util/random.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STORE_MAX = 64 << 20 };

/* STATE/sandboxes.json is an array of these. Times are ms: JSON's numbers end at 2^53. */
static const struct json_field fields[] = {
    JSON_FIELD(struct sandbox, id, "id", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct sandbox, name, "name", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct sandbox, folder, "folder", JSON_STRING, JSON_REQUIRED),
    JSON_FIELD(struct sandbox, given, "given", JSON_BOOL, 0),
    JSON_FIELD(struct sandbox, run, "run", JSON_BOOL, 0),
    JSON_FIELD(struct sandbox, user, "user", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, target, "target", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, snapshot, "snapshot", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, env, "env", JSON_PAIRS, 0),
    JSON_FIELD(struct sandbox, labels, "labels", JSON_PAIRS, 0),
    JSON_FIELD(struct sandbox, created_ms, "created_ms", JSON_INT, 0),
    JSON_FIELD(struct sandbox, updated_ms, "updated_ms", JSON_INT, 0),
    JSON_FIELD(struct sandbox, active_ms, "active_ms", JSON_INT, 0),
    JSON_FIELD(struct sandbox, auto_stop_min, "auto_stop_min", JSON_INT, 0),
    JSON_FIELD(struct sandbox, auto_archive_min, "auto_archive_min", JSON_INT, 0),
    JSON_FIELD(struct sandbox, auto_delete_min, "auto_delete_min", JSON_INT, 0),
    JSON_FIELD(struct sandbox, ttl_min, "ttl_min", JSON_INT, 0),
    JSON_FIELD(struct sandbox, archived, "archived", JSON_BOOL, 0),
    JSON_FIELD(struct sandbox, signing_key, "signing_key", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, is_public, "public", JSON_BOOL, 0),
    JSON_FIELD(struct sandbox, network_block_all, "network_block_all", JSON_BOOL, 0),
    JSON_FIELD(struct sandbox, network_allow_list, "network_allow_list", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, domain_allow_list, "domain_allow_list", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, auto_pause_min, "auto_pause_min", JSON_INT, 0),
    JSON_FIELD(struct sandbox, sandbox_class, "class", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, parent_id, "parent", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, dockerfile, "dockerfile", JSON_STRING, 0),
    JSON_FIELD(struct sandbox, volume_ids, "volume_ids", JSON_STRINGS, 0),
    JSON_FIELD(struct sandbox, volume_paths, "volume_paths", JSON_STRINGS, 0),
    JSON_FIELD(struct sandbox, volume_subpaths, "volume_subpaths", JSON_STRINGS, 0),
    JSON_FIELD(struct sandbox, cpu, "cpu", JSON_DOUBLE, 0),
    JSON_FIELD(struct sandbox, memory_gib, "memory_gib", JSON_DOUBLE, 0),
    JSON_FIELD(struct sandbox, disk_gib, "disk_gib", JSON_DOUBLE, 0),
};

void store_free(struct sandbox *sb)
{
    json_unload(fields, ARRAY_LEN(fields), sb);
    free(sb->tmp);
    free(sb->var_tmp);
    free(sb);
}

char *store_make_id(void)
{
    unsigned char b[16];
    char *id;

    if (random_bytes(b, sizeof(b)) < 0)
        return NULL;
    b[6] = (unsigned char)((b[6] & 0x0f) | 0x40); /* version 4 */
    b[8] = (unsigned char)((b[8] & 0x3f) | 0x80); /* RFC 4122 */
    if (asprintf(&id, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0],
                 b[1], b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13],
                 b[14], b[15]) < 0)
        return NULL;
    return id;
}

int store_make_token(char *out, size_t n)
{
    static const char digits[] = "abcdefghijklmnopqrstuvwxyz234567"; /* 5 bits each */

    const int r = random_bytes(out, n);

    if (r < 0)
        return r;
    for (size_t i = 0; i < n; i++)
        out[i] = digits[(unsigned char)out[i] % 32];
    out[n] = '\0';
    return 0;
}

char *store_dir(const struct server *s, const char *id, const char *what)
{
    char *path;

    if (asprintf(&path, "%s/sandboxes/%s%s%s", s->state_dir, id, *what ? "/" : "", what) < 0)
        return NULL;
    return path;
}

int store_make_dirs(struct sandbox *sb)
{
    int r;

    r = path_make_dirs(sb->tmp, 0700);
    if (r == 0)
        r = path_make_dirs(sb->var_tmp, 0700);
    if (r == 0 && (chmod(sb->tmp, 01777) < 0 || chmod(sb->var_tmp, 01777) < 0))
        r = -errno;
    if (r == 0 && !sb->given)
        r = path_make_dirs(sb->folder, 0755);
    return r;
}

void store_remove_dirs(struct sandbox *sb)
{
    char *dir = store_dir(sb->srv, sb->id, "");

    if (dir)
        tree_remove_path(dir);
    free(dir);
}

static int write_file(const char *path, const struct buf *text)
{
    char *tmp = NULL;
    int fd = -1, r = 0;

    if (asprintf(&tmp, "%s.new", path) < 0)
        return -ENOMEM;
    fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        r = -errno;
        goto out;
    }
    r = io_write(fd, text->data, text->len);
    if (r == 0 && rename(tmp, path) < 0)
        r = -errno;
out:
    if (fd >= 0)
        close(fd);
    free(tmp);
    return r;
}

int store_write_list(const struct server *s, const char *name, const struct buf *text)
{
    char *path = path_join(s->state_dir, name);
    const int r = path ? write_file(path, text) : -ENOMEM;

    free(path);
    return r;
}

int store_save_locked(struct server *s)
{
    struct buf text = BUF_INIT(STORE_MAX);
    struct json_out o = {.buf = &text};
    int r;

    lock_assert_held(&s->lock);
    json_open(&o, '[');
    for (const struct sandbox *sb = s->sandboxes; sb; sb = sb->next) {
        if (sb->state == SB_DESTROYING || sb->state == SB_DESTROYED)
            continue;
        json_open(&o, '{');
        json_fields(&o, fields, ARRAY_LEN(fields), sb);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    r = o.err;
    if (r == 0)
        r = store_write_list(s, "sandboxes.json", &text);
    buf_done(&text);
    return r;
}

static int load_one(void *arg, const cJSON *element)
{
    struct server *s = arg;
    struct sandbox *sb, **end;
    int r;

    sb = calloc(1, sizeof(*sb));
    if (!sb)
        return -ENOMEM;
    sb->cpu = sb->memory_gib = 1; /* what older files do not say */
    sb->disk_gib = 3;
    r = json_load(element, fields, ARRAY_LEN(fields), sb);
    if (r < 0) {
        free(sb);
        return r;
    }
    sb->srv = s;
    sb->refs = 1;
    sb->state = sb->archived ? SB_ARCHIVED : SB_STOPPED;
    sb->state_ms = clock_real_ns() / NS_PER_MS;
    sb->tmp = store_dir(s, sb->id, "tmp");
    sb->var_tmp = store_dir(s, sb->id, "var-tmp");
    if (!path_name_valid(sb->id, strlen(sb->id)) || !sb->tmp || !sb->var_tmp ||
        sb->volume_ids.count != sb->volume_paths.count ||
        sb->volume_ids.count != sb->volume_subpaths.count) {
        store_free(sb);
        return -EPROTO;
    }
    if (mkdir(sb->var_tmp, 0700) == 0) /* an earlier version had none */
        (void)chmod(sb->var_tmp, 01777);
    for (end = &s->sandboxes; *end; end = &(*end)->next)
        ;
    *end = sb;
    return 0;
}

static int read_file(const char *path, struct buf *out)
{
    int fd, r;

    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    r = io_read_rest(fd, out);
    close(fd);
    return r;
}

int store_read_list(struct server *s, const char *name, json_element fn, struct buf *why)
{
    struct buf text = BUF_INIT(STORE_MAX);
    char *path;
    int r;

    path = path_join(s->state_dir, name);
    if (!path)
        return -ENOMEM;
    r = read_file(path, &text);
    if (r == 0)
        r = json_array_each(text.data, text.len, fn, s);
    else if (r == -ENOENT)
        r = 0; /* a new state directory */
    if (r < 0)
        (void)buf_printf(why, "cannot read %s: %s", path, errtext_sentence(r));
    buf_done(&text);
    free(path);
    return r;
}

int store_load(struct server *s, struct buf *why)
{
    return store_read_list(s, "sandboxes.json", load_one, why);
}
