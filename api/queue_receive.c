/*
 * Receiving from a queue: leases or takes what is ready, or waits for the first message.
 *
 * The answer is written when the messages are granted, and sent when that is stored (at once, where the
 * queue is kept in memory only). A client that has gone meanwhile, or that the answer could not be sent
 * to, has got nothing: leases are undone, what was taken is put back.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "api/idempotency.h"
#include "api/param_value.h"
#include "api/payload.h"
#include "api/queues.h"
#include "service/queue.h"

#define RECEIVE_MAX 1000

struct receive_call {
    struct claim_call call;
    struct claim claim;
    struct receive_order order;
    size_t max;
    bool raw;                          /* the body as it is, the rest in headers */
    bool has_lease;
    int64_t lease_us;
    char name[OBJECT_NAME_BYTES];      /* of the queue, which may be deleted meanwhile */
    int64_t num;
    struct text body;
    char content_type[MESSAGE_TYPE_BYTES + 1];
    struct fact_id one, *holds;        /* granted; by id: they may have ended meanwhile */
    size_t count;                      /* received */
    struct message *taken;             /* a chain, ours until the answer goes */
};

static struct service *service_of(const struct receive_call *call)
{
    return &request_app(call->call.request)->service;
}

/* ---- taking back ---- */

static void undo_leases(struct receive_call *call)
{
    for (size_t i = 0; i < call->count && call->holds; i++) {
        struct hold *hold = hold_find(service_of(call), &call->holds[i]);
        if (hold) {
            queue_lease_undo(hold);
        }
    }
    call->count = 0;
}

static void undo_takes(struct receive_call *call)
{
    struct object *object = object_find(service_of(call), OBJECT_QUEUE, call->name);
    struct message *next;
    bool there = object && object->num == call->num;
    for (struct message *at = call->taken; at && there; at = next) {
        next = at->next;
        queue_put_back((struct queue *)object, at);
    }
    if (!there) {
        queue_drop(service_of(call), call->taken);
    }
    call->taken = NULL;
}

static void undo(struct claim_call *claim_call)
{
    struct receive_call *call = (struct receive_call *)claim_call;
    text_free(&call->body);
    if (call->order.take) {
        undo_takes(call);
    } else {
        undo_leases(call);
    }
}

/* ---- answers ---- */

static void respond_nothing(const struct receive_call *call)
{
    struct text body = {0};
    if (call->raw) {
        answer_empty(call->call.request, 204);
        return;
    }
    text_put(&body, "{\"messages\":[]}");
    answer_json(call->call.request, 200, &body);
}

static void respond_drained(struct request *request, const struct object *object)
{
    answer_problem(request, problem_make(PROBLEM_CLOSED_FOR_GOOD,
                                         "%s is closed, and nothing is left in it",
                                         object->resource));
}

static void answer_received(struct claim_call *claim_call)
{
    struct receive_call *call = (struct receive_call *)claim_call;
    queue_drop(service_of(call), call->taken);
    call->taken = NULL;
    if (call->raw) {
        answer_text(claim_call->request, 200, call->content_type, &call->body);
    } else {
        answer_json(claim_call->request, 200, &call->body);
    }
}

static void write_json(struct receive_call *call, const struct message *message)
{
    const struct hold *hold = message->hold;
    struct text *body = &call->body;
    char id[ID_TEXT_BYTES];
    id_format(&message->id, 'm', id);
    text_json_comma(body);
    text_put(body, "{\"id\":\"");
    text_put(body, id);
    text_put(body, "\",\"hold\":");
    text_json_string(body, hold ? hold->id_text : NULL);
    text_put(body, ",\"fence\":");
    if (hold) {
        text_unsigned(body, hold->fence);
    } else {
        text_put(body, "null");
    }
    text_put(body, ",\"lease_expires_at\":");
    text_json_time(body, hold ? hold->expires_at_us : 0);
    text_put(body, ",\"attempt\":");
    text_unsigned(body, message->attempts);
    text_put(body, ",\"priority\":");
    text_number(body, message->priority);
    text_put(body, ",\"enqueued_at\":");
    text_json_time(body, message->enqueued_at_us);
    message_write_body(body, message);
    text_putc(body, '}');
}

static void number_header(struct request *request, const char *name, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    answer_header(request, name, text);
}

static void write_raw(struct receive_call *call, const struct message *message)
{
    struct request *request = call->call.request;
    const char *type = message_content_type(message);
    char text[32];
    id_format(&message->id, 'm', text);
    answer_header(request, "X-Message-Id", text);
    time_format(message->enqueued_at_us, text);
    answer_header(request, "X-Enqueued-At", text);
    number_header(request, "X-Attempt", message->attempts);
    number_header(request, "X-Priority", message->priority);
    if (message->hold) {
        answer_header(request, "X-Hold", message->hold->id_text);
        number_header(request, "X-Fence", (int64_t)message->hold->fence);
    }
    snprintf(call->content_type, sizeof call->content_type, "%s", type ? type : PAYLOAD_TYPE);
    text_room(&call->body, 1);
    text_add(&call->body, message_body(message), message->body_bytes);
}

/* ---- receiving ---- */

static void keep(struct receive_call *call, struct message *message, struct message ***end)
{
    if (call->order.take) {
        **end = message;
        *end = &message->next;
    } else {
        call->holds[call->count] = message->hold->id;
    }
    call->count++;
}

/* Room for what can be granted in this call. */
static bool make_room(struct receive_call *call, const struct queue *queue)
{
    size_t most = call->max < queue->ready.count ? call->max : queue->ready.count;
    call->holds = most <= 1 ? &call->one
                            : request_alloc(call->call.request, most * sizeof *call->holds);
    call->max = most;
    return call->holds != NULL;
}

static void collect(struct receive_call *call, struct queue *queue, struct problem **problem)
{
    struct message *message, **end = &call->taken;
    size_t bytes = 0;
    text_put(&call->body, call->raw ? "" : "{\"messages\":[");
    while (call->count < call->max && bytes < QUEUE_RECEIVE_BYTES &&
           (message = queue_receive(queue, &call->order, problem))) {
        if (call->raw) {
            write_raw(call, message);
        } else {
            write_json(call, message);
        }
        bytes += message->body_bytes;
        keep(call, message, &end);
    }
    text_put(&call->body, call->raw ? "" : "]}");
}

static void not_sent(struct request *request, void *context, bool ok)
{
    struct receive_call *call = context;
    if (!ok && !request_idempotent(request)) {
        undo(&call->call);
        request_keep(request);
    }
}

static void respond_received(struct receive_call *call, const struct queue *queue)
{
    if (call->body.failed) {
        undo(&call->call);
        respond_no_memory(call->call.request);
    } else if (queue->object.durable) {
        claim_call_stored(&call->call);
    } else {
        if (!call->order.take) {
            http_on_sent(call->call.request, not_sent, call);
        }
        answer_received(&call->call);
    }
}

/* It is this call's turn. The queue is served by the caller. */
static void receive(struct receive_call *call, struct queue *queue)
{
    struct problem *problem = NULL;
    if (!make_room(call, queue)) {
        respond_no_memory(call->call.request);
        return;
    }
    collect(call, queue, &problem);
    if (call->count) {
        problem_free(problem);         /* what there is, is there */
        respond_received(call, queue);
        return;
    }
    text_free(&call->body);
    if (problem) {
        answer_problem(call->call.request, problem);
    } else {
        respond_nothing(call);
    }
}

static void ended(struct claim_call *claim_call, enum claim_result result)
{
    struct receive_call *call = (struct receive_call *)claim_call;
    struct object *object = claim_call->claim->object;
    if (result == CLAIM_GRANTED) {
        receive(call, (struct queue *)object);
    } else if (result == CLAIM_TIMED_OUT) {
        respond_nothing(call);
    } else if (result == CLAIM_CLOSED) {
        respond_drained(claim_call->request, object);
    } else {
        answer_claim_failed(claim_call, result);
    }
}

/* ---- the request ---- */

static void read_mode(struct problem **problem, const char *text, bool *take)
{
    if (text && strcmp(text, "take") == 0) {
        *take = true;
    } else if (text && strcmp(text, "lease") != 0) {
        param_refuse(problem, "mode", "must be lease or take");
    }
}

static void read_lease(struct problem **problem, struct receive_call *call)
{
    call->has_lease = request_param_seconds(call->call.request, "lease", &call->lease_us);
    if (call->has_lease && call->order.take) {
        param_refuse(problem, "lease", "makes no sense for a message that is taken");
    } else if (call->has_lease && call->lease_us == 0 &&
               call->order.owner.kind != PARENT_PROCESS) {
        param_refuse(problem, "lease", "must be more than 0: only a process holds without limit");
    }
}

static struct problem *read_form(struct receive_call *call)
{
    struct problem *problem = payload_form(call->call.request, &call->raw);
    if (!problem && call->raw && call->max > 1) {
        param_refuse(&problem, "max", "must be 1 where the answer is the raw body");
    }
    return problem;
}

static struct problem *read_request(struct receive_call *call)
{
    static const struct field nothing[] = {{0}};
    struct request *request = call->call.request;
    uint64_t max = 1;
    struct problem *problem = request_take_faults(request);
    call->order.owner = request_owner(request);
    param_unsigned(&problem, "max", request_param(request, "max"), 1, RECEIVE_MAX, &max);
    read_mode(&problem, request_param(request, "mode"), &call->order.take);
    read_lease(&problem, call);
    call->max = (size_t)max;
    problem = problem ? problem : read_form(call);
    return problem ? problem : schema_check(request_json(request), nothing);
}

/* How long a lease lasts: as asked for, as the queue says, or as its owner needs. */
static int64_t lease_of(const struct receive_call *call, const struct queue *queue)
{
    if (call->has_lease) {
        return call->lease_us;
    }
    if (queue->lease_us) {
        return queue->lease_us;
    }
    return call->order.owner.kind == PARENT_PROCESS ? 0 : QUEUE_LEASE_STANDARD_US;
}

static void begin(struct receive_call *call, struct queue *queue)
{
    struct request *request = call->call.request;
    int64_t deadline_us = request_patience(request, 0);
    call->order.lease_us = lease_of(call, queue);
    call->num = queue->object.num;
    memcpy(call->name, queue->object.name, sizeof call->name);
    call->claim.owner = call->order.owner;
    call->call.claim = &call->claim;
    if (queue->ready.count) {
        receive(call, queue);
        queue_serve(queue);
    } else if (queue_drained(queue)) {
        respond_drained(request, &queue->object);
    } else if (deadline_us == 0) {
        respond_nothing(call);
    } else {
        claim_call_park(&call->call, &queue->receivers, &queue->object, deadline_us);
    }
}

void handle_receive(struct request *request)
{
    struct receive_call *call = request_alloc(request, sizeof *call);
    if (!call) {
        respond_no_memory(request);
        return;
    }
    call->call = (struct claim_call){.request = request, .asks = true, .ended = ended,
                                     .answer = answer_received, .undo = undo};
    struct problem *problem = read_request(call);
    struct queue *queue = problem ? NULL : request_queue_to_change(request);
    if (problem) {
        answer_problem(request, problem);
    } else if (queue) {
        begin(call, queue);
    }
}
