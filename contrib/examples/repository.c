/*
 * repository - git in a sandbox that needs no git. Credentials come from the environment, GIT_USER
 * and GIT_PASSWORD, never from the arguments, which others on this machine can read.
 */
#include "example.h"

static const struct daytona_git_login *login(void)
{
    static struct daytona_git_login l;

    l = (struct daytona_git_login){.username = getenv("GIT_USER"),
                                   .password = getenv("GIT_PASSWORD")};
    return l.username && l.password ? &l : NULL;
}

static int clone(const struct example *e)
{
    const struct daytona_git_clone c = {
        .url = e->argv[0], .path = e->argv[1], .branch = example_arg(e, 2), .login = login()};

    return daytona_git_clone(e->sandbox, &c);
}

static int init(const struct example *e)
{
    return daytona_git_init(e->sandbox, e->argv[0], false, "main");
}

/* What is not as committed. */
static int status(const struct example *e)
{
    struct daytona_git_status s = {0};
    int r = daytona_git_status(e->sandbox, e->argv[0], &s);

    if (r == 0)
        printf("on %s\n", s.current_branch);
    for (size_t i = 0; i < s.file_count; i++)
        printf("%s %s %s\n", s.files[i].staging, s.files[i].worktree, s.files[i].name);
    daytona_git_status_done(&s);
    return r;
}

static int history(const struct example *e)
{
    struct daytona_git_commit_info *v;
    size_t count;
    int r = daytona_git_history(e->sandbox, e->argv[0], &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%.10s %s: %s\n", v[i].hash, v[i].author, v[i].message);
    daytona_git_history_free(v, count);
    return 0;
}

/* ---- branches ---- */

static int branches(const struct example *e)
{
    struct daytona_strings names = {0};
    int r = daytona_git_branches(e->sandbox, e->argv[0], &names);

    for (size_t i = 0; i < names.count; i++)
        printf("%s\n", names.list[i]);
    daytona_strings_done(&names);
    return r;
}

static int branch(const struct example *e)
{
    return daytona_git_create_branch(e->sandbox, e->argv[0], e->argv[1]);
}

static int unbranch(const struct example *e)
{
    return daytona_git_delete_branch(e->sandbox, e->argv[0], e->argv[1]);
}

static int checkout(const struct example *e)
{
    return daytona_git_checkout(e->sandbox, e->argv[0], e->argv[1]);
}

/* ---- commits ---- */

static int add(const struct example *e)
{
    return daytona_git_add(e->sandbox, e->argv[0], (const char *const *)e->argv + 1,
                           (size_t)e->argc - 1);
}

static int commit(const struct example *e)
{
    const struct daytona_git_commit c = {
        .path = e->argv[0], .message = e->argv[1], .author = e->argv[2], .email = e->argv[3]};
    char *hash = NULL;
    int r = daytona_git_commit(e->sandbox, &c, &hash);

    return example_print(r, hash);
}

/* mode "soft", "mixed", "hard" … */
static int reset(const struct example *e)
{
    const struct daytona_git_reset reset = {
        .path = e->argv[0], .mode = e->argv[1], .target = example_arg(e, 2)};

    return daytona_git_reset(e->sandbox, &reset);
}

/* Files as they were committed. */
static int restore(const struct example *e)
{
    const struct daytona_git_restore restore = {.path = e->argv[0],
                                                .files = (const char *const *)e->argv + 1,
                                                .file_count = (size_t)e->argc - 1,
                                                .source = "HEAD",
                                                .staged = true,
                                                .worktree = true};

    return daytona_git_restore(e->sandbox, &restore);
}

/* ---- other repositories ---- */

static int push(const struct example *e)
{
    return daytona_git_push(e->sandbox, e->argv[0], login());
}

static int pull(const struct example *e)
{
    return daytona_git_pull(e->sandbox, e->argv[0], login());
}

static struct daytona_git_sync sync_with(const struct example *e)
{
    return (struct daytona_git_sync){.path = e->argv[0],
                                     .remote = e->argv[1],
                                     .branch = e->argv[2],
                                     .login = login(),
                                     .set_upstream = true};
}

static int push_to(const struct example *e)
{
    const struct daytona_git_sync sync = sync_with(e);

    return daytona_git_push_to(e->sandbox, &sync);
}

static int pull_from(const struct example *e)
{
    const struct daytona_git_sync sync = sync_with(e);

    return daytona_git_pull_from(e->sandbox, &sync);
}

static int remotes(const struct example *e)
{
    struct daytona_git_remote *v;
    size_t count;
    int r = daytona_git_remotes(e->sandbox, e->argv[0], &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", v[i].name, v[i].url);
    daytona_git_remotes_free(v, count);
    return 0;
}

static int remote(const struct example *e)
{
    const struct daytona_git_remote_add add = {
        .path = e->argv[0], .name = e->argv[1], .url = e->argv[2]};

    return daytona_git_remote_add(e->sandbox, &add);
}

/* ---- settings ---- */

static int get(const struct example *e)
{
    char *value = NULL;
    int r = daytona_git_config_get(e->sandbox, e->argv[0], NULL, e->argv[1], &value);

    return example_print(r, value);
}

static int set(const struct example *e)
{
    return daytona_git_config_set(e->sandbox, e->argv[0], NULL, e->argv[1], e->argv[2]);
}

static int user(const struct example *e)
{
    return daytona_git_configure_user(e->sandbox, e->argv[0], NULL, e->argv[1], e->argv[2]);
}

/* From now on git in the sandbox has the credentials, and so has whatever runs there. */
static int trust(const struct example *e)
{
    if (!login()) {
        fprintf(stderr, "set GIT_USER and GIT_PASSWORD\n");
        return 2;
    }
    return daytona_git_authenticate(e->sandbox, login(), e->argv[0], NULL);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"clone", 2, 3, "URL PATH [BRANCH]", clone},
        {"init", 1, 1, "PATH", init},
        {"status", 1, 1, "PATH", status},
        {"history", 1, 1, "PATH", history},
        {"branches", 1, 1, "PATH", branches},
        {"branch", 2, 2, "PATH NAME", branch},
        {"unbranch", 2, 2, "PATH NAME", unbranch},
        {"checkout", 2, 2, "PATH NAME", checkout},
        {"add", 2, -1, "PATH FILE...", add},
        {"commit", 4, 4, "PATH MESSAGE AUTHOR EMAIL", commit},
        {"reset", 2, 3, "PATH MODE [COMMIT]", reset},
        {"restore", 2, -1, "PATH FILE...", restore},
        {"push", 1, 1, "PATH", push},
        {"pull", 1, 1, "PATH", pull},
        {"push-to", 3, 3, "PATH REMOTE BRANCH", push_to},
        {"pull-from", 3, 3, "PATH REMOTE BRANCH", pull_from},
        {"remotes", 1, 1, "PATH", remotes},
        {"remote", 3, 3, "PATH NAME URL", remote},
        {"get", 2, 2, "PATH KEY", get},
        {"set", 3, 3, "PATH KEY VALUE", set},
        {"user", 3, 3, "PATH NAME EMAIL", user},
        {"trust", 1, 1, "HOST", trust},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
