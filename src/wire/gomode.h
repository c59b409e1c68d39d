/* gomode.h - file modes as Go writes and numbers them. */
#ifndef WIRE_GOMODE_H
#define WIRE_GOMODE_H

#include <stdint.h>
#include <sys/types.h>

/*
 * "drwxr-xr-x", "urwxr-xr-x", "dtrwxrwxrwx", "Dcrw-rw-rw-" …: letters (one '-' if none), then nine
 * of rwx. No type letter is a regular file. -EPROTO for what no file can be.
 */
int gomode_read(const char *s, mode_t *ret);

enum { GOMODE_TEXT_MAX = 24 };
void gomode_write(mode_t mode, char out[GOMODE_TEXT_MAX]);

/*
 * The number that the mode= parameter of folder and permissions stands for: the service takes it
 * for a Go mode, so that setuid, setgid and sticky are at Go's positions and octal 4755 loses its
 * special bit. Both ways, permission bits only.
 */
uint32_t gomode_to_number(mode_t mode);
mode_t gomode_from_number(uint32_t number);

#endif
