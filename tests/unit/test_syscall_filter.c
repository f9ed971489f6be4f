/* The server's filter of system calls: what it needs works, what it must not do fails. Each in a fork. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/syscall_filter.h"

static bool fails_with(int error, long number, long first, long second)
{
    errno = 0;
    return syscall(number, first, second, 0, 0, 0) < 0 && errno == error;
}

static int status_of(int (*body)(void))
{
    int status = -1;
    pid_t child = fork();
    if (child == 0) {
        _exit(syscall_filter_install() == 0 ? body() : 99);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static int try_dangerous(void)
{
    static const long numbers[] = {
#ifndef __SANITIZE_ADDRESS__
        SYS_ptrace,
#endif
        SYS_process_vm_readv, SYS_process_vm_writev, SYS_mount, SYS_umount2, SYS_pivot_root,
        SYS_chroot, SYS_bpf, SYS_perf_event_open, SYS_userfaultfd, SYS_io_uring_setup, SYS_keyctl,
        SYS_add_key, SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
        SYS_reboot, SYS_swapon, SYS_settimeofday, SYS_setns, SYS_unshare, SYS_setuid, SYS_setresuid,
        SYS_setgroups, SYS_pidfd_getfd, SYS_open_by_handle_at, SYS_acct, SYS_sethostname};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        if (!fails_with(EPERM, numbers[i], 0, 0)) {
            return (int)i + 1;
        }
    }
    return 0;
}

static void what_reaches_into_others_or_the_machine_is_refused(void **state)
{
    assert_int_equal(status_of(try_dangerous), 0);
}

static int try_namespaces(void)
{
    return fails_with(EPERM, SYS_clone, CLONE_NEWUSER | SIGCHLD, 0) &&
           fails_with(EPERM, SYS_clone, CLONE_NEWNET | SIGCHLD, 0) &&
           fails_with(ENOSYS, SYS_clone3, 0, 0) ? 0 : 1;
}

static void no_namespace_is_made(void **state)
{
    assert_int_equal(status_of(try_namespaces), 0);
}

static void *in_thread(void *context)
{
    return context;
}

static int try_ordinary(void)
{
    pthread_t thread;
    void *result = NULL;
    int here;
    if (pthread_create(&thread, NULL, in_thread, &here) != 0 ||
        pthread_join(thread, &result) != 0 || result != &here) {
        return 1;
    }
    return WEXITSTATUS(system("ls / | sort -r > /dev/null && exit 42")) == 42 ? 0 : 2;
}

static void threads_and_programs_go_on_as_before(void **state)
{
    assert_int_equal(status_of(try_ordinary), 0);
}

static int try_exec(void)
{
    return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1 &&
           WEXITSTATUS(system("unshare --net true 2> /dev/null")) != 0 ? 0 : 1;
}

static void an_exec_keeps_it(void **state)
{
    assert_int_equal(status_of(try_exec), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_reaches_into_others_or_the_machine_is_refused),
        cmocka_unit_test(no_namespace_is_made),
        cmocka_unit_test(threads_and_programs_go_on_as_before),
        cmocka_unit_test(an_exec_keeps_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
