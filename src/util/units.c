#include "util/units.h"

#include "util/array.h"
#include "util/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

struct unit {
    const char *name;
    double factor;
};

static const struct unit sizes[] = {
    {"", 1},          {"B", 1},       {"K", 1024},      {"KiB", 1024},    {"M", 1 << 20},
    {"MiB", 1 << 20}, {"G", 1 << 30}, {"GiB", 1 << 30}, {"T", 1LL << 40}, {"TiB", 1LL << 40},
};

static const struct unit durations[] = {
    {"", 1e9},  {"ns", 1},   {"us", 1e3},   {"ms", 1e6},
    {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}, {"d", 86400e9},
};

static int parse(const char *s, const struct unit *units, size_t count, double *ret)
{
    char *end;
    double v;

    if ((*s < '0' || *s > '9') && *s != '.') /* strtod takes signs, blanks, inf and nan */
        return -EINVAL;
    v = strtod(s, &end);
    if (end == s || !isfinite(v))
        return -EINVAL;
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(end, units[i].name) == 0) {
            *ret = v * units[i].factor;
            return *ret < 9.0e18 ? 0 : -ERANGE;
        }
    }
    return -EINVAL;
}

int units_parse_bytes(const char *s, uint64_t *ret_bytes)
{
    double v;
    int r = parse(s, sizes, ARRAY_LEN(sizes), &v);

    if (r == 0)
        *ret_bytes = (uint64_t)v;
    return r;
}

int units_parse_duration(const char *s, int64_t *ret_ns)
{
    double v;
    int r = parse(s, durations, ARRAY_LEN(durations), &v);

    if (r == 0)
        *ret_ns = llround(v);
    return r;
}

int units_print_bytes(struct buf *out, uint64_t bytes)
{
    static const char suffix[] = "KMGT";
    size_t i = 0;

    if (bytes == 0 || bytes % 1024 != 0)
        return buf_printf(out, "%" PRIu64, bytes);
    for (bytes /= 1024; bytes % 1024 == 0 && i < 3; i++)
        bytes /= 1024;
    return buf_printf(out, "%" PRIu64 "%c", bytes, suffix[i]);
}

int units_print_duration(struct buf *out, int64_t ns)
{
    static const struct unit steps[] = {
        {"h", 3600e9}, {"m", 60e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}};

    if (ns == 0)
        return buf_puts(out, "0s");
    for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
        const int64_t factor = (int64_t)steps[i].factor;

        if (ns % factor == 0)
            return buf_printf(out, "%" PRId64 "%s", ns / factor, steps[i].name);
    }
    return buf_printf(out, "%" PRId64 "ns", ns);
}
