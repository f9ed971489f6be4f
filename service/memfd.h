/*
 * Memfds that hold data and are never executed: the resume blob, spawn bodies, bytes for stdin.
 *
 * Where vm.memfd_noexec is 2, one must say so when it is made; kernels before 6.3 do not know the
 * flag and answer EINVAL. For keeper and server both, hence without a file of its own.
 */
#ifndef FORKFUL_SERVICE_MEMFD_H
#define FORKFUL_SERVICE_MEMFD_H

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u
#endif

/* `flags`: MFD_CLOEXEC, MFD_ALLOW_SEALING. Owned by the caller. A negative errno on failure. */
static inline int memfd_for_data(const char *name, unsigned flags)
{
    int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create(name, flags);
    }
    return fd < 0 ? -errno : fd;
}

/* All of it. 0 or a negative errno. */
static inline int memfd_write(int fd, const void *data, size_t bytes)
{
    for (const char *at = data; bytes > 0;) {
        ssize_t n = write(fd, at, bytes);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        at += n > 0 ? n : 0;
        bytes -= n > 0 ? (size_t)n : 0;
    }
    return 0;
}

#endif
