/*
 * The spool's file in the runtime directory: the one left by the last daemon where it still
 * counts, else a new one.
 */
#ifndef FORKFUL_API_SPOOL_FILE_H
#define FORKFUL_API_SPOOL_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/state_dir.h"

/* Opens RUNTIME/spool, locked and ready for spool_attach. `ring_bytes` is the size of a new one;
   an old one keeps its own. False: the refusal is filled and *fd is -1. */
bool spool_file_open(const struct directory *runtime, uint64_t ring_bytes, int *fd,
                     struct refusal *refusal);

#endif
