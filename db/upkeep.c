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

#include "db/statement.h"

#define SLICE_US 20000
#define BUSY_SHARE_US 200000       /* a task that can wait runs so often even under load */
#define PERIOD_US 30000000         /* ages are looked at so often when nothing else happens */
#define FAILED_PAUSE_US 5000000

#define CHECKPOINT_BYTES (4 << 20) /* a WAL of this size is copied back right after the commit: while
                                      it is still in the processor's cache that costs least */
#define WAL_LIMIT_BYTES (64 << 20) /* of this size: even if readers must be waited for */
#define VACUUM_PAGES 256           /* so many free pages are not worth the work */
#define RETENTION_ROWS 16
#define DOOMED_ROWS 256
#define FEED_ROWS 2000
#define MERGE_ROWS 256
#define QUIET_TRANSACTIONS 256u

enum outcome { TASK_DONE, TASK_MORE, TASK_FAILED };

struct upkeep {
    struct log_store *store;
    struct db *db;
    const struct writer_limits *limits;   /* of this slice */
    int64_t page_bytes[DB_FILES];
    int wal_frames[DB_FILES];             /* in the WAL since it was last copied back whole */
    int64_t paused_until_us;              /* after a failure */
    int64_t shared_at_us;                 /* when a task that can wait had its turn under load */
    int64_t aged_at_us;                   /* when ages were looked at */
    struct log_merge merge;               /* the process being merged; 0: none */
    unsigned next_task;
    bool rested;                          /* memory was given back since the last batch */
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

static int note_frames(void *context, sqlite3 *handle, const char *name, int frames)
{
    (void)name;
    struct upkeep *upkeep = context;
    upkeep->wal_frames[handle == db_handle(upkeep->db, DB_LOGS) ? DB_LOGS : DB_STATE] = frames;
    return SQLITE_OK;
}

/* Passive: what readers still look at stays for the next time. Only a WAL that has become far too
   long because there was always some reader is worth making the writer wait for them. */
static enum outcome checkpoint(struct upkeep *upkeep)
{
    for (int file = 0; file < DB_FILES; file++) {
        sqlite3 *handle = db_handle(upkeep->db, (enum db_file)file);
        int64_t bytes = wal_bytes(upkeep, (enum db_file)file);
        int frames = 0, copied = 0;
        if (bytes < CHECKPOINT_BYTES)
            continue;
        int mode = bytes > WAL_LIMIT_BYTES ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE;
        sqlite3_busy_timeout(handle, 200);
        int code = sqlite3_wal_checkpoint_v2(handle, NULL, mode, &frames, &copied);
        sqlite3_busy_timeout(handle, 5000);
        if (code != SQLITE_OK && code != SQLITE_BUSY)
            return TASK_FAILED;
        if (copied == frames)
            upkeep->wal_frames[file] = 0;
    }
    return TASK_DONE;
}

void upkeep_make_room(struct upkeep *upkeep)
{
    for (int file = 0; file < DB_FILES; file++) {
        sqlite3 *handle = db_handle(upkeep->db, (enum db_file)file);
        sqlite3_busy_timeout(handle, 200);
        sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
        sqlite3_busy_timeout(handle, 5000);
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

/* Nothing is left to do: the WALs are copied back and cut, and the caches' memory returned. */
static enum outcome rest(struct upkeep *upkeep)
{
    if (upkeep->rested)
        return TASK_DONE;
    for (int file = 0; file < DB_FILES; file++) {
        sqlite3 *handle = db_handle(upkeep->db, (enum db_file)file);
        if (upkeep->wal_frames[file] &&
            sqlite3_wal_checkpoint_v2(handle, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL) ==
                SQLITE_OK)
            upkeep->wal_frames[file] = 0;
        sqlite3_db_release_memory(handle);
    }
    malloc_trim(0);
    upkeep->rested = true;
    return TASK_DONE;
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

struct upkeep *upkeep_new(struct log_store *store)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    if (!upkeep)
        return NULL;
    upkeep->store = store;
    upkeep->db = store->db;
    for (int file = 0; file < DB_FILES; file++) {
        static const char sql[] = "PRAGMA page_size";
        upkeep->page_bytes[file] = query_number(upkeep, (enum db_file)file, sql, 4096);
        sqlite3_wal_hook(db_handle(upkeep->db, (enum db_file)file), note_frames, upkeep);
    }
    return upkeep;
}

void upkeep_free(struct upkeep *upkeep)
{
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
        upkeep->rested = false;
        busy_slice(upkeep, now);
        return 10000; /* idle work begins when no batch has come for so long */
    }
    for (size_t i = 0; i < TASKS; i++)
        if (!run_task(upkeep, &tasks[i], now + SLICE_US))
            return 0;
    rest(upkeep);
    return PERIOD_US;
}
