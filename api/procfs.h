/*
 * What the kernel tells of living processes: trees and what they use, read from /proc.
 *
 * A tree is walked by /proc/PID/task/TID/children, so that a look costs what the tree is large,
 * not what the machine runs (reading every /proc/PID/stat of 2,000 processes takes 20 ms, a tree
 * of ten 0.1 ms). Kernels without that file get one scan of /proc instead. What has lost its
 * parent is found in the process's cgroup. A process without one has its orphans among the keeper's
 * children, told apart by FORKFUL_PROCESS_ID in their environment, or by their session.
 *
 * A pid is good here while our record says that its process lives: the keeper has not reaped it.
 * Everything is a picture of one moment, and may be over when it is told. Loop thread only.
 */
#ifndef FORKFUL_API_PROCFS_H
#define FORKFUL_API_PROCFS_H

#include <sys/types.h>

#include "service/service.h"

#define PROCFS_COMM_BYTES 64

struct proc_stat {                    /* one line of /proc/PID/stat */
    pid_t pid, parent, session;
    char state;                       /* 'R', 'S', 'D', 'T', 't', 'Z', 'X', 'I' */
    char comm[PROCFS_COMM_BYTES];     /* the kernel's name; any bytes but NUL */
    uint64_t user_ticks, system_ticks, start_ticks;
    uint64_t threads, virtual_bytes, rss_bytes;
};

struct proc_member {                  /* a living process of a tree */
    struct proc_stat stat;
    unsigned depth;                   /* 0: the main process */
};

struct procfs;

/* The parts all looks share (the orphans are looked up once, at the first need). NULL: no
   memory. */
struct procfs *procfs_open(const struct service *service);
void procfs_close(struct procfs *procfs);   /* NULL is fine */

/* The living members of a process's tree, parents before their children; malloc'ed, or NULL when
   there are none. */
struct proc_member *procfs_tree(struct procfs *procfs, const struct process *process,
                                size_t *count);
/* Sets `descendants` of a living process to what is true now; stores nothing. Of an ended one
   the keeper tells. */
void procfs_refresh(struct procfs *procfs, struct process *process);

/* False: not the form the kernel writes. The name may hold blanks, parentheses and newlines. */
bool proc_stat_parse(const char *line, struct proc_stat *out);
bool proc_stat_of(pid_t pid, struct proc_stat *out);        /* false: gone */

/* The file's bytes, at most `size` - 1, with a NUL behind them. 0: gone, or not ours to see. */
size_t proc_file(pid_t pid, const char *file, char *out, size_t size);
/* How many descriptors it has open; -1: not ours to see. */
int64_t proc_fd_count(pid_t pid);

int64_t proc_ticks_us(uint64_t ticks);                      /* clock ticks as a duration */
int64_t proc_started_at_us(uint64_t start_ticks);           /* as a wall-clock time */

#endif
