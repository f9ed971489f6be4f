/*
 * `forkful serve`: everything that must be right before there is a daemon.
 *
 * Reads options and configuration, locks the state directory, makes the token, binds the
 * listeners, opens the spool, and becomes the keeper in the same process. Whatever is wrong is
 * said in one sentence on stderr, nothing is left behind, and the exit status tells a wrong
 * command line (2) from the rest (1).
 */
#ifndef FORKFUL_API_LAUNCHER_H
#define FORKFUL_API_LAUNCHER_H

/* Returns an exit status, and only when the daemon could not be started. */
int launcher_serve(int argc, char **argv);

#endif
