/* The manual as roff, from the rows of the commands, of the mount options and of .ctl. */
#include "cli/cli.h"

#include "cli/semantics.h"
#include "ctl/ctl.h"
#include "mount/options.h"
#include "util/array.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

/* As in help.c, an append fails only without memory, and the build sees a cut page. */
static void put(struct buf *out, const char *s)
{
    (void)buf_puts(out, s);
}

/* Text as roff takes it: '-' is a minus, '\' is itself, and no line begins a request. */
static void put_roff(struct buf *out, const char *s)
{
    for (; *s; s++) {
        const bool line_start = out->len == 0 || out->data[out->len - 1] == '\n';

        if (line_start && (*s == '.' || *s == '\''))
            put(out, "\\&");
        if (*s == '-')
            put(out, "\\-");
        else if (*s == '\\')
            put(out, "\\e");
        else if (*s == '\n' && s[1] == '\n')
            put(out, "\n.PP"); /* the second newline ends the request */
        else
            (void)buf_putc(out, *s);
    }
}

static void put_heading(struct buf *out, const char *text)
{
    put(out, ".SH ");
    for (; *text; text++)
        (void)buf_putc(out, (char)toupper((unsigned char)*text));
    put(out, "\n");
}

static void put_item(struct buf *out, const char *term, const char *text)
{
    put(out, ".TP\n.B ");
    put_roff(out, term);
    put(out, "\n");
    put_roff(out, text);
    put(out, "\n");
}

static void put_option(struct buf *out, const struct cli_option *o)
{
    struct buf term = BUF_INIT(256);

    if (o->letter)
        (void)buf_printf(&term, "-%c, ", o->letter);
    (void)buf_printf(&term, "--%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    put_item(out, buf_str(&term), o->help);
    buf_done(&term);
}

static void put_command(struct buf *out, const struct cli_command *c)
{
    const struct cli_option *o;

    put(out, ".SS daytonafs ");
    put_roff(out, c->name);
    put(out, *c->usage ? " " : "");
    put_roff(out, c->usage);
    put(out, "\n");
    (void)buf_putc(out, (char)toupper((unsigned char)c->summary[0]));
    put_roff(out, c->summary + 1);
    put(out, ".\n");
    if (c->text) {
        put(out, ".PP\n");
        put_roff(out, c->text);
        put(out, "\n");
    }
    for (const struct cli_option *own = c->options; own && own->name; own++)
        put_option(out, own);
    if (c->flags & CLI_JSON) {
        o = cli_common_options(CLI_JSON);
        put_option(out, o);
    }
}

static void put_mount_option(struct buf *out, const struct option_row *row)
{
    struct buf term = BUF_INIT(1024), text = BUF_INIT(4096);

    put(&term, row->name);
    if (row->choices && row->choices[0].name) {
        for (const struct option_choice *c = row->choices; c->name; c++)
            (void)buf_printf(&term, "%c%s", c == row->choices ? '=' : '|', c->name);
    } else if (row->type != OPTION_FLAG) {
        put(&term, "=...");
    }
    put(&text, row->help);
    if (row->def && *row->def)
        (void)buf_printf(&text, " (default %s)", row->def);
    put_item(out, buf_str(&term), buf_str(&text));
    buf_done(&term);
    buf_done(&text);
}

struct section {
    const char *heading, *text; /* a heading of NULL ends the list */
};

static void put_sections(struct buf *out, const struct section *s)
{
    for (; s->heading; s++) {
        put_heading(out, s->heading);
        put_roff(out, s->text);
        put(out, "\n");
    }
}

static const struct section tail[] = {
    {"environment",
     "DAYTONA_API_KEY, or DAYTONA_JWT_TOKEN with DAYTONA_ORGANIZATION_ID: the credential, after "
     "--credentials and before the Daytona CLI's profile. DAYTONA_API_URL: the API's base. "
     "DAYTONA_TARGET: the region for new sandboxes. XDG_RUNTIME_DIR, XDG_STATE_HOME, "
     "XDG_CACHE_HOME: where the list of mounts and cached data are kept."},
    {"files", "DIR/.ctl holds the control files of a mount: see daytonafs-ctl(5)."},
    {"security",
     "A sandbox runs code that nobody has read, and is not trusted: what it sends is checked, "
     "symbolic links that lead out of the mount are contained, and device files cannot be opened. "
     "Credentials are never put into arguments, logs or control files. Plain http is refused "
     "except to this machine."},
    {NULL, NULL},
};

static void page_1(struct buf *out)
{
    put(out, ".TH DAYTONAFS 1 \"\" \"daytonafs " DAYTONAFS_VERSION "\"\n"
             ".SH NAME\ndaytonafs \\- Daytona sandboxes as directories\n"
             ".SH SYNOPSIS\n.B daytonafs\n.I SANDBOX\\fR[:\\fIPATH\\fR] DIR\n"
             "[\\fB\\-o\\fR \\fIOPTION\\fR,...]\n.br\n.B daytonafs\n.I COMMAND\n[\\fIARG\\fR...]\n"
             ".SH DESCRIPTION\ndaytonafs mounts a Daytona sandbox at a local directory, so that "
             "local editors and tools work on its files, and runs commands in it.\n");
    put_heading(out, "commands");
    for (size_t i = 0; i < cli_command_count; i++)
        put_command(out, cli_commands[i]);
    put_heading(out, "options of commands that talk to the api");
    for (const struct cli_option *o = cli_common_options(CLI_API); o->name; o++)
        put_option(out, o);
    put_heading(out, "mount options");
    for (size_t i = 0; i < options_count; i++) {
        if (options_table[i].help)
            put_mount_option(out, &options_table[i]);
    }
    put_heading(out, "exit status");
    for (const struct cli_exit *e = cli_exits; e->help; e++) {
        char term[16];

        snprintf(term, sizeof(term), "%d", e->code);
        put_item(out, term, e->help);
    }
    put_roff(out, "exec and attach end with the command's own code, 128 and more for a signal; "
                  "124: --timeout was over, 125: it could not be started, 126: it cannot be "
                  "executed, 127: it was not found.\n");
    put_sections(out, tail);
    put(out, ".SH SEE ALSO\n.BR daytonafs\\-ctl (5),\n.BR daytonafs\\-semantics (7),\n"
             ".BR fusermount3 (1)\n");
}

static const struct section ctl_head[] = {
    {"description",
     "The root of every mount holds a directory .ctl of control files. It is found by name and "
     "not listed; `ls .ctl/` lists what is in it. With ctl=visible .ctl is listed, as a symbolic "
     "link to .ctl-files, which is not: programs that walk over the mount copy the link or pass "
     "it by, unless they are told to follow links. git takes it for a file, unless "
     ".git/info/exclude says otherwise. Its files "
     "belong to the user who mounted, and nobody else can read them. A relative path that is "
     "written to them is below the mount's root, an absolute one is in the sandbox; answers are "
     "relative to the mount's root, and commands start there."},
    {"kinds of files",
     "snapshot: text made when the file is opened; reading it changes nothing.\n\n"
     "verbs: each line that is written is carried out, in order. The words of a line are split as "
     "in sh, and nothing is expanded. A bad line makes the write fail; why is in errors.\n\n"
     "query: what is written is a question, and reading through the same descriptor gives its "
     "answer. It is asked at the first read, or when the descriptor is closed. What is written "
     "through one descriptor and asked by closing it can be read by the next that opens the "
     "file.\n\n"
     "stream: a question whose answer goes on until the descriptor is closed.\n\n"
     "text: read as a snapshot; what is written between open and close is taken as a whole.\n\n"
     "live: the bytes there are so far, with their true size.\n\n"
     "flow: bytes as they come, from the first one on; a read waits for more until the end. Such "
     "files are found by name, and not listed.\n\n"
     "sink: each write is passed on."},
    {NULL, NULL},
};
static const struct section ctl_tail[] = {
    {"lines of watch",
     "SEQ, create|modify|delete|rename|overflow, PATH and for a rename the new path, parted by "
     "tabs. Tabs, newlines and backslashes in names are written \\t, \\n and \\\\, other control "
     "bytes and what is not UTF-8 as \\xHH. After overflow look at the whole tree again.\n\n"
     "SEQ rises. Who writes PATH, a NUL byte and the SEQ of a line is told what happened after "
     "that "
     "line, even while nobody watched, as long as the mount lives and PATH is among the few "
     "watched "
     "last: printf 'src\\0%s\\n' 41 >&3. It begins with overflow if that is not known any more."},
    {"examples", "Run a command: exec 3<>.ctl/run; echo 'make test' >&3; cat <&3; exec 3>&-\n\n"
                 "The same for one answer: echo 'uname -a' >.ctl/run; cat .ctl/run\n\n"
                 "Its exit code: cat .ctl/exit\n\n"
                 "A command that goes on by itself: mkdir .ctl/jobs/ci; echo 'make ci' "
                 ">.ctl/jobs/ci/cmd; cat .ctl/jobs/ci/follow; cat .ctl/jobs/ci/wait; rm -r "
                 ".ctl/jobs/ci\n\n"
                 "Wait until everything has arrived: echo sync >.ctl/ctl"},
    {NULL, NULL},
};

static void put_doc(struct buf *out, const struct ctl_doc *doc)
{
    struct buf term = BUF_INIT(256), text = BUF_INIT(4096);

    (void)buf_printf(&term, "%s%s%s", doc->name, *doc->takes ? " " : "", doc->takes);
    (void)buf_printf(&text, "%s (%s%s%s)", doc->help, doc->kind, *doc->file ? " of " : "",
                     doc->file);
    put_item(out, buf_str(&term), buf_str(&text));
    buf_done(&term);
    buf_done(&text);
}

static void page_5(struct buf *out)
{
    struct ctl_doc doc;

    put(out, ".TH DAYTONAFS\\-CTL 5 \"\" \"daytonafs " DAYTONAFS_VERSION "\"\n"
             ".SH NAME\ndaytonafs\\-ctl \\- control files of a daytonafs mount\n");
    put_sections(out, ctl_head);
    put_heading(out, "files");
    for (size_t i = 0; ctl_doc_file(i, &doc); i++)
        put_doc(out, &doc);
    put_heading(out, "verbs");
    for (size_t i = 0; ctl_doc_verb(i, &doc); i++)
        put_doc(out, &doc);
    put_heading(out, "states of the sandbox");
    put_roff(out, "While the sandbox does not run, what is known of its files is shown, what is "
                  "written waits, and what needs it fails with EHOSTDOWN, or starts it: with "
                  "wake=auto, in the states that are marked (woken).\n");
    for (size_t i = 0; ctl_doc_state(i, &doc); i++)
        put_item(out, doc.name, doc.help);
    put_sections(out, ctl_tail);
    put(out, ".SH SEE ALSO\n.BR daytonafs (1)\n");
}

static const struct section semantics_head[] = {
    {"description",
     "What programs may rely on when they work on a mount. Each promise is followed by the tests "
     "that show it, which are in tests/ of the source."},
    {NULL, NULL},
};
static const struct section semantics_tail[] = {
    {"without the helper",
     "With helper=off, or where the helper cannot run (see .ctl/capabilities), there is no "
     "journal: "
     "names, modes and times are changed in the sandbox "
     "before the call returns, the content of a file when it is closed or synced (durability=sync: "
     "when write returns), and each has its error at once. What was not closed when daytonafs died "
     "is lost; what could not be sent is kept in a directory that the log names. There are no "
     "conflicts, the last writer wins: what the sandbox changes in a file while it is open for "
     "writing here is overwritten. A file that is sent appears as one replacement."},
    {"not promised",
     "inotify tells nothing of changes "
     "made in the sandbox: watch does. sync(2) does not reach FUSE, fsync(2) and the verb sync do. "
     "Extended attributes, ACLs, device files, FIFOs and sockets are not supported."},
    {NULL, NULL},
};

static void page_7(struct buf *out)
{
    put(out, ".TH DAYTONAFS\\-SEMANTICS 7 \"\" \"daytonafs " DAYTONAFS_VERSION "\"\n"
             ".SH NAME\ndaytonafs\\-semantics \\- what a daytonafs mount promises\n");
    put_sections(out, semantics_head);
    for (const struct semantics_row *row = semantics_rows; row->when; row++) {
        if (!row->promise) {
            put_heading(out, row->when);
            continue;
        }
        put_item(out, row->when, row->promise);
        put(out, ".nh\n");
        for (const char *p = row->tests; *p; p += *p == ' ') {
            const size_t len = strcspn(p, " ");

            (void)buf_printf(out, ".br\n\\(bu %.*s\n", (int)len, p);
            p += len;
        }
        put(out, ".hy\n");
    }
    put_sections(out, semantics_tail);
    put(out, ".SH SEE ALSO\n.BR daytonafs (1),\n.BR daytonafs\\-ctl (5)\n");
}

int cli_man(struct buf *out, const char *page)
{
    static const struct {
        const char *name;
        void (*write)(struct buf *out);
    } pages[] = {{"daytonafs", page_1}, {"daytonafs-ctl", page_5}, {"daytonafs-semantics", page_7}};

    for (size_t i = 0; i < ARRAY_LEN(pages); i++) {
        if (strcmp(pages[i].name, page) == 0) {
            pages[i].write(out);
            return 0;
        }
    }
    return -ENOENT;
}
