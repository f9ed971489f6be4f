/*
 * The logs: output of processes, stored as chunks, read as records.
 *
 * A chunk holds consecutive segments of one process in order of arrival, both streams mixed. A
 * record is one line; its number (`seq`) counts the process's records from 1 and is given when the
 * line completes: at its newline, at LOG_LINE_BYTES or right behind the UTF-8 character there (then
 * it is `partial` and goes on in the next record of that stream), or when its stream closes. A chunk's row stores the number of the first
 * record that completes in it and the lines that were open at its start, so it can be read alone.
 * log_format.h describes the bytes and holds the one splitter that both writer and readers use.
 *
 * Writing is by operations of a batch. Reading is by `log_read` on a reader's connection, in short
 * statements: a caller asks for a bounded piece, gets records, and asks again with the cursor.
 */
#ifndef FORKFUL_DB_LOGS_H
#define FORKFUL_DB_LOGS_H

#include "db/pattern.h"
#include "db/writer.h"

#define LOG_LINE_BYTES 65536u
#define LOG_LINE_MOST (LOG_LINE_BYTES + 3u) /* with the rest of a character that begins before */
#define LOG_CHUNK_BYTES (128u << 10)

enum log_stream { LOG_STDOUT = 1, LOG_STDERR = 2 };   /* the values of enum fact_stream */
enum log_gap_reason { LOG_GAP_NONE = 0, LOG_GAP_DROP_OLDEST, LOG_GAP_DROP_NEWEST, LOG_GAP_RETENTION,
                      LOG_GAP_KEEPER_LOST, LOG_GAP_TRIMMED, LOG_GAP_REASONS };

/* `position` in these operations is the end of the fact that they come from, in the spool of
   batch->position.spool_id. When logs.db has applied it before (a crash between the two commits)
   the operation is left out. 0: not from the spool, always applied. All are false when memory is
   out. */

/* Appends output. `data` is NOT copied: it points into the spool, which keeps it until the commit.
   `max_bytes` > 0: policy drop_oldest, older chunks of this process go when it stores more. */
bool log_append(struct batch *batch, int64_t process, uint64_t position, enum log_stream stream,
                int64_t at_us, const void *data, size_t bytes, uint64_t max_bytes);
/* The stream has ended: an open line becomes a record. */
bool log_close_stream(struct batch *batch, int64_t process, uint64_t position,
                      enum log_stream stream, int64_t at_us);
/* A gap record: something was not stored. `bytes` 0: not known. `stream` 0: both. The stream's open
   line becomes a partial record before it. */
bool log_gap(struct batch *batch, int64_t process, uint64_t position, enum log_stream stream,
             int64_t at_us, uint64_t bytes, enum log_gap_reason reason);
/* Deletes the records of seq < before (reason LOG_GAP_TRIMMED). Those that do not exist yet are not
   meant. */
bool log_trim(struct batch *batch, int64_t process, uint64_t before_seq);
/* The process has ended and all its streams are closed: merge its small chunks when there is
   time. */
bool log_finished(struct batch *batch, int64_t process, uint64_t position);

struct log_record {
    uint64_t seq;
    int64_t at_us;                  /* when its last byte was read by the keeper */
    enum log_stream stream;         /* 0 for a gap that concerns both */
    bool partial;                   /* cut at LOG_LINE_BYTES, or by a gap */
    bool newline;                   /* it ended with a newline, which stands at data[bytes] */
    enum log_gap_reason gap;        /* LOG_GAP_NONE: a line */
    uint64_t gap_bytes;             /* 0: not known (of what was deleted: known if `after` is 0) */
    uint64_t gap_records;           /* 0: not known */
    const char *data;               /* without the newline; not NUL-terminated */
    size_t bytes;
};

struct log_query {
    int64_t process;
    unsigned streams;               /* bit mask 1 << enum log_stream */
    uint64_t after;                 /* records with seq > after */
    uint64_t before;                /* and seq < before; 0: no bound */
    uint64_t tail;                  /* of what is stored, the last so many that match; 0: all */
    int64_t since_us, until_us;     /* 0: no bound; since ≤ at < until */
    const struct pattern *grep;     /* NULL: all. Gap records always match */
    size_t max_records, max_bytes;  /* of one answer; the call ends after the record to reach one;
                                       raw: max_bytes exactly. 0: no bound */
    size_t max_scan_bytes;          /* give up after so many scanned bytes, with a cursor. 0: never.
                                       A grep that costs much counts as more bytes */
    /* Raw form: the bytes of the records that match, newlines included, in order of arrival, and
       behind them (when no `before`/`until_us` ends it) the lines still open. grep must be NULL. */
    bool raw;
    bool whole;                     /* raw: where bytes that are wanted are gone the call ends */
    /* Where the last call stopped; zero at first, then log_query_advance. */
    bool begun;                     /* raw: the two positions count (else: after, tail, since) */
    uint64_t raw_stdout, raw_stderr; /* raw: bytes of each stream already seen */
    uint64_t tail_before, tail_found; /* a tail search that gave up goes on here */
};

struct log_result {
    uint64_t next_after;            /* the cursor for the next call: all up to it has been seen */
    bool more;                      /* false: reached the end of what is stored now */
    bool next_begun;
    uint64_t next_raw_stdout, next_raw_stderr;
    bool hole;                      /* `whole`: it has ended at missing bytes */
    uint64_t next_tail_before, next_tail_found; /* tail_before > 0: nothing yet, call again */
    uint64_t first_seq, last_seq;   /* what is stored; last_seq 0: no record yet */
    uint64_t stored_stdout, stored_stderr; /* bytes ever appended */
};

/* Makes `query` the continuation of the call that gave `result`: for the next piece when `more`,
   for what comes later (follow) when not. `tail` is used up once records were delivered. */
void log_query_advance(struct log_query *query, const struct log_result *result);

/* Delivers records (or, raw, pieces of bytes as records with data, bytes, stream and time only) in
   order; what was deleted from the old end comes first, as one gap record whose seq is the last
   deleted one's. A false from `record` ends the read after that record. Reader thread. */
int log_read(struct db *reader, const struct log_query *query,
             bool (*record)(void *context, const struct log_record *record), void *context,
             struct log_result *result, struct db_error *error);

/* Totals of one process, for the loop at start: stored bytes, first and last record, bytes ever
   appended (dropped_bytes and trimmed_bytes: of these no longer stored). All zero when nothing was
   ever logged. */
int log_totals(struct db *db, int64_t process, struct log_progress *out, struct db_error *error);

#endif
