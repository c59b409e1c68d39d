/*
 * jail_root.c - the root that a sandbox sees: the host's programs read-only, everything that is
 * somebody's hidden, the sandbox's folder as the home.
 */
#include "server/jail_internal.h"

#include "util/array.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef MOUNT_ATTR_RDONLY
#define MOUNT_ATTR_RDONLY 0x00000001
struct mount_attr {
    uint64_t attr_set, attr_clr, propagation, userns_fd;
};
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif

/* The host's programs. A symbolic link (merged /usr) is made again, a directory is bound. */
static const char *const shared[] = {"usr",   "bin",   "sbin",   "lib",
                                     "lib32", "lib64", "libx32", "etc"};

struct place {
    const char *path;
    mode_t mode;
};
/* Empty directories, the sandbox's own. */
static const struct place places[] = {
    {"proc", 0555},     {"sys", 0555},     {"dev", 0755},       {"dev/pts", 0755},
    {"dev/shm", 01777}, {"tmp", 01777},    {"run", 0755},       {"run/lock", 01777},
    {"home", 0755},     {"root", 0700},    {"mnt", 0755},       {"srv", 0755},
    {"opt", 0755},      {"var", 0755},     {"var/tmp", 01777},  {"var/log", 0755},
    {"var/lib", 0755},  {"var/run", 0755}, {"var/cache", 0755}, {"home/daytona", 0755},
};

static const char *const devices[] = {"null", "zero", "full", "random", "urandom", "tty"};

struct link_row {
    const char *path, *target;
};
static const struct link_row links[] = {
    {"dev/ptmx", "pts/ptmx"},          {"dev/fd", "/proc/self/fd"},
    {"dev/stdin", "/proc/self/fd/0"},  {"dev/stdout", "/proc/self/fd/1"},
    {"dev/stderr", "/proc/self/fd/2"},
};

/* Kernel settings that an unconfined root could use to leave; a container runtime locks these. */
static const char *const locked[] = {"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus",
                                     "proc/fs"};
/* The host's secrets, and what tells of its memory. */
static const char *const hidden[] = {"proc/kcore",   "proc/keys",       "proc/timer_list",
                                     "etc/shadow",   "etc/shadow-",     "etc/gshadow",
                                     "etc/gshadow-", "etc/ssl/private", "etc/ssh"};

static int read_only(const char *path)
{
    struct mount_attr attr = {.attr_set = MOUNT_ATTR_RDONLY};

    if (syscall(SYS_mount_setattr, AT_FDCWD, path, AT_RECURSIVE, &attr, sizeof(attr)) < 0)
        return -errno;
    return 0;
}

static int bind(const char *from, const char *to, bool ro)
{
    if (mount(from, to, NULL, MS_BIND | MS_REC, NULL) < 0)
        return -errno;
    return ro ? read_only(to) : 0;
}

static int touch(const char *path)
{
    int fd;

    fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return -errno;
    close(fd);
    return 0;
}

static int share(const char *name)
{
    char from[32], target[PATH_MAX];
    struct stat st;
    ssize_t n;

    snprintf(from, sizeof(from), "/%s", name);
    if (lstat(from, &st) < 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISLNK(st.st_mode)) {
        n = readlink(from, target, sizeof(target) - 1);
        if (n < 0)
            return -errno;
        target[n] = '\0';
        return symlink(target, name) < 0 ? -errno : 0;
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    if (mkdir(name, 0755) < 0)
        return -errno;
    return bind(from, name, true);
}

static int make_devices(void)
{
    char from[32], to[32];
    int r;

    for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
        snprintf(from, sizeof(from), "/dev/%s", devices[i]);
        snprintf(to, sizeof(to), "dev/%s", devices[i]);
        r = touch(to);
        if (r == 0)
            r = bind(from, to, false);
        if (r < 0)
            return r;
    }
    if (mount("devpts", "dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
              "newinstance,ptmxmode=0666,mode=0620") < 0)
        return -errno;
    for (size_t i = 0; i < ARRAY_LEN(links); i++) {
        if (symlink(links[i].target, links[i].path) < 0)
            return -errno;
    }
    return 0;
}

static int hide(const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0 || S_ISLNK(st.st_mode))
        return 0;
    if (S_ISDIR(st.st_mode)) {
        if (mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k") < 0)
            return -errno;
        return 0;
    }
    return bind("/dev/null", path, false);
}

static int lock_down(void)
{
    struct stat st;
    int r;

    for (size_t i = 0; i < ARRAY_LEN(locked); i++) {
        if (lstat(locked[i], &st) < 0)
            continue;
        r = bind(locked[i], locked[i], true);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(hidden); i++) {
        r = hide(hidden[i]);
        if (r < 0)
            return r;
    }
    return 0;
}

/* /run is hidden, but the list of name servers may live there. */
static int share_resolver(const char *path)
{
    char inner[PATH_MAX];
    int r;

    snprintf(inner, sizeof(inner), "%s", path + 1);
    for (char *slash = strchr(inner, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(inner, 0755) < 0 && errno != EEXIST)
            return -errno;
        *slash = '/';
    }
    r = touch(inner);
    return r < 0 ? r : bind(path, inner, true);
}

/*
 * Makes the directory below root and what is above it; an O_PATH descriptor. Sandboxes have put
 * there what they like, and may be changing it just now: no link is followed.
 */
static int make_place(const char *root, const char *path)
{
    char copy[PATH_MAX], *rest = copy, *name;
    int at = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);

    snprintf(copy, sizeof(copy), "%s", path);
    while (at >= 0 && (name = strsep(&rest, "/"))) {
        int next;

        if (!*name)
            continue;
        if (mkdirat(at, name, 0755) < 0 && errno != EEXIST)
            next = -errno;
        else
            next = openat(at, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next == -1)
            next = -errno;
        close(at);
        if (next < 0)
            return next;
        at = next;
    }
    return at < 0 ? -errno : at;
}

/* /proc is still the host's, and this process is in it. */
static int bind_volume(const char *from, const char *below, const char *to)
{
    char source[64], place[64];
    int from_fd, to_fd, r;

    from_fd = make_place(from, below);
    to_fd = make_place(".", to);
    r = from_fd < 0 ? from_fd : to_fd < 0 ? to_fd : 0;
    snprintf(source, sizeof(source), "/proc/self/fd/%d", from_fd);
    snprintf(place, sizeof(place), "/proc/self/fd/%d", to_fd);
    if (r == 0)
        r = bind(source, place, false);
    if (from_fd >= 0)
        close(from_fd);
    if (to_fd >= 0)
        close(to_fd);
    return r;
}

/* The working directory is the new root while it is being built. */
static int fill_root(const struct jail_plan *plan, const char **ret_step)
{
    int r;

    for (size_t i = 0; i < ARRAY_LEN(shared); i++) {
        *ret_step = shared[i];
        r = share(shared[i]);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        *ret_step = places[i].path;
        if (mkdir(places[i].path, 0700) < 0 || chmod(places[i].path, places[i].mode) < 0)
            return -errno;
    }
    *ret_step = "the sandbox's folder";
    r = bind(plan->folder, "home/daytona", false);
    if (r < 0)
        return r;
    *ret_step = "the sandbox's /tmp and /var/tmp";
    r = bind(plan->tmp, "tmp", false);
    if (r == 0)
        r = bind(plan->var_tmp, "var/tmp", false);
    if (r < 0)
        return r;
    *ret_step = "mounting a volume";
    for (size_t i = 0; i < plan->bind_count; i++) {
        r = bind_volume(plan->binds[i].from, plan->binds[i].sub, plan->binds[i].to);
        if (r < 0)
            return r;
    }
    *ret_step = "mounting /proc";
    if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return -errno;
    *ret_step = "making /dev";
    r = make_devices();
    if (r < 0)
        return r;
    *ret_step = "sharing the list of name servers";
    r = plan->resolver[0] ? share_resolver(plan->resolver) : 0;
    if (r < 0)
        return r;
    *ret_step = "hiding the host's secrets";
    return lock_down();
}

int jail_root_build(const struct jail_plan *plan, const char **ret_step)
{
    const mode_t mask = umask(0);
    int r;

    *ret_step = "making mounts private";
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return -errno;
    *ret_step = "mounting an empty root";
    if (mount("sandbox", plan->mountpoint, "tmpfs", MS_NOSUID | MS_NODEV, "size=1g,mode=755") < 0)
        return -errno;
    *ret_step = "entering the empty root";
    if (chdir(plan->mountpoint) < 0)
        return -errno;
    r = fill_root(plan, ret_step);
    if (r < 0)
        return r;
    *ret_step = "changing the root";
    if (syscall(SYS_pivot_root, ".", ".") < 0 || umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return -errno;
    if (sethostname(plan->hostname, strlen(plan->hostname)) < 0) {
        *ret_step = "setting the host name";
        return -errno;
    }
    umask(mask);
    return 0;
}

/* What container runtimes leave, less making device nodes. */
static const int kept_caps[] = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE,     CAP_FOWNER,     CAP_FSETID,
    CAP_KILL,    CAP_SETGID,           CAP_SETUID,     CAP_SETPCAP,
    CAP_SETFCAP, CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT, CAP_AUDIT_WRITE,
};

int jail_root_drop_caps(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2] = {{0}};
    uint64_t keep = 0;

    for (size_t i = 0; i < ARRAY_LEN(kept_caps); i++)
        keep |= UINT64_C(1) << kept_caps[i];
    for (int cap = 0; cap < 64; cap++) {
        if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0 && errno != EINVAL)
            return -errno;
    }
    data[0].permitted = data[0].effective = (uint32_t)keep;
    data[1].permitted = data[1].effective = (uint32_t)(keep >> 32);
    return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}
