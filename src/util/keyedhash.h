/*
 * keyedhash.h - uthash, hashing with a key of this process: nobody who chooses the names in a table
 * can find many that meet in one place. Instead of uthash.h.
 */
#ifndef UTIL_KEYEDHASH_H
#define UTIL_KEYEDHASH_H

#include "util/siphash.h"

#define HASH_FUNCTION(keyptr, keylen, hashv)                                                       \
    ((hashv) = (unsigned)siphash(siphash_key_process(), (keyptr), (keylen)))
#include <uthash.h>

#endif
