/*
 * Queues; see queue.h. What a queue is as an object (configuration, start, end) is in queue_type.c.
 */
#include "service/queue.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "service/queue_internal.h"
#include "service/service.h"

#define ATTEMPTS_USED_UP "max_attempts"

static struct service *service_of(const struct queue *queue)
{
    return queue->object.service;
}

/* ---- storing ---- */

static struct batch *open_batch(const struct queue *queue)
{
    return recorder_batch(service_of(queue)->recorder);
}

static void must(bool stored)
{
    if (!stored) {
        recorder_fatal("out of memory for a message");
    }
}

static void store_change(const struct queue *queue, const struct message *message)
{
    if (queue->object.durable) {
        must(message_store_change(open_batch(queue), message));
    }
}

static void store_delete(struct queue *queue, const struct message *message)
{
    if (queue->object.durable) {
        must(message_row_delete(open_batch(queue), message->seq));
    }
    object_touch(&queue->object);
}

/* The client will be told that it is stored: also when the power fails. */
static void store_durably(const struct queue *queue)
{
    if (queue->object.durable) {
        recorder_durable(service_of(queue)->recorder);
    }
}

/* ---- memory ---- */

static uint64_t cost(const struct message *message)
{
    return sizeof *message + message->type_bytes + message->body_bytes;
}

void queue_message_count(struct service *service, const struct message *message)
{
    service->queues.bytes += cost(message);
}

struct message *queue_message_new(struct service *service, const struct message_content *content,
                                  struct problem **problem)
{
    uint64_t most = service->config->queues_max_total_bytes;
    if (service->queues.bytes + content->body_bytes + sizeof(struct message) > most) {
        *problem = problem_make(PROBLEM_STORAGE_FULL,
                                "the messages of all queues have %llu bytes, and may have %llu",
                                (unsigned long long)service->queues.bytes, (unsigned long long)most);
        (*problem)->retry_after_seconds = 1;
        return NULL;
    }
    struct message *message = message_new(content);
    if (message) {
        queue_message_count(service, message);
    } else {
        *problem = problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a message");
    }
    return message;
}

void queue_message_free(struct service *service, struct message *message)
{
    service->queues.bytes -= cost(message);
    message_free(message);
}

void queue_drop(struct service *service, struct message *first)
{
    while (first) {
        struct message *next = first->next;
        queue_message_free(service, first);
        first = next;
    }
}

/* ---- states ---- */

static bool waits(enum message_state state)
{
    return state == MESSAGE_READY || state == MESSAGE_DELAYED;
}

static bool has_expired(const struct message *message)
{
    return message->expires_at_us && message->expires_at_us <= time_now_us();
}

static void due(struct timer *timer);

/* For what comes next, the end of its delay or of its time to live. */
static bool arm(struct message *message)
{
    int64_t at_us = message->state == MESSAGE_DELAYED ? message->ready_at_us : INT64_MAX;
    if (message->expires_at_us && message->expires_at_us < at_us) {
        at_us = message->expires_at_us;
    }
    if (at_us == INT64_MAX) {
        return true;
    }
    int64_t left_us = at_us - time_now_us();
    message->timer.due = due;
    return timer_set(service_of(message->queue)->loop, &message->timer,
                     time_monotonic_us() + (left_us > 0 ? left_us : 0));
}

static void leave_state(struct queue *queue, struct message *message)
{
    queue->counts[message->state]--;
    if (message->state == MESSAGE_READY) {
        message_heap_remove(&queue->ready, message);
    }
    if (waits(message->state)) {
        queue->waiting_bytes -= message->body_bytes;
        timer_cancel(service_of(queue)->loop, &message->timer);
    }
}

/* Where the heap has room for every message this cannot fail; without memory for a timer a delay is
   over at once, and who receives looks at the time to live. */
static void enter_state(struct queue *queue, struct message *message, enum message_state state)
{
    message->state = state;
    if (waits(state)) {
        queue->waiting_bytes += message->body_bytes;
        if (!arm(message)) {
            message->state = MESSAGE_READY;
        }
    }
    queue->counts[message->state]++;
    if (message->state == MESSAGE_READY) {
        message_heap_push(&queue->ready, message);
    }
}

static void skip_buried(struct queue *queue)
{
    while (queue->oldest && queue->oldest->state == MESSAGE_BURIED) {
        queue->oldest = queue->oldest->next;
    }
}

static void note_oldest(struct queue *queue, struct message *message)
{
    if (!queue->oldest || message->seq < queue->oldest->seq) {
        queue->oldest = message;
    }
    skip_buried(queue);
}

/* ---- the list ---- */

/* Behind `before`; NULL: in front of all. */
static void link_behind(struct queue *queue, struct message *message, struct message *before)
{
    message->previous = before;
    message->next = before ? before->next : queue->first;
    *(before ? &before->next : &queue->first) = message;
    *(message->next ? &message->next->previous : &queue->last) = message;
}

static void unlink_message(struct queue *queue, struct message *message)
{
    if (queue->oldest == message) {
        queue->oldest = message->next;
    }
    if (queue->restored == message) {
        queue->restored = message->next;
    }
    *(message->previous ? &message->previous->next : &queue->first) = message->next;
    *(message->next ? &message->next->previous : &queue->last) = message->previous;
    message->next = message->previous = NULL;
    skip_buried(queue);
}

/* Into the table and the heap's reach. False: no memory, and it is in neither. */
static bool prepare(struct queue *queue, struct message *message)
{
    message->queue = queue;
    return message_heap_reserve(&queue->ready, queue->by_id.used + 1) &&
           id_map_add(&queue->by_id, &message->id);
}

static void enter(struct queue *queue, struct message *message, struct message *before)
{
    link_behind(queue, message, before);
    queue->bytes += message->body_bytes;
    enter_state(queue, message, message->state);
    note_oldest(queue, message);
}

bool queue_enter_loaded(struct queue *queue, struct message *message)
{
    if (!prepare(queue, message)) {
        return false;
    }
    enter(queue, message, queue->last);
    return true;
}

/* Out of everything but memory and database. */
static void leave(struct queue *queue, struct message *message)
{
    leave_state(queue, message);
    unlink_message(queue, message);
    id_map_remove(&queue->by_id, &message->id);
    queue->bytes -= message->body_bytes;
}

static void remove_message(struct queue *queue, struct message *message)
{
    leave(queue, message);
    store_delete(queue, message);
    queue_message_free(service_of(queue), message);
}

static void expire(struct queue *queue, struct message *message)
{
    queue->expired_total++;
    remove_message(queue, message);
}

static void due(struct timer *timer)
{
    struct message *message = (struct message *)((char *)timer - offsetof(struct message, timer));
    struct queue *queue = message->queue;
    if (has_expired(message)) {
        expire(queue, message);
    } else if (message->state == MESSAGE_DELAYED && message->ready_at_us <= time_now_us()) {
        leave_state(queue, message);
        enter_state(queue, message, MESSAGE_READY);
    } else {
        arm(message);                  /* the clock was set back; its place in the timers is kept */
    }
    queue_serve(queue);
}

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
        return problem_make(PROBLEM_QUEUE_CLOSED, "%s is closed", queue->object.resource);
    }
    if ((queue->max_messages && putter->count > queue->max_messages) ||
        (queue->max_bytes && putter->bytes > queue->max_bytes)) {
        return problem_make(PROBLEM_PAYLOAD_TOO_LARGE, "%s never has room for that much",
                            queue->object.resource);
    }
    return queue->object.durable ? recorder_refuses(service_of(queue)->recorder) : NULL;
}

static void stamp(struct queue *queue, struct message *message, int64_t now_us)
{
    message->id = id_make();
    message->seq = ++service_of(queue)->queues.last_seq;
    message->enqueued_at_us = now_us;
    message->expires_at_us = message->ttl_us ? now_us + message->ttl_us : 0;
    message->ready_at_us = message->delay_us ? now_us + message->delay_us : 0;
    message->state = message->delay_us ? MESSAGE_DELAYED : MESSAGE_READY;
    message->delay_us = 0;
}

/* All or nothing. */
static struct problem *put_in(struct queue *queue, struct queue_putter *putter)
{
    int64_t now_us = time_now_us();
    for (struct message *at = putter->first; at; at = at->next) {
        stamp(queue, at, now_us);
        if (!prepare(queue, at)) {
            for (struct message *done = putter->first; done != at; done = done->next) {
                id_map_remove(&queue->by_id, &done->id);
            }
            return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a message");
        }
    }
    for (struct message *at = putter->first, *next; at; at = next) {
        next = at->next;
        enter(queue, at, queue->last);
        if (queue->object.durable) {
            must(message_store(open_batch(queue), at));
        }
    }
    putter->in = true;
    queue->put_total += putter->count;
    object_touch(&queue->object);
    store_durably(queue);
    return NULL;
}

struct problem *queue_put(struct queue *queue, struct queue_putter *putter)
{
    struct problem *problem = refuse_put(queue, putter);
    if (!problem && !queue->putters.count && has_room(queue, putter)) {
        problem = put_in(queue, putter);
    }
    return problem;
}

/* ---- receiving ---- */

static struct message *first_ready(struct queue *queue)
{
    while (queue->ready.count && has_expired(queue->ready.items[0])) {
        expire(queue, queue->ready.items[0]);
    }
    return queue->ready.count ? queue->ready.items[0] : NULL;
}

static struct message *take(struct queue *queue, struct message *message)
{
    leave(queue, message);
    store_delete(queue, message);
    store_durably(queue);
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
    struct hold *hold = hold_grant(service_of(queue), &request, problem);
    if (!hold) {
        return NULL;
    }
    leave_state(queue, message);
    message->hold = hold;
    message->attempts++;
    enter_state(queue, message, MESSAGE_LEASED);
    store_change(queue, message);
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
    if (queue->cut || !prepare(queue, message)) {
        queue_message_free(service_of(queue), message);
        return;
    }
    message->state = MESSAGE_READY;
    enter(queue, message, place_of(queue, message));
    if (queue->object.durable) {
        must(message_store(open_batch(queue), message));
    }
    queue->taken_total--;
    object_touch(&queue->object);
    queue_serve(queue);
}

/* ---- ends of leases ---- */

static void tell_buried(const struct queue *queue, const struct message *message)
{
    struct text data = {0};
    char id[ID_TEXT_BYTES];
    id_format(&message->id, 'm', id);
    text_put(&data, "{\"message\":");
    text_json_string(&data, id);
    text_json_key(&data, "reason");
    text_json_string(&data, message->reason);
    text_putc(&data, '}');
    service_change(service_of(queue), "queue.message_buried", queue->object.name,
                   data.failed ? NULL : data.data);
    text_free(&data);
}

/* Its reason is set. */
static void bury(struct queue *queue, struct message *message)
{
    message->buried_at_us = time_now_us();
    enter_state(queue, message, MESSAGE_BURIED);
    skip_buried(queue);
    tell_buried(queue, message);
    store_change(queue, message);
}

static void set_reason(struct message *message, const char *reason)
{
    free(message->reason);
    message->reason = reason ? strdup(reason) : NULL;
}

/* To where it was: in front of what came later. */
static void give_back(struct queue *queue, struct message *message)
{
    int64_t delay_us = message->delay_us;
    message->delay_us = 0;
    if (queue->max_attempts && message->attempts >= queue->max_attempts) {
        set_reason(message, ATTEMPTS_USED_UP);
        bury(queue, message);
        return;
    }
    message->ready_at_us = delay_us ? time_now_us() + delay_us : 0;
    enter_state(queue, message, delay_us ? MESSAGE_DELAYED : MESSAGE_READY);
    store_change(queue, message);
}

static void ended_by_ack(struct queue *queue, struct message *message, const struct hold *hold)
{
    (void)hold;
    queue->acked_total++;
    store_durably(queue);
    remove_message(queue, message);
}

static void ended_by_bury(struct queue *queue, struct message *message, const struct hold *hold)
{
    message_note_end(message, hold);
    leave_state(queue, message);
    bury(queue, message);
}

static void ended_otherwise(struct queue *queue, struct message *message, const struct hold *hold)
{
    if (!message->undone) {
        message_note_end(message, hold);
    }
    message->undone = false;
    if (message->doomed || queue->cut) {
        remove_message(queue, message);
    } else if (has_expired(message)) {
        expire(queue, message);
    } else {
        leave_state(queue, message);
        give_back(queue, message);
    }
}

void queue_hold_ended(struct service *service, struct object *object, struct hold *hold)
{
    struct queue *queue = (struct queue *)object;
    struct message *message = hold->item;
    (void)service;
    if (!message) {
        return;
    }
    message->hold = NULL;
    if (object->deleted) {
        return;                        /* all its messages go */
    }
    if (hold->end == HOLD_ACKED) {
        ended_by_ack(queue, message, hold);
    } else if (hold->end == HOLD_BURIED) {
        ended_by_bury(queue, message, hold);
    } else {
        ended_otherwise(queue, message, hold);
    }
    queue_serve(queue);
}

struct problem *queue_act_on_hold(struct hold *hold, const struct hold_order *order)
{
    static const enum hold_end ends[] = {
        [HOLD_ACTION_ACK] = HOLD_ACKED, [HOLD_ACTION_RELEASE] = HOLD_RELEASED,
        [HOLD_ACTION_BURY] = HOLD_BURIED};
    struct hold_cause cause = {.by = order->by};
    struct message *message = hold->item;
    if (order->action == HOLD_ACTION_RELEASE) {
        message->delay_us = order->delay_us;
    } else if (order->action == HOLD_ACTION_BURY) {
        set_reason(message, order->reason);
    }
    hold_end(hold, ends[order->action], &cause);
    return NULL;
}

void queue_lease_undo(struct hold *hold)
{
    struct message *message = hold->item;
    if (hold->end == HOLD_LIVE && message) {
        message->attempts--;
        message->undone = true;
        hold_undo(hold);
    }
}

void queue_give_back_orphans(struct queue *queue)
{
    for (struct message *at = queue->first, *next; at; at = next) {
        next = at->next;
        if (at->state == MESSAGE_LEASED && !at->hold) {
            leave_state(queue, at);
            give_back(queue, at);
        }
    }
    queue_serve(queue);
}

/* ---- serving ---- */

static bool serve_receiver(struct queue *queue)
{
    if (!queue->receivers.first || !first_ready(queue)) {
        return false;
    }
    claim_finish(claim_first(&queue->receivers), CLAIM_GRANTED);
    return true;
}

static bool serve_putter(struct queue *queue)
{
    struct queue_putter *putter = (struct queue_putter *)claim_first(&queue->putters);
    if (!putter || !has_room(queue, putter)) {
        return false;
    }
    claim_cancel(&putter->claim);
    putter->claim.problem = put_in(queue, putter);
    claim_finish(&putter->claim, putter->claim.problem ? CLAIM_FAILED : CLAIM_GRANTED);
    return true;
}

void queue_serve(struct queue *queue)
{
    if (queue->serving) {
        return;                        /* whoever does it further up goes on */
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

size_t queue_unfinished(const struct queue *queue)
{
    return queue->counts[MESSAGE_READY] + queue->counts[MESSAGE_DELAYED] +
           queue->counts[MESSAGE_LEASED];
}

bool queue_drained(const struct queue *queue)
{
    return queue->closed && queue_unfinished(queue) == 0;
}

/* ---- what an admin does ---- */

void queue_close(struct queue *queue, bool immediate)
{
    if (!queue->closed) {
        queue->closed = true;
        service_change(service_of(queue), "queue.closed", queue->object.name, NULL);
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
        leave_state(queue, at);
        at->attempts = 0;
        set_reason(at, NULL);
        enter_state(queue, at, MESSAGE_READY);
        note_oldest(queue, at);
        store_change(queue, at);
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
        remove_message(queue, message);
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

/* ---- finding and showing ---- */

struct message *queue_find(const struct queue *queue, const struct fact_id *id)
{
    struct fact_id *found = id_map_find(&queue->by_id, id);
    return found ? (struct message *)((char *)found - offsetof(struct message, id)) : NULL;
}

struct message *queue_after(const struct queue *queue, const struct fact_id *id)
{
    struct message *at = queue_find(queue, id);
    if (at) {
        return at->next;
    }
    for (at = queue->first; at && memcmp(&at->id, id, sizeof *id) <= 0; at = at->next) {
    }
    return at;
}

void queue_message_json(struct text *text, const struct message *message, bool with_body)
{
    text_putc(text, '{');
    message_write_head(text, message);
    text_json_key(text, "hold");
    text_json_string(text, message->hold ? message->hold->id_text : NULL);
    text_json_key(text, "owner");
    owner_json(text, message->hold ? &message->hold->owner : &(struct owner){0});
    message_write_history(text, message);
    if (with_body) {
        message_write_body(text, message);
    } else {
        text_json_key(text, "content_type");
        text_json_string(text, message_content_type(message));
    }
    text_putc(text, '}');
}
