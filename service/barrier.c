/*
 * Barriers; see barrier.h. Their configuration and durable form are in barrier_type.c.
 *
 * A process that dies while it waits closes its connection first, and is reaped a moment later. So
 * the place of a process whose client has left stops to count at once, but its hold goes on for a
 * moment: a death still breaks the barrier, anything else withdraws the place.
 */
#include "service/barrier_internal.h"

#include <stdlib.h>

#include <stddef.h>

#include "service/service.h"

#define GRACE_US (2 * 1000000ll)       /* from the end of a process's connection to its own */

static const char *const reason_names[BARRIER_REASONS] = {
    [BARRIER_WHOLE] = NULL, [BARRIER_OWNER_ENDED] = "owner_ended", [BARRIER_TIMEOUT] = "timeout",
    [BARRIER_ABORTED] = "aborted", [BARRIER_RESET] = "reset"};

const char *barrier_reason_name(enum barrier_reason reason)
{
    return reason_names[reason];
}

static bool same_owner(const struct owner *a, const struct owner *b)
{
    return a->kind == b->kind && id_equal(&a->id, &b->id);
}

/* ---- who could not be told ---- */

bool barrier_keep_untold(struct barrier *barrier, const struct owner *owner,
                         const struct barrier_outcome *outcome)
{
    struct barrier_untold *untold = malloc(sizeof *untold), **end = &barrier->untold;
    if (!untold) {
        return false;
    }
    *untold = (struct barrier_untold){.owner = *owner, .outcome = *outcome};
    while (*end) {
        end = &(*end)->next;
    }
    *end = untold;
    return true;
}

/* Without memory it is lost, as it would be to a caller that never asks again. */
void barrier_untell(struct barrier *barrier, const struct owner *owner,
                    const struct barrier_outcome *outcome)
{
    if (owner_lives(barrier->object.service, owner) &&
        barrier_keep_untold(barrier, owner, outcome)) {
        object_touch(&barrier->object);
    }
}

/* The oldest of this owner. False: there is none. */
static bool take_untold(struct barrier *barrier, const struct owner *owner,
                        struct barrier_outcome *outcome)
{
    struct barrier_untold **at = &barrier->untold;
    while (*at && !same_owner(&(*at)->owner, owner)) {
        at = &(*at)->next;
    }
    struct barrier_untold *found = *at;
    if (!found) {
        return false;
    }
    *outcome = found->outcome;
    *at = found->next;
    free(found);
    object_touch(&barrier->object);
    return true;
}

/* ---- the end of places ---- */

/* The hold knows of it no more: its end has no other effect. */
static struct barrier_place *detach(struct barrier *barrier, struct hold *hold)
{
    struct barrier_place *place = hold->item;
    hold->item = NULL;
    if (place) {
        timer_cancel(barrier->object.service->loop, &place->grace);
        barrier->places -= !place->leaving;
    }
    return place;
}

static void settle(struct barrier *barrier, struct barrier_place *place,
                   struct barrier_outcome *outcome)
{
    struct barrier_claim *claim = place->claim;
    if (claim) {
        claim->place = NULL;
        claim->outcome = *outcome;
        claim_finish(&claim->claim, CLAIM_GRANTED);
    } else if (!place->leaving) {
        barrier_untell(barrier, &place->owner, outcome);
    }
    outcome->index += !place->leaving;
    free(place);
}

static void end_all(struct barrier *barrier, enum hold_end end, struct barrier_outcome *outcome)
{
    while (barrier->object.holds) {
        struct hold *hold = barrier->object.holds;
        struct barrier_place *place = detach(barrier, hold);
        hold_end(hold, end, &outcome->cause.by);
        settle(barrier, place, outcome);
    }
}

/* The last one needs no place: he is told at once. */
static void pass(struct barrier *barrier, struct barrier_claim *last)
{
    struct barrier_outcome outcome = {.passed = true, .generation = ++barrier->generation};
    object_touch(&barrier->object);
    end_all(barrier, HOLD_RELEASED, &outcome);
    last->outcome = outcome;
}

/* `lost`: the place whose hold has just ended and is the reason, or NULL. */
static void break_up(struct barrier *barrier, enum barrier_reason reason,
                     const struct hold_cause *by, struct barrier_place *lost)
{
    struct barrier_outcome outcome = {
        .cause = {.reason = reason, .by = *by, .at_us = time_now_us()}};
    barrier->cause = outcome.cause;
    object_touch(&barrier->object);
    if (lost) {
        settle(barrier, lost, &outcome);
    }
    end_all(barrier, HOLD_BROKEN, &outcome);
}

/* Only that one goes: a release, a client that has left, the barrier's deletion. */
static void withdraw(struct barrier *barrier, struct barrier_place *place)
{
    struct barrier_claim *claim = place->claim;
    free(place);
    if (claim) {
        claim->place = NULL;
        if (!barrier->object.deleted) {
            claim_finish(&claim->claim, CLAIM_TIMED_OUT);
        }
    }
}

void barrier_hold_ended(struct service *service, struct object *object, struct hold *hold)
{
    struct barrier *barrier = (struct barrier *)object;
    struct barrier_place *place = detach(barrier, hold);
    (void)service;
    if (!place) {
        return;
    }
    if (hold->end == HOLD_OWNER_ENDED) {
        break_up(barrier, BARRIER_OWNER_ENDED, &hold->cause, place);
    } else if (hold->end == HOLD_EXPIRED && !place->leaving) {
        struct hold_cause slow = {.by = place->owner};
        break_up(barrier, BARRIER_TIMEOUT, &slow, place);
    } else if (hold->end == HOLD_BROKEN) {
        break_up(barrier, BARRIER_ABORTED, &hold->cause, place);
    } else {
        withdraw(barrier, place);
    }
}

/* ---- arrival ---- */

static bool has_ended(struct service *service, const struct fact_id *id)
{
    const struct process *process = process_table_find(&service->processes, id);
    return !process || process_ended(process);
}

bool barrier_member_has_ended(struct barrier *barrier, struct hold_cause *cause)
{
    struct service *service = barrier->object.service;
    for (size_t i = 0; i < barrier->member_count; i++) {
        struct owner member = {PARENT_PROCESS, barrier->members[i]};
        if (has_ended(service, &member.id)) {
            *cause = owner_cause(service, &member);
            return true;
        }
    }
    return false;
}

static struct barrier_place *idle_place(struct barrier *barrier, const struct owner *owner)
{
    for (struct hold *at = barrier->object.holds; at; at = at->next) {
        struct barrier_place *place = at->item;
        if (!place->claim && !place->leaving && same_owner(&place->owner, owner)) {
            return place;
        }
    }
    return NULL;
}

bool barrier_place_make(struct barrier *barrier, struct hold *hold)
{
    struct barrier_place *place = calloc(1, sizeof *place);
    if (place) {
        place->owner = hold->owner;
        place->hold = hold;
        hold->item = place;
        barrier->places++;
    }
    return place != NULL;
}

static struct barrier_place *new_place(struct barrier *barrier, const struct owner *owner,
                                       int64_t timeout_us, struct problem **problem)
{
    struct hold_request request = {
        .kind = HOLD_BARRIER, .object = &barrier->object, .owner = *owner, .durable = true,
        .ttl_us = timeout_us ? timeout_us : barrier->timeout_us};
    struct hold *hold = hold_grant(barrier->object.service, &request, problem);
    if (hold && !barrier_place_make(barrier, hold)) {
        hold_undo(hold);
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a place");
        return NULL;
    }
    return hold ? hold->item : NULL;
}

/* Broken, or it breaks now: who comes after a reset does not wait for a member that is dead. */
static bool is_broken(struct barrier *barrier)
{
    struct hold_cause cause;
    if (barrier->cause.reason == BARRIER_WHOLE && barrier_member_has_ended(barrier, &cause)) {
        break_up(barrier, BARRIER_OWNER_ENDED, &cause, NULL);
    }
    return barrier->cause.reason != BARRIER_WHOLE;
}

/* It would pass if it counted all: those whose client has gone unnoticed do not. */
static bool all_have_come(struct barrier *barrier)
{
    struct waiter *next;
    if (barrier->places + 1 < barrier->parties) {
        return false;
    }
    for (struct waiter *at = barrier->claims.first; at; at = next) {
        next = at->next;
        claim_is_gone((struct claim *)((char *)at - offsetof(struct claim, waiter)));
    }
    return barrier->places + 1 >= barrier->parties;
}

enum barrier_arrival barrier_arrive(struct barrier *barrier, struct barrier_claim *claim,
                                    int64_t timeout_us, struct problem **problem)
{
    const struct owner *owner = &claim->claim.owner;
    bool owned = owner->kind != PARENT_NONE;
    if (owned && take_untold(barrier, owner, &claim->outcome)) {
        return BARRIER_TOLD;
    }
    if (is_broken(barrier)) {
        claim->outcome = (struct barrier_outcome){.cause = barrier->cause};
        return BARRIER_TOLD;
    }
    struct barrier_place *place = owned ? idle_place(barrier, owner) : NULL;
    if (!place && all_have_come(barrier)) {
        pass(barrier, claim);
        return BARRIER_TOLD;
    }
    if (!place && !(place = new_place(barrier, owner, timeout_us, problem))) {
        return BARRIER_REFUSED;
    }
    place->claim = claim;
    claim->place = place;
    return BARRIER_WAITS;
}

void barrier_call_over(struct barrier_claim *claim, bool keep)
{
    struct barrier_place *place = claim->place;
    claim->place = NULL;
    if (place) {
        place->claim = NULL;
        if (!keep) {
            hold_end(place->hold, HOLD_RELEASED, NULL);
        }
    }
}

static void grace_over(struct timer *timer)
{
    struct barrier_place *place =
        (struct barrier_place *)((char *)timer - offsetof(struct barrier_place, grace));
    hold_end(place->hold, HOLD_RELEASED, NULL);
}

void barrier_call_left(struct barrier_claim *claim)
{
    struct barrier_place *place = claim->place;
    struct barrier *barrier = place ? (struct barrier *)place->hold->object : NULL;
    bool by_process = place && place->owner.kind == PARENT_PROCESS;
    barrier_call_over(claim, by_process);
    if (!by_process) {
        return;
    }
    place->leaving = true;
    barrier->places--;
    place->grace.due = grace_over;
    if (!timer_set(barrier->object.service->loop, &place->grace, time_monotonic_us() + GRACE_US)) {
        hold_end(place->hold, HOLD_RELEASED, NULL);
    }
}

/* ---- from outside ---- */

void barrier_reset(struct barrier *barrier, const struct owner *by)
{
    struct hold_cause cause = {.by = *by};
    break_up(barrier, BARRIER_RESET, &cause, NULL);
    barrier->cause = (struct barrier_cause){0};
}

void barrier_abort(struct barrier *barrier, const struct owner *by)
{
    struct hold_cause cause = {.by = *by};
    if (barrier->cause.reason == BARRIER_WHOLE) {
        break_up(barrier, BARRIER_ABORTED, &cause, NULL);
    }
}

static bool is_member(const struct barrier *barrier, const struct owner *owner)
{
    for (size_t i = 0; i < barrier->member_count && owner->kind == PARENT_PROCESS; i++) {
        if (id_equal(&barrier->members[i], &owner->id)) {
            return true;
        }
    }
    return false;
}

void barriers_owner_ended(struct service *service, const struct owner *owner)
{
    struct barrier_outcome nobody_asks;
    for (struct object *at = service->objects.first[OBJECT_BARRIER]; at; at = at->next) {
        struct barrier *barrier = (struct barrier *)at;
        if (barrier->cause.reason == BARRIER_WHOLE && is_member(barrier, owner)) {
            struct hold_cause cause = owner_cause(service, owner);
            break_up(barrier, BARRIER_OWNER_ENDED, &cause, NULL);
        }
        while (take_untold(barrier, owner, &nobody_asks)) {
        }
    }
}

/* ---- telling ---- */

void barrier_cause_json(struct text *text, const struct barrier_cause *cause)
{
    if (cause->reason == BARRIER_WHOLE) {
        text_put(text, "null");
        return;
    }
    text_printf(text, "{\"reason\":\"%s\",\"owner\":", reason_names[cause->reason]);
    owner_json(text, &cause->by.by);
    text_json_key(text, "exitcode");
    if (cause->by.exitcode_known) {
        text_number(text, cause->by.exitcode);
    } else {
        text_put(text, "null");
    }
    text_json_key(text, "at");
    text_json_time(text, cause->at_us);
    text_putc(text, '}');
}

struct problem *barrier_broken(const struct barrier_cause *cause)
{
    struct text members = {0}, who = {0};
    if (cause->by.by.kind != PARENT_NONE) {
        text_put(&who, " of ");
        owner_json(&who, &cause->by.by);
    }
    if (cause->by.exitcode_known) {
        text_printf(&who, " with exit code %d", cause->by.exitcode);
    }
    struct problem *problem = problem_make(PROBLEM_BROKEN, "the barrier is broken: %s%s",
                                           reason_names[cause->reason], who.data ? who.data : "");
    text_put(&members, "\"cause\":");
    barrier_cause_json(&members, cause);
    if (problem->code == PROBLEM_BROKEN) { /* else the static one of no memory */
        problem->members = text_take(&members, NULL);
    }
    text_free(&members);
    text_free(&who);
    return problem;
}
