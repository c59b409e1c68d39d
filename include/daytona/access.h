/*
 * daytona/access.h - ways into a sandbox from outside: ports, preview links, ssh, file links.
 *
 * Whoever has a token or a signed link gets in: treat them as passwords.
 */
#ifndef DAYTONA_ACCESS_H
#define DAYTONA_ACCESS_H

#include "daytona/sandbox.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Toolbox GET /port: listening TCP ports. *ret is an array that the caller frees. */
DAYTONA_API int daytona_ports_list(struct daytona_sandbox *sandbox, uint16_t **ret,
                                   size_t *ret_count);
/* Toolbox GET /port/{port}/in-use: 1 yes, 0 no. 3000 to 9999, else -EINVAL. */
DAYTONA_API int daytona_ports_in_use(struct daytona_sandbox *sandbox, uint16_t port);

struct daytona_preview {
    char *url;
    char *token; /* for the header X-Daytona-Preview-Token; of a signed link it is in the url */
};
DAYTONA_API void daytona_preview_done(struct daytona_preview *preview);

/* GET /sandbox/{id}/ports/{port}/preview-url. The caller calls daytona_preview_done. */
DAYTONA_API int daytona_preview_url(struct daytona_sandbox *sandbox, uint16_t port,
                                    struct daytona_preview *ret);
/* GET …/signed-preview-url: a link that needs nothing else. expires_s 1 to 86 400; 0: 60. */
DAYTONA_API int daytona_preview_signed_url(struct daytona_sandbox *sandbox, uint16_t port,
                                           uint32_t expires_s, struct daytona_preview *ret);
/* POST …/signed-preview-url/{token}/expire: the link ends now. */
DAYTONA_API int daytona_preview_expire(struct daytona_sandbox *sandbox, uint16_t port,
                                       const char *token);

struct daytona_ssh {
    char *token;      /* the user name */
    char *command;    /* "ssh -p 22 TOKEN@HOST" */
    char *expires_at; /* ISO 8601; for new connections */
};
DAYTONA_API void daytona_ssh_done(struct daytona_ssh *ssh);
/* POST /sandbox/{id}/ssh-access; revokes every earlier token of the sandbox. minutes 0: 60. The
 * caller calls daytona_ssh_done. */
DAYTONA_API int daytona_ssh_create(struct daytona_sandbox *sandbox, uint32_t minutes,
                                   struct daytona_ssh *ret);
/* DELETE /sandbox/{id}/ssh-access. token NULL: all. */
DAYTONA_API int daytona_ssh_revoke(struct daytona_sandbox *sandbox, const char *token);

/* GET /sandbox/ssh-access/validate: 1 the token lets in, 0 it does not. *ret_id (may be NULL) is
 * the sandbox's id, a string the caller frees; only with 1. -EACCES: most keys may not ask. */
DAYTONA_API int daytona_ssh_validate(struct daytona_client *client, const char *token,
                                     char **ret_id);

/*
 * Links to one file that need no key: GET to download, POST a multipart part "file" to upload. The
 * path is absolute. ttl_s 0: it never ends; else it is valid from now on for so long, by this
 * machine's clock. Asks GET /sandbox/{id}/signing-key. *ret is a string the caller frees.
 * -EOPNOTSUPP: the service is too old for them.
 */
DAYTONA_API int daytona_files_download_url(struct daytona_sandbox *sandbox, const char *path,
                                           uint32_t ttl_s, char **ret);
DAYTONA_API int daytona_files_upload_url(struct daytona_sandbox *sandbox, const char *path,
                                         uint32_t ttl_s, char **ret);
/* POST /sandbox/{id}/signing-key/rotate: ends all links to files of the sandbox. */
DAYTONA_API int daytona_files_revoke_urls(struct daytona_sandbox *sandbox);

#ifdef __cplusplus
}
#endif
#endif
