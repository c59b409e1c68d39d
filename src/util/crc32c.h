/* crc32c.h - CRC-32C (Castagnoli), as iSCSI, ext4 and btrfs have it. */
#ifndef UTIL_CRC32C_H
#define UTIL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Goes on from crc; 0 to begin. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);

#endif
