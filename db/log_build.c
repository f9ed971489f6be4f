/*
 * How output becomes chunks: the chunk being built, and its row.
 *
 * A process's output is copied once, from the spool into the chunk being built, and goes to SQLite
 * when the chunk is full or the batch ends. A child that says little now and then would leave a row
 * per batch; so a last row that is still short is read back and built on. What must be known about
 * the lines open at the end is their length; their bytes are kept only while they are few.
 */
#include "db/log_store.h"

#include <stdlib.h>
#include <string.h>

#define KEPT_CARRY_BYTES 1024u
#define SPARE_BYTES (4u * LOG_CHUNK_BYTES)
#define SMALLEST_TARGET 64u

uint64_t log_chunk_target(const struct log_appender *appender)
{
    uint64_t target = LOG_CHUNK_BYTES;
    if (appender->max_bytes && appender->max_bytes / 8 < target) {
        target = appender->max_bytes / 8;
    }
    return target < SMALLEST_TARGET ? SMALLEST_TARGET : target;
}

static uint64_t chunk_output(const struct log_chunk *chunk)
{
    return chunk->bytes[0] + chunk->bytes[1];
}

static bool chunk_is_full(const struct log_appender *appender)
{
    return chunk_output(&appender->chunk) >= log_chunk_target(appender) ||
           appender->bytes.bytes >= LOG_CHUNK_BYTES;
}

/* Takes the content of the stored last row back in, to build on it. */
static int take_back(void *context, const char *carry, const void *data, size_t bytes)
{
    struct log_appender *appender = context;
    struct log_place place = appender->chunk.start;
    struct log_segments walk;
    struct log_segment segment;
    int more;
    if (!log_bytes_reserve(&appender->bytes, bytes)) {
        return SQLITE_NOMEM;
    }
    memcpy(appender->bytes.data, data, bytes);
    appender->bytes.bytes = bytes;
    log_segments_begin(&walk, appender->bytes.data, bytes);
    while ((more = log_segment_next(&walk, &segment)) == 1) {
        bool completes = log_place_pass(&place, &segment) > 0;
        appender->bytes.last = (size_t)(segment.data - LOG_HEAD_BYTES - appender->bytes.data);
        appender->bytes.extendable = segment.kind == LOG_DATA && !completes;
    }
    appender->bytes.clock_us = walk.clock_us;
    appender->carry.known = false;
    if (more < 0) {
        return SQLITE_CORRUPT;
    }
    return log_chunk_is_key(&appender->chunk)
               ? log_carry_set(&appender->carry, appender->chunk.start.open, carry)
               : SQLITE_OK;
}

/* The bytes open at the end of the last stored chunk, when they were not kept. */
static int load_end_carry(struct log_store *store, struct log_appender *appender)
{
    if (appender->chunk.id) {
        return log_carry_load_end(store->db, &appender->chunk, &appender->carry);
    }
    struct log_start start;
    int code = log_start_get(store->db, appender->process, &start);
    if (code == SQLITE_OK) {
        code = start.carry.known
                   ? log_carry_set(&appender->carry, start.place.open, start.carry.data)
                   : SQLITE_CORRUPT;
    }
    log_start_free(&start);
    return code;
}

static int begin_new_chunk(struct log_store *store, struct log_appender *appender)
{
    struct log_chunk *chunk = &appender->chunk;
    if (chunk->id) {
        appender->unkeyed = (log_chunk_is_key(chunk) ? 0 : appender->unkeyed) + chunk->data_bytes;
    }
    size_t open = log_open_bytes(&appender->end);
    bool key = appender->unkeyed >= (uint64_t)LOG_KEY_FACTOR * open;
    int code = SQLITE_OK;
    if (key && open && !appender->carry.known) {
        code = load_end_carry(store, appender);
    }
    if (code != SQLITE_OK) {
        return code;
    }
    *chunk = (struct log_chunk){
        .process = appender->process, .start = appender->end, .carry_bytes = key ? open : 0,
        .first_at_us = INT64_MAX, .last_at_us = INT64_MIN,
    };
    appender->row_stored = 0;
    return SQLITE_OK;
}

static int begin_chunk(struct log_store *store, struct log_appender *appender)
{
    if (!appender->bytes.data) {
        appender->bytes = store->spare;
        store->spare = (struct log_bytes){ 0 };
    }
    log_bytes_clear(&appender->bytes);
    const struct log_chunk *chunk = &appender->chunk;
    bool go_on = chunk->id && chunk->data_bytes < LOG_SMALL_BYTES &&
                 chunk_output(chunk) < log_chunk_target(appender);
    int code = go_on ? log_chunk_bytes(store->db, chunk, take_back, appender)
                     : begin_new_chunk(store, appender);
    appender->building = code == SQLITE_OK;
    return code;
}

int log_store_close_chunk(struct log_store *store, struct log_appender *appender)
{
    if (!appender->building) {
        return SQLITE_OK;
    }
    struct log_chunk *chunk = &appender->chunk;
    const char *carry = chunk->carry_bytes ? appender->carry.data : NULL;
    chunk->data_bytes = appender->bytes.bytes;
    int code = chunk->id ? log_chunk_update(store->db, chunk, carry, appender->bytes.data)
                         : log_chunk_insert(store->db, chunk, carry, appender->bytes.data);
    if (code == SQLITE_OK) {
        code = log_carry_advance(&appender->carry, &chunk->start, appender->bytes.data,
                                 appender->bytes.bytes, &appender->end);
    }
    if (code != SQLITE_OK) {
        return code;
    }
    log_store_count(store, log_chunk_stored(chunk), appender->row_stored);
    if (appender->row_stored == 0 && chunk_output(chunk) < log_chunk_target(appender) / 2) {
        appender->small_rows++;
    }
    appender->row_stored = log_chunk_stored(chunk);
    appender->building = false;
    return appender->max_bytes ? log_drop_oldest(store, appender) : SQLITE_OK;
}

/* Between chunks: one chunk's memory is kept for the next one, of the carry what is short. */
static void give_back(struct log_store *store, struct log_appender *appender)
{
    if (log_open_bytes(&appender->end) > KEPT_CARRY_BYTES) {
        log_carry_free(&appender->carry);
    }
    if (!store->spare.data && appender->bytes.capacity <= SPARE_BYTES) {
        store->spare = appender->bytes;
        appender->bytes = (struct log_bytes){ 0 };
    }
    log_bytes_free(&appender->bytes);
}

int log_store_close_all(struct log_store *store)
{
    int code = SQLITE_OK;
    for (struct log_appender *at = store->touched; at && code == SQLITE_OK; at = at->next_touched) {
        code = log_store_close_chunk(store, at);
        give_back(store, at);
    }
    store->buffered = 0;
    return code;
}

static int put_piece(struct log_store *store, struct log_appender *appender,
                     const struct log_segment *piece)
{
    struct log_chunk *chunk = &appender->chunk;
    if (!log_bytes_put(&appender->bytes, piece)) {
        return SQLITE_NOMEM;
    }
    uint64_t records = log_place_pass(&appender->end, piece);
    appender->bytes.extendable = piece->kind == LOG_DATA && records == 0;
    chunk->records += records;
    if (piece->kind == LOG_DATA) {
        chunk->bytes[piece->stream - 1] += piece->bytes;
    }
    if (piece->at_us < chunk->first_at_us) {
        chunk->first_at_us = piece->at_us;
    }
    if (piece->at_us > chunk->last_at_us) {
        chunk->last_at_us = piece->at_us;
    }
    store->buffered += piece->bytes;
    return chunk_is_full(appender) ? log_store_close_chunk(store, appender) : SQLITE_OK;
}

int log_store_put(struct log_store *store, struct log_appender *appender,
                  const struct log_segment *segment)
{
    struct log_segment piece = *segment;
    size_t left = segment->bytes;
    int code = SQLITE_OK;
    do {
        if (!appender->building && (code = begin_chunk(store, appender)) != SQLITE_OK) {
            return code;
        }
        uint64_t room = log_chunk_target(appender) - chunk_output(&appender->chunk);
        piece.bytes = segment->kind == LOG_DATA && left > room ? (size_t)room : left;
        if ((code = put_piece(store, appender, &piece)) != SQLITE_OK) {
            return code;
        }
        piece.data += piece.bytes;
        left -= piece.bytes;
    } while (left);
    return store->buffered > LOG_BUFFERED_BYTES ? log_store_close_all(store) : SQLITE_OK;
}
