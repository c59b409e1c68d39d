/* bar.h - how far something is that sends changes: one line on stderr that moves, for people who
 * look at a terminal. Not locked. */
#ifndef MOUNT_BAR_H
#define MOUNT_BAR_H

#include <stdbool.h>
#include <stdint.h>

struct bar {
    int64_t start_ns;
    uint64_t most, most_bytes; /* that waited since it began */
    uint64_t last_bytes;
    int64_t last_ns;
    double rate; /* bytes a second, of late */
    bool shows, drawn;
};

void bar_begin(struct bar *b); /* shows nothing if stderr is no terminal */
/* So much is left now. What is soon over is not shown at all. */
void bar_show(struct bar *b, uint64_t changes, uint64_t bytes);
void bar_end(struct bar *b);

#endif
