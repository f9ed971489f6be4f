/*
 * What the handlers of queues share. Loop thread only.
 */
#ifndef FORKFUL_API_QUEUES_H
#define FORKFUL_API_QUEUES_H

#include "api/coordination.h"

struct queue;

/* The queue of the path, or NULL after answering 404. */
struct queue *request_queue(struct request *request);
/* The same for a call that changes it: or NULL after answering 412. */
struct queue *request_queue_to_change(struct request *request);

#endif
