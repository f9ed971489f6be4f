/*
 * Two append-only feeds in state.db: the life-cycle changes and the daemon's own log.
 *
 * Sequence numbers are given by the loop and only grow, over restarts too (feed_last). Rows are
 * deleted from the old end by the writer's background work (struct writer_limits).
 */
#ifndef FORKFUL_DB_FEEDS_H
#define FORKFUL_DB_FEEDS_H

#include "db/writer.h"

struct change_row {
    uint64_t seq;
    int64_t at_us;
    const char *type;          /* "process.started" … */
    const char *ref;           /* "p_…" or NULL */
    const char *data;          /* JSON or NULL */
};

struct daemon_log_row {
    uint64_t seq;
    int64_t at_us;
    int level;                 /* enum log_level of the service: 10 debug … 40 error */
    int64_t process;           /* processes.num, 0: none */
    const char *ref;           /* the process's id text, or NULL */
    const char *name;          /* the process's name, or NULL */
    const char *text;
};

bool change_insert(struct batch *batch, const struct change_row *row);
bool daemon_log_insert(struct batch *batch, const struct daemon_log_row *row);

struct feed_query {
    uint64_t after;
    unsigned limit;
    const char *type;          /* changes: exact, or a prefix up to '.'; comma = OR; NULL: all */
    const char *ref;           /* changes and log: the id text; NULL: all */
    int min_level;             /* log */
};

struct feed_bounds { uint64_t first, last; };  /* 0, 0: empty */

int changes_read(struct db *reader, const struct feed_query *query,
                 bool (*row)(void *context, const struct change_row *row), void *context,
                 struct db_error *error);
int daemon_log_read(struct db *reader, const struct feed_query *query,
                    bool (*row)(void *context, const struct daemon_log_row *row), void *context,
                    struct db_error *error);
int changes_bounds(struct db *db, struct feed_bounds *out, struct db_error *error);
int daemon_log_bounds(struct db *db, struct feed_bounds *out, struct db_error *error);

#endif
