/*
 * The write-ahead logs of the two files: how long each is, when it is copied back, when it is cut.
 *
 * The writer's commits make them longer; the checkpointer's thread copies them back meanwhile. What
 * is copied can be written over only once the whole WAL is, so the writer waits for that when one
 * has become too long. Writer thread only.
 */
#ifndef FORKFUL_DB_WAL_H
#define FORKFUL_DB_WAL_H

#include "db/checkpointer.h"

struct wal {
    struct db *db;                     /* the writer's; not owned */
    struct checkpointer *checkpointer; /* owned */
    int64_t page_bytes[DB_FILES];
    int frames[DB_FILES];              /* in the WAL */
    int copied[DB_FILES];              /* of these, copied back */
    int64_t limit_bytes[DB_FILES];     /* of this length the writer waits */
    int64_t asked_us[DB_FILES];        /* when for the last copy; monotonic */
    bool grown[DB_FILES];              /* since it was last cut */
    bool emptying;                     /* wal_empty has asked for the last copies */
};

/* SQLITE_OK, or why not; then nothing has to be ended. */
int wal_begin(struct wal *wal, struct db *db);
void wal_end(struct wal *wal);

/* How long the WAL of logs.db may become; 0: 512 MiB. */
void wal_limit_logs(struct wal *wal, uint64_t bytes);
/* After a commit: asks for copies where a WAL is long, waits where it is too long. False: a copy
   has failed. */
bool wal_keep_short(struct wal *wal);
/* When nothing is committed for some time: copies all and cuts the files. False: not done yet, call
   again soon. wal_disturb begins anew. */
bool wal_empty(struct wal *wal);
void wal_disturb(struct wal *wal);
/* A commit has failed for want of space: cuts the files if that is possible. */
void wal_make_room(struct wal *wal);

#endif
