/*
 * Reading raw: the bytes as they came, in order of arrival, also of lines that are still open.
 *
 * The cursor is a byte offset per stream (log_query.raw_stdout, raw_stderr), so a piece may end
 * anywhere and both streams may stand at different lines. Its `after` is no bound any more once
 * begun: it says from which chunk to look, a number of records that is certainly not too large.
 */
#include <string.h>

#include "db/log_scan.h"

struct raw {
    struct log_scan *scan;
    uint64_t seen[2];            /* bytes of each stream that are passed */
    uint64_t end[2];             /* and where to stop */
    size_t left;                 /* bytes that may still be delivered */
    bool stopped;
    struct log_place place;      /* of the segment at hand */
};

/* ---- the offsets that belong to a record number ---- */

struct locating {
    struct log_splitter splitter;
    uint64_t seq;
    uint64_t line_start[2];      /* where the lines open behind record `seq` begin */
};

static bool locate_record(void *context, const struct log_record *record)
{
    struct locating *locating = context;
    if (record->seq < locating->seq) {
        return true;
    }
    locating->line_start[0] = locating->splitter.lines[0].start;
    locating->line_start[1] = locating->splitter.lines[1].start;
    return false;
}

/* Where, in each stream, the first byte lies that belongs to no record ≤ seq. */
static int locate(struct log_scan *scan, uint64_t seq, uint64_t out[2])
{
    for (int i = 0; i < 2; i++) {
        out[i] = scan->first.total[i] - scan->first.open[i];
    }
    struct log_chunk chunk;
    if (seq < scan->first.next_seq) {
        return SQLITE_OK;
    }
    int code = log_chunk_find(scan->db, scan->query->process, seq, &chunk);
    if (code != SQLITE_ROW) {
        return code == SQLITE_DONE ? SQLITE_OK : code;
    }
    struct locating locating = { .seq = seq };
    locating.splitter.record = locate_record;
    locating.splitter.context = &locating;
    code = log_scan_begin(scan, &locating.splitter, &chunk);
    if (code == SQLITE_OK) {
        code = log_scan_feed(scan, &locating.splitter, &chunk);
    }
    memcpy(out, locating.line_start, sizeof locating.line_start);
    log_splitter_end(&locating.splitter);
    return code;
}

/* ---- the first record at or after a time ---- */

struct timing {
    struct log_splitter splitter;
    int64_t at_us;
    uint64_t after, found;
};

static bool time_record(void *context, const struct log_record *record)
{
    struct timing *timing = context;
    if (record->seq <= timing->after || record->at_us < timing->at_us) {
        return true;
    }
    timing->found = record->seq;
    return false;
}

/* *seq: the first record > after whose time is ≥ at_us, or last_seq + 1. */
static int first_since(struct log_scan *scan, uint64_t after, int64_t at_us, uint64_t *seq)
{
    struct timing timing = { .at_us = at_us, .after = after };
    timing.splitter.record = time_record;
    timing.splitter.context = &timing;
    struct log_chunk chunk, next;
    int code = log_scan_chunk(scan, after, &chunk);
    while (code == SQLITE_ROW && !timing.found) {
        if (chunk.last_at_us >= at_us) {
            code = log_scan_begin(scan, &timing.splitter, &chunk);
            if (code == SQLITE_OK) {
                code = log_scan_feed(scan, &timing.splitter, &chunk);
            }
            if (code != SQLITE_OK) {
                break;
            }
        }
        next = chunk;
        code = log_chunk_next(scan->db, &next, at_us, INT64_MAX, &chunk);
    }
    *seq = timing.found ? timing.found : scan->last_seq + 1;
    log_splitter_end(&timing.splitter);
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

/* ---- where to begin and end ---- */

static int find_begin(struct raw *raw, bool *pending)
{
    struct log_scan *scan = raw->scan;
    const struct log_query *query = scan->query;
    uint64_t after = query->after < scan->last_seq ? query->after : scan->last_seq;
    int code = query->tail ? log_tail_find(scan, &after, pending) : SQLITE_OK;
    if (code == SQLITE_OK && !*pending && query->since_us) {
        uint64_t first;
        code = first_since(scan, after, query->since_us, &first);
        after = first - 1 > after ? first - 1 : after;
    }
    scan->result->next_after = after;
    return code == SQLITE_OK ? locate(scan, after, raw->seen) : code;
}

static int find_end(struct raw *raw)
{
    struct log_scan *scan = raw->scan;
    const struct log_query *query = scan->query;
    uint64_t before = query->before ? query->before : UINT64_MAX;
    memcpy(raw->end, scan->total, sizeof raw->end);
    if (query->until_us) {
        uint64_t first;
        int code = first_since(scan, 0, query->until_us, &first);
        if (code != SQLITE_OK) {
            return code;
        }
        before = first < before ? first : before;
    }
    if (before == UINT64_MAX) {
        return SQLITE_OK;
    }
    return locate(scan, before - 1 < scan->last_seq ? before - 1 : scan->last_seq, raw->end);
}

/* ---- delivering ---- */

static bool is_wanted(const struct raw *raw, unsigned stream)
{
    return raw->scan->query->streams >> stream & 1;
}

/* A piece of a stream that begins at `offset`; what was seen or lies behind the end is cut off. */
static void deliver(struct raw *raw, unsigned stream, uint64_t offset, int64_t at_us,
                    const char *data, size_t bytes)
{
    unsigned index = stream - 1;
    uint64_t from = raw->seen[index] > offset ? raw->seen[index] - offset : 0;
    uint64_t to = raw->end[index] < offset + bytes ? raw->end[index] : offset + bytes;
    if (from >= bytes || offset + from >= to) {
        return;
    }
    if (offset > raw->seen[index] && is_wanted(raw, stream) && raw->scan->query->whole) {
        raw->scan->result->hole = raw->stopped = true;
        return;
    }
    size_t length = (size_t)(to - offset - from);
    if (is_wanted(raw, stream)) {
        length = length > raw->left ? raw->left : length;
        struct log_record piece = { .stream = (enum log_stream)stream, .at_us = at_us,
                                    .data = data + from, .bytes = length };
        bool go_on = raw->scan->record(raw->scan->context, &piece);
        raw->left -= length;
        raw->stopped = !go_on || raw->left == 0;
    }
    raw->seen[index] = offset + from + length;
}

static int deliver_chunk(void *context, const char *carry, const void *data, size_t bytes)
{
    (void)carry;
    struct raw *raw = context;
    struct log_segments walk;
    struct log_segment segment;
    int more = 0;
    raw->scan->scanned += bytes;
    log_segments_begin(&walk, data, bytes);
    while (!raw->stopped && (more = log_segment_next(&walk, &segment)) == 1) {
        if (segment.kind != LOG_DATA) {
            continue;
        }
        deliver(raw, segment.stream, raw->place.total[segment.stream - 1], segment.at_us,
                segment.data, segment.bytes);
        raw->place.total[segment.stream - 1] += segment.bytes;
    }
    return more < 0 ? SQLITE_CORRUPT : SQLITE_OK;
}

static bool starts_unseen(const struct raw *raw, const struct log_place *place)
{
    for (unsigned i = 0; i < 2; i++) {
        if (is_wanted(raw, i + 1) && raw->seen[i] < place->total[i] && place->open[i]) {
            return true;
        }
    }
    return false;
}

/* The bytes of the lines that are open at a place. */
static void deliver_open(struct raw *raw, const struct log_place *place, int64_t at_us,
                         const char *bytes)
{
    for (unsigned i = 0; i < 2 && !raw->stopped; i++) {
        uint32_t open = place->open[i];
        if (!open) {
            continue;
        }
        deliver(raw, i + 1, place->total[i] - open, at_us, bytes, open);
        bytes += open;
    }
}

static int deliver_carry(struct raw *raw, const struct log_chunk *chunk)
{
    struct log_carry carry = { 0 };
    if (!starts_unseen(raw, &chunk->start)) {
        return SQLITE_OK;
    }
    int code = log_carry_load(raw->scan->db, chunk, &carry);
    if (code == SQLITE_OK) {
        deliver_open(raw, &chunk->start, chunk->first_at_us, carry.data);
    }
    log_carry_free(&carry);
    return code;
}

/* All chunks are gone, but lines that began in them are open still. */
static int deliver_start(struct raw *raw)
{
    struct log_start start;
    int code = log_start_get(raw->scan->db, raw->scan->query->process, &start);
    if (code == SQLITE_OK && start.carry.known && starts_unseen(raw, &start.place)) {
        deliver_open(raw, &start.place, start.at_us, start.carry.data);
    }
    log_start_free(&start);
    return code;
}

/* Chunks in which no record completes have the same number: the first with unseen bytes is
   wanted. */
static int first_chunk(struct raw *raw, struct log_chunk *chunk)
{
    struct log_scan *scan = raw->scan;
    int code = log_scan_chunk(scan, scan->result->next_after, chunk);
    while (code == SQLITE_ROW && starts_unseen(raw, &chunk->start)) {
        struct log_chunk previous;
        code = log_chunk_previous(scan->db, chunk, &previous);
        if (code != SQLITE_ROW || previous.start.next_seq != chunk->start.next_seq) {
            return code == SQLITE_DONE ? SQLITE_ROW : code;
        }
        *chunk = previous;
    }
    return code;
}

static int deliver_all(struct raw *raw)
{
    struct log_scan *scan = raw->scan;
    struct log_chunk chunk;
    int code = first_chunk(raw, &chunk);
    if (code == SQLITE_DONE) {
        return deliver_start(raw);
    }
    if (code == SQLITE_ROW) {
        int carried = deliver_carry(raw, &chunk);
        code = carried == SQLITE_OK ? code : carried;
    }
    while (code == SQLITE_ROW) {
        scan->result->next_after = chunk.start.next_seq - 1;
        raw->place = chunk.start;
        if (!raw->stopped) {
            code = log_chunk_bytes(scan->db, &chunk, deliver_chunk, raw);
        }
        raw->stopped = raw->stopped || log_scan_is_over(scan);
        if (raw->stopped || (code != SQLITE_OK && code != SQLITE_ROW)) {
            break;
        }
        struct log_chunk at = chunk;
        code = log_chunk_next(scan->db, &at, INT64_MIN, INT64_MAX, &chunk);
    }
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

static bool has_more(const struct raw *raw)
{
    for (unsigned i = 0; i < 2; i++) {
        if (is_wanted(raw, i + 1) && raw->seen[i] < raw->end[i]) {
            return true;
        }
    }
    return false;
}

int log_raw_read(struct log_scan *scan)
{
    const struct log_query *query = scan->query;
    struct log_result *result = scan->result;
    size_t left = query->max_bytes ? query->max_bytes : SIZE_MAX;
    struct raw raw = { .scan = scan, .left = left,
                       .seen = { query->raw_stdout, query->raw_stderr } };
    bool pending = false;
    result->next_after = query->after;
    int code = query->begun ? SQLITE_OK : find_begin(&raw, &pending);
    if (code == SQLITE_OK && !pending) {
        code = find_end(&raw);
    }
    if (code == SQLITE_OK && !pending) {
        code = deliver_all(&raw);
    }
    result->more = pending || (raw.stopped && has_more(&raw));
    result->next_begun = !pending;
    result->next_raw_stdout = raw.seen[0];
    result->next_raw_stderr = raw.seen[1];
    return code;
}
