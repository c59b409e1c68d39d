/* folder.h - the folder that the helper is in: its user's alone. */
#ifndef HELPER_FOLDER_H
#define HELPER_FOLDER_H

#include <sys/stat.h>

int folder_open(
    struct stat *ret_helper); /* a descriptor or -errno; may be NULL: the program's stat */
int folder_sub(int folder, const char *name); /* a folder in it, made if need be */

#endif
