/*
 * Directories and the lock. Paths given are resolved once and used by descriptor and absolute
 * path from then on, so that a later change of directory or of a link leads nobody elsewhere.
 */
#include "api/state_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/procfs.h"

#define SYSTEM_STATE_DIR "/var/lib/forkful"
#define SYSTEM_RUNTIME_DIR "/run/forkful"
#define LOCK_PATIENCE_US 5000000
#define LOCK_PAUSE_US 2000
#define STATE_PATH_MAX 480 /* SQLite takes 512 bytes, with the names of its files */

static const char *environment(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The XDG rules: a relative path in these variables counts as none. */
static const char *environment_absolute(const char *name)
{
    const char *value = environment(name);
    return value && *value == '/' ? value : NULL;
}

/* Writes base and the rest into `out`. */
static bool join(char out[PATH_MAX], const char *base, size_t base_bytes, const char *rest,
                 struct refusal *refusal)
{
    if (base_bytes + strlen(rest) >= PATH_MAX) {
        return refuse(refusal, "the path %.200s… is too long", base);
    }
    snprintf(out, PATH_MAX, "%.*s%s", (int)base_bytes, base, rest);
    return true;
}

/* The service manager may name several directories, with colons between them; the first is ours. */
static bool managed(char out[PATH_MAX], const char *list, struct refusal *refusal)
{
    return join(out, list, strcspn(list, ":"), "", refusal);
}

bool state_dir_choose(char out[PATH_MAX], const char *given, bool *standard,
                      struct refusal *refusal)
{
    const char *base;
    *standard = false;
    if (given) {
        return join(out, given, strlen(given), "", refusal);
    }
    if ((base = environment("STATE_DIRECTORY"))) {
        return managed(out, base, refusal);
    }
    *standard = true;
    if ((base = environment_absolute("XDG_STATE_HOME"))) {
        return join(out, base, strlen(base), "/forkful", refusal);
    }
    if (geteuid() == 0) {
        return join(out, SYSTEM_STATE_DIR, strlen(SYSTEM_STATE_DIR), "", refusal);
    }
    if ((base = environment_absolute("HOME"))) {
        return join(out, base, strlen(base), "/.local/state/forkful", refusal);
    }
    return refuse(refusal, "HOME is not set: say where the state shall be with --state-dir");
}

bool runtime_dir_choose(char out[PATH_MAX], const char *given, const struct directory *state,
                        bool standard, struct refusal *refusal)
{
    const char *base;
    if (given) {
        return join(out, given, strlen(given), "", refusal);
    }
    if ((base = environment("RUNTIME_DIRECTORY"))) {
        return managed(out, base, refusal);
    }
    if (standard && geteuid() == 0 && strcmp(state->path, SYSTEM_STATE_DIR) == 0) {
        return join(out, SYSTEM_RUNTIME_DIR, strlen(SYSTEM_RUNTIME_DIR), "", refusal);
    }
    if (standard && (base = environment_absolute("XDG_RUNTIME_DIR"))) {
        return join(out, base, strlen(base), "/forkful", refusal);
    }
    return join(out, state->path, strlen(state->path), "/run", refusal);
}

/* mkdir -p with mode 0700 for every directory that is made. */
static bool make_path(const char *path, struct refusal *refusal)
{
    char part[PATH_MAX];
    for (size_t i = 1; i <= strlen(path); i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) < 0 && errno != EEXIST) {
            return refuse(refusal, "%s: mkdir: %s", part, strerror(errno));
        }
    }
    return true;
}

static bool check(const char *what, const char *path, int fd, struct refusal *refusal)
{
    struct stat status;
    if (fstat(fd, &status) < 0) {
        return refuse(refusal, "%s: fstat: %s", path, strerror(errno));
    }
    if (status.st_uid != geteuid()) {
        return refuse(refusal, "the %s directory %s belongs to uid %u, not to uid %u that runs "
                      "this", what, path, status.st_uid, geteuid());
    }
    if (status.st_mode & (S_IWGRP | S_IWOTH)) {
        return refuse(refusal, "others may write into the %s directory %s (mode %04o): chmod go-w "
                      "it", what, path, status.st_mode & 07777);
    }
    return true;
}

/* Makes, opens and checks the directory named in directory->path, and makes that path absolute. */
static bool open_checked(struct directory *directory, const char *what, struct refusal *refusal)
{
    char real[PATH_MAX];
    if (!make_path(directory->path, refusal)) {
        return false;
    }
    directory->fd = open(directory->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory->fd < 0 || !realpath(directory->path, real)) {
        return refuse(refusal, "the %s directory %s cannot be used: %s", what, directory->path,
                      strerror(errno));
    }
    memcpy(directory->path, real, sizeof real);
    return check(what, directory->path, directory->fd, refusal);
}

bool state_dir_open(struct directory *state, const char *given, bool *standard,
                    struct refusal *refusal)
{
    state->fd = -1;
    if (!state_dir_choose(state->path, given, standard, refusal) ||
        !open_checked(state, "state", refusal)) {
        return false;
    }
    return strlen(state->path) <= STATE_PATH_MAX ||
           refuse(refusal, "the state directory's path has %zu bytes; %d is the most: %.200s…",
                  strlen(state->path), STATE_PATH_MAX, state->path);
}

bool runtime_dir_open(struct directory *runtime, const char *given, const struct directory *state,
                      bool standard, struct refusal *refusal)
{
    runtime->fd = -1;
    return runtime_dir_choose(runtime->path, given, state, standard, refusal) &&
           open_checked(runtime, "runtime", refusal);
}

void directory_close(struct directory *directory)
{
    if (directory->fd >= 0) {
        close(directory->fd);
    }
    directory->fd = -1;
}

/* ---- the lock ---- */

static pid_t lock_holder(int fd)       /* who signed last; 0: nobody */
{
    char text[16] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    text[n > 0 ? n : 0] = '\0';
    return atoi(text);
}

static bool refuse_lock(const struct directory *state, pid_t holder, int error,
                        struct refusal *refusal)
{
    char name[32] = "another daemon";
    if (error != EWOULDBLOCK) {
        return refuse(refusal, "%s/lock: flock: %s", state->path, strerror(error));
    }
    if (holder > 0) {
        snprintf(name, sizeof name, "pid %d", holder);
    }
    return refuse(refusal, "the state directory %s is in use by %s; another one can be named "
                  "with --state-dir", state->path, name);
}

static bool is_living(pid_t pid)
{
    struct proc_stat stat;
    return pid <= 0 || (proc_stat_of(pid, &stat) && stat.state != 'Z' && stat.state != 'X');
}

/* 0 or an errno. Between two looks a new keeper may have signed: it lives. */
static int lock_of_the_living(int fd)
{
    int error = 0;
    for (int64_t waited_us = 0; waited_us < LOCK_PATIENCE_US; waited_us += LOCK_PAUSE_US) {
        error = flock(fd, LOCK_EX | LOCK_NB) < 0 ? errno : 0;
        if (error != EWOULDBLOCK || is_living(lock_holder(fd))) {
            break;
        }
        usleep(LOCK_PAUSE_US);
    }
    return error;
}

bool state_dir_lock(const struct directory *state, int *fd, struct refusal *refusal)
{
    *fd = openat(state->fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*fd < 0) {
        return refuse(refusal, "%s/lock: open: %s", state->path, strerror(errno));
    }
    int error = lock_of_the_living(*fd);
    if (error) {
        refuse_lock(state, lock_holder(*fd), error, refusal);
        close(*fd);
        *fd = -1;
        return false;
    }
    state_dir_lock_sign(*fd);
    return true;
}

void state_dir_lock_sign(int lock_fd)
{
    char pid[16];
    int bytes = snprintf(pid, sizeof pid, "%d\n", getpid());
    if (pwrite(lock_fd, pid, (size_t)bytes, 0) == bytes) {
        (void)!ftruncate(lock_fd, bytes);
    }
}
