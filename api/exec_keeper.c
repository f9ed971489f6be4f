/*
 * Executing the embedded keeper.
 *
 * The kernel may forbid to execute a memfd (vm.memfd_noexec=2, security modules), and a directory
 * may lie on a file system mounted noexec. So the places are tried in order, and the first that
 * works wins. Each way ends in a descriptor for fexecve, so the file, where there is one, can be
 * unlinked before.
 */
#include "api/exec_keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "api/assets.h"
#include "api/state_dir.h"
#include "service/resume_blob.h"

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u              /* Linux 6.3; older kernels answer EINVAL */
#endif

#define RESUME_STATE_DIR 2            /* numbers of the blob's strings */
#define RESUME_RUNTIME_DIR 3

static int write_keeper(int fd)
{
    const struct asset *keeper = asset_keeper();
    for (size_t done = 0; done < keeper->length;) {
        ssize_t n = write(fd, keeper->bytes + done, keeper->length - done);
        if (n < 0 && errno != EINTR) {
            return -errno;
        }
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int keeper_in_memory(void)
{
    int fd = memfd_create("forkful-keeper", MFD_CLOEXEC | MFD_EXEC);
    if (fd < 0 && errno == EINVAL) {
        fd = memfd_create("forkful-keeper", MFD_CLOEXEC);
    }
    if (fd < 0) {
        return -errno;
    }
    int error = write_keeper(fd);
    if (error) {
        close(fd);
    }
    return error ? error : fd;
}

/* A file open for writing cannot be executed (ETXTBSY): the same one is opened again for reading,
   not what its name may have come to mean to who owns the directory. */
static int keeper_in_file(const char *directory)
{
    char path[PATH_MAX], same[32];
    int bytes = snprintf(path, sizeof path, "%s/keeper.%d", directory, getpid());
    if (*directory == '\0' || bytes >= (int)sizeof path) {
        return -ENOENT;
    }
    unlink(path);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700);
    if (fd < 0) {
        return -errno;
    }
    int error = write_keeper(fd);
    snprintf(same, sizeof same, "/proc/self/fd/%d", fd);
    int reader = error ? -1 : open(same, O_RDONLY | O_CLOEXEC);
    error = error ? error : -errno;
    close(fd);
    unlink(path);
    return reader < 0 ? error : reader;
}

/* Executes what `fd` holds and closes it when that fails. A negative `fd` is an errno and comes
   back. */
static int execute(int fd, char *const argv[])
{
    if (fd < 0) {
        return fd;
    }
    fexecve(fd, argv, environ);
    int error = errno;
    close(fd);
    return -error;
}

static int execute_somewhere(const struct resume_blob *blob, int blob_fd)
{
    char number[16], name[] = "forkful-keeper", option[] = "--keeper";
    char *const argv[] = {name, option, number, NULL};
    snprintf(number, sizeof number, "%d", blob_fd);
    int error = execute(keeper_in_memory(), argv);
    if (error) {
        error = execute(keeper_in_file(resume_blob_string(blob, RESUME_RUNTIME_DIR)), argv);
    }
    if (error) {
        error = execute(keeper_in_file(resume_blob_string(blob, RESUME_STATE_DIR)), argv);
    }
    return error;
}

static void set_inherited(void *context, int fd)
{
    const int *flags = context;
    fcntl(fd, F_SETFD, *flags);
}

/* After an upgrade the blob's descriptor is still that of the old binary, but the servers to come are
   of this one, as the keeper is. */
static void take_own_binary(int binary_fd)
{
    int own = binary_fd >= 0 ? open("/proc/self/exe", O_PATH | O_CLOEXEC) : -1;
    if (own >= 0) {
        dup3(own, binary_fd, O_CLOEXEC);
        close(own);
    }
}

int exec_keeper_with_blob(int blob_fd)
{
    struct resume_blob blob;
    int inherited = 0, own = FD_CLOEXEC;
    int error = resume_blob_open(&blob, blob_fd);
    if (error) {
        return error;
    }
    take_own_binary(blob.head.binary_fd);
    state_dir_lock_sign(blob.head.lock_fd);
    set_inherited(&inherited, blob_fd);
    resume_blob_each_fd(&blob, set_inherited, &inherited);
    error = execute_somewhere(&blob, blob_fd);
    resume_blob_each_fd(&blob, set_inherited, &own);
    set_inherited(&own, blob_fd);
    resume_blob_close(&blob);
    return error;
}
