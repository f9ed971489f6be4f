/*
 * The logs lose their oldest end, to a limit or to a trim: what is left is exact to the record and the byte, and
 * one gap tells what is missing.
 */
#include "db_log_world.h"

static void check_after_deletion(struct world *world, size_t index, uint64_t dropped)
{
    struct stored_log got = { 0 };
    const struct stored_log *all = &world->references[index]->log;
    read_log(world->fixture->reader, query_all((int64_t)index + 1), &got);
    size_t at = 0;
    if (got.count && got.records[0].record.gap == LOG_GAP_DROP_OLDEST) {
        at = (size_t)got.records[0].record.seq;
        assert_int_equal(got.records[0].record.gap_records, at);
        assert_int_equal(got.records[0].record.gap_bytes, dropped);
    }
    for (size_t i = at ? 1 : 0; i < got.count; i++)
        assert_same_record(&got.records[i].record, &all->records[at++].record);
    assert_int_equal(at, all->count);
    stored_clear(&got);
}

/* Output bytes in the chunks of a process, without the open lines that they carry. */
static uint64_t bytes_in_chunks(struct world *world, size_t index)
{
    char sql[100];
    snprintf(sql, sizeof sql, "SELECT sum(out_bytes + err_bytes) FROM chunk WHERE process=%zu",
             index + 1);
    return (uint64_t)number(world->fixture->reader, DB_LOGS, sql);
}

static void drop_oldest(void **state, uint64_t max_bytes, int batches)
{
    struct world world;
    struct db_error error;
    world_begin(&world, state, max_bytes);
    world.max_bytes = max_bytes;
    for (int i = 0; i < batches; i++) {
        random_batch(&world);
        if (i % 7 == 6)
            merge_everything(&world);
        if (i % 3 == 2)
            restart(&world);
        for (size_t index = 0; index < PROCESSES; index++) {
            struct log_progress totals;
            struct reference *reference = world.references[index];
            uint64_t written = reference->raw_bytes[0] + reference->raw_bytes[1];
            uint64_t chunk = max_bytes / 8 < 64 ? 64 : max_bytes / 8;
            assert_int_equal(log_totals(world.fixture->reader, (int64_t)index + 1, &totals, &error),
                             SQLITE_OK);
            uint64_t stored = bytes_in_chunks(&world, index);
            assert_true(stored <= max_bytes + (chunk < LOG_CHUNK_BYTES ? chunk
                                               : LOG_CHUNK_BYTES * 9 / 8) * 2);
            assert_true(stored >= (written < max_bytes ? written : max_bytes));
            assert_int_equal(totals.stored_bytes + totals.dropped_bytes, written);
            check_after_deletion(&world, index, totals.dropped_bytes);
        }
    }
    check_total(&world);
    world_end(&world);
}

static void a_small_limit_keeps_the_newest_bytes(void **state)
{
    drop_oldest(state, 1000, 20);
}

static void a_larger_limit_keeps_the_newest_bytes(void **state)
{
    drop_oldest(state, 300000, 40);
}

/* The raw bytes: of the records from `first` on, and of what is open. */
static void check_raw_from(struct world *world, size_t index, uint64_t first)
{
    const struct reference *reference = world->references[index];
    struct log_query query = query_all((int64_t)index + 1);
    struct raw_bytes raw = { 0 };
    size_t gone[2] = { 0, 0 };
    query.max_bytes = 1 + below(200000);
    read_raw(world->fixture->reader, &query, &raw);
    for (size_t i = 0; i < reference->log.count && i + 1 < first; i++) {
        const struct log_record *record = &reference->log.records[i].record;
        if (!record->gap)
            gone[record->stream - 1] += record->bytes + record->newline;
    }
    for (int s = 0; s < 2; s++) {
        assert_int_equal(raw.bytes[s], reference->raw_bytes[s] - gone[s]);
        if (raw.bytes[s])
            assert_memory_equal(raw.data[s], reference->raw[s] + gone[s], raw.bytes[s]);
    }
    free_raw(&raw);
}

/* All ways to read give one gap and then the records from `first` on. */
static void check_trimmed(struct world *world, size_t index, uint64_t first)
{
    const struct stored_log *all = &world->references[index]->log;
    struct log_query query = query_all((int64_t)index + 1);
    struct stored_log got = { 0 };
    struct log_progress totals;
    struct db_error error;
    uint64_t gone = 0;
    query.max_records = 1 + below(3000);
    read_log(world->fixture->reader, query, &got);
    size_t at = first - 1;
    if (at) {
        assert_true(got.count > 0);
        assert_int_equal(got.records[0].record.gap, LOG_GAP_TRIMMED);
        assert_int_equal(got.records[0].record.seq, at);
        assert_int_equal(got.records[0].record.gap_records, at);
        assert_int_equal(got.records[0].record.at_us > 0, 1);
        gone = got.records[0].record.gap_bytes;
    }
    for (size_t i = at ? 1 : 0; i < got.count; i++)
        assert_same_record(&got.records[i].record, &all->records[at++].record);
    assert_int_equal(at, all->count);
    stored_clear(&got);
    check_raw_from(world, index, first);
    assert_int_equal(log_totals(world->fixture->reader, (int64_t)index + 1, &totals, &error), SQLITE_OK);
    assert_int_equal(totals.first_seq, first);
    assert_int_equal(totals.dropped_bytes, 0);
    assert_int_equal(totals.trimmed_bytes, gone);
    assert_int_equal(totals.stored_bytes + totals.trimmed_bytes,
                     world->references[index]->raw_bytes[0] + world->references[index]->raw_bytes[1]);
}

/* Returns the bytes that it was told were deleted. */
static uint64_t trim(struct world *world, size_t index, uint64_t before)
{
    struct batch *batch = fixture_batch(world->fixture);
    uint64_t told = 0;
    assert_true(log_trim(batch, (int64_t)index + 1, before));
    batch = fixture_commit(world->fixture, batch);
    for (size_t i = 0; i < batch->progress_count; i++) {
        assert_int_equal(batch->progress[i].dropped_bytes, 0);
        told += batch->progress[i].trimmed_bytes;
    }
    batch_free(batch);
    return told;
}

static void a_trim_is_exact_to_the_record_and_the_byte(void **state)
{
    struct world world;
    struct db_error error;
    uint64_t first[PROCESSES] = { 1, 1, 1 }, told[PROCESSES] = { 0 };
    world_begin(&world, state, 9);
    for (int round = 0; round < 60; round++) {
        random_batch(&world);
        if (round % 9 == 8)
            merge_everything(&world);
        if (round % 7 == 6)
            restart(&world);
        for (size_t index = 0; index < PROCESSES; index++) {
            uint64_t count = world.references[index]->log.count;
            uint64_t left = count + 1 - first[index];
            uint64_t before = first[index] + below(left + 1) / (1 + below(20));
            before += below(40) == 0 ? left : 0;
            told[index] += trim(&world, index, before);
            before = before > count + 1 ? count + 1 : before;
            first[index] = before > first[index] ? before : first[index];
            check_trimmed(&world, index, first[index]);
            struct log_progress totals;
            assert_int_equal(log_totals(world.fixture->reader, (int64_t)index + 1, &totals, &error),
                             SQLITE_OK);
            assert_int_equal(totals.trimmed_bytes, told[index]);
        }
    }
    check_total(&world);
    world_end(&world);
}

/* A gap of both streams completes up to three records with one segment. */
static void a_trim_between_the_records_of_one_gap_keeps_the_later_ones(void **state)
{
    struct db_fixture *fixture = *state;
    for (int64_t process = 1; process <= 4; process++) {
        struct batch *batch = fixture_batch(fixture);
        log_append(batch, process, 0, LOG_STDOUT, 10, "out", 3, 0);
        log_append(batch, process, 0, LOG_STDERR, 20, "err", 3, 0);
        log_gap(batch, process, 0, (enum log_stream)0, 30, 5, LOG_GAP_KEEPER_LOST);
        log_append(batch, process, 0, LOG_STDERR, 40, "end\n", 4, 0);
        log_trim(batch, process, (uint64_t)process);
        batch_free(fixture_commit(fixture, batch));
        static const char *const texts[] = { "out", "err", "", "end" };
        struct stored_log got = { 0 };
        read_log(fixture->reader, query_all(process), &got);
        size_t gap = process > 1;
        assert_int_equal(got.count, gap + 5 - (size_t)process);
        for (size_t i = gap; i < got.count; i++) {
            const struct log_record *record = &got.records[i].record;
            assert_int_equal(record->seq, (uint64_t)process + i - gap);
            assert_int_equal(record->bytes, strlen(texts[record->seq - 1]));
            assert_memory_equal(record->data, texts[record->seq - 1], record->bytes);
        }
        stored_clear(&got);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(a_small_limit_keeps_the_newest_bytes),
        TEST(a_larger_limit_keeps_the_newest_bytes),
        TEST(a_trim_is_exact_to_the_record_and_the_byte),
        TEST(a_trim_between_the_records_of_one_gap_keeps_the_later_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
