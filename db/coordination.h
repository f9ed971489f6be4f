/*
 * Coordination objects and holds as rows of state.db. The loop owns them in memory; these are their
 * durable form. Messages have a file of their own (messages.h).
 */
#ifndef FORKFUL_DB_COORDINATION_H
#define FORKFUL_DB_COORDINATION_H

#include "db/writer.h"

struct object_row {
    int64_t num;
    int kind;                  /* enum object_kind */
    const char *name;          /* unique within the kind */
    int owner_kind;            /* enum parent_kind */
    uint8_t owner[16];
    int64_t created_at_us;
    const char *config;        /* JSON object */
    const char *state;         /* JSON object, "{}" where nothing is kept */
    size_t state_bytes;
};

struct hold_row {
    uint8_t id[16];
    int kind;                  /* enum hold_kind */
    const char *resource;      /* "locks/deploy" */
    int64_t item;              /* the message's number, or 0 */
    int owner_kind;
    uint8_t owner[16];
    uint64_t fence;
    unsigned depth;
    int64_t granted_at_us, expires_at_us, ttl_us;   /* 0: none */
    int ended;                 /* enum hold_end; 0: live */
    int64_t ended_at_us;
    int by_kind;               /* the cause of the end */
    uint8_t by[16];
    bool exitcode_known;
    int exitcode;
};

/* Each puts an operation into the batch; what a row points to is copied. False: no memory. */
bool object_row_put(struct batch *batch, const struct object_row *row);   /* replaces by num */
bool object_row_delete(struct batch *batch, int64_t num);
bool hold_row_put(struct batch *batch, const struct hold_row *row);       /* replaces by id */
bool hold_row_delete(struct batch *batch, const uint8_t id[16]);
/* Fences up to here may have been given out. */
bool fence_row_put(struct batch *batch, uint64_t reserved);

/* How far the journal (service/journal.h) is in the rows of this batch. */
struct journal_position {
    uint64_t id;               /* of the journal; 0: none yet */
    uint64_t position;
};
bool journal_position_put(struct batch *batch, const struct journal_position *position);
void journal_position_get(struct db *db, struct journal_position *out);

/* The same at once, on the caller's connection, inside his transaction: SQLite's code. */
int object_row_write(struct db *db, const struct object_row *row);
int hold_row_write(struct db *db, const struct hold_row *row);
int journal_position_write(struct db *db, const struct journal_position *position);

/* At the start; `row` returns false to stop. Objects in the order of their making, holds oldest first. */
int object_rows_load(struct db *db, bool (*row)(void *context, const struct object_row *row),
                     void *context, struct db_error *error);
int hold_rows_load(struct db *db, bool (*row)(void *context, const struct hold_row *row),
                   void *context, struct db_error *error);
uint64_t fence_row_get(struct db *db);

#endif
