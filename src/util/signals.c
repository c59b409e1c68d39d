#include "util/signals.h"

#include "util/array.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <strings.h>

int signals_parse(const char *word)
{
    static const struct {
        const char *name;
        int number;
    } signals[] = {
        {"HUP", SIGHUP},   {"INT", SIGINT},     {"QUIT", SIGQUIT}, {"ABRT", SIGABRT},
        {"KILL", SIGKILL}, {"USR1", SIGUSR1},   {"USR2", SIGUSR2}, {"PIPE", SIGPIPE},
        {"ALRM", SIGALRM}, {"TERM", SIGTERM},   {"CONT", SIGCONT}, {"STOP", SIGSTOP},
        {"TSTP", SIGTSTP}, {"WINCH", SIGWINCH},
    };
    char *end;
    const long number = strtol(word, &end, 10);

    if (*word && !*end)
        return number >= 0 && number <= 64 ? (int)number : -EINVAL;
    if (strncasecmp(word, "SIG", 3) == 0)
        word += 3;
    for (size_t i = 0; i < ARRAY_LEN(signals); i++) {
        if (strcasecmp(signals[i].name, word) == 0)
            return signals[i].number;
    }
    return -EINVAL;
}
