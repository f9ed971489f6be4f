/*
 * Statements on the tables `chunk` and `log_start`. Their meaning is described in the header.
 *
 * What is looked up without its bytes is read from a row's first page; the id breaks the tie
 * between chunks of one long line, which have the same first_seq.
 */
#include "db/log_chunk.h"

#include <lz4.h>
#include <stdlib.h>
#include <string.h>

#include "db/statement.h"

#define SAMPLE_BYTES 4096u

#define COLUMNS                                                                              \
    "id, process, first_seq, records, out_start, err_start, out_bytes, err_bytes,"           \
    " open_out, open_err, first_at, last_at, length(carry), data_bytes"

static void read_columns(sqlite3_stmt *row, struct log_chunk *out)
{
    *out = (struct log_chunk){
        .id = sqlite3_column_int64(row, 0),
        .process = sqlite3_column_int64(row, 1),
        .start = { .next_seq = (uint64_t)sqlite3_column_int64(row, 2),
                   .total = { (uint64_t)sqlite3_column_int64(row, 4),
                              (uint64_t)sqlite3_column_int64(row, 5) },
                   .open = { (uint32_t)sqlite3_column_int64(row, 8),
                             (uint32_t)sqlite3_column_int64(row, 9) } },
        .records = (uint64_t)sqlite3_column_int64(row, 3),
        .bytes = { (uint64_t)sqlite3_column_int64(row, 6), (uint64_t)sqlite3_column_int64(row, 7) },
        .first_at_us = sqlite3_column_int64(row, 10),
        .last_at_us = sqlite3_column_int64(row, 11),
        .carry_bytes = (size_t)sqlite3_column_int64(row, 12),
        .data_bytes = (size_t)sqlite3_column_int64(row, 13),
    };
}

/* Runs a statement whose parameters are the given numbers and reads its one row. */
static int find_one(struct db *db, const char *sql, const int64_t *numbers, int count,
                    struct log_chunk *out)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int64(statement, i + 1, numbers[i]);
    }
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        read_columns(statement, out);
    }
    sqlite3_reset(statement);
    return code;
}

int log_chunk_find(struct db *db, int64_t process, uint64_t seq, struct log_chunk *out)
{
    static const char sql[] = "SELECT " COLUMNS " FROM chunk WHERE process=?1 AND first_seq<=?2"
                              " ORDER BY first_seq DESC, id DESC LIMIT 1";
    int64_t limit = seq > INT64_MAX ? INT64_MAX : (int64_t)seq;
    return find_one(db, sql, (int64_t[]){ process, limit }, 2, out);
}

int log_chunk_first(struct db *db, int64_t process, struct log_chunk *out)
{
    static const char sql[] = "SELECT " COLUMNS " FROM chunk WHERE process=?1"
                              " ORDER BY first_seq, id LIMIT 1";
    return find_one(db, sql, &process, 1, out);
}

int log_chunk_last(struct db *db, int64_t process, struct log_chunk *out)
{
    return log_chunk_find(db, process, INT64_MAX, out);
}

int log_chunk_next(struct db *db, const struct log_chunk *chunk, int64_t since_us,
                   int64_t until_us, struct log_chunk *out)
{
    static const char sql[] = "SELECT " COLUMNS " FROM chunk WHERE process=?1 AND first_seq>=?2"
                              " AND id>?3 AND last_at>=?4 AND first_at<?5"
                              " ORDER BY first_seq, id LIMIT 1";
    int64_t numbers[] = { chunk->process, (int64_t)chunk->start.next_seq, chunk->id, since_us,
                          until_us };
    return find_one(db, sql, numbers, 5, out);
}

int log_chunk_previous(struct db *db, const struct log_chunk *chunk, struct log_chunk *out)
{
    static const char sql[] = "SELECT " COLUMNS " FROM chunk WHERE process=?1 AND first_seq<=?2"
                              " AND id<?3 ORDER BY first_seq DESC, id DESC LIMIT 1";
    int64_t numbers[] = { chunk->process, (int64_t)chunk->start.next_seq, chunk->id };
    return find_one(db, sql, numbers, 3, out);
}

/* ---- bytes ---- */

/* 0: it would not save an eighth. */
static int pack(const void *data, size_t bytes, char *out)
{
    return LZ4_compress_default(data, out, (int)bytes, (int)(bytes - bytes / 8));
}

/* Binds the segments as they are to be stored. To try in vain costs as much as to pack, so a sample
   tells first. Where there is no memory for it they stay as they are. */
static void bind_data(struct db *db, sqlite3_stmt *statement, int index, const void *data,
                      size_t bytes)
{
    char *packed = bytes <= LZ4_MAX_INPUT_SIZE ? db_scratch(db, bytes) : NULL;
    bool worth = packed && (bytes < 4 * SAMPLE_BYTES || pack(data, SAMPLE_BYTES, packed) > 0);
    int taken = worth ? pack(data, bytes, packed) : 0;
    sqlite3_bind_blob64(statement, index, taken > 0 ? packed : data,
                        taken > 0 ? (sqlite3_uint64)taken : bytes, SQLITE_STATIC);
}

/* The segments of a row whose data are these bytes. */
static int unpack(struct db *db, const struct log_chunk *chunk, const void *stored, size_t bytes,
                  const void **out)
{
    *out = stored;
    if (bytes == chunk->data_bytes) {
        return SQLITE_OK;
    }
    if (bytes > chunk->data_bytes || chunk->data_bytes > LZ4_MAX_INPUT_SIZE) {
        return SQLITE_CORRUPT;
    }
    char *data = db_scratch(db, chunk->data_bytes);
    if (!data) {
        return SQLITE_NOMEM;
    }
    *out = data;
    int given = LZ4_decompress_safe(stored, data, (int)bytes, (int)chunk->data_bytes);
    return given >= 0 && (size_t)given == chunk->data_bytes ? SQLITE_OK : SQLITE_CORRUPT;
}

int log_chunk_bytes(struct db *db, const struct log_chunk *chunk,
                    int (*use)(void *context, const char *carry, const void *data, size_t bytes),
                    void *context)
{
    static const char sql[] = "SELECT carry, data FROM chunk WHERE id=?1";
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    sqlite3_bind_int64(statement, 1, chunk->id);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        const char *carry = sqlite3_column_blob(statement, 0);
        const void *data = sqlite3_column_blob(statement, 1);
        if ((!data && chunk->data_bytes) || (!carry && chunk->carry_bytes)) {
            code = SQLITE_NOMEM;
        } else if ((size_t)sqlite3_column_bytes(statement, 0) != chunk->carry_bytes) {
            code = SQLITE_CORRUPT;
        } else {
            size_t bytes = (size_t)sqlite3_column_bytes(statement, 1);
            code = unpack(db, chunk, data, bytes, &data);
        }
        if (code == SQLITE_OK) {
            code = use(context, carry ? carry : "", data, chunk->data_bytes);
        }
    } else if (code == SQLITE_DONE) {
        code = SQLITE_CORRUPT;
    }
    sqlite3_reset(statement);
    return code;
}

static int pass_over(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)carry;
    struct log_segments walk;
    struct log_segment segment;
    int more;
    log_segments_begin(&walk, data, bytes);
    while ((more = log_segment_next(&walk, &segment)) == 1) {
        log_place_pass(context, &segment);
    }
    return more == 0 ? SQLITE_OK : SQLITE_CORRUPT;
}

int log_chunk_end(struct db *db, const struct log_chunk *chunk, struct log_place *out)
{
    *out = chunk->start;
    return log_chunk_bytes(db, chunk, pass_over, out);
}

/* ?1 is the id; the rest is the same for both statements. */
static int write_row(struct db *db, const char *sql, const struct log_chunk *chunk,
                     const char *carry, const void *data)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    const struct log_place *start = &chunk->start;
    const int64_t numbers[] = {
        chunk->process, (int64_t)start->next_seq, (int64_t)chunk->records,
        (int64_t)start->total[0], (int64_t)start->total[1],
        (int64_t)chunk->bytes[0], (int64_t)chunk->bytes[1], start->open[0], start->open[1],
        chunk->first_at_us, chunk->last_at_us, (int64_t)chunk->data_bytes,
    };
    if (chunk->id) {
        sqlite3_bind_int64(statement, 1, chunk->id);
    } else {
        sqlite3_bind_null(statement, 1);
    }
    for (int i = 0; i < 12; i++) {
        sqlite3_bind_int64(statement, i + 2, numbers[i]);
    }
    sqlite3_bind_blob64(statement, 14, carry ? carry : "", chunk->carry_bytes, SQLITE_STATIC);
    bind_data(db, statement, 15, data, chunk->data_bytes);
    int code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

int log_chunk_insert(struct db *db, struct log_chunk *chunk, const char *carry, const void *data)
{
    static const char sql[] =
        "INSERT INTO chunk (id, process, first_seq, records, out_start, err_start, out_bytes,"
        " err_bytes, open_out, open_err, first_at, last_at, data_bytes, carry, data)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    int code = write_row(db, sql, chunk, carry, data);
    if (code == SQLITE_OK && !chunk->id) {
        chunk->id = sqlite3_last_insert_rowid(db_handle(db, DB_LOGS));
    }
    return code;
}

int log_chunk_update(struct db *db, const struct log_chunk *chunk, const char *carry,
                     const void *data)
{
    static const char sql[] =
        "UPDATE chunk SET process=?2, first_seq=?3, records=?4, out_start=?5, err_start=?6,"
        " out_bytes=?7, err_bytes=?8, open_out=?9, open_err=?10, first_at=?11, last_at=?12,"
        " data_bytes=?13, carry=?14, data=?15 WHERE id=?1";
    return write_row(db, sql, chunk, carry, data);
}

static int run_with_number(struct db *db, const char *sql, int64_t number)
{
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    sqlite3_bind_int64(statement, 1, number);
    return statement_run(statement);
}

int log_chunk_delete(struct db *db, int64_t id)
{
    static const char sql[] = "DELETE FROM chunk WHERE id=?1";
    return run_with_number(db, sql, id);
}

/* ---- where a log begins ---- */

static int read_start(sqlite3_stmt *row, struct log_start *out)
{
    out->place.next_seq = (uint64_t)sqlite3_column_int64(row, 0);
    for (int i = 0; i < 2; i++) {
        out->place.total[i] = (uint64_t)sqlite3_column_int64(row, 1 + i);
        out->place.open[i] = (uint32_t)sqlite3_column_int64(row, 3 + i);
    }
    out->reason = (enum log_gap_reason)sqlite3_column_int(row, 5);
    out->at_us = sqlite3_column_int64(row, 6);
    out->trimmed_bytes = (uint64_t)sqlite3_column_int64(row, 7);
    const char *carry = sqlite3_column_blob(row, 8);
    size_t bytes = (size_t)sqlite3_column_bytes(row, 8);
    if ((unsigned)out->reason >= LOG_GAP_REASONS) {
        return SQLITE_CORRUPT;
    }
    if (bytes == 0 && log_open_bytes(&out->place) != 0) {
        return SQLITE_OK; /* the first chunk is a key chunk and has it */
    }
    if (bytes != log_open_bytes(&out->place)) {
        return SQLITE_CORRUPT;
    }
    return log_carry_set(&out->carry, out->place.open, carry);
}

int log_start_get(struct db *db, int64_t process, struct log_start *out)
{
    static const char sql[] = "SELECT next_seq, out_start, err_start, open_out, open_err, reason,"
                              " at, trimmed, carry FROM log_start WHERE process=?1";
    memset(out, 0, sizeof *out);
    out->place.next_seq = 1;
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    sqlite3_bind_int64(statement, 1, process);
    int code = sqlite3_step(statement);
    if (code == SQLITE_ROW) {
        code = read_start(statement, out);
    } else if (code == SQLITE_DONE) {
        code = SQLITE_OK;
    }
    sqlite3_reset(statement);
    return code;
}

int log_start_put(struct db *db, int64_t process, const struct log_start *start)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO log_start (process, next_seq, out_start, err_start, open_out,"
        " open_err, reason, at, trimmed, carry) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";
    sqlite3_stmt *statement = db_statement(db, DB_LOGS, sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, DB_LOGS);
    }
    const struct log_place *place = &start->place;
    const int64_t numbers[] = {
        process, (int64_t)place->next_seq, (int64_t)place->total[0], (int64_t)place->total[1],
        place->open[0], place->open[1], (int64_t)start->reason, start->at_us,
        (int64_t)start->trimmed_bytes,
    };
    for (int i = 0; i < 9; i++) {
        sqlite3_bind_int64(statement, i + 1, numbers[i]);
    }
    const struct log_carry *carry = &start->carry;
    size_t bytes = carry->known ? (size_t)carry->open[0] + carry->open[1] : 0;
    sqlite3_bind_blob64(statement, 10, bytes ? carry->data : "", bytes, SQLITE_STATIC);
    int code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

int log_start_delete(struct db *db, int64_t process)
{
    static const char sql[] = "DELETE FROM log_start WHERE process=?1";
    return run_with_number(db, sql, process);
}

void log_start_free(struct log_start *start)
{
    log_carry_free(&start->carry);
}
