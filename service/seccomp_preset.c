/*
 * The seccomp preset `default`; see sandbox.h. Compiled once by libseccomp, for the machine's own
 * system calls and the older ones beside them (32 bits), so that those are no way round.
 *
 * Everything is allowed but what administers the machine or reaches into other processes: what
 * Docker's default profile keeps from a container. It is a list of what is forbidden, not of what is
 * allowed: a system call that a later kernel brings is not on it. Answers are EPERM; clone3, whose
 * flags no filter can see, is ENOSYS, and the C library takes clone.
 */
#include <errno.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "service/fault.h"
#include "service/memfd.h"
#include "service/sandbox.h"

static const char *const forbidden[] = {
    /* mounts and roots */
    "mount", "umount", "umount2", "pivot_root", "chroot", "move_mount", "open_tree", "fsopen",
    "fsconfig", "fsmount", "fspick", "mount_setattr", "quotactl", "quotactl_fd",
    /* files by handles, that is around directories' modes */
    "name_to_handle_at", "open_by_handle_at", "fanotify_init", "lookup_dcookie",
    /* the kernel itself */
    "init_module", "finit_module", "delete_module", "create_module", "query_module",
    "get_kernel_syms", "kexec_load", "kexec_file_load", "reboot", "bpf", "perf_event_open",
    "syslog", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register", "nfsservctl",
    "_sysctl", "sysfs", "uselib", "acct", "iopl", "ioperm", "vm86", "vm86old", "vhangup",
    /* keys, which are shared beyond the process */
    "add_key", "keyctl", "request_key",
    /* swap, clocks, names of the machine */
    "swapon", "swapoff", "settimeofday", "stime", "clock_settime", "clock_settime64",
    "clock_adjtime", "clock_adjtime64", "adjtimex", "sethostname", "setdomainname",
    /* namespaces */
    "unshare", "setns",
    /* other processes */
    "process_vm_readv", "process_vm_writev", "kcmp", "pidfd_getfd",
};

/* Of clone: each alone is enough. */
static const unsigned namespaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                      CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

#define PTRACE_TRACEME_REQUEST 0       /* the one by which a process gives itself up */
#define DENY SCMP_ACT_ERRNO(EPERM)

/* Those that are there for the architecture; libseccomp says EEXIST for its own. */
static bool add_architectures(scmp_filter_ctx filter)
{
    uint32_t others[] = {
#if defined(__x86_64__)
        SCMP_ARCH_X86, SCMP_ARCH_X32,
#elif defined(__aarch64__)
        SCMP_ARCH_ARM,
#else
        SCMP_ARCH_NATIVE,
#endif
    };
    bool added = true;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        int error = seccomp_arch_add(filter, others[i]);
        added &= error == 0 || error == -EEXIST;
    }
    return added;
}

static bool forbid_all(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof forbidden / sizeof *forbidden; i++) {
        int number = seccomp_syscall_resolve_name(forbidden[i]);
        if (number == __NR_SCMP_ERROR || seccomp_rule_add(filter, DENY, number, 0) < 0) {
            return false;
        }
    }
    return true;
}

static bool forbid_some(scmp_filter_ctx filter)
{
    for (size_t i = 0; i < sizeof namespaces / sizeof *namespaces; i++) {
        if (seccomp_rule_add(filter, DENY, SCMP_SYS(clone), 1,
                             SCMP_A0(SCMP_CMP_MASKED_EQ, namespaces[i], namespaces[i])) < 0) {
            return false;
        }
    }
    return seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0) == 0 &&
           seccomp_rule_add(filter, DENY, SCMP_SYS(ptrace), 1,
                            SCMP_A0(SCMP_CMP_NE, PTRACE_TRACEME_REQUEST, 0)) == 0;
}

/* The filter as bytes, for the caller to free; or NULL. */
static void *export(scmp_filter_ctx filter, size_t *bytes)
{
    struct stat status;
    void *program = NULL;
    int fd = memfd_for_data("forkful-seccomp", MFD_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    if (seccomp_export_bpf(filter, fd) == 0 && fstat(fd, &status) == 0 && status.st_size > 0) {
        *bytes = (size_t)status.st_size;
        program = malloc(*bytes);
    }
    if (program && pread(fd, program, *bytes, 0) != (ssize_t)*bytes) {
        free(program);
        program = NULL;
    }
    close(fd);
    return program;
}

bool seccomp_available(void)
{
    static enum { UNKNOWN, YES, NO } known;
    uint32_t action = SECCOMP_RET_ERRNO;
    if (known == UNKNOWN) {
        known = !FAULT_ERRNO("seccomp") &&
                        syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0
                    ? YES
                    : NO;
    }
    return known == YES;
}

static void *compile(size_t *bytes)
{
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    void *program = NULL;
    if (!filter) {
        return NULL;
    }
    seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2); /* a tree: half of them need few steps */
    if (add_architectures(filter) && forbid_all(filter) && forbid_some(filter)) {
        program = export(filter, bytes);
    }
    seccomp_release(filter);
    return program;
}

const void *seccomp_preset(size_t *bytes)
{
    static void *program;
    static size_t program_bytes;
    if (!program) {
        program = compile(&program_bytes);
    }
    *bytes = program_bytes;
    return program;
}
