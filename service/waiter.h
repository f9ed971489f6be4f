/*
 * Waiters: parked calls, whatever they wait for.
 *
 * A waiter stands in one list (a resource's, first come first served) with a deadline. It leaves
 * the list before anything else happens to it, so it is served once only: woken, timed out, or
 * given up by its owner (waiter_cancel, when the client is gone). Embedded in its owner; loop
 * thread only.
 */
#ifndef FORKFUL_SERVICE_WAITER_H
#define FORKFUL_SERVICE_WAITER_H

#include "service/loop.h"

struct waiter;

struct wait_list {                 /* zeroed = empty */
    struct waiter *first, *last;
    size_t count;
};

struct waiter {                    /* zeroed = not waiting */
    struct waiter *next, *previous;
    struct wait_list *list;        /* NULL: not waiting */
    struct loop *loop;
    struct timer timer;
    /* Called once, after the waiter has left the list. `woken` false: the deadline passed. */
    void (*wake)(struct waiter *waiter, bool woken);
};

/* Appends and sets the deadline (monotonic microseconds). False: no memory for the timer. */
bool waiter_park(struct loop *loop, struct wait_list *list, struct waiter *waiter,
                 int64_t deadline_us, void (*wake)(struct waiter *waiter, bool woken));
void waiter_cancel(struct waiter *waiter);            /* no call; harmless when not waiting */
bool wait_list_wake_first(struct wait_list *list);    /* false: nobody was there */
/* Wakes those that wait now; who parks again meanwhile is not woken in this call. */
void wait_list_wake_all(struct wait_list *list);

#endif
