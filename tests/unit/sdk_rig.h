/* sdk_rig.h - a scripted Daytona, a client of it and a sandbox: for tests of the SDK's calls. */
#ifndef TESTS_SDK_RIG_H
#define TESTS_SDK_RIG_H

#include "script.h"

#include <daytona/daytona.h>

#define RIG_KEY "dtn_secret-key-0123456789"
#define RIG_BOX "/toolbox/sb-1"
#define RIG_SANDBOX(state)                                                                         \
    "{\"id\":\"sb-1\",\"name\":\"box\",\"state\":\"" state "\",\"autoStopInterval\":0,"            \
    "\"labels\":{\"a\":\"b\"},\"toolboxProxyUrl\":\"$/toolbox/\"}"
#define RIG_END                                                                                    \
    {                                                                                              \
        .request = NULL                                                                            \
    }

struct sdk_rig {
    struct script script;
    struct daytona_client *client;
    struct daytona_sandbox *box;
};

/* No credential of whoever runs the tests is used from here on. */
void sdk_rig_clear_environment(void);
int sdk_rig_start(struct sdk_rig *r); /* the box is got already */
void sdk_rig_stop(struct sdk_rig *r);

/* One for each test of a program, for cmocka. */
extern struct sdk_rig rig;
int sdk_rig_setup(void **state);
int sdk_rig_teardown(void **state);
#define RIG_TEST(name) cmocka_unit_test_setup_teardown(name, sdk_rig_setup, sdk_rig_teardown)

/* Fails the test with what the last error says unless r is wanted. */
void sdk_expect(int r, int wanted, const char *file, int line);
#define EXPECT(call, wanted) sdk_expect((call), (wanted), __FILE__, __LINE__)

#endif
