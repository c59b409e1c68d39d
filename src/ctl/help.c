/* The text of .ctl/help, made from the tables, and the tables for whoever makes a manual. */
#include "ctl/ctl_internal.h"

#include <string.h>

static const char intro[] =
    "Text files that drive this mount and its sandbox. A relative PATH is below the mount's\n"
    "root, an absolute one is the sandbox's own.\n";

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
    "  the shell's, as usual. Empty: nothing ran yet.\n"
    "\n"
    "exists, watch\n"
    "  The question is one path; end it with a NUL byte if it holds a newline:\n"
    "      printf 'odd\\nname\\0' > $/exists\n"
    "  watch: a write that ends its line returns when watching has begun: what changes from\n"
    "  then on is told, in lines SEQ<TAB>WHAT<TAB>PATH[<TAB>NEW]. WHAT is create, modify,\n"
    "  delete, rename (to NEW) or overflow: something may have been missed, look for yourself.\n"
    "  \\t \\n \\\\ and \\xHH stand for bytes that would break a line. A path that is not there\n"
    "  (yet) can be watched. It looks twice a second, less often while nothing changes, never\n"
    "  while nobody has the file open; a sandbox that sleeps is not woken for it.\n"
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

static int put_files(const struct ctl *ctl, bool asked, const char *name, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; i < ctl_file_count && r == 0; i++) {
        const struct ctl_file *f = &ctl_files[i];

        if ((f->takes != NULL) != asked || !ctl_has(ctl, f->needs))
            continue;
        r = buf_printf(out, asked ? "  %-7s%-13s%s\n" : "  %-14s%s%s\n", f->name,
                       asked ? f->takes : "", f->help);
        if (r == 0 && f->example) {
            r = buf_puts(out, "                      ");
            if (r == 0)
                r = put(out, f->example, name);
            if (r == 0)
                r = buf_putc(out, '\n');
        }
    }
    return r;
}

static int put_verbs(const struct ctl *ctl, struct buf *out)
{
    int r = 0;

    for (size_t i = 0; i < ctl_verb_count && r == 0; i++)
        if (ctl_has(ctl, ctl_verbs[i].needs))
            r = buf_printf(out, "  %-9s%-8s%s\n", ctl_verbs[i].name, ctl_verbs[i].takes,
                           ctl_verbs[i].help);
    return r;
}

int ctl_help(const struct ctl *ctl, struct buf *out)
{
    const char *name = ctl ? ctl->name : ".ctl";
    const size_t start = out->len;
    int r;

    r = put(out, intro, name);
    if (r == 0)
        r = buf_puts(out, "\nFiles that are read: text made when they are opened\n");
    if (r == 0)
        r = put_files(ctl, false, name, out);
    if (r == 0)
        r = buf_puts(out, "\nFiles that are written to, and what they take\n");
    if (r == 0)
        r = put_files(ctl, true, name, out);
    if (r == 0)
        r = buf_puts(out, "\nVerbs of ctl\n");
    if (r == 0)
        r = put_verbs(ctl, out);
    if (r == 0)
        r = buf_putc(out, '\n');
    if (r == 0)
        r = put(out, rules, name);
    if (r < 0)
        buf_truncate(out, start);
    return r;
}

int ctl_help_text(struct buf *out)
{
    return ctl_help(NULL, out);
}

bool ctl_doc_file(size_t i, struct ctl_doc *ret)
{
    static const char *const kinds[] = {[CTL_SNAPSHOT] = "snapshot",
                                        [CTL_VERBS] = "verbs",
                                        [CTL_QUERY] = "query",
                                        [CTL_STREAM] = "stream"};

    if (i >= ctl_file_count)
        return false;
    *ret = (struct ctl_doc){
        .name = ctl_files[i].name,
        .mode = ctl_files[i].mode,
        .kind = kinds[ctl_files[i].kind],
        .takes = ctl_files[i].takes ? ctl_files[i].takes : "",
        .help = ctl_files[i].help,
    };
    return true;
}

bool ctl_doc_verb(size_t i, struct ctl_doc *ret)
{
    if (i >= ctl_verb_count)
        return false;
    *ret = (struct ctl_doc){
        .name = ctl_verbs[i].name,
        .kind = "verb",
        .takes = ctl_verbs[i].takes,
        .help = ctl_verbs[i].help,
    };
    return true;
}
