/*
 * Who waits for whom: every parked call that can only end through somebody else is noted here, so that
 * one look tells all waits and those that go round in a circle.
 *
 * A circle is reported, never broken: which of its processes may be sacrificed only their owner knows.
 * Embedded in claims and joins; loop thread only.
 */
#ifndef FORKFUL_SERVICE_WAITS_H
#define FORKFUL_SERVICE_WAITS_H

#include <stdint.h>

#include "service/owner.h"
#include "service/text.h"

struct wait_note {                     /* zeroed = not noted */
    struct owner owner;                /* who waits; PARENT_NONE: a bare call, in no circle */
    const struct object *object;       /* for what; or NULL: */
    struct fact_id process;            /* for the end of this process */
    int64_t since_us;                  /* wall clock */
    struct wait_note *next, *previous;
};

struct wait_notes {
    struct wait_note *first, *last;
};

/* owner, and object or process, are set before. */
void wait_begins(struct service *service, struct wait_note *note);
void wait_ends(struct service *service, struct wait_note *note); /* harmless when not noted */

/* {"waits":[…],"cycles":[…]} */
void waits_json(struct text *text, struct service *service);

#endif
