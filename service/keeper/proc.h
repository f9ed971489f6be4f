/*
 * What the keeper reads of /proc: a process's parent, session, start and end, and its environment.
 * No allocation. False, or 0 bytes, where the process is gone or not ours to look at.
 */
#ifndef FORKFUL_KEEPER_PROC_H
#define FORKFUL_KEEPER_PROC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "service/facts.h"

struct proc_stat {
    char state;               /* 'R', 'S', 'Z' … */
    pid_t parent, session;
    uint64_t start_ticks;     /* field 22 */
    int exit_code;            /* field 52: as wait(2) gives it; 0 where we may not see it */
};

/* The numbers behind `prefix` in a directory's names, in its order (ascending for /proc). */
size_t proc_numbers(int directory, const char *prefix, int32_t *numbers, size_t max);

size_t proc_read(pid_t pid, const char *file, char *text, size_t size); /* NUL-terminated */
bool proc_stat_read(pid_t pid, struct proc_stat *stat);

/* Whose FORKFUL_PROCESS_ID has the process in its environment: 1 this one's, -1 other, 0 none */
int proc_marked(pid_t pid, const struct fact_id *process);

#endif
