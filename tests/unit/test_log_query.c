/*
 * What a request for output may ask, and what of it is refused under which name.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <string.h>

#include "api/log_query.h"

static const unsigned both = 1u << LOG_STDOUT | 1u << LOG_STDERR;

static void accepts(struct log_choice *choice, struct log_query_text text)
{
    struct problem *problem = log_choice_read(choice, &text, NULL);
    assert_null(problem);
}

/* One fault, under this name. */
static void refuses(struct log_query_text text, const char *name)
{
    struct log_choice choice;
    struct problem *problem = log_choice_read(&choice, &text, NULL);
    assert_non_null(problem);
    assert_int_equal(problem->code, PROBLEM_INVALID_PARAMETER);
    assert_int_equal(problem->fault_count, 1);
    assert_string_equal(problem->faults[0].place, name);
    problem_free(problem);
}

static void no_keys_ask_for_everything(void **state)
{
    struct log_choice choice;
    accepts(&choice, (struct log_query_text){0});
    assert_int_equal(choice.query.streams, both);
    assert_int_equal(choice.query.after, 0);
    assert_int_equal(choice.query.before, 0);
    assert_int_equal(choice.query.tail, 0);
    assert_null(choice.query.grep);
    assert_int_equal(choice.limit, 0);
    assert_false(choice.follow);
    assert_false(choice.only_new);
    log_choice_free(&choice);
}

static void all_keys_are_read(void **state)
{
    struct log_choice choice;
    accepts(&choice, (struct log_query_text){
        .after = "7", .before = "9007199254740991", .tail = "3", .since = "2026-01-31T12:00:00Z",
        .until = "2026-01-31T12:00:01.5Z", .grep = "^a+$", .limit = "500", .follow = "true"});
    assert_int_equal(choice.query.after, 7);
    assert_int_equal(choice.query.before, 9007199254740991);
    assert_int_equal(choice.query.tail, 3);
    assert_int_equal(choice.query.until_us - choice.query.since_us, 1500000);
    assert_int_equal(choice.limit, 500);
    assert_true(choice.follow);
    assert_true(pattern_find(choice.query.grep, "aaa", 3));
    assert_false(pattern_find(choice.query.grep, "ab", 2));
    log_choice_free(&choice);
}

static void streams_are_one_or_both(void **state)
{
    struct log_choice choice;
    accepts(&choice, (struct log_query_text){.stream = "stdout"});
    assert_int_equal(choice.query.streams, 1u << LOG_STDOUT);
    accepts(&choice, (struct log_query_text){.stream = "stderr,stdout"});
    assert_int_equal(choice.query.streams, both);
    static const char *const wrong[] = {"", "stdin", "stdout,", ",stdout", "STDOUT", "stdoutx"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuses((struct log_query_text){.stream = wrong[i]}, "stream");
}

static void an_offset_is_one_streams_and_goes_with_follow_alone(void **state)
{
    struct log_choice choice;
    accepts(&choice, (struct log_query_text){.offset = "7", .stream = "stderr", .follow = "true"});
    assert_true(choice.from_offset && choice.query.begun && choice.query.whole);
    assert_int_equal(choice.query.raw_stderr, 7);
    refuses((struct log_query_text){.offset = "7"}, "offset");
    refuses((struct log_query_text){.offset = "x", .stream = "stdout"}, "offset");
    refuses((struct log_query_text){.offset = "7", .stream = "stdout", .tail = "1"}, "offset");
}

static void the_last_none_is_told_from_no_tail(void **state)
{
    struct log_choice choice;
    accepts(&choice, (struct log_query_text){.tail = "0"});
    assert_true(choice.only_new);
    accepts(&choice, (struct log_query_text){.tail = "1"});
    assert_false(choice.only_new);
}

static void last_event_id_wins_over_after(void **state)
{
    struct log_choice choice;
    accepts(&choice, (struct log_query_text){.after = "4", .last_event_id = "70"});
    assert_int_equal(choice.query.after, 70);
    struct log_query_text text = {.last_event_id = "7x"};
    struct problem *problem = log_choice_read(&choice, &text, NULL);
    assert_non_null(problem);
    assert_int_equal(problem->faults[0].where, FAULT_HEADER);
    problem_free(problem);
}

static void numbers_out_of_bounds_are_refused(void **state)
{
    static const char *const wrong[] = {"", "-1", "+1", " 1", "1.0", "x", "9007199254740992",
                                        "18446744073709551616", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        refuses((struct log_query_text){.after = wrong[i]}, "after");
        refuses((struct log_query_text){.before = wrong[i]}, "before");
        refuses((struct log_query_text){.tail = wrong[i]}, "tail");
        refuses((struct log_query_text){.limit = wrong[i]}, "limit");
    }
    refuses((struct log_query_text){.before = "0"}, "before");
    refuses((struct log_query_text){.limit = "0"}, "limit");
    refuses((struct log_query_text){.limit = "501"}, "limit");
}

static void other_wrong_values_are_refused(void **state)
{
    refuses((struct log_query_text){.since = "yesterday"}, "since");
    refuses((struct log_query_text){.until = ""}, "until");
    refuses((struct log_query_text){.follow = "maybe"}, "follow");
}

static void all_faults_are_told_at_once(void **state)
{
    struct log_choice choice;
    struct log_query_text text = {.stream = "x", .after = "x", .limit = "x", .grep = "(",
                                  .since = "x", .follow = "x"};
    struct problem *problem = log_choice_read(&choice, &text, NULL);
    assert_non_null(problem);
    assert_int_equal(problem->fault_count, 6);
    problem_free(problem);
}

static void expressions_that_cannot_be_compiled_are_refused(void **state)
{
    static const char *const wrong[] = {"", "(", "[", "*", "a{2", "[[:nothing:]]", "a{3,2}", "\\",
                                        "(a)\\1", "((a{10}){11}){10}"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        refuses((struct log_query_text){.grep = wrong[i]}, "grep");
}

static void a_refusal_says_what_is_wrong_and_where(void **state)
{
    struct log_choice choice;
    struct log_query_text text = {.grep = "ab(c"};
    struct problem *problem = log_choice_read(&choice, &text, NULL);
    assert_non_null(problem);
    assert_non_null(strstr(problem->faults[0].detail, "( is not closed, at byte 3"));
    problem_free(problem);
}

static void an_expression_has_at_most_256_bytes(void **state)
{
    struct log_choice choice;
    char expression[GREP_BYTES_MAX + 2];
    memset(expression, 'a', sizeof expression);
    expression[GREP_BYTES_MAX + 1] = '\0';
    refuses((struct log_query_text){.grep = expression}, "grep");
    expression[GREP_BYTES_MAX] = '\0';
    accepts(&choice, (struct log_query_text){.grep = expression});
    log_choice_free(&choice);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_keys_ask_for_everything),
        cmocka_unit_test(all_keys_are_read),
        cmocka_unit_test(streams_are_one_or_both),
        cmocka_unit_test(an_offset_is_one_streams_and_goes_with_follow_alone),
        cmocka_unit_test(the_last_none_is_told_from_no_tail),
        cmocka_unit_test(last_event_id_wins_over_after),
        cmocka_unit_test(numbers_out_of_bounds_are_refused),
        cmocka_unit_test(other_wrong_values_are_refused),
        cmocka_unit_test(all_faults_are_told_at_once),
        cmocka_unit_test(expressions_that_cannot_be_compiled_are_refused),
        cmocka_unit_test(a_refusal_says_what_is_wrong_and_where),
        cmocka_unit_test(an_expression_has_at_most_256_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
