/*
 * Barriers: wait, reset, abort. A wait has two clocks: `wait` is this call's patience, after which the place
 * of a process or session is kept for its next call; `timeout` is the place's, after which the barrier
 * breaks for all.
 */
#include <stddef.h>
#include <string.h>

#include "api/bodies.h"
#include "api/coordination.h"
#include "api/handlers.h"
#include "service/barrier.h"

#define LEAST_TIMEOUT_US 1             /* 0 would be none */
#define MOST_TIMEOUT_SECONDS (366.0 * 86400)
#define MOST_TIMEOUT_US (366 * 86400 * SECOND_US)

static const char *must_be_process_id(const json_t *value)
{
    struct fact_id id;
    return id_parse(json_string_value(value), json_string_length(value), 'p', &id)
               ? NULL
               : "the id of a process";
}

static const struct field one_member = {
    .name = "member", .type = FIELD_STRING, .check = must_be_process_id};

const struct field barrier_fields[] = {
    {.name = "parties", .type = FIELD_INTEGER, .required = true, .min = 1,
     .max = BARRIER_PARTIES_MAX},
    {.name = "timeout_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 0.001,
     .max = MOST_TIMEOUT_SECONDS},
    {.name = "members", .type = FIELD_ARRAY | FIELD_NULL, .max = BARRIER_MEMBERS_MAX,
     .items = &one_member},
    {0}};

struct barrier_call {
    struct claim_call call;
    struct barrier_claim claim;
    int64_t barrier;                   /* its number */
    bool told;                         /* the answer is the claim's outcome; else: not granted */
};

/* ---- what comes of it ---- */

static void answer(struct claim_call *call)
{
    const struct barrier_call *self = (struct barrier_call *)call;
    const struct barrier_outcome *outcome = &self->claim.outcome;
    struct text body = {0};
    if (!self->told) {
        answer_problem(call->request,
                       problem_make(PROBLEM_NOT_GRANTED, "not all parties came in that time"));
    } else if (!outcome->passed) {
        answer_problem(call->request, barrier_broken(&outcome->cause));
    } else {
        text_printf(&body, "{\"index\":%lld,\"generation\":%llu}", (long long)outcome->index,
                    (unsigned long long)outcome->generation);
        answer_json(call->request, 200, &body);
    }
}

/* Nobody owns it: it ends with its call. */
static bool is_bare(const struct barrier_call *self)
{
    return self->claim.claim.owner.kind == PARENT_NONE;
}

static void ended(struct claim_call *call, enum claim_result result)
{
    struct barrier_call *self = (struct barrier_call *)call;
    if (result == CLAIM_GRANTED || result == CLAIM_TIMED_OUT) {
        self->told = result == CLAIM_GRANTED;
        barrier_call_over(&self->claim, !is_bare(self));
        claim_call_stored(call);
    } else {
        barrier_call_over(&self->claim, true);
        answer_claim_failed(call, result);
    }
}

/* The barrier may be gone by now, and another may have its name. */
static void undo(struct claim_call *call)
{
    const struct barrier_call *self = (struct barrier_call *)call;
    struct service *service = &request_app(call->request)->service;
    struct object *object =
        object_find(service, OBJECT_BARRIER, request_segment(call->request, 0, NULL));
    if (self->told && self->claim.outcome.passed && !is_bare(self) && object &&
        object->num == self->barrier) {
        barrier_untell((struct barrier *)object, &self->claim.claim.owner, &self->claim.outcome);
    }
}

/* An owner that was told of an upgrade comes back to its place, or its end breaks the barrier. */
static void left(struct claim_call *call)
{
    struct barrier_call *self = (struct barrier_call *)call;
    if (http_leaves(call->request)) {
        barrier_call_over(&self->claim, !is_bare(self));
    } else {
        barrier_call_left(&self->claim);
    }
}

/* ---- wait ---- */

static int64_t read_timeout(const struct request *request)
{
    int64_t timeout_us = 0;
    if (!request_param_seconds(request, "timeout", &timeout_us)) {
        return 0;
    }
    return timeout_us < LEAST_TIMEOUT_US  ? LEAST_TIMEOUT_US
           : timeout_us > MOST_TIMEOUT_US ? MOST_TIMEOUT_US
                                          : timeout_us;
}

static void park(struct barrier_call *self, struct barrier *barrier, int64_t deadline_us)
{
    if (deadline_us == 0) {
        ended(&self->call, CLAIM_TIMED_OUT);
        return;
    }
    request_keep(self->call.request);
    claim_call_park(&self->call, &barrier->claims, &barrier->object, deadline_us);
    if (!self->claim.claim.waiter.list) { /* no memory, and that was answered */
        barrier_call_over(&self->claim, false);
    }
}

static void arrive(struct barrier_call *self, struct barrier *barrier)
{
    struct request *request = self->call.request;
    struct problem *problem = NULL;
    int64_t deadline_us = request_patience(request, JOIN_STANDARD_US);
    switch (barrier_arrive(barrier, &self->claim, read_timeout(request), &problem)) {
    case BARRIER_TOLD:
        self->told = true;
        claim_call_stored(&self->call);
        break;
    case BARRIER_WAITS:
        park(self, barrier, deadline_us);
        break;
    case BARRIER_REFUSED:
        answer_problem(request, problem);
        break;
    }
}

/* The barrier, or NULL after an answer: a wrong body, nothing can be stored, no such barrier. */
static struct barrier *barrier_to_change(struct request *request)
{
    struct problem *problem = nothing_body_check(request_json(request));
    if (!problem) {
        problem = recorder_refuses(request_app(request)->service.recorder);
    }
    if (problem) {
        answer_problem(request, problem);
        return NULL;
    }
    return (struct barrier *)request_object(request);
}

void handle_wait_at_barrier(struct request *request)
{
    struct barrier *barrier = barrier_to_change(request);
    struct barrier_call *self = barrier ? request_alloc(request, sizeof *self) : NULL;
    if (barrier && !self) {
        respond_no_memory(request);
    } else if (barrier) {
        self->barrier = barrier->object.num;
        self->claim.claim.owner = request_owner(request);
        self->call = (struct claim_call){.claim = &self->claim.claim, .request = request,
                                         .ended = ended, .answer = answer, .undo = undo,
                                         .left = left};
        arrive(self, barrier);
    }
}

/* ---- reset and abort ---- */

static void change(struct request *request,
                   void (*act)(struct barrier *barrier, const struct owner *by))
{
    struct barrier *barrier = barrier_to_change(request);
    struct owner by = request_owner(request);
    struct text body = {0};
    if (barrier) {
        act(barrier, &by);
        object_json(&body, &barrier->object);
        respond_when_stored(request, 200, &body);
    }
}

void handle_reset_barrier(struct request *request)
{
    change(request, barrier_reset);
}

void handle_abort_barrier(struct request *request)
{
    change(request, barrier_abort);
}
