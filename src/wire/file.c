#include "wire/file.h"

#include "util/array.h"
#include "util/path.h"
#include "wire/gomode.h"
#include "wire/time.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A FileInfo as it is on the wire. */
struct file_json {
    char *name, *path, *mode, *mod_time, *modified_at, *owner, *group, *permissions;
    uint64_t size;
    bool is_dir;
};

#define FILE_FIELD(member, key, type, flags) JSON_FIELD(struct file_json, member, key, type, flags)

/* In the order in which the service writes them. */
static const struct json_field file_fields[] = {
    FILE_FIELD(name, "name", JSON_STRING, JSON_REQUIRED),
    FILE_FIELD(path, "path", JSON_STRING, JSON_OMIT),
    FILE_FIELD(size, "size", JSON_SIZE, JSON_REQUIRED),
    FILE_FIELD(mode, "mode", JSON_STRING, 0),
    FILE_FIELD(mod_time, "modTime", JSON_STRING, JSON_OMIT),
    FILE_FIELD(modified_at, "modifiedAt", JSON_STRING, JSON_OMIT),
    FILE_FIELD(is_dir, "isDir", JSON_BOOL, 0),
    FILE_FIELD(owner, "owner", JSON_STRING, 0),
    FILE_FIELD(group, "group", JSON_STRING, 0),
    FILE_FIELD(permissions, "permissions", JSON_STRING, 0),
};

void wire_file_done(struct wire_file *f)
{
    free(f->name);
    free(f->path);
    *f = (struct wire_file){0};
}

/* Decimal uid or gid; -1 for anything else. */
static int64_t read_id(const char *s)
{
    int64_t v = 0;

    if (!*s)
        return -1;
    for (; *s; s++) {
        if (*s < '0' || *s > '9' || v > UINT32_MAX)
            return -1;
        v = v * 10 + (*s - '0');
    }
    return v > UINT32_MAX ? -1 : v;
}

static int read_mode(const struct file_json *j, mode_t *ret)
{
    char *end;
    unsigned long bits;

    if (j->mode[0])
        return gomode_read(j->mode, ret);
    bits = strtoul(j->permissions, &end, 8);
    if (end == j->permissions || *end || bits > 0777)
        return -EPROTO;
    *ret = (mode_t)bits | (j->is_dir ? S_IFDIR : S_IFREG);
    return 0;
}

static int read_mtime(const struct file_json *j, int64_t *ret)
{
    return j->modified_at[0] ? time_read_rfc3339(j->modified_at, ret)
                             : time_read_go(j->mod_time, ret);
}

static int load_file(const cJSON *json, struct wire_file *ret)
{
    struct file_json j = {0};
    struct wire_file f = {0};
    int r;

    r = json_load(json, file_fields, ARRAY_LEN(file_fields), &j);
    if (r < 0)
        return r;
    r = read_mode(&j, &f.mode);
    if (r == 0)
        r = read_mtime(&j, &f.mtime_ns);
    if (r < 0)
        goto out;
    f.size = j.size;
    f.uid = read_id(j.owner);
    f.gid = read_id(j.group);
    f.name = j.name;
    f.path = j.path;
    j.name = j.path = NULL;
    *ret = f;
out:
    json_unload(file_fields, ARRAY_LEN(file_fields), &j);
    return r;
}

int wire_file_read(const void *text, size_t len, struct wire_file *ret)
{
    cJSON *json = NULL;
    int r;

    r = json_parse(text, len, &json);
    if (r < 0)
        return r;
    r = load_file(json, ret);
    cJSON_Delete(json);
    return r;
}

/* Makes room for one more of size bytes; the caller counts it. */
static int grow(void **list, size_t count, size_t size, size_t max)
{
    void *more;

    if (count >= max)
        return -EFBIG;
    if (count & (count - 1)) /* capacity is the power of two that holds count */
        return 0;
    more = realloc(*list, (count ? count * 2 : 1) * size);
    if (!more)
        return -ENOMEM;
    *list = more;
    return 0;
}

struct file_list {
    struct wire_file *list;
    size_t count;
};

static bool name_is_possible(const char *name)
{
    const size_t len = strlen(name);

    if (len > PATH_NAME_MAX)
        return len <= 3 * PATH_NAME_MAX && strstr(name, "\xef\xbf\xbd") && !strchr(name, '/');
    return path_name_valid(name, len);
}

static int add_file(void *arg, const cJSON *element)
{
    struct file_list *l = arg;
    void *list = l->list;
    int r;

    r = grow(&list, l->count, sizeof(*l->list), WIRE_FILES_MAX);
    if (r < 0)
        return r;
    l->list = list;
    r = load_file(element, &l->list[l->count]);
    if (r < 0)
        return r;
    return name_is_possible(l->list[l->count++].name) ? 0 : -EPROTO;
}

int wire_files_read(const void *text, size_t len, struct wire_file **ret, size_t *ret_count)
{
    struct file_list l = {0};
    const int r = json_array_each(text, len, add_file, &l);

    if (r < 0) {
        wire_files_free(l.list, l.count);
        return r;
    }
    *ret = l.list;
    *ret_count = l.count;
    return 0;
}

void wire_files_free(struct wire_file *list, size_t count)
{
    for (size_t i = 0; i < count; i++)
        wire_file_done(&list[i]);
    free(list);
}

void wire_file_write(struct json_out *o, const struct wire_file *f,
                     const struct wire_file_style *style)
{
    struct buf modified = BUF_INIT(64), go = BUF_INIT(64);
    char mode[GOMODE_TEXT_MAX], owner[24], group[24], permissions[8];
    struct file_json j = {
        .name = f->name,
        .path = style->with_path ? f->path : NULL,
        .size = f->size,
        .is_dir = S_ISDIR(f->mode),
        .mode = mode,
        .owner = owner,
        .group = group,
        .permissions = permissions,
    };

    gomode_write(f->mode, mode);
    snprintf(owner, sizeof(owner), "%lld", (long long)f->uid);
    snprintf(group, sizeof(group), "%lld", (long long)f->gid);
    snprintf(permissions, sizeof(permissions), "%04o", f->mode & 0777);
    if (time_write_go(&go, f->mtime_ns, style->utc_offset_s, style->zone) < 0 ||
        time_write_rfc3339(&modified, f->mtime_ns, style->utc_offset_s) < 0) {
        o->err = o->err ? o->err : -ENOMEM;
        goto out;
    }
    j.mod_time = go.data;
    j.modified_at = style->no_modified ? NULL : modified.data;
    json_open(o, '{');
    json_fields(o, file_fields, ARRAY_LEN(file_fields), &j);
    json_close(o, '}');
out:
    buf_done(&modified);
    buf_done(&go);
}
