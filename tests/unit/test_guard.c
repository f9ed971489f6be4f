/*
 * The guard: framing, Host, and requests that pages of other sites make.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "api/guard.h"

static const char *const own_hosts[] = {"forkful.example"};
static const struct guard_rules tcp = {.hosts = own_hosts, .host_count = 1, .address = "127.0.0.2"};
static const struct guard_rules with_tls = {.address = "127.0.0.2", .tls = true};
static const struct guard_rules unix_socket = {.address = "", .is_unix = true};
static const struct guard_request reads = {.reads = true};
static const struct guard_request writes = {0};
static const struct guard_request opens_page = {.reads = true, .navigates_to_page = true};

/* Name, value, … NULL → the status of the refusal, 0 when it passes. */
static int status_of(const struct guard_rules *rules, const struct guard_request *request, ...)
{
    struct head head = {0};
    va_list headers;
    const char *name;

    va_start(headers, request);
    while ((name = va_arg(headers, const char *)) != NULL)
        head_add(&head, name, strlen(name), va_arg(headers, const char *));
    va_end(headers);
    struct problem *problem = guard_check(&head, rules, request);
    int status = problem != NULL ? problem_status(problem) : 0;
    problem_free(problem);
    return status;
}

#define HOST "Host", "localhost:8717"

static void an_ordinary_request_passes(void **state)
{
    assert_int_equal(status_of(&tcp, &reads, HOST, "Accept", "*/*", "X-Any", "", NULL), 0);
    assert_int_equal(status_of(&tcp, &writes, HOST, "content-LENGTH", "5", NULL), 0);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Transfer-Encoding", "Chunked", NULL), 0);
}

static void headers_that_make_readers_disagree_are_refused(void **state)
{
    static const char *const pairs[][4] = {
        {"Content-Length", "1", "Content-Length", "1"},
        {"Content-Length", "1", "Transfer-Encoding", "chunked"},
        {"Transfer-Encoding", "chunked", "transfer-encoding", "chunked"},
        {"Transfer-Encoding", "gzip, chunked", "X", "1"},
        {"Transfer-Encoding", "identity", "X", "1"},
        {"Content-Length", "1,1", "X", "1"},
        {"Content-Length", "+1", "X", "1"},
        {"Content-Length", "", "X", "1"},
        {"Content-Length", "99999999999999999999", "X", "1"},
        {"X Y", "1", "X", "1"},
        {"X\x80", "1", "X", "1"},
        {"", "1", "X", "1"},
        {"Host", "localhost", "X", "1"},
        {"Expect", "200-ok", "X", "1"},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        int status = status_of(&tcp, &writes, HOST, pairs[i][0], pairs[i][1], pairs[i][2],
                               pairs[i][3], NULL);
        if (status != 400)
            fail_msg("%s: %s gives %d", pairs[i][0], pairs[i][1], status);
    }
}

static void control_bytes_are_no_part_of_a_value(void **state)
{
    static const char *const values[] = {"a\rHost: evil.test", "a\r", "\x01", "a\x7f", "\x1b[2J"};

    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_int_equal(status_of(&tcp, &reads, HOST, "X-Any", values[i], NULL), 400);
        assert_int_equal(status_of(&tcp, &reads, HOST, "Authorization", values[i], NULL), 400);
    }
    assert_int_equal(status_of(&tcp, &reads, HOST, "X-Any", "a\tb \xc3\xa9", NULL), 0);
}

static void a_get_takes_no_body(void **state)
{
    assert_int_equal(status_of(&tcp, &reads, HOST, "Content-Length", "1", NULL), 400);
    assert_int_equal(status_of(&tcp, &reads, HOST, "Transfer-Encoding", "chunked", NULL), 400);
    assert_int_equal(status_of(&tcp, &reads, HOST, "Content-Length", "0", NULL), 0);
}

static void only_our_own_names_are_answered_for(void **state)
{
    static const char *const ours[] = {"localhost",       "LOCALHOST:1",        "127.0.0.1",
                                       "[::1]",           "[::1]:80",           "127.0.0.2:9",
                                       "forkful.example", "Forkful.Example:443"};
    static const char *const foreign[] = {
        "evil.test", "localhost.", "localhost.evil.test", "",
        ":80",       "127.0.0.3",  "localhost:8x",        "[::1",
        "[::1]x",    "::1",        "localhost@evil.test", "evil.test:8717"};

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++)
        assert_int_equal(status_of(&tcp, &reads, "Host", ours[i], NULL), 0);
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        if (status_of(&tcp, &reads, "Host", foreign[i], NULL) != 421)
            fail_msg("answered for: %s", foreign[i]);
    assert_int_equal(status_of(&tcp, &reads, NULL, NULL), 400);
}

static void before_http_1_1_a_host_may_be_missing_but_not_be_wrong(void **state)
{
    static const struct guard_request old = {.http_1_0 = true, .reads = true};

    assert_int_equal(status_of(&tcp, &old, NULL, NULL), 0);
    assert_int_equal(status_of(&tcp, &old, "Host", "evil.test", NULL), 421);
    assert_int_equal(status_of(&tcp, &old, "Origin", "http://localhost:8717", NULL), 403);
}

static void the_unix_socket_takes_any_host(void **state)
{
    assert_int_equal(status_of(&unix_socket, &reads, "Host", "anything", NULL), 0);
    assert_int_equal(status_of(&unix_socket, &reads, NULL, NULL), 0);
    assert_int_equal(status_of(&unix_socket, &reads, "Host", "a", "Host", "a", NULL), 400);
}

static void pages_of_other_origins_are_refused(void **state)
{
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "http://localhost:8717", NULL), 0);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "https://localhost:8717", NULL), 0);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "http://localhost", NULL), 403);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "http://evil.test", NULL), 403);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "null", NULL), 403);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "", NULL), 403);
    assert_int_equal(status_of(&tcp, &writes, HOST, "Origin", "ftp://localhost:8717", NULL), 403);
    assert_int_equal(status_of(&with_tls, &writes, HOST, "Origin", "https://localhost:8717", NULL), 0);
    assert_int_equal(status_of(&with_tls, &writes, HOST, "Origin", "http://localhost:8717", NULL), 403);
}

static void what_a_browser_sends_for_other_sites_is_refused_but_for_following_a_link(void **state)
{
    assert_int_equal(status_of(&tcp, &reads, HOST, "Sec-Fetch-Site", "same-origin", NULL), 0);
    assert_int_equal(status_of(&tcp, &reads, HOST, "Sec-Fetch-Site", "none", NULL), 0);
    assert_int_equal(status_of(&tcp, &reads, HOST, "Sec-Fetch-Site", "same-site", NULL), 403);
    assert_int_equal(status_of(&tcp, &reads, HOST, "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode",
                               "navigate", NULL),
                     403);
    assert_int_equal(status_of(&tcp, &opens_page, HOST, "Sec-Fetch-Site", "cross-site",
                               "Sec-Fetch-Mode", "navigate", NULL),
                     0);
    assert_int_equal(status_of(&tcp, &opens_page, HOST, "Sec-Fetch-Site", "cross-site",
                               "Sec-Fetch-Mode", "no-cors", NULL),
                     403);
}

static void a_flood_of_headers_is_refused(void **state)
{
    struct head head = {0};

    for (int i = 0; i < 101; i++)
        head_add(&head, "X", 1, "1");
    assert_non_null(head.refusal);
}

static void every_known_header_is_found_in_any_case(void **state)
{
    static const char *const names[HEADER_COUNT] = {
#define X(name, text, once) text,
        HEADERS(X)
#undef X
    };

    for (unsigned i = 0; i < HEADER_COUNT; i++)
        assert_int_equal(header_find(names[i], strlen(names[i])), i);
    assert_int_equal(header_find("hOST", 4), HEADER_HOST);
    assert_int_equal(header_find("Hos", 3), HEADER_COUNT);
    assert_int_equal(header_find("X-Something-Long-Unknown", 24), HEADER_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_ordinary_request_passes),
        cmocka_unit_test(headers_that_make_readers_disagree_are_refused),
        cmocka_unit_test(control_bytes_are_no_part_of_a_value),
        cmocka_unit_test(a_get_takes_no_body),
        cmocka_unit_test(only_our_own_names_are_answered_for),
        cmocka_unit_test(before_http_1_1_a_host_may_be_missing_but_not_be_wrong),
        cmocka_unit_test(the_unix_socket_takes_any_host),
        cmocka_unit_test(pages_of_other_origins_are_refused),
        cmocka_unit_test(what_a_browser_sends_for_other_sites_is_refused_but_for_following_a_link),
        cmocka_unit_test(a_flood_of_headers_is_refused),
        cmocka_unit_test(every_known_header_is_found_in_any_case),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
