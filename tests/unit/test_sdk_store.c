/* Snapshots and volumes of an organization. */
#include "unit.h"

#include "sdk_rig.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define V "/api/volumes"
#define VOLUME(state)                                                                              \
    "{\"id\":\"v1\",\"name\":\"data\",\"state\":\"" state "\",\"errorReason\":\"e\"}"

TEST(volumes_are_made_found_and_deleted)
{
    static const struct step steps[] = {
        {.request = "POST " V, .status = 200, .body = VOLUME("pending_create")},
        {.request = "GET " V "/v1", .status = 200, .body = VOLUME("creating")},
        {.request = "GET " V "/v1", .status = 200, .body = VOLUME("ready")},
        {.request = "POST " V, .status = 200, .body = VOLUME("error")},
        {.request = "POST " V, .status = 200, .body = VOLUME("creating")},
        {.request = "GET " V "/by-name/a%20b", .status = 200, .body = VOLUME("ready")},
        {.request = "GET " V "/by-name/no", .status = 404, .body = "{\"message\":\"x\"}"},
        {.request = "GET " V, .status = 200, .body = "[" VOLUME("ready") "]"},
        {.request = "GET " V, .status = 200, .body = "[{\"id\":\"v\"}]"},
        {.request = "DELETE " V "/v1", .status = 200},
        {.request = "DELETE " V "/v1", .status = 409, .body = "{\"message\":\"in use\"}"},
        RIG_END,
    };
    struct daytona_volume v, *list;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_volume_create(rig.client, "data", 0, &v), 0);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"name\":\"data\"}");
    assert_string_equal(v.state, "ready");
    daytona_volume_done(&v);
    EXPECT(daytona_volume_create(rig.client, "data", 0, &v), -EIO);
    EXPECT(daytona_volume_create(rig.client, "data", -1, &v), 0);
    daytona_volume_done(&v);
    EXPECT(daytona_volume_get(rig.client, "a b", &v), 0);
    daytona_volume_done(&v);
    EXPECT(daytona_volume_get(rig.client, "no", &v), -ENOENT);
    EXPECT(daytona_volume_get(rig.client, "..", &v), -EINVAL);
    EXPECT(daytona_volume_list(rig.client, &list, &count), 0);
    assert_int_equal(count, 1);
    daytona_volume_list_free(list, count);
    EXPECT(daytona_volume_list(rig.client, &list, &count), -EPROTO);
    EXPECT(daytona_volume_delete(rig.client, "v1"), 0);
    EXPECT(daytona_volume_delete(rig.client, "v1"), -EEXIST);
    script_check(&rig.script);
}

#define S "/api/snapshots"
#define SNAPSHOT(state)                                                                            \
    "{\"id\":\"s1\",\"name\":\"img\",\"state\":\"" state "\",\"mem\":2,\"size\":null,"             \
    "\"errorReason\":null,\"entrypoint\":null}"

TEST(snapshots_are_made_found_and_deleted)
{
    static const struct step steps[] = {
        {.request = "POST " S, .status = 200, .body = SNAPSHOT("pending")},
        {.request = "GET " S "/s1", .status = 200, .body = SNAPSHOT("active")},
        {.request = "POST " S, .status = 200, .body = SNAPSHOT("build_failed")},
        {.request = "GET " S "/img", .status = 200, .body = SNAPSHOT("active")},
        {.request = "POST " S "/s1/activate", .status = 200, .body = SNAPSHOT("active")},
        {.request = "POST " S "/s1/deactivate", .status = 204},
        {.request = "DELETE " S "/s1", .status = 200},
        RIG_END,
    };
    static const char *const entrypoint[] = {"sleep", "1"};
    const struct daytona_snapshot_params params = {.name = "img",
                                                   .image = "debian:12",
                                                   .entrypoint = entrypoint,
                                                   .entrypoint_count = 2,
                                                   .memory_gib = 2},
                                         built = {.name = "img", .dockerfile = "FROM x\n"},
                                         both = {.name = "x", .image = "y", .dockerfile = "z"},
                                         none = {.name = "x"};
    struct daytona_snapshot s;

    script_set(&rig.script, steps);
    EXPECT(daytona_snapshot_create(rig.client, &params, 0, &s), 0);
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{\"name\":\"img\",\"imageName\":\"debian:12\",\"entrypoint\":[\"sleep\","
                        "\"1\"],\"memory\":2}");
    assert_true(s.memory_gib == 2);
    daytona_snapshot_done(&s);
    EXPECT(daytona_snapshot_create(rig.client, &built, 0, &s), -EIO);
    assert_non_null(
        strstr(buf_str(&rig.script.bodies), "\"buildInfo\":{\"dockerfileContent\":\"FROM x\\n\"}"));
    EXPECT(daytona_snapshot_create(rig.client, &both, 0, &s), -EINVAL);
    EXPECT(daytona_snapshot_create(rig.client, &none, 0, &s), -EINVAL);
    EXPECT(daytona_snapshot_get(rig.client, "img", &s), 0);
    daytona_snapshot_done(&s);
    EXPECT(daytona_snapshot_activate(rig.client, "s1"), 0);
    EXPECT(daytona_snapshot_deactivate(rig.client, "s1"), 0);
    EXPECT(daytona_snapshot_delete(rig.client, "s1"), 0);
    script_check(&rig.script);
}

TEST(every_page_of_snapshots_is_read)
{
    struct buf page = BUF_INIT(1 << 20);
    struct daytona_snapshot *list;
    size_t count;

    (void)buf_puts(&page, "{\"items\":[");
    for (int i = 0; i < 100; i++)
        (void)buf_printf(&page, "%s{\"id\":\"s%d\",\"name\":\"n\"}", i ? "," : "", i);
    (void)buf_puts(&page, "],\"total\":101}");
    const struct step steps[] = {
        {.request = "GET " S "?page=1&limit=100", .status = 200, .body = page.data},
        {.request = "GET " S "?page=2&limit=100",
         .status = 200,
         .body = "{\"items\":[{\"id\":\"last\",\"name\":\"n\"}]}"},
        RIG_END,
    };

    script_set(&rig.script, steps);
    EXPECT(daytona_snapshot_list(rig.client, &list, &count), 0);
    assert_int_equal(count, 101);
    assert_string_equal(list[100].id, "last");
    daytona_snapshot_list_free(list, count);
    script_check(&rig.script);
    buf_done(&page);
}

TEST(a_sandbox_can_be_made_from_a_dockerfile)
{
    static const struct step steps[] = {
        {.request = "POST /api/sandbox", .status = 200, .body = RIG_SANDBOX("started")},
        RIG_END,
    };
    const struct daytona_sandbox_params params = {.dockerfile = "FROM x\nRUN y\n"},
                                        both = {.dockerfile = "FROM x\n", .image = "y"};
    struct daytona_sandbox *made;

    script_set(&rig.script, steps);
    EXPECT(daytona_sandbox_create(rig.client, &both, 0, &made), -EINVAL);
    EXPECT(daytona_sandbox_create(rig.client, &params, 0, &made), 0);
    assert_non_null(strstr(buf_str(&rig.script.bodies),
                           "\"buildInfo\":{\"dockerfileContent\":\"FROM x\\nRUN y\\n\""));
    daytona_sandbox_unref(made);
    script_check(&rig.script);
}

#define C "/api/secret"
#define SECRET(name)                                                                               \
    "{\"id\":\"c1\",\"name\":\"" name                                                              \
    "\",\"placeholder\":\"p\",\"createdAt\":\"\",\"hosts\":[\"a\"]}"

TEST(secrets_are_made_changed_and_deleted)
{
    static const struct step steps[] = {
        {.request = "POST " C, .status = 201, .body = SECRET("key")},
        {.request = "POST " C, .status = 409, .body = "{\"message\":\"taken\"}"},
        {.request = "GET " C "/c1", .status = 200, .body = SECRET("key")},
        {.request = "PATCH " C "/c1", .status = 200, .body = SECRET("key")},
        {.request = "GET " C, .status = 200, .body = "[" SECRET("key") "]"},
        {.request = "GET " C, .status = 200, .body = "[{\"name\":1}]"},
        {.request = "DELETE " C "/c1", .status = 204},
        {.request = "PUT /api/sandbox/sb-1/secrets", .status = 200, .body = RIG_SANDBOX("started")},
        RIG_END,
    };
    static const char *const hosts[] = {"a"};
    const struct daytona_secret_params params = {
        .name = "key", .value = "v", .hosts = hosts, .host_count = 1};
    const struct daytona_secret_params change = {.name = "ignored", .description = "d"};
    const struct daytona_pair use = {(char *)"KEY", (char *)"key"};
    struct daytona_secret s, *list;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_secret_create(rig.client, &params, &s), 0);
    assert_int_equal(s.host_count, 1);
    assert_string_equal(s.hosts[0], "a");
    daytona_secret_done(&s);
    EXPECT(daytona_secret_create(rig.client, &params, &s), -EEXIST);
    EXPECT(daytona_secret_get(rig.client, "c1", &s), 0);
    assert_string_equal(s.placeholder, "p");
    daytona_secret_done(&s);
    EXPECT(daytona_secret_update(rig.client, "c1", &change), 0);
    EXPECT(daytona_secret_list(rig.client, &list, &count), 0);
    assert_int_equal(count, 1);
    daytona_secret_list_free(list, count);
    EXPECT(daytona_secret_list(rig.client, &list, &count), -EPROTO);
    EXPECT(daytona_secret_delete(rig.client, "c1"), 0);
    EXPECT(daytona_sandbox_set_secrets(rig.box, &use, 1), 0);
    script_check(&rig.script);
    assert_string_equal(buf_str(&rig.script.bodies),
                        "{\"name\":\"key\",\"value\":\"v\",\"hosts\":[\"a\"]}"
                        "{\"name\":\"key\",\"value\":\"v\",\"hosts\":[\"a\"]}"
                        "{\"description\":\"d\"}"
                        "{\"secrets\":[{\"KEY\":\"key\"}]}");
}

#define W "/api/warm-pools"
#define POOL "{\"id\":\"w1\",\"snapshot\":\"s\",\"pool\":2,\"currentSize\":1,\"mem\":4}"

TEST(warm_pools_are_made_changed_and_deleted)
{
    static const struct step steps[] = {
        {.request = "POST " W, .status = 201, .body = POOL},
        {.request = "PATCH " W "/w1", .status = 200, .body = POOL},
        {.request = "GET " W, .status = 200, .body = "[" POOL "]"},
        {.request = "DELETE " W "/w1", .status = 204},
        {.request = "DELETE " W "/w1", .status = 404, .body = "{\"message\":\"gone\"}"},
        RIG_END,
    };
    struct daytona_warm_pool p, *list;
    size_t count;

    script_set(&rig.script, steps);
    EXPECT(daytona_warm_pool_create(rig.client, "s", 2, NULL, &p), 0);
    assert_true(p.pool == 2 && p.current_size == 1 && p.memory_gib == 4);
    daytona_warm_pool_done(&p);
    EXPECT(daytona_warm_pool_update(rig.client, "w1", 3), 0);
    EXPECT(daytona_warm_pool_list(rig.client, &list, &count), 0);
    assert_int_equal(count, 1);
    daytona_warm_pool_list_free(list, count);
    EXPECT(daytona_warm_pool_delete(rig.client, "w1"), 0);
    EXPECT(daytona_warm_pool_delete(rig.client, "w1"), -ENOENT);
    script_check(&rig.script);
    assert_string_equal(buf_str(&rig.script.bodies), "{\"snapshot\":\"s\",\"pool\":2}{\"pool\":3}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(secrets_are_made_changed_and_deleted),
        RIG_TEST(warm_pools_are_made_changed_and_deleted),
        RIG_TEST(volumes_are_made_found_and_deleted),
        RIG_TEST(snapshots_are_made_found_and_deleted),
        RIG_TEST(a_sandbox_can_be_made_from_a_dockerfile),
        RIG_TEST(every_page_of_snapshots_is_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
