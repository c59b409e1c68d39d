/*
 * example.h - what the examples share: each is a table of what it can do. It finds the sandbox, and
 * says what went wrong. execute.c shows all of that in one place, without this file.
 */
#ifndef EXAMPLE_H
#define EXAMPLE_H

#include <daytona/daytona.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXAMPLE_FAILED = 125, EXAMPLE_WAIT_MS = 60000 };

struct example {
    struct daytona_client *client;
    struct daytona_sandbox *sandbox; /* NULL where none is named */
    int argc;                        /* what comes after the verb */
    char **argv;
};

/* run returns the program's exit code, or the negative errno of the daytona_ call that failed. */
struct example_verb {
    const char *name; /* "": none is given, the program does one thing. NULL ends a table */
    int min, max;     /* how many arguments; max < 0: any number */
    const char *takes;
    int (*run)(const struct example *e);
};

static inline int example_usage(const char *program, const char *first,
                                const struct example_verb *verbs)
{
    for (; verbs->name; verbs++)
        fprintf(stderr, "usage: %s%s%s%s%s%s\n", program, first, *verbs->name ? " " : "",
                verbs->name, *verbs->takes ? " " : "", verbs->takes);
    return 2;
}

static inline int example_do(struct example *e, const char *sandbox,
                             const struct example_verb *verb)
{
    int r = 0;

    /* NULL: the key from DAYTONA_API_KEY, or the login of the Daytona CLI */
    if (!e->client)
        r = daytona_client_new(NULL, &e->client);
    if (r == 0 && sandbox)
        r = daytona_sandbox_get(e->client, sandbox, &e->sandbox);
    if (r == 0)
        r = verb->run(e);
    if (r < 0)
        fprintf(stderr, "%s: %s\n", daytona_last_error()->call, daytona_last_error()->message);
    daytona_sandbox_unref(e->sandbox);
    daytona_client_free(e->client);
    return r < 0 ? EXAMPLE_FAILED : r;
}

/* PROGRAM [SANDBOX] VERB ... */
static inline int example_main(int argc, char **argv, bool of_sandbox,
                               const struct example_verb *verbs)
{
    const int skip = of_sandbox ? 2 : 1;
    const struct example_verb *v = verbs;

    while (v->name && *v->name && (argc <= skip || strcmp(v->name, argv[skip]) != 0))
        v++;
    if (v->name) {
        const int used = skip + (*v->name != '\0');
        struct example e = {.argc = argc - used, .argv = argv + used};

        if (e.argc >= v->min && (v->max < 0 || e.argc <= v->max))
            return example_do(&e, of_sandbox ? argv[1] : NULL, v);
    }
    return example_usage(argv[0], of_sandbox ? " SANDBOX" : "", verbs);
}

/* The i-th argument, or NULL. */
static inline const char *example_arg(const struct example *e, int i)
{
    return i < e->argc ? e->argv[i] : NULL;
}

static inline long long example_number(const struct example *e, int i)
{
    return i < e->argc ? strtoll(e->argv[i], NULL, 10) : 0;
}

/* Prints a string that was given, and frees it. */
static inline int example_print(int r, char *text)
{
    if (r < 0)
        return r;
    printf("%s\n", text);
    free(text);
    return 0;
}

/* Takes what a command prints. */
static inline int example_show(void *arg, enum daytona_stream stream, const void *p, size_t n)
{
    FILE *to = stream == DAYTONA_STDERR ? stderr : stdout;

    return fwrite(p, 1, n, to) == n && fflush(to) == 0 ? 0 : -1;
}

static inline int example_text(void *arg, const void *p, size_t n)
{
    return example_show(arg, DAYTONA_STDOUT, p, n);
}

#endif
