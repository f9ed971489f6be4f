/*
 * Fault points of the test builds: where the environment says so, end by SIGKILL or fail a call.
 *
 * FORKFUL_FAULT=name:N and FORKFUL_FAULT_ONCE=file for fault_point; FORKFUL_FAIL=name:ERRNO[:N]
 * for fault_errno; FORKFUL_CLOCK=file, mapped, for fault_clock_us. The environment is looked at on each passage, so a process that clears it is
 * safe from then on. The counters are this process's own; keeper and server each count for
 * themselves. Other builds contain nothing of this.
 */
#include "service/fault.h"

#ifdef FORKFUL_FAULTS

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const struct { const char *name; int number; } fault_errnos[] = {
    {"EAGAIN", EAGAIN}, {"ENOMEM", ENOMEM}, {"EMFILE", EMFILE}, {"ENFILE", ENFILE},
    {"ENOSPC", ENOSPC}, {"EIO", EIO},       {"EPERM", EPERM},   {"EACCES", EACCES},
    {"ENOENT", ENOENT}, {"ENOSYS", ENOSYS}, {"EINVAL", EINVAL}, {"EINTR", EINTR},
    {"EPIPE", EPIPE},   {"EBUSY", EBUSY},
};

/* What follows "name:" in the variable, or NULL when it is about another name. */
static const char *fault_argument(const char *variable, const char *name)
{
    const char *value = getenv(variable);
    size_t length = strlen(name);
    if (value == NULL || strncmp(value, name, length) != 0 || value[length] != ':') {
        return NULL;
    }
    return value + length + 1;
}

/* True for the first process that gets here; always true without FORKFUL_FAULT_ONCE. */
static bool fault_first_time(void)
{
    const char *path = getenv("FORKFUL_FAULT_ONCE");
    if (path == NULL) {
        return true;
    }
    int fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        return false;
    }
    close(fd);
    return true;
}

void fault_point(const char *name)
{
    static _Atomic long passages;
    const char *count = fault_argument("FORKFUL_FAULT", name);
    if (count == NULL || atomic_fetch_add(&passages, 1) + 1 != strtol(count, NULL, 10)) {
        return;
    }
    if (fault_first_time()) {
        kill(getpid(), SIGKILL);
    }
}

int fault_errno(const char *name)
{
    static _Atomic long failures;
    const char *word = fault_argument("FORKFUL_FAIL", name);
    if (word == NULL) {
        return 0;
    }
    const char *limit = strchr(word, ':');
    size_t length = limit != NULL ? (size_t)(limit - word) : strlen(word);
    if (limit != NULL && atomic_fetch_add(&failures, 1) >= strtol(limit + 1, NULL, 10)) {
        return 0;
    }
    for (size_t i = 0; i < sizeof fault_errnos / sizeof *fault_errnos; i++) {
        if (strlen(fault_errnos[i].name) == length &&
            strncmp(fault_errnos[i].name, word, length) == 0) {
            return fault_errnos[i].number;
        }
    }
    return EIO;
}

int64_t fault_clock_us(void)
{
    static const int64_t *ahead;
    static const int64_t none;
    const char *path = ahead == NULL ? getenv("FORKFUL_CLOCK") : NULL;
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (ahead == NULL) {
        void *file = fd >= 0 ? mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
        ahead = file != MAP_FAILED ? file : &none;
    }
    if (fd >= 0) {
        close(fd);
    }
    return *(const volatile int64_t *)ahead;
}

#endif
