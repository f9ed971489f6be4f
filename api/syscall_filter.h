/*
 * The server's system calls, narrowed to those that a server of this kind and ordinary programs
 * need (seccomp). The rest fails with EPERM and is told to the kernel's audit log.
 *
 * The filter cannot be taken off again, and an exec keeps it. Should the server become the next
 * keeper, it has it then too, and so have the processes that are started after that; hence the
 * list has what ordinary programs use, as systemd's @system-service has.
 */
#ifndef FORKFUL_API_SYSCALL_FILTER_H
#define FORKFUL_API_SYSCALL_FILTER_H

/* For this thread and all that it will start: call it before there are others. Also sets
   no_new_privs. 0, or a negative errno. */
int syscall_filter_install(void);

#endif
