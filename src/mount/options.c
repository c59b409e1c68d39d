#include "mount/options.h"

#include "mount/dirs.h"
#include "util/array.h"
#include "util/path.h"
#include "util/units.h"
#include "util/words.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIELD(name) offsetof(struct options, name)

static const struct option_choice idmap_choices[] = {
    {"user", IDMAP_USER, NULL}, {"none", IDMAP_NONE, NULL}, {NULL, 0, NULL}};

static const struct option_choice wake_choices[] = {
    {"auto", WAKE_AUTO, NULL}, {"never", WAKE_NEVER, NULL}, {NULL, 0, NULL}};

static const struct option_choice keepalive_choices[] = {
    {"off", KEEPALIVE_OFF, NULL}, {"busy", KEEPALIVE_BUSY, NULL}, {NULL, 0, NULL}};

static const struct option_choice durability_choices[] = {
    {"fsync", DURABILITY_FSYNC, NULL},
    {"close", DURABILITY_CLOSE, NULL},
    {"sync", DURABILITY_SYNC, NULL},
    {NULL, 0, NULL},
};

static const struct option_choice symlinks_choices[] = {
    {"contain", SYMLINKS_CONTAIN, NULL}, {"raw", SYMLINKS_RAW, NULL}, {NULL, 0, NULL}};

static const struct option_choice conflicts_choices[] = {
    {"ctl", CONFLICTS_CTL, NULL}, {"beside", CONFLICTS_BESIDE, NULL}, {NULL, 0, NULL}};

static const struct option_choice helper_choices[] = {
    {"auto", HELPER_AUTO, NULL},
    {"off", HELPER_OFF, NULL},
    {"require", HELPER_REQUIRE, NULL},
    {NULL, 0, NULL},
};

static const struct option_choice ctl_choices[] = {
    {"hidden", CTL_HIDDEN, NULL},
    {"visible", CTL_VISIBLE, NULL},
    {"off", CTL_OFF, NULL},
    {"on", CTL_HIDDEN, NULL},
    {NULL, 0, NULL},
};

/* clang-format off */
const struct option_row options_table[] = {
    /* name, type, field, on, choices, default, help */
    {"ro", OPTION_FLAG, FIELD(read_only), true, NULL, NULL, "every change is refused"},
    {"rw", OPTION_FLAG, FIELD(read_only), false, NULL, NULL, NULL},
    {"idmap", OPTION_CHOICE, FIELD(idmap), 0, idmap_choices, "user",
     "user: the sandbox's user appears as you; none: its ids as they are, for root"},
    {"uid", OPTION_ID, FIELD(uid), 0, NULL, NULL, "every file appears to belong to this user"},
    {"gid", OPTION_ID, FIELD(gid), 0, NULL, NULL, "every file appears to belong to this group"},
    {"umask", OPTION_MODE, FIELD(umask), 0, NULL, "000", "permission bits that never show, octal"},
    {"allow_other", OPTION_FLAG, FIELD(allow_other), true, NULL, NULL,
     "other users of this machine may use the mount"},
    {"coherence", OPTION_DURATION, FIELD(coherence_ns), 0, NULL, "1s",
     "how old what is shown of a file may be"},
    {"cache_dir", OPTION_STRING, FIELD(cache_dir), 0, NULL, NULL,
     "where file data is kept (~/.cache/daytonafs)"},
    {"cache_size", OPTION_BYTES, FIELD(cache_bytes), 0, NULL, "1G",
     "file data kept on local disk, at most"},
    {"meta_cache", OPTION_BYTES, FIELD(meta_bytes), 0, NULL, "512M",
     "names and attributes kept in memory, at most"},
    {"op_timeout", OPTION_DURATION, FIELD(op_timeout_ns), 0, NULL, "30s",
     "an operation without progress for so long fails"},
    {"wake", OPTION_CHOICE, FIELD(wake), 0, wake_choices, "auto",
     "auto: a stopped sandbox is started when it is needed; never: that is an error"},
    {"wake_timeout", OPTION_DURATION, FIELD(wake_timeout_ns), 0, NULL, "120s",
     "how long to wait for it to start"},
    {"keepalive", OPTION_CHOICE, FIELD(keepalive), 0, keepalive_choices, "off",
     "busy: no autostop while a file is open for writing, a change is unsent or a job runs"},
    {"keepalive_every", OPTION_DURATION, FIELD(keepalive_ns), 0, NULL, "30s",
     "how often it looks, and says so; a sandbox stops after a minute or more"},
    {"durability", OPTION_CHOICE, FIELD(durability), 0, durability_choices, "fsync",
     "what is in the sandbox when it returns: fsync; close, too; sync: every call, slowly. Without "
     "the helper fsync is as close"},
    {"journal_dir", OPTION_STRING, FIELD(journal_dir), 0, NULL, NULL,
     "where changes are kept until they are sent (~/.local/state/daytonafs/journals)"},
    {"journal_size", OPTION_BYTES, FIELD(journal_bytes), 0, NULL, "4G",
     "changes kept there, at most; from a quarter of it on writers are slowed down, and large "
     "files go in parts"},
    {"symlinks", OPTION_CHOICE, FIELD(symlinks), 0, symlinks_choices, "contain",
     "contain: no link leads out of the mount; raw: as they are"},
    {"conflicts", OPTION_CHOICE, FIELD(conflicts), 0, conflicts_choices, "ctl",
     "where ours is of a file that the sandbox changed meanwhile: ctl: in .ctl/conflicts; beside: "
     "next to it, too, as NAME.conflict-1~, where keep leaves it. Without the helper the last "
     "writer wins"},
    {"helper", OPTION_CHOICE, FIELD(helper), 0, helper_choices, "auto",
     "a program put into the sandbox that makes it faster: auto (where it runs), off, require"},
    {"ctl", OPTION_CHOICE, FIELD(ctl), 0, ctl_choices, "hidden",
     "control files: hidden (found by name), visible (listed too, as a symbolic link), off"},
    {"ctl_name", OPTION_STRING, FIELD(ctl_name), 0, NULL, ".ctl",
     "name of their directory in the mount's root"},
    {"api_url", OPTION_STRING, FIELD(api_url), 0, NULL, NULL,
     "base of the Daytona API ($DAYTONA_API_URL)"},
    {"credentials", OPTION_STRING, FIELD(credentials), 0, NULL, NULL,
     "file that holds the key, mode 0600 ($DAYTONA_API_KEY)"},
    {"drain_timeout", OPTION_DURATION, FIELD(drain_timeout_ns), 0, NULL, "30s",
     "how long an unmount tries to send what is left"},
    {"noexec", OPTION_FLAG, FIELD(noexec), true, NULL, NULL, "no program on it may be run"},
    {"exec", OPTION_FLAG, FIELD(noexec), false, NULL, NULL, NULL},
    {"noatime", OPTION_FLAG, FIELD(noatime), true, NULL, NULL, NULL},
    {"atime", OPTION_FLAG, FIELD(noatime), false, NULL, NULL, NULL},
    {"nosuid", OPTION_IGNORED, 0, 0, NULL, NULL, NULL}, /* always so */
    {"nodev", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"suid", OPTION_IGNORED, 0, 0, NULL, NULL, NULL}, /* never so, but mount(8) gives them always */
    {"dev", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"defaults", OPTION_IGNORED, 0, 0, NULL, NULL, NULL}, /* these come from fstab */
    {"auto", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"noauto", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"user", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"users", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"nouser", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"nofail", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"_netdev", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"relatime", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
    {"x-systemd.automount", OPTION_IGNORED, 0, 0, NULL, NULL, NULL},
};
/* clang-format on */

const size_t options_count = ARRAY_LEN(options_table);

/* Sizes and times that do not work, or that nobody means. NULL: no such limit. */
static const struct {
    const char *name, *least, *most;
} limits[] = {
    {"coherence", NULL, "1h"},    {"cache_size", "16M", NULL},
    {"meta_cache", "1M", NULL},   {"op_timeout", "1s", "1h"},
    {"wake_timeout", "1s", "1h"}, {"keepalive_every", "100ms", "1h"},
    {"journal_size", "8M", NULL}, {"drain_timeout", NULL, "24h"},
};

/* ---- reading values ---- */

static void *field_of(struct options *o, const struct option_row *row)
{
    return (char *)o + row->field;
}

static const void *field_in(const struct options *o, const struct option_row *row)
{
    return (const char *)o + row->field;
}

static int set_choice(struct options *o, const struct option_row *row, const char *value,
                      struct buf *why)
{
    int r = buf_printf(why, "%s=%s: ", row->name, value);

    for (const struct option_choice *c = row->choices; c->name; c++) {
        if (strcmp(c->name, value) != 0)
            continue;
        if (c->refused) {
            (void)buf_puts(why, c->refused);
            return -EINVAL;
        }
        *(int *)field_of(o, row) = c->value;
        return r;
    }
    (void)buf_puts(why, "use");
    for (const struct option_choice *c = row->choices; c->name; c++)
        if (!c->refused)
            (void)buf_printf(why, "%s %s", c == row->choices ? "" : " or", c->name);
    return -EINVAL;
}

/* A number, or a name that this machine knows. */
static int set_id(struct options *o, const struct option_row *row, const char *value,
                  struct buf *why)
{
    const bool group = strcmp(row->name, "gid") == 0;
    const struct group *gr = NULL;
    const struct passwd *pw = NULL;
    int64_t id = -1;
    char *end;

    if (*value >= '0' && *value <= '9') {
        const unsigned long long n = strtoull(value, &end, 10);

        id = *end || n > UINT32_MAX - 1 ? -1 : (int64_t)n;
    } else if (group && (gr = getgrnam(value))) {
        id = gr->gr_gid;
    } else if (!group && (pw = getpwnam(value))) {
        id = pw->pw_uid;
    }
    if (id < 0) {
        (void)buf_printf(why, "%s=%s: neither a number nor a %s of this machine", row->name, value,
                         group ? "group" : "user");
        return -EINVAL;
    }
    *(int64_t *)field_of(o, row) = id;
    return 0;
}

static int set_mode(struct options *o, const struct option_row *row, const char *value,
                    struct buf *why)
{
    char *end;
    const unsigned long mode = strtoul(value, &end, 8);

    if (*value < '0' || *value > '7' || *end || mode > 0777) {
        (void)buf_printf(why, "%s=%s: use three octal digits, as in 022", row->name, value);
        return -EINVAL;
    }
    *(mode_t *)field_of(o, row) = (mode_t)mode;
    return 0;
}

static int set_string(struct options *o, const struct option_row *row, const char *value)
{
    char **field = field_of(o, row);
    char *copy = strdup(value);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

static int set_value(struct options *o, const struct option_row *row, const char *value,
                     struct buf *why)
{
    switch (row->type) {
    case OPTION_CHOICE:
        return set_choice(o, row, value, why);
    case OPTION_ID:
        return set_id(o, row, value, why);
    case OPTION_MODE:
        return set_mode(o, row, value, why);
    case OPTION_BYTES:
        if (units_parse_bytes(value, field_of(o, row)) == 0)
            return 0;
        (void)buf_printf(why, "%s=%s: use a size, as in 500M or 2G", row->name, value);
        return -EINVAL;
    case OPTION_DURATION:
        if (units_parse_duration(value, field_of(o, row)) == 0)
            return 0;
        (void)buf_printf(why, "%s=%s: use a time, as in 500ms, 30s or 2m", row->name, value);
        return -EINVAL;
    case OPTION_STRING:
        return set_string(o, row, value);
    case OPTION_FLAG:
    case OPTION_IGNORED:
        break;
    }
    return -EINVAL;
}

static bool takes_value(const struct option_row *row)
{
    return row->type != OPTION_FLAG && row->type != OPTION_IGNORED;
}

static const struct option_row *find(const char *name)
{
    for (size_t i = 0; i < options_count; i++)
        if (strcmp(options_table[i].name, name) == 0)
            return &options_table[i];
    return NULL;
}

static int refuse_unknown(const char *name, struct buf *why)
{
    const char *names[ARRAY_LEN(options_table)];
    const char *nearest;

    for (size_t i = 0; i < options_count; i++)
        names[i] = options_table[i].name;
    nearest = words_nearest(name, names, options_count);
    if (nearest)
        (void)buf_printf(why, "unknown option '%s': did you mean '%s'?", name, nearest);
    else
        (void)buf_printf(why, "unknown option '%s': `daytonafs mount --help` lists them", name);
    return -EINVAL;
}

/* Negative, 0 or positive: as the value compares with limit, which is of the table. */
static int compare(const struct options *o, const struct option_row *row, const char *limit)
{
    uint64_t bytes = 0;
    int64_t ns = 0;

    if (row->type == OPTION_BYTES) {
        const uint64_t value = *(const uint64_t *)field_in(o, row);

        (void)units_parse_bytes(limit, &bytes);
        return value < bytes ? -1 : value > bytes;
    }
    const int64_t value_ns = *(const int64_t *)field_in(o, row);

    (void)units_parse_duration(limit, &ns);
    return value_ns < ns ? -1 : value_ns > ns;
}

static int check_limits(const struct options *o, const struct option_row *row, struct buf *why)
{
    for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
        if (strcmp(limits[i].name, row->name) != 0)
            continue;
        if (limits[i].least && compare(o, row, limits[i].least) < 0)
            (void)buf_printf(why, "%s: at least %s", row->name, limits[i].least);
        else if (limits[i].most && compare(o, row, limits[i].most) > 0)
            (void)buf_printf(why, "%s: at most %s", row->name, limits[i].most);
        else
            return 0;
        return -EINVAL;
    }
    return 0;
}

/* What only shows when the value is known. */
static int check_value(const struct options *o, const struct option_row *row, struct buf *why)
{
    const char *text = row->type == OPTION_STRING ? *(char *const *)field_in(o, row) : "";

    if (row->field == FIELD(ctl_name) && row->type == OPTION_STRING &&
        (!path_name_valid(text, strlen(text)) ||
         strlen(text) + strlen(OPTIONS_CTL_SUFFIX) > PATH_NAME_MAX))
        (void)buf_printf(why, "ctl_name=%s: it must be one name, short and without '/'", text);
    else
        return check_limits(o, row, why);
    return -EINVAL;
}

static int parse_one(struct options *o, char *text, struct buf *why)
{
    char *value = strchr(text, '=');
    const struct option_row *row;
    int r;

    if (value)
        *value++ = '\0';
    row = find(text);
    if (!row && strncmp(text, "x-", 2) == 0)
        return 0; /* fstab(5): for others to read */
    if (!row)
        return refuse_unknown(text, why);
    if (row->type == OPTION_IGNORED)
        return 0;
    if (takes_value(row) != (value != NULL)) {
        (void)buf_printf(why, value ? "option '%s' takes no value" : "option '%s' needs a value",
                         row->name);
        return -EINVAL;
    }
    if (!value) {
        *(bool *)field_of(o, row) = row->on;
        return 0;
    }
    r = set_value(o, row, value, why);
    if (r == 0)
        r = check_value(o, row, why);
    return r;
}

/* Cuts the first option off *text, and takes its backslashes away. */
static char *next_option(char **text)
{
    char *start = *text, *to = start, *from = start;

    for (; *from && *from != ','; from++) {
        if (*from == '\\' && (from[1] == ',' || from[1] == '\\'))
            from++;
        *to++ = *from;
    }
    *text = *from ? from + 1 : from;
    *to = '\0';
    return start;
}

int options_parse(struct options *o, const char *text, struct buf *why)
{
    const size_t before = why->len;
    char *copy = strdup(text), *rest = copy;
    int r = copy ? 0 : -ENOMEM;

    while (r == 0 && *rest) {
        char *one = next_option(&rest);

        if (*one)
            r = parse_one(o, one, why);
        if (r == 0)
            buf_truncate(why, before);
    }
    free(copy);
    return r;
}

static int set_text(char **field, const char *value)
{
    char *copy = value ? strdup(value) : NULL;

    if (!copy)
        return value ? -ENOMEM : 0;
    free(*field);
    *field = copy;
    return 0;
}

int options_set_service(struct options *o, const char *api_url, const char *credentials)
{
    const int r = set_text(&o->api_url, api_url);

    return r < 0 ? r : set_text(&o->credentials, credentials);
}

int options_set_journal_dir(struct options *o, const char *dir)
{
    return set_text(&o->journal_dir, dir);
}

int options_init(struct options *o)
{
    struct buf why = BUF_INIT(256);
    int r = 0;

    memset(o, 0, sizeof(*o));
    o->uid = o->gid = -1;
    for (size_t i = 0; i < options_count && r == 0; i++) {
        const struct option_row *row = &options_table[i];

        if (row->def)
            r = set_value(o, row, row->def, &why);
        else if (row->type == OPTION_STRING)
            r = set_string(o, row, "");
    }
    buf_done(&why);
    if (r < 0)
        options_done(o);
    return r;
}

void options_done(struct options *o)
{
    for (size_t i = 0; i < options_count; i++) {
        if (options_table[i].type == OPTION_STRING) {
            char **field = field_of(o, &options_table[i]);

            free(*field);
            *field = NULL;
        }
    }
}

/* ---- showing ---- */

static int print_choices(struct buf *out, const struct option_row *row)
{
    int r = 0;

    for (const struct option_choice *c = row->choices; r == 0 && c->name; c++)
        if (!c->refused)
            r = buf_printf(out, "%s%s", c == row->choices ? "" : "|", c->name);
    return r;
}

static int print_synopsis(struct buf *out, const struct option_row *row)
{
    static const char *const values[] = {
        [OPTION_ID] = "ID",         [OPTION_MODE] = "MODE",     [OPTION_BYTES] = "SIZE",
        [OPTION_DURATION] = "TIME", [OPTION_STRING] = "STRING",
    };
    int r = buf_puts(out, row->name);

    if (r == 0 && takes_value(row))
        r = buf_putc(out, '=');
    if (r == 0 && row->type == OPTION_CHOICE)
        return print_choices(out, row);
    if (r == 0 && takes_value(row))
        r = buf_puts(out, values[row->type]);
    return r;
}

int options_help(struct buf *out)
{
    enum { COLUMN = 28 };
    int r = 0;

    for (size_t i = 0; r == 0 && i < options_count; i++) {
        const struct option_row *row = &options_table[i];
        const size_t start = out->len;

        if (!row->help)
            continue;
        r = buf_puts(out, "  ");
        if (r == 0)
            r = print_synopsis(out, row);
        if (r == 0)
            r = buf_printf(out, "%*s",
                           (int)(start + COLUMN > out->len ? start + COLUMN - out->len : 1), "");
        if (r == 0)
            r = buf_puts(out, row->help);
        if (r == 0 && row->def)
            r = buf_printf(out, " (%s)", row->def);
        if (r == 0)
            r = buf_putc(out, '\n');
    }
    return r;
}

static const char *choice_name(const struct option_row *row, int value)
{
    for (const struct option_choice *c = row->choices; c->name; c++)
        if (!c->refused && c->value == value)
            return c->name;
    return "?";
}

static int print_value(struct buf *out, const struct options *o, const struct option_row *row)
{
    const void *field = field_in(o, row);

    switch (row->type) {
    case OPTION_FLAG:
        return buf_puts(out, *(const bool *)field == row->on ? "yes" : "no");
    case OPTION_CHOICE:
        return buf_puts(out, choice_name(row, *(const int *)field));
    case OPTION_ID:
        if (*(const int64_t *)field < 0)
            return buf_putc(out, '-');
        return buf_printf(out, "%" PRId64, *(const int64_t *)field);
    case OPTION_MODE:
        return buf_printf(out, "%03o", (unsigned)*(const mode_t *)field);
    case OPTION_BYTES:
        return units_print_bytes(out, *(const uint64_t *)field);
    case OPTION_DURATION:
        return units_print_duration(out, *(const int64_t *)field);
    case OPTION_STRING:
        return buf_puts(out, **(char *const *)field ? *(char *const *)field : "-");
    case OPTION_IGNORED:
        break;
    }
    return 0;
}

int options_text(const struct options *o, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < options_count; i++) {
        const struct option_row *row = &options_table[i];

        if (!row->help)
            continue;
        r = buf_printf(out, "%s ", row->name);
        if (r == 0)
            r = print_value(out, o, row);
        if (r == 0)
            r = buf_putc(out, '\n');
    }
    return r;
}

static char *chosen(const char *given, char *otherwise)
{
    char cwd[PATH_MAX];

    if (!*given)
        return otherwise;
    free(otherwise);
    return getcwd(cwd, sizeof(cwd)) ? path_resolve(cwd, given) : NULL;
}

char *options_cache_dir(const struct options *o)
{
    char *base = dirs_base("XDG_CACHE_HOME", ".cache");
    char *dir = base ? path_join(base, "daytonafs") : NULL;

    free(base);
    return chosen(o->cache_dir, dir);
}

char *options_journal_dir(const struct options *o)
{
    return chosen(o->journal_dir, dirs_journals());
}
