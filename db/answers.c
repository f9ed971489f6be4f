/*
 * Stored answers: what a request with an Idempotency-Key was told, so that a repeat is told the
 * same.
 */
#include "db/answers.h"

#include <string.h>

#include "db/statement.h"

struct answer_operation {
    struct operation base;
    struct answer_row row;
};

/* The loop has looked for a row that still counts before; one that is found here has expired. */
static int run_insert(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO answer (principal, key, request_hash, at, status, location,"
        " content_type, body) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
    const struct answer_row *row = &((struct answer_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    statement_bind_text(statement, 1, row->principal);
    statement_bind_text(statement, 2, row->key);
    sqlite3_bind_int64(statement, 3, (int64_t)row->request_hash);
    sqlite3_bind_int64(statement, 4, row->at_us);
    sqlite3_bind_int(statement, 5, row->status);
    statement_bind_text(statement, 6, row->location);
    statement_bind_text(statement, 7, row->content_type);
    sqlite3_bind_blob64(statement, 8, row->body ? row->body : "", row->body_bytes, SQLITE_STATIC);
    code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

static const struct operation_type insert_type = { "answer_insert", DB_STATE, run_insert };

bool answer_insert(struct batch *batch, const struct answer_row *row)
{
    struct answer_row copy = *row;
    copy.body = batch_copy(batch, row->body, row->body_bytes);
    if (!copy.body || !batch_keep(batch, &copy.principal) || !batch_keep(batch, &copy.key) ||
        !batch_keep(batch, &copy.location) || !batch_keep(batch, &copy.content_type)) {
        return false;
    }
    struct answer_operation *operation = batch_add(batch, &insert_type, sizeof *operation);
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

static void read_row(sqlite3_stmt *from, struct answer_row *row)
{
    row->request_hash = (uint64_t)sqlite3_column_int64(from, 0);
    row->at_us = sqlite3_column_int64(from, 1);
    row->status = sqlite3_column_int(from, 2);
    row->location = (const char *)sqlite3_column_text(from, 3);
    row->content_type = (const char *)sqlite3_column_text(from, 4);
    row->body = sqlite3_column_blob(from, 5);
    row->body_bytes = (size_t)sqlite3_column_bytes(from, 5);
}

int answer_find(struct db *reader, const char *principal, const char *key, int64_t not_before_us,
                void (*found)(void *context, const struct answer_row *row), void *context,
                bool *hit, struct db_error *error)
{
    static const char sql[] = "SELECT request_hash, at, status, location, content_type, body"
                              " FROM answer WHERE principal=?1 AND key=?2 AND at>=?3";
    *hit = false;
    sqlite3_stmt *statement = db_statement(reader, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(reader, DB_STATE);
    }
    statement_bind_text(statement, 1, principal);
    statement_bind_text(statement, 2, key);
    sqlite3_bind_int64(statement, 3, not_before_us);
    int code = statement_row(statement);
    if (code == SQLITE_ROW) {
        struct answer_row row = { .principal = principal, .key = key };
        read_row(statement, &row);
        *hit = true;
        found(context, &row);
    } else if (code != SQLITE_DONE) {
        db_error_set(error, reader, DB_STATE, code, "cannot read a stored answer");
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}
