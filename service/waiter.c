/* Waiters; see waiter.h. */
#include "service/waiter.h"

#include <stddef.h>

static void leave(struct waiter *waiter)
{
    struct wait_list *list = waiter->list;
    *(waiter->previous ? &waiter->previous->next : &list->first) = waiter->next;
    *(waiter->next ? &waiter->next->previous : &list->last) = waiter->previous;
    list->count--;
    waiter->next = waiter->previous = NULL;
    waiter->list = NULL;
    timer_cancel(waiter->loop, &waiter->timer);
}

static void deadline_passed(struct timer *timer)
{
    struct waiter *waiter = (struct waiter *)((char *)timer - offsetof(struct waiter, timer));
    leave(waiter);
    waiter->wake(waiter, false);
}

bool waiter_park(struct loop *loop, struct wait_list *list, struct waiter *waiter,
                 int64_t deadline_us, void (*wake)(struct waiter *waiter, bool woken))
{
    waiter->timer.due = deadline_passed;
    if (!timer_set(loop, &waiter->timer, deadline_us)) {
        return false;
    }
    waiter->loop = loop;
    waiter->list = list;
    waiter->wake = wake;
    waiter->next = NULL;
    waiter->previous = list->last;
    *(list->last ? &list->last->next : &list->first) = waiter;
    list->last = waiter;
    list->count++;
    return true;
}

void waiter_cancel(struct waiter *waiter)
{
    if (waiter->list) {
        leave(waiter);
    }
}

bool wait_list_wake_first(struct wait_list *list)
{
    struct waiter *waiter = list->first;
    if (!waiter) {
        return false;
    }
    leave(waiter);
    waiter->wake(waiter, true);
    return true;
}

void wait_list_wake_all(struct wait_list *list)
{
    for (size_t left = list->count; left > 0 && list->first; left--) {
        wait_list_wake_first(list);
    }
}
