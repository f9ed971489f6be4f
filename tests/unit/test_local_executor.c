/* The local executor: the keeper's packets, sent by the test, and what custody holds after them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "service/local_executor.h"
#include "service/text.h"

static struct loop *loop;
static struct executor *executor;
static int keeper; /* its end of the socket */

static bool keeper_is_lost;

static void nothing(void *context)
{
    (void)context;
}

static void lost(void *context)
{
    (void)context;
    keeper_is_lost = true;
}

static void no_welcome(void *context, const struct notice_welcome *welcome)
{
    (void)context, (void)welcome;
}

static void no_signal(void *context, int signal)
{
    (void)context, (void)signal;
}

static void came(void *context, const struct fact_id *process)
{
    (void)context, (void)process;
}

static int setup(void **state)
{
    (void)state;
    const struct local_executor_events events = {no_welcome, nothing, no_signal, lost, came, NULL};
    int pair[2];
    loop = loop_new();
    if (loop == NULL || socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    keeper = pair[0];
    keeper_is_lost = false;
    executor = local_executor_start(loop, pair[1], &events);
    return executor != NULL ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    local_executor_free(executor);
    loop_free(loop);
    if (keeper >= 0)
        close(keeper);
    return 0;
}

static void end_turn(struct timer *timer)
{
    (void)timer;
    loop_end(loop);
}

static void take_turn(void)
{
    struct timer at_once = {.due = end_turn};
    assert_true(timer_set(loop, &at_once, 1));
    assert_int_equal(loop_run(loop), 0);
}

static bool keeper_dies_of_it; /* with HELLO still unread: to the kernel the socket is reset */

/* One packet to the server, and a turn in which it is read. */
static void notify(enum notice_type type, const void *body, size_t bytes, const int *fds, size_t count)
{
    struct notice notice = {.type = (uint16_t)type, .body_bytes = (uint32_t)bytes};
    struct iovec parts[2] = {{&notice, sizeof notice}, {(void *)(uintptr_t)body, bytes}};
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(4 * sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (count > 0) {
        message.msg_control = control;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *part = CMSG_FIRSTHDR(&message);
        part->cmsg_level = SOL_SOCKET;
        part->cmsg_type = SCM_RIGHTS;
        part->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(part), fds, count * sizeof(int));
    }
    assert_true(sendmsg(keeper, &message, 0) > 0);
    if (keeper_dies_of_it) {
        close(keeper);
        keeper = -1;
    }
    take_turn();
}

static size_t held(void)
{
    return local_executor_custody(executor)->map.used;
}

/* `bits`: the descriptors that come with it; each is a pipe's end of its own. */
static void give(struct fact_id id, uint32_t bits)
{
    struct notice_custody body = {.process = id, .fds = bits, .pid = 4711};
    int fds[4];
    size_t count = 0;
    for (unsigned bit = 0; bit < 4; bit++)
        if (bits & 1u << bit)
            fds[count++] = open("/dev/null", O_RDWR | O_CLOEXEC);
    notify(NOTICE_CUSTODY, &body, sizeof body, fds, count);
    while (count > 0)
        close(fds[--count]);
}

static const struct fact_id one = {{1}}, two = {{2}};

static void entries_known(void)
{
    notify(NOTICE_CUSTODY_DONE, NULL, 0, NULL, 0);
}

static void an_entry_goes_with_the_last_pipe_when_its_process_is_forgotten_before(void **state)
{
    (void)state;
    entries_known();
    give(one, CUSTODY_PIDFD | CUSTODY_STDOUT | CUSTODY_STDERR);
    give(two, CUSTODY_PIDFD);
    assert_int_equal(held(), 2);
    executor->type->forget(executor, &one); /* a descendant still holds both pipes */
    assert_int_equal(held(), 2);
    executor->type->pipe_closed(executor, &one, STREAM_STDERR);
    assert_int_equal(held(), 2);
    executor->type->pipe_closed(executor, &one, STREAM_STDOUT);
    assert_int_equal(held(), 1);
    executor->type->forget(executor, &two);
    assert_int_equal(held(), 0);
}

static void what_a_killed_keeper_had_sent_is_taken_before_its_end(void **state)
{
    (void)state;
    keeper_dies_of_it = true;
    give(one, CUSTODY_PIDFD | CUSTODY_STDOUT);
    keeper_dies_of_it = false;
    assert_int_equal(held(), 1);
    assert_true(keeper_is_lost);
}

static void custody_without_descriptors_is_kept_only_of_what_the_keeper_knew_at_the_start(void **state)
{
    (void)state;
    give(one, 0); /* ended, its descendants live: the server has to know that the keeper knows it */
    assert_int_equal(held(), 1);
    entries_known();
    give(two, 0); /* ended before its custody could be sent, and forgotten perhaps */
    assert_int_equal(held(), 1);
    executor->type->forget(executor, &one);
    assert_int_equal(held(), 0);
}

static void descriptors_go_to_their_places(void **state)
{
    (void)state;
    give(one, CUSTODY_PIDFD | CUSTODY_STDIN);
    const struct custody *custody = custody_find(local_executor_custody(executor), &one);
    assert_non_null(custody);
    assert_int_equal(custody->pid, 4711);
    assert_true(custody->pidfd >= 0 && custody->stdin_fd >= 0);
    assert_true(custody->stdout_fd < 0 && custody->stderr_fd < 0);
    give(one, CUSTODY_STDOUT); /* told again: the old ones are closed */
    assert_int_equal(held(), 1);
    assert_true(custody->pidfd < 0 && custody->stdout_fd >= 0 && custody->stdin_fd < 0);
}

/* The next command the server sends; its type, or COMMAND_NONE. */
static enum command_type command_sent(struct fact_id *process)
{
    unsigned char bytes[512];
    struct command command;
    ssize_t got = recv(keeper, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < (ssize_t)sizeof command)
        return COMMAND_NONE;
    memcpy(&command, bytes, sizeof command);
    *process = command.process;
    return (enum command_type)command.type;
}

static void wait_for_timers(int64_t time_us)
{
    struct timer later = {.due = end_turn};
    assert_true(timer_set(loop, &later, time_monotonic_us() + time_us));
    assert_int_equal(loop_run(loop), 0);
}

static void descriptors_that_found_no_room_are_asked_for_again(void **state)
{
    (void)state;
    struct rlimit before, few;
    struct fact_id asked;
    const struct custody *custody;
    unsigned bits = CUSTODY_PIDFD | CUSTODY_STDOUT | CUSTODY_STDIN;
    entries_known();
    while (command_sent(&asked) != COMMAND_NONE) { /* HELLO */
    }
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(keeper); /* the lowest number that is free */
    close(next);
    few = (struct rlimit){(rlim_t)next + 1, before.rlim_max};
    struct notice_custody body = {.process = one, .fds = bits, .pid = 4711};
    const int fds[3] = {keeper, keeper, keeper};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    notify(NOTICE_CUSTODY, &body, sizeof body, fds, 3);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    custody = custody_find(local_executor_custody(executor), &one);
    assert_non_null(custody);
    assert_true(custody->pidfd == next && custody->stdout_fd < 0 && custody->stdin_fd < 0);
    assert_int_equal(executor->type->stdin_write(executor, &one, "x", 1), -EMFILE);
    wait_for_timers(300000);
    assert_int_equal(command_sent(&asked), COMMAND_CUSTODY);
    assert_memory_equal(&asked, &one, sizeof one);
    give(one, bits);
    assert_true(custody->pidfd >= 0 && custody->stdout_fd >= 0 && custody->stdin_fd >= 0);
    assert_int_equal(executor->type->stdin_write(executor, &one, "x", 1), 1);
    while (command_sent(&asked) != COMMAND_NONE) {
    }
    wait_for_timers(300000);
    assert_int_equal(command_sent(&asked), COMMAND_NONE);
    executor->type->forget(executor, &one);
    executor->type->pipe_closed(executor, &one, STREAM_STDOUT);
    assert_int_equal(held(), 0);
}

static void an_input_closed_by_us_does_not_come_back(void **state)
{
    (void)state;
    struct reply nobody = {0};
    entries_known();
    give(one, CUSTODY_PIDFD | CUSTODY_STDIN);
    problem_free(executor->type->stdin_close(executor, &one, nobody));
    give(one, CUSTODY_PIDFD | CUSTODY_STDIN); /* was on its way */
    assert_true(custody_find(local_executor_custody(executor), &one)->stdin_fd < 0);
    assert_int_equal(executor->type->stdin_write(executor, &one, "x", 1), -EPIPE);
}

/* How many descriptors the next packet brings; -1: none is there. They are closed. */
static int received_files(void)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(16 * sizeof(int))];
    static char bytes[COMMAND_PACKET_BYTES];
    struct iovec part = {bytes, sizeof bytes};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
                             .msg_controllen = sizeof control};
    if (recvmsg(keeper, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0)
        return -1;
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    int count = header != NULL ? (int)((header->cmsg_len - CMSG_LEN(0)) / sizeof(int)) : 0;
    for (int i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(header) + i * (int)sizeof fd, sizeof fd);
        close(fd);
    }
    return count;
}

static void replied(void *context, int error, unsigned stage)
{
    (void)context, (void)error, (void)stage;
}

/* More than the socket takes, so that some wait in the queue. */
static void all_descriptors_of_a_spawn_arrive_at_once_and_from_the_queue(void **state)
{
    enum { SPAWNS = 400 };
    static char tail[COMMAND_PACKET_BYTES]; /* too large for a packet: a descriptor more */
    int null = open("/dev/null", O_RDWR | O_CLOEXEC), got, count = 0;
    struct launch launch = {.tail = tail, .tail_bytes = sizeof tail, .stdin_fd = null,
                            .program = null, .directory = null, .ruleset = null};
    (void)state;
    assert_int_equal(received_files(), 0); /* HELLO */
    for (int i = 0; i < SPAWNS; i++) {
        launch.tail_bytes = i % 100 >= 50 ? 30000 : sizeof tail;
        assert_null(executor->type->spawn(executor, &one, &launch, (struct reply){replied, NULL}));
    }
    while (count < SPAWNS) {
        while ((got = received_files()) >= 0) {
            assert_int_equal(got, count % 100 >= 50 ? COMMAND_SPAWN_FDS - 1 : COMMAND_SPAWN_FDS);
            count++;
        }
        local_executor_flush(executor, 0);
    }
    close(null);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_entry_goes_with_the_last_pipe_when_its_process_is_forgotten_before),
        TEST(what_a_killed_keeper_had_sent_is_taken_before_its_end),
        TEST(custody_without_descriptors_is_kept_only_of_what_the_keeper_knew_at_the_start),
        TEST(descriptors_go_to_their_places),
        TEST(descriptors_that_found_no_room_are_asked_for_again),
        TEST(an_input_closed_by_us_does_not_come_back),
        TEST(all_descriptors_of_a_spawn_arrive_at_once_and_from_the_queue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
