/*
 * The table of sessions. The loop owns them in memory; these rows are their durable form.
 */
#include <string.h>

#include "db/answers.h"
#include "db/statement.h"

struct session_operation {
    struct operation base;
    struct session_row row;
};

static int run_put(struct writer *writer, struct operation *base)
{
    static const char sql[] = "INSERT OR REPLACE INTO session (id, token, created_at, expires_at,"
                              " ttl, scopes, maker)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    const struct session_row *row = &((struct session_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_blob(statement, 1, row->id, sizeof row->id, SQLITE_STATIC);
    statement_bind_text(statement, 2, row->token);
    sqlite3_bind_int64(statement, 3, row->created_at_us);
    sqlite3_bind_int64(statement, 4, row->expires_at_us);
    sqlite3_bind_int64(statement, 5, row->ttl_us);
    sqlite3_bind_int64(statement, 6, row->scopes);
    sqlite3_bind_blob(statement, 7, row->maker, sizeof row->maker, SQLITE_STATIC);
    return statement_run(statement);
}

static int run_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM session WHERE id=?1";
    const struct session_row *row = &((struct session_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_blob(statement, 1, row->id, sizeof row->id, SQLITE_STATIC);
    return statement_run(statement);
}

static const struct operation_type put_type = { "session_row_put", DB_STATE, run_put };
static const struct operation_type delete_type = { "session_row_delete", DB_STATE, run_delete };

bool session_row_put(struct batch *batch, const struct session_row *row)
{
    const char *token = batch_copy(batch, row->token, strlen(row->token));
    struct session_operation *operation =
        token ? batch_add(batch, &put_type, sizeof *operation) : NULL;
    if (!operation) {
        return false;
    }
    operation->row = *row;
    operation->row.token = token;
    return true;
}

bool session_row_delete(struct batch *batch, const uint8_t id[16])
{
    struct session_operation *operation = batch_add(batch, &delete_type, sizeof *operation);
    if (operation) {
        memcpy(operation->row.id, id, sizeof operation->row.id);
    }
    return operation != NULL;
}

/* False: the row is not one of ours. */
static bool read_row(sqlite3_stmt *statement, struct session_row *out)
{
    *out = (struct session_row){
        .token = (const char *)sqlite3_column_text(statement, 1),
        .created_at_us = sqlite3_column_int64(statement, 2),
        .expires_at_us = sqlite3_column_int64(statement, 3),
        .ttl_us = sqlite3_column_int64(statement, 4),
        .scopes = (unsigned)sqlite3_column_int(statement, 5),
    };
    if (sqlite3_column_bytes(statement, 0) != sizeof out->id || !out->token) {
        return false;
    }
    memcpy(out->id, sqlite3_column_blob(statement, 0), sizeof out->id);
    if (sqlite3_column_bytes(statement, 6) == sizeof out->maker) {
        memcpy(out->maker, sqlite3_column_blob(statement, 6), sizeof out->maker);
    }
    return true;
}

int session_rows_load(struct db *db, bool (*row)(void *context, const struct session_row *row),
                      void *context, struct db_error *error)
{
    static const char sql[] =
        "SELECT id, token, created_at, expires_at, ttl, scopes, maker FROM session";
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    struct session_row loaded;
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        if (read_row(statement, &loaded) && !row(context, &loaded)) {
            break;
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error_set(error, db, DB_STATE, code, "cannot load the sessions");
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}
