/* Composing the spawn command; see launch_command.h. */
#include "service/launch_command.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "service/memfd.h"

#define RECORD_LIMIT (6u << 20)
#define USUAL_BYTES 4000u

static void put_string(struct text *tail, const char *string)
{
    text_add(tail, string, strlen(string) + 1);
}

static bool is_overridden(const struct spec *spec, const char *pair)
{
    size_t key = (size_t)(strchr(pair, '=') - pair) + 1;
    for (unsigned i = 0; i < spec->envc; i++) {
        if (strncmp(spec->env[i], pair, key) == 0) {
            return true;
        }
    }
    for (unsigned i = 0; i < spec->secret_count; i++) {
        if (strncmp(spec->secrets[i].pair, pair, key) == 0) {
            return true;
        }
    }
    return false;
}

static void put_env(struct text *tail, const char *key, const char *value, uint32_t *count)
{
    text_put(tail, key);
    text_putc(tail, '=');
    put_string(tail, value);
    ++*count;
}

/* What the daemon tells its children nobody else does. */
static bool put_asked(struct text *tail, const char *pair)
{
    bool is_ours = strncmp(pair, "FORKFUL_", 8) == 0;
    if (!is_ours) {
        put_string(tail, pair);
    }
    return !is_ours;
}

static uint32_t put_environment(struct service *service, const struct process *process,
                                const struct spec *spec, struct text *tail)
{
    uint32_t count = 0;
    char token[128];
    for (char **pair = service->base_env; !spec->clear_env && *pair; pair++) {
        if (!is_overridden(spec, *pair)) {
            put_string(tail, *pair);
            count++;
        }
    }
    for (unsigned i = 0; i < spec->envc; i++) {
        count += put_asked(tail, spec->env[i]);
    }
    for (unsigned i = 0; i < spec->secret_count; i++) {
        count += put_asked(tail, spec->secrets[i].pair);
    }
    put_env(tail, "FORKFUL_PROCESS_ID", process->id_text, &count);
    put_env(tail, "FORKFUL_PROCESS_NAME", process->name, &count);
    if (spec->pool_order.pool) {
        put_env(tail, "FORKFUL_POOL", spec->pool_order.pool_name, &count);
        put_env(tail, "FORKFUL_TASK_ID", spec->pool_order.task_id, &count);
    }
    if (process->api) {
        snprintf(token, sizeof token, "fkp_%s_%s", process->id_text + 2, process->token);
        put_env(tail, "FORKFUL_TOKEN", token, &count);
        put_env(tail, "FORKFUL_URL", service->url, &count);
        put_env(tail, "FORKFUL_SOCKET", service->socket_path, &count);
    }
    return count;
}

static void put_record(const struct process *process, const struct answer_key *key,
                       const char *spec_text, struct text *tail)
{
    text_printf(tail, "{\"num\":%lld,\"created_at_us\":%lld,\"token\":\"%s\",\"answer\":",
                (long long)process->num, (long long)process->created_at_us, process->token);
    if (key) {
        text_put(tail, "{\"principal\":");
        text_json_string(tail, key->principal);
        text_put(tail, ",\"key\":");
        text_json_string(tail, key->key);
        text_printf(tail, ",\"hash\":\"%016llx\"}", (unsigned long long)key->request_hash);
    } else {
        text_put(tail, "null");
    }
    text_put(tail, ",\"spec\":");
    text_put(tail, spec_text);
    text_putc(tail, '}');
}

static void fill_command(const struct process *process, const struct spec *spec,
                         struct command_spawn *command)
{
    command->flags = spec->flags | (strchr(spec->argv[0], '/') ? 0 : SPAWN_SEARCH_PATH);
    command->flags |= spec->stdin_mode == STDIN_PIPE   ? SPAWN_STDIN_PIPE
                      : spec->stdin_mode == STDIN_DATA ? SPAWN_STDIN_FILE
                                                       : 0;
    command->flags |= spec->when_full == FULL_BLOCK         ? SPAWN_OUTPUT_BLOCK
                      : spec->when_full == FULL_DROP_NEWEST ? SPAWN_OUTPUT_DROP_NEWEST
                                                            : 0;
    command->flags |= spec->program >= 0 ? SPAWN_PROGRAM_FILE : 0;
    command->flags |= spec->is_script ? SPAWN_PROGRAM_SCRIPT : 0;
    command->flags |= spec->directory >= 0 ? SPAWN_CWD_FILE : 0;
    command->flags |= spec->ruleset >= 0 ? SPAWN_LANDLOCK : 0;
    command->argc = spec->argc;
    command->uid = spec->uid;
    command->gid = spec->gid;
    command->umask = spec->umask;
    command->nice = spec->nice;
    command->rlimit_mask = spec->rlimit_mask;
    command->stop_signal = process->stop_signal;
    command->timeout_us = process->timeout_us;
    command->grace_us = process->grace_us;
    command->max_output_bytes = process->max_output_bytes;
    for (unsigned i = 0; i < SPAWN_RLIMITS; i++) {
        command->rlimits[i].soft = spec->rlimits[i].soft;
        command->rlimits[i].hard = spec->rlimits[i].hard;
    }
}

/* A descriptor of the same file that can only be read, in place of `fd`; or a negative errno. */
static int open_for_reading(int fd)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int reader = open(path, O_RDONLY | O_CLOEXEC);
    return reader < 0 ? -errno : reader;
}

/* The bytes for stdin as an unlinked file of which the child gets a read-only descriptor. */
static struct problem *stdin_file(const struct spec *spec, int *reader)
{
    int fd = memfd_for_data("forkful-stdin", MFD_CLOEXEC);
    int error = fd < 0 ? fd : memfd_write(fd, spec->stdin_data, spec->stdin_bytes);
    *reader = error < 0 ? error : open_for_reading(fd);
    if (fd >= 0) {
        close(fd);
    }
    return *reader < 0 ? problem_make(PROBLEM_UNAVAILABLE, "stdin: %s", strerror(-*reader)) : NULL;
}

struct problem *launch_compose(struct service *service, const struct process *process,
                               const struct spec *spec, const char *spec_text,
                               const struct answer_key *key, struct text *tail,
                               struct launch *launch)
{
    *launch = (struct launch){.stdin_fd = -1, .program = spec->program,
                              .directory = spec->directory, .ruleset = spec->ruleset};
    text_room(tail, USUAL_BYTES);
    fill_command(process, spec, &launch->command);
    for (unsigned i = 0; i < spec->argc; i++) {
        put_string(tail, spec->argv[i]);
    }
    launch->command.envc = put_environment(service, process, spec, tail);
    put_string(tail, spec->cwd ? spec->cwd : "");
    launch->command.strings_bytes = (uint32_t)tail->bytes;
    put_record(process, key, spec_text, tail);
    launch->command.record_bytes = (uint32_t)tail->bytes - launch->command.strings_bytes;
    text_add(tail, spec->groups, spec->group_count * sizeof *spec->groups);
    launch->command.group_count = spec->group_count;
    text_add(tail, spec->filter, spec->filter_bytes);
    launch->command.filter_bytes = (uint32_t)spec->filter_bytes;
    launch->tail = tail->data;
    launch->tail_bytes = tail->bytes;
    if (tail->failed) {
        return problem_make(PROBLEM_OUT_OF_MEMORY, "no memory for the spawn command");
    }
    if (launch->command.record_bytes > RECORD_LIMIT ||
        sizeof launch->command + tail->bytes > COMMAND_BODY_LIMIT) {
        return problem_make(PROBLEM_PAYLOAD_TOO_LARGE, "arguments and environment are too large");
    }
    return spec->stdin_mode == STDIN_DATA ? stdin_file(spec, &launch->stdin_fd) : NULL;
}
