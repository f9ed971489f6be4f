/*
 * A queue's messages: their memory, their states, the list, the table, the heap; what of it is stored.
 *
 * Whatever changes a message's state or place does it by these functions, so that counters, timers and
 * rows agree. Who waits is served by the callers (queue.c).
 */
#include <stddef.h>
#include <string.h>

#include "service/queue_internal.h"
#include "service/service.h"

struct service *queue_service(const struct queue *queue)
{
    return queue->object.service;
}

/* ---- storing ---- */

struct batch *queue_batch(const struct queue *queue)
{
    return recorder_batch(queue_service(queue)->recorder);
}

void queue_must(bool stored)
{
    if (!stored) {
        recorder_fatal("out of memory for a message");
    }
}

void queue_store_change(const struct queue *queue, const struct message *message)
{
    if (queue->object.durable) {
        queue_must(message_store_change(queue_batch(queue), message));
    }
}

void queue_store_delete(struct queue *queue, const struct message *message)
{
    if (queue->object.durable) {
        queue_must(message_row_delete(queue_batch(queue), message->seq));
    }
    object_touch(&queue->object);
}

/* The client will be told that it is stored: also when the power fails. */
void queue_store_durably(const struct queue *queue)
{
    if (queue->object.durable) {
        recorder_durable(queue_service(queue)->recorder);
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
                                "the messages of all queues and pipes have %llu bytes, and may "
                                "have %llu",
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
    int64_t left_us = at_us - time_steady_us();
    message->timer.due = due;
    return timer_set(queue_service(message->queue)->loop, &message->timer,
                     time_monotonic_us() + (left_us > 0 ? left_us : 0));
}

void queue_leave_state(struct queue *queue, struct message *message)
{
    queue->counts[message->state]--;
    if (message->state == MESSAGE_READY) {
        message_heap_remove(&queue->ready, message);
    }
    if (waits(message->state)) {
        queue->waiting_bytes -= message->body_bytes;
        timer_cancel(queue_service(queue)->loop, &message->timer);
    }
}

/* Where the heap has room for every message this cannot fail; without memory for a timer a delay is
   over at once, and who receives looks at the time to live. */
void queue_enter_state(struct queue *queue, struct message *message, enum message_state state)
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

void queue_skip_buried(struct queue *queue)
{
    while (queue->oldest && queue->oldest->state == MESSAGE_BURIED) {
        queue->oldest = queue->oldest->next;
    }
}

void queue_note_oldest(struct queue *queue, struct message *message)
{
    if (!queue->oldest || message->seq < queue->oldest->seq) {
        queue->oldest = message;
    }
    queue_skip_buried(queue);
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
    queue_skip_buried(queue);
}

/* Into the table and the heap's reach. False: no memory, and it is in neither. */
bool queue_prepare(struct queue *queue, struct message *message)
{
    message->queue = queue;
    return message_heap_reserve(&queue->ready, queue->by_id.used + 1) &&
           id_map_add(&queue->by_id, &message->id);
}

void queue_enter(struct queue *queue, struct message *message, struct message *before)
{
    link_behind(queue, message, before);
    queue->bytes += message->body_bytes;
    queue_enter_state(queue, message, message->state);
    queue_note_oldest(queue, message);
}

bool queue_enter_loaded(struct queue *queue, struct message *message)
{
    if (!queue_prepare(queue, message)) {
        return false;
    }
    queue_enter(queue, message, queue->last);
    return true;
}

/* Out of everything but memory and database. */
void queue_leave(struct queue *queue, struct message *message)
{
    queue_leave_state(queue, message);
    unlink_message(queue, message);
    id_map_remove(&queue->by_id, &message->id);
    queue->bytes -= message->body_bytes;
}

void queue_remove(struct queue *queue, struct message *message)
{
    queue_leave(queue, message);
    queue_store_delete(queue, message);
    queue_message_free(queue_service(queue), message);
}

void queue_expire(struct queue *queue, struct message *message)
{
    queue->expired_total++;
    queue_remove(queue, message);
}

static void due(struct timer *timer)
{
    struct message *message = (struct message *)((char *)timer - offsetof(struct message, timer));
    struct queue *queue = message->queue;
    if (message_has_expired(message)) {
        queue_expire(queue, message);
    } else if (message->state == MESSAGE_DELAYED && message->ready_at_us <= time_steady_us()) {
        queue_leave_state(queue, message);
        queue_enter_state(queue, message, MESSAGE_READY);
    } else {
        arm(message);                  /* by a rounding too early; its place in the timers is kept */
    }
    queue_serve(queue);
}

/* ---- finding ---- */

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
