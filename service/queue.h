/*
 * Queues: messages from many to many, each to one.
 *
 *   delayed → ready → leased → gone, or buried
 *
 * A receiver leases a message (a hold of kind HOLD_MESSAGE: at least once) or takes it (at most once).
 * A lease that ends other than by ack gives the message back: it keeps its number, so it is before all
 * that came later; when its last attempt is used up it is buried. Ready messages go by priority, then
 * by number. While somebody waits in `receivers` nothing is ready; who waits in `putters` goes in before
 * anybody else. Limits count what waits to be received (ready and delayed).
 *
 * Rows of a durable queue's messages go into the open batch as things happen; who answers waits for it.
 * Loop thread only.
 */
#ifndef FORKFUL_SERVICE_QUEUE_H
#define FORKFUL_SERVICE_QUEUE_H

#include "service/claim.h"
#include "service/id_map.h"
#include "service/message.h"

#define QUEUE_LEASE_STANDARD_US 30000000ll  /* of those that need a limit and say none */
#define QUEUE_RECEIVE_BYTES (16u << 20)     /* one receive stops behind so much */

struct queue {
    struct object object;
    uint64_t max_messages, max_bytes;  /* 0: no limit */
    uint64_t max_attempts;             /* 0: no limit */
    int64_t lease_us;                  /* of a lease that says none; 0: see QUEUE_LEASE_STANDARD_US */
    bool closed;
    bool cut;                          /* closed at once: what is given back is dropped */

    struct message *first, *last;      /* all, by seq */
    struct message *oldest;            /* the first that is not buried */
    struct message *restored;          /* at the start: behind the last one a hold was found for */
    struct id_map by_id;
    struct message_heap ready;
    size_t counts[MESSAGE_STATES];
    uint64_t bytes;                    /* of all bodies */
    uint64_t waiting_bytes;            /* of ready and delayed ones */

    struct wait_list receivers;        /* claims: GRANTED means "something is ready, and it is your turn" */
    struct wait_list putters;          /* claims in a struct queue_putter */
    struct wait_list joiners;          /* claims: GRANTED means that nothing is unfinished */
    bool serving;                      /* further up in the call stack */
    bool owed;                         /* in queue_totals.owed */
    struct queue *next_owed;
    struct deferred settle;            /* at the start: leases without a hold are given back */

    uint64_t put_total, acked_total, taken_total, expired_total;
};

extern const struct object_type queue_type;

/* Messages that are made but in no queue yet: counted, so that waiting putters cannot fill the memory.
   They go into a queue by queue_put or end by queue_drop. NULL: *problem tells. */
struct message *queue_message_new(struct service *service, const struct message_content *content,
                                  struct problem **problem);
void queue_drop(struct service *service, struct message *first);
/* One that was loaded is counted from now on; queue_drop ends that. */
void queue_message_count(struct service *service, const struct message *message);

/* A put: a chain of messages that go in together or not at all. */
struct queue_putter {
    struct claim claim;                /* GRANTED: they are in */
    struct message *first;             /* theirs until `in`; then the first of `count` in the queue's list */
    size_t count;
    uint64_t bytes;                    /* of the bodies */
    bool in;
    bool beyond;                       /* goes in though the queue is full: nobody is there who could wait */
};
/* NULL: done (`in`; the caller calls queue_serve when it has looked at them), or the queue is full, and
   the putter may be parked in queue->putters. Else why not: closed, larger than the queue, no memory. */
struct problem *queue_put(struct queue *queue, struct queue_putter *putter);
struct problem *queue_full_problem(const struct queue *queue); /* 429 */

struct receive_order {
    bool take;
    int64_t lease_us;                  /* 0: without a limit, which needs an owner */
    struct owner owner;
};
/* The next message. Leased: message->hold is the hold. Taken: out of the queue and the caller's (its row is deleted with
   the open batch), who gives it to queue_put_back or queue_drop. NULL: none is ready, or *problem tells. The caller calls queue_serve when
   he has enough. */
struct message *queue_receive(struct queue *queue, const struct receive_order *order,
                              struct problem **problem);
/* Nobody got it: as if it had not been taken, or leased. */
void queue_put_back(struct queue *queue, struct message *message);
void queue_lease_undo(struct hold *hold);
/* There may be room now, or something ready: who waits is served. */
void queue_serve(struct queue *queue);
/* Nobody is served until all has come back that comes back in this step: who waits gets what is first in the
   queue's order, not what came back first. */
void queues_hold_back(struct service *service);
void queues_go_on(struct service *service);

bool queue_drained(const struct queue *queue);  /* closed, and nothing can become ready any more */
size_t queue_unfinished(const struct queue *queue);
/* No more puts; `immediate`: what waits to be received is dropped too. */
void queue_close(struct queue *queue, bool immediate);
/* Makes up to `max` buried messages ready, the oldest first; their attempts begin anew. How many. */
size_t queue_kick(struct queue *queue, size_t max);
/* Deletes all messages in these states (bit 1 << state); the holds of leased ones end as broken. How many. */
size_t queue_purge(struct queue *queue, unsigned states, const struct owner *by);
struct message *queue_find(const struct queue *queue, const struct fact_id *id);
/* The first message by seq that comes behind this id. */
struct message *queue_after(const struct queue *queue, const struct fact_id *id);
/* {…}: all there is to know of one; without its body when `with_body` is false. */
void queue_message_json(struct text *text, const struct message *message, bool with_body);

/* At the start: the messages of all queues, after the objects and before their holds. NULL: done. */
struct problem *queues_load(struct service *service, struct db *db);

#endif
