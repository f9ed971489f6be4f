/* What the live tests of the keeper share; see live_tests.h. */
#include "live_tests.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct live live;

struct fact_id live_run(struct live_spawn spawn)
{
    static uint64_t number;
    if (spawn.process.bytes[0] == 0)
        spawn.process = live_id(++number);
    if (spawn.grace_us == 0)
        spawn.grace_us = 10000000;
    live_spawn(&live, &spawn);
    return spawn.process;
}

struct fact_id live_shell(const char *script)
{
    return live_run((struct live_spawn){.argv = SHELL(script)});
}

struct fact_exited live_exited(const struct fact_id *process, struct live_output *output)
{
    struct fact_exited end;
    memcpy(&end, fact_payload(live_until(&live, FACT_EXITED, process, output)), sizeof end);
    return end;
}

int live_forget(const struct fact_id *process)
{
    return live_call(&live, COMMAND_FORGET, process, NULL, 0);
}

unsigned live_keeper_fds(void)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof path, "/proc/%d/fd", (int)live.keeper);
    DIR *directory = opendir(path);
    while (directory != NULL && readdir(directory) != NULL)
        count++;
    if (directory != NULL)
        closedir(directory);
    return count;
}

bool live_is_gone(pid_t pid)
{
    char path[64], text[512] = "";
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY);
    if (fd < 0)
        return true;
    ssize_t got = read(fd, text, sizeof text - 1); /* nothing: it was reaped since */
    close(fd);
    return got <= 0 || strstr(text, ") Z") != NULL;
}

void live_wait_gone(pid_t pid)
{
    for (int i = 0; i < 1000 && !live_is_gone(pid); i++)
        usleep(5000);
    assert_true(live_is_gone(pid));
}

/* What a child printed up to `count` bytes, without waiting for its end. */
void live_read(const struct fact_id *process, struct live_output *output, size_t count)
{
    while (output->total < count) {
        const struct fact *fact = live_until(&live, FACT_OUTPUT, process, NULL);
        size_t bytes = fact_payload_bytes(fact);
        memcpy(output->bytes + output->total, fact_payload(fact), bytes);
        output->total += bytes;
        output->bytes[output->total] = 0;
    }
}

int live_stop(const struct fact_id *process, int signal, int64_t grace_us)
{
    struct command_stop ask = {STOP_REQUESTED, signal, grace_us};
    return live_call(&live, COMMAND_STOP, process, &ask, sizeof ask);
}

int live_setup(void **state)
{
    live_start(&live);
    return 0;
}

int live_setup_without_cgroups(void **state)
{
    setenv("FORKFUL_FAIL", "cgroup:ENOENT", 1);
    live_start(&live);
    return 0;
}

int live_teardown(void **state)
{
    unsetenv("FORKFUL_FAIL");
    live_end(&live);
    while (waitpid(-1, NULL, WNOHANG) > 0)
        ;
    return 0;
}
