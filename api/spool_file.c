/*
 * Opening or making the spool's file.
 *
 * A spool of this boot and this version is used again, with the facts in it that no server has
 * stored yet. Any other is replaced by a new file under the same name, and only once the new one
 * is complete, with all its blocks: a daemon that has started does not fail later for want of
 * room here.
 */
#include "api/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "service/boot.h"
#include "service/spool.h"

static bool failed(const struct directory *runtime, const char *call, int error,
                   struct refusal *refusal)
{
    return refuse(refusal, "%s/spool: %s: %s", runtime->path, call, strerror(error));
}

/* Two daemons with state directories of their own may be given one runtime directory by mistake. */
static bool lock(const struct directory *runtime, int fd, struct refusal *refusal)
{
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        return true;
    }
    if (errno != EWOULDBLOCK) {
        return failed(runtime, "flock", errno, refusal);
    }
    return refuse(refusal, "the runtime directory %s is in use by another daemon; another one can "
                  "be named with --runtime-dir", runtime->path);
}

/* Opens what is there into *fd. *usable: it is of this boot and this version. */
static bool try_old(const struct directory *runtime, const char *boot_id, int *fd, bool *usable,
                    struct refusal *refusal)
{
    struct spool spool;
    *usable = false;
    *fd = openat(runtime->fd, "spool", O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (*fd < 0) {
        return errno == ENOENT || failed(runtime, "open", errno, refusal);
    }
    if (!lock(runtime, *fd, refusal)) {
        return false;
    }
    int error = spool_open(&spool, *fd, boot_id);
    if (error && error != -ESTALE && error != -EPROTO) {
        return failed(runtime, "open", -error, refusal);
    }
    *usable = error == 0;
    if (*usable) {
        spool_close(&spool);
    }
    return true;
}

static bool fill(const struct directory *runtime, int fd, uint64_t ring_bytes, const char *boot_id,
                 struct refusal *refusal)
{
    struct spool spool;
    uint64_t whole_pages = ring_bytes / SPOOL_HEADER_BYTES * SPOOL_HEADER_BYTES;
    int error = spool_create(&spool, fd, whole_pages, boot_id);
    if (error == -ENOSPC || error == -EDQUOT) {
        return refuse(refusal, "there is no room for the spool (%" PRIu64 " MiB) in %s; "
                      "--runtime-dir names another place, --spool-bytes a smaller size",
                      ring_bytes >> 20, runtime->path);
    }
    if (error) {
        return failed(runtime, "create", -error, refusal);
    }
    spool_close(&spool);
    return true;
}

/* Makes a new one in *fd; the old one's descriptor, and with it its lock, is given up last. */
static bool make_new(const struct directory *runtime, uint64_t ring_bytes, const char *boot_id,
                     int *fd, struct refusal *refusal)
{
    int new_fd;
    unlinkat(runtime->fd, "spool.new", 0);
    new_fd = openat(runtime->fd, "spool.new", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (new_fd < 0) {
        return failed(runtime, "open", errno, refusal);
    }
    bool good = lock(runtime, new_fd, refusal) &&
                fill(runtime, new_fd, ring_bytes, boot_id, refusal);
    if (good && renameat(runtime->fd, "spool.new", runtime->fd, "spool") < 0) {
        good = failed(runtime, "rename", errno, refusal);
    }
    if (!good) {
        unlinkat(runtime->fd, "spool.new", 0);
    }
    if (*fd >= 0) {
        close(*fd);
    }
    *fd = new_fd;
    return good;
}

bool spool_file_open(const struct directory *runtime, uint64_t ring_bytes, int *fd,
                     struct refusal *refusal)
{
    char boot_id[BOOT_ID_BYTES];
    bool usable;
    *fd = -1;
    int error = boot_id_read(boot_id);
    if (error) {
        return refuse(refusal, "/proc/sys/kernel/random/boot_id: %s", strerror(-error));
    }
    bool good = try_old(runtime, boot_id, fd, &usable, refusal) &&
                (usable || make_new(runtime, ring_bytes, boot_id, fd, refusal));
    if (!good && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    return good;
}
