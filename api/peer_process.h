/*
 * Whether a connection on the Unix socket comes out of a sandbox.
 *
 * There the daemon's own user needs no token, and a process in a sandbox is as a rule that user's: asked
 * as such, the daemon would give it all that the sandbox keeps from it. So who is in one, or may be, has
 * to show a token. The processes above the caller tell: what has lost its parent comes back to the
 * keeper, so that each descendant of a process of ours is found below it or, as an orphan of nobody
 * knows whom, below the keeper. Not found is what a keeper had adopted that was killed since.
 */
#ifndef FORKFUL_API_PEER_PROCESS_H
#define FORKFUL_API_PEER_PROCESS_H

#include <stdbool.h>
#include <sys/types.h>

#include "service/service.h"

/* `pid`: of who connected. Reads /proc, but not before a process with a sandbox was made. */
bool peer_may_be_sandboxed(const struct service *service, pid_t pid);

#endif
