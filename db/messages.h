/*
 * Messages of durable queues as rows of state.db. The loop owns them in memory, bodies too; these are
 * their durable form. A row's number is the message's place in the order of all messages, given once.
 */
#ifndef FORKFUL_DB_MESSAGES_H
#define FORKFUL_DB_MESSAGES_H

#include "db/writer.h"

struct message_row {
    int64_t seq;               /* the row's number; what a hold's `item` means */
    uint8_t id[16];
    int64_t object;            /* the queue's number */
    int state;                 /* enum message_state */
    int64_t priority;
    int64_t ready_at_us;       /* when a delayed one becomes ready; 0: it is not delayed */
    int64_t expires_at_us;     /* 0: never */
    int64_t attempts;
    int64_t enqueued_at_us;
    const char *content_type;  /* or NULL */
    const char *last;          /* JSON about its former attempts, or NULL */
    const void *body;
    size_t body_bytes;
};

/* Each puts an operation into the batch; what a row points to is copied. False: no memory. */
bool message_row_insert(struct batch *batch, const struct message_row *row);
/* State, ready_at, attempts and last of the row with this number. */
bool message_row_update(struct batch *batch, const struct message_row *row);
bool message_row_delete(struct batch *batch, int64_t seq);
bool message_rows_delete(struct batch *batch, int64_t object); /* all of one queue */

/* At the start: those of one queue in their order; `row` returns false to stop. */
int message_rows_load(struct db *db, int64_t object,
                      bool (*row)(void *context, const struct message_row *row), void *context,
                      struct db_error *error);

#endif
