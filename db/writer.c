/*
 * The writer thread: takes a batch, commits it to both files, hands it back, does upkeep.
 *
 * A batch is tried as often as it takes. It can be run again because operations change nothing in
 * themselves, and what the log store knows is thrown away with the transaction. logs.db is
 * committed first and not run again when state.db fails. The mutex guards the few fields that both
 * threads see; it is never held while SQLite works.
 */
#include "db/writer.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "db/statement.h"
#include "db/upkeep.h"
#include "db/writer_thread.h"
#include "service/fault.h"

#define RETRY_MS 500
#define TRIES_AT_STOP 3

struct writer {
    struct db *db;
    struct log_store *logs;
    struct upkeep *upkeep;
    int event_fd;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t wake;           /* of the writer: a batch, new limits, or the end */

    /* Guarded by the mutex. */
    struct batch *submitted;
    struct batch *finished;
    bool busy, stopping;
    bool news;                     /* of upkeep; told with the next batch */
    struct writer_health health;
    struct writer_limits limits;
    bool limits_changed;           /* upkeep looks at them at once */

    /* The writer thread's own. */
    struct db_position applied;    /* in logs.db */
    const struct batch *running;
    bool logs_done;                /* of the running batch */
    bool full_sync;                /* state.db commits with synchronous=FULL now */
    uint64_t operations;
};

static int64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

struct db *writer_db(struct writer *writer)
{
    return writer->db;
}

struct log_store *writer_logs(struct writer *writer)
{
    return writer->logs;
}

bool writer_has_applied(const struct writer *writer, uint64_t position)
{
    const struct batch *batch = writer->running;
    return batch->has_position && batch->position.spool_id == writer->applied.spool_id &&
           position <= writer->applied.position;
}

/* ---- one transaction ---- */

/* What may work when tried again later. Everything else is a fault of the operation itself. */
static bool worth_retrying(int code)
{
    static const int codes[] = {
        SQLITE_FULL, SQLITE_IOERR, SQLITE_BUSY, SQLITE_LOCKED, SQLITE_READONLY, SQLITE_NOMEM,
        SQLITE_CANTOPEN, SQLITE_PROTOCOL, SQLITE_CORRUPT, SQLITE_NOTADB, SQLITE_PERM,
        SQLITE_INTERRUPT, SQLITE_ABORT, SQLITE_AUTH,
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if ((code & 0xff) == codes[i]) {
            return true;
        }
    }
    return false;
}

static int execute(struct writer *writer, enum db_file file, const char *sql)
{
    sqlite3_stmt *statement = db_statement(writer->db, file, sql, NULL);
    return statement ? statement_run(statement) : db_prepare_failed(writer->db, file);
}

/* Locks nothing before the first statement that writes: nobody else ever writes, so that cannot
   fail for another's sake, and a batch that turns out to leave nothing in a file costs nothing
   there. */
static int begin(struct writer *writer, enum db_file file)
{
    static const char sql[] = "BEGIN";
    return execute(writer, file, sql);
}

static int commit(struct writer *writer, enum db_file file)
{
    static const char sql[] = "COMMIT";
    return execute(writer, file, sql);
}

static void rollback(struct writer *writer, enum db_file file)
{
    if (!sqlite3_get_autocommit(db_handle(writer->db, file))) {
        sqlite3_exec(db_handle(writer->db, file), "ROLLBACK", NULL, NULL, NULL);
    }
}

static void leave_out(struct writer *writer, const struct operation *operation, int code)
{
    fprintf(stderr, "forkful: database: %s left out: %s (%s)\n", operation->type->name,
            sqlite3_errmsg(db_handle(writer->db, operation->type->file)), sqlite3_errstr(code));
    pthread_mutex_lock(&writer->mutex);
    writer->health.left_out++;
    pthread_mutex_unlock(&writer->mutex);
}

static int run_operations(struct writer *writer, struct batch *batch, enum db_file file)
{
    for (struct operation *at = batch->first; at; at = at->next) {
        if (at->type->file != file) {
            continue;
        }
        int code = at->type->run(writer, at);
        if (code == SQLITE_OK) {
            continue;
        }
        if (worth_retrying(code)) {
            return code;
        }
        leave_out(writer, at, code);
    }
    return SQLITE_OK;
}

static bool touches(const struct batch *batch, enum db_file file)
{
    for (const struct operation *at = batch->first; at; at = at->next) {
        if (at->type->file == file) {
            return true;
        }
    }
    return false;
}

/* When its operations have left nothing (streams that close after a newline, ends of silent
   processes) the position is not stored: run again they leave nothing again. */
static int write_logs(struct writer *writer, struct batch *batch)
{
    sqlite3 *handle = db_handle(writer->db, DB_LOGS);
    sqlite3_int64 changes = sqlite3_total_changes64(handle);
    bool moves = false;
    int code = begin(writer, DB_LOGS);
    if (code == SQLITE_OK) {
        code = run_operations(writer, batch, DB_LOGS);
    }
    if (code == SQLITE_OK) {
        code = log_store_flush(writer->logs);
    }
    moves = batch->has_position && sqlite3_total_changes64(handle) != changes;
    if (code == SQLITE_OK && moves) {
        code = db_position_set(writer->db, DB_LOGS, &batch->position);
    }
    if (code == SQLITE_OK) {
        code = commit(writer, DB_LOGS);
    }
    if (code != SQLITE_OK) {
        rollback(writer, DB_LOGS);
        log_store_reset(writer->logs);
        return code;
    }
    log_store_committed(writer->logs, batch);
    if (moves) {
        writer->applied = batch->position;
    }
    return SQLITE_OK;
}

/* The level cannot change inside a transaction. */
static int set_sync(struct writer *writer, bool full)
{
    if (writer->full_sync == full) {
        return SQLITE_OK;
    }
    const char *sql = full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL";
    int code = sqlite3_exec(db_handle(writer->db, DB_STATE), sql, NULL, NULL, NULL);
    writer->full_sync = code == SQLITE_OK ? full : writer->full_sync;
    return code;
}

static int write_state(struct writer *writer, struct batch *batch)
{
    int code = set_sync(writer, batch->durable);
    if (code == SQLITE_OK) {
        code = begin(writer, DB_STATE);
    }
    if (code == SQLITE_OK) {
        code = run_operations(writer, batch, DB_STATE);
    }
    if (code == SQLITE_OK && batch->has_position) {
        code = db_position_set(writer->db, DB_STATE, &batch->position);
    }
    if (code == SQLITE_OK) {
        code = commit(writer, DB_STATE);
    }
    if (code != SQLITE_OK) {
        rollback(writer, DB_STATE);
    }
    return code;
}

/* A batch of nothing but a position (facts that left nothing to store) moves state.db's. */
static int write_batch(struct writer *writer, struct batch *batch)
{
    int code = SQLITE_OK;
    bool logs = touches(batch, DB_LOGS);
    FAULT_POINT("writer_before_commit");
    if (FAULT_ERRNO("writer_commit")) {
        return SQLITE_FULL;
    }
    if (logs && !writer->logs_done) {
        code = write_logs(writer, batch);
    } else if (!writer->logs_done && log_store_has_news(writer->logs)) {
        log_store_committed(writer->logs, batch);
    }
    if (code != SQLITE_OK) {
        return code;
    }
    writer->logs_done = true;
    FAULT_POINT("writer_between_files");
    if (touches(batch, DB_STATE) || (!logs && batch->has_position)) {
        code = write_state(writer, batch);
    }
    if (code == SQLITE_OK) {
        FAULT_POINT("writer_after_commit");
    }
    return code;
}

/* ---- the thread ---- */

static void note_failure(struct writer *writer, int code)
{
    enum db_file file = writer->logs_done ? DB_STATE : DB_LOGS;
    struct writer_health *health = &writer->health;
    pthread_mutex_lock(&writer->mutex);
    if (!health->degraded) {
        health->since_us = now_us();
    }
    health->degraded = true;
    health->full = (code & 0xff) == SQLITE_FULL || code == SQLITE_IOERR_WRITE;
    health->retries++;
    snprintf(health->text, sizeof health->text, "%s: %s", db_path(writer->db, file),
             sqlite3_errstr(code));
    pthread_mutex_unlock(&writer->mutex);
}

/* Waits until the next try; false: the daemon ends and has waited long enough. */
static bool wait_for_retry(struct writer *writer, int *tries_at_stop)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += RETRY_MS * 1000000L;
    until.tv_sec += until.tv_nsec / 1000000000L;
    until.tv_nsec %= 1000000000L;
    pthread_mutex_lock(&writer->mutex);
    bool was_stopping = writer->stopping;
    while (writer->stopping == was_stopping &&
           pthread_cond_timedwait(&writer->wake, &writer->mutex, &until) != ETIMEDOUT) {
    }
    bool give_up = writer->stopping && ++*tries_at_stop > TRIES_AT_STOP;
    pthread_mutex_unlock(&writer->mutex);
    return !give_up;
}

/* False: given up at the end of the daemon; the spool has the facts still. */
static bool process_batch(struct writer *writer, struct batch *batch)
{
    int tries_at_stop = 0, code;
    writer->running = batch;
    writer->logs_done = false;
    while ((code = write_batch(writer, batch)) != SQLITE_OK) {
        note_failure(writer, code);
        upkeep_make_room(writer->upkeep);
        if (!wait_for_retry(writer, &tries_at_stop)) {
            return false;
        }
    }
    writer->running = NULL;
    return true;
}

static void wake_loop(struct writer *writer)
{
    uint64_t one = 1;
    ssize_t written = write(writer->event_fd, &one, sizeof one);
    (void)written; /* a full counter wakes the loop too */
}

static void give_batch_back(struct writer *writer, struct batch *batch)
{
    pthread_mutex_lock(&writer->mutex);
    writer->finished = batch;
    writer->busy = false;
    writer->news = log_store_has_news(writer->logs);
    writer->health.degraded = writer->health.full = false;
    writer->health.text[0] = '\0';
    writer->health.batches++;
    writer->health.durable_batches += batch->durable;
    writer->health.operations += batch->operations;
    writer->health.log_bytes = log_store_total(writer->logs);
    pthread_mutex_unlock(&writer->mutex);
    wake_loop(writer);
}

static void announce_news(struct writer *writer)
{
    if (!log_store_has_news(writer->logs)) {
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->news = true;
    pthread_mutex_unlock(&writer->mutex);
    wake_loop(writer);
}

/* The next batch, or NULL when upkeep is due or the daemon ends. */
static struct batch *next_batch(struct writer *writer, int64_t wait_us, bool *stop,
                                struct writer_limits *limits)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    int64_t nanoseconds = until.tv_nsec + wait_us % 1000000 * 1000;
    until.tv_sec += (time_t)(wait_us / 1000000 + nanoseconds / 1000000000);
    until.tv_nsec = (long)(nanoseconds % 1000000000);
    pthread_mutex_lock(&writer->mutex);
    while (!writer->submitted && !writer->stopping && !writer->limits_changed && wait_us > 0 &&
           pthread_cond_timedwait(&writer->wake, &writer->mutex, &until) != ETIMEDOUT) {
    }
    struct batch *batch = writer->submitted;
    writer->submitted = NULL;
    *stop = writer->stopping && !batch;
    *limits = writer->limits;
    writer->limits_changed = false;
    pthread_mutex_unlock(&writer->mutex);
    return batch;
}

static void *writer_main(void *context)
{
    struct writer *writer = context;
    int64_t wait_us = 0;
    bool stop = false;
    while (!stop) {
        struct writer_limits limits;
        struct batch *batch = next_batch(writer, wait_us, &stop, &limits);
        if (batch && !process_batch(writer, batch)) {
            batch_free(batch);
            break;
        }
        if (batch) {
            give_batch_back(writer, batch);
        }
        if (!stop) {
            wait_us = upkeep_slice(writer->upkeep, &limits, batch != NULL);
            announce_news(writer);
        }
    }
    batch_thread_ends();
    return NULL;
}

/* ---- the loop's side ---- */

static void writer_free(struct writer *writer)
{
    upkeep_free(writer->upkeep);
    log_store_free(writer->logs);
    pthread_cond_destroy(&writer->wake);
    pthread_mutex_destroy(&writer->mutex);
    batch_free(writer->submitted);
    batch_free(writer->finished);
    free(writer);
}

static struct writer *writer_new(struct db *db, int event_fd)
{
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        return NULL;
    }
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_mutex_init(&writer->mutex, NULL);
    pthread_cond_init(&writer->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    writer->db = db;
    writer->event_fd = event_fd;
    return writer;
}

struct writer *writer_start(struct db *db, int event_fd, struct db_error *error)
{
    int code = SQLITE_NOMEM;
    memset(error, 0, sizeof *error);
    struct writer *writer = writer_new(db, event_fd);
    if (writer && (writer->logs = log_store_new(db, &code)) != NULL &&
        (writer->upkeep = upkeep_new(writer->logs, &code)) != NULL) {
        db_position_get(db, DB_LOGS, &writer->applied);
        writer->health.log_bytes = log_store_total(writer->logs);
        code = db_unread(db);
        if (code == SQLITE_OK && pthread_create(&writer->thread, NULL, writer_main, writer) == 0) {
            return writer;
        }
        code = code == SQLITE_OK ? SQLITE_NOMEM : code;
    }
    db_error_set(error, db, DB_LOGS, code, "the writer cannot start");
    if (writer) {
        writer_free(writer);
    }
    return NULL;
}

void writer_stop(struct writer *writer)
{
    if (!writer) {
        return;
    }
    pthread_mutex_lock(&writer->mutex);
    writer->stopping = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
    pthread_join(writer->thread, NULL);
    struct db *db = writer->db;
    writer_free(writer);
    db_close(db);
}

void writer_submit(struct writer *writer, struct batch *batch)
{
    pthread_mutex_lock(&writer->mutex);
    writer->submitted = batch;
    writer->busy = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
}

bool writer_busy(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    bool busy = writer->busy || writer->finished;
    pthread_mutex_unlock(&writer->mutex);
    return busy;
}

struct batch *writer_collect(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    struct batch *batch = writer->finished;
    writer->finished = NULL;
    pthread_mutex_unlock(&writer->mutex);
    return batch;
}

bool writer_has_news(struct writer *writer)
{
    pthread_mutex_lock(&writer->mutex);
    bool news = writer->news;
    pthread_mutex_unlock(&writer->mutex);
    return news;
}

void writer_health(struct writer *writer, struct writer_health *out)
{
    pthread_mutex_lock(&writer->mutex);
    *out = writer->health;
    pthread_mutex_unlock(&writer->mutex);
}

void writer_set_limits(struct writer *writer, const struct writer_limits *limits)
{
    pthread_mutex_lock(&writer->mutex);
    writer->limits = *limits;
    writer->limits_changed = true;
    pthread_cond_signal(&writer->wake);
    pthread_mutex_unlock(&writer->mutex);
}
