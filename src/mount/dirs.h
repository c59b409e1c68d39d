/* dirs.h - where this user's files go, as the XDG base directory specification has it. */
#ifndef MOUNT_DIRS_H
#define MOUNT_DIRS_H

/* $variable if it is absolute, else fallback below the home directory. A new string; NULL without
 * memory or home. */
char *dirs_base(const char *variable, const char *fallback);

/* The list of live mounts (registry.h), and what could not be sent. New strings, NULL as above. */
char *dirs_mounts(void);
char *dirs_kept(void);
/* The journals: changes that are not in their sandbox yet. The same. */
char *dirs_journals(void);

/* Makes it, 0700. -EACCES if it is another user's, or others can change it. */
int dirs_make_private(const char *dir);

#endif
