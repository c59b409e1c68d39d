/* mounts.h - which file systems are seen below a directory. */
#ifndef HELPER_MOUNTS_H
#define HELPER_MOUNTS_H

#include <stdint.h>

/*
 * A number that is another one when something was mounted or unmounted at, above or below root (a
 * descriptor of a directory): such a change moves no time of any file. 0 where the kernel does not
 * tell. The numbers that mounts have are not part of it: a sandbox that gives each command a view
 * of its own gives them new ones each time.
 */
uint32_t mounts_around(int root);

#endif
