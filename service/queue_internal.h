/*
 * What queue.c and queue_type.c share.
 */
#ifndef FORKFUL_SERVICE_QUEUE_INTERNAL_H
#define FORKFUL_SERVICE_QUEUE_INTERNAL_H

#include "service/queue.h"

/* In queue_totals, from here … */
void queue_message_count(struct service *service, const struct message *message);
/* … to here; in no queue. */
void queue_message_free(struct service *service, struct message *message);
/* From the database, in the order of seq. False: no memory. */
bool queue_enter_loaded(struct queue *queue, struct message *message);
/* Leases for which no hold came back. */
void queue_give_back_orphans(struct queue *queue);
/* object_type */
void queue_hold_ended(struct service *service, struct object *object, struct hold *hold);
struct problem *queue_act_on_hold(struct hold *hold, const struct hold_order *order);

#endif
