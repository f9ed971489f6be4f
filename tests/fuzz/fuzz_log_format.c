/*
 * Chunk bytes as a damaged file could hold them: the walk, the counter and the splitter must stop at
 * what is wrong, stay within the bytes, and agree on what is right.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "db/log_chunk.h"

static bool count_record(void *context, const struct log_record *record)
{
    uint64_t *records = context;
    volatile char last = record->bytes ? record->data[record->bytes - 1] : '\0';
    (void)last;
    ++*records;
    if (record->seq != *records || record->bytes > LOG_LINE_MOST)
        abort();
    return true;
}

/* Counts without looking at lines; false: damaged. */
static bool count_fast(struct log_place *place, const void *data, size_t bytes)
{
    struct log_segments walk;
    struct log_segment segment;
    int more;
    log_segments_begin(&walk, data, bytes);
    while ((more = log_segment_next(&walk, &segment)) == 1)
        log_place_pass(place, &segment);
    return more == 0;
}

static void check_carry(const struct log_splitter *splitter, const struct log_place *end,
                        const void *data, size_t bytes)
{
    struct log_place start = { .next_seq = 1 };
    struct log_carry carry = { .known = true };
    if (log_carry_advance(&carry, &start, data, bytes, end) != SQLITE_OK)
        abort();
    const char *at = carry.data;
    for (int i = 0; i < 2; i++) {
        const struct log_line *line = &splitter->lines[i];
        if (line->bytes != end->open[i] || memcmp(at, line->data, line->bytes) != 0)
            abort();
        at += line->bytes;
    }
    log_carry_free(&carry);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    uint64_t records = 0;
    struct log_place place = { .next_seq = 1 }, end = place;
    struct log_splitter splitter = { .record = count_record, .context = &records };
    bool sound = count_fast(&end, data, bytes);
    if (!log_splitter_begin(&splitter, &place, ""))
        abort();
    if (log_splitter_feed(&splitter, data, bytes) != sound)
        abort();
    if (records + 1 != end.next_seq)
        abort();
    if (sound && splitter.lines[0].data && splitter.lines[1].data)
        check_carry(&splitter, &end, data, bytes);
    log_splitter_end(&splitter);
    return 0;
}
