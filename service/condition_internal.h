/* What condition.c and condition_type.c share: tickets. Loop thread only. */
#ifndef FORKFUL_SERVICE_CONDITION_INTERNAL_H
#define FORKFUL_SERVICE_CONDITION_INTERNAL_H

#include "service/condition.h"

struct ticket {                        /* the item of a live HOLD_TICKET; owned by its hold */
    struct condition *condition;
    struct hold *hold;
    enum ticket_state state;
    bool notified;
    struct fact_id from;               /* the hold that it was */
    unsigned depth;                    /* of that hold */
    int64_t ttl_us;                    /* and its time limit; 0: none */
    int64_t until_us;                  /* wall clock: it waits no longer than this; 0: no limit */
    int64_t queued_at_us;              /* wall clock: the order in which they queue */
    struct timer timeout;
    struct permit_claim queued;        /* TICKET_QUEUES: in the lock's order */
    struct fact_id lock_hold;          /* TICKET_SERVED; while that hold lives its item is the ticket */
    struct ticket *next_on_hold;       /* other tickets of an owner that has a reentrant lock again */
    bool told;                         /* its answer was sent: whether it has arrived is not known */
    struct condition_claim *call;      /* that waits for it, or NULL */
};

static inline struct ticket *ticket_of(const struct hold *hold)
{
    return hold->item;
}

struct ticket *ticket_make(struct condition *condition, struct hold *hold); /* NULL: no memory */
bool ticket_arm(struct ticket *ticket);         /* sets its timeout, if it has one. False: no memory */
void ticket_queue(struct ticket *ticket);       /* for the lock, from now on */
/* After the start: it goes on from its state. */
void ticket_resume(struct ticket *ticket);
void condition_hold_ended(struct service *service, struct object *object, struct hold *hold);

#endif
