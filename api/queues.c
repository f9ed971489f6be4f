/*
 * Queues: their configuration, looking into them, purge, kick, close, join. Putting is in queue_put.c,
 * receiving in queue_receive.c.
 */
#include "api/queues.h"

#include <string.h>

#include "api/handlers.h"
#include "api/page.h"
#include "api/param_value.h"
#include "service/queue.h"

#define MOST_NUMBER 9007199254740991.0 /* what every JSON reader can hold */
#define SHOWN_BODY_BYTES (64u << 10)   /* a larger body is not shown in a list */
#define SHOWN_BODIES_BYTES (1u << 20)  /* and no more in one page */
#define KICK_MAX 1e9

const struct field queue_fields[] = {
    {.name = "max_messages", .type = FIELD_INTEGER | FIELD_NULL, .min = 0, .max = MOST_NUMBER},
    {.name = "max_bytes", .type = FIELD_INTEGER | FIELD_NULL, .min = 0, .max = MOST_NUMBER},
    {.name = "max_attempts", .type = FIELD_INTEGER | FIELD_NULL, .min = 0, .max = 1e9},
    {.name = "lease_seconds", .type = FIELD_NUMBER | FIELD_NULL, .min = 0.001,
     .max = 366.0 * 86400},
    {0}};

struct queue *request_queue(struct request *request)
{
    return (struct queue *)request_object(request);
}

struct queue *request_queue_to_change(struct request *request)
{
    struct queue *queue = request_queue(request);
    bool stored = queue && queue->object.durable;
    return !stored || request_can_store(request) ? queue : NULL;
}

static void respond_changed(struct request *request, const struct queue *queue, struct text *body)
{
    if (queue->object.durable) {
        respond_when_stored(request, 200, body);
    } else {
        answer_json(request, 200, body);
    }
}

/* ---- looking ---- */

/* A set of bits 1 << state; `standard` when there is no such key. */
static unsigned read_states(struct request *request, unsigned standard, struct problem **problem)
{
    const char *at = request_param(request, "state"), *item;
    unsigned states = at ? 0 : standard;
    size_t bytes;
    while ((item = param_list_next(&at, &bytes))) {
        enum message_state state;
        if (message_state_from_name(item, bytes, &state)) {
            states |= 1u << state;
        } else {
            param_refuse(problem, "state", "must be of ready, delayed, leased, buried");
            return 0;
        }
    }
    return states;
}

static bool holds_any(const struct queue *queue, unsigned states)
{
    for (int state = 0; state < MESSAGE_STATES; state++) {
        if (queue->counts[state] && states & 1u << state) {
            return true;
        }
    }
    return false;
}

static void write_page(struct text *body, const struct queue *queue, const struct page *page,
                       unsigned states)
{
    const struct message *at = page->goes_on ? queue_after(queue, &page->after) : queue->first;
    const struct message *last = NULL;
    size_t shown = 0, bytes = 0;
    text_put(body, "{\"items\":[");
    for (; at && shown < page->limit && holds_any(queue, states); at = at->next) {
        if (!(states & 1u << at->state)) {
            continue;
        }
        bool with_body = at->body_bytes <= SHOWN_BODY_BYTES &&
                         bytes + at->body_bytes <= SHOWN_BODIES_BYTES;
        bytes += with_body ? at->body_bytes : 0;
        text_json_comma(body);
        queue_message_json(body, at, with_body);
        last = at;
        shown++;
    }
    page_end(body, page, at && last ? &last->id : NULL);
}

void handle_list_messages(struct request *request)
{
    struct text body = {0};
    struct page page = {0};
    struct problem *problem = request_take_faults(request);
    unsigned states = read_states(request, ~0u, &problem);
    struct queue *queue = problem ? NULL : request_queue(request);
    if (queue) {
        uint64_t hash = page_hash(PAGE_HASH_START, &queue->object.num, sizeof queue->object.num);
        problem = page_from_request(request, page_hash(hash, &states, sizeof states), &page);
    }
    if (problem) {
        answer_problem(request, problem);
    } else if (queue) {
        write_page(&body, queue, &page, states);
        answer_json(request, 200, &body);
    }
}

void handle_get_message(struct request *request)
{
    size_t bytes;
    struct fact_id id;
    struct text body = {0};
    struct queue *queue = request_queue(request);
    const char *text = request_segment(request, 1, &bytes);
    const struct message *message =
        queue && id_parse(text, bytes, 'm', &id) ? queue_find(queue, &id) : NULL;
    if (message) {
        queue_message_json(&body, message, true);
        answer_json(request, 200, &body);
    } else if (queue) {
        answer_problem(request, problem_make(PROBLEM_NOT_FOUND, "there is no message %.64s in %s",
                                             text, queue->object.resource));
    }
}

/* ---- changing ---- */

static void respond_count(struct request *request, const struct queue *queue, const char *key,
                          size_t count)
{
    struct text body = {0};
    text_putc(&body, '{');
    text_json_key(&body, key);
    text_unsigned(&body, count);
    text_putc(&body, '}');
    respond_changed(request, queue, &body);
}

/* Leased ones only when they are named. */
void handle_purge_messages(struct request *request)
{
    unsigned standard = 1u << MESSAGE_READY | 1u << MESSAGE_DELAYED | 1u << MESSAGE_BURIED;
    struct owner owner = request_owner(request);
    struct problem *problem = request_take_faults(request);
    unsigned states = read_states(request, standard, &problem);
    struct queue *queue = problem ? NULL : request_queue_to_change(request);
    if (problem) {
        answer_problem(request, problem);
    } else if (queue) {
        respond_count(request, queue, "purged", queue_purge(queue, states, &owner));
    }
}

void handle_kick_queue(struct request *request)
{
    static const struct field fields[] = {
        {.name = "max", .type = FIELD_INTEGER | FIELD_NULL, .min = 1, .max = KICK_MAX}, {0}};
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, fields);
    struct queue *queue = problem ? NULL : request_queue_to_change(request);
    if (problem) {
        answer_problem(request, problem);
    } else if (queue) {
        size_t max = (size_t)field_integer(body, "max", (int64_t)KICK_MAX);
        respond_count(request, queue, "kicked", queue_kick(queue, max));
    }
}

void handle_close_queue(struct request *request)
{
    static const struct field fields[] = {
        {.name = "immediate", .type = FIELD_BOOL | FIELD_NULL}, {0}};
    struct text answer = {0};
    const json_t *body = request_json(request);
    struct problem *problem = schema_check(body, fields);
    struct queue *queue = problem ? NULL : request_queue_to_change(request);
    if (problem) {
        answer_problem(request, problem);
    } else if (queue) {
        queue_close(queue, field_bool(body, "immediate", false));
        object_json(&answer, &queue->object);
        respond_changed(request, queue, &answer);
    }
}

/* ---- join ---- */

struct join_call {
    struct claim_call call;
    struct claim claim;
    struct text body;
};

static void respond_joined(struct claim_call *claim_call)
{
    struct join_call *call = (struct join_call *)claim_call;
    answer_json(claim_call->request, 200, &call->body);
}

static void drop_answer(struct claim_call *claim_call)
{
    text_free(&((struct join_call *)claim_call)->body);
}

/* The end of the last message is told when it is stored. */
static void join_ended(struct claim_call *claim_call, enum claim_result result)
{
    struct join_call *call = (struct join_call *)claim_call;
    const struct object *object = claim_call->claim->object;
    if (result != CLAIM_GRANTED && result != CLAIM_TIMED_OUT) {
        answer_claim_failed(claim_call, result);
        return;
    }
    object_json(&call->body, object);
    if (result == CLAIM_GRANTED && object->durable) {
        claim_call_stored(claim_call);
    } else {
        respond_joined(claim_call);
    }
}

void handle_join_queue(struct request *request)
{
    int64_t deadline_us = request_patience(request, JOIN_STANDARD_US);
    struct queue *queue = request_queue(request);
    struct join_call *call = queue ? request_alloc(request, sizeof *call) : NULL;
    if (!queue) {
        return;
    }
    if (!call) {
        respond_no_memory(request);
        return;
    }
    call->claim.owner = request_owner(request);
    call->call = (struct claim_call){.claim = &call->claim, .request = request,
                                     .ended = join_ended, .answer = respond_joined,
                                     .undo = drop_answer};
    if (queue_unfinished(queue) == 0 || deadline_us == 0) {
        object_json(&call->body, &queue->object);
        respond_joined(&call->call);
    } else {
        claim_call_park(&call->call, &queue->joiners, &queue->object, deadline_us);
    }
}
