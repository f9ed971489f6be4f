/*
 * Segments: read, written, counted. The format is described in the header.
 *
 * log_place_pass is on the writer's hot path: it looks for newlines with memrchr and counts them
 * with vector operations, a whole segment at a time. log_split.c has the splitter that delivers the
 * same records one by one.
 */
#include "db/log_format.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static uint32_t load_u32(const char *at)
{
    uint32_t value;
    memcpy(&value, at, sizeof value);
    return le32toh(value);
}

static void store_u32(char *at, uint32_t value)
{
    value = htole32(value);
    memcpy(at, &value, sizeof value);
}

/* ---- reading ---- */

void log_segments_begin(struct log_segments *walk, const void *data, size_t bytes)
{
    walk->at = data;
    walk->end = walk->at + bytes;
    walk->clock_us = 0;
}

static uint64_t load_u64(const char *at)
{
    uint64_t value;
    memcpy(&value, at, sizeof value);
    return le64toh(value);
}

static bool gap_is_sound(const struct log_segment *segment)
{
    if (segment->bytes != LOG_GAP_PAYLOAD_BYTES || segment->stream > LOG_STDERR) {
        return false;
    }
    uint64_t reason = load_u64(segment->data + 8);
    return reason > LOG_GAP_NONE && reason < LOG_GAP_REASONS;
}

static bool segment_is_sound(const struct log_segment *segment)
{
    switch (segment->kind) {
    case LOG_CLOCK: return segment->bytes == 8;
    case LOG_DATA: return segment->stream == LOG_STDOUT || segment->stream == LOG_STDERR;
    case LOG_CLOSE: return segment->bytes == 0 && segment->stream >= 1 && segment->stream <= 2;
    case LOG_GAP: return gap_is_sound(segment);
    default: return false;
    }
}

static bool segment_parse(struct log_segments *walk, struct log_segment *out)
{
    size_t left = (size_t)(walk->end - walk->at);
    if (left < LOG_HEAD_BYTES) {
        return false;
    }
    uint32_t head = load_u32(walk->at);
    out->kind = (enum log_segment_kind)(head >> 4 & 15);
    out->stream = head & 15;
    out->bytes = head >> 8;
    out->data = walk->at + LOG_HEAD_BYTES;
    if (out->bytes > left - LOG_HEAD_BYTES || !segment_is_sound(out)) {
        return false;
    }
    walk->clock_us = (int64_t)((uint64_t)walk->clock_us + load_u32(walk->at + 4));
    out->at_us = walk->clock_us;
    walk->at = out->data + out->bytes;
    return true;
}

int log_segment_next(struct log_segments *walk, struct log_segment *out)
{
    while (walk->at < walk->end) {
        if (!segment_parse(walk, out)) {
            return -1;
        }
        if (out->kind != LOG_CLOCK) {
            return 1;
        }
        memcpy(&walk->clock_us, out->data, sizeof walk->clock_us);
        walk->clock_us = (int64_t)le64toh((uint64_t)walk->clock_us);
    }
    return 0;
}

/* ---- counting ---- */

#define LANES 16u /* what every x86-64 and aarch64 has; a wider type is taken to pieces */

/* Each byte lane of a vector counts up to 255 newlines, then the lanes are summed up. */
static uint64_t count_block(const char *data, size_t rounds)
{
    typedef unsigned char lanes __attribute__((vector_size(LANES)));
    lanes counts = { 0 };
    uint64_t total = 0;
    for (size_t i = 0; i < rounds; i++) {
        lanes bytes;
        memcpy(&bytes, data + i * LANES, LANES);
        counts -= (lanes)(bytes == '\n'); /* a lane that is equal is all ones: minus one */
    }
    for (size_t i = 0; i < LANES; i++) {
        total += counts[i];
    }
    return total;
}

static uint64_t count_newlines(const char *data, size_t bytes)
{
    uint64_t total = 0;
    while (bytes >= LANES) {
        size_t rounds = bytes / LANES < 255 ? bytes / LANES : 255;
        total += count_block(data, rounds);
        data += rounds * LANES;
        bytes -= rounds * LANES;
    }
    for (size_t i = 0; i < bytes; i++) {
        total += data[i] == '\n';
    }
    return total;
}

/* Lines end at newlines; only where more than LOG_LINE_BYTES could stand without one is it worth
   looking for the cut, in windows of that size. */
static uint64_t count_data(uint32_t *open, const char *data, size_t bytes)
{
    uint64_t records = 0;
    while (*open + bytes > LOG_LINE_BYTES) {
        size_t window = *open < LOG_LINE_BYTES ? LOG_LINE_BYTES - *open : 0;
        window += log_line_tail(*open + window, data + window, bytes - window);
        const char *newline = memrchr(data, '\n', window < bytes ? window + 1 : bytes);
        if (!newline && window == bytes) {
            break;
        }
        size_t taken = newline ? (size_t)(newline - data) + 1 : window;
        records += newline ? count_newlines(data, taken) : 1;
        data += taken;
        bytes -= taken;
        *open = 0;
    }
    const char *newline = bytes ? memrchr(data, '\n', bytes) : NULL;
    if (!newline) {
        *open += (uint32_t)bytes;
        return records;
    }
    size_t taken = (size_t)(newline - data) + 1;
    *open = (uint32_t)(bytes - taken);
    return records + count_newlines(data, taken);
}

static uint64_t close_line(uint32_t *open)
{
    uint64_t records = *open > 0;
    *open = 0;
    return records;
}

uint64_t log_place_pass(struct log_place *place, const struct log_segment *segment)
{
    uint64_t records = 0;
    unsigned index = segment->stream ? segment->stream - 1 : 0;
    if (segment->kind == LOG_DATA) {
        records = count_data(&place->open[index], segment->data, segment->bytes);
        place->total[index] += segment->bytes;
    } else if (segment->kind == LOG_CLOSE) {
        records = close_line(&place->open[index]);
    } else if (segment->kind == LOG_GAP) {
        records = 1 + close_line(&place->open[index]);
        if (segment->stream == 0) {
            records += close_line(&place->open[1]);
        }
    }
    place->next_seq += records;
    return records;
}

/* ---- writing ---- */

bool log_bytes_reserve(struct log_bytes *to, size_t bytes)
{
    size_t need = to->bytes + bytes;
    if (need <= to->capacity) {
        return true;
    }
    size_t capacity = to->capacity ? to->capacity : 1024;
    while (capacity < need) {
        capacity *= 2;
    }
    char *data = realloc(to->data, capacity);
    if (!data) {
        return false;
    }
    to->data = data;
    to->capacity = capacity;
    return true;
}

static void put_head(struct log_bytes *to, const struct log_segment *segment, uint32_t delta_us)
{
    char *head = to->data + to->bytes;
    store_u32(head, (uint32_t)segment->bytes << 8 | (uint32_t)segment->kind << 4 | segment->stream);
    store_u32(head + 4, delta_us);
    if (segment->bytes) {
        memcpy(head + LOG_HEAD_BYTES, segment->data, segment->bytes);
    }
    to->last = to->bytes;
    to->bytes += LOG_HEAD_BYTES + segment->bytes;
}

static void put_clock(struct log_bytes *to, int64_t at_us)
{
    uint64_t clock = htole64((uint64_t)at_us);
    struct log_segment segment = { .kind = LOG_CLOCK, .data = (const char *)&clock, .bytes = 8 };
    put_head(to, &segment, 0);
    to->clock_us = at_us;
}

static bool fits_delta(const struct log_bytes *to, int64_t at_us)
{
    return to->bytes && at_us >= to->clock_us &&
           (uint64_t)at_us - (uint64_t)to->clock_us <= UINT32_MAX;
}

/* Lengthens the last segment; its time becomes that of the new bytes. */
static bool extend(struct log_bytes *to, const struct log_segment *segment)
{
    char *head = to->data + to->last;
    uint32_t word = load_u32(head);
    uint64_t delta = load_u32(head + 4) + (uint64_t)(segment->at_us - to->clock_us);
    if ((word & 255) != ((uint32_t)LOG_DATA << 4 | segment->stream) || delta > UINT32_MAX ||
        (word >> 8) + segment->bytes > LOG_SEGMENT_BYTES) {
        return false;
    }
    store_u32(head, word + ((uint32_t)segment->bytes << 8));
    store_u32(head + 4, (uint32_t)delta);
    memcpy(to->data + to->bytes, segment->data, segment->bytes);
    to->bytes += segment->bytes;
    to->clock_us = segment->at_us;
    return true;
}

bool log_bytes_put(struct log_bytes *to, const struct log_segment *segment)
{
    if (segment->bytes > LOG_SEGMENT_BYTES ||
        !log_bytes_reserve(to, LOG_CLOCK_BYTES + LOG_HEAD_BYTES + segment->bytes)) {
        return false;
    }
    bool in_reach = fits_delta(to, segment->at_us);
    if (in_reach && to->extendable && segment->kind == LOG_DATA && extend(to, segment)) {
        return true;
    }
    if (!in_reach) {
        put_clock(to, segment->at_us);
    }
    put_head(to, segment, (uint32_t)(segment->at_us - to->clock_us));
    to->clock_us = segment->at_us;
    return true;
}

void log_bytes_clear(struct log_bytes *to)
{
    to->bytes = to->last = 0;
    to->clock_us = 0;
    to->extendable = false;
}

void log_bytes_free(struct log_bytes *to)
{
    free(to->data);
    memset(to, 0, sizeof *to);
}
