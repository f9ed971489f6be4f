/* The keeper's decoder: what it takes, and that it refuses everything that does not hang together. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "service/keeper/decode.h"

static size_t make_packet(unsigned char *bytes, uint16_t type, const void *body, size_t size)
{
    struct command command = {.type = type, .request = 9, .body_bytes = (uint32_t)size};
    memcpy(bytes, &command, sizeof command);
    if (size > 0)
        memcpy(bytes + sizeof command, body, size);
    return sizeof command + size;
}

static size_t make_spawn(unsigned char *body, struct command_spawn fixed, const char *strings,
                         size_t strings_bytes)
{
    fixed.strings_bytes = (uint32_t)strings_bytes;
    fixed.stop_signal = fixed.stop_signal != 0 ? fixed.stop_signal : SIGTERM;
    memcpy(body, &fixed, sizeof fixed);
    memcpy(body + sizeof fixed, strings, strings_bytes);
    memset(body + sizeof fixed + strings_bytes, 7, fixed.record_bytes);
    return sizeof fixed + strings_bytes + fixed.record_bytes + fixed.group_count * 4 +
           fixed.filter_bytes;
}

static void a_packet_is_taken_only_at_its_exact_length(void **state)
{
    static const struct { uint16_t type; size_t size; } rows[] = {
        {COMMAND_HELLO, sizeof(struct command_hello)}, {COMMAND_READY, 0},
        {COMMAND_PAUSE, 0}, {COMMAND_FORGET, 0}, {COMMAND_EXIT, 0}, {COMMAND_STDIN_CLOSE, 0},
        {COMMAND_OUTPUT_CREDIT, sizeof(struct command_credit)},
        {COMMAND_STATE, sizeof(struct command_state)},
    };
    unsigned char bytes[512], body[256] = {0};
    struct packet packet;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = make_packet(bytes, rows[i].type, body, rows[i].size);
        assert_int_equal(decode_packet(bytes, size, &packet), 0);
        assert_int_equal(packet.command.request, 9);
        for (size_t cut = 0; cut < size; cut++)
            assert_int_equal(decode_packet(bytes, cut, &packet), -EPROTO);
        size = make_packet(bytes, rows[i].type, body, rows[i].size + 1);
        assert_int_equal(decode_packet(bytes, size, &packet), -EPROTO);
    }
}

static void a_packet_may_hold_several_commands(void **state)
{
    struct command_stop stop = {.reason = STOP_REQUESTED, .signal = SIGTERM};
    unsigned char bytes[256];
    struct packet packet;
    size_t first = make_packet(bytes, COMMAND_STOP, &stop, sizeof stop);
    size_t all = first + make_packet(bytes + first, COMMAND_FORGET, NULL, 0);
    assert_int_equal(decode_length(bytes, all), first);
    assert_int_equal(decode_packet(bytes, first, &packet), 0);
    assert_int_equal(decode_length(bytes + first, all - first), all - first);
    assert_int_equal(decode_packet(bytes + first, all - first, &packet), 0);
    assert_int_equal(decode_length(bytes, sizeof(struct command) - 1), 0);
    for (size_t cut = sizeof(struct command); cut < first; cut++) {
        assert_int_equal(decode_length(bytes, cut), cut); /* all there is, and not sound */
        assert_int_equal(decode_packet(bytes, cut, &packet), -EPROTO);
    }
}

static void unknown_types_are_refused(void **state)
{
    unsigned char bytes[64];
    struct packet packet;
    const uint16_t types[] = {COMMAND_NONE, COMMAND_TYPES, 0xffff};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(
            decode_packet(bytes, make_packet(bytes, types[i], NULL, 0), &packet), -EPROTO);
}

static void values_out_of_range_are_refused(void **state)
{
    unsigned char bytes[128];
    struct packet packet;
    struct command_signal signals[] = {{-1, 0}, {65, 0}, {15, SCOPES}};
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(decode_packet(bytes, make_packet(bytes, COMMAND_SIGNAL, &signals[i],
                                                          sizeof *signals), &packet), -EPROTO);
    struct command_stop stops[] = {{STOP_NONE, 15, 0}, {STOP_REASONS, 15, 0},
                                   {STOP_REQUESTED, 0, 0}, {STOP_REQUESTED, 65, 0},
                                   {STOP_REQUESTED, 15, -1}, {STOP_REQUESTED, 15, INT64_MAX}};
    for (size_t i = 0; i < sizeof stops / sizeof *stops; i++)
        assert_int_equal(decode_packet(bytes, make_packet(bytes, COMMAND_STOP, &stops[i],
                                                          sizeof *stops), &packet), -EPROTO);
}

static void an_entry_to_take_over_must_be_possible(void **state)
{
    const struct resume_entry sound = {.pid = 2, .stop_signal = SIGTERM, .grace_us = 5,
                                       .stop_reason = STOP_NONE};
    struct resume_entry rows[8];
    unsigned char bytes[512];
    struct packet packet;
    for (size_t i = 0; i < 8; i++)
        rows[i] = sound;
    rows[1].pid = 1;
    rows[2].pid = -7;
    rows[3].stop_signal = 0;
    rows[4].grace_us = -1;
    rows[5].stop_reason = STOP_REASONS;
    rows[6].stop_deadline_mono_us = -1;
    rows[7].timeout_deadline_mono_us = INT64_MIN;
    for (size_t i = 0; i < 8; i++) {
        size_t size = make_packet(bytes, COMMAND_ADOPT, &rows[i], sizeof rows[i]);
        assert_int_equal(decode_packet(bytes, size, &packet), i == 0 ? 0 : -EPROTO);
    }
    assert_int_equal(packet.command.type, COMMAND_ADOPT);
}

static void an_upgrade_path_ends_with_its_only_nul(void **state)
{
    unsigned char bytes[64];
    struct packet packet;
    assert_int_equal(decode_packet(bytes, make_packet(bytes, COMMAND_UPGRADE, "/a", 3), &packet), 0);
    assert_int_equal(
        decode_packet(bytes, make_packet(bytes, COMMAND_UPGRADE, "/a", 2), &packet), -EPROTO);
    assert_int_equal(
        decode_packet(bytes, make_packet(bytes, COMMAND_UPGRADE, "/\0a", 4), &packet), -EPROTO);
    assert_int_equal(
        decode_packet(bytes, make_packet(bytes, COMMAND_UPGRADE, "", 1), &packet), -EPROTO);
}

static void a_body_in_a_descriptor_is_for_spawns_and_has_a_limit(void **state)
{
    struct packet packet;
    struct command command = {.type = COMMAND_SPAWN, .flags = COMMAND_BODY_IN_FD,
                              .body_bytes = COMMAND_BODY_LIMIT};
    assert_int_equal(decode_packet((void *)&command, sizeof command, &packet), 0);
    assert_null(packet.body);
    command.body_bytes++;
    assert_int_equal(decode_packet((void *)&command, sizeof command, &packet), -EPROTO);
    command.body_bytes = 0;
    command.type = COMMAND_READY;
    assert_int_equal(decode_packet((void *)&command, sizeof command, &packet), -EPROTO);
}

static void a_spawn_body_gives_its_parts(void **state)
{
    unsigned char body[1024];
    struct spawn spawn;
    struct command_spawn fixed = {.argc = 2, .envc = 1, .record_bytes = 5, .group_count = 2,
                                  .filter_bytes = 2 * SPAWN_FILTER_UNIT};
    size_t size = make_spawn(body, fixed, "a\0b\0K=V\0/tmp", 13);
    assert_int_equal(decode_spawn(body, size, &spawn), 0);
    assert_string_equal(spawn.strings, "a");
    assert_string_equal(spawn.cwd, "/tmp");
    assert_int_equal(spawn.record[4], 7);
    assert_ptr_equal(spawn.groups, spawn.record + 5);
    assert_ptr_equal(spawn.filter, spawn.groups + 8);
    assert_ptr_equal(spawn.filter + 2 * SPAWN_FILTER_UNIT, body + size);
    assert_int_equal(spawn.program, -1);
}

static void spawn_bodies_whose_counts_lie_are_refused(void **state)
{
    static const struct command_spawn rows[] = {
        {.argc = 0, .envc = 3}, {.argc = 3, .envc = 1}, {.argc = 1, .envc = 1},
        {.argc = UINT32_MAX, .envc = 4}, {.argc = 2, .envc = 1, .timeout_us = -1},
        {.argc = 2, .envc = 1, .grace_us = -1}, {.argc = 2, .envc = 1, .stop_signal = 99},
        {.argc = 2, .envc = 1, .rlimit_mask = 1u << 16},
        {.argc = 2, .envc = 1, .filter_bytes = SPAWN_FILTER_UNIT + 1},
        {.argc = 2, .envc = 1, .filter_bytes = SPAWN_FILTER_MAX + SPAWN_FILTER_UNIT},
    };
    unsigned char body[sizeof(struct command_spawn) + 1024 + 2 * SPAWN_FILTER_MAX];
    struct spawn spawn;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t size = make_spawn(body, rows[i], "a\0b\0K=V\0/tmp", 13);
        assert_int_equal(decode_spawn(body, size, &spawn), -EPROTO);
    }
    struct command_spawn good = {.argc = 2, .envc = 1};
    size_t size = make_spawn(body, good, "a\0b\0K=V\0/tmp", 12); /* the last NUL is missing */
    assert_int_equal(decode_spawn(body, size, &spawn), -EPROTO);
    size = make_spawn(body, good, "a\0b\0K=V\0/tmp", 13);
    for (size_t cut = 0; cut < size; cut++)
        assert_int_equal(decode_spawn(body, cut, &spawn), -EPROTO);
    struct command_spawn *fixed = (void *)body;
    fixed->record_bytes = UINT32_MAX;
    fixed->group_count = UINT32_MAX / 4;
    assert_int_equal(decode_spawn(body, size, &spawn), -EPROTO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_is_taken_only_at_its_exact_length),
        cmocka_unit_test(a_packet_may_hold_several_commands),
        cmocka_unit_test(unknown_types_are_refused),
        cmocka_unit_test(values_out_of_range_are_refused),
        cmocka_unit_test(an_entry_to_take_over_must_be_possible),
        cmocka_unit_test(an_upgrade_path_ends_with_its_only_nul),
        cmocka_unit_test(a_body_in_a_descriptor_is_for_spawns_and_has_a_limit),
        cmocka_unit_test(a_spawn_body_gives_its_parts),
        cmocka_unit_test(spawn_bodies_whose_counts_lie_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
