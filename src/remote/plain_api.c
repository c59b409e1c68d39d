#include "remote/plain_internal.h"
#include "remote/record.h"

#include "util/path.h"

#include <daytona/files.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static void attr_from_info(const struct daytona_file_info *info, struct remote_attr *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->size = info->size;
    ret->mode = info->mode;
    ret->mtime_ns = ret->atime_ns = info->mtime_ns;
    ret->nlink = S_ISDIR(info->mode) ? 2 : 1;
    ret->uid = info->uid < 0 ? (uint32_t)-2 : (uint32_t)info->uid;
    ret->gid = info->gid < 0 ? (uint32_t)-2 : (uint32_t)info->gid;
}

int plain_api_stat(struct plain *p, const char *path, struct remote_attr *ret)
{
    struct daytona_file_info info = {0};
    int r;

    r = daytona_files_info(p->sandbox, path, &info);
    if (r < 0)
        return plain_file_error(p, path, r);
    attr_from_info(&info, ret);
    daytona_file_info_done(&info);
    return 0;
}

static int add_info(struct plain *p, const struct daytona_file_info *info, struct remote_list *list)
{
    struct remote_entry *e = &list->v[list->count];

    if (!path_name_valid(info->name, strlen(info->name)))
        return -EPROTO;
    /* U+FFFD stands for bytes that are lost: the name would lead nowhere, or elsewhere. */
    if (strstr(info->name, "\xef\xbf\xbd") ||
        strncmp(info->name, p->temp_prefix, strlen(p->temp_prefix)) == 0)
        return 0;
    memset(e, 0, sizeof(*e));
    attr_from_info(info, &e->attr);
    e->name = strdup(info->name);
    if (!e->name)
        return -ENOMEM;
    list->count++;
    return 0;
}

int plain_api_list(struct plain *p, const char *path, size_t max, struct remote_list *ret)
{
    struct daytona_file_info *infos = NULL;
    struct remote_list list = {0};
    size_t count = 0;
    int r;

    r = plain_api_stat(p, path, &list.self);
    if (r == 0 && !S_ISDIR(list.self.mode))
        r = -ENOTDIR;
    if (r < 0)
        return r;
    r = daytona_files_list(p->sandbox, path, 1, &infos, &count);
    if (r < 0)
        return plain_file_error(p, path, r);
    list.v = calloc(count + 1, sizeof(*list.v));
    if (!list.v)
        r = -ENOMEM;
    for (size_t i = 0; r == 0 && i < count && !list.cut; i++) {
        r = add_info(p, &infos[i], &list);
        if (list.count > max) {
            list.cut = true;
            free(list.v[--list.count].name);
        }
    }
    daytona_files_list_free(infos, count);
    if (r == 0)
        r = record_check_list(&list, 1);
    if (r < 0)
        remote_list_done(&list);
    else
        *ret = list;
    return r == -EBADMSG ? -EPROTO : r;
}

/* The service would make missing parents, and does not mind what is there: so both are asked
 * first. Between the question and the change others may come; without a shell there is no better.
 */
static int check_absent(struct plain *p, const char *path)
{
    struct remote_attr attr;
    char *dir;
    int r;

    r = plain_api_stat(p, path, &attr);
    if (r != -ENOENT)
        return r < 0 ? r : -EEXIST;
    dir = path_dir(path);
    r = dir ? plain_api_stat(p, dir, &attr) : -ENOMEM;
    free(dir);
    return r == 0 && !S_ISDIR(attr.mode) ? -ENOTDIR : r;
}

static int settle_mode(struct plain *p, const char *path, mode_t mode, struct remote_attr *ret)
{
    int r;

    r = plain_api_stat(p, path, ret);
    if (r < 0 || (ret->mode & 07777) == mode)
        return r;
    r = daytona_files_set_permissions(p->sandbox, path, mode, NULL, NULL);
    if (r < 0)
        return plain_file_error(p, path, r);
    ret->mode = (ret->mode & S_IFMT) | mode;
    return 0;
}

int plain_api_create(struct plain *p, const char *path, mode_t mode, struct remote_attr *ret)
{
    const struct daytona_upload upload = {.path = path, .data = "", .fd = -1};
    int r;

    r = check_absent(p, path);
    if (r < 0)
        return r;
    r = daytona_files_upload(p->sandbox, &upload);
    return r < 0 ? plain_file_error(p, path, r) : settle_mode(p, path, mode, ret);
}

int plain_api_mkdir(struct plain *p, const char *path, mode_t mode, struct remote_attr *ret)
{
    int r;

    r = check_absent(p, path);
    if (r < 0)
        return r;
    r = daytona_files_create_folder(p->sandbox, path, mode);
    return r < 0 ? plain_file_error(p, path, r) : settle_mode(p, path, mode, ret);
}

int plain_api_unlink(struct plain *p, const char *path)
{
    struct remote_attr attr;
    int r;

    r = plain_api_stat(p, path, &attr);
    if (r == 0 && S_ISDIR(attr.mode))
        r = -EISDIR;
    if (r < 0)
        return r;
    r = daytona_files_delete(p->sandbox, path, false);
    return r < 0 ? plain_file_error(p, path, r) : 0;
}

int plain_api_rename(struct plain *p, const char *from, const char *to, unsigned flags,
                     struct remote_attr *ret)
{
    struct remote_attr there;
    int r;

    r = plain_api_stat(p, from, ret);
    if (r < 0)
        return r;
    if (flags == 0 && strcmp(from, to) == 0)
        return 0;
    r = plain_api_stat(p, to, &there);
    if (r == 0)
        return flags & REMOTE_RENAME_NOREPLACE ? -EEXIST : -EOPNOTSUPP;
    if (r != -ENOENT)
        return r;
    r = daytona_files_move(p->sandbox, from, to);
    return r < 0 ? plain_file_error(p, from, r) : 0;
}

int plain_api_setattr(struct plain *p, const char *path, const struct remote_setattr *set,
                      struct remote_attr *ret)
{
    char uid[16], gid[16];
    int r;

    snprintf(uid, sizeof(uid), "%u", set->attr.uid);
    snprintf(gid, sizeof(gid), "%u", set->attr.gid);
    r = daytona_files_set_permissions(
        p->sandbox, path, set->mask & REMOTE_SET_MODE ? set->attr.mode & 07777 : (mode_t)-1,
        set->mask & REMOTE_SET_UID ? uid : NULL, set->mask & REMOTE_SET_GID ? gid : NULL);
    return r < 0 ? plain_file_error(p, path, r) : plain_api_stat(p, path, ret);
}

int plain_api_put(struct plain *p, const char *path, const struct remote_put *put,
                  struct remote_attr *ret)
{
    const struct daytona_upload upload = {.path = path, .fd = put->fd, .len = put->size};
    struct remote_attr attr;
    int r;

    if (!put->replace) {
        r = check_absent(p, path);
        if (r == -EEXIST) {
            r = plain_api_stat(p, path, &attr);
            if (r == 0 && !S_ISREG(attr.mode))
                r = S_ISDIR(attr.mode) ? -EISDIR : -EINVAL;
        }
        if (r < 0)
            return r;
    }
    r = daytona_files_upload(p->sandbox, &upload);
    if (r < 0)
        return plain_file_error(p, path, r);
    return ret ? plain_api_stat(p, path, ret) : 0;
}
