/*
 * The rows of logs.db: chunks, and where a log begins after its oldest chunks were deleted.
 *
 * A chunk is a piece of one process's output (log_format.h). `start` is the place before its first
 * segment. The chunks of a process are in order of id as well as of start.
 *
 * `carry` holds the bytes of the lines open at the start (stdout's, then stderr's), so that a chunk
 * can be read alone. A long line that grows slowly would be stored again with every chunk; so a
 * chunk has its carry only where the chunks since the last one that has (a key chunk) hold
 * LOG_KEY_FACTOR times as many bytes. Without it, log_carry_load puts the bytes together from the
 * key chunk on: a bounded walk.
 *
 * The segments of a chunk are stored as one block of LZ4, or as they are where that would not save
 * an eighth: text packs faster than the WAL's checksum and the copies of a checkpoint would take
 * it. A row tells the two apart by its lengths. What counts for limits is the unpacked length.
 *
 * A row of log_start says where a log begins when that is not at nothing: the place, the carry
 * there, why and at what time the part before it went. It also stands in for a last chunk when all
 * chunks are gone. Functions return SQLITE_OK, or SQLITE_ROW/SQLITE_DONE (found or not), or an
 * error.
 */
#ifndef FORKFUL_DB_LOG_CHUNK_H
#define FORKFUL_DB_LOG_CHUNK_H

#include "db/log_format.h"

#define LOG_KEY_FACTOR 4u
#define LOG_ROW_BYTES 64u        /* what a row costs besides carry and data, for the total */

struct log_chunk {
    int64_t id;                  /* 0: not stored yet */
    int64_t process;
    struct log_place start;
    uint64_t records;            /* that complete in it */
    uint64_t bytes[2];           /* of output, by stream */
    int64_t first_at_us, last_at_us; /* the smallest and the largest time in it */
    size_t carry_bytes;          /* stored with it: all open bytes, or 0 */
    size_t data_bytes;           /* of its segments, unpacked */
};

struct log_carry {
    char *data;                  /* owned */
    uint32_t open[2];
    size_t capacity;
    bool known;                  /* false: the bytes must be loaded */
};

struct log_start {
    struct log_place place;
    enum log_gap_reason reason;  /* LOG_GAP_NONE: nothing was deleted */
    int64_t at_us;               /* of the last record deleted */
    uint64_t trimmed_bytes;      /* of what was deleted: by log_trim */
    struct log_carry carry;
};

static inline size_t log_open_bytes(const struct log_place *place)
{
    return (size_t)place->open[0] + place->open[1];
}

/* What a log that begins here lacks: the lines open here are kept whole (a carry). */
static inline uint64_t log_bytes_gone(const struct log_place *place)
{
    return place->total[0] + place->total[1] - log_open_bytes(place);
}

/* The row has what it takes to be read alone. */
static inline bool log_chunk_is_key(const struct log_chunk *chunk)
{
    return chunk->carry_bytes == log_open_bytes(&chunk->start);
}

static inline uint64_t log_chunk_stored(const struct log_chunk *chunk)
{
    return chunk->data_bytes + chunk->carry_bytes + LOG_ROW_BYTES;
}

/* ---- finding chunks (without their bytes) ---- */

/* The one in which record `seq` completes, if it is stored; else the last one before, if there
   is. */
int log_chunk_find(struct db *db, int64_t process, uint64_t seq, struct log_chunk *out);
int log_chunk_first(struct db *db, int64_t process, struct log_chunk *out);
int log_chunk_last(struct db *db, int64_t process, struct log_chunk *out);
/* The next one behind `chunk` (by its id and start) with records or bytes of since ≤ time <
   until. */
int log_chunk_next(struct db *db, const struct log_chunk *chunk, int64_t since_us,
                   int64_t until_us, struct log_chunk *out);
int log_chunk_previous(struct db *db, const struct log_chunk *chunk, struct log_chunk *out);

/* ---- bytes ---- */

/* Calls `use` with the chunk's carry and data; both are valid during the call only. */
int log_chunk_bytes(struct db *db, const struct log_chunk *chunk,
                    int (*use)(void *context, const char *carry, const void *data, size_t bytes),
                    void *context);
/* The place behind its last segment. */
int log_chunk_end(struct db *db, const struct log_chunk *chunk, struct log_place *out);

int log_chunk_insert(struct db *db, struct log_chunk *chunk, const char *carry, const void *data);
int log_chunk_update(struct db *db, const struct log_chunk *chunk, const char *carry,
                     const void *data);
int log_chunk_delete(struct db *db, int64_t id);

/* ---- where a log begins ---- */

/* Zeroed when not found. */
int log_start_get(struct db *db, int64_t process, struct log_start *out);
int log_start_put(struct db *db, int64_t process, const struct log_start *start);
int log_start_delete(struct db *db, int64_t process);
void log_start_free(struct log_start *start);

/* ---- carries ---- */

/* From the start of a chunk of `start`, `data` to its end, where the place is `end`. When bytes
   are needed that the carry does not know it becomes unknown. SQLITE_OK or SQLITE_NOMEM. */
int log_carry_advance(struct log_carry *carry, const struct log_place *start, const void *data,
                      size_t bytes, const struct log_place *end);
/* What is open at the start of `chunk`, read from it or put together from the chunks before it. */
int log_carry_load(struct db *db, const struct log_chunk *chunk, struct log_carry *out);
/* What is open at its end. */
int log_carry_load_end(struct db *db, const struct log_chunk *chunk, struct log_carry *out);
int log_carry_set(struct log_carry *carry, const uint32_t open[2], const char *data);
void log_carry_free(struct log_carry *carry);

#endif
