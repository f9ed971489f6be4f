/* What one living process tells of itself in /proc; see procfs.h. */
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "api/procfs.h"

size_t proc_file(pid_t pid, const char *file, char *out, size_t size)
{
    char path[64];
    size_t held = 0;
    ssize_t n;
    snprintf(path, sizeof path, "/proc/%d/%s", pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && held < size - 1 && (n = read(fd, out + held, size - 1 - held)) > 0) {
        held += (size_t)n;
    }
    if (fd >= 0) {
        close(fd);
    }
    out[held] = '\0';
    return held;
}

/* Fields behind the name, by proc(5): 3 state, 4 ppid, 6 session, 14 utime, 15 stime, 20 threads,
   22 starttime, 23 vsize, 24 rss in pages. */
static bool parse_fields(const char *text, struct proc_stat *out)
{
    uint64_t rss_pages = 0;
    int read = sscanf(text,
                      " %c %d %*d %d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
                      " %*d %*d %*d %*d %" SCNu64 " %*d %" SCNu64 " %" SCNu64 " %" SCNu64,
                      &out->state, &out->parent, &out->session, &out->user_ticks,
                      &out->system_ticks, &out->threads, &out->start_ticks, &out->virtual_bytes,
                      &rss_pages);
    out->rss_bytes = rss_pages * (uint64_t)sysconf(_SC_PAGESIZE);
    return read == 9;
}

bool proc_stat_parse(const char *line, struct proc_stat *out)
{
    const char *open = strchr(line, '(');
    const char *close = strrchr(line, ')'); /* the name may hold some, what follows none */
    *out = (struct proc_stat){.pid = (pid_t)atoi(line)};
    if (out->pid <= 0 || !open || !close || close < open) {
        return false;
    }
    size_t bytes = (size_t)(close - open - 1);
    bytes = bytes < sizeof out->comm ? bytes : sizeof out->comm - 1;
    memcpy(out->comm, open + 1, bytes);
    return parse_fields(close + 1, out);
}

bool proc_stat_of(pid_t pid, struct proc_stat *out)
{
    char line[1024];
    return pid > 0 && proc_file(pid, "stat", line, sizeof line) && proc_stat_parse(line, out);
}

/* Since Linux 6.2 the directory's size is the count; before, it is 0. */
int64_t proc_fd_count(pid_t pid)
{
    char path[32];
    struct stat status;
    int64_t count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    DIR *directory = opendir(path);
    if (!directory) {
        return -1;
    }
    if (fstat(dirfd(directory), &status) == 0 && status.st_size > 0) {
        count = status.st_size;
    } else {
        const struct dirent *entry;
        while ((entry = readdir(directory))) {
            count += entry->d_name[0] != '.';
        }
    }
    closedir(directory);
    return count;
}

int64_t proc_ticks_us(uint64_t ticks)
{
    return (int64_t)(ticks * 1000000u / (uint64_t)sysconf(_SC_CLK_TCK));
}

int64_t proc_started_at_us(uint64_t start_ticks)
{
    struct timespec boot;
    clock_gettime(CLOCK_BOOTTIME, &boot);
    int64_t since_boot_us = (int64_t)boot.tv_sec * 1000000 + boot.tv_nsec / 1000;
    return time_now_us() - since_boot_us + proc_ticks_us(start_ticks);
}
