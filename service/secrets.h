/*
 * Secrets: values of variables that the daemon reads from files when a process starts (`env_from`).
 *
 * A value is in the memory of the daemon and of the child, and nowhere else: not in the record, a
 * database, the spool or the journal, which have the variable's name and the file's.
 *
 * The daemon reads with its own rights, perhaps root's, for whoever asks. So a file must be named
 * below a directory of `spawn.secret_directories`, and lie below one when all links have been
 * followed (Kubernetes puts its secrets behind links). None is set at first, and processes may not
 * ask unless `spawn.secrets_for_processes` says so: one of another user would read with it what it
 * cannot open itself. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_SECRETS_H
#define FORKFUL_SERVICE_SECRETS_H

#include "service/service.h"

#define SECRET_BYTES_MAX 65536u        /* of a file */

/* Part of policy_check: opens the files, of which nothing is read so far. Adds to `problem` what
   may not be read. */
struct problem *secrets_check(const struct service *service, const struct owner *asker,
                              struct spec *spec, struct problem *problem);

/* Before a launch, after the check: their values. 422 spawn_failed, stage `env`, where one cannot be
   read. A line feed at the end is left out. */
struct problem *secrets_read(struct spec *spec);

#endif
