/* What the kernel tells of this machine; see machine.h. */
#include "api/machine.h"

#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The file as text, cut at `size` - 1. False: not readable. */
static int read_text(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, size - 1) : -1;
    if (fd >= 0) {
        close(fd);
    }
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

long machine_cpus(void)
{
    long count = sysconf(_SC_NPROCESSORS_CONF);
    return count > 0 ? count : 1;
}

/* A mask of fixed size is refused by kernels with more processors: it grows until it fits. */
long machine_usable_cpus(void)
{
    int count = 0;
    for (int room = 1024; room <= 1 << 18 && count == 0; room *= 4) {
        cpu_set_t *mask = CPU_ALLOC((size_t)room);
        if (mask && sched_getaffinity(0, CPU_ALLOC_SIZE((size_t)room), mask) == 0) {
            count = CPU_COUNT_S(CPU_ALLOC_SIZE((size_t)room), mask);
        }
        CPU_FREE(mask);
    }
    return count > 0 ? count : machine_cpus();
}

double cpu_max_quota(const char *text)
{
    double quota, period;
    return sscanf(text, "%lf %lf", &quota, &period) == 2 && period > 0 ? quota / period : -1;
}

/* Our cgroup's path, from the line "0::/path" of /proc/self/cgroup. */
static int own_cgroup(char *out, size_t size)
{
    char text[8192];
    if (!read_text("/proc/self/cgroup", text, sizeof text)) {
        return 0;
    }
    const char *line = strncmp(text, "0::", 3) == 0 ? text : strstr(text, "\n0::");
    if (!line) {
        return 0;
    }
    line = strstr(line, "0::") + 3;
    snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
    return 1;
}

/* The tightest quota from our cgroup up to the root. */
double machine_cpu_quota(void)
{
    char group[3072], path[3200], text[64];
    double tightest = -1;
    if (!own_cgroup(group, sizeof group)) {
        return -1;
    }
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        double quota = read_text(path, text, sizeof text) ? cpu_max_quota(text) : -1;
        if (quota >= 0 && (tightest < 0 || quota < tightest)) {
            tightest = quota;
        }
        char *slash = strrchr(group, '/');
        if (!slash) {
            return tightest;
        }
        *slash = '\0';
    }
}

int64_t meminfo_bytes(const char *text, const char *key)
{
    size_t bytes = strlen(key);
    for (const char *line = text; line; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (strncmp(line, key, bytes) == 0 && line[bytes] == ':') {
            return (int64_t)strtoll(line + bytes + 1, NULL, 10) * 1024;
        }
    }
    return -1;
}

struct machine_memory machine_memory(void)
{
    char text[4096];
    if (!read_text("/proc/meminfo", text, sizeof text)) {
        return (struct machine_memory){-1, -1};
    }
    return (struct machine_memory){meminfo_bytes(text, "MemTotal"),
                                   meminfo_bytes(text, "MemAvailable")};
}
