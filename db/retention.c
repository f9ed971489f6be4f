/*
 * Retention: what is deleted because there is too much of it or because it is too old.
 *
 * Output in total, the output of deleted processes, the feeds, stored answers; see
 * upkeep_tasks.h.
 */
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "db/statement.h"
#include "db/upkeep_tasks.h"

#define AGES_EVERY_US 30000000     /* ages and feeds are looked at so often */
#define RETENTION_ROWS 16
#define DOOMED_ROWS 256
#define FEED_ROWS 2000
#define QUIET_TRANSACTIONS 256u    /* an appender not used in so many is forgotten */

static int64_t wall_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- output ---- */

/* SQLITE_DONE: there is none. */
static int drop_oldest_chunk(struct upkeep *upkeep)
{
    static const char sql[] = "SELECT process FROM chunk ORDER BY id LIMIT 1";
    int64_t process = upkeep_query(upkeep, DB_LOGS, sql);
    int code;
    if (!process) {
        return SQLITE_DONE;
    }
    struct log_chunk first, second;
    struct log_appender *appender = log_store_get(upkeep->store, process, &code);
    if (!appender) {
        return code;
    }
    code = log_chunk_first(upkeep->db, process, &first);
    if (code != SQLITE_ROW) {
        return code;
    }
    code = log_chunk_next(upkeep->db, &first, INT64_MIN, INT64_MAX, &second);
    if (code != SQLITE_ROW && code != SQLITE_DONE) {
        return code;
    }
    return log_drop_before(upkeep->store, appender, code == SQLITE_ROW ? &second : NULL,
                           LOG_GAP_RETENTION);
}

enum outcome retention_keep_total(struct upkeep *upkeep)
{
    uint64_t limit = upkeep->limits->total_log_bytes;
    if (!limit || log_store_total(upkeep->store) <= limit) {
        return TASK_DONE;
    }
    int code = upkeep_execute(upkeep, DB_LOGS, "BEGIN IMMEDIATE");
    bool empty = false;
    for (int i = 0; i < RETENTION_ROWS && code == SQLITE_OK; i++) {
        if (log_store_total(upkeep->store) <= limit) {
            break;
        }
        code = drop_oldest_chunk(upkeep);
        empty = code == SQLITE_DONE;
    }
    code = upkeep_end_logs(upkeep, empty ? SQLITE_OK : code);
    if (code != SQLITE_OK) {
        return TASK_FAILED;
    }
    return !empty && log_store_total(upkeep->store) > limit ? TASK_MORE : TASK_DONE;
}

/* The row may go only after the log has: both steps can be repeated. */
enum outcome retention_drop_doomed(struct upkeep *upkeep)
{
    static const char first_sql[] = "SELECT process FROM doomed LIMIT 1";
    static const char done_sql[] = "DELETE FROM doomed WHERE process=?1";
    int64_t process = upkeep_query(upkeep, DB_STATE, first_sql);
    if (!process) {
        return TASK_DONE;
    }
    bool left = false;
    int code = upkeep_execute(upkeep, DB_LOGS, "BEGIN IMMEDIATE");
    if (code == SQLITE_OK) {
        code = log_drop_doomed(upkeep->store, process, DOOMED_ROWS, &left);
    }
    code = upkeep_end_logs(upkeep, code);
    if (code == SQLITE_OK && !left) {
        code = upkeep_run(upkeep, DB_STATE, done_sql, &process, 1);
    }
    return code == SQLITE_OK ? TASK_MORE : TASK_FAILED;
}

/* ---- feeds and answers ---- */

struct feed {
    const char *count_sql, *age_sql;   /* ?1: rows kept or oldest time kept; ?2: rows of a slice */
    size_t limit, age;                 /* offsets of the row limit and the age in writer_limits */
};

/* The newest row always stays: it carries the last number given. */
static const struct feed feeds[] = {
    { "DELETE FROM change WHERE seq IN (SELECT seq FROM change"
      " WHERE seq <= (SELECT max(seq) FROM change) - max(?1, 1) ORDER BY seq LIMIT ?2)",
      "DELETE FROM change WHERE seq IN (SELECT seq FROM change"
      " WHERE at < ?1 AND seq < (SELECT max(seq) FROM change) ORDER BY seq LIMIT ?2)",
      offsetof(struct writer_limits, changes_max), offsetof(struct writer_limits, feed_age_us) },
    { "DELETE FROM log WHERE seq IN (SELECT seq FROM log"
      " WHERE seq <= (SELECT max(seq) FROM log) - max(?1, 1) ORDER BY seq LIMIT ?2)",
      "DELETE FROM log WHERE seq IN (SELECT seq FROM log"
      " WHERE at < ?1 AND seq < (SELECT max(seq) FROM log) ORDER BY seq LIMIT ?2)",
      offsetof(struct writer_limits, log_max), offsetof(struct writer_limits, feed_age_us) },
    { "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit"
      " WHERE seq <= (SELECT max(seq) FROM audit) - max(?1, 1) ORDER BY seq LIMIT ?2)",
      "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit"
      " WHERE at < ?1 AND seq < (SELECT max(seq) FROM audit) ORDER BY seq LIMIT ?2)",
      offsetof(struct writer_limits, audit_max), offsetof(struct writer_limits, audit_age_us) },
};

static enum outcome delete_slice(struct upkeep *upkeep, const char *sql, int64_t bound)
{
    int64_t numbers[] = { bound, FEED_ROWS };
    if (upkeep_run(upkeep, DB_STATE, sql, numbers, 2) != SQLITE_OK) {
        return TASK_FAILED;
    }
    return sqlite3_changes(db_handle(upkeep->db, DB_STATE)) == FEED_ROWS ? TASK_MORE : TASK_DONE;
}

static bool ages_are_due(const struct upkeep *upkeep)
{
    return upkeep_now_us() - upkeep->aged_at_us >= AGES_EVERY_US;
}

enum outcome retention_trim_feeds(struct upkeep *upkeep)
{
    enum outcome outcome = TASK_DONE;
    if (!ages_are_due(upkeep)) {
        return TASK_DONE;
    }
    for (size_t i = 0; i < sizeof feeds / sizeof *feeds && outcome == TASK_DONE; i++) {
        uint64_t rows;
        int64_t age_us;
        memcpy(&rows, (const char *)upkeep->limits + feeds[i].limit, sizeof rows);
        memcpy(&age_us, (const char *)upkeep->limits + feeds[i].age, sizeof age_us);
        if (rows && rows < INT64_MAX) {
            outcome = delete_slice(upkeep, feeds[i].count_sql, (int64_t)rows);
        }
        if (outcome == TASK_DONE && age_us > 0) {
            outcome = delete_slice(upkeep, feeds[i].age_sql, wall_us() - age_us);
        }
    }
    return outcome;
}

enum outcome retention_trim_answers(struct upkeep *upkeep)
{
    static const char sql[] = "DELETE FROM answer WHERE rowid IN"
                              " (SELECT rowid FROM answer WHERE at < ?1 ORDER BY at LIMIT ?2)";
    if (!ages_are_due(upkeep) || upkeep->limits->idempotency_age_us <= 0) {
        return TASK_DONE;
    }
    return delete_slice(upkeep, sql, wall_us() - upkeep->limits->idempotency_age_us);
}

enum outcome retention_note_ages(struct upkeep *upkeep)
{
    if (ages_are_due(upkeep)) {
        upkeep->aged_at_us = upkeep_now_us();
        log_store_evict(upkeep->store, QUIET_TRANSACTIONS);
    }
    return TASK_DONE;
}
