/*
 * The loop: watches that remove each other, timers in order, deferred work, sleeping.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "service/loop.h"
#include "service/text.h"

static struct loop *loop;

static int open_loop(void **state)
{
    loop = loop_new();
    return loop == NULL;
}

static int close_loop(void **state)
{
    loop_free(loop);
    return 0;
}

static struct watch pair[2];
static int calls;

static void remove_the_other(struct watch *watch, uint32_t events)
{
    struct watch *other = watch == &pair[0] ? &pair[1] : &pair[0];

    calls++;
    loop_unwatch(loop, other);
    loop_unwatch(loop, watch);
    loop_end(loop);
}

static void a_watch_removed_in_the_same_turn_is_not_called(void **state)
{
    calls = 0;
    for (int i = 0; i < 2; i++) {
        pair[i] = (struct watch){.fd = eventfd(1, EFD_CLOEXEC), .ready = remove_the_other};
        assert_int_equal(loop_watch(loop, &pair[i], EPOLLIN), 0);
    }
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(calls, 1);
    close(pair[0].fd);
    close(pair[1].fd);
}

static void count_once(struct watch *watch, uint32_t events)
{
    if (++calls == 2)
        loop_end(loop);
    else
        assert_int_equal(loop_rewatch(loop, watch, EPOLLIN | EPOLLONESHOT), 0);
}

static void rewatching_arms_a_oneshot_watch_again(void **state)
{
    calls = 0;
    pair[0] = (struct watch){.fd = eventfd(1, EFD_CLOEXEC), .ready = count_once};
    assert_int_equal(loop_watch(loop, &pair[0], EPOLLIN | EPOLLONESHOT), 0);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(calls, 2);
    close(pair[0].fd);
}

static void watching_a_closed_fd_fails_with_an_errno(void **state)
{
    struct watch watch = {.fd = -1};

    assert_true(loop_watch(loop, &watch, EPOLLIN) < 0);
}

enum { TIMERS = 500 };
static struct timer timers[TIMERS];
static int64_t last_deadline;
static int due_count, wanted;

static void check_order(struct timer *timer)
{
    assert_true(timer->deadline_us >= last_deadline);
    assert_true(time_monotonic_us() >= timer->deadline_us);
    last_deadline = timer->deadline_us;
    if (++due_count == wanted)
        loop_end(loop);
}

static void timers_come_in_the_order_of_their_deadlines_and_never_early(void **state)
{
    int64_t now = time_monotonic_us();

    last_deadline = 0, due_count = 0, wanted = 0;
    for (int i = 0; i < TIMERS; i++) {
        timers[i] = (struct timer){.due = check_order};
        assert_true(timer_set(loop, &timers[i], now + rand() % 50000));
    }
    for (int i = 0; i < TIMERS; i += 3)
        assert_true(timer_set(loop, &timers[i], now + rand() % 50000));
    for (int i = 0; i < TIMERS; i += 7) {
        timer_cancel(loop, &timers[i]);
        timer_cancel(loop, &timers[i]);
    }
    for (int i = 0; i < TIMERS; i++)
        wanted += timers[i].place != 0;
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(due_count, wanted);
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(timers[i].place, 0);
}

static void cancel_the_next(struct timer *timer)
{
    timer_cancel(loop, timer + 1);
    due_count++;
}

static void end_loop(struct timer *timer)
{
    loop_end(loop);
}

static void a_timer_cancelled_by_another_in_the_same_turn_is_not_called(void **state)
{
    due_count = 0;
    timers[0] = (struct timer){.due = cancel_the_next};
    timers[1] = (struct timer){.due = cancel_the_next};
    timers[2] = (struct timer){.due = end_loop};
    timer_set(loop, &timers[0], 1);
    timer_set(loop, &timers[1], 2);
    timer_set(loop, &timers[2], 3);
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(due_count, 1);
}

static void set_again(struct timer *timer)
{
    due_count++;
    timer_set(loop, timer, 0);
}

static void a_timer_set_into_the_past_does_not_hold_the_turn(void **state)
{
    due_count = 0;
    timers[0] = (struct timer){.due = set_again};
    timers[1] = (struct timer){.due = end_loop};
    timer_set(loop, &timers[0], 0);
    timer_set(loop, &timers[1], time_monotonic_us() + 5000);
    assert_int_equal(loop_run(loop), 0);
    assert_true(due_count > 1);
    timer_cancel(loop, &timers[0]);
}

static void cancel_the_one_behind(struct timer *timer)
{
    timer_cancel(loop, timer + 1);
}

/* The timerfd stands on an earlier deadline than the one that is left. */
static void a_timer_behind_a_cancelled_one_still_comes(void **state)
{
    int64_t now = time_monotonic_us();

    due_count = 0;
    timers[1] = (struct timer){.due = end_loop};
    timers[3] = (struct timer){.due = set_again};
    timers[2] = (struct timer){.due = cancel_the_one_behind};
    timer_set(loop, &timers[2], now + 1000);
    timer_set(loop, &timers[3], now + 3000);
    timer_set(loop, &timers[1], now + 20000);
    assert_int_equal(loop_run(loop), 0);
    assert_true(time_monotonic_us() >= now + 20000);
    assert_int_equal(due_count, 0);
}

static char order[8];
static struct deferred first, second;

static void run_second(struct deferred *deferred)
{
    order[1] = 'b';
    loop_end(loop);
}

static void run_first(struct deferred *deferred)
{
    order[0] = 'a';
    second = (struct deferred){.run = run_second};
    loop_defer(loop, &second);
    loop_defer(loop, &second);
}

static void deferred_work_runs_once_and_may_defer_more(void **state)
{
    first = (struct deferred){.run = run_first};
    loop_defer(loop, &first);
    assert_int_equal(loop_run(loop), 0);
    assert_string_equal(order, "ab");
    assert_false(first.queued || second.queued);
}

static int64_t sleep_a_little(void *context)
{
    int *turns = context;

    if (++*turns == 3)
        loop_end(loop);
    return 2000;
}

static void a_prepare_bounds_the_sleep(void **state)
{
    int turns = 0;
    int64_t before = time_monotonic_us();

    assert_true(loop_on_sleep(loop, sleep_a_little, &turns));
    assert_int_equal(loop_run(loop), 0);
    int64_t took = time_monotonic_us() - before;
    assert_int_equal(turns, 3);
    assert_true(took >= 3000 && took < 5000000);
}

static int64_t defer_while_preparing(void *context)
{
    order[1] = 0;
    first = (struct deferred){.run = run_second};
    loop_defer(loop, &first);
    return -1;
}

static void work_deferred_by_a_prepare_runs_without_sleeping(void **state)
{
    assert_true(loop_on_sleep(loop, defer_while_preparing, NULL));
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(order[1], 'b');
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_loop, close_loop)

static void write_again(struct watch *watch, uint32_t events)
{
    uint64_t count;

    assert_int_equal(read(watch->fd, &count, sizeof count), sizeof count);
    count = 1;
    if (++calls < 1000)
        assert_int_equal(write(watch->fd, &count, sizeof count), sizeof count);
}

static void end_by_timer(struct timer *timer)
{
    loop_end(loop);
}

static int64_t cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void a_loop_that_was_busy_sleeps_when_nothing_happens(void **state)
{
    struct watch busy = {.fd = eventfd(1, EFD_CLOEXEC), .ready = write_again};
    struct timer end = {.due = end_by_timer};
    int64_t before = cpu_us();

    calls = 0;
    assert_int_equal(loop_watch(loop, &busy, EPOLLIN), 0);
    assert_true(timer_set(loop, &end, time_monotonic_us() + 500000));
    assert_int_equal(loop_run(loop), 0);
    assert_int_equal(calls, 1000);
    assert_true(cpu_us() - before < 250000);
    close(busy.fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_watch_removed_in_the_same_turn_is_not_called),
        TEST(rewatching_arms_a_oneshot_watch_again),
        TEST(watching_a_closed_fd_fails_with_an_errno),
        TEST(timers_come_in_the_order_of_their_deadlines_and_never_early),
        TEST(a_timer_cancelled_by_another_in_the_same_turn_is_not_called),
        TEST(a_timer_set_into_the_past_does_not_hold_the_turn),
        TEST(a_timer_behind_a_cancelled_one_still_comes),
        TEST(deferred_work_runs_once_and_may_defer_more),
        TEST(a_prepare_bounds_the_sleep),
        TEST(work_deferred_by_a_prepare_runs_without_sleeping),
        TEST(a_loop_that_was_busy_sleeps_when_nothing_happens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
