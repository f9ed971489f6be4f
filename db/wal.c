/* The write-ahead logs; see wal.h. */
#include "db/wal.h"

#include <stddef.h>
#include <time.h>

#define WAIT_FOR_READERS_MS 200
#define BUSY_MS 5000                   /* of a connection, as db.c sets it */

/* So many bytes of a WAL are copied back at once, while the writer goes on. */
static const int64_t copy_bytes[DB_FILES] = { [DB_STATE] = 4 << 20, [DB_LOGS] = 8 << 20 };
/* But output not more often than this, unless half of the limit has come: to copy and sync a burst of it
   costs more than to store it. */
#define COPY_PERIOD_US 1000000
/* Of this size the writer waits until all is copied, and for readers. A crash leaves as much to be
   read at the next start; a wait for each shorter WAL would be felt by more than a hundredth of the
   spawns. */
#define STATE_LIMIT_BYTES (32 << 20)
#define LOGS_LIMIT_BYTES (512 << 20)

static int64_t length(const struct wal *wal, enum db_file file)
{
    return (int64_t)wal->frames[file] * wal->page_bytes[file];
}

static int64_t uncopied_bytes(const struct wal *wal, enum db_file file)
{
    int frames = wal->frames[file] - wal->copied[file];
    return (int64_t)frames * wal->page_bytes[file];
}

/* Fewer frames than before: the WAL has begun anew. */
static void note(struct wal *wal, enum db_file file, int frames, int copied)
{
    wal->frames[file] = frames;
    if (copied > frames || wal->copied[file] > frames) {
        copied = 0;
    }
    wal->copied[file] = copied;
}

static int note_frames(void *context, sqlite3 *handle, const char *name, int frames)
{
    (void)name;
    struct wal *wal = context;
    enum db_file file = handle == db_handle(wal->db, DB_LOGS) ? DB_LOGS : DB_STATE;
    note(wal, file, frames, wal->copied[file]);
    return SQLITE_OK;
}

/* Takes in what the checkpointer has done. False: it failed. */
static bool collect(struct wal *wal, enum db_file file)
{
    struct checkpoint last = checkpointer_collect(wal->checkpointer, file);
    if (last.done && last.copied > wal->copied[file]) {
        note(wal, file, wal->frames[file], last.copied);
    }
    return last.code == SQLITE_OK;
}

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static bool copy_is_due(const struct wal *wal, enum db_file file)
{
    int64_t bytes = uncopied_bytes(wal, file);
    if (file == DB_STATE || bytes < copy_bytes[file]) {
        return bytes >= copy_bytes[file];
    }
    return bytes >= wal->limit_bytes[file] / 2 ||
           monotonic_us() - wal->asked_us[file] >= COPY_PERIOD_US;
}

static void ask(struct wal *wal, enum db_file file)
{
    if (!checkpointer_busy(wal->checkpointer, file)) {
        checkpointer_ask(wal->checkpointer, file);
        wal->asked_us[file] = monotonic_us();
    }
}

/* Commits come faster than they are copied: waits until all is, so that the WAL can begin anew.
   When there was always some reader whose snapshot is in the way, these are waited for too. */
static int wait_for_all(struct wal *wal, enum db_file file)
{
    sqlite3 *handle = db_handle(wal->db, file);
    /* Twice: one may run that knows only what was there when it began. */
    for (int pass = 0; pass < 2; pass++) {
        checkpointer_wait(wal->checkpointer, file);
        if (!collect(wal, file)) {
            return SQLITE_IOERR;
        }
        if (!uncopied_bytes(wal, file)) {
            return SQLITE_OK;
        }
        if (pass == 0) {
            checkpointer_ask(wal->checkpointer, file);
        }
    }
    int frames = 0, copied = 0;
    sqlite3_busy_timeout(handle, WAIT_FOR_READERS_MS);
    int code =
        sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_RESTART, &frames, &copied);
    sqlite3_busy_timeout(handle, BUSY_MS);
    if (code == SQLITE_OK) {
        note(wal, file, frames, copied);
    }
    return code == SQLITE_BUSY ? SQLITE_OK : code;
}

void wal_limit_logs(struct wal *wal, uint64_t bytes)
{
    wal->limit_bytes[DB_LOGS] = bytes ? (int64_t)bytes : LOGS_LIMIT_BYTES;
}

bool wal_keep_short(struct wal *wal)
{
    for (int i = 0; i < DB_FILES; i++) {
        enum db_file file = (enum db_file)i;
        if (!collect(wal, file)) {
            return false;
        }
        bool too_long = length(wal, file) >= wal->limit_bytes[file];
        wal->grown[file] = wal->grown[file] || length(wal, file) >= copy_bytes[file];
        if (copy_is_due(wal, file)) {
            ask(wal, file);
        }
        if (too_long && uncopied_bytes(wal, file) && wait_for_all(wal, file) != SQLITE_OK) {
            return false;
        }
    }
    return true;
}

/* Empties the WAL and cuts the file: at once when all was copied back before. */
static void cut(struct wal *wal, enum db_file file)
{
    sqlite3 *handle = db_handle(wal->db, file);
    sqlite3_busy_timeout(handle, WAIT_FOR_READERS_MS);
    if (sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) ==
        SQLITE_OK) {
        note(wal, file, 0, 0);
        wal->grown[file] = false;
    }
    sqlite3_busy_timeout(handle, BUSY_MS);
}

bool wal_empty(struct wal *wal)
{
    bool busy = false;
    for (int i = 0; i < DB_FILES; i++) {
        enum db_file file = (enum db_file)i;
        collect(wal, file);
        if (!wal->emptying && uncopied_bytes(wal, file)) {
            ask(wal, file);
        }
        busy = busy || checkpointer_busy(wal->checkpointer, file);
    }
    wal->emptying = true;
    for (int i = 0; i < DB_FILES && !busy; i++) {
        if (wal->grown[i]) {
            cut(wal, (enum db_file)i);
        }
    }
    return !busy;
}

void wal_disturb(struct wal *wal)
{
    wal->emptying = false;
}

void wal_make_room(struct wal *wal)
{
    for (int file = 0; file < DB_FILES; file++) {
        checkpointer_wait(wal->checkpointer, (enum db_file)file);
        cut(wal, (enum db_file)file);
    }
}

/* ---- begin and end ---- */

static int page_bytes(sqlite3 *handle, int64_t *out)
{
    sqlite3_stmt *statement = NULL;
    int code = sqlite3_prepare_v2(handle, "PRAGMA page_size", -1, &statement, NULL);
    if (code == SQLITE_OK && (code = sqlite3_step(statement)) == SQLITE_ROW) {
        *out = sqlite3_column_int64(statement, 0);
        code = SQLITE_OK;
    }
    sqlite3_finalize(statement);
    return code;
}

int wal_begin(struct wal *wal, struct db *db)
{
    int code = SQLITE_OK;
    *wal = (struct wal){ .db = db, .limit_bytes = { STATE_LIMIT_BYTES, LOGS_LIMIT_BYTES } };
    for (int file = 0; file < DB_FILES && code == SQLITE_OK; file++) {
        code = page_bytes(db_handle(db, (enum db_file)file), &wal->page_bytes[file]);
    }
    if (code == SQLITE_OK) {
        wal->checkpointer = checkpointer_start(db, &code);
    }
    for (int file = 0; file < DB_FILES && wal->checkpointer; file++) {
        sqlite3_wal_hook(db_handle(db, (enum db_file)file), note_frames, wal);
    }
    return code;
}

void wal_end(struct wal *wal)
{
    for (int file = 0; file < DB_FILES; file++) {
        sqlite3_wal_hook(db_handle(wal->db, (enum db_file)file), NULL, NULL);
    }
    checkpointer_stop(wal->checkpointer);
}
