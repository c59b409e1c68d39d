/* classify.h - what an answer that is not the one hoped for means. */
#ifndef SDK_CLASSIFY_H
#define SDK_CLASSIFY_H

#include <stdbool.h>
#include <stddef.h>

enum side { SIDE_API = 1 << 0, SIDE_TOOLBOX = 1 << 1 };

struct reply {
    enum side side;
    int status;
    bool idempotent; /* the request could be repeated without harm */
    bool is_html;
    bool json_errors; /* what this call refuses is JSON without a source, too */
    const char *body;
    size_t len;
};

struct verdict {
    int err;
    bool auth, infra;
    char code[64];
    char message[512];
};

/* Pure. status is not 2xx. */
void classify(const struct reply *reply, struct verdict *ret);

#endif
