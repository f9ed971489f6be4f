/*
 * How chunks are stored: text packed, noise as it is, damage told, and rows from before there was packing.
 */
#include "db_harness.h"

#define BYTES 1000000u
#define LINE 100u

/* Lines with a number and a word or two that differ, as programs write them. */
static char *text_lines(void)
{
    char *text = malloc(BYTES + 1);
    assert_non_null(text);
    for (size_t at = 0; at < BYTES; at += LINE)
        snprintf(text + at, LINE + 1, "2026-01-01T00:%02zu:%02zu.%06zu INFO worker %04zu: request done in %7zu us by %-24s\n",
                 at / 6000 % 60, at / 100 % 60, at * 7919 % 1000000, at * 31 % 10000, at * 104729 % 9999999, "the handler");
    return text;
}

static char *noise(void)
{
    char *bytes = malloc(BYTES);
    assert_non_null(bytes);
    noise_lines(bytes, BYTES);
    return bytes;
}

static void append(struct db_fixture *fixture, const char *data)
{
    struct batch *batch = fixture_batch(fixture);
    assert_true(log_append(batch, 1, 0, LOG_STDOUT, 5, data, BYTES, 0));
    batch_free(fixture_commit(fixture, batch));
}

struct collected {
    char *bytes;
    size_t count;
};

static bool collect(void *context, const struct log_record *piece)
{
    struct collected *all = context;
    assert_true(all->count + piece->bytes <= BYTES);
    memcpy(all->bytes + all->count, piece->data, piece->bytes);
    all->count += piece->bytes;
    return true;
}

static int read_stored(struct db_fixture *fixture, struct collected *all)
{
    struct log_query query = query_all(1);
    struct log_result result;
    struct db_error error;
    query.raw = true;
    all->count = 0;
    return log_read(fixture->reader, &query, collect, all, &result, &error);
}

static void assert_reads_back(struct db_fixture *fixture, const char *data)
{
    struct collected all = { .bytes = malloc(BYTES) };
    assert_int_equal(read_stored(fixture, &all), SQLITE_OK);
    assert_int_equal(all.count, BYTES);
    assert_memory_equal(all.bytes, data, BYTES);
    free(all.bytes);
}

static void text_takes_a_part_of_its_length(void **state)
{
    struct db_fixture *fixture = *state;
    char *text = text_lines();
    append(fixture, text);
    int64_t stored = number(fixture->reader, DB_LOGS, "SELECT sum(length(data)) FROM chunk");
    assert_in_range(stored, 1, BYTES / 2);
    assert_true(number(fixture->reader, DB_LOGS, "SELECT sum(data_bytes) FROM chunk") >= BYTES);
    assert_reads_back(fixture, text);
    free(text);
}

static void noise_is_stored_as_it_is(void **state)
{
    struct db_fixture *fixture = *state;
    char *bytes = noise();
    append(fixture, bytes);
    assert_int_equal(number(fixture->reader, DB_LOGS, "SELECT count(*) FROM chunk WHERE length(data) <> data_bytes"), 0);
    assert_reads_back(fixture, bytes);
    free(bytes);
}

static void a_damaged_block_is_told_and_harms_nobody(void **state)
{
    struct db_fixture *fixture = *state;
    static const char *const damages[] = {
        "UPDATE chunk SET data=substr(data, 1, length(data) / 2)",
        "UPDATE chunk SET data=zeroblob(length(data))",
        "UPDATE chunk SET data=randomblob(length(data))",
        "UPDATE chunk SET data=x''",
        "UPDATE chunk SET data=zeroblob(data_bytes + 1)",
        "UPDATE chunk SET data_bytes=data_bytes + 1",
        "UPDATE chunk SET data_bytes=data_bytes - 1",
        "UPDATE chunk SET data_bytes=9223372036854775807",
        "UPDATE chunk SET data_bytes=-1",
    };
    char *text = text_lines();
    append(fixture, text);
    fixture_close(fixture);
    run_sql(fixture, "logs.db", "CREATE TABLE whole AS SELECT id, data, data_bytes FROM chunk");
    for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
        struct collected all = { .bytes = malloc(BYTES) };
        run_sql(fixture, "logs.db", damages[i]);
        fixture_open(fixture);
        int code = read_stored(fixture, &all);
        if (code != SQLITE_CORRUPT && code != SQLITE_NOMEM)
            fail_msg("%s: %d", damages[i], code);
        fixture_close(fixture);
        free(all.bytes);
        run_sql(fixture, "logs.db", "UPDATE chunk SET (data, data_bytes) = (SELECT data, data_bytes FROM whole WHERE whole.id = chunk.id)");
    }
    fixture_open(fixture);
    assert_reads_back(fixture, text);
    free(text);
}

/* As version 4 had it: no data_bytes, and every chunk as it is. */
static void rows_from_before_are_taken_over(void **state)
{
    struct db_fixture *fixture = *state;
    char *bytes = noise();
    append(fixture, bytes);
    fixture_close(fixture);
    run_sql(fixture, "logs.db",
            "BEGIN; ALTER TABLE chunk RENAME TO chunk_5; DROP INDEX chunk_of;"
           "CREATE TABLE chunk (id INTEGER PRIMARY KEY, process INTEGER NOT NULL, first_seq INTEGER NOT NULL,"
           " records INTEGER NOT NULL, out_start INTEGER NOT NULL, err_start INTEGER NOT NULL,"
           " out_bytes INTEGER NOT NULL, err_bytes INTEGER NOT NULL, open_out INTEGER NOT NULL, open_err INTEGER NOT NULL,"
           " first_at INTEGER NOT NULL, last_at INTEGER NOT NULL, carry BLOB NOT NULL, data BLOB NOT NULL);"
           "INSERT INTO chunk SELECT id, process, first_seq, records, out_start, err_start, out_bytes, err_bytes,"
           " open_out, open_err, first_at, last_at, carry, data FROM chunk_5;"
           "CREATE INDEX chunk_of ON chunk (process, first_seq); DROP TABLE chunk_5; PRAGMA user_version=4; COMMIT");
    run_sql(fixture, "state.db", "PRAGMA user_version=4");
    fixture_open(fixture);
    assert_reads_back(fixture, bytes);
    assert_int_equal(number(fixture->reader, DB_LOGS, "SELECT count(*) FROM chunk WHERE data_bytes <> length(data)"), 0);
    assert_int_equal(number(fixture->reader, DB_LOGS, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    free(bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(text_takes_a_part_of_its_length),
        TEST(noise_is_stored_as_it_is),
        TEST(a_damaged_block_is_told_and_harms_nobody),
        TEST(rows_from_before_are_taken_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
