/*
 * Conditions: a lock that is given up while one waits for news.
 *
 * A wait turns the hold of the lock into a ticket, in one step. The ticket is a hold of its own, so it
 * outlives the call and the server, and ends with its owner. It waits to be notified (or for its timeout),
 * then queues for the lock, then has the lock's new hold; calls come and go meanwhile. It ends with that
 * hold: so long a call that was lost can be repeated. A notification that an ended ticket had and did not
 * use goes to the next one.
 * Loop thread only.
 */
#ifndef FORKFUL_SERVICE_CONDITION_H
#define FORKFUL_SERVICE_CONDITION_H

#include "service/claim.h"
#include "service/permit.h"

#define CONDITION_TIMEOUT_NONE (-1)

struct condition {
    struct object object;
    char lock[OBJECT_NAME_BYTES];
    struct wait_list calls;            /* struct condition_claim: parked calls, each on one ticket */
    json_t *saved;                     /* of tickets whose holds are still to be loaded; owned */
    struct deferred resume;            /* at the start: tickets go on when all locks are loaded */
};

extern const struct object_type condition_type;

enum ticket_state { TICKET_WAITS, TICKET_QUEUES, TICKET_SERVED };

struct condition_claim {               /* of one call */
    struct claim claim;
    struct fact_id ticket;             /* by id: it may have ended */
};

/* The hold, which is live, becomes a ticket. NULL: *problem tells, and nothing has changed. */
struct hold *condition_leave_lock(struct condition *condition, struct hold *hold,
                                  int64_t timeout_us, struct problem **problem);
/* The live ticket that this hold of the lock became; NULL: none. The hold may be forgotten. */
struct hold *condition_ticket_of(const struct condition *condition, const struct fact_id *hold);
/* This call waits on the ticket from now on; one that did before has waited in vain. True: the ticket has been
   served. False: to be parked in condition->calls. */
bool condition_call(struct condition_claim *claim, struct hold *hold);
/* That call is over. */
void condition_call_over(struct service *service, struct condition_claim *claim);
/* What a live and served ticket has: the lock's hold, live or ended; NULL: too long ago. */
struct hold *ticket_lock_hold(const struct hold *hold);
bool ticket_notified(const struct hold *hold);
/* Its answer was sent. A repeat of the call gets it again, until the lock's hold ends. */
void ticket_told(struct hold *ticket);

/* The first n that can be notified; how many there were. */
int64_t condition_notify(struct condition *condition, int64_t n);
/* A hold of a lock that tickets have got (its item) has ended. */
void conditions_lock_hold_ended(struct hold *hold);
/* A lock is being deleted: nobody can have it back. */
void conditions_lock_deleted(struct service *service, const struct object *lock);

#endif
