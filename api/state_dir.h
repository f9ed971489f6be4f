/*
 * The two directories of a daemon, chosen, made, checked and locked; and the admin token in the
 * first.
 *
 * State (survives reboots): state.db, logs.db, token, forkful.sock, lock. Runtime (this boot
 * only): the spool. Both belong to the daemon's user and nobody else may write into them, or the
 * daemon does not start: whoever can put files there can run commands as this user. The lock is a
 * flock on `lock`, held by the descriptor that launcher, keeper and server inherit from each
 * other, so it goes when the last of them is gone, however that ends.
 *
 * Functions return false with the refusal filled.
 */
#ifndef FORKFUL_API_STATE_DIR_H
#define FORKFUL_API_STATE_DIR_H

#include <limits.h>
#include <stdbool.h>

#include "service/refusal.h"

#define TOKEN_TEXT_BYTES 69           /* "fkf_", 64 hex digits, NUL */

struct directory {
    char path[PATH_MAX];              /* absolute, without symbolic links */
    int fd;                           /* owned; -1: not open */
};

/* The state directory's path, as it is named; nothing is made or opened. The rest as below. */
bool state_dir_choose(char out[PATH_MAX], const char *given, bool *standard,
                      struct refusal *refusal);
/* `given` is --state-dir or NULL. *standard: nothing named it, it is the user's own default. */
bool state_dir_open(struct directory *state, const char *given, bool *standard,
                    struct refusal *refusal);
/* The same for the runtime directory; `given` is --runtime-dir or NULL. */
bool runtime_dir_choose(char out[PATH_MAX], const char *given, const struct directory *state,
                        bool standard, struct refusal *refusal);
/* `given` is --runtime-dir or NULL. */
bool runtime_dir_open(struct directory *runtime, const char *given, const struct directory *state,
                      bool standard, struct refusal *refusal);
void directory_close(struct directory *directory);

/* The lock's descriptor in *fd; refused when another daemon holds it, with that one's pid. A holder
   that is dying is waited for, 5 s at most: a killed server keeps the lock until the last of its
   threads has left the kernel, and who starts a daemon again then has done nothing wrong. */
bool state_dir_lock(const struct directory *state, int *fd, struct refusal *refusal);
/* Writes this process's pid into the lock file, for the sentence above. Failure has no effect. */
void state_dir_lock_sign(int lock_fd);

/* Reads the admin token, and makes it first when there is none (needs the lock). */
bool token_open(const struct directory *state, char out[TOKEN_TEXT_BYTES], struct refusal *refusal);

#endif
