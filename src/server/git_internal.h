/* git_internal.h - what the files of the git calls share: the body, running git, its refusals. */
#ifndef SERVER_GIT_INTERNAL_H
#define SERVER_GIT_INTERNAL_H

#include "server/server_internal.h"

enum { GIT_ARGS_MAX = 14 };

struct git_json {
    char *url, *path, *username, *password, *branch, *commit_id, *name, *message, *author, *email;
    char *initial_branch, *mode, *target, *source, *remote, *key, *value, *scope, *host, *protocol;
    struct json_strings files;
    bool allow_empty, bare, fetch, overwrite, staged, worktree, set_upstream;
    int64_t depth;
};

/* Of a body or of the query. False: refused. What git would take for an option is not a value. */
bool git_load(struct request *rq, struct git_json *g);
/* As git_load, for calls that need no repository. */
bool git_load_anywhere(struct request *rq, struct git_json *g);
void git_unload(struct git_json *g);

/* args: NULL-ended. cwd NULL: within the repository g->path. The exit code or -errno. */
int git_in(struct request *rq, const struct git_json *g, const char *cwd, const char *const *args,
           const struct buf *input, struct buf *out);
#define GIT(rq, g, out, ...)                                                                       \
    git_in(rq, g, NULL, (const char *const[]){__VA_ARGS__, NULL}, NULL, out)

void git_refuse(struct request *rq, int r, const struct buf *out);
/* status without a body, or the refusal; out is done. */
void git_answer(struct request *rq, int r, struct buf *out, int status);
/* {key: [...]} with what put writes for each line of out, or the refusal; out is done. */
void git_answer_lines(struct request *rq, int r, struct buf *out, const char *key,
                      void (*put)(struct json_out *o, char *line));
/* g->files, each ended by NUL, for --pathspec-from-file=-. */
int git_name_files(const struct git_json *g, struct buf *out);

#endif
