#include "ctl/ctl_internal.h"
#include "ctl/ctltext.h"
#include "util/array.h"
#include "util/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Says which verbs there are, and which one was perhaps meant. */
static void explain_unknown(struct ctl *ctl, const struct ctl_verb *verbs, const char *word,
                            struct buf *why)
{
    const char *names[64], *near;
    size_t count = 0;

    for (const struct ctl_verb *v = verbs; v->name && count < ARRAY_LEN(names); v++)
        if (ctl_has(ctl, v->needs))
            names[count++] = v->name;
    near = words_nearest(word, names, count);
    (void)buf_puts(why, "no verb is called \""); /* cut short without memory: it is only a hint */
    (void)ctltext_escape(why, word, strnlen(word, 80));
    if (near)
        (void)buf_printf(why, "\"; did you mean \"%s\"?", near);
    else
        (void)buf_printf(why, "\"; %s/help lists them", ctl->name);
}

static int run_words(struct ctl *ctl, const struct ctl_node *node, int argc, char **argv,
                     struct buf *why)
{
    const struct ctl_verb *v = node->row->verbs;

    while (v->name && (strcmp(v->name, argv[0]) != 0 || !ctl_has(ctl, v->needs)))
        v++;
    if (!v->name) {
        explain_unknown(ctl, node->row->verbs, argv[0], why);
        return -EINVAL;
    }
    argc--;
    if (argc < v->min || (v->max >= 0 && argc > v->max)) {
        (void)buf_printf(why, "\"%s\" takes %s%s", v->name, *v->takes ? v->takes : "no argument",
                         argc > v->max && *v->takes ? "; quote what holds blanks" : "");
        return -EINVAL;
    }
    return v->run(ctl, node->obj, argc, argv + 1, why);
}

static int run_line(struct ctl *ctl, const struct ctl_node *node, const char *line, size_t len,
                    struct buf *why)
{
    char *text, **argv = NULL;
    int argc = 0, r;

    if (memchr(line, '\0', len)) {
        (void)buf_puts(why, "a line cannot hold a NUL byte");
        return -EINVAL;
    }
    text = strndup(line, len);
    if (!text)
        return -ENOMEM;
    r = words_split(text, &argv, &argc);
    if (r == -EINVAL)
        (void)buf_puts(why, "a quote is not closed, or there are too many words");
    if (r == 0 && argc > 0)
        r = run_words(ctl, node, argc, argv, why);
    free(argv);
    free(text);
    return r;
}

ssize_t verbs_run(struct ctl *ctl, struct work *work, struct buf *out, struct buf *why)
{
    int r = 0;

    for (size_t i = 0, len; i < work->n && r == 0; i += len) {
        len = ctltext_line(work->data + i, work->n - i);
        r = run_line(ctl, work->node, work->data + i, len, why);
        if (r == 0 && cancel_fired(work->cancel))
            r = -EINTR;
    }
    return r < 0 ? r : (ssize_t)work->n;
}
