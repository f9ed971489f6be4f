/*
 * The loop: one thread, one epoll, timers in a heap on a timerfd, and work put off to the turn's
 * end.
 *
 * Everything in service/ and api/ runs on it. A watch may remove itself or any other watch inside
 * a callback; a timer likewise. Deadlines are CLOCK_MONOTONIC microseconds. Nothing allocates but
 * the heap's growth (timer_set says when it failed).
 */
#ifndef FORKFUL_SERVICE_LOOP_H
#define FORKFUL_SERVICE_LOOP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct watch { /* embedded in its owner */
    int fd;    /* not owned */
    void (*ready)(struct watch *watch, uint32_t events);
};

struct timer { /* embedded in its owner; zeroed = not set */
    int64_t deadline_us;
    size_t place; /* in the heap, 1-based; 0: not set */
    void (*due)(struct timer *timer);
};

struct deferred { /* embedded in its owner; zeroed = not queued */
    struct deferred *next;
    bool queued;
    void (*run)(struct deferred *deferred);
};

struct loop *loop_new(void); /* NULL: errno tells */
void loop_free(struct loop *loop);

/* 0 or a negative errno. Rewatching also arms an EPOLLONESHOT watch again. */
int loop_watch(struct loop *loop, struct watch *watch, uint32_t events);
int loop_rewatch(struct loop *loop, struct watch *watch, uint32_t events);
void loop_unwatch(struct loop *loop, struct watch *watch);

/* Moves one that is set. False: no memory. */
bool timer_set(struct loop *loop, struct timer *timer, int64_t deadline_us);
void timer_cancel(struct loop *loop, struct timer *timer);

/* Runs once at the end of this turn, before the loop sleeps, in order of queueing. Work deferred by
   deferred work runs in the same turn's end. */
void loop_defer(struct loop *loop, struct deferred *deferred);
void loop_undefer(struct loop *loop, struct deferred *deferred); /* before its owner is freed */

/* At the end of each turn, after deferred work: `prepare` returns how long the loop may sleep at
   most (microseconds, -1: no bound, 0: not at all). For libmicrohttpd's timeouts and for the
   spool's announce-then-sleep. At most 16 of them; false: no place left. A prepare may defer work:
   then the loop does not sleep. */
bool loop_on_sleep(struct loop *loop, int64_t (*prepare)(void *context), void *context);
void loop_off_sleep(struct loop *loop, int64_t (*prepare)(void *context), void *context);

int loop_run(struct loop *loop); /* until loop_end; returns 0 or a negative errno */
void loop_end(struct loop *loop);

#endif
