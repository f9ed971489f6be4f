/*
 * Small helpers for the files of db/ that run statements. Private to db/.
 *
 * A kept statement is reset as soon as its last row was read: one that is left in the middle holds
 * a snapshot, and a held snapshot keeps the WAL from being used again.
 */
#ifndef FORKFUL_DB_STATEMENT_H
#define FORKFUL_DB_STATEMENT_H

#include "db/db.h"

/* Steps a statement that gives no rows and resets it: SQLITE_OK or the error's code. */
int statement_run(sqlite3_stmt *statement);

/* sqlite3_step for a row that is read. A text for which there is no memory is SQLITE_NOMEM: column by column it would
   be NULL, as if the row had none. */
int statement_row(sqlite3_stmt *statement);

/* For db_unread. */
void db_note_unread(struct db *db, int code);

/* Binds text that outlives the next step; NULL becomes SQL's null. */
void statement_bind_text(sqlite3_stmt *statement, int index, const char *text);

/* The code to return when db_statement gave NULL. */
int db_prepare_failed(struct db *db, enum db_file file);

/* Fills the error (which may be NULL) with the path and SQLite's words; returns `code`. */
int db_error_set(struct db_error *error, struct db *db, enum db_file file, int code,
                 const char *doing);

const char *db_path(struct db *db, enum db_file file);

#endif
