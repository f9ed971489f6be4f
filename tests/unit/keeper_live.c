/*
 * The keeper as its server sees it: spawning, standard input, output, descriptors.
 *
 * Runs against the keeper of the same build (test builds: fault points are used to fail fork and
 * pipe and to do without cgroups). Each test has its own keeper and directory.
 */
#include "live_tests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- running ---- */

static void output_comes_before_the_exit_and_both_streams_are_told_apart(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_shell("echo out; echo err >&2; exit 7");
    const struct fact *fact = live_until(&live, FACT_STARTED, &id, NULL);
    const struct fact_started *started = fact_payload(fact);
    assert_int_equal(started->ppid, live.keeper);
    assert_true(started->pidfd_inode != 0 || started->start_ticks != 0);
    struct fact_exited end = live_exited(&id, &output);
    assert_int_equal(end.kind, EXIT_EXITED);
    assert_int_equal(end.status, 7);
    assert_int_equal(output.count[STREAM_STDOUT], 4);
    assert_int_equal(output.count[STREAM_STDERR], 4);
    assert_true(end.usage_known && end.max_rss_bytes > 100000);
    assert_int_equal(live_forget(&id), 0);
    assert_int_equal(live_forget(&id), ESRCH);
}

static void merged_streams_keep_their_order(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_run((struct live_spawn){
        .argv = SHELL("for i in 1 2 3; do echo o$i; echo e$i >&2; done"),
        .flags = SPAWN_STDERR_MERGED});
    live_exited(&id, &output);
    assert_string_equal(output.bytes, "o1\ne1\no2\ne2\no3\ne3\n");
    assert_int_equal(output.count[STREAM_STDERR], 0);
}

static void an_end_by_signal_names_the_signal(void **state)
{
    struct fact_id id = live_shell("kill -USR1 $$");
    struct fact_exited end = live_exited(&id, NULL);
    assert_int_equal(end.kind, EXIT_SIGNALED);
    assert_int_equal(end.status, SIGUSR1);
}

static void a_child_finds_a_clean_process(void **state)
{
    struct live_output output = {0};
    char expected[256];
    struct fact_id id = live_shell("grep -E '^Sig(Blk|Ign)' /proc/self/status | tr -d '\\n\\t'; "
                                  "ls /proc/self/fd | tr '\\n' ' '; ulimit -n; "
                                  "cat /proc/self/oom_score_adj; ps -o sid= -p $$ | tr -d ' '");
    struct fact_exited end = live_exited(&id, &output);
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
    struct fact_id id = live_shell("exit 0");
    live_exited(&id, NULL);
    live_forget(&id);
    unsigned before = live_keeper_fds();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        id = live_run((struct live_spawn){.argv = (const char *const[]){rows[i].program, NULL},
                                     .cwd = rows[i].cwd, .flags = SPAWN_STDIN_PIPE,
                                     .record = "record", .record_bytes = 6});
        const struct fact *fact = live_until(&live, FACT_SPAWN_FAILED, &id, NULL);
        const struct fact_spawn_failed *failed = fact_payload(fact);
        assert_int_equal(failed->error, rows[i].error);
        assert_int_equal(failed->stage, rows[i].stage);
        assert_memory_equal(failed + 1, "record", 6);
        assert_int_equal(live_forget(&id), ESRCH);
    }
    assert_int_equal(live_keeper_fds(), before);
}

static void a_script_without_interpreter_line_is_enoexec(void **state)
{
    char path[] = "/tmp/keeper-script-XXXXXX";
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "echo x\n", 7), 7);
    fchmod(fd, 0700);
    close(fd);
    struct fact_id id = live_run((struct live_spawn){.argv = (const char *const[]){path, NULL}});
    const struct fact_spawn_failed *failed =
        fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
    assert_int_equal(failed->error, ENOEXEC);
    unlink(path);
}

static void only_the_passed_program_and_directory_are_taken(void **state)
{
    const struct {
        const char *program, *cwd; /* what is named */
        const char *passed_program, *passed_cwd;
        int error;
        enum spawn_stage stage;
    } rows[] = {
        {"/bin/true", "/usr", "/bin/true", "/usr", 0, STAGE_NONE},
        {"/usr/../bin/true", "/usr/.", "/bin/true", "/usr", 0, STAGE_NONE},
        {"true", "/usr", "/bin/true", "/usr", 0, STAGE_NONE},
        {"bin/true", "/usr", "/bin/true", "/usr", 0, STAGE_NONE},
        {"/bin/sleep", "/usr", "/bin/true", "/usr", EACCES, STAGE_EXEC},
        {"sleep", "/usr", "/bin/true", "/usr", EACCES, STAGE_EXEC},
        {"/bin/true", "/", "/bin/true", "/usr", EACCES, STAGE_CWD},
        {"/bin/true", "/no/such", "/bin/true", "/usr", ENOENT, STAGE_CWD},
        {"/no/such", "/usr", "/bin/true", "/usr", ENOENT, STAGE_EXEC},
        {"/etc/passwd", "/usr", "/etc/passwd", "/usr", EACCES, STAGE_EXEC},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int program = open(rows[i].passed_program, O_PATH | O_CLOEXEC);
        int directory = open(rows[i].passed_cwd, O_PATH | O_CLOEXEC);
        struct fact_id id = live_run((struct live_spawn){
            .argv = (const char *const[]){rows[i].program, NULL}, .cwd = rows[i].cwd,
            .flags = SPAWN_PROGRAM_FILE | SPAWN_CWD_FILE | SPAWN_SEARCH_PATH, .program = program,
            .directory = directory});
        if (rows[i].error == 0) {
            assert_int_equal(live_exited(&id, NULL).status, 0);
        } else {
            const struct fact_spawn_failed *failed =
                fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
            assert_int_equal(failed->error, rows[i].error);
            assert_int_equal(failed->stage, rows[i].stage);
        }
        close(program);
        close(directory);
    }
}

static void what_is_no_ruleset_starts_nothing(void **state)
{
    struct fact_id id = live_run((struct live_spawn){
        .argv = SHELL("exit 0"), .flags = SPAWN_LANDLOCK | SPAWN_NO_NEW_PRIVS,
        .ruleset = STDERR_FILENO});
    const struct fact_spawn_failed *failed =
        fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
    assert_int_not_equal(failed->error, 0);
    assert_int_equal(failed->stage, STAGE_SANDBOX);
}

static void a_record_larger_than_a_packet_comes_back_whole(void **state)
{
    static char record[300000];
    for (size_t i = 0; i < sizeof record; i++)
        record[i] = (char)(i * 7);
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("exit 0"), .record = record,
                                                .record_bytes = sizeof record});
    const struct fact_started *started = fact_payload(live_until(&live, FACT_STARTED, &id, NULL));
    assert_int_equal(started->record_bytes, sizeof record);
    assert_memory_equal(started + 1, record, sizeof record);
    live_exited(&id, NULL);
}

static void an_id_that_is_known_is_refused(void **state)
{
    struct live_spawn spawn = {.process = live_id(77), .argv = SHELL("sleep 60")};
    assert_int_equal(live_reply(&live, live_spawn(&live, &spawn)), 0);
    assert_int_equal(live_reply(&live, live_spawn(&live, &spawn)), EEXIST);
}

static void fork_and_pipe_failures_become_facts(void **state)
{
    struct fact_id id = live_shell("exit 0");
    const struct fact_spawn_failed *failed =
        fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
    assert_int_equal(failed->error, EAGAIN);
    assert_int_equal(failed->stage, STAGE_FORK);
    id = live_shell("exit 3"); /* failed once only */
    assert_int_equal(live_exited(&id, NULL).status, 3);
}

/* Everything about a short program may happen in one turn of the keeper's loop. */
static void being_out_of_descriptors_says_nothing_about_cgroups(void **state)
{
    uint32_t features = live.welcome.features;
    struct fact_id id = live_shell("exit 0"); /* its clone3 fails */
    struct fact_spawn_failed failed;
    memcpy(&failed, fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL)), sizeof failed);
    assert_int_equal(failed.error, EMFILE);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.features, features);
    assert_int_equal(live_exited((struct fact_id[]){live_shell("exit 5")}, NULL).status, 5);
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
    live_run(spawn); /* the same server may go on */
    assert_int_equal(live_exited(&spawn.process, NULL).status, 0);
    close(file);
}

static void a_short_program_ends_after_it_has_started(void **state)
{
    for (int i = 0; i < 20; i++) {
        struct fact_id id = live_shell("echo x");
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
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("cat"), .flags = SPAWN_STDIN_FILE,
                                                .stdin_fd = fd});
    live_exited(&id, &output);
    close(fd);
    assert_string_equal(output.bytes, "from a memfd");
}

static void stdin_written_through_custody_ends_when_both_sides_close(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("cat"), .flags = SPAWN_STDIN_PIPE});
    live_until(&live, FACT_STARTED, &id, NULL);
    while (live_custody_of(&live, &id) == NULL)
        assert_true(live_receive(&live, 5000));
    struct live_custody *custody = (struct live_custody *)(uintptr_t)live_custody_of(&live, &id);
    assert_int_equal(write(custody->fds[3], "typed", 5), 5);
    close(custody->fds[3]);
    custody->fds[3] = -1;
    assert_int_equal(live_call(&live, COMMAND_STDIN_CLOSE, &id, NULL, 0), 0);
    assert_int_equal(live_call(&live, COMMAND_STDIN_CLOSE, &id, NULL, 0), EPIPE);
    assert_int_equal(live_exited(&id, &output).status, 0);
    assert_string_equal(output.bytes, "typed");
}

static void stdin_whose_reader_is_gone_is_told(void **state)
{
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("exec <&-; sleep 60"),
                                                .flags = SPAWN_STDIN_PIPE});
    live_until(&live, FACT_STDIN_CLOSED, &id, NULL);
}

/* ---- output ---- */

static void drop_newest_keeps_exactly_the_limit_and_counts_the_rest(void **state)
{
    struct live_output output = {0};
    uint64_t dropped = 0;
    struct fact_id id = live_run((struct live_spawn){
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
    struct fact_id id = live_run((struct live_spawn){
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
    assert_int_equal(live_exited(&id, &output).status, 5);
    assert_int_equal(output.count[STREAM_STDOUT], 200000);
}

/* Spawns until one is refused: how many were not. Who is on its way to exec is not counted by the
   keeper yet, so it may be some more than there is room for. */
static int spawns_until_refused(void)
{
    static const char record[10000];
    for (int count = 0; count < 2000; count++) {
        struct live_spawn more = {.process = live_id((uint64_t)(4242 + count)),
                                  .argv = SHELL("exit 0"), .record = record,
                                  .record_bytes = sizeof record};
        uint32_t request = live_spawn(&live, &more);
        int error = live_reply(&live, request);
        if (error != 0) {
            assert_int_equal(error, EAGAIN);
            assert_int_equal(live.replies[request % 1024].stage, STAGE_LIMIT);
            return count;
        }
    }
    return 2000;
}

static void a_full_ring_blocks_the_writer_loses_nothing_and_leaves_room_for_starts(void **state)
{
    struct live_output output = {0};
    struct fact_id id = live_shell("head -c 20000000 /dev/zero; exit 6");
    live_until(&live, FACT_STARTED, &id, NULL);
    usleep(300000); /* nobody reads: the ring fills and stays full */
    int started = spawns_until_refused();
    assert_in_range(started, 50, 1999);
    assert_int_equal(live_exited(&id, &output).status, 6);
    assert_int_equal(output.count[STREAM_STDOUT], 20000000);
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
        struct fact_id id = live_shell("cat /proc/self/oom_score_adj");
        live_exited(&id, &output);
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
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("id -u; id -g"),
                                                .flags = SPAWN_SET_IDS, .uid = 65534,
                                                .gid = 65534});
    if (getuid() != 0) {
        const struct fact_spawn_failed *failed =
            fact_payload(live_until(&live, FACT_SPAWN_FAILED, &id, NULL));
        assert_int_equal(failed->error, EPERM);
        return;
    }
    live_exited(&id, &output);
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
        ids[i] = fails ? live_run((struct live_spawn){.argv = missing}) : live_shell("exit 0");
        live_send(&live, COMMAND_SIGNAL, &ids[i], &ask, sizeof ask);
    }
    for (unsigned ended = 0; ended < 400;) {
        const struct fact *fact = live_fact(&live, 10000);
        assert_non_null(fact);
        ended += fact->type == FACT_EXITED || fact->type == FACT_SPAWN_FAILED;
    }
    live_applied(&live);
    for (unsigned i = 0; i < 400; i++) {
        live_forget(&ids[i]);
    }
    struct fact_id id = live_shell("exit 6");
    assert_int_equal(live_exited(&id, NULL).status, 6);
    assert_int_equal(live.keeper, keeper);
    assert_false(live_is_gone(keeper));
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
        struct fact_id id = live_run((struct live_spawn){.argv = many});
        assert_int_equal(live_exited(&id, &output).status, 0);
    }
    assert_string_equal(output.bytes, "4119999119999\n4119999119999\n4119999119999\n");
    const char *const path[] = {"PATH=:/no/such/dir::/etc/passwd:/bin:/usr/bin", NULL};
    struct fact_id id = live_run((struct live_spawn){.argv = SHELL("exit 8"), .env = path, .cwd = "/"});
    assert_int_equal(live_exited(&id, NULL).status, 8);
    const char *const here[] = {"PATH=", NULL};
    id = live_run((struct live_spawn){.argv = SHELL("exit 9"), .env = here, .cwd = "/bin"});
    assert_int_equal(live_exited(&id, NULL).status, 9);
}

static void nothing_is_left_open_when_all_is_forgotten(void **state)
{
    struct fact_id id = live_shell("exit 0");
    live_exited(&id, NULL);
    live_forget(&id);
    unsigned before = live_keeper_fds();
    for (int i = 0; i < 200; i++) {
        id = live_run((struct live_spawn){.argv = SHELL("exit 0"), .flags = SPAWN_STDIN_PIPE});
        live_exited(&id, NULL);
        assert_int_equal(live_forget(&id), 0);
    }
    assert_int_equal(live_keeper_fds(), before);
}

static int setup_small_ring(void **state)
{
    live_start_with(&live, 4u << 20);
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

int main(int argc, char **argv)
{
    live_puppet(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const struct CMUnitTest tests[] = {
        LIVE(output_comes_before_the_exit_and_both_streams_are_told_apart),
        LIVE(merged_streams_keep_their_order),
        LIVE(an_end_by_signal_names_the_signal),
        LIVE(only_the_passed_program_and_directory_are_taken),
        LIVE(what_is_no_ruleset_starts_nothing),
        LIVE(a_child_finds_a_clean_process),
        LIVE(failures_before_exec_name_errno_and_stage_and_leave_nothing),
        LIVE(a_script_without_interpreter_line_is_enoexec),
        LIVE(a_record_larger_than_a_packet_comes_back_whole),
        LIVE(an_id_that_is_known_is_refused),
        {"fork_and_pipe_failures_become_facts", fork_and_pipe_failures_become_facts,
         setup_failing_fork, live_teardown, NULL},
        {"being_out_of_descriptors_says_nothing_about_cgroups",
         being_out_of_descriptors_says_nothing_about_cgroups, setup_without_descriptors, live_teardown,
         NULL},
        LIVE(a_keeper_out_of_descriptors_refuses_a_spawn_that_brings_one),
        LIVE(a_short_program_ends_after_it_has_started),
        LIVE(stdin_from_a_file_is_read_to_its_end),
        LIVE(stdin_written_through_custody_ends_when_both_sides_close),
        LIVE(stdin_whose_reader_is_gone_is_told),
        LIVE(drop_newest_keeps_exactly_the_limit_and_counts_the_rest),
        LIVE(block_stops_reading_at_the_limit_until_credit_comes),
        {"a_full_ring_blocks_the_writer_loses_nothing_and_leaves_room_for_starts",
         a_full_ring_blocks_the_writer_loses_nothing_and_leaves_room_for_starts, setup_small_ring,
         live_teardown, NULL},
        LIVE(the_oom_score_is_lowered_between_spawns),
        LIVE(a_child_with_another_user_and_one_that_cannot_have_it),
        LIVE(a_child_ended_on_its_way_to_exec_harms_nobody),
        LIVE(arguments_of_any_size_arrive_whole),
        LIVE(nothing_is_left_open_when_all_is_forgotten),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
