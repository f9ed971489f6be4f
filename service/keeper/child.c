/*
 * The child's half of a spawn: everything between fork and exec, in the order the kernel needs.
 *
 * As a rule it runs in the keeper's memory, at the same time as the keeper (spawn.c says why). So
 * it lives in its plan, reads nothing else that is written, and uses no function of the C library
 * but pure ones on strings: not even errno is its own. The keeper's signals are all at their
 * default and blocked, and all its descriptors FD_CLOEXEC and above 2; hence no loop over signals
 * and no close_range here. What fails is reported over the status pipe as {errno, stage}; a
 * successful exec closes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "service/keeper/keeper.h"
#include "service/keeper/plan.h"
#include "service/keeper/raw.h"

#define KERNEL_SIGSET_BYTES 8 /* not what the C library calls a sigset_t */

static uintptr_t address(const void *pointer)
{
    return (uintptr_t)pointer;
}

static _Noreturn void fail(const struct plan *plan, enum spawn_stage stage, long error)
{
    int32_t report[2] = {(int32_t)error, (int32_t)stage};
    raw_call(SYS_write, (uintptr_t)plan->status_fd, address(report), sizeof report, 0);
    for (;;) {
        raw_call(SYS_exit_group, 127, 0, 0, 0);
    }
}

/* `result` is that of a raw call. */
static void must(const struct plan *plan, enum spawn_stage stage, long result)
{
    if (result < 0) {
        fail(plan, stage, -result);
    }
}

void child_restore_limits(uint64_t soft_nofile)
{
    struct rlimit limit = {0, 0};
    if (soft_nofile != 0 &&
        raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, address(&limit)) == 0 &&
        limit.rlim_cur != soft_nofile && soft_nofile <= limit.rlim_max) {
        limit.rlim_cur = soft_nofile;
        raw_call(SYS_prlimit64, 0, RLIMIT_NOFILE, address(&limit), 0);
    }
}

static void set_limits(const struct plan *plan)
{
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        struct rlimit limit = {plan->fixed.rlimits[r].soft, plan->fixed.rlimits[r].hard};
        if (plan->fixed.rlimit_mask >> r & 1) {
            must(plan, STAGE_RLIMIT, raw_call(SYS_prlimit64, 0, r, address(&limit), 0));
        }
    }
}

static void set_ids(const struct plan *plan)
{
    uint32_t uid = plan->fixed.uid, gid = plan->fixed.gid;
    must(plan, STAGE_GROUPS,
         raw_call(SYS_setgroups, plan->fixed.group_count, address(plan->groups), 0, 0));
    must(plan, STAGE_GROUP, raw_call(SYS_setresgid, gid, gid, gid, 0));
    must(plan, STAGE_USER, raw_call(SYS_setresuid, uid, uid, uid, 0));
}

/* Of a descriptor. */
static bool identify(int fd, struct statx *out)
{
    return raw_call5(SYS_statx, (uintptr_t)fd, address(""), AT_EMPTY_PATH, STATX_INO,
                     address(out)) == 0;
}

static bool is_same(int fd, int expected)
{
    struct statx one = {0}, other = {0};
    return identify(fd, &one) && identify(expected, &other) && one.stx_ino == other.stx_ino &&
           one.stx_dev_major == other.stx_dev_major && one.stx_dev_minor == other.stx_dev_minor;
}

/* Found with the child's own rights, and then compared: so the passed descriptor lets it in nowhere,
   and what was put into the place of the directory meanwhile is not entered. */
static void change_directory(const struct plan *plan)
{
    must(plan, STAGE_CWD, raw_call(SYS_chdir, address(plan->cwd), 0, 0, 0));
    if (plan->directory >= 0) {
        long here = raw_call(SYS_openat, (uintptr_t)AT_FDCWD, address("."), O_PATH | O_CLOEXEC, 0);
        must(plan, STAGE_CWD, here);
        must(plan, STAGE_CWD, is_same((int)here, plan->directory) ? 0 : -EACCES);
    }
}

/* As with the directory. An interpreter opens its script by the name /dev/fd/N, which must be open
   for it. */
static long execute_passed(const struct plan *plan, const char *path)
{
    long found = raw_call(SYS_openat, (uintptr_t)AT_FDCWD, address(path), O_PATH | O_CLOEXEC, 0);
    if (found < 0) {
        return found;
    }
    if (!is_same((int)found, plan->program)) {
        return -EACCES;
    }
    if (plan->fixed.flags & SPAWN_PROGRAM_SCRIPT) {
        raw_call(SYS_fcntl, (uintptr_t)plan->program, F_SETFD, 0, 0);
    }
    return raw_call5(SYS_execveat, (uintptr_t)plan->program, address(""),
                     address(plan->arguments), address(plan->environment), AT_EMPTY_PATH);
}

static long execute(const struct plan *plan, const char *path)
{
    if (plan->program >= 0) {
        return execute_passed(plan, path);
    }
    return raw_call(SYS_execve, address(path), address(plan->arguments),
                    address(plan->environment), 0);
}

/* The directory's `length` bytes, a slash, and `name`. False: too long. */
static bool join(char path[PATH_MAX], const char *directory, size_t length, const char *name)
{
    size_t name_bytes = strlen(name) + 1;
    if (length + 1 + name_bytes > PATH_MAX) {
        return false;
    }
    memcpy(path, directory, length);
    path[length] = '/';
    memcpy(path + length + 1, name, name_bytes);
    return true;
}

static bool is_missing(long error)
{
    return error == -ENOENT || error == -ENOTDIR || error == -ESTALE || error == -ENODEV ||
           error == -ETIMEDOUT;
}

/* As execvpe(3), with the child's own PATH and without its fall-back to /bin/sh. */
static long execute_searching(const struct plan *plan)
{
    char path[PATH_MAX];
    long error = -ENOENT;
    for (const char *at = plan->search_path, *end; at != NULL; at = *end == ':' ? end + 1 : NULL) {
        end = strchrnul(at, ':');
        size_t length = (size_t)(end - at);
        if (!join(path, length > 0 ? at : ".", length > 0 ? length : 1, plan->arguments[0])) {
            continue;
        }
        long result = execute(plan, path);
        if (result == -EACCES) {
            error = -EACCES; /* remembered: something was there, but not to be run */
        } else if (!is_missing(result)) {
            return result;
        }
    }
    return error;
}

static _Noreturn void run_program(const struct plan *plan)
{
    const char *name = plan->arguments[0];
    long error = -plan->exec_error;
    if (error == 0 && *name == 0) {
        error = -ENOENT;
    } else if (error == 0 && (plan->fixed.flags & SPAWN_SEARCH_PATH) && strchr(name, '/') == NULL) {
        error = execute_searching(plan);
    } else if (error == 0) {
        error = execute(plan, name);
    }
    fail(plan, STAGE_EXEC, -error);
}

void child_run(void *context)
{
    const struct plan *plan = context;
    const struct command_spawn *fixed = &plan->fixed;
    const uint64_t no_signals = 0;
    must(plan, STAGE_SESSION, raw_call(SYS_setsid, 0, 0, 0, 0));
    if (fixed->flags & SPAWN_SET_NICE) {
        must(plan, STAGE_NICE,
             raw_call(SYS_setpriority, PRIO_PROCESS, 0, (uintptr_t)fixed->nice, 0));
    }
    if (fixed->flags & SPAWN_SET_UMASK) {
        raw_call(SYS_umask, fixed->umask & 0777, 0, 0, 0);
    }
    child_restore_limits(plan->soft_nofile);
    set_limits(plan);
    if (fixed->flags & SPAWN_SET_IDS) {
        set_ids(plan);
    }
    if (*plan->cwd != 0) {
        change_directory(plan);
    }
    for (unsigned i = 0; i < 3; i++) {
        must(plan, STAGE_STDIO, raw_call(SYS_dup3, (uintptr_t)plan->standard[i], i, 0, 0));
    }
    if (fixed->flags & SPAWN_NO_NEW_PRIVS) {
        must(plan, STAGE_USER, raw_call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0));
    }
    if (plan->ruleset >= 0) {
        must(plan, STAGE_SANDBOX,
             raw_call(SYS_landlock_restrict_self, (uintptr_t)plan->ruleset, 0, 0, 0));
    }
    raw_call(SYS_rt_sigprocmask, SIG_SETMASK, address(&no_signals), 0, KERNEL_SIGSET_BYTES);
    if (plan->filter.len > 0) { /* last, so that it need allow only what finds the program */
        must(plan, STAGE_SANDBOX, raw_call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0,
                                           address(&plan->filter), 0));
    }
    run_program(plan);
}
