/*
 * Queues; see queue.h. The messages' states and places are in queue_list.c, the ends of leases in
 * queue_lease.c, what a queue is as an object in queue_type.c.
 */
#include "service/queue.h"

#include "service/queue_internal.h"
#include "service/service.h"

/* ---- putting ---- */

static bool has_room(const struct queue *queue, const struct queue_putter *putter)
{
    uint64_t waiting = queue->counts[MESSAGE_READY] + queue->counts[MESSAGE_DELAYED];
    return (!queue->max_messages || waiting + putter->count <= queue->max_messages) &&
           (!queue->max_bytes || queue->waiting_bytes + putter->bytes <= queue->max_bytes);
}

struct problem *queue_full_problem(const struct queue *queue)
{
    struct problem *problem = problem_make(
        PROBLEM_FULL, "%s is full: %zu messages with %llu bytes wait", queue->object.resource,
        queue->counts[MESSAGE_READY] + queue->counts[MESSAGE_DELAYED],
        (unsigned long long)queue->waiting_bytes);
    problem->retry_after_seconds = 1;
    return problem;
}

static struct problem *refuse_put(const struct queue *queue, const struct queue_putter *putter)
{
    if (queue->closed) {
        return problem_make(PROBLEM_CLOSED, "%s is closed", queue->object.resource);
    }
    if (!putter->beyond && ((queue->max_messages && putter->count > queue->max_messages) ||
                            (queue->max_bytes && putter->bytes > queue->max_bytes))) {
        return problem_make(PROBLEM_PAYLOAD_TOO_LARGE, "%s never has room for that much",
                            queue->object.resource);
    }
    return queue->object.durable ? recorder_refuses(queue_service(queue)->recorder) : NULL;
}

static void stamp(struct queue *queue, struct message *message, int64_t now_us)
{
    message->id = id_make();
    message->seq = ++queue_service(queue)->queues.last_seq;
    message->enqueued_at_us = now_us;
    message->expires_at_us = message->ttl_us ? time_steady_us() + message->ttl_us : 0;
    message->ready_at_us = message->delay_us ? time_steady_us() + message->delay_us : 0;
    message->state = message->delay_us ? MESSAGE_DELAYED : MESSAGE_READY;
    message->delay_us = 0;
}

/* All or nothing. */
static struct problem *put_in(struct queue *queue, struct queue_putter *putter)
{
    int64_t now_us = time_now_us();
    for (struct message *at = putter->first; at; at = at->next) {
        stamp(queue, at, now_us);
        if (!queue_prepare(queue, at)) {
            for (struct message *done = putter->first; done != at; done = done->next) {
                id_map_remove(&queue->by_id, &done->id);
            }
            return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a message");
        }
    }
    for (struct message *at = putter->first, *next; at; at = next) {
        next = at->next;
        queue_enter(queue, at, queue->last);
        if (queue->object.durable) {
            queue_must(message_store(queue_batch(queue), at));
        }
    }
    putter->in = true;
    queue->put_total += putter->count;
    queue_service(queue)->queues.put_total += putter->count;
    object_touch(&queue->object);
    queue_store_durably(queue);
    return NULL;
}

struct problem *queue_put(struct queue *queue, struct queue_putter *putter)
{
    struct problem *problem = refuse_put(queue, putter);
    if (!problem && (putter->beyond || (!queue->putters.count && has_room(queue, putter)))) {
        problem = put_in(queue, putter);
    }
    return problem;
}

/* ---- receiving ---- */

static struct message *first_ready(struct queue *queue)
{
    while (queue->ready.count && message_has_expired(queue->ready.items[0])) {
        queue_expire(queue, queue->ready.items[0]);
    }
    return queue->ready.count ? queue->ready.items[0] : NULL;
}

static struct message *take(struct queue *queue, struct message *message)
{
    queue_leave(queue, message);
    queue_store_delete(queue, message);
    queue_store_durably(queue);
    message->attempts++;
    queue->taken_total++;
    return message;
}

static struct message *lease(struct queue *queue, struct message *message,
                             const struct receive_order *order, struct problem **problem)
{
    struct hold_request request = {
        .kind = HOLD_MESSAGE, .object = &queue->object, .owner = order->owner,
        .ttl_us = order->lease_us, .item = message, .item_num = message->seq,
        .durable = queue->object.durable};
    struct hold *hold = hold_grant(queue_service(queue), &request, problem);
    if (!hold) {
        return NULL;
    }
    queue_leave_state(queue, message);
    message->hold = hold;
    message->attempts++;
    queue_enter_state(queue, message, MESSAGE_LEASED);
    queue_store_change(queue, message);
    return message;
}

struct message *queue_receive(struct queue *queue, const struct receive_order *order,
                              struct problem **problem)
{
    struct message *message = first_ready(queue);
    if (!message) {
        return NULL;
    }
    return order->take ? take(queue, message) : lease(queue, message, order, problem);
}

static struct message *place_of(const struct queue *queue, const struct message *message)
{
    struct message *before = NULL;
    for (struct message *at = queue->first; at && at->seq < message->seq; at = at->next) {
        before = at;
    }
    return before;
}

void queue_put_back(struct queue *queue, struct message *message)
{
    if (queue->cut || !queue_prepare(queue, message)) {
        queue_message_free(queue_service(queue), message);
        return;
    }
    message->state = MESSAGE_READY;
    message->attempts--;
    queue_enter(queue, message, place_of(queue, message));
    if (queue->object.durable) {
        queue_must(message_store(queue_batch(queue), message));
    }
    queue->taken_total--;
    object_touch(&queue->object);
    queue_serve(queue);
}

/* ---- serving ---- */

static bool serve_receiver(struct queue *queue)
{
    if (!queue->receivers.first || !first_ready(queue)) {
        return false;
    }
    struct claim *claim = claim_first(&queue->receivers);
    if (!claim_is_gone(claim)) {
        claim_finish(claim, CLAIM_GRANTED);
    }
    return true;
}

static bool serve_putter(struct queue *queue)
{
    struct queue_putter *putter = (struct queue_putter *)claim_first(&queue->putters);
    if (!putter || !has_room(queue, putter)) {
        return false;
    }
    if (claim_is_gone(&putter->claim)) {
        return true;
    }
    claim_cancel(&putter->claim);
    putter->claim.problem = put_in(queue, putter);
    claim_finish(&putter->claim, putter->claim.problem ? CLAIM_FAILED : CLAIM_GRANTED);
    return true;
}

static void serve_later(struct queue *queue)
{
    struct queue_totals *totals = &queue_service(queue)->queues;
    if (!queue->owed) {
        queue->owed = true;
        queue->next_owed = totals->owed;
        totals->owed = queue;
    }
}

void queues_hold_back(struct service *service)
{
    service->queues.held_back = true;
}

/* Deleted ones are freed at the end of the turn. */
void queues_go_on(struct service *service)
{
    struct queue *queue;
    service->queues.held_back = false;
    while ((queue = service->queues.owed)) {
        service->queues.owed = queue->next_owed;
        queue->owed = false;
        queue_serve(queue);
    }
}

void queue_serve(struct queue *queue)
{
    if (queue->serving) {
        return;                        /* whoever does it further up goes on */
    }
    if (queue_service(queue)->queues.held_back) {
        serve_later(queue);
        return;
    }
    queue->serving = true;
    while (!queue->object.deleted && (serve_receiver(queue) || serve_putter(queue))) {
    }
    if (!queue->object.deleted && queue_unfinished(queue) == 0) {
        claims_finish_all(&queue->joiners, CLAIM_GRANTED);
    }
    if (!queue->object.deleted && queue_drained(queue)) {
        claims_finish_all(&queue->receivers, CLAIM_CLOSED);
    }
    if (queue->ready.count || queue_drained(queue)) {
        object_ready(&queue->object);
    }
    queue->serving = false;
}

void queue_claim_left(struct object *object)
{
    queue_serve((struct queue *)object);
}

size_t queue_unfinished(const struct queue *queue)
{
    return queue->counts[MESSAGE_READY] + queue->counts[MESSAGE_DELAYED] +
           queue->counts[MESSAGE_LEASED];
}

bool queue_drained(const struct queue *queue)
{
    return queue->closed && (queue->cut || queue_unfinished(queue) == 0);
}

/* ---- what an admin does ---- */

void queue_close(struct queue *queue, bool immediate)
{
    if (!queue->closed) {
        queue->closed = true;
        service_change(queue_service(queue), "queue.closed", queue->object.name, NULL);
    }
    queue->cut = queue->cut || immediate;
    object_touch(&queue->object);
    claims_finish_all(&queue->putters, CLAIM_CLOSED);
    if (immediate) {
        queue_purge(queue, 1u << MESSAGE_READY | 1u << MESSAGE_DELAYED, NULL);
    }
    queue_serve(queue);
}

size_t queue_kick(struct queue *queue, size_t max)
{
    size_t kicked = 0;
    for (struct message *at = queue->first; at && kicked < max && queue->counts[MESSAGE_BURIED];
         at = at->next) {
        if (at->state != MESSAGE_BURIED) {
            continue;
        }
        queue_leave_state(queue, at);
        at->attempts = 0;
        message_set_reason(at, NULL);
        queue_enter_state(queue, at, MESSAGE_READY);
        queue_note_oldest(queue, at);
        queue_store_change(queue, at);
        kicked++;
    }
    queue_serve(queue);
    return kicked;
}

static void purge_one(struct queue *queue, struct message *message, const struct owner *by)
{
    struct hold_cause cause = {.by = by ? *by : (struct owner){0}};
    if (message->hold) {
        message->doomed = true;
        hold_end(message->hold, HOLD_BROKEN, &cause);
    } else {
        queue_remove(queue, message);
    }
}

/* Nobody is served before the end: what is to go must not be given out. */
size_t queue_purge(struct queue *queue, unsigned states, const struct owner *by)
{
    size_t purged = 0;
    bool serving = queue->serving;
    queue->serving = true;
    for (struct message *at = queue->first, *next; at; at = next) {
        next = at->next;
        if (states & 1u << at->state) {
            purge_one(queue, at, by);
            purged++;
        }
    }
    queue->serving = serving;
    queue_serve(queue);
    return purged;
}

/* ---- showing ---- */

void queue_message_json(struct text *text, const struct message *message, bool with_body)
{
    text_putc(text, '{');
    message_write_head(text, message);
    text_json_key(text, "hold");
    text_json_string(text, message->hold ? message->hold->id_text : NULL);
    message_write_history(text, message);
    if (with_body) {
        message_write_body(text, message);
    } else {
        text_json_key(text, "content_type");
        text_json_string(text, message_content_type(message));
    }
    text_putc(text, '}');
}
