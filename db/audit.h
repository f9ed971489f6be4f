/*
 * The audit in state.db: who asked for what, and what came of it. A feed like those of db/feeds.h:
 * numbered by the loop, read by readers, trimmed by the writer's background work.
 */
#ifndef FORKFUL_DB_AUDIT_H
#define FORKFUL_DB_AUDIT_H

#include "db/feeds.h"

struct audit_row {
    uint64_t seq;
    int64_t at_us;
    int status;                /* of the answer; 0: there was none */
    const char *principal;     /* "admin", "k_…", "uid:1000" …; NULL: not known */
    const char *action;        /* operation; NULL: it never came so far */
    const char *target;        /* path, without the query; or NULL */
    const char *code;          /* of the problem, or NULL */
    const char *request_id;
    const char *remote;        /* "127.0.0.1:40000", "unix:uid=1000,pid=77"; or NULL */
};

bool audit_insert(struct batch *batch, const struct audit_row *row);
/* query->type: actions; query->ref: the principal. */
int audit_read(struct db *reader, const struct feed_query *query,
               bool (*row)(void *context, const struct audit_row *row), void *context,
               struct db_error *error);
int audit_bounds(struct db *db, struct feed_bounds *out, struct db_error *error);

#endif
