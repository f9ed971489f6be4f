/*
 * Reading /proc; the contract is in proc.h. Field numbers are those of proc(5). The command's name
 * in `stat` may hold anything, blanks and parentheses too, so fields count from the last ')'.
 */
#include "service/keeper/proc.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ENVIRON_BYTES (256u << 10)
#define MARKER "FORKFUL_PROCESS_ID="

struct entry { /* struct linux_dirent64: getdents64 needs no allocation, opendir does */
    uint64_t inode, offset;
    unsigned short bytes;
    unsigned char type;
    char name[];
};

size_t proc_numbers(int directory, const char *prefix, int32_t *numbers, size_t max)
{
    static _Alignas(8) char buffer[32768];
    size_t count = 0, skip = strlen(prefix);
    long got;
    lseek(directory, 0, SEEK_SET);
    while ((got = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < got;) {
            const struct entry *entry = (const void *)(buffer + at);
            at += entry->bytes;
            const char *digits = entry->name + skip;
            if (strncmp(entry->name, prefix, skip) == 0 && *digits >= '0' && *digits <= '9' &&
                count < max) {
                numbers[count++] = (int32_t)strtol(digits, NULL, 10);
            }
        }
    }
    return count;
}

size_t proc_read(pid_t pid, const char *file, char *text, size_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t have = 0;
    ssize_t got = fd < 0 ? 0 : 1;
    while (got > 0 && have < size - 1) {
        got = read(fd, text + have, size - 1 - have);
        have += got > 0 ? (size_t)got : 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    text[have] = 0;
    return have;
}

bool proc_stat_read(pid_t pid, struct proc_stat *stat)
{
    char text[2048];
    memset(stat, 0, sizeof *stat);
    proc_read(pid, "stat", text, sizeof text);
    char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ') {
        return false;
    }
    stat->state = at[2];
    at += 3;
    for (int field = 4; *at != 0; field++) {
        unsigned long long value = strtoull(at, &at, 10);
        if (field == 4) {
            stat->parent = (pid_t)value;
        } else if (field == 6) {
            stat->session = (pid_t)value;
        } else if (field == 22) {
            stat->start_ticks = value;
        } else if (field == 52) {
            stat->exit_code = (int)value;
        }
        if (*at == '\n') {
            break;
        }
    }
    return true;
}

/* "p_" and the ULID's 26 digits, as the API writes a process's id. */
static void id_text(const struct fact_id *process, char text[29])
{
    static const char digits[] = "0123456789abcdefghjkmnpqrstvwxyz";
    unsigned __int128 value = 0;
    for (int i = 0; i < 16; i++) {
        value = value << 8 | process->bytes[i];
    }
    for (int i = 27; i >= 2; i--, value >>= 5) {
        text[i] = digits[(unsigned)value & 31];
    }
    text[0] = 'p';
    text[1] = '_';
    text[28] = 0;
}

int proc_marked(pid_t pid, const struct fact_id *process)
{
    static char text[ENVIRON_BYTES];
    char id[29];
    size_t size = proc_read(pid, "environ", text, sizeof text);
    const char *at = text;
    while (at < text + size && strncmp(at, MARKER, sizeof MARKER - 1) != 0) {
        at += strlen(at) + 1;
    }
    if (at >= text + size) {
        return 0;
    }
    id_text(process, id);
    return strcmp(at + sizeof MARKER - 1, id) == 0 ? 1 : -1;
}
