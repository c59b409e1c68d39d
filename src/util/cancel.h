/*
 * cancel.h - the right to stop an operation while it waits.
 *
 * Whoever starts an operation makes a struct cancel, binds it to the thread that works on it, and
 * may fire it from any other thread. Everything below that may wait (http, retries, sleeps) looks
 * at cancel_bound() and ends with -EINTR. So calls need no extra argument, and code that does not
 * wait knows nothing of it.
 */
#ifndef UTIL_CANCEL_H
#define UTIL_CANCEL_H

#include <stdbool.h>
#include <stdint.h>

struct cancel;

struct cancel *cancel_new(void); /* one reference; NULL without memory */
struct cancel *cancel_ref(struct cancel *c);
struct cancel *cancel_unref(struct cancel *c); /* returns NULL; takes NULL */

void cancel_fire(struct cancel *c);  /* any thread, any number of times; takes NULL */
bool cancel_fired(struct cancel *c); /* false for NULL */

/* Makes c (or NULL) the calling thread's; returns the one before. No reference moves. */
struct cancel *cancel_bind(struct cancel *c);
struct cancel *cancel_bound(void); /* NULL: the thread's work cannot be stopped */

/*
 * While hooked, fn(arg) runs once when c fires, at once if it has. It runs under c's own mutex: it
 * must be quick and must not call cancel_*. After cancel_unhook, by the same thread, returned it
 * does not run. A thread has one hook at a time, as it waits for one thing at a time; any number of
 * threads may have one at the same c. Both take c NULL and then do nothing.
 */
void cancel_hook(struct cancel *c, void (*fn)(void *arg), void *arg);
void cancel_unhook(struct cancel *c);

/* Sleeps; -EINTR as soon as the bound cancel fires, else 0. */
int cancel_sleep(int64_t ns);

#endif
