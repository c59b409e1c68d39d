#include "mount/keepalive.h"

#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

struct keepalive {
    struct daytona_sandbox *sandbox; /* borrowed */
    bool (*busy)(void *arg);
    void *arg;
    int64_t every_ns;
    struct cancel *cancel;
    pthread_t thread;
};

static void *keepalive_main(void *arg)
{
    struct keepalive *k = arg;

    cancel_bind(k->cancel);
    while (cancel_sleep(k->every_ns) == 0)
        if (k->busy(k->arg))
            (void)daytona_sandbox_keep_alive(k->sandbox); /* it is tried again soon */
    return NULL;
}

int keepalive_new(struct daytona_sandbox *sandbox, bool (*busy)(void *arg), void *arg,
                  int64_t every_ns, struct keepalive **ret)
{
    struct keepalive *k = calloc(1, sizeof(*k));
    int r;

    if (!k)
        return -ENOMEM;
    *k = (struct keepalive){
        .sandbox = sandbox, .busy = busy, .arg = arg, .every_ns = every_ns, .cancel = cancel_new()};
    r = k->cancel ? -pthread_create(&k->thread, NULL, keepalive_main, k) : -ENOMEM;
    if (r < 0) {
        cancel_unref(k->cancel);
        free(k);
        return r;
    }
    *ret = k;
    return 0;
}

struct keepalive *keepalive_free(struct keepalive *k)
{
    if (!k)
        return NULL;
    cancel_fire(k->cancel);
    pthread_join(k->thread, NULL);
    cancel_unref(k->cancel);
    free(k);
    return NULL;
}
