/*
 * What reading the feeds has in common; written in feeds.c. Private to db/.
 */
#ifndef FORKFUL_DB_FEED_ROWS_H
#define FORKFUL_DB_FEED_ROWS_H

#include "db/feeds.h"

/* `type` is one of the comma-separated words, or begins with one that ends in a dot. */
bool feed_type_matches(const char *words, const char *type);
const char *feed_column_text(sqlite3_stmt *row, int column);
int64_t feed_as_bound(uint64_t seq);
/* `code` is of the last step. */
int feed_end_read(struct db *db, sqlite3_stmt *statement, int code, struct db_error *error);
/* `sql` gives the least and the greatest number. */
int feed_read_bounds(struct db *db, const char *sql, struct feed_bounds *out,
                     struct db_error *error);

#endif
