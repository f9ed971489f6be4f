/*
 * What a real keeper does to trees of processes: stops, time limits, pauses, signals and their scope.
 *
 * Most of it is tested with cgroups and without.
 */
#include "live_tests.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

/* ---- stops ---- */

static void a_stop_ends_a_child_that_listens(void **state)
{
    struct fact_id id = live_shell("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    assert_int_equal(live_stop(&id, SIGTERM, 10000000), 0);
    live_until(&live, FACT_STOPPING, &id, NULL);
    struct fact_exited end = live_exited(&id, NULL);
    assert_int_equal(end.reason, STOP_REQUESTED);
    assert_int_equal(end.killed, 0);
    assert_int_equal(live_stop(&id, SIGTERM, 0), ESRCH);
}

static void a_stop_escalates_to_the_whole_tree(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_shell("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; "
                                  "sleep 300' & while :; do sleep 0.1; done");
    live_read(&id, &output, 2);
    pid_t escaped = atoi(output.bytes);
    assert_int_equal(live_stop(&id, SIGTERM, 100000), 0);
    const struct fact_stopping *stopping =
        fact_payload(live_until(&live, FACT_STOPPING, &id, NULL));
    assert_int_equal(stopping->signal, SIGTERM);
    assert_true(stopping->deadline_at_us > 0);
    live_until(&live, FACT_KILLED, &id, NULL);
    struct fact_exited end = live_exited(&id, NULL);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.killed, 1);
    live_wait_gone(escaped);
}

static void a_repeated_stop_may_shorten_but_not_lengthen(void **state)
{
    struct fact_id id = live_shell("trap '' TERM; echo up; while :; do sleep 0.1; done");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    live_stop(&id, SIGTERM, 100000000);
    int64_t first = ((const struct fact_stopping *)fact_payload(
                         live_until(&live, FACT_STOPPING, &id, NULL)))->deadline_at_us;
    live_stop(&id, SIGTERM, 900000000);
    int64_t second = ((const struct fact_stopping *)fact_payload(
                          live_until(&live, FACT_STOPPING, &id, NULL)))->deadline_at_us;
    assert_true(second - first < 1000000);
    live_stop(&id, SIGTERM, 1000);
    live_until(&live, FACT_KILLED, &id, NULL);
    live_exited(&id, NULL);
}

static void a_time_limit_is_a_stop(void **state)
{
    int64_t start = live_now_ms();
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("trap '' INT; while :; do sleep 0.1; done"),
                                                .timeout_us = 200000, .grace_us = 100000,
                                                .stop_signal = SIGINT});
    const struct fact_stopping *stopping =
        fact_payload(live_until(&live, FACT_STOPPING, &id, NULL));
    assert_int_equal(stopping->reason, STOP_TIMEOUT);
    assert_int_equal(stopping->signal, SIGINT);
    struct fact_exited end = live_exited(&id, NULL);
    assert_int_equal(end.reason, STOP_TIMEOUT);
    assert_int_equal(end.killed, 1);
    assert_in_range(live_now_ms() - start, 290, 5000);
}

static void a_tree_outlives_its_main_process_and_can_be_stopped(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_shell("setsid sleep 300 >/dev/null 2>&1 & echo $!; sleep 0.5; exit 4");
    struct fact_exited end = live_exited(&id, &output);
    assert_int_equal(end.status, 4);
    assert_int_equal(end.descendants, 1);
    assert_int_equal(live_forget(&id), 0);
    assert_int_equal(live_stop(&id, SIGTERM, 5000000), 0);
    live_until(&live, FACT_TREE_EMPTY, &id, NULL);
    assert_int_equal(live_stop(&id, SIGTERM, 5000000), ESRCH); /* forgotten by now */
    live_wait_gone(atoi(output.bytes));
}

static void a_pipe_held_by_a_descendant_is_read_to_its_end(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_shell("(sleep 0.3; echo late) & echo early");
    struct fact_exited end = live_exited(&id, &output);
    assert_int_equal(end.open_streams & 1, 1);
    assert_string_equal(output.bytes, "early\n");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    live_until(&live, FACT_TREE_EMPTY, &id, NULL);
}

static void a_paused_tree_stands_still_and_can_be_killed(void **state)
{
    struct fact_id id = live_shell("while :; do echo x; sleep 0.01; done");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    assert_int_equal(live_call(&live, COMMAND_PAUSE, &id, NULL, 0), 0);
    live_until(&live, FACT_PAUSED, &id, NULL);
    usleep(50000);
    while (live_fact(&live, 50) != NULL)
        ;
    assert_null(live_fact(&live, 200));
    assert_int_equal(live_call(&live, COMMAND_RESUME, &id, NULL, 0), 0);
    live_until(&live, FACT_OUTPUT, &id, NULL);
    assert_int_equal(live_call(&live, COMMAND_PAUSE, &id, NULL, 0), 0);
    assert_int_equal(live_stop(&id, SIGTERM, 10000000), 0); /* thaws, so that TERM can act */
    struct fact_exited end = live_exited(&id, NULL);
    assert_int_equal(end.status, SIGTERM);
    id = live_shell("sleep 300");
    live_until(&live, FACT_STARTED, &id, NULL);
    assert_int_equal(live_call(&live, COMMAND_PAUSE, &id, NULL, 0), 0);
    assert_int_equal(live_stop(&id, SIGKILL, 10000000), 0);
    assert_int_equal(live_exited(&id, NULL).status, SIGKILL);
}

/* Kernels from 6.14 on kill whoever is cloned into a cgroup that was killed before. */
static void programs_after_a_killed_tree_are_not_killed_too(void **state)
{
    struct command_signal kill_tree = {SIGKILL, SCOPE_TREE};
    struct fact_id ids[20];
    for (int round = 0; round < 3; round++) {
        struct fact_id id = live_shell("sleep 300 & sleep 300");
        live_until(&live, FACT_STARTED, &id, NULL);
        assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &kill_tree, sizeof kill_tree), 0);
        assert_int_equal(live_exited(&id, NULL).status, SIGKILL);
        for (int i = 0; i < 20; i++)
            ids[i] = live_shell("exit 0");
        for (int i = 0; i < 20; i++) {
            struct fact_exited end = live_exited(&ids[i], NULL);
            assert_int_equal(end.kind, EXIT_EXITED);
            assert_int_equal(end.status, 0);
        }
    }
}

static void programs_after_a_tree_killed_in_a_pause_are_not_paused_too(void **state)
{
    for (int round = 0; round < 3; round++) {
        struct fact_id id = live_shell("sleep 300 & sleep 300");
        live_until(&live, FACT_STARTED, &id, NULL);
        assert_int_equal(live_call(&live, COMMAND_PAUSE, &id, NULL, 0), 0);
        assert_int_equal(live_stop(&id, SIGKILL, 10000000), 0);
        assert_int_equal(live_exited(&id, NULL).status, SIGKILL);
        id = live_shell("exit 5");
        assert_int_equal(live_exited(&id, NULL).status, 5);
    }
}

static void signals_reach_their_scope(void **state)
{
    struct fact_id id = live_shell("sh -c 'trap \"echo inner; exit\" USR1; while :; do sleep 0.01; done' &"
                                  "trap 'echo outer' USR1; echo up; wait; wait; wait");
    struct live_output output = {0};
    live_read(&id, &output, 3);
    usleep(50000);
    struct command_signal ask = {SIGUSR1, SCOPE_MAIN};
    assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &ask, sizeof ask), 0);
    live_read(&id, &output, 9);
    assert_non_null(strstr(output.bytes, "outer"));
    assert_null(strstr(output.bytes, "inner"));
    ask.scope = SCOPE_TREE;
    assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &ask, sizeof ask), 0);
    live_exited(&id, &output);
    assert_non_null(strstr(output.bytes, "inner"));
    assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &ask, sizeof ask), ESRCH);
}

int main(int argc, char **argv)
{
    live_puppet(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const struct CMUnitTest tests[] = {
        LIVE(a_stop_ends_a_child_that_listens),
        LIVE(a_stop_escalates_to_the_whole_tree),
        LIVE_WITHOUT_CGROUPS(a_stop_escalates_to_the_whole_tree),
        LIVE(a_repeated_stop_may_shorten_but_not_lengthen),
        LIVE(a_time_limit_is_a_stop),
        LIVE(a_tree_outlives_its_main_process_and_can_be_stopped),
        LIVE_WITHOUT_CGROUPS(a_tree_outlives_its_main_process_and_can_be_stopped),
        LIVE(a_pipe_held_by_a_descendant_is_read_to_its_end),
        LIVE_WITHOUT_CGROUPS(a_pipe_held_by_a_descendant_is_read_to_its_end),
        LIVE(a_paused_tree_stands_still_and_can_be_killed),
        LIVE_WITHOUT_CGROUPS(a_paused_tree_stands_still_and_can_be_killed),
        LIVE(programs_after_a_killed_tree_are_not_killed_too),
        LIVE_WITHOUT_CGROUPS(programs_after_a_killed_tree_are_not_killed_too),
        LIVE(programs_after_a_tree_killed_in_a_pause_are_not_paused_too),
        LIVE_WITHOUT_CGROUPS(programs_after_a_tree_killed_in_a_pause_are_not_paused_too),
        LIVE(signals_reach_their_scope),
        LIVE_WITHOUT_CGROUPS(signals_reach_their_scope),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
