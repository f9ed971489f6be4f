/*
 * The writer: one thread that alone writes both files, one transaction per batch.
 *
 * The loop fills a batch (operations in order, memory from the batch's arena) and submits it; at
 * most one is in flight, the loop fills the next meanwhile: that is group commit. When the batch is
 * committed in logs.db, then in state.db (each with its own position), the writer hands it back
 * through its eventfd. A batch marked durable commits state.db with synchronous=FULL, others
 * NORMAL. An output-only batch touches logs.db alone.
 *
 * Exactly once: logs.db always commits first, so after a crash only logs.db can be ahead (a batch
 * that leaves no row in logs.db is not noted there: run again it leaves none again). The loop reads
 * again from state.db's position (or the spool's tail, when that is newer) and submits the same
 * facts. Each log operation carries the end position of its fact: the writer leaves it out when
 * logs.db has it already. State operations are never left out, and need no position: state.db is
 * never ahead of what the loop reads.
 *
 * SQLITE_FULL, IOERR, BUSY, READONLY: rolled back, kept, tried again every 500 ms until it works;
 * writer_health tells since when and why. Other errors (a constraint: our own mistake) are reported
 * per operation on stderr, and the batch is committed without it. Between batches the writer does
 * background work in slices of ≤ 20 ms: compaction of small chunks, deleting doomed logs,
 * retention, incremental vacuum; a thread of its own copies the WALs back (checkpointer.h).
 */
#ifndef FORKFUL_DB_WRITER_H
#define FORKFUL_DB_WRITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db/db.h"

struct writer;
struct operation;

/* `run` executes on the writer thread inside the transaction; returns an SQLite code. */
struct operation_type {
    const char *name;
    enum db_file file;
    int (*run)(struct writer *writer, struct operation *operation);
};

struct operation {                     /* first member of every operation struct */
    struct operation *next;
    const struct operation_type *type;
};

/* What one batch did to one process's log, for the loop (followers, retention counters). Of an
   operation that was left out nothing is told: log_totals at start has told it. */
struct log_progress {
    int64_t process;                   /* processes.num */
    uint64_t first_seq, last_seq;      /* records now stored (last_seq 0: none yet) */
    uint64_t stored_bytes;             /* output bytes now stored */
    uint64_t dropped_bytes;            /* deleted since the last report by drop_oldest or (between
                                          batches) by retention */
    uint64_t trimmed_bytes;            /* and by log_trim: somebody asked for it */
    uint64_t stdout_bytes, stderr_bytes; /* ever appended, deleted ones too; exact after a crash */
};

struct batch {
    struct batch *next;
    struct operation *first, *last;
    size_t operations;                 /* how many */
    size_t output_bytes;               /* spool bytes that operations point into */
    bool durable;
    bool has_position;
    struct db_position position;       /* applied when this batch is committed */
    void *context;                     /* the loop's: what to do after the commit */
    /* Filled by the writer: */
    struct log_progress *progress;     /* in the arena */
    size_t progress_count;
    /* The arena (private). */
    struct arena_block *arena;
};

/* Takes over `db`. `event_fd` (an eventfd, not owned) is written after each finished batch, and
   when there is news. */
struct writer *writer_start(struct db *db, int event_fd, struct db_error *error);
/* Commits what was submitted, ends the thread, closes the database. */
void writer_stop(struct writer *writer);

struct batch *batch_new(void);
void batch_free(struct batch *batch);
/* What freed batches have left for the next ones in this thread. */
void batch_thread_ends(void);
/* Zeroed memory that lives as long as the batch; NULL when memory is out. */
void *batch_alloc(struct batch *batch, size_t bytes);
void *batch_copy(struct batch *batch, const void *data, size_t bytes); /* adds a NUL behind it */
/* Replaces the string by the batch's copy of it; NULL stays. False when memory is out. */
bool batch_keep(struct batch *batch, const char **text);
/* An operation of `bytes` of the given type, appended. NULL when memory is out. */
void *batch_add(struct batch *batch, const struct operation_type *type, size_t bytes);

/* Hands the batch over (loop thread). At most one at a time: writer_busy tells. */
void writer_submit(struct writer *writer, struct batch *batch);
bool writer_busy(struct writer *writer);
/* The finished batch, or NULL; the loop frees it. */
struct batch *writer_collect(struct writer *writer);
/* Background work has deleted output: the next batch brings its progress, be it an empty one. */
bool writer_has_news(struct writer *writer);

struct writer_health {
    bool degraded;                     /* the last try failed */
    bool full;                         /* because no space is left */
    int64_t since_us;                  /* wall clock */
    char text[400];
    uint64_t batches, operations, retries;
    uint64_t durable_batches;          /* of these: with an fsync before anybody is told */
    uint64_t left_out;                 /* operations that failed for good; stderr has each */
    uint64_t log_bytes;                /* stored in logs.db by all processes */
};
void writer_health(struct writer *writer, struct writer_health *out); /* any thread */

struct db *writer_db(struct writer *writer);                          /* writer thread only */

/* Limits that the background work keeps; may be set at any time from the loop. */
struct writer_limits {
    uint64_t total_log_bytes;          /* 0: no limit */
    uint64_t logs_wal_bytes;           /* of this length the WAL of logs.db is emptied; 0: 512 MiB */
    uint64_t changes_max, log_max;     /* rows kept in the feeds */
    int64_t feed_age_us;
    uint64_t audit_max;
    int64_t audit_age_us;
    int64_t idempotency_age_us;
};
void writer_set_limits(struct writer *writer, const struct writer_limits *limits);

#endif
