/*
 * cppcheck.h - cppcheck reads no system headers, and takes these loops of utlist.h and uthash.h for
 * calls.
 */
#ifndef LINT_CPPCHECK_H
#define LINT_CPPCHECK_H

#define DL_FOREACH(head, el) for ((el) = (head); el; (el) = (el)->next)
#define DL_FOREACH_SAFE(head, el, tmp)                                                             \
    for ((el) = (head); (el) && ((tmp) = (el)->next, 1); (el) = (tmp))
#define HASH_ITER(hh, head, el, tmp)                                                               \
    for ((el) = (head); (el) && ((tmp) = (el)->hh.next, 1); (el) = (tmp))

#endif
