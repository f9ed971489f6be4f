/*
 * What a queue is as an object: its configuration, its start, its end. What it does is in queue.c.
 */
#include <stddef.h>
#include <stdlib.h>

#include "service/queue_internal.h"
#include "service/service.h"

static struct queue *queue_of(struct object *object)
{
    return (struct queue *)object;
}

/* ---- configuration ---- */

static struct problem *configure(struct service *service, struct object *object,
                                 const json_t *config)
{
    struct queue *queue = queue_of(object);
    const json_t *lease = json_object_get(config, "lease_seconds");
    (void)service;
    queue->max_messages = (uint64_t)json_integer_value(json_object_get(config, "max_messages"));
    queue->max_bytes = (uint64_t)json_integer_value(json_object_get(config, "max_bytes"));
    queue->max_attempts = (uint64_t)json_integer_value(json_object_get(config, "max_attempts"));
    queue->lease_us = (int64_t)(json_number_value(lease) * 1e6 + 0.5);
    return NULL;
}

static void write_config(struct text *text, const struct object *object)
{
    const struct queue *queue = (const struct queue *)object;
    text_json_key(text, "max_messages");
    text_unsigned(text, queue->max_messages);
    text_json_key(text, "max_bytes");
    text_unsigned(text, queue->max_bytes);
    text_json_key(text, "max_attempts");
    text_unsigned(text, queue->max_attempts);
    text_json_key(text, "lease_seconds");
    if (queue->lease_us) {
        text_json_seconds(text, queue->lease_us);
    } else {
        text_put(text, "null");
    }
}

/* ---- state ---- */

static void write_number(struct text *text, const char *key, uint64_t value)
{
    text_json_key(text, key);
    text_unsigned(text, value);
}

static void write_age(struct text *text, const struct queue *queue)
{
    text_json_key(text, "oldest_age_seconds");
    if (queue->oldest) {
        int64_t age_us = time_now_us() - queue->oldest->enqueued_at_us;
        text_json_seconds(text, age_us > 0 ? age_us : 0);
    } else {
        text_put(text, "null");
    }
}

static void write_state(struct text *text, const struct object *object)
{
    const struct queue *queue = (const struct queue *)object;
    text_json_key(text, "closed");
    text_json_bool(text, queue->closed);
    for (int state = 0; state < MESSAGE_STATES; state++) {
        write_number(text, message_state_name((enum message_state)state), queue->counts[state]);
    }
    write_number(text, "unfinished", queue_unfinished(queue));
    write_number(text, "bytes", queue->bytes);
    write_number(text, "waiters", queue->receivers.count);
    write_number(text, "putters", queue->putters.count);
    write_age(text, queue);
    write_number(text, "put_total", queue->put_total);
    write_number(text, "acked_total", queue->acked_total);
    write_number(text, "taken_total", queue->taken_total);
    write_number(text, "expired_total", queue->expired_total);
}

/* Something is ready, or (closed) never will be: a receive would not wait. */
static bool ready(const struct object *object, const struct object_point *point)
{
    const struct queue *queue = (const struct queue *)object;
    (void)point;
    return queue->counts[MESSAGE_READY] > 0 || queue_drained(queue);
}

static void save(struct text *text, const struct object *object)
{
    const struct queue *queue = (const struct queue *)object;
    text_json_key(text, "closed");
    text_json_bool(text, queue->closed);
    text_json_key(text, "cut");
    text_json_bool(text, queue->cut);
    write_number(text, "put", queue->put_total);
    write_number(text, "acked", queue->acked_total);
    write_number(text, "taken", queue->taken_total);
    write_number(text, "expired", queue->expired_total);
}

/* ---- start ---- */

static void settle(struct deferred *deferred)
{
    queue_give_back_orphans(
        (struct queue *)((char *)deferred - offsetof(struct queue, settle)));
}

static uint64_t saved_number(const json_t *saved, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(saved, key));
}

static bool restore(struct service *service, struct object *object, const json_t *saved)
{
    struct queue *queue = queue_of(object);
    (void)service;
    queue->closed = json_is_true(json_object_get(saved, "closed"));
    queue->cut = json_is_true(json_object_get(saved, "cut"));
    queue->put_total = saved_number(saved, "put");
    queue->acked_total = saved_number(saved, "acked");
    queue->taken_total = saved_number(saved, "taken");
    queue->expired_total = saved_number(saved, "expired");
    return true;
}

struct loading {
    struct queue *queue;
    bool failed;
};

static bool load_message(void *context, const struct message_row *row)
{
    struct loading *loading = context;
    struct service *service = loading->queue->object.service;
    struct message *message = message_from_row(row);
    if (!message || !queue_enter_loaded(loading->queue, message)) {
        message_free(message);
        loading->failed = true;
        return false;
    }
    queue_message_count(service, message);
    id_not_before(&message->id);
    if (message->seq > service->queues.last_seq) {
        service->queues.last_seq = message->seq;
    }
    return true;
}

struct problem *queues_load(struct service *service, struct db *db)
{
    for (struct object *at = service->objects.first[OBJECT_QUEUE]; at; at = at->next) {
        struct loading loading = {queue_of(at), false};
        struct db_error error = {0};
        if (message_rows_load(db, at->num, load_message, &loading, &error)) {
            return problem_make(PROBLEM_INTERNAL, "%s", error.text);
        }
        if (loading.failed) {
            return problem_make(PROBLEM_OUT_OF_MEMORY, "the messages cannot be loaded");
        }
        if (loading.queue->counts[MESSAGE_LEASED]) {
            loading.queue->settle.run = settle;
            loop_defer(service->loop, &loading.queue->settle);
        }
    }
    return NULL;
}

/* Holds come back in the order of their fences, which is nearly that of the messages: the search goes
   on behind the one found last. */
static struct message *find_leased(struct queue *queue, int64_t seq)
{
    struct message *begin = queue->restored ? queue->restored : queue->first;
    struct message *at = begin;
    while (at && at->seq != seq) {
        at = at->next ? at->next : queue->first;
        if (at == begin) {
            return NULL;
        }
    }
    return at && at->state == MESSAGE_LEASED && !at->hold ? at : NULL;
}

static bool restore_hold(struct service *service, struct object *object, struct hold *hold)
{
    struct queue *queue = queue_of(object);
    struct message *message = find_leased(queue, hold->item_num);
    (void)service;
    if (!message) {
        return false;
    }
    message->hold = hold;
    hold->item = message;
    queue->restored = message->next;
    return true;
}

/* ---- end ---- */

static void closed(struct service *service, struct object *object)
{
    struct queue *queue = queue_of(object);
    loop_undefer(service->loop, &queue->settle);
    claims_finish_all(&queue->receivers, CLAIM_DELETED);
    claims_finish_all(&queue->putters, CLAIM_DELETED);
    claims_finish_all(&queue->joiners, CLAIM_DELETED);
    for (struct message *at = queue->first; at; at = at->next) {
        timer_cancel(service->loop, &at->timer);
    }
    if (object->durable && queue->first &&
        !message_rows_delete(recorder_batch(service->recorder), object->num)) {
        recorder_fatal("out of memory for a queue's end");
    }
}

static void release(struct object *object)
{
    struct queue *queue = queue_of(object);
    queue_drop(object->service, queue->first);
    queue->first = queue->last = NULL;
    free(queue->ready.items);
    id_map_free(&queue->by_id);
}

const struct object_type queue_type = {
    .kind = OBJECT_QUEUE, .noun = "queue", .plural = "queues", .bytes = sizeof(struct queue),
    .configure = configure, .write_config = write_config, .write_state = write_state,
    .ready = ready, .save = save, .restore = restore, .restore_hold = restore_hold, .hold_ended = queue_hold_ended,
    .claim_left = queue_claim_left, .act_on_hold = queue_act_on_hold, .closed = closed, .release = release,
};
