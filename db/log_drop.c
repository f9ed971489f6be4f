/*
 * Deleting from the old end of a log: limits per process and in total, trim, deleted processes.
 *
 * Limits delete whole chunks; a trim takes the first records out of the chunk it ends in
 * (log_cut.c). What remains is described by log_start: the place where the log begins now, the
 * bytes of the lines open there (their beginnings went with the chunks), and the reason, which
 * readers show as one gap record before the first record.
 */
#include <string.h>

#include "db/log_store.h"
#include "db/statement.h"

static uint64_t stored_output(const struct log_appender *appender)
{
    return appender->end.total[0] + appender->end.total[1] - appender->first.total[0] -
           appender->first.total[1];
}

/* Binds (process, first_seq, id) of the boundary; without one everything lies before it. */
static sqlite3_stmt *range_statement(struct db *db, const char *sql, int64_t process,
                                     const struct log_chunk *boundary)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return NULL;
    }
    sqlite3_bind_int64(statement, 1, process);
    sqlite3_bind_int64(statement, 2, boundary ? (int64_t)boundary->start.next_seq : INT64_MAX);
    sqlite3_bind_int64(statement, 3, boundary ? boundary->id : INT64_MAX);
    return statement;
}

/* What the rows before the boundary take (0: there are none), and the latest time in them and in
   *last_at_us. */
static int measure(struct db *db, int64_t process, const struct log_chunk *boundary,
                   uint64_t *stored, int64_t *last_at_us)
{
    static const char sql[] =
        "SELECT count(*), sum(length(carry) + data_bytes), max(last_at) FROM chunk"
        " WHERE process=?1 AND first_seq<=?2 AND id<?3";
    sqlite3_stmt *statement = range_statement(db, sql, process, boundary);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        uint64_t rows = (uint64_t)sqlite3_column_int64(statement, 0);
        *stored = rows * LOG_ROW_BYTES + (uint64_t)sqlite3_column_int64(statement, 1);
        if (rows && sqlite3_column_int64(statement, 2) > *last_at_us) {
            *last_at_us = sqlite3_column_int64(statement, 2);
        }
        code = SQLITE_OK;
    }
    sqlite3_reset(statement);
    return code;
}

static int delete_before(struct db *db, int64_t process, const struct log_chunk *boundary)
{
    static const char sql[] = "DELETE FROM chunk WHERE process=?1 AND first_seq<=?2 AND id<?3";
    sqlite3_stmt *statement = range_statement(db, sql, process, boundary);
    return statement ? statement_run(statement) : db_prepare_failed(db, DB_LOGS);
}

/* The place and the open bytes where the log will begin. A key chunk has the bytes itself. */
static int new_start(struct db *db, const struct log_appender *appender,
                     const struct log_chunk *boundary, struct log_start *start)
{
    if (!boundary) {
        start->place = appender->end;
        if (appender->carry.known) {
            return log_carry_set(&start->carry, appender->end.open, appender->carry.data);
        }
        return log_carry_load_end(db, &appender->chunk, &start->carry);
    }
    start->place = boundary->start;
    return log_chunk_is_key(boundary) ? SQLITE_OK : log_carry_load(db, boundary, &start->carry);
}

/* The log begins at the start of the boundary now. */
static void note_start(struct log_appender *appender, const struct log_start *start, bool emptied)
{
    uint64_t deleted = log_bytes_gone(&start->place) - log_bytes_gone(&appender->first);
    appender->first = start->place;
    if (start->reason == LOG_GAP_TRIMMED) {
        appender->deleted.trimmed += deleted;
    } else {
        appender->deleted.dropped += deleted;
    }
    appender->trimmed_ever = start->trimmed_bytes;
    if (emptied) {
        appender->chunk = (struct log_chunk){ .process = appender->process };
        appender->unkeyed = UINT32_MAX;
    }
}

/* *start has reason and time. The appender's chunk is stored, not being built: all callers see to
   that. */
static int move_start(struct log_store *store, struct log_appender *appender,
                      const struct log_chunk *boundary, struct log_start *start)
{
    const struct log_place *to = boundary ? &boundary->start : &appender->end;
    const struct log_place *from = &appender->first;
    uint64_t stored = 0, gone = log_bytes_gone(to) - log_bytes_gone(from);
    int code = measure(store->db, appender->process, boundary, &stored, &start->at_us);
    if (code != SQLITE_OK || (!stored && to->next_seq == from->next_seq)) {
        return code;
    }
    start->trimmed_bytes = appender->trimmed_ever + (start->reason == LOG_GAP_TRIMMED ? gone : 0);
    code = new_start(store->db, appender, boundary, start);
    if (code == SQLITE_OK) {
        code = log_start_put(store->db, appender->process, start);
    }
    if (code == SQLITE_OK) {
        code = delete_before(store->db, appender->process, boundary);
    }
    if (code != SQLITE_OK) {
        return code;
    }
    note_start(appender, start, !boundary);
    log_store_count(store, 0, stored);
    return SQLITE_OK;
}

int log_drop_before(struct log_store *store, struct log_appender *appender,
                    const struct log_chunk *boundary, enum log_gap_reason reason)
{
    struct log_start start = { .reason = reason, .at_us = INT64_MIN };
    int code = move_start(store, appender, boundary, &start);
    log_start_free(&start);
    return code;
}

int log_drop_oldest(struct log_store *store, struct log_appender *appender)
{
    uint64_t left = stored_output(appender);
    if (left <= appender->max_bytes) {
        return SQLITE_OK;
    }
    struct log_chunk oldest;
    int code = log_chunk_first(store->db, appender->process, &oldest);
    bool any = false;
    while (code == SQLITE_ROW && oldest.id != appender->chunk.id) {
        uint64_t bytes = oldest.bytes[0] + oldest.bytes[1];
        if (left - bytes < appender->max_bytes) {
            break;
        }
        left -= bytes;
        any = true;
        struct log_chunk at = oldest;
        code = log_chunk_next(store->db, &at, INT64_MIN, INT64_MAX, &oldest);
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return code;
    }
    return any ? log_drop_before(store, appender, &oldest, LOG_GAP_DROP_OLDEST) : SQLITE_OK;
}

static int cut_boundary(struct log_store *store, struct log_appender *appender,
                        struct log_chunk *boundary, uint64_t before_seq, int64_t *at_us)
{
    uint64_t stored = log_chunk_stored(boundary);
    int code = log_cut_chunk(store->db, boundary, before_seq, at_us);
    if (code != SQLITE_OK) {
        return code;
    }
    log_store_count(store, log_chunk_stored(boundary), stored);
    if (boundary->id == appender->chunk.id) {
        appender->chunk = *boundary;
        appender->row_stored = log_chunk_stored(boundary);
    }
    return SQLITE_OK;
}

int log_trim_before(struct log_store *store, struct log_appender *appender, uint64_t before_seq)
{
    struct log_start start = { .reason = LOG_GAP_TRIMMED, .at_us = INT64_MIN };
    struct log_chunk boundary = { 0 };
    int code = log_store_close_chunk(store, appender);
    if (code == SQLITE_OK) {
        code = log_chunk_find(store->db, appender->process, before_seq, &boundary);
    }
    if (code == SQLITE_DONE) {
        return SQLITE_OK;
    }
    if (code != SQLITE_ROW) {
        return code;
    }
    bool all = boundary.start.next_seq + boundary.records <= before_seq;
    code = SQLITE_OK;
    if (!all && boundary.start.next_seq < before_seq) {
        code = cut_boundary(store, appender, &boundary, before_seq, &start.at_us);
    }
    if (code == SQLITE_OK) {
        code = move_start(store, appender, all ? NULL : &boundary, &start);
    }
    log_start_free(&start);
    return code;
}

/* ---- deleted processes ---- */

static int doomed_rows(struct db *db, int64_t process, unsigned limit, int64_t *last_id,
                       unsigned *rows, uint64_t *stored)
{
    static const char sql[] = "SELECT id, length(carry) + data_bytes FROM chunk"
                              " WHERE process=?1 ORDER BY first_seq, id LIMIT ?2";
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    sqlite3_bind_int64(statement, 1, process);
    sqlite3_bind_int64(statement, 2, limit);
    int code;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        *last_id = sqlite3_column_int64(statement, 0);
        *stored += LOG_ROW_BYTES + (uint64_t)sqlite3_column_int64(statement, 1);
        (*rows)++;
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE ? SQLITE_OK : code;
}

int log_drop_doomed(struct log_store *store, int64_t process, unsigned limit, bool *left)
{
    int64_t last_id = 0;
    unsigned rows = 0;
    uint64_t stored = 0;
    int code = doomed_rows(store->db, process, limit, &last_id, &rows, &stored);
    if (code == SQLITE_OK && rows) {
        struct log_chunk behind = { .id = last_id + 1, .start.next_seq = INT64_MAX };
        code = delete_before(store->db, process, &behind);
    }
    *left = rows == limit;
    if (code == SQLITE_OK && !*left) {
        code = log_start_delete(store->db, process);
    }
    if (code == SQLITE_OK) {
        log_store_count(store, 0, stored);
    }
    return code;
}
