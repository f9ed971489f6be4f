/*
 * Adoption: what becomes of children whose keeper was killed.
 *
 * If this server lives it writes the resume blob of the next keeper. The children go on: their pipes
 * and exit statuses live in the descriptors of our custody. What the old keeper alone knew
 * (deadlines, limits, counters) is in our records, because every such thing is a fact. Whoever calls
 * executes the embedded keeper with the blob in this very process.
 *
 * If both were killed, the next start finds the living ones by pid and what makes it theirs. Their
 * pipes are gone; but they can be stopped, what they hold stays theirs, and a new kernel tells how
 * they end.
 */
#ifndef FORKFUL_SERVICE_ADOPTION_H
#define FORKFUL_SERVICE_ADOPTION_H

#include "service/resume_blob.h"
#include "service/service.h"

/* `head` and `strings`: everything but the entries. Returns the memfd or a negative errno. */
int adoption_blob(struct service *service, struct resume *head,
                  const struct resume_strings *strings);

/* Has the keeper take over a process that it does not know. False: it is not there any more, or
   works for a pool, which needs its pipes. Should the keeper refuse, it is lost later. */
bool adoption_take_over(struct service *service, struct process *process);

#endif
