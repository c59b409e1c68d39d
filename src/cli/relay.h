/*
 * relay.h - what goes from here to a job while its output is followed: stdin, signals, and the end
 * of its time. Threads of its own.
 */
#ifndef CLI_RELAY_H
#define CLI_RELAY_H

#include "cli/job.h"

struct relay;

/* SIGINT, SIGTERM, SIGHUP and SIGQUIT wait for a relay from now on. Before any thread is made. */
void relay_block_signals(void);

/*
 * The time begins now (0: no limit). Until relay_start, the first signal ends the program with 128
 * and its number: nothing was started yet, or nobody knows.
 */
int relay_new(int64_t timeout_ns, struct relay **ret);
/*
 * From now on signals go to the job, and a second SIGINT kills it, a third ends this program. With
 * input, stdin and its end do, too. When the time is over the job gets SIGTERM, 5 s later SIGKILL.
 */
int relay_start(struct relay *r, struct cli_job *j, bool input);
/* Ends its threads and frees it. True: the time was over before. */
bool relay_stop(struct relay *r);

#endif
