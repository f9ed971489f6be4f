/* The keeper's table of children, and the records it keeps for those on their way to exec. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "service/keeper/keeper.h"

static struct keeper keeper;

static struct fact_id id_of(uint64_t number)
{
    struct fact_id id = {{1}};
    memcpy(id.bytes + 8, &number, sizeof number);
    return id;
}

static int setup(void **state)
{
    memset(&keeper, 0, sizeof keeper);
    return table_begin(&keeper);
}

static void children_are_found_by_id_and_by_pid_until_removed(void **state)
{
    enum { COUNT = 20000 };
    static struct child *children[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        struct fact_id id = id_of(i);
        children[i] = table_add(&keeper, &id);
        assert_non_null(children[i]);
        table_set_pid(&keeper, children[i], (pid_t)i + 1);
    }
    for (unsigned i = 0; i < COUNT; i += 2)
        table_remove(&keeper, children[i]);
    for (unsigned i = 0; i < COUNT; i++) {
        struct fact_id id = id_of(i);
        assert_ptr_equal(table_find(&keeper, &id), i % 2 ? children[i] : NULL);
        assert_ptr_equal(table_find_pid(&keeper, (pid_t)i + 1), i % 2 ? children[i] : NULL);
    }
    assert_int_equal(keeper.live, COUNT / 2);
}

static void a_removed_entry_is_used_again_only_after_the_turn(void **state)
{
    struct fact_id one = id_of(1), two = id_of(2), three = id_of(3);
    struct child *first = table_add(&keeper, &one);
    table_remove(&keeper, first);
    struct child *second = table_add(&keeper, &two);
    assert_ptr_not_equal(first, second);
    assert_int_equal(first->state, CHILD_FREE);
    table_collect(&keeper);
    assert_ptr_equal(table_add(&keeper, &three), first);
}

static void an_ended_childs_pid_may_belong_to_a_new_one(void **state)
{
    struct fact_id one = id_of(1), two = id_of(2);
    struct child *first = table_add(&keeper, &one), *second = table_add(&keeper, &two);
    table_set_pid(&keeper, first, 500);
    table_set_pid(&keeper, first, 0);
    assert_int_equal(first->pid, 500);
    assert_null(table_find_pid(&keeper, 500));
    table_set_pid(&keeper, second, 500);
    table_remove(&keeper, first);
    assert_ptr_equal(table_find_pid(&keeper, 500), second);
}

static void the_table_says_when_it_is_full(void **state)
{
    for (uint64_t i = 0; i < CHILDREN_MAX - 1; i++) {
        struct fact_id id = id_of(i);
        assert_non_null(table_add(&keeper, &id));
    }
    struct fact_id more = id_of(CHILDREN_MAX);
    assert_null(table_add(&keeper, &more));
}

static void records_of_any_size_are_kept_and_given_back(void **state)
{
    static unsigned char bytes[100000];
    static struct child children[300];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 31);
    for (int round = 0; round < 3; round++) {
        for (unsigned i = 0; i < 300; i++) {
            uint32_t size = i % 3 == 0 ? 0 : i % 3 == 1 ? i * 13 : i * 300;
            assert_int_equal(record_keep(&children[i], bytes, size), 0);
        }
        for (unsigned i = 0; i < 300; i++) {
            assert_memory_equal(children[i].record, bytes, children[i].record_bytes);
            record_drop(&children[i]);
            assert_null(children[i].record);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(children_are_found_by_id_and_by_pid_until_removed, setup),
        cmocka_unit_test_setup(a_removed_entry_is_used_again_only_after_the_turn, setup),
        cmocka_unit_test_setup(an_ended_childs_pid_may_belong_to_a_new_one, setup),
        cmocka_unit_test_setup(the_table_says_when_it_is_full, setup),
        cmocka_unit_test_setup(records_of_any_size_are_kept_and_given_back, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
