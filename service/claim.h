/*
 * Claims: parked calls that want something of an object, in its order. A waiter with an owner.
 *
 * A claim ends once: granted, timed out, or because its object or its owner has ended. `done` is called
 * after it has left all lists, and may make a new claim. A caller that is gone cancels it: then
 * nothing is called, and the place is free at once. Embedded in its owner's memory; loop thread only.
 */
#ifndef FORKFUL_SERVICE_CLAIM_H
#define FORKFUL_SERVICE_CLAIM_H

#include "service/hold.h"
#include "service/object.h"
#include "service/waiter.h"
#include "service/waits.h"

enum claim_result {
    CLAIM_GRANTED,                     /* what was asked for is there; see the object's header */
    CLAIM_TIMED_OUT,
    CLAIM_DELETED,                     /* the object: 410 deleted */
    CLAIM_CLOSED,                      /* a queue: 410 or 409 closed */
    CLAIM_OWNER_ENDED,                 /* 401 owner_ended */
    CLAIM_FAILED                       /* `problem` tells, given away */
};

struct claim {                         /* zeroed = not waiting */
    struct waiter waiter;
    struct object *object;
    struct owner owner;
    int64_t ttl_us;                    /* of the hold it asks for */
    struct wait_note note;             /* for GET /v1/waits */
    struct problem *problem;           /* CLAIM_FAILED */
    void (*done)(struct claim *claim, enum claim_result result);
    /* Whether the caller has gone, though nobody was told yet; then it is cancelled. NULL: never. */
    bool (*gone)(struct claim *claim);
    void *context;                     /* of `done` */
    struct claim *next_of_owner, *previous_of_owner;
};

/* Appends to `list` (one of the object's) until the deadline (monotonic). False: no memory; nothing was called. */
bool claim_park(struct service *service, struct wait_list *list, struct claim *claim,
                struct object *object, int64_t deadline_us);
void claim_cancel(struct claim *claim);                /* no call; harmless when not waiting */
void claim_give_up(struct claim *claim);               /* the same; and those behind it may be served */
/* Its caller has gone, and it is in no list any more. To be asked right before something is given
   to it: what is given to the gone is lost. */
bool claim_is_gone(struct claim *claim);
/* Takes it out and calls done. */
void claim_finish(struct claim *claim, enum claim_result result);
void claims_finish_all(struct wait_list *list, enum claim_result result);
/* The first of a list, or NULL. */
struct claim *claim_first(const struct wait_list *list);

#endif
