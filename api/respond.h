/*
 * Answers that several handlers give, and answers that wait for a commit.
 *
 * "Record, then tell": who has changed something answers when the batch that holds the change is
 * committed. Loop thread only.
 */
#ifndef FORKFUL_API_RESPOND_H
#define FORKFUL_API_RESPOND_H

#include "api/app.h"

/* The process's record as it is now. */
void respond_process(struct request *request, int status, const struct process *process);
/* 404: there is no process with this id (any more). */
void respond_no_process(struct request *request, const char *id_text);
/* The process's record by its id, or 404 when it was deleted meanwhile. */
void respond_process_now(struct request *request, int status, const struct fact_id *id);
/* 503 out_of_memory. */
void respond_no_memory(struct request *request);

/* An answer that waits for the commit of the open batch; embedded in a handler's context. The
   request must be parked, and its `gone` must call stored_cancel. */
struct stored {
    struct after_commit after;
    struct recorder *recorder;
    void (*answer)(struct stored *stored);
};

void stored_then(struct app *app, struct stored *stored, void (*answer)(struct stored *stored));
void stored_cancel(struct stored *stored);   /* harmless when it does not wait */

/* The common case of that: an answer that is known now and goes when the batch is committed. */
struct stored_answer {
    struct stored stored;
    struct request *request;
    int status;
    struct text body;                  /* JSON; left empty: an answer without */
};

/* Before anything is changed. NULL: no memory, and that was answered. */
struct stored_answer *respond_stored_make(struct request *request, int status);
/* Parks the request until what was changed is stored. */
void respond_stored(struct stored_answer *later);

#endif
