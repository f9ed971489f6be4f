/*
 * The splitter: chunks in, records out.
 *
 * A record that lies within one segment is delivered where it lies; only a line that goes on from
 * an earlier segment is put together in its stream's buffer. log_place_pass (log_format.c) counts
 * the same records without looking at each: the tests hold the two against each other.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "db/log_format.h"

static bool line_append(struct log_line *line, const char *data, size_t bytes)
{
    if (line->bytes + bytes > line->capacity) {
        size_t capacity = line->capacity ? line->capacity : 256;
        while (capacity < line->bytes + bytes) {
            capacity *= 2;
        }
        char *grown = realloc(line->data, capacity);
        if (!grown) {
            return false;
        }
        line->data = grown;
        line->capacity = capacity;
    }
    if (bytes) {
        memcpy(line->data + line->bytes, data, bytes);
    }
    line->bytes += bytes;
    return true;
}

bool log_splitter_begin(struct log_splitter *splitter, const struct log_place *place,
                        const char *carry)
{
    splitter->next_seq = place->next_seq;
    splitter->stopped = splitter->no_memory = false;
    for (int i = 0; i < 2; i++) {
        struct log_line *line = &splitter->lines[i];
        line->bytes = 0;
        line->start = place->total[i] - place->open[i];
        splitter->offset[i] = place->total[i];
        if (!line_append(line, carry, place->open[i])) {
            return false;
        }
        carry += place->open[i];
    }
    return true;
}

void log_splitter_end(struct log_splitter *splitter)
{
    free(splitter->lines[0].data);
    free(splitter->lines[1].data);
    memset(splitter->lines, 0, sizeof splitter->lines);
}

static bool deliver(struct log_splitter *splitter, struct log_record *record, uint64_t start)
{
    record->seq = splitter->next_seq++;
    splitter->record_start = start;
    if (splitter->record(splitter->context, record)) {
        return true;
    }
    splitter->stopped = true;
    return false;
}

/* `bytes` more of `data` complete the stream's line; `rest` of them (a newline) are not its
   text. */
static bool complete(struct log_splitter *splitter, const struct log_segment *segment,
                     const char *data, size_t bytes, struct log_record *record)
{
    unsigned index = record->stream - 1u;
    struct log_line *line = &splitter->lines[index];
    record->at_us = segment->at_us;
    record->data = data;
    record->bytes = bytes;
    if (line->bytes) {
        if (!line_append(line, data, bytes)) {
            splitter->no_memory = true;
            return false;
        }
        record->data = line->data;
        record->bytes = line->bytes;
    }
    record->bytes -= record->newline;
    uint64_t start = line->start;
    splitter->offset[index] += bytes;
    line->bytes = 0;
    line->start = splitter->offset[index];
    return deliver(splitter, record, start);
}

static bool keep_open(struct log_splitter *splitter, unsigned index, const char *data, size_t bytes)
{
    splitter->offset[index] += bytes;
    splitter->no_memory = !line_append(&splitter->lines[index], data, bytes);
    return !splitter->no_memory;
}

static bool split_data(struct log_splitter *splitter, const struct log_segment *segment)
{
    const char *at = segment->data, *end = at + segment->bytes;
    unsigned index = segment->stream - 1;
    while (at < end) {
        size_t left = (size_t)(end - at);
        size_t open = splitter->lines[index].bytes;
        size_t room = open < LOG_LINE_BYTES ? LOG_LINE_BYTES - open : 0;
        if (left > room) {
            room += log_line_tail(open + room, at + room, left - room);
        }
        const char *newline = memchr(at, '\n', left < room + 1 ? left : room + 1);
        if (!newline && left <= room) {
            return keep_open(splitter, index, at, left);
        }
        size_t taken = newline ? (size_t)(newline - at) + 1 : room;
        struct log_record record = { .stream = (enum log_stream)segment->stream,
                                     .newline = newline != NULL, .partial = !newline };
        if (!complete(splitter, segment, at, taken, &record)) {
            return false;
        }
        at += taken;
    }
    return true;
}

static bool close_line(struct log_splitter *splitter, const struct log_segment *segment,
                       enum log_stream stream, bool partial)
{
    if (!splitter->lines[stream - 1].bytes) {
        return true;
    }
    struct log_record record = { .stream = stream, .partial = partial };
    return complete(splitter, segment, "", 0, &record);
}

static bool split_gap(struct log_splitter *splitter, const struct log_segment *segment)
{
    for (unsigned stream = LOG_STDOUT; stream <= LOG_STDERR; stream++) {
        if ((segment->stream == 0 || segment->stream == stream) &&
            !close_line(splitter, segment, (enum log_stream)stream, true)) {
            return false;
        }
    }
    uint64_t payload[2];
    memcpy(payload, segment->data, sizeof payload);
    struct log_record record = {
        .at_us = segment->at_us, .stream = (enum log_stream)segment->stream, .data = "",
        .gap = (enum log_gap_reason)le64toh(payload[1]), .gap_bytes = le64toh(payload[0]),
    };
    return deliver(splitter, &record, splitter->offset[segment->stream == LOG_STDERR]);
}

bool log_splitter_feed(struct log_splitter *splitter, const void *data, size_t bytes)
{
    struct log_segments walk;
    struct log_segment segment;
    int more;
    log_segments_begin(&walk, data, bytes);
    while ((more = log_segment_next(&walk, &segment)) == 1) {
        bool fine = segment.kind == LOG_DATA ? split_data(splitter, &segment)
                    : segment.kind == LOG_GAP ? split_gap(splitter, &segment)
                    : close_line(splitter, &segment, (enum log_stream)segment.stream, false);
        if (!fine) {
            return false;
        }
    }
    return more == 0;
}
