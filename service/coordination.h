/*
 * What objects and holds need of the server's life: loading, storing with each batch, what to do when the keeper
 * has told who still lives. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_COORDINATION_H
#define FORKFUL_SERVICE_COORDINATION_H

#include "service/hold.h"

struct db;

/* After processes and sessions. NULL: done. */
struct problem *coordination_load(struct service *service, struct db *db);
/* Everything that has changed goes into the open batch. */
void coordination_store(struct service *service);
/* A batch was committed. */
void coordination_stored(struct service *service);
/* What has changed is safe from a kill of the server now, so it may be told. False: it is after the commit of
   the open batch. */
bool coordination_keep(struct service *service);

/* Entries: a row without its pointers, then its strings. */
enum { JOURNAL_OBJECT = 1, JOURNAL_HOLD = 2, JOURNAL_TASK = 3 };
/* What belongs to somebody who is not there any more ends now. */
void coordination_reconcile(struct service *service);

#endif
