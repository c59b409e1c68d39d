#include "unit.h"

#include "http/http.h"
#include "http/url.h"
#include "loopback.h"
#include "util/cancel.h"
#include "util/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OK_EMPTY "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
#define OK_HELLO "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"

static void answer_all(struct peer *p, void *arg)
{
    struct loopback_request req;

    while (peer_take(p, &req)) {
        loopback_request_done(&req);
        peer_send(p, arg);
    }
}

TEST(an_answer_comes_back)
{
    struct loopback s;
    struct http *h;
    struct http_response res;
    char url[64];

    loopback_start(&s, answer_all, OK_HELLO);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/x", s.port);
    assert_int_equal(http_new(&(struct http_config){0}, &h), 0);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(
            http_perform(h, &(struct http_request){.name = "t", .method = "GET", .url = url}, &res),
            0);
        assert_int_equal(res.status, 200);
        assert_string_equal(buf_str(&res.body), "hello");
        http_response_done(&res);
    }
    assert_int_equal(atomic_load(&s.connections), 1);
    http_free(h);
    loopback_stop(&s);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_answer_comes_back),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
