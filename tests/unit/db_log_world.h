/*
 * Three processes whose output is written in random pieces, and a reference that splits it byte by byte: what
 * the tests of the logs compare with. Random, but the same in each run.
 */
#ifndef FORKFUL_TESTS_DB_LOG_WORLD_H
#define FORKFUL_TESTS_DB_LOG_WORLD_H

#include "db_harness.h"

#include "db/log_store.h"

#define PROCESSES 3

static uint64_t seed_state;

static inline uint64_t next_random(void)
{
    seed_state ^= seed_state << 13;
    seed_state ^= seed_state >> 7;
    seed_state ^= seed_state << 17;
    return seed_state;
}

static inline size_t below(size_t limit)
{
    return (size_t)(next_random() % limit);
}

static inline size_t random_length(void)
{
    static const size_t typical[] = { 1, 1, 3, 40, 700, 5000, 65535, 65536, 65538, 200000 };
    size_t choice = below(40);
    return choice < 10 ? typical[choice] : 1 + below(120);
}

/* Lines from empty to longer than LOG_LINE_BYTES, now and then whole runs without a newline. */
static inline void random_bytes(char *out, size_t bytes)
{
    size_t wide = below(2), alike = below(2);
    size_t every = below(3) == 0 && bytes < 5000 ? 3 : below(4) == 0 ? SIZE_MAX : 60;
    for (size_t i = 0; i < bytes; i++)
        out[i] = every != SIZE_MAX && below(every) == 0 ? '\n'
                 : (char)(wide && below(3) != 0 ? 0x80 + below(64) : 'a' + (alike ? i % 26 : below(26)));
}

struct world {
    struct db_fixture *fixture;
    struct reference *references[PROCESSES];
    int64_t clock_us;
    uint64_t max_bytes;
    char *memory[64];       /* what the batch points to: the spool would hold it */
    size_t held;
};

static inline void random_operation(struct world *world, struct batch *batch)
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

static inline void random_batch(struct world *world)
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

static inline void world_begin(struct world *world, void **state, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    seed_state = seed * 0x9e3779b97f4a7c15u + 1;
    world->fixture = *state;
    world->clock_us = 1700000000000000;
    for (int i = 0; i < PROCESSES; i++)
        world->references[i] = reference_new();
}

static inline void world_end(struct world *world)
{
    for (int i = 0; i < PROCESSES; i++)
        reference_free(world->references[i]);
}

static inline bool passes(const struct log_query *query, const struct log_record *record)
{
    return record->seq > query->after && (!query->before || record->seq < query->before) &&
           (!record->stream || query->streams >> record->stream & 1) &&
           (!query->since_us || record->at_us >= query->since_us) &&
           (!query->until_us || record->at_us < query->until_us) &&
           (!query->grep || record->gap || memmem(record->data, record->bytes, "ab", 2));
}

/* The reference's answer to a query. */
static inline void check_query(struct world *world, size_t index, struct log_query query)
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

static inline void check_all(struct world *world)
{
    for (size_t i = 0; i < PROCESSES; i++)
        check_query(world, i, query_all(0));
}

static inline struct log_query random_query(struct world *world, size_t index,
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

static inline void restart(struct world *world)
{
    fixture_close(world->fixture);
    fixture_open(world->fixture);
}

/* With the writer away: what its upkeep does when it has time. */
static inline void merge_everything(struct world *world)
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

static inline void check_total(struct world *world)
{
    int64_t rows = number(world->fixture->reader, DB_LOGS,
                             "SELECT ifnull(sum(length(carry) + data_bytes + 64), 0) FROM chunk");
    int64_t total = number(world->fixture->reader, DB_LOGS,
                              "SELECT ifnull((SELECT value FROM meta WHERE key='log_bytes'), 0)");
    assert_int_equal(rows, total);
}

/* ---- raw ---- */

struct raw_bytes {
    char *data[2];
    size_t bytes[2];
};

static inline bool take_raw(void *context, const struct log_record *piece)
{
    struct raw_bytes *raw = context;
    unsigned index = piece->stream - 1u;
    raw->data[index] = realloc(raw->data[index], raw->bytes[index] + piece->bytes);
    memcpy(raw->data[index] + raw->bytes[index], piece->data, piece->bytes);
    raw->bytes[index] += piece->bytes;
    return true;
}

static inline void read_raw(struct db *reader, struct log_query *query, struct raw_bytes *raw)
{
    struct log_result result;
    struct db_error error;
    query->raw = true;
    do {
        assert_int_equal(log_read(reader, query, take_raw, raw, &result, &error), SQLITE_OK);
        log_query_advance(query, &result);
    } while (result.more);
}

static inline void free_raw(struct raw_bytes *raw)
{
    free(raw->data[0]);
    free(raw->data[1]);
}

#endif
