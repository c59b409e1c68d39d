/* array.h - the length of an array that is in scope. */
#ifndef UTIL_ARRAY_H
#define UTIL_ARRAY_H

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

#endif
