/* search - looks for files by their names, and for lines by what they hold; replaces it */
#include "example.h"

static int names(const struct example *e)
{
    struct daytona_match *v;
    size_t count;
    int r = daytona_files_search(e->sandbox, e->argv[0], e->argv[1], &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s\n", v[i].file);
    daytona_matches_free(v, count);
    return 0;
}

static int lines(const struct example *e)
{
    struct daytona_match *v;
    size_t count;
    int r = daytona_files_find(e->sandbox, e->argv[0], e->argv[1], &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s:%lld:%s\n", v[i].file, (long long)v[i].line, v[i].content);
    daytona_matches_free(v, count);
    return 0;
}

static int replace(const struct example *e)
{
    struct daytona_match *v = NULL;
    size_t count = 0;
    int r = daytona_files_replace(e->sandbox, (const char *const *)e->argv + 2, (size_t)e->argc - 2,
                                  e->argv[0], e->argv[1], &v, &count);

    for (size_t i = 0; i < count; i++)
        if (*v[i].content)
            fprintf(stderr, "%s: %s\n", v[i].file, v[i].content);
    daytona_matches_free(v, count);
    return r;
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"names", 2, 2, "PATH PATTERN", names},
        {"lines", 2, 2, "PATH TEXT", lines},
        {"replace", 3, -1, "TEXT NEW FILE...", replace},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
