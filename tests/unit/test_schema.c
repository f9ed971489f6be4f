/*
 * Bodies: what is JSON, what type a body has, and bodies against tables.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "api/body.h"
#include "api/schema.h"

static const char *check_signal(const json_t *value)
{
    if (json_is_string(value) && strcmp(json_string_value(value), "SIGTERM") != 0)
        return "a signal's name or number";
    return NULL;
}

static const char *const full_words[] = {"drop_oldest", "drop_newest", "block", NULL};
static const struct field stop_fields[] = {
    {.name = "signal", .type = FIELD_STRING | FIELD_INTEGER, .check = check_signal},
    {.name = "grace_seconds", .type = FIELD_NUMBER, .max = 86400},
    {0},
};
static const struct field output_fields[] = {
    {.name = "max_bytes", .type = FIELD_INTEGER, .min = 1, .max = 1e12},
    {.name = "when_full", .type = FIELD_STRING, .words = full_words},
    {0},
};
static const struct field any_string = {.name = "", .type = FIELD_STRING, .max = 8};
static const struct field table[] = {
    {.name = "argv",
     .type = FIELD_ARRAY,
     .required = true,
     .min = 1,
     .max = 4,
     .items = &any_string},
    {.name = "env", .type = FIELD_OBJECT, .open = true, .items = &any_string},
    {.name = "daemon", .type = FIELD_BOOL},
    {.name = "timeout_seconds", .type = FIELD_NUMBER | FIELD_NULL},
    {.name = "stop", .type = FIELD_OBJECT, .fields = stop_fields},
    {.name = "output", .type = FIELD_OBJECT, .fields = output_fields},
    {0},
};

static json_t *body;

static struct problem *check(const char *text)
{
    json_decref(body);
    body = NULL;
    struct problem *problem = body_parse(text, strlen(text), &body);
    assert_null(problem);
    return schema_check(body, table);
}

static int drop_body(void **state)
{
    json_decref(body);
    body = NULL;
    return 0;
}

static void one_fault(const char *text, const char *code, const char *pointer, const char *part)
{
    struct problem *problem = check(text);

    assert_non_null(problem);
    assert_int_equal(problem->fault_count, 1);
    assert_string_equal(problem->faults[0].code, code);
    assert_string_equal(problem->faults[0].place, pointer);
    if (strstr(problem->faults[0].detail, part) == NULL)
        fail_msg("%s", problem->faults[0].detail);
    assert_int_equal(problem_status(problem), 422);
    problem_free(problem);
}

static void a_body_as_the_table_says_passes(void **state)
{
    assert_null(check("{\"argv\":[\"a\"]}"));
    assert_null(check("{\"argv\":[\"a\",\"b\"],\"env\":{\"K\":\"V\"},\"daemon\":true,"
                      "\"timeout_seconds\":null,\"stop\":{\"signal\":15,\"grace_seconds\":0.5},"
                      "\"output\":{\"max_bytes\":1,\"when_full\":\"block\"}}"));
}

static void each_kind_of_fault_names_its_place(void **state)
{
    one_fault("{}", "missing_field", "/argv", "needed");
    one_fault("{\"argv\":[]}", "invalid_value", "/argv", "from 1 to 4 items long");
    one_fault("{\"argv\":[\"a\",1]}", "invalid_value", "/argv/1", "a string");
    one_fault("{\"argv\":\"a\"}", "invalid_value", "/argv", "an array");
    one_fault("{\"argv\":[\"123456789\"]}", "invalid_value", "/argv/0", "from 0 to 8 bytes long");
    one_fault("{\"argv\":[\"a\"],\"env\":{\"a/b~c\":1}}", "invalid_value", "/env/a~1b~0c",
              "a string");
    one_fault("{\"argv\":[\"a\"],\"damon\":true}", "unknown_field", "/damon", "mean \"daemon\"?");
    one_fault("{\"argv\":[\"a\"],\"zzz\":true}", "unknown_field", "/zzz", "not known here.");
    one_fault("{\"argv\":[\"a\"],\"stop\":{\"grace\":1}}", "unknown_field", "/stop/grace",
              "not known");
    one_fault("{\"argv\":[\"a\"],\"stop\":{\"signal\":\"X\"}}", "invalid_value", "/stop/signal",
              "a signal's name or number");
    one_fault("{\"argv\":[\"a\"],\"stop\":{\"signal\":1.5}}", "invalid_value", "/stop/signal",
              "a string or an integer");
    one_fault("{\"argv\":[\"a\"],\"stop\":{\"grace_seconds\":-1}}", "invalid_value",
              "/stop/grace_seconds", "from 0 to 86400.");
    one_fault("{\"argv\":[\"a\"],\"output\":{\"when_full\":\"wait\"}}", "invalid_value",
              "/output/when_full", "\"drop_oldest\", \"drop_newest\" or \"block\"");
    one_fault("{\"argv\":null}", "invalid_value", "/argv", "an array");
    one_fault("{\"argv\":[null]}", "invalid_value", "/argv/0", "a string");
    one_fault("{\"argv\":[\"a\"],\"env\":{\"K\":null}}", "invalid_value", "/env/K", "a string");
    assert_null(check("{\"argv\":[\"a\"],\"daemon\":null,\"env\":null,\"stop\":{\"signal\":null}}"));
}

static void all_faults_come_at_once(void **state)
{
    struct problem *problem =
        check("{\"shel\":1,\"daemon\":0,\"output\":{\"max_bytes\":0,\"x\":1}}");

    assert_int_equal(problem->code, PROBLEM_UNKNOWN_FIELD);
    assert_int_equal(problem->fault_count, 5);
    problem_free(problem);
}

static void a_flood_of_faults_is_cut(void **state)
{
    char text[8192] = "{\"argv\":[\"a\"],\"env\":{";
    size_t at = strlen(text);

    for (int i = 0; i < 500; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "\"%d\":1,", i);
    snprintf(text + at - 1, sizeof text - at, "}}");
    struct problem *problem = check(text);
    assert_int_equal(problem->fault_count, SCHEMA_FAULTS);
    problem_free(problem);
}

static void getters_give_the_standard_for_missing_and_null(void **state)
{
    assert_null(
        check("{\"argv\":[\"a\"],\"timeout_seconds\":null,\"stop\":{\"grace_seconds\":0.1}}"));
    assert_int_equal(field_seconds_us(body, "timeout_seconds", -7), -7);
    assert_int_equal(field_seconds_us(field_value(body, "stop"), "grace_seconds", 0), 100000);
    assert_null(field_value(body, "timeout_seconds"));
    assert_null(field_value(body, "output"));
    assert_int_equal(field_integer(field_value(body, "output"), "max_bytes", 5), 5);
    assert_string_equal(field_text(body, "name", "none"), "none");
    assert_true(field_bool(body, "daemon", true));
    assert_null(check("{\"argv\":[\"a\"],\"timeout_seconds\":1e300}"));
    assert_int_equal(field_seconds_us(body, "timeout_seconds", 0), INT64_MAX);
}

static void what_is_no_json_object_is_refused(void **state)
{
    static const char *const texts[] = {
        "",
        " ",
        "x",
        "1",
        "null",
        "[]",
        "\"a\"",
        "{",
        "{}}",
        "{} x",
        "{\"a\":1,\"a\":2}",
        "{\"a\":\"\\u0000\"}",
        "{\"a\":\"\xFF\"}",
        "\xEF\xBB\xBF{}",
        "{\"a\":1e400}",
        "{\"a\":\"\\ud800\"}",
        "{a:1}",
        "{'a':1}",
        "{\"a\":01}",
        "{\"a\":NaN}",
        "{\"a\":1,}",
    };

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        json_t *out;
        struct problem *problem = body_parse(texts[i], strlen(texts[i]), &out);
        if (problem == NULL)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(problem->code, PROBLEM_INVALID_JSON);
        assert_null(out);
        problem_free(problem);
    }
}

static void a_whole_number_beyond_64_bits_is_out_of_range(void **state)
{
    static const char *const texts[] = {"{\"a\":9223372036854775808}", "{\"a\":[-9223372036854775809]}"};
    json_t *out;

    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct problem *problem = body_parse(texts[i], strlen(texts[i]), &out);
        assert_non_null(problem);
        assert_int_equal(problem->code, PROBLEM_OUT_OF_RANGE);
        assert_null(out);
        problem_free(problem);
    }
}

static void nesting_is_taken_up_to_sixty_four(void **state)
{
    char text[300000];
    json_t *out;

    memset(text, 0, sizeof text);
    memcpy(text, "{\"[\\\"[\":", 8);
    memset(text + 8, '[', 63);
    memset(text + 71, ']', 63);
    text[134] = '}';
    assert_null(body_parse(text, 135, &out));
    json_decref(out);
    memset(text + 8, '[', 200000);
    struct problem *problem = body_parse(text, 200008, &out);
    assert_non_null(strstr(problem->detail, "64 deep"));
    problem_free(problem);
}

static void only_json_is_taken_for_json(void **state)
{
    static const char *const good[] = {"application/json", "Application/JSON ; charset=\"UTF-8\"",
                                       "application/json;charset=utf-8 "};
    static const char *const bad[] = {"",
                                      "text/plain",
                                      "application/jsonx",
                                      "application/json; a=b",
                                      "application/json;charset=utf-16",
                                      "application/json, text/plain",
                                      "application/json;charset=utf-8;x"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(body_check_type(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct problem *problem = body_check_type(bad[i]);
        assert_int_equal(problem_status(problem), 415);
        problem_free(problem);
    }
    struct problem *problem = body_check_type(NULL);
    assert_int_equal(problem_status(problem), 415);
    problem_free(problem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_body_as_the_table_says_passes, drop_body),
        cmocka_unit_test_teardown(each_kind_of_fault_names_its_place, drop_body),
        cmocka_unit_test_teardown(all_faults_come_at_once, drop_body),
        cmocka_unit_test_teardown(a_flood_of_faults_is_cut, drop_body),
        cmocka_unit_test_teardown(getters_give_the_standard_for_missing_and_null, drop_body),
        cmocka_unit_test(what_is_no_json_object_is_refused),
        cmocka_unit_test(a_whole_number_beyond_64_bits_is_out_of_range),
        cmocka_unit_test(nesting_is_taken_up_to_sixty_four),
        cmocka_unit_test(only_json_is_taken_for_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
