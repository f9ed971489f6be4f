/*
 * Pools: processes that work off tasks, so many at once and no more.
 *
 * In mode `spawn` each task is a process of its own: the payload is its stdin, its stdout the result, exit 0
 * means done, 100 bury, all else retry. In mode `stdio` lasting workers get one line of JSON a task and answer
 * with one line each. A worker is a process we reap, so whatever ends it ends its attempt in the same step, and
 * nothing waits for the dead: the task is tried again, or has failed.
 *
 * What is done exactly once, whatever is killed: a task is given out only when its row is committed, with how the
 * attempt before it ended; whom it was given to is in the spawn record (spawn) or in the journal (stdio) before
 * anybody sees it; what came of it is read from the spool's facts and stored in the batch that stores the fact. See
 * pool_feed.c for the one instant in which a kill leaves something unknown. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_POOL_H
#define FORKFUL_SERVICE_POOL_H

#include "service/privileges.h"
#include "service/task.h"

#define POOL_PROCESSES_MAX 1000

enum pool_mode { POOL_SPAWN, POOL_STDIO };
enum pool_phase { POOL_OPEN, POOL_CLOSED, POOL_TERMINATED };

struct pool_worker {
    struct pool *pool;
    struct process *process;
    struct launch_ticket *ticket;      /* its start is not stored yet */
    bool ready;                        /* its start is stored */
    bool retiring;                     /* it is given nothing more: it ends when it has answered */
    bool mute;                         /* because it has closed its stdout, which nobody had asked for */
    bool stopping;                     /* it was told to end */
    struct task *first, *last;         /* what it has, in the order given */
    int64_t turn;                      /* tasks it was given */
    uint64_t served;                   /* and answered */
    struct text open;                  /* stdio: the line that is not complete; spawn: all of its stdout */
    size_t counted;                    /* bytes that stand for it in the tasks' sum */
    uint64_t seen;                     /* bytes that have come from its stdout */
    uint64_t line_start;               /* up to here they are in complete lines */
    bool too_large, damaged;           /* part of `open` was left out, or lost */
    bool held;                         /* its task's mark is committed, as the journal had no room */
    struct after_commit after;         /* that */
    struct watch room;                 /* in its stdin; fd -1: not watched */
    struct timer timer;                /* of what it waits for: its pipe, idleness, grace */
    int64_t away_us;                   /* how long it has waited for its pipe last */
    struct pool_worker *next, *previous;
    struct pool_worker *next_dirty;
    bool dirty;
};

struct pool {
    struct object object;
    enum pool_mode mode;
    int64_t processes, min_processes;  /* so many workers at most, and at least (stdio) */
    int64_t max_tasks;                 /* after so many a stdio worker is replaced; 0: never */
    int64_t max_attempts;              /* 0: no limit */
    int64_t idle_us;                   /* a worker above the minimum goes when it had nothing to do for so long */
    json_t *spec;                      /* as POST /v1/processes takes it */
    struct privileges *privileges;     /* of the process that made it, which its workers do not exceed; or NULL */
    enum pool_phase phase;

    struct task *first, *last;         /* all that are kept, by num */
    struct id_map by_id;
    struct task *first_queued, *last_queued;     /* by num */
    size_t counts[TASK_STATES];
    struct task_batch *first_batch, *last_batch;
    struct task_batch *loading;        /* at the start: of the last row */
    struct id_map batches_by_id;
    struct pool_worker *first_worker, *last_worker;
    size_t worker_count;
    uint64_t submitted_total, ended_totals[TASK_STATES], workers_total;

    struct wait_list joiners;          /* claims: GRANTED when it is closed, and all is over */
    struct deferred work;              /* give out, start, retire: once a turn */
    struct timer again;                /* until then no worker is started: one could not be */
    int64_t pause_us;                  /* how long that is; 0 again when one has done what it is for */
    unsigned useless;                  /* workers that ended in a row, none of which had answered anything */
    char *last_error;                  /* why; or NULL */
};

extern const struct object_type pool_type;

/* ---- giving ---- */
/* A task of this payload, or all of `count`. Owned by the pool, queued when their rows are committed. NULL: done;
   else closed, full, no memory, and the payloads are freed. */
struct pool_payload {
    struct blob *data;
    const char *content_type;          /* borrowed; or NULL */
};
struct problem *pool_submit(struct pool *pool, struct pool_payload payload, struct task **out);
struct problem *pool_submit_batch(struct pool *pool, struct pool_payload *payloads, size_t count,
                                  struct task_batch **out);
/* The payload as this pool's workers get it (stdio: one line of JSON); `type`: its content type, or NULL. NULL:
   *problem tells why not. */
struct blob *pool_payload_make(const struct pool *pool, const char *type, const char *data,
                               size_t bytes, struct problem **problem);

struct task *pool_find_task(const struct pool *pool, const struct fact_id *id);
struct task_batch *pool_find_batch(const struct pool *pool, const struct fact_id *id);
size_t pool_unfinished(const struct pool *pool);
/* No more tasks; the workers go when all is done. */
void pool_close(struct pool *pool);
/* And what is not done is cancelled, the workers are stopped. */
void pool_terminate(struct pool *pool);
/* Closed, nothing unfinished, no worker left. */
bool pool_is_over(const struct pool *pool);

/* ---- what becomes of its processes (lifecycle.c, launch.c) ---- */
/* A process with pool_num is running: its worker, made when a former server had asked for it. */
void pool_worker_started(struct process *process);
void pool_worker_output(struct pool_worker *worker, const char *data, size_t bytes);
void pool_worker_output_lost(struct pool_worker *worker);
/* It has closed its stdout. */
void pool_worker_mute(struct pool_worker *worker);
/* Its end is in the open batch. */
void pool_worker_ended(struct pool_worker *worker);

/* ---- the server's life ---- */
/* After objects and processes. NULL: done. */
struct problem *pools_load(struct service *service, struct db *db);
/* It is known who lives: work may be given out from now on. */
void pools_resume(struct service *service);
void pool_workers_store_dirty(struct service *service);
/* Tasks that ended long ago, or are too many, go. */
void pools_drop_old(struct service *service);

#endif
