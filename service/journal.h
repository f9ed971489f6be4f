/*
 * The journal: what was promised and is not in the database yet, in memory that outlives the server.
 *
 * A lock that is granted must still be held when the server is killed a microsecond later, but a commit
 * takes ten times as long as the whole call. So the rows that such an answer stands on are first copied into a
 * ring that is mapped from a file in the runtime directory: the kernel keeps it when the process is killed.
 * The answer goes at once; the rows come into the database with a later batch, which also stores
 * how far the ring was then. A new server puts what lies behind that position into the database
 * before it reads anything from there: exactly once, as with the spool. After a reboot nothing of it
 * is used (who held something has ended with the machine).
 *
 * Loop thread only.
 */
#ifndef FORKFUL_SERVICE_JOURNAL_H
#define FORKFUL_SERVICE_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define JOURNAL_RING_BYTES (4u << 20)
#define JOURNAL_ENTRY_MAX (64u << 10)  /* longer ones wait for their commit */

struct journal;

/* Maps DIR/journal, making it when there is none, or none of this boot. NULL: it cannot be had (told on stderr);
   then every answer waits for its commit. */
struct journal *journal_open(const char *dir, const char *boot_id);
void journal_close(struct journal *journal);

uint64_t journal_id(const struct journal *journal);    /* another file has another one; never 0 */
uint64_t journal_head(const struct journal *journal);  /* the position behind the last entry */
uint64_t journal_used(const struct journal *journal);  /* bytes that the database has not got yet */
/* Appends `first` and then `rest` as one entry. False: no room, or too long. */
bool journal_put(struct journal *journal, unsigned type, const void *first, size_t first_bytes,
                 const void *rest, size_t rest_bytes);
/* The database has everything before `position`. */
void journal_release(struct journal *journal, uint64_t position);
/* Calls `entry` for each one from `position` on, oldest first; false from it ends the walk, and is given on. */
bool journal_walk(struct journal *journal, uint64_t position,
                  bool (*entry)(void *context, unsigned type, const void *data, size_t bytes),
                  void *context);

#endif
