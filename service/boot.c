/*
 * The boot id, from /proc/sys/kernel/random/boot_id: a UUID the kernel draws once per boot.
 */
#include "service/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool from_environment(char out[BOOT_ID_BYTES])
{
#ifdef FORKFUL_FAULTS
    const char *given = getenv("FORKFUL_BOOT_ID");
    if (given && *given && strlen(given) < BOOT_ID_BYTES) {
        memcpy(out, given, strlen(given) + 1);
        return true;
    }
#else
    (void)out;
#endif
    return false;
}

int boot_id_read(char out[BOOT_ID_BYTES])
{
    if (from_environment(out)) {
        return 0;
    }
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    ssize_t n = read(fd, out, BOOT_ID_BYTES - 1);
    int error = n < 0 ? errno : EIO;
    close(fd);
    if (n <= 0) {
        return -error;
    }
    out[n] = '\0';
    out[strcspn(out, "\n")] = '\0';
    return 0;
}
