/*
 * The database: two SQLite files in the state directory, opened, checked, migrated.
 *
 * state.db holds what is (processes, sessions, idempotent answers) and what happened (changes, the
 * daemon's log). logs.db holds the output of processes as chunks. Both are in WAL mode; each keeps
 * the spool position applied in it (`struct db_position`), so that each is exactly-once by itself
 * although no transaction spans both.
 *
 * One connection pair belongs to one thread. The loop opens first (db_open: create, migrate,
 * check), loads what it needs, then hands the pair to the writer thread. Readers open their own
 * pair read-only. Nothing here knows HTTP, JSON or the domain; errors are `struct db_error`.
 */
#ifndef FORKFUL_DB_DB_H
#define FORKFUL_DB_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sqlite3.h>

#define DB_SCHEMA_VERSION 5

enum db_file { DB_STATE = 0, DB_LOGS = 1, DB_FILES };

struct db_error {
    int code;               /* SQLite's extended result code; 0: no error */
    char text[400];         /* a sentence that names the file */
};

struct db_position {
    uint64_t spool_id;      /* 0: none yet */
    uint64_t position;      /* everything before it is in this file */
    uint64_t sequence;      /* of the last fact applied */
};

struct db;                  /* a pair of connections with its prepared statements */

/* Opens for writing, creates and migrates. Fails, and says with which path, when a file is not a
   database, is damaged (quick check of the schema), read-only, or of a newer schema. */
struct db *db_open(const char *state_dir, struct db_error *error);
struct db *db_open_reader(const char *state_dir, struct db_error *error);
/* Another pair of connections to the same files, to copy WALs back with. NULL: *code tells. */
struct db *db_open_beside(const struct db *of, int *code);
void db_close(struct db *db);

sqlite3 *db_handle(struct db *db, enum db_file file);

/* A statement prepared once per connection and kept; `sql` must be a string constant (its address
   is the key). NULL: error is filled. */
sqlite3_stmt *db_statement(struct db *db, enum db_file file, const char *sql,
                           struct db_error *error);
/* The same of state.db, for functions that return a code: *code is what to return when it is NULL. */
sqlite3_stmt *db_prepared(struct db *db, const char *sql, int *code);

/* Memory of the pair for what one function does; the next one that asks writes over it. NULL: there is none. */
void *db_scratch(struct db *db, size_t bytes);

/* One row of the table `meta` (text key, integer value); 0 when missing. */
int64_t db_meta_get(struct db *db, enum db_file file, const char *key);
int db_meta_set(struct db *db, enum db_file file, const char *key, int64_t value);
/* The same for text, into `out`; false when missing. */
bool db_meta_text(struct db *db, enum db_file file, const char *key, char *out, int out_bytes);
int db_meta_text_set(struct db *db, enum db_file file, const char *key, const char *value);

bool db_position_get(struct db *db, enum db_file file, struct db_position *out);

/* Why one of these has given "missing" although nobody knows (no memory, a bad disk); SQLITE_OK: what was missing is
   missing. Asked once they have been read, because a number that starts from 0 again would be given twice. */
int db_unread(struct db *db);
int db_position_set(struct db *db, enum db_file file, const struct db_position *position);

#endif
