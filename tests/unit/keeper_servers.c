/*
 * A real keeper and the life of its server: starts, refusals, deaths, what a later server is told.
 *
 * The server is the test itself (live_harness.h), so it dies when and as the test wants.
 */
#include "live_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the server's life ---- */

static void ready_prints_the_first_line_once(void **state)
{
    char line[64] = "";
    assert_int_equal(live_call(&live, COMMAND_READY, NULL, NULL, 0), 0);
    assert_int_equal(read(live.stdout_fd, line, sizeof line), 6);
    assert_string_equal(line, "ready\n");
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.server_restarts, 1);
    assert_int_equal(live_call(&live, COMMAND_READY, NULL, NULL, 0), 0);
    struct pollfd more = {.fd = live.stdout_fd, .events = POLLIN};
    assert_int_equal(poll(&more, 1, 50), 0);
}

static void a_server_that_refuses_to_start_ends_the_keeper(void **state)
{
    int status = live_refused();
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 2);
}

static void signals_to_the_keeper_are_told_also_to_a_later_server(void **state)
{
    kill(live.keeper, SIGHUP);
    while (live.signals[SIGHUP] == 0)
        assert_true(live_receive(&live, 5000));
    live_lose_server(&live);
    live_accept(&live); /* connected, but has not said HELLO */
    kill(live.keeper, SIGTERM);
    assert_false(live_receive(&live, 100));
    struct command_hello hello = {COMMANDS_VERSION, 0};
    live_send(&live, COMMAND_HELLO, NULL, &hello, sizeof hello);
    while (live.signals[SIGTERM] == 0)
        assert_true(live_receive(&live, 5000));
}

static void the_commands_of_one_packet_are_all_done(void **state)
{
    struct command packet[4] = {{.type = COMMAND_FORGET, .request = 700, .process = live_id(999)}};
    for (uint32_t i = 1; i < 4; i++) {
        struct fact_id id = live_shell("exit 0");
        live_until(&live, FACT_EXITED, &id, NULL);
        packet[i] = (struct command){.type = COMMAND_FORGET, .request = 700 + i, .process = id};
    }
    live_applied(&live);
    assert_int_equal(send(live.link, packet, sizeof packet, 0), sizeof packet);
    for (uint32_t i = 0; i < 4; i++)
        assert_int_equal(live_reply(&live, 700 + i), i == 0 ? ESRCH : 0);
}

static void a_server_that_talks_nonsense_is_replaced(void **state)
{
    struct fact_id id = live_shell("sleep 300");
    live_until(&live, FACT_STARTED, &id, NULL);
    live_applied(&live);
    struct command_hello hello = {999, 0};
    live_send(&live, COMMAND_HELLO, NULL, &hello, sizeof hello);
    live_wait_gone(live.server);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.entries, 1);
    assert_non_null(live_custody_of(&live, &id));
    live_until(&live, FACT_SERVER_ENDED, NULL, NULL);
}

static void a_spawn_whose_descriptors_are_not_those_of_its_flags_is_nonsense(void **state)
{
    const struct { uint32_t flags; int program, directory; } rows[] = {
        {SPAWN_PROGRAM_FILE, 0, 0}, {0, STDERR_FILENO, 0}, {SPAWN_CWD_FILE, 2, 2},
        {SPAWN_PROGRAM_FILE | SPAWN_CWD_FILE | SPAWN_LANDLOCK, 2, 2}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct live_spawn spawn = {.process = live_id(900 + (unsigned)i), .argv = SHELL("exit 0"),
                                   .flags = rows[i].flags, .program = rows[i].program,
                                   .directory = rows[i].directory};
        live_spawn(&live, &spawn);
        live_wait_gone(live.server);
        live_lose_server(&live);
        live_meet(&live);
        assert_int_equal(live.welcome.entries, 0);
        live_until(&live, FACT_SERVER_ENDED, NULL, NULL);
        live_applied(&live);
    }
}

static void a_server_that_ends_soon_again_and_again_is_started_at_growing_distance(void **state)
{
    uint32_t delays_ms[5];
    for (int i = 0; i < 5; i++) {
        live_call(&live, COMMAND_READY, NULL, NULL, 0);
        (void)!write(live.puppet, "x", 1); /* it exits with 0 */
        live_wait_gone(live.server);
        live_lose_server(&live);
        live_meet(&live);
        const struct fact *fact = live_until(&live, FACT_SERVER_ENDED, NULL, NULL);
        delays_ms[i] = ((const struct fact_server_ended *)fact_payload(fact))->delay_ms;
        live_applied(&live);
    }
    const uint32_t expected[5] = {0, 50, 100, 200, 400};
    assert_memory_equal(delays_ms, expected, sizeof expected);
}

/* The spool of the keeper that has ended, as the next start of the daemon finds it: its EXITED of
   this process. */
static struct fact_exited kept_exit(const struct fact_id *process)
{
    char path[128];
    struct spool spool;
    struct fact_exited end = {0};
    int error;
    snprintf(path, sizeof path, "%s/spool", live.dir);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_int_equal(spool_open(&spool, fd, "boot"), 0);
    assert_int_equal(spool_consumer_begin(&spool, 0), 0);
    for (const struct fact *fact; (fact = spool_next(&spool, &error)) != NULL;) {
        if (fact->type == FACT_EXITED && memcmp(&fact->process, process, sizeof *process) == 0)
            memcpy(&end, fact_payload(fact), sizeof end);
    }
    assert_int_equal(error, 0);
    spool_close(&spool);
    close(fd);
    return end;
}

static void facts_that_no_server_has_stored_outlive_the_keeper(void **state)
{
    struct fact_id living = live_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &living, NULL);
    live_applied(&live);
    struct fact_id ended = live_shell("exit 3");
    assert_int_equal(live_exited(&ended, NULL).status, 3); /* read, but not stored */
    live_exit(&live);
    assert_int_equal(kept_exit(&ended).status, 3);
    struct fact_exited end = kept_exit(&living); /* killed by the keeper at its end */
    assert_int_equal(end.kind, EXIT_SIGNALED);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.reason, STOP_SHUTDOWN);
}

static void a_spool_of_which_all_is_stored_goes_with_the_keeper(void **state)
{
    char path[128];
    struct fact_id id = live_shell("exit 0");
    live_exited(&id, NULL);
    live_forget(&id);
    live_until(&live, FACT_PIPE_CLOSED, &id, NULL);
    live_until(&live, FACT_PIPE_CLOSED, &id, NULL);
    live_applied(&live);
    live_exit(&live);
    snprintf(path, sizeof path, "%s/spool", live.dir);
    assert_int_not_equal(access(path, F_OK), 0);
}

static void state_is_kept_for_the_next_server(void **state)
{
    struct command_state shutdown = {1, 0, 123456789};
    live_call(&live, COMMAND_STATE, NULL, &shutdown, sizeof shutdown);
    live_lose_server(&live);
    live_meet(&live);
    assert_memory_equal(&live.welcome.state, &shutdown, sizeof shutdown);
}

/* The keeper learns of a child's end and of the server's in one turn, before it reads the socket. */
static void a_killed_servers_silence_does_not_end_the_next_one(void **state)
{
    struct fact_id id = live_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    while (live_custody_of(&live, &id) == NULL)
        assert_true(live_receive(&live, 5000));
    pid_t child = live_custody_of(&live, &id)->pid, server = live.server;
    live_applied(&live);
    kill(live.keeper, SIGSTOP);
    kill(child, SIGKILL);
    live_wait_gone(child);
    live_lose_server(&live);
    live_wait_gone(server);
    kill(live.keeper, SIGCONT);
    live_meet(&live);
    assert_int_equal(live_exited(&id, NULL).status, SIGKILL);
    for (int i = 0; i < 15; i++) { /* silence is punished after a second */
        usleep(100000);
        assert_false(live_is_gone(live.server));
    }
}

#define LOAD_CHILDREN 60
#define LOAD_LINES 300

/* Every child prints numbered lines and ends with a code of its own. */
static void check_load(unsigned kills)
{
    static unsigned lines[LOAD_CHILDREN], ended;
    static char partial[LOAD_CHILDREN][64];
    uint64_t base = 1000000;
    memset(lines, 0, sizeof lines);
    memset(partial, 0, sizeof partial);
    ended = 0;
    for (unsigned i = 0; i < LOAD_CHILDREN; i++) {
        char script[256];
        snprintf(script, sizeof script,
                 "i=1; while [ $i -le %d ]; do echo line $i; i=$((i+1)); [ $((i%%20)) = 0 ] && "
                 "sleep 0.0%u; done; exit %u", LOAD_LINES, 1 + i % 9, i + 1);
        live_run((struct live_spawn){.process = live_id(base + i), .argv = SHELL(script)});
    }
    unsigned killed = 0, facts = 0;
    while (ended < LOAD_CHILDREN) {
        const struct fact *fact = live_fact(&live, 20000);
        assert_non_null(fact);
        uint64_t number = 0;
        for (int b = 8; b < 16; b++)
            number = number << 8 | fact->process.bytes[b];
        unsigned child = (unsigned)(number - base);
        if (fact->type == FACT_OUTPUT) {
            const char *at = fact_payload(fact), *end = at + fact_payload_bytes(fact);
            for (; at < end; at++) {
                size_t have = strlen(partial[child]);
                if (*at != '\n') {
                    partial[child][have] = *at;
                    continue;
                }
                char expected[64];
                snprintf(expected, sizeof expected, "line %u", ++lines[child]);
                assert_string_equal(partial[child], expected);
                memset(partial[child], 0, sizeof partial[child]);
            }
        } else if (fact->type == FACT_EXITED) {
            const struct fact_exited *end = fact_payload(fact);
            assert_int_equal(end->kind, EXIT_EXITED);
            assert_int_equal(end->status, child + 1);
            assert_int_equal(lines[child], LOAD_LINES);
            ended++;
        }
        live_applied(&live); /* stored: from here the next server goes on */
        if (killed < kills && ++facts % 4 == 0) { /* a loaded machine makes few facts of many lines */
            live_call(&live, COMMAND_READY, NULL, NULL, 0); /* else the next one is delayed */
            live_lose_server(&live);
            live_meet(&live);
            killed++;
        }
    }
    assert_int_equal(killed, kills);
    for (unsigned i = 0; i < LOAD_CHILDREN; i++) {
        struct fact_id id = live_id(base + i);
        assert_int_equal(live_forget(&id), 0);
    }
}

static void a_server_killed_again_and_again_loses_no_line_and_no_exit_code(void **state)
{
    check_load(100);
}

int main(int argc, char **argv)
{
    live_puppet(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const struct CMUnitTest tests[] = {
        LIVE(ready_prints_the_first_line_once),
        cmocka_unit_test(a_server_that_refuses_to_start_ends_the_keeper),
        LIVE(signals_to_the_keeper_are_told_also_to_a_later_server),
        LIVE(the_commands_of_one_packet_are_all_done),
        LIVE(a_server_that_talks_nonsense_is_replaced),
        LIVE(a_spawn_whose_descriptors_are_not_those_of_its_flags_is_nonsense),
        LIVE(a_killed_servers_silence_does_not_end_the_next_one),
        LIVE(state_is_kept_for_the_next_server),
        LIVE(a_server_that_ends_soon_again_and_again_is_started_at_growing_distance),
        LIVE(facts_that_no_server_has_stored_outlive_the_keeper),
        LIVE(a_spool_of_which_all_is_stored_goes_with_the_keeper),
        LIVE(a_server_killed_again_and_again_loses_no_line_and_no_exit_code),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
