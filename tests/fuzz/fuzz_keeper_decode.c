/*
 * The keeper's decoder against arbitrary packets: whatever it accepts must be safe to walk.
 * The first byte chooses whether the rest is a packet or a spawn body.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "service/keeper/decode.h"

static volatile size_t sink;

/* Touches everything that the keeper would touch. */
static void walk_spawn(const unsigned char *body, size_t size)
{
    struct spawn spawn;
    if (decode_spawn(body, size, &spawn) != 0)
        return;
    const char *at = spawn.strings;
    for (uint64_t i = 0; i < (uint64_t)spawn.fixed.argc + spawn.fixed.envc; i++) {
        sink += strlen(at);
        at += strlen(at) + 1;
    }
    if (at != spawn.cwd)
        abort();
    sink += strlen(spawn.cwd);
    for (uint32_t i = 0; i < spawn.fixed.record_bytes; i++)
        sink += spawn.record[i];
    for (uint32_t i = 0; i < spawn.fixed.group_count * 4; i++)
        sink += spawn.groups[i];
    for (uint32_t i = 0; i < spawn.fixed.filter_bytes; i++)
        sink += spawn.filter[i];
}

static void walk_command(const unsigned char *bytes, size_t size)
{
    struct packet packet;
    if (decode_packet(bytes, size, &packet) != 0)
        return;
    if (packet.command.type == COMMAND_SPAWN && packet.body != NULL)
        walk_spawn(packet.body, packet.command.body_bytes);
    if (packet.command.type == COMMAND_UPGRADE)
        sink += strlen((const char *)packet.body);
}

static void walk_packet(const unsigned char *bytes, size_t size)
{
    for (size_t length; (length = decode_length(bytes, size)) > 0; size -= length) {
        if (length > size)
            abort();
        walk_command(bytes, length);
        bytes += length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    unsigned char *copy = malloc(size - 1 + (size == 1)); /* exactly as long, so that the sanitizer sees each step over */
    if (copy == NULL)
        return 0;
    memcpy(copy, data + 1, size - 1);
    (data[0] & 1 ? walk_spawn : walk_packet)(copy, size - 1);
    free(copy);
    return 0;
}
