/* image - prints the Dockerfile of a Python image with the packages that are named: image PACKAGE…
 */
#include <daytona/daytona.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    struct daytona_image *image = daytona_image_debian_slim(NULL);
    const char *text;
    int status = 0;

    if (!image)
        return 1;
    daytona_image_pip_install(image, (const char *const *)argv + 1, (size_t)argc - 1, NULL);
    daytona_image_workdir(image, "/home/daytona");
    if (daytona_image_dockerfile(image, &text) < 0) {
        fprintf(stderr, "%s\n", daytona_last_error()->message);
        status = 1;
    } else {
        fputs(text, stdout);
    }
    daytona_image_free(image);
    return status;
}
