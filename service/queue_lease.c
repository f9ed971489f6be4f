/*
 * What becomes of a leased message when its hold ends: gone, back in its place, or buried.
 */
#include "service/queue_internal.h"
#include "service/service.h"

#define ATTEMPTS_USED_UP "max_attempts"

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
    service_change(queue_service(queue), "queue.message_buried", queue->object.name,
                   data.failed ? NULL : data.data);
    text_free(&data);
}

/* Its reason is set. */
static void bury(struct queue *queue, struct message *message)
{
    message->buried_at_us = time_now_us();
    queue_enter_state(queue, message, MESSAGE_BURIED);
    queue_skip_buried(queue);
    tell_buried(queue, message);
    queue_store_change(queue, message);
}

/* To where it was: in front of what came later. */
static void give_back(struct queue *queue, struct message *message)
{
    int64_t delay_us = message->delay_us;
    message->delay_us = 0;
    if (queue->max_attempts && message->attempts >= queue->max_attempts) {
        message_set_reason(message, ATTEMPTS_USED_UP);
        bury(queue, message);
        return;
    }
    message->ready_at_us = delay_us ? time_steady_us() + delay_us : 0;
    queue_enter_state(queue, message, delay_us ? MESSAGE_DELAYED : MESSAGE_READY);
    queue_store_change(queue, message);
}

static void ended_by_ack(struct queue *queue, struct message *message, const struct hold *hold)
{
    (void)hold;
    queue->acked_total++;
    queue_service(queue)->queues.acked_total++;
    queue_store_durably(queue);
    queue_remove(queue, message);
}

static void ended_by_bury(struct queue *queue, struct message *message, const struct hold *hold)
{
    message_note_end(message, hold);
    queue_leave_state(queue, message);
    bury(queue, message);
}

static void ended_otherwise(struct queue *queue, struct message *message, const struct hold *hold)
{
    if (!message->undone) {
        message_note_end(message, hold);
    }
    message->undone = false;
    if (message->doomed || queue->cut) {
        queue_remove(queue, message);
    } else if (message_has_expired(message)) {
        queue_expire(queue, message);
    } else {
        queue_leave_state(queue, message);
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
        message_set_reason(message, order->reason);
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
            queue_leave_state(queue, at);
            give_back(queue, at);
        }
    }
    queue_serve(queue);
}
