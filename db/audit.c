/* The audit; see audit.h. */
#include "db/audit.h"

#include "db/feed_rows.h"
#include "db/statement.h"

struct audit_operation {
    struct operation base;
    struct audit_row row;
};

static int run_insert(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO audit (seq, at, status, principal, action, target, code,"
        " request_id, remote) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    const struct audit_row *row = &((struct audit_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)row->seq);
    sqlite3_bind_int64(statement, 2, row->at_us);
    sqlite3_bind_int(statement, 3, row->status);
    statement_bind_text(statement, 4, row->principal);
    statement_bind_text(statement, 5, row->action);
    statement_bind_text(statement, 6, row->target);
    statement_bind_text(statement, 7, row->code);
    statement_bind_text(statement, 8, row->request_id);
    statement_bind_text(statement, 9, row->remote);
    return statement_run(statement);
}

static const struct operation_type insert_type = { "audit_insert", DB_STATE, run_insert };

bool audit_insert(struct batch *batch, const struct audit_row *row)
{
    struct audit_row copy = *row;
    if (!batch_keep(batch, &copy.principal) || !batch_keep(batch, &copy.action) ||
        !batch_keep(batch, &copy.target) || !batch_keep(batch, &copy.code) ||
        !batch_keep(batch, &copy.request_id) || !batch_keep(batch, &copy.remote)) {
        return false;
    }
    struct audit_operation *operation = batch_add(batch, &insert_type, sizeof *operation);
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

static struct audit_row read_row(sqlite3_stmt *statement)
{
    return (struct audit_row){
        .seq = (uint64_t)sqlite3_column_int64(statement, 0),
        .at_us = sqlite3_column_int64(statement, 1),
        .status = sqlite3_column_int(statement, 2),
        .principal = feed_column_text(statement, 3), .action = feed_column_text(statement, 4),
        .target = feed_column_text(statement, 5), .code = feed_column_text(statement, 6),
        .request_id = feed_column_text(statement, 7), .remote = feed_column_text(statement, 8),
    };
}

int audit_read(struct db *reader, const struct feed_query *query,
               bool (*row)(void *context, const struct audit_row *row), void *context,
               struct db_error *error)
{
    static const char sql[] =
        "SELECT seq, at, status, principal, action, target, code, request_id, remote FROM audit"
        " WHERE seq>?1 AND (?2 IS NULL OR principal=?2) ORDER BY seq";
    sqlite3_stmt *statement = db_statement(reader, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(reader, DB_STATE);
    }
    sqlite3_bind_int64(statement, 1, feed_as_bound(query->after));
    statement_bind_text(statement, 2, query->ref);
    int code = SQLITE_DONE;
    unsigned left = query->limit;
    while (left && (code = statement_row(statement)) == SQLITE_ROW) {
        struct audit_row read = read_row(statement);
        if (query->type && !(read.action && feed_type_matches(query->type, read.action))) {
            continue;
        }
        left--;
        if (!row(context, &read)) {
            break;
        }
    }
    return feed_end_read(reader, statement, code, error);
}

int audit_bounds(struct db *db, struct feed_bounds *out, struct db_error *error)
{
    static const char sql[] = "SELECT (SELECT min(seq) FROM audit), (SELECT max(seq) FROM audit)";
    return feed_read_bounds(db, sql, out, error);
}
