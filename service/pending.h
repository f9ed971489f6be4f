/*
 * Whether the last change of something is safe: what is shown before may be taken back by a crash.
 *
 * Who shows something that is not safe yet answers after the commit, everybody else at once. Embedded
 * in its owner, which calls pending_forget before it is freed. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_PENDING_H
#define FORKFUL_SERVICE_PENDING_H

#include "service/recorder.h"

struct service;

struct pending {                       /* zeroed = all is safe */
    struct after_commit after;
    struct service *service;
    bool changed;
    bool again;                        /* it has changed since `after` was queued */
};

/* It has changed; the change goes into the open batch. */
void pending_mark(struct pending *pending, struct service *service);
/* It is safe now, in the database or the journal. False: answer after the commit of the open batch.
   `large`: do not try the journal, it has no room for such a thing. */
bool pending_settled(struct pending *pending, bool large);
void pending_forget(struct pending *pending);

#endif
