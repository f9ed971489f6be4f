/*
 * An answer fed from the database: a page that may wait, or a stream that may go on for ever.
 *
 * One cursor, no hole. The loop submits one read job at a time; it renders a bounded piece behind
 * the cursor and moves it. When the piece is with the client, the next is read. At the end of what
 * is stored a live answer waits in the list of what it follows. It enters that list BEFORE the
 * read, so that what is committed while the read is under way wakes it too, and the read is done
 * again: nothing falls between "looked" and "waits".
 *
 * A slow client costs one piece of memory, never a reader. A client that is gone frees everything,
 * at once or when the job comes back. What is followed is looked up anew at each look and may have
 * been deleted.
 *
 * Loop thread, but for `read` on a reader thread: while a job is out (`busy`), the type's own
 * fields and those marked (reader) belong to the reader.
 */
#ifndef FORKFUL_API_FOLLOW_H
#define FORKFUL_API_FOLLOW_H

#include "api/app.h"
#include "api/stream.h"

#define FOLLOW_PIECE_BYTES (64u << 10) /* a piece of a stream ends with the item that reaches it */
#define FOLLOW_PAGE_BYTES (1u << 20)   /* and a page, whatever its limit */

struct follow;

struct follow_type {
    /* Reader: appends items behind the cursor to `text` until follow_full, moves the cursor,
       sets `items`, `more`, `complete`. False: `error` tells. */
    bool (*read)(struct follow *follow, struct db *reader, struct db_error *error);
    /* Before each look: where to wait for more, NULL when what is followed was deleted. Sets
       `last` when all that will ever come is stored now. */
    struct wait_list *(*source)(struct follow *follow);
    /* Woken: may there be something new? NULL: always. */
    bool (*news)(const struct follow *follow);
    /* The last bytes: behind a page's items, or at a stream's end. May be NULL. */
    void (*end)(struct follow *follow);
    void (*free)(struct follow *follow);  /* frees the whole of it */
};

/* First member of its owner; zeroed but for what is marked (owner). */
struct follow {
    const struct follow_type *type;  /* (owner) */
    struct app *app;                 /* (owner) */
    enum stream_form form;           /* (owner) JSON: a page */
    bool live;                       /* (owner) waits at the end of what is stored */
    int64_t deadline_us;             /* (owner) no longer than this; monotonic */

    struct text text;                /* (reader) the piece, or the page so far */
    uint64_t items;                  /* (reader) written so far, over all pieces */
    bool more;                       /* (reader) there was more behind what was read */
    bool complete;                   /* (reader) nothing behind it is wanted: a limit is reached */
    bool failed;                     /* (reader) */
    struct db_error error;           /* (reader) */

    bool last;                       /* all that will ever come is stored */
    struct stream *stream;           /* the answer: one of these, none when the client is gone */
    struct request *request;
    size_t written;                  /* bytes of the piece that the stream has taken */
    bool busy, woken, expired;
    struct read_job job;
    struct waiter waiter;
    struct deferred again;
};

/* True when a read should stop (reader). */
bool follow_full(const struct follow *follow);

/* Opens the answer: a stream, or a parked page. False: answered already, and freed (a HEAD, no
   memory). */
bool follow_open(struct follow *follow, struct request *request, const char *content_type);
/* Begins to read. The follow frees itself from here on. */
void follow_start(struct follow *follow);
/* Instead of follow_start, for who has put the first piece into `text` but must wait before it may
   be told: nothing happens until follow_ready. */
void follow_hold(struct follow *follow);
void follow_ready(struct follow *follow);

/* Why a reader's job failed: for want of memory, or because of the database. */
struct problem *problem_of_reading(const struct db_error *error);

#endif
