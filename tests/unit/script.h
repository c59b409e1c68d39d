/* script.h - a Daytona of a few lines: requests that must come, in order, and what they get. */
#ifndef TESTS_SCRIPT_H
#define TESTS_SCRIPT_H

#include "loopback.h"
#include "util/lock.h"

#include <stddef.h>

struct step {
    const char *request; /* "GET /api/sandbox/x?y" exactly, NULL ends the list */
    int status;
    const char *body;               /* "$" stands for http://127.0.0.1:PORT; NULL: empty */
    const char *headers;            /* whole lines with \r\n; NULL: a JSON body */
    void (*stream)(struct peer *p); /* a WebSocket, which is closed when this returns */
    bool cut;                       /* close after the body, before the promised end of it */
};

struct script {
    struct loopback server;
    char base[64]; /* http://127.0.0.1:PORT */
    const struct step *steps;
    struct lock lock; /* guards what follows */
    size_t next;      /* steps taken */
    char problem[512];
    struct buf heads;  /* of all requests */
    struct buf bodies; /* of all requests */
};

void script_start(struct script *s);
/* From now on these steps, from the first one on. */
void script_set(struct script *s, const struct step *steps);
/* Fails the test unless exactly the steps were taken. */
void script_check(struct script *s);
void script_stop(struct script *s);

#endif
