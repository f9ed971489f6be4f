/* What the handlers of all coordination objects share; see coordination.h. */
#include "api/coordination.h"

#include <stddef.h>
#include <string.h>

#include "api/idempotency.h"
#include "service/coordination.h"

/* ---- from a request ---- */

enum object_kind request_kind(const struct request *request)
{
    const char *path = request_route_path(request) + strlen("/v1/");
    size_t bytes = strcspn(path, "/");
    int kind = 0;
    while (!object_types[kind] || strlen(object_types[kind]->plural) != bytes ||
           strncmp(object_types[kind]->plural, path, bytes) != 0) {
        kind++;                        /* the route table names only kinds that there are */
    }
    return (enum object_kind)kind;
}

struct object *request_object(struct request *request)
{
    enum object_kind kind = request_kind(request);
    const char *name = request_segment(request, 0, NULL);
    struct object *object = object_find(&request_app(request)->service, kind, name);
    if (!object) {
        answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "there is no %s %.128s",
                                             object_types[kind]->noun, name));
    }
    return object;
}

struct owner request_owner(const struct request *request)
{
    return principal_owner(request_principal(request));
}

/* That of If-Hold, or NULL. */
static struct hold *find_guard(const struct request *request)
{
    const char *id = request_header(request, "If-Hold");
    return id ? hold_find_text(&request_app(request)->service, id, strlen(id)) : NULL;
}

static struct problem *guard_problem(const struct request *request)
{
    const char *id = request_header(request, "If-Hold");
    const struct hold *hold = find_guard(request);
    struct problem *problem =
        hold ? hold_ended_problem(hold)
             : problem_make(PROBLEM_HOLD_ENDED, "If-Hold: %.64s is no hold that is known", id);
    if (problem->code == PROBLEM_HOLD_ENDED) { /* not the one that stands for all, without memory */
        problem->status = 412;
    }
    return problem;
}

bool request_holds(struct request *request)
{
    const struct hold *hold = find_guard(request);
    bool holds = !request_header(request, "If-Hold") || (hold && hold->end == HOLD_LIVE);
    if (!holds) {
        answer_problem(request, guard_problem(request));
    }
    return holds;
}

bool request_can_store(struct request *request)
{
    struct problem *problem = recorder_refuses(request_app(request)->service.recorder);
    if (problem) {
        answer_problem(request, problem);
    }
    return !problem;
}

int64_t request_patience(const struct request *request, int64_t standard_us)
{
    int64_t deadline_us = request_deadline(request, standard_us);
    return deadline_us <= time_monotonic_us() ? 0 : deadline_us;
}

/* ---- answers after a commit ---- */

struct later {
    struct stored stored;
    struct request *request;
    struct text body;
    int status;
    const char *type;                  /* of the body; static; NULL: JSON, or there is none */
};

static bool answer_now(struct request *request, int status, const char *type, struct text *body)
{
    if (type) {
        answer_text(request, status, type, body);
    } else if (body->bytes || body->failed) {
        answer_json(request, status, body);
    } else {
        answer_empty(request, status);
    }
    return true;
}

static void answer_later(struct stored *stored)
{
    struct later *later = (struct later *)((char *)stored - offsetof(struct later, stored));
    answer_now(later->request, later->status, later->type, &later->body);
}

static void later_gone(struct request *request, void *context)
{
    struct later *later = context;
    (void)request;
    stored_cancel(&later->stored);
    text_free(&later->body);
}

/* The answer to a request with an Idempotency-Key is stored, and sent after that (idempotency.h): given at
   once, it is in the batch of what the request did. */
static bool is_keyed(const struct request *request)
{
    return idempotency_will_store(request);
}

static bool respond_later(struct request *request, int status, const char *type,
                          struct text *body)
{
    if (is_keyed(request)) {
        return answer_now(request, status, type, body);
    }
    struct later *later = request_alloc(request, sizeof *later);
    if (!later || body->failed) {
        text_free(body);
        body->failed = true;           /* it is done, and cannot be told */
        return answer_now(request, status, type, body);
    }
    *later = (struct later){.request = request, .body = *body, .status = status, .type = type};
    *body = (struct text){0};
    http_audit(request, status);
    stored_then(request_app(request), &later->stored, answer_later);
    http_park(request, (struct park){later_gone, later});
    http_park_done(request);
    return true;
}

bool respond_when_stored(struct request *request, int status, struct text *body)
{
    return respond_later(request, status, NULL, body);
}

bool respond_bytes_when_stored(struct request *request, int status, const char *type,
                               struct text *body)
{
    return respond_later(request, status, type, body);
}

bool request_tells_now(struct request *request)
{
    return is_keyed(request) || coordination_keep(&request_app(request)->service);
}

bool respond_when_kept(struct request *request, int status, struct text *body)
{
    return request_tells_now(request) ? answer_now(request, status, NULL, body)
                                      : respond_when_stored(request, status, body);
}

void request_keep(struct request *request)
{
    struct service *service = &request_app(request)->service;
    if (!coordination_keep(service)) {
        recorder_urgent(service->recorder);
    }
}

/* ---- parked calls ---- */

static void claim_done(struct claim *claim, enum claim_result result)
{
    struct claim_call *call = claim->context;
    waiter_cancel(&call->guard);
    call->ended(call, result);
}

static void call_gone(struct request *request, void *context)
{
    struct claim_call *call = context;
    bool granted = call->granted;
    claim_give_up(call->claim);
    waiter_cancel(&call->guard);
    stored_cancel(&call->stored);
    if (granted && call->undo) {
        call->undo(call);
    } else if (!granted && call->left) {
        call->left(call);
    }
    request_keep(request);             /* that it has gone: who looks sees it at once */
}

static bool call_is_gone(struct claim *claim)
{
    struct claim_call *call = claim->context;
    return http_gone(call->request);
}

static void park(struct claim_call *call)
{
    if (!call->parked) {
        call->parked = true;
        http_park(call->request, (struct park){call_gone, call});
    }
}

static void guard_ended(struct waiter *waiter, bool woken)
{
    struct claim_call *call =
        (struct claim_call *)((char *)waiter - offsetof(struct claim_call, guard));
    if (woken) {                       /* else the claim's time is over too */
        claim_give_up(call->claim);
        call->claim->problem = guard_problem(call->request);
        call->ended(call, CLAIM_FAILED);
    }
}

/* False: no memory. */
static bool park_guard(struct claim_call *call, int64_t deadline_us)
{
    struct hold *hold = call->asks ? find_guard(call->request) : NULL;
    return !hold || waiter_park(hold->service->loop, &hold->watchers, &call->guard, deadline_us,
                                guard_ended);
}

void claim_call_park(struct claim_call *call, struct wait_list *list, struct object *object,
                     int64_t deadline_us)
{
    struct service *service = &request_app(call->request)->service;
    call->claim->done = claim_done;
    call->claim->gone = call_is_gone;
    call->claim->context = call;
    if (!park_guard(call, deadline_us)) {
        respond_no_memory(call->request);
    } else if (claim_park(service, list, call->claim, object, deadline_us)) {
        park(call);
    } else {
        waiter_cancel(&call->guard);
        respond_no_memory(call->request);
    }
}

/* The answer could not be sent: nobody knows of what was granted, unless it is kept under a key. */
static void call_sent(struct request *request, void *context, bool ok)
{
    struct claim_call *call = context;
    if (!ok && !request_idempotent(request)) {
        call->undo(call);
        request_keep(request);
    }
}

static void call_stored(struct stored *stored)
{
    struct claim_call *call =
        (struct claim_call *)((char *)stored - offsetof(struct claim_call, stored));
    if (call->undo) {
        http_on_sent(call->request, call_sent, call);
    }
    call->answer(call);
}

/* Who has gone meanwhile is told so by http_gone, and has got nothing. */
static void call_committed(struct stored *stored)
{
    struct claim_call *call =
        (struct claim_call *)((char *)stored - offsetof(struct claim_call, stored));
    if (!http_gone(call->request)) {
        call_stored(stored);
    }
}

void claim_call_kept(struct claim_call *call)
{
    if (request_tells_now(call->request)) {
        call_stored(&call->stored);
    } else {
        claim_call_stored(call);
    }
}

void claim_call_stored(struct claim_call *call)
{
    if (is_keyed(call->request)) {
        call_stored(&call->stored);
        return;
    }
    call->granted = true;
    stored_then(request_app(call->request), &call->stored, call_committed);
    park(call);
    http_park_done(call->request);
}

void answer_claim_failed(struct claim_call *call, enum claim_result result)
{
    struct problem *problem =
        result == CLAIM_FAILED    ? call->claim->problem
        : result == CLAIM_DELETED ? problem_make(PROBLEM_DELETED, "it was deleted while this call waited")
                                  : problem_make(PROBLEM_OWNER_ENDED,
                                                 "the caller's process or session has ended");
    answer_problem(call->request, problem);
}
