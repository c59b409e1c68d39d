/* info and statfs: who runs this, and how much room there is. */
#include "helper/verbs.h"

#include "helper/folder.h"
#include "helper/mounts.h"
#include "helper/text.h"
#include "helper/walk.h"
#include "util/array.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

/* The effective capabilities, as /proc says them; 0 if it does not. */
static uint64_t capabilities(void)
{
    static const char key[] = "CapEff:";
    char status[8192];
    const char *p = status;

    text_read("/proc/self/status", status, sizeof(status));
    while (strncmp(p, key, strlen(key)) != 0) {
        p = strchr(p, '\n');
        if (!p)
            return 0;
        p++;
    }
    p += strlen(key);
    return text_number(&p, 16);
}

int verb_info(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    struct proto_info info = {.uid = geteuid(), .gid = getegid(), .capabilities = capabilities()};
    gid_t groups[1024];
    const int count = getgroups(ARRAY_LEN(groups), groups);
    struct look st;
    int folder;

    for (int i = 0; i < count && info.group_count < PROTO_GROUPS_MAX; i++)
        info.groups[info.group_count++] = groups[i];
    info.umask = umask(0);
    folder = folder_open(NULL);
    if (folder >= 0 && look_at(folder, "", &st) == 0)
        info.folder_dev = mounts_device(st.st.st_dev, st.mount);
    if (folder >= 0)
        close(folder);
    EMIT(e, proto_put_info, &info);
    return 0;
}

int emit_space(struct emit *e, int root)
{
    struct proto_statfs out;
    struct statvfs vfs;
    struct statfs fs;

    if (fstatvfs(root, &vfs) < 0 || fstatfs(root, &fs) < 0)
        return -errno;
    out = (struct proto_statfs){
        .block_size = vfs.f_frsize,
        .blocks = vfs.f_blocks,
        .blocks_free = vfs.f_bfree,
        .blocks_avail = vfs.f_bavail,
        .files = vfs.f_files,
        .files_free = vfs.f_ffree,
        .type = (uint32_t)fs.f_type,
    };
    EMIT(e, proto_put_statfs, &out);
    return 0;
}

int verb_statfs(struct emit *e, const struct proto_request *req, bool *ret_more)
{
    const int root = walk_root(req->root);
    int r;

    if (root < 0)
        return root;
    r = emit_space(e, root);
    close(root);
    return r;
}
