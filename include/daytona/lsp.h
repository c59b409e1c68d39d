/*
 * daytona/lsp.h - language servers in the sandbox: what an editor asks of them.
 *
 * One server for each language and project. The image must have its program:
 * typescript-language-server or pylsp. uri is "file://" and an absolute path in the sandbox. A
 * refusal has no reason on the wire: -EINVAL, and -EIO if the server does not run.
 */
#ifndef DAYTONA_LSP_H
#define DAYTONA_LSP_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct daytona_lsp {
    const char *language; /* "typescript" or "python" */
    const char *project;  /* its directory */
};

/* POST /lsp/start, /lsp/stop. */
DAYTONA_API int daytona_lsp_start(struct daytona_sandbox *sandbox, const struct daytona_lsp *lsp);
DAYTONA_API int daytona_lsp_stop(struct daytona_sandbox *sandbox, const struct daytona_lsp *lsp);
/* POST /lsp/did-open, /lsp/did-close: the server reads the file when it is opened. */
DAYTONA_API int daytona_lsp_open(struct daytona_sandbox *sandbox, const struct daytona_lsp *lsp,
                                 const char *uri);
DAYTONA_API int daytona_lsp_close(struct daytona_sandbox *sandbox, const struct daytona_lsp *lsp,
                                  const char *uri);

struct daytona_lsp_position {
    int64_t line, character; /* from 0 */
};

/* Strings are "" and kind is 0 where the server says nothing. Kinds are those of the protocol. */
struct daytona_lsp_completion {
    char *label, *detail, *insert_text, *sort_text, *filter_text;
    int64_t kind;
};
/* POST /lsp/completions of an open file. *ret is the caller's: daytona_lsp_completions_free.
 * *ret_incomplete (may be NULL): more typing may bring more. */
DAYTONA_API int daytona_lsp_completions(struct daytona_sandbox *sandbox,
                                        const struct daytona_lsp *lsp, const char *uri,
                                        const struct daytona_lsp_position *at,
                                        struct daytona_lsp_completion **ret, size_t *ret_count,
                                        bool *ret_incomplete);
DAYTONA_API void daytona_lsp_completions_free(struct daytona_lsp_completion *list, size_t count);

struct daytona_lsp_symbol {
    char *name, *uri;
    int64_t kind;
    struct daytona_lsp_position start, end;
};
/* GET /lsp/document-symbols: of one file. *ret is the caller's: daytona_lsp_symbols_free. */
DAYTONA_API int daytona_lsp_document_symbols(struct daytona_sandbox *sandbox,
                                             const struct daytona_lsp *lsp, const char *uri,
                                             struct daytona_lsp_symbol **ret, size_t *ret_count);
/* GET /lsp/workspacesymbols: of the project, by a part of the name. The same. */
DAYTONA_API int daytona_lsp_workspace_symbols(struct daytona_sandbox *sandbox,
                                              const struct daytona_lsp *lsp, const char *query,
                                              struct daytona_lsp_symbol **ret, size_t *ret_count);
DAYTONA_API void daytona_lsp_symbols_free(struct daytona_lsp_symbol *list, size_t count);

#ifdef __cplusplus
}
#endif
#endif
