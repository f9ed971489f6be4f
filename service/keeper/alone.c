/*
 * The end without a server: the keeper was asked to end, and no server comes that would see to it.
 *
 * As a rule the signal is told to the server, which joins and stops the processes, stores their
 * ends and says when to go. When none becomes ready (its database cannot be opened, say), the
 * keeper waits a while and then does what it can alone: each tree gets its stop signal, its grace,
 * SIGKILL. What happened stays in the spool, for the next start of the daemon.
 */
#include <signal.h>

#include "service/keeper/keeper.h"

#define PATIENCE_US 5000000       /* when servers end before they are ready */
#define START_PATIENCE_US 30000000 /* when one only takes its time: it may have much to read */

/* SIGINT, SIGTERM, or what an earlier server was told of. */
static bool end_is_asked(const struct keeper *keeper)
{
    const struct server *server = &keeper->server;
    return server->signals[1].signal != 0 || server->signals[2].signal != 0 ||
           keeper->resume.state.shutting_down;
}

static bool server_is_ready(const struct server *server)
{
    return server->pid != 0 && server->ready;
}

int64_t alone_deadline(const struct keeper *keeper)
{
    if (keeper->unready_since_us == 0 || keeper->alone) {
        return 0;
    }
    return keeper->unready_since_us +
           (keeper->server.hasty > 0 ? PATIENCE_US : START_PATIENCE_US);
}

static void alone_begin(struct keeper *keeper)
{
    struct server *server = &keeper->server;
    keeper_log("asked to end, and no server becomes ready: the processes are stopped without one");
    keeper->alone = true;
    keeper->exit_status = 1;
    server->ended_by_us = true;
    server->start_deadline_us = 0;
    link_close(keeper);
    if (server->pid != 0) {
        kill(server->pid, SIGKILL);
    }
}

/* Stops who has not been yet, also one that was just being started. True: somebody may still end
   before SIGKILL. */
static bool alone_stop(struct keeper *keeper, struct child *child)
{
    bool lives = child->state == CHILD_STARTING || child->state == CHILD_RUNNING ||
                 (child->state == CHILD_ENDED && (child->marks & MARK_TREE));
    if (lives && child->stop_deadline_us == 0 && !(child->marks & ENTRY_KILL_SENT)) {
        struct command_stop stop = {STOP_SHUTDOWN, child->stop_signal, child->grace_us};
        stop_begin(keeper, child, &stop);
    }
    return lives && !(child->marks & ENTRY_KILL_SENT);
}

void alone_run(struct keeper *keeper)
{
    bool waits = !keeper->alone && !keeper->exiting && !keeper->server.ended_by_us &&
                 end_is_asked(keeper) && !server_is_ready(&keeper->server);
    if (!waits) {
        keeper->unready_since_us = 0;
    } else if (keeper->unready_since_us == 0) {
        keeper->unready_since_us = keeper->mono_us;
    } else if (alone_deadline(keeper) <= keeper->mono_us) {
        alone_begin(keeper);
    }
    bool left = false;
    for (uint32_t i = 1; keeper->alone && i <= keeper->used; i++) {
        left |= alone_stop(keeper, &keeper->children[i]);
    }
    keeper->exiting |= keeper->alone && !left;
}
