/*
 * Carries: the bytes of the lines that are open at a chunk's start (see log_chunk.h).
 *
 * At a chunk's end so many bytes of each stream are open; they are the last ones of the stream:
 * found by walking the chunk's segment heads and, where the chunk has fewer, in the carry it began
 * with.
 */
#include "db/log_chunk.h"

#include <stdlib.h>
#include <string.h>

#include "db/statement.h"

void log_carry_free(struct log_carry *carry)
{
    free(carry->data);
    memset(carry, 0, sizeof *carry);
}

int log_carry_set(struct log_carry *carry, const uint32_t open[2], const char *data)
{
    size_t bytes = (size_t)open[0] + open[1];
    if (bytes > carry->capacity) {
        char *grown = realloc(carry->data, bytes);
        if (!grown) {
            return SQLITE_NOMEM;
        }
        carry->data = grown;
        carry->capacity = bytes;
    }
    if (bytes) {
        memcpy(carry->data, data, bytes);
    }
    carry->open[0] = open[0];
    carry->open[1] = open[1];
    carry->known = true;
    return SQLITE_OK;
}

/* Copies the last `want` bytes of the stream in this chunk, of which it has `have`. */
static void copy_last(const void *data, size_t bytes, unsigned stream, uint64_t have, size_t want,
                      char *out)
{
    struct log_segments walk;
    struct log_segment segment;
    uint64_t skip = have - want;
    log_segments_begin(&walk, data, bytes);
    while (want && log_segment_next(&walk, &segment) == 1) {
        if (segment.kind != LOG_DATA || segment.stream != stream) {
            continue;
        }
        if (skip >= segment.bytes) {
            skip -= segment.bytes;
            continue;
        }
        memcpy(out, segment.data + skip, segment.bytes - skip);
        out += segment.bytes - skip;
        want -= segment.bytes - skip;
        skip = 0;
    }
}

int log_carry_advance(struct log_carry *carry, const struct log_place *start, const void *data,
                      size_t bytes, const struct log_place *end)
{
    size_t total = log_open_bytes(end), filled = 0;
    char *out = malloc(total + 1);
    if (!out) {
        return SQLITE_NOMEM;
    }
    bool known = true;
    const char *old = carry->data;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t have = end->total[i] - start->total[i];
        size_t inside = end->open[i] < have ? end->open[i] : (size_t)have;
        size_t before = end->open[i] - inside; /* the chunk adds to a line it began with */
        if (before && carry->known && old) {
            memcpy(out + filled, old + start->open[i] - before, before);
        }
        known = known && (before == 0 || carry->known);
        copy_last(data, bytes, i + 1, have, inside, out + filled + before);
        filled += end->open[i];
        old = carry->known && old ? old + start->open[i] : old;
    }
    free(carry->data);
    *carry = (struct log_carry){ .data = out, .open = { end->open[0], end->open[1] },
                                 .capacity = total + 1, .known = known };
    return SQLITE_OK;
}

/* ---- loading ---- */

struct loading {
    struct log_carry *carry;
    struct log_place place;   /* the carry is of here */
};

static int take_carry(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)data, (void)bytes;
    struct loading *loading = context;
    return log_carry_set(loading->carry, loading->place.open, carry);
}

static int advance_over(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)carry;
    struct loading *loading = context;
    struct log_place end = loading->place;
    struct log_segments walk;
    struct log_segment segment;
    int more;
    log_segments_begin(&walk, data, bytes);
    while ((more = log_segment_next(&walk, &segment)) == 1) {
        log_place_pass(&end, &segment);
    }
    if (more < 0) {
        return SQLITE_CORRUPT;
    }
    int code = log_carry_advance(loading->carry, &loading->place, data, bytes, &end);
    loading->place = end;
    return code;
}

/* The nearest chunk at or before `chunk` from which the bytes can be put together: a key chunk, or
   the first one, whose carry log_start has. */
static int find_key(struct db *db, const struct log_chunk *chunk, struct log_chunk *key)
{
    *key = *chunk;
    while (!log_chunk_is_key(key)) {
        struct log_chunk previous;
        int code = log_chunk_previous(db, key, &previous);
        if (code != SQLITE_ROW) {
            return code == SQLITE_DONE ? SQLITE_OK : code;
        }
        *key = previous;
    }
    return SQLITE_OK;
}

static int key_carry(struct db *db, const struct log_chunk *key, struct loading *loading)
{
    if (log_open_bytes(&key->start) == 0) {
        return log_carry_set(loading->carry, key->start.open, "");
    }
    if (log_chunk_is_key(key)) {
        return log_chunk_bytes(db, key, take_carry, loading);
    }
    struct log_start start;
    int code = log_start_get(db, key->process, &start);
    bool same = start.carry.known && memcmp(&start.place, &key->start, sizeof start.place) == 0;
    if (code == SQLITE_OK) {
        code = same ? log_carry_set(loading->carry, key->start.open, start.carry.data)
                    : SQLITE_CORRUPT;
    }
    log_start_free(&start);
    return code;
}

int log_carry_load(struct db *db, const struct log_chunk *chunk, struct log_carry *out)
{
    struct log_chunk at;
    int code = find_key(db, chunk, &at);
    struct loading loading = { .carry = out, .place = at.start };
    if (code == SQLITE_OK) {
        code = key_carry(db, &at, &loading);
    }
    while (code == SQLITE_OK && at.id != chunk->id) {
        code = log_chunk_bytes(db, &at, advance_over, &loading);
        struct log_chunk next;
        if (code == SQLITE_OK) {
            code = log_chunk_next(db, &at, INT64_MIN, INT64_MAX, &next);
            code = code == SQLITE_ROW ? SQLITE_OK : code == SQLITE_DONE ? SQLITE_CORRUPT : code;
            at = next;
        }
    }
    return code;
}

int log_carry_load_end(struct db *db, const struct log_chunk *chunk, struct log_carry *out)
{
    struct loading loading = { .carry = out, .place = chunk->start };
    int code = log_carry_load(db, chunk, out);
    return code == SQLITE_OK ? log_chunk_bytes(db, chunk, advance_over, &loading) : code;
}
