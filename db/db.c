/*
 * Opening, checking and closing the two files, and what every table needs: kept statements, the
 * table `meta`, spool positions.
 *
 * A connection belongs to one thread at a time, so SQLite's own mutexes are off. Caches are small:
 * the writer streams through large transactions (pages spill to the WAL early), readers touch each
 * page once. Checkpoints are never a side effect of somebody's commit (wal.c, checkpointer.c); a
 * WAL keeps the length it has reached until there is nothing to do, because growing it again costs
 * more.
 *
 * Nobody uses SAVEPOINT: SQLite 3.40.1 loses a committed transaction in a crash when its pages were spilled
 * before a ROLLBACK TO (the checksums of the WAL are then not rewritten).
 */
#include "db/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "db/schema.h"
#include "db/statement.h"
#include "db/vfs.h"

#define STATEMENT_SLOTS 128u /* a power of two, well above the number of statements in db/ */

struct kept_statement {
    const char *sql;             /* its address is the key */
    sqlite3_stmt *statement;
};

struct db {
    sqlite3 *handles[DB_FILES];
    char paths[DB_FILES][PATH_MAX];
    bool fresh[DB_FILES];        /* made by this db_open */
    int unread;                  /* why something of meta could not be read; 0: nothing */
    void *scratch;
    size_t scratch_bytes;
    struct kept_statement kept[DB_FILES][STATEMENT_SLOTS];
};

static const char *const file_names[DB_FILES] = { [DB_STATE] = "state.db", [DB_LOGS] = "logs.db" };

/* Rows of logs.db are long: with pages of 16 KiB they go to the WAL and back half as fast again as
   with 4 KiB; still larger ones make small batches dearer. */
static const char *const first_pragmas[DB_FILES] = {
    [DB_STATE] = "PRAGMA page_size=4096; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL",
    [DB_LOGS] = "PRAGMA page_size=16384; PRAGMA auto_vacuum=INCREMENTAL; PRAGMA journal_mode=WAL",
};

static const char *const writer_pragmas[DB_FILES] = {
    [DB_STATE] = "PRAGMA secure_delete=FAST; PRAGMA foreign_keys=OFF; PRAGMA synchronous=NORMAL;"
                 "PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=67108864;"
                 "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-1000",
    [DB_LOGS] = "PRAGMA secure_delete=FAST; PRAGMA foreign_keys=OFF; PRAGMA synchronous=NORMAL;"
                "PRAGMA wal_autocheckpoint=0; PRAGMA journal_size_limit=67108864;"
                "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-2000",
};

static const char reader_pragmas[] =
    "PRAGMA query_only=ON; PRAGMA temp_store=MEMORY; PRAGMA cache_size=-400";

/* ---- errors ---- */

int db_error_set(struct db_error *error, struct db *db, enum db_file file, int code,
                 const char *doing)
{
    if (!error) {
        return code;
    }
    const char *text = db->handles[file] && sqlite3_errcode(db->handles[file]) != SQLITE_OK
                           ? sqlite3_errmsg(db->handles[file])
                           : sqlite3_errstr(code);
    error->code = code;
    snprintf(error->text, sizeof error->text, "%.250s: %s: %.100s", db->paths[file], doing,
             text);
    return code;
}

static bool refuse(struct db *db, enum db_file file, int code, const char *why,
                   struct db_error *error)
{
    if (error) {
        error->code = code;
        snprintf(error->text, sizeof error->text, "%.250s: %.140s", db->paths[file], why);
    }
    return false;
}

static bool failed(struct db *db, enum db_file file, int code, const char *doing,
                   struct db_error *error)
{
    db_error_set(error, db, file, code, doing);
    return false;
}

/* ---- opening ---- */

static int pragma_number(sqlite3 *handle, const char *sql, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, sql, -1, &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    return code == SQLITE_ROW ? SQLITE_OK : code;
}

/* The file is made by us first, so that it and what SQLite puts beside it have mode 0600. */
static bool make_file(struct db *db, enum db_file file, struct db_error *error)
{
    int fd = open(db->paths[file], O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        int code = errno == ENOSPC || errno == EDQUOT ? SQLITE_FULL : SQLITE_CANTOPEN;
        return refuse(db, file, code, strerror(errno), error);
    }
    struct stat status;
    bool regular = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
    db->fresh[file] = regular && status.st_size == 0;
    close(fd);
    if (!regular) {
        return refuse(db, file, SQLITE_CANTOPEN, "not a regular file", error);
    }
    return true;
}

/* Is this our file, of a version that we understand? An empty file is ours to make. */
static bool check_identity(struct db *db, enum db_file file, int *version, struct db_error *error)
{
    sqlite3 *handle = db->handles[file];
    int64_t application = 0, user_version = 0, tables = 0;
    int code = pragma_number(handle, "SELECT count(*) FROM sqlite_schema", &tables);
    if (code == SQLITE_OK) {
        code = pragma_number(handle, "PRAGMA application_id", &application);
    }
    if (code == SQLITE_OK) {
        code = pragma_number(handle, "PRAGMA user_version", &user_version);
    }
    if (code != SQLITE_OK) {
        return failed(db, file, code, "cannot be read as a database", error);
    }
    if (sqlite3_db_readonly(handle, "main")) {
        return refuse(db, file, SQLITE_READONLY, "is read-only", error);
    }
    bool empty = tables == 0 && application == 0;
    if (!empty && application != schema_application_id(file)) {
        return refuse(db, file, SQLITE_NOTADB, "is a database of another program", error);
    }
    if (user_version < 0 || user_version > DB_SCHEMA_VERSION) {
        return refuse(db, file, SQLITE_NOTADB, "was made by a newer version of forkful", error);
    }
    *version = (int)user_version;
    return true;
}

/* Under test a file can be limited to so many pages: a disk that is full. */
static void limit_pages(sqlite3 *handle)
{
#ifdef FORKFUL_FAULTS
    const char *pages = getenv("FORKFUL_DB_MAX_PAGES");
    char sql[80];
    if (pages) {
        snprintf(sql, sizeof sql, "PRAGMA max_page_count=%ld", strtol(pages, NULL, 10));
        sqlite3_exec(handle, sql, NULL, NULL, NULL);
    }
#else
    (void)handle;
#endif
}

static bool open_file(struct db *db, enum db_file file, int flags, struct db_error *error)
{
    const char *layer = flags & SQLITE_OPEN_READWRITE ? db_vfs_name() : NULL;
    flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE | SQLITE_OPEN_PRIVATECACHE;
    int code = sqlite3_open_v2(db->paths[file], &db->handles[file], flags, layer);
    if (code != SQLITE_OK) {
        return failed(db, file, code, "cannot be opened", error);
    }
    sqlite3_busy_timeout(db->handles[file], 5000);
    sqlite3_db_config(db->handles[file], SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    return true;
}

static bool open_for_writing(struct db *db, enum db_file file, struct db_error *error)
{
    int version = 0;
    if (!make_file(db, file, error) || !open_file(db, file, SQLITE_OPEN_READWRITE, error) ||
        !check_identity(db, file, &version, error)) {
        return false;
    }
    sqlite3 *handle = db->handles[file];
    limit_pages(handle);
    int code = sqlite3_exec(handle, first_pragmas[file], NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        code = sqlite3_exec(handle, writer_pragmas[file], NULL, NULL, NULL);
    }
    if (code == SQLITE_OK) {
        code = schema_migrate(handle, file, version);
    }
    if (code != SQLITE_OK) {
        return failed(db, file, code, "cannot be prepared for writing", error);
    }
    code = schema_verify(handle, file);
    return code == SQLITE_OK || failed(db, file, code, "is damaged", error);
}

/* Both files carry the same random number: the rows of one name processes of the other. */
static bool check_pair(struct db *db, struct db_error *error)
{
    int64_t state_pair = db_meta_get(db, DB_STATE, "pair");
    int64_t logs_pair = db_meta_get(db, DB_LOGS, "pair");
    if (state_pair != 0 && state_pair == logs_pair) {
        return true;
    }
    if (logs_pair != 0) {
        return refuse(db, DB_LOGS, SQLITE_MISMATCH,
                      "belongs to another state.db; move it away to go on without its logs", error);
    }
    if (state_pair == 0 && getrandom(&state_pair, sizeof state_pair, 0) != sizeof state_pair) {
        return refuse(db, DB_STATE, SQLITE_IOERR, "no random numbers", error);
    }
    state_pair |= 1;
    int code = db_meta_set(db, DB_LOGS, "pair", state_pair);
    if (code != SQLITE_OK) {
        return failed(db, DB_LOGS, code, "cannot be written", error);
    }
    code = db_meta_set(db, DB_STATE, "pair", state_pair);
    return code == SQLITE_OK || failed(db, DB_STATE, code, "cannot be written", error);
}

static struct db *db_new(const char *state_dir, struct db_error *error)
{
    struct db *db = calloc(1, sizeof *db);
    if (!db) {
        error->code = SQLITE_NOMEM;
        snprintf(error->text, sizeof error->text, "%s: out of memory", state_dir);
        return NULL;
    }
    for (int file = 0; file < DB_FILES; file++) {
        int length = snprintf(db->paths[file], PATH_MAX, "%s/%s", state_dir, file_names[file]);
        if (length >= PATH_MAX) {
            error->code = SQLITE_CANTOPEN;
            snprintf(error->text, sizeof error->text, "the state directory's path is too long");
            free(db);
            return NULL;
        }
    }
    return db;
}

struct db *db_open(const char *state_dir, struct db_error *error)
{
    memset(error, 0, sizeof *error);
    struct db *db = db_new(state_dir, error);
    if (!db) {
        return NULL;
    }
    if (open_for_writing(db, DB_STATE, error) && open_for_writing(db, DB_LOGS, error) &&
        check_pair(db, error)) {
        return db;
    }
    db_close(db);
    return NULL;
}

static bool open_for_reading(struct db *db, enum db_file file, struct db_error *error)
{
    if (!open_file(db, file, SQLITE_OPEN_READONLY, error)) {
        return false;
    }
    int code = sqlite3_exec(db->handles[file], reader_pragmas, NULL, NULL, NULL);
    if (code == SQLITE_OK) {
        code = schema_verify(db->handles[file], file);
    }
    return code == SQLITE_OK || failed(db, file, code, "cannot be read", error);
}

struct db *db_open_reader(const char *state_dir, struct db_error *error)
{
    memset(error, 0, sizeof *error);
    struct db *db = db_new(state_dir, error);
    if (!db) {
        return NULL;
    }
    if (open_for_reading(db, DB_STATE, error) && open_for_reading(db, DB_LOGS, error)) {
        return db;
    }
    db_close(db);
    return NULL;
}

/* Reading something is what makes a connection know that there is a WAL. */
struct db *db_open_beside(const struct db *of, int *code)
{
    static const char pragmas[] = "PRAGMA synchronous=NORMAL; PRAGMA cache_size=10;"
                                  "PRAGMA schema_version";
    struct db *db = calloc(1, sizeof *db);
    *code = db ? SQLITE_OK : SQLITE_NOMEM;
    for (int file = 0; db && file < DB_FILES && *code == SQLITE_OK; file++) {
        memcpy(db->paths[file], of->paths[file], sizeof db->paths[file]);
        if (!open_file(db, (enum db_file)file, SQLITE_OPEN_READWRITE, NULL)) {
            *code = sqlite3_extended_errcode(db->handles[file]);
        } else {
            *code = sqlite3_exec(db->handles[file], pragmas, NULL, NULL, NULL);
        }
    }
    if (*code == SQLITE_OK) {
        return db;
    }
    db_close(db);
    return NULL;
}

void db_close(struct db *db)
{
    if (!db) {
        return;
    }
    for (int file = 0; file < DB_FILES; file++) {
        for (size_t i = 0; i < STATEMENT_SLOTS; i++) {
            sqlite3_finalize(db->kept[file][i].statement);
        }
        sqlite3_close(db->handles[file]);
    }
    free(db->scratch);
    free(db);
}

void *db_scratch(struct db *db, size_t bytes)
{
    if (bytes > db->scratch_bytes) {
        free(db->scratch);
        db->scratch = malloc(bytes);
        db->scratch_bytes = db->scratch ? bytes : 0;
    }
    return db->scratch;
}

sqlite3 *db_handle(struct db *db, enum db_file file)
{
    return db->handles[file];
}

const char *db_path(struct db *db, enum db_file file)
{
    return db->paths[file];
}

/* ---- statements ---- */

sqlite3_stmt *db_statement(struct db *db, enum db_file file, const char *sql,
                           struct db_error *error)
{
    struct kept_statement *kept = db->kept[file];
    size_t slot = ((uintptr_t)sql >> 3) * 2654435761u % STATEMENT_SLOTS;
    for (size_t tries = 0; kept[slot].sql != sql && kept[slot].sql; tries++) {
        if (tries == STATEMENT_SLOTS) {
            db_error_set(error, db, file, SQLITE_NOMEM, "too many statements");
            return NULL;
        }
        slot = (slot + 1) % STATEMENT_SLOTS;
    }
    if (!kept[slot].sql) {
        int code = sqlite3_prepare_v3(db->handles[file], sql, -1, SQLITE_PREPARE_PERSISTENT,
                                      &kept[slot].statement, NULL);
        if (code != SQLITE_OK) {
            db_error_set(error, db, file, code, "cannot prepare a statement");
            return NULL;
        }
        kept[slot].sql = sql;
    }
    return kept[slot].statement;
}

int statement_run(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    sqlite3_reset(statement);
    return code == SQLITE_DONE || code == SQLITE_ROW ? SQLITE_OK : code;
}

int statement_row(sqlite3_stmt *statement)
{
    int code = sqlite3_step(statement);
    int columns = code == SQLITE_ROW ? sqlite3_column_count(statement) : 0;
    for (int i = 0; i < columns; i++) {
        if (sqlite3_column_type(statement, i) == SQLITE_TEXT && !sqlite3_column_text(statement, i)) {
            return SQLITE_NOMEM;
        }
    }
    return code;
}

void statement_bind_text(sqlite3_stmt *statement, int index, const char *text)
{
    if (text) {
        sqlite3_bind_text(statement, index, text, -1, SQLITE_STATIC);
    } else {
        sqlite3_bind_null(statement, index);
    }
}

int db_prepare_failed(struct db *db, enum db_file file)
{
    int code = sqlite3_extended_errcode(db->handles[file]);
    return code == SQLITE_OK ? SQLITE_NOMEM : code;
}

sqlite3_stmt *db_prepared(struct db *db, const char *sql, int *code)
{
    sqlite3_stmt *statement = db_statement(db, DB_STATE, sql, NULL);
    *code = statement ? SQLITE_OK : db_prepare_failed(db, DB_STATE);
    return statement;
}

/* ---- meta and positions ---- */

static sqlite3_stmt *meta_find(struct db *db, enum db_file file, const char *key)
{
    static const char sql[] = "SELECT value FROM meta WHERE key=?1";
    sqlite3_stmt *statement = db_statement(db, file, sql, NULL);
    if (statement) {
        sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    } else {
        db_note_unread(db, db_prepare_failed(db, file));
    }
    return statement;
}

void db_note_unread(struct db *db, int code)
{
    if (code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE) {
        db->unread = code;
    }
}

static bool meta_row(struct db *db, sqlite3_stmt *statement)
{
    int code = statement_row(statement);
    db_note_unread(db, code);
    return code == SQLITE_ROW;
}

int db_unread(struct db *db)
{
    int code = db->unread;
    db->unread = SQLITE_OK;
    return code;
}

int64_t db_meta_get(struct db *db, enum db_file file, const char *key)
{
    int64_t value = 0;
    sqlite3_stmt *statement = meta_find(db, file, key);
    if (!statement) {
        return 0;
    }
    if (meta_row(db, statement)) {
        value = sqlite3_column_int64(statement, 0);
    }
    sqlite3_reset(statement);
    return value;
}

bool db_meta_text(struct db *db, enum db_file file, const char *key, char *out, int out_bytes)
{
    sqlite3_stmt *statement = meta_find(db, file, key);
    if (!statement) {
        return false;
    }
    const unsigned char *text =
        meta_row(db, statement) ? sqlite3_column_text(statement, 0) : NULL;
    if (text) {
        snprintf(out, (size_t)out_bytes, "%s", (const char *)text);
    }
    sqlite3_reset(statement);
    return text != NULL;
}

static const char meta_set_sql[] = "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)";

int db_meta_set(struct db *db, enum db_file file, const char *key, int64_t value)
{
    sqlite3_stmt *statement = db_statement(db, file, meta_set_sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, file);
    }
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 2, value);
    return statement_run(statement);
}

int db_meta_text_set(struct db *db, enum db_file file, const char *key, const char *value)
{
    sqlite3_stmt *statement = db_statement(db, file, meta_set_sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, file);
    }
    sqlite3_bind_text(statement, 1, key, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC);
    int code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

/* The position is one blob under one key: one row to write per batch. */
bool db_position_get(struct db *db, enum db_file file, struct db_position *out)
{
    memset(out, 0, sizeof *out);
    sqlite3_stmt *statement = meta_find(db, file, "position");
    if (!statement) {
        return false;
    }
    bool found = meta_row(db, statement) &&
                 sqlite3_column_bytes(statement, 0) == (int)sizeof *out;
    if (found) {
        memcpy(out, sqlite3_column_blob(statement, 0), sizeof *out);
    }
    sqlite3_reset(statement);
    return found;
}

int db_position_set(struct db *db, enum db_file file, const struct db_position *position)
{
    sqlite3_stmt *statement = db_statement(db, file, meta_set_sql, NULL);
    if (!statement) {
        return db_prepare_failed(db, file);
    }
    sqlite3_bind_text(statement, 1, "position", -1, SQLITE_STATIC);
    sqlite3_bind_blob(statement, 2, position, (int)sizeof *position, SQLITE_STATIC);
    int code = statement_run(statement);
    sqlite3_clear_bindings(statement);
    return code;
}
