/*
 * Ids: their order, their text, and what is not one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "service/id.h"

static void ids_grow_strictly_as_bytes_and_as_text(void **state)
{
    char before[ID_TEXT_BYTES], after[ID_TEXT_BYTES];
    struct fact_id previous = id_make();

    for (int i = 0; i < 10000; i++) {
        struct fact_id next = id_make();
        id_format(&previous, 'p', before);
        id_format(&next, 'p', after);
        assert_true(memcmp(next.bytes, previous.bytes, sizeof next.bytes) > 0);
        assert_true(strcmp(after, before) > 0);
        previous = next;
    }
}

static void ids_go_on_after_the_newest_known_one_though_the_clock_is_behind(void **state)
{
    struct fact_id future = {{0x7F, 0xFF, 0xFF, [15] = 0xFF}};

    id_not_before(&future);
    struct fact_id next = id_make();
    assert_true(memcmp(next.bytes, future.bytes, sizeof next.bytes) > 0);
    id_not_before(&(struct fact_id){{0}});
    struct fact_id later = id_make();
    assert_true(memcmp(later.bytes, next.bytes, sizeof next.bytes) > 0);
}

static void an_id_parses_back_from_its_text(void **state)
{
    struct fact_id ends[] = {{{0}}, {{[15] = 1}}, {{[0] = 0xFF, [15] = 0xFF}}};
    char text[ID_TEXT_BYTES];

    memset(ends[2].bytes, 0xFF, sizeof ends[2].bytes);
    for (size_t i = 0; i < 1000; i++) {
        struct fact_id id = i < 3 ? ends[i] : id_make(), parsed;
        id_format(&id, 'h', text);
        assert_int_equal(strlen(text), ID_TEXT_BYTES - 1);
        assert_true(id_parse(text, strlen(text), 'h', &parsed));
        assert_true(id_equal(&id, &parsed));
    }
    id_format(&ends[2], 'p', text);
    assert_string_equal(text, "p_7zzzzzzzzzzzzzzzzzzzzzzzzz");
}

static void what_is_no_id_is_refused(void **state)
{
    static const char *const rows[] = {
        "",
        "p_",
        "h_00000000000000000000000000",
        "p-00000000000000000000000000",
        "p_0000000000000000000000000",
        "p_000000000000000000000000000",
        "p_80000000000000000000000000",
        "p_0000000000000000000000000A",
        "p_0000000000000000000000000i",
        "p_0000000000000000000000000u",
        "p_0000000000000000000000000\xC3",
    };
    struct fact_id id;

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_false(id_parse(rows[i], strlen(rows[i]), 'p', &id));
    assert_false(id_parse("p_000000000000000000000000\0"
                          "0",
                          28, 'p', &id));
}

static void zero_is_zero_and_hashes_differ(void **state)
{
    struct fact_id a = id_make(), b = id_make();

    assert_false(id_equal(&a, &b));
    assert_true(id_hash(&a) != id_hash(&b));
    assert_true(id_hash(&a) == id_hash(&a));
}

/* A table looks at the low bits only, and many ids of one millisecond differ in their last bytes only. */
static void ids_of_one_moment_spread_over_a_table(void **state)
{
    enum { IDS = 1000, PLACES = 2048 };
    static bool taken[PLACES];
    size_t collisions = 0;
    (void)state;
    for (int i = 0; i < IDS; i++) {
        struct fact_id id = id_make();
        bool *place = &taken[id_hash(&id) % PLACES];
        collisions += *place;
        *place = true;
    }
    assert_true(collisions < IDS / 2);
}

static void random_hex_fills_exactly_what_was_asked(void **state)
{
    char one[2 * 100 + 2], other[2 * 100 + 2];

    memset(one, '!', sizeof one);
    assert_true(random_hex(100, one));
    assert_true(random_hex(100, other));
    assert_int_equal(strspn(one, "0123456789abcdef"), 200);
    assert_int_equal(one[200], '\0');
    assert_int_equal(one[201], '!');
    assert_string_not_equal(one, other);
}

static void comparing_looks_at_length_and_every_byte(void **state)
{
    assert_true(constant_time_equal("abc", 3, "abc", 3));
    assert_true(constant_time_equal("", 0, "", 0));
    assert_false(constant_time_equal("abc", 3, "abd", 3));
    assert_false(constant_time_equal("xbc", 3, "abc", 3));
    assert_false(constant_time_equal("abc", 3, "abcd", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ids_grow_strictly_as_bytes_and_as_text),
        cmocka_unit_test(ids_go_on_after_the_newest_known_one_though_the_clock_is_behind),
        cmocka_unit_test(an_id_parses_back_from_its_text),
        cmocka_unit_test(what_is_no_id_is_refused),
        cmocka_unit_test(zero_is_zero_and_hashes_differ),
        cmocka_unit_test(ids_of_one_moment_spread_over_a_table),
        cmocka_unit_test(random_hex_fills_exactly_what_was_asked),
        cmocka_unit_test(comparing_looks_at_length_and_every_byte),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
