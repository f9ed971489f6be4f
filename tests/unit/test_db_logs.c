/*
 * The logs against a reference that splits byte by byte: whatever is written in whatever pieces, over
 * whatever restarts and merges, the same records and the same raw bytes are read back.
 */
#include "db_log_world.h"

static void what_is_written_in_pieces_is_read_back_as_lines(void **state)
{
    struct world world;
    world_begin(&world, state, 1);
    for (int i = 0; i < 30; i++) {
        random_batch(&world);
        if (i % 5 == 0)
            check_all(&world);
    }
    check_all(&world);
    check_total(&world);
    world_end(&world);
}

static void a_restart_after_every_batch_changes_nothing(void **state)
{
    struct world world;
    world_begin(&world, state, 2);
    for (int i = 0; i < 25; i++) {
        random_batch(&world);
        restart(&world);
    }
    check_all(&world);
    check_total(&world);
    world_end(&world);
}

static void merging_keeps_numbers_times_and_bytes(void **state)
{
    struct world world;
    world_begin(&world, state, 3);
    for (int i = 0; i < 60; i++) {
        random_batch(&world);
        if (i % 12 == 11)
            merge_everything(&world);
    }
    check_all(&world);
    check_total(&world);
    world_end(&world);
}

static void every_query_answers_as_a_filter_over_all_records_would(void **state)
{
    struct world world;
    char why[120];
    struct pattern *grep = pattern_compile("a+b", 3, why, sizeof why);
    assert_non_null(grep);
    world_begin(&world, state, 4);
    for (int i = 0; i < 25; i++)
        random_batch(&world);
    for (int i = 0; i < 150; i++) {
        size_t index = below(PROCESSES);
        check_query(&world, index, random_query(&world, index, grep));
    }
    pattern_free(grep);
    world_end(&world);
}

/* ---- raw ---- */

static void raw_bytes_come_exactly_as_written_also_while_following(void **state)
{
    struct world world;
    struct raw_bytes raws[PROCESSES] = { 0 };
    struct log_query queries[PROCESSES];
    world_begin(&world, state, 5);
    for (int i = 0; i < PROCESSES; i++) {
        queries[i] = query_all(i + 1);
        queries[i].max_bytes = i == 0 ? 1000 : i == 1 ? 70000 : 0;
    }
    for (int round = 0; round < 20; round++) {
        random_batch(&world);
        if (round % 6 == 5)
            merge_everything(&world);
        for (int i = 0; i < PROCESSES; i++)
            read_raw(world.fixture->reader, &queries[i], &raws[i]);
    }
    for (int i = 0; i < PROCESSES; i++) {
        for (int s = 0; s < 2; s++) {
            assert_int_equal(raws[i].bytes[s], world.references[i]->raw_bytes[s]);
            if (raws[i].bytes[s])
                assert_memory_equal(raws[i].data[s], world.references[i]->raw[s], raws[i].bytes[s]);
        }
        free_raw(&raws[i]);
    }
    world_end(&world);
}

/* What raw gives for bounds by number: the text of those records, and what is open where no end is. */
static void raw_bounds_cut_at_the_borders_of_records(void **state)
{
    struct world world;
    world_begin(&world, state, 6);
    for (int i = 0; i < 12; i++)
        random_batch(&world);
    for (int round = 0; round < 60; round++) {
        size_t index = below(PROCESSES);
        struct reference *reference = world.references[index];
        struct log_query query = query_all((int64_t)index + 1);
        struct raw_bytes raw = { 0 };
        uint64_t after = query.after = below(reference->log.count + 1);
        if (below(2))
            query.before = after + 1 + below(reference->log.count + 1 - after);
        uint64_t before = query.before ? query.before : UINT64_MAX;
        query.max_bytes = 1 + below(200000);
        read_raw(world.fixture->reader, &query, &raw);
        size_t offset[2] = { 0, 0 };
        for (size_t i = 0; i < reference->log.count; i++) {
            const struct log_record *record = &reference->log.records[i].record;
            if (record->seq <= after || record->seq >= before || record->gap)
                continue;
            size_t s = record->stream - 1u, bytes = record->bytes + record->newline;
            assert_true(offset[s] + bytes <= raw.bytes[s]);
            assert_memory_equal(raw.data[s] + offset[s], record->data, bytes);
            offset[s] += bytes;
        }
        for (size_t s = 0; s < 2; s++) {
            size_t open = query.before ? 0 : reference->open_bytes[s];
            assert_int_equal(raw.bytes[s], offset[s] + open);
        }
        free_raw(&raw);
    }
    world_end(&world);
}

/* ---- a child that writes byte by byte ---- */

static void a_long_line_that_grows_slowly_is_stored_about_once(void **state)
{
    struct db_fixture *fixture = *state;
    enum { BYTES = 3000 };
    struct reference *reference = reference_new();
    for (int i = 0; i < BYTES; i++) {
        struct batch *batch = fixture_batch(fixture);
        for (int k = 0; k < 20; k++) {
            assert_true(log_append(batch, 1, 0, LOG_STDOUT, 1000 + i, "x", 1, 0));
            reference_data(reference, 1, 1000 + i, "x", 1);
        }
        if (i % 50 == 0) {
            static char other[5000];
            memset(other, 'y', sizeof other);
            other[4999] = i % 100 ? '\n' : 'z';
            assert_true(log_append(batch, 1, 0, LOG_STDERR, 1000 + i, other, sizeof other, 0));
            reference_data(reference, 2, 1000 + i, other, sizeof other);
        }
        batch_free(fixture_commit(fixture, batch));
        if (i % 500 == 499) {
            fixture_close(fixture);
            fixture_open(fixture);
        }
    }
    int64_t stored = number(fixture->reader, DB_LOGS, "SELECT sum(length(carry) + data_bytes) FROM chunk");
    int64_t written = (int64_t)(reference->raw_bytes[0] + reference->raw_bytes[1]);
    if (stored >= written * 2)
        fail_msg("%ld bytes take %ld", (long)written, (long)stored);
    struct stored_log got = { 0 };
    read_log(fixture->reader, query_all(1), &got);
    assert_int_equal(got.count, reference->log.count);
    for (size_t i = 0; i < got.count; i++)
        assert_same_record(&got.records[i].record, &reference->log.records[i].record);
    stored_clear(&got);
    reference_free(reference);
}

/* Readers have a word for each reason, and none for others. */
static void a_gap_of_an_unknown_reason_is_damage(void **state)
{
    for (uint64_t reason = 0; reason <= LOG_GAP_REASONS; reason++) {
        uint64_t payload[2] = { 1, reason };
        struct log_segment gap = { .kind = LOG_GAP, .at_us = 5, .data = (const char *)payload,
                                   .bytes = sizeof payload };
        struct log_bytes bytes = { 0 };
        struct log_segments walk;
        struct log_segment read;
        assert_true(log_bytes_put(&bytes, &gap));
        log_segments_begin(&walk, bytes.data, bytes.bytes);
        bool known = reason > LOG_GAP_NONE && reason < LOG_GAP_REASONS;
        assert_int_equal(log_segment_next(&walk, &read), known ? 1 : -1);
        log_bytes_free(&bytes);
    }
}

static void lines_exactly_as_long_as_the_limit_are_not_cut(void **state)
{
    struct db_fixture *fixture = *state;
    char *line = malloc(3 * LOG_LINE_BYTES);
    memset(line, 'a', 3 * LOG_LINE_BYTES);
    struct batch *batch = fixture_batch(fixture);
    line[LOG_LINE_BYTES] = '\n';
    log_append(batch, 1, 0, LOG_STDOUT, 1, line, LOG_LINE_BYTES + 1, 0);
    log_append(batch, 1, 0, LOG_STDOUT, 2, line, LOG_LINE_BYTES, 0);
    log_append(batch, 1, 0, LOG_STDOUT, 3, "b\n", 2, 0);
    batch_free(fixture_commit(fixture, batch));
    struct stored_log got = { 0 };
    read_log(fixture->reader, query_all(1), &got);
    assert_int_equal(got.count, 3);
    assert_int_equal(got.records[0].record.bytes, LOG_LINE_BYTES);
    assert_false(got.records[0].record.partial);
    assert_int_equal(got.records[1].record.bytes, LOG_LINE_BYTES);
    assert_true(got.records[1].record.partial);
    assert_int_equal(got.records[1].record.at_us, 3);
    assert_int_equal(got.records[2].record.bytes, 1);
    stored_clear(&got);
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        TEST(what_is_written_in_pieces_is_read_back_as_lines),
        TEST(a_restart_after_every_batch_changes_nothing),
        TEST(merging_keeps_numbers_times_and_bytes),
        TEST(every_query_answers_as_a_filter_over_all_records_would),
        TEST(raw_bytes_come_exactly_as_written_also_while_following),
        TEST(raw_bounds_cut_at_the_borders_of_records),
        TEST(a_long_line_that_grows_slowly_is_stored_about_once),
        TEST(a_gap_of_an_unknown_reason_is_damage),
        TEST(lines_exactly_as_long_as_the_limit_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
