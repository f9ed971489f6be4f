/*
 * What a server process finds when the keeper starts it: descriptors on fixed numbers, the rest in
 * the environment. The keeper (keeper/server.c) arranges this, the server's main takes it up.
 *
 * stdin is /dev/null; stdout and stderr are the keeper's. Every other descriptor is closed. None
 * has FD_CLOEXEC: the server sets it at once on all of them, and clears it again only when it
 * becomes the next keeper (adoption) and hands them on in a resume blob. All signals are at their
 * default and unblocked. No PDEATHSIG is set: the server survives its keeper on purpose, and
 * learns of the keeper's end by end-of-file on SERVER_FD_LINK.
 *
 * Behind the listeners come, in this order and only where they exist, the binary, the directory
 * of the children's cgroups, and the socket to the service manager; the environment has their
 * numbers.
 */
#ifndef FORKFUL_SERVICE_SERVER_FDS_H
#define FORKFUL_SERVICE_SERVER_FDS_H

enum server_fd {
    SERVER_FD_LINK = 3,      /* SOCK_SEQPACKET to the keeper: service/commands.h */
    SERVER_FD_SPOOL = 4,     /* spool_attach() */
    SERVER_FD_FACTS = 5,     /* eventfd; the keeper writes it when facts came while we slept */
    SERVER_FD_ROOM = 6,      /* eventfd; the server writes it when spool_release() says so */
    SERVER_FD_LOCK = 7,      /* the state directory's lock; never touched, only kept open */
    SERVER_FD_LISTENERS = 8, /* FORKFUL_LISTENERS of them, bound and listening */
};

/* Environment of the server. Numbers are decimal. */
#define SERVER_ENV_LISTENERS "FORKFUL_LISTENERS"       /* how many listeners from 8 on */
#define SERVER_ENV_TLS "FORKFUL_TLS_LISTENERS"         /* those with TLS: a bit each, the first is bit 0 */
#define SERVER_ENV_BINARY_FD "FORKFUL_BINARY_FD"       /* the forkful binary, for execveat */
#define SERVER_ENV_CGROUP_FD "FORKFUL_CGROUP_FD"       /* unset: no cgroups; for resume.cgroup_fd */
#define SERVER_ENV_NOTIFY_FD "FORKFUL_NOTIFY_FD"       /* unset: none; for resume.notify_fd */
#define SERVER_ENV_BINARY "FORKFUL_BINARY"             /* its path, as the launcher found it */
#define SERVER_ENV_STATE_DIR "FORKFUL_STATE_DIR"
#define SERVER_ENV_RUNTIME_DIR "FORKFUL_RUNTIME_DIR"
#define SERVER_ENV_CONFIG "FORKFUL_CONFIG"             /* empty: none */
#define SERVER_ENV_RESTARTS "FORKFUL_SERVER_RESTARTS"  /* 0: the first server of this chain */
#define SERVER_ENV_SOFT_NOFILE "FORKFUL_SOFT_NOFILE"   /* for resume.soft_nofile */
#define SERVER_ENV_USERS "FORKFUL_USERS"               /* empty: as the keeper; for the blob */
#define SERVER_ENV_CORE_DUMPS "FORKFUL_CORE_DUMPS"     /* 1: for resume.core_dumps */
#define SERVER_ENV_STARTED_AT "FORKFUL_KEEPER_STARTED_AT_US" /* for resume.keeper_started_at_us */

#endif
