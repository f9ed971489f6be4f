/*
 * Failed logins: what a peer may do wrong, how it is forgiven, and that the places never run out;
 * and the codes to log in with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <arpa/inet.h>
#include <string.h>

#include "api/failures.h"
#include "service/login.h"

#define BURST 3
#define SECOND INT64_C(1000000)
#define NOW (1000 * SECOND)

static struct failures failures;

static int forget(void **state)
{
    (void)state;
    failures = (struct failures){.rest.full_at_us = 0};
    return 0;
}

static struct failure_peer at(const char *text)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6};
    struct sockaddr_in four = {.sin_family = AF_INET};
    if (inet_pton(AF_INET6, text, &six.sin6_addr) == 1) {
        return failure_peer_of_address((struct sockaddr *)&six);
    }
    assert_int_equal(inet_pton(AF_INET, text, &four.sin_addr), 1);
    return failure_peer_of_address((struct sockaddr *)&four);
}

static bool fails(const char *text, int64_t now_us)
{
    return failures_count(&failures, at(text), BURST, now_us);
}

static void exhaust(const char *text, int64_t now_us)
{
    for (int i = 0; i < BURST; i++) {
        assert_true(fails(text, now_us));
    }
    assert_false(fails(text, now_us));
}

static void a_burst_is_let_through_and_then_one_a_second(void **state)
{
    (void)state;
    exhaust("127.0.0.1", NOW);
    assert_false(fails("127.0.0.1", NOW + SECOND - 1));
    assert_true(fails("127.0.0.1", NOW + SECOND));
    assert_false(fails("127.0.0.1", NOW + SECOND));
    exhaust("127.0.0.1", NOW + 60 * SECOND);
}

static void who_is_refused_has_not_failed_once_more(void **state)
{
    (void)state;
    exhaust("127.0.0.1", NOW);
    for (int i = 0; i < 1000; i++) {
        assert_false(fails("127.0.0.1", NOW));
    }
    assert_true(fails("127.0.0.1", NOW + SECOND));
}

static void each_peer_has_its_own(void **state)
{
    static const char *const peers[] = {"127.0.0.1", "127.0.0.2", "::1", "2001:db8::1",
                                        "2001:db8:0:1::1"};
    (void)state;
    for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
        exhaust(peers[i], NOW);
    }
    for (uint32_t uid = 0; uid < 2; uid++) {
        for (int i = 0; i < BURST; i++) {
            assert_true(failures_count(&failures, failure_peer_of_user(uid), BURST, NOW));
        }
    }
    assert_false(failures_count(&failures, failure_peer_of_user(1), BURST, NOW));
}

static void a_network_of_64_bits_is_one_peer(void **state)
{
    (void)state;
    exhaust("2001:db8::1", NOW);
    assert_false(fails("2001:db8::ffff:ffff:ffff:ffff", NOW));
}

static unsigned count_all(unsigned peers, int64_t now_us)
{
    unsigned let = 0;
    for (uint32_t i = 0; i < peers; i++) {
        let += failures_count(&failures, failure_peer_of_user(i), BURST, now_us);
    }
    return let;
}

static void those_for_whom_there_is_no_place_share_one(void **state)
{
    (void)state;
    assert_int_equal(count_all(1000, NOW), FAILURE_PEERS + BURST);
    assert_int_equal(count_all(FAILURE_PEERS, NOW), FAILURE_PEERS);
    assert_int_equal(count_all(1000, NOW + 60 * SECOND), FAILURE_PEERS + BURST);
}

/* ---- codes ---- */

static struct login_code *made(struct login_codes *codes, int64_t now_us, char *shown)
{
    struct problem *problem = NULL;
    struct login_code *code =
        login_code_make(codes, 1, now_us, now_us + SECOND, shown, &problem);
    assert_non_null(code);
    assert_null(problem);
    return code;
}

static void a_code_is_found_until_it_is_used_or_late(void **state)
{
    struct login_codes codes = {0};
    char one[LOGIN_CODE_BYTES], two[LOGIN_CODE_BYTES];
    (void)state;
    struct login_code *first = made(&codes, NOW, one), *second = made(&codes, NOW, two);
    assert_string_not_equal(one, two);
    assert_ptr_equal(login_code_find(&codes, one, strlen(one), NOW), first);
    assert_ptr_equal(login_code_find(&codes, two, strlen(two), NOW), second);
    assert_null(login_code_find(&codes, one, strlen(one) - 1, NOW));
    assert_null(login_code_find(&codes, two, strlen(two), NOW + SECOND));
    login_code_end(first);
    assert_null(login_code_find(&codes, one, strlen(one), NOW));
    assert_ptr_equal(login_code_find(&codes, two, strlen(two), NOW), second);
}

static void nothing_is_kept_of_a_code_but_its_hash(void **state)
{
    struct login_codes codes = {0};
    char shown[LOGIN_CODE_BYTES];
    (void)state;
    made(&codes, NOW, shown);
    assert_null(memmem(&codes, sizeof codes, shown + 4, 16));
}

static void a_place_is_free_again_after_use_and_after_its_time(void **state)
{
    struct login_codes codes = {0};
    char shown[LOGIN_CODE_BYTES];
    struct problem *problem = NULL;
    struct login_code *last = NULL;
    (void)state;
    for (int i = 0; i < LOGIN_CODES; i++) {
        last = made(&codes, NOW, shown);
    }
    assert_null(login_code_make(&codes, 1, NOW, NOW + SECOND, shown, &problem));
    assert_int_equal(problem->code, PROBLEM_LIMIT_REACHED);
    problem_free(problem);
    login_code_end(last);
    made(&codes, NOW, shown);
    for (int i = 0; i < LOGIN_CODES; i++) {
        made(&codes, NOW + SECOND, shown);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_burst_is_let_through_and_then_one_a_second, forget),
        cmocka_unit_test_setup(who_is_refused_has_not_failed_once_more, forget),
        cmocka_unit_test_setup(each_peer_has_its_own, forget),
        cmocka_unit_test_setup(a_network_of_64_bits_is_one_peer, forget),
        cmocka_unit_test_setup(those_for_whom_there_is_no_place_share_one, forget),
        cmocka_unit_test(a_code_is_found_until_it_is_used_or_late),
        cmocka_unit_test(nothing_is_kept_of_a_code_but_its_hash),
        cmocka_unit_test(a_place_is_free_again_after_use_and_after_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
