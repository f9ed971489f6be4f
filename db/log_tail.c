/*
 * Finding the last N records that match: backwards, chunk by chunk, and then once more over the one
 * chunk in which the first of them lies.
 *
 * Without a filter nothing need be read: records are numbered without holes.
 */
#include "db/log_scan.h"

struct counting {
    struct log_scan *scan;
    struct log_splitter splitter;
    uint64_t after, before;      /* bounds of seq */
    uint64_t matches;
    uint64_t wanted;             /* second pass: the match of this number, from 1 */
    uint64_t found_seq;
};

static bool count_match(void *context, const struct log_record *record)
{
    struct counting *counting = context;
    if (record->seq <= counting->after) {
        return true;
    }
    if (record->seq >= counting->before) {
        return false;
    }
    if (!log_scan_matches(counting->scan, record)) {
        return true;
    }
    counting->found_seq = record->seq;
    return ++counting->matches != counting->wanted;
}

static int count_in(struct log_scan *scan, const struct log_chunk *chunk, struct counting *counting)
{
    int code = log_scan_begin(scan, &counting->splitter, chunk);
    return code == SQLITE_OK ? log_scan_feed(scan, &counting->splitter, chunk) : code;
}

static bool unfiltered(const struct log_query *query)
{
    const unsigned both = 1u << LOG_STDOUT | 1u << LOG_STDERR;
    return (query->streams & both) == both && !query->since_us && !query->until_us && !query->grep;
}

/* Chunks whose times are out of bounds need not be read. */
static bool may_match(const struct log_query *query, const struct log_chunk *chunk)
{
    return chunk->records > 0 && (!query->since_us || chunk->last_at_us >= query->since_us) &&
           (!query->until_us || chunk->first_at_us < query->until_us);
}

struct tail_search {
    uint64_t lowest;      /* records up to here are not asked for */
    uint64_t before;
    uint64_t found;       /* matches in the chunks behind the one at hand */
    uint64_t start;       /* the result: first record of the tail; 0: not found yet */
};

static int search_chunk(struct log_scan *scan, const struct log_chunk *chunk,
                        struct tail_search *search)
{
    uint64_t tail = scan->query->tail;
    struct counting counting = { .scan = scan, .after = search->lowest, .before = search->before };
    counting.splitter.record = count_match;
    counting.splitter.context = &counting;
    int code = count_in(scan, chunk, &counting);
    if (code == SQLITE_OK && search->found + counting.matches >= tail) {
        counting.wanted = counting.matches - (tail - search->found) + 1;
        counting.matches = 0;
        code = count_in(scan, chunk, &counting);
        search->start = counting.found_seq;
    }
    search->found += counting.matches;
    log_splitter_end(&counting.splitter);
    return code;
}

static int search_backwards(struct log_scan *scan, struct tail_search *search, bool *pending)
{
    struct log_chunk chunk;
    int code = log_chunk_find(scan->db, scan->query->process, search->before - 1, &chunk);
    while (code == SQLITE_ROW) {
        if (chunk.start.next_seq + chunk.records <= search->lowest + 1) {
            break;
        }
        if (may_match(scan->query, &chunk)) {
            code = search_chunk(scan, &chunk, search);
            if (code != SQLITE_OK || search->start) {
                return code;
            }
            if (log_scan_is_over(scan)) {
                *pending = true;
                scan->result->next_tail_before = chunk.start.next_seq;
                scan->result->next_tail_found = search->found;
                return SQLITE_OK;
            }
        }
        struct log_chunk at = chunk;
        code = log_chunk_previous(scan->db, &at, &chunk);
    }
    return code == SQLITE_ROW || code == SQLITE_DONE ? SQLITE_OK : code;
}

int log_tail_find(struct log_scan *scan, uint64_t *after, bool *pending)
{
    const struct log_query *query = scan->query;
    uint64_t end = scan->last_seq + 1; /* behind the last record asked for */
    if (query->before && query->before < end) {
        end = query->before;
    }
    if (query->tail_before && query->tail_before < end) {
        end = query->tail_before;
    }
    *pending = false;
    if (unfiltered(query)) {
        uint64_t start = end > query->tail ? end - query->tail : 1;
        *after = start - 1 > query->after ? start - 1 : query->after;
        return SQLITE_OK;
    }
    struct tail_search search = { .lowest = query->after, .before = end,
                                  .found = query->tail_found };
    int code = end > 1 ? search_backwards(scan, &search, pending) : SQLITE_OK;
    if (search.start) {
        *after = search.start - 1;
    }
    return code;
}
