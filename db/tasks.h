/*
 * Tasks of pools, their batches and what is remembered of lasting workers, as rows of state.db. The loop
 * owns them in memory; these are their durable form. A task's number is its place in the order of all
 * tasks, given once while a server lives.
 */
#ifndef FORKFUL_DB_TASKS_H
#define FORKFUL_DB_TASKS_H

#include "db/writer.h"

/* What changes while a task waits and runs. Also an entry of the journal (service/journal.h). */
struct task_mark {
    int64_t num;
    int state;                 /* enum task_state */
    unsigned attempts;
    int64_t worker;            /* number of the process that has it; 0: none */
    uint8_t process[16];       /* its id */
    int64_t turn;              /* how many tasks that worker was given before */
    int64_t fed;               /* bytes of the line that its stdin has; negative: see service/pool_feed.c */
    int64_t started_at_us;
};

struct task_row {
    struct task_mark mark;
    uint8_t id[16];
    int64_t pool, batch;       /* numbers; batch 0: none */
    int64_t index;             /* in the batch */
    uint64_t place;            /* in the order in which the batch's tasks ended, from 1; 0: not yet */
    int64_t submitted_at_us, finished_at_us;
    int error, reason;         /* of its end: enum task_error, enum exit_reason */
    bool exitcode_known;
    int exitcode, error_number;
    unsigned stage;
    const char *content_type;  /* of the payload, or NULL */
    const char *history;       /* JSON about former attempts, or NULL */
    const void *payload, *result;   /* NULL: gone, or none */
    size_t payload_bytes, result_bytes;
};

struct task_batch_row {
    int64_t num;
    uint8_t id[16];
    int64_t pool, total, submitted_at_us;
};

struct pool_worker_row {
    int64_t process;           /* its number */
    uint64_t line_start;       /* offset in its stdout of the line that is not complete yet */
    uint64_t served;           /* tasks it has answered */
    int64_t turn;              /* tasks it was given */
    bool retiring;
};

/* Each puts an operation into the batch; what a row points to is copied. False: no memory. */
bool task_row_insert(struct batch *batch, const struct task_row *row);
bool task_row_mark(struct batch *batch, const struct task_mark *mark);
bool task_row_update(struct batch *batch, const struct task_row *row); /* all that may change */
bool task_row_delete(struct batch *batch, int64_t num);
bool task_batch_row_insert(struct batch *batch, const struct task_batch_row *row);
bool task_batch_row_delete(struct batch *batch, int64_t num);
bool pool_worker_row_put(struct batch *batch, const struct pool_worker_row *row);
bool pool_worker_row_delete(struct batch *batch, int64_t process);
bool pool_rows_delete(struct batch *batch, int64_t pool);  /* tasks and batches of one pool */

/* At once, on the caller's connection, inside his transaction: SQLite's code. */
int task_mark_write(struct db *db, const struct task_mark *mark);

/* At the start, each in the order of numbers; `row` returns false to stop. */
int task_rows_load(struct db *db, bool (*row)(void *context, const struct task_row *row),
                   void *context, struct db_error *error);
int task_batch_rows_load(struct db *db, bool (*row)(void *context, const struct task_batch_row *row),
                         void *context, struct db_error *error);
int pool_worker_rows_load(struct db *db,
                          bool (*row)(void *context, const struct pool_worker_row *row),
                          void *context, struct db_error *error);

#endif
