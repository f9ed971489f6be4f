/*
 * Tasks: what a pool is given to do, one payload each, and what came of it. Batches: tasks that were given
 * together and whose results are read in order.
 *
 *   queued → running → done
 *      ↑________|         failed · buried · cancelled
 *
 * Here is what a task is by itself: how it is made, shown, stored, remembered and dropped. Who runs it
 * is pool.h. Tasks that have ended are kept for their results, up to a number, an age and a sum of bytes;
 * the oldest end goes first. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_TASK_H
#define FORKFUL_SERVICE_TASK_H

#include "db/tasks.h"
#include "service/claim.h"
#include "service/id.h"
#include "service/id_map.h"
#include "service/process.h"

#define TASK_ATTEMPTS 16               /* so many former ones are remembered */
#define TASK_BATCH_MAX 10000
#define TASK_BYTES (sizeof(struct task) + 64)  /* what each needs, whatever it has: itself and its places */

/* Stored in the database: append only. */
enum task_state {
    TASK_QUEUED, TASK_RUNNING, TASK_DONE, TASK_FAILED, TASK_BURIED, TASK_CANCELLED, TASK_STATES
};
enum task_error {
    TASK_FINE,
    TASK_PROCESS_ENDED,                /* `reason` and exit code tell how */
    TASK_SPAWN_FAILED,                 /* errno and stage tell why */
    TASK_RESULT_TOO_LARGE,
    TASK_OUTPUT_LOST,                  /* part of the result was not kept, or nobody has read it */
    TASK_UNSURE,                       /* the daemon was killed while it wrote the task to its worker */
    TASK_TERMINATED,                   /* the pool was */
    TASK_ERRORS
};

struct task_outcome {                  /* of an attempt, or of the task; zeroed = none yet */
    enum task_error error;
    enum exit_reason reason;
    bool exitcode_known;
    int exitcode;                      /* as Python tells it */
    int error_number;                  /* errno */
    unsigned stage;                    /* enum spawn_stage */
};

struct task_attempt {
    unsigned number;                   /* 1 is the first; 0: there was none */
    struct fact_id process;
    int64_t started_at_us, ended_at_us;
    struct task_outcome outcome;
};

struct task_attempts {                 /* former ones, oldest first */
    size_t count;
    struct task_attempt items[TASK_ATTEMPTS];
};

struct blob {                          /* one allocation */
    size_t bytes;
    char data[];                       /* and a NUL */
};

struct task {
    struct fact_id id;
    int64_t num;                       /* in the order of all tasks */
    struct pool *pool;
    struct task_batch *batch;          /* or NULL */
    size_t index;                      /* in the batch */
    size_t place;                      /* in the order in which its batch's tasks ended, from 1; 0: not yet */
    enum task_state state;
    bool queued;                       /* it stands in its pool's queue */
    int64_t submitted_at_us, finished_at_us;
    struct blob *payload;              /* stdio: one line, with its newline. NULL when it has ended */
    char *content_type;                /* of the payload, or NULL */
    struct blob *result;               /* or NULL */
    struct task_outcome outcome;       /* when it has ended: its last attempt's, or why there was no other */
    size_t counted;                    /* bytes that stand for it in the table's sum */
    struct task_attempt last;          /* the present attempt, or the one before it */
    struct task_attempts *former;      /* that came to nothing, `last` too when another was to follow; or NULL */
    struct pool_worker *worker;        /* RUNNING: who has it; NULL only at the start */
    int64_t worker_num, turn;          /* at the start: which process, and when in its order */
    int64_t fed;                       /* bytes of the line that are written; see pool_feed.c */
    bool unsure;                       /* a write is under way: it may or may not have been done */
    struct wait_list waiters;          /* claims: GRANTED when it has ended */
    struct after_commit after;         /* that it waits is committed: it may be given to somebody */
    struct timer again;                /* a retry that is put off */
    struct task *next, *previous;                /* of its pool, by num */
    struct task *next_queued, *previous_queued;
    struct task *next_assigned;                  /* of its worker, in order */
    struct task *next_dirty;
    struct task *next_kept, *previous_kept;
    enum { TASK_CLEAN, TASK_MARKED, TASK_CHANGED } dirty; /* what of its row must be written */
};

struct task_batch {
    struct fact_id id;
    int64_t num;
    struct pool *pool;
    int64_t submitted_at_us;
    size_t total, ended;
    size_t counts[TASK_STATES];
    size_t dropped;                    /* of the ended ones: not kept any more */
    struct task **tasks;               /* by index; NULL: dropped. Owned */
    size_t *order;                     /* indexes, in the order of their ends; owned */
    struct wait_list waiters;          /* claims: GRANTED when anything in it has ended */
    struct task_batch *next, *previous;          /* of its pool */
};

struct task_table {                    /* of all pools */
    int64_t last_num, last_batch_num;
    uint64_t bytes;                    /* tasks with all they have, and what workers have not written to its end */
    struct task *dirty;
    struct task *first_kept, *last_kept; /* for their results, in the order of their ends */
    size_t kept;
    struct pool_worker *dirty_workers;
};

const char *task_state_name(enum task_state state);
bool task_state_from_name(const char *name, size_t bytes, enum task_state *out);
bool task_ended(const struct task *task);

/* NULL: no memory. */
struct blob *blob_make(const void *data, size_t bytes);

/* ---- one task; it is in no list yet ---- */
/* Takes the payload; `content_type` is copied. NULL: no memory (and the payload is freed). */
struct task *task_new(struct pool *pool, struct blob *payload, const char *content_type);
void task_free(struct task *task);     /* in no list, no timer set, nobody waits */
/* It is given to somebody: the next attempt begins. */
void task_begin_attempt(struct task *task, const struct fact_id *process);
void task_end_attempt(struct task *task, const struct task_outcome *outcome);
/* It has ended and another is to follow: it goes into the history. */
void task_remember_attempt(struct task *task);
bool task_remembers_last(const struct task *task);
size_t task_bytes(const struct task *task);        /* of memory, with all it has */
/* It was not begun after all. */
void task_undo_attempt(struct task *task);

/* {"id":…,"pool":…,"state":…, …} */
void task_json(struct text *text, const struct task *task);
/* Of it, or of one that is not kept any more, what the results of its batch tell: {"task":…,"result":…, …} */
void task_result_json(struct text *text, const struct task_batch *batch, size_t index);

/* ---- batches ---- */
/* NULL: no memory. */
struct task_batch *task_batch_new(struct pool *pool, size_t total);
void task_batch_free(struct task_batch *batch);
/* {"id":…,"total":…,"done":…, …} */
void task_batch_json(struct text *text, const struct task_batch *batch);
/* One of its tasks has ended just now. */
void task_batch_ended(struct task_batch *batch, struct task *task);
bool task_batch_complete(const struct task_batch *batch);

/* ---- the durable form ---- */
void task_touch(struct task *task, bool changed);  /* false: what struct task_mark has, only */
void task_mark_of(const struct task *task, struct task_mark *out);
void task_insert(struct task *task);               /* into the open batch */
void tasks_store_dirty(struct service *service);
void task_forget_dirty(struct task *task);         /* it goes */
void task_history_write(struct text *text, const struct task *task);
bool task_history_read(const char *history, struct task *task);    /* false: no memory */
/* NULL: no memory. Pool, batch and worker are not set. */
struct task *task_from_row(const struct task_row *row);

#endif
