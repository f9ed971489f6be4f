/*
 * Problems: what they carry and who frees it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "service/problem.h"

static void a_problem_has_the_status_word_and_title_of_its_code(void **state)
{
    struct problem *problem = problem_make(PROBLEM_NOT_FOUND, "There is no queue \"%s\".", "q");

    assert_int_equal(problem_status(problem), 404);
    assert_string_equal(problem_word(problem->code), "not_found");
    assert_string_equal(problem_title(problem->code), "There is no such thing");
    assert_string_equal(problem->detail, "There is no queue \"q\".");
    assert_int_equal(problem->fault_count, 0);
    problem_free(problem);
}

static void the_first_fault_makes_the_problem_and_later_ones_join_it(void **state)
{
    struct problem *problem = NULL;

    problem = problem_add(problem, PROBLEM_UNKNOWN_FIELD, FAULT_POINTER, "/comand", "%s", "first");
    problem = problem_add(problem, PROBLEM_MISSING_FIELD, FAULT_POINTER, "/argv", "%s", "second");
    assert_int_equal(problem->code, PROBLEM_UNKNOWN_FIELD);
    assert_string_equal(problem->detail, "first");
    assert_int_equal(problem->fault_count, 2);
    assert_string_equal(problem->faults[1].place, "/argv");
    assert_string_equal(problem->faults[1].code, "missing_field");
    assert_string_equal(problem->faults[1].detail, "second");
    assert_int_equal(problem->faults[1].where, FAULT_POINTER);
    problem_free(problem);
}

static void the_problem_of_no_memory_needs_none_and_survives_being_freed(void **state)
{
    struct problem *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "x");

    problem_free(problem);
    assert_ptr_equal(problem, problem_make(PROBLEM_OUT_OF_MEMORY, "x"));
    assert_ptr_equal(problem, problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_HEADER, "a", "b"));
    assert_int_equal(problem->fault_count, 0);
    assert_int_equal(problem_status(problem), 503);
    problem_free(NULL);
}

static int status_of(unsigned code)
{
    struct problem *problem = problem_make((enum problem_code)code, "x");
    int status = problem_status(problem);
    problem_free(problem);
    return status;
}

/* A queue is `closed` for good (410) or to this call (409): one word, told apart by the status. */
static void every_word_is_snake_case_and_once_with_a_status(void **state)
{
    (void)state;
    for (unsigned i = 0; i < PROBLEM_CODES; i++) {
        const char *word = problem_word(i);
        assert_int_equal(strspn(word, "abcdefghijklmnopqrstuvwxyz_"), strlen(word));
        for (unsigned k = 0; k < i; k++) {
            assert_true(strcmp(word, problem_word(k)) != 0 || status_of(i) != status_of(k));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_problem_has_the_status_word_and_title_of_its_code),
        cmocka_unit_test(the_first_fault_makes_the_problem_and_later_ones_join_it),
        cmocka_unit_test(the_problem_of_no_memory_needs_none_and_survives_being_freed),
        cmocka_unit_test(every_word_is_snake_case_and_once_with_a_status),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
