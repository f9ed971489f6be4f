/*
 * The recorder: facts in, rows out, and the rule "record, then tell".
 *
 * Reads the spool in order, hands each fact to `apply`, and keeps the open batch to which apply
 * (and every other mutation) adds its rows. When the writer is free the batch is submitted; when
 * it is committed, its after-commits run (answers, wake-ups) and the spool's tail moves. A batch
 * that holds only output lingers up to 20 ms to grow, unless somebody follows.
 *
 * Memory that is out while a fact is applied cannot be answered by anybody: the server ends
 * (recorder_fatal), the keeper starts it again, and the fact is applied then. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_RECORDER_H
#define FORKFUL_SERVICE_RECORDER_H

#include "db/writer.h"
#include "service/loop.h"
#include "service/problem.h"
#include "service/spool.h"

struct recorder;

struct after_commit {                  /* embedded; zeroed = not queued */
    struct after_commit *next;
    bool queued;
    void (*run)(struct after_commit *after);
};

struct recorder_events {
    /* `end` is the position behind the fact. */
    void (*apply)(void *context, const struct fact *fact, uint64_t end);
    /* The open batch is about to be submitted: rows that were put off go in now. */
    void (*submit)(void *context);
    /* A commit changed what is stored of this process's log. */
    void (*progress)(void *context, const struct log_progress *progress);
    /* Something was committed: feeds may have grown. */
    void (*committed)(void *context);
    void *context;
};

struct recorder_fds { int spool, facts, room; };   /* not owned */

/* Attaches to the spool, checks the positions in both files against it, starts the writer (which
   takes `db`). */
struct recorder *recorder_start(struct loop *loop, struct db *db, const struct recorder_fds *fds,
                                const struct recorder_events *events, struct problem **problem);
/* Applies every fact that is there now; before the server answers its first request. */
void recorder_catch_up(struct recorder *recorder);
void recorder_stop(struct recorder *recorder);     /* commits what is open first */
/* Applies what is in the spool now (a reply said that facts were published). */
void recorder_read(struct recorder *recorder);

struct batch *recorder_batch(struct recorder *recorder);   /* the open one; never NULL */
void recorder_urgent(struct recorder *recorder);           /* commit it when this turn ends */
void recorder_durable(struct recorder *recorder);          /* and with an fsync */
/* `after` runs when what is in the open batch now is committed. Makes it urgent. */
void recorder_after(struct recorder *recorder, struct after_commit *after);
void recorder_forget(struct recorder *recorder, struct after_commit *after); /* takes it out again */

/* Nothing that waits to be stored, or is just being stored, is more than what submit adds: then what is in
   the journal may be told. */
bool recorder_is_clean(const struct recorder *recorder);

/* NULL, or why nothing can be stored now (PROBLEM_STORAGE_FULL). */
struct problem *recorder_refuses(struct recorder *recorder);
struct writer *recorder_writer(struct recorder *recorder);
const struct spool *recorder_spool(struct recorder *recorder);
/* All facts that lay in the spool at the start have been applied. */
bool recorder_has_caught_up(const struct recorder *recorder);
bool recorder_idle(struct recorder *recorder);     /* nothing open, nothing in flight, spool empty */

_Noreturn void recorder_fatal(const char *why);

#endif
