/*
 * driver.c - runs a fuzz target where there is no libFuzzer: first the inputs named (files, or
 * folders of files), then mutations of them for FUZZ_SECONDS (2). The mutations are the same in
 * each run; only how many are reached depends on the machine. The input at hand is written to
 * crash-input when the target dies.
 *
 * usage: fuzz_X [-1] FILE|DIR…      -1: only the inputs themselves
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { INPUT_MAX = 4096, SEEDS_MAX = 256 };

struct input {
    size_t len;
    uint8_t *data;
};

static struct input seeds[SEEDS_MAX];
static size_t seed_count;

static const uint8_t *current;
static size_t current_len;

/* There only in sanitizer builds, which end the program their own way. */
void __sanitizer_set_death_callback(void (*fn)(void)) __attribute__((weak));

static void write_input(void)
{
    const int fd = open("crash-input", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd >= 0 && write(fd, current, current_len) == (ssize_t)current_len) {
        static const char note[] = "the input is in crash-input\n";

        (void)!write(STDERR_FILENO, note, sizeof(note) - 1);
    }
}

static void keep_input(int sig)
{
    write_input();
    signal(sig, SIG_DFL);
    raise(sig);
}

/* In memory of exactly its size, so that sanitizers see a step past its end. */
static void run(const uint8_t *p, size_t n)
{
    uint8_t *exact = malloc(n > 0 ? n : 1);

    if (!exact)
        abort();
    if (n > 0)
        memcpy(exact, p, n);
    current = exact;
    current_len = n;
    LLVMFuzzerTestOneInput(exact, n);
    free(exact);
}

static void add_seed(const char *path)
{
    struct input *seed = &seeds[seed_count];
    FILE *f;

    if (seed_count == SEEDS_MAX)
        return;
    f = fopen(path, "re");
    seed->data = malloc(INPUT_MAX);
    if (!f || !seed->data) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(1);
    }
    seed->len = fread(seed->data, 1, INPUT_MAX, f);
    fclose(f);
    seed_count++;
}

static void add_seeds(const char *path)
{
    struct dirent **names = NULL;
    const int n = scandir(path, &names, NULL, alphasort); /* sorted: each run is the same */

    if (n < 0)
        add_seed(path);
    for (int i = 0; i < n; i++) {
        char *file = NULL;

        if (names[i]->d_name[0] != '.' && asprintf(&file, "%s/%s", path, names[i]->d_name) > 0)
            add_seed(file);
        free(file);
        free(names[i]);
    }
    free(names);
}

static uint32_t next_random(void)
{
    static uint64_t state = 0x9e3779b97f4a7c15;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static size_t below(size_t n)
{
    return n > 0 ? next_random() % n : 0;
}

/* One small change; returns the new length. */
static size_t mutate(uint8_t *p, size_t n)
{
    static const uint8_t telling[] = "\0\xff\r\n-'\"\\;:=%0 9/.{[<";
    const size_t at = below(n + 1);
    const size_t len = below(n - at + 1) % 64;
    const struct input *other = &seeds[below(seed_count)];

    switch (next_random() % 6) {
    case 0: /* a bit */
        if (at < n)
            p[at] ^= (uint8_t)(1U << below(8));
        return n;
    case 1: /* a byte that means something somewhere */
        if (at < n)
            p[at] = telling[below(sizeof(telling))];
        return n;
    case 2: /* out */
        memmove(p + at, p + at + len, n - at - len);
        return n - len;
    case 3: /* twice */
        if (n + len > INPUT_MAX)
            return n;
        memmove(p + at + len, p + at, n - at);
        return n + len;
    case 4: /* a piece of another seed */
        if (other->len > 0) {
            const size_t from = below(other->len);
            size_t take = other->len - from;

            if (take > INPUT_MAX - at)
                take = INPUT_MAX - at;
            memcpy(p + at, other->data + from, take);
            return at + take > n ? at + take : n;
        }
        return n;
    default: /* cut */
        return at;
    }
}

int main(int argc, char **argv)
{
    static const uint8_t nothing[1];
    const char *seconds = getenv("FUZZ_SECONDS");
    const time_t end = time(NULL) + (seconds ? atoi(seconds) : 2);
    const int first = argc > 1 && strcmp(argv[1], "-1") == 0 ? 2 : 1;
    unsigned long runs = 0;

    signal(SIGABRT, keep_input);
    signal(SIGSEGV, keep_input);
    if (__sanitizer_set_death_callback)
        __sanitizer_set_death_callback(write_input);
    for (int i = first; i < argc; i++)
        add_seeds(argv[i]);
    if (seed_count == 0)
        seeds[seed_count++] = (struct input){.data = calloc(1, INPUT_MAX)};

    run(nothing, 0);
    for (size_t i = 0; i < seed_count; i++)
        run(seeds[i].data, seeds[i].len);
    while (first == 1 && time(NULL) < end) {
        for (int i = 0; i < 100; i++, runs++) {
            const struct input *seed = &seeds[below(seed_count)];
            uint8_t input[INPUT_MAX];
            size_t n = seed->len;

            memcpy(input, seed->data, n);
            for (size_t changes = 1 + below(8); changes > 0; changes--)
                n = mutate(input, n);
            run(input, n);
        }
    }
    printf("%zu seeds, %lu mutations\n", seed_count, runs);
    for (size_t i = 0; i < seed_count; i++)
        free(seeds[i].data);
    return 0;
}
