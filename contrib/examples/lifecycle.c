/* lifecycle - sandboxes: from their beginning to their end, and what can be changed meanwhile */
#include "example.h"

static int show(const struct daytona_sandbox_info *info)
{
    printf("%s %s, stops after %lld min, archived after %lld, deleted after %lld\n", info->name,
           info->state_name, (long long)info->auto_stop_min, (long long)info->auto_archive_min,
           (long long)info->auto_delete_min);
    return 0;
}

/* What is known of it is of when it was fetched: ask again. */
static int state(const struct example *e)
{
    struct daytona_sandbox_info info;
    int r = daytona_sandbox_refresh(e->sandbox);

    if (r == 0)
        r = daytona_sandbox_info(e->sandbox, &info);
    if (r < 0)
        return r;
    show(&info);
    daytona_sandbox_info_done(&info);
    return daytona_sandbox_state(e->sandbox) == DAYTONA_STATE_STARTED ? 0 : 1;
}

static int id(const struct example *e)
{
    printf("%s\n", daytona_sandbox_id(e->sandbox));
    return 0;
}

static int start(const struct example *e)
{
    return daytona_sandbox_start(e->sandbox, EXAMPLE_WAIT_MS);
}

/* Does not wait, and then waits: there may be something else to do meanwhile. A second handle is
 * another reference to the same sandbox. */
static int stop(const struct example *e)
{
    struct daytona_sandbox *waits = daytona_sandbox_ref(e->sandbox);
    int r = daytona_sandbox_stop(e->sandbox, false, -1);

    if (r == 0)
        r = daytona_sandbox_wait(waits, DAYTONA_STATE_STOPPED, EXAMPLE_WAIT_MS);
    daytona_sandbox_unref(waits);
    return r;
}

static int archive(const struct example *e)
{
    return daytona_sandbox_archive(e->sandbox, EXAMPLE_WAIT_MS);
}

static int recover(const struct example *e)
{
    return daytona_sandbox_recover(e->sandbox, false, EXAMPLE_WAIT_MS);
}

static int delete (const struct example *e)
{
    return daytona_sandbox_delete(e->sandbox, EXAMPLE_WAIT_MS);
}

static int resize(const struct example *e)
{
    return daytona_sandbox_resize(e->sandbox, strtod(e->argv[0], NULL), strtod(e->argv[1], NULL), 0,
                                  EXAMPLE_WAIT_MS);
}

/* ---- virtual machines can more ---- */

static int pause_it(const struct example *e)
{
    return daytona_sandbox_pause(e->sandbox, EXAMPLE_WAIT_MS);
}

static int fork_it(const struct example *e)
{
    struct daytona_sandbox *copy;
    int r = daytona_sandbox_fork(e->sandbox, e->argv[0], EXAMPLE_WAIT_MS, &copy);

    if (r < 0)
        return r;
    printf("%s\n", daytona_sandbox_id(copy));
    daytona_sandbox_unref(copy);
    return 0;
}

static int snapshot(const struct example *e)
{
    return daytona_sandbox_snapshot(e->sandbox, e->argv[0], false, EXAMPLE_WAIT_MS);
}

/* ---- settings ---- */

static int auto_stop(const struct example *e)
{
    return daytona_sandbox_set_auto_stop(e->sandbox, example_number(e, 0));
}

static int auto_archive(const struct example *e)
{
    return daytona_sandbox_set_auto_archive(e->sandbox, example_number(e, 0));
}

static int auto_delete(const struct example *e)
{
    return daytona_sandbox_set_auto_delete(e->sandbox, example_number(e, 0));
}

static int auto_pause(const struct example *e)
{
    return daytona_sandbox_set_auto_pause(e->sandbox, example_number(e, 0));
}

static int ttl(const struct example *e)
{
    return daytona_sandbox_set_ttl(e->sandbox, example_number(e, 0));
}

static int keep_alive(const struct example *e)
{
    return daytona_sandbox_keep_alive(e->sandbox);
}

/* KEY VALUE, instead of the labels that are there. */
static int label(const struct example *e)
{
    const struct daytona_pair pair = {e->argv[0], e->argv[1]};

    return daytona_sandbox_set_labels(e->sandbox, &pair, 1);
}

static int publish(const struct example *e)
{
    return daytona_sandbox_set_public(e->sandbox, strcmp(e->argv[0], "yes") == 0);
}

static int network(const struct example *e)
{
    const struct daytona_network only = {.allow_list = e->argv[0]};

    return daytona_sandbox_set_network(e->sandbox, &only);
}

static int env(const struct example *e)
{
    const struct daytona_pair pair = {e->argv[0], e->argv[1]};

    return daytona_sandbox_update_env(e->sandbox, &pair, 1, NULL, 0);
}

/* The variable holds a placeholder; the value itself never comes into the sandbox. */
static int secret(const struct example *e)
{
    const struct daytona_pair pair = {e->argv[0], e->argv[1]};

    return daytona_sandbox_set_secrets(e->sandbox, &pair, 1);
}

/* ---- what it is ---- */

static int dirs(const struct example *e)
{
    char *work = NULL, *home = NULL, *version = NULL;
    int r = daytona_sandbox_work_dir(e->sandbox, &work);

    if (r == 0)
        r = daytona_sandbox_home_dir(e->sandbox, &home);
    if (r == 0)
        r = daytona_sandbox_version(e->sandbox, &version);
    if (r == 0)
        printf("work %s\nhome %s\nversion %s\n", work, home, version);
    free(work);
    free(home);
    free(version);
    return r;
}

static int metrics(const struct example *e)
{
    struct daytona_metrics m;
    int r = daytona_sandbox_metrics(e->sandbox, &m);

    if (r < 0)
        return r;
    printf("%.0f cpus, %.0f%% used; memory %.0f%% used\n", m.cpu_count, m.cpu_used_percent,
           100.0 * (double)m.memory_used / (double)(m.memory_total ? m.memory_total : 1));
    daytona_metrics_done(&m);
    return 0;
}

static int build_logs(const struct example *e)
{
    return daytona_sandbox_build_logs(e->sandbox, false, example_text, NULL);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"state", 0, 0, "", state},
        {"id", 0, 0, "", id},
        {"start", 0, 0, "", start},
        {"stop", 0, 0, "", stop},
        {"archive", 0, 0, "", archive},
        {"recover", 0, 0, "", recover},
        {"delete", 0, 0, "", delete},
        {"resize", 2, 2, "CPUS GIB", resize},
        {"pause", 0, 0, "", pause_it},
        {"fork", 1, 1, "NAME", fork_it},
        {"snapshot", 1, 1, "NAME", snapshot},
        {"autostop", 1, 1, "MINUTES", auto_stop},
        {"autoarchive", 1, 1, "MINUTES", auto_archive},
        {"autodelete", 1, 1, "MINUTES", auto_delete},
        {"autopause", 1, 1, "MINUTES", auto_pause},
        {"ttl", 1, 1, "MINUTES", ttl},
        {"keepalive", 0, 0, "", keep_alive},
        {"label", 2, 2, "KEY VALUE", label},
        {"public", 1, 1, "yes|no", publish},
        {"network", 1, 1, "CIDR,...", network},
        {"env", 2, 2, "NAME VALUE", env},
        {"secret", 2, 2, "NAME SECRET", secret},
        {"dirs", 0, 0, "", dirs},
        {"metrics", 0, 0, "", metrics},
        {"build-logs", 0, 0, "", build_logs},
        {.name = NULL},
    };

    return example_main(argc, argv, true, verbs);
}
