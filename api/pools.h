/*
 * What the handlers of pools share: the pool of the path, and calls that wait for tasks.
 * Loop thread only.
 */
#ifndef FORKFUL_API_POOLS_H
#define FORKFUL_API_POOLS_H

#include "api/coordination.h"
#include "service/pool.h"

/* Or NULL after an answer. */
struct pool *request_pool(struct request *request);
/* The same for a call that changes it: something can be stored, and If-Hold holds. The body is the caller's. */
struct pool *request_pool_to_change(struct request *request);
struct task *request_task(struct request *request, struct pool *pool);           /* or NULL after 404 */
struct task_batch *request_batch(struct request *request, struct pool *pool);    /* likewise */

/* A call that waits until something about a pool is so, and then shows it. Embedded in what request_alloc gave. */
struct pool_wait {
    struct claim_call call;
    struct claim claim;
    struct text body;
    struct pool *pool;
    struct wait_list *list;
    int64_t deadline_us;               /* 0: not at all */
    int status;                        /* of the answer when it is so */
    int status_late;                   /* and when it is not */
    bool (*over)(const struct pool_wait *wait);
    void (*show)(struct text *body, const struct pool_wait *wait);
};

/* All but the first three fields are set. Answers, now or later, when what it tells is stored. */
void pool_wait_begin(struct pool_wait *wait, struct request *request);

#endif
