/*
 * The readers: two threads with read-only connections for logs, feeds and stored answers.
 *
 * The loop submits a job; a reader runs it and gives it back through the eventfd; the loop calls
 * `done`. A job is short (a bounded number of rows) and never waits for a client. Jobs of one
 * priority are served in order of submission.
 */
#ifndef FORKFUL_DB_READERS_H
#define FORKFUL_DB_READERS_H

#include "db/db.h"

struct readers;

struct read_job {
    struct read_job *next;
    void (*run)(struct read_job *job, struct db *reader);  /* reader thread */
    void (*done)(struct read_job *job);                    /* loop thread; owns the job again */
    _Atomic bool cancelled;                                /* set by the loop; run may look at it */
};

struct readers *readers_start(const char *state_dir, unsigned threads, int event_fd,
                              struct db_error *error);
void readers_stop(struct readers *readers); /* finishes running jobs, gives none back */
void readers_submit(struct readers *readers, struct read_job *job);
/* The next finished job or NULL. The loop calls job->done(job). */
struct read_job *readers_collect(struct readers *readers);

#endif
