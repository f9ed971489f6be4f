/*
 * Adoption: the keeper was killed, and this server writes the resume blob of its successor.
 *
 * The children go on: their pipes and exit statuses live in the descriptors of our custody. What
 * the old keeper alone knew (deadlines, limits, counters) is in our records, because every such
 * thing is a fact. Whoever calls executes the embedded keeper with the blob in this very process.
 */
#ifndef FORKFUL_SERVICE_ADOPTION_H
#define FORKFUL_SERVICE_ADOPTION_H

#include "service/resume_blob.h"
#include "service/service.h"

/* `head` and `strings`: everything but the entries. Returns the memfd or a negative errno. */
int adoption_blob(struct service *service, struct resume *head,
                  const struct resume_strings *strings);

#endif
