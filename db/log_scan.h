/*
 * What the two ways of reading a log (records, raw bytes) share. Private to db/; any thread's
 * connection.
 */
#ifndef FORKFUL_DB_LOG_SCAN_H
#define FORKFUL_DB_LOG_SCAN_H

#include "db/log_chunk.h"

/* One call of log_read: what is asked and what is stored while its snapshot is held. */
struct log_scan {
    struct db *db;
    sqlite3_stmt *commit;          /* ends the transaction of this read */
    const struct log_query *query;
    bool (*record)(void *context, const struct log_record *record);
    void *context;
    struct log_result *result;
    struct log_place first;        /* where the stored log begins */
    enum log_gap_reason gap;       /* of what was deleted before it */
    int64_t gap_at_us;
    uint64_t trimmed_bytes;        /* of what was deleted: by log_trim */
    uint64_t last_seq;             /* of the last record; 0: none */
    uint64_t total[2];             /* bytes ever appended */
    size_t scanned;                /* bytes of chunks fed in this call, and what grep cost */
};

/* The record passes streams, times and grep (not the bounds of seq). */
bool log_scan_matches(struct log_scan *scan, const struct log_record *record);
/* The gap record that stands for what was deleted; false: nothing was. */
bool log_scan_first_gap(const struct log_scan *scan, struct log_record *out);

/* Begins the splitter at a chunk, with its carry. */
int log_scan_begin(struct log_scan *scan, struct log_splitter *splitter,
                   const struct log_chunk *chunk);
/* Feeds a chunk's bytes. SQLITE_OK also when the callback stopped it. */
int log_scan_feed(struct log_scan *scan, struct log_splitter *splitter,
                  const struct log_chunk *chunk);
/* The chunk to start with for records > after; SQLITE_DONE: nothing is stored. */
int log_scan_chunk(struct log_scan *scan, uint64_t after, struct log_chunk *out);
bool log_scan_is_over(const struct log_scan *scan); /* max_scan_bytes reached */

/* ---- log_tail.c ---- */

/* The seq behind which the last `tail` matching records lie. *pending: gave up at max_scan_bytes,
   the result says where to go on. */
int log_tail_find(struct log_scan *scan, uint64_t *after, bool *pending);

/* ---- log_raw.c ---- */

int log_raw_read(struct log_scan *scan);

#endif
