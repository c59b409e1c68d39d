/* cancel - runs a command in the background, and gives up after some time; the command goes on */
#include "example.h"

#include <pthread.h>
#include <unistd.h>

struct alarm {
    struct daytona_cancel *cancel;
    unsigned seconds;
};

static void *fire_later(void *arg)
{
    const struct alarm *a = arg;

    sleep(a->seconds);
    daytona_cancel_fire(a->cancel);
    return NULL;
}

static int run(const struct example *e)
{
    struct alarm a = {daytona_cancel_new(), (unsigned)example_number(e, 0)};
    const struct daytona_execute execute = {.command = e->argv[1]};
    struct daytona_result result = {0};
    struct daytona_cancel *before;
    pthread_t thread;
    bool counted;
    int r;

    if (!a.cancel || pthread_create(&thread, NULL, fire_later, &a) != 0) {
        daytona_cancel_free(a.cancel);
        return 1;
    }
    before = daytona_cancel_bind(a.cancel);
    /* What is asked so does not keep the sandbox from stopping by itself. */
    counted = daytona_background_bind(true);
    r = daytona_process_execute(e->sandbox, &execute, &result);
    daytona_background_bind(counted);
    daytona_cancel_bind(before);
    if (r == 0) {
        fwrite(result.output, 1, result.len, stdout);
        r = result.exit_code;
    }
    daytona_result_done(&result);
    pthread_join(thread, NULL);
    daytona_cancel_free(a.cancel);
    return r;
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"", 2, 2, "SECONDS COMMAND", run},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
