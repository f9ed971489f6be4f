/*
 * The checkpointer: a thread that copies the WALs back into the files while the writer goes on.
 *
 * SQLite lets one connection copy while another commits. So the copying and its fsyncs, which take
 * longer than a commit, do not stand between two commits. It owns a pair of connections and copies
 * passively, when asked by the writer (wal.c), which alone decides when. What it has copied can
 * only be written over once the writer finds the whole WAL copied: when that never happens because
 * commits come too fast, the writer waits for it (checkpointer_wait).
 */
#ifndef FORKFUL_DB_CHECKPOINTER_H
#define FORKFUL_DB_CHECKPOINTER_H

#include "db/db.h"

struct checkpointer;

struct checkpoint {          /* what has become of the last one of a file */
    bool done;               /* there is a result that was not collected */
    int code;                /* SQLITE_OK, or why it failed */
    int copied;              /* frames of the WAL that are in the file now */
};

/* NULL: *code tells. */
struct checkpointer *checkpointer_start(struct db *db, int *code);
/* Waits for the one that runs. */
void checkpointer_stop(struct checkpointer *checkpointer);

/* All others: writer thread only. */
void checkpointer_ask(struct checkpointer *checkpointer, enum db_file file);
bool checkpointer_busy(struct checkpointer *checkpointer, enum db_file file);
void checkpointer_wait(struct checkpointer *checkpointer, enum db_file file);
struct checkpoint checkpointer_collect(struct checkpointer *checkpointer, enum db_file file);

#endif
