/*
 * What the tasks of upkeep share. Private to upkeep.c and retention.c; writer thread only.
 *
 * A task does a piece of its work, in a transaction of its own, and says whether there is more. A
 * failing task is no error of anybody's batch: all are left alone for some seconds.
 */
#ifndef FORKFUL_DB_UPKEEP_TASKS_H
#define FORKFUL_DB_UPKEEP_TASKS_H

#include "db/log_store.h"
#include "db/upkeep.h"
#include "db/wal.h"

enum outcome { TASK_DONE, TASK_MORE, TASK_FAILED };

struct upkeep {
    struct log_store *store;
    struct db *db;
    struct wal wal;
    const struct writer_limits *limits;   /* of this slice */
    int64_t paused_until_us;              /* after a failure */
    int64_t shared_at_us;                 /* when those that can wait had their turn under load */
    bool behind;                          /* and did not come to the end of what is to be deleted */
    int64_t aged_at_us;                   /* when ages were looked at */
    struct log_merge merge;               /* the process being merged; 0: none */
    unsigned next_task;                   /* of those at leisure */
    int64_t batch_at_us;                  /* when the last batch came */
    bool rested;                          /* the WALs are empty and memory was given back */
};

/* ---- upkeep.c ---- */

int64_t upkeep_now_us(void);              /* CLOCK_MONOTONIC */
int upkeep_execute(struct upkeep *upkeep, enum db_file file, const char *sql);
/* Ends a transaction on logs.db that went well up to `code`: commits, or rolls back. */
int upkeep_end_logs(struct upkeep *upkeep, int code);
/* Runs a statement with these parameters. */
int upkeep_run(struct upkeep *upkeep, enum db_file file, const char *sql, const int64_t *numbers,
               int count);
/* The first column of the first row; 0: there is none, or it cannot be read now. */
int64_t upkeep_query(struct upkeep *upkeep, enum db_file file, const char *sql);

/* ---- retention.c: tasks ---- */

enum outcome retention_keep_total(struct upkeep *upkeep);
enum outcome retention_drop_doomed(struct upkeep *upkeep);
enum outcome retention_trim_feeds(struct upkeep *upkeep);
enum outcome retention_trim_answers(struct upkeep *upkeep);
enum outcome retention_note_ages(struct upkeep *upkeep); /* last of those that look at ages */

#endif
