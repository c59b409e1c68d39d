#include "mount/dirs.h"

#include "util/path.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

char *dirs_base(const char *variable, const char *fallback)
{
    const char *value = getenv(variable), *home = getenv("HOME");
    const struct passwd *pw;

    if (value && value[0] == '/')
        return path_resolve("/", value);
    if (!home || home[0] != '/') {
        pw = getpwuid(getuid());
        home = pw ? pw->pw_dir : NULL;
    }
    return home ? path_resolve(home, fallback) : NULL;
}

static char *below(char *base, const char *name)
{
    char *dir = base ? path_join(base, name) : NULL;

    free(base);
    return dir;
}

char *dirs_mounts(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR");

    if (runtime && runtime[0] == '/')
        return path_join(runtime, "daytonafs");
    return below(dirs_base("XDG_STATE_HOME", ".local/state"), "daytonafs/mounts");
}

char *dirs_kept(void)
{
    return below(dirs_base("XDG_STATE_HOME", ".local/state"), "daytonafs/kept");
}

char *dirs_journals(void)
{
    return below(dirs_base("XDG_STATE_HOME", ".local/state"), "daytonafs/journals");
}

int dirs_make_private(const char *dir)
{
    struct stat st;
    int r = path_make_dirs(dir, 0700);

    if (r < 0)
        return r;
    if (lstat(dir, &st) < 0)
        return -errno;
    if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 022))
        return -EACCES;
    return 0;
}
