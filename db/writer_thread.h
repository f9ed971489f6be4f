/*
 * What operations may ask of the writer that runs them. Private to db/; writer thread only.
 */
#ifndef FORKFUL_DB_WRITER_THREAD_H
#define FORKFUL_DB_WRITER_THREAD_H

#include "db/log_store.h"
#include "db/writer.h"

struct log_store *writer_logs(struct writer *writer);

/* logs.db has the fact that ends at `position` of this batch's spool already. */
bool writer_has_applied(const struct writer *writer, uint64_t position);

#endif
