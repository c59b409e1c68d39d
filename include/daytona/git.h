/*
 * daytona/git.h - git repositories in the sandbox, worked on by its daemon: no git is needed there.
 *
 * path is the repository's. -ENOENT: no such repository, branch or reference; -EACCES with auth
 * false: the git server refused the credentials, or wants some; -EEXIST: a conflict (what is made
 * exists, the work tree has changes, the push is no fast-forward).
 */
#ifndef DAYTONA_GIT_H
#define DAYTONA_GIT_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_strings {
    char **list;
    size_t count;
};
DAYTONA_API void daytona_strings_done(struct daytona_strings *strings);

/* Borrowed, and sent to the sandbox: a token with few rights is enough. */
struct daytona_git_login {
    const char *username, *password;
};

struct daytona_git_clone {
    const char *url, *path;
    const char *branch;                    /* NULL: the server's default */
    const char *commit_id;                 /* NULL, or what is then checked out, detached */
    const struct daytona_git_login *login; /* NULL: none */
    unsigned depth;                        /* 0: everything; ignored by old daemons */
    bool insecure_skip_tls;                /* believes any certificate */
};
/* POST /git/clone. Waits as long as it takes. Not repeated after a network error. */
DAYTONA_API int daytona_git_clone(struct daytona_sandbox *sandbox,
                                  const struct daytona_git_clone *clone);

struct daytona_git_file {
    char *name;               /* from the repository's root */
    char *extra;              /* the name before, of what was renamed */
    char *staging, *worktree; /* "Unmodified", "Untracked", "Modified", "Added", "Deleted", … */
};
struct daytona_git_status {
    char *current_branch;
    struct daytona_git_file *files; /* what is not as committed */
    size_t file_count;
    int64_t ahead, behind; /* commits */
    bool branch_published;
    bool detached;  /* this and the next: newer daemons; else false and "" */
    char *upstream; /* "origin/main"; "" if none */
};
DAYTONA_API void daytona_git_status_done(struct daytona_git_status *status);
/* GET /git/status. The caller calls daytona_git_status_done. */
DAYTONA_API int daytona_git_status(struct daytona_sandbox *sandbox, const char *path,
                                   struct daytona_git_status *ret);

struct daytona_git_commit_info {
    char *hash, *author, *email, *message;
    char *timestamp; /* ISO 8601 */
};
/* GET /git/history: all of it, newest first. *ret is the caller's: daytona_git_history_free. */
DAYTONA_API int daytona_git_history(struct daytona_sandbox *sandbox, const char *path,
                                    struct daytona_git_commit_info **ret, size_t *ret_count);
DAYTONA_API void daytona_git_history_free(struct daytona_git_commit_info *list, size_t count);

/* GET /git/branches. The caller calls daytona_strings_done. */
DAYTONA_API int daytona_git_branches(struct daytona_sandbox *sandbox, const char *path,
                                     struct daytona_strings *ret);
/* POST /git/branches: makes it and checks it out. */
DAYTONA_API int daytona_git_create_branch(struct daytona_sandbox *sandbox, const char *path,
                                          const char *name);
/* DELETE /git/branches. */
DAYTONA_API int daytona_git_delete_branch(struct daytona_sandbox *sandbox, const char *path,
                                          const char *name);
/* POST /git/checkout: a branch or the hash of a commit. */
DAYTONA_API int daytona_git_checkout(struct daytona_sandbox *sandbox, const char *path,
                                     const char *branch);
/* POST /git/add. "." is everything. */
DAYTONA_API int daytona_git_add(struct daytona_sandbox *sandbox, const char *path,
                                const char *const *files, size_t count);

struct daytona_git_commit {
    const char *path, *message;
    const char *author, *email;
    bool allow_empty;
};
/* POST /git/commit. *ret_hash is a string the caller frees; may be NULL. */
DAYTONA_API int daytona_git_commit(struct daytona_sandbox *sandbox,
                                   const struct daytona_git_commit *commit, char **ret_hash);
/* POST /git/push, /git/pull, with where the branch comes from. login NULL: none. Nothing to do is a
 * success. */
DAYTONA_API int daytona_git_push(struct daytona_sandbox *sandbox, const char *path,
                                 const struct daytona_git_login *login);
DAYTONA_API int daytona_git_pull(struct daytona_sandbox *sandbox, const char *path,
                                 const struct daytona_git_login *login);

/*
 * What follows is known to newer daemons only: -EOPNOTSUPP from others. Strings that are NULL are
 * the service's default.
 */

/* Borrowed. Older daemons ignore all but path and login. */
struct daytona_git_sync {
    const char *path;
    const char *remote, *branch; /* NULL: those of the branch that is checked out */
    const struct daytona_git_login *login;
    bool set_upstream; /* push: what is pushed follows that branch from then on */
};
/* POST /git/push, /git/pull. */
DAYTONA_API int daytona_git_push_to(struct daytona_sandbox *sandbox,
                                    const struct daytona_git_sync *push);
DAYTONA_API int daytona_git_pull_from(struct daytona_sandbox *sandbox,
                                      const struct daytona_git_sync *pull);

/* POST /git/init: a repository at path, which is made if need be. */
DAYTONA_API int daytona_git_init(struct daytona_sandbox *sandbox, const char *path, bool bare,
                                 const char *initial_branch);

struct daytona_git_reset {
    const char *path;
    const char *mode;         /* "soft", "mixed", "hard", "merge", "keep" */
    const char *target;       /* a commit; NULL: HEAD */
    const char *const *files; /* only these, and no mode; NULL: all */
    size_t file_count;
};
/* POST /git/reset. */
DAYTONA_API int daytona_git_reset(struct daytona_sandbox *sandbox,
                                  const struct daytona_git_reset *reset);

struct daytona_git_restore {
    const char *path;
    const char *const *files; /* at least one */
    size_t file_count;
    const char *source;    /* a commit; NULL: the index, or HEAD for the index */
    bool staged, worktree; /* where to; neither: the work tree */
};
/* POST /git/restore: files as they were. */
DAYTONA_API int daytona_git_restore(struct daytona_sandbox *sandbox,
                                    const struct daytona_git_restore *restore);

struct daytona_git_remote {
    char *name, *url;
};
/* GET /git/remotes. *ret is the caller's: daytona_git_remotes_free. */
DAYTONA_API int daytona_git_remotes(struct daytona_sandbox *sandbox, const char *path,
                                    struct daytona_git_remote **ret, size_t *ret_count);
DAYTONA_API void daytona_git_remotes_free(struct daytona_git_remote *list, size_t count);

struct daytona_git_remote_add {
    const char *path, *name, *url;
    bool fetch;     /* its branches, at once */
    bool overwrite; /* one of that name; else -EEXIST */
};
/* POST /git/remotes. */
DAYTONA_API int daytona_git_remote_add(struct daytona_sandbox *sandbox,
                                       const struct daytona_git_remote_add *add);

/*
 * GET and POST /git/config, POST /git/config/user. scope "local" (needs path), "global" or
 * "system"; NULL: local with a path, else global. *ret is a string the caller frees. -ENODATA: it
 * is not set.
 */
DAYTONA_API int daytona_git_config_get(struct daytona_sandbox *sandbox, const char *path,
                                       const char *scope, const char *key, char **ret);
DAYTONA_API int daytona_git_config_set(struct daytona_sandbox *sandbox, const char *path,
                                       const char *scope, const char *key, const char *value);
DAYTONA_API int daytona_git_configure_user(struct daytona_sandbox *sandbox, const char *path,
                                           const char *scope, const char *name, const char *email);
/*
 * POST /git/credentials: from now on git in the sandbox uses login at host (NULL: github.com) by
 * protocol (NULL: https). The password is stored there, readable by what runs in the sandbox.
 */
DAYTONA_API int daytona_git_authenticate(struct daytona_sandbox *sandbox,
                                         const struct daytona_git_login *login, const char *host,
                                         const char *protocol);

#ifdef __cplusplus
}
#endif
#endif
