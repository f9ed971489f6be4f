/*
 * Locks and semaphores: acquire, which ends with a hold or 409 not_granted, and the post of a semaphore.
 */
#include <stddef.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "service/permit.h"

#define BARE_TTL_US (30 * SECOND_US)   /* of a hold that nobody owns, when the call does not say */
#define LEAST_TTL_SECONDS 0.001
#define MOST_TTL_SECONDS (366.0 * 86400)

const struct field lock_fields[] = {{.name = "reentrant", .type = FIELD_BOOL | FIELD_NULL}, {0}};

const struct field semaphore_fields[] = {
    {.name = "value", .type = FIELD_INTEGER, .min = 0, .max = 1e9},
    {.name = "max", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = 1e9},
    {0}};

static const struct field acquire_fields[] = {
    {.name = "ttl_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = LEAST_TTL_SECONDS,
     .max = MOST_TTL_SECONDS},
    {0}};

static const struct field post_fields[] = {
    {.name = "n", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = 1e9}, {0}};

struct acquire {
    struct claim_call call;
    struct permit_claim claim;
    struct fact_id hold;               /* by id: it may have ended before the answer */
    unsigned depth;                    /* that this call has brought it to */
};

static struct permit *permit_of(struct object *object)
{
    return (struct permit *)object;
}

/* ---- what comes of it ---- */

static void not_granted(struct request *request, const struct object *object)
{
    char who[ID_TEXT_BYTES] = "nobody";
    const struct hold *hold = object->holds;
    if (hold && hold->owner.kind != PARENT_NONE) {
        id_format(&hold->owner.id, hold->owner.kind == PARENT_PROCESS ? 'p' : 's', who);
    }
    answer_problem(request, problem_make(PROBLEM_NOT_GRANTED, "%s is held%s%s", object->resource,
                                         hold && hold->owner.kind != PARENT_NONE ? " by " : "",
                                         hold && hold->owner.kind != PARENT_NONE ? who : ""));
}

static void answer_hold(struct claim_call *call)
{
    struct acquire *acquire = (struct acquire *)call;
    struct service *service = &request_app(call->request)->service;
    const struct hold *hold = hold_find(service, &acquire->hold);
    struct text body = {0};
    if (!hold || hold->end != HOLD_LIVE) { /* broken, expired, deleted: between grant and commit */
        answer_problem(call->request, hold ? hold_ended_problem(hold)
                                           : problem_make(PROBLEM_DELETED, "it was deleted"));
        return;
    }
    struct hold shown = *hold;         /* as it was granted: others may have deepened it meanwhile */
    shown.depth = acquire->depth;
    hold_json(&body, &shown, permit_previous(permit_of(hold->object)));
    answer_json(call->request, 200, &body);
}

static void undo(struct claim_call *call)
{
    struct acquire *acquire = (struct acquire *)call;
    struct hold *hold = hold_find(&request_app(call->request)->service, &acquire->hold);
    struct owner nobody = {0};
    if (hold && hold->end == HOLD_LIVE) {
        permit_release(hold, &nobody);
    }
}

static void granted(struct acquire *acquire, struct hold *hold)
{
    acquire->hold = hold->id;
    acquire->depth = hold->depth;
    claim_call_kept(&acquire->call);
}

static void ended(struct claim_call *call, enum claim_result result)
{
    struct acquire *acquire = (struct acquire *)call;
    if (result == CLAIM_GRANTED) {
        granted(acquire, acquire->claim.hold);
    } else if (result == CLAIM_TIMED_OUT) {
        not_granted(call->request, call->claim->object);
    } else {
        answer_claim_failed(call, result);
    }
}

static struct object *permit_to_change(struct request *request)
{
    return request_can_store(request) ? request_object(request) : NULL;
}

/* ---- acquire ---- */

static void acquire_or_wait(struct request *request, struct permit *permit,
                            struct acquire *acquire)
{
    struct problem *problem;
    int64_t deadline_us = request_patience(request, 0);
    struct claim_call *call = &acquire->call;
    if (permit_acquire(permit, &acquire->claim, &problem)) {
        granted(acquire, acquire->claim.hold);
    } else if (problem) {
        answer_problem(request, problem);
    } else if (deadline_us == 0) {
        not_granted(request, &permit->object);
    } else {
        claim_call_park(call, &permit->claims, &permit->object, deadline_us);
    }
}

void handle_acquire(struct request *request)
{
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, acquire_fields);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct object *object = permit_to_change(request);
    struct acquire *acquire = object ? request_alloc(request, sizeof *acquire) : NULL;
    if (object && !acquire) {
        respond_no_memory(request);
    } else if (object) {
        struct owner owner = request_owner(request);
        int64_t standard_us = owner.kind == PARENT_NONE ? BARE_TTL_US : 0;
        acquire->claim.claim.owner = owner;
        acquire->claim.claim.ttl_us = field_seconds_us(body, "ttl_seconds", standard_us);
        acquire->call = (struct claim_call){.claim = &acquire->claim.claim, .request = request,
                                            .asks = true, .ended = ended,
                                            .answer = answer_hold, .undo = undo};
        acquire_or_wait(request, permit_of(object), acquire);
    }
}

/* ---- post ---- */

void handle_post_semaphore(struct request *request)
{
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, post_fields);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct object *object = permit_to_change(request);
    if (!object) {
        return;
    }
    struct text answer = {0};
    problem = permit_post(permit_of(object), field_integer(body, "n", 1));
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    object_json(&answer, object);
    respond_when_kept(request, 200, &answer);
}
