/*
 * What the handlers of all coordination objects share: from a path to an object, answers that wait for
 * the commit, parked claims.
 *
 * The kind is told by the route's path ("/v1/queues/{name}…"). Loop thread only.
 */
#ifndef FORKFUL_API_COORDINATION_H
#define FORKFUL_API_COORDINATION_H

#include "api/app.h"
#include "api/respond.h"
#include "api/schema.h"
#include "service/claim.h"

/* "locks" of "/v1/locks/{name}". */
enum object_kind request_kind(const struct request *request);
/* The object of the path, or NULL after answering 404. */
struct object *request_object(struct request *request);
/* Whose a hold of this caller is; PARENT_NONE: the admin, who needs a time limit. */
struct owner request_owner(const struct request *request);
/* If-Hold, when given, names a live hold: else 412 was answered and this is false. Asked for every call that
   may change something, before its handler. */
bool request_holds(struct request *request);
/* The same for what is to change in the database: 507 where nothing can be stored now. What was begun
   before waits until it can. */
bool request_can_store(struct request *request);

/* `?wait=` of an acquiring call as a monotonic deadline; `standard_us` when left out. 0: do not wait. */
int64_t request_patience(const struct request *request, int64_t standard_us);

/* What has changed so far may be told now: it outlives the server, or the answer itself is stored before it
   goes. */
bool request_tells_now(struct request *request);
/* Answers as soon as it cannot be lost by a kill of the server: mostly at once (service/journal.h). For what
   changes objects and holds only, and leaves nothing in the changes feed. */
bool respond_when_kept(struct request *request, int status, struct text *body);
/* Answers when the batch that is open now is committed (takes body; may be empty). The request must not be
   parked yet. False: no memory, and that was answered. */
bool respond_when_stored(struct request *request, int status, struct text *body);
/* The same with a body of this (static) content type. */
bool respond_bytes_when_stored(struct request *request, int status, const char *type,
                               struct text *body);

/* For a call that parks: what it has changed so far outlives the server, or does after the next commit. */
void request_keep(struct request *request);

/* A parked call; embedded in the handler's own context, which request_alloc gave. */
struct claim_call {
    struct claim *claim;               /* the handler's; often the first member of what the kind needs */
    struct request *request;
    struct stored stored;
    bool parked, granted;              /* granted: its answer waits for the commit, or goes */
    bool asks;                         /* it changes something only when granted: If-Hold holds until then */
    struct waiter guard;               /* `asks`: of the end of the hold of If-Hold */
    /* On the loop, after the claim has ended: answers, or prepares the answer and calls claim_call_stored. */
    void (*ended)(struct claim_call *call, enum claim_result result);
    /* After claim_call_stored: the commit is done, answer now. */
    void (*answer)(struct claim_call *call);
    /* The client has gone between the grant and the answer: take back what it got. Or NULL. */
    void (*undo)(struct claim_call *call);
    /* The client has gone while the claim waited. Or NULL. */
    void (*left)(struct claim_call *call);
};

/* Parks in `list` until the deadline; whoever is gone gives up its place. Fields claim, request, asks, ended,
   answer and undo, and claim->owner and claim->ttl_us, are set before. */
void claim_call_park(struct claim_call *call, struct wait_list *list, struct object *object,
                     int64_t deadline_us);
/* Waits for the commit of what is in the open batch, then calls `answer`; from `ended`, or instead of parking. */
void claim_call_stored(struct claim_call *call);
/* The same, as soon as it cannot be lost by a kill of the server. */
void claim_call_kept(struct claim_call *call);
/* The answer for a result other than CLAIM_GRANTED and CLAIM_TIMED_OUT. */
void answer_claim_failed(struct claim_call *call, enum claim_result result);

/* Answers a PUT of the object of the path: `config` is what the kind's table and objects.c's let through. */
void put_object(struct request *request, const json_t *config);

/* Tables of the bodies of PUT, per kind, without name, lifetime and durable (objects.c adds them). */
extern const struct field queue_fields[], lock_fields[], semaphore_fields[], event_fields[],
    value_fields[], condition_fields[], barrier_fields[], pipe_fields[], pool_fields[];

#endif
