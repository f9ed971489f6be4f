/* What Range headers mean, and which are left alone (RFC 9110 section 14.1.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/range.h"

static void assert_range(const char *header, size_t size, enum range_kind kind, size_t first,
                         size_t count)
{
    struct range range;
    assert_int_equal(range_read(header, size, &range), kind);
    assert_int_equal(range.first, first);
    assert_int_equal(range.count, count);
}

static void test_one_range_is_a_part(void **state)
{
    assert_range("bytes=0-4", 10, RANGE_PART, 0, 5);
    assert_range("bytes=3-3", 10, RANGE_PART, 3, 1);
    assert_range("bytes=7-", 10, RANGE_PART, 7, 3);
    assert_range("bytes=-3", 10, RANGE_PART, 7, 3);
    assert_range("Bytes= 0-0 ", 10, RANGE_PART, 0, 1);
}

static void test_what_is_more_than_there_is_ends_with_it(void **state)
{
    assert_range("bytes=8-100", 10, RANGE_PART, 8, 2);
    assert_range("bytes=-100", 10, RANGE_PART, 0, 10);
    assert_range("bytes=0-99999999999999999999999999", 10, RANGE_PART, 0, 10);
}

static void test_what_begins_behind_the_end_is_beyond(void **state)
{
    assert_range("bytes=10-", 10, RANGE_BEYOND, 0, 0);
    assert_range("bytes=99999999999999999999-", 10, RANGE_BEYOND, 0, 0);
    assert_range("bytes=-0", 10, RANGE_BEYOND, 0, 0);
    assert_range("bytes=0-0", 0, RANGE_BEYOND, 0, 0);
    assert_range("bytes=-1", 0, RANGE_BEYOND, 0, 0);
}

static void test_anything_else_is_left_alone(void **state)
{
    static const char *const headers[] = {"", "bytes", "bytes=", "bytes=-", "bytes=5-4", "bytes=a-b", "bytes=1",
                                          "lines=0-1", "bytes=0-1,3-4", "bytes=0-1x", "bytes=--1"};
    assert_range(NULL, 10, RANGE_WHOLE, 0, 10);
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        assert_range(headers[i], 10, RANGE_WHOLE, 0, 10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_range_is_a_part),
        cmocka_unit_test(test_what_is_more_than_there_is_ends_with_it),
        cmocka_unit_test(test_what_begins_behind_the_end_is_beyond),
        cmocka_unit_test(test_anything_else_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
