/*
 * Page tokens: opaque, bound to the filters they were made with.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "api/page.h"

static struct fact_id some_id(void)
{
    struct fact_id id;
    for (size_t i = 0; i < sizeof id.bytes; i++) {
        id.bytes[i] = (uint8_t)(i * 17);
    }
    return id;
}

static void a_token_gives_back_the_id_it_was_made_of(void **state)
{
    char token[PAGE_TOKEN_BYTES];
    struct fact_id id = some_id(), read;

    page_token_format(&id, 0x0123456789abcdef, token);
    assert_int_equal(strlen(token), PAGE_TOKEN_BYTES - 1);
    assert_string_equal(token, "00112233445566778899aabbccddeeff0123456789abcdef");
    assert_true(page_token_parse(token, 0x0123456789abcdef, &read));
    assert_memory_equal(&read, &id, sizeof id);
}

static void a_token_of_other_filters_is_refused(void **state)
{
    char token[PAGE_TOKEN_BYTES];
    struct fact_id id = some_id(), read;

    page_token_format(&id, 1, token);
    assert_false(page_token_parse(token, 2, &read));
    assert_false(page_token_parse(token, 0, &read));
}

static void what_is_no_token_is_refused(void **state)
{
    static const char *const bad[] = {
        "", "nonsense", "00112233445566778899aabbccddeeff000000000000000",
        "00112233445566778899aabbccddeeff00000000000000010",
        "00112233445566778899AABBCCDDEEFF0000000000000001",
        "x0112233445566778899aabbccddeeff0000000000000001",
        "0 112233445566778899aabbccddeeff0000000000000001"};
    struct fact_id read;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(page_token_parse(bad[i], 1, &read));
    }
}

static void the_hash_tells_where_one_value_ends_and_the_next_begins(void **state)
{
    uint64_t one = page_hash(page_hash(PAGE_HASH_START, "ab", 2), "c", 1);
    uint64_t other = page_hash(page_hash(PAGE_HASH_START, "a", 1), "bc", 2);

    assert_true(one != other);
    assert_true(page_hash(PAGE_HASH_START, "", 0) != PAGE_HASH_START);
}

static void a_page_ends_with_a_token_or_null(void **state)
{
    struct page page = {.limit = 2, .filters = 0xff};
    struct fact_id id = some_id();
    struct text text = {0};

    page_end(&text, &page, NULL);
    assert_string_equal(text.data, "],\"next_page_token\":null}");
    text_clear(&text);
    page_end(&text, &page, &id);
    assert_string_equal(text.data, "],\"next_page_token\":"
                                   "\"00112233445566778899aabbccddeeff00000000000000ff\"}");
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_gives_back_the_id_it_was_made_of),
        cmocka_unit_test(a_token_of_other_filters_is_refused),
        cmocka_unit_test(what_is_no_token_is_refused),
        cmocka_unit_test(the_hash_tells_where_one_value_ends_and_the_next_begins),
        cmocka_unit_test(a_page_ends_with_a_token_or_null),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
