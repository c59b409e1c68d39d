/* The text of .ctl/help, made from the tables, and the tables for whoever makes a manual. */
#include "ctl/ctl_internal.h"
#include "ctl/states.h"
#include "util/array.h"

#include <stdio.h>
#include <string.h>

static const char intro[] =
    "Text files that drive this mount and its sandbox. A relative PATH is below the mount's\n"
    "root, an absolute one is the sandbox's own. Programs that walk over the whole mount never\n"
    "come here: $ is not listed there, or with ctl=visible as a symbolic link.\n";

static const char rules[] =
    "Asking\n"
    "  Write the question, then read the answer through the same descriptor:\n"
    "      exec 3<>$/run; echo 'ls -l' >&3; cat <&3; exec 3>&-\n"
    "  A question is everything written since the last answer. It is asked by the first read\n"
    "  or poll, and by closing a descriptor (in a shell: at the end of `echo ... >&3`). So\n"
    "  scripts of many lines and `cp build.sh $/run` work. The answer starts where the last\n"
    "  write ended and can be read again; reading before that point starts it over. The next\n"
    "  question through the same descriptor waits for the end of the one before.\n"
    "  Or write and read one after the other, as in the examples above: whoever opens the file\n"
    "  for reading gets the answer to what was asked last by `> FILE`, waiting for its end.\n"
    "  There is one such answer for the whole mount: programs use one descriptor, or\n"
    "  `daytonafs exec`. One descriptor must not be read and written at the same time.\n"
    "\n"
    "run\n"
    "  What was written to the mount before is sent first; what the command changes is seen by\n"
    "  whoever looks after its end. Output and errors come together, when it has ended. What\n"
    "  is asked through different descriptors runs at the same time.\n"
    "  exit: the command's own code; 125: it could not be run, or how it ended is not known;\n"
    "  130: whoever asked went away, and the sandbox may still be running it; 126 and 127 are\n"
    "  the shell's, as usual. Empty: nothing ran yet. How long a command takes nobody knows, so\n"
    "  it is waited for without an end, also where the service gives no answer: Ctrl-C ends that,\n"
    "  and `daytonafs exec` notices by itself.\n"
    "\n"
    "sessions\n"
    "  Commands of a session run one after another, those that were started, too. The service\n"
    "  has its ways: exit and exec end the session's shell, and for the service the command\n"
    "  never does; say `return N`, or ( exit N ). run fails (EPIPE) some seconds after an exit\n"
    "  in a session made here; what waits for exec waits on. Output comes in whole lines, a\n"
    "  last newline is added, stdout and stderr may come in another order, and NUL bytes may\n"
    "  vanish. A command alone cannot be killed: rmdir ends all. Sessions end when the sandbox\n"
    "  stops. jobs/ has none of that.\n"
    "  The service keeps what was run and printed in .daytona/sessions of the home directory\n"
    "  until the session is removed: a mount of that directory shows it.\n"
    "\n"
    "jobs\n"
    "  A job goes on by itself until it ends or the sandbox stops, and what it printed stays in\n"
    "  the sandbox until rmdir. Without the helper (capabilities) jobs stand on the sandbox's\n"
    "  own tools, and these things are weaker: one that was made here or by exec --detach runs\n"
    "  in a session daytonafs-job-N, which goes when its end is seen here; its files are in\n"
    "  /tmp/.daytonafs-jobs-UID; a start costs three requests; output is looked at four times a\n"
    "  second, and its order is that in which it was seen; what is written to stdin comes up to\n"
    "  0.1 s later; processes that clear their environment get no signal. Jobs made with the\n"
    "  helper are not seen without it, nor the other way round.\n"
    "\n"
    "exists, url, watch\n"
    "  The question is one path; end it with a NUL byte if it holds a newline:\n"
    "      printf 'odd\\nname\\0' > $/exists\n"
    "  url: a number alone is a port; write ./8000 for a file of that name. Whoever has a\n"
    "  signed link gets in until it ends.\n"
    "  watch: a write that ends its line returns when watching has begun: what changes from\n"
    "  then on is told, in lines SEQ<TAB>WHAT<TAB>PATH[<TAB>NEW]. WHAT is create, modify,\n"
    "  delete, rename (to NEW) or overflow: something may have been missed, look for yourself.\n"
    "  \\t \\n \\\\ and \\xHH stand for bytes that would break a line. A path that is not there\n"
    "  (yet) can be watched. It looks twice a second, less often while nothing changes, never\n"
    "  while nobody has the file open; a sandbox that sleeps is not woken for it.\n"
    "\n"
    "find, grep, replace\n"
    "  The question is words, quoted as in sh. What was written to the mount before is sent\n"
    "  first. Names that would break a line are spelled as watch does.\n"
    "\n"
    "ctl\n"
    "  Words are split and quoted as in sh, nothing is expanded. Each write is whole lines: its\n"
    "  last line needs no newline. Lines run in order; at the first one that fails the write\n"
    "  fails, the rest is not run, and errors says why.\n";

/* $ stands for the name of the directory. */
static int put(struct buf *out, const char *text, const char *name)
{
    int r = 0;

    for (; *text && r == 0; text++)
        r = *text == '$' ? buf_puts(out, name) : buf_putc(out, *text);
    return r;
}

/* ---- walking the tables ---- */

typedef int (*visit_fn)(void *arg, const char *path, const struct ctl_row *row);

static int visit_dir(const struct ctl *ctl, const struct ctl_row *dir, const char *prefix,
                     visit_fn fn, void *arg);

static int visit_row(const struct ctl *ctl, const struct ctl_row *row, const char *prefix,
                     const char *name, visit_fn fn, void *arg)
{
    char path[CTL_DOC_NAME_MAX];
    int r = 0;

    if (!ctl_has(ctl, row->needs))
        return 0;
    (void)snprintf(path, sizeof(path), "%s%s%s", prefix, name, row->kind == CTL_DIR ? "/" : "");
    if (row->help)
        r = fn(arg, path, row);
    return r == 0 && row->kind == CTL_DIR ? visit_dir(ctl, row, path, fn, arg) : r;
}

/* Every row below dir that help tells of, until fn returns other than 0. */
static int visit_dir(const struct ctl *ctl, const struct ctl_row *dir, const char *prefix,
                     visit_fn fn, void *arg)
{
    int r = 0;

    for (const struct ctl_row *row = dir->rows; row && row->name && r == 0; row++)
        r = visit_row(ctl, row, prefix, row->name, fn, arg);
    if (r == 0 && dir->dir && dir->dir->entry)
        r = visit_row(ctl, dir->dir->entry, prefix, dir->dir->takes, fn, arg);
    return r;
}

/* ---- the text ---- */

enum group { READ, WRITTEN, WITHIN };

struct putting {
    const struct ctl *ctl;
    const char *name; /* of the directory of control files */
    enum group group;
    struct buf *out;
};

static enum group group_of(const char *path, const struct ctl_row *row)
{
    return strchr(path, '/') ? WITHIN : row->takes ? WRITTEN : READ;
}

static int put_row(void *arg, const char *path, const struct ctl_row *row)
{
    struct putting *p = arg;
    char left[2 * CTL_DOC_NAME_MAX];
    int r;

    if (group_of(path, row) != p->group)
        return 0;
    (void)snprintf(left, sizeof(left), "%-*s%s%s", p->group == WRITTEN ? 8 : 0, path,
                   row->takes ? " " : "", row->takes ? row->takes : "");
    if (strlen(left) < 22)
        r = buf_printf(p->out, "  %-22s%s\n", left, row->help);
    else
        r = buf_printf(p->out, "  %s\n  %-22s%s\n", left, "", row->help);
    if (r == 0 && row->example) {
        r = buf_printf(p->out, "  %-22s", "");
        if (r == 0)
            r = put(p->out, row->example, p->name);
        if (r == 0)
            r = buf_putc(p->out, '\n');
    }
    return r;
}

int ctl_help_verbs(const struct ctl *ctl, const struct ctl_verb *verbs, struct buf *out)
{
    char left[CTL_DOC_NAME_MAX];
    int r = 0;

    for (const struct ctl_verb *v = verbs; v->name && r == 0; v++) {
        if (!ctl_has(ctl, v->needs))
            continue;
        (void)snprintf(left, sizeof(left), "%s%s%s", v->name, *v->takes ? " " : "", v->takes);
        r = buf_printf(out, "  %-21s %s\n", left, v->help);
    }
    return r;
}

static int put_verbs(void *arg, const char *path, const struct ctl_row *row)
{
    struct putting *p = arg;
    int r;

    if (!row->verbs)
        return 0;
    r = buf_printf(p->out, "\nVerbs of %s\n", path);
    return r < 0 ? r : ctl_help_verbs(p->ctl, row->verbs, p->out);
}

static int put_states(struct buf *out)
{
    int r = buf_puts(out, "\nStates of the sandbox\n"
                          "  While it does not run, what is known of its files is shown, what is "
                          "written waits, and\n"
                          "  what needs it fails with EHOSTDOWN, or with wake=auto starts it where "
                          "there is a *.\n");

    for (const struct states_row *s = states_table; s->name && r == 0; s++) {
        if (strlen(s->name) < 20)
            r = buf_printf(out, "  %-20s%c %s\n", s->name, s->wakes ? '*' : ' ', s->help);
        else
            r = buf_printf(out, "  %s\n  %-20s%c %s\n", s->name, "", s->wakes ? '*' : ' ', s->help);
    }
    return r;
}

int ctl_help(const struct ctl *ctl, struct buf *out)
{
    static const char *const headings[] = {
        [READ] = "\nFiles that are read: text made when they are opened\n",
        [WRITTEN] = "\nFiles that are written to, and what they take\n",
        [WITHIN] = "\nDirectories\n",
    };
    struct putting p = {.ctl = ctl, .name = ctl ? ctl->name : ".ctl", .out = out};
    const struct ctl_row *root = ctl ? ctl->root : &ctl_root_row;
    const size_t start = out->len;
    int r = put(out, intro, p.name);

    for (size_t i = 0; i < ARRAY_LEN(headings) && r == 0; i++) {
        p.group = (enum group)i;
        r = buf_puts(out, headings[i]);
        if (r == 0)
            r = visit_dir(ctl, root, "", put_row, &p);
    }
    if (r == 0)
        r = visit_dir(ctl, root, "", put_verbs, &p);
    if (r == 0 && ctl_has(ctl, NEEDS(sandbox)))
        r = put_states(out);
    if (r == 0)
        r = buf_putc(out, '\n');
    if (r == 0)
        r = put(out, rules, p.name);
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int ctl_help_text(struct buf *out)
{
    return ctl_help(NULL, out);
}

/* ---- one row at a time ---- */

struct picking {
    size_t left; /* how many come before */
    struct ctl_doc *ret;
};

static int pick_file(void *arg, const char *path, const struct ctl_row *row)
{
    static const char *const kinds[] = {
        [CTL_SNAPSHOT] = "snapshot", [CTL_TEXT] = "text",     [CTL_VERBS] = "verbs",
        [CTL_QUERY] = "query",       [CTL_STREAM] = "stream", [CTL_LIVE] = "live",
        [CTL_FLOW] = "flow",         [CTL_SINK] = "sink",     [CTL_DIR] = "directory",
    };
    struct picking *p = arg;

    if (p->left-- > 0)
        return 0;
    *p->ret = (struct ctl_doc){.mode = row->mode,
                               .kind = kinds[row->kind],
                               .takes = row->takes ? row->takes : "",
                               .help = row->help};
    (void)snprintf(p->ret->name, sizeof(p->ret->name), "%s", path);
    return 1;
}

static int pick_verb(void *arg, const char *path, const struct ctl_row *row)
{
    struct picking *p = arg;

    for (const struct ctl_verb *v = row->verbs; v && v->name; v++) {
        if (p->left-- > 0)
            continue;
        *p->ret = (struct ctl_doc){.kind = "verb", .takes = v->takes, .help = v->help};
        (void)snprintf(p->ret->name, sizeof(p->ret->name), "%s", v->name);
        (void)snprintf(p->ret->file, sizeof(p->ret->file), "%s", path);
        return 1;
    }
    return 0;
}

bool ctl_doc_file(size_t i, struct ctl_doc *ret)
{
    struct picking p = {.left = i, .ret = ret};

    return visit_dir(NULL, &ctl_root_row, "", pick_file, &p) == 1;
}

bool ctl_doc_verb(size_t i, struct ctl_doc *ret)
{
    struct picking p = {.left = i, .ret = ret};

    return visit_dir(NULL, &ctl_root_row, "", pick_verb, &p) == 1;
}

bool ctl_doc_state(size_t i, struct ctl_doc *ret)
{
    for (size_t k = 0; states_table[k].name; k++) {
        if (k < i)
            continue;
        *ret = (struct ctl_doc){.kind = "state", .takes = "", .help = states_table[k].help};
        (void)snprintf(ret->name, sizeof(ret->name), "%s%s", states_table[k].name,
                       states_table[k].wakes ? " (woken)" : "");
        return true;
    }
    return false;
}
