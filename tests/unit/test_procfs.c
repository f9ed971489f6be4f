/*
 * Reading /proc: the stat line with any name a process can give itself, and what the machine tells.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "api/machine.h"
#include "api/procfs.h"

#define BEHIND                                                                                 \
    " S 4700 4711 4711 0 -1 4194304 150 0 0 0 12 34 5 6 20 0 3 0 8901 23456789 321 "           \
    "18446744073709551615 1 1 0"

static void parsed(const char *name)
{
    char line[512];
    struct proc_stat stat;

    snprintf(line, sizeof line, "4711 (%s)" BEHIND "\n", name);
    assert_true(proc_stat_parse(line, &stat));
    assert_string_equal(stat.comm, name);
    assert_int_equal(stat.pid, 4711);
    assert_int_equal(stat.parent, 4700);
    assert_int_equal(stat.session, 4711);
    assert_int_equal(stat.state, 'S');
    assert_int_equal(stat.user_ticks, 12);
    assert_int_equal(stat.system_ticks, 34);
    assert_int_equal(stat.threads, 3);
    assert_int_equal(stat.start_ticks, 8901);
    assert_int_equal(stat.virtual_bytes, 23456789);
    assert_int_equal(stat.rss_bytes, 321 * sysconf(_SC_PAGESIZE));
}

static void a_name_may_hold_blanks_parentheses_and_newlines(void **state)
{
    static const char *const names[] = {"sh", "", "a b", ")", "(", ") R 1 1 (", "x) S 1 2 3 4 (y",
                                        "line\nbreak", "((()))", "sd-pam)", "\xff\xfe"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        parsed(names[i]);
    }
}

static void a_name_that_is_too_long_is_cut(void **state)
{
    char line[512], name[200];
    struct proc_stat stat;

    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    snprintf(line, sizeof line, "1 (%s)" BEHIND, name);
    assert_true(proc_stat_parse(line, &stat));
    assert_int_equal(strlen(stat.comm), PROCFS_COMM_BYTES - 1);
}

static void what_is_no_stat_line_is_refused(void **state)
{
    static const char *const bad[] = {"", "x", "4711", "4711 (sh", "4711 sh)", "4711 )sh(" BEHIND,
                                      "4711 (sh)", "4711 (sh) S 1 2", "0 (sh)" BEHIND,
                                      "-3 (sh)" BEHIND, "(sh)" BEHIND};
    struct proc_stat stat;

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(proc_stat_parse(bad[i], &stat));
    }
}

static void a_real_process_is_read_whatever_it_calls_itself(void **state)
{
    int ends[2];
    char byte;
    struct proc_stat stat;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NAME, ") Z 1 (");
        if (write(ends[1], "x", 1) == 1) {
            pause();
        }
        _exit(0);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_true(proc_stat_of(child, &stat));
    assert_string_equal(stat.comm, ") Z 1 (");
    assert_int_equal(stat.parent, getpid());
    assert_int_equal(stat.threads, 1);
    int64_t age_us = time_now_us() - proc_started_at_us(stat.start_ticks);
    assert_in_range(age_us + 1000000, 0, 61000000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_false(proc_stat_of(child, &stat));
    close(ends[0]);
    close(ends[1]);
}

static void open_descriptors_are_counted(void **state)
{
    int64_t before = proc_fd_count(getpid());
    int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

    assert_true(before >= 3);
    assert_int_equal(proc_fd_count(getpid()), before + 1);
    close(fd);
    assert_int_equal(proc_fd_count(-1), -1);
}

static void memory_is_found_by_its_whole_name(void **state)
{
    const char *text = "MemTotalX:  1 kB\nMemTotal:       2048 kB\nMemAvailable:   1024 kB\n";

    assert_int_equal(meminfo_bytes(text, "MemTotal"), 2048 * 1024);
    assert_int_equal(meminfo_bytes(text, "MemAvailable"), 1024 * 1024);
    assert_int_equal(meminfo_bytes(text, "MemFree"), -1);
    assert_int_equal(meminfo_bytes("", "MemTotal"), -1);
}

static void a_quota_is_told_in_processors(void **state)
{
    assert_true(cpu_max_quota("150000 100000\n") == 1.5);
    assert_true(cpu_max_quota("max 100000\n") < 0);
    assert_true(cpu_max_quota("") < 0);
    assert_true(cpu_max_quota("1 0") < 0);
}

static void this_machine_has_a_processor_and_memory(void **state)
{
    struct machine_memory memory = machine_memory();

    assert_true(machine_cpus() >= 1);
    assert_in_range(machine_usable_cpus(), 1, machine_cpus());
    assert_true(memory.total_bytes > 0 && memory.available_bytes <= memory.total_bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_may_hold_blanks_parentheses_and_newlines),
        cmocka_unit_test(a_name_that_is_too_long_is_cut),
        cmocka_unit_test(what_is_no_stat_line_is_refused),
        cmocka_unit_test(a_real_process_is_read_whatever_it_calls_itself),
        cmocka_unit_test(open_descriptors_are_counted),
        cmocka_unit_test(memory_is_found_by_its_whole_name),
        cmocka_unit_test(a_quota_is_told_in_processors),
        cmocka_unit_test(this_machine_has_a_processor_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
