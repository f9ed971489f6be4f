/*
 * The spawn command and the record in it: composed here, and read back after a crash.
 *
 * The record of a process travels with the command and comes back in FACT_STARTED, so that a server
 * that never heard of the request (its predecessor was killed) makes the same record from the fact:
 * {"num":…,"created_at_us":…,"token":…,"answer":{"principal","key","hash"}|null,"spec":{…}}.
 */
#ifndef FORKFUL_SERVICE_LAUNCH_COMMAND_H
#define FORKFUL_SERVICE_LAUNCH_COMMAND_H

#include "service/service.h"

/* Fills `launch`, which borrows `tail`; its stdin_fd (or -1) is the caller's to close. `key` may
   be NULL. */
struct problem *launch_compose(struct service *service, const struct process *process,
                               const struct spec *spec, const char *spec_text,
                               const struct answer_key *key, struct text *tail,
                               struct launch *launch);

/* For a launch whose caller was a former server's: nobody is told, but the answer is stored. */
bool launch_ticket_nobody(struct service *service, struct process *process,
                          const struct answer_key *key);

#endif
