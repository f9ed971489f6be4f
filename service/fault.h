/*
 * Named fault points, compiled into test builds only (-DFORKFUL_FAULTS).
 *
 * FAULT_POINT("after_commit") ends this process with SIGKILL at its Nth passage when the
 * environment has FORKFUL_FAULT=after_commit:N. FORKFUL_FAULT_ONCE names a file that is made
 * (O_EXCL) first: if it is there already nothing happens, so that the restarted process passes.
 * FAULT_ERRNO("fork") gives an errno to fail with instead, from FORKFUL_FAIL=fork:EAGAIN[:N] (N:
 * how many times; all when left out). In other builds both cost nothing.
 */
#ifndef FORKFUL_SERVICE_FAULT_H
#define FORKFUL_SERVICE_FAULT_H

#ifdef FORKFUL_FAULTS
void fault_point(const char *name);
int fault_errno(const char *name); /* 0: go on; else an errno */
#define FAULT_POINT(name) fault_point(name)
#define FAULT_ERRNO(name) fault_errno(name)
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_ERRNO(name) 0
#endif

#endif
