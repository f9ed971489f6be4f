/*
 * Conditions: wait, notify, notify_all. A wait names the hold of the lock that it gives up, or, when a call
 * has run out before, the ticket that this hold became.
 */
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "service/condition.h"

#define MOST_SECONDS (366.0 * 86400)

#define HOLD_ID(key) {.name = key, .type = FIELD_STRING, .min = 1, .max = 64}

const struct field condition_fields[] = {
    {.name = "lock", .type = FIELD_STRING, .required = true, .min = 1,
     .max = OBJECT_NAME_BYTES - 1},
    {0}};

static const struct field wait_fields[] = {
    HOLD_ID("hold"), HOLD_ID("ticket"),
    {.name = "timeout_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 0, .max = MOST_SECONDS},
    {0}};
static const struct field notify_fields[] = {
    {.name = "n", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = 1e9}, HOLD_ID("hold"), {0}};
static const struct field notify_all_fields[] = {HOLD_ID("hold"), {0}};

struct wait_call {
    struct claim_call call;
    struct condition_claim claim;
    bool served;                       /* else the answer is the ticket */
};

/* ---- what comes of it ---- */

static struct hold *find_ticket(struct claim_call *call)
{
    const struct wait_call *self = (struct wait_call *)call;
    return hold_find(&request_app(call->request)->service, &self->claim.ticket);
}

static void answer_ticket(struct claim_call *call)
{
    const struct wait_call *self = (struct wait_call *)call;
    char id[ID_TEXT_BYTES];
    struct text body = {0};
    id_format(&self->claim.ticket, 'h', id);
    text_printf(&body, "{\"notified\":false,\"hold\":null,\"ticket\":\"%s\"}", id);
    answer_json(call->request, 200, &body);
}

static void sent(struct request *request, void *context, bool ok)
{
    struct claim_call *call = context;
    struct hold *ticket = find_ticket(call);
    (void)request;
    if (ok && ticket) {
        ticket_told(ticket);
    }
}

static void answer_hold(struct claim_call *call, struct hold *ticket, const struct hold *hold)
{
    struct text body = {0};
    text_put(&body, "{\"notified\":");
    text_json_bool(&body, ticket_notified(ticket));
    text_json_key(&body, "hold");
    hold_json(&body, hold, permit_previous((const struct permit *)hold->object));
    text_put(&body, ",\"ticket\":null}");
    if (!http_on_sent(call->request, sent, call)) {
        ticket_told(ticket);
    }
    answer_json(call->request, 200, &body);
}

static void answer_wait(struct claim_call *call)
{
    const struct wait_call *self = (struct wait_call *)call;
    struct hold *ticket = find_ticket(call);
    bool live = ticket && ticket->end == HOLD_LIVE;
    struct hold *hold = live && self->served ? ticket_lock_hold(ticket) : NULL;
    if (!self->served) {
        answer_ticket(call);
    } else if (hold && hold->end == HOLD_LIVE) {
        answer_hold(call, ticket, hold);
    } else {                           /* the hold has ended before it could be told */
        answer_problem(call->request, ticket && !live
                                          ? hold_ended_problem(ticket)
                                          : problem_make(PROBLEM_DELETED, "it was deleted"));
    }
}

static void call_over(struct claim_call *call)
{
    struct wait_call *self = (struct wait_call *)call;
    condition_call_over(&request_app(call->request)->service, &self->claim);
}

static void ended(struct claim_call *call, enum claim_result result)
{
    struct wait_call *self = (struct wait_call *)call;
    self->served = result == CLAIM_GRANTED;
    if (!self->served) {
        call_over(call);
    }
    if (self->served || result == CLAIM_TIMED_OUT) {
        claim_call_stored(call);
    } else {
        answer_claim_failed(call, result);
    }
}

/* ---- wait ---- */

static struct problem *check_wait(const json_t *body)
{
    struct problem *problem = schema_check(body, wait_fields);
    bool hold = field_value(body, "hold"), ticket = field_value(body, "ticket");
    if (!problem && hold == ticket) {
        problem = problem_add(NULL, hold ? PROBLEM_INVALID_VALUE : PROBLEM_MISSING_FIELD,
                              FAULT_POINTER, hold ? "/ticket" : "/hold",
                              hold ? "Name the hold or the ticket, not both."
                                   : "Name the hold of the lock, or the ticket of a call before.");
    }
    return problem;
}

/* The hold with this id, which must be on `resource`; live or ended. */
static struct hold *find_on(struct service *service, const char *id, const char *resource,
                            struct problem **problem)
{
    struct hold *hold = hold_find_text(service, id, strlen(id));
    if (!hold) {
        *problem = problem_make(PROBLEM_NOT_FOUND, "there is no hold %.64s", id);
    } else if (strcmp(hold->resource, resource) != 0) {
        *problem = problem_make(PROBLEM_WRONG_HOLD, "%s is a hold on %s, not on %s", id,
                                hold->resource, resource);
        hold = NULL;
    }
    return hold;
}

static struct hold *find_lock_hold(const struct condition *condition, const char *id,
                                   struct problem **problem)
{
    char resource[sizeof condition->object.resource];
    snprintf(resource, sizeof resource, "locks/%.128s", condition->lock);
    return find_on(condition->object.service, id, resource, problem);
}

/* The hold becomes a ticket; when it has before, it is that one. */
static struct hold *from_hold(struct condition *condition, const json_t *body,
                              struct problem **problem)
{
    int64_t timeout_us = field_seconds_us(body, "timeout_seconds", CONDITION_TIMEOUT_NONE);
    const char *text = field_text(body, "hold", "");
    struct fact_id id;
    struct hold *ticket = id_parse(text, strlen(text), 'h', &id)
                              ? condition_ticket_of(condition, &id)
                              : NULL;
    struct hold *hold = ticket ? NULL : find_lock_hold(condition, text, problem);
    if (hold && hold->end == HOLD_LIVE) {
        ticket = condition_leave_lock(condition, hold, timeout_us, problem);
    } else if (hold) {
        *problem = hold_ended_problem(hold);
    }
    return ticket;
}

static struct hold *from_ticket(struct condition *condition, const json_t *body,
                                struct problem **problem)
{
    struct hold *ticket = find_on(condition->object.service, field_text(body, "ticket", ""),
                                  condition->object.resource, problem);
    if (ticket && ticket->end != HOLD_LIVE) {
        *problem = hold_ended_problem(ticket);
        ticket = NULL;
    }
    return ticket;
}

static void wait_on(struct wait_call *self, struct condition *condition, struct hold *ticket)
{
    struct claim_call *call = &self->call;
    int64_t deadline_us = request_patience(call->request, JOIN_STANDARD_US);
    if (condition_call(&self->claim, ticket)) {
        ended(call, CLAIM_GRANTED);
    } else if (deadline_us == 0) {
        ended(call, CLAIM_TIMED_OUT);
    } else {
        request_keep(call->request);
        claim_call_park(call, &condition->calls, &condition->object, deadline_us);
        if (!self->claim.claim.waiter.list) { /* no memory, and that was answered */
            call_over(call);
        }
    }
}

/* What every change begins with. NULL: it was answered. */
static struct condition *condition_to_change(struct request *request, struct problem *problem)
{
    if (!problem) {
        problem = recorder_refuses(request_app(request)->service.recorder);
    }
    if (problem) {
        answer_problem(request, problem);
        return NULL;
    }
    return (struct condition *)request_object(request);
}

void handle_wait_for_condition(struct request *request)
{
    const json_t *body = request_json(request);
    struct condition *condition = condition_to_change(request, check_wait(body));
    struct wait_call *self = condition ? request_alloc(request, sizeof *self) : NULL;
    struct problem *problem = NULL;
    if (!condition) {
        return;
    }
    if (!self) {
        respond_no_memory(request);
        return;
    }
    self->claim.claim.owner = request_owner(request);
    self->call = (struct claim_call){.claim = &self->claim.claim, .request = request,
                                     .ended = ended, .answer = answer_wait, .undo = call_over,
                                     .left = call_over};
    struct hold *ticket = field_value(body, "ticket") ? from_ticket(condition, body, &problem)
                                                      : from_hold(condition, body, &problem);
    if (ticket) {
        wait_on(self, condition, ticket);
    } else {
        answer_problem(request, problem);
    }
}

/* ---- notify ---- */

/* The lock need not be held; a hold that is named must be. */
static struct problem *check_holder(struct condition *condition, const json_t *body)
{
    struct problem *problem = NULL;
    const char *id = field_text(body, "hold", NULL);
    const struct hold *hold = id ? find_lock_hold(condition, id, &problem) : NULL;
    return hold && hold->end != HOLD_LIVE ? hold_ended_problem(hold) : problem;
}

static void notify(struct request *request, const struct field *fields, int64_t n)
{
    const json_t *body = request_json(request);
    struct condition *condition = condition_to_change(request, schema_check(body, fields));
    struct problem *problem = condition ? check_holder(condition, body) : NULL;
    struct text answer = {0};
    if (problem) {
        answer_problem(request, problem);
    } else if (condition) {
        text_printf(&answer, "{\"notified\":%lld}",
                    (long long)condition_notify(condition, field_integer(body, "n", n)));
        respond_when_stored(request, 200, &answer);
    }
}

void handle_notify(struct request *request)
{
    notify(request, notify_fields, 1);
}

void handle_notify_all(struct request *request)
{
    notify(request, notify_all_fields, INT64_MAX);
}
