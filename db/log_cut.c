/*
 * Cutting a chunk: the records before a given one are taken out of it, to the byte.
 *
 * Records of the two streams lie in each other's bytes, so the cut is a point in the order of
 * arrival: right behind the byte with which the last record that goes completes. The bytes of the
 * other stream's open line that came before it belong to a record that stays; they become the
 * chunk's carry. The splitter stops at that point and knows all of this; the segments behind it are
 * kept as they are.
 */
#include <string.h>

#include "db/log_store.h"

struct cutting {
    struct log_chunk *chunk;        /* as stored, then as it is to be */
    uint64_t before_seq;
    int64_t at_us;                  /* of the last record that goes */
    struct log_place place;         /* the cut */
    struct log_splitter splitter;   /* stands at the cut; its lines are the carry */
    struct log_bytes bytes;         /* what is behind it */
    struct log_carry start_carry;   /* before the cut: at the chunk's start */
};

/* ---- finding the cut ---- */

static bool pass_record(void *context, const struct log_record *record)
{
    struct cutting *cutting = context;
    cutting->at_us = record->at_us;
    return record->seq + 1 < cutting->before_seq;
}

static int find_cut(struct cutting *cutting, const void *data, size_t bytes)
{
    struct log_splitter *splitter = &cutting->splitter;
    splitter->record = pass_record;
    splitter->context = cutting;
    if (!log_splitter_begin(splitter, &cutting->chunk->start,
                            cutting->start_carry.data ? cutting->start_carry.data : "")) {
        return SQLITE_NOMEM;
    }
    log_splitter_feed(splitter, data, bytes);
    if (!splitter->stopped) {
        return splitter->no_memory ? SQLITE_NOMEM : SQLITE_CORRUPT;
    }
    cutting->place.next_seq = cutting->before_seq;
    for (int i = 0; i < 2; i++) {
        cutting->place.total[i] = splitter->offset[i];
        cutting->place.open[i] = (uint32_t)splitter->lines[i].bytes;
    }
    return SQLITE_OK;
}

/* ---- what is behind it ---- */

/* Of the segment that the cut lies in: the bytes behind it; all of a gap of which records
   remain. */
static bool split_segment(const struct cutting *cutting, const struct log_place *before,
                          const struct log_place *behind, struct log_segment *segment)
{
    if (segment->kind != LOG_DATA) {
        return behind->next_seq > cutting->before_seq;
    }
    unsigned index = segment->stream - 1;
    size_t gone = (size_t)(cutting->place.total[index] - before->total[index]);
    segment->data += gone;
    segment->bytes -= gone;
    return segment->bytes > 0;
}

static bool keep_segment(struct cutting *cutting, const struct log_segment *segment)
{
    struct log_chunk *chunk = cutting->chunk;
    if (segment->at_us < chunk->first_at_us) {
        chunk->first_at_us = segment->at_us;
    }
    if (segment->at_us > chunk->last_at_us) {
        chunk->last_at_us = segment->at_us;
    }
    return log_bytes_put(&cutting->bytes, segment);
}

static int keep_rest(struct cutting *cutting, const void *data, size_t bytes)
{
    struct log_place place = cutting->chunk->start;
    struct log_segments walk;
    struct log_segment segment;
    cutting->chunk->first_at_us = INT64_MAX;
    cutting->chunk->last_at_us = INT64_MIN;
    log_segments_begin(&walk, data, bytes);
    while (log_segment_next(&walk, &segment) == 1) {
        struct log_place before = place;
        log_place_pass(&place, &segment);
        bool keep = before.next_seq >= cutting->before_seq ||
                    (place.next_seq >= cutting->before_seq &&
                     split_segment(cutting, &before, &place, &segment));
        if (keep && !keep_segment(cutting, &segment)) {
            return SQLITE_NOMEM;
        }
    }
    return SQLITE_OK;
}

static int cut_bytes(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)carry;
    struct cutting *cutting = context;
    int code = find_cut(cutting, data, bytes);
    return code == SQLITE_OK ? keep_rest(cutting, data, bytes) : code;
}

/* ---- the row ---- */

static int store_row(struct db *db, struct cutting *cutting)
{
    struct log_chunk *chunk = cutting->chunk;
    const struct log_place *place = &cutting->place;
    const struct log_line *lines = cutting->splitter.lines;
    struct log_bytes carry = { 0 };
    chunk->carry_bytes = log_open_bytes(place);
    if (!log_bytes_reserve(&carry, chunk->carry_bytes + 1)) {
        return SQLITE_NOMEM;
    }
    for (int i = 0; i < 2; i++) {
        chunk->bytes[i] -= place->total[i] - chunk->start.total[i];
        if (lines[i].bytes) {
            memcpy(carry.data + carry.bytes, lines[i].data, lines[i].bytes);
        }
        carry.bytes += lines[i].bytes;
    }
    chunk->records -= place->next_seq - chunk->start.next_seq;
    chunk->start = *place;
    chunk->data_bytes = cutting->bytes.bytes;
    int code = log_chunk_update(db, chunk, carry.data, cutting->bytes.data);
    log_bytes_free(&carry);
    return code;
}

int log_cut_chunk(struct db *db, struct log_chunk *chunk, uint64_t before_seq, int64_t *at_us)
{
    struct cutting cutting = { .chunk = chunk, .before_seq = before_seq };
    int code = log_carry_load(db, chunk, &cutting.start_carry);
    if (code == SQLITE_OK) {
        code = log_chunk_bytes(db, chunk, cut_bytes, &cutting);
    }
    if (code == SQLITE_OK) {
        code = store_row(db, &cutting);
    }
    *at_us = cutting.at_us;
    log_splitter_end(&cutting.splitter);
    log_bytes_free(&cutting.bytes);
    log_carry_free(&cutting.start_carry);
    return code;
}
