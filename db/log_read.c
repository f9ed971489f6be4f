/*
 * Reading records: the chunk with the first wanted one, and on from there.
 *
 * One call is one snapshot of logs.db, ended before it returns, so a slow client never holds the
 * WAL. Bounds are checked per record; limits of work per record and per chunk.
 */
#include "db/logs.h"

#include <stdlib.h>
#include <string.h>

#include "db/log_scan.h"
#include "db/statement.h"
#include "service/fault.h"

/* So many steps of grep take as long as to read and split a byte. */
#define STEPS_PER_BYTE 4

/* ---- what both ways share ---- */

bool log_scan_matches(struct log_scan *scan, const struct log_record *record)
{
    const struct log_query *query = scan->query;
    unsigned streams = query->streams;
    if (record->stream && !(streams >> record->stream & 1)) {
        return false;
    }
    if (query->since_us && record->at_us < query->since_us) {
        return false;
    }
    if (query->until_us && record->at_us >= query->until_us) {
        return false;
    }
    if (!query->grep || record->gap) {
        return true;
    }
    uint64_t steps = 0;
    bool found = pattern_find_counted(query->grep, record->data, record->bytes, &steps);
    scan->scanned += (size_t)(steps / STEPS_PER_BYTE);
    return found;
}

bool log_scan_first_gap(const struct log_scan *scan, struct log_record *out)
{
    if (!scan->gap || scan->first.next_seq < 2) {
        return false;
    }
    uint64_t after = scan->query->after, last = scan->first.next_seq - 1;
    uint64_t gone = log_bytes_gone(&scan->first);
    *out = (struct log_record){
        .seq = last, .at_us = scan->gap_at_us, .gap = scan->gap, .data = "",
        .gap_records = last > after ? last - after : 0, .gap_bytes = after ? 0 : gone,
    };
    return last > after;
}

struct beginning {
    struct log_splitter *splitter;
    const struct log_place *place;
    struct log_scan *scan;
};

static int begin_with(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)data, (void)bytes;
    struct beginning *beginning = context;
    bool fine = log_splitter_begin(beginning->splitter, beginning->place, carry);
    return fine ? SQLITE_OK : SQLITE_NOMEM;
}

int log_scan_begin(struct log_scan *scan, struct log_splitter *splitter,
                   const struct log_chunk *chunk)
{
    struct beginning beginning = { splitter, &chunk->start, scan };
    if (log_open_bytes(&chunk->start) == 0) {
        return begin_with(&beginning, "", NULL, 0);
    }
    if (log_chunk_is_key(chunk)) {
        return log_chunk_bytes(scan->db, chunk, begin_with, &beginning);
    }
    struct log_carry carry = { 0 };
    int code = log_carry_load(scan->db, chunk, &carry);
    if (code == SQLITE_OK) {
        code = begin_with(&beginning, carry.data, NULL, 0);
    }
    log_carry_free(&carry);
    return code;
}

static int feed_with(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)carry;
    struct beginning *beginning = context;
    struct log_splitter *splitter = beginning->splitter;
    beginning->scan->scanned += bytes;
    if (log_splitter_feed(splitter, data, bytes) || splitter->stopped) {
        return SQLITE_OK;
    }
    return splitter->no_memory ? SQLITE_NOMEM : SQLITE_CORRUPT;
}

int log_scan_feed(struct log_scan *scan, struct log_splitter *splitter,
                  const struct log_chunk *chunk)
{
    struct beginning beginning = { splitter, &chunk->start, scan };
    return log_chunk_bytes(scan->db, chunk, feed_with, &beginning);
}

int log_scan_chunk(struct log_scan *scan, uint64_t after, struct log_chunk *out)
{
    int code = log_chunk_find(scan->db, scan->query->process, after < INT64_MAX ? after + 1 : after,
                              out);
    return code == SQLITE_DONE ? log_chunk_first(scan->db, scan->query->process, out) : code;
}

bool log_scan_is_over(const struct log_scan *scan)
{
    size_t limit = scan->query->max_scan_bytes;
    return limit && scan->scanned >= limit;
}

/* ---- records ---- */

struct forward {
    struct log_scan *scan;
    struct log_splitter splitter;
    uint64_t after, before;       /* records with after < seq < before are looked at */
    uint64_t seen;                /* the last one looked at */
    size_t records, bytes;        /* delivered */
    bool ended;                   /* `before` was reached */
};

static bool within_limits(const struct forward *forward)
{
    const struct log_query *query = forward->scan->query;
    return (!query->max_records || forward->records < query->max_records) &&
           (!query->max_bytes || forward->bytes < query->max_bytes);
}

static bool take_record(void *context, const struct log_record *record)
{
    struct forward *forward = context;
    struct log_scan *scan = forward->scan;
    if (record->seq <= forward->after) {
        return true;
    }
    forward->ended = record->seq >= forward->before;
    if (forward->ended) {
        return false;
    }
    forward->seen = record->seq;
    if (!log_scan_matches(scan, record)) {
        return true;
    }
    forward->records++;
    forward->bytes += record->bytes;
    return scan->record(scan->context, record) && within_limits(forward);
}

static bool follows(const struct log_chunk *chunk, const struct log_chunk *next)
{
    return chunk->start.next_seq + chunk->records == next->start.next_seq &&
           chunk->start.total[0] + chunk->bytes[0] == next->start.total[0] &&
           chunk->start.total[1] + chunk->bytes[1] == next->start.total[1];
}

/* Chunks whose times are out of bounds are passed over; behind a hole the splitter begins anew.
   *stopped: before the end of what is stored. */
static int walk_forward(struct forward *forward, struct log_chunk *chunk, bool *stopped)
{
    struct log_scan *scan = forward->scan;
    const struct log_query *query = scan->query;
    int64_t since = query->since_us ? query->since_us : INT64_MIN;
    int64_t until = query->until_us ? query->until_us : INT64_MAX;
    bool wanted = chunk->last_at_us >= since && chunk->first_at_us < until;
    bool continues = false;
    for (;;) {
        struct log_chunk at = *chunk;
        int code = SQLITE_OK;
        if (wanted && !continues) {
            code = log_scan_begin(scan, &forward->splitter, &at);
        }
        if (wanted && code == SQLITE_OK) {
            code = log_scan_feed(scan, &forward->splitter, &at);
        }
        *stopped = forward->splitter.stopped || log_scan_is_over(scan);
        if (code != SQLITE_OK || *stopped) {
            return code;
        }
        code = log_chunk_next(scan->db, &at, since, until, chunk);
        if (code != SQLITE_ROW) {
            return code == SQLITE_DONE ? SQLITE_OK : code;
        }
        continues = wanted && follows(&at, chunk);
        wanted = true;
    }
}

static bool deliver_first_gap(struct forward *forward)
{
    struct log_scan *scan = forward->scan;
    struct log_record gap;
    if (!log_scan_first_gap(scan, &gap) || gap.seq <= forward->after ||
        gap.seq >= forward->before) {
        return true;
    }
    forward->seen = forward->after = gap.seq;
    if (!log_scan_matches(scan, &gap)) {
        return true;
    }
    forward->records++;
    return scan->record(scan->context, &gap) && within_limits(forward);
}

static int read_forward(struct log_scan *scan, uint64_t after)
{
    uint64_t before = scan->query->before ? scan->query->before : UINT64_MAX;
    struct forward forward = { .scan = scan, .after = after, .before = before, .seen = after };
    forward.splitter.record = take_record;
    forward.splitter.context = &forward;
    struct log_chunk chunk;
    bool stopped = !deliver_first_gap(&forward);
    int code = SQLITE_OK;
    if (!stopped && forward.after < scan->last_seq && forward.after + 1 < before) {
        code = log_scan_chunk(scan, forward.after, &chunk);
        code = code == SQLITE_ROW ? walk_forward(&forward, &chunk, &stopped)
               : code == SQLITE_DONE ? SQLITE_OK : code;
    }
    uint64_t end = scan->last_seq < before - 1 ? scan->last_seq : before - 1;
    bool more = stopped && !forward.ended && forward.seen < end;
    scan->result->more = more;
    scan->result->next_after = more || forward.seen > end ? forward.seen : end;
    log_splitter_end(&forward.splitter);
    return code;
}

static int read_records(struct log_scan *scan)
{
    const struct log_query *query = scan->query;
    uint64_t after = query->after;
    bool pending = false;
    int code = query->tail ? log_tail_find(scan, &after, &pending) : SQLITE_OK;
    if (code != SQLITE_OK || pending) {
        scan->result->more = true;
        scan->result->next_after = query->after;
        return code;
    }
    return read_forward(scan, after);
}

/* ---- the call ---- */

static int load_bounds(struct log_scan *scan)
{
    struct log_start start;
    struct log_chunk last = { 0 };
    int code = log_start_get(scan->db, scan->query->process, &start);
    scan->first = start.place;
    scan->gap = start.reason;
    scan->gap_at_us = start.at_us;
    scan->trimmed_bytes = start.trimmed_bytes;
    log_start_free(&start);
    if (code == SQLITE_OK) {
        code = log_chunk_last(scan->db, scan->query->process, &last);
    }
    const struct log_place *end = &scan->first;
    if (code == SQLITE_ROW) {
        last.start.next_seq += last.records;
        last.start.total[0] += last.bytes[0];
        last.start.total[1] += last.bytes[1];
        end = &last.start;
    } else if (code != SQLITE_DONE) {
        return code;
    }
    scan->last_seq = end->next_seq - 1;
    memcpy(scan->total, end->total, sizeof scan->total);
    return SQLITE_OK;
}

/* Both statements are there before the first one runs: the end of a transaction may not need memory, or the connection
   would stay in it for good. */
static int begin(struct log_scan *scan)
{
    static const char begins[] = "BEGIN", ends[] = "COMMIT";
    sqlite3_stmt *first = db_statement(scan->db, DB_LOGS, begins, NULL);
    scan->commit = first ? db_statement(scan->db, DB_LOGS, ends, NULL) : NULL;
    return scan->commit ? statement_run(first) : db_prepare_failed(scan->db, DB_LOGS);
}

static int finish(struct log_scan *scan, int code, struct db_error *error)
{
    if (code != SQLITE_OK) {
        db_error_set(error, scan->db, DB_LOGS, code, "cannot read a log");
    }
    if (!sqlite3_get_autocommit(db_handle(scan->db, DB_LOGS))) {
        statement_run(scan->commit);
    }
    return code;
}

int log_read(struct db *reader, const struct log_query *query,
             bool (*record)(void *context, const struct log_record *record), void *context,
             struct log_result *result, struct db_error *error)
{
    struct log_scan scan = { .db = reader, .query = query, .record = record, .context = context,
                             .result = result };
    memset(result, 0, sizeof *result);
    int code = FAULT_ERRNO("log_read")
                   ? SQLITE_IOERR
                   : begin(&scan);
    if (code == SQLITE_OK) {
        code = load_bounds(&scan);
    }
    if (code != SQLITE_OK) {
        return finish(&scan, code, error);
    }
    result->first_seq = scan.first.next_seq;
    result->last_seq = scan.last_seq;
    result->stored_stdout = scan.total[0];
    result->stored_stderr = scan.total[1];
    code = query->raw ? log_raw_read(&scan) : read_records(&scan);
    return finish(&scan, code, error);
}

void log_query_advance(struct log_query *query, const struct log_result *result)
{
    query->tail_before = result->next_tail_before;
    query->tail_found = result->next_tail_found;
    if (result->next_tail_before) {
        return;
    }
    query->tail = 0;
    query->after = result->next_after;
    if (!query->raw) {
        return;
    }
    query->begun = result->next_begun;
    query->raw_stdout = result->next_raw_stdout;
    query->raw_stderr = result->next_raw_stderr;
}

int log_totals(struct db *db, int64_t process, struct log_progress *out, struct db_error *error)
{
    struct log_query query = { .process = process };
    struct log_scan scan = { .db = db, .query = &query };
    int code = load_bounds(&scan);
    memset(out, 0, sizeof *out);
    out->process = process;
    if (code != SQLITE_OK) {
        return db_error_set(error, db, DB_LOGS, code, "cannot read a log");
    }
    uint64_t total = scan.total[0] + scan.total[1];
    if (total == 0 && scan.last_seq == 0) {
        return SQLITE_OK;
    }
    out->first_seq = scan.first.next_seq;
    out->last_seq = scan.last_seq;
    out->stored_bytes = total - log_bytes_gone(&scan.first);
    out->trimmed_bytes = scan.trimmed_bytes;
    out->dropped_bytes = total - out->stored_bytes - out->trimmed_bytes;
    out->stdout_bytes = scan.total[0];
    out->stderr_bytes = scan.total[1];
    return SQLITE_OK;
}
