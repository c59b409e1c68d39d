/* mounts.h - which file systems are seen below a directory. */
#ifndef HELPER_MOUNTS_H
#define HELPER_MOUNTS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * A number that is another one when something was mounted or unmounted at, above or below root (a
 * descriptor of a directory): such a change moves no time of any file. 0 where the kernel does not
 * tell. The numbers that mounts have are not part of it: a sandbox that gives each command a view
 * of its own gives them new ones each time.
 */
uint32_t mounts_around(int root);

/*
 * What tells a file system from all others here, and stays when a sandbox is started again: device
 * numbers do not. It is made of what is mounted and where; a file system in memory, which does not
 * outlive its number, and one that is not in the table of mounts (a subvolume) are told by that.
 * Above it (see PROTO_DEVICE_BITS) is what tells mount, a number of look_at, from all others.
 */
uint64_t mounts_device(dev_t number, uint64_t mount);

/*
 * When the file was born that the kernel says is of birth_ns; INT64_MIN if that tells nothing. On
 * an overlay a file of a lower layer keeps its number when it is first changed, and is born again
 * then: so what is older than the overlay itself has no such time.
 */
int64_t mounts_birth(dev_t number, int64_t birth_ns);

#endif
