/*
 * Opening the files, and the tables of state.db: what is put in comes back, what is not ours is refused.
 */
#include "db_harness.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "db/answers.h"
#include "db/feeds.h"
#include "db/processes.h"
#include "db/tokens.h"

/* ---- opening ---- */

static void write_file(const struct db_fixture *fixture, const char *name, const void *data,
                       size_t bytes)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", fixture->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, bytes), bytes);
    close(fd);
}

static void assert_refused(const struct db_fixture *fixture, const char *path_end, const char *why)
{
    struct db_error error;
    assert_null(db_open(fixture->dir, &error));
    assert_int_not_equal(error.code, SQLITE_OK);
    if (!strstr(error.text, path_end) || !strstr(error.text, why))
        fail_msg("%s", error.text);
}

static int closed_setup(void **state)
{
    struct db_fixture *fixture = calloc(1, sizeof *fixture);
    assert_non_null(fixture);
    strcpy(fixture->dir, "/tmp/forkful-db-XXXXXX");
    assert_non_null(mkdtemp(fixture->dir));
    *state = fixture;
    return 0;
}

static int closed_teardown(void **state)
{
    struct db_fixture *fixture = *state;
    remove_directory(fixture->dir);
    free(fixture);
    return 0;
}

static void open_and_close(const struct db_fixture *fixture)
{
    struct db_error error;
    struct db *db = db_open(fixture->dir, &error);
    if (!db)
        fail_msg("%s", error.text);
    db_close(db);
}

static void new_files_are_private_and_ready(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct stat status;
    char path[128];
    umask(0);
    struct db *db = db_open(fixture->dir, &error);
    assert_non_null(db);
    static const char *const names[] = { "state.db", "logs.db", "state.db-wal", "logs.db-wal" };
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", fixture->dir, names[i]);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 0777, 0600);
    }
    db_close(db);
    open_and_close(fixture);
}

static void a_file_that_is_no_database_is_refused(void **state)
{
    char text[5000];
    memset(text, 'x', sizeof text);
    write_file(*state, "state.db", text, sizeof text);
    assert_refused(*state, "/state.db", "not a database");
}

static void a_directory_in_its_place_is_refused(void **state)
{
    struct db_fixture *fixture = *state;
    char path[128];
    snprintf(path, sizeof path, "%s/logs.db", fixture->dir);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_refused(fixture, "/logs.db", "directory");
}

static void a_foreign_database_is_refused_and_left_alone(void **state)
{
    run_sql(*state, "state.db", "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)");
    assert_refused(*state, "/state.db", "another program");
    run_sql(*state, "state.db", "SELECT a FROM theirs");
}

static void the_two_files_are_not_taken_for_each_other(void **state)
{
    struct db_fixture *fixture = *state;
    char state_path[128], logs_path[128];
    open_and_close(fixture);
    snprintf(state_path, sizeof state_path, "%s/state.db", fixture->dir);
    snprintf(logs_path, sizeof logs_path, "%s/logs.db", fixture->dir);
    assert_int_equal(rename(logs_path, state_path), 0);
    assert_refused(fixture, "/state.db", "another program");
}

static void a_newer_version_is_refused(void **state)
{
    open_and_close(*state);
    run_sql(*state, "logs.db", "PRAGMA user_version=99");
    assert_refused(*state, "/logs.db", "newer version");
}

static void logs_of_another_state_are_refused(void **state)
{
    struct db_fixture *fixture = *state;
    char path[128];
    open_and_close(fixture);
    snprintf(path, sizeof path, "%s/state.db", fixture->dir);
    assert_int_equal(remove(path), 0);
    assert_refused(fixture, "/logs.db", "another state.db");
    snprintf(path, sizeof path, "%s/logs.db", fixture->dir);
    assert_int_equal(remove(path), 0);
    open_and_close(fixture);
}

static void lost_logs_are_begun_anew(void **state)
{
    struct db_fixture *fixture = *state;
    char path[128];
    open_and_close(fixture);
    snprintf(path, sizeof path, "%s/logs.db", fixture->dir);
    assert_int_equal(remove(path), 0);
    open_and_close(fixture);
    open_and_close(fixture);
}

static void a_damaged_schema_is_refused(void **state)
{
    open_and_close(*state);
    run_sql(*state, "state.db", "DROP TABLE session");
    assert_refused(*state, "/state.db", "damaged");
}

static void a_missing_directory_is_named(void **state)
{
    struct db_error error;
    (void)state;
    assert_null(db_open("/tmp/forkful-there-is-no-such-directory", &error));
    assert_non_null(strstr(error.text, "/tmp/forkful-there-is-no-such-directory/state.db"));
    assert_null(db_open_reader("/tmp/forkful-there-is-no-such-directory", &error));
}

/* ---- meta ---- */

static void meta_values_survive(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    char text[20];
    struct db *db = db_open(fixture->dir, &error);
    assert_int_equal(db_meta_get(db, DB_STATE, "n"), 0);
    assert_false(db_meta_text(db, DB_STATE, "t", text, sizeof text));
    assert_int_equal(db_meta_set(db, DB_STATE, "n", -5), SQLITE_OK);
    assert_int_equal(db_meta_text_set(db, DB_STATE, "t", "hello"), SQLITE_OK);
    db_close(db);
    db = db_open(fixture->dir, &error);
    assert_int_equal(db_meta_get(db, DB_STATE, "n"), -5);
    assert_true(db_meta_text(db, DB_STATE, "t", text, sizeof text));
    assert_string_equal(text, "hello");
    db_close(db);
}

/* ---- processes and sessions ---- */

static bool same_row(void *context, const struct process_row *row)
{
    const struct process_row *want = context;
    struct process_row got = *row;
    assert_string_equal(row->spec, want->spec);
    if (want->token)
        assert_string_equal(row->token, want->token);
    else
        assert_null(row->token);
    got.spec = want->spec;
    got.token = want->token;
    assert_memory_equal(&got, want, sizeof got);
    return true;
}

static void a_process_row_comes_back_as_it_was_put(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct process_row row;
    memset(&row, 0, sizeof row); /* padding too: rows are compared as memory */
    row.num = 12;
    memcpy(row.id, "0123456789abcdef", 16);
    row.state = 3, row.created_at_us = 4, row.started_at_us = 5, row.exited_at_us = 6;
    row.pid = 7, row.ppid = 8, row.pidfd_inode = 1ull << 63, row.start_ticks = 10;
    row.spec = "{\"argv\":[\"\u00e4\"]}", row.token = "ff";
    row.exit_kind = 1, row.exit_status = 2, row.exit_reason = 3;
    row.core_dumped = row.usage_known = true;
    row.user_us = 11, row.system_us = 12, row.max_rss_bytes = 13;
    row.stdout_bytes = 14, row.stderr_bytes = 15, row.dropped_bytes = 16, row.open_streams = 3;
    row.descendants = 4, row.stop_reason = 2, row.stop_signal = 15, row.stop_deadline_at_us = -1;
    row.start_errno = 2, row.start_stage = 12, row.revision = 99;
    struct batch *batch = fixture_batch(fixture);
    batch->durable = true;
    assert_true(process_row_insert(batch, &row));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(process_rows_load(fixture->reader, same_row, &row, &error), SQLITE_OK);
    row.state = 5, row.exit_status = 77, row.paused = true, row.revision = 100;
    batch = fixture_batch(fixture);
    assert_true(process_row_update(batch, &row));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(process_rows_load(fixture->reader, same_row, &row, &error), SQLITE_OK);
}

static void the_number_of_a_deleted_process_is_not_given_again(void **state)
{
    struct db_fixture *fixture = *state;
    struct process_row row = { .num = 5, .spec = "{}" };
    assert_int_equal(process_num_last(fixture->reader), 0);
    struct batch *batch = fixture_batch(fixture);
    assert_true(process_row_insert(batch, &row));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(process_num_last(fixture->reader), 5);
    batch = fixture_batch(fixture);
    assert_true(process_row_delete(batch, 5));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(process_num_last(fixture->reader), 5);
}

static bool take_session(void *context, const struct session_row *row)
{
    struct session_row *out = context;
    *out = *row;
    assert_string_equal(row->token, "ee");
    return true;
}

static void sessions_are_put_replaced_and_deleted(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct session_row row = { .id = { 9 }, .token = "ee", .expires_at_us = 5, .ttl_us = 30,
                               .scopes = 6, .maker = { [15] = 3 } };
    struct session_row got = { 0 };
    struct batch *batch = fixture_batch(fixture);
    assert_true(session_row_put(batch, &row));
    row.expires_at_us = 8;
    assert_true(session_row_put(batch, &row));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(session_rows_load(fixture->reader, take_session, &got, &error), SQLITE_OK);
    assert_int_equal(got.expires_at_us, 8);
    assert_int_equal(got.id[0], 9);
    assert_int_equal(got.scopes, 6);
    assert_int_equal(got.maker[15], 3);
    batch = fixture_batch(fixture);
    assert_true(session_row_delete(batch, row.id));
    batch_free(fixture_commit(fixture, batch));
    memset(&got, 0, sizeof got);
    assert_int_equal(session_rows_load(fixture->reader, take_session, &got, &error), SQLITE_OK);
    assert_int_equal(got.ttl_us, 0);
}

static bool take_token(void *context, const struct token_row *row)
{
    struct token_row *out = context;
    *out = *row;
    assert_string_equal(row->label, "graphs");
    return true;
}

static void tokens_are_put_replaced_and_deleted(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct token_row row = { .id = { 9 }, .hash = { [31] = 7 }, .scopes = 3, .label = "graphs",
                             .created_at_us = 1, .expires_at_us = 5 };
    struct token_row got = { 0 };
    struct batch *batch = fixture_batch(fixture);
    assert_true(token_row_put(batch, &row));
    row.last_used_at_us = 4;
    assert_true(token_row_put(batch, &row));
    batch_free(fixture_commit(fixture, batch));
    assert_int_equal(token_rows_load(fixture->reader, take_token, &got, &error), SQLITE_OK);
    assert_memory_equal(got.id, row.id, sizeof got.id);
    assert_memory_equal(got.hash, row.hash, sizeof got.hash);
    assert_int_equal(got.scopes, 3);
    assert_int_equal(got.created_at_us, 1);
    assert_int_equal(got.expires_at_us, 5);
    assert_int_equal(got.last_used_at_us, 4);
    batch = fixture_batch(fixture);
    assert_true(token_row_delete(batch, row.id));
    batch_free(fixture_commit(fixture, batch));
    memset(&got, 0, sizeof got);
    assert_int_equal(token_rows_load(fixture->reader, take_token, &got, &error), SQLITE_OK);
    assert_int_equal(got.scopes, 0);
}

/* ---- feeds ---- */

struct seqs {
    uint64_t seq[20];
    size_t count;
};

static bool take_change(void *context, const struct change_row *row)
{
    struct seqs *seqs = context;
    assert_int_equal(row->at_us, row->seq * 10);
    seqs->seq[seqs->count++] = row->seq;
    return true;
}

static bool take_log(void *context, const struct daemon_log_row *row)
{
    struct seqs *seqs = context;
    assert_string_equal(row->text, "text");
    seqs->seq[seqs->count++] = row->seq;
    return true;
}

static void put_feeds(struct db_fixture *fixture)
{
    static const char *const types[] = { "process.started", "process.exited", "session.ended" };
    struct batch *batch = fixture_batch(fixture);
    for (uint64_t seq = 1; seq <= 6; seq++) {
        struct change_row change = { .seq = seq, .at_us = (int64_t)seq * 10, .type = types[seq % 3],
                                     .ref = seq % 2 ? "p_a" : NULL, .data = seq == 1 ? "{}" : NULL };
        struct daemon_log_row log = { .seq = seq, .at_us = 1, .level = (int)seq * 10, .text = "text",
                                      .ref = seq % 2 ? "p_a" : NULL };
        assert_true(change_insert(batch, &change));
        assert_true(daemon_log_insert(batch, &log));
    }
    batch_free(fixture_commit(fixture, batch));
}

static void check_changes(struct db_fixture *fixture, struct feed_query query, size_t count,
                          uint64_t first)
{
    struct seqs seqs = { 0 };
    struct db_error error;
    assert_int_equal(changes_read(fixture->reader, &query, take_change, &seqs, &error), SQLITE_OK);
    assert_int_equal(seqs.count, count);
    assert_int_equal(seqs.seq[0], first);
}

static void changes_are_read_by_type_ref_and_page(void **state)
{
    struct db_fixture *fixture = *state;
    put_feeds(fixture);
    check_changes(fixture, (struct feed_query){ .limit = 10 }, 6, 1);
    check_changes(fixture, (struct feed_query){ .limit = 2, .after = 3 }, 2, 4);
    check_changes(fixture, (struct feed_query){ .limit = 10, .ref = "p_a" }, 3, 1);
    check_changes(fixture, (struct feed_query){ .limit = 10, .type = "process." }, 4, 1);
    check_changes(fixture, (struct feed_query){ .limit = 10, .type = "process.exited" }, 2, 1);
    check_changes(fixture, (struct feed_query){ .limit = 10, .type = "process" }, 0, 0);
    check_changes(fixture, (struct feed_query){ .limit = 1, .type = "session.ended,x" }, 1, 2);
    check_changes(fixture, (struct feed_query){ .limit = 10, .type = "process.exited,session." },
                  4, 1);
}

static void the_daemon_log_is_read_by_level_and_ref(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    struct feed_bounds bounds;
    struct seqs seqs = { 0 };
    assert_int_equal(daemon_log_bounds(fixture->reader, &bounds, &error), SQLITE_OK);
    assert_int_equal(bounds.last, 0);
    put_feeds(fixture);
    struct feed_query query = { .limit = 10, .min_level = 30, .ref = "p_a" };
    assert_int_equal(daemon_log_read(fixture->reader, &query, take_log, &seqs, &error), SQLITE_OK);
    assert_int_equal(seqs.count, 2);
    assert_int_equal(seqs.seq[0], 3);
    assert_int_equal(daemon_log_bounds(fixture->reader, &bounds, &error), SQLITE_OK);
    assert_int_equal(bounds.first, 1);
    assert_int_equal(bounds.last, 6);
}

/* ---- answers ---- */

static void take_answer(void *context, const struct answer_row *row)
{
    (void)context;
    assert_int_equal(row->request_hash, UINT64_MAX);
    assert_int_equal(row->status, 201);
    assert_string_equal(row->location, "/v1/x");
    assert_int_equal(row->body_bytes, 4);
    assert_memory_equal(row->body, "a\0b\n", 4);
}

static void a_stored_answer_is_found_until_it_is_too_old(void **state)
{
    struct db_fixture *fixture = *state;
    struct db_error error;
    bool hit;
    struct answer_row row = { .principal = "p", .key = "k", .request_hash = UINT64_MAX, .at_us = 100,
                              .status = 201, .location = "/v1/x", .content_type = "application/json",
                              .body = "a\0b\n", .body_bytes = 4 };
    struct batch *batch = fixture_batch(fixture);
    assert_true(answer_insert(batch, &row));
    row.at_us = 200;
    assert_true(answer_insert(batch, &row)); /* replaces */
    batch_free(fixture_commit(fixture, batch));
    struct db *reader = fixture->reader;
    assert_int_equal(answer_find(reader, "p", "k", 200, take_answer, NULL, &hit, &error), SQLITE_OK);
    assert_true(hit);
    assert_int_equal(answer_find(reader, "p", "k", 201, take_answer, NULL, &hit, &error), SQLITE_OK);
    assert_false(hit);
    assert_int_equal(answer_find(reader, "q", "k", 0, take_answer, NULL, &hit, &error), SQLITE_OK);
    assert_false(hit);
}

/* ---- batches ---- */

static void a_batch_gives_zeroed_memory_of_any_size(void **state)
{
    (void)state;
    struct batch *batch = batch_new();
    for (size_t bytes = 1; bytes < 300000; bytes = bytes * 3 + 1) {
        unsigned char *memory = batch_alloc(batch, bytes);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        for (size_t i = 0; i < bytes; i++)
            assert_int_equal(memory[i], 0);
        memset(memory, 255, bytes);
    }
    assert_null(batch_alloc(batch, SIZE_MAX - 3));
    assert_null(batch_copy(batch, "", SIZE_MAX));
    assert_string_equal(batch_copy(batch, "word and more", 4), "word");
    batch_free(batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define CLOSED(name) cmocka_unit_test_setup_teardown(name, closed_setup, closed_teardown)
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        CLOSED(new_files_are_private_and_ready),
        CLOSED(a_file_that_is_no_database_is_refused),
        CLOSED(a_directory_in_its_place_is_refused),
        CLOSED(a_foreign_database_is_refused_and_left_alone),
        CLOSED(the_two_files_are_not_taken_for_each_other),
        CLOSED(a_newer_version_is_refused),
        CLOSED(logs_of_another_state_are_refused),
        CLOSED(lost_logs_are_begun_anew),
        CLOSED(a_damaged_schema_is_refused),
        CLOSED(a_missing_directory_is_named),
        CLOSED(meta_values_survive),
        TEST(a_process_row_comes_back_as_it_was_put),
        TEST(the_number_of_a_deleted_process_is_not_given_again),
        TEST(sessions_are_put_replaced_and_deleted),
        TEST(tokens_are_put_replaced_and_deleted),
        TEST(changes_are_read_by_type_ref_and_page),
        TEST(the_daemon_log_is_read_by_level_and_ref),
        TEST(a_stored_answer_is_found_until_it_is_too_old),
        cmocka_unit_test(a_batch_gives_zeroed_memory_of_any_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
