/* The keeper's deadlines: the bound that is never late, and the time that epoll_wait is given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "service/keeper/keeper.h"

static struct keeper keeper;

/* Entries have a pid that no process can have, so that signals hit nobody. */
#define NO_PID 0x3fffffff

static int setup(void **state)
{
    memset(&keeper, 0, sizeof keeper);
    keeper.server.link = -1;
    keeper.pid = getpid();
    keeper.mono_us = keeper.now_us = 1000000;
    int fd = memfd_create("spool", MFD_CLOEXEC);
    return table_begin(&keeper) || spool_create(&keeper.spool, fd, 1u << 20, "boot");
}

static struct child *add(uint8_t number)
{
    struct fact_id id = {{0}};
    id.bytes[15] = number;
    struct child *child = table_add(&keeper, &id);
    child->state = CHILD_ENDED; /* with a tree: it can be stopped, and no pid is needed */
    child->marks = MARK_TREE;
    child->pid = NO_PID;
    return child;
}

static unsigned facts_of(enum fact_type type)
{
    struct spool reader = {0};
    int error;
    unsigned count = 0;
    assert_int_equal(spool_attach(&reader, keeper.spool.fd), 0);
    assert_int_equal(spool_consumer_begin(&reader, 0), 0);
    const struct fact *fact;
    while ((fact = spool_next(&reader, &error)) != NULL)
        count += fact->type == type;
    assert_int_equal(error, 0);
    spool_close(&reader);
    return count;
}

static void run_at(int64_t mono_us)
{
    keeper.mono_us = mono_us;
    deadlines_run(&keeper);
}

static int stop(struct child *child, int64_t grace_us)
{
    struct command_stop ask = {STOP_REQUESTED, SIGTERM, grace_us};
    return stop_begin(&keeper, child, &ask);
}

static void a_stop_kills_at_its_deadline_and_once(void **state)
{
    struct child *child = add(1);
    assert_int_equal(stop(child, 500000), 0);
    run_at(1499999);
    assert_int_equal(facts_of(FACT_KILLED), 0);
    run_at(1500000);
    assert_int_equal(facts_of(FACT_KILLED), 1);
    assert_true(child->marks & ENTRY_KILL_SENT);
    run_at(9000000);
    assert_int_equal(facts_of(FACT_KILLED), 1);
}

static void a_repeat_shortens_and_never_lengthens(void **state)
{
    struct child *child = add(1);
    stop(child, 500000);
    stop(child, 900000);
    assert_int_equal(child->stop_deadline_us, 1500000);
    stop(child, 100000);
    assert_int_equal(child->stop_deadline_us, 1100000);
    assert_int_equal(facts_of(FACT_STOPPING), 3);
    run_at(1100000);
    assert_int_equal(facts_of(FACT_KILLED), 1);
}

static void what_has_ended_cannot_be_stopped(void **state)
{
    struct child *child = add(1);
    child->marks = 0;
    assert_int_equal(stop(child, 0), -ESRCH);
    assert_int_equal(facts_of(FACT_STOPPING), 0);
}

/* Signal 0 only looks. Each of these pids once stood for "everybody" somewhere. */
static void an_entry_without_a_sound_pid_has_no_tree(void **state)
{
    const pid_t pids[] = {0, 1, -1, getpid()};
    for (size_t i = 0; i < sizeof pids / sizeof *pids; i++) {
        struct child *child = add((uint8_t)(i + 1));
        child->pid = pids[i];
        assert_int_equal(tree_signal(&keeper, child, 0), -ESRCH);
        child->marks |= ENTRY_ADOPTED;
        assert_int_equal(tree_signal(&keeper, child, 0), -ESRCH);
    }
    keeper.pid = 0;
    assert_int_equal(tree_signal(&keeper, add(9), 0), -ESRCH);
}

static void the_wait_ends_at_the_earliest_deadline(void **state)
{
    assert_int_equal(deadlines_timeout(&keeper), -1);
    stop(add(1), 30000000);
    assert_int_equal(deadlines_timeout(&keeper), 30000);
    stop(add(2), 1500);
    assert_int_equal(deadlines_timeout(&keeper), 2); /* rounded up: never a turn too early */
    run_at(1001500);
    assert_int_equal(deadlines_timeout(&keeper), 29999);
    keeper.server.start_deadline_us = keeper.mono_us - 5;
    assert_int_equal(deadlines_timeout(&keeper), 0);
}

static void many_deadlines_all_pass_in_their_time(void **state)
{
    for (uint8_t i = 1; i <= 200; i++)
        stop(add(i), 1000 * (int64_t)((i * 37) % 201));
    for (int64_t ms = 0; ms <= 200; ms++) {
        run_at(1000000 + ms * 1000);
        for (uint32_t i = 1; i <= keeper.used; i++)
            assert_true(keeper.children[i].stop_deadline_us == 0 ||
                        keeper.children[i].stop_deadline_us > keeper.mono_us);
    }
    assert_int_equal(facts_of(FACT_KILLED), 200);
}

/* Nobody clears these until something else has happened: they must not keep the loop awake. */
static void what_waits_for_others_is_no_deadline(void **state)
{
    (void)state;
    keeper.next_deadline_us = 0;
    keeper.mono_us = 1000000;
    keeper.server.pid = 1;
    keeper.server.settle_deadline_us = 1; /* CUSTODY_DONE is due, but the server does not read */
    keeper.upgrade_deadline_us = 1;       /* and it has not ended */
    assert_int_equal(deadlines_timeout(&keeper), -1);
    keeper.server.pid = 0;
    assert_int_equal(deadlines_timeout(&keeper), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_stop_kills_at_its_deadline_and_once, setup),
        cmocka_unit_test_setup(what_waits_for_others_is_no_deadline, setup),
        cmocka_unit_test_setup(a_repeat_shortens_and_never_lengthens, setup),
        cmocka_unit_test_setup(what_has_ended_cannot_be_stopped, setup),
        cmocka_unit_test_setup(an_entry_without_a_sound_pid_has_no_tree, setup),
        cmocka_unit_test_setup(the_wait_ends_at_the_earliest_deadline, setup),
        cmocka_unit_test_setup(many_deadlines_all_pass_in_their_time, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
