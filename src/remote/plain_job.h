/*
 * plain_job.h - jobs without the helper, for plain_job*.c.
 *
 * A job is a folder in the sandbox, and what runs it is the one command of a Daytona session of its
 * own, which goes when somebody learns of the end. One that passes needs none where setsid can
 * fork: its start, its output and its end are one request. Below /tmp/.daytonafs-jobs-UID, for the
 * user only:
 *
 *    last         the highest number given
 *    N/meta       TOKEN STARTED NAME LINE CWD, one line, the last three in base64, "-" empty;
 *                 without it N is not there yet
 *    N/passing    it goes some minutes after its end
 *    N/in, eof    stdin so far; it is all. Without in stdin is empty
 *    N/run        made by whoever begins to run it: once, however often it is handed over
 *    N/session    the session is to be deleted; whoever takes this away does
 *    N/pid        its /proc/PID/stat as it began
 *    N/out, err   what it has printed
 *    N/both       the two in the order in which they were seen; seen: how much of each it has
 *    N/code       its exit code: it is over
 */
#ifndef REMOTE_PLAIN_JOB_H
#define REMOTE_PLAIN_JOB_H

#include "remote/job.h"
#include "remote/shcmd.h"

enum { PLAIN_JOB_SCRIPT_MAX = 45 * 1000 }; /* bytes of a script that travel in the command */

struct plain_job_status {
    struct remote_job job;
    bool session;    /* to be deleted */
    size_t out, err; /* bytes of them that follow */
};

/* ---- plain_job_text.c: the scripts. They answer with a line in part 0. ---- */

/* Finds the one of this token or makes one. Says: N, and 1 if it was begun. */
void plain_job_add_make(struct shcmd *s, uint32_t uid, const struct remote_job_start *start);
/* After it, at once: runs one that is not begun, if that can be done without a session. Says N and
 * 1 if it is begun, and then, in parts 1 and 2, a status and what was read. */
void plain_job_add_launch(struct shcmd *s, uint32_t uid, const struct remote_job_start *start,
                          const char *shell, const struct remote_job_read *read);
/* Runs it, for as long as it takes. file: the script is in N/script, not in start. */
void plain_job_add_run(struct shcmd *s, uint32_t uid, uint64_t id,
                       const struct remote_job_start *start, const char *shell, bool file);
/* Says a status, and in part 1 what was read. */
void plain_job_add_read(struct shcmd *s, uint32_t uid, uint64_t id,
                        const struct remote_job_read *read);
/* Says a status. len bytes of it are sent. */
void plain_job_add_write(struct shcmd *s, uint32_t uid, uint64_t id,
                         const struct remote_job_write *write, size_t len);
void plain_job_add_kill(struct shcmd *s, uint32_t uid, uint64_t id, int signal);
/* Says 1 if there is a session to delete. */
void plain_job_add_remove(struct shcmd *s, uint32_t uid, uint64_t id);
/* Says a line for each, and in part 1 one for each of their files. */
void plain_job_add_list(struct shcmd *s, uint32_t uid);

/* ---- plain_job_parse.c: what they say. Pure; -EBADMSG. ---- */

int plain_job_parse_made(const char *text, uint64_t *ret_id, bool *ret_begun);
int plain_job_parse_status(const char *text, uint64_t id, struct plain_job_status *ret);
/* *ret is the caller's, with the strings of its jobs. */
int plain_job_parse_list(const char *lines, const char *files, struct plain_job_status **ret,
                         size_t *ret_count);

#endif
