/*
 * Permits: locks, reentrant locks and semaphores, one engine. So many may be in at once; who asks waits in
 * the order of asking; what a hold had is given back when it ends, however that comes.
 *
 * An acquire ends with a hold (multiprocessing's acquire), a release is the end of that hold. A
 * semaphore can also be posted without one. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_PERMIT_H
#define FORKFUL_SERVICE_PERMIT_H

#include "service/claim.h"

#define PERMITS_UNBOUNDED (-1)

struct permit {
    struct object object;
    bool reentrant;                    /* a lock: the same owner gets the same hold, one deeper */
    int64_t initial, max;              /* a semaphore's; of a lock 1 and 1. PERMITS_UNBOUNDED: no max */
    int64_t value;                     /* free now */
    struct wait_list claims;           /* struct permit_claim */
    struct hold previous;              /* a copy of the last hold that ended; end HOLD_LIVE: none yet */
};

extern const struct object_type lock_type, semaphore_type;

struct permit_claim {
    struct claim claim;
    struct hold *hold;                 /* granted; CLAIM_GRANTED */
};

/* Asks for a permit for claim->claim.owner (ttl_us 0 needs an owner). True: `hold` is set, or (false and no
   problem) it is not free now and the claim may be parked in permit->claims. */
bool permit_acquire(struct permit *permit, struct permit_claim *claim, struct problem **problem);
/* One depth less of a reentrant lock, or the end of the hold. */
void permit_release(struct hold *hold, const struct owner *by);
/* A semaphore without a hold. NULL: done; over_release above max. */
struct problem *permit_post(struct permit *permit, int64_t n);
/* How the hold before this one on the same thing ended, or NULL. */
const struct hold *permit_previous(const struct permit *permit);

#endif
