/*
 * The writer: exactly once over crashes, nothing lost on a full disk, readers beside it.
 */
#include "db_harness.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "db/readers.h"

/* ---- positions ---- */

static void a_silent_end_leaves_nothing_in_logs_and_no_position(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_position position;
    struct batch *batch = fixture_batch(fixture);
    append_line(batch, 1, fixture->position = batch->position.position = 50, "line\n");
    batch_free(fixture_commit(fixture, batch));
    fixture->position = 100;
    long wal = file_bytes(fixture, "logs.db-wal");
    batch = fixture_batch(fixture);
    struct process_row row = a_process(2);
    assert_true(process_row_insert(batch, &row));
    assert_true(log_close_stream(batch, 1, 90, LOG_STDOUT, 1));
    assert_true(log_close_stream(batch, 2, 95, LOG_STDERR, 1));
    assert_true(log_finished(batch, 2, 100));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(file_bytes(fixture, "logs.db-wal"), wal);
    assert_true(db_position_get(fixture->reader, DB_LOGS, &position));
    assert_int_equal(position.position, 50);
    assert_true(db_position_get(fixture->reader, DB_STATE, &position));
    assert_int_equal(position.position, 100);
    batch = fixture_batch(fixture);
    append_line(batch, 1, fixture->position = batch->position.position = 120, "more\n");
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(count_records(fixture, 1), 2);
}

static void both_files_hold_the_position_of_a_batch_that_touches_both(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_position position;
    fixture->position = 100;
    struct batch *batch = fixture_batch(fixture);
    struct process_row row = a_process(1);
    assert_true(process_row_insert(batch, &row));
    append_line(batch, 1, 100, "one\n");
    batch_free(fixture_commit(fixture, batch));
    assert_true(db_position_get(fixture->reader, DB_STATE, &position));
    assert_int_equal(position.position, 100);
    assert_true(db_position_get(fixture->reader, DB_LOGS, &position));
    assert_int_equal(position.position, 100);
}

static void output_alone_moves_only_the_logs(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_position position;
    fixture->position = 50;
    struct batch *batch = fixture_batch(fixture);
    append_line(batch, 1, 50, "one\n");
    batch_free(fixture_commit(fixture, batch));
    assert_false(db_position_get(fixture->reader, DB_STATE, &position));
    assert_true(db_position_get(fixture->reader, DB_LOGS, &position));
    assert_int_equal(position.position, 50);
}

static void facts_that_are_submitted_again_are_stored_once(void **state)
{
    struct db_fixture *fixture = *state;
    for (uint64_t end = 3; end <= 9; end += 3) {
        fixture->position = end;
        struct batch *batch = fixture_batch(fixture);
        for (uint64_t position = 1; position <= end; position++) /* always from the beginning */
            append_line(batch, 1, position, "line\n");
        batch_free(fixture_commit(fixture, batch));
        fixture_close(fixture);
        fixture_open(fixture);
        assert_int_equal(count_records(fixture, 1), end);
    }
}

static void another_spool_begins_at_its_own_positions(void **state)
{
    struct db_fixture *fixture = *state;
    fixture->position = 1000;
    struct batch *batch = fixture_batch(fixture);
    append_line(batch, 1, 1000, "old\n");
    batch_free(fixture_commit(fixture, batch));
    batch = fixture_batch(fixture);
    batch->position = (struct db_position){ .spool_id = 8, .position = 10 };
    append_line(batch, 1, 10, "new\n");
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(count_records(fixture, 1), 2);
}

static void submit_one_of_each(struct db_fixture *fixture)
{
    fixture->position = 77;
    struct batch *batch = fixture_batch(fixture);
    struct process_row row = a_process(1);
    assert_true(process_row_insert(batch, &row));
    append_line(batch, 1, 77, "once\n");
    batch_free(fixture_commit(fixture, batch));
}

/* The process that commits is killed at the named point; what it left is committed again. */
static void killed_at(void **state, const char *fault, bool logs_ahead)
{
    struct db_fixture *fixture = *state;
    struct db_position position;
    int status;
    fixture_close(fixture);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("FORKFUL_FAULT", fault, 1);
        fixture_open(fixture);
        submit_one_of_each(fixture);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    fixture_open(fixture);
    assert_false(db_position_get(fixture->reader, DB_STATE, &position));
    assert_int_equal(db_position_get(fixture->reader, DB_LOGS, &position), logs_ahead);
    submit_one_of_each(fixture);
    assert_int_equal(count_records(fixture, 1), 1);
    assert_int_equal(number(fixture->reader, DB_STATE, "SELECT count(*) FROM process"), 1);
    assert_true(db_position_get(fixture->reader, DB_STATE, &position));
    assert_int_equal(position.position, 77);
}

static void a_kill_before_the_commit_leaves_nothing(void **state)
{
    killed_at(state, "writer_before_commit:1", false);
}

static void a_kill_between_the_files_leaves_the_logs_ahead_and_nothing_twice(void **state)
{
    killed_at(state, "writer_between_files:1", true);
}

/* ---- failures ---- */

static void an_operation_that_breaks_a_rule_is_left_out_alone(void **state)
{
    struct db_fixture *fixture = *state;
    struct writer_health health;
    struct process_row row = a_process(1), second = a_process(2);
    struct batch *batch = fixture_batch(fixture);
    assert_true(process_row_insert(batch, &row));
    assert_true(process_row_insert(batch, &row));
    assert_true(process_row_insert(batch, &second));
    batch_free(fixture_commit(fixture, batch));
    writer_health(fixture->writer, &health);
    assert_int_equal(health.left_out, 1);
    assert_int_equal(number(fixture->reader, DB_STATE, "SELECT count(*) FROM process"), 2);
}

static void set_file_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static bool wait_degraded(struct writer *writer)
{
    struct writer_health health = { 0 };
    for (int i = 0; i < 2000 && !health.degraded; i++) {
        usleep(2000);
        writer_health(writer, &health);
    }
    return health.degraded && health.text[0] && health.since_us;
}

static void a_full_disk_delays_a_batch_and_loses_nothing(void **state)
{
    struct db_fixture *fixture = *state;
    struct writer_health health;
    static char lines[300000];
    uint64_t count;
    noise_lines(lines, sizeof lines);
    signal(SIGXFSZ, SIG_IGN);
    struct batch *first = fixture_batch(fixture), *second = fixture_batch(fixture);
    struct process_row row = a_process(1);
    assert_true(process_row_insert(second, &row));
    log_append(first, 1, 0, LOG_STDOUT, 1, lines, sizeof lines / 2, 0);
    log_append(second, 1, 0, LOG_STDOUT, 2, lines, sizeof lines, 0);
    batch_free(fixture_commit(fixture, first));
    set_file_limit((rlim_t)file_bytes(fixture, "logs.db-wal") + 100000);
    writer_submit(fixture->writer, second);
    bool degraded = wait_degraded(fixture->writer);
    assert_true(writer_busy(fixture->writer));
    set_file_limit(RLIM_INFINITY);
    assert_true(degraded);
    assert_int_equal(read(fixture->event_fd, &count, sizeof count), sizeof count);
    batch_free(writer_collect(fixture->writer));
    writer_health(fixture->writer, &health);
    assert_false(health.degraded);
    assert_true(health.retries > 0);
    assert_int_equal(count_records(fixture, 1), sizeof lines / 200 + sizeof lines / 100);
    assert_int_equal(number(fixture->reader, DB_STATE, "SELECT count(*) FROM process"), 1);
}

static void a_database_of_limited_pages_is_reported_as_full(void **state)
{
    struct db_fixture *fixture = *state;
    struct writer_health health;
    static char bytes[400000];
    noise_lines(bytes, sizeof bytes);
    fixture_close(fixture);
    setenv("FORKFUL_DB_MAX_PAGES", "20", 1);
    fixture_open(fixture);
    unsetenv("FORKFUL_DB_MAX_PAGES");
    struct batch *batch = fixture_batch(fixture);
    log_append(batch, 1, 0, LOG_STDOUT, 1, bytes, sizeof bytes, 0);
    writer_submit(fixture->writer, batch);
    assert_true(wait_degraded(fixture->writer));
    writer_health(fixture->writer, &health);
    assert_true(health.full);
    assert_non_null(strstr(health.text, "logs.db"));
}

/* ---- readers beside the writer ---- */

struct tail_job {
    struct read_job job;
    size_t records;
    bool failed;
};

static bool count_record(void *context, const struct log_record *record)
{
    (void)record;
    ++*(size_t *)context;
    return true;
}

static void run_tail(struct read_job *job, struct db *reader)
{
    struct tail_job *tail = (struct tail_job *)job;
    struct log_query query = query_all(1);
    struct log_result result;
    struct db_error error;
    query.tail = 500;
    tail->failed |= log_read(reader, &query, count_record, &tail->records, &result, &error) != SQLITE_OK;
}

static void note_done(struct read_job *job)
{
    job->cancelled = true;
}

static void the_wal_stays_bounded_under_a_flood_with_readers(void **state)
{
    struct db_fixture *fixture = *state;
    static char bytes[1 << 20];
    struct db_error error;
    struct tail_job jobs[4] = { 0 };
    int event_fd = eventfd(0, EFD_NONBLOCK);
    struct readers *readers = readers_start(fixture->dir, 2, event_fd, &error);
    assert_non_null(readers);
    struct writer_limits limits = { .logs_wal_bytes = 32 << 20 };
    writer_set_limits(fixture->writer, &limits);
    noise_lines(bytes, sizeof bytes);
    for (int i = 0; i < 4; i++) {
        jobs[i].job.run = run_tail;
        jobs[i].job.done = note_done;
        readers_submit(readers, &jobs[i].job);
    }
    long longest = 0;
    for (int i = 0; i < 80; i++) {
        struct batch *batch = fixture_batch(fixture);
        for (int k = 0; k < 2; k++)
            log_append(batch, 1, 0, LOG_STDOUT, i, bytes, sizeof bytes, 0);
        batch_free(fixture_commit(fixture, batch));
        struct read_job *job;
        while ((job = readers_collect(readers)) != NULL)
            readers_submit(readers, job);
        long wal = file_bytes(fixture, "logs.db-wal");
        longest = wal > longest ? wal : longest;
    }
    readers_stop(readers);
    for (int i = 0; i < 4; i++) {
        assert_false(jobs[i].failed);
        assert_true(jobs[i].records > 0);
    }
    close(event_fd);
    assert_true(longest < 48 << 20);
}

static void finished_jobs_come_back_in_order_and_cancelled_ones_do_not_run(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct tail_job jobs[3] = { 0 };
    uint64_t count;
    int event_fd = eventfd(0, 0), collected = 0;
    struct readers *readers = readers_start(fixture->dir, 1, event_fd, &error);
    assert_non_null(readers);
    submit_one_of_each(fixture);
    for (int i = 0; i < 3; i++) {
        jobs[i].job.run = run_tail;
        jobs[i].job.done = note_done;
        jobs[i].job.cancelled = i == 1;
        readers_submit(readers, &jobs[i].job);
    }
    while (collected < 3) {
        struct read_job *job = readers_collect(readers);
        if (!job) {
            assert_int_equal(read(event_fd, &count, sizeof count), sizeof count);
            continue;
        }
        assert_ptr_equal(job, &jobs[collected++].job);
        job->done(job);
    }
    assert_int_equal(jobs[0].records, 1);
    assert_int_equal(jobs[1].records, 0);
    assert_int_equal(jobs[2].records, 1);
    readers_stop(readers);
    close(event_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(a_silent_end_leaves_nothing_in_logs_and_no_position),
        TEST(both_files_hold_the_position_of_a_batch_that_touches_both),
        TEST(output_alone_moves_only_the_logs),
        TEST(facts_that_are_submitted_again_are_stored_once),
        TEST(another_spool_begins_at_its_own_positions),
        TEST(a_kill_before_the_commit_leaves_nothing),
        TEST(a_kill_between_the_files_leaves_the_logs_ahead_and_nothing_twice),
        TEST(an_operation_that_breaks_a_rule_is_left_out_alone),
        TEST(a_full_disk_delays_a_batch_and_loses_nothing),
        TEST(a_database_of_limited_pages_is_reported_as_full),
        TEST(the_wal_stays_bounded_under_a_flood_with_readers),
        TEST(finished_jobs_come_back_in_order_and_cancelled_ones_do_not_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
