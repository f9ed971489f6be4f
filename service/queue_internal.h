/*
 * What the queue_*.c files share: queue_list.c keeps the messages, queue_lease.c ends leases, queue.c does
 * the rest, queue_type.c is the object.
 */
#ifndef FORKFUL_SERVICE_QUEUE_INTERNAL_H
#define FORKFUL_SERVICE_QUEUE_INTERNAL_H

#include "service/queue.h"

/* ---- queue_list.c ---- */
struct service *queue_service(const struct queue *queue);
struct batch *queue_batch(const struct queue *queue);
/* Rows that could not be put into the batch end the server. */
void queue_must(bool stored);
/* Nothing where the queue is in memory only. */
void queue_store_change(const struct queue *queue, const struct message *message);
void queue_store_delete(struct queue *queue, const struct message *message);
/* The client will be told that it is stored: also when the power fails. */
void queue_store_durably(const struct queue *queue);

/* Out of queue_totals; it is in no queue. */
void queue_message_free(struct service *service, struct message *message);

/* Out of its state's heap, counters and timers, and into another's. */
void queue_leave_state(struct queue *queue, struct message *message);
void queue_enter_state(struct queue *queue, struct message *message, enum message_state state);
/* After a message was buried; after one that was is no longer. */
void queue_skip_buried(struct queue *queue);
void queue_note_oldest(struct queue *queue, struct message *message);

/* Into the table, with room for it in the heap. False: no memory, and it is in neither. */
bool queue_prepare(struct queue *queue, struct message *message);
/* After queue_prepare, behind `before` (NULL: in front of all), in the state it has. */
void queue_enter(struct queue *queue, struct message *message, struct message *before);
/* Out of everything but memory and database. */
void queue_leave(struct queue *queue, struct message *message);
/* Out of all, and freed. */
void queue_remove(struct queue *queue, struct message *message);
void queue_expire(struct queue *queue, struct message *message);
/* From the database, in the order of seq. False: no memory. */
bool queue_enter_loaded(struct queue *queue, struct message *message);

/* ---- queue.c ---- */
void queue_claim_left(struct object *object);          /* object_type */

/* ---- queue_lease.c ---- */
/* Leases for which no hold came back. */
void queue_give_back_orphans(struct queue *queue);
/* object_type */
void queue_hold_ended(struct service *service, struct object *object, struct hold *hold);
struct problem *queue_act_on_hold(struct hold *hold, const struct hold_order *order);

#endif
