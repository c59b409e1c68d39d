/*
 * The answer of a command, and the records in it. The first byte says what the rest is; nothing
 * that comes out may break what the headers promise.
 */
#include "remote/record.h"
#include "remote/shcmd.h"
#include "util/path.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHECK(cond)                                                                                \
    do {                                                                                           \
        if (!(cond))                                                                               \
            abort();                                                                               \
    } while (0)

static const char token[] = "0123456789abcdef01234567";

static void check_list(const char *p, size_t n, unsigned depth, size_t max)
{
    struct remote_list list;

    if (record_decode_list(p, n, depth, max, ".daytonafs-1-", &list) < 0)
        return;
    CHECK(S_ISDIR(list.self.mode) && list.count <= max);
    for (size_t i = 0; i < list.count; i++) {
        const struct remote_entry *e = &list.v[i];

        CHECK(e->name[0] && e->name[0] != '/' && (depth > 1 || !strchr(e->name, '/')));
        CHECK(path_name_valid(path_base(e->name), strlen(path_base(e->name))));
        CHECK(!e->target == !S_ISLNK(e->attr.mode));
        CHECK(e->attr.size <= INT64_MAX);
        for (size_t j = 0; j < i && i < 100; j++)
            CHECK(strcmp(list.v[j].name, e->name) != 0);
    }
    remote_list_done(&list);
}

static void check_one(const char *p, size_t n)
{
    struct remote_attr attr;
    char *target = NULL;

    if (record_decode_one(p, n, &attr, &target) == 0)
        CHECK(!target == !S_ISLNK(attr.mode));
    free(target);
}

static void check_answer(const char *p, size_t n)
{
    struct shcmd_answer a;

    if (shcmd_decode(token, p, n, &a) < 0)
        return;
    CHECK(a.status >= 0 && a.status <= 255);
    CHECK(a.part_count >= 1 && a.part_count <= SHCMD_PARTS_MAX);
    CHECK((shcmd_errno(&a) == 0) == (a.status == 0));
    for (size_t i = 0; i < a.part_count; i++)
        check_list(buf_str(&a.part[i]), a.part[i].len, 3, 50);
    shcmd_answer_done(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    /* A copy of exactly that size: a sanitizer sees one byte too far. */
    char *p = malloc(size > 1 ? size - 1 : 1);

    if (size == 0 || !p) {
        free(p);
        return 0;
    }
    memcpy(p, data + 1, size - 1);
    switch (data[0] % 4) {
    case 0:
        check_answer(p, size - 1);
        break;
    case 1:
        check_one(p, size - 1);
        break;
    case 2:
        check_list(p, size - 1, 1, 3);
        break;
    default:
        check_list(p, size - 1, 4, 100);
    }
    free(p);
    return 0;
}
