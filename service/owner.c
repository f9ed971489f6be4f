/* Owners; see owner.h. */
#include "service/owner.h"

#include "service/barrier.h"
#include "service/claim.h"
#include "service/queue.h"
#include "service/service.h"

static struct process *process_of(struct service *service, const struct owner *owner)
{
    return owner->kind == PARENT_PROCESS ? process_table_find(&service->processes, &owner->id)
                                         : NULL;
}

static struct session *session_of(struct service *service, const struct owner *owner)
{
    return owner->kind == PARENT_SESSION ? session_find(service, &owner->id) : NULL;
}

bool owner_lives(struct service *service, const struct owner *owner)
{
    const struct process *process = process_of(service, owner);
    return (process && !process_ended(process)) || session_of(service, owner);
}

struct belongings *owner_belongings(struct service *service, const struct owner *owner)
{
    struct process *process = process_of(service, owner);
    struct session *session = session_of(service, owner);
    return process ? &process->belongings : session ? &session->belongings : NULL;
}

struct hold_cause owner_cause(struct service *service, const struct owner *owner)
{
    struct hold_cause cause = {.by = *owner};
    const struct process *process = process_of(service, owner);
    if (process && (process->exit_kind == EXIT_EXITED || process->exit_kind == EXIT_SIGNALED)) {
        cause.exitcode_known = true;
        cause.exitcode = process->exit_kind == EXIT_EXITED ? process->exit_status
                                                           : -process->exit_status;
    }
    return cause;
}

/* Calls first, so that nothing that is freed here goes to the dead. */
void owner_ended(struct service *service, const struct owner *owner)
{
    struct hold_cause cause = owner_cause(service, owner);
    struct belongings *belongings = owner_belongings(service, owner);
    if (!belongings) {
        return;
    }
    queues_hold_back(service);
    while (belongings->claims) {
        claim_finish(belongings->claims, CLAIM_OWNER_ENDED);
    }
    while (belongings->holds) {
        hold_end(belongings->holds,
                 belongings->holds->revoked ? HOLD_BROKEN : HOLD_OWNER_ENDED, &cause);
    }
    queues_go_on(service);
    while (belongings->objects) {
        object_delete(belongings->objects, "owner_ended");
    }
    barriers_owner_ended(service, owner);
}
