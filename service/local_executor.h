/*
 * The local executor: the server's end of the keeper's socket, and custody of the children's
 * descriptors.
 *
 * Custody: the keeper sends duplicates of every child's pidfd and pipes. Should the keeper be
 * killed, pipes and exit statuses live on through them: local_executor_adopt writes a resume blob
 * and the server becomes the next keeper.
 */
#ifndef FORKFUL_SERVICE_LOCAL_EXECUTOR_H
#define FORKFUL_SERVICE_LOCAL_EXECUTOR_H

#include "service/custody.h"
#include "service/executor.h"
#include "service/loop.h"
#include "service/resume.h"

struct local_executor_events {
    void (*welcome)(void *context, const struct notice_welcome *welcome);
    void (*entries_known)(void *context);          /* custody of all it knew at HELLO has come */
    void (*signalled)(void *context, int signal);  /* the keeper got SIGTERM, SIGINT or SIGHUP */
    void (*keeper_lost)(void *context);            /* its socket ended */
    void (*custody)(void *context, const struct fact_id *process); /* descriptors of it have come */
    void *context;
};

/* `fd` is the seqpacket socket, taken over. Says HELLO. NULL: no memory. */
struct executor *local_executor_start(struct loop *loop, int fd,
                                      const struct local_executor_events *events);
void local_executor_free(struct executor *executor);

/* Tells the keeper what a later server must know; that this one answers; that all is done. */
void local_executor_ready(struct executor *executor);
void local_executor_state(struct executor *executor, const struct command_state *state);
void local_executor_exit(struct executor *executor);
struct problem *local_executor_upgrade(struct executor *executor, const char *path,
                                       struct reply reply);
/* Sends what is queued, waiting up to `timeout_ms`; for the last words before exit. */
void local_executor_flush(struct executor *executor, int timeout_ms);

struct custody_table *local_executor_custody(struct executor *executor);

#endif
