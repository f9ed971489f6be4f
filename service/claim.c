/* Claims; see claim.h. */
#include "service/claim.h"

#include <stddef.h>

#include "service/service.h"

static void join_owner(struct service *service, struct claim *claim)
{
    struct belongings *belongings = owner_belongings(service, &claim->owner);
    claim->next_of_owner = claim->previous_of_owner = NULL;
    if (!belongings) {
        return;
    }
    claim->previous_of_owner = NULL;
    claim->next_of_owner = belongings->claims;
    if (belongings->claims) {
        belongings->claims->previous_of_owner = claim;
    }
    belongings->claims = claim;
}

static void leave_owner(struct claim *claim)
{
    wait_ends(claim->object->service, &claim->note);
    struct belongings *belongings = owner_belongings(claim->object->service, &claim->owner);
    if (claim->previous_of_owner) {
        claim->previous_of_owner->next_of_owner = claim->next_of_owner;
    } else if (belongings && belongings->claims == claim) {
        belongings->claims = claim->next_of_owner;
    }
    if (claim->next_of_owner) {
        claim->next_of_owner->previous_of_owner = claim->previous_of_owner;
    }
    claim->next_of_owner = claim->previous_of_owner = NULL;
}

/* Those that were behind it: it wanted more than there was, and they perhaps do not. */
static void left_early(struct object *object)
{
    if (object->type->claim_left && !object->deleted) {
        object->type->claim_left(object);
    }
}

static void timed_out(struct waiter *waiter, bool woken)
{
    struct claim *claim = (struct claim *)((char *)waiter - offsetof(struct claim, waiter));
    (void)woken;
    struct object *object = claim->object;
    leave_owner(claim);
    claim->done(claim, CLAIM_TIMED_OUT);
    left_early(object);
}

bool claim_park(struct service *service, struct wait_list *list, struct claim *claim,
                struct object *object, int64_t deadline_us)
{
    claim->object = object;
    if (!waiter_park(service->loop, list, &claim->waiter, deadline_us, timed_out)) {
        return false;
    }
    join_owner(service, claim);
    claim->note.owner = claim->owner;
    claim->note.object = object;
    wait_begins(service, &claim->note);
    return true;
}

void claim_cancel(struct claim *claim)
{
    if (claim->waiter.list) {
        leave_owner(claim);
        waiter_cancel(&claim->waiter);
    }
}

bool claim_is_gone(struct claim *claim)
{
    return claim->gone && claim->gone(claim);
}

void claim_give_up(struct claim *claim)
{
    if (claim->waiter.list) {
        claim_cancel(claim);
        left_early(claim->object);
    }
}

void claim_finish(struct claim *claim, enum claim_result result)
{
    struct object *object = claim->object;
    claim_cancel(claim);
    claim->done(claim, result);
    if (result == CLAIM_OWNER_ENDED) {
        left_early(object);
    }
}

struct claim *claim_first(const struct wait_list *list)
{
    return list->first ? (struct claim *)((char *)list->first - offsetof(struct claim, waiter))
                       : NULL;
}

/* Those that wait now; who parks again meanwhile is not told. */
void claims_finish_all(struct wait_list *list, enum claim_result result)
{
    for (size_t left = list->count; left > 0 && list->first; left--) {
        claim_finish(claim_first(list), result);
    }
}
