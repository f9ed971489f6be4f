/*
 * Upkeep: what the writer does between batches, in slices of at most 20 ms. Writer thread only.
 */
#ifndef FORKFUL_DB_UPKEEP_H
#define FORKFUL_DB_UPKEEP_H

#include "db/log_store.h"

struct upkeep;

struct upkeep *upkeep_new(struct log_store *store, int *code); /* NULL: *code tells */
void upkeep_free(struct upkeep *upkeep);

/* Does what is most needed; `busy`: it comes right after a batch, so only what cannot wait. Returns
   after how many microseconds it wants to be called again when no batch comes (0: at once). */
int64_t upkeep_slice(struct upkeep *upkeep, const struct writer_limits *limits, bool busy);

/* A commit has failed: gives the WALs' space back if that is possible. */
void upkeep_make_room(struct upkeep *upkeep);

#endif
