/* tally.h - a remote that counts what it is asked, and what it answers can be bent. Tests only. */
#ifndef TESTS_TALLY_H
#define TESTS_TALLY_H

#include "remote/remote.h"

struct tally;

struct tally_counts {
    unsigned all; /* requests but info */
    unsigned tree, changes, background, data;
    size_t paths;     /* of the last changes or tree */
    int64_t since_ns; /* of the last changes */
};

/* plain: it does not say that it can do trees and changes. Takes inner. */
struct remote *tally_new(struct remote *inner, bool plain, struct tally **ret);
/* Since the last call. */
struct tally_counts tally_take(struct tally *t);
/* Answers seem to be of another start of the sandbox (unless NULL), and of a clock that is off. */
void tally_bend(struct tally *t, const char *boot, int64_t clock_off_ns);
/* The host seems to be up for so much less. */
void tally_lose(struct tally *t, int64_t uptime_ns);
/* fn, of which there is one, is called when a command is to be run, a file to be fetched, or names
 * to be exchanged or renamed, before it is. */
void tally_on_exec(struct tally *t, void (*fn)(void *arg), void *arg);
void tally_on_fetch(struct tally *t, void (*fn)(void *arg), void *arg);
void tally_on_exchange(struct tally *t, void (*fn)(void *arg), void *arg);
void tally_on_rename(struct tally *t, void (*fn)(void *arg), void *arg);
/* While it is held, trees and changes wait with their answer. */
void tally_hold(struct tally *t, bool hold);
void tally_await(struct tally *t, unsigned waiting);

#endif
