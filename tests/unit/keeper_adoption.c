/*
 * A real keeper's upgrade, and the next keeper after one that was killed: children, bytes and deadlines
 * live on, exit codes are read, nothing is left behind.
 */
#include "live_tests.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- upgrade and adoption ---- */

static void an_upgrade_keeps_children_bytes_and_deadlines(void **state)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    struct fact_id slow = live_shell("echo before; sleep 1; echo after; exit 11");
    struct fact_id stubborn = live_shell("trap '' TERM; echo up; while :; do sleep 0.1; done");
    struct fact_id outlived = live_shell("setsid sleep 300 >/dev/null 2>&1 & exit 0");
    live_until(&live, FACT_OUTPUT, &stubborn, NULL);
    live_until(&live, FACT_EXITED, &outlived, NULL);
    live_applied(&live);
    live_stop(&stubborn, SIGTERM, 1500000);
    assert_int_equal(live_call(&live, COMMAND_UPGRADE, NULL, self, strlen(self) + 1), 0);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.keeper_pid, live.keeper);
    assert_int_equal(live.welcome.entries, 3);
    struct live_output output = {0};
    live_until(&live, FACT_KEEPER_STARTED, NULL, NULL);
    const struct fact *fact = live_until(&live, FACT_KEEPER_STARTED, NULL, NULL);
    assert_int_equal(((const struct fact_keeper_started *)fact_payload(fact))->occasion,
                     RESUME_UPGRADE);
    assert_int_equal(live_exited(&slow, &output).status, 11);
    assert_non_null(strstr(output.bytes, "after"));
    assert_int_equal(live_exited(&stubborn, NULL).status, SIGKILL);
    assert_int_equal(live_stop(&outlived, SIGTERM, 1000000), 0);
    live_until(&live, FACT_TREE_EMPTY, &outlived, NULL);
}

static void an_upgrade_that_cannot_be_executed_changes_nothing(void **state)
{
    struct fact_id id = live_shell("echo up; sleep 0.5; exit 12");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    live_applied(&live);
    assert_int_equal(live_call(&live, COMMAND_UPGRADE, NULL, "/no/such/binary", 16), 0);
    live_lose_server(&live);
    live_meet(&live);
    assert_int_equal(live.welcome.entries, 1);
    assert_int_equal(live_exited(&id, NULL).status, 12);
    struct fact_id other = live_shell("ls /proc/self/fd | wc -l"); /* nothing was left inheritable */
    struct live_output output = {0};
    live_exited(&other, &output);
    assert_string_equal(output.bytes, "4\n");
}

/* To the kernel a socket that is closed with unread notices in it is a reset one, and it says so before
   it hands out what had been sent. */
static void a_servers_last_command_is_heard_behind_notices_that_it_never_read(void **state)
{
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length] = 0;
    live_send(&live, COMMAND_SIGNAL, &(struct fact_id){{1}}, &(struct command_signal){SIGTERM, 0},
              sizeof(struct command_signal));
    struct pollfd unread = {.fd = live.link, .events = POLLIN};
    assert_int_equal(poll(&unread, 1, 10000), 1);
    kill(live.keeper, SIGSTOP);
    waitpid(live.keeper, NULL, WUNTRACED);
    live_send(&live, COMMAND_UPGRADE, NULL, self, strlen(self) + 1);
    pid_t server = live.server;
    live_lose_server(&live);
    live_wait_gone(server);
    kill(live.keeper, SIGCONT);
    live_meet(&live);
    live_until(&live, FACT_KEEPER_STARTED, NULL, NULL);
    const struct fact *fact = live_until(&live, FACT_KEEPER_STARTED, NULL, NULL);
    assert_int_equal(((const struct fact_keeper_started *)fact_payload(fact))->occasion,
                     RESUME_UPGRADE);
}

static struct resume_entry entry_of(const struct fact_id *id, bool with_slot)
{
    const struct live_custody *custody = live_custody_of(&live, id);
    while (custody == NULL && live_receive(&live, 5000))
        custody = live_custody_of(&live, id);
    assert_non_null(custody);
    struct resume_entry entry = {.process = *id, .pid = custody->pid, .pidfd = custody->fds[0],
                                 .stdout_fd = custody->fds[1], .stderr_fd = custody->fds[2],
                                 .stdin_fd = custody->fds[3], .flags = ENTRY_ADOPTED,
                                 .stop_signal = SIGTERM, .cgroup_slot = -1};
    char path[64], text[4096];
    snprintf(path, sizeof path, "/proc/%d/cgroup", custody->pid);
    FILE *file = fopen(path, "re");
    while (with_slot && file != NULL && fgets(text, sizeof text, file) != NULL)
        if (strncmp(text, "0::", 3) == 0 && strstr(text, "/forkful-") != NULL)
            sscanf(strrchr(text, '/'), "/s%d", &entry.cgroup_slot);
    if (file != NULL)
        fclose(file);
    return entry;
}

static void a_killed_keepers_children_are_adopted_with_their_exit_codes(void **state)
{
    struct fact_id ids[4] = {
        live_shell("echo one; sleep 1; echo two; exit 21"), live_shell("echo one; sleep 0.3; kill -9 $$"),
        live_shell("trap '' TERM; setsid sleep 300 & echo one; while :; do sleep 0.1; done"),
        live_shell("echo one; while :; do sleep 0.1; done")};
    struct resume_entry entries[4];
    for (int i = 0; i < 4; i++)
        live_until(&live, FACT_OUTPUT, &ids[i], NULL);
    for (int i = 0; i < 4; i++)
        entries[i] = entry_of(&ids[i], true);
    entries[2].stop_deadline_mono_us = (live_now_ms() + 1000) * 1000;
    entries[2].stop_reason = STOP_TIMEOUT;
    live_applied(&live);
    kill(live.keeper, SIGKILL);
    waitpid(live.keeper, NULL, 0);
    live_adopt(&live, entries, 4);
    live_meet(&live);
    assert_int_equal(live.welcome.keeper_pid, live.keeper);
    assert_int_equal(live.welcome.entries, 4);
    struct live_output output = {0};
    struct fact_exited end = live_exited(&ids[1], NULL);
    assert_int_equal(end.kind, EXIT_SIGNALED);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.usage_known, 0);
    end = live_exited(&ids[0], &output);
    assert_int_equal(end.kind, EXIT_EXITED);
    assert_int_equal(end.status, 21);
    assert_string_equal(output.bytes, "two\n");
    end = live_exited(&ids[2], NULL);
    assert_int_equal(end.status, SIGKILL);
    assert_int_equal(end.reason, STOP_TIMEOUT);
    assert_int_equal(live_stop(&ids[3], SIGTERM, 1000000), 0);
    assert_int_equal(live_exited(&ids[3], NULL).status, SIGTERM);
    for (int i = 0; i < 4; i++)
        assert_int_equal(live_forget(&ids[i]), 0);
}

static void a_child_forked_by_a_keeper_that_died_of_it_does_not_live_on(void **state)
{
    if (!(live.welcome.features & KEEPER_CGROUP_KILL))
        return; /* nothing tells such a child from a stranger's */
    char path[] = "/tmp/keeper-stray-XXXXXX", script[128], pid[16] = "";
    int fd = mkstemp(path);
    struct live_output left = {0};
    struct fact_id forgotten = live_shell("setsid sleep 300 >/dev/null 2>&1 & echo $!");
    live_exited(&forgotten, &left);
    assert_int_equal(live_forget(&forgotten), 0);
    struct fact_id id = live_shell("echo one; sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    struct resume_entry entry = entry_of(&id, true);
    live_applied(&live);
    snprintf(script, sizeof script, "echo $$ > %s; sleep 300", path);
    live_shell(script); /* the third passage of keeper_after_fork */
    waitpid(live.keeper, NULL, 0);
    while (pread(fd, pid, sizeof pid - 1, 0) <= 0)
        usleep(5000);
    live_adopt(&live, &entry, 1);
    live_meet(&live);
    live_wait_gone(atoi(pid));
    assert_false(live_is_gone(atoi(left.bytes))); /* nobody knows it any more either, but it may live */
    kill(atoi(left.bytes), SIGKILL);
    assert_int_equal(live_stop(&id, SIGTERM, 1000000), 0); /* the other one is as it was */
    assert_int_equal(live_exited(&id, NULL).status, SIGTERM);
    close(fd);
    unlink(path);
}

/* The cgroup of process `pid`, absolute; "" where there is none. */
static void cgroup_of(pid_t pid, char path[4200])
{
    char file[64], line[4096];
    snprintf(file, sizeof file, "/proc/%d/cgroup", (int)pid);
    FILE *lines = fopen(file, "re");
    const char *const mounts[] = {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"};
    path[0] = 0;
    while (lines != NULL && path[0] == 0 && fgets(line, sizeof line, lines) != NULL) {
        line[strcspn(line, "\n")] = 0;
        for (int m = 0; m < 2 && strncmp(line, "0::", 3) == 0; m++) {
            snprintf(path, 4200, "%s%s", mounts[m], line + 3);
            if (access(path, F_OK) == 0)
                break;
            path[0] = 0;
        }
    }
    if (lines != NULL)
        fclose(lines);
}

static void what_a_killed_keeper_and_server_left_is_removed_by_the_next(void **state)
{
    static struct live dead, used;
    char stale[4200], present[4200];
    struct fact_id id = live_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    cgroup_of(entry_of(&id, true).pid, present);
    if (!(live.welcome.features & KEEPER_CGROUP) || present[0] == 0)
        return;
    used = live; /* the keeper of the set-up goes on beside the dead one */
    live_start(&live);
    id = live_shell("echo up; exec sleep 300");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    pid_t child = entry_of(&id, true).pid;
    cgroup_of(child, stale);
    kill(live.keeper, SIGKILL);
    waitpid(live.keeper, NULL, 0);
    kill(child, SIGKILL);
    live_wait_gone(child);
    dead = live;
    live_lose_server(&dead);
    live_wait_gone(live.server);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    assert_int_equal(access(stale, F_OK), 0);
    live_start(&live);
    assert_int_not_equal(access(stale, F_OK), 0);
    assert_int_equal(access(present, F_OK), 0);
    live_end(&live);
    live = used;
    live_sweep(&dead);
    assert_int_equal(live_stop(&id, SIGKILL, 0), ESRCH); /* the dead one's: but this one answers */
}

static void an_adopted_child_reaped_by_somebody_else_still_tells_its_status(void **state)
{
    if (!(live.welcome.features & KEEPER_PIDFD_EXIT_INFO))
        return; /* a kernel before 6.15: the end would be LOST */
    struct fact_id id = live_shell("echo one; sleep 0.2; exit 33");
    live_until(&live, FACT_OUTPUT, &id, NULL);
    struct resume_entry entry = entry_of(&id, true);
    live_applied(&live);
    kill(live.keeper, SIGKILL);
    waitpid(live.keeper, NULL, 0);
    waitpid(entry.pid, NULL, 0); /* this test is the subreaper */
    live_adopt(&live, &entry, 1);
    live_meet(&live);
    struct fact_exited end = live_exited(&id, NULL);
    assert_int_equal(end.kind, EXIT_EXITED);
    assert_int_equal(end.status, 33);
}

static int setup_dying_after_fork(void **state)
{
    setenv("FORKFUL_FAULT", "keeper_after_fork:3", 1);
    live_start(&live);
    unsetenv("FORKFUL_FAULT"); /* the next keeper lives */
    return 0;
}

int main(int argc, char **argv)
{
    live_puppet(argc, argv);
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    const struct CMUnitTest tests[] = {
        LIVE(an_upgrade_keeps_children_bytes_and_deadlines),
        LIVE_WITHOUT_CGROUPS(an_upgrade_keeps_children_bytes_and_deadlines),
        LIVE(an_upgrade_that_cannot_be_executed_changes_nothing),
        LIVE(a_servers_last_command_is_heard_behind_notices_that_it_never_read),
        LIVE(a_killed_keepers_children_are_adopted_with_their_exit_codes),
        LIVE_WITHOUT_CGROUPS(a_killed_keepers_children_are_adopted_with_their_exit_codes),
        {"a_child_forked_by_a_keeper_that_died_of_it_does_not_live_on",
         a_child_forked_by_a_keeper_that_died_of_it_does_not_live_on, setup_dying_after_fork,
         live_teardown, NULL},
        LIVE(what_a_killed_keeper_and_server_left_is_removed_by_the_next),
        LIVE(an_adopted_child_reaped_by_somebody_else_still_tells_its_status),
    };
    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
