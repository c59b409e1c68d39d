/* account - what belongs to an account: sandboxes, volumes, snapshots, secrets, warm pools */
#include "example.h"

#include <errno.h>

static int server(const struct example *e)
{
    printf("%s\n", daytona_client_api_url(e->client));
    return 0;
}

/* ---- sandboxes ---- */

static int print_infos(int r, struct daytona_sandbox_info *v, size_t count)
{
    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s %s\n", v[i].id, v[i].state_name, v[i].name);
    daytona_sandbox_list_free(v, count);
    return 0;
}

static int sandboxes(const struct example *e)
{
    struct daytona_sandbox_info *v = NULL;
    size_t count = 0;
    int r = daytona_sandbox_list(e->client, NULL, 0, &v, &count);

    return print_infos(r, v, count);
}

/* Those whose names begin so. */
static int find(const struct example *e)
{
    const struct daytona_sandbox_query query = {.name = e->argv[0], .sort = "name"};
    struct daytona_sandbox_info *v = NULL;
    size_t count = 0;
    int r = daytona_sandbox_find(e->client, &query, &v, &count);

    return print_infos(r, v, count);
}

static int new_sandbox(const struct example *e, struct daytona_sandbox_params *params)
{
    struct daytona_sandbox *sandbox;
    int r;

    params->name = e->argv[0];
    r = daytona_sandbox_create(e->client, params, EXAMPLE_WAIT_MS, &sandbox);
    if (r < 0)
        return r;
    printf("%s\n", daytona_sandbox_id(sandbox));
    daytona_sandbox_unref(sandbox);
    return 0;
}

static int create(const struct example *e)
{
    struct daytona_sandbox_params params = {.snapshot = example_arg(e, 1)};

    return new_sandbox(e, &params);
}

static int build(const struct example *e)
{
    struct daytona_sandbox_params params = {.dockerfile = e->argv[1]};

    return new_sandbox(e, &params);
}

/* ---- volumes ---- */

static int volumes(const struct example *e)
{
    struct daytona_volume *v;
    size_t count;
    int r = daytona_volume_list(e->client, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s %s\n", v[i].id, v[i].state, v[i].name);
    daytona_volume_list_free(v, count);
    return 0;
}

/* A new sandbox that has a volume at /data, which is made if need be. */
static int create_with(const struct example *e)
{
    struct daytona_volume volume = {0};
    struct daytona_volume_mount mount = {.path = "/data"};
    struct daytona_sandbox_params params = {.volumes = &mount, .volume_count = 1};
    int r = daytona_volume_get(e->client, e->argv[1], &volume);

    if (r == -ENOENT)
        r = daytona_volume_create(e->client, e->argv[1], EXAMPLE_WAIT_MS, &volume);
    if (r == 0) {
        mount.volume_id = volume.id;
        r = new_sandbox(e, &params);
    }
    daytona_volume_done(&volume);
    return r;
}

static int delete_volume(const struct example *e)
{
    return daytona_volume_delete(e->client, e->argv[0]);
}

/* ---- snapshots ---- */

static int print_snapshot(int r, struct daytona_snapshot *s)
{
    if (r < 0)
        return r;
    printf("%s %s %s\n", s->id, s->state, s->name);
    daytona_snapshot_done(s);
    return 0;
}

static int snapshots(const struct example *e)
{
    struct daytona_snapshot *v;
    size_t count;
    int r = daytona_snapshot_list(e->client, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s %s\n", v[i].id, v[i].state, v[i].name);
    daytona_snapshot_list_free(v, count);
    return 0;
}

static int snapshot(const struct example *e)
{
    struct daytona_snapshot s;
    int r = daytona_snapshot_get(e->client, e->argv[0], &s);

    return print_snapshot(r, &s);
}

static int create_snapshot(const struct example *e)
{
    const struct daytona_snapshot_params params = {.name = e->argv[0], .dockerfile = e->argv[1]};
    struct daytona_snapshot s;
    int r = daytona_snapshot_create(e->client, &params, EXAMPLE_WAIT_MS, &s);

    return print_snapshot(r, &s);
}

static int snapshot_logs(const struct example *e)
{
    return daytona_snapshot_build_logs(e->client, e->argv[0], false, example_text, NULL);
}

static int activate(const struct example *e)
{
    return daytona_snapshot_activate(e->client, e->argv[0]);
}

static int deactivate(const struct example *e)
{
    return daytona_snapshot_deactivate(e->client, e->argv[0]);
}

static int delete_snapshot(const struct example *e)
{
    return daytona_snapshot_delete(e->client, e->argv[0]);
}

/* ---- secrets: their values come from the environment, not from the arguments ---- */

static int print_secret(int r, struct daytona_secret *s)
{
    if (r < 0)
        return r;
    printf("%s %s %s\n", s->id, s->placeholder, s->name);
    daytona_secret_done(s);
    return 0;
}

static int secrets(const struct example *e)
{
    struct daytona_secret *v;
    size_t count;
    int r = daytona_secret_list(e->client, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %s\n", v[i].id, v[i].name);
    daytona_secret_list_free(v, count);
    return 0;
}

static int secret(const struct example *e)
{
    struct daytona_secret s;
    int r = daytona_secret_get(e->client, e->argv[0], &s);

    return print_secret(r, &s);
}

static int create_secret(const struct example *e)
{
    const struct daytona_secret_params params = {.name = e->argv[0],
                                                 .value = getenv("SECRET_VALUE")};
    struct daytona_secret s;
    int r = daytona_secret_create(e->client, &params, &s);

    return print_secret(r, &s);
}

static int update_secret(const struct example *e)
{
    const struct daytona_secret_params params = {.value = getenv("SECRET_VALUE")};

    return daytona_secret_update(e->client, e->argv[0], &params);
}

static int delete_secret(const struct example *e)
{
    return daytona_secret_delete(e->client, e->argv[0]);
}

/* ---- warm pools ---- */

static int pools(const struct example *e)
{
    struct daytona_warm_pool *v;
    size_t count;
    int r = daytona_warm_pool_list(e->client, &v, &count);

    if (r < 0)
        return r;
    for (size_t i = 0; i < count; i++)
        printf("%s %lld of %lld %s\n", v[i].id, (long long)v[i].current_size, (long long)v[i].pool,
               v[i].snapshot);
    daytona_warm_pool_list_free(v, count);
    return 0;
}

static int create_pool(const struct example *e)
{
    struct daytona_warm_pool pool;
    int r = daytona_warm_pool_create(e->client, e->argv[0], (unsigned)example_number(e, 1), NULL,
                                     &pool);

    if (r < 0)
        return r;
    printf("%s\n", pool.id);
    daytona_warm_pool_done(&pool);
    return 0;
}

static int update_pool(const struct example *e)
{
    return daytona_warm_pool_update(e->client, e->argv[0], (unsigned)example_number(e, 1));
}

static int delete_pool(const struct example *e)
{
    return daytona_warm_pool_delete(e->client, e->argv[0]);
}

int main(int argc, char **argv)
{
    static const struct example_verb verbs[] = {
        {"server", 0, 0, "", server},
        {"sandboxes", 0, 0, "", sandboxes},
        {"find", 1, 1, "NAME", find},
        {"create", 1, 2, "NAME [SNAPSHOT]", create},
        {"build", 2, 2, "NAME DOCKERFILE-TEXT", build},
        {"volumes", 0, 0, "", volumes},
        {"create-with", 2, 2, "NAME VOLUME", create_with},
        {"delete-volume", 1, 1, "ID", delete_volume},
        {"snapshots", 0, 0, "", snapshots},
        {"snapshot", 1, 1, "NAME", snapshot},
        {"create-snapshot", 2, 2, "NAME DOCKERFILE-TEXT", create_snapshot},
        {"snapshot-logs", 1, 1, "ID", snapshot_logs},
        {"activate", 1, 1, "ID", activate},
        {"deactivate", 1, 1, "ID", deactivate},
        {"delete-snapshot", 1, 1, "ID", delete_snapshot},
        {"secrets", 0, 0, "", secrets},
        {"secret", 1, 1, "ID", secret},
        {"create-secret", 1, 1, "NAME", create_secret},
        {"update-secret", 1, 1, "ID", update_secret},
        {"delete-secret", 1, 1, "ID", delete_secret},
        {"pools", 0, 0, "", pools},
        {"create-pool", 2, 2, "SNAPSHOT SIZE", create_pool},
        {"update-pool", 2, 2, "ID SIZE", update_pool},
        {"delete-pool", 1, 1, "ID", delete_pool},
        {.name = NULL},
    };

    return example_main(argc, argv, false, verbs);
}
