/*
 * The table of processes: one row per record that is kept, and the operations on it.
 *
 * The loop owns the records in memory; these rows are their durable form. `spec` is the immutable
 * part (JSON made by the service, opaque here); the other columns change.
 */
#ifndef FORKFUL_DB_PROCESSES_H
#define FORKFUL_DB_PROCESSES_H

#include "db/writer.h"

struct process_row {
    int64_t num;                    /* 1, 2, 3 …: rowid, also the N of "Process-N" */
    uint8_t id[16];
    int state;                      /* enum process_state of the service */
    int64_t created_at_us, started_at_us, exited_at_us; /* 0: not yet */
    int32_t pid, ppid;
    uint64_t pidfd_inode, start_ticks;
    const char *spec;               /* NUL-terminated */
    const char *token;              /* NUL-terminated hex, or NULL */
    int exit_kind, exit_status, exit_reason;
    bool core_dumped, paused, usage_known;
    int64_t user_us, system_us, max_rss_bytes;
    uint64_t stdout_bytes, stderr_bytes, dropped_bytes;
    unsigned open_streams;          /* bit 0 stdout, bit 1 stderr, bit 2 stdin */
    unsigned descendants;
    int stop_reason, stop_signal;
    int64_t stop_deadline_at_us;
    int start_errno;                /* why it could not be started; 0: it was, or may be still */
    unsigned start_stage;           /* and where; enum spawn_stage of the service */
    uint64_t revision;
};

/* Copy what they need into the batch. False: out of memory. */
bool process_row_insert(struct batch *batch, const struct process_row *row);
/* All but num, id, spec, token and created_at_us. */
bool process_row_update(struct batch *batch, const struct process_row *row);
/* All but num, id, token and created_at_us. */
bool process_row_rewrite(struct batch *batch, const struct process_row *row);
/* Deletes the row and dooms its log (deleted in slices later). */
bool process_row_delete(struct batch *batch, int64_t num);

/* The largest num ever inserted, deleted rows included: the next one is one more. 0: none yet. */
int64_t process_num_last(struct db *db);

/* Calls `row` for every process in order of num; pointers are valid during the call only. A false
   from it ends the walk. Loop thread, before writer_start. */
int process_rows_load(struct db *db, bool (*row)(void *context, const struct process_row *row),
                      void *context, struct db_error *error);

#endif
