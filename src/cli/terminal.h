/* terminal.h - the user's own terminal: raw while a remote one is shown in it. One at a time. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <stdbool.h>

/*
 * Bytes go through as they are typed, signal keys too. What was set before comes back with
 * terminal_restore, and when the process dies of a fault of its own. 0 or -errno; -ENOTTY.
 */
int terminal_raw(int fd);
void terminal_restore(void); /* any number of times */

/* False: fd is no terminal, or does not know its size. */
bool terminal_size(int fd, unsigned *ret_cols, unsigned *ret_rows);

/*
 * Asks for a line on the controlling terminal. A secret is not shown while it is typed. *ret is the
 * caller's; wipe it if it is secret. -ENXIO: there is no terminal; -ECANCELED: no line came.
 */
int terminal_ask(const char *question, bool secret, char **ret);

#endif
