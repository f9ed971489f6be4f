/* Pending changes; see pending.h. */
#include "service/pending.h"

#include <stddef.h>

#include "service/coordination.h"
#include "service/service.h"

/* A change of the meantime may be in the batch that is open now. */
static void committed(struct after_commit *after)
{
    struct pending *pending = (struct pending *)((char *)after - offsetof(struct pending, after));
    pending->changed = pending->again;
    pending->again = false;
}

void pending_mark(struct pending *pending, struct service *service)
{
    pending->service = service;
    pending->changed = true;
    pending->again = pending->after.queued;
}

bool pending_settled(struct pending *pending, bool large)
{
    if (!pending->changed) {
        return true;
    }
    if (pending->after.queued) {
        return false;
    }
    if (!large && coordination_keep(pending->service)) {
        pending->changed = false;
        return true;
    }
    pending->after.run = committed;
    recorder_after(pending->service->recorder, &pending->after);
    return false;
}

void pending_forget(struct pending *pending)
{
    if (pending->after.queued) {
        recorder_forget(pending->service->recorder, &pending->after);
    }
}
