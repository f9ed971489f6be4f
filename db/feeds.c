/*
 * The two feeds: changes and the daemon's log. Appended by the loop, read by readers, trimmed by
 * upkeep.
 *
 * A page is filtered while it is walked in order of seq; no index but the primary key is kept,
 * because rows are written far more often than filtered.
 */
#include "db/feeds.h"

#include <stdlib.h>
#include <string.h>

#include "db/feed_rows.h"
#include "db/statement.h"

struct change_operation {
    struct operation base;
    struct change_row row;
};

struct log_row_operation {
    struct operation base;
    struct daemon_log_row row;
};

static int run_change(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO change (seq, at, type, ref, data) VALUES (?1, ?2, ?3, ?4, ?5)";
    const struct change_row *row = &((struct change_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)row->seq);
    sqlite3_bind_int64(statement, 2, row->at_us);
    statement_bind_text(statement, 3, row->type);
    statement_bind_text(statement, 4, row->ref);
    statement_bind_text(statement, 5, row->data);
    return statement_run(statement);
}

static int run_log_row(struct writer *writer, struct operation *base)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO log (seq, at, level, process, ref, name, text)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    const struct daemon_log_row *row = &((struct log_row_operation *)base)->row;
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, (int64_t)row->seq);
    sqlite3_bind_int64(statement, 2, row->at_us);
    sqlite3_bind_int(statement, 3, row->level);
    sqlite3_bind_int64(statement, 4, row->process);
    statement_bind_text(statement, 5, row->ref);
    statement_bind_text(statement, 6, row->name);
    statement_bind_text(statement, 7, row->text);
    return statement_run(statement);
}

static const struct operation_type change_type = { "change_insert", DB_STATE, run_change };
static const struct operation_type log_row_type = { "daemon_log_insert", DB_STATE, run_log_row };

bool change_insert(struct batch *batch, const struct change_row *row)
{
    struct change_row copy = *row;
    if (!batch_keep(batch, &copy.type) || !batch_keep(batch, &copy.ref) ||
        !batch_keep(batch, &copy.data)) {
        return false;
    }
    struct change_operation *operation = batch_add(batch, &change_type, sizeof *operation);
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

bool daemon_log_insert(struct batch *batch, const struct daemon_log_row *row)
{
    struct daemon_log_row copy = *row;
    if (!batch_keep(batch, &copy.ref) || !batch_keep(batch, &copy.name) ||
        !batch_keep(batch, &copy.text)) {
        return false;
    }
    struct log_row_operation *operation = batch_add(batch, &log_row_type, sizeof *operation);
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

/* ---- reading ---- */

bool feed_type_matches(const char *words, const char *type)
{
    while (words && *words) {
        size_t length = strcspn(words, ",");
        bool prefix = length && words[length - 1] == '.';
        if (strncmp(words, type, length) == 0 && (prefix || type[length] == '\0') && length) {
            return true;
        }
        words += length;
        words += *words == ',';
    }
    return false;
}

const char *feed_column_text(sqlite3_stmt *row, int column)
{
    return (const char *)sqlite3_column_text(row, column);
}

int64_t feed_as_bound(uint64_t seq)
{
    return seq > INT64_MAX ? INT64_MAX : (int64_t)seq;
}

int feed_end_read(struct db *db, sqlite3_stmt *statement, int code, struct db_error *error)
{
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        db_error_set(error, db, DB_STATE, code, "cannot read a feed");
    }
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int changes_read(struct db *reader, const struct feed_query *query,
                 bool (*row)(void *context, const struct change_row *row), void *context,
                 struct db_error *error)
{
    static const char sql[] = "SELECT seq, at, type, ref, data FROM change"
                              " WHERE seq>?1 AND (?2 IS NULL OR ref=?2) ORDER BY seq";
    sqlite3_stmt *statement = db_statement(reader, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(reader, DB_STATE);
    }
    sqlite3_bind_int64(statement, 1, feed_as_bound(query->after));
    statement_bind_text(statement, 2, query->ref);
    int code = SQLITE_DONE;
    unsigned left = query->limit;
    while (left && (code = statement_row(statement)) == SQLITE_ROW) {
        struct change_row read = {
            .seq = (uint64_t)sqlite3_column_int64(statement, 0),
            .at_us = sqlite3_column_int64(statement, 1), .type = feed_column_text(statement, 2),
            .ref = feed_column_text(statement, 3), .data = feed_column_text(statement, 4),
        };
        if (!read.type || (query->type && !feed_type_matches(query->type, read.type))) {
            continue;
        }
        left--;
        if (!row(context, &read)) {
            break;
        }
    }
    return feed_end_read(reader, statement, code, error);
}

int daemon_log_read(struct db *reader, const struct feed_query *query,
                    bool (*row)(void *context, const struct daemon_log_row *row), void *context,
                    struct db_error *error)
{
    static const char sql[] =
        "SELECT seq, at, level, process, ref, name, text FROM log"
        " WHERE seq>?1 AND (?2 IS NULL OR ref=?2) AND level>=?3 ORDER BY seq LIMIT ?4";
    sqlite3_stmt *statement = db_statement(reader, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(reader, DB_STATE);
    }
    sqlite3_bind_int64(statement, 1, feed_as_bound(query->after));
    statement_bind_text(statement, 2, query->ref);
    sqlite3_bind_int(statement, 3, query->min_level);
    sqlite3_bind_int64(statement, 4, query->limit);
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        struct daemon_log_row read = {
            .seq = (uint64_t)sqlite3_column_int64(statement, 0),
            .at_us = sqlite3_column_int64(statement, 1),
            .level = sqlite3_column_int(statement, 2),
            .process = sqlite3_column_int64(statement, 3), .ref = feed_column_text(statement, 4),
            .name = feed_column_text(statement, 5), .text = feed_column_text(statement, 6),
        };
        if (!row(context, &read)) {
            break;
        }
    }
    return feed_end_read(reader, statement, code, error);
}

int feed_read_bounds(struct db *db, const char *sql, struct feed_bounds *out,
                     struct db_error *error)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    int code = statement_row(statement);
    if (code == SQLITE_ROW) {
        out->first = (uint64_t)sqlite3_column_int64(statement, 0);
        out->last = (uint64_t)sqlite3_column_int64(statement, 1);
    }
    return feed_end_read(db, statement, code, error);
}

int changes_bounds(struct db *db, struct feed_bounds *out, struct db_error *error)
{
    static const char sql[] = "SELECT (SELECT min(seq) FROM change), (SELECT max(seq) FROM change)";
    return feed_read_bounds(db, sql, out, error);
}

int daemon_log_bounds(struct db *db, struct feed_bounds *out, struct db_error *error)
{
    static const char sql[] = "SELECT (SELECT min(seq) FROM log), (SELECT max(seq) FROM log)";
    return feed_read_bounds(db, sql, out, error);
}
