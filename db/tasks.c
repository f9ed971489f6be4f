/* Rows of tasks; see tasks.h. */
#include "db/tasks.h"

#include <string.h>

#include "db/statement.h"

#define ROW_OF(type, from) ((const type *)((const char *)(from) + sizeof(struct operation)))

static void bind_id(sqlite3_stmt *statement, int index, const uint8_t id[16])
{
    sqlite3_bind_blob(statement, index, id, 16, SQLITE_STATIC);
}

static void bind_data(sqlite3_stmt *statement, int index, const void *data, size_t bytes)
{
    if (data) {
        sqlite3_bind_blob64(statement, index, data, bytes, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(statement, index);
    }
}

static int run_and_clear(sqlite3_stmt *statement)
{
    int code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

/* ---- tasks ---- */

/* ?1 to ?8 */
static void bind_mark(sqlite3_stmt *statement, const struct task_mark *mark)
{
    sqlite3_bind_int64(statement, 1, mark->num);
    sqlite3_bind_int(statement, 2, mark->state);
    sqlite3_bind_int64(statement, 3, mark->attempts);
    sqlite3_bind_int64(statement, 4, mark->worker);
    bind_id(statement, 5, mark->process);
    sqlite3_bind_int64(statement, 6, mark->turn);
    sqlite3_bind_int64(statement, 7, mark->fed);
    sqlite3_bind_int64(statement, 8, mark->started_at_us);
}

/* ?9 to ?17 */
static void bind_end(sqlite3_stmt *statement, const struct task_row *row)
{
    sqlite3_bind_int64(statement, 9, (int64_t)row->place);
    sqlite3_bind_int64(statement, 10, row->finished_at_us);
    sqlite3_bind_int(statement, 11, row->error);
    sqlite3_bind_int(statement, 12, row->reason);
    if (row->exitcode_known) {
        sqlite3_bind_int(statement, 13, row->exitcode);
    } else {
        sqlite3_bind_null(statement, 13);
    }
    sqlite3_bind_int(statement, 14, row->error_number);
    sqlite3_bind_int64(statement, 15, row->stage);
    statement_bind_text(statement, 16, row->history);
    bind_data(statement, 17, row->result, row->result_bytes);
}

static int run_insert(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "INSERT INTO task (num, state, attempts, worker, process, turn, fed, started_at, place,"
        " finished_at, error, reason, exitcode, error_number, stage, history, result, id, pool,"
        " batch, position, submitted_at, content_type, payload) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7,"
        " ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21, ?22, ?23, ?24)";
    const struct task_row *row = ROW_OF(struct task_row, base);
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    bind_mark(statement, &row->mark);
    bind_end(statement, row);
    bind_id(statement, 18, row->id);
    sqlite3_bind_int64(statement, 19, row->pool);
    sqlite3_bind_int64(statement, 20, row->batch);
    sqlite3_bind_int64(statement, 21, row->index);
    sqlite3_bind_int64(statement, 22, row->submitted_at_us);
    statement_bind_text(statement, 23, row->content_type);
    bind_data(statement, 24, row->payload, row->payload_bytes);
    return run_and_clear(statement);
}

static int run_update(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "UPDATE task SET state=?2, attempts=?3, worker=?4, process=?5, turn=?6, fed=?7,"
        " started_at=?8, place=?9, finished_at=?10, error=?11, reason=?12, exitcode=?13,"
        " error_number=?14, stage=?15, history=?16, result=?17,"
        " payload=CASE WHEN ?10 THEN NULL ELSE payload END WHERE num=?1";
    const struct task_row *row = ROW_OF(struct task_row, base);
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    bind_mark(statement, &row->mark);
    bind_end(statement, row);
    return run_and_clear(statement);
}

int task_mark_write(struct db *db, const struct task_mark *mark)
{
    static const char sql[] = "UPDATE task SET state=?2, attempts=?3, worker=?4, process=?5,"
                              " turn=?6, fed=?7, started_at=?8 WHERE num=?1";
    int code;
    sqlite3_stmt *statement = db_prepared(db, sql, &code);
    if (!statement) {
        return code;
    }
    bind_mark(statement, mark);
    return run_and_clear(statement);
}

static int run_mark(struct writer *writer, struct operation *base)
{
    return task_mark_write(writer_db(writer), ROW_OF(struct task_mark, base));
}

static int run_with_number(struct writer *writer, const char *sql, const struct operation *base)
{
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, *ROW_OF(int64_t, base));
    return statement_run(statement);
}

static int run_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM task WHERE num=?1";
    return run_with_number(writer, sql, base);
}

static int run_delete_all(struct writer *writer, struct operation *base)
{
    static const char tasks[] = "DELETE FROM task WHERE pool=?1";
    static const char batches[] = "DELETE FROM task_batch WHERE pool=?1";
    int code = run_with_number(writer, tasks, base);
    return code == SQLITE_OK ? run_with_number(writer, batches, base) : code;
}

/* ---- batches and workers ---- */

static int run_batch_insert(struct writer *writer, struct operation *base)
{
    static const char sql[] = "INSERT INTO task_batch (num, id, pool, total, submitted_at)"
                              " VALUES (?1, ?2, ?3, ?4, ?5)";
    const struct task_batch_row *row = ROW_OF(struct task_batch_row, base);
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, row->num);
    bind_id(statement, 2, row->id);
    sqlite3_bind_int64(statement, 3, row->pool);
    sqlite3_bind_int64(statement, 4, row->total);
    sqlite3_bind_int64(statement, 5, row->submitted_at_us);
    return run_and_clear(statement);
}

static int run_batch_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM task_batch WHERE num=?1";
    return run_with_number(writer, sql, base);
}

static int run_worker_put(struct writer *writer, struct operation *base)
{
    static const char sql[] = "INSERT OR REPLACE INTO pool_worker (process, line_start, served,"
                              " turn, retiring) VALUES (?1, ?2, ?3, ?4, ?5)";
    const struct pool_worker_row *row = ROW_OF(struct pool_worker_row, base);
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, row->process);
    sqlite3_bind_int64(statement, 2, (int64_t)row->line_start);
    sqlite3_bind_int64(statement, 3, (int64_t)row->served);
    sqlite3_bind_int64(statement, 4, row->turn);
    sqlite3_bind_int(statement, 5, row->retiring);
    return statement_run(statement);
}

static int run_worker_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM pool_worker WHERE process=?1";
    return run_with_number(writer, sql, base);
}

/* ---- into the batch ---- */

static const struct operation_type insert_type = {"task_insert", DB_STATE, run_insert};
static const struct operation_type update_type = {"task_update", DB_STATE, run_update};
static const struct operation_type mark_type = {"task_mark", DB_STATE, run_mark};
static const struct operation_type delete_type = {"task_delete", DB_STATE, run_delete};
static const struct operation_type delete_all_type = {"pool_delete", DB_STATE, run_delete_all};
static const struct operation_type batch_type = {"task_batch_insert", DB_STATE, run_batch_insert};
static const struct operation_type batch_delete_type = {"task_batch_delete", DB_STATE,
                                                        run_batch_delete};
static const struct operation_type worker_type = {"pool_worker_put", DB_STATE, run_worker_put};
static const struct operation_type worker_delete_type = {"pool_worker_delete", DB_STATE,
                                                         run_worker_delete};

static bool keep_data(struct batch *batch, const void **data, size_t bytes)
{
    *data = *data ? batch_copy(batch, *data, bytes) : NULL;
    return *data || !bytes;
}

/* Behind its base an operation is a row. */
static bool add(struct batch *batch, const struct operation_type *type, const void *row,
                size_t bytes)
{
    char *operation = batch_add(batch, type, sizeof(struct operation) + bytes);
    if (operation) {
        memcpy(operation + sizeof(struct operation), row, bytes);
    }
    return operation != NULL;
}

bool task_row_insert(struct batch *batch, const struct task_row *row)
{
    struct task_row copy = *row;
    return keep_data(batch, &copy.payload, copy.payload_bytes) &&
           keep_data(batch, &copy.result, copy.result_bytes) &&
           batch_keep(batch, &copy.content_type) && batch_keep(batch, &copy.history) &&
           add(batch, &insert_type, &copy, sizeof copy);
}

bool task_row_update(struct batch *batch, const struct task_row *row)
{
    struct task_row copy = *row;
    copy.content_type = NULL;
    return keep_data(batch, &copy.result, copy.result_bytes) && batch_keep(batch, &copy.history) &&
           add(batch, &update_type, &copy, sizeof copy);
}

bool task_row_mark(struct batch *batch, const struct task_mark *mark)
{
    return add(batch, &mark_type, mark, sizeof *mark);
}

bool task_row_delete(struct batch *batch, int64_t num)
{
    return add(batch, &delete_type, &num, sizeof num);
}

bool pool_rows_delete(struct batch *batch, int64_t pool)
{
    return add(batch, &delete_all_type, &pool, sizeof pool);
}

bool task_batch_row_insert(struct batch *batch, const struct task_batch_row *row)
{
    return add(batch, &batch_type, row, sizeof *row);
}

bool task_batch_row_delete(struct batch *batch, int64_t num)
{
    return add(batch, &batch_delete_type, &num, sizeof num);
}

bool pool_worker_row_put(struct batch *batch, const struct pool_worker_row *row)
{
    return add(batch, &worker_type, row, sizeof *row);
}

bool pool_worker_row_delete(struct batch *batch, int64_t process)
{
    return add(batch, &worker_delete_type, &process, sizeof process);
}
