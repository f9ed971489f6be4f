/*
 * Conditions; see condition.h. Their configuration and durable form are in condition_type.c.
 */
#include "service/condition_internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/service.h"

#define BARE_TTL_US (30 * 1000000ll)   /* of a ticket that nobody owns, from the last call on */
#define CALL_MOST_US (300 * 1000000ll) /* what one call may wait */
#define EVER_US (100ll * 366 * 86400 * 1000000)

static struct permit *lock_of(const struct condition *condition)
{
    return (struct permit *)object_find(condition->object.service, OBJECT_LOCK, condition->lock);
}

/* ---- tickets ---- */

static void changed(struct ticket *ticket)
{
    object_touch(&ticket->condition->object);
}

/* What its call is told then, if there is one. */
static void tell_call(struct ticket *ticket, enum claim_result result, struct problem *problem)
{
    struct condition_claim *call = ticket->call;
    ticket->call = NULL;
    if (call) {
        call->claim.problem = problem;
        claim_finish(&call->claim, result);
    } else {
        problem_free(problem);
    }
}

static void timeout_passed(struct timer *timer)
{
    struct ticket *ticket = (struct ticket *)((char *)timer - offsetof(struct ticket, timeout));
    ticket_queue(ticket);
}

struct ticket *ticket_make(struct condition *condition, struct hold *hold)
{
    struct ticket *ticket = calloc(1, sizeof *ticket);
    if (ticket) {
        ticket->condition = condition;
        ticket->hold = hold;
        ticket->timeout.due = timeout_passed;
        hold->item = ticket;
    }
    return ticket;
}

bool ticket_arm(struct ticket *ticket)
{
    int64_t left_us = ticket->until_us - time_now_us();
    return !ticket->until_us || timer_set(ticket->condition->object.service->loop, &ticket->timeout,
                                          time_monotonic_us() + (left_us > 0 ? left_us : 0));
}

/* It cannot have the lock back, and no other could: the lock is gone, or holds are out. */
static void fail(struct ticket *ticket, enum claim_result result, struct problem *problem)
{
    ticket->notified = false;
    tell_call(ticket, result, problem);
    hold_end(ticket->hold, HOLD_CLOSED, NULL);
}

/* ---- back to the lock ---- */

static void served(struct ticket *ticket)
{
    struct hold *hold = ticket->queued.hold;
    ticket->state = TICKET_SERVED;
    ticket->lock_hold = hold->id;
    ticket->next_on_hold = hold->item;
    hold->item = ticket;
    if (ticket->depth > 1) {
        hold->depth += ticket->depth - 1;
        hold_changed(hold);
    }
    changed(ticket);
    tell_call(ticket, CLAIM_GRANTED, NULL);
}

/* The lock's order has come to it. Of a dead owner owner.c ends the hold in the next step. */
static void queue_done(struct claim *claim, enum claim_result result)
{
    struct ticket *ticket = claim->context;
    if (result == CLAIM_GRANTED) {
        served(ticket);
    } else if (result != CLAIM_OWNER_ENDED) {
        struct problem *problem = claim->problem;
        claim->problem = NULL;
        fail(ticket, result, problem);
    }
}

static void queue_up(struct ticket *ticket, struct permit *lock)
{
    struct claim *claim = &ticket->queued.claim;
    struct problem *problem = NULL;
    claim->owner = ticket->hold->owner;
    claim->ttl_us = ticket->ttl_us;
    claim->done = queue_done;
    claim->context = ticket;
    if (permit_acquire(lock, &ticket->queued, &problem)) {
        served(ticket);
    } else if (problem && problem->code == PROBLEM_OWNER_ENDED) {
        problem_free(problem);         /* its hold ends when the owner's end is applied */
    } else if (problem) {
        fail(ticket, CLAIM_FAILED, problem);
    } else if (!claim_park(lock->object.service, &lock->claims, claim, &lock->object,
                           time_monotonic_us() + EVER_US)) {
        fail(ticket, CLAIM_FAILED, problem_make(PROBLEM_OUT_OF_MEMORY, "no memory to queue"));
    }
}

void ticket_queue(struct ticket *ticket)
{
    struct permit *lock = lock_of(ticket->condition);
    timer_cancel(ticket->condition->object.service->loop, &ticket->timeout);
    if (ticket->state == TICKET_WAITS) {
        ticket->state = TICKET_QUEUES;
        ticket->queued_at_us = time_now_us();
        changed(ticket);
    }
    if (lock) {
        queue_up(ticket, lock);
    } else {
        fail(ticket, CLAIM_DELETED, NULL);
    }
}

void ticket_resume(struct ticket *ticket)
{
    if (ticket->state == TICKET_QUEUES) {
        ticket_queue(ticket);
    } else if (ticket->state == TICKET_SERVED) {
        struct hold *hold = ticket_lock_hold(ticket->hold);
        if (hold && hold->end == HOLD_LIVE) {
            ticket->next_on_hold = hold->item;
            hold->item = ticket;
        } else {
            hold_end(ticket->hold, HOLD_ACKED, NULL);
        }
    }
}

/* ---- the end of tickets ---- */

/* Nobody knows of the hold, unless it was told. */
static void give_lock_back(struct ticket *ticket)
{
    struct hold *hold = ticket->state == TICKET_SERVED ? ticket_lock_hold(ticket->hold) : NULL;
    if (!hold || hold->end != HOLD_LIVE) {
        return;
    }
    struct ticket *first = hold->item, **at = &first;
    while (*at && *at != ticket) {
        at = &(*at)->next_on_hold;
    }
    *at = *at ? ticket->next_on_hold : NULL;
    hold->item = first;
    if (ticket->told) {
        return;
    }
    if (hold->depth > ticket->depth) { /* the owner has it besides */
        hold->depth -= ticket->depth;
        hold_changed(hold);
    } else {
        hold_end(hold, HOLD_RELEASED, NULL);
    }
}

/* Ended as `acked` it was of use; else what it had goes on. */
void condition_hold_ended(struct service *service, struct object *object, struct hold *hold)
{
    struct ticket *ticket = ticket_of(hold);
    struct condition *condition = (struct condition *)object;
    if (!ticket) {
        return;
    }
    timer_cancel(service->loop, &ticket->timeout);
    claim_cancel(&ticket->queued.claim);
    object_touch(object);
    if (hold->end != HOLD_ACKED) {
        if (ticket->notified && !ticket->told && !object->deleted) {
            condition_notify(condition, 1);
        }
        give_lock_back(ticket);
    }
    if (!object->deleted) {            /* else `closed` tells */
        tell_call(ticket, CLAIM_FAILED, ticket->call ? hold_ended_problem(hold) : NULL);
    }
    hold->item = NULL;
    free(ticket);
}

/* A hold that was given back was of use, whoever knew of it. */
void conditions_lock_hold_ended(struct hold *hold)
{
    while (hold->item) {
        struct ticket *ticket = hold->item;
        bool used = ticket->told || hold->end == HOLD_RELEASED;
        hold->item = ticket->next_on_hold;
        hold_end(ticket->hold, used ? HOLD_ACKED : hold->end,
                 used ? NULL : &hold->cause);
    }
}

void ticket_told(struct hold *ticket)
{
    if (ticket->end == HOLD_LIVE && !ticket_of(ticket)->told) {
        ticket_of(ticket)->told = true;
        changed(ticket_of(ticket));
    }
}

/* ---- waiting ---- */

static struct hold *grant_ticket(struct condition *condition, const struct hold *lock_hold,
                                 int64_t timeout_us, struct problem **problem)
{
    bool bare = lock_hold->owner.kind == PARENT_NONE;
    struct hold_request request = {
        .kind = HOLD_TICKET, .object = &condition->object, .owner = lock_hold->owner,
        .ttl_us = bare ? BARE_TTL_US : 0, .durable = true};
    struct hold *hold = hold_grant(condition->object.service, &request, problem);
    struct ticket *ticket = hold ? ticket_make(condition, hold) : NULL;
    if (ticket) {
        ticket->from = lock_hold->id;
        ticket->depth = lock_hold->depth;
        ticket->ttl_us = lock_hold->ttl_us;
        ticket->until_us =
            timeout_us == CONDITION_TIMEOUT_NONE ? 0 : time_now_us() + timeout_us;
    }
    if (hold && (!ticket || !ticket_arm(ticket))) {
        free(ticket);
        hold->item = NULL;
        hold_undo(hold);
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a ticket");
        return NULL;
    }
    return hold;
}

struct hold *condition_leave_lock(struct condition *condition, struct hold *hold,
                                  int64_t timeout_us, struct problem **problem)
{
    struct hold *ticket = grant_ticket(condition, hold, timeout_us, problem);
    if (ticket) {
        struct hold_cause cause = {.by = hold->owner};
        object_touch(&condition->object);
        hold_end(hold, HOLD_RELEASED, &cause);
    }
    return ticket;
}

struct hold *condition_ticket_of(const struct condition *condition, const struct fact_id *hold)
{
    struct hold *at = condition->object.holds;
    while (at && !id_equal(&ticket_of(at)->from, hold)) {
        at = at->next;
    }
    return at;
}

/* One that nobody owns lives as long as calls ask for it. */
static void renew(struct ticket *ticket, int64_t by_us)
{
    if (ticket->hold->owner.kind == PARENT_NONE) {
        hold_touch(ticket->hold, by_us);
    }
}

bool condition_call(struct condition_claim *claim, struct hold *hold)
{
    struct ticket *ticket = ticket_of(hold);
    tell_call(ticket, CLAIM_TIMED_OUT, NULL);
    renew(ticket, CALL_MOST_US + BARE_TTL_US);
    claim->ticket = hold->id;
    if (ticket->state != TICKET_SERVED) {
        ticket->call = claim;
        return false;
    }
    struct hold *lock_hold = ticket_lock_hold(hold);
    if (lock_hold) {
        hold_touch(lock_hold, 0);      /* a time limit counts from when it is told */
    }
    return true;
}

void condition_call_over(struct service *service, struct condition_claim *claim)
{
    struct hold *hold = hold_find(service, &claim->ticket);
    struct ticket *ticket = hold && hold->end == HOLD_LIVE ? ticket_of(hold) : NULL;
    if (ticket && (ticket->call == claim || !ticket->call)) {
        ticket->call = NULL;
        renew(ticket, BARE_TTL_US);
    }
}

struct hold *ticket_lock_hold(const struct hold *hold)
{
    const struct ticket *ticket = ticket_of(hold);
    return hold_find(hold->service, &ticket->lock_hold);
}

bool ticket_notified(const struct hold *hold)
{
    return ticket_of(hold)->notified;
}

/* ---- notifying ---- */

int64_t condition_notify(struct condition *condition, int64_t n)
{
    int64_t notified = 0;
    for (struct hold *at = condition->object.holds, *next; at && notified < n; at = next) {
        next = at->next;
        if (ticket_of(at)->state == TICKET_WAITS) {
            ticket_of(at)->notified = true;
            notified++;
            ticket_queue(ticket_of(at));
        }
    }
    return notified;
}

void conditions_lock_deleted(struct service *service, const struct object *lock)
{
    for (struct object *at = service->objects.first[OBJECT_CONDITION]; at; at = at->next) {
        struct condition *condition = (struct condition *)at;
        while (strcmp(condition->lock, lock->name) == 0 && at->holds) {
            fail(ticket_of(at->holds), CLAIM_DELETED, NULL);
        }
    }
}
