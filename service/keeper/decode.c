/*
 * The decoder of the server's packets: the one place where bytes from another process are judged.
 * The contract is in decode.h, the layouts in service/commands.h. Sizes are compared before they
 * are added, in 64 bits; nothing here recurses, allocates, or reads behind `size`.
 */
#include "service/keeper/decode.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

enum body_kind { BODY_NONE, BODY_FIXED, BODY_SPAWN, BODY_PATH };

static const struct { uint8_t kind; uint8_t bytes; } bodies[COMMAND_TYPES] = {
    [COMMAND_HELLO] = {BODY_FIXED, sizeof(struct command_hello)},
    [COMMAND_SPAWN] = {BODY_SPAWN, 0},
    [COMMAND_SIGNAL] = {BODY_FIXED, sizeof(struct command_signal)},
    [COMMAND_STOP] = {BODY_FIXED, sizeof(struct command_stop)},
    [COMMAND_OUTPUT_CREDIT] = {BODY_FIXED, sizeof(struct command_credit)},
    [COMMAND_STATE] = {BODY_FIXED, sizeof(struct command_state)},
    [COMMAND_UPGRADE] = {BODY_PATH, 0},
    [COMMAND_ADOPT] = {BODY_FIXED, sizeof(struct resume_entry)},
};

static int signal_is_sound(int32_t signal)
{
    return signal >= 1 && signal <= 64;
}

static int adopt_is_sound(const struct resume_entry *entry)
{
    return entry->pid > 1 && signal_is_sound(entry->stop_signal) && entry->grace_us >= 0 &&
           entry->grace_us <= INT64_MAX / 4 && entry->stop_reason < STOP_REASONS &&
           entry->stop_deadline_mono_us >= 0 && entry->timeout_deadline_mono_us >= 0;
}

static int fixed_is_sound(const struct packet *packet)
{
    switch (packet->command.type) {
    case COMMAND_SIGNAL:
        return packet->fixed.signal.signal >= 0 && packet->fixed.signal.signal <= 64 &&
               packet->fixed.signal.scope < SCOPES;
    case COMMAND_STOP:
        return signal_is_sound(packet->fixed.stop.signal) && packet->fixed.stop.grace_us >= 0 &&
               packet->fixed.stop.grace_us <= INT64_MAX / 4 &&
               packet->fixed.stop.reason > STOP_NONE && packet->fixed.stop.reason < STOP_REASONS;
    case COMMAND_ADOPT:
        return adopt_is_sound(&packet->fixed.adopt);
    default:
        return 1;
    }
}

size_t decode_length(const unsigned char *bytes, size_t size)
{
    struct command command;
    if (size < sizeof command) {
        return 0;
    }
    memcpy(&command, bytes, sizeof command);
    size_t body = command.flags & COMMAND_BODY_IN_FD ? 0 : command.body_bytes;
    return body <= size - sizeof command ? sizeof command + body : size;
}

int decode_packet(const unsigned char *bytes, size_t size, struct packet *packet)
{
    memset(packet, 0, sizeof *packet);
    for (unsigned i = 0; i < COMMAND_SPAWN_FDS; i++) {
        packet->fds[i] = -1;
    }
    if (size < sizeof packet->command) {
        return -EPROTO;
    }
    memcpy(&packet->command, bytes, sizeof packet->command);
    size -= sizeof packet->command;
    packet->body = bytes + sizeof packet->command;
    uint32_t type = packet->command.type, body_bytes = packet->command.body_bytes;
    if (type == COMMAND_NONE || type >= COMMAND_TYPES) {
        return -EPROTO;
    }
    if (packet->command.flags & COMMAND_BODY_IN_FD) {
        packet->body = NULL;
        return type == COMMAND_SPAWN && size == 0 && body_bytes <= COMMAND_BODY_LIMIT ? 0 : -EPROTO;
    }
    if (body_bytes != size || (bodies[type].kind == BODY_NONE && size != 0)) {
        return -EPROTO;
    }
    if (bodies[type].kind == BODY_PATH) {
        return size > 1 && size <= PATH_MAX && memchr(packet->body, 0, size) ==
               packet->body + size - 1 ? 0 : -EPROTO;
    }
    if (bodies[type].kind != BODY_FIXED) {
        return 0;
    }
    if (size != bodies[type].bytes) {
        return -EPROTO;
    }
    memcpy(&packet->fixed, packet->body, size);
    return fixed_is_sound(packet) ? 0 : -EPROTO;
}

/* Exactly `count` strings in exactly `size` bytes; gives the last one. */
static const char *last_string(const char *strings, size_t size, uint64_t count)
{
    const char *at = strings, *end = strings + size, *last = NULL;
    while (at < end) {
        const char *nul = memchr(at, 0, (size_t)(end - at));
        if (nul == NULL || count-- == 0) {
            return NULL;
        }
        last = at;
        at = nul + 1;
    }
    return count == 0 ? last : NULL;
}

static int spawn_is_sound(const struct command_spawn *fixed)
{
    return fixed->argc >= 1 && fixed->group_count <= NGROUPS_MAX &&
           fixed->timeout_us >= 0 && fixed->timeout_us <= INT64_MAX / 4 &&
           fixed->grace_us >= 0 && fixed->grace_us <= INT64_MAX / 4 &&
           fixed->filter_bytes <= SPAWN_FILTER_MAX && fixed->filter_bytes % SPAWN_FILTER_UNIT == 0 &&
           signal_is_sound(fixed->stop_signal) && (fixed->rlimit_mask >> SPAWN_RLIMITS) == 0;
}

int decode_spawn(const unsigned char *body, size_t size, struct spawn *spawn)
{
    memset(spawn, 0, sizeof *spawn);
    spawn->stdin_file = spawn->program = spawn->directory = spawn->ruleset = -1;
    if (size < sizeof spawn->fixed || size > COMMAND_BODY_LIMIT) {
        return -EPROTO;
    }
    memcpy(&spawn->fixed, body, sizeof spawn->fixed);
    const struct command_spawn *fixed = &spawn->fixed;
    uint64_t groups_bytes = (uint64_t)fixed->group_count * sizeof(uint32_t);
    uint64_t total = (uint64_t)fixed->strings_bytes + fixed->record_bytes + groups_bytes +
                     fixed->filter_bytes;
    if (!spawn_is_sound(fixed) || total != size - sizeof spawn->fixed) {
        return -EPROTO;
    }
    spawn->strings = (const char *)body + sizeof spawn->fixed;
    spawn->record = (const unsigned char *)spawn->strings + fixed->strings_bytes;
    spawn->groups = spawn->record + fixed->record_bytes;
    spawn->filter = spawn->groups + groups_bytes;
    spawn->cwd = last_string(spawn->strings, fixed->strings_bytes,
                             (uint64_t)fixed->argc + fixed->envc + 1);
    return spawn->cwd != NULL ? 0 : -EPROTO;
}
