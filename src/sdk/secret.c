#include "sdk/secret.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int secret_set(struct secret *s, const char *first, const char *second)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t first_len = strlen(first), second_len = strlen(second);
    const size_t mapped = (first_len + second_len + page) / page * page;
    char *text = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (text == MAP_FAILED)
        return -ENOMEM;
    (void)madvise(text, mapped, MADV_DONTDUMP); /* an old kernel: then it is in the dump */
    memcpy(text, first, first_len);
    memcpy(text + first_len, second, second_len + 1);
    secret_done(s);
    *s = (struct secret){.text = text, .mapped = mapped};
    return 0;
}

void secret_done(struct secret *s)
{
    if (!s->text)
        return;
    explicit_bzero(s->text, s->mapped);
    munmap(s->text, s->mapped);
    *s = (struct secret){0};
}
