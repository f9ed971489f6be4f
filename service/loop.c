/*
 * The loop. One turn: wait, call the watches that are ready, call the timers that are due, run
 * deferred work, ask how long to sleep.
 *
 * A client that has its answer asks again within microseconds, and to be put to sleep and woken takes
 * longer than that: on a virtual machine some 40 us, for each side. So while events come quickly one after the
 * other the loop looks for the next one for SPIN_US before it sleeps. Where that finds nothing, or
 * another thread was given the core meanwhile, it is tried more and more seldom. A loop that has
 * nothing to do sleeps.
 *
 * The events of one epoll_wait are kept where loop_unwatch can reach them: removing a watch also
 * strikes its event out of the turn at hand, so a callback may free any other watch's owner. The
 * timerfd is armed lazily: only for a deadline earlier than the one it stands on. Setting and
 * cancelling a timer per request thus costs no system call; a deadline that was cancelled costs one
 * empty wake-up.
 */
#include "service/loop.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "service/text.h"

enum { EVENTS_PER_TURN = 128, SLEEPERS = 16, FIRST_TIMERS = 64 };
enum {
    SPIN_US = 50,   /* of looking before the loop sleeps */
    QUICK_US = 100, /* an event that came within this is likely to be followed by another one */
    MISSES_MAX = 8, /* in vain one after the other: then every 256th wait is tried */
};

struct sleeper {
    int64_t (*prepare)(void *context);
    void *context;
};

struct loop {
    int epoll_fd;
    bool ended;
    struct epoll_event events[EVENTS_PER_TURN]; /* of this turn; data.ptr NULL: struck out */
    int event_count;

    struct watch clock;    /* the timerfd */
    int64_t armed_us;      /* what the timerfd stands on; INT64_MAX: nothing */
    struct timer **timers; /* binary heap, earliest first; index 0 is not used */
    size_t timer_count, timer_room;
    int64_t due_until_us; /* while timers run: what counts as due; else INT64_MIN */

    bool quick;           /* the last event came within QUICK_US */
    unsigned misses;      /* times in a row that spinning was in vain */
    unsigned rests;       /* waits until it is tried again */

    struct deferred *first_deferred, **last_deferred;
    struct sleeper sleepers[SLEEPERS];
    size_t sleeper_count;
};

static void clock_ready(struct watch *watch, uint32_t events)
{
    struct loop *loop = (struct loop *)((char *)watch - offsetof(struct loop, clock));
    uint64_t expirations;
    ssize_t got = read(watch->fd, &expirations, sizeof expirations);

    (void)events;
    if (got == (ssize_t)sizeof expirations)
        loop->armed_us = INT64_MAX;
}

struct loop *loop_new(void)
{
    struct loop *loop = calloc(1, sizeof *loop);
    int error;

    if (loop == NULL)
        return NULL;
    loop->last_deferred = &loop->first_deferred;
    loop->armed_us = INT64_MAX;
    loop->due_until_us = INT64_MIN;
    loop->clock.ready = clock_ready;
    loop->clock.fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0)
        loop->clock.fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    error = loop->clock.fd < 0 ? errno : -loop_watch(loop, &loop->clock, EPOLLIN);
    if (error != 0) {
        loop_free(loop);
        errno = error;
        return NULL;
    }
    return loop;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL)
        return;
    if (loop->clock.fd >= 0)
        close(loop->clock.fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop->timers);
    free(loop);
}

/* ---- watches ---- */

static int control(struct loop *loop, int operation, struct watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};

    return epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) == 0 ? 0 : -errno;
}

int loop_watch(struct loop *loop, struct watch *watch, uint32_t events)
{
    return control(loop, EPOLL_CTL_ADD, watch, events);
}

int loop_rewatch(struct loop *loop, struct watch *watch, uint32_t events)
{
    return control(loop, EPOLL_CTL_MOD, watch, events);
}

void loop_unwatch(struct loop *loop, struct watch *watch)
{
    control(loop, EPOLL_CTL_DEL, watch, 0);
    for (int i = 0; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].data.ptr = NULL;
}

/* ---- timers ---- */

static void timer_place(struct loop *loop, struct timer *timer, size_t place)
{
    loop->timers[place] = timer;
    timer->place = place;
}

static void timer_sift_up(struct loop *loop, struct timer *timer, size_t place)
{
    while (place > 1 && loop->timers[place / 2]->deadline_us > timer->deadline_us) {
        timer_place(loop, loop->timers[place / 2], place);
        place /= 2;
    }
    timer_place(loop, timer, place);
}

static void timer_sift_down(struct loop *loop, struct timer *timer, size_t place)
{
    for (;;) {
        size_t child = place * 2;
        if (child > loop->timer_count)
            break;
        if (child < loop->timer_count &&
            loop->timers[child + 1]->deadline_us < loop->timers[child]->deadline_us)
            child++;
        if (loop->timers[child]->deadline_us >= timer->deadline_us)
            break;
        timer_place(loop, loop->timers[child], place);
        place = child;
    }
    timer_place(loop, timer, place);
}

static void timer_settle(struct loop *loop, struct timer *timer, size_t place)
{
    if (place > 1 && loop->timers[place / 2]->deadline_us > timer->deadline_us)
        timer_sift_up(loop, timer, place);
    else
        timer_sift_down(loop, timer, place);
}

static bool timer_heap_room(struct loop *loop)
{
    if (loop->timer_count + 1 < loop->timer_room)
        return true;
    size_t room = loop->timer_room == 0 ? FIRST_TIMERS : loop->timer_room * 2;
    struct timer **timers = realloc(loop->timers, room * sizeof *timers);
    if (timers == NULL)
        return false;
    loop->timers = timers;
    loop->timer_room = room;
    return true;
}

bool timer_set(struct loop *loop, struct timer *timer, int64_t deadline_us)
{
    if (timer->place == 0) {
        if (!timer_heap_room(loop))
            return false;
        timer->place = ++loop->timer_count;
    }
    /* Set into the past by a timer that is running: not before the next turn, or it could hold this
     * one. */
    timer->deadline_us = deadline_us > loop->due_until_us ? deadline_us : loop->due_until_us + 1;
    timer_settle(loop, timer, timer->place);
    return true;
}

void timer_cancel(struct loop *loop, struct timer *timer)
{
    size_t place = timer->place;

    if (place == 0)
        return;
    timer->place = 0;
    struct timer *moved = loop->timers[loop->timer_count--];
    if (moved != timer)
        timer_settle(loop, moved, place);
}

static void run_timers(struct loop *loop)
{
    if (loop->timer_count == 0)
        return;
    loop->due_until_us = time_monotonic_us();
    while (loop->timer_count > 0 && loop->timers[1]->deadline_us <= loop->due_until_us) {
        struct timer *timer = loop->timers[1];
        timer_cancel(loop, timer);
        timer->due(timer);
    }
    loop->due_until_us = INT64_MIN;
}

static int arm_clock(struct loop *loop)
{
    if (loop->timer_count == 0 || loop->timers[1]->deadline_us >= loop->armed_us)
        return 0;
    int64_t deadline = loop->timers[1]->deadline_us;
    /* A time of zero would disarm it. */
    struct itimerspec when = {.it_value = {.tv_nsec = 1}};
    if (deadline > 0) {
        when.it_value.tv_sec = deadline / 1000000;
        when.it_value.tv_nsec = deadline % 1000000 * 1000 + 1;
    }
    if (timerfd_settime(loop->clock.fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        return -errno;
    loop->armed_us = deadline;
    return 0;
}

/* ---- the turn ---- */

void loop_defer(struct loop *loop, struct deferred *deferred)
{
    if (deferred->queued)
        return;
    deferred->queued = true;
    deferred->next = NULL;
    *loop->last_deferred = deferred;
    loop->last_deferred = &deferred->next;
}

void loop_undefer(struct loop *loop, struct deferred *deferred)
{
    struct deferred **at = &loop->first_deferred;

    while (*at != NULL && *at != deferred)
        at = &(*at)->next;
    if (*at == NULL)
        return;
    *at = deferred->next;
    if (loop->last_deferred == &deferred->next)
        loop->last_deferred = at;
    deferred->queued = false;
}

static void run_deferred(struct loop *loop)
{
    while (loop->first_deferred != NULL) {
        struct deferred *deferred = loop->first_deferred;
        loop->first_deferred = deferred->next;
        if (loop->first_deferred == NULL)
            loop->last_deferred = &loop->first_deferred;
        deferred->queued = false;
        deferred->run(deferred);
    }
}

bool loop_on_sleep(struct loop *loop, int64_t (*prepare)(void *context), void *context)
{
    if (loop->sleeper_count == SLEEPERS)
        return false;
    loop->sleepers[loop->sleeper_count++] = (struct sleeper){prepare, context};
    return true;
}

/* Not from inside a prepare. */
void loop_off_sleep(struct loop *loop, int64_t (*prepare)(void *context), void *context)
{
    size_t kept = 0;

    for (size_t i = 0; i < loop->sleeper_count; i++)
        if (loop->sleepers[i].prepare != prepare || loop->sleepers[i].context != context)
            loop->sleepers[kept++] = loop->sleepers[i];
    loop->sleeper_count = kept;
}

/* Milliseconds for epoll_wait, rounded up; -1: no bound. */
static int sleep_bound(struct loop *loop)
{
    int64_t bound_us = -1;

    for (size_t i = 0; i < loop->sleeper_count; i++) {
        int64_t wish = loop->sleepers[i].prepare(loop->sleepers[i].context);
        if (wish >= 0 && (bound_us < 0 || wish < bound_us))
            bound_us = wish;
    }
    if (loop->first_deferred != NULL || loop->ended)
        return 0;
    if (bound_us < 0)
        return -1;
    int64_t ms = bound_us / 1000 + (bound_us % 1000 != 0);
    return ms > INT_MAX ? INT_MAX : (int)ms;
}

static int look(struct loop *loop, int timeout_ms)
{
    return epoll_wait(loop->epoll_fd, loop->events, EVENTS_PER_TURN, timeout_ms);
}

static bool is_worth_spinning(struct loop *loop)
{
    if (loop->quick && loop->rests > 0) {
        loop->rests--;
        return false;
    }
    return loop->quick;
}

static int spin(struct loop *loop, int64_t since_us)
{
    int64_t passed_us;
    int count;

    do {
        count = look(loop, 0);
        passed_us = time_monotonic_us() - since_us;
    } while (count == 0 && passed_us < SPIN_US);
    if (count != 0 && passed_us < 2 * SPIN_US) {
        loop->misses = 0;
    } else {
        loop->misses += loop->misses < MISSES_MAX;
        loop->rests = 1u << loop->misses;
    }
    return count;
}

static int wait_for_events(struct loop *loop, int timeout_ms)
{
    int64_t since_us = time_monotonic_us();
    int count = timeout_ms != 0 && is_worth_spinning(loop) ? spin(loop, since_us) : 0;

    if (count == 0) {
        count = look(loop, timeout_ms);
    }
    loop->quick = time_monotonic_us() - since_us < QUICK_US;
    return count;
}

static int turn(struct loop *loop)
{
    int bound = sleep_bound(loop);
    int error = arm_clock(loop);

    if (error != 0)
        return error;
    int count = wait_for_events(loop, bound);
    if (count < 0)
        return errno == EINTR ? 0 : -errno;
    loop->event_count = count;
    for (int i = 0; i < count; i++) {
        struct watch *watch = loop->events[i].data.ptr;
        if (watch != NULL)
            watch->ready(watch, loop->events[i].events);
    }
    loop->event_count = 0;
    run_timers(loop);
    run_deferred(loop);
    return 0;
}

int loop_run(struct loop *loop)
{
    int error = 0;

    loop->ended = false;
    run_deferred(loop);
    while (!loop->ended && error == 0)
        error = turn(loop);
    return error;
}

void loop_end(struct loop *loop)
{
    loop->ended = true;
}
