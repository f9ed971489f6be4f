/*
 * The keeper as its server sees it: a real keeper process, the test in the server's place.
 *
 * Runs against the keeper of the same build (test builds: fault points are used to fail fork and
 * pipe and to do without cgroups). Each test has its own keeper and directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "live_harness.h"

static struct live live;

#define SHELL(script) ((const char *const[]){"sh", "-c", script, NULL})

static struct fact_id run(struct live_spawn spawn)
{
    static uint64_t number;
    if (spawn.process.bytes[0] == 0)
        spawn.process = live_id(++number);
    if (spawn.grace_us == 0)
        spawn.grace_us = 10000000;
    live_spawn(&live, &spawn);
    return spawn.process;
}

static struct fact_id run_shell(const char *script)
{
    return run((struct live_spawn){.argv = SHELL(script)});
}

static struct fact_exited exited(const struct fact_id *process, struct live_output *output)
{
    struct fact_exited end;
    memcpy(&end, fact_payload(live_until(&live, FACT_EXITED, process, output)), sizeof end);
    return end;
}

static int forget(const struct fact_id *process)
{
    return live_call(&live, COMMAND_FORGET, process, NULL, 0);
}

static unsigned keeper_fds(void)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)live.keeper);
    DIR *directory = opendir(path);
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

static bool is_gone(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return true;
    (void)!read(fd, text, sizeof text - 1);
    close(fd);
    return strstr(text, ") Z") != NULL;
}

static void wait_gone(pid_t pid)
{
    for (int i = 0; i < 1000 && !is_gone(pid); i++)
        usleep(5000);
    assert_true(is_gone(pid));
}

/* What a child printed up to `count` bytes, without waiting for its end. */
static void read_output(const struct fact_id *process, struct live_output *output, size_t count)
{
    while (output->total < count) {
        const struct fact *fact = live_until(&live, FACT_OUTPUT, process, NULL);
        size_t bytes = fact_payload_bytes(fact);
        memcpy(output->bytes + output->total, fact_payload(fact), bytes);
        output->total += bytes;
        output->bytes[output->total] = 0;
    }
}

/* ---- running ---- */

static void output_comes_before_the_exit_and_both_streams_are_told_apart(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run_shell("echo out; echo err >&2; exit 7");
    const struct fact *fact = live_until(&live, FACT_STARTED, &id, NULL);
    const struct fact_started *started = fact_payload(fact);
    assert_int_equal(started->ppid, live.keeper);
    assert_true(started->pidfd_inode != 0 || started->start_ticks != 0);
    struct fact_exited end = exited(&id, &output);
    assert_int_equal(end.kind, EXIT_EXITED);
    assert_int_equal(end.status, 7);
    assert_int_equal(output.count[STREAM_STDOUT], 4);
    assert_int_equal(output.count[STREAM_STDERR], 4);
    assert_true(end.usage_known && end.max_rss_bytes > 100000);
    assert_int_equal(forget(&id), 0);
    assert_int_equal(forget(&id), ESRCH);
}

static void merged_streams_keep_their_order(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run((struct live_spawn){
        .argv = SHELL("for i in 1 2 3; do echo o$i; echo e$i >&2; done"),
        .flags = SPAWN_STDERR_MERGED});
    exited(&id, &output);
    assert_string_equal(output.bytes, "o1\ne1\no2\ne2\no3\ne3\n");
    assert_int_equal(output.count[STREAM_STDERR], 0);
}

static void an_end_by_signal_names_the_signal(void **state)
{
    struct fact_id id = run_shell("kill -USR1 $$");
    struct fact_exited end = exited(&id, NULL);
    assert_int_equal(end.kind, EXIT_SIGNALED);
    assert_int_equal(end.status, SIGUSR1);
}

static void a_child_finds_a_clean_process(void **state)
{
    struct live_output output = {0};
    char expected[256];
    struct fact_id id = run_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t'; "
                                  "ls /proc/self/fd | tr '\\n' ' '; ulimit -n; "
                                  "cat /proc/self/oom_score_adj; ps -o sid= -p $$ | tr -d ' '");
    struct fact_exited end = exited(&id, &output);
    assert_int_equal(end.status, 0);
    FILE *own = popen("ulimit -n; cat /proc/self/oom_score_adj", "r");
    char limits[64] = "";
    size_t got = fread(limits, 1, sizeof limits - 1, own);
    pclose(own);
    assert_true(got > 0);
    const struct live_custody *custody = live_custody_of(&live, &id);
    while (custody == NULL && live_receive(&live, 1000))
        custody = live_custody_of(&live, &id);
    snprintf(expected, sizeof expected, "SigBlk:0000000000000000SigIgn:00000000000000000 1 2 3 %s%d\n",
             limits, custody->pid);
    assert_string_equal(output.bytes, expected);
}

static void failures_before_exec_name_errno_and_stage_and_leave_nothing(void **state)
{
    static const struct {
        const char *program, *cwd;
        uint32_t flags;
        int error;
        uint32_t stage;
    } rows[] = {
        {"/no/such/program", NULL, 0, ENOENT, STAGE_EXEC},
        {"no-such-program", NULL, 0, ENOENT, STAGE_EXEC},
        {"/etc/passwd", NULL, 0, EACCES, STAGE_EXEC},
        {"/tmp", NULL, 0, EACCES, STAGE_EXEC},
        {"", NULL, 0, ENOENT, STAGE_EXEC},
        {"/bin/true", "/no/such/directory", 0, ENOENT, STAGE_CWD},
        {"/bin/true", "/etc/passwd", 0, ENOTDIR, STAGE_CWD},
    };
    struct fact_id id = run_shell("exit 0");
    exited(&id, NULL);
    forget(&id);
    unsigned before = keeper_fds();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        id = run((struct live_spawn){.argv = (const char *const[]){rows[i].program, NULL},
                                     .cwd = rows[i].cwd, .flags = SPAWN_STDIN_PIPE,
                                     .record = "record", .record_bytes = 6});
        const struct fact *fact = live_until(&live, FACT_SPAWN_FAILED, &id, NULL);
        const struct fact_spawn_failed *failed = fact_payload(fact);
        assert_int_equal(failed->error, rows[i].error);
        assert_int_equal(failed->stage, rows[i].stage);
        assert_memory_equal(failed + 1, "record", 6);
        assert_int_equal(forget(&id), ESRCH);
    }
    assert_int_equal(keeper_fds(), before);
}

static void a_script_without_interpreter_line_is_enoexec(void **state)
{
    char path[] = "/tmp/keeper-script-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "echo x\n", 7), 7);
    fchmod(fd, 0700);
    close(fd);
    struct fact_id id = run((struct live_spawn){.argv = (const char *const[]){path, NULL}});
    const struct fact_spawn_failed *failed =
        fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
    assert_int_equal(failed->error, ENOEXEC);
    unlink(path);
}

static void a_record_larger_than_a_packet_comes_back_whole(void **state)
{
    static char record[300000];
    for (size_t i = 0; i < sizeof record; i++)
        record[i] = (char)(i * 7);
    struct fact_id id = run((struct live_spawn){.argv = SHELL("exit 0"), .record = record,
                                                .record_bytes = sizeof record});
    const struct fact_started *started = fact_payload(live_until(&live, FACT_STARTED, &id, NULL));
    assert_int_equal(started->record_bytes, sizeof record);
    assert_memory_equal(started + 1, record, sizeof record);
    exited(&id, NULL);
}

static void an_id_that_is_known_is_refused(void **state)
{
    struct live_spawn spawn = {.process = live_id(77), .argv = SHELL("sleep 60")};
    assert_int_equal(live_reply(&live, live_spawn(&live, &spawn)), 0);
    assert_int_equal(live_reply(&live, live_spawn(&live, &spawn)), EEXIST);
}

static void fork_and_pipe_failures_become_facts(void **state)
{
    struct fact_id id = run_shell("exit 0");
    const struct fact_spawn_failed *failed =
        fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
    assert_int_equal(failed->error, EAGAIN);
    assert_int_equal(failed->stage, STAGE_FORK);
    id = run_shell("exit 3"); /* failed once only */
    assert_int_equal(exited(&id, NULL).status, 3);
}

/* Everything about a short program may happen in one turn of the keeper's loop. */
static void being_out_of_descriptors_says_nothing_about_cgroups(void **state)
{
    uint32_t features = live.welcome.features;
    struct fact_id id = run_shell("exit 0"); /* its clone3 fails */
    struct fact_spawn_failed failed;
    memcpy(&failed, fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL)), sizeof failed);
    assert_int_equal(failed.error, EMFILE);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.features, features);
    assert_int_equal(exited((struct fact_id[]){run_shell("exit 5")}, NULL).status, 5);
}

static void a_keeper_out_of_descriptors_refuses_a_spawn_that_brings_one(void **state)
{
    struct rlimit few = {1, 0}, before; /* no number is left, whatever is open */
    assert_int_equal(prlimit(live.keeper, RLIMIT_NOFILE, NULL, &before), 0);
    few.rlim_max = before.rlim_max;
    int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
    struct live_spawn spawn = {.process = live_id(77), .argv = SHELL("exit 0"), .stdin_fd = file,
                               .flags = SPAWN_STDIN_FILE};
    assert_int_equal(prlimit(live.keeper, RLIMIT_NOFILE, &few, NULL), 0);
    uint32_t request = live_spawn(&live, &spawn);
    assert_int_equal(live_reply(&live, request), EMFILE);
    assert_int_equal(live.replies[request % 1024].stage, STAGE_LIMIT);
    assert_int_equal(prlimit(live.keeper, RLIMIT_NOFILE, &before, NULL), 0);
    run(spawn); /* the same server may go on */
    assert_int_equal(exited(&spawn.process, NULL).status, 0);
    close(file);
}

static void a_short_program_ends_after_it_has_started(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct fact_id id = run_shell("echo x");
        int64_t started_us = live_until(&live, FACT_STARTED, &id, NULL)->at_us;
        int64_t output_us = live_until(&live, FACT_OUTPUT, &id, NULL)->at_us;
        int64_t exited_us = live_until(&live, FACT_EXITED, &id, NULL)->at_us;
        assert_true(started_us < exited_us);
        assert_true(started_us <= output_us && output_us <= exited_us);
        assert_true(exited_us - started_us < 10000000);
    }
}

/* ---- stdin ---- */

static void stdin_from_a_file_is_read_to_its_end(void **state)
{
    struct live_output output = {0};
    int fd = memfd_create("stdin", MFD_CLOEXEC);
    assert_int_equal(write(fd, "from a memfd", 12), 12);
    lseek(fd, 0, SEEK_SET);
    struct fact_id id = run((struct live_spawn){.argv = SHELL("cat"), .flags = SPAWN_STDIN_FILE,
                                                .stdin_fd = fd});
    exited(&id, &output);
    close(fd);
    assert_string_equal(output.bytes, "from a memfd");
}

static void stdin_written_through_custody_ends_when_both_sides_close(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run((struct live_spawn){.argv = SHELL("cat"), .flags = SPAWN_STDIN_PIPE});
    live_until(&live, FACT_STARTED, &id, NULL);
    while (live_custody_of(&live, &id) == NULL)
        assert_true(live_receive(&live, 5000));
    struct live_custody *custody = (struct live_custody *)(uintptr_t)live_custody_of(&live, &id);
    assert_int_equal(write(custody->fds[3], "typed", 5), 5);
    close(custody->fds[3]);
    custody->fds[3] = -1;
    assert_int_equal(live_call(&live, COMMAND_STDIN_CLOSE, &id, NULL, 0), 0);
    assert_int_equal(live_call(&live, COMMAND_STDIN_CLOSE, &id, NULL, 0), EPIPE);
    assert_int_equal(exited(&id, &output).status, 0);
    assert_string_equal(output.bytes, "typed");
}

static void stdin_whose_reader_is_gone_is_told(void **state)
{
    struct fact_id id = run((struct live_spawn){.argv = SHELL("exec <&-; sleep 60"),
                                                .flags = SPAWN_STDIN_PIPE});
    live_until(&live, FACT_STDIN_CLOSED, &id, NULL);
}

/* ---- stops ---- */

static int stop(const struct fact_id *process, int signal, int64_t grace_us)
{
    struct command_stop ask = {STOP_REQUESTED, signal, grace_us};
    return live_call(&live, COMMAND_STOP, process, &ask, sizeof ask);
}

static void a_stop_ends_a_child_that_listens(void **state)
{
    struct fact_id id = run_shell("trap 'exit 9' TERM; echo up; while :; do sleep 0.01; done");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    assert_int_equal(stop(&id, SIGTERM, 10000000), 0);
    live_until(&live, FACT_STOPPING, &id, NULL);
    struct fact_exited end = exited(&id, NULL);
    assert_int_equal(end.reason, STOP_REQUESTED);
    assert_int_equal(end.killed, 0);
    assert_int_equal(stop(&id, SIGTERM, 0), ESRCH);
}

static void a_stop_escalates_to_the_whole_tree(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run_shell("trap '' TERM; setsid sh -c 'trap \"\" TERM; echo $$; "
                                  "sleep 300' & while :; do sleep 0.1; done");
    read_output(&id, &output, 2);
    pid_t escaped = atoi(output.bytes);
    assert_int_equal(stop(&id, SIGTERM, 100000), 0);
    const struct fact_stopping *stopping =
        fact_payload(live_until(&live, FACT_STOPPING, &id, NULL));
    assert_int_equal(stopping->signal, SIGTERM);
    assert_true(stopping->deadline_at_us > 0);
    live_until(&live, FACT_KILLED, &id, NULL);
    struct fact_exited end = exited(&id, NULL);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.killed, 1);
    wait_gone(escaped);
}

static void a_repeated_stop_may_shorten_but_not_lengthen(void **state)
{
    struct fact_id id = run_shell("trap '' TERM; echo up; while :; do sleep 0.1; done");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    stop(&id, SIGTERM, 100000000);
    int64_t first = ((const struct fact_stopping *)fact_payload(
                         live_until(&live, FACT_STOPPING, &id, NULL)))->deadline_at_us;
    stop(&id, SIGTERM, 900000000);
    int64_t second = ((const struct fact_stopping *)fact_payload(
                          live_until(&live, FACT_STOPPING, &id, NULL)))->deadline_at_us;
    assert_true(second - first < 1000000);
    stop(&id, SIGTERM, 1000);
    live_until(&live, FACT_KILLED, &id, NULL);
    exited(&id, NULL);
}

static void a_time_limit_is_a_stop(void **state)
{
    int64_t start = live_now_ms();
    struct fact_id id = run((struct live_spawn){.argv = SHELL("trap '' INT; while :; do sleep 0.1; done"),
                                                .timeout_us = 200000, .grace_us = 100000,
                                                .stop_signal = SIGINT});
    const struct fact_stopping *stopping =
        fact_payload(live_until(&live, FACT_STOPPING, &id, NULL));
    assert_int_equal(stopping->reason, STOP_TIMEOUT);
    assert_int_equal(stopping->signal, SIGINT);
    struct fact_exited end = exited(&id, NULL);
    assert_int_equal(end.reason, STOP_TIMEOUT);
    assert_int_equal(end.killed, 1);
    assert_in_range(live_now_ms() - start, 290, 5000);
}

static void a_tree_outlives_its_main_process_and_can_be_stopped(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run_shell("setsid sleep 300 >/dev/null 2>&1 & echo $!; exit 4");
    struct fact_exited end = exited(&id, &output);
    assert_int_equal(end.status, 4);
    assert_int_equal(end.descendants, 1);
    assert_int_equal(forget(&id), 0);
    assert_int_equal(stop(&id, SIGTERM, 5000000), 0);
    live_until(&live, FACT_TREE_EMPTY, &id, NULL);
    assert_int_equal(stop(&id, SIGTERM, 5000000), ESRCH); /* forgotten by now */
    wait_gone(atoi(output.bytes));
}

static void a_pipe_held_by_a_descendant_is_read_to_its_end(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run_shell("(sleep 0.3; echo late) & echo early");
    struct fact_exited end = exited(&id, &output);
    assert_int_equal(end.open_streams & 1, 1);
    assert_string_equal(output.bytes, "early\n");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    live_until(&live, FACT_TREE_EMPTY, &id, NULL);
}

static void a_paused_tree_stands_still_and_can_be_killed(void **state)
{
    struct fact_id id = run_shell("while :; do echo x; sleep 0.01; done");
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
    assert_int_equal(stop(&id, SIGTERM, 10000000), 0); /* thaws, so that TERM can act */
    struct fact_exited end = exited(&id, NULL);
    assert_int_equal(end.status, SIGTERM);
    id = run_shell("sleep 300");
    live_until(&live, FACT_STARTED, &id, NULL);
    assert_int_equal(live_call(&live, COMMAND_PAUSE, &id, NULL, 0), 0);
    assert_int_equal(stop(&id, SIGKILL, 10000000), 0);
    assert_int_equal(exited(&id, NULL).status, SIGKILL);
}

/* Kernels from 6.14 on kill whoever is cloned into a cgroup that was killed before. */
static void programs_after_a_killed_tree_are_not_killed_too(void **state)
{
    struct command_signal kill_tree = {SIGKILL, SCOPE_TREE};
    struct fact_id ids[20];
    for (int round = 0; round < 3; round++) {
        struct fact_id id = run_shell("sleep 300 & sleep 300");
        live_until(&live, FACT_STARTED, &id, NULL);
        assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &kill_tree, sizeof kill_tree), 0);
        assert_int_equal(exited(&id, NULL).status, SIGKILL);
        for (int i = 0; i < 20; i++)
            ids[i] = run_shell("exit 0");
        for (int i = 0; i < 20; i++) {
            struct fact_exited end = exited(&ids[i], NULL);
            assert_int_equal(end.kind, EXIT_EXITED);
            assert_int_equal(end.status, 0);
        }
    }
}

static void programs_after_a_tree_killed_in_a_pause_are_not_paused_too(void **state)
{
    for (int round = 0; round < 3; round++) {
        struct fact_id id = run_shell("sleep 300 & sleep 300");
        live_until(&live, FACT_STARTED, &id, NULL);
        assert_int_equal(live_call(&live, COMMAND_PAUSE, &id, NULL, 0), 0);
        assert_int_equal(stop(&id, SIGKILL, 10000000), 0);
        assert_int_equal(exited(&id, NULL).status, SIGKILL);
        id = run_shell("exit 5");
        assert_int_equal(exited(&id, NULL).status, 5);
    }
}

static void signals_reach_their_scope(void **state)
{
    struct fact_id id = run_shell("sh -c 'trap \"echo inner; exit\" USR1; while :; do sleep 0.01; done' &"
                                  "trap 'echo outer' USR1; echo up; wait; wait; wait");
    struct live_output output = {0};
    read_output(&id, &output, 3);
    usleep(50000);
    struct command_signal ask = {SIGUSR1, SCOPE_MAIN};
    assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &ask, sizeof ask), 0);
    read_output(&id, &output, 9);
    assert_non_null(strstr(output.bytes, "outer"));
    assert_null(strstr(output.bytes, "inner"));
    ask.scope = SCOPE_TREE;
    assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &ask, sizeof ask), 0);
    exited(&id, &output);
    assert_non_null(strstr(output.bytes, "inner"));
    assert_int_equal(live_call(&live, COMMAND_SIGNAL, &id, &ask, sizeof ask), ESRCH);
}

/* ---- output ---- */

static void drop_newest_keeps_exactly_the_limit_and_counts_the_rest(void **state)
{
    struct live_output output = {0};
    uint64_t dropped = 0;
    struct fact_id id = run((struct live_spawn){
        .argv = SHELL("head -c 1000000 /dev/zero"), .flags = SPAWN_OUTPUT_DROP_NEWEST,
        .max_output_bytes = 12345});
    for (;;) {
        const struct fact *fact = live_fact(&live, 10000);
        assert_non_null(fact);
        if (fact->type == FACT_OUTPUT)
            output.total += fact_payload_bytes(fact);
        else if (fact->type == FACT_DROPPED)
            dropped += ((const struct fact_dropped *)fact_payload(fact))->bytes;
        else if (fact->type == FACT_EXITED)
            break;
    }
    assert_memory_equal(&id, &id, sizeof id);
    assert_int_equal(output.total, 12345);
    assert_int_equal(dropped, 1000000 - 12345);
}

static void block_stops_reading_at_the_limit_until_credit_comes(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run((struct live_spawn){
        .argv = SHELL("head -c 200000 /dev/zero; exit 5"), .flags = SPAWN_OUTPUT_BLOCK,
        .max_output_bytes = 1000});
    live_until(&live, FACT_OUTPUT_BLOCKED, &id, &output);
    assert_int_equal(output.count[STREAM_STDOUT], 1000);
    assert_null(live_fact(&live, 200));
    struct command_credit credit = {5000};
    live_call(&live, COMMAND_OUTPUT_CREDIT, &id, &credit, sizeof credit);
    live_until(&live, FACT_OUTPUT_BLOCKED, &id, &output);
    assert_int_equal(output.count[STREAM_STDOUT], 5000);
    credit.max_output_bytes = 200000; /* exactly what comes: its end must be seen all the same */
    live_call(&live, COMMAND_OUTPUT_CREDIT, &id, &credit, sizeof credit);
    assert_int_equal(exited(&id, &output).status, 5);
    assert_int_equal(output.count[STREAM_STDOUT], 200000);
}

static void a_full_ring_blocks_the_writer_and_loses_nothing(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run_shell("head -c 20000000 /dev/zero; exit 6");
    live_until(&live, FACT_STARTED, &id, NULL);
    usleep(300000); /* nobody reads: the ring fills and stays full */
    static const char record[10000];
    struct live_spawn more = {.process = live_id(4242), .argv = SHELL("exit 0"),
                              .record = record, .record_bytes = sizeof record};
    uint32_t request = live_spawn(&live, &more);
    assert_int_equal(live_reply(&live, request), EAGAIN);
    assert_int_equal(live.replies[request % 1024].stage, STAGE_LIMIT);
    assert_int_equal(exited(&id, &output).status, 6);
    assert_int_equal(output.count[STREAM_STDOUT], 20000000);
}

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

static void a_server_that_talks_nonsense_is_replaced(void **state)
{
    struct fact_id id = run_shell("sleep 300");
    live_until(&live, FACT_STARTED, &id, NULL);
    live_applied(&live);
    struct command_hello hello = {999, 0};
    live_send(&live, COMMAND_HELLO, NULL, &hello, sizeof hello);
    wait_gone(live.server);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.entries, 1);
    assert_non_null(live_custody_of(&live, &id));
    live_until(&live, FACT_SERVER_ENDED, NULL, NULL);
}

static void a_server_that_ends_soon_again_and_again_is_started_at_growing_distance(void **state)
{
    uint32_t delays_ms[5];
    for (int i = 0; i < 5; i++) {
        live_call(&live, COMMAND_READY, NULL, NULL, 0);
        (void)!write(live.puppet, "x", 1); /* it exits with 0 */
        wait_gone(live.server);
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
    struct fact_id living = run_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &living, NULL);
    live_applied(&live);
    struct fact_id ended = run_shell("exit 3");
    assert_int_equal(exited(&ended, NULL).status, 3); /* read, but not stored */
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
    struct fact_id id = run_shell("exit 0");
    exited(&id, NULL);
    forget(&id);
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
    struct fact_id id = run_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    while (live_custody_of(&live, &id) == NULL)
        assert_true(live_receive(&live, 5000));
    pid_t child = live_custody_of(&live, &id)->pid, server = live.server;
    live_applied(&live);
    kill(live.keeper, SIGSTOP);
    kill(child, SIGKILL);
    wait_gone(child);
    live_lose_server(&live);
    wait_gone(server);
    kill(live.keeper, SIGCONT);
    live_meet(&live);
    assert_int_equal(exited(&id, NULL).status, SIGKILL);
    for (int i = 0; i < 15; i++) { /* silence is punished after a second */
        usleep(100000);
        assert_false(is_gone(live.server));
    }
}

/* Where the keeper may lower its score: children never get that, and it has it while it is idle. */
static void the_oom_score_is_lowered_between_spawns(void **state)
{
    char path[64], text[16] = "", own[16] = "";
    snprintf(path, sizeof path, "/proc/%d/oom_score_adj", (int)live.keeper);
    int fd = open("/proc/self/oom_score_adj", O_RDWR);
    ssize_t length = read(fd, own, sizeof own - 1);
    bool may_lower = length > 0 && atoi(own) > -900 && pwrite(fd, "-900", 4, 0) == 4;
    (void)!pwrite(fd, own, (size_t)length, 0);
    close(fd);
    for (int round = 0; round < 2; round++) {
        struct live_output output = {0};
        struct fact_id id = run_shell("cat /proc/self/oom_score_adj");
        exited(&id, &output);
        assert_string_equal(output.bytes, own);
        for (int i = 0; may_lower && i < 500 && atoi(text) != -900; i++) {
            usleep(10000);
            fd = open(path, O_RDONLY);
            memset(text, 0, sizeof text);
            (void)!read(fd, text, sizeof text - 1);
            close(fd);
        }
        assert_true(!may_lower || atoi(text) == -900);
        text[0] = 0;
    }
}

/* Those with another user are forked and do not share the keeper's memory. */
static void a_child_with_another_user_and_one_that_cannot_have_it(void **state)
{
    struct live_output output = {0};
    struct fact_id id = run((struct live_spawn){.argv = SHELL("id -u; id -g"),
                                                .flags = SPAWN_SET_IDS, .uid = 65534,
                                                .gid = 65534});
    if (getuid() != 0) {
        const struct fact_spawn_failed *failed =
            fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
        assert_int_equal(failed->error, EPERM);
        return;
    }
    exited(&id, &output);
    assert_string_equal(output.bytes, "65534\n65534\n");
}

/* It shares the keeper's memory there; SIGQUIT would even dump it. */
static void a_child_ended_on_its_way_to_exec_harms_nobody(void **state)
{
    static const int signals[] = {SIGKILL, SIGQUIT, 0, SIGTERM};
    const char *const missing[] = {"/no/such/program", NULL};
    struct fact_id ids[400];
    pid_t keeper = live.keeper;
    for (unsigned i = 0; i < 400; i++) {
        bool fails = i % 5 == 0;
        struct command_signal ask = {signals[i % 4], i % 3 == 0 ? SCOPE_TREE : SCOPE_MAIN};
        ids[i] = fails ? run((struct live_spawn){.argv = missing}) : run_shell("exit 0");
        live_send(&live, COMMAND_SIGNAL, &ids[i], &ask, sizeof ask);
    }
    for (unsigned ended = 0; ended < 400;) {
        const struct fact *fact = live_fact(&live, 10000);
        assert_non_null(fact);
        ended += fact->type == FACT_EXITED || fact->type == FACT_SPAWN_FAILED;
    }
    live_applied(&live);
    for (unsigned i = 0; i < 400; i++) {
        forget(&ids[i]);
    }
    struct fact_id id = run_shell("exit 6");
    assert_int_equal(exited(&id, NULL).status, 6);
    assert_int_equal(live.keeper, keeper);
    assert_false(is_gone(keeper));
}

/* More than a kept region holds, and the longest search. */
static void arguments_of_any_size_arrive_whole(void **state)
{
    static char longest[120000];
    struct live_output output = {0};
    memset(longest, 'x', sizeof longest - 1);
    const char *const many[] = {"sh", "-c", "echo $#${#1}${#4}", "sh", longest, "", "a", longest,
                                NULL};
    for (int i = 0; i < 3; i++) {
        struct fact_id id = run((struct live_spawn){.argv = many});
        assert_int_equal(exited(&id, &output).status, 0);
    }
    assert_string_equal(output.bytes, "4119999119999\n4119999119999\n4119999119999\n");
    const char *const path[] = {"PATH=:/no/such/dir::/etc/passwd:/bin:/usr/bin", NULL};
    struct fact_id id = run((struct live_spawn){.argv = SHELL("exit 8"), .env = path, .cwd = "/"});
    assert_int_equal(exited(&id, NULL).status, 8);
    const char *const here[] = {"PATH=", NULL};
    id = run((struct live_spawn){.argv = SHELL("exit 9"), .env = here, .cwd = "/bin"});
    assert_int_equal(exited(&id, NULL).status, 9);
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
        run((struct live_spawn){.process = live_id(base + i), .argv = SHELL(script)});
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
        if (killed < kills && ++facts % 8 == 0) {
            live_call(&live, COMMAND_READY, NULL, NULL, 0); /* else the next one is delayed */
            live_lose_server(&live);
            live_meet(&live);
            killed++;
        }
    }
    assert_int_equal(killed, kills);
    for (unsigned i = 0; i < LOAD_CHILDREN; i++) {
        struct fact_id id = live_id(base + i);
        assert_int_equal(forget(&id), 0);
    }
}

static void a_server_killed_again_and_again_loses_no_line_and_no_exit_code(void **state)
{
    check_load(100);
}

/* ---- upgrade and adoption ---- */

static void an_upgrade_keeps_children_bytes_and_deadlines(void **state)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    struct fact_id slow = run_shell("echo before; sleep 1; echo after; exit 11");
    struct fact_id stubborn = run_shell("trap '' TERM; echo up; while :; do sleep 0.1; done");
    struct fact_id outlived = run_shell("setsid sleep 300 >/dev/null 2>&1 & exit 0");
    live_until(&live, FACT_OUTPUT, &stubborn, NULL);
    live_until(&live, FACT_EXITED, &outlived, NULL);
    live_applied(&live);
    stop(&stubborn, SIGTERM, 1500000);
    live_send(&live, COMMAND_UPGRADE, NULL, self, strlen(self) + 1);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.keeper_pid, live.keeper);
    assert_int_equal(live.welcome.entries, 3);
    struct live_output output = {0};
    live_until(&live, FACT_KEEPER_STARTED, NULL, NULL);
    const struct fact *fact = live_until(&live, FACT_KEEPER_STARTED, NULL, NULL);
    assert_int_equal(((const struct fact_keeper_started *)fact_payload(fact))->occasion,
                     RESUME_UPGRADE);
    assert_int_equal(exited(&slow, &output).status, 11);
    assert_non_null(strstr(output.bytes, "after"));
    assert_int_equal(exited(&stubborn, NULL).status, SIGKILL);
    assert_int_equal(stop(&outlived, SIGTERM, 1000000), 0);
    live_until(&live, FACT_TREE_EMPTY, &outlived, NULL);
}

static void an_upgrade_that_cannot_be_executed_changes_nothing(void **state)
{
    struct fact_id id = run_shell("echo up; sleep 0.5; exit 12");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    live_applied(&live);
    live_send(&live, COMMAND_UPGRADE, NULL, "/no/such/binary", 16);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.entries, 1);
    assert_int_equal(exited(&id, NULL).status, 12);
    struct fact_id other = run_shell("ls /proc/self/fd | wc -l"); /* nothing was left inheritable */
    struct live_output output = {0};
    exited(&other, &output);
    assert_string_equal(output.bytes, "4\n");
}

static struct resume_entry entry_of(const struct fact_id *id, bool with_slot)
{
    const struct live_custody *custody = live_custody_of(&live, id);
    while (custody == NULL && live_receive(&live, 5000))
        custody = live_custody_of(&live, id);
    assert_non_null(custody);
    struct resume_entry entry = {.process = *id, .pid = custody->pid, .pidfd = custody->fds[0],
                                 .stdout_fd = custody->fds[1], .stderr_fd = custody->fds[2],
                                 .stdin_fd = custody->fds[3], .flags = ENTRY_ADOPTED,
                                 .stop_signal = SIGTERM, .cgroup_slot = -1};
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/cgroup", custody->pid);
    FILE *file = fopen(path, "re");
    while (with_slot && file != NULL && fgets(text, sizeof text, file) != NULL)
        if (strncmp(text, "0::", 3) == 0 && strstr(text, "/forkful-") != NULL)
            sscanf(strrchr(text, '/'), "/s%d", &entry.cgroup_slot);
    if (file != NULL)
        fclose(file);
    return entry;
}

static void a_killed_keepers_children_are_adopted_with_their_exit_codes(void **state)
{
    struct fact_id ids[4] = {
        run_shell("echo one; sleep 1; echo two; exit 21"), run_shell("echo one; sleep 0.3; kill -9 $$"),
        run_shell("trap '' TERM; setsid sleep 300 & echo one; while :; do sleep 0.1; done"),
        run_shell("echo one; while :; do sleep 0.1; done")};
    struct resume_entry entries[4];
    for (int i = 0; i < 4; i++)
        live_until(&live, FACT_OUTPUT, &ids[i], NULL);
    for (int i = 0; i < 4; i++)
        entries[i] = entry_of(&ids[i], true);
    entries[2].stop_deadline_mono_us = (live_now_ms() + 1000) * 1000;
    entries[2].stop_reason = STOP_TIMEOUT;
    live_applied(&live);
    kill(live.keeper, SIGKILL);
    waitpid(live.keeper, NULL, 0);
    live_adopt(&live, entries, 4);
    live_meet(&live);
    assert_int_equal(live.welcome.keeper_pid, live.keeper);
    assert_int_equal(live.welcome.entries, 4);
    struct live_output output = {0};
    struct fact_exited end = exited(&ids[1], NULL);
    assert_int_equal(end.kind, EXIT_SIGNALED);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.usage_known, 0);
    end = exited(&ids[0], &output);
    assert_int_equal(end.kind, EXIT_EXITED);
    assert_int_equal(end.status, 21);
    assert_string_equal(output.bytes, "two\n");
    end = exited(&ids[2], NULL);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.reason, STOP_TIMEOUT);
    assert_int_equal(stop(&ids[3], SIGTERM, 1000000), 0);
    assert_int_equal(exited(&ids[3], NULL).status, SIGTERM);
    for (int i = 0; i < 4; i++)
        assert_int_equal(forget(&ids[i]), 0);
}

static void a_child_forked_by_a_keeper_that_died_of_it_does_not_live_on(void **state)
{
    if (!(live.welcome.features & KEEPER_CGROUP_KILL))
        return; /* nothing tells such a child from a stranger's */
    char path[] = "/tmp/keeper-stray-XXXXXX", script[128], pid[16] = "";
    int fd = mkstemp(path);
    struct live_output left = {0};
    struct fact_id forgotten = run_shell("setsid sleep 300 >/dev/null 2>&1 & echo $!");
    exited(&forgotten, &left);
    assert_int_equal(forget(&forgotten), 0);
    struct fact_id id = run_shell("echo one; sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    struct resume_entry entry = entry_of(&id, true);
    live_applied(&live);
    snprintf(script, sizeof script, "echo $$ > %s; sleep 300", path);
    run_shell(script); /* the third passage of keeper_after_fork */
    waitpid(live.keeper, NULL, 0);
    while (pread(fd, pid, sizeof pid - 1, 0) <= 0)
        usleep(5000);
    live_adopt(&live, &entry, 1);
    live_meet(&live);
    wait_gone(atoi(pid));
    assert_false(is_gone(atoi(left.bytes))); /* nobody knows it any more either, but it may live */
    kill(atoi(left.bytes), SIGKILL);
    assert_int_equal(stop(&id, SIGTERM, 1000000), 0); /* the other one is as it was */
    assert_int_equal(exited(&id, NULL).status, SIGTERM);
    close(fd);
    unlink(path);
}

/* The cgroup of process `pid`, absolute; "" where there is none. */
static void cgroup_of(pid_t pid, char path[4200])
{
    char file[64], line[4096];
    snprintf(file, sizeof file, "/proc/%d/cgroup", (int)pid);
    FILE *lines = fopen(file, "re");
    const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    path[0] = 0;
    while (lines != NULL && path[0] == 0 && fgets(line, sizeof line, lines) != NULL) {
        line[strcspn(line, "\n")] = 0;
        for (int m = 0; m < 2 && strncmp(line, "0::", 3) == 0; m++) {
            snprintf(path, 4200, "%s%s", mounts[m], line + 3);
            if (access(path, F_OK) == 0)
                break;
            path[0] = 0;
        }
    }
    if (lines != NULL)
        fclose(lines);
}

static void what_a_killed_keeper_and_server_left_is_removed_by_the_next(void **state)
{
    static struct live dead, used;
    char stale[4200], present[4200];
    struct fact_id id = run_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    cgroup_of(entry_of(&id, true).pid, present);
    if (!(live.welcome.features & KEEPER_CGROUP) || present[0] == 0)
        return;
    used = live; /* the keeper of the set-up goes on beside the dead one */
    live_start(&live);
    id = run_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    pid_t child = entry_of(&id, true).pid;
    cgroup_of(child, stale);
    kill(live.keeper, SIGKILL);
    waitpid(live.keeper, NULL, 0);
    kill(child, SIGKILL);
    wait_gone(child);
    dead = live;
    live_lose_server(&dead);
    wait_gone(live.server);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    assert_int_equal(access(stale, F_OK), 0);
    live_start(&live);
    assert_int_not_equal(access(stale, F_OK), 0);
    assert_int_equal(access(present, F_OK), 0);
    live_end(&live);
    live = used;
    live_sweep(&dead);
    assert_int_equal(stop(&id, SIGKILL, 0), ESRCH); /* the dead one's: but this one answers */
}

static void an_adopted_child_reaped_by_somebody_else_still_tells_its_status(void **state)
{
    if (!(live.welcome.features & KEEPER_PIDFD_EXIT_INFO))
        return; /* a kernel before 6.15: the end would be LOST */
    struct fact_id id = run_shell("echo one; sleep 0.2; exit 33");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    struct resume_entry entry = entry_of(&id, true);
    live_applied(&live);
    kill(live.keeper, SIGKILL);
    waitpid(live.keeper, NULL, 0);
    waitpid(entry.pid, NULL, 0); /* this test is the subreaper */
    live_adopt(&live, &entry, 1);
    live_meet(&live);
    struct fact_exited end = exited(&id, NULL);
    assert_int_equal(end.kind, EXIT_EXITED);
    assert_int_equal(end.status, 33);
}

static void nothing_is_left_open_when_all_is_forgotten(void **state)
{
    struct fact_id id = run_shell("exit 0");
    exited(&id, NULL);
    forget(&id);
    unsigned before = keeper_fds();
    for (int i = 0; i < 200; i++) {
        id = run((struct live_spawn){.argv = SHELL("exit 0"), .flags = SPAWN_STDIN_PIPE});
        exited(&id, NULL);
        assert_int_equal(forget(&id), 0);
    }
    assert_int_equal(keeper_fds(), before);
}

/* ---- set-up ---- */

static int setup(void **state)
{
    live_start(&live);
    return 0;
}

static int setup_small_ring(void **state)
{
    live_start_with(&live, 4u << 20);
    return 0;
}

static int setup_without_cgroups(void **state)
{
    setenv("FORKFUL_FAIL", "cgroup:ENOENT", 1);
    live_start(&live);
    return 0;
}

static int setup_failing_fork(void **state)
{
    setenv("FORKFUL_FAIL", "fork:EAGAIN:1", 1);
    live_start(&live);
    return 0;
}

static int setup_without_descriptors(void **state)
{
    setenv("FORKFUL_FAIL", "fork:EMFILE:1", 1);
    live_start(&live);
    return 0;
}

static int setup_dying_after_fork(void **state)
{
    setenv("FORKFUL_FAULT", "keeper_after_fork:3", 1);
    live_start(&live);
    unsetenv("FORKFUL_FAULT"); /* the next keeper lives */
    return 0;
}

static int teardown(void **state)
{
    unsetenv("FORKFUL_FAIL");
    live_end(&live);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return 0;
}

#define LIVE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
#define LIVE_WITHOUT_CGROUPS(test) \
    {#test " (no cgroups)", test, setup_without_cgroups, teardown, NULL}

int main(int argc, char **argv)
{
    live_puppet(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const struct CMUnitTest tests[] = {
        LIVE(output_comes_before_the_exit_and_both_streams_are_told_apart),
        LIVE(merged_streams_keep_their_order),
        LIVE(an_end_by_signal_names_the_signal),
        LIVE(a_child_finds_a_clean_process),
        LIVE(failures_before_exec_name_errno_and_stage_and_leave_nothing),
        LIVE(a_script_without_interpreter_line_is_enoexec),
        LIVE(a_record_larger_than_a_packet_comes_back_whole),
        LIVE(an_id_that_is_known_is_refused),
        {"fork_and_pipe_failures_become_facts", fork_and_pipe_failures_become_facts,
         setup_failing_fork, teardown, NULL},
        {"being_out_of_descriptors_says_nothing_about_cgroups",
         being_out_of_descriptors_says_nothing_about_cgroups, setup_without_descriptors, teardown,
         NULL},
        LIVE(a_keeper_out_of_descriptors_refuses_a_spawn_that_brings_one),
        LIVE(a_short_program_ends_after_it_has_started),
        LIVE(stdin_from_a_file_is_read_to_its_end),
        LIVE(stdin_written_through_custody_ends_when_both_sides_close),
        LIVE(stdin_whose_reader_is_gone_is_told),
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
        LIVE(drop_newest_keeps_exactly_the_limit_and_counts_the_rest),
        LIVE(block_stops_reading_at_the_limit_until_credit_comes),
        {"a_full_ring_blocks_the_writer_and_loses_nothing",
         a_full_ring_blocks_the_writer_and_loses_nothing, setup_small_ring, teardown, NULL},
        LIVE(ready_prints_the_first_line_once),
        cmocka_unit_test(a_server_that_refuses_to_start_ends_the_keeper),
        LIVE(signals_to_the_keeper_are_told_also_to_a_later_server),
        LIVE(a_server_that_talks_nonsense_is_replaced),
        LIVE(a_killed_servers_silence_does_not_end_the_next_one),
        LIVE(the_oom_score_is_lowered_between_spawns),
        LIVE(a_child_with_another_user_and_one_that_cannot_have_it),
        LIVE(a_child_ended_on_its_way_to_exec_harms_nobody),
        LIVE(arguments_of_any_size_arrive_whole),
        LIVE(state_is_kept_for_the_next_server),
        LIVE(a_server_that_ends_soon_again_and_again_is_started_at_growing_distance),
        LIVE(facts_that_no_server_has_stored_outlive_the_keeper),
        LIVE(a_spool_of_which_all_is_stored_goes_with_the_keeper),
        LIVE(a_server_killed_again_and_again_loses_no_line_and_no_exit_code),
        LIVE(an_upgrade_keeps_children_bytes_and_deadlines),
        LIVE_WITHOUT_CGROUPS(an_upgrade_keeps_children_bytes_and_deadlines),
        LIVE(an_upgrade_that_cannot_be_executed_changes_nothing),
        LIVE(a_killed_keepers_children_are_adopted_with_their_exit_codes),
        LIVE_WITHOUT_CGROUPS(a_killed_keepers_children_are_adopted_with_their_exit_codes),
        {"a_child_forked_by_a_keeper_that_died_of_it_does_not_live_on",
         a_child_forked_by_a_keeper_that_died_of_it_does_not_live_on, setup_dying_after_fork,
         teardown, NULL},
        LIVE(what_a_killed_keeper_and_server_left_is_removed_by_the_next),
        LIVE(an_adopted_child_reaped_by_somebody_else_still_tells_its_status),
        LIVE(nothing_is_left_open_when_all_is_forgotten),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
