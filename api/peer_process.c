/* The caller's ancestors; see peer_process.h. */
#include "api/peer_process.h"

#include "api/procfs.h"
#include "service/privileges.h"

#define ANCESTORS_MAX 256

static const struct process *process_of(const struct service *service, pid_t pid)
{
    const struct process *process = service->processes.first_live;
    while (process && process->pid != pid) {
        process = process->next_live;
    }
    return process;
}

bool peer_may_be_sandboxed(const struct service *service, pid_t pid)
{
    struct proc_stat stat;
    if (!service->processes.sandboxed) {
        return false;
    }
    for (int i = 0; i < ANCESTORS_MAX; i++) {
        const struct process *process = process_of(service, pid);
        if (process) {
            return process->privileges && process->privileges->sandbox;
        }
        if (pid == service->keeper.keeper_pid || !proc_stat_of(pid, &stat)) {
            return true;               /* an orphan, or gone: nobody can tell */
        }
        if (stat.parent == 0) {
            return false;
        }
        pid = stat.parent;
    }
    return true;
}
