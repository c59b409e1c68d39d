/* ctltext.h - how names and values are spelled in the files below .ctl. Pure functions. */
#ifndef CTL_CTLTEXT_H
#define CTL_CTLTEXT_H

#include "util/buf.h"

/*
 * Appends n bytes so that they stay on one line and in one column: tab, newline and backslash as
 * \t \n \\, other control characters and bytes that are not UTF-8 as \xHH. Everything else is kept.
 */
int ctltext_escape(struct buf *out, const char *p, size_t n);

/*
 * Appends one JSON object made of lines "key value" (a line without a value gives ""). What reads
 * as a JSON number is one. Bytes that are not UTF-8 become U+FFFD. A key that repeats is kept once,
 * with its last value.
 */
int ctltext_json(struct buf *out, const char *lines);

/* One JSON string, with its quotes; bytes that are not UTF-8 become U+FFFD. */
int ctltext_json_string(struct buf *out, const char *p, size_t n);

/*
 * The one path that a question holds: up to a NUL, which only a newline may follow, or else the
 * only line. A new string in *ret. -EINVAL: empty, or more than one line; -ENAMETOOLONG.
 */
int ctltext_path(const char *p, size_t n, char **ret);

/*
 * The length of the first line of p, its newline included; a newline inside sh quotes or after a
 * backslash does not end it. n > 0.
 */
size_t ctltext_line(const char *p, size_t n);

#endif
