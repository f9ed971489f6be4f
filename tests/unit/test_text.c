/*
 * The growing text, JSON output, UTF-8 and times.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "service/text.h"

static void adding_grows_the_text_and_keeps_it_terminated(void **state)
{
    struct text text = {0};

    for (int i = 0; i < 1000; i++)
        text_put(&text, "0123456789");
    text_printf(&text, "%d-%s", 42, "x");
    assert_false(text.failed);
    assert_int_equal(text.bytes, 10004);
    assert_string_equal(text.data + 10000, "42-x");
    text_clear(&text);
    assert_int_equal(text.bytes, 0);
    assert_string_equal(text.data, "");
    text_free(&text);
}

static void taking_an_empty_text_gives_an_empty_string(void **state)
{
    struct text text = {0};
    size_t bytes = 7;

    char *taken = text_take(&text, &bytes);
    assert_string_equal(taken, "");
    assert_int_equal(bytes, 0);
    assert_null(text.data);
    free(taken);
}

static void a_text_that_failed_stays_failed_and_gives_nothing(void **state)
{
    struct text text = {0};

    text_put(&text, "abc");
    assert_false(text_room(&text, SIZE_MAX - 2));
    assert_true(text.failed);
    text_put(&text, "def");
    assert_int_equal(text.bytes, 3);
    assert_null(text_take(&text, NULL));
    assert_null(text.data);
}

static void numbers_are_written_over_their_whole_range(void **state)
{
    struct text text = {0};

    text_number(&text, INT64_MIN);
    text_putc(&text, ' ');
    text_number(&text, INT64_MAX);
    text_putc(&text, ' ');
    text_unsigned(&text, UINT64_MAX);
    text_putc(&text, ' ');
    text_number(&text, 0);
    assert_string_equal(text.data,
                        "-9223372036854775808 9223372036854775807 18446744073709551615 0");
    text_free(&text);
}

static void json_is(const char *data, size_t bytes, const char *wanted)
{
    struct text text = {0};

    text_json_bytes(&text, data, bytes);
    assert_string_equal(text.data, wanted);
    text_free(&text);
}

static void control_characters_and_quotes_are_escaped(void **state)
{
    json_is("a\"b\\c\n\r\t\b\f\x01\x1f\x7f", 13,
            "\"a\\\"b\\\\c\\n\\r\\t\\b\\f\\u0001\\u001f\x7f\"");
    json_is("\0x", 2, "\"\\u0000x\"");
    json_is("", 0, "\"\"");
}

static void bytes_that_are_not_utf8_become_the_replacement_character(void **state)
{
    json_is("gr\xC3\xBC\xC3\x9F", 6, "\"gr\xC3\xBC\xC3\x9F\"");
    json_is("a\xFFz", 3, "\"a\xEF\xBF\xBDz\"");
    json_is("\xE2\x82", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
    json_is("\xC0\x80", 2, "\"\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

/* Whatever the bytes are, a parser takes the result. */
static void any_bytes_come_out_as_json_that_parses(void **state)
{
    char data[64];
    unsigned seed = 1;

    for (int round = 0; round < 20000; round++) {
        struct text text = {0};
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = (char)((seed = seed * 1103515245 + 12345) >> 16);
        text_json_bytes(&text, data, sizeof data);
        json_t *parsed = json_loadb(text.data, text.bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
        text_free(&text);
    }
}

static void json_keys_get_commas_where_they_belong(void **state)
{
    struct text text = {0};

    text_putc(&text, '{');
    text_json_key(&text, "a");
    text_json_bool(&text, true);
    text_json_key(&text, "b");
    text_putc(&text, '[');
    text_json_comma(&text);
    text_json_string(&text, NULL);
    text_json_comma(&text);
    text_json_string(&text, "[");
    text_json_comma(&text);
    text_put(&text, "1]}");
    assert_string_equal(text.data, "{\"a\":true,\"b\":[null,\"[\",1]}");
    text_free(&text);
}

static void base64_pads_as_rfc4648_says(void **state)
{
    static const char *const pairs[][2] = {
        {"", "\"\""},        {"f", "\"Zg==\""},        {"fo", "\"Zm8=\""},
        {"foo", "\"Zm9v\""}, {"foob", "\"Zm9vYg==\""}, {"\xff\xfe\xfd", "\"//79\""},
    };

    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        struct text text = {0};
        text_json_base64(&text, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(text.data, pairs[i][1]);
        text_free(&text);
    }
}

static void seconds_are_written_without_trailing_zeros(void **state)
{
    static const struct {
        int64_t us;
        const char *wanted;
    } rows[] = {
        {0, "0"},        {1500000, "1.5"}, {-1500000, "-1.5"},
        {1, "0.000001"}, {10000000, "10"}, {INT64_MIN, "-9223372036854.775808"},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct text text = {0};
        text_json_seconds(&text, rows[i].us);
        assert_string_equal(text.data, rows[i].wanted);
        text_free(&text);
    }
}

static void utf8_is_judged_by_the_table_of_rfc3629(void **state)
{
    static const struct {
        const char *data;
        size_t bytes;
        bool valid;
    } rows[] = {
        {"", 0, true},
        {"plain ascii of more than eight bytes", 36, true},
        {"\0", 1, true},
        {"\xC2\x80", 2, true},
        {"\xDF\xBF", 2, true},
        {"\xC1\xBF", 2, false},
        {"\xC2", 1, false},
        {"\xE0\xA0\x80", 3, true},
        {"\xE0\x9F\xBF", 3, false},
        {"\xED\x9F\xBF", 3, true},
        {"\xED\xA0\x80", 3, false},
        {"\xEE\x80\x80", 3, true},
        {"\xEF\xBF\xBF", 3, true},
        {"\xF0\x90\x80\x80", 4, true},
        {"\xF0\x8F\xBF\xBF", 4, false},
        {"\xF4\x8F\xBF\xBF", 4, true},
        {"\xF4\x90\x80\x80", 4, false},
        {"\xF5\x80\x80\x80", 4, false},
        {"\x80", 1, false},
        {"12345678\xE2\x82\xAC"
         "12345678",
         19, true},
        {"12345678\xE2\x82"
         "12345678",
         18, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(utf8_valid(rows[i].data, rows[i].bytes), rows[i].valid);
}

static void times_are_formatted_with_six_decimals_and_z(void **state)
{
    static const struct {
        int64_t us;
        const char *wanted;
    } rows[] = {
        {1, "1970-01-01T00:00:00.000001Z"},
        {-1, "1969-12-31T23:59:59.999999Z"},
        {951827696123456, "2000-02-29T12:34:56.123456Z"},
        {253402300799999999, "9999-12-31T23:59:59.999999Z"},
        {INT64_MAX, "9999-12-31T23:59:59.775807Z"},
    };
    char formatted[32];

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        time_format(rows[i].us, formatted);
        assert_string_equal(formatted, rows[i].wanted);
    }
}

static void every_formatted_time_parses_back(void **state)
{
    for (int64_t at = -40000000000000000; at < 200000000000000000; at += 86399123457000) {
        char formatted[32];
        int64_t parsed;
        time_format(at, formatted);
        assert_true(time_parse(formatted, &parsed));
        assert_int_equal(parsed, at);
    }
}

static void times_are_parsed_with_offsets_decimals_and_as_seconds(void **state)
{
    static const struct {
        const char *string;
        int64_t us;
    } rows[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t02:00:00.5+02:00", 500000},
        {"1970-01-01 02:00:00 02:00", 0},
        {"1969-12-31T22:30:00.000000999-01:30", 0},
        {"1970-01-01T00:00:00.123456789Z", 123456},
        {"2016-12-31T23:59:60Z", 1483228800000000},
        {"1700000000", 1700000000000000},
        {"1700000000.25", 1700000000250000},
        {"0", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t us = -1;
        assert_true(time_parse(rows[i].string, &us));
        assert_int_equal(us, rows[i].us);
    }
}

static void what_is_no_time_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "yesterday",
        "-1",
        "1.",
        ".5",
        "1e9",
        "99999999999999",
        "2024-01-01",
        "2024-02-30T00:00:00Z",
        "2023-02-29T00:00:00Z",
        "2024-13-01T00:00:00Z",
        "2024-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:60:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00",
        "2024-01-01T00:00:00.Z",
        "2024-01-01T00:00:00.1234567890Z",
        "2024-01-01T00:00:00Zx",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00+0200",
        "1.0000000001",
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t us;
        assert_false(time_parse(rows[i], &us));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(adding_grows_the_text_and_keeps_it_terminated),
        cmocka_unit_test(taking_an_empty_text_gives_an_empty_string),
        cmocka_unit_test(a_text_that_failed_stays_failed_and_gives_nothing),
        cmocka_unit_test(numbers_are_written_over_their_whole_range),
        cmocka_unit_test(control_characters_and_quotes_are_escaped),
        cmocka_unit_test(bytes_that_are_not_utf8_become_the_replacement_character),
        cmocka_unit_test(any_bytes_come_out_as_json_that_parses),
        cmocka_unit_test(json_keys_get_commas_where_they_belong),
        cmocka_unit_test(base64_pads_as_rfc4648_says),
        cmocka_unit_test(seconds_are_written_without_trailing_zeros),
        cmocka_unit_test(utf8_is_judged_by_the_table_of_rfc3629),
        cmocka_unit_test(times_are_formatted_with_six_decimals_and_z),
        cmocka_unit_test(every_formatted_time_parses_back),
        cmocka_unit_test(times_are_parsed_with_offsets_decimals_and_as_seconds),
        cmocka_unit_test(what_is_no_time_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
