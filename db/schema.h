/*
 * The shape of the two files: the statements that make them and the steps from version to version.
 */
#ifndef FORKFUL_DB_SCHEMA_H
#define FORKFUL_DB_SCHEMA_H

#include "db/db.h"

#define DB_STATE_APPLICATION_ID 0x666b6673 /* "fkfs" */
#define DB_LOGS_APPLICATION_ID 0x666b666c  /* "fkfl" */

/* Brings an open file to DB_SCHEMA_VERSION in one transaction; returns an SQLite code. */
int schema_migrate(sqlite3 *handle, enum db_file file, int from_version);

/* Reads the schema and a row of each table: SQLITE_OK when they are as expected. */
int schema_verify(sqlite3 *handle, enum db_file file);

int schema_application_id(enum db_file file);

#endif
