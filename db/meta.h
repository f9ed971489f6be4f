/*
 * A row of the table `meta` of state.db, written as an operation of a batch. Reading is in db.h.
 */
#ifndef FORKFUL_DB_META_H
#define FORKFUL_DB_META_H

#include "db/writer.h"

/* Copies both texts into the batch. False: out of memory. */
bool meta_text_put(struct batch *batch, const char *key, const char *value);

#endif
