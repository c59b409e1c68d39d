/* What is quoted splits into one word that is the same; what was split can be quoted and split. */
#include "util/words.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(int holds)
{
    if (!holds)
        abort();
}

static void one_word(const char *text)
{
    struct buf quoted = BUF_INIT(1 << 16);
    char **argv;
    int argc;

    must(words_quote(&quoted, text) == 0);
    must(words_split(buf_str(&quoted), &argv, &argc) == 0);
    must(argc == 1 && strcmp(argv[0], text) == 0 && argv[1] == NULL);
    free(argv);
    buf_done(&quoted);
}

static void many_words(const char *line)
{
    struct buf quoted = BUF_INIT(1 << 20);
    char **argv, **again;
    int argc, argc_again;

    if (words_split(line, &argv, &argc) < 0)
        return;
    must(argc <= WORDS_MAX && argv[argc] == NULL);
    for (int i = 0; i < argc; i++)
        must(words_quote(&quoted, argv[i]) == 0 && buf_putc(&quoted, i % 2 ? '\t' : ' ') == 0);
    must(words_split(buf_str(&quoted), &again, &argc_again) == 0 && argc_again == argc);
    for (int i = 0; i < argc; i++)
        must(strcmp(argv[i], again[i]) == 0);
    free(argv);
    free(again);
    buf_done(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char *text = malloc(n + 1);

    must(text != NULL);
    if (n > 0)
        memcpy(text, p, n);
    text[n] = '\0';
    one_word(text);
    many_words(text);
    free(text);
    return 0;
}
