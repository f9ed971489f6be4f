/*
 * The bytes of a chunk, and the one splitter that turns them into records.
 *
 * A chunk is a sequence of segments. A segment is 8 bytes of head (little endian) and its payload:
 *
 *     uint32  payload bytes << 8 | kind << 4 | stream     uint32  microseconds since the last clock
 *
 *   clock  payload: int64 wall clock in microseconds; the times of what follows count from there,
 *          each from the one before it. Every chunk begins with one, so chunks can be joined by
 *          concatenation.
 *   data   payload: output bytes of `stream` (1 stdout, 2 stderr).
 *   close  the stream has ended; an open line becomes a record.
 *   gap    payload: uint64 lost bytes, uint64 enum log_gap_reason. `stream` 0: both. Open lines
 *          become partial records, then the gap is a record of its own.
 *
 * A data segment in which no record completes may be lengthened by later bytes of its stream: a
 * record's time is that of its last byte, so nothing is lost, and a child that writes byte by byte
 * costs one byte a byte.
 *
 * Where a line is cut: at its newline, or when a byte that is no newline comes behind
 * LOG_LINE_BYTES bytes and does not continue a UTF-8 character; it may do so for three bytes more.
 * This depends on the stream's bytes alone, never on segment or chunk
 * borders.
 */
#ifndef FORKFUL_DB_LOG_FORMAT_H
#define FORKFUL_DB_LOG_FORMAT_H

#include "db/logs.h"

enum log_segment_kind { LOG_CLOCK = 0, LOG_DATA, LOG_CLOSE, LOG_GAP, LOG_SEGMENT_KINDS };

#define LOG_HEAD_BYTES 8u
#define LOG_CLOCK_BYTES (LOG_HEAD_BYTES + 8u)
#define LOG_GAP_PAYLOAD_BYTES 16u
#define LOG_SEGMENT_BYTES ((1u << 24) - 1) /* the longest payload */

/* How many of these bytes still belong to a line that has `open` ≥ LOG_LINE_BYTES bytes before
   them, because they continue a UTF-8 character. */
static inline size_t log_line_tail(size_t open, const char *data, size_t bytes)
{
    size_t tail = 0;
    while (tail < bytes && open + tail < LOG_LINE_MOST &&
           ((unsigned char)data[tail] & 0xc0) == 0x80) {
        tail++;
    }
    return tail;
}

/* A point between two segments: what the splitter must know to go on from there. */
struct log_place {
    uint64_t next_seq;       /* the number that the next record gets */
    uint64_t total[2];       /* bytes of stdout and stderr before this point */
    uint32_t open[2];        /* of these, bytes of an incomplete line; ≤ LOG_LINE_MOST */
};

struct log_segment {
    enum log_segment_kind kind;
    unsigned stream;         /* enum log_stream; 0 where none is meant */
    int64_t at_us;
    const char *data;        /* the payload */
    size_t bytes;
};

/* ---- reading segments ---- */

struct log_segments {        /* a walk over a chunk's bytes */
    const char *at, *end;
    int64_t clock_us;
};

void log_segments_begin(struct log_segments *walk, const void *data, size_t bytes);
/* 1: *out is the next (clocks are taken in on the way); 0: the end; -1: the bytes are damaged. */
int log_segment_next(struct log_segments *walk, struct log_segment *out);

/* Moves the place over a segment; returns how many records complete in it. No per-line work. */
uint64_t log_place_pass(struct log_place *place, const struct log_segment *segment);

/* ---- writing segments ---- */

struct log_bytes {           /* a chunk being built */
    char *data;
    size_t bytes, capacity;
    int64_t clock_us;
    size_t last;             /* offset of the last segment's head */
    bool extendable;         /* it is data and no record completes in it */
};

/* Appends a segment (and a clock where one is needed). False: out of memory, nothing has
   changed. */
bool log_bytes_put(struct log_bytes *to, const struct log_segment *segment);
/* Makes room, so that `bytes` more can be put without another allocation. */
bool log_bytes_reserve(struct log_bytes *to, size_t bytes);
/* Forgets the content, keeps the memory. */
void log_bytes_clear(struct log_bytes *to);
void log_bytes_free(struct log_bytes *to);

/* ---- splitting into records ---- */

struct log_line {            /* the open line of one stream */
    char *data;
    size_t bytes, capacity;
    uint64_t start;          /* offset in its stream of the line's first byte */
};

struct log_splitter {
    struct log_line lines[2];
    uint64_t offset[2];      /* in each stream, of the next byte; in the callback: behind the record */
    uint64_t next_seq;
    uint64_t record_start;   /* in the callback: offset of the record's first byte in its stream */
    /* A false ends the feeding: the splitter is then of no more use. */
    bool (*record)(void *context, const struct log_record *record);
    void *context;
    bool stopped, no_memory;
};

/* Starts at `place` with the bytes of its open lines, stdout's before stderr's. False: out of
   memory. */
bool log_splitter_begin(struct log_splitter *splitter, const struct log_place *place,
                        const char *carry);
/* Feeds a chunk. False: stopped by the callback, out of memory, or (neither flag set) damaged. */
bool log_splitter_feed(struct log_splitter *splitter, const void *data, size_t bytes);
void log_splitter_end(struct log_splitter *splitter);

#endif
