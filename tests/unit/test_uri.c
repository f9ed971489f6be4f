/*
 * Request targets and query strings: what is taken, as what, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/query.h"
#include "api/uri.h"

static char buffer[4096];
static struct uri uri;

static const char *parse(const char *target)
{
    snprintf(buffer, sizeof buffer, "%s", target);
    return uri_parse(buffer, strlen(target), &uri);
}

static void a_path_is_split_and_each_segment_decoded(void **state)
{
    assert_null(parse("/v1/processes/p%5F1/join?wait=5&x"));
    assert_int_equal(uri.count, 4);
    assert_string_equal(uri.segments[0].data, "v1");
    assert_string_equal(uri.segments[1].data, "processes");
    assert_string_equal(uri.segments[2].data, "p_1");
    assert_int_equal(uri.segments[2].bytes, 3);
    assert_string_equal(uri.segments[3].data, "join");
    assert_string_equal(uri.query, "wait=5&x");
}

static void the_root_has_no_segment_and_a_slash_at_the_end_an_empty_one(void **state)
{
    assert_null(parse("/"));
    assert_int_equal(uri.count, 0);
    assert_null(uri.query);
    assert_null(parse("/?"));
    assert_int_equal(uri.count, 0);
    assert_string_equal(uri.query, "");
    assert_null(parse("/a/"));
    assert_int_equal(uri.count, 2);
    assert_string_equal(uri.segments[1].data, "");
}

static void a_target_may_begin_with_a_scheme(void **state)
{
    assert_int_equal(uri_scheme_bytes("http://localhost/v1"), 7);
    assert_int_equal(uri_scheme_bytes("HTTPS://localhost"), 8);
    assert_int_equal(uri_scheme_bytes("/http://localhost"), 0);
    assert_int_equal(uri_scheme_bytes("http:/localhost"), 0);
    assert_int_equal(uri_scheme_bytes("ftp://localhost/"), 0);
    assert_int_equal(uri_scheme_bytes(""), 0);
}

static void utf8_and_reserved_characters_may_stand_in_a_segment(void **state)
{
    assert_null(parse("/%C3%BC/a+b:@!$&'()*,;=-._~/%25%3F%23"));
    assert_string_equal(uri.segments[0].data, "\xC3\xBC");
    assert_string_equal(uri.segments[1].data, "a+b:@!$&'()*,;=-._~");
    assert_string_equal(uri.segments[2].data, "%?#");
}

static void targets_that_could_mean_two_things_are_refused(void **state)
{
    static const char *const targets[] = {
        "",
        "*",
        "a",
        "http://localhost/",
        "localhost:80",
        "//a",
        "/a//b",
        "/a/../b",
        "/a/./b",
        "/a/..",
        "/%2e%2e/b",
        "/%2E/b",
        "/.%2e",
        "/a%2fb",
        "/a%2Fb",
        "/a%5cb",
        "/a\\b",
        "/a%00b",
        "/a%0Ab",
        "/a%7f",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2x",
        "/a b",
        "/a\tb",
        "/a\x80",
        "/a#b",
        "/%ff",
        "/%C3",
        "/%ED%A0%80",
        "/a?b#c",
        "/a?b\x01",
        "/1/2/3/4/5/6/7/8/9/10/11/12/13/14/15/16/17",
    };

    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++)
        if (parse(targets[i]) == NULL)
            fail_msg("taken: %s", targets[i]);
}

/* ---- query ---- */

static const struct param params[] = {
    {"wait", PARAM_SECONDS, false}, {"limit", PARAM_UNSIGNED, false}, {"label", PARAM_TEXT, true},
    {"follow", PARAM_BOOL, false},  {"since", PARAM_TIME, false},     {NULL, PARAM_TEXT, false},
};

static struct query_pair pairs[64];
static struct query query;

static struct problem *read_query(const char *raw)
{
    snprintf(buffer, sizeof buffer, "%s", raw);
    query = (struct query){0, pairs};
    assert_true(query_pairs_most(raw) <= 64);
    return query_read(buffer, params, &query);
}

static void a_query_is_read_by_the_table(void **state)
{
    assert_null(
        read_query("wait=0.5&label=a%3Db&label=c+d&follow=true&since=2024-01-01T00:00:00+01:00&&"));
    assert_string_equal(query_value(&query, "wait"), "0.5");
    assert_string_equal(query_value(&query, "label"), "a=b");
    assert_int_equal(query.count, 5);
    assert_string_equal(pairs[2].value, "c d");
    assert_null(query_value(&query, "limit"));
    assert_null(read_query(""));
    assert_int_equal(query.count, 0);
}

static void all_faults_of_a_query_come_in_one_problem(void **state)
{
    struct problem *problem = read_query("wiat=1&limit=-1&follow=yes&since=now&wait=1&wait=2");

    assert_int_equal(problem->code, PROBLEM_UNKNOWN_PARAMETER);
    assert_int_equal(problem->fault_count, 5);
    assert_string_equal(problem->faults[0].place, "wiat");
    assert_non_null(strstr(problem->faults[0].detail, "did you mean \"wait\"?"));
    assert_string_equal(problem->faults[1].place, "limit");
    assert_string_equal(problem->faults[1].code, "invalid_parameter");
    assert_int_equal(problem->faults[1].where, FAULT_PARAMETER);
    problem_free(problem);
}

static void of_very_many_faults_of_a_query_only_some_are_told(void **state)
{
    char raw[1000] = "";

    for (int i = 0; i < 200; i++)
        strcat(raw, "x=1&");
    query = (struct query){0, pairs};
    struct problem *problem = query_read(raw, params, &query);
    assert_int_equal(problem->fault_count, QUERY_FAULTS);
    problem_free(problem);
}

static void a_query_that_cannot_be_decoded_is_malformed(void **state)
{
    static const char *const queries[] = {"label=%", "label=%00", "label=%ff", "%zz=1",
                                          "label=%1b"};

    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct problem *problem = read_query(queries[i]);
        assert_non_null(problem);
        assert_int_equal(problem->code, PROBLEM_BAD_REQUEST);
        problem_free(problem);
    }
}

static void numbers_are_digits_and_seconds_as_json_writes_them(void **state)
{
    uint64_t number;
    int64_t us;

    assert_true(query_unsigned("9223372036854775807", &number));
    assert_int_equal(number, INT64_MAX);
    assert_false(query_unsigned("9223372036854775808", &number));
    assert_false(query_unsigned("", &number) || query_unsigned("1 ", &number) ||
                 query_unsigned("+1", &number) || query_unsigned("0x1", &number));
    assert_true(query_seconds("1.5", &us));
    assert_int_equal(us, 1500000);
    assert_true(query_seconds("1.001", &us));
    assert_int_equal(us, 1001000);
    assert_true(query_seconds("0.0000019", &us));
    assert_int_equal(us, 2);
    assert_true(query_seconds("1e-05", &us)); /* what Python prints of what is left of a wait */
    assert_int_equal(us, 10);
    assert_true(query_seconds("2.5E+1", &us));
    assert_int_equal(us, 25000000);
    assert_true(query_seconds("1e999", &us));
    assert_int_equal(us, 366ll * 86400 * 1000000);
    assert_true(query_seconds("99999999999999999999999999", &us));
    assert_int_equal(us, 366ll * 86400 * 1000000);
    assert_false(query_seconds(".5", &us) || query_seconds("1.", &us) ||
                 query_seconds("1e", &us) || query_seconds("-1", &us) ||
                 query_seconds("0x1p3", &us) || query_seconds("1e-", &us) ||
                 query_seconds("e3", &us) || query_seconds("inf", &us) || query_seconds("", &us));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_path_is_split_and_each_segment_decoded),
        cmocka_unit_test(the_root_has_no_segment_and_a_slash_at_the_end_an_empty_one),
        cmocka_unit_test(a_target_may_begin_with_a_scheme),
        cmocka_unit_test(utf8_and_reserved_characters_may_stand_in_a_segment),
        cmocka_unit_test(targets_that_could_mean_two_things_are_refused),
        cmocka_unit_test(a_query_is_read_by_the_table),
        cmocka_unit_test(all_faults_of_a_query_come_in_one_problem),
        cmocka_unit_test(of_very_many_faults_of_a_query_only_some_are_told),
        cmocka_unit_test(a_query_that_cannot_be_decoded_is_malformed),
        cmocka_unit_test(numbers_are_digits_and_seconds_as_json_writes_them),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
