/*
 * Whether the last change of something is committed: what is shown before may be taken back by a crash.
 *
 * Who shows something that is pending answers after the commit, everybody else at once. Embedded in
 * its owner, which calls pending_forget before it is freed. Loop thread only.
 */
#ifndef FORKFUL_SERVICE_PENDING_H
#define FORKFUL_SERVICE_PENDING_H

#include "service/recorder.h"

struct pending {                       /* zeroed = all is committed */
    struct after_commit after;
    struct recorder *recorder;
    bool again;                        /* it has changed since `after` was queued */
};

/* It has changed; the change goes into the open batch. */
void pending_mark(struct pending *pending, struct recorder *recorder);
bool pending_is(const struct pending *pending);
void pending_forget(struct pending *pending);

#endif
