/* Reading the rows of tasks, batches and workers at the start; see tasks.h. */
#include <string.h>

#include "db/statement.h"
#include "db/tasks.h"

/* Calls `each` for every row of a statement without parameters. */
static int load(struct db *db, const char *sql, bool (*each)(void *context, sqlite3_stmt *from),
                void *context, struct db_error *error)
{
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW && each(context, statement)) {
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error_set(error, db, DB_STATE, code, "cannot load the tasks");
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static void read_id(sqlite3_stmt *from, int column, uint8_t id[16])
{
    const void *bytes = sqlite3_column_blob(from, column);
    if (bytes && sqlite3_column_bytes(from, column) == 16) {
        memcpy(id, bytes, 16);
    }
}

static const void *read_data(sqlite3_stmt *from, int column, size_t *bytes)
{
    *bytes = (size_t)sqlite3_column_bytes(from, column);
    if (sqlite3_column_type(from, column) == SQLITE_NULL) {
        return NULL;
    }
    const void *data = sqlite3_column_blob(from, column);
    return data ? data : "";           /* SQLite has no pointer to nothing */
}

/* ---- tasks ---- */

struct task_loading {
    bool (*row)(void *context, const struct task_row *row);
    void *context;
};

static void read_mark(sqlite3_stmt *from, struct task_mark *mark)
{
    mark->num = sqlite3_column_int64(from, 0);
    mark->state = sqlite3_column_int(from, 1);
    mark->attempts = (unsigned)sqlite3_column_int64(from, 2);
    mark->worker = sqlite3_column_int64(from, 3);
    read_id(from, 4, mark->process);
    mark->turn = sqlite3_column_int64(from, 5);
    mark->fed = sqlite3_column_int64(from, 6);
    mark->started_at_us = sqlite3_column_int64(from, 7);
}

static bool read_task(void *context, sqlite3_stmt *from)
{
    const struct task_loading *loading = context;
    struct task_row row = {.place = (uint64_t)sqlite3_column_int64(from, 8),
                           .finished_at_us = sqlite3_column_int64(from, 9),
                           .error = sqlite3_column_int(from, 10),
                           .reason = sqlite3_column_int(from, 11),
                           .exitcode_known = sqlite3_column_type(from, 12) != SQLITE_NULL,
                           .exitcode = sqlite3_column_int(from, 12),
                           .error_number = sqlite3_column_int(from, 13),
                           .stage = (unsigned)sqlite3_column_int64(from, 14),
                           .history = (const char *)sqlite3_column_text(from, 15),
                           .pool = sqlite3_column_int64(from, 18),
                           .batch = sqlite3_column_int64(from, 19),
                           .index = sqlite3_column_int64(from, 20),
                           .submitted_at_us = sqlite3_column_int64(from, 21),
                           .content_type = (const char *)sqlite3_column_text(from, 22)};
    read_mark(from, &row.mark);
    row.result = read_data(from, 16, &row.result_bytes);
    read_id(from, 17, row.id);
    row.payload = read_data(from, 23, &row.payload_bytes);
    return loading->row(loading->context, &row);
}

int task_rows_load(struct db *db, bool (*row)(void *context, const struct task_row *row),
                   void *context, struct db_error *error)
{
    static const char sql[] =
        "SELECT num, state, attempts, worker, process, turn, fed, started_at, place, finished_at,"
        " error, reason, exitcode, error_number, stage, history, result, id, pool, batch, position,"
        " submitted_at, content_type, payload FROM task ORDER BY num";
    struct task_loading loading = {row, context};
    return load(db, sql, read_task, &loading, error);
}

/* ---- batches ---- */

struct batch_loading {
    bool (*row)(void *context, const struct task_batch_row *row);
    void *context;
};

static bool read_batch(void *context, sqlite3_stmt *from)
{
    const struct batch_loading *loading = context;
    struct task_batch_row row = {.num = sqlite3_column_int64(from, 0),
                                 .pool = sqlite3_column_int64(from, 2),
                                 .total = sqlite3_column_int64(from, 3),
                                 .submitted_at_us = sqlite3_column_int64(from, 4)};
    read_id(from, 1, row.id);
    return loading->row(loading->context, &row);
}

int task_batch_rows_load(struct db *db, bool (*row)(void *context, const struct task_batch_row *row),
                         void *context, struct db_error *error)
{
    static const char sql[] =
        "SELECT num, id, pool, total, submitted_at FROM task_batch ORDER BY num";
    struct batch_loading loading = {row, context};
    return load(db, sql, read_batch, &loading, error);
}

/* ---- workers ---- */

struct worker_loading {
    bool (*row)(void *context, const struct pool_worker_row *row);
    void *context;
};

static bool read_worker(void *context, sqlite3_stmt *from)
{
    const struct worker_loading *loading = context;
    struct pool_worker_row row = {.process = sqlite3_column_int64(from, 0),
                                  .line_start = (uint64_t)sqlite3_column_int64(from, 1),
                                  .served = (uint64_t)sqlite3_column_int64(from, 2),
                                  .turn = sqlite3_column_int64(from, 3),
                                  .retiring = sqlite3_column_int(from, 4) != 0};
    return loading->row(loading->context, &row);
}

int pool_worker_rows_load(struct db *db,
                          bool (*row)(void *context, const struct pool_worker_row *row),
                          void *context, struct db_error *error)
{
    static const char sql[] =
        "SELECT process, line_start, served, turn, retiring FROM pool_worker ORDER BY process";
    struct worker_loading loading = {row, context};
    return load(db, sql, read_worker, &loading, error);
}
