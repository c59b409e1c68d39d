/* image - prints the Dockerfile of an image with the Python packages that are named */
#include <daytona/daytona.h>

#include <stdio.h>
#include <string.h>

/* `image FROM BASE PACKAGE…`, or without FROM on Debian. */
int main(int argc, char **argv)
{
    static const char *const user[] = {"useradd", "-m", "daytona"};
    static const char *const shell[] = {"sleep", "infinity"};
    const bool named = argc > 2 && strcmp(argv[1], "FROM") == 0;
    const int skip = named ? 3 : 1;
    struct daytona_image *image =
        named ? daytona_image_new(argv[2]) : daytona_image_debian_slim(NULL);
    const char *text;
    int status = 0;

    if (!image)
        return 1;
    /* A step that fails shows at the end, in daytona_image_dockerfile. */
    daytona_image_pip_install(image, (const char *const *)argv + skip, (size_t)(argc - skip), NULL);
    daytona_image_run(image, "apt-get update && apt-get install -y git");
    daytona_image_run_words(image, user, 3);
    daytona_image_env(image, "LANG", "C.UTF-8");
    daytona_image_workdir(image, "/home/daytona");
    daytona_image_line(image, "USER daytona");
    daytona_image_entrypoint(image, shell, 1);
    daytona_image_cmd(image, shell + 1, 1);
    if (daytona_image_dockerfile(image, &text) < 0) {
        fprintf(stderr, "%s\n", daytona_last_error()->message);
        status = 1;
    } else {
        fputs(text, stdout);
    }
    daytona_image_free(image);
    return status;
}
