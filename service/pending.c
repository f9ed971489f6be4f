/* Pending changes; see pending.h. */
#include "service/pending.h"

#include <stddef.h>

/* Those of the meantime may be in the batch that is open now: one more commit is waited for. */
static void committed(struct after_commit *after)
{
    struct pending *pending = (struct pending *)((char *)after - offsetof(struct pending, after));
    if (pending->again) {
        pending->again = false;
        recorder_after(pending->recorder, after);
    }
}

void pending_mark(struct pending *pending, struct recorder *recorder)
{
    pending->recorder = recorder;
    if (pending->after.queued) {
        pending->again = true;
    } else {
        pending->after.run = committed;
        recorder_after(recorder, &pending->after);
    }
}

bool pending_is(const struct pending *pending)
{
    return pending->after.queued;
}

void pending_forget(struct pending *pending)
{
    if (pending->recorder) {
        recorder_forget(pending->recorder, &pending->after);
    }
}
