/* Secrets from files; see secrets.h. */
#include "service/secrets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "service/policy.h"

/* ---- may they be read? ---- */

static struct problem *deny(struct problem *problem, const struct secret *secret, const char *why)
{
    struct text pointer = {0};
    policy_pointer(&pointer, "/env_from", secret->name, strlen(secret->name));
    text_put(&pointer, "/file");
    problem = problem_add(problem, PROBLEM_SPAWN_DENIED, FAULT_POINTER,
                          pointer.failed ? "/env_from" : pointer.data, "%s", why);
    text_free(&pointer);
    return problem;
}

/* By its name alone: so that what is elsewhere is refused alike, whether it is there or not. */
static bool is_named_below(const struct config_list *directories, const char *file)
{
    for (size_t i = 0; i < directories->count; i++) {
        const char *root = directories->items[i];
        size_t bytes = strlen(root);
        while (bytes && root[bytes - 1] == '/') {
            bytes--;
        }
        if (strncmp(file, root, bytes) == 0 && file[bytes] == '/') {
            return true;
        }
    }
    return false;
}

/* O_PATH: a device or a pipe is not touched by it. */
static struct problem *check_file(const struct config_list *directories, struct secret *secret,
                                  struct problem *problem)
{
    if (!is_named_below(directories, secret->file)) {
        return deny(problem, secret, "it is in no directory of spawn.secret_directories");
    }
    secret->fd = open(secret->file, O_PATH | O_CLOEXEC);
    secret->error = secret->fd < 0 ? errno : 0;
    if (secret->fd >= 0 && !policy_list_has(directories, true, secret->fd)) {
        return deny(problem, secret, "it leads out of spawn.secret_directories");
    }
    return problem;
}

struct problem *secrets_check(const struct service *service, const struct owner *asker,
                              struct spec *spec, struct problem *problem)
{
    const struct config *config = service->config;
    if (!spec->secret_count) {
        return problem;
    }
    if (asker->kind == PARENT_PROCESS && !config->spawn_secrets_for_processes) {
        return problem_add(problem, PROBLEM_SPAWN_DENIED, FAULT_POINTER, "/env_from",
                           "processes may not ask for it: spawn.secrets_for_processes");
    }
    for (unsigned i = 0; i < spec->secret_count; i++) {
        problem = check_file(&config->spawn_secret_directories, &spec->secrets[i], problem);
    }
    return problem;
}

/* ---- reading ---- */

static struct problem *not_read(const struct secret *secret, int error, const char *why)
{
    struct problem *problem = problem_make(PROBLEM_SPAWN_FAILED, "%s: the file of %s %s",
                                           spawn_stage_name(STAGE_ENV), secret->name, why);
    problem->error = error;
    problem->stage = spawn_stage_name(STAGE_ENV);
    return problem;
}

/* The file that was judged, opened once more for reading. A negative errno. */
static int reopen(const struct secret *secret)
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", secret->fd);
    int fd = open(link, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    return fd < 0 ? -errno : fd;
}

/* Up to `room` bytes, or a negative errno. */
static ssize_t read_bytes(int fd, char *bytes, size_t room)
{
    size_t used = 0;
    ssize_t got = 1;
    while (used < room && got > 0) {
        got = read(fd, bytes + used, room - used);
        if (got < 0) {
            return -errno;
        }
        used += (size_t)got;
    }
    return (ssize_t)used;
}

/* "NAME=value" of a file that is open for reading. */
static struct problem *take_value(struct secret *secret, int fd)
{
    size_t name = strlen(secret->name);
    char *pair = malloc(name + 1 + SECRET_BYTES_MAX + 2);
    if (!pair) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for a secret");
    }
    secret->pair = pair;
    memcpy(pair, secret->name, name);
    pair[name] = '=';
    char *value = pair + name + 1;
    ssize_t bytes = read_bytes(fd, value, SECRET_BYTES_MAX + 1);
    if (bytes < 0) {
        return not_read(secret, (int)-bytes, strerror((int)-bytes));
    }
    if (bytes > (ssize_t)SECRET_BYTES_MAX) {
        return not_read(secret, EFBIG, "has more than 65536 bytes");
    }
    if (memchr(value, '\0', (size_t)bytes)) {
        return not_read(secret, EINVAL, "has a NUL in it, which no variable can have");
    }
    value[bytes - (bytes > 0 && value[bytes - 1] == '\n')] = '\0';
    return NULL;
}

static struct problem *read_one(struct secret *secret)
{
    struct stat status;
    if (secret->fd < 0) {
        return not_read(secret, secret->error, strerror(secret->error));
    }
    if (fstat(secret->fd, &status) < 0 || !S_ISREG(status.st_mode)) {
        return not_read(secret, EINVAL, "is no regular file");
    }
    int fd = reopen(secret);
    if (fd < 0) {
        return not_read(secret, -fd, strerror(-fd));
    }
    struct problem *problem = take_value(secret, fd);
    close(fd);
    return problem;
}

struct problem *secrets_read(struct spec *spec)
{
    struct problem *problem = NULL;
    for (unsigned i = 0; i < spec->secret_count && !problem; i++) {
        problem = read_one(&spec->secrets[i]);
    }
    return problem;
}
