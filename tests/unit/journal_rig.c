#include "journal_rig.h"

#include "util/path.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct journal_key rig_key = {
    .api_url = "http://127.0.0.1:3000", .sandbox_id = "box", .slot = "/home/daytona"};

void rig_make(struct journal_rig *rig)
{
    memset(rig, 0, sizeof(*rig));
    rig_disk_new();
    /* In memory where that is possible: a real fsync a step would take minutes. */
    strcpy(rig->base, "/dev/shm/journal-test-XXXXXX");
    if (!mkdtemp(rig->base)) {
        strcpy(rig->base, "/tmp/journal-test-XXXXXX");
        if (!mkdtemp(rig->base))
            abort();
    }
    rig->options = (struct journal_options){
        .base = rig->base, .mount_dir = "/mnt/box", .limits = {.spare_bytes = 1}};
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    struct dirent *d;

    while (dir && (d = readdir(dir))) {
        char *child = path_join(path, d->d_name);

        if (strcmp(d->d_name, ".") != 0 && strcmp(d->d_name, "..") != 0 && unlink(child) < 0)
            remove_tree(child);
        free(child);
    }
    if (dir)
        closedir(dir);
    (void)rmdir(path);
}

void rig_remove(struct journal_rig *rig)
{
    remove_tree(rig->base);
}

char *rig_path(const struct journal_rig *rig, const char *file)
{
    char *name = journal_name(&rig_key), *path = NULL;

    if (asprintf(&path, "%s/%s/%s", rig->base, name, file) < 0)
        abort();
    free(name);
    return path;
}
