/* daytonafs git clone|status|branches|checkout|add|commit|push|pull */
#include "cli/login.h"
#include "cli/site.h"

#include "util/array.h"
#include "util/path.h"
#include "util/text.h"
#include "wire/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { ANSWER_MAX = 256 << 20 };

struct repo {
    const struct cli *cli;
    struct site site;
    char *path;  /* as the sandbox takes it */
    char *below; /* in it, where the user is: "" or "a/b" */
};

/* ---- which repository ---- */

static bool has_git(const char *mount, const char *below)
{
    char *dir = path_join(mount, below), *git = dir ? path_join(dir, ".git") : NULL;
    struct stat st;
    const bool there = git && lstat(git, &st) == 0;

    free(git);
    free(dir);
    return there;
}

/*
 * The daemon wants a repository's root, and people stand somewhere below it: of a path in a mount,
 * the nearest directory up to the mount's root that has a .git. None: that path, and the daemon
 * says what it thinks of it.
 */
static int find_root(struct repo *repo)
{
    const struct target *t = &repo->site.target;
    char *root = strdup(t->rest), *cut;

    while (root && *root && !has_git(t->mount.dir, root)) {
        cut = strrchr(root, '/');
        *(cut ? cut : root) = '\0';
    }
    if (!root || (!*root && !has_git(t->mount.dir, root))) {
        free(root);
        root = strdup(t->rest);
    }
    if (root) {
        const size_t n = strlen(root);

        repo->below = strdup(t->rest + n + (n > 0 && t->rest[n] == '/'));
        repo->path = path_resolve(t->mount.path, root);
    }
    free(root);
    return repo->path && repo->below ? 0 : -ENOMEM;
}

static int open_repo(struct repo *repo, const struct cli *cli, const char *word)
{
    const char *wanted = cli_has(cli, "repo") ? cli_value(cli, "repo") : NULL;
    int r;

    repo->cli = cli;
    r = site_open(&repo->site, cli, word, true);
    if (r != EXITCODE_OK)
        return r;
    if (repo->site.target.mounted && !wanted) {
        r = find_root(repo);
    } else {
        repo->path = site_path(&repo->site, wanted);
        repo->below = strdup("");
        r = repo->path && repo->below ? 0 : -ENOMEM;
    }
    return r < 0 ? cli_fail_errno(r, "cannot look for the repository") : EXITCODE_OK;
}

static void close_repo(struct repo *repo)
{
    site_done(&repo->site);
    free(repo->path);
    free(repo->below);
}

static int check(const struct repo *repo, int err)
{
    return site_check(&repo->site, err, repo->cli->command->name);
}

/* The optional first operand of those that have none or `own` of their own behind it. */
static const char *target_word(const struct cli *cli, int own)
{
    return cli->argc > own ? cli->argv[0] : NULL;
}

/* ---- credentials ---- */

typedef int (*with_login)(struct repo *repo, const struct daytona_git_login *login);

/* Asks a person only if the server wants something, or --login says that it will. */
static int call_with_login(struct repo *repo, with_login call, const char *server)
{
    struct login login;
    struct daytona_git_login sent;
    int r = login_from_environment(&login);

    if (r == 0 && !login.password && cli_has(repo->cli, "login")) {
        r = login_ask(&login, server);
        if (r < 0)
            return cli_fail(EXITCODE_AUTH, "a password is needed, and there is nobody to ask");
    }
    sent = (struct daytona_git_login){login.username, login.password};
    if (r == 0)
        r = call(repo, login.password ? &sent : NULL);
    if (r == -EACCES && !daytona_last_error()->auth && !login.password &&
        login_ask(&login, server) == 0) {
        sent = (struct daytona_git_login){login.username, login.password};
        r = call(repo, &sent);
    }
    if (r == -EACCES && !daytona_last_error()->auth && !login.password) {
        r = cli_fail(EXITCODE_AUTH,
                     "the git server wants a password: set DAYTONAFS_GIT_PASSWORD (and "
                     "DAYTONAFS_GIT_USERNAME), or run this in a terminal");
    } else {
        r = check(repo, r);
    }
    login_done(&login);
    return r;
}

/* ---- clone ---- */

static bool is_url(const char *word)
{
    return strstr(word, "://") || (strchr(word, '@') && strchr(word, ':'));
}

/* "https://user:secret@host/…" */
static bool has_secret(const char *url)
{
    const char *host = strstr(url, "://"), *at, *colon;

    if (!host)
        return false;
    host += 3;
    at = memchr(host, '@', strcspn(host, "/"));
    colon = at ? memchr(host, ':', (size_t)(at - host)) : NULL;
    return colon && colon + 1 < at;
}

/* What git makes of a URL: its last part without ".git". A new string. */
static char *name_of_clone(const char *url)
{
    size_t n = strlen(url);
    const char *begin;

    while (n > 0 && url[n - 1] == '/')
        n--;
    if (n > 4 && memcmp(url + n - 4, ".git", 4) == 0)
        n -= 4;
    for (begin = url + n; begin > url && begin[-1] != '/' && begin[-1] != ':'; begin--)
        ;
    return strndup(begin, (size_t)(url + n - begin));
}

static int call_clone(struct repo *repo, const struct daytona_git_login *login)
{
    const struct cli *cli = repo->cli;
    const int at = is_url(cli->argv[0]) ? 0 : 1;
    const char *depth = cli_value(cli, "depth");
    const struct daytona_git_clone clone = {
        .url = cli->argv[at],
        .path = repo->path,
        .branch = cli_value(cli, "branch"),
        .commit_id = cli_value(cli, "commit"),
        .login = login,
        .depth = depth ? (unsigned)strtoul(depth, NULL, 10) : 0,
    };

    return daytona_git_clone(repo->site.api.sandbox, &clone);
}

static int check_clone(const struct cli *cli, int at)
{
    const char *depth = cli_value(cli, "depth");

    if (at == cli->argc || !is_url(cli->argv[at]))
        return cli_fail_usage(cli, "'%s' is no URL", cli->argv[cli->argc > 1 ? 1 : 0]);
    if (cli->argc > at + 2)
        return cli_fail_usage(cli, "one argument too many: '%s'", cli->argv[at + 2]);
    if (has_secret(cli->argv[at]))
        return cli_fail_usage(cli, "a password in a URL is seen by everybody on this machine: set "
                                   "DAYTONAFS_GIT_PASSWORD instead");
    if (depth && (strspn(depth, "0123456789") != strlen(depth) || atoi(depth) < 1))
        return cli_fail_usage(cli, "--depth=%s is no number above 0", depth);
    return EXITCODE_OK;
}

static int run_clone(struct cli *cli)
{
    const int at = is_url(cli->argv[0]) ? 0 : 1;
    struct repo repo = {.cli = cli};
    char *dir = NULL;
    int r = check_clone(cli, at);

    if (r != EXITCODE_OK)
        return r;
    r = site_open(&repo.site, cli, at == 1 ? cli->argv[0] : NULL, true);
    if (r == EXITCODE_OK) {
        dir = cli->argc > at + 1 ? strdup(cli->argv[at + 1]) : name_of_clone(cli->argv[at]);
        repo.path = dir ? site_path(&repo.site, dir) : NULL;
        r = repo.path ? call_with_login(&repo, call_clone, cli->argv[at])
                      : cli_fail_errno(-ENOMEM, "cannot clone");
        site_changed(&repo.site);
    }
    if (r == EXITCODE_OK)
        printf("%s\n", repo.path);
    free(dir);
    close_repo(&repo);
    return r;
}

/* ---- what only looks ---- */

static char letter(const char *word)
{
    static const struct {
        const char *word;
        char letter;
    } letters[] = {
        {"Unmodified", ' '}, {"Untracked", '?'}, {"Modified", 'M'}, {"Added", 'A'},
        {"Deleted", 'D'},    {"Renamed", 'R'},   {"Copied", 'C'},   {"Updated but unmerged", 'U'},
    };

    for (size_t i = 0; i < ARRAY_LEN(letters); i++) {
        if (strcmp(letters[i].word, word) == 0)
            return letters[i].letter;
    }
    return '!';
}

/* As `git status --short --branch` has it. */
static int put_status(struct buf *out, const struct daytona_git_status *s)
{
    int r = buf_puts(out, "## ");

    if (r == 0)
        r = text_plain(out, s->current_branch);
    if (r == 0 && !s->branch_published)
        r = buf_puts(out, " (not published)");
    if (r == 0 && (s->ahead > 0 || s->behind > 0))
        r = buf_printf(out, " [ahead %" PRId64 ", behind %" PRId64 "]", s->ahead, s->behind);
    for (size_t i = 0; r == 0 && i < s->file_count; i++) {
        const struct daytona_git_file *f = &s->files[i];

        r = buf_printf(out, "\n%c%c ", letter(f->staging), letter(f->worktree));
        if (r == 0 && *f->extra)
            r = text_plain(out, f->extra);
        if (r == 0 && *f->extra)
            r = buf_puts(out, " -> ");
        if (r == 0)
            r = text_plain(out, f->name);
    }
    return r == 0 ? buf_putc(out, '\n') : r;
}

static void put_text_member(struct json_out *o, const char *key, const char *value)
{
    json_key(o, key);
    json_string(o, value);
}

static int put_status_json(struct buf *out, const struct daytona_git_status *s)
{
    struct json_out o = {.buf = out};

    json_open(&o, '{');
    put_text_member(&o, "branch", s->current_branch);
    json_key(&o, "published");
    json_bool(&o, s->branch_published);
    json_key(&o, "ahead");
    json_int(&o, s->ahead);
    json_key(&o, "behind");
    json_int(&o, s->behind);
    json_key(&o, "files");
    json_open(&o, '[');
    for (size_t i = 0; i < s->file_count; i++) {
        json_open(&o, '{');
        put_text_member(&o, "name", s->files[i].name);
        put_text_member(&o, "from", s->files[i].extra);
        put_text_member(&o, "staging", s->files[i].staging);
        put_text_member(&o, "worktree", s->files[i].worktree);
        json_close(&o, '}');
    }
    json_close(&o, ']');
    json_close(&o, '}');
    return o.err < 0 ? o.err : buf_putc(out, '\n');
}

static int do_status(struct repo *repo)
{
    struct daytona_git_status status = {0};
    struct buf text = BUF_INIT(ANSWER_MAX);
    int r = check(repo, daytona_git_status(repo->site.api.sandbox, repo->path, &status));

    if (r != EXITCODE_OK)
        return r;
    r = cli_has(repo->cli, "json") ? put_status_json(&text, &status) : put_status(&text, &status);
    if (r < 0)
        r = cli_fail_errno(r, "cannot show the status");
    else
        fwrite(buf_str(&text), 1, text.len, stdout);
    buf_done(&text);
    daytona_git_status_done(&status);
    return r;
}

static int do_branches(struct repo *repo)
{
    static const struct cli_column columns[] = {{"BRANCH", "name", CELL_TEXT}};
    struct daytona_sandbox *sandbox = repo->site.api.sandbox;
    const char *create = cli_value(repo->cli, "create"), *gone = cli_value(repo->cli, "delete");
    struct daytona_strings branches = {0};
    struct cli_rows rows;
    int r;

    if (create && gone)
        return cli_fail_usage(repo->cli, "either --create or --delete");
    if (create || gone)
        return check(repo, create ? daytona_git_create_branch(sandbox, repo->path, create)
                                  : daytona_git_delete_branch(sandbox, repo->path, gone));
    r = check(repo, daytona_git_branches(sandbox, repo->path, &branches));
    cli_rows_init(&rows, columns, 1);
    for (size_t i = 0; r == EXITCODE_OK && i < branches.count; i++) {
        if (cli_rows_add(&rows, (const char *[]){branches.list[i]}) < 0)
            r = cli_fail_errno(-ENOMEM, "cannot list the branches");
    }
    if (r == EXITCODE_OK)
        r = cli_rows_print(&rows, cli_has(repo->cli, "json"));
    cli_rows_done(&rows);
    daytona_strings_done(&branches);
    return r;
}

/* ---- what changes something ---- */

static int do_checkout(struct repo *repo)
{
    const char *branch = repo->cli->argv[repo->cli->argc - 1];

    return check(repo, daytona_git_checkout(repo->site.api.sandbox, repo->path, branch));
}

/* The words before a "--" name a target, if there is one; the files follow. */
static int first_file(const struct cli *cli)
{
    return cli->before_dashes > 0 ? cli->before_dashes : 0;
}

static int do_add(struct repo *repo)
{
    const struct cli *cli = repo->cli;
    const size_t count = (size_t)(cli->argc - first_file(cli));
    const char *everything = ".";
    char **files = calloc(count + 1, sizeof(*files));
    char *here = path_resolve("/", repo->below);
    int r = files && here ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < count; i++) {
        char *full = path_resolve(here, cli->argv[first_file(cli) + (int)i]);

        if (full)
            files[i] = strdup(full[1] ? full + 1 : ".");
        r = files[i] ? 0 : -ENOMEM;
        free(full);
    }
    if (r < 0)
        r = cli_fail_errno(r, "cannot add");
    else if (cli_has(cli, "all"))
        r = check(repo, daytona_git_add(repo->site.api.sandbox, repo->path, &everything, 1));
    else
        r = check(repo, daytona_git_add(repo->site.api.sandbox, repo->path,
                                        (const char *const *)files, count));
    for (size_t i = 0; files && i < count; i++)
        free(files[i]);
    free(files);
    free(here);
    return r;
}

/* "Name <mail>", cut in place. */
static bool split_author(char *text, const char **name, const char **mail)
{
    char *open = strrchr(text, '<'), *end = open ? strchr(open, '>') : NULL;

    if (!end || end[1] || end == open + 1 || open == text)
        return false;
    *end = '\0';
    *mail = open + 1;
    while (open > text && open[-1] == ' ')
        open--;
    *open = '\0';
    *name = text;
    return *text;
}

/* What the user has told git on this machine; never what a repository in the sandbox says. A new
 * string, "" if there is none. */
static char *git_config(const char *command)
{
    FILE *from = popen(command, "re");
    char line[512] = "";

    if (from && !fgets(line, sizeof(line), from))
        line[0] = '\0';
    if (from)
        pclose(from);
    line[strcspn(line, "\n")] = '\0';
    return strdup(line);
}

static int make_commit(struct repo *repo, const struct daytona_git_commit *commit)
{
    char *hash = NULL;
    int r = check(repo, daytona_git_commit(repo->site.api.sandbox, commit, &hash));

    if (r == EXITCODE_OK && cli_has(repo->cli, "json"))
        printf("{\"hash\":\"%.*s\"}\n", (int)strspn(hash, "0123456789abcdef"), hash);
    else if (r == EXITCODE_OK)
        printf("%.*s\n", (int)strspn(hash, "0123456789abcdef"), hash);
    free(hash);
    return r;
}

static int do_commit(struct repo *repo)
{
    const struct cli *cli = repo->cli;
    struct daytona_git_commit commit = {
        .path = repo->path,
        .message = cli_value(cli, "message"),
        .author = getenv("GIT_AUTHOR_NAME"),
        .email = getenv("GIT_AUTHOR_EMAIL"),
        .allow_empty = cli_has(cli, "allow-empty"),
    };
    char *author = (char *)cli_value(cli, "author"); /* argv is ours to cut */
    char *name = NULL, *mail = NULL;
    int r;

    if (!commit.message || !*commit.message)
        return cli_fail_usage(cli, "a commit needs --message");
    if (author && !split_author(author, &commit.author, &commit.email))
        return cli_fail_usage(cli, "--author=%s is not NAME <MAIL>", author);
    if (!commit.author)
        commit.author = name = git_config("git config --global --get user.name 2>/dev/null");
    if (!commit.email)
        commit.email = mail = git_config("git config --global --get user.email 2>/dev/null");
    if (!commit.author || !commit.email || !*commit.author || !*commit.email)
        r = cli_fail_usage(cli, "who commits? Give --author 'NAME <MAIL>', or set GIT_AUTHOR_NAME "
                                "and GIT_AUTHOR_EMAIL, or git's user.name and user.email");
    else
        r = make_commit(repo, &commit);
    free(name);
    free(mail);
    return r;
}

static int call_push(struct repo *repo, const struct daytona_git_login *login)
{
    return daytona_git_push(repo->site.api.sandbox, repo->path, login);
}

static int call_pull(struct repo *repo, const struct daytona_git_login *login)
{
    return daytona_git_pull(repo->site.api.sandbox, repo->path, login);
}

static int do_push(struct repo *repo)
{
    return call_with_login(repo, call_push, "the repository's server");
}

static int do_pull(struct repo *repo)
{
    return call_with_login(repo, call_pull, "the repository's server");
}

/* ---- the commands ---- */

static int run_in(struct cli *cli, const char *word, int (*act)(struct repo *repo), bool changes)
{
    struct repo repo = {0};
    int r = open_repo(&repo, cli, word);

    if (r == EXITCODE_OK) {
        r = act(&repo);
        if (changes)
            site_changed(&repo.site);
    }
    close_repo(&repo);
    return r;
}

static int run_status(struct cli *cli)
{
    return run_in(cli, target_word(cli, 0), do_status, false);
}

static int run_branches(struct cli *cli)
{
    return run_in(cli, target_word(cli, 0), do_branches, true);
}

static int run_checkout(struct cli *cli)
{
    return run_in(cli, target_word(cli, 1), do_checkout, true);
}

static int run_add(struct cli *cli)
{
    const bool files = cli->argc > first_file(cli);

    if (cli->before_dashes > 1)
        return cli_fail_usage(cli, "one argument too many before --: '%s'", cli->argv[1]);
    if (cli_has(cli, "all")) {
        if (cli->argc > 1)
            return cli_fail_usage(cli, "--all takes no files");
        return run_in(cli, target_word(cli, 0), do_add, true);
    }
    if (!files)
        return cli_fail_usage(cli, "which files? --all adds everything");
    return run_in(cli, first_file(cli) ? cli->argv[0] : NULL, do_add, true);
}

static int run_commit(struct cli *cli)
{
    return run_in(cli, target_word(cli, 0), do_commit, true);
}

static int run_push(struct cli *cli)
{
    return run_in(cli, target_word(cli, 0), do_push, true);
}

static int run_pull(struct cli *cli)
{
    return run_in(cli, target_word(cli, 0), do_pull, true);
}

#define REPO_OPTION                                                                                \
    {                                                                                              \
        "repo", 'C', "DIR", "the repository in the sandbox; default: where one is"                 \
    }
#define LOGIN_OPTION                                                                               \
    {                                                                                              \
        "login", 0, NULL, "ask for a user name and a password before"                              \
    }

#define LOGIN_TEXT                                                                                 \
    "What the git server wants to know comes from DAYTONAFS_GIT_USERNAME and "                     \
    "DAYTONAFS_GIT_PASSWORD (a token will do), or is asked for in the terminal. It is sent to "    \
    "the "                                                                                         \
    "sandbox: use a token with few rights."

static const struct cli_option clone_options[] = {
    {"branch", 'b', "NAME", "this branch, instead of the server's default"},
    {"commit", 0, "HASH", "check this commit out then, on no branch"},
    {"depth", 0, "N", "only the last N commits; old daemons fetch all"},
    LOGIN_OPTION,
    {0},
};
static const struct cli_option repo_options[] = {
    REPO_OPTION,
    {0},
};
static const struct cli_option login_options[] = {
    REPO_OPTION,
    LOGIN_OPTION,
    {0},
};
static const struct cli_option branch_options[] = {
    REPO_OPTION,
    {"create", 'c', "NAME", "make a branch and check it out"},
    {"delete", 'd', "NAME", "delete a branch"},
    {0},
};
static const struct cli_option add_options[] = {
    REPO_OPTION,
    {"all", 'A', NULL, "everything"},
    {0},
};
static const struct cli_option commit_options[] = {
    REPO_OPTION,
    {"message", 'm', "TEXT", "what it is about"},
    {"author", 0, "NAME <MAIL>",
     "default: $GIT_AUTHOR_NAME and $GIT_AUTHOR_EMAIL, or as git knows you"},
    {"allow-empty", 0, NULL, "even if nothing has changed"},
    {0},
};

const struct cli_command cmd_git_clone = {
    .name = "git clone",
    .run = run_clone,
    .usage = "[MOUNT|SANDBOX] URL [DIR]",
    .summary = "clone a repository in the sandbox; prints where it is",
    .text = "The sandbox fetches it: no git is needed there, and nothing passes through this "
            "machine. " LOGIN_TEXT,
    .options = clone_options,
    .flags = CLI_API,
    .min = 1,
    .max = 3,
};
const struct cli_command cmd_git_status = {
    .name = "git status",
    .run = run_status,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "what is not as it was committed",
    .text = "As `git status --short --branch` prints it, looked at where the files are.",
    .options = repo_options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};
const struct cli_command cmd_git_branches = {
    .name = "git branches",
    .run = run_branches,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "list branches, or make or delete one",
    .options = branch_options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};
const struct cli_command cmd_git_checkout = {
    .name = "git checkout",
    .run = run_checkout,
    .usage = "[MOUNT|SANDBOX] BRANCH|HASH",
    .summary = "check out a branch or a commit",
    .options = repo_options,
    .flags = CLI_API,
    .min = 1,
    .max = 2,
};
const struct cli_command cmd_git_add = {
    .name = "git add",
    .run = run_add,
    .usage = "[MOUNT|SANDBOX --] FILE...",
    .summary = "take files into the next commit",
    .text = "Files are below the repository, or where one stands in it.",
    .options = add_options,
    .flags = CLI_API,
    .max = -1,
};
const struct cli_command cmd_git_commit = {
    .name = "git commit",
    .run = run_commit,
    .usage = "[MOUNT|SANDBOX] -m TEXT",
    .summary = "commit what was added; prints the hash",
    .options = commit_options,
    .flags = CLI_API | CLI_JSON,
    .max = 1,
};
const struct cli_command cmd_git_push = {
    .name = "git push",
    .run = run_push,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "send commits to the repository's server",
    .text = LOGIN_TEXT,
    .options = login_options,
    .flags = CLI_API,
    .max = 1,
};
const struct cli_command cmd_git_pull = {
    .name = "git pull",
    .run = run_pull,
    .usage = "[MOUNT|SANDBOX]",
    .summary = "fetch and take over what is new on the repository's server",
    .text = LOGIN_TEXT,
    .options = login_options,
    .flags = CLI_API,
    .max = 1,
};
