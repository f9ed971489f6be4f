/*
 * Rows of coordination objects and holds; see coordination.h.
 */
#include "db/coordination.h"

#include <string.h>

#include "db/statement.h"

#define FENCE_KEY "fence_reserved"
#define JOURNAL_ID_KEY "journal_id"
#define JOURNAL_POSITION_KEY "journal_position"

struct object_operation {
    struct operation base;
    struct object_row row;
};

struct hold_operation {
    struct operation base;
    struct hold_row row;
};

struct fence_operation {
    struct operation base;
    uint64_t reserved;
};

struct journal_operation {
    struct operation base;
    struct journal_position position;
};

static void bind_id(sqlite3_stmt *statement, int index, const uint8_t id[16])
{
    sqlite3_bind_blob(statement, index, id, 16, SQLITE_STATIC);
}

/* ---- objects ---- */

int object_row_write(struct db *db, const struct object_row *row)
{
    static const char sql[] =
        "INSERT INTO object (num, kind, name, owner_kind, owner, created_at, config, state)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
        " ON CONFLICT (num) DO UPDATE SET config=excluded.config, state=excluded.state";
    int code;
    sqlite3_stmt *statement = db_prepared(db, sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, row->num);
    sqlite3_bind_int(statement, 2, row->kind);
    statement_bind_text(statement, 3, row->name);
    sqlite3_bind_int(statement, 4, row->owner_kind);
    bind_id(statement, 5, row->owner);
    sqlite3_bind_int64(statement, 6, row->created_at_us);
    statement_bind_text(statement, 7, row->config);
    sqlite3_bind_text64(statement, 8, row->state, row->state_bytes, SQLITE_STATIC, SQLITE_UTF8);
    return statement_run(statement);
}

static int run_object_put(struct writer *writer, struct operation *base)
{
    return object_row_write(writer_db(writer), &((struct object_operation *)base)->row);
}

static int run_object_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM object WHERE num=?1";
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    sqlite3_bind_int64(statement, 1, ((struct object_operation *)base)->row.num);
    return statement_run(statement);
}

/* ---- holds ---- */

int hold_row_write(struct db *db, const struct hold_row *row)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO hold (id, kind, resource, item, owner_kind, owner, fence, depth,"
        " granted_at, expires_at, ttl, ended, ended_at, by_kind, by, exitcode)"
        " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)";
    int code;
    sqlite3_stmt *statement = db_prepared(db, sql, &code);
    if (!statement) {
        return code;
    }
    bind_id(statement, 1, row->id);
    sqlite3_bind_int(statement, 2, row->kind);
    statement_bind_text(statement, 3, row->resource);
    sqlite3_bind_int64(statement, 4, row->item);
    sqlite3_bind_int(statement, 5, row->owner_kind);
    bind_id(statement, 6, row->owner);
    sqlite3_bind_int64(statement, 7, (int64_t)row->fence);
    sqlite3_bind_int64(statement, 8, row->depth);
    sqlite3_bind_int64(statement, 9, row->granted_at_us);
    sqlite3_bind_int64(statement, 10, row->expires_at_us);
    sqlite3_bind_int64(statement, 11, row->ttl_us);
    sqlite3_bind_int(statement, 12, row->ended);
    sqlite3_bind_int64(statement, 13, row->ended_at_us);
    sqlite3_bind_int(statement, 14, row->by_kind);
    bind_id(statement, 15, row->by);
    if (row->exitcode_known) {
        sqlite3_bind_int(statement, 16, row->exitcode);
    } else {
        sqlite3_bind_null(statement, 16);
    }
    return statement_run(statement);
}

static int run_hold_put(struct writer *writer, struct operation *base)
{
    return hold_row_write(writer_db(writer), &((struct hold_operation *)base)->row);
}

static int run_hold_delete(struct writer *writer, struct operation *base)
{
    static const char sql[] = "DELETE FROM hold WHERE id=?1";
    int code;
    sqlite3_stmt *statement = db_prepared(writer_db(writer), sql, &code);
    if (!statement) {
        return code;
    }
    bind_id(statement, 1, ((struct hold_operation *)base)->row.id);
    return statement_run(statement);
}

static int run_fence_put(struct writer *writer, struct operation *base)
{
    return db_meta_set(writer_db(writer), DB_STATE, FENCE_KEY,
                       (int64_t)((struct fence_operation *)base)->reserved);
}

int journal_position_write(struct db *db, const struct journal_position *position)
{
    int code = db_meta_set(db, DB_STATE, JOURNAL_ID_KEY, (int64_t)position->id);
    return code == SQLITE_OK ? db_meta_set(db, DB_STATE, JOURNAL_POSITION_KEY,
                                           (int64_t)position->position)
                             : code;
}

static int run_journal(struct writer *writer, struct operation *base)
{
    return journal_position_write(writer_db(writer),
                                  &((struct journal_operation *)base)->position);
}

static const struct operation_type journal_type = {"journal_position", DB_STATE, run_journal};
static const struct operation_type object_put_type = {"object_put", DB_STATE, run_object_put};
static const struct operation_type object_delete_type = {"object_delete", DB_STATE,
                                                         run_object_delete};
static const struct operation_type hold_put_type = {"hold_put", DB_STATE, run_hold_put};
static const struct operation_type hold_delete_type = {"hold_delete", DB_STATE, run_hold_delete};
static const struct operation_type fence_put_type = {"fence_put", DB_STATE, run_fence_put};

/* ---- into the batch ---- */

bool object_row_put(struct batch *batch, const struct object_row *row)
{
    struct object_row copy = *row;
    copy.state = batch_copy(batch, row->state, row->state_bytes);
    if (!copy.state || !batch_keep(batch, &copy.name) || !batch_keep(batch, &copy.config)) {
        return false;
    }
    struct object_operation *operation = batch_add(batch, &object_put_type, sizeof *operation);
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

bool object_row_delete(struct batch *batch, int64_t num)
{
    struct object_operation *operation = batch_add(batch, &object_delete_type, sizeof *operation);
    if (operation) {
        operation->row.num = num;
    }
    return operation != NULL;
}

bool hold_row_put(struct batch *batch, const struct hold_row *row)
{
    struct hold_row copy = *row;
    if (!batch_keep(batch, &copy.resource)) {
        return false;
    }
    struct hold_operation *operation = batch_add(batch, &hold_put_type, sizeof *operation);
    if (operation) {
        operation->row = copy;
    }
    return operation != NULL;
}

bool hold_row_delete(struct batch *batch, const uint8_t id[16])
{
    struct hold_operation *operation = batch_add(batch, &hold_delete_type, sizeof *operation);
    if (operation) {
        memcpy(operation->row.id, id, sizeof operation->row.id);
    }
    return operation != NULL;
}

bool fence_row_put(struct batch *batch, uint64_t reserved)
{
    struct fence_operation *operation = batch_add(batch, &fence_put_type, sizeof *operation);
    if (operation) {
        operation->reserved = reserved;
    }
    return operation != NULL;
}

bool journal_position_put(struct batch *batch, const struct journal_position *position)
{
    struct journal_operation *operation = batch_add(batch, &journal_type, sizeof *operation);
    if (operation) {
        operation->position = *position;
    }
    return operation != NULL;
}

/* ---- at the start ---- */

void journal_position_get(struct db *db, struct journal_position *out)
{
    out->id = (uint64_t)db_meta_get(db, DB_STATE, JOURNAL_ID_KEY);
    out->position = (uint64_t)db_meta_get(db, DB_STATE, JOURNAL_POSITION_KEY);
}

static bool column_id(sqlite3_stmt *statement, int index, uint8_t id[16])
{
    if (sqlite3_column_bytes(statement, index) != 16) {
        return false;
    }
    memcpy(id, sqlite3_column_blob(statement, index), 16);
    return true;
}

static int finish(struct db *db, sqlite3_stmt *statement, int code, struct db_error *error,
                  const char *doing)
{
    bool fine = code == SQLITE_ROW || code == SQLITE_DONE;
    if (!fine) {
        db_error_set(error, db, DB_STATE, code, doing);
    }
    sqlite3_reset(statement);
    return fine ? SQLITE_OK : code;
}

int object_rows_load(struct db *db, bool (*row)(void *context, const struct object_row *row),
                     void *context, struct db_error *error)
{
    static const char sql[] = "SELECT num, kind, name, owner_kind, owner, created_at, config, state"
                              " FROM object ORDER BY num";
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        struct object_row loaded = {
            .num = sqlite3_column_int64(statement, 0),
            .kind = sqlite3_column_int(statement, 1),
            .name = (const char *)sqlite3_column_text(statement, 2),
            .owner_kind = sqlite3_column_int(statement, 3),
            .created_at_us = sqlite3_column_int64(statement, 5),
            .config = (const char *)sqlite3_column_text(statement, 6),
            .state = (const char *)sqlite3_column_text(statement, 7),
            .state_bytes = (size_t)sqlite3_column_bytes(statement, 7),
        };
        if (column_id(statement, 4, loaded.owner) && loaded.name && loaded.config &&
            loaded.state && !row(context, &loaded)) {
            break;
        }
    }
    return finish(db, statement, code, error, "cannot load the objects");
}

int hold_rows_load(struct db *db, bool (*row)(void *context, const struct hold_row *row),
                   void *context, struct db_error *error)
{
    static const char sql[] =
        "SELECT id, kind, resource, item, owner_kind, owner, fence, depth, granted_at, expires_at,"
        " ttl, ended, ended_at, by_kind, by, exitcode FROM hold ORDER BY ended_at, fence";
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, error);
    if (!statement) {
        return db_prepare_failed(db, DB_STATE);
    }
    int code;
    while ((code = statement_row(statement)) == SQLITE_ROW) {
        struct hold_row loaded = {
            .kind = sqlite3_column_int(statement, 1),
            .resource = (const char *)sqlite3_column_text(statement, 2),
            .item = sqlite3_column_int64(statement, 3),
            .owner_kind = sqlite3_column_int(statement, 4),
            .fence = (uint64_t)sqlite3_column_int64(statement, 6),
            .depth = (unsigned)sqlite3_column_int(statement, 7),
            .granted_at_us = sqlite3_column_int64(statement, 8),
            .expires_at_us = sqlite3_column_int64(statement, 9),
            .ttl_us = sqlite3_column_int64(statement, 10),
            .ended = sqlite3_column_int(statement, 11),
            .ended_at_us = sqlite3_column_int64(statement, 12),
            .by_kind = sqlite3_column_int(statement, 13),
            .exitcode_known = sqlite3_column_type(statement, 15) != SQLITE_NULL,
            .exitcode = sqlite3_column_int(statement, 15),
        };
        if (column_id(statement, 0, loaded.id) && column_id(statement, 5, loaded.owner) &&
            column_id(statement, 14, loaded.by) && loaded.resource && !row(context, &loaded)) {
            break;
        }
    }
    return finish(db, statement, code, error, "cannot load the holds");
}

uint64_t fence_row_get(struct db *db)
{
    return (uint64_t)db_meta_get(db, DB_STATE, FENCE_KEY);
}
