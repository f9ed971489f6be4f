/*
 * Barriers: nobody goes on before all have come, and nobody waits for the dead.
 *
 * A place in a barrier is a hold of who waits. It outlives the call: a process or session whose call has run
 * out keeps its place and takes it up again with the next call, and what happens meanwhile is kept for it
 * (`untold`). When the last of `parties` comes, all places end and all calls are answered in one turn.
 * When the owner of a place ends, a member ends, or a place has waited for longer than it may, the barrier
 * breaks for all, with the cause, until it is reset. A place's time limit is the expiry of its hold, so that
 * it outlives the server. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_BARRIER_H
#define FORKFUL_SERVICE_BARRIER_H

#include "service/claim.h"

#define BARRIER_PARTIES_MAX 1000000
#define BARRIER_MEMBERS_MAX 1000

enum barrier_reason {
    BARRIER_WHOLE, BARRIER_OWNER_ENDED, BARRIER_TIMEOUT, BARRIER_ABORTED, BARRIER_RESET,
    BARRIER_REASONS
};

struct barrier_cause {                 /* of a break; zeroed = none */
    enum barrier_reason reason;
    struct hold_cause by;              /* who ended (and how), whose time was over, who asked */
    int64_t at_us;
};

struct barrier_outcome {               /* what a call is told */
    bool passed;                       /* else it broke, unless the cause is BARRIER_WHOLE: nothing yet */
    int64_t index;                     /* in the order of arrival */
    uint64_t generation;               /* which pass it was: 1, 2, 3 … */
    struct barrier_cause cause;
};

struct barrier_untold {                /* one who was not there to be told */
    struct owner owner;
    struct barrier_outcome outcome;
    struct barrier_untold *next;
};

struct barrier {
    struct object object;
    int64_t parties;
    int64_t timeout_us;                /* of each place, from its arrival; 0: none */
    struct fact_id *members;           /* processes without which it cannot pass; owned */
    size_t member_count;
    bool any_members;                  /* `members` was given, be it empty */
    uint64_t generation;               /* passes so far */
    int64_t places;                    /* those that count */
    struct barrier_cause cause;        /* BARRIER_WHOLE: not broken */
    struct wait_list claims;           /* struct barrier_claim */
    struct barrier_untold *untold;     /* oldest first; owned */
};

extern const struct object_type barrier_type;

struct barrier_claim {                 /* of one call */
    struct claim claim;
    struct barrier_place *place;       /* while it waits */
    struct barrier_outcome outcome;    /* CLAIM_GRANTED */
};

enum barrier_arrival { BARRIER_REFUSED, BARRIER_TOLD, BARRIER_WAITS };

/* claim->claim.owner comes, or comes back. timeout_us: of a new place, 0: the barrier's own. TOLD: the outcome
   is set, WAITS: to be parked in barrier->claims, REFUSED: *problem tells. */
enum barrier_arrival barrier_arrive(struct barrier *barrier, struct barrier_claim *claim,
                                    int64_t timeout_us, struct problem **problem);
/* Its call is over: the place is kept for the owner's next one, or withdrawn. Harmless without a place. */
void barrier_call_over(struct barrier_claim *claim, bool keep);
/* Its client has closed the connection: the place does not count any more. */
void barrier_call_left(struct barrier_claim *claim);
/* A call that was to be told this could not be told: its owner's next call is. */
void barrier_untell(struct barrier *barrier, const struct owner *owner,
                    const struct barrier_outcome *outcome);
/* Who waits gets `broken`; then it is whole and empty. */
void barrier_reset(struct barrier *barrier, const struct owner *by);
/* Broken until it is reset. */
void barrier_abort(struct barrier *barrier, const struct owner *by);
/* A process or session has ended, and its holds with it: it may be a member. */
void barriers_owner_ended(struct service *service, const struct owner *owner);

/* {"reason":…,"owner":…,"exitcode":…,"at":…} or null. */
void barrier_cause_json(struct text *text, const struct barrier_cause *cause);
/* 409 broken. */
struct problem *barrier_broken(const struct barrier_cause *cause);

#endif
