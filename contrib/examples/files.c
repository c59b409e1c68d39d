/* files - what can be done with files, but reading and writing one: see transfer */
#include "example.h"

#include <inttypes.h>
#include <sys/stat.h>

static void print(const struct daytona_file_info *f)
{
    printf("%04o %10" PRIu64 " %s%s\n", (unsigned)f->mode & 07777, f->size, f->name,
           S_ISDIR(f->mode) ? "/" : "");
}

static int list(const struct example *e)
{
    struct daytona_file_info *v;
    size_t count;
    int r = daytona_files_list(e->sandbox, e->argv[0], 0, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        print(&v[i]);
    daytona_files_list_free(v, count);
    return 0;
}

static int info(const struct example *e)
{
    struct daytona_file_info f;
    int r = daytona_files_info(e->sandbox, e->argv[0], &f);

    if (r < 0)
        return r;
    print(&f);
    daytona_file_info_done(&f);
    return 0;
}

/* Exit code 0: it exists. */
static int exists(const struct example *e)
{
    int r = daytona_files_exists(e->sandbox, e->argv[0]);

    return r < 0 ? r : !r;
}

static int make_folder(const struct example *e)
{
    return daytona_files_create_folder(e->sandbox, e->argv[0], 0755);
}

static int delete_all(const struct example *e)
{
    return daytona_files_delete(e->sandbox, e->argv[0], true);
}

static int move(const struct example *e)
{
    return daytona_files_move(e->sandbox, e->argv[0], e->argv[1]);
}

static int permit(const struct example *e)
{
    return daytona_files_set_permissions(e->sandbox, e->argv[1],
                                         (mode_t)strtoul(e->argv[0], NULL, 8), NULL, NULL);
}

/* PATH TEXT, as often as one likes, in one request. */
static int put(const struct example *e)
{
    const size_t count = (size_t)e->argc / 2;
    struct daytona_upload *uploads = calloc(count + 1, sizeof(*uploads));
    int r;

    if (!uploads)
        return 1;
    for (size_t i = 0; i < count; i++)
        uploads[i] = (struct daytona_upload){
            .path = e->argv[2 * i], .data = e->argv[2 * i + 1], .len = strlen(e->argv[2 * i + 1])};
    r = daytona_files_upload_many(e->sandbox, uploads, count, NULL);
    free(uploads);
    return r;
}

static int begin_one(void *arg, size_t i, int err, uint64_t size)
{
    const struct example *e = arg;

    if (err < 0)
        fprintf(stderr, "%s: %s\n", e->argv[i], strerror(-err));
    return 0;
}

static int take_some(void *arg, size_t i, uint64_t off, const void *p, size_t n)
{
    return fwrite(p, 1, n, stdout) == n ? 0 : -1;
}

static int end_one(void *arg, size_t i)
{
    return fflush(stdout) == 0 ? 0 : -1;
}

/* Prints files, in one request. */
static int get(const struct example *e)
{
    static const struct daytona_download_many_ops ops = {begin_one, take_some, end_one};

    return daytona_files_download_many(e->sandbox, (const char *const *)e->argv, (size_t)e->argc,
                                       &ops, (void *)e);
}

/* Prints what changes below a directory, until COUNT lines. */
static int watch(const struct example *e)
{
    static const char *const kinds[] = {"create", "modify", "delete"};
    const struct daytona_watch_options options = {.recursive = true, .interval_ms = 200};
    struct daytona_watch_event event;
    struct daytona_watch *watch;
    int left = atoi(e->argv[1]);
    int r = daytona_watch_start(e->sandbox, e->argv[0], &options, &watch);

    if (r < 0)
        return r;
    printf("watching\n");
    while (r >= 0 && left > 0) {
        fflush(stdout);
        r = daytona_watch_next(watch, EXAMPLE_WAIT_MS, &event);
        if (r > 0 && left-- > 0)
            printf("%s %s\n", kinds[event.kind], event.path);
    }
    daytona_watch_free(watch);
    return r < 0 ? r : 0;
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"list", 1, 1, "PATH", list},
        {"info", 1, 1, "PATH", info},
        {"exists", 1, 1, "PATH", exists},
        {"mkdir", 1, 1, "PATH", make_folder},
        {"rm", 1, 1, "PATH", delete_all},
        {"mv", 2, 2, "FROM TO", move},
        {"chmod", 2, 2, "MODE PATH", permit},
        {"put", 2, -1, "PATH TEXT ...", put},
        {"get", 1, -1, "PATH...", get},
        {"watch", 2, 2, "PATH COUNT", watch},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
