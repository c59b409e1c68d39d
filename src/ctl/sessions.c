/* The table of sessions and of their commands: who is there, made and deleted. */
#include "ctl/session.h"

#include "ctl/box.h"
#include "ctl/ctl_internal.h"
#include "util/words.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_MAX = 256 };

/* A path of several names below a session asks once. */
#define FRESH_NS (NS_PER_S / 2)

/* Ids become names of files in the sandbox, some of which the service takes as they are. */
static const char name_bytes[] =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@+";

struct sessions {
    struct lock lock; /* guards what follows, and the sessions */
    struct session *list;
    size_t count;
};

int sessions_new(struct sessions **ret)
{
    struct sessions *s = calloc(1, sizeof(*s));

    if (!s)
        return -ENOMEM;
    lock_init(&s->lock);
    *ret = s;
    return 0;
}

static void unref_locked(struct session *s)
{
    if (--s->refs > 0)
        return;
    daytona_session_done(&s->known);
    free(s->name);
    free(s);
}

static void unlist_locked(struct session *s)
{
    if (!s->listed)
        return;
    s->listed = false;
    DL_DELETE(s->sessions->list, s);
    s->sessions->count--;
    unref_locked(s);
}

struct sessions *sessions_free(struct sessions *s)
{
    if (!s)
        return NULL;
    while (s->list)
        unlist_locked(s->list);
    lock_done(&s->lock);
    free(s);
    return NULL;
}

static struct session *named_locked(struct sessions *all, const char *name)
{
    struct session *s;

    DL_FOREACH(all->list, s)
        if (strcmp(s->name, name) == 0)
            return s;
    return NULL;
}

/* With two references, the table's and the caller's. */
static struct session *new_locked(struct sessions *all, const char *name)
{
    struct session *s = calloc(1, sizeof(*s));

    if (!s)
        return NULL;
    s->name = strdup(name);
    if (!s->name) {
        free(s);
        return NULL;
    }
    s->sessions = all;
    s->refs = 2;
    s->exit_code = -1;
    s->listed = true;
    if (all->count == TABLE_MAX)
        unlist_locked(all->list);
    DL_APPEND(all->list, s);
    all->count++;
    return s;
}

static struct session *take(struct sessions *all, const char *name)
{
    struct session *s;

    lock_take(&all->lock);
    s = named_locked(all, name);
    if (s)
        s->refs++;
    else
        s = new_locked(all, name);
    lock_drop(&all->lock);
    return s;
}

static void release(void *obj)
{
    struct session *s = obj;
    struct sessions *all = s->sessions;

    lock_take(&all->lock);
    unref_locked(s);
    lock_drop(&all->lock);
}

static void drop(struct session *s)
{
    lock_take(&s->sessions->lock);
    unlist_locked(s);
    lock_drop(&s->sessions->lock);
}

void session_stale(struct session *s)
{
    lock_take(&s->sessions->lock);
    s->until_ns = 0;
    lock_drop(&s->sessions->lock);
}

void session_keep_exit(struct session *s, int code)
{
    lock_take(&s->sessions->lock);
    s->exit_code = code;
    lock_drop(&s->sessions->lock);
}

int session_last_exit(struct session *s)
{
    int code;

    lock_take(&s->sessions->lock);
    code = s->exit_code;
    lock_drop(&s->sessions->lock);
    return code;
}

/* Brings what is known up to date, if it is older than a moment. */
static int look(struct ctl *ctl, struct session *s)
{
    struct daytona_session now = {0};
    bool fresh;
    int r;

    lock_take(&s->sessions->lock);
    fresh = clock_mono_ns() < s->until_ns;
    lock_drop(&s->sessions->lock);
    if (fresh)
        return 0;
    r = daytona_session_get(ctl->host.sandbox, s->name, &now);
    if (r < 0)
        return r;
    lock_take(&s->sessions->lock);
    daytona_session_done(&s->known);
    s->known = now;
    s->until_ns = clock_mono_ns() + FRESH_NS;
    lock_drop(&s->sessions->lock);
    return 0;
}

static bool could_be_session(const char *name)
{
    return name[0] != '.' && name[strspn(name, name_bytes)] == '\0';
}

/* While the sandbox does not run there is none. */
static int as_absent(int r)
{
    return r == -EHOSTDOWN ? -ENOENT : r;
}

static int find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    struct session *s;
    int r;

    if (!could_be_session(name))
        return -ENOENT;
    s = take(ctl->sessions, name);
    if (!s)
        return -ENOMEM;
    r = look(ctl, s);
    if (r < 0) {
        if (r == -ENOENT)
            drop(s);
        release(s);
        return as_absent(r);
    }
    *ret = (struct ctl_entry){.row = &session_row, .obj = s, .id = (uintptr_t)s};
    return 0;
}

static int list(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    struct daytona_session *v = NULL;
    size_t count = 0;
    int r = daytona_session_list(ctl->host.sandbox, &v, &count);

    if (r == -EHOSTDOWN)
        return 0; /* they end with it */
    for (size_t i = 0; i < count && r == 0; i++)
        if (could_be_session(v[i].id))
            r = ctl_list_add(list, v[i].id, &session_row);
    daytona_session_list_free(v, count);
    return r;
}

/* It begins where commands of the mount do, and tells its end. */
static int go_to_root(struct ctl *ctl, const char *name)
{
    struct daytona_session_result result = {0};
    struct buf line = BUF_INIT(64 << 10);
    char *root = fs_sandbox_path(ctl->fs, ".");
    int r = root ? buf_puts(&line, "trap 'echo; echo \"" SESSION_ENDED "$?\"' EXIT; cd ") : -ENOMEM;

    if (r == 0)
        r = words_quote(&line, root);
    if (r == 0)
        r = daytona_session_execute(
            ctl->host.sandbox, name,
            &(struct daytona_session_execute){.command = buf_str(&line), .timeout_ms = 30000},
            &result);
    daytona_session_result_done(&result);
    buf_done(&line);
    free(root);
    return r;
}

static int make(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret,
                struct buf *why)
{
    struct daytona_sandbox *sandbox = ctl->host.sandbox;
    int r;

    if (!could_be_session(name)) {
        (void)buf_puts(why, "a session's name is of letters, digits and -_.@+, no dot first");
        return -EINVAL;
    }
    r = daytona_session_create(sandbox, name);
    /* Whatever asks for files wakes a sandbox; this does not. */
    if (r == -EHOSTDOWN && fs_exists(ctl->fs, "/") >= 0)
        r = daytona_session_create(sandbox, name);
    if (r == 0)
        r = go_to_root(ctl, name);
    if (r < 0) {
        ctl_sdk_why(why, r, "the session was not made");
        return r;
    }
    *ret = (struct ctl_entry){.row = &session_row};
    ret->obj = take(ctl->sessions, name);
    ret->id = (uintptr_t)ret->obj;
    return ret->obj ? 0 : -ENOMEM;
}

static int removed(struct ctl *ctl, void *obj, struct buf *why)
{
    struct session *s = obj;
    int r = daytona_session_delete(ctl->host.sandbox, s->name);

    if (r == 0 || r == -ENOENT) {
        drop(s);
        return 0;
    }
    ctl_sdk_why(why, r, "the session was not deleted");
    return r;
}

const struct ctl_dir sessions_dir = {
    .entry = &session_row,
    .takes = "NAME",
    .find = find,
    .list = list,
    .make = make,
    .remove = removed,
    .release = release,
};

/* ---- commands ---- */

static void command_release(void *obj)
{
    struct session_command *c = obj;

    release(c->session);
    free(c->id);
    free(c);
}

static const struct daytona_command *command_locked(const struct session *s, const char *id)
{
    for (size_t i = 0; i < s->known.command_count; i++)
        if (strcmp(s->known.commands[i].id, id) == 0)
            return &s->known.commands[i];
    return NULL;
}

static int command_find(struct ctl *ctl, void *owner, const char *name, struct ctl_entry *ret)
{
    struct session *s = owner;
    struct session_command *c;
    bool there;
    int r = look(ctl, s);

    if (r < 0)
        return as_absent(r);
    lock_take(&s->sessions->lock);
    there = command_locked(s, name) != NULL;
    lock_drop(&s->sessions->lock);
    if (!there)
        return -ENOENT;
    c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    c->id = strdup(name);
    if (!c->id) {
        free(c);
        return -ENOMEM;
    }
    lock_take(&s->sessions->lock);
    c->session = s;
    s->refs++;
    lock_drop(&s->sessions->lock);
    *ret = (struct ctl_entry){.row = &session_command_row, .obj = c};
    return 0;
}

static int command_list(struct ctl *ctl, void *owner, struct ctl_list *list)
{
    struct session *s = owner;
    int r = look(ctl, s);

    if (r < 0)
        return r;
    lock_take(&s->sessions->lock);
    for (size_t i = 0; i < s->known.command_count && r == 0; i++)
        r = ctl_list_add(list, s->known.commands[i].id, &session_command_row);
    lock_drop(&s->sessions->lock);
    return r;
}

int session_command_now(struct ctl *ctl, const struct session_command *c,
                        struct daytona_command *ret)
{
    return daytona_session_command(ctl->host.sandbox, c->session->name, c->id, ret);
}

const struct ctl_dir session_commands_dir = {
    .entry = &session_command_row,
    .takes = "ID",
    .find = command_find,
    .list = command_list,
    .release = command_release,
};
