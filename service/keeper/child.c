/*
 * The child's half of a spawn: everything between fork and exec, in the order the kernel needs.
 *
 * It runs in a copy of the keeper, so it may use the keeper's memory and must touch nothing shared.
 * The keeper's signals are all at their default and blocked, and all its descriptors are
 * FD_CLOEXEC and above 2; hence no loop over signals and no close_range here. What fails is
 * reported over the status pipe as {errno, stage}; a successful exec closes it.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/keeper/keeper.h"

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static _Noreturn void fail(const struct child_plan *plan, enum spawn_stage stage, int error)
{
    int32_t report[2] = {error, (int32_t)stage};
    (void)!write(plan->status_fd, report, sizeof report);
    _exit(127);
}

static void set_limits(const struct child_plan *plan)
{
    const struct command_spawn *fixed = &plan->spawn->fixed;
    for (unsigned r = 0; r < SPAWN_RLIMITS; r++) {
        struct rlimit limit = {fixed->rlimits[r].soft, fixed->rlimits[r].hard};
        if ((fixed->rlimit_mask >> r & 1) && setrlimit((__rlimit_resource_t)r, &limit) < 0)
            fail(plan, STAGE_RLIMIT, errno);
    }
}

/* By raw system calls: the library's wrappers signal threads that this process does not have. */
static void set_ids(const struct child_plan *plan)
{
    static gid_t groups[NGROUPS_MAX];
    const struct command_spawn *fixed = &plan->spawn->fixed;
    memcpy(groups, plan->spawn->groups, fixed->group_count * sizeof *groups);
    if (syscall(SYS_setgroups, (size_t)fixed->group_count, groups) < 0)
        fail(plan, STAGE_GROUPS, errno);
    if (syscall(SYS_setresgid, fixed->gid, fixed->gid, fixed->gid) < 0)
        fail(plan, STAGE_GROUP, errno);
    if (syscall(SYS_setresuid, fixed->uid, fixed->uid, fixed->uid) < 0)
        fail(plan, STAGE_USER, errno);
}

void child_restore_limits(uint64_t soft_nofile, bool oom_score_lowered, int oom_score_adj)
{
    struct rlimit limit;
    if (soft_nofile != 0 && getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
        limit.rlim_cur != soft_nofile && soft_nofile <= limit.rlim_max) {
        limit.rlim_cur = soft_nofile;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    int fd = oom_score_lowered ? open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    char text[16];
    int length = snprintf(text, sizeof text, "%d", oom_score_adj);
    (void)!write(fd, text, (size_t)length);
    close(fd);
}

/* Pointers to `count` strings, and the NULL behind them; moves *strings behind the last. */
static char **point_at(const char **strings, uint32_t count, char **pointers)
{
    for (uint32_t i = 0; i < count; i++) {
        pointers[i] = (char *)(uintptr_t)*strings;
        *strings += strlen(*strings) + 1;
    }
    pointers[count] = NULL;
    return pointers + count + 1;
}

static const char *search_path(char *const *environment)
{
    for (; *environment != NULL; environment++)
        if (strncmp(*environment, "PATH=", 5) == 0)
            return *environment + 5;
    return DEFAULT_PATH;
}

/* As execvpe(3), with the child's own PATH and without its fall-back to /bin/sh. Returns errno. */
static int exec_searching(const char *name, char *const *arguments, char *const *environment)
{
    int error = ENOENT;
    for (const char *at = search_path(environment), *end; at != NULL;
         at = *end == ':' ? end + 1 : NULL) {
        char path[PATH_MAX];
        end = strchrnul(at, ':');
        int length = snprintf(path, sizeof path, "%.*s%s%s", (int)(end - at), at,
                              end > at ? "/" : "./", name);
        if (length >= (int)sizeof path)
            continue;
        execve(path, arguments, environment);
        if (errno == EACCES)
            error = EACCES; /* remembered: something was there, but not to be run */
        else if (errno != ENOENT && errno != ENOTDIR && errno != ESTALE && errno != ENODEV &&
                 errno != ETIMEDOUT)
            return errno;
    }
    return error;
}

static _Noreturn void run_program(const struct child_plan *plan)
{
    const struct command_spawn *fixed = &plan->spawn->fixed;
    size_t count = (size_t)fixed->argc + fixed->envc + 2;
    char **arguments = mmap(NULL, count * sizeof *arguments, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (arguments == MAP_FAILED)
        fail(plan, STAGE_EXEC, errno);
    const char *strings = plan->spawn->strings;
    char **environment = point_at(&strings, fixed->argc, arguments);
    point_at(&strings, fixed->envc, environment);
    int error = FAULT_ERRNO("execve");
    if (error == 0 && arguments[0][0] == 0)
        error = ENOENT;
    if (error == 0 && (fixed->flags & SPAWN_SEARCH_PATH) && strchr(arguments[0], '/') == NULL)
        error = exec_searching(arguments[0], arguments, environment);
    else if (error == 0 && execve(arguments[0], arguments, environment) < 0)
        error = errno;
    fail(plan, STAGE_EXEC, error);
}

void child_run(const struct child_plan *plan)
{
    const struct command_spawn *fixed = &plan->spawn->fixed;
    if (setsid() < 0)
        fail(plan, STAGE_SESSION, errno);
    if ((fixed->flags & SPAWN_SET_NICE) && setpriority(PRIO_PROCESS, 0, fixed->nice) < 0)
        fail(plan, STAGE_NICE, errno);
    if (fixed->flags & SPAWN_SET_UMASK)
        umask((mode_t)fixed->umask & 0777);
    child_restore_limits(plan->soft_nofile, plan->oom_score_lowered, plan->oom_score_adj);
    set_limits(plan);
    if (fixed->flags & SPAWN_SET_IDS)
        set_ids(plan);
    if (*plan->spawn->cwd != 0 && chdir(plan->spawn->cwd) < 0)
        fail(plan, STAGE_CWD, errno);
    for (int i = 0; i < 3; i++)
        if (dup2(plan->standard[i], i) < 0)
            fail(plan, STAGE_STDIO, errno);
    if ((fixed->flags & SPAWN_NO_NEW_PRIVS) && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        fail(plan, STAGE_USER, errno);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    run_program(plan);
}
