/*
 * Merging: neighbouring small chunks of a process become one.
 *
 * Segments are joined as they are, so no record's number, bytes or time changes. The new row takes
 * the place of the last of its group (the total limit goes by the order of ids, and what is new
 * must not look old). A running process's last row is left alone: its appender builds on it.
 */
#include <stdlib.h>
#include <string.h>

#include "db/log_store.h"

struct merging {
    struct log_store *store;
    size_t chunk_bytes;          /* of a full chunk */
    struct log_chunk chunk;      /* the group so far, with the last one's id; data_bytes 0: none */
    int64_t ids[LOG_MERGE_ROWS]; /* the rows it is made of */
    unsigned count;
    uint64_t stored;             /* what they take */
    struct log_bytes bytes;
    struct log_carry carry;      /* at the group's start */
};

static void begin_group(struct merging *merging)
{
    log_bytes_clear(&merging->bytes);
    log_carry_free(&merging->carry);
    merging->chunk = (struct log_chunk){ 0 };
    merging->count = 0;
    merging->stored = 0;
}

static int take_bytes(void *context, const char *carry, const void *data, size_t bytes)
{
    struct merging *merging = context;
    if (!log_bytes_reserve(&merging->bytes, bytes)) {
        return SQLITE_NOMEM;
    }
    memcpy(merging->bytes.data + merging->bytes.bytes, data, bytes);
    merging->bytes.bytes += bytes;
    if (merging->count == 0 && merging->chunk.carry_bytes) {
        return log_carry_set(&merging->carry, merging->chunk.start.open, carry);
    }
    return SQLITE_OK;
}

static int add_to_group(struct merging *merging, const struct log_chunk *row)
{
    struct log_chunk *chunk = &merging->chunk;
    if (merging->count == 0) {
        *chunk = *row;
    }
    int code = log_chunk_bytes(merging->store->db, row, take_bytes, merging);
    if (code != SQLITE_OK) {
        return code;
    }
    if (merging->count > 0) {
        chunk->records += row->records;
        chunk->bytes[0] += row->bytes[0];
        chunk->bytes[1] += row->bytes[1];
        chunk->first_at_us = row->first_at_us < chunk->first_at_us ? row->first_at_us
                                                                   : chunk->first_at_us;
        chunk->last_at_us = row->last_at_us > chunk->last_at_us ? row->last_at_us
                                                                : chunk->last_at_us;
        chunk->data_bytes += row->data_bytes;
        chunk->id = row->id;
    }
    merging->ids[merging->count++] = row->id;
    merging->stored += log_chunk_stored(row);
    return SQLITE_OK;
}

/* A group that begins with no key chunk becomes one where that costs little: the rows behind it
   may have relied on a key chunk that is inside the group now. */
static int group_carry(struct merging *merging)
{
    struct log_chunk first = merging->chunk;
    first.id = merging->ids[0];
    if (log_chunk_is_key(&first) || log_open_bytes(&first.start) > merging->bytes.bytes) {
        return SQLITE_OK;
    }
    int code = log_carry_load(merging->store->db, &first, &merging->carry);
    if (code == SQLITE_OK) {
        merging->chunk.carry_bytes = log_open_bytes(&first.start);
    }
    return code;
}

static int store_group(struct merging *merging)
{
    struct db *db = merging->store->db;
    if (merging->count < 2) {
        return SQLITE_OK;
    }
    int code = group_carry(merging);
    for (unsigned i = 0; i + 1 < merging->count && code == SQLITE_OK; i++) {
        code = log_chunk_delete(db, merging->ids[i]);
    }
    if (code == SQLITE_OK) {
        code = log_chunk_update(db, &merging->chunk, merging->carry.data, merging->bytes.data);
    }
    if (code == SQLITE_OK) {
        log_store_count(merging->store, log_chunk_stored(&merging->chunk), merging->stored);
    }
    return code;
}

/* A long row ends the group: what is joined must be neighbours. */
static int merge_row(struct merging *merging, const struct log_chunk *row)
{
    size_t full = merging->chunk_bytes;
    bool small = row->data_bytes <= full / 2;
    bool fits = merging->count < LOG_MERGE_ROWS &&
                merging->bytes.bytes + row->data_bytes <= full + full / 8;
    if (merging->count && (!small || !fits)) {
        int code = store_group(merging);
        begin_group(merging);
        if (code != SQLITE_OK) {
            return code;
        }
    }
    return small ? add_to_group(merging, row) : SQLITE_OK;
}

/* The end of what may be merged: the row that an appender builds on. */
static int64_t building_id(const struct log_store *store, int64_t process)
{
    const struct log_appender *at = store->slots[(uint64_t)process % LOG_STORE_SLOTS];
    while (at && at->process != process) {
        at = at->next;
    }
    return at ? at->chunk.id : 0;
}

int log_merge_rows(struct log_store *store, struct log_merge *merge, unsigned limit)
{
    struct merging merging = { .store = store, .chunk_bytes = merge->chunk_bytes };
    int64_t building = building_id(store, merge->process);
    struct log_chunk at = { .id = merge->after_id, .process = merge->process }, row;
    int code = SQLITE_OK;
    begin_group(&merging);
    merge->after_id = 0;
    while (code == SQLITE_OK) {
        code = log_chunk_next(store->db, &at, INT64_MIN, INT64_MAX, &row);
        if (code != SQLITE_ROW || row.id == building) {
            break;
        }
        if (limit-- == 0) {
            merge->after_id = merging.count ? merging.ids[0] - 1 : at.id;
            break;
        }
        code = merge_row(&merging, &row);
        at = row;
    }
    code = code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
    if (code == SQLITE_OK && !merge->after_id) {
        code = store_group(&merging);
    }
    log_bytes_free(&merging.bytes);
    log_carry_free(&merging.carry);
    return code;
}
