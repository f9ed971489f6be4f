/*
 * The writer's view of the logs: for each process that is being written, where its log stands and
 * the chunk being built. Writer thread only.
 *
 * An appender is loaded from its process's last chunk when first needed and forgotten when the
 * process has finished or was quiet for long. Within a transaction rows are written as chunks fill
 * and by log_store_flush; after a rollback log_store_reset forgets everything that was not
 * committed.
 */
#ifndef FORKFUL_DB_LOG_STORE_H
#define FORKFUL_DB_LOG_STORE_H

#include "db/log_chunk.h"

#define LOG_SMALL_BYTES 4000u        /* a last chunk shorter than this is built on, not followed */
#define LOG_BUFFERED_BYTES (8u << 20) /* all chunks being built together, at most about */
#define LOG_MERGE_ROWS 64u           /* so many small rows of a running process are worth a merge */

struct log_deleted {                 /* bytes of output */
    uint64_t dropped;                /* drop_oldest, retention */
    uint64_t trimmed;                /* log_trim */
};

struct log_appender {
    struct log_appender *next;         /* in its hash slot */
    struct log_appender *next_touched;
    int64_t process;
    struct log_place first;            /* where the stored log begins */
    struct log_place end;              /* where it ends, the chunk being built included */
    struct log_chunk chunk;            /* being built, else the last one stored (id 0: none) */
    struct log_bytes bytes;            /* its content while it is being built */
    struct log_carry carry;            /* at chunk.start while building, else at `end` */
    uint64_t unkeyed;                  /* bytes of chunks before `chunk` since the last key chunk */
    uint64_t row_stored;               /* what `chunk` counts in the total already */
    uint64_t max_bytes;                /* policy drop_oldest; 0: none */
    struct log_deleted deleted;        /* in this transaction */
    struct log_deleted unreported;     /* committed, but not told to the loop yet */
    uint64_t trimmed_ever;             /* what log_start tells, this transaction included */
    uint64_t used;                     /* number of the transaction that used it last */
    unsigned small_rows;               /* short rows written since the last merge */
    bool building, touched, finished;
    bool stale;                        /* after a rollback: must be loaded again */
};

#define LOG_STORE_SLOTS 1024u
#define LOG_MERGE_QUEUE 1024u

struct log_merge {                   /* a wish to have small chunks joined */
    int64_t process;
    int64_t after_id;                /* the rows up to it are done */
    size_t chunk_bytes;              /* of the joined ones, at most about */
};

struct log_store {
    struct db *db;
    struct log_appender *slots[LOG_STORE_SLOTS];
    struct log_appender *touched;
    struct log_bytes spare;          /* memory for the next chunk */
    size_t buffered;                 /* put since the last time that all rows were written */
    uint64_t transaction;            /* counts them */
    uint64_t total, committed_total;
    int64_t known_process;           /* no process above it has a row: nothing to load */
    int64_t committed_known_process;
    struct log_merge merges[LOG_MERGE_QUEUE]; /* a ring; what does not fit waits */
    unsigned merge_first, merge_count;
};

struct log_store *log_store_new(struct db *db, int *code);
void log_store_free(struct log_store *store);

/* The process's appender, marked as touched by this transaction. NULL: *code tells. */
struct log_appender *log_store_get(struct log_store *store, int64_t process, int *code);

/* Appends a segment; long data is spread over chunks. */
int log_store_put(struct log_store *store, struct log_appender *appender,
                  const struct log_segment *segment);
/* Writes the row of the chunk being built, if there is one. */
int log_store_close_chunk(struct log_store *store, struct log_appender *appender);
/* Writes the rows of all chunks being built and gives their memory back. */
int log_store_close_all(struct log_store *store);
/* The same, and the total: before COMMIT. */
int log_store_flush(struct log_store *store);
/* Tells what happened: after COMMIT. `batch` NULL: background work, told with the next batch. */
void log_store_committed(struct log_store *store, struct batch *batch);
/* Between transactions: something is left to tell. */
bool log_store_has_news(const struct log_store *store);
/* After ROLLBACK. */
void log_store_reset(struct log_store *store);

/* The process's record is deleted: nothing is known or told about it any more. */
void log_store_forget(struct log_store *store, int64_t process);
/* Forgets what was not used in the last so many transactions. */
void log_store_evict(struct log_store *store, uint64_t transactions);

/* Bytes that all rows take; rows written and deleted are counted by log_store_count. */
uint64_t log_store_total(const struct log_store *store);
void log_store_count(struct log_store *store, uint64_t added, uint64_t removed);

/* Takes the next wish. False: there is none. */
bool log_store_next_merge(struct log_store *store, struct log_merge *out);
/* Output bytes of a full chunk: small limits need small chunks to be kept with any precision. */
uint64_t log_chunk_target(const struct log_appender *appender);

/* ---- log_drop.c: deleting from the old end, within the transaction of the caller ---- */

/* Deletes the oldest chunks while the newer ones still hold max_bytes. */
int log_drop_oldest(struct log_store *store, struct log_appender *appender);
/* Deletes the chunks before `boundary` (NULL: all). */
int log_drop_before(struct log_store *store, struct log_appender *appender,
                    const struct log_chunk *boundary, enum log_gap_reason reason);
/* Deletes the records of seq < before_seq (log_trim): whole chunks and the beginning of one. */
int log_trim_before(struct log_store *store, struct log_appender *appender, uint64_t before_seq);
/* Deletes at most `limit` chunks of a process whose record is gone; *left: there are more. */
int log_drop_doomed(struct log_store *store, int64_t process, unsigned limit, bool *left);

/* ---- log_cut.c ---- */

/* Takes the records of seq < before_seq out of a stored chunk, which has them and later ones, and
   makes it a key chunk. *chunk is then as stored; *at_us: when the last of them ended. */
int log_cut_chunk(struct db *db, struct log_chunk *chunk, uint64_t before_seq, int64_t *at_us);

/* ---- log_merge.c ---- */

/* Joins neighbouring small chunks of merge->process. Looks at `limit` rows at most, from those
   behind merge->after_id (0 at first) on, which is then where to go on; 0: done. */
int log_merge_rows(struct log_store *store, struct log_merge *merge, unsigned limit);

#endif
