/*
 * Upkeep: checkpoints, retention, deleted processes' logs, merging, giving space back.
 *
 * A table of tasks, in order of urgency. A task does a piece of its work and says whether there is
 * more; a slice goes through the table until its time is over. Right after a batch only the
 * urgent tasks run (what would let files grow without bound), and now and then one of the others, so
 * that a server that is never idle keeps its limits too. A failing task is no error of anybody's
 * batch: it is left alone for some seconds.
 */
#include "db/upkeep.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db/checkpointer.h"
#include "db/statement.h"

#define SLICE_US 20000
#define BUSY_SHARE_US 200000       /* a task that can wait runs so often even under load */
#define PERIOD_US 30000000         /* ages are looked at so often when nothing else happens */
#define FAILED_PAUSE_US 5000000

#define REST_AFTER_US 500000       /* without a batch: then the WALs are emptied */
#define REST_POLL_US 10000
#define VACUUM_PAGES 256           /* so many free pages are not worth the work */
#define RETENTION_ROWS 16
#define DOOMED_ROWS 256
#define FEED_ROWS 2000
#define MERGE_ROWS 256
#define QUIET_TRANSACTIONS 256u

/* So many bytes of a WAL are copied back at once, while the writer goes on. */
static const int64_t checkpoint_bytes[DB_FILES] = { [DB_STATE] = 4 << 20, [DB_LOGS] = 8 << 20 };
/* Of this size the writer waits until all is copied, and for readers. A crash leaves as much to be
   read at the next start; a wait for each shorter WAL would be felt by more than a hundredth of the spawns. */
static const int64_t wal_limit_bytes[DB_FILES] = { [DB_STATE] = 32 << 20, [DB_LOGS] = 64 << 20 };

enum outcome { TASK_DONE, TASK_MORE, TASK_FAILED };

struct upkeep {
    struct log_store *store;
    struct db *db;
    struct checkpointer *checkpointer;
    const struct writer_limits *limits;   /* of this slice */
    int64_t page_bytes[DB_FILES];
    int wal_frames[DB_FILES];             /* in the WAL */
    int wal_copied[DB_FILES];             /* of these, copied back */
    bool wal_long[DB_FILES];              /* the WAL has grown since it was last cut */
    int64_t paused_until_us;              /* after a failure */
    int64_t shared_at_us;                 /* when a task that can wait had its turn under load */
    int64_t aged_at_us;                   /* when ages were looked at */
    struct log_merge merge;               /* the process being merged; 0: none */
    unsigned next_task;
    int64_t batch_at_us;                  /* when the last batch came */
    bool asked_at_rest;                   /* the WALs are being emptied */
    bool rested;                          /* that is done, and memory was given back */
};

static int64_t monotonic_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- transactions ---- */

static int execute(struct upkeep *upkeep, enum db_file file, const char *sql)
{
    return sqlite3_exec(db_handle(upkeep->db, file), sql, NULL, NULL, NULL);
}

/* Ends a transaction on logs.db that went well up to `code`. */
static int end_logs(struct upkeep *upkeep, int code)
{
    if (code == SQLITE_OK)
        code = log_store_flush(upkeep->store);
    if (code == SQLITE_OK)
        code = execute(upkeep, DB_LOGS, "COMMIT");
    if (code == SQLITE_OK) {
        log_store_committed(upkeep->store, NULL);
        return code;
    }
    if (!sqlite3_get_autocommit(db_handle(upkeep->db, DB_LOGS)))
        execute(upkeep, DB_LOGS, "ROLLBACK");
    log_store_reset(upkeep->store);
    return code;
}

static int run_number(struct upkeep *upkeep, enum db_file file, const char *sql,
                      const int64_t *numbers, int count)
{
    sqlite3_stmt *statement = db_statement(upkeep->db, file, sql, NULL);
    if (!statement)
        return db_prepare_failed(upkeep->db, file);
    for (int i = 0; i < count; i++)
        sqlite3_bind_int64(statement, i + 1, numbers[i]);
    return statement_run(statement);
}

/* The first column of the first row, or `none`. */
static int64_t query_number(struct upkeep *upkeep, enum db_file file, const char *sql, int64_t none)
{
    sqlite3_stmt *statement = db_statement(upkeep->db, file, sql, NULL);
    if (!statement)
        return none;
    int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : none;
    sqlite3_reset(statement);
    return value;
}

/* ---- the WAL ---- */

static int64_t wal_bytes(const struct upkeep *upkeep, enum db_file file)
{
    return (int64_t)upkeep->wal_frames[file] * upkeep->page_bytes[file];
}

static int64_t uncopied_bytes(const struct upkeep *upkeep, enum db_file file)
{
    int frames = upkeep->wal_frames[file] - upkeep->wal_copied[file];
    return (int64_t)frames * upkeep->page_bytes[file];
}

/* Fewer frames than before: the WAL has begun anew. */
static void note_wal(struct upkeep *upkeep, enum db_file file, int frames, int copied)
{
    upkeep->wal_frames[file] = frames;
    if (copied > frames || upkeep->wal_copied[file] > frames)
        copied = 0;
    upkeep->wal_copied[file] = copied;
}

static int note_frames(void *context, sqlite3 *handle, const char *name, int frames)
{
    (void)name;
    struct upkeep *upkeep = context;
    enum db_file file = handle == db_handle(upkeep->db, DB_LOGS) ? DB_LOGS : DB_STATE;
    note_wal(upkeep, file, frames, upkeep->wal_copied[file]);
    return SQLITE_OK;
}

/* Takes in what the checkpointer has done. False: it failed. */
static bool collect(struct upkeep *upkeep, enum db_file file)
{
    struct checkpoint last = checkpointer_collect(upkeep->checkpointer, file);
    if (last.done && last.copied > upkeep->wal_copied[file])
        note_wal(upkeep, file, upkeep->wal_frames[file], last.copied);
    return last.code == SQLITE_OK;
}

static void ask(struct upkeep *upkeep, enum db_file file)
{
    if (!checkpointer_busy(upkeep->checkpointer, file))
        checkpointer_ask(upkeep->checkpointer, file);
}

/* Commits come faster than they are copied: waits until all is, so that the WAL can begin anew. When
   there was always some reader whose snapshot is in the way, these are waited for too. */
static int empty_wal(struct upkeep *upkeep, enum db_file file)
{
    sqlite3 *handle = db_handle(upkeep->db, file);
    for (int pass = 0; pass < 2; pass++) { /* one may run, which knows only what was there when it began */
        checkpointer_wait(upkeep->checkpointer, file);
        if (!collect(upkeep, file))
            return SQLITE_IOERR;
        if (!uncopied_bytes(upkeep, file))
            return SQLITE_OK;
        if (pass == 0)
            checkpointer_ask(upkeep->checkpointer, file);
    }
    int frames = 0, copied = 0;
    sqlite3_busy_timeout(handle, 200);
    int code = sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_RESTART, &frames, &copied);
    sqlite3_busy_timeout(handle, 5000);
    if (code == SQLITE_OK)
        note_wal(upkeep, file, frames, copied);
    return code == SQLITE_BUSY ? SQLITE_OK : code;
}

static enum outcome checkpoint(struct upkeep *upkeep)
{
    for (int i = 0; i < DB_FILES; i++) {
        enum db_file file = (enum db_file)i;
        if (!collect(upkeep, file))
            return TASK_FAILED;
        int64_t bytes = wal_bytes(upkeep, file);
        upkeep->wal_long[file] = upkeep->wal_long[file] || bytes >= checkpoint_bytes[file];
        if (uncopied_bytes(upkeep, file) >= checkpoint_bytes[file])
            ask(upkeep, file);
        if (bytes >= wal_limit_bytes[file] && uncopied_bytes(upkeep, file) && empty_wal(upkeep, file) != SQLITE_OK)
            return TASK_FAILED;
    }
    return TASK_DONE;
}

/* Empties the WAL and cuts the file: at once when all was copied back before. */
static void truncate_wal(struct upkeep *upkeep, enum db_file file)
{
    sqlite3 *handle = db_handle(upkeep->db, file);
    sqlite3_busy_timeout(handle, 200);
    if (sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL) == SQLITE_OK) {
        note_wal(upkeep, file, 0, 0);
        upkeep->wal_long[file] = false;
    }
    sqlite3_busy_timeout(handle, 5000);
}

void upkeep_make_room(struct upkeep *upkeep)
{
    for (int file = 0; file < DB_FILES; file++) {
        checkpointer_wait(upkeep->checkpointer, (enum db_file)file);
        truncate_wal(upkeep, (enum db_file)file);
    }
}

/* ---- retention ---- */

static int drop_oldest_chunk(struct upkeep *upkeep)
{
    static const char sql[] = "SELECT process FROM chunk ORDER BY id LIMIT 1";
    int64_t process = query_number(upkeep, DB_LOGS, sql, 0);
    int code;
    struct log_chunk first, second;
    struct log_appender *appender = log_store_get(upkeep->store, process, &code);
    if (!appender)
        return code;
    code = log_chunk_first(upkeep->db, process, &first);
    if (code != SQLITE_ROW)
        return code;
    code = log_chunk_next(upkeep->db, &first, INT64_MIN, INT64_MAX, &second);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return code;
    return log_drop_before(upkeep->store, appender, code == SQLITE_ROW ? &second : NULL,
                           LOG_GAP_RETENTION);
}

static enum outcome keep_total(struct upkeep *upkeep)
{
    uint64_t limit = upkeep->limits->total_log_bytes;
    if (!limit || log_store_total(upkeep->store) <= limit)
        return TASK_DONE;
    int code = execute(upkeep, DB_LOGS, "BEGIN IMMEDIATE");
    bool empty = false;
    for (int i = 0; i < RETENTION_ROWS && code == SQLITE_OK; i++) {
        if (log_store_total(upkeep->store) <= limit)
            break;
        code = drop_oldest_chunk(upkeep);
        empty = code == SQLITE_DONE;
    }
    code = end_logs(upkeep, empty ? SQLITE_OK : code);
    if (code != SQLITE_OK)
        return TASK_FAILED;
    return !empty && log_store_total(upkeep->store) > limit ? TASK_MORE : TASK_DONE;
}

/* The row may go only after the log has: both steps can be repeated. */
static enum outcome drop_doomed(struct upkeep *upkeep)
{
    static const char first_sql[] = "SELECT process FROM doomed LIMIT 1";
    static const char done_sql[] = "DELETE FROM doomed WHERE process=?1";
    int64_t process = query_number(upkeep, DB_STATE, first_sql, 0);
    if (!process)
        return TASK_DONE;
    bool left = false;
    int code = execute(upkeep, DB_LOGS, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = log_drop_doomed(upkeep->store, process, DOOMED_ROWS, &left);
    code = end_logs(upkeep, code);
    if (code == SQLITE_OK && !left)
        code = run_number(upkeep, DB_STATE, done_sql, &process, 1);
    return code == SQLITE_OK ? TASK_MORE : TASK_FAILED;
}

/* ---- feeds and answers ---- */

struct feed {
    const char *count_sql, *age_sql;   /* ?1: rows kept or oldest time kept; ?2: rows of a slice */
    size_t limit;                      /* offset of the row limit in writer_limits */
};

/* The newest row always stays: it carries the last number given. */
static const struct feed feeds[] = {
    { "DELETE FROM change WHERE seq IN (SELECT seq FROM change"
      " WHERE seq <= (SELECT max(seq) FROM change) - max(?1, 1) ORDER BY seq LIMIT ?2)",
      "DELETE FROM change WHERE seq IN (SELECT seq FROM change"
      " WHERE at < ?1 AND seq < (SELECT max(seq) FROM change) ORDER BY seq LIMIT ?2)",
      offsetof(struct writer_limits, changes_max) },
    { "DELETE FROM log WHERE seq IN (SELECT seq FROM log"
      " WHERE seq <= (SELECT max(seq) FROM log) - max(?1, 1) ORDER BY seq LIMIT ?2)",
      "DELETE FROM log WHERE seq IN (SELECT seq FROM log"
      " WHERE at < ?1 AND seq < (SELECT max(seq) FROM log) ORDER BY seq LIMIT ?2)",
      offsetof(struct writer_limits, log_max) },
};

static enum outcome delete_slice(struct upkeep *upkeep, const char *sql, int64_t bound)
{
    int64_t numbers[] = { bound, FEED_ROWS };
    if (run_number(upkeep, DB_STATE, sql, numbers, 2) != SQLITE_OK)
        return TASK_FAILED;
    return sqlite3_changes(db_handle(upkeep->db, DB_STATE)) == FEED_ROWS ? TASK_MORE : TASK_DONE;
}

static bool ages_are_due(const struct upkeep *upkeep)
{
    return monotonic_us() - upkeep->aged_at_us >= PERIOD_US;
}

static enum outcome trim_feeds(struct upkeep *upkeep)
{
    enum outcome outcome = TASK_DONE;
    if (!ages_are_due(upkeep))
        return TASK_DONE;
    for (size_t i = 0; i < sizeof feeds / sizeof *feeds && outcome == TASK_DONE; i++) {
        uint64_t rows;
        memcpy(&rows, (const char *)upkeep->limits + feeds[i].limit, sizeof rows);
        if (rows && rows < INT64_MAX)
            outcome = delete_slice(upkeep, feeds[i].count_sql, (int64_t)rows);
        if (outcome == TASK_DONE && upkeep->limits->feed_age_us > 0)
            outcome = delete_slice(upkeep, feeds[i].age_sql,
                                   wall_us() - upkeep->limits->feed_age_us);
    }
    return outcome;
}

static enum outcome trim_answers(struct upkeep *upkeep)
{
    static const char sql[] = "DELETE FROM answer WHERE rowid IN"
                              " (SELECT rowid FROM answer WHERE at < ?1 ORDER BY at LIMIT ?2)";
    if (!ages_are_due(upkeep) || upkeep->limits->idempotency_age_us <= 0)
        return TASK_DONE;
    return delete_slice(upkeep, sql, wall_us() - upkeep->limits->idempotency_age_us);
}

/* Last of those that look at ages. */
static enum outcome note_ages(struct upkeep *upkeep)
{
    if (ages_are_due(upkeep)) {
        upkeep->aged_at_us = monotonic_us();
        log_store_evict(upkeep->store, QUIET_TRANSACTIONS);
    }
    return TASK_DONE;
}

/* ---- space ---- */

static enum outcome merge_logs(struct upkeep *upkeep)
{
    if (!upkeep->merge.process && !log_store_next_merge(upkeep->store, &upkeep->merge))
        return TASK_DONE;
    int code = execute(upkeep, DB_LOGS, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK)
        code = log_merge_rows(upkeep->store, &upkeep->merge, MERGE_ROWS);
    code = end_logs(upkeep, code);
    if (code != SQLITE_OK || !upkeep->merge.after_id)
        upkeep->merge.process = 0;
    return code == SQLITE_OK ? TASK_MORE : TASK_FAILED;
}

/* Free pages are used again by what comes next; only more than a sixteenth is given back. */
static enum outcome vacuum(struct upkeep *upkeep)
{
    static const char free_sql[] = "PRAGMA freelist_count";
    static const char pages_sql[] = "PRAGMA page_count";
    for (int file = 0; file < DB_FILES; file++) {
        int64_t unused = query_number(upkeep, (enum db_file)file, free_sql, 0);
        int64_t pages = query_number(upkeep, (enum db_file)file, pages_sql, 0);
        if (unused < VACUUM_PAGES || unused < pages / 16)
            continue;
        int code = execute(upkeep, (enum db_file)file, "PRAGMA incremental_vacuum(128)");
        return code == SQLITE_OK ? TASK_MORE : TASK_FAILED;
    }
    return TASK_DONE;
}

/* Nothing is left to do, and not for a moment only: the WALs are copied back and cut, and the caches'
   memory returned. Returns after how many microseconds it is to be called again. */
static int64_t rest(struct upkeep *upkeep, int64_t now)
{
    int64_t quiet_us = now - upkeep->batch_at_us;
    bool busy = false;
    if (upkeep->rested)
        return PERIOD_US;
    if (quiet_us < REST_AFTER_US)
        return REST_AFTER_US - quiet_us;
    for (int i = 0; i < DB_FILES; i++) {
        collect(upkeep, (enum db_file)i);
        if (!upkeep->asked_at_rest && uncopied_bytes(upkeep, (enum db_file)i))
            ask(upkeep, (enum db_file)i);
        busy = busy || checkpointer_busy(upkeep->checkpointer, (enum db_file)i);
    }
    upkeep->asked_at_rest = true;
    if (busy)
        return REST_POLL_US;
    for (int i = 0; i < DB_FILES; i++) {
        if (upkeep->wal_long[i])
            truncate_wal(upkeep, (enum db_file)i);
        sqlite3_db_release_memory(db_handle(upkeep->db, (enum db_file)i));
    }
    malloc_trim(0);
    upkeep->rested = true;
    return PERIOD_US;
}

/* ---- slices ---- */

static const struct task {
    enum outcome (*run)(struct upkeep *upkeep);
    bool urgent;
} tasks[] = {
    { checkpoint, true },
    { keep_total, true },
    { drop_doomed, false },
    { trim_feeds, false },
    { trim_answers, false },
    { note_ages, false },
    { merge_logs, false },
    { vacuum, false },
};

#define TASKS (sizeof tasks / sizeof *tasks)

struct upkeep *upkeep_new(struct log_store *store, int *code)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    *code = SQLITE_NOMEM;
    if (!upkeep)
        return NULL;
    upkeep->store = store;
    upkeep->db = store->db;
    upkeep->checkpointer = checkpointer_start(store->db, code);
    if (!upkeep->checkpointer) {
        free(upkeep);
        return NULL;
    }
    for (int file = 0; file < DB_FILES; file++) {
        static const char sql[] = "PRAGMA page_size";
        upkeep->page_bytes[file] = query_number(upkeep, (enum db_file)file, sql, 4096);
        sqlite3_wal_hook(db_handle(upkeep->db, (enum db_file)file), note_frames, upkeep);
    }
    return upkeep;
}

void upkeep_free(struct upkeep *upkeep)
{
    if (upkeep)
        checkpointer_stop(upkeep->checkpointer);
    free(upkeep);
}

/* Runs a task until it has no more to do or the slice is over. False: over, or it failed. */
static bool run_task(struct upkeep *upkeep, const struct task *task, int64_t end_us)
{
    enum outcome outcome;
    do {
        outcome = task->run(upkeep);
        if (outcome == TASK_FAILED)
            upkeep->paused_until_us = monotonic_us() + FAILED_PAUSE_US;
    } while (outcome == TASK_MORE && monotonic_us() < end_us);
    return outcome == TASK_DONE;
}

static void busy_slice(struct upkeep *upkeep, int64_t now)
{
    bool shares = now - upkeep->shared_at_us >= BUSY_SHARE_US;
    for (size_t i = 0; i < TASKS && tasks[i].urgent; i++)
        if (!run_task(upkeep, &tasks[i], now + SLICE_US))
            return;
    if (!shares)
        return;
    upkeep->shared_at_us = now;
    do
        upkeep->next_task = (upkeep->next_task + 1) % TASKS;
    while (tasks[upkeep->next_task].urgent);
    run_task(upkeep, &tasks[upkeep->next_task], now + SLICE_US);
}

int64_t upkeep_slice(struct upkeep *upkeep, const struct writer_limits *limits, bool busy)
{
    int64_t now = monotonic_us();
    upkeep->limits = limits;
    if (now < upkeep->paused_until_us)
        return upkeep->paused_until_us - now;
    if (busy) {
        upkeep->batch_at_us = now;
        upkeep->rested = upkeep->asked_at_rest = false;
        busy_slice(upkeep, now);
        return 10000; /* idle work begins when no batch has come for so long */
    }
    for (size_t i = 0; i < TASKS; i++)
        if (!run_task(upkeep, &tasks[i], now + SLICE_US))
            return 0;
    return rest(upkeep, now);
}
