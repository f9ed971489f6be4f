/*
 * The table of processes. The columns that change are one list, used by insert, update and load.
 */
#include "db/processes.h"

#include <string.h>

#include "db/statement.h"
#include "db/writer_thread.h"

struct process_operation {
    struct operation base;
    struct process_row row;
};

/* ?1 is num, ?2 … ?28 the columns that change, in the order of bind_changing. */
#define SET_CHANGING                                                                           \
    "state=?2, started_at=?3, exited_at=?4, pid=?5, ppid=?6, pidfd_inode=?7,"                   \
    " start_ticks=?8, exit_kind=?9, exit_status=?10, exit_reason=?11, core_dumped=?12,"         \
    " paused=?13, usage_known=?14, user_us=?15, system_us=?16, max_rss_bytes=?17, stdout_bytes=?18,"       \
    " stderr_bytes=?19, dropped_bytes=?20, open_streams=?21, descendants=?22, stop_reason=?23," \
    " stop_signal=?24, stop_deadline_at=?25, start_errno=?26, start_stage=?27, revision=?28"

static const char insert_sql[] =
    "INSERT INTO process (num, state, started_at, exited_at, pid, ppid, pidfd_inode, start_ticks,"
    " exit_kind, exit_status, exit_reason, core_dumped, paused, usage_known, user_us, system_us,"
    " max_rss_bytes, stdout_bytes, stderr_bytes, dropped_bytes, open_streams, descendants,"
    " stop_reason, stop_signal, stop_deadline_at, start_errno, start_stage, revision, id,"
    " created_at, token, spec)"
    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18,"
    " ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27, ?28, ?29, ?30, ?31, ?32)";

static const char update_sql[] = "UPDATE process SET " SET_CHANGING " WHERE num=?1";
static const char rewrite_sql[] = "UPDATE process SET " SET_CHANGING ", spec=?29 WHERE num=?1";

static const char load_sql[] =
    "SELECT num, state, started_at, exited_at, pid, ppid, pidfd_inode, start_ticks, exit_kind,"
    " exit_status, exit_reason, core_dumped, paused, usage_known, user_us, system_us,"
    " max_rss_bytes, stdout_bytes, stderr_bytes, dropped_bytes, open_streams, descendants,"
    " stop_reason, stop_signal, stop_deadline_at, start_errno, start_stage, revision, id,"
    " created_at, token, spec"
    " FROM process ORDER BY num";

static void bind_changing(sqlite3_stmt *statement, const struct process_row *row)
{
    const int64_t values[] = {
        row->num, row->state, row->started_at_us, row->exited_at_us, row->pid, row->ppid,
        (int64_t)row->pidfd_inode, (int64_t)row->start_ticks, row->exit_kind, row->exit_status,
        row->exit_reason, row->core_dumped, row->paused, row->usage_known, row->user_us,
        row->system_us, row->max_rss_bytes, (int64_t)row->stdout_bytes,
        (int64_t)row->stderr_bytes, (int64_t)row->dropped_bytes, row->open_streams,
        row->descendants, row->stop_reason, row->stop_signal, row->stop_deadline_at_us,
        row->start_errno, row->start_stage, (int64_t)row->revision,
    };
    for (int i = 0; i < (int)(sizeof values / sizeof *values); i++) {
        sqlite3_bind_int64(statement, i + 1, values[i]);
    }
}

static int run_insert(struct writer *writer, struct operation *base)
{
    const struct process_row *row = &((struct process_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), insert_sql, &code);
    if (!statement) {
        return code;
    }
    bind_changing(statement, row);
    sqlite3_bind_blob(statement, 29, row->id, sizeof row->id, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 30, row->created_at_us);
    statement_bind_text(statement, 31, row->token);
    statement_bind_text(statement, 32, row->spec);
    return statement_run(statement);
}

static int run_update(struct writer *writer, struct operation *base)
{
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), update_sql, &code);
    if (!statement) {
        return code;
    }
    bind_changing(statement, &((struct process_operation *)base)->row);
    return statement_run(statement);
}

static int run_rewrite(struct writer *writer, struct operation *base)
{
    const struct process_row *row = &((struct process_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), rewrite_sql, &code);
    if (!statement) {
        return code;
    }
    bind_changing(statement, row);
    statement_bind_text(statement, 29, row->spec);
    return statement_run(statement);
}

static int run_with_num(struct writer *writer, const char *sql, int64_t num)
{
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, num);
    return statement_run(statement);
}

/* A deleted row may be the one with the largest num, which must not be given again. */
static int keep_num(struct writer *writer, int64_t num)
{
    int64_t kept = db_meta_get(writer_db(writer), DB_STATE, "process_num");
    int code = db_unread(writer_db(writer));
    if (code != SQLITE_OK || num <= kept) {
        return code;
    }
    return db_meta_set(writer_db(writer), DB_STATE, "process_num", num);
}

static int run_delete(struct writer *writer, struct operation *base)
{
    static const char delete_sql[] = "DELETE FROM process WHERE num=?1";
    static const char doom_sql[] = "INSERT OR IGNORE INTO doomed (process) VALUES (?1)";
    int64_t num = ((struct process_operation *)base)->row.num;
    log_store_forget(writer_logs(writer), num);
    int code = run_with_num(writer, delete_sql, num);
    if (code == SQLITE_OK) {
        code = run_with_num(writer, doom_sql, num);
    }
    return code == SQLITE_OK ? keep_num(writer, num) : code;
}

static const struct operation_type insert_type = { "process_row_insert", DB_STATE, run_insert };
static const struct operation_type update_type = { "process_row_update", DB_STATE, run_update };
static const struct operation_type rewrite_type = { "process_row_rewrite", DB_STATE, run_rewrite };
static const struct operation_type delete_type = { "process_row_delete", DB_STATE, run_delete };

bool process_row_insert(struct batch *batch, const struct process_row *row)
{
    const char *spec = batch_copy(batch, row->spec, strlen(row->spec));
    const char *token = row->token ? batch_copy(batch, row->token, strlen(row->token)) : NULL;
    if (!spec || (row->token && !token)) {
        return false;
    }
    struct process_operation *operation = batch_add(batch, &insert_type, sizeof *operation);
    if (!operation) {
        return false;
    }
    operation->row = *row;
    operation->row.spec = spec;
    operation->row.token = token;
    return true;
}

bool process_row_update(struct batch *batch, const struct process_row *row)
{
    struct process_operation *operation = batch_add(batch, &update_type, sizeof *operation);
    if (!operation) {
        return false;
    }
    operation->row = *row;
    operation->row.spec = operation->row.token = NULL;
    return true;
}

bool process_row_rewrite(struct batch *batch, const struct process_row *row)
{
    const char *spec = batch_copy(batch, row->spec, strlen(row->spec));
    struct process_operation *operation =
        spec ? batch_add(batch, &rewrite_type, sizeof *operation) : NULL;
    if (!operation) {
        return false;
    }
    operation->row = *row;
    operation->row.spec = spec;
    operation->row.token = NULL;
    return true;
}

bool process_row_delete(struct batch *batch, int64_t num)
{
    struct process_operation *operation = batch_add(batch, &delete_type, sizeof *operation);
    if (operation) {
        operation->row.num = num;
    }
    return operation != NULL;
}

/* ---- loading ---- */

int64_t process_num_last(struct db *db)
{
    static const char sql[] = "SELECT max(num) FROM process";
    int64_t deleted = db_meta_get(db, DB_STATE, "process_num"), stored = 0;
    int code;
    sqlite3_stmt *statement = db_prepared(db, sql, &code);
    if (statement && (code = statement_row(statement)) == SQLITE_ROW) {
        stored = sqlite3_column_int64(statement, 0);
    }
    db_note_unread(db, code);
    sqlite3_reset(statement);
    return stored > deleted ? stored : deleted;
}

static void read_row(sqlite3_stmt *from, struct process_row *row)
{
    *row = (struct process_row){
        .num = sqlite3_column_int64(from, 0), .state = sqlite3_column_int(from, 1),
        .started_at_us = sqlite3_column_int64(from, 2),
        .exited_at_us = sqlite3_column_int64(from, 3),
        .pid = sqlite3_column_int(from, 4), .ppid = sqlite3_column_int(from, 5),
        .pidfd_inode = (uint64_t)sqlite3_column_int64(from, 6),
        .start_ticks = (uint64_t)sqlite3_column_int64(from, 7),
        .exit_kind = sqlite3_column_int(from, 8), .exit_status = sqlite3_column_int(from, 9),
        .exit_reason = sqlite3_column_int(from, 10), .core_dumped = sqlite3_column_int(from, 11),
        .paused = sqlite3_column_int(from, 12), .usage_known = sqlite3_column_int(from, 13),
        .user_us = sqlite3_column_int64(from, 14), .system_us = sqlite3_column_int64(from, 15),
        .max_rss_bytes = sqlite3_column_int64(from, 16),
        .stdout_bytes = (uint64_t)sqlite3_column_int64(from, 17),
        .stderr_bytes = (uint64_t)sqlite3_column_int64(from, 18),
        .dropped_bytes = (uint64_t)sqlite3_column_int64(from, 19),
        .open_streams = (unsigned)sqlite3_column_int(from, 20),
        .descendants = (unsigned)sqlite3_column_int(from, 21),
        .stop_reason = sqlite3_column_int(from, 22), .stop_signal = sqlite3_column_int(from, 23),
        .stop_deadline_at_us = sqlite3_column_int64(from, 24),
        .start_errno = sqlite3_column_int(from, 25),
        .start_stage = (unsigned)sqlite3_column_int(from, 26),
        .revision = (uint64_t)sqlite3_column_int64(from, 27),
        .created_at_us = sqlite3_column_int64(from, 29),
        .token = (const char *)sqlite3_column_text(from, 30),
        .spec = (const char *)sqlite3_column_text(from, 31),
    };
    if (sqlite3_column_bytes(from, 28) == sizeof row->id) {
        memcpy(row->id, sqlite3_column_blob(from, 28), sizeof row->id);
    }
}

int process_rows_load(struct db *db, bool (*row)(void *context, const struct process_row *row),
                      void *context, struct db_error *error)
{
    sqlite3_stmt *statement = db_statement(db, DB_STATE, load_sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        struct process_row loaded;
        read_row(statement, &loaded);
        if (!loaded.spec) {
            loaded.spec = "";
        }
        if (!row(context, &loaded)) {
            break;
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error_set(error, db, DB_STATE, code, "cannot load the processes");
        sqlite3_reset(statement);
        return code;
    }
    sqlite3_reset(statement);
    return SQLITE_OK;
}
