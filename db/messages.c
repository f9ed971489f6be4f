/*
 * Rows of messages; see messages.h.
 */
#include "db/messages.h"

#include <string.h>

#include "db/statement.h"

struct message_operation {
    struct operation base;
    struct message_row row;
};

static int run_insert(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "INSERT INTO message (seq, id, object, state, priority, ready_at, expires_at, attempts,"
        " enqueued_at, content_type, last, body)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    const struct message_row *row = &((struct message_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, row->seq);
    sqlite3_bind_blob(statement, 2, row->id, sizeof row->id, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, row->object);
    sqlite3_bind_int(statement, 4, row->state);
    sqlite3_bind_int64(statement, 5, row->priority);
    sqlite3_bind_int64(statement, 6, row->ready_at_us);
    sqlite3_bind_int64(statement, 7, row->expires_at_us);
    sqlite3_bind_int64(statement, 8, row->attempts);
    sqlite3_bind_int64(statement, 9, row->enqueued_at_us);
    statement_bind_text(statement, 10, row->content_type);
    statement_bind_text(statement, 11, row->last);
    sqlite3_bind_blob64(statement, 12, row->body ? row->body : "", row->body_bytes, SQLITE_STATIC);
    code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

static int run_update(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "UPDATE message SET state=?2, ready_at=?3, attempts=?4, last=?5 WHERE seq=?1";
    const struct message_row *row = &((struct message_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, row->seq);
    sqlite3_bind_int(statement, 2, row->state);
    sqlite3_bind_int64(statement, 3, row->ready_at_us);
    sqlite3_bind_int64(statement, 4, row->attempts);
    statement_bind_text(statement, 5, row->last);
    code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

static int run_with_number(struct writer *writer, const char *sql, int64_t number)
{
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, number);
    return statement_run(statement);
}

static int run_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM message WHERE seq=?1";
    return run_with_number(writer, sql, ((struct message_operation *)base)->row.seq);
}

static int run_delete_all(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM message WHERE object=?1";
    return run_with_number(writer, sql, ((struct message_operation *)base)->row.object);
}

static const struct operation_type insert_type = {"message_insert", DB_STATE, run_insert};
static const struct operation_type update_type = {"message_update", DB_STATE, run_update};
static const struct operation_type delete_type = {"message_delete", DB_STATE, run_delete};
static const struct operation_type delete_all_type = {"messages_delete", DB_STATE, run_delete_all};

/* ---- into the batch ---- */

static bool add(struct batch *batch, const struct operation_type *type,
                const struct message_row *row)
{
    struct message_operation *operation = batch_add(batch, type, sizeof *operation);
    if (operation) {
        operation->row = *row;
    }
    return operation != NULL;
}

bool message_row_insert(struct batch *batch, const struct message_row *row)
{
    struct message_row copy = *row;
    copy.body = batch_copy(batch, row->body, row->body_bytes);
    return copy.body && batch_keep(batch, &copy.content_type) && batch_keep(batch, &copy.last) &&
           add(batch, &insert_type, &copy);
}

bool message_row_update(struct batch *batch, const struct message_row *row)
{
    struct message_row copy = *row;
    return batch_keep(batch, &copy.last) && add(batch, &update_type, &copy);
}

bool message_row_delete(struct batch *batch, int64_t seq)
{
    return add(batch, &delete_type, &(struct message_row){.seq = seq});
}

bool message_rows_delete(struct batch *batch, int64_t object)
{
    return add(batch, &delete_all_type, &(struct message_row){.object = object});
}

/* ---- at the start ---- */

static bool read_row(sqlite3_stmt *from, struct message_row *row)
{
    if (sqlite3_column_bytes(from, 1) != (int)sizeof row->id) {
        return false;
    }
    row->seq = sqlite3_column_int64(from, 0);
    memcpy(row->id, sqlite3_column_blob(from, 1), sizeof row->id);
    row->state = sqlite3_column_int(from, 2);
    row->priority = sqlite3_column_int64(from, 3);
    row->ready_at_us = sqlite3_column_int64(from, 4);
    row->expires_at_us = sqlite3_column_int64(from, 5);
    row->attempts = sqlite3_column_int64(from, 6);
    row->enqueued_at_us = sqlite3_column_int64(from, 7);
    row->content_type = (const char *)sqlite3_column_text(from, 8);
    row->last = (const char *)sqlite3_column_text(from, 9);
    row->body = sqlite3_column_blob(from, 10);
    row->body_bytes = (size_t)sqlite3_column_bytes(from, 10);
    return true;
}

int message_rows_load(struct db *db, int64_t object,
                      bool (*row)(void *context, const struct message_row *row), void *context,
                      struct db_error *error)
{
    static const char sql[] =
        "SELECT seq, id, state, priority, ready_at, expires_at, attempts, enqueued_at,"
        " content_type, last, body FROM message WHERE object=?1 ORDER BY seq";
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    sqlite3_bind_int64(statement, 1, object);
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        struct message_row loaded = {.object = object};
        if (read_row(statement, &loaded) && !row(context, &loaded)) {
            break;
        }
    }
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error_set(error, db, DB_STATE, code, "cannot load the messages");
    }
    sqlite3_reset(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}
