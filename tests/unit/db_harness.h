/*
 * What the tests of db/ share: a state directory of their own, a writer to commit to, reading all of a
 * log, and the reference splitter that the logs are held against.
 */
#ifndef FORKFUL_TESTS_DB_HARNESS_H
#define FORKFUL_TESTS_DB_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "db/logs.h"
#include "db/processes.h"

struct db_fixture {
    char dir[64];
    int event_fd;
    struct writer *writer;
    struct db *reader;
    uint64_t position;      /* of the spool, as the loop would count it */
};

static inline void fixture_open(struct db_fixture *fixture)
{
    struct db_error error;
    struct db *db = db_open(fixture->dir, &error);
    if (!db)
        fail_msg("%s", error.text);
    fixture->event_fd = eventfd(0, EFD_CLOEXEC);
    fixture->writer = writer_start(db, fixture->event_fd, &error);
    assert_non_null(fixture->writer);
    fixture->reader = db_open_reader(fixture->dir, &error);
    assert_non_null(fixture->reader);
}

static inline void fixture_close(struct db_fixture *fixture)
{
    db_close(fixture->reader);
    writer_stop(fixture->writer);
    close(fixture->event_fd);
}

static inline int fixture_setup(void **state)
{
    struct db_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->dir, "/tmp/forkful-db-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    fixture_open(fixture);
    *state = fixture;
    return 0;
}

static inline void remove_directory(const char *dir)
{
    static const char *const names[] = { "state.db", "logs.db", "state.db-wal", "logs.db-wal",
                                         "state.db-shm", "logs.db-shm", "other" };
    char path[128];
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        remove(path);
    }
    rmdir(dir);
}

static inline int fixture_teardown(void **state)
{
    struct db_fixture *fixture = *state;
    fixture_close(fixture);
    remove_directory(fixture->dir);
    free(fixture);
    return 0;
}

static inline struct batch *fixture_batch(struct db_fixture *fixture)
{
    struct batch *batch = batch_new();
    assert_non_null(batch);
    batch->has_position = true;
    batch->position = (struct db_position){ .spool_id = 7, .position = fixture->position };
    return batch;
}

/* Commits and returns the finished batch; the caller frees it. */
static inline struct batch *fixture_commit(struct db_fixture *fixture, struct batch *batch)
{
    uint64_t count;
    writer_submit(fixture->writer, batch);
    struct batch *finished = NULL;
    while (!finished) { /* news of upkeep are told by the same descriptor */
        assert_int_equal(read(fixture->event_fd, &count, sizeof count), sizeof count);
        finished = writer_collect(fixture->writer);
    }
    assert_ptr_equal(finished, batch);
    return finished;
}

/* ---- records in memory ---- */

struct stored_record {
    struct log_record record;   /* data is owned */
};

struct stored_log {
    struct stored_record *records;
    size_t count, capacity;
};

static inline void stored_add(struct stored_log *log, const struct log_record *record)
{
    if (log->count == log->capacity) {
        log->capacity = log->capacity ? log->capacity * 2 : 64;
        log->records = realloc(log->records, log->capacity * sizeof *log->records);
        assert_non_null(log->records);
    }
    struct log_record *copy = &log->records[log->count++].record;
    *copy = *record;
    char *data = malloc(record->bytes + 1);
    assert_non_null(data);
    memcpy(data, record->data, record->bytes);
    data[record->bytes] = record->newline ? '\n' : '\0';
    copy->data = data;
}

static inline void stored_clear(struct stored_log *log)
{
    for (size_t i = 0; i < log->count; i++)
        free((void *)(uintptr_t)log->records[i].record.data);
    free(log->records);
    memset(log, 0, sizeof *log);
}

static inline bool stored_take(void *context, const struct log_record *record)
{
    if (record->newline)
        assert_int_equal(record->data[record->bytes], '\n');
    stored_add(context, record);
    return true;
}

/* Reads page after page until nothing more is stored. */
static inline void read_log(struct db *reader, struct log_query query, struct stored_log *out)
{
    struct log_result result;
    struct db_error error;
    do {
        if (log_read(reader, &query, stored_take, out, &result, &error) != SQLITE_OK)
            fail_msg("%s", error.text);
        log_query_advance(&query, &result);
    } while (result.more);
}

static inline struct log_query query_all(int64_t process)
{
    return (struct log_query){ .process = process,
                               .streams = 1u << LOG_STDOUT | 1u << LOG_STDERR };
}

static inline void assert_same_record(const struct log_record *got, const struct log_record *want)
{
    assert_int_equal(got->seq, want->seq);
    assert_int_equal(got->at_us, want->at_us);
    assert_int_equal(got->stream, want->stream);
    assert_int_equal(got->partial, want->partial);
    assert_int_equal(got->newline, want->newline);
    assert_int_equal(got->gap, want->gap);
    assert_int_equal(got->gap_bytes, want->gap_bytes);
    assert_int_equal(got->bytes, want->bytes);
    assert_memory_equal(got->data, want->data, want->bytes);
}

/* ---- the reference: one byte at a time ---- */

struct reference {
    struct stored_log log;
    char open[2][LOG_LINE_MOST + 1];
    size_t open_bytes[2];
    char *raw[2];              /* all bytes of each stream */
    size_t raw_bytes[2];
    uint64_t next_seq;
};

static inline struct reference *reference_new(void)
{
    struct reference *reference = calloc(1, sizeof *reference);
    assert_non_null(reference);
    reference->next_seq = 1;
    return reference;
}

static inline void reference_free(struct reference *reference)
{
    stored_clear(&reference->log);
    free(reference->raw[0]);
    free(reference->raw[1]);
    free(reference);
}

static inline void reference_line(struct reference *reference, int stream, int64_t at_us,
                                  bool newline, bool partial)
{
    struct log_record record = {
        .seq = reference->next_seq++, .at_us = at_us, .stream = (enum log_stream)stream,
        .newline = newline, .partial = partial, .data = reference->open[stream - 1],
        .bytes = reference->open_bytes[stream - 1],
    };
    stored_add(&reference->log, &record);
    reference->open_bytes[stream - 1] = 0;
}

static inline void reference_data(struct reference *reference, int stream, int64_t at_us,
                                  const char *data, size_t bytes)
{
    int index = stream - 1;
    reference->raw[index] = realloc(reference->raw[index], reference->raw_bytes[index] + bytes + 1);
    memcpy(reference->raw[index] + reference->raw_bytes[index], data, bytes);
    reference->raw_bytes[index] += bytes;
    for (size_t i = 0; i < bytes; i++) {
        if (data[i] == '\n') {
            reference_line(reference, stream, at_us, true, false);
            continue;
        }
        bool goes_on = ((unsigned char)data[i] & 0xc0) == 0x80;
        if (reference->open_bytes[index] >= LOG_LINE_MOST ||
            (reference->open_bytes[index] >= LOG_LINE_BYTES && !goes_on))
            reference_line(reference, stream, at_us, false, true);
        reference->open[index][reference->open_bytes[index]++] = data[i];
    }
}

static inline void reference_close(struct reference *reference, int stream, int64_t at_us)
{
    if (reference->open_bytes[stream - 1])
        reference_line(reference, stream, at_us, false, false);
}

static inline void reference_gap(struct reference *reference, int stream, int64_t at_us,
                                 uint64_t bytes, enum log_gap_reason reason)
{
    for (int i = 1; i <= 2; i++)
        if ((stream == 0 || stream == i) && reference->open_bytes[i - 1])
            reference_line(reference, i, at_us, false, true);
    struct log_record record = { .seq = reference->next_seq++, .at_us = at_us, .data = "",
                                 .stream = (enum log_stream)stream, .gap = reason,
                                 .gap_bytes = bytes };
    stored_add(&reference->log, &record);
}

/* ---- rows, lines, files ---- */

static inline struct process_row a_process(int64_t num)
{
    return (struct process_row){ .num = num, .id = { 1, 2, 3 }, .state = 2, .created_at_us = 5,
                                 .spec = "{\"argv\":[\"true\"]}", .token = "abc" };
}

static inline void append_line(struct batch *batch, int64_t process, uint64_t position,
                               const char *text)
{
    assert_true(log_append(batch, process, position, LOG_STDOUT, (int64_t)position + 1, text,
                           strlen(text), 0));
}

static inline size_t count_records(struct db_fixture *fixture, int64_t process)
{
    struct stored_log log = { 0 };
    read_log(fixture->reader, query_all(process), &log);
    size_t count = log.count;
    stored_clear(&log);
    return count;
}

static inline int64_t number(struct db *db, enum db_file file, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db_handle(db, file), sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static inline long file_bytes(const struct db_fixture *fixture, const char *name)
{
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    return stat(path, &status) == 0 ? (long)status.st_size : 0;
}

/* Waits until the SQL gives what is wanted: the writer's upkeep does it when it has time. */
static inline void wait_for_number(struct db_fixture *fixture, enum db_file file, const char *sql,
                                   int64_t wanted)
{
    for (int i = 0; i < 2000; i++) {
        if (number(fixture->reader, file, sql) == wanted)
            return;
        usleep(5000);
    }
    fail_msg("%s never became %ld", sql, (long)wanted);
}

/* On a connection of its own to a file that nobody has open. */
static inline void run_sql(const struct db_fixture *fixture, const char *name, const char *sql)
{
    char path[128];
    sqlite3 *handle;
    snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    if (sqlite3_exec(handle, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(handle));
    sqlite3_close(handle);
}

/* Lines of 99 letters at random, the same in each run: what no packing makes shorter. */
static inline void noise_lines(char *out, size_t bytes)
{
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < bytes; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        out[i] = i % 100 == 99 ? '\n' : (char)(0x80 | (state & 0x7f));
    }
}

#endif
