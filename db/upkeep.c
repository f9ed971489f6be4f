/*
 * Upkeep: what keeps the two files in shape while nobody asks for it.
 *
 * A table of tasks, in order of urgency; a slice goes through it until its time is over. Right
 * after a batch only those run that must at once. A server that is never idle keeps its limits too:
 * now and then the others have a turn, and as long as something is left to delete, a fifth of the
 * time. The WALs are wal.c's, what deletes is retention.c's; merging and giving space back are here.
 */
#include "db/upkeep.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#include "db/statement.h"
#include "db/upkeep_tasks.h"

#define SLICE_US 20000
#define BUSY_SHARE_US 200000       /* those that can wait have a slice so often even under load, */
#define BEHIND_SHARE_US 80000      /* and so long after one when there is more to delete */
#define IDLE_US 10000              /* without a batch: then those that can wait begin */
#define REST_AFTER_US 500000       /* without a batch: then the WALs are emptied */
#define REST_POLL_US 10000
#define PERIOD_US 30000000         /* a writer at rest looks after its limits so often */
#define FAILED_PAUSE_US 5000000
#define VACUUM_PAGES 256           /* so many free pages are not worth the work */
#define MERGE_ROWS 256

int64_t upkeep_now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- transactions ---- */

int upkeep_execute(struct upkeep *upkeep, enum db_file file, const char *sql)
{
    return sqlite3_exec(db_handle(upkeep->db, file), sql, NULL, NULL, NULL);
}

int upkeep_end_logs(struct upkeep *upkeep, int code)
{
    if (code == SQLITE_OK) {
        code = log_store_flush(upkeep->store);
    }
    if (code == SQLITE_OK) {
        code = upkeep_execute(upkeep, DB_LOGS, "COMMIT");
    }
    if (code == SQLITE_OK) {
        log_store_committed(upkeep->store, NULL);
        return code;
    }
    if (!sqlite3_get_autocommit(db_handle(upkeep->db, DB_LOGS))) {
        upkeep_execute(upkeep, DB_LOGS, "ROLLBACK");
    }
    log_store_reset(upkeep->store);
    return code;
}

int upkeep_run(struct upkeep *upkeep, enum db_file file, const char *sql, const int64_t *numbers,
               int count)
{
    sqlite3_stmt *statement = db_statement(upkeep->db, file, sql, NULL);
    if (!statement) {
        return db_prepare_failed(upkeep->db, file);
    }
    for (int i = 0; i < count; i++) {
        sqlite3_bind_int64(statement, i + 1, numbers[i]);
    }
    return statement_run(statement);
}

int64_t upkeep_query(struct upkeep *upkeep, enum db_file file, const char *sql)
{
    sqlite3_stmt *statement = db_statement(upkeep->db, file, sql, NULL);
    if (!statement) {
        return 0;
    }
    int64_t value = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_reset(statement);
    return value;
}

/* ---- space ---- */

static enum outcome merge_logs(struct upkeep *upkeep)
{
    if (!upkeep->merge.process && !log_store_next_merge(upkeep->store, &upkeep->merge)) {
        return TASK_DONE;
    }
    int code = upkeep_execute(upkeep, DB_LOGS, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) {
        code = log_merge_rows(upkeep->store, &upkeep->merge, MERGE_ROWS);
    }
    code = upkeep_end_logs(upkeep, code);
    if (code != SQLITE_OK || !upkeep->merge.after_id) {
        upkeep->merge.process = 0;
    }
    return code == SQLITE_OK ? TASK_MORE : TASK_FAILED;
}

/* Free pages are used again by what comes next; only more than a sixteenth is given back. */
static enum outcome vacuum(struct upkeep *upkeep)
{
    static const char free_sql[] = "PRAGMA freelist_count";
    static const char pages_sql[] = "PRAGMA page_count";
    for (int file = 0; file < DB_FILES; file++) {
        int64_t unused = upkeep_query(upkeep, (enum db_file)file, free_sql);
        int64_t pages = upkeep_query(upkeep, (enum db_file)file, pages_sql);
        if (unused < VACUUM_PAGES || unused < pages / 16) {
            continue;
        }
        int code = upkeep_execute(upkeep, (enum db_file)file, "PRAGMA incremental_vacuum(128)");
        return code == SQLITE_OK ? TASK_MORE : TASK_FAILED;
    }
    return TASK_DONE;
}

/* ---- slices ---- */

static enum outcome keep_wals_short(struct upkeep *upkeep)
{
    wal_limit_logs(&upkeep->wal, upkeep->limits->logs_wal_bytes);
    return wal_keep_short(&upkeep->wal) ? TASK_DONE : TASK_FAILED;
}

enum urgency { AT_ONCE, IN_TIME, AT_LEISURE };

static const struct task {
    enum outcome (*run)(struct upkeep *upkeep);
    enum urgency urgency;
} tasks[] = {
    { keep_wals_short, AT_ONCE },
    { retention_keep_total, AT_ONCE },
    { retention_drop_doomed, IN_TIME },
    { retention_trim_feeds, IN_TIME },
    { retention_trim_answers, IN_TIME },
    { retention_note_ages, IN_TIME },
    { merge_logs, AT_LEISURE },
    { vacuum, AT_LEISURE },
};

#define TASKS (sizeof tasks / sizeof *tasks)

struct upkeep *upkeep_new(struct log_store *store, int *code)
{
    struct upkeep *upkeep = calloc(1, sizeof *upkeep);
    *code = SQLITE_NOMEM;
    if (!upkeep) {
        return NULL;
    }
    upkeep->store = store;
    upkeep->db = store->db;
    *code = wal_begin(&upkeep->wal, store->db);
    if (*code == SQLITE_OK) {
        return upkeep;
    }
    free(upkeep);
    return NULL;
}

void upkeep_free(struct upkeep *upkeep)
{
    if (upkeep) {
        wal_end(&upkeep->wal);
    }
    free(upkeep);
}

void upkeep_make_room(struct upkeep *upkeep)
{
    wal_make_room(&upkeep->wal);
}

/* Runs a task until it has no more to do or the slice is over. False: over, or it failed. */
static bool run_task(struct upkeep *upkeep, const struct task *task, int64_t end_us)
{
    enum outcome outcome;
    do {
        outcome = task->run(upkeep);
        if (outcome == TASK_FAILED) {
            upkeep->paused_until_us = upkeep_now_us() + FAILED_PAUSE_US;
        }
    } while (outcome == TASK_MORE && upkeep_now_us() < end_us);
    return outcome == TASK_DONE;
}

/* The same for all tasks of an urgency. */
static bool run_tasks(struct upkeep *upkeep, enum urgency urgency, int64_t end_us)
{
    for (size_t i = 0; i < TASKS; i++) {
        if (tasks[i].urgency == urgency && !run_task(upkeep, &tasks[i], end_us)) {
            return false;
        }
    }
    return true;
}

static void busy_slice(struct upkeep *upkeep, int64_t now)
{
    int64_t share_us = upkeep->behind ? BEHIND_SHARE_US : BUSY_SHARE_US;
    if (!run_tasks(upkeep, AT_ONCE, now + SLICE_US) || now - upkeep->shared_at_us < share_us) {
        return;
    }
    upkeep->behind = !run_tasks(upkeep, IN_TIME, now + SLICE_US);
    upkeep->shared_at_us = upkeep_now_us();
    if (!upkeep->behind) {
        do {
            upkeep->next_task = (upkeep->next_task + 1) % TASKS;
        } while (tasks[upkeep->next_task].urgency != AT_LEISURE);
        run_task(upkeep, &tasks[upkeep->next_task], now + SLICE_US);
    }
}

/* Nothing is left to do, and not for a moment only: the WALs are copied back and cut, and the
   caches' memory returned. Returns after how many microseconds it is to be called again. */
static int64_t rest(struct upkeep *upkeep, int64_t now)
{
    int64_t quiet_us = now - upkeep->batch_at_us;
    if (upkeep->rested) {
        return PERIOD_US;
    }
    if (quiet_us < REST_AFTER_US) {
        return REST_AFTER_US - quiet_us;
    }
    if (!wal_empty(&upkeep->wal)) {
        return REST_POLL_US;
    }
    for (int file = 0; file < DB_FILES; file++) {
        sqlite3_db_release_memory(db_handle(upkeep->db, (enum db_file)file));
    }
    malloc_trim(0);
    upkeep->rested = true;
    return PERIOD_US;
}

int64_t upkeep_slice(struct upkeep *upkeep, const struct writer_limits *limits, bool busy)
{
    int64_t now = upkeep_now_us();
    upkeep->limits = limits;
    if (now < upkeep->paused_until_us) {
        return upkeep->paused_until_us - now;
    }
    if (busy) {
        upkeep->batch_at_us = now;
        upkeep->rested = false;
        wal_disturb(&upkeep->wal);
        busy_slice(upkeep, now);
        return IDLE_US;
    }
    for (enum urgency urgency = AT_ONCE; urgency <= AT_LEISURE; urgency++) {
        if (!run_tasks(upkeep, urgency, now + SLICE_US)) {
            return 0;
        }
    }
    return rest(upkeep, now);
}
