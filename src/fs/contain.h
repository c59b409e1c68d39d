/* contain.h - where a symbolic link from the sandbox may point, seen from the mount. */
#ifndef FS_CONTAIN_H
#define FS_CONTAIN_H

/*
 * The target to show for a link whose directory lies at dir below the mount's root ("" for the
 * root itself, "a/b"). root is the mount's root in the sandbox, mount_dir the local directory, both
 * absolute and resolved. Followed lexically, what is returned never leaves mount_dir, if the
 * directories on its way are no links themselves; where those are, they are contained too.
 *
 *   absolute, at or below root   mount_dir and the rest
 *   absolute, elsewhere          re-rooted: mount_dir and all of it
 *   relative, within the root    as it is; without ".." behind a name, if it has one
 *   relative, climbing out       below OUTSIDE, a name that the mount never has
 *
 * A new string; NULL without memory. Pure.
 */
#define CONTAIN_OUTSIDE ".daytonafs-outside"
char *contain_target(const char *root, const char *mount_dir, const char *dir, const char *target);

#endif
