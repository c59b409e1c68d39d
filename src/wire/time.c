#include "wire/time.h"

#include "util/clock.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Reads from min to max digits and moves *s behind them. */
static bool take_digits(const char **s, int min, int max, int *ret)
{
    int v = 0, n = 0;

    for (; n < max && is_digit(**s); n++)
        v = v * 10 + (*(*s)++ - '0');
    *ret = v;
    return n >= min;
}

static bool take_char(const char **s, char c)
{
    if (**s != c)
        return false;
    ++*s;
    return true;
}

static bool take_two(const char **s, int max, int *ret)
{
    return take_digits(s, 2, 2, ret) && *ret <= max;
}

static bool take_date(const char **s, struct tm *tm)
{
    const bool before_zero = take_char(s, '-');
    int year, month;

    /* Go writes what the file system holds, and XFS and btrfs hold years of more than 4 digits. */
    if (!take_digits(s, 4, 9, &year) || !take_char(s, '-') || !take_two(s, 12, &month) ||
        month == 0 || !take_char(s, '-') || !take_two(s, 31, &tm->tm_mday) || tm->tm_mday == 0)
        return false;
    tm->tm_year = (before_zero ? -year : year) - 1900;
    tm->tm_mon = month - 1;
    return true;
}

static bool take_clock(const char **s, struct tm *tm)
{
    return take_two(s, 23, &tm->tm_hour) && take_char(s, ':') && take_two(s, 59, &tm->tm_min) &&
           take_char(s, ':') && take_two(s, 59, &tm->tm_sec);
}

static bool take_fraction(const char **s, int64_t *ret_ns)
{
    int64_t ns = 0;
    int n = 0;

    *ret_ns = 0;
    if (!take_char(s, '.'))
        return true;
    for (; n < 9 && is_digit(**s); n++)
        ns = ns * 10 + (*(*s)++ - '0');
    if (n == 0)
        return false;
    for (int i = n; i < 9; i++)
        ns *= 10;
    *ret_ns = ns;
    return true;
}

static bool take_zone(const char **s, bool colon, int *ret_s)
{
    int sign, hours, minutes;

    if (colon && take_char(s, 'Z')) {
        *ret_s = 0;
        return true;
    }
    sign = **s == '-' ? -1 : 1;
    if (!take_char(s, '-') && !take_char(s, '+'))
        return false;
    if (!take_two(s, 23, &hours) || (colon && !take_char(s, ':')) || !take_two(s, 59, &minutes))
        return false;
    *ret_s = sign * (hours * 3600 + minutes * 60);
    return true;
}

/* -EPROTO for a day that its month does not have. */
static int to_seconds(struct tm *tm, int64_t *ret)
{
    const int day = tm->tm_mday;
    const time_t t = timegm(tm);

    if (tm->tm_mday != day)
        return -EPROTO;
    *ret = t;
    return 0;
}

static int to_ns(struct tm *tm, int64_t fraction_ns, int offset_s, int64_t *ret)
{
    int64_t s;
    const int r = to_seconds(tm, &s);

    if (r < 0)
        return r;
    s -= offset_s; /* far from the ends: years have 9 digits */
    if (__builtin_mul_overflow(s, NS_PER_S, &s) || __builtin_add_overflow(s, fraction_ns, &s))
        *ret = tm->tm_year > 70 ? INT64_MAX : INT64_MIN;
    else
        *ret = s;
    return 0;
}

int time_read_rfc3339(const char *s, int64_t *ret_ns)
{
    struct tm tm = {0};
    int64_t fraction;
    int offset;

    if (!take_date(&s, &tm) || !take_char(&s, 'T') || !take_clock(&s, &tm) ||
        !take_fraction(&s, &fraction) || !take_zone(&s, true, &offset) || *s)
        return -EPROTO;
    return to_ns(&tm, fraction, offset, ret_ns);
}

int time_read_go(const char *s, int64_t *ret_ns)
{
    struct tm tm = {0};
    int64_t fraction;
    int offset;

    if (!take_date(&s, &tm) || !take_char(&s, ' ') || !take_clock(&s, &tm) ||
        !take_fraction(&s, &fraction) || !take_char(&s, ' ') || !take_zone(&s, false, &offset) ||
        (*s && *s != ' '))
        return -EPROTO;
    return to_ns(&tm, fraction, offset, ret_ns);
}

int time_read_http(const char *s, int64_t *ret_s)
{
    struct tm tm = {0};

    if (strlen(s) != strlen("Mon, 01 Jun 2026 10:00:00 GMT") || strncmp(s + 3, ", ", 2) != 0)
        return -EPROTO;
    s += 5;
    if (!take_two(&s, 31, &tm.tm_mday) || tm.tm_mday == 0 || !take_char(&s, ' '))
        return -EPROTO;
    for (tm.tm_mon = 0; tm.tm_mon < 12; tm.tm_mon++) {
        if (strncmp(s, month_names[tm.tm_mon], 3) == 0)
            break;
    }
    if (tm.tm_mon == 12)
        return -EPROTO;
    s += 3;
    if (!take_char(&s, ' ') || !take_digits(&s, 4, 4, &tm.tm_year) || !take_char(&s, ' ') ||
        !take_clock(&s, &tm) || strcmp(s, " GMT") != 0)
        return -EPROTO;
    tm.tm_year -= 1900;
    return to_seconds(&tm, ret_s);
}

/* Date and time of day with a letter between, and the fraction without its trailing zeros. */
static int write_local(struct buf *out, int64_t ns, int offset_s, char between)
{
    const struct timespec ts = ns_to_timespec(ns);
    const time_t local = ts.tv_sec + offset_s;
    char fraction[16];
    size_t n;
    struct tm tm;

    if (!gmtime_r(&local, &tm))
        return -EOVERFLOW;
    n = (size_t)snprintf(fraction, sizeof(fraction), ".%09ld", ts.tv_nsec);
    while (n > 0 && fraction[n - 1] == '0')
        n--;
    if (n == 1)
        n = 0;
    return buf_printf(out, "%04d-%02d-%02d%c%02d:%02d:%02d%.*s", tm.tm_year + 1900, tm.tm_mon + 1,
                      tm.tm_mday, between, tm.tm_hour, tm.tm_min, tm.tm_sec, (int)n, fraction);
}

static int write_zone(struct buf *out, int offset_s, const char *colon)
{
    const int minutes = abs(offset_s) / 60;

    return buf_printf(out, "%c%02d%s%02d", offset_s < 0 ? '-' : '+', minutes / 60, colon,
                      minutes % 60);
}

int time_write_rfc3339(struct buf *out, int64_t ns, int offset_s)
{
    const size_t start = out->len;
    int r = write_local(out, ns, offset_s, 'T');

    if (r == 0)
        r = offset_s == 0 ? buf_putc(out, 'Z') : write_zone(out, offset_s, ":");
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int time_write_go(struct buf *out, int64_t ns, int offset_s, const char *zone)
{
    const size_t start = out->len;
    int r = write_local(out, ns, offset_s, ' ');

    if (r == 0)
        r = buf_putc(out, ' ');
    if (r == 0)
        r = write_zone(out, offset_s, "");
    if (r == 0)
        r = buf_printf(out, " %s", zone);
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int time_write_http(struct buf *out, int64_t s)
{
    const time_t t = s;
    struct tm tm;

    if (!gmtime_r(&t, &tm))
        return -EOVERFLOW;
    return buf_printf(out, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[tm.tm_wday], tm.tm_mday,
                      month_names[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}
