/*
 * options.h - what can follow -o. One table feeds the parser, --help, .ctl/config, the manual and
 * the completions: a new option is its row and its field.
 */
#ifndef MOUNT_OPTIONS_H
#define MOUNT_OPTIONS_H

#include "util/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum options_idmap { IDMAP_USER, IDMAP_NONE };
enum options_wake { WAKE_AUTO, WAKE_NEVER };
enum options_durability { DURABILITY_CLOSE, DURABILITY_SYNC, DURABILITY_FSYNC };
enum options_symlinks { SYMLINKS_CONTAIN, SYMLINKS_RAW };
enum options_helper { HELPER_AUTO, HELPER_OFF, HELPER_REQUIRE };
enum options_keepalive { KEEPALIVE_OFF, KEEPALIVE_BUSY };
enum options_conflicts { CONFLICTS_CTL, CONFLICTS_BESIDE };
enum options_ctl { CTL_HIDDEN, CTL_VISIBLE, CTL_OFF };

/* With ctl=visible ctl_name is a link to ctl_name with this at its end. */
#define OPTIONS_CTL_SUFFIX "-files"

/* Strings are owned. */
struct options {
    bool read_only, allow_other, noexec, noatime;
    int idmap;        /* enum options_idmap, as the ints below are their enums */
    int64_t uid, gid; /* -1: as idmap says */
    mode_t umask;
    int64_t coherence_ns;
    char *cache_dir; /* "": options_cache_dir */
    uint64_t cache_bytes, meta_bytes;
    int64_t op_timeout_ns, wake_timeout_ns, drain_timeout_ns, keepalive_ns;
    int wake, keepalive, durability, symlinks, conflicts, helper, ctl;
    char *journal_dir; /* "": options_journal_dir */
    uint64_t journal_bytes;
    char *ctl_name;
    char *api_url, *credentials; /* "": the SDK's defaults */
};

enum option_type {
    OPTION_FLAG, /* stands alone: sets a bool to what on says */
    OPTION_CHOICE,
    OPTION_ID, /* a number, or the name of a local user or group */
    OPTION_MODE,
    OPTION_BYTES,
    OPTION_DURATION,
    OPTION_STRING,
    OPTION_IGNORED, /* accepted for fstab and mount(8); with or without a value */
};

struct option_choice {
    const char *name;
    int value;
    const char *refused; /* not NULL: known, not possible, and this is why */
};

struct option_row {
    const char *name;
    enum option_type type;
    size_t field;                        /* offset in struct options */
    bool on;                             /* OPTION_FLAG */
    const struct option_choice *choices; /* ended by a row without a name; the first row that has
                                          * a value is its usual name */
    const char *def;                     /* as a user would write it; NULL: none to show */
    const char *help;                    /* one line; NULL: not listed */
};

extern const struct option_row options_table[];
extern const size_t options_count;

int options_init(struct options *o); /* the defaults; -ENOMEM */
void options_done(struct options *o);

/*
 * text as after one -o: "a=b,c". A comma in a value is written "\,". -EINVAL, and then one line
 * without its end in why: what is wrong, and the nearest name that would have been right.
 */
int options_parse(struct options *o, const char *text, struct buf *why);
/* Where from and with whose key; NULL leaves what there is. -ENOMEM. */
int options_set_service(struct options *o, const char *api_url, const char *credentials);
int options_set_journal_dir(struct options *o, const char *dir);

int options_help(struct buf *out);                          /* lines for --help */
int options_text(const struct options *o, struct buf *out); /* lines "name value"; no secrets */

/* Where cached data goes: the option (from the current directory), or $XDG_CACHE_HOME/daytonafs, or
 * ~/.cache/daytonafs. A new string; NULL without memory or home. */
char *options_cache_dir(const struct options *o);
/* The same of changes that are not sent yet: $XDG_STATE_HOME/daytonafs/journals, or below
 * ~/.local/state. */
char *options_journal_dir(const struct options *o);

#endif
