/*
 * The work that the writer does on the side: limits, merging, deleting, cutting the WAL.
 */
#include "db_harness.h"

#include "db/answers.h"
#include "db/audit.h"
#include "db/feeds.h"
#include "db/log_store.h"
#include "db/upkeep_tasks.h"

static void the_total_limit_deletes_the_oldest_output_first_and_tells(void **state)
{
    struct db_fixture *fixture = *state;
    static char lines[200000];
    struct writer_limits limits = { .total_log_bytes = 1000000 };
    uint64_t deleted = 0;
    memset(lines, '\n', sizeof lines);
    for (int64_t process = 1; process <= 20; process++) {
        struct batch *batch = fixture_batch(fixture);
        log_append(batch, process, 0, LOG_STDOUT, process, lines, sizeof lines, 0);
        log_finished(batch, process, 0);
        batch_free(fixture_commit(fixture, batch));
    }
    writer_set_limits(fixture->writer, &limits);
    wait_for_number(fixture, DB_LOGS, "SELECT sum(data_bytes) < 1000000 FROM chunk", 1);
    struct batch *batch = fixture_batch(fixture);
    append_line(batch, 20, 0, "x\n");
    batch = fixture_commit(fixture, batch);
    for (size_t i = 0; i < batch->progress_count; i++)
        deleted += batch->progress[i].dropped_bytes;
    batch_free(batch);
    assert_true(deleted >= 19 * sizeof lines - 1000000);
    struct stored_log log = { 0 };
    read_log(fixture->reader, query_all(1), &log);
    assert_int_equal(log.count, 1);
    assert_int_equal(log.records[0].record.gap, LOG_GAP_RETENTION);
    assert_int_equal(log.records[0].record.gap_bytes, sizeof lines);
    assert_int_equal(log.records[0].record.gap_records, sizeof lines);
    stored_clear(&log);
    assert_true(count_records(fixture, 19) > 100000);
}

static void the_log_of_a_deleted_process_goes_and_its_space_is_given_back(void **state)
{
    struct db_fixture *fixture = *state;
    static char bytes[4 << 20];
    struct process_row row = a_process(41);
    noise_lines(bytes, sizeof bytes);
    struct batch *batch = fixture_batch(fixture);
    assert_true(process_row_insert(batch, &row));
    for (int i = 0; i < 4; i++)
        log_append(batch, 41, 0, LOG_STDOUT, 1, bytes, sizeof bytes, 0);
    batch_free(fixture_commit(fixture, batch));
    batch = fixture_batch(fixture);
    assert_true(process_row_delete(batch, 41));
    batch_free(fixture_commit(fixture, batch));
    wait_for_number(fixture, DB_STATE, "SELECT count(*) FROM doomed", 0);
    wait_for_number(fixture, DB_LOGS, "SELECT count(*) FROM chunk", 0);
    wait_for_number(fixture, DB_LOGS, "SELECT freelist_count < 256 FROM pragma_freelist_count", 1);
    assert_int_equal(process_num_last(fixture->reader), 41);
    fixture_close(fixture);
    assert_true(file_bytes(fixture, "logs.db") < (3 << 20));
    fixture_open(fixture);
}

static void small_chunks_of_a_finished_process_are_merged(void **state)
{
    struct db_fixture *fixture = *state;
    static char lines[5000];
    memset(lines, '\n', sizeof lines);
    for (int i = 0; i < 40; i++) {
        struct batch *batch = fixture_batch(fixture);
        log_append(batch, 3, 0, LOG_STDOUT, i, lines, sizeof lines, 0);
        if (i == 39)
            log_finished(batch, 3, 0);
        batch_free(fixture_commit(fixture, batch));
    }
    wait_for_number(fixture, DB_LOGS, "SELECT count(*) <= 3 FROM chunk", 1);
    assert_int_equal(count_records(fixture, 3), 40 * sizeof lines);
}

static void small_chunks_of_a_running_process_are_merged_while_it_writes(void **state)
{
    struct db_fixture *fixture = *state;
    static char lines[5000];
    memset(lines, 'a', sizeof lines); /* the last line of each batch goes on in the next */
    for (size_t i = 70; i < sizeof lines - 100; i += 70)
        lines[i] = '\n';
    size_t batches = 0;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++, batches++) {
            struct batch *batch = fixture_batch(fixture);
            log_append(batch, 3, 0, LOG_STDOUT, i, lines, sizeof lines, 0);
            batch_free(fixture_commit(fixture, batch));
        }
        wait_for_number(fixture, DB_LOGS, "SELECT count(*) < 60 FROM chunk", 1);
    }
    struct stored_log log = { 0 };
    struct reference *reference = reference_new();
    for (size_t i = 0; i < batches; i++)
        reference_data(reference, 1, (int64_t)i % 100, lines, sizeof lines);
    read_log(fixture->reader, query_all(3), &log);
    assert_int_equal(log.count, reference->log.count);
    for (size_t i = 0; i < log.count; i++)
        assert_same_record(&log.records[i].record, &reference->log.records[i].record);
    stored_clear(&log);
    reference_free(reference);
}

/* The writer's work without a writer. */
struct worked_on {
    struct db *db;
    struct log_store *store;
    struct upkeep *upkeep;
};

static struct worked_on begin_work(struct db_fixture *fixture)
{
    struct worked_on work;
    struct db_error error;
    int code;
    fixture_close(fixture);
    work.db = db_open(fixture->dir, &error);
    work.store = log_store_new(work.db, &code);
    work.upkeep = upkeep_new(work.store, &code);
    assert_non_null(work.upkeep);
    return work;
}

static void end_work(struct db_fixture *fixture, struct worked_on *work)
{
    upkeep_free(work->upkeep);
    log_store_free(work->store);
    db_close(work->db);
    fixture_open(fixture);
}

static void feeds_and_answers_are_kept_within_their_limits(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct batch *batch = fixture_batch(fixture);
    for (uint64_t seq = 1; seq <= 9000; seq++) {
        struct change_row change = { .seq = seq, .at_us = 1, .type = "process.started" };
        assert_true(change_insert(batch, &change));
    }
    for (uint64_t seq = 1; seq <= 500; seq++) {
        struct audit_row row = { .seq = seq, .at_us = 1, .action = "createToken" };
        assert_true(audit_insert(batch, &row));
    }
    struct answer_row answer = { .principal = "admin", .key = "k", .at_us = 1, .status = 201,
                                 .content_type = "application/json", .body = "{}", .body_bytes = 2 };
    assert_true(answer_insert(batch, &answer));
    batch_free(fixture_commit(fixture, batch));

    struct worked_on work = begin_work(fixture);
    struct writer_limits limits = { .changes_max = 100, .log_max = 1, .idempotency_age_us = 1000,
                                    .audit_max = 200 };
    while (upkeep_slice(work.upkeep, &limits, false) == 0)
        ;
    struct feed_bounds bounds;
    assert_int_equal(changes_bounds(work.db, &bounds, &error), SQLITE_OK);
    assert_int_equal(bounds.first, 8901);
    assert_int_equal(bounds.last, 9000);
    assert_int_equal(audit_bounds(work.db, &bounds, &error), SQLITE_OK);
    assert_int_equal(bounds.first, 301);
    assert_int_equal(bounds.last, 500);
    assert_int_equal(number(work.db, DB_STATE, "SELECT count(*) FROM answer"), 0);
    int code;
    upkeep_free(work.upkeep);
    work.upkeep = upkeep_new(work.store, &code);
    limits.feed_age_us = limits.audit_age_us = 1;
    while (upkeep_slice(work.upkeep, &limits, false) == 0)
        ;
    assert_int_equal(changes_bounds(work.db, &bounds, &error), SQLITE_OK);
    assert_int_equal(bounds.first, 9000);
    assert_int_equal(audit_bounds(work.db, &bounds, &error), SQLITE_OK);
    assert_int_equal(bounds.first, 500);
    end_work(fixture, &work);
}

/* A batch after every look: more is deleted meanwhile than anybody adds. */
static void limits_are_kept_by_a_writer_that_is_never_idle(void **state)
{
    struct db_fixture *fixture = *state;
    struct batch *batch = fixture_batch(fixture);
    for (uint64_t i = 1; i <= 150000; i++) {
        char key[24];
        snprintf(key, sizeof key, "k%lu", (unsigned long)i);
        struct answer_row answer = { .principal = "admin", .key = key, .at_us = 1, .status = 201,
                                     .content_type = "application/json", .body = "{}", .body_bytes = 2 };
        struct change_row change = { .seq = i, .at_us = 1, .type = "process.started" };
        assert_true(answer_insert(batch, &answer) && change_insert(batch, &change));
    }
    batch_free(fixture_commit(fixture, batch));

    struct worked_on work = begin_work(fixture);
    struct writer_limits limits = { .changes_max = 100, .idempotency_age_us = 1000 };
    int64_t until_us = upkeep_now_us() + 15000000;
    int64_t left = 1;
    while (left > 0 && upkeep_now_us() < until_us) {
        upkeep_slice(work.upkeep, &limits, true);
        usleep(5000);
        left = number(work.db, DB_STATE, "SELECT EXISTS (SELECT 1 FROM answer)"
                                    " OR (SELECT max(seq) - min(seq) >= 100 FROM change)");
    }
    assert_int_equal(left, 0);
    end_work(fixture, &work);
}

/* The total says that there is too much, and there is nothing: no log is made up to be trimmed. */
static void a_total_limit_with_nothing_to_delete_changes_nothing(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    fixture_close(fixture);
    struct db *db = db_open(fixture->dir, &error);
    assert_int_equal(db_meta_set(db, DB_LOGS, "log_bytes", 1 << 20), SQLITE_OK);
    int code;
    struct log_store *store = log_store_new(db, &code);
    struct upkeep *upkeep = upkeep_new(store, &code);
    struct writer_limits limits = { .total_log_bytes = 1000 };
    while (upkeep_slice(upkeep, &limits, false) == 0)
        ;
    for (size_t i = 0; i < LOG_STORE_SLOTS; i++)
        assert_null(store->slots[i]);
    upkeep_free(upkeep);
    log_store_free(store);
    db_close(db);
    fixture_open(fixture);
}

static void a_long_wal_is_copied_back_and_cut_when_nothing_is_left_to_do(void **state)
{
    struct db_fixture *fixture = *state;
    static char bytes[1 << 20];
    noise_lines(bytes, sizeof bytes);
    for (int i = 0; i < 24; i++) {
        struct batch *batch = fixture_batch(fixture);
        log_append(batch, 1, 0, LOG_STDOUT, i, bytes, sizeof bytes, 0);
        batch_free(fixture_commit(fixture, batch));
    }
    assert_true(file_bytes(fixture, "logs.db-wal") > 8 << 20);
    for (int i = 0; i < 2000 && file_bytes(fixture, "logs.db-wal") > 0; i++)
        usleep(5000);
    assert_int_equal(file_bytes(fixture, "logs.db-wal"), 0);
    assert_true(file_bytes(fixture, "logs.db") > 24 << 20);
    assert_int_equal(number(fixture->reader, DB_LOGS, "SELECT sum(records) FROM chunk"),
                     24 * (sizeof bytes / 100));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(the_total_limit_deletes_the_oldest_output_first_and_tells),
        TEST(the_log_of_a_deleted_process_goes_and_its_space_is_given_back),
        TEST(small_chunks_of_a_finished_process_are_merged),
        TEST(small_chunks_of_a_running_process_are_merged_while_it_writes),
        TEST(feeds_and_answers_are_kept_within_their_limits),
        TEST(limits_are_kept_by_a_writer_that_is_never_idle),
        TEST(a_total_limit_with_nothing_to_delete_changes_nothing),
        TEST(a_long_wal_is_copied_back_and_cut_when_nothing_is_left_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
