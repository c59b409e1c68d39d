/* The Dockerfiles that are built. */
#include "unit.h"

#include <daytona/daytona.h>
#include <errno.h>

static void expect_text(struct daytona_image *image, const char *wanted)
{
    const char *text = NULL;

    assert_int_equal(daytona_image_dockerfile(image, &text), 0);
    assert_string_equal(text, wanted);
    daytona_image_free(image);
}

static void expect_refused(struct daytona_image *image)
{
    const char *text;

    assert_int_equal(daytona_image_dockerfile(image, &text), -EINVAL);
    assert_int_equal(daytona_last_error()->err, -EINVAL);
    daytona_image_free(image);
}

TEST(each_step_is_a_line)
{
    static const char *const packages[] = {"numpy>=2", "flask", "it's"};
    static const char *const links[] = {"/a b", NULL};
    static const char *const extra[] = {"https://e", NULL};
    static const char *const words[] = {"sh", "-c", "x"};
    static const char *const odd[] = {"a \"b\"", "c"};
    const struct daytona_pip_options options = {
        .find_links = links,
        .extra_index_urls = extra,
        .index_url = "https://i",
        .extra_options = "--no-cache",
        .pre = true,
    };
    struct daytona_image *image = daytona_image_new("debian:12");

    daytona_image_pip_install(image, packages, 3, &options);
    daytona_image_pip_install(image, packages, 0, NULL);
    daytona_image_run(image, "apt-get update && true");
    daytona_image_run_words(image, odd, 2);
    daytona_image_env(image, "A", "b c");
    daytona_image_env(image, "E", "");
    daytona_image_workdir(image, "/w");
    daytona_image_entrypoint(image, words, 3);
    daytona_image_cmd(image, words, 1);
    daytona_image_line(image, "USER x");
    expect_text(image, "FROM debian:12\n"
                       "RUN python -m pip install flask 'it'\"'\"'s' 'numpy>=2' --find-links "
                       "'/a b' --index-url https://i --extra-index-url https://e --pre "
                       "--no-cache\n"
                       "RUN apt-get update && true\n"
                       "RUN \"a \\\"b\\\"\" \"c\"\n"
                       "ENV A='b c'\n"
                       "ENV E=''\n"
                       "WORKDIR /w\n"
                       "ENTRYPOINT [\"sh\", \"-c\", \"x\"]\n"
                       "CMD [\"sh\"]\n"
                       "USER x\n");
}

TEST(python_comes_on_debian)
{
    static const char wanted[] =
        "FROM python:3.12.10-slim-bookworm\n"
        "RUN apt-get update\n"
        "RUN apt-get install -y gcc gfortran build-essential\n"
        "RUN pip install --upgrade pip\n"
        "RUN echo 'debconf debconf/frontend select Noninteractive' | debconf-set-selections\n";

    expect_text(daytona_image_debian_slim("3.12"), wanted);
    expect_refused(daytona_image_debian_slim("2.7"));
}

TEST(a_word_cannot_begin_a_line_of_its_own)
{
    static const char *const packages[] = {"a\nRUN x"};
    static const char *const quotes[] = {"a\", \"b"};
    struct daytona_image *image;

    expect_refused(daytona_image_new("a\nRUN x"));
    image = daytona_image_new("a");
    daytona_image_pip_install(image, packages, 1, NULL);
    expect_refused(image);
    image = daytona_image_new("a");
    daytona_image_env(image, "A", "b\nRUN x");
    expect_refused(image);
    image = daytona_image_new("a");
    daytona_image_env(image, "A=b C", "d");
    expect_refused(image);
    image = daytona_image_new("a");
    daytona_image_workdir(image, "b\nRUN x");
    daytona_image_line(image, "USER x"); /* the error stays */
    expect_refused(image);
    image = daytona_image_new("a");
    daytona_image_entrypoint(image, quotes, 1);
    expect_refused(image);
    image = daytona_image_new("a");
    daytona_image_run_words(image, packages, 1);
    expect_refused(image);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_step_is_a_line),
        cmocka_unit_test(python_comes_on_debian),
        cmocka_unit_test(a_word_cannot_begin_a_line_of_its_own),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
