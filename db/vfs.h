/*
 * The file layer of the writing connection: SQLite's own, with the frames of a WAL joined into large writes.
 *
 * SQLite writes each frame with two calls, 24 bytes and one page. The kernel takes the same bytes two to
 * three times faster in pieces of 128 KiB, because the page cache can then use large folios; a flood
 * of output is mostly this. So frames of a transaction are gathered, and written when the buffer is
 * full or when the frame that commits comes: its header carries the size of the database (file format of
 * SQLite, 4.1), and until then no other connection looks at them. A failing write is thus told
 * before the commit, as SQLite expects.
 *
 * A WAL that is synced commit by commit is kept up to 1 MiB longer than what is in it: to sync a file that
 * has not become longer takes half as long (ext4: 130 instead of 250 us).
 *
 * Everything else goes to the default layer unchanged.
 */
#ifndef FORKFUL_DB_VFS_H
#define FORKFUL_DB_VFS_H

/* The layer's name for sqlite3_open_v2, registered at the first call; NULL: out of memory, use the default. */
const char *db_vfs_name(void);

#endif
