/*
 * Events: a flag that is set or not, and waiting for it to be set.
 *
 * The generation counts how often the event was set: a set of one that is not set adds 1, everything
 * else leaves it alone. So whoever knows a generation can wait for the next set and misses none, not
 * even one that was cleared again at once. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_EVENT_H
#define FORKFUL_SERVICE_EVENT_H

#include "service/claim.h"
#include "service/pending.h"

struct event {
    struct object object;
    bool set;
    uint64_t generation;
    struct wait_list waiters;          /* claims; all are granted by the next set */
    struct pending pending;
};

extern const struct object_type event_type;

/* Wakes all who wait. Set or clear already: nothing. */
void event_set(struct event *event);
void event_clear(struct event *event);
/* "set":…,"generation":… */
void event_write(struct text *text, bool set, uint64_t generation);

#endif
