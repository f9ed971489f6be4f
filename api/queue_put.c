/*
 * Putting into a queue: one message (the body is the payload, of any type), or a batch.
 *
 * What fits is in at once; else the call waits behind those that came before, with its messages made
 * already. Into a durable queue a message is put when the answer says so: it is on the disk.
 */
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/coordination.h"
#include "api/handlers.h"
#include "api/param_value.h"
#include "api/payload.h"
#include "api/queues.h"
#include "service/queue.h"
#include "service/spec.h"

#define BATCH_MAX 1000
#define PRIORITY_MAX 2147483647
#define MOST_SECONDS (366.0 * 86400)

struct put_call {
    struct claim_call call;
    struct queue_putter putter;
    struct text body;                  /* the answer */
    bool batch;
};

/* ---- the answer ---- */

static void write_answer(struct text *body, const struct queue_putter *putter, bool batch)
{
    const struct message *at = putter->first;
    text_put(body, batch ? "{\"messages\":[" : "");
    for (size_t i = 0; i < putter->count; i++, at = at->next) {
        text_json_comma(body);
        text_putc(body, '{');
        message_write_head(body, at);
        text_putc(body, '}');
    }
    text_put(body, batch ? "]}" : "");
}

/* The one message, or of a batch where they all are. */
static void set_location(struct request *request, const struct queue *queue,
                         const struct queue_putter *putter, bool batch)
{
    char location[OBJECT_NAME_BYTES + 80], id[ID_TEXT_BYTES] = "";
    if (!batch) {
        id_format(&putter->first->id, 'm', id);
    }
    snprintf(location, sizeof location, "/v1/%s/messages%s%s", queue->object.resource,
             batch ? "" : "/", id);
    answer_header(request, "Location", location);
}

static void respond_put(struct request *request, struct queue *queue,
                        const struct queue_putter *putter, bool batch)
{
    struct text body = {0};
    write_answer(&body, putter, batch);
    set_location(request, queue, putter, batch);
    queue_serve(queue);
    if (queue->object.durable) {
        respond_when_stored(request, 201, &body);
    } else {
        answer_json(request, 201, &body);
    }
}

/* ---- waiting for room ---- */

static void answer_put(struct claim_call *claim_call)
{
    struct put_call *call = (struct put_call *)claim_call;
    answer_json(call->call.request, 201, &call->body);
}

/* Served by the queue, which goes on to who waits for messages when this has returned. */
static void let_in(struct put_call *call, const struct queue *queue)
{
    write_answer(&call->body, &call->putter, call->batch);
    set_location(call->call.request, queue, &call->putter, call->batch);
    if (queue->object.durable) {
        claim_call_stored(&call->call);
    } else {
        answer_put(&call->call);
    }
}

static void ended(struct claim_call *claim_call, enum claim_result result)
{
    struct put_call *call = (struct put_call *)claim_call;
    const struct queue *queue = (const struct queue *)claim_call->claim->object;
    if (result == CLAIM_GRANTED) {
        let_in(call, queue);
    } else if (result == CLAIM_TIMED_OUT) {
        answer_problem(claim_call->request, queue_full_problem(queue));
    } else if (result == CLAIM_CLOSED) {
        answer_problem(claim_call->request,
                       problem_make(PROBLEM_CLOSED, "%s was closed", queue->object.resource));
    } else {
        answer_claim_failed(claim_call, result);
    }
}

/* However the call has ended: what did not get in goes. */
static void clean_up(struct request *request, void *context, bool ok)
{
    struct put_call *call = context;
    (void)ok;
    if (!call->putter.in) {
        queue_drop(&request_app(request)->service, call->putter.first);
    }
    text_free(&call->body);
}

static void wait_for_room(struct request *request, struct queue *queue,
                          const struct queue_putter *putter, bool batch)
{
    struct put_call *call = request_alloc(request, sizeof *call);
    if (!call || !http_on_sent(request, clean_up, call)) {
        queue_drop(&request_app(request)->service, putter->first);
        respond_no_memory(request);
        return;
    }
    call->putter = *putter;
    call->batch = batch;
    call->putter.claim.owner = request_owner(request);
    call->call = (struct claim_call){.claim = &call->putter.claim, .request = request,
                                     .asks = true, .ended = ended, .answer = answer_put};
    claim_call_park(&call->call, &queue->putters, &queue->object, request_patience(request, 0));
}

/* Takes the putter's messages. */
static void put(struct request *request, struct queue *queue, struct queue_putter *putter,
                bool batch)
{
    struct problem *problem = queue_put(queue, putter);
    if (!problem && !putter->in && request_patience(request, 0)) {
        wait_for_room(request, queue, putter, batch);
        return;
    }
    if (!problem && putter->in) {
        respond_put(request, queue, putter, batch);
        return;
    }
    queue_drop(&request_app(request)->service, putter->first);
    answer_problem(request, problem ? problem : queue_full_problem(queue));
}

/* ---- one message ---- */

struct put_order {
    int64_t priority, delay_us, ttl_us;
};

static void read_priority(struct problem **problem, const char *text, int64_t *out)
{
    char *end;
    if (!text) {
        return;
    }
    long value = strtol(text, &end, 10);
    bool number = (*text == '-' || (*text >= '0' && *text <= '9')) && end > text && !*end;
    if (number && value >= -PRIORITY_MAX && value <= PRIORITY_MAX) {
        *out = value;
    } else {
        param_refuse(problem, "priority", "must be a whole number from %d to %d", -PRIORITY_MAX,
                     PRIORITY_MAX);
    }
}

static struct problem *read_query(struct request *request, struct put_order *out)
{
    struct problem *problem = request_take_faults(request);
    *out = (struct put_order){0};
    read_priority(&problem, request_param(request, "priority"), &out->priority);
    request_param_seconds(request, "delay", &out->delay_us);
    if (request_param_seconds(request, "ttl", &out->ttl_us) && out->ttl_us <= 0) {
        param_refuse(&problem, "ttl", "must be more than 0 seconds");
    }
    return problem;
}

void handle_put_message(struct request *request)
{
    struct put_order order;
    struct message_content content = {.content_type = request_header(request, "Content-Type")};
    struct queue_putter putter = {.count = 1};
    struct problem *problem = read_query(request, &order);
    content.body = request_body(request, &content.body_bytes);
    problem = problem ? problem : payload_check(request, &content);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct queue *queue = request_queue_to_change(request);
    if (!queue) {
        return;
    }
    putter.first = queue_message_new(&request_app(request)->service, &content, &problem);
    if (!putter.first) {
        answer_problem(request, problem);
        return;
    }
    putter.bytes = content.body_bytes;
    putter.first->priority = order.priority;
    putter.first->delay_us = order.delay_us;
    putter.first->ttl_us = order.ttl_us;
    put(request, queue, &putter, false);
}

/* ---- a batch ---- */

static const char *must_be_type(const json_t *value)
{
    for (const char *at = json_string_value(value); *at; at++) {
        if (*at < ' ' || *at > '~') {
            return "a content type: visible ASCII";
        }
    }
    return NULL;
}

static const struct field item_fields[] = {
    {.name = "body", .type = FIELD_ANY},
    {.name = "body_base64", .type = FIELD_STRING},
    {.name = "content_type", .type = FIELD_STRING | FIELD_NULL, .min = 1,
     .max = MESSAGE_TYPE_BYTES, .check = must_be_type},
    {.name = "priority", .type = FIELD_INTEGER | FIELD_NULL, .min = -PRIORITY_MAX,
     .max = PRIORITY_MAX},
    {.name = "delay", .type = FIELD_NUMBER | FIELD_NULL, .min = 0, .max = MOST_SECONDS},
    {.name = "ttl", .type = FIELD_NUMBER | FIELD_NULL, .min = 1e-6, .max = MOST_SECONDS},
    {0}};
static const struct field one_message = {
    .name = "message", .type = FIELD_OBJECT, .fields = item_fields};
static const struct field batch_fields[] = {
    {.name = "messages", .type = FIELD_ARRAY, .required = true, .min = 1, .max = BATCH_MAX,
     .items = &one_message},
    {0}};

struct payload {                       /* of one item */
    struct message_content content;
    void *owned;                       /* freed after use */
    const char *fault;                 /* what is wrong with it, or NULL */
    const char *where;                 /* of the fault: "", "/body_base64" */
};

static void read_base64(const char *text, struct payload *out)
{
    if (!base64_decode(text, strlen(text), &out->owned, &out->content.body_bytes)) {
        out->fault = "It must be base64.";
        out->where = "/body_base64";
    }
    out->content.body = out->owned;
}

/* A string of a type that is not JSON is the payload itself; everything else is written as JSON. */
static void read_body(const json_t *body, struct payload *out)
{
    const char *type = out->content.content_type;
    if (type && !message_type_is_json(type)) {
        out->content.body = json_string_value(body);
        out->content.body_bytes = json_string_length(body);
        if (!json_is_string(body)) {
            out->fault = "It must be a string, as the content type is not JSON.";
            out->where = "/body";
        }
        return;
    }
    out->content.content_type = type ? type : "application/json";
    out->owned = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
    out->content.body = out->owned;
    out->content.body_bytes = out->owned ? strlen(out->owned) : 0;
}

static struct payload read_item(const json_t *item)
{
    const json_t *body = json_object_get(item, "body");
    const char *base64 = field_text(item, "body_base64", NULL);
    struct payload payload = {.content.content_type = field_text(item, "content_type", NULL)};
    if (!body == !base64) {
        payload.fault = "It must have either body or body_base64.";
        payload.where = "";
    } else if (base64) {
        read_base64(base64, &payload);
    } else {
        read_body(body, &payload);
    }
    return payload;
}

static struct problem *add_fault(struct problem *problem, size_t index,
                                 const struct payload *payload)
{
    char pointer[64];
    if (problem && problem->fault_count >= SCHEMA_FAULTS) {
        return problem;
    }
    snprintf(pointer, sizeof pointer, "/messages/%zu%s", index, payload->where);
    return problem_add(problem, PROBLEM_INVALID_VALUE, FAULT_POINTER, pointer, "%s",
                       payload->fault);
}

static struct problem *add_message(struct request *request, const json_t *item,
                                   const struct message_content *content,
                                   struct queue_putter *putter, struct message ***end)
{
    struct problem *problem = payload_check(request, content);
    struct message *message =
        problem ? NULL
                : queue_message_new(&request_app(request)->service, content, &problem);
    if (message) {
        message->priority = field_integer(item, "priority", 0);
        message->delay_us = field_seconds_us(item, "delay", 0);
        message->ttl_us = field_seconds_us(item, "ttl", 0);
        putter->bytes += content->body_bytes;
        putter->count++;
        **end = message;
        *end = &message->next;
    }
    return problem;
}

/* All faults of all items are told; without any, all messages are made. */
static struct problem *read_batch(struct request *request, struct queue_putter *putter)
{
    const json_t *items = json_object_get(request_json(request), "messages");
    struct problem *faults = NULL, *problem = NULL;
    struct message **end = &putter->first;
    for (size_t i = 0; i < json_array_size(items) && !problem; i++) {
        const json_t *item = json_array_get(items, i);
        struct payload payload = read_item(item);
        if (payload.fault) {
            faults = add_fault(faults, i, &payload);
        } else if (!payload.content.body) {
            problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a message");
        } else if (!faults) {
            problem = add_message(request, item, &payload.content, putter, &end);
        }
        free(payload.owned);
    }
    if (faults) {
        problem_free(problem);
    }
    return faults ? faults : problem;
}

void handle_put_batch(struct request *request)
{
    struct queue_putter putter = {0};
    struct problem *problem = schema_check(request_json(request), batch_fields);
    if (problem) {
        answer_problem(request, problem);
        return;
    }
    struct queue *queue = request_queue_to_change(request);
    if (!queue) {
        return;
    }
    problem = read_batch(request, &putter);
    if (problem) {
        queue_drop(&request_app(request)->service, putter.first);
        answer_problem(request, problem);
    } else {
        put(request, queue, &putter, true);
    }
}
