/* What the files of pools share; see pool.h. */
#ifndef FORKFUL_SERVICE_POOL_INTERNAL_H
#define FORKFUL_SERVICE_POOL_INTERNAL_H

#include "service/pool.h"
#include "service/service.h"

#define EXIT_BURY 100                  /* of a spawn pool's process */

/* ---- pool.c ---- */
void pool_work_soon(struct pool *pool);
void pool_queue_add(struct pool *pool, struct task *task);      /* by its number */
struct task *pool_queue_take(struct pool *pool);                /* the first, or NULL */
void pool_queue_remove(struct task *task);                      /* harmless when it is not in it */
void pool_set_state(struct task *task, enum task_state state);
/* It stays, with its result (taken; or NULL), until it is dropped. Who waits is told. The last attempt, if it ends
   with this, has been ended before. */
void pool_task_ended(struct task *task, enum task_state state, const struct task_outcome *outcome,
                     struct blob *result);
/* It stands in the queue, at once or when the delay is over that follows its last attempt. */
void pool_task_wait(struct task *task);
/* The same when the open batch is committed: nobody is given what a kill could still undo. */
void pool_task_wait_stored(struct task *task);
/* Its attempt has come to nothing: again, or failed. */
void pool_task_failed(struct task *task, const struct task_outcome *outcome);
/* It was not begun: it waits again, in its place. */
void pool_task_back(struct task *task);
/* The pool is terminated: those at work end with their workers. */
void pool_cancel_waiting(struct pool *pool);
/* Into the lists of its pool, with all that follows. False: no memory. */
bool pool_task_enter(struct pool *pool, struct task *task);
/* Out of them, and of all else that knows it; its memory stays. */
void pool_task_leave(struct task *task);
/* Only out of what outlives its pool, which goes. */
void pool_task_forget(struct task *task);
bool pool_batch_enter(struct pool *pool, struct task_batch *batch);
void pool_batch_leave(struct task_batch *batch);

/* ---- pool_keep.c ---- */
/* The tasks that are kept for their results. */
void pool_kept_add(struct task *task);                          /* it has ended last of all */
void pool_kept_remove(struct task *task);
bool pool_kept_sort(struct service *service);   /* by their ends, at the start; false: no memory */
bool pool_make_room(struct service *service, size_t bytes);     /* false: the limit is reached */

/* ---- pool_worker.c ---- */
/* Asks for a process; in spawn mode for this task, else NULL. False: it could not be had, and what follows from
   that has been done. */
bool pool_worker_start(struct pool *pool, struct task *task);
/* NULL: no memory. */
struct pool_worker *pool_worker_make(struct pool *pool, struct process *process);
void pool_worker_assign(struct pool_worker *worker, struct task *task);
struct task *pool_worker_take_first(struct pool_worker *worker);
void pool_worker_touch(struct pool_worker *worker);
void pool_worker_count_open(struct pool_worker *worker);        /* that has grown, or gone */
/* With this signal; 0: its own. SIGKILL follows after its grace. */
void pool_worker_stop(struct pool_worker *worker, int signal);
/* One that is running for a pool that is gone. */
void pool_stop_orphan(struct process *process);
struct pool *pool_of_process(const struct process *process);    /* NULL: it is gone */
/* The process is no worker any more. */
void pool_worker_free(struct pool_worker *worker);

/* ---- pool_feed.c: stdio ---- */
bool pool_worker_idle(const struct pool_worker *worker);
void pool_worker_give(struct pool_worker *worker, struct task *task);
void pool_worker_retire(struct pool_worker *worker);
/* It has nothing to do now. */
void pool_worker_rest(struct pool_worker *worker);
void pool_feed_stop(struct pool_worker *worker);                /* it has ended */
/* Of this task, which it was given, it has certainly read nothing. */
bool pool_feed_is_unread(const struct pool_worker *worker, const struct task *task);
void pool_feed_resume(struct pool_worker *worker);              /* after a restart */

#endif
