/*
 * The schema of state.db and logs.db, as steps: row N of a file's list leads to version N + 1.
 *
 * A step is never changed once released; a new version appends one. Indexes are few on purpose: a
 * batch of starts and exits writes thousands of rows a second, and the loop has everything in
 * memory that is looked up by another key. Small columns stand before long ones, so that a row's
 * numbers are read without its overflow pages.
 */
#include "db/schema.h"

#include <stdio.h>
#include <string.h>

static const char state_1[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE process ("
    " num INTEGER PRIMARY KEY, id BLOB NOT NULL, state INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL, started_at INTEGER NOT NULL, exited_at INTEGER NOT NULL,"
    " pid INTEGER NOT NULL, ppid INTEGER NOT NULL,"
    " pidfd_inode INTEGER NOT NULL, start_ticks INTEGER NOT NULL,"
    " exit_kind INTEGER NOT NULL, exit_status INTEGER NOT NULL, exit_reason INTEGER NOT NULL,"
    " core_dumped INTEGER NOT NULL, paused INTEGER NOT NULL, usage_known INTEGER NOT NULL,"
    " user_us INTEGER NOT NULL, system_us INTEGER NOT NULL, max_rss_bytes INTEGER NOT NULL,"
    " stdout_bytes INTEGER NOT NULL, stderr_bytes INTEGER NOT NULL,"
    " dropped_bytes INTEGER NOT NULL, open_streams INTEGER NOT NULL,"
    " descendants INTEGER NOT NULL, stop_reason INTEGER NOT NULL, stop_signal INTEGER NOT NULL,"
    " stop_deadline_at INTEGER NOT NULL, start_errno INTEGER NOT NULL,"
    " start_stage INTEGER NOT NULL, revision INTEGER NOT NULL,"
    " token TEXT, spec TEXT NOT NULL);"
    "CREATE TABLE doomed (process INTEGER PRIMARY KEY);" /* deleted; its log is not gone yet */
    "CREATE TABLE session (id BLOB PRIMARY KEY, token TEXT NOT NULL, created_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, ttl INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE answer (principal TEXT NOT NULL, key TEXT NOT NULL,"
    " request_hash INTEGER NOT NULL, at INTEGER NOT NULL, status INTEGER NOT NULL, location TEXT, content_type TEXT, body BLOB,"
    " UNIQUE (principal, key));"
    "CREATE INDEX answer_at ON answer (at);"
    "CREATE TABLE change (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, type TEXT NOT NULL,"
    " ref TEXT, data TEXT);"
    "CREATE TABLE log (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, level INTEGER NOT NULL,"
    " process INTEGER NOT NULL, ref TEXT, name TEXT, text TEXT NOT NULL);";

/* Coordination: objects, what somebody holds of them, the messages of durable queues. */
static const char state_2[] =
    "CREATE TABLE object (num INTEGER PRIMARY KEY, kind INTEGER NOT NULL, name TEXT NOT NULL,"
    " owner_kind INTEGER NOT NULL, owner BLOB NOT NULL, created_at INTEGER NOT NULL,"
    " config TEXT NOT NULL, state TEXT NOT NULL);"
    "CREATE TABLE hold (id BLOB PRIMARY KEY, kind INTEGER NOT NULL, resource TEXT NOT NULL,"
    " item INTEGER NOT NULL, owner_kind INTEGER NOT NULL, owner BLOB NOT NULL,"
    " fence INTEGER NOT NULL, depth INTEGER NOT NULL, granted_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, ttl INTEGER NOT NULL, ended INTEGER NOT NULL,"
    " ended_at INTEGER NOT NULL, by_kind INTEGER NOT NULL, by BLOB NOT NULL, exitcode INTEGER)"
    " WITHOUT ROWID;"
    "CREATE TABLE message (seq INTEGER PRIMARY KEY, id BLOB NOT NULL, object INTEGER NOT NULL,"
    " state INTEGER NOT NULL, priority INTEGER NOT NULL, ready_at INTEGER NOT NULL,"
    " expires_at INTEGER NOT NULL, attempts INTEGER NOT NULL, enqueued_at INTEGER NOT NULL,"
    " content_type TEXT, last TEXT, body BLOB NOT NULL);"
    "CREATE INDEX message_object ON message (object);";

/* Tasks of pools. A task's payload goes when it has ended. */
static const char state_3[] =
    "CREATE TABLE task (num INTEGER PRIMARY KEY, state INTEGER NOT NULL, attempts INTEGER NOT NULL,"
    " worker INTEGER NOT NULL, process BLOB NOT NULL, turn INTEGER NOT NULL, fed INTEGER NOT NULL,"
    " started_at INTEGER NOT NULL, place INTEGER NOT NULL, finished_at INTEGER NOT NULL,"
    " error INTEGER NOT NULL, reason INTEGER NOT NULL, exitcode INTEGER,"
    " error_number INTEGER NOT NULL, stage INTEGER NOT NULL, id BLOB NOT NULL,"
    " pool INTEGER NOT NULL, batch INTEGER NOT NULL, position INTEGER NOT NULL,"
    " submitted_at INTEGER NOT NULL, content_type TEXT, history TEXT, payload BLOB, result BLOB);"
    "CREATE INDEX task_pool ON task (pool);"
    "CREATE TABLE task_batch (num INTEGER PRIMARY KEY, id BLOB NOT NULL, pool INTEGER NOT NULL,"
    " total INTEGER NOT NULL, submitted_at INTEGER NOT NULL);"
    "CREATE TABLE pool_worker (process INTEGER PRIMARY KEY, line_start INTEGER NOT NULL,"
    " served INTEGER NOT NULL, turn INTEGER NOT NULL, retiring INTEGER NOT NULL);";

/* Who may ask, and who has asked for what. */
static const char state_4[] =
    "CREATE TABLE token (id BLOB PRIMARY KEY, hash BLOB NOT NULL, scopes INTEGER NOT NULL,"
    " created_at INTEGER NOT NULL, expires_at INTEGER NOT NULL, last_used_at INTEGER NOT NULL,"
    " label TEXT) WITHOUT ROWID;"
    "ALTER TABLE session ADD COLUMN scopes INTEGER NOT NULL DEFAULT 15;"
    "ALTER TABLE session ADD COLUMN maker BLOB;"
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY, at INTEGER NOT NULL, status INTEGER NOT NULL,"
    " principal TEXT, action TEXT, target TEXT, code TEXT, request_id TEXT, remote TEXT);";

/* chunk and log_start are explained in db/log_chunk.h. */
static const char logs_1[] =
    "CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE chunk ("
    " id INTEGER PRIMARY KEY, process INTEGER NOT NULL, first_seq INTEGER NOT NULL,"
    " records INTEGER NOT NULL, out_start INTEGER NOT NULL, err_start INTEGER NOT NULL,"
    " out_bytes INTEGER NOT NULL, err_bytes INTEGER NOT NULL,"
    " open_out INTEGER NOT NULL, open_err INTEGER NOT NULL,"
    " first_at INTEGER NOT NULL, last_at INTEGER NOT NULL,"
    " carry BLOB NOT NULL, data BLOB NOT NULL);"
    "CREATE INDEX chunk_of ON chunk (process, first_seq);"
    "CREATE TABLE log_start ("
    " process INTEGER PRIMARY KEY, next_seq INTEGER NOT NULL, out_start INTEGER NOT NULL,"
    " err_start INTEGER NOT NULL, open_out INTEGER NOT NULL, open_err INTEGER NOT NULL,"
    " reason INTEGER NOT NULL, at INTEGER NOT NULL, trimmed INTEGER NOT NULL,"
    " carry BLOB NOT NULL);";

/* Packed chunks (db/log_chunk.h): how long their data is unpacked, before it in the row. */
static const char logs_5[] =
    "ALTER TABLE chunk RENAME TO chunk_1;"
    "DROP INDEX chunk_of;"
    "CREATE TABLE chunk ("
    " id INTEGER PRIMARY KEY, process INTEGER NOT NULL, first_seq INTEGER NOT NULL,"
    " records INTEGER NOT NULL, out_start INTEGER NOT NULL, err_start INTEGER NOT NULL,"
    " out_bytes INTEGER NOT NULL, err_bytes INTEGER NOT NULL,"
    " open_out INTEGER NOT NULL, open_err INTEGER NOT NULL,"
    " first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, data_bytes INTEGER NOT NULL,"
    " carry BLOB NOT NULL, data BLOB NOT NULL);"
    "INSERT INTO chunk SELECT id, process, first_seq, records, out_start, err_start, out_bytes,"
    " err_bytes, open_out, open_err, first_at, last_at, length(data), carry, data FROM chunk_1;"
    "CREATE INDEX chunk_of ON chunk (process, first_seq);"
    "DROP TABLE chunk_1;";

static const struct {
    int application_id;
    const char *steps[DB_SCHEMA_VERSION];
    const char *check;
} schemas[DB_FILES] = {
    [DB_STATE] = {
        DB_STATE_APPLICATION_ID, { state_1, state_2, state_3, state_4, "" },
        "SELECT (SELECT max(key) FROM meta), (SELECT max(num) FROM process),"
        " (SELECT max(process) FROM doomed), (SELECT max(id) FROM session),"
        " (SELECT max(at) FROM answer), (SELECT max(seq) FROM change), (SELECT max(seq) FROM log),"
        " (SELECT max(num) FROM object), (SELECT max(fence) FROM hold), (SELECT max(seq) FROM message),"
        " (SELECT max(num) FROM task), (SELECT max(num) FROM task_batch),"
        " (SELECT max(process) FROM pool_worker), (SELECT max(id) FROM token),"
        " (SELECT max(scopes) FROM session), (SELECT max(seq) FROM audit)",
    },
    [DB_LOGS] = {
        DB_LOGS_APPLICATION_ID, { logs_1, "", "", "", logs_5 },
        "SELECT (SELECT max(key) FROM meta), (SELECT max(id) FROM chunk),"
        " (SELECT max(data_bytes) FROM chunk), (SELECT trimmed FROM log_start LIMIT 1)",
    },
};

int schema_application_id(enum db_file file)
{
    return schemas[file].application_id;
}

static int set_versions(sqlite3 *handle, enum db_file file)
{
    char sql[120];
    snprintf(sql, sizeof sql, "PRAGMA application_id=%d; PRAGMA user_version=%d",
             schemas[file].application_id, DB_SCHEMA_VERSION);
    return sqlite3_exec(handle, sql, NULL, NULL, NULL);
}

int schema_migrate(sqlite3 *handle, enum db_file file, int from_version)
{
    if (from_version == DB_SCHEMA_VERSION) {
        return SQLITE_OK;
    }
    int code = sqlite3_exec(handle, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (int step = from_version; code == SQLITE_OK && step < DB_SCHEMA_VERSION; step++) {
        code = sqlite3_exec(handle, schemas[file].steps[step], NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = set_versions(handle, file);
    }
    if (code == SQLITE_OK) {
        code = sqlite3_exec(handle, "COMMIT", NULL, NULL, NULL);
    }
    if (code != SQLITE_OK && !sqlite3_get_autocommit(handle)) {
        sqlite3_exec(handle, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

int schema_verify(sqlite3 *handle, enum db_file file)
{
    return sqlite3_exec(handle, schemas[file].check, NULL, NULL, NULL);
}
