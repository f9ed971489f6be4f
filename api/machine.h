/*
 * What the kernel tells of this machine: processors, memory, limits of our cgroup. Each function
 * reads anew, in microseconds, and never fails: what is not to be found out is 0 or negative.
 */
#ifndef FORKFUL_API_MACHINE_H
#define FORKFUL_API_MACHINE_H

#include <stddef.h>
#include <stdint.h>

long machine_cpus(void);              /* configured; 1 at least */
long machine_usable_cpus(void);       /* in our affinity mask; 1 at least */
double machine_cpu_quota(void);       /* processors our cgroups allow; negative: no quota */

struct machine_memory {
    int64_t total_bytes, available_bytes;   /* negative: not known */
};
struct machine_memory machine_memory(void);

/* "key:   123 kB" out of the text of /proc/meminfo, in bytes; negative: not there. */
int64_t meminfo_bytes(const char *text, const char *key);
/* "200000 100000" → 2.0; "max …" → negative. */
double cpu_max_quota(const char *text);

#endif
