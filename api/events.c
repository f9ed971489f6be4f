/*
 * Events: set, clear, look, wait. Who waits without `after` waits until the event is set; with it,
 * until it has been set once more than `after` says.
 */
#include "api/bodies.h"
#include "api/coordination.h"
#include "api/handlers.h"
#include "api/idempotency.h"
#include "service/event.h"

const struct field event_fields[] = {{0}};

struct event_wait {
    struct claim_call call;
    struct claim claim;
    bool set;                          /* as it was when the wait ended: it may be gone later */
    uint64_t generation;
};

static void write_body(struct text *body, bool set, uint64_t generation)
{
    text_putc(body, '{');
    event_write(body, set, generation);
    text_putc(body, '}');
}

/* What a crash could take back is told when it cannot any more. */
static void respond_event(struct request *request, struct event *event, struct text *body)
{
    if (!idempotency_will_store(request) && pending_settled(&event->pending, false)) {
        answer_json(request, 200, body);
    } else {
        respond_when_stored(request, 200, body);
    }
}

/* ---- set and clear ---- */

static void change(struct request *request, void (*act)(struct event *event))
{
    struct text body = {0};
    struct problem *problem = nothing_body_check(request_json(request));
    if (!problem) {
        problem = recorder_refuses(request_app(request)->service.recorder);
    }
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct event *event = (struct event *)request_object(request);
    if (event) {
        act(event);
        write_body(&body, event->set, event->generation);
        respond_event(request, event, &body);
    }
}

void handle_set_event(struct request *request)
{
    change(request, event_set);
}

void handle_clear_event(struct request *request)
{
    change(request, event_clear);
}

/* ---- look and wait ---- */

void handle_get_event(struct request *request)
{
    struct event *event = (struct event *)request_object(request);
    struct text body = {0};
    if (event) {
        object_json(&body, &event->object);
        respond_event(request, event, &body);
    }
}

static void answer_wait(struct claim_call *call)
{
    struct event_wait *wait = (struct event_wait *)call;
    struct text body = {0};
    write_body(&body, wait->set, wait->generation);
    answer_json(call->request, 200, &body);
}

static void ended(struct claim_call *call, enum claim_result result)
{
    struct event_wait *wait = (struct event_wait *)call;
    struct event *event = (struct event *)wait->claim.object;
    if (result != CLAIM_GRANTED && result != CLAIM_TIMED_OUT) {
        answer_claim_failed(call, result);
        return;
    }
    wait->set = event->set;
    wait->generation = event->generation;
    if (pending_settled(&event->pending, false)) {
        answer_wait(call);
    } else {
        claim_call_stored(call);
    }
}

static void park(struct request *request, struct event *event, int64_t deadline_us)
{
    struct event_wait *wait = request_alloc(request, sizeof *wait);
    if (!wait) {
        respond_no_memory(request);
        return;
    }
    wait->claim.owner = request_owner(request);
    wait->call = (struct claim_call){.claim = &wait->claim, .request = request, .ended = ended,
                                     .answer = answer_wait};
    claim_call_park(&wait->call, &event->waiters, &event->object, deadline_us);
}

void handle_wait_for_event(struct request *request)
{
    struct event *event = (struct event *)request_object(request);
    int64_t deadline_us = request_patience(request, JOIN_STANDARD_US);
    uint64_t after;
    struct text body = {0};
    if (!event) {
        return;
    }
    bool come = request_param_unsigned(request, "after", &after) ? event->generation != after
                                                                 : event->set;
    if (come || deadline_us == 0) {
        write_body(&body, event->set, event->generation);
        respond_event(request, event, &body);
    } else {
        park(request, event, deadline_us);
    }
}
