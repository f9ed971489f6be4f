/*
 * Named fault points, compiled into test builds only (-DFORKFUL_FAULTS).
 *
 * FAULT_POINT("after_commit") ends this process with SIGKILL at its Nth passage when the
 * environment has FORKFUL_FAULT=after_commit:N. FORKFUL_FAULT_ONCE names a file that is made
 * (O_EXCL) first: if it is there already nothing happens, so that the restarted process passes.
 * FAULT_ERRNO("fork") gives an errno to fail with instead, from FORKFUL_FAIL=fork:EAGAIN[:N] (N:
 * how many times; all when left out). FAULT_CLOCK_US() is what the wall clock is ahead by: a number
 * in the file that FORKFUL_CLOCK names, for the keeper, into which nothing can be preloaded. In
 * other builds all of them cost nothing.
 */
#ifndef FORKFUL_SERVICE_FAULT_H
#define FORKFUL_SERVICE_FAULT_H

#ifdef FORKFUL_FAULTS
#include <stdint.h>

void fault_point(const char *name);
int fault_errno(const char *name); /* 0: go on; else an errno */
int64_t fault_clock_us(void);
#define FAULT_POINT(name) fault_point(name)
#define FAULT_ERRNO(name) fault_errno(name)
#define FAULT_CLOCK_US() fault_clock_us()
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_ERRNO(name) 0
#define FAULT_CLOCK_US() 0
#endif

#endif
