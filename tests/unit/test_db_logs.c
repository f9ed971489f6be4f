/*
 * The logs against a reference that splits byte by byte: whatever is written in whatever pieces, over
 * whatever restarts, merges and deletions, the same records are read back.
 */
#include "db_harness.h"

#include "db/log_store.h"

#define PROCESSES 3

static uint64_t seed_state;

static uint64_t next_random(void)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state;
}

static size_t below(size_t limit)
{
    return (size_t)(next_random() % limit);
}

static size_t random_length(void)
{
    static const size_t typical[] = { 1, 1, 3, 40, 700, 5000, 65535, 65536, 65538, 200000 };
    size_t choice = below(40);
    return choice < 10 ? typical[choice] : 1 + below(120);
}

/* Lines from empty to longer than LOG_LINE_BYTES, now and then whole runs without a newline. */
static void random_bytes(char *out, size_t bytes)
{
    size_t wide = below(2);
    size_t every = below(3) == 0 && bytes < 5000 ? 3 : below(4) == 0 ? SIZE_MAX : 60;
    for (size_t i = 0; i < bytes; i++)
        out[i] = every != SIZE_MAX && below(every) == 0 ? '\n' : (char)(wide && below(3) != 0 ? 0x80 + below(64) : 'a' + below(26));
}

struct world {
    struct db_fixture *fixture;
    struct reference *references[PROCESSES];
    int64_t clock_us;
    uint64_t max_bytes;
    char *memory[64];       /* what the batch points to: the spool would hold it */
    size_t held;
};

static void random_operation(struct world *world, struct batch *batch)
{
    size_t index = below(PROCESSES);
    struct reference *reference = world->references[index];
    int64_t process = (int64_t)index + 1;
    int stream = 1 + (int)below(2);
    uint64_t position = ++world->fixture->position;
    world->clock_us += below(20) == 0 ? -(int64_t)below(1000) : (int64_t)below(100000);
    if (below(300) == 0)
        world->clock_us += 6000000000; /* longer than a segment's time can tell */
    size_t choice = below(30);
    if (choice == 0) {
        assert_true(log_close_stream(batch, process, position, (enum log_stream)stream,
                                     world->clock_us));
        reference_close(reference, stream, world->clock_us);
    } else if (choice == 1) {
        stream = (int)below(3);
        assert_true(log_gap(batch, process, position, (enum log_stream)stream, world->clock_us, 77,
                            LOG_GAP_DROP_NEWEST));
        reference_gap(reference, stream, world->clock_us, 77, LOG_GAP_DROP_NEWEST);
    } else {
        size_t bytes = random_length();
        char *data = world->memory[world->held++] = malloc(bytes);
        random_bytes(data, bytes);
        assert_true(log_append(batch, process, position, (enum log_stream)stream, world->clock_us,
                               data, bytes, world->max_bytes));
        reference_data(reference, stream, world->clock_us, data, bytes);
    }
}

static void random_batch(struct world *world)
{
    struct batch *batch = fixture_batch(world->fixture);
    size_t operations = 1 + below(60);
    world->held = 0;
    for (size_t i = 0; i < operations; i++)
        random_operation(world, batch);
    batch->position.position = world->fixture->position;
    batch = fixture_commit(world->fixture, batch);
    for (size_t i = 0; i < batch->progress_count; i++) {
        const struct log_progress *progress = &batch->progress[i];
        const struct reference *reference = world->references[progress->process - 1];
        assert_int_equal(progress->last_seq, reference->next_seq - 1);
        assert_int_equal(progress->stdout_bytes, reference->raw_bytes[0]);
        assert_int_equal(progress->stderr_bytes, reference->raw_bytes[1]);
    }
    batch_free(batch);
    for (size_t i = 0; i < world->held; i++)
        free(world->memory[i]);
}

static void world_begin(struct world *world, void **state, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    seed_state = seed * 0x9e3779b97f4a7c15u + 1;
    world->fixture = *state;
    world->clock_us = 1700000000000000;
    for (int i = 0; i < PROCESSES; i++)
        world->references[i] = reference_new();
}

static void world_end(struct world *world)
{
    for (int i = 0; i < PROCESSES; i++)
        reference_free(world->references[i]);
}

static bool passes(const struct log_query *query, const struct log_record *record)
{
    return record->seq > query->after && (!query->before || record->seq < query->before) &&
           (!record->stream || query->streams >> record->stream & 1) &&
           (!query->since_us || record->at_us >= query->since_us) &&
           (!query->until_us || record->at_us < query->until_us) &&
           (!query->grep || record->gap || memmem(record->data, record->bytes, "ab", 2));
}

/* The reference's answer to a query. */
static void check_query(struct world *world, size_t index, struct log_query query)
{
    const struct stored_log *all = &world->references[index]->log;
    struct stored_log got = { 0 };
    uint64_t skip = 0, matches = 0;
    query.process = (int64_t)index + 1;
    for (size_t i = 0; i < all->count; i++)
        matches += passes(&query, &all->records[i].record);
    if (query.tail && matches > query.tail)
        skip = matches - query.tail;
    read_log(world->fixture->reader, query, &got);
    size_t at = 0;
    for (size_t i = 0; i < all->count; i++) {
        const struct log_record *want = &all->records[i].record;
        if (!passes(&query, want) || (skip && skip--))
            continue;
        if (at >= got.count)
            fail_msg("record %lu is missing", (unsigned long)want->seq);
        assert_same_record(&got.records[at++].record, want);
    }
    assert_int_equal(at, got.count);
    stored_clear(&got);
}

static void check_all(struct world *world)
{
    for (size_t i = 0; i < PROCESSES; i++)
        check_query(world, i, query_all(0));
}

static struct log_query random_query(struct world *world, size_t index,
                                     const struct pattern *grep)
{
    const struct stored_log *all = &world->references[index]->log;
    uint64_t last = all->count;
    struct log_query query = query_all(0);
    if (below(2))
        query.streams = 1u << (1 + below(2));
    if (below(2))
        query.after = below(last + 2);
    if (below(2))
        query.before = 1 + below(last + 3);
    if (below(2))
        query.tail = 1 + below(below(2) ? 10 : last + 5);
    if (below(3) == 0 && last)
        query.since_us = all->records[below(last)].record.at_us;
    if (below(3) == 0 && last)
        query.until_us = all->records[below(last)].record.at_us;
    if (below(3) == 0)
        query.grep = grep;
    if (below(2))
        query.max_records = 1 + below(2000);
    if (below(2))
        query.max_bytes = 1 + below(100000);
    if (below(2))
        query.max_scan_bytes = 1 + below(100000);
    return query;
}

static void restart(struct world *world)
{
    fixture_close(world->fixture);
    fixture_open(world->fixture);
}

/* With the writer away: what its upkeep does when it has time. */
static void merge_everything(struct world *world)
{
    struct db_error error;
    int code;
    fixture_close(world->fixture);
    struct db *db = db_open(world->fixture->dir, &error);
    assert_non_null(db);
    struct log_store *store = log_store_new(db, &code);
    assert_non_null(store);
    for (int64_t process = 1; process <= PROCESSES; process++) {
        size_t chunk_bytes = world->max_bytes ? world->max_bytes / 8 : LOG_CHUNK_BYTES;
        struct log_merge merge = { .process = process, .chunk_bytes = chunk_bytes };
        do {
            assert_int_equal(sqlite3_exec(db_handle(db, DB_LOGS), "BEGIN", 0, 0, 0), SQLITE_OK);
            assert_int_equal(log_merge_rows(store, &merge, 80), SQLITE_OK);
            assert_int_equal(log_store_flush(store), SQLITE_OK);
            assert_int_equal(sqlite3_exec(db_handle(db, DB_LOGS), "COMMIT", 0, 0, 0), SQLITE_OK);
            log_store_committed(store, NULL);
        } while (merge.after_id);
    }
    log_store_free(store);
    db_close(db);
    fixture_open(world->fixture);
}

static int64_t query_int(struct db *db, const char *sql)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db_handle(db, DB_LOGS), sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static void check_total(struct world *world)
{
    int64_t rows = query_int(world->fixture->reader,
                             "SELECT ifnull(sum(length(carry) + length(data) + 64), 0) FROM chunk");
    int64_t total = query_int(world->fixture->reader,
                              "SELECT ifnull((SELECT value FROM meta WHERE key='log_bytes'), 0)");
    assert_int_equal(rows, total);
}

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

struct raw_bytes {
    char *data[2];
    size_t bytes[2];
};

static bool take_raw(void *context, const struct log_record *piece)
{
    struct raw_bytes *raw = context;
    unsigned index = piece->stream - 1u;
    raw->data[index] = realloc(raw->data[index], raw->bytes[index] + piece->bytes);
    memcpy(raw->data[index] + raw->bytes[index], piece->data, piece->bytes);
    raw->bytes[index] += piece->bytes;
    return true;
}

static void read_raw(struct db *reader, struct log_query *query, struct raw_bytes *raw)
{
    struct log_result result;
    struct db_error error;
    query->raw = true;
    do {
        assert_int_equal(log_read(reader, query, take_raw, raw, &result, &error), SQLITE_OK);
        log_query_advance(query, &result);
    } while (result.more);
}

static void free_raw(struct raw_bytes *raw)
{
    free(raw->data[0]);
    free(raw->data[1]);
}

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

/* ---- deleting from the old end ---- */

static void check_after_deletion(struct world *world, size_t index)
{
    struct stored_log got = { 0 };
    const struct stored_log *all = &world->references[index]->log;
    read_log(world->fixture->reader, query_all((int64_t)index + 1), &got);
    size_t at = 0;
    if (got.count && got.records[0].record.gap == LOG_GAP_DROP_OLDEST) {
        at = (size_t)got.records[0].record.seq;
        assert_int_equal(got.records[0].record.gap_records, at);
    }
    for (size_t i = at ? 1 : 0; i < got.count; i++)
        assert_same_record(&got.records[i].record, &all->records[at++].record);
    assert_int_equal(at, all->count);
    stored_clear(&got);
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
            assert_true(totals.stored_bytes <= max_bytes + (chunk < LOG_CHUNK_BYTES ? chunk
                                                            : LOG_CHUNK_BYTES * 9 / 8) * 2);
            assert_true(totals.stored_bytes >= (written < max_bytes ? written : max_bytes));
            assert_int_equal(totals.stored_bytes + totals.dropped_bytes, written);
            check_after_deletion(&world, index);
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
    query.max_records = 1 + below(3000);
    read_log(world->fixture->reader, query, &got);
    size_t at = first - 1;
    if (at) {
        assert_true(got.count > 0);
        assert_int_equal(got.records[0].record.gap, LOG_GAP_TRIMMED);
        assert_int_equal(got.records[0].record.seq, at);
        assert_int_equal(got.records[0].record.gap_records, at);
        assert_int_equal(got.records[0].record.at_us > 0, 1);
    }
    for (size_t i = at ? 1 : 0; i < got.count; i++)
        assert_same_record(&got.records[i].record, &all->records[at++].record);
    assert_int_equal(at, all->count);
    stored_clear(&got);
    check_raw_from(world, index, first);
    assert_int_equal(log_totals(world->fixture->reader, (int64_t)index + 1, &totals, &error), SQLITE_OK);
    assert_int_equal(totals.first_seq, first);
    assert_int_equal(totals.dropped_bytes, 0);
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
    int64_t stored = query_int(fixture->reader, "SELECT sum(length(carry) + length(data)) FROM chunk");
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
        TEST(a_small_limit_keeps_the_newest_bytes),
        TEST(a_larger_limit_keeps_the_newest_bytes),
        TEST(a_trim_is_exact_to_the_record_and_the_byte),
        TEST(a_trim_between_the_records_of_one_gap_keeps_the_later_ones),
        TEST(a_long_line_that_grows_slowly_is_stored_about_once),
        TEST(a_gap_of_an_unknown_reason_is_damage),
        TEST(lines_exactly_as_long_as_the_limit_are_not_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
