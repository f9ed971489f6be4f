/*
 * Permits; see permit.h.
 */
#include "service/permit.h"

#include <stddef.h>
#include <string.h>

#include "service/condition.h"
#include "service/service.h"

static struct permit *permit_of(struct object *object)
{
    return (struct permit *)object;
}

static const struct permit *const_permit_of(const struct object *object)
{
    return (const struct permit *)object;
}

const struct hold *permit_previous(const struct permit *permit)
{
    return permit->previous.end == HOLD_LIVE ? NULL : &permit->previous;
}

static bool is_lock(const struct permit *permit)
{
    return permit->object.type->kind == OBJECT_LOCK;
}

/* ---- asking ---- */

static struct hold *held_by(const struct permit *permit, const struct owner *owner)
{
    for (struct hold *at = permit->object.holds; at; at = at->next) {
        if (at->owner.kind == owner->kind && id_equal(&at->owner.id, &owner->id)) {
            return at;
        }
    }
    return NULL;
}

static bool grant(struct permit *permit, struct permit_claim *claim, struct problem **problem)
{
    struct hold_request request = {
        .kind = is_lock(permit) ? HOLD_LOCK : HOLD_SEMAPHORE, .object = &permit->object,
        .owner = claim->claim.owner, .ttl_us = claim->claim.ttl_us, .durable = true};
    claim->hold = hold_grant(permit->object.service, &request, problem);
    if (claim->hold) {
        permit->value--;
        object_touch(&permit->object);
    }
    return claim->hold != NULL;
}

static bool deepen(struct permit_claim *claim, struct hold *hold)
{
    hold->depth++;
    hold_touch(hold, claim->claim.ttl_us);
    hold_changed(hold);                /* also where there is no time limit to renew */
    claim->hold = hold;
    return true;
}

bool permit_acquire(struct permit *permit, struct permit_claim *claim, struct problem **problem)
{
    const struct owner *owner = &claim->claim.owner;
    struct hold *own = permit->reentrant ? held_by(permit, owner) : NULL;
    *problem = NULL;
    claim->hold = NULL;
    if (permit->reentrant && owner->kind == PARENT_NONE) {
        *problem = problem_make(PROBLEM_BAD_REQUEST,
                                "a reentrant lock is acquired with the token of a process or session: "
                                "its owner is whom it knows again");
        return false;
    }
    if (own) {
        return deepen(claim, own);
    }
    return permit->value > 0 && permit->claims.count == 0 && grant(permit, claim, problem);
}

/* Serves who waits, first come first served, as far as it goes. */
static void serve(struct permit *permit)
{
    while (permit->value > 0 && permit->claims.first && !permit->object.deleted) {
        struct permit_claim *claim = (struct permit_claim *)claim_first(&permit->claims);
        if (claim_is_gone(&claim->claim)) {
            continue;
        }
        if (grant(permit, claim, &claim->claim.problem)) {
            claim_finish(&claim->claim, CLAIM_GRANTED);
        } else {
            claim_finish(&claim->claim, CLAIM_FAILED);
        }
    }
}

/* ---- giving back ---- */

void permit_release(struct hold *hold, const struct owner *by)
{
    struct hold_cause cause = {.by = *by};
    if (hold->depth > 1) {
        hold->depth--;
        hold_changed(hold);
    } else {
        hold_end(hold, HOLD_RELEASED, &cause);
    }
}

static struct problem *act_on_hold(struct hold *hold, const struct hold_order *order)
{
    if (order->action != HOLD_ACTION_RELEASE || order->delay_us) {
        return problem_make(PROBLEM_INVALID_VALUE, "a hold on %s is released, and at once",
                            hold->resource);
    }
    permit_release(hold, &order->by);
    return NULL;
}

static void hold_ended(struct service *service, struct object *object, struct hold *hold)
{
    struct permit *permit = permit_of(object);
    (void)service;
    permit->previous = *hold;
    permit->value++;
    object_touch(object);
    conditions_lock_hold_ended(hold);
    serve(permit);
    object_ready(object);
}

struct problem *permit_post(struct permit *permit, int64_t n)
{
    int64_t held = 0;
    for (const struct hold *at = permit->object.holds; at; at = at->next) {
        held++;
    }
    int64_t room = permit->max == PERMITS_UNBOUNDED ? INT64_MAX : permit->max;
    if (n > room - held - permit->value) {
        return problem_make(PROBLEM_OVER_RELEASE, "%s would have more than its max of %lld",
                            permit->object.resource, (long long)permit->max);
    }
    permit->value += n;
    object_touch(&permit->object);
    serve(permit);
    object_ready(&permit->object);
    return NULL;
}

/* ---- the types ---- */

static bool ready(const struct object *object, const struct object_point *point)
{
    (void)point;
    return const_permit_of(object)->value > 0;
}

static struct problem *configure_lock(struct service *service, struct object *object,
                                      const json_t *config)
{
    struct permit *permit = permit_of(object);
    (void)service;
    permit->reentrant = json_is_true(json_object_get(config, "reentrant"));
    permit->initial = permit->max = permit->value = 1;
    return NULL;
}

static struct problem *configure_semaphore(struct service *service, struct object *object,
                                           const json_t *config)
{
    struct permit *permit = permit_of(object);
    const json_t *value = json_object_get(config, "value"), *max = json_object_get(config, "max");
    (void)service;
    permit->initial = json_is_integer(value) ? json_integer_value(value) : 1;
    permit->max = json_is_integer(max) ? json_integer_value(max) : PERMITS_UNBOUNDED;
    permit->value = permit->initial;
    if (permit->max != PERMITS_UNBOUNDED && permit->initial > permit->max) {
        return problem_add(NULL, PROBLEM_INVALID_VALUE, FAULT_POINTER, "/value",
                           "It must not be more than max.");
    }
    return NULL;
}

static void write_lock_config(struct text *text, const struct object *object)
{
    text_json_key(text, "reentrant");
    text_json_bool(text, const_permit_of(object)->reentrant);
}

static void write_semaphore_config(struct text *text, const struct object *object)
{
    const struct permit *permit = const_permit_of(object);
    text_json_key(text, "value");
    text_number(text, permit->initial);
    text_json_key(text, "max");
    if (permit->max == PERMITS_UNBOUNDED) {
        text_put(text, "null");
    } else {
        text_number(text, permit->max);
    }
}

static void write_state(struct text *text, const struct object *object)
{
    const struct permit *permit = const_permit_of(object);
    if (is_lock(permit)) {
        text_json_key(text, "held");
        text_json_bool(text, object->holds != NULL);
    } else {
        text_json_key(text, "available");
        text_number(text, permit->value);
    }
    text_json_key(text, "waiters");
    text_unsigned(text, permit->claims.count);
    holds_json(text, object);
    text_json_key(text, "previous");
    hold_end_json(text, permit_previous(permit));
}

/* Permits that are neither free nor held by a hold that is stored were held by one that was never told. */
static void save(struct text *text, const struct object *object)
{
    const struct permit *permit = const_permit_of(object);
    int64_t total = permit->value;
    for (const struct hold *at = object->holds; at; at = at->next) {
        total++;
    }
    text_json_key(text, "permits");
    text_number(text, total);
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct permit *permit = permit_of(object);
    const json_t *permits = json_object_get(saved, "permits");
    (void)service;
    if (!is_lock(permit) && json_is_integer(permits)) {
        permit->value = json_integer_value(permits);
    }
    return true;
}

static bool restore_hold(struct service *service, struct object *object, struct hold *hold)
{
    struct permit *permit = permit_of(object);
    (void)service;
    (void)hold;
    if (permit->value <= 0) {
        return false;
    }
    permit->value--;
    return true;
}

static void restore_end(struct object *object, const struct hold *hold)
{
    permit_of(object)->previous = *hold;
}

static void closed(struct service *service, struct object *object)
{
    claims_finish_all(&permit_of(object)->claims, CLAIM_DELETED);
    if (is_lock(permit_of(object))) {
        conditions_lock_deleted(service, object);
    }
}

const struct object_type lock_type = {
    .kind = OBJECT_LOCK, .noun = "lock", .plural = "locks", .bytes = sizeof(struct permit),
    .configure = configure_lock, .write_config = write_lock_config, .write_state = write_state, .ready = ready,
    .save = save, .restore = restore, .restore_hold = restore_hold,
    .restore_end = restore_end, .hold_ended = hold_ended, .act_on_hold = act_on_hold, .closed = closed,
};

const struct object_type semaphore_type = {
    .kind = OBJECT_SEMAPHORE, .noun = "semaphore", .plural = "semaphores",
    .bytes = sizeof(struct permit), .configure = configure_semaphore,
    .write_config = write_semaphore_config, .write_state = write_state, .ready = ready, .save = save,
    .restore = restore, .restore_hold = restore_hold, .restore_end = restore_end,
    .hold_ended = hold_ended, .act_on_hold = act_on_hold, .closed = closed,
};
