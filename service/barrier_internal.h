/* What barrier.c and barrier_type.c share: places, and how they end. Loop thread only. */
#ifndef FORKFUL_SERVICE_BARRIER_INTERNAL_H
#define FORKFUL_SERVICE_BARRIER_INTERNAL_H

#include "service/barrier.h"

struct barrier_place {                 /* the item of a live HOLD_BARRIER; owned by its hold */
    struct hold *hold;
    struct owner owner;                /* the hold's: the hold may be forgotten first */
    struct barrier_claim *claim;       /* the call that waits in it; NULL: idle */
    bool leaving;                      /* given up, does not count; kept for `grace`: see barrier.c */
    struct timer grace;
};

const char *barrier_reason_name(enum barrier_reason reason); /* NULL: whole */
/* Makes a live hold a place. False: no memory. */
bool barrier_place_make(struct barrier *barrier, struct hold *hold);
bool barrier_keep_untold(struct barrier *barrier, const struct owner *owner,
                         const struct barrier_outcome *outcome);
/* True, and how: one that must come cannot come any more. */
bool barrier_member_has_ended(struct barrier *barrier, struct hold_cause *cause);
void barrier_hold_ended(struct service *service, struct object *object, struct hold *hold);

#endif
