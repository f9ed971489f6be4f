/*
 * Writing and reading the resume blob (service/resume.h) in a memfd; used by the launcher for a
 * fresh start and by a server that adopts. The keeper has its own code for it, without an
 * allocation.
 */
#ifndef FORKFUL_SERVICE_RESUME_BLOB_H
#define FORKFUL_SERVICE_RESUME_BLOB_H

#include <stdbool.h>
#include <stddef.h>

#include "service/resume.h"

#define RESUME_STRINGS_MAX 32768  /* the keeper has a fixed place for them */

/* The strings of a blob, in its order. NULL counts as empty. */
struct resume_strings {
    const char *binary, *first_line, *state_dir, *runtime_dir, *config;
    const char *const *server_argv;   /* "--server" first; head.server_argc of them */
    const char *users;
};

/* Fills in magic, version, sizes and counts but `entries` and `server_argc`, which the caller
   has set, and writes all of it. Returns the memfd (FD_CLOEXEC set), or a negative errno. */
int resume_blob_write(struct resume *head, const struct resume_entry *entries,
                      const struct resume_strings *strings);

/* Maps a blob read-only and checks that it hangs together; `head` is a copy, zero beyond what an
   older writer knew. 0, or a negative errno (-EPROTO: not a blob). */
struct resume_blob {
    struct resume head;
    const char *entries;              /* head.entries of head.entry_bytes each, not aligned */
    const char *strings;              /* head.strings_bytes, the last one is NUL */
    void *map;
    size_t map_bytes;
};
int resume_blob_open(struct resume_blob *blob, int fd);
void resume_blob_close(struct resume_blob *blob);

/* The string with this number (0: the binary's path), "" when there is none. */
const char *resume_blob_string(const struct resume_blob *blob, unsigned number);
struct resume_entry resume_blob_entry(const struct resume_blob *blob, unsigned number);

/* Calls `each` for every descriptor the blob names. */
void resume_blob_each_fd(const struct resume_blob *blob, void (*each)(void *context, int fd),
                         void *context);

#endif
