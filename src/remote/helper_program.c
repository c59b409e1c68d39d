/* The helper programs that are installed with this one. */
#include "remote/helper_internal.h"

#include "util/array.h"
#include "util/path.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRAM_MAX = 8 << 20 };

static const struct {
    const char *arch;
    unsigned machine; /* e_machine */
} arches[HELPER_ARCHES] = {{"x86_64", EM_X86_64}, {"aarch64", EM_AARCH64}};

static int read_file(const char *path, char **ret, size_t *ret_len)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat st;
    char *p = NULL;
    ssize_t n = 0;
    int r = 0;

    if (fd < 0)
        return -errno;
    if (fstat(fd, &st) < 0)
        r = -errno;
    else if (!S_ISREG(st.st_mode) || st.st_size > PROGRAM_MAX)
        r = -ENOEXEC;
    if (r == 0) {
        p = malloc((size_t)st.st_size + 1);
        n = p ? read(fd, p, (size_t)st.st_size) : 0;
        r = !p ? -ENOMEM : n < 0 ? -errno : n != st.st_size ? -EIO : 0;
    }
    close(fd);
    if (r < 0) {
        free(p);
        return r;
    }
    *ret = p;
    *ret_len = (size_t)n;
    return 0;
}

static const char *arch_of(const char *p, size_t len)
{
    unsigned machine;

    if (len < sizeof(Elf64_Ehdr) || memcmp(p, ELFMAG, SELFMAG) != 0 || p[EI_DATA] != ELFDATA2LSB)
        return NULL;
    p += offsetof(Elf64_Ehdr, e_machine);
    machine = (unsigned)(unsigned char)p[0] | (unsigned)(unsigned char)p[1] << 8;
    for (size_t i = 0; i < ARRAY_LEN(arches); i++) {
        if (arches[i].machine == machine)
            return arches[i].arch;
    }
    return NULL;
}

static int load(const char *path, struct helper_program *ret)
{
    struct helper_program program = {0};
    const char *arch;
    int r = read_file(path, &program.bytes, &program.len);

    if (r < 0)
        return r;
    arch = arch_of(program.bytes, program.len);
    if (!arch) {
        free(program.bytes);
        return -ENOEXEC;
    }
    snprintf(program.arch, sizeof(program.arch), "%s", arch);
    sha256_hex(program.bytes, program.len, program.hash);
    *ret = program;
    return 0;
}

/* Every architecture that is in the folder. Returns how many. */
static size_t load_folder(const char *dir, struct helper_program *v)
{
    size_t count = 0;

    for (size_t i = 0; i < ARRAY_LEN(arches); i++) {
        char *path = NULL;

        if (asprintf(&path, "%s/daytonafs-helper-%s", dir, arches[i].arch) < 0)
            return count;
        if (load(path, &v[count]) == 0 && strcmp(v[count].arch, arches[i].arch) == 0)
            count++;
        free(path);
    }
    return count;
}

/* Where this program is itself; NULL if that cannot be known. */
static char *own_folder(void)
{
    char path[PATH_LEN_MAX + 1];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);

    if (n <= 0)
        return NULL;
    path[n] = '\0';
    return path_dir(path);
}

int helper_programs_load(const char *path, struct helper_program v[HELPER_ARCHES],
                         size_t *ret_count)
{
    const char *told = getenv("DAYTONAFS_HELPER_DIR");
    char *own = NULL, *libexec = NULL;
    size_t count = 0;
    int r;

    if (path) {
        r = load(path, &v[0]);
        if (r == 0)
            *ret_count = 1;
        return r;
    }
    if (told && *told) { /* who names a folder wants no other */
        count = load_folder(told, v);
    } else {
        own = own_folder();
        libexec = own ? path_resolve(own, "../libexec/daytonafs") : NULL;
        count = own ? load_folder(own, v) : 0;
        if (count == 0 && libexec)
            count = load_folder(libexec, v);
    }
    free(own);
    free(libexec);
    if (count == 0)
        return -ENOENT;
    *ret_count = count;
    return 0;
}

void helper_programs_done(struct helper_program *v, size_t count)
{
    for (size_t i = 0; i < count; i++)
        free(v[i].bytes);
}
