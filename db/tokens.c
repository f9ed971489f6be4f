/* The table of tokens; see tokens.h. */
#include "db/tokens.h"

#include <string.h>

#include "db/statement.h"

struct token_operation {
    struct operation base;
    struct token_row row;
};

static int run_put(struct writer *writer, struct operation *base)
{
    static const char sql[] = "INSERT OR REPLACE INTO token (id, hash, scopes, created_at,"
                              " expires_at, last_used_at, label)"
                              " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    const struct token_row *row = &((struct token_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_blob(statement, 1, row->id, sizeof row->id, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, row->hash, sizeof row->hash, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, row->scopes);
    sqlite3_bind_int64(statement, 4, row->created_at_us);
    sqlite3_bind_int64(statement, 5, row->expires_at_us);
    sqlite3_bind_int64(statement, 6, row->last_used_at_us);
    statement_bind_text(statement, 7, row->label);
    return statement_run(statement);
}

static int run_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM token WHERE id=?1";
    const struct token_row *row = &((struct token_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_blob(statement, 1, row->id, sizeof row->id, SQLITE_STATIC);
    return statement_run(statement);
}

static const struct operation_type put_type = { "token_row_put", DB_STATE, run_put };
static const struct operation_type delete_type = { "token_row_delete", DB_STATE, run_delete };

bool token_row_put(struct batch *batch, const struct token_row *row)
{
    struct token_row copy = *row;
    struct token_operation *operation =
        batch_keep(batch, &copy.label) ? batch_add(batch, &put_type, sizeof *operation) : NULL;
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

bool token_row_delete(struct batch *batch, const uint8_t id[16])
{
    struct token_operation *operation = batch_add(batch, &delete_type, sizeof *operation);
    if (operation) {
        memcpy(operation->row.id, id, sizeof operation->row.id);
    }
    return operation != NULL;
}

/* False: the row is not one of ours. */
static bool read_row(sqlite3_stmt *statement, struct token_row *out)
{
    *out = (struct token_row){
        .scopes = (unsigned)sqlite3_column_int(statement, 2),
        .created_at_us = sqlite3_column_int64(statement, 3),
        .expires_at_us = sqlite3_column_int64(statement, 4),
        .last_used_at_us = sqlite3_column_int64(statement, 5),
        .label = (const char *)sqlite3_column_text(statement, 6),
    };
    if (sqlite3_column_bytes(statement, 0) != sizeof out->id ||
        sqlite3_column_bytes(statement, 1) != sizeof out->hash) {
        return false;
    }
    memcpy(out->id, sqlite3_column_blob(statement, 0), sizeof out->id);
    memcpy(out->hash, sqlite3_column_blob(statement, 1), sizeof out->hash);
    return true;
}

int token_rows_load(struct db *db, bool (*row)(void *context, const struct token_row *row),
                    void *context, struct db_error *error)
{
    static const char sql[] = "SELECT id, hash, scopes, created_at, expires_at, last_used_at, label"
                              " FROM token";
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    struct token_row loaded;
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        if (read_row(statement, &loaded) && !row(context, &loaded)) {
            break;
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error_set(error, db, DB_STATE, code, "cannot load the tokens");
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}
